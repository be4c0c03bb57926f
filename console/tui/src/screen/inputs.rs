//! How inputs stand, in a word: of an endpoint, a version or a model the worst of what it has.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use binnacle_core::view::{DriftItem, EndpointName, Name, Reference};
use ratatui::layout::Alignment;

use crate::data::Known;
use crate::format;
use crate::screen::Look;
use crate::screen::registry::fact;
use crate::theme::Meaning;
use crate::widget::grid::Drawn;
use crate::widget::page::{Line, piece};
use crate::widget::table::Text;

/// Counts come every few seconds: that they are as old as this is not worth a word.
const FRESH_US: i64 = 60_000_000;

/// How inputs stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    /// Nothing of it is watched.
    NotWatched,
    /// Too little is known to say anything.
    NotEnough,
    /// Nothing moved.
    Watched,
    /// Something moved, since then.
    Moved(i64),
}

/// The same, and up to when something was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inputs {
    state: State,
    seen_us: Option<i64>,
}

impl Inputs {
    fn of(row: &DriftItem) -> Self {
        let state = match (&*row.state, &row.page) {
            ("moved", Some(page)) => State::Moved(page.since_us),
            ("watched", _) => State::Watched,
            ("not_enough" | "unprovable", _) => State::NotEnough,
            _ => State::NotWatched,
        };
        Self {
            state,
            seen_us: row.seen_us,
        }
    }

    /// Of both together: the worse, and what was counted last.
    fn and(self, other: Self) -> Self {
        Self {
            state: self.state.max(other.state),
            seen_us: self.seen_us.max(other.seen_us),
        }
    }

    /// In words, with how old it is where that is not a matter of seconds.
    pub(super) fn text(&self, look: &Look<'_>) -> Text {
        let age = |at_us: i64| format::age(look.now_us - at_us);
        let old = |seen_us: &i64| look.now_us - seen_us >= FRESH_US;
        let seen = self.seen_us.filter(old).map(age);
        let words = |words: &str| match &seen {
            Some(seen) => format!("{words} {seen}"),
            None => words.to_owned(),
        };
        match self.state {
            State::NotWatched => ("–".into(), Meaning::Unknown),
            State::NotEnough => (words("? few"), Meaning::Unknown),
            State::Watched => (words("+ steady"), Meaning::Ok),
            State::Moved(since_us) => (format!("x moved {}", age(since_us)), Meaning::Crit),
        }
    }

    /// As a line of what is told of something.
    pub(super) fn line(&self, look: &Look<'_>) -> Line {
        let (text, meaning) = match look.at_us {
            Some(_) => ("–".into(), Meaning::Unknown),
            None => aged(self.text(look), look),
        };
        let mut line = fact("inputs", "");
        line.push(piece(text, meaning));
        line
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

/// What is known of all versions that serve, by what it is asked for. Made once for each answer
/// of the hub.
#[derive(Debug, Default)]
pub(super) struct Index {
    rows: Option<Arc<[DriftItem]>>,
    endpoints: HashMap<EndpointName, Inputs>,
    versions: HashMap<Reference, Inputs>,
    models: HashMap<Name, Inputs>,
}

impl Index {
    /// Takes in what the hub said last.
    pub(super) fn learn(&mut self, look: &Look<'_>) {
        let Known::Here(rows, _) = look.data.drift(look.here_us) else {
            return;
        };
        if self.rows.as_ref().is_some_and(|own| Arc::ptr_eq(own, rows)) {
            return;
        }
        *self = Self {
            rows: Some(rows.clone()),
            ..Self::default()
        };
        for row in rows.iter() {
            let inputs = Inputs::of(row);
            put(&mut self.endpoints, &row.endpoint, inputs);
            put(&mut self.versions, &row.version, inputs);
            put(&mut self.models, &row.version.name, inputs);
        }
    }

    /// Of an endpoint; `None` while nothing is known.
    pub(super) fn endpoint(&self, endpoint: &EndpointName) -> Option<Inputs> {
        self.found(self.endpoints.get(endpoint))
    }

    /// Of a version, wherever it serves.
    pub(super) fn version(&self, version: &Reference) -> Option<Inputs> {
        self.found(self.versions.get(version))
    }

    /// Of a model, over all of its versions.
    pub(super) fn model(&self, model: &Name) -> Option<Inputs> {
        self.found(self.models.get(model))
    }

    fn found(&self, found: Option<&Inputs>) -> Option<Inputs> {
        let nothing = Inputs {
            state: State::NotWatched,
            seen_us: None,
        };
        let known = self.rows.is_some();
        known.then(|| found.copied().unwrap_or(nothing))
    }
}

fn put<K: Clone + Eq + Hash>(all: &mut HashMap<K, Inputs>, key: &K, inputs: Inputs) {
    match all.get_mut(key) {
        Some(known) => *known = known.and(inputs),
        None => {
            all.insert(key.clone(), inputs);
        }
    }
}

/// The column of a table of the registry, which is of now.
pub(super) fn column<'a, R: 'a>(
    rank: u8,
    inputs: impl Fn(&R) -> Option<Inputs> + 'a,
) -> Drawn<'a, R> {
    Drawn {
        title: "INPUTS".into(),
        width: 12,
        grows: 0,
        align: Alignment::Left,
        rank,
        cell: Box::new(
            move |row, look| match inputs(row).filter(|_| look.at_us.is_none()) {
                Some(inputs) => aged(inputs.text(look), look),
                None => ("–".into(), Meaning::Unknown),
            },
        ),
    }
}

/// A text of now, as what may not be so any more where the hub is not heard.
pub(super) fn aged((text, meaning): Text, look: &Look<'_>) -> Text {
    match look.is_stale() {
        true => (text, Meaning::Stale),
        false => (text, meaning),
    }
}
