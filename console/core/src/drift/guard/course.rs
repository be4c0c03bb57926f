//! How far each feature lay from its reference, moment by moment: what a heat map draws.
//!
//! Nothing is kept for it: it is read from the cuts of what was counted of late, for the one
//! version that somebody looks at.

use binnacle_sketch::profile::{BINS, Counts, Feature, Found, HOURS, hour_of_week, psi};

use super::super::recent::Span;
use super::super::signal::{Held, Signal};
use super::Guard;

/// Moments of a course.
pub const MOMENTS: usize = 48;
/// How far a course looks back at most: what began earlier is told in words.
const LONGEST_US: i64 = 2 * 3_600_000_000;
/// Values of a moment below which it says nothing.
const LEAST: u64 = 20;

/// How far features lay from their reference, in [`MOMENTS`] steps up to now.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// When the first moment begins.
    pub from_us: i64,
    /// How long each of them is.
    pub step_us: i64,
    /// By feature, and one past the last for the requests: of each moment the population
    /// stability index beyond what chance alone stays below in 39 of 40 cases, the greatest of the
    /// feature's signals. `None` where too little was counted, or it is not known any more.
    pub features: Vec<Vec<Option<f64>>>,
}

/// What was counted in a moment.
#[derive(Clone, Debug, Default)]
struct Moment {
    features: Vec<Counts>,
    requests: u64,
    unfit: u64,
}

impl Guard {
    /// The course of every feature up to this time.
    pub fn course(&self, now_us: i64) -> Course {
        let tick_us = self.kept.tick_us;
        let last = i64::from(self.tick_of(now_us));
        let ticks = (last + 1).min(LONGEST_US / tick_us).max(1);
        let step = (ticks as u64).div_ceil(MOMENTS as u64) as i64;
        let first = last + 1 - step * MOMENTS as i64;
        let spans: Vec<Span<'_>> = self.recent.spans().collect();
        let mut features = vec![Vec::with_capacity(MOMENTS); self.baseline.features().len() + 1];
        let mut before: Option<(Vec<usize>, Vec<Option<f64>>)> = None;
        for at in 0..MOMENTS as i64 {
            let from = first + at * step;
            let own = within(&spans, from, from + step);
            // A cut may be longer than a moment: it is read once.
            let apart = match before.take() {
                Some((same, apart)) if same == own => apart,
                Some(_) | None => {
                    let now_us = self.kept.started_us + from * tick_us;
                    self.apart(&spans, &own, hour_of_week(now_us))
                }
            };
            for (course, x) in features.iter_mut().zip(&apart) {
                course.push(*x);
            }
            before = Some((own, apart));
        }
        Course {
            from_us: self.kept.started_us + first * tick_us,
            step_us: step * tick_us,
            features,
        }
    }

    /// How far each feature lay in these spans.
    fn apart(&self, spans: &[Span<'_>], own: &[usize], hour: usize) -> Vec<Option<f64>> {
        let mut moment = Moment::default();
        for span in own.iter().filter_map(|at| spans.get(*at)) {
            let counted = span.counted();
            moment.requests += counted.requests;
            moment.unfit += counted.unfit;
            let most = moment.features.len().max(counted.features.len());
            moment.features.resize(most, Counts::default());
            for (own, live) in moment.features.iter_mut().zip(&counted.features) {
                own.merge(&live.counts);
            }
        }
        let features = self.baseline.features();
        let mut all = vec![None; features.len() + 1];
        for stream in 0..self.watch.streams() {
            let Some((held, _)) = self.watch.stream(stream) else {
                continue;
            };
            let at = held.feature();
            let found = moment.apart(held, features.get(at), hour);
            if let Some(most) = all.get_mut(at) {
                *most = found.into_iter().chain(*most).reduce(f64::max);
            }
        }
        all
    }
}

/// The spans that tell of a moment: those that begin in it, or else the one that covers it.
fn within(spans: &[Span<'_>], from: i64, to: i64) -> Vec<usize> {
    let begin = |span: &Span<'_>| (from..to).contains(&i64::from(span.first));
    let all = spans.iter().enumerate();
    let own: Vec<usize> = all
        .filter(|(_, span)| begin(span))
        .map(|(at, _)| at)
        .collect();
    if !own.is_empty() {
        return own;
    }
    let covers = |span: &Span<'_>| i64::from(span.first) < from && from <= i64::from(span.last);
    spans.iter().position(covers).into_iter().collect()
}

impl Moment {
    /// How far a stream lay from what it is held against.
    fn apart(&self, held: &Held, feature: Option<&Feature>, hour: usize) -> Option<f64> {
        let none = Counts::default();
        let counts = self.features.get(held.feature()).unwrap_or(&none);
        match held.share() {
            Some(share) => {
                let (of, on) = match (held.signal(), held.counts(counts)) {
                    (Signal::Unfit, _) => (self.requests, self.unfit),
                    (
                        Signal::Values | Signal::Missing | Signal::Unseen | Signal::OutOfRange,
                        [of, on, ..],
                    ) => (of, on),
                };
                let gaps = share.null().gaps.iter().flatten();
                let rows = gaps.fold(0_u32, |all, gaps| all.saturating_add(*gaps));
                beyond(
                    &two(share.reference(), 1.0 - share.reference()),
                    rows,
                    &two(on as f64, of.saturating_sub(on) as f64),
                )
            }
            None => {
                let (shares, m) = reference(feature?, held.is_seasonal().then_some(hour))?;
                beyond(&shares, m, &counts.bins.map(|n| n as f64))
            }
        }
    }
}

/// The shares of a feature's bins and the values behind them: in this hour of the week, where the
/// feature follows it.
fn reference(feature: &Feature, hour: Option<usize>) -> Option<([f64; BINS], u32)> {
    let bins = feature.bins()?;
    if let (Some(hour), Some(hours)) = (hour, &feature.hours) {
        let hour = hour % HOURS;
        let mut shares = [0.0; BINS];
        for (bin, share) in shares.iter_mut().enumerate() {
            *share = hours.share(hour, bin)?;
        }
        return Some((shares, hours.rows(hour)));
    }
    match &feature.found {
        Found::Nothing | Found::Text { .. } => None,
        Found::Numbers(_) | Found::Categories(_) => Some((bins.shares(), bins.sampled())),
    }
}

/// The index beyond chance, to a thousandth.
fn beyond(shares: &[f64; BINS], m: u32, counts: &[f64; BINS]) -> Option<f64> {
    let all: f64 = counts.iter().sum();
    if all < LEAST as f64 {
        return None;
    }
    let found = psi(shares, m, counts)?;
    let beyond = (found.value - found.chance_high).max(0.0);
    Some((beyond * 1_000.0).round() / 1_000.0)
}

/// Two shares, or two counts, in the place of bins.
fn two(on: f64, off: f64) -> [f64; BINS] {
    let mut both = [0.0; BINS];
    let [first, second, ..] = &mut both;
    (*first, *second) = (on, off);
    both
}
