//! All that the console is at one moment.

use std::sync::Arc;

use ratatui::layout::Rect;
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::data::{Data, Fleet};
use crate::edit::Draft;
use crate::key::Key;
use crate::keymap::{Command, Keymap, VIEWS, view_named};
use crate::msg::{Following, Link};
use crate::overlay::{Asking, Overlay};
use crate::question::Question;
use crate::screen::{Look, Place, Screen};
use crate::theme::Theme;
use crate::update::rollouts::Awaited;

/// Screens that one can go back to.
const MAX_TRAIL: usize = 32;
/// Under this size one line says so, and nothing else is drawn.
pub const LEAST: (u16, u16) = (40, 12);

/// From this width on rows are lines; under it they are cards.
const TABLES_FROM: u16 = 80;

/// What the console starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How meanings look on this terminal.
    pub theme: Theme,
    /// What a person set.
    pub config: Config,
    /// What the strip calls this hub.
    pub context: Arc<str>,
    /// The hub's address, for the strip and for commands.
    pub hub: Arc<str>,
    /// Whether to teach the first keys.
    pub hint: bool,
    /// Columns and lines.
    pub size: (u16, u16),
    /// Now.
    pub now_us: i64,
    /// Where to begin; absent: where the session ended, or the first view.
    pub open: Option<Place>,
    /// Where the last session ended.
    pub session: Option<Session>,
}

/// Where a session stands, to be gone on with later.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    /// The screens, the present one last.
    pub trail: Vec<Place>,
    /// Keys of the first-time hint that were used.
    pub learned: Vec<String>,
    /// Edits that were not applied: offered again.
    pub drafts: Vec<Draft>,
}

/// What has to be drawn anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dirty {
    /// Nothing.
    #[default]
    No,
    /// Figures: as soon as the frame rate allows.
    Data,
    /// An answer to a key: at once.
    Input,
}

/// A line at the bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it says; `Err` for what did not work.
    pub text: Result<String, String>,
    /// When it goes by itself.
    pub until_us: i64,
}

/// Keys of a sequence so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The keys.
    pub keys: Vec<Key>,
    /// When the keys that may follow are shown.
    pub help_us: i64,
}

/// All that the console is.
#[derive(Debug)]
pub struct Model {
    /// How meanings look.
    pub theme: Theme,
    /// Which keys do what.
    pub keys: Keymap,
    /// What is known.
    pub data: Data,
    /// What the strip calls this hub.
    pub context: Arc<str>,
    /// The hub's address.
    pub hub: Arc<str>,
    /// Columns and lines.
    pub size: (u16, u16),
    /// What lies over the screen.
    pub overlay: Option<Overlay>,
    /// The line at the bottom.
    pub notice: Option<Notice>,
    /// Keys of a sequence so far.
    pub pending: Option<Pending>,
    /// The moment of the past that is shown, by the hub's clock.
    pub at_us: Option<i64>,
    /// What was known when the display was frozen.
    pub frozen: Option<Box<Data>>,
    /// Until when changes in protected environments are allowed.
    pub armed_until_us: Option<i64>,
    /// Environments in which changes have to be armed.
    pub protected: Vec<String>,
    /// Keys of the first-time hint that are still to be used.
    pub hint: Vec<Command>,
    /// Edits that were not applied yet, the oldest first.
    pub drafts: Vec<Draft>,
    /// What the editor has open.
    pub(crate) editing: Option<Box<Draft>>,
    /// What was confirmed last, until the hub has taken it.
    pub(crate) asked: Option<Box<Asking>>,
    /// Rollouts whose end is told.
    pub(crate) awaited: Vec<Awaited>,
    /// Now, by the console's clock.
    pub now_us: i64,
    pub(crate) trail: Vec<Box<dyn Screen>>,
    pub(crate) here: usize,
    pub(crate) dirty: Dirty,
    /// When the selection has rested.
    pub(crate) rest_us: Option<i64>,
    pub(crate) generation: u64,
    pub(crate) followed: Following,
    pub(crate) wake_us: Option<i64>,
    pub(crate) interrupts: u8,
    /// What the screen has taken in: what was known, and where it is drawn.
    pub(crate) learned_revision: u64,
    pub(crate) learned_body: Rect,
}

/// What the hint teaches, in this order.
pub const HINT: [Command; 6] = [
    Command::Down,
    Command::Open,
    Command::Filter,
    Command::Actions,
    Command::Palette,
    Command::Help,
];

impl Model {
    /// The console at its start. Keys that a person set and that cannot be read are said at the
    /// bottom, and the built-in ones stay.
    pub fn new(setup: Setup) -> Self {
        let (keys, trouble) = keymap(&setup.config);
        let session = setup.session.unwrap_or_default();
        let places = match setup.open {
            Some(place) => vec![place],
            None => session.trail,
        };
        let screens = places.iter().filter_map(|place| {
            let view = view_named(&place.view)?;
            Some((view.open)(place))
        });
        let mut trail: Vec<Box<dyn Screen>> = screens.collect();
        if trail.is_empty() {
            let first = VIEWS.first().map(|view| (view.open)(&Place::default()));
            trail.extend(first);
        }
        let taught = |command: &Command| {
            let line = crate::keymap::line_of(*command);
            line.is_some_and(|line| !session.learned.iter().any(|name| name == line.name))
        };
        let is_taught = setup.hint;
        Self {
            here: trail.len().saturating_sub(1),
            trail,
            theme: setup.theme,
            keys,
            data: Data::new(Link::Connecting {
                to: setup.hub.clone(),
            }),
            context: setup.context,
            hub: setup.hub,
            size: setup.size,
            overlay: None,
            notice: trouble.map(|why| Notice {
                text: Err(why),
                until_us: i64::MAX,
            }),
            pending: None,
            at_us: None,
            frozen: None,
            armed_until_us: None,
            protected: setup.config.protected,
            hint: HINT
                .into_iter()
                .filter(|_| is_taught)
                .filter(taught)
                .collect(),
            drafts: session.drafts,
            editing: None,
            asked: None,
            awaited: Vec::new(),
            now_us: setup.now_us,
            dirty: Dirty::Input,
            rest_us: None,
            generation: 0,
            followed: Following::default(),
            wake_us: None,
            interrupts: 0,
            learned_revision: u64::MAX,
            learned_body: Rect::default(),
        }
    }

    /// Where the session stands.
    pub fn session(&self) -> Session {
        let learned = HINT.iter().filter(|command| !self.hint.contains(command));
        let name =
            |command: &Command| crate::keymap::line_of(*command).map(|line| line.name.into());
        Session {
            trail: self
                .trail
                .iter()
                .take(self.here + 1)
                .map(|screen| screen.place())
                .collect(),
            learned: learned.filter_map(name).collect(),
            drafts: self.drafts.clone(),
        }
    }

    /// What has to be drawn, which is then taken as drawn.
    pub fn take_dirty(&mut self) -> Dirty {
        std::mem::take(&mut self.dirty)
    }

    /// Whether every question of what is shown has an answer, or a reason why not.
    pub fn is_settled(&self) -> bool {
        let look = self.look();
        let known = |question: &Question| {
            let asked = look.data.asked(question);
            asked.is_some_and(|asked| asked.answer.is_some() || asked.trouble.is_some())
        };
        let wants = self.screen().wants(&look);
        let rows = |host: &Arc<str>| look.fleet.host(host).is_none_or(|line| line.row.is_some());
        look.data.fleet.is_known
            && wants.questions.iter().all(known)
            && wants.hosts.iter().all(rows)
    }

    /// The screen that is shown.
    pub fn screen(&self) -> &dyn Screen {
        let screen = self.trail.get(self.here).or(self.trail.first());
        &**screen.expect("a trail has a first screen and is never emptied")
    }

    /// What screens see.
    pub fn look(&self) -> Look<'_> {
        look(self)
    }

    /// Runs a screen's answer to something, with what it sees.
    pub(crate) fn with_screen<T>(
        &mut self,
        run: impl FnOnce(&mut dyn Screen, &Look<'_>) -> T,
    ) -> T {
        let here = self.here.min(self.trail.len().saturating_sub(1));
        let body = self.body();
        let mut screen = self.trail.swap_remove(here);
        // While it answers it is not on the trail, which knows no more where it is drawn.
        let look = Look { body, ..look(self) };
        let came = run(&mut *screen, &look);
        self.trail.push(screen);
        let last = self.trail.len() - 1;
        self.trail.swap(here, last);
        came
    }

    /// Opens a screen on top of the present one; what lay ahead is forgotten.
    pub(crate) fn go(&mut self, screen: Box<dyn Screen>) {
        self.trail.truncate(self.here + 1);
        self.trail.push(screen);
        if self.trail.len() > MAX_TRAIL {
            self.trail.remove(0);
        }
        self.here = self.trail.len() - 1;
        self.learned_revision = u64::MAX;
    }

    /// Where the present screen is drawn.
    pub fn body(&self) -> Rect {
        crate::draw::regions(self).body
    }
}

pub(crate) fn keymap(config: &Config) -> (Keymap, Option<String>) {
    match Keymap::new(config) {
        Ok(keys) => (keys, None),
        Err(why) => {
            let built_in = Keymap::new(&Config::default());
            (built_in.expect("the built-in keys are tested"), Some(why))
        }
    }
}

fn look(model: &Model) -> Look<'_> {
    static NOBODY: std::sync::LazyLock<Fleet> = std::sync::LazyLock::new(Fleet::default);
    let data = model.frozen.as_deref().unwrap_or(&model.data);
    let fleet = match (model.at_us, &data.past) {
        (None, _) => &data.fleet,
        (Some(at_us), Some((known_us, fleet))) if at_us == *known_us => fleet,
        (Some(_), _) => &NOBODY,
    };
    Look {
        data,
        fleet,
        theme: &model.theme,
        keys: &model.keys,
        now_us: model.now_us + data.skew_us,
        here_us: model.now_us,
        at_us: model.at_us,
        body: model.body(),
        is_narrow: model.size.0 < TABLES_FROM,
    }
}
