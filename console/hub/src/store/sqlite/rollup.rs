//! Roll-ups and watermarks, as rows.

use std::sync::Arc;

use futures::TryStreamExt as _;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use sqlx::{QueryBuilder, Row as _, Sqlite as Db, SqliteConnection};

use crate::store::compaction::{MINUTES_AT_ONCE, Sum};
use crate::store::refusal::{at, signed, unsigned};
use crate::store::rows::{self, ranges_to_text, unreadable};
use crate::store::{
    COMPACT, Compaction, Flushed, KEEP_FINE_US, KEEP_US, KEEP_WATERMARK_US, READ, Rollup,
    RollupBatch, RollupQuery, Span, StoreError, WRITE, Watermark,
};

/// Rows in one INSERT: a statement costs a hop to the connection's thread, a bound value next
/// to nothing. 50 rows of 13 values are far below SQLite's 32,766.
const ROWS_AT_ONCE: usize = 50;
/// The most that one call drops for its age: one hour of rows, so that a hub that comes back
/// after a week is not busy deleting.
const EXPIRE_AT_ONCE_US: i64 = 3_600 * 1_000_000;

/// Whether a batch is to be written.
pub(super) enum Claim {
    /// It is there: its flush was committed, and only the answer was lost.
    Confirmed,
    /// It is next, and its place is taken in this transaction.
    Taken,
}

/// Moves the flush on to the batch's.
pub(super) async fn claim(
    write: &mut SqliteConnection,
    batch: &RollupBatch,
) -> Result<Claim, StoreError> {
    let moved = sqlx::query("UPDATE flushed SET flush = $1, writer = $2 WHERE flush = $3")
        .bind(signed(batch.flush))
        .bind(batch.writer.as_slice())
        .bind(signed(batch.flush) - 1)
        .execute(&mut *write)
        .await
        .map_err(at(WRITE))?;
    if moved.rows_affected() == 1 {
        return Ok(Claim::Taken);
    }
    let same: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM flushed WHERE flush = $1 AND writer = $2")
            .bind(signed(batch.flush))
            .bind(batch.writer.as_slice())
            .fetch_one(write)
            .await
            .map_err(at(WRITE))?;
    match same {
        0 => Err(StoreError::Conflict { operation: WRITE }),
        _ => Ok(Claim::Confirmed),
    }
}

/// Adds rows under one flush.
pub(super) async fn insert(
    write: &mut SqliteConnection,
    rollups: &[Rollup],
    flush: u64,
) -> Result<(), StoreError> {
    for rows in rollups.chunks(ROWS_AT_ONCE) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO rollup (start_us, span_s, endpoint, model, version, outcome, flush, \
             counts, sum_ns, min_ns, max_ns, request_bytes, response_bytes) ",
        );
        insert.push_values(
            rows,
            |mut row,
             Rollup {
                 start_us,
                 span,
                 window,
             }| {
                row.push_bind(*start_us)
                    .push_bind(i64::from(span.seconds()))
                    .push_bind(window.key.endpoint.to_string())
                    .push_bind(window.key.model.to_string())
                    .push_bind(window.key.version.to_string())
                    .push_bind(window.key.outcome.word())
                    .push_bind(signed(flush))
                    .push_bind(window.latency.counts.clone())
                    .push_bind(signed(window.latency.sum_ns))
                    .push_bind(signed(window.latency.min_ns))
                    .push_bind(signed(window.latency.max_ns))
                    .push_bind(signed(window.request_bytes))
                    .push_bind(signed(window.response_bytes));
            },
        );
        let done = insert.build().execute(&mut *write).await;
        done.map_err(at(WRITE))?;
    }
    Ok(())
}

/// Replaces watermarks.
pub(super) async fn mark(
    write: &mut SqliteConnection,
    watermarks: &[Watermark],
) -> Result<(), StoreError> {
    for rows in watermarks.chunks(ROWS_AT_ONCE) {
        let mut insert = QueryBuilder::<Db>::new(
            "INSERT INTO watermark (host, boot, durable, counted, heard_us) ",
        );
        insert.push_values(rows, |mut row, mark| {
            row.push_bind(mark.host.to_string())
                .push_bind(mark.boot.0.to_vec())
                .push_bind(signed(mark.durable))
                .push_bind(ranges_to_text(&mark.counted))
                .push_bind(mark.heard_us);
        });
        insert.push(
            " ON CONFLICT (host, boot) DO UPDATE SET durable = excluded.durable, \
             counted = excluded.counted, heard_us = excluded.heard_us",
        );
        let done = insert.build().execute(&mut *write).await;
        done.map_err(at(WRITE))?;
    }
    Ok(())
}

pub(super) async fn flushed(readers: &SqlitePool) -> Result<Flushed, StoreError> {
    let mut read = readers.begin().await.map_err(at(READ))?;
    let flush: i64 = sqlx::query_scalar("SELECT flush FROM flushed")
        .fetch_one(&mut *read)
        .await
        .map_err(at(READ))?;
    // The last row by start may be a short one inside a minute that began before it.
    let end_us: Option<i64> = sqlx::query_scalar(
        "SELECT MAX(start_us + span_s * 1000000) FROM rollup \
         WHERE start_us > (SELECT MAX(start_us) FROM rollup) - 60000000",
    )
    .fetch_one(&mut *read)
    .await
    .map_err(at(READ))?;
    Ok(Flushed {
        flush: unsigned(flush),
        end_us: end_us.unwrap_or(0),
    })
}

pub(super) async fn watermarks(
    readers: &SqlitePool,
    host: Option<Arc<str>>,
) -> Result<Vec<Watermark>, StoreError> {
    const COLUMNS: &str = "SELECT host, boot, durable, counted, heard_us FROM watermark";
    let mut select = QueryBuilder::<Db>::new(COLUMNS);
    if let Some(host) = host {
        select.push(" WHERE host = ").push_bind(host.to_string());
    }
    select.push(" ORDER BY host, boot");
    select
        .build()
        .fetch(readers)
        .map_err(at(READ))
        .and_then(|row| std::future::ready(rows::watermark(&row, READ)))
        .try_collect()
        .await
}

/// Hands the rows to `sink`; answers with the last flush that compaction took in.
pub(super) async fn select(
    read: &mut SqliteConnection,
    query: &RollupQuery,
    sink: &mut (dyn FnMut(Rollup) + Send),
) -> Result<u64, StoreError> {
    let compacted: i64 = sqlx::query_scalar("SELECT compacted FROM flushed")
        .fetch_one(&mut *read)
        .await
        .map_err(at(READ))?;
    let mut select = QueryBuilder::<Db>::new("SELECT * FROM rollup WHERE start_us >= ");
    select.push_bind(query.from_us);
    select.push(" AND start_us < ").push_bind(query.to_us);
    select.push(" AND flush <= ").push_bind(signed(query.flush));
    if let Some(model) = &query.model {
        select.push(" AND model = ").push_bind(model.to_string());
    }
    if let Some(version) = &query.version {
        select
            .push(" AND version = ")
            .push_bind(version.to_string());
    }
    select.push(" ORDER BY start_us, span_s");
    let mut rows = select.build().fetch(read);
    while let Some(row) = rows.try_next().await.map_err(at(READ))? {
        sink(rollup(&row, READ)?);
    }
    Ok(unsigned(compacted))
}

/// A bounded part of what is due.
pub(super) async fn compact(
    write: &mut SqliteConnection,
    now_us: i64,
) -> Result<Compaction, StoreError> {
    let mut done = Compaction::default();
    let fine_until = Span::Minute.start_of(now_us.saturating_sub(KEEP_FINE_US));
    while done.minutes < u64::from(MINUTES_AT_ONCE) {
        let next = "SELECT MIN(start_us) FROM rollup WHERE span_s = 10 AND start_us < $1";
        let next: Option<i64> = sqlx::query_scalar(next)
            .bind(fine_until)
            .fetch_one(&mut *write)
            .await
            .map_err(at(COMPACT))?;
        let Some(start_us) = next else {
            break;
        };
        compact_minute(write, Span::Minute.start_of(start_us)).await?;
        done.minutes += 1;
    }
    done.expired = expire(write, now_us.saturating_sub(KEEP_US)).await?;
    done.forgotten = sqlx::query("DELETE FROM watermark WHERE heard_us < $1")
        .bind(now_us.saturating_sub(KEEP_WATERMARK_US))
        .execute(write)
        .await
        .map_err(at(COMPACT))?
        .rows_affected();
    Ok(done)
}

async fn compact_minute(write: &mut SqliteConnection, start_us: i64) -> Result<(), StoreError> {
    let end_us = start_us.saturating_add(Span::Minute.us());
    let (mut sum, mut flush) = (Sum::default(), 0);
    {
        let mut rows = sqlx::query(
            "SELECT * FROM rollup WHERE start_us >= $1 AND start_us < $2 \
             ORDER BY endpoint, model, version, outcome",
        )
        .bind(start_us)
        .bind(end_us)
        .fetch(&mut *write);
        while let Some(row) = rows.try_next().await.map_err(at(COMPACT))? {
            let Rollup { window, .. } = rollup(&row, COMPACT)?;
            flush = flush.max(row.try_get("flush").map_err(at(COMPACT))?);
            sum.add(&window)
                .map_err(|flaw| unreadable(COMPACT, &window.key, start_us, &flaw))?;
        }
    }
    sqlx::query("DELETE FROM rollup WHERE start_us >= $1 AND start_us < $2")
        .bind(start_us)
        .bind(end_us)
        .execute(&mut *write)
        .await
        .map_err(at(COMPACT))?;
    let minute = |window| Rollup {
        start_us,
        span: Span::Minute,
        window,
    };
    let rows: Vec<_> = sum.into_windows().into_iter().map(minute).collect();
    insert(write, &rows, unsigned(flush)).await?;
    sqlx::query("UPDATE flushed SET compacted = $1 WHERE compacted < $1")
        .bind(flush)
        .execute(write)
        .await
        .map_err(at(COMPACT))?;
    Ok(())
}

async fn expire(write: &mut SqliteConnection, until_us: i64) -> Result<u64, StoreError> {
    let oldest: Option<i64> = sqlx::query_scalar("SELECT MIN(start_us) FROM rollup")
        .fetch_one(&mut *write)
        .await
        .map_err(at(COMPACT))?;
    let Some(oldest) = oldest.filter(|&oldest| oldest < until_us) else {
        return Ok(0);
    };
    let expired = sqlx::query("DELETE FROM rollup WHERE start_us < $1")
        .bind(until_us.min(oldest.saturating_add(EXPIRE_AT_ONCE_US)))
        .execute(write)
        .await
        .map_err(at(COMPACT))?;
    Ok(expired.rows_affected())
}

fn rollup(row: &SqliteRow, operation: &'static str) -> Result<Rollup, StoreError> {
    rows::rollup(row, operation, |row, column| {
        let text: &str = row.try_get(column).map_err(at(operation))?;
        Ok(text.into())
    })
}
