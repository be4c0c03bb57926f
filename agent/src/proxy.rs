//! The request path: applications connect here as if to the inference server, and every
//! request is forwarded to it, measured and counted.
//!
//! Promises: what is not understood is forwarded unchanged; each inference request is counted
//! exactly once, however it ends; nothing on the way of a request waits for anything but the
//! upstream, takes a lock, or grows without a named limit. Workers are threads with a
//! single-threaded runtime each; they share no state that is written.
//!
//! Leaves to others: which names the server lists ([`Known`] is told), what becomes of sealed
//! windows, and when to drain.

mod answer;
mod connection;
mod grpc;
mod headers;
mod http;
mod link;
mod log;
mod message;
pub mod mirror;
mod relay;
mod route;
pub mod routes;
mod splice;
pub mod tap;
mod ticket;
mod worker;

use std::{
    collections::HashSet,
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    num::NonZeroUsize,
    path::PathBuf,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    thread::JoinHandle,
    time::Duration,
};

use arc_swap::ArcSwap;
use binnacle_sketch::Latency;
use tokio::sync::{mpsc, oneshot};

pub(crate) use self::route::escape;
use self::{log::RequestLog, mirror::Mirror, routes::Routes, tap::Tap, worker::Order};
use crate::callers::Callers;
use crate::window::{self, Sealed};

/// Orders to one worker that may wait: one seal a second, one drain ever.
const ORDERS: usize = 16;

/// How long the kernel queues connections that no worker has accepted yet.
const BACKLOG: i32 = 1024;

/// How the proxy is to work.
#[derive(Debug)]
pub struct Settings {
    /// Where applications connect: one for each worker, or fewer to be shared. See [`bind`].
    pub listeners: Vec<TcpListener>,
    /// Where HTTP requests go.
    pub upstream: Upstream,
    /// Where gRPC requests go: the same address where the server takes both on one port.
    pub grpc_upstream: Upstream,
    /// Threads that serve requests.
    pub workers: NonZeroUsize,
    /// How long the upstream may be silent, while the application waits for it.
    pub upstream_timeout: Duration,
    /// A file that gets a line of JSON for each inference request.
    pub request_log: Option<PathBuf>,
    /// Copies of some request bodies, for whoever looks at features.
    pub tap: Option<Tap>,
    /// Which version a request for an endpoint goes to.
    pub routes: Routes,
    /// Where copies of routed requests go, for shadows and replays.
    pub mirror: Option<Mirror>,
    /// Where callers of endpoints are counted.
    pub callers: Option<Callers>,
    /// The header that names a caller, in small letters; without it the address does.
    pub caller_header: Option<Box<str>>,
}

impl Settings {
    /// One worker, 30 s, no log, no tap and no route; gRPC goes where HTTP goes.
    pub fn new(listeners: Vec<TcpListener>, upstream: Upstream) -> Self {
        Self {
            listeners,
            grpc_upstream: upstream.clone(),
            upstream,
            workers: NonZeroUsize::MIN,
            upstream_timeout: Duration::from_secs(30),
            request_log: None,
            tap: None,
            routes: Routes::default(),
            mirror: None,
            callers: None,
            caller_header: None,
        }
    }
}

/// The inference server's address, out of `http://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    authority: Arc<str>,
}

/// Why the proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// Not `http://host:port`.
    #[error("upstream {0:?} is not http://host:port: name the inference server like that")]
    Upstream(String),
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {address}: choose an address of this machine that is free")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No listener was given.
    #[error("the proxy has no listener: give it an address, or a socket from systemd")]
    NoListener,
    /// A listener cannot be shared between workers.
    #[error("cannot share a listening socket between workers: raise the limit on open files")]
    Share(#[source] io::Error),
    /// The request log cannot be written.
    #[error("cannot open the request log {path}: check the folder and its permissions")]
    Log {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A thread cannot be started.
    #[error("cannot start a proxy worker: raise the limits on threads and open files")]
    Worker(#[source] io::Error),
}

impl FromStr for Upstream {
    type Err = ProxyError;

    fn from_str(text: &str) -> Result<Self, ProxyError> {
        let refused = || ProxyError::Upstream(text.to_owned());
        let uri: ::http::Uri = text.parse().map_err(|_| refused())?;
        let authority = uri.authority().ok_or_else(refused)?;
        let bare = uri.path() == "/" && uri.query().is_none();
        let plain = uri.scheme_str() == Some("http");
        let userless = !authority.as_str().contains('@');
        if !(bare && plain && userless) || authority.port_u16().is_none() {
            return Err(refused());
        }
        Ok(Self {
            authority: authority.as_str().into(),
        })
    }
}

impl Upstream {
    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl std::fmt::Display for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

/// The models and versions that the inference server lists. Whoever asks the server
/// [`replace`](Known::replace)s them; the proxy reads them when it meets a new name.
#[derive(Clone, Debug, Default)]
pub struct Known(Arc<ArcSwap<Listed>>);

/// Models and versions.
type Listed = HashSet<(Arc<str>, Arc<str>)>;

impl Known {
    /// Takes the place of everything listed before. A model is known without a version, too.
    pub fn replace(&self, listed: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) {
        let mut names = HashSet::new();
        for (model, version) in listed {
            names.insert((model.clone(), "".into()));
            names.insert((model, version));
        }
        self.0.store(Arc::new(names));
    }

    /// Whether the server lists this version, or with an empty version this model.
    pub fn lists(&self, model: &str, version: &str) -> bool {
        self.0.load().contains(&(model.into(), version.into()))
    }
}

/// Listening sockets on one address, one for each worker, so that the kernel spreads
/// connections over them. Port 0 chooses a free port.
pub fn bind(address: SocketAddr, workers: NonZeroUsize) -> Result<Vec<TcpListener>, ProxyError> {
    let listen = |address: SocketAddr| -> io::Result<TcpListener> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if workers.get() > 1 {
            socket.set_reuse_port(true)?;
        }
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    let refused = |source| ProxyError::Listen { address, source };
    let first = listen(address).map_err(refused)?;
    let chosen = first.local_addr().map_err(refused)?;
    let mut listeners = vec![first];
    for _ in 1..workers.get() {
        listeners.push(listen(chosen).map_err(refused)?);
    }
    Ok(listeners)
}

/// A proxy that runs. Dropping it stops it without draining.
pub struct Proxy {
    local_addr: SocketAddr,
    workers: Vec<Hand>,
    log: Option<RequestLog>,
    tap: Option<Tap>,
}

/// What is held of one worker.
struct Hand {
    orders: mpsc::Sender<Order>,
    thread: Option<JoinHandle<()>>,
    /// Cleared histograms on their way back. Only the sealer touches it, never a request.
    spares: Mutex<Vec<Latency<u32>>>,
}

impl Proxy {
    /// Starts the workers. Connections are accepted when this returns.
    pub fn start(settings: Settings, known: Known) -> Result<Self, ProxyError> {
        let first = settings.listeners.first().ok_or(ProxyError::NoListener)?;
        let local_addr = first.local_addr().map_err(ProxyError::Share)?;
        let log = match &settings.request_log {
            Some(path) => Some(RequestLog::open(path)?),
            None => None,
        };
        let mut workers = Vec::new();
        for index in 0..settings.workers.get() {
            let (orders, inbox) = mpsc::channel(ORDERS);
            let plan = worker::Plan {
                index,
                listeners: share(&settings.listeners, settings.workers, index)?,
                upstream: settings.upstream.clone(),
                grpc_upstream: settings.grpc_upstream.clone(),
                upstream_timeout: settings.upstream_timeout,
                connections: worker::MAX_CONNECTIONS / settings.workers.get(),
                known: known.clone(),
                log: log.as_ref().map(RequestLog::writer),
                tap: settings.tap.clone(),
                routes: settings.routes.clone(),
                mirror: settings.mirror.clone(),
                callers: settings.callers.clone(),
                caller_header: settings.caller_header.clone(),
            };
            workers.push(Hand {
                orders,
                thread: Some(worker::start(plan, inbox)?),
                spares: Mutex::default(),
            });
        }
        Ok(Self {
            local_addr,
            workers,
            log,
            tap: settings.tap,
        })
    }

    /// Where applications connect.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Closes the open window of every worker, opens the next, and returns the closed ones
    /// added together.
    pub async fn seal(&self) -> Sealed {
        let mut replies = Vec::new();
        for hand in &self.workers {
            let spares = std::mem::take(&mut *lock(&hand.spares));
            let (reply, taken) = oneshot::channel();
            if hand
                .orders
                .send(Order::Seal { spares, reply })
                .await
                .is_ok()
            {
                replies.push(taken);
            }
        }
        self.gather(replies).await
    }

    /// Turns load balancers away, or no longer: `/v2/health/ready` answers 503, idle connections
    /// are closed, those that are used end with their next answer. Requests are served on.
    pub async fn turn_away(&self, away: bool) {
        for hand in &self.workers {
            // A worker that has ended turns everybody away.
            let _ = hand.orders.send(Order::TurnAway(away)).await;
        }
    }

    /// Stops accepting, answers 503 to `/v2/health/ready`, lets what is in flight end for at
    /// most `limit`, and returns the last window. What has not ended by then is cut off and
    /// counted as it stands.
    pub async fn drain(mut self, limit: Duration) -> Sealed {
        let mut replies = Vec::new();
        for hand in &self.workers {
            let (reply, taken) = oneshot::channel();
            if hand
                .orders
                .send(Order::Drain { limit, reply })
                .await
                .is_ok()
            {
                replies.push(taken);
            }
        }
        let sealed = self.gather(replies).await;
        for hand in &mut self.workers {
            if let Some(thread) = hand.thread.take() {
                // It has sent its last window, so it is ending: nothing is waited for.
                let _ = thread.join();
            }
        }
        if let Some(log) = self.log.take() {
            log.close();
        }
        sealed
    }

    async fn gather(&self, replies: Vec<oneshot::Receiver<window::TakenWindow>>) -> Sealed {
        let mut windows = Vec::new();
        for reply in replies {
            match reply.await {
                Ok(window) => windows.push(window),
                Err(_) => tracing::error!("a proxy worker ended: what it had open is lost"),
            }
        }
        let (mut sealed, spares) = window::combine(windows);
        let each = spares.len().div_ceil(self.workers.len().max(1));
        let mut spares = spares.into_iter();
        for hand in &self.workers {
            lock(&hand.spares).extend(spares.by_ref().take(each));
        }
        let dropped = self.log.as_ref().map(RequestLog::dropped);
        sealed.log_lines_dropped = dropped.map_or(0, |dropped| dropped.load(Ordering::Relaxed));
        sealed.tap_bodies_dropped = self.tap.as_ref().map_or(0, Tap::dropped);
        sealed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The listeners of one worker: its own where there are enough, else all of them, duplicated.
fn share(
    listeners: &[TcpListener],
    workers: NonZeroUsize,
    index: usize,
) -> Result<Vec<TcpListener>, ProxyError> {
    let own = |at: usize| listeners.len() < workers.get() || at % workers == index;
    listeners
        .iter()
        .enumerate()
        .filter(|(at, _)| own(*at))
        .map(|(_, listener)| listener.try_clone().map_err(ProxyError::Share))
        .collect()
}

/// Resolves an upstream each time it is dialled, so that a name that moves is followed.
pub(crate) async fn resolve(upstream: &Upstream) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = upstream.authority().parse::<SocketAddr>() {
        return Ok(vec![address]);
    }
    let authority = upstream.authority().to_owned();
    tokio::task::spawn_blocking(move || Ok(authority.to_socket_addrs()?.collect()))
        .await
        .map_err(io::Error::other)?
}
