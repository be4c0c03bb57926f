//! `binnacle alert`: what does not hold, who knows of it, and who is told.

use std::time::Duration;

use binnacle_core::view::{AlertItem, EndpointName, MarkItem, SinkItem, rfc3339, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document_from;
use clap::{Args, Subcommand};
use proto::alert_command::Command;
use serde::Serialize;

use crate::cli::endpoint::refused;
use crate::cli::{Global, time};
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Open alerts, the loudest first; and how those fare who are told.
    List(List),
    /// One alert, open or closed, whole.
    Show {
        /// Its number.
        alert: u64,
    },
    /// Say that somebody knows of it.
    Acknowledge(Acknowledge),
    /// Tell nobody for a while: of what an alert is about, or of all of an endpoint.
    Silence(Silence),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only of this endpoint.
    endpoint: Option<EndpointName>,
    /// Closed ones as well.
    #[arg(long)]
    all: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Acknowledge {
    /// Its number.
    alert: u64,
    #[command(flatten)]
    way: Way,
}

#[derive(Args, Debug)]
pub(crate) struct Silence {
    /// An alert's number, or an endpoint as ENVIRONMENT/NAME.
    of: String,
    /// For how long: at most 30 days; 0s ends a silence.
    #[arg(long = "for", value_name = "TIME", value_parser = time::duration)]
    lasts: Duration,
    #[command(flatten)]
    way: Way,
}

/// How a change is asked for.
#[derive(Args, Debug)]
struct Way {
    /// Why: it stays in the journal.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// The same key is done once, however often it is sent within a day.
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
}

/// A list of alerts, with the sinks beside them.
#[derive(Serialize)]
struct Listed<'a> {
    #[serde(flatten)]
    document: Document<'a, AlertItem>,
    sinks: &'a [SinkItem],
}

/// What became of a change.
#[derive(Serialize)]
struct Told<'a> {
    object: &'a str,
    changed: bool,
    journal: u64,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::List(list) => list.run(&link, form).await,
            Self::Show { alert } => {
                let asked = proto::AlertsRequest {
                    alert,
                    ..Default::default()
                };
                let (rows, _, as_of_us) = all(&link, asked).await?;
                match form {
                    Form::Json => {
                        output::json(&Document::new("binnacle.alerts/v1", as_of_us, &rows))?;
                    }
                    Form::Text => rows
                        .iter()
                        .try_for_each(|row| output::text(page(row, as_of_us)))?,
                }
                Ok(Exit::Ok)
            }
            Self::Acknowledge(ask) => {
                let object = format!("alert {}", ask.alert);
                let command = Command::Acknowledge(ask.alert);
                tell(&link, &ask.way, command, (&object, "acknowledged"), form).await
            }
            Self::Silence(ask) => {
                let seconds = u32::try_from(ask.lasts.as_secs()).unwrap_or(u32::MAX);
                let (alert, endpoint) = match ask.of.parse() {
                    Ok(number) => (number, String::new()),
                    Err(_) => (0, ask.of.clone()),
                };
                let command = Command::Silence(proto::SilenceAlert {
                    alert,
                    endpoint,
                    seconds,
                });
                let is = match seconds {
                    0 => "no longer silenced",
                    _ => "silenced",
                };
                let object = match alert {
                    0 => ask.of,
                    alert => format!("alert {alert}"),
                };
                tell(&link, &ask.way, command, (&object, is), form).await
            }
        }
    }
}

impl List {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let asked = proto::AlertsRequest {
            endpoint: self
                .endpoint
                .map(|name| name.to_string())
                .unwrap_or_default(),
            closed: self.all,
            ..Default::default()
        };
        let (rows, sinks, as_of_us) = all(link, asked).await?;
        match form {
            Form::Json => output::json(&Listed {
                document: Document::new("binnacle.alerts/v1", as_of_us, &rows),
                sinks: &sinks,
            })?,
            Form::Text if rows.is_empty() => output::text("no alert is open")?,
            Form::Text => output::text(table(&rows, as_of_us))?,
        }
        if form == Form::Text {
            for sink in sinks.iter().filter(|sink| !sink.trouble.is_empty()) {
                let (name, lost) = (&sink.sink, sink.given_up);
                let why = shown(&sink.trouble);
                output::text(format!("! {name} is not told ({lost} given up): {why}"))?;
            }
        }
        Ok(Exit::Ok)
    }
}

/// Alerts as asked for, how sinks fare, and when it was so.
pub(crate) async fn all(
    link: &Link,
    asked: proto::AlertsRequest,
) -> Result<(Vec<AlertItem>, Vec<SinkItem>, i64), Failure> {
    let answer = link.alerts().list(link.question(asked)).await?;
    let answer = answer.into_inner();
    let rows = answer.rows.iter().map(|row| document_from("row", row));
    let sinks = answer.sinks.iter().map(|row| document_from("sink", row));
    Ok((
        rows.collect::<Result<_, _>>()?,
        sinks.collect::<Result<_, _>>()?,
        answer.as_of_us,
    ))
}

async fn tell(
    link: &Link,
    way: &Way,
    command: Command,
    (object, is): (&str, &str),
    form: Form,
) -> Result<Exit, Failure> {
    let asked = proto::AlertCommand {
        why: way.reason.clone(),
        key: way.idempotency_key.clone(),
        command: Some(command),
    };
    let changed = link.alerts().change(link.question(asked)).await;
    let changed = changed.map_err(refused)?.into_inner();
    let (is_changed, journal) = (changed.changed, changed.sequence);
    match form {
        Form::Json => {
            let told = Told {
                object,
                changed: is_changed,
                journal,
            };
            let now_us = time::now_us();
            output::json(&Document::new("binnacle.change/v1", now_us, &[told]))?;
        }
        Form::Text => output::text(match is_changed {
            true => format!("{object} {is}; journal {journal}"),
            false => format!("{object} was so already: nothing was changed"),
        })?,
    }
    Ok(Exit::Ok)
}

fn table(rows: &[AlertItem], now_us: i64) -> String {
    let columns = [
        Column::Right("ALERT"),
        Column::Left("SEVERITY"),
        Column::Left("ENDPOINT"),
        Column::Left("NOT"),
        Column::Right("AGE"),
        Column::Left("BLAME"),
        Column::Left("STATE"),
        Column::Left("FOUND"),
    ];
    let cells = |row: &AlertItem| {
        vec![
            row.alert.to_string(),
            row.severity.word().to_owned(),
            row.endpoint.to_string(),
            row.text.to_string(),
            format::age(now_us - row.since_us),
            row.blame.word.to_string(),
            state(row).to_owned(),
            row.what.to_string(),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}

fn state(row: &AlertItem) -> &'static str {
    match row {
        row if row.closed.is_some() => "closed",
        row if row.silenced.is_some() => "silenced",
        row if row.acknowledged.is_some() => "acknowledged",
        _ => "open",
    }
}

fn page(row: &AlertItem, now_us: i64) -> String {
    let AlertItem {
        alert,
        endpoint,
        text,
        ..
    } = row;
    let (severity, since) = (row.severity.word(), rfc3339(row.since_us));
    let age = format::age(now_us - row.since_us);
    let mut lines = vec![
        format!(
            "alert {alert}  {severity}  {}  {endpoint}: not {text}",
            state(row)
        ),
        format!("since     {since} ({age} ago)"),
        format!("found     {}", row.what),
        format!("blame     {}: {}", row.blame.word, row.blame.why),
        format!("reaction  {}", row.reacted),
    ];
    let mark = |label: &str, mark: &Option<MarkItem>| {
        let mark = mark.as_ref()?;
        let (at, why) = (rfc3339(mark.at_us), shown(&mark.why));
        Some(format!("{label:<10}{at} by {}: {why}", mark.caller))
    };
    lines.extend(mark("known", &row.acknowledged));
    lines.extend(mark("silenced", &row.silenced));
    if let Some(until_us) = row.silenced_until_us {
        lines.push(format!("          until {}", rfc3339(until_us)));
    }
    lines.extend(mark("closed", &row.closed));
    if !row.runbook.is_empty() {
        lines.push(format!("runbook   {}", row.runbook));
    }
    lines.push(format!("why       binnacle why {alert}"));
    lines.join("\n")
}
