//! Everything that can happen to the console, and everything that it can ask for.
//!
//! A session is the sequence of its messages, each with its time: recorded as JSON lines, it
//! can be shown again step by step, which turns a bug report into a test.

use std::sync::Arc;

use binnacle_core::view::{EntryRow, Glances, HostRow, ModelRow};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::key::Key;
use crate::question::{Answer, Question, Refused, Wish};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Msg {
    /// A key went down.
    Key(Key),
    /// A key is held down: moves a cursor, never confirms.
    Repeat(Key),
    /// Text was pasted: never keys.
    Paste(String),
    /// The terminal has another size.
    Size {
        /// Columns.
        width: u16,
        /// Lines.
        height: u16,
    },
    /// Nothing but time has passed; sent when the model asked to be woken.
    Tick,
    /// The connection to the hub changed.
    Link(Link),
    /// The fleet at a glance.
    Glances(Glances),
    /// Hosts that are followed.
    Hosts(Vec<HostRow>),
    /// Models.
    Models(Vec<ModelRow>),
    /// A new entry of the journal.
    Entry(EntryRow),
    /// An answer, or why there is none.
    Answered {
        /// What was asked.
        question: Question,
        /// When it was asked: answers to older askings are dropped.
        generation: u64,
        /// The answer.
        answer: Result<Answer, String>,
    },
    /// What was wished is done, or was refused.
    Done {
        /// What was wished.
        wish: Wish,
        /// What happened, in words, or why it did not.
        result: Result<String, Refused>,
    },
    /// The editor came back with this text; nothing: it failed, and why.
    Edited(Result<String, String>),
    /// The terminal has shown the last frame: keys that follow were typed by somebody who saw
    /// it.
    Seen,
    /// The configuration changed, or is wrong: then the old one stays.
    Configured(Result<Box<Config>, String>),
    /// Something worth a line at the bottom, such as a file that was written.
    Said(Result<String, String>),
}

/// How the console stands with the hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// Not yet connected for the first time.
    Connecting {
        /// The hub's address.
        to: Arc<str>,
    },
    /// Connected.
    Live {
        /// Whom the hub takes the asker for.
        caller: Arc<str>,
        /// The hub's release.
        hub_version: Arc<str>,
    },
    /// Not connected; it is tried again by itself.
    Lost {
        /// Why.
        why: Arc<str>,
        /// When it will be tried again, by the console's clock.
        retry_us: i64,
        /// When the hub was last heard of, by the console's clock: its heart beats where nothing
        /// changes.
        #[serde(default)]
        heard_us: Option<i64>,
    },
}

/// Rows that the hub tells anew as they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Following {
    /// Of these hosts.
    pub hosts: Arc<[Arc<str>]>,
    /// Of every model; else they are told now and then, for their names.
    pub models: bool,
}

/// Something that the loop is to do. Effects never wait: what comes of them is a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Leave.
    Quit,
    /// Stop like any program at Ctrl-Z; come back repainted.
    Suspend,
    /// Draw every cell anew.
    Repaint,
    /// Say [`Msg::Tick`] no later than then, by the console's clock.
    Wake {
        /// Microseconds since 1970.
        at_us: i64,
    },
    /// Ask the hub.
    Ask {
        /// What.
        question: Question,
        /// To be told again with the answer.
        generation: u64,
    },
    /// Follow exactly these rows from now on.
    Follow(Following),
    /// Have this done by the hub.
    Do(Wish),
    /// Send [`Msg::Seen`] when the terminal has shown what is drawn now.
    AskSeen,
    /// Put text onto the clipboard.
    Copy(String),
    /// Open text in `$EDITOR`.
    Edit {
        /// The text.
        text: String,
        /// Ends the file's name, so that the editor knows what it is.
        suffix: &'static str,
    },
    /// Write text into a new file and say where.
    Export {
        /// Begins the file's name.
        name: String,
        /// Ends the file's name.
        suffix: &'static str,
        /// The text.
        text: String,
    },
    /// Write the message log into a file and say where.
    Record,
    /// Open the configuration in `$EDITOR`, and read it anew.
    Configure,
}
