//! The streams of one model that serves, held against the reference of the version that does.
//!
//! Reports come in under a source and a sequence; each is counted once, whenever and however often
//! it arrives. A tick closes what came in since the last and asks both gates. A model pages when
//! the mean over its streams of what the gates agree on reaches `c`: the lesser gate first, then
//! the mean. The mean of both gates would let one of them page alone.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use binnacle_sketch::profile::{BINS, Counts};

use super::baseline::Baseline;
use super::budget::Budget;
use super::signal::{Held, Signal, of_baseline, two};
use super::stream::{Evidence, Stream};
use crate::packed::packed;

/// Sources of reports that a model remembers: ten thousand hosts, and a restart of each.
pub const SOURCES: usize = 20_000;
/// A warning is over when the evidence has fallen to this part of what it began at. Doob's
/// inequality for upcrossings then bounds warnings by T / c_w and a hundredth more.
const OVER: f64 = 0.01;

/// Who reports: one start of an agent.
pub type Source = [u8; 16];

/// What one source counted in one window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Report<'a> {
    /// Of features, by their place in the reference.
    pub features: &'a [(usize, Counts)],
    /// Requests that were looked at.
    pub requests: u64,
    /// Of these, how many do not fit the model's signature.
    pub unfit: u64,
}

/// A model under watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// In the order of the reference's features, those of one feature side by side.
    held: Vec<Held>,
    state: State,
}

/// What is kept over restarts.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    streams: Vec<Stream>,
    /// The last sequence of each source, and the tick in which it came.
    sources: BTreeMap<Source, (u64, u32)>,
    /// Sources that had to be forgotten.
    forgotten: u64,
    /// Counts that their reference could not have given.
    impossible: u64,
    warned: bool,
    /// What came in since the last tick: a report may be acknowledged once this is kept, whether
    /// its tick is over or not.
    pending: Pending,
}

packed!(State {
    streams,
    sources,
    forgotten,
    impossible,
    warned,
    pending,
});

impl State {
    /// What came in since the last tick.
    pub(super) fn pending(&self) -> &Pending {
        &self.pending
    }
}

/// What changes in a state between two ticks, and a tick in the words of its counts: enough to
/// go on from an older state to this one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) tick: u32,
    hour: usize,
    pub(super) counts: Pending,
    /// All evidence was set to nothing after it.
    resets: bool,
}

packed!(Step {
    tick,
    hour,
    counts,
    resets
});

/// What came in since the last tick.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Pending {
    /// By feature that was told of and is watched.
    pub(super) features: BTreeMap<usize, Counts>,
    pub(super) requests: u64,
    pub(super) unfit: u64,
}

packed!(Pending {
    features,
    requests,
    unfit,
});

/// What stands beside the streams.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Margin {
    /// Of sources that told something.
    pub(super) sources: BTreeMap<Source, (u64, u32)>,
    forgotten: u64,
    impossible: u64,
    warned: bool,
    pub(super) pending: Pending,
}

packed!(Margin {
    sources,
    forgotten,
    impossible,
    warned,
    pending,
});

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It counts.
    New,
    /// It had been counted already, or one after it.
    Again,
}

/// What a tick says of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// The mean over the streams of what the gates agree on.
    pub evidence: f64,
    /// ln evidence / ln c, from 0: the meter.
    pub meter: f64,
    /// What follows.
    pub outcome: Outcome,
}

/// What follows from a tick.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing new.
    Quiet,
    /// The evidence reached the threshold of a warning, for the first time in its episode.
    Warning(Vec<Moved>),
    /// It reached that of a page. All evidence of the model is nothing now.
    Page(Vec<Moved>),
}

/// A stream at the time of a page or a warning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moved {
    /// Which of the model's streams.
    pub stream: usize,
    /// What there is against it.
    pub evidence: Evidence,
    /// Whether it would be enough alone.
    pub alone: bool,
}

packed!(Moved {
    stream,
    evidence,
    alone,
});

/// A state that belongs to another reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kept evidence belongs to another reference: its streams do not fit")]
pub struct NotOurs;

impl Watch {
    /// Against this reference, with nothing seen.
    pub fn new(baseline: &Baseline) -> Self {
        let held = of_baseline(baseline);
        let streams = held.iter().map(|held| Stream::new(&held.null().experts));
        let state = State {
            streams: streams.collect(),
            sources: BTreeMap::new(),
            forgotten: 0,
            impossible: 0,
            warned: false,
            pending: Pending::default(),
        };
        Self { held, state }
    }

    /// Goes on with what was kept.
    pub fn resume(baseline: &Baseline, state: State) -> Result<Self, NotOurs> {
        let mut watch = Self::new(baseline);
        let fits = |(stream, held): (&Stream, &Held)| stream.fits(&held.null().experts);
        let all = state.streams.len() == watch.held.len();
        if !all || !state.streams.iter().zip(&watch.held).all(fits) {
            return Err(NotOurs);
        }
        watch.state = state;
        Ok(watch)
    }

    /// What is to be kept.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Takes a report. Sequences of a source rise; what is not above the last was counted.
    pub fn report(
        &mut self,
        (source, sequence): (Source, u64),
        tick: u32,
        report: &Report<'_>,
    ) -> Received {
        let last = self.state.sources.get(&source);
        if last.is_some_and(|(last, _)| *last >= sequence) {
            return Received::Again;
        }
        self.state.sources.insert(source, (sequence, tick));
        if self.state.sources.len() > SOURCES {
            self.forget();
        }
        let (held, pending) = (&self.held, &mut self.state.pending);
        for (feature, counts) in report.features {
            if !of_feature(held, *feature).is_empty() {
                pending.features.entry(*feature).or_default().merge(counts);
            }
        }
        pending.requests = pending.requests.saturating_add(report.requests);
        pending.unfit = pending.unfit.saturating_add(report.unfit);
        Received::New
    }

    /// Lets go of the source that was silent for the longest.
    fn forget(&mut self) {
        let sources = &self.state.sources;
        let oldest = sources.iter().min_by_key(|(_, (_, tick))| *tick);
        if let Some(source) = oldest.map(|(source, _)| *source) {
            self.state.sources.remove(&source);
            self.state.forgotten = self.state.forgotten.saturating_add(1);
        }
    }

    /// Closes a tick in an hour of the week, counted from Monday at midnight (UTC).
    pub fn tick(&mut self, tick: u32, hour: usize, budget: &Budget) -> Verdict {
        self.stepped(tick, hour, budget).0
    }

    /// As [`tick`](Self::tick), with what it takes to do the same to an older state.
    pub(super) fn stepped(&mut self, tick: u32, hour: usize, budget: &Budget) -> (Verdict, Step) {
        let counts = std::mem::take(&mut self.state.pending);
        self.take(tick, hour, &counts);
        let verdict = self.judged(budget);
        let resets = matches!(verdict.outcome, Outcome::Page(_));
        let step = Step {
            tick,
            hour,
            counts,
            resets,
        };
        (verdict, step)
    }

    /// Does to this state what was done to one after it.
    pub(super) fn redo(&mut self, step: &Step) {
        self.take(step.tick, step.hour, &step.counts);
        if step.resets {
            self.reset();
        }
    }

    /// What stands beside the streams, and of the sources these.
    pub(super) fn margin(&self, sources: &BTreeSet<Source>) -> Margin {
        let told = sources.iter().filter_map(|source| {
            let last = self.state.sources.get(source)?;
            Some((*source, *last))
        });
        Margin {
            sources: told.collect(),
            forgotten: self.state.forgotten,
            impossible: self.state.impossible,
            warned: self.state.warned,
            pending: self.state.pending.clone(),
        }
    }

    /// Takes over what stood beside the streams, after the steps before it.
    pub(super) fn edge(&mut self, margin: Margin) {
        self.state.sources.extend(margin.sources);
        while self.state.sources.len() > SOURCES {
            self.forget();
        }
        self.state.forgotten = margin.forgotten;
        self.state.impossible = margin.impossible;
        self.state.warned = margin.warned;
        self.state.pending = margin.pending;
    }

    fn take(&mut self, tick: u32, hour: usize, counts: &Pending) {
        for (feature, counts) in &counts.features {
            for at in of_feature(&self.held, *feature) {
                self.step(at, (tick, hour), |held| held.counts(counts));
            }
        }
        if counts.requests > 0
            && let Some(last) = self.held.len().checked_sub(1)
        {
            self.step(last, (tick, hour), |_| two(counts.requests, counts.unfit));
        }
    }

    fn step(
        &mut self,
        at: usize,
        (tick, hour): (u32, usize),
        counts: impl FnOnce(&Held) -> [u64; BINS],
    ) {
        let (Some(stream), Some(held)) = (self.state.streams.get_mut(at), self.held.get_mut(at))
        else {
            return;
        };
        held.turn(hour);
        let null = held.null();
        // Where everything is allowed, nothing can be concluded.
        if null.tolerance.bounds().allows_everything() {
            return;
        }
        let binned = held.binned(&counts(held), tick);
        if stream.step(tick, null, &binned).is_err() {
            self.state.impossible = self.state.impossible.saturating_add(1);
        }
    }

    fn judged(&mut self, budget: &Budget) -> Verdict {
        let moved = self.standing(budget);
        let all: f64 = moved.iter().map(|moved| moved.evidence.agreed()).sum();
        let evidence = all / moved.len().max(1) as f64;
        let page = budget.page();
        let meter = (evidence.max(1.0).ln() / page.ln()).min(1.0);
        let warning = budget.warning().min(page);
        let outcome = if evidence >= page {
            self.reset();
            Outcome::Page(moved)
        } else if evidence >= warning && !self.state.warned {
            self.state.warned = true;
            Outcome::Warning(moved)
        } else {
            self.state.warned &= evidence > OVER * warning;
            Outcome::Quiet
        };
        Verdict {
            evidence,
            meter,
            outcome,
        }
    }

    /// Whether anything came in since the last tick.
    pub fn has_news(&self) -> bool {
        let pending = &self.state.pending;
        pending.requests > 0 || !pending.features.is_empty()
    }

    /// Sets all evidence to nothing: what moved is accepted, or was looked at.
    pub fn reset(&mut self) {
        self.state.streams.iter_mut().for_each(Stream::reset);
        self.state.warned = false;
    }

    /// What there is against each stream now, in falling order of evidence.
    pub fn standing(&self, budget: &Budget) -> Vec<Moved> {
        let streams = self.state.streams.iter().zip(&self.held).enumerate();
        let moved = streams.map(|(stream, (state, held))| {
            let evidence = state.evidence(held.null());
            let alone = evidence.agreed() >= budget.alone(self.held.len());
            Moved {
                stream,
                evidence,
                alone,
            }
        });
        let mut moved: Vec<Moved> = moved.collect();
        moved.sort_by(|a, b| b.evidence.agreed().total_cmp(&a.evidence.agreed()));
        moved
    }

    /// How many streams the model has: `F`.
    pub fn streams(&self) -> usize {
        self.held.len()
    }

    /// What a stream watches, and of which feature of the profile.
    pub fn signal(&self, stream: usize) -> Option<(usize, Signal)> {
        let held = self.held.get(stream)?;
        Some((held.feature(), held.signal()))
    }

    /// What a stream is held against and what was seen of it.
    pub fn stream(&self, stream: usize) -> Option<(&Held, &Stream)> {
        Some((self.held.get(stream)?, self.state.streams.get(stream)?))
    }

    /// Bytes of the evidence and of what was seen.
    pub fn bytes(&self) -> usize {
        self.state.streams.iter().map(Stream::bytes).sum()
    }

    /// The rules of a stream: what is normal for it, and whether gate A is on.
    pub fn held_mut(&mut self, stream: usize) -> Option<&mut Held> {
        self.held.get_mut(stream)
    }

    /// Reports that were counted of sources since forgotten, and counts that no reference could
    /// have given: both should be 0.
    pub fn losses(&self) -> (u64, u64) {
        (self.state.forgotten, self.state.impossible)
    }
}

/// The streams of a feature, which lie side by side in the order of the features.
fn of_feature(held: &[Held], feature: usize) -> Range<usize> {
    let own = |held: &Held| held.signal() != Signal::Unfit;
    let first = held.partition_point(|held| own(held) && held.feature() < feature);
    let last = held.partition_point(|held| own(held) && held.feature() <= feature);
    first..last
}

#[cfg(test)]
mod tests;
