//! What is counted of a version's inputs while it serves, feature by feature, and how a reference
//! is made ready for it.

use std::collections::{HashMap, HashSet};

use super::{Bins, Counts, Feature, Found, Profile, Rank, Ranked, derived};
use crate::Magnitudes;

/// Live values of one feature: by the reference's bins, and numbers by their size. They add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Against the reference.
    pub counts: Counts,
    /// Without one: what twenty bins cannot tell apart.
    pub magnitudes: Magnitudes,
}

impl Live {
    /// Adds what was counted elsewhere of the same feature against the same reference.
    pub fn merge(&mut self, other: &Self) {
        self.counts.merge(&other.counts);
        self.magnitudes.merge(&other.magnitudes);
    }

    /// Values that were counted, with and without a bin.
    pub fn values(&self) -> u64 {
        self.counts.binned().saturating_add(self.counts.missing)
    }
}

/// What the name of a feature begins with that a version answers.
pub const OUTPUT: &str = "output ";

impl Profile {
    /// The same of what a version answers: the names of its features say so, and are told from
    /// those of what it is asked.
    pub fn of_outputs(mut self) -> Self {
        for feature in &mut self.features {
            feature.name.insert_str(0, OUTPUT);
        }
        self
    }

    /// The features of a vector, in its order, each with the numbers that tell of it behind it;
    /// what the data set does not have is left out, and so are numbers of which one is named in the
    /// vector itself. The sample and its seed stay what they are.
    pub fn of_vector(&self, names: &[impl AsRef<str>]) -> Self {
        let asked: HashSet<&str> = names.iter().map(AsRef::as_ref).collect();
        let told = derived(&self.features).into_iter();
        let told: HashMap<&str, &[Feature]> = told
            .filter_map(|run| Some((run.parent, self.features.get(run.features)?)))
            .filter(|(_, run)| !run.iter().any(|one| asked.contains(one.name.as_str())))
            .collect();
        let features = names.iter().flat_map(|name| {
            let run = told.get(name.as_ref()).copied().unwrap_or_default();
            self.feature(name.as_ref()).into_iter().chain(run)
        });
        Self {
            features: features.cloned().collect(),
            seed: self.seed,
            rows: self.rows,
            sampled: self.sampled,
            span_us: self.span_us,
        }
    }
}

/// What live values of a feature are counted by: as much of a reference as that takes.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "most are of numbers, and there is one a feature"
)]
pub enum Ruler {
    /// Of numbers, integers and booleans.
    Numbers {
        /// Where values fall.
        bins: Bins,
        /// The least of the reference.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// Of categories.
    Categories(Box<Ranked>),
    /// Of text that hardly ever comes again: it is there, or it is not.
    Text,
    /// Of what the reference has no value of.
    Nothing,
}

impl Ruler {
    /// The ruler of a feature.
    pub fn of(feature: &Feature) -> Self {
        match &feature.found {
            Found::Numbers(numbers) => Self::Numbers {
                bins: numbers.bins.clone(),
                min: numbers.min,
                max: numbers.max,
            },
            Found::Categories(ranked) => Self::Categories(ranked.clone()),
            Found::Text { .. } => Self::Text,
            Found::Nothing => Self::Nothing,
        }
    }

    /// The ruler as it would be had the reference's values been rounded, as live values are that
    /// come in a narrower type: 2.7 in 32 bits is no longer 2.7, and would rank above all that
    /// are. `round` never swaps two values.
    pub fn rounded(&self, round: impl Fn(f64) -> f64) -> Self {
        match self {
            Self::Numbers { bins, min, max } => Self::Numbers {
                bins: bins.rounded(&round),
                min: round(*min),
                max: round(*max),
            },
            Self::Categories(_) | Self::Text | Self::Nothing => self.clone(),
        }
    }

    /// Counts a number; `v` in [0, 1) breaks its ties. One that is not finite, or that comes where
    /// the reference has words, is missing.
    #[inline]
    pub fn number(&self, live: &mut Live, x: f64, v: f64) {
        match self {
            Self::Numbers { bins, min, max } if x.is_finite() => {
                live.counts.bin(bins.bin(x, v));
                live.counts.under += u64::from(x < *min);
                live.counts.over += u64::from(x > *max);
                live.magnitudes.add(x);
            }
            Self::Nothing if x.is_finite() => live.counts.bin(0),
            Self::Numbers { .. } | Self::Nothing | Self::Categories(_) | Self::Text => {
                live.counts.missing += 1;
            }
        }
    }

    /// Counts a word; `v` in [0, 1) breaks its ties. One that comes where the reference has numbers
    /// is missing.
    #[inline]
    pub fn text(&self, live: &mut Live, text: &[u8], v: f64) {
        match self {
            Self::Categories(ranked) => {
                let rank = ranked.categories.rank(text);
                live.counts.unseen += u64::from(matches!(rank, Rank::Unseen(_)));
                live.counts.bin(ranked.bins.bin(rank.x(), v));
            }
            // It has no bins: that it is there is all that is watched of it.
            Self::Text | Self::Nothing => live.counts.bin(0),
            Self::Numbers { .. } => live.counts.missing += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{BINS, Column, Field, Gather, Kind, Ties};
    use super::*;

    fn reference(values: &[f64]) -> Profile {
        let fields = ["x", "y"].map(|name| Field {
            name: name.into(),
            kind: Kind::Number,
        });
        let mut gather = Gather::new(1, fields.to_vec()).unwrap();
        let column = Column::Numbers { values, nulls: 0 };
        gather.block(values.len(), &[column, column], None);
        gather.finish()
    }

    #[test]
    fn a_vector_has_its_own_order_and_leaves_out_what_is_not_there() {
        let profile = reference(&[1.0, 2.0, 3.0]);
        let vector = profile.of_vector(&["y", "z", "x"]);
        let names: Vec<&str> = vector.features.iter().map(|f| f.name.as_str()).collect();
        assert_eq!((names, vector.rows), (vec!["y", "x"], 3));
    }

    #[test]
    fn values_that_come_in_32_bits_fall_into_the_bins_of_those_that_they_were() {
        // Few different values, so that edges lie on values that come again and again.
        let values: Vec<f64> = (0..4_000).map(|n| f64::from(n % 9) / 10.0).collect();
        let profile = reference(&values);
        let (plain, ties) = (Ruler::of(&profile.features[0]), Ties::new(3, "x"));
        let rounded = plain.rounded(|x| f64::from(x as f32));
        let count = |ruler: &Ruler, narrow: bool| {
            let mut live = Live::default();
            for (at, x) in values.iter().enumerate() {
                let x = if narrow { f64::from(*x as f32) } else { *x };
                ruler.number(&mut live, x, ties.at(at as u64));
            }
            live.counts
        };
        let exact = count(&plain, false);
        let mut own = Counts::default();
        for (at, x) in values.iter().enumerate() {
            profile.features[0].number(&mut own, *x, ties.at(at as u64));
        }
        assert_eq!(exact, own);
        assert_eq!(count(&rounded, true), exact);
        assert_ne!(count(&plain, true).bins, exact.bins, "and would not else");
        assert_eq!(exact.bins.iter().sum::<u64>(), 4_000);
        assert_eq!((exact.under, exact.over), (0, 0));
    }

    #[test]
    fn edges_that_rounding_brings_together_stay_in_order() {
        let values: Vec<f64> = (0..2_000).map(|n| 1.0 + f64::from(n) * 1e-12).collect();
        let profile = reference(&values);
        let rounded = Ruler::of(&profile.features[0]).rounded(|x| f64::from(x as f32));
        let (mut live, ties) = (Live::default(), Ties::new(3, "x"));
        (0..20_000).for_each(|at| rounded.number(&mut live, 1.0, ties.at(at)));
        // Whatever the tie-breaks are, all of them are in use.
        assert!(
            live.counts
                .bins
                .iter()
                .all(|n| *n < 20_000 / BINS as u64 * 8)
        );
    }

    #[test]
    fn what_is_of_another_type_is_missing_and_what_is_not_finite_too() {
        let profile = reference(&[1.0, 2.0, 3.0]);
        let (numbers, mut live) = (Ruler::of(&profile.features[0]), Live::default());
        for x in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            1e308,
            5e-324,
            2.0,
        ] {
            numbers.number(&mut live, x, 0.5);
        }
        numbers.text(&mut live, b"2", 0.5);
        assert_eq!((live.counts.missing, live.counts.binned()), (4, 3));
        assert_eq!((live.counts.under, live.counts.over), (1, 1));
        assert_eq!((live.values(), live.magnitudes.count()), (7, 3));
        let mut live = Live::default();
        Ruler::Text.text(&mut live, b"a sentence", 0.5);
        Ruler::Text.number(&mut live, 2.0, 0.5);
        assert_eq!((live.counts.missing, live.counts.binned()), (1, 1));
    }
}
