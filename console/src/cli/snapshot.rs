//! `binnacle snapshot`: one frame of the console, without a terminal.

use std::time::Duration;

use binnacle_tui::config::Config;
use binnacle_tui::draw;
use binnacle_tui::msg::{Link, Msg};
use binnacle_tui::paint;
use binnacle_tui::screen::Place;
use binnacle_tui::theme::{Background, Colours, Theme};
use clap::Args;

use crate::cli::{Global, console};
use crate::clock;
use crate::console::{Console, Opened};
use crate::outcome::{Exit, Failure};
use crate::output;

/// What comes first from a hub comes together; after this time without news the frame is whole.
const QUIET: Duration = Duration::from_millis(300);

/// Connects, waits until everything that the view shows is known, and prints it.
#[derive(Args, Debug)]
pub(crate) struct Ask {
    /// Which view, or a view and an object, as in hosts/infer-0042.
    #[arg(value_parser = console::place)]
    view: Place,
    /// Columns and lines.
    #[arg(long, value_name = "WxH", default_value = "120x40", value_parser = console::size)]
    size: (u16, u16),
    /// With colours and emphasis, as a terminal takes them.
    #[arg(long, visible_alias = "color")]
    colour: bool,
}

impl Ask {
    pub(crate) async fn run(self, global: &Global) -> Result<Exit, Failure> {
        let hub = global.chosen()?;
        let colours = match (self.colour, console::colours(global)) {
            (false, _) => Colours::None,
            // Asked for in so many words: a pipe's environment does not say what reads it.
            (true, Colours::None) if !global.no_color => Colours::Ansi256,
            (true, colours) => colours,
        };
        let mut console = Console::open(Opened {
            theme: Theme::new(colours, Background::Dark, console::letters(global)),
            config: Config::default(),
            size: self.size,
            open: Some(self.view),
            session: None,
            hint: false,
            hub,
        });
        let known = settle(&mut console);
        let known = tokio::time::timeout(global.timeout, known).await;
        if let Ok(Err(failure)) | Err(failure) = known.map_err(|_| late(global.timeout)) {
            return Err(failure);
        }
        let frame = draw::frame(&console.model);
        let text = match self.colour {
            true => paint::coloured(&frame),
            false => paint::text(&frame),
        };
        output::text(text.trim_end_matches('\n'))?;
        Ok(Exit::Ok)
    }
}

/// Waits until all that the view shows is known, and nothing more comes at once.
async fn settle(console: &mut Console) -> Result<(), Failure> {
    let _none = console.tell(Msg::Tick);
    loop {
        let wake = console.wake_us.map_or(QUIET, clock::until).min(QUIET);
        match tokio::time::timeout(wake, console.feed.news()).await {
            Ok(news) => {
                for msg in news {
                    if let Msg::Link(Link::Lost { why, .. }) = &msg {
                        return Err(unreachable(why));
                    }
                    let _none = console.tell(msg);
                }
            }
            Err(_)
                if console
                    .wake_us
                    .is_some_and(|at_us| at_us <= clock::now_us()) =>
            {
                console.wake_us = None;
                let _none = console.tell(Msg::Tick);
            }
            Err(_) if console.model.is_settled() => return Ok(()),
            Err(_) => {}
        }
    }
}

fn unreachable(why: &str) -> Failure {
    Failure::new(Exit::Unreachable, why)
        .hint("start one with `binnacle hub run`, or name it with --hub ADDR")
}

fn late(within: Duration) -> Failure {
    let seconds = within.as_secs();
    Failure::new(
        Exit::Unreachable,
        format!("the view was not whole within {seconds} s"),
    )
    .hint("give it longer with --timeout TIME")
}
