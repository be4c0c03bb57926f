//! What people may ask of alerts, and what is said to it.

use super::change::{Change, OfAlert, Rebaselined, Silenced};
use super::{Alert, Subject};
use crate::endpoint::EndpointName;
use crate::state::State;

/// Seconds that something may be silenced at most: what is silenced for longer is forgotten.
pub const MAX_SILENCE_S: u32 = 30 * 24 * 3_600;

/// What people may ask of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Somebody knows of this one.
    Acknowledge(u64),
    /// Nobody is to be told for so many seconds; 0 ends a silence.
    Silence(Of, u32),
    /// What is measured of an endpoint's inputs counts as normal from now on.
    Rebaseline(EndpointName),
}

/// What is silenced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// What this alert is about, also where it opens anew.
    Alert(u64),
    /// All of an endpoint.
    Endpoint(EndpointName),
}

/// Why it is not done.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such alert.
    #[error("alert {0} is not known; `binnacle alert list --all` shows those that are")]
    Unknown(u64),
    /// It is over.
    #[error("alert {0} is closed: nobody has to know of it any more")]
    Closed(u64),
    /// For longer than may be.
    #[error("a silence lasts {} days at most", MAX_SILENCE_S / 86_400)]
    TooLong,
}

/// The change that `command` comes to; `None` where it is so already.
pub(crate) fn decide(
    state: &State,
    command: &Command,
    now_us: i64,
) -> Result<Option<Change>, crate::state::Refusal> {
    match command {
        Command::Acknowledge(number) => {
            let alert = known(state, *number)?;
            if alert.closed.is_some() {
                return Err(Refusal::Closed(*number).into());
            }
            Ok(match alert.acknowledged {
                Some(_) => None,
                None => Some(Change::Acknowledged(OfAlert {
                    alert: *number,
                    endpoint: alert.endpoint.clone(),
                })),
            })
        }
        Command::Silence(_, seconds) if *seconds > MAX_SILENCE_S => Err(Refusal::TooLong.into()),
        Command::Silence(of, seconds) => {
            let (endpoint, subject): (_, Option<Subject>) = match of {
                Of::Alert(number) => {
                    let alert = known(state, *number)?;
                    (alert.endpoint.clone(), Some(alert.subject.clone()))
                }
                Of::Endpoint(name) if state.endpoints.get(name).is_none() => {
                    return Err(crate::endpoint::Refusal::Unknown(name.clone()).into());
                }
                Of::Endpoint(name) => (name.clone(), None),
            };
            Ok(Some(Change::Silenced(Silenced {
                endpoint,
                subject,
                until_us: now_us.saturating_add(i64::from(*seconds) * 1_000_000),
            })))
        }
        Command::Rebaseline(name) if state.endpoints.get(name).is_none() => {
            Err(crate::endpoint::Refusal::Unknown(name.clone()).into())
        }
        Command::Rebaseline(name) => Ok(Some(Change::Rebaselined(Rebaselined {
            endpoint: name.clone(),
        }))),
    }
}

impl Command {
    /// Whether somebody has to say why.
    pub fn needs_reason(&self) -> bool {
        match self {
            Self::Acknowledge(_) => false,
            Self::Silence(_, seconds) => *seconds > 0,
            Self::Rebaseline(_) => true,
        }
    }
}

fn known(state: &State, number: u64) -> Result<&Alert, Refusal> {
    let alert = state.alerts.get(number);
    alert.map(|alert| &**alert).ok_or(Refusal::Unknown(number))
}
