//! How the inputs of an endpoint stand, in a word: the worst of its versions.

use binnacle_core::view::{DriftItem, EndpointName};

use crate::format;
use crate::screen::Look;
use crate::theme::Meaning;
use crate::widget::table::Text;

/// How the inputs of an endpoint stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// No version of it is watched.
    NotWatched,
    /// Too little is known to say anything.
    NotEnough,
    /// Nothing moved.
    Watched,
    /// Something moved, since then.
    Moved(i64),
}

/// The same, and up to when something was counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inputs {
    state: State,
    seen_us: Option<i64>,
}

impl Inputs {
    /// Of an endpoint, by what is known of all versions.
    pub(super) fn of(rows: &[DriftItem], endpoint: &EndpointName) -> Self {
        let own = rows.iter().filter(|row| row.endpoint == *endpoint);
        let own: Vec<&DriftItem> = own.collect();
        let state = |row: &&DriftItem| match (&*row.state, &row.page) {
            ("moved", Some(page)) => State::Moved(page.since_us),
            ("watched", _) => State::Watched,
            ("not_enough" | "unprovable", _) => State::NotEnough,
            _ => State::NotWatched,
        };
        Self {
            state: own.iter().map(state).max().unwrap_or(State::NotWatched),
            seen_us: own.iter().filter_map(|row| row.seen_us).max(),
        }
    }

    /// In words, with how old it is.
    pub(super) fn text(&self, look: &Look<'_>) -> Text {
        let age = |at_us: i64| format::age(look.now_us - at_us);
        let seen = self.seen_us.map_or_else(String::new, age);
        match self.state {
            State::NotWatched => ("–".into(), Meaning::Unknown),
            State::NotEnough => (format!("? few {seen}"), Meaning::Unknown),
            State::Watched => (format!("+ steady {seen}"), Meaning::Ok),
            State::Moved(since_us) => (format!("x moved {}", age(since_us)), Meaning::Crit),
        }
    }

    /// As a filter knows it.
    pub(super) fn word(&self) -> &'static str {
        match self.state {
            State::NotWatched => "not watched",
            State::NotEnough => "few",
            State::Watched => "steady",
            State::Moved(_) => "moved",
        }
    }
}
