//! The store in one SQLite file.
//!
//! One connection writes and two read, so that no reader ever makes a writer wait. WAL with
//! `synchronous = FULL`: every commit waits for the disk. The cheaper NORMAL keeps the file
//! whole through a power cut but may lose the last commits, and a commit here is what an
//! agent deletes its own copy by, and what a person was told has happened.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use binnacle_core::journal::{Hash, Stored};
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Connection as _, Sqlite as Db, SqliteConnection, Transaction};

use super::refusal::{at, at_commit, nonsense, signed};
use super::rows::{entry, head};
use super::{
    APPEND, COMPACT, CONFIRM, Compaction, Flushed, GUARD, GuardRows, Guards, MAX_PAGE, MinuteCell,
    MinuteQuery, READ, READ_HEAD, READ_JOURNAL, Rollup, RollupBatch, RollupQuery, Snapshot, Store,
    StoreError, UPGRADE, WRITE, Watermark, gapless, within_a_page,
};

mod guard;
mod mark;
mod minute;
mod rollup;
mod room;
mod snapshot;

/// The schema, step by step; a step that was released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/sqlite/0001_journal_and_rollups.sql"),
    include_str!("../../migrations/sqlite/0002_host_minutes.sql"),
    include_str!("../../migrations/sqlite/0003_snapshots.sql"),
    include_str!("../../migrations/sqlite/0004_marks.sql"),
    include_str!("../../migrations/sqlite/0005_guards.sql"),
];
/// Readers: one for a long query, one so that a page of the journal need not wait for it.
const READERS: u32 = 2;
/// How long one writer waits for another process that holds the file, such as a backup.
const BUSY: Duration = Duration::from_secs(5);
/// How long a reader waits for a connection before it says that the hub is overloaded.
const ACQUIRE: Duration = Duration::from_secs(10);

/// A store in a file.
#[derive(Debug)]
pub(super) struct Sqlite {
    path: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    /// Hosts' numbers that are on the disk for sure.
    numbers: ArcSwap<minute::Numbers>,
}

impl Sqlite {
    /// Opens the file, and makes it where there is none.
    pub(super) async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = options(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Each commit moves on into the file at once: SQLite drops a damaged tail of its
            // log without a word, and a changed byte of the journal has to be found. Commits
            // are few, one for a batch of decisions and one for each flush.
            .pragma("wal_autocheckpoint", "1");
        let writer = pool(1).connect_lazy_with(options);
        migrate(path, &writer).await?;
        let readers = pool(READERS).connect_lazy_with(options_to_read(path));
        let path = path.into();
        Ok(Self {
            path,
            writer,
            readers,
            numbers: ArcSwap::default(),
        })
    }

    /// Opens the file that is there, and never writes to it.
    pub(super) async fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        if !path.exists() {
            let path = path.into();
            return Err(StoreError::Missing { path });
        }
        let readers = pool(READERS).connect_lazy_with(options_to_read(path));
        let mut reader = readers.acquire().await.map_err(at("open the store"))?;
        let found = version(&mut reader).await?;
        drop(reader);
        match found.cmp(&(MIGRATIONS.len() as i64)) {
            Ordering::Less => {
                let url = format!("sqlite://{}", path.display());
                return Err(StoreError::Older { url });
            }
            Ordering::Equal => {}
            Ordering::Greater => return Err(newer(path, found)),
        }
        let (path, writer) = (path.into(), readers.clone());
        Ok(Self {
            path,
            writer,
            readers,
            numbers: ArcSwap::default(),
        })
    }

    /// The one write transaction: taken at once, so that it cannot fail half-way for
    /// another's sake.
    async fn write(&self, operation: &'static str) -> Result<Transaction<'static, Db>, StoreError> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(at(operation))
    }

    async fn read(&self, operation: &'static str) -> Result<Transaction<'static, Db>, StoreError> {
        self.readers.begin().await.map_err(at(operation))
    }

    async fn append_all(&self, entries: Vec<Stored>) -> Result<(), StoreError> {
        let operation = APPEND;
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return Ok(());
        };
        let mut write = self.write(operation).await?;
        let moved = "UPDATE journal_head SET sequence = $1, hash = $2 WHERE sequence = $3";
        let moved = sqlx::query(moved)
            .bind(signed(last.sequence))
            .bind(last.hash.as_slice())
            .bind(signed(first.sequence) - 1)
            .execute(&mut *write)
            .await
            .map_err(at(operation))?;
        if moved.rows_affected() != 1 || !gapless(&entries) {
            return Err(StoreError::Conflict { operation });
        }
        for entry in &entries {
            sqlx::query("INSERT INTO journal (sequence, body, hash) VALUES ($1, $2, $3)")
                .bind(signed(entry.sequence))
                .bind(entry.body.as_slice())
                .bind(entry.hash.as_slice())
                .execute(&mut *write)
                .await
                .map_err(at(operation))?;
        }
        write.commit().await.map_err(at_commit(operation))
    }

    async fn page(
        &self,
        sql: &'static str,
        from: u64,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError> {
        let operation = READ_JOURNAL;
        sqlx::query(sql)
            .bind(signed(from))
            .bind(i64::from(limit.min(MAX_PAGE)))
            .fetch(&self.readers)
            .map_err(at(operation))
            .and_then(|row| std::future::ready(entry(&row, operation)))
            .try_collect()
            .await
    }

    async fn head_of(&self, sql: &'static str) -> Result<Option<(u64, Hash)>, StoreError> {
        let operation = READ_HEAD;
        let row = sqlx::query(sql).fetch_optional(&self.readers).await;
        let row = row.map_err(at(operation))?;
        row.map(|row| head(&row, operation)).transpose()
    }

    async fn confirm(&self) -> Result<(u64, Hash), StoreError> {
        room::needed(&self.path, CONFIRM).await?;
        let mut write = self.write(CONFIRM).await?;
        let same = "UPDATE journal_head SET sequence = sequence RETURNING sequence, hash";
        let row = sqlx::query(same).fetch_optional(&mut *write).await;
        let row = row.map_err(at(CONFIRM))?.ok_or_else(no_head)?;
        let head = head(&row, CONFIRM)?;
        write.commit().await.map_err(at(CONFIRM))?;
        Ok(head)
    }
}

impl Store for Sqlite {
    fn close(&self) -> BoxFuture<'_, ()> {
        // The writer goes last: the last to leave empties the write-ahead log into the file.
        async {
            self.readers.close().await;
            self.writer.close().await;
        }
        .boxed()
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }

    fn append(&self, entries: Vec<Stored>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.append_all(entries).boxed()
    }

    fn entries(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        let sql = "SELECT sequence, hash, body FROM journal WHERE sequence > $1 \
                   ORDER BY sequence LIMIT $2";
        self.page(sql, after, limit).boxed()
    }

    fn entries_at(&self, places: Vec<u64>) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        async move {
            let operation = READ_JOURNAL;
            let places = within_a_page(places)?;
            let places = serde_json::to_string(&places).expect("numbers are JSON");
            let sql = "SELECT sequence, hash, body FROM journal \
                       WHERE sequence IN (SELECT value FROM json_each($1)) ORDER BY sequence";
            sqlx::query(sql)
                .bind(places)
                .fetch(&self.readers)
                .map_err(at(operation))
                .and_then(|row| std::future::ready(entry(&row, operation)))
                .try_collect()
                .await
        }
        .boxed()
    }

    fn entries_before(
        &self,
        before: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        let sql = "SELECT sequence, hash, body FROM journal WHERE sequence < $1 \
                   ORDER BY sequence DESC LIMIT $2";
        let before = if before == 0 { u64::MAX } else { before };
        self.page(sql, before, limit).boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Option<(u64, Hash)>, StoreError>> {
        self.head_of("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1")
            .boxed()
    }

    fn meta_head(&self) -> BoxFuture<'_, Result<Option<(u64, Hash)>, StoreError>> {
        async {
            let noted = self
                .head_of("SELECT sequence, hash FROM journal_head")
                .await?;
            noted.map(Some).ok_or_else(no_head)
        }
        .boxed()
    }

    fn confirm_head(&self) -> BoxFuture<'_, Result<(u64, Hash), StoreError>> {
        self.confirm().boxed()
    }

    fn save_snapshot(&self, snapshot: Arc<Snapshot>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { snapshot::save(&self.writer, &snapshot).await }.boxed()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        async move {
            let mut read = self.read(snapshot::LOAD).await?;
            snapshot::load(&mut read).await
        }
        .boxed()
    }

    fn guards(&self) -> BoxFuture<'_, Result<GuardRows, StoreError>> {
        guard::all(&self.readers).boxed()
    }

    fn save_guards(&self, guards: Guards) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut write = self.write(GUARD).await?;
            guard::save(&mut write, &guards).await?;
            write.commit().await.map_err(at(GUARD))
        }
        .boxed()
    }

    fn mark(&self, reader: String) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        async move { mark::get(&self.readers, &reader).await }.boxed()
    }

    fn set_mark(&self, reader: String, at: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { mark::set(&self.writer, &reader, at).await }.boxed()
    }

    fn flush(&self, batch: Arc<RollupBatch>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let operation = WRITE;
            let mut write = self.write(operation).await?;
            match rollup::claim(&mut write, &batch).await? {
                rollup::Claim::Confirmed => return Ok(()),
                rollup::Claim::Taken => {}
            }
            rollup::insert(&mut write, &batch.rollups, batch.flush).await?;
            rollup::mark(&mut write, &batch.watermarks).await?;
            let numbers = self.numbers.load_full();
            let numbers = minute::insert(&mut write, &batch.minutes, batch.flush, numbers).await?;
            write.commit().await.map_err(at(operation))?;
            self.numbers.store(numbers);
            Ok(())
        }
        .boxed()
    }

    fn flushed(&self) -> BoxFuture<'_, Result<Flushed, StoreError>> {
        rollup::flushed(&self.readers).boxed()
    }

    fn watermarks(&self, host: Arc<str>) -> BoxFuture<'_, Result<Vec<Watermark>, StoreError>> {
        rollup::watermarks(&self.readers, Some(host)).boxed()
    }

    fn all_watermarks(&self) -> BoxFuture<'_, Result<Vec<Watermark>, StoreError>> {
        rollup::watermarks(&self.readers, None).boxed()
    }

    fn rollups<'a>(
        &'a self,
        query: RollupQuery,
        sink: &'a mut (dyn FnMut(Rollup) + Send),
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        async move {
            let mut read = self.read(READ).await?;
            rollup::select(&mut read, &query, sink).await
        }
        .boxed()
    }

    fn minutes<'a>(
        &'a self,
        query: MinuteQuery,
        sink: &'a mut (dyn FnMut(MinuteCell) + Send),
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        async move {
            let mut read = self.read(READ).await?;
            minute::select(&mut read, &query, sink).await
        }
        .boxed()
    }

    fn compact(&self, now_us: i64) -> BoxFuture<'_, Result<Compaction, StoreError>> {
        async move {
            let mut write = self.write(COMPACT).await?;
            let mut done = rollup::compact(&mut write, now_us).await?;
            done.minutes_expired = minute::expire(&mut write, now_us).await?;
            write.commit().await.map_err(at(COMPACT))?;
            Ok(done)
        }
        .boxed()
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY)
}

fn options_to_read(path: &Path) -> SqliteConnectOptions {
    options(path).read_only(true)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    // Connections are threads that hold the statements they have prepared: never dropped.
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| {
            Box::pin(async move {
                // A commit for which there was no room has ended SQLite's transaction and not the
                // driver's, which would refuse every other. What is rolled back is so after the
                // ping.
                let is_sound = connection.ping().await.is_ok();
                Ok(is_sound && !connection.is_in_transaction())
            })
        })
}

async fn migrate(path: &Path, writer: &SqlitePool) -> Result<(), StoreError> {
    let operation = UPGRADE;
    let begun = writer.begin_with("BEGIN IMMEDIATE").await;
    let mut write = begun.map_err(at("open the store"))?;
    let found = version(&mut write).await?;
    let done = usize::try_from(found).map_err(|_| newer(path, found))?;
    let due = MIGRATIONS.get(done..).ok_or_else(|| newer(path, found))?;
    for step in due {
        let applied = sqlx::raw_sql(*step).execute(&mut *write).await;
        applied.map_err(at(operation))?;
    }
    if !due.is_empty() {
        let noted = format!("PRAGMA user_version = {}", MIGRATIONS.len());
        let noted = sqlx::raw_sql(sqlx::AssertSqlSafe(noted))
            .execute(&mut *write)
            .await;
        noted.map_err(at(operation))?;
    }
    write.commit().await.map_err(at(operation))
}

async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    let found = sqlx::query_scalar("PRAGMA user_version")
        .fetch_one(connection)
        .await;
    found.map_err(at("open the store"))
}

fn newer(path: &Path, found: i64) -> StoreError {
    StoreError::Newer {
        url: format!("sqlite://{}", path.display()),
        found,
        known: MIGRATIONS.len() as i64,
    }
}

fn no_head() -> StoreError {
    nonsense(READ_HEAD, "the row that notes it is gone")
}
