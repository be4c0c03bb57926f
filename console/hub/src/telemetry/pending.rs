//! What was counted and is not on the disk yet: 10 s and 1 min deltas.

use std::collections::{BTreeMap, HashMap};

use crate::store::{Rollup, RollupQuery, Span};
use crate::telemetry::names::{Names, SeriesId};
use crate::telemetry::tally::{Folder, Tally};

/// Deltas by span and series.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    spans: BTreeMap<(i64, Span), HashMap<SeriesId, Tally>>,
}

impl Pending {
    /// The tally of a series in the span in which a window that began at `start_us` counts.
    pub(crate) fn tally(&mut self, start_us: i64, span: Span, id: SeriesId) -> &mut Tally {
        let spans = self
            .spans
            .entry((span.start_of(start_us), span))
            .or_default();
        spans.entry(id).or_default()
    }

    /// Whether nothing is waiting.
    pub(crate) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        let tallies = self.spans.values().flat_map(HashMap::values);
        tallies.map(Tally::bytes).sum()
    }

    /// Takes all of it, one row a span and series.
    pub(crate) fn take(&mut self, names: &Names, folder: &mut Folder) -> Vec<Rollup> {
        let mut rows = Vec::new();
        for ((start_us, span), tallies) in std::mem::take(&mut self.spans) {
            for (id, tally) in tallies {
                if let Some(key) = names.key(id) {
                    let window = tally.fold(key.clone(), folder).window();
                    rows.push(Rollup {
                        start_us,
                        span,
                        window,
                    });
                }
            }
        }
        rows
    }

    /// What of it a query asks for, as it is now.
    pub(crate) fn look(
        &self,
        query: &RollupQuery,
        names: &Names,
        folder: &mut Folder,
    ) -> Vec<Rollup> {
        let mut rows = Vec::new();
        // Spans are in order of start, so the range may be cut by it.
        let asked = (query.from_us, Span::TenSeconds)..(query.to_us, Span::TenSeconds);
        for (&(start_us, span), tallies) in self.spans.range(asked) {
            for (&id, tally) in tallies {
                let Some(key) = names.key(id) else {
                    continue;
                };
                if query.takes(&key.model, &key.version) {
                    let window = tally.look(key.clone(), folder).window();
                    rows.push(Rollup {
                        start_us,
                        span,
                        window,
                    });
                }
            }
        }
        rows
    }
}
