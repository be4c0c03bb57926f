//! The journal: who changed what, when and why; the newest first.
//!
//! ```text
//!  Journal                                      filter: by=alice  3/412
//!   ENTRY▾  WHEN          BY          WHAT             OBJECT        WHY
//! ▌ 412     03:10:22Z     alice       host retired     infer-0042    GPU fell off
//!   411     03:02:07Z     infer-0042  host relabelled  infer-0042
//! ```
//! At the right, or after Enter, the whole entry, and what was before it. Older entries are
//! fetched as one comes near the end.

use std::sync::Arc;

use binnacle_core::view::{EntryRow, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::data::Known;
use crate::filter::{Value, contains};
use crate::keymap::Command;
use crate::msg::Effect;
use crate::question::Answer;
use crate::screen::{Look, Place, Screen, Step, Wants};
use crate::theme::Meaning;
use crate::widget::line;
use crate::widget::table::{Column, Row, Table, Text};

use self::collected::{Collected, MAX_ENTRIES};
pub use self::row::{entries, line, told_at};

mod before;
mod collected;
mod entry;
pub(in crate::screen) mod row;
#[cfg(test)]
mod tests;

/// What the table needs to show every column.
const TABLE_WIDTH: u16 = 80;
/// The least that the whole entry needs beside it.
const PREVIEW_LEAST: u16 = 38;
/// From here on there is room for the whole entry at the right.
const PREVIEW_FROM: u16 = 120;

/// Opens the journal; the journal of one host, or one entry, where the place names it.
pub fn open(place: &Place) -> Box<dyn Screen> {
    if let Some(sequence) = place.object.strip_prefix('#') {
        return open_entry(sequence.parse().unwrap_or(0));
    }
    let mut table = Table::new(COLUMNS, "entry", true);
    // A filter that an older release wrote may not be one any more: then there is none.
    let _dropped = table.set_filter(&place.filter);
    if !place.selected.is_empty() {
        table.select(place.selected.as_str().into());
    }
    let host = Some(place.object.as_str()).filter(|name| !name.is_empty());
    Box::new(Journal {
        collected: Collected::about(host.map(Into::into)),
        table,
        shown: 0,
    })
}

/// Opens one entry.
pub fn open_entry(sequence: u64) -> Box<dyn Screen> {
    entry::open(sequence)
}

/// The page of entries that an answer holds.
pub fn page_of(answer: &Answer) -> Option<&Arc<[EntryRow]>> {
    let Answer::Journal(entries) = answer else {
        return None;
    };
    Some(entries)
}

/// Whether an entry had been written by the end of the minute that is shown.
pub fn is_told(entry: &EntryRow, look: &Look<'_>) -> bool {
    look.at_us
        .is_none_or(|at_us| entry.at_us < at_us.saturating_add(60_000_000))
}

/// The journal.
#[derive(Debug)]
struct Journal {
    collected: Collected,
    table: Table<Written>,
    /// How many of the collected entries are shown: those up to the moment that is shown.
    shown: usize,
}

/// An entry as a row of the table.
#[derive(Clone, Debug)]
struct Written {
    id: Arc<str>,
    entry: EntryRow,
}

const fn column(
    title: &'static str,
    field: &'static str,
    width: u16,
    rank: u8,
    cell: fn(&Written, &Look<'_>) -> Text,
    value: for<'a> fn(&'a Written, &Look<'_>) -> Value<'a>,
) -> Column<Written> {
    Column {
        title,
        field,
        width,
        grows: 0,
        align: ratatui::layout::Alignment::Left,
        rank,
        cell,
        value,
    }
}

fn text<'a>(text: &'a str) -> Value<'a> {
    Value::Text(text.into())
}

const COLUMNS: &[Column<Written>] = &[
    column(
        "ENTRY",
        "entry",
        6,
        0,
        |row, _| (row.entry.sequence.to_string(), Meaning::Text),
        |row, _| Value::Number(row.entry.sequence as f64),
    ),
    column(
        "WHEN",
        "when",
        12,
        0,
        |row, look| (told_at(row.entry.at_us, look.now_us), Meaning::Text),
        |row, _| Value::Number(row.entry.at_us as f64),
    ),
    column(
        "BY",
        "by",
        10,
        0,
        |row, _| (shown(&row.entry.caller), Meaning::Text),
        |row, _| text(&row.entry.caller),
    ),
    column(
        "WHAT",
        "kind",
        15,
        0,
        |row, _| (row::what(&row.entry), Meaning::Text),
        |row, _| text(row.entry.kind_name()),
    ),
    column(
        "OBJECT",
        "object",
        12,
        0,
        |row, _| (row::object(&row.entry), Meaning::Text),
        |row, _| text(&row.entry.object),
    )
    .growing(12),
    column(
        "WHY",
        "why",
        13,
        1,
        |row, _| (shown(&row.entry.why), Meaning::Quiet),
        |row, _| text(&row.entry.why),
    )
    .growing(u16::MAX),
];

impl Row for Written {
    fn id(&self) -> &Arc<str> {
        &self.id
    }

    fn other_field(&self, name: &str) -> Option<Value<'_>> {
        match name {
            "host" => self.entry.host().map(text),
            "who" => Some(text(&self.entry.caller)),
            "what" => Some(text(self.entry.kind_name())),
            _ => None,
        }
    }

    fn has_word(&self, word: &str) -> bool {
        let entry = &self.entry;
        let texts = [&entry.caller, &entry.kind, &entry.object, &entry.why];
        // What is read on the screen is found, too: `host retired` for `host_retired`.
        texts.iter().any(|text| contains(text, word)) || contains(&row::what(entry), word)
    }
}

impl Journal {
    /// The table, what is selected beside it, and the line below both.
    fn parts(look: &Look<'_>) -> (Rect, Option<Rect>, Rect) {
        let above = look.body.height.saturating_sub(1);
        let body = Rect {
            height: above,
            ..look.body
        };
        let foot = line::row(look.body, above);
        if body.width < PREVIEW_FROM {
            return (body, None, foot);
        }
        let width = body
            .width
            .saturating_sub(TABLE_WIDTH + 2)
            .max(PREVIEW_LEAST);
        let table = Rect {
            width: body.width.saturating_sub(width + 2),
            ..body
        };
        let preview = Rect {
            x: table.right() + 2,
            width,
            ..body
        };
        (table, Some(preview), foot)
    }

    fn table_look<'a>(look: &Look<'a>) -> Look<'a> {
        Look {
            body: Self::parts(look).0,
            ..*look
        }
    }

    /// Entries that had been written by the moment that is shown, oldest first.
    fn rows(&self) -> &[Written] {
        self.collected.rows().get(..self.shown).unwrap_or_default()
    }

    /// Whether the last row that fits the filter is in sight: then older ones are wanted.
    fn is_near_end(&self, look: &Look<'_>) -> bool {
        let rows = self.rows();
        let last = self.table.rows(rows).last().map(|row| &row.id);
        let sight = self.table.in_sight(rows, look.body.height);
        last.is_none() || sight.last().map(|row| &row.id) == last
    }

    fn selected(&self) -> Option<&EntryRow> {
        self.entry(self.table.selected()?)
    }

    fn entry(&self, id: &str) -> Option<&EntryRow> {
        let found = self.rows().iter().find(|row| *row.id == *id);
        found.map(|row| &row.entry)
    }

    /// What stands below: how far back one sees.
    fn foot(&self, look: &Look<'_>) -> (String, Meaning) {
        let older = self.collected.older();
        match older.map(|question| look.data.known(&question, look.here_us, page_of)) {
            _ if self.collected.rows().is_empty() => (String::new(), Meaning::Quiet),
            None if self.collected.is_full() => {
                let before = self.collected.oldest().unwrap_or(0);
                let words = format!(
                    " the newest {} are here; older: binnacle journal list --before {before}",
                    entries(MAX_ENTRIES)
                );
                (words, Meaning::Quiet)
            }
            None => (" this is where the journal begins".into(), Meaning::Quiet),
            Some(Known::Broken(why)) => {
                let words = format!(" older entries are not told: {}", shown(why));
                (words, Meaning::Warn)
            }
            Some(Known::Loading | Known::Here(..)) if self.is_near_end(look) => {
                (" older entries are loading…".into(), Meaning::Quiet)
            }
            Some(Known::Loading | Known::Here(..)) => (
                format!(
                    " {} so far; older ones come as you go down",
                    entries(self.collected.rows().len())
                ),
                Meaning::Quiet,
            ),
        }
    }
}

impl Screen for Journal {
    fn place(&self) -> Place {
        let selected = self.table.selected();
        Place {
            view: "journal".into(),
            object: self.collected.host().unwrap_or_default().into(),
            filter: self.table.filter_text().into(),
            selected: selected.map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn crumbs(&self) -> Vec<String> {
        let mut crumbs = vec!["Journal".to_owned()];
        crumbs.extend(self.collected.host().map(shown));
        crumbs
    }

    fn note(&self, _look: &Look<'_>) -> String {
        let (shown, all) = self.table.counts();
        let more = if self.collected.is_whole() { "" } else { "+" };
        match self.table.filter_text() {
            "" => format!("{all}{more}"),
            filter => format!("filter: {filter}  {shown}/{all}{more}"),
        }
    }

    fn wants(&self, look: &Look<'_>) -> Wants {
        let mut questions = vec![self.collected.newest()];
        if self.collected.is_known() && self.is_near_end(look) {
            questions.extend(self.collected.older());
        }
        if look.body.width >= PREVIEW_FROM {
            let settled = self.table.settled().and_then(|id| self.entry(id));
            questions.extend(settled.and_then(before::question));
        }
        questions.dedup();
        Wants {
            questions,
            ..Wants::default()
        }
    }

    fn offers(&self, _look: &Look<'_>) -> Vec<Command> {
        use Command as C;
        vec![
            C::Open,
            C::Time,
            C::Filter,
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
            C::Mark,
            C::MarkRange,
            C::MarkAll,
            C::Unmark,
            C::Sort,
            C::SortReverse,
            C::Columns,
            C::Copy,
        ]
    }

    #[allow(
        clippy::wildcard_enum_match_arm,
        reason = "other commands are the table's"
    )]
    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step> {
        match command {
            Command::Open => {
                let selected = self.selected().map(|entry| entry.sequence);
                let go = selected.map(|sequence| Step::Go(open_entry(sequence)));
                return go.into_iter().collect();
            }
            Command::Export => {
                let lines = self.table.rows(self.rows());
                let lines = lines.map(|row| row.entry.json() + "\n");
                return vec![Step::Effect(Effect::Export {
                    name: "journal".into(),
                    suffix: ".jsonl",
                    text: lines.collect(),
                })];
            }
            Command::Verify => return vec![verify()],
            _ => {}
        }
        let inner = Self::table_look(look);
        let rows = self.collected.rows().get(..self.shown).unwrap_or_default();
        self.table.on(command, rows, &inner).unwrap_or_default()
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
        self.collected.learn(look);
        let rows = self.collected.rows();
        // The journal as of then ends with the last entry of then, whatever clocks did.
        let last = rows.iter().rposition(|row| is_told(&row.entry, look));
        self.shown = last.map_or(0, |last| last + 1);
        let rows = rows.get(..self.shown).unwrap_or_default();
        self.table.learn(rows, &Self::table_look(look));
    }

    fn settle(&mut self) {
        self.table.settle();
    }

    fn command(&self, look: &Look<'_>) -> String {
        let newest = self.rows().last().map(|row| row.entry.sequence);
        match (look.at_us, newest) {
            (Some(_), Some(newest)) => format!("binnacle journal list --before {}", newest + 1),
            (Some(_), None) | (None, _) => "binnacle journal list".into(),
        }
    }

    fn draw(&self, look: &Look<'_>, buf: &mut Buffer) {
        let (area, preview, foot) = Self::parts(look);
        let rows = self.rows();
        if rows.is_empty() {
            nothing(&self.collected, look, area, buf);
        } else {
            self.table.draw(rows, &Self::table_look(look), area, buf);
            if self.table.counts().0 == 0 {
                let words = "no entry matches the filter; esc shows all again";
                line::draw(words, look.style(Meaning::Quiet), line::row(area, 2), buf);
            }
        }
        let (words, meaning) = self.foot(look);
        line::draw(&words, look.style(meaning), foot, buf);
        let settled = self.table.settled().and_then(|id| self.entry(id));
        if let (Some(area), Some(entry)) = (preview, settled) {
            let lines = entry::lines(entry, look, area.width);
            for (at, pieces) in lines.iter().enumerate() {
                let place = line::row(area, u16::try_from(at).unwrap_or(u16::MAX));
                let styled: Vec<_> = pieces
                    .iter()
                    .map(|(text, meaning)| (text.clone(), look.style(*meaning)))
                    .collect();
                line::draw_pieces(&styled, place, buf);
            }
        }
    }
}

/// How the chain is checked: over the whole journal, which a console does not hold.
fn verify() -> Step {
    Step::Say(Ok(
        "binnacle journal verify checks every entry's hash; --store reads a store itself".into(),
    ))
}

/// Why there is nothing to see.
fn nothing(collected: &Collected, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let newest = collected.newest();
    let known = look.data.known(&newest, look.here_us, page_of);
    let words = match (known, look.at_us, collected.older()) {
        (Known::Broken(why), ..) => format!("The hub does not tell its journal: {}", shown(why)),
        (Known::Loading, ..) if look.data.is_live() => "Loading the journal…".into(),
        (Known::Loading, ..) => {
            "Not connected to the hub yet: nothing is known of its journal.".into()
        }
        (Known::Here(..), Some(_), Some(_)) => "Looking for entries of then…".into(),
        (Known::Here(..), Some(_), None) => "No entry is as old as that.".into(),
        (Known::Here(..), None, _) => match collected.host() {
            Some(host) => format!("No entry is about {}.", shown(host)),
            None => "The journal is empty: nothing was ever decided here.".into(),
        },
    };
    line::draw(&words, look.style(Meaning::Text), line::row(area, 1), buf);
}
