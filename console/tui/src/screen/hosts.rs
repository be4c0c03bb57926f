//! Every host: lights, load, latency, errors.
//!
//! ```text
//!  Hosts                                         filter: p99>250  37/412
//!   HOST▴           STATUS    REQ/S      P50   ▾P99  ERRORS  CPU  MEM
//! ▌ infer-0042      ! WARN    1,204  3.10 ms  38 ms   0.41 %  71 %  63 %
//! ```
//! From 110 columns on, what is selected is told at the right.

use std::sync::Arc;

use binnacle_core::view::{Status, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};

use crate::data::HostLine;
use crate::filter::{Value, contains};
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::screen::{Action, Concern, Look, MAX_FOLLOWED, Place, Screen, Step, Wants, host};
use crate::theme::Meaning;
use crate::widget::line;
use crate::widget::table::{Column, Row, Table, Text};

/// From here on there is room for what is selected at the right.
const PREVIEW_FROM: u16 = 110;

/// Columns that a name may take more: it is read beside its figures.
const NAME_MORE: u16 = 12;

/// Opens the list, or the host that a place names.
pub fn open(place: &Place) -> Box<dyn Screen> {
    if !place.object.is_empty() {
        return host::open(&place.object);
    }
    let mut table = Table::new(COLUMNS, "", false);
    // A filter that an older release wrote may not be one any more: then there is none.
    let _dropped = table.set_filter(&place.filter);
    if !place.selected.is_empty() {
        table.select(place.selected.as_str().into());
    }
    Box::new(Hosts { table })
}

/// The list.
#[derive(Debug)]
struct Hosts {
    table: Table<HostLine>,
}

/// How a status is drawn.
pub fn status_meaning(status: Status) -> Meaning {
    match status {
        Status::Ok => Meaning::Ok,
        Status::Retired => Meaning::Quiet,
        Status::Silent => Meaning::Unknown,
        Status::Warn => Meaning::Warn,
        Status::Crit => Meaning::Crit,
    }
}

/// A status as glyph and word.
pub fn status_text(status: Status) -> String {
    format!("{} {}", status.glyph(), status.word())
}

fn figure(value: Option<f64>, show: impl Fn(f64) -> String) -> Text {
    match value {
        Some(value) => (show(value), Meaning::Text),
        None => ("–".into(), Meaning::Unknown),
    }
}

fn latency(us: Option<f64>, line: &HostLine) -> Text {
    match (us, line.errors().1) {
        (None, 0) => ("–".into(), Meaning::Unknown),
        (None, _) => ("few".into(), Meaning::Unknown),
        (us, _) => (format::latency(us), Meaning::Text),
    }
}

fn number(value: Option<f64>) -> Value<'static> {
    value.map_or(Value::Unknown, Value::Number)
}

fn cpu(line: &HostLine) -> Option<f64> {
    let vitals = line.row.as_ref()?.0.vitals?;
    Some(f64::from(vitals.cpu_permille) / 10.0)
}

fn memory(line: &HostLine) -> Option<f64> {
    let vitals = line.row.as_ref()?.0.vitals?;
    (vitals.memory_total > 0)
        .then(|| vitals.memory_used as f64 * 100.0 / vitals.memory_total as f64)
}

fn versions(line: &HostLine) -> Option<f64> {
    let server = line.row.as_ref()?.0.server.as_ref()?;
    Some(server.versions.len() as f64)
}

fn error_share(line: &HostLine) -> Option<f64> {
    let (errors, requests) = line.errors();
    (requests > 0).then(|| errors as f64 * 100.0 / requests as f64)
}

fn reason(line: &HostLine) -> Arc<str> {
    match &line.row {
        Some((row, _)) => row.status().1,
        None => line.glance.reason.clone(),
    }
}

fn text<'a>(text: &'a str) -> Value<'a> {
    Value::Text(text.into())
}

const fn column(
    title: &'static str,
    field: &'static str,
    width: u16,
    align: Alignment,
    rank: u8,
    cell: fn(&HostLine, &Look<'_>) -> Text,
    value: for<'a> fn(&'a HostLine, &Look<'_>) -> Value<'a>,
) -> Column<HostLine> {
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

use ratatui::layout::HorizontalAlignment::{Left, Right};

const COLUMNS: &[Column<HostLine>] = &[
    column(
        "HOST",
        "host",
        16,
        Left,
        0,
        |line, _| (shown(line.host()), Meaning::Text),
        |line, _| text(line.host()),
    )
    .growing(NAME_MORE),
    column(
        "STATUS",
        "status",
        8,
        Left,
        0,
        |line, _| (status_text(line.status()), status_meaning(line.status())),
        |line, _| text(line.status().word()),
    ),
    column(
        "ENV",
        "env",
        8,
        Left,
        5,
        |line, _| (shown(&line.glance.environment), Meaning::Quiet),
        |line, _| text(&line.glance.environment),
    ),
    column(
        "REQ/S",
        "rps",
        7,
        Right,
        1,
        |line, _| figure(line.rate(), format::rate),
        |line, _| number(line.rate()),
    ),
    column(
        "P50",
        "p50",
        8,
        Right,
        2,
        |line, _| latency(line.p50_us(), line),
        |line, _| number(line.p50_us().map(|us| us / 1e3)),
    ),
    column(
        "P99",
        "p99",
        8,
        Right,
        0,
        |line, _| latency(line.p99_us(), line),
        |line, _| number(line.p99_us().map(|us| us / 1e3)),
    ),
    column(
        "ERRORS",
        "errors",
        7,
        Right,
        1,
        |line, _| {
            let (errors, requests) = line.errors();
            let meaning = if errors > 0 {
                Meaning::Warn
            } else {
                Meaning::Text
            };
            (format::share(errors, requests), meaning)
        },
        |line, _| number(error_share(line)),
    ),
    column(
        "CPU",
        "cpu",
        5,
        Right,
        3,
        |line, _| figure(cpu(line), |share| format!("{share:.0} %")),
        |line, _| number(cpu(line)),
    ),
    column(
        "MEM",
        "mem",
        5,
        Right,
        3,
        |line, _| figure(memory(line), |share| format!("{share:.0} %")),
        |line, _| number(memory(line)),
    ),
    column(
        "VERSIONS",
        "versions",
        8,
        Right,
        6,
        |line, _| figure(versions(line), |count| format!("{count:.0}")),
        |line, _| number(versions(line)),
    ),
    column(
        "WHY",
        "why",
        18,
        Left,
        4,
        |line, _| (shown(&reason(line)), Meaning::Quiet),
        |line, _| Value::Text(reason(line).to_string().into()),
    )
    .growing(u16::MAX),
];

impl Row for HostLine {
    fn id(&self) -> &Arc<str> {
        self.host()
    }

    fn other_field(&self, name: &str) -> Option<Value<'_>> {
        let label = self.glance.labels.iter().find(|(key, _)| *key == name);
        label.map(|(_, value)| text(value))
    }

    fn has_word(&self, word: &str) -> bool {
        contains(self.host(), word)
            || contains(&self.glance.environment, word)
            || self
                .glance
                .labels
                .iter()
                .any(|(_, value)| contains(value, word))
    }

    fn is_stale(&self) -> bool {
        self.status() == Status::Silent
    }
}

impl Hosts {
    fn parts(&self, look: &Look<'_>) -> (Rect, Option<Rect>) {
        if look.body.width < PREVIEW_FROM {
            return (look.body, None);
        }
        let width = look.body.width * 2 / 5;
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
}

impl Screen for Hosts {
    fn place(&self) -> Place {
        Place {
            view: "hosts".into(),
            object: String::new(),
            filter: self.table.filter_text().into(),
            selected: self
                .table
                .selected()
                .map(ToString::to_string)
                .unwrap_or_default(),
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Hosts".into()]
    }

    fn note(&self, _look: &Look<'_>) -> String {
        let (shown, all) = self.table.counts();
        match self.table.filter_text() {
            "" => format!("{all}"),
            filter => format!("filter: {filter}  {shown}/{all}"),
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let hosts = look.fleet.hosts();
        let sight = self.table.in_sight(hosts, look.body.height);
        let mut hosts: Vec<_> = sight.map(|line| line.host().clone()).collect();
        hosts.truncate(MAX_FOLLOWED - 1);
        hosts.extend(self.table.settled().cloned());
        hosts.sort();
        hosts.dedup();
        Wants {
            hosts,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        vec![
            C::Open,
            C::Mark,
            C::Actions,
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
            C::MarkRange,
            C::MarkAll,
            C::Unmark,
            C::Copy,
            C::Export,
            C::RollBack,
        ]
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        let chosen = self.table.chosen();
        crate::screen::host_actions(&chosen, look)
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        Some(Concern::Host(self.table.selected()?.clone()))
    }

    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let hosts = look.fleet.hosts();
        let inner = self.table_look(look);
        if let Some(steps) = self.table.on(command, hosts, &inner) {
            return steps;
        }
        if command == Command::Open {
            let selected = self.table.selected();
            return selected
                .map(|name| Step::Go(host::open(name)))
                .into_iter()
                .collect();
        }
        if command == Command::Export {
            return vec![Step::Effect(Effect::Export {
                name: "hosts".into(),
                suffix: ".csv",
                text: self.table.csv(hosts, &inner),
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
        self.table.learn(look.fleet.hosts(), &inner);
    }

    fn settle(&mut self) {
        self.table.settle();
    }

    fn command(&self, _look: &Look<'_>) -> String {
        "binnacle host list".into()
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let (area, preview) = self.parts(look);
        let fleet = look.fleet;
        if fleet.hosts().is_empty() {
            return nothing(look, area, buf);
        }
        let inner = self.table_look(look);
        self.table.draw(fleet.hosts(), &inner, area, buf);
        if self.table.counts().0 == 0 {
            let words = "no host matches the filter; esc shows all again";
            line::draw(words, look.style(Meaning::Quiet), line::row(area, 2), buf);
        }
        let settled = self.table.settled().and_then(|host| fleet.host(host));
        if let (Some(preview), Some(line)) = (preview, settled) {
            draw_preview(line, look, preview, buf);
        }
    }
}

/// Why there is nothing to see, and what to do about it.
pub(super) fn nothing(look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let lines: &[&str] = match (look.fleet.is_known, look.data.is_live()) {
        (true, _) => &[
            "No host has joined this hub yet.",
            "",
            "Beside each inference server, start an agent that dials it:",
            "  binnacle-agent run --host NAME --environment ENV --hub ADDR \\",
            "      --upstream http://SERVER --listen ADDR:PORT --data DIR",
        ],
        (false, true) => &["Loading hosts…"],
        (false, false) => &["Not connected to the hub yet: nothing is known of any host."],
    };
    for (at, text) in lines.iter().enumerate() {
        let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
        line::draw(text, look.style(Meaning::Text), place, buf);
    }
}

/// What is selected, in some lines.
fn draw_preview(host: &HostLine, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let mut lines: Vec<(String, Meaning)> = vec![(shown(host.host()), Meaning::Title)];
    let since = host
        .row
        .as_ref()
        .and_then(|(row, _)| row.since_us)
        .or(host.glance.since_us);
    let since = since.map(|us| format!("  for {}", format::age(look.now_us - us)));
    let status = format!(
        "{}{}",
        status_text(host.status()),
        since.unwrap_or_default()
    );
    lines.push((status, status_meaning(host.status())));
    let reason = reason(host);
    if !reason.is_empty() {
        lines.push((shown(&reason), Meaning::Text));
    }
    let labels = host.glance.labels.iter();
    let labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    if !labels.is_empty() {
        lines.push((shown(&labels.join(" ")), Meaning::Quiet));
    }
    lines.push((String::new(), Meaning::Text));
    if let Some(server) = host.row.as_ref().and_then(|(row, _)| row.server.as_ref()) {
        let upstream = format!("server {}", shown(&server.upstream));
        lines.push((upstream, Meaning::Quiet));
        for version in &server.versions {
            let lights = [("loaded", version.loaded), ("answers", version.answers)];
            let lights = lights.map(|(word, light)| crate::screen::light(word, light));
            let name = format!("{} {}", shown(&version.model), shown(&version.version));
            lines.push((format!("  {name:<24} {}", lights.join("  ")), Meaning::Text));
        }
    }
    for (at, (text, meaning)) in lines.iter().enumerate() {
        let place = line::row(area, u16::try_from(at).unwrap_or(u16::MAX));
        line::draw(text, look.style(*meaning), place, buf);
    }
}

#[cfg(test)]
mod tests {
    use crate::msg::Msg;
    use crate::stage::{self, Stage};

    fn full(size: (u16, u16)) -> Stage {
        let mut stage = Stage::with_hosts("hosts", size, 412);
        stage.tell(Msg::Hosts((1..60).map(stage::row).collect()));
        stage
    }

    #[test]
    fn looks() {
        for (name, size) in stage::SIZES {
            insta::assert_snapshot!(format!("hosts-full-{name}"), full(size).text());
            let mut stale = full(size);
            stale.lose();
            stale.wait(43_000_000);
            insta::assert_snapshot!(format!("hosts-stale-{name}"), stale.text());
            let loading = Stage::connected("hosts", size);
            insta::assert_snapshot!(format!("hosts-loading-{name}"), loading.text());
            let empty = Stage::with_hosts("hosts", size, 0);
            insta::assert_snapshot!(format!("hosts-empty-{name}"), empty.text());
            let mut broken = Stage::dark("hosts", size);
            broken.lose();
            insta::assert_snapshot!(format!("hosts-broken-{name}"), broken.text());
        }
    }

    #[test]
    fn a_reason_has_the_room_that_is_left() {
        let reason = "fraud 8 does not answer: out of memory";
        let row = |width: u16| {
            let text = Stage::with_hosts("hosts", (width, 60), 412).text();
            let row = text.lines().find(|line| line.contains("infer-0017"));
            row.unwrap_or_default().to_owned()
        };
        assert!(row(200).contains("fraud 8 does not"), "{}", row(200));
        assert!(row(260).contains(reason), "{}", row(260));
    }

    #[test]
    fn a_filter_works_while_it_is_typed_and_esc_takes_it_back() {
        let mut stage = full((120, 30));
        stage.press("/");
        stage.type_text("p99>250");
        assert!(stage.line(1).contains("1/412"), "{}", stage.text());
        assert!(stage.line(3).contains("infer-0007"), "{}", stage.text());
        stage.press("esc");
        assert!(stage.line(1).ends_with("412"), "{}", stage.text());
        stage.press("/");
        stage.type_text("p98>2");
        assert!(stage.text().contains("no field"), "{}", stage.text());
    }
}
