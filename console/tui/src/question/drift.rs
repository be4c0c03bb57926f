//! What is asked of watched inputs, what is answered, and what may be wished of them.

use std::sync::Arc;

use binnacle_core::view::{DriftItem, EndpointName, MovedItem, Reference, WatchedItem};
use serde::{Deserialize, Serialize};

use super::registry::quoted;

/// Something that is asked of watched inputs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Inquiry {
    /// Every version that serves at an endpoint.
    All,
    /// The features of one version at one endpoint, and what of them moved.
    One(EndpointName, Reference, Stretch),
}

/// Which counts of features are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stretch {
    /// For how long; `None` since the version is watched.
    pub length_s: Option<u32>,
    /// Up to when; `None` for now.
    pub until_us: Option<i64>,
}

impl Stretch {
    /// From when to when; `None` for all there is.
    pub fn span_us(self, now_us: i64) -> Option<(i64, i64)> {
        let to_us = self.until_us.unwrap_or(now_us);
        let from_us = |length_s: u32| to_us.saturating_sub(i64::from(length_s) * 1_000_000);
        match (self.length_s, self.until_us) {
            (None, None) => None,
            // Time begins in 1970, at 1: 0 is none.
            (None, Some(_)) => Some((1, to_us)),
            (Some(length_s), _) => Some((from_us(length_s), to_us)),
        }
    }
}

/// An answer about watched inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// Versions.
    All(Arc<[DriftItem]>),
    /// One version.
    One(Arc<Watched>),
}

/// All that is told of one version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Watched {
    /// How it stands; absent where it does not serve.
    pub version: Option<DriftItem>,
    /// Its features, those first against which there is most evidence.
    pub features: Vec<WatchedItem>,
    /// What moved.
    pub moved: Vec<MovedItem>,
}

/// What is measured counts as normal from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebaseline {
    /// At which endpoint.
    pub endpoint: EndpointName,
    /// Why, in the operator's words.
    pub reason: String,
}

impl Rebaseline {
    /// The headless command that does the same.
    pub fn command(&self) -> String {
        let endpoint = &self.endpoint;
        match self.reason.as_str() {
            "" => format!("binnacle drift rebaseline {endpoint}"),
            why => format!(
                "binnacle drift rebaseline {endpoint} --reason {}",
                quoted(why)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_ends_then_or_now_and_may_be_all_there_is() {
        let stretch = |length_s, until_us| Stretch { length_s, until_us }.span_us(100_000_000);
        assert_eq!(stretch(None, None), None);
        assert_eq!(stretch(None, Some(70_000_000)), Some((1, 70_000_000)));
        assert_eq!(stretch(Some(60), None), Some((40_000_000, 100_000_000)));
        let then = stretch(Some(60), Some(70_000_000));
        assert_eq!(then, Some((10_000_000, 70_000_000)));
    }

    #[test]
    fn a_wish_is_told_as_the_command_that_does_it() {
        let wish = Rebaseline {
            endpoint: "prod/churn".parse().unwrap(),
            reason: "months, now".into(),
        };
        let command = "binnacle drift rebaseline prod/churn --reason 'months, now'";
        assert_eq!(wish.command(), command);
    }
}
