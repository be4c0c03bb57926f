//! What a screen wants to know, as values: the update compares what is wanted with what is
//! known and asks for the difference.

use std::sync::Arc;

use binnacle_core::view::{EntryRow, Glances, History, HostRow, LatencyPage};
use serde::{Deserialize, Serialize};

/// A span of time that ends now, or at a moment of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// How long, in seconds.
    pub length_s: u32,
    /// Seconds a step.
    pub step_s: u32,
    /// Where it ends, by the hub's clock; absent: now.
    pub until_us: Option<i64>,
}

impl Span {
    /// The span ending now.
    pub fn last(length_s: u32, step_s: u32) -> Self {
        Self {
            length_s,
            step_s,
            until_us: None,
        }
    }

    /// The same length, ending then.
    pub fn until(self, until_us: Option<i64>) -> Self {
        Self { until_us, ..self }
    }
}

/// A question to the hub.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Question {
    /// A model's latencies by version, step by step; no model: everything added together
    /// without names.
    Latency {
        /// The upstream's name of the model.
        model: Option<Arc<str>>,
        /// Which time.
        span: Span,
    },
    /// The requests of one host's last minute, by model and version.
    HostLatency {
        /// Which.
        host: Arc<str>,
    },
    /// Hosts' requests minute by minute.
    History {
        /// Which, at most 500, in the order in which they are shown.
        hosts: Arc<[Arc<str>]>,
        /// Which time.
        span: Span,
    },
    /// Entries of the journal, newest first.
    Journal {
        /// Only those about this host.
        host: Option<Arc<str>>,
        /// Only those before this one.
        before: Option<u64>,
    },
    /// The whole fleet as it was at this moment.
    Past {
        /// By the hub's clock.
        at_us: i64,
    },
    /// One host, whole.
    Host {
        /// Which.
        host: Arc<str>,
    },
}

impl Question {
    /// Seconds after which an answer is asked for anew while it is on the screen; nothing
    /// where an answer does not change.
    pub fn refreshed_s(&self) -> Option<u32> {
        match self {
            Self::Latency { span, .. } | Self::History { span, .. } if span.until_us.is_some() => {
                None
            }
            // Half a step at most is missing from the end of what is drawn.
            Self::Latency { span, .. } => Some((span.step_s / 2).clamp(5, 15)),
            Self::HostLatency { .. } => Some(5),
            Self::History { .. } => Some(60),
            Self::Journal { before: None, .. } => Some(15),
            Self::Journal { .. } | Self::Past { .. } => None,
            Self::Host { .. } => Some(1),
        }
    }
}

/// An answer of the hub.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Answer {
    /// To [`Question::Latency`] and [`Question::HostLatency`].
    Latency(Arc<LatencyPage>),
    /// To [`Question::History`].
    History(Arc<History>),
    /// To [`Question::Journal`].
    Journal(Arc<[EntryRow]>),
    /// To [`Question::Past`].
    Past(Arc<Glances>),
    /// To [`Question::Host`]; absent when there is none of this name.
    Host(Option<Arc<HostRow>>),
}

impl Answer {
    /// Whether there is nothing in it yet that could be drawn: then it is asked again soon.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Latency(page) => page.points.is_empty(),
            Self::History(history) => {
                let mut cells = history.hosts.iter().flat_map(|(_, cells)| cells);
                cells.all(Option::is_none)
            }
            Self::Journal(_) | Self::Past(_) | Self::Host(_) => false,
        }
    }
}

/// Something that is asked of the hub to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Wish {
    /// Take a host out of the fleet.
    Retire {
        /// Which.
        host: Arc<str>,
        /// Why, in the operator's words.
        reason: String,
    },
    /// Let a retired host dial again.
    Readmit {
        /// Which.
        host: Arc<str>,
        /// Why, in the operator's words.
        reason: String,
    },
}

impl Wish {
    /// The headless command that does the same.
    pub fn command(&self) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
        match self {
            Self::Retire { host, reason } => {
                format!("binnacle host retire {host} --reason {}", quoted(reason))
            }
            Self::Readmit { host, reason } => {
                format!("binnacle host readmit {host} --reason {}", quoted(reason))
            }
        }
    }
}
