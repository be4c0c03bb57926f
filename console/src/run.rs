//! The loop of the console on a terminal: keys, news of the hub, timers and signals go in, frames
//! go out.
//!
//! Nothing is awaited between a key and its frame. Figures are painted a few times a second at
//! most, and where nothing changed nothing is written.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use binnacle_tui::model::Dirty;
use binnacle_tui::msg::{Effect, Msg};
use crossterm::event::Event;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::clock;
use crate::console::{Console, Opened};
use crate::context;
use crate::input::{Input, Reader};
use crate::outcome::{Exit, Failure};
use crate::run::pace::Pace;
use crate::run::signals::{Signals, Told};
use crate::run::source::{Back, Came, Source};
use crate::state;
use crate::terminal::Terminal;

mod pace;
mod signals;
mod source;

/// A storm of sizes is painted once in this time.
const RESIZED_WITHIN: Duration = Duration::from_millis(30);
/// From asking whether a frame was seen to taking keys for an answer, at the least: quicker than
/// this nobody reads.
const SEEN_AFTER: Duration = Duration::from_millis(300);
/// How often a terminal is asked that does not answer; each takes two seconds.
const ASKED_MAX: u32 = 3;
/// Between two looks at the configuration.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Messages of our own tasks that wait.
const LATER: usize = 64;

/// The console on a terminal.
struct Shell {
    console: Console,
    terminal: Terminal,
    source: Source,
    reader: Reader,
    pace: Pace,
    later: mpsc::Sender<Msg>,
    /// Messages that came of effects, to be told next.
    next: VecDeque<Msg>,
    /// When to look how large the terminal is now.
    resized: Option<Instant>,
    seen: Seen,
    /// Whether the next signal to go on is the end of a stop of our own.
    has_stopped: bool,
    is_leaving: bool,
}

/// How far the question stands whether a frame was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It is not asked.
    No,
    /// To be asked behind the next frame; how often, with this time.
    Ask(u32),
    /// Asked then; how often, with that time.
    Asked(Instant, u32),
    /// Answered; to be told then.
    Tell(Instant),
}

/// Runs the console until it is left.
pub(crate) async fn run(opened: Opened, terminal: Terminal) -> Result<Exit, Failure> {
    let mut signals = Signals::catch()?;
    let last_resort = signals::last_resort()?;
    let (later, mut laters) = mpsc::channel(LATER);
    let context = opened.hub.name.clone();
    let mut shell = Shell {
        pace: Pace::new(opened.config.low_bandwidth, clock::now()),
        console: Console::open(opened),
        terminal,
        source: Source::here(),
        reader: Reader::default(),
        later: later.clone(),
        next: VecDeque::new(),
        resized: None,
        seen: Seen::No,
        has_stopped: false,
        is_leaving: false,
    };
    let watched = tokio::spawn(watch_configuration(later));
    let ended = shell.run(&mut signals, &mut laters).await;
    watched.abort();
    // Whatever happened: first the terminal, then everything else.
    let given_back = shell.terminal.give_back();
    drop(last_resort);
    let kept = state::keep_session(&context, &shell.console.model.session());
    if let Err(error) = kept {
        tracing::warn!(%error, "where this session ended could not be kept");
    }
    given_back.and(ended).map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the terminal cannot be used: {error}"),
        )
    })
}

impl Shell {
    async fn run(
        &mut self,
        signals: &mut Signals,
        laters: &mut mpsc::Receiver<Msg>,
    ) -> io::Result<Exit> {
        // What the model wants first, it wants without being told anything.
        self.tell(Msg::Tick)?;
        while !self.is_leaving {
            let now = clock::now();
            let due = self.pace.due(now);
            if due.is_some_and(|due| due <= now) && self.source.is_here() {
                self.paint()?;
                panic_in_tests();
                continue;
            }
            // Neither into an editor's screen, nor between the pieces of a question.
            let due = due.filter(|_| self.source.is_here());
            let seen = match self.seen {
                Seen::Tell(at) => Some(at),
                Seen::No | Seen::Ask(_) | Seen::Asked(..) => None,
            };
            let wake = self.console.wake_us.map(clock::until);
            tokio::select! {
                came = self.source.next() => self.came(came)?,
                news = self.console.feed.news() => {
                    news.into_iter().try_for_each(|msg| self.tell(msg))?;
                }
                Some(msg) = laters.recv() => self.tell(msg)?,
                told = signals.next() => if let Some(exit) = self.told(told)? {
                    return Ok(exit);
                },
                () = at(due), if due.is_some() => {}
                () = at(self.resized), if self.resized.is_some() => self.measure()?,
                () = at(seen), if seen.is_some() => {
                    self.seen = Seen::No;
                    self.tell(Msg::Seen)?;
                }
                () = tokio::time::sleep(wake.unwrap_or_default()), if wake.is_some() => {
                    self.console.wake_us = None;
                    self.tell(Msg::Tick)?;
                }
            }
        }
        Ok(Exit::Ok)
    }

    /// Whether an editor has the terminal.
    fn has_editor(&self) -> bool {
        !self.source.is_here() && !matches!(self.seen, Seen::Asked(..))
    }

    fn came(&mut self, came: Came) -> io::Result<()> {
        match came {
            Came::Events(events) => events.into_iter().try_for_each(|event| self.event(event)),
            Came::Gone(why) => Err(io::Error::other(why)),
            Came::Back(back) => self.back(back),
        }
    }

    fn event(&mut self, event: Event) -> io::Result<()> {
        match self.reader.read(event, clock::now()) {
            Input::Typed(msg) => self.tell(msg),
            Input::Resized => {
                self.resized.get_or_insert(clock::now() + RESIZED_WITHIN);
                Ok(())
            }
            Input::Nothing => Ok(()),
        }
    }

    fn back(&mut self, back: Back) -> io::Result<()> {
        self.source = Source::here();
        let (has_answered, kept) = match back {
            Back::Edited(text) => {
                self.take_again()?;
                return self.tell(Msg::Edited(text));
            }
            Back::Configured(left) => {
                self.take_again()?;
                let read = left.and_then(|()| context::console_again());
                return self.tell(Msg::Configured(read));
            }
            Back::Asked { has_answered, kept } => (has_answered, kept),
        };
        // Where another question has come up meanwhile, this answer is not to that.
        if let Seen::Asked(asked, times) = self.seen {
            self.seen = match has_answered {
                true => Seen::Tell(asked + SEEN_AFTER),
                false if times < ASKED_MAX => Seen::Ask(times + 1),
                false => {
                    let what = "this terminal does not say what it has shown, so nothing can be \
                                confirmed here; ! shows the command that does the same";
                    self.next.push_back(Msg::Said(Err(what.to_owned())));
                    Seen::No
                }
            };
        }
        kept.into_iter().try_for_each(|event| self.event(event))?;
        if let Seen::Ask(_) = self.seen {
            // It is asked behind a frame.
            self.pace.note(Dirty::Input);
        }
        self.tell_next()
    }

    fn told(&mut self, told: Told) -> io::Result<Option<Exit>> {
        let has_editor = self.has_editor();
        match told {
            Told::Leave => {
                // What the editor has saved is a draft, whatever becomes of the editor.
                if let Some(text) = self.source.saved() {
                    self.tell(Msg::Edited(Ok(text)))?;
                }
                return Ok(Some(Exit::Interrupted));
            }
            Told::Interrupt if !has_editor => return Ok(Some(Exit::Interrupted)),
            Told::Interrupt => {}
            // The editor stops with us, and gets the terminal back with us.
            Told::Stop if has_editor => {
                signals::stop();
            }
            Told::Stop => self.suspend()?,
            Told::Continue if std::mem::take(&mut self.has_stopped) => {}
            // Stopped from outside, without a chance to give the terminal back: the shell has
            // set it up for itself since.
            Told::Continue if self.source.is_here() => {
                self.terminal.give_back()?;
                self.take_again()?;
            }
            Told::Continue => {}
        }
        Ok(None)
    }

    /// Tells the model, and does what comes of it.
    fn tell(&mut self, msg: Msg) -> io::Result<()> {
        if let Msg::Configured(Ok(config)) = &msg {
            self.pace.set(config.low_bandwidth);
        }
        self.next.push_back(msg);
        self.tell_next()
    }

    fn tell_next(&mut self) -> io::Result<()> {
        while let Some(msg) = self.next.pop_front() {
            for effect in self.console.tell(msg) {
                self.act(effect)?;
            }
        }
        self.pace.note(self.console.model.take_dirty());
        Ok(())
    }

    fn act(&mut self, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Quit => self.is_leaving = true,
            Effect::Suspend => self.suspend()?,
            Effect::Repaint => {
                self.terminal.forget();
                self.measure()?;
                self.pace.note(Dirty::Input);
            }
            Effect::AskSeen => self.seen = Seen::Ask(1),
            Effect::Copy(text) => {
                if let Err(why) = self.terminal.copy(&text) {
                    self.next.push_back(Msg::Said(Err(why)));
                }
            }
            Effect::Edit { text, suffix } => {
                self.lend()?;
                self.source = Source::edit(text, suffix);
            }
            Effect::Configure => match context::config_file() {
                Ok(path) => {
                    self.lend()?;
                    self.source = Source::configure(path);
                }
                Err(failure) => self.next.push_back(Msg::Configured(Err(failure.message))),
            },
            Effect::Export { name, suffix, text } => self.aside(async move {
                let written = state::export(&name, suffix, text.as_bytes());
                Msg::Said(written.map(|path| format!("written to {path}")))
            }),
            Effect::Record => {
                let saved = self.console.recorder.save();
                self.aside(async move {
                    let said = |path: std::path::PathBuf| {
                        format!("see it again: binnacle replay {}", path.display())
                    };
                    Msg::Said(saved.await.map(said))
                });
            }
            Effect::Wake { .. } | Effect::Ask { .. } | Effect::Follow(_) | Effect::Do(_) => {
                unreachable!("the console sees to what concerns the hub and the time")
            }
        }
        Ok(())
    }

    /// Does something that may take a while, and tells what came of it.
    fn aside(&self, work: impl Future<Output = Msg> + Send + 'static) {
        let later = self.later.clone();
        tokio::spawn(async move {
            // Where nobody listens any more the console is closing.
            let _gone = later.send(work.await).await;
        });
    }

    fn paint(&mut self) -> io::Result<()> {
        let (width, height) = self.console.model.size;
        let mut frame = Buffer::empty(Rect::new(0, 0, width, height));
        binnacle_tui::draw::draw(&self.console.model, &mut frame);
        let cost = self.terminal.show(frame)?;
        self.pace.painted(cost, clock::now());
        if let Seen::Ask(_) = self.seen {
            self.ask_seen();
        }
        Ok(())
    }

    fn ask_seen(&mut self) {
        let times = match self.seen {
            Seen::Ask(times) => times,
            Seen::No | Seen::Asked(..) | Seen::Tell(_) => 1,
        };
        // The stream is dropped before the question is asked: it would read the answer.
        self.source = Source::ask_seen();
        self.seen = Seen::Asked(clock::now(), times);
    }

    /// Lets somebody else have the terminal.
    fn lend(&mut self) -> io::Result<()> {
        self.seen = Seen::No;
        self.terminal.give_back()
    }

    fn take_again(&mut self) -> io::Result<()> {
        self.terminal.take_again()?;
        self.reader = Reader::default();
        self.measure()?;
        self.pace.note(Dirty::Input);
        Ok(())
    }

    fn suspend(&mut self) -> io::Result<()> {
        self.terminal.give_back()?;
        self.has_stopped = signals::stop();
        self.take_again()?;
        if !self.has_stopped {
            let what = "there is no shell to come back from: not stopped";
            self.next.push_back(Msg::Said(Err(what.to_owned())));
        }
        Ok(())
    }

    /// Looks how large the terminal is; one that says zero is not shown to anybody.
    fn measure(&mut self) -> io::Result<()> {
        self.resized = None;
        match Terminal::size() {
            Some((width, height)) if (width, height) != self.console.model.size => {
                self.terminal.forget();
                self.tell(Msg::Size { width, height })
            }
            Some(_) | None => Ok(()),
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Tells when the configuration has changed. A file that is being written is waited for: it is
/// read once it stays as it is from one look to the next.
async fn watch_configuration(later: mpsc::Sender<Msg>) {
    let mut known = context::stamp();
    let mut before = known;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let now = context::stamp();
        if now != known && now == before {
            known = now;
            if later
                .send(Msg::Configured(context::console_again()))
                .await
                .is_err()
            {
                return;
            }
        }
        before = now;
    }
}

/// In a build for tests, panics where a test asks for it: on the loop's own task, on another, or
/// on a thread.
fn panic_in_tests() {
    #[cfg(debug_assertions)]
    #[allow(clippy::panic, reason = "what a test asks for")]
    match std::env::var("BINNACLE_TEST_PANIC").as_deref() {
        Ok("loop") => panic!("a test asked the loop for this"),
        Ok("task") => drop(tokio::spawn(async {
            panic!("a test asked a task for this")
        })),
        Ok("thread") => drop(std::thread::spawn(|| {
            panic!("a test asked a thread for this")
        })),
        Ok(_) | Err(_) => {}
    }
}
