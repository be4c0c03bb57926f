//! Numbers of something that has no bins of its own: an image, an embedding, a free text. Each
//! number is a feature called `PARENT FIGURE`, and those of one parent stand side by side.
//!
//! A profile does not say that a feature is derived: its bytes are those of any number. It is told
//! from the names, and only where all figures of a parent stand there in order, so that one column
//! that happens to be called `review length` stays what it is.

use std::ops::Range;

use super::{FEATURE_NAME_BYTES, Feature, Kind};
use crate::payload::{self, NAMES, TEXT_NAMES};

/// What is told in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// An image, an embedding: [`NAMES`], and no feature of its own.
    Tensor,
    /// A free text: [`TEXT_NAMES`], behind a feature of its own.
    Text,
}

/// The features that tell one parent in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived<'a> {
    /// What they tell of.
    pub parent: &'a str,
    /// What that is.
    pub told: Told,
    /// Where they stand among the features.
    pub features: Range<usize>,
}

impl Told {
    /// What its numbers are called, in order.
    pub fn figures(self) -> &'static [&'static str] {
        match self {
            Self::Tensor => &NAMES,
            Self::Text => &TEXT_NAMES,
        }
    }

    /// What the features of this parent are called; `None` where one of the names is too long.
    pub fn names(self, parent: &str) -> Option<Vec<String>> {
        let names = self.figures().iter();
        let names: Vec<String> = names.map(|figure| format!("{parent} {figure}")).collect();
        let fit = names.iter().all(|name| name.len() <= FEATURE_NAME_BYTES);
        fit.then_some(names)
    }
}

/// All parents that are told in numbers among these features, in order.
pub fn derived(features: &[Feature]) -> Vec<Derived<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(feature) = features.get(at) {
        match begins(features, at, feature) {
            Some(run) => {
                at = run.features.end;
                found.push(run);
            }
            None => at += 1,
        }
    }
    found
}

/// The run of figures that begins with this feature.
fn begins<'a>(features: &'a [Feature], at: usize, first: &'a Feature) -> Option<Derived<'a>> {
    let (parent, figure) = payload::parent(&first.name)?;
    let before = at.checked_sub(1).and_then(|before| features.get(before));
    let told = if NAMES.first() == Some(&figure) {
        Told::Tensor
    } else if before.is_some_and(|own| own.kind == Kind::Text && own.name == parent) {
        Told::Text
    } else {
        return None;
    };
    let run = at..at + told.figures().len();
    let is_whole = features.get(run.clone())?.iter().zip(told.figures());
    let is_whole = is_whole.into_iter().all(|(feature, figure)| {
        feature.kind == Kind::Number && payload::parent(&feature.name) == Some((parent, figure))
    });
    is_whole.then_some(Derived {
        parent,
        told,
        features: run,
    })
}

/// The rows that a feature's missing values are counted of, feature by feature: all `rows` of the
/// data set, and of derived numbers those of their sample, as no other row was told in numbers.
pub fn rows_behind(features: &[Feature], rows: u64) -> Vec<u64> {
    let mut behind = vec![rows; features.len()];
    for run in derived(features) {
        let own = features.iter().zip(&mut behind);
        for (feature, behind) in own.skip(run.features.start).take(run.features.len()) {
            let missing = feature.nulls.saturating_add(feature.not_finite);
            *behind = missing.saturating_add(u64::from(feature.sampled()));
        }
    }
    behind
}

#[cfg(test)]
mod tests {
    use super::super::Found;
    use super::*;

    fn feature(name: &str, kind: Kind) -> Feature {
        Feature {
            name: name.into(),
            kind,
            nulls: 3,
            not_finite: 2,
            found: Found::Nothing,
            hours: None,
            moves_after: None,
        }
    }

    fn features(names: &[&str]) -> Vec<Feature> {
        let kind = |name: &str| match name {
            "review" => Kind::Text,
            _ => Kind::Number,
        };
        let all = names.iter().map(|name| feature(name, kind(name)));
        all.collect()
    }

    #[test]
    fn only_whole_runs_behind_their_parent_are_derived() {
        let figures = Told::Text.names("review").unwrap();
        let figures: Vec<&str> = figures.iter().map(String::as_str).collect();
        let whole = features(&[&["review"][..], &figures, &["x"]].concat());
        let [run] = &derived(&whole)[..] else {
            panic!("one")
        };
        assert_eq!((run.parent, run.told), ("review", Told::Text));
        assert_eq!(run.features, 1..6);
        assert_eq!(rows_behind(&whole, 9), [9, 5, 5, 5, 5, 5, 9]);
        for others in [
            features(&figures),
            features(&[&["review"], &figures[..4]].concat()),
            features(&[&["review", "x"], &figures[..]].concat()),
            features(&["review", "review length"]),
        ] {
            assert_eq!(derived(&others), []);
            assert_eq!(rows_behind(&others, 9), vec![9; others.len()]);
        }
    }

    #[test]
    fn a_tensor_is_known_by_its_numbers_alone_also_among_answers() {
        let names = Told::Tensor.names("output last state").unwrap();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = features(&[&["mean"][..], &names, &names].concat());
        let runs = derived(&all);
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[0].parent, "output last state");
        assert_eq!((runs[1].features.start, runs[1].told), (39, Told::Tensor));
        assert_eq!(Told::Tensor.names(&"x".repeat(250)), None, "too long");
    }
}
