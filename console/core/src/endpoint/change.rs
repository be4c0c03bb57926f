//! What the journal says of endpoints: every payload carries its kind and version.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::overridden::Adopted;
use super::{EndpointName, Settings};
use crate::registry::Reference;
use crate::rollout::{Moved, Plan};

/// What an entry changes about endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum Change {
    /// An endpoint was named.
    #[serde(rename = "endpoint_created/v1")]
    Created(Said),
    /// What is said of an endpoint was changed.
    #[serde(rename = "endpoint_edited/v1")]
    Edited(Said),
    /// A plan was accepted: a new revision, and the passage to it.
    #[serde(rename = "rollout_accepted/v1")]
    Accepted(Box<Accepted>),
    /// A rollout passed to another phase.
    #[serde(rename = "rollout_moved/v1")]
    Moved(Box<OfRollout>),
    /// A version that was rolled back may come again.
    #[serde(rename = "block_lifted/v1")]
    Lifted(Lifted),
    /// What hosts decided for themselves was taken note of.
    #[serde(rename = "overrides_adopted/v1")]
    Adopted(Adopted),
}

/// An endpoint and what is said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// Which.
    pub endpoint: EndpointName,
    /// All that is now said of it.
    pub settings: Settings,
}

/// A new revision and how it comes to serve.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Accepted {
    /// Its number.
    pub revision: u64,
    /// What was planned.
    pub plan: Arc<Plan>,
    /// How many people have to say yes before anything is done.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub approvals: u8,
}

/// What became of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfRollout {
    /// Of which endpoint.
    pub endpoint: EndpointName,
    /// To which revision.
    pub revision: u64,
    /// The passage.
    pub moved: Moved,
}

/// A version that may come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifted {
    /// To which endpoint.
    pub endpoint: EndpointName,
    /// Which version.
    pub version: Reference,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(count: &u8) -> bool {
    *count == 0
}

impl Change {
    /// Every kind that is written today.
    pub const KINDS: [&str; 6] = [
        "endpoint_created/v1",
        "endpoint_edited/v1",
        "rollout_accepted/v1",
        "rollout_moved/v1",
        "block_lifted/v1",
        "overrides_adopted/v1",
    ];

    /// The payload's kind and version, as it is stored.
    pub fn kind(&self) -> &'static str {
        let [created, edited, accepted, moved, lifted, adopted] = Self::KINDS;
        match self {
            Self::Created(_) => created,
            Self::Edited(_) => edited,
            Self::Accepted(_) => accepted,
            Self::Moved(_) => moved,
            Self::Lifted(_) => lifted,
            Self::Adopted(_) => adopted,
        }
    }

    /// The endpoint that it is about.
    pub fn endpoint(&self) -> &EndpointName {
        match self {
            Self::Created(said) | Self::Edited(said) => &said.endpoint,
            Self::Accepted(accepted) => &accepted.plan.intent.endpoint,
            Self::Moved(of) => &of.endpoint,
            Self::Lifted(lifted) => &lifted.endpoint,
            Self::Adopted(adopted) => &adopted.endpoint,
        }
    }
}
