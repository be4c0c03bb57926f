//! What is under way, on one line wherever one is: endpoint, step, hosts, how long it takes yet,
//! and how long until hosts go back by themselves.
//!
//! ```text
//!  ▸ prod/fraud rev 41 → fraud@8 100%  step 2/3 baking ▓▓▓▓░░░░░░ 6/8 hosts  at least 9m  +2
//! ```

use binnacle_core::view::{RolloutItem, Verb, shown};
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};

use crate::data::Data;
use crate::format;
use crate::model::Model;
use crate::screen::rollouts::words;
use crate::theme::Meaning;
use crate::widget::line;

/// How many lines it takes: none where nothing is under way.
pub(super) fn lines(model: &Model) -> u16 {
    let data = model.frozen.as_deref().unwrap_or(&model.data);
    u16::from(first(data).is_some())
}

/// The one that is told: what goes wrong first, then what waits for a word, then the newest.
fn first(data: &Data) -> Option<&RolloutItem> {
    let rollouts = data.underway().iter().filter(|rollout| !rollout.is_over);
    rollouts.min_by_key(|rollout| {
        let by_us = rollout.confirm_by_us.unwrap_or(i64::MAX);
        let is_well = !words::is_bad(rollout);
        (is_well, by_us, !words::is_held(rollout), -rollout.at_us)
    })
}

/// Draws it.
pub(super) fn draw(model: &Model, area: Rect, buf: &mut Buffer) {
    let look = model.look();
    let Some(rollout) = first(look.data).filter(|_| !area.is_empty()) else {
        return;
    };
    let mark = match look.is_stale() {
        true => Meaning::Stale,
        false => words::meaning(rollout),
    };
    let what = match rollout.verb {
        Verb::Deploy => format!("rev {} → {}", rollout.revision, shown(&rollout.after)),
        Verb::Rollback(to) => format!("back to rev {to}"),
    };
    let mut pieces = vec![
        (format!(" ▸ {} {what}  ", rollout.endpoint), Meaning::Title),
        (
            format!("{}{} ", words::step(rollout), words::phase(rollout)),
            mark,
        ),
    ];
    let waits = words::is_waiting(rollout).then_some(&rollout.approvals);
    pieces.extend(match waits {
        // No host has heard of it.
        Some(approvals) => {
            let said = approvals
                .as_ref()
                .map_or_else(String::new, |said| format!(" {} of {}", said.have, said.of));
            [
                (said, Meaning::Text),
                ("  9 shows it".into(), Meaning::Quiet),
            ]
        }
        None => [
            (
                words::bar(rollout.confirmed.into(), rollout.hosts.into()),
                Meaning::Text,
            ),
            (
                format!(" {}/{} hosts", rollout.confirmed, rollout.hosts),
                Meaning::Text,
            ),
        ],
    });
    if let Some((text, meaning)) = words::dead_man(rollout, look.now_us) {
        pieces.push((format!("  {text}"), meaning));
    }
    let left_us = words::least_left_us(rollout, look.now_us);
    if left_us > 0 && rollout.verb == Verb::Deploy && waits.is_none() {
        let text = format!("  at least {} to go", format::age(left_us));
        pieces.push((text, Meaning::Quiet));
    }
    let styled: Vec<_> = pieces
        .into_iter()
        .map(|(text, meaning)| (text, look.style(meaning)))
        .collect();
    let all = look.data.underway().iter();
    let others = all.filter(|rollout| !rollout.is_over).count() - 1;
    let right = match others {
        0 => String::new(),
        others => format!("  +{others} "),
    };
    let inner = Rect {
        width: area.width.saturating_sub(line::width(&right)),
        ..area
    };
    line::draw_pieces(&styled, inner, buf);
    let style = look.style(Meaning::Quiet);
    line::draw_aligned(&right, style, Alignment::Right, area, buf);
}
