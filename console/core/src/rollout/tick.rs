//! Time passes: what rollouts come to, and what hosts decided for themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::still::is_still;
use super::{Phase, Progress, next};
use crate::caller::Caller;
use crate::endpoint::command::moved;
use crate::endpoint::overridden::{Adopted, MAX_ADOPTED, OfHost};
use crate::endpoint::{Change, EndpointName};
use crate::judge::{Bounds, Evidence, Judgement, judge};
use crate::name::Name;
use crate::observed::Observed;
use crate::served::{OverrideKind, Stamp};
use crate::state::State;

/// What was concluded of the steps that are watched: by endpoint, and by the route that is.
pub type Judgements = BTreeMap<(EndpointName, Stamp), Judgement>;

/// What is concluded of every step that is watched, from what was measured of it.
pub fn judged<'a>(
    state: &State,
    measured: impl Fn(&EndpointName, Stamp) -> Option<&'a Evidence>,
) -> Judgements {
    let mut judgements = Judgements::new();
    for (endpoint, rollout) in state.endpoints.underway() {
        if !is_watched(&rollout.phase) || rollout.plan.intent.is_rollback() {
            continue;
        }
        if let Some(evidence) = measured(&endpoint.name, endpoint.stamp) {
            let finding = judge(&Bounds::of(&rollout.plan.intent), evidence);
            let key = (endpoint.name.clone(), endpoint.stamp);
            judgements.insert(key, Judgement { finding });
        }
    }
    judgements
}

/// Decisions that follow from what hosts say, what was concluded, and the time.
pub(crate) fn decide(
    state: &State,
    observed: &Observed,
    judgements: &Judgements,
    now_us: i64,
) -> Vec<(Caller, String, Change)> {
    let adopted = adopt(state, observed);
    if !adopted.is_empty() {
        // What hosts decided is part of what comes next: that is decided upon it.
        return adopted;
    }
    let none = Judgement::none();
    let mut decided = Vec::new();
    for (endpoint, rollout) in state.endpoints.underway() {
        let key = (endpoint.name.clone(), endpoint.stamp);
        let judgement = judgements.get(&key).unwrap_or(&none);
        if is_still((state, observed), endpoint, rollout, judgement, now_us) {
            continue;
        }
        let progress = Progress::of(state, observed, endpoint, rollout);
        if let Some(passage) = next(rollout, &progress, judgement, now_us) {
            let why = why(&passage);
            decided.push((Caller::Hub, why, moved(endpoint, rollout, passage)));
        }
    }
    decided
}

/// Why the hub passes on.
fn why(passage: &super::Moved) -> String {
    match (&passage.finding, passage.to.why()) {
        (_, why) if !why.is_empty() => why.to_owned(),
        (Some(finding), _) => finding.why.to_string(),
        (None, _) => String::new(),
    }
}

/// What hosts decided for themselves and nobody has taken note of, an entry an endpoint.
fn adopt(state: &State, observed: &Observed) -> Vec<(Caller, String, Change)> {
    let mut found: BTreeMap<EndpointName, Vec<OfHost>> = BTreeMap::new();
    for name in observed.deciding() {
        let Some((host, (_, stream))) = state.hosts.get(name).zip(observed.commanding(name)) else {
            continue;
        };
        for (endpoint, told) in &stream.served.overrides {
            let environment = host.admission.environment.clone();
            let endpoint = EndpointName {
                environment,
                name: endpoint.clone(),
            };
            let Some(known) = state.endpoints.get(&endpoint) else {
                continue;
            };
            let is_known = known
                .overridden
                .get(name)
                .is_some_and(|it| it.told.id == told.id);
            let hosts = found.entry(endpoint).or_default();
            if !is_known && hosts.len() < MAX_ADOPTED {
                hosts.push(OfHost {
                    host: name.clone(),
                    told: told.clone(),
                    // That nobody confirmed is no decision against what the hub decided since.
                    stands: told.kind == OverrideKind::ByHand,
                });
            }
        }
    }
    found.retain(|_, hosts| !hosts.is_empty());
    let entry = |(endpoint, overrides): (EndpointName, Vec<OfHost>)| {
        let (caller, why) = match overrides.as_slice() {
            [one] => (Caller::Host(one.host.clone()), one.told.why.clone()),
            _ => (Caller::Hub, String::new()),
        };
        (
            caller,
            why,
            Change::Adopted(Adopted {
                endpoint,
                overrides,
            }),
        )
    };
    found.into_iter().map(entry).collect()
}

/// Whether somebody has to look at all: anything under way, or a host that decided for itself.
pub fn is_due(state: &State, observed: &Observed) -> bool {
    state.endpoints.underway().next().is_some() || observed.deciding().next().is_some()
}

/// Hosts that an endpoint's change concerns.
pub fn hosts_of<'a>(
    state: &'a State,
    endpoint: &'a EndpointName,
) -> impl Iterator<Item = &'a Name> {
    let endpoint: Option<&Arc<_>> = state.endpoints.get(endpoint);
    let hosts = state.hosts.iter();
    hosts.filter_map(move |(name, host)| endpoint?.is_served_by(host).then_some(name))
}

/// What is watched of a rollout: whether there is anything to judge yet.
pub fn is_watched(phase: &Phase) -> bool {
    match phase {
        Phase::Step(_, super::Stage::Baking | super::Stage::Judging) | Phase::Confirming => true,
        Phase::Awaiting { .. }
        | Phase::Preparing
        | Phase::Step(_, super::Stage::Shifting)
        | Phase::Pausing(_)
        | Phase::Paused(_)
        | Phase::RollingBack(_)
        | Phase::Aborting(_)
        | Phase::Promoted
        | Phase::RolledBack(_)
        | Phase::Aborted(_) => false,
    }
}
