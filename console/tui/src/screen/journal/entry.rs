//! One entry of the journal, whole: who, what, when, why, and what was before it.
//!
//! ```text
//!  Journal > 412
//!  host retired  host infer-0042
//!  2026-11-22T03:10:22Z (38s ago) by alice
//!  why      GPU fell off the bus
//!  BEFORE → AFTER
//!    membership   member → retired
//! ▌Show everything as it was then
//! ```

use binnacle_core::view::{EntryRow, rfc3339, shown};
use ratatui::buffer::Buffer;

use super::{before, page_of, row};
use crate::data::Known;
use crate::draw::clock;
use crate::format;
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Question;
use crate::screen::{Look, Place, Screen, Step, Wants, host};
use crate::theme::Meaning;
use crate::widget::page::{Line, Page, piece};

/// Columns before a value.
const NAMES: usize = 9;

/// Opens the page of this entry.
pub(super) fn open(sequence: u64) -> Box<dyn Screen> {
    Box::new(EntryPage {
        sequence,
        known: None,
        selected: Item::Then,
        top: 0,
    })
}

/// The page.
#[derive(Debug)]
struct EntryPage {
    sequence: u64,
    /// Once it is known it is so for good.
    known: Option<EntryRow>,
    selected: Item,
    top: usize,
}

/// What can be selected: where one may go from here.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Item {
    /// Everything as it was then.
    Then,
    /// The host that it is about.
    Host,
    /// Its payload, a line of it.
    Data(usize),
}

impl EntryPage {
    fn question(&self) -> Question {
        Question::Journal {
            host: None,
            before: Some(self.sequence.saturating_add(1)),
        }
    }

    fn page(&self, look: &Look<'_>) -> Page<Item> {
        let mut page = Page::new();
        let Some(entry) = &self.known else {
            let known = look.data.known(&self.question(), look.here_us, page_of);
            let words = match known {
                Known::Broken(why) => format!("The hub does not tell it: {}", shown(why)),
                Known::Here(..) => format!("There is no entry {} in this journal.", self.sequence),
                Known::Loading if look.data.is_live() => {
                    format!("Loading entry {}…", self.sequence)
                }
                Known::Loading => "Not connected to the hub yet.".into(),
            };
            page.read([vec![piece(words, Meaning::Text)]]);
            return page;
        };
        page.read(head(entry, look, look.body.width));
        page.read(changes(entry, look));
        page.read([Line::new()]);
        let then = format!("Show everything as it was at {}", clock(entry.at_us));
        page.item(Item::Then, [vec![piece(then, Meaning::Text)]]);
        if let Some(name) = entry.host() {
            let there = format!("Open {}", shown(name));
            page.item(Item::Host, [vec![piece(there, Meaning::Text)]]);
        }
        page.read([Line::new(), title("DATA")]);
        for (at, line) in data(entry).into_iter().enumerate() {
            page.item(Item::Data(at), [line]);
        }
        page
    }
}

impl Screen for EntryPage {
    fn place(&self) -> Place {
        Place {
            view: "journal".into(),
            object: format!("#{}", self.sequence),
            ..Place::default()
        }
    }

    fn crumbs(&self) -> Vec<String> {
        vec!["Journal".into(), self.sequence.to_string()]
    }

    fn wants(&self, _look: &Look<'_>) -> Wants {
        let before = self.known.as_ref().and_then(before::question);
        let itself = self.known.is_none().then(|| self.question());
        Wants {
            questions: itself.into_iter().chain(before).collect(),
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        vec![
            C::Open,
            C::Copy,
            C::Palette,
            C::Help,
            C::Export,
            C::Verify,
            C::Down,
            C::Up,
            C::Top,
            C::Bottom,
            C::PageDown,
            C::PageUp,
        ]
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "other commands move or do nothing"
    )]
    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        let page = self.page(look);
        if let Some(to) = page.moved(&self.selected, command, look.body.height) {
            self.selected = to;
            self.top = page.top(self.top, &self.selected, look.body.height);
            return vec![Step::Moved];
        }
        let Some(entry) = &self.known else {
            return Vec::new();
        };
        match command {
            Command::Open => match page.selected(&self.selected) {
                Some(Item::Then) => vec![Step::Time(entry.at_us)],
                Some(Item::Host) => {
                    let name = entry.host().unwrap_or_default();
                    vec![Step::Go(host::open(name))]
                }
                Some(Item::Data(_)) | None => Vec::new(),
            },
            Command::Copy => vec![Step::Effect(Effect::Copy(entry.json()))],
            Command::Export => vec![Step::Effect(Effect::Export {
                name: format!("journal-{}", self.sequence),
                suffix: ".jsonl",
                text: entry.json() + "\n",
            })],
            Command::Verify => vec![super::verify()],
            _ => Vec::new(),
        }
    }

    fn learn(&mut self, look: &Look<'_>) {
        if self.known.is_none()
            && let Known::Here(page, _) = look.data.known(&self.question(), look.here_us, page_of)
        {
            let found = page.iter().find(|entry| entry.sequence == self.sequence);
            self.known = found.cloned();
        }
        let page = self.page(look);
        self.top = page.top(self.top, &self.selected, look.body.height);
    }

    fn command(&self, _look: &Look<'_>) -> String {
        let before = self.sequence.saturating_add(1);
        format!("binnacle journal list --limit 1 --before {before} --json")
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let page = self.page(look);
        let top = page.top(self.top, &self.selected, look.body.height);
        page.draw(top, &self.selected, look, look.body, buf);
    }
}

/// The whole entry, for where it stands beside the list.
pub(super) fn lines(entry: &EntryRow, look: &Look<'_>, width: u16) -> Vec<Line> {
    let mut lines = head(entry, look, width);
    lines.extend(changes(entry, look));
    lines.extend([Line::new(), title("DATA")]);
    lines.extend(data(entry));
    lines
}

fn title(words: &str) -> Line {
    vec![piece(words, Meaning::Title)]
}

/// Who, what, when, why, and the chain's link.
fn head(entry: &EntryRow, look: &Look<'_>, width: u16) -> Vec<Line> {
    let named = |name: &str, text: String| {
        vec![
            piece(format!("{name:<NAMES$}"), Meaning::Quiet),
            piece(text, Meaning::Text),
        ]
    };
    let ago = format::age(look.now_us.saturating_sub(entry.at_us));
    let mut lines = vec![
        vec![
            piece(row::what(entry), Meaning::Title),
            piece(format!("  {}", shown(&entry.object)), Meaning::Text),
        ],
        named("entry", entry.sequence.to_string()),
        named("when", format!("{} ({ago} ago)", rfc3339(entry.at_us))),
        named("by", shown(&entry.caller)),
    ];
    let why = match entry.why.is_empty() {
        true => "no reason was given, or asked for".into(),
        false => shown(&entry.why),
    };
    let room = usize::from(width).saturating_sub(NAMES + 2).max(8);
    let wrapped = wrap(&why, room);
    for (at, part) in wrapped.into_iter().enumerate() {
        lines.push(named(if at == 0 { "why" } else { "" }, part));
    }
    for (at, part) in wrap(&shown(&entry.hash), room).into_iter().enumerate() {
        lines.push(named(if at == 0 { "hash" } else { "" }, part));
    }
    lines
}

/// Text in lines of so many letters, broken at blanks where there are some.
fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let last = lines.last_mut().expect("there is a first line");
            let taken = last.chars().count();
            let gap = usize::from(taken > 0);
            if taken + gap + word.len() <= room {
                last.extend(std::iter::repeat_n(' ', gap));
                last.extend(word);
                break;
            }
            if taken == 0 {
                // Longer than a line: broken where the line ends.
                last.extend(word.drain(..room.min(word.len())));
            }
            lines.push(String::new());
        }
    }
    lines
}

/// What was before and what is after.
fn changes(entry: &EntryRow, look: &Look<'_>) -> Vec<Line> {
    let Some(question) = before::question(entry) else {
        return Vec::new();
    };
    let words = |text: String| vec![piece(text, Meaning::Quiet)];
    let mut lines = vec![Line::new(), title("BEFORE → AFTER")];
    let earlier = match look.data.known(&question, look.here_us, page_of) {
        Known::Loading => {
            lines.push(words("  loading what was before…".into()));
            return lines;
        }
        Known::Broken(why) => {
            lines.push(words(format!(
                "  what was before is not told: {}",
                shown(why)
            )));
            return lines;
        }
        Known::Here(earlier, _) => earlier,
    };
    let changes = before::changes(entry, earlier);
    let widest = changes.iter().map(|change| change.name.chars().count());
    let widest = widest.max().unwrap_or(0).min(24);
    for change in changes {
        let name = format!("  {:<widest$}  ", shown(&change.name));
        let (text, meaning) = match change.is_change() {
            true => {
                let (before, after) = (change.before.word(), change.after.word());
                (format!("{before} → {after}"), Meaning::Accent)
            }
            false => (change.after.word(), Meaning::Quiet),
        };
        lines.push(vec![piece(name, Meaning::Quiet), piece(text, meaning)]);
    }
    if let Some(previous) = earlier.first() {
        let text = format!(
            "  before it: {} {}, {}",
            previous.sequence,
            row::what(previous),
            row::told_at(previous.at_us, look.now_us)
        );
        lines.push(words(text));
    }
    lines
}

/// The payload, as its author would indent it.
fn data(entry: &EntryRow) -> Vec<Line> {
    let text = format!("{:#}", entry.data);
    text.lines()
        .map(|line| vec![piece(format!("  {}", shown(line)), Meaning::Text)])
        .collect()
}
