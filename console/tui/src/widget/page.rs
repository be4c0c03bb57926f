//! A page of lines, of which some can be selected; it scrolls so that what is selected is seen.
//!
//! ```text
//!  server + up  http://127.0.0.1:8000
//! ▌  fraud 7      + loaded  + answers
//!    fraud 8      + loaded  x answers  out of memory
//! ```

use std::ops::Range;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::keymap::Command;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::line;

/// One line: pieces of text, each with its meaning.
pub type Line = Vec<(String, Meaning)>;

/// The column before each line, where the selection's mark stands.
pub const GUTTER: u16 = 1;

/// Lines, and the things among them that can be selected.
#[derive(Debug)]
pub struct Page<I> {
    lines: Vec<Line>,
    items: Vec<(I, Range<usize>)>,
}

impl<I: PartialEq + Clone> Page<I> {
    /// An empty page.
    pub fn new() -> Self {
        Self {
            lines: Vec::new(),
            items: Vec::new(),
        }
    }

    /// Adds lines that are only read.
    pub fn read(&mut self, lines: impl IntoIterator<Item = Line>) {
        self.lines.extend(lines);
    }

    /// Adds something that can be selected; its mark stands before its first line.
    pub fn item(&mut self, item: I, lines: impl IntoIterator<Item = Line>) {
        let from = self.lines.len();
        self.lines.extend(lines);
        self.items.push((item, from..self.lines.len()));
    }

    /// How many lines there are.
    pub fn height(&self) -> usize {
        self.lines.len()
    }

    /// The selected thing, or what is selected where it is gone: the last.
    pub fn selected(&self, wanted: &I) -> Option<&I> {
        let found = self.items.iter().find(|(item, _)| item == wanted);
        found.or(self.items.last()).map(|(item, _)| item)
    }

    /// What is selected after a command that moves.
    #[allow(clippy::wildcard_enum_match_arm, reason = "other commands do not move")]
    pub fn moved(&self, from: &I, command: Command, height: u16) -> Option<I> {
        let last = self.items.len().checked_sub(1)?;
        let at = self.items.iter().position(|(item, _)| item == from);
        let at = at.unwrap_or(last);
        let half = usize::from(height / 2).max(1);
        let to = match command {
            Command::Down => (at + 1).min(last),
            Command::Up => at.saturating_sub(1),
            Command::Top => 0,
            Command::Bottom => last,
            Command::PageDown => (at + half).min(last),
            Command::PageUp => at.saturating_sub(half),
            _ => return None,
        };
        self.items.get(to).map(|(item, _)| item.clone())
    }

    /// The first visible line, if it was `top` before: what is selected is seen, and what
    /// stands before the first thing that can be selected is seen with it.
    pub fn top(&self, top: usize, wanted: &I, height: u16) -> usize {
        let height = usize::from(height);
        let Some(at) = self.selected(wanted) else {
            return 0;
        };
        let at = self.items.iter().position(|(item, _)| item == at);
        let Some((at, (_, lines))) = at.and_then(|at| Some((at, self.items.get(at)?))) else {
            return 0;
        };
        let first = if at == 0 { 0 } else { lines.start };
        let least = lines.end.saturating_sub(height);
        // Where not everything fits, the line with the mark counts for more than the others.
        let last = self.lines.len().saturating_sub(height);
        top.min(last).min(first).max(least).min(lines.start)
    }

    /// Draws what is visible from `top` on.
    pub fn draw(&self, top: usize, wanted: &I, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let selected = self.selected(wanted);
        let marked = self.items.iter().find(|(item, _)| Some(item) == selected);
        let marked = marked.map(|(_, lines)| lines.start);
        let visible = self.lines.iter().enumerate().skip(top);
        for (row, (at, pieces)) in visible.take(area.height.into()).enumerate() {
            let place = line::row(area, u16::try_from(row).unwrap_or(u16::MAX));
            let is_marked = marked == Some(at);
            if is_marked {
                line::draw("▌", look.style(Meaning::Accent), place, buf);
            }
            let mut is_named = !is_marked;
            let styled: Vec<_> = pieces
                .iter()
                .map(|(text, meaning)| {
                    let is_name = !is_named && !text.trim().is_empty();
                    is_named |= is_name;
                    let meaning = if is_name { Meaning::Selected } else { *meaning };
                    (text.clone(), look.style(meaning))
                })
                .collect();
            let inner = Rect {
                x: place.x.saturating_add(GUTTER),
                width: place.width.saturating_sub(GUTTER),
                ..place
            };
            line::draw_pieces(&styled, inner, buf);
        }
    }
}

impl<I: PartialEq + Clone> Default for Page<I> {
    fn default() -> Self {
        Self::new()
    }
}

/// One piece.
pub fn piece(text: impl Into<String>, meaning: Meaning) -> (String, Meaning) {
    (text.into(), meaning)
}

/// Columns that a line takes.
pub fn width(pieces: &Line) -> u16 {
    let widths = pieces.iter().map(|(text, _)| line::width(text));
    widths.fold(0, u16::saturating_add)
}

/// Two stacks of lines side by side, the right one from column `at` on.
pub fn beside(left: Vec<Line>, right: Vec<Line>, at: u16) -> Vec<Line> {
    let count = left.len().max(right.len());
    let (mut left, mut right) = (left.into_iter(), right.into_iter());
    let row = |_| {
        let mut row = fitted(left.next().unwrap_or_default(), at.saturating_sub(2));
        let taken = width(&row);
        let blanks = " ".repeat(at.saturating_sub(taken).into());
        row.push((blanks, Meaning::Text));
        row.extend(right.next().unwrap_or_default());
        row
    };
    (0..count).map(row).collect()
}

/// A line that takes no more than so many columns.
fn fitted(pieces: Line, columns: u16) -> Line {
    let mut left = columns;
    let mut fits = Vec::new();
    for (text, meaning) in pieces {
        if left == 0 {
            break;
        }
        let text = line::cut(&text, left);
        left = left.saturating_sub(line::width(&text));
        fits.push((text, meaning));
    }
    fits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(sizes: &[usize]) -> Page<usize> {
        let mut page = Page::new();
        for (at, size) in sizes.iter().enumerate() {
            page.read(vec![Line::new(); size / 3]);
            page.item(at, vec![Line::new(); size % 3 + 1]);
        }
        page
    }

    proptest! {
        #[test]
        fn what_is_selected_is_seen_however_it_is_scrolled(
            sizes in prop::collection::vec(0usize..12, 1..20),
            wanted in 0usize..24,
            was in 0usize..200,
            height in 1u16..40,
        ) {
            let page = page(&sizes);
            let top = page.top(was, &wanted, height);
            let selected = *page.selected(&wanted).unwrap();
            let first = page.items[selected].1.start;
            prop_assert!(top <= first && first < top + usize::from(height));
            prop_assert!(top == 0 || top < page.height());
        }
    }

    #[test]
    fn lines_side_by_side_keep_their_columns() {
        let word = |text: &str| vec![piece(text, Meaning::Text)];
        let rows = beside(
            vec![word("a long one"), word("b")],
            vec![word("1"), word("2"), word("3")],
            8,
        );
        let text = |row: &Line| {
            row.iter()
                .map(|(text, _)| text.as_str())
                .collect::<String>()
        };
        let texts: Vec<String> = rows.iter().map(text).collect();
        assert_eq!(texts, ["a lon…  1", "b       2", "        3"]);
    }
}
