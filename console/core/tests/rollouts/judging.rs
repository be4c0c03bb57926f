//! The judge over seeded runs: good versions go on, bad ones go back, looks cost nothing.

use std::sync::LazyLock;

use binnacle_core::judge::{Bounds, Counts, Evidence, Nulls, Shadow, Span, Verdict, judge};
use binnacle_core::registry::Objectives;

/// SplitMix64: seeded, and good enough to draw latencies with.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(crate) fn share(&mut self) -> f64 {
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

/// Both versions are answered by one server. Each request of the canary takes `more_ms`, and of
/// control's this share waits for one of them to end.
fn on_one_server(seed: u64, more_ms: f64, waits: f64) -> Verdict {
    let slow = Version { more_ms, ..GOOD };
    let mut dice = Dice(seed);
    let mut evidence = Evidence::default();
    for _ in 0..20 {
        let waiting = (180.0 * waits) as u32;
        let mut control = counts(&mut dice, 180 - waiting, GOOD, 0.0);
        control.merge(&counts(&mut dice, waiting, slow, 0.0));
        evidence.spans.push(Span {
            canary: counts(&mut dice, 60, slow, 0.0),
            control,
        });
    }
    judge(&bounds(), &evidence).verdict
}

#[test]
fn a_slow_version_is_caught_where_it_makes_the_tail_of_the_other_one_as_long_as_its_own() {
    for seed in 0..200 {
        assert_eq!(on_one_server(seed, 40.0, 0.3), Verdict::RollBack, "{seed}");
        // What keeps both waiting alike is no one's fault, and half as much again is no twice.
        assert_ne!(on_one_server(seed, 40.0, 1.0), Verdict::RollBack, "{seed}");
        assert_ne!(on_one_server(seed, 5.0, 0.9), Verdict::RollBack, "{seed}");
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

/// Spans of good versions, with more of something on either side.
fn spans(more: impl Fn(&mut Counts, &mut Counts)) -> Evidence {
    let mut dice = Dice(1);
    let spans = (0..12).map(|_| {
        let mut span = Span {
            canary: counts(&mut dice, 100, GOOD, 0.0),
            control: counts(&mut dice, 900, GOOD, 0.0),
        };
        more(&mut span.canary, &mut span.control);
        span
    });
    Evidence {
        spans: spans.collect(),
        ..Evidence::default()
    }
}

/// No objective: what is beside it alone says how it should be.
fn bounds() -> Bounds {
    Bounds {
        objectives: Objectives::default(),
        min_requests: 500,
    }
}

#[test]
fn answers_that_say_nothing_send_a_version_back_where_the_one_beside_it_says_something() {
    let nulls = |looked, null| Nulls { looked, null };
    let some = spans(|canary, control| {
        canary.nulls = nulls(20, 2);
        control.nulls = nulls(20, 0);
    });
    let some = judge(&bounds(), &some);
    assert_eq!(some.verdict, Verdict::RollBack, "{}", some.why);
    assert!(some.why.starts_with("null answers 10.00%"), "{}", some.why);
    let both = spans(|canary, control| {
        canary.nulls = nulls(20, 2);
        control.nulls = nulls(20, 2);
    });
    let both = judge(&bounds(), &both);
    assert_ne!(both.verdict, Verdict::RollBack, "{}", both.why);
    let none = spans(|canary, control| {
        canary.nulls = nulls(20, 0);
        control.nulls = nulls(20, 1);
    });
    assert_eq!(judge(&bounds(), &none).verdict, Verdict::Promote);
    let few = spans(|canary, _| canary.nulls = nulls(1, 1));
    let few = judge(&bounds(), &few);
    assert_ne!(few.verdict, Verdict::Promote, "{}", few.why);
    let bounded = Bounds {
        objectives: Objectives::parse(vec!["nulls<=1%".parse().unwrap()]).unwrap(),
        min_requests: 500,
    };
    let alone = spans(|canary, control| {
        canary.nulls = nulls(20, 2);
        *control = Counts::default();
    });
    let alone = judge(&bounded, &alone);
    assert_eq!(alone.verdict, Verdict::RollBack, "{}", alone.why);
    assert!(alone.why.contains("breaks nulls<=1%"), "{}", alone.why);
}

#[test]
fn a_version_that_refuses_what_the_one_beside_it_takes_goes_back_and_one_bad_client_is_not_it() {
    let all = spans(|canary, control| {
        *canary = Counts {
            refused: canary.requests(),
            ..Counts::default()
        };
        control.refused = 3;
    });
    let all = judge(&bounds(), &all);
    assert_eq!(all.verdict, Verdict::RollBack, "{}", all.why);
    assert!(all.why.contains("it takes other inputs"), "{}", all.why);
    let some = spans(|canary, _| canary.refused = 20);
    let some = judge(&bounds(), &some);
    assert_eq!(some.verdict, Verdict::Hold, "{}", some.why);
    let client = spans(|canary, control| {
        canary.refused = 200;
        control.refused = 1_800;
    });
    assert_eq!(judge(&bounds(), &client).verdict, Verdict::Promote);
}

#[test]
fn a_shadow_that_mostly_says_something_else_is_held() {
    let shadowed = |same| Evidence {
        shadow: Shadow {
            compared: 1_000,
            same,
            failed: 0,
        },
        ..Evidence::default()
    };
    let flipped = judge(&bounds(), &shadowed(20));
    assert_eq!(flipped.verdict, Verdict::Hold, "{}", flipped.why);
    assert!(flipped.why.contains("another model"), "{}", flipped.why);
    assert_eq!(judge(&bounds(), &shadowed(700)).verdict, Verdict::Promote);
}
