//! What an alert says of an endpoint whose inputs moved: what, since when, and by whose fault.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::budget::Budget;
use super::explain::Explanation;
use super::guard::{Guard, Page};
use super::signal::Signal;
use crate::blame::{Blame, Evidence, Share, Whom, blame};
use crate::endpoint::Endpoint;
use crate::name::Name;
use crate::reaction::evidence::switched;
use crate::registry::Reference;

/// Features that are named as causes: an entry of the journal holds them.
const CAUSES: usize = 32;

/// What is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Accused {
    /// Since when.
    pub since_us: i64,
    /// What moved, and how.
    pub what: Arc<str>,
    /// To whom it is laid.
    pub blame: Blame,
    /// What may have moved other endpoints as well: its features, and a host.
    pub causes: Vec<Arc<str>>,
}

/// What is to be said of an endpoint, by the guards of all its versions; `None` where nothing is
/// open. What moved most in the version that moved first is held against the others: over
/// versions, hosts, and the time before.
pub fn accuse(
    endpoint: &Endpoint,
    guards: &[(&Reference, &Guard)],
    budget: &Budget,
) -> Option<Accused> {
    let open = guards.iter().filter(|(_, guard)| guard.episode().is_open());
    let open = open.filter_map(|(version, guard)| Some((guard.last_page()?, version, guard)));
    let (page, version, guard): (&Page, _, _) = open.min_by_key(|(page, ..)| page.since_us)?;
    let explained = guard.explain(budget);
    let what = sentence(version, &explained).into();
    let Some(yardstick) = guard.yardstick() else {
        // Cuts are held for days, and a page may stay open for longer.
        let whom = Whom::Unknown;
        let why = "what was counted around it is not held any more".into();
        let blame = Blame { whom, why };
        return Some(Accused {
            since_us: page.since_us,
            what,
            causes: causes(&explained, &blame),
            blame,
        });
    };
    let mut evidence = Evidence {
        since_us: page.since_us,
        switched: switched(endpoint),
        ..Evidence::default()
    };
    let mut hosts: BTreeMap<Name, BTreeMap<Reference, Share>> = BTreeMap::new();
    for (version, guard) in guards {
        let beyond = guard.beyond(&yardstick);
        (evidence.fair, evidence.what) = (beyond.fair, beyond.what.into());
        let version = || Reference::clone(version);
        evidence.now.insert(version(), beyond.now);
        evidence.before.insert(version(), beyond.before);
        for (host, share) in beyond.hosts {
            hosts.entry(host).or_default().insert(version(), share);
        }
    }
    evidence.hosts = hosts;
    let blame = blame(&evidence);
    Some(Accused {
        since_us: page.since_us,
        what,
        causes: causes(&explained, &blame),
        blame,
    })
}

/// What else may have moved by the same cause: what has a feature of the same name, or is on the
/// same host.
fn causes(explained: &[(Explanation, i64)], blame: &Blame) -> Vec<Arc<str>> {
    let ranked = explained.iter().filter(|(one, _)| one.ranked);
    let features = ranked.map(|(one, _)| one.feature.as_str());
    let features: BTreeSet<&str> = features.filter(|name| !name.is_empty()).collect();
    let features = features.into_iter().take(CAUSES);
    let mut causes: Vec<Arc<str>> = features
        .map(|name| format!("feature {name}").into())
        .collect();
    if let Whom::Host(host) = &blame.whom {
        causes.push(format!("host {host}").into());
    }
    causes
}

/// What an alert says of it: the feature that moved most, by its values where they moved, and how
/// many others did.
fn sentence(version: &Reference, explained: &[(Explanation, i64)]) -> String {
    let Some((most, _)) = explained.first() else {
        return format!("inputs of {version} moved");
    };
    let own = explained.iter().map(|(one, _)| one);
    let own = own.filter(|one| one.feature == most.feature);
    let mut values = own.filter(|one| one.signal == Signal::Values);
    let first = values.next().unwrap_or(most);
    let of = match first.feature.as_str() {
        "" => String::new(),
        feature => format!("{feature}: "),
    };
    let unit = first
        .unit
        .map_or_else(String::new, |unit| format!(" ({unit})"));
    let others = explained.iter().map(|(one, _)| one);
    let others = others.filter(|one| one.ranked && one.feature != most.feature);
    let others = match others.count() {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{version}: {of}{}{unit}{others}", first.how)
}
