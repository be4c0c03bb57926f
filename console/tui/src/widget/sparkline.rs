//! A sparkline: a figure's past in a few cells.
//!
//! ```text
//! ▁▂▂▃▅▆▇██·▆▅▃      _.::-=+*##?+=:      one line
//! ```
//! Time runs from left to right and ends at the right edge, so that rows of a table line up.
//! Each column is its value's share of the greatest, in eighths of a cell; the least level is
//! a line at the bottom, for zero too. What is unknown is a gap, `·`, and never zero.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::pen::Pen;
use crate::theme::{Meaning, Theme};

/// Levels in one cell.
const EIGHTHS: usize = 8;
const BLOCKS: [char; EIGHTHS] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const BLOCKS_ASCII: [char; EIGHTHS] = ['_', '.', ':', '-', '=', '+', '*', '#'];

/// Values over time.
#[derive(Clone, Copy, Debug)]
pub struct Sparkline<'a> {
    /// Oldest first; of those that do not fit the newest are shown. Absent: unknown.
    pub values: &'a [Option<f64>],
    /// What a full column stands for; absent: the greatest value that is shown.
    pub max: Option<f64>,
    /// Which style.
    pub meaning: Meaning,
}

impl Sparkline<'_> {
    /// Draws it over the whole height of the area.
    pub fn draw(&self, theme: &Theme, area: Rect, buf: &mut Buffer) {
        let mut pen = Pen::new(theme, area, buf);
        let (width, height) = (pen.width(), pen.height());
        let Some(bottom) = height.checked_sub(1) else {
            return;
        };
        let hidden = self.values.len().saturating_sub(width);
        let shown = self.values.get(hidden..).unwrap_or_default();
        let full = self.max.filter(|max| max.is_finite());
        let full = full.unwrap_or_else(|| shown.iter().filter_map(known).fold(0.0, f64::max));
        for (at, value) in shown.iter().enumerate() {
            let x = width - shown.len() + at;
            match known(value) {
                Some(value) => {
                    let level = level(value, full, height * EIGHTHS);
                    column(&mut pen, (x, bottom), level, self.meaning);
                }
                None => pen.dot(x, bottom, pen.unknown(), Meaning::Unknown),
            }
        }
    }
}

/// What can be drawn as a height.
fn known(value: &Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite())
}

/// From 1 to `levels`.
fn level(value: f64, full: f64, levels: usize) -> usize {
    let share = if full > 0.0 { value / full } else { 0.0 };
    ((share * levels as f64).round() as usize).clamp(1, levels.max(1))
}

/// Draws a column of this many eighths of a cell, from this cell upwards.
pub(super) fn column(pen: &mut Pen<'_>, (x, bottom): (usize, usize), eighths: usize, of: Meaning) {
    let blocks = if pen.is_ascii() { BLOCKS_ASCII } else { BLOCKS };
    for y in 0..eighths.div_ceil(EIGHTHS) {
        let here = (eighths - y * EIGHTHS).min(EIGHTHS);
        let block = here.checked_sub(1).and_then(|at| blocks.get(at));
        if let (Some(y), Some(block)) = (bottom.checked_sub(y), block) {
            pen.dot(x, y, *block, of);
        }
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use proptest::prelude::*;

    use super::super::canvas::{drawn, stays_inside, theme};
    use super::*;
    use crate::theme::{Background, Colours, Letters};

    const LETTERS: [Letters; 2] = [Letters::Unicode, Letters::Ascii];

    fn line(values: &[Option<f64>], letters: Letters, size: (u16, u16)) -> String {
        let sparkline = Sparkline {
            values,
            max: None,
            meaning: Meaning::First,
        };
        drawn(size, |area, buf| sparkline.draw(&theme(letters), area, buf))
    }

    #[test]
    fn a_past_in_a_few_cells() {
        let values: Vec<_> = (0..16)
            .map(|at| (at != 9).then_some(f64::from(at)))
            .collect();
        let told = LETTERS.map(|letters| {
            let one = line(&values, letters, (20, 1));
            let tall = line(&values, letters, (12, 3));
            format!("{one}|\n\n{tall}|")
        });
        assert_snapshot!(told.join("\n\n"));
    }

    #[test]
    fn zeros_lie_at_the_bottom_and_the_unknown_is_no_zero() {
        let values = [Some(0.0), None, Some(0.0), Some(f64::NAN)];
        assert_eq!(line(&values, Letters::Unicode, (4, 1)), "▁·▁·");
        assert_eq!(line(&values, Letters::Ascii, (4, 1)), "_?_?");
    }

    #[test]
    fn its_style_is_its_meanings() {
        for colours in [
            Colours::None,
            Colours::Ansi16,
            Colours::Ansi256,
            Colours::True,
        ] {
            let theme = Theme::new(colours, Background::Dark, Letters::Unicode);
            let area = Rect::new(0, 0, 2, 1);
            let mut buf = Buffer::empty(area);
            let sparkline = Sparkline {
                values: &[Some(1.0), None],
                max: None,
                meaning: Meaning::Second,
            };
            sparkline.draw(&theme, area, &mut buf);
            for (x, meaning) in [(0, Meaning::Second), (1, Meaning::Unknown)] {
                let mut cell = ratatui::buffer::Cell::EMPTY;
                cell.set_style(theme.style(meaning));
                assert_eq!(buf[(x, 0)].style(), cell.style(), "{colours:?} {meaning:?}");
            }
        }
    }

    fn values() -> impl Strategy<Value = Vec<Option<f64>>> {
        let odd = prop_oneof![
            Just(f64::NAN),
            Just(f64::INFINITY),
            Just(-1.0),
            Just(f64::MAX)
        ];
        let value = prop_oneof![4 => 0.0..1e9_f64, 1 => odd];
        prop::collection::vec(prop::option::of(value), 0..300)
    }

    proptest! {
        #[test]
        fn it_stays_inside(
            values in values(), max in prop::option::of(-1.0..1e9_f64), ascii: bool,
            width in 0..=250_u16, height in 0..=80_u16,
        ) {
            let sparkline = Sparkline { values: &values, max, meaning: Meaning::First };
            stays_inside((width, height), LETTERS[usize::from(ascii)], |theme, area, buf| {
                sparkline.draw(theme, area, buf);
            });
        }

        #[test]
        fn more_is_never_lower(a in 0.0..1e9_f64, b in 0.0..1e9_f64, full in 0.0..1e9_f64) {
            let (low, high) = (a.min(b), a.max(b));
            prop_assert!(level(low, full, 24) <= level(high, full, 24));
            prop_assert!((1..=24).contains(&level(high, full, 24)));
        }

        #[test]
        fn the_unknown_is_a_gap_and_nothing_else_is(values in values()) {
            for (letters, gap) in LETTERS.into_iter().zip(['·', '?']) {
                let told = line(&values, letters, (300, 1));
                let shown: Vec<char> = told.trim_start().chars().collect();
                prop_assert_eq!(shown.len(), values.len());
                for (value, letter) in values.iter().zip(shown) {
                    prop_assert_eq!(known(value).is_none(), letter == gap);
                }
            }
        }
    }
}
