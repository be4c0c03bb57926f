//! One series in one span, while counts still come in.
//!
//! Most series get a handful of pieces in a span, a few get one from every host. So pieces
//! are kept as they came, tens of bytes each, until there are many; then the busiest series
//! get a dense histogram, which adds a piece in a tenth of a microsecond but takes 30 KB, and
//! the others are added together into one piece.

use std::sync::Arc;

use binnacle_core::series::{SeriesKey, SeriesWindow};
use binnacle_sketch::{Counts, Encoded, Latency, Malformed};

/// Pieces kept before they are added together.
const PIECES: usize = 32;
/// Dense histograms at once: 15 MB, for as many series that every host serves.
const DENSE: usize = 512;
/// Bytes of a dense histogram and of its fields.
const DENSE_BYTES: usize = 30 << 10;
/// Bytes of a piece beside its counts.
const PIECE_BYTES: usize = size_of::<Encoded>() + 16;

/// Counts of one series.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pieces: Vec<Encoded>,
    dense: Option<Box<Latency>>,
    /// Bytes of requests' bodies.
    pub(crate) request_bytes: u64,
    /// Bytes of answers' bodies.
    pub(crate) response_bytes: u64,
}

/// What folding needs: a histogram to add up in, and how many more may be dense.
#[derive(Debug)]
pub(crate) struct Folder {
    scratch: Latency,
    dense_left: usize,
}

impl Default for Folder {
    fn default() -> Self {
        Self {
            scratch: Latency::default(),
            dense_left: DENSE,
        }
    }
}

/// Counts of one series, added together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The series.
    pub(crate) key: Arc<SeriesKey>,
    /// Its latencies.
    pub(crate) latency: Encoded,
    /// Bytes of requests' bodies.
    pub(crate) request_bytes: u64,
    /// Bytes of answers' bodies.
    pub(crate) response_bytes: u64,
}

impl Counted {
    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.latency.counts.len() + 16
    }

    /// Adds other counts of the same series.
    pub(crate) fn merge(&mut self, other: &Self, folder: &mut Folder) {
        let both = [self.latency.clone(), other.latency.clone()];
        self.latency = folder.sum(&both);
        self.request_bytes = self.request_bytes.saturating_add(other.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(other.response_bytes);
    }

    /// The same, as others know it.
    pub(crate) fn window(&self) -> SeriesWindow {
        SeriesWindow {
            key: SeriesKey::clone(&self.key),
            latency: self.latency.clone(),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
        }
    }
}

impl Tally {
    /// Adds counts whose bytes were checked before.
    pub(crate) fn add(&mut self, latency: &Encoded, folder: &mut Folder) {
        match &mut self.dense {
            Some(dense) => add(dense, latency),
            None => self.keep(latency, folder),
        }
    }

    /// The same, where `counts` is what was read of them: for what is added more than once.
    pub(crate) fn add_read(&mut self, latency: &Encoded, counts: &Counts, folder: &mut Folder) {
        match &mut self.dense {
            Some(dense) => added(dense.add_counts(counts)),
            None => self.keep(latency, folder),
        }
    }

    fn keep(&mut self, latency: &Encoded, folder: &mut Folder) {
        self.pieces.push(latency.clone());
        if self.pieces.len() >= PIECES {
            self.settle(folder);
        }
    }

    /// Adds bytes of bodies.
    pub(crate) fn add_bytes(&mut self, request: u64, response: u64) {
        self.request_bytes = self.request_bytes.saturating_add(request);
        self.response_bytes = self.response_bytes.saturating_add(response);
    }

    /// All of it, added together. The dense histogram goes back.
    pub(crate) fn fold(mut self, key: Arc<SeriesKey>, folder: &mut Folder) -> Counted {
        let latency = match (self.dense.take(), self.pieces.len()) {
            (Some(dense), _) => {
                folder.dense_left += 1;
                dense.encode()
            }
            (None, 1) => self.pieces.remove(0),
            (None, _) => folder.sum(&self.pieces),
        };
        Counted {
            key,
            latency,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
        }
    }

    /// All of it so far, added together, for a look from outside.
    pub(crate) fn look(&self, key: Arc<SeriesKey>, folder: &mut Folder) -> Counted {
        let latency = match &self.dense {
            Some(dense) => dense.encode(),
            None => folder.sum(&self.pieces),
        };
        Counted {
            key,
            latency,
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
        }
    }

    /// All of it so far, as it is kept, for a look from outside that adds up itself.
    pub(crate) fn pieces(&self, key: &Arc<SeriesKey>, pieces: &mut Vec<Counted>) {
        let dense = self.dense.iter().map(|dense| dense.encode());
        let mut bodies = (self.request_bytes, self.response_bytes);
        for latency in dense.chain(self.pieces.iter().cloned()) {
            let (request_bytes, response_bytes) = std::mem::take(&mut bodies);
            pieces.push(Counted {
                key: key.clone(),
                latency,
                request_bytes,
                response_bytes,
            });
        }
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let pieces = self
            .pieces
            .iter()
            .map(|piece| piece.counts.len() + PIECE_BYTES);
        let dense = self.dense.as_ref().map_or(0, |_| DENSE_BYTES);
        size_of::<Self>() + pieces.sum::<usize>() + dense
    }

    fn settle(&mut self, folder: &mut Folder) {
        if folder.dense_left == 0 {
            self.pieces = vec![folder.sum(&self.pieces)];
            return;
        }
        folder.dense_left -= 1;
        let mut dense = Box::<Latency>::default();
        self.pieces
            .drain(..)
            .for_each(|piece| add(&mut dense, &piece));
        self.dense = Some(dense);
    }
}

impl Folder {
    /// A folder that never goes dense: for answers, where every series may be a busy one.
    pub(crate) fn sparse() -> Self {
        Self {
            scratch: Latency::default(),
            dense_left: 0,
        }
    }

    /// Pieces, added together.
    pub(crate) fn sum(&mut self, pieces: &[Encoded]) -> Encoded {
        if let [piece] = pieces {
            return piece.clone();
        }
        self.scratch.clear();
        pieces
            .iter()
            .for_each(|piece| add(&mut self.scratch, piece));
        self.scratch.encode()
    }

    /// Pieces, added together in the folder's own histogram, to read figures from.
    pub(crate) fn latency<'a>(&mut self, pieces: impl Iterator<Item = &'a Encoded>) -> &Latency {
        self.scratch.clear();
        pieces.for_each(|piece| add(&mut self.scratch, piece));
        &self.scratch
    }
}

/// Adds a piece that was checked when it came in.
fn add(latency: &mut Latency, piece: &Encoded) {
    added(latency.add_encoded(piece));
}

/// What can still be refused of a checked piece is a sum over 2^53 requests, which no fleet
/// serves.
fn added(added: Result<(), Malformed>) {
    debug_assert!(added.is_ok(), "a piece was let in unchecked: {added:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn piece(values: &[u64]) -> Encoded {
        let mut latency = Latency::<u64>::default();
        values.iter().for_each(|&ns| latency.record(ns));
        latency.encode()
    }

    proptest! {
        #[test]
        fn neither_order_nor_density_changes_a_sum(
            pieces in prop::collection::vec(
                prop::collection::vec(0..10_000_000_000u64, 1..5),
                1..90,
            ),
            seed in any::<u64>(),
        ) {
            let key = Arc::new(SeriesKey {
                endpoint: "".into(),
                model: "m".into(),
                version: "1".into(),
                outcome: binnacle_core::series::Outcome::Ok,
            });
            let expected = piece(&pieces.concat());
            let mut shuffled = pieces.clone();
            shuffled.sort_by_key(|values| values[0].wrapping_mul(seed | 1));
            let ways = [(Folder::default(), pieces), (Folder::sparse(), shuffled)];
            for (mut folder, pieces) in ways {
                let left = folder.dense_left;
                let mut tally = Tally::default();
                let mut counts = Counts::default();
                for (nth, values) in pieces.iter().enumerate() {
                    let piece = piece(values);
                    counts.read(&piece).unwrap();
                    match nth % 2 {
                        0 => tally.add(&piece, &mut folder),
                        _ => tally.add_read(&piece, &counts, &mut folder),
                    }
                }
                prop_assert_eq!(&tally.look(key.clone(), &mut folder).latency, &expected);
                prop_assert_eq!(&tally.fold(key.clone(), &mut folder).latency, &expected);
                prop_assert_eq!(folder.dense_left, left);
            }
        }
    }
}
