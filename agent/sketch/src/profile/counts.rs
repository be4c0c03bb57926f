//! What is counted of a feature while it is live: integers, which add up exactly over batches,
//! hosts and windows, in any order. They are all that leaves a host.

use super::bins::BINS;
use super::categories::Rank;
use super::{Feature, Found};

/// Live values, counted against a reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Values in each bin.
    pub bins: [u64; BINS],
    /// Missing, NaN, infinite, or of a wrong type: they have no bin.
    pub missing: u64,
    /// Of the binned: categories that the reference never saw.
    pub unseen: u64,
    /// Of the binned: below the least value of the reference.
    pub under: u64,
    /// Of the binned: above the greatest.
    pub over: u64,
}

impl Counts {
    /// Adds other counts of the same feature against the same reference.
    pub fn merge(&mut self, other: &Self) {
        for (own, more) in self.bins.iter_mut().zip(&other.bins) {
            *own = own.saturating_add(*more);
        }
        self.missing = self.missing.saturating_add(other.missing);
        self.unseen = self.unseen.saturating_add(other.unseen);
        self.under = self.under.saturating_add(other.under);
        self.over = self.over.saturating_add(other.over);
    }

    /// Values that have a bin.
    pub fn binned(&self) -> u64 {
        self.bins.iter().fold(0, |all, n| all.saturating_add(*n))
    }

    #[inline]
    pub(super) fn bin(&mut self, bin: usize) {
        if let Some(count) = self.bins.get_mut(bin) {
            *count += 1;
        }
    }
}

impl Feature {
    /// Counts a number; `v` in [0, 1) breaks its ties. A number where the reference has
    /// categories is of a wrong type, and so missing.
    #[inline]
    pub fn number(&self, counts: &mut Counts, x: f64, v: f64) {
        let Found::Numbers(numbers) = &self.found else {
            counts.missing += 1;
            return;
        };
        if !x.is_finite() {
            counts.missing += 1;
            return;
        }
        counts.bin(numbers.bins.bin(x, v));
        counts.under += u64::from(x < numbers.min);
        counts.over += u64::from(x > numbers.max);
    }

    /// Counts a category; `v` in [0, 1) breaks its ties.
    #[inline]
    pub fn category(&self, counts: &mut Counts, text: &[u8], v: f64) {
        let Found::Categories(ranked) = &self.found else {
            counts.missing += 1;
            return;
        };
        let rank = ranked.categories.rank(text);
        counts.unseen += u64::from(matches!(rank, Rank::Unseen(_)));
        counts.bin(ranked.bins.bin(rank.x(), v));
    }
}
