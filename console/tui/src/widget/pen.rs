//! A pen: letters into a rectangle of a buffer, and never beside it.
//!
//! What is asked for outside the rectangle is dropped, so that a widget need not ask at each
//! letter whether there is room. Where the terminal has ASCII only, letters are replaced here.

use std::borrow::Cow;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use crate::theme::{Letters, Meaning, Theme};

/// Draws into one rectangle; places are relative to its upper left corner.
pub(super) struct Pen<'a> {
    theme: &'a Theme,
    area: Rect,
    buf: &'a mut Buffer,
}

impl<'a> Pen<'a> {
    /// A pen for the part of the rectangle that the buffer has.
    pub(super) fn new(theme: &'a Theme, area: Rect, buf: &'a mut Buffer) -> Self {
        let area = area.intersection(buf.area);
        Self { theme, area, buf }
    }

    /// Columns.
    pub(super) fn width(&self) -> usize {
        usize::from(self.area.width)
    }

    /// Lines.
    pub(super) fn height(&self) -> usize {
        usize::from(self.area.height)
    }

    /// Whether there are no letters but ASCII.
    pub(super) fn is_ascii(&self) -> bool {
        self.theme.letters == Letters::Ascii
    }

    /// One of two letters, by what the terminal has.
    pub(super) fn letter(&self, unicode: char, ascii: char) -> char {
        match self.theme.letters {
            Letters::Unicode => unicode,
            Letters::Ascii => ascii,
        }
    }

    /// What stands where nothing is known: never a letter that stands for a value.
    pub(super) fn unknown(&self) -> char {
        self.letter('·', '?')
    }

    /// Draws one letter.
    pub(super) fn dot(&mut self, x: usize, y: usize, letter: char, meaning: Meaning) {
        let style = self.theme.style(meaning);
        if let Some(cell) = self.place(x, y).and_then(|at| self.buf.cell_mut(at)) {
            cell.set_char(letter).set_style(style);
        }
    }

    /// Draws another meaning over what stands there.
    pub(super) fn mark(&mut self, x: usize, y: usize, meaning: Meaning) {
        let style = self.theme.style(meaning);
        if let Some(cell) = self.place(x, y).and_then(|at| self.buf.cell_mut(at)) {
            cell.set_style(style);
        }
    }

    /// Draws text up to the right edge; says where it ends.
    pub(super) fn text(&mut self, x: usize, y: usize, text: &str, meaning: Meaning) -> usize {
        let (style, text) = (self.theme.style(meaning), self.plain(text));
        let Some((column, line)) = self.place(x, y) else {
            return x;
        };
        let room = self.width() - x;
        let (end, _) = self.buf.set_stringn(column, line, text, room, style);
        usize::from(end.saturating_sub(self.area.x))
    }

    /// Draws text that ends before this column; drops it where it would begin too far left.
    pub(super) fn text_before(&mut self, end: usize, y: usize, text: &str, meaning: Meaning) {
        if let Some(x) = end.checked_sub(width(text)) {
            self.text(x, y, text, meaning);
        }
    }

    fn place(&self, x: usize, y: usize) -> Option<(u16, u16)> {
        let inside = x < self.width() && y < self.height();
        let offset = |start: u16, by: usize| start.checked_add(u16::try_from(by).ok()?);
        if !inside {
            return None;
        }
        Some((offset(self.area.x, x)?, offset(self.area.y, y)?))
    }

    fn plain<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if !self.is_ascii() || text.is_ascii() {
            return Cow::Borrowed(text);
        }
        Cow::Owned(text.chars().map(plain).collect())
    }
}

/// The nearest letter of ASCII.
fn plain(letter: char) -> char {
    match letter {
        letter if letter.is_ascii() => letter,
        'µ' => 'u',
        '–' | '—' | '─' => '-',
        '·' => '.',
        '…' => '~',
        '→' => '>',
        '×' => 'x',
        _ => '?',
    }
}

/// Columns that text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// Text in no more than this many columns; what was cut off is told by an ellipsis.
pub(super) fn cut(text: &str, room: usize) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    let Some(room) = room.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let mut kept = String::new();
    for letter in text.chars() {
        kept.push(letter);
        if width(&kept) > room {
            kept.pop();
            break;
        }
    }
    kept.push('…');
    Cow::Owned(kept)
}

/// The end of text in no more than this many columns: hosts differ in how their names end.
pub(super) fn cut_front(text: &str, room: usize) -> Cow<'_, str> {
    if width(text) <= room {
        return Cow::Borrowed(text);
    }
    let Some(room) = room.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let mut ends = text.char_indices().map(|(at, _)| text.get(at..));
    let end = ends.find_map(|end| end.filter(|end| width(end) <= room));
    Cow::Owned(format!("…{}", end.unwrap_or_default()))
}
