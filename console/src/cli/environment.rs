//! `binnacle environment`: hosts, and the rules that hold there.

use binnacle_core::registry::{Line, Rules};
use binnacle_core::view::{EnvironmentItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::{Args, Subcommand};
use proto::registry_command::Command;

use crate::cli::Global;
use crate::cli::registry::{self, How};
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Every environment, with its hosts and rules.
    List,
    /// Set what holds in an environment.
    Set(Set),
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
    #[command(flatten)]
    how: How,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        let asked = proto::ListRequest {
            noun: proto::Noun::Environments.into(),
            ..Default::default()
        };
        let (rows, as_of_us) = registry::rows::<EnvironmentItem>(&link, asked).await?;
        match self {
            Self::List => {
                match form {
                    Form::Json => {
                        output::json(&Document::new("binnacle.environments/v1", as_of_us, &rows))?;
                    }
                    Form::Text => output::text(table(&rows))?,
                }
                Ok(Exit::Ok)
            }
            Self::Set(set) => {
                let known = rows.into_iter().find(|row| row.name.as_str() == set.name);
                let (revision, rules) = known.map_or_else(
                    || (0, Rules::default()),
                    |known| (known.revision, known.rules),
                );
                let description = set.description.as_deref().map(Line::parse).transpose();
                let description =
                    description.map_err(|error| Failure::new(Exit::Usage, error.to_string()))?;
                let rules = Rules {
                    description: description.unwrap_or(rules.description),
                    protected: set.protected.unwrap_or(rules.protected),
                };
                let how = How {
                    if_revision: set.how.if_revision.or(Some(revision)),
                    ..set.how
                };
                let command = Command::SetEnvironment(document(&set.name, &rules));
                how.tell(&link, command, &set.name, "set", form).await
            }
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
        let protected = if row.rules.protected { "yes" } else { "no" };
        vec![
            row.name.to_string(),
            row.hosts.to_string(),
            protected.to_owned(),
            shown(row.rules.description.as_str()),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}
