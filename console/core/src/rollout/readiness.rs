//! Whether a rollback is ready: to what, on how many hosts, and how long it will take.
//!
//! Known before it is needed, from what hosts say: versions loaded and warm, digests checked, and
//! how long each load took when it was last seen.

use crate::endpoint::{Endpoint, Revision};
use crate::observed::Observed;
use crate::registry::Reference;
use crate::served::{Nearness, Served, VersionState};
use crate::state::State;

/// Whether an endpoint can go back, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The revision that it would go back to.
    pub to: u64,
    /// How many hosts serve the endpoint.
    pub hosts: u32,
    /// Those that could switch this moment.
    pub warm: u32,
    /// Those that have checked the digests of all its versions.
    pub verified: u32,
    /// Those that are not heard: they go back when they are.
    pub silent: u32,
    /// How long the slowest host that is heard will take, in milliseconds, from what loads took
    /// when they were last seen; `None` where one has to load what was never seen to load.
    pub eta_ms: Option<u64>,
}

/// Whether an endpoint can go back; `None` where there is nothing to go back to.
pub fn readiness(state: &State, observed: &Observed, endpoint: &Endpoint) -> Option<Readiness> {
    let revision = match endpoint.moving() {
        Some(_) => endpoint.revision(endpoint.live)?,
        None => endpoint.last_good()?,
    };
    Some(of(state, observed, endpoint, revision))
}

/// Whether an endpoint can go to a revision.
pub fn of(
    state: &State,
    observed: &Observed,
    endpoint: &Endpoint,
    revision: &Revision,
) -> Readiness {
    let versions: Vec<&Reference> = revision.route.all_versions().collect();
    let mut readiness = Readiness {
        to: revision.number,
        hosts: 0,
        warm: 0,
        verified: 0,
        silent: 0,
        eta_ms: Some(0),
    };
    let mut seen: Vec<(&Served, bool)> = Vec::new();
    for (name, host) in &state.hosts {
        if !endpoint.is_served_by(host) {
            continue;
        }
        readiness.hosts += 1;
        let Some((_, stream)) = observed.commanding(name) else {
            readiness.silent += 1;
            continue;
        };
        let served = &*stream.served;
        let is_warm = served.is_ready(versions.iter().copied());
        let is_verified = |version: &&Reference| {
            served
                .versions
                .get(*version)
                .is_some_and(|state| state.verified_at_us > 0)
        };
        readiness.warm += u32::from(is_warm);
        readiness.verified += u32::from(versions.iter().all(is_verified));
        seen.push((served, is_warm));
    }
    readiness.eta_ms = eta(&seen, &versions);
    readiness
}

/// How long the slowest host will take.
fn eta(seen: &[(&Served, bool)], versions: &[&Reference]) -> Option<u64> {
    // What it took elsewhere, where a host itself has never loaded it.
    let elsewhere = |version: &Reference| {
        let took = seen
            .iter()
            .filter_map(|(served, _)| served.versions.get(version))
            .map(took_ms);
        took.max().filter(|ms| *ms > 0)
    };
    let worst: Vec<Option<u64>> = versions.iter().map(|version| elsewhere(version)).collect();
    let mut slowest_ms = 0;
    for (served, _) in seen.iter().filter(|(_, is_warm)| !is_warm) {
        let mut host_ms = 0;
        for (version, worst) in versions.iter().zip(&worst) {
            if served.nearness(version) == Nearness::Ready {
                continue;
            }
            let own = served
                .versions
                .get(*version)
                .map(took_ms)
                .filter(|ms| *ms > 0);
            host_ms += own.or(*worst)?;
        }
        slowest_ms = slowest_ms.max(host_ms);
    }
    Some(slowest_ms)
}

/// What it takes from here: files that are there are not fetched again.
fn took_ms(state: &VersionState) -> u64 {
    let fetch_ms = match state.nearness {
        Nearness::Fetched | Nearness::Loading | Nearness::Warming | Nearness::Ready => 0,
        Nearness::Absent
        | Nearness::Fetching
        | Nearness::Verifying
        | Nearness::Draining
        | Nearness::Failed => state.fetch_ms,
    };
    u64::from(fetch_ms) + u64::from(state.load_ms) + u64::from(state.warm_ms)
}
