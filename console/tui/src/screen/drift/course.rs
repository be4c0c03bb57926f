//! How far a feature lay from its reference, moment by moment: a row of a heat map.
//!
//! ```text
//!                      01:11              03:11
//! tenure               ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▆████
//! monthly_charge       ▁▁▁▁▁▁▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁
//! ▁ like the reference  ▄ PSI 0.1  ▅ 0.25  █ 2  · not known     beyond what chance shows
//! ```

use binnacle_core::view::{CourseItem, WatchedItem};

use super::page::WIDE;
use crate::theme::Meaning;
use crate::widget::axis::hh_mm;
use crate::widget::page::{Line, piece};

/// What the index has to exceed for each level above the first: a tenth is what the field calls a
/// moderate shift, a quarter a great one.
const STEPS: [f64; 7] = [0.01, 0.03, MODERATE, GREAT, 0.5, 1.0, 2.0];
const MODERATE: f64 = 0.1;
const GREAT: f64 = 0.25;
/// A level each, and what is not known.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const UNKNOWN: char = '·';
/// Columns from which on each moment has a cell of its own.
const WIDEST: u16 = 160;

/// Cells of a course on a screen of this width.
pub(super) fn cells(width: u16) -> usize {
    match width {
        WIDEST.. => 48,
        WIDE.. => 24,
        _ => 16,
    }
}

/// From when to when, over so many cells; of a course that is not known, nothing.
pub(super) fn axis(features: &[WatchedItem], cells: usize) -> String {
    let Some(course) = features.iter().find_map(|one| one.course.as_ref()) else {
        return " ".repeat(cells);
    };
    let lasted_us = (course.step_ms as i64).saturating_mul(course.apart.len() as i64 * 1_000);
    let (from, to) = (course.from_us, course.from_us.saturating_add(lasted_us));
    let (from, to) = (hh_mm(from), hh_mm(to));
    let room = cells.saturating_sub(from.len());
    format!("{from}{to:>room$}")
}

/// The cells of a feature, in as many pieces as there are changes of meaning.
pub(super) fn drawn(course: Option<&CourseItem>, cells: usize) -> Line {
    let Some(course) = course.filter(|course| !course.apart.is_empty()) else {
        return vec![piece(UNKNOWN.to_string().repeat(cells), Meaning::Quiet)];
    };
    let each = course.apart.len().div_ceil(cells.max(1)).max(1);
    let mut line: Line = Vec::new();
    let mut run = (String::new(), Meaning::Quiet);
    for moments in course.apart.chunks(each) {
        let most = moments.iter().flatten().copied().reduce(f64::max);
        let (letter, meaning) = cell(most);
        if meaning != run.1 && !run.0.is_empty() {
            line.push(piece(std::mem::take(&mut run.0), run.1));
        }
        run.0.push(letter);
        run.1 = meaning;
    }
    line.push(piece(run.0, run.1));
    line
}

fn cell(apart: Option<f64>) -> (char, Meaning) {
    let Some(apart) = apart else {
        return (UNKNOWN, Meaning::Quiet);
    };
    let level = STEPS.iter().take_while(|step| apart > **step).count();
    let letter = LEVELS.get(level).copied().unwrap_or(UNKNOWN);
    let meaning = match apart {
        apart if apart > GREAT => Meaning::Crit,
        apart if apart > MODERATE => Meaning::Warn,
        _ => Meaning::Text,
    };
    (letter, meaning)
}

/// What the letters mean.
pub(super) fn legend(width: u16) -> Line {
    let mut text = format!(
        "▁ like the reference  ▄ PSI over {MODERATE}  ▅ over {GREAT}  █ over 2  {UNKNOWN} not known"
    );
    if width >= WIDE {
        text.push_str("   beyond what chance shows");
    }
    vec![piece(text, Meaning::Quiet)]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn course(apart: Vec<Option<f64>>) -> CourseItem {
        CourseItem {
            from_us: 0,
            step_ms: 150_000,
            apart,
        }
    }

    fn text(line: &Line) -> String {
        line.iter().map(|(text, _)| text.as_str()).collect()
    }

    #[test]
    fn the_greatest_of_what_shares_a_cell_is_shown_and_its_meaning_with_it() {
        let mut apart = vec![None; 8];
        apart.extend([Some(0.0), Some(0.02), Some(0.05), Some(0.0)]);
        apart.extend([Some(0.2), Some(0.0), Some(0.3), Some(9.0)]);
        let course = course(apart);
        let all = drawn(Some(&course), 16);
        assert_eq!(text(&all), "········▁▂▃▁▄▁▅█");
        let meanings: Vec<Meaning> = all.iter().map(|(_, meaning)| *meaning).collect();
        use Meaning::{Crit, Quiet, Text, Warn};
        assert_eq!(meanings, [Quiet, Text, Warn, Text, Crit]);
        assert_eq!(text(&drawn(Some(&course), 8)), "····▂▃▄█");
        assert_eq!(text(&drawn(None, 4)), "····");
    }
}
