//! An entry on one line: in the journal, on a host's page, wherever something changed.

use binnacle_core::view::{EntryRow, rfc3339, shown};

use super::before;
use crate::format;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::page::{Line, piece};

/// A day: beyond it a time of day alone would mislead.
const DAY_US: i64 = 86_400_000_000;

/// When, as short as it can be without a doubt: `03:11:05Z`, or `11-20 03:11Z`.
pub fn told_at(at_us: i64, now_us: i64) -> String {
    let text = rfc3339(at_us);
    let is_lately = now_us.saturating_sub(at_us) < DAY_US;
    let part = match is_lately {
        true => text.get(11..19).map(|time| format!("{time}Z")),
        false => text
            .get(5..16)
            .map(|time| format!("{}Z", time.replace('T', " "))),
    };
    part.unwrap_or(text)
}

/// What was done: `host retired`.
pub(super) fn what(entry: &EntryRow) -> String {
    shown(&entry.kind_name().replace('_', " "))
}

/// What it is about; that it is a host its kind says already.
pub(super) fn object(entry: &EntryRow) -> String {
    shown(entry.host().unwrap_or(&entry.object))
}

/// So many entries, in words.
pub fn entries(count: usize) -> String {
    match count {
        1 => "1 entry".into(),
        count => format!("{} entries", format::count(count as u64)),
    }
}

/// An entry among others about the same object, which stand before it, newest first: when,
/// who, what, what it changed, and why.
pub fn line(entry: &EntryRow, earlier: &[EntryRow], look: &Look<'_>) -> Line {
    let mut line = vec![
        piece(
            format!("{:<13}", told_at(entry.at_us, look.now_us)),
            Meaning::Quiet,
        ),
        piece(format!("{}  ", shown(&entry.caller)), Meaning::Text),
        piece(what(entry), Meaning::Text),
    ];
    let changes: Vec<String> = before::changes(entry, earlier)
        .iter()
        .filter(|change| change.is_change())
        .map(before::Change::words)
        .collect();
    if !changes.is_empty() && before::is_about_words(entry) {
        line.push(piece(format!("  {}", changes.join(", ")), Meaning::Text));
    }
    if !entry.why.is_empty() {
        line.push(piece(format!("  {}", shown(&entry.why)), Meaning::Quiet));
    }
    line
}
