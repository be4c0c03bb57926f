//! What every store promises, checked on each of them.

use std::sync::Arc;

use binnacle_core::journal::{Stored, link};
use binnacle_core::report::BootId;
use binnacle_core::series::{Outcome, SeriesKey, SeriesWindow};
use binnacle_core::view::Cell;
use binnacle_sketch::Latency;

use super::*;

mod opened;
#[path = "../../../../tests/src/postgres.rs"]
#[allow(clippy::panic, dead_code, unreachable_pub)] // the harness, of which this needs a part
mod postgres;

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

/// A store on a disk of its own, which goes with it.
struct Place {
    url: StoreUrl,
    _folder: Option<tempfile::TempDir>,
    _server: Option<postgres::Postgres>,
}

fn places() -> Vec<Place> {
    let memory = Place {
        url: StoreUrl::Memory,
        _folder: None,
        _server: None,
    };
    vec![memory, file(), database()]
}

fn file() -> Place {
    let folder = tempfile::tempdir().unwrap();
    Place {
        url: StoreUrl::Sqlite(folder.path().join("hub.db")),
        _folder: Some(folder),
        _server: None,
    }
}

fn database() -> Place {
    let server = postgres::Postgres::start();
    Place {
        url: server.database().parse().unwrap(),
        _folder: None,
        _server: Some(server),
    }
}

fn path(place: &Place) -> &std::path::Path {
    match &place.url {
        StoreUrl::Sqlite(path) => path,
        StoreUrl::Memory | StoreUrl::Postgres(_) => unreachable!("only files have a path"),
    }
}

/// Does what no store does, to one that is there.
async fn tamper(place: &Place, sql: &'static str) {
    match &place.url {
        StoreUrl::Memory => unreachable!("nobody else gets at it"),
        StoreUrl::Sqlite(_) => {
            let url = format!("{}?mode=rwc", place.url);
            let pool = sqlx::SqlitePool::connect(&url).await.unwrap();
            sqlx::raw_sql(sql).execute(&pool).await.unwrap();
            pool.close().await;
        }
        StoreUrl::Postgres(url) => {
            let options = url.options().unwrap();
            let pool = sqlx::PgPool::connect_with(options).await.unwrap();
            let mut one = pool.acquire().await.unwrap();
            let search = "SET search_path = binnacle, public";
            sqlx::raw_sql(search).execute(&mut *one).await.unwrap();
            sqlx::raw_sql(sql).execute(&mut *one).await.unwrap();
        }
    }
}

fn chain(from: u64, to: u64) -> Vec<Stored> {
    let mut hash = [0; 32];
    let mut entries = Vec::new();
    for sequence in 1..=to {
        let body = format!("{{\"sequence\":{sequence}}}").into_bytes();
        hash = link(&hash, &body);
        entries.push(Stored {
            sequence,
            body,
            hash,
        });
    }
    entries.split_off(from as usize - 1)
}

fn window(model: &str, latencies: &[u64]) -> SeriesWindow {
    let mut latency = Latency::<u64>::default();
    latencies.iter().for_each(|&ns| latency.record(ns));
    SeriesWindow {
        key: SeriesKey {
            endpoint: "".into(),
            model: model.into(),
            version: "1".into(),
            outcome: Outcome::Ok,
        },
        latency: latency.encode(),
        request_bytes: 10,
        response_bytes: 20,
    }
}

fn row(start_us: i64, span: Span, window: SeriesWindow) -> Rollup {
    Rollup {
        start_us,
        span,
        window,
    }
}

fn batch(flush: u64, rollups: Vec<Rollup>) -> Arc<RollupBatch> {
    Arc::new(RollupBatch {
        flush,
        writer: [7; 16],
        rollups,
        watermarks: vec![mark("h1", flush, flush as i64)],
        minutes: Vec::new(),
    })
}

fn mark(host: &str, durable: u64, heard_us: i64) -> Watermark {
    Watermark {
        host: host.into(),
        boot: BootId([3; 16]),
        durable,
        counted: vec![(1, durable), (durable + 5, durable + 9)],
        heard_us,
    }
}

fn everything(flush: u64) -> RollupQuery {
    RollupQuery {
        from_us: i64::MIN,
        to_us: i64::MAX,
        model: None,
        version: None,
        flush,
    }
}

async fn read(store: &SharedStore, query: RollupQuery) -> (Vec<Rollup>, u64) {
    let mut rows = Vec::new();
    let compacted = store.rollups(query, &mut |row| rows.push(row)).await;
    (rows, compacted.unwrap())
}

#[tokio::test]
async fn the_journal_keeps_entries_in_order_and_fences_a_second_writer() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        assert_eq!(store.head().await.unwrap(), None);
        assert_eq!(store.meta_head().await.unwrap(), Some((0, [0; 32])));
        let all = chain(1, 5);
        store.append(chain(1, 2)).await.unwrap();
        store.append(Vec::new()).await.unwrap();
        store.append(chain(3, 5)).await.unwrap();
        let head = Some((5, all[4].hash));
        assert_eq!(store.head().await.unwrap(), head);
        assert_eq!(store.meta_head().await.unwrap(), head);
        assert_eq!(store.entries(0, 9).await.unwrap(), all);
        assert_eq!(store.entries(2, 2).await.unwrap(), all[2..4]);
        assert_eq!(store.entries(5, 2).await.unwrap(), []);
        let newest: Vec<_> = all.iter().rev().cloned().collect();
        assert_eq!(store.entries_before(0, 2).await.unwrap(), newest[..2]);
        assert_eq!(store.entries_before(3, 9).await.unwrap(), newest[3..]);
        let places = store.entries_at(vec![4, 2, 99, 4]).await.unwrap();
        let places: Vec<u64> = places.iter().map(|stored| stored.sequence).collect();
        assert_eq!(places, [2, 4]);
        let many = vec![1; MAX_PAGE as usize + 1];
        assert!(matches!(
            store.entries_at(many).await,
            Err(StoreError::TooMany { .. })
        ));
        for wrong in [
            chain(5, 6),
            chain(7, 7),
            vec![chain(6, 6).remove(0), chain(8, 8).remove(0)],
        ] {
            let refusal = store.append(wrong).await.unwrap_err();
            assert!(matches!(refusal, StoreError::Conflict { .. }), "{refusal}");
        }
        assert_eq!(store.entries(0, 9).await.unwrap(), all);
    }
}

#[tokio::test]
async fn a_flush_is_written_once_however_often_it_is_asked_for() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        let first = row(0, Span::TenSeconds, window("fraud", &[5_000, 70_000]));
        let second = row(10 * SECOND, Span::TenSeconds, window("wine", &[9_000]));
        store.flush(batch(1, vec![first.clone()])).await.unwrap();
        store.flush(batch(1, vec![first.clone()])).await.unwrap();
        store
            .flush(batch(2, vec![first.clone(), second.clone()]))
            .await
            .unwrap();
        let flushed = Flushed {
            flush: 2,
            end_us: 20 * SECOND,
        };
        assert_eq!(store.flushed().await.unwrap(), flushed);
        assert_eq!(
            read(&store, everything(1)).await.0,
            std::slice::from_ref(&first)
        );
        let all = [first.clone(), first.clone(), second.clone()];
        assert_eq!(read(&store, everything(2)).await, (all.into(), 0));
        let mut wine = everything(2);
        wine.model = Some("wine".into());
        assert_eq!(read(&store, wine).await.0, [second]);
        assert_eq!(store.all_watermarks().await.unwrap(), [mark("h1", 2, 2)]);
        assert_eq!(store.watermarks("h2".into()).await.unwrap(), []);
        let mut stranger = RollupBatch::clone(&batch(2, Vec::new()));
        stranger.writer = [8; 16];
        for wrong in [
            Arc::new(stranger),
            batch(4, Vec::new()),
            batch(1, Vec::new()),
        ] {
            let refusal = store.flush(wrong).await.unwrap_err();
            assert!(matches!(refusal, StoreError::Conflict { .. }), "{refusal}");
        }
    }
}

#[tokio::test]
async fn compaction_changes_the_spans_and_never_the_counts() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        let now = 40 * 24 * HOUR;
        let old = Span::Minute.start_of(now - 7 * HOUR);
        let rows: Vec<_> = (0..6)
            .map(|n| {
                row(
                    old + n * 10 * SECOND,
                    Span::TenSeconds,
                    window("fraud", &[n as u64 * 99_000]),
                )
            })
            .chain([
                row(old, Span::Minute, window("fraud", &[1_000_000])),
                row(
                    now - 10 * SECOND,
                    Span::TenSeconds,
                    window("fraud", &[4_000]),
                ),
                row(now - 8 * 24 * HOUR, Span::Minute, window("fraud", &[4_000])),
            ])
            .collect();
        let mut wide = RollupBatch::clone(&batch(1, rows));
        wide.watermarks = vec![mark("h1", 1, now - 9 * 24 * HOUR), mark("h2", 1, now)];
        store.flush(Arc::new(wide)).await.unwrap();
        let late = row(
            old + 20 * SECOND,
            Span::TenSeconds,
            window("wine", &[8_000]),
        );
        let mut more = RollupBatch::clone(&batch(2, vec![late]));
        more.watermarks.clear();
        store.flush(Arc::new(more)).await.unwrap();

        let done = store.compact(now).await.unwrap();
        assert_eq!((done.minutes, done.expired, done.forgotten), (1, 1, 1));
        assert!(!done.is_partial());
        assert_eq!(store.compact(now).await.unwrap(), Compaction::default());
        let (rows, compacted) = read(&store, everything(2)).await;
        assert_eq!(compacted, 2);
        let mut merged = window(
            "fraud",
            &[0, 99_000, 198_000, 297_000, 396_000, 495_000, 1_000_000],
        );
        (merged.request_bytes, merged.response_bytes) = (70, 140);
        let expected = [
            row(old, Span::Minute, merged),
            row(old, Span::Minute, window("wine", &[8_000])),
            row(
                now - 10 * SECOND,
                Span::TenSeconds,
                window("fraud", &[4_000]),
            ),
        ];
        assert_eq!(rows, expected);
        assert_eq!(store.all_watermarks().await.unwrap(), [mark("h2", 1, now)]);
    }
}

fn part(start_us: i64, kind: PartKind, cells: &[(&str, u32)]) -> MinutePart {
    let cell = |&(host, requests): &(&str, u32)| {
        let cell = Cell {
            requests,
            ..Cell::default()
        };
        (host.into(), cell)
    };
    MinutePart {
        start_us,
        kind,
        cells: cells.iter().map(cell).collect(),
    }
}

/// Start, flush, whether it is a draft, host, requests.
type Line = (i64, u64, bool, String, u32);

async fn minutes(store: &SharedStore, hosts: Option<&str>) -> (Vec<Line>, u64) {
    let query = MinuteQuery {
        from_us: 0,
        to_us: i64::MAX,
        hosts: hosts.map(|host| [host.into()].into()),
    };
    let mut lines = Vec::new();
    let mut take = |cell: MinuteCell| {
        let host = cell.host.to_string();
        lines.push((
            cell.start_us,
            cell.flush,
            cell.is_draft,
            host,
            cell.cell.requests,
        ));
    };
    let flush = store.minutes(query, &mut take).await.unwrap();
    (lines, flush)
}

fn line(start_us: i64, flush: u64, is_draft: bool, host: &str, requests: u32) -> Line {
    (start_us, flush, is_draft, host.to_owned(), requests)
}

#[tokio::test]
async fn a_whole_minute_replaces_its_own_drafts_and_late_parts_join_it() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        let minute = 60 * SECOND;
        let whole = PartKind::Whole { drafts_after: 1 };
        for (flush, parts) in [
            // What a hub that died left behind.
            vec![part(0, PartKind::Draft, &[("b", 1)])],
            vec![part(0, PartKind::Draft, &[("a", 2), ("b", 3)])],
            vec![
                part(0, PartKind::Draft, &[("a", 4)]),
                part(minute, PartKind::Draft, &[("a", 5)]),
            ],
            vec![
                part(0, whole, &[("a", 6), ("c", 0)]),
                part(0, PartKind::Late, &[("b", 7)]),
            ],
        ]
        .into_iter()
        .enumerate()
        {
            let mut next = RollupBatch::clone(&batch(flush as u64 + 1, Vec::new()));
            next.minutes = parts;
            let next = Arc::new(next);
            store.flush(next.clone()).await.unwrap();
            // Once, however often it is asked for.
            store.flush(next).await.unwrap();
        }
        let (mut lines, flush) = minutes(&store, None).await;
        lines.sort();
        let expected = [
            line(0, 1, true, "b", 1),
            line(0, 4, false, "a", 6),
            line(0, 4, false, "b", 7),
            line(0, 4, false, "c", 0),
            line(minute, 3, true, "a", 5),
        ];
        assert_eq!((lines.as_slice(), flush), (&expected[..], 4));
        let (lines, _) = minutes(&store, Some("b")).await;
        assert_eq!(lines, [expected[0].clone(), expected[2].clone()]);
        let done = store.compact(KEEP_MINUTES_US + minute).await.unwrap();
        assert_eq!(done.minutes_expired, 3);
        assert_eq!(minutes(&store, None).await.0, expected[4..]);
        if matches!(place.url, StoreUrl::Memory) {
            continue;
        }
        drop(store);
        let store = open(&place.url).await.unwrap();
        let mut next = RollupBatch::clone(&batch(5, Vec::new()));
        next.minutes = vec![part(minute, whole, &[("a", 8), ("d", 9)])];
        store.flush(Arc::new(next)).await.unwrap();
        let expected = [
            line(minute, 5, false, "a", 8),
            line(minute, 5, false, "d", 9),
        ];
        assert_eq!(
            minutes(&store, None).await.0,
            expected,
            "numbers outlive the hub"
        );
    }
}

#[tokio::test]
async fn compaction_works_off_arrears_in_bounded_parts() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        let rows =
            (0..100).map(|n| row(n * 60 * SECOND, Span::TenSeconds, window("m", &[n as u64])));
        store.flush(batch(1, rows.collect())).await.unwrap();
        let first = store.compact(8 * HOUR).await.unwrap();
        assert_eq!((first.minutes, first.is_partial()), (60, true));
        let second = store.compact(8 * HOUR).await.unwrap();
        assert_eq!((second.minutes, second.is_partial()), (40, false));
        let (rows, _) = read(&store, everything(1)).await;
        let total: u64 = rows
            .iter()
            .map(|row| row.window.latency.count().unwrap())
            .sum();
        assert_eq!((rows.len(), total), (100, 100));
    }
}

#[tokio::test]
async fn how_far_a_reader_has_come_outlives_the_hub_and_is_its_own() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        assert_eq!(store.mark("letters".into()).await.unwrap(), None);
        for at in [3, 9] {
            store.set_mark("letters".into(), at).await.unwrap();
        }
        store.set_mark("others".into(), 1).await.unwrap();
        let store = match place.url {
            StoreUrl::Memory => store,
            StoreUrl::Sqlite(_) | StoreUrl::Postgres(_) => {
                store.close().await;
                open(&place.url).await.unwrap()
            }
        };
        assert_eq!(store.mark("letters".into()).await.unwrap(), Some(9));
        assert_eq!(store.mark("others".into()).await.unwrap(), Some(1));
    }
}

#[tokio::test]
async fn what_is_known_of_watched_inputs_is_replaced_whole_and_let_go_of() {
    for place in places() {
        let store = open(&place.url).await.unwrap();
        assert_eq!(store.guards().await.unwrap(), []);
        let one = |name: &str, bytes: Option<&[u8]>| (name.to_owned(), bytes.map(<[u8]>::to_vec));
        let first = vec![one("b", Some(&[1])), one("a", Some(&[0, 255]))];
        store.save_guards(first).await.unwrap();
        let then = vec![one("b", Some(&[2])), one("a", None), one("c", None)];
        store.save_guards(then).await.unwrap();
        assert_eq!(store.guards().await.unwrap(), [("b".to_owned(), vec![2])]);
    }
}
