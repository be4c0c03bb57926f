//! `binnacle watch`: the journal as it is written, or what changes on hosts and models.
//!
//! It comes back by itself when the hub does, and goes on where it was: no entry is told
//! twice, and none is left out.

use std::time::Duration;

use binnacle_core::view::{self, shown};
use binnacle_proto::v1 as proto;
use binnacle_wire::{host, journal};
use clap::{Args, ValueEnum};
use serde::Serialize;
use tonic::Status;

use crate::cli::{Global, journal as told, time};
use crate::context::Chosen;
use crate::format;
use crate::link::Link;
use crate::outcome::{Exit, Failure};
use crate::output::{self, Form};

/// How long to wait before dialling again: at first, and at most, so that a watcher is back
/// within five seconds of the hub.
const RETRY: Duration = Duration::from_millis(250);
const RETRY_MOST: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// One JSON object a line, with heartbeats.
    #[arg(long)]
    jsonl: bool,
    /// Begin after this entry of the journal [default: now].
    #[arg(long, value_name = "SEQ", conflicts_with = "view")]
    since: Option<u64>,
    /// Follow rows that change rather than the journal.
    #[arg(long)]
    view: Option<View>,
    /// Only these hosts or models; may be given more than once.
    #[arg(long, value_name = "NAME", requires = "view")]
    key: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum View {
    /// Hosts.
    Hosts,
    /// Models.
    Models,
}

/// One line of output.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Started { sequence: u64, at: String },
    Entry(view::EntryRow),
    Heartbeat { sequence: u64, at: String },
    Host(Box<view::HostRow>),
    Model(view::ModelRow),
    Lost { at: String, reason: String },
}

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let hub = global.chosen()?;
        let mut watcher = Watcher {
            form: if self.jsonl || global.json {
                Form::Json
            } else {
                Form::Text
            },
            since: self.since,
            ask: self,
            hub,
        };
        tokio::select! {
            ended = watcher.run(global) => ended,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                Ok(Exit::Interrupted)
            }
        }
    }
}

struct Watcher {
    ask: Ask,
    hub: Chosen,
    form: Form,
    /// The last entry that was told.
    since: Option<u64>,
}

impl Watcher {
    /// The first connection has to work; after that, only refusals end it.
    async fn run(&mut self, global: &Global) -> Result<Exit, Failure> {
        let mut link = global.link().await?;
        let mut wait = RETRY;
        loop {
            let lost = match self.follow(&link).await {
                Ok(()) => "the hub ended the stream".to_owned(),
                Err(failure) if failure.retryable => failure.message,
                Err(failure) => return Err(failure),
            };
            self.tell(Line::Lost {
                at: view::rfc3339(time::now_us()),
                reason: lost,
            })?;
            loop {
                tokio::time::sleep(wait).await;
                match Link::connect(&self.hub, RETRY_MOST).await {
                    Ok(again) => {
                        (link, wait) = (again, RETRY);
                        break;
                    }
                    Err(_) => wait = (wait * 2).min(RETRY_MOST),
                }
            }
        }
    }

    async fn follow(&mut self, link: &Link) -> Result<(), Failure> {
        match self.ask.view {
            None => self.journal(link).await,
            Some(View::Hosts) => self.rows(link, proto::View::Hosts).await,
            Some(View::Models) => self.rows(link, proto::View::Models).await,
        }
    }

    async fn journal(&mut self, link: &Link) -> Result<(), Failure> {
        use proto::watch_event::Body;

        let asked = proto::WatchRequest { since: self.since };
        let mut events = link.fleet().watch(asked).await?.into_inner();
        while let Some(event) = events.message().await.map_err(broken)? {
            let at = |head: &proto::Head| view::rfc3339(head.at_us);
            match event.body {
                Some(Body::Started(head)) => {
                    self.since.get_or_insert(head.sequence);
                    self.tell(Line::Started {
                        sequence: head.sequence,
                        at: at(&head),
                    })?;
                }
                Some(Body::Entry(entry)) => {
                    self.since = Some(entry.sequence);
                    self.tell(Line::Entry(told::read(&journal::from_proto(entry)?)?))?;
                }
                Some(Body::Heartbeat(head)) => {
                    self.tell(Line::Heartbeat {
                        sequence: head.sequence,
                        at: at(&head),
                    })?;
                }
                // A newer hub's event, within a protocol that both speak: an addition.
                None => {}
            }
        }
        Ok(())
    }

    async fn rows(&self, link: &Link, view: proto::View) -> Result<(), Failure> {
        let asked = proto::SubscribeRequest {
            view: view.into(),
            keys: self.ask.key.clone(),
            resolution_ms: 1_000,
        };
        let mut updates = link.telemetry().subscribe(asked).await?.into_inner();
        while let Some(update) = updates.message().await.map_err(broken)? {
            for row in update.hosts {
                self.tell(Line::Host(Box::new(host::from_proto(row)?)))?;
            }
            for row in update.models {
                self.tell(Line::Model(host::model_from(row)?))?;
            }
        }
        Ok(())
    }

    fn tell(&self, line: Line) -> Result<(), Failure> {
        match (self.form, line) {
            (Form::Json, line) => output::json_line(&line),
            (Form::Text, Line::Heartbeat { .. }) => Ok(()),
            (Form::Text, line) => output::text(told(&line)),
        }
    }
}

/// A stream that breaks is a lost hub, whatever the transport calls it.
fn broken(status: Status) -> Failure {
    match Failure::from(status) {
        failure if failure.exit == Exit::Failed => Failure::new(Exit::Unreachable, failure.message),
        failure => failure,
    }
}

fn told(line: &Line) -> String {
    let us = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e3);
    let traffic = |traffic: &view::Traffic| {
        format!(
            "{} req/s  p50 {}  p99 {}  errors {}",
            format::rate(traffic.rate()),
            format::latency(us(traffic.p50_ns)),
            format::latency(us(traffic.p99_ns)),
            format::share(traffic.errors, traffic.requests),
        )
    };
    match line {
        Line::Started { sequence, at } => format!("{at}  watching from entry {sequence}"),
        Line::Heartbeat { sequence, at } => format!("{at}  entry {sequence}"),
        Line::Lost { at, reason } => format!("{at}  lost the hub: {}", shown(reason)),
        Line::Entry(item) => told::line(item),
        Line::Host(row) => {
            let (status, why) = row.status();
            let figures = row.traffic.as_ref().map(traffic).unwrap_or_default();
            let word = format!("{} {}", status.glyph(), status.word());
            format!("{}  {word}  {figures}  {}", row.name, shown(&why))
        }
        Line::Model(row) => format!("{}  {}", shown(&row.model), traffic(&row.traffic)),
    }
}
