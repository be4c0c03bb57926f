//! One endpoint, looked at again and again: what breaks, since when, and for how long all is well.
//!
//! A breach is an alert once it has lasted, and an alert is over once all has been well for long
//! enough; what cannot be told leaves both as they were. Few requests are added up over a longer
//! time, up to [`LOOK_BACK_US`], before they say anything. Kept in memory alone: a hub that was
//! started again gathers anew.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::odd::Odd;
use crate::alert::{Alerts, Subject};
use crate::blame::Share;
use crate::endpoint::Endpoint;
use crate::judge::Counts;
use crate::judge::bet::beyond;
use crate::judge::share;
use crate::name::Name;
use crate::observed::Observed;
use crate::registry::{Objective, Objectives, Reference};
use crate::rollout::strategy::span;
use crate::served::Nearness;
use crate::state::State;

/// Seconds of a span: what is measured is looked at in pieces of this length.
pub const SPAN_S: u32 = 5;
/// How far back requests are added up where they are few.
pub const LOOK_BACK_US: i64 = 5 * 60 * SECOND_US;
/// Requests that are enough, so that older ones need not be looked at.
const ENOUGH: u64 = 100;
/// Spans that are looked at in any case: one alone is a hiccup.
const LEAST_SPANS: usize = 2;

const SECOND_US: i64 = 1_000_000;

/// What is known of one endpoint.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    /// What is measured is held against these.
    objectives: Objectives,
    /// Spans in which there were requests, and how many were beyond each objective.
    spans: VecDeque<(i64, Vec<Share>)>,
    standings: BTreeMap<Subject, Standing>,
    /// Which hosts stood out in the last minutes.
    odd: Odd,
}

/// How long something is so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    broken_since_us: Option<i64>,
    held_since_us: Option<i64>,
}

/// What one look says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// It breaks, at least since then.
    Breaks(i64),
    /// It holds.
    Holds,
    /// That cannot be told.
    Unknown,
}

/// What has to be concluded.
#[derive(Clone, Debug, PartialEq)]
pub enum Due {
    /// An alert is to be opened, or an open one is to be laid to somebody.
    Breached {
        /// What breaks.
        subject: Subject,
        /// Since when.
        since_us: i64,
    },
    /// An alert is over.
    Over {
        /// What it was about.
        subject: Subject,
        /// Why it is over.
        why: Arc<str>,
    },
}

impl Watch {
    /// Takes in a span that is over, all versions together.
    pub fn measured(&mut self, endpoint: &Endpoint, at_us: i64, counts: &Counts) {
        let objectives = &endpoint.settings.objectives;
        if self.objectives != *objectives {
            self.objectives = objectives.clone();
            self.spans.clear();
        }
        let share = |objective| {
            let (beyond, of, _) = beyond(objective, counts);
            Share { beyond, of }
        };
        if counts.requests() > 0 && !objectives.is_empty() {
            self.spans
                .push_back((at_us, objectives.iter().map(share).collect()));
        }
        let oldest_us = at_us - LOOK_BACK_US;
        while self.spans.front().is_some_and(|(at, _)| *at < oldest_us) {
            self.spans.pop_front();
        }
    }

    /// Takes in what each host did in the last minute.
    pub fn hosts(&mut self, hosts: &BTreeMap<Name, BTreeMap<Reference, Counts>>) {
        self.odd.minute(hosts);
    }

    /// Looks at all of it.
    pub fn look(&mut self, state: &State, observed: &Observed, endpoint: &Endpoint, now_us: i64) {
        let mut looks: BTreeMap<Subject, Look> = BTreeMap::new();
        for (at, objective) in endpoint.settings.objectives.iter().enumerate() {
            let look = match self.objectives == endpoint.settings.objectives {
                true => self.objective(at, objective, now_us),
                false => Look::Unknown,
            };
            looks.insert(Subject::Objective(*objective), look);
        }
        looks.insert(Subject::Golden, golden(state, observed, endpoint, now_us));
        looks.insert(
            Subject::HostsLost,
            hosts_lost(state, observed, endpoint, now_us),
        );
        for alert in state.alerts.of(&endpoint.name) {
            if let Subject::OddHost(_) = &alert.subject {
                let look = match self.odd.is_settled() {
                    true => Look::Holds,
                    false => Look::Unknown,
                };
                looks.insert(alert.subject.clone(), look);
            }
        }
        for (host, is_odd) in self.odd.hosts() {
            let look = match is_odd {
                Some(true) => Look::Breaks(now_us),
                Some(false) => Look::Holds,
                None => Look::Unknown,
            };
            looks.insert(Subject::OddHost(host.clone()), look);
        }
        self.standings
            .retain(|subject, _| looks.contains_key(subject));
        for (subject, look) in looks {
            let standing = self.standings.entry(subject).or_default();
            standing.look(look, now_us);
        }
        let subject = |name: &Name| Subject::OddHost(name.clone());
        let is_open = |name: &Name| state.alerts.about(&endpoint.name, &subject(name)).is_some();
        self.odd.forget(is_open);
    }

    /// What has to be concluded now.
    pub fn due(&self, alerts: &Alerts, endpoint: &Endpoint, now_us: i64) -> Vec<Due> {
        let reactions = &endpoint.settings.reactions;
        let mut due = Vec::new();
        for (subject, standing) in &self.standings {
            // Three of five minutes are patience enough.
            let (opens_s, closes_s) = match subject {
                Subject::OddHost(_) | Subject::Drift => (0, 0),
                Subject::Objective(_) | Subject::Golden | Subject::HostsLost => {
                    (reactions.opens_after_s, reactions.closes_after_s)
                }
            };
            let lasts = |since_us: Option<i64>, seconds: u32| {
                since_us.filter(|since| now_us - since >= i64::from(seconds) * SECOND_US)
            };
            let open = alerts.about(&endpoint.name, subject);
            if let Some(since_us) = lasts(standing.broken_since_us, opens_s) {
                due.push(Due::Breached {
                    subject: subject.clone(),
                    since_us: open.map_or(since_us, |alert| alert.since_us),
                });
            }
            if open.is_some() && lasts(standing.held_since_us, closes_s).is_some() {
                let why = match closes_s {
                    0 => format!("{subject} again"),
                    closes_s => format!("{subject} again, for {}", span(closes_s)),
                };
                due.push(Due::Over {
                    subject: subject.clone(),
                    why: why.into(),
                });
            }
        }
        due.extend(self.gone(alerts, endpoint));
        due
    }

    /// Alerts about what does not have to hold any more.
    fn gone(&self, alerts: &Alerts, endpoint: &Endpoint) -> Vec<Due> {
        let is_gone = |subject: &Subject| match subject {
            Subject::Objective(objective) => {
                let mut objectives = endpoint.settings.objectives.iter();
                !objectives.any(|one| one == objective)
            }
            Subject::Golden | Subject::HostsLost | Subject::OddHost(_) | Subject::Drift => false,
        };
        alerts
            .of(&endpoint.name)
            .filter(|alert| is_gone(&alert.subject))
            .map(|alert| Due::Over {
                subject: alert.subject.clone(),
                why: format!("{} does not have to hold any more", alert.subject).into(),
            })
            .collect()
    }

    /// Requests of late: as many spans as it takes to say something.
    fn objective(&self, at: usize, objective: &Objective, now_us: i64) -> Look {
        let (_, _, fair) = beyond(objective, &Counts::default());
        let (mut sum, mut since_us) = (Share::default(), now_us);
        let late_us = now_us - LOOK_BACK_US;
        let fresh = self.spans.iter().rev().enumerate();
        for (count, (start_us, shares)) in fresh.take_while(|(_, (at, _))| *at >= late_us) {
            if count >= LEAST_SPANS && sum.of >= ENOUGH {
                break;
            }
            let Some(share) = shares.get(at) else {
                break;
            };
            sum.add(*share);
            if share.part() > fair {
                since_us = *start_us;
            }
        }
        match (sum.breaks(fair), sum.holds(fair)) {
            (true, _) => Look::Breaks(since_us),
            (false, true) => Look::Holds,
            (false, false) => Look::Unknown,
        }
    }
}

impl Standing {
    fn look(&mut self, look: Look, now_us: i64) {
        match look {
            Look::Breaks(since_us) => {
                self.held_since_us = None;
                self.broken_since_us.get_or_insert(since_us);
            }
            Look::Holds => {
                self.broken_since_us = None;
                self.held_since_us.get_or_insert(now_us);
            }
            Look::Unknown => {}
        }
    }
}

/// Golden requests of what serves, by host and version: how many are answered wrongly.
pub(super) fn golden_answers(
    state: &State,
    observed: &Observed,
    endpoint: &Endpoint,
) -> BTreeMap<Name, BTreeMap<Reference, Share>> {
    let mut answers = BTreeMap::new();
    let Some(route) = endpoint.route() else {
        return answers;
    };
    for name in crate::rollout::tick::hosts_of(state, &endpoint.name) {
        let Some((_, stream)) = observed.commanding(name) else {
            continue;
        };
        let of = |version: &Reference| {
            let it = stream.served.versions.get(version)?;
            let failed = it.golden_total.saturating_sub(it.golden_passed);
            let share = Share {
                beyond: failed.into(),
                of: it.golden_total.into(),
            };
            let is_asked = it.nearness == Nearness::Ready && it.golden_total > 0;
            is_asked.then(|| (version.clone(), share))
        };
        let versions: BTreeMap<_, _> = route.versions().filter_map(of).collect();
        if !versions.is_empty() {
            answers.insert(name.clone(), versions);
        }
    }
    answers
}

fn golden(state: &State, observed: &Observed, endpoint: &Endpoint, now_us: i64) -> Look {
    let answers = golden_answers(state, observed, endpoint);
    let mut all = answers.values().flat_map(BTreeMap::values);
    if all.any(|share| share.beyond > 0) {
        return Look::Breaks(now_us);
    }
    // Where nobody is heard, nobody says that they are answered as they should be.
    let mut hosts = crate::rollout::tick::hosts_of(state, &endpoint.name);
    match hosts.any(|name| observed.commanding(name).is_some()) {
        true => Look::Holds,
        false => Look::Unknown,
    }
}

/// The hosts of an endpoint, and those of them that are not heard.
pub(super) fn silent<'a>(
    state: &'a State,
    observed: &Observed,
    endpoint: &'a Endpoint,
) -> (usize, Vec<&'a Name>) {
    let hosts: Vec<&Name> = crate::rollout::tick::hosts_of(state, &endpoint.name).collect();
    let silent = hosts.iter().copied();
    let silent = silent.filter(|name| observed.commanding(name).is_none());
    (hosts.len(), silent.collect())
}

fn hosts_lost(state: &State, observed: &Observed, endpoint: &Endpoint, now_us: i64) -> Look {
    let (hosts, silent) = silent(state, observed, endpoint);
    let may_be = endpoint.settings.policy.may_be_missing as usize;
    let may_be = hosts * may_be / crate::endpoint::WHOLE as usize;
    // An endpoint that serves nothing yet misses nobody.
    match endpoint.live > 0 && silent.len() > may_be {
        true => Look::Breaks(now_us),
        false => Look::Holds,
    }
}

/// What was found of requests: `p99 412.0 ms; 42.10% (421 of 1000) over 250ms, 1.00% may be`.
pub(super) fn found(objective: &Objective, counts: &Counts) -> String {
    use crate::registry::objective::Figure;

    let (events, of, fair) = beyond(objective, counts);
    let all = Share { beyond: events, of };
    let quantile = match objective.figure {
        Figure::Errors => {
            return format!("{all} of the requests failed, {} may", share(fair));
        }
        Figure::Nulls => {
            return format!("{all} of the answers are null, {} may", share(fair));
        }
        Figure::P50 => 0.5,
        Figure::P90 => 0.9,
        Figure::P99 => 0.99,
        Figure::P999 => 0.999,
    };
    let (word, ms) = (
        objective.figure.word(),
        counts.quantile_ns(quantile) as f64 / 1e6,
    );
    format!(
        "{word} {ms:.1} ms: {all} {}, {} may be",
        over(objective),
        share(fair)
    )
}

/// `over 250ms`, or `failed`.
pub(super) fn over(objective: &Objective) -> String {
    use crate::registry::objective::Figure;

    match objective.latency_ns() {
        None if objective.figure == Figure::Nulls => "null".to_owned(),
        Some(_) => {
            let text = objective.to_string();
            let bound = text.split_once("<=").map_or("", |(_, bound)| bound);
            format!("over {bound}")
        }
        None => "failed".to_owned(),
    }
}
