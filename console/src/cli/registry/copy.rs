//! `binnacle export` and `binnacle import`: the whole registry as JSON lines.
//!
//! Each line is one change with who, when and why. An import takes them over word for word, in
//! order, so that the export of an import is the same export. It is done again safely: each
//! line has its key. Files stay where they are: `binnacle artifact verify` names those that the
//! other hub does not have.

use std::io::{BufRead as _, Write as _};

use binnacle_proto::v1 as proto;
use clap::Args;
use proto::registry_command::Command;

use super::How;
use crate::cli::Global;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

/// Write the whole registry as JSON lines.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Where to; standard output without it.
    #[arg(long, value_name = "FILE")]
    file: Option<std::path::PathBuf>,
}

/// Take over what another hub exported, into an empty registry; stored files do not come along.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The export; - reads standard input.
    file: std::path::PathBuf,
}

impl Export {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let link = global.link().await?;
        // The time limit is for an answer, and an export may be long.
        let asked = tonic::Request::new(proto::ExportRequest {});
        let mut lines = link.registry().export(asked).await?.into_inner();
        let mut out: Box<dyn std::io::Write> = match &self.file {
            Some(path) => {
                let made = std::fs::File::create(path).map_err(|error| {
                    let what = format!("cannot write {}: {error}", path.display());
                    Failure::new(Exit::Failed, what)
                })?;
                Box::new(std::io::BufWriter::new(made))
            }
            None => Box::new(std::io::BufWriter::new(std::io::stdout().lock())),
        };
        while let Some(line) = lines.message().await? {
            out.write_all(&line.line)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(Exit::Ok)
    }
}

impl Import {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let link = global.link().await?;
        let unreadable = |error: std::io::Error| {
            let what = format!("cannot read {}: {error}", self.file.display());
            Failure::new(Exit::Failed, what)
        };
        let input: Box<dyn std::io::BufRead> = match self.file.as_os_str() == "-" {
            true => Box::new(std::io::BufReader::new(std::io::stdin())),
            false => {
                let file = std::fs::File::open(&self.file).map_err(unreadable)?;
                Box::new(std::io::BufReader::new(file))
            }
        };
        let (mut taken, mut known) = (0_u64, 0_u64);
        for (at, line) in (1_u64..).zip(input.lines()) {
            let line = line.map_err(unreadable)?;
            if line.trim().is_empty() {
                continue;
            }
            let how = How {
                idempotency_key: key(at, &line),
                ..How::default()
            };
            let changed = how
                .ask(&link, Command::Import(line.into_bytes().into()))
                .await;
            let changed = changed.map_err(|failure| Failure {
                message: format!("line {at}: {}", failure.message),
                hint: "the lines before it were taken over; the same command goes on from there"
                    .into(),
                ..failure
            })?;
            match changed.changed {
                true => taken += 1,
                false => known += 1,
            }
        }
        match global.form() {
            Form::Json => {
                let item = serde_json::json!({"imported": taken, "known": known});
                let now_us = crate::cli::time::now_us();
                output::json(&Document::new("binnacle.import/v1", now_us, &[item]))?;
            }
            Form::Text => output::text(format!(
                "{taken} changes were taken over, {known} had been before"
            ))?,
        }
        Ok(Exit::Ok)
    }
}

/// The same line at the same place has the same key: an import that was cut off goes on.
fn key(at: u64, line: &str) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(line.as_bytes());
    let short: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("import {at} {short}")
}
