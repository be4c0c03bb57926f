//! What a real terminal's parser makes of the bytes is what the frame said.
#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "of all colours, a handful is drawn"
)]

use proptest::prelude::*;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::*;

const WIDTH: u16 = 24;
const HEIGHT: u16 = 6;

fn area() -> Rect {
    Rect::new(0, 0, WIDTH, HEIGHT)
}

fn style() -> impl Strategy<Value = Style> {
    let colour = prop_oneof![
        Just(Color::Reset),
        Just(Color::Red),
        Just(Color::LightCyan),
        (16u8..=255).prop_map(Color::Indexed),
        any::<(u8, u8, u8)>().prop_map(|(r, g, b)| Color::Rgb(r, g, b)),
    ];
    let modifier = prop_oneof![
        Just(Modifier::empty()),
        Just(Modifier::BOLD),
        Just(Modifier::REVERSED),
        Just(Modifier::REVERSED | Modifier::BOLD),
        Just(Modifier::UNDERLINED),
        Just(Modifier::DIM),
    ];
    (colour.clone(), colour, modifier)
        .prop_map(|(fg, bg, modifier)| Style::new().fg(fg).bg(bg).add_modifier(modifier))
}

fn frame() -> impl Strategy<Value = Buffer> {
    let text = "[ a-z│█▓é宽]{0,30}";
    prop::collection::vec((0..WIDTH, 0..HEIGHT, text, style()), 0..12).prop_map(|pieces| {
        let mut frame = Buffer::empty(area());
        for (x, y, text, style) in pieces {
            frame.set_string(x, y, text, style);
        }
        // Where a wide letter was written over, its other half is put right by whoever draws.
        let mut clean = Buffer::empty(area());
        for y in 0..HEIGHT {
            let mut x = 0;
            while x < WIDTH {
                let cell = &frame[(x, y)];
                let width = cell.symbol().width().max(1) as u16;
                if x + width <= WIDTH {
                    clean[(x, y)] = cell.clone();
                }
                x += width;
            }
        }
        clean
    })
}

fn seen(screen: &vt100::Screen, x: u16, y: u16) -> (String, bool, bool, vt100::Color) {
    let cell = screen.cell(y, x).unwrap();
    let letters = match cell.contents() {
        "" => " ".to_owned(),
        letters => letters.to_owned(),
    };
    (letters, cell.inverse(), cell.bold(), cell.fgcolor())
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "frames here have no other colours"
)]
fn same(screen: &vt100::Screen, frame: &Buffer) -> Result<(), TestCaseError> {
    for y in 0..HEIGHT {
        let mut x = 0;
        while x < WIDTH {
            let cell = &frame[(x, y)];
            let (letters, inverse, bold, fg) = seen(screen, x, y);
            prop_assert_eq!(&letters, cell.symbol(), "at {},{}", x, y);
            prop_assert_eq!(inverse, cell.modifier.contains(Modifier::REVERSED));
            // Bold and faint at once is one or the other, as each terminal likes it.
            if !cell.modifier.contains(Modifier::DIM) {
                prop_assert_eq!(bold, cell.modifier.contains(Modifier::BOLD));
            }
            let expected = match cell.fg {
                Color::Red => vt100::Color::Idx(1),
                Color::LightCyan => vt100::Color::Idx(14),
                Color::Indexed(index) => vt100::Color::Idx(index),
                Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
                other => {
                    prop_assert_eq!(other, Color::Reset);
                    vt100::Color::Default
                }
            };
            // A blank has no letters to colour.
            if letters != " " {
                prop_assert_eq!(fg, expected);
            }
            x += (cell.symbol().width() as u16).max(1);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_terminal_shows_each_frame_after_the_one_before(
        frames in prop::collection::vec(frame(), 1..5),
    ) {
        let mut parser = vt100::Parser::new(HEIGHT, WIDTH, 0);
        let mut before = Buffer::empty(area());
        for now in frames {
            parser.process(&changes(&before, &now));
            same(parser.screen(), &now)?;
            prop_assert!(changes(&now, &now).is_empty());
            before = now;
        }
    }

    #[test]
    fn no_symbol_steers_the_terminal(symbol in "\\PC{0,3}|[\\x00-\\x1f\\x7f-\\x9f]{1,3}") {
        let mut frame = Buffer::empty(area());
        frame[(2, 2)].set_symbol(&symbol);
        let bytes = changes(&Buffer::empty(area()), &frame);
        let text = String::from_utf8(bytes).unwrap();
        // Our own moves are the only sequences; between them stands nothing that steers.
        for piece in text.split("\x1b[") {
            let letters = piece.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';');
            prop_assert!(!letters.contains(char::is_control), "{:?}", text);
            prop_assert!(piece.is_empty() || "HCm".contains(&letters[..1]), "{:?}", text);
        }
    }
}

#[test]
fn what_is_next_to_each_other_is_written_in_one_piece() {
    let before = Buffer::empty(area());
    let mut now = before.clone();
    now.set_string(2, 1, "crit", Style::new().fg(Color::Red));
    now.set_string(7, 1, "for 3 s", Style::new());
    now.set_string(20, 1, "x", Style::new());
    let text = String::from_utf8(changes(&before, &now)).unwrap();
    assert_eq!(text, "\x1b[2;3H\x1b[31mcrit\x1b[C\x1b[39mfor 3 s\x1b[6Cx");
}

#[test]
fn a_frame_is_text_without_what_is_blank() {
    let mut frame = Buffer::empty(Rect::new(0, 0, 8, 3));
    frame.set_string(0, 0, "宽 b", Style::new());
    frame.set_string(1, 2, "x", Style::new().add_modifier(Modifier::REVERSED));
    assert_eq!(text(&frame), "宽 b\n\n x\n");
    assert_eq!(coloured(&frame), "宽 b\n\n \x1b[7mx\n\x1b[m");
}
