//! Environments: hosts, and the rules that hold there.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::text::Line;

/// Approvals that an environment may ask for.
pub const MAX_APPROVALS: u8 = 5;

/// What holds in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// What it is for.
    #[serde(default)]
    pub description: Line,
    /// Whether changes need an armed console and a typed confirmation.
    #[serde(default)]
    pub protected: bool,
    /// How many people, beside whom asked, have to say yes to a deploy; at most
    /// [`MAX_APPROVALS`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub approvals: u8,
    /// Nothing new may come, until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<Freeze>,
}

/// A time in which nothing new comes to an environment; who said so is in the entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Freeze {
    /// When it ends by itself.
    #[serde(serialize_with = "told", deserialize_with = "read")]
    pub until: Timestamp,
    /// Why.
    pub why: Line,
}

impl Freeze {
    /// Whether it holds.
    pub fn holds(&self, now_us: i64) -> bool {
        self.until.as_microsecond() > now_us
    }
}

fn told<S: Serializer>(at: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(at)
}

fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(serde::de::Error::custom)
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u8) -> bool {
    *count == 0
}
