//! What a console is told of the fleet: all of it, then what changes; and hosts' past.

use std::time::Duration;

use binnacle_core::view::{Glances, Status};
use binnacle_proto::v1::{
    GlanceRequest, Histogram, Outcome, QueryRequest, QueryResponse, Report, Series, SeriesWindow,
    hub_message,
};
use binnacle_sketch::Latency;
use binnacle_tests::console::Console;
use binnacle_tests::patience::eventually;
use binnacle_tests::stranger::{Stranger, hello};
use binnacle_tests::traffic::Traffic;
use serde_json::json;

use super::scene::{COUNT_LIMIT, Scene};

/// From an event to its glance: a host is silent after five seconds, and glances are made
/// each second.
const SEEN_LIMIT: Duration = Duration::from_secs(20);

/// Reads on until a host has a status; every update on the way.
fn until(console: &mut Console, host: &str, status: Status) -> Vec<Glances> {
    let mut seen = Vec::new();
    loop {
        let update = console.glance(SEEN_LIMIT);
        let is_it = |glance: &&binnacle_core::view::Glance| &*glance.host == host;
        let reached = update.hosts.iter().find(is_it).map(|it| it.status) == Some(status);
        seen.push(update);
        if reached {
            return seen;
        }
    }
}

#[test]
fn a_console_is_told_of_all_hosts_and_then_of_those_that_change() {
    let mut scene = Scene::start(2);
    let mut console = Console::dial(&scene.hub.address());
    console.look(GlanceRequest::default());
    let first = console.glance(SEEN_LIMIT);
    let names: Vec<&str> = first.hosts.iter().map(|it| &*it.host).collect();
    assert_eq!((first.is_whole, names), (true, vec!["host-1", "host-2"]));
    assert!(
        first.hosts.iter().all(|it| it.status == Status::Ok),
        "{first:?}"
    );
    assert!(
        first.hosts.iter().all(|it| it.since_us.is_some()),
        "{first:?}"
    );

    scene.agents[0].kill();
    let seen = until(&mut console, "host-1", Status::Silent);
    let change = seen.last().unwrap();
    // A minute may have ended on the way: then all are told of.
    if !change.is_whole {
        assert_eq!(change.hosts.len(), 1, "only what changed: {change:?}");
    }
    let row = scene.hub.host("host-1").unwrap();
    let since = change.hosts[0].since_us.map(binnacle_core::view::rfc3339);
    assert_eq!(row["status"], "silent", "{row}");
    assert_eq!(row["status_since"], json!(since), "rows and glances agree");
    assert_eq!(
        row["status_since"], row["seen_at"],
        "since it was last heard"
    );

    let retired = scene
        .hub
        .ask(&["host", "retire", "host-1", "--reason", "broken"]);
    assert_eq!(retired.code, 0, "{}", retired.stderr);
    let seen = until(&mut console, "host-1", Status::Retired);
    assert_eq!(&*seen.last().unwrap().hosts[0].reason, "broken");

    let again = scene.hub.ask(&["host", "readmit", "host-1"]);
    assert_eq!(again.code, 0, "{}", again.stderr);
    scene.agents[0].start_again();
    let seen = until(&mut console, "host-1", Status::Ok);
    let back = seen.last().unwrap().hosts[0].since_us;
    assert!(back > first.hosts[0].since_us, "it is so anew");
}

/// A report of one window that waited.
fn waited(sequence: u64, start_us: i64, requests: u64) -> Report {
    let mut latency = Latency::<u64>::default();
    (0..requests).for_each(|n| latency.record(1_000_000 + n * 1_000));
    let encoded = latency.encode();
    Report {
        boot_id: vec![7; 16].into(),
        first_sequence: sequence,
        last_sequence: sequence,
        start_us,
        span_ms: 10_000,
        series: vec![SeriesWindow {
            series: Some(Series {
                model: "fraud".into(),
                version: "1".into(),
                outcome: Outcome::Ok.into(),
                ..Series::default()
            }),
            latency: Some(Histogram {
                layout: binnacle_sketch::latency::LAYOUT,
                counts: encoded.counts.into(),
                sum_ns: encoded.sum_ns,
                min_ns: encoded.min_ns,
                max_ns: encoded.max_ns,
            }),
            request_bytes: 1,
            response_bytes: 1,
        }],
        ..Report::default()
    }
}

#[test]
fn windows_that_waited_for_an_hour_are_in_the_history_of_that_hour() {
    let mut scene = Scene::start(0);
    let minute_us = 60_000_000;
    let then_us = (now_us() - 3_600_000_000).div_euclid(minute_us) * minute_us;
    let (mut stranger, _) = Stranger::dial(&scene.hub.address(), hello("late")).unwrap();
    for piece in 0..12 {
        let start_us = then_us + piece * 10_000_000;
        stranger.report(waited(piece as u64 + 1, start_us, 400));
    }
    let history = |scene: &Scene| {
        let answer = scene
            .hub
            .ask(&["host", "history", "late", "--since", "2h"])
            .ok();
        assert_eq!(answer["schema"], "binnacle.host_history/v1", "{answer}");
        answer["items"][0].clone()
    };
    let known = eventually("both minutes are known", COUNT_LIMIT, || {
        let item = history(&scene);
        match item["points"].as_array().map(Vec::len) {
            Some(2) => Ok(item),
            _ => Err(item.to_string()),
        }
    });
    for (nth, point) in known["points"].as_array().unwrap().iter().enumerate() {
        let start_us = then_us + nth as i64 * minute_us;
        assert_eq!(point["start"], binnacle_core::view::rfc3339(start_us));
        assert_eq!(
            (&point["requests"], &point["errors"]),
            (&json!(2_400), &json!(0))
        );
        // 1 ms to 1.4 ms, evenly: the middle and the end of it, as HDR resolves them.
        for (figure, expected) in [("p50_us", 1_200.0), ("p99_us", 1_396.0)] {
            let read = point[figure].as_f64().unwrap();
            assert!((read / expected - 1.0).abs() < 0.006, "{figure}: {read}");
        }
    }
    // What is known may still be on its way to the disk: the ack says when it is there.
    loop {
        let message = stranger.heard().unwrap().expect("the stream is open");
        match message.body {
            Some(hub_message::Body::Ack(ack)) if ack.durable >= 12 => break,
            Some(_) | None => {}
        }
    }
    scene.hub.kill();
    scene.hub.start_again();
    assert_eq!(history(&scene), known, "it is on the disk");

    let mut console = Console::dial(&scene.hub.address());
    let at_us = Some(then_us + 70_000_000);
    console.look(GlanceRequest { at_us });
    let past = console.glance(SEEN_LIMIT);
    assert_eq!(past.minute_us, Some(then_us + minute_us));
    assert!(past.is_whole);
}

#[test]
fn a_folded_query_is_the_sum_of_the_rest() {
    let scene = Scene::start(1);
    let traffic = Traffic::start(&scene.lanes(Duration::from_millis(10)));
    eventually("some requests", COUNT_LIMIT, || match traffic.sent() {
        sent if sent >= 400 => Ok(()),
        sent => Err(sent.to_string()),
    });
    let tally = traffic.stop();
    scene.await_count(&tally);
    let mut console = Console::dial(&scene.hub.address());
    let now_us = now_us();
    let mut asked = QueryRequest {
        from_us: now_us - 600_000_000,
        to_us: now_us,
        fold: true,
        ..QueryRequest::default()
    };
    let folded = console.query(asked.clone());
    assert_eq!(requests(&folded), tally.sent());
    let windows: Vec<_> = folded
        .points
        .iter()
        .flat_map(|point| &point.series)
        .collect();
    let nameless = |window: &&SeriesWindow| {
        let series = window.series.clone().unwrap_or_default();
        series.model.is_empty() && series.version.is_empty()
    };
    assert!(windows.iter().all(nameless), "{windows:?}");
    assert_eq!(windows.len(), 1, "every request was answered: {windows:?}");
    asked.model = "tumour".into();
    let tumour: u64 = ["", "1", "2"]
        .iter()
        .map(|it| tally.answered_by("tumour", it))
        .sum();
    assert_eq!(requests(&console.query(asked)), tumour);
}

fn requests(answer: &QueryResponse) -> u64 {
    let windows = answer.points.iter().flat_map(|point| &point.series);
    let count = |window: &SeriesWindow| {
        let histogram = window.latency.clone().unwrap_or_default();
        let encoded = binnacle_sketch::Encoded {
            counts: histogram.counts.to_vec(),
            ..Default::default()
        };
        encoded.count().unwrap()
    };
    windows.map(count).sum()
}

fn now_us() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_micros() as i64
}
