//! What a terminal says of itself: whether it shows frames at once, and what its background is.
//!
//! Both are asked together with a question that every terminal answers (its primary attributes):
//! once that answer is there, no other will come. A terminal that answers nothing costs
//! [`LIMIT`], once. What is typed meanwhile is lost; answers that come later are taken for what
//! they are by [`crate::input`].

use std::io::{self, Write};
use std::ops::Range;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use binnacle_tui::theme::Background;

use crate::clock;

/// Over a satellite a round trip takes 600 ms; most terminals answer in one.
const LIMIT: Duration = Duration::from_millis(700);
/// Is mode 2026 (synchronized output) known? What is the background? Who are you?
const QUESTIONS: &[u8] = b"\x1b[?2026$p\x1b]11;?\x1b\\\x1b[c";
/// Answers are shorter; what is longer is somebody typing.
const ANSWER_MAX: usize = 4_096;
/// Where is the cursor? Answered once everything that was written before is shown.
const WHERE: &[u8] = b"\x1b[6n";
/// How long that answer may take: what was written before may be a whole screen.
const WHERE_LIMIT: Duration = Duration::from_secs(2);

/// What a terminal said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Probe {
    /// Whether it shows a frame at once when it is told where it begins and ends.
    pub(crate) is_synchronized: bool,
    /// What lies behind its letters.
    pub(crate) background: Option<Background>,
}

/// Asks the terminal, which is raw already.
pub(crate) fn ask(out: &mut impl Write) -> io::Result<Probe> {
    out.write_all(QUESTIONS)?;
    out.flush()?;
    Ok(understood(&heard(LIMIT, is_complete)?))
}

/// Asks the terminal, which is raw, to answer once it has shown everything; nobody else may
/// read from it meanwhile. Gives what was typed, and whether it has answered.
pub(crate) fn ask_seen() -> io::Result<(Vec<u8>, bool)> {
    rustix::io::write(rustix::stdio::stdout(), WHERE)?;
    let mut heard = heard(WHERE_LIMIT, |heard| place(heard).is_some())?;
    let answer = place(&heard);
    if let Some(answer) = answer.clone() {
        heard.drain(answer);
    }
    Ok((heard, answer.is_some()))
}

/// Where in what was heard the cursor's place is told: `ESC [ line ; column R`.
fn place(heard: &[u8]) -> Option<Range<usize>> {
    let begins = |at: &usize| {
        heard
            .get(*at..)
            .is_some_and(|rest| rest.starts_with(b"\x1b["))
    };
    let mut starts = (0..heard.len()).filter(begins);
    starts.find_map(|start| {
        let told = heard.get(start + 2..)?;
        let is_told = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
        let length = told.iter().take_while(is_told).count();
        let is_place = told
            .iter()
            .take(length)
            .filter(|byte| **byte == b';')
            .count()
            == 1;
        (is_place && told.get(length) == Some(&b'R')).then_some(start..start + length + 3)
    })
}

/// Reads until what was heard is complete, or too long, or the limit has passed.
fn heard(limit: Duration, is_complete: impl Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    let (began, input) = (clock::now(), rustix::stdio::stdin());
    let mut heard: Vec<u8> = Vec::new();
    while !is_complete(&heard) && heard.len() < ANSWER_MAX {
        let left = limit.saturating_sub(clock::now() - began);
        let wait = Timespec::try_from(left).unwrap_or_default();
        let mut ready = [PollFd::new(&input, PollFlags::IN)];
        match poll(&mut ready, Some(&wait)) {
            Ok(0) => break,
            Ok(_) => {}
            Err(rustix::io::Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut bytes = [0; 256];
        match rustix::io::read(input, &mut bytes) {
            Ok(0) => break,
            Ok(read) => heard.extend(bytes.iter().take(read)),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(heard)
}

/// Whether the answer to the last question is there: `ESC [ ? … c`.
fn is_complete(heard: &[u8]) -> bool {
    let mut rest = heard;
    while let Some(at) = find(rest, b"\x1b[?") {
        rest = rest.get(at + 3..).unwrap_or_default();
        let is_parameter = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
        let length = rest.iter().take_while(is_parameter).count();
        if rest.get(length) == Some(&b'c') {
            return true;
        }
    }
    false
}

fn understood(heard: &[u8]) -> Probe {
    // 1: set, 2: reset, 3: always set; 0 and 4: there is no such thing.
    let known = |state: u8| find(heard, format!("\x1b[?2026;{state}$y").as_bytes()).is_some();
    Probe {
        is_synchronized: (1..=3).any(known),
        background: find(heard, b"\x1b]11;")
            .and_then(|at| heard.get(at + 5..))
            .and_then(colour)
            .map(|lightness| match lightness < 0.5 {
                true => Background::Dark,
                false => Background::Light,
            }),
    }
}

fn find(text: &[u8], piece: &[u8]) -> Option<usize> {
    text.windows(piece.len()).position(|window| window == piece)
}

/// The lightness, from 0 to 1, of a colour that is told as `rgb:RRRR/GGGG/BBBB` with one to
/// four digits each, weighted as the eye does (ITU-R BT.601).
fn colour(told: &[u8]) -> Option<f64> {
    let told = told
        .strip_prefix(b"rgb:")
        .or_else(|| told.strip_prefix(b"rgba:"))?;
    let is_part = |byte: &&u8| byte.is_ascii_hexdigit() || **byte == b'/';
    let told: String = told
        .iter()
        .take_while(is_part)
        .map(|byte| char::from(*byte))
        .collect();
    let mut parts = told.split('/').map(|digits| {
        let most = 16_f64.powi(i32::try_from(digits.len()).ok()?) - 1.0;
        Some(f64::from(u16::from_str_radix(digits, 16).ok()?) / most)
    });
    let mut next = || parts.next().flatten();
    Some(0.299 * next()? + 0.587 * next()? + 0.114 * next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(heard: &str, is_synchronized: bool, background: Option<Background>) {
        let told = Probe {
            is_synchronized,
            background,
        };
        assert_eq!(understood(heard.as_bytes()), told, "{heard:?}");
    }

    #[test]
    fn answers_are_understood_and_their_absence_is_no_answer() {
        let (dark, light) = (Some(Background::Dark), Some(Background::Light));
        check(
            "\x1b[?2026;2$y\x1b]11;rgb:0000/0000/0000\x1b\\\x1b[?62;c",
            true,
            dark,
        );
        check("\x1b]11;rgb:ff/fe/fa\x07\x1b[?6c", false, light);
        check("\x1b[?2026;0$y\x1b]11;rgb:zz\x1b[?1;2c", false, None);
        check("typed meanwhile", false, None);
        check("", false, None);
    }

    #[test]
    fn the_cursors_place_is_told_from_what_is_typed() {
        let told = |heard: &[u8]| place(heard);
        assert_eq!(told(b"\x1b[24;80R"), Some(0..8));
        assert_eq!(told(b"ab\x1b\x1b[A\x1b[1;1Rc"), Some(6..12));
        for heard in [&b"\x1b[24;8"[..], b"\x1b[R", b"24;80R", b"\x1b[1;2;3R", b""] {
            assert_eq!(told(heard), None, "{heard:?}");
        }
    }

    #[test]
    fn the_last_answer_ends_the_wait_and_nothing_else_does() {
        assert!(is_complete(b"x\x1b[?2026;2$y\x1b[?62;4c"));
        assert!(!is_complete(b"\x1b[?2026;2$y"));
        assert!(!is_complete(b"\x1b[?62;4"));
        assert!(!is_complete(b"\x1b[c"));
    }
}
