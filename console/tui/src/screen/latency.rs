//! Latency: the models that are called, and a page for each.
//!
//! ```text
//!  Latency                                                                        3
//!   MODEL               REQ/S▾       P50       P99   ERRORS  IN FLIGHT
//! ▌ fraud               1,204   3.10 ms   38.2 ms   0.41 %          4
//!   churn                   3      few       few      0 %          0
//! ```
//! From 110 columns on, the selected model's last half hour is shown at the right.

use std::sync::Arc;

use binnacle_core::view::{ModelRow, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::HorizontalAlignment::{Left, Right};
use ratatui::layout::{Alignment, Rect};

use self::page::Page;
use self::versions::{VersionLine, choose_sides};
use crate::data::Known;
use crate::filter::{Value, contains};
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::{Question, Span};
use crate::screen::{Look, Place, Screen, Step, Wants};
use crate::theme::Meaning;
use crate::widget::table::{Column, Row, Table, Text};
use crate::widget::{chart, line};

pub(in crate::screen) mod fleet;
mod page;
mod panel;
mod span;
#[cfg(test)]
mod tests;
mod versions;

/// From here on there is room for what is selected at the right.
const PREVIEW_FROM: u16 = 110;
/// Lines of the preview's charts at the most: taller ones say nothing more.
const MAX_PREVIEW: u16 = 30;

/// Opens the list, or the page of the model that a place names.
pub fn open(place: &Place) -> Box<dyn Screen> {
    if !place.object.is_empty() {
        return Box::new(Page::new(&place.object));
    }
    let mut table = Table::new(COLUMNS, "rps", true);
    // A filter that an older release wrote may not be one any more: then there is none.
    let _dropped = table.set_filter(&place.filter);
    if !place.selected.is_empty() {
        table.select(place.selected.as_str().into());
    }
    Box::new(Models { table })
}

/// The list.
#[derive(Debug)]
struct Models {
    table: Table<ModelRow>,
}

impl Row for ModelRow {
    fn id(&self) -> &Arc<str> {
        &self.model
    }

    fn has_word(&self, word: &str) -> bool {
        contains(&self.model, word)
    }
}

fn latency(ns: Option<u64>, row: &ModelRow) -> Text {
    match (ns, row.traffic.requests) {
        (Some(ns), _) => (format::latency(Some(ns as f64 / 1e3)), Meaning::Text),
        (None, 0) => ("–".into(), Meaning::Unknown),
        (None, _) => ("few".into(), Meaning::Unknown),
    }
}

fn millis(ns: Option<u64>) -> Value<'static> {
    ns.map_or(Value::Unknown, |ns| Value::Number(ns as f64 / 1e6))
}

fn errors(row: &ModelRow, _: &Look<'_>) -> Text {
    let meaning = match row.traffic.errors {
        0 => Meaning::Text,
        _ => Meaning::Warn,
    };
    (
        format::share(row.traffic.errors, row.traffic.requests),
        meaning,
    )
}

fn error_share(row: &ModelRow) -> Value<'static> {
    match row.traffic.requests {
        0 => Value::Unknown,
        requests => Value::Number(row.traffic.errors as f64 * 100.0 / requests as f64),
    }
}

const fn column(
    title: &'static str,
    field: &'static str,
    (width, align, rank): (u16, Alignment, u8),
    cell: fn(&ModelRow, &Look<'_>) -> Text,
    value: for<'a> fn(&'a ModelRow, &Look<'_>) -> Value<'a>,
) -> Column<ModelRow> {
    Column {
        title,
        field,
        width,
        grows: 0,
        align,
        rank,
        cell,
        value,
    }
}

#[rustfmt::skip]
const COLUMNS: &[Column<ModelRow>] = &[
    column("MODEL", "model", (16, Left, 0),
        |row, _| (shown(&row.model), Meaning::Text), |row, _| Value::Text((&*row.model).into()))
        .growing(24),
    column("REQ/S", "rps", (8, Right, 0),
        |row, _| (format::rate(row.traffic.rate()), Meaning::Text),
        |row, _| Value::Number(row.traffic.rate())),
    column("P50", "p50", (8, Right, 1),
        |row, _| latency(row.traffic.p50_ns, row), |row, _| millis(row.traffic.p50_ns)),
    column("P99", "p99", (8, Right, 0),
        |row, _| latency(row.traffic.p99_ns, row), |row, _| millis(row.traffic.p99_ns)),
    column("ERRORS", "errors", (7, Right, 0), errors, |row, _| error_share(row)),
    column("IN FLIGHT", "inflight", (9, Right, 2),
        |row, _| (format::count(row.traffic.in_flight.into()), Meaning::Text),
        |row, _| Value::Number(row.traffic.in_flight.into())),
];

impl Models {
    fn parts(&self, look: &Look<'_>) -> (Rect, Option<Rect>) {
        if look.body.width < PREVIEW_FROM {
            return (look.body, None);
        }
        let width = look.body.width / 2;
        let table = Rect {
            width: look.body.width - width - 2,
            ..look.body
        };
        let preview = Rect {
            x: table.right() + 2,
            width,
            ..look.body
        };
        (table, Some(preview))
    }

    fn table_look<'a>(&self, look: &Look<'a>) -> Look<'a> {
        Look {
            body: self.parts(look).0,
            ..*look
        }
    }

    /// What the preview asks, and the span of it.
    fn question(&self, look: &Look<'_>) -> Option<(Question, Span)> {
        let (_, preview) = self.parts(look);
        let span = span::span(span::USUAL, chart::plot_columns(preview?.width), look.at_us);
        Some((page::question(self.table.settled()?, span), span))
    }

    /// How the selected model did in the last half hour.
    fn draw_preview(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let (Some(model), Some((question, span))) = (self.table.settled(), self.question(look))
        else {
            return;
        };
        let title = format!("{}  {}", shown(model), span::USUAL.words());
        line::draw(&title, look.style(Meaning::Title), line::row(area, 0), buf);
        let page = match look.data.latency(&question, look.here_us) {
            Known::Here(page, _) if page.table.rows.is_empty() => {
                let place = line::row(area, 2);
                line::draw("no requests", look.style(Meaning::Unknown), place, buf);
                return;
            }
            Known::Here(page, _) => page,
            Known::Loading => {
                let place = line::row(area, 2);
                line::draw("Loading…", look.style(Meaning::Unknown), place, buf);
                return;
            }
            Known::Broken(why) => {
                let place = line::row(area, 2);
                line::draw(&shown(why), look.style(Meaning::Warn), place, buf);
                return;
            }
        };
        let mut lines = VersionLine::all(page);
        choose_sides(&mut lines, &[]);
        let charts = Rect {
            y: area.y + area.height.min(2),
            height: area.height.saturating_sub(2).min(MAX_PREVIEW),
            ..area
        };
        let upper = Rect {
            height: charts.height / 2,
            ..charts
        };
        let lower = Rect {
            y: upper.bottom() + 1,
            height: (charts.height - upper.height).saturating_sub(1),
            ..charts
        };
        panel::draw_histogram((model, page), &lines, look, upper, buf);
        panel::draw_chart((page, span.step_s), (None, None), look, lower, buf);
        panel::dim(look, charts, buf);
    }
}

impl Screen for Models {
    fn place(&self) -> Place {
        let selected = self.table.selected();
        Place {
            view: "latency".into(),
            object: String::new(),
            filter: self.table.filter_text().into(),
            selected: selected.map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Latency".into()]
    }

    fn note(&self, look: &Look<'_>) -> String {
        let (shown, all) = self.table.counts();
        let counts = match self.table.filter_text() {
            "" => format!("{all}"),
            filter => format!("filter: {filter}  {shown}/{all}"),
        };
        match look.at_us {
            // The list is of what is called now; a model's page shows the past.
            Some(_) => format!("this list is of now  {counts}"),
            None => counts,
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let mut questions = Vec::new();
        if let Some((question, _)) = self.question(look) {
            questions.extend([question, panel::journal()]);
        }
        Wants {
            questions,
            models: true,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        vec![
            C::Open,
            C::Filter,
            C::Palette,
            C::Help,
            C::Sort,
            C::SortReverse,
            C::Columns,
            C::Down,
            C::Up,
            C::Top,
            C::Bottom,
            C::PageDown,
            C::PageUp,
            C::Mark,
            C::MarkRange,
            C::MarkAll,
            C::Unmark,
            C::Copy,
            C::Export,
        ]
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let models = &look.data.models;
        let inner = self.table_look(look);
        if command == Command::Open {
            let page = self.table.selected().map(|model| Page::new(model));
            return page
                .map(|page| Step::Go(Box::new(page)))
                .into_iter()
                .collect();
        }
        if let Some(steps) = self.table.on(command, models, &inner) {
            return steps;
        }
        if command == Command::Export {
            return vec![Step::Effect(Effect::Export {
                name: "models".into(),
                suffix: ".csv",
                text: self.table.csv(models, &inner),
            })];
        }
        Vec::new()
    }

    fn filter(&mut self, text: &str, look: &Look<'_>) -> Result<(), String> {
        self.table.set_filter(text)?;
        self.learn(look);
        Ok(())
    }

    fn filter_text(&self) -> &str {
        self.table.filter_text()
    }

    fn toggle_column(&mut self, title: &str, look: &Look<'_>) {
        self.table.toggle(title);
        self.learn(look);
    }

    fn learn(&mut self, look: &Look<'_>) {
        let inner = self.table_look(look);
        self.table.learn(&look.data.models, &inner);
    }

    fn settle(&mut self) {
        self.table.settle();
    }

    fn command(&self, _look: &Look<'_>) -> String {
        "binnacle latency --since 1m".into()
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let (area, preview) = self.parts(look);
        if look.data.models.is_empty() {
            return nothing(look, area, buf);
        }
        let inner = self.table_look(look);
        self.table.draw(&look.data.models, &inner, area, buf);
        if self.table.counts().0 == 0 {
            let words = "no model matches the filter; esc shows all again";
            line::draw(words, look.style(Meaning::Quiet), line::row(area, 2), buf);
        }
        if let Some(preview) = preview {
            self.draw_preview(look, preview, buf);
        }
    }
}

/// Why there is nothing to see, and what to do about it.
fn nothing(look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let lines: &[&str] = match (look.fleet.is_known, look.data.is_live()) {
        (true, _) => &[
            "No model has been called in the last minute.",
            "",
            "Send requests through an agent: each model that is called appears here",
            "within seconds, with its own page.",
        ],
        (false, true) => &["Loading models…"],
        (false, false) => &["Not connected to the hub yet: nothing is known of any model."],
    };
    for (at, text) in lines.iter().enumerate() {
        let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
        line::draw(text, look.style(Meaning::Text), place, buf);
    }
}
