//! Between the wire's messages and core's values, once, for hub and console.
//!
//! `from_proto` checks everything and returns an error that names the field; `to_proto` cannot
//! fail. Nothing else in the console's half of the house sees a message.

pub mod alert;
pub mod endpoint;
pub mod glance;
pub mod greeting;
pub mod host;
mod inputs;
pub mod journal;
pub mod proof;
pub mod registry;
pub mod report;
pub mod series;
pub mod served;
mod unique;

pub use unique::unique;

/// Why a message is refused.
#[derive(Debug, thiserror::Error)]
#[error("{field}: {what}")]
pub struct Refused {
    /// The field, as a path from the message.
    pub field: &'static str,
    /// What is wrong with it.
    pub what: String,
}

/// A refusal of `field`.
pub(crate) fn refuse(field: &'static str, what: impl ToString) -> Refused {
    Refused {
        field,
        what: what.to_string(),
    }
}
