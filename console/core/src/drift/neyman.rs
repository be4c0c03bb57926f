//! Two samples of a fixed size held against each other, by the ranks of one in the other.
//!
//! Four scores tell level, spread, lean and peak apart: `S_d = Σ P_d(2u − 1) / √(n (1 + n/m))` with
//! Legendre's polynomials (Neyman 1937), u the rank of a value among the m of the other sample.
//! Ranks are known to their bin, so each score is centred and scaled by what the bins have.
//!
//! - A canary is held against the control of the same minutes: resampling which row was whose
//!   says what chance shows, whatever depends on what.
//! - A version that begins to serve is held against its reference, at a level that is taken out
//!   of the budget.

use binnacle_sketch::profile::{BINS, Ties};
use serde::Serialize;

use super::experts::legendre;
use super::special::normal_above;

/// Scores: d = 1 … 4.
pub const DEGREES: usize = 4;
/// Resamples behind the calibration of a canary: p is known to a thousandth.
pub const RESAMPLES: u32 = 999;
/// Live values of a version at which it is held against its reference.
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

/// Rows of two samples: a bin for each feature, feature by feature within a row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    features: usize,
    bins: &'a [u8],
}

impl<'a> Rows<'a> {
    /// Of rows with so many features; what is left over of a last row is not looked at.
    pub fn new(features: usize, bins: &'a [u8]) -> Self {
        Self { features, bins }
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.bins.len() / self.features.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn each(&self) -> impl Iterator<Item = &'a [u8]> {
        self.bins.chunks_exact(self.features.max(1))
    }
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

/// Whether a canary differs from its control, in any feature. `None` without a row of either.
pub fn canary(control: Rows<'_>, canary: Rows<'_>, seed: u64) -> Option<Apart> {
    if control.is_empty() || canary.is_empty() || control.features != canary.features {
        return None;
    }
    let mut rows: Vec<&[u8]> = canary.each().chain(control.each()).collect();
    let n = canary.len();
    let mut found = farthest(&rows, n, control.features)?;
    let ties = Ties::new(seed, "which row was whose");
    let mut draw = 0;
    let mut as_far = 1;
    for _ in 0..RESAMPLES {
        // The first n of a shuffle: the rest need no order.
        for at in 0..n {
            draw += 1;
            let other = at + (ties.at(draw) * (rows.len() - at) as f64) as usize;
            let last = rows.len() - 1;
            rows.swap(at, other.min(last));
        }
        let again = farthest(&rows, n, control.features)?;
        as_far += u32::from(again.score.abs() >= found.score.abs());
    }
    found.p = f64::from(as_far) / f64::from(RESAMPLES + 1);
    Some(found)
}

/// The greatest score of the first `n` rows against the others; its p is not known yet.
fn farthest(rows: &[&[u8]], n: usize, features: usize) -> Option<Apart> {
    let (canary, control) = rows.split_at_checked(n)?;
    let m = control.len() as f64;
    let (own, other) = (counted(canary, features), counted(control, features));
    let mut most: Option<Apart> = None;
    for (feature, (own, other)) in own.iter().zip(&other).enumerate() {
        let shares = other.map(|count| count as f64 / m);
        for (degree, score) in (1..).zip(scores(&shares, m, own)) {
            if most.is_none_or(|most| score.abs() > most.score.abs()) {
                most = Some(Apart {
                    feature,
                    degree,
                    score,
                    p: 1.0,
                });
            }
        }
    }
    most
}

fn counted(rows: &[&[u8]], features: usize) -> Vec<[u64; BINS]> {
    let mut counts = vec![[0; BINS]; features];
    for row in rows {
        for (counts, bin) in counts.iter_mut().zip(*row) {
            if let Some(count) = counts.get_mut(usize::from(*bin)) {
                *count += 1;
            }
        }
    }
    counts
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
    use binnacle_sketch::profile::gaps;

    use super::*;

    /// Rows of three features; the second is pressed towards 0, the third a copy of the first.
    fn rows(seed: u64, count: u64, power: f64) -> Vec<u8> {
        let ties = Ties::new(seed, "rows");
        let bin = |u: f64| (u * BINS as f64) as u8;
        let row = |at: u64| {
            let (a, b) = (ties.at(2 * at), ties.at(2 * at + 1));
            [bin(a), bin(b.powf(power)), bin(a)]
        };
        (0..count).flat_map(row).collect()
    }

    #[test]
    fn a_canary_like_its_control_is_called_different_as_often_as_its_p_says() {
        let rounds = 120;
        let below = (0..rounds).filter(|seed| {
            let (a, b) = (rows(2 * seed, 150, 1.0), rows(2 * seed + 1, 60, 1.0));
            canary(Rows::new(3, &a), Rows::new(3, &b), *seed).unwrap().p <= 0.1
        });
        // 12 expected, with deviation 3.3.
        let below = below.count();
        assert!((2..=24).contains(&below), "{below} of {rounds}");
    }

    #[test]
    fn a_canary_that_differs_is_found_with_its_feature() {
        let (a, b) = (rows(1, 600, 1.0), rows(2, 200, 1.6));
        let apart = canary(Rows::new(3, &a), Rows::new(3, &b), 1).unwrap();
        assert_eq!((apart.feature, apart.degree), (1, 1));
        assert!(apart.p <= 0.001 && apart.score < -4.0, "{apart:?}");
        assert_eq!(canary(Rows::new(3, &a), Rows::new(3, &[]), 1), None);
        assert_eq!(canary(Rows::new(0, &a), Rows::new(0, &b), 1), None);
    }

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
