//! What the engineer is told of a page: which features, how, since when, and how far.

use binnacle_sketch::Magnitudes;
use binnacle_sketch::profile::{BINS, Feature, Found, Psi, psi, wasserstein};
use serde::Serialize;

use super::signal::Signal;
use super::unit::{self, Change};
use super::watch::{Moved, Watch};
use super::words;

/// The level of the ranking: of the features that are named, one in twenty may be named by
/// chance. It is a ranking; the page is what the budget stands behind.
const LEVEL: f64 = 0.05;

/// What is said of one stream.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// The feature; empty for what is of no one feature.
    pub feature: String,
    /// What of it.
    pub signal: Signal,
    /// Whether it stands among those that moved, by the ranking.
    pub ranked: bool,
    /// Whether it would have paged alone.
    pub alone: bool,
    /// How it moved.
    pub how: String,
    /// The change of unit that explains it, if one does.
    pub unit: Option<Change>,
    /// How many ticks ago it began.
    pub age: f32,
    /// The population stability index with what chance would show; of values.
    pub psi: Option<Psi>,
    /// How far values moved, in standard deviations of the reference; of numbers.
    pub wasserstein: Option<f64>,
    /// Live values that it is said of.
    pub observations: u64,
}

/// Live counts of one stream since its change began: of its bins, or of a two-valued signal the
/// observations and how many are on; and the magnitudes of a number.
#[derive(Clone, Debug, Default)]
pub struct Lately {
    /// By bin.
    pub bins: [u64; BINS],
    /// Observations of a two-valued signal.
    pub observations: u64,
    /// Of these, how many are on.
    pub on: u64,
    /// Of a number.
    pub magnitudes: Option<Magnitudes>,
}

/// Explains a stream by what was counted lately.
pub fn explain(
    watch: &Watch,
    features: &[Feature],
    moved: &Moved,
    ranked: bool,
    lately: &Lately,
) -> Option<Explanation> {
    let (at, signal) = watch.signal(moved.stream)?;
    let (held, _) = watch.stream(moved.stream)?;
    let feature = features.get(at);
    let shape = held.null().experts.shape(moved.evidence.best)?;
    let mut explanation = Explanation {
        feature: feature.map_or_else(String::new, |feature| feature.name.clone()),
        signal,
        ranked,
        alone: moved.alone,
        how: String::new(),
        unit: None,
        age: moved.evidence.age,
        psi: None,
        wasserstein: None,
        observations: lately.observations,
    };
    if let Some(share) = held.share() {
        let live = lately.on as f64 / lately.observations.max(1) as f64;
        explanation.how = words::shared(signal, share.reference(), live);
        return Some(explanation);
    }
    let feature = feature?;
    explanation.how = words::moved(shape, feature, &lately.bins);
    explanation.observations = lately.bins.iter().fold(0, |all, n| all.saturating_add(*n));
    let counts = lately.bins.map(|count| count as f64);
    let bins = feature.bins()?;
    explanation.psi = psi(&bins.shares(), bins.sampled(), &counts);
    if let Found::Numbers(numbers) = &feature.found {
        let shares = bins.shares();
        explanation.wasserstein = wasserstein(&numbers.quantiles, numbers.sd, &shares, &counts);
    }
    let magnitudes = lately.magnitudes.as_ref();
    explanation.unit = magnitudes.and_then(|live| unit_of(feature, live));
    Some(explanation)
}

/// The change of unit that explains live values of a feature, if one does.
pub(super) fn unit_of(feature: &Feature, live: &Magnitudes) -> Option<Change> {
    match &feature.found {
        Found::Numbers(numbers) => unit::unit(&numbers.quantiles, live),
        Found::Nothing | Found::Categories(_) | Found::Text { .. } => None,
    }
}

/// Which streams moved, of all of a model in falling order of evidence: how many of the first.
///
/// Evidence over the steps that it was gathered in is an e-value: it is expected to be at most 1
/// of a stream that did not move. The first k are named when the k-th is at least F / (k · 5 %)
/// (Wang and Ramdas 2022), whatever depends on what.
pub fn moved(all: &[Moved]) -> usize {
    let streams = all.len() as f64;
    let value = |moved: &Moved| moved.evidence.agreed() / f64::from(moved.evidence.steps.max(1));
    let ranks = (1_usize..)
        .zip(all)
        .filter(|(k, moved)| value(moved) * *k as f64 * LEVEL >= streams);
    ranks.map(|(k, _)| k).max().unwrap_or(0)
}

/// How many of the first are named for a page. At least the first: it is what the page stands on,
/// though evidence that was gathered over weeks may rank nothing.
pub fn named(all: &[Moved]) -> usize {
    moved(all).max(all.len().min(1))
}

#[cfg(test)]
mod tests {
    use super::super::stream::Evidence;
    use super::*;

    #[test]
    fn streams_are_ranked_by_their_evidence_for_each_step() {
        let of = |values: &[f64]| {
            let moved = values.iter().enumerate().map(|(stream, value)| Moved {
                stream,
                evidence: Evidence {
                    exact: None,
                    practical: value * 10.0,
                    best: 0,
                    age: 0.0,
                    steps: 10,
                },
                alone: false,
            });
            let moved: Vec<_> = moved.collect();
            (super::moved(&moved), named(&moved))
        };
        assert_eq!(of(&[100.0, 50.0, 20.0, 1.0]), (2, 2));
        assert_eq!(
            of(&[100.0, 39.0, 39.0, 1.0]),
            (3, 3),
            "39 · 3 makes up for what 39 · 2 lacks"
        );
        assert_eq!(of(&[79.0, 1.0, 1.0, 1.0]), (0, 1), "a page names somebody");
        assert_eq!(of(&[]), (0, 0));
    }
}
