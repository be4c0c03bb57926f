//! docs/first-ten-minutes.md, walked on the real program over a real fleet.

use std::sync::Arc;
use std::time::Duration;

use binnacle_tests::crowd::{Crowd, Says, live, requests, waited};
use binnacle_tests::walk::{Step, await_line, steps, take};

use super::Place;

const MINUTE_US: i64 = 60_000_000;
/// Requests a second of each host: a 99th percentile is known from 2,000 a minute on.
const RATE: u64 = 400;
/// A minute is compared once it is over and four seconds more.
const MINUTE_LIMIT: Duration = Duration::from_secs(90);

/// So many requests, three in a hundred of them slow.
fn some(count: u64, slow_ms: f64) -> Vec<binnacle_proto::v1::SeriesWindow> {
    let slow = count * 3 / 100;
    let took = [(count - slow, 3.1), (slow, slow_ms)];
    vec![requests("fraud", "7", &took)]
}

/// Eight hosts of which the seventh is slow now, and was not an hour ago.
fn fleet() -> Says {
    Arc::new(|host, second, now_us| {
        let slow_ms = match host {
            "infer-0007" => 385.0,
            _ => 42.5,
        };
        let mut reports = Vec::new();
        if second == 0 {
            let minute_us = now_us - now_us.rem_euclid(MINUTE_US);
            // What waited: the minutes about an hour ago, and the present one so far, so that
            // enough of it is known however little of it is left.
            for ago in 55..=65 {
                let start_us = minute_us - ago * MINUTE_US;
                reports.push(waited(start_us, 60, some(6_000, 42.5)));
            }
            reports.push(waited(minute_us, 1, some(6_000, slow_ms)));
        }
        reports.push(live(now_us, some(RATE, slow_ms)));
        reports
    })
}

#[test]
fn the_first_ten_minutes_go_on_the_real_program_as_they_are_told() {
    let document = include_str!("../../../docs/first-ten-minutes.md");
    let steps = steps(document);
    let seen = |(_, step): &&(usize, Step<'_>)| matches!(step, Step::See(_));
    assert!(
        steps.iter().filter(seen).count() >= 8,
        "there is much to see"
    );
    let place = Place::start(0);
    let hosts = (1..=8).map(|number| format!("infer-{number:04}"));
    let _crowd = Crowd::start(&place.hub.address(), hosts.collect(), fleet());
    let terminal = place.console(&[]).start();
    // The document is for a fleet that has run for a while.
    await_line(
        &terminal,
        0,
        &["▌! infer-0007", "× its peers'"],
        MINUTE_LIMIT,
    );
    for (line, step) in &steps {
        take(&terminal, *line, step);
    }
}
