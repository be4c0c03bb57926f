//! What an agent sends when a window is sealed.

use std::fmt;
use std::sync::Arc;

use binnacle_sketch::profile::Live;
use serde::{Deserialize, Serialize};

use crate::registry::{Digest, Reference};
use crate::series::SeriesWindow;

/// One start of an agent: 16 random bytes. Sequences count within it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BootId(pub [u8; 16]);

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

/// A sealed span of time. Windows that waited may have been added together, which widens the
/// sequence range.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The agent's start that this belongs to.
    pub boot: BootId,
    /// First window in it; sequences begin at 1.
    pub first: u64,
    /// Last window in it; never less than `first`.
    pub last: u64,
    /// When it began, by the agent's wall clock.
    pub start_us: i64,
    /// How long it lasts.
    pub span_ms: u32,
    /// What was counted.
    pub series: Vec<SeriesWindow>,
    /// Requests under way at the moment of sealing.
    pub in_flight: u32,
    /// The moment of sealing; absent in windows that waited.
    pub moment: Option<Moment>,
    /// What inputs were counted.
    pub inputs: Vec<InputWindow>,
}

/// What the values of a version are counted against: profiles in the hub's store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// Of its inputs.
    pub inputs: Option<Digest>,
    /// Of its answers.
    pub outputs: Option<Digest>,
}

/// The inputs of one version at one endpoint, counted against its reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputWindow {
    /// The endpoint: without its environment, as hosts know it.
    pub endpoint: Arc<str>,
    /// The version.
    pub version: Reference,
    /// What it was counted against.
    pub references: References,
    /// When the counting began, by the agent's wall clock.
    pub from_us: i64,
    /// When it ended.
    pub to_us: i64,
    /// Requests that were looked at.
    pub requests: u64,
    /// Of these, those that do not fit the features.
    pub unfit: u64,
    /// Requests that sampling left out.
    pub skipped: u64,
    /// Requests that there was no room for.
    pub dropped: u64,
    /// Each feature that was counted, by name.
    pub features: Vec<(Arc<str>, Live)>,
}

/// What a host says of the moment, rather than of the span.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Moment {
    /// The agent's wall clock when it sent this.
    pub sent_at_us: i64,
    /// The machine.
    pub vitals: Option<Vitals>,
    /// The inference server beside the agent.
    pub server: Option<ServerHealth>,
    /// What the agent had to drop.
    pub losses: Losses,
}

/// How the machine is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// 1000 is every core busy.
    pub cpu_permille: u32,
    /// Logical cores.
    pub cores: u32,
    /// Bytes of memory in use.
    pub memory_used: u64,
    /// Bytes of memory.
    pub memory_total: u64,
    /// Bytes in use on the disk that holds the agent's data.
    pub disk_used: u64,
    /// Bytes on that disk.
    pub disk_total: u64,
    /// Bytes a second received over all interfaces.
    pub network_received_per_s: u64,
    /// Bytes a second sent over all interfaces.
    pub network_sent_per_s: u64,
    /// The agent's own resident memory in bytes.
    pub agent_memory: u64,
    /// The inference server's resident memory, with all that it started; 0 where it is not known.
    #[serde(default)]
    pub server_memory: u64,
}

/// One of the lights of a server or of a version on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Light {
    /// Looked at, and it is so.
    On,
    /// Looked at, and it is not so.
    Off,
    /// Not looked at, or not knowable with this server.
    #[default]
    Unknown,
}

/// The lights of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionLights {
    /// The upstream's name of the model.
    pub model: Arc<str>,
    /// The upstream's version.
    pub version: Arc<str>,
    /// The server says that it is loaded.
    pub loaded: Light,
    /// A probe inference was answered.
    pub answers: Light,
    /// Its golden requests are answered as they should be; unknown where it has none.
    #[serde(default)]
    pub correct: Light,
    /// Why the first dark light is dark; empty when all are on.
    pub reason: Arc<str>,
}

/// The inference server beside an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerHealth {
    /// Where the agent forwards to.
    pub upstream: Arc<str>,
    /// The process is up.
    pub process: Light,
    /// Why it is dark; empty when it is on.
    pub reason: Arc<str>,
    /// Each version that the server lists.
    pub versions: Vec<VersionLights>,
}

/// What an agent had to drop since it started, each behind a named limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Losses {
    /// Windows that the full spool dropped.
    pub spool_windows: u64,
    /// Requests in those windows.
    pub spool_requests: u64,
    /// Requests counted as `other` because the series limit was reached.
    pub series_overflow: u64,
    /// Lines of the request log that a full queue dropped.
    pub log_lines: u64,
    /// Bodies that a full tap dropped.
    pub tap_bodies: u64,
    /// Windows that wait on disk now: not a loss, but where one begins.
    pub spooled_windows: u32,
    /// Their bytes.
    pub spooled_bytes: u64,
    /// Writes to the spool that the disk refused.
    pub spool_write_failures: u64,
}
