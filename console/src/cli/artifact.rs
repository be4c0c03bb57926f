//! `binnacle artifact`: files by their SHA-256, in the hub's store.

use std::path::{Path, PathBuf};

use binnacle_core::registry::{Artifact, Digest, Location};
use binnacle_core::view::Reference;
use binnacle_proto::v1 as proto;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::{Global, time, version};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

mod transfer;

pub(crate) use transfer::{bar, fetch, measured, store, upload};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Store a file; says its SHA-256. What was cut off goes on where it was.
    Upload {
        /// The file.
        file: PathBuf,
    },
    /// Fetch the files of a version, or a blob by its SHA-256; checked as they come.
    Download(Download),
    /// Read stored files and check their SHA-256; exit 1 where one is not what it was.
    Verify {
        /// Only the files of this version.
        version: Option<Reference>,
    },
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
    /// Where to.
    file: PathBuf,
}

/// A stored file that was read.
#[derive(Serialize)]
struct Verified {
    sha256: String,
    bytes: u64,
    versions: Vec<String>,
    fault: Option<String>,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::Upload { file } => {
                let (digest, bytes) = upload(&link, &file, form).await?;
                match form {
                    Form::Json => {
                        let item = serde_json::json!({"sha256": digest, "bytes": bytes});
                        let now_us = time::now_us();
                        output::json(&Document::new("binnacle.artifacts/v1", now_us, &[item]))?;
                    }
                    Form::Text => output::text(format!("{digest}  {bytes} bytes stored"))?,
                }
                Ok(Exit::Ok)
            }
            Self::Download(download) => download.run(&link, form).await,
            Self::Verify { version } => verify(&link, version, form).await,
            Self::Usage => collect(&link, false, form).await,
            Self::Collect { remove } => collect(&link, remove, form).await,
        }
    }
}

/// The stored blob of a version.
async fn stored(link: &Link, version: &Reference) -> Result<Digest, Failure> {
    let (row, _) = version::one(link, version).await?;
    match row.detail.artifact {
        Some(Artifact {
            location: Location::Stored,
            sha256,
            ..
        }) => Ok(sha256),
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
        let digest = match self.what.parse::<Reference>() {
            Ok(version) => stored(link, &version).await?,
            Err(_) => self.what.parse::<Digest>().map_err(|_| {
                let message = format!("{:?} is neither a version nor a SHA-256", self.what);
                Failure::new(Exit::Usage, message).hint("say fraud@7, or 64 hexadecimal digits")
            })?,
        };
        let bytes = transfer::download(link, digest, &self.file, form).await?;
        match form {
            Form::Json => {
                let item = serde_json::json!({"sha256": digest, "bytes": bytes});
                let now_us = time::now_us();
                output::json(&Document::new("binnacle.artifacts/v1", now_us, &[item]))?;
            }
            Form::Text => {
                output::text(format!("{bytes} bytes, checked: {}", self.file.display()))?;
            }
        }
        Ok(Exit::Ok)
    }
}

async fn verify(link: &Link, version: Option<Reference>, form: Form) -> Result<Exit, Failure> {
    let sha256 = match &version {
        Some(version) => stored(link, version).await?.0.to_vec(),
        None => Vec::new(),
    };
    // Reading all that is stored may take longer than an answer should.
    let asked = tonic::Request::new(proto::VerifyBlobsRequest {
        sha256: sha256.into(),
    });
    let mut stream = link.artifacts().verify(asked).await?.into_inner();
    let mut items = Vec::new();
    while let Some(blob) = stream.message().await? {
        let sha256 = Digest::try_from_bytes(&blob.sha256);
        let item = Verified {
            sha256: sha256.map(|digest| digest.to_string()).unwrap_or_default(),
            bytes: blob.bytes,
            versions: blob.versions,
            fault: Some(blob.fault).filter(|fault| !fault.is_empty()),
        };
        if form == Form::Text {
            let versions = item.versions.join(" ");
            output::text(match &item.fault {
                None => format!("+ OK    {}  {} bytes  {versions}", item.sha256, item.bytes),
                Some(fault) => format!("x FAULT {}  {versions}: {fault}", item.sha256),
            })?;
        }
        items.push(item);
    }
    let broken = items.iter().filter(|item| item.fault.is_some()).count();
    match form {
        Form::Json => {
            let now_us = time::now_us();
            output::json(&Document::new("binnacle.artifacts/v1", now_us, &items))?;
        }
        Form::Text => output::text(format!("{} read, {broken} damaged", items.len()))?,
    }
    Ok(match broken {
        0 => Exit::Ok,
        _ => Exit::Failed,
    })
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
