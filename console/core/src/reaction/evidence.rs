//! From what was measured around a breach to a conclusion: what was found, and by whose fault.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::watch::{Due, found, golden_answers, over, silent};
use super::{Conclusion, Stands, odd};
use crate::alert::Subject;
use crate::blame::{Blame, Evidence, Share, Switched, Whom, blame};
use crate::endpoint::{Endpoint, WHOLE};
use crate::judge::Counts;
use crate::judge::bet::beyond;
use crate::name::Name;
use crate::observed::Observed;
use crate::registry::objective::Figure;
use crate::registry::{Objective, Reference};
use crate::state::State;

/// Hosts that a sentence names.
const NAMED: usize = 3;
/// Of so many hosts at most it is said that it is they whose golden requests fail.
const FEW: f64 = 0.1;

/// What was measured of an endpoint around a breach. Only what is needed is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measured {
    /// By version, since it began.
    pub now: BTreeMap<Reference, Counts>,
    /// By version, in the hours before.
    pub before: BTreeMap<Reference, Counts>,
    /// By host and version, in the last minute, since it began.
    pub hosts: BTreeMap<Name, BTreeMap<Reference, Counts>>,
    /// By caller, since it began: requests, and those that failed.
    pub callers: BTreeMap<Arc<str>, Share>,
}

/// What a conclusion about something needs to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: hosts say it themselves.
    Nothing,
    /// Each host's last minute.
    Hosts,
    /// All of it.
    Requests,
}

impl Due {
    /// What has to be measured for it.
    pub fn needs(&self) -> Needs {
        match self {
            Self::Over { .. } => Needs::Nothing,
            Self::Breached { subject, .. } => match subject {
                Subject::Objective(_) => Needs::Requests,
                Subject::OddHost(_) => Needs::Hosts,
                Subject::Golden | Subject::HostsLost | Subject::Drift => Needs::Nothing,
            },
        }
    }
}

/// What is concluded.
pub fn conclude(
    state: &State,
    observed: &Observed,
    endpoint: &Endpoint,
    due: &Due,
    measured: &Measured,
) -> Conclusion {
    let (subject, since_us) = match due {
        Due::Over { subject, why } => {
            return Conclusion {
                endpoint: endpoint.name.clone(),
                subject: subject.clone(),
                stands: Stands::Holds { why: why.clone() },
            };
        }
        Due::Breached { subject, since_us } => (subject, *since_us),
    };
    let (what, blame) = match subject {
        Subject::Objective(objective) => {
            let mut all = Counts::default();
            measured.now.values().for_each(|counts| all.merge(counts));
            let evidence = evidence(endpoint, objective, since_us, measured);
            (found(objective, &all), blame(&evidence))
        }
        Subject::Golden => golden(&golden_answers(state, observed, endpoint)),
        Subject::HostsLost => hosts_lost(state, observed, endpoint),
        // What moved is concluded of the inputs themselves, and is not due here.
        Subject::Drift => {
            let (whom, why) = (Whom::Unknown, "inputs are looked at by themselves".into());
            ("inputs moved".to_owned(), Blame { whom, why })
        }
        Subject::OddHost(host) => {
            let (own, peers) = odd::unlike(host, &measured.hosts);
            let whom = Whom::Host(host.clone());
            let why = format!("{host}: {own}; its peers: {peers}").into();
            (format!("{host}: {own}"), Blame { whom, why })
        }
    };
    Conclusion {
        endpoint: endpoint.name.clone(),
        subject: subject.clone(),
        stands: Stands::Breached {
            since_us,
            what: what.into(),
            blame,
            causes: Vec::new(),
        },
    }
}

/// What is beyond an objective, beside each other.
fn evidence(
    endpoint: &Endpoint,
    objective: &Objective,
    since_us: i64,
    measured: &Measured,
) -> Evidence {
    let share = |counts: &Counts| {
        let (beyond, of, _) = beyond(objective, counts);
        Share { beyond, of }
    };
    let shares = |counts: &BTreeMap<Reference, Counts>| -> BTreeMap<Reference, Share> {
        let all = counts.iter();
        all.map(|(version, counts)| (version.clone(), share(counts)))
            .collect()
    };
    let (_, _, fair) = beyond(objective, &Counts::default());
    let hosts = measured.hosts.iter();
    Evidence {
        fair,
        what: over(objective).into(),
        since_us,
        now: shares(&measured.now),
        before: shares(&measured.before),
        hosts: hosts
            .map(|(name, versions)| (name.clone(), shares(versions)))
            .collect(),
        // Of callers agents know how many fail, and nothing else.
        callers: match objective.figure {
            Figure::Errors => measured.callers.clone(),
            Figure::Nulls | Figure::P50 | Figure::P90 | Figure::P99 | Figure::P999 => {
                BTreeMap::new()
            }
        },
        switched: switched(endpoint),
    }
}

/// The last change of the route that hosts were given.
pub fn switched(endpoint: &Endpoint) -> Option<Switched> {
    let underway = endpoint.rollout.as_ref();
    let underway = underway.filter(|rollout| rollout.step().is_some());
    let rollout = match underway {
        Some(rollout) => rollout,
        None => &endpoint.revision(endpoint.live)?.rollout,
    };
    let intent = &rollout.plan.intent;
    let before = intent.before.iter();
    let before: Vec<&Reference> = before.flat_map(|route| route.versions()).collect();
    let step = rollout.step();
    // Hosts that a step leaves out have the route before.
    let is_everywhere = step.is_none_or(|step| step.hosts >= WHOLE);
    let route = step.map_or(&intent.after, |step| &step.route);
    let stayed = before
        .iter()
        .filter(|version| !is_everywhere || route.answers(version));
    Some(Switched {
        at_us: rollout.stepped_us,
        brought: intent.fresh().cloned().collect(),
        stayed: stayed.copied().cloned().collect(),
        replaced: before.into_iter().cloned().collect(),
    })
}

/// Golden requests are the same everywhere: where few hosts fail them it is they, else the version.
fn golden(answers: &BTreeMap<Name, BTreeMap<Reference, Share>>) -> (String, Blame) {
    let mut versions: BTreeMap<&Reference, (Share, Vec<&Name>, usize)> = BTreeMap::new();
    for (name, asked) in answers {
        for (version, share) in asked {
            let (sum, failing, hosts) = versions.entry(version).or_default();
            sum.add(*share);
            *hosts += 1;
            if share.beyond > 0 {
                failing.push(name);
            }
        }
    }
    let worst = versions
        .iter()
        .max_by(|a, b| a.1.0.part().total_cmp(&b.1.0.part()));
    let Some((version, (sum, failing, hosts))) = worst else {
        let why = "no host says how it answers them".into();
        let whom = Whom::Unknown;
        return ("nobody asks them any more".into(), Blame { whom, why });
    };
    let (failed, asked, bad) = (sum.beyond, sum.of, failing.len());
    let what = format!("{failed} of {asked} golden requests to {version} are answered wrongly");
    let few = (*hosts as f64 * FEW).max(1.0);
    let is_theirs = bad < *hosts && bad as f64 <= few;
    let (whom, why) = match failing.first() {
        Some(host) if is_theirs => (
            Whom::Host(Name::clone(host)),
            format!(
                "{}: {} other hosts answer them right",
                named(failing),
                hosts - bad
            ),
        ),
        Some(_) | None => (
            Whom::Version(Reference::clone(version)),
            format!(
                "{version}: {failed} of {asked} golden requests fail on {bad} of {hosts} hosts"
            ),
        ),
    };
    let why = why.into();
    (what, Blame { whom, why })
}

fn hosts_lost(state: &State, observed: &Observed, endpoint: &Endpoint) -> (String, Blame) {
    let (hosts, silent) = silent(state, observed, endpoint);
    let what = format!(
        "{} of {hosts} hosts are not heard: {}",
        silent.len(),
        named(&silent)
    );
    let (whom, why) = match silent.as_slice() {
        [host] => (
            Whom::Host(Name::clone(host)),
            format!("{host} is not heard; the other {} are", hosts - 1),
        ),
        _ => (
            Whom::Unknown,
            format!(
                "{} of {hosts} are silent, and may well serve: what do they share?",
                silent.len()
            ),
        ),
    };
    let why = why.into();
    (what, Blame { whom, why })
}

fn named(hosts: &[&Name]) -> String {
    let some: Vec<&str> = hosts.iter().take(NAMED).map(|name| name.as_str()).collect();
    match hosts.len() - some.len() {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}
