//! `binnacle export` and `binnacle import`: the whole registry as JSON lines.
//!
//! Each line is one change with who, when and why. An import takes them over word for word, in
//! order, so that the export of an import is the same export. It is done again safely, by
//! whomever and whenever: what the hub would export itself is not sent again. Nothing is sent
//! before every line was read. Files stay where they are: `binnacle artifact verify` names those
//! that the other hub does not have.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use binnacle_proto::v1 as proto;
use binnacle_wire::registry::{document_to, line_from};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use proto::registry_command::Command;
use sha2::{Digest as _, Sha256};

use super::How;
use crate::cli::{Global, time};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

/// Bytes of a line at most: what a hub takes in one message.
const MAX_LINE: u64 = 4 << 20;
/// Lines between two signs of life where no terminal is.
const EVERY: u64 = 1_000;

/// Write the whole registry as JSON lines.
#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Where to, whole or not at all; standard output without it.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Take over what another hub exported; stored files do not come along.
#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The export; - reads standard input.
    file: PathBuf,
    /// Read every line and say what would be taken over, and do not do it.
    #[arg(long)]
    dry_run: bool,
}

/// SHA-256 over a line.
type LineDigest = [u8; 32];

impl Export {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let link = global.link().await?;
        let Some(path) = &self.file else {
            let mut out = io::BufWriter::new(io::stdout().lock());
            each_line(&link, |line| Ok(writeln(&mut out, line)?)).await?;
            out.flush()?;
            return Ok(Exit::Ok);
        };
        let cannot = |error: io::Error| {
            let what = format!("cannot write {}: {error}", path.display());
            Failure::new(Exit::Failed, what)
        };
        // Beside where it will lie: what is cut off never looks like an export.
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let made = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
        let mut out = io::BufWriter::new(made);
        let mut progress = Progress::new(global.form(), "exported", 0);
        let mut lines = 0_u64;
        each_line(&link, |line| {
            lines += 1;
            progress.at(lines);
            writeln(&mut out, line).map_err(cannot)
        })
        .await?;
        progress.end();
        let made = out
            .into_inner()
            .map_err(|error| cannot(error.into_error()))?;
        made.as_file().sync_all().map_err(cannot)?;
        made.persist(path).map_err(|error| cannot(error.error))?;
        match global.form() {
            Form::Json => {
                let item = serde_json::json!({"exported": lines, "file": path});
                output::json(&Document::new(
                    "binnacle.export/v1",
                    time::now_us(),
                    &[item],
                ))?;
            }
            Form::Text => output::text(format!("{lines} changes in {}", path.display()))?,
        }
        Ok(Exit::Ok)
    }
}

fn writeln(out: &mut impl io::Write, line: &[u8]) -> io::Result<()> {
    out.write_all(line)?;
    out.write_all(b"\n")
}

/// Every line that a hub exports.
async fn each_line(
    link: &Link,
    mut take: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // The time limit is for an answer, and an export may be long.
    let asked = tonic::Request::new(proto::ExportRequest {});
    let mut lines = link.registry().export(asked).await?.into_inner();
    while let Some(line) = lines.message().await? {
        take(&line.line)?;
    }
    Ok(())
}

impl Import {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let mut file = self.open()?;
        let mut lines = 0_u64;
        // All are read before the first is sent: a broken one changes nothing.
        self.each(&mut file, |_, _, _| {
            lines += 1;
            Ok(())
        })?;
        let link = global.link().await?;
        let mut known = HashMap::<LineDigest, u64>::new();
        each_line(&link, |line| {
            *known.entry(Sha256::digest(line).into()).or_default() += 1;
            Ok(())
        })
        .await?;
        let mut wanted = Vec::new();
        self.each(&mut file, |at, line, canonical| {
            let digest: LineDigest = Sha256::digest(canonical).into();
            match known.get_mut(&digest).filter(|count| **count > 0) {
                Some(count) => *count -= 1,
                None => wanted.push((at, line.position, line.bytes)),
            }
            Ok(())
        })?;
        let taken = match self.dry_run {
            true => wanted.len() as u64,
            false => self.take(&mut file, &link, &wanted, global.form()).await?,
        };
        self.tell(taken, lines - wanted.len() as u64, global.form())
    }

    fn tell(&self, taken: u64, before: u64, form: Form) -> Result<Exit, Failure> {
        match form {
            Form::Json => {
                let item = serde_json::json!({
                    "imported": taken,
                    "known": before,
                    "dry_run": self.dry_run,
                });
                output::json(&Document::new(
                    "binnacle.import/v1",
                    time::now_us(),
                    &[item],
                ))?;
            }
            Form::Text if self.dry_run => output::text(format!(
                "{taken} changes would be taken over, {before} were before; nothing was changed"
            ))?,
            Form::Text => output::text(format!(
                "{taken} changes were taken over, {before} had been before"
            ))?,
        }
        Ok(Exit::Ok)
    }

    /// Sends the lines that are wanted, in order.
    async fn take(
        &self,
        file: &mut BufReader<File>,
        link: &Link,
        wanted: &[(u64, u64, u64)],
        form: Form,
    ) -> Result<u64, Failure> {
        let mut interrupted = std::pin::pin!(tokio::signal::ctrl_c());
        let mut progress = Progress::new(form, "imported", wanted.len() as u64);
        for (taken, (at, position, bytes)) in (0_u64..).zip(wanted) {
            file.seek(io::SeekFrom::Start(*position))
                .map_err(|error| self.unreadable(&error))?;
            let mut line = Vec::new();
            file.by_ref()
                .take(*bytes)
                .read_to_end(&mut line)
                .map_err(|error| self.unreadable(&error))?;
            let line = String::from_utf8_lossy(&line).trim().to_owned();
            let how = How {
                idempotency_key: key(*at, &line),
                ..How::default()
            };
            let goes_on =
                format!("{taken} lines were taken over; the same command goes on from there");
            let changed = tokio::select! {
                changed = how.ask(link, Command::Import(line.into_bytes().into())) => changed,
                _ = &mut interrupted => {
                    let failure = Failure::new(Exit::Interrupted, "interrupted");
                    return Err(failure.hint(goes_on));
                }
            };
            changed.map_err(|failure| Failure {
                message: format!("line {at}: {}", failure.message),
                hint: goes_on,
                ..failure
            })?;
            progress.at(taken + 1);
        }
        progress.end();
        Ok(wanted.len() as u64)
    }

    fn unreadable(&self, error: &io::Error) -> Failure {
        let what = format!("cannot read {}: {error}", self.file.display());
        Failure::new(Exit::Failed, what)
    }

    /// The export as a file that can be read again and again.
    fn open(&self) -> Result<BufReader<File>, Failure> {
        let file = match self.file.as_os_str() == "-" {
            false => File::open(&self.file),
            true => tempfile::tempfile().and_then(|mut kept| {
                io::copy(&mut io::stdin(), &mut kept)?;
                Ok(kept)
            }),
        };
        Ok(BufReader::new(
            file.map_err(|error| self.unreadable(&error))?,
        ))
    }

    /// Reads every line from the beginning: its number, where it stands, and the change that it
    /// is, written as a hub writes it.
    fn each(
        &self,
        file: &mut BufReader<File>,
        mut take: impl FnMut(u64, Stands, &[u8]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        file.rewind().map_err(|error| self.unreadable(&error))?;
        let (mut position, mut line) = (0_u64, Vec::new());
        for at in 1_u64.. {
            line.clear();
            let read = file
                .by_ref()
                .take(MAX_LINE + 1)
                .read_until(b'\n', &mut line);
            let bytes = read.map_err(|error| self.unreadable(&error))? as u64;
            if bytes == 0 {
                break;
            }
            let broken = |why: &str| {
                let what = format!("{}: line {at}: {why}", self.file.display());
                let hint = "nothing was taken over: mend the line, or export again";
                Failure::new(Exit::Usage, what).hint(hint)
            };
            if bytes > MAX_LINE {
                return Err(broken(&format!("it has over {} MiB", MAX_LINE >> 20)));
            }
            let text = line.trim_ascii();
            if !text.is_empty() {
                let change = line_from(text).map_err(|refused| broken(&refused.what))?;
                let stands = Stands { position, bytes };
                take(at, stands, &document_to(&change))?;
            }
            position += bytes;
        }
        Ok(())
    }
}

/// Where a line stands in its file.
#[derive(Clone, Copy)]
struct Stands {
    position: u64,
    bytes: u64,
}

/// The same line at the same place has the same key: what two imports send at once is done once.
fn key(at: u64, line: &str) -> String {
    let digest = Sha256::digest(line.as_bytes());
    let short: String = digest
        .iter()
        .take(16)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("import {at} {short}")
}

/// How far it has come: a bar on a terminal, a line now and then where there is none.
struct Progress {
    bar: ProgressBar,
    doing: &'static str,
    of: u64,
    tells_lines: bool,
}

impl Progress {
    fn new(form: Form, doing: &'static str, of: u64) -> Self {
        let has_terminal = io::stderr().is_terminal();
        let bar = match form == Form::Text && has_terminal {
            false => ProgressBar::hidden(),
            true => {
                let style = ProgressStyle::with_template("{msg} {pos}/{len} {bar:30} {eta}")
                    .expect("the template is a constant that was tried");
                let bar = match of {
                    0 => ProgressBar::no_length(),
                    of => ProgressBar::new(of),
                };
                bar.with_style(style).with_message(doing)
            }
        };
        Self {
            bar,
            doing,
            of,
            tells_lines: form == Form::Text && !has_terminal,
        }
    }

    fn at(&mut self, lines: u64) {
        self.bar.set_position(lines);
        if self.tells_lines && lines.is_multiple_of(EVERY) {
            let of = match self.of {
                0 => String::new(),
                of => format!(" of {of}"),
            };
            // Progress that nobody reads is no reason to stop.
            let _unheard = writeln!(io::stderr(), "{} {lines}{of} lines", self.doing);
        }
    }

    fn end(&self) {
        self.bar.finish_and_clear();
    }
}
