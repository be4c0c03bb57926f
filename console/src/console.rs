//! The console: the model, the hub, and the log of what passed between them.
//!
//! One value for the terminal's loop and for a snapshot; what of the model's effects concerns the
//! hub is seen to here, the rest is handed on.

use std::sync::Arc;

use binnacle_tui::config::Config;
use binnacle_tui::model::{Model, Session, Setup};
use binnacle_tui::msg::{Effect, Msg};
use binnacle_tui::screen::Place;
use binnacle_tui::theme::Theme;
use binnacle_tui::update::update;

use crate::clock;
use crate::context::Chosen;
use crate::link::feed::Feed;
use crate::record::{Opening, Recorder};

/// What a console is opened with.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) hub: Chosen,
    pub(crate) theme: Theme,
    pub(crate) config: Config,
    pub(crate) size: (u16, u16),
    pub(crate) open: Option<Place>,
    pub(crate) session: Option<Session>,
    /// Whether to teach the first keys.
    pub(crate) hint: bool,
}

/// A console that runs.
#[derive(Debug)]
pub(crate) struct Console {
    pub(crate) model: Model,
    pub(crate) feed: Feed,
    pub(crate) recorder: Recorder,
    /// When the model wants to be told that time has passed.
    pub(crate) wake_us: Option<i64>,
}

impl Console {
    /// Dials the hub and begins.
    pub(crate) fn open(opened: Opened) -> Self {
        let now_us = clock::now_us();
        let recorder = Recorder::start(Opening {
            at_us: now_us,
            context: opened.hub.name.clone(),
            hub: opened.hub.address.to_string(),
            size: opened.size,
            config: opened.config.clone(),
            open: opened.open.clone(),
            session: opened.session.clone(),
            hint: opened.hint,
        });
        let model = Model::new(Setup {
            theme: opened.theme,
            config: opened.config,
            context: Arc::from(&*opened.hub.name),
            hub: opened.hub.address.to_string().into(),
            hint: opened.hint,
            size: opened.size,
            now_us,
            open: opened.open,
            session: opened.session,
        });
        Self {
            model,
            feed: Feed::start(opened.hub),
            recorder,
            wake_us: None,
        }
    }

    /// Tells the model that something happened; gives what is the terminal's to do.
    pub(crate) fn tell(&mut self, msg: Msg) -> Vec<Effect> {
        let now_us = clock::now_us();
        self.recorder.note(now_us, &msg);
        let effects = update(&mut self.model, now_us, msg);
        effects
            .into_iter()
            .filter_map(|effect| self.see_to(effect))
            .collect()
    }

    fn see_to(&mut self, effect: Effect) -> Option<Effect> {
        match effect {
            Effect::Ask {
                question,
                generation,
            } => self.feed.ask(question, generation),
            Effect::Follow(following) => self.feed.follow(following),
            Effect::Do(wish) => self.feed.wish(wish),
            // The model tells the whole of what it waits for each time.
            Effect::Wake { at_us } => self.wake_us = Some(at_us),
            Effect::Quit
            | Effect::Suspend
            | Effect::Repaint
            | Effect::AskSeen
            | Effect::Copy(_)
            | Effect::Edit { .. }
            | Effect::Export { .. }
            | Effect::Record
            | Effect::Configure => return Some(effect),
        }
        None
    }
}
