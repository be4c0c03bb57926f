//! Latencies, counted exactly: an HDR histogram with its sum, least and greatest value, and
//! a compact encoding of it that merges without loss.
//!
//! Counts are exact; values are resolved to 64 ns below 16 µs and to one part in 128 above,
//! so a percentile, read at the middle of its bucket, lies within 0.4 % (above 8 µs) of the
//! exact nearest-rank one. A value over one hour counts as one hour, and `max` keeps it.

use hdrhistogram::{Counter, Histogram};

use crate::varint;

/// The bucket layout that [`Encoded`] uses; a reader refuses one that it does not know.
pub const LAYOUT: u32 = 1;

/// log2 of the unit: 64 ns, well under what a loopback round trip can resolve.
const UNIT_BITS: u32 = 6;
/// log2 of the buckets in one octave: what two significant decimal digits take in HDR.
const HALF_BITS: u32 = 7;
/// The greatest value that has a bucket of its own: one hour. No inference takes longer.
const HIGHEST_NS: u64 = 3_600_000_000_000;
/// One more than the index of the bucket that holds [`HIGHEST_NS`].
const BUCKETS: usize = index_of(HIGHEST_NS) + 1;
/// Requests that must lie beyond a quantile before it is told rather than called "few":
/// with 20 the rank's own standard error is under a quarter of the tail.
const BEYOND: f64 = 20.0;

/// Latencies in nanoseconds. `C` is the width of a count: `u64`, or
/// `u32` where a window is short.
#[derive(Clone, Debug)]
pub struct Latency<C: Counter = u64> {
    histogram: Histogram<C>,
    sum_ns: u64,
    min_ns: u64,
    max_ns: u64,
}

/// A [`Latency`] on its way: sparse pairs of varints. Two encodings of the same counts are
/// the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encoded {
    /// Pairs in ascending order of bucket: gap to the previous index, count.
    pub counts: Vec<u8>,
    /// Sum of all values.
    pub sum_ns: u64,
    /// Least value; 0 when empty.
    pub min_ns: u64,
    /// Greatest value; 0 when empty.
    pub max_ns: u64,
}

/// An [`Encoded`], read and checked once, to be added to several histograms.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// The least value of each bucket, and its count.
    values: Vec<(u64, u64)>,
    total: u64,
    sum_ns: u64,
    min_ns: u64,
    max_ns: u64,
}

/// Why bytes are no histogram.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Malformed {
    /// The bytes end inside a pair.
    #[error("histogram is cut short after {0} buckets")]
    CutShort(usize),
    /// An index past the last bucket.
    #[error("histogram has bucket {index} of {BUCKETS}")]
    OutOfRange {
        /// The index that was named.
        index: u64,
    },
    /// A pair with no count, which no encoder writes.
    #[error("histogram has an empty bucket {index}")]
    EmptyBucket {
        /// The bucket's index.
        index: u64,
    },
    /// More requests than one span of time can hold.
    #[error("histogram counts over 2^53 requests")]
    TooMany,
    /// A layout of another protocol.
    #[error("histogram layout {0} is not known, only {LAYOUT}")]
    Layout(u32),
}

impl<C: Counter> Default for Latency<C> {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1 << UNIT_BITS, HIGHEST_NS, 2)
            .expect("the bounds are constants that hdrhistogram accepts");
        Self {
            histogram,
            sum_ns: 0,
            min_ns: u64::MAX,
            max_ns: 0,
        }
    }
}

impl<C: Counter> Latency<C> {
    /// Counts one request. Allocates nothing.
    #[inline]
    pub fn record(&mut self, ns: u64) {
        self.histogram.saturating_record(ns.min(HIGHEST_NS));
        self.sum_ns = self.sum_ns.saturating_add(ns);
        self.min_ns = self.min_ns.min(ns);
        self.max_ns = self.max_ns.max(ns);
    }

    /// Forgets everything, keeping the memory.
    pub fn clear(&mut self) {
        self.histogram.reset();
        self.sum_ns = 0;
        self.min_ns = u64::MAX;
        self.max_ns = 0;
    }

    /// How many requests were counted.
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// Sum of all values, in nanoseconds.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// Least value; 0 when empty.
    pub fn min_ns(&self) -> u64 {
        if self.count() == 0 { 0 } else { self.min_ns }
    }

    /// Greatest value; 0 when empty.
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The nearest-rank quantile, read at the middle of its bucket and never outside
    /// [min, max]; `None` when empty.
    pub fn quantile_ns(&self, quantile: f64) -> Option<u64> {
        if self.count() == 0 {
            return None;
        }
        let value = self.histogram.value_at_quantile(quantile);
        Some(
            self.histogram
                .median_equivalent(value)
                .clamp(self.min_ns, self.max_ns),
        )
    }

    /// The quantile if enough requests lie beyond it to mean something, else `None`: "few".
    pub fn known_quantile_ns(&self, quantile: f64) -> Option<u64> {
        if self.count() as f64 * (1.0 - quantile) < BEYOND {
            return None;
        }
        self.quantile_ns(quantile)
    }

    /// Each bucket that holds something: its least value, its width, its count; in order.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.histogram.iter_recorded().map(|at| {
            let low = self.histogram.lowest_equivalent(at.value_iterated_to());
            let high = self.histogram.highest_equivalent(low);
            (low, high - low + 1, at.count_at_value().as_u64())
        })
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (low, _, count) in other.buckets() {
            self.add(low, count);
        }
        self.add_bounds(other.sum_ns, other.min_ns, other.max_ns);
    }

    /// Adds what was encoded elsewhere, or adds nothing and says why it cannot.
    pub fn add_encoded(&mut self, encoded: &Encoded) -> Result<(), Malformed> {
        let total = encoded.count()?;
        if total == 0 {
            return Ok(());
        }
        if self.count().saturating_add(total) > MOST {
            return Err(Malformed::TooMany);
        }
        for pair in encoded.pairs() {
            let (index, count) = pair?;
            self.add(value_of(index), count);
        }
        self.add_bounds(encoded.sum_ns, encoded.min_ns, encoded.max_ns);
        Ok(())
    }

    /// Adds what was read, or adds nothing because the sum would be no number of requests.
    pub fn add_counts(&mut self, counts: &Counts) -> Result<(), Malformed> {
        if counts.total == 0 {
            return Ok(());
        }
        if self.count().saturating_add(counts.total) > MOST {
            return Err(Malformed::TooMany);
        }
        for &(value, count) in &counts.values {
            self.add(value, count);
        }
        self.add_bounds(counts.sum_ns, counts.min_ns, counts.max_ns);
        Ok(())
    }

    /// The counts, ready to travel.
    pub fn encode(&self) -> Encoded {
        let mut counts = Vec::with_capacity(64);
        let mut previous = 0;
        for (low, _, count) in self.buckets() {
            let index = index_of(low);
            varint::put(&mut counts, (index - previous) as u64);
            varint::put(&mut counts, count);
            previous = index;
        }
        let (sum_ns, min_ns, max_ns) = (self.sum_ns, self.min_ns(), self.max_ns);
        Encoded {
            counts,
            sum_ns,
            min_ns,
            max_ns,
        }
    }

    fn add(&mut self, value: u64, count: u64) {
        // A window of u32 counts saturates after four thousand million requests, which no
        // minute holds; wide ones are bounded by `MOST`.
        let count = C::from_u64(count)
            .or_else(|| C::from_u32(u32::MAX))
            .expect("counts are u32 or u64 wide");
        self.histogram
            .saturating_record_n(value.min(HIGHEST_NS), count);
    }

    fn add_bounds(&mut self, sum_ns: u64, min_ns: u64, max_ns: u64) {
        self.sum_ns = self.sum_ns.saturating_add(sum_ns);
        self.min_ns = self.min_ns.min(min_ns);
        self.max_ns = self.max_ns.max(max_ns);
    }
}

/// More requests than this in one histogram is a lie: counts stay exact in an `f64`.
const MOST: u64 = 1 << 53;

impl Counts {
    /// Reads `encoded` in place of what was read before, and answers with its requests. After
    /// an error there is nothing to add.
    pub fn read(&mut self, encoded: &Encoded) -> Result<u64, Malformed> {
        self.values.clear();
        self.total = 0;
        let mut total = 0u64;
        for pair in encoded.pairs() {
            let (index, count) = pair?;
            total = total.saturating_add(count);
            if total > MOST {
                return Err(Malformed::TooMany);
            }
            self.values.push((value_of(index), count));
        }
        (self.sum_ns, self.min_ns, self.max_ns) = (encoded.sum_ns, encoded.min_ns, encoded.max_ns);
        self.total = total;
        Ok(total)
    }
}

impl Encoded {
    /// How many requests are counted, which also checks every byte.
    pub fn count(&self) -> Result<u64, Malformed> {
        self.pairs().try_fold(0u64, |total, pair| {
            let total = total.saturating_add(pair?.1);
            if total > MOST {
                Err(Malformed::TooMany)
            } else {
                Ok(total)
            }
        })
    }

    /// Each bucket and its count, in order, until the first that is malformed.
    fn pairs(&self) -> impl Iterator<Item = Result<(usize, u64), Malformed>> + '_ {
        let (mut rest, mut index, mut seen) = (self.counts.as_slice(), 0u64, 0usize);
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let (Some(gap), Some(count)) = (varint::take(&mut rest), varint::take(&mut rest))
            else {
                rest = &[];
                return Some(Err(Malformed::CutShort(seen)));
            };
            index = index.saturating_add(gap);
            seen += 1;
            if index >= BUCKETS as u64 {
                rest = &[];
                return Some(Err(Malformed::OutOfRange { index }));
            }
            if count == 0 {
                rest = &[];
                return Some(Err(Malformed::EmptyBucket { index }));
            }
            Some(Ok((index as usize, count)))
        })
    }
}

/// The bucket that counts `ns`: HDR's own arithmetic, which hdrhistogram keeps to itself.
const fn index_of(ns: u64) -> usize {
    let mask = ((1u64 << (HALF_BITS + 1)) - 1) << UNIT_BITS;
    let octave = (64 - UNIT_BITS - HALF_BITS - 1) - (ns | mask).leading_zeros();
    let within = (ns >> (octave + UNIT_BITS)) as usize;
    (((octave + 1) as usize) << HALF_BITS) + within - (1 << HALF_BITS)
}

/// The least value of a bucket: the inverse of [`index_of`].
const fn value_of(index: usize) -> u64 {
    let octave = (index >> HALF_BITS) as u32;
    let within = (index & ((1 << HALF_BITS) - 1)) as u64;
    if octave == 0 {
        within << UNIT_BITS
    } else {
        (within + (1 << HALF_BITS)) << (octave - 1 + UNIT_BITS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn latency(values: &[u64]) -> Latency {
        let mut latency = Latency::default();
        values.iter().for_each(|&ns| latency.record(ns));
        latency
    }

    fn values() -> impl Strategy<Value = Vec<u64>> {
        let value = prop_oneof![0..1000u64, 0..2_000_000u64, 0..HIGHEST_NS, Just(u64::MAX)];
        prop::collection::vec(value, 0..200)
    }

    proptest! {
        #[test]
        fn an_index_names_the_bucket_that_hdrhistogram_counts_in(ns in 0..=HIGHEST_NS) {
            let histogram = Latency::<u64>::default().histogram;
            prop_assert_eq!(value_of(index_of(ns)), histogram.lowest_equivalent(ns));
        }

        #[test]
        fn merging_encoded_parts_is_recording_everything(a in values(), b in values()) {
            let mut merged = latency(&a);
            merged.add_encoded(&latency(&b).encode()).unwrap();
            let all = latency(&[a.clone(), b.clone()].concat());
            prop_assert_eq!(merged.encode(), all.encode());
            prop_assert_eq!(merged.count(), (a.len() + b.len()) as u64);
            let mut other_way = latency(&b);
            other_way.merge(&latency(&a));
            prop_assert_eq!(other_way.encode(), all.encode());
            let (mut read, mut counts) = (latency(&a), Counts::default());
            prop_assert_eq!(counts.read(&latency(&b).encode()), Ok(b.len() as u64));
            read.add_counts(&counts).unwrap();
            prop_assert_eq!(read.encode(), all.encode());
        }

        #[test]
        fn a_quantile_is_within_one_part_in_250_of_nearest_rank(
            mut values in prop::collection::vec(8_200..HIGHEST_NS, 1..300),
            quantile in 0.0..=1.0f64,
        ) {
            let read = latency(&values).quantile_ns(quantile).unwrap();
            values.sort_unstable();
            let rank = ((quantile * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            prop_assert!(read.abs_diff(exact) as f64 <= exact as f64 * 0.004, "{read} {exact}");
        }

        #[test]
        fn any_bytes_are_a_histogram_or_an_error(
            counts in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let encoded = Encoded { counts, sum_ns: 1, min_ns: 1, max_ns: 1 };
            let mut latency = Latency::<u64>::default();
            match latency.add_encoded(&encoded) {
                Ok(()) => prop_assert_eq!(latency.count(), encoded.count().unwrap()),
                Err(_) => prop_assert_eq!(latency.count(), 0),
            }
            let mut counts = Counts::default();
            counts.read(&Latency::<u64>::default().encode()).unwrap();
            prop_assert_eq!(counts.read(&encoded), encoded.count());
            let mut read = Latency::<u64>::default();
            read.add_counts(&counts).unwrap();
            prop_assert_eq!(read.encode(), latency.encode());
        }
    }

    #[test]
    fn few_requests_have_no_p99() {
        let mut latency = latency(&vec![1_000_000; 1999]);
        assert_eq!(latency.known_quantile_ns(0.99), None);
        latency.record(1_000_000);
        assert_eq!(latency.known_quantile_ns(0.99), Some(1_000_000));
    }
}
