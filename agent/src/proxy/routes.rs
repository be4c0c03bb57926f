//! The routes of this host's endpoints: to which version a request goes.
//!
//! A snapshot that never changes and is swapped whole, so that a request finds its version
//! without a lock, without allocating, and either by the old routes or by the new ones. A
//! request holds on to the [`Leg`] that it was given: it ends where it began, and whoever holds
//! a [`Weak`] of a leg sees when the last one has. When routes change, and whether their
//! versions are ready, is left to others.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use http::HeaderValue;

use super::route::escape;

/// A whole route in units of weight.
pub const WHOLE: u32 = 10_000;
/// Versions and pins in one route: more is no route but a list.
pub const LEGS_MOST: usize = 64;
/// The header, and the gRPC metadata, that says which version gave an answer.
pub const VERSION_HEADER: &str = "x-binnacle-version";

/// The routes that the proxy goes by. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Routes(Arc<ArcSwap<Table>>);

/// All routes of one moment.
#[derive(Debug, Default)]
pub struct Table {
    endpoints: HashMap<Arc<str>, Route>,
    /// What pins and stickiness look at, in small letters.
    headers: Vec<Box<str>>,
}

/// One endpoint's route.
#[derive(Clone, Debug)]
pub struct Route {
    endpoint: Arc<str>,
    legs: Vec<(u32, Arc<Leg>)>,
    pins: Vec<Pin>,
    sticky: Option<Box<str>>,
    seed: u64,
    /// Versions that get copies, and of how many in [`WHOLE`].
    shadows: Vec<(u32, Arc<Leg>)>,
    /// Recent inputs are kept.
    keeps: bool,
}

/// One version in a route.
pub struct Leg {
    /// The endpoint that applications called.
    pub endpoint: Arc<str>,
    /// The model, as it is counted.
    pub model: Arc<str>,
    /// The version, as it is counted.
    pub version: Arc<str>,
    /// Model and version, as the server knows them.
    upstream: (Arc<str>, Arc<str>),
    /// `/v2/models/M/versions/V` there.
    path: Box<str>,
    /// `model@version`, as answers tell it.
    name: Box<str>,
    header: HeaderValue,
    /// Model and version at the server as protobuf's fields 1 and 2.
    fields: Bytes,
    /// Copies meant for it that did not fit.
    dropped: AtomicU64,
}

/// Requests with this header and value go to one version.
#[derive(Clone, Debug)]
pub struct Pin {
    header: Box<str>,
    value: Box<[u8]>,
    leg: Arc<Leg>,
}

/// A version, as it is counted and as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The model.
    pub model: Arc<str>,
    /// The version.
    pub version: Arc<str>,
    /// What the server calls the model.
    pub upstream_model: Arc<str>,
    /// What the server calls the version.
    pub upstream_version: Arc<str>,
}

/// What a route is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The name that applications call.
    pub endpoint: Arc<str>,
    /// Versions and weights, which add up to [`WHOLE`].
    pub weights: Vec<(Placed, u32)>,
    /// Header, value, and the version that they lead to.
    pub pins: Vec<(Box<str>, Box<str>, Placed)>,
    /// The header whose value always leads to the same version; none to draw.
    pub sticky: Option<Box<str>>,
    /// What the values of that header are hashed with: the same on every host.
    pub seed: u64,
    /// Versions that get copies of requests, and of how many in [`WHOLE`].
    pub shadows: Vec<(Placed, u32)>,
    /// Recent inputs are kept.
    pub keeps: bool,
}

/// Why a plan makes no route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoute {
    /// It leads nowhere, or not all of it leads somewhere.
    #[error("the weights of {endpoint} add up to {sum} and not to {WHOLE}")]
    Weights {
        /// Whose.
        endpoint: Arc<str>,
        /// What they add up to.
        sum: u64,
    },
    /// More versions or pins than a route has.
    #[error("the route of {endpoint} has {count} versions and pins, at most {LEGS_MOST} each")]
    Many {
        /// Whose.
        endpoint: Arc<str>,
        /// How many it has.
        count: usize,
    },
    /// A header that cannot be looked for.
    #[error("the route of {endpoint} looks at {header:?}, which is no name of a header")]
    Header {
        /// Whose.
        endpoint: Arc<str>,
        /// What it says.
        header: Box<str>,
    },
}

impl Routes {
    /// Takes the place of all routes before. A request that begins after this returns goes by
    /// the new ones.
    pub fn replace(&self, routes: impl IntoIterator<Item = Route>) {
        self.0.store(Arc::new(Table::new(routes)));
    }

    pub(crate) fn load(&self) -> Guard<Arc<Table>> {
        self.0.load()
    }

    /// All routes, as they stand now.
    pub fn all(&self) -> Vec<Route> {
        self.0.load().endpoints.values().cloned().collect()
    }

    /// The route of one endpoint, as it stands now.
    pub fn of(&self, endpoint: &str) -> Option<Route> {
        self.0.load().find(endpoint).cloned()
    }
}

impl Table {
    fn new(routes: impl IntoIterator<Item = Route>) -> Self {
        let mut table = Self::default();
        for route in routes {
            let pinned = route.pins.iter().map(|pin| &pin.header);
            for header in pinned.chain(&route.sticky) {
                if !table.headers.contains(header) {
                    table.headers.push(header.clone());
                }
            }
            table.endpoints.insert(route.endpoint.clone(), route);
        }
        table
    }

    /// Whether nothing is routed: then nothing is read of requests either.
    pub(crate) fn is_empty(&self) -> bool {
        self.endpoints.is_empty()
    }

    pub(crate) fn find(&self, endpoint: &str) -> Option<&Route> {
        // Hosts without routes pay for one comparison, not for hashing a name.
        if self.endpoints.is_empty() {
            return None;
        }
        self.endpoints.get(endpoint)
    }

    /// Whether any request is copied.
    pub(crate) fn copies(&self) -> bool {
        self.endpoints.values().any(Route::copies)
    }

    /// What must be kept of a request's headers until its name is known.
    pub(crate) fn headers(&self) -> &[Box<str>] {
        &self.headers
    }
}

impl Route {
    /// The route of a plan.
    pub fn new(plan: &Plan) -> Result<Self, NoRoute> {
        let endpoint = plan.endpoint.clone();
        let count = plan
            .weights
            .len()
            .max(plan.pins.len())
            .max(plan.shadows.len());
        if count > LEGS_MOST {
            return Err(NoRoute::Many { endpoint, count });
        }
        let sum: u64 = plan
            .weights
            .iter()
            .map(|(_, weight)| u64::from(*weight))
            .sum();
        if sum != u64::from(WHOLE) {
            return Err(NoRoute::Weights { endpoint, sum });
        }
        let header = |name: &str| match name.parse::<http::HeaderName>() {
            Ok(name) => Ok(Box::from(name.as_str())),
            Err(_) => Err(NoRoute::Header {
                endpoint: endpoint.clone(),
                header: name.into(),
            }),
        };
        // The same version twice is one leg: it is one place to end at.
        let mut made: Vec<(Placed, Arc<Leg>)> = Vec::new();
        let mut leg = |placed: &Placed| {
            if let Some((_, leg)) = made.iter().find(|(known, _)| known == placed) {
                return leg.clone();
            }
            let leg = Arc::new(Leg::new(&plan.endpoint, placed));
            made.push((placed.clone(), leg.clone()));
            leg
        };
        let mut legs = Vec::new();
        let mut reached = 0;
        for (placed, weight) in plan.weights.iter().filter(|(_, weight)| *weight > 0) {
            reached += weight;
            legs.push((reached, leg(placed)));
        }
        let mut pins = Vec::new();
        for (name, value, placed) in &plan.pins {
            pins.push(Pin {
                header: header(name)?,
                value: value.as_bytes().into(),
                leg: leg(placed),
            });
        }
        let sticky = plan.sticky.as_deref().map(header).transpose()?;
        Ok(Self {
            legs,
            pins,
            sticky,
            seed: plan.seed,
            shadows: plan
                .shadows
                .iter()
                .map(|(placed, share)| (*share, leg(placed)))
                .collect(),
            keeps: plan.keeps,
            endpoint: plan.endpoint.clone(),
        })
    }

    /// The name that applications call.
    pub fn endpoint(&self) -> &Arc<str> {
        &self.endpoint
    }

    /// Every version that it may lead a request or a copy to, to see when the last request on it has ended.
    pub fn legs(&self) -> impl Iterator<Item = Weak<Leg>> {
        let pinned = self.pins.iter().map(|pin| &pin.leg);
        let shadows = self.shadows.iter().map(|(_, leg)| leg);
        let legs = self.legs.iter().map(|(_, leg)| leg).chain(pinned);
        legs.chain(shadows).map(Arc::downgrade)
    }

    /// The versions that get copies.
    pub fn shadows(&self) -> impl Iterator<Item = &Arc<Leg>> {
        self.shadows.iter().map(|(_, leg)| leg)
    }

    /// Whether any request is copied.
    pub(crate) fn copies(&self) -> bool {
        self.keeps || !self.shadows.is_empty()
    }

    /// Whether recent inputs are kept.
    pub(crate) fn keeps(&self) -> bool {
        self.keeps
    }

    /// The shadows of one request.
    pub(crate) fn shadowed(&self, mut draw: impl FnMut() -> u64) -> Vec<Arc<Leg>> {
        let mut drawn = |share: u32| (draw() % u64::from(WHOLE)) < u64::from(share);
        let shadows = self.shadows.iter().filter(|(share, _)| drawn(*share));
        shadows.map(|(_, leg)| leg.clone()).collect()
    }

    /// Where a request goes: by its pin, by its sticky header, or drawn by weight.
    pub(crate) fn choose<'h>(
        &self,
        header: impl Fn(&str) -> Option<&'h [u8]>,
        draw: impl FnOnce() -> u64,
    ) -> Option<&Arc<Leg>> {
        let pinned = |pin: &&Pin| header(&pin.header) == Some(&*pin.value);
        if let Some(pin) = self.pins.iter().find(pinned) {
            return Some(&pin.leg);
        }
        let number = match self.sticky.as_deref().and_then(header) {
            Some(value) => hash(self.seed, value),
            None => draw(),
        };
        let at = (number % u64::from(WHOLE)) as u32;
        let leg = self.legs.iter().find(|(reached, _)| at < *reached);
        leg.map(|(_, leg)| leg)
    }

    /// The version that most requests go to: it answers questions about the endpoint itself.
    pub fn heaviest(&self) -> Option<&Arc<Leg>> {
        let mut before = 0;
        let weighed = self.legs.iter().map(|(reached, leg)| {
            let weight = reached - before;
            before = *reached;
            (weight, leg)
        });
        // Of two that weigh the same, the first.
        let heaviest = weighed.reduce(|best, next| if next.0 > best.0 { next } else { best });
        heaviest.map(|(_, leg)| leg)
    }
}

impl Leg {
    fn new(endpoint: &Arc<str>, placed: &Placed) -> Self {
        let mut path = String::from("/v2/models/");
        escape(&placed.upstream_model, &mut path);
        if !placed.upstream_version.is_empty() {
            path.push_str("/versions/");
            escape(&placed.upstream_version, &mut path);
        }
        let mut name = String::new();
        escape(&placed.model, &mut name);
        name.push('@');
        escape(&placed.version, &mut name);
        let mut fields = Vec::new();
        field(1, &placed.upstream_model, &mut fields);
        field(2, &placed.upstream_version, &mut fields);
        Self {
            endpoint: endpoint.clone(),
            model: placed.model.clone(),
            version: placed.version.clone(),
            upstream: (
                placed.upstream_model.clone(),
                placed.upstream_version.clone(),
            ),
            path: path.into(),
            header: name.parse().expect("escaped names are letters and digits"),
            name: name.into(),
            fields: fields.into(),
            dropped: AtomicU64::new(0),
        }
    }

    /// A copy that was meant for it did not fit.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Copies that did not fit since this was last asked.
    pub fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }

    /// Model and version, as the server knows them.
    pub fn upstream(&self) -> (&Arc<str>, &Arc<str>) {
        (&self.upstream.0, &self.upstream.1)
    }

    /// The path of the version at the server.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// `model@version`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same as a header's value.
    pub(crate) fn header(&self) -> HeaderValue {
        self.header.clone()
    }

    /// What names the version at the end of a protobuf message: of fields that are there
    /// twice, the last holds.
    pub(crate) fn fields(&self) -> &Bytes {
        &self.fields
    }
}

impl fmt::Debug for Leg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} at {}", self.endpoint, self.name, self.path)
    }
}

/// A field of text of a protobuf message.
fn field(number: u8, text: &str, into: &mut Vec<u8>) {
    into.push(number << 3 | 2);
    let mut length = text.len();
    while length >= 0x80 {
        into.push(length as u8 | 0x80);
        length >>= 7;
    }
    into.push(length as u8);
    into.extend_from_slice(text.as_bytes());
}

/// What an endpoint's sticky values are hashed with: its name, so that who is among the few of
/// one endpoint is not among those of every other.
pub fn seed(endpoint: &str) -> u64 {
    hash(0, endpoint.as_bytes())
}

/// FNV-1a with a seed, and a last mix: the same on every host and in every build, since a value
/// must lead to the same version everywhere.
fn hash(seed: u64, value: &[u8]) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325 ^ seed;
    for &byte in value {
        state = (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    mix(state)
}

/// Numbers that look drawn, out of a counter: one multiplication more than counting.
#[derive(Debug)]
pub(crate) struct Draws {
    at: std::cell::Cell<u64>,
}

impl Draws {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            at: std::cell::Cell::new(mix(seed)),
        }
    }

    pub(crate) fn next(&self) -> u64 {
        let at = self.at.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.at.set(at);
        mix(at)
    }
}

/// The last steps of SplitMix64.
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(version: &str) -> Placed {
        Placed {
            model: "fraud".into(),
            version: version.into(),
            upstream_model: "fraud".into(),
            upstream_version: version.into(),
        }
    }

    fn plan(weights: &[(&str, u32)]) -> Plan {
        Plan {
            endpoint: "pay".into(),
            weights: weights.iter().map(|(v, w)| (placed(v), *w)).collect(),
            pins: vec![],
            sticky: None,
            seed: 7,
            shadows: vec![],
            keeps: false,
        }
    }

    fn none(_: &str) -> Option<&'static [u8]> {
        None
    }

    /// How often a version is drawn, and how often it should be at least and at most: four
    /// standard deviations, which one run in 15,000 exceeds.
    fn held(route: &Route, version: &str, weight: u32, requests: u32) {
        let draws = Draws::new(u64::from(weight));
        let drawn = (0..requests)
            .filter(|_| &*route.choose(none, || draws.next()).unwrap().version == version)
            .count() as f64;
        let share = f64::from(weight) / f64::from(WHOLE);
        let mean = f64::from(requests) * share;
        let deviation = (mean * (1.0 - share)).sqrt();
        assert!(
            (drawn - mean).abs() <= 4.0 * deviation,
            "{version}: {drawn} of {mean} ± {deviation}"
        );
    }

    #[test]
    fn versions_are_drawn_by_their_weights() {
        for weight in [1, 100, 500, 2_500, 5_000, 9_999, WHOLE] {
            let route = Route::new(&plan(&[("1", WHOLE - weight), ("2", weight)])).unwrap();
            held(&route, "2", weight, 200_000);
        }
    }

    #[test]
    fn a_sticky_value_leads_to_one_version_and_moves_only_into_what_grew() {
        let sticky = |canary: u32| {
            let mut plan = plan(&[("1", WHOLE - canary), ("2", canary)]);
            plan.sticky = Some("X-User".into());
            Route::new(&plan).unwrap()
        };
        let of = |route: &Route, user: u32| {
            let user = user.to_string();
            let header = |name: &str| (name == "x-user").then_some(user.as_bytes());
            route
                .choose(header, || panic!("drawn"))
                .unwrap()
                .version
                .clone()
        };
        let (small, large) = (sticky(500), sticky(2_500));
        let mut on_canary = 0;
        for user in 0..20_000 {
            assert_eq!(of(&small, user), of(&small, user));
            if &*of(&small, user) == "2" {
                on_canary += 1;
                assert_eq!(&*of(&large, user), "2", "user {user} went back");
            }
        }
        let (mean, deviation) = (1_000.0, (20_000.0 * 0.05 * 0.95f64).sqrt());
        assert!(
            (f64::from(on_canary) - mean).abs() < 4.0 * deviation,
            "{on_canary}"
        );
    }

    #[test]
    fn a_pin_comes_before_everything() {
        let mut plan = plan(&[("1", WHOLE)]);
        plan.pins = vec![("X-Arm".into(), "b".into(), placed("2"))];
        plan.sticky = Some("x-user".into());
        let route = Route::new(&plan).unwrap();
        let arm = |value: &'static str| {
            let header = move |name: &str| (name == "x-arm").then_some(value.as_bytes());
            route.choose(header, || 0).unwrap().name().to_owned()
        };
        assert_eq!((arm("b"), arm("c")), ("fraud@2".into(), "fraud@1".into()));
    }

    #[test]
    fn what_is_no_route_is_refused_by_name() {
        for (plan, words) in [
            (plan(&[]), "the weights of pay add up to 0 and not to 10000"),
            (
                plan(&[("1", u32::MAX), ("2", u32::MAX)]),
                "the weights of pay add up to 8589934590 and not to 10000",
            ),
            (
                Plan {
                    sticky: Some("a b".into()),
                    ..plan(&[("1", WHOLE)])
                },
                "the route of pay looks at \"a b\", which is no name of a header",
            ),
        ] {
            assert_eq!(Route::new(&plan).unwrap_err().to_string(), words);
        }
    }

    #[test]
    fn a_leg_is_held_by_its_requests_alone_once_its_route_is_gone() {
        let routes = Routes::default();
        routes.replace([Route::new(&plan(&[("1", WHOLE)])).unwrap()]);
        let leg = routes.of("pay").unwrap().legs().next().unwrap();
        let request = routes
            .load()
            .find("pay")
            .unwrap()
            .choose(none, || 0)
            .unwrap()
            .clone();
        routes.replace([Route::new(&plan(&[("2", WHOLE)])).unwrap()]);
        assert!(leg.upgrade().is_some());
        drop(request);
        assert!(leg.upgrade().is_none());
    }

    #[test]
    fn a_leg_names_its_version_as_protobuf_does() {
        use prost::Message;
        let long = "m".repeat(200);
        let leg = Leg::new(
            &"pay".into(),
            &Placed {
                upstream_model: long.as_str().into(),
                ..placed("7")
            },
        );
        let message = open_inference::proto::ModelInferRequest {
            model_name: "pay".into(),
            id: "x".into(),
            ..Default::default()
        };
        let bytes = [&message.encode_to_vec(), &leg.fields()[..]].concat();
        let read = open_inference::proto::ModelInferRequest::decode(&bytes[..]).unwrap();
        assert_eq!((read.model_name, &*read.model_version), (long, "7"));
        assert_eq!(read.id, "x");
    }
}
