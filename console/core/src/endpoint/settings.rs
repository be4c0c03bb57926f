//! What is said of an endpoint: which hosts serve it, what must hold, how it may change.

use serde::{Deserialize, Serialize};

use super::route::WHOLE;
use crate::host::Labels;
use crate::reaction::Reactions;
use crate::registry::{Line, Objectives};

/// Revisions whose versions may be kept warm beside those that serve: each takes memory on every
/// host.
pub const MAX_KEEP_WARM: u8 = 4;
/// Requests that a verdict may ask for: a day of a slow endpoint.
pub const MAX_REQUESTS: u32 = 10_000_000;
/// Inputs that a host keeps of an endpoint unless somebody says: some seconds of a busy one, and
/// enough to see a version that says something else.
pub const KEPT_INPUTS: u16 = 64;
/// Seconds that a rollout may be held at most; the design's two hours is the default.
pub const MAX_HOLD_S: u32 = 24 * 3_600;

/// All that is said of an endpoint. One JSON document: in the journal, on the wire, in a file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What it is for.
    #[serde(default, skip_serializing_if = "Line::is_empty")]
    pub description: Line,
    /// Hosts of the environment that have all of these labels; with none, all of them.
    #[serde(default)]
    pub selector: Labels,
    /// What must hold.
    #[serde(default, skip_serializing_if = "Objectives::is_empty")]
    pub objectives: Objectives,
    /// How it may change.
    #[serde(default)]
    pub policy: Policy,
    /// Recent inputs that each host keeps in memory, to be replayed through a version before it
    /// serves; absent for [`KEPT_INPUTS`], or none where the environment is protected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_inputs: Option<u16>,
    /// Inputs are nobody's to keep: none is, whatever is said above.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// What is done when something does not hold.
    #[serde(default, skip_serializing_if = "Reactions::is_usual")]
    pub reactions: Reactions,
}

/// How an endpoint may change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, try_from = "Given")]
pub struct Policy {
    /// Earlier revisions whose versions stay loaded, memory allowing, so that a rollback is a
    /// switch and not a load.
    pub keep_warm: u8,
    /// Of 10,000 hosts, those that may be silent or behind without holding a rollout up.
    pub may_be_missing: u32,
    /// Requests that a version has to have answered before anything is concluded from them.
    pub min_requests: u32,
    /// Seconds after which a rollout that is held, or paused, goes back.
    pub hold_at_most_s: u32,
}

impl Settings {
    /// How many inputs each host keeps.
    pub fn kept_inputs(&self, is_protected: bool) -> u16 {
        match (self.sensitive, self.keep_inputs) {
            (true, _) => 0,
            (false, Some(asked)) => asked,
            (false, None) if is_protected => 0,
            (false, None) => KEPT_INPUTS,
        }
    }
}

/// A policy as it comes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Given {
    keep_warm: u8,
    may_be_missing: u32,
    min_requests: u32,
    hold_at_most_s: u32,
}

/// Why a policy is refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotAPolicy {
    /// More revisions than can be kept.
    #[error("keep_warm is at most {MAX_KEEP_WARM}, not {0}")]
    KeepWarm(u8),
    /// More hosts than there are.
    #[error("may_be_missing is a share of {WHOLE}, below all of them, not {0}")]
    Missing(u32),
    /// No verdict without a request, or without the fleet's whole day.
    #[error("min_requests is 1 to {MAX_REQUESTS}, not {0}")]
    Requests(u32),
    /// Not held at all, or for ever.
    #[error("hold_at_most_s is 60 to {MAX_HOLD_S}, not {0}")]
    Hold(u32),
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            keep_warm: 1,
            may_be_missing: 1_000,
            min_requests: 500,
            hold_at_most_s: 2 * 3_600,
        }
    }
}

impl Default for Given {
    fn default() -> Self {
        let Policy {
            keep_warm,
            may_be_missing,
            min_requests,
            hold_at_most_s,
        } = Policy::default();
        Self {
            keep_warm,
            may_be_missing,
            min_requests,
            hold_at_most_s,
        }
    }
}

impl TryFrom<Given> for Policy {
    type Error = NotAPolicy;
    fn try_from(given: Given) -> Result<Self, NotAPolicy> {
        let Given {
            keep_warm,
            may_be_missing,
            min_requests,
            hold_at_most_s,
        } = given;
        match () {
            () if keep_warm > MAX_KEEP_WARM => Err(NotAPolicy::KeepWarm(keep_warm)),
            () if may_be_missing >= WHOLE => Err(NotAPolicy::Missing(may_be_missing)),
            () if !(1..=MAX_REQUESTS).contains(&min_requests) => {
                Err(NotAPolicy::Requests(min_requests))
            }
            () if !(60..=MAX_HOLD_S).contains(&hold_at_most_s) => {
                Err(NotAPolicy::Hold(hold_at_most_s))
            }
            () => Ok(Self {
                keep_warm,
                may_be_missing,
                min_requests,
                hold_at_most_s,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_of_settings_is_the_default_and_nonsense_is_refused() {
        let empty: Settings = serde_json::from_str("{}").unwrap();
        assert_eq!(empty, Settings::default());
        let some: Settings = serde_json::from_str(r#"{"policy":{"keep_warm":2}}"#).unwrap();
        assert_eq!(some.policy.keep_warm, 2);
        assert_eq!(some.policy.hold_at_most_s, 7_200);
        assert_eq!(
            (some.kept_inputs(false), some.kept_inputs(true)),
            (KEPT_INPUTS, 0)
        );
        let asked: Settings = serde_json::from_str(r#"{"keep_inputs":9}"#).unwrap();
        assert_eq!(asked.kept_inputs(true), 9);
        let none: Settings = serde_json::from_str(r#"{"keep_inputs":9,"sensitive":true}"#).unwrap();
        assert_eq!(none.kept_inputs(false), 0);
        for bad in [
            r#"{"policy":{"keep_warm":9}}"#,
            r#"{"policy":{"may_be_missing":10000}}"#,
            r#"{"policy":{"min_requests":0}}"#,
            r#"{"policy":{"hold_at_most_s":1}}"#,
            r#"{"policy":{"keepwarm":1}}"#,
        ] {
            assert!(serde_json::from_str::<Settings>(bad).is_err(), "{bad}");
        }
    }
}
