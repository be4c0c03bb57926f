//! Which counts a page tells: all since the version is watched, or those of a span of time.

use binnacle_core::view::WatchedItem;

use crate::format;
use crate::keymap::Command;
use crate::question::drift::Stretch;
use crate::screen::Look;
use crate::screen::length::{Choice, Length};
use crate::screen::registry::fact;
use crate::widget::axis::hh_mm;
use crate::widget::page::Line;

/// The lengths that can be chosen.
const LENGTHS: &[Choice] = &[
    (Some(5 * 60), "5 min", "5m"),
    (Some(30 * 60), "30 min", "30m"),
    (Some(3 * 3_600), "3 h", "3h"),
    (Some(24 * 3_600), "24 h", "24h"),
    (Some(3 * 24 * 3_600), "3 d", "72h"),
    (None, "all of it", ""),
];
/// All that was counted.
pub(super) const ALL: Length = Length::of(LENGTHS, LENGTHS.len() - 1);
/// From this on, a time of day says too little of when it began.
const DAY_US: i64 = 24 * 3_600_000_000;

/// The counts of a length up to then, or now.
pub(super) fn stretch(length: Length, until_us: Option<i64>) -> Stretch {
    Stretch {
        length_s: length.seconds(),
        until_us,
    }
}

/// From when to when was counted what is told of features, and how to see other times.
pub(super) fn told(features: &[WatchedItem], length: Length, look: &Look<'_>) -> Line {
    let known = features.iter().find_map(|one| one.from_us.zip(one.to_us));
    let until = match look.at_us {
        Some(_) => "then",
        None => "now",
    };
    let text = match (known, length) {
        (None, ALL) => format!("nothing until {until}"),
        (None, length) => format!("nothing in {} until {until}", length.words()),
        (Some((from_us, to_us)), _) => {
            let lasted = format::age(to_us - from_us);
            match to_us - from_us < DAY_US {
                true => format!("{lasted}, {} to {}", hh_mm(from_us), hh_mm(to_us)),
                false => format!("{lasted}, up to {}", hh_mm(to_us)),
            }
        }
    };
    let keys = |command, way| {
        let keys = look.keys.keys_of(command).unwrap_or_default();
        format!("<{keys}> {way}")
    };
    let (longer, shorter) = (
        length.longer().map(|_| keys(Command::Longer, "longer")),
        length.shorter().map(|_| keys(Command::Shorter, "shorter")),
    );
    let ways: Vec<String> = [shorter, longer].into_iter().flatten().collect();
    fact("counted", format!("{text}   {}", ways.join("  ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_is_all_there_is_and_five_minutes_end_then() {
        assert_eq!(stretch(ALL, None), Stretch::default());
        let least = stretch(Length::of(LENGTHS, 0), Some(7));
        assert_eq!(least.span_us(9), Some((7 - 300_000_000, 7)));
    }
}
