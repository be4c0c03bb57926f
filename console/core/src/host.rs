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

/// Of its busiest minute, the share of work that a host may be given when another is drained.
const PEAK_SHARE: f64 = 0.8;
/// Minutes that have to be known of hosts before they have a busiest one.
const PEAK_MINUTES: usize = 60;
/// Minutes that are now: one alone is a moment.
const NOW_MINUTES: usize = 5;

/// How busy a host was, minute by minute, the last one last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests in each minute; absent where nothing is known of it.
    pub minutes: Vec<Option<u32>>,
}

/// More work than hosts can be trusted with, in requests a minute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Overload {
    /// What there is to do.
    pub now: f64,
    /// What they may be given.
    pub bearable: f64,
}

/// Whether the work of hosts that go is more than the others can be trusted with; `None` where it
/// is not, or where too little is known of them.
pub fn overload(going: &[Load], staying: &[Load]) -> Option<Overload> {
    let known = |load: &Load| load.minutes.iter().flatten().count();
    if staying.iter().map(known).max()? < PEAK_MINUTES {
        return None;
    }
    let now = going.iter().chain(staying).map(Load::now).sum();
    let peak: f64 = staying.iter().map(Load::peak).sum();
    let bearable = peak * PEAK_SHARE;
    (now > bearable).then_some(Overload { now, bearable })
}

impl Load {
    fn now(&self) -> f64 {
        let late: Vec<u32> = self
            .minutes
            .iter()
            .rev()
            .flatten()
            .take(NOW_MINUTES)
            .copied()
            .collect();
        late.iter().map(|count| f64::from(*count)).sum::<f64>() / late.len().max(1) as f64
    }

    fn peak(&self) -> f64 {
        f64::from(self.minutes.iter().flatten().copied().max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(peak: u32, now: u32, minutes: usize) -> Load {
        let mut all = vec![None; 10];
        all.extend(vec![Some(peak); minutes - NOW_MINUTES]);
        all.extend(vec![Some(now); NOW_MINUTES]);
        Load { minutes: all }
    }

    #[test]
    fn a_host_goes_only_where_the_others_were_once_as_busy_and_a_quarter_more() {
        let at_night = [load(1_000, 300, 600), load(1_000, 300, 600)];
        assert_eq!(overload(&[load(1_000, 300, 600)], &at_night), None);
        let by_day = [load(1_000, 900, 600), load(1_000, 900, 600)];
        let over = overload(&[load(1_000, 900, 600)], &by_day).unwrap();
        assert_eq!((over.now, over.bearable), (2_700.0, 1_600.0));
        let young = [load(1_000, 900, 59), load(1_000, 900, 59)];
        assert_eq!(overload(&[load(1_000, 900, 59)], &young), None);
        assert_eq!(overload(&[load(1_000, 900, 600)], &[]), None);
    }
}
