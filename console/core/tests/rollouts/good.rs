//! Ten thousand rollouts of good versions through the whole machine: plan, steps, judge, verdicts,
//! over traffic as services have it. Seeded, so that the same runs come out each time.
//!
//! Latencies are log-normal. What disturbs a machine disturbs both versions: a drift that goes on
//! from minute to minute, moments in which everything stands still, spells of errors. Beside that
//! the new version has a drift of its own, as another process has. None of it is its fault.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use binnacle_core::endpoint::{Command, EndpointName, Fate, Policy, Route, Settings};
use binnacle_core::host::Labels;
use binnacle_core::judge::{Counts, Span, Verdict};
use binnacle_core::name::Name;
use binnacle_core::registry::Objectives;
use binnacle_core::rollout::{Ask, Phase, Stage, Want, tick};

use crate::fleet::{Fleet, Switches};
use crate::judging::Dice;

const RUNS: u64 = 10_000;
/// Hosts of the endpoint.
const HOSTS: usize = 2;
/// Buckets to an octave of latency: coarser than what is really measured, which is harder.
const BUCKETS: f64 = 16.0;
/// What latencies lie around.
const MIDDLE_NS: f64 = 1e7;
/// A moment in which everything stands still.
const STALL_NS: f64 = 4e7;
/// Seconds between looks, of three spans.
const LOOK_S: u32 = 15;
/// Looks after which a rollout that was not decided is left: more would find what these did not.
const LOOKS: usize = 60;

/// Draws from a log-normal distribution, as places of buckets: as they are, and stalled.
static DRAWS: LazyLock<Vec<(i32, i32)>> = LazyLock::new(|| {
    let mut dice = Dice(7);
    let place = |ns: f64| ((ns / MIDDLE_NS).log2() * BUCKETS).round() as i32;
    (0..1 << 14)
        .map(|_| {
            let ns = MIDDLE_NS * (0.5 * normal(&mut dice)).exp();
            (place(ns), place(ns + STALL_NS))
        })
        .collect()
});

/// The sum of twelve shares is as good as normal.
fn normal(dice: &mut Dice) -> f64 {
    (0..12).map(|_| dice.share()).sum::<f64>() - 6.0
}

/// The traffic of one rollout, and what disturbs it.
struct Traffic {
    dice: Dice,
    /// Requests in a span, of all versions.
    requests: f64,
    errors: f64,
    /// In buckets, of the machine, and of the new version alone.
    drift: f64,
    own: f64,
}

impl Traffic {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x5851_F42D_4C95_7F2D));
        Self {
            requests: 300.0 * (1.5 * dice.share()).exp(),
            errors: [0.0, 0.001, 0.005, 0.01][dice.next() as usize % 4],
            drift: 0.0,
            own: 0.0,
            dice,
        }
    }

    /// Five seconds of both versions; the new one has a share of the requests.
    fn span(&mut self, share: f64) -> Span {
        // What was so a span ago is mostly so still: a minute forgets some of it.
        self.drift = 0.9 * self.drift + 1.0 * normal(&mut self.dice);
        self.own = 0.9 * self.own + 0.3 * normal(&mut self.dice);
        let stalled = if self.dice.share() < 0.05 { 0.2 } else { 0.0 };
        let failing = if self.dice.share() < 0.02 { 0.03 } else { 0.0 };
        let all = self.requests * (0.2 * normal(&mut self.dice)).exp();
        let canary = (all * share).round() as u32;
        let control = (all - f64::from(canary)).max(0.0) as u32;
        let drift = self.drift;
        Span {
            canary: self.counts(canary, drift + self.own, (stalled, failing)),
            control: self.counts(control, drift, (stalled, failing)),
        }
    }

    fn counts(&mut self, requests: u32, drift: f64, (stalled, failing): (f64, f64)) -> Counts {
        let mut places: BTreeMap<i32, u64> = BTreeMap::new();
        let mut errors = 0;
        let (drift, stalls) = (drift.round() as i32, (stalled * 1_024.0) as u64);
        let fails = ((self.errors + failing) * 4_294_967_296.0) as u64;
        for _ in 0..requests {
            let drawn = self.dice.next();
            if drawn >> 32 < fails {
                errors += 1;
                continue;
            }
            let (plain, stalled) = DRAWS[drawn as usize % DRAWS.len()];
            let is_stalled = (drawn >> 14) % 1_024 < stalls;
            *places
                .entry(drift + if is_stalled { stalled } else { plain })
                .or_default() += 1;
        }
        let ns = |place: i32| (MIDDLE_NS * (f64::from(place) / BUCKETS).exp2()) as u64;
        Counts {
            errors,
            latency: places
                .into_iter()
                .map(|(at, count)| (ns(at), count))
                .collect(),
            ..Counts::default()
        }
    }
}

fn endpoint() -> EndpointName {
    "prod/fraud".parse().unwrap()
}

/// A fleet that serves the first version, and has another one registered.
fn fleet() -> Fleet {
    let mut fleet = Fleet::new();
    for n in 0..HOSTS {
        fleet.admit("prod", &format!("host-{n}"), Labels::default());
    }
    fleet.model(&Name::parse("fraud").unwrap(), 2);
    let settings = Settings {
        objectives: Objectives::parse(vec!["errors<=5%".parse().unwrap()]).unwrap(),
        policy: Policy {
            min_requests: 500,
            ..Policy::default()
        },
        ..Settings::default()
    };
    fleet
        .command(Command::Create(endpoint(), settings), "")
        .unwrap();
    deploy(&mut fleet, 1, "all-at-once");
    for _ in 0..4 {
        follow(&mut fleet);
        fleet.tick(1);
    }
    assert_eq!(fleet.state.endpoints.get(&endpoint()).unwrap().live, 1);
    fleet
}

fn deploy(fleet: &mut Fleet, version: u32, strategy: &str) {
    let ask = Ask {
        endpoint: endpoint(),
        want: Want::Deploy(Route::whole(format!("fraud@{version}").parse().unwrap())),
        strategy: Some(strategy.parse().unwrap()),
        confirm_within_s: Some(0),
        keeps_sticky: false,
    };
    fleet.run(&ask, "").unwrap();
}

fn follow(fleet: &mut Fleet) {
    for name in fleet.heard() {
        fleet.follow(&name, Switches::Yes);
    }
}

/// What becomes of a good version.
#[derive(Debug, PartialEq)]
enum Ended {
    Promoted,
    /// The judge sent it back, and why.
    Back(String),
    /// It was held for as long as it was watched.
    Held,
}

fn rollout(base: &Fleet, seed: u64) -> Ended {
    let (mut fleet, mut traffic) = (base.clone(), Traffic::new(seed));
    let strategies = [
        "canary:10%/1m",
        "canary:5%/1m,25%/1m",
        "canary:20%/2m",
        "blue-green:1m",
    ];
    deploy(&mut fleet, 2, strategies[seed as usize % strategies.len()]);
    for _ in 0..LOOKS {
        follow(&mut fleet);
        let one = fleet.state.endpoints.get(&endpoint()).unwrap().clone();
        let Some(rollout) = &one.rollout else {
            return match &one.revision(2).unwrap().fate {
                Fate::Promoted => Ended::Promoted,
                Fate::RolledBack(why) | Fate::Aborted(why) => Ended::Back(why.to_string()),
                Fate::Underway => Ended::Held,
            };
        };
        if !tick::is_watched(&rollout.phase) {
            fleet.tick(1);
            continue;
        }
        let parts = rollout.step().unwrap().route.parts();
        let new = "fraud@2".parse().unwrap();
        let weight = parts.versions.iter().find(|split| split.version == new);
        let share = f64::from(weight.map_or(0, |split| split.weight)) / 10_000.0;
        let evidence = fleet.evidence.entry((endpoint(), one.stamp)).or_default();
        evidence.spans.extend((0..3).map(|_| traffic.span(share)));
        fleet.tick(LOOK_S);
    }
    Ended::Held
}

#[test]
fn ten_thousand_good_rollouts_are_promoted_and_hardly_one_goes_back() {
    let base = fleet();
    let (mut promoted, mut held, mut back) = (0, 0, Vec::new());
    for seed in 0..RUNS {
        match rollout(&base, seed) {
            Ended::Promoted => promoted += 1,
            Ended::Held => held += 1,
            Ended::Back(why) => back.push(format!("{seed}: {why}")),
        }
    }
    println!(
        "{RUNS} good versions: {promoted} promoted, {held} held, {} back",
        back.len()
    );
    back.iter().take(20).for_each(|why| println!("{why}"));
    assert!(back.len() as u64 * 200 <= RUNS, "{} of {RUNS}", back.len());
    assert!(
        promoted * 10 >= RUNS * 9,
        "only {promoted} of {RUNS} were promoted"
    );
}

#[test]
fn the_same_seed_is_the_same_rollout() {
    let base = fleet();
    for seed in 0..20 {
        assert_eq!(rollout(&base, seed), rollout(&base, seed));
    }
}

#[test]
fn with_no_traffic_it_stands_still_and_says_what_it_needs() {
    let mut fleet = fleet();
    deploy(&mut fleet, 2, "canary:10%/1m");
    for _ in 0..20 {
        follow(&mut fleet);
        // It is looked, and nothing is seen.
        let stamp = fleet.state.endpoints.get(&endpoint()).unwrap().stamp;
        fleet.evidence.entry((endpoint(), stamp)).or_default();
        fleet.tick(LOOK_S);
    }
    let one = fleet.state.endpoints.get(&endpoint()).unwrap();
    let rollout = one.rollout.as_ref().unwrap();
    let is_judging = matches!(rollout.phase, Phase::Step(_, Stage::Judging));
    assert!(is_judging, "{}", rollout.phase);
    let last = rollout.trail.iter().next_back().unwrap();
    let finding = last.moved.finding.as_ref().unwrap();
    assert_eq!(finding.verdict, Verdict::Hold);
    assert_eq!(&*finding.why, "no request of the new version was seen");
}
