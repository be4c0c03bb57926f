//! What a screen wants to know, as values: the update compares what is wanted with what is
//! known and asks for the difference.

use std::sync::Arc;

use binnacle_core::view::{
    Digest, EntryRow, Glances, History, HostRow, LatencyPage, RegistryObject,
};
use serde::{Deserialize, Serialize};

pub mod alert;
pub mod drift;
pub mod endpoint;
pub mod registry;

use self::endpoint::{Deed, Inquiry};
use self::registry::{Change, Listing, Told, quoted};

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
    /// A page of a table of the registry.
    Listed(Listing),
    /// What something was made from, or what was made from it.
    Lineage {
        /// Of what.
        object: RegistryObject,
        /// What was made from it, rather than what it was made from.
        uses: bool,
    },
    /// Entries of the journal about something of the registry, newest first.
    About {
        /// About what.
        object: RegistryObject,
    },
    /// What a data set looks like.
    Profile {
        /// The profile's name in the store.
        digest: Digest,
    },
    /// How far two data sets lie apart.
    Distances {
        /// The profile of the first.
        reference: Digest,
        /// The profile of the other.
        other: Digest,
    },
    /// Something about endpoints and rollouts.
    Endpoints(Inquiry),
    /// Something about alerts.
    Alerts(alert::Inquiry),
    /// Something about watched inputs.
    Drift(drift::Inquiry),
}

impl Question {
    /// Whether it is about the registry or endpoints, and its answer may be another after an
    /// entry about them.
    pub fn is_of_registry(&self) -> bool {
        match self {
            Self::Listed(listing) => listing.at_us.is_none(),
            Self::Endpoints(Inquiry::Proof(..) | Inquiry::AllAt(_) | Inquiry::OneAt(..)) => false,
            Self::Lineage { .. } | Self::About { .. } | Self::Endpoints(_) => true,
            Self::Alerts(_) | Self::Drift(_) => true,
            Self::Latency { .. }
            | Self::HostLatency { .. }
            | Self::History { .. }
            | Self::Journal { .. }
            | Self::Past { .. }
            | Self::Host { .. }
            | Self::Profile { .. }
            | Self::Distances { .. } => false,
        }
    }

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
            Self::Listed(listing) if listing.at_us.is_some() => None,
            // An entry of the journal asks for them sooner.
            Self::Listed(_) | Self::Lineage { .. } | Self::About { .. } => Some(30),
            Self::Endpoints(Inquiry::Revisions(_)) => Some(30),
            // What was replayed is not replayed again by itself.
            Self::Endpoints(Inquiry::Proof(..) | Inquiry::AllAt(_) | Inquiry::OneAt(..)) => None,
            // Which hosts are ready is in no entry.
            Self::Endpoints(
                Inquiry::All
                | Inquiry::One(_)
                | Inquiry::Rollout(..)
                | Inquiry::Underway
                | Inquiry::Plan(_),
            ) => Some(5),
            Self::Alerts(_) | Self::Drift(_) => Some(5),
            // Named by what is in it: it cannot change.
            Self::Profile { .. } | Self::Distances { .. } => None,
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
    /// To [`Question::Journal`] and [`Question::About`].
    Journal(Arc<[EntryRow]>),
    /// To [`Question::Past`].
    Past(Arc<Glances>),
    /// To [`Question::Host`]; absent when there is none of this name.
    Host(Option<Arc<HostRow>>),
    /// To what is asked of the registry.
    Registry(Told),
    /// To what is asked of endpoints.
    Endpoints(endpoint::Told),
    /// To what is asked of alerts.
    Alerts(alert::Told),
    /// To what is asked of watched inputs.
    Drift(drift::Told),
}

impl Answer {
    /// What it says of the registry.
    pub fn told(&self) -> Option<&Told> {
        let Self::Registry(told) = self else {
            return None;
        };
        Some(told)
    }

    /// Whether it is another in a moment: then it is asked again soon.
    pub fn is_moving(&self) -> bool {
        match self {
            Self::Endpoints(told) => told.is_moving(),
            Self::Latency(_)
            | Self::History(_)
            | Self::Journal(_)
            | Self::Past(_)
            | Self::Host(_)
            | Self::Registry(_)
            | Self::Alerts(_)
            | Self::Drift(_) => false,
        }
    }

    /// Whether there is nothing in it yet that could be drawn: then it is asked again soon.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Latency(page) => page.points.is_empty(),
            Self::History(history) => {
                let mut cells = history.hosts.iter().flat_map(|(_, cells)| cells);
                cells.all(Option::is_none)
            }
            Self::Journal(_)
            | Self::Past(_)
            | Self::Host(_)
            | Self::Registry(_)
            | Self::Endpoints(_)
            | Self::Alerts(_)
            | Self::Drift(_) => false,
        }
    }
}

/// Something that is asked of the hub to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Change something of the registry.
    Change(Box<Change>),
    /// Do something with an endpoint.
    Endpoint(Box<Deed>),
    /// Do something about an alert.
    Alert(Box<alert::Deed>),
    /// Take what is measured as normal.
    Rebaseline(Box<drift::Rebaseline>),
}

/// Why a wish was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// In words.
    pub why: String,
    /// Whether somebody else changed the same thing meanwhile.
    pub is_conflict: bool,
}

impl Wish {
    /// The headless command that does the same.
    pub fn command(&self) -> String {
        match self {
            Self::Retire { host, reason } => {
                format!("binnacle host retire {host} --reason {}", quoted(reason))
            }
            Self::Readmit { host, reason } => {
                format!("binnacle host readmit {host} --reason {}", quoted(reason))
            }
            Self::Change(change) => change.command(),
            Self::Endpoint(deed) => deed.command(),
            Self::Alert(deed) => deed.command(),
            Self::Rebaseline(wish) => wish.command(),
        }
    }

    /// The same for another reason; one that was given before stays where none is given now.
    pub fn because(self, given: String) -> Self {
        match self {
            Self::Retire { host, .. } => Self::Retire {
                host,
                reason: given,
            },
            Self::Readmit { host, .. } => Self::Readmit {
                host,
                reason: given,
            },
            Self::Change(mut change) => {
                if !given.is_empty() {
                    change.reason = given;
                }
                Self::Change(change)
            }
            Self::Endpoint(mut deed) => {
                deed.reason = given;
                Self::Endpoint(deed)
            }
            Self::Alert(mut deed) => {
                deed.reason = given;
                Self::Alert(deed)
            }
            Self::Rebaseline(mut wish) => {
                wish.reason = given;
                Self::Rebaseline(wish)
            }
        }
    }
}
