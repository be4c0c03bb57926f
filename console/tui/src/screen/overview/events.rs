//! What is under way, and what changed lately: the journal's newest entries in words.
//!
//! ```text
//!  GOING ON
//!    2m  ▸ prod/fraud rev 41 → fraud@8 100%  step 2/3 baking  6/8 hosts
//!   12m  alice retired host infer-0042 "disk is dying"
//! ```

use binnacle_core::view::{EntryRow, RolloutItem, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};

use crate::data::Known;
use crate::format;
use crate::screen::Look;
use crate::screen::rollouts::words as told;
use crate::theme::Meaning;
use crate::widget::line;

/// Columns of an age.
const AGE: u16 = 5;

/// An entry in words: who did what to what, and why.
pub(super) fn words(entry: &EntryRow) -> String {
    let why = match &*entry.why {
        "" => String::new(),
        why => format!(" \"{why}\""),
    };
    if let Some(passed) = entry.passed() {
        let object = entry.object.trim_start_matches("endpoint ");
        // The hub's own reason is in its words.
        let (who, why) = match &*entry.caller {
            "hub" => (String::new(), String::new()),
            caller => (format!("{caller}: "), why),
        };
        return shown(&format!("{who}{object} {passed}{why}"));
    }
    let kind = entry.kind.split('/').next().unwrap_or(&entry.kind);
    let verb = match kind {
        "genesis" | "model_created" => "created",
        "host_admitted" => "admitted",
        "host_relabelled" => "relabelled",
        "host_retired" => "retired",
        "host_readmitted" => "readmitted",
        "host_drained" => "drained",
        "host_resumed" => "resumed",
        "endpoint_created" => "named",
        "endpoint_edited" | "model_edited" | "data_set_edited" | "feature_set_edited" => "edited",
        "rollout_accepted" => "began a rollout at",
        "rollout_moved" => "moved the rollout at",
        "block_lifted" => "lifted a block at",
        "overrides_adopted" => "took in decisions of hosts at",
        "alert_opened" => "raised an alert at",
        "alert_closed" => "closed an alert at",
        "alert_blamed" => "laid an alert to another at",
        "alert_acknowledged" => "acknowledged an alert at",
        "alert_silenced" => "silenced alerts at",
        "inputs_rebaselined" => "accepted inputs of",
        "version_registered" | "data_set_registered" | "feature_set_registered" => "registered",
        "version_noted" => "wrote notes to",
        "version_golden" => "gave golden requests to",
        "alias_moved" => "moved an alias of",
        "model_deleted" => "deleted",
        "environment_set" => "set",
        "imported" => "brought over",
        // A newer hub may know more kinds than this console has words for.
        other => other,
    };
    shown(&format!("{} {verb} {}{why}", entry.caller, entry.object))
}

/// A rollout that is under way, on a line.
fn draw_rollout(rollout: &RolloutItem, look: &Look<'_>, place: Rect, buf: &mut Buffer) {
    let age = Rect {
        width: AGE.min(place.width),
        ..place
    };
    let ago = format::age(look.now_us - rollout.at_us);
    let quiet = look.style(Meaning::Quiet);
    line::draw_aligned(&ago, quiet, Alignment::Right, age, buf);
    let rest = Rect {
        x: place.x + AGE + 2,
        width: place.width.saturating_sub(AGE + 3),
        ..place
    };
    let (text, meaning) = told::underway(rollout);
    let mut pieces = vec![
        (
            format!("▸ {} ", rollout.endpoint),
            look.style(Meaning::Text),
        ),
        (text, look.style(meaning)),
        (
            format!("  {}/{} hosts", rollout.confirmed, rollout.hosts),
            look.style(Meaning::Text),
        ),
    ];
    if let Some((text, meaning)) = told::dead_man(rollout, look.now_us) {
        pieces.push((format!("  {text}"), look.style(meaning)));
    }
    if let Some(finding) = &rollout.finding {
        let (says, meaning) = told::verdict(finding);
        pieces.push((format!("  {says}"), look.style(meaning)));
    }
    line::draw_pieces(&pieces, rest, buf);
}

/// Draws what is under way, and the newest entries.
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
    // The last line is kept for the last change.
    let underway = look.data.underway().iter().filter(|_| look.at_us.is_none());
    let underway: Vec<&RolloutItem> = underway.take(room.saturating_sub(1)).collect();
    for (at, rollout) in underway.iter().enumerate() {
        let place = line::row(area, u16::try_from(at + 1).unwrap_or(u16::MAX));
        draw_rollout(rollout, look, place, buf);
    }
    let area = Rect {
        y: area.y + u16::try_from(underway.len()).unwrap_or(0),
        height: area.height - u16::try_from(underway.len()).unwrap_or(0),
        ..area
    };
    let room = room - underway.len();
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
