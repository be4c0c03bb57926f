//! What the judge looks at: counts of the new version and of the one beside it, span by span.

use std::collections::BTreeMap;

use binnacle_sketch::{Encoded, Latency};

use crate::drift::Beside;
use crate::name::Name;
use crate::series::Outcome;

/// What was measured while a step was watched.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Spans that are over, in order of time.
    pub spans: Vec<Span>,
    /// Golden requests to the new version, over all hosts.
    pub golden: Golden,
    /// Copies of requests that the new version answered beside the one that counts.
    pub shadow: Shadow,
    /// How the memory of the inference servers went that have the new version.
    pub memory: Vec<Growth>,
    /// How its inputs and answers lie beside those of the other version.
    pub beside: Beside,
}

/// How the memory of one host's inference server went while a step was watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Growth {
    /// Which host.
    pub host: Name,
    /// How long it was looked at.
    pub lasted_us: i64,
    /// Bytes that it grew by in all that time.
    pub grown: u64,
    /// Bytes that it grew by in the last [`LATELY_US`].
    pub lately: u64,
    /// Bytes that are left on the host.
    pub free: u64,
}

/// What a growth has to go on in to be one.
pub const LATELY_US: i64 = 10_000_000;
/// Growth that is a leak and no cache that fills: so many bytes at least…
const LEAK_BYTES: u64 = 32 << 20;
/// … over so long at least…
const LEAK_US: i64 = 20_000_000;
/// … and fast enough to fill the host within this, before anybody would notice it otherwise.
const FULL_WITHIN_US: f64 = 6.0 * 3_600e6;
/// Lately it still grows by this share of its mean.
const GOES_ON: f64 = 0.25;

impl Growth {
    /// After how long the host is full, in microseconds, if it goes on so and that is soon.
    pub fn full_in_us(&self) -> Option<f64> {
        if self.grown < LEAK_BYTES || self.lasted_us < LEAK_US {
            return None;
        }
        let rate = self.grown as f64 / self.lasted_us as f64;
        let lately = self.lately as f64 / LATELY_US as f64;
        let full_in_us = self.free as f64 / rate;
        (lately >= rate * GOES_ON && full_in_us <= FULL_WITHIN_US).then_some(full_in_us)
    }
}

/// What a shadow answered beside the version that answered the application.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shadow {
    /// Pairs of answers that were compared.
    pub compared: u64,
    /// Those of one class.
    pub same: u64,
    /// Copies that the shadow failed to answer.
    pub failed: u64,
}

/// Some seconds, of both versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Span {
    /// The new version.
    pub canary: Counts,
    /// The version beside it.
    pub control: Counts,
}

/// One version in one span.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counts {
    /// Requests that ended by the server's fault.
    pub errors: u64,
    /// Requests that the server refused as the client's fault.
    pub refused: u64,
    /// Those that ended well: the upper end of a bucket in nanoseconds, and its count.
    pub latency: BTreeMap<u64, u64>,
    /// What some of their answers said.
    pub nulls: Nulls,
}

/// Answers that were looked at: some of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nulls {
    /// How many.
    pub looked: u64,
    /// Those with a value that is no number, null or empty, or without any.
    pub null: u64,
}

impl Nulls {
    /// Adds others.
    pub fn add(&mut self, other: Self) {
        self.looked = self.looked.saturating_add(other.looked);
        self.null = self.null.saturating_add(other.null.min(other.looked));
    }

    /// The share that says nothing.
    pub fn share(&self) -> f64 {
        self.null as f64 / self.looked.max(1) as f64
    }
}

/// Requests whose right answers are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Golden {
    /// How many were asked.
    pub asked: u32,
    /// How many were answered wrongly.
    pub failed: u32,
}

impl Counts {
    /// Adds requests that ended in one way. A client's errors are no errors of a version's: a bad
    /// client would else roll a model back. What cannot be read counts as nothing: the hub has
    /// read it before.
    pub fn add(&mut self, outcome: Outcome, latency: &Encoded) {
        let mut read = Latency::<u64>::default();
        if read.add_encoded(latency).is_err() {
            return;
        }
        match outcome {
            Outcome::Ok => {
                for (low_ns, width_ns, count) in read.buckets() {
                    *self.latency.entry(low_ns + width_ns - 1).or_default() += count;
                }
            }
            Outcome::ServerError
            | Outcome::UpstreamRefused
            | Outcome::TimedOut
            | Outcome::Unknown => self.errors += read.count(),
            Outcome::ClientError => self.refused += read.count(),
            Outcome::ClientGone => {}
        }
    }

    /// Requests that ended well.
    pub fn answered(&self) -> u64 {
        self.latency.values().sum()
    }

    /// Requests that ended well, or by the server's fault.
    pub fn requests(&self) -> u64 {
        self.answered() + self.errors
    }

    /// Those over `ns` among the ones that ended well.
    pub fn over(&self, ns: u64) -> u64 {
        let over = (std::ops::Bound::Excluded(ns), std::ops::Bound::Unbounded);
        self.latency.range(over).map(|(_, count)| count).sum()
    }

    /// The nearest-rank quantile of those that ended well; 0 for none.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        let rank = (self.answered() as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (ns, count) in &self.latency {
            seen += count;
            if seen >= rank {
                return *ns;
            }
        }
        0
    }

    /// Adds another's counts.
    pub fn merge(&mut self, other: &Self) {
        self.errors += other.errors;
        self.refused += other.refused;
        self.nulls.add(other.nulls);
        for (ns, count) in &other.latency {
            *self.latency.entry(*ns).or_default() += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_is_read_as_it_was() {
        let mut measured = Latency::<u64>::default();
        for request in 0..100 {
            measured.record(38_000_000 + request * 10_000);
        }
        let mut counts = Counts::default();
        counts.add(Outcome::Ok, &measured.encode());
        counts.add(Outcome::TimedOut, &measured.encode());
        counts.add(Outcome::ClientError, &measured.encode());
        assert_eq!((counts.answered(), counts.errors), (100, 100));
        assert_eq!((counts.requests(), counts.refused), (200, 100));
        let found = counts.quantile_ns(0.99) as f64 / 38_980_000.0;
        assert!((0.99..1.01).contains(&found), "{found}");
        assert_eq!((counts.over(30_000_000), counts.over(40_000_000)), (100, 0));
    }
}
