//! Keys, as they come from a terminal and as they are written in a configuration.
//!
//! A key is written as crokey writes it (`ctrl-a`, `esc`, `f5`) or as the character that it
//! types (`?`, `G`). Both ways to say the same key are equal here.

use std::fmt;
use std::str::FromStr;

use crokey::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use crokey::{KeyCombination, OneToThree};
use serde::{Deserialize, Serialize};

/// One key with its modifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Key(KeyCombination);

/// Why text is no key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is no key: write it as `a`, `G`, `?`, `ctrl-a`, `alt-enter`, `esc` or `f5`")]
pub struct NotKey(String);

impl Key {
    /// A key without modifiers but those that its character needs.
    pub fn of(code: KeyCode) -> Self {
        Self::new(code, KeyModifiers::NONE)
    }

    fn new(code: KeyCode, mut modifiers: KeyModifiers) -> Self {
        // Terminals differ in whether they tell shift for a character that needs it; the
        // character says it already.
        if let KeyCode::Char(letter) = code {
            modifiers.set(KeyModifiers::SHIFT, letter.is_ascii_uppercase());
        }
        if code == KeyCode::BackTab {
            let modifiers = modifiers | KeyModifiers::SHIFT;
            return Self(KeyCombination::one_key(KeyCode::Tab, modifiers));
        }
        Self(KeyCombination::one_key(code, modifiers))
    }

    /// Its code.
    pub fn code(self) -> KeyCode {
        match self.0.codes {
            OneToThree::One(code) | OneToThree::Two(code, _) | OneToThree::Three(code, _, _) => {
                code
            }
        }
    }

    /// The character that it types, if it types one.
    pub fn types(self) -> Option<char> {
        let plain = self.0.modifiers.difference(KeyModifiers::SHIFT);
        let KeyCode::Char(letter) = self.code() else {
            return None;
        };
        plain.is_empty().then_some(letter)
    }

    /// Whether it is held with this modifier.
    pub fn with(self, modifier: KeyModifiers) -> bool {
        self.0.modifiers.contains(modifier)
    }
}

impl From<KeyEvent> for Key {
    fn from(event: KeyEvent) -> Self {
        Self::new(event.code, event.modifiers)
    }
}

impl FromStr for Key {
    type Err = NotKey;

    fn from_str(text: &str) -> Result<Self, NotKey> {
        let mut letters = text.chars();
        if let (Some(letter), None) = (letters.next(), letters.next()) {
            return Ok(Self::of(KeyCode::Char(letter)));
        }
        let parsed = crokey::parse(text).map_err(|_| NotKey(text.to_owned()))?;
        let OneToThree::One(mut code) = parsed.codes else {
            return Err(NotKey(text.to_owned()));
        };
        if let KeyCode::Char(letter) = code
            && parsed.modifiers.contains(KeyModifiers::SHIFT)
        {
            code = KeyCode::Char(letter.to_ascii_uppercase());
        }
        Ok(Self::new(code, parsed.modifiers))
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.types() {
            Some(' ') => f.write_str("space"),
            Some(letter) => write!(f, "{letter}"),
            None => write!(f, "{}", self.0.to_string().to_lowercase()),
        }
    }
}

impl TryFrom<String> for Key {
    type Error = NotKey;

    fn try_from(text: String) -> Result<Self, NotKey> {
        text.parse()
    }
}

impl From<Key> for String {
    fn from(key: Key) -> Self {
        key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_as_it_is_read() {
        for text in [
            "a",
            "G",
            "?",
            ":",
            "space",
            "ctrl-a",
            "esc",
            "enter",
            "f5",
            "shift-tab",
        ] {
            let key: Key = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
        }
        assert_eq!("shift-g".parse::<Key>(), "G".parse());
        assert!("ctrl-nothing".parse::<Key>().is_err());
        assert!("a-b".parse::<Key>().is_err());
    }

    #[test]
    fn what_a_terminal_tells_of_shift_makes_no_difference() {
        let told = |modifiers| Key::from(KeyEvent::new(KeyCode::Char('?'), modifiers));
        assert_eq!(told(KeyModifiers::SHIFT), told(KeyModifiers::NONE));
        let tab = Key::from(KeyEvent::new(KeyCode::BackTab, KeyModifiers::SHIFT));
        assert_eq!(tab.to_string(), "shift-tab");
    }
}
