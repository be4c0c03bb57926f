//! Small web servers of the harness: one that stands between an agent and its inference server
//! and makes one version fail, and one that takes letters and keeps them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

type Answer = Response<Full<Bytes>>;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn answer(status: StatusCode, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer
}

/// Passes everything on to an inference server; inferences of one version fail while it is told to.
pub struct Faulty {
    address: SocketAddr,
    is_failing: Arc<AtomicBool>,
    failed: Arc<AtomicU64>,
    _runtime: Runtime,
}

impl Faulty {
    /// Stands before `server`, and fails inferences whose path ends as `path` does.
    pub fn start(server: SocketAddr, path: &str) -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let (is_failing, failed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (told, count, path) = (is_failing.clone(), failed.clone(), path.to_owned());
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (told, count, path) = (told.clone(), count.clone(), path.clone());
                tokio::spawn(async move {
                    let Ok(far) = dial(server).await else {
                        return;
                    };
                    let far = Arc::new(tokio::sync::Mutex::new(far));
                    let serve = service_fn(move |request: Request<Incoming>| {
                        let is_bad =
                            told.load(Ordering::Relaxed) && request.uri().path().ends_with(&path);
                        count.fetch_add(u64::from(is_bad), Ordering::Relaxed);
                        let far = far.clone();
                        async move { pass(request, is_bad, &far).await }
                    });
                    let connection =
                        server::Builder::new().serve_connection(TokioIo::new(near), serve);
                    // Whichever side ends it ends it.
                    let _ = connection.await;
                });
            }
        });
        Self {
            address,
            is_failing,
            failed,
            _runtime: runtime,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the version fails, or does not.
    pub fn fail(&self, is_failing: bool) {
        self.is_failing.store(is_failing, Ordering::Relaxed);
    }

    /// Inferences that it failed.
    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }
}

async fn dial(server: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(server).await;
    let stream = stream.map_err(|error| error.to_string())?;
    stream
        .set_nodelay(true)
        .map_err(|error| error.to_string())?;
    let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
    let (send, connection) = shaken.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    Ok(send)
}

/// Passes a request on, or fails it. Where the server is gone, so is this connection.
async fn pass(
    request: Request<Incoming>,
    is_bad: bool,
    far: &tokio::sync::Mutex<SendRequest<Full<Bytes>>>,
) -> Result<Answer, String> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?;
    if is_bad {
        let why = r#"{"error":"the version has run into a bug"}"#;
        return Ok(answer(StatusCode::INTERNAL_SERVER_ERROR, why));
    }
    let request = Request::from_parts(parts, Full::new(body.to_bytes()));
    let mut far = far.lock().await;
    far.ready().await.map_err(|error| error.to_string())?;
    let answered = far.send_request(request).await;
    let (parts, body) = answered.map_err(|error| error.to_string())?.into_parts();
    let body = body.collect().await.map_err(|error| error.to_string())?;
    Ok(Response::from_parts(parts, Full::new(body.to_bytes())))
}

/// A letter as it came.
#[derive(Clone, Debug)]
pub struct Taken {
    /// To which path.
    pub path: String,
    /// What it is known by.
    pub delivery: String,
    /// What it says.
    pub body: Value,
    /// How it was answered.
    pub status: u16,
}

/// Takes letters and keeps them.
pub struct Mailbox {
    address: SocketAddr,
    status: Arc<Mutex<StatusCode>>,
    taken: Arc<Mutex<Vec<Taken>>>,
    _runtime: Runtime,
}

impl Mailbox {
    /// Listens, and takes what comes.
    pub fn start() -> Self {
        let runtime = runtime();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let status = Arc::new(Mutex::new(StatusCode::OK));
        let taken = Arc::<Mutex<Vec<Taken>>>::default();
        let (says, keeps) = (status.clone(), taken.clone());
        runtime.spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (says, keeps) = (says.clone(), keeps.clone());
                tokio::spawn(async move {
                    let serve = service_fn(move |request: Request<Incoming>| {
                        let (says, keeps) = (says.clone(), keeps.clone());
                        async move { Ok::<_, Infallible>(take(request, &says, &keeps).await) }
                    });
                    let connection =
                        server::Builder::new().serve_connection(TokioIo::new(near), serve);
                    let _ = connection.await;
                });
            }
        });
        Self {
            address,
            status,
            taken,
            _runtime: runtime,
        }
    }

    /// Where a path of it is.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// How it answers from now on.
    pub fn answers(&self, status: u16) {
        *self.status.lock().unwrap() = StatusCode::from_u16(status).unwrap();
    }

    /// What came to a path, in order.
    pub fn at(&self, path: &str) -> Vec<Taken> {
        let taken = self.taken.lock().unwrap();
        let at = taken.iter().filter(|letter| letter.path == path);
        at.cloned().collect()
    }
}

async fn take(
    request: Request<Incoming>,
    says: &Mutex<StatusCode>,
    keeps: &Mutex<Vec<Taken>>,
) -> Answer {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes());
    let status = *says.lock().unwrap();
    let delivery = parts.headers.get("x-binnacle-delivery");
    keeps.lock().unwrap().push(Taken {
        path: parts.uri.path().to_owned(),
        delivery: delivery.map_or(String::new(), |it| it.to_str().unwrap().to_owned()),
        body: serde_json::from_slice(&body.unwrap_or_default()).unwrap_or_default(),
        status: status.as_u16(),
    });
    answer(status, "{}")
}
