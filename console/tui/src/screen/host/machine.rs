//! The machine below a host, and what its agent had to drop.

use binnacle_core::view::{Losses, Vitals};

use super::page::TWO_COLUMNS_FROM;
use crate::format;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::page::{Line, beside, piece};

/// The machine: a bar for each share, in one or two columns.
pub(super) fn vitals(vitals: &Vitals, width: u16, look: &Look<'_>) -> Vec<Line> {
    let text = if look.is_stale() {
        Meaning::Stale
    } else {
        Meaning::Text
    };
    let share = |name: &str, part: u64, whole: u64, of: String| {
        let share = if whole > 0 {
            part as f64 / whole as f64
        } else {
            0.0
        };
        let percent = format!("{:>3.0} %", share * 100.0);
        let bar_meaning = if share >= 0.9 {
            Meaning::Warn
        } else {
            Meaning::First
        };
        vec![
            piece(format!("{name:<7}"), Meaning::Quiet),
            piece(percent, text),
            piece(format!(" {} ", bar(share)), bar_meaning),
            piece(of, Meaning::Quiet),
        ]
    };
    let of = |part: u64, whole: u64| {
        let (part, whole) = (format::bytes(part), format::bytes(whole));
        // A unit that both have is said once.
        let unit = whole.split_once(' ').map_or("", |(_, unit)| unit);
        let part = part.strip_suffix(unit).map_or(&*part, str::trim_end);
        format!("{part} of {whole}")
    };
    let lines = vec![
        share(
            "CPU",
            vitals.cpu_permille.into(),
            1_000,
            format!("of {} cores", vitals.cores),
        ),
        share(
            "memory",
            vitals.memory_used,
            vitals.memory_total,
            of(vitals.memory_used, vitals.memory_total),
        ),
        share(
            "disk",
            vitals.disk_used,
            vitals.disk_total,
            of(vitals.disk_used, vitals.disk_total),
        ),
        vec![
            piece("network ", Meaning::Quiet),
            piece(
                format!(
                    "in {}/s  out {}/s",
                    format::bytes(vitals.network_received_per_s),
                    format::bytes(vitals.network_sent_per_s)
                ),
                text,
            ),
        ],
        vec![
            piece("agent   ", Meaning::Quiet),
            piece(format::bytes(vitals.agent_memory), text),
        ],
    ];
    // Two and two, where one alone would leave half of the line empty.
    if (76..TWO_COLUMNS_FROM).contains(&width) {
        let mut rows = lines.into_iter();
        let (mut left, mut right) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next() {
            left.push(row);
            right.extend(rows.next());
        }
        return beside(left, right, 40);
    }
    lines
}

fn bar(share: f64) -> String {
    let full = (share.clamp(0.0, 1.0) * 8.0).round() as usize;
    "▓".repeat(full) + &"░".repeat(8_usize.saturating_sub(full))
}

/// What its agent had to drop, a line each; nothing where it dropped nothing.
pub(super) fn losses(losses: &Losses) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut say = |count: u64, what: &str| {
        if count > 0 {
            let words = format!("! lost: {} {what}", format::count(count));
            lines.push(vec![piece(words, Meaning::Warn)]);
        }
    };
    say(
        losses.spool_requests,
        "requests, in windows that the full spool dropped",
    );
    if losses.spool_requests == 0 {
        say(losses.spool_windows, "windows that the full spool dropped");
    }
    say(losses.series_overflow, "requests' names, counted as other");
    say(losses.log_lines, "lines of the request log");
    say(losses.tap_bodies, "tapped bodies");
    say(losses.spool_write_failures, "writes that the disk refused");
    if losses.spooled_windows > 0 {
        let waiting = format!(
            "! {} windows wait on its disk ({})",
            format::count(losses.spooled_windows.into()),
            format::bytes(losses.spooled_bytes)
        );
        lines.push(vec![piece(waiting, Meaning::Warn)]);
    }
    lines
}
