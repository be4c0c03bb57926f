//! The agent's own unix socket: what it says of itself, while it runs and without a hub.
//!
//! Promises: only the agent's user may connect (mode 0600); `GET /status` is the status as
//! JSON, `GET /metrics` the same in Prometheus' text, `POST /rollback` takes an endpoint back; a
//! bounded number of callers, none of
//! whom holds up the agent. A socket left behind by an agent that died is replaced; that of
//! one that lives is not.

mod ask;
mod metrics;

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

pub use self::ask::{AskError, ask, roll_back};
use crate::assignment::obey::Orders;
use crate::assignment::standing::{NoRollback, Rollback};
use crate::status::Status;

/// Callers at once: a scraper, a few people, and room for what they forget to close.
const CALLERS_MOST: usize = 16;
/// For a caller's request: it is one line.
const HEAD_LONGEST: Duration = Duration::from_secs(5);
/// A caller may keep a connection that long: scrapers come back, the forgetful do not.
const CALL_LONGEST: Duration = Duration::from_secs(300);
/// Bytes of a caller's order: an endpoint, a version, and a reason of some lines.
const ORDER_MOST: usize = 16 << 10;
/// After the system refused a caller, for want of descriptors mostly.
const REFUSED_WAIT: Duration = Duration::from_millis(100);

/// Why there is no control socket.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// An agent answers there.
    #[error("another agent listens on {0}: stop it, or choose another --control")]
    InUse(PathBuf),
    /// The socket cannot be made.
    #[error("cannot listen on {path}: check the folder and its permissions")]
    Listen {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The socket, which is removed when this is dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    listener: UnixListener,
}

impl Drop for Control {
    fn drop(&mut self) {
        // An agent started since may have put its own there; then it is not ours to remove,
        // and it cannot be: ours answered until now.
        let _ = fs::remove_file(&self.path);
    }
}

impl Control {
    /// Listens at `path`.
    pub async fn bind(path: &Path) -> Result<Self, ControlError> {
        let refused = |source| ControlError::Listen {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(refused)?;
        }
        match UnixStream::connect(path).await {
            Ok(_) => return Err(ControlError::InUse(path.to_owned())),
            // Reset is what an agent leaves that ends just now.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset
                ) =>
            {
                fs::remove_file(path).map_err(refused)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(error)),
        }
        let listener = UnixListener::bind(path).map_err(refused)?;
        let control = Self {
            path: path.to_owned(),
            listener,
        };
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(refused)?;
        Ok(control)
    }

    /// Answers callers, for ever.
    pub async fn serve(self, status: watch::Receiver<Arc<Status>>, orders: Orders) {
        let places = Arc::new(Semaphore::new(CALLERS_MOST));
        loop {
            let Ok(place) = places.clone().acquire_owned().await else {
                return;
            };
            let stream = match self.listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a caller of the control socket was not accepted");
                    tokio::time::sleep(REFUSED_WAIT).await;
                    continue;
                }
            };
            let caller = Caller {
                status: status.clone(),
                orders: orders.clone(),
                uid: stream.peer_cred().map_or(0, |peer| peer.uid()),
            };
            tokio::spawn(async move {
                let answer = service_fn(move |request: Request<Incoming>| {
                    let caller = caller.clone();
                    async move { Ok::<_, std::convert::Infallible>(caller.answer(request).await) }
                });
                let call = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_LONGEST)
                    .serve_connection(TokioIo::new(stream), answer);
                // A caller that hangs up, or is cut off, has had its answer or wants none.
                let _ = tokio::time::timeout(CALL_LONGEST, call).await;
                drop(place);
            });
        }
    }
}

/// Whoever is on the other side.
#[derive(Clone)]
struct Caller {
    status: watch::Receiver<Arc<Status>>,
    orders: Orders,
    uid: u32,
}

impl Caller {
    async fn answer(self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        if request.method() == Method::POST && request.uri().path() == "/rollback" {
            return self.roll_back(request.into_body()).await;
        }
        let status = self.status.borrow().clone();
        told(&request, &status)
    }

    async fn roll_back(self, body: Incoming) -> Response<Full<Bytes>> {
        let body = Limited::new(body, ORDER_MOST).collect().await;
        let asked = body.ok().map(Collected::to_bytes);
        let asked = asked.and_then(|body| serde_json::from_slice::<Rollback>(&body).ok());
        let Some(mut asked) = asked else {
            return error(StatusCode::BAD_REQUEST, "the body is no rollback");
        };
        // A name that is claimed says more than a number, and the number is what is known.
        asked.who = match asked.who.trim() {
            "" => format!("uid {}", self.uid),
            name => format!("{name} (uid {})", self.uid),
        };
        match self.orders.roll_back(asked).await {
            Some(Ok(decided)) => {
                let json = serde_json::to_vec(&decided).expect("a decision is plain data");
                body_of(StatusCode::OK, "application/json", json)
            }
            Some(Err(refused @ NoRollback::NoEndpoint(_))) => {
                error(StatusCode::NOT_FOUND, &refused.to_string())
            }
            Some(Err(refused)) => error(StatusCode::CONFLICT, &refused.to_string()),
            None => error(StatusCode::SERVICE_UNAVAILABLE, "the agent is stopping"),
        }
    }
}

fn told(request: &Request<Incoming>, status: &Status) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        let words = "only GET, and POST /rollback, are answered here";
        return error(StatusCode::METHOD_NOT_ALLOWED, words);
    }
    match request.uri().path() {
        "/status" => {
            let json = serde_json::to_vec(status).expect("a status is plain data");
            body_of(StatusCode::OK, "application/json", json)
        }
        "/metrics" => {
            let text = metrics::text(status).into_bytes();
            body_of(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                text,
            )
        }
        _ => error(StatusCode::NOT_FOUND, "there are /status and /metrics"),
    }
}

fn error(status: StatusCode, words: &str) -> Response<Full<Bytes>> {
    let json = serde_json::json!({ "error": words }).to_string();
    body_of(status, "application/json", json.into_bytes())
}

fn body_of(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
