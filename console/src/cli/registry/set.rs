//! What data sets and feature sets have in common on the command line: their table and their
//! card. Their versions differ, and are told by each noun itself.

use binnacle_core::view::{Card, SetItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::Args;
use proto::registry_command::Command;

use super::edit::{Edit, Subject};
use super::{Down, How, NONE_CHOSEN, Wanted, card, row, rows, whole};
use crate::cli::Global;
use crate::cli::model::standing;
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

/// Which of the two is meant.
pub(crate) struct Sets {
    /// Their noun, as it is typed.
    pub(crate) word: &'static str,
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
    #[command(flatten)]
    pub(crate) wanted: Wanted,
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
        let asked = self.wanted.ask(sets.noun, Down::No)?;
        let (rows, as_of_us) = rows::<SetItem>(link, asked).await?;
        match form {
            Form::Json => output::json(&Document::new(sets.schema, as_of_us, &rows))?,
            Form::Text if rows.is_empty() && self.wanted.is_choosy() => {
                output::text(NONE_CHOSEN)?;
            }
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
    pub(crate) async fn run(
        self,
        link: &Link,
        sets: &Sets,
        global: &Global,
    ) -> Result<Exit, Failure> {
        let subject = Set {
            name: &self.name,
            sets,
        };
        self.edit.run(&subject, self.how, link, global).await
    }
}

/// A data set or feature set, as it is edited.
struct Set<'a> {
    name: &'a str,
    sets: &'a Sets,
}

impl Subject for Set<'_> {
    type Said = Card;

    fn name(&self) -> String {
        format!("{} {}", self.sets.word, self.name)
    }

    fn words(&self) -> String {
        format!("{} edit {}", self.sets.word, self.name)
    }

    fn parts(&self) -> &'static str {
        card::PARTS
    }

    async fn read(&self, link: &Link) -> Result<(Card, u64), Failure> {
        let sets = self.sets;
        whole(sets.word, self.name)?;
        let (row, _) = row::<SetItem>(link, sets.noun, self.name, sets.missing).await?;
        Ok((row.named.card, row.named.revision))
    }

    fn set(&self, said: Card, key: &str, value: &str) -> Result<Card, Failure> {
        card::set(said, key, value)
    }

    fn command(&self, said: &Card) -> Command {
        (self.sets.edit)(document(self.name, said))
    }
}
