//! What an endpoint asks for when something that must hold does not: data, as all settings.

use serde::{Deserialize, Serialize};

use crate::registry::Line;

/// Seconds that a breach lasts before it is an alert, and that all is well before it is over: two
/// spans at least, or one bad second would do; an hour at most, or nobody would call it one.
pub const LASTS_S: std::ops::RangeInclusive<u32> = 10..=3_600;
/// Automatic rollbacks of one endpoint in an hour, whatever its settings: what needs more than
/// that is not mended by going back.
pub const ROLLBACKS_AN_HOUR: usize = 3;
/// Automatic rollbacks that an endpoint may ask for in a day: one an hour.
pub const MAX_ROLLBACKS_A_DAY: u8 = 24;

/// What is done on a breach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnBreach {
    /// People are told.
    #[default]
    Alert,
    /// The endpoint is taken back to what was good, where its version is to blame.
    RollBack,
}

/// What an endpoint asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, try_from = "Given")]
pub struct Reactions {
    /// What is done.
    pub on_breach: OnBreach,
    /// Seconds that a breach lasts before it is an alert.
    pub opens_after_s: u32,
    /// Seconds that all is well before it is over.
    pub closes_after_s: u32,
    /// Rollbacks by itself within 24 hours; then people are told.
    pub rollbacks_a_day: u8,
    /// Where it says what to do: one line, or a URL.
    #[serde(skip_serializing_if = "Line::is_empty")]
    pub runbook: Line,
}

/// Reactions as they come.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Given {
    on_breach: OnBreach,
    opens_after_s: u32,
    closes_after_s: u32,
    rollbacks_a_day: u8,
    runbook: Line,
}

/// Why reactions are refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotReactions {
    /// At once, or never.
    #[error("{what} is {} to {} seconds, not {found}", LASTS_S.start(), LASTS_S.end())]
    Lasts {
        /// Which of the two.
        what: &'static str,
        /// What came.
        found: u32,
    },
    /// More than make sense.
    #[error("rollbacks_a_day is at most {MAX_ROLLBACKS_A_DAY}, not {0}")]
    Rollbacks(u8),
}

impl Reactions {
    /// Whether nothing was said.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for Reactions {
    fn default() -> Self {
        Self {
            on_breach: OnBreach::Alert,
            opens_after_s: 30,
            closes_after_s: 60,
            rollbacks_a_day: 1,
            runbook: Line::default(),
        }
    }
}

impl Default for Given {
    fn default() -> Self {
        let Reactions {
            on_breach,
            opens_after_s,
            closes_after_s,
            rollbacks_a_day,
            runbook,
        } = Reactions::default();
        Self {
            on_breach,
            opens_after_s,
            closes_after_s,
            rollbacks_a_day,
            runbook,
        }
    }
}

impl TryFrom<Given> for Reactions {
    type Error = NotReactions;
    fn try_from(given: Given) -> Result<Self, NotReactions> {
        let Given {
            on_breach,
            opens_after_s,
            closes_after_s,
            rollbacks_a_day,
            runbook,
        } = given;
        let lasts = |what, found| match LASTS_S.contains(&found) {
            true => Ok(found),
            false => Err(NotReactions::Lasts { what, found }),
        };
        if rollbacks_a_day > MAX_ROLLBACKS_A_DAY {
            return Err(NotReactions::Rollbacks(rollbacks_a_day));
        }
        Ok(Self {
            on_breach,
            opens_after_s: lasts("opens_after_s", opens_after_s)?,
            closes_after_s: lasts("closes_after_s", closes_after_s)?,
            rollbacks_a_day,
            runbook,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_the_usual_and_nonsense_is_refused() {
        let read = serde_json::from_str::<Reactions>;
        assert_eq!(read("{}").unwrap(), Reactions::default());
        let some = read(r#"{"on_breach":"roll_back","rollbacks_a_day":2}"#).unwrap();
        assert_eq!(
            (some.on_breach, some.opens_after_s),
            (OnBreach::RollBack, 30)
        );
        for bad in [
            r#"{"opens_after_s":1}"#,
            r#"{"closes_after_s":3601}"#,
            r#"{"rollbacks_a_day":25}"#,
            r#"{"on_breach":"page"}"#,
            r#"{"on_breech":"alert"}"#,
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
