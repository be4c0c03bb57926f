//! Roll-ups and watermarks, as rows: many of them in one statement, a column an array.

use std::sync::Arc;

use futures::TryStreamExt as _;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::{Postgres as Db, QueryBuilder, Row as _};

use crate::store::compaction::{MINUTES_AT_ONCE, Sum};
use crate::store::refusal::{at, nonsense, signed, unsigned};
use crate::store::rows::{self, ranges_to_text, unreadable};
use crate::store::{
    COMPACT, Compaction, Flushed, KEEP_FINE_US, KEEP_US, KEEP_WATERMARK_US, READ, Rollup,
    RollupBatch, RollupQuery, Span, StoreError, WRITE, Watermark,
};

/// Rows in one INSERT: some megabytes at most, since a row may carry a dense histogram.
const ROWS_AT_ONCE: usize = 1_000;
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

/// Moves the flush on to the batch's. An earlier try that the server has not ended yet holds the
/// row until it has.
pub(super) async fn claim(
    write: &mut PgConnection,
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
    write: &mut PgConnection,
    rollups: &[Rollup],
    flush: u64,
) -> Result<(), StoreError> {
    let insert = "INSERT INTO rollup (start_us, span_s, endpoint, model, version, outcome, \
                  counts, sum_ns, min_ns, max_ns, request_bytes, response_bytes, flush) \
                  SELECT *, $13::BIGINT FROM UNNEST($1::BIGINT[], $2::BIGINT[], $3::BYTEA[], \
                  $4::BYTEA[], $5::BYTEA[], $6::TEXT[], $7::BYTEA[], $8::BIGINT[], \
                  $9::BIGINT[], $10::BIGINT[], $11::BIGINT[], $12::BIGINT[])";
    for rows in rollups.chunks(ROWS_AT_ONCE) {
        let windows = || rows.iter().map(|row| &row.window);
        let numbers = |of: fn(&Rollup) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
        let keys = |of: fn(&Rollup) -> &Arc<str>| {
            let texts = rows.iter().map(of);
            texts.map(|text| text.as_bytes()).collect::<Vec<&[u8]>>()
        };
        sqlx::query(insert)
            .bind(numbers(|row| row.start_us))
            .bind(numbers(|row| i64::from(row.span.seconds())))
            .bind(keys(|row| &row.window.key.endpoint))
            .bind(keys(|row| &row.window.key.model))
            .bind(keys(|row| &row.window.key.version))
            .bind(
                windows()
                    .map(|one| one.key.outcome.word())
                    .collect::<Vec<_>>(),
            )
            .bind(
                windows()
                    .map(|one| &*one.latency.counts)
                    .collect::<Vec<_>>(),
            )
            .bind(numbers(|row| signed(row.window.latency.sum_ns)))
            .bind(numbers(|row| signed(row.window.latency.min_ns)))
            .bind(numbers(|row| signed(row.window.latency.max_ns)))
            .bind(numbers(|row| signed(row.window.request_bytes)))
            .bind(numbers(|row| signed(row.window.response_bytes)))
            .bind(signed(flush))
            .execute(&mut *write)
            .await
            .map_err(at(WRITE))?;
    }
    Ok(())
}

/// Replaces watermarks.
pub(super) async fn mark(
    write: &mut PgConnection,
    watermarks: &[Watermark],
) -> Result<(), StoreError> {
    let insert = "INSERT INTO watermark (host, boot, durable, counted, heard_us) \
                  SELECT * FROM UNNEST($1::TEXT[], $2::BYTEA[], $3::BIGINT[], $4::TEXT[], \
                  $5::BIGINT[]) ON CONFLICT (host, boot) DO UPDATE SET \
                  durable = excluded.durable, counted = excluded.counted, \
                  heard_us = excluded.heard_us";
    for rows in watermarks.chunks(ROWS_AT_ONCE) {
        let hosts: Vec<&str> = rows.iter().map(|mark| &*mark.host).collect();
        let boots: Vec<&[u8]> = rows.iter().map(|mark| mark.boot.0.as_slice()).collect();
        let durable: Vec<i64> = rows.iter().map(|mark| signed(mark.durable)).collect();
        let counted = rows.iter().map(|mark| ranges_to_text(&mark.counted));
        let heard: Vec<i64> = rows.iter().map(|mark| mark.heard_us).collect();
        sqlx::query(insert)
            .bind(hosts)
            .bind(boots)
            .bind(durable)
            .bind(counted.collect::<Vec<String>>())
            .bind(heard)
            .execute(&mut *write)
            .await
            .map_err(at(WRITE))?;
    }
    Ok(())
}

pub(super) async fn flushed(read: &mut PgConnection) -> Result<Flushed, StoreError> {
    let flush: i64 = sqlx::query_scalar("SELECT flush FROM flushed")
        .fetch_one(&mut *read)
        .await
        .map_err(at(READ))?;
    // The last row by start may be a short one inside a minute that began before it.
    let end_us: Option<i64> = sqlx::query_scalar(
        "SELECT MAX(start_us + span_s * 1000000) FROM rollup \
         WHERE start_us > (SELECT MAX(start_us) FROM rollup) - 60000000",
    )
    .fetch_one(read)
    .await
    .map_err(at(READ))?;
    Ok(Flushed {
        flush: unsigned(flush),
        end_us: end_us.unwrap_or(0),
    })
}

pub(super) async fn watermarks(
    readers: &PgPool,
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
    read: &mut PgConnection,
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
        select.push(" AND model = ").push_bind(model.as_bytes());
    }
    if let Some(version) = &query.version {
        select.push(" AND version = ").push_bind(version.as_bytes());
    }
    select.push(" ORDER BY start_us, span_s, endpoint, model, version, outcome, flush");
    let mut rows = select.build().fetch(read);
    while let Some(row) = rows.try_next().await.map_err(at(READ))? {
        sink(rollup(&row, READ)?);
    }
    Ok(unsigned(compacted))
}

/// A bounded part of what is due. Flushes wait meanwhile.
pub(super) async fn compact(
    write: &mut PgConnection,
    now_us: i64,
) -> Result<Compaction, StoreError> {
    let mut done = Compaction::default();
    sqlx::query("SELECT flush FROM flushed FOR UPDATE")
        .fetch_one(&mut *write)
        .await
        .map_err(at(COMPACT))?;
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

async fn compact_minute(write: &mut PgConnection, start_us: i64) -> Result<(), StoreError> {
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

async fn expire(write: &mut PgConnection, until_us: i64) -> Result<u64, StoreError> {
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

fn rollup(row: &PgRow, operation: &'static str) -> Result<Rollup, StoreError> {
    rows::rollup(row, operation, |row, column| {
        let bytes: &[u8] = row.try_get(column).map_err(at(operation))?;
        let text = std::str::from_utf8(bytes);
        let text = text.map_err(|_| nonsense(operation, format!("a {column} is no text")))?;
        Ok(text.into())
    })
}
