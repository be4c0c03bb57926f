//! Asking a running agent over its control socket, for `binnacle-agent status` and `rollback`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;

use crate::assignment::standing::Rollback;

/// For the whole answer: the agent is on this machine.
const ANSWER_LONGEST: Duration = Duration::from_secs(5);
/// Bytes of an answer: a status with every version of a large repository.
const ANSWER_MOST: usize = 4 << 20;

/// Why an agent did not answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// There is no socket.
    #[error("no agent has its socket at {0}: name it with --control or --data")]
    NotFound(PathBuf),
    /// There is one, and nobody answers.
    #[error("the agent at {path} does not answer: is it running, and are you its user?")]
    Unreachable {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It will not do that, in its words.
    #[error("{0}")]
    Refused(String),
}

/// What the agent at `control` answers to `GET path`.
pub async fn ask(control: &Path, path: &str) -> Result<Bytes, AskError> {
    let request = Request::get(path).body(Full::default());
    put(control, request.expect("paths are constants")).await
}

/// Has the agent at `control` roll an endpoint back; what it decided, as JSON.
pub async fn roll_back(control: &Path, asked: &Rollback) -> Result<Bytes, AskError> {
    let body = serde_json::to_vec(asked).expect("it is plain data");
    let request = Request::post("/rollback").body(Full::from(body));
    put(control, request.expect("the path is a constant")).await
}

async fn put(control: &Path, request: Request<Full<Bytes>>) -> Result<Bytes, AskError> {
    let asked = tokio::time::timeout(ANSWER_LONGEST, exchange(control, request)).await;
    let (status, body) = failed(control, asked)?;
    if status == StatusCode::OK {
        return Ok(body);
    }
    #[derive(Deserialize)]
    struct Words {
        error: String,
    }
    let words = serde_json::from_slice(&body).map_or_else(
        |_| format!("the agent answered HTTP {}", status.as_u16()),
        |words: Words| words.error,
    );
    Err(AskError::Refused(words))
}

type Exchanged = Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>>;

fn failed(
    control: &Path,
    asked: Result<Exchanged, tokio::time::error::Elapsed>,
) -> Result<(StatusCode, Bytes), AskError> {
    let asked = asked.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    asked.map_err(
        |source| match source.downcast_ref::<io::Error>().map(io::Error::kind) {
            Some(io::ErrorKind::NotFound) => AskError::NotFound(control.to_owned()),
            Some(_) | None => AskError::Unreachable {
                path: control.to_owned(),
                source,
            },
        },
    )
}

async fn exchange(control: &Path, mut request: Request<Full<Bytes>>) -> Exchanged {
    let stream = UnixStream::connect(control).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let host = http::HeaderValue::from_static("agent");
    request.headers_mut().insert(http::header::HOST, host);
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_MOST)
        .collect()
        .await?
        .to_bytes();
    connection.abort();
    Ok((status, body))
}
