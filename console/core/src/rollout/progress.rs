//! How far hosts are with what a rollout wants of them, as they say themselves.

use std::sync::Arc;

use super::{MAX_NAMED, Moved, Phase, Rollout};
use crate::endpoint::{Endpoint, WHOLE};
use crate::host::Host;
use crate::name::Name;
use crate::observed::Observed;
use crate::registry::Reference;
use crate::served::{Nearness, OverrideKind, Served, Stamp};
use crate::state::State;

/// How far the hosts of an endpoint are, in order of name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    /// Where they should be.
    pub arrived: Vec<Name>,
    /// Heard, and not there yet.
    pub waiting: Vec<Name>,
    /// Not heard.
    pub silent: Vec<Name>,
    /// Of those that wait, those that say that they cannot, and why.
    pub failed: Vec<(Name, Arc<str>)>,
    /// Why a host left the route by itself, where one did.
    pub by_hand: Option<Arc<str>>,
    /// How long the slowest switch took, in microseconds.
    pub slowest_us: Option<u64>,
}

impl Progress {
    /// How far they are.
    pub fn of(state: &State, observed: &Observed, endpoint: &Endpoint, rollout: &Rollout) -> Self {
        let mut progress = Self {
            by_hand: by_hand(endpoint, rollout),
            ..Self::default()
        };
        let wanted: Vec<Reference> = coming(rollout).cloned().collect();
        for (name, host) in &state.hosts {
            if endpoint.is_served_by(host) {
                progress.look(name, host, (observed, endpoint, rollout), &wanted);
            }
        }
        progress
    }

    fn look(
        &mut self,
        name: &Name,
        host: &Host,
        (observed, endpoint, rollout): (&Observed, &Endpoint, &Rollout),
        wanted: &[Reference],
    ) {
        let Some((_, stream)) = observed.commanding(name) else {
            self.silent.push(name.clone());
            return;
        };
        let served = &stream.served;
        let has_arrived = match rollout.phase {
            Phase::Preparing => served.is_ready(wanted.iter()),
            // Nothing is asked of it.
            Phase::Awaiting { .. } => true,
            Phase::Step(..)
            | Phase::Confirming
            | Phase::Pausing(_)
            | Phase::Paused(_)
            | Phase::RollingBack(_)
            | Phase::Aborting(_)
            | Phase::Promoted
            | Phase::RolledBack(_)
            | Phase::Aborted(_) => follows(served, endpoint, host, name),
        };
        if has_arrived {
            let switched_us = served.routes.get(&endpoint.name.name);
            let switched_us = switched_us.map(|route| route.switch_ns / 1_000);
            self.slowest_us = self.slowest_us.max(switched_us);
            self.arrived.push(name.clone());
            return;
        }
        if let Some(why) = failure(served, wanted) {
            self.failed.push((name.clone(), why));
        }
        self.waiting.push(name.clone());
    }

    /// How many there are in all.
    pub fn hosts(&self) -> usize {
        self.arrived.len() + self.waiting.len() + self.silent.len()
    }

    /// Those that are not where they should be.
    pub fn missing(&self) -> impl Iterator<Item = &Name> {
        self.waiting.iter().chain(&self.silent)
    }

    /// Whether one may go on: every host that is heard is there, and no more are silent than may
    /// be; or, once the time is up, no more are missing than may be.
    pub fn arrived(&self, may_miss: usize, is_over: bool) -> bool {
        match is_over {
            true => self.waiting.len() + self.silent.len() <= may_miss,
            false => self.waiting.is_empty() && self.silent.len() <= may_miss,
        }
    }

    /// Whether every host that is heard is where it should be.
    pub fn has_settled(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The last host, in order of name, of the first `share` of them; `None` for all.
    pub fn boundary(&self, share: u32) -> Option<Name> {
        if share >= WHOLE {
            return None;
        }
        let mut all: Vec<&Name> = self.arrived.iter().chain(self.missing()).collect();
        all.sort();
        let count = (all.len() * share as usize).div_ceil(WHOLE as usize);
        all.get(count.saturating_sub(1))
            .map(|name| Name::clone(name))
    }

    /// A passage to `phase`, with how far hosts are at it.
    pub fn moved(&self, phase: Phase, rollout: &Rollout) -> Moved {
        Moved {
            to: phase,
            through: rollout.through.clone(),
            finding: None,
            confirmed: self.arrived.len() as u32,
            hosts: self.hosts() as u32,
            missing: self.missing().take(MAX_NAMED).cloned().collect(),
            slowest_us: self.slowest_us,
        }
    }
}

/// Versions that have to be ready before anything is switched.
pub(crate) fn coming(rollout: &Rollout) -> impl Iterator<Item = &Reference> {
    rollout.plan.intent.after.all_versions()
}

/// Whether a host does what is wanted of it.
pub(super) fn follows(served: &Served, endpoint: &Endpoint, host: &Host, name: &Name) -> bool {
    let generation = endpoint.generation.max(host.generation);
    if served.generation < generation {
        return false;
    }
    let wanted = super::duty::stamp(endpoint, name);
    if wanted == Stamp::default() {
        return true;
    }
    let route = served.routes.get(&endpoint.name.name);
    route.is_some_and(|route| route.live == wanted)
}

/// Why a host cannot serve what it is to, if it says so.
fn failure(served: &Served, wanted: &[Reference]) -> Option<Arc<str>> {
    let failed = |version: &Reference| {
        let state = served.versions.get(version)?;
        (state.nearness == Nearness::Failed).then(|| format!("{version}: {}", state.reason).into())
    };
    wanted.iter().find_map(failed)
}

/// Why a host left the route of this rollout by itself, where one did.
pub(super) fn by_hand(endpoint: &Endpoint, rollout: &Rollout) -> Option<Arc<str>> {
    let left = |(host, one): (&Name, &Arc<crate::endpoint::Overridden>)| {
        if one.told.from.revision != rollout.revision || one.adopted_at_us < rollout.at_us {
            return None;
        }
        let why = match (one.told.kind, one.told.why.as_str()) {
            (OverrideKind::Unconfirmed, _) => format!("not confirmed: {host} went back by itself"),
            (OverrideKind::ByHand, "") => format!("rolled back by hand at {host}"),
            (OverrideKind::ByHand, why) => format!("rolled back by hand at {host}: {why}"),
        };
        Some(why.into())
    };
    endpoint.overridden.iter().find_map(left)
}
