//! Alerts as tables, pages, documents and letters show them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{EndpointName, MAX_NAMED, from_time, some_time, time};
use crate::alert::{Alert, Reaction, Severity, Subject};
use crate::blame::Whom;
use crate::state::State;

/// An alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertItem {
    /// Its number.
    pub alert: u64,
    /// At which endpoint.
    pub endpoint: EndpointName,
    /// What does not hold.
    pub subject: Subject,
    /// The same in words.
    pub text: Arc<str>,
    /// How loud it is.
    pub severity: Severity,
    /// Since when.
    #[serde(
        rename = "since",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub since_us: i64,
    /// When it was opened.
    #[serde(
        rename = "opened_at",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub opened_at_us: i64,
    /// The revision that served then; 0 for none.
    pub revision: u64,
    /// What was found, with its numbers.
    pub what: Arc<str>,
    /// To whom it is laid.
    pub blame: BlameItem,
    /// What the hub did by itself.
    pub reaction: Reaction,
    /// The same in words.
    pub reacted: Arc<str>,
    /// Who knows of it.
    pub acknowledged: Option<MarkItem>,
    /// Who wants nobody told, and why.
    pub silenced: Option<MarkItem>,
    /// Until when.
    #[serde(rename = "silenced_until", with = "some_time", default)]
    pub silenced_until_us: Option<i64>,
    /// When and why it was closed.
    pub closed: Option<MarkItem>,
    /// Where it says what to do; empty where nobody said.
    pub runbook: Arc<str>,
    /// The first alert of those that share a cause with it: its own number where it stands alone.
    #[serde(default)]
    pub incident: u64,
    /// The endpoints of the others that are open, at most [`MAX_NAMED`].
    #[serde(default)]
    pub with: Arc<[EndpointName]>,
}

/// To whom something is laid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlameItem {
    /// this version, this host, upstream, one caller, unknown.
    pub word: Arc<str>,
    /// The same, with the name of the version, host or caller.
    pub whom: Whom,
    /// In a sentence, with the numbers.
    pub why: Arc<str>,
}

/// Who said something, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MarkItem {
    /// Who.
    pub caller: Arc<str>,
    /// Why; empty where nothing was said.
    pub why: Arc<str>,
    /// When.
    #[serde(rename = "at", serialize_with = "time", deserialize_with = "from_time")]
    pub at_us: i64,
}

/// How letters about alerts fare at one sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkItem {
    /// What it is called: its kind, and where it is.
    pub sink: Arc<str>,
    /// Letters that were taken since the hub started.
    pub delivered: u64,
    /// Tries that failed since then.
    pub failed: u64,
    /// Letters that were given up: refused, or tried for too long.
    pub given_up: u64,
    /// Letters that nobody was to get: their alert was silenced.
    pub silenced: u64,
    /// Entries of the journal up to this one are done with.
    pub up_to: u64,
    /// Why the last try failed; empty when it did not.
    pub trouble: Arc<str>,
}

impl AlertItem {
    /// The row of an alert.
    pub fn of(state: &State, alert: &Alert, now_us: i64) -> Self {
        let mark = |mark: &crate::alert::Mark| MarkItem {
            caller: mark.caller.to_string().into(),
            why: mark.why.clone(),
            at_us: mark.at_us,
        };
        let silence = state
            .alerts
            .silence(&alert.endpoint, &alert.subject, now_us);
        let with = state.alerts.with(alert).map(|other| other.endpoint.clone());
        let endpoint = state.endpoints.get(&alert.endpoint);
        let runbook = endpoint.map(|endpoint| endpoint.settings.reactions.runbook.as_str());
        Self {
            alert: alert.number,
            endpoint: alert.endpoint.clone(),
            subject: alert.subject.clone(),
            text: alert.subject.to_string().into(),
            severity: alert.subject.severity(),
            since_us: alert.since_us,
            opened_at_us: alert.opened_at_us,
            revision: alert.revision,
            what: alert.what.clone(),
            blame: BlameItem {
                word: alert.blame.whom.word().into(),
                whom: alert.blame.whom.clone(),
                why: alert.blame.why.clone(),
            },
            reaction: alert.reaction.clone(),
            reacted: alert.reaction.to_string().into(),
            acknowledged: alert.acknowledged.as_ref().map(mark),
            silenced: silence.map(|silence| mark(&silence.mark)),
            silenced_until_us: silence.map(|silence| silence.until_us),
            closed: alert.closed.as_ref().map(mark),
            runbook: runbook.unwrap_or_default().into(),
            incident: alert.incident,
            with: with.take(MAX_NAMED).collect(),
        }
    }
}
