//! What is watched of a feature: its values, and how often they are missing, unseen or out of
//! range. Each is a stream of its own.

use std::sync::Arc;

use binnacle_sketch::profile::{BINS, Counts, Feature, Found, HOURS, Hours, rows_behind};
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Part};
use super::experts::Experts;
use super::share::Share;
use super::stream::Null;
use super::tolerance::{Bounds, Tolerance};
use crate::packed::packed;

/// What a stream watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Signal {
    /// Where its values lie.
    Values,
    /// Values that are missing, not finite, or of a wrong type.
    Missing,
    /// Categories that the reference never saw.
    Unseen,
    /// Numbers below the least or above the greatest of the reference.
    OutOfRange,
    /// Requests that do not fit the model's signature: of no one feature.
    Unfit,
}

/// Shares that somebody said are normal, for a stream of values.
#[derive(Clone, Debug, PartialEq)]
pub struct Normal {
    /// The hour of the week that they hold in; `None` for all.
    pub hour: Option<usize>,
    /// The share of each bin.
    pub shares: [f64; BINS],
}

packed!(Normal { hour, shares });

/// The rules of one stream.
#[derive(Clone, Debug)]
pub struct Held {
    feature: usize,
    signal: Signal,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Values(Box<Values>),
    Share(Box<Share>),
}

#[derive(Clone, Debug)]
struct Values {
    /// Without windows that were accepted, and of the reference without time.
    plain: Null,
    /// Where the feature follows the hours of the week.
    hours: Option<Hours>,
    normal: Vec<Normal>,
    /// The null of the hour that was turned to last.
    now: Option<(usize, Null)>,
}

/// The streams of a reference: its features in order, and of each the signals that it can have;
/// and what does not fit them.
pub(super) fn of_baseline(baseline: &Baseline) -> Vec<Held> {
    let mut all = Vec::new();
    for (part, features) in baseline.parts() {
        all.extend(of_part(part, features));
    }
    let Some((first, _)) = baseline.parts().next() else {
        return all;
    };
    // Every row of the reference had its columns, or it would be none.
    let share = Share::of_gaps(first.rows, 1, first.seed, "requests that do not fit");
    all.push(Held {
        feature: baseline.features().len(),
        signal: Signal::Unfit,
        rule: Rule::Share(Box::new(share)),
    });
    all
}

/// Text has no bins, and is watched for what is missing alone; what is told of it in numbers is
/// features of their own. Nothing is taken for granted of more rows than were looked at.
fn of_part(part: &Part, features: &[Feature]) -> Vec<Held> {
    let experts = Arc::new(Experts::of_features());
    let tolerance = Arc::new(Tolerance::new(&experts, Bounds::of_feature()));
    let mut all = Vec::new();
    let behind = rows_behind(features, part.rows);
    for ((at, feature), rows) in (part.features.start..).zip(features).zip(behind) {
        let name = |what: &str| format!("{what} of {}", feature.name);
        let rule = |share| Rule::Share(Box::new(share));
        let mut push = |signal, rule| {
            all.push(Held {
                feature: at,
                signal,
                rule,
            });
        };
        if let Some(bins) = feature.bins() {
            let plain = Null {
                experts: Arc::clone(&experts),
                tolerance: Arc::clone(&tolerance),
                gaps: Some(bins.gaps().to_vec()),
            };
            push(
                Signal::Values,
                Rule::Values(Box::new(Values::of(plain, feature))),
            );
        }
        let missing = feature.nulls.saturating_add(feature.not_finite);
        let share = Share::new(rows, missing, part.seed, &name("missing"));
        push(Signal::Missing, rule(share));
        match &feature.found {
            Found::Numbers(_) => {
                // Of all values of the reference none lies outside. A fresh one does when it
                // falls into the gap at either end.
                let inside = rows.saturating_sub(missing).saturating_sub(1);
                let share = Share::of_gaps(inside, 2, part.seed, &name("out of range"));
                push(Signal::OutOfRange, rule(share));
            }
            Found::Categories(ranked) => {
                // A fresh value is new as often as one of the sample was alone (Good 1953).
                let table = ranked.categories.table().iter();
                let alone = table.filter(|category| category.sampled == 1).count() as u64;
                let others = u64::from(ranked.bins.sampled()).saturating_sub(alone);
                let share = Share::of_gaps(others, alone + 1, part.seed, &name("unseen"));
                push(Signal::Unseen, rule(share));
            }
            Found::Nothing | Found::Text { .. } => {}
        }
    }
    all
}

impl Held {
    /// Which feature of the profile; one past the last for what is of no one feature.
    pub fn feature(&self) -> usize {
        self.feature
    }

    /// What is watched of it.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// The share of the reference, of a two-valued signal.
    pub fn share(&self) -> Option<&Share> {
        match &self.rule {
            Rule::Values(_) => None,
            Rule::Share(share) => Some(share),
        }
    }

    /// What the stream is held against, in the hour that was turned to last.
    pub fn null(&self) -> &Null {
        match &self.rule {
            Rule::Values(values) => values.now.as_ref().map_or(&values.plain, |(_, now)| now),
            Rule::Share(share) => share.null(),
        }
    }

    /// Whether it is held against the hours of the week.
    pub fn is_seasonal(&self) -> bool {
        match &self.rule {
            Rule::Values(values) => values.hours.is_some(),
            Rule::Share(_) => false,
        }
    }

    /// What was accepted as normal, whole: an earlier list is replaced.
    pub fn accept(&mut self, normal: Vec<Normal>) {
        if let Rule::Values(values) = &mut self.rule {
            values.normal = normal;
            values.now = None;
        }
    }

    /// Turns to an hour of the week: what the stream is held against may be another one then.
    pub(super) fn turn(&mut self, hour: usize) {
        if let Rule::Values(values) = &mut self.rule {
            values.turn(hour % HOURS);
        }
    }

    /// What of a feature's counts is this stream's: bins, or observations and how many are on.
    pub(super) fn counts(&self, counts: &Counts) -> [u64; BINS] {
        let all = counts.binned();
        let [observations, on] = match self.signal {
            Signal::Values => return counts.bins,
            Signal::Missing => [all.saturating_add(counts.missing), counts.missing],
            Signal::Unseen => [all, counts.unseen],
            Signal::OutOfRange => [all, counts.under.saturating_add(counts.over)],
            Signal::Unfit => [0, 0],
        };
        two(observations, on)
    }

    /// The bins of what was gathered in a tick.
    pub(super) fn binned(&self, gathered: &[u64; BINS], tick: u32) -> Vec<u64> {
        match (&self.rule, gathered) {
            (Rule::Values(_), _) => gathered.to_vec(),
            (Rule::Share(share), [observations, on, ..]) => {
                share.counts(*observations, *on, tick).to_vec()
            }
        }
    }
}

/// Observations of a two-valued signal and how many are on, where bins have their place.
pub(super) fn two(observations: u64, on: u64) -> [u64; BINS] {
    let mut counts = [0; BINS];
    let [first, second, ..] = &mut counts;
    (*first, *second) = (observations, on);
    counts
}

impl Values {
    /// A feature that alarms on its own past is taken to follow the hours of the week: gate A is
    /// off, and gate B's box is the reference of each hour.
    fn of(plain: Null, feature: &Feature) -> Self {
        let hours = feature.hours.clone();
        let hours = hours.filter(|_| feature.moves_after.is_some());
        Self {
            plain: Null {
                gaps: plain.gaps.filter(|_| hours.is_none()),
                ..plain
            },
            hours,
            normal: Vec::new(),
            now: None,
        }
    }

    fn turn(&mut self, hour: usize) {
        let plain = self.hours.is_none() && self.normal.is_empty();
        if plain || self.now.as_ref().is_some_and(|(then, _)| *then == hour) {
            return;
        }
        let mut bounds = match &self.hours {
            Some(hours) => Bounds::of_hour(hours, hour),
            None => self.plain.tolerance.bounds().clone(),
        };
        let normal = self.normal.iter();
        for normal in normal.filter(|normal| normal.hour.is_none_or(|own| own == hour)) {
            bounds = bounds.widened(&normal.shares);
        }
        let null = Null {
            tolerance: Arc::new(Tolerance::new(&self.plain.experts, bounds)),
            ..self.plain.clone()
        };
        self.now = Some((hour, null));
    }
}
