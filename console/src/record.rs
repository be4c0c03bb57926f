//! The message log: what happened to the console, so that it can happen again.
//!
//! ```text
//! {"schema":"binnacle.session/v1","version":"0.1.0","at_us":…,"context":"prod-eu",…}
//! {"at_us":1795317060000000,"msg":{"Key":"j"}}
//! {"at_us":1795317060250000,"msg":{"Glances":{…}}}
//! ```
//!
//! It is kept in memory, up to [`RING_MAX`]: the oldest messages go first, and the screen is whole
//! again with the next whole glance. It reaches the disk only when somebody asks for it. It holds
//! what was typed and what was shown, and nothing else.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;

use binnacle_tui::config::Config;
use binnacle_tui::model::Session;
use binnacle_tui::msg::Msg;
use binnacle_tui::screen::Place;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use crate::state;

/// Bytes of messages that are kept: half a minute of ten thousand hosts, hours of a small fleet.
/// More would not fit into what a console may take.
const RING_MAX: usize = 2 << 20;
/// Messages on their way into the ring.
const QUEUE: usize = 256;
/// The name and version of the format.
const SCHEMA: &str = "binnacle.session/v1";

/// What a session began with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opening {
    /// When, by the console's clock.
    pub(crate) at_us: i64,
    /// What the strip calls the hub.
    pub(crate) context: String,
    /// The hub's address.
    pub(crate) hub: String,
    /// Columns and lines.
    pub(crate) size: (u16, u16),
    /// What a person set.
    pub(crate) config: Config,
    /// Where it was told to begin.
    pub(crate) open: Option<Place>,
    /// Where the session before had ended.
    pub(crate) session: Option<Session>,
    /// Whether the first keys were taught.
    pub(crate) hint: bool,
}

/// The first line of a recording.
#[derive(Serialize, Deserialize)]
struct Head {
    schema: String,
    version: String,
    #[serde(flatten)]
    opening: Opening,
}

/// Every other line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// When, by the console's clock.
    pub(crate) at_us: i64,
    /// What happened.
    pub(crate) msg: Msg,
}

#[derive(Debug)]
enum Note {
    Happened(Line),
    Save(oneshot::Sender<Result<PathBuf, String>>),
}

/// Where messages are noted down. Writing them as JSON takes a while for a large fleet, so it is
/// done on a task of its own.
#[derive(Debug)]
pub(crate) struct Recorder {
    notes: mpsc::Sender<Note>,
}

impl Recorder {
    /// Begins a log.
    pub(crate) fn start(opening: Opening) -> Self {
        let (notes, mut noted) = mpsc::channel(QUEUE);
        tokio::spawn(async move {
            let mut ring = Ring::new(opening, RING_MAX);
            while let Some(note) = noted.recv().await {
                match note {
                    Note::Happened(line) => ring.push(&line),
                    Note::Save(done) => {
                        let name = format!("session-{}", ring.opening.context);
                        // Whoever asked has left: the file is there all the same.
                        let _gone = done.send(state::keep_recording(&name, &ring.lines()));
                    }
                }
            }
        });
        Self { notes }
    }

    /// Notes down what happened. A message that comes while the log is behind is left out.
    pub(crate) fn note(&self, at_us: i64, msg: &Msg) {
        if let Ok(place) = self.notes.try_reserve() {
            let msg = msg.clone();
            place.send(Note::Happened(Line { at_us, msg }));
        }
    }

    /// Writes the log into a new file; says where.
    pub(crate) fn save(&self) -> impl Future<Output = Result<PathBuf, String>> + use<> {
        let notes = self.notes.clone();
        async move {
            let (done, saved) = oneshot::channel();
            let gone = "the log has ended";
            notes.send(Note::Save(done)).await.map_err(|_| gone)?;
            saved.await.map_err(|_| gone)?
        }
    }
}

/// The log in memory.
#[derive(Debug)]
struct Ring {
    opening: Opening,
    lines: VecDeque<Box<[u8]>>,
    bytes: usize,
    max: usize,
}

impl Ring {
    fn new(opening: Opening, max: usize) -> Self {
        Self {
            opening,
            lines: VecDeque::new(),
            bytes: 0,
            max,
        }
    }

    fn push(&mut self, line: &Line) {
        let Ok(mut text) = serde_json::to_vec(line) else {
            return;
        };
        text.push(b'\n');
        // What it grew by in advance would count for nothing and take as much.
        let text = text.into_boxed_slice();
        self.bytes += text.len();
        self.lines.push_back(text);
        while self.bytes > self.max {
            let Some(oldest) = self.lines.pop_front() else {
                return;
            };
            self.bytes -= oldest.len();
        }
    }

    fn lines(&self) -> Vec<u8> {
        let head = Head {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            opening: self.opening.clone(),
        };
        let mut all = serde_json::to_vec(&head).unwrap_or_default();
        all.push(b'\n');
        self.lines
            .iter()
            .for_each(|line| all.extend_from_slice(line));
        all
    }
}

/// Reads a recording.
///
/// # Errors
/// When a line cannot be read: it names the line.
pub(crate) fn read(text: &str) -> io::Result<(Opening, Vec<Line>)> {
    let wrong = |line: usize, why: String| io::Error::other(format!("line {line}: {why}"));
    let mut lines = text.lines().enumerate();
    let (_, first) = lines
        .next()
        .ok_or_else(|| wrong(1, "the file is empty".into()))?;
    let head: Head = serde_json::from_str(first).map_err(|error| wrong(1, error.to_string()))?;
    if head.schema != SCHEMA {
        return Err(wrong(1, format!("{} is not {SCHEMA}", head.schema)));
    }
    let line = |(at, line): (usize, &str)| {
        serde_json::from_str(line).map_err(|error| wrong(at + 1, error.to_string()))
    };
    Ok((head.opening, lines.map(line).collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening() -> Opening {
        Opening {
            at_us: 1,
            context: "test".to_owned(),
            hub: "unix:/nowhere".to_owned(),
            size: (80, 24),
            config: Config::default(),
            open: None,
            session: None,
            hint: false,
        }
    }

    fn key(at_us: i64) -> Line {
        let msg = Msg::Key("j".parse().unwrap());
        Line { at_us, msg }
    }

    #[test]
    fn what_was_noted_is_read_again_and_the_oldest_goes_first() {
        let size = serde_json::to_vec(&key(1)).unwrap().len() + 1;
        let mut ring = Ring::new(opening(), size * 3);
        (1..=5).for_each(|at| ring.push(&key(at)));
        let text = String::from_utf8(ring.lines()).unwrap();
        let (began, lines) = read(&text).unwrap();
        assert_eq!(began, opening());
        assert_eq!(lines, [key(3), key(4), key(5)]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let mut text = String::from_utf8(Ring::new(opening(), 1).lines()).unwrap();
        text.push_str("{\"at_us\":1,\"msg\":\"Tick\"}\n{\"at_us\":2}\n");
        let error = read(&text).unwrap_err().to_string();
        assert!(error.starts_with("line 3: missing field `msg`"), "{error}");
        assert!(read("").unwrap_err().to_string().contains("empty"));
    }
}
