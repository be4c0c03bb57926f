//! `binnacle` alone: the console on this terminal.

use std::io::{self, IsTerminal as _};

use binnacle_tui::keymap::{VIEWS, view_named};
use binnacle_tui::screen::Place;
use binnacle_tui::theme::{Colours, Letters, Theme};
use clap::CommandFactory as _;

use crate::cli::{Cli, Global};
use crate::console::Opened;
use crate::context::{self, Chosen};
use crate::memory;
use crate::outcome::{Exit, Failure};
use crate::run;
use crate::state;
use crate::terminal::{Terminal, traits};

/// Whether there is a terminal to open the console on.
pub(crate) fn has_terminal() -> bool {
    let is_dumb = traits::is_dumb(&traits::environment("TERM").unwrap_or_default());
    io::stdin().is_terminal() && io::stdout().is_terminal() && !is_dumb
}

/// Opens the console; where there is no terminal, says what else there is.
pub(crate) async fn run(global: &Global, open: Option<Place>) -> Result<Exit, Failure> {
    if !has_terminal() {
        let help = Cli::command().render_long_help();
        // Without a reader the exit code says it all the same.
        let _unheard = io::Write::write_all(&mut io::stderr(), help.to_string().as_bytes());
        return Ok(Exit::Usage);
    }
    on(global, global.chosen()?, open).await
}

/// Opens the console on a hub.
pub(crate) async fn on(global: &Global, hub: Chosen, open: Option<Place>) -> Result<Exit, Failure> {
    memory::spare();
    // What is wrong with the configuration is better read before the screen is taken.
    let config = context::console()?;
    let taken = Terminal::take(traits::answers(&traits::environment));
    let (terminal, background) = taken.map_err(|error| {
        Failure::new(
            Exit::Failed,
            format!("the terminal cannot be used: {error}"),
        )
    })?;
    let background = background.unwrap_or_else(|| traits::background(&traits::environment));
    let theme = Theme::new(colours(global), background, letters(global));
    let mut session = state::session(&hub.name);
    // Only the trail is let go: drafts and what was learned are of whoever sits here.
    if let (Some(_), Some(session)) = (&open, &mut session) {
        session.trail.clear();
    }
    let opened = Opened {
        theme: theme.configured(&config.theme),
        config,
        size: Terminal::size().unwrap_or(USUAL_SIZE),
        open,
        session,
        hint: true,
        hub,
    };
    run::run(opened, terminal).await
}

/// What a terminal has that does not say.
pub(crate) const USUAL_SIZE: (u16, u16) = (80, 24);

/// How many colours this terminal shows, and this person wants.
pub(crate) fn colours(global: &Global) -> Colours {
    match global.no_color {
        true => Colours::None,
        false => traits::colours(&traits::environment),
    }
}

/// Which letters this terminal shows, and this person wants.
pub(crate) fn letters(global: &Global) -> Letters {
    match global.ascii {
        true => Letters::Ascii,
        false => traits::letters(&traits::environment),
    }
}

/// Reads a view, or a view and an object.
pub(crate) fn place(text: &str) -> Result<Place, String> {
    let (view, object) = text.split_once('/').unwrap_or((text, ""));
    // One thing is called by one word: model/fraud is in the view of models.
    let plural = format!("{view}s");
    let found = view_named(view).or_else(|| view_named(&plural));
    let Some(found) = found else {
        let known: Vec<_> = VIEWS.iter().map(|view| view.name).collect();
        return Err(format!(
            "there is no view {view:?}; there are: {}",
            known.join(", ")
        ));
    };
    Ok(Place {
        view: found.name.to_owned(),
        object: object.to_owned(),
        ..Place::default()
    })
}

/// Reads columns and lines, as in 120x40.
pub(crate) fn size(text: &str) -> Result<(u16, u16), String> {
    let read = |(width, height): (&str, &str)| Some((width.parse().ok()?, height.parse().ok()?));
    let read: Option<(u16, u16)> = text.split_once('x').and_then(read);
    read.filter(|(width, height)| (1..=SIZE_MAX).contains(width) && (1..=SIZE_MAX).contains(height))
        .ok_or_else(|| format!("{text:?} is no size: say 120x40, at most {SIZE_MAX}x{SIZE_MAX}"))
}

/// Larger than any terminal.
const SIZE_MAX: u16 = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_view_or_an_object_in_it() {
        let told = place("hosts/infer-0042").unwrap();
        assert_eq!((&*told.view, &*told.object), ("hosts", "infer-0042"));
        assert_eq!(place("hosts").unwrap().object, "");
        let told = place("model/fraud").unwrap();
        assert_eq!((&*told.view, &*told.object), ("models", "fraud"));
        assert!(place("hots").unwrap_err().contains("hosts"));
    }

    #[test]
    fn a_size_is_two_figures() {
        assert_eq!(size("120x40"), Ok((120, 40)));
        for text in ["", "120", "0x40", "120x", "9999x9", "120×40"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
