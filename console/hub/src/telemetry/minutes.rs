//! One host's requests by the minute, until they are written.
//!
//! Requests and errors are counted as they come. Percentiles of a minute are read off its
//! windows once it is finished: they are packed in [`Recent`] by then, and what did not fit
//! there, or came late, is carried here. Where the two do not make up all that was counted,
//! percentiles are unknown: they are never guessed.

use binnacle_core::view::{Cell, Coarse};
use binnacle_sketch::Encoded;

use crate::store::Span;
use crate::telemetry::recent::Recent;
use crate::telemetry::tally::Folder;

/// Pieces carried before they are added together.
const PIECES: usize = 32;
/// Fewer requests than this have no known median: see `Latency::known_quantile_ns`.
const FEW: u64 = 40;

/// One host's minutes.
#[derive(Debug, Default)]
pub(crate) struct Minutes {
    parts: Vec<Part>,
    /// Minutes before this time are finished for this host.
    finished_us: i64,
}

/// What came in of one minute and is not written, other than as a draft.
#[derive(Debug)]
pub(crate) struct Part {
    start_us: i64,
    requests: u64,
    errors: u64,
    /// What no draft tells of yet; absent where drafts tell of all.
    fresh: Option<(u64, u64)>,
    carried: Vec<Encoded>,
}

impl Minutes {
    /// The part of the minute that begins at `start_us`.
    pub(crate) fn part(&mut self, start_us: i64) -> &mut Part {
        let place = self.parts.iter().position(|part| part.start_us == start_us);
        let place = place.unwrap_or_else(|| {
            self.parts.push(Part {
                start_us,
                requests: 0,
                errors: 0,
                fresh: None,
                carried: Vec::new(),
            });
            self.parts.len() - 1
        });
        self.parts
            .get_mut(place)
            .expect("the place was just looked up or filled")
    }

    /// From when on minutes are not finished, where those before `open_us` are for all hosts.
    pub(crate) fn open_us(&self, open_us: i64) -> i64 {
        self.finished_us.max(open_us)
    }

    /// Opens minutes again, after the clock was set back.
    pub(crate) fn reopen(&mut self, open_us: i64) {
        self.finished_us = self.finished_us.min(open_us);
    }

    /// Whether there is something to finish before `until_us`.
    pub(crate) fn is_due(&self, until_us: i64) -> bool {
        self.finished_us < until_us && self.parts.iter().any(|part| part.start_us < until_us)
    }

    /// Finishes the minutes of `[open_us, until_us)`: each with its cell, and with what no
    /// draft tells of it yet.
    pub(crate) fn finish(
        &mut self,
        (open_us, until_us): (i64, i64),
        recent: &Recent,
        folder: &mut Folder,
    ) -> Vec<(i64, Cell, Option<Cell>)> {
        let span = self.open_us(open_us)..until_us;
        self.finished_us = until_us;
        let finished = self
            .parts
            .extract_if(.., |part| span.contains(&part.start_us));
        finished
            .map(|part| {
                let fresh = part
                    .fresh
                    .map(|(requests, errors)| counted(requests, errors));
                (part.start_us, part.cell(Some(recent), folder), fresh)
            })
            .collect()
    }

    /// What came late since the last time: minutes before `open_us`, each with its cell.
    pub(crate) fn late(&mut self, open_us: i64, folder: &mut Folder) -> Vec<(i64, Cell)> {
        let open_us = self.open_us(open_us);
        let late = self.parts.extract_if(.., |part| part.start_us < open_us);
        late.map(|part| (part.start_us, part.cell(None, folder)))
            .collect()
    }

    /// What no draft tells of yet, of the minutes that are not finished.
    pub(crate) fn drafts(&mut self) -> Vec<(i64, Cell)> {
        let draft = |part: &mut Part| {
            let (requests, errors) = part.fresh.take()?;
            Some((part.start_us, counted(requests, errors)))
        };
        self.parts.iter_mut().filter_map(draft).collect()
    }

    /// Bytes that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let carried = self.parts.iter().flat_map(|part| &part.carried);
        let carried = carried.map(|piece| size_of::<Encoded>() + piece.counts.len());
        self.parts.capacity() * size_of::<Part>() + carried.sum::<usize>()
    }
}

impl Part {
    /// Counts a window.
    pub(crate) fn count(&mut self, requests: u64, errors: u64) {
        self.requests += requests;
        self.errors += errors;
        let (fresh, failed) = self.fresh.unwrap_or_default();
        self.fresh = Some((fresh + requests, failed + errors));
    }

    /// Keeps latencies that were counted and that the last minute does not hold.
    pub(crate) fn carry(&mut self, latency: Encoded, folder: &mut Folder) {
        self.carried.push(latency);
        if self.carried.len() >= PIECES {
            self.carried = vec![folder.sum(&self.carried)];
        }
    }

    fn cell(&self, recent: Option<&Recent>, folder: &mut Folder) -> Cell {
        let cell = counted(self.requests, self.errors);
        if self.requests < FEW {
            return cell;
        }
        let end_us = self.start_us + Span::Minute.us();
        let recent = recent.into_iter();
        let recent = recent.flat_map(|recent| recent.parts(self.start_us, end_us));
        let mut pieces = self.carried.clone();
        pieces.extend(recent.map(|(_, part)| part.latency));
        let latency = folder.latency(pieces.iter());
        if latency.count() != self.requests {
            return cell;
        }
        Cell {
            p50: Coarse::of_ns(latency.known_quantile_ns(0.5)),
            p99: Coarse::of_ns(latency.known_quantile_ns(0.99)),
            ..cell
        }
    }
}

fn counted(requests: u64, errors: u64) -> Cell {
    let clipped = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Cell {
        requests: clipped(requests),
        errors: clipped(errors),
        ..Cell::default()
    }
}
