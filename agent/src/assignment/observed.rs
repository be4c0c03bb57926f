//! What the host does now: how far each version is, which route is live, what it has decided by
//! itself. Plain data, for the hub, for `binnacle-agent status` and for scripts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Version;
use super::standing::Override;

/// How far a version is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Nothing of it is here.
    #[default]
    Absent,
    /// Its artifact is on its way.
    Fetching,
    /// What came is being read and hashed.
    Verifying,
    /// Its artifact is on the disk.
    Fetched,
    /// It is placed in the server's repository, and the server has been asked to load it.
    Loading,
    /// It answers its first requests, golden ones among them.
    Warming,
    /// It serves.
    Ready,
    /// Its last requests end, and the server is asked to unload it.
    Draining,
    /// Something of this failed, and is tried again.
    Failed,
}

impl Phase {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Fetching => "fetching",
            Self::Verifying => "verifying",
            Self::Fetched => "fetched",
            Self::Loading => "loading",
            Self::Warming => "warming",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Failed => "FAILED",
        }
    }

    /// Whether something is under way.
    pub fn is_busy(self) -> bool {
        match self {
            Self::Fetching | Self::Verifying | Self::Loading | Self::Warming | Self::Draining => {
                true
            }
            Self::Absent | Self::Fetched | Self::Ready | Self::Failed => false,
        }
    }
}

/// One version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionState {
    /// Which.
    #[serde(flatten)]
    pub version: Version,
    /// How far it is.
    pub phase: Phase,
    /// How far in that, in 1/1000; 0 where that is not known.
    pub progress_permille: u32,
    /// Why it failed or waits; empty otherwise.
    pub reason: String,
    /// How long the last fetch took; 0 for none.
    pub fetch_ms: u32,
    /// How long the last load took.
    pub load_ms: u32,
    /// How long the last warm-up took.
    pub warm_ms: u32,
    /// Bytes of memory that it takes once it is loaded, as far as is known.
    pub memory_bytes: u64,
    /// Golden requests, as they were last answered.
    pub golden: Golden,
    /// When its bytes were last verified, by the wall clock; 0 for never.
    pub verified_at_us: i64,
}

/// How golden requests were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Golden {
    /// As they should be.
    pub passed: u32,
    /// Of how many.
    pub total: u32,
    /// When, by the wall clock; 0 for never.
    pub at_us: i64,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteState {
    /// Which.
    pub endpoint: Arc<str>,
    /// The revision that requests go by; 0 for none.
    pub revision: u64,
    /// The step of it.
    pub step: u32,
    /// Versions and weights that are live, as `fraud@7 95 %`.
    pub shares: Vec<String>,
    /// What keeps the wanted route from being live; empty when it is.
    pub waiting_for: String,
    /// How long the last switch took.
    pub switch_ns: u64,
    /// Until its dead-man's switch fires; absent when none is armed.
    pub reverts_in_ms: Option<u64>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// The assignment that was taken up.
    pub generation: u64,
    /// Every version that the hub wants, or that is still here.
    pub versions: Vec<VersionState>,
    /// Every endpoint.
    pub routes: Vec<RouteState>,
    /// Decisions of the host itself that no assignment has superseded.
    pub overrides: Vec<Override>,
    /// Load balancers are turned away.
    pub draining: bool,
}

impl Observed {
    /// Whether nothing differs but the time that a switch has left, which passes by itself.
    pub fn same_as(&self, other: &Self) -> bool {
        let still = |observed: &Self| {
            let mut still = observed.clone();
            for route in &mut still.routes {
                route.reverts_in_ms = route.reverts_in_ms.map(|_| 0);
            }
            still
        };
        still(self) == still(other)
    }
}
