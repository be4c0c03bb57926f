//! What is asked of alerts: commands as values; their rows are JSON documents.

use binnacle_core::alert::{Command, Of};
use binnacle_core::endpoint::EndpointName;
use binnacle_core::name::Name;
use binnacle_core::registry::Line;
use binnacle_core::state::{Condition, Request};
use binnacle_proto::v1 as proto;

use crate::registry::Asked;
use crate::{Refused, endpoint, refuse};

/// Of what somebody asks why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyOf {
    /// This alert.
    Alert(u64),
    /// This endpoint.
    Endpoint(EndpointName),
    /// Every endpoint that has a version of this model.
    Model(Name),
}

/// Reads a command.
pub fn command_from(asked: proto::AlertCommand) -> Result<Asked, Refused> {
    use proto::alert_command::Command as Wire;

    let key = match asked.key.is_empty() {
        true => None,
        false => Some(Line::parse(&asked.key).map_err(|error| refuse("key", error))?),
    };
    let command = asked.command;
    let command = match command.ok_or_else(|| refuse("command", "is missing"))? {
        Wire::Acknowledge(number) => Command::Acknowledge(number),
        Wire::Silence(one) => {
            let of = match (one.alert, one.endpoint.as_str()) {
                (0, name) => Of::Endpoint(endpoint::name(name)?),
                (number, "") => Of::Alert(number),
                (_, _) => return Err(refuse("silence", "names both an alert and an endpoint")),
            };
            Command::Silence(of, one.seconds)
        }
    };
    Ok(Asked {
        request: Request::Alert(command),
        why: asked.why,
        condition: Condition {
            if_revision: None,
            key,
        },
        is_dry_run: false,
    })
}

/// Reads of what somebody asks why.
pub fn why_of(text: &str) -> Result<WhyOf, Refused> {
    if let Ok(number) = text.parse() {
        return Ok(WhyOf::Alert(number));
    }
    match text.contains('/') {
        true => endpoint::name(text).map(WhyOf::Endpoint),
        false => Name::parse(text)
            .map(WhyOf::Model)
            .map_err(|error| refuse("of", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_why_is_an_alert_an_endpoint_or_a_model() {
        assert_eq!(why_of("12").unwrap(), WhyOf::Alert(12));
        assert!(matches!(why_of("prod/fraud").unwrap(), WhyOf::Endpoint(_)));
        assert!(matches!(why_of("fraud").unwrap(), WhyOf::Model(_)));
        for bad in ["", "prod/", "Fraud", "fraud@7", "a/b/c", "-1"] {
            assert!(why_of(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_silence_is_of_one_thing() {
        use proto::alert_command::Command as Wire;

        let of = |alert, endpoint: &str| {
            command_from(proto::AlertCommand {
                command: Some(Wire::Silence(proto::SilenceAlert {
                    alert,
                    endpoint: endpoint.into(),
                    seconds: 60,
                })),
                ..Default::default()
            })
        };
        assert!(of(3, "").is_ok() && of(0, "prod/fraud").is_ok());
        assert_eq!(of(3, "prod/fraud").unwrap_err().field, "silence");
        assert_eq!(of(0, "").unwrap_err().field, "endpoint");
        let none = command_from(proto::AlertCommand::default());
        assert_eq!(none.unwrap_err().field, "command");
    }
}
