//! What an edit changes: field by field, and of longer text line by line.

use binnacle_core::view::shown;

use super::Content;
use crate::question::registry::{objectives_of, tags_of};
use crate::theme::Meaning;
use crate::widget::page::{Line, piece};

/// Lines of a text that are held against each other at most: 160,000 steps. Longer texts differ
/// between the first and the last line that does.
const MAX_LINES: usize = 400;
/// Columns before a value.
const NAMES: usize = 12;

/// One field before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Which.
    pub name: &'static str,
    /// Before.
    pub before: String,
    /// After.
    pub after: String,
}

/// Every field of which the two say something else.
pub fn fields(before: &Content, after: &Content) -> Vec<Field> {
    let all = all(before).into_iter().zip(all(after));
    all.filter(|((_, before), (_, after))| before != after)
        .map(|((name, before), (_, after))| Field {
            name,
            before,
            after,
        })
        .collect()
}

/// Every field as text.
pub fn all(content: &Content) -> [(&'static str, String); 7] {
    let card = &content.card;
    [
        ("name", content.name.clone()),
        ("owner", card.owner.to_string()),
        ("team", card.team.to_string()),
        (
            "description",
            card.description.as_str().trim_end().to_owned(),
        ),
        ("tags", tags_of(card).join(" ")),
        ("objectives", objectives_of(card).join("  ")),
        ("notes", content.notes.as_str().trim_end().to_owned()),
    ]
}

/// The fields as lines to be read: `owner  alice → bob`; longer text with `-` and `+`.
pub fn lines(fields: &[Field]) -> Vec<Line> {
    let mut lines = Vec::new();
    for field in fields {
        if field.before.contains('\n') || field.after.contains('\n') {
            lines.push(vec![piece(field.name, Meaning::Quiet)]);
            lines.extend(text(&field.before, &field.after));
            continue;
        }
        lines.push(vec![
            piece(format!("{:<NAMES$} ", field.name), Meaning::Quiet),
            piece(word(&field.before), Meaning::Text),
            piece(" → ", Meaning::Quiet),
            piece(word(&field.after), Meaning::Accent),
        ]);
    }
    lines
}

/// A value that is never invisible.
pub fn word(text: &str) -> String {
    match text {
        "" => "–".into(),
        text => shown(text),
    }
}

fn text(before: &str, after: &str) -> Vec<Line> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    steps(&old, &new)
        .into_iter()
        .map(|(sign, line)| {
            let meaning = match sign {
                '+' => Meaning::Accent,
                '-' => Meaning::Warn,
                _unchanged => Meaning::Quiet,
            };
            vec![piece(format!("  {sign} {}", shown(line)), meaning)]
        })
        .collect()
}

/// The lines that both have, that only the old has, and that only the new has, in order.
fn steps<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (
        old.get(head..).unwrap_or(&[]),
        new.get(head..).unwrap_or(&[]),
    );
    let both = old_rest.iter().rev().zip(new_rest.iter().rev());
    let tail = both.take_while(|(a, b)| a == b).count();
    let (old_mid, tail_lines) = old_rest.split_at(old_rest.len() - tail);
    let (new_mid, _) = new_rest.split_at(new_rest.len() - tail);
    let mut steps: Vec<(char, &str)> = Vec::new();
    steps.extend(old.iter().take(head).map(|line| (' ', *line)));
    if old_mid.len() > MAX_LINES || new_mid.len() > MAX_LINES {
        steps.extend(old_mid.iter().map(|line| ('-', *line)));
        steps.extend(new_mid.iter().map(|line| ('+', *line)));
    } else {
        steps.extend(middle(old_mid, new_mid));
    }
    steps.extend(tail_lines.iter().map(|line| (' ', *line)));
    steps
}

/// By the longest lines that both have, in order.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let width = new.len() + 1;
    // How many lines the two have in common from here on.
    let mut common = vec![0u32; (old.len() + 1) * width];
    let at = |common: &[u32], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for (i, line) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let value = match line == other {
                true => at(&common, i + 1, j + 1) + 1,
                false => at(&common, i + 1, j).max(at(&common, i, j + 1)),
            };
            if let Some(cell) = common.get_mut(i * width + j) {
                *cell = value;
            }
        }
    }
    let (mut i, mut j, mut steps) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(line), Some(other)) if line == other => {
                steps.push((' ', *line));
                (i, j) = (i + 1, j + 1);
            }
            (Some(line), other)
                if other.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) =>
            {
                steps.push(('-', *line));
                i += 1;
            }
            (_, Some(other)) => {
                steps.push(('+', *other));
                j += 1;
            }
            (_, None) => return steps,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_sides_can_be_read_from_what_differs(
            old in prop::collection::vec("[ab]{0,2}", 0..12),
            new in prop::collection::vec("[ab]{0,2}", 0..12),
        ) {
            let old: Vec<&str> = old.iter().map(String::as_str).collect();
            let new: Vec<&str> = new.iter().map(String::as_str).collect();
            let steps = steps(&old, &new);
            let side = |left_out: char| -> Vec<&str> {
                let lines = steps.iter().filter(|(sign, _)| *sign != left_out);
                lines.map(|(_, line)| *line).collect()
            };
            prop_assert_eq!(side('+'), old);
            prop_assert_eq!(side('-'), new);
        }
    }
}
