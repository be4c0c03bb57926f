//! What the engine's refusals are called on the wire, so that scripts can tell them apart.

use binnacle_core::state::Refusal;
use binnacle_core::{alert, endpoint, registry};
use tonic::{Code, Status};

use crate::engine::Rejected;

pub(crate) fn rejected(rejected: Rejected) -> Status {
    let message = rejected.to_string();
    match rejected {
        Rejected::Stopping | Rejected::NotWritten(_) | Rejected::Unsure(_) => {
            Status::unavailable(message)
        }
        Rejected::Refused(refusal) => match refusal {
            Refusal::UnknownHost(_) => Status::not_found(message),
            Refusal::Retired { .. } => Status::permission_denied(message),
            Refusal::NoReason | Refusal::LongReason(_) => Status::invalid_argument(message),
            Refusal::LastHost { .. } => Status::failed_precondition(message),
            Refusal::FleetFull(_) => Status::resource_exhausted(message),
            Refusal::Registry(refusal) => Status::new(code(&refusal), message),
            Refusal::Endpoint(refusal) => Status::new(code_of_endpoint(&refusal), message),
            Refusal::Alert(refusal) => Status::new(code_of_alert(&refusal), message),
        },
    }
}

/// How the registry's refusals are told apart by scripts.
fn code(refusal: &registry::Refusal) -> Code {
    match refusal {
        registry::Refusal::Unknown(..) | registry::Refusal::UnknownAlias { .. } => Code::NotFound,
        registry::Refusal::Exists(_) => Code::AlreadyExists,
        registry::Refusal::Changed { .. } | registry::Refusal::OutOfOrder { .. } => Code::Aborted,
        registry::Refusal::Misfit { .. }
        | registry::Refusal::Objectives(_)
        | registry::Refusal::Approvals(_)
        | registry::Refusal::NoStanding => Code::InvalidArgument,
        registry::Refusal::HasVersions { .. }
        | registry::Refusal::Deprecated(..)
        | registry::Refusal::Aliased { .. } => Code::FailedPrecondition,
        registry::Refusal::Full { .. } => Code::ResourceExhausted,
    }
}

/// How refusals of alerts are told apart by scripts.
fn code_of_alert(refusal: &alert::Refusal) -> Code {
    match refusal {
        alert::Refusal::Unknown(_) => Code::NotFound,
        alert::Refusal::Closed(_) => Code::FailedPrecondition,
        alert::Refusal::TooLong => Code::InvalidArgument,
    }
}

/// How refusals of endpoints and rollouts are told apart by scripts.
fn code_of_endpoint(refusal: &endpoint::Refusal) -> Code {
    use endpoint::Refusal;

    match refusal {
        Refusal::Registry(refusal) => code(refusal),
        Refusal::Unknown(_) | Refusal::UnknownRevision { .. } | Refusal::NotBlocked { .. } => {
            Code::NotFound
        }
        Refusal::Exists(_) => Code::AlreadyExists,
        Refusal::Changed { .. }
        | Refusal::Underway { .. }
        | Refusal::OtherRollout { .. }
        | Refusal::OlderRevision { .. }
        | Refusal::PlanExpired
        | Refusal::PlanChanged(_) => Code::Aborted,
        Refusal::ConfirmWithin { .. } | Refusal::PlanDamaged => Code::InvalidArgument,
        Refusal::Full { .. } => Code::ResourceExhausted,
        Refusal::OwnPlan { .. } | Refusal::Anonymous => Code::PermissionDenied,
        Refusal::Deprecated(..)
        | Refusal::Folder(_)
        | Refusal::Blocked { .. }
        | Refusal::Idle(_)
        | Refusal::WrongPhase { .. }
        | Refusal::TooLate(_)
        | Refusal::NothingToRollBackTo(_)
        | Refusal::NeverServed { .. }
        | Refusal::NoHosts(_)
        | Refusal::NoObjectives(_)
        | Refusal::Unguarded(_)
        | Refusal::Frozen(_)
        | Refusal::NotAwaiting { .. }
        | Refusal::Serving { .. } => Code::FailedPrecondition,
    }
}
