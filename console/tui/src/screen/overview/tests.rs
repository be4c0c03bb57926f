//! How it looks in every state, and what its keys do.

use std::sync::Arc;

use binnacle_core::view::{
    Cell, Coarse, EntryRow, Glance, Glances, History, Labels, LatencyPage, LatencyPoint,
    LatencyRow, LatencyTable, Percentiles, Status,
};
use proptest::prelude::*;

use crate::msg::{Effect, Msg};
use crate::question::{Answer, Question};
use crate::stage::{self, NOW_US, Stage};

const MINUTE_US: i64 = 60_000_000;

fn percentiles(requests: u64, p50_us: f64, p99_us: f64) -> Percentiles {
    Percentiles {
        requests,
        p50_us: Some(p50_us),
        p99_us: Some(p99_us),
        ..Percentiles::default()
    }
}

/// The last half hour of a fleet whose p99 rose five minutes ago; the last minute is not over.
fn page() -> LatencyPage {
    let point = |at: i64| {
        let wave = (at % 7) as f64;
        let slow = if at > 24 { 2.2 } else { 1.0 };
        let partial = if at == 30 { 3 } else { 1 };
        LatencyPoint {
            start_us: NOW_US - (30 - at) * MINUTE_US - 20_000_000,
            all: percentiles(
                (420_000 + 9_000 * at as u64) / partial,
                3_100.0 + 40.0 * wave,
                (38_000.0 + 900.0 * wave) * slow,
            ),
            errors: 340,
            versions: Vec::new(),
        }
    };
    LatencyPage {
        as_of_us: NOW_US,
        from_us: NOW_US - 30 * MINUTE_US,
        to_us: NOW_US,
        resolution_s: 60,
        table: LatencyTable {
            rows: Vec::new(),
            total: LatencyRow {
                endpoint: "".into(),
                model: "".into(),
                version: "".into(),
                all: Percentiles::default(),
                errors: 0,
                request_bytes: 0,
                response_bytes: 0,
                outcomes: std::collections::BTreeMap::new(),
            },
        },
        shapes: Vec::new(),
        points: (0..=30).map(point).collect(),
    }
}

fn entries() -> Arc<[EntryRow]> {
    let entry = |sequence, kind: &str, host: &str, why: &str, ago_us: i64| EntryRow {
        at_us: NOW_US - ago_us,
        ..stage::entry(sequence, kind, host, why)
    };
    [
        entry(418, "host_relabelled/v1", "infer-0011", "", 250_000_000),
        entry(
            417,
            "host_retired/v1",
            "infer-0400",
            "disk is dying",
            12 * MINUTE_US,
        ),
        entry(
            416,
            "host_admitted/v1",
            "infer-0412",
            "",
            3 * 60 * MINUTE_US,
        ),
        entry(
            415,
            "host_admitted/v1",
            "infer-0411",
            "",
            3 * 60 * MINUTE_US,
        ),
    ]
    .into()
}

/// The half hour of some hosts: the first has become slow.
fn history(hosts: &[Arc<str>]) -> History {
    let cells = |row: usize| {
        let slow = |at: u64| if row == 0 && at > 20 { 9 } else { 1 };
        let p99 = |at: u64| Coarse::of_ns(Some((38 + at % 3) * 1_000_000 * slow(at)));
        let cell = |at: u64| Cell {
            p99: p99(at),
            ..stage::glance(2).cell
        };
        (0..30).map(|at| Some(cell(at))).collect()
    };
    let host = |(row, host): (usize, &Arc<str>)| (host.clone(), cells(row));
    History {
        as_of_us: NOW_US,
        from_us: NOW_US - 30 * MINUTE_US,
        step_s: 60,
        hosts: hosts.iter().enumerate().map(host).collect(),
    }
}

fn answer(question: &Question) -> Result<Answer, String> {
    match question {
        Question::Listed(_)
        | Question::Lineage { .. }
        | Question::About { .. }
        | Question::Profile { .. }
        | Question::Distances { .. }
        | Question::Endpoints(_)
        | Question::Alerts(_) => Err("not asked here".into()),
        Question::Latency { .. } => Ok(Answer::Latency(Arc::new(page()))),
        Question::Journal { .. } => Ok(Answer::Journal(entries())),
        Question::History { hosts, .. } => Ok(Answer::History(Arc::new(history(hosts)))),
        Question::HostLatency { .. } | Question::Past { .. } | Question::Host { .. } => {
            Err("nothing is known of it".into())
        }
    }
}

fn with(size: (u16, u16), hosts: Vec<Glance>) -> Stage {
    let mut stage = Stage::connected("overview", size);
    stage.tell(Msg::Glances(Glances {
        hosts,
        ..stage::glances(0)
    }));
    stage.answer(answer);
    stage
}

pub(crate) fn full(size: (u16, u16)) -> Stage {
    let mut hosts = stage::glances(412).hosts;
    // A rack is not heard of.
    for host in &mut hosts {
        if host.labels.iter().any(|pair| pair == ("rack", "4")) && host.status == Status::Ok {
            host.status = Status::Silent;
            host.since_us = Some(NOW_US - 40_000_000);
        }
    }
    with(size, hosts)
}

/// A fleet in which nothing is wrong.
fn well(size: (u16, u16)) -> Stage {
    let mut hosts = stage::glances(412).hosts;
    for host in &mut hosts {
        host.cell = stage::glance(2).cell;
        host.status = Status::Ok;
        host.since_us = Some(NOW_US - 3 * 60 * MINUTE_US);
        host.reason = "".into();
    }
    with(size, hosts)
}

#[test]
fn looks() {
    for (name, size) in stage::SIZES {
        insta::assert_snapshot!(format!("overview-full-{name}"), full(size).text());
        insta::assert_snapshot!(format!("overview-well-{name}"), well(size).text());
        let mut stale = full(size);
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("overview-stale-{name}"), stale.text());
        let loading = Stage::with_hosts("overview", size, 412);
        insta::assert_snapshot!(format!("overview-loading-{name}"), loading.text());
        let mut broken = Stage::with_hosts("overview", size, 412);
        broken.answer(|_| Err("the store does not answer".into()));
        insta::assert_snapshot!(format!("overview-broken-{name}"), broken.text());
        let empty = Stage::with_hosts("overview", size, 0);
        insta::assert_snapshot!(format!("overview-empty-{name}"), empty.text());
        let mut dark = Stage::dark("overview", size);
        dark.lose();
        insta::assert_snapshot!(format!("overview-dark-{name}"), dark.text());
    }
    insta::assert_snapshot!("overview-full-60x20", full((60, 20)).text());
}

#[test]
fn it_is_the_first_screen() {
    let setup = crate::model::Setup {
        open: None,
        ..stage::setup("", (80, 24))
    };
    let stage = Stage::of(setup);
    assert_eq!(stage.model.screen().place().view, "overview");
}

#[test]
fn enter_opens_the_host_or_the_hosts_that_it_is_about() {
    let mut stage = full((80, 24));
    assert!(
        stage.line(2).starts_with("▌x infer-0011"),
        "{}",
        stage.text()
    );
    stage.press("enter");
    let place = stage.model.screen().place();
    assert_eq!((&*place.view, &*place.object), ("hosts", "infer-0011"));
    let mut stage = full((80, 24));
    stage.press("G");
    let selected = stage.model.screen().place().selected;
    assert!(selected.starts_with("status=silent"), "{selected}");
    stage.press("enter");
    let place = stage.model.screen().place();
    assert_eq!((&*place.view, &*place.filter), ("hosts", "status=silent"));
    stage.press("[");
    assert_eq!(stage.model.screen().place().selected, selected);
}

#[test]
fn actions_are_those_of_the_host() {
    let mut stage = full((80, 24));
    stage.press("a");
    assert!(stage.text().contains("retire"), "{}", stage.text());
    stage.press("esc G a");
    assert!(
        stage
            .text()
            .contains("one host at a time: enter lists them"),
        "{}",
        stage.text()
    );
    let mut well = well((80, 24));
    well.press("a");
    assert!(
        well.text().contains("nothing to be done here"),
        "{}",
        well.text()
    );
}

#[test]
fn what_was_chosen_stays_chosen_when_something_worse_comes() {
    let mut stage = full((80, 24));
    stage.press("j");
    let chosen = stage.model.screen().place().selected;
    let mut worse = stage::glance(200);
    worse.status = Status::Crit;
    worse.since_us = Some(NOW_US);
    let change = Glances {
        is_whole: false,
        hosts: vec![worse],
        ..stage::glances(0)
    };
    stage.tell(Msg::Glances(change.clone()));
    assert_eq!(stage.model.screen().place().selected, chosen);
    assert!(stage.text().contains("infer-0200"), "{}", stage.text());
    // Before anything was chosen the worst is selected, whichever it is.
    let mut stage = full((80, 24));
    stage.tell(Msg::Glances(change));
    assert!(
        stage.line(2).starts_with("▌x infer-0200"),
        "{}",
        stage.text()
    );
}

#[test]
fn a_moment_of_the_past_has_its_own_troubles_and_no_later_entries() {
    let mut stage = full((80, 24));
    stage.press("t");
    stage.type_text("10m");
    stage.press("enter");
    stage.answer(|question| {
        let Question::Past { .. } = question else {
            return answer(question);
        };
        let mut hosts = stage::glances(412);
        hosts.hosts.truncate(9);
        Ok(Answer::Past(Arc::new(hosts)))
    });
    let text = stage.text();
    assert!(text.contains("WRONG AT 03:01Z"), "{text}");
    assert!(
        text.contains("infer-0007") && !text.contains("infer-0011"),
        "{text}"
    );
    assert!(!text.contains("relabelled"), "{text}");
}

#[test]
fn requests_that_stopped_leave_no_old_figure_behind() {
    let mut stage = Stage::with_hosts("overview", (80, 24), 9);
    stage.answer(|question| {
        let Question::Latency { .. } = question else {
            return answer(question);
        };
        let mut page = page();
        page.points.truncate(20);
        Ok(Answer::Latency(Arc::new(page)))
    });
    let text = stage.text();
    assert!(
        text.contains("FLEET  0.0 req/s") && text.contains("p99 –"),
        "{text}"
    );
}

#[test]
fn moving_the_cursor_changes_few_cells() {
    let mut stage = full((120, 40));
    let before = stage.buffer();
    stage.press("j");
    let after = stage.buffer();
    let changed = before.diff(&after).len();
    // Two names, reversed and back, and two marks: with a cursor move each, under 300 bytes.
    assert!(changed <= 2 * 24 + 2, "{changed} cells");
}

/// Hosts of any kind, some with names and labels that no terminal should obey.
fn any_hosts() -> impl Strategy<Value = Vec<Glance>> {
    let statuses = vec![
        Status::Ok,
        Status::Retired,
        Status::Silent,
        Status::Warn,
        Status::Crit,
    ];
    let host = (
        0_usize..500,
        prop::sample::select(statuses),
        "[a-z\u{1b}日 ]{0,12}",
    );
    let host = host.prop_map(|(number, status, text)| Glance {
        status,
        reason: text.as_str().into(),
        labels: Labels::parse([("zone".to_owned(), text.replace('\u{1b}', ""))].into())
            .unwrap_or_default(),
        ..stage::glance(number)
    });
    prop::collection::vec(host, 0..120).prop_map(|mut hosts| {
        hosts.sort_by(|a, b| a.host.cmp(&b.host));
        hosts.dedup_by(|a, b| a.host == b.host);
        hosts
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_the_fleet_and_the_keys_the_selection_is_visible_and_nothing_escapes(
        fleets in prop::collection::vec(any_hosts(), 1..4),
        keys in prop::collection::vec(
            prop::sample::select(vec!["j", "k", "G", "g g", "ctrl-d", "ctrl-u", "y"]), 0..20,
        ),
        (width, height) in (0_u16..220, 0_u16..70),
    ) {
        let mut stage = with((width, height), Vec::new());
        for hosts in fleets {
            stage.tell(Msg::Glances(Glances { hosts, ..stage::glances(0) }));
            for key in &keys {
                stage.press(key);
                let text = stage.text();
                prop_assert!(!text.contains(char::from(27)));
                let has_list = text.contains("troubles;") || text.contains("1 trouble;");
                prop_assert!(!has_list || text.contains('▌'), "{text}");
            }
        }
        stage.effects.retain(|effect| !matches!(effect, Effect::Wake { .. }));
    }
}
