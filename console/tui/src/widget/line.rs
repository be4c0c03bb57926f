//! One line of text: cut to fit, with an ellipsis, and never past its area.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Columns that text takes.
pub fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// The text, cut to so many columns; what was cut is told by an ellipsis.
pub fn cut(text: &str, columns: u16) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut left = usize::from(columns).saturating_sub(1);
    let fits = |letter: &char| {
        let width = letter.width().unwrap_or(0);
        let fits = width <= left;
        left = left.saturating_sub(width);
        fits
    };
    let mut shorter: String = text.chars().take_while(fits).collect();
    if columns > 0 {
        shorter.push('…');
    }
    shorter
}

/// Draws text into the first line of an area; answers with the columns that it took.
pub fn draw(text: &str, style: Style, area: Rect, buf: &mut Buffer) -> u16 {
    draw_aligned(text, style, Alignment::Left, area, buf)
}

/// Draws text into the first line of an area, at its left, middle or right.
pub fn draw_aligned(
    text: &str,
    style: Style,
    align: Alignment,
    area: Rect,
    buf: &mut Buffer,
) -> u16 {
    let area = area.intersection(buf.area);
    if area.is_empty() {
        return 0;
    }
    let text = cut(text, area.width);
    let taken = width(&text);
    let left = area.width.saturating_sub(taken);
    let x = area.x
        + match align {
            Alignment::Left => 0,
            Alignment::Center => left / 2,
            Alignment::Right => left,
        };
    buf.set_stringn(x, area.y, &text, usize::from(taken), style);
    taken
}

/// Draws pieces of text one after another; answers with the columns that they took.
pub fn draw_pieces(pieces: &[(String, Style)], area: Rect, buf: &mut Buffer) -> u16 {
    let mut taken = 0;
    for (text, style) in pieces {
        let rest = Rect {
            x: area.x.saturating_add(taken),
            width: area.width.saturating_sub(taken),
            ..area
        };
        taken += draw(text, *style, rest, buf);
    }
    taken
}

/// The line of an area that is so many below its top; empty when it has none.
pub fn row(area: Rect, at: u16) -> Rect {
    match at < area.height {
        true => Rect {
            y: area.y + at,
            height: 1,
            ..area
        },
        false => Rect::default(),
    }
}

/// Text in lines of so many columns, broken between words.
pub fn wrapped(text: &str, columns: u16) -> impl Iterator<Item = String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines
            .last_mut()
            .expect("there is a first line, and none is taken away");
        if last.is_empty() {
            last.push_str(word);
        } else if width(last) + 1 + width(word) <= columns {
            last.push(' ');
            last.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_cut_and_says_so() {
        assert_eq!(cut("infer-0042", 10), "infer-0042");
        assert_eq!(cut("infer-0042", 6), "infer…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("x", 0), "");
    }

    #[test]
    fn nothing_is_drawn_outside() {
        let mut buf = Buffer::empty(Rect::new(0, 0, 5, 1));
        draw("0123456789", Style::new(), Rect::new(3, 0, 40, 9), &mut buf);
        assert_eq!(buf, Buffer::with_lines(["   0…"]));
    }

    #[test]
    fn text_is_broken_between_words() {
        let lines: Vec<String> = wrapped("a host that is slow", 8).collect();
        assert_eq!(lines, ["a host", "that is", "slow"]);
        assert_eq!(wrapped("", 8).collect::<Vec<_>>(), [""]);
        assert_eq!(
            wrapped("infer-0042 x", 4).collect::<Vec<_>>(),
            ["infer-0042", "x"]
        );
    }
}
