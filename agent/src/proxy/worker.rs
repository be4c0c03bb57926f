//! One thread of the proxy: accepts connections, serves them, seals its window when asked,
//! drains when told.
//!
//! Everything on it is single-threaded, so nothing here needs a lock. Once a second it looks
//! for connections that are too slow and links that waited too long; that is its only timer.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    io,
    net::TcpListener,
    pin::Pin,
    rc::Rc,
    sync::{Arc, mpsc::SyncSender},
    thread::JoinHandle,
    time::Duration,
};

use binnacle_sketch::Latency;
use hyper::server::conn::http2;
use tokio::{
    net::TcpStream,
    runtime,
    sync::{Notify, mpsc, oneshot},
    time::{Instant, MissedTickBehavior, Sleep, interval, sleep, sleep_until, timeout},
};

use super::{
    Known, ProxyError, Upstream,
    connection::{self, Presence},
    link::{GrpcLinks, OnThisThread, Pool},
    log::LogWriter,
    mirror::{Copying, Mirror},
    relay::wire::{Buffers, Links},
    route::{self, Asked},
    routes::{Draws, Leg, Route, Routes},
    tap::Tap,
    ticket::Recorder,
};
use crate::{
    callers::{self, Callers},
    window::TakenWindow,
};

/// Connections to the whole proxy: with their links they stay under the 20,000 files that
/// the service unit allows.
pub(crate) const MAX_CONNECTIONS: usize = 8192;

/// Timers that wait to be used again; more than this is a burst that has passed.
const MAX_TIMERS: usize = 1024;

/// How long a worker stops accepting when the system has no more files for it.
const OUT_OF_FILES: Duration = Duration::from_millis(50);

/// The kernel gives up on an application that takes nothing for this long, so that one that
/// never reads does not hold its answer for ever.
const UNSENT_LIMIT: Duration = Duration::from_secs(60);

/// What connections over the limit are told before they are closed.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 74\r\nconnection: close\r\n\r\n\
    {\"error\":\"this proxy has all the connections it may have: try another host\"}";

/// What a worker is told.
pub(crate) enum Order {
    /// Close the open window.
    Seal {
        spares: Vec<Latency<u32>>,
        reply: oneshot::Sender<TakenWindow>,
    },
    /// Turn load balancers away, or no longer.
    TurnAway(bool),
    /// Stop, gently for as long as the limit.
    Drain {
        limit: Duration,
        reply: oneshot::Sender<TakenWindow>,
    },
}

/// What a worker is made from.
pub(crate) struct Plan {
    pub(crate) index: usize,
    pub(crate) listeners: Vec<TcpListener>,
    pub(crate) upstream: Upstream,
    pub(crate) grpc_upstream: Upstream,
    pub(crate) upstream_timeout: Duration,
    pub(crate) connections: usize,
    pub(crate) known: Known,
    pub(crate) log: Option<LogWriter>,
    pub(crate) tap: Option<Tap>,
    pub(crate) routes: Routes,
    pub(crate) mirror: Option<Mirror>,
    /// Where callers are counted; none where they are not told apart.
    pub(crate) callers: Option<Callers>,
    /// The header that names a caller.
    pub(crate) caller_header: Option<Box<str>>,
}

/// Inputs that one worker copies in a second for replays: a ring of some thousand is full of
/// minutes, not of the last moment, and a copy costs what its bytes do.
const KEPT_PER_SECOND: u32 = 32;

/// Answers of one version that are looked at in a second: enough to tell one in a hundred within a
/// minute, and too few to be felt.
const LOOKS_PER_SECOND: u32 = 20;

/// Where a request goes.
pub(crate) struct Chosen<'p> {
    pub(crate) leg: Arc<Leg>,
    /// What follows the version in the path.
    pub(crate) then: &'p str,
    /// It is copied.
    pub(crate) copying: Option<Box<Copying>>,
}

/// What the connections of one worker share.
pub(crate) struct Worker {
    pub(crate) routes: Routes,
    draws: Draws,
    mirror: Option<Mirror>,
    callers: Option<Callers>,
    caller_header: Option<Box<str>>,
    /// Inputs copied for replays in this second.
    kept: Cell<u32>,
    pub(crate) recorder: Rc<Recorder>,
    pub(crate) upstream: Upstream,
    pub(crate) grpc_upstream: Upstream,
    pub(crate) upstream_timeout: Duration,
    pub(crate) pool: Pool,
    pub(crate) grpc_links: GrpcLinks,
    pub(crate) links: Links,
    pub(crate) buffers: Buffers,
    /// Memory that heads were written into, to be written into again.
    pub(crate) heads: RefCell<Vec<Vec<u8>>>,
    pub(crate) http2: http2::Builder<OnThisThread>,
    pub(crate) draining: Cell<bool>,
    /// Load balancers are turned away, and requests served on.
    pub(crate) away: Cell<bool>,
    /// Seconds since the start.
    pub(crate) tick: Cell<u32>,
    timers: RefCell<Vec<Pin<Box<Sleep>>>>,
    connections: RefCell<HashMap<u64, Rc<Presence>>>,
    limit: usize,
    /// The last connection has gone.
    empty: Notify,
}

/// Starts a worker's thread; it accepts from then on.
pub(crate) fn start(
    plan: Plan,
    inbox: mpsc::Receiver<Order>,
) -> Result<JoinHandle<()>, ProxyError> {
    let (ready, started) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new()
        .name(format!("proxy-{}", plan.index))
        .spawn(move || run(plan, inbox, &ready))
        .map_err(ProxyError::Worker)?;
    let ended = |_| ProxyError::Worker(io::Error::other("the worker ended as it started"));
    started.recv().map_err(ended)??;
    Ok(thread)
}

/// The whole life of a worker's thread.
fn run(plan: Plan, inbox: mpsc::Receiver<Order>, ready: &SyncSender<Result<(), ProxyError>>) {
    // Made here, since it may not leave its thread.
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(runtime::LocalOptions::default());
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(why) => {
            let _ = ready.send(Err(ProxyError::Worker(why)));
            return;
        }
    };
    runtime.block_on(async {
        let mut plan = plan;
        let opened: io::Result<Vec<_>> = std::mem::take(&mut plan.listeners)
            .into_iter()
            .map(|listener| {
                listener.set_nonblocking(true)?;
                tokio::net::TcpListener::from_std(listener)
            })
            .collect();
        match opened {
            Ok(listeners) => {
                let _ = ready.send(Ok(()));
                obey(&Rc::new(Worker::new(plan)), listeners, inbox).await;
            }
            Err(why) => {
                let _ = ready.send(Err(ProxyError::Share(why)));
            }
        }
    });
}

async fn obey(
    worker: &Rc<Worker>,
    listeners: Vec<tokio::net::TcpListener>,
    mut inbox: mpsc::Receiver<Order>,
) {
    let accepting: Vec<_> = listeners
        .into_iter()
        .map(|listener| tokio::task::spawn_local(accept(worker.clone(), listener)))
        .collect();
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = second.tick() => worker.second(),
            order = inbox.recv() => match order {
                Some(Order::Seal { spares, reply }) => {
                    let _ = reply.send(worker.recorder.take(spares));
                }
                Some(Order::TurnAway(away)) => worker.turn_away(away),
                Some(Order::Drain { limit, reply }) => {
                    for accepting in accepting {
                        accepting.abort();
                        let _ = accepting.await;
                    }
                    worker.drain(limit).await;
                    let _ = reply.send(worker.recorder.take(Vec::new()));
                    return;
                }
                // The proxy was dropped.
                None => return,
            }
        }
    }
}

async fn accept(worker: Rc<Worker>, listener: tokio::net::TcpListener) {
    let mut number = 0u64;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                number += 1;
                worker.admit(stream, number);
            }
            Err(why) if of_one_connection(&why) => {}
            Err(why) => {
                tracing::warn!(%why, "connections cannot be accepted for a moment");
                sleep(OUT_OF_FILES).await;
            }
        }
    }
}

/// Whether only the connection that was about to be accepted failed.
fn of_one_connection(why: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(
        why.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset
    )
}

impl Worker {
    fn new(plan: Plan) -> Self {
        Self {
            routes: plan.routes,
            draws: Draws::new(rand::random()),
            mirror: plan.mirror,
            callers: plan.callers,
            caller_header: plan.caller_header,
            kept: Cell::new(0),
            recorder: Recorder::new(plan.known, plan.log, plan.tap),
            pool: Pool::new(plan.upstream.clone()),
            grpc_links: GrpcLinks::new(plan.grpc_upstream.clone()),
            grpc_upstream: plan.grpc_upstream,
            upstream_timeout: plan.upstream_timeout,
            links: Links::new(plan.upstream.clone()),
            buffers: Buffers::default(),
            heads: RefCell::default(),
            http2: connection::http2(),
            upstream: plan.upstream,
            draining: Cell::new(false),
            away: Cell::new(false),
            tick: Cell::new(0),
            timers: RefCell::default(),
            connections: RefCell::default(),
            limit: plan.connections,
            empty: Notify::new(),
        }
    }

    fn admit(self: &Rc<Self>, stream: TcpStream, number: u64) {
        if self.connections.borrow().len() >= self.limit {
            let _ = stream.try_write(FULL);
            return;
        }
        let socket = socket2::SockRef::from(&stream);
        // A socket that cannot be tuned is one that is closed already.
        if stream.set_nodelay(true).is_err()
            || socket.set_tcp_user_timeout(Some(UNSENT_LIMIT)).is_err()
        {
            return;
        }
        let presence = Presence::new(self.tick.get());
        if self.callers.is_some()
            && let Ok(address) = stream.peer_addr()
        {
            presence.comes_from(&address.ip().to_string());
        }
        let place = Place {
            worker: self.clone(),
            number,
        };
        self.connections
            .borrow_mut()
            .insert(number, presence.clone());
        tokio::task::spawn_local(async move {
            connection::serve(place.worker.clone(), presence, stream, number).await;
            drop(place);
        });
    }

    fn second(&self) {
        self.tick.set(self.tick.get().wrapping_add(1));
        self.kept.set(0);
        if let Some(callers) = &self.callers {
            self.recorder.tell_callers(callers);
        }
        self.pool.tick();
        self.links.tick();
        for presence in self.connections.borrow().values() {
            presence.tick(self.tick.get());
        }
    }

    fn turn_away(&self, away: bool) {
        self.away.set(away);
        for presence in self.connections.borrow().values() {
            presence.wake();
        }
    }

    /// Whether applications should go elsewhere.
    pub(crate) fn turns_away(&self) -> bool {
        self.draining.get() || self.away.get()
    }

    async fn drain(&self, limit: Duration) {
        self.draining.set(true);
        for presence in self.connections.borrow().values() {
            presence.wake();
        }
        if timeout(limit, self.emptied()).await.is_ok() {
            return;
        }
        for presence in self.connections.borrow().values() {
            presence.cut();
        }
        // Cut connections end at their next turn, which is now.
        let _ = timeout(OUT_OF_FILES, self.emptied()).await;
    }

    async fn emptied(&self) {
        while !self.connections.borrow().is_empty() {
            self.empty.notified().await;
        }
    }

    /// Where a request for an endpoint goes. `None` for everything else, which is forwarded as
    /// it is.
    pub(crate) fn choose<'p, 'h>(
        &self,
        method: &str,
        path: &'p str,
        header: impl Fn(&str) -> Option<&'h [u8]>,
    ) -> Option<Chosen<'p>> {
        let table = self.routes.load();
        if table.is_empty() {
            return None;
        }
        match route::asked(method, path, false) {
            Asked::Infer { model, version } if version.is_empty() => {
                let route = table.find(&model)?;
                let leg = route.choose(header, || self.draws.next())?.clone();
                let copying = self.copy(route, &leg);
                let then = "/infer";
                Some(Chosen { leg, then, copying })
            }
            Asked::About { model, then } => {
                let leg = table.find(&model)?.heaviest()?.clone();
                let copying = None;
                Some(Chosen { leg, then, copying })
            }
            Asked::Infer { .. }
            | Asked::InferUnreadable
            | Asked::GrpcInfer
            | Asked::GrpcStream
            | Asked::GrpcAbout
            | Asked::Ready
            | Asked::Else => None,
        }
    }

    /// The same for the names in a gRPC message.
    pub(crate) fn choose_named<'h>(
        &self,
        (model, version): (&str, &str),
        about: bool,
        header: impl Fn(&str) -> Option<&'h [u8]>,
    ) -> Option<(Arc<Leg>, Option<Box<Copying>>)> {
        let table = self.routes.load();
        let route = table.find(model).filter(|_| version.is_empty())?;
        if about {
            return Some((route.heaviest()?.clone(), None));
        }
        let leg = route.choose(header, || self.draws.next())?.clone();
        let copying = self.copy(route, &leg);
        Some((leg, copying))
    }

    /// Who asks: what the header says, else from where. Nothing where callers are not told apart.
    pub(crate) fn caller<'h>(
        &self,
        presence: &Presence,
        header: impl FnOnce(&str) -> Option<&'h [u8]>,
    ) -> Option<Rc<str>> {
        self.callers.as_ref()?;
        let said = self.caller_header.as_deref().and_then(header);
        match said.and_then(callers::named) {
            Some(name) => Some(name.into()),
            None => presence.peer(),
        }
    }

    /// A copy of a request, if its route wants one.
    fn copy(&self, route: &Route, leg: &Arc<Leg>) -> Option<Box<Copying>> {
        let mirror = self.mirror.as_ref()?;
        let meter = leg.meter().filter(|meter| meter.takes(self.draws.next()));
        let look = leg.may_look(self.tick.get(), LOOKS_PER_SECOND);
        if !route.copies() {
            let is_wanted = look || meter.is_some();
            return is_wanted.then(|| mirror.open(leg.clone(), Vec::new(), (false, look), meter));
        }
        let keep = route.keeps() && self.kept.get() < KEPT_PER_SECOND;
        let shadows = route.shadowed(|| self.draws.next());
        if keep {
            self.kept.set(self.kept.get() + 1);
        }
        let is_wanted = keep || look || meter.is_some() || !shadows.is_empty();
        is_wanted.then(|| mirror.open(leg.clone(), shadows, (keep, look), meter))
    }

    /// A timer that goes off at this time or earlier.
    pub(crate) fn timer(&self, deadline: Instant) -> Pin<Box<Sleep>> {
        let kept = self.timers.borrow_mut().pop();
        kept.unwrap_or_else(|| Box::pin(sleep_until(deadline)))
    }

    /// Takes a timer back.
    pub(crate) fn keep_timer(&self, timer: Pin<Box<Sleep>>) {
        let mut timers = self.timers.borrow_mut();
        if timers.len() < MAX_TIMERS {
            timers.push(timer);
        }
    }
}

/// A connection's place among those of its worker.
struct Place {
    worker: Rc<Worker>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connections = self.worker.connections.borrow_mut();
        connections.remove(&self.number);
        if connections.is_empty() {
            self.worker.empty.notify_one();
        }
    }
}
