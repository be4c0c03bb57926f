//! What holds whatever happens, in whatever order.

use proptest::prelude::*;

use binnacle_core::endpoint::{Command, EndpointName, Fate, Route, Settings};
use binnacle_core::host::Labels;
use binnacle_core::judge::{Counts, Evidence, Judgement, Span};
use binnacle_core::name::Name;
use binnacle_core::registry::{self, Rules};
use binnacle_core::rollout::still::is_still;
use binnacle_core::rollout::{Ask, Progress, Steer, Strategy as How, Want, next, tick};
use binnacle_core::served::OverrideKind;

use crate::fleet::{Fleet, Switches};

/// Everything that can happen to a rollout.
#[derive(Clone, Debug)]
enum Event {
    Deploy(u32, &'static str, Option<u32>),
    Rollback(Option<u64>),
    Steer(Steer),
    Lift(u32),
    Follow(usize, bool),
    FollowAll,
    Break(usize, u32),
    HangUp(usize),
    Dial(usize),
    ByHand(usize),
    Reverts(usize),
    Kill,
    /// Whoever asks from now on.
    As(&'static str),
    /// Deploys need so many a yes.
    Approvals(u8),
    Tick(u32),
    Measure {
        slow: bool,
        failing: bool,
    },
}

const HOSTS: usize = 4;
const VERSIONS: u32 = 3;

fn endpoint() -> EndpointName {
    "prod/fraud".parse().unwrap()
}

fn host(n: usize) -> Name {
    Name::parse(&format!("host-{n}")).unwrap()
}

fn event() -> impl Strategy<Value = Event> {
    let strategy = prop::sample::select(vec![
        "all-at-once",
        "rolling:50%/1m",
        "canary:5%/1m,25%/1m",
        "blue-green:1m",
        "shadow:20%/1m,5%/1m",
    ]);
    let steer = prop::sample::select(vec![
        Steer::Pause,
        Steer::Resume,
        Steer::Abort,
        Steer::Confirm,
        Steer::Approve,
        Steer::Reject,
    ]);
    let confirm = prop::option::of(prop::sample::select(vec![0, 30, 600]));
    prop_oneof![
        4 => (1..=VERSIONS, strategy, confirm).prop_map(|(v, how, c)| Event::Deploy(v, how, c)),
        2 => prop::option::of(1..6u64).prop_map(Event::Rollback),
        3 => steer.prop_map(Event::Steer),
        1 => (1..=VERSIONS).prop_map(Event::Lift),
        4 => (0..HOSTS, any::<bool>()).prop_map(|(n, whole)| Event::Follow(n, whole)),
        8 => Just(Event::FollowAll),
        1 => (0..HOSTS, 1..=VERSIONS).prop_map(|(n, v)| Event::Break(n, v)),
        1 => (0..HOSTS).prop_map(Event::HangUp),
        2 => (0..HOSTS).prop_map(Event::Dial),
        1 => (0..HOSTS).prop_map(Event::ByHand),
        1 => (0..HOSTS).prop_map(Event::Reverts),
        1 => Just(Event::Kill),
        2 => prop::sample::select(vec!["alice", "bob", "chen"]).prop_map(Event::As),
        1 => (0..3u8).prop_map(Event::Approvals),
        8 => prop::sample::select(vec![1, 30, 61, 400]).prop_map(Event::Tick),
        4 => (any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(slow, failing)| Event::Measure { slow, failing }),
    ]
}

fn fleet() -> Fleet {
    let mut fleet = Fleet::new();
    for n in 0..HOSTS {
        fleet.admit("prod", &format!("host-{n}"), Labels::default());
    }
    fleet.model(&Name::parse("fraud").unwrap(), VERSIONS as usize);
    fleet
        .command(Command::Create(endpoint(), Settings::default()), "")
        .unwrap();
    fleet
}

fn take(fleet: &mut Fleet, event: &Event) {
    let version = |number: u32| format!("fraud@{number}").parse().unwrap();
    let ask = |want, strategy: Option<How>, confirm_within_s| Ask {
        endpoint: endpoint(),
        want,
        strategy,
        confirm_within_s,
        keeps_sticky: false,
    };
    match event {
        Event::Deploy(number, how, confirm) => {
            let want = Want::Deploy(Route::whole(version(*number)));
            let _refused = fleet.run(&ask(want, Some(how.parse().unwrap()), *confirm), "");
        }
        Event::Rollback(to) => {
            let _refused = fleet.run(&ask(Want::Rollback(*to), None, None), "bad");
        }
        Event::Steer(steer) => {
            let _refused = fleet.command(Command::Steer(endpoint(), None, *steer), "so");
        }
        Event::Lift(number) => {
            let _refused = fleet.command(Command::Lift(endpoint(), version(*number)), "so");
        }
        Event::As(who) => fleet.becomes(who),
        Event::Approvals(approvals) => {
            let rules = Rules {
                approvals: *approvals,
                ..Rules::default()
            };
            let environment = endpoint().environment;
            let set = registry::Command::SetEnvironment(environment, rules);
            fleet.registry(set, "").unwrap();
        }
        Event::Follow(n, switches) => {
            let switches = if *switches {
                Switches::Yes
            } else {
                Switches::No
            };
            fleet.follow(&host(*n), switches);
        }
        Event::FollowAll => (0..HOSTS).for_each(|n| fleet.follow(&host(n), Switches::Yes)),
        Event::Break(n, number) => {
            let host = fleet.hosts.get_mut(&host(*n)).unwrap();
            host.broken.insert(version(*number), "broken".into());
        }
        Event::HangUp(n) => fleet.hang_up(&host(*n)),
        Event::Dial(n) => fleet.dial(&host(*n)),
        Event::ByHand(n) => {
            fleet.decide_alone(&host(*n), &endpoint(), OverrideKind::ByHand, "by hand");
        }
        Event::Reverts(n) => {
            fleet.decide_alone(&host(*n), &endpoint(), OverrideKind::Unconfirmed, "");
        }
        Event::Kill => fleet.kill(),
        Event::Tick(seconds) => drop(fleet.tick(*seconds)),
        Event::Measure { slow, failing } => measure(fleet, *slow, *failing),
    }
}

fn measure(fleet: &mut Fleet, slow: bool, failing: bool) {
    let stamp = fleet.state.endpoints.get(&endpoint()).unwrap().stamp;
    let counts = |ms: u64, errors: u64| Counts {
        errors,
        latency: (0..200).map(|n| (ms * 1_000_000 + n * 50_000, 3)).collect(),
        ..Counts::default()
    };
    let span = Span {
        canary: counts(if slow { 60 } else { 10 }, if failing { 40 } else { 0 }),
        control: counts(10, 0),
    };
    let evidence: &mut Evidence = fleet.evidence.entry((endpoint(), stamp)).or_default();
    evidence.spans.push(span);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_unsafe_is_ever_wanted_and_the_state_is_its_journal_replayed(
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut fleet = fleet();
        for event in &events {
            take(&mut fleet, event);
            prop_assert_eq!(fleet.unsafe_wish(), None, "after {:?}", event);
            prop_assert_eq!(fleet.unready_route(), None, "after {:?}", event);
        }
        prop_assert_eq!(&fleet.replayed(), &fleet.state);
    }

    #[test]
    fn every_rollout_ends_by_itself_whatever_happened_before(
        events in prop::collection::vec(event(), 0..60), heard: bool,
    ) {
        let mut fleet = fleet();
        for event in &events {
            take(&mut fleet, event);
        }
        // Nobody says anything any more: the longest way to an end is every step held and then
        // taken back, some hours each. What nobody approves waits for three days before.
        fleet.tick(72 * 3_600);
        for _ in 0..60 {
            if heard {
                (0..HOSTS).for_each(|n| fleet.follow(&host(n), Switches::Yes));
            }
            fleet.tick(600);
        }
        let endpoint = fleet.state.endpoints.get(&endpoint()).unwrap();
        prop_assert!(endpoint.rollout.is_none(), "{:?}", endpoint.rollout);
        let underway = |revision: &&std::sync::Arc<_>| {
            let revision: &binnacle_core::endpoint::Revision = revision;
            revision.fate == Fate::Underway
        };
        prop_assert_eq!(endpoint.revisions.iter().find(underway), None);
    }

    #[test]
    fn where_a_look_is_left_out_it_would_have_come_to_nothing(
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut fleet = fleet();
        for event in &events {
            take(&mut fleet, event);
            let (state, observed) = (&fleet.state, &fleet.observed);
            let evidence = |endpoint: &EndpointName, stamp| {
                fleet.evidence.get(&(endpoint.clone(), stamp))
            };
            let judgements = tick::judged(state, evidence);
            for (endpoint, rollout) in state.endpoints.underway() {
                let key = (endpoint.name.clone(), endpoint.stamp);
                let none = Judgement::none();
                let judgement = judgements.get(&key).unwrap_or(&none);
                for later_s in [0, 1, 61, 400, 8_000] {
                    let now_us = fleet.now_us + later_s * 1_000_000;
                    if !is_still((state, observed), endpoint, rollout, judgement, now_us) {
                        continue;
                    }
                    let progress = Progress::of(state, observed, endpoint, rollout);
                    prop_assert_eq!(next(rollout, &progress, judgement, now_us), None);
                }
            }
        }
    }

    #[test]
    fn generations_only_grow_and_stamps_with_them(
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut fleet = fleet();
        let mut last = [(0, Default::default()); HOSTS];
        for event in &events {
            take(&mut fleet, event);
            for (n, last) in last.iter_mut().enumerate() {
                let wanted = fleet.wanted(&host(n)).unwrap();
                prop_assert!(wanted.generation >= last.0);
                let stamp = fleet.state.endpoints.get(&endpoint()).unwrap().stamp;
                prop_assert!(stamp >= last.1);
                *last = (wanted.generation, stamp);
            }
        }
    }
}
