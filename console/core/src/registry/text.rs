//! Words from people that are kept and shown: checked once, where they come in.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Bytes in the longest [`Line`]: a URL with a signed query still fits.
pub const MAX_LINE: usize = 1_000;
/// Bytes in the longest [`Prose`]: some pages of a model card.
pub const MAX_PROSE: usize = 16 << 10;

/// One line of printable text, at most [`MAX_LINE`] bytes; may be empty.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "Arc<str>")]
pub struct Line(Arc<str>);

/// Text of several lines, without other control characters, at most [`MAX_PROSE`] bytes; may be
/// empty.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Arc<str>", into = "Arc<str>")]
pub struct Prose(Arc<str>);

/// Why text is refused.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum NotText {
    /// More bytes than fit.
    #[error("text here has at most {max} bytes, this one has {found}")]
    TooLong {
        /// What fits.
        max: usize,
        /// What came.
        found: usize,
    },
    /// A character that a terminal would obey rather than show.
    #[error("{0:?} is a control character: text has printable characters alone")]
    Control(char),
}

fn check(text: &str, max: usize, is_allowed: impl Fn(char) -> bool) -> Result<(), NotText> {
    if text.len() > max {
        let found = text.len();
        return Err(NotText::TooLong { max, found });
    }
    let obeyed = |letter: &char| letter.is_control() && !is_allowed(*letter);
    match text.chars().find(obeyed) {
        Some(letter) => Err(NotText::Control(letter)),
        None => Ok(()),
    }
}

impl Line {
    /// Checks and takes a line.
    pub fn parse(text: &str) -> Result<Self, NotText> {
        check(text, MAX_LINE, |_| false)?;
        Ok(Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Prose {
    /// Checks and takes text of several lines.
    pub fn parse(text: &str) -> Result<Self, NotText> {
        check(text, MAX_PROSE, |letter| matches!(letter, '\n' | '\t'))?;
        Ok(Self(text.into()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl TryFrom<Arc<str>> for Line {
    type Error = NotText;
    fn try_from(text: Arc<str>) -> Result<Self, NotText> {
        Self::parse(&text)
    }
}

impl TryFrom<Arc<str>> for Prose {
    type Error = NotText;
    fn try_from(text: Arc<str>) -> Result<Self, NotText> {
        Self::parse(&text)
    }
}

impl From<Line> for Arc<str> {
    fn from(line: Line) -> Self {
        line.0
    }
}

impl From<Prose> for Arc<str> {
    fn from(prose: Prose) -> Self {
        prose.0
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl fmt::Display for Prose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Prose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_what_a_terminal_shows_and_never_what_it_obeys() {
        assert!(Line::parse("Q3 features – ünïcode").is_ok());
        assert!(Prose::parse("two\nlines\tand a tab").is_ok());
        for bad in ["a\u{1b}[31m", "a\nb", "\u{7}", &"x".repeat(MAX_LINE + 1)] {
            assert!(Line::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["a\u{1b}[31m", "a\rb", &"x".repeat(MAX_PROSE + 1)] {
            assert!(Prose::parse(bad).is_err(), "{bad:?}");
        }
    }
}
