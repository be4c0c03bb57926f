//! Pages of minutes: what a question takes of each, added together from rows of the disk or from
//! seconds of memory, whichever has it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use binnacle_core::series::SeriesKey;
use binnacle_sketch::Encoded;

use crate::store::{Rollup, RollupQuery, Span};
use crate::telemetry::Question;
use crate::telemetry::seconds::Look;
use crate::telemetry::shelf::Page;
use crate::telemetry::tally::{Folder, Tally};

const SECOND_US: i64 = 1_000_000;
/// What is read in one go: some 20,000 rows of a thousand models, so that a busy machine gets a
/// part done within the ten seconds that a console waits.
const READ_AT_ONCE_US: i64 = 3 * 60 * SECOND_US;

/// What is known of a span at one moment, and what has to be read of the disk beside.
#[derive(Debug)]
pub(crate) struct Known {
    /// The number under which pages may be brought to the shelf.
    pub(crate) number: u64,
    /// Minutes before this time may be.
    pub(crate) settled_us: i64,
    /// What is on the shelf.
    pub(crate) shelved: BTreeMap<i64, Page>,
    /// Minutes that memory holds by the second, and those seconds.
    pub(crate) remembered: BTreeSet<i64>,
    pub(crate) looks: Vec<Look>,
    /// Minutes that are to be read, how, and what of them is beside the disk.
    pub(crate) read: BTreeSet<i64>,
    pub(crate) query: RollupQuery,
    pub(crate) beside: Vec<Rollup>,
}

/// Minutes that are put together in one go.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// Those of this span that have to be read.
    Read(Range<i64>),
    /// One that memory holds.
    Remembered(i64),
}

impl Known {
    /// All that is not on the shelf, a few minutes at a time.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        let mut from_us = self.read.first().copied();
        while let Some(start_us) = from_us {
            let end_us = start_us.saturating_add(READ_AT_ONCE_US);
            parts.push(Part::Read(start_us..end_us));
            from_us = self.read.range(end_us..).next().copied();
        }
        parts.extend(self.remembered.iter().copied().map(Part::Remembered));
        parts
    }
}

/// Pages while they are written.
#[derive(Debug)]
pub(crate) struct Binder<'a> {
    question: &'a Question,
    spans: BTreeMap<(i64, Span), HashMap<SeriesKey, Tally>>,
    folder: Folder,
}

impl<'a> Binder<'a> {
    /// None yet.
    pub(crate) fn new(question: &'a Question) -> Self {
        Self {
            question,
            spans: BTreeMap::new(),
            folder: Folder::default(),
        }
    }

    /// Adds a row.
    pub(crate) fn take(&mut self, row: &Rollup) {
        let (key, window) = (self.question.key(&row.window.key), &row.window);
        let bodies = (window.request_bytes, window.response_bytes);
        self.add((row.start_us, row.span), &key, &window.latency, bodies);
    }

    /// Adds a second that holds no window of over ten seconds.
    pub(crate) fn take_second(&mut self, look: &Look) {
        let question = self.question;
        let span = Span::TenSeconds;
        let at = (span.start_of(look.second * SECOND_US), span);
        let is_all = question.is_folded && question.takes_all();
        for part in &look.parts {
            let pieces = if is_all { part.folded() } else { part.pieces() };
            for counted in pieces.iter().filter(|it| question.takes(&it.key)) {
                let bodies = (counted.request_bytes, counted.response_bytes);
                self.add(at, &question.key(&counted.key), &counted.latency, bodies);
            }
        }
    }

    fn add(
        &mut self,
        at: (i64, Span),
        key: &SeriesKey,
        latency: &Encoded,
        (request, response): (u64, u64),
    ) {
        let tallies = self.spans.entry(at).or_default();
        if !tallies.contains_key(key) {
            tallies.insert(key.clone(), Tally::default());
        }
        if let Some(tally) = tallies.get_mut(key) {
            tally.add(latency, &mut self.folder);
            tally.add_bytes(request, response);
        }
    }

    /// A page for each of these minutes, in order; empty where nothing was counted.
    pub(crate) fn finish(mut self, minutes: impl Iterator<Item = i64>) -> Vec<(i64, Page)> {
        let mut pages: BTreeMap<i64, Vec<Rollup>> = minutes.map(|at| (at, Vec::new())).collect();
        for ((start_us, span), tallies) in self.spans {
            let Some(page) = pages.get_mut(&Span::Minute.start_of(start_us)) else {
                continue;
            };
            for (key, tally) in tallies {
                page.push(Rollup {
                    start_us,
                    span,
                    window: tally.fold(key.into(), &mut self.folder).window(),
                });
            }
        }
        let pages = pages.into_iter();
        pages.map(|(at, rows)| (at, Page::from(rows))).collect()
    }
}
