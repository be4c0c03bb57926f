//! What data sets and feature sets have in common on the command line: their table and their
//! card. Their versions differ, and are told by each noun itself.

use binnacle_core::view::{SetItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::Args;
use proto::registry_command::Command;

use super::card::Edit;
use super::{How, row, rows};
use crate::cli::model::standing;
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

/// Which of the two is meant.
pub(crate) struct Sets {
    /// Their table at the hub.
    pub(crate) noun: proto::Noun,
    /// The schema of their document.
    pub(crate) schema: &'static str,
    /// The head of their column.
    pub(crate) head: &'static str,
    /// What to do where there are none.
    pub(crate) none: &'static str,
    /// What to do where one is missing.
    pub(crate) missing: &'static str,
    /// The command that replaces a card.
    pub(crate) edit: fn(proto::Document) -> Command,
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// The versions of this one.
    pub(crate) name: Option<String>,
    /// Only those whose name, tags, owner or team contain this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
}

#[derive(Args, Debug)]
pub(crate) struct Changed {
    /// Which.
    name: String,
    #[command(flatten)]
    edit: Edit,
    #[command(flatten)]
    how: How,
}

impl List {
    /// Tells all of them.
    pub(crate) async fn run(self, link: &Link, sets: &Sets, form: Form) -> Result<Exit, Failure> {
        let asked = proto::ListRequest {
            noun: sets.noun.into(),
            search: self.filter,
            ..Default::default()
        };
        let (rows, as_of_us) = rows::<SetItem>(link, asked).await?;
        match form {
            Form::Json => output::json(&Document::new(sets.schema, as_of_us, &rows))?,
            Form::Text if rows.is_empty() => output::text(sets.none)?,
            Form::Text => output::text(table(sets.head, &rows, as_of_us))?,
        }
        Ok(Exit::Ok)
    }
}

fn table(head: &'static str, rows: &[SetItem], as_of_us: i64) -> String {
    let columns = [
        Column::Left(head),
        Column::Left("OWNER"),
        Column::Right("VERSIONS"),
        Column::Right("LATEST"),
        Column::Left("STANDING"),
    ];
    let cells = |row: &SetItem| {
        let named = &row.named;
        let ago = |at_us: i64| format!("{} ago", format::age(as_of_us - at_us));
        vec![
            named.name.to_string(),
            shown(named.card.owner.as_str()),
            named.versions.to_string(),
            named.latest_at_us.map_or_else(|| "–".to_owned(), ago),
            standing(named.deprecated.as_deref()),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}

impl Changed {
    /// Replaces the card of one, as it was read.
    pub(crate) async fn run(self, link: &Link, sets: &Sets, form: Form) -> Result<Exit, Failure> {
        let (row, _) = row::<SetItem>(link, sets.noun, &self.name, sets.missing).await?;
        let card = self.edit.edited(row.named.card)?;
        let how = How {
            if_revision: self.how.if_revision.or(Some(row.named.revision)),
            ..self.how
        };
        let command = (sets.edit)(document(&self.name, &card));
        how.tell(link, command, &self.name, "edited", form).await
    }
}
