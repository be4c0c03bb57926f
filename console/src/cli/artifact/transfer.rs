//! Bytes between a file here and a blob at the hub: streamed, resumed, checked at both ends.

use std::io::{IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use binnacle_core::registry::Digest;
use binnacle_proto::v1 as proto;
use indicatif::{ProgressBar, ProgressStyle};
use proto::upload_part::Part;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::file_failure;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::Form;

/// Bytes in one part.
const PART: usize = 1 << 20;
/// Parts that are read ahead of the line.
const AHEAD: usize = 4;

/// Progress on a terminal; nothing in a pipe.
pub(crate) fn bar(form: Form, bytes: u64, doing: &'static str) -> ProgressBar {
    if form == Form::Json || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {bar:30} {eta}")
        .expect("the template is a constant that was tried");
    ProgressBar::new(bytes)
        .with_style(style)
        .with_message(doing)
}

/// The digest and length of a file.
pub(crate) fn measured(path: &Path, form: Form) -> Result<(Digest, u64), Failure> {
    let unreadable = |error: std::io::Error| file_failure("read", path, &error);
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let known = file.metadata().map_err(unreadable)?;
    if known.is_dir() {
        let message = format!("{} is a folder", path.display());
        return Err(Failure::new(Exit::Usage, message).hint("upload its files one by one"));
    }
    let progress = bar(form, known.len(), "reading");
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; PART], 0);
    loop {
        let read = file.read(&mut buffer).map_err(unreadable)?;
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
    let (digest, bytes) = measured(path, form)?;
    let sha256 = bytes::Bytes::copy_from_slice(&digest.0);
    let asked = proto::StatBlobRequest {
        sha256: sha256.clone(),
    };
    let stat = link
        .artifacts()
        .stat(link.question(asked))
        .await?
        .into_inner();
    if stat.present {
        return Ok((digest, bytes));
    }
    let offset = stat.bytes;
    let (parts, outgoing) = mpsc::channel(AHEAD);
    let head = proto::UploadHead {
        sha256,
        bytes,
        offset,
    };
    let progress = bar(form, bytes, "uploading");
    progress.set_position(offset);
    let reader = path.to_owned();
    let shown = progress.clone();
    let reading = tokio::task::spawn_blocking(move || {
        read(&reader, head, &parts, &shown).map_err(|error| file_failure("read", &reader, &error))
    });
    // The time limit is for an answer, and an upload may be long.
    let asked = tonic::Request::new(ReceiverStream::new(outgoing));
    let answer = link.artifacts().upload(asked).await;
    let ended = reading.await;
    progress.finish_and_clear();
    let answer = answer?.into_inner();
    ended.map_err(|error| Failure::of(Exit::Failed, &error))??;
    if answer.bytes < bytes {
        let message = format!(
            "the upload was cut off at {} of {bytes} bytes",
            answer.bytes
        );
        let hint = "the same command goes on from there";
        return Err(Failure::new(Exit::Failed, message).hint(hint));
    }
    Ok((digest, bytes))
}

fn read(
    path: &Path,
    head: proto::UploadHead,
    parts: &mpsc::Sender<proto::UploadPart>,
    progress: &ProgressBar,
) -> std::io::Result<()> {
    let mut file = std::fs::File::open(path)?;
    file.seek(SeekFrom::Start(head.offset))?;
    let part = |part| proto::UploadPart { part: Some(part) };
    // A hub that has hung up says why in its answer.
    if parts.blocking_send(part(Part::Head(head))).is_err() {
        return Ok(());
    }
    let mut buffer = vec![0; PART];
    loop {
        let read = file.read(&mut buffer)?;
        let data = bytes::Bytes::copy_from_slice(buffer.get(..read).unwrap_or_default());
        if data.is_empty() || parts.blocking_send(part(Part::Data(data))).is_err() {
            return Ok(());
        }
        progress.inc(read as u64);
    }
}

/// Stores bytes that are in memory: their digest.
pub(crate) async fn store(link: &Link, bytes: &[u8]) -> Result<Digest, Failure> {
    let digest = Digest(Sha256::digest(bytes).into());
    let sha256 = bytes::Bytes::copy_from_slice(&digest.0);
    let asked = proto::StatBlobRequest {
        sha256: sha256.clone(),
    };
    let stat = link
        .artifacts()
        .stat(link.question(asked))
        .await?
        .into_inner();
    if stat.present {
        return Ok(digest);
    }
    let head = proto::UploadHead {
        sha256,
        bytes: bytes.len() as u64,
        offset: stat.bytes,
    };
    let rest = bytes.get(stat.bytes as usize..).unwrap_or_default();
    let data = rest
        .chunks(PART)
        .map(|part| Part::Data(bytes::Bytes::copy_from_slice(part)));
    let parts = std::iter::once(Part::Head(head)).chain(data);
    let parts: Vec<_> = parts
        .map(|part| proto::UploadPart { part: Some(part) })
        .collect();
    let asked = link.question(tokio_stream::iter(parts));
    link.artifacts().upload(asked).await?;
    Ok(digest)
}

/// Fetches a blob of at most `limit` bytes into memory, checked.
pub(crate) async fn fetch(link: &Link, digest: Digest, limit: usize) -> Result<Vec<u8>, Failure> {
    let asked = proto::DownloadRequest {
        sha256: bytes::Bytes::copy_from_slice(&digest.0),
        offset: 0,
    };
    let mut parts = link
        .artifacts()
        .download(link.question(asked))
        .await?
        .into_inner();
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
        false => {
            let message = format!("what came is not {digest}: it was damaged on the way");
            Err(Failure::new(Exit::Failed, message).hint("try again"))
        }
    }
}

/// Fetches a blob into a file, which is there whole or not at all.
pub(crate) async fn download(
    link: &Link,
    digest: Digest,
    path: &Path,
    form: Form,
) -> Result<u64, Failure> {
    let unwritable = |error: std::io::Error| file_failure("write", path, &error);
    let asked = tonic::Request::new(proto::DownloadRequest {
        sha256: bytes::Bytes::copy_from_slice(&digest.0),
        offset: 0,
    });
    let mut parts = link.artifacts().download(asked).await?.into_inner();
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(unwritable)?;
    let (mut hash, mut written) = (Sha256::new(), 0);
    let progress = bar(form, 0, "downloading");
    while let Some(part) = parts.message().await? {
        if part.bytes > 0 {
            progress.set_length(part.bytes);
        }
        hash.update(&part.data);
        file.write_all(&part.data).map_err(unwritable)?;
        written += part.data.len() as u64;
        progress.set_position(written);
    }
    progress.finish_and_clear();
    if Digest(hash.finalize().into()) != digest {
        let message = format!("what came is not {digest}: it was damaged on the way");
        return Err(Failure::new(Exit::Failed, message).hint("try again"));
    }
    file.as_file().sync_all().map_err(unwritable)?;
    file.persist(path)
        .map_err(|error| unwritable(error.error))?;
    Ok(written)
}
