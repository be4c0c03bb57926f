//! Routes: which versions answer, in which shares, and which only listen.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::registry::{Line, Reference};

pub use text::{Spoken, weight};

mod text;

/// All of an endpoint's requests, in the unit of weights.
pub const WHOLE: u32 = 10_000;
/// Versions in one route, and shadows: each is loaded on every host.
pub const MAX_VERSIONS: usize = 8;
/// Pins of one route: values of one header, each compared with every request that has it.
pub const MAX_PINS: usize = 32;

/// Which versions answer an endpoint's requests. Versions and shadows are in order of name and
/// number, so that two routes are the same where they do the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct Route(Arc<Parts>);

/// A version and its share of the requests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// Which.
    pub version: Reference,
    /// Of 10,000 requests, those that it answers.
    pub weight: u32,
}

/// A version that is given copies of requests, and whose answers are compared, never returned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shadow {
    /// Which.
    pub version: Reference,
    /// Of 10,000 requests, those that are copied to it.
    pub share: u32,
}

/// Requests whose header has a value, and the version that answers them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// The header's value.
    pub value: Line,
    /// Which version.
    pub version: Reference,
}

/// What a route is made from, before it is checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parts {
    /// Versions that answer; their weights add up to 10,000.
    pub versions: Vec<Split>,
    /// Versions that listen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shadows: Vec<Shadow>,
    /// Requests that go to one version whatever the weights.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pins: Vec<Pin>,
    /// The header that pins look at.
    #[serde(default, skip_serializing_if = "Line::is_empty")]
    pub pin_header: Line,
    /// The header by whose value a caller stays with one version; empty: each request is drawn
    /// anew.
    #[serde(default, skip_serializing_if = "Line::is_empty")]
    pub sticky_header: Line,
}

/// Why parts are no route.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotARoute {
    /// Nobody answers.
    #[error("a route has at least one version: say MODEL@NUMBER, or MODEL@NUMBER=SHARE%")]
    Empty,
    /// Weights do not add up.
    #[error("the weights add up to {}, not to 100%: give every version its share", percent(*.0))]
    Weights(u64),
    /// A version without a share.
    #[error("{0} has a share of nothing: leave it out, or make it a shadow")]
    Nothing(Reference),
    /// A version twice among those that answer, or among those that listen.
    #[error("{0} is named twice: once is enough")]
    Twice(Reference),
    /// More than fit.
    #[error("a route has at most {max} {what}, here are {found}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// What fits.
        max: usize,
        /// What came.
        found: usize,
    },
    /// A shadow that answers as well.
    #[error("{0} answers already: a shadow is a version that does not")]
    ShadowAnswers(Reference),
    /// A shadow with an impossible share.
    #[error("shadow {0} has a share that is not above 0% and at most 100%")]
    Share(Reference),
    /// A pin to a version that is not there.
    #[error("{0} is pinned to and does not answer: give it a share too")]
    Pinned(Reference),
    /// Text that says nothing of a route.
    #[error(
        "{0:?} is no part of a route: say MODEL@NUMBER 10%, shadow MODEL@NUMBER 5%, HEADER=VALUE \
         to MODEL@NUMBER, or sticky by HEADER"
    )]
    Unknown(String),
    /// Pins by two headers.
    #[error("pins look at one header: leave the other one out")]
    OneHeader,
    /// A header that no request can have.
    #[error("{:?} is no name of a header: letters, digits and - as in x-user", .0.as_str())]
    Header(Line),
    /// A value that no header can have.
    #[error("{:?} is no value of a header: it has to be ASCII that can be seen", .0.as_str())]
    Value(Line),
    /// Pins without a header, or the other way round.
    #[error("pins need the header that they look at, and the header its pins")]
    PinHeader,
}

/// A share in 1/10,000 as text: `2.5%`.
pub fn percent(weight: u64) -> String {
    format!("{}%", weight as f64 / 100.0)
}

impl Route {
    /// Checks and takes a route.
    pub fn parse(mut parts: Parts) -> Result<Self, NotARoute> {
        parts.versions.sort();
        parts.shadows.sort();
        parts.pins.sort();
        counted("versions", MAX_VERSIONS, parts.versions.len())?;
        counted("shadows", MAX_VERSIONS, parts.shadows.len())?;
        counted("pins", MAX_PINS, parts.pins.len())?;
        if parts.versions.is_empty() {
            return Err(NotARoute::Empty);
        }
        once(parts.versions.iter().map(|split| &split.version))?;
        once(parts.shadows.iter().map(|shadow| &shadow.version))?;
        if let Some(split) = parts.versions.iter().find(|split| split.weight == 0) {
            return Err(NotARoute::Nothing(split.version.clone()));
        }
        let sum = parts.versions.iter().map(|split| u64::from(split.weight));
        let sum: u64 = sum.sum();
        if sum != u64::from(WHOLE) {
            return Err(NotARoute::Weights(sum));
        }
        let answers = |version: &Reference| parts.versions.iter().any(|it| it.version == *version);
        for shadow in &parts.shadows {
            if answers(&shadow.version) {
                return Err(NotARoute::ShadowAnswers(shadow.version.clone()));
            }
            if shadow.share == 0 || shadow.share > WHOLE {
                return Err(NotARoute::Share(shadow.version.clone()));
            }
        }
        if let Some(pin) = parts.pins.iter().find(|pin| !answers(&pin.version)) {
            return Err(NotARoute::Pinned(pin.version.clone()));
        }
        if parts.pins.is_empty() != parts.pin_header.is_empty() {
            return Err(NotARoute::PinHeader);
        }
        for header in [&parts.pin_header, &parts.sticky_header] {
            if !header.as_str().bytes().all(is_token) {
                return Err(NotARoute::Header(header.clone()));
            }
        }
        let is_shown = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let shown = |pin: &&Pin| !pin.value.as_str().bytes().all(is_shown);
        if let Some(pin) = parts.pins.iter().find(shown) {
            return Err(NotARoute::Value(pin.value.clone()));
        }
        Ok(Self(Arc::new(parts)))
    }

    /// One version for all requests.
    pub fn whole(version: Reference) -> Self {
        let split = Split {
            version,
            weight: WHOLE,
        };
        Self(Arc::new(Parts {
            versions: vec![split],
            ..Parts::default()
        }))
    }

    /// What it is made from.
    pub fn parts(&self) -> &Parts {
        &self.0
    }

    /// The versions that answer, in order.
    pub fn versions(&self) -> impl Iterator<Item = &Reference> {
        self.0.versions.iter().map(|split| &split.version)
    }

    /// The versions that answer or listen.
    pub fn all_versions(&self) -> impl Iterator<Item = &Reference> {
        let shadows = self.0.shadows.iter().map(|shadow| &shadow.version);
        self.versions().chain(shadows)
    }

    /// Whether a version answers or listens.
    pub fn names(&self, version: &Reference) -> bool {
        self.all_versions().any(|named| named == version)
    }

    /// Whether a version answers.
    pub fn answers(&self, version: &Reference) -> bool {
        self.versions().any(|answering| answering == version)
    }

    /// This route, with the sticky header of another where it has none.
    #[must_use]
    pub fn keeping_sticky(&self, other: &Self) -> Self {
        let mut parts = Parts::clone(&self.0);
        if parts.sticky_header.is_empty() {
            parts.sticky_header = other.0.sticky_header.clone();
        }
        Self(Arc::new(parts))
    }

    /// This route with `weight` of the requests moved over to `other`: what a step of a canary
    /// is. Pins, shadows and the sticky header are those of `other`, as far as both answer.
    pub fn towards(&self, other: &Self, weight: u32) -> Self {
        let weight = weight.min(WHOLE);
        if weight == WHOLE {
            return other.clone();
        }
        let mut versions: Vec<Split> = Vec::new();
        let parts = [(self, WHOLE - weight), (other, weight)];
        for (route, whole) in parts {
            for (version, weight) in shares(&route.0.versions, whole) {
                match versions.iter_mut().find(|split| split.version == version) {
                    Some(split) => split.weight += weight,
                    None => versions.push(Split { version, weight }),
                }
            }
        }
        versions.retain(|split| split.weight > 0);
        let answers = |version: &Reference| versions.iter().any(|it| it.version == *version);
        let pins = other.0.pins.iter();
        let pins: Vec<Pin> = pins.filter(|pin| answers(&pin.version)).cloned().collect();
        let shadows = other.0.shadows.iter();
        let shadows = shadows.filter(|shadow| !answers(&shadow.version));
        let pin_header = match pins.is_empty() {
            true => Line::default(),
            false => other.0.pin_header.clone(),
        };
        let mut parts = Parts {
            shadows: shadows.cloned().collect(),
            pins,
            pin_header,
            sticky_header: other.0.sticky_header.clone(),
            versions,
        };
        parts.versions.sort();
        Self(Arc::new(parts))
    }

    /// This route with copies of `share` of the requests for versions of `other` that it does
    /// not name: what a shadow step is.
    pub fn shadowed(&self, other: &Self, share: u32) -> Self {
        let mut parts = Parts::clone(&self.0);
        for version in other.versions().filter(|version| !self.answers(version)) {
            parts.shadows.retain(|shadow| shadow.version != *version);
            parts.shadows.push(Shadow {
                version: version.clone(),
                share: share.clamp(1, WHOLE),
            });
        }
        parts.shadows.sort();
        Self(Arc::new(parts))
    }
}

/// A letter of a header's name (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Splits scaled to `whole` in all: rounded down, and what is left goes to the heaviest.
fn shares(splits: &[Split], whole: u32) -> Vec<(Reference, u32)> {
    let part = |split: &Split| {
        let weight = u64::from(split.weight) * u64::from(whole) / u64::from(WHOLE);
        // Never more than the weight itself, which fits.
        (split.version.clone(), weight as u32)
    };
    let mut shares: Vec<(Reference, u32)> = splits.iter().map(part).collect();
    let given: u32 = shares.iter().map(|(_, weight)| weight).sum();
    if let Some((_, heaviest)) = shares.iter_mut().max_by_key(|(_, weight)| *weight) {
        *heaviest += whole - given;
    }
    shares
}

fn counted(what: &'static str, max: usize, found: usize) -> Result<(), NotARoute> {
    match found <= max {
        true => Ok(()),
        false => Err(NotARoute::TooMany { what, max, found }),
    }
}

/// Whether sorted versions are each there once.
fn once<'a>(mut versions: impl Iterator<Item = &'a Reference>) -> Result<(), NotARoute> {
    let mut last = versions.next();
    for version in versions {
        if last == Some(version) {
            return Err(NotARoute::Twice(version.clone()));
        }
        last = Some(version);
    }
    Ok(())
}

impl TryFrom<Parts> for Route {
    type Error = NotARoute;
    fn try_from(parts: Parts) -> Result<Self, NotARoute> {
        Self::parse(parts)
    }
}

impl From<Route> for Parts {
    fn from(route: Route) -> Self {
        Arc::unwrap_or_clone(route.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(number: u32) -> Reference {
        format!("m@{number}").parse().unwrap()
    }

    fn route(weights: &[(u32, u32)]) -> Result<Route, NotARoute> {
        let split = |&(number, weight): &(u32, u32)| Split {
            version: version(number),
            weight,
        };
        Route::parse(Parts {
            versions: weights.iter().map(split).collect(),
            ..Parts::default()
        })
    }

    #[test]
    fn weights_add_up_or_the_route_is_refused() {
        assert!(route(&[(1, 9_000), (2, 1_000)]).is_ok());
        let refused = |weights: &[(u32, u32)]| route(weights).unwrap_err().to_string();
        assert!(refused(&[(1, 9_000), (2, 999)]).contains("99.99%"));
        assert!(refused(&[]).contains("at least one"));
        assert!(refused(&[(1, 5_000), (1, 5_000)]).contains("twice"));
        assert!(refused(&[(1, 10_000), (2, 0)]).contains("nothing"));
    }

    #[test]
    fn shadows_and_pins_name_versions_that_make_sense() {
        let of = |text: &str| serde_json::from_str::<Route>(text);
        let whole = r#"{"versions":[{"version":"m@1","weight":10000}]"#;
        let shadow =
            |name: &str| format!(r#"{whole},"shadows":[{{"version":"{name}","share":500}}]}}"#);
        assert!(of(&shadow("m@2")).is_ok());
        assert!(of(&shadow("m@1")).is_err());
        let pin = |name: &str, header: &str| {
            format!(
                r#"{whole},"pins":[{{"value":"b","version":"{name}"}}],"pin_header":"{header}"}}"#
            )
        };
        assert!(of(&pin("m@1", "x-arm")).is_ok());
        assert!(of(&pin("m@2", "x-arm")).is_err());
        assert!(of(&pin("m@1", "")).is_err());
    }

    fn any_route(from: u32) -> impl Strategy<Value = Route> {
        (1u32..9_999, any::<bool>()).prop_map(move |(weight, two)| match two {
            true => route(&[(from, weight), (from + 1, WHOLE - weight)]).unwrap(),
            false => Route::whole(version(from)),
        })
    }

    proptest! {
        #[test]
        fn every_step_between_two_routes_is_a_route(
            (a, b, weight) in (any_route(1), any_route(2), 0..=WHOLE),
        ) {
            let step = a.towards(&b, weight);
            prop_assert_eq!(&Route::parse(step.parts().clone()), &Ok(step.clone()));
            let shadowed = a.shadowed(&b, weight);
            prop_assert_eq!(&Route::parse(shadowed.parts().clone()), &Ok(shadowed));
            prop_assert_eq!(a.towards(&b, WHOLE), b);
        }
    }
}
