//! Golden requests of a version: what it must answer, a small file kept with it.
//!
//! The file is JSON lines, each `{"request": {…}, "response": {…}, "tolerance": 0.001}`. Here its
//! shape is looked at, so that what no host could read is refused before a version carries it;
//! asking them, and comparing numbers, is the agent's.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::artifact::Digest;
use super::change::{Change, Goldened};
use super::{Reference, Registry};

/// Bytes of a file of golden requests: dozens of rows, not a test set. Agents take no more.
pub const BYTES_MOST: u64 = 4 << 20;
/// Golden requests of one version: they are load, and run each minute. Agents take no more.
pub const MOST: usize = 64;

/// A file of golden requests in the hub's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// Over its bytes.
    pub sha256: Digest,
    /// How many.
    pub bytes: u64,
    /// How many requests are in it.
    pub requests: u64,
}

/// Why a file is none of golden requests.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotGolden {
    /// Nothing is in it.
    #[error("golden requests: there is none in the file")]
    Empty,
    /// It is too large.
    #[error("golden requests: a file has at most {BYTES_MOST} bytes, this one has {0}")]
    TooLarge(u64),
    /// There are too many.
    #[error("golden requests: a version has at most {MOST}")]
    TooMany,
    /// A line that is none.
    #[error("golden requests, line {line}: {why}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    request: Value,
    response: Value,
    #[serde(default)]
    tolerance: Option<f64>,
}

/// How many golden requests a file has.
pub fn count(text: &str) -> Result<u64, NotGolden> {
    if text.len() as u64 > BYTES_MOST {
        return Err(NotGolden::TooLarge(text.len() as u64));
    }
    let mut count = 0_usize;
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        if count >= MOST {
            return Err(NotGolden::TooMany);
        }
        check(line).map_err(|why| NotGolden::Line { line: at + 1, why })?;
        count += 1;
    }
    match count {
        0 => Err(NotGolden::Empty),
        _ => Ok(count as u64),
    }
}

fn check(line: &str) -> Result<(), String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let has = |body: &Value, part: &str| {
        let all = body.get(part).and_then(Value::as_array);
        all.is_some_and(|all| !all.is_empty())
    };
    if !has(&line.request, "inputs") {
        return Err("the request has no inputs".into());
    }
    if !has(&line.response, "outputs") {
        return Err("the response has no outputs".into());
    }
    match line.tolerance {
        Some(off) if !(off >= 0.0 && off.is_finite()) => Err(format!("{off} is no tolerance")),
        Some(_) | None => Ok(()),
    }
}

/// Other golden requests of a version, unless it has them already.
pub(super) fn gilded(
    registry: &Registry,
    version: &Reference,
    golden: Option<Golden>,
) -> Option<Change> {
    if registry.version(version).is_some() && registry.golden(version) == golden.as_ref() {
        return None;
    }
    let version = version.clone();
    Some(Change::VersionGolden(Goldened { version, golden }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"request":{"inputs":[{}]},"response":{"outputs":[{}]}}"#;

    #[test]
    fn a_file_says_how_many_there_are_or_what_is_wrong_and_where() {
        assert_eq!(count(&format!("{LINE}\n\n{LINE}\n")), Ok(2));
        let off = LINE.replace("]}}", "]},\"tolerance\":-1}");
        let bare = LINE.replace("[{}]}}", "[]}}");
        let many = format!("{LINE}\n").repeat(MOST + 1);
        for (text, words) in [
            ("", "there is none"),
            ("{}", "line 1: missing field"),
            (&*off, "line 1: -1 is no tolerance"),
            (&*bare, "line 1: the response has no outputs"),
            (&*format!("{LINE}\nx"), "line 2"),
            (&*many, "at most 64"),
        ] {
            let why = count(text).unwrap_err().to_string();
            assert!(why.contains(words), "{text}: {why}");
        }
    }
}
