//! For how long something is looked at: lengths of which one is chosen by `+` and `-`.

use super::Step;
use crate::keymap::Command;

/// A length in seconds, where it is one; in words; and as a command takes it.
pub(super) type Choice = (Option<u32>, &'static str, &'static str);

/// A length that was chosen, of those that there are, the shortest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Length {
    all: &'static [Choice],
    at: usize,
}

impl Length {
    /// The one at this place.
    pub(super) const fn of(all: &'static [Choice], at: usize) -> Self {
        Self { all, at }
    }

    fn choice(self) -> Choice {
        self.all.get(self.at).copied().unwrap_or((None, "", ""))
    }

    /// In seconds; `None` for all there is.
    pub(super) fn seconds(self) -> Option<u32> {
        self.choice().0
    }

    /// In words.
    pub(super) fn words(self) -> &'static str {
        self.choice().1
    }

    /// As a command takes it; empty for all there is.
    pub(super) fn flag(self) -> &'static str {
        self.choice().2
    }

    /// The next longer one, if there is one.
    pub(super) fn longer(self) -> Option<Self> {
        let at = self.at + 1;
        (at < self.all.len()).then_some(Self { at, ..self })
    }

    /// The next shorter one, if there is one.
    pub(super) fn shorter(self) -> Option<Self> {
        let at = self.at.checked_sub(1)?;
        Some(Self { at, ..self })
    }

    /// Goes on to the next one, or says that there is none; `None` of other commands.
    pub(super) fn turn(&mut self, command: Command) -> Option<Vec<Step>> {
        let next = match (command == Command::Longer, command == Command::Shorter) {
            (true, _) => self.longer(),
            (_, true) => self.shorter(),
            (false, false) => return None,
        };
        Some(match next {
            Some(next) => {
                *self = next;
                Vec::new()
            }
            None => {
                let words = format!("{} is as far as it goes", self.words());
                vec![Step::Say(Err(words))]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_from_the_shortest_to_the_longest_and_back_and_no_further() {
        const ALL: &[Choice] = &[(Some(60), "1 min", "1m"), (None, "all of it", "")];
        let mut length = Length::of(ALL, 0);
        // What is said of a command, if it is one of the two.
        let mut turn = |command| match length.turn(command).as_deref() {
            None => "no".to_owned(),
            Some([Step::Say(Err(words))]) => words.clone(),
            Some(steps) => format!("{steps:?}"),
        };
        let said = [
            Command::Open,
            Command::Shorter,
            Command::Longer,
            Command::Longer,
        ];
        let far = ["1 min", "all of it"].map(|words| format!("{words} is as far as it goes"));
        assert_eq!(said.map(&mut turn), ["no", &far[0], "[]", &far[1]]);
        assert_eq!((length.seconds(), length.flag()), (None, ""));
        assert_eq!(
            length.turn(Command::Shorter).map(|said| said.len()),
            Some(0)
        );
        assert_eq!(length, Length::of(ALL, 0));
    }
}
