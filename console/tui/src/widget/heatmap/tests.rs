//! The laws of the heat map, and how it looks.

use binnacle_core::view::Coarse;
use insta::assert_snapshot;
use proptest::prelude::*;

use super::super::canvas::{drawn, stays_inside, theme};
use super::*;
use crate::theme::{Background, Colours, Letters};

const LETTERS: [Letters; 2] = [Letters::Unicode, Letters::Ascii];
/// 13:30 of a day.
const FROM_US: i64 = 48_600_000_000;

fn cell(requests: u32, errors: u32, p99_ms: Option<f64>) -> Cell {
    let coarse = |ms: f64| Coarse::of_ns(Some((ms * 1e6) as u64));
    Cell {
        requests,
        errors,
        p50: p99_ms.map_or(Coarse::default(), |ms| coarse(ms / 10.0)),
        p99: p99_ms.map_or(Coarse::default(), coarse),
    }
}

/// Twelve hosts over half an hour: one that is throttled, one that is away, one that is idle,
/// one with few requests.
fn history(hosts: usize) -> History {
    let row = |host: usize| {
        let cells = (0..30).map(|minute| match (host, minute) {
            (0, 12..) => Some(cell(1_200, minute * 2, Some(40.0 * f64::from(minute - 10)))),
            (1, 10..20) => None,
            (2, 15..) => Some(cell(0, 0, None)),
            (3, _) => Some(cell(12, 0, None)),
            (host, minute) => {
                let noise = 1.0 + (host * 7 + minute as usize * 3 % 5) as f64 / 40.0;
                Some(cell(1_000, 0, Some(31.0 * noise)))
            }
        });
        (
            format!("infer-{:04}", host * 41 % 1_000).into(),
            cells.collect(),
        )
    };
    History {
        as_of_us: FROM_US + 30 * 60_000_000,
        from_us: FROM_US,
        step_s: 60,
        hosts: (0..hosts).map(row).collect(),
    }
}

fn picture(letters: Letters, size: (u16, u16), map: &HeatMap<'_>) -> String {
    drawn(size, |area, buf| map.draw(&theme(letters), area, buf))
}

fn at(row: usize, column: usize) -> Option<Spot> {
    Some(Spot { row, column })
}

#[test]
fn hosts_over_half_an_hour() {
    let history = history(12);
    let map = HeatMap {
        history: &history,
        measure: Measure::P99,
        cursor: at(0, 20),
    };
    assert_snapshot!(
        LETTERS
            .map(|letters| picture(letters, (110, 12), &map))
            .join("\n\n")
    );
}

#[test]
fn errors_and_rates_have_their_own_scales() {
    let history = history(5);
    let told = [Measure::Errors, Measure::Rate].map(|measure| {
        let map = HeatMap {
            history: &history,
            measure,
            cursor: at(1, 12),
        };
        picture(Letters::Unicode, (78, 8), &map)
    });
    assert_snapshot!(told.join("\n\n"));
}

#[test]
fn where_there_is_little_room_the_rows_stay() {
    let history = history(12);
    let map = HeatMap {
        history: &history,
        measure: Measure::P99,
        cursor: at(11, 2),
    };
    let sizes = [(40, 6), (24, 4), (16, 2), (5, 1)];
    let told = sizes.map(|size| format!("{size:?}\n{}", picture(Letters::Unicode, size, &map)));
    assert_snapshot!(told.join("\n\n"));
}

#[test]
fn a_history_of_nobody_says_so() {
    let history = History::default();
    let map = HeatMap {
        history: &history,
        measure: Measure::P99,
        cursor: at(0, 0),
    };
    let told = picture(Letters::Unicode, (40, 4), &map);
    assert_eq!(told.trim_end(), "no host is known in this span");
    assert_eq!(map.words(), None);
}

#[test]
fn the_cell_under_the_cursor_is_told_in_words() {
    let history = history(12);
    let words = |row, column| {
        let map = HeatMap {
            history: &history,
            measure: Measure::P99,
            cursor: at(row, column),
        };
        map.words().unwrap()
    };
    assert_snapshot!([words(0, 20), words(1, 12), words(2, 20), words(3, 0)].join("\n"));
}

#[test]
fn its_styles_are_those_of_its_levels_and_the_cursor_is_reversed() {
    let history = history(4);
    let map = HeatMap {
        history: &history,
        measure: Measure::P99,
        cursor: at(0, 29),
    };
    for colours in [
        Colours::None,
        Colours::Ansi16,
        Colours::Ansi256,
        Colours::True,
    ] {
        let theme = Theme::new(colours, Background::Dark, Letters::Unicode);
        let area = Rect::new(0, 0, 41, 8);
        let mut buf = Buffer::empty(area);
        map.draw(&theme, area, &mut buf);
        let places = [
            ((11, 0), Meaning::Heat(1)),
            ((39, 0), Meaning::Heat(7)),
            ((40, 0), Meaning::Selected),
            ((22, 1), Meaning::Unknown),
            ((12, 3), Meaning::Unknown),
        ];
        for (place, meaning) in places {
            let mut like = ratatui::buffer::Cell::EMPTY;
            like.set_style(theme.style(meaning));
            assert_eq!(buf[place].style(), like.style(), "{colours:?} {meaning:?}");
        }
    }
}

fn cells() -> impl Strategy<Value = Option<Cell>> {
    let requests = prop_oneof![Just(0_u32), 1..50_u32, any::<u32>()];
    let cell = (requests, any::<u32>(), any::<u16>(), any::<u16>());
    let cell = cell.prop_map(|(requests, errors, p50, p99)| Cell {
        requests,
        errors: errors.min(requests),
        p50: Coarse(p50),
        p99: Coarse(p99),
    });
    prop::option::weighted(0.8, cell)
}

fn histories() -> impl Strategy<Value = History> {
    let row = ("\\PC{0,20}", prop::collection::vec(cells(), 0..60));
    let row = row.prop_map(|(name, cells)| (name.into(), cells));
    let hosts = prop::collection::vec(row, 0..40);
    (hosts, any::<i64>(), prop_oneof![Just(60_u32), any::<u32>()]).prop_map(
        |(hosts, from_us, step_s)| History {
            as_of_us: from_us,
            from_us,
            step_s,
            hosts,
        },
    )
}

fn measures() -> impl Strategy<Value = Measure> {
    prop_oneof![
        Just(Measure::P99),
        Just(Measure::Errors),
        Just(Measure::Rate)
    ]
}

proptest! {
    #[test]
    fn it_stays_inside(
        history in histories(), measure in measures(), ascii: bool,
        cursor in prop::option::of((0..100_usize, 0..100_usize)),
        width in 0..=250_u16, height in 0..=80_u16,
    ) {
        let cursor = cursor.map(|(row, column)| Spot { row, column });
        let map = HeatMap { history: &history, measure, cursor };
        stays_inside((width, height), LETTERS[usize::from(ascii)], |theme, area, buf| {
            map.draw(theme, area, buf);
        });
    }

    #[test]
    fn more_is_never_a_lower_level(
        values in prop::collection::vec(1e-6..1e9_f64, 1..30),
    ) {
        let scale = LogScale::over(values.iter().copied(), LEAST_RATIO).unwrap();
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        let levels: Vec<usize> = sorted.iter().map(|value| level(&scale, *value)).collect();
        prop_assert!(levels.is_sorted());
        prop_assert!(levels.iter().all(|level| (1..=LEVELS).contains(level)));
    }

    #[test]
    fn what_is_not_known_never_looks_like_a_value(
        values in prop::collection::vec(cells(), 1..30), measure in measures(), ascii: bool,
    ) {
        let letters = LETTERS[usize::from(ascii)];
        let history = History {
            step_s: 60,
            hosts: vec![("h".into(), values.clone())],
            ..History::default()
        };
        let map = HeatMap { history: &history, measure, cursor: None };
        let area = Rect::new(0, 0, 2 + values.len() as u16, 1);
        prop_assume!(area.width / 3 >= 2);
        let mut buf = Buffer::empty(area);
        map.draw(&theme(letters), area, &mut buf);
        let of_values: &[char] = if ascii { &GLYPHS_ASCII } else { &GLYPHS };
        for (x, value) in values.iter().enumerate() {
            let glyph = buf[(x as u16 + 2, 0)].symbol().chars().next().unwrap();
            let is_value = matches!(map.value(value.as_ref()), Value::Of(_));
            prop_assert_eq!(of_values.contains(&glyph), is_value, "{:?} as {:?}", value, glyph);
            let gap = if ascii { '?' } else { '·' };
            prop_assert_eq!(value.is_none(), glyph == gap);
        }
    }

    #[test]
    fn the_cursor_is_in_view_and_the_pages_are_full(
        all in 1..500_usize, size in 1..80_usize, at in 0..500_usize,
    ) {
        let page = page(all, size, at);
        prop_assert!(page.contains(&at.min(all - 1)));
        prop_assert_eq!(page.len(), size.min(all));
        prop_assert!(page.end <= all);
    }
}
