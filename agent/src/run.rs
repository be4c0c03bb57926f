//! The agent's loop: each second it seals a window, spools it and offers it to the hub; in
//! between it carries out what the uplink decides.
//!
//! Promises: one task owns spool, uplink and assignment; a window is on disk before it is
//! offered; on the way out what is in flight is finished, counted, spooled and, if the hub is
//! there, delivered. Requests never wait for this loop: the proxy has threads of its own.

mod report;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use self::report::Tally;
use crate::artifact::Shelf;
use crate::assignment::obey::{Ground, Obey, ObeyError, Orders, Work};
use crate::assignment::observed::Observed;
use crate::assignment::{self, Assignment, KeepError};
use crate::callers::Callers;
use crate::clock;
use crate::config::Config;
use crate::control::{Control, ControlError};
use crate::host::{self, Host, Vitals};
use crate::inputs::reference::References;
use crate::inputs::{self, InputWindow, Inputs};
use crate::proxy::mirror::Mirror;
use crate::proxy::routes::Routes;
use crate::proxy::{self, Known, Proxy, ProxyError, Settings};
use crate::seal::{BootId, Sealer, Window};
use crate::server::{Lookout, ServerHealth};
use crate::shadow::{Proved, Shadows};
use crate::spool::{Spool, SpoolError};
use crate::status::Status;
use crate::uplink::stream::{self, Line};
use crate::uplink::{Action, Ending, Event, State, Uplink};
use crate::window::Sealed;
use crate::wire::{self, Moment};

/// Events of the stream that wait for the loop: more, and the hub waits.
const EVENTS_MOST: usize = 64;
/// Reports sent in one second: an hour's backlog is gone in one, and ten thousand agents that
/// come back together do not drown the hub.
const REPORTS_PER_SECOND: u32 = 500;
/// Between two looks at a backlog that the stream could not take at once.
const BACKLOG_EVERY: Duration = Duration::from_millis(20);
/// What came of replays and waits for the stream.
const PROOFS_MOST: usize = 8;
/// Between two observations: the hub asks for no more than ten a second.
const OBSERVE_EVERY: Duration = Duration::from_millis(100);
/// For requests in flight when the agent is told to stop.
const DRAIN_LONGEST: Duration = Duration::from_secs(20);
/// For the last window to reach the hub: it is on disk, so nothing is lost without it.
const DELIVER_LONGEST: Duration = Duration::from_secs(2);

/// A running agent. Dropping it stops it at once; [`Agent::shutdown`] is the way out that
/// finishes what is in flight.
#[derive(Debug)]
pub struct Agent {
    listen: SocketAddr,
    control: PathBuf,
    status: watch::Receiver<Arc<Status>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    beside: Vec<JoinHandle<()>>,
}

/// Why an agent could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The request path.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    /// The runtime stopped meanwhile.
    #[error("the agent was stopped while it started")]
    Cancelled(#[source] tokio::task::JoinError),
    /// The data folder.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The control socket.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// What is kept in the data folder.
    #[error(transparent)]
    Assignment(#[from] KeepError),
    /// What this host stands by, or its artifacts.
    #[error(transparent)]
    Obey(#[from] ObeyError),
    /// The thread that counts inputs.
    #[error("cannot start the thread that counts inputs")]
    Inputs(#[source] std::io::Error),
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.task.abort();
        self.beside.iter().for_each(JoinHandle::abort);
    }
}

impl Agent {
    /// Starts an agent that listens where its configuration says.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let listeners = proxy::bind(config.listen, config.workers)?;
        Self::start_on(config, listeners).await
    }

    /// Starts an agent on sockets that listen already.
    pub async fn start_on(config: Config, listeners: Vec<TcpListener>) -> Result<Self, StartError> {
        let boot = BootId::random();
        let spool = Spool::open(&config.data, config.spool_limit_bytes, boot)?;
        let assignment = assignment::load(&config.data)?;
        let control = Control::bind(&config.control).await?;
        let (known, routes) = (Known::default(), Routes::default());
        let (lookout, lights) = lookout(&config, &known);
        let in_flight = Arc::<AtomicU32>::default();
        let (inputs, items) = Inputs::new(rand::random());
        let (mirror, copies) = Mirror::new(Some(inputs.queue()));
        let shadows = Shadows::new(&config.upstream, &config.grpc_upstream, routes.clone());
        let (proved, proofs) = mpsc::channel(PROOFS_MOST);
        let beside = (routes.clone(), in_flight.clone(), shadows.clone());
        let ground = ground(&config, lights.clone(), beside, proved);
        // Before anybody is served: the routes that were live are again.
        let (obey, orders, observed) = Obey::start(ground, assignment.clone())?;
        let references = references(&config, &inputs, &routes, &orders)?;
        inputs::start(&inputs, items, config.inputs_cpu_percent).map_err(StartError::Inputs)?;
        let settings = settings(&config, listeners, routes, mirror);
        let callers = settings.callers.clone().unwrap_or_default();
        let (proxy, now) = (start_proxy(settings, known).await?, clock::now());
        let (events, heard) = mpsc::channel(EVENTS_MOST);
        let keeper = Keeper {
            uplink: Uplink::new(config.hubs.len(), boot.seed(), now),
            host: Host::new(&config.data, config.upstream.authority(), now),
            inputs,
            inputs_since: now,
            sealer: Sealer::new(boot, now, clock::wall_us()),
            config,
            boot,
            listen: proxy.local_addr(),
            spool,
            turning_away: Some(assignment.draining),
            assignment,
            orders: orders.clone(),
            observed,
            observation_due: true,
            observe_at: now,
            in_flight,
            shadows: shadows.clone(),
            callers,
            proofs,
            proved: None,
            lights,
            line: None,
            events,
            idle: None,
            moment_due: true,
            reports_left: REPORTS_PER_SECOND,
            tally: Tally::default(),
            vitals: None,
            told: None,
        };
        let (shown, status) = watch::channel(Arc::new(keeper.status()));
        let (stop, stopped) = oneshot::channel();
        let beside = vec![
            tokio::spawn(lookout.run()),
            tokio::spawn(obey.run()),
            tokio::spawn(shadows.run(copies)),
            tokio::spawn(references.run()),
            tokio::spawn(control.serve(status.clone(), orders)),
        ];
        Ok(Self {
            listen: keeper.listen,
            control: keeper.config.control.clone(),
            task: tokio::spawn(Box::pin(keeper.run(proxy, heard, shown, stopped))),
            status,
            stop: Some(stop),
            beside,
        })
    }

    /// Where applications connect.
    pub fn listen_addr(&self) -> SocketAddr {
        self.listen
    }

    /// Where the control socket is.
    pub fn control(&self) -> &Path {
        &self.control
    }

    /// What the agent says of itself; changes each second.
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// Stops accepting, finishes what is in flight, and delivers or spools the last window.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            // A loop that ended already has nothing left to stop.
            let _ = stop.send(());
        }
        if let Err(ended) = (&mut self.task).await {
            tracing::error!(%ended, "the agent's loop ended before it was told to");
        }
        // So that the control socket's path is free when this returns.
        for task in self.beside.drain(..) {
            task.abort();
            let _ = task.await;
        }
    }
}

/// It opens files and makes runtimes, which a task of this one must not.
async fn start_proxy(settings: Settings, known: Known) -> Result<Proxy, StartError> {
    let started = tokio::task::spawn_blocking(|| Proxy::start(settings, known)).await;
    Ok(started.map_err(StartError::Cancelled)??)
}

fn ground(
    config: &Config,
    lights: watch::Receiver<Arc<ServerHealth>>,
    (routes, in_flight, shadows): (Routes, Arc<AtomicU32>, Shadows),
    proved: mpsc::Sender<Proved>,
) -> Ground {
    Ground {
        work: Work {
            data: config.data.clone(),
            hubs: config.hubs.clone(),
            upstream: config.upstream.clone(),
            repository: config.repository.clone(),
            artifact_limit_bytes: config.artifact_limit_bytes,
            memory_limit_bytes: config.memory_limit_bytes.unwrap_or_else(host::for_versions),
        },
        routes,
        lights,
        in_flight,
        shadows,
        proved,
    }
}

fn lookout(config: &Config, known: &Known) -> (Lookout, watch::Receiver<Arc<ServerHealth>>) {
    let models = config.models.clone();
    Lookout::new(&config.upstream, config.server, models, known.clone())
}

fn references(
    config: &Config,
    inputs: &Inputs,
    routes: &Routes,
    orders: &Orders,
) -> Result<References, ObeyError> {
    Ok(References {
        inputs: inputs.clone(),
        routes: routes.clone(),
        shelf: Shelf::open(&config.data, config.artifact_limit_bytes)?,
        hubs: config.hubs.clone(),
        assigned: orders.assignments(),
    })
}

fn settings(
    config: &Config,
    listeners: Vec<TcpListener>,
    routes: Routes,
    mirror: Mirror,
) -> Settings {
    Settings {
        routes,
        mirror: Some(mirror),
        callers: Some(Callers::default()),
        grpc_upstream: config.grpc_upstream.clone(),
        workers: config.workers,
        upstream_timeout: config.upstream_timeout,
        request_log: config.request_log.clone(),
        caller_header: config.caller_header.clone(),
        ..Settings::new(listeners, config.upstream.clone())
    }
}

/// What the loop owns.
struct Keeper {
    config: Config,
    boot: BootId,
    listen: SocketAddr,
    sealer: Sealer,
    spool: Spool,
    uplink: Uplink,
    assignment: Assignment,
    /// The way to the loop that obeys it, and what that observes.
    orders: Orders,
    observed: watch::Receiver<Arc<Observed>>,
    observation_due: bool,
    /// The next observation goes no sooner.
    observe_at: Instant,
    /// The proxy is yet to be told whether load balancers are to be turned away.
    turning_away: Option<bool>,
    /// Requests under way, for whoever waits for their end.
    in_flight: Arc<AtomicU32>,
    shadows: Shadows,
    callers: Callers,
    /// What came of replays, and the one that the stream could not take yet.
    proofs: mpsc::Receiver<Proved>,
    proved: Option<Proved>,
    host: Option<Host>,
    inputs: Inputs,
    /// They were last taken then.
    inputs_since: Instant,
    lights: watch::Receiver<Arc<ServerHealth>>,
    line: Option<Line>,
    events: mpsc::Sender<Event>,
    /// The last window if nothing was counted in it: a sign of life, sent or forgotten.
    idle: Option<Window>,
    /// A second has passed since a report last told of the moment.
    moment_due: bool,
    reports_left: u32,
    tally: Tally,
    vitals: Option<Vitals>,
    /// The trouble that the log last told of.
    told: Option<Ending>,
}

impl Keeper {
    async fn run(
        mut self,
        proxy: Proxy,
        mut heard: mpsc::Receiver<Event>,
        shown: watch::Sender<Arc<Status>>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        let mut second = self.next_seal();
        loop {
            let wake = self.wake_at(second);
            tokio::select! {
                biased;
                _ = &mut stopped => break,
                () = tokio::time::sleep_until(second.into()) => {
                    let sealed = proxy.seal().await;
                    self.sealed(sealed);
                    second = self.next_seal();
                    shown.send_replace(Arc::new(self.status()));
                }
                Some(event) = heard.recv() => self.happened(event),
                Ok(()) = self.observed.changed() => {
                    self.observed.mark_unchanged();
                    self.observation_due = true;
                }
                Some(proved) = self.proofs.recv(), if self.proved.is_none() => {
                    self.proved = Some(proved);
                }
                () = tokio::time::sleep_until(wake.into()) => {
                    let actions = self.uplink.woken(clock::now());
                    self.act(actions);
                }
            }
            if let Some(away) = self.turning_away.take() {
                proxy.turn_away(away).await;
            }
            self.send();
        }
        self.leave(proxy, heard).await;
        shown.send_replace(Arc::new(self.status()));
    }

    /// When the open window is to be sealed.
    fn next_seal(&self) -> Instant {
        clock::now() + clock::to_next(clock::wall_us(), self.config.window)
    }

    /// When to look again if nothing happens before.
    fn wake_at(&self, second: Instant) -> Instant {
        let backlog = self.line.is_some() && self.spool.pending_at_all() && self.reports_left > 0;
        let backlog = backlog.then(|| clock::now() + BACKLOG_EVERY);
        let observe = (self.line.is_some() && self.observation_due).then_some(self.observe_at);
        [self.uplink.wake_at(), backlog, observe]
            .into_iter()
            .flatten()
            .fold(second, Instant::min)
    }

    /// What inputs were counted, if it is time to tell; a tenth of a window early is in time.
    fn take_inputs(&mut self, now: Instant) -> Vec<InputWindow> {
        let counted = now.saturating_duration_since(self.inputs_since);
        if counted + self.config.window / 10 < self.config.inputs_every {
            return Vec::new();
        }
        self.inputs_since = now;
        self.inputs
            .take(u32::try_from(counted.as_millis()).unwrap_or(u32::MAX))
    }

    /// A window is over.
    fn sealed(&mut self, sealed: Sealed) {
        let now = clock::now();
        let inputs = self.take_inputs(now);
        self.tally.add(&sealed);
        self.in_flight.store(sealed.in_flight, Ordering::Relaxed);
        self.vitals = self.host.as_mut().map(|host| host.vitals(now));
        self.moment_due = true;
        self.reports_left = REPORTS_PER_SECOND;
        // Sequences are sent in order: a sign of life that was not sent by now never is.
        if self.idle.take().is_some() {
            self.sealer.take_back();
        }
        let in_flight = sealed.in_flight;
        let mut window = self
            .sealer
            .seal(sealed.series, in_flight, now, clock::wall_us());
        window.inputs = inputs;
        if window.requests() > 0 || !window.inputs.is_empty() {
            self.spool.append(&window);
        } else {
            self.idle = Some(window);
        }
    }

    fn happened(&mut self, event: Event) {
        let actions = self.uplink.on(event, clock::now());
        self.act(actions);
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Dial { connection, hub } => self.dial(connection, hub),
                Action::HangUp => {
                    self.line = None;
                    self.tell_trouble();
                }
                Action::Resume { durable } => {
                    tracing::info!("the stream to the hub stands");
                    self.told = None;
                    for (boot, durable) in durable {
                        self.spool.forget(boot, durable);
                    }
                    self.spool.rewind();
                    self.moment_due = true;
                    self.observation_due = true;
                }
                Action::Forget { boot, durable } => {
                    tracing::debug!(%boot, durable, "the hub has windows on its disk");
                    self.spool.forget(boot, durable);
                }
                Action::Obey(assignment) => self.obey(*assignment),
                Action::Prove(asked) => {
                    if !self.orders.prove(asked) {
                        tracing::warn!("a replay was not begun: too much is asked at once");
                    }
                }
            }
        }
    }

    /// Once for each kind of trouble: a hub that stays away is one line, not one a second.
    fn tell_trouble(&mut self) {
        let trouble = self.uplink.trouble();
        if trouble.is_some() && trouble != self.told.as_ref() {
            tracing::warn!(?trouble, "no stream to the hub: windows wait");
        }
        self.told = trouble.cloned();
    }

    fn dial(&mut self, connection: u64, hub: usize) {
        let Some(hub) = self.config.hubs.get(hub) else {
            return;
        };
        let boots = self.spool.boots();
        let generation = self.assignment.generation;
        let hello = wire::hello(
            &self.config,
            self.boot,
            generation,
            &boots,
            clock::wall_us(),
        );
        self.line = Some(stream::dial(connection, hub, hello, self.events.clone()));
    }

    /// Keeps an assignment, and has it obeyed. What cannot be kept is not confirmed, so the hub
    /// goes on asking.
    fn obey(&mut self, assignment: Assignment) {
        if let Err(error) = assignment::keep(&self.config.data, &assignment) {
            tracing::error!(%error, "an assignment is not obeyed");
            return;
        }
        let (generation, leave) = (assignment.generation, assignment.leave);
        tracing::info!(generation, leave, reason = assignment.reason, "assigned");
        self.turning_away = Some(assignment.draining);
        self.orders.assigned(assignment.clone());
        self.assignment = assignment;
    }

    /// Tells the hub what the host does, if that has changed and some time has passed. Goes
    /// before reports: a rollout waits for it, and a backlog does not.
    fn observe(&mut self, line: &Line) {
        if !self.observation_due || self.observe_at > clock::now() {
            return;
        }
        if let Some(permit) = line.reserve() {
            permit.send(wire::observation(&self.observed.borrow()));
            self.observation_due = false;
            self.observe_at = clock::now() + OBSERVE_EVERY;
        }
    }

    /// Sends what the stream and this second's allowance take: this boot's windows in order,
    /// then a sign of life, then what earlier boots left.
    fn send(&mut self) {
        if !matches!(self.uplink.state(), State::Up { .. }) {
            return;
        }
        let Some(line) = self.line.take() else {
            return;
        };
        self.observe(&line);
        if let Some(proved) = &self.proved
            && let Some(permit) = line.reserve()
        {
            permit.send(wire::proved(proved));
            self.proved = None;
        }
        while self.reports_left > 0
            && let Some(permit) = line.reserve()
        {
            let idle = if self.spool.pending() {
                None
            } else {
                self.idle.take()
            };
            let Some(mut window) = idle.or_else(|| self.spool.offer()) else {
                break;
            };
            let moment = std::mem::take(&mut self.moment_due).then(|| self.moment());
            if moment.is_some() {
                window.in_flight = self.tally.in_flight();
            }
            permit.send(wire::report(&window, moment.as_ref()));
            self.reports_left -= 1;
        }
        self.line = Some(line);
    }

    fn moment(&self) -> Moment {
        Moment {
            sent_at_us: clock::wall_us(),
            vitals: self.vitals,
            server: Arc::new(report::server(self)),
            losses: self.tally.losses(self.spool.losses()),
            shadows: self.shadows.take(),
            answers: self.shadows.take_answers(),
            callers: self.callers.take(),
        }
    }

    /// The way out.
    async fn leave(&mut self, proxy: Proxy, mut heard: mpsc::Receiver<Event>) {
        let sealed = proxy.drain(DRAIN_LONGEST).await;
        self.inputs.settled().await;
        // Whatever was counted, whether it is time or not.
        self.config.inputs_every = Duration::ZERO;
        self.sealed(sealed);
        self.spool.sync();
        let deadline = clock::now() + DELIVER_LONGEST;
        let last = self.sealer.last();
        loop {
            self.send();
            let delivered = !self.spool.pending()
                && self
                    .uplink
                    .received()
                    .is_some_and(|at| at == (self.boot, last));
            let up = matches!(self.uplink.state(), State::Up { .. });
            if delivered || !up {
                break;
            }
            let soon = clock::now() + BACKLOG_EVERY;
            tokio::select! {
                Some(event) = heard.recv() => self.happened(event),
                () = tokio::time::sleep_until(soon.into()) => {
                    if clock::now() >= deadline {
                        break;
                    }
                }
            }
        }
        self.line = None;
        self.spool.sync();
    }

    fn status(&self) -> Status {
        report::status(self)
    }
}
