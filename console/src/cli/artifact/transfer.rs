//! Bytes from here to a blob at the hub: streamed, resumed, checked at both ends.
//!
//! Everything here may be dropped at any point, as Ctrl-C does: what the hub has by then waits
//! there for the same command.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use binnacle_core::registry::Digest;
use binnacle_proto::v1 as proto;
use futures::StreamExt as _;
use proto::upload_part::Part;
use sha2::{Digest as _, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::Progress;
use super::file_failure;
use crate::link::Link;
use crate::link::blob::{PART, missing_from, sha256};
use crate::outcome::{Exit, Failure};
use crate::output::Form;

/// What to do when it was cut off.
const GO_ON: &str = "the same command goes on from there";

/// The digest and length of a file.
pub(crate) async fn measured(path: &Path, form: Form) -> Result<(Digest, u64), Failure> {
    let unreadable = |error: std::io::Error| file_failure("read", path, &error);
    let mut file = File::open(path).await.map_err(unreadable)?;
    let known = file.metadata().await.map_err(unreadable)?;
    if !known.is_file() {
        let message = format!("{} is no regular file", path.display());
        return Err(Failure::new(Exit::Usage, message));
    }
    let progress = Progress::new(form, known.len(), "reading");
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; PART], 0);
    loop {
        let read = file.read(&mut buffer).await.map_err(unreadable)?;
        if read == 0 {
            progress.finish_and_clear();
            return Ok((Digest(hash.finalize().into()), bytes));
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
        progress.set_position(bytes);
    }
}

/// Stores a file, and goes on where an earlier upload was cut off: its digest and length.
pub(crate) async fn upload(link: &Link, path: &Path, form: Form) -> Result<(Digest, u64), Failure> {
    let (digest, bytes) = measured(path, form).await?;
    send(link, path, digest, bytes, form).await?;
    Ok((digest, bytes))
}

/// Stores a file whose digest and length are known.
pub(super) async fn send(
    link: &Link,
    path: &Path,
    digest: Digest,
    bytes: u64,
    form: Form,
) -> Result<(), Failure> {
    let Some(offset) = missing_from(link, digest).await? else {
        return Ok(());
    };
    let unreadable = |error: std::io::Error| file_failure("read", path, &error);
    let mut file = File::open(path).await.map_err(unreadable)?;
    let from = std::io::SeekFrom::Start(offset);
    file.seek(from).await.map_err(unreadable)?;
    let progress = Progress::new(form, bytes, "uploading");
    progress.set_position(offset);
    // Where reading fails, what the hub got is cut off there, and this says why.
    let failed = Arc::new(Mutex::new(None));
    let (told, shown) = (failed.clone(), progress.clone());
    let data = futures::stream::unfold(file, move |mut file| {
        let (told, shown) = (told.clone(), shown.clone());
        async move {
            let mut part = vec![0; PART];
            match file.read(&mut part).await {
                Ok(0) => None,
                Ok(read) => {
                    part.truncate(read);
                    shown.inc(read as u64);
                    Some((Part::Data(part.into()), file))
                }
                Err(error) => {
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    None
                }
            }
        }
    });
    let head = proto::UploadHead {
        sha256: sha256(digest),
        bytes,
        offset,
    };
    let parts = futures::stream::iter([Part::Head(head)]).chain(data);
    let parts = parts.map(|part| proto::UploadPart { part: Some(part) });
    // The time limit is for an answer, and an upload may be long.
    let answer = link.artifacts().upload(tonic::Request::new(parts)).await;
    progress.finish_and_clear();
    let failed = failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(error) = failed {
        return Err(unreadable(error));
    }
    let answer = answer.map_err(|status| match Failure::from(status) {
        cut if cut.exit == Exit::Unreachable && cut.hint.is_empty() => cut.hint(GO_ON),
        failure => failure,
    })?;
    let there = answer.into_inner().bytes;
    if there < bytes {
        let message = format!("the upload was cut off at {there} of {bytes} bytes");
        return Err(Failure::new(Exit::Failed, message).hint(GO_ON));
    }
    Ok(())
}
