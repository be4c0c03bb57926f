//! The whole server: two listeners, the models behind them, and a clean end.
//!
//! [`Server::start`] returns when both listeners are bound and what was to be loaded has been,
//! well or badly; health answers from the first moment. [`Server::stop`] takes no new requests,
//! lets those in flight end within [`DRAIN_MAX`], and returns.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use open_inference::proto::grpc_inference_service_server::GrpcInferenceServiceServer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::BODY_MAX_BYTES;
use crate::engine::{Engine, EngineError};
use crate::grpc::Grpc;
use crate::http::Http;
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::repository::{Readiness, Repository};

/// Longest wait for requests in flight when the server stops: then they are cut off.
pub const DRAIN_MAX: Duration = Duration::from_secs(25);
/// Most HTTP connections at once; more wait to be accepted.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Longest wait for a request's headers, so that idle half-requests do not hold connections.
const HEADERS_MAX: Duration = Duration::from_secs(30);
/// Pause after a failed accept: it fails for want of file descriptors, and busy trying frees none.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The name under which gRPC's standard health tells about the inference service.
const SERVICE: &str = "inference.GRPCInferenceService";

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder of models.
    pub repository: PathBuf,
    /// Where to listen for HTTP; port 0 takes any.
    pub http: SocketAddr,
    /// Where to listen for gRPC; port 0 takes any.
    pub grpc: SocketAddr,
    /// What to load at the start.
    pub loading: Loading,
}

/// What to load at the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loading {
    /// Every version in the repository.
    Everything,
    /// Nothing: versions are loaded when someone asks.
    OnRequest,
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    http: SocketAddr,
    grpc: SocketAddr,
    repository: Arc<Repository>,
    health: HealthReporter,
    stop: watch::Sender<bool>,
    tasks: [JoinHandle<()>; 2],
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {protocol}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// HTTP or gRPC.
        protocol: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The repository is no folder that can be read.
    #[error("the repository {path} is not a folder that can be read")]
    Repository {
        /// Its path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The inference library does not start.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The models cannot be listed.
    #[error(transparent)]
    Models(#[from] Refusal),
}

impl Server {
    /// Starts a server and loads what its settings say.
    ///
    /// # Errors
    /// When an address is taken or the repository cannot be read. A model that cannot be loaded
    /// is no error: it is in the index, with the reason.
    pub async fn start(settings: Settings, engine: Engine) -> Result<Self, ServerError> {
        if let Err(source) = std::fs::read_dir(&settings.repository) {
            return Err(ServerError::Repository {
                path: settings.repository,
                source,
            });
        }
        let (http_listener, http) = listen(settings.http, "HTTP").await?;
        let (grpc_listener, grpc) = listen(settings.grpc, "gRPC").await?;
        let metrics = Arc::new(Metrics::default());
        let root = settings.repository;
        let repository = Arc::new(Repository::new(root, engine, Arc::clone(&metrics)));
        let (stop, stopping) = watch::channel(false);
        let service = Http {
            repository: Arc::clone(&repository),
            metrics,
        };
        let http_task = tokio::spawn(serve_http(http_listener, service, stopping.clone()));
        let health = HealthReporter::new();
        tell(&health, &repository).await;
        let service = Grpc {
            repository: Arc::clone(&repository),
        };
        let grpc_task = tokio::spawn(serve_grpc(grpc_listener, service, health.clone(), stopping));
        let tasks = [http_task, grpc_task];
        let server = Self {
            http,
            grpc,
            repository,
            health,
            stop,
            tasks,
        };
        match settings.loading {
            Loading::Everything => server.repository.load_all().await?,
            Loading::OnRequest => {}
        }
        server.repository.set_started();
        tell(&server.health, &server.repository).await;
        Ok(server)
    }

    /// Where it listens for HTTP.
    #[must_use]
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Where it listens for gRPC.
    #[must_use]
    pub fn grpc(&self) -> SocketAddr {
        self.grpc
    }

    /// Stops taking requests, waits for those in flight, and ends.
    pub async fn stop(self) {
        self.repository.set_draining();
        tell(&self.health, &self.repository).await;
        self.stop.send_replace(true);
        for mut task in self.tasks {
            if tokio::time::timeout(DRAIN_MAX, &mut task).await.is_err() {
                tracing::warn!(waited = ?DRAIN_MAX, "requests in flight were cut off");
                task.abort();
            }
        }
    }
}

async fn tell(health: &HealthReporter, repository: &Repository) {
    let status = match repository.readiness() {
        Readiness::Ready => ServingStatus::Serving,
        Readiness::NotReady(_) => ServingStatus::NotServing,
    };
    for name in ["", SERVICE] {
        health.set_service_status(name, status).await;
    }
}

async fn listen(
    address: SocketAddr,
    protocol: &'static str,
) -> Result<(TcpListener, SocketAddr), ServerError> {
    let failed = |source| ServerError::Listen {
        address,
        protocol,
        source,
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

async fn serve_http(listener: TcpListener, service: Http, mut stopping: watch::Receiver<bool>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepting = async {
            let place = Arc::clone(&connections).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = accepting => accepted,
            _ = stopping.wait_for(|stop| *stop) => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let watcher = graceful.watcher();
        let service = service.clone();
        tokio::spawn(async move {
            let _place = place;
            serve_connection(stream, service, watcher).await;
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn serve_connection(
    stream: TcpStream,
    service: Http,
    watcher: hyper_util::server::graceful::Watcher,
) {
    // Answers are small and complete: waiting to fill a packet would only delay them.
    let _unset = stream.set_nodelay(true);
    let answer = move |request: http::Request<hyper::body::Incoming>| {
        let service = service.clone();
        async move { service.answer(request).await }
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_MAX);
    builder.http2().timer(TokioTimer::new());
    let service = hyper::service::service_fn(answer);
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(error, "an HTTP connection ended early");
    }
}

async fn serve_grpc(
    listener: TcpListener,
    service: Grpc,
    health: HealthReporter,
    mut stopping: watch::Receiver<bool>,
) {
    let inference = GrpcInferenceServiceServer::new(service)
        .max_decoding_message_size(BODY_MAX_BYTES)
        .max_encoding_message_size(BODY_MAX_BYTES);
    let health = tonic_health::server::HealthService::from_health_reporter(health);
    let health = tonic_health::pb::health_server::HealthServer::new(health);
    let stopped = async move {
        let _sender_gone = stopping.wait_for(|stop| *stop).await;
    };
    let served = tonic::transport::Server::builder()
        .tcp_nodelay(true)
        .add_service(health)
        .add_service(inference)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stopped)
        .await;
    if let Err(error) = served {
        tracing::error!(%error, "the gRPC listener failed");
    }
}
