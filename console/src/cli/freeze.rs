//! `binnacle freeze`: times in which nothing new comes to an environment. Rollbacks do.

use std::time::Duration;

use binnacle_core::registry::{Freeze, Line, Rules};
use binnacle_core::view::{EnvironmentItem, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use proto::registry_command::Command;

use crate::cli::environment;
use crate::cli::registry::{self, Down, How, Wanted};
use crate::cli::{Global, time};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Environments that are frozen.
    List,
    /// Freeze an environment: deploys are refused with the reason, rollbacks pass.
    Set(Set),
    /// Let new versions come again.
    Lift(Lift),
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Which environment.
    environment: String,
    /// For how long: 8h, 3d.
    #[arg(
        long = "for",
        value_name = "TIME",
        value_parser = time::duration,
        conflicts_with = "until",
        required_unless_present = "until"
    )]
    lasts: Option<Duration>,
    /// Until when: 2026-01-31T08:00:00Z.
    #[arg(long, value_name = "WHEN")]
    until: Option<Timestamp>,
    #[command(flatten)]
    how: How,
}

#[derive(Args, Debug)]
pub(crate) struct Lift {
    /// Which environment.
    environment: String,
    #[command(flatten)]
    how: How,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List => list(&link, form).await,
            Self::Set(set) => set.run(&link, form).await,
            Self::Lift(lift) => lift.run(&link, form).await,
        }
    }
}

async fn list(link: &Link, form: Form) -> Result<Exit, Failure> {
    let asked = Wanted::default().ask(proto::Noun::Environments, Down::No)?;
    let (mut rows, as_of_us) = registry::rows::<EnvironmentItem>(link, asked).await?;
    rows.retain(|row| row.freeze(as_of_us).is_some());
    match form {
        Form::Json => output::json(&Document::new("binnacle.environments/v1", as_of_us, &rows))?,
        Form::Text if rows.is_empty() => output::text("no environment is frozen")?,
        Form::Text => {
            let columns = [
                Column::Left("ENVIRONMENT"),
                Column::Left("UNTIL"),
                Column::Left("BY"),
                Column::Left("WHY"),
            ];
            let cells = |row: &EnvironmentItem| {
                let freeze = row.freeze(as_of_us);
                vec![
                    row.name.to_string(),
                    freeze.map_or_else(String::new, |it| format!("{:.0}", it.until)),
                    row.frozen_by.as_deref().unwrap_or_default().to_owned(),
                    freeze.map_or_else(String::new, |it| shown(it.why.as_str())),
                ]
            };
            output::text(output::table(&columns, rows.iter().map(cells)))?;
        }
    }
    Ok(Exit::Ok)
}

impl Set {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let usage = |what: String| Failure::new(Exit::Usage, what);
        let now = Timestamp::now();
        let until = match (self.until, self.lasts) {
            (Some(until), _) => until,
            (None, lasts) => now
                .checked_add(lasts.unwrap_or_default())
                .map_err(|error| usage(error.to_string()))?,
        };
        if until <= now {
            return Err(usage(format!(
                "{until:.0} is over: say when the freeze is to end"
            )));
        }
        if self.how.reason.trim().is_empty() {
            return Err(usage("a freeze needs a reason: --reason TEXT".into()));
        }
        let why = Line::parse(&self.how.reason).map_err(|error| usage(error.to_string()))?;
        let freeze = Some(Freeze { until, why });
        let is = format!("frozen until {until:.0}");
        change(link, &self.environment, freeze, self.how, (&is, form)).await
    }
}

impl Lift {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        change(
            link,
            &self.environment,
            None,
            self.how,
            ("no longer frozen", form),
        )
        .await
    }
}

/// The rules as they are, but for the freeze.
async fn change(
    link: &Link,
    environment: &str,
    freeze: Option<Freeze>,
    how: How,
    (is, form): (&str, Form),
) -> Result<Exit, Failure> {
    let (row, _) = environment::one(link, environment).await?;
    let rules = Rules {
        freeze,
        ..row.rules
    };
    let how = How {
        if_revision: how.if_revision.or(Some(row.revision)),
        ..how
    };
    let command = Command::SetEnvironment(document(environment, &rules));
    how.tell(link, command, environment, is, form).await
}
