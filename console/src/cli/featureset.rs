//! `binnacle featureset`: the ordered feature vectors that models are given.

use std::path::PathBuf;

use binnacle_core::registry::change::FeatureSetDetail;
use binnacle_core::registry::{
    Allowed, Column as DataColumn, Feature, FeatureKind, Features, Line, Prose,
};
use binnacle_core::view::{FeatureSetItem, Reference, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::{Args, Subcommand};
use proto::registry_command::Command;

use crate::cli::model::standing;
use crate::cli::registry::set::{Changed, List, Sets};
use crate::cli::registry::{
    self, Change, Down, History, How, Lineage, NONE_CHOSEN, Wanted, Way, document as documents,
};
use crate::cli::{Global, dataset};
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

const KIND: proto::ObjectKind = proto::ObjectKind::FeatureSet;
const MISSING: &str = "`binnacle featureset list` shows those that are";
const SETS: Sets = Sets {
    word: "featureset",
    noun: proto::Noun::FeatureSets,
    schema: "binnacle.featuresets/v1",
    head: "FEATURE SET",
    none: "no feature sets: `binnacle featureset register NAME --from DATASET@NUMBER` adds one",
    missing: MISSING,
    edit: Command::EditFeatureSet,
};

const REGISTER: &str = "\
Examples:
  binnacle featureset register fraud-features --from transactions@3 --without is-fraud
  binnacle featureset register fraud-features --file features.toml

features.toml, in the order in which the model is given them:
  [[features]]
  name = \"amount\"
  type = \"float\"          # float, integer, boolean, category, text or tensor
  unit = \"EUR\"
  allowed = { range = { min = 0.0 } }

  [[features]]
  name = \"country\"
  type = \"category\"
  allowed = { values = [\"de\", \"fr\"] }";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every feature set; or with a name, its versions.
    List(List),
    /// One version, with its features in order.
    Show {
        /// Which, as in fraud-features@2.
        version: Reference,
    },
    /// Register a version: the first one names the feature set.
    #[command(after_long_help = REGISTER)]
    Register(Register),
    /// Change what is said of a feature set.
    Edit(Changed),
    /// Say that a feature set, or a version of it, should not be used any more.
    Deprecate(Change),
    /// Let what is deprecated be used again.
    Restore(Change),
    /// Who changed what, newest first.
    History(History),
    /// What is given it.
    Lineage(Lineage),
}

#[derive(Args, Debug)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(crate) struct Register {
    /// Its name; a new one is named by its first version.
    name: String,
    /// Its features in order, in a TOML or JSON file: a list `features` of name, type, unit, …
    #[arg(long, value_name = "FILE", group = "what")]
    file: Option<PathBuf>,
    /// The columns of a data set in their order, but for times, as in transactions@3.
    #[arg(long, value_name = "REF", group = "what")]
    from: Option<Reference>,
    /// A column that is no feature, such as the label; may be given more than once.
    #[arg(long, value_name = "COLUMN", requires = "from")]
    without: Vec<String>,
    #[command(flatten)]
    how: How,
}

impl Register {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let detail = match (&self.file, &self.from) {
            (Some(file), _) => documents::file(file)?,
            (None, Some(version)) => self.columns(link, version).await?,
            (None, None) => return Err(Failure::new(Exit::Usage, "say --file or --from")),
        };
        let command = Command::RegisterFeatureSet(document(&self.name, &detail));
        self.how
            .tell(link, command, &self.name, "registered", form)
            .await
    }

    /// The features that a data set has.
    async fn columns(&self, link: &Link, from: &Reference) -> Result<FeatureSetDetail, Failure> {
        let (row, _) = dataset::one(link, from).await?;
        let columns = &row.detail.columns;
        for name in &self.without {
            if !columns.iter().any(|column| column.name.as_str() == name) {
                let message = format!("{from} has no column {}", shown(name));
                let hint = format!("`binnacle dataset show {from}` names its columns");
                return Err(Failure::new(Exit::NotFound, message).hint(hint));
            }
        }
        let is_feature = |column: &&DataColumn| {
            let name = column.name.as_str();
            column.kind.as_str() != "time" && !self.without.iter().any(|without| without == name)
        };
        let features = columns.iter().filter(is_feature).map(|column| Feature {
            name: column.name.clone(),
            kind: match column.kind.as_str() {
                "number" => FeatureKind::Float,
                "integer" => FeatureKind::Integer,
                "boolean" => FeatureKind::Boolean,
                "tensor" => FeatureKind::Tensor,
                _ => FeatureKind::Category,
            },
            unit: Line::default(),
            description: Line::default(),
            allowed: Allowed::Anything,
        });
        let features = Features::parse(features.collect());
        let features = features.map_err(|error| {
            let hint = "register the data set with --file, so that its columns are known";
            Failure::of(Exit::Usage, &error).hint(hint)
        })?;
        Ok(FeatureSetDetail {
            features,
            notes: Prose::default(),
        })
    }
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
        ..wanted.ask(proto::Noun::FeatureSetVersions, Down::Yes)?
    };
    let (rows, as_of_us) = registry::rows::<FeatureSetItem>(link, asked).await?;
    let schema = "binnacle.featureset-versions/v1";
    match form {
        Form::Json => output::json(&Document::new(schema, as_of_us, &rows))?,
        Form::Text if rows.is_empty() => output::text(NONE_CHOSEN)?,
        Form::Text => {
            let columns = [
                Column::Left("VERSION"),
                Column::Right("FEATURES"),
                Column::Right("GIVEN TO"),
                Column::Right("AGE"),
                Column::Left("STANDING"),
            ];
            let cells = |row: &FeatureSetItem| {
                vec![
                    row.numbered.version.to_string(),
                    row.detail.features.count().to_string(),
                    row.given.len().to_string(),
                    format::age(as_of_us - row.numbered.at_us),
                    standing(row.numbered.deprecated.as_deref()),
                ]
            };
            output::text(output::table(&columns, rows.iter().map(cells)))?;
        }
    }
    Ok(Exit::Ok)
}

async fn show(link: &Link, version: &Reference, form: Form) -> Result<Exit, Failure> {
    let noun = proto::Noun::FeatureSetVersions;
    let name = version.to_string();
    let (row, as_of_us) = registry::row::<FeatureSetItem>(link, noun, &name, MISSING).await?;
    let schema = "binnacle.featureset-versions/v1";
    match form {
        Form::Json => output::json(&Document::new(schema, as_of_us, &[row]))?,
        Form::Text => {
            let columns = [
                Column::Right("#"),
                Column::Left("FEATURE"),
                Column::Left("TYPE"),
                Column::Left("UNIT"),
                Column::Left("ALLOWED"),
                Column::Left("DESCRIPTION"),
            ];
            let features = (1..).zip(row.detail.features.iter());
            let cells = features.map(|(number, feature): (u32, _)| {
                vec![
                    number.to_string(),
                    shown(feature.name.as_str()),
                    feature.kind.to_string(),
                    shown(feature.unit.as_str()),
                    shown(&feature.allowed.to_string()),
                    shown(feature.description.as_str()),
                ]
            });
            let given: Vec<String> = row.given.iter().map(ToString::to_string).collect();
            let numbered = &row.numbered;
            let first = format!(
                "{}  {}",
                numbered.version,
                standing(numbered.deprecated.as_deref())
            );
            let head = format!(
                "{}\n  registered   {} ago by {}, journal {}\n  given to     {}",
                first.trim_end(),
                format::age(as_of_us - numbered.at_us),
                shown(&numbered.registered_by),
                numbered.sequence,
                match given.is_empty() {
                    true => "no version yet".to_owned(),
                    false => given.join(" "),
                }
            );
            output::text(format!("{head}\n\n{}", output::table(&columns, cells)))?;
        }
    }
    Ok(Exit::Ok)
}
