//! What a console sees of hosts' minutes, through telemetry's handle.

use binnacle_core::view::{Cell, Coarse};
use binnacle_sketch::Latency;
use proptest::prelude::*;

use super::behaviour::{Fixture, MINUTE, NOON, SECOND, live, waited};
use super::*;

impl Fixture {
    /// Time passes until the minute that has begun at `start_us` is finished.
    async fn await_minute(&self, start_us: i64) -> Arc<Minute> {
        let now_us = self.clock.now_us();
        self.hand
            .advance((start_us + MINUTE + 4 * SECOND - now_us).max(0));
        let mut finished = self.telemetry.finished.clone();
        let is_it = |minute: &Option<Arc<Minute>>| {
            minute
                .as_ref()
                .is_some_and(|minute| minute.start_us == start_us)
        };
        let minute = finished.wait_for(is_it).await.unwrap().clone();
        minute.unwrap()
    }

    async fn history(&self, host: &str, from_us: i64, to_us: i64) -> Vec<Option<Cell>> {
        let asked = Past {
            hosts: vec![host.into()],
            from_us,
            to_us,
            step_s: 60,
        };
        let history = self.telemetry.history(asked).await.unwrap();
        assert_eq!(history.from_us, from_us);
        history.hosts.into_iter().next().unwrap().1
    }
}

fn report(sequence: u64, start_us: i64, latencies: &[u64]) -> Report {
    let mut report = live(sequence, start_us, 0);
    let mut latency = Latency::<u64>::default();
    latencies.iter().for_each(|&ns| latency.record(ns));
    report.series[0].latency = latency.encode();
    report
}

fn exact(latencies: &[u64]) -> Cell {
    let mut latency = Latency::<u64>::default();
    latencies.iter().for_each(|&ns| latency.record(ns));
    Cell {
        requests: latencies.len() as u32,
        errors: 0,
        p50: Coarse::of_ns(latency.known_quantile_ns(0.5)),
        p99: Coarse::of_ns(latency.known_quantile_ns(0.99)),
    }
}

/// A minute's windows of one host, sent over two minutes, however little room there is for
/// them: every cell is that of the exact histogram.
async fn cells_are_exact(seconds: Vec<Vec<u64>>, memory_limit: usize) {
    let hub = Fixture::within(Settings { memory_limit }).await;
    for (n, latencies) in seconds.iter().enumerate() {
        hub.hand.advance(SECOND);
        let start_us = hub.clock.now_us() - SECOND;
        hub.receive("h1", report(n as u64 + 1, start_us, latencies))
            .await;
    }
    let all = |from: usize| seconds.iter().skip(from).take(60).flatten().copied();
    let minute = hub.await_minute(NOON + MINUTE).await;
    let second = exact(&all(60).collect::<Vec<_>>());
    assert_eq!(minute.cells, [("h1".into(), second)]);
    let first = exact(&all(0).collect::<Vec<_>>());
    let history = hub.history("h1", NOON - MINUTE, NOON + 3 * MINUTE).await;
    assert_eq!(history, [None, Some(first), Some(second), None]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn a_cell_is_that_of_the_exact_histogram_of_its_minute(
        seconds in prop::collection::vec(
            prop::collection::vec(1_000..9_000_000_000u64, 0..80),
            61..120,
        ),
        memory_limit in prop_oneof![Just(1 << 10), Just(256 << 20)],
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(cells_are_exact(seconds, memory_limit));
    }
}

#[tokio::test]
async fn what_comes_up_to_three_seconds_late_is_in_its_minute() {
    let hub = Fixture::new().await;
    hub.hand.advance(MINUTE + 3 * SECOND);
    hub.receive("h1", waited(1, 1, NOON + 59 * SECOND, 1, 50))
        .await;
    hub.receive("h2", waited(1, 1, NOON + 58 * SECOND, 1, 0))
        .await;
    let minute = hub.await_minute(NOON).await;
    let busy = exact(&[2_000_000; 50]);
    let cells = [("h1".into(), busy), ("h2".into(), Cell::default())];
    assert_eq!(minute.cells, cells, "a host with no requests is known, too");
}

#[tokio::test]
async fn an_hour_that_waited_fills_the_minutes_in_which_it_began() {
    let mut hub = Fixture::new().await;
    hub.hand.advance(62 * MINUTE);
    hub.receive("h1", live(9_999, hub.clock.now_us() - SECOND, 1))
        .await;
    let mut sequence = 1;
    // As agents add them together: windows of 1 s, 10 s and 60 s.
    for minute in 0..60 {
        let start_us = NOON + minute * MINUTE;
        let (pieces, span_s) = [(60, 1), (6, 10), (1, 60)][minute as usize % 3];
        for piece in 0..pieces {
            let requests = 6_000 / pieces;
            let at_us = start_us + i64::from(span_s) * piece as i64 * SECOND;
            hub.receive("h1", waited(sequence, sequence, at_us, span_s, requests))
                .await;
            sequence += 1;
        }
    }
    hub.telemetry.shutdown().await.unwrap();
    let hour = vec![Some(exact(&[2_000_000; 6_000])); 60];
    assert_eq!(hub.history("h1", NOON, NOON + 60 * MINUTE).await, hour);
    hub.kill().await;
    assert_eq!(hub.history("h1", NOON, NOON + 60 * MINUTE).await, hour);
}

#[tokio::test]
async fn percentiles_of_two_parts_are_unknown_unless_nearly_all_is_in_one() {
    let hub = Fixture::new().await;
    hub.hand.advance(30 * SECOND);
    hub.receive("h1", live(1, NOON, 9_000)).await;
    hub.receive("h2", live(1, NOON, 1_000)).await;
    hub.await_minute(NOON).await;
    hub.receive("h1", waited(2, 2, NOON + 9 * SECOND, 1, 1_000))
        .await;
    hub.receive("h2", waited(2, 2, NOON + 9 * SECOND, 1, 9_00))
        .await;
    hub.telemetry.shutdown().await.unwrap();
    let told = exact(&vec![2_000_000; 10_000]);
    assert_eq!(hub.history("h1", NOON, NOON + MINUTE).await, [Some(told)]);
    let untold = Cell {
        requests: 1_900,
        ..Cell::default()
    };
    assert_eq!(hub.history("h2", NOON, NOON + MINUTE).await, [Some(untold)]);
    let minute = hub.telemetry.minute(NOON + 7 * SECOND).await.unwrap();
    let cells = [("h1".into(), told), ("h2".into(), untold)];
    assert_eq!((minute.start_us, minute.cells), (NOON, cells.into()));
}

#[tokio::test]
async fn a_hub_that_is_killed_in_a_minute_keeps_its_counts_and_guesses_no_percentile() {
    let mut hub = Fixture::new().await;
    for n in 1..=20 {
        hub.hand.advance(SECOND);
        hub.receive("h1", live(n, NOON + n as i64 * SECOND, 100))
            .await;
    }
    hub.telemetry.shutdown().await.unwrap();
    hub.kill().await;
    for n in 21..=40 {
        hub.hand.advance(SECOND);
        hub.receive("h1", live(n, NOON + n as i64 * SECOND, 100))
            .await;
    }
    let second = hub.await_minute(NOON).await;
    assert_eq!(second.cells, [("h1".into(), exact(&[2_000_000; 2_000]))]);
    hub.telemetry.shutdown().await.unwrap();
    let both = Cell {
        requests: 4_000,
        ..Cell::default()
    };
    assert_eq!(hub.history("h1", NOON, NOON + MINUTE).await, [Some(both)]);
}
