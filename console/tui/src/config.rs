//! What a person may set: keys, theme, bandwidth.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::key::Key;

/// The console's part of the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Config {
    /// Other keys for commands: the command's name, and the keys that replace its own.
    pub keys: BTreeMap<String, Vec<Sequence>>,
    /// Colours.
    pub theme: ThemeConfig,
    /// At most one frame a second.
    pub low_bandwidth: bool,
    /// Environments in which changes have to be armed first.
    pub protected: Vec<String>,
}

/// Which colours.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ThemeConfig {
    /// Other colours for meanings: the meaning's name, and a colour as `#rrggbb`, a name or a
    /// number.
    pub colours: BTreeMap<String, String>,
    /// Only ASCII, whatever the terminal can do.
    pub ascii: bool,
}

/// One or two keys in a row, such as `g h`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sequence(pub Vec<Key>);

/// Keys in the longest sequence: more than two nobody remembers at three in the morning.
const MAX_SEQUENCE: usize = 2;

impl TryFrom<String> for Sequence {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let keys = text.split_whitespace().map(str::parse);
        let keys: Vec<Key> = keys
            .collect::<Result<_, crate::key::NotKey>>()
            .map_err(|error| error.to_string())?;
        match keys.len() {
            1..=MAX_SEQUENCE => Ok(Self(keys)),
            _ => Err(format!(
                "{text:?} is not one key, nor two with a blank between"
            )),
        }
    }
}

impl From<Sequence> for String {
    fn from(sequence: Sequence) -> Self {
        let keys: Vec<String> = sequence.0.iter().map(Key::to_string).collect();
        keys.join(" ")
    }
}
