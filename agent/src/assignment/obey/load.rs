//! Loading a version: placed in the server's repository, loaded, warmed up, its golden requests
//! answered; and what memory that took.

use std::path::PathBuf;
use std::time::Duration;

use super::job::{Teller, ask, read_golden};
use crate::artifact::{Digest, Shelf};
use crate::assignment::Artifact;
use crate::assignment::observed::{Golden, Phase};
use crate::proxy::Upstream;
use crate::proxy::routes::Placed;
use crate::server::loader::{LoadError, Loader};
use crate::{clock, host};

/// A version that serves.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) load: Duration,
    pub(super) warm: Duration,
    pub(super) golden: Golden,
    /// Its bytes were verified on their way into the repository.
    pub(super) verified: bool,
    /// Bytes of memory that the server grew by, where that is known.
    pub(super) grew: Option<u64>,
}

/// What a load needs.
pub(super) struct Load {
    pub(super) loader: Loader,
    /// The server, to see what it takes.
    pub(super) server: Upstream,
    pub(super) shelf: Shelf,
    pub(super) repository: Option<PathBuf>,
    pub(super) names: Placed,
    pub(super) there: bool,
    pub(super) artifact: Option<Artifact>,
    pub(super) golden: Option<Digest>,
}

impl Load {
    pub(super) async fn run(mut self, teller: &Teller) -> Result<Loaded, LoadError> {
        let since = clock::now();
        let serves = self.loader.is_ready(&self.names).await.is_ok();
        // One that was found serving is taken as it is; one of ours only with the same bytes.
        let keeps = serves && (self.there || self.artifact.is_none());
        let mut verified = false;
        let before = match keeps {
            true => None,
            false => self.server_memory().await,
        };
        if !keeps {
            if let Some(artifact) = self.artifact.clone() {
                self = self.place(artifact).await?;
                verified = true;
            }
            self.loader.load(&self.names).await?;
        }
        let loaded = clock::now();
        teller.say(Phase::Warming, 0);
        let golden = match self.try_out().await {
            Ok(golden) => golden,
            Err(error) => {
                // What does not answer as it should is not left where somebody might ask it.
                if verified && let Err(error) = self.loader.unload(&self.names).await {
                    tracing::warn!(%error, "a version that failed stays loaded");
                }
                return Err(error);
            }
        };
        let warm = clock::now().saturating_duration_since(loaded);
        let after = match before {
            Some(_) => self.server_memory().await,
            None => None,
        };
        Ok(Loaded {
            load: loaded.saturating_duration_since(since),
            warm,
            golden,
            verified,
            grew: before
                .zip(after)
                .map(|(before, after)| after.saturating_sub(before)),
        })
    }

    /// Bytes that the server has in memory.
    async fn server_memory(&self) -> Option<u64> {
        let authority = self.server.authority().to_owned();
        let read = tokio::task::spawn_blocking(move || host::server_memory(&authority));
        read.await.ok().flatten()
    }

    /// Its first requests, golden ones among them.
    async fn try_out(&mut self) -> Result<Golden, LoadError> {
        self.loader.warm_up(&self.names).await?;
        match &self.golden {
            Some(digest) => {
                let requests = read_golden(&self.shelf, digest).await;
                let requests = requests.map_err(LoadError::Server)?;
                let (golden, fault) = ask(&mut self.loader, &self.names, &requests).await;
                if let Some(fault) = fault {
                    let (passed, total) = (golden.passed, golden.total);
                    let words = format!("{passed} of {total} golden requests answered: {fault}");
                    return Err(LoadError::Server(words));
                }
                Ok(golden)
            }
            None => Ok(Golden::default()),
        }
    }

    async fn place(self, artifact: Artifact) -> Result<Self, LoadError> {
        let placing = tokio::task::spawn_blocking(move || {
            let repository = self.repository.as_deref().ok_or(LoadError::NoRepository)?;
            let (digest, format) = (&artifact.digest, &artifact.format);
            self.loader
                .place(&self.shelf, digest, repository, &self.names, format)?;
            Ok(self)
        });
        placing.await.map_err(|_| LoadError::Interrupted)?
    }
}
