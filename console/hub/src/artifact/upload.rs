//! An upload: bytes are staged, and become a blob when all of them are there.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use binnacle_core::registry::Digest;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::fs;
use tokio::io::AsyncReadExt as _;

use super::{BlobError, Blobs, Claim, cloud, disk};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// An upload that is under way. Dropped before [`Upload::finish`], it can be gone on with.
#[derive(Debug)]
pub struct Upload {
    blobs: Blobs,
    digest: Digest,
    staging: Option<Staging>,
    announced: u64,
    written: u64,
}

/// A staged file and the right to write it. They go to the thread that writes, so that a write
/// that nobody waits for any more has ended before somebody else may begin one.
#[derive(Debug)]
struct Staging {
    file: File,
    _claim: Claim,
}

impl Upload {
    pub(super) fn of(blobs: &Blobs, claim: Claim, file: File, announced: u64, there: u64) -> Self {
        Self {
            blobs: blobs.clone(),
            digest: claim.digest,
            staging: Some(Staging {
                file,
                _claim: claim,
            }),
            announced,
            written: there,
        }
    }

    /// Stages more bytes.
    pub async fn write(&mut self, part: Bytes) -> Result<(), BlobError> {
        let found = self.written + part.len() as u64;
        if found > self.announced {
            self.discard().await;
            let announced = self.announced;
            return Err(BlobError::Length { announced, found });
        }
        self.with_file(move |file| file.write_all(&part)).await?;
        self.written = found;
        Ok(())
    }

    /// Lets a thread that may wait do something with the staged file.
    async fn with_file(
        &mut self,
        act: impl FnOnce(&mut File) -> io::Result<()> + Send + 'static,
    ) -> Result<(), BlobError> {
        let path = self.blobs.staged(self.digest);
        let gone = || io::Error::other("an earlier write failed");
        let staging = self.staging.take();
        let mut staging = staging.ok_or_else(|| disk("write", &path)(gone()))?;
        let acted = tokio::task::spawn_blocking(move || {
            let acted = act(&mut staging.file);
            (staging, acted)
        });
        let (staging, acted) = acted
            .await
            .map_err(|error| disk("write", &path)(io::Error::other(error)))?;
        // Half a part may be there: the length tells whoever goes on.
        acted.map_err(disk("write", &path))?;
        self.staging = Some(staging);
        Ok(())
    }

    /// Checks the digest and makes it a blob; answers with its length. What is wrong is thrown
    /// away, and what is not all there waits for the rest.
    pub async fn finish(mut self) -> Result<u64, BlobError> {
        let (expected, path) = (self.digest, self.blobs.staged(self.digest));
        if self.written < self.announced {
            return Ok(self.written);
        }
        self.with_file(|file| file.sync_all()).await?;
        if let Some(cloud) = &self.blobs.cloud {
            let stored = cloud::store(cloud, &path, expected, self.written).await;
            if let Err(BlobError::Announced { .. } | BlobError::Damaged(_)) = stored {
                self.discard().await;
            }
            stored?;
            super::remove(&path).await?;
            return Ok(self.written);
        }
        let found = hash(&path).await?;
        if found != expected {
            self.discard().await;
            return Err(BlobError::Announced { expected, found });
        }
        let place = self.blobs.path(expected);
        let folder = place.parent().unwrap_or(&self.blobs.folder);
        fs::create_dir_all(folder)
            .await
            .map_err(disk("make", folder))?;
        fs::rename(&path, &place)
            .await
            .map_err(disk("move", &path))?;
        // The name is on the disk when its folder is.
        let folder_file = fs::File::open(folder).await.map_err(disk("open", folder))?;
        folder_file
            .sync_all()
            .await
            .map_err(disk("write", folder))?;
        Ok(self.written)
    }

    async fn discard(&mut self) {
        // What cannot be removed is found by its digest, and refused again.
        let _kept = fs::remove_file(self.blobs.staged(self.digest)).await;
    }
}

async fn hash(path: &Path) -> Result<Digest, BlobError> {
    let mut file = fs::File::open(path).await.map_err(disk("open", path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; CHUNK]);
    loop {
        let read = file.read(&mut buffer).await.map_err(disk("read", path))?;
        if read == 0 {
            return Ok(Digest(hash.finalize().into()));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
    }
}
