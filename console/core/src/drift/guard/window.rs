//! What was counted in a span of time, held against the reference.

use binnacle_sketch::profile::{Counts, Psi, psi};

use super::Guard;

/// What was counted of a version in a span of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// From when to when; `None` where nothing was counted.
    pub span_us: Option<(i64, i64)>,
    /// Requests that were looked at.
    pub requests: u64,
    /// Of these, those that do not fit.
    pub unfit: u64,
    /// Each feature's counts, in their order.
    pub features: Vec<Counts>,
}

impl Guard {
    /// What was counted between two times. The further back, the coarser it is known: to about a
    /// sixth of how long ago it was, up to six days. The answer is widened to what is known, and
    /// says so.
    pub fn window(&self, span_us: (i64, i64)) -> Window {
        let mut features = vec![Counts::default(); self.kept.totals.len()];
        let Some((span_us, all)) = self.recent.within(span_us) else {
            return Window {
                features,
                ..Window::default()
            };
        };
        for (counts, live) in features.iter_mut().zip(&all.features) {
            *counts = live.counts;
        }
        Window {
            span_us: Some(span_us),
            requests: all.requests,
            unfit: all.unfit,
            features,
        }
    }

    /// All that was counted since it began.
    pub fn whole(&self) -> Window {
        let (started_us, to_us) = self.span_us();
        // It began with a report, of what was counted before that.
        let from_us = self
            .recent
            .began(0)
            .map_or(started_us, |us| us.min(started_us));
        Window {
            span_us: (to_us > 0).then_some((from_us.min(to_us), to_us)),
            requests: self.kept.requests,
            unfit: self.kept.unfit,
            features: self.kept.totals.clone(),
        }
    }

    /// How far values of a feature lie from its reference; `None` of none, and where there is
    /// nothing to hold them against.
    pub fn index(&self, feature: usize, counts: &Counts) -> Option<Psi> {
        let bins = self.baseline.features().get(feature)?.bins()?;
        let live = counts.bins.map(|count| count as f64);
        psi(&bins.shares(), bins.sampled(), &live)
    }
}
