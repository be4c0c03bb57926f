//! `binnacle version`: immutable, numbered artifacts of a model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use binnacle_core::name::Name;
use binnacle_core::registry::{
    Artifact, Digest, Line, Location, Manifest, Metrics, Parameters, Prose, Signature, Source,
    Trained, TrainedOn, VersionDetail,
};
use binnacle_core::view::facts::{self, Figures};
use binnacle_core::view::{Reference, VersionItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::{Args, Subcommand};
use proto::registry_command::Command;

use crate::cli::Global;
use crate::cli::artifact::{self, Fate};
use crate::cli::header;
use crate::cli::model::standing;
use crate::cli::registry::edit::Edit;
use crate::cli::registry::{
    self, Change, Down, History, How, Lineage, NONE_CHOSEN, Wanted, Way, document as documents,
    pair,
};
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

mod compare;
mod golden;
mod notes;

const KIND: proto::ObjectKind = proto::ObjectKind::Model;
const MISSING: &str = "`binnacle version list --model MODEL` shows those that are";

/// What to do where nothing tells a format; nothing has been sent by then.
const SAY_FORMAT: &str = "say it with --format, as in --format onnx; nothing was sent";

const LIST: &str = "\
Examples:
  binnacle version list fraud --filter 'metric.auc>0.9 standing=active'
  binnacle version list fraud --sort metric.auc:desc
  binnacle version list fraud --filter 'dataset=transactions@3 param.depth>=7'

Fields: version number standing registered by revision alias author run commit notes dataset
featureset parent format sha256 bytes metric.NAME param.NAME.";
const REGISTER: &str = "\
Examples:
  binnacle version register --model fraud --file model.onnx --metric auc=0.97 \\
      --dataset transactions@3:train --featureset fraud-features@2 --commit 4f1c2e9
  binnacle version register --model fraud --url s3://models/fraud.onnx --sha256 HEX
  binnacle version register --model fraud --file model.onnx --golden golden.jsonl
  binnacle version register --model fraud --file model.onnx --dry-run

A pipeline that may run again says --idempotency-key RUN: the same key registers once.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The versions of a model, newest first, with their metrics side by side.
    #[command(after_long_help = LIST)]
    List(List),
    /// One version, with all that is said of it.
    Show {
        /// Which, as in fraud@7.
        version: Reference,
    },
    /// Register a version: it gets the model's next number, and never changes.
    #[command(after_long_help = REGISTER)]
    Register(Box<Register>),
    /// Two versions side by side, and what differs.
    Compare {
        /// One.
        left: Reference,
        /// The other.
        right: Reference,
    },
    /// Replace the notes of a version.
    Note(Note),
    /// Give a version golden requests: it is ready only where a host answers them as it should.
    #[command(after_long_help = golden::HELP)]
    Golden(golden::Golden),
    /// Change the notes of a version, the one part of it that changes: --set notes=TEXT, a file
    /// with `notes`, or the editor.
    Edit(Changed),
    /// Say that a version should not be used any more.
    Deprecate(Change),
    /// Let a deprecated version be used again.
    Restore(Change),
    /// Who changed what about a version, newest first.
    History(History),
    /// What a version was made from; with --uses, what was made from it.
    Lineage(Lineage),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Whose.
    #[arg(required_unless_present = "of")]
    model: Option<String>,
    /// The same, as in other commands.
    #[arg(
        long = "model",
        id = "of",
        value_name = "NAME",
        conflicts_with = "model"
    )]
    of: Option<String>,
    #[command(flatten)]
    wanted: Wanted,
}

#[derive(Args, Debug)]
pub(crate) struct Note {
    /// Which, as in fraud@7.
    version: Reference,
    /// What they now say.
    text: String,
    #[command(flatten)]
    how: How,
}

#[derive(Args, Debug)]
pub(crate) struct Changed {
    /// Which, as in fraud@7.
    version: Reference,
    #[command(flatten)]
    edit: Edit,
    #[command(flatten)]
    how: How,
}

#[derive(Args, Debug)]
pub(crate) struct Register {
    /// Of which model.
    #[arg(long, value_name = "NAME")]
    model: String,
    /// Its file or folder: uploaded to the hub's store. An ONNX file tells its signature by itself.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    file: Option<PathBuf>,
    /// Store the files of the archive at --file: .tar, .tar.gz, .tar.zst or .zip.
    #[arg(long, requires = "file")]
    unpack: bool,
    /// Where its files are: s3://, gs://, az://, https:// or file:// on the hub.
    #[arg(long, value_name = "URL", requires = "sha256")]
    url: Option<String>,
    /// The SHA-256 of the files at --url.
    #[arg(long, value_name = "HEX", requires = "url")]
    sha256: Option<Digest>,
    /// How many bytes there are at --url; without it any number is taken.
    #[arg(
        long,
        value_name = "N",
        requires = "url",
        default_value_t = 0,
        hide_default_value = true
    )]
    bytes: u64,
    /// What the files are: onnx, safetensors, pickle, …; guessed from the name without it.
    #[arg(long, value_name = "NAME")]
    format: Option<Name>,
    /// A data set and its role, as in transactions@3:train; may be given more than once. Roles:
    /// train, validation, test, predictions (what it answered before it served, a column for each
    /// output: what it answers then is held against it).
    #[arg(long, value_name = "REF:ROLE")]
    dataset: Vec<Trained>,
    /// The feature vector that it is given, as in fraud-features@2.
    #[arg(long, value_name = "REF")]
    featureset: Option<Reference>,
    /// The version that it was made from.
    #[arg(long, value_name = "REF")]
    parent: Option<Reference>,
    /// What it was measured to do, as in auc=0.97; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    metric: Vec<(String, String)>,
    /// What it was trained with; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    param: Vec<(String, String)>,
    /// Its inputs and outputs, in a TOML or JSON file.
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Golden requests, as JSON lines: {"request": {…}, "response": {…}, "tolerance": 0.001}.
    #[arg(long, value_name = "FILE")]
    golden: Option<PathBuf>,
    /// The training run, as its tracker names it.
    #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
    run: String,
    /// The commit of the code.
    #[arg(
        long,
        value_name = "HASH",
        default_value = "",
        hide_default_value = true
    )]
    commit: String,
    /// Who trained it.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    author: String,
    /// What others should know.
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    notes: String,
    #[command(flatten)]
    how: How,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List(list) => list.run(&link, form).await,
            Self::Show { version } => show(&link, &version, form).await,
            Self::Register(register) => register.run(&link, form).await,
            Self::Compare { left, right } => {
                let (left, _) = one(&link, &left).await?;
                let (right, as_of_us) = one(&link, &right).await?;
                compare::tell(&left, &right, as_of_us, form)
            }
            Self::Note(note) => {
                let notes = Prose::parse(&note.text).map_err(wrong)?;
                let command = Command::NoteVersion(document(&note.version, &notes));
                let name = note.version.to_string();
                note.how.tell(&link, command, &name, "noted", form).await
            }
            Self::Golden(golden) => golden.run(&link, form).await,
            Self::Edit(changed) => {
                let subject = notes::Notes(&changed.version);
                changed.edit.run(&subject, changed.how, &link, global).await
            }
            Self::Deprecate(change) => change.of_version()?.deprecate(&link, KIND, form).await,
            Self::Restore(change) => change.of_version()?.restore(&link, KIND, form).await,
            Self::History(history) => history.run(&link, KIND, form).await,
            Self::Lineage(lineage) => lineage.run(&link, KIND, Way::Sources, form).await,
        }
    }
}

fn wrong(error: impl ToString) -> Failure {
    Failure::new(Exit::Usage, error.to_string())
}

/// One version, with its detail.
pub(crate) async fn one(link: &Link, version: &Reference) -> Result<(VersionItem, i64), Failure> {
    registry::row(link, proto::Noun::Versions, &version.to_string(), MISSING).await
}

impl List {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let model = self.model.or(self.of).unwrap_or_default();
        registry::whole("version", &model)?;
        let asked = proto::ListRequest {
            name: model.clone(),
            ..self.wanted.ask(proto::Noun::Versions, Down::Yes)?
        };
        let (rows, as_of_us) = registry::rows::<VersionItem>(link, asked).await?;
        match form {
            Form::Json => output::json(&Document::new("binnacle.versions/v1", as_of_us, &rows))?,
            Form::Text if rows.is_empty() && self.wanted.is_choosy() => {
                output::text(NONE_CHOSEN)?;
            }
            Form::Text if rows.is_empty() => {
                output::text(format!(
                    "no versions: `binnacle version register --model {model} …` adds one"
                ))?;
            }
            Form::Text => output::text(table(&rows, as_of_us))?,
        }
        Ok(Exit::Ok)
    }
}

fn table(rows: &[VersionItem], as_of_us: i64) -> String {
    let columns = [
        Column::Left("VERSION"),
        Column::Left("ALIASES"),
        Column::Left("METRICS"),
        Column::Spare("TRAINED ON"),
        Column::Spare("FEATURES"),
        Column::Left("BY"),
        Column::Right("AGE"),
        Column::Left("STANDING"),
    ];
    let cells = |row: &VersionItem| {
        let numbered = &row.numbered;
        let aliases: Vec<&str> = row.aliases.iter().map(Name::as_str).collect();
        let metrics = row.detail.metrics.iter();
        let metrics: Vec<String> = metrics
            .map(|(name, value)| format!("{} {value}", shown(name.as_str())))
            .collect();
        let trained: Vec<String> = row
            .detail
            .data_sets
            .iter()
            .map(ToString::to_string)
            .collect();
        let features = row.detail.feature_set.as_ref();
        vec![
            numbered.version.to_string(),
            aliases.join(" "),
            metrics.join("  "),
            trained.join(" "),
            features.map(ToString::to_string).unwrap_or_default(),
            shown(&numbered.registered_by),
            format::age(as_of_us - numbered.at_us),
            standing(numbered.deprecated.as_deref()),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}

async fn show(link: &Link, version: &Reference, form: Form) -> Result<Exit, Failure> {
    let (row, as_of_us) = one(link, version).await?;
    match form {
        Form::Json => output::json(&Document::new("binnacle.versions/v1", as_of_us, &[row]))?,
        Form::Text => output::text(page(&row, as_of_us))?,
    }
    Ok(Exit::Ok)
}

fn page(row: &VersionItem, as_of_us: i64) -> String {
    let (numbered, detail) = (&row.numbered, &row.detail);
    let aliases: Vec<&str> = row.aliases.iter().map(Name::as_str).collect();
    let mut lines = vec![
        format!(
            "{}  {}  {}",
            numbered.version,
            aliases.join(" "),
            standing(numbered.deprecated.as_deref())
        ),
        format!(
            "  registered   {} ago by {}, journal {}",
            format::age(as_of_us - numbered.at_us),
            shown(&numbered.registered_by),
            numbered.sequence
        ),
    ];
    let said = facts::page(detail, FIGURES).into_iter();
    lines.extend(said.map(|(what, value)| format!("  {what:<12} {value}")));
    let notes = detail.notes.as_str().lines();
    lines.extend(notes.map(|line| format!("  {}", shown(line))));
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

/// Figures to the last digit: what is printed is read by scripts, too.
const FIGURES: Figures = Figures {
    metric: |value| value.to_string(),
    bytes: |bytes| format!("{bytes} bytes"),
};

impl Register {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let mut detail = self.detail(self.signature()?)?;
        let count = self.golden.as_deref().map(golden::count).transpose()?;
        self.would_be_taken(link, &detail).await?;
        let taking = self.artifact(link, form);
        detail.artifact = artifact::unless_interrupted(Box::pin(taking), artifact::GOES_ON).await?;
        if let Some((path, requests)) = self.golden.as_deref().zip(count) {
            let fate = self.fate();
            let taking = golden::given(link, path, requests, fate, form);
            let taken = artifact::unless_interrupted(Box::pin(taking), artifact::GOES_ON).await?;
            detail.golden = Some(taken);
        }
        let command = Command::RegisterVersion(document(&self.model, &detail));
        self.how
            .tell(link, command, &self.model, "registered", form)
            .await
    }

    /// Has the hub refuse what it would refuse whatever the files are, before they are sent. Not
    /// under a key: what was done before under it is not judged again.
    async fn would_be_taken(&self, link: &Link, detail: &VersionDetail) -> Result<(), Failure> {
        if self.file.is_none() || !self.how.idempotency_key.is_empty() {
            return Ok(());
        }
        let how = How {
            dry_run: true,
            ..self.how.clone()
        };
        let command = Command::RegisterVersion(document(&self.model, detail));
        how.ask(link, command).await.map(drop)
    }

    /// All that is said of it but its files.
    fn detail(&self, signature: Signature) -> Result<VersionDetail, Failure> {
        let line = |text: &str| Line::parse(text).map_err(wrong);
        let mut metrics = BTreeMap::new();
        for (name, value) in &self.metric {
            let number = value.parse::<f64>();
            let number =
                number.map_err(|_| wrong(format!("metric {name}: {value:?} is no number")))?;
            metrics.insert(line(name)?, number);
        }
        let mut parameters = BTreeMap::new();
        for (name, value) in &self.param {
            parameters.insert(line(name)?, line(value)?);
        }
        Ok(VersionDetail {
            artifact: None,
            signature,
            metrics: Metrics::parse(metrics).map_err(wrong)?,
            parameters: Parameters::parse(parameters).map_err(wrong)?,
            source: Source {
                run: line(&self.run)?,
                commit: line(&self.commit)?,
                author: line(&self.author)?,
            },
            data_sets: TrainedOn::parse(self.dataset.clone()).map_err(wrong)?,
            feature_set: self.featureset.clone(),
            parent: self.parent.clone(),
            golden: None,
            notes: Prose::parse(&self.notes).map_err(wrong)?,
        })
    }

    fn fate(&self) -> Fate {
        match self.how.dry_run {
            true => Fate::Measured,
            false => Fate::Stored,
        }
    }

    /// What the files are: as was said, or as their name tells.
    fn format(&self, name: &str) -> Result<Name, Failure> {
        let format = self.format.clone().or_else(|| guessed(name));
        format.ok_or_else(|| {
            let message = format!("the name {} does not tell what the file is", shown(name));
            Failure::new(Exit::Usage, message).hint(SAY_FORMAT)
        })
    }

    /// What goes in and out, as was said, or as the file itself tells. A file that is not what it
    /// is called is refused before a byte of it is sent.
    fn signature(&self) -> Result<Signature, Failure> {
        let mut told = Signature::default();
        if let Some(path) = self
            .file
            .as_ref()
            .filter(|path| !path.is_dir() && !self.unpack)
        {
            let format = self.format(&path.to_string_lossy())?;
            told = header::check(path, &format).map_err(|what| {
                let message = format!("{} is not taken: {what}", shown(&path.to_string_lossy()));
                Failure::new(Exit::Usage, message).hint("say what the file is with --format")
            })?;
        }
        match &self.signature {
            Some(path) => documents::file::<Signature>(path),
            None => Ok(told),
        }
    }

    /// Where the files are; those that are here are uploaded: a version is never registered
    /// before its files are there.
    async fn artifact(&self, link: &Link, form: Form) -> Result<Option<Artifact>, Failure> {
        if let Some(path) = &self.file {
            let fate = self.fate();
            let fits = |manifest: &Manifest| self.format_of(manifest).map(drop);
            let given = artifact::given(link, path, self.unpack, fate, fits, form).await?;
            let (location, format) = match &given.manifest {
                None => (Location::Stored, self.format(&path.to_string_lossy())?),
                Some(manifest) => (Location::Folder, self.format_of(manifest)?),
            };
            return Ok(Some(Artifact {
                location,
                format,
                sha256: given.sha256,
                bytes: given.bytes,
            }));
        }
        let (Some(url), Some(sha256)) = (&self.url, self.sha256) else {
            return Ok(None);
        };
        let format = self.format(url)?;
        Ok(Some(Artifact {
            location: Location::referred(url).map_err(wrong)?,
            format,
            sha256,
            bytes: self.bytes,
        }))
    }

    /// What a folder's files are: the one format that their names tell.
    fn format_of(&self, manifest: &Manifest) -> Result<Name, Failure> {
        if let Some(format) = &self.format {
            return Ok(format.clone());
        }
        let files = manifest.files().iter();
        let told: BTreeSet<Name> = files
            .filter_map(|file| guessed(file.path.as_str()))
            .collect();
        let why = match (told.first(), told.len()) {
            (Some(only), 1) => return Ok(only.clone()),
            (None, _) => "no name in it tells what its files are".to_owned(),
            (Some(_), _) => {
                let told: Vec<&str> = told.iter().map(Name::as_str).collect();
                format!("the names in it tell of {}", told.join(" and "))
            }
        };
        let path = self.file.as_deref().unwrap_or(Path::new("")).display();
        let message = format!("{} is of no one format: {why}", shown(&path.to_string()));
        Err(Failure::new(Exit::Usage, message).hint(SAY_FORMAT))
    }
}

/// The format that a file's name tells.
pub(crate) fn guessed(path: &str) -> Option<Name> {
    let (_, extension) = path.rsplit_once('.')?;
    let format = match extension {
        "onnx" | "safetensors" | "joblib" | "gguf" => extension,
        "pkl" | "pickle" => "pickle",
        "pt" | "pth" => "torch",
        "h5" | "keras" => "keras",
        "bst" | "ubj" => "xgboost",
        _ => return None,
    };
    Name::parse(format).ok()
}
