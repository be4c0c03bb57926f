//! `binnacle artifact verify`: files are read to their end and compared with their digests.

use binnacle_core::registry::Digest;
use binnacle_core::view::{Reference, shown};
use binnacle_proto::v1 as proto;
use clap::Args;
use proto::Finding;
use serde::Serialize;

use crate::cli::time;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

#[derive(Args, Debug)]
pub(crate) struct Verify {
    /// Only the files of this version.
    version: Option<Reference>,
    /// Leave out what lies elsewhere and is only referred to.
    #[arg(long)]
    stored: bool,
}

/// A file that was read.
#[derive(Serialize)]
struct Verified {
    sha256: String,
    bytes: u64,
    /// Where it lies, if that is not the hub's store.
    location: Option<String>,
    versions: Vec<String>,
    finding: &'static str,
    fault: Option<String>,
}

/// A word for each finding; one that a later hub may make is not taken for a good one.
fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::Whole => "whole",
        Finding::Damaged => "damaged",
        Finding::Unreachable => "unreachable",
        Finding::Unspecified => "unknown",
    }
}

impl Verify {
    pub(super) async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let version = self.version.map(|version| version.to_string());
        // Reading all that is stored may take longer than an answer should.
        let asked = tonic::Request::new(proto::VerifyBlobsRequest {
            version: version.unwrap_or_default(),
            stored_only: self.stored,
            ..Default::default()
        });
        let mut stream = link.artifacts().verify(asked).await?.into_inner();
        let mut items = Vec::new();
        while let Some(blob) = stream.message().await? {
            let finding = blob.finding();
            let sha256 = Digest::try_from_bytes(&blob.sha256);
            let item = Verified {
                sha256: sha256.map(|digest| digest.to_string()).unwrap_or_default(),
                bytes: blob.bytes,
                location: Some(blob.location).filter(|at| !at.is_empty()),
                versions: blob.versions,
                finding: word(finding),
                fault: Some(blob.fault).filter(|fault| !fault.is_empty()),
            };
            if form == Form::Text {
                output::text(line(&item, finding))?;
            }
            items.push(item);
        }
        let count = |finding| items.iter().filter(|item| item.finding == finding).count();
        let (damaged, unreachable) = (count("damaged"), count("unreachable"));
        match form {
            Form::Json => {
                let now_us = time::now_us();
                output::json(&Document::new("binnacle.artifacts/v1", now_us, &items))?;
            }
            Form::Text => output::text(format!(
                "{} files, {damaged} damaged, {unreachable} out of reach",
                items.len()
            ))?,
        }
        Ok(match (damaged, unreachable, count("unknown")) {
            (0, 0, 0) => Exit::Ok,
            (0, 1.., 0) => Exit::Unreachable,
            _ => Exit::Failed,
        })
    }
}

fn line(item: &Verified, finding: Finding) -> String {
    let at = item
        .location
        .as_deref()
        .map(|at| format!("  at {}", shown(at)));
    let (at, versions) = (at.unwrap_or_default(), item.versions.join(" "));
    let fault = shown(item.fault.as_deref().unwrap_or_default());
    let sha256 = &item.sha256;
    match finding {
        Finding::Whole => format!("+ OK      {sha256}  {} bytes  {versions}{at}", item.bytes),
        Finding::Damaged => format!("x DAMAGED {sha256}  {versions}{at}: {fault}"),
        Finding::Unreachable => format!("? UNKNOWN {sha256}  {versions}{at}: {fault}"),
        Finding::Unspecified => format!("? UNKNOWN {sha256}  {versions}{at}"),
    }
}
