//! Checked names: of hosts, environments and labels.

use std::fmt;
use std::str::FromStr;

/// Bytes in the longest name: a DNS label's limit, since hosts are mostly named by DNS.
const LONGEST: usize = 63;

/// A name that is safe in a path, a label and a terminal: lower-case letters, digits and
/// inner hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(Box<str>);

/// Why a text is no name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a name: use 1 to {LONGEST} of a-z, 0-9 and inner hyphens")]
pub struct NotAName(String);

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = (1..=LONGEST).contains(&text.len())
            && text.bytes().all(word)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(NotAName(text.chars().take(LONGEST + 1).collect()))
        }
    }
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
