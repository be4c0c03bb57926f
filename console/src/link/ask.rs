//! One question or wish of the console as a call to the hub, and its answer as rows.

use std::sync::Arc;

use binnacle_core::view::{EntryRow, LatencyPage};
use binnacle_proto::v1 as proto;
use binnacle_tui::question::{Answer, Question, Refused, Span, Wish};
use binnacle_wire::{glance, host, journal, series};
use tonic::{Code, Status};

use crate::clock;
use crate::link::Link;
use crate::outcome::Failure;

mod alert;
mod drift;
mod endpoint;
mod registry;

/// Entries of the journal on one page.
const ENTRIES_PAGE: u32 = 200;
/// The time over which one host's requests are added up: the hub keeps a minute of each.
const HOST_SPAN_US: i64 = 60_000_000;

/// A connection that works, and how the hub's clock stands.
#[derive(Clone, Debug)]
pub(crate) struct Live {
    pub(crate) link: Link,
    /// The hub's clock minus ours.
    pub(crate) ahead_us: i64,
}

/// Why there is no answer, in words.
type Refusal = String;

impl Live {
    /// Asks the hub.
    pub(crate) async fn answer(&self, question: &Question) -> Result<Answer, Refusal> {
        match question {
            Question::Latency { model, span } => {
                let (from_us, to_us) = self.span(*span);
                self.latency(proto::QueryRequest {
                    fold: model.is_none(),
                    model: model.as_deref().unwrap_or_default().to_owned(),
                    from_us,
                    to_us,
                    step_s: span.step_s,
                    ..Default::default()
                })
                .await
            }
            Question::HostLatency { host } => {
                let to_us = self.now_us();
                self.latency(proto::QueryRequest {
                    host: host.to_string(),
                    from_us: to_us - HOST_SPAN_US,
                    to_us,
                    ..Default::default()
                })
                .await
            }
            Question::History { hosts, span } => self.history(hosts, *span).await,
            Question::Journal { host, before } => self.journal(host.as_deref(), *before).await,
            Question::Past { at_us } => self.past(*at_us).await,
            Question::Host { host } => self.host(host).await,
            Question::Listed(listing) => self.listed(listing).await,
            Question::Lineage { object, uses } => self.lineage(object, *uses).await,
            Question::About { object } => self.about(object).await,
            Question::Profile { digest } => self.profile(*digest).await,
            Question::Distances { reference, other } => self.distances(*reference, *other).await,
            Question::Endpoints(inquiry) => self.inquired(inquiry).await,
            Question::Alerts(inquiry) => self.alerted(inquiry).await,
            Question::Drift(inquiry) => self.drifted(inquiry).await,
        }
    }

    /// Has a wish done; says in words what happened.
    pub(crate) async fn done(&self, wish: &Wish) -> Result<String, Refused> {
        let change = |host: &str, reason: &str| {
            self.link.question(proto::HostChange {
                name: host.to_owned(),
                reason: reason.to_owned(),
                anyway: false,
            })
        };
        let mut fleet = self.link.fleet();
        let (host, changed, is) = match wish {
            Wish::Retire { host, reason } => (
                host,
                fleet.retire_host(change(host, reason)).await,
                "retired",
            ),
            Wish::Readmit { host, reason } => (
                host,
                fleet.readmit_host(change(host, reason)).await,
                "a member again",
            ),
            Wish::Change(change) => return self.change(change).await,
            Wish::Endpoint(deed) => return self.deed(deed).await,
            Wish::Alert(deed) => return self.about_alert(deed).await,
            Wish::Rebaseline(wish) => return self.rebaseline(wish).await,
        };
        let refused = |status| Refused {
            why: unsure(status),
            is_conflict: false,
        };
        let changed = changed.map_err(refused)?.into_inner();
        let entry = changed.sequence;
        Ok(match changed.changed {
            true => format!("{host} is {is}: journal {entry}"),
            false => format!("{host} was {is} already: nothing was written"),
        })
    }

    fn now_us(&self) -> i64 {
        clock::now_us() + self.ahead_us
    }

    fn span(&self, span: Span) -> (i64, i64) {
        let to_us = span.until_us.unwrap_or_else(|| self.now_us());
        (to_us - i64::from(span.length_s) * 1_000_000, to_us)
    }

    async fn latency(&self, asked: proto::QueryRequest) -> Result<Answer, Refusal> {
        let answered = self.link.telemetry().query(self.link.question(asked)).await;
        let answer = answered.map_err(refused)?.into_inner();
        let mut points = Vec::with_capacity(answer.points.len());
        for point in answer.points {
            let windows = point.series.into_iter().map(series::from_proto);
            let windows: Result<Vec<_>, _> = windows.collect();
            points.push((point.start_us, windows.map_err(unreadable)?));
        }
        let (span, as_of_us) = ((answer.from_us, answer.to_us), answer.as_of_us);
        let page = LatencyPage::of(span, answer.resolution_s, as_of_us, &points);
        Ok(Answer::Latency(Arc::new(page.map_err(unreadable)?)))
    }

    async fn history(&self, hosts: &[Arc<str>], span: Span) -> Result<Answer, Refusal> {
        let (from_us, to_us) = self.span(span);
        let asked = self.link.question(proto::HistoryRequest {
            hosts: hosts.iter().map(|host| host.to_string()).collect(),
            from_us,
            to_us,
            step_s: span.step_s,
        });
        let answered = self.link.telemetry().history(asked).await;
        let history = glance::history_from(answered.map_err(refused)?.into_inner());
        Ok(Answer::History(Arc::new(history.map_err(unreadable)?)))
    }

    async fn journal(&self, host: Option<&str>, before: Option<u64>) -> Result<Answer, Refusal> {
        let asked = self.link.question(proto::ListEntriesRequest {
            newest_first: true,
            limit: ENTRIES_PAGE,
            before: before.unwrap_or(0),
            host: host.unwrap_or_default().to_owned(),
            ..Default::default()
        });
        let answered = self.link.fleet().list_entries(asked).await;
        let entries = answered.map_err(refused)?.into_inner().entries;
        let rows = entries.into_iter().map(|entry| {
            let stored = journal::from_proto(entry).map_err(unreadable)?;
            EntryRow::of(&stored).map_err(unreadable)
        });
        Ok(Answer::Journal(rows.collect::<Result<_, Refusal>>()?))
    }

    async fn past(&self, at_us: i64) -> Result<Answer, Refusal> {
        let asked = proto::GlanceRequest { at_us: Some(at_us) };
        let answered = self
            .link
            .telemetry()
            .glance(self.link.question(asked))
            .await;
        let mut updates = answered.map_err(refused)?.into_inner();
        let Some(update) = updates.message().await.map_err(refused)? else {
            return Err("the hub keeps nothing of that time".to_owned());
        };
        let glances = glance::from_proto(update).map_err(unreadable)?;
        Ok(Answer::Past(Arc::new(glances)))
    }

    async fn host(&self, name: &str) -> Result<Answer, Refusal> {
        let asked = self.link.question(proto::ListHostsRequest {
            name: name.to_owned(),
            ..Default::default()
        });
        let listed = match self.link.fleet().list_hosts(asked).await {
            Err(status) if status.code() == Code::NotFound => return Ok(Answer::Host(None)),
            listed => listed.map_err(refused)?.into_inner(),
        };
        let row = listed.hosts.into_iter().next().map(host::from_proto);
        let row = row.transpose().map_err(unreadable)?;
        Ok(Answer::Host(row.map(Arc::new)))
    }
}

/// What the hub said instead of an answer.
pub(crate) fn refused(status: Status) -> Refusal {
    if [Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()) {
        return "the hub did not answer in time".to_owned();
    }
    if status.code() == Code::Unimplemented {
        return "the hub is of an older release and cannot tell".to_owned();
    }
    Failure::from(status).message
}

/// As [`refused`], of a change: where the connection broke, it may have been done.
fn unsure(status: Status) -> Refusal {
    let lost = [
        Code::Unavailable,
        Code::DeadlineExceeded,
        Code::Cancelled,
        Code::Unknown,
    ];
    let is_lost = lost.contains(&status.code());
    let why = refused(status);
    match is_lost {
        true => format!("{why}: whether it was done is not known; the journal will tell"),
        false => why,
    }
}

fn unreadable(error: impl std::fmt::Display) -> Refusal {
    format!("the hub's answer cannot be read: {error}")
}
