//! Figures as SVG, small and legible on white: panels of lines over a logarithmic axis.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// One panel.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) lines: Vec<Line>,
}

/// A line through points of a positive x and a y from 0 to 1.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// Told apart by everybody, and in grey (Okabe and Ito 2008).
const COLOURS: [&str; 6] = [
    "#0072b2", "#e69f00", "#7a7a7a", "#009e73", "#cc79a7", "#000000",
];
/// The second line is dashed and the third dotted, so that colour is not needed.
const DASHES: [&str; 6] = ["none", "7 3", "2 3", "9 3 2 3", "4 4", "none"];
const ACROSS: usize = 3;
const WIDTH: f64 = 290.0;
const HEIGHT: f64 = 190.0;
/// Of a panel, beside its axes: left, top, right, below.
const MARGIN: [f64; 4] = [36.0, 26.0, 14.0, 30.0];
/// Above all panels, for the title and the names of the lines.
const TOP: f64 = 62.0;

/// Writes a figure into docs/drift.
pub(crate) fn write(name: &str, svg: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/drift");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(name), svg).unwrap();
}

/// Panels three to a row, with the same axes. The names are those of the first panel's lines.
pub(crate) fn panels(title: &str, panels: &[Panel]) -> String {
    let points = || {
        panels
            .iter()
            .flat_map(|panel| &panel.lines)
            .flat_map(|l| &l.points)
    };
    let low = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let high = points().map(|(x, _)| *x).fold(0.0, f64::max);
    let width = WIDTH * ACROSS as f64 + 10.0;
    let height = TOP + HEIGHT * panels.len().div_ceil(ACROSS) as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" font-family=\"Helvetica, Arial, sans-serif\" \
         font-size=\"12\" fill=\"#222\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{}\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n",
        MARGIN[0],
    );
    let mut x = MARGIN[0];
    for (at, line) in panels
        .iter()
        .take(1)
        .flat_map(|panel| &panel.lines)
        .enumerate()
    {
        writeln!(
            svg,
            "<path d=\"M{x} 42h28\" {}/><text x=\"{}\" y=\"46\">{}</text>",
            stroke(at),
            x + 34.0,
            line.name
        )
        .unwrap();
        x += 60.0 + 6.4 * line.name.chars().count() as f64;
    }
    for (at, panel) in panels.iter().enumerate() {
        let (column, row) = (at % ACROSS, at / ACROSS);
        let place = (column as f64 * WIDTH, TOP + row as f64 * HEIGHT);
        panel.draw(&mut svg, place, (low, high));
    }
    svg + "</svg>\n"
}

impl Panel {
    fn draw(&self, svg: &mut String, (left, top): (f64, f64), (low, high): (f64, f64)) {
        let (x0, x1) = (left + MARGIN[0], left + WIDTH - MARGIN[2]);
        let (y0, y1) = (top + HEIGHT - MARGIN[3], top + MARGIN[1]);
        let x = |value: f64| x0 + (value / low).ln() / (high / low).ln() * (x1 - x0);
        let y = |value: f64| y0 + value * (y1 - y0);
        writeln!(
            svg,
            "<text x=\"{x0}\" y=\"{}\" font-weight=\"bold\">{}</text>",
            y1 - 9.0,
            self.title
        )
        .unwrap();
        for share in [0.0, 0.5, 1.0] {
            writeln!(
                svg,
                "<path d=\"M{x0} {y:.1}H{x1}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\" fill=\"#555\">{share}</text>",
                x0 - 5.0,
                y(share) + 4.0,
                y = y(share),
            )
            .unwrap();
        }
        let decades = (0..7).map(|power| 10_f64.powi(power));
        for tick in decades.filter(|tick| (low..=high).contains(tick)) {
            writeln!(
                svg,
                "<path d=\"M{x:.1} {y0}v4\" stroke=\"#777\"/><text x=\"{x:.1}\" y=\"{}\" \
                 text-anchor=\"middle\" fill=\"#555\">{tick}</text>",
                y0 + 17.0,
                x = x(tick),
            )
            .unwrap();
        }
        for (at, line) in self.lines.iter().enumerate() {
            let points = line
                .points
                .iter()
                .map(|(a, b)| format!("{:.1} {:.1}", x(*a), y(*b)));
            let points: Vec<String> = points.collect();
            writeln!(svg, "<path d=\"M{}\" {}/>", points.join("L"), stroke(at)).unwrap();
        }
    }
}

fn stroke(at: usize) -> String {
    let (colour, dash) = (COLOURS[at % COLOURS.len()], DASHES[at % DASHES.len()]);
    format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"2.2\" stroke-dasharray=\"{dash}\"")
}
