//! The selected trouble in ten lines, and how a fleet looks that has none.
//!
//! ```text
//!  x infer-0011  CRIT
//!  what    connection refused
//!  since   03:07Z, 3m ago
//!  before  03:04Z bob relabelled host infer-0011
//!  blame   this host
//!  helps   its agent is well: start its inference server again
//!  script  binnacle host show infer-0011
//! ```

use binnacle_core::view::{EntryRow, Object, Trouble, Troubles, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::events;
use crate::data::Known;
use crate::draw::clock;
use crate::format;
use crate::screen::Look;
use crate::screen::hosts::{status_meaning, status_text};
use crate::theme::Meaning;
use crate::widget::line::{self, wrapped};

/// Lines of the preview: what fits on a page that is read half awake.
const LINES: usize = 10;
/// Columns of the words at the left.
const WORDS: u16 = 9;
/// What was changed this long before a trouble began may have to do with it.
const BEFORE_US: i64 = 5 * 60_000_000;
/// Changes that are told.
const MAX_CHANGES: usize = 3;

/// Lines that a fleet without trouble takes.
pub(super) const WELL_LINES: u16 = 3;

/// Draws what is known of a trouble; answers with the lines that it took.
pub(super) fn draw(
    trouble: Option<&Trouble>,
    look: &Look<'_>,
    area: Rect,
    buf: &mut Buffer,
) -> u16 {
    let Some(trouble) = trouble else {
        return 0;
    };
    let mut lines: Vec<(&str, String, Meaning)> = Vec::new();
    let mut tell = |word: &'static str, text: &str| {
        for (at, text) in wrapped(&shown(text), area.width.saturating_sub(WORDS)).enumerate() {
            let word = if at == 0 { word } else { "" };
            lines.push((word, text, Meaning::Text));
        }
    };
    tell("what", &trouble.what);
    let since = match trouble.since_us {
        Some(since_us) => {
            let ago = format::age(look.now_us - since_us);
            format!("{}, {ago} ago", clock(since_us))
        }
        None => "unknown: the last minute shows it".into(),
    };
    tell("since", &since);
    for (at, change) in before(trouble, look).iter().enumerate() {
        tell(if at == 0 { "before" } else { "" }, change);
    }
    tell("blame", &trouble.blame);
    tell("helps", &trouble.next);
    tell("script", &command(trouble));
    let first = line::row(area, 0);
    let title = format!(
        "{}  {}",
        status_text(trouble.severity),
        shown(&trouble.title)
    );
    let style = look.style(status_meaning(trouble.severity));
    line::draw(&title, style, first, buf);
    lines.truncate(LINES - 1);
    for (at, (word, text, meaning)) in lines.iter().enumerate() {
        let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
        line::draw(word, look.style(Meaning::Quiet), place, buf);
        let rest = Rect {
            x: place.x.saturating_add(WORDS),
            width: place.width.saturating_sub(WORDS),
            ..place
        };
        line::draw(text, look.style(*meaning), rest, buf);
    }
    // Always the same, so that what stands below does not jump.
    u16::try_from(LINES + 1).unwrap_or(u16::MAX)
}

/// What was changed shortly before it began, as far as the journal is known.
fn before(trouble: &Trouble, look: &Look<'_>) -> Vec<String> {
    let Some(since_us) = trouble.since_us else {
        return Vec::new();
    };
    let (known, entries) = super::entries(look);
    let is_before = |entry: &&&EntryRow| (since_us - BEFORE_US..=since_us).contains(&entry.at_us);
    let told = |entry: &&EntryRow| format!("{} {}", clock(entry.at_us), events::words(entry));
    let mut changes: Vec<String> = entries.iter().filter(is_before).map(told).collect();
    let more = changes.len().saturating_sub(MAX_CHANGES);
    changes.truncate(MAX_CHANGES);
    if more > 0 {
        changes.push(format!("and {more} more changes"));
    }
    // That nothing was changed can be said only of what is known whole.
    let oldest_us = entries.last().map(|entry| (entry.sequence, entry.at_us));
    let reaches =
        oldest_us.is_some_and(|(sequence, at_us)| sequence == 1 || at_us < since_us - BEFORE_US);
    if changes.is_empty() {
        let is_known = matches!(known, Known::Here(_, _)) && reaches;
        changes.push(match is_known {
            true => "nothing was changed in the 5 min before".into(),
            false => "not known".into(),
        });
    }
    changes
}

/// The headless command that tells more.
fn command(trouble: &Trouble) -> String {
    match &trouble.object {
        Object::Host(host) => format!("binnacle host show {host}"),
        Object::Hosts(_) => "binnacle host list".into(),
        Object::Endpoint(name) => format!("binnacle endpoint show {name}"),
    }
}

/// Nothing is wrong: what was looked at to say so.
pub(super) fn well(found: &Troubles, look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let hosts = match found.hosts {
        1 => "the one host is heard of and answers".into(),
        hosts => format!(
            "all {} hosts are heard of and answer",
            format::count(hosts as u64)
        ),
    };
    let compared = match found.compared {
        0 => "too few requests or hosts to compare hosts with each other".into(),
        compared => format!(
            "{} compared with their peers: none is far slower or fails far more",
            format::count(compared as u64)
        ),
    };
    let changed = found.changed_us.map_or_else(String::new, |changed_us| {
        let ago = format::age(look.now_us - changed_us);
        format!(
            "no host has changed its status since {} ({ago})",
            clock(changed_us)
        )
    });
    let (first, meaning) = match look.is_stale() {
        true => (format!(" + Nothing was wrong: {hosts}"), Meaning::Stale),
        false => (format!(" + Nothing is wrong: {hosts}"), Meaning::Ok),
    };
    line::draw(&first, look.style(meaning), line::row(area, 0), buf);
    for (at, text) in [compared, changed].iter().enumerate() {
        let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
        line::draw(
            &format!("   {text}"),
            look.style(Meaning::Quiet),
            place,
            buf,
        );
    }
}
