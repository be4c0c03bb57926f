//! The journal: an append-only, hash-chained record of every decision. State is its fold.
//!
//! The chain covers the bytes as they are stored, so that a later release, which writes an
//! entry differently, still verifies what an earlier one wrote:
//! `hash(n) = SHA-256(hash(n−1) ‖ body(n))`, with 32 zero bytes before the first.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::alert;
use crate::caller::Caller;
use crate::endpoint::{self, EndpointName};
use crate::host::Admission;
use crate::name::Name;
use crate::registry::{self, Line};

/// A link of the chain.
pub type Hash = [u8; 32];

/// What the first entry is chained to.
pub const ORIGIN: Hash = [0; 32];

/// Bytes in the longest reason that a person may give.
pub const MAX_REASON: usize = 1_000;

/// One line of the journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// Its place, from 1, without gaps.
    pub sequence: u64,
    /// When it was decided.
    pub at_us: i64,
    /// Who asked for it.
    pub caller: Caller,
    /// Why, in the caller's words; empty where none was asked for.
    pub why: String,
    /// The caller's key for it: asked for again under the same key, it is not done again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Line>,
    /// What was decided.
    #[serde(flatten)]
    pub change: Change,
}

/// What an entry changes. Each payload carries its kind and version: a payload that changes
/// shape gets a new version, and [`Entry::from_body`] learns to read the old one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum Change {
    /// The store was created.
    #[serde(rename = "genesis/v1")]
    Genesis {
        /// Which store this is: a ULID.
        store: String,
    },
    /// A host was seen for the first time, or came back after it was retired.
    #[serde(rename = "host_admitted/v1")]
    HostAdmitted(Admission),
    /// A host came back with another environment or other labels.
    #[serde(rename = "host_relabelled/v1")]
    HostRelabelled(Admission),
    /// A host was taken out of the fleet.
    #[serde(rename = "host_retired/v1")]
    HostRetired {
        /// Which.
        host: Name,
    },
    /// A host turns load balancers away, finishes what it began, and unloads.
    #[serde(rename = "host_drained/v1")]
    HostDrained {
        /// Which.
        host: Name,
    },
    /// A drained host serves again.
    #[serde(rename = "host_resumed/v1")]
    HostResumed {
        /// Which.
        host: Name,
    },
    /// A retired host may dial again.
    #[serde(rename = "host_readmitted/v1")]
    HostReadmitted {
        /// Which.
        host: Name,
    },
    /// An endpoint was changed, or a rollout went on.
    #[serde(untagged)]
    Endpoint(endpoint::Change),
    /// An alert was opened, closed, or spoken of.
    #[serde(untagged)]
    Alert(alert::Change),
    /// The registry was changed. Last: whatever is no kind of the above is looked for there.
    #[serde(untagged)]
    Registry(registry::Change),
}

impl Change {
    /// The payload's kind and version, as it is stored.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Genesis { .. } => "genesis/v1",
            Self::HostAdmitted(_) => "host_admitted/v1",
            Self::HostRelabelled(_) => "host_relabelled/v1",
            Self::HostRetired { .. } => "host_retired/v1",
            Self::HostDrained { .. } => "host_drained/v1",
            Self::HostResumed { .. } => "host_resumed/v1",
            Self::HostReadmitted { .. } => "host_readmitted/v1",
            Self::Endpoint(change) => change.kind(),
            Self::Alert(change) => change.kind(),
            Self::Registry(change) => change.kind(),
        }
    }

    /// The host that it concerns.
    pub fn host(&self) -> Option<&Name> {
        match self {
            Self::Genesis { .. } | Self::Endpoint(_) | Self::Alert(_) | Self::Registry(_) => None,
            Self::HostAdmitted(admission) | Self::HostRelabelled(admission) => {
                Some(&admission.host)
            }
            Self::HostRetired { host }
            | Self::HostDrained { host }
            | Self::HostResumed { host }
            | Self::HostReadmitted { host } => Some(host),
        }
    }

    /// The endpoint whose hosts it concerns.
    pub fn endpoint(&self) -> Option<&EndpointName> {
        match self {
            Self::Endpoint(change) => Some(change.endpoint()),
            Self::Genesis { .. }
            | Self::HostAdmitted(_)
            | Self::HostRelabelled(_)
            | Self::HostRetired { .. }
            | Self::HostDrained { .. }
            | Self::HostResumed { .. }
            | Self::HostReadmitted { .. }
            | Self::Alert(_)
            | Self::Registry(_) => None,
        }
    }

    /// What it is about, in the words of a table.
    pub fn object(&self) -> String {
        match self {
            Self::Genesis { store } => format!("store {store}"),
            Self::HostAdmitted(admission) | Self::HostRelabelled(admission) => {
                format!("host {}", admission.host)
            }
            Self::HostRetired { host }
            | Self::HostDrained { host }
            | Self::HostResumed { host }
            | Self::HostReadmitted { host } => format!("host {host}"),
            Self::Endpoint(change) => format!("endpoint {}", change.endpoint()),
            Self::Alert(change) => format!("endpoint {}", change.endpoint()),
            Self::Registry(change) => change.object().to_string(),
        }
    }
}

/// An entry as it is stored and sent: the bytes that the hash covers, and the hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Stored {
    /// The entry's sequence, which its body repeats.
    pub sequence: u64,
    /// A JSON document.
    pub body: Vec<u8>,
    /// The chain's link.
    pub hash: Hash,
}

impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body);
        write!(
            f,
            "Stored({} {} {body})",
            self.sequence,
            hex::encode(self.hash)
        )
    }
}

/// Where the chain does not hold.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
#[error("journal entry {sequence}: {what}")]
pub struct Fault {
    /// The first entry that cannot be trusted.
    pub sequence: u64,
    /// What is wrong with it.
    pub what: Flaw,
}

/// What can be wrong with an entry.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum Flaw {
    /// A byte of the body, of the hash, or of an entry before it was changed.
    #[error("its bytes do not fit its hash and the entry before it")]
    Broken,
    /// Another sequence was expected here.
    #[error("missing: the next one stored is {found}")]
    Missing {
        /// What stands in its place.
        found: u64,
    },
    /// The head that was noted down is further than the last entry.
    #[error("cut off: the store once ended at {head}")]
    Truncated {
        /// The head that was noted down.
        head: u64,
    },
    /// The head that was noted down has another hash.
    #[error("the head that was noted down has another hash")]
    OtherHead,
    /// The bytes fit the chain but are no entry that this release can read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
}

impl Entry {
    /// The entry, sealed to the one before it.
    pub fn seal(&self, previous: &Hash) -> Stored {
        let body = serde_json::to_vec(self).expect("an entry has string keys and finite numbers");
        let hash = link(previous, &body);
        Stored {
            sequence: self.sequence,
            body,
            hash,
        }
    }

    /// Reads the body of a stored entry.
    pub fn from_body(sequence: u64, body: &[u8]) -> Result<Self, Fault> {
        let unreadable = |what: String| Fault {
            sequence,
            what: Flaw::Unreadable(what),
        };
        let entry = read(body).map_err(|error| unreadable(error.to_string()))?;
        if entry.sequence == sequence {
            Ok(entry)
        } else {
            Err(unreadable(format!(
                "it says that it is entry {}",
                entry.sequence
            )))
        }
    }
}

/// An entry without what it changes.
#[derive(Deserialize)]
struct Envelope {
    sequence: u64,
    at_us: i64,
    caller: Caller,
    why: String,
    #[serde(default)]
    key: Option<Line>,
    kind: String,
}

/// Reads the envelope first and the payload by its kind: so a payload that does not read says
/// what is wrong with it, and not that it is none of all that there are.
fn read(body: &[u8]) -> serde_json::Result<Entry> {
    let Envelope {
        sequence,
        at_us,
        caller,
        why,
        key,
        kind,
    } = serde_json::from_slice(body)?;
    let change = match kind.as_str() {
        kind if registry::Change::KINDS.contains(&kind) => {
            Change::Registry(serde_json::from_slice(body)?)
        }
        kind if endpoint::Change::KINDS.contains(&kind) => {
            Change::Endpoint(serde_json::from_slice(body)?)
        }
        kind if alert::Change::KINDS.contains(&kind) => {
            Change::Alert(serde_json::from_slice(body)?)
        }
        _ => serde_json::from_slice(body)?,
    };
    Ok(Entry {
        sequence,
        at_us,
        caller,
        why,
        key,
        change,
    })
}

/// The link that follows `previous` over `body`.
pub fn link(previous: &Hash, body: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(previous)
        .chain_update(body)
        .finalize()
        .into()
}

/// Walks a journal in order, entry by entry, and says where the chain breaks.
#[derive(Debug, Clone)]
pub struct Walk {
    /// Last sequence that holds; 0 before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: Hash,
    /// The head that was noted down apart from the entries, which the walk has to pass.
    noted: (u64, Hash),
}

impl Walk {
    /// A walk that has to pass `noted`, the head that the store noted down with its last
    /// write. Entries that were written since may follow it.
    pub fn past(noted: Option<(u64, Hash)>) -> Self {
        Self {
            sequence: 0,
            hash: ORIGIN,
            noted: noted.unwrap_or((0, ORIGIN)),
        }
    }

    /// A walk that goes on behind an entry that is known to hold.
    pub fn behind((sequence, hash): (u64, Hash), noted: Option<(u64, Hash)>) -> Self {
        Self {
            sequence,
            hash,
            ..Self::past(noted)
        }
    }

    /// Checks the next entry against the one before, and reads it.
    pub fn step(&mut self, stored: &Stored) -> Result<Entry, Fault> {
        let sequence = self.sequence + 1;
        if stored.sequence != sequence {
            let what = Flaw::Missing {
                found: stored.sequence,
            };
            return Err(Fault { sequence, what });
        }
        if link(&self.hash, &stored.body) != stored.hash {
            return Err(Fault {
                sequence,
                what: Flaw::Broken,
            });
        }
        if self.noted.0 == sequence && self.noted.1 != stored.hash {
            return Err(Fault {
                sequence,
                what: Flaw::OtherHead,
            });
        }
        let entry = Entry::from_body(sequence, &stored.body)?;
        self.sequence = sequence;
        self.hash = stored.hash;
        Ok(entry)
    }

    /// Checks that the end is not before the head that was noted down.
    pub fn finish(&self) -> Result<(), Fault> {
        let (head, _) = self.noted;
        if head > self.sequence {
            return Err(Fault {
                sequence: self.sequence + 1,
                what: Flaw::Truncated { head },
            });
        }
        Ok(())
    }
}
