//! What is asked of endpoints and rollouts, and their rows: JSON documents, as in the journal.

use binnacle_core::endpoint::{Command, EndpointName};
use binnacle_core::registry::Line;
use binnacle_core::rollout::{Ask, Steer};
use binnacle_core::state::{Condition, Request};
use binnacle_proto::v1 as proto;

use crate::registry::{Asked, document_from};
use crate::{Refused, refuse};

/// Reads a command.
pub fn command_from(asked: proto::EndpointCommand) -> Result<Asked, Refused> {
    use proto::endpoint_command::Command as Wire;

    let key = match asked.key.is_empty() {
        true => None,
        false => Some(Line::parse(&asked.key).map_err(|error| refuse("key", error))?),
    };
    let command = asked.command;
    let command = match command.ok_or_else(|| refuse("command", "is missing"))? {
        Wire::Create(one) => Command::Create(name(&one.endpoint)?, settings(&one)?),
        Wire::Edit(one) => Command::Edit(name(&one.endpoint)?, settings(&one)?),
        Wire::Run(plan) => Command::Run(document_from("run", &plan)?),
        Wire::Steer(one) => {
            let revision = (one.revision > 0).then_some(one.revision);
            Command::Steer(name(&one.endpoint)?, revision, steer(one.steer)?)
        }
        Wire::Lift(one) => {
            let version = one.version.parse();
            let version = version.map_err(|error| refuse("version", error))?;
            Command::Lift(name(&one.endpoint)?, version)
        }
    };
    Ok(Asked {
        request: Request::Endpoint(Box::new(command)),
        why: asked.why,
        condition: Condition {
            if_revision: asked.if_revision,
            key,
        },
        is_dry_run: asked.dry_run,
    })
}

/// Reads what somebody wants.
pub fn ask_from(asked: &proto::PlanRequest) -> Result<Ask, Refused> {
    document_from("ask", &asked.ask)
}

/// Reads an endpoint's name.
pub fn name(text: &str) -> Result<EndpointName, Refused> {
    text.parse().map_err(|error| refuse("endpoint", error))
}

fn settings(
    document: &proto::EndpointDocument,
) -> Result<binnacle_core::endpoint::Settings, Refused> {
    document_from("document", &document.document)
}

fn steer(steer: i32) -> Result<Steer, Refused> {
    match proto::Steer::try_from(steer) {
        Ok(proto::Steer::Pause) => Ok(Steer::Pause),
        Ok(proto::Steer::Resume) => Ok(Steer::Resume),
        Ok(proto::Steer::Abort) => Ok(Steer::Abort),
        Ok(proto::Steer::Confirm) => Ok(Steer::Confirm),
        Ok(proto::Steer::Approve) => Ok(Steer::Approve),
        Ok(proto::Steer::Reject) => Ok(Steer::Reject),
        Ok(proto::Steer::Unspecified) | Err(_) => {
            Err(refuse("steer", format!("{steer} is no way to steer")))
        }
    }
}

/// How a rollout is steered, to send.
pub fn steer_to(steer: Steer) -> proto::Steer {
    match steer {
        Steer::Pause => proto::Steer::Pause,
        Steer::Resume => proto::Steer::Resume,
        Steer::Abort => proto::Steer::Abort,
        Steer::Confirm => proto::Steer::Confirm,
        Steer::Approve => proto::Steer::Approve,
        Steer::Reject => proto::Steer::Reject,
    }
}
