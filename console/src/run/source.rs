//! Where keys come from, and when they do not: while an editor has the terminal, and while the
//! terminal is asked whether it has shown a frame.

use std::future::poll_fn;
use std::path::PathBuf;
use std::task::Poll;
use std::time::Duration;

use crossterm::event::{Event, EventStream, KeyCode, KeyEvent, KeyModifiers};
use futures::StreamExt as _;
use tokio::task::JoinHandle;

use crate::editor::{self, Editing};
use crate::terminal::probe;

/// Events that are read before the next frame: a burst is painted once.
const BURST: usize = 64;

/// What the stream's thread is given to let go of the terminal once it is told to: it is told by
/// something that another reader would take for its own, so nobody else may read before. Keys
/// count much later than this.
const LET_GO: Duration = Duration::from_millis(50);

/// The terminal's events, or what keeps them away.
#[derive(Debug)]
pub(super) enum Source {
    /// They are read.
    Here(Box<EventStream>),
    /// The stream is dropped, since it would read what another has to read.
    Away(JoinHandle<Back>),
    /// The same for an editor, which has a draft in this file.
    Editing(JoinHandle<Back>, PathBuf),
}

/// What came of the time in which no keys were read.
#[derive(Debug)]
pub(super) enum Back {
    /// The text that the editor left.
    Edited(Result<String, String>),
    /// The editor left the configuration.
    Configured(Result<(), String>),
    /// Whether the terminal has answered, and what of the typed keys counts all the same.
    Asked {
        has_answered: bool,
        kept: Vec<Event>,
    },
}

/// Something of the source.
#[derive(Debug)]
pub(super) enum Came {
    /// Events, at least one.
    Events(Vec<Event>),
    /// The terminal is gone, and why.
    Gone(String),
    /// Keys may be read again.
    Back(Back),
}

impl Source {
    /// Reads keys.
    pub(super) fn here() -> Self {
        Self::Here(Box::default())
    }

    /// Reads none while an editor has this text.
    pub(super) fn edit(text: String, suffix: &'static str) -> Self {
        match Editing::begin(&text, suffix) {
            Ok(editing) => {
                let path = editing.path().to_owned();
                let edit = async move { Back::Edited(editing.run().await) };
                Self::Editing(tokio::spawn(edit), path)
            }
            Err(why) => Self::Away(tokio::spawn(async { Back::Edited(Err(why)) })),
        }
    }

    /// What an editor that is open has saved so far.
    pub(super) fn saved(&self) -> Option<String> {
        match self {
            Self::Editing(_, path) => editor::saved(path).ok(),
            Self::Here(_) | Self::Away(_) => None,
        }
    }

    /// Reads none while an editor has the configuration.
    pub(super) fn configure(path: PathBuf) -> Self {
        let open = async move { Back::Configured(editor::open(&path).await) };
        Self::Away(tokio::spawn(open))
    }

    /// Reads none until the terminal has said where its cursor is: it does so once it has shown
    /// everything that was written before.
    pub(super) fn ask_seen() -> Self {
        Self::Away(tokio::spawn(async {
            tokio::time::sleep(LET_GO).await;
            let asked = tokio::task::spawn_blocking(probe::ask_seen).await;
            // A terminal that cannot be read has not answered; that it is gone shows elsewhere.
            let (typed, has_answered) = asked.ok().and_then(Result::ok).unwrap_or_default();
            Back::Asked {
                has_answered,
                kept: kept(&typed),
            }
        }))
    }

    /// Whether keys are read.
    pub(super) fn is_here(&self) -> bool {
        matches!(self, Self::Here(_))
    }

    /// Waits for whatever is next.
    pub(super) async fn next(&mut self) -> Came {
        match self {
            Self::Here(stream) => burst(stream).await,
            Self::Away(task) | Self::Editing(task, _) => match task.await {
                Ok(back) => Came::Back(back),
                Err(error) => Came::Gone(error.to_string()),
            },
        }
    }
}

/// Waits for an event, and takes every other that is there already.
async fn burst(stream: &mut EventStream) -> Came {
    let mut events = Vec::new();
    // The stream keeps the waker of whoever polled it first, so it has to be the task's own:
    // looking with one that does nothing would leave the loop asleep for ever.
    poll_fn(|context| {
        while events.len() < BURST {
            match stream.poll_next_unpin(context) {
                Poll::Ready(Some(Ok(event))) => events.push(event),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(gone(&error.to_string())),
                Poll::Ready(None) => return Poll::Ready(gone("it was closed")),
                Poll::Pending if events.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(Came::Events(std::mem::take(&mut events)))
    })
    .await
}

fn gone(why: &str) -> Came {
    Came::Gone(why.to_owned())
}

/// What counts of that which was typed before the terminal answered. Nobody had seen the question
/// then: only what leaves it, which is Ctrl-C, and Esc where no other key begins with it.
fn kept(typed: &[u8]) -> Vec<Event> {
    const INTERRUPT: u8 = 3;
    const ESCAPE: u8 = 27;
    let follows = typed.iter().skip(1).map(Some).chain([None]);
    let event = |(byte, next): (&u8, Option<&u8>)| match (*byte, next) {
        (INTERRUPT, _) => Some(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)),
        (ESCAPE, None | Some(&(INTERRUPT | ESCAPE))) => {
            Some(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE))
        }
        _ => None,
    };
    let keys = typed.iter().zip(follows).filter_map(event);
    keys.map(Event::Key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_typed_unseen_only_what_leaves_counts() {
        let told = |typed: &[u8]| {
            let code = |event: Event| event.as_key_event().map(|key| key.code);
            kept(typed).into_iter().filter_map(code).collect::<Vec<_>>()
        };
        let interrupt = KeyCode::Char('c');
        assert_eq!(told(b"host-01\ry"), []);
        assert_eq!(told(b"\x1b"), [KeyCode::Esc]);
        assert_eq!(told(b"\x1b[A\x1bOP\x1bx"), []);
        assert_eq!(
            told(b"a\x03\x1b\x1b"),
            [interrupt, KeyCode::Esc, KeyCode::Esc]
        );
    }
}
