//! The agent's own unix socket: what it says of itself, while it runs and without a hub.
//!
//! Promises: only the agent's user may connect (mode 0600); `GET /status` is the status as
//! JSON, `GET /metrics` the same in Prometheus' text; a bounded number of callers, none of
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
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};

pub use self::ask::{AskError, ask};
use crate::status::Status;

/// Callers at once: a scraper, a few people, and room for what they forget to close.
const CALLERS_MOST: usize = 16;
/// For a caller's request: it is one line.
const HEAD_LONGEST: Duration = Duration::from_secs(5);
/// A caller may keep a connection that long: scrapers come back, the forgetful do not.
const CALL_LONGEST: Duration = Duration::from_secs(300);
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
    pub async fn serve(self, status: watch::Receiver<Arc<Status>>) {
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
            let status = status.clone();
            tokio::spawn(async move {
                let answer = service_fn(move |request: Request<Incoming>| {
                    let answer = answer(&request, &status.borrow());
                    async move { Ok::<_, std::convert::Infallible>(answer) }
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

fn answer(request: &Request<Incoming>, status: &Status) -> Response<Full<Bytes>> {
    if request.method() != Method::GET {
        return error(StatusCode::METHOD_NOT_ALLOWED, "only GET is answered here");
    }
    match request.uri().path() {
        "/status" => {
            let json = serde_json::to_vec(status).expect("a status is plain data");
            body(StatusCode::OK, "application/json", json)
        }
        "/metrics" => {
            let text = metrics::text(status).into_bytes();
            body(
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
    body(status, "application/json", json.into_bytes())
}

fn body(status: StatusCode, kind: &'static str, bytes: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(bytes)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
