//! What is asked of alerts, what is answered, and what may be wished of them.

use std::sync::Arc;

use binnacle_core::view::{AlertItem, SinkItem, WhyItem};
use serde::{Deserialize, Serialize};

use super::registry::quoted;

/// Something that is asked of alerts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Inquiry {
    /// Every alert that is open, and those closed last.
    All,
    /// One of them, and how those fare who are told.
    One(u64),
    /// Why it is as it is at its endpoint: the ten lines that its letters carry.
    Why(u64),
}

/// An answer about alerts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// Alerts, and who is told of them.
    Alerts {
        /// Open ones first, the loudest before the others.
        rows: Arc<[AlertItem]>,
        /// How letters about them fare.
        sinks: Arc<[SinkItem]>,
    },
    /// Why something is as it is.
    Why(Arc<[WhyItem]>),
}

/// Something that is to be done about an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// About which.
    pub alert: u64,
    /// What.
    pub act: Act,
    /// Why, in the operator's words.
    pub reason: String,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// Say that somebody knows of it.
    Acknowledge,
    /// Tell nobody of what it is about for so many seconds; 0 ends that.
    Silence(u32),
}

impl Deed {
    /// The headless command that does the same.
    pub fn command(&self) -> String {
        let alert = self.alert;
        let mut text = match self.act {
            Act::Acknowledge => format!("binnacle alert acknowledge {alert}"),
            Act::Silence(seconds) => format!("binnacle alert silence {alert} --for {seconds}s"),
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
        let deed = |act, reason: &str| Deed {
            alert: 812,
            act,
            reason: reason.into(),
        };
        assert_eq!(
            deed(Act::Acknowledge, "").command(),
            "binnacle alert acknowledge 812"
        );
        assert_eq!(
            deed(Act::Silence(3_600), "crm's known").command(),
            r"binnacle alert silence 812 --for 3600s --reason 'crm'\''s known'"
        );
    }
}
