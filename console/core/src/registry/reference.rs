//! What one points at: `fraud@7`, `transactions@3`, and things by their kind.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::{Name, NotAName};

/// A number of a version: from 1, given by the hub, never given twice.
pub type Number = NonZeroU32;

/// One version of something named: `fraud@7`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "String")]
pub struct Reference {
    /// The model, data set or feature set.
    pub name: Name,
    /// Which of its versions.
    pub number: Number,
}

/// Why text is no reference.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotAReference {
    /// There is no `@`, or what follows it is no number.
    #[error("{0:?} names no version: say NAME@NUMBER, as in fraud@7")]
    Malformed(String),
    /// What stands before the `@` is no name.
    #[error("{text:?} names no version")]
    Name {
        /// All of it.
        text: String,
        /// What is wrong with the name.
        #[source]
        source: NotAName,
    },
}

impl FromStr for Reference {
    type Err = NotAReference;
    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let malformed = || NotAReference::Malformed(text.to_owned());
        let (name, number) = text.split_once('@').ok_or_else(malformed)?;
        // `+7` and `007` would be further spellings of the same thing.
        if number.starts_with(['0', '+']) {
            return Err(malformed());
        }
        let number = number.parse().map_err(|_| malformed())?;
        let name = Name::parse(name).map_err(|source| NotAReference::Name {
            text: text.to_owned(),
            source,
        })?;
        Ok(Self { name, number })
    }
}

impl TryFrom<Arc<str>> for Reference {
    type Error = NotAReference;
    fn try_from(text: Arc<str>) -> Result<Self, NotAReference> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.number)
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.number)
    }
}

/// Something of the registry, by its kind.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Object {
    /// A model with all its versions.
    Model(Name),
    /// One version of a model.
    Version(Reference),
    /// A data set with all its versions.
    DataSet(Name),
    /// One version of a data set.
    DataSetVersion(Reference),
    /// A feature set with all its versions.
    FeatureSet(Name),
    /// One version of a feature set.
    FeatureSetVersion(Reference),
    /// A group of hosts with the rules that hold there.
    Environment(Name),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(name) => write!(f, "model {name}"),
            Self::Version(version) => write!(f, "version {version}"),
            Self::DataSet(name) => write!(f, "data set {name}"),
            Self::DataSetVersion(version) => write!(f, "data set {version}"),
            Self::FeatureSet(name) => write!(f, "feature set {name}"),
            Self::FeatureSetVersion(version) => write!(f, "feature set {version}"),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_one_spelling() {
        let version: Reference = "fraud@7".parse().unwrap();
        assert_eq!(version.to_string(), "fraud@7");
        for bad in [
            "fraud",
            "fraud@",
            "fraud@0",
            "fraud@07",
            "fraud@+7",
            "fraud@-1",
            "fraud@latest",
            "@7",
            "Fraud@7",
            "fraud@7@8",
            "fraud@4294967296",
            "",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad:?}");
        }
    }
}
