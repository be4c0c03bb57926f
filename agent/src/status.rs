//! What an agent says of itself: one document, for `binnacle-agent status` and for scripts.
//!
//! Promises: plain data, the same in JSON and out of it; `schema` changes when a field's
//! meaning does. Gathering it is left to the agent's loop, serving it to the control socket.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::assignment::observed::Observed;
use crate::host::Vitals;
use crate::seal::BootId;
use crate::server::ServerHealth;
use crate::spool::Losses;

/// The schema of this document.
pub const SCHEMA: &str = "binnacle.agent-status/v1";

/// An agent, at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: String,
    /// The moment, in UTC.
    pub as_of: jiff::Timestamp,
    /// The agent's version.
    pub version: String,
    /// The host's name.
    pub host: String,
    /// Its environment.
    pub environment: String,
    /// This start of the agent.
    pub boot: BootId,
    /// The last window sealed; 0 before the first.
    pub sequence: u64,
    /// Where applications connect.
    pub listen: SocketAddr,
    /// The hub.
    pub hub: Hub,
    /// The assignment that the host obeys; 0 for none.
    pub generation: u64,
    /// How far that is: versions, routes, and what the host has decided by itself.
    pub observed: Observed,
    /// The inference server.
    pub server: ServerHealth,
    /// The last second.
    pub traffic: Traffic,
    /// Since the agent started.
    pub totals: Totals,
    /// Whose inputs are watched.
    #[serde(default)]
    pub inputs: Watched,
    /// What was dropped, and what waits.
    pub losses: Losses,
    /// Why windows wait in memory instead of on disk; empty when they do not.
    pub spool_trouble: String,
    /// The machine; absent when it cannot be read.
    pub vitals: Option<Vitals>,
}

/// Where the stream to the hub stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hub {
    /// The address that is spoken to, or tried next.
    pub address: String,
    /// How it stands.
    pub state: HubState,
    /// Why it is not connected, in the hub's words where it spoke; empty when it is.
    pub reason: String,
    /// The hub's version; empty when there is no stream.
    pub version: String,
    /// Until it is tried again; 0 when it is connected, or will not be tried.
    pub retry_in_ms: u64,
}

/// How the stream to the hub stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubState {
    /// The stream stands.
    Connected,
    /// Dialled, not yet welcome.
    Connecting,
    /// Waiting to try again.
    Waiting,
    /// The hub refused, and is asked again slowly.
    Refused,
    /// The hub retired this host.
    Left,
}

impl HubState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Connected => "connected",
            Self::Connecting => "connecting",
            Self::Waiting => "not connected",
            Self::Refused => "refused",
            Self::Left => "left",
        }
    }
}

/// What one second brought.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that did not end well.
    pub errors: u64,
    /// Requests under way.
    pub in_flight: u32,
    /// Median latency; absent when too few requests ended to tell.
    pub p50_us: Option<u64>,
    /// 99th percentile; absent when too few requests ended to tell.
    pub p99_us: Option<u64>,
}

/// What becomes of inputs here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Versions at endpoints whose inputs are held against a reference.
    pub versions: usize,
    /// Of their requests, how many are looked at, in 1/1000: less than 1000 is sampling.
    pub share_permille: u32,
}

/// What the agent counted since it started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Requests by outcome.
    pub requests: BTreeMap<String, u64>,
    /// The sum of their latencies.
    pub latency_ns: u64,
}
