//! What the journal says of alerts: every payload carries its kind and version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Reaction, Subject};
use crate::blame::Blame;
use crate::endpoint::EndpointName;

/// What an entry changes about alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum Change {
    /// Something that must hold does not.
    #[serde(rename = "alert_opened/v1")]
    Opened(Box<Opened>),
    /// It is laid to somebody else by now.
    #[serde(rename = "alert_blamed/v1")]
    Blamed(Box<Blamed>),
    /// It holds again.
    #[serde(rename = "alert_closed/v1")]
    Closed(OfAlert),
    /// Somebody knows of it.
    #[serde(rename = "alert_acknowledged/v1")]
    Acknowledged(OfAlert),
    /// Nobody is to be told for a while.
    #[serde(rename = "alert_silenced/v1")]
    Silenced(Silenced),
    /// What is measured of an endpoint's inputs counts as normal from now on.
    #[serde(rename = "inputs_rebaselined/v1")]
    Rebaselined(Rebaselined),
}

/// A new alert. Its number is that of the entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// At which endpoint.
    pub endpoint: EndpointName,
    /// What does not hold.
    pub subject: Subject,
    /// Since when.
    pub since_us: i64,
    /// The revision that serves; 0 for none.
    pub revision: u64,
    /// What was found, with its numbers.
    pub what: Arc<str>,
    /// To whom it is laid.
    pub blame: Blame,
    /// What is done about it.
    pub reaction: Reaction,
    /// What may be behind the like at other endpoints.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Arc<str>>,
}

/// An open alert, seen anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blamed {
    /// Which.
    pub alert: u64,
    /// At which endpoint.
    pub endpoint: EndpointName,
    /// What was found, with its numbers.
    pub what: Arc<str>,
    /// To whom it is laid.
    pub blame: Blame,
    /// What is done about it.
    pub reaction: Reaction,
}

/// An alert, and where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfAlert {
    /// Which.
    pub alert: u64,
    /// At which endpoint.
    pub endpoint: EndpointName,
}

/// What nobody is to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Silenced {
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// About what; absent for all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Subject>,
    /// Until when.
    pub until_us: i64,
}

/// Whose inputs are accepted as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rebaselined {
    /// Of which endpoint.
    pub endpoint: EndpointName,
}

impl Change {
    /// Every kind that is written today.
    pub const KINDS: [&str; 6] = [
        "alert_opened/v1",
        "alert_blamed/v1",
        "alert_closed/v1",
        "alert_acknowledged/v1",
        "alert_silenced/v1",
        "inputs_rebaselined/v1",
    ];

    /// The payload's kind and version, as it is stored.
    pub fn kind(&self) -> &'static str {
        let [opened, blamed, closed, acknowledged, silenced, rebaselined] = Self::KINDS;
        match self {
            Self::Opened(_) => opened,
            Self::Blamed(_) => blamed,
            Self::Closed(_) => closed,
            Self::Acknowledged(_) => acknowledged,
            Self::Silenced(_) => silenced,
            Self::Rebaselined(_) => rebaselined,
        }
    }

    /// The endpoint that it is about.
    pub fn endpoint(&self) -> &EndpointName {
        match self {
            Self::Opened(opened) => &opened.endpoint,
            Self::Blamed(blamed) => &blamed.endpoint,
            Self::Closed(of) | Self::Acknowledged(of) => &of.endpoint,
            Self::Silenced(silenced) => &silenced.endpoint,
            Self::Rebaselined(rebaselined) => &rebaselined.endpoint,
        }
    }

    /// The alert that it is about, where it stands as this entry; `None` for a silence.
    pub fn alert(&self, sequence: u64) -> Option<u64> {
        match self {
            Self::Opened(_) => Some(sequence),
            Self::Blamed(blamed) => Some(blamed.alert),
            Self::Closed(of) | Self::Acknowledged(of) => Some(of.alert),
            Self::Silenced(_) | Self::Rebaselined(_) => None,
        }
    }
}
