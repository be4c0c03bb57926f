//! What is said of one version of a model when it is registered: immutable from then on.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::artifact::Artifact;
use super::golden::Golden;
use super::reference::Reference;
use super::signature::Signature;
use super::text::{Line, Prose};

/// Metrics of one version, and parameters of one version: what a training run logs.
pub const MAX_FIGURES: usize = 256;
/// Data sets that one version was trained on.
pub const MAX_TRAINED: usize = 64;

/// All that is said of a version. It stands in the entry that registered it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionDetail {
    /// Its files; absent for one that was found serving and whose files nobody registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact: Option<Artifact>,
    /// What goes in and what comes out.
    #[serde(default, skip_serializing_if = "Signature::is_empty")]
    pub signature: Signature,
    /// What it was measured to do.
    #[serde(default, skip_serializing_if = "Metrics::is_empty")]
    pub metrics: Metrics,
    /// What it was trained with.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub parameters: Parameters,
    /// What made it.
    #[serde(default)]
    pub source: Source,
    /// What it was trained on.
    #[serde(default, skip_serializing_if = "TrainedOn::is_empty")]
    pub data_sets: TrainedOn,
    /// The feature vector that it is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_set: Option<Reference>,
    /// The version that it was made from, of this model or another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Reference>,
    /// What it must answer; those that it has now may be others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
    /// What whoever registered it wants others to know.
    #[serde(default, skip_serializing_if = "Prose::is_empty")]
    pub notes: Prose,
}

/// What made a version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The training run, as its tracker names it.
    #[serde(default, skip_serializing_if = "Line::is_empty")]
    pub run: Line,
    /// The commit of the code.
    #[serde(default, skip_serializing_if = "Line::is_empty")]
    pub commit: Line,
    /// Who trained it.
    #[serde(default, skip_serializing_if = "Line::is_empty")]
    pub author: Line,
}

/// What a data set was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The model learnt from it.
    Train,
    /// Its parameters were chosen by it.
    Validation,
    /// It was measured with it.
    Test,
    /// What it answered, before it served: a column for each output.
    Predictions,
}

/// One data set that a version was trained on, and what for. Written `transactions@3:train`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "String")]
pub struct Trained {
    /// Which version of which data set.
    pub data_set: Reference,
    /// What for.
    pub role: Role,
}

/// The data sets that a version was trained on: each once in each role.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Trained>", into = "Vec<Trained>")]
pub struct TrainedOn(Box<[Trained]>);

/// Finite numbers by name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Line, f64>", into = "BTreeMap<Line, f64>")]
pub struct Metrics(BTreeMap<Line, f64>);

/// Settings by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<Line, Line>", into = "BTreeMap<Line, Line>")]
pub struct Parameters(BTreeMap<Line, Line>);

/// Why a detail of a version is refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq)]
pub enum NotADetail {
    /// More than fit.
    #[error("at most {max} {what} fit, here are {found}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// What fits.
        max: usize,
        /// What came.
        found: usize,
    },
    /// A metric or parameter without a name.
    #[error("a {0} has no name")]
    Nameless(&'static str),
    /// A metric that is no number.
    #[error("metric {name} is {value}: a metric is a finite number")]
    Metric {
        /// Which.
        name: String,
        /// What came.
        value: f64,
    },
    /// A data set named twice in one role.
    #[error("{0} is named twice")]
    Twice(String),
    /// No data set with a role.
    #[error("{0:?} is no data set with a role: say NAME@NUMBER:train, :validation or :test")]
    Trained(String),
}

impl TrainedOn {
    /// Takes data sets: sorted, each once in each role.
    pub fn parse(mut trained: Vec<Trained>) -> Result<Self, NotADetail> {
        at_most("data sets", MAX_TRAINED, trained.len())?;
        trained.sort();
        let twice = trained.windows(2).find(|pair| pair.first() == pair.last());
        match twice.and_then(|pair| pair.first()) {
            Some(twice) => Err(NotADetail::Twice(twice.to_string())),
            None => Ok(Self(trained.into())),
        }
    }

    /// Each, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Trained> {
        self.0.iter()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Metrics {
    /// Takes metrics.
    pub fn parse(metrics: BTreeMap<Line, f64>) -> Result<Self, NotADetail> {
        at_most("metrics", MAX_FIGURES, metrics.len())?;
        for (name, value) in &metrics {
            if name.is_empty() {
                return Err(NotADetail::Nameless("metric"));
            }
            if !value.is_finite() {
                let (name, value) = (name.to_string(), *value);
                return Err(NotADetail::Metric { name, value });
            }
        }
        Ok(Self(metrics))
    }

    /// Each, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&Line, f64)> {
        self.0.iter().map(|(name, value)| (name, *value))
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Parameters {
    /// Takes parameters.
    pub fn parse(parameters: BTreeMap<Line, Line>) -> Result<Self, NotADetail> {
        at_most("parameters", MAX_FIGURES, parameters.len())?;
        match parameters.keys().any(Line::is_empty) {
            true => Err(NotADetail::Nameless("parameter")),
            false => Ok(Self(parameters)),
        }
    }

    /// Each, in order of name.
    pub fn iter(&self) -> impl Iterator<Item = (&Line, &Line)> {
        self.0.iter()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn at_most(what: &'static str, max: usize, found: usize) -> Result<(), NotADetail> {
    match found <= max {
        true => Ok(()),
        false => Err(NotADetail::TooMany { what, max, found }),
    }
}

impl Role {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Predictions => "predictions",
        }
    }

    /// Every role.
    pub const ALL: [Self; 4] = [Self::Train, Self::Validation, Self::Test, Self::Predictions];
}

impl FromStr for Trained {
    type Err = NotADetail;
    fn from_str(text: &str) -> Result<Self, NotADetail> {
        let no = || NotADetail::Trained(text.to_owned());
        let (data_set, role) = text.split_once(':').ok_or_else(no)?;
        let role = Role::ALL.into_iter().find(|known| known.word() == role);
        let role = role.ok_or_else(no)?;
        let data_set = data_set.parse().map_err(|_| no())?;
        Ok(Self { data_set, role })
    }
}

impl fmt::Display for Trained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.data_set, self.role.word())
    }
}

impl fmt::Debug for Trained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl TryFrom<Arc<str>> for Trained {
    type Error = NotADetail;
    fn try_from(text: Arc<str>) -> Result<Self, NotADetail> {
        text.parse()
    }
}

impl From<Trained> for String {
    fn from(trained: Trained) -> Self {
        trained.to_string()
    }
}

impl TryFrom<Vec<Trained>> for TrainedOn {
    type Error = NotADetail;
    fn try_from(trained: Vec<Trained>) -> Result<Self, NotADetail> {
        Self::parse(trained)
    }
}

impl From<TrainedOn> for Vec<Trained> {
    fn from(trained: TrainedOn) -> Self {
        trained.0.into()
    }
}

impl TryFrom<BTreeMap<Line, f64>> for Metrics {
    type Error = NotADetail;
    fn try_from(metrics: BTreeMap<Line, f64>) -> Result<Self, NotADetail> {
        Self::parse(metrics)
    }
}

impl From<Metrics> for BTreeMap<Line, f64> {
    fn from(metrics: Metrics) -> Self {
        metrics.0
    }
}

impl TryFrom<BTreeMap<Line, Line>> for Parameters {
    type Error = NotADetail;
    fn try_from(parameters: BTreeMap<Line, Line>) -> Result<Self, NotADetail> {
        Self::parse(parameters)
    }
}

impl From<Parameters> for BTreeMap<Line, Line> {
    fn from(parameters: Parameters) -> Self {
        parameters.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_finite_numbers_with_names() {
        let metric = |name: &str, value| BTreeMap::from([(Line::parse(name).unwrap(), value)]);
        assert!(Metrics::parse(metric("auc", 0.97)).is_ok());
        for (name, value) in [("auc", f64::NAN), ("auc", f64::INFINITY), ("", 1.0)] {
            assert!(Metrics::parse(metric(name, value)).is_err());
        }
    }

    #[test]
    fn a_data_set_is_named_once_in_each_role() {
        let trained = |text: &str| text.parse::<Trained>().unwrap();
        let both = vec![
            trained("transactions@3:train"),
            trained("transactions@3:test"),
        ];
        assert_eq!(TrainedOn::parse(both).unwrap().iter().count(), 2);
        let twice = vec![trained("transactions@3:train"); 2];
        assert!(TrainedOn::parse(twice).is_err());
        for bad in [
            "transactions@3",
            "transactions:train",
            "transactions@3:training",
            "",
        ] {
            assert!(bad.parse::<Trained>().is_err());
        }
    }
}
