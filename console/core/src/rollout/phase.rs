//! Where a rollout is, and what follows from that alone.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plan::Intent;

/// Where a rollout is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// So many people have said yes, of so many who have to; hosts hear nothing of it.
    Awaiting {
        /// Those who have.
        have: u8,
        /// Those who have to.
        of: u8,
    },
    /// Hosts fetch, check, load and warm what is coming; nothing is switched.
    Preparing,
    /// A step, from 0.
    Step(u32, Stage),
    /// All is done but a person's word.
    Confirming,
    /// Asked to stand still: hosts come to the step that it is at.
    Pausing(u32),
    /// It stands still at a step.
    Paused(u32),
    /// Hosts go back to the route before, for this reason.
    RollingBack(Arc<str>),
    /// Somebody gave it up, for this reason: hosts go back to the route before.
    Aborting(Arc<str>),
    /// It serves in full.
    Promoted,
    /// It was taken back.
    RolledBack(Arc<str>),
    /// It was given up.
    Aborted(Arc<str>),
}

/// Where a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Hosts switch to its route.
    Shifting,
    /// It is watched for as long as it says.
    Baking,
    /// It was watched, and what came of it does not suffice to go on.
    Judging,
}

impl Phase {
    /// Where a rollout begins that so many people have to say yes to.
    pub(super) fn first(intent: &Intent, approvals: u8) -> Self {
        match (intent.is_rollback(), approvals) {
            // What is known to work needs no preparation: hosts switch as they become ready.
            (true, _) => Self::Step(0, Stage::Shifting),
            (false, 0) => Self::Preparing,
            (false, of) => Self::Awaiting { have: 0, of },
        }
    }

    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Awaiting { .. } => "awaiting_approval",
            Self::Preparing => "preparing",
            Self::Step(_, Stage::Shifting) => "shifting",
            Self::Step(_, Stage::Baking) => "baking",
            Self::Step(_, Stage::Judging) => "judging",
            Self::Confirming => "confirming",
            Self::Pausing(_) => "pausing",
            Self::Paused(_) => "paused",
            Self::RollingBack(_) => "rolling_back",
            Self::Aborting(_) => "aborting",
            Self::Promoted => "promoted",
            Self::RolledBack(_) => "rolled_back",
            Self::Aborted(_) => "aborted",
        }
    }

    /// Why, where there is a reason.
    pub fn why(&self) -> &str {
        match self {
            Self::Awaiting { .. }
            | Self::Preparing
            | Self::Step(..)
            | Self::Confirming
            | Self::Pausing(_)
            | Self::Paused(_)
            | Self::Promoted => "",
            Self::RollingBack(why)
            | Self::Aborting(why)
            | Self::RolledBack(why)
            | Self::Aborted(why) => why,
        }
    }

    /// The step whose route hosts are to have; `None` where it is the route before.
    pub fn step(&self, steps: usize) -> Option<usize> {
        match self {
            Self::Awaiting { .. } | Self::Preparing => None,
            Self::RollingBack(_) | Self::Aborting(_) => None,
            Self::RolledBack(_) | Self::Aborted(_) => None,
            Self::Step(step, _) | Self::Pausing(step) | Self::Paused(step) => Some(*step as usize),
            Self::Confirming | Self::Promoted => steps.checked_sub(1),
        }
    }

    /// Whether it is over.
    pub fn is_end(&self) -> bool {
        match self {
            Self::Promoted | Self::RolledBack(_) | Self::Aborted(_) => true,
            Self::Awaiting { .. }
            | Self::Preparing
            | Self::Step(..)
            | Self::Confirming
            | Self::Pausing(_)
            | Self::Paused(_)
            | Self::RollingBack(_)
            | Self::Aborting(_) => false,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(step, _) | Self::Pausing(step) | Self::Paused(step) => {
                write!(f, "{} at step {}", self.word(), step + 1)
            }
            Self::Awaiting { have, of } => write!(f, "awaiting approval, {have} of {of}"),
            Self::RollingBack(_) => f.write_str("rolling back"),
            Self::RolledBack(_) => f.write_str("rolled back"),
            Self::Preparing
            | Self::Confirming
            | Self::Aborting(_)
            | Self::Promoted
            | Self::Aborted(_) => f.write_str(self.word()),
        }
    }
}
