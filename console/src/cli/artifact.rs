//! `binnacle artifact`: files by their SHA-256, in the hub's store.

use std::path::{Path, PathBuf};

use binnacle_core::registry::{Artifact, Digest, Location, Manifest};
use binnacle_core::view::Reference;
use binnacle_proto::v1 as proto;
use clap::{Args, Subcommand};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::cli::{Global, time, version};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

mod download;
mod folder;
mod inspect;
mod list;
mod progress;
mod transfer;
mod unpack;
mod verify;

pub(crate) use progress::Progress;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Store a file or a folder; says its SHA-256. What was cut off goes on where it was.
    Upload {
        /// The file, or the folder.
        file: PathBuf,
        /// Take an archive's files as a folder: .tar, .tar.gz, .tar.zst or .zip.
        #[arg(long)]
        unpack: bool,
    },
    /// What a file says of itself, before it is registered.
    Inspect {
        /// The file.
        file: PathBuf,
    },
    /// Every stored file, with its size and the versions that refer to it.
    List,
    /// Fetch the files of a version, or a blob by its SHA-256; checked as they come.
    Download(Download),
    /// Read files, also where they lie elsewhere, and check their SHA-256; exit 1 where one is not
    /// what it was, 9 where one is out of reach.
    Verify(verify::Verify),
    /// What is stored, and what of it nothing refers to.
    Usage,
    /// Take away what nothing refers to and uploads that do not go on, both for a day.
    Collect {
        /// Take it away; without it, only say what would go.
        #[arg(long)]
        remove: bool,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Download {
    /// A version, as in fraud@7, or a SHA-256.
    what: String,
    /// Where to: a file, or a folder that is not there yet.
    file: PathBuf,
}

/// What was stored, or fetched.
#[derive(Serialize)]
struct Moved {
    sha256: Digest,
    bytes: u64,
    /// Files, where it is a folder.
    files: Option<usize>,
}

/// What was handed in, as it is stored.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) sha256: Digest,
    pub(crate) bytes: u64,
    /// The files of a folder.
    pub(crate) manifest: Option<Manifest>,
}

/// What is done with what was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is stored.
    Stored,
    /// It is only read.
    Measured,
}

/// Takes a file, a folder, or with `unpack` the files of an archive. `fits` sees what is in a
/// folder before a byte of it is sent, and may refuse it.
pub(crate) async fn given(
    link: &Link,
    path: &Path,
    unpack: bool,
    fate: Fate,
    fits: impl Fn(&Manifest) -> Result<(), Failure>,
    form: Form,
) -> Result<Given, Failure> {
    if unpack {
        let unpacked = unpack::unpacked(path).await?;
        return folded(link, unpacked.path(), fate, fits, form).await;
    }
    if path.is_dir() {
        return folded(link, path, fate, fits, form).await;
    }
    let (sha256, bytes) = match fate {
        Fate::Stored => transfer::upload(link, path, form).await?,
        Fate::Measured => transfer::measured(path, form).await?,
    };
    Ok(Given {
        sha256,
        bytes,
        manifest: None,
    })
}

async fn folded(
    link: &Link,
    path: &Path,
    fate: Fate,
    fits: impl Fn(&Manifest) -> Result<(), Failure>,
    form: Form,
) -> Result<Given, Failure> {
    let manifest = folder::manifest(path, form).await?;
    fits(&manifest)?;
    let sha256 = match fate {
        Fate::Stored => folder::upload(link, path, &manifest, form).await?,
        Fate::Measured => Digest(Sha256::digest(manifest.encode()).into()),
    };
    Ok(Given {
        sha256,
        bytes: manifest.bytes(),
        manifest: Some(manifest),
    })
}

/// Does something that Ctrl-C ends; `left` says what is left of it.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
    left: &str,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        _ = tokio::signal::ctrl_c() => {
            Err(Failure::new(Exit::Interrupted, "interrupted").hint(left))
        }
    }
}

/// What is left of a transfer that was interrupted.
pub(crate) const GOES_ON: &str = "the same command goes on where this stopped";

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::Upload { file, unpack } => {
                let storing = given(&link, &file, unpack, Fate::Stored, |_| Ok(()), form);
                let given = unless_interrupted(Box::pin(storing), GOES_ON).await?;
                Moved::from(given).tell("stored", form)
            }
            Self::Inspect { file } => inspect::inspect(&file, form),
            Self::List => list::list(&link, form).await,
            Self::Download(download) => download.run(&link, form).await,
            Self::Verify(verify) => verify.run(&link, form).await,
            Self::Usage => collect(&link, false, form).await,
            Self::Collect { remove } => collect(&link, remove, form).await,
        }
    }
}

impl From<Given> for Moved {
    fn from(given: Given) -> Self {
        Self {
            sha256: given.sha256,
            bytes: given.bytes,
            files: given.manifest.map(|manifest| manifest.files().len()),
        }
    }
}

impl Moved {
    fn tell(&self, what: &str, form: Form) -> Result<Exit, Failure> {
        match form {
            Form::Json => {
                let now_us = time::now_us();
                output::json(&Document::new("binnacle.artifacts/v1", now_us, &[self]))?;
            }
            Form::Text => {
                let files = self.files.map(|files| format!(" in {files} files"));
                output::text(format!(
                    "{}  {} bytes{} {what}",
                    self.sha256,
                    self.bytes,
                    files.unwrap_or_default()
                ))?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// How the files of a version are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    File,
    Folder,
}

/// The stored blob of a version.
async fn stored(link: &Link, version: &Reference) -> Result<(Digest, Layout), Failure> {
    let (row, _) = version::one(link, version).await?;
    match row.detail.artifact {
        Some(Artifact {
            location: Location::Stored,
            sha256,
            ..
        }) => Ok((sha256, Layout::File)),
        Some(Artifact {
            location: Location::Folder,
            sha256,
            ..
        }) => Ok((sha256, Layout::Folder)),
        Some(Artifact {
            location: Location::Referred(at),
            ..
        }) => {
            let message = format!("the files of {version} are not stored here, they lie at {at}");
            Err(Failure::new(Exit::NotFound, message).hint("fetch them from there"))
        }
        None => {
            let message = format!("{version} was registered without files");
            Err(Failure::new(Exit::NotFound, message))
        }
    }
}

impl Download {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let (sha256, layout) = match self.what.parse::<Reference>() {
            Ok(version) => stored(link, &version).await?,
            Err(_) => {
                let digest = self.what.parse::<Digest>().map_err(|_| {
                    let message = format!("{:?} is neither a version nor a SHA-256", self.what);
                    Failure::new(Exit::Usage, message).hint("say fraud@7, or 64 hexadecimal digits")
                })?;
                (digest, Layout::File)
            }
        };
        let file = &self.file;
        let bytes = match layout {
            Layout::File => {
                let fetching = download::download(link, sha256, file, form);
                unless_interrupted(Box::pin(fetching), GOES_ON).await?
            }
            Layout::Folder => {
                let fetching = folder::fetch_into(link, sha256, file, form);
                unless_interrupted(Box::pin(fetching), GOES_ON).await?
            }
        };
        let files = None;
        let moved = Moved {
            sha256,
            bytes,
            files,
        };
        moved.tell(&format!("checked: {}", file.display()), form)
    }
}

async fn collect(link: &Link, remove: bool, form: Form) -> Result<Exit, Failure> {
    let asked = link.question(proto::CollectRequest { remove });
    let found = link.artifacts().collect(asked).await?.into_inner();
    match form {
        Form::Json => {
            let item = serde_json::json!({
                "blobs": found.blobs,
                "bytes": found.bytes,
                "unreferenced_blobs": found.unreferenced_blobs,
                "unreferenced_bytes": found.unreferenced_bytes,
                "staged": found.staged,
                "staged_bytes": found.staged_bytes,
                "abandoned": found.abandoned,
                "abandoned_bytes": found.abandoned_bytes,
                "removed": found.removed,
            });
            let now_us = time::now_us();
            output::json(&Document::new(
                "binnacle.artifact-usage/v1",
                now_us,
                &[item],
            ))?;
        }
        Form::Text => {
            let fate = match found.removed {
                true => "taken away",
                false => "`binnacle artifact collect --remove` takes both away",
            };
            output::text(format!(
                "stored        {} files, {} bytes\n\
                 begun         {} uploads, {} bytes\n\
                 unreferenced  {} files, {} bytes, older than a day\n\
                 abandoned     {} uploads, {} bytes, for a day: {fate}",
                found.blobs,
                found.bytes,
                found.staged,
                found.staged_bytes,
                found.unreferenced_blobs,
                found.unreferenced_bytes,
                found.abandoned,
                found.abandoned_bytes,
            ))?;
        }
    }
    Ok(Exit::Ok)
}

/// A file that cannot be read or written.
pub(crate) fn file_failure(verb: &str, path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("cannot {verb} {}: {error}", path.display()),
    )
}
