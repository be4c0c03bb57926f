//! Documents that people write: TOML or JSON, read once, with what was probably meant.

use std::path::Path;

use binnacle_core::view::filter::nearest;
use binnacle_core::view::shown;
use binnacle_wire::unique;
use serde::Serialize;
use serde::de::DeserializeOwned;
use similar::{ChangeTag, TextDiff};

use crate::outcome::{Exit, Failure};

/// Bytes of a document that are read: the widest feature set has some hundred kilobytes.
const TEXT_MAX: u64 = 16 << 20;

/// A document out of a file, TOML or JSON by what it begins with; - reads standard input.
pub(crate) fn file<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = text(path)?;
    let wrong = |why| Failure::new(Exit::Usage, format!("{}: {why}", path.display()));
    read(&text).map_err(wrong)
}

fn text(path: &Path) -> Result<String, Failure> {
    use std::io::Read as _;

    let unreadable = |error: std::io::Error| {
        let message = format!("cannot read {}: {error}", path.display());
        Failure::new(Exit::Failed, message)
    };
    let from: Box<dyn std::io::Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin()),
        false => Box::new(std::fs::File::open(path).map_err(unreadable)?),
    };
    let mut text = String::new();
    from.take(TEXT_MAX + 1)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    match text.len() as u64 > TEXT_MAX {
        true => {
            let message = format!("{} has over {} MiB", path.display(), TEXT_MAX >> 20);
            Err(Failure::new(Exit::Usage, message))
        }
        false => Ok(text),
    }
}

/// Reads a document.
///
/// # Errors
/// In words: the line, and what is wrong there.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.trim_start().starts_with(['{', '[']) && !is_toml(text) {
        unique(text.as_bytes())?;
        return serde_json::from_str(text).map_err(|error| {
            let said = error.to_string();
            let message = said.split(" at line ").next().unwrap_or(&said);
            at_line(error.line(), message)
        });
    }
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(0, |before| before.matches('\n').count() + 1);
        at_line(line, error.message())
    })
}

/// Whether what begins with a bracket is the head of a TOML table.
fn is_toml(text: &str) -> bool {
    let first = text.trim_start().lines().next().unwrap_or_default();
    let name = first
        .trim_end()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let is_key = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    first.starts_with('[') && !name.is_empty() && name.chars().all(is_key)
}

fn at_line(line: usize, message: &str) -> String {
    let message = shown(&meant(&message.trim().replace('\n', ", ")));
    match line {
        0 => message,
        line => format!("line {line}: {message}"),
    }
}

/// An unknown field reads as a typing error: the nearest one that there is comes first.
fn meant(message: &str) -> String {
    let unknown = message.strip_prefix("unknown field `");
    let Some((field, expected)) = unknown.and_then(|rest| rest.split_once('`')) else {
        return message.to_owned();
    };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    match nearest(field, known.iter().copied()) {
        Some(known) => format!("there is no field {field}: did you mean {known}?"),
        None => format!(
            "there is no field {field}: the fields are {}",
            known.join(", ")
        ),
    }
}

/// A document as a person edits it.
pub(crate) fn written(document: &impl Serialize) -> Result<String, Failure> {
    toml::to_string_pretty(document).map_err(|error| Failure::of(Exit::Failed, &error))
}

/// The lines that differ: `-` for those that go, `+` for those that come.
pub(crate) fn difference(old: &str, new: &str) -> Vec<String> {
    let lines = TextDiff::from_lines(old, new);
    let changed = lines.iter_all_changes().filter_map(|change| {
        let sign = match change.tag() {
            ChangeTag::Delete => '-',
            ChangeTag::Insert => '+',
            ChangeTag::Equal => return None,
        };
        Some(format!("{sign} {}", shown(change.value().trim_end())))
    });
    changed.collect()
}

#[cfg(test)]
mod tests {
    use binnacle_core::registry::{Card, DataSetDetail};

    use super::*;

    fn wrong<T: DeserializeOwned>(text: &str) -> String {
        match read::<T>(text) {
            Ok(_) => String::new(),
            Err(why) => why,
        }
    }

    #[test]
    fn what_is_wrong_with_a_document_is_told_with_its_line_and_what_was_meant() {
        for (text, said) in [
            (
                "owner = 'a'\nonwer = 'b'\n",
                "line 2: there is no field onwer: did you mean owner?",
            ),
            (
                "{\"owner\":\"a\",\n\"taem\":\"b\"}",
                "line 2: there is no field taem: did you mean team?",
            ),
            (
                "quux = 1",
                "line 1: there is no field quux: the fields are owner, team",
            ),
            (
                "{\"owner\":\"a\",\"owner\":\"b\"}",
                "the key \"owner\" stands twice",
            ),
            ("owner = 'a'\nowner = 'b'", "line 2: duplicate key"),
            ("owner = \"\\u001b[31m\"", "control character"),
            ("tags = ['No Name']", "not a name"),
            ("owner = ", "line 1: "),
        ] {
            let why = wrong::<Card>(text);
            assert!(why.contains(said), "{text}: {why}");
            assert!(!why.contains('\n') && !why.contains('\u{1b}'), "{why:?}");
        }
        let why = wrong::<DataSetDetail>("location = 's3://x'\nformat = 'csv'\nrowz = 1\n");
        assert_eq!(why, "line 3: there is no field rowz: did you mean rows?");
    }

    #[test]
    fn a_table_and_a_list_are_told_apart() {
        assert!(is_toml("[owner]\n") && is_toml("\n[[features]]\nname = 'x'"));
        assert!(!is_toml("[1, 2]") && !is_toml("[]") && !is_toml("{}"));
    }

    #[test]
    fn the_lines_that_differ_are_told() {
        let found = difference("a\nb\nc\n", "a\nx\nc\n");
        assert_eq!(found, ["- b", "+ x"]);
    }
}
