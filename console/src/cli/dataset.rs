//! `binnacle dataset`: versioned data that models are trained on.

use binnacle_core::view::{DataSetItem, Reference, rfc3339, shown};
use binnacle_proto::v1 as proto;
use clap::Subcommand;
use proto::registry_command::Command;

use crate::cli::Global;
use crate::cli::model::standing;
use crate::cli::registry::set::{Changed, List, Sets};
use crate::cli::registry::{self, Change, Down, History, Lineage, NONE_CHOSEN, Wanted, Way};
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

mod register;

pub(crate) use register::whole;

const KIND: proto::ObjectKind = proto::ObjectKind::DataSet;
const MISSING: &str = "`binnacle dataset list` shows those that are";
const SETS: Sets = Sets {
    word: "dataset",
    noun: proto::Noun::DataSets,
    schema: "binnacle.datasets/v1",
    head: "DATA SET",
    none: "no data sets: `binnacle dataset register NAME --file FILE` adds one",
    missing: MISSING,
    edit: Command::EditDataSet,
};

const LIST: &str = "\
Examples:
  binnacle dataset list --filter 'owner=alice' --sort latest:desc
  binnacle dataset list transactions --filter 'rows>1000000 registered>2026-01-01'

Fields: name owner team tag description standing versions revision created latest; of versions:
version number standing registered by revision rows bytes columns column format location digest
notes recorded trained.";
const REGISTER: &str = "\
Examples:
  binnacle dataset register transactions --file transactions.parquet
  binnacle dataset register transactions --file day.csv.gz --time at --type zip=text
  binnacle dataset register transactions --document said.toml   # data that is not read here";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every data set; or with a name, its versions.
    #[command(after_long_help = LIST)]
    List(List),
    /// One version, with its columns and the versions that were trained on it.
    Show {
        /// Which, as in transactions@3.
        version: Reference,
    },
    /// Register a version: the first one names the data set.
    #[command(after_long_help = REGISTER)]
    Register(register::Register),
    /// Change what is said of a data set.
    Edit(Changed),
    /// Say that a data set, or a version of it, should not be used any more.
    Deprecate(Change),
    /// Let what is deprecated be used again.
    Restore(Change),
    /// Who changed what, newest first.
    History(History),
    /// What was made from it.
    Lineage(Lineage),
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List(list) => match &list.name {
                Some(name) => versions(&link, name, &list.wanted, form).await,
                None => list.run(&link, &SETS, form).await,
            },
            Self::Show { version } => show(&link, &version, form).await,
            Self::Register(register) => register.run(&link, form).await,
            Self::Edit(edit) => edit.run(&link, &SETS, global).await,
            Self::Deprecate(change) => change.deprecate(&link, KIND, form).await,
            Self::Restore(change) => change.restore(&link, KIND, form).await,
            Self::History(history) => history.run(&link, KIND, form).await,
            Self::Lineage(lineage) => lineage.run(&link, KIND, Way::Uses, form).await,
        }
    }
}

async fn versions(link: &Link, name: &str, wanted: &Wanted, form: Form) -> Result<Exit, Failure> {
    let asked = proto::ListRequest {
        name: name.into(),
        ..wanted.ask(proto::Noun::DataSetVersions, Down::Yes)?
    };
    let (rows, as_of_us) = registry::rows::<DataSetItem>(link, asked).await?;
    let schema = "binnacle.dataset-versions/v1";
    match form {
        Form::Json => output::json(&Document::new(schema, as_of_us, &rows))?,
        Form::Text if rows.is_empty() => output::text(NONE_CHOSEN)?,
        Form::Text => {
            let columns = [
                Column::Left("VERSION"),
                Column::Right("ROWS"),
                Column::Left("FORMAT"),
                Column::Left("LOCATION"),
                Column::Right("TRAINED"),
                Column::Right("AGE"),
                Column::Left("STANDING"),
            ];
            let cells = |row: &DataSetItem| {
                let detail = &row.detail;
                vec![
                    row.numbered.version.to_string(),
                    detail.rows.map_or("–".to_owned(), |rows| rows.to_string()),
                    detail.format.to_string(),
                    shown(detail.location.as_str()),
                    row.trained.len().to_string(),
                    format::age(as_of_us - row.numbered.at_us),
                    standing(row.numbered.deprecated.as_deref()),
                ]
            };
            output::text(output::table(&columns, rows.iter().map(cells)))?;
        }
    }
    Ok(Exit::Ok)
}

/// One version, with all that is said of it.
pub(crate) async fn one(link: &Link, version: &Reference) -> Result<(DataSetItem, i64), Failure> {
    let noun = proto::Noun::DataSetVersions;
    registry::row(link, noun, &version.to_string(), MISSING).await
}

async fn show(link: &Link, version: &Reference, form: Form) -> Result<Exit, Failure> {
    let (row, as_of_us) = one(link, version).await?;
    let schema = "binnacle.dataset-versions/v1";
    match form {
        Form::Json => output::json(&Document::new(schema, as_of_us, &[row]))?,
        Form::Text => output::text(page(&row, as_of_us))?,
    }
    Ok(Exit::Ok)
}

fn page(row: &DataSetItem, as_of_us: i64) -> String {
    let (numbered, detail) = (&row.numbered, &row.detail);
    let count = |count: Option<u64>| count.map_or("not known".to_owned(), |is| is.to_string());
    let digest = detail
        .digest
        .map_or("not read".to_owned(), |digest| digest.to_string());
    let mut lines = vec![
        format!(
            "{}  {}",
            numbered.version,
            standing(numbered.deprecated.as_deref())
        ),
        format!(
            "  registered   {} ago by {}, journal {}",
            format::age(as_of_us - numbered.at_us),
            shown(&numbered.registered_by),
            numbered.sequence
        ),
        format!("  location     {}", shown(detail.location.as_str())),
        format!("  format       {}", detail.format),
        format!("  rows         {}", count(detail.rows)),
        format!("  bytes        {}", count(detail.bytes)),
        format!("  digest       {digest}"),
    ];
    if let Some(span) = &detail.span {
        let (from, to) = (rfc3339(span.from_us), rfc3339(span.to_us));
        lines.push(format!(
            "  time         {from} to {to}, by {}",
            shown(span.column.as_str())
        ));
    }
    if let Some(at_us) = detail.recorded_at_us {
        lines.push(format!("  recorded     {}", rfc3339(at_us)));
    }
    if let Some(profile) = &detail.profile {
        lines.push(format!("  profile      {profile}"));
    }
    for column in detail.columns.iter() {
        let (name, kind) = (shown(column.name.as_str()), shown(column.kind.as_str()));
        let nullable = if column.nullable {
            "  may be missing"
        } else {
            ""
        };
        lines.push(format!("  column       {name}  {kind}{nullable}"));
    }
    for trainee in &row.trained {
        lines.push(format!("  {:<12} {}", trainee.role.word(), trainee.version));
    }
    let notes = detail.notes.as_str().lines();
    lines.extend(notes.map(|line| format!("  {}", shown(line))));
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}
