//! The store in a database of a PostgreSQL server, in a schema of its own.
//!
//! Whoever appends holds the row that notes the journal's head, so that two hubs on one database
//! follow one another there, and the one that did not see the other's entries is refused.
//! Writes are bounded in time: a server that says nothing must not hold up the hub. A commit
//! that was not answered is looked for afterwards ([`Store::confirm_head`]), since the server
//! holds that row until it is decided.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use binnacle_core::journal::{Hash, Stored};
use futures::future::BoxFuture;
use futures::{FutureExt as _, TryStreamExt as _};
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::{Postgres as Db, Row as _, Transaction};

use super::refusal::{at, at_commit, nonsense, signed};
use super::rows::{entry, head};
use super::{
    APPEND, COMPACT, CONFIRM, Compaction, Flushed, GUARD, GuardRows, Guards, MARK, MAX_PAGE,
    MinuteCell, MinuteQuery, PostgresUrl, READ, READ_HEAD, READ_JOURNAL, Rollup, RollupBatch,
    RollupQuery, Snapshot, Store, StoreError, UPGRADE, WRITE, Watermark, gapless, within_a_page,
};

mod guard;
mod mark;
mod minute;
mod rollup;
mod snapshot;

/// The schema, step by step; a step that was released is never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("../../migrations/postgres/0001_everything.sql"),
    include_str!("../../migrations/postgres/0002_marks.sql"),
    include_str!("../../migrations/postgres/0003_guards.sql"),
];
/// Writers: one for the journal, one for what was measured, neither waiting for the other.
const WRITERS: u32 = 2;
/// Readers: consoles' questions, of which a long one must not hold up the short ones.
const READERS: u32 = 4;
/// How long one waits for a connection, and so for a server that is not there.
const ACQUIRE: Duration = Duration::from_secs(3);
/// How long a write may take, all of it. The server's own limits come before.
const WITHIN: Duration = Duration::from_secs(20);
/// Both hubs that start at once on an empty database make the schema: one after the other.
const UPGRADE_LOCK: i64 = 0x0062_696e_6e61_636c;

/// What every connection begins with. A commit waits for the disk whatever the server's default
/// is; a statement, a lock, and a transaction that its hub forgot end on their own.
const SESSION: &str = "SET search_path = binnacle; \
    SET synchronous_commit = on; \
    SET client_min_messages = warning; \
    SET statement_timeout = '15s'; \
    SET lock_timeout = '10s'; \
    SET idle_in_transaction_session_timeout = '15s'";
/// What those that only read begin with: long questions, and no writing.
const READING: &str = "SET search_path = binnacle; \
    SET default_transaction_read_only = on; \
    SET statement_timeout = '60s'; \
    SET idle_in_transaction_session_timeout = '120s'";
/// All that one transaction reads stood so at one moment.
const ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A store in a database.
#[derive(Debug)]
pub(super) struct Postgres {
    shown: String,
    writers: PgPool,
    readers: PgPool,
    /// Hosts' numbers that are in the database for sure.
    numbers: ArcSwap<minute::Numbers>,
}

impl Postgres {
    /// Connects, and makes the schema where there is none.
    pub(super) async fn open(url: &PostgresUrl) -> Result<Self, StoreError> {
        let options = url.options()?.application_name("binnacle-hub");
        let writers = pool(WRITERS, SESSION).connect_lazy_with(options.clone());
        within(UPGRADE, migrate(&url.to_string(), &writers)).await?;
        Ok(Self {
            shown: url.to_string(),
            writers,
            readers: pool(READERS, READING).connect_lazy_with(options),
            numbers: ArcSwap::default(),
        })
    }

    /// Connects to a store that is there, and never writes to it.
    pub(super) async fn open_to_read(url: &PostgresUrl) -> Result<Self, StoreError> {
        let options = url.options()?.application_name("binnacle");
        let readers = pool(READERS, READING).connect_lazy_with(options);
        let mut reader = readers.acquire().await.map_err(at("open the store"))?;
        let (found, shown) = (version(&mut reader).await?, url.to_string());
        match found.cmp(&(MIGRATIONS.len() as i64)) {
            Ordering::Less => return Err(StoreError::Older { url: shown }),
            Ordering::Equal => {}
            Ordering::Greater => return Err(newer(&shown, found)),
        }
        drop(reader);
        Ok(Self {
            shown,
            writers: readers.clone(),
            readers,
            numbers: ArcSwap::default(),
        })
    }

    async fn write(&self, operation: &'static str) -> Result<Transaction<'static, Db>, StoreError> {
        self.writers.begin().await.map_err(at(operation))
    }

    async fn read(&self, operation: &'static str) -> Result<Transaction<'static, Db>, StoreError> {
        let begun = self.readers.begin_with(ONE_MOMENT).await;
        begun.map_err(at(operation))
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
        let sequences: Vec<i64> = entries.iter().map(|one| signed(one.sequence)).collect();
        let bodies: Vec<&[u8]> = entries.iter().map(|one| one.body.as_slice()).collect();
        let hashes: Vec<&[u8]> = entries.iter().map(|one| one.hash.as_slice()).collect();
        let insert = "INSERT INTO journal (sequence, body, hash) \
                      SELECT * FROM UNNEST($1::BIGINT[], $2::BYTEA[], $3::BYTEA[])";
        sqlx::query(insert)
            .bind(sequences)
            .bind(bodies)
            .bind(hashes)
            .execute(&mut *write)
            .await
            .map_err(at(operation))?;
        write.commit().await.map_err(at_commit(operation))
    }

    async fn flush_all(&self, batch: &RollupBatch) -> Result<(), StoreError> {
        let mut write = self.write(WRITE).await?;
        match rollup::claim(&mut write, batch).await? {
            rollup::Claim::Confirmed => return Ok(()),
            rollup::Claim::Taken => {}
        }
        rollup::insert(&mut write, &batch.rollups, batch.flush).await?;
        rollup::mark(&mut write, &batch.watermarks).await?;
        let numbers = self.numbers.load_full();
        let numbers = minute::insert(&mut write, &batch.minutes, batch.flush, numbers).await?;
        write.commit().await.map_err(at(WRITE))?;
        self.numbers.store(numbers);
        Ok(())
    }

    async fn page(
        &self,
        sql: &'static str,
        from: u64,
        limit: u32,
    ) -> Result<Vec<Stored>, StoreError> {
        sqlx::query(sql)
            .bind(signed(from))
            .bind(i64::from(limit.min(MAX_PAGE)))
            .fetch(&self.readers)
            .map_err(at(READ_JOURNAL))
            .and_then(|row| std::future::ready(entry(&row, READ_JOURNAL)))
            .try_collect()
            .await
    }

    async fn head_of(&self, sql: &'static str) -> Result<Option<(u64, Hash)>, StoreError> {
        let row = sqlx::query(sql).fetch_optional(&self.readers).await;
        let row = row.map_err(at(READ_HEAD))?;
        row.map(|row| head(&row, READ_HEAD)).transpose()
    }

    async fn confirm(&self) -> Result<(u64, Hash), StoreError> {
        let mut write = self.write(CONFIRM).await?;
        let same = "UPDATE journal_head SET sequence = sequence RETURNING sequence, hash";
        let row = sqlx::query(same).fetch_optional(&mut *write).await;
        let row = row.map_err(at(CONFIRM))?.ok_or_else(no_head)?;
        let head = head(&row, CONFIRM)?;
        write.commit().await.map_err(at(CONFIRM))?;
        Ok(head)
    }
}

impl Store for Postgres {
    fn close(&self) -> BoxFuture<'_, ()> {
        async {
            self.readers.close().await;
            self.writers.close().await;
        }
        .boxed()
    }

    fn url(&self) -> String {
        self.shown.clone()
    }

    fn append(&self, entries: Vec<Stored>) -> BoxFuture<'_, Result<(), StoreError>> {
        within(APPEND, self.append_all(entries)).boxed()
    }

    fn entries(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        let sql = "SELECT sequence, hash, body FROM journal WHERE sequence > $1 \
                   ORDER BY sequence LIMIT $2";
        self.page(sql, after, limit).boxed()
    }

    fn entries_at(&self, places: Vec<u64>) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        async move {
            let places: Vec<i64> = within_a_page(places)?.into_iter().map(signed).collect();
            let sql = "SELECT sequence, hash, body FROM journal \
                       WHERE sequence = ANY($1) ORDER BY sequence";
            sqlx::query(sql)
                .bind(places)
                .fetch(&self.readers)
                .map_err(at(READ_JOURNAL))
                .and_then(|row| std::future::ready(entry(&row, READ_JOURNAL)))
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
        within(CONFIRM, self.confirm()).boxed()
    }

    fn save_snapshot(&self, snapshot: Arc<Snapshot>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { snapshot::save(&self.writers, &snapshot).await }.boxed()
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
        let save = async move {
            let mut write = self.write(GUARD).await?;
            guard::save(&mut write, &guards).await?;
            write.commit().await.map_err(at(GUARD))
        };
        within(GUARD, save).boxed()
    }

    fn mark(&self, reader: String) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        async move { mark::get(&self.readers, &reader).await }.boxed()
    }

    fn set_mark(&self, reader: String, at: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { within(MARK, mark::set(&self.writers, &reader, at)).await }.boxed()
    }

    fn flush(&self, batch: Arc<RollupBatch>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { within(WRITE, self.flush_all(&batch)).await }.boxed()
    }

    fn flushed(&self) -> BoxFuture<'_, Result<Flushed, StoreError>> {
        async {
            let mut read = self.read(READ).await?;
            rollup::flushed(&mut read).await
        }
        .boxed()
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
        let compacted = async move {
            let mut write = self.write(COMPACT).await?;
            let mut done = rollup::compact(&mut write, now_us).await?;
            done.minutes_expired = minute::expire(&mut write, now_us).await?;
            write.commit().await.map_err(at(COMPACT))?;
            Ok(done)
        };
        within(COMPACT, compacted).boxed()
    }
}

/// Ends a write that is not answered. Its connection comes back once the network does, or is
/// given up by the system; what it had begun the server ends.
async fn within<T>(
    operation: &'static str,
    write: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(WITHIN, write).await {
        Ok(done) => done,
        Err(late) => {
            let source = sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, late));
            Err(StoreError::Unsure { operation, source })
        }
    }
}

fn pool(connections: u32, session: &'static str) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        // A connection is tried before it is used: a server that was started anew while nobody
        // asked is no error.
        .test_before_acquire(true)
        .after_connect(move |connection, _| {
            async move {
                sqlx::raw_sql(session).execute(connection).await?;
                Ok(())
            }
            .boxed()
        })
}

async fn migrate(shown: &str, writers: &PgPool) -> Result<(), StoreError> {
    let mut write = writers.begin().await.map_err(at("open the store"))?;
    sqlx::query("SELECT pg_advisory_xact_lock($1)")
        .bind(UPGRADE_LOCK)
        .execute(&mut *write)
        .await
        .map_err(at(UPGRADE))?;
    let found = version(&mut write).await?;
    let done = usize::try_from(found).map_err(|_| newer(shown, found))?;
    let due = MIGRATIONS.get(done..).ok_or_else(|| newer(shown, found))?;
    if found == 0 {
        let begin = "CREATE SCHEMA IF NOT EXISTS binnacle; \
                     CREATE TABLE binnacle.release (version BIGINT NOT NULL); \
                     INSERT INTO binnacle.release (version) VALUES (0)";
        let begun = sqlx::raw_sql(begin).execute(&mut *write).await;
        begun.map_err(at(UPGRADE))?;
    }
    for step in due {
        let applied = sqlx::raw_sql(*step).execute(&mut *write).await;
        applied.map_err(at(UPGRADE))?;
    }
    if !due.is_empty() {
        sqlx::query("UPDATE release SET version = $1")
            .bind(MIGRATIONS.len() as i64)
            .execute(&mut *write)
            .await
            .map_err(at(UPGRADE))?;
    }
    write.commit().await.map_err(at(UPGRADE))
}

/// The schema's version; 0 where there is none.
async fn version(connection: &mut PgConnection) -> Result<i64, StoreError> {
    let operation = "open the store";
    let is_there = sqlx::query("SELECT to_regclass('binnacle.release') IS NOT NULL AS is_there")
        .fetch_one(&mut *connection)
        .await
        .map_err(at(operation))?;
    if !is_there.try_get("is_there").map_err(at(operation))? {
        return Ok(0);
    }
    let found = sqlx::query_scalar("SELECT version FROM binnacle.release").fetch_one(connection);
    found.await.map_err(at(operation))
}

fn newer(shown: &str, found: i64) -> StoreError {
    StoreError::Newer {
        url: shown.to_owned(),
        found,
        known: MIGRATIONS.len() as i64,
    }
}

fn no_head() -> StoreError {
    nonsense(READ_HEAD, "the row that notes it is gone")
}
