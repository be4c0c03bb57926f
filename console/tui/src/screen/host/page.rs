//! What stands on a host's page, line by line.

use binnacle_core::view::{
    Glance, HostRow, LatencyRow, Light, ServerHealth, Status, VersionLights, shown,
};

use super::{About, HostPage, Item, machine, past};
use crate::data::Known;
use crate::draw::clock;
use crate::format;
use crate::screen::hosts::{status_meaning, status_text};
use crate::screen::{Look, journal, light};
use crate::theme::Meaning;
use crate::widget::line;
use crate::widget::page::{GUTTER, Line, Page, beside, piece};

/// From here on lights stand beside figures.
pub(super) const TWO_COLUMNS_FROM: u16 = 110;
/// Columns for lights and the machine, where they stand beside the figures.
const LEFT: u16 = 58;
/// Versions that are shown before one asks for all: what leaves room for the past at 80×24.
const SOME_VERSIONS: usize = 4;
/// Entries that are shown before one asks for all.
const SOME_ENTRIES: usize = 12;
/// Clocks that differ by more than this mislead whoever compares times.
const MAX_SKEW_US: i64 = 1_000_000;
/// A row that is older than this is told with its age.
const OLD_US: i64 = 10_000_000;

impl HostPage {
    /// Everything on the page.
    pub(super) fn page(&self, look: &Look<'_>) -> Page<Item> {
        let mut page = Page::new();
        match self.about(look) {
            About::Now(row, age_us) => {
                page.read(head(row, age_us, look));
                self.body(row, look, &mut page);
            }
            About::Glance(glance) => {
                page.read([
                    status(glance.status, glance.since_us, &glance.reason, look),
                    vec![piece("Loading the rest…", Meaning::Quiet)],
                ]);
            }
            About::Then(glance) => page.read(then(glance, look)),
            About::Nobody => {
                page.read(said(&[
                    &format!("No host named {} is known to this hub.", shown(&self.name)),
                    "",
                    "A host is known from the moment in which its agent first dials:",
                    "is the name right, and is the agent's --hub this one?",
                ]));
                return page;
            }
            About::NotThen => page.read(said(&[
                &format!("{} was not known to the hub then.", shown(&self.name)),
                "",
            ])),
            About::Loading => {
                let words = match look.data.is_live() || look.data.heard_us.is_some() {
                    true => format!("Loading {}…", shown(&self.name)),
                    false => "Not connected to the hub yet: nothing is known of it.".into(),
                };
                page.read(said(&[&words]));
                return page;
            }
            About::Broken(why) => page.read([
                vec![piece("The hub does not tell of it: ", Meaning::Warn)],
                vec![piece(shown(why), Meaning::Text)],
                vec![piece("It is asked again by itself.", Meaning::Quiet)],
            ]),
        }
        self.past_lines(look, &mut page);
        self.entry_lines(look, &mut page);
        page
    }

    /// Lights, the machine and the last minute, beside each other where there is room.
    fn body(&self, row: &HostRow, look: &Look<'_>, page: &mut Page<Item>) {
        let is_wide = look.body.width >= TWO_COLUMNS_FROM;
        let width = look.body.width.saturating_sub(GUTTER);
        let requests = self.requests(
            look,
            if is_wide {
                width.saturating_sub(LEFT)
            } else {
                width
            },
        );
        let mut lights = self.lights(row, look);
        let mut below = Vec::new();
        if let Some(vitals) = &row.vitals {
            below = machine::vitals(vitals, if is_wide { LEFT } else { width }, look);
        }
        below.extend(machine::losses(&row.losses));
        if !is_wide {
            page.read(lights.remove(0).1);
            for (item, lines) in lights {
                add(page, item, lines);
            }
            page.read(below);
            for (item, lines) in requests {
                add(page, item, lines);
            }
            return;
        }
        // Beside each other only what stands right can be selected: it says more.
        let left: Vec<Line> = lights.into_iter().flat_map(|(_, lines)| lines).collect();
        let left: Vec<Line> = left.into_iter().chain(below).collect();
        let items = requests.iter().flat_map(|(item, lines)| {
            let first = std::iter::once(item.clone());
            first.chain(std::iter::repeat_n(None, lines.len().saturating_sub(1)))
        });
        let items: Vec<Option<Item>> = items.collect();
        let right: Vec<Line> = requests.into_iter().flat_map(|(_, lines)| lines).collect();
        for (at, row) in beside(left, right, LEFT).into_iter().enumerate() {
            add(page, items.get(at).cloned().flatten(), vec![row]);
        }
    }

    /// The lights of the server and of each version, dark ones first.
    fn lights(&self, row: &HostRow, look: &Look<'_>) -> Vec<(Option<Item>, Vec<Line>)> {
        let Some(server) = &row.server else {
            let words = "server: nothing is known of it yet";
            return vec![(None, vec![vec![piece(words, Meaning::Unknown)]])];
        };
        let mut lines = vec![(None, vec![server_line(server, look)])];
        let mut versions: Vec<&VersionLights> = server.versions.iter().collect();
        versions.sort_by_key(|version| dark(version));
        let some = if self.is_whole {
            usize::MAX
        } else {
            SOME_VERSIONS
        };
        for version in versions.iter().take(some) {
            let item = Item::Lights(version.model.clone(), version.version.clone());
            lines.push((Some(item), vec![version_line(version, look)]));
        }
        lines.extend(more(versions.len(), some, "versions", look));
        lines
    }

    /// The last minute by model and version.
    fn requests(&self, look: &Look<'_>, width: u16) -> Vec<(Option<Item>, Vec<Line>)> {
        let columns = Figures::that_fit(width);
        let told = match self.last_minute(look) {
            Known::Loading => "LAST MINUTE  loading…".to_owned(),
            Known::Broken(why) => format!("LAST MINUTE  not told: {}", shown(why)),
            Known::Here(latency, _) if latency.table.rows.is_empty() => {
                "LAST MINUTE  no requests".into()
            }
            Known::Here(latency, age_us) => {
                let mut lines = vec![(None, vec![columns.titles(age_us)])];
                let mut rows: Vec<&LatencyRow> = latency.table.rows.iter().collect();
                rows.sort_by_key(|row| std::cmp::Reverse(row.all.requests));
                let some = if self.is_whole {
                    usize::MAX
                } else {
                    SOME_VERSIONS
                };
                for row in rows.iter().take(some) {
                    let item = Item::Requests(row.model.clone(), row.version.clone());
                    let name = format!("{} {}", shown(&row.model), shown(&row.version));
                    lines.push((Some(item), vec![columns.line(name.trim_end(), row, look)]));
                }
                lines.extend(more(rows.len(), some, "versions", look));
                if rows.len() > 1 {
                    let total = columns.line("all", &latency.table.total, look);
                    lines.push((None, vec![total]));
                }
                return lines;
            }
        };
        vec![(None, vec![vec![piece(told, Meaning::Quiet)]])]
    }

    fn past_lines(&self, look: &Look<'_>, page: &mut Page<Item>) {
        let heading = |words: String| vec![vec![piece(words, Meaning::Quiet)]];
        let lines = match self.past(look) {
            Known::Loading => heading("P99  loading its past…".into()),
            Known::Broken(why) => heading(format!("P99  its past is not told: {}", shown(why))),
            Known::Here(history, _) => {
                let rows = match look.body.height {
                    ..30 => 1,
                    30..50 => 4,
                    50.. => 8,
                };
                let size = (Self::columns(look), rows);
                past::Columns::of(history, &self.name).lines(self.cursor_us, look, size)
            }
        };
        page.item(Item::Past, lines);
    }

    fn entry_lines(&self, look: &Look<'_>, page: &mut Page<Item>) {
        let title = |words: &str| {
            let words = format!("  {words}");
            vec![
                piece("JOURNAL", Meaning::Title),
                piece(words, Meaning::Quiet),
            ]
        };
        let entries = match self.told(look) {
            Known::Loading => return page.read([title("loading…")]),
            Known::Broken(why) => return page.read([title(&format!("not told: {}", shown(why)))]),
            Known::Here(entries, _) => entries,
        };
        let newest = entries.first().map_or(0, |entry| entry.sequence);
        let live = look.data.entries.iter();
        let live =
            live.filter(|entry| entry.sequence > newest && entry.host() == Some(&*self.name));
        let all = live.chain(entries.iter());
        let then = all.filter(|entry| journal::is_told(entry, look));
        let rows: Vec<_> = then.cloned().collect();
        if rows.is_empty() {
            return page.read([title("no entry is about it")]);
        }
        let some = if self.is_whole {
            usize::MAX
        } else {
            SOME_ENTRIES
        };
        page.read([title(&format!("{} about it", journal::entries(rows.len())))]);
        for (at, entry) in rows.iter().take(some).enumerate() {
            let earlier = rows.get(at + 1..).unwrap_or_default();
            let line = journal::line(entry, earlier, look);
            page.item(Item::Entry(entry.sequence), [line]);
        }
        if let Some((_, lines)) = more(rows.len(), some, "entries", look) {
            page.read(lines);
        }
    }
}

fn add(page: &mut Page<Item>, item: Option<Item>, lines: Vec<Line>) {
    match item {
        Some(item) => page.item(item, lines),
        None => page.read(lines),
    }
}

fn said(words: &[&str]) -> Vec<Line> {
    let line = |text: &&str| vec![piece(*text, Meaning::Text)];
    words.iter().map(line).collect()
}

/// How many are not shown, and the key that shows them.
fn more(all: usize, some: usize, what: &str, look: &Look<'_>) -> Option<(Option<Item>, Vec<Line>)> {
    let hidden = all.checked_sub(some).filter(|hidden| *hidden > 0)?;
    let key = look.keys.keys_of(crate::keymap::Command::Zoom);
    let key = key.map_or_else(String::new, |key| format!(": {key} shows all"));
    let words = format!("  {hidden} more {what}{key}");
    Some((None, vec![vec![piece(words, Meaning::Quiet)]]))
}

/// A status with its glyph, its word, since when and why.
fn status(status: Status, since_us: Option<i64>, reason: &str, look: &Look<'_>) -> Line {
    let mut line = vec![piece(status_text(status), status_meaning(status))];
    let moment_us = look.at_us.unwrap_or(look.now_us);
    // Of a moment of the past the hub may only know since when it was so later.
    if let Some(since_us) = since_us.filter(|since_us| *since_us <= moment_us) {
        let age = format::age(moment_us.saturating_sub(since_us));
        line.push(piece(format!(" for {age}"), Meaning::Text));
    }
    if !reason.is_empty() {
        line.push(piece(format!(": {}", shown(reason)), Meaning::Text));
    }
    line
}

/// How it stands: status, traffic, what its agent is.
fn head(row: &HostRow, age_us: i64, look: &Look<'_>) -> Vec<Line> {
    let (now, reason) = row.status();
    let mut lines = vec![status(now, row.since_us, &reason, look)];
    if age_us > OLD_US && look.data.is_live() {
        let words = format!(
            "~ this is {} old: the hub did not answer since",
            format::age(age_us)
        );
        lines.push(vec![piece(words, Meaning::Warn)]);
    }
    if now == Status::Silent {
        let heard = match row.seen_at_us {
            Some(us) => format!("last heard {} ago", format::age(look.now_us - us)),
            None => "not heard since the hub started".into(),
        };
        lines.push(vec![piece(heard, Meaning::Text)]);
    }
    if let Some(traffic) = row.traffic {
        let us = |ns: Option<u64>| ns.map(|ns| ns as f64 / 1e3);
        let figures = format!(
            "{} req/s  p50 {}  p99 {}  errors {}  {} in flight",
            format::rate(traffic.rate()),
            format::latency(us(traffic.p50_ns)),
            format::latency(us(traffic.p99_ns)),
            format::share(traffic.errors, traffic.requests),
            traffic.in_flight,
        );
        let span = format!("  over {} s", traffic.span_s);
        lines.push(vec![
            figure(figures, look, now),
            piece(span, Meaning::Quiet),
        ]);
    }
    lines.push(agent(row, look));
    let (wanted, observed) = (row.generation_wanted, row.generation_observed);
    if wanted != observed {
        let words = format!("! converging: it follows generation {observed}, {wanted} is wanted");
        lines.push(vec![piece(words, Meaning::Warn)]);
    }
    if row.streams > 1 {
        let words = format!(
            "x {} streams claim this name: two machines, or an agent that was left running",
            row.streams
        );
        lines.push(vec![piece(words, Meaning::Crit)]);
    }
    if row.skew_us.saturating_abs() > MAX_SKEW_US {
        let way = if row.skew_us > 0 {
            "ahead of"
        } else {
            "behind"
        };
        let skew = format::latency(Some(row.skew_us.unsigned_abs() as f64));
        let words = format!("! its clock is {skew} {way} the hub's: its times are off by that");
        lines.push(vec![piece(words, Meaning::Warn)]);
    }
    lines
}

/// The agent: release, attachment, generations, since when.
fn agent(row: &HostRow, look: &Look<'_>) -> Line {
    let mut words = Vec::new();
    if !row.agent_version.is_empty() {
        words.push(format!("agent {}", shown(&row.agent_version)));
    }
    if !row.attachment.is_empty() {
        words.push(format!("attached as {}", shown(&row.attachment)));
    }
    if let Some(us) = row.connected_at_us {
        words.push(format!("connected for {}", format::age(look.now_us - us)));
    }
    if row.generation_wanted == row.generation_observed {
        words.push(format!("generation {}", row.generation_wanted));
    }
    vec![piece(words.join(", "), Meaning::Quiet)]
}

/// What is kept of the minute that is shown.
fn then(glance: &Glance, look: &Look<'_>) -> Vec<Line> {
    let at = look.at_us.map(clock).unwrap_or_default();
    let cell = glance.cell;
    let figures = match cell.requests {
        0 => format!("no requests in the minute from {at}"),
        requests => format!(
            "minute from {at}: {} requests  p50 {}  p99 {}  errors {}",
            format::count(requests.into()),
            format::latency(cell.p50.us()),
            format::latency(cell.p99.us()),
            format::share(cell.errors.into(), requests.into()),
        ),
    };
    vec![
        status(glance.status, glance.since_us, &glance.reason, look),
        vec![piece(figures, Meaning::Text)],
        vec![piece(
            "Lights, the machine and versions are not kept: esc shows them as they are now.",
            Meaning::Quiet,
        )],
    ]
}

fn server_line(server: &ServerHealth, look: &Look<'_>) -> Line {
    let mut line = vec![
        piece("server ", Meaning::Title),
        piece(light("up", server.process), meaning(server.process, look)),
        piece(format!("  {}", shown(&server.upstream)), Meaning::Quiet),
    ];
    if !server.reason.is_empty() {
        line.push(piece(format!("  {}", shown(&server.reason)), Meaning::Text));
    }
    line
}

fn version_line(version: &VersionLights, look: &Look<'_>) -> Line {
    let name = format!("{} {}", shown(&version.model), shown(&version.version));
    let name = line::cut(&name, 18);
    let blanks = 18_u16.saturating_sub(line::width(&name));
    let mut line = vec![
        piece(
            format!("  {name}{}  ", " ".repeat(blanks.into())),
            Meaning::Text,
        ),
        piece(
            light("loaded", version.loaded),
            meaning(version.loaded, look),
        ),
        piece("  ", Meaning::Text),
        piece(
            light("answers", version.answers),
            meaning(version.answers, look),
        ),
    ];
    // Most versions have no golden requests: their light would only take room.
    if version.correct != Light::Unknown {
        line.push(piece("  ", Meaning::Text));
        line.push(piece(
            light("correct", version.correct),
            meaning(version.correct, look),
        ));
    }
    if !version.reason.is_empty() {
        line.push(piece(
            format!("  {}", shown(&version.reason)),
            Meaning::Text,
        ));
    }
    line
}

/// Dark lights before unknown ones before those that are on.
fn dark(version: &VersionLights) -> u8 {
    let rank = |light| match light {
        Light::Off => 0,
        Light::Unknown => 1,
        Light::On => 2,
    };
    let correct = match version.correct {
        Light::Off => 0,
        Light::Unknown | Light::On => 2,
    };
    rank(version.loaded).min(rank(version.answers)).min(correct)
}

fn meaning(light: Light, look: &Look<'_>) -> Meaning {
    if look.is_stale() {
        return Meaning::Stale;
    }
    match light {
        Light::On => Meaning::Ok,
        Light::Off => Meaning::Crit,
        Light::Unknown => Meaning::Unknown,
    }
}

/// A figure; one that may not be so any more is told as such.
fn figure(text: String, look: &Look<'_>, status: Status) -> (String, Meaning) {
    match look.is_stale() || status == Status::Silent {
        true => (format!("~{text}"), Meaning::Stale),
        false => (text, Meaning::Text),
    }
}

/// The figures of the last minute that there is room for.
struct Figures {
    name: u16,
    has_p90: bool,
}

impl Figures {
    /// Columns of every figure, with the blanks before it.
    const EACH: u16 = 9;

    fn that_fit(width: u16) -> Self {
        // Six figures: requests, errors, p50, p90, p99, max.
        let has_p90 = width >= 16 + 6 * Self::EACH;
        let figures = if has_p90 { 6 } else { 5 };
        let name = width.saturating_sub(figures * Self::EACH).clamp(8, 30);
        Self { name, has_p90 }
    }

    fn row(&self, name: &str, figures: [String; 6]) -> (String, String) {
        let [requests, errors, p50, p90, p99, max] = figures;
        let p90 = self.has_p90.then_some(p90);
        let figures = [
            Some(requests),
            Some(errors),
            Some(p50),
            p90,
            Some(p99),
            Some(max),
        ];
        let mut text = String::new();
        for figure in figures.into_iter().flatten() {
            let left = Self::EACH.saturating_sub(line::width(&figure));
            text.push_str(&" ".repeat(left.into()));
            text.push_str(&figure);
        }
        let name = line::cut(name, self.name);
        let blanks = self.name.saturating_sub(line::width(&name));
        (name + &" ".repeat(blanks.into()), text)
    }

    fn titles(&self, age_us: i64) -> Line {
        let titles = ["REQUESTS", "ERRORS", "P50", "P90", "P99", "MAX"].map(str::to_owned);
        let name = match age_us > OLD_US {
            true => format!("A MINUTE, {} AGO", format::age(age_us)),
            false => "LAST MINUTE".into(),
        };
        let (name, figures) = self.row(&name, titles);
        vec![piece(name, Meaning::Title), piece(figures, Meaning::Quiet)]
    }

    fn line(&self, name: &str, row: &LatencyRow, look: &Look<'_>) -> Line {
        let known = |us: Option<f64>| format::latency(us);
        let figures = [
            format::count(row.all.requests),
            format::share(row.errors, row.all.requests),
            known(row.all.p50_us),
            known(row.all.p90_us),
            known(row.all.p99_us),
            row.all
                .max_us
                .map_or_else(|| "–".into(), |us| known(Some(us))),
        ];
        let (name, figures) = self.row(&format!("  {name}"), figures);
        let meaning = match (look.is_stale(), row.errors > 0) {
            (true, _) => Meaning::Stale,
            (false, true) => Meaning::Warn,
            (false, false) => Meaning::Text,
        };
        vec![piece(name, Meaning::Text), piece(figures, meaning)]
    }
}
