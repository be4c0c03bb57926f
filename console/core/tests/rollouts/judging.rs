//! The judge over seeded runs: good versions go on, bad ones go back, looks cost nothing.

use std::sync::LazyLock;

use binnacle_core::judge::{Bounds, Counts, Evidence, Span, Verdict, judge};
use binnacle_core::registry::Objectives;

/// SplitMix64: seeded, and good enough to draw latencies with.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Around 10 ms with the long tail that services have.
    fn latency_ns(&mut self, table: &[f64], more_ms: f64) -> u64 {
        let place = (self.share() * table.len() as f64) as usize;
        ((table[place] + more_ms) * 1e6) as u64
    }
}

/// Latencies in milliseconds to draw from: the sum of twelve shares is as good as normal.
fn table() -> Vec<f64> {
    let mut dice = Dice(7);
    let mut normal = || (0..12).map(|_| dice.share()).sum::<f64>() - 6.0;
    (0..1 << 14)
        .map(|_| 10.0 * (0.5 * normal()).exp())
        .collect()
}

/// A version under load.
#[derive(Clone, Copy)]
struct Version {
    more_ms: f64,
    errors: f64,
}

const GOOD: Version = Version {
    more_ms: 0.0,
    errors: 0.001,
};

fn counts(dice: &mut Dice, requests: u32, version: Version, stall_ms: f64) -> Counts {
    static TABLE: LazyLock<Vec<f64>> = LazyLock::new(table);
    let mut counts = Counts::default();
    for _ in 0..requests {
        if dice.share() < version.errors {
            counts.errors += 1;
        } else {
            // Resolved coarser than the sketch does, which is the harder case.
            let ns = dice.latency_ns(&TABLE, version.more_ms + stall_ms);
            *counts.latency.entry(ns >> 18 << 18).or_default() += 1;
        }
    }
    counts
}

/// What became of a canary with a tenth of the requests, looked at twice a minute.
fn rollout(seed: u64, canary: Version, spans: usize) -> (Verdict, usize) {
    let mut dice = Dice(seed);
    let bounds = Bounds {
        objectives: Objectives::parse(vec!["errors<=2%".parse().unwrap()]).unwrap(),
        min_requests: 500,
    };
    let mut evidence = Evidence::default();
    let mut finding = judge(&bounds, &evidence);
    for at in 0..spans {
        // Now and then everything stands still for a moment, whatever the version.
        let stall_ms = if dice.share() < 0.05 { 40.0 } else { 0.0 };
        evidence.spans.push(Span {
            canary: counts(&mut dice, 40, canary, stall_ms),
            control: counts(&mut dice, 360, GOOD, stall_ms),
        });
        if at % 3 != 2 {
            continue;
        }
        finding = judge(&bounds, &evidence);
        if finding.verdict == Verdict::RollBack {
            return (finding.verdict, at + 1);
        }
    }
    (finding.verdict, spans)
}

#[test]
fn no_more_than_one_in_two_hundred_good_versions_is_rolled_back_however_often_one_looks() {
    const RUNS: u64 = 10_000;
    let (mut back, mut promoted) = (0, 0);
    for seed in 0..RUNS {
        match rollout(seed, GOOD, 15).0 {
            Verdict::RollBack => back += 1,
            Verdict::Promote => promoted += 1,
            Verdict::Hold | Verdict::Inconclusive { .. } => {}
        }
    }
    println!("{RUNS} good versions: {back} rolled back, {promoted} promoted");
    assert!(back * 200 <= RUNS, "{back} of {RUNS} were rolled back");
    assert!(
        promoted * 10 >= RUNS * 8,
        "only {promoted} of {RUNS} were promoted"
    );
}

#[test]
fn versions_that_are_worse_by_what_matters_are_caught_and_soon() {
    let slow = Version {
        more_ms: 50.0,
        ..GOOD
    };
    let failing = Version {
        errors: 0.05,
        ..GOOD
    };
    for (what, bad) in [("50 ms more", slow), ("5% errors", failing)] {
        const RUNS: u64 = 500;
        let runs: Vec<_> = (0..RUNS).map(|seed| rollout(seed, bad, 60)).collect();
        let caught = runs
            .iter()
            .filter(|(verdict, _)| *verdict == Verdict::RollBack)
            .count();
        let mut looks: Vec<_> = runs.iter().map(|(_, looks)| *looks).collect();
        looks.sort_unstable();
        let median = looks[looks.len() / 2];
        println!(
            "{what}: {caught} of {RUNS} caught, half of them within {} s",
            median * 10
        );
        assert_eq!(caught as u64, RUNS, "{what}");
    }
}

#[test]
fn a_version_that_is_worse_is_never_promoted_on_the_way() {
    let slow = Version {
        more_ms: 50.0,
        ..GOOD
    };
    for seed in 0..200 {
        for spans in [3, 6] {
            assert_ne!(rollout(seed, slow, spans).0, Verdict::Promote);
        }
    }
}

#[test]
fn no_data_means_hold_and_too_little_is_told_by_how_much() {
    let bounds = Bounds {
        objectives: Objectives::default(),
        min_requests: 500,
    };
    let nothing = judge(&bounds, &Evidence::default());
    assert_eq!(nothing.verdict, Verdict::Hold);
    let mut dice = Dice(1);
    let span = Span {
        canary: counts(&mut dice, 100, GOOD, 0.0),
        control: counts(&mut dice, 900, GOOD, 0.0),
    };
    let few = Evidence {
        spans: vec![span],
        ..Evidence::default()
    };
    let few = judge(&bounds, &few);
    assert_eq!(
        few.verdict,
        Verdict::Inconclusive {
            seen: 100,
            need: 500
        },
        "{few:?}"
    );
}

#[test]
fn what_both_versions_break_is_not_the_new_ones_fault() {
    let bounds = Bounds {
        objectives: Objectives::parse(vec!["p99<=5ms".parse().unwrap()]).unwrap(),
        min_requests: 500,
    };
    let mut dice = Dice(1);
    let span = |canary, control, dice: &mut Dice| Span {
        canary: counts(dice, canary, GOOD, 0.0),
        control: counts(dice, control, GOOD, 0.0),
    };
    let both = Evidence {
        spans: (0..20).map(|_| span(100, 900, &mut dice)).collect(),
        ..Evidence::default()
    };
    let both = judge(&bounds, &both);
    assert_eq!(both.verdict, Verdict::Hold, "{}", both.why);
    let alone = Evidence {
        spans: (0..20).map(|_| span(100, 0, &mut dice)).collect(),
        ..Evidence::default()
    };
    let alone = judge(&bounds, &alone);
    assert_eq!(alone.verdict, Verdict::RollBack, "{}", alone.why);
}
