//! Rows: all that a screen or a command ever sees.
//!
//! A row is made at the hub from what was decided, what is observed and what was measured,
//! travels, and is shown. Serialised, it is one item of the JSON documents that scripts read:
//! times are RFC 3339, latencies are microseconds, unknown figures are null. It can be read
//! back from there, so that what a screen was shown can be recorded and shown again.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use self::alert::{AlertItem, BlameItem, MarkItem, SinkItem};
pub use self::drift::{
    CourseItem, DriftItem, MovedItem, PageItem, StreamItem, WatchedItem, WatchedLook,
};
pub use self::endpoint::{
    ApprovalsItem, BlockItem, EndpointItem, FailedItem, OverrideItem, PlanItem, ProofItem,
    ReadinessItem, RevisionItem, RolloutItem, StepItem, TraceItem, step_in_words,
};
pub use self::entry::EntryRow;
pub use self::glance::{CELL_BYTES, Cell, Coarse, Glance, Glances, History};
pub use self::latency::{
    Bar, LatencyPage, LatencyPoint, LatencyRow, LatencyTable, Percentiles, Shape, latency,
};
pub use self::profile::{DistanceItem, ProfileItem, SpreadItem};
pub use self::registry::{
    AliasItem, DataSetItem, EnvironmentItem, FeatureSetItem, LineageItem, ModelItem, MoveItem,
    Named, Numbered, SetItem, Trainee, VersionItem,
};
pub use self::status::{Status, health, live};
pub use self::trouble::{MAX_NAMED, Object, Trouble, Troubles, endpoint_troubles, troubles};
// What rows are made of, for those who see rows alone.
pub use crate::alert::{Reaction, Severity, Subject};
pub use crate::blame::Whom;
pub use crate::drift::Signal;
pub use crate::endpoint::{EndpointName, OverrideKind, Route, Settings, Spoken};
pub use crate::host::Labels;
pub use crate::judge::{Finding, Summary, Verdict};
pub use crate::name::Name;
pub use crate::registry::{
    Allowed, Artifact, Card, Column, DataSetDetail, Digest, Feature, FeatureKind, Line, Number,
    Object as RegistryObject, Objective, Objectives, Prose, Reference, Rules, Signature, Source,
    Tags, VersionDetail,
};
pub use crate::report::{BootId, Light, Losses, ServerHealth, VersionLights, Vitals};
pub use crate::rollout::{Intent, Plan, Strategy, Verb};
pub use crate::series::Outcome;
pub use crate::why::{ChangeItem, WhyItem};

mod alert;
mod drift;
mod endpoint;
mod entry;
pub mod facts;
mod fields;
pub mod filter;
mod glance;
mod latency;
mod profile;
mod registry;
mod status;
mod trouble;

/// Whether a host is heard of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Connected, and it reported within the last few seconds.
    Live,
    /// A member of the fleet that is not heard of: not the same as failing.
    Silent,
    /// Taken out of the fleet.
    Retired,
}

/// A host, as tables and pages show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostRow {
    /// Its name.
    pub name: Name,
    /// Where it belongs.
    pub environment: Name,
    /// What selectors choose by.
    pub labels: Labels,
    /// Whether it is heard of.
    pub state: HostState,
    /// Since when its status is what it is, as far as the hub saw.
    #[serde(rename = "status_since", with = "some_time", default)]
    pub since_us: Option<i64>,
    /// When it last reported since the hub started.
    #[serde(rename = "seen_at", with = "some_time")]
    pub seen_at_us: Option<i64>,
    /// Since when its stream is open.
    #[serde(rename = "connected_at", with = "some_time")]
    pub connected_at_us: Option<i64>,
    /// When it was first admitted.
    #[serde(
        rename = "admitted_at",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub admitted_at_us: i64,
    /// The agent's release; empty while it is not connected.
    pub agent_version: Arc<str>,
    /// How it is attached: path, tap or watch.
    pub attachment: Arc<str>,
    /// This start of its agent.
    #[serde(with = "some_boot")]
    pub boot: Option<BootId>,
    /// The generation that the hub wants it to follow.
    pub generation_wanted: u64,
    /// The generation that it follows.
    pub generation_observed: u64,
    /// Its clock minus the hub's, in microseconds.
    pub skew_us: i64,
    /// Open streams that claim its name; more than one is an alarm.
    pub streams: u32,
    /// The inference server beside its agent.
    pub server: Option<ServerHealth>,
    /// The machine.
    pub vitals: Option<Vitals>,
    /// Its requests of late.
    pub traffic: Option<Traffic>,
    /// What its agent had to drop.
    pub losses: Losses,
    /// Why it was retired; empty when it was not.
    pub retired_reason: Arc<str>,
    /// Why it is drained; empty when it is not.
    pub drain_reason: Arc<str>,
}

impl HostRow {
    /// What it says at a glance, and why; nothing where all is well.
    pub fn status(&self) -> (Status, Arc<str>) {
        let why = |reason: Option<&Arc<str>>| reason.map_or_else(|| "".into(), Arc::clone);
        match self.state {
            HostState::Retired => (Status::Retired, self.retired_reason.clone()),
            HostState::Silent => (Status::Silent, "".into()),
            HostState::Live => {
                let (health, reason) = health(self.server.as_ref());
                match live(health, self.streams) {
                    (status, Some(claimed)) => (status, claimed.into()),
                    (status, None) if !self.drain_reason.is_empty() => {
                        (status, format!("drained: {}", self.drain_reason).into())
                    }
                    (status, None) => (status, why(reason)),
                }
            }
        }
    }
}

/// What happened to requests over a span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The span.
    pub span_s: u32,
    /// Requests that ended in it.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Median; absent when few requests were seen.
    #[serde(rename = "p50_us", with = "some_us")]
    pub p50_ns: Option<u64>,
    /// 99th percentile; absent when few requests were seen.
    #[serde(rename = "p99_us", with = "some_us")]
    pub p99_ns: Option<u64>,
    /// Requests under way now.
    pub in_flight: u32,
}

impl Traffic {
    /// Requests a second.
    pub fn rate(&self) -> f64 {
        self.requests as f64 / f64::from(self.span_s.max(1))
    }
}

/// A model's requests of late, merged over hosts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelRow {
    /// The upstream's name of the model.
    pub model: Arc<str>,
    /// Its requests, all outcomes.
    pub traffic: Traffic,
}

/// Text from outside, made safe for a terminal: control characters and escapes are shown as
/// such, never sent.
pub fn shown(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        // Bidirectional overrides and zero-width letters can make a name look like another.
        let hidden = matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{feff}');
        if letter.is_control() || hidden {
            safe.extend(letter.escape_unicode());
        } else {
            safe.push(letter);
        }
    }
    safe
}

/// Microseconds since 1970 as RFC 3339 in UTC.
pub fn rfc3339(at_us: i64) -> String {
    jiff::Timestamp::from_microsecond(at_us)
        .map_or_else(|_| format!("{at_us} us"), |at| at.to_string())
}

fn time<S: Serializer>(at_us: &i64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&rfc3339(*at_us))
}

fn from_time<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let text = String::deserialize(from)?;
    let at: jiff::Timestamp = text.parse().map_err(D::Error::custom)?;
    Ok(at.as_microsecond())
}

mod some_time {
    use super::*;

    pub(super) fn serialize<S: Serializer>(at_us: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        match at_us {
            Some(at_us) => time(at_us, to),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        let text = Option::<String>::deserialize(from)?;
        let at = text.map(|text| text.parse::<jiff::Timestamp>());
        let at = at.transpose().map_err(D::Error::custom)?;
        Ok(at.map(jiff::Timestamp::as_microsecond))
    }
}

mod some_us {
    use super::*;

    pub(super) fn serialize<S: Serializer>(ns: &Option<u64>, to: S) -> Result<S::Ok, S::Error> {
        match ns {
            Some(ns) => to.serialize_f64(*ns as f64 / 1_000.0),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
        let us = Option::<f64>::deserialize(from)?;
        Ok(us.map(|us| (us * 1_000.0).round() as u64))
    }
}

mod some_boot {
    use super::*;

    pub(super) fn serialize<S: Serializer>(
        boot: &Option<BootId>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match boot {
            Some(boot) => to.collect_str(boot),
            None => to.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<BootId>, D::Error> {
        let Some(text) = Option::<String>::deserialize(from)? else {
            return Ok(None);
        };
        let mut bytes = [0; 16];
        hex::decode_to_slice(text, &mut bytes).map_err(D::Error::custom)?;
        Ok(Some(BootId(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_instead() {
        assert_eq!(
            shown("a\u{1b}[31mb\n\u{202e}é"),
            "a\\u{1b}[31mb\\u{a}\\u{202e}é"
        );
    }
}
