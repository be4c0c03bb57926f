//! `binnacle approval`: plans that wait for another person's word, and giving it.

use binnacle_core::rollout::Steer;
use binnacle_core::view::{EndpointName, RolloutItem, rfc3339, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::endpoint::steer_to;
use clap::{Args, Subcommand};
use proto::endpoint_command::Command;

use crate::cli::Global;
use crate::cli::endpoint::{rows, tell};
use crate::cli::registry::How;
use crate::cli::rollout::page;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Plans that wait for a yes, the oldest first.
    List,
    /// One of them, whole.
    Show(Of),
    /// Say yes: it begins once as many have as the environment asks for. Never to one's own.
    Approve(Word),
    /// Say no: it is given up.
    Reject(Word),
}

#[derive(Args, Debug)]
pub(crate) struct Of {
    /// Of which endpoint.
    endpoint: EndpointName,
}

#[derive(Args, Debug)]
pub(crate) struct Word {
    /// Of which endpoint.
    endpoint: EndpointName,
    /// The revision that the plan leads to: what is approved is that plan and no other.
    revision: u64,
    #[command(flatten)]
    how: How,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List => list(&link, form).await,
            Self::Show(of) => of.run(&link, form).await,
            Self::Approve(word) => word.run(&link, Steer::Approve, "approved", form).await,
            Self::Reject(word) => word.run(&link, Steer::Reject, "rejected", form).await,
        }
    }
}

/// Plans that wait, and when that was so.
async fn waiting(link: &Link, endpoint: String) -> Result<(Vec<RolloutItem>, i64), Failure> {
    let asked = proto::EndpointsRequest {
        noun: proto::EndpointNoun::Rollouts.into(),
        endpoint,
        underway: true,
        ..Default::default()
    };
    let (mut rows, as_of_us) = rows::<RolloutItem>(link, asked).await?;
    rows.retain(|row| row.approvals.is_some() && !row.is_over);
    rows.sort_by_key(|row| row.at_us);
    Ok((rows, as_of_us))
}

async fn list(link: &Link, form: Form) -> Result<Exit, Failure> {
    let (rows, as_of_us) = waiting(link, String::new()).await?;
    match form {
        Form::Json => output::json(&Document::new("binnacle.approvals/v1", as_of_us, &rows))?,
        Form::Text if rows.is_empty() => output::text("nothing waits for approval")?,
        Form::Text => output::text(table(&rows))?,
    }
    Ok(Exit::Ok)
}

fn table(rows: &[RolloutItem]) -> String {
    let columns = [
        Column::Left("ENDPOINT"),
        Column::Right("REVISION"),
        Column::Left("TO"),
        Column::Left("HOW"),
        Column::Left("HAVE"),
        Column::Left("ASKED BY"),
        Column::Left("AT"),
        Column::Left("WHY"),
    ];
    let cells = |row: &RolloutItem| {
        let have = row.approvals.as_ref();
        vec![
            row.endpoint.to_string(),
            row.revision.to_string(),
            row.after.to_string(),
            row.strategy.to_string(),
            have.map_or_else(String::new, |it| format!("{} of {}", it.have, it.of)),
            row.asked_by.to_string(),
            rfc3339(row.at_us),
            shown(&row.asked_why),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}

impl Of {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let (rows, as_of_us) = waiting(link, self.endpoint.to_string()).await?;
        let Some(row) = rows.first() else {
            let what = format!("nothing waits for approval at {}", self.endpoint);
            return Err(Failure::new(Exit::NotFound, what));
        };
        match form {
            Form::Json => {
                output::json(&Document::new("binnacle.approvals/v1", as_of_us, &rows))?;
            }
            Form::Text => {
                output::text(page(row))?;
                output::text(format!(
                    "  binnacle approval approve {} {} --reason TEXT",
                    row.endpoint, row.revision
                ))?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl Word {
    async fn run(self, link: &Link, steer: Steer, is: &str, form: Form) -> Result<Exit, Failure> {
        let name = self.endpoint.to_string();
        let command = Command::Steer(proto::SteerRollout {
            endpoint: name.clone(),
            revision: self.revision,
            steer: steer_to(steer).into(),
        });
        let object = format!("{name} rev {}", self.revision);
        tell(link, &self.how, command, (&object, is), form).await
    }
}
