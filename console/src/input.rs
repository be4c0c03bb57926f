//! What is typed, pasted and resized, as messages.
//!
//! A key that is held down is told apart from one that is pressed again: most terminals send the
//! same bytes for both, so that only their pace shows it. Answers of the terminal that come too
//! late to be heard by who asked are no keys.

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tokio::time::Instant;

use binnacle_tui::key::Key;
use binnacle_tui::msg::Msg;

/// Faster than this nobody presses a key again and again, and every keyboard repeats it.
const HELD_WITHIN: Duration = Duration::from_millis(60);
/// The same key so often at that pace is held down. Two may be a quick `gg`, or come bunched
/// over a slow line.
const HELD_FROM: u32 = 3;
/// Keys of which a late answer may consist; a background's colour takes 26.
const STRAY_MAX: u32 = 40;
/// All of a late answer comes at once.
const STRAY_WITHIN: Duration = Duration::from_millis(200);

/// What an event of the terminal means.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Input {
    /// Something for the model.
    Typed(Msg),
    /// The terminal has another size; what it is has to be asked.
    Resized,
    /// Nothing.
    Nothing,
}

/// Reads events; remembers the key before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader {
    /// The last key, when it came, and how often in a row at the pace of a keyboard.
    last: Option<(Key, Instant, u32)>,
    /// Since when a late answer is being skipped, and how many keys of it were.
    stray: Option<(Instant, u32)>,
}

impl Reader {
    /// Reads one event.
    pub(crate) fn read(&mut self, event: Event, now: Instant) -> Input {
        match event {
            Event::Key(key) if key.kind == KeyEventKind::Release => Input::Nothing,
            Event::Key(key) => self.key(key, now),
            Event::Paste(text) => Input::Typed(Msg::Paste(text)),
            Event::Resize(..) => Input::Resized,
            Event::FocusGained | Event::FocusLost | Event::Mouse(_) => Input::Nothing,
        }
    }

    fn key(&mut self, event: KeyEvent, now: Instant) -> Input {
        if self.is_stray(event, now) {
            return Input::Nothing;
        }
        let key = Key::from(event);
        let run = match self.last {
            Some((last, at, run)) if last == key && now - at <= HELD_WITHIN => run + 1,
            Some(_) | None => 1,
        };
        self.last = Some((key, now, run));
        let is_held = event.kind == KeyEventKind::Repeat || run >= HELD_FROM;
        Input::Typed(match is_held {
            true => Msg::Repeat(key),
            false => Msg::Key(key),
        })
    }

    /// Whether a key is part of a late `ESC ] 11 ; rgb:… ESC \`, which reads as Alt-], digits
    /// and letters, Alt-\ (or Ctrl-G where the terminal ends it so).
    fn is_stray(&mut self, event: KeyEvent, now: Instant) -> bool {
        let alt = event.modifiers == KeyModifiers::ALT;
        let Some((since, keys)) = self.stray else {
            let begins = alt && event.code == KeyCode::Char(']');
            self.stray = begins.then_some((now, 0));
            return begins;
        };
        let ends = (alt && event.code == KeyCode::Char('\\'))
            || (event.modifiers == KeyModifiers::CONTROL && event.code == KeyCode::Char('g'));
        let is_over = keys >= STRAY_MAX || now - since > STRAY_WITHIN;
        self.stray = (!ends && !is_over).then_some((since, keys + 1));
        !is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn key(letter: char) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE))
    }

    fn alt(letter: char) -> Event {
        Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::ALT))
    }

    /// Reads events with so many milliseconds before each; what is held is written twice.
    fn check(events: &[(u64, Event)], expected: &str) {
        let (mut reader, mut now) = (Reader::default(), clock::now());
        let mut told = String::new();
        for (after, event) in events {
            now += Duration::from_millis(*after);
            match reader.read(event.clone(), now) {
                Input::Typed(Msg::Key(key)) => told.push_str(&key.to_string()),
                Input::Typed(Msg::Repeat(key)) => told.push_str(&format!("{key}{key}")),
                Input::Typed(_) | Input::Resized | Input::Nothing => told.push('.'),
            }
        }
        assert_eq!(told, expected);
    }

    #[test]
    fn a_key_that_is_held_repeats_and_one_that_is_pressed_again_does_not() {
        check(&[(0, key('g')), (30, key('g'))], "gg");
        check(
            &[
                (0, key('y')),
                (30, key('y')),
                (30, key('y')),
                (30, key('y')),
            ],
            "yyyyyy",
        );
        check(&[(0, key('y')), (90, key('y')), (90, key('y'))], "yyy");
        check(
            &[(0, key('a')), (9, key('b')), (9, key('a')), (9, key('b'))],
            "abab",
        );
    }

    #[test]
    fn a_late_answer_of_the_terminal_is_no_key() {
        let mut events = vec![(0, alt(']'))];
        events.extend(
            "11;rgb:1c1c/1c1c/1c1c"
                .chars()
                .map(|letter| (0, key(letter))),
        );
        events.push((0, alt('\\')));
        events.push((5, key('q')));
        check(&events, ".......................q");
        check(&[(0, alt(']')), (300, key('q')), (0, key('q'))], ".qq");
    }
}
