//! The laws of the chart, and how it looks.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::super::canvas::{drawn, stays_inside, theme};
use super::*;
use crate::theme::{Background, Colours, Letters};

const LETTERS: [Letters; 2] = [Letters::Unicode, Letters::Ascii];
const STEP_US: i64 = 60_000_000;
/// 13:30 of a day.
const FROM_US: i64 = 48_600_000_000;

type Points = Vec<(i64, Option<f64>)>;

/// Half an hour: slower from the twenty-first minute on, and eight minutes with few requests.
fn half_hour(us: f64, slower: f64) -> Points {
    let value = |at: i64| match at {
        9..13 => None,
        21.. => Some(us * slower),
        at => Some(us * (1.0 + 0.02 * (at % 3) as f64)),
    };
    (0..30)
        .map(|at| (FROM_US + at * STEP_US, value(at)))
        .collect()
}

fn picture(letters: Letters, size: (u16, u16), points: &[(&str, Points)]) -> String {
    let meanings = [Meaning::Text, Meaning::First, Meaning::Second];
    let lines = points
        .iter()
        .zip(meanings)
        .map(|((name, points), meaning)| Line {
            name,
            meaning,
            points,
        });
    let lines: Vec<Line<'_>> = lines.collect();
    let marks = [
        Mark {
            at_us: FROM_US + 20 * STEP_US,
            label: "infer-0042 retired",
        },
        Mark {
            at_us: FROM_US + 21 * STEP_US,
            label: "too near",
        },
        Mark {
            at_us: FROM_US - 1,
            label: "before",
        },
    ];
    let chart = Chart {
        span_us: (FROM_US, FROM_US + 30 * STEP_US),
        step_us: STEP_US,
        lines: &lines,
        marks: &marks,
    };
    drawn(size, |area, buf| chart.draw(&theme(letters), area, buf))
}

fn percentiles() -> [(&'static str, Points); 3] {
    [
        ("p50", half_hour(3_100.0, 1.1)),
        ("p90", half_hour(8_000.0, 1.2)),
        ("p99", half_hour(30_000.0, 2.5)),
    ]
}

#[test]
fn percentiles_over_half_an_hour() {
    let told = LETTERS.map(|letters| picture(letters, (100, 14), &percentiles()));
    assert_snapshot!(told.join("\n\n"));
}

#[test]
fn where_there_is_little_room_the_lines_stay() {
    let sizes = [(64, 6), (40, 8), (20, 4), (12, 2), (9, 1)];
    let told = sizes.map(|size| {
        let told = picture(Letters::Unicode, size, &percentiles());
        format!("{size:?}\n{told}")
    });
    assert_snapshot!(told.join("\n\n"));
}

#[test]
fn what_rests_on_too_few_requests_is_said_to() {
    let few: Points = (0..30).map(|at| (FROM_US + at * STEP_US, None)).collect();
    let told = picture(Letters::Unicode, (60, 6), &[("p99", few)]);
    assert_eq!(told.trim_end(), "few requests: no percentile is known");
}

#[test]
fn a_line_that_ends_early_says_few_and_not_its_last_figure() {
    let mut points = half_hour(3_000.0, 1.0);
    points.truncate(25);
    let told = picture(Letters::Unicode, (80, 8), &[("p99", points)]);
    assert!(told.contains("p99 few"), "{told}");
}

#[test]
fn a_figure_that_lies_between_two_lines_does_not_jump() {
    let breath = |at: i64| 1_000.0 * if at % 2 == 0 { 1.0 } else { 1.005 };
    let points: Points = (0..30)
        .map(|at| (FROM_US + at * STEP_US, Some(breath(at))))
        .collect();
    // Half of a hundredth is less than a quarter of a line at each of these heights.
    for height in 4..16 {
        let told = picture(Letters::Unicode, (60, height), &[("p99", points.clone())]);
        assert!(!told.contains(['╭', '╮']), "{told}");
    }
}

#[test]
fn steps_that_share_a_column_show_the_slowest() {
    let mut points: Points = (0..300)
        .map(|at| (FROM_US + at * 1_000_000, Some(1_000.0)))
        .collect();
    points[150].1 = Some(50_000.0);
    let line = Line {
        name: "p99",
        meaning: Meaning::First,
        points: &points,
    };
    let span_us = (FROM_US, FROM_US + 300_000_000);
    let time = TimeScale::new(span_us, 60);
    let values = columns(&line, &time, 1_000_000, 60);
    assert_eq!(values[30], Some(50_000.0));
    assert_eq!(
        values.iter().flatten().filter(|us| **us > 1_000.0).count(),
        1
    );
    let chart = Chart {
        span_us,
        step_us: 1_000_000,
        lines: &[line],
        marks: &[],
    };
    let told = drawn((83, 8), |area, buf| {
        chart.draw(&theme(Letters::Unicode), area, buf)
    });
    assert!(told.contains("a column shows its slowest step"), "{told}");
}

#[test]
fn its_styles_are_those_of_its_meanings() {
    let points = half_hour(3_000.0, 2.0);
    let lines = [Line {
        name: "p99",
        meaning: Meaning::Second,
        points: &points,
    }];
    let marks = [Mark {
        at_us: FROM_US + 5 * STEP_US,
        label: "x",
    }];
    let span_us = (FROM_US, FROM_US + 30 * STEP_US);
    let chart = Chart {
        span_us,
        step_us: STEP_US,
        lines: &lines,
        marks: &marks,
    };
    for colours in [
        Colours::None,
        Colours::Ansi16,
        Colours::Ansi256,
        Colours::True,
    ] {
        let theme = Theme::new(colours, Background::Dark, Letters::Unicode);
        let area = Rect::new(0, 0, 80, 10);
        let mut buf = Buffer::empty(area);
        chart.draw(&theme, area, &mut buf);
        for (symbol, meaning) in [("─", Meaning::Second), ("┆", Meaning::Accent)] {
            let mut like = ratatui::buffer::Cell::EMPTY;
            like.set_style(theme.style(meaning));
            let mut cells = buf
                .content
                .iter()
                .filter(|cell| cell.symbol() == symbol)
                .peekable();
            assert!(cells.peek().is_some(), "no {symbol}");
            assert!(
                cells.all(|cell| cell.style() == like.style()),
                "{colours:?} {symbol}"
            );
        }
    }
}

fn points() -> impl Strategy<Value = Points> {
    let value = prop_oneof![
        3 => (1.0..1e8_f64).prop_map(Some),
        2 => Just(None),
        1 => prop_oneof![Just(Some(0.0)), Just(Some(f64::NAN)), Just(Some(-1.0))],
    ];
    let values = prop::collection::vec(value, 0..300);
    values.prop_map(|values| {
        let steps = values.into_iter().enumerate();
        steps
            .map(|(at, value)| (FROM_US + at as i64 * STEP_US, value))
            .collect()
    })
}

proptest! {
    #[test]
    fn it_stays_inside(
        lines in prop::collection::vec(points(), 0..4),
        marks in prop::collection::vec((any::<i64>(), "\\PC{0,30}"), 0..5),
        near in prop::collection::vec((0..300_i64, "[a-zé]{0,30}"), 0..5),
        length in 0..20_000_000_000_i64, step_us in 0..10 * STEP_US, ascii: bool,
        width in 0..=250_u16, height in 0..=80_u16,
    ) {
        let lines: Vec<Line<'_>> = lines
            .iter()
            .map(|points| Line { name: "p99.9", meaning: Meaning::First, points })
            .collect();
        let marks = marks.iter().map(|(at_us, label)| Mark { at_us: *at_us, label });
        let near = near.iter().map(|(at, label)| Mark { at_us: FROM_US + at * STEP_US, label });
        let marks: Vec<Mark<'_>> = marks.chain(near).collect();
        let span_us = (FROM_US, FROM_US + length);
        let chart = Chart { span_us, step_us, lines: &lines, marks: &marks };
        stays_inside((width, height), LETTERS[usize::from(ascii)], |theme, area, buf| {
            chart.draw(theme, area, buf);
        });
    }

    #[test]
    fn nothing_is_drawn_where_nothing_is_known(
        known in prop::collection::vec(any::<bool>(), 1..=120),
        height in 1..40_u16,
    ) {
        let steps = known.iter().enumerate();
        let points: Points = steps
            .map(|(at, known)| (FROM_US + at as i64 * STEP_US, known.then_some(at as f64 + 1.0)))
            .collect();
        let lines = [Line { name: "p99", meaning: Meaning::First, points: &points }];
        let span_us = (FROM_US, FROM_US + known.len() as i64 * STEP_US);
        let chart = Chart { span_us, step_us: STEP_US, lines: &lines, marks: &[] };
        // As many columns as steps, between the axis and the names.
        let area = Rect::new(0, 0, known.len() as u16 + 9 + 14, height);
        prop_assume!(area.width >= 50);
        let mut buf = Buffer::empty(area);
        chart.draw(&theme(Letters::Unicode), area, &mut buf);
        prop_assume!(known.contains(&true));
        for (at, known) in known.iter().enumerate() {
            let rows = 0..height.max(2) - 1;
            let drawn = rows.filter(|y| buf[(at as u16 + 9, *y)].symbol() != " ").count();
            prop_assert_eq!(drawn > 0, *known, "column {}", at);
        }
    }

    #[test]
    fn what_is_slower_is_never_drawn_lower(a in 1.0..1e8_f64, b in 1.0..1e8_f64) {
        let points = [(FROM_US, Some(a)), (FROM_US + STEP_US, Some(b))];
        let lines = [Line { name: "p99", meaning: Meaning::First, points: &points }];
        let span_us = (FROM_US, FROM_US + 2 * STEP_US);
        let chart = Chart { span_us, step_us: STEP_US, lines: &lines, marks: &[] };
        let area = Rect::new(0, 0, 73, 20);
        let mut buf = Buffer::empty(area);
        chart.draw(&theme(Letters::Unicode), area, &mut buf);
        let row = |x: u16| (0..19).find(|y| buf[(x, *y)].symbol() == "─");
        let (first, last) = (row(10).unwrap(), row(57).unwrap());
        let (slow, fast) = if a <= b { (last, first) } else { (first, last) };
        prop_assert!(slow <= fast);
    }
}
