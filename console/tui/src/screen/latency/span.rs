//! Which time is looked at: how long, and in which steps.

use crate::question::Span;
use crate::screen::length::{Choice, Length};

/// The lengths that can be chosen.
const LENGTHS: &[Choice] = &[
    (Some(5 * 60), "5 min", "5m"),
    (Some(30 * 60), "30 min", "30m"),
    (Some(3 * 3_600), "3 h", "3h"),
    (Some(24 * 3_600), "24 h", "24h"),
];
/// Half an hour: long enough to see what came before, in steps of a minute.
pub(super) const USUAL: Length = Length::of(LENGTHS, 1);
/// The steps that there are. Shorter ones would hold few requests.
const STEPS_S: [u32; 9] = [10, 30, 60, 120, 300, 600, 900, 1_800, 3_600];
/// The hub keeps hosts' requests by the minute.
const HOST_STEP_S: u32 = 60;

/// The span up to then, in no more steps than there are columns.
pub(super) fn span(length: Length, columns: u16, until_us: Option<i64>) -> Span {
    stepped(length, columns, 0).until(until_us)
}

/// The same for hosts, which are known by the minute.
pub(super) fn host_span(length: Length, columns: u16, until_us: Option<i64>) -> Span {
    stepped(length, columns, HOST_STEP_S).until(until_us)
}

fn stepped(length: Length, columns: u16, least_s: u32) -> Span {
    let length_s = length.seconds().unwrap_or(1_800);
    let fits =
        |step_s: &u32| *step_s >= least_s && length_s.div_ceil(*step_s) <= u32::from(columns);
    let longest = STEPS_S
        .iter()
        .copied()
        .filter(|step_s| *step_s <= length_s)
        .max();
    let step_s = STEPS_S.into_iter().find(fits).or(longest);
    Span::last(length_s, step_s.unwrap_or(length_s))
}

/// A step in words.
pub(super) fn step_words(step_s: u32) -> String {
    match step_s {
        step_s if step_s % 60 == 0 => format!("{} min", step_s / 60),
        step_s => format!("{step_s} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_span_has_more_steps_than_a_chart_has_columns() {
        let mut length = Some(Length::of(LENGTHS, 0));
        while let Some(this) = length {
            for columns in [25_u16, 57, 100, 177, 250] {
                for span in [span(this, columns, None), host_span(this, columns, None)] {
                    assert!(span.length_s / span.step_s <= columns.into(), "{span:?}");
                    assert_eq!(span.length_s % span.step_s, 0, "{span:?}");
                }
                assert_eq!(host_span(this, columns, None).step_s % 60, 0);
            }
            length = this.longer();
        }
        assert_eq!(span(USUAL, 57, None), Span::last(1_800, 60));
    }
}
