//! What tests draw on: a buffer that shows whether somebody drew beside the rectangle.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::theme::{Background, Colours, Letters, Theme};

/// Stands where nobody drew.
const BARE: &str = "\u{1f}";

/// A theme without colours.
pub(super) fn theme(letters: Letters) -> Theme {
    Theme::new(Colours::None, Background::Dark, letters)
}

/// What is drawn at this size, as text; what stays bare is blank.
pub(super) fn drawn((width, height): (u16, u16), draw: impl FnOnce(Rect, &mut Buffer)) -> String {
    let area = Rect::new(0, 0, width, height);
    let mut buf = Buffer::empty(area);
    draw(area, &mut buf);
    let lines = (0..height).map(|y| {
        let line = (0..width).filter_map(|x| Some(buf.cell((x, y))?.symbol()));
        line.collect::<String>().trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Draws into a rectangle in the midst of a larger buffer, and into one that hangs over its
/// edge; fails if anything around changed, or if an ASCII theme drew other letters.
pub(super) fn stays_inside(
    (width, height): (u16, u16),
    letters: Letters,
    draw: impl Fn(&Theme, Rect, &mut Buffer),
) {
    let mut bare = Buffer::empty(Rect::new(0, 0, width + 4, height + 2));
    for cell in &mut bare.content {
        cell.set_symbol(BARE).set_fg(Color::Magenta);
    }
    let beyond = Rect::new(width / 2 + 2, height / 2 + 1, width, height);
    for area in [Rect::new(2, 1, width, height), beyond] {
        let mut buf = bare.clone();
        draw(&theme(letters), area, &mut buf);
        for place in buf.area.positions() {
            let (old, new) = (&bare[place], &buf[place]);
            let inside = area.contains(place);
            assert!(inside || old == new, "drew at {place} outside {area}");
            let fits = letters == Letters::Unicode || new.symbol().is_ascii();
            assert!(fits, "drew {:?} where there is ASCII only", new.symbol());
        }
    }
}
