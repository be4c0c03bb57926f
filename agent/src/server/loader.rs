//! What the agent does to an inference server: place a version in its repository, have it loaded
//! and unloaded, warm it up, ask it golden requests.
//!
//! Promises: a version counts as loaded only when it says so itself *and* has inferred, whatever
//! an index or the answer to a load says; one counts as unloaded only when it no longer says
//! that it is ready. Waiting is bounded, and says what it waited for.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};

use super::dialect::{Content, Dialect, Kind, NoLayout};
use super::open_inference::{OpenInference, Unanswered, path};
use crate::artifact::{ArtifactError, Digest, Shelf, write_whole};
use crate::clock;
use crate::golden::GoldenRequest;
use crate::proxy::Upstream;
use crate::proxy::routes::Placed;

/// For a load's answer: a large model is read and compiled before it comes.
const LOAD_LONGEST: Duration = Duration::from_secs(600);
/// Between looks at a version that is on its way.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// A load is asked again where it answered and nothing serves: Triton forgets one that came
/// while it was still unloading.
const ASK_AGAIN: Duration = Duration::from_secs(5);
/// From a load's answer to the version's being ready.
const READY_LONGEST: Duration = Duration::from_secs(120);
/// For an unload, which waits for the server's last requests.
const UNLOAD_LONGEST: Duration = Duration::from_secs(60);
/// For an answer to a question that is no inference.
const ANSWER_LONGEST: Duration = Duration::from_secs(5);
/// For one inference of a warm-up: the first may compile.
const WARM_LONGEST: Duration = Duration::from_secs(60);
/// Inferences of a warm-up: the first two are slower with every server that was tried.
const WARM_UPS: u32 = 3;

/// The way to a server, for one piece of work.
#[derive(Debug)]
pub struct Loader {
    server: OpenInference,
    dialect: &'static dyn Dialect,
}

/// Why a version does not serve.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It cannot be laid out for this server.
    #[error(transparent)]
    Layout(#[from] NoLayout),
    /// Nothing says where the server's repository is.
    #[error(
        "the agent does not know the server's repository: set `repository` in its configuration"
    )]
    NoRepository,
    /// The files could not be put there.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The server did not do what it was asked, in its words.
    #[error("{0}")]
    Server(String),
    /// The work was given up.
    #[error("the work was interrupted")]
    Interrupted,
}

impl Loader {
    /// The way to the server at `upstream`.
    pub fn new(upstream: &Upstream, kind: Kind) -> Self {
        Self {
            server: OpenInference::new(upstream.authority()),
            dialect: kind.dialect(),
        }
    }

    /// Lays a version out in the server's repository; its bytes are verified on the way.
    pub fn place(
        &self,
        shelf: &Shelf,
        digest: &Digest,
        repository: &Path,
        placed: &Placed,
        format: &str,
    ) -> Result<(), LoadError> {
        for file in self.dialect.layout(placed, format)? {
            let to = repository.join(&file.path);
            match file.content {
                Content::Artifact => shelf.place(digest, &to)?,
                Content::Text(text) => write_whole(&to, text.as_bytes())?,
            }
        }
        Ok(())
    }

    /// Takes a version out of the repository again.
    pub fn remove(&self, repository: &Path, placed: &Placed) {
        let folder: PathBuf = repository.join(self.dialect.folder(placed));
        match fs::remove_dir_all(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(%error, folder = %folder.display(), "a version's files stay");
            }
        }
    }

    /// Whether a version says that it is ready.
    pub async fn is_ready(&mut self, placed: &Placed) -> Result<(), String> {
        let path = path(&placed.upstream_model, &placed.upstream_version, "/ready");
        let asked = self
            .server
            .ask(Method::GET, &path, Bytes::new(), ANSWER_LONGEST);
        match asked.await {
            Ok(answer) if answer.status == StatusCode::OK => Ok(()),
            Ok(answer) => Err(format!("not ready: {}", answer.told())),
            Err(unanswered) => Err(unanswered.to_string()),
        }
    }

    /// Has the server load a version, and waits until it says that it is ready.
    pub async fn load(&mut self, placed: &Placed) -> Result<(), LoadError> {
        if !self.dialect.abilities().loads {
            return Err(NoLayout::Unable.into());
        }
        self.ask_to_load(placed).await?;
        let (began, mut asked) = (clock::now(), clock::now());
        loop {
            let why = match self.is_ready(placed).await {
                Ok(()) => return Ok(()),
                Err(why) => why,
            };
            let now = clock::now();
            if now.saturating_duration_since(began) >= READY_LONGEST {
                return Err(LoadError::Server(format!(
                    "the server loaded it, and it is {why}"
                )));
            }
            if now.saturating_duration_since(asked) >= ASK_AGAIN {
                asked = now;
                self.ask_to_load(placed).await?;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn ask_to_load(&mut self, placed: &Placed) -> Result<(), LoadError> {
        let asking = self.dialect.load(placed);
        let body = Bytes::from(asking.body);
        let asked = self
            .server
            .ask(Method::POST, &asking.path, body, LOAD_LONGEST);
        match asked.await {
            Ok(answer) if answer.status.is_success() => Ok(()),
            Ok(answer) => Err(LoadError::Server(format!("load: {}", answer.told()))),
            Err(unanswered) => Err(LoadError::Server(format!("load: {unanswered}"))),
        }
    }

    /// Has the server unload a version, and waits until it is no longer ready.
    pub async fn unload(&mut self, placed: &Placed) -> Result<(), LoadError> {
        let asking = self.dialect.unload(placed);
        let body = Bytes::from(asking.body);
        let asked = self
            .server
            .ask(Method::POST, &asking.path, body, UNLOAD_LONGEST);
        match asked.await {
            // Not there any more is what was wanted.
            Ok(answer) if answer.status.is_success() || answer.status.is_client_error() => {}
            Ok(answer) => return Err(LoadError::Server(format!("unload: {}", answer.told()))),
            // A server that is gone has nothing loaded.
            Err(Unanswered::NoConnection(_)) => return Ok(()),
            Err(unanswered @ (Unanswered::Late(_) | Unanswered::Garbled(_))) => {
                return Err(LoadError::Server(format!("unload: {unanswered}")));
            }
        }
        let began = clock::now();
        while self.is_ready(placed).await.is_ok() {
            if clock::now().saturating_duration_since(began) >= UNLOAD_LONGEST {
                let words = "unload: the server agreed, and the version is still ready";
                return Err(LoadError::Server(words.into()));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// Lets a version infer a few times from zeros. A model may refuse zeros and yet be well;
    /// one that fails, or does not answer, is not.
    pub async fn warm_up(&mut self, placed: &Placed) -> Result<(), LoadError> {
        let (model, version) = (&placed.upstream_model, &placed.upstream_version);
        let metadata = self.server.metadata(model, version, ANSWER_LONGEST).await;
        let Ok(body) = metadata.and_then(|metadata| metadata.probe()) else {
            // Some servers do not know what their models take.
            return Ok(());
        };
        for _ in 0..WARM_UPS {
            let path = path(model, version, "/infer");
            let asked = self
                .server
                .ask(Method::POST, &path, body.clone(), WARM_LONGEST);
            match asked.await {
                Ok(answer) if answer.status.is_success() => {}
                Ok(answer) if answer.status.is_client_error() && !is_missing(answer.status) => {}
                Ok(answer) => {
                    return Err(LoadError::Server(format!("warm-up: {}", answer.told())));
                }
                Err(unanswered) => {
                    return Err(LoadError::Server(format!("warm-up: {unanswered}")));
                }
            }
        }
        Ok(())
    }

    /// Asks a version its golden requests: how many were answered as they should be, and what
    /// was wrong with the first that was not.
    pub async fn golden(
        &mut self,
        placed: &Placed,
        requests: &[GoldenRequest],
    ) -> (u32, Option<String>) {
        let (mut passed, mut first) = (0, None);
        let path = path(&placed.upstream_model, &placed.upstream_version, "/infer");
        for (at, golden) in requests.iter().enumerate() {
            let body = golden.request.clone();
            let asked = self.server.ask(Method::POST, &path, body, WARM_LONGEST);
            let fault = match asked.await {
                Ok(answer) if answer.status.is_success() => golden.fault(&answer.body),
                Ok(answer) => Some(answer.told()),
                Err(unanswered) => Some(unanswered.to_string()),
            };
            match fault {
                None => passed += 1,
                Some(fault) => {
                    first.get_or_insert(format!("golden request {}: {fault}", at + 1));
                }
            }
        }
        (passed, first)
    }
}

fn is_missing(status: StatusCode) -> bool {
    status == StatusCode::NOT_FOUND
}
