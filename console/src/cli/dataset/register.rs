//! `binnacle dataset register`: read a data set once, and register what was found.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use binnacle_core::drift::{Replayed, replay};
use binnacle_core::name::Name;
use binnacle_core::registry::{Column, Columns, DataSetDetail, Digest, Line, Prose, Span};
use binnacle_data::{DataError, Options, Progress, Registered, Source, Type, read};
use binnacle_hub::artifact::{ArtifactUrl, Cloud};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::Args;
use proto::registry_command::Command;

use crate::cli::registry::{How, document as documents, pair};
use crate::cli::{artifact, time};
use crate::link::{Link, blob};
use crate::outcome::{Exit, Failure};
use crate::output::Form;

/// What the sample is drawn from where nobody says: the same for all, so that the same content
/// has the same profile wherever it is registered.
const SEED: u64 = 0;

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what"))]
pub(crate) struct Register {
    /// Its name; a new one is named by its first version.
    name: String,
    /// The file, here or in an object store (s3://, gs://, az://): Parquet, CSV or JSON lines, also
    /// packed with gzip or zstd. It is read once, for its rows, columns, digest and profile; it
    /// stays where it is.
    #[arg(long, value_name = "FILE", group = "what")]
    file: Option<PathBuf>,
    /// What is said of data that is not read here, in a TOML or JSON file: location, format, …
    #[arg(long, value_name = "FILE", group = "what")]
    document: Option<PathBuf>,
    /// Where others find the file; its path on this machine without it. Without --file, the object
    /// that is read.
    #[arg(long, value_name = "URL", conflicts_with = "document")]
    location: Option<String>,
    /// The column that tells when a row was recorded; the first one of times without it.
    #[arg(long, value_name = "COLUMN", conflicts_with = "document")]
    time: Option<String>,
    /// The type of a column: boolean, integer, number, text, time or tensor; may be given
    /// more than once.
    #[arg(
        long = "type",
        value_name = "COLUMN=TYPE",
        value_parser = pair,
        conflicts_with = "document"
    )]
    types: Vec<(String, String)>,
    /// Leave a column out of schema, digest and profile; may be given more than once.
    #[arg(long, value_name = "COLUMN", conflicts_with = "document")]
    without: Vec<String>,
    /// When it was recorded: 2026-01-31T03:12:00Z, 10m.
    #[arg(long, value_name = "TIME", value_parser = time::moment, conflicts_with = "document")]
    recorded: Option<time::Moment>,
    /// What others should know.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true,
        conflicts_with = "document"
    )]
    notes: String,
    #[command(flatten)]
    how: How,
}

fn wrong(error: impl ToString) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}

/// Has each feature held against its own past: one that moves there is no coin, and is held against
/// the hours of the week later.
fn look_back(found: &mut Registered) {
    for past in &found.past {
        let mut features = found.profile.features.iter_mut();
        if let Some(feature) = features.find(|feature| feature.name == past.name)
            && feature.hours.is_some()
            && let Replayed::Moves { after } = replay(past)
        {
            feature.moves_after = Some(after);
        }
    }
}

impl Register {
    pub(crate) async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let object = self.location.as_deref().map(PathBuf::from);
        let detail = match (self.file.as_ref().or(object.as_ref()), &self.document) {
            (Some(file), _) => self.found(link, file, form).await?,
            (None, Some(said)) => documents::file(said)?,
            (None, None) => {
                let hint = "--file reads a table here, --location one in an object store, and \
                            --document takes what you say of data that is not read";
                return Err(wrong("nothing says where the data are").hint(hint));
            }
        };
        let command = Command::RegisterDataSet(document(&self.name, &detail));
        self.how
            .tell(link, command, &self.name, "registered", form)
            .await
    }

    /// Reads the file, and stores its profile.
    async fn found(&self, link: &Link, file: &Path, form: Form) -> Result<DataSetDetail, Failure> {
        let mut found = whole(file, self.options()?, form).await?;
        look_back(&mut found);
        let profile = found.profile.encode();
        let profile = match self.how.dry_run {
            true => None,
            false => Some(blob::store(link, &profile).await?),
        };
        let line = |text: &str| Line::parse(text).map_err(wrong);
        let location = match &self.location {
            Some(location) => location.clone(),
            None if in_cloud(file).is_some() => file.display().to_string(),
            None => {
                let path = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
                format!("file://{}", path.display())
            }
        };
        let columns = found.columns.iter().map(|column| {
            Ok(Column {
                name: line(&column.name)?,
                kind: line(column.kind.word())?,
                nullable: column.nullable,
            })
        });
        let columns: Vec<Column> = columns.collect::<Result<_, Failure>>()?;
        let recorded = self.recorded.map(|at| at.us(time::now_us()));
        Ok(DataSetDetail {
            location: line(&location)?,
            format: format(file)?,
            digest: Some(Digest(found.digest)),
            rows: Some(found.rows),
            bytes: Some(found.bytes),
            span: self.span(&found)?,
            columns: Columns::parse(columns).map_err(wrong)?,
            recorded_at_us: recorded,
            profile,
            notes: Prose::parse(&self.notes).map_err(wrong)?,
        })
    }

    fn options(&self) -> Result<Options, Failure> {
        let mut types = BTreeMap::new();
        for (column, word) in &self.types {
            types.insert(column.clone(), word.parse::<Type>().map_err(wrong)?);
        }
        Ok(Options {
            seed: SEED,
            time: self.time.clone(),
            types,
            without: self.without.iter().cloned().collect::<BTreeSet<_>>(),
        })
    }

    fn span(&self, found: &Registered) -> Result<Option<Span>, Failure> {
        let Some((from_us, to_us)) = found.span_us else {
            return Ok(None);
        };
        let first = found
            .columns
            .iter()
            .find(|column| column.kind == Type::Time);
        let column = self
            .time
            .as_deref()
            .or(first.map(|column| column.name.as_str()));
        Ok(Some(Span {
            column: Line::parse(column.unwrap_or_default()).map_err(wrong)?,
            from_us,
            to_us,
        }))
    }
}

/// The URL of an object in a store, where a path is one.
fn in_cloud(path: &Path) -> Option<ArtifactUrl> {
    let url = path.to_str()?.parse().ok()?;
    matches!(url, ArtifactUrl::Cloud(_)).then_some(url)
}

/// What is read: a file here, or an object in a store, settled as its cloud's own tools are.
fn source(path: &Path) -> Result<Source, Failure> {
    match in_cloud(path).or_else(|| path.to_str()?.parse().ok()) {
        Some(ArtifactUrl::Cloud(url)) => {
            let cloud = Cloud::open(&url).map_err(|error| Failure::of(Exit::Usage, &error))?;
            Ok(Source::Object {
                store: cloud.store,
                path: cloud.path,
                runtime: tokio::runtime::Handle::current(),
            })
        }
        Some(ArtifactUrl::Folder(file)) => Ok(Source::File(file)),
        None => Ok(Source::File(path.to_owned())),
    }
}

/// The format that the name says; it was read as that by now.
fn format(file: &Path) -> Result<Name, Failure> {
    let name = file.to_string_lossy();
    let name = name
        .trim_end_matches(".gz")
        .trim_end_matches(".zst")
        .trim_end_matches(".zstd");
    let word = match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("csv") => "csv",
        Some("tsv") => "tsv",
        Some("jsonl" | "ndjson" | "json") => "jsonl",
        Some(_) | None => "parquet",
    };
    Name::parse(word).map_err(wrong)
}

/// Reads a data set, with progress; Ctrl-C ends it between two blocks.
pub(crate) async fn whole(
    file: &Path,
    options: Options,
    form: Form,
) -> Result<Registered, Failure> {
    let source = source(file)?;
    let bar = artifact::Progress::new(form, 0, "reading");
    let is_interrupted = Arc::new(AtomicBool::new(false));
    let (shown, stop) = (bar.clone(), is_interrupted.clone());
    let mut reading = tokio::task::spawn_blocking(move || {
        read(&source, &options, &mut |progress: Progress| {
            shown.set_length(progress.of_bytes);
            shown.set_position(progress.bytes);
            match stop.load(Ordering::Relaxed) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
    });
    let ended = tokio::select! {
        ended = &mut reading => ended,
        _ = tokio::signal::ctrl_c() => {
            is_interrupted.store(true, Ordering::Relaxed);
            let _ended = reading.await;
            bar.finish_and_clear();
            let message = "interrupted: nothing was registered";
            return Err(Failure::new(Exit::Interrupted, message));
        }
    };
    bar.finish_and_clear();
    let found = ended.map_err(|error| Failure::of(Exit::Failed, &error))?;
    found.map_err(|error: DataError| Failure::of(Exit::Failed, &error))
}
