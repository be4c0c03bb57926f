//! Drawing a table: which columns fit, which rows are visible; as cards where it is narrow.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;

use super::{Column, Row, Table};
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::line;

/// The mark before each row.
const GUTTER: u16 = 2;
/// Blanks between columns.
const GAP: u16 = 2;

/// How many rows an area shows.
pub(super) fn lines(look: &Look<'_>, area: Rect) -> usize {
    let below_title = usize::from(area.height.saturating_sub(1));
    match look.is_narrow {
        true => usize::from(area.height) / 2,
        false => below_title,
    }
}

/// Draws the table.
pub(super) fn table<R: Row>(
    table: &Table<R>,
    rows: &[R],
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
) {
    if area.is_empty() {
        return;
    }
    if look.is_narrow {
        return cards(table, rows, look, area, buf);
    }
    let shown = fitting(table, area.width);
    titles(table, &shown, look, line::row(area, 0), buf);
    let visible = table.rows(rows).skip(table.top);
    for (at, row) in visible.take(lines(look, area)).enumerate() {
        let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
        gutter(table, row, look, place, buf);
        let is_selected = table.selected.as_ref() == Some(row.id());
        let mut x = place.x + GUTTER;
        for (at, (column, width)) in shown.iter().enumerate() {
            let cell = Rect {
                x,
                width: (*width).min(area.right().saturating_sub(x)),
                ..place
            };
            let (text, style) = text(column, row, look, at == 0 && is_selected);
            line::draw_aligned(&text, style, column.align, cell, buf);
            x = x.saturating_add(width + GAP);
        }
    }
}

/// The columns that fit, each with its width: those of the highest rank go first; what is left
/// goes to those that grow.
fn fitting<R: Row>(table: &Table<R>, width: u16) -> Vec<(&'static Column<R>, u16)> {
    let columns = table.columns.iter();
    let mut shown: Vec<&Column<R>> = columns
        .filter(|column| !table.hidden.contains(column.title))
        .collect();
    let needed = |shown: &[&Column<R>]| {
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
    let widen = |column: &'static Column<R>| {
        let more = column.grows.min(left);
        left -= more;
        (column, column.width + more)
    };
    shown.into_iter().map(widen).collect()
}

fn titles<R: Row>(
    table: &Table<R>,
    shown: &[(&'static Column<R>, u16)],
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
) {
    let sorted = table.columns.get(table.sort.0).map(|column| column.title);
    let arrow = if table.sort.1 { '▾' } else { '▴' };
    let mut x = area.x + GUTTER;
    for (column, width) in shown {
        let is_sorted = sorted == Some(column.title);
        let title = match (is_sorted, column.align) {
            (false, _) => column.title.to_owned(),
            (true, Alignment::Right) => format!("{arrow}{}", column.title),
            (true, Alignment::Left | Alignment::Center) => format!("{}{arrow}", column.title),
        };
        let cell = Rect {
            x,
            width: (*width).min(area.right().saturating_sub(x)),
            ..area
        };
        let meaning = if is_sorted {
            Meaning::Title
        } else {
            Meaning::Quiet
        };
        line::draw_aligned(&title, look.style(meaning), column.align, cell, buf);
        x = x.saturating_add(width + GAP);
    }
}

fn gutter<R: Row>(table: &Table<R>, row: &R, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let is_marked = table.marks.contains(row.id());
    let mark = match (table.selected.as_ref() == Some(row.id()), is_marked) {
        (true, true) => "▌*",
        (true, false) => "▌ ",
        (false, true) => " *",
        (false, false) => return,
    };
    line::draw(mark, look.style(Meaning::Accent), area, buf);
}

fn text<R: Row>(
    column: &Column<R>,
    row: &R,
    look: &Look<'_>,
    is_selected: bool,
) -> (String, Style) {
    let (text, meaning) = (column.cell)(row, look);
    let is_stale = look.is_stale() || row.is_stale();
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

/// Each row on two lines: its name and words, then its figures with their headings.
fn cards<R: Row>(table: &Table<R>, rows: &[R], look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let columns = table.columns.iter();
    let columns: Vec<&Column<R>> = columns
        .filter(|column| !table.hidden.contains(column.title))
        .collect();
    let visible = table.rows(rows).skip(table.top).take(lines(look, area));
    for (at, row) in visible.enumerate() {
        let at = u16::try_from(at * 2).unwrap_or(u16::MAX);
        let (first, second) = (line::row(area, at), line::row(area, at.saturating_add(1)));
        gutter(table, row, look, first, buf);
        let is_selected = table.selected.as_ref() == Some(row.id());
        let (mut words, mut figures) = (Vec::new(), Vec::new());
        for (at, column) in columns.iter().enumerate() {
            let (text, style) = text(column, row, look, at == 0 && is_selected);
            if column.align == Alignment::Right {
                let title = column.title.to_lowercase();
                figures.push((format!("{title} "), look.style(Meaning::Quiet)));
                figures.push((format!("{text}  "), style));
            } else {
                words.push((text, style));
                words.push(("  ".to_owned(), Style::new()));
            }
        }
        let indent = |area: Rect, by: u16| Rect {
            x: area.x.saturating_add(by),
            width: area.width.saturating_sub(by),
            ..area
        };
        line::draw_pieces(&words, indent(first, GUTTER), buf);
        line::draw_pieces(&figures, indent(second, GUTTER + 2), buf);
    }
}
