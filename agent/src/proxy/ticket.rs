//! One inference request being counted: from its head until whatever ends it.
//!
//! A [`Ticket`] counts when it is dropped, so that no way out of the request path can forget
//! to: what nobody called an end is an application that left.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use super::{
    Known,
    log::{Entry, LogWriter},
    routes::Leg,
    tap::Tap,
};
use crate::{
    callers::{Book, Callers},
    clock,
    window::{Ended, Outcome, Slot, TakenWindow, Window},
};

/// Where a worker counts. Never shared between threads.
pub(crate) struct Recorder {
    window: RefCell<Window>,
    in_flight: Cell<u32>,
    log: Option<LogWriter>,
    tap: Option<Tap>,
    untapped: Cell<u32>,
    callers: RefCell<Book>,
}

/// Whose series a request belongs to.
pub(crate) enum Target {
    /// A name that is counted by itself.
    Slot(Rc<Slot>),
    /// A name that nobody has vouched for yet: if the server answers, it is real.
    Named(Box<str>, Box<str>),
    /// No name, or none that can be read.
    Unnamed,
}

/// One inference request, not ended yet.
pub(crate) struct Ticket {
    recorder: Rc<Recorder>,
    started: Instant,
    target: Target,
    /// Held until the request has ended, so that its version is not taken away before.
    leg: Option<Arc<Leg>>,
    /// Who asked; nothing where nobody is told apart.
    caller: Option<Rc<str>>,
    outcome: Outcome,
    pub(crate) request_bytes: u64,
    pub(crate) response_bytes: u64,
}

impl Recorder {
    pub(crate) fn new(known: Known, log: Option<LogWriter>, tap: Option<Tap>) -> Rc<Self> {
        Rc::new(Self {
            window: RefCell::new(Window::new(known)),
            in_flight: Cell::new(0),
            log,
            tap,
            untapped: Cell::new(0),
            callers: RefCell::default(),
        })
    }

    /// The series of a name.
    pub(crate) fn target(&self, model: &str, version: &str) -> Target {
        match self.window.borrow_mut().find(model, version) {
            Some(slot) => Target::Slot(slot),
            None => Target::Named(model.into(), version.into()),
        }
    }

    /// A request has begun.
    pub(crate) fn begin(self: &Rc<Self>, target: Target) -> Ticket {
        self.in_flight.set(self.in_flight.get() + 1);
        Ticket {
            recorder: self.clone(),
            started: clock::now(),
            target,
            leg: None,
            caller: None,
            outcome: Outcome::ClientGone,
            request_bytes: 0,
            response_bytes: 0,
        }
    }

    /// A request has begun: of the version that a route chose, or of the names that it said.
    pub(crate) fn begin_at(
        self: &Rc<Self>,
        leg: Option<&Arc<Leg>>,
        model: &str,
        version: &str,
    ) -> Ticket {
        match leg {
            Some(leg) => {
                let mut ticket = self.begin(Target::Unnamed);
                ticket.route(leg);
                ticket
            }
            None => self.begin(self.target(model, version)),
        }
    }

    /// The tap, if this request's body is to be copied.
    pub(crate) fn sample(&self) -> Option<&Tap> {
        let tap = self.tap.as_ref()?;
        let passed = self.untapped.get() + 1;
        let sampled = passed >= tap.every();
        self.untapped.set(if sampled { 0 } else { passed });
        sampled.then_some(tap)
    }

    /// Adds what callers did to what those of all workers did.
    pub(crate) fn tell_callers(&self, to: &Callers) {
        to.add(&mut self.callers.borrow_mut());
    }

    /// Takes the open window.
    pub(crate) fn take(&self, spares: Vec<binnacle_sketch::Latency<u32>>) -> TakenWindow {
        self.window.borrow_mut().take(spares, self.in_flight.get())
    }

    fn end(&self, target: &Target, ended: Ended) {
        self.in_flight.set(self.in_flight.get().saturating_sub(1));
        let mut window = self.window.borrow_mut();
        let slot = match target {
            Target::Slot(slot) => slot.clone(),
            Target::Named(model, version) => match window.find(model, version) {
                Some(slot) => slot,
                None if ended.outcome == Outcome::Ok => window.admit(model, version),
                None => window.other(),
            },
            Target::Unnamed => window.other(),
        };
        let slot = window.record(slot, ended);
        if let Some(log) = &self.log {
            log.offer(Entry {
                t_us: clock::wall_us(),
                endpoint: slot.endpoint.clone(),
                model: slot.model.clone(),
                version: slot.version.clone(),
                outcome: ended.outcome,
                ns: ended.ns,
            });
        }
    }
}

impl Ticket {
    /// The name has been read.
    pub(crate) fn name(&mut self, model: &str, version: &str) {
        self.target = self.recorder.target(model, version);
    }

    /// The route has been chosen.
    pub(crate) fn route(&mut self, leg: &Arc<Leg>) {
        self.target = Target::Slot(self.recorder.window.borrow_mut().routed(leg));
        self.leg = Some(leg.clone());
    }

    /// Who asked.
    pub(crate) fn caller(&mut self, caller: &Rc<str>) {
        self.caller = Some(caller.clone());
    }

    /// How the request ends, unless something else is said later.
    pub(crate) fn outcome(&mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let ns = clock::now()
            .saturating_duration_since(self.started)
            .as_nanos();
        let ended = Ended {
            outcome: self.outcome,
            ns: u64::try_from(ns).unwrap_or(u64::MAX),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
        };
        if let (Some(leg), Some(caller)) = (&self.leg, &self.caller) {
            let mut callers = self.recorder.callers.borrow_mut();
            callers.count(&leg.endpoint, caller, self.outcome);
        }
        self.recorder.end(&self.target, ended);
    }
}

/// The outcome of an HTTP status.
pub(crate) fn of_status(status: http::StatusCode) -> Outcome {
    match status.as_u16() {
        400..=499 => Outcome::ClientError,
        500.. => Outcome::ServerError,
        _ => Outcome::Ok,
    }
}

/// The outcome of a gRPC status that the upstream sent. What its HTTP namesake counts as is
/// what it counts as; no number at all is an upstream that broke off.
pub(crate) fn of_grpc_status(status: Option<&http::HeaderValue>) -> Outcome {
    let number = status.and_then(|value| value.to_str().ok()?.parse::<u32>().ok());
    match number {
        Some(0) => Outcome::Ok,
        // Cancelled, invalid argument, not found, already exists, permission denied, resource
        // exhausted, failed precondition, aborted, out of range, unauthenticated.
        Some(1 | 3 | 5..=11 | 16) => Outcome::ClientError,
        // Unknown, deadline exceeded, unimplemented, internal, unavailable, data loss; and
        // numbers that gRPC does not have.
        Some(_) => Outcome::ServerError,
        None => Outcome::UpstreamRefused,
    }
}
