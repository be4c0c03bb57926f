//! What a stream, a console and an operator see of telemetry, through its handle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use binnacle_core::journal::{Hash, Stored};
use binnacle_core::series::Outcome;
use binnacle_sketch::Latency;
use futures::future::BoxFuture;

use super::*;
use crate::clock::Hand;
use crate::store::{
    Compaction, Flushed, Guards, MinuteCell, Rollup, RollupBatch, RollupQuery, Snapshot, Store,
    StoreUrl, Watermark,
};

pub(super) const SECOND: i64 = 1_000_000;
pub(super) const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// A whole minute.
pub(super) const NOON: i64 = 28_333_334 * MINUTE;

pub(super) struct Fixture {
    pub(super) telemetry: Telemetry,
    pub(super) hand: Hand,
    pub(super) clock: Clock,
    store: SharedStore,
}

impl Fixture {
    pub(super) async fn new() -> Self {
        let store = crate::store::open(&StoreUrl::Memory).await.unwrap();
        Self::over(store).await
    }

    async fn over(store: SharedStore) -> Self {
        Self::of(store, Settings::default()).await
    }

    pub(super) async fn within(settings: Settings) -> Self {
        let store = crate::store::open(&StoreUrl::Memory).await.unwrap();
        Self::of(store, settings).await
    }

    async fn of(store: SharedStore, settings: Settings) -> Self {
        let (clock, hand) = Clock::manual(NOON);
        let telemetry = Telemetry::start(store.clone(), clock.clone(), settings)
            .await
            .unwrap();
        Self {
            telemetry,
            hand,
            clock,
            store,
        }
    }

    /// The hub dies, and comes back.
    pub(super) async fn kill(&mut self) {
        self.telemetry = start(&self.store, &self.clock).await;
    }

    pub(super) async fn receive(&self, host: &str, report: Report) {
        let now_us = self.clock.now_us();
        self.telemetry
            .received(host.into(), report, now_us)
            .await
            .unwrap();
    }

    /// Requests by point.
    async fn count(&self, from_us: i64, to_us: i64, step_s: u32) -> (Vec<(i64, u64)>, u32) {
        let answer = self
            .telemetry
            .query(question(from_us, to_us, step_s))
            .await
            .unwrap();
        let requests = |windows: &[SeriesWindow]| {
            windows
                .iter()
                .map(|window| window.latency.count().unwrap())
                .sum::<u64>()
        };
        let points = answer
            .points
            .iter()
            .map(|(at, windows)| (at - NOON, requests(windows)));
        (points.collect(), answer.resolution_s)
    }
}

async fn start(store: &SharedStore, clock: &Clock) -> Telemetry {
    Telemetry::start(store.clone(), clock.clone(), Settings::default())
        .await
        .unwrap()
}

fn question(from_us: i64, to_us: i64, step_s: u32) -> Question {
    Question {
        model: None,
        version: None,
        host: None,
        from_us,
        to_us,
        step_s,
        is_folded: false,
    }
}

fn window(model: &str, outcome: Outcome, requests: u64) -> SeriesWindow {
    let mut latency = Latency::<u64>::default();
    (0..requests).for_each(|_| latency.record(2_000_000));
    let key = SeriesKey {
        endpoint: "".into(),
        model: model.into(),
        version: "1".into(),
        outcome,
    };
    SeriesWindow {
        key,
        latency: latency.encode(),
        request_bytes: 3,
        response_bytes: 4,
    }
}

pub(super) fn live(sequence: u64, start_us: i64, requests: u64) -> Report {
    let sent_at_us = start_us + SECOND;
    Report {
        boot: BootId([1; 16]),
        first: sequence,
        last: sequence,
        start_us,
        span_ms: 1_000,
        series: vec![window("fraud", Outcome::Ok, requests)],
        in_flight: 5,
        moment: Some(Moment {
            sent_at_us,
            ..Moment::default()
        }),
        inputs: Vec::new(),
    }
}

pub(super) fn waited(first: u64, last: u64, start_us: i64, span_s: u32, requests: u64) -> Report {
    let (span_ms, moment) = (span_s * 1_000, None);
    Report {
        last,
        span_ms,
        moment,
        ..live(first, start_us, requests)
    }
}

fn ack(received: u64, durable: u64) -> Ack {
    Ack {
        boot: BootId([1; 16]),
        received,
        durable,
    }
}

#[tokio::test]
async fn an_ack_says_durable_when_it_is_on_the_disk_and_a_new_hub_says_so_too() {
    let mut hub = Fixture::new().await;
    let mut acks = hub.telemetry.subscribe_acks("h1".into()).await.unwrap();
    for n in 1..=3 {
        hub.hand.advance(SECOND);
        hub.receive("h1", live(n, hub.clock.now_us() - SECOND, 2))
            .await;
    }
    assert_eq!(
        hub.telemetry.watermarks("h1".into()).await.unwrap(),
        [(BootId([1; 16]), 0)]
    );
    hub.telemetry.shutdown().await.unwrap();
    assert_eq!(acks.next().await, Some(ack(3, 3)));
    hub.kill().await;
    assert_eq!(
        hub.telemetry.watermarks("h1".into()).await.unwrap(),
        [(BootId([1; 16]), 3)]
    );
    assert_eq!(hub.count(NOON, NOON + MINUTE, 0).await, (vec![(0, 6)], 10));
}

#[tokio::test]
async fn a_flush_happens_by_itself_once_a_span_is_over() {
    let hub = Fixture::new().await;
    let mut acks = hub.telemetry.subscribe_acks("h1".into()).await.unwrap();
    hub.hand.advance(SECOND);
    hub.receive("h1", live(1, NOON, 2)).await;
    hub.hand.advance(11 * SECOND);
    let told = tokio::time::timeout(Duration::from_secs(20), acks.next())
        .await
        .unwrap();
    assert_eq!(told, Some(ack(1, 1)));
}

#[tokio::test]
async fn memory_answers_by_the_second_and_disk_by_ten_to_the_same_totals() {
    let mut hub = Fixture::new().await;
    for n in 1..=25 {
        hub.hand.advance(SECOND);
        let start_us = hub.clock.now_us() - SECOND;
        for host in ["h1", "h2"] {
            hub.receive(host, live(n, start_us, n)).await;
        }
    }
    // The first second may be half on the disk: memory answers from the next one on.
    let (points, resolution_s) = hub.count(NOON + SECOND, NOON + 25 * SECOND, 1).await;
    assert_eq!((points.len(), resolution_s), (24, 1));
    assert_eq!(points[3], (4 * SECOND, 10));
    let tens = vec![(0, 110), (10 * SECOND, 310), (20 * SECOND, 230)];
    assert_eq!(
        hub.count(NOON, NOON + 30 * SECOND, 10).await,
        (tens.clone(), 10)
    );
    hub.telemetry.shutdown().await.unwrap();
    assert_eq!(
        hub.count(NOON, NOON + 30 * SECOND, 10).await,
        (tens.clone(), 10)
    );
    hub.kill().await;
    assert_eq!(hub.count(NOON, NOON + 30 * SECOND, 10).await, (tens, 10));
    assert_eq!(
        hub.count(NOON + 3 * SECOND, NOON + 9 * SECOND, 0).await,
        (vec![(0, 110)], 10)
    );
}

#[tokio::test]
async fn one_model_one_version_and_one_host_are_told_apart() {
    let hub = Fixture::new().await;
    hub.hand.advance(10 * SECOND);
    let mut report = live(1, NOON + 9 * SECOND, 4);
    report.series.push(window("wine", Outcome::ServerError, 3));
    hub.receive("h1", report).await;
    hub.receive("h2", live(1, NOON + 9 * SECOND, 100)).await;
    let asked = [
        (None, None, 107),
        (Some("wine"), None, 3),
        (Some("wine"), Some("2"), 0),
    ];
    for from_us in [NOON + 5 * SECOND, NOON - MINUTE] {
        for (model, version, expected) in asked {
            let question = Question {
                model: model.map(Into::into),
                version: version.map(Into::into),
                ..question(from_us, NOON + MINUTE, 0)
            };
            let answer = hub.telemetry.query(question).await.unwrap();
            let windows = answer.points.iter().flat_map(|(_, windows)| windows);
            let requests: u64 = windows.map(|window| window.latency.count().unwrap()).sum();
            assert_eq!(requests, expected, "{model:?} {version:?} {from_us}");
        }
    }
    let host = Some("h1".into());
    let question = Question {
        host,
        ..question(NOON, NOON + MINUTE, 0)
    };
    let answer = hub.telemetry.query(question).await.unwrap();
    let windows = &answer.points[0].1;
    assert_eq!(windows[0], window("fraud", Outcome::Ok, 4));
    assert_eq!(windows[1], window("wine", Outcome::ServerError, 3));
}

#[tokio::test]
async fn a_longer_window_widens_the_answer_that_holds_it() {
    let mut hub = Fixture::new().await;
    hub.hand.advance(5 * MINUTE);
    hub.receive("h1", live(100, NOON + 5 * MINUTE - SECOND, 1))
        .await;
    hub.receive("h1", waited(1, 10, NOON + MINUTE, 10, 7)).await;
    hub.receive("h1", waited(11, 70, NOON + 2 * MINUTE, 60, 20))
        .await;
    let ten = hub
        .count(NOON + MINUTE + SECOND, NOON + MINUTE + 2 * SECOND, 1)
        .await;
    assert_eq!(ten, (vec![(MINUTE, 7)], 10));
    let from_us = NOON + 2 * MINUTE;
    for _ in 0..2 {
        for until_us in [from_us + 40 * SECOND, from_us + MINUTE] {
            let inside = hub.count(from_us + 30 * SECOND, until_us, 10).await;
            assert_eq!(inside, (vec![(2 * MINUTE, 20)], 60));
        }
        hub.telemetry.shutdown().await.unwrap();
        hub.kill().await;
    }
    let all = hub.count(NOON - HOUR, NOON + HOUR, 0).await;
    assert_eq!(all, (vec![(-HOUR, 28)], 60));
}

#[tokio::test]
async fn a_clock_that_is_wrong_is_shown_and_its_windows_are_put_right() {
    let hub = Fixture::new().await;
    hub.hand.advance(MINUTE);
    let mut ahead = live(1, NOON + HOUR + 58 * SECOND, 3);
    ahead.moment = Some(Moment {
        sent_at_us: NOON + HOUR + MINUTE,
        ..Moment::default()
    });
    hub.receive("h1", ahead).await;
    hub.receive("h2", live(1, NOON + 58 * SECOND + 900_000, 4))
        .await;
    let from_us = NOON + 58 * SECOND;
    assert_eq!(
        hub.count(from_us, from_us + SECOND, 1).await,
        (vec![(58 * SECOND, 7)], 1)
    );
    let readings = hub
        .telemetry
        .hosts(vec!["h1".into(), "h3".into()])
        .await
        .unwrap();
    assert_eq!(
        readings[0].as_ref().map(|reading| reading.skew_us),
        Some(HOUR)
    );
    assert!(readings[1].is_none());
}

/// The traffic of a host and of its model after as many seconds of as many requests.
async fn traffic(seconds: u64, requests: u64) -> [Traffic; 2] {
    let hub = Fixture::new().await;
    for n in 1..=seconds {
        hub.hand.advance(SECOND);
        let mut report = live(n, hub.clock.now_us() - SECOND, requests);
        report.series.push(window("fraud", Outcome::TimedOut, 1));
        hub.receive("h1", report).await;
    }
    let readings = hub.telemetry.hosts(vec!["h1".into()]).await.unwrap();
    let models = hub.telemetry.models().await.unwrap();
    assert_eq!((models.len(), &*models[0].model), (1, "fraud"));
    [readings[0].as_ref().unwrap().traffic, models[0].traffic]
}

#[tokio::test]
async fn traffic_is_of_ten_seconds_where_those_tell_a_percentile_else_of_a_minute() {
    let told = |traffic: Traffic| {
        let (p50_ns, p99_ns) = (traffic.p50_ns.is_some(), traffic.p99_ns.is_some());
        (
            traffic.span_s,
            traffic.requests,
            traffic.errors,
            p50_ns,
            p99_ns,
        )
    };
    let [host, model] = traffic(80, 300).await;
    assert_eq!((host.in_flight, model.in_flight), (5, 0));
    assert_eq!(told(host), (10, 3_010, 10, true, true));
    assert_eq!(told(model), (10, 3_010, 10, true, true));
    let [host, model] = traffic(80, 100).await;
    assert_eq!(told(host), (60, 6_060, 60, true, true));
    assert_eq!(told(model), (60, 6_060, 60, true, true));
    // Only as far back as it is heard: a rate is not told too low.
    let [host, _] = traffic(20, 100).await;
    assert_eq!(told(host), (19, 1_919, 19, true, false));
}

#[tokio::test]
async fn what_is_folded_is_the_sum_by_outcome_from_memory_and_from_disk() {
    let hub = Fixture::new().await;
    for n in 1..=40 {
        hub.hand.advance(SECOND);
        let mut report = live(n, hub.clock.now_us() - SECOND, n);
        report.series.push(window("wine", Outcome::Ok, 7));
        report.series.push(window("wine", Outcome::TimedOut, 2));
        hub.receive("h1", report).await;
    }
    hub.telemetry.shutdown().await.unwrap();
    for (from_us, step_s) in [(NOON, 5), (NOON, 0), (NOON - HOUR, 60)] {
        for model in [None, Some("wine")] {
            let asked = Question {
                model: model.map(Into::into),
                ..question(from_us, NOON + MINUTE, step_s)
            };
            let each = hub.telemetry.query(asked.clone()).await.unwrap();
            let is_folded = true;
            let folded = Question { is_folded, ..asked };
            // Asked twice, since what was folded once is kept.
            hub.telemetry.query(folded.clone()).await.unwrap();
            let folded = hub.telemetry.query(folded).await.unwrap();
            assert_eq!(folded.points.len(), each.points.len());
            for ((at, windows), (start, parts)) in folded.points.iter().zip(&each.points) {
                assert_eq!(at, start);
                assert_eq!(windows.len(), 2);
                for window in windows {
                    let outcome = window.key.outcome;
                    assert_eq!(window.key, names::nameless(outcome));
                    let ours = parts.iter().filter(|part| part.key.outcome == outcome);
                    let (mut sum, mut bytes) = (Latency::<u64>::default(), 0);
                    ours.for_each(|part| {
                        sum.add_encoded(&part.latency).unwrap();
                        bytes += part.request_bytes;
                    });
                    assert_eq!(
                        (&window.latency, window.request_bytes),
                        (&sum.encode(), bytes)
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_hole_is_durable_only_when_nothing_that_waited_comes_any_more() {
    let hub = Fixture::new().await;
    let mut acks = hub.telemetry.subscribe_acks("h1".into()).await.unwrap();
    hub.receive("h1", live(1, NOON - SECOND, 1)).await;
    hub.receive("h1", live(9, NOON - SECOND, 1)).await;
    hub.hand.advance(9 * SECOND);
    hub.receive("h1", waited(2, 4, NOON - SECOND, 3, 1)).await;
    assert_eq!(acks.next().await, Some(ack(4, 0)));
    hub.hand.advance(9 * SECOND);
    hub.telemetry.shutdown().await.unwrap();
    assert_eq!(acks.next().await, Some(ack(4, 4)));
    hub.hand.advance(SECOND);
    hub.receive("h1", live(10, hub.clock.now_us() - SECOND, 1))
        .await;
    hub.telemetry.shutdown().await.unwrap();
    assert_eq!(acks.next().await, Some(ack(10, 10)));
}

#[tokio::test]
async fn a_report_that_was_counted_in_part_is_refused_and_shown() {
    let hub = Fixture::new().await;
    hub.receive("h1", live(1, NOON - SECOND, 1)).await;
    hub.receive("h1", live(2, NOON - SECOND, 1)).await;
    hub.receive("h1", waited(2, 4, NOON - SECOND, 3, 10)).await;
    hub.receive("h1", live(5, NOON - SECOND, 1)).await;
    hub.receive("h1", live(5, NOON - SECOND, 1)).await;
    hub.hand.advance(HOUR);
    hub.telemetry.shutdown().await.unwrap();
    assert_eq!(
        hub.telemetry.watermarks("h1".into()).await.unwrap(),
        [(BootId([1; 16]), 2)]
    );
    let dropped = hub.telemetry.status().await.unwrap().dropped;
    assert_eq!(dropped["telemetry_torn_reports"], 1);
    assert_eq!(dropped["telemetry_duplicate_reports"], 1);
    assert_eq!(
        hub.count(NOON - MINUTE, NOON + MINUTE, 0).await.0,
        [(-MINUTE, 3)]
    );
}

/// A store whose disk can be taken away.
#[derive(Debug)]
struct Flaky {
    store: SharedStore,
    is_gone: AtomicBool,
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;
type Sink<'a, T> = &'a mut (dyn FnMut(T) + Send);

impl Store for Flaky {
    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
    fn url(&self) -> String {
        self.store.url()
    }
    fn append(&self, entries: Vec<Stored>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.append(entries)
    }
    fn entries(&self, after: u64, limit: u32) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        self.store.entries(after, limit)
    }
    fn mark(&self, reader: String) -> BoxFuture<'_, Result<Option<u64>, StoreError>> {
        self.store.mark(reader)
    }
    fn set_mark(&self, reader: String, at: u64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.set_mark(reader, at)
    }
    fn entries_at(&self, places: Vec<u64>) -> BoxFuture<'_, Result<Vec<Stored>, StoreError>> {
        self.store.entries_at(places)
    }
    fn entries_before(&self, before: u64, limit: u32) -> Answer<'_, Vec<Stored>> {
        self.store.entries_before(before, limit)
    }
    fn guards(&self) -> Answer<'_, Vec<(String, Vec<u8>)>> {
        self.store.guards()
    }
    fn save_guards(&self, guards: Guards) -> Answer<'_, ()> {
        self.store.save_guards(guards)
    }
    fn head(&self) -> BoxFuture<'_, Result<Option<(u64, Hash)>, StoreError>> {
        self.store.head()
    }
    fn meta_head(&self) -> BoxFuture<'_, Result<Option<(u64, Hash)>, StoreError>> {
        self.store.meta_head()
    }
    fn confirm_head(&self) -> BoxFuture<'_, Result<(u64, Hash), StoreError>> {
        self.store.confirm_head()
    }
    fn save_snapshot(&self, snapshot: Arc<Snapshot>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.store.save_snapshot(snapshot)
    }
    fn snapshot(&self) -> BoxFuture<'_, Result<Option<Snapshot>, StoreError>> {
        self.store.snapshot()
    }
    fn flush(&self, batch: Arc<RollupBatch>) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.is_gone.load(Ordering::Relaxed) {
            let (operation, source) = ("write what was measured", sqlx::Error::PoolClosed);
            return Box::pin(async { Err(StoreError::Full { operation, source }) });
        }
        self.store.flush(batch)
    }
    fn flushed(&self) -> BoxFuture<'_, Result<Flushed, StoreError>> {
        self.store.flushed()
    }
    fn watermarks(&self, host: Arc<str>) -> BoxFuture<'_, Result<Vec<Watermark>, StoreError>> {
        self.store.watermarks(host)
    }
    fn all_watermarks(&self) -> BoxFuture<'_, Result<Vec<Watermark>, StoreError>> {
        self.store.all_watermarks()
    }
    fn rollups<'a>(&'a self, query: RollupQuery, sink: Sink<'a, Rollup>) -> Answer<'a, u64> {
        self.store.rollups(query, sink)
    }
    fn minutes<'a>(&'a self, query: MinuteQuery, sink: Sink<'a, MinuteCell>) -> Answer<'a, u64> {
        self.store.minutes(query, sink)
    }
    fn compact(&self, now_us: i64) -> BoxFuture<'_, Result<Compaction, StoreError>> {
        self.store.compact(now_us)
    }
}

#[tokio::test]
async fn a_full_disk_is_shown_counts_on_and_is_caught_up_with() {
    let store = crate::store::open(&StoreUrl::Memory).await.unwrap();
    let flaky = Arc::new(Flaky {
        store,
        is_gone: AtomicBool::new(true),
    });
    let hub = Fixture::over(flaky.clone()).await;
    hub.receive("h1", live(1, NOON - SECOND, 1)).await;
    hub.telemetry.shutdown().await.unwrap_err();
    hub.receive("h1", live(2, NOON - SECOND, 1)).await;
    let status = hub.telemetry.status().await.unwrap();
    assert!(
        status.trouble.contains("the disk is full"),
        "{}",
        status.trouble
    );
    assert_eq!(status.durable_us, 0);
    assert_eq!(hub.count(NOON - MINUTE, NOON, 0).await.0, [(-MINUTE, 2)]);
    flaky.is_gone.store(false, Ordering::Relaxed);
    hub.telemetry.shutdown().await.unwrap();
    let status = hub.telemetry.status().await.unwrap();
    assert_eq!((status.trouble.as_str(), status.durable_us), ("", NOON));
    assert_eq!(hub.count(NOON - MINUTE, NOON, 0).await.0, [(-MINUTE, 2)]);
    assert_eq!(
        hub.telemetry.watermarks("h1".into()).await.unwrap(),
        [(BootId([1; 16]), 2)]
    );
}

#[tokio::test]
async fn reports_are_turned_away_while_more_waits_for_the_disk_than_may() {
    let store = crate::store::open(&StoreUrl::Memory).await.unwrap();
    let flaky: SharedStore = Arc::new(Flaky {
        store,
        is_gone: AtomicBool::new(true),
    });
    let (clock, hand) = Clock::manual(NOON);
    let settings = Settings {
        memory_limit: 64 << 10,
    };
    let telemetry = Telemetry::start(flaky, clock.clone(), settings)
        .await
        .unwrap();
    let mut refusal = None;
    for n in 1..=2_000 {
        hand.advance(SECOND);
        let now_us = clock.now_us();
        let report = live(n, now_us - SECOND, 1);
        if let Err(error) = telemetry.received("h1".into(), report, now_us).await {
            refusal = Some(error);
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let refusal = refusal.expect("the limit is reached long before");
    assert!(matches!(refusal, TelemetryError::Full), "{refusal}");
    let status = telemetry.status().await.unwrap();
    assert!(
        status.memory < 10 * status.memory_limit,
        "{}",
        status.memory
    );
}
