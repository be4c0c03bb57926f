//! Fetching an artifact from a hub: streamed to disk, gone on with where it was cut off.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tonic::transport::Channel;
use tonic::{Code, Status};

use binnacle_proto::v1 as proto;
use binnacle_proto::v1::artifacts_client::ArtifactsClient;

use super::{ArtifactError, Digest, Shelf, disk};
use crate::config::HubAddr;
use crate::uplink::stream;

/// A hub that sends nothing for so long is tried no longer; what came is kept.
const SILENCE_LONGEST: Duration = Duration::from_secs(20);

/// Fetches an artifact of at most `most` bytes from the first of `hubs` that has it. `progress`
/// is told the bytes that are here and how many there will be. Verifying them is left to
/// [`Shelf::accept`].
pub async fn fetch(
    shelf: &Shelf,
    hubs: &[HubAddr],
    digest: &Digest,
    most: u64,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), ArtifactError> {
    let mut last = ArtifactError::Unreachable("none is configured".into());
    for hub in hubs {
        let channel = match stream::connect(hub).await {
            Ok(channel) => channel,
            Err(error) => {
                last = ArtifactError::Unreachable(stream::words(&error));
                continue;
            }
        };
        match download(shelf, channel, digest, most, &mut progress).await {
            Ok(()) => return Ok(()),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn download(
    shelf: &Shelf,
    channel: Channel,
    digest: &Digest,
    most: u64,
    progress: &mut impl FnMut(u64, u64),
) -> Result<(), ArtifactError> {
    let path = shelf.part(digest);
    let mut here = shelf.begun(digest);
    let asked = proto::DownloadRequest {
        sha256: digest.0.to_vec().into(),
        offset: here,
    };
    let answer = ArtifactsClient::new(channel).download(asked).await;
    let mut parts = match answer {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Err(refused(shelf, digest, &status)),
    };
    let mut options = tokio::fs::OpenOptions::new();
    let file = options.create(true).append(true).open(&path).await;
    let mut file = file.map_err(disk("write", &path))?;
    let mut all = 0;
    loop {
        let part = tokio::time::timeout(SILENCE_LONGEST, parts.message()).await;
        let part = match part {
            Ok(Ok(Some(part))) => part,
            Ok(Ok(None)) => break,
            Ok(Err(status)) => return Err(refused(shelf, digest, &status)),
            Err(_) => {
                let words = format!("nothing came for {} s", SILENCE_LONGEST.as_secs());
                return Err(ArtifactError::Unreachable(words));
            }
        };
        all = all.max(part.bytes);
        if all.max(here + part.data.len() as u64) > most {
            let words = format!("it has {all} bytes and should have {most} at most");
            return Err(ArtifactError::Refused(words));
        }
        file.write_all(&part.data)
            .await
            .map_err(disk("write", &path))?;
        here += part.data.len() as u64;
        progress(here, all);
    }
    file.flush().await.map_err(disk("write", &path))?;
    if here < all {
        let words = format!("the download ended after {here} of {all} bytes");
        return Err(ArtifactError::Unreachable(words));
    }
    Ok(())
}

/// What a status means. An offset that the hub does not have is a part of something else.
fn refused(shelf: &Shelf, digest: &Digest, status: &Status) -> ArtifactError {
    let words = status.message().to_owned();
    match status.code() {
        Code::OutOfRange => {
            let _ = std::fs::remove_file(shelf.part(digest));
            ArtifactError::Unreachable(words)
        }
        Code::NotFound
        | Code::DataLoss
        | Code::PermissionDenied
        | Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::Unauthenticated
        | Code::Unimplemented => ArtifactError::Refused(words),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Internal
        | Code::Unavailable => ArtifactError::Unreachable(stream::words(status)),
    }
}
