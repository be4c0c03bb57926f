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
    One(EndpointName, Reference),
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
    fn a_wish_is_told_as_the_command_that_does_it() {
        let wish = Rebaseline {
            endpoint: "prod/churn".parse().unwrap(),
            reason: "months, now".into(),
        };
        let command = "binnacle drift rebaseline prod/churn --reason 'months, now'";
        assert_eq!(wish.command(), command);
    }
}
