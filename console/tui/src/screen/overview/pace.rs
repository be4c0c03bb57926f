//! The whole fleet's requests of the last half hour in one line.
//!
//! ```text
//!  FLEET  7,204 req/s ▂▃▅▆▆▇▆▅  p50 3.10 ms ▃▃▃▃▃▃▃▃  p99 41.0 ms ▂▂▂▂▃▇▆▅  err 0.08 %
//! ```
//! Figures are those of the last finished step.

use binnacle_core::view::{LatencyPage, LatencyPoint, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::data::Known;
use crate::format;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::line;
use crate::widget::sparkline::Sparkline;

/// The widest that a sparkline is worth: a column a step.
const WIDEST: u16 = 30;
/// Under this it shows nothing that the figure does not.
const NARROWEST: u16 = 4;
/// Figures that have a past.
const FIGURES: u16 = 3;
/// Steps that are looked at, whatever a hub answers.
const MAX_STEPS: usize = 1_000;

/// The length of a step in seconds: what was asked for, or what the hub's windows allow.
fn step_s(page: &LatencyPage) -> u32 {
    let (_, asked_s) = super::PAST;
    page.resolution_s.max(asked_s)
}

/// The points whose step had ended when the page was made: the last is still filling.
pub(super) fn finished(page: &LatencyPage) -> &[LatencyPoint] {
    let step_us = i64::from(step_s(page)) * 1_000_000;
    let points = page.points.as_slice();
    let until_us = page.to_us.min(page.as_of_us);
    let ended = points.partition_point(|point| point.start_us + step_us <= until_us);
    points.get(..ended).unwrap_or_default()
}

/// Each finished step of the page from the first with requests on; one without is absent.
fn steps(page: &LatencyPage) -> Vec<Option<&LatencyPoint>> {
    let step_us = i64::from(step_s(page)) * 1_000_000;
    let points = finished(page);
    let Some(first) = points.first() else {
        return Vec::new();
    };
    let until_us = page.to_us.min(page.as_of_us);
    let ended = usize::try_from((until_us - first.start_us) / step_us).unwrap_or(0);
    let mut steps = vec![None; ended.min(MAX_STEPS)];
    for point in points {
        let at = usize::try_from((point.start_us - first.start_us) / step_us);
        if let Some(step) = at.ok().and_then(|at| steps.get_mut(at)) {
            *step = Some(point);
        }
    }
    steps
}

/// Draws it.
pub(super) fn draw(look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let title = (" FLEET  ".to_owned(), look.style(Meaning::Title));
    let quiet = look.style(Meaning::Quiet);
    let page = match super::page(look) {
        Known::Here(page, _) => page,
        Known::Loading if look.data.is_live() => {
            line::draw_pieces(&[title, ("…".into(), quiet)], area, buf);
            return;
        }
        Known::Loading => {
            line::draw_pieces(&[title, ("not known".into(), quiet)], area, buf);
            return;
        }
        Known::Broken(why) => {
            let why = format!("its requests cannot be read: {}", shown(why));
            let why = (why, look.style(Meaning::Warn));
            line::draw_pieces(&[title, why], area, buf);
            return;
        }
    };
    let steps = steps(page);
    if steps.is_empty() {
        let none = match page.points.is_empty() {
            true => "no requests in the last half hour".to_owned(),
            false => "its first minute is being counted".to_owned(),
        };
        line::draw_pieces(&[title, (none, quiet)], area, buf);
        return;
    };
    let taken = line::draw_pieces(&[title], area, buf);
    figures(look, page, &steps, after(area, taken), buf);
}

/// What is left of a line.
fn after(area: Rect, taken: u16) -> Rect {
    Rect {
        x: area.x.saturating_add(taken),
        width: area.width.saturating_sub(taken),
        ..line::row(area, 0)
    }
}

/// A figure over time: what it says now, and its past.
type Figure = (String, Vec<Option<f64>>);

fn figures(
    look: &Look<'_>,
    page: &LatencyPage,
    steps: &[Option<&LatencyPoint>],
    area: Rect,
    buf: &mut Buffer,
) {
    let is_stale = look.is_stale();
    let old = if is_stale { "~" } else { "" };
    // The last step without requests says so: no figure of an older one stands for it.
    let last = steps.last().copied().flatten();
    let (requests, errors) = last.map_or((0, 0), |step| (step.all.requests, step.errors));
    let share = format!("err {old}{}", format::share(errors, requests));
    let figures = told(page, steps, last, old);
    let words = figures.iter().map(|(text, _)| line::width(text) + 3);
    let taken = words.sum::<u16>() + line::width(&share) + 1;
    let width = area.width.saturating_sub(taken) / FIGURES;
    let meaning = match is_stale {
        true => Meaning::Stale,
        false => Meaning::Text,
    };
    let mut rest = area;
    for (text, values) in &figures {
        rest = after(rest, line::draw(text, look.style(meaning), rest, buf) + 1);
        if width >= NARROWEST {
            let width = width
                .min(WIDEST)
                .min(u16::try_from(values.len()).unwrap_or(WIDEST));
            let sparkline = Sparkline {
                values,
                max: None,
                meaning: Meaning::First,
            };
            let place = Rect {
                width: width.min(rest.width),
                ..rest
            };
            sparkline.draw(look.theme, place, buf);
            rest = after(rest, width);
        }
        rest = after(rest, 2);
    }
    let failed = match (is_stale, errors) {
        (true, _) => Meaning::Stale,
        (false, 0) => Meaning::Text,
        (false, _) => Meaning::Warn,
    };
    line::draw(&share, look.style(failed), rest, buf);
}

fn told(
    page: &LatencyPage,
    steps: &[Option<&LatencyPoint>],
    last: Option<&LatencyPoint>,
    old: &str,
) -> [Figure; FIGURES as usize] {
    let past = |figure: fn(&LatencyPoint) -> Option<f64>| -> Vec<Option<f64>> {
        steps.iter().map(|step| step.and_then(figure)).collect()
    };
    let requests = last.map_or(0, |step| step.all.requests);
    let rate = requests as f64 / f64::from(step_s(page));
    // A step without requests had none, which is known; its latency is not.
    let rates = steps
        .iter()
        .map(|step| step.map_or(0, |step| step.all.requests));
    let latency = |figure: fn(&LatencyPoint) -> Option<f64>| match requests {
        0 => "–".into(),
        _ => format::latency(last.and_then(figure)),
    };
    let (p50, p99) = (
        |step: &LatencyPoint| step.all.p50_us,
        |step: &LatencyPoint| step.all.p99_us,
    );
    [
        (
            format!("{old}{} req/s", format::rate(rate)),
            rates.map(|rate| Some(rate as f64)).collect(),
        ),
        (format!("p50 {old}{}", latency(p50)), past(p50)),
        (format!("p99 {old}{}", latency(p99)), past(p99)),
    ]
}
