//! A machine with an agent and one or more inference servers, as far as it was decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// Labels on one host: enough for any scheme of zones, racks, teams and hardware.
pub const MAX_LABELS: usize = 32;
/// Bytes in a label's key or value.
pub const MAX_LABEL: usize = 63;

/// What a host says of itself when it joins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Admission {
    /// Its name, unique in the fleet.
    pub host: Name,
    /// Where it belongs.
    pub environment: Name,
    /// What selectors choose by.
    pub labels: Labels,
}

/// What selectors choose hosts by: at most [`MAX_LABELS`] pairs of printable text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    try_from = "BTreeMap<String, String>",
    into = "BTreeMap<String, String>"
)]
pub struct Labels(Arc<BTreeMap<String, String>>);

/// Why labels are refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotLabels {
    /// More than [`MAX_LABELS`].
    #[error("a host has at most {MAX_LABELS} labels, this one has {0}")]
    TooMany(usize),
    /// An empty key, a control character, or more than [`MAX_LABEL`] bytes.
    #[error("label {0:?} is not 1 to {MAX_LABEL} bytes of printable text")]
    Malformed(String),
}

impl Labels {
    /// Checks and takes labels.
    pub fn parse(pairs: BTreeMap<String, String>) -> Result<Self, NotLabels> {
        if pairs.len() > MAX_LABELS {
            return Err(NotLabels::TooMany(pairs.len()));
        }
        let fits = |text: &str| text.len() <= MAX_LABEL && !text.chars().any(char::is_control);
        match pairs
            .iter()
            .find(|(key, value)| key.is_empty() || !fits(key) || !fits(value))
        {
            Some((key, value)) => Err(NotLabels::Malformed(format!("{key}={value}"))),
            None => Ok(Self(Arc::new(pairs))),
        }
    }

    /// The pairs, in order of key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, String>> for Labels {
    type Error = NotLabels;
    fn try_from(pairs: BTreeMap<String, String>) -> Result<Self, NotLabels> {
        Self::parse(pairs)
    }
}

impl From<Labels> for BTreeMap<String, String> {
    fn from(labels: Labels) -> Self {
        Arc::unwrap_or_clone(labels.0)
    }
}

/// A host as the journal knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// What it said when it was admitted, or last relabelled.
    pub admission: Admission,
    /// When it was first admitted.
    pub admitted_at_us: i64,
    /// The sequence of the last entry about it: the generation of what is wanted of it.
    pub generation: u64,
    /// Whether it belongs to the fleet.
    pub membership: Membership,
    /// Why it is drained, in the words of whom drained it; `None` for a host that serves.
    pub drained: Option<Arc<str>>,
}

/// Whether a host belongs to the fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Membership {
    /// It does.
    Member,
    /// It was taken out, and may not dial.
    Retired {
        /// Why, in the words of whom retired it.
        why: Arc<str>,
        /// When.
        at_us: i64,
    },
}
