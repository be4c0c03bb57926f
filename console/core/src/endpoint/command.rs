//! What may be asked of endpoints and their rollouts, and what is said to it.

use super::change::{Accepted, Change, Lifted, OfRollout, Said};
use super::{Endpoint, EndpointName, Settings};
use crate::caller::Caller;
use crate::observed::Observed;
use crate::registry::{self, Object, Reference};
use crate::rollout::plan::CONFIRM_S;
use crate::rollout::{
    CONFIRM_MARGIN_US, Moved, Phase, Plan, Progress, Rollout, Stage, Steer, plan,
};
use crate::state::State;

/// Endpoints of one fleet: ten times what the hub is measured with.
pub const MAX_ENDPOINTS: usize = 10_000;
/// Revisions of one endpoint: a deploy an hour for a year.
pub const MAX_REVISIONS: usize = 10_000;

/// What may be asked of endpoints.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Name an endpoint.
    Create(EndpointName, Settings),
    /// Replace what is said of it.
    Edit(EndpointName, Settings),
    /// Run a plan that somebody has seen.
    Run(Box<Plan>),
    /// Steer what is under way: the revision that it leads to, where that is said.
    Steer(EndpointName, Option<u64>, Steer),
    /// Let a version come back that was rolled back.
    Lift(EndpointName, Reference),
}

/// Why it is not done.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such endpoint.
    #[error("endpoint {0} is not known; `binnacle endpoint list` shows those that are")]
    Unknown(EndpointName),
    /// The name is taken.
    #[error("endpoint {0} exists; `binnacle endpoint edit {0}` changes it")]
    Exists(EndpointName),
    /// There are as many as there can be.
    #[error("{what}: at most {max} fit")]
    Full {
        /// Of what.
        what: &'static str,
        /// The limit.
        max: usize,
    },
    /// It was changed meanwhile.
    #[error(
        "endpoint {endpoint} was changed meanwhile: this was made on revision {expected}, it is \
         at {found}; look at the difference and try again"
    )]
    Changed {
        /// Which.
        endpoint: EndpointName,
        /// The entry that the change was made on.
        expected: u64,
        /// The entry that it is at.
        found: u64,
    },
    /// The registry does not know what is asked for.
    #[error(transparent)]
    Registry(#[from] registry::Refusal),
    /// A version or its model is deprecated.
    #[error("{0} is deprecated ({1}); restore it first, or deploy another")]
    Deprecated(Object, String),
    /// Its files are a folder.
    #[error(
        "{0} is a folder of files, and hosts fetch single files: register it as one file, or place \
         it in the servers' repositories and register it with --url"
    )]
    Folder(Reference),
    /// It was rolled back, and nobody has lifted that.
    #[error(
        "{version} was rolled back at {endpoint} ({why}); \
         `binnacle endpoint lift {endpoint} {version}` lets it come again"
    )]
    Blocked {
        /// Where.
        endpoint: EndpointName,
        /// Which.
        version: Reference,
        /// Why.
        why: String,
    },
    /// Something is under way already.
    #[error(
        "{endpoint} is on its way to revision {revision} ({phase}); \
         wait for it, or `binnacle rollout abort {endpoint}`"
    )]
    Underway {
        /// Which.
        endpoint: EndpointName,
        /// Where it goes.
        revision: u64,
        /// How far it is.
        phase: String,
    },
    /// Nothing is under way.
    #[error("nothing is under way at {0}; `binnacle rollout list {0}` shows what was")]
    Idle(EndpointName),
    /// Something else is under way.
    #[error("{endpoint} is on its way to revision {found}, not {expected}; look again")]
    OtherRollout {
        /// Which.
        endpoint: EndpointName,
        /// What was meant.
        expected: u64,
        /// What is.
        found: u64,
    },
    /// It cannot be done in this phase.
    #[error("{endpoint} is {phase}: it cannot be {what}; {next}")]
    WrongPhase {
        /// Which.
        endpoint: EndpointName,
        /// Where it is.
        phase: String,
        /// What was asked.
        what: &'static str,
        /// What can be done.
        next: &'static str,
    },
    /// A confirmation would not reach every host in time.
    #[error(
        "too late to confirm {0}: hosts go back by themselves in a moment; \
         deploy it again, with a longer --confirm-within"
    )]
    TooLate(EndpointName),
    /// There was never another good revision.
    #[error(
        "{0} has no earlier revision that was promoted and has another route: nothing to roll \
         back to; `binnacle endpoint history {0}` shows what there was"
    )]
    NothingToRollBackTo(EndpointName),
    /// There is no such revision.
    #[error("{endpoint} has no revision {number}; its last one is {latest}")]
    UnknownRevision {
        /// Which.
        endpoint: EndpointName,
        /// What was asked for.
        number: u64,
        /// The last one.
        latest: u64,
    },
    /// A revision that was never good is not rolled back to.
    #[error(
        "revision {number} of {endpoint} is {fate}: it never served in full; \
         roll back to one that was promoted, or deploy its versions"
    )]
    NeverServed {
        /// Which.
        endpoint: EndpointName,
        /// What was asked for.
        number: u64,
        /// What became of it.
        fate: &'static str,
    },
    /// The plan was made before the last revision.
    #[error(
        "the plan was made on revision {base} of {endpoint}, which is at {latest} by now; \
         make it again"
    )]
    OlderRevision {
        /// Which.
        endpoint: EndpointName,
        /// What it was made on.
        base: u64,
        /// The last one.
        latest: u64,
    },
    /// The plan is too old.
    #[error("the plan is older than five minutes; make it again")]
    PlanExpired,
    /// The plan would come to something else now.
    #[error("what the plan for {0} rests on was changed meanwhile; make it again")]
    PlanChanged(EndpointName),
    /// The plan's hash is not that of what it says.
    #[error("the plan was altered: its hash does not fit what it says; make it again")]
    PlanDamaged,
    /// Nobody serves it.
    #[error(
        "no host serves {0}: its selector chooses none; \
         `binnacle endpoint show {0}` has the selector, `binnacle host list` the labels"
    )]
    NoHosts(EndpointName),
    /// Nothing to judge by.
    #[error(
        "{0} is in a protected environment and has no objectives to judge by; \
         `binnacle endpoint edit {0} --objective errors<=1%` gives it one"
    )]
    NoObjectives(EndpointName),
    /// Neither a gate nor a person's word.
    #[error(
        "{0} is in a protected environment: with nothing judged on the way it has to be \
         confirmed; leave --confirm-within out, or choose a canary"
    )]
    Unguarded(EndpointName),
    /// Nothing new may come there for a while.
    #[error(
        "{0}: nothing new comes there; a rollback does, and `binnacle freeze lift {name}` ends it",
        name = .0.environment
    )]
    Frozen(registry::Frozen),
    /// Nothing waits for a yes.
    #[error("{endpoint} is {phase}: no approval is asked for")]
    NotAwaiting {
        /// Which.
        endpoint: EndpointName,
        /// Where it is.
        phase: String,
    },
    /// A yes is a person's.
    #[error(
        "nobody vouches for who you are, and an approval is a person's word: give it over the \
         hub's own socket"
    )]
    Anonymous,
    /// One does not approve what one asked for.
    #[error("you asked for revision {revision} of {endpoint}: another person has to approve it")]
    OwnPlan {
        /// Of which endpoint.
        endpoint: EndpointName,
        /// The revision.
        revision: u64,
    },
    /// A time to confirm that makes no sense.
    #[error(
        "--confirm-within is {} to {} seconds, not {asked}", CONFIRM_S.start(), CONFIRM_S.end()
    )]
    ConfirmWithin {
        /// In seconds.
        asked: u32,
    },
    /// What serves is not deprecated.
    #[error("{version} serves at {endpoint}, or is on its way there; deploy another first")]
    Serving {
        /// Which.
        version: Reference,
        /// Where.
        endpoint: EndpointName,
    },
    /// Nothing blocks it.
    #[error("nothing keeps {version} from {endpoint}")]
    NotBlocked {
        /// Where.
        endpoint: EndpointName,
        /// Which.
        version: Reference,
    },
}

/// The change that `command` comes to; `None` where it is so already.
pub(crate) fn decide(
    state: &State,
    observed: &Observed,
    command: &Command,
    asked: Asked<'_>,
) -> Result<Option<Change>, Refusal> {
    match command {
        Command::Create(name, settings) => {
            if state.endpoints.get(name).is_some() {
                return Err(Refusal::Exists(name.clone()));
            }
            room("endpoints", state.endpoints.all.len(), MAX_ENDPOINTS)?;
            Ok(Some(Change::Created(said(name, settings))))
        }
        Command::Edit(name, settings) => {
            let endpoint = known(state, name)?;
            if let Some(expected) = asked.if_revision
                && expected != endpoint.edited
            {
                return Err(Refusal::Changed {
                    endpoint: name.clone(),
                    expected,
                    found: endpoint.edited,
                });
            }
            if *endpoint.settings == *settings {
                return Ok(None);
            }
            match &endpoint.rollout {
                Some(rollout) => Err(plan::underway(endpoint, rollout)),
                None => Ok(Some(Change::Edited(said(name, settings)))),
            }
        }
        Command::Run(plan) => {
            plan.check(state, asked.now_us)?;
            let endpoint = known(state, &plan.intent.endpoint)?;
            room("revisions", endpoint.revisions.len(), MAX_REVISIONS)?;
            Ok(Some(Change::Accepted(Box::new(Accepted {
                revision: endpoint.latest() + 1,
                approvals: plan::approvals(state, &plan.intent),
                plan: plan.clone().into(),
            }))))
        }
        Command::Steer(name, revision, steer) => {
            steer_to(state, observed, (name, *revision, *steer), asked)
        }
        Command::Lift(name, version) => {
            let endpoint = known(state, name)?;
            let (endpoint_name, version) = (name.clone(), version.clone());
            match endpoint.blocked.contains_key(&version) {
                true => Ok(Some(Change::Lifted(Lifted {
                    endpoint: endpoint_name,
                    version,
                }))),
                false => Err(Refusal::NotBlocked {
                    endpoint: endpoint_name,
                    version,
                }),
            }
        }
    }
}

/// Where a word about what is under way leads it; `None` where it is there already.
fn steer_to(
    state: &State,
    observed: &Observed,
    (name, revision, steer): (&EndpointName, Option<u64>, Steer),
    asked: Asked<'_>,
) -> Result<Option<Change>, Refusal> {
    let endpoint = known(state, name)?;
    let rollout = endpoint.rollout.as_ref();
    let rollout = rollout.ok_or_else(|| Refusal::Idle(name.clone()))?;
    if let Some(expected) = revision
        && expected != rollout.revision
    {
        return Err(Refusal::OtherRollout {
            endpoint: name.clone(),
            expected,
            found: rollout.revision,
        });
    }
    let to = if let Phase::Awaiting { have, of } = rollout.phase {
        waiting(state, endpoint, rollout, ((have, of), steer), asked)?
    } else {
        steered(endpoint, rollout, steer, asked)?
    };
    let Some(to) = to else {
        return Ok(None);
    };
    let progress = Progress::of(state, observed, endpoint, rollout);
    Ok(Some(moved(endpoint, rollout, progress.moved(to, rollout))))
}

impl Command {
    /// Whether somebody has to say why.
    pub fn needs_reason(&self) -> bool {
        match self {
            Self::Steer(_, _, Steer::Abort | Steer::Approve | Steer::Reject) => true,
            Self::Lift(..) => true,
            Self::Create(..)
            | Self::Edit(..)
            | Self::Run(_)
            | Self::Steer(_, _, Steer::Pause | Steer::Resume | Steer::Confirm) => false,
        }
    }
}

/// Under what circumstances something is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// Who.
    pub(crate) caller: &'a Caller,
    /// Why.
    pub(crate) why: &'a str,
    /// The entry that an editor's copy is of.
    pub(crate) if_revision: Option<u64>,
    /// When.
    pub(crate) now_us: i64,
}

/// Where a word about a plan that waits for it leads; `None` where the same person said so before.
fn waiting(
    state: &State,
    endpoint: &Endpoint,
    rollout: &Rollout,
    ((have, of), steer): ((u8, u8), Steer),
    asked: Asked<'_>,
) -> Result<Option<Phase>, Refusal> {
    match steer {
        Steer::Approve => {}
        // Nothing was done, so that nothing has to go back.
        Steer::Reject | Steer::Abort => return Ok(Some(Phase::Aborted(asked.why.into()))),
        Steer::Pause | Steer::Resume | Steer::Confirm => {
            return Err(Refusal::WrongPhase {
                endpoint: endpoint.name.clone(),
                phase: rollout.phase.to_string(),
                what: "steered",
                next: "approve it, reject it, or abort it",
            });
        }
    }
    match asked.caller {
        Caller::Local { .. } => {}
        Caller::Unverified { .. } | Caller::Hub | Caller::Host(_) => {
            return Err(Refusal::Anonymous);
        }
    }
    let revision = rollout.revision;
    let asker = endpoint.revision(revision).map(|of| &of.caller);
    if asker == Some(asked.caller) {
        return Err(Refusal::OwnPlan {
            endpoint: endpoint.name.clone(),
            revision,
        });
    }
    if let Some(frozen) = state
        .registry
        .frozen(&endpoint.name.environment, asked.now_us)
    {
        return Err(Refusal::Frozen(frozen));
    }
    if rollout.approvals().any(|yes| yes.caller == *asked.caller) {
        return Ok(None);
    }
    let have = have.saturating_add(1);
    Ok(Some(match have < of {
        true => Phase::Awaiting { have, of },
        false => Phase::Preparing,
    }))
}

/// Where a person's wish leads; `None` where it is there already.
fn steered(
    endpoint: &Endpoint,
    rollout: &Rollout,
    steer: Steer,
    asked: Asked<'_>,
) -> Result<Option<Phase>, Refusal> {
    let wrong = |what, next| {
        Err(Refusal::WrongPhase {
            endpoint: endpoint.name.clone(),
            phase: rollout.phase.to_string(),
            what,
            next,
        })
    };
    let is_rollback = rollout.plan.intent.is_rollback();
    match (steer, &rollout.phase) {
        (Steer::Pause | Steer::Abort, _) if is_rollback => wrong(
            "stopped",
            "a rollback runs to its end: roll back to another revision if it is the wrong one",
        ),
        (Steer::Approve | Steer::Reject, _) => Err(Refusal::NotAwaiting {
            endpoint: endpoint.name.clone(),
            phase: rollout.phase.to_string(),
        }),
        (_, Phase::Awaiting { .. }) => Ok(None),
        (Steer::Pause, Phase::Step(step, _)) => Ok(Some(Phase::Pausing(*step))),
        (Steer::Pause, Phase::Pausing(_) | Phase::Paused(_)) => Ok(None),
        (Steer::Pause, Phase::Preparing) => wrong("paused", "nothing is switched yet: abort it"),
        (Steer::Pause, Phase::Confirming) => wrong("paused", "confirm it, or abort it"),
        (Steer::Resume, Phase::Pausing(step) | Phase::Paused(step)) => {
            Ok(Some(Phase::Step(*step, Stage::Shifting)))
        }
        (Steer::Resume, Phase::Preparing | Phase::Step(..) | Phase::Confirming) => Ok(None),
        (
            Steer::Abort,
            Phase::Preparing
            | Phase::Step(..)
            | Phase::Confirming
            | Phase::Pausing(_)
            | Phase::Paused(_),
        ) => Ok(Some(Phase::Aborting(asked.why.into()))),
        (Steer::Abort, Phase::Aborting(_)) => Ok(None),
        (Steer::Confirm, Phase::Confirming) => {
            let left_us = rollout
                .deadline_us()
                .map(|deadline_us| deadline_us - asked.now_us);
            match left_us.is_none_or(|left_us| left_us >= CONFIRM_MARGIN_US) {
                true => Ok(Some(Phase::Promoted)),
                false => Err(Refusal::TooLate(endpoint.name.clone())),
            }
        }
        (Steer::Confirm, Phase::Preparing | Phase::Step(..)) => {
            wrong("confirmed", "wait until it has come to its last step")
        }
        (Steer::Confirm, Phase::Pausing(_) | Phase::Paused(_)) => wrong(
            "confirmed",
            "resume it, and wait until it has come to its last step",
        ),
        (
            Steer::Pause | Steer::Resume | Steer::Confirm | Steer::Abort,
            Phase::RollingBack(_)
            | Phase::Aborting(_)
            | Phase::Promoted
            | Phase::RolledBack(_)
            | Phase::Aborted(_),
        ) => wrong("steered", "hosts are on their way back already"),
    }
}

/// A passage as a change.
pub(crate) fn moved(endpoint: &Endpoint, rollout: &Rollout, moved: Moved) -> Change {
    Change::Moved(Box::new(OfRollout {
        endpoint: endpoint.name.clone(),
        revision: rollout.revision,
        moved,
    }))
}

/// What serves, or is about to, is not deprecated.
pub(crate) fn not_serving(state: &State, object: &Object) -> Result<(), Refusal> {
    let served = |endpoint: &std::sync::Arc<Endpoint>| {
        let found = endpoint.routes().find_map(|route| match object {
            Object::Version(version) => route.names(version).then(|| version.clone()),
            Object::Model(name) => route.all_versions().find(|it| it.name == *name).cloned(),
            Object::DataSet(_)
            | Object::DataSetVersion(_)
            | Object::FeatureSet(_)
            | Object::FeatureSetVersion(_)
            | Object::Environment(_) => None,
        });
        found.map(|version| (version, endpoint.name.clone()))
    };
    match state.endpoints.all.values().find_map(served) {
        Some((version, endpoint)) => Err(Refusal::Serving { version, endpoint }),
        None => Ok(()),
    }
}

fn known<'a>(state: &'a State, name: &EndpointName) -> Result<&'a Endpoint, Refusal> {
    let endpoint = state.endpoints.get(name);
    endpoint
        .map(|endpoint| &**endpoint)
        .ok_or_else(|| Refusal::Unknown(name.clone()))
}

fn said(name: &EndpointName, settings: &Settings) -> Said {
    Said {
        endpoint: name.clone(),
        settings: settings.clone(),
    }
}

fn room(what: &'static str, held: usize, max: usize) -> Result<(), Refusal> {
    match held < max {
        true => Ok(()),
        false => Err(Refusal::Full { what, max }),
    }
}
