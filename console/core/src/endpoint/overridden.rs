//! What hosts decided for themselves, as the hub has taken note of it.

use serde::{Deserialize, Serialize};

use crate::endpoint::EndpointName;
use crate::name::Name;
use crate::served::Override;

/// Hosts in one entry: a fleet whose switches all fired is some entries, not one a host.
pub const MAX_ADOPTED: usize = 500;

/// A local decision that the hub knows of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overridden {
    /// What the host said.
    pub told: Override,
    /// When the hub took note of it.
    pub adopted_at_us: i64,
    /// Whether it stands: what the hub wants of the host waits until somebody decides anew.
    pub stands: bool,
}

/// Local decisions that were taken note of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adopted {
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// Each host's.
    pub overrides: Vec<OfHost>,
}

/// One host's local decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfHost {
    /// Which host.
    pub host: Name,
    /// What it said.
    pub told: Override,
    /// Whether it stands; if not, the host is told to follow again.
    pub stands: bool,
}
