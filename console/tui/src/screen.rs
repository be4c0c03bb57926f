//! Screens: one file a view, each opening with a drawing of itself.
//!
//! A screen says what it wants to know and what can be done on it; the update asks, and calls
//! it back. It changes only in `on`, `learn` and their like, never while it is drawn.

use std::fmt;
use std::sync::Arc;

use binnacle_core::view::{EndpointName, Light, Reference, Status};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use serde::{Deserialize, Serialize};

use crate::data::{Data, Fleet};
use crate::edit::Draft;
use crate::keymap::{Command, Keymap};
use crate::msg::Effect;
use crate::overlay::form::{Deploying, Pointing};
use crate::question::endpoint::Wanted;
use crate::question::{Question, Wish};
use crate::theme::{Meaning, Theme};

pub mod alerts;
pub mod approvals;
pub mod drift;
pub mod host;
pub mod hosts;
mod inputs;
pub mod journal;
pub mod latency;
mod length;
pub(crate) mod list;
pub mod models;
pub mod overview;
pub(crate) mod registry;
pub mod rollouts;
pub mod sets;
pub mod versions;

/// What a screen sees while it answers or draws.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// What is known.
    pub data: &'a Data,
    /// The fleet as it is, or as it was at the moment of the past that is shown.
    pub fleet: &'a Fleet,
    /// How meanings look.
    pub theme: &'a Theme,
    /// Which keys do what.
    pub keys: &'a Keymap,
    /// Now, by the hub's clock.
    pub now_us: i64,
    /// Now, by the console's clock: what ages are measured by.
    pub here_us: i64,
    /// The moment of the past that is shown; absent: now.
    pub at_us: Option<i64>,
    /// Where the screen is drawn.
    pub body: Rect,
    /// Whether rows become cards: under 80 columns.
    pub is_narrow: bool,
}

impl Look<'_> {
    /// How a meaning looks.
    pub fn style(&self, meaning: Meaning) -> Style {
        self.theme.style(meaning)
    }

    /// Whether what is shown may not be so any more.
    pub fn is_stale(&self) -> bool {
        !self.data.is_live() && self.data.heard_us.is_some()
    }
}

/// What a screen wants to know now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wants {
    /// To be asked, and kept fresh.
    pub questions: Vec<Question>,
    /// Hosts whose rows it shows: at most [`MAX_FOLLOWED`].
    pub hosts: Vec<Arc<str>>,
    /// Whether it shows every model's row.
    pub models: bool,
}

/// Hosts that are followed at once: what the hub allows.
pub const MAX_FOLLOWED: usize = 500;

/// What a screen asks for when a command was given.
#[derive(Debug)]
pub enum Step {
    /// Open another screen on top.
    Go(Box<dyn Screen>),
    /// The selection has moved: what depends on it follows when it rests.
    Moved,
    /// Show everything as it was at this moment, by the hub's clock.
    Time(i64),
    /// Something for the loop to do.
    Effect(Effect),
    /// A line at the bottom; `Err` for what cannot be done, and why.
    Say(Result<String, String>),
    /// Ask before doing.
    Confirm(Confirm),
    /// Edit something in the editor.
    Edit(Box<Draft>),
    /// Choose columns.
    Columns(Vec<(&'static str, bool)>),
}

/// Something that can be done with what is selected, or why it cannot.
#[derive(Clone, Debug, PartialEq)]
pub struct Action {
    /// The key that chooses it in the menu.
    pub key: char,
    /// What it does.
    pub words: String,
    /// What comes next, or why it is impossible.
    pub asks: Result<Doing, String>,
}

/// What an action leads to.
#[derive(Clone, Debug, PartialEq)]
pub enum Doing {
    /// A question before it is done.
    Confirm(Box<Confirm>),
    /// The editor.
    Edit(Box<Draft>),
    /// A form.
    Form(Box<Draft>),
    /// A form that moves an alias.
    Alias(Box<Pointing>),
    /// A form that brings a version to an endpoint.
    Deploy(Box<Deploying>),
    /// What would be done with an endpoint.
    Plan(Box<Wanted>),
}

/// What something is about: which endpoints a rollback from there may be of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// This one.
    Endpoint(EndpointName),
    /// Those that a version of this model serves at.
    Model(Arc<str>),
    /// Those that this version serves at.
    Version(Reference),
    /// Those that this host serves.
    Host(Arc<str>),
}

/// A question before something is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Confirm {
    /// What will be done.
    pub title: String,
    /// What one has to know: environment, targets, reversible or not, expected time.
    pub facts: Vec<(&'static str, String)>,
    /// What has to be typed.
    pub weight: Weight,
    /// Its reason is filled in from what is typed.
    pub wish: Wish,
}

/// How heavy a confirmation is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Weight {
    /// `y`, and a reason.
    Yes,
    /// A reason.
    Reason,
    /// The object's name, and a reason.
    Name(String),
}

/// Where a screen stands, to be opened there again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Place {
    /// The view.
    pub view: String,
    /// The object that it is about; empty for the view itself.
    pub object: String,
    /// The filter.
    pub filter: String,
    /// What is selected.
    pub selected: String,
}

/// One screen.
pub trait Screen: fmt::Debug + Send {
    /// Where it stands; opened again from there.
    fn place(&self) -> Place;

    /// Titles from the view to the object; none where the screen needs no breadcrumb.
    fn crumbs(&self) -> Vec<String>;

    /// What stands right of the breadcrumb: filter, how many of how many.
    fn note(&self, _look: &Look<'_>) -> String {
        String::new()
    }

    /// What it wants to know now.
    fn wants(&self, look: &Look<'_>) -> Wants;

    /// Commands that do something here, the most useful first: the key bar shows these.
    fn offers(&self, look: &Look<'_>) -> Vec<Command>;

    /// What can be done with what is selected.
    fn actions(&self, _look: &Look<'_>) -> Vec<Action> {
        Vec::new()
    }

    /// What is selected, as far as endpoints have to do with it.
    fn concern(&self, _look: &Look<'_>) -> Option<Concern> {
        None
    }

    /// Does what a command asks; nothing comes of one that it does not offer.
    fn on(&mut self, command: Command, look: &Look<'_>) -> Vec<Step>;

    /// Takes another filter, or says what is wrong with it.
    fn filter(&mut self, _text: &str, _look: &Look<'_>) -> Result<(), String> {
        Err("there is nothing to filter here".into())
    }

    /// The filter that it has.
    fn filter_text(&self) -> &str {
        ""
    }

    /// What may be typed as a filter, in some examples.
    fn filter_words(&self) -> &'static str {
        "words, p99>250, errors>=1%, status!=ok, label=value"
    }

    /// Where another view leads from here: to what belongs to the thing that is selected.
    fn related(&self, _view: &str) -> Option<Place> {
        None
    }

    /// Shows or hides a column.
    fn toggle_column(&mut self, _title: &str, _look: &Look<'_>) {}

    /// Something that it shows has changed, or its size.
    fn learn(&mut self, _look: &Look<'_>) {}

    /// The selection has rested: the preview may follow.
    fn settle(&mut self) {}

    /// The headless command that shows the same.
    fn command(&self, look: &Look<'_>) -> String;

    /// Draws it into `look.body`.
    fn draw(&self, look: &Look<'_>, buf: &mut Buffer);
}

/// A light as glyph and word: `+ loaded`, `x answers`, `? loaded`.
pub fn light(word: &str, light: Light) -> String {
    let glyph = match light {
        Light::On => '+',
        Light::Off => 'x',
        Light::Unknown => '?',
    };
    format!("{glyph} {word}")
}

/// What can be done with a host, or why it cannot.
pub fn host_actions(hosts: &[Arc<str>], look: &Look<'_>) -> Vec<Action> {
    let one = match hosts {
        [one] => look
            .fleet
            .host(one)
            .ok_or("this host is not known any more"),
        [] => Err("no host is selected"),
        [_, ..] => Err("one host at a time: each goes with its own reason"),
    };
    let retired = one.map(|line| line.status() == Status::Retired);
    let confirm = |title: &str, what: &str, weight, wish| {
        Doing::Confirm(Box::new(Confirm {
            title: title.into(),
            facts: vec![
                ("what", what.into()),
                ("reversible", "yes".into()),
                ("takes", "under a second once the host is connected".into()),
            ],
            weight,
            wish,
        }))
    };
    let name = || hosts.first().cloned().unwrap_or_else(|| "".into());
    let retire = match retired {
        Err(why) => Err(why.to_owned()),
        Ok(true) => Err("it is retired already".into()),
        Ok(false) => Ok(confirm(
            &format!("Retire {}", name()),
            "its agent serves on, but stops reporting until it is readmitted",
            Weight::Name(name().to_string()),
            Wish::Retire {
                host: name(),
                reason: String::new(),
            },
        )),
    };
    let readmit = match retired {
        Err(why) => Err(why.to_owned()),
        Ok(false) => Err("it is not retired".into()),
        Ok(true) => Ok(confirm(
            &format!("Readmit {}", name()),
            "its agent may dial again: restart it on the host",
            Weight::Yes,
            Wish::Readmit {
                host: name(),
                reason: String::new(),
            },
        )),
    };
    // What is asked of the hub while it is not there would not be done.
    let reachable = |asks| {
        if look.data.is_live() {
            asks
        } else {
            Err("the hub is not connected".into())
        }
    };
    vec![
        Action {
            key: 't',
            words: "retire…".into(),
            asks: reachable(retire),
        },
        Action {
            key: 'm',
            words: "readmit…".into(),
            asks: reachable(readmit),
        },
    ]
}
