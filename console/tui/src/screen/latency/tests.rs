//! How the Latency view looks, and what its keys do.

use std::collections::BTreeMap;

use binnacle_core::view::{
    Bar, Cell, Coarse, History, LatencyPage, LatencyPoint, LatencyRow, LatencyTable, Percentiles,
    Shape,
};
use proptest::prelude::*;

use super::*;
use crate::msg::{Effect, Msg};
use crate::question::Answer;
use crate::stage::{self, NOW_US, Stage, setup};
use crate::theme::{Background, Colours, Letters, Theme};

/// Bars side by side that follow a logarithmic normal distribution.
fn hump(middle_ns: f64, spread: f64, requests: f64) -> impl Iterator<Item = Bar> {
    let edge = move |at: i32| (middle_ns * (f64::from(at) / 64.0).exp()) as u64;
    (-120..=120_i32).filter_map(move |at| {
        let place = f64::from(at) / 64.0 / spread;
        let density = (-place * place / 2.0).exp() / (spread * 64.0 * 2.507);
        let (low_ns, requests) = (edge(at), (requests * density) as u64);
        let width_ns = edge(at + 1) - low_ns;
        (requests > 0).then_some(Bar {
            low_ns,
            width_ns,
            requests,
        })
    })
}

fn shape(version: &str, slower: f64, requests: f64) -> Shape {
    let slow = hump(3.8e7 * slower, 0.2, requests / 9.0);
    let outlier = Bar {
        low_ns: 900_000_000,
        width_ns: 7_000_000,
        requests: 3,
    };
    let bars = hump(3.1e6 * slower, 0.4, requests)
        .chain(slow)
        .chain([outlier]);
    Shape {
        version: version.into(),
        bars: bars.collect(),
    }
}

fn percentiles(requests: u64, slower: f64) -> Percentiles {
    let known = |us: f64, beyond: f64| (requests as f64 * beyond >= 20.0).then_some(us * slower);
    Percentiles {
        requests,
        p50_us: known(3_100.0, 0.5),
        p90_us: known(8_000.0, 0.1),
        p99_us: known(38_200.0, 0.01),
        p999_us: known(71_000.0, 0.001),
        mean_us: Some(4_400.0 * slower),
        max_us: Some(900_000.0 * slower),
    }
}

fn row(shape: &Shape, slower: f64) -> LatencyRow {
    let requests = shape.bars.iter().map(|bar| bar.requests).sum();
    LatencyRow {
        endpoint: "".into(),
        model: "fraud".into(),
        version: shape.version.clone(),
        all: percentiles(requests, slower),
        errors: requests / 244,
        request_bytes: requests * 1_024,
        response_bytes: requests * 96,
        outcomes: BTreeMap::new(),
    }
}

/// A page of these versions: slower from two thirds of the span on, and a while with few
/// requests.
fn page(span: Span, shapes: Vec<(Shape, f64)>) -> LatencyPage {
    let to_us = span.until_us.unwrap_or(NOW_US);
    let (length_s, step_s) = (i64::from(span.length_s), i64::from(span.step_s));
    let from_us = to_us - length_s * 1_000_000;
    let steps = length_s / step_s;
    let point = |at: i64| {
        let slower = if at * 3 > steps * 2 { 1.4 } else { 1.0 };
        let requests = if at * 4 / steps == 1 { 90 } else { 8_000 };
        let all = percentiles(requests, slower + 0.01 * (at % 3) as f64);
        LatencyPoint {
            start_us: from_us + at * step_s * 1_000_000,
            errors: 2,
            versions: vec![("8".into(), percentiles(requests / 10, slower))],
            all,
        }
    };
    let rows = shapes.iter().map(|(shape, slower)| row(shape, *slower));
    let rows: Vec<LatencyRow> = rows.collect();
    let total = LatencyRow {
        version: "".into(),
        ..rows
            .first()
            .cloned()
            .unwrap_or_else(|| row(&shape("", 1.0, 0.0), 1.0))
    };
    LatencyPage {
        as_of_us: NOW_US,
        from_us,
        to_us,
        resolution_s: 10,
        points: if rows.is_empty() {
            Vec::new()
        } else {
            (0..steps).map(point).collect()
        },
        table: LatencyTable { rows, total },
        shapes: shapes.into_iter().map(|(shape, _)| shape).collect(),
    }
}

fn history(hosts: &[Arc<str>], span: Span) -> History {
    let to_us = span.until_us.unwrap_or(NOW_US);
    let steps = span.length_s / span.step_s;
    let coarse = |ms: f64| Coarse::of_ns(Some((ms * 1e6) as u64));
    let row = |(at, host): (usize, &Arc<str>)| {
        let cells = (0..steps).map(|step| match at {
            2 if step < steps / 2 => None,
            5 => Some(Cell::default()),
            _ => {
                let slow = if at == 0 && step * 3 > steps * 2 {
                    9.0
                } else {
                    1.0
                };
                let noise = 1.0 + ((at * 7 + step as usize * 3) % 5) as f64 / 20.0;
                Some(Cell {
                    requests: 60_000,
                    errors: if at == 0 { step } else { 0 },
                    p50: coarse(3.1 * noise),
                    p99: coarse(38.2 * noise * slow),
                })
            }
        });
        (host.clone(), cells.collect())
    };
    History {
        as_of_us: NOW_US,
        from_us: to_us - i64::from(span.length_s) * 1_000_000,
        step_s: span.step_s,
        hosts: hosts.iter().enumerate().map(row).collect(),
    }
}

fn two_versions() -> Vec<(Shape, f64)> {
    vec![
        (shape("7", 1.0, 82_000.0), 1.0),
        (shape("8", 1.18, 9_100.0), 1.18),
    ]
}

fn answer(question: &Question) -> Result<Answer, String> {
    answer_of(question, two_versions())
}

fn answer_of(question: &Question, shapes: Vec<(Shape, f64)>) -> Result<Answer, String> {
    match question {
        Question::Listed(_)
        | Question::Lineage { .. }
        | Question::About { .. }
        | Question::Profile { .. }
        | Question::Distances { .. }
        | Question::Endpoints(_)
        | Question::Alerts(_) => Err("not asked here".into()),
        Question::Latency { span, .. } => Ok(Answer::Latency(page(*span, shapes).into())),
        Question::History { hosts, span } => Ok(Answer::History(history(hosts, *span).into())),
        Question::Journal { .. } => {
            let retired = stage::entry(52, "host_retired/v1", "infer-0019", "fans broken");
            Ok(Answer::Journal([retired].into()))
        }
        Question::HostLatency { .. } | Question::Past { .. } | Question::Host { .. } => {
            Err("not asked here".into())
        }
    }
}

fn models() -> Vec<ModelRow> {
    let mut models = stage::models(24);
    if let Some(first) = models.first_mut() {
        first.model = "fraud".into();
    }
    models.sort_by(|a, b| a.model.cmp(&b.model));
    models
}

/// The page of the busiest model, with no answers yet.
fn asked(size: (u16, u16)) -> Stage {
    let mut setup = setup("latency", size);
    if let Some(place) = &mut setup.open {
        place.object = "fraud".into();
    }
    let mut stage = Stage::of(setup);
    stage.connect();
    stage.tell(Msg::Glances(stage::glances(412)));
    stage
}

fn full(size: (u16, u16)) -> Stage {
    let mut stage = asked(size);
    stage.answer(answer);
    stage
}

fn list(size: (u16, u16)) -> Stage {
    let mut stage = Stage::with_hosts("latency", size, 40);
    stage.tell(Msg::Models(models()));
    stage.wait(200_000);
    stage.answer(answer);
    stage
}

#[test]
fn a_page_looks() {
    for (name, size) in stage::SIZES {
        insta::assert_snapshot!(format!("latency-full-{name}"), full(size).text());
        let mut stale = full(size);
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("latency-stale-{name}"), stale.text());
        insta::assert_snapshot!(format!("latency-loading-{name}"), asked(size).text());
        let mut empty = asked(size);
        empty.answer(|question| answer_of(question, Vec::new()));
        insta::assert_snapshot!(format!("latency-empty-{name}"), empty.text());
        let mut broken = asked(size);
        broken.answer(|_| Err("the store is being checked".into()));
        insta::assert_snapshot!(format!("latency-broken-{name}"), broken.text());
    }
}

#[test]
fn the_list_looks() {
    for (name, size) in stage::SIZES {
        insta::assert_snapshot!(format!("models-full-{name}"), list(size).text());
        let mut stale = list(size);
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("models-stale-{name}"), stale.text());
        let loading = Stage::connected("latency", size);
        insta::assert_snapshot!(format!("models-loading-{name}"), loading.text());
        let empty = Stage::with_hosts("latency", size, 3);
        insta::assert_snapshot!(format!("models-empty-{name}"), empty.text());
        let mut broken = Stage::dark("latency", size);
        broken.lose();
        insta::assert_snapshot!(format!("models-broken-{name}"), broken.text());
    }
}

#[test]
fn each_panel_can_have_the_whole_screen() {
    let mut stage = full((80, 24));
    let mut told = Vec::new();
    for _ in 0..4 {
        stage.press("z");
        told.push(stage.text());
        stage.press("z tab");
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[test]
fn letters_of_1963_do() {
    let mut setup = setup("latency", (100, 40));
    setup.theme = Theme::new(Colours::None, Background::Dark, Letters::Ascii);
    if let Some(place) = &mut setup.open {
        place.object = "fraud".into();
    }
    let mut stage = Stage::of(setup);
    stage.connect();
    stage.tell(Msg::Glances(stage::glances(30)));
    stage.answer(answer);
    assert!(stage.text().is_ascii());
    insta::assert_snapshot!(stage.text());
}

#[test]
fn where_rows_are_cards_the_charts_stay() {
    insta::assert_snapshot!(full((60, 30)).text());
}

fn spans(stage: &Stage) -> Vec<Span> {
    let asked = stage.effects.iter().filter_map(|effect| {
        let Effect::Ask { question, .. } = effect else {
            return None;
        };
        let Question::Latency { span, .. } = question else {
            return None;
        };
        Some(*span)
    });
    asked.collect()
}

#[test]
fn a_longer_span_is_asked_for_and_the_old_page_stays_until_it_comes() {
    let mut stage = full((100, 30));
    stage.press("+");
    assert_eq!(spans(&stage), [Span::last(3 * 3_600, 300)]);
    assert!(
        stage.line(1).contains("last 3 h, loading"),
        "{}",
        stage.text()
    );
    assert!(stage.text().contains("fraud@7"), "{}", stage.text());
    stage.answer(answer);
    assert!(
        stage.line(1).contains("last 3 h, all hosts merged"),
        "{}",
        stage.text()
    );
    stage.press("+ +");
    assert!(
        stage.text().contains("24 h is as far as it goes"),
        "{}",
        stage.text()
    );
}

#[test]
fn what_could_not_be_refreshed_says_how_old_it_is_and_why() {
    let mut stage = full((120, 30));
    stage.wait(40_000_000);
    stage.answer(|_| Err("busy".into()));
    assert!(
        stage.line(1).ends_with("last 30 min, 40s old: busy"),
        "{}",
        stage.text()
    );
    stage.wait(40_000_000);
    stage.answer(answer);
    assert!(
        stage.line(1).ends_with("all hosts merged"),
        "{}",
        stage.text()
    );
    stage.wait(40_000_000);
    stage.wait(60_000_000);
    assert!(stage.line(1).ends_with("1m old"), "{}", stage.text());
}

#[test]
fn a_moment_of_the_past_is_asked_for() {
    let mut stage = full((100, 30));
    stage.press("t");
    stage.type_text("02:00");
    stage.press("enter");
    let until = spans(&stage).last().and_then(|span| span.until_us);
    assert_eq!(until, Some(NOW_US - 71 * 60_000_000));
    stage.press("!");
    let text = stage.text();
    assert!(
        text.contains("--since 2026-11-22T01:30:00Z --until 2026-11-22T02:00:00Z"),
        "{text}"
    );
}

#[test]
fn enter_opens_the_page_of_the_selected_model() {
    let mut stage = list((100, 30));
    stage.press("enter");
    stage.answer(answer);
    assert!(
        stage.line(1).starts_with(" Latency > fraud"),
        "{}",
        stage.text()
    );
    let place = stage.model.screen().place();
    assert_eq!((&*place.view, &*place.object), ("latency", "fraud"));
}

#[test]
fn marks_choose_the_versions_of_the_histogram() {
    let mut stage = asked((100, 40));
    let three = || {
        let six = (shape("6", 0.9, 500.0), 0.9);
        two_versions().into_iter().chain([six]).collect::<Vec<_>>()
    };
    stage.answer(|question| answer_of(question, three()));
    let heading = |stage: &Stage| {
        let text = stage.text();
        let line = text
            .lines()
            .find(|line| line.contains("share"))
            .map(str::to_owned);
        line.unwrap_or(text)
    };
    assert!(heading(&stage).contains("░ fraud@7"), "{}", heading(&stage));
    assert!(heading(&stage).contains("▓ fraud@8"), "{}", heading(&stage));
    // The busiest is the first row; the other two are marked.
    stage.press("j space space");
    assert!(heading(&stage).contains("░ fraud@8"), "{}", heading(&stage));
    assert!(heading(&stage).contains("▓ fraud@6"), "{}", heading(&stage));
    stage.press("u");
    assert!(heading(&stage).contains("░ fraud@7"), "{}", heading(&stage));
}

#[test]
fn enter_on_a_version_shows_it_alone_and_again_all() {
    let mut stage = full((100, 40));
    stage.press("j enter");
    assert!(
        stage.text().contains("percentiles of version 8 alone"),
        "{}",
        stage.text()
    );
    stage.press("enter");
    assert!(
        stage.text().contains("percentiles of all versions"),
        "{}",
        stage.text()
    );
}

#[test]
fn the_cursor_of_the_chart_says_the_figures_of_a_step() {
    let mut stage = full((100, 40));
    stage.press("tab tab");
    let newest =
        "all versions 03:10 by 30 s  p50 4.40 ms  p90 11.4 ms  p99 54.2 ms  8,000 requests";
    assert!(stage.text().contains(newest), "{}", stage.text());
    let before = stage.buffer();
    stage.press("h h h");
    let text = stage.text();
    assert!(text.contains("all versions 03:09 by 30 s  p50 "), "{text}");
    let after = stage.buffer();
    let selected = |buf: &Buffer| {
        let mut columns: Vec<u16> = Vec::new();
        for place in buf.area.positions() {
            let reversed = ratatui::style::Modifier::REVERSED;
            if (18..25).contains(&place.y) && buf[place].modifier.contains(reversed) {
                columns.push(place.x);
            }
        }
        columns.dedup();
        columns
    };
    let (from, to) = (selected(&before), selected(&after));
    assert!(
        from.len() == 1 && to.len() == 1 && to < from,
        "{from:?} {to:?}"
    );
    // Twenty minutes earlier there were few requests.
    stage.press(&"h ".repeat(37));
    assert!(
        stage
            .text()
            .contains("02:50 by 30 s  p50 3.13 ms  p90 few  p99 few  90 req"),
        "{}",
        stage.text()
    );
    stage.press(&"h ".repeat(100));
    assert!(
        stage.text().contains("all versions 02:41 by 30 s"),
        "{}",
        stage.text()
    );
}

#[test]
fn the_cursor_of_the_heat_map_says_its_figures_and_enter_opens_the_host() {
    let mut stage = full((100, 40));
    stage.press("tab tab tab");
    assert!(
        stage.text().contains("infer-0007 03:10  p99 "),
        "{}",
        stage.text()
    );
    stage.press("h j");
    assert!(stage.text().contains(" 03:09  p99 "), "{}", stage.text());
    stage.press("k enter");
    let place = stage.model.screen().place();
    assert_eq!((&*place.view, &*place.object), ("hosts", "infer-0007"));
}

#[test]
fn the_heat_map_turns_to_errors_and_rates() {
    let mut stage = full((100, 40));
    stage.press("tab tab tab s");
    assert!(
        stage.text().contains("hosts by errors, worst first"),
        "{}",
        stage.text()
    );
    stage.answer(answer);
    stage.wait(9_000_000);
    assert!(
        stage.text().contains("worst errors of the last minute"),
        "{}",
        stage.text()
    );
    assert!(stage.text().contains("infer-0017"), "{}", stage.text());
}

#[test]
fn what_is_no_more_so_is_dimmed() {
    let mut stage = full((100, 40));
    stage.lose();
    let buf = stage.buffer();
    let dim = ratatui::style::Modifier::DIM;
    let cells = buf
        .content
        .iter()
        .filter(|cell| ["░", "▓", "─"].contains(&cell.symbol()));
    let chart: Vec<_> = cells.filter(|cell| cell.modifier.contains(dim)).collect();
    assert!(chart.len() > 100, "{} cells", chart.len());
}

#[test]
fn a_step_of_the_cursor_changes_little() {
    let mut stage = full((120, 40));
    stage.press("tab tab tab j");
    let before = stage.buffer();
    stage.press("j");
    let changed = before.diff(&stage.buffer()).len();
    assert!(changed < 100, "{changed} cells");
}

fn shapes() -> impl Strategy<Value = Vec<(Shape, f64)>> {
    let one = ("\\PC{0,12}", 0.5..3.0_f64, 0.0..1e6_f64);
    let one =
        one.prop_map(|(version, slower, requests)| (shape(&version, slower, requests), slower));
    prop::collection::vec(one, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_keys_on_no_data_at_no_size_break_it(
        shapes in shapes(),
        keys in prop::collection::vec(
            prop::sample::select(vec![
                "j", "k", "h", "l", "tab", "z", "+", "-", "space", "u", "s", "S", "enter", "esc",
                "G", "g g", "ctrl-d", "ctrl-u", "*", "v", "[", "]", "y", "x", "!", "c",
            ]),
            0..40,
        ),
        sizes in prop::collection::vec((0..250_u16, 0..80_u16), 1..4),
        hosts in 0..60_usize,
    ) {
        let mut stage = Stage::connected("latency", (120, 40));
        stage.tell(Msg::Glances(stage::glances(hosts)));
        stage.tell(Msg::Models(models()));
        let mut sizes = sizes.iter().cycle();
        for (at, keys) in keys.iter().enumerate() {
            stage.press(keys);
            if at % 2 == 0 {
                stage.answer(|question| answer_of(question, shapes.clone()));
            }
            if at % 5 == 0 {
                let (width, height) = *sizes.next().unwrap();
                stage.tell(Msg::Size { width, height });
            }
            stage.wait(61_000_000);
            stage.buffer();
        }
    }
}
