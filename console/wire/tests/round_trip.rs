//! What goes over the wire comes back as it was; what cannot be is refused by its field.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on fails

use binnacle_core::host::Labels;
use binnacle_core::name::Name;
use binnacle_core::report::{BootId, Light, Losses, ServerHealth, VersionLights, Vitals};
use binnacle_core::series::{Outcome, SeriesKey, SeriesWindow};
use binnacle_core::view::{HostRow, HostState, Traffic};
use binnacle_proto::v1 as proto;
use binnacle_sketch::Latency;
use binnacle_wire::{host, report, series};
use proptest::prelude::*;
use prost::Message as _;

fn window(outcome: Outcome, values: &[u64], model: &str) -> SeriesWindow {
    let mut latency = Latency::<u64>::default();
    values.iter().for_each(|&ns| latency.record(ns));
    SeriesWindow {
        key: SeriesKey {
            endpoint: "".into(),
            model: model.into(),
            version: "1".into(),
            outcome,
        },
        latency: latency.encode(),
        request_bytes: 3,
        response_bytes: 4,
    }
}

fn report(series: Vec<proto::SeriesWindow>) -> proto::Report {
    proto::Report {
        boot_id: vec![7; 16].into(),
        first_sequence: 1,
        last_sequence: 2,
        span_ms: 1_000,
        series,
        ..Default::default()
    }
}

proptest! {
    #[test]
    fn a_series_comes_back_as_it_was(
        at in 0..Outcome::ALL.len(), values in prop::collection::vec(0..u64::MAX / 1_000, 0..50),
        model in ".{0,60}",
    ) {
        let sent = window(Outcome::ALL[at], &values, &model);
        let bytes = series::to_proto(&sent).encode_to_vec();
        let read = proto::SeriesWindow::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(series::from_proto(read).unwrap(), sent);
    }

    #[test]
    fn any_bytes_are_a_report_or_a_refusal(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(message) = proto::Report::decode(bytes.as_slice()) {
            let _refused_or_not = report::from_proto(message);
        }
    }
}

#[test]
fn a_host_comes_back_as_it_was() {
    let row = HostRow {
        since_us: Some(7),
        name: Name::parse("infer-0042").unwrap(),
        environment: Name::parse("prod").unwrap(),
        labels: Labels::parse([("zone".to_owned(), "a".to_owned())].into()).unwrap(),
        state: HostState::Live,
        seen_at_us: Some(5),
        connected_at_us: None,
        admitted_at_us: 3,
        agent_version: "0.1.0".into(),
        attachment: "path".into(),
        boot: Some(BootId([9; 16])),
        generation_wanted: 4,
        generation_observed: 3,
        skew_us: -7,
        streams: 2,
        server: Some(ServerHealth {
            upstream: "http://127.0.0.1:1".into(),
            process: Light::On,
            reason: "".into(),
            versions: vec![VersionLights {
                model: "fraud".into(),
                version: "7".into(),
                loaded: Light::On,
                answers: Light::Off,
                correct: Light::On,
                reason: "no answer".into(),
            }],
        }),
        vitals: Some(Vitals {
            cpu_permille: 500,
            cores: 2,
            ..Vitals::default()
        }),
        traffic: Some(Traffic {
            span_s: 10,
            requests: 9,
            errors: 1,
            ..Traffic::default()
        }),
        losses: Losses {
            spool_windows: 1,
            ..Losses::default()
        },
        retired_reason: "".into(),
        drain_reason: "the fan is loud".into(),
    };
    assert_eq!(host::from_proto(host::to_proto(&row)).unwrap(), row);
}

#[test]
fn a_newer_agents_word_for_an_outcome_is_counted_all_the_same() {
    let mut newer = series::to_proto(&window(Outcome::Ok, &[5, 6], "fraud"));
    newer.series.as_mut().unwrap().outcome = 99;
    let read = report::from_proto(report(vec![newer])).unwrap();
    assert_eq!(read.series[0].key.outcome, Outcome::Unknown);
    assert_eq!(read.series[0].latency.count(), Ok(2));
}

#[test]
fn what_cannot_be_is_refused_by_its_field() {
    let refused = |report: proto::Report| report::from_proto(report).unwrap_err().to_string();
    let good = || report(Vec::new());
    assert_eq!(
        refused(proto::Report {
            boot_id: vec![1].into(),
            ..good()
        }),
        "boot_id: has 1 bytes, not 16"
    );
    assert!(
        refused(proto::Report {
            first_sequence: 3,
            ..good()
        })
        .starts_with("first_sequence:")
    );
    assert!(
        refused(proto::Report {
            first_sequence: 0,
            ..good()
        })
        .starts_with("first_sequence:")
    );
    assert!(
        refused(proto::Report {
            span_ms: 60_001,
            ..good()
        })
        .starts_with("span_ms:")
    );
    let mut other_layout = series::to_proto(&window(Outcome::Ok, &[5], "fraud"));
    other_layout.latency.as_mut().unwrap().layout = 2;
    assert_eq!(
        refused(report(vec![other_layout])),
        "latency: histogram layout 2 is not known, only 1"
    );
    let long = series::to_proto(&window(Outcome::Ok, &[5], &"x".repeat(256)));
    assert!(refused(report(vec![long])).contains("256 bytes of at most 255"));
}
