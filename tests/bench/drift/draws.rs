//! Numbers from a seed, references of them, and live counts.

use std::sync::Arc;

use binnacle_core::drift::{Bounds, Experts, Null, Tolerance};
use binnacle_sketch::profile::{BINS, Bins, Ties};

/// Numbers that follow each other.
pub(crate) struct Draws {
    ties: Ties,
    at: u64,
}

impl Draws {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        Self {
            ties: Ties::new(seed, name),
            at: 0,
        }
    }

    /// Uniform on (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.at += 1;
        self.ties.at(self.at).max(1e-16)
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Puts these into an order in which each is as likely as any (Fisher and Yates 1938).
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = (self.uniform() * (last + 1) as f64) as usize;
            all.swap(last, other.min(last));
        }
    }

    /// Exponential, to the power of `tail`: heavy.
    pub(crate) fn heavy(&mut self, tail: f64) -> f64 {
        (-self.uniform().ln()).powf(tail)
    }
}

/// The rules of a feature that is held against so many values.
pub(crate) struct Rules {
    experts: Arc<Experts>,
    tolerance: Arc<Tolerance>,
}

impl Default for Rules {
    fn default() -> Self {
        let experts = Arc::new(Experts::of_features());
        let tolerance = Arc::new(Tolerance::new(&experts, Bounds::of_feature()));
        Self { experts, tolerance }
    }
}

impl Rules {
    pub(crate) fn null(&self, gaps: Option<&[u32; BINS]>) -> Null {
        Null {
            experts: Arc::clone(&self.experts),
            tolerance: Arc::clone(&self.tolerance),
            gaps: gaps.map(|gaps| gaps.to_vec()),
        }
    }

    pub(crate) fn experts(&self) -> &Experts {
        &self.experts
    }
}

/// A reference of `m` values.
pub(crate) fn reference(
    m: u32,
    draws: &mut Draws,
    mut value: impl FnMut(&mut Draws) -> f64,
) -> Bins {
    let mut values: Vec<(f64, f64)> = (0..m)
        .map(|_| {
            let x = value(draws);
            (x, draws.uniform())
        })
        .collect();
    Bins::of(&mut values)
}

/// The counts of `n` live values.
pub(crate) fn batch(
    bins: &Bins,
    n: u64,
    draws: &mut Draws,
    mut value: impl FnMut(&mut Draws) -> f64,
) -> [u64; BINS] {
    let mut counts = [0; BINS];
    for _ in 0..n {
        let x = value(draws);
        counts[bins.bin(x, draws.uniform())] += 1;
    }
    counts
}

/// The value that this share of sorted ones lies below.
pub(crate) fn quantile(sorted: &[u64], share: f64) -> u64 {
    let at = (share * sorted.len() as f64).ceil() as usize;
    sorted[at.clamp(1, sorted.len()) - 1]
}
