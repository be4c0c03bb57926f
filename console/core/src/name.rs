//! Checked names: of hosts, environments, and what else Binnacle itself names.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Bytes in the longest name: a DNS label's limit, since hosts are mostly named by DNS.
pub const MAX_NAME: usize = 63;

/// A name that is safe in a path, a label and a terminal: lower-case letters, digits and
/// inner hyphens, 1 to [`MAX_NAME`] bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "Arc<str>")]
pub struct Name(Arc<str>);

/// Why a string is no name.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotAName {
    /// Nothing there.
    #[error("a name cannot be empty")]
    Empty,
    /// More than [`MAX_NAME`] bytes.
    #[error("a name has at most {MAX_NAME} bytes, this one has {0}")]
    TooLong(usize),
    /// A character that names do not have, or a hyphen at an end.
    #[error("{0:?} is not a name: use a-z, 0-9 and inner hyphens")]
    Malformed(String),
}

impl Name {
    /// Checks and takes a name.
    pub fn parse(text: &str) -> Result<Self, NotAName> {
        if text.is_empty() {
            return Err(NotAName::Empty);
        }
        if text.len() > MAX_NAME {
            return Err(NotAName::TooLong(text.len()));
        }
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let fits = text.bytes().all(|byte| word(byte) || byte == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(NotAName::Malformed(text.into()))
        }
    }

    /// The first of all names: where a walk through names in order begins.
    pub(crate) fn least() -> Self {
        Self("0".into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, shared.
    pub fn shared(&self) -> Arc<str> {
        self.0.clone()
    }
}

impl TryFrom<Arc<str>> for Name {
    type Error = NotAName;
    fn try_from(text: Arc<str>) -> Result<Self, NotAName> {
        Self::parse(&text)
    }
}

impl std::str::FromStr for Name {
    type Err = NotAName;
    fn from_str(text: &str) -> Result<Self, NotAName> {
        Self::parse(text)
    }
}

impl From<Name> for Arc<str> {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths_labels_and_terminals() {
        for good in ["a", "infer-0042", "0", &"x".repeat(63)] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "a-",
            "A",
            "a.b",
            "a/b",
            "a\u{1b}[31m",
            "é",
            &"x".repeat(64),
        ] {
            assert!(Name::parse(bad).is_err(), "{bad:?}");
        }
    }
}
