//! What a host says that it serves: versions and how near to serving, routes that are live, and
//! what it decided for itself. Observed, never journalled; of the last only what the hub made of
//! it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::Name;
use crate::registry::Reference;

/// Versions, routes and local decisions in one observation, each: ten times what a host holds.
pub const MAX_SERVED: usize = 1_024;

/// What a host does now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Served {
    /// The assignment that it has taken up; 0 for none.
    pub generation: u64,
    /// Its versions, as far as they are the registry's.
    pub versions: BTreeMap<Reference, VersionState>,
    /// Its live routes, by endpoint.
    pub routes: BTreeMap<Name, RouteState>,
    /// What it decided for itself, by endpoint, and what no assignment has superseded.
    pub overrides: BTreeMap<Name, Override>,
    /// Whether it turns load balancers away.
    pub draining: bool,
}

/// How near to serving a version is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Nearness {
    /// It is not there.
    #[default]
    Absent,
    /// Its files are on their way.
    Fetching,
    /// Their digest is checked.
    Verifying,
    /// They are there, and what they should be.
    Fetched,
    /// The server loads it.
    Loading,
    /// It is warmed up, and asked what it should know.
    Warming,
    /// It serves, or could this moment.
    Ready,
    /// It finishes what it began.
    Draining,
    /// It could not be made to serve.
    Failed,
}

/// One version on one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VersionState {
    /// How near to serving.
    pub nearness: Nearness,
    /// Of the way there, in 1/1000.
    pub progress_permille: u32,
    /// Why it failed or waits; empty otherwise.
    pub reason: Arc<str>,
    /// How long the last fetch took, in milliseconds; 0 for one that was not seen.
    pub fetch_ms: u32,
    /// How long the last load took.
    pub load_ms: u32,
    /// How long the last warm-up took.
    pub warm_ms: u32,
    /// Golden requests that were answered as they should be.
    pub golden_passed: u32,
    /// Of how many; 0 where there are none.
    pub golden_total: u32,
    /// When its digest was checked, by the host's clock; 0 for never.
    pub verified_at_us: i64,
}

/// Which of an endpoint's routes: rises with each change of the route.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Stamp {
    /// The revision that it is of; 0 for none.
    pub revision: u64,
    /// Its place among the routes that the revision's rollout went through, from 1.
    pub step: u32,
}

/// One endpoint's route on one host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteState {
    /// What is live.
    pub live: Stamp,
    /// What keeps the assigned one from being live; empty when it is.
    pub waiting_for: Arc<str>,
    /// How long the last switch took.
    pub switch_ns: u64,
    /// When the dead man's switch fires; 0 when none is armed.
    pub reverts_in_ms: u64,
}

/// A decision of the host itself, as it was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// 16 random bytes.
    pub id: [u8; 16],
    /// The route that it left.
    pub from: Stamp,
    /// What it was.
    pub kind: OverrideKind,
    /// Who, in the host's words; empty for nobody.
    #[serde(default)]
    pub who: String,
    /// Why.
    #[serde(default)]
    pub why: String,
    /// When, by the host's clock.
    pub at_us: i64,
}

/// Why a host decided for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OverrideKind {
    /// Somebody on the host rolled back.
    ByHand,
    /// Nobody confirmed in time.
    Unconfirmed,
}

impl Nearness {
    /// Its word.
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
            Self::Failed => "failed",
        }
    }
}

impl Served {
    /// How near to serving a version is.
    pub fn nearness(&self, version: &Reference) -> Nearness {
        self.versions
            .get(version)
            .map_or(Nearness::Absent, |state| state.nearness)
    }

    /// Whether it could serve all of these this moment.
    pub fn is_ready<'a>(&self, mut versions: impl Iterator<Item = &'a Reference>) -> bool {
        versions.all(|version| self.nearness(version) == Nearness::Ready)
    }

    /// The route of an endpoint that is live.
    pub fn live(&self, endpoint: &Name) -> Stamp {
        self.routes
            .get(endpoint)
            .map_or(Stamp::default(), |route| route.live)
    }
}
