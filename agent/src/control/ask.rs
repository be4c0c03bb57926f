//! Asking a running agent over its control socket, for `binnacle-agent status`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;

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
}

/// What the agent at `control` answers to `GET path`.
pub async fn ask(control: &Path, path: &str) -> Result<Bytes, AskError> {
    let asked = tokio::time::timeout(ANSWER_LONGEST, exchange(control, path)).await;
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

async fn exchange(
    control: &Path,
    path: &str,
) -> Result<Bytes, Box<dyn std::error::Error + Send + Sync>> {
    let stream = UnixStream::connect(control).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let request = Request::get(path)
        .header("host", "agent")
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_MOST)
        .collect()
        .await?
        .to_bytes();
    connection.abort();
    if status != StatusCode::OK {
        return Err(format!("it answered HTTP {}", status.as_u16()).into());
    }
    Ok(body)
}
