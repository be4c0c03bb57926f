//! A blob that is read from its beginning to its end, and checked on the way.

use std::path::PathBuf;

use binnacle_core::registry::Digest;
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

use super::place::Cloud;
use super::{BlobError, Blobs, cloud, disk};

/// Bytes read at once.
const CHUNK: usize = 1 << 20;

/// A blob that is being read.
#[derive(Debug)]
pub struct Reading {
    place: Place,
    digest: Digest,
    hash: Sha256,
    is_done: bool,
}

#[derive(Debug)]
enum Place {
    File {
        path: PathBuf,
        file: File,
    },
    Cloud {
        cloud: Cloud,
        at: u64,
        all: u64,
        /// What was fetched and not yet handed on.
        held: Bytes,
    },
}

impl Reading {
    pub(super) async fn open(blobs: &Blobs, digest: Digest, all: u64) -> Result<Self, BlobError> {
        let place = match &blobs.cloud {
            Some(cloud) => Place::Cloud {
                cloud: cloud.clone(),
                at: 0,
                all,
                held: Bytes::new(),
            },
            None => {
                let path = blobs.path(digest);
                let file = File::open(&path).await.map_err(disk("open", &path))?;
                Place::File { path, file }
            }
        };
        Ok(Self {
            place,
            digest,
            hash: Sha256::new(),
            is_done: false,
        })
    }

    /// Passes over the first bytes.
    pub(super) async fn skip(&mut self, bytes: u64) -> Result<(), BlobError> {
        let mut left = bytes;
        while left > 0 {
            let part = self.part(left.min(CHUNK as u64) as usize).await?;
            if part.is_empty() {
                return Err(BlobError::Damaged(self.digest));
            }
            left -= part.len() as u64;
        }
        Ok(())
    }

    /// The next bytes; `None` at the end of a blob that is whole.
    pub async fn next(&mut self) -> Result<Option<Bytes>, BlobError> {
        if self.is_done {
            return Ok(None);
        }
        let part = self.part(CHUNK).await?;
        if !part.is_empty() {
            return Ok(Some(part));
        }
        self.is_done = true;
        let found = Digest(self.hash.clone().finalize().into());
        match found == self.digest {
            true => Ok(None),
            false => Err(BlobError::Damaged(self.digest)),
        }
    }

    async fn part(&mut self, most: usize) -> Result<Bytes, BlobError> {
        let part = match &mut self.place {
            Place::File { path, file } => {
                let mut buffer = vec![0; most];
                let read = file.read(&mut buffer).await.map_err(disk("read", path))?;
                buffer.truncate(read);
                Bytes::from(buffer)
            }
            Place::Cloud {
                cloud,
                at,
                all,
                held,
            } => {
                if held.is_empty() {
                    *held = cloud::piece(cloud, self.digest, *at, *all).await?;
                    *at += held.len() as u64;
                }
                held.split_to(most.min(held.len()))
            }
        };
        self.hash.update(&part);
        Ok(part)
    }
}
