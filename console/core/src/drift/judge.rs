//! One data set held against another, once: whether it has drifted, for a pipeline that has to go
//! on or stop.
//!
//! The other data set is one step of the detector: both gates, all experts, one look. A feature has
//! moved when its evidence reaches F / level; since evidence is expected to be at most 1 without a
//! change (Markov), at most `level` of all comparisons say "drift" where there is none, over all
//! features together, whatever depends on what.

use binnacle_sketch::profile::{
    BINS, Compared, Comparison, Feature, Found, Profile, compare, rows_behind,
};
use serde::Serialize;

use super::signal::{Held, Signal, of_baseline, two};
use super::stream::Stream;
use super::words;

/// Of a hundred comparisons of data that did not change, how many may say that it did.
pub const LEVEL: f64 = 0.01;

/// Values that a profile's numbers count for at most. Only quantiles are left of them, half a
/// percent apart: their shares of another's bins are off by as much as those of so many values
/// are by chance, and no number of rows makes them better.
const RESOLVED: f64 = 2_000.0;

/// A feature, compared and judged.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Judged {
    /// How far apart it lies.
    #[serde(flatten)]
    pub comparison: Comparison,
    /// What is concluded.
    pub drift: Judgement,
}

/// What is concluded of a feature.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judgement {
    /// Nothing that would matter and could not be chance.
    Same,
    /// It moved, in these words.
    Moved(Vec<String>),
    /// The other has no such feature, or one of another type.
    Schema,
    /// Only the other has it: nothing to hold it against.
    New,
}

impl Judged {
    /// Whether a pipeline should stop.
    pub fn drifted(&self) -> bool {
        match self.drift {
            Judgement::Moved(_) | Judgement::Schema => true,
            Judgement::Same | Judgement::New => false,
        }
    }
}

/// Holds `other` against `reference`, feature by feature.
pub fn judge(reference: &Profile, other: &Profile, level: f64) -> Vec<Judged> {
    let held = of_baseline(&reference.into());
    let threshold = held.len().max(1) as f64 / level;
    let behind = rows_behind(&other.features, other.rows);
    let judged = compare(reference, other).into_iter().map(|comparison| {
        let drift = match &comparison.compared {
            Compared::Gone | Compared::Kinds { .. } => Judgement::Schema,
            Compared::New => Judgement::New,
            Compared::Distances(_) | Compared::Empty | Compared::Text => {
                let pair = Pair {
                    reference,
                    other,
                    behind: &behind,
                    comparison: &comparison,
                };
                let streams = held.iter().filter(|held| pair.own(held));
                let moved: Vec<String> = streams
                    .filter_map(|held| pair.moved(held, threshold))
                    .collect();
                if moved.is_empty() {
                    Judgement::Same
                } else {
                    Judgement::Moved(moved)
                }
            }
        };
        Judged { comparison, drift }
    });
    judged.collect()
}

/// A feature of both.
struct Pair<'a> {
    reference: &'a Profile,
    other: &'a Profile,
    /// Of each feature of the other, the rows that its missing values are counted of.
    behind: &'a [u64],
    comparison: &'a Comparison,
}

impl Pair<'_> {
    fn own(&self, held: &Held) -> bool {
        let own = self.reference.features.get(held.feature());
        own.is_some_and(|own| own.name == self.comparison.name)
    }

    /// What a stream has to say, if its evidence is enough.
    fn moved(&self, held: &Held, threshold: f64) -> Option<String> {
        let own = self.reference.features.get(held.feature())?;
        let mut all = self.other.features.iter().zip(self.behind);
        let (there, rows) = all.find(|(there, _)| there.name == own.name)?;
        let (gathered, live) = self.counts(held.signal(), there, *rows)?;
        let null = held.null();
        let mut stream = Stream::new(&null.experts);
        // Counts that the reference leaves no room for come of quantiles that are no counts.
        stream.step(1, null, &held.binned(&gathered, 1)).ok()?;
        let evidence = stream.evidence(null);
        if evidence.agreed() < threshold {
            return None;
        }
        let Some(share) = held.share() else {
            let shape = null.experts.shape(evidence.best)?;
            return Some(words::moved(shape, own, &gathered));
        };
        Some(words::shared(held.signal(), share.reference(), live))
    }

    /// What the other has of a signal: counts of bins, or observations and how many are on; and
    /// the share that is on. A profile does not keep how many values lie outside another's range.
    fn counts(&self, signal: Signal, there: &Feature, rows: u64) -> Option<([u64; BINS], f64)> {
        let distances = match &self.comparison.compared {
            Compared::Distances(distances) => Some(distances),
            Compared::Gone
            | Compared::New
            | Compared::Kinds { .. }
            | Compared::Empty
            | Compared::Text => None,
        };
        let n = f64::from(there.sampled());
        let of = |observations: u64, on: u64| {
            (
                two(observations, on),
                on as f64 / observations.max(1) as f64,
            )
        };
        match signal {
            Signal::Values => {
                let n = match &there.found {
                    Found::Numbers(_) => n.min(RESOLVED),
                    Found::Categories(_) | Found::Nothing | Found::Text { .. } => n,
                };
                let counts = distances?.shares.map(|share| (share * n).round() as u64);
                Some((counts, 0.0))
            }
            Signal::Missing => {
                let missing = there.nulls.saturating_add(there.not_finite);
                Some(of(rows, missing))
            }
            Signal::Unseen => {
                let unseen = distances?.unseen? * n;
                Some(of(u64::from(there.sampled()), unseen.round() as u64))
            }
            Signal::OutOfRange | Signal::Unfit => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use binnacle_sketch::profile::{Column, Field, Gather, Kind, Ties};

    use super::*;

    fn profile(seed: u64, rows: usize, name: &str, value: impl Fn(f64) -> Option<f64>) -> Profile {
        let ties = Ties::new(seed, "values");
        let all: Vec<Option<f64>> = (0..rows as u64).map(|at| value(ties.at(at))).collect();
        let values: Vec<f64> = all.iter().map(|x| x.unwrap_or(f64::NAN)).collect();
        let nulls = all.iter().filter(|x| x.is_none()).count() as u64;
        let field = Field {
            name: name.into(),
            kind: Kind::Number,
        };
        let mut gather = Gather::new(seed, vec![field]).unwrap();
        for values in values.chunks(4_096) {
            gather.block(values.len(), &[Column::Numbers { values, nulls: 0 }], None);
        }
        let mut profile = gather.finish();
        profile.features[0].nulls = nulls;
        profile.features[0].not_finite -= nulls;
        profile
    }

    fn said(other: &Profile) -> Judgement {
        let reference = profile(1, 5_000, "x", Some);
        judge(&reference, other, LEVEL).remove(0).drift
    }

    #[test]
    fn data_of_the_same_kind_is_the_same_whatever_its_size() {
        for (seed, rows) in [(2, 10), (3, 400), (4, 5_000), (5, 70_000)] {
            assert_eq!(
                said(&profile(seed, rows, "x", Some)),
                Judgement::Same,
                "{rows}"
            );
        }
        let reference = profile(1, 5_000, "x", Some);
        let drifted = (10..60).filter(|seed| {
            let other = profile(*seed, 800, "x", Some);
            judge(&reference, &other, LEVEL)[0].drifted()
        });
        assert_eq!(
            drifted.count(),
            0,
            "of fifty, half of one is expected at most"
        );
    }

    #[test]
    fn whole_numbers_that_are_the_same_are_the_same() {
        let years = |u: f64| Some((18.0 + u * 60.0).floor());
        let reference = profile(1, 60_000, "age", years);
        for (seed, rows) in [(1, 60_000), (2, 60_000), (3, 5_000), (4, 200)] {
            let judged = judge(&reference, &profile(seed, rows, "age", years), LEVEL);
            assert_eq!(judged[0].drift, Judgement::Same, "{rows}");
        }
    }

    #[test]
    fn what_moved_is_told() {
        let moved = |value: fn(f64) -> Option<f64>| match said(&profile(9, 3_000, "x", value)) {
            Judgement::Moved(words) => words.join("; "),
            other @ (Judgement::Same | Judgement::Schema | Judgement::New) => panic!("{other:?}"),
        };
        assert!(!moved(|u| Some(u.sqrt())).is_empty());
        assert!(
            moved(|u| Some(u * 3.0)).contains(" in ["),
            "{}",
            moved(|u| Some(u * 3.0))
        );
        let missing = moved(|u| (u > 0.05).then_some((u - 0.05) / 0.95));
        assert!(missing.starts_with("missing 0 → "), "{missing}");
    }

    #[test]
    fn a_column_that_is_gone_is_drift_and_a_new_one_is_not() {
        let reference = profile(1, 500, "x", Some);
        let judged = judge(&reference, &profile(2, 500, "y", Some), LEVEL);
        assert_eq!(judged[0].drift, Judgement::Schema);
        assert_eq!(judged[1].drift, Judgement::New);
        assert_eq!([judged[0].drifted(), judged[1].drifted()], [true, false]);
    }

    #[test]
    fn nothing_to_go_by_is_no_drift() {
        for rows in [0, 1] {
            let reference = profile(1, rows, "x", Some);
            let judged = judge(&reference, &profile(2, 3, "x", |_| Some(1e300)), LEVEL);
            assert!(!judged[0].drifted(), "{judged:?}");
        }
    }
}
