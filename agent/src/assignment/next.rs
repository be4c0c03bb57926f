//! Wanted against what is here: what to do next. A pure function, called again after every
//! change; it has no memory, so that a start after a crash is nothing special.
//!
//! Promises: whatever the state, doing what it says ends at what is wanted, if that can be had;
//! no version is taken away while a route that is live, or that a dead-man's switch goes back
//! to, names it; a route is taken up only when every version that answers in it is ready; and
//! what is loaded takes no more memory together than it may.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::observed::Phase;
use super::standing::Standing;
use super::{Assignment, Nearness, Version};

use self::room::{Fit, Room};

pub mod room;

/// Artifacts on their way at once: more would only share the line.
const FETCHES_MOST: usize = 2;
/// Versions being loaded at once: a load takes cores and memory from those that serve.
const LOADS_MOST: usize = 1;

/// One version, as far as what to do next depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// How far it is.
    pub phase: Phase,
    /// Its artifact is on the disk, or it needs none.
    pub fetched: bool,
    /// It may be tried: nothing failed, or it has rested since.
    pub rested: bool,
    /// It was loaded by this agent, and may be unloaded by it.
    pub ours: bool,
    /// Bytes of memory that it takes once it is loaded, as far as is known.
    pub bytes: u64,
}

/// What is so beside assignment and versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Requests are under way while the host drains.
    pub in_flight: bool,
    /// Bytes of memory that versions may take together.
    pub memory: u64,
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Fetch and verify a version's artifact.
    Fetch(Version),
    /// Place it, have the server load it, warm it up.
    Load(Version),
    /// Wait for its last requests, and have the server unload it.
    Unload(Version),
    /// Remove what is on disk of it, and forget it.
    Evict(Version),
    /// Take up the wanted route of an endpoint.
    TakeUp(Arc<str>),
    /// Stop routing an endpoint.
    GiveUp(Arc<str>),
}

/// What to do, in order.
pub fn next(
    assignment: &Assignment,
    standing: &Standing,
    places: &BTreeMap<Version, Place>,
    bounds: Bounds,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let routes = standing.routes(assignment);
    for (&name, (route, _)) in &routes {
        let is_ready = |version: &Version| {
            places
                .get(version)
                .is_some_and(|place| place.phase == Phase::Ready)
        };
        if standing.live.get(name) != Some(*route) && route.answering().all(is_ready) {
            steps.push(Step::TakeUp(name.clone()));
        }
    }
    for name in standing.live.keys() {
        if !routes.contains_key(name) {
            steps.push(Step::GiveUp(name.clone()));
        }
    }
    if !steps.is_empty() {
        // What is live decides what may go: look again when it has changed.
        return steps;
    }
    let serving = Serving::of(assignment, standing, bounds.in_flight);
    forward(
        (assignment, standing),
        places,
        &serving,
        bounds.memory,
        &mut steps,
    );
    backward(assignment, places, &serving, &mut steps);
    steps
}

/// Versions that wait for room in memory, and why.
pub fn crowded<'a>(
    assignment: &'a Assignment,
    standing: &'a Standing,
    places: &'a BTreeMap<Version, Place>,
    bounds: Bounds,
) -> Vec<(&'a Version, room::NoRoom)> {
    let serving = Serving::of(assignment, standing, bounds.in_flight);
    let room = Room::of(assignment, places, &serving, bounds.memory);
    let idle = places.iter().filter(|(version, place)| {
        let waits = matches!(place.phase, Phase::Absent | Phase::Fetched | Phase::Failed);
        waits && place.fetched && place.rested && serving.all.contains(version)
    });
    let why = |(version, _): (&'a Version, _)| match room.fit(version) {
        Fit::No(why) => Some((version, why)),
        Fit::Fits | Fit::After(_) => None,
    };
    idle.filter_map(why).collect()
}

/// Why the route of an endpoint is not live yet: the versions that are not ready.
pub fn missing<'a>(
    standing: &'a Standing,
    assignment: &'a Assignment,
    endpoint: &Arc<str>,
    places: &'a BTreeMap<Version, Place>,
) -> Vec<(&'a Version, Phase)> {
    let routes = standing.routes(assignment);
    let Some((route, _)) = routes.get(endpoint) else {
        return Vec::new();
    };
    let phase = |version: &'a Version| {
        let phase = places
            .get(version)
            .map_or(Phase::Absent, |place| place.phase);
        (version, phase)
    };
    let mut missing: Vec<_> = route
        .answering()
        .map(phase)
        .filter(|(_, phase)| *phase != Phase::Ready)
        .collect();
    missing.dedup();
    missing
}

/// Versions that are to be loaded.
struct Serving<'a> {
    /// All of them.
    all: BTreeSet<&'a Version>,
    /// Those that a route names, or what it goes back to.
    bound: BTreeSet<&'a Version>,
    /// Those that requests go to now, or may any moment by themselves: of routes that are live, and
    /// of switches that are armed.
    live: BTreeSet<&'a Version>,
}

impl<'a> Serving<'a> {
    fn of(assignment: &'a Assignment, standing: &'a Standing, in_flight: bool) -> Self {
        let live = standing.live.values();
        if assignment.draining {
            // Requests that are under way, or still come, are answered before anything goes.
            let live: Vec<_> = live.filter(|_| in_flight).collect();
            let bound: BTreeSet<_> = live.iter().flat_map(|route| route.versions()).collect();
            return Self {
                all: bound.clone(),
                bound,
                live: live.iter().flat_map(|route| route.answering()).collect(),
            };
        }
        let warm = assignment
            .versions
            .iter()
            .filter(|wanted| wanted.nearness == Nearness::Warm)
            .map(|wanted| &wanted.version);
        let wanted = standing.routes(assignment).into_values();
        let wanted = wanted.flat_map(|(route, dead_man)| {
            let fallback = dead_man.map(|dead_man| &dead_man.revert_to);
            std::iter::once(route).chain(fallback)
        });
        let fallbacks = standing.switches.values().map(|switch| &switch.revert_to);
        let live: Vec<_> = live.chain(fallbacks).collect();
        let routed = live.iter().copied().chain(wanted);
        let bound: BTreeSet<_> = routed.flat_map(|route| route.versions()).collect();
        Self {
            all: warm.chain(bound.iter().copied()).collect(),
            bound,
            live: live.iter().flat_map(|route| route.answering()).collect(),
        }
    }
}

/// What brings versions nearer to serving.
fn forward(
    (assignment, standing): (&Assignment, &Standing),
    places: &BTreeMap<Version, Place>,
    serving: &Serving<'_>,
    memory: u64,
    steps: &mut Vec<Step>,
) {
    let busy = |phases: &[Phase]| {
        let busy = places
            .values()
            .filter(|place| phases.contains(&place.phase));
        busy.count()
    };
    let mut fetches = FETCHES_MOST.saturating_sub(busy(&[Phase::Fetching, Phase::Verifying]));
    let mut loads = LOADS_MOST.saturating_sub(busy(&[Phase::Loading, Phase::Warming]));
    // First what routes wait for; then what they go back to; then the rest, in the hub's order.
    let routes = standing.routes(assignment);
    let routed: BTreeSet<&Version> = routes
        .values()
        .flat_map(|(route, _)| route.answering())
        .collect();
    let mut order: Vec<&Version> = assignment
        .versions
        .iter()
        .map(|wanted| &wanted.version)
        .collect();
    order.sort_by_key(|version| (!routed.contains(version), !serving.all.contains(version)));
    let named: BTreeSet<&Version> = order.iter().copied().collect();
    let unnamed = serving
        .all
        .iter()
        .filter(|version| !named.contains(*version));
    order.extend(unnamed);
    let room = Room::of(assignment, places, serving, memory);
    for version in order {
        let Some(place) = places.get(version) else {
            continue;
        };
        let idle = match place.phase {
            Phase::Absent | Phase::Fetched | Phase::Failed => place.rested,
            Phase::Fetching
            | Phase::Verifying
            | Phase::Loading
            | Phase::Warming
            | Phase::Ready
            | Phase::Draining => false,
        };
        if !idle {
            continue;
        }
        if !place.fetched {
            if fetches > 0 && named.contains(version) {
                fetches -= 1;
                steps.push(Step::Fetch(version.clone()));
            }
        } else if serving.all.contains(version) && loads > 0 {
            match room.fit(version) {
                Fit::Fits => steps.push(Step::Load(version.clone())),
                // What nothing wants goes by itself.
                Fit::After(spare) => {
                    let kept = spare.into_iter().filter(|one| serving.all.contains(one));
                    steps.extend(kept.cloned().map(Step::Unload));
                }
                Fit::No(_) => {
                    // An earlier start, with more room, may have left it at the server.
                    if place.ours && !serving.bound.contains(version) {
                        steps.push(Step::Unload(version.clone()));
                    }
                    continue;
                }
            }
            loads -= 1;
        }
    }
}

/// What takes versions away that nothing names.
fn backward(
    assignment: &Assignment,
    places: &BTreeMap<Version, Place>,
    serving: &Serving<'_>,
    steps: &mut Vec<Step>,
) {
    let wanted: BTreeSet<&Version> = assignment
        .versions
        .iter()
        .map(|wanted| &wanted.version)
        .collect();
    for (version, place) in places {
        if serving.all.contains(version) {
            continue;
        }
        match place.phase {
            Phase::Ready if place.ours => {
                if place.rested {
                    steps.push(Step::Unload(version.clone()));
                }
            }
            Phase::Ready | Phase::Absent | Phase::Fetched | Phase::Failed => {
                if !wanted.contains(version) {
                    steps.push(Step::Evict(version.clone()));
                }
            }
            Phase::Fetching
            | Phase::Verifying
            | Phase::Loading
            | Phase::Warming
            | Phase::Draining => {}
        }
    }
}

#[cfg(test)]
mod tests;
