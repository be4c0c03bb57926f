//! `binnacle alias`: named pointers to versions, with every move that they made.

use binnacle_core::view::{AliasItem, Reference, rfc3339, shown};
use binnacle_proto::v1 as proto;
use clap::{Args, Subcommand};
use proto::registry_command::Command;

use crate::cli::registry::{self, Down, How, NONE_CHOSEN, Wanted};
use crate::cli::{Global, journal, time};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

const SHOW: &str = "\
Examples:
  binnacle alias show fraud champion
  binnacle alias show fraud champion --at 03:12
  binnacle alias show fraud champion --at '2h ago' --json";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Where aliases point.
    List(List),
    /// Where one alias points, with every move.
    #[command(after_long_help = SHOW)]
    Show(Show),
    /// Who moved an alias where, when and why, newest first.
    History(History),
    /// Let an alias point to a version.
    Set(Set),
    /// Take an alias away; its moves stay.
    Remove(Remove),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only of this model.
    model: Option<String>,
    #[command(flatten)]
    wanted: Wanted,
    #[arg(long, value_name = "TIME", value_parser = time::past, help = time::AT)]
    at: Option<time::Moment>,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Whose.
    model: String,
    /// Which.
    alias: String,
    #[arg(long, value_name = "TIME", value_parser = time::past, help = time::AT)]
    at: Option<time::Moment>,
}

#[derive(Args, Debug)]
pub(crate) struct History {
    /// Whose.
    model: String,
    /// Which.
    alias: String,
    /// At most this many, the newest.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Its name, such as champion.
    alias: String,
    /// The version, as in fraud@7.
    version: Reference,
    #[command(flatten)]
    how: How,
}

#[derive(Args, Debug)]
pub(crate) struct Remove {
    /// Whose.
    model: String,
    /// Which.
    alias: String,
    #[command(flatten)]
    how: How,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List(list) => list.run(&link, form).await,
            Self::Show(show) => show.run(&link, form).await,
            Self::History(history) => history.run(&link, form).await,
            Self::Set(set) => {
                let is = format!("set to {}", set.version);
                let command = Command::MoveAlias(proto::MoveAlias {
                    model: set.version.name.to_string(),
                    alias: set.alias.clone(),
                    to: set.version.number.get(),
                });
                set.how.tell(&link, command, &set.alias, &is, form).await
            }
            Self::Remove(remove) => {
                let command = Command::MoveAlias(proto::MoveAlias {
                    model: remove.model,
                    alias: remove.alias.clone(),
                    to: 0,
                });
                remove
                    .how
                    .tell(&link, command, &remove.alias, "removed", form)
                    .await
            }
        }
    }
}

/// The alias of a model, with its moves until a moment; 0 for now.
async fn one(
    link: &Link,
    model: &str,
    alias: &str,
    at_us: i64,
) -> Result<(AliasItem, i64), Failure> {
    let asked = proto::ListRequest {
        noun: proto::Noun::Aliases.into(),
        name: model.into(),
        at_us,
        ..Default::default()
    };
    let (rows, as_of_us) = registry::rows::<AliasItem>(link, asked).await?;
    let row = rows.into_iter().find(|row| row.alias.as_str() == alias);
    let row = row.ok_or_else(|| {
        let (model, alias) = (shown(model), shown(alias));
        let message = match at_us {
            0 => format!("model {model} has no alias {alias}"),
            at_us => format!(
                "model {model} had no alias {alias} at {}",
                time::told(at_us)
            ),
        };
        let hint = format!("`binnacle alias list {model}` shows those it has");
        Failure::new(Exit::NotFound, message).hint(hint)
    })?;
    Ok((row, as_of_us))
}

impl Show {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let at_us = self.at.map_or(0, |at| at.us(time::now_us()));
        let (row, as_of_us) = one(link, &self.model, &self.alias, at_us).await?;
        registry::tell_moment(at_us, form)?;
        match form {
            Form::Json => {
                let rows = [row];
                let document = Document::new("binnacle.aliases/v1", as_of_us, &rows);
                output::json(&document.at(at_us))?;
            }
            Form::Text => {
                let points = match &row.version {
                    Some(version) => format!("{} of {} → {version}", row.alias, row.model),
                    None => format!("{} of {} pointed nowhere any more", row.alias, row.model),
                };
                output::text(format!("{points}\n\n{}", moves(&row)))?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl History {
    /// The entries of the moves themselves: each is asked for by its sequence.
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let (row, as_of_us) = one(link, &self.model, &self.alias, 0).await?;
        let mut entries = Vec::new();
        for moved in row.moves.iter().take(self.limit as usize) {
            let asked = proto::ListEntriesRequest {
                after: moved.sequence - 1,
                limit: 1,
                ..Default::default()
            };
            let page = link.fleet().list_entries(link.question(asked)).await?;
            for entry in page.into_inner().entries {
                entries.push(journal::read(&binnacle_wire::journal::from_proto(entry)?)?);
            }
        }
        match form {
            Form::Json => {
                output::json(&Document::new("binnacle.journal/v1", as_of_us, &entries))?;
            }
            Form::Text => {
                let lines: Vec<String> = entries.iter().map(journal::line).collect();
                output::text(lines.join("\n"))?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl List {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let at_us = self.at.map_or(0, |at| at.us(time::now_us()));
        let asked = proto::ListRequest {
            name: self.model.unwrap_or_default(),
            at_us,
            ..self.wanted.ask(proto::Noun::Aliases, Down::No)?
        };
        let (rows, as_of_us) = registry::rows::<AliasItem>(link, asked).await?;
        let rows = rows.into_iter().filter(|row| row.version.is_some());
        let rows: Vec<AliasItem> = rows.collect();
        registry::tell_moment(at_us, form)?;
        tell(&rows, (as_of_us, at_us), self.wanted.is_choosy(), form)
    }
}

fn tell(
    rows: &[AliasItem],
    (as_of_us, at_us): (i64, i64),
    is_choosy: bool,
    form: Form,
) -> Result<Exit, Failure> {
    match form {
        Form::Json => {
            let document = Document::new("binnacle.aliases/v1", as_of_us, rows);
            output::json(&document.at(at_us))?;
        }
        Form::Text if rows.is_empty() && at_us != 0 => output::text("no aliases then")?,
        Form::Text if rows.is_empty() && is_choosy => output::text(NONE_CHOSEN)?,
        Form::Text if rows.is_empty() => {
            output::text("no aliases: `binnacle alias set champion MODEL@NUMBER` makes one")?;
        }
        Form::Text => {
            let columns = [
                Column::Left("ALIAS"),
                Column::Left("VERSION"),
                Column::Left("SINCE"),
            ];
            let cells = |row: &AliasItem| {
                let since = row.moves.first().map(|last| rfc3339(last.at_us));
                let version = row.version.as_ref().map(ToString::to_string);
                let words = [Some(row.alias.to_string()), version, since];
                words.into_iter().map(Option::unwrap_or_default).collect()
            };
            output::text(output::table(&columns, rows.iter().map(cells)))?;
        }
    }
    Ok(Exit::Ok)
}

fn moves(row: &AliasItem) -> String {
    let lines = row.moves.iter().map(|one| {
        let to = one
            .version
            .as_ref()
            .map_or("removed".to_owned(), ToString::to_string);
        format!(
            "{}  {} {to}  journal {}",
            rfc3339(one.at_us),
            row.alias,
            one.sequence
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}
