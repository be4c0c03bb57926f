//! What is said of a version whose values moved: which of them, since when, and how.

use std::collections::BTreeMap;

use super::super::explain::unit_of;
use super::super::recent::OfAll;
use super::{
    Budget, Event, Explanation, Guard, Lately, Moved, Onset, Page, Paged, Signal, TOLD, explain,
    moved,
};

impl Guard {
    /// Somebody is to be told of these, of which the first stand by the ranking.
    pub(super) fn page(
        &mut self,
        now_us: i64,
        tick: u32,
        evidence: f64,
        (all, ranked): (Vec<Moved>, usize),
    ) -> Event {
        let took = std::mem::take(&mut self.kept.gathered);
        if !self.kept.episode.is_open() {
            let told = all.into_iter().take(ranked.max(TOLD));
            let mut moved: Vec<_> = told.filter_map(|one| self.dated(tick, one)).collect();
            self.side_by_side(&mut moved, ranked);
            let first = moved.first().map(|(_, onset)| *onset);
            let since = first.map(|onset| self.recent.since(onset.tick));
            self.kept.page = Some(Page {
                at_us: now_us,
                since_us: first.map_or(now_us, |onset| onset.at_us),
                observations: since.map_or(0, |since| since.all.requests),
                evidence: evidence.max(1.0).ln(),
            });
            self.kept.paged = Some(Paged { moved, ranked });
            self.unsaved.paged();
        }
        Event::Alarm {
            at_us: now_us,
            took,
        }
    }

    /// What of the feature that moved most is told beside it, and has no evidence of its own yet,
    /// began when that did: what it was held to have begun by itself is chance.
    pub(super) fn side_by_side(&self, moved: &mut [(Moved, Onset)], ranked: usize) {
        let feature = |moved: &Moved| self.watch.signal(moved.stream).map(|(feature, _)| feature);
        let Some((first, since)) = moved.first().copied() else {
            return;
        };
        for (other, onset) in moved.iter_mut().skip(ranked.max(1)) {
            if feature(other) == feature(&first) {
                (*onset, other.evidence.age) = (since, first.evidence.age);
            }
        }
    }

    /// A stream with when its change began; `None` where nothing that was counted is held.
    pub(super) fn dated(&self, tick: u32, moved: Moved) -> Option<(Moved, Onset)> {
        let tick = onset(tick, moved.evidence.age);
        let at_us = self.recent.began(tick)?;
        Some((moved, Onset { tick, at_us }))
    }

    /// What moved, by what was counted since: of the page while its counts are held, else of now.
    /// The first explains most.
    pub fn explain(&self, budget: &Budget) -> Vec<(Explanation, i64)> {
        let now;
        let paged = match &self.kept.paged {
            Some(paged) => paged,
            None => {
                let moved = self.watch.standing(budget);
                let ranked = self::moved(&moved);
                let tick = self.recent.last_tick();
                let told = moved.into_iter().take(ranked);
                let moved = told.filter_map(|one| self.dated(tick, one)).collect();
                now = Paged { moved, ranked };
                &now
            }
        };
        // Of the feature that moved most all is told: that its values are out of range says where
        // they are not.
        let first = paged.moved.first().filter(|_| self.kept.paged.is_some());
        let first = first.and_then(|(first, _)| Some(self.watch.signal(first.stream)?.0));
        let is_first = |moved: &Moved| {
            first.is_some() && first == self.watch.signal(moved.stream).map(|(feature, _)| feature)
        };
        let told = paged.moved.iter().enumerate();
        let told = told.filter(|(at, (moved, _))| *at < paged.ranked || is_first(moved));
        // What moved for one reason began at one time.
        let mut since: BTreeMap<u32, OfAll> = BTreeMap::new();
        let mut paged_since = None;
        let explained = told.filter_map(|(at, (moved, onset))| {
            let since = since.entry(onset.tick);
            let since = since.or_insert_with(|| self.recent.since(onset.tick).all);
            let lately = self.lately(moved.stream, since)?;
            let features = self.baseline.features();
            let ranked = at < paged.ranked;
            let mut explanation = explain(&self.watch, features, moved, ranked, &lately)?;
            // A change that is held to have begun too early has values of before it among its own:
            // those since somebody was told have not.
            if explanation.unit.is_none()
                && lately.magnitudes.is_some()
                && let Some(page) = &self.kept.page
            {
                let paged = || self.recent.since_us(page.at_us).all;
                let since = paged_since.get_or_insert_with(paged);
                let (at, _) = self.watch.signal(moved.stream)?;
                let live = since.features.get(at).zip(features.get(at));
                explanation.unit = live.and_then(|(live, of)| unit_of(of, &live.magnitudes));
            }
            Some((explanation, onset.at_us))
        });
        explained.collect()
    }

    /// What was counted of a stream since.
    fn lately(&self, stream: usize, since: &OfAll) -> Option<Lately> {
        let (feature, signal) = self.watch.signal(stream)?;
        if signal == Signal::Unfit {
            return Some(Lately {
                observations: since.requests,
                on: since.unfit,
                ..Lately::default()
            });
        }
        let live = since.features.get(feature)?;
        let (held, _) = self.watch.stream(stream)?;
        let [observations, on, ..] = held.counts(&live.counts);
        Some(match signal {
            Signal::Values => Lately {
                bins: live.counts.bins,
                magnitudes: Some(live.magnitudes.clone()),
                ..Lately::default()
            },
            Signal::Missing | Signal::Unseen | Signal::OutOfRange | Signal::Unfit => Lately {
                observations,
                on,
                ..Lately::default()
            },
        })
    }
}

/// The tick in which a change began that is so many ticks old.
fn onset(tick: u32, age: f32) -> u32 {
    tick.saturating_sub(age.max(0.0).round() as u32)
}
