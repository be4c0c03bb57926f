//! Counting reports in one process, without a socket: what of the hub's CPU is telemetry's.

use std::sync::Arc;

use binnacle_core::report::{BootId, Moment, Report};
use binnacle_core::series::{Outcome, SeriesKey, SeriesWindow};
use binnacle_hub::clock::Clock;
use binnacle_hub::store::{StoreUrl, open};
use binnacle_hub::telemetry::{Settings, Telemetry};
use binnacle_sketch::Latency;

/// Hosts that report.
const HOSTS: usize = 10_000;
/// Seconds that they report for: two flushes.
const SECONDS: u64 = 20;
/// Models of the fleet.
const MODELS: usize = 20;

const SECOND_US: i64 = 1_000_000;
/// Some moment that is a whole minute.
const START_US: i64 = 28_333_334 * 60 * SECOND_US;

/// Series of each host.
pub(crate) const SERIES: [usize; 3] = [1, 10, 50];

/// Microseconds of CPU a report, for each of [`SERIES`]; reading the reports' bytes is not
/// in it, handing them to the owner is.
pub(crate) fn run() -> color_eyre::Result<Vec<f64>> {
    SERIES.into_iter().map(one).collect()
}

fn one(series: usize) -> color_eyre::Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let windows: Vec<Vec<SeriesWindow>> = (0..64).map(|shape| windows(shape, series)).collect();
    let hosts: Vec<Arc<str>> = (0..HOSTS).map(|n| format!("host-{n:05}").into()).collect();
    runtime.block_on(async {
        let (clock, hand) = Clock::manual(START_US);
        let store = open(&StoreUrl::Memory).await?;
        let telemetry = Telemetry::start(store, clock.clone(), Settings::default()).await?;
        let mut made_us = 0;
        let began = super::own_cpu_us();
        for second in 1..=SECONDS {
            hand.advance(SECOND_US);
            let now_us = clock.now_us();
            for chunk in 0..HOSTS / 500 {
                // Making the reports is the agents' work, and taken off again.
                let before = super::own_cpu_us();
                let reports: Vec<_> = (chunk * 500..(chunk + 1) * 500)
                    .map(|n| (hosts[n].clone(), report(n, second, now_us, &windows)))
                    .collect();
                made_us += super::own_cpu_us() - before;
                for (host, report) in reports {
                    telemetry.received(host, report, now_us).await?;
                }
                telemetry.status().await?;
            }
        }
        telemetry.shutdown().await?;
        let took = super::own_cpu_us() - began - made_us;
        Ok(took as f64 / (HOSTS as u64 * SECONDS) as f64)
    })
}

fn report(host: usize, second: u64, now_us: i64, windows: &[Vec<SeriesWindow>]) -> Report {
    let mut boot = [0; 16];
    boot[..8].copy_from_slice(&host.to_le_bytes());
    Report {
        boot: BootId(boot),
        first: second,
        last: second,
        start_us: now_us - SECOND_US,
        span_ms: 1_000,
        series: windows[(host + second as usize) % windows.len()].clone(),
        in_flight: 1,
        moment: Some(Moment {
            sent_at_us: now_us,
            ..Moment::default()
        }),
        inputs: Vec::new(),
    }
}

fn windows(shape: usize, series: usize) -> Vec<SeriesWindow> {
    let window = |n: usize| {
        let mut latency = Latency::<u64>::default();
        for request in 0..5 + (shape + n) % 11 {
            let spread = ((shape + n) * 97 + request * 31) as u64 % 1_000;
            latency.record(2_000_000 + spread * spread * 20);
        }
        SeriesWindow {
            key: SeriesKey {
                endpoint: "".into(),
                model: format!("model-{:02}", (shape + n) % MODELS).into(),
                version: format!("{}", n / MODELS + 1).into(),
                outcome: Outcome::Ok,
            },
            latency: latency.encode(),
            request_bytes: 7_000,
            response_bytes: 1_700,
        }
    };
    (0..series).map(window).collect()
}
