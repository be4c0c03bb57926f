//! A folder's files: found, stored once each, and named together by their manifest; fetched into
//! a folder that is there whole or not at all.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use binnacle_core::registry::manifest::{MAX_DEPTH, MAX_FILES, MAX_MANIFEST, NotAManifest};
use binnacle_core::registry::{Digest, FileOf, Inside, Manifest};

use super::download::{download, part_of};
use super::transfer::{measured, send};
use super::{Progress, file_failure};
use crate::link::Link;
use crate::link::blob::{fetch, store};
use crate::outcome::{Exit, Failure};
use crate::output::Form;

fn refused(folder: &Path, error: impl std::fmt::Display) -> Failure {
    let message = format!("cannot take the folder {}: {error}", folder.display());
    Failure::new(Exit::Usage, message)
}

/// The manifest of a folder; its files are read, and nothing is sent.
pub(crate) async fn manifest(folder: &Path, form: Form) -> Result<Manifest, Failure> {
    let paths = found(folder)?;
    let mut files = Vec::with_capacity(paths.len());
    let progress = Progress::new(form, paths.len() as u64, "reading");
    for path in paths {
        // A folder of a thousand files shows the files, not a bar for each.
        let (sha256, bytes) = measured(&folder.join(path.as_str()), Form::Json).await?;
        files.push(FileOf {
            path,
            sha256,
            bytes,
        });
        progress.inc(1);
    }
    progress.finish_and_clear();
    Manifest::of(files).map_err(|error| refused(folder, error))
}

/// Every file below a folder.
fn found(folder: &Path) -> Result<Vec<Inside>, Failure> {
    let mut paths = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new(), 0)];
    let mut seen = 0;
    while let Some((at, prefix, depth)) = open.pop() {
        let unreadable = |error: std::io::Error| file_failure("read", &at, &error);
        for entry in std::fs::read_dir(&at).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                let what = format!("{:?} in it is no UTF-8", name.to_string_lossy());
                return Err(refused(folder, what));
            };
            let path = format!("{prefix}{name}");
            seen += 1;
            // Folders count as well: a thousand empty ones are a mistake, too.
            if seen > 2 * MAX_FILES {
                return Err(refused(folder, NotAManifest::TooMany));
            }
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_symlink() {
                let hint = "put what it points to in its place";
                let what = format!("{path:?} in it is a link");
                return Err(refused(folder, what).hint(hint));
            }
            if kind.is_dir() && depth < MAX_DEPTH {
                open.push((entry.path(), format!("{path}/"), depth + 1));
                continue;
            }
            if !kind.is_file() {
                let what = match kind.is_dir() {
                    true => format!("{path:?} in it is more than {MAX_DEPTH} folders deep"),
                    false => format!("{path:?} in it is no regular file"),
                };
                return Err(refused(folder, what));
            }
            paths.push(Inside::parse(&path).map_err(|error| refused(folder, error))?);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Stores a folder's files, each once, then their manifest: its digest.
pub(crate) async fn upload(
    link: &Link,
    folder: &Path,
    manifest: &Manifest,
    form: Form,
) -> Result<Digest, Failure> {
    let progress = Progress::new(form, manifest.bytes(), "uploading");
    let mut sent = HashSet::new();
    for file in manifest.files() {
        if sent.insert(file.sha256) {
            let path = folder.join(file.path.as_str());
            send(link, &path, file.sha256, file.bytes, Form::Json).await?;
        }
        progress.inc(file.bytes);
    }
    progress.finish_and_clear();
    store(link, &manifest.encode()).await
}

/// Fetches a folder: bytes of its files.
pub(super) async fn fetch_into(
    link: &Link,
    digest: Digest,
    folder: &Path,
    form: Form,
) -> Result<u64, Failure> {
    if folder.symlink_metadata().is_ok() {
        let message = format!("{} is there already", folder.display());
        return Err(Failure::new(Exit::Usage, message).hint("name a folder that is not"));
    }
    let bytes = fetch(link, digest, MAX_MANIFEST).await?;
    let manifest = Manifest::decode(&bytes).map_err(|error| {
        let message = format!("{digest} is no manifest of a folder: {error}");
        Failure::new(Exit::Failed, message)
    })?;
    let part = part_of(folder, digest);
    let progress = Progress::new(form, manifest.bytes(), "downloading");
    for file in manifest.files() {
        let place = part.join(file.path.as_str());
        let unwritable = |error: std::io::Error| file_failure("write", &place, &error);
        if let Some(above) = place.parent() {
            std::fs::create_dir_all(above).map_err(unwritable)?;
        }
        if !is_there(&place, file).await? {
            download(link, file.sha256, &place, Form::Json).await?;
        }
        progress.inc(file.bytes);
    }
    progress.finish_and_clear();
    synced(&part).map_err(|error| file_failure("write", &part, &error))?;
    std::fs::rename(&part, folder).map_err(|error| file_failure("write", folder, &error))?;
    Ok(manifest.bytes())
}

/// Whether an earlier try has fetched a file.
async fn is_there(place: &Path, file: &FileOf) -> Result<bool, Failure> {
    match std::fs::symlink_metadata(place) {
        Ok(known) if known.is_file() && known.len() == file.bytes => {
            Ok(measured(place, Form::Json).await?.0 == file.sha256)
        }
        Ok(_) | Err(_) => Ok(false),
    }
}

/// Names are on the disk when their folders are.
fn synced(folder: &Path) -> std::io::Result<()> {
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in std::fs::read_dir(&at)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(entry.path());
            }
        }
        std::fs::File::open(&at)?.sync_all()?;
    }
    Ok(())
}
