//! What the fleet measures: counted once, merged exactly over hosts and time, durable.
//!
//! [`Telemetry`] is a handle to one task that owns everything measured. It promises that a
//! report is counted once, however often it is sent; that `durable` in an [`Ack`] advances
//! only when the counts are on the disk, in one transaction with the sequences that they
//! complete; and that an answer is right to the request, whatever is being written meanwhile.
//! It leaves to others who a host is, and whether its figures are good or bad.
//!
//! By the second for 15 minutes in memory, by ten seconds for 6 hours and by the minute for
//! 7 days in the store, within a stated memory budget.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use binnacle_core::report::{BootId, Moment, Report};
use binnacle_core::series::{SeriesKey, SeriesWindow};
use binnacle_core::view::{Cell, History, ModelRow, Status as HostStatus, Traffic};
use futures::future::BoxFuture;
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::store::{MinuteQuery, SharedStore, Span, StoreError};
use crate::telemetry::book::Book;
use crate::telemetry::history::ByMinute;
use crate::telemetry::owner::{Ask, Owner, Work};
use crate::telemetry::query::ATTEMPTS;
use crate::telemetry::shelf::Topic;

mod answer;
#[cfg(test)]
mod behaviour;
mod book;
mod closing;
mod history;
mod hosts;
#[cfg(test)]
mod laws;
mod minutes;
mod models;
mod names;
mod owner;
mod pages;
#[cfg(test)]
mod past;
mod pending;
mod query;
mod ranges;
mod recent;
mod seconds;
mod shelf;
mod tally;
mod traffic;

/// Asks that wait for the owner: a second of the reports of a large fleet. Beyond it, streams
/// wait, and so do their agents.
const INBOX: usize = 8_192;
/// Hosts whose traffic is summed up in one go: some milliseconds, in which nothing else is
/// counted.
const READINGS: usize = 100;
/// A host that has not reported for this long is silent: five windows, so that a pause of the
/// network or of a busy agent is not called one.
pub const LIVE_WITHIN_US: i64 = 5_000_000;

const SECOND_US: i64 = 1_000_000;

/// How much may be held in memory.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Bytes over all; a quarter each for the seconds, for what waits for the disk and for
    /// the hosts' last minutes, a sixteenth for minutes that are asked about again and again,
    /// and the rest for what is open and for the hosts themselves.
    pub memory_limit: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let memory_limit = 256 << 20;
        Self { memory_limit }
    }
}

impl Settings {
    fn seconds_limit(&self) -> usize {
        self.memory_limit / 4
    }

    fn pending_limit(&self) -> usize {
        self.memory_limit / 4
    }

    fn recent_limit(&self) -> usize {
        self.memory_limit / 4
    }

    fn shelf_limit(&self) -> usize {
        self.memory_limit / 16
    }
}

/// What an agent may know of one of its starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Which start.
    pub boot: BootId,
    /// Everything up to here that was sent is counted.
    pub received: u64,
    /// Everything up to here that was sent is on the disk, and may be forgotten.
    pub durable: u64,
}

/// The acks of one stream, each boot's latest.
#[derive(Debug)]
pub struct Acks {
    board: watch::Receiver<Vec<Ack>>,
    told: Vec<Ack>,
}

impl Acks {
    /// The next ack that says something new; `None` when telemetry has stopped. Nothing is
    /// lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Ack> {
        loop {
            let news = {
                let board = self.board.borrow_and_update();
                board.iter().find(|ack| !self.told.contains(ack)).cloned()
            };
            if let Some(ack) = news {
                self.told.retain(|told| told.boot != ack.boot);
                self.told.push(ack.clone());
                return Some(ack);
            }
            self.board.changed().await.ok()?;
        }
    }
}

/// What is measured of one host now.
#[derive(Clone, Debug)]
pub struct HostReading {
    /// Whether and since when it is heard.
    pub pulse: Pulse,
    /// Its clock minus the hub's, in microseconds.
    pub skew_us: i64,
    /// What it last said of the moment.
    pub moment: Arc<Moment>,
    /// Its requests of the last ten whole seconds, or of the last minute where those are few.
    pub traffic: Traffic,
}

/// Whether and since when a host is heard, and what its lights say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulse {
    /// When its last report came.
    pub seen_us: i64,
    /// Since when reports have come with no gap over [`LIVE_WITHIN_US`].
    pub heard_since_us: i64,
    /// What the lights of its server said last.
    pub health: HostStatus,
    /// Since when they say so.
    pub health_since_us: i64,
    /// Why they are not all on, where the server says.
    pub reason: Option<Arc<str>>,
}

/// One finished minute of all hosts that reported in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    /// When it began.
    pub start_us: i64,
    /// The hosts' requests, in order of name.
    pub cells: Vec<(Arc<str>, Cell)>,
}

/// What is asked of the past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// One model; all when absent.
    pub model: Option<Arc<str>>,
    /// One version; all when absent.
    pub version: Option<Arc<str>>,
    /// One host, of which only the last minute is known; all when absent.
    pub host: Option<Arc<str>>,
    /// Where the span begins.
    pub from_us: i64,
    /// Where it ends.
    pub to_us: i64,
    /// Seconds a point; 0 for one point.
    pub step_s: u32,
    /// Whether all that it takes is added together, by outcome, with no names.
    pub is_folded: bool,
}

impl Question {
    /// Whether it takes every series.
    fn takes_all(&self) -> bool {
        self.model.is_none() && self.version.is_none()
    }

    /// What a series is counted by in the answer.
    fn key<'a>(&self, key: &'a SeriesKey) -> Cow<'a, SeriesKey> {
        if self.is_folded {
            return Cow::Owned(names::nameless(key.outcome));
        }
        Cow::Borrowed(key)
    }

    fn takes(&self, key: &SeriesKey) -> bool {
        self.model.as_ref().is_none_or(|model| *model == key.model)
            && self
                .version
                .as_ref()
                .is_none_or(|version| *version == key.version)
    }
}

/// What was measured in a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The start of each point in which anything was counted, and its windows by series.
    pub points: Vec<(i64, Vec<SeriesWindow>)>,
    /// Seconds of the longest windows that it is made of: 1, 10 or 60.
    pub resolution_s: u32,
    /// Where the span begins: at or before where it was asked for.
    pub from_us: i64,
    /// Where it ends: at or after where it was asked for.
    pub to_us: i64,
}

/// What is asked of hosts' past.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// Which hosts.
    pub hosts: Vec<Arc<str>>,
    /// Where the span begins.
    pub from_us: i64,
    /// Where it ends.
    pub to_us: i64,
    /// Seconds a column: whole minutes, one at least.
    pub step_s: u32,
}

/// How telemetry is doing.
#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Why writing fails, if it does; empty when it works.
    pub trouble: String,
    /// Each limit that something ran into, and how often.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Bytes in use, estimated.
    pub memory: u64,
    /// Bytes that may be in use.
    pub memory_limit: u64,
    /// When deltas last reached the disk; 0 if they did not.
    pub durable_us: i64,
}

/// Why telemetry did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Its task has ended.
    #[error("the hub is stopping")]
    Stopped,
    /// More waits for the disk than may: the agent keeps its report, and sends it again.
    #[error("the hub's disk has not kept up: send it again later")]
    Full,
    /// More windows than an answer may have.
    #[error("the answer has over {0} windows: ask for one model, or for a longer step")]
    TooMuch(usize),
    /// The store was too busy for one consistent look.
    #[error("the store was rearranged under the question each time: ask again")]
    Restless,
    /// The store.
    #[error("what was measured cannot be read")]
    Store(#[source] StoreError),
    /// The store, when everything was to be written.
    #[error("what was measured cannot be written")]
    Unwritten(#[source] Arc<StoreError>),
}

/// What has to be on the disk before reports are: others that take something of them.
pub type Before = Arc<dyn Fn() -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// A handle to what the fleet measures.
#[derive(Clone, Debug)]
pub struct Telemetry {
    asks: mpsc::Sender<Ask>,
    store: SharedStore,
    clock: Clock,
    full: Arc<AtomicBool>,
    finished: watch::Receiver<Option<Arc<Minute>>>,
    models: models::Shared,
}

impl Telemetry {
    /// Takes up what the store holds, and starts.
    pub async fn start(
        store: SharedStore,
        clock: Clock,
        settings: Settings,
    ) -> Result<Self, TelemetryError> {
        let before: Before = Arc::new(|| Box::pin(async { Ok(()) }));
        Self::start_after(store, clock, settings, before).await
    }

    /// As [`Telemetry::start`]; no report is durable before what `before` does is done, which is
    /// asked for after the report was received.
    pub async fn start_after(
        store: SharedStore,
        clock: Clock,
        settings: Settings,
        before: Before,
    ) -> Result<Self, TelemetryError> {
        let flushed = store.flushed().await.map_err(TelemetryError::Store)?;
        let marks = store
            .all_watermarks()
            .await
            .map_err(TelemetryError::Store)?;
        let writer = ulid::Ulid::generate().to_bytes();
        let book = Book::new(settings, writer, flushed, marks, clock.now_us());
        let (asks, inbox) = mpsc::channel(INBOX);
        let full = Arc::<AtomicBool>::default();
        let (finish, finished) = watch::channel(None);
        let owner = Owner {
            book,
            finish,
            store: store.clone(),
            clock: clock.clone(),
            full: full.clone(),
            memory_limit: settings.memory_limit as u64,
            before,
            work: Work::default(),
        };
        tokio::spawn(owner.run(inbox));
        Ok(Self {
            asks,
            store,
            clock,
            full,
            finished,
            models: models::Shared::default(),
        })
    }

    /// Counts a report of `host` that came at `received_us`, once. Waits while the owner is
    /// behind; on [`TelemetryError::Full`] the stream has to end, so that the agent sends
    /// again what was not counted.
    pub async fn received(
        &self,
        host: Arc<str>,
        report: Report,
        received_us: i64,
    ) -> Result<(), TelemetryError> {
        if self.full.load(Ordering::Relaxed) {
            return Err(TelemetryError::Full);
        }
        let ask = Ask::Received {
            host,
            report,
            received_us,
        };
        self.asks
            .send(ask)
            .await
            .map_err(|_| TelemetryError::Stopped)
    }

    /// A stream of `host` has opened: the acks that go out on it.
    pub async fn subscribe_acks(&self, host: Arc<str>) -> Result<Acks, TelemetryError> {
        let board = self.ask(|reply| Ask::Dialled { host, reply }).await?;
        Ok(Acks {
            board,
            told: Vec::new(),
        })
    }

    /// How much is durable of each start of a host's agent.
    pub async fn watermarks(&self, host: Arc<str>) -> Result<Vec<(BootId, u64)>, TelemetryError> {
        self.ask(|reply| Ask::Watermarks { host, reply }).await
    }

    /// What is measured of each of these hosts, in the order asked for; `None` for one that
    /// has not reported since the hub started.
    pub async fn hosts(
        &self,
        hosts: Vec<Arc<str>>,
    ) -> Result<Vec<Option<HostReading>>, TelemetryError> {
        let mut readings = Vec::with_capacity(hosts.len());
        for some in hosts.chunks(READINGS) {
            let hosts = some.to_vec();
            readings.extend(self.ask(|reply| Ask::Readings { hosts, reply }).await?);
        }
        Ok(readings)
    }

    /// Whether and since when each of these hosts is heard, in the order asked for; `None` for
    /// one that has not reported since the hub started. Lighter than [`Telemetry::hosts`].
    pub async fn pulses(&self, hosts: Vec<Arc<str>>) -> Result<Vec<Option<Pulse>>, TelemetryError> {
        self.ask(|reply| Ask::Pulses { hosts, reply }).await
    }

    /// The hosts whose pulse has turned since this was last asked, in order of name: those that
    /// fell silent or are heard again, or whose lights say something else. For one who asks: what
    /// was told is not told again.
    pub async fn turned(&self) -> Result<Vec<(Arc<str>, Pulse)>, TelemetryError> {
        self.ask(|reply| Ask::Turned { reply }).await
    }

    /// The last minute that is finished; `None` before the first since the hub started.
    pub fn last_minute(&self) -> Option<Arc<Minute>> {
        self.finished.borrow().clone()
    }

    /// Each model's requests of the last ten whole seconds, or of the last minute where those
    /// are few, in order of name. Worked out once a second, whoever asks.
    pub async fn models(&self) -> Result<Arc<Vec<ModelRow>>, TelemetryError> {
        let (from_us, to_us) = models::span(self.clock.now_us());
        let mut shared = self.models.lock().await;
        if let Some((at_us, rows)) = &*shared
            && *at_us == to_us
        {
            return Ok(rows.clone());
        }
        // After a restart, there is less: what there is.
        let (whole_from_us, looks) = self.seconds(Topic::all(), from_us, to_us).await?;
        let rows = Arc::new(models::rows(&looks, whole_from_us, to_us));
        *shared = Some((to_us, rows.clone()));
        Ok(rows)
    }

    /// Hosts' requests over time; the span is widened to whole steps, and holds nothing of
    /// minutes that are not finished.
    pub async fn history(&self, asked: Past) -> Result<History, TelemetryError> {
        let (from_us, to_us) = asked.span();
        let hosts = Some(asked.hosts.iter().cloned().collect());
        let minutes = self.minutes(from_us, to_us, hosts).await?;
        Ok(history::columns(&asked, &minutes, self.clock.now_us()))
    }

    /// The minute that holds `at_us`, as it is known now.
    pub async fn minute(&self, at_us: i64) -> Result<Minute, TelemetryError> {
        let start_us = Span::Minute.start_of(at_us);
        let to_us = start_us.saturating_add(Span::Minute.us());
        let mut minutes = self.minutes(start_us, to_us, None).await?;
        let cells = minutes.remove(&start_us).unwrap_or_default();
        let cells = cells.into_iter().collect();
        Ok(Minute { start_us, cells })
    }

    async fn minutes(
        &self,
        from_us: i64,
        to_us: i64,
        hosts: Option<BTreeSet<Arc<str>>>,
    ) -> Result<ByMinute, TelemetryError> {
        for _ in 0..ATTEMPTS {
            let beside = self.ask(|reply| Ask::MinutesBeside { reply }).await?;
            let query = MinuteQuery {
                from_us,
                to_us: to_us.min(beside.open_us).max(from_us),
                hosts: hosts.clone(),
            };
            let mut cells = Vec::new();
            let mut take = |cell| cells.push(cell);
            let flush = self.store.minutes(query.clone(), &mut take).await;
            let flush = flush.map_err(TelemetryError::Store)?;
            if let Some(minutes) = beside.together(&query, flush, cells) {
                return Ok(minutes);
            }
        }
        Err(TelemetryError::Restless)
    }

    /// How telemetry is doing.
    pub async fn status(&self) -> Result<Status, TelemetryError> {
        self.ask(|reply| Ask::Status { reply }).await
    }

    /// Writes down everything that was counted until now, for a hub that is about to stop.
    pub async fn shutdown(&self) -> Result<(), TelemetryError> {
        let written = self.ask(|reply| Ask::Flush { reply }).await?;
        written.map_err(TelemetryError::Unwritten)
    }

    /// Seconds that memory holds, and the time from which on it holds all of them.
    async fn seconds(
        &self,
        topic: Topic,
        from_us: i64,
        to_us: i64,
    ) -> Result<(i64, Vec<seconds::Look>), TelemetryError> {
        self.ask(|reply| Ask::Seconds {
            topic,
            from_us,
            to_us,
            reply,
        })
        .await
    }

    async fn ask<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<T>) -> Ask,
    ) -> Result<T, TelemetryError> {
        let (reply, answer) = oneshot::channel();
        let sent = self.asks.send(ask(reply)).await;
        sent.map_err(|_| TelemetryError::Stopped)?;
        answer.await.map_err(|_| TelemetryError::Stopped)
    }
}
