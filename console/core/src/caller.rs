//! Who asks: every entry of the journal has a caller.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::Name;

/// Who made a call, and how we know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Caller {
    /// A process on this machine, by the kernel's word.
    Local {
        /// Unix user id.
        uid: u32,
        /// The user's name when the call was made; the id where it has none.
        user: String,
    },
    /// Somebody who only says so: loopback without identities.
    Unverified {
        /// What they claim to be; empty for nothing.
        claimed: String,
    },
    /// A host, on its own stream.
    Host(Name),
    /// The hub itself.
    Hub,
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { user, .. } => f.write_str(user),
            Self::Unverified { claimed } if claimed.is_empty() => f.write_str("unverified"),
            Self::Unverified { claimed } => write!(f, "unverified:{}", claimed.escape_default()),
            Self::Host(name) => write!(f, "host:{name}"),
            Self::Hub => f.write_str("hub"),
        }
    }
}
