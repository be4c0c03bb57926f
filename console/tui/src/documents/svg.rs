//! A screen as a picture: each run of cells of one style is a piece of text in its place.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};

use crate::widget::line;

/// Tenths of a pixel that a cell is wide, so that places add up without rounding.
const WIDE: u32 = 84;
/// Pixels that a cell is high.
const HIGH: u32 = 18;
/// Pixels around the screen.
const EDGE: u32 = 12;
const BACK: u32 = 0x16_1b_22;
const FRONT: u32 = 0xd0_d7_de;

/// How a run of cells looks.
#[derive(Clone, Copy, PartialEq)]
struct Look {
    front: u32,
    back: u32,
    is_bold: bool,
    is_dim: bool,
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "every other colour means that the theme is not the picture's"
)]
fn rgb(colour: Color, otherwise: u32) -> u32 {
    match colour {
        Color::Rgb(red, green, blue) => u32::from_be_bytes([0, red, green, blue]),
        Color::Reset => otherwise,
        other => panic!("the picture is drawn in 24 bits, and {other} is not"),
    }
}

fn look(cell: &Cell) -> Look {
    let (front, back) = (rgb(cell.fg, FRONT), rgb(cell.bg, BACK));
    let is_reversed = cell.modifier.contains(Modifier::REVERSED);
    let (front, back) = if is_reversed {
        (back, front)
    } else {
        (front, back)
    };
    Look {
        front,
        back,
        is_bold: cell.modifier.contains(Modifier::BOLD),
        is_dim: cell.modifier.contains(Modifier::DIM),
    }
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;")
}

fn tenths(value: u32) -> String {
    format!("{}.{}", value / 10, value % 10)
}

/// The picture of a screen.
pub(super) fn picture(buf: &Buffer) -> String {
    let (columns, lines) = (u32::from(buf.area.width), u32::from(buf.area.height));
    let (width, height) = (columns * WIDE + EDGE * 20, lines * HIGH + EDGE * 2);
    let width = tenths(width);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"ui-monospace, 'DejaVu Sans Mono', Menlo, \
         Consolas, monospace\" font-size=\"14\">\n\
         <title>binnacle: the overview</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#{BACK:06x}\"/>\n"
    );
    for y in 0..buf.area.height {
        let mut x = 0;
        while x < buf.area.width {
            let from = x;
            let run = look(&buf[(x, y)]);
            let mut text = String::new();
            while x < buf.area.width && look(&buf[(x, y)]) == run {
                let symbol = buf[(x, y)].symbol();
                text.push_str(symbol);
                x += line::width(symbol).max(1);
            }
            draw(&mut svg, run, (from, y), x - from, &text);
        }
    }
    svg.push_str("</svg>\n");
    svg
}

fn draw(svg: &mut String, look: Look, (x, y): (u16, u16), columns: u16, text: &str) {
    let left = u32::from(x) * WIDE + EDGE * 10;
    let top = u32::from(y) * HIGH + EDGE;
    if look.back != BACK {
        let (left, wide) = (tenths(left), tenths(u32::from(columns) * WIDE));
        let back = look.back;
        writeln!(
            svg,
            "<rect x=\"{left}\" y=\"{top}\" width=\"{wide}\" height=\"{HIGH}\" \
             fill=\"#{back:06x}\"/>"
        )
        .unwrap();
    }
    let blanks = text.chars().take_while(|letter| *letter == ' ').count();
    let words = text.trim();
    if words.is_empty() {
        return;
    }
    let left = left + u32::try_from(blanks).unwrap() * WIDE;
    let (left, wide) = (tenths(left), tenths(u32::from(line::width(words)) * WIDE));
    let base = top + HIGH - 5;
    let bold = if look.is_bold {
        " font-weight=\"bold\""
    } else {
        ""
    };
    let dim = if look.is_dim { " opacity=\"0.6\"" } else { "" };
    let (front, words) = (look.front, escaped(words));
    // The length holds the columns together whichever font there is.
    writeln!(
        svg,
        "<text x=\"{left}\" y=\"{base}\" textLength=\"{wide}\" lengthAdjust=\"spacingAndGlyphs\" \
         fill=\"#{front:06x}\"{bold}{dim} xml:space=\"preserve\">{words}</text>"
    )
    .unwrap();
}

#[test]
fn what_xml_would_read_is_escaped_and_every_letter_is_there() {
    use ratatui::style::Style;

    let mut buf = Buffer::empty(ratatui::layout::Rect::new(0, 0, 12, 1));
    buf.set_string(0, 0, "<a> & b", Style::new().fg(Color::Rgb(1, 2, 3)));
    buf.set_string(8, 0, "x", Style::new().add_modifier(Modifier::REVERSED));
    let svg = picture(&buf);
    assert!(
        svg.contains("fill=\"#010203\" xml:space=\"preserve\">&lt;a&gt; &amp; b</text>"),
        "{svg}"
    );
    assert!(
        svg.contains("<rect x=\"79.2\" y=\"12\" width=\"8.4\""),
        "{svg}"
    );
    assert_eq!(svg.matches("<text").count(), 2, "{svg}");
}
