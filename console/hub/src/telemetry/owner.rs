//! The task that owns the book: takes reports in, seals seconds, has deltas written.
//!
//! Writing runs beside it, one batch at a time: a slow disk delays what agents may forget,
//! and nothing else.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use binnacle_core::report::{BootId, Report};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::clock::Clock;
use crate::store::{Compaction, Rollup, RollupQuery, SharedStore, Span, StoreError};
use crate::telemetry::book::Book;
use crate::telemetry::history::MinutesBeside;
use crate::telemetry::pages::Known;
use crate::telemetry::seconds::Look;
use crate::telemetry::shelf::{Page, Topic};
use crate::telemetry::tally::Counted;
use crate::telemetry::{Ack, Before, HostReading, Minute, Pulse, Status};

/// Asks taken in one go: enough that a wake-up is shared by many reports, few enough that a
/// tick is never late by more than some milliseconds.
const BATCH: usize = 256;
/// How often the book looks at the clock.
const TICK: Duration = Duration::from_millis(250);
/// How often some hosts' minutes are finished, while any are due: ten thousand hosts take five
/// seconds.
const TURN: Duration = Duration::from_millis(50);
/// How long after a span's end it is written: agents seal on the second, so by then its last
/// windows are in, and most spans take one row rather than two.
const FLUSH_LAG_US: i64 = 1_500_000;
/// How long to wait after a write that failed; a full disk is not emptied by asking.
const RETRY_US: i64 = 1_000_000;
/// How often old rows are looked for, and idle things forgotten.
const SWEEP_US: i64 = 60_000_000;

/// What the owner can be asked. Nearly every ask is a report: a box for each would cost more
/// than the room that the others waste.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)]
pub(crate) enum Ask {
    /// Count a report.
    Received {
        host: Arc<str>,
        report: Report,
        received_us: i64,
    },
    /// A host's stream has opened.
    Dialled {
        host: Arc<str>,
        reply: oneshot::Sender<watch::Receiver<Vec<Ack>>>,
    },
    /// How much is durable of a host.
    Watermarks {
        host: Arc<str>,
        reply: oneshot::Sender<Vec<(BootId, u64)>>,
    },
    /// What is known of hosts.
    Readings {
        hosts: Vec<Arc<str>>,
        reply: oneshot::Sender<Vec<Option<HostReading>>>,
    },
    /// Whether hosts are heard.
    Pulses {
        hosts: Vec<Arc<str>>,
        reply: oneshot::Sender<Vec<Option<Pulse>>>,
    },
    /// Which hosts' pulses have turned since this was last asked.
    Turned {
        reply: oneshot::Sender<Vec<(Arc<str>, Pulse)>>,
    },
    /// One host's last minute.
    Recent {
        host: Arc<str>,
        from_us: i64,
        to_us: i64,
        reply: oneshot::Sender<Vec<(i64, Counted)>>,
    },
    /// Seconds that memory holds, and the time from which on it holds all of them; of those that
    /// are open, only what the topic takes.
    Seconds {
        topic: Topic,
        from_us: i64,
        to_us: i64,
        reply: oneshot::Sender<(i64, Vec<Look>)>,
    },
    /// What the disk does not hold, and up to which flush it holds the rest.
    BesideDisk {
        query: RollupQuery,
        reply: oneshot::Sender<(RollupQuery, Vec<Rollup>)>,
    },
    /// What is known of these minutes, and what has to be read.
    Minutes {
        topic: Topic,
        span: Range<i64>,
        reply: oneshot::Sender<Known>,
    },
    /// Pages for the shelf, begun under this number.
    Shelve {
        topic: Topic,
        number: u64,
        pages: Vec<(i64, Page)>,
    },
    /// What the disk does not hold of hosts' minutes.
    MinutesBeside {
        reply: oneshot::Sender<MinutesBeside>,
    },
    /// How it is doing.
    Status { reply: oneshot::Sender<Status> },
    /// Write everything down now, and say whether that worked.
    Flush {
        reply: oneshot::Sender<Result<(), Arc<StoreError>>>,
    },
}

/// The owner.
pub(crate) struct Owner {
    pub(crate) book: Book,
    /// Where the last finished minute is shown.
    pub(crate) finish: watch::Sender<Option<Arc<Minute>>>,
    pub(crate) store: SharedStore,
    pub(crate) clock: Clock,
    /// Whether reports are turned away until the disk has caught up.
    pub(crate) full: Arc<AtomicBool>,
    pub(crate) memory_limit: u64,
    pub(crate) before: Before,
    pub(crate) work: Work,
}

/// What runs beside the owner, and when the next of it is due, by the monotonic clock but for
/// the flush, which follows the spans of the wall clock.
#[derive(Debug, Default)]
pub(crate) struct Work {
    writing: Option<JoinHandle<Result<(), StoreError>>>,
    compacting: Option<JoinHandle<Result<Compaction, StoreError>>>,
    flush_at_us: i64,
    retry_at_us: i64,
    sweep_at_us: i64,
    full_at_s: i64,
    durable_us: i64,
    trouble: Option<String>,
    waiting: Vec<oneshot::Sender<Result<(), Arc<StoreError>>>>,
}

impl Owner {
    /// Runs until every handle is gone.
    pub(crate) async fn run(mut self, mut inbox: mpsc::Receiver<Ask>) {
        let mut asks = Vec::with_capacity(BATCH);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut turns = tokio::time::interval(TURN);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.work.flush_at_us = next_flush(self.clock.now_us());
        self.work.sweep_at_us = self.clock.elapsed_us() + SWEEP_US;
        loop {
            tokio::select! {
                biased;
                _ = tick.tick() => self.tick(),
                _ = turns.tick(), if self.book.is_closing() => self.turn(),
                done = ended(&mut self.work.writing) => self.written(done),
                done = ended(&mut self.work.compacting) => self.compacted(done),
                count = inbox.recv_many(&mut asks, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    asks.drain(..).for_each(|ask| self.take(ask));
                }
            }
        }
    }

    fn take(&mut self, ask: Ask) {
        // Whoever has stopped waiting for an answer does not miss it.
        match ask {
            Ask::Received {
                host,
                report,
                received_us,
            } => {
                let elapsed_us = self.clock.elapsed_us();
                self.book.receive(host, report, received_us, elapsed_us);
            }
            Ask::Dialled { host, reply } => {
                let _gone = reply.send(self.book.dialled(host, self.clock.elapsed_us()));
            }
            Ask::Watermarks { host, reply } => {
                let _gone = reply.send(self.book.watermarks(&host));
            }
            Ask::Readings { hosts, reply } => {
                let _gone = reply.send(self.book.readings(&hosts, self.clock.now_us()));
            }
            Ask::Pulses { hosts, reply } => {
                let _gone = reply.send(self.book.pulses(&hosts));
            }
            Ask::Turned { reply } => {
                let _gone = reply.send(self.book.turned(self.clock.now_us()));
            }
            Ask::Recent {
                host,
                from_us,
                to_us,
                reply,
            } => {
                let _gone = reply.send(self.book.recent(&host, from_us, to_us));
            }
            Ask::Seconds {
                topic,
                from_us,
                to_us,
                reply,
            } => {
                let whole_from_us = self.book.whole_from_us();
                let looks = self.book.seconds(&topic, from_us, to_us);
                let _gone = reply.send((whole_from_us, looks));
            }
            Ask::Minutes { topic, span, reply } => {
                let now_us = self.clock.now_us();
                let _gone = reply.send(self.book.minutes(&topic, span, now_us));
            }
            Ask::Shelve {
                topic,
                number,
                pages,
            } => self.book.shelve(topic, number, pages),
            Ask::BesideDisk { query, reply } => {
                let _gone = reply.send(self.book.beside_disk(query));
            }
            Ask::MinutesBeside { reply } => {
                let _gone = reply.send(self.book.minutes_beside_disk());
            }
            Ask::Status { reply } => {
                let _gone = reply.send(self.status());
            }
            Ask::Flush { reply } => {
                self.work.waiting.push(reply);
                self.write();
            }
        }
    }

    fn tick(&mut self) {
        let (now_us, elapsed_us) = (self.clock.now_us(), self.clock.elapsed_us());
        self.book.seal(now_us);
        let now_s = now_us.div_euclid(1_000_000);
        if now_s != self.work.full_at_s {
            self.work.full_at_s = now_s;
            self.full.store(self.book.is_full(), Ordering::Relaxed);
        }
        // A clock that was set back must not put the flush off for longer than a span.
        let is_far = self.work.flush_at_us - now_us > 2 * Span::TenSeconds.us();
        let is_due = now_us >= self.work.flush_at_us || is_far || self.book.is_pressed();
        // A write that takes long stays due, and is followed by the next as soon as it ends.
        if is_due && self.work.writing.is_none() {
            self.work.flush_at_us = next_flush(now_us);
            self.write();
        } else if self.work.trouble.is_some() && elapsed_us >= self.work.retry_at_us {
            self.write();
        }
        if elapsed_us >= self.work.sweep_at_us {
            self.work.sweep_at_us = elapsed_us + SWEEP_US;
            self.book.sweep(now_us);
            self.compact();
        }
    }

    fn turn(&mut self) {
        if let Some(minute) = self.book.turn() {
            self.finish.send_replace(Some(minute));
        }
    }

    /// Starts to write what is due, unless a write is under way.
    fn write(&mut self) {
        if self.work.writing.is_some() {
            return;
        }
        match self.book.batch(self.clock.elapsed_us()) {
            Some(batch) => {
                let (store, before) = (self.store.clone(), self.before.clone());
                let write = async move {
                    before().await?;
                    store.flush(batch).await
                };
                self.work.writing = Some(tokio::spawn(write));
            }
            None => self.answer(Ok(())),
        }
    }

    fn written(&mut self, done: Result<(), StoreError>) {
        self.work.writing = None;
        match done {
            Ok(()) => {
                self.book.committed();
                self.work.trouble = None;
                self.work.durable_us = self.clock.now_us();
                // Whoever waits asked for all of it: what came meanwhile, too.
                if !self.work.waiting.is_empty() {
                    self.write();
                }
            }
            Err(error) => {
                let words = chain(&error);
                tracing::error!(error = words, "what was measured is not on the disk yet");
                self.work.trouble = Some(words);
                self.work.retry_at_us = self.clock.elapsed_us() + RETRY_US;
                self.answer(Err(Arc::new(error)));
            }
        }
    }

    fn answer(&mut self, outcome: Result<(), Arc<StoreError>>) {
        for waiting in self.work.waiting.drain(..) {
            let _gone = waiting.send(outcome.clone());
        }
    }

    fn compact(&mut self) {
        if self.work.compacting.is_none() {
            let (store, now_us) = (self.store.clone(), self.clock.now_us());
            let compact = async move { store.compact(now_us).await };
            self.work.compacting = Some(tokio::spawn(compact));
        }
    }

    fn compacted(&mut self, done: Result<Compaction, StoreError>) {
        self.work.compacting = None;
        match done {
            Ok(done) if done.is_partial() => self.compact(),
            Ok(done) => tracing::debug!(?done, "old rows are added together"),
            Err(error) => tracing::error!(error = chain(&error), "old rows stay as they are"),
        }
    }

    fn status(&self) -> Status {
        Status {
            trouble: self.work.trouble.clone().unwrap_or_default(),
            dropped: self.book.dropped(),
            memory: self.book.memory(),
            memory_limit: self.memory_limit,
            durable_us: self.work.durable_us,
        }
    }
}

/// When the span that `now_us` lies in is written.
fn next_flush(now_us: i64) -> i64 {
    Span::TenSeconds.start_of(now_us - FLUSH_LAG_US) + Span::TenSeconds.us() + FLUSH_LAG_US
}

/// Waits for a task, for ever where there is none.
async fn ended<T>(task: &mut Option<JoinHandle<Result<T, StoreError>>>) -> Result<T, StoreError> {
    match task {
        Some(running) => match running.await {
            Ok(done) => done,
            Err(broken) => Err(StoreError::Nonsense {
                operation: "write what was measured",
                what: broken.to_string(),
            }),
        },
        None => std::future::pending().await,
    }
}

/// An error and its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
