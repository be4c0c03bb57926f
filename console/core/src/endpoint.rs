//! Endpoints: the names that applications call, their routes, and every revision of them.
//!
//! An endpoint is a name in an environment, hosts chosen by their labels, what must hold, and a
//! history of revisions that is only ever added to. Which revision is live is decided by
//! rollouts (see [`crate::rollout`]); here is what they are about, as a fold of the journal.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Serialize};

use crate::host::{Admission, Host, Labels, Membership};
use crate::list::List;
use crate::name::{Name, NotAName};
use crate::registry::Reference;
use crate::rollout::Rollout;
use crate::served::Stamp;

pub use crate::served::OverrideKind;

pub use apply::Place;
pub use change::Change;
pub use command::{Command, Refusal};
pub use overridden::Overridden;
pub use route::{NotARoute, Pin, Route, Shadow, Split, Spoken, WHOLE};
pub use settings::{Policy, Settings};

mod apply;
pub mod change;
pub mod command;
pub mod overridden;
mod packed;
pub mod route;
pub mod settings;

/// A name that applications call, where: `prod/fraud`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "String")]
pub struct EndpointName {
    /// The environment that its hosts belong to.
    pub environment: Name,
    /// What applications call it.
    pub name: Name,
}

/// Why text names no endpoint.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotAnEndpoint {
    /// There is no slash.
    #[error("{0:?} names no endpoint: say ENVIRONMENT/NAME, as in prod/fraud")]
    Malformed(String),
    /// One side of the slash is no name.
    #[error("{text:?} names no endpoint")]
    Name {
        /// All of it.
        text: String,
        /// What is wrong with the name.
        #[source]
        source: NotAName,
    },
}

/// Every endpoint of the fleet. Cloning it is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoints {
    /// By name.
    pub all: OrdMap<EndpointName, Arc<Endpoint>>,
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// What it is called, and where.
    pub name: EndpointName,
    /// Which hosts serve it, and what must hold.
    pub settings: Arc<Settings>,
    /// The entry that last changed the settings: what an editor's copy is compared with.
    pub edited: u64,
    /// When it was made.
    pub created_at_us: i64,
    /// Every route that it was ever to have, from revision 1.
    pub revisions: List<Arc<Revision>>,
    /// The revision that serves; 0 for none.
    pub live: u64,
    /// Which route hosts were last given; those that a step leaves out keep the one before.
    pub stamp: Stamp,
    /// The passage to the last revision, while it is under way.
    pub rollout: Option<Arc<Rollout>>,
    /// Versions that may not come back by a rollout until somebody lifts it.
    pub blocked: OrdMap<Reference, Block>,
    /// What hosts decided for themselves and nobody has overruled.
    pub overridden: OrdMap<Name, Arc<Overridden>>,
    /// The entry that last changed what is wanted of its hosts.
    pub generation: u64,
    /// Every entry about it, in order.
    pub history: List<u64>,
}

/// One numbered route of an endpoint. Never changed but for what became of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Revision {
    /// Its number, from 1.
    pub number: u64,
    /// The route.
    pub route: Route,
    /// The entry that accepted it.
    pub sequence: u64,
    /// When that was.
    pub at_us: i64,
    /// Who asked for it.
    pub caller: crate::caller::Caller,
    /// Why.
    pub why: Arc<str>,
    /// How it was to come to serve.
    pub rollout: Arc<Rollout>,
    /// What became of it.
    pub fate: Fate,
    /// When that was decided.
    pub fate_at_us: i64,
}

/// What became of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is on its way.
    Underway,
    /// It served in full.
    Promoted,
    /// It was taken back, and why.
    RolledBack(Arc<str>),
    /// Somebody gave it up, and why.
    Aborted(Arc<str>),
}

/// Why a version may not come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// In the words of the verdict, or of whom rolled it back.
    pub why: Arc<str>,
    /// Since when.
    pub at_us: i64,
    /// The revision that brought it.
    pub revision: u64,
    /// The hub took it back by itself: it is never offered as what to go back to.
    pub by_itself: bool,
}

pub(crate) use command::decide;

impl Fate {
    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Underway => "underway",
            Self::Promoted => "promoted",
            Self::RolledBack(_) => "rolled_back",
            Self::Aborted(_) => "aborted",
        }
    }

    /// Why, where there is a reason.
    pub fn why(&self) -> &str {
        match self {
            Self::Underway | Self::Promoted => "",
            Self::RolledBack(why) | Self::Aborted(why) => why,
        }
    }
}

impl Endpoints {
    /// One by its name.
    pub fn get(&self, name: &EndpointName) -> Option<&Arc<Endpoint>> {
        self.all.get(name)
    }

    /// Those that a host serves.
    pub fn of_host<'a>(
        &'a self,
        admission: &'a Admission,
    ) -> impl Iterator<Item = &'a Arc<Endpoint>> {
        self.of_environment(&admission.environment)
            .filter(|endpoint| endpoint.settings.selector.selects(&admission.labels))
    }

    /// Those of an environment, in order of name.
    pub fn of_environment<'a>(
        &'a self,
        environment: &'a Name,
    ) -> impl Iterator<Item = &'a Arc<Endpoint>> {
        let from = EndpointName {
            environment: environment.clone(),
            name: Name::least(),
        };
        self.all
            .range(from..)
            .map(|(_, endpoint)| endpoint)
            .take_while(move |endpoint| endpoint.name.environment == *environment)
    }

    /// Where a version serves or is on its way: the first endpoint of whose live route, next
    /// route, or route to fall back to it is part.
    pub fn serving(&self, version: &Reference) -> Option<&EndpointName> {
        let serves = |endpoint: &&Arc<Endpoint>| endpoint.routes().any(|it| it.names(version));
        self.all
            .values()
            .find(serves)
            .map(|endpoint| &endpoint.name)
    }

    /// Those with a passage under way.
    pub fn underway(&self) -> impl Iterator<Item = (&Arc<Endpoint>, &Arc<Rollout>)> {
        self.all
            .values()
            .filter_map(|endpoint| Some((endpoint, endpoint.rollout.as_ref()?)))
    }
}

impl Endpoint {
    /// The last revision, whatever became of it; 0 before the first.
    pub fn latest(&self) -> u64 {
        self.revisions.len() as u64
    }

    /// A revision by its number.
    pub fn revision(&self, number: u64) -> Option<&Arc<Revision>> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.revisions.get(place)
    }

    /// The route that serves, apart from what is on its way.
    pub fn route(&self) -> Option<&Route> {
        self.revision(self.live).map(|revision| &revision.route)
    }

    /// The route that serves, and the one on its way.
    fn routes(&self) -> impl Iterator<Item = &Route> {
        let next = self
            .rollout
            .as_ref()
            .map(|rollout| &rollout.plan.intent.after);
        self.route().into_iter().chain(next)
    }

    /// What is under way as far as hosts know of it: not what waits for a yes.
    pub fn moving(&self) -> Option<&Arc<Rollout>> {
        let underway = self.rollout.as_ref();
        underway.filter(|rollout| !rollout.is_waiting())
    }

    /// Whether a version is part of what is on its way.
    pub fn is_coming(&self, version: &Reference) -> bool {
        let next = self
            .rollout
            .as_ref()
            .map(|rollout| &rollout.plan.intent.after);
        next.is_some_and(|route| route.names(version))
    }

    /// Whether a version serves, or is part of what is on its way.
    pub fn has(&self, version: &Reference) -> bool {
        let serves = self.route().is_some_and(|route| route.names(version));
        serves || self.is_coming(version)
    }

    /// The last revision that was promoted before the one that serves, and has another route:
    /// what a rollback goes back to.
    pub fn last_good(&self) -> Option<&Arc<Revision>> {
        self.good().next()
    }

    /// What could be gone back to, the last first.
    pub fn good(&self) -> impl Iterator<Item = &Arc<Revision>> {
        let live = self.route();
        let before = self.revisions.iter().rev();
        before.filter(move |revision| {
            revision.number < self.live
                && revision.fate == Fate::Promoted
                && Some(&revision.route) != live
                && !self.was_found_bad(&revision.route)
        })
    }

    /// Whether the hub itself took a version of a route back. What a person took back may well be
    /// what one goes back to: that is taking back the rollback.
    fn was_found_bad(&self, route: &Route) -> bool {
        let mut versions = route.all_versions();
        versions.any(|version| self.blocked.get(version).is_some_and(|it| it.by_itself))
    }

    /// Whether a host serves it: one that is drained does not.
    pub fn is_served_by(&self, host: &Host) -> bool {
        host.membership == Membership::Member
            && host.drained.is_none()
            && host.admission.environment == self.name.environment
            && self.settings.selector.selects(&host.admission.labels)
    }
}

impl Labels {
    /// Whether `labels` has all of these: what a selector chooses hosts by. The empty one
    /// chooses all.
    pub fn selects(&self, labels: &Self) -> bool {
        self.iter()
            .all(|(key, value)| labels.iter().any(|pair| pair == (key, value)))
    }
}

impl FromStr for EndpointName {
    type Err = NotAnEndpoint;
    fn from_str(text: &str) -> Result<Self, NotAnEndpoint> {
        let Some((environment, name)) = text.split_once('/') else {
            return Err(NotAnEndpoint::Malformed(text.to_owned()));
        };
        let parse = |part| {
            Name::parse(part).map_err(|source| NotAnEndpoint::Name {
                text: text.to_owned(),
                source,
            })
        };
        Ok(Self {
            environment: parse(environment)?,
            name: parse(name)?,
        })
    }
}

impl TryFrom<Arc<str>> for EndpointName {
    type Error = NotAnEndpoint;
    fn try_from(text: Arc<str>) -> Result<Self, NotAnEndpoint> {
        text.parse()
    }
}

impl From<EndpointName> for String {
    fn from(name: EndpointName) -> Self {
        name.to_string()
    }
}

impl fmt::Display for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.environment, self.name)
    }
}

impl fmt::Debug for EndpointName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_one_spelling() {
        let name: EndpointName = "prod/fraud".parse().unwrap();
        assert_eq!(name.to_string(), "prod/fraud");
        for bad in [
            "fraud",
            "/fraud",
            "prod/",
            "prod/a/b",
            "Prod/fraud",
            "prod fraud",
            "",
        ] {
            assert!(bad.parse::<EndpointName>().is_err(), "{bad:?}");
        }
    }
}
