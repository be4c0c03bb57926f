//! Rows in columns: which columns fit, titles, marks; as cards where it is narrow. What the
//! tables have in common, whether all their rows are here or only those that are seen.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;

use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::line;

/// The mark before each row.
const GUTTER: u16 = 2;
/// Blanks between columns.
const GAP: u16 = 2;

/// The text of a cell and what it means.
pub type Text = (String, Meaning);

/// How a row's text in a column is made.
pub type Cell<'a, R> = Box<dyn Fn(&R, &Look<'_>) -> Text + 'a>;

/// One column, as it is drawn.
pub struct Drawn<'a, R> {
    /// Its heading.
    pub title: Cow<'a, str>,
    /// Its width.
    pub width: u16,
    /// Columns that it takes more where there is room: those further left come first.
    pub grows: u16,
    /// Where its text stands.
    pub align: Alignment,
    /// In which order columns are left out where there is no room: the greatest first; 0 never.
    pub rank: u8,
    /// Its text in a row.
    pub cell: Cell<'a, R>,
}

impl<R> fmt::Debug for Drawn<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.title)
    }
}

/// Columns and what stands out in them.
#[derive(Debug)]
pub struct Grid<'a, R> {
    /// The columns, the first being what a row is known by.
    pub columns: Vec<Drawn<'a, R>>,
    /// Which one it is sorted by, and whether the greatest is first.
    pub sorted: Option<(&'a str, bool)>,
    /// What is selected.
    pub selected: Option<&'a str>,
    /// What is marked.
    pub marks: &'a BTreeSet<Arc<str>>,
}

/// A row, what it is known by, and whether its figures may not be so any more.
#[derive(Debug)]
pub struct Seen<'a, R> {
    /// What it is known by.
    pub id: Cow<'a, str>,
    /// The row.
    pub row: &'a R,
    /// Whether its figures may not be so any more.
    pub is_stale: bool,
}

/// How many rows an area shows.
pub fn lines(look: &Look<'_>, area: Rect) -> usize {
    let below_title = usize::from(area.height.saturating_sub(1));
    match look.is_narrow {
        true => usize::from(area.height) / 2,
        false => below_title,
    }
}

impl<R> Grid<'_, R> {
    /// Draws rows from the first visible one on; `None` for one that is still to come.
    pub fn draw<'r>(
        &self,
        rows: impl Iterator<Item = Option<Seen<'r, R>>>,
        look: &Look<'_>,
        area: Rect,
        buf: &mut Buffer,
    ) where
        R: 'r,
    {
        if area.is_empty() {
            return;
        }
        if look.is_narrow {
            return self.cards(rows, look, area, buf);
        }
        let shown = self.fitting(area.width);
        self.titles(&shown, look, line::row(area, 0), buf);
        for (at, row) in rows.take(lines(look, area)).enumerate() {
            let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
            let Some(row) = row else {
                line::draw("  …", look.style(Meaning::Unknown), place, buf);
                continue;
            };
            let is_selected = self.selected == Some(&*row.id);
            self.gutter(&row, look, place, buf);
            let mut x = place.x + GUTTER;
            for (at, (column, width)) in shown.iter().enumerate() {
                let cell = Rect {
                    x,
                    width: (*width).min(area.right().saturating_sub(x)),
                    ..place
                };
                let (text, style) = text(column, &row, look, at == 0 && is_selected);
                line::draw_aligned(&text, style, column.align, cell, buf);
                x = x.saturating_add(width + GAP);
            }
        }
    }

    /// The columns that fit, each with its width; what is left goes to those that grow.
    fn fitting(&self, width: u16) -> Vec<(&Drawn<'_, R>, u16)> {
        let mut shown: Vec<&Drawn<'_, R>> = self.columns.iter().collect();
        let needed = |shown: &[&Drawn<'_, R>]| {
            let columns = shown.iter().map(|column| u32::from(column.width + GAP));
            columns.sum::<u32>() + u32::from(GUTTER - GAP)
        };
        while needed(&shown) > u32::from(width) {
            let spare = shown
                .iter()
                .enumerate()
                .filter(|(_, column)| column.rank > 0);
            let Some((at, _)) = spare.max_by_key(|(at, column)| (column.rank, *at)) else {
                break;
            };
            shown.remove(at);
        }
        let left = u32::from(width).saturating_sub(needed(&shown));
        let mut left = u16::try_from(left).unwrap_or(0);
        let mut wide = Vec::with_capacity(shown.len());
        for column in shown {
            let more = column.grows.min(left);
            left -= more;
            wide.push((column, column.width + more));
        }
        wide
    }

    fn titles(
        &self,
        shown: &[(&Drawn<'_, R>, u16)],
        look: &Look<'_>,
        area: Rect,
        buf: &mut Buffer,
    ) {
        let mut x = area.x + GUTTER;
        for (column, width) in shown {
            let sorted = self.sorted.filter(|(title, _)| *title == column.title);
            let arrow = |descending| if descending { '▾' } else { '▴' };
            let title = match (sorted, column.align) {
                (None, _) => column.title.to_string(),
                (Some((_, down)), Alignment::Right) => {
                    format!("{}{}", arrow(down), column.title)
                }
                (Some((_, down)), Alignment::Left | Alignment::Center) => {
                    format!("{}{}", column.title, arrow(down))
                }
            };
            let cell = Rect {
                x,
                width: (*width).min(area.right().saturating_sub(x)),
                ..area
            };
            let meaning = match sorted {
                Some(_) => Meaning::Title,
                None => Meaning::Quiet,
            };
            line::draw_aligned(&title, look.style(meaning), column.align, cell, buf);
            x = x.saturating_add(width + GAP);
        }
    }

    fn gutter(&self, row: &Seen<'_, R>, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let is_marked = self.marks.contains(&*row.id);
        let mark = match (self.selected == Some(&*row.id), is_marked) {
            (true, true) => "▌*",
            (true, false) => "▌ ",
            (false, true) => " *",
            (false, false) => return,
        };
        line::draw(mark, look.style(Meaning::Accent), area, buf);
    }

    /// Each row on two lines: its name and words, then its figures with their headings.
    fn cards<'r>(
        &self,
        rows: impl Iterator<Item = Option<Seen<'r, R>>>,
        look: &Look<'_>,
        area: Rect,
        buf: &mut Buffer,
    ) where
        R: 'r,
    {
        let indent = |area: Rect, by: u16| Rect {
            x: area.x.saturating_add(by),
            width: area.width.saturating_sub(by),
            ..area
        };
        for (at, row) in rows.take(lines(look, area)).enumerate() {
            let at = u16::try_from(at * 2).unwrap_or(u16::MAX);
            let (first, second) = (line::row(area, at), line::row(area, at.saturating_add(1)));
            let Some(row) = row else {
                line::draw("  …", look.style(Meaning::Unknown), first, buf);
                continue;
            };
            self.gutter(&row, look, first, buf);
            let is_selected = self.selected == Some(&*row.id);
            let (mut words, mut figures) = (Vec::new(), Vec::new());
            for (at, column) in self.columns.iter().enumerate() {
                let (text, style) = text(column, &row, look, at == 0 && is_selected);
                if column.align == Alignment::Right {
                    let title = column.title.to_lowercase();
                    figures.push((format!("{title} "), look.style(Meaning::Quiet)));
                    figures.push((format!("{text}  "), style));
                } else {
                    words.push((text, style));
                    words.push(("  ".to_owned(), Style::new()));
                }
            }
            line::draw_pieces(&words, indent(first, GUTTER), buf);
            line::draw_pieces(&figures, indent(second, GUTTER + 2), buf);
        }
    }
}

fn text<R>(
    column: &Drawn<'_, R>,
    row: &Seen<'_, R>,
    look: &Look<'_>,
    is_selected: bool,
) -> (String, Style) {
    let (text, meaning) = (column.cell)(row.row, look);
    let is_stale = look.is_stale() || row.is_stale;
    let is_figure = column.align == Alignment::Right;
    let text = match is_stale && is_figure && text.starts_with(|at: char| at.is_ascii_digit()) {
        true => format!("~{text}"),
        false => text,
    };
    let meaning = match (is_selected, is_stale && is_figure) {
        (true, _) => Meaning::Selected,
        (false, true) => Meaning::Stale,
        (false, false) => meaning,
    };
    (text, look.style(meaning))
}
