//! The page of a host: how it looks in every state, and what its keys do.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "other questions are answered alike, other effects are not looked for"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use binnacle_core::view::{
    Cell, Coarse, EntryRow, History, HostRow, LatencyPage, LatencyRow, LatencyTable, Light, Losses,
    Percentiles,
};
use proptest::prelude::*;

use crate::msg::{Effect, Msg};
use crate::question::endpoint::Told;
use crate::question::{Answer, Question};
use crate::screen::Place;
use crate::stage::{self, NOW_US, Stage};

const MINUTE_US: i64 = 60_000_000;

fn at_host(number: usize, size: (u16, u16)) -> Stage {
    let mut setup = stage::setup("hosts", size);
    setup.open = Some(Place {
        view: "hosts".into(),
        object: format!("infer-{number:04}"),
        ..Place::default()
    });
    Stage::of(setup)
}

fn percentiles(requests: u64, is_few: bool) -> Percentiles {
    let known = |us: f64| (!is_few).then_some(us);
    Percentiles {
        requests,
        p50_us: known(3_100.0),
        p90_us: known(9_100.0),
        p99_us: known(38_200.0),
        p999_us: None,
        mean_us: Some(4_000.0),
        max_us: (requests > 0).then_some(1_200_000.0),
    }
}

fn latency_row(version: &str, requests: u64, errors: u64) -> LatencyRow {
    LatencyRow {
        endpoint: "".into(),
        model: if version.is_empty() {
            "".into()
        } else {
            "fraud".into()
        },
        version: version.into(),
        all: percentiles(requests, requests < 100),
        errors,
        request_bytes: 1,
        response_bytes: 1,
        outcomes: BTreeMap::new(),
    }
}

fn last_minute(versions: &[(&str, u64, u64)]) -> Answer {
    let row =
        |(version, requests, errors): &(&str, u64, u64)| latency_row(version, *requests, *errors);
    let total = versions.iter().fold((0, 0), |(requests, errors), row| {
        (requests + row.1, errors + row.2)
    });
    Answer::Latency(Arc::new(LatencyPage {
        as_of_us: NOW_US,
        from_us: NOW_US - MINUTE_US,
        to_us: NOW_US,
        resolution_s: 1,
        table: LatencyTable {
            rows: versions.iter().map(row).collect(),
            total: latency_row("", total.0, total.1),
        },
        shapes: Vec::new(),
        points: Vec::new(),
    }))
}

/// A quiet past, slow an hour ago, with a gap, a quiet stretch, and a minute with few requests.
fn history(question: &Question) -> Answer {
    let Question::History { hosts, span } = question else {
        panic!("asked for {question:?}");
    };
    let step_us = i64::from(span.step_s) * 1_000_000;
    let until_us = span.until_us.unwrap_or(NOW_US);
    let from_us = until_us - i64::from(span.length_s) * 1_000_000;
    let cell = |at: i64| {
        let ago = (NOW_US - from_us - at * step_us) / MINUTE_US;
        let slow = if (50..75).contains(&ago) { 4 } else { 1 };
        let requests = match ago {
            120..130 => return None,
            100..110 => 0,
            90..93 => 40,
            _ => 1_050 * span.step_s,
        };
        let p99 = (requests > 100).then_some((38_000_000 + 200_000 * (ago as u64 % 7)) * slow);
        Some(Cell {
            requests,
            errors: requests / 900,
            p50: Coarse::of_ns((requests > 0).then_some(3_100_000)),
            p99: Coarse::of_ns(p99),
        })
    };
    let columns = i64::from(span.length_s / span.step_s);
    Answer::History(Arc::new(History {
        as_of_us: NOW_US,
        from_us,
        step_s: span.step_s,
        hosts: hosts
            .iter()
            .map(|host| (host.clone(), (0..columns).map(cell).collect()))
            .collect(),
    }))
}

fn admitted(sequence: u64, kind: &str, host: &str, rack: &str) -> EntryRow {
    let labels = serde_json::json!({ "rack": rack, "zone": "eu-west-1c" });
    EntryRow {
        caller: host.into(),
        data: serde_json::json!({ "host": host, "environment": "prod", "labels": labels }),
        ..stage::entry(sequence, kind, host, "")
    }
}

fn entries(host: &str) -> Answer {
    Answer::Journal(Arc::from([
        stage::entry(42, "host_readmitted/v1", host, "the card was replaced"),
        stage::entry(31, "host_retired/v1", host, "GPU fell off the bus"),
        admitted(12, "host_relabelled/v1", host, "8"),
        admitted(3, "host_admitted/v1", host, "7"),
    ]))
}

fn answers(question: &Question, number: usize) -> Answer {
    match question {
        Question::Listed(_)
        | Question::Lineage { .. }
        | Question::About { .. }
        | Question::Profile { .. }
        | Question::Distances { .. }
        | Question::Alerts(_) => panic!("not asked by a host's page"),
        Question::Endpoints(_) => Answer::Endpoints(Told::Rollouts([].into())),
        Question::Host { .. } => Answer::Host(Some(Arc::new(stage::row(number)))),
        Question::HostLatency { .. } => {
            last_minute(&[("7", 60_412, 0), ("8", 2_113, 246), ("9", 31, 0)])
        }
        Question::History { .. } => history(question),
        Question::Journal { host, .. } => entries(host.as_deref().unwrap_or("infer-0017")),
        Question::Past { .. } => Answer::Past(Arc::new(stage::glances(40))),
        // The page of a version's model, one key away.
        Question::Latency { .. } => last_minute(&[("7", 60_412, 0)]),
    }
}

fn full(number: usize, size: (u16, u16)) -> Stage {
    let mut stage = at_host(number, size);
    stage.connect();
    stage.tell(Msg::Glances(stage::glances(40)));
    stage.answer(|question| Ok(answers(question, number)));
    stage
}

#[test]
fn looks() {
    for (name, size) in stage::SIZES {
        insta::assert_snapshot!(format!("host-full-{name}"), full(17, size).text());
        let mut stale = full(17, size);
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("host-stale-{name}"), stale.text());
        let mut loading = at_host(17, size);
        loading.connect();
        loading.tell(Msg::Glances(stage::glances(40)));
        insta::assert_snapshot!(format!("host-loading-{name}"), loading.text());
        let mut empty = at_host(99, size);
        empty.connect();
        empty.tell(Msg::Glances(stage::glances(40)));
        empty.answer(|question| {
            Ok(match question {
                Question::Host { .. } => Answer::Host(None),
                other => answers(other, 17),
            })
        });
        insta::assert_snapshot!(format!("host-empty-{name}"), empty.text());
        let mut broken = at_host(17, size);
        broken.connect();
        broken.answer(|_| Err("the store is read only: disk full".into()));
        insta::assert_snapshot!(format!("host-broken-{name}"), broken.text());
    }
}

#[test]
fn a_host_in_trouble_says_all_of_it() {
    let mut stage = full(17, (80, 40));
    stage.tell(Msg::Tick);
    let mut row: HostRow = stage::row(17);
    row.streams = 2;
    row.skew_us = -4_200_000;
    row.generation_observed = 3;
    row.losses = Losses {
        spool_windows: 3,
        spool_requests: 1_204,
        log_lines: 17,
        spooled_windows: 4,
        spooled_bytes: 12_288,
        ..Losses::default()
    };
    stage.wait(1_000_000);
    let row = Arc::new(row);
    stage.answer(|question| match question {
        Question::Host { .. } => Ok(Answer::Host(Some(row.clone()))),
        other => Ok(answers(other, 17)),
    });
    insta::assert_snapshot!("host-trouble-80x40", stage.text());
}

#[test]
fn the_cursor_says_exactly_what_a_column_stands_for() {
    let mut stage = full(17, (200, 60));
    // A column a minute at this width; the newest of which something is known began at 03:10.
    for _ in 0..61 {
        stage.press("h");
    }
    let text = stage.text();
    assert!(
        text.contains("p99 157 ms at 02:09Z (1h ago), n=63,000"),
        "{text}"
    );
    stage.press("l");
    assert!(stage.text().contains("at 02:10Z"), "{}", stage.text());
}

#[test]
fn enter_on_a_column_shows_everything_as_it_was_then() {
    let mut stage = full(17, (80, 24));
    stage.press("h h h h h h enter");
    stage.answer(|question| Ok(answers(question, 17)));
    let text = stage.text();
    assert!(text.contains("AT 02:50Z"), "{text}");
    assert!(text.contains("are not kept"), "{text}");
    assert!(
        text.contains("minute from 02:50Z: 62,924 requests"),
        "{text}"
    );
    // Entries after that minute had not been written.
    assert!(!text.contains("readmitted"), "{text}");
    assert!(text.contains("retired"), "{text}");
}

#[test]
fn a_longer_span_is_asked_for_with_as_many_columns_as_fit() {
    let mut stage = full(17, (80, 24));
    stage.effects.clear();
    stage.press("+");
    let asked = stage.effects.iter().find_map(|effect| match effect {
        Effect::Ask {
            question: Question::History { span, .. },
            ..
        } => Some((span.length_s, span.step_s)),
        _ => None,
    });
    assert_eq!(asked, Some((12 * 3_600, 600)));
    stage.press("+ +");
    assert!(stage.text().contains("kept for 24 h"), "{}", stage.text());
}

#[test]
fn the_list_and_an_entry_lead_here_and_away() {
    let mut stage = Stage::with_hosts("hosts", (80, 24), 40);
    stage.press("j j enter");
    assert!(
        stage.line(1).contains("Hosts > infer-0003"),
        "{}",
        stage.text()
    );
    stage.answer(|question| Ok(answers(question, 3)));
    stage.press("j enter");
    assert!(stage.line(1).contains("Journal > 42"), "{}", stage.text());
    stage.press("q q");
    assert!(stage.line(3).contains("infer-0001"), "{}", stage.text());
}

#[test]
fn a_host_with_many_versions_shows_dark_ones_first_and_all_when_asked() {
    let mut row = stage::row(3);
    let server = row.server.as_mut().unwrap();
    let template = server.versions[0].clone();
    server.versions = (1..=30)
        .map(|version: u32| {
            let mut lights = template.clone();
            lights.version = version.to_string().into();
            lights.answers = if version == 23 { Light::Off } else { Light::On };
            lights
        })
        .collect();
    let row = Arc::new(row);
    let mut stage = at_host(3, (80, 24));
    stage.connect();
    stage.answer(|question| match question {
        Question::Host { .. } => Ok(Answer::Host(Some(row.clone()))),
        other => Ok(answers(other, 3)),
    });
    let text = stage.text();
    let first = text.lines().find(|line| line.contains("loaded")).unwrap();
    assert!(
        first.contains("fraud 23") && first.contains("x answers"),
        "{text}"
    );
    assert!(text.contains("26 more versions: z shows all"), "{text}");
    stage.press("z g g");
    assert!(stage.text().contains("fraud 12"), "{}", stage.text());
}

#[test]
fn nothing_that_a_name_holds_reaches_the_terminal() {
    let mut row = stage::row(3);
    let server = row.server.as_mut().unwrap();
    server.versions[0].model = "a\u{1b}[31m".into();
    server.reason = "\u{202e}x".into();
    row.agent_version = "\u{7}".into();
    let row = Arc::new(row);
    let mut stage = at_host(3, (120, 40));
    stage.connect();
    stage.answer(|question| match question {
        Question::Host { .. } => Ok(Answer::Host(Some(row.clone()))),
        other => Ok(answers(other, 3)),
    });
    let text = stage.text();
    let is_plain = |letter: char| letter == '\n' || !letter.is_control() && letter != '\u{202e}';
    assert!(text.chars().all(is_plain), "{text:?}");
    assert!(text.contains("\\u{1b}"), "{text}");
}

/// Keys that a hand falling onto the keyboard might press.
const KEYS: [&str; 24] = [
    "j", "k", "h", "l", "G", "home", "ctrl-d", "ctrl-u", "+", "-", "z", "enter", "q", "esc", ",",
    ".", "x", "y", "tab", "P", "[", "]", "u", "space",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_is_pressed_on_whatever_is_known_something_selected_is_seen(
        keys in prop::collection::vec(0..KEYS.len(), 0..40),
        size in (40u16..210, 12u16..62),
        versions in 0usize..30,
        columns in 0usize..400,
        about in 0usize..6,
    ) {
        let mut stage = at_host(17, size);
        stage.connect();
        stage.tell(Msg::Glances(stage::glances(40)));
        let answer = |question: &Question| {
            if about == 5 {
                return Err("no".to_owned());
            }
            Ok(match question {
                Question::Host { .. } => {
                    let mut row = stage::row(17);
                    let server = row.server.as_mut().unwrap();
                    let version = server.versions[0].clone();
                    server.versions = vec![version; versions];
                    Answer::Host((about > 0).then(|| Arc::new(row)))
                }
                Question::History { hosts, span } => {
                    let cell = |at: usize| (!at.is_multiple_of(3)).then_some(Cell {
                        requests: (at % 5) as u32 * 700,
                        ..Cell::default()
                    });
                    Answer::History(Arc::new(History {
                        as_of_us: NOW_US,
                        from_us: NOW_US - 3 * 3_600_000_000,
                        step_s: span.step_s / about.max(1) as u32,
                        hosts: hosts
            .iter()
            .map(|host| (host.clone(), (0..columns).map(cell).collect()))
            .collect(),
                    }))
                }
                other => answers(other, 17),
            })
        };
        stage.answer(answer);
        for key in keys {
            stage.press(KEYS[key]);
            if stage.effects.contains(&Effect::Quit) {
                break;
            }
            stage.answer(answer);
            let text = stage.text();
            let crumbs = stage.line(1);
            let is_told = text.contains("loaded") || text.contains("JOURNAL");
            if crumbs.contains("Hosts >") && is_told {
                prop_assert!(text.contains('▌'), "after {}:\n{text}", KEYS[key]);
            }
        }
    }
}
