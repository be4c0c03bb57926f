//! What a host says at a glance: one word, worked out in one place for rows and glances.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::report::{Light, ServerHealth, VersionLights};

/// What a row says at a glance, worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Every light that is known is on.
    Ok,
    /// Taken out of the fleet.
    Retired,
    /// Not heard of.
    Silent,
    /// Something is dark, and something still answers.
    Warn,
    /// Nothing answers.
    Crit,
}

impl Status {
    /// The glyph: never without its [`word`](Self::word), nor the word without it.
    pub fn glyph(self) -> char {
        match self {
            Self::Ok => '+',
            Self::Retired => '.',
            Self::Silent => '?',
            Self::Warn => '!',
            Self::Crit => 'x',
        }
    }

    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Retired => "RETIRED",
            Self::Silent => "SILENT",
            Self::Warn => "WARN",
            Self::Crit => "CRIT",
        }
    }
}

/// What a server's lights say of its host, and why; nothing where all is well. A host with no
/// server beside its agent is well.
pub fn health(server: Option<&ServerHealth>) -> (Status, Option<&Arc<str>>) {
    let Some(server) = server else {
        return (Status::Ok, None);
    };
    if server.process == Light::Off {
        return (Status::Crit, Some(&server.reason));
    }
    let dark =
        |version: &&VersionLights| version.loaded == Light::Off || version.answers == Light::Off;
    let is_wrong = |version: &VersionLights| version.correct == Light::Off;
    match server.versions.iter().filter(dark).count() {
        // It answers, and wrongly: no load balancer sees that.
        0 if server.versions.iter().any(is_wrong) => (Status::Warn, first_reason(server)),
        0 => (Status::Ok, None),
        all if all == server.versions.len() => (Status::Crit, first_reason(server)),
        _ => (Status::Warn, first_reason(server)),
    }
}

/// What a host that is heard of says, by its lights and the streams that claim its name; and
/// why, where it is not the lights.
pub fn live(health: Status, streams: u32) -> (Status, Option<&'static str>) {
    if health == Status::Ok && streams > 1 {
        return (Status::Warn, Some("two machines claim this name"));
    }
    (health, None)
}

fn first_reason(server: &ServerHealth) -> Option<&Arc<str>> {
    let mut reasons = server.versions.iter().map(|version| &version.reason);
    reasons.find(|reason| !reason.is_empty())
}
