//! A blob from the hub to a file here: there whole or not at all, and gone on with after it was
//! cut off.
//!
//! What came so far lies beside the file under a name that holds the digest; whoever comes again
//! reads it, asks for the rest, and checks all of it before it gets its name.

use std::ffi::OsString;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};

use binnacle_core::registry::Digest;
use binnacle_proto::v1 as proto;
use rustix::fs::{FlockOperation, flock};
use sha2::{Digest as _, Sha256};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tonic::Code;

use super::{Progress, file_failure};
use crate::link::Link;
use crate::link::blob::{damaged, sha256};
use crate::outcome::{Exit, Failure};
use crate::output::Form;

/// Bytes read at once of what came before.
const CHUNK: usize = 1 << 20;

/// Where what came so far lies.
pub(super) fn part_of(path: &Path, digest: Digest) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    let digest = digest.to_string();
    name.push(format!(".{}.part", digest.get(..16).unwrap_or_default()));
    path.with_file_name(name)
}

/// Fetches a blob into a file: how many bytes.
pub(super) async fn download(
    link: &Link,
    digest: Digest,
    path: &Path,
    form: Form,
) -> Result<u64, Failure> {
    let part = part_of(path, digest);
    let unwritable = |error: std::io::Error| file_failure("write", path, &error);
    let mut opening = OpenOptions::new();
    opening.create(true).read(true).write(true).truncate(false);
    let mut file = opening.open(&part).await.map_err(unwritable)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let message = format!("{} is being downloaded by somebody else", path.display());
        return Err(Failure::new(Exit::Conflict, message));
    }
    let fetched = fetch(link, digest, &mut file, path, form).await;
    let bytes = match fetched {
        Ok(bytes) => bytes,
        Err((failure, left)) => {
            if left == Left::Nothing {
                drop(fs::remove_file(&part).await);
            }
            return Err(failure);
        }
    };
    file.sync_all().await.map_err(unwritable)?;
    fs::rename(&part, path).await.map_err(unwritable)?;
    Ok(bytes)
}

/// What a failure leaves to go on with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Part,
    Nothing,
}

async fn fetch(
    link: &Link,
    digest: Digest,
    file: &mut File,
    path: &Path,
    form: Form,
) -> Result<u64, (Failure, Left)> {
    let unwritable = |error: std::io::Error| (file_failure("write", path, &error), Left::Part);
    let (mut hash, mut written) = (Sha256::new(), 0_u64);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer).await.map_err(unwritable)?;
        if read == 0 {
            break;
        }
        hash.update(buffer.get(..read).unwrap_or_default());
        written += read as u64;
    }
    let asked = tonic::Request::new(proto::DownloadRequest {
        sha256: sha256(digest),
        offset: written,
    });
    let cut = |status: tonic::Status| {
        // What is damaged there, or not there, is not gone on with.
        let is_gone = matches!(status.code(), Code::DataLoss | Code::NotFound);
        let left = match is_gone || written == 0 {
            true => Left::Nothing,
            false => Left::Part,
        };
        (status.into(), left)
    };
    let mut artifacts = link.artifacts();
    let mut parts = artifacts.download(asked).await.map_err(cut)?.into_inner();
    let end = SeekFrom::Start(written);
    file.seek(end).await.map_err(unwritable)?;
    let progress = Progress::new(form, 0, "downloading");
    loop {
        let part = match parts.message().await {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(status) => {
                progress.finish_and_clear();
                let left = match status.code() == Code::DataLoss {
                    true => Left::Nothing,
                    false => Left::Part,
                };
                file.flush().await.map_err(unwritable)?;
                let failure: Failure = status.into();
                return Err(match left {
                    Left::Nothing => (failure, left),
                    Left::Part => (failure.hint("the same command goes on from there"), left),
                });
            }
        };
        if part.bytes > 0 {
            progress.set_length(part.bytes);
        }
        hash.update(&part.data);
        file.write_all(&part.data).await.map_err(unwritable)?;
        written += part.data.len() as u64;
        progress.set_position(written);
    }
    progress.finish_and_clear();
    file.flush().await.map_err(unwritable)?;
    match Digest(hash.finalize().into()) == digest {
        true => Ok(written),
        false => Err((damaged(digest), Left::Nothing)),
    }
}
