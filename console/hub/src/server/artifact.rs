//! Blobs: uploaded, downloaded, verified, and taken away where nothing refers to them.

use std::pin::Pin;
use std::sync::Arc;

use binnacle_core::registry::{Digest, Reference};
use binnacle_proto::v1 as proto;
use futures::Stream;
use proto::upload_part::Part;
use tonic::{Request, Response, Status, Streaming};

use crate::artifact::{BlobError, KEEP_UNREFERENCED, Reading, Stat};
use crate::server::Hub;

mod references;

/// Versions that are named with a blob; more are counted.
const MAX_NAMED: usize = 100;

/// The service that keeps files.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts {
    pub(crate) hub: Arc<Hub>,
}

type Parts = Pin<Box<dyn Stream<Item = Result<proto::DownloadPart, Status>> + Send>>;
type Listed = Pin<Box<dyn Stream<Item = Result<proto::ListedBlob, Status>> + Send>>;
type Verified = Pin<Box<dyn Stream<Item = Result<proto::VerifiedBlob, Status>> + Send>>;

#[tonic::async_trait]
impl proto::artifacts_server::Artifacts for Artifacts {
    type DownloadStream = Parts;
    type ListStream = Listed;
    type VerifyStream = Verified;

    async fn stat(
        &self,
        request: Request<proto::StatBlobRequest>,
    ) -> Result<Response<proto::StatBlobResponse>, Status> {
        let digest = digest(&request.into_inner().sha256)?;
        let (present, bytes) = match self.hub.blobs.stat(digest).await.map_err(told)? {
            Stat::Whole(bytes) => (true, bytes),
            Stat::Staged(bytes) => (false, bytes),
        };
        Ok(Response::new(proto::StatBlobResponse { present, bytes }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<proto::UploadPart>>,
    ) -> Result<Response<proto::UploadResponse>, Status> {
        let mut parts = request.into_inner();
        let head = match parts.message().await?.and_then(|part| part.part) {
            Some(Part::Head(head)) => head,
            Some(Part::Data(_)) | None => {
                return Err(Status::invalid_argument("an upload begins with its head"));
            }
        };
        let digest = digest(&head.sha256)?;
        let blobs = &self.hub.blobs;
        let upload = blobs.upload(digest, head.bytes, head.offset).await;
        let Some(mut upload) = upload.map_err(told)? else {
            let bytes = head.bytes;
            let present = true;
            return Ok(Response::new(proto::UploadResponse { bytes, present }));
        };
        loop {
            match parts.message().await {
                Ok(Some(proto::UploadPart {
                    part: Some(Part::Data(data)),
                })) => upload.write(data).await.map_err(told)?,
                Ok(Some(_)) => {
                    return Err(Status::invalid_argument(
                        "after its head, an upload is bytes",
                    ));
                }
                Ok(None) => break,
                // The line was cut: what came waits for the rest.
                Err(cut) => return Err(cut),
            }
        }
        let bytes = upload.finish().await.map_err(told)?;
        let present = false;
        Ok(Response::new(proto::UploadResponse { bytes, present }))
    }

    async fn download(
        &self,
        request: Request<proto::DownloadRequest>,
    ) -> Result<Response<Parts>, Status> {
        let asked = request.into_inner();
        let digest = digest(&asked.sha256)?;
        let read = self.hub.blobs.read(digest, asked.offset).await;
        let (bytes, reading) = read.map_err(told)?;
        let first = proto::DownloadPart {
            bytes,
            ..Default::default()
        };
        let parts = futures::stream::try_unfold((Some(first), reading), part);
        Ok(Response::new(Box::pin(parts)))
    }

    async fn verify(
        &self,
        request: Request<proto::VerifyBlobsRequest>,
    ) -> Result<Response<Verified>, Status> {
        let asked = request.into_inner();
        let due = references::due(&self.hub, &asked).await?;
        let (hub, due) = (self.hub.clone(), due.into_iter());
        let verified = futures::stream::unfold((hub, due), |(hub, mut due)| async move {
            let item = due.next()?.read(&hub).await;
            Some((Ok(item), (hub, due)))
        });
        Ok(Response::new(Box::pin(verified)))
    }

    async fn list(
        &self,
        _request: Request<proto::ListBlobsRequest>,
    ) -> Result<Response<Listed>, Status> {
        let blobs = &self.hub.blobs;
        let kept = blobs.all(self.hub.clock.now_us()).await.map_err(told)?;
        let state = &self.hub.engine.published().state;
        let needed = references::all(state, blobs).await.map_err(told)?;
        let manifests = references::manifests(state);
        let staged = kept.staged.into_iter().map(|one| (one, true));
        let all = kept.blobs.into_iter().map(|one| (one, false));
        let all: Vec<_> = all.chain(staged).collect();
        let rows = all.into_iter().map(move |((digest, bytes, age), staged)| {
            let versions = needed.get(&digest).map_or(&[][..], Vec::as_slice);
            let named = versions.iter().take(MAX_NAMED);
            Ok(proto::ListedBlob {
                sha256: digest.0.to_vec().into(),
                bytes,
                age_us: i64::try_from(age.as_micros()).unwrap_or(i64::MAX),
                staged,
                manifest: manifests.contains_key(&digest),
                references: versions.len() as u64,
                versions: named.map(Reference::to_string).collect(),
            })
        });
        Ok(Response::new(Box::pin(futures::stream::iter(rows))))
    }

    async fn collect(
        &self,
        request: Request<proto::CollectRequest>,
    ) -> Result<Response<proto::CollectResponse>, Status> {
        let asked = request.into_inner();
        let now_us = self.hub.clock.now_us();
        let blobs = &self.hub.blobs;
        // What is decided from here on waits until it is known what is needed.
        let _cleared = blobs.clear().await;
        let kept = blobs.all(now_us).await.map_err(told)?;
        let state = &self.hub.engine.published().state;
        // What a folder needs is known by its manifest; where one cannot be read, nothing goes.
        let needed = references::all(state, blobs).await.map_err(told)?;
        let mut answer = proto::CollectResponse {
            removed: asked.remove,
            ..Default::default()
        };
        for (digest, bytes, age) in kept.staged {
            answer.staged += 1;
            answer.staged_bytes += bytes;
            if age < KEEP_UNREFERENCED {
                continue;
            }
            answer.abandoned += 1;
            answer.abandoned_bytes += bytes;
            if asked.remove {
                match blobs.abandon(digest).await {
                    // It goes on after all.
                    Ok(()) | Err(BlobError::Busy(_)) => {}
                    Err(error) => return Err(told(error)),
                }
            }
        }
        for (digest, bytes, age) in kept.blobs {
            answer.blobs += 1;
            answer.bytes += bytes;
            if needed.contains_key(&digest) || age < KEEP_UNREFERENCED {
                continue;
            }
            answer.unreferenced_blobs += 1;
            answer.unreferenced_bytes += bytes;
            if asked.remove {
                blobs.remove(digest).await.map_err(told)?;
            }
        }
        Ok(Response::new(answer))
    }
}

type Left = (Option<proto::DownloadPart>, Reading);

async fn part((first, mut reading): Left) -> Result<Option<(proto::DownloadPart, Left)>, Status> {
    if let Some(first) = first {
        return Ok(Some((first, (None, reading))));
    }
    let next = reading.next().await.map_err(told)?;
    Ok(next.map(|data| (proto::DownloadPart { bytes: 0, data }, (None, reading))))
}

fn digest(bytes: &[u8]) -> Result<Digest, Status> {
    let digest = bytes.try_into().map(Digest);
    digest.map_err(|_| {
        let what = format!("sha256: has {} bytes, not 32", bytes.len());
        Status::invalid_argument(what)
    })
}

fn told(error: BlobError) -> Status {
    let message = crate::engine::chain(&error);
    match error {
        BlobError::Missing(_) => Status::not_found(message),
        BlobError::Busy(_) | BlobError::Offset { .. } => Status::aborted(message),
        BlobError::Length { .. } | BlobError::TooLarge(_) | BlobError::Announced { .. } => {
            Status::invalid_argument(message)
        }
        BlobError::Damaged(_) | BlobError::NoManifest { .. } => Status::data_loss(message),
        BlobError::Disk { .. } => Status::resource_exhausted(message),
        BlobError::Remote { .. } => Status::unavailable(message),
    }
}
