//! Environments: hosts, and the rules that hold there.

use serde::{Deserialize, Serialize};

use super::text::Line;

/// What holds in an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// What it is for.
    #[serde(default)]
    pub description: Line,
    /// Whether changes need an armed console and a typed confirmation.
    #[serde(default)]
    pub protected: bool,
}
