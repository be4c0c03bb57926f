//! `binnacle environment`: hosts, and the rules that hold there.

use binnacle_core::registry::{Line, Rules};
use binnacle_core::view::{EnvironmentItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::{Args, Subcommand};
use proto::registry_command::Command;

use crate::cli::Global;
use crate::cli::registry::card::no_part;
use crate::cli::registry::edit::{Edit, Subject};
use crate::cli::registry::{self, Down, History, How, NONE_CHOSEN, Wanted};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

const KIND: proto::ObjectKind = proto::ObjectKind::Environment;
const MISSING: &str = "`binnacle environment list` shows those that are";

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every environment, with its hosts and rules.
    List(Wanted),
    /// One environment, with what holds there.
    Show {
        /// Which.
        name: String,
    },
    /// Set what holds in an environment.
    Set(Set),
    /// Change what holds in an environment that has rules or hosts.
    Edit(Changed),
    /// Who changed what holds there, newest first.
    History(History),
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Which.
    name: String,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Whether changes need an armed console and a typed confirmation.
    #[arg(long, value_name = "BOOL")]
    protected: Option<bool>,
    /// How many people, beside whom asks, have to say yes to a deploy.
    #[arg(long, value_name = "N")]
    approvals: Option<u8>,
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
            Self::List(wanted) => list(&link, &wanted, form).await,
            Self::Show { name } => show(&link, &name, form).await,
            Self::Set(set) => set.run(&link, form).await,
            Self::Edit(changed) => {
                let subject = Ruled(&changed.name);
                changed.edit.run(&subject, changed.how, &link, global).await
            }
            Self::History(history) => history.run(&link, KIND, form).await,
        }
    }
}

async fn list(link: &Link, wanted: &Wanted, form: Form) -> Result<Exit, Failure> {
    let asked = wanted.ask(proto::Noun::Environments, Down::No)?;
    let (rows, as_of_us) = registry::rows::<EnvironmentItem>(link, asked).await?;
    match form {
        Form::Json => {
            output::json(&Document::new("binnacle.environments/v1", as_of_us, &rows))?;
        }
        Form::Text if rows.is_empty() && wanted.is_choosy() => output::text(NONE_CHOSEN)?,
        Form::Text if rows.is_empty() => output::text(
            "no environments: a host brings its own, `binnacle environment set NAME` makes one",
        )?,
        Form::Text => output::text(table(&rows))?,
    }
    Ok(Exit::Ok)
}

pub(crate) async fn one(link: &Link, name: &str) -> Result<(EnvironmentItem, i64), Failure> {
    registry::row(link, proto::Noun::Environments, name, MISSING).await
}

async fn show(link: &Link, name: &str, form: Form) -> Result<Exit, Failure> {
    let (row, as_of_us) = one(link, name).await?;
    match form {
        Form::Json => {
            output::json(&Document::new("binnacle.environments/v1", as_of_us, &[row]))?;
        }
        Form::Text => {
            let page = format!(
                "{}\n  hosts        {}\n  protected    {}\n  approvals    {}\n  frozen       {}\n  \
                 revision     {}\n  {}",
                row.name,
                row.hosts,
                protected(&row),
                row.rules.approvals,
                frozen(&row, as_of_us),
                row.revision,
                shown(row.rules.description.as_str())
            );
            output::text(page.trim_end())?;
        }
    }
    Ok(Exit::Ok)
}

impl Set {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let (revision, rules) = match one(link, &self.name).await {
            Ok((known, _)) => (known.revision, known.rules),
            Err(failure) if failure.exit == Exit::NotFound => (0, Rules::default()),
            Err(failure) => return Err(failure),
        };
        let description = self.description.as_deref().map(Line::parse).transpose();
        let description =
            description.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
        let rules = Rules {
            description: description.unwrap_or(rules.description),
            protected: self.protected.unwrap_or(rules.protected),
            approvals: self.approvals.unwrap_or(rules.approvals),
            freeze: rules.freeze,
        };
        let how = How {
            if_revision: self.how.if_revision.or(Some(revision)),
            ..self.how
        };
        let command = Command::SetEnvironment(document(&self.name, &rules));
        how.tell(link, command, &self.name, "set", form).await
    }
}

/// An environment whose rules are edited.
struct Ruled<'a>(&'a str);

impl Subject for Ruled<'_> {
    type Said = Rules;

    fn name(&self) -> String {
        format!("environment {}", self.0)
    }

    fn words(&self) -> String {
        format!("environment edit {}", self.0)
    }

    fn parts(&self) -> &'static str {
        "description is a line; protected is true or false; approvals is a number"
    }

    async fn read(&self, link: &Link) -> Result<(Rules, u64), Failure> {
        let (row, _) = one(link, self.0).await?;
        Ok((row.rules, row.revision))
    }

    fn set(&self, mut said: Rules, key: &str, value: &str) -> Result<Rules, Failure> {
        let wrong = |what: String| Failure::new(Exit::Usage, what);
        match (key, value) {
            ("description", text) => {
                said.description = Line::parse(text).map_err(|error| wrong(error.to_string()))?;
            }
            ("protected", "true") => said.protected = true,
            ("protected", "false") => said.protected = false,
            ("protected", _) => {
                return Err(wrong(format!("protected is true or false, not {value:?}")));
            }
            ("approvals", count) => {
                said.approvals = count
                    .parse()
                    .map_err(|_| wrong(format!("approvals is a number, not {count:?}")))?;
            }
            _ => return Err(no_part(key, &["description", "protected", "approvals"])),
        }
        Ok(said)
    }

    fn command(&self, said: &Rules) -> Command {
        Command::SetEnvironment(document(self.0, said))
    }
}

fn protected(row: &EnvironmentItem) -> &'static str {
    if row.rules.protected { "yes" } else { "no" }
}

fn frozen(row: &EnvironmentItem, now_us: i64) -> String {
    match row.freeze(now_us) {
        None => "no".to_owned(),
        Some(freeze) => {
            let by = row.frozen_by.as_deref().unwrap_or("somebody");
            let why = shown(freeze.why.as_str());
            format!("until {:.0} by {by}: {why}", freeze.until)
        }
    }
}

fn table(rows: &[EnvironmentItem]) -> String {
    let columns = [
        Column::Left("ENVIRONMENT"),
        Column::Right("HOSTS"),
        Column::Left("PROTECTED"),
        Column::Left("DESCRIPTION"),
    ];
    let cells = |row: &EnvironmentItem| {
        vec![
            row.name.to_string(),
            row.hosts.to_string(),
            protected(row).to_owned(),
            shown(row.rules.description.as_str()),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}
