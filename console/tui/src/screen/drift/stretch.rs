//! Which counts a page tells: all since the version is watched, or those of a span of time.

use binnacle_core::view::WatchedItem;

use crate::format;
use crate::keymap::Command;
use crate::question::drift::Stretch;
use crate::screen::Look;
use crate::screen::registry::fact;
use crate::widget::axis::hh_mm;
use crate::widget::page::Line;

/// The lengths that can be chosen, in words and as a command takes them. Behind them comes all
/// that was counted.
const LENGTHS: [(u32, &str, &str); 5] = [
    (5 * 60, "5 min", "5m"),
    (30 * 60, "30 min", "30m"),
    (3 * 3_600, "3 h", "3h"),
    (24 * 3_600, "24 h", "24h"),
    (3 * 24 * 3_600, "3 d", "72h"),
];

/// From this on, a time of day says too little of when it began.
const DAY_US: i64 = 24 * 3_600_000_000;

/// A length that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length(usize);

impl Length {
    /// All that was counted.
    pub(super) const ALL: Self = Self(LENGTHS.len());

    fn line(self) -> Option<(u32, &'static str, &'static str)> {
        LENGTHS.get(self.0).copied()
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        self.line().map_or("all of it", |(_, words, _)| words)
    }

    /// As a command takes it; empty for all.
    pub(super) fn flag(self) -> &'static str {
        self.line().map_or("", |(_, _, flag)| flag)
    }

    /// The next longer one, if there is one.
    pub(super) fn longer(self) -> Option<Self> {
        (self != Self::ALL).then_some(Self(self.0 + 1))
    }

    /// The next shorter one, if there is one.
    pub(super) fn shorter(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// The counts of this length up to then, or now.
    pub(super) fn stretch(self, until_us: Option<i64>) -> Stretch {
        Stretch {
            length_s: self.line().map(|(length_s, _, _)| length_s),
            until_us,
        }
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
        (None, Length::ALL) => format!("nothing until {until}"),
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
    fn one_comes_from_all_of_it_to_five_minutes_and_back() {
        let mut lengths = vec![Length::ALL];
        while let Some(shorter) = lengths.last().unwrap().shorter() {
            assert_eq!(shorter.longer(), lengths.last().copied());
            lengths.push(shorter);
        }
        let words: Vec<&str> = lengths.iter().map(|length| length.words()).collect();
        assert_eq!(
            words,
            ["all of it", "3 d", "24 h", "3 h", "30 min", "5 min"]
        );
        assert_eq!(Length::ALL.longer(), None);
        assert_eq!(Length::ALL.stretch(None), Stretch::default());
        assert_eq!(
            Length(0).stretch(Some(7)).span_us(9),
            Some((7 - 300_000_000, 7))
        );
    }
}
