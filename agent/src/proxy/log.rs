//! The request log: a line of JSON for each inference request, for whoever must check the
//! histograms against every single request.
//!
//! A worker only offers an entry to a bounded queue; a thread of its own writes. What the
//! queue cannot take is dropped and counted: no request waits for a disk.

use std::{
    fs::{File, OpenOptions},
    io::{BufWriter, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};

use serde::Serialize;

use super::ProxyError;
use crate::window::Outcome;

/// Entries that may wait for the disk: a second and a half of a saturated core, 4 MB.
const QUEUE: usize = 65_536;

/// How long a line may wait in the buffer when no other follows it.
const FLUSH_AFTER: Duration = Duration::from_millis(100);

/// One inference request.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) t_us: i64,
    /// Empty for a request that no route led.
    pub(crate) endpoint: Arc<str>,
    pub(crate) model: Arc<str>,
    pub(crate) version: Arc<str>,
    pub(crate) outcome: Outcome,
    pub(crate) ns: u64,
}

/// As it stands in the file.
#[derive(Serialize)]
struct Line<'a> {
    t_us: i64,
    #[serde(skip_serializing_if = "str::is_empty")]
    endpoint: &'a str,
    model: &'a str,
    version: &'a str,
    outcome: &'static str,
    ns: u64,
}

/// The log, and the thread that writes it.
pub(crate) struct RequestLog {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

/// What a worker holds of the log.
#[derive(Clone)]
pub(crate) struct LogWriter {
    queue: SyncSender<Entry>,
    dropped: Arc<AtomicU64>,
}

impl RequestLog {
    pub(crate) fn open(path: &Path) -> Result<Self, ProxyError> {
        let refused = |source| ProxyError::Log {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        let file = options
            .create(true)
            .append(true)
            .open(path)
            .map_err(refused)?;
        let (queue, entries) = sync_channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = dropped.clone();
        let thread = std::thread::Builder::new()
            .name("request-log".into())
            .spawn(move || write(file, &entries, &counter))
            .map_err(ProxyError::Worker)?;
        Ok(Self {
            queue,
            dropped,
            thread,
        })
    }

    pub(crate) fn writer(&self) -> LogWriter {
        LogWriter {
            queue: self.queue.clone(),
            dropped: self.dropped.clone(),
        }
    }

    pub(crate) fn dropped(&self) -> &AtomicU64 {
        &self.dropped
    }

    /// Writes what waits. The workers, which hold the other ends, have ended.
    pub(crate) fn close(self) {
        drop(self.queue);
        let _ = self.thread.join();
    }
}

impl LogWriter {
    pub(crate) fn offer(&self, entry: Entry) {
        match self.queue.try_send(entry) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

fn write(file: File, entries: &Receiver<Entry>, dropped: &AtomicU64) {
    let mut file = BufWriter::new(file);
    loop {
        let entry = match entries.recv_timeout(FLUSH_AFTER) {
            Ok(entry) => entry,
            Err(RecvTimeoutError::Timeout) => {
                let _ = file.flush();
                match entries.recv() {
                    Ok(entry) => entry,
                    Err(_) => break,
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let line = Line {
            t_us: entry.t_us,
            endpoint: &entry.endpoint,
            model: &entry.model,
            version: &entry.version,
            outcome: entry.outcome.word(),
            ns: entry.ns,
        };
        let written =
            serde_json::to_writer(&mut file, &line).is_ok() && file.write_all(b"\n").is_ok();
        if !written {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
    let _ = file.flush();
}
