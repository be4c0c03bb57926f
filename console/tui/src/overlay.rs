//! What lies over a screen: prompts, the palette, the help, menus, confirmations.
//!
//! While one is open it takes every key but Ctrl-C; Esc closes it.

use binnacle_core::view::{ModelItem, Reference};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};
use tui_input::Input;

use crate::data::Known;
use crate::keymap::{Binding, Command, bindings};
use crate::question::Question;
use crate::question::endpoint::Inquiry;
use crate::question::registry::{Listing, Noun};
use crate::screen::{Action, Confirm, Look, Place, Weight};
use crate::widget::paged::rows;

pub mod choose;
mod draw;
pub mod form;
pub mod plan;
pub mod review;

use self::choose::Choosing;
pub(crate) use self::draw::clear;
pub use self::draw::draw;
use self::form::Filling;
use self::plan::Planning;
use self::review::Review;

/// Hits that the palette and the help show: more than fit on any screen.
const MAX_HITS: usize = 100;

/// What lies over a screen.
#[derive(Debug)]
pub enum Overlay {
    /// A filter is typed; it takes effect with each letter.
    Filter {
        /// What is typed.
        input: Input,
        /// What to go back to at Esc.
        before: String,
        /// What is wrong with what is typed.
        wrong: Option<String>,
    },
    /// A moment of the past is typed.
    Time {
        /// What is typed.
        input: Input,
        /// What is wrong with what is typed.
        wrong: Option<String>,
    },
    /// Anything by name; with `keys_only` the searchable help.
    Palette(Palette),
    /// What can be done with what is selected.
    Actions {
        /// The actions.
        actions: Vec<Action>,
        /// Which is selected.
        at: usize,
    },
    /// Which columns are shown.
    Columns {
        /// Each column, and whether it is.
        columns: Vec<(&'static str, bool)>,
        /// Which is selected.
        at: usize,
    },
    /// A question before something is done.
    Confirm(Box<Asking>),
    /// A form that is filled in.
    Form(Box<Filling>),
    /// An edit before it is applied.
    Review(Box<Review>),
    /// Which endpoint a rollback is of.
    Choose(Box<Choosing>),
    /// What would be done with an endpoint.
    Plan(Box<Planning>),
    /// Text that is only read.
    Text {
        /// Its heading.
        title: String,
        /// Its lines.
        lines: Vec<String>,
    },
}

/// The palette.
#[derive(Debug)]
pub struct Palette {
    /// What is typed.
    pub input: Input,
    /// What fits, best first.
    pub hits: Vec<Hit>,
    /// Which is selected.
    pub at: usize,
    /// Whether it is the help: commands alone, with every key.
    pub is_help: bool,
}

/// Something that the palette found.
#[derive(Clone, Debug)]
pub enum Hit {
    /// A command.
    Command(Binding),
    /// A place, and what it is called.
    Place(&'static str, Place),
}

/// A confirmation that is under way.
#[derive(Debug)]
pub struct Asking {
    /// What is asked.
    pub confirm: Confirm,
    /// The name, as far as it is typed.
    pub name: Input,
    /// The reason, as far as it is typed.
    pub reason: Input,
    /// Whether the reason is being typed.
    pub at_reason: bool,
    /// Whether the terminal has shown the question: keys before that were meant for something
    /// else.
    pub is_seen: bool,
}

impl Asking {
    /// A question that nobody has seen yet.
    pub fn new(confirm: Confirm) -> Self {
        Self {
            confirm,
            name: Input::default(),
            reason: Input::default(),
            at_reason: false,
            is_seen: false,
        }
        .at_first()
    }

    fn at_first(mut self) -> Self {
        self.at_reason = self.confirm.weight == Weight::Reason;
        self
    }

    /// Whether what is typed is enough.
    pub fn is_ready(&self) -> bool {
        match &self.confirm.weight {
            Weight::Yes => true,
            Weight::Reason => !self.reason.value().trim().is_empty(),
            Weight::Name(name) => {
                self.name.value() == name && !self.reason.value().trim().is_empty()
            }
        }
    }
}

impl Overlay {
    /// What has to be known of what it is about.
    pub fn wants(&self) -> Vec<Question> {
        match self {
            Self::Form(filling) => filling.wants().into_iter().collect(),
            Self::Review(review) => review.draft.itself().into_iter().collect(),
            Self::Palette(palette) => palette.wants(),
            Self::Choose(choosing) => vec![choosing.wants()],
            Self::Plan(planning) => planning.wants(),
            Self::Filter { .. }
            | Self::Time { .. }
            | Self::Actions { .. }
            | Self::Columns { .. }
            | Self::Confirm(_)
            | Self::Text { .. } => Vec::new(),
        }
    }
}

impl Palette {
    /// The models of the registry that fit to what is typed: the hub knows them.
    fn listing(&self) -> Option<Listing> {
        let typed = self.input.value().trim();
        let is_word = typed.len() >= 2 && !typed.contains(['=', '@']);
        (is_word && !self.is_help).then(|| Listing {
            search: typed.into(),
            ..Listing::of(Noun::Models, "")
        })
    }

    /// What has to be known to find what fits.
    fn wants(&self) -> Vec<Question> {
        let listing = self.listing().map(Question::Listed);
        let endpoints = Question::Endpoints(Inquiry::All);
        let is_asked = listing.is_some();
        let endpoints = is_asked.then_some(endpoints);
        listing.into_iter().chain(endpoints).collect()
    }

    /// What was told since has changed: the same is selected as before, where it is still there.
    pub fn learn(&mut self, look: &Look<'_>) {
        let at = self.at;
        self.search(look);
        self.at = at.min(self.hits.len().saturating_sub(1));
    }

    /// Opens it with everything.
    pub fn new(is_help: bool, look: &Look<'_>) -> Self {
        let mut palette = Self {
            input: Input::default(),
            hits: Vec::new(),
            at: 0,
            is_help,
        };
        palette.search(look);
        palette
    }

    /// Finds what fits to what is typed.
    pub fn search(&mut self, look: &Look<'_>) {
        let typed = self.input.value();
        self.at = 0;
        if typed.trim().is_empty() {
            self.hits = bindings().map(Hit::Command).collect();
            return;
        }
        let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut letters = Vec::new();
        let mut score = |text: &str| {
            letters.clear();
            pattern.score(Utf32Str::new(text, &mut letters), &mut matcher)
        };
        let mut hits: Vec<(u32, Hit)> = Vec::new();
        for line in bindings() {
            // A name counts for more than a word of the explanation.
            let by_name = score(line.name).map(|score| score * 2);
            let by_help = score(line.help);
            if let Some(score) = by_name.max(by_help) {
                hits.push((score, Hit::Command(line)));
            }
        }
        if !self.is_help {
            for line in look.fleet.hosts() {
                if let Some(score) = score(line.host()) {
                    hits.push((score, place("host", "hosts", line.host())));
                }
            }
            for row in &look.data.models {
                if let Some(score) = score(&row.model) {
                    hits.push((score, place("latency of", "latency", &row.model)));
                }
            }
            if let Known::Here(rows, _) = look.data.endpoints(look.here_us) {
                for row in rows.iter() {
                    let name = row.endpoint.to_string();
                    if let Some(score) = score(&name) {
                        hits.push((score + 1, place("endpoint", "rollouts", &name)));
                    }
                }
            }
            if let Some(listing) = self.listing()
                && let Known::Here(rows, _) = rows::<ModelItem>(&listing, look)
            {
                for row in rows {
                    // What was found by its owner or a tag fits less well.
                    let name = row.named.name.as_str();
                    let score = score(name).map_or(1, |score| score + 1);
                    hits.push((score, place("model", "models", name)));
                }
            }
            if let Ok(version) = typed.trim().parse::<Reference>() {
                let found = place("version", "versions", &version.to_string());
                hits.push((u32::MAX, found));
            }
        }
        hits.sort_by(|(a, _), (b, _)| b.cmp(a));
        hits.truncate(MAX_HITS);
        self.hits = hits.into_iter().map(|(_, hit)| hit).collect();
    }
}

fn place(kind: &'static str, view: &str, object: &str) -> Hit {
    let place = Place {
        view: view.into(),
        object: object.into(),
        ..Place::default()
    };
    Hit::Place(kind, place)
}

/// Moves a selection among `count` lines as a command asks.
#[allow(clippy::wildcard_enum_match_arm, reason = "other commands do not move")]
pub fn moved(at: usize, count: usize, command: Command) -> usize {
    let last = count.saturating_sub(1);
    match command {
        Command::Down => (at + 1).min(last),
        Command::Up => at.saturating_sub(1),
        Command::Top => 0,
        Command::Bottom => last,
        Command::PageDown => (at + 8).min(last),
        Command::PageUp => at.saturating_sub(8),
        _ => at,
    }
}
