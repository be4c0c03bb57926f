//! Frames as bytes: what changed since the frame before, in as few as are simple to say.
//!
//! ```text
//! frame before ┐
//!              ├ changes ─▶ ESC[12;3H ESC[0;1;38;5;203m x CRIT …
//! frame now ───┘
//! ```
//!
//! Of our own, and not the usual backend, for three reasons: that one sets colours back cell by
//! cell (a frame costs three times the bytes), it mishandles `NO_COLOR` by resetting what is
//! reversed, and here no control character can pass, whatever a name contains.

use std::io::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr as _;

/// Shown in place of what would steer the terminal.
const REPLACEMENT: &str = "?";

/// What a terminal has been told so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pen {
    /// Where the next letter lands; unknown after letters about whose width terminals differ.
    at: Option<(u16, u16)>,
    look: Look,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Look {
    fg: Color,
    bg: Color,
    modifier: Modifier,
}

impl Look {
    fn of(cell: &Cell) -> Self {
        Self {
            fg: cell.fg,
            bg: cell.bg,
            modifier: cell.modifier,
        }
    }
}

/// The bytes that turn a terminal that shows `before` into one that shows `now`; none where
/// nothing changed. Both have the same area. The pen is left plain.
pub fn changes(before: &Buffer, now: &Buffer) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut pen = Pen {
        at: None,
        look: Look::default(),
    };
    for (x, y, cell) in differing(before, now) {
        if !walk(&mut bytes, &pen, (x, y), now) {
            move_to(&mut bytes, pen.at, (x, y));
        }
        dress(&mut bytes, &mut pen.look, Look::of(cell));
        let (symbol, width) = safe(cell.symbol());
        bytes.extend_from_slice(symbol.as_bytes());
        pen.at = width.map(|width| (x.saturating_add(width), y));
        // At the right edge terminals differ in where the cursor waits.
        pen.at = pen.at.filter(|(x, _)| *x < now.area.right());
    }
    if pen.look != Look::default() {
        bytes.extend_from_slice(b"\x1b[m");
    }
    bytes
}

/// The cells that have to be written. A line with letters about whose width terminals differ is
/// written whole: what is left of a wide letter that was half covered, each shows as it likes.
fn differing<'a>(
    before: &'a Buffer,
    now: &'a Buffer,
) -> impl Iterator<Item = (u16, u16, &'a Cell)> {
    let width = usize::from(now.area.width).max(1);
    let lines = before.content.chunks(width).zip(now.content.chunks(width));
    lines.zip(now.area.top()..).flat_map(|((before, now), y)| {
        let odd = |line: &[Cell]| line.iter().any(|cell| safe(cell.symbol()).1.is_none());
        let is_new = before != now;
        let is_odd = is_new && (odd(before) || odd(now));
        let cells = before.iter().zip(now).zip(0_u16..);
        let mut covered = 0;
        cells.filter_map(move |((before, now), x)| {
            // The second half of a wide letter is no letter of its own.
            if covered > 0 {
                covered -= 1;
                return None;
            }
            if is_odd {
                covered = safe(now.symbol()).0.width().saturating_sub(1);
            }
            (is_new && (is_odd || before != now)).then_some((x, y, now))
        })
    })
}

/// A frame as lines of text, without what is blank at their ends.
pub fn text(frame: &Buffer) -> String {
    lines(frame, |line, _, symbol| line.push_str(symbol))
}

/// The same with colours and emphasis.
pub fn coloured(frame: &Buffer) -> String {
    let mut look = Look::default();
    let mut text = lines(frame, |line, cell, symbol| {
        let mut bytes = Vec::new();
        dress(&mut bytes, &mut look, Look::of(cell));
        line.push_str(&String::from_utf8_lossy(&bytes));
        line.push_str(symbol);
    });
    text.push_str("\x1b[m");
    text
}

fn lines(frame: &Buffer, mut put: impl FnMut(&mut String, &Cell, &str)) -> String {
    let mut text = String::new();
    let width = usize::from(frame.area.width).max(1);
    for row in frame.content.chunks(width) {
        let plain = Cell::default();
        let used = row.iter().rposition(|cell| *cell != plain);
        let mut covered = 0;
        for cell in row.iter().take(used.map_or(0, |last| last + 1)) {
            // The second half of a wide letter is no letter of its own.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            let (symbol, _) = safe(cell.symbol());
            covered = symbol.width().saturating_sub(1);
            put(&mut text, cell, symbol);
        }
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
    text
}

/// The symbol, unless it would steer the terminal; and how many columns it takes, where all
/// terminals agree.
fn safe(symbol: &str) -> (&str, Option<u16>) {
    let steers = |letter: char| {
        letter.is_control()
            || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if symbol.is_empty() {
        return (" ", Some(1));
    }
    if symbol.contains(steers) {
        return (REPLACEMENT, Some(1));
    }
    let mut letters = symbol.chars();
    let one = letters.next().is_some() && letters.next().is_none();
    (symbol, (one && symbol.width() == 1).then_some(1))
}

/// Reaches a cell near by on the same line by writing again what lies between, where that is in
/// the pen's look and no longer than a move: blanks between words cost a byte, not three.
fn walk(bytes: &mut Vec<u8>, pen: &Pen, (x, y): (u16, u16), now: &Buffer) -> bool {
    /// A move to the right has as many bytes.
    const WALK_MAX: u16 = 4;
    let Some((from, line)) = pen.at else {
        return false;
    };
    if line != y || from >= x || x - from > WALK_MAX {
        return false;
    }
    let mut between = Vec::new();
    for column in from..x {
        let Some(cell) = now.cell((column, y)) else {
            return false;
        };
        let (symbol, width) = safe(cell.symbol());
        if Look::of(cell) != pen.look || width.is_none() {
            return false;
        }
        between.extend_from_slice(symbol.as_bytes());
    }
    let is_short = between.len() <= usize::from(WALK_MAX);
    if is_short {
        bytes.append(&mut between);
    }
    is_short
}

fn move_to(bytes: &mut Vec<u8>, from: Option<(u16, u16)>, (x, y): (u16, u16)) {
    let written = match from {
        Some(at) if at == (x, y) => Ok(()),
        Some((old, line)) if line == y && x > old => match x - old {
            1 => write!(bytes, "\x1b[C"),
            by => write!(bytes, "\x1b[{by}C"),
        },
        Some(_) | None => write!(bytes, "\x1b[{};{}H", y + 1, x + 1),
    };
    written.expect("writing to a vector cannot fail");
}

/// Changes the pen's look: adds what is new, or begins from plain where something has to go.
fn dress(bytes: &mut Vec<u8>, pen: &mut Look, wanted: Look) {
    if *pen == wanted {
        return;
    }
    let mut codes: Vec<String> = Vec::new();
    if !wanted.modifier.contains(pen.modifier) {
        codes.push("0".to_owned());
        *pen = Look::default();
    }
    let added = wanted.modifier.difference(pen.modifier);
    let named = MODIFIERS.iter().filter(|(flag, _)| added.contains(*flag));
    codes.extend(named.map(|(_, code)| (*code).to_owned()));
    if pen.fg != wanted.fg {
        codes.push(colour(wanted.fg, Layer::Letters));
    }
    if pen.bg != wanted.bg {
        codes.push(colour(wanted.bg, Layer::Ground));
    }
    *pen = wanted;
    // Emphasis that has no code of its own, such as a hidden underline's colour, says nothing.
    if !codes.is_empty() {
        write!(bytes, "\x1b[{}m", codes.join(";")).expect("writing to a vector cannot fail");
    }
}

const MODIFIERS: [(Modifier, &str); 7] = [
    (Modifier::BOLD, "1"),
    (Modifier::DIM, "2"),
    (Modifier::ITALIC, "3"),
    (Modifier::UNDERLINED, "4"),
    (Modifier::SLOW_BLINK, "5"),
    (Modifier::REVERSED, "7"),
    (Modifier::CROSSED_OUT, "9"),
];

#[derive(Clone, Copy)]
enum Layer {
    Letters,
    Ground,
}

/// ECMA-48's codes of the sixteen colours, xterm's of the others.
fn colour(colour: Color, layer: Layer) -> String {
    let (dark, light, extended, plain) = match layer {
        Layer::Letters => (30, 90, 38, 39),
        Layer::Ground => (40, 100, 48, 49),
    };
    match colour {
        Color::Reset => plain.to_string(),
        Color::Black => dark.to_string(),
        Color::Red => (dark + 1).to_string(),
        Color::Green => (dark + 2).to_string(),
        Color::Yellow => (dark + 3).to_string(),
        Color::Blue => (dark + 4).to_string(),
        Color::Magenta => (dark + 5).to_string(),
        Color::Cyan => (dark + 6).to_string(),
        Color::Gray => (dark + 7).to_string(),
        Color::DarkGray => light.to_string(),
        Color::LightRed => (light + 1).to_string(),
        Color::LightGreen => (light + 2).to_string(),
        Color::LightYellow => (light + 3).to_string(),
        Color::LightBlue => (light + 4).to_string(),
        Color::LightMagenta => (light + 5).to_string(),
        Color::LightCyan => (light + 6).to_string(),
        Color::White => (light + 7).to_string(),
        Color::Indexed(index) => format!("{extended};5;{index}"),
        Color::Rgb(red, green, blue) => format!("{extended};2;{red};{green};{blue}"),
    }
}

#[cfg(test)]
mod tests;
