//! Two samples of a fixed size held against each other, by the ranks of one in the other.
//!
//! Four scores tell level, spread, lean and peak apart: `S_d = Σ P_d(2u − 1) / √(n (1 + n/m))` with
//! Legendre's polynomials (Neyman 1937), u the rank of a value among the m of the other sample.
//! Ranks are known to their bin, so each score is centred and scaled by what the bins have.
//!
//! - A canary is held against the control of the same minutes ([`Side`](super::Side)).
//! - A version that begins to serve is held against its reference, at a level that is taken out
//!   of the budget.

use binnacle_sketch::profile::BINS;
use serde::Serialize;

use super::experts::legendre;
use super::special::normal_above;

/// Scores: d = 1 … 4.
pub const DEGREES: usize = 4;
/// Live values of a version at which it is held against its reference, or against another version.
pub const LOOKS: [u64; 3] = [500, 2_000, 10_000];
/// Values of a reference below which the normal law of the scores is too rough for the levels
/// that a budget leaves.
pub const LEAST_REFERENCE: u32 = 200;

/// What two samples have against being one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Apart {
    /// The feature that lies farthest apart, by its place.
    pub feature: usize,
    /// By which score, from 1.
    pub degree: usize,
    /// That score: standard normal without a difference.
    pub score: f64,
    /// How often chance alone shows as much in any feature.
    pub p: f64,
}

/// The four scores of these counts against shares that `m` values stand behind.
pub fn scores(shares: &[f64; BINS], m: f64, counts: &[u64; BINS]) -> [f64; DEGREES] {
    let n = sum(counts);
    if n <= 0.0 || m <= 0.0 {
        return [0.0; DEGREES];
    }
    scaled(shares, counts, n * (1.0 + n / m))
}

/// The four scores of these counts beside others, by the ranks of both together: also where one
/// of the two has a single value. `S_d = Σ P_d(2u − 1) / √(n m / (n + m − 1) · σ_d²)`, which is
/// what dealing the same values out to the two at random varies by.
pub fn between(counts: &[u64; BINS], others: &[u64; BINS]) -> [f64; DEGREES] {
    let (n, m) = (sum(counts), sum(others));
    if n <= 0.0 || m <= 0.0 {
        return [0.0; DEGREES];
    }
    let mut shares = [0.0; BINS];
    for (share, (own, other)) in shares.iter_mut().zip(counts.iter().zip(others)) {
        *share = (*own + *other) as f64 / (n + m);
    }
    scaled(&shares, counts, n * m / (n + m - 1.0))
}

/// The scores of counts by their ranks in these shares, with how many values' worth of the
/// shares' variance each sum has.
fn scaled(shares: &[f64; BINS], counts: &[u64; BINS], worth: f64) -> [f64; DEGREES] {
    let mut scores = [0.0; DEGREES];
    for (degree, score) in (1..).zip(&mut scores) {
        let values = centred(degree, shares);
        let square = values.iter().zip(shares);
        let variance: f64 = square.map(|(value, share)| value * value * share).sum();
        if variance > 1e-12 {
            let sum = values.iter().zip(counts);
            let sum: f64 = sum.map(|(value, count)| value * *count as f64).sum();
            *score = sum / (variance * worth).sqrt();
        }
    }
    scores
}

/// Legendre's polynomial at the middle rank of each bin, less its mean over the shares.
fn centred(degree: u32, shares: &[f64; BINS]) -> [f64; BINS] {
    let mut below = 0.0;
    let values = shares.map(|share| {
        let middle = below + share / 2.0;
        below += share;
        legendre(degree, middle)
    });
    let mean = values.iter().zip(shares);
    let mean: f64 = mean.map(|(value, share)| value * share).sum();
    values.map(|value| value - mean)
}

/// The score that says most, with its degree from 1. Of equal ones the first, which is the simplest
/// to say: where values are of two kinds, all are equal but for rounding.
pub(super) fn greatest(scores: [f64; DEGREES]) -> (usize, f64) {
    let mut most = (1, 0.0_f64);
    for (degree, score) in (1..).zip(scores) {
        if score.abs() > most.1.abs() * (1.0 + 1e-9) {
            most = (degree, score);
        }
    }
    most
}

fn sum(counts: &[u64; BINS]) -> f64 {
    counts.iter().map(|count| *count as f64).sum()
}

/// Whether a version met other inputs than its reference from the first request on: its counts at
/// one of the [`LOOKS`], by feature, with the gaps of the reference. `level` is what
/// [`Budget::arrival`](super::Budget::arrival) leaves; it is shared by the looks, features,
/// scores and both signs.
pub fn on_arrival(features: &[([u32; BINS], [u64; BINS])], level: f64) -> Vec<Apart> {
    let tests = (LOOKS.len() * DEGREES * features.len().max(1)) as f64;
    let mut found = Vec::new();
    for (feature, (gaps, counts)) in features.iter().enumerate() {
        let all: u32 = gaps.iter().sum();
        if all <= LEAST_REFERENCE {
            continue;
        }
        let m = f64::from(all) - 1.0;
        let shares = gaps.map(|gaps| f64::from(gaps) / f64::from(all));
        let scores = scores(&shares, m, counts);
        let (degree, score) = greatest(scores);
        let p = (2.0 * normal_above(score.abs()) * tests).min(1.0);
        if p <= level {
            found.push(Apart {
                feature,
                degree,
                score,
                p,
            });
        }
    }
    found.sort_by(|a, b| a.p.total_cmp(&b.p));
    found
}

#[cfg(test)]
mod tests {
    use binnacle_sketch::profile::{Ties, gaps};

    use super::*;

    #[test]
    fn skew_is_found_on_arrival_and_nothing_else_is() {
        let skewed = |power: f64| {
            let ties = Ties::new(7, "live");
            let mut counts = [0; BINS];
            (0..500).for_each(|at| {
                counts[(ties.at(at).powf(power) * BINS as f64) as usize] += 1;
            });
            (gaps(20_000), counts)
        };
        let found = on_arrival(&[skewed(1.0), skewed(1.4), skewed(1.0)], 0.01);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].feature, found[0].degree), (1, 1));
        let (_, counts) = skewed(1.4);
        assert!(
            on_arrival(&[(gaps(50), counts)], 0.01).is_empty(),
            "too small a reference"
        );
        assert!(on_arrival(&[(gaps(500), [0; BINS])], 0.01).is_empty());
    }
}
