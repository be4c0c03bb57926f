//! The inputs of one version at one endpoint under guard: what was counted of them, what there is
//! against them, and what was said of that.
//!
//! Counts come in by host, each report once, and are looked at when a tick closes. Beside the
//! evidence ([`Watch`], kept over restarts) the counts of late are held in cuts that grow coarser
//! with age, so that what moved can be told in numbers: since when, how, and on which hosts.

use std::sync::Arc;

use binnacle_sketch::profile::{BINS, Counts, hour_of_week};

use self::keep::Unsaved;
use super::baseline::Baseline;
use super::beside::{Seen, Side};
use super::budget::Budget;
use super::episode::{Effect, Episode, Event};
use super::explain::{Explanation, Lately, explain, moved, named};
use super::recent::Recent;
use super::signal::{Normal, Signal};
use super::watch::{Moved, Outcome, Received, Report, Source, Verdict, Watch};
use crate::endpoint::EndpointName;
use crate::name::Name;
use crate::packed::{document, packed};
use crate::registry::Reference;
use crate::report::{InputWindow, References};

mod arrival;
mod course;
mod keep;
mod measure;
mod page;
mod window;

pub use course::{Course, MOMENTS};
pub use keep::{NotKept, Row};
pub use measure::{Beyond, Yardstick};
pub use window::Window;

/// Streams of which a page tells, beyond the ranking: the first says most.
const TOLD: usize = 8;
/// Values under which shares are too rough to be called normal: twenty a bin.
const LEAST: u64 = 20 * BINS as u64;

/// One version at one endpoint.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Of the features of its vector and of its answers, in this order.
    baseline: Arc<Baseline>,
    watch: Watch,
    kept: Kept,
    recent: Recent,
    /// What the last tick said.
    verdict: Option<Verdict>,
    unsaved: Unsaved,
}

/// What is kept over restarts beside the evidence.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    references: References,
    /// The first tick began then.
    started_us: i64,
    /// How long a tick lasts.
    tick_us: i64,
    /// Of each feature of the vector, since then.
    totals: Vec<Counts>,
    requests: u64,
    unfit: u64,
    skipped: u64,
    dropped: u64,
    /// Ticks with an observation.
    ticks: u64,
    /// Requests since the evidence was nothing.
    gathered: u64,
    /// Requests since the last tick.
    passed: u64,
    /// Of the window that was counted last: when it ended.
    seen_us: i64,
    episode: Episode,
    page: Option<Page>,
    /// What of it moved.
    paged: Option<Paged>,
    /// When the evidence last reached the threshold of a warning.
    warned_us: Option<i64>,
    /// Of the versions that began to serve on its day, it was the n-th, from 1.
    nth: u32,
    /// How often its values were held against the reference of a fixed size.
    looked: u32,
    /// The entry of the journal that was last heeded.
    heeded: u64,
    /// Shares that were accepted as normal, by stream.
    normal: Vec<(usize, Normal)>,
}

packed!(Kept {
    references,
    started_us,
    tick_us,
    totals,
    requests,
    unfit,
    skipped,
    dropped,
    ticks,
    gathered,
    passed,
    seen_us,
    episode,
    page,
    paged,
    warned_us,
    nth,
    looked,
    heeded,
    normal,
});

packed!(References { inputs, outputs });

document!(Episode);

/// A page, as it was when it was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// When.
    pub at_us: i64,
    /// When the change began that moved most.
    pub since_us: i64,
    /// Requests that were looked at from then to the page.
    pub observations: u64,
    /// ln evidence.
    pub evidence: f64,
}

packed!(Page {
    at_us,
    since_us,
    observations,
    evidence,
});

#[derive(Clone, Debug, PartialEq)]
struct Paged {
    /// Each stream, in falling order of evidence, and when its change began: cuts grow coarser, and
    /// what is known now is not known as precisely later.
    moved: Vec<(Moved, Onset)>,
    /// How many of these stand by the ranking.
    ranked: usize,
}

/// When a change began: by the tick, and by the clock of those who counted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Onset {
    tick: u32,
    at_us: i64,
}

packed!(Paged { moved, ranked });

packed!(Onset { tick, at_us });

/// What a tick came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing new.
    Nothing,
    /// It pages.
    Page,
    /// It goes on.
    GoesOn,
    /// It is over.
    Over,
}

/// How a stream stands.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamStands {
    /// The feature; empty for what is of no one feature.
    pub feature: String,
    /// What of it.
    pub signal: Signal,
    /// ln of what both gates agree on.
    pub evidence: f64,
    /// The same as a part of what the stream alone needs to page.
    pub meter: f64,
    /// Values so far.
    pub observations: u64,
    /// Values of the reference.
    pub reference: u32,
    /// φ, where it is known.
    pub spread: Option<f32>,
    /// It is held against the hours of the week.
    pub seasonal: bool,
}

/// Totals since the guard began.
#[derive(Clone, Debug, PartialEq)]
pub struct Totals<'a> {
    /// Each feature's name and counts.
    pub features: Vec<(&'a str, &'a Counts)>,
    /// Requests that were looked at.
    pub requests: u64,
    /// Of these, those that do not fit.
    pub unfit: u64,
    /// Requests that sampling left out.
    pub skipped: u64,
    /// Requests that there was no room for.
    pub dropped: u64,
    /// Ticks with an observation.
    pub ticks: u64,
}

impl Guard {
    /// Against what has these names in the hub's store; the n-th that begins on its day, from 1.
    pub fn new(
        baseline: Arc<Baseline>,
        references: References,
        (now_us, tick_us): (i64, i64),
        nth: u32,
    ) -> Self {
        let kept = Kept {
            references,
            started_us: now_us,
            tick_us: tick_us.max(1),
            totals: vec![Counts::default(); baseline.features().len()],
            requests: 0,
            unfit: 0,
            skipped: 0,
            dropped: 0,
            ticks: 0,
            gathered: 0,
            passed: 0,
            seen_us: 0,
            episode: Episode::default(),
            page: None,
            paged: None,
            warned_us: None,
            nth: nth.max(1),
            looked: 0,
            heeded: 0,
            normal: Vec::new(),
        };
        let watch = Watch::new(&baseline);
        let recent = Recent::new(baseline.features().len());
        Self {
            unsaved: Unsaved::begun(&kept, watch.state(), &recent),
            watch,
            recent,
            baseline,
            kept,
            verdict: None,
        }
    }

    /// The tick that lies at `now_us`.
    fn tick_of(&self, now_us: i64) -> u32 {
        let passed = now_us.saturating_sub(self.kept.started_us) / self.kept.tick_us;
        u32::try_from(passed).unwrap_or(0)
    }

    /// Takes what a host counted, once. `source` and `sequence` name the report.
    pub fn receive(
        &mut self,
        host: &Name,
        (source, sequence): (Source, u64),
        window: &InputWindow,
        now_us: i64,
    ) -> Received {
        let own = self.baseline.features();
        // An agent tells them in the vector's order.
        let place = |at: usize, name: &str| match own.get(at) {
            Some(feature) if feature.name == *name => Some(at),
            Some(_) | None => own.iter().position(|feature| feature.name == *name),
        };
        let features = window.features.iter().enumerate();
        let features: Vec<_> = features
            .filter_map(|(at, (name, live))| Some((place(at, name)?, live)))
            .collect();
        let counts: Vec<_> = features
            .iter()
            .map(|(at, live)| (*at, live.counts))
            .collect();
        let report = Report {
            features: &counts,
            requests: window.requests,
            unfit: window.unfit,
        };
        let tick = self.tick_of(now_us);
        let received = self.watch.report((source, sequence), tick, &report);
        if received == Received::Again {
            return received;
        }
        self.unsaved.told(source);
        for (at, counts) in &counts {
            if let Some(total) = self.kept.totals.get_mut(*at) {
                total.merge(counts);
            }
        }
        let add = |total: &mut u64, more: u64| *total = total.saturating_add(more);
        add(&mut self.kept.requests, window.requests);
        add(&mut self.kept.unfit, window.unfit);
        add(&mut self.kept.skipped, window.skipped);
        add(&mut self.kept.dropped, window.dropped);
        add(&mut self.kept.gathered, window.requests);
        add(&mut self.kept.passed, window.requests);
        // A clock that runs ahead does not see the future.
        let to_us = window.to_us.min(now_us);
        self.kept.seen_us = self.kept.seen_us.max(to_us);
        let from_us = window.from_us.min(to_us);
        self.recent.add(host, (from_us, to_us), window, &features);
        received
    }

    /// Closes what came in since the last tick.
    pub fn tick(&mut self, now_us: i64, budget: &Budget) -> Turn {
        if !self.watch.has_news() {
            return Turn::Nothing;
        }
        self.kept.ticks += 1;
        let tick = self.tick_of(now_us);
        let hour = hour_of_week(now_us);
        let span_us = self.recent.open().span_us;
        self.recent.close(tick);
        let passed = std::mem::take(&mut self.kept.passed);
        let (verdict, step) = self.watch.stepped(tick, hour, budget);
        self.unsaved.stepped(step, span_us);
        if matches!(verdict.outcome, Outcome::Warning(_)) {
            self.kept.warned_us = Some(now_us);
        }
        let arrived = self.on_arrival(tick, budget);
        let evidence = verdict.evidence;
        let turn = match &verdict.outcome {
            Outcome::Page(all) => {
                let ranked = named(all);
                let all = all.clone();
                self.page(now_us, tick, evidence, (all, ranked))
            }
            Outcome::Warning(_) | Outcome::Quiet if arrived.is_empty() => Event::Passed(passed),
            Outcome::Warning(_) | Outcome::Quiet => {
                let ranked = arrived.len();
                self.page(now_us, tick, evidence, (arrived, ranked))
            }
        };
        self.verdict = Some(verdict);
        match self.kept.episode.on(turn) {
            Effect::Nothing | Effect::Acknowledged => Turn::Nothing,
            Effect::Page => Turn::Page,
            Effect::GoesOn => Turn::GoesOn,
            Effect::Over => Turn::Over,
        }
    }

    /// The episode, as it stands.
    pub fn episode(&self) -> &Episode {
        &self.kept.episode
    }

    /// When it was last warned of: shown, never paged.
    pub fn warned_us(&self) -> Option<i64> {
        self.kept.warned_us
    }

    /// What was said when it began; of an episode that is over, the last one.
    pub fn last_page(&self) -> Option<&Page> {
        self.kept.page.as_ref()
    }

    /// From now on what is measured counts as normal: what moved is accepted, in the entry of the
    /// journal with this number. The evidence begins anew, and the shares of values since it moved
    /// widen what gate B takes for normal, where enough of them have come. Answers with whether an
    /// episode ended by it.
    pub fn rebaseline(&mut self, entry: u64) -> bool {
        if entry <= self.kept.heeded {
            return false;
        }
        self.kept.heeded = entry;
        self.unsaved.whole();
        let tick = self.recent.last_tick();
        let first = self
            .kept
            .paged
            .as_ref()
            .and_then(|paged| paged.moved.first());
        let since = first.map_or(tick, |(_, onset)| onset.tick);
        let since = self.recent.since(since).all;
        for stream in 0..self.watch.streams() {
            if let Some((feature, Signal::Values)) = self.watch.signal(stream)
                && let Some(live) = since.features.get(feature)
                && let Some(shares) = live_shares(&live.counts)
            {
                self.kept
                    .normal
                    .push((stream, Normal { hour: None, shares }));
            }
        }
        self.accept();
        self.watch.reset();
        self.kept.gathered = 0;
        self.kept.looked = u32::MAX;
        self.kept.paged = None;
        self.kept.episode.on(Event::Rebaselined) == Effect::Over
    }

    /// Has gate B take for normal what was accepted as such.
    fn accept(&mut self) {
        for stream in 0..self.watch.streams() {
            let own = self.kept.normal.iter().filter(|(of, _)| *of == stream);
            let own: Vec<Normal> = own.map(|(_, normal)| normal.clone()).collect();
            if let Some(held) = self.watch.held_mut(stream).filter(|_| !own.is_empty()) {
                held.accept(own);
            }
        }
    }

    /// ln evidence ÷ ln c, from 0 to 1: how near to a page it is.
    pub fn meter(&self) -> f64 {
        self.verdict.as_ref().map_or(0.0, |verdict| verdict.meter)
    }

    /// Each stream, in falling order of evidence.
    pub fn streams(&self, budget: &Budget) -> Vec<StreamStands> {
        let alone = budget.alone(self.watch.streams()).ln();
        let all = self.watch.standing(budget).into_iter();
        let stands = all.filter_map(|moved| {
            let (feature, signal) = self.watch.signal(moved.stream)?;
            let (held, stream) = self.watch.stream(moved.stream)?;
            let feature = self.baseline.features().get(feature);
            let evidence = moved.evidence.agreed().max(1.0).ln();
            Some(StreamStands {
                feature: feature.map_or_else(String::new, |feature| feature.name.clone()),
                signal,
                evidence,
                meter: (evidence / alone).min(1.0),
                observations: stream.observations(),
                reference: feature.map_or(0, |feature| feature.sampled()),
                spread: stream.spread().phi(),
                seasonal: held.is_seasonal(),
            })
        });
        stands.collect()
    }

    /// Values of the reference that the least of its features has.
    pub fn sampled(&self) -> u32 {
        let all = self
            .baseline
            .features()
            .iter()
            .map(|feature| feature.sampled());
        all.min().unwrap_or(0)
    }

    /// How many streams there are: `F`.
    pub fn stream_count(&self) -> usize {
        self.watch.streams()
    }

    /// All that was counted since it began.
    pub fn totals(&self) -> Totals<'_> {
        let features = self
            .baseline
            .features()
            .iter()
            .map(|feature| feature.name.as_str());
        Totals {
            features: features.zip(&self.kept.totals).collect(),
            requests: self.kept.requests,
            unfit: self.kept.unfit,
            skipped: self.kept.skipped,
            dropped: self.kept.dropped,
            ticks: self.kept.ticks,
        }
    }

    /// All that was counted since it began, as one side of a comparison.
    pub fn side(&self) -> Side {
        let features = self.baseline.features().iter().zip(&self.kept.totals);
        let mut features: Vec<Seen> = features
            .map(|(feature, counts)| Seen {
                name: feature.name.as_str().into(),
                counts: *counts,
                spread: 1.0,
            })
            .collect();
        for stream in 0..self.watch.streams() {
            if let Some((held, state)) = self.watch.stream(stream)
                && held.signal() == Signal::Values
                && let Some(seen) = features.get_mut(held.feature())
            {
                seen.spread = state.spread().phi().map_or(1.0, f64::from);
            }
        }
        Side {
            references: self.kept.references,
            features,
        }
    }

    /// What it is held against.
    pub fn references(&self) -> References {
        self.kept.references
    }

    /// Since when it is watched, and up to when something was counted.
    pub fn span_us(&self) -> (i64, i64) {
        (self.kept.started_us, self.kept.seen_us)
    }
}

/// The shares of the bins; `None` of too few values to tell.
fn live_shares(counts: &Counts) -> Option<[f64; BINS]> {
    let all = counts.binned();
    (all >= LEAST).then(|| counts.bins.map(|n| n as f64 / all as f64))
}

/// What names a row of what is kept of a version at an endpoint.
pub fn key(endpoint: &EndpointName, version: &Reference, row: u32) -> String {
    format!("{endpoint} {version} {row}")
}

/// What a row belongs to, and its number; `None` where it is named otherwise.
pub fn place(key: &str) -> Option<((EndpointName, Reference), u32)> {
    let mut words = key.split(' ');
    let place = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let row = words.next()?.parse().ok()?;
    words.next().is_none().then_some((place, row))
}

#[cfg(test)]
mod tests;
