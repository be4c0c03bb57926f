//! `binnacle replay`: a recorded session, message by message.
//!
//! ```text
//!  …the frame after so many messages…
//!  REPLAY  12 of 340  03:11:00Z  Key j         <space> next  <p> play  <b> back  <q> quit
//! ```

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use binnacle_core::view::{rfc3339, shown};
use binnacle_tui::draw;
use binnacle_tui::key::Key;
use binnacle_tui::model::{Model, Setup};
use binnacle_tui::msg::Msg;
use binnacle_tui::paint;
use binnacle_tui::theme::{Background, Theme};
use binnacle_tui::update::update;
use clap::Args;
use crossterm::event::{Event, EventStream, KeyEventKind};
use futures::StreamExt as _;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};

use crate::cli::{Global, console};
use crate::outcome::{Exit, Failure};
use crate::output;
use crate::record::{self, Line, Opening};
use crate::terminal::{Terminal, traits};

/// Bytes of a recording that are read: several times what is ever written.
const FILE_MAX: u64 = 256 << 20;
/// Longest pause between two messages that are played: what was waited for then is not again.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// Shows what the console showed, from a file that `:record save` wrote. Nothing is asked of any
/// hub.
#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// The recording.
    file: PathBuf,
    /// Print the frame after so many messages, and end.
    #[arg(long, value_name = "N")]
    to: Option<usize>,
    /// In this size rather than that of the recording.
    #[arg(long, value_name = "WxH", value_parser = console::size)]
    size: Option<(u16, u16)>,
}

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let failed = |error: std::io::Error| {
            let message = format!("cannot replay {}: {error}", self.file.display());
            Failure::new(Exit::Failed, message)
        };
        if std::fs::metadata(&self.file).map_err(failed)?.len() > FILE_MAX {
            let most = FILE_MAX >> 20;
            let message = format!("{} is longer than {most} MiB", self.file.display());
            return Err(Failure::new(Exit::Failed, message));
        }
        let text = std::fs::read_to_string(&self.file).map_err(failed)?;
        let (opening, lines) = record::read(&text).map_err(failed)?;
        let colours = console::colours(global);
        let theme = Theme::new(colours, Background::Dark, console::letters(global));
        let mut tape = Tape::new(opening, lines, theme, self.size);
        match self.to {
            Some(to) => {
                tape.wind(to);
                output::text(paint::text(&draw::frame(&tape.model)).trim_end_matches('\n'))?;
                Ok(Exit::Ok)
            }
            None if console::has_terminal() => play(tape).await,
            None => Err(
                Failure::new(Exit::Usage, "there is no terminal to replay it on")
                    .hint("print one frame with --to N"),
            ),
        }
    }
}

/// A recording, and how far it was wound.
struct Tape {
    opening: Opening,
    lines: Vec<Line>,
    theme: Theme,
    size: Option<(u16, u16)>,
    model: Model,
    /// Messages that the model was told.
    at: usize,
}

impl Tape {
    fn new(opening: Opening, lines: Vec<Line>, theme: Theme, size: Option<(u16, u16)>) -> Self {
        Self {
            model: model(&opening, &theme, size),
            opening,
            lines,
            theme,
            size,
            at: 0,
        }
    }

    /// Winds to after so many messages, forth or back; the last where there are not so many.
    fn wind(&mut self, to: usize) {
        if to < self.at {
            self.model = model(&self.opening, &self.theme, self.size);
            self.at = 0;
        }
        for line in self.lines.iter().take(to).skip(self.at) {
            let is_size = matches!(line.msg, Msg::Size { .. });
            if !(is_size && self.size.is_some()) {
                // What it asks for was answered in the recording.
                let _asked = update(&mut self.model, line.at_us, line.msg.clone());
            }
        }
        self.at = to.min(self.lines.len());
    }

    /// How long it took from the last message to the next; nothing at the end.
    fn pause(&self) -> Option<Duration> {
        let next_us = self.lines.get(self.at)?.at_us;
        let last = self.at.checked_sub(1).and_then(|last| self.lines.get(last));
        let last_us = last.map_or(self.opening.at_us, |line| line.at_us);
        let pause = Duration::from_micros(u64::try_from(next_us - last_us).unwrap_or(0));
        Some(pause.min(PAUSE_MAX))
    }

    /// The frame on a terminal of this size, with a line of ours below.
    fn frame(&self, (width, height): (u16, u16), is_playing: bool) -> Buffer {
        let mut frame = Buffer::empty(Rect::new(0, 0, width, height));
        let recorded = draw::frame(&self.model);
        let body = Rect::new(0, 0, width, height.saturating_sub(1)).intersection(recorded.area);
        for place in body.positions() {
            if let (Some(to), Some(from)) = (frame.cell_mut(place), recorded.cell(place)) {
                to.clone_from(from);
            }
        }
        let last = self.at.checked_sub(1).and_then(|last| self.lines.get(last));
        let what = last.map_or_else(String::new, |line| {
            let at = rfc3339(line.at_us);
            format!("{at}  {}", shown(&kind(&line.msg)))
        });
        let played = if is_playing { "stop" } else { "play" };
        let words = format!(
            " REPLAY  {} of {}  {what}   <space> next  <b> back  <p> {played}  <q> quit",
            self.at,
            self.lines.len()
        );
        let style = Style::new().add_modifier(Modifier::REVERSED);
        let line = Rect::new(0, height.saturating_sub(1), width, 1);
        frame.set_style(line, style);
        frame.set_stringn(0, line.y, words, usize::from(width), style);
        frame
    }
}

fn model(opening: &Opening, theme: &Theme, size: Option<(u16, u16)>) -> Model {
    Model::new(Setup {
        theme: theme.clone().configured(&opening.config.theme),
        config: opening.config.clone(),
        context: Arc::from(&*opening.context),
        hub: Arc::from(&*opening.hub),
        hint: opening.hint,
        size: size.unwrap_or(opening.size),
        now_us: opening.at_us,
        open: opening.open.clone(),
        session: opening.session.clone(),
    })
}

/// A message in a word or two.
fn kind(msg: &Msg) -> String {
    match msg {
        Msg::Key(key) => format!("key {key}"),
        Msg::Repeat(key) => format!("key {key}, held"),
        Msg::Paste(_) => "pasted text".to_owned(),
        Msg::Size { width, height } => format!("size {width}x{height}"),
        Msg::Tick => "time".to_owned(),
        Msg::Link(_) => "link".to_owned(),
        Msg::Glances(glances) => format!("{} hosts at a glance", glances.hosts.len()),
        Msg::Hosts(rows) => format!("{} hosts", rows.len()),
        Msg::Models(rows) => format!("{} models", rows.len()),
        Msg::Entry(entry) => format!("journal {}", entry.sequence),
        Msg::Answered { answer, .. } => match answer {
            Ok(_) => "an answer".to_owned(),
            Err(why) => format!("no answer: {why}"),
        },
        Msg::Done { .. } => "a wish, done or refused".to_owned(),
        Msg::Edited(_) => "the editor came back".to_owned(),
        Msg::Seen => "the frame was seen".to_owned(),
        Msg::Configured(_) => "configuration".to_owned(),
        Msg::Said(_) => "a line at the bottom".to_owned(),
    }
}

async fn play(mut tape: Tape) -> Result<Exit, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Failed,
            format!("the terminal cannot be used: {error}"),
        )
    };
    let (mut terminal, _) =
        Terminal::take(traits::answers(&traits::environment)).map_err(failed)?;
    let mut keys = EventStream::new();
    let mut is_playing = false;
    loop {
        let size = Terminal::size().unwrap_or(console::USUAL_SIZE);
        terminal
            .show(tape.frame(size, is_playing))
            .map_err(failed)?;
        let pause = tape.pause().filter(|_| is_playing);
        is_playing = pause.is_some();
        let event = tokio::select! {
            event = keys.next() => event,
            () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {
                tape.wind(tape.at + 1);
                continue;
            }
        };
        let key = match event {
            Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => Key::from(key),
            Some(Ok(_)) => continue,
            Some(Err(error)) => return Err(failed(error)),
            None => return Ok(Exit::Ok),
        };
        match &*key.to_string() {
            "q" | "esc" | "ctrl-c" => return Ok(Exit::Ok),
            "space" | "right" | "l" | "j" => tape.wind(tape.at + 1),
            "b" | "left" | "h" | "k" => tape.wind(tape.at.saturating_sub(1)),
            "p" => is_playing = !is_playing,
            "g" => tape.wind(0),
            "G" => tape.wind(tape.lines.len()),
            _ => {}
        }
    }
}
