//! `binnacle model`: named, owned things that predict.

use binnacle_core::view::{Card, ModelItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::{Args, Subcommand};
use proto::registry_command::Command;

use crate::cli::registry::card::{self, Said};
use crate::cli::registry::edit::{Edit, Subject};
use crate::cli::registry::{self, Change, Down, History, How, Lineage, NONE_CHOSEN, Wanted, Way};
use crate::cli::{Global, time};
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

const KIND: proto::ObjectKind = proto::ObjectKind::Model;
const MISSING: &str = "`binnacle model list` shows those that are";

const LIST: &str = "\
Examples:
  binnacle model list --filter 'owner=alice standing=active'
  binnacle model list --filter 'tag~fraud created>2026-01-01' --sort latest:desc
  binnacle model list --at 'yesterday 14:00'

Fields: name owner team tag description standing versions revision created latest alias objective;
changed sorts by what was changed last.";
const CREATE: &str = "\
Examples:
  binnacle model create fraud --owner alice --team risk --tag cards
  binnacle model create fraud --objective 'p99<=250ms' --objective 'errors<=0.5%'";
const EDIT: &str = "\
Examples:
  binnacle model edit fraud --set owner=bob --set tags=cards,eu
  binnacle model edit fraud --file card.toml --reason 'Bob took over'
  binnacle model edit fraud          # in $VISUAL or $EDITOR, as TOML; the difference is shown

It is applied only where the card is still what was read; else exit 6, with the difference, and what
was typed is kept in a file that is named.";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every model, with its aliases and its latest version.
    #[command(after_long_help = LIST)]
    List(List),
    /// One model, with all that is said of it.
    Show(Show),
    /// Name a model.
    #[command(after_long_help = CREATE)]
    Create(Create),
    /// Change what is said of a model: with --set, from a file, or in the editor.
    #[command(after_long_help = EDIT)]
    Edit(Changed),
    /// Take a model away that never had a version.
    Delete(Change),
    /// Say that a model should not be used any more.
    Deprecate(Change),
    /// Let a deprecated model be used again.
    Restore(Change),
    /// Who changed what about a model, newest first.
    History(History),
    /// The versions of a model, and what was made from them.
    Lineage(Lineage),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    wanted: Wanted,
    #[arg(long, value_name = "TIME", value_parser = time::past, help = time::AT)]
    at: Option<time::Moment>,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Which.
    name: String,
    #[arg(long, value_name = "TIME", value_parser = time::past, help = time::AT)]
    at: Option<time::Moment>,
}

#[derive(Args, Debug)]
pub(crate) struct Create {
    /// Its name: a-z, 0-9 and inner hyphens.
    name: String,
    #[command(flatten)]
    said: Said,
    #[command(flatten)]
    how: How,
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

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List(list) => list.run(&link, form).await,
            Self::Show(show) => show.run(&link, form).await,
            Self::Create(create) => {
                let command = Command::CreateModel(document(&create.name, &create.said.card()?));
                create
                    .how
                    .tell(&link, command, &create.name, "created", form)
                    .await
            }
            Self::Edit(edit) => {
                let subject = Subjected { name: &edit.name };
                edit.edit.run(&subject, edit.how, &link, global).await
            }
            Self::Delete(change) => {
                let command = Command::DeleteModel(change.name.clone());
                change
                    .how
                    .tell(&link, command, &change.name, "deleted", form)
                    .await
            }
            Self::Deprecate(change) => change.deprecate(&link, KIND, form).await,
            Self::Restore(change) => change.restore(&link, KIND, form).await,
            Self::History(history) => history.run(&link, KIND, form).await,
            Self::Lineage(lineage) => lineage.run(&link, KIND, Way::Uses, form).await,
        }
    }
}

impl List {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let at_us = self.at.map_or(0, |at| at.us(time::now_us()));
        let asked = proto::ListRequest {
            at_us,
            ..self.wanted.ask(proto::Noun::Models, Down::No)?
        };
        let (rows, as_of_us) = registry::rows::<ModelItem>(link, asked).await?;
        registry::tell_moment(at_us, form)?;
        match form {
            Form::Json => {
                let document = Document::new("binnacle.models/v1", as_of_us, &rows);
                output::json(&document.at(at_us))?;
            }
            Form::Text if rows.is_empty() && at_us != 0 => output::text("no models then")?,
            Form::Text if rows.is_empty() && self.wanted.is_choosy() => {
                output::text(NONE_CHOSEN)?;
            }
            Form::Text if rows.is_empty() => {
                output::text("no models: name one with `binnacle model create NAME`")?;
            }
            Form::Text => output::text(table(&rows, registry::moment(at_us, as_of_us)))?,
        }
        Ok(Exit::Ok)
    }
}

fn table(rows: &[ModelItem], as_of_us: i64) -> String {
    let columns = [
        Column::Left("MODEL"),
        Column::Left("OWNER"),
        Column::Spare("TEAM"),
        Column::Right("VERSIONS"),
        Column::Left("ALIASES"),
        Column::Right("LATEST"),
        Column::Left("STANDING"),
    ];
    let cells = |row: &ModelItem| {
        let named = &row.named;
        vec![
            named.name.to_string(),
            shown(named.card.owner.as_str()),
            shown(named.card.team.as_str()),
            named.versions.to_string(),
            aliases(row),
            named.latest_at_us.map_or_else(
                || "–".to_owned(),
                |at_us| format!("{} ago", format::age(as_of_us - at_us)),
            ),
            standing(named.deprecated.as_deref()),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}

fn aliases(row: &ModelItem) -> String {
    let aliases = row.aliases.iter();
    let aliases: Vec<String> = aliases
        .map(|(alias, to)| format!("{alias} @{to}"))
        .collect();
    aliases.join(", ")
}

/// Nothing where it may be used.
pub(crate) fn standing(deprecated: Option<&str>) -> String {
    match deprecated {
        Some(why) => format!("deprecated: {}", shown(why)),
        None => String::new(),
    }
}

impl Show {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        registry::whole("version", &self.name)?;
        let at_us = self.at.map_or(0, |at| at.us(time::now_us()));
        let asked = proto::ListRequest {
            noun: proto::Noun::Models.into(),
            name: self.name.clone(),
            at_us,
            ..Default::default()
        };
        let (rows, as_of_us) = registry::rows::<ModelItem>(link, asked).await?;
        let Some(row) = rows.into_iter().next() else {
            let name = shown(&self.name);
            let message = match at_us {
                0 => format!("model {name} is not registered"),
                at_us => format!("model {name} was not registered at {}", time::told(at_us)),
            };
            return Err(Failure::new(Exit::NotFound, message).hint(MISSING));
        };
        registry::tell_moment(at_us, form)?;
        match form {
            Form::Json => {
                let rows = [row];
                let document = Document::new("binnacle.models/v1", as_of_us, &rows);
                output::json(&document.at(at_us))?;
            }
            Form::Text => output::text(page(&row, registry::moment(at_us, as_of_us)))?,
        }
        Ok(Exit::Ok)
    }
}

fn page(row: &ModelItem, as_of_us: i64) -> String {
    let named = &row.named;
    let card = &named.card;
    let ago = |at_us: i64| format!("{} ago", format::age(as_of_us - at_us));
    let tags: Vec<&str> = card.tags.iter().map(|tag| tag.as_str()).collect();
    let objectives: Vec<String> = card.objectives.iter().map(ToString::to_string).collect();
    let latest = named.latest_at_us.map(ago);
    let mut lines = vec![
        format!("{}  {}", named.name, standing(named.deprecated.as_deref())),
        format!("  owner        {}", shown(card.owner.as_str())),
        format!("  team         {}", shown(card.team.as_str())),
        format!("  tags         {}", tags.join(" ")),
        format!("  objectives   {}", objectives.join("  ")),
        format!("  created      {}", ago(named.created_at_us)),
        format!(
            "  versions     {}, latest {}",
            named.versions,
            latest.unwrap_or("–".to_owned())
        ),
        format!("  aliases      {}", aliases(row)),
        format!("  revision     {}", named.revision),
    ];
    let words = card.description.as_str().lines();
    lines.extend(words.map(|line| format!("  {}", shown(line))));
    let lines: Vec<&str> = lines.iter().map(|line| line.trim_end()).collect();
    lines.join("\n")
}

/// A model, as it is edited.
struct Subjected<'a> {
    name: &'a str,
}

impl Subject for Subjected<'_> {
    type Said = Card;

    fn name(&self) -> String {
        format!("model {}", self.name)
    }

    fn words(&self) -> String {
        format!("model edit {}", self.name)
    }

    fn parts(&self) -> &'static str {
        card::MODEL_PARTS
    }

    async fn read(&self, link: &Link) -> Result<(Card, u64), Failure> {
        registry::whole("version", self.name)?;
        let noun = proto::Noun::Models;
        let (row, _) = registry::row::<ModelItem>(link, noun, self.name, MISSING).await?;
        Ok((row.named.card, row.named.revision))
    }

    fn set(&self, said: Card, key: &str, value: &str) -> Result<Card, Failure> {
        card::set(said, key, value)
    }

    fn command(&self, said: &Card) -> Command {
        Command::EditModel(document(self.name, said))
    }
}
