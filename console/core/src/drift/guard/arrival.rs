//! A version that begins to serve: whether its inputs were other ones from the first request on.
//!
//! Gate A learns from what it sees, so a small reference that meets other inputs at once takes
//! them in instead of calling. A test of a fixed size needs nobody to be unchanged first. It is
//! done at most once for each of [`LOOKS`], and what it may err is taken out of the budget.

use super::super::neyman::{LOOKS, on_arrival};
use super::super::signal::Signal;
use super::super::stream::{Null, weigh};
use super::{BINS, Budget, Guard, Moved};

impl Guard {
    /// The streams of values that differed from their reference from the beginning, the least
    /// likely first; nothing where no look is due.
    pub(super) fn on_arrival(&mut self, tick: u32, budget: &Budget) -> Vec<Moved> {
        let due = LOOKS.iter().filter(|look| self.kept.requests >= **look);
        let due = due.count() as u32;
        if due <= self.kept.looked {
            return Vec::new();
        }
        self.kept.looked = due;
        let mut streams = Vec::new();
        let mut features = Vec::new();
        for stream in 0..self.watch.streams() {
            if let Some((feature, Signal::Values)) = self.watch.signal(stream)
                && let Some(bins) = self
                    .baseline
                    .features()
                    .get(feature)
                    .and_then(|of| of.bins())
                && let Some(counts) = self.kept.totals.get(feature)
                // Of what follows the hours one look says nothing.
                && self.watch.stream(stream).is_some_and(|(held, _)| !held.is_seasonal())
            {
                streams.push(stream);
                features.push((bins.gaps(), counts.bins));
            }
        }
        let found = on_arrival(&features, budget.arrival(self.kept.nth));
        let moved = found.iter().filter_map(|apart| {
            let stream = *streams.get(apart.feature)?;
            let (_, counts) = features.get(apart.feature)?;
            let (held, state) = self.watch.stream(stream)?;
            let null = held.null();
            let mut evidence = state.evidence(null);
            evidence.best = likeliest(null, counts)?;
            evidence.age = tick as f32;
            Some(Moved {
                stream,
                evidence,
                alone: true,
            })
        });
        moved.collect()
    }
}

/// The expert under which these counts are the likeliest.
fn likeliest(null: &Null, counts: &[u64; BINS]) -> Option<usize> {
    let mut gains = vec![0.0; null.experts.len()];
    weigh(&mut gains, null.experts.columns(), counts);
    let best = gains.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
    best.map(|(at, _)| at)
}
