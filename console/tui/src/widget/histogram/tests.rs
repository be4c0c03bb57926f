//! The laws of the histogram, and how it looks.

use insta::assert_snapshot;
use proptest::prelude::*;

use super::super::canvas::{drawn, stays_inside, theme};
use super::*;
use crate::theme::{Background, Colours, Letters};

const LETTERS: [Letters; 2] = [Letters::Unicode, Letters::Ascii];

/// Bars side by side, each about a sixty-fourth wider than the one before it, that follow a
/// logarithmic normal distribution.
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

fn two_versions() -> (Vec<Bar>, Vec<Bar>) {
    let mut seven: Vec<Bar> = hump(3.1e6, 0.4, 80_000.0)
        .chain(hump(3.8e7, 0.2, 9_000.0))
        .collect();
    let mut eight: Vec<Bar> = hump(3.6e6, 0.4, 9_000.0)
        .chain(hump(4.5e7, 0.2, 1_300.0))
        .collect();
    for bars in [&mut seven, &mut eight] {
        bars.push(Bar {
            low_ns: 900_000_000,
            width_ns: 7_000_000,
            requests: 3,
        });
    }
    (seven, eight)
}

fn picture(letters: Letters, size: (u16, u16), is_compared: bool) -> String {
    let (seven, eight) = two_versions();
    let second = Series {
        name: "fraud@8",
        bars: &eight,
    };
    let histogram = Histogram {
        first: Series {
            name: "fraud@7",
            bars: &seven,
        },
        second: is_compared.then_some(second),
    };
    drawn(size, |area, buf| histogram.draw(&theme(letters), area, buf))
}

#[test]
fn two_versions_lie_over_each_other() {
    assert_snapshot!(
        LETTERS
            .map(|letters| picture(letters, (100, 12), true))
            .join("\n\n")
    );
}

#[test]
fn one_version_stands_alone() {
    assert_snapshot!(
        LETTERS
            .map(|letters| picture(letters, (78, 8), false))
            .join("\n\n")
    );
}

#[test]
fn where_there_is_little_room_the_columns_stay() {
    let sizes = [(40, 5), (28, 4), (28, 2), (10, 1)];
    let told = sizes.map(|size| format!("{size:?}\n{}", picture(Letters::Unicode, size, true)));
    assert_snapshot!(told.join("\n\n"));
}

#[test]
fn nothing_is_drawn_of_no_requests_but_that() {
    let none = Series {
        name: "fraud@7",
        bars: &[],
    };
    let histogram = Histogram {
        first: none,
        second: None,
    };
    let told = drawn((30, 4), |area, buf| {
        histogram.draw(&theme(Letters::Unicode), area, buf)
    });
    assert_eq!(told.trim_end(), "no requests");
}

#[test]
fn the_outliers_can_be_seen() {
    let bars = [
        Bar {
            low_ns: 1_000_000,
            width_ns: 8_000,
            requests: 1_000_000,
        },
        Bar {
            low_ns: 2_000_000_000,
            width_ns: 16_000_000,
            requests: 1,
        },
    ];
    let first = Series {
        name: "a",
        bars: &bars,
    };
    for second in [None, Some(first)] {
        let histogram = Histogram { first, second };
        let told = drawn((60, 6), |area, buf| {
            histogram.draw(&theme(Letters::Unicode), area, buf);
        });
        let bottom = told.lines().nth(4).unwrap();
        assert!(bottom.ends_with('▁'), "{told}");
    }
}

#[test]
fn its_styles_are_those_of_its_meanings() {
    let (seven, eight) = two_versions();
    let histogram = Histogram {
        first: Series {
            name: "7",
            bars: &seven,
        },
        second: Some(Series {
            name: "8",
            bars: &eight,
        }),
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
        histogram.draw(&theme, area, &mut buf);
        for (symbol, meaning) in [
            ("░", Meaning::First),
            ("▓", Meaning::Second),
            ("█", Meaning::Text),
        ] {
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

fn bars() -> impl Strategy<Value = Vec<Bar>> {
    let end = prop_oneof![
        Just(0_u64),
        0..100_000_u64,
        0..4_000_000_000_000_u64,
        Just(u64::MAX)
    ];
    let bar = (end, 1..10_000_000_u64, 0..1_000_000_u64);
    let bar = bar.prop_map(|(low_ns, width_ns, requests)| Bar {
        low_ns,
        width_ns,
        requests,
    });
    prop::collection::vec(bar, 0..60)
}

proptest! {
    #[test]
    fn it_stays_inside(
        seven in bars(), eight in prop::option::of(bars()), ascii: bool,
        width in 0..=250_u16, height in 0..=80_u16,
    ) {
        let histogram = Histogram {
            first: Series { name: "fraud@7", bars: &seven },
            second: eight.as_deref().map(|bars| Series { name: "Betrüger\u{4e2d}", bars }),
        };
        stays_inside((width, height), LETTERS[usize::from(ascii)], |theme, area, buf| {
            histogram.draw(theme, area, buf);
        });
    }

    #[test]
    fn no_request_is_lost_between_the_bars_and_the_columns(
        bars in bars(), columns in 1..=250_usize,
    ) {
        let bars: Vec<Bar> = bars.into_iter().filter(|bar| bar.low_ns < u64::MAX).collect();
        let series = Series { name: "", bars: &bars };
        let Some(scale) = (Histogram { first: series, second: None }).scale() else {
            prop_assert!(bars.iter().all(|bar| bar.requests == 0));
            return Ok(());
        };
        let counts = rebinned(&bars, &edges(&scale, columns));
        let held: u64 = bars.iter().map(|bar| bar.requests).sum();
        prop_assert_eq!(counts.iter().sum::<u64>(), held);
    }

    #[test]
    fn a_bar_within_a_column_is_not_divided(
        at in 0..50_usize, part in 0.0..0.9_f64, requests in 1..u64::MAX,
    ) {
        let scale = LogScale { low: 1e6, high: 1e9 };
        let edges = edges(&scale, 50);
        let room = edges[at + 1] - edges[at];
        let low_ns = edges[at] + (room as f64 * part) as u64;
        let bar = Bar { low_ns, width_ns: (edges[at + 1] - low_ns).min(room / 10), requests };
        let mut expected = vec![0; 50];
        expected[at] = requests;
        prop_assert_eq!(rebinned(&[bar], &edges), expected);
    }
}
