//! The routes of this host's endpoints: to which version a request goes.
//!
//! A snapshot that never changes and is swapped whole, so that a request finds its version
//! without a lock, without allocating, and either by the old routes or by the new ones. A
//! request holds on to the [`Leg`] that it was given: it ends where it began, and whoever holds
//! a [`Weak`] of a leg sees when the last one has. When routes change, and whether their
//! versions are ready, is left to others.

mod chance;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use bytes::Bytes;
use http::HeaderValue;

pub(crate) use self::chance::Draws;
use self::chance::hash;
pub use self::chance::seed;
use super::route::escape;
use crate::inputs::{Meter, Meters, Subject};

/// A whole route in units of weight.
pub const WHOLE: u32 = 10_000;
/// Versions and pins in one route: more is no route but a list.
pub const LEGS_MOST: usize = 64;
/// The header, and the gRPC metadata, that says which version gave an answer.
pub const VERSION_HEADER: &str = "x-binnacle-version";

/// The routes that the proxy goes by. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    table: Arc<ArcSwap<Table>>,
    /// Versions whose inputs are watched, wherever a route leads to them.
    meters: Arc<Mutex<Meters>>,
}

/// All routes of one moment.
#[derive(Debug, Default)]
pub struct Table {
    endpoints: HashMap<Arc<str>, Route>,
    /// The inputs of some version in it are watched.
    watches: AtomicBool,
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
    /// Where its inputs are watched.
    meter: ArcSwapOption<Meter>,
    /// The last second in which answers of it were looked at, and how many in that.
    looks: AtomicU64,
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
        let table = Table::new(routes);
        // Held until the table is there, or a change of the meters in between would be lost.
        let meters = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        table.watch(&meters);
        self.table.store(Arc::new(table));
    }

    /// Has the inputs of these versions watched and of no others.
    pub fn watch(&self, meters: Meters) {
        let mut own = self.meters.lock().unwrap_or_else(PoisonError::into_inner);
        *own = meters;
        self.table.load().watch(&own);
    }

    pub(crate) fn load(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// All routes, as they stand now.
    pub fn all(&self) -> Vec<Route> {
        self.table.load().endpoints.values().cloned().collect()
    }

    /// The route of one endpoint, as it stands now.
    pub fn of(&self, endpoint: &str) -> Option<Route> {
        self.table.load().find(endpoint).cloned()
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
        self.watches.load(Ordering::Relaxed) || self.endpoints.values().any(Route::copies)
    }

    fn watch(&self, meters: &Meters) {
        let mut watches = false;
        for leg in self.endpoints.values().flat_map(Route::answering) {
            let subject = Subject {
                endpoint: leg.endpoint.clone(),
                model: leg.model.clone(),
                version: leg.version.clone(),
            };
            let meter = meters.get(&subject).cloned();
            watches |= meter.is_some();
            leg.meter.store(meter);
        }
        self.watches.store(watches, Ordering::Relaxed);
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
        let shadows = plan.shadows.iter();
        let shadows: Vec<_> = shadows
            .map(|(placed, share)| (*share, leg(placed)))
            .collect();
        let sticky = plan.sticky.as_deref().map(header).transpose()?;
        Ok(Self {
            legs,
            pins,
            sticky,
            seed: plan.seed,
            shadows,
            keeps: plan.keeps,
            endpoint: plan.endpoint.clone(),
        })
    }

    /// The name that applications call.
    pub fn endpoint(&self) -> &Arc<str> {
        &self.endpoint
    }

    /// Every version that it may lead a request or a copy to, to see when the last of these on it
    /// has ended.
    pub fn legs(&self) -> impl Iterator<Item = Weak<Leg>> {
        let pinned = self.pins.iter().map(|pin| &pin.leg);
        let shadows = self.shadows.iter().map(|(_, leg)| leg);
        let legs = self.legs.iter().map(|(_, leg)| leg).chain(pinned);
        legs.chain(shadows).map(Arc::downgrade)
    }

    /// The versions that may answer.
    fn answering(&self) -> impl Iterator<Item = &Arc<Leg>> {
        let pinned = self.pins.iter().map(|pin| &pin.leg);
        self.legs.iter().map(|(_, leg)| leg).chain(pinned)
    }

    /// The versions that get copies.
    pub fn shadows(&self) -> impl Iterator<Item = &Arc<Leg>> {
        self.shadows.iter().map(|(_, leg)| leg)
    }

    /// Whether any request is copied for a shadow or a replay.
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
            meter: ArcSwapOption::empty(),
            looks: AtomicU64::new(0),
        }
    }

    /// Where the inputs of its requests are watched, if they are.
    pub(crate) fn meter(&self) -> Option<Arc<Meter>> {
        self.meter.load_full()
    }

    /// Whether one more answer of it may be looked at in this second, by a worker's count of them;
    /// workers whose counts differ share the later one's.
    pub(crate) fn may_look(&self, second: u32, most: u32) -> bool {
        let now = u64::from(second) << 32;
        let looked = self
            .looks
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |looks| {
                if looks < now {
                    return Some(now + 1);
                }
                let count = looks & u64::from(u32::MAX);
                (count < u64::from(most)).then_some(looks + 1)
            });
        looked.is_ok()
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

#[cfg(test)]
mod tests;
