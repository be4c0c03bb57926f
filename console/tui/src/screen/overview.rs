//! What is wrong now, worst first; what is going on; how the fleet is: read in five seconds.
//!
//! ```text
//!  WRONG NOW                                4 troubles; 412 hosts, 402 compared
//! ▌x infer-0011    connection refused                                        3m
//!    → this host · its agent is well: start its inference server again
//!  ! infer-0007    p99 9 × its peers'                                  last min
//!    → this host · its page tells load, and which model
//!  GOING ON
//!   12m  alice retired host infer-0042 "disk is dying"
//!  FLEET  7,204 req/s ▂▃▅▆▆▇▆▅  p50 3.10 ms ▃▃▃▃▃▃▃▃  p99 41.0 ms ▂▂▂▂▃▇▆▅  err 0.08 %
//! ```
//! Where that leaves room, the worst hosts of the last half hour follow as a heat map. From 110
//! columns on, what is selected is told at the right, and the fleet by zone with its
//! exceptions.

use std::sync::Arc;

use binnacle_core::view::{
    EndpointItem, EndpointName, EntryRow, LatencyPage, Object, Trouble, Troubles,
    endpoint_troubles, shown, troubles,
};
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};

use self::zones::Zones;
use crate::data::{HostLine, Known};
use crate::draw::clock;
use crate::format;
use crate::keymap::{Command, view_named};
use crate::msg::Effect;
use crate::question::endpoint::Inquiry;
use crate::question::{Question, Span};
use crate::screen::hosts::{self, status_meaning};
use crate::screen::journal::page_of;
use crate::screen::latency::fleet::Fleet;
use crate::screen::{Action, Concern, Look, Place, Screen, Step, Wants, host_actions, rollouts};
use crate::theme::Meaning;
use crate::widget::line;

mod events;
mod pace;
mod preview;
mod zones;

/// From here on there is room for what is selected at the right.
const PREVIEW_FROM: u16 = 110;
/// Lines that a trouble takes.
const LINES: u16 = 2;
/// Lines that are kept for what is going on, with its heading, however much is wrong.
const EVENTS: u16 = 3;
/// Lines from which on a heat map says something: its heading, some hosts, times, the legend.
const MAP_FROM: u16 = 7;
/// Hosts of the heat map: what a tall screen shows.
const MAP_HOSTS: usize = 30;
/// Columns of a title; a longer one is cut.
const TITLE: std::ops::RangeInclusive<u16> = 12..=24;
/// The past by which the present is judged, and its steps.
const PAST: (u32, u32) = (30 * 60, 60);

/// Opens it.
pub fn open(place: &Place) -> Box<dyn Screen> {
    let selected = (!place.selected.is_empty()).then(|| place.selected.clone());
    Box::new(Overview {
        found: Troubles::default(),
        zones: Zones::default(),
        map: Fleet::new(MAP_HOSTS),
        settled: selected.clone(),
        selected,
        at: 0,
        top: 0,
    })
}

/// What is wrong, and which of it is looked at.
#[derive(Debug)]
struct Overview {
    found: Troubles,
    zones: Zones,
    /// The worst hosts over time.
    map: Fleet,
    /// The trouble that was chosen; before one was, the worst is selected, whichever it is.
    selected: Option<String>,
    settled: Option<String>,
    at: usize,
    top: usize,
}

/// What a trouble is known by while its figures change.
fn id(trouble: &Trouble) -> String {
    match &trouble.object {
        Object::Host(host) => host.to_string(),
        Object::Hosts(filter) => {
            let words = trouble.what.chars().filter(|at| !at.is_ascii_digit());
            format!("{filter} {}", words.collect::<String>())
        }
        Object::Endpoint(name) => {
            let words = trouble.what.split(' ').take(4);
            format!("{name} {}", words.collect::<Vec<_>>().join(" "))
        }
    }
}

fn latency_question(look: &Look<'_>) -> Question {
    Question::Latency {
        model: None,
        span: past_span(look),
    }
}

fn past_span(look: &Look<'_>) -> Span {
    let (length_s, step_s) = PAST;
    Span::last(length_s, step_s).until(look.at_us)
}

fn journal_question() -> Question {
    Question::Journal {
        host: None,
        before: None,
    }
}

/// The requests of the past half hour, as far as they are known.
fn page<'a>(look: &Look<'a>) -> Known<'a, Arc<LatencyPage>> {
    look.data.latency(&latency_question(look), look.here_us)
}

/// Entries of the journal, newest first: those that came while one looked and those that were
/// asked for; none from after the moment that is shown.
fn entries<'a>(look: &Look<'a>) -> (Known<'a, Arc<[EntryRow]>>, Vec<&'a EntryRow>) {
    let known = look.data.known(&journal_question(), look.here_us, page_of);
    let mut entries: Vec<&EntryRow> = look.data.entries.iter().collect();
    if let Known::Here(asked, _) = known {
        entries.extend(asked.iter());
    }
    entries.retain(|entry| look.at_us.is_none_or(|at_us| entry.at_us <= at_us));
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.sequence));
    entries.dedup_by_key(|entry| entry.sequence);
    (known, entries)
}

/// What is wrong with endpoints; of a moment of the past it is not known.
fn endpoints(look: &Look<'_>) -> Vec<Trouble> {
    match look.data.endpoints(look.here_us) {
        Known::Here(rows, _) if look.at_us.is_none() => endpoint_troubles(rows, look.now_us),
        Known::Here(..) | Known::Loading | Known::Broken(_) => Vec::new(),
    }
}

/// Both together, those of endpoints first where they are as bad: people call them.
fn worst_first(mut first: Vec<Trouble>, second: Vec<Trouble>) -> Vec<Trouble> {
    first.extend(second);
    first.sort_by_key(|trouble| std::cmp::Reverse(trouble.severity));
    first
}

fn row<'a>(name: &EndpointName, look: &Look<'a>) -> Option<&'a EndpointItem> {
    match look.data.endpoints(look.here_us) {
        Known::Here(rows, _) => rows.iter().find(|row| row.endpoint == *name),
        Known::Loading | Known::Broken(_) => None,
    }
}

/// Where things are.
struct Parts {
    troubles: Rect,
    events: Rect,
    /// Empty where there is no room, or nothing to be seen.
    map: Rect,
    pace: Rect,
    /// At the right, where there is room.
    preview: Option<Rect>,
}

impl Overview {
    fn parts(&self, look: &Look<'_>) -> Parts {
        let body = look.body;
        let upper = Rect {
            height: body.height.saturating_sub(1),
            ..body
        };
        let pace = Rect {
            y: upper.bottom(),
            height: body.height - upper.height,
            ..body
        };
        let width = match body.width < PREVIEW_FROM {
            true => body.width,
            false => body.width * 3 / 5,
        };
        let preview = (width < body.width).then(|| Rect {
            x: body.x + width + 2,
            width: body.width - width - 2,
            ..upper
        });
        // What is wrong takes what it needs; what is going on takes what is left.
        let count = u16::try_from(self.found.list.len()).unwrap_or(u16::MAX);
        let needed = match count {
            0 => 1 + preview::WELL_LINES,
            count => 1 + count.saturating_mul(LINES),
        };
        let left = upper.height.saturating_sub(EVENTS + 1);
        let troubles = Rect {
            width,
            height: needed.min(left),
            ..upper
        };
        let rest = Rect {
            y: troubles.bottom() + 1,
            width,
            height: upper.height.saturating_sub(troubles.height + 1),
            ..upper
        };
        let has_requests = |line: &HostLine| line.glance.cell.requests > 0;
        let is_seen = look.fleet.hosts().iter().any(has_requests);
        let left = rest.height.saturating_sub(EVENTS + 2);
        let map = match left >= MAP_FROM && is_seen {
            true => left.min(u16::try_from(self.map.count()).unwrap_or(left) + MAP_FROM - 3),
            false => 0,
        };
        let events = Rect {
            height: rest.height - map - u16::from(map > 0),
            ..rest
        };
        let map = Rect {
            y: events.bottom() + u16::from(map > 0),
            height: map,
            ..rest
        };
        Parts {
            troubles,
            events,
            map,
            pace,
            preview,
        }
    }

    /// How many troubles are visible.
    fn page(&self, look: &Look<'_>) -> usize {
        usize::from(self.parts(look).troubles.height.saturating_sub(1) / LINES).max(1)
    }

    fn current(&self) -> Option<&Trouble> {
        self.found.list.get(self.at)
    }

    /// What the preview is about: what was selected when the cursor rested.
    fn previewed(&self) -> Option<&Trouble> {
        let settled = self.settled.as_ref()?;
        let mut list = self.found.list.iter();
        list.find(|trouble| id(trouble) == *settled)
    }

    fn place_in_list(&self) -> usize {
        let last = self.found.list.len().saturating_sub(1);
        match &self.selected {
            None => 0,
            Some(selected) => {
                let mut ids = self.found.list.iter().map(id);
                // What is not wrong any more gives its place to what stood below it.
                ids.position(|id| id == *selected)
                    .unwrap_or(self.at.min(last))
            }
        }
    }

    fn move_to(&mut self, to: usize, look: &Look<'_>) -> Vec<Step> {
        let last = self.found.list.len().saturating_sub(1);
        self.at = to.min(last);
        self.selected = self.current().map(id);
        self.scroll(look);
        vec![Step::Moved]
    }

    fn scroll(&mut self, look: &Look<'_>) {
        let page = self.page(look);
        let last = self.found.list.len().saturating_sub(page);
        let least = (self.at + 1).saturating_sub(page);
        self.top = self.top.clamp(least, self.at).min(last.max(least));
    }
}

impl Screen for Overview {
    fn place(&self) -> Place {
        Place {
            view: "overview".into(),
            selected: self.selected.clone().unwrap_or_default(),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        Vec::new()
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let mut questions = vec![latency_question(look), journal_question()];
        if look.at_us.is_none() {
            questions.push(Question::Endpoints(Inquiry::All));
        }
        if !self.parts(look).map.is_empty() {
            questions.extend(self.map.question(past_span(look)));
        }
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        let views = ["hosts", "latency", "journal"].map(C::View);
        if self.found.list.is_empty() {
            return [C::Palette, C::Help].into_iter().chain(views).collect();
        }
        let mut offers = vec![C::Open, C::Actions, C::Palette, C::Help, C::Down];
        if let Some(Object::Endpoint(_)) = self.current().map(|trouble| &trouble.object) {
            offers.insert(1, C::RollBack);
        }
        offers.extend(views);
        offers.extend([C::Up, C::Top, C::Bottom, C::PageDown, C::PageUp, C::Copy]);
        offers
    }

    fn actions(&self, look: &Look<'_>) -> Vec<Action> {
        match self.current().map(|trouble| &trouble.object) {
            Some(Object::Host(host)) => host_actions(std::slice::from_ref(host), look),
            Some(Object::Hosts(_)) => {
                let open = look.keys.keys_of(Command::Open);
                let open = open.unwrap_or_else(|| "open".into());
                let why = format!("one host at a time: {open} lists them");
                let refused = |action| Action {
                    asks: Err(why.clone()),
                    ..action
                };
                host_actions(&[], look).into_iter().map(refused).collect()
            }
            Some(Object::Endpoint(name)) => rollouts::act::of_endpoint(row(name, look), look),
            None => Vec::new(),
        }
    }

    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        match &self.current()?.object {
            Object::Host(host) => Some(Concern::Host(host.clone())),
            Object::Endpoint(name) => Some(Concern::Endpoint(name.clone())),
            Object::Hosts(_) => None,
        }
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "it offers no other command")]
    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let half = (self.page(look) / 2).max(1);
        match command {
            Command::Down => self.move_to(self.at + 1, look),
            Command::Up => self.move_to(self.at.saturating_sub(1), look),
            Command::Top => self.move_to(0, look),
            Command::Bottom => self.move_to(usize::MAX, look),
            Command::PageDown => self.move_to(self.at + half, look),
            Command::PageUp => self.move_to(self.at.saturating_sub(half), look),
            Command::Open => self.open_object(),
            Command::Copy => match self.current().map(|trouble| &trouble.object) {
                Some(Object::Host(name)) => vec![Step::Effect(Effect::Copy(name.to_string()))],
                Some(Object::Hosts(filter)) => vec![Step::Effect(Effect::Copy(filter.clone()))],
                Some(Object::Endpoint(name)) => {
                    vec![Step::Effect(Effect::Copy(name.to_string()))]
                }
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn learn(&mut self, look: &Look<'_>) {
        let past = match page(look) {
            Known::Here(page, _) => pace::finished(page),
            Known::Loading | Known::Broken(_) => &[],
        };
        let hosts = look.fleet.hosts().iter().map(|line| &line.glance);
        self.found = troubles(hosts.clone(), past);
        self.found.list = worst_first(endpoints(look), std::mem::take(&mut self.found.list));
        self.zones = Zones::of(hosts, &self.found);
        self.map.learn(look, past_span(look));
        self.at = self.place_in_list();
        // What the preview told of is not wrong any more, or nothing was chosen: it tells of
        // what is selected.
        if self.selected.is_none() || self.previewed().is_none() {
            self.settled = self.current().map(id);
        }
        self.scroll(look);
    }

    fn settle(&mut self) {
        self.settled.clone_from(&self.selected);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        "binnacle snapshot overview".into()
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        if look.fleet.hosts().is_empty() {
            return hosts::nothing(look, look.body, buf);
        }
        let parts = self.parts(look);
        self.draw_troubles(look, parts.troubles, buf);
        events::draw(look, parts.events, buf);
        if !parts.map.is_empty() {
            self.map
                .draw((past_span(look), false), look, parts.map, buf);
        }
        pace::draw(look, parts.pace, buf);
        if let Some(area) = parts.preview {
            let taken = preview::draw(self.previewed(), look, area, buf);
            let rest = Rect {
                y: area.y + taken,
                height: area.height.saturating_sub(taken),
                ..area
            };
            self.zones.draw(look, rest, buf);
        }
    }
}

impl Overview {
    fn open_object(&self) -> Vec<Step> {
        let (Some(trouble), Some(view)) = (self.current(), view_named("hosts")) else {
            return Vec::new();
        };
        let mut place = Place {
            view: view.name.into(),
            ..Place::default()
        };
        match &trouble.object {
            Object::Host(host) => {
                place.object = host.to_string();
                place.selected = host.to_string();
            }
            Object::Hosts(filter) => place.filter.clone_from(filter),
            Object::Endpoint(name) => return vec![Step::Go(rollouts::page(name.clone()))],
        }
        vec![Step::Go((view.open)(&place))]
    }

    fn draw_troubles(&self, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
        let first = line::row(area, 0);
        let title = format!(" {}", heading(look));
        let taken = line::draw(&title, look.style(Meaning::Title), first, buf);
        let note = note(&self.found);
        if u32::from(taken + line::width(&note)) + 2 < u32::from(first.width) {
            let right = Rect {
                width: first.width - 1,
                ..first
            };
            line::draw_aligned(
                &note,
                look.style(Meaning::Quiet),
                Alignment::Right,
                right,
                buf,
            );
        }
        if self.found.list.is_empty() {
            let below = Rect {
                y: area.y + 1,
                height: area.height.saturating_sub(1),
                ..area
            };
            return preview::well(&self.found, look, below, buf);
        }
        let titles = self
            .found
            .list
            .iter()
            .map(|trouble| line::width(&trouble.title));
        let widest = titles
            .max()
            .unwrap_or(0)
            .clamp(*TITLE.start(), *TITLE.end());
        let visible = self.found.list.iter().enumerate().skip(self.top);
        for (row, (at, trouble)) in visible.take(self.page(look)).enumerate() {
            let place = |line_of: u16| {
                let row = u16::try_from(row).unwrap_or(u16::MAX);
                line::row(area, row.saturating_mul(LINES).saturating_add(1 + line_of))
            };
            let is_selected = at == self.at;
            draw_trouble(
                trouble,
                is_selected,
                widest,
                look,
                (place(0), place(1)),
                buf,
            );
        }
    }
}

/// What the list is: of now, of then, or of when the hub was last heard.
fn heading(look: &Look<'_>) -> String {
    match (look.at_us, look.data.heard_us) {
        (Some(at_us), _) => format!("WRONG AT {}", clock(at_us)),
        (None, Some(heard_us)) if look.is_stale() => {
            format!("WRONG {} AGO", format::age(look.here_us - heard_us))
        }
        (None, _) => "WRONG NOW".into(),
    }
}

fn note(found: &Troubles) -> String {
    let troubles = match found.list.len() {
        0 => String::new(),
        1 => "1 trouble; ".into(),
        count => format!("{count} troubles; "),
    };
    let hosts = match found.hosts {
        1 => "1 host".into(),
        count => format!("{} hosts", format::count(count as u64)),
    };
    let compared = format::count(found.compared as u64);
    format!("{troubles}{hosts}, {compared} compared with peers")
}

/// A trouble on its two lines.
fn draw_trouble(
    trouble: &Trouble,
    is_selected: bool,
    widest: u16,
    look: &Look<'_>,
    (first, second): (Rect, Rect),
    buf: &mut Buffer,
) {
    let meaning = match look.is_stale() {
        true => Meaning::Stale,
        false => status_meaning(trouble.severity),
    };
    let mark = if is_selected { "▌" } else { " " };
    line::draw(mark, look.style(Meaning::Accent), first, buf);
    let inside = |area: Rect, from: u16, less: u16| Rect {
        x: area.x.saturating_add(from),
        width: area.width.saturating_sub(from + less),
        ..area
    };
    let glyph = trouble.severity.glyph().to_string();
    line::draw(&glyph, look.style(meaning), inside(first, 1, 0), buf);
    let title = Rect {
        width: widest.min(first.width.saturating_sub(3)),
        ..inside(first, 3, 0)
    };
    let style = match is_selected {
        true => look.style(Meaning::Selected),
        false => look.style(Meaning::Text),
    };
    line::draw(&shown(&trouble.title), style, title, buf);
    let since = match trouble.since_us {
        Some(since_us) => format::age(look.now_us - since_us),
        None => "last min".into(),
    };
    let ends = line::width(&since) + 1;
    let right = inside(first, 0, 1);
    line::draw_aligned(
        &since,
        look.style(Meaning::Quiet),
        Alignment::Right,
        right,
        buf,
    );
    let what = inside(first, 3 + widest + 2, ends + 2);
    line::draw(&shown(&trouble.what), look.style(meaning), what, buf);
    let pieces = [
        (
            format!("→ {}", shown(&trouble.blame)),
            look.style(Meaning::Text),
        ),
        (
            format!(" · {}", shown(&trouble.next)),
            look.style(Meaning::Quiet),
        ),
    ];
    line::draw_pieces(&pieces, inside(second, 3, 1), buf);
}

#[cfg(test)]
pub(crate) mod tests;
