//! Blobs: uploaded, downloaded, verified, and taken away where nothing refers to them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use binnacle_core::registry::{Digest, Reference};
use binnacle_core::state::State;
use binnacle_proto::v1 as proto;
use futures::Stream;
use proto::upload_part::Part;
use tonic::{Request, Response, Status, Streaming};

use crate::artifact::{BlobError, KEEP_UNREFERENCED, Reading, Stat};
use crate::server::Hub;

/// The service that keeps files.
#[derive(Clone, Debug)]
pub(crate) struct Artifacts {
    pub(crate) hub: Arc<Hub>,
}

type Parts = Pin<Box<dyn Stream<Item = Result<proto::DownloadPart, Status>> + Send>>;
type Verified = Pin<Box<dyn Stream<Item = Result<proto::VerifiedBlob, Status>> + Send>>;

#[tonic::async_trait]
impl proto::artifacts_server::Artifacts for Artifacts {
    type DownloadStream = Parts;
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
                })) => upload.write(&data).await.map_err(told)?,
                Ok(Some(_)) => {
                    return Err(Status::invalid_argument(
                        "after its head, an upload is bytes",
                    ));
                }
                Ok(None) => break,
                // The line was cut: what came waits for the rest.
                Err(cut) => {
                    upload.pause().await.map_err(told)?;
                    return Err(cut);
                }
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
        let mut due = referenced(&self.hub.engine.published().state);
        if !asked.sha256.is_empty() {
            let only = digest(&asked.sha256)?;
            let versions = due.remove(&only).unwrap_or_default();
            due = BTreeMap::from([(only, versions)]);
        }
        let hub = self.hub.clone();
        let due = due.into_iter();
        let verified = futures::stream::unfold((hub, due), |(hub, mut due)| async move {
            let (digest, versions) = due.next()?;
            let checked = hub.blobs.verify(digest).await;
            let (bytes, fault) = match checked {
                Ok(bytes) => (bytes, String::new()),
                Err(error) => (0, crate::engine::chain(&error)),
            };
            let item = proto::VerifiedBlob {
                sha256: digest.0.to_vec().into(),
                bytes,
                versions: versions.iter().map(Reference::to_string).collect(),
                fault,
            };
            Some((Ok(item), (hub, due)))
        });
        Ok(Response::new(Box::pin(verified)))
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
        let needed = referenced(&self.hub.engine.published().state);
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

/// Every blob that a version refers to, and by whom; profiles of data sets among them.
fn referenced(state: &State) -> BTreeMap<Digest, Vec<Reference>> {
    let mut found: BTreeMap<Digest, Vec<Reference>> = BTreeMap::new();
    for (name, set) in &state.registry.data_sets {
        for (number, version) in (1_u32..).zip(set.versions.iter()) {
            if let (Some(number), Some(profile)) = (NonZeroU32::new(number), version.profile) {
                let name = name.clone();
                found
                    .entry(profile)
                    .or_default()
                    .push(Reference { name, number });
            }
        }
    }
    for (name, model) in &state.registry.models {
        for (number, version) in (1_u32..).zip(model.versions.iter()) {
            let Some(number) = NonZeroU32::new(number) else {
                continue;
            };
            if let Some(digest) = version.stored() {
                let name = name.clone();
                found
                    .entry(digest)
                    .or_default()
                    .push(Reference { name, number });
            }
        }
    }
    found
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
        BlobError::Damaged(_) => Status::data_loss(message),
        BlobError::Disk { .. } => Status::resource_exhausted(message),
    }
}
