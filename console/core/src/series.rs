//! What requests are counted by, and one span's counts of it.

use std::sync::Arc;

use binnacle_sketch::Encoded;
use serde::{Deserialize, Serialize};

/// How one request ended, as the agent saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// 2xx and 3xx; gRPC OK.
    Ok,
    /// 4xx; gRPC INVALID_ARGUMENT and its like.
    ClientError,
    /// 5xx that the upstream answered; gRPC INTERNAL and its like.
    ServerError,
    /// The upstream could not be reached, or hung up before it answered.
    UpstreamRefused,
    /// The upstream did not answer within the agent's limit.
    TimedOut,
    /// The application left before the answer was complete.
    ClientGone,
    /// A word of a newer agent: counted, and counted as an error.
    Unknown,
}

impl Outcome {
    /// Every outcome, in the order in which tables show them.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::ClientError,
        Self::ServerError,
        Self::UpstreamRefused,
        Self::TimedOut,
        Self::ClientGone,
        Self::Unknown,
    ];

    /// Whether the request failed.
    pub fn is_error(self) -> bool {
        self != Self::Ok
    }

    /// The word for it, in tables and JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::UpstreamRefused => "upstream_refused",
            Self::TimedOut => "timed_out",
            Self::ClientGone => "client_gone",
            Self::Unknown => "unknown",
        }
    }
}

/// What a request is counted by. Upstream names are opaque: any UTF-8 up to
/// [`MAX_UPSTREAM_NAME`] bytes, to be escaped where it is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SeriesKey {
    /// The endpoint that was called; empty while none is configured.
    pub endpoint: Arc<str>,
    /// The upstream's name of the model; `other` for names that the server does not know.
    pub model: Arc<str>,
    /// The upstream's version; empty when the application named none.
    pub version: Arc<str>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Bytes in the longest upstream name: what common servers use as a file name's limit.
pub const MAX_UPSTREAM_NAME: usize = 255;

/// One series in one span of time. Everything in it adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesWindow {
    /// What was counted.
    pub key: SeriesKey,
    /// How long the requests took; its count is the number of requests.
    pub latency: Encoded,
    /// Bytes of the requests' bodies.
    pub request_bytes: u64,
    /// Bytes of the answers' bodies.
    pub response_bytes: u64,
}
