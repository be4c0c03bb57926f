//! `binnacle drift`: live inputs held against the training data.

use binnacle_core::view::{
    AlertItem, DriftItem, EndpointName, MovedItem, Reference, Signal, StreamItem, WatchedItem,
    rfc3339, shown,
};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document_from;
use clap::{Args, Subcommand};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cli::endpoint::refused;
use crate::cli::time::Moment;
use crate::cli::{Global, alert, time};
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Column, Document, Form};

/// Cells of a meter of evidence.
const METER: usize = 10;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// What is watched, version by version: how near to an alarm it is, and what it had of data.
    List(Of),
    /// Each feature of what is watched, those first against which there is most evidence: what was
    /// counted of it, and how far that lies from the reference. All of it, or a span of time.
    Show(Show),
    /// What moved: how, since when, how far, and by whose fault.
    Explain(Of),
    /// Alarms of late, open or over: each is an alert.
    Episodes(Episodes),
    /// Accept what is measured as normal: what is open is over, and the evidence begins anew.
    Rebaseline(Rebaseline),
}

#[derive(Args, Debug)]
pub(crate) struct Of {
    /// Only of this endpoint, as ENVIRONMENT/NAME.
    endpoint: Option<EndpointName>,
    /// Only of this version, as in fraud@7.
    #[arg(long, value_name = "VERSION")]
    version: Option<Reference>,
}

/// The further back, the coarser is what is known: to about a sixth of how long ago it was, up to
/// six days. What is told is widened to that, and says from when to when it was counted.
#[derive(Args, Debug)]
pub(crate) struct Show {
    #[command(flatten)]
    of: Of,
    /// Only what was counted since: 30m, 03:12, or RFC 3339 [default: since it is watched].
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    since: Option<Moment>,
    /// Only what was counted until then [default: now].
    #[arg(long, value_name = "TIME", value_parser = time::moment)]
    until: Option<Moment>,
}

#[derive(Args, Debug)]
pub(crate) struct Episodes {
    /// Only of this endpoint, as ENVIRONMENT/NAME.
    endpoint: Option<EndpointName>,
    /// Only those that are open.
    #[arg(long)]
    open: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Rebaseline {
    /// The endpoint, as ENVIRONMENT/NAME.
    endpoint: EndpointName,
    /// Why: it stays in the journal.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// The same key is done once, however often it is sent within a day.
    #[arg(long, value_name = "KEY", default_value = "")]
    idempotency_key: String,
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
            Self::List(of) => {
                let answer = link.drift().list(link.question(of.asked())).await?;
                let (rows, as_of_us) = read::<DriftItem>(&answer.into_inner())?;
                tell(form, ("binnacle.drift/v1", as_of_us), &rows, |rows| {
                    list(rows, as_of_us)
                })
            }
            Self::Show(ask) => {
                let asked = ask.asked(time::now_us())?;
                let answer = link.drift().show(link.question(asked)).await?;
                let (rows, as_of_us) = read::<WatchedItem>(&answer.into_inner())?;
                let is_span = ask.since.is_some() || ask.until.is_some();
                tell(
                    form,
                    ("binnacle.drift-features/v1", as_of_us),
                    &rows,
                    |rows| show(rows, is_span),
                )
            }
            Self::Explain(of) => {
                let answer = link.drift().explain(link.question(of.asked())).await?;
                let (rows, as_of_us) = read::<MovedItem>(&answer.into_inner())?;
                let schema = "binnacle.drift-explanation/v1";
                tell(form, (schema, as_of_us), &rows, |rows| {
                    explain(rows, as_of_us)
                })
            }
            Self::Episodes(ask) => ask.run(&link, form).await,
            Self::Rebaseline(ask) => ask.run(&link, form).await,
        }
    }
}

impl Of {
    fn asked(&self) -> proto::DriftRequest {
        let text = |name: Option<String>| name.unwrap_or_default();
        proto::DriftRequest {
            endpoint: text(self.endpoint.as_ref().map(ToString::to_string)),
            version: text(self.version.as_ref().map(ToString::to_string)),
            ..proto::DriftRequest::default()
        }
    }
}

impl Show {
    fn asked(&self, now_us: i64) -> Result<proto::DriftRequest, Failure> {
        let asked = self.of.asked();
        if self.since.is_none() && self.until.is_none() {
            return Ok(asked);
        }
        // Time begins in 1970, at 1: 0 is none.
        let from_us = self.since.map_or(1, |since| since.us(now_us));
        let to_us = self.until.map_or(now_us, |until| until.us(now_us));
        if from_us >= to_us {
            return Err(Failure::new(Exit::Usage, "--since is not before --until"));
        }
        Ok(proto::DriftRequest {
            from_us,
            to_us,
            ..asked
        })
    }
}

impl Episodes {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let asked = proto::AlertsRequest {
            endpoint: self
                .endpoint
                .map(|name| name.to_string())
                .unwrap_or_default(),
            closed: !self.open,
            ..Default::default()
        };
        let (mut rows, _, as_of_us) = alert::all(link, asked).await?;
        rows.retain(|row: &AlertItem| row.subject.word() == "drift");
        tell(form, ("binnacle.alerts/v1", as_of_us), &rows, |rows| {
            episodes(rows, as_of_us)
        })
    }
}

impl Rebaseline {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let object = self.endpoint.to_string();
        let asked = proto::RebaselineRequest {
            endpoint: object.clone(),
            why: self.reason,
            key: self.idempotency_key,
        };
        let changed = link.drift().rebaseline(link.question(asked)).await;
        let changed = changed.map_err(refused)?.into_inner();
        let told = Told {
            object: &object,
            changed: changed.changed,
            journal: changed.sequence,
        };
        match form {
            Form::Json => {
                output::json(&Document::new(
                    "binnacle.change/v1",
                    time::now_us(),
                    &[told],
                ))?;
            }
            Form::Text => output::text(format!(
                "inputs of {object} are normal as they are; journal {}",
                told.journal
            ))?,
        }
        Ok(Exit::Ok)
    }
}

fn read<T: DeserializeOwned>(answer: &proto::DriftResponse) -> Result<(Vec<T>, i64), Failure> {
    let rows = answer.rows.iter().map(|row| document_from("row", row));
    Ok((rows.collect::<Result<_, _>>()?, answer.as_of_us))
}

fn tell<T: Serialize>(
    form: Form,
    (schema, as_of_us): (&'static str, i64),
    rows: &[T],
    text: impl FnOnce(&[T]) -> String,
) -> Result<Exit, Failure> {
    match form {
        Form::Json => output::json(&Document::new(schema, as_of_us, rows))?,
        Form::Text => output::text(text(rows))?,
    }
    Ok(Exit::Ok)
}

fn list(rows: &[DriftItem], now_us: i64) -> String {
    if rows.is_empty() {
        return "no version serves at an endpoint".to_owned();
    }
    let columns = [
        Column::Left("ENDPOINT"),
        Column::Left("VERSION"),
        Column::Left("STATE"),
        Column::Left("EVIDENCE"),
        Column::Left("MOST"),
        Column::Right("REQUESTS"),
        Column::Right("NOT LOOKED AT"),
        Column::Right("AGE"),
        Column::Left(""),
    ];
    let cells = |row: &DriftItem| {
        let most = row.most.as_ref().filter(|_| row.meter > 0.0);
        let since = row.page.as_ref().filter(|page| page.is_open);
        let why = match since {
            Some(page) => format!("since {}", rfc3339(page.since_us)),
            None => row.why.to_string(),
        };
        vec![
            row.endpoint.to_string(),
            row.version.to_string(),
            row.state.replace('_', " "),
            meter(row.meter),
            most.map_or_else(String::new, stream),
            row.requests.to_string(),
            (row.skipped + row.dropped).to_string(),
            row.seen_us
                .map_or_else(String::new, |at| format::age(now_us - at)),
            why,
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}

/// A bar of evidence: full when it pages.
fn meter(part: f64) -> String {
    let full = (part.clamp(0.0, 1.0) * METER as f64).floor() as usize;
    format!("{}{}", "#".repeat(full), ".".repeat(METER - full))
}

fn stream(stream: &StreamItem) -> String {
    match (&*stream.feature, word(stream.signal)) {
        ("", word) => word.to_owned(),
        (feature, "values") => shown(feature),
        (feature, word) => format!("{} {word}", shown(feature)),
    }
}

fn word(signal: Signal) -> &'static str {
    match signal {
        Signal::Values => "values",
        Signal::Missing => "missing",
        Signal::Unseen => "unseen",
        Signal::OutOfRange => "out of range",
        Signal::Unfit => "requests that do not fit",
    }
}

fn show(rows: &[WatchedItem], is_span: bool) -> String {
    if rows.is_empty() {
        return "nothing of it is watched; `binnacle drift list` says why".to_owned();
    }
    let columns = [
        Column::Left("VERSION"),
        Column::Left("FEATURE"),
        Column::Left("EVIDENCE"),
        Column::Left("MOST IN"),
        Column::Right("COUNTED"),
        Column::Right("MISSING"),
        Column::Right("UNSEEN"),
        Column::Right("OUT OF RANGE"),
        Column::Right("PSI"),
        Column::Right("BY CHANCE TO"),
    ];
    let cells = |row: &WatchedItem| {
        let most = row.streams.first();
        vec![
            row.version.to_string(),
            match &*row.feature {
                "" => "(requests)".to_owned(),
                feature => shown(feature),
            },
            meter(most.map_or(0.0, |stream| stream.meter)),
            most.map_or_else(String::new, |stream| match stream.by_hour {
                true => format!("{} by hour", word(stream.signal)),
                false => word(stream.signal).to_owned(),
            }),
            row.counted.to_string(),
            row.missing.to_string(),
            row.unseen.to_string(),
            row.out_of_range.to_string(),
            figure(row.psi, 3),
            figure(row.psi_chance, 4),
        ]
    };
    let table = output::table(&columns, rows.iter().map(cells));
    match is_span {
        true => format!("{}\n\n{table}", spans(rows)),
        false => table,
    }
}

/// From when to when was counted what is told, a line for each version; evidence is of now.
fn spans(rows: &[WatchedItem]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for row in rows {
        let line = match (row.from_us, row.to_us) {
            (Some(from_us), Some(to_us)) => format!(
                "{} at {}: counted from {} to {}",
                row.version,
                row.endpoint,
                rfc3339(from_us),
                rfc3339(to_us)
            ),
            (_, _) => format!("{} at {}: nothing was counted", row.version, row.endpoint),
        };
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines.join("\n")
}

/// A figure, or that there is none.
fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

fn explain(rows: &[MovedItem], now_us: i64) -> String {
    if rows.is_empty() {
        return "nothing moved".to_owned();
    }
    let columns = [
        Column::Left("VERSION"),
        Column::Left("FEATURE"),
        Column::Left("HOW"),
        Column::Right("PSI"),
        Column::Right("BY CHANCE TO"),
        Column::Right("MOVED, IN SD"),
        Column::Right("SINCE"),
        Column::Right("OF"),
    ];
    let cells = |row: &MovedItem| {
        let unit = match &*row.unit {
            "" => String::new(),
            unit => format!(" ({unit})"),
        };
        vec![
            row.version.to_string(),
            match &*row.feature {
                "" => "(requests)".to_owned(),
                feature => shown(feature),
            },
            format!("{}{unit}", shown(&row.how)),
            figure(row.psi, 3),
            figure(row.psi_chance, 4),
            figure(row.wasserstein, 2),
            format::age(now_us - row.since_us),
            row.observations.to_string(),
        ]
    };
    let mut text = output::table(&columns, rows.iter().map(cells));
    if let Some(blame) = rows.iter().find_map(|row| row.blame.as_ref()) {
        text.push_str(&format!("\n\nblame     {}: {}", blame.word, blame.why));
    }
    text
}

fn episodes(rows: &[AlertItem], now_us: i64) -> String {
    if rows.is_empty() {
        return "no alarm of late".to_owned();
    }
    let columns = [
        Column::Right("ALERT"),
        Column::Left("ENDPOINT"),
        Column::Left("STATE"),
        Column::Right("AGE"),
        Column::Left("BLAME"),
        Column::Left("MOVED"),
    ];
    let cells = |row: &AlertItem| {
        let state = match (&row.closed, &row.acknowledged) {
            (Some(_), _) => "over",
            (None, Some(_)) => "acknowledged",
            (None, None) => "open",
        };
        vec![
            row.alert.to_string(),
            row.endpoint.to_string(),
            state.to_owned(),
            format::age(now_us - row.since_us),
            row.blame.word.to_string(),
            row.what.to_string(),
        ]
    };
    output::table(&columns, rows.iter().map(cells))
}
