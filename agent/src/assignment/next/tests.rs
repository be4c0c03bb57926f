//! Tables of what is done next, and the law that it ends where it should.

use proptest::prelude::*;

use super::super::standing::Moment;
use super::super::{Artifact, DeadMan, Endpoint, Route, Share, Wanted};
use super::*;
use crate::artifact::Digest;

fn version(number: u8) -> Version {
    Version {
        model: "fraud".into(),
        version: number.to_string().into(),
    }
}

fn wanted(number: u8, nearness: Nearness) -> Wanted {
    Wanted {
        version: version(number),
        nearness,
        artifact: Some(Artifact {
            digest: Digest([number; 32]),
            bytes: 1,
            format: "onnx".into(),
        }),
        golden: None,
        profile: None,
        outputs: None,
        features: Arc::default(),
    }
}

fn route(revision: u64, shares: &[u8]) -> Route {
    let count = shares.len() as u32;
    let share = |(at, number): (usize, &u8)| Share {
        version: version(*number),
        weight: if at == 0 {
            10_000 - (10_000 / count) * (count - 1)
        } else {
            10_000 / count
        },
    };
    Route {
        revision,
        step: 0,
        shares: shares.iter().enumerate().map(share).collect(),
        shadows: vec![],
        pins: vec![],
        sticky_header: None,
    }
}

fn endpoint(name: &str, route: Route) -> Endpoint {
    Endpoint {
        name: name.into(),
        route,
        dead_man: None,
        keep_inputs: 0,
    }
}

fn moment() -> Moment {
    Moment {
        machine_boot: "this".into(),
        since_boot: std::time::Duration::from_secs(1),
        wall_us: 0,
    }
}

fn place(phase: Phase) -> Place {
    Place {
        phase,
        fetched: !matches!(phase, Phase::Absent | Phase::Fetching | Phase::Verifying),
        rested: true,
        ours: true,
        bytes: 0,
    }
}

/// A version takes as many bytes as its number says.
fn sized(version: &Version, phase: Phase) -> Place {
    Place {
        bytes: version.version.parse().unwrap(),
        ..place(phase)
    }
}

fn bounds(in_flight: bool) -> Bounds {
    Bounds {
        in_flight,
        memory: u64::MAX,
    }
}

/// `1` is live as `pay`, `2` is wanted in its place.
fn check(phases: &[(u8, Phase)], expected: &[&str]) {
    let mut standing = Standing::default();
    standing.take_up(&"pay".into(), &route(1, &[1]), None, &moment());
    let assignment = Assignment {
        versions: vec![wanted(1, Nearness::Warm), wanted(2, Nearness::Warm)],
        endpoints: vec![endpoint("pay", route(2, &[2]))],
        ..Assignment::default()
    };
    let places = phases
        .iter()
        .map(|(number, phase)| (version(*number), place(*phase)))
        .collect();
    let steps: Vec<String> = next(&assignment, &standing, &places, bounds(false))
        .iter()
        .map(shown)
        .collect();
    assert_eq!(steps, expected, "{phases:?}");
}

fn shown(step: &Step) -> String {
    match step {
        Step::Fetch(version) => format!("fetch {version}"),
        Step::Load(version) => format!("load {version}"),
        Step::Unload(version) => format!("unload {version}"),
        Step::Evict(version) => format!("evict {version}"),
        Step::TakeUp(endpoint) => format!("take up {endpoint}"),
        Step::GiveUp(endpoint) => format!("give up {endpoint}"),
    }
}

#[test]
fn one_thing_follows_another_until_the_route_is_live() {
    use Phase::{Absent, Failed, Fetched, Fetching, Loading, Ready, Verifying, Warming};
    for (second, expected) in [
        (Absent, &["fetch fraud@2"][..]),
        (Fetching, &[]),
        (Verifying, &[]),
        (Fetched, &["load fraud@2"]),
        (Loading, &[]),
        (Warming, &[]),
        (Failed, &["load fraud@2"]),
        (Ready, &["take up pay"]),
    ] {
        check(&[(1, Ready), (2, second)], expected);
    }
    // The one that serves was lost with its server: it comes back, after what is wanted.
    check(&[(1, Fetched), (2, Fetched)], &["load fraud@2"]);
    check(&[(1, Fetched), (2, Loading)], &[]);
    // What nobody names goes: from the server first, from the disk then.
    check(&[(1, Ready), (2, Loading), (3, Ready)], &["unload fraud@3"]);
    check(
        &[(1, Ready), (2, Loading), (3, Fetched)],
        &["evict fraud@3"],
    );
}

#[test]
fn what_a_switch_goes_back_to_stays_loaded_though_nothing_names_it() {
    let mut standing = Standing::default();
    let dead_man = DeadMan {
        revert_to: route(1, &[1]),
        after_ms: 1_000,
    };
    let name: Arc<str> = "pay".into();
    standing.take_up(&name, &route(2, &[2]), Some(&dead_man), &moment());
    let mut of = endpoint("pay", route(2, &[2]));
    let places = [1, 2].map(|number| (version(number), place(Phase::Ready)));
    let places = BTreeMap::from(places);
    for (armed, expected) in [(true, &[][..]), (false, &["unload fraud@1"])] {
        of.dead_man = armed.then(|| dead_man.clone());
        let assignment = Assignment {
            versions: vec![wanted(2, Nearness::Warm)],
            endpoints: vec![of.clone()],
            ..Assignment::default()
        };
        standing.heed(&assignment);
        let steps = next(&assignment, &standing, &places, bounds(false));
        assert_eq!(steps.iter().map(shown).collect::<Vec<_>>(), expected);
    }
}

#[test]
fn a_host_that_drains_unloads_when_the_last_request_has_ended() {
    let mut standing = Standing::default();
    standing.take_up(&"pay".into(), &route(1, &[1]), None, &moment());
    let assignment = Assignment {
        versions: vec![wanted(1, Nearness::Warm)],
        endpoints: vec![endpoint("pay", route(1, &[1]))],
        draining: true,
        ..Assignment::default()
    };
    let places = BTreeMap::from([(version(1), place(Phase::Ready))]);
    assert_eq!(next(&assignment, &standing, &places, bounds(true)), []);
    let steps = next(&assignment, &standing, &places, bounds(false));
    assert_eq!(steps, [Step::Unload(version(1))]);
}

/// A host on which everything that is begun ends, now and then in a failure.
#[derive(Debug)]
struct World {
    assignment: Assignment,
    standing: Standing,
    places: BTreeMap<Version, Place>,
    failures: Vec<bool>,
    bounds: Bounds,
}

impl World {
    /// Does the steps that are due; false when there are none.
    fn turn(&mut self) -> bool {
        for wanted in &self.assignment.versions {
            self.places
                .entry(wanted.version.clone())
                .or_insert(sized(&wanted.version, Phase::Absent));
        }
        let steps = next(&self.assignment, &self.standing, &self.places, self.bounds);
        for step in &steps {
            self.carry_out(step);
        }
        !steps.is_empty()
    }

    fn carry_out(&mut self, step: &Step) {
        let failed = self.failures.pop().unwrap_or(false);
        let answering: Vec<&Version> = self
            .standing
            .live
            .values()
            .flat_map(|route| route.answering())
            .collect();
        match step {
            Step::Fetch(version) | Step::Load(version) => {
                let fetched = self.places[version].fetched;
                let phase = match (failed, step) {
                    (true, _) => Phase::Failed,
                    (false, Step::Load(_)) => Phase::Ready,
                    (false, _) => Phase::Fetched,
                };
                let mut place = sized(version, phase);
                place.fetched = fetched || !failed;
                self.places.insert(version.clone(), place);
            }
            Step::Unload(version) => {
                assert!(!answering.contains(&version), "{version} was dropped");
                let place = Place {
                    ours: false,
                    ..sized(version, Phase::Fetched)
                };
                self.places.insert(version.clone(), place);
            }
            Step::Evict(version) => {
                assert!(!answering.contains(&version), "{version} was evicted");
                self.places.remove(version);
            }
            Step::TakeUp(name) => {
                let (route, dead_man) = self.standing.routes(&self.assignment)[name];
                let (route, dead_man) = (route.clone(), dead_man.cloned());
                for version in route.answering() {
                    assert_eq!(self.places[version].phase, Phase::Ready);
                }
                self.standing
                    .take_up(name, &route, dead_man.as_ref(), &moment());
            }
            Step::GiveUp(name) => self.standing.give_up(name),
        }
    }
}

impl World {
    /// Bytes of all that is loaded.
    fn taken(&self) -> u64 {
        let loaded = self
            .places
            .values()
            .filter(|place| place.phase == Phase::Ready);
        loaded.map(|place| place.bytes).sum()
    }
}

fn phase() -> impl Strategy<Value = Phase> {
    use Phase::{Absent, Failed, Fetched, Ready};
    prop::sample::select(vec![Absent, Fetched, Ready, Failed])
}

fn routes() -> impl Strategy<Value = Vec<(bool, Vec<u8>, Option<u8>)>> {
    let shares =
        prop::collection::btree_set(1..6u8, 1..3).prop_map(|set| set.into_iter().collect());
    prop::collection::vec((any::<bool>(), shares, prop::option::of(1..6u8)), 2)
}

prop_compose! {
    /// A host in some state, of which something else is wanted than what is live.
    fn world()(
        phases in prop::collection::btree_map(1..8u8, phase(), 0..7),
        was in routes(), wish in routes(),
        nearness in prop::collection::vec(any::<bool>(), 7),
        failures in prop::collection::vec(any::<bool>(), 0..12),
    ) -> World {
        let mut standing = Standing::default();
        let names: [Arc<str>; 2] = ["pay".into(), "play".into()];
        let at = |number: u8, phase| (version(number), sized(&version(number), phase));
        let phases = phases.into_iter();
        let mut places: BTreeMap<Version, Place> =
            phases.map(|(number, phase)| at(number, phase)).collect();
        for (name, (there, shares, _)) in names.iter().zip(was) {
            if there {
                // What is live was ready when it was taken up.
                places.extend(shares.iter().map(|number| at(*number, Phase::Ready)));
                standing.take_up(name, &route(1, &shares), None, &moment());
            }
        }
        let endpoints = names.iter().zip(wish).filter(|(_, (there, ..))| *there);
        let endpoints = endpoints.map(|(name, (_, shares, back))| Endpoint {
            dead_man: back.map(|back| DeadMan {
                revert_to: route(0, &[back]),
                after_ms: 9,
            }),
            ..endpoint(name, route(2, &shares))
        });
        let warm = |(at, warm): (usize, bool)| {
            let nearness = if warm { Nearness::Warm } else { Nearness::Fetched };
            wanted(at as u8 + 1, nearness)
        };
        let assignment = Assignment {
            endpoints: endpoints.collect(),
            versions: nearness.into_iter().enumerate().map(warm).take(5).collect(),
            ..Assignment::default()
        };
        standing.heed(&assignment);
        World { assignment, standing, places, failures, bounds: bounds(false) }
    }
}

proptest! {
    #[test]
    fn it_ends_at_what_is_wanted_from_every_state_and_never_drops_before_it_loads(
        mut world in world(),
    ) {
        let turns = (0..100).take_while(|_| world.turn()).count();
        prop_assert!(turns < 100, "it does not end: {:?}", world.places);
        for (name, (route, _)) in world.standing.routes(&world.assignment) {
            prop_assert_eq!(world.standing.live.get(name), Some(route));
        }
        prop_assert_eq!(world.standing.live.len(), world.assignment.endpoints.len());
        let serving = Serving::of(&world.assignment, &world.standing, false);
        for (version, place) in &world.places {
            // One that failed to load, and need not serve any more, is on the disk all the same.
            let serves = place.phase == Phase::Ready;
            prop_assert_eq!(serves, serving.all.contains(version), "{}", version);
            prop_assert!(place.fetched, "{}", version);
        }
    }

    #[test]
    fn what_is_loaded_never_outgrows_its_memory_and_routes_come_before_what_is_kept_warm(
        mut world in world(), spare in 0..6u64,
    ) {
        let bound = |world: &World| -> BTreeSet<Version> {
            let serving = Serving::of(&world.assignment, &world.standing, false);
            serving.bound.into_iter().cloned().collect()
        };
        // All that routes name at any time has room, and little else.
        let sum: u64 = bound(&world).iter().map(|one| sized(one, Phase::Ready).bytes).sum();
        world.bounds.memory = sum + spare;
        let mut most = world.taken().max(world.bounds.memory);
        let turns = (0..200).take_while(|_| {
            let goes_on = world.turn();
            // What was there when the bound came goes as others need its room, and not before.
            most = world.taken().max(world.bounds.memory).min(most);
            assert!(world.taken() <= most, "{} of {most}", world.taken());
            goes_on
        });
        prop_assert!(turns.count() < 200, "it does not end: {:?}", world.places);
        for (name, (route, _)) in world.standing.routes(&world.assignment) {
            prop_assert_eq!(world.standing.live.get(name), Some(route));
        }
        for version in bound(&world) {
            prop_assert_eq!(world.places[&version].phase, Phase::Ready, "{}", version);
        }
        // What is wanted and not loaded has no room, and says so.
        let places = world.places.clone();
        let crowded = crowded(&world.assignment, &world.standing, &places, world.bounds);
        let crowded: BTreeSet<&Version> = crowded.into_iter().map(|(version, _)| version).collect();
        let serving = Serving::of(&world.assignment, &world.standing, false);
        for version in serving.all {
            let place = &world.places[version];
            let is_ready = place.phase == Phase::Ready;
            prop_assert_eq!(!is_ready, crowded.contains(version), "{}", version);
            prop_assert!(is_ready || world.taken() + place.bytes > world.bounds.memory);
        }
    }
}

#[test]
fn what_is_kept_warm_makes_room_for_what_a_route_names() {
    use Phase::{Draining, Fetched, Ready};
    let mut standing = Standing::default();
    standing.take_up(&"pay".into(), &route(1, &[1]), None, &moment());
    let numbers = [1, 4, 2, 3];
    let assignment = Assignment {
        versions: numbers.map(|number| wanted(number, Nearness::Warm)).into(),
        endpoints: vec![endpoint("pay", route(2, &[4]))],
        ..Assignment::default()
    };
    let steps = |phases: [Phase; 4], memory: u64| -> Vec<String> {
        let places = numbers.into_iter().zip(phases);
        let places = places.map(|(number, phase)| {
            let version = version(number);
            let place = Place {
                ours: phase != Fetched,
                ..sized(&version, phase)
            };
            (version, place)
        });
        let places = places.collect();
        let bounds = Bounds {
            memory,
            ..bounds(false)
        };
        let next = next(&assignment, &standing, &places, bounds);
        let why = crowded(&assignment, &standing, &places, bounds);
        let why = why
            .into_iter()
            .map(|(version, why)| format!("{version}: {why}"));
        next.iter().map(shown).chain(why).collect()
    };
    assert_eq!(steps([Ready, Fetched, Ready, Ready], 10), ["load fraud@4"]);
    // The last of the hub's order goes first, and no more than has to.
    assert_eq!(steps([Ready, Fetched, Ready, Ready], 9), ["unload fraud@3"]);
    assert_eq!(steps([Ready, Fetched, Ready, Draining], 9), [""; 0]);
    let third = "fraud@3: no room in memory: it takes 1 MB, and of 1 MB for versions 0 MB are left";
    assert_eq!(
        steps([Ready, Fetched, Ready, Fetched], 9),
        ["load fraud@4", third]
    );
    // And does not come back while there is no room.
    assert_eq!(
        steps([Ready, Ready, Ready, Fetched], 9),
        ["take up pay", third]
    );
    let both = ["unload fraud@3", "unload fraud@2"];
    assert_eq!(steps([Ready, Fetched, Ready, Ready], 5), both);
    // Where it does not fit beside what is live, nothing goes for it.
    let fourth =
        "fraud@4: no room in memory: it takes 1 MB, and of 1 MB for versions 0 MB are left";
    assert_eq!(steps([Ready, Fetched, Ready, Ready], 4), [fourth]);
    // What serves is no matter of an estimate: it comes back whatever the bound is.
    let goes = steps([Fetched, Fetched, Draining, Draining], 0);
    assert_eq!(goes[0], "load fraud@1", "{goes:?}");
}
