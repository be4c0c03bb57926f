//! What is asked of endpoints and rollouts, what is answered, and what may be wished of them.

use std::fmt::Write as _;
use std::sync::Arc;

use binnacle_core::view::{
    EndpointItem, EndpointName, Plan, PlanItem, ProofItem, Reference, RevisionItem, RolloutItem,
};
use serde::{Deserialize, Serialize};

use super::registry::quoted;

/// Rollouts under way that are told at once: more than a strip and an overview show. The hub
/// looks at as many revisions of each endpoint, so that a long history costs nothing.
pub const UNDERWAY_MAX: u32 = 16;

/// Something that is asked of endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Inquiry {
    /// Every endpoint.
    All,
    /// Every endpoint as it was at this moment, by the hub's clock.
    AllAt(i64),
    /// One of them.
    One(EndpointName),
    /// One of them as it was at this moment.
    OneAt(EndpointName, i64),
    /// Every route that one was ever to have, newest first.
    Revisions(EndpointName),
    /// How an endpoint came, or comes, to a revision.
    Rollout(EndpointName, u64),
    /// What is under way, wherever.
    Underway,
    /// What would be done.
    Plan(Wanted),
    /// How answers would differ if an endpoint went back: recent inputs replayed, once each time
    /// that somebody asks.
    Proof(EndpointName, u64),
}

/// What is wanted of an endpoint, before it is a plan.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Wanted {
    /// Of which.
    pub endpoint: EndpointName,
    /// What it is to become.
    pub want: Want,
    /// How, as text; empty for the usual way.
    pub strategy: Arc<str>,
    /// Within how many seconds it has to be confirmed; 0 for never, absent for the usual.
    pub confirm_within_s: Option<u32>,
}

/// What an endpoint is to become.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Want {
    /// What it was at a revision; absent for the last that was good.
    Rollback(Option<u64>),
    /// A route as somebody typed it: `fraud@8`, or `fraud@7 90%, fraud@8 10%`.
    Deploy(Arc<str>),
}

impl Wanted {
    /// A rollback to the last good revision, or to this one.
    pub fn rollback(endpoint: EndpointName, to: Option<u64>) -> Self {
        Self {
            endpoint,
            want: Want::Rollback(to),
            strategy: "".into(),
            confirm_within_s: None,
        }
    }

    /// Whether it goes back.
    pub fn is_rollback(&self) -> bool {
        match self.want {
            Want::Rollback(_) => true,
            Want::Deploy(_) => false,
        }
    }

    /// The headless command that does the same.
    pub fn command(&self) -> String {
        let endpoint = &self.endpoint;
        match &self.want {
            Want::Rollback(None) => format!("binnacle rollback {endpoint}"),
            Want::Rollback(Some(to)) => format!("binnacle rollback {endpoint} --to {to}"),
            Want::Deploy(route) => {
                let mut text = format!("binnacle deploy {} --to {endpoint}", quoted(route));
                if !self.strategy.is_empty() {
                    let _ends = write!(text, " --strategy {}", quoted(&self.strategy));
                }
                if let Some(within_s) = self.confirm_within_s {
                    let _ends = write!(text, " --confirm-within {within_s}s");
                }
                text
            }
        }
    }
}

/// An answer about endpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// Endpoints.
    Endpoints(Arc<[EndpointItem]>),
    /// Revisions.
    Revisions(Arc<[RevisionItem]>),
    /// Rollouts.
    Rollouts(Arc<[RolloutItem]>),
    /// A plan.
    Plan(Arc<PlanItem>),
    /// What a replay showed.
    Proof(Arc<ProofItem>),
}

impl Told {
    /// Whether something of it is under way: then it is another in a moment.
    pub fn is_moving(&self) -> bool {
        match self {
            Self::Endpoints(rows) => rows.iter().any(|row| row.rollout.is_some()),
            Self::Rollouts(rows) => rows.iter().any(|row| !row.is_over),
            Self::Revisions(_) | Self::Plan(_) | Self::Proof(_) => false,
        }
    }
}

/// Something that is to be done with an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Deed {
    /// With which.
    pub endpoint: EndpointName,
    /// What.
    pub act: Act,
    /// Why, in the operator's words.
    pub reason: String,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Act {
    /// Run a plan that somebody has seen.
    Run {
        /// What it was made from.
        wanted: Wanted,
        /// The plan.
        plan: Box<Plan>,
    },
    /// Steer what is under way to this revision.
    Steer {
        /// The revision.
        revision: u64,
        /// Where to.
        steer: Steer,
    },
    /// Let a version come back that was rolled back.
    Lift(Reference),
}

/// What may be asked of a rollout that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Steer {
    /// Stand still at the step that it is at.
    Pause,
    /// Go on.
    Resume,
    /// Give it up.
    Abort,
    /// Keep what serves.
    Confirm,
    /// Say yes to its plan.
    Approve,
    /// Say no to its plan.
    Reject,
}

impl Steer {
    /// Its word, which is also that of the command.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Abort => "abort",
            Self::Confirm => "confirm",
            Self::Approve => "approve",
            Self::Reject => "reject",
        }
    }
}

impl Deed {
    /// The headless command that does the same.
    pub fn command(&self) -> String {
        let endpoint = &self.endpoint;
        let mut text = match &self.act {
            Act::Run { wanted, .. } => wanted.command(),
            Act::Steer { revision, steer } => {
                let word = steer.word();
                match steer {
                    Steer::Approve | Steer::Reject => {
                        format!("binnacle approval {word} {endpoint} {revision}")
                    }
                    Steer::Pause | Steer::Resume | Steer::Abort | Steer::Confirm => {
                        format!("binnacle rollout {word} {endpoint} --revision {revision}")
                    }
                }
            }
            Act::Lift(version) => format!("binnacle endpoint lift {endpoint} {version}"),
        };
        if !self.reason.is_empty() {
            text.push_str(" --reason ");
            text.push_str(&quoted(&self.reason));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deed_is_told_as_the_command_that_does_it() {
        let endpoint: EndpointName = "prod/fraud".parse().unwrap();
        let wanted = Wanted {
            endpoint: endpoint.clone(),
            want: Want::Deploy("fraud@8".into()),
            strategy: "canary:5%/10m,25%/10m".into(),
            confirm_within_s: Some(600),
        };
        assert_eq!(
            wanted.command(),
            "binnacle deploy fraud@8 --to prod/fraud --strategy canary:5%/10m,25%/10m \
             --confirm-within 600s"
        );
        let back = Wanted::rollback(endpoint.clone(), Some(40));
        assert_eq!(back.command(), "binnacle rollback prod/fraud --to 40");
        let deed = |act, reason: &str| Deed {
            endpoint: endpoint.clone(),
            act,
            reason: reason.into(),
        };
        let abort = Act::Steer {
            revision: 41,
            steer: Steer::Abort,
        };
        assert_eq!(
            deed(abort, "it's slow").command(),
            r"binnacle rollout abort prod/fraud --revision 41 --reason 'it'\''s slow'"
        );
        let lift = Act::Lift("fraud@8".parse().unwrap());
        assert_eq!(
            deed(lift, "").command(),
            "binnacle endpoint lift prod/fraud fraud@8"
        );
    }
}
