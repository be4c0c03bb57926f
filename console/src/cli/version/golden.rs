//! The golden requests of a version: what it must answer before it serves, and each minute after.

use std::path::{Path, PathBuf};

use binnacle_core::registry::golden;
use binnacle_core::view::Reference;
use binnacle_wire::registry::document;
use clap::Args;

use binnacle_proto::v1::registry_command::Command;

use super::wrong;
use crate::cli::artifact::{self, Fate, GOES_ON, file_failure, unless_interrupted};
use crate::cli::registry::How;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::Form;

pub(super) const HELP: &str = "\
Examples:
  binnacle version golden fraud@7 golden.jsonl --reason 'the auditor\'s cases'
  binnacle version golden fraud@7 --none --reason 'the cases were wrong'

The file is JSON lines, each {\"request\": {…}, \"response\": {…}, \"tolerance\": 0.001}: bodies of
the Open Inference Protocol, at most 64 in 4 MiB. Hosts that serve the version ask them at once,
and each minute from then on.";

#[derive(Args, Debug)]
pub(crate) struct Golden {
    /// Which, as in fraud@7.
    version: Reference,
    /// The file of golden requests.
    #[arg(required_unless_present = "none")]
    file: Option<PathBuf>,
    /// Take those that it has away.
    #[arg(long, conflicts_with = "file")]
    none: bool,
    #[command(flatten)]
    how: How,
}

impl Golden {
    pub(crate) async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let given = match &self.file {
            None => None,
            Some(path) => {
                let requests = count(path)?;
                let fate = match self.how.dry_run {
                    true => Fate::Measured,
                    false => Fate::Stored,
                };
                let taking = Box::pin(given(link, path, requests, fate, form));
                Some(unless_interrupted(taking, GOES_ON).await?)
            }
        };
        let is = match &given {
            Some(golden) => format!("given {} golden requests", golden.requests),
            None => "left without golden requests".to_owned(),
        };
        let command = Command::GoldenVersion(document(&self.version, &given));
        let name = self.version.to_string();
        self.how.tell(link, command, &name, &is, form).await
    }
}

/// How many golden requests a file has; it is refused here where no host could read it.
pub(super) fn count(path: &Path) -> Result<u64, Failure> {
    let known = std::fs::metadata(path).map_err(|error| file_failure("read", path, &error))?;
    if known.len() > golden::BYTES_MOST {
        return Err(wrong(golden::NotGolden::TooLarge(known.len())));
    }
    let text = std::fs::read_to_string(path);
    let text = text.map_err(|error| file_failure("read", path, &error))?;
    golden::count(&text).map_err(wrong)
}

/// Stores a file of golden requests.
pub(super) async fn given(
    link: &Link,
    path: &Path,
    requests: u64,
    fate: Fate,
    form: Form,
) -> Result<golden::Golden, Failure> {
    let given = artifact::given(link, path, false, fate, |_| Ok(()), form).await?;
    Ok(golden::Golden {
        sha256: given.sha256,
        bytes: given.bytes,
        requests,
    })
}
