//! What outlives the hub's process: the journal, and what the fleet measured, rolled up.
//!
//! A [`Store`] promises that what it has confirmed is there after a crash, that a second
//! writer is fenced out rather than mixed in, and that a flush is applied once, however often
//! it is asked for. It leaves to others what the bytes mean: the chain is walked by
//! `binnacle_core::journal`, the counts are merged by `binnacle_sketch`. Only this folder
//! touches the hub's disk. SQLite is the default, PostgreSQL where one is run anyway; the memory
//! store stands in where time is simulated, and for a hub that may forget.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use binnacle_core::journal::{Hash, Stored};
use binnacle_core::report::BootId;
use binnacle_core::series::SeriesWindow;
use futures::future::BoxFuture;

mod compaction;
mod memory;
mod minutes;
mod postgres;
mod refusal;
mod rows;
mod snapshot;
mod sqlite;
#[cfg(test)]
mod suite;
mod url;

pub use compaction::{Compaction, KEEP_FINE_US, KEEP_US, KEEP_WATERMARK_US};
pub use minutes::{KEEP_MINUTES_US, MinuteCell, MinutePart, MinuteQuery, PartKind};
pub use snapshot::Snapshot;
pub use url::{PostgresUrl, StoreUrl};

/// A store, shared.
pub type SharedStore = Arc<dyn Store>;

/// Entries in one page of the journal at most, whatever is asked for: a page is held in
/// memory whole.
pub const MAX_PAGE: u32 = 10_000;

// What a store was about to do, in the words of its errors.
const APPEND: &str = "append to the journal";
const READ_JOURNAL: &str = "read the journal";
const READ_HEAD: &str = "read the journal's head";
const CONFIRM: &str = "write to the journal";
const WRITE: &str = "write what was measured";
const READ: &str = "read what was measured";
const COMPACT: &str = "add old roll-ups together";
const SNAPSHOT: &str = "keep a snapshot of the state";
const MARK: &str = "note how far the journal was read";
const READ_MARK: &str = "read how far the journal was read";
const GUARD: &str = "keep what is known of watched inputs";
const READ_GUARD: &str = "read what is known of watched inputs";
const UPGRADE: &str = "bring the store up to this release";

/// What was kept of watched inputs, by name.
pub type GuardRows = Vec<(String, Vec<u8>)>;

/// What is to be kept of watched inputs, by name; what has no bytes is let go of.
pub type Guards = Vec<(String, Option<Vec<u8>>)>;

/// What keeps the journal and the roll-ups.
pub trait Store: Send + Sync + fmt::Debug {
    /// Which store this is, for people: its URL.
    fn url(&self) -> String;

    /// Writes entries behind the head, all or none. [`StoreError::Conflict`] when the first
    /// does not follow the head: somebody else wrote. [`StoreError::Unsure`] when it is not known
    /// whether they are there; [`Store::confirm_head`] knows.
    fn append(&self, entries: Vec<Stored>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// At most `limit` entries after sequence `after`, ascending.
    fn entries(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>>;

    /// At most `limit` entries before sequence `before` (0: from the head), descending.
    fn entries_before(
        &self,
        before: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>>;

    /// The entries at these places, in order of sequence, each once; places that hold none are
    /// left out. Refused beyond [`MAX_PAGE`] places.
    fn entries_at(&self, places: Vec<u64>) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>>;

    /// The last entry's sequence and hash; `None` when there is no entry.
    fn head(&self) -> BoxFuture<'_, Result<Option<(u64, Hash)>, StoreError>>;

    /// The head as it was noted down with the last append, which stays when a tail is cut
    /// off; sequence 0 and zeros in a new store.
    fn meta_head(&self) -> BoxFuture<'_, Result<Option<(u64, Hash)>, StoreError>>;

    /// The head as it is for sure, read by writing it anew: what an earlier [`Store::append`] is
    /// still about to do has been done by then, or never will be; and the store can be written.
    fn confirm_head(&self) -> BoxFuture<'_, Result<(u64, Hash), StoreError>>;

    /// Keeps a snapshot in place of the one before, in several small writes, so that an append
    /// waits for one of them at most.
    fn save_snapshot(&self, snapshot: Arc<Snapshot>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The last snapshot that was kept whole. What its bytes mean, and whether they are those
    /// that were written, is for others to see.
    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>>;

    /// How far somebody who reads the journal has come; `None` for one who never said so.
    fn mark(&self, reader: String) -> BoxFuture<'_, Result<Option<u64>, StoreError>>;

    /// Notes how far somebody who reads the journal has come.
    fn set_mark(&self, reader: String, at: u64) -> BoxFuture<'_, Result<(), StoreError>>;

    /// What is known of watched inputs, by name, in order of name. What the bytes mean is for
    /// others to see.
    fn guards(&self) -> BoxFuture<'_, Result<GuardRows, StoreError>>;

    /// Keeps these in place of what was kept under their names, or lets go of those without bytes:
    /// all or none.
    fn save_guards(&self, guards: Guards) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Writes a batch, all or none. A batch that is there already, by its flush and writer,
    /// is confirmed and not written again. [`StoreError::Conflict`] when another writer has
    /// flushed since.
    fn flush(&self, batch: Arc<RollupBatch>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The last flush, and how far the roll-ups reach.
    fn flushed(&self) -> BoxFuture<'_, Result<Flushed, StoreError>>;

    /// What was counted of each start of one host's agent.
    fn watermarks(&self, host: Arc<str>) -> BoxFuture<'_, Result<Vec<Watermark>, StoreError>>;

    /// What was counted of each start of every agent, in order of host and boot.
    fn all_watermarks(&self) -> BoxFuture<'_, Result<Vec<Watermark>, StoreError>>;

    /// Hands each row that the query asks for to `sink`, in order of start, as they stood at
    /// one moment; several rows may be of the same series and span. Answers with the last
    /// flush that compaction took in: when it is over the query's own, rows may be missing
    /// that the query should have seen, and it has to be asked again.
    fn rollups<'a>(
        &'a self,
        query: RollupQuery,
        sink: &'a mut (dyn FnMut(Rollup) + Send),
    ) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Hands each host's cell of each part of the minutes that the query asks for to `sink`, in
    /// order of minute and flush, as they stood at one moment. Answers with the last flush at
    /// that moment.
    fn minutes<'a>(
        &'a self,
        query: MinuteQuery,
        sink: &'a mut (dyn FnMut(MinuteCell) + Send),
    ) -> BoxFuture<'a, Result<u64, StoreError>>;

    /// Does a bounded part of what is due: adds 10 s rows older than [`KEEP_FINE_US`]
    /// together by the minute, drops rows older than [`KEEP_US`], hosts' minutes older than
    /// [`KEEP_MINUTES_US`] and boots that were not heard of for [`KEEP_WATERMARK_US`].
    fn compact(&self, now_us: i64) -> BoxFuture<'_, Result<Compaction, StoreError>>;

    /// Lets go of whatever holds the data, with everything in its place. Asks that come later
    /// are refused.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// Places of entries, each once and in order, if they are not too many.
fn within_a_page(places: Vec<u64>) -> Result<std::collections::BTreeSet<u64>, StoreError> {
    if places.len() > MAX_PAGE as usize {
        return Err(StoreError::TooMany {
            asked: places.len(),
        });
    }
    Ok(places.into_iter().collect())
}

/// Whether entries have one sequence after the other.
fn gapless(entries: &[Stored]) -> bool {
    let mut places = entries.iter().map(|entry| entry.sequence);
    let Some(first) = places.next() else {
        return true;
    };
    places.eq((first..).skip(1).take(entries.len() - 1))
}

/// How long a row's span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Span {
    /// Ten seconds.
    TenSeconds,
    /// One minute.
    Minute,
}

impl Span {
    /// Its length in seconds.
    pub fn seconds(self) -> u32 {
        match self {
            Self::TenSeconds => 10,
            Self::Minute => 60,
        }
    }

    /// Its length in microseconds.
    pub fn us(self) -> i64 {
        i64::from(self.seconds()) * 1_000_000
    }

    /// The start of the span of this length in which `at_us` lies.
    pub fn start_of(self, at_us: i64) -> i64 {
        at_us.saturating_sub(at_us.rem_euclid(self.us()))
    }
}

/// One series in one span of time, merged over hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollup {
    /// When the span begins, by the hub's clock; a multiple of its length.
    pub start_us: i64,
    /// How long it is.
    pub span: Span,
    /// What was counted.
    pub window: SeriesWindow,
}

/// What one flush adds: deltas, and the sequences that they complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupBatch {
    /// One more than the flush before it.
    pub flush: u64,
    /// Who flushes: random bytes of one start of the hub.
    pub writer: [u8; 16],
    /// At most one row per span and series.
    pub rollups: Vec<Rollup>,
    /// At most one per host and boot; replaces what was there.
    pub watermarks: Vec<Watermark>,
    /// Hosts' minutes: at most one [`PartKind::Whole`] a minute.
    pub minutes: Vec<MinutePart>,
}

/// What was counted of one start of one host's agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watermark {
    /// The host.
    pub host: Arc<str>,
    /// The start of its agent.
    pub boot: BootId,
    /// Everything up to here that was sent is counted.
    pub durable: u64,
    /// Ranges of sequences that are counted, first and last, ascending, apart.
    pub counted: Vec<(u64, u64)>,
    /// When the hub last heard of this boot.
    pub heard_us: i64,
}

/// Which rows are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollupQuery {
    /// Rows that start at this time or later.
    pub from_us: i64,
    /// Rows that start before this time.
    pub to_us: i64,
    /// One model only.
    pub model: Option<Arc<str>>,
    /// One version only.
    pub version: Option<Arc<str>>,
    /// Rows of this flush or an earlier one.
    pub flush: u64,
}

impl RollupQuery {
    /// Whether the query asks for this series.
    pub fn takes(&self, model: &str, version: &str) -> bool {
        self.model.as_deref().is_none_or(|asked| asked == model)
            && self.version.as_deref().is_none_or(|asked| asked == version)
    }

    /// Whether the query asks for this row, as far as its span and series go.
    pub fn asks_for(&self, row: &Rollup) -> bool {
        let key = &row.window.key;
        (self.from_us..self.to_us).contains(&row.start_us) && self.takes(&key.model, &key.version)
    }
}

/// How far the roll-ups reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flushed {
    /// The last flush; 0 before the first.
    pub flush: u64,
    /// The end of the last row's span; 0 when there is none.
    pub end_us: i64,
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No store is meant by this text.
    #[error(
        "{0:?} is no store: say sqlite://PATH, postgres://USER@HOST/DATABASE, or memory: to \
         forget at the end"
    )]
    Url(String),
    /// No database is meant by this URL, which may hold a password and is not repeated.
    #[error("this is no URL of PostgreSQL: say postgres://USER@HOST:PORT/DATABASE")]
    PostgresUrl(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No connection, for now.
    #[error("cannot {operation}: the database cannot be reached; it goes on once it can")]
    Away {
        /// What was tried.
        operation: &'static str,
        /// The database's words.
        #[source]
        source: sqlx::Error,
    },
    /// The answer to a commit never came.
    #[error("cannot {operation}: the database did not say whether it is done")]
    Unsure {
        /// What was tried.
        operation: &'static str,
        /// The database's words.
        #[source]
        source: sqlx::Error,
    },
    /// More places of entries than one page has.
    #[error("{asked} entries were asked for at once, a page has at most {MAX_PAGE}")]
    TooMany {
        /// How many.
        asked: usize,
    },
    /// There is nothing there, and it may not be made.
    #[error("there is no store at {path}: check the path, or start a hub to make one")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A later release wrote it.
    #[error("{url} has schema {found}, this release knows up to {known}: use a newer release")]
    Newer {
        /// Which store.
        url: String,
        /// Its schema.
        found: i64,
        /// The newest schema that this release knows.
        known: i64,
    },
    /// No release wrote it, or an earlier one did, and it may not be changed.
    #[error("{url} is no store of this release: start a hub on it once to bring it up to it")]
    Older {
        /// Which store.
        url: String,
    },
    /// Somebody else writes to the same store.
    #[error("cannot {operation}: another hub writes to this store; stop one of the two")]
    Conflict {
        /// What was tried.
        operation: &'static str,
    },
    /// The disk is full.
    #[error("cannot {operation}: the disk is full; make room, and it goes on by itself")]
    Full {
        /// What was tried.
        operation: &'static str,
        /// The database's words.
        #[source]
        source: sqlx::Error,
    },
    /// The bytes on the disk are not what was written.
    #[error("cannot {operation}: the store is corrupt; restore it from a copy")]
    Corrupt {
        /// What was tried.
        operation: &'static str,
        /// The database's words.
        #[source]
        source: sqlx::Error,
    },
    /// A row holds what this release never writes.
    #[error("cannot {operation}: {what}; restore the store from a copy")]
    Nonsense {
        /// What was tried.
        operation: &'static str,
        /// What is wrong with which row.
        what: String,
    },
    /// Anything else that the database or the disk refused.
    #[error("cannot {operation}")]
    Refused {
        /// What was tried.
        operation: &'static str,
        /// The database's words.
        #[source]
        source: sqlx::Error,
    },
}

/// Opens a store, and makes it, or brings it up to this release's schema, where needed.
pub async fn open(url: &StoreUrl) -> Result<SharedStore, StoreError> {
    match url {
        StoreUrl::Memory => Ok(Arc::new(memory::Memory::default())),
        StoreUrl::Sqlite(path) => Ok(Arc::new(sqlite::Sqlite::open(path).await?)),
        StoreUrl::Postgres(url) => Ok(Arc::new(postgres::Postgres::open(url).await?)),
    }
}

/// Opens a store that is there, changes nothing in it, and refuses to write to it: for
/// looking into one that no hub runs on.
pub async fn open_to_read(url: &StoreUrl) -> Result<SharedStore, StoreError> {
    match url {
        StoreUrl::Memory => Ok(Arc::new(memory::Memory::default())),
        StoreUrl::Sqlite(path) => Ok(Arc::new(sqlite::Sqlite::open_to_read(path).await?)),
        StoreUrl::Postgres(url) => Ok(Arc::new(postgres::Postgres::open_to_read(url).await?)),
    }
}
