//! Distances and evidence against those of numpy and scipy, which tests/data/drift/make.py made;
//! and the bound on false alarms, in a simulation that is small enough for every run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on fails

use std::sync::Arc;

use binnacle_core::drift::{Bounds, Experts, Null, Stream, Tolerance};
use binnacle_sketch::profile::{
    BINS, Bins, Column, Compared, Field, Found, Gather, Kind, Profile, Ties, compare, gaps, ks,
    psi, wasserstein,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    distances: Vec<Distances>,
    evidence: Vec<Evidence>,
}

#[derive(Deserialize)]
struct Distances {
    reference: Vec<f64>,
    live: Vec<f64>,
    edges: Vec<f64>,
    gaps: [u32; BINS],
    counts: [u64; BINS],
    psi: f64,
    chance: [f64; 2],
    ks: f64,
    wasserstein: f64,
    between: f64,
}

#[derive(Deserialize)]
struct Evidence {
    m: u32,
    batches: Vec<[u64; BINS]>,
    means: Vec<[f64; 2]>,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../../../tests/data/drift/golden.json")).unwrap()
}

fn profile(values: &[f64]) -> Profile {
    let field = Field {
        name: "x".into(),
        kind: Kind::Number,
    };
    let mut gather = Gather::new(1, vec![field]).unwrap();
    let column = Column::Numbers { values, nulls: 0 };
    gather.block(values.len(), &[column], None);
    gather.finish()
}

#[track_caller]
fn near(found: f64, expected: f64) {
    let off = (found - expected).abs();
    assert!(
        off <= 1e-9 * (1.0 + expected.abs()),
        "{found} is not {expected}"
    );
}

#[test]
fn bins_and_distances_are_those_of_numpy_and_scipy() {
    for case in golden().distances {
        let reference = profile(&case.reference);
        let Found::Numbers(numbers) = &reference.features[0].found else {
            panic!("numbers")
        };
        let edges = numbers.bins.edges().map(|edge| edge.x);
        assert_eq!(edges[..], case.edges[..]);
        assert_eq!(numbers.bins.gaps(), case.gaps);
        let mut counts = [0; BINS];
        case.live
            .iter()
            .for_each(|x| counts[numbers.bins.bin(*x, 0.5)] += 1);
        assert_eq!(counts, case.counts);
        let (shares, m) = (numbers.bins.shares(), numbers.bins.sampled());
        let live = counts.map(|n| n as f64);
        let found = psi(&shares, m, &live).unwrap();
        near(found.value, case.psi);
        // The interval's χ² is an approximation, to a hundredth.
        for (found, expected) in [found.chance_low, found.chance_high]
            .iter()
            .zip(case.chance)
        {
            assert!((found / expected - 1.0).abs() < 0.01, "{found} {expected}");
        }
        near(ks(&shares, m, &live).unwrap().value, case.ks);
        let moved = wasserstein(&numbers.quantiles, numbers.sd, &shares, &live).unwrap();
        near(moved, case.wasserstein);
        let Compared::Distances(apart) = &compare(&reference, &profile(&case.live))[0].compared
        else {
            panic!("distances")
        };
        near(apart.wasserstein.unwrap(), case.between);
    }
}

fn null(m: u32) -> Null {
    let experts = Arc::new(Experts::of_features());
    Null {
        tolerance: Arc::new(Tolerance::new(&experts, Bounds::of_feature())),
        experts,
        gaps: Some(gaps(m).to_vec()),
    }
}

#[test]
fn evidence_of_both_gates_is_that_of_the_same_formulas_in_numpy() {
    for case in golden().evidence {
        let null = null(case.m);
        let mut stream = Stream::new(&null.experts);
        for (tick, (counts, means)) in (1..).zip(case.batches.iter().zip(case.means)) {
            stream.step(tick, &null, counts).unwrap();
            let found = stream.evidence(&null);
            let [exact, practical] = means;
            // A relative error: evidence grows over many orders of magnitude.
            near(found.exact.unwrap() / exact, 1.0);
            near(found.practical / practical, 1.0);
        }
    }
}

#[test]
fn alarms_without_a_change_stay_below_their_bound() {
    const THRESHOLD: f64 = 200.0;
    const STEPS: u32 = 1_500;
    const STREAMS: u64 = 12;
    for (m, most) in [(50, 0.9), (500, 1.0), (5_000, 1.0)] {
        let null = null(m);
        let mut alarms = 0;
        for seed in 0..STREAMS {
            let ties = Ties::new(seed, "validity");
            let mut values: Vec<(f64, f64)> =
                (0..u64::from(m)).map(|at| (ties.at(at), 0.5)).collect();
            let bins = Bins::of(&mut values);
            let mut stream = Stream::new(&null.experts);
            for step in 1..=STEPS {
                let mut counts = [0; BINS];
                for at in 0..16 {
                    let draw = 1_000_000 + u64::from(step) * 16 + at;
                    counts[bins.bin(ties.at(draw), 0.5)] += 1;
                }
                stream.step(step, &null, &counts).unwrap();
                if stream.evidence(&null).exact.unwrap() >= THRESHOLD {
                    alarms += 1;
                    stream.reset();
                }
            }
        }
        let bound = STREAMS as f64 * f64::from(STEPS) / THRESHOLD;
        let ratio = f64::from(alarms) / bound;
        assert!(
            ratio > 0.1 && ratio <= most,
            "m = {m}: {alarms} alarms, bound {bound}"
        );
    }
}
