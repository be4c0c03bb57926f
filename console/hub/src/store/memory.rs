//! The store that forgets: what SQLite promises within one process, without a disk.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use binnacle_core::journal::{Hash, ORIGIN, Stored};
use binnacle_core::report::BootId;
use binnacle_core::series::{SeriesKey, SeriesWindow};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::compaction::{MINUTES_AT_ONCE, Sum};
use super::{
    Compaction, Flushed, GuardRows, Guards, KEEP_FINE_US, KEEP_MINUTES_US, KEEP_US,
    KEEP_WATERMARK_US, MAX_PAGE, MinuteCell, MinutePart, MinuteQuery, PartKind, Rollup,
    RollupBatch, RollupQuery, Snapshot, Span, Store, StoreError, Watermark, within_a_page,
};

/// A store in memory. The lock is held for the length of one call, never across a wait.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    journal: BTreeMap<u64, Stored>,
    rollups: BTreeMap<RowKey, SeriesWindow>,
    watermarks: BTreeMap<(Arc<str>, BootId), Watermark>,
    /// By start, flush and place in the flush.
    minutes: BTreeMap<(i64, u64, usize), MinutePart>,
    flush: u64,
    writer: [u8; 16],
    compacted: u64,
    snapshot: Option<Arc<Snapshot>>,
    marks: BTreeMap<String, u64>,
    guards: BTreeMap<String, Vec<u8>>,
}

/// Start, span, series, flush.
type RowKey = (i64, Span, SeriesKey, u64);

impl Memory {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic in a test's other thread leaves what it had written whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn append(&mut self, entries: Vec<Stored>) -> Result<(), StoreError> {
        let head = self.journal.last_key_value().map_or(0, |(&at, _)| at);
        let follows = |(entry, expected): (&Stored, u64)| entry.sequence == expected;
        if !entries.iter().zip(head + 1..).all(follows) {
            let operation = "append to the journal";
            return Err(StoreError::Conflict { operation });
        }
        let keyed = entries.into_iter().map(|entry| (entry.sequence, entry));
        self.journal.extend(keyed);
        Ok(())
    }

    fn flush(&mut self, batch: &RollupBatch) -> Result<(), StoreError> {
        if batch.flush == self.flush && batch.writer == self.writer {
            return Ok(());
        }
        if batch.flush != self.flush + 1 {
            let operation = "write what was measured";
            return Err(StoreError::Conflict { operation });
        }
        for Rollup {
            start_us,
            span,
            window,
        } in &batch.rollups
        {
            let key = (*start_us, *span, window.key.clone(), batch.flush);
            self.rollups.insert(key, window.clone());
        }
        for mark in &batch.watermarks {
            self.watermarks
                .insert((mark.host.clone(), mark.boot), mark.clone());
        }
        for (place, part) in batch.minutes.iter().enumerate() {
            if let PartKind::Whole { drafts_after } = part.kind {
                self.minutes.retain(|(start_us, flush, _), kept| {
                    let is_draft = kept.kind == PartKind::Draft && *flush > drafts_after;
                    !is_draft || *start_us != part.start_us
                });
            }
            let key = (part.start_us, batch.flush, place);
            self.minutes.insert(key, part.clone());
        }
        (self.flush, self.writer) = (batch.flush, batch.writer);
        Ok(())
    }

    fn end_us(&self) -> i64 {
        let ends = self.rollups.keys().map(|(at, span, ..)| at + span.us());
        ends.max().unwrap_or(0)
    }

    fn compact(&mut self, now_us: i64) -> Result<Compaction, StoreError> {
        let mut done = Compaction::default();
        let fine_until = Span::Minute.start_of(now_us.saturating_sub(KEEP_FINE_US));
        let fine = |(at, span, ..): &&RowKey| *span == Span::TenSeconds && *at < fine_until;
        while done.minutes < u64::from(MINUTES_AT_ONCE) {
            let Some(&(at, ..)) = self.rollups.keys().find(fine) else {
                break;
            };
            self.compact_minute(Span::Minute.start_of(at))?;
            done.minutes += 1;
        }
        let rows = self.rollups.len();
        let keep_from = now_us.saturating_sub(KEEP_US);
        self.rollups.retain(|(at, ..), _| *at >= keep_from);
        done.expired = (rows - self.rollups.len()) as u64;
        let parts = self.minutes.len();
        let minutes_from = now_us.saturating_sub(KEEP_MINUTES_US);
        self.minutes.retain(|(at, ..), _| *at >= minutes_from);
        done.minutes_expired = (parts - self.minutes.len()) as u64;
        let boots = self.watermarks.len();
        let heard_from = now_us.saturating_sub(KEEP_WATERMARK_US);
        self.watermarks
            .retain(|_, mark| mark.heard_us >= heard_from);
        done.forgotten = (boots - self.watermarks.len()) as u64;
        Ok(done)
    }

    fn compact_minute(&mut self, start_us: i64) -> Result<(), StoreError> {
        let minute = start_us..start_us.saturating_add(Span::Minute.us());
        let inside = |(at, ..): &RowKey, _: &mut SeriesWindow| minute.contains(at);
        let rows: Vec<_> = self.rollups.extract_if(.., inside).collect();
        let flush = rows
            .iter()
            .map(|((.., flush), _)| *flush)
            .max()
            .unwrap_or(0);
        let mut windows: Vec<_> = rows.into_iter().map(|(_, window)| window).collect();
        windows.sort_by(|a, b| a.key.cmp(&b.key));
        let mut sum = Sum::default();
        for window in &windows {
            sum.add(window).map_err(|flaw| StoreError::Nonsense {
                operation: "add old roll-ups together",
                what: flaw.to_string(),
            })?;
        }
        for window in sum.into_windows() {
            let key = (start_us, Span::Minute, window.key.clone(), flush);
            self.rollups.insert(key, window);
        }
        self.compacted = self.compacted.max(flush);
        Ok(())
    }
}

impl Store for Memory {
    fn close(&self) -> BoxFuture<'_, ()> {
        futures::future::ready(()).boxed()
    }

    fn url(&self) -> String {
        "memory:".into()
    }

    fn append(&self, entries: Vec<Stored>) -> BoxFuture<'_, Result<(), StoreError>> {
        async { self.kept().append(entries) }.boxed()
    }

    fn entries(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        let limit = limit.min(MAX_PAGE) as usize;
        async move {
            let kept = self.kept();
            let page = kept.journal.range(after.saturating_add(1)..).take(limit);
            Ok(page.map(|(_, entry)| entry.clone()).collect())
        }
        .boxed()
    }

    fn guards(&self) -> BoxFuture<'_, Result<GuardRows, StoreError>> {
        async { Ok(self.kept().guards.clone().into_iter().collect()) }.boxed()
    }

    fn save_guards(&self, guards: Guards) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            let mut kept = self.kept();
            for (name, bytes) in guards {
                match bytes {
                    Some(bytes) => kept.guards.insert(name, bytes),
                    None => kept.guards.remove(&name),
                };
            }
            Ok(())
        }
        .boxed()
    }

    fn mark(&self, reader: String) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        async move { Ok(self.kept().marks.get(&reader).copied()) }.boxed()
    }

    fn set_mark(&self, reader: String, at: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        async move {
            self.kept().marks.insert(reader, at);
            Ok(())
        }
        .boxed()
    }

    fn entries_at(&self, places: Vec<u64>) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        async move {
            let places = within_a_page(places)?;
            let kept = self.kept();
            let found = places.iter().filter_map(|place| kept.journal.get(place));
            Ok(found.cloned().collect())
        }
        .boxed()
    }

    fn entries_before(
        &self,
        before: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        let limit = limit.min(MAX_PAGE) as usize;
        let before = if before == 0 { u64::MAX } else { before };
        async move {
            let kept = self.kept();
            let page = kept.journal.range(..before).rev().take(limit);
            Ok(page.map(|(_, entry)| entry.clone()).collect())
        }
        .boxed()
    }

    fn head(&self) -> BoxFuture<'_, Result<Option<(u64, Hash)>, StoreError>> {
        async {
            let kept = self.kept();
            let last = kept.journal.last_key_value();
            Ok(last.map(|(&sequence, entry)| (sequence, entry.hash)))
        }
        .boxed()
    }

    fn meta_head(&self) -> BoxFuture<'_, Result<Option<(u64, Hash)>, StoreError>> {
        async { Ok(self.head().await?.or(Some((0, ORIGIN)))) }.boxed()
    }

    fn confirm_head(&self) -> BoxFuture<'_, Result<(u64, Hash), StoreError>> {
        async { Ok(self.head().await?.unwrap_or((0, ORIGIN))) }.boxed()
    }

    fn save_snapshot(&self, snapshot: Arc<Snapshot>) -> BoxFuture<'_, Result<(), StoreError>> {
        async {
            self.kept().snapshot = Some(snapshot);
            Ok(())
        }
        .boxed()
    }

    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        async { Ok(self.kept().snapshot.as_deref().cloned()) }.boxed()
    }

    fn flush(&self, batch: Arc<RollupBatch>) -> BoxFuture<'_, Result<(), StoreError>> {
        async move { self.kept().flush(&batch) }.boxed()
    }

    fn flushed(&self) -> BoxFuture<'_, Result<Flushed, StoreError>> {
        async {
            let kept = self.kept();
            Ok(Flushed {
                flush: kept.flush,
                end_us: kept.end_us(),
            })
        }
        .boxed()
    }

    fn watermarks(&self, host: Arc<str>) -> BoxFuture<'_, Result<Vec<Watermark>, StoreError>> {
        async move {
            let kept = self.kept();
            let marks = kept.watermarks.values().filter(|mark| mark.host == host);
            Ok(marks.cloned().collect())
        }
        .boxed()
    }

    fn all_watermarks(&self) -> BoxFuture<'_, Result<Vec<Watermark>, StoreError>> {
        async { Ok(self.kept().watermarks.values().cloned().collect()) }.boxed()
    }

    fn rollups<'a>(
        &'a self,
        query: RollupQuery,
        sink: &'a mut (dyn FnMut(Rollup) + Send),
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        async move {
            let kept = self.kept();
            let asked = |(at, _, key, flush): &RowKey| {
                (query.from_us..query.to_us).contains(at)
                    && *flush <= query.flush
                    && query.takes(&key.model, &key.version)
            };
            for (row, window) in kept.rollups.iter().filter(|(row, _)| asked(row)) {
                let (start_us, span, window) = (row.0, row.1, window.clone());
                sink(Rollup {
                    start_us,
                    span,
                    window,
                });
            }
            Ok(kept.compacted)
        }
        .boxed()
    }

    fn minutes<'a>(
        &'a self,
        query: MinuteQuery,
        sink: &'a mut (dyn FnMut(MinuteCell) + Send),
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        async move {
            let kept = self.kept();
            let span = (query.from_us, 0, 0)..(query.to_us, 0, 0);
            for ((start_us, flush, _), part) in kept.minutes.range(span) {
                for (host, cell) in part.cells.iter().filter(|(host, _)| query.takes(host)) {
                    sink(MinuteCell {
                        start_us: *start_us,
                        flush: *flush,
                        is_draft: part.kind == PartKind::Draft,
                        host: host.clone(),
                        cell: *cell,
                    });
                }
            }
            Ok(kept.flush)
        }
        .boxed()
    }

    fn compact(&self, now_us: i64) -> BoxFuture<'_, Result<Compaction, StoreError>> {
        async move { self.kept().compact(now_us) }.boxed()
    }
}
