//! Entries of the journal as tables and pages show them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{from_time, shown, time};
use crate::journal::{Entry, Fault, Flaw, Stored};
use crate::rollout::{Phase, Stage};

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

    /// Where an alias went, in words, where it is about one: `champion → @7`.
    pub fn moved(&self) -> Option<String> {
        // What was taken over from another hub has its change inside.
        let data = self.data.get("data").unwrap_or(&self.data);
        let alias = shown(data.get("alias")?.as_str()?);
        Some(match data.get("to").and_then(Value::as_u64) {
            Some(to) => format!("{alias} → @{to}"),
            None => format!("{alias} taken away"),
        })
    }

    /// What became of a rollout, in words, where it is about one: `serves in full`.
    pub fn passed(&self) -> Option<String> {
        let data = self.data.get("data").unwrap_or(&self.data);
        let to = data.get("moved")?.get("to")?;
        let phase = Phase::deserialize(to).ok()?;
        let said = |words: &str, why: &str| match why {
            "" => words.to_owned(),
            why => format!("{words}: {}", shown(why)),
        };
        Some(match &phase {
            Phase::Awaiting { have, of } => format!("waits for approval, {have} of {of} given"),
            Phase::Preparing => "hosts fetch and load what is coming".to_owned(),
            Phase::Step(step, Stage::Shifting) => format!("step {}: hosts switch", step + 1),
            Phase::Step(step, Stage::Baking) => format!("step {}: it is watched", step + 1),
            Phase::Step(step, Stage::Judging) => {
                format!("step {}: too little yet to judge it by", step + 1)
            }
            Phase::Confirming => "waits for somebody to confirm it".to_owned(),
            Phase::Pausing(step) => format!("pauses at step {}", step + 1),
            Phase::Paused(step) => format!("stands still at step {}", step + 1),
            Phase::RollingBack(why) => said("hosts go back", why),
            Phase::Aborting(why) => said("it is given up, hosts go back", why),
            Phase::Promoted => "serves in full".to_owned(),
            Phase::RolledBack(why) => said("all hosts are back", why),
            Phase::Aborted(why) => said("it was given up", why),
        })
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_became_of_a_rollout_is_told_in_words() {
        let told = |to: Value| {
            let row = EntryRow {
                sequence: 9,
                at_us: 0,
                caller: "hub".into(),
                why: "".into(),
                kind: "rollout_moved/v1".into(),
                object: "endpoint prod/fraud".into(),
                data: json!({"endpoint": "prod/fraud", "moved": {"to": to, "hosts": 3}}),
                hash: "".into(),
            };
            row.passed()
        };
        let phase = |phase: &Phase| told(serde_json::to_value(phase).unwrap()).unwrap();
        assert_eq!(phase(&Phase::Promoted), "serves in full");
        let baking = Phase::Step(1, Stage::Baking);
        assert_eq!(phase(&baking), "step 2: it is watched");
        let back = Phase::RolledBack("scores\u{1b}[31m look wrong".into());
        let said = phase(&back);
        assert!(said.starts_with("all hosts are back: scores") && !said.contains('\u{1b}'));
        assert_eq!(told(json!("some_day")), None, "a newer hub's word");
    }

    #[test]
    fn a_move_of_an_alias_is_told_whoever_decided_it() {
        let told = |data: Value| {
            let row = EntryRow {
                sequence: 9,
                at_us: 0,
                caller: "alice".into(),
                why: "".into(),
                kind: "".into(),
                object: "model fraud".into(),
                data,
                hash: "".into(),
            };
            row.moved()
        };
        let moved = |to: Option<u32>| json!({"model": "fraud", "alias": "champion", "to": to});
        assert_eq!(told(moved(Some(7))).unwrap(), "champion → @7");
        assert_eq!(told(moved(None)).unwrap(), "champion taken away");
        let imported = json!({"at_us": 1, "kind": "alias_moved/v1", "data": moved(Some(2))});
        assert_eq!(told(imported).unwrap(), "champion → @2");
        assert_eq!(told(json!({"name": "fraud"})), None);
    }
}
