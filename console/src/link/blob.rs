//! Blobs as they travel between here and the hub: small ones whole and in memory, checked at
//! both ends. Large ones are streamed by whoever has a file and a progress to show.

use binnacle_core::registry::Digest;
use binnacle_proto::v1 as proto;
use binnacle_sketch::profile::Profile;
use proto::upload_part::Part;
use sha2::{Digest as _, Sha256};

use super::Link;
use crate::outcome::{Exit, Failure};

/// Bytes in one part.
pub(crate) const PART: usize = 1 << 20;
/// Bytes of a stored profile at most: 2,048 features of 16 KB.
const MAX_PROFILE: usize = 32 << 20;

/// What the hub has of a blob: `None` where it has all of it.
pub(crate) async fn missing_from(link: &Link, digest: Digest) -> Result<Option<u64>, Failure> {
    let asked = proto::StatBlobRequest {
        sha256: sha256(digest),
    };
    let mut artifacts = link.artifacts();
    let stat = artifacts.stat(link.question(asked)).await?.into_inner();
    Ok((!stat.present).then_some(stat.bytes))
}

/// A digest as it travels.
pub(crate) fn sha256(digest: Digest) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(&digest.0)
}

/// Stores bytes that are in memory: their digest.
pub(crate) async fn store(link: &Link, bytes: &[u8]) -> Result<Digest, Failure> {
    let digest = Digest(Sha256::digest(bytes).into());
    let Some(offset) = missing_from(link, digest).await? else {
        return Ok(digest);
    };
    let head = proto::UploadHead {
        sha256: sha256(digest),
        bytes: bytes.len() as u64,
        offset,
    };
    let rest = bytes.get(offset as usize..).unwrap_or_default();
    let data = rest
        .chunks(PART)
        .map(|part| Part::Data(bytes::Bytes::copy_from_slice(part)));
    let parts = std::iter::once(Part::Head(head)).chain(data);
    let parts: Vec<_> = parts
        .map(|part| proto::UploadPart { part: Some(part) })
        .collect();
    let asked = link.question(futures::stream::iter(parts));
    link.artifacts().upload(asked).await?;
    Ok(digest)
}

/// Fetches a blob of at most `limit` bytes into memory, checked.
pub(crate) async fn fetch(link: &Link, digest: Digest, limit: usize) -> Result<Vec<u8>, Failure> {
    let asked = proto::DownloadRequest {
        sha256: sha256(digest),
        offset: 0,
    };
    let mut artifacts = link.artifacts();
    let mut parts = artifacts.download(link.question(asked)).await?.into_inner();
    let mut bytes = Vec::new();
    while let Some(part) = parts.message().await? {
        if bytes.len() + part.data.len() > limit {
            let message = format!("blob {digest} has more than {limit} bytes");
            return Err(Failure::new(Exit::Failed, message));
        }
        bytes.extend_from_slice(&part.data);
    }
    match Digest(Sha256::digest(&bytes).into()) == digest {
        true => Ok(bytes),
        false => Err(damaged(digest)),
    }
}

/// Fetches the profile of a data set.
pub(crate) async fn profile(link: &Link, digest: Digest) -> Result<Profile, Failure> {
    let bytes = fetch(link, digest, MAX_PROFILE).await?;
    Profile::decode(&bytes).map_err(|error| Failure::of(Exit::Failed, &error))
}

/// What is said of bytes that are not what was asked for.
pub(crate) fn damaged(digest: Digest) -> Failure {
    let message = format!("what came is not {digest}: it was damaged on the way");
    Failure::new(Exit::Failed, message).hint("try again")
}
