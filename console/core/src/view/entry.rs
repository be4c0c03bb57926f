//! Entries of the journal as tables and pages show them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{from_time, time};
use crate::journal::{Entry, Fault, Flaw, Stored};

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EntryRow {
    /// Its place, from 1.
    pub sequence: u64,
    /// When it was decided.
    #[serde(rename = "at", serialize_with = "time", deserialize_with = "from_time")]
    pub at_us: i64,
    /// Who asked for it.
    pub caller: Arc<str>,
    /// Why, in the caller's words; empty where none was asked for.
    pub why: Arc<str>,
    /// The payload's kind and version.
    pub kind: Arc<str>,
    /// What it is about, such as `host infer-0042`.
    pub object: Arc<str>,
    /// The payload.
    pub data: Value,
    /// The chain's link, in hexadecimal.
    pub hash: Arc<str>,
}

impl EntryRow {
    /// The host that it is about.
    pub fn host(&self) -> Option<&str> {
        self.object.strip_prefix("host ")
    }

    /// Its kind without the payload's version: `host_retired`.
    pub fn kind_name(&self) -> &str {
        self.kind.split('/').next().unwrap_or(&self.kind)
    }

    /// Itself on one line of JSON, as in the documents that scripts read.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a row has string keys and finite numbers")
    }

    /// Reads a stored entry; the chain is not checked.
    pub fn of(stored: &Stored) -> Result<Self, Fault> {
        let entry = Entry::from_body(stored.sequence, &stored.body)?;
        let body: Value = serde_json::from_slice(&stored.body).map_err(|error| Fault {
            sequence: stored.sequence,
            what: Flaw::Unreadable(error.to_string()),
        })?;
        Ok(Self {
            sequence: entry.sequence,
            at_us: entry.at_us,
            caller: entry.caller.to_string().into(),
            kind: entry.change.kind().into(),
            object: entry.change.object().into(),
            why: entry.why.into(),
            data: body.get("data").cloned().unwrap_or_default(),
            hash: hex::encode(stored.hash).into(),
        })
    }
}
