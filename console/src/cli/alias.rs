//! `binnacle alias`: named pointers to versions, with every move that they made.

use binnacle_core::view::{AliasItem, Reference, rfc3339};
use binnacle_proto::v1 as proto;
use clap::{Args, Subcommand};
use proto::registry_command::Command;

use crate::cli::registry::{self, How};
use crate::cli::{Global, time};
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Where aliases point.
    List(List),
    /// Where one alias points, with every move.
    Show(Show),
    /// Let an alias point to a version.
    Set(Set),
    /// Take an alias away; its moves stay.
    Remove(Remove),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only of this model.
    model: Option<String>,
    /// As it was at a moment: 03:12, 10m, 2026-01-31T03:12:00Z.
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    at: Option<time::Moment>,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Whose.
    model: String,
    /// Which.
    alias: String,
    /// As it was at a moment: 03:12, 10m, 2026-01-31T03:12:00Z.
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    at: Option<time::Moment>,
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
            Self::List(list) => {
                let model = list.model.unwrap_or_default();
                let (rows, as_of_us) = rows(&link, &model, list.at).await?;
                let rows = rows.into_iter().filter(|row| row.version.is_some());
                tell(&rows.collect::<Vec<_>>(), as_of_us, form)
            }
            Self::Show(show) => {
                let (rows, as_of_us) = rows(&link, &show.model, show.at).await?;
                let row = rows
                    .into_iter()
                    .find(|row| row.alias.as_str() == show.alias);
                let Some(row) = row else {
                    let message = format!("model {} has no alias {}", show.model, show.alias);
                    let hint = format!("`binnacle alias list {}` shows those it has", show.model);
                    return Err(Failure::new(Exit::NotFound, message).hint(hint));
                };
                match form {
                    Form::Json => {
                        output::json(&Document::new("binnacle.aliases/v1", as_of_us, &[row]))?;
                    }
                    Form::Text => output::text(moves(&row))?,
                }
                Ok(Exit::Ok)
            }
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

async fn rows(
    link: &crate::link::Link,
    model: &str,
    at: Option<time::Moment>,
) -> Result<(Vec<AliasItem>, i64), Failure> {
    let asked = proto::ListRequest {
        noun: proto::Noun::Aliases.into(),
        name: model.into(),
        at_us: at.map_or(0, |at| at.us(time::now_us())),
        ..Default::default()
    };
    registry::rows(link, asked).await
}

fn tell(rows: &[AliasItem], as_of_us: i64, form: Form) -> Result<Exit, Failure> {
    match form {
        Form::Json => output::json(&Document::new("binnacle.aliases/v1", as_of_us, rows))?,
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
