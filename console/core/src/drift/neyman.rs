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
    let n: f64 = counts.iter().map(|count| *count as f64).sum();
    let mut scores = [0.0; DEGREES];
    if n <= 0.0 || m <= 0.0 {
        return scores;
    }
    for (degree, score) in (1..).zip(&mut scores) {
        let mut below = 0.0;
        let values = shares.map(|share| {
            let middle = below + share / 2.0;
            below += share;
            legendre(degree, middle)
        });
        let mean: f64 = values
            .iter()
            .zip(shares)
            .map(|(value, share)| value * share)
            .sum();
        let square = values.iter().zip(shares);
        let variance: f64 = square
            .map(|(value, share)| (value - mean).powi(2) * share)
            .sum();
        if variance <= 1e-12 {
            continue;
        }
        let sum = values.iter().zip(counts);
        let sum: f64 = sum
            .map(|(value, count)| (value - mean) * *count as f64)
            .sum();
        *score = sum / (variance * n * (1.0 + n / m)).sqrt();
    }
    scores
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
        let (degree, score) =
            (1..)
                .zip(scores)
                .fold((1, 0.0), |most: (usize, f64), (degree, score)| {
                    if score.abs() > most.1.abs() {
                        (degree, score)
                    } else {
                        most
                    }
                });
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
