//! Alerts: something that must hold at an endpoint does not. Opened and closed by the hub,
//! acknowledged and silenced by people, each an entry of the journal.
//!
//! What is breached, since when, and by whose fault stands in the entry; what is measured
//! meanwhile is looked at and never kept. Closed alerts are kept up to a limit, the latest.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use imbl::{OrdMap, Vector};
use serde::{Deserialize, Serialize};

use crate::blame::Blame;
use crate::caller::Caller;
use crate::endpoint::EndpointName;
use crate::name::Name;
use crate::registry::Objective;

pub use change::Change;
pub use command::{Command, Of, Refusal};

pub(crate) use command::decide;

mod apply;
pub mod change;
pub mod command;
mod packed;

/// Closed alerts that are kept: some weeks of a fleet in trouble. The journal has all of them.
pub const MAX_CLOSED: usize = 1_000;
/// Silences that are kept, the latest: one an endpoint of a large fleet.
pub const MAX_SILENCES: usize = 1_000;
/// Alerts of one cause are opened within so long of each other: ten minutes.
pub const TOGETHER_US: i64 = 600_000_000;
/// How often an open alert may be laid to somebody else: more says that nobody knows.
pub const MAX_BLAMED: u32 = 10;

/// Every alert of the fleet, and every silence. Cloning it is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alerts {
    /// By number.
    pub open: OrdMap<u64, Arc<Alert>>,
    /// At most [`MAX_CLOSED`], the last closed at the end.
    pub closed: Vector<Arc<Alert>>,
    /// At most [`MAX_SILENCES`], the latest at the end.
    pub silences: Vector<Arc<Silence>>,
    /// The entry that last said that an endpoint's inputs are normal as they are.
    pub rebaselined: OrdMap<EndpointName, u64>,
}

/// An alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// Its number: the entry that opened it.
    pub number: u64,
    /// At which endpoint.
    pub endpoint: EndpointName,
    /// What does not hold.
    pub subject: Subject,
    /// Since when.
    pub since_us: i64,
    /// When it was opened.
    pub opened_at_us: i64,
    /// The revision that served then; 0 for none.
    pub revision: u64,
    /// What was found, with its numbers.
    pub what: Arc<str>,
    /// To whom it is laid.
    pub blame: Blame,
    /// How often that was changed.
    pub blamed: u32,
    /// What was done about it.
    pub reaction: Reaction,
    /// What may be behind the like at other endpoints.
    pub causes: Vec<Arc<str>>,
    /// The first alert of those that share a cause: of one that stands alone its own number.
    pub incident: u64,
    /// Who knows of it.
    pub acknowledged: Option<Mark>,
    /// When and why it was closed.
    pub closed: Option<Mark>,
}

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A bound on a figure.
    Objective(Objective),
    /// Golden requests are answered wrongly.
    Golden,
    /// More hosts are silent than may be.
    HostsLost,
    /// This host is far from its peers.
    OddHost(Name),
    /// Inputs have moved away from what its versions were trained on.
    Drift,
}

/// How loud an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should look today.
    Warn,
    /// Somebody has to look now.
    Page,
}

/// What the hub did about an alert, by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reaction {
    /// It tells; and why it does no more.
    Tell(Arc<str>),
    /// It takes the endpoint back.
    RollBack {
        /// By this new revision.
        revision: u64,
        /// To what served as this one.
        to: u64,
    },
    /// It would act, and has acted too often: a person has to.
    Frozen(Arc<str>),
}

/// Who said what, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Who.
    pub caller: Caller,
    /// Why.
    pub why: Arc<str>,
    /// When.
    pub at_us: i64,
}

/// Until when alerts of an endpoint are told to nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// About what; absent for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// Who said so.
    pub mark: Mark,
    /// Until when.
    pub until_us: i64,
}

impl Alerts {
    /// An alert by its number, open or closed.
    pub fn get(&self, number: u64) -> Option<&Arc<Alert>> {
        let closed = || self.closed.iter().rev().find(|it| it.number == number);
        self.open.get(&number).or_else(closed)
    }

    /// The open alert about something.
    pub fn about(&self, endpoint: &EndpointName, subject: &Subject) -> Option<&Arc<Alert>> {
        let mut all = self.open.values();
        all.find(|alert| alert.endpoint == *endpoint && alert.subject == *subject)
    }

    /// The open alerts of an endpoint, oldest first.
    pub fn of<'a>(&'a self, endpoint: &'a EndpointName) -> impl Iterator<Item = &'a Arc<Alert>> {
        let all = self.open.values();
        all.filter(move |alert| alert.endpoint == *endpoint)
    }

    /// The other open alerts that have one cause with it, oldest first.
    pub fn with<'a>(&'a self, alert: &'a Alert) -> impl Iterator<Item = &'a Arc<Alert>> {
        let all = self.open.values();
        all.filter(move |it| it.incident == alert.incident && it.number != alert.number)
    }

    /// The incident that an alert about this belongs to: the last that began to grow at most
    /// [`TOGETHER_US`] ago, and of whose alerts all share a cause with it.
    fn incident(&self, subject: &Subject, causes: &[Arc<str>], at_us: i64) -> Option<u64> {
        if causes.is_empty() {
            return None;
        }
        let mut incidents: BTreeMap<u64, (i64, Vec<Arc<str>>)> = BTreeMap::new();
        let all = self.open.values().chain(&self.closed);
        for alert in all.filter(|alert| alert.subject == *subject) {
            let own = || (alert.opened_at_us, alert.causes.clone());
            let (last_us, shared) = incidents.entry(alert.incident).or_insert_with(own);
            *last_us = alert.opened_at_us.max(*last_us);
            shared.retain(|cause| alert.causes.contains(cause));
        }
        let fits = |(last_us, shared): &(i64, Vec<Arc<str>>)| {
            at_us.saturating_sub(*last_us) <= TOGETHER_US
                && shared.iter().any(|cause| causes.contains(cause))
        };
        let last = incidents.into_iter().rev().find(|(_, own)| fits(own));
        last.map(|(incident, _)| incident)
    }

    /// The open alert of an endpoint that somebody should see first: the loudest, then the oldest.
    pub fn worst(&self, endpoint: &EndpointName) -> Option<&Arc<Alert>> {
        let rank = |alert: &&Arc<Alert>| {
            let oldest = std::cmp::Reverse(alert.number);
            (alert.subject.severity(), oldest)
        };
        let all = self.open.values();
        all.filter(|alert| alert.endpoint == *endpoint)
            .max_by_key(rank)
    }

    /// The silence that holds for something, the latest said.
    pub fn silence(
        &self,
        endpoint: &EndpointName,
        subject: &Subject,
        now_us: i64,
    ) -> Option<&Arc<Silence>> {
        let is_about = |silence: &&Arc<Silence>| {
            let is_all = silence.subject.is_none();
            silence.endpoint == *endpoint && (is_all || silence.subject.as_ref() == Some(subject))
        };
        // One that ends at once takes an earlier one away.
        let last = self.silences.iter().rev().find(is_about);
        last.filter(|silence| silence.until_us > now_us)
    }
}

impl Subject {
    /// How loud it is.
    pub fn severity(&self) -> Severity {
        match self {
            Self::Objective(_) | Self::Golden | Self::HostsLost | Self::Drift => Severity::Page,
            Self::OddHost(_) => Severity::Warn,
        }
    }

    /// What it is about, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Objective(_) => "objective",
            Self::Golden => "golden",
            Self::HostsLost => "hosts_lost",
            Self::OddHost(_) => "odd_host",
            Self::Drift => "drift",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Objective(objective) => write!(f, "{objective}"),
            Self::Golden => f.write_str("golden requests answered right"),
            Self::HostsLost => f.write_str("all hosts heard"),
            Self::OddHost(host) => write!(f, "{host} like its peers"),
            Self::Drift => f.write_str("inputs like the training data"),
        }
    }
}

impl Severity {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Page => "page",
        }
    }
}

impl Reaction {
    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Tell(_) => "tell",
            Self::RollBack { .. } => "roll_back",
            Self::Frozen(_) => "frozen",
        }
    }
}

/// In a sentence.
impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tell(why) => f.write_str(why),
            Self::RollBack { revision, to } => {
                write!(f, "rolled back to revision {to} by itself, as {revision}")
            }
            Self::Frozen(why) => write!(f, "nothing by itself any more: {why}"),
        }
    }
}
