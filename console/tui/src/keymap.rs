//! The key map: one table that drives input, the key bar, the help, the palette, the manual
//! and docs/keys.md.
//!
//! A view is one line of [`VIEWS`]; a command is one line of `BINDINGS`.

use crate::config::{Config, Sequence};
use crate::key::Key;
use crate::screen::{Place, Screen};

mod table;

use self::table::BINDINGS;
pub use self::table::VIEWS;

/// What a key, the help or the palette asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(
    missing_docs,
    reason = "each is explained in its line of the table below"
)]
pub enum Command {
    View(&'static str),
    Up,
    Down,
    Left,
    Right,
    Top,
    Bottom,
    PageUp,
    PageDown,
    Open,
    Out,
    QuitOrOut,
    Back,
    Forward,
    Next,
    Mark,
    MarkRange,
    MarkAll,
    Unmark,
    Sort,
    SortReverse,
    Columns,
    Filter,
    Palette,
    Help,
    Actions,
    Edit,
    Diff,
    RollBack,
    Copy,
    Export,
    Zoom,
    Longer,
    Shorter,
    Time,
    Earlier,
    Later,
    Freeze,
    ArmWrites,
    ShowCommand,
    Verify,
    Repaint,
    Suspend,
    Record,
    EditConfig,
    Quit,
}

/// Where a command belongs in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Which view.
    Views,
    /// Moving about.
    Moving,
    /// Rows of a table.
    Table,
    /// Everything else.
    Everywhere,
}

impl Group {
    /// Its heading.
    pub fn word(self) -> &'static str {
        match self {
            Self::Views => "Views",
            Self::Moving => "Moving",
            Self::Table => "Tables",
            Self::Everywhere => "Everywhere",
        }
    }
}

/// One line of the key map.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// What it does.
    pub command: Command,
    /// Its name in a configuration and in the palette.
    pub name: &'static str,
    /// Its keys; a blank stands between two that follow each other.
    pub keys: &'static [&'static str],
    /// One word for the key bar.
    pub short: &'static str,
    /// A sentence for the help.
    pub help: &'static str,
    /// Where it belongs.
    pub group: Group,
}

/// A view: its key is also reached by `g` and its letter.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// Its name, in the palette and in `snapshot`.
    pub name: &'static str,
    /// Its title on the screen.
    pub title: &'static str,
    /// Its keys.
    pub keys: &'static [&'static str],
    /// A sentence for the help.
    pub help: &'static str,
    /// Makes its screen, at a place in it.
    pub open: fn(&Place) -> Box<dyn Screen>,
}

const fn view(
    name: &'static str,
    title: &'static str,
    keys: &'static [&'static str],
    help: &'static str,
    open: fn(&Place) -> Box<dyn Screen>,
) -> View {
    View {
        name,
        title,
        keys,
        help,
        open,
    }
}

const fn bind(
    command: Command,
    name: &'static str,
    keys: &'static [&'static str],
    short: &'static str,
    help: &'static str,
    group: Group,
) -> Binding {
    Binding {
        command,
        name,
        keys,
        short,
        help,
        group,
    }
}

/// Every line of the key map, views first.
pub fn bindings() -> impl Iterator<Item = Binding> {
    let views = VIEWS.iter().map(|view| Binding {
        command: Command::View(view.name),
        name: view.name,
        keys: view.keys,
        short: view.name,
        help: view.help,
        group: Group::Views,
    });
    views.chain(BINDINGS.iter().copied())
}

/// The view of this name.
pub fn view_named(name: &str) -> Option<&'static View> {
    VIEWS.iter().find(|view| view.name == name)
}

/// The keys as a person set them.
#[derive(Clone, Debug)]
pub struct Keymap {
    lines: Vec<(Sequence, Binding)>,
}

/// What keys mean so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A command.
    Command(Command),
    /// The beginning of some.
    Begun,
    /// Nothing.
    Nothing,
}

impl Keymap {
    /// The table with a person's own keys; refuses a command that there is not, and a key that
    /// would mean two things.
    pub fn new(config: &Config) -> Result<Self, String> {
        if let Some(stranger) = config.keys.keys().find(|name| named(name).is_none()) {
            return Err(format!(
                "keys: there is no command {stranger:?}; `?` lists them"
            ));
        }
        let mut lines: Vec<(Sequence, Binding)> = Vec::new();
        for binding in bindings() {
            let keys = match config.keys.get(binding.name) {
                Some(own) => own.clone(),
                None => built_in(&binding),
            };
            for sequence in keys {
                let clash = lines.iter().find(|(known, _)| clashes(known, &sequence));
                if let Some((_, other)) = clash {
                    let text = String::from(sequence);
                    let (one, other) = (binding.name, other.name);
                    return Err(format!("keys: {text:?} cannot mean both {one} and {other}"));
                }
                lines.push((sequence, binding));
            }
        }
        Ok(Self { lines })
    }

    /// What these keys mean.
    pub fn find(&self, keys: &[Key]) -> Found {
        let mut found = Found::Nothing;
        for (sequence, binding) in &self.lines {
            if sequence.0 == keys {
                return Found::Command(binding.command);
            }
            if sequence.0.starts_with(keys) {
                found = Found::Begun;
            }
        }
        found
    }

    /// Every line whose keys begin with these, with the keys that are left.
    pub fn after(&self, keys: &[Key]) -> impl Iterator<Item = (&[Key], &Binding)> {
        self.lines.iter().filter_map(|(sequence, binding)| {
            let rest = sequence.0.strip_prefix(keys)?;
            (!rest.is_empty()).then_some((rest, binding))
        })
    }

    /// The first keys of a command, as they are written; nothing when it has none.
    pub fn keys_of(&self, command: Command) -> Option<String> {
        let line = self.lines.iter().find(|(_, line)| line.command == command);
        line.map(|(sequence, _)| String::from(sequence.clone()))
    }

    /// All keys of a command, as they are written.
    pub fn all_keys_of(&self, command: Command) -> Vec<String> {
        let lines = self
            .lines
            .iter()
            .filter(|(_, line)| line.command == command);
        lines
            .map(|(sequence, _)| String::from(sequence.clone()))
            .collect()
    }
}

/// The line of this name.
pub fn named(name: &str) -> Option<Binding> {
    bindings().find(|binding| binding.name == name)
}

/// The line of this command.
pub fn line_of(command: Command) -> Option<Binding> {
    bindings().find(|binding| binding.command == command)
}

fn built_in(binding: &Binding) -> Vec<Sequence> {
    let sequence = |text: &&str| Sequence::try_from((*text).to_owned()).ok();
    binding.keys.iter().filter_map(sequence).collect()
}

/// One begins with the other: then the longer could never be typed.
fn clashes(one: &Sequence, other: &Sequence) -> bool {
    one.0.starts_with(&other.0) || other.0.starts_with(&one.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_key_can_be_read_and_means_one_thing() {
        for binding in bindings() {
            assert_eq!(
                built_in(&binding).len(),
                binding.keys.len(),
                "{}",
                binding.name
            );
            assert_eq!(
                named(binding.name).unwrap().command,
                binding.command,
                "a name twice"
            );
        }
        Keymap::new(&Config::default()).unwrap();
    }

    #[test]
    fn keys_can_be_set_and_a_clash_or_a_stranger_is_refused() {
        let set = |name: &str, key: &str| {
            let keys = vec![Sequence::try_from(key.to_owned()).unwrap()];
            let mut config = Config::default();
            config.keys.insert(name.to_owned(), keys);
            Keymap::new(&config)
        };
        let keymap = set("filter", "ctrl-f").unwrap();
        let key = |text: &str| text.parse::<Key>().unwrap();
        assert_eq!(
            keymap.find(&[key("ctrl-f")]),
            Found::Command(Command::Filter)
        );
        assert_eq!(keymap.find(&[key("/")]), Found::Nothing);
        assert_eq!(keymap.find(&[key("g")]), Found::Begun);
        let refused = set("filter", "j").unwrap_err();
        assert!(
            refused.contains("filter") && refused.contains("down"),
            "{refused}"
        );
        assert!(set("filter", "g").is_err(), "g begins other keys");
        assert!(set("fliter", "f").unwrap_err().contains("fliter"));
    }
}
