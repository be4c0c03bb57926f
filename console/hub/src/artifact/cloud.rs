//! Blobs as objects: written in parts that are nothing until all are there, read in bounded
//! pieces, listed.
//!
//! The number under which a store keeps parts is written down beside the staged bytes before the
//! first part goes, so that whatever is killed, the parts can be thrown away later: a store
//! charges for what nobody sees.

use std::path::PathBuf;
use std::time::Duration;

use binnacle_core::registry::Digest;
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStoreExt as _, PutPayload};
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File};
use tokio::io::AsyncReadExt as _;

use super::place::Cloud;
use super::{BlobError, disk};

/// Bytes of a part, and of what is stored in one piece: what S3 asks for at least is 5 MiB, and
/// one part is held in memory.
const PART: u64 = 8 << 20;
/// Parts that the clouds take of one object: 10,000, with some to spare.
const MAX_PARTS: u64 = 9_000;
/// Bytes that are asked for at once: enough to hide a store's latency, little enough to hold.
const AHEAD: u64 = 4 << 20;

pub(super) fn fault(
    operation: &'static str,
    cloud: &Cloud,
) -> impl FnOnce(object_store::Error) -> BlobError {
    let place = cloud.name.clone();
    move |source| BlobError::Remote {
        operation,
        place,
        source: Box::new(source),
    }
}

fn key(cloud: &Cloud, digest: Digest) -> Path {
    let name = digest.to_string();
    let (first, rest) = name.split_at(2);
    cloud.path.clone().join("sha256").join(first).join(rest)
}

/// Whether the store answers, and has the bucket.
pub(super) async fn reach(cloud: &Cloud) -> Result<(), BlobError> {
    let mut objects = cloud.store.list(Some(&cloud.path));
    let first = objects.try_next().await;
    first.map(drop).map_err(fault("list", cloud))
}

/// How long a blob is; `None` where it is not there.
pub(super) async fn length(cloud: &Cloud, digest: Digest) -> Result<Option<u64>, BlobError> {
    match cloud.store.head(&key(cloud, digest)).await {
        Ok(found) => Ok(Some(found.size)),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(fault("look into", cloud)(error)),
    }
}

/// Bytes of a blob from a position on; some at least, where it does not end there.
pub(super) async fn piece(
    cloud: &Cloud,
    digest: Digest,
    from: u64,
    all: u64,
) -> Result<Bytes, BlobError> {
    if from >= all {
        return Ok(Bytes::new());
    }
    let wanted = GetOptions {
        range: Some(GetRange::Bounded(from..all.min(from + AHEAD))),
        ..GetOptions::default()
    };
    let got = cloud.store.get_opts(&key(cloud, digest), wanted).await;
    match got {
        Ok(got) => got.bytes().await.map_err(fault("read from", cloud)),
        Err(object_store::Error::NotFound { .. }) => Err(BlobError::Missing(digest)),
        Err(error) => Err(fault("read from", cloud)(error)),
    }
}

/// Each blob: its digest, bytes and age.
pub(super) async fn list(
    cloud: &Cloud,
    now: Duration,
) -> Result<Vec<(Digest, u64, Duration)>, BlobError> {
    let below = cloud.path.clone().join("sha256");
    let mut found = Vec::new();
    let mut objects = cloud.store.list(Some(&below));
    while let Some(object) = objects.try_next().await.map_err(fault("list", cloud))? {
        let names: Vec<_> = object.location.parts().collect();
        let [.., first, rest] = names.as_slice() else {
            continue;
        };
        let Ok(digest) = format!("{}{}", first.as_ref(), rest.as_ref()).parse() else {
            continue;
        };
        let at = object.last_modified.timestamp_micros();
        let at = Duration::from_micros(at.max(0).unsigned_abs());
        found.push((digest, object.size, now.saturating_sub(at)));
    }
    Ok(found)
}

/// Takes a blob away.
pub(super) async fn remove(cloud: &Cloud, digest: Digest) -> Result<(), BlobError> {
    match cloud.store.delete(&key(cloud, digest)).await {
        Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
        Err(error) => Err(fault("remove from", cloud)(error)),
    }
}

/// Parts that were begun, as they are written down.
#[derive(Debug)]
pub(super) struct Begun {
    path: PathBuf,
}

impl Begun {
    pub(super) fn at(staged: &std::path::Path) -> Self {
        let path = staged.with_extension("parts");
        Self { path }
    }

    async fn note(&self, id: &str) -> Result<(), BlobError> {
        let path = &self.path;
        fs::write(path, id).await.map_err(disk("write", path))?;
        let file = File::open(path).await.map_err(disk("open", path))?;
        file.sync_all().await.map_err(disk("write", path))
    }

    /// Throws away what an earlier try left in the store, if anything.
    pub(super) async fn throw_away(&self, cloud: &Cloud, digest: Digest) -> Result<(), BlobError> {
        let id = match fs::read_to_string(&self.path).await {
            Ok(id) => id,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(disk("read", &self.path)(error)),
        };
        // Empty where the power failed between the name and its content: no part had gone yet.
        if !id.is_empty() {
            let thrown = cloud.parts.abort_multipart(&key(cloud, digest), &id).await;
            match thrown {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(fault("throw parts away in", cloud)(error)),
            }
        }
        super::remove(&self.path).await
    }
}

/// Makes a blob of a staged file, if its bytes have the digest.
pub(super) async fn store(
    cloud: &Cloud,
    staged: &std::path::Path,
    digest: Digest,
    bytes: u64,
) -> Result<(), BlobError> {
    let begun = Begun::at(staged);
    begun.throw_away(cloud, digest).await?;
    let mut file = File::open(staged).await.map_err(disk("open", staged))?;
    let mut hash = Sha256::new();
    if bytes <= PART {
        let part = next(&mut file, staged, PART, &mut hash).await?;
        announced(digest, hash)?;
        let put = cloud.store.put(&key(cloud, digest), part.into()).await;
        put.map_err(fault("write to", cloud))?;
        return arrived(cloud, digest, bytes).await;
    }
    let stored = in_parts(cloud, &mut file, staged, digest, bytes).await;
    match stored {
        Ok(()) => {
            super::remove(&begun.path).await?;
            arrived(cloud, digest, bytes).await
        }
        Err(error) => {
            // What cannot be thrown away now is by the next try, or when it is collected.
            if let Err(left) = begun.throw_away(cloud, digest).await {
                tracing::warn!(
                    blob = %digest,
                    error = crate::engine::chain(&left),
                    "parts of an upload are left in the store, and thrown away later"
                );
            }
            Err(error)
        }
    }
}

async fn in_parts(
    cloud: &Cloud,
    file: &mut File,
    staged: &std::path::Path,
    digest: Digest,
    bytes: u64,
) -> Result<(), BlobError> {
    let place = key(cloud, digest);
    let id = cloud.parts.create_multipart(&place).await;
    let id = id.map_err(fault("write to", cloud))?;
    if let Err(error) = Begun::at(staged).note(&id).await {
        // Nobody would know of it later.
        drop(cloud.parts.abort_multipart(&place, &id).await);
        return Err(error);
    }
    let size = PART.max(bytes.div_ceil(MAX_PARTS));
    let (mut hash, mut parts) = (Sha256::new(), Vec::new());
    loop {
        let part = next(file, staged, size, &mut hash).await?;
        if part.is_empty() {
            break;
        }
        let put = cloud
            .parts
            .put_part(&place, &id, parts.len(), PutPayload::from(part));
        parts.push(put.await.map_err(fault("write to", cloud))?);
    }
    // What was sent is what was hashed: nothing can come between the two.
    announced(digest, hash)?;
    let done = cloud.parts.complete_multipart(&place, &id, parts).await;
    done.map(drop).map_err(fault("write to", cloud))
}

async fn next(
    file: &mut File,
    path: &std::path::Path,
    size: u64,
    hash: &mut Sha256,
) -> Result<Bytes, BlobError> {
    let mut part = Vec::new();
    let mut taken = file.take(size);
    let read = taken.read_to_end(&mut part).await;
    read.map_err(disk("read", path))?;
    hash.update(&part);
    Ok(part.into())
}

fn announced(expected: Digest, hash: Sha256) -> Result<(), BlobError> {
    let found = Digest(hash.finalize().into());
    match found == expected {
        true => Ok(()),
        false => Err(BlobError::Announced { expected, found }),
    }
}

/// A store that says yes and has something else is not believed.
async fn arrived(cloud: &Cloud, digest: Digest, bytes: u64) -> Result<(), BlobError> {
    match length(cloud, digest).await? {
        Some(found) if found == bytes => Ok(()),
        Some(_) | None => Err(BlobError::Damaged(digest)),
    }
}
