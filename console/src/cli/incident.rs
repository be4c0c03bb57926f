//! `binnacle incident export`: what happened at an endpoint, from its onset to its end, as a text
//! that a post-mortem begins with. Everything in it stands in the journal.

use std::fmt::Write as _;

use binnacle_core::alert::Subject;
use binnacle_core::journal::Entry;
use binnacle_core::view::{AlertItem, EndpointName, WhyItem, rfc3339, shown};
use binnacle_core::why::{event, lasts, seconds};
use binnacle_proto::v1 as proto;
use binnacle_wire::journal;
use binnacle_wire::registry::document_from;
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::cli::{Global, alert};
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Document, Form};

/// How long before its onset an incident is told from: what led to it.
const BEFORE_US: i64 = 30 * 60 * 1_000_000;
/// Entries that are read at once.
const PAGE: u32 = 1_000;
/// Entries that are told at most: more is a journal, and no account.
const MAX_EVENTS: usize = 500;

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// The last alert of an endpoint, from half an hour before its onset to its end, as Markdown.
    Export(Export),
}

#[derive(Args, Debug)]
pub(crate) struct Export {
    /// Of which endpoint.
    endpoint: EndpointName,
    /// Rather than its last alert, this one.
    #[arg(long, value_name = "NUMBER")]
    alert: Option<u64>,
}

/// One entry of the account.
#[derive(Serialize)]
struct Event {
    at: String,
    caller: String,
    what: String,
    why: String,
    journal: u64,
}

/// The account.
#[derive(Serialize)]
struct Incident {
    alert: AlertItem,
    /// From the onset to the alert, in seconds.
    detected_after_s: f64,
    /// From the onset to the end; null while it is open.
    lasted_s: Option<f64>,
    events: Vec<Event>,
    /// Whether more happened than is told.
    is_cut: bool,
    markdown: String,
}

impl Verb {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let (link, form) = (global.link().await?, global.form());
        match self {
            Self::Export(export) => export.run(&link, form).await,
        }
    }
}

impl Export {
    async fn run(self, link: &Link, form: Form) -> Result<Exit, Failure> {
        let (alert, as_of_us) = self.alert(link).await?;
        let asked = proto::WhyRequest {
            of: alert.alert.to_string(),
        };
        let answer = link.alerts().why(link.question(asked)).await?.into_inner();
        let why = answer.rows.first().map(|row| document_from("row", row));
        let why: Option<WhyItem> = why.transpose()?;
        let (events, is_cut) = self.events(link, &alert).await?;
        let ended_us = alert.closed.as_ref().map(|mark| mark.at_us);
        let markdown = markdown(&alert, why.as_ref(), &events, (is_cut, as_of_us));
        let incident = Incident {
            detected_after_s: (alert.opened_at_us - alert.since_us) as f64 / 1e6,
            lasted_s: ended_us.map(|ended_us| (ended_us - alert.since_us) as f64 / 1e6),
            alert,
            events,
            is_cut,
            markdown,
        };
        match form {
            Form::Json => {
                let items = [incident];
                output::json(&Document::new("binnacle.incident/v1", as_of_us, &items))?;
            }
            Form::Text => output::text(&incident.markdown)?,
        }
        Ok(Exit::Ok)
    }

    /// The alert that is meant: the one that was named, one that is open, or the last that was.
    async fn alert(&self, link: &Link) -> Result<(AlertItem, i64), Failure> {
        let asked = proto::AlertsRequest {
            endpoint: self.endpoint.to_string(),
            closed: true,
            ..Default::default()
        };
        let (rows, _, as_of_us) = alert::all(link, asked).await?;
        let is_meant = |row: &&AlertItem| self.alert.is_none_or(|number| row.alert == number);
        // A host that is odd is no incident while there is another.
        let is_loud = |row: &&AlertItem| !matches!(row.subject, Subject::OddHost(_));
        let mut meant = rows.iter().filter(is_meant);
        let found = meant.clone().find(is_loud).or_else(|| meant.next());
        let found = found.cloned().ok_or_else(|| {
            let what = match self.alert {
                Some(number) => format!("{} had no alert {number}", self.endpoint),
                None => format!("{} never had an alert", self.endpoint),
            };
            Failure::new(Exit::NotFound, what)
        });
        Ok((found?, as_of_us))
    }

    /// Entries about the endpoint, oldest first, and whether there were more.
    async fn events(&self, link: &Link, alert: &AlertItem) -> Result<(Vec<Event>, bool), Failure> {
        let from_us = alert.since_us - BEFORE_US;
        let to_us = alert.closed.as_ref().map_or(i64::MAX, |mark| mark.at_us);
        let about = format!("endpoint {}", self.endpoint);
        let (mut events, mut before) = (Vec::new(), 0);
        loop {
            let asked = proto::ListEntriesRequest {
                limit: PAGE,
                newest_first: true,
                before,
                ..Default::default()
            };
            let page = link.fleet().list_entries(link.question(asked)).await?;
            let page = page.into_inner().entries;
            let Some(last) = page.last() else {
                break;
            };
            before = last.sequence;
            let mut is_over = before <= 1;
            for entry in page {
                let stored = journal::from_proto(entry)?;
                let entry = Entry::from_body(stored.sequence, &stored.body);
                let entry = entry.map_err(|fault| Failure::of(Exit::Failed, &fault))?;
                is_over |= entry.at_us < from_us;
                let is_inside = (from_us..=to_us).contains(&entry.at_us);
                if is_inside && entry.change.object() == about {
                    events.extend(told(&entry));
                }
            }
            if is_over || events.len() > MAX_EVENTS {
                break;
            }
        }
        let is_cut = events.len() > MAX_EVENTS;
        events.truncate(MAX_EVENTS);
        events.reverse();
        Ok((events, is_cut))
    }
}

fn told(entry: &Entry) -> Option<Event> {
    Some(Event {
        at: seconds(entry.at_us),
        caller: entry.caller.to_string(),
        what: event(entry)?,
        why: shown(&entry.why),
        journal: entry.sequence,
    })
}

/// The account, for people.
fn markdown(
    alert: &AlertItem,
    why: Option<&WhyItem>,
    events: &[Event],
    (is_cut, as_of_us): (bool, i64),
) -> String {
    let AlertItem {
        alert: number,
        endpoint,
        text,
        ..
    } = alert;
    let ended_us = alert.closed.as_ref().map(|mark| mark.at_us);
    let ended = match (ended_us, &alert.closed) {
        (Some(at_us), Some(mark)) => format!("{} ({})", seconds(at_us), shown(&mark.why)),
        (_, _) => "still open".to_owned(),
    };
    let lasted = lasts(ended_us.unwrap_or(as_of_us) - alert.since_us);
    let detected = lasts(alert.opened_at_us - alert.since_us);
    let mut text = format!(
        "# {endpoint}: not {text}\n\n\
         | | |\n| --- | --- |\n\
         | alert | {number}, {} |\n\
         | onset | {} |\n\
         | detected | after {detected} |\n\
         | end | {ended} |\n\
         | lasted | {lasted} |\n\
         | found | {} |\n\
         | blame | {}: {} |\n\
         | reaction | {} |\n",
        alert.severity.word(),
        seconds(alert.since_us),
        cell(&alert.what),
        alert.blame.word,
        cell(&alert.blame.why),
        cell(&alert.reacted),
    );
    if let Some(mark) = &alert.acknowledged {
        let (at, why) = (seconds(mark.at_us), cell(&mark.why));
        // Into a string nothing can fail.
        let _written = writeln!(text, "| acknowledged | {at} by {}: {why} |", mark.caller);
    }
    if let Some(why) = why {
        let _written = writeln!(text, "\n## Why\n\n```\n{}\n```", why.lines.join("\n"));
    }
    text.push_str("\n## What happened\n\n");
    if is_cut {
        text.push_str("Earlier entries are left out.\n\n");
    }
    text.push_str("| when | who | what | why | entry |\n| --- | --- | --- | --- | --- |\n");
    for event in events {
        let (what, why) = (cell(&event.what), cell(&event.why));
        let (at, caller, journal) = (&event.at, &event.caller, event.journal);
        let _written = writeln!(text, "| {at} | {caller} | {what} | {why} | {journal} |");
    }
    let _written = write!(text, "\nFrom the journal, as of {}.", rfc3339(as_of_us));
    text
}

/// Text within a table.
fn cell(text: &str) -> String {
    shown(text).replace('|', "\\|")
}
