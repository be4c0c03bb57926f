//! What waits for the hub: windows on disk until the hub has them on its own.
//!
//! Promises: a window is on disk before it is offered; it leaves only when the hub calls it
//! durable, or when a limit drops it, which is counted. A window that was offered may have
//! been received, so it keeps its exact range for ever and is only ever offered again as it
//! is: the hub tells a duplicate by its range. Windows never offered are added together as
//! they age. Within a boot windows are offered in order, because the hub's watermark is one
//! number. A disk that refuses makes windows wait in memory, under a smaller limit. The
//! stream, its pace and the hub are left to the uplink.

mod log;
mod queue;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use self::log::{Kind, Log};
use self::queue::{Place, Queue, Waiting};
use crate::seal::{BootId, Window};
use crate::wire;

/// How much may wait: days of merged windows of a few series, minutes of four thousand.
pub const LIMIT_BYTES: u64 = 8 << 20;
/// How much may wait in memory while the disk refuses, so that the agent stays small.
const MEMORY_LIMIT_BYTES: u64 = 1 << 20;
/// Boots whose windows may wait, so that an agent that restarts in a loop sends a short hello.
const BOOTS_MOST: usize = 64;
/// How much of the limit is given up at once when it is reached: not one record a second.
const SLACK: u64 = 16;
/// What lies in the file without being wanted before it is written anew.
const GARBAGE_BYTES: u64 = 256 << 10;
/// Windows added together are no larger: half of what a gRPC message may be.
const MERGED_BYTES_MOST: u64 = 2 << 20;
/// Age in microseconds, and the width in microseconds that windows of that age have.
const WIDTHS_US: [(i64, i64); 2] = [(600_000_000, 60_000_000), (60_000_000, 10_000_000)];

/// What the agent had to drop since it started, and what waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Losses {
    /// Windows that a full spool dropped, or that the disk did not give back.
    pub spool_windows: u64,
    /// Requests in those windows.
    pub spool_requests: u64,
    /// Requests counted as `other` because the series limit was reached.
    pub series_overflow: u64,
    /// Lines of the request log that a full queue dropped.
    pub log_lines: u64,
    /// Bodies that a full tap dropped.
    pub tap_bodies: u64,
    /// Windows that wait now.
    pub spooled_windows: u32,
    /// Their bytes.
    pub spooled_bytes: u64,
    /// Writes that the disk refused.
    pub spool_write_failures: u64,
}

/// Why there can be no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// Two agents on one folder would count each other's windows as their own.
    #[error("data folder {0} is in use by another agent: give each agent a folder of its own")]
    InUse(PathBuf),
}

/// The spool of one data folder.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    limit_bytes: u64,
    boot: BootId,
    disk: Disk,
    /// Oldest boot first; the present one is last.
    queues: Vec<Queue>,
    losses: Losses,
}

/// Whether the disk can be written to.
#[derive(Debug)]
enum Disk {
    Open { log: Log, _lock: File },
    Refused(String),
}

impl Spool {
    /// Opens the spool in `folder`, makes it if need be. A folder that cannot be used is no
    /// error: windows then wait in memory, and it is tried again at each append.
    pub fn open(folder: &Path, limit_bytes: u64, boot: BootId) -> Result<Self, SpoolError> {
        let mut spool = Self {
            folder: folder.to_owned(),
            limit_bytes,
            boot,
            disk: Disk::Refused("not opened yet".into()),
            queues: vec![Queue::new(boot)],
            losses: Losses::default(),
        };
        if let Err(refused) = spool.open_log() {
            if refused.kind() == io::ErrorKind::WouldBlock {
                return Err(SpoolError::InUse(folder.to_owned()));
            }
            spool.refuse(&refused);
        }
        spool.shed();
        Ok(spool)
    }

    /// Takes a sealed window of the present boot, which has counted something. Older ones
    /// that nobody was offered are added together, and what is over the limit is dropped.
    pub fn append(&mut self, window: &Window) {
        debug_assert!(window.boot == self.boot);
        if matches!(self.disk, Disk::Refused(_))
            && let Err(refused) = self.open_log()
        {
            self.refuse(&refused);
        }
        self.move_to_disk();
        let bytes = wire::window_to_bytes(window);
        let place = self.write(bytes);
        let waiting = Waiting::new(window, place);
        self.present().insert(waiting);
        self.add_together(window.start_us);
        self.shed();
        self.sweep();
    }

    /// The hub has every window of `boot` up to `durable` on its disk.
    pub fn forget(&mut self, boot: BootId, durable: u64) {
        let Some(queue) = self.queues.iter_mut().find(|queue| queue.boot == boot) else {
            return;
        };
        let gone = queue.take_durable(durable);
        if gone.iter().any(|waiting| waiting.place.on_disk()) {
            self.note_forgotten(boot, gone.last().map_or(0, |waiting| waiting.last));
        }
        self.drop_empty();
        self.sweep();
    }

    /// A new stream begins: everything that waits is offered again.
    pub fn rewind(&mut self) {
        self.queues.iter_mut().for_each(Queue::rewind);
    }

    /// The next window to send on this stream: the present boot's in order, then those of
    /// earlier boots. From now on it may have been received.
    pub fn offer(&mut self) -> Option<Window> {
        loop {
            // The present boot is last in `queues` and first to be heard.
            let queue = self.queues.iter_mut().rev().find(|queue| queue.pending())?;
            let (at, span) = queue.offer()?;
            let bytes = match (&self.disk, span) {
                (_, Place::Memory(bytes)) => Ok(bytes),
                (Disk::Open { log, .. }, Place::Disk(span)) => log.read(span),
                (Disk::Refused(words), Place::Disk(_)) => Err(io::Error::other(words.clone())),
            };
            let problem = match bytes.map(|bytes| wire::window_from_bytes(&bytes)) {
                Ok(Ok(window)) => return Some(window),
                Ok(Err(malformed)) => malformed.to_string(),
                Err(unreadable) => unreadable.to_string(),
            };
            tracing::error!(problem, "a window in the spool cannot be read: it is lost");
            let lost = queue.remove(at);
            self.count_lost(lost.iter());
        }
    }

    /// Whether [`Self::offer`] has more of the present boot.
    pub fn pending(&self) -> bool {
        self.queues.last().is_some_and(Queue::pending)
    }

    /// Whether [`Self::offer`] has more of any boot.
    pub fn pending_at_all(&self) -> bool {
        self.queues.iter().any(Queue::pending)
    }

    /// The boots whose windows wait.
    pub fn boots(&self) -> Vec<BootId> {
        let waiting = self.queues.iter().filter(|queue| !queue.is_empty());
        waiting.map(|queue| queue.boot).collect()
    }

    /// What was dropped and what waits; the proxy's own losses are for the caller to fill in.
    pub fn losses(&self) -> Losses {
        let windows: usize = self.queues.iter().map(Queue::len).sum();
        Losses {
            spooled_windows: u32::try_from(windows).unwrap_or(u32::MAX),
            spooled_bytes: self.bytes(),
            ..self.losses
        }
    }

    /// Why windows wait in memory instead of on disk, if they do.
    pub fn trouble(&self) -> Option<&str> {
        match &self.disk {
            Disk::Open { .. } => None,
            Disk::Refused(words) => Some(words),
        }
    }

    /// Forces what waits to the disk: the machine may be about to stop.
    pub fn sync(&mut self) {
        if let Disk::Open { log, .. } = &self.disk
            && let Err(refused) = log.sync()
        {
            self.refuse(&refused);
        }
    }

    fn bytes(&self) -> u64 {
        self.queues.iter().map(Queue::bytes).sum()
    }

    fn present(&mut self) -> &mut Queue {
        self.queues
            .last_mut()
            .expect("the present boot's queue is never dropped")
    }

    fn open_log(&mut self) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.folder.join("spool.lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        let mut found: Vec<Queue> = Vec::new();
        let path = self.folder.join("spool.log");
        let (log, damage) = Log::open(&path, |kind, body, span| {
            queue::replay(&mut found, kind, body, span);
        })?;
        if damage != log::Damage::default() {
            let (records, torn_bytes) = (damage.records, damage.torn_bytes);
            tracing::warn!(
                records,
                torn_bytes,
                "the spool was damaged: the rest is kept"
            );
        }
        self.losses.spool_windows += damage.records;
        found.retain(|queue| !queue.is_empty());
        let present = self.queues.pop();
        self.queues = found;
        self.queues.extend(present);
        self.disk = Disk::Open { log, _lock: lock };
        Ok(())
    }

    fn refuse(&mut self, refused: &io::Error) {
        self.losses.spool_write_failures += 1;
        let words = format!("{}: {refused}", self.folder.display());
        if self.trouble().is_none_or(|before| before != words) {
            tracing::error!("the spool cannot be written, windows wait in memory: {words}");
        }
        // A full disk may have room in a second: the open file is kept, and tried again.
        if let Disk::Refused(_) = self.disk {
            self.disk = Disk::Refused(words);
        }
    }

    fn write(&mut self, bytes: Vec<u8>) -> Place {
        let Disk::Open { log, .. } = &mut self.disk else {
            return Place::Memory(bytes);
        };
        match log.append(Kind::Window, &bytes) {
            Ok(span) => Place::Disk(span),
            Err(refused) => {
                self.refuse(&refused);
                Place::Memory(bytes)
            }
        }
    }

    /// Moves to disk what had to wait in memory, in order, until the disk refuses.
    fn move_to_disk(&mut self) {
        let Disk::Open { log, .. } = &mut self.disk else {
            return;
        };
        let mut refused = None;
        'all: for queue in &mut self.queues {
            for waiting in queue.in_memory() {
                let Place::Memory(bytes) = &waiting.place else {
                    continue;
                };
                match log.append(Kind::Window, bytes) {
                    Ok(span) => waiting.place = Place::Disk(span),
                    Err(error) => {
                        refused = Some(error);
                        break 'all;
                    }
                }
            }
        }
        if let Some(refused) = refused {
            self.refuse(&refused);
        }
    }

    /// Adds together the first group of old windows that nobody was offered: one group an
    /// append keeps up, since ten appends make one group.
    fn add_together(&mut self, newest_us: i64) {
        let group = WIDTHS_US.iter().find_map(|&(age_us, width_us)| {
            let queue = self.queues.last()?;
            queue.group(
                newest_us.saturating_sub(age_us),
                width_us,
                MERGED_BYTES_MOST,
            )
        });
        let (Some(group), Disk::Open { log, .. }) = (group, &mut self.disk) else {
            return;
        };
        let Some(queue) = self.queues.last_mut() else {
            return;
        };
        let mut sum: Option<Window> = None;
        for place in queue.places(group.clone()) {
            let bytes = match place {
                Place::Disk(span) => log.read(*span).ok(),
                Place::Memory(bytes) => Some(bytes.clone()),
            };
            // What cannot be read is left alone: `offer` will count it as lost.
            let Some(Ok(window)) = bytes.map(|bytes| wire::window_from_bytes(&bytes)) else {
                return;
            };
            match &mut sum {
                None => sum = Some(window),
                Some(sum) => sum.add(window),
            }
        }
        let Some(sum) = sum else {
            return;
        };
        match log.append(Kind::Window, &wire::window_to_bytes(&sum)) {
            Ok(span) => queue.replace(group, Waiting::new(&sum, Place::Disk(span))),
            Err(refused) => self.refuse(&refused),
        }
    }

    /// Drops the oldest windows while there are too many, and counts them.
    fn shed(&mut self) {
        while self.queues.len() > BOOTS_MOST {
            let lost = self.queues.remove(0);
            self.note_forgotten(lost.boot, u64::MAX);
            self.count_lost(lost.iter());
        }
        let memory: u64 = self.queues.iter().map(Queue::memory_bytes).sum();
        if memory > MEMORY_LIMIT_BYTES {
            let excess = memory - MEMORY_LIMIT_BYTES + MEMORY_LIMIT_BYTES / SLACK;
            self.shed_oldest(excess, |waiting| !waiting.place.on_disk());
        }
        if self.bytes() > self.limit_bytes {
            let excess = self.bytes() - self.limit_bytes + self.limit_bytes / SLACK;
            self.shed_oldest(excess, |_| true);
        }
    }

    fn shed_oldest(&mut self, excess: u64, sheds: impl Fn(&Waiting) -> bool) {
        let mut left = excess;
        let mut lost = Vec::new();
        for queue in &mut self.queues {
            lost.extend(
                queue
                    .shed(&mut left, &sheds)
                    .into_iter()
                    .map(|gone| (queue.boot, gone)),
            );
        }
        let mut upto: Vec<(BootId, u64)> = Vec::new();
        for (boot, gone) in lost.iter().filter(|(_, gone)| gone.place.on_disk()) {
            match upto.last_mut().filter(|(last, _)| last == boot) {
                Some((_, sequence)) => *sequence = gone.last,
                None => upto.push((*boot, gone.last)),
            }
        }
        upto.into_iter()
            .for_each(|(boot, sequence)| self.note_forgotten(boot, sequence));
        self.count_lost(lost.iter().map(|(_, gone)| gone));
        self.drop_empty();
    }

    fn count_lost<'a>(&mut self, lost: impl Iterator<Item = &'a Waiting>) {
        for waiting in lost {
            self.losses.spool_windows += 1;
            self.losses.spool_requests += waiting.requests;
        }
    }

    fn note_forgotten(&mut self, boot: BootId, upto: u64) {
        let Disk::Open { log, .. } = &mut self.disk else {
            return;
        };
        // Refused, the record would only have saved offering the windows again after a
        // restart: the hub still knows that it has them.
        if let Err(refused) = log.append(Kind::Forget, &queue::forget_bytes(boot, upto)) {
            self.refuse(&refused);
        }
    }

    fn drop_empty(&mut self) {
        let present = self.boot;
        self.queues
            .retain(|queue| queue.boot == present || !queue.is_empty());
    }

    /// Writes the file anew when most of it is not wanted any more.
    fn sweep(&mut self) {
        let wanted: u64 = self.queues.iter().map(Queue::disk_bytes).sum();
        let Disk::Open { log, .. } = &mut self.disk else {
            return;
        };
        if log.len() < wanted.saturating_mul(2).saturating_add(GARBAGE_BYTES) {
            return;
        }
        let spans: Vec<_> = self.queues.iter().flat_map(Queue::spans).collect();
        match log.rewrite(&spans) {
            Ok(moved) => {
                let mut moved = moved.into_iter();
                self.queues
                    .iter_mut()
                    .for_each(|queue| queue.relocate(&mut moved));
            }
            Err(refused) => self.refuse(&refused),
        }
    }
}

#[cfg(test)]
mod tests;
