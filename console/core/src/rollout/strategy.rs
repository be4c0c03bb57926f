//! Strategies: how an endpoint passes from one route to the next, as text and as steps.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::endpoint::route::percent;
use crate::endpoint::{Route, WHOLE};

/// Steps of one rollout: more would be a schedule, not a rollout.
pub const MAX_STEPS: usize = 20;
/// Seconds that one step may bake: a day, so that a nightly job can be part of it.
pub const MAX_BAKE_S: u32 = 24 * 3_600;

/// How an endpoint passes from one route to the next. Written as text everywhere:
/// `all-at-once`, `rolling:25%/2m`, `canary:5%/10m,25%/10m`, `blue-green:10m`,
/// `shadow:20%/10m,5%/10m`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "String")]
pub enum Strategy {
    /// Every host as soon as it is ready, and no look at what came of it.
    AllAtOnce,
    /// Some hosts after the other, each batch watched for a while.
    Rolling(Watched),
    /// A share of the requests on all hosts, growing.
    Canary(Vec<Watched>),
    /// Everything loaded beside what serves, switched at once, watched for so many seconds.
    BlueGreen(u32),
    /// Copies of requests first, whose answers nobody gets, then as a canary.
    ShadowFirst(Watched, Vec<Watched>),
}

/// A share in 1/10,000, and for how long it is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// Of requests, or of hosts.
    pub share: u32,
    /// Seconds.
    pub bake_s: u32,
}

/// One step of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The route while it lasts.
    pub route: Route,
    /// Of 10,000 hosts, those that have it; the others keep the route before.
    pub hosts: u32,
    /// Seconds that it is watched before it is judged; 0 for not at all.
    pub bake_s: u32,
}

/// Why text is no strategy.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no strategy: say all-at-once, rolling:25%/2m, canary:5%/10m,25%/10m, \
     blue-green:10m or shadow:20%/10m,5%/10m; shares grow, and a step bakes a day at most"
)]
pub struct NotAStrategy(String);

impl Strategy {
    /// The steps from `before` to `after`. The last one has `after` on every host.
    pub fn steps(&self, before: Option<&Route>, after: &Route) -> Vec<Step> {
        let step = |route: &Route, hosts, bake_s| Step {
            route: route.clone(),
            hosts,
            bake_s,
        };
        let last = |bake_s| step(after, WHOLE, bake_s);
        // The first route has nothing beside it to be held against, or to go back to.
        let Some(before) = before else {
            return vec![last(0)];
        };
        let canary = |steps: &[Watched]| {
            let one = |at: &Watched| step(&before.towards(after, at.share), WHOLE, at.bake_s);
            steps.iter().map(one).collect::<Vec<_>>()
        };
        match self {
            Self::AllAtOnce => vec![last(0)],
            Self::BlueGreen(bake_s) => vec![last(*bake_s)],
            Self::Canary(steps) => ended(canary(steps), last(0)),
            Self::ShadowFirst(shadow, steps) => {
                let route = before.shadowed(after, shadow.share);
                let mut all = vec![step(&route, WHOLE, shadow.bake_s)];
                all.extend(canary(steps));
                ended(all, last(0))
            }
            Self::Rolling(batch) => {
                let share = batch.share.max(WHOLE.div_ceil(MAX_STEPS as u32));
                let shares = (1..).map(|n| n * share).take_while(|share| *share < WHOLE);
                let steps = shares.map(|share| step(after, share, batch.bake_s));
                ended(steps.collect(), last(0))
            }
        }
    }

    /// Whether anything is judged on the way.
    pub fn is_judged(&self) -> bool {
        match self {
            Self::AllAtOnce => false,
            Self::BlueGreen(bake_s) => *bake_s > 0,
            Self::Rolling(batch) => batch.bake_s > 0,
            Self::Canary(steps) => steps.iter().any(|step| step.bake_s > 0),
            Self::ShadowFirst(shadow, steps) => {
                shadow.bake_s > 0 || steps.iter().any(|step| step.bake_s > 0)
            }
        }
    }
}

/// Steps and the last one, unless they end with it already.
fn ended(mut steps: Vec<Step>, last: Step) -> Vec<Step> {
    let is_there = steps
        .last()
        .is_some_and(|step| step.route == last.route && step.hosts == WHOLE);
    if !is_there {
        steps.push(last);
    }
    steps
}

/// Seconds as the shortest text: `90s`, `10m`, `2h`.
pub fn span(seconds: u32) -> String {
    match seconds {
        0 => "0s".to_owned(),
        whole if whole % 3_600 == 0 => format!("{}h", whole / 3_600),
        whole if whole % 60 == 0 => format!("{}m", whole / 60),
        odd => format!("{odd}s"),
    }
}

fn seconds(text: &str) -> Option<u32> {
    let units = [("s", 1), ("m", 60), ("h", 3_600)];
    let (number, unit) = units
        .into_iter()
        .find_map(|(name, unit)| Some((text.strip_suffix(name)?, unit)))?;
    let seconds = number.parse::<u32>().ok()?.checked_mul(unit)?;
    (seconds <= MAX_BAKE_S).then_some(seconds)
}

fn share(text: &str) -> Option<u32> {
    let number: f64 = text.strip_suffix('%')?.parse().ok()?;
    let share = (number * 100.0).round();
    // Also false for what is no number.
    let fits = share >= 1.0 && share <= f64::from(WHOLE);
    fits.then_some(share as u32)
}

fn watched(text: &str) -> Option<Watched> {
    let (of, bake) = text.split_once('/')?;
    Some(Watched {
        share: share(of)?,
        bake_s: seconds(bake)?,
    })
}

/// Steps whose shares grow.
fn growing(text: &str) -> Option<Vec<Watched>> {
    let steps = text.split(',').map(watched).collect::<Option<Vec<_>>>()?;
    let grows = steps.windows(2).all(|pair| match pair {
        [a, b] => a.share < b.share,
        _ => true,
    });
    (grows && steps.len() < MAX_STEPS).then_some(steps)
}

impl FromStr for Strategy {
    type Err = NotAStrategy;
    fn from_str(text: &str) -> Result<Self, NotAStrategy> {
        let no = || NotAStrategy(text.chars().take(80).collect());
        let (word, rest) = text.split_once(':').unwrap_or((text, ""));
        let parsed = match (word, rest) {
            ("all-at-once", "") => Some(Self::AllAtOnce),
            ("rolling", "") => watched("25%/2m").map(Self::Rolling),
            ("rolling", batch) => watched(batch).map(Self::Rolling),
            ("canary", "") => growing("5%/5m,25%/5m,50%/5m").map(Self::Canary),
            ("canary", steps) => growing(steps).map(Self::Canary),
            ("blue-green", "") => Some(Self::BlueGreen(600)),
            ("blue-green", bake) => seconds(bake).map(Self::BlueGreen),
            ("shadow", rest) => {
                let rest = if rest.is_empty() {
                    "20%/10m,5%/5m,25%/5m"
                } else {
                    rest
                };
                let (shadow, steps) = rest
                    .split_once(',')
                    .map_or((rest, None), |(a, b)| (a, Some(b)));
                let steps = steps.map_or(Some(Vec::new()), growing);
                watched(shadow)
                    .zip(steps)
                    .map(|(shadow, steps)| Self::ShadowFirst(shadow, steps))
            }
            _ => None,
        };
        parsed.ok_or_else(no)
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", percent(self.share.into()), span(self.bake_s))
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |steps: &[Watched]| {
            let steps = steps.iter().map(Watched::to_string);
            steps.collect::<Vec<_>>().join(",")
        };
        match self {
            Self::AllAtOnce => f.write_str("all-at-once"),
            Self::Rolling(batch) => write!(f, "rolling:{batch}"),
            Self::Canary(steps) => write!(f, "canary:{}", all(steps)),
            Self::BlueGreen(bake_s) => write!(f, "blue-green:{}", span(*bake_s)),
            Self::ShadowFirst(shadow, steps) if steps.is_empty() => write!(f, "shadow:{shadow}"),
            Self::ShadowFirst(shadow, steps) => write!(f, "shadow:{shadow},{}", all(steps)),
        }
    }
}

impl TryFrom<Arc<str>> for Strategy {
    type Error = NotAStrategy;
    fn try_from(text: Arc<str>) -> Result<Self, NotAStrategy> {
        text.parse()
    }
}

impl From<Strategy> for String {
    fn from(strategy: Strategy) -> Self {
        strategy.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strategy_is_written_as_it_is_read() {
        for text in [
            "all-at-once",
            "rolling:25%/2m",
            "canary:5%/10m,25%/10m",
            "canary:0.5%/90s",
            "blue-green:10m",
            "shadow:20%/10m",
            "shadow:20%/10m,5%/1h",
        ] {
            assert_eq!(text.parse::<Strategy>().unwrap().to_string(), text);
        }
        for bad in [
            "",
            "canary:5%",
            "canary:25%/1m,5%/1m",
            "canary:5%/1m,5%/1m",
            "canary:0%/1m",
            "canary:101%/1m",
            "canary:NaN%/1m",
            "blue-green:25h",
            "rolling:5m",
            "all-at-once:5m",
            "red-black",
        ] {
            assert!(bad.parse::<Strategy>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_strategy_ends_with_the_next_route_on_every_host() {
        let route = |text: &str| Route::whole(text.parse().unwrap());
        let (before, after) = (route("m@1"), route("m@2"));
        for text in [
            "all-at-once",
            "rolling:1%/1s",
            "canary",
            "blue-green",
            "shadow",
            "shadow:5%/1m",
        ] {
            let strategy: Strategy = text.parse().unwrap();
            for before in [None, Some(&before)] {
                let steps = strategy.steps(before, &after);
                let last = steps.last().unwrap();
                assert_eq!((&last.route, last.hosts), (&after, WHOLE), "{text}");
                assert!(steps.len() <= MAX_STEPS + 2, "{text}: {}", steps.len());
            }
        }
        let canary: Strategy = "canary:5%/10m,100%/10m".parse().unwrap();
        assert_eq!(canary.steps(Some(&before), &after).len(), 2);
    }
}
