//! The machine below a host, and what its agent had to drop.

use binnacle_core::view::{Losses, Vitals};

use super::page::TWO_COLUMNS_FROM;
use crate::format;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::page::{Line, beside, piece};

/// The machine: a bar for each share, in one or two columns.
pub(super) fn vitals(vitals: &Vitals, width: u16, look: &Look<'_>) -> Vec<Line> {
    let meaning = match look.is_stale() {
        true => Meaning::Stale,
        false => Meaning::Text,
    };
    let (memory, disk) = (
        (vitals.memory_used, vitals.memory_total),
        (vitals.disk_used, vitals.disk_total),
    );
    let cores = format!("of {} cores", vitals.cores);
    let network = format!(
        "in {}/s  out {}/s",
        format::bytes(vitals.network_received_per_s),
        format::bytes(vitals.network_sent_per_s)
    );
    let agent = format!("{} of memory", format::bytes(vitals.agent_memory));
    let words = |name: &str, text| vec![piece(name, Meaning::Quiet), piece(text, meaning)];
    let lines = vec![
        share("CPU", (vitals.cpu_permille.into(), 1_000), cores, meaning),
        share("memory", memory, of(memory), meaning),
        share("disk", disk, of(disk), meaning),
        words("network ", network),
        words("agent   ", agent),
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

/// A share in per cent and as a bar; from nine tenths on it is told apart.
fn share(name: &str, (part, whole): (u64, u64), of: String, meaning: Meaning) -> Line {
    let share = match whole {
        0 => 0.0,
        whole => part as f64 / whole as f64,
    };
    let shade = if share >= 0.9 {
        Meaning::Warn
    } else {
        Meaning::First
    };
    vec![
        piece(format!("{name:<7}"), Meaning::Quiet),
        piece(format!("{:>3.0} %", share * 100.0), meaning),
        piece(format!(" {} ", bar(share)), shade),
        piece(of, Meaning::Quiet),
    ]
}

/// Bytes of bytes; a unit that both have is said once.
fn of((part, whole): (u64, u64)) -> String {
    let (part, whole) = (format::bytes(part), format::bytes(whole));
    let unit = |text: &'_ str| text.split_once(' ').map(|(_, unit)| unit.to_owned());
    let figure = part.split_once(' ').map_or(&*part, |(figure, _)| figure);
    let part = if unit(&part) == unit(&whole) {
        figure
    } else {
        &*part
    };
    format!("{part} of {whole}")
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
