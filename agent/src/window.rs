//! The open window: what the requests of the current second were, by series; and what a
//! sealed one looks like.
//!
//! Each worker has a `Window` of its own and records into it without a lock, and without
//! allocating once a series is warm. Counts are exact: what a limit keeps from its own series
//! is counted under [`OTHER`], never dropped. When a window is sealed, and what becomes of
//! it, is left to others.

use std::{collections::HashMap, rc::Rc, sync::Arc};

use binnacle_sketch::{Encoded, Latency};

use crate::proxy::{Known, routes::Leg};

/// The model that requests count under when the server does not know their name, or when
/// there are more series than [`MAX_SERIES`].
pub const OTHER: &str = "other";

/// Series a host may report: what the hub and a screen can bear of one host, and 60 MB of
/// histograms at the very most.
pub const MAX_SERIES: usize = 4096;

/// Longest name of a model or version, in bytes, as the wire contract has it.
pub const MAX_NAME_BYTES: usize = 255;

/// Sealed windows without a request after which a series is forgotten: ten minutes of
/// seconds, so that a quiet night does not empty the table and a renamed model leaves it.
const IDLE_WINDOWS: u32 = 600;

/// What requests are counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SeriesKey {
    /// The endpoint whose route chose the version; empty while there is none.
    pub endpoint: Arc<str>,
    /// The upstream's name for the model: opaque, escape it before showing it.
    pub model: Arc<str>,
    /// The upstream's name for the version; empty when the application named none.
    pub version: Arc<str>,
    /// How the requests ended.
    pub outcome: Outcome,
}

/// How one request ended, as the agent saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// 2xx and 3xx; gRPC OK.
    Ok,
    /// 4xx; gRPC INVALID_ARGUMENT, NOT_FOUND and their like.
    ClientError,
    /// 5xx that the upstream itself answered; gRPC INTERNAL, UNKNOWN and their like.
    ServerError,
    /// The upstream could not be reached, or hung up before its answer was complete.
    UpstreamRefused,
    /// The upstream did not answer within the limit.
    TimedOut,
    /// The application left before the answer was complete.
    ClientGone,
}

impl Outcome {
    /// Every outcome, in the order of their numbers.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::ClientError,
        Self::ServerError,
        Self::UpstreamRefused,
        Self::TimedOut,
        Self::ClientGone,
    ];

    /// The word for it in logs and on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ClientError => "client_error",
            Self::ServerError => "server_error",
            Self::UpstreamRefused => "upstream_refused",
            Self::TimedOut => "timed_out",
            Self::ClientGone => "client_gone",
        }
    }
}

/// What was measured of one series in one sealed window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedSeries {
    /// What the requests were counted by.
    pub key: SeriesKey,
    /// Their latencies: from the head parsed to the last byte of the answer handed over.
    pub latency: Encoded,
    /// Bytes of request bodies.
    pub request_bytes: u64,
    /// Bytes of answer bodies.
    pub response_bytes: u64,
}

/// A sealed window: every request that ended in it. In order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sealed {
    /// At most [`MAX_SERIES`].
    pub series: Vec<SealedSeries>,
    /// Requests that had begun and not ended when the window was sealed.
    pub in_flight: u32,
    /// Requests counted under [`OTHER`] for want of a series, since the start.
    pub series_overflow: u64,
    /// Lines that the request log could not take, since the start.
    pub log_lines_dropped: u64,
    /// Bodies that the tap could not take, since the start.
    pub tap_bodies_dropped: u64,
}

impl Sealed {
    /// Adds a later window: series of the same key add up, exactly; what describes a moment
    /// is the later one's.
    pub fn merge(&mut self, other: Self) {
        let mut at: HashMap<SeriesKey, usize> = HashMap::new();
        for (index, series) in self.series.iter().enumerate() {
            at.entry(series.key.clone()).or_insert(index);
        }
        for series in other.series {
            let same = at.get(&series.key).and_then(|&i| self.series.get_mut(i));
            match same.and_then(|same| Some((sum(&same.latency, &series.latency)?, same))) {
                Some((latency, same)) => {
                    same.latency = latency;
                    same.request_bytes = same.request_bytes.saturating_add(series.request_bytes);
                    same.response_bytes = same.response_bytes.saturating_add(series.response_bytes);
                }
                // New here; or bytes that are no histogram, which travel on as they are
                // for the hub to refuse by name.
                None => self.series.push(series),
            }
        }
        self.series.sort_by(|a, b| a.key.cmp(&b.key));
        self.in_flight = other.in_flight;
        self.series_overflow = self.series_overflow.max(other.series_overflow);
        self.log_lines_dropped = self.log_lines_dropped.max(other.log_lines_dropped);
        self.tap_bodies_dropped = self.tap_bodies_dropped.max(other.tap_bodies_dropped);
    }

    /// How many requests ended in this window.
    pub fn requests(&self) -> u64 {
        let count = |series: &SealedSeries| series.latency.count().unwrap_or(0);
        self.series.iter().map(count).sum()
    }
}

fn sum(a: &Encoded, b: &Encoded) -> Option<Encoded> {
    let mut latency = Latency::<u64>::default();
    latency.add_encoded(a).ok()?;
    latency.add_encoded(b).ok()?;
    Some(latency.encode())
}

/// What one worker's requests of this second were. Not shared between threads.
pub(crate) struct Window {
    known: Known,
    models: Models,
    /// By endpoint, what its route has led to.
    routed: HashMap<Arc<str>, Models>,
    other: Rc<Slot>,
    dirty: Vec<Rc<Slot>>,
    spares: Vec<Latency<u32>>,
    series: usize,
    overflow: u64,
    limit: usize,
}

/// Slots by model and version.
type Models = HashMap<Arc<str>, HashMap<Arc<str>, Rc<Slot>>>;

/// The series of one endpoint, model and version.
pub(crate) struct Slot {
    pub(crate) endpoint: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) version: Arc<str>,
    inner: std::cell::RefCell<Counts>,
}

#[derive(Default)]
struct Counts {
    open: [Option<Open>; Outcome::ALL.len()],
    counted: [bool; Outcome::ALL.len()],
    dirty: bool,
    idle: u32,
}

/// One series, from its first request in a window until the window is sealed.
pub(crate) struct Open {
    latency: Latency<u32>,
    request_bytes: u64,
    response_bytes: u64,
}

/// A series taken out of a worker's window, histogram and all: a move, not a copy.
pub(crate) struct Taken {
    key: SeriesKey,
    open: Open,
}

/// One worker's window, taken out.
pub(crate) struct TakenWindow {
    pub(crate) series: Vec<Taken>,
    pub(crate) in_flight: u32,
    pub(crate) overflow: u64,
}

/// One request, ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) ns: u64,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

impl Window {
    pub(crate) fn new(known: Known) -> Self {
        let slot = |model: &str| {
            Rc::new(Slot {
                endpoint: "".into(),
                model: model.into(),
                version: "".into(),
                inner: std::cell::RefCell::default(),
            })
        };
        Self {
            known,
            models: HashMap::new(),
            routed: HashMap::new(),
            other: slot(OTHER),
            dirty: Vec::new(),
            spares: Vec::new(),
            series: 0,
            overflow: 0,
            limit: MAX_SERIES,
        }
    }

    /// The slot of a name that is counted by itself: one that was counted before, or that
    /// the server lists.
    pub(crate) fn find(&mut self, model: &str, version: &str) -> Option<Rc<Slot>> {
        let found = self.models.get(model).and_then(|of| of.get(version));
        if let Some(slot) = found {
            return Some(slot.clone());
        }
        if self.known.lists(model, version) {
            return Some(self.admit(model, version));
        }
        None
    }

    /// The slot for a name that one request has just shown to be real.
    pub(crate) fn admit(&mut self, model: &str, version: &str) -> Rc<Slot> {
        let fits = |name: &str| name.len() <= MAX_NAME_BYTES;
        if !fits(model) || !fits(version) {
            return self.other.clone();
        }
        if let Some(slot) = self.models.get(model).and_then(|of| of.get(version)) {
            return slot.clone();
        }
        if self.series >= self.limit {
            self.overflow += 1;
            return self.other.clone();
        }
        let model: Arc<str> = model.into();
        let slot = Rc::new(Slot {
            endpoint: self.other.endpoint.clone(),
            model: model.clone(),
            version: version.into(),
            inner: std::cell::RefCell::default(),
        });
        let versions = self.models.entry(model).or_default();
        versions.insert(slot.version.clone(), slot.clone());
        slot
    }

    /// The slot of a version that a route led to, whose names the hub has vouched for.
    pub(crate) fn routed(&mut self, leg: &Leg) -> Rc<Slot> {
        let found = self
            .routed
            .get(&leg.endpoint)
            .and_then(|models| models.get(&leg.model)?.get(&leg.version));
        if let Some(slot) = found {
            return slot.clone();
        }
        let names = [&leg.endpoint, &leg.model, &leg.version];
        if self.series >= self.limit || names.iter().any(|name| name.len() > MAX_NAME_BYTES) {
            self.overflow += 1;
            return self.other.clone();
        }
        let slot = Rc::new(Slot {
            endpoint: leg.endpoint.clone(),
            model: leg.model.clone(),
            version: leg.version.clone(),
            inner: std::cell::RefCell::default(),
        });
        let models = self.routed.entry(leg.endpoint.clone()).or_default();
        let versions = models.entry(leg.model.clone()).or_default();
        versions.insert(leg.version.clone(), slot.clone());
        slot
    }

    /// The slot for everything that has none of its own.
    pub(crate) fn other(&self) -> Rc<Slot> {
        self.other.clone()
    }

    /// Counts one request that has ended, and says under which slot.
    pub(crate) fn record(&mut self, slot: Rc<Slot>, ended: Ended) -> Rc<Slot> {
        let at = ended.outcome as usize;
        let mut counts = slot.inner.borrow_mut();
        let first = counts.counted.get(at) == Some(&false);
        if first && !Rc::ptr_eq(&slot, &self.other) {
            if self.series >= self.limit {
                drop(counts);
                self.overflow += 1;
                let other = self.other.clone();
                return self.record(other, ended);
            }
            self.series += 1;
        }
        if let Some(counted) = counts.counted.get_mut(at) {
            *counted = true;
        }
        if !counts.dirty {
            counts.dirty = true;
            counts.idle = 0;
            self.dirty.push(slot.clone());
        }
        if let Some(open) = counts.open.get_mut(at) {
            let open = open.get_or_insert_with(|| Open {
                latency: self.spares.pop().unwrap_or_default(),
                request_bytes: 0,
                response_bytes: 0,
            });
            open.latency.record(ended.ns);
            open.request_bytes += ended.request_bytes;
            open.response_bytes += ended.response_bytes;
        }
        drop(counts);
        slot
    }

    /// Takes what was counted since the last seal, and forgets series that have long been
    /// idle. `spares` are the cleared histograms of the last seal, to be used again.
    pub(crate) fn take(&mut self, spares: Vec<Latency<u32>>, in_flight: u32) -> TakenWindow {
        let mut series = Vec::with_capacity(self.dirty.len());
        for slot in self.dirty.drain(..) {
            let mut counts = slot.inner.borrow_mut();
            counts.dirty = false;
            for (outcome, open) in Outcome::ALL.into_iter().zip(&mut counts.open) {
                series.extend(open.take().map(|open| Taken {
                    key: SeriesKey {
                        endpoint: slot.endpoint.clone(),
                        model: slot.model.clone(),
                        version: slot.version.clone(),
                        outcome,
                    },
                    open,
                }));
            }
        }
        self.spares.extend(spares);
        // As many as this window has used: what was needed a second ago is needed again.
        self.spares.truncate(series.len());
        self.spares.shrink_to(series.len());
        self.forget_idle();
        TakenWindow {
            series,
            in_flight,
            overflow: self.overflow,
        }
    }

    fn forget_idle(&mut self) {
        let mut freed = forget_idle(&mut self.models);
        self.routed.retain(|_, models| {
            freed += forget_idle(models);
            !models.is_empty()
        });
        self.series = self.series.saturating_sub(freed);
    }
}

/// Forgets slots that have long been idle; how many series that frees.
fn forget_idle(models: &mut Models) -> usize {
    let mut freed = 0;
    models.retain(|_, versions| {
        versions.retain(|_, slot| {
            let mut counts = slot.inner.borrow_mut();
            counts.idle = counts.idle.saturating_add(1);
            // A second owner is a request on its way, which will be counted here.
            if counts.idle <= IDLE_WINDOWS || Rc::strong_count(slot) > 1 {
                return true;
            }
            freed += counts.counted.iter().filter(|&&counted| counted).count();
            false
        });
        !versions.is_empty()
    });
    freed
}

/// Adds up what the workers counted in the same second. The second value is the cleared
/// histograms, to be handed back with the next seal.
pub(crate) fn combine(windows: Vec<TakenWindow>) -> (Sealed, Vec<Latency<u32>>) {
    let mut sealed = Sealed::default();
    let mut spares = Vec::new();
    let mut merged: HashMap<SeriesKey, Open> = HashMap::new();
    for window in windows {
        sealed.in_flight += window.in_flight;
        sealed.series_overflow += window.overflow;
        for mut taken in window.series {
            if merged.len() >= MAX_SERIES && !merged.contains_key(&taken.key) {
                sealed.series_overflow += taken.open.latency.count();
                taken.key.model = OTHER.into();
                taken.key.version = "".into();
            }
            match merged.entry(taken.key) {
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(taken.open);
                }
                std::collections::hash_map::Entry::Occupied(mut entry) => {
                    let sum = entry.get_mut();
                    sum.latency.merge(&taken.open.latency);
                    sum.request_bytes += taken.open.request_bytes;
                    sum.response_bytes += taken.open.response_bytes;
                    taken.open.latency.clear();
                    spares.push(taken.open.latency);
                }
            }
        }
    }
    for (key, mut open) in merged {
        sealed.series.push(SealedSeries {
            key,
            latency: open.latency.encode(),
            request_bytes: open.request_bytes,
            response_bytes: open.response_bytes,
        });
        open.latency.clear();
        spares.push(open.latency);
    }
    sealed.series.sort_by(|a, b| a.key.cmp(&b.key));
    (sealed, spares)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ended(outcome: Outcome, ns: u64) -> Ended {
        Ended {
            outcome,
            ns,
            request_bytes: 1,
            response_bytes: 2,
        }
    }

    /// One request of a name that the server has answered.
    fn count(window: &mut Window, model: &str, outcome: Outcome, ns: u64) {
        let slot = window
            .find(model, "")
            .unwrap_or_else(|| window.admit(model, ""));
        window.record(slot, ended(outcome, ns));
    }

    fn seal(window: &mut Window) -> Sealed {
        combine(vec![window.take(Vec::new(), 0)]).0
    }

    proptest! {
        #[test]
        fn however_windows_are_cut_and_spread_they_add_up(
            requests in prop::collection::vec((0..4usize, 0..6usize, 0..1_000_000u64), 0..200),
            cuts in prop::collection::vec(any::<bool>(), 200),
        ) {
            let mut whole = Window::new(Known::default());
            let mut parts = [Window::new(Known::default()), Window::new(Known::default())];
            let mut merged = Sealed::default();
            for (at, &(model, outcome, ns)) in requests.iter().enumerate() {
                let (model, outcome) = (["a", "b", "c", "d"][model], Outcome::ALL[outcome]);
                count(&mut whole, model, outcome, ns);
                count(&mut parts[at % 2], model, outcome, ns);
                if cuts[at] {
                    let taken = parts.iter_mut().map(|part| part.take(Vec::new(), 0)).collect();
                    merged.merge(combine(taken).0);
                }
            }
            let taken = parts.iter_mut().map(|part| part.take(Vec::new(), 0)).collect();
            merged.merge(combine(taken).0);
            prop_assert_eq!(merged.requests(), requests.len() as u64);
            prop_assert_eq!(merged, seal(&mut whole));
        }
    }

    #[test]
    fn an_idle_series_is_forgotten_after_ten_minutes_but_not_under_a_request() {
        let mut window = Window::new(Known::default());
        count(&mut window, "idle", Outcome::Ok, 1);
        count(&mut window, "held", Outcome::Ok, 1);
        let held = window.find("held", "").expect("it was counted");
        for _ in 0..=IDLE_WINDOWS {
            assert!(window.find("idle", "").is_some());
            seal(&mut window);
        }
        assert!(window.find("idle", "").is_none());
        window.record(held, ended(Outcome::Ok, 1));
        assert_eq!(seal(&mut window).requests(), 1);
        assert_eq!(window.series, 1);
    }

    #[test]
    fn what_describes_a_moment_is_the_later_windows() {
        let mut earlier = Sealed {
            in_flight: 7,
            series_overflow: 3,
            ..Sealed::default()
        };
        earlier.merge(Sealed {
            in_flight: 2,
            series_overflow: 5,
            ..Sealed::default()
        });
        assert_eq!((earlier.in_flight, earlier.series_overflow), (2, 5));
    }
}
