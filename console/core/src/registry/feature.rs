//! Feature sets: the ordered feature vector that a model is given.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::Line;

/// Features of one set: wide one-hot vectors are some thousands.
pub const MAX_FEATURES: usize = 4_096;
/// Values that a category may be restricted to: beyond it, they are not listed.
pub const MAX_VALUES: usize = 1_024;

/// One feature: what it is called, what it is made of, and what it may be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its name, unique in its set.
    pub name: Line,
    /// What it is made of.
    #[serde(rename = "type")]
    pub kind: FeatureKind,
    /// What it is measured in; empty where it has no unit.
    #[serde(default, skip_serializing_if = "Line::is_empty")]
    pub unit: Line,
    /// What it means.
    #[serde(default, skip_serializing_if = "Line::is_empty")]
    pub description: Line,
    /// What it may be.
    #[serde(default, skip_serializing_if = "Allowed::is_anything")]
    pub allowed: Allowed,
}

/// What a feature is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// A number with a fraction.
    Float,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// One of some words or codes.
    Category,
    /// Words.
    Text,
    /// Numbers with a shape: an image, an embedding.
    Tensor,
}

/// What a feature may be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Allowed {
    /// Anything of its type.
    #[default]
    Anything,
    /// A number between two bounds, both allowed; a missing bound is none.
    Range {
        /// The least.
        min: Option<f64>,
        /// The greatest.
        max: Option<f64>,
    },
    /// One of these.
    Values(Vec<Line>),
}

impl Allowed {
    /// Whether there is no restriction.
    pub fn is_anything(&self) -> bool {
        matches!(self, Self::Anything)
    }
}

/// The features of one version, in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Feature>", into = "Vec<Feature>")]
pub struct Features(Arc<[Feature]>);

/// Why features are refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum NotFeatures {
    /// None, or more than [`MAX_FEATURES`].
    #[error("a feature set has 1 to {MAX_FEATURES} features, here are {0}")]
    Count(usize),
    /// A feature without a name, or two of one name.
    #[error("feature {0:?} is named twice, or has no name")]
    Name(String),
    /// The restriction does not go with the type, or allows nothing.
    #[error("feature {name:?}: {what}")]
    Allowed {
        /// Which feature.
        name: String,
        /// What is wrong.
        what: &'static str,
    },
    /// Not a word for a type.
    #[error(
        "{0:?} is no type of a feature: say float, integer, boolean, category, text or \
         tensor"
    )]
    Kind(String),
}

impl Features {
    /// Checks and takes features.
    pub fn parse(features: Vec<Feature>) -> Result<Self, NotFeatures> {
        if !(1..=MAX_FEATURES).contains(&features.len()) {
            return Err(NotFeatures::Count(features.len()));
        }
        let mut names = HashSet::with_capacity(features.len());
        for feature in &features {
            if feature.name.is_empty() || !names.insert(&feature.name) {
                return Err(NotFeatures::Name(feature.name.to_string()));
            }
            allowed(feature)?;
        }
        Ok(Self(features.into()))
    }

    /// Each, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Feature> {
        self.0.iter()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

fn allowed(feature: &Feature) -> Result<(), NotFeatures> {
    let wrong = |what| {
        let name = feature.name.to_string();
        Err(NotFeatures::Allowed { name, what })
    };
    let is_number = matches!(feature.kind, FeatureKind::Float | FeatureKind::Integer);
    match &feature.allowed {
        Allowed::Anything => Ok(()),
        Allowed::Range { .. } if !is_number => wrong("only numbers have a range"),
        Allowed::Range { min, max } => {
            let bounds = [min, max].into_iter().flatten();
            if !bounds.clone().all(|bound| bound.is_finite()) {
                wrong("a bound is a finite number")
            } else if min.zip(*max).is_some_and(|(min, max)| min > max) {
                wrong("the least allowed is greater than the greatest")
            } else {
                Ok(())
            }
        }
        Allowed::Values(_) if feature.kind == FeatureKind::Float => {
            wrong("a number with a fraction has a range, not a list of values")
        }
        Allowed::Values(_) if feature.kind == FeatureKind::Tensor => {
            wrong("a tensor has no list of values")
        }
        Allowed::Values(values) if values.is_empty() => wrong("no value is allowed"),
        Allowed::Values(values) if values.len() > MAX_VALUES => {
            wrong("more values are listed than fit; leave the list out")
        }
        Allowed::Values(values) => {
            let unique: HashSet<&Line> = values.iter().collect();
            match unique.len() == values.len() {
                true => Ok(()),
                false => wrong("a value is listed twice"),
            }
        }
    }
}

/// Every type and its word.
const KINDS: [(FeatureKind, &str); 6] = [
    (FeatureKind::Float, "float"),
    (FeatureKind::Integer, "integer"),
    (FeatureKind::Boolean, "boolean"),
    (FeatureKind::Category, "category"),
    (FeatureKind::Text, "text"),
    (FeatureKind::Tensor, "tensor"),
];

impl FromStr for FeatureKind {
    type Err = NotFeatures;
    fn from_str(text: &str) -> Result<Self, NotFeatures> {
        let known = KINDS.iter().find(|(_, word)| *word == text);
        known
            .map(|(kind, _)| *kind)
            .ok_or_else(|| NotFeatures::Kind(text.to_owned()))
    }
}

impl fmt::Display for FeatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = KINDS.iter().find(|(kind, _)| kind == self);
        f.write_str(known.map_or("", |(_, word)| word))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anything => f.write_str("anything"),
            Self::Range { min, max } => {
                let bound = |bound: &Option<f64>| bound.map(|at| at.to_string());
                let (min, max) = (bound(min), bound(max));
                write!(
                    f,
                    "{}..{}",
                    min.unwrap_or_default(),
                    max.unwrap_or_default()
                )
            }
            Self::Values(values) => {
                let words: Vec<&str> = values.iter().map(Line::as_str).collect();
                f.write_str(&words.join("|"))
            }
        }
    }
}

impl TryFrom<Vec<Feature>> for Features {
    type Error = NotFeatures;
    fn try_from(features: Vec<Feature>) -> Result<Self, NotFeatures> {
        Self::parse(features)
    }
}

impl From<Features> for Vec<Feature> {
    fn from(features: Features) -> Self {
        features.0.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn feature(text: &str) -> Feature {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_is_allowed_fits_what_the_feature_is() {
        let good = [
            r#"{"name": "amount", "type": "float", "unit": "EUR",
                "allowed": {"range": {"min": 0.0, "max": null}}}"#,
            r#"{"name": "country", "type": "category", "allowed": {"values": ["de", "fr"]}}"#,
            r#"{"name": "is_new", "type": "boolean"}"#,
            r#"{"name": "image", "type": "tensor"}"#,
        ];
        let features = Features::parse(good.map(feature).to_vec()).unwrap();
        let text = serde_json::to_string(&features).unwrap();
        assert_eq!(serde_json::from_str::<Features>(&text).unwrap(), features);
        for bad in [
            r#"{"name": "", "type": "float"}"#,
            r#"{"name": "a", "type": "float", "allowed": {"range": {"min": 2.0, "max": 1.0}}}"#,
            r#"{"name": "a", "type": "text", "allowed": {"range": {"min": 2.0, "max": null}}}"#,
            r#"{"name": "a", "type": "category", "allowed": {"values": []}}"#,
            r#"{"name": "a", "type": "category", "allowed": {"values": ["x", "x"]}}"#,
            r#"{"name": "a", "type": "float", "allowed": {"values": ["x"]}}"#,
            r#"{"name": "a", "type": "tensor", "allowed": {"values": ["x"]}}"#,
            r#"{"name": "a", "type": "tensor", "allowed": {"range": {"min": 0.0, "max": null}}}"#,
        ] {
            assert!(Features::parse(vec![feature(bad)]).is_err(), "{bad}");
        }
        assert!(Features::parse(Vec::new()).is_err());
        let twice = feature(good[2]);
        assert!(Features::parse(vec![twice.clone(), twice]).is_err());
    }
}
