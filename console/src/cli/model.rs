//! `binnacle model`: named, owned things that predict.

use binnacle_core::view::{ModelItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::{Args, Subcommand};
use proto::registry_command::Command;

use crate::cli::registry::card::{Edit, Said};
use crate::cli::registry::{self, Change, History, How, Lineage, Way};
use crate::cli::{Global, time};
use crate::format;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

const KIND: proto::ObjectKind = proto::ObjectKind::Model;
const MISSING: &str = "`binnacle model list` shows those that are";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every model, with its aliases and its latest version.
    List(List),
    /// One model, with all that is said of it.
    Show(Show),
    /// Name a model.
    Create(Create),
    /// Change what is said of a model.
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
    /// Only models whose name, tags, owner or team contain this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// By name, or by when they were last changed, the latest first.
    #[arg(long, value_name = "ORDER", default_value = "name", value_parser = ["name", "changed"])]
    sort: String,
    /// As it was at a moment: 03:12, 10m, 2026-01-31T03:12:00Z.
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    at: Option<time::Moment>,
}

#[derive(Args, Debug)]
pub(crate) struct Show {
    /// Which.
    name: String,
    /// As it was at a moment: 03:12, 10m, 2026-01-31T03:12:00Z.
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
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
            Self::Edit(edit) => edit.run(&link, form).await,
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
    async fn run(self, link: &crate::link::Link, form: Form) -> Result<Exit, Failure> {
        let asked = proto::ListRequest {
            noun: proto::Noun::Models.into(),
            search: self.filter,
            descending: self.sort == "changed",
            sort: self.sort,
            at_us: self.at.map_or(0, |at| at.us(time::now_us())),
            ..Default::default()
        };
        let (rows, as_of_us) = registry::rows::<ModelItem>(link, asked).await?;
        match form {
            Form::Json => output::json(&Document::new("binnacle.models/v1", as_of_us, &rows))?,
            Form::Text if rows.is_empty() => {
                output::text("no models: name one with `binnacle model create NAME`")?;
            }
            Form::Text => output::text(table(&rows, as_of_us))?,
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
    async fn run(self, link: &crate::link::Link, form: Form) -> Result<Exit, Failure> {
        let asked = proto::ListRequest {
            noun: proto::Noun::Models.into(),
            name: self.name.clone(),
            at_us: self.at.map_or(0, |at| at.us(time::now_us())),
            ..Default::default()
        };
        let (rows, as_of_us) = registry::rows::<ModelItem>(link, asked).await?;
        let Some(row) = rows.into_iter().next() else {
            let message = format!("model {} is not registered", shown(&self.name));
            return Err(Failure::new(Exit::NotFound, message).hint(MISSING));
        };
        match form {
            Form::Json => output::json(&Document::new("binnacle.models/v1", as_of_us, &[row]))?,
            Form::Text => output::text(page(&row, as_of_us))?,
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

impl Changed {
    async fn run(self, link: &crate::link::Link, form: Form) -> Result<Exit, Failure> {
        let noun = proto::Noun::Models;
        let (row, _) = registry::row::<ModelItem>(link, noun, &self.name, MISSING).await?;
        let card = self.edit.edited(row.named.card)?;
        // What was read is what is edited: somebody else's change in between is not undone.
        let how = How {
            if_revision: self.how.if_revision.or(Some(row.named.revision)),
            ..self.how
        };
        let command = Command::EditModel(document(&self.name, &card));
        how.tell(link, command, &self.name, "edited", form).await
    }
}
