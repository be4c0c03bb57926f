//! What the judge looks at: counts of the new version and of the one beside it, span by span.

use std::collections::BTreeMap;

use binnacle_sketch::{Encoded, Latency};

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
    /// Those that ended well: the upper end of a bucket in nanoseconds, and its count.
    pub latency: BTreeMap<u64, u64>,
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
    /// Adds requests that ended in one way. A client's errors are nobody's fault here: a bad
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
            Outcome::ClientError | Outcome::ClientGone => {}
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
        let found = counts.quantile_ns(0.99) as f64 / 38_980_000.0;
        assert!((0.99..1.01).contains(&found), "{found}");
        assert_eq!((counts.over(30_000_000), counts.over(40_000_000)), (100, 0));
    }
}
