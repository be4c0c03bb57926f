//! The streams of one model that serves, held against the reference of the version that does.
//!
//! Reports come in under a source and a sequence; each is counted once, whenever and however often
//! it arrives. A tick closes what came in since the last and asks both gates. A model pages when
//! the mean over its streams of what the gates agree on reaches `c`: the lesser gate first, then
//! the mean. The mean of both gates would let one of them page alone.

use std::collections::BTreeMap;

use binnacle_sketch::profile::{BINS, Counts, Profile};
use serde::{Deserialize, Serialize};

use super::budget::Budget;
use super::signal::{Held, Signal, of_profile, two};
use super::stream::{Evidence, Stream};

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
    /// Of features, by their place in the profile.
    pub features: &'a [(usize, Counts)],
    /// Requests that were looked at.
    pub requests: u64,
    /// Of these, how many do not fit the model's signature.
    pub unfit: u64,
}

/// A model under watch.
#[derive(Clone, Debug)]
pub struct Watch {
    /// In the order of the profile's features, those of one feature side by side.
    held: Vec<Held>,
    state: State,
}

/// What is kept over restarts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    streams: Vec<Stream>,
    /// The last sequence of each source, and the tick in which it came.
    #[serde(with = "sources")]
    sources: BTreeMap<Source, (u64, u32)>,
    /// Sources that had to be forgotten.
    forgotten: u64,
    /// Counts that their reference could not have given.
    impossible: u64,
    warned: bool,
    /// What came in since the last tick, by stream: a report may be acknowledged once this is
    /// kept, whether its tick is over or not.
    pending: BTreeMap<usize, [u64; BINS]>,
}

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

/// A state that belongs to another reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kept evidence belongs to another reference: its streams do not fit")]
pub struct NotOurs;

impl Watch {
    /// Against this reference, with nothing seen.
    pub fn new(profile: &Profile) -> Self {
        let held = of_profile(profile);
        let streams = held.iter().map(|held| Stream::new(&held.null().experts));
        let state = State {
            streams: streams.collect(),
            sources: BTreeMap::new(),
            forgotten: 0,
            impossible: 0,
            warned: false,
            pending: BTreeMap::new(),
        };
        Self { held, state }
    }

    /// Goes on with what was kept.
    pub fn resume(profile: &Profile, state: State) -> Result<Self, NotOurs> {
        let mut watch = Self::new(profile);
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
        for (feature, counts) in report.features {
            self.count(*feature, counts);
        }
        if report.requests > 0
            && let Some(last) = self.held.len().checked_sub(1)
        {
            self.add(last, two(report.requests, report.unfit));
        }
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

    fn count(&mut self, feature: usize, counts: &Counts) {
        let streams = self.held.iter().enumerate();
        let own = streams.filter(|(_, held)| held.feature() == feature);
        let own: Vec<_> = own
            .filter(|(_, held)| held.signal() != Signal::Unfit)
            .collect();
        let own: Vec<_> = own
            .iter()
            .map(|(at, held)| (*at, held.counts(counts)))
            .collect();
        for (at, counts) in own {
            self.add(at, counts);
        }
    }

    fn add(&mut self, stream: usize, counts: [u64; BINS]) {
        let pending = self.state.pending.entry(stream).or_default();
        for (all, more) in pending.iter_mut().zip(counts) {
            *all = all.saturating_add(more);
        }
    }

    /// Closes a tick in an hour of the week, counted from Monday at midnight (UTC).
    pub fn tick(&mut self, tick: u32, hour: usize, budget: &Budget) -> Verdict {
        for (at, counts) in std::mem::take(&mut self.state.pending) {
            let (Some(stream), Some(held)) =
                (self.state.streams.get_mut(at), self.held.get_mut(at))
            else {
                continue;
            };
            held.turn(hour);
            let null = held.null();
            // Where everything is allowed, nothing can be concluded.
            if null.tolerance.bounds().allows_everything() {
                continue;
            }
            let binned = held.binned(&counts, tick);
            if stream.step(tick, null, &binned).is_err() {
                self.state.impossible = self.state.impossible.saturating_add(1);
            }
        }
        self.judged(budget)
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
        !self.state.pending.is_empty()
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

/// Maps with keys of bytes are no JSON: they are written as a list.
mod sources {
    use std::collections::BTreeMap;

    use serde::{Deserialize as _, Deserializer, Serializer};

    use super::Source;

    type Sources = BTreeMap<Source, (u64, u32)>;

    pub(super) fn serialize<S: Serializer>(all: &Sources, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(all)
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Sources, D::Error> {
        let all = Vec::<(Source, (u64, u32))>::deserialize(from)?;
        Ok(all.into_iter().collect())
    }
}

#[cfg(test)]
mod tests;
