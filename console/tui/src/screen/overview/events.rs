//! What changed lately: the journal's newest entries in words.
//!
//! ```text
//!  GOING ON
//!   12m  alice retired host infer-0042 "disk is dying"
//! ```

use binnacle_core::view::{EntryRow, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};

use crate::data::Known;
use crate::format;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::line;

/// Columns of an age.
const AGE: u16 = 5;

/// An entry in words: who did what to what, and why.
pub(super) fn words(entry: &EntryRow) -> String {
    let kind = entry.kind.split('/').next().unwrap_or(&entry.kind);
    let verb = match kind {
        "genesis" => "created",
        "host_admitted" => "admitted",
        "host_relabelled" => "relabelled",
        "host_retired" => "retired",
        "host_readmitted" => "readmitted",
        "host_drained" => "drained",
        "host_resumed" => "resumed",
        // A newer hub may know more kinds than this console has words for.
        other => other,
    };
    let why = match &*entry.why {
        "" => String::new(),
        why => format!(" \"{why}\""),
    };
    shown(&format!("{} {verb} {}{why}", entry.caller, entry.object))
}

/// Draws the newest.
pub(super) fn draw(look: &Look<'_>, area: Rect, buf: &mut Buffer) {
    let (known, entries) = super::entries(look);
    let quiet = look.style(Meaning::Quiet);
    line::draw(
        " GOING ON",
        look.style(Meaning::Title),
        line::row(area, 0),
        buf,
    );
    let room = usize::from(area.height.saturating_sub(1));
    for (at, entry) in entries.iter().take(room).enumerate() {
        let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
        let age = Rect {
            width: AGE.min(place.width),
            ..place
        };
        let ago = format::age(look.now_us - entry.at_us);
        line::draw_aligned(&ago, quiet, Alignment::Right, age, buf);
        let rest = Rect {
            x: place.x + AGE + 2,
            width: place.width.saturating_sub(AGE + 3),
            ..place
        };
        line::draw(&words(entry), look.style(Meaning::Text), rest, buf);
    }
    if entries.is_empty() {
        let text = match known {
            Known::Loading if look.data.is_live() => " …".into(),
            Known::Loading => " the journal is not known".into(),
            Known::Broken(why) => format!(" the journal cannot be read: {}", shown(why)),
            Known::Here(_, _) => " nothing has changed yet".into(),
        };
        line::draw(&text, quiet, line::row(area, 1), buf);
    }
}
