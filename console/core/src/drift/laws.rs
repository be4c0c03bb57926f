//! What holds of every stream: expectations by enumeration, and what no input can do.

use std::sync::Arc;

use binnacle_sketch::profile::BINS;
use proptest::prelude::*;

use super::stream::{log_polya, weigh};
use super::*;
use crate::packed::{Packed as _, Packer, Unpacker};

fn null(gaps: &[u32]) -> Null {
    let experts = Arc::new(Experts::of_features());
    Null {
        tolerance: Arc::new(Tolerance::new(&experts, Bounds::of_feature())),
        experts,
        gaps: Some(gaps.to_vec()),
    }
}

/// Calls `with` for every way in which `n` values fall into `bins` bins, and the number of orders
/// in which they may.
fn each(n: u64, bins: usize, with: &mut impl FnMut(&[u64], f64)) {
    fn go(
        rest: u64,
        counts: &mut Vec<u64>,
        orders: f64,
        bins: usize,
        with: &mut impl FnMut(&[u64], f64),
    ) {
        if counts.len() + 1 == bins {
            counts.push(rest);
            with(counts, orders);
            counts.pop();
            return;
        }
        let mut ways = 1.0;
        for count in 0..=rest {
            counts.push(count);
            go(rest - count, counts, orders * ways, bins, with);
            counts.pop();
            ways *= (rest - count) as f64 / (count + 1) as f64;
        }
    }
    go(n, &mut Vec::new(), 1.0, bins, with);
}

/// What each expert's E comes to over all counts of `n` values, under gate A's null.
fn expected_of_exact(null: &Null, seen: &[u64], n: u64) -> Vec<f64> {
    let mut expected = vec![0.0; null.experts.len()];
    let gaps = null.gaps.as_ref().unwrap();
    let mut all = 0.0;
    each(n, null.experts.bins(), &mut |counts, orders| {
        let Ok(log_null) = log_polya(gaps, seen, counts) else {
            return;
        };
        let mut gains = vec![-log_null; expected.len()];
        weigh(&mut gains, null.experts.columns(), counts);
        let chance = orders * log_null.exp();
        all += chance;
        for (expected, gain) in expected.iter_mut().zip(gains) {
            *expected += chance * gain.exp();
        }
    });
    assert!((all - 1.0).abs() < 1e-9, "the urn's law adds up to {all}");
    expected
}

#[test]
fn under_gate_a_evidence_is_expected_to_stay_after_anything_that_came_before() {
    let tiny: [u32; BINS] = std::array::from_fn(|bin| u32::from(bin == 4 || bin > 16));
    let even = [3; BINS];
    let mut seen = [0; BINS];
    for (gaps, before) in [(tiny, 0), (tiny, 7), (even, 0), (even, 1_000)] {
        seen[18] = before;
        seen[4] = before / 3;
        for expected in expected_of_exact(&null(&gaps), &seen, 3) {
            assert!(expected <= 1.0 + 1e-9, "{expected}");
        }
    }
}

#[test]
fn a_two_valued_signal_keeps_the_same_law() {
    for (rows, on) in [(40, 0), (40, 5), (40, 35), (0, 0), (1, 1)] {
        let share = Share::new(rows, on, 1, "x");
        for n in [1, 5, 30] {
            for expected in expected_of_exact(share.null(), &[3, 1], n) {
                assert!((expected - 1.0).abs() < 1e-9, "{rows} {on} {n}: {expected}");
            }
        }
    }
}

#[test]
fn under_gate_b_evidence_is_expected_to_fall_for_every_share_within_the_box() {
    // Two and three values at once, from shares at the corners of the box.
    let null = null(&[3; BINS]);
    for corner in 0..8_usize {
        let high = |bin: usize| (bin >> (corner % 3)) & 1 == corner / 3 % 2;
        let p: Vec<f64> = (0..BINS)
            .map(|bin| if high(bin) { 0.055 } else { 0.045 })
            .collect();
        let all: f64 = p.iter().sum();
        let p: Vec<f64> = p.iter().map(|p| p / all).collect();
        if !null.tolerance.bounds().hold(&p) {
            continue;
        }
        let mut expected = vec![0.0; null.experts.len()];
        each(2, BINS, &mut |counts, orders| {
            let chance = counts
                .iter()
                .zip(&p)
                .map(|(n, p)| p.powi(*n as i32))
                .product::<f64>();
            let mut gains = vec![0.0; expected.len()];
            weigh(&mut gains, null.tolerance.columns(), counts);
            for (expected, gain) in expected.iter_mut().zip(gains) {
                *expected += orders * chance * gain.exp();
            }
        });
        for (at, expected) in expected.iter().enumerate() {
            assert!(*expected <= 1.0 + 1e-9, "{corner} {at}: {expected}");
        }
    }
}

#[test]
fn a_stream_takes_at_most_four_kilobytes_and_is_read_as_it_was_written() {
    let null = null(&[50; BINS]);
    let mut stream = Stream::new(&null.experts);
    for tick in 1..50 {
        let counts: [u64; BINS] = std::array::from_fn(|bin| u64::from(bin as u32 > tick % 17));
        stream.step(tick, &null, &counts).unwrap();
    }
    assert!(stream.bytes() <= 4_096, "{}", stream.bytes());
    let written = |stream: &Stream| {
        let mut packer = Packer::default();
        stream.pack(&mut packer);
        Stream::unpack(&mut Unpacker::new(&packer.bytes)).unwrap()
    };
    let back = written(&stream);
    assert!(back == stream, "every bit");
    stream.reset();
    assert!(written(&stream) == stream, "also without evidence");
    assert!(back.fits(&null.experts) && !back.fits(&Experts::of_share(0.1)));
}

#[test]
fn counts_that_the_reference_leaves_no_room_for_change_nothing() {
    let mut gaps = [1; BINS];
    gaps[7] = 0;
    let null = null(&gaps);
    let mut stream = Stream::new(&null.experts);
    let mut counts = [1; BINS];
    let refused = stream.step(1, &null, &counts).unwrap_err();
    assert_eq!((refused.bin, refused.count), (7, 1));
    assert_eq!(stream, Stream::new(&null.experts));
    counts[7] = 0;
    stream.step(1, &null, &counts).unwrap();
    assert_eq!(stream.observations(), 19);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_counts_make_evidence_anything_but_a_number(
        gaps in prop::collection::vec(1_u32..100_000, BINS),
        batches in prop::collection::vec(prop::collection::vec(
            prop_oneof![3 => 0_u64..9, 1 => Just(u64::MAX), 1 => 0_u64..1 << 50], BINS), 1..9),
    ) {
        let null = null(&gaps);
        let mut stream = Stream::new(&null.experts);
        for (tick, counts) in (1..).zip(&batches) {
            stream.step(tick, &null, counts).unwrap();
            let evidence = stream.evidence(&null);
            prop_assert!(evidence.agreed().is_finite() && evidence.agreed() >= 0.0);
            prop_assert!(evidence.age.is_finite() && evidence.best < 193);
            prop_assert!(stream.fits(&null.experts));
        }
    }
}
