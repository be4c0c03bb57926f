//! Keys: to what lies over the screen, else through the key map.

use crokey::crossterm::event::{KeyCode, KeyModifiers};
use tui_input::{Input, InputRequest};

use crate::key::Key;
use crate::keymap::{Command, Found};
use crate::model::{Dirty, LEAST, Model, Pending};
use crate::msg::Effect;
use crate::overlay::plan::Standing;
use crate::overlay::{Asking, Hit, Overlay, moved};
use crate::question::Wish;
use crate::screen::{Look, Weight};
use crate::update::{editing, nothing, open_place, rollouts, run, say, time};

/// When the keys that may follow are shown.
const WHICH_KEY_US: i64 = 400_000;
/// Bytes of text that may be typed or pasted into a line.
const MAX_TYPED: usize = 1_000;

/// A key: `is_fresh` unless it is held down.
pub(super) fn key(model: &mut Model, key: Key, is_fresh: bool, effects: &mut Vec<Effect>) {
    if key.code() == KeyCode::Char('c') && key.with(KeyModifiers::CONTROL) {
        return interrupt(model, effects);
    }
    model.interrupts = 0;
    model.dirty = Dirty::Input;
    if model.size.0 < LEAST.0 || model.size.1 < LEAST.1 {
        // What cannot be seen is not to be worked with.
        if key.types() == Some('q') {
            effects.push(Effect::Quit);
        }
        return;
    }
    if let Some(overlay) = model.overlay.take() {
        model.overlay = over(model, overlay, key, is_fresh, effects);
        return;
    }
    let mut keys = model
        .pending
        .take()
        .map(|pending| pending.keys)
        .unwrap_or_default();
    if !keys.is_empty() && key.code() == KeyCode::Esc {
        return;
    }
    keys.push(key);
    match model.keys.find(&keys) {
        Found::Command(command) => run(model, command, effects),
        Found::Begun => {
            let help_us = model.now_us + WHICH_KEY_US;
            model.pending = Some(Pending { keys, help_us });
        }
        Found::Nothing => {
            let typed: Vec<String> = keys.iter().map(Key::to_string).collect();
            say(model, Err(nothing(model, &typed.join(" "))));
        }
    }
}

/// Ctrl-C once closes what is open and says how to leave; twice leaves.
fn interrupt(model: &mut Model, effects: &mut Vec<Effect>) {
    model.interrupts += 1;
    model.dirty = Dirty::Input;
    if model.interrupts > 1 {
        effects.push(Effect::Quit);
        return;
    }
    close(model);
    say(model, Ok("ctrl-c again leaves".into()));
}

/// Closes what lies over the screen, as Esc does.
fn close(model: &mut Model) {
    model.pending = None;
    match model.overlay.take() {
        Some(Overlay::Filter { before, .. }) => {
            let back = model.with_screen(|screen, look| screen.filter(&before, look));
            back.unwrap_or_else(|why| say(model, Err(why)));
        }
        Some(Overlay::Form(filling)) => editing::keep(model, filling.draft()),
        Some(Overlay::Review(review)) => editing::keep(model, Some(review.draft)),
        Some(
            Overlay::Time { .. }
            | Overlay::Palette(_)
            | Overlay::Actions { .. }
            | Overlay::Columns { .. }
            | Overlay::Confirm(_)
            | Overlay::Choose(_)
            | Overlay::Plan(_)
            | Overlay::Text { .. },
        )
        | None => {}
    }
}

/// Pasted text goes where text is typed, and nowhere else.
pub(super) fn paste(model: &mut Model, text: &str) {
    let Some(mut overlay) = model.overlay.take() else {
        return say(model, Err("pasted text is not taken for keys".into()));
    };
    if let Some(input) = input_of(&mut overlay, &model.look()) {
        for letter in text.chars().filter(|letter| !letter.is_control()) {
            type_letter(input, letter);
        }
        model.overlay = typed(model, overlay);
    } else {
        model.overlay = Some(overlay);
    }
}

fn input_of<'a>(overlay: &'a mut Overlay, look: &Look<'_>) -> Option<&'a mut Input> {
    match overlay {
        Overlay::Filter { input, .. } | Overlay::Time { input, .. } => Some(input),
        Overlay::Palette(palette) => Some(&mut palette.input),
        Overlay::Confirm(asking) => asking_input(asking),
        Overlay::Form(filling) => {
            let form = &mut filling.form;
            let field = form.fields.get_mut(form.at)?;
            field.long.is_none().then_some(&mut field.input)
        }
        Overlay::Plan(planning) => match planning.standing(look) {
            Standing::Ready(item, _) => Some(planning.input(item)),
            Standing::Waiting | Standing::Refused(_) | Standing::Same => None,
        },
        Overlay::Actions { .. }
        | Overlay::Columns { .. }
        | Overlay::Choose(_)
        | Overlay::Review(_)
        | Overlay::Text { .. } => None,
    }
}

fn asking_input(asking: &mut Asking) -> Option<&mut Input> {
    match (&asking.confirm.weight, asking.at_reason) {
        (Weight::Yes, _) => None,
        (Weight::Reason, _) => Some(&mut asking.reason),
        (Weight::Name(_), false) => Some(&mut asking.name),
        (Weight::Name(_), true) => Some(&mut asking.reason),
    }
}

fn type_letter(input: &mut Input, letter: char) {
    if input.value().len() + letter.len_utf8() <= MAX_TYPED {
        input.handle(InputRequest::InsertChar(letter));
    }
}

/// What a key does to a line of text; answers whether it did something.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "other keys do nothing in a line of text"
)]
pub(super) fn edit(input: &mut Input, key: Key) -> bool {
    if let Some(letter) = key.types() {
        type_letter(input, letter);
        return true;
    }
    let is_ctrl = key.with(KeyModifiers::CONTROL);
    let request = match key.code() {
        KeyCode::Backspace => InputRequest::DeletePrevChar,
        // Some terminals send this for the key that deletes.
        KeyCode::Char('h') if is_ctrl => InputRequest::DeletePrevChar,
        KeyCode::Delete => InputRequest::DeleteNextChar,
        KeyCode::Left => InputRequest::GoToPrevChar,
        KeyCode::Right => InputRequest::GoToNextChar,
        KeyCode::Home => InputRequest::GoToStart,
        KeyCode::End => InputRequest::GoToEnd,
        KeyCode::Char('a') if is_ctrl => InputRequest::GoToStart,
        KeyCode::Char('e') if is_ctrl => InputRequest::GoToEnd,
        KeyCode::Char('w') if is_ctrl => InputRequest::DeletePrevWord,
        KeyCode::Char('u') if is_ctrl => InputRequest::DeleteLine,
        KeyCode::Char('k') if is_ctrl => InputRequest::DeleteTillEnd,
        _ => return false,
    };
    input.handle(request);
    true
}

/// What lies over the screen takes a key; answers with what lies there then.
fn over(
    model: &mut Model,
    mut overlay: Overlay,
    key: Key,
    is_fresh: bool,
    effects: &mut Vec<Effect>,
) -> Option<Overlay> {
    if key.code() == KeyCode::Esc {
        model.overlay = Some(overlay);
        close(model);
        return None;
    }
    match &mut overlay {
        Overlay::Text { .. } => None,
        Overlay::Confirm(_) => confirming(model, overlay, key, is_fresh, effects),
        Overlay::Actions { actions, at } => {
            let count = actions.len();
            if let Some(command) = step(key) {
                *at = moved(*at, count, command);
                return Some(overlay);
            }
            let by_letter = actions
                .iter()
                .position(|action| Some(action.key) == key.types());
            let chosen = by_letter.or((key.code() == KeyCode::Enter).then_some(*at));
            let Some(action) = chosen.and_then(|at| actions.get(at)) else {
                return Some(overlay);
            };
            match action.asks.clone() {
                Ok(doing) => editing::start(model, doing, effects),
                Err(why) => {
                    say(model, Err(format!("{}: {why}", action.words)));
                    return Some(overlay);
                }
            }
            model.overlay.take()
        }
        Overlay::Columns { columns, at } => {
            if let Some(command) = step(key) {
                *at = moved(*at, columns.len(), command);
            } else if key.code() == KeyCode::Enter {
                return None;
            } else if key.types() == Some(' ')
                && let Some((title, is_shown)) = columns.get_mut(*at)
            {
                // The first column is what a row is known by: it stays.
                *is_shown = !*is_shown || *at == 0;
                let title = *title;
                model.with_screen(|screen, look| screen.toggle_column(title, look));
            }
            Some(overlay)
        }
        Overlay::Form(_) | Overlay::Review(_) => {
            editing::key(model, overlay, key, is_fresh, effects)
        }
        Overlay::Choose(_) | Overlay::Plan(_) => {
            rollouts::key(model, overlay, key, is_fresh, effects)
        }
        Overlay::Filter { .. } | Overlay::Time { .. } | Overlay::Palette(_) => {
            prompt(model, overlay, key, effects)
        }
    }
}

/// Arrows and their like, which move in a list while letters are typed.
#[allow(clippy::wildcard_enum_match_arm, reason = "other keys do not move")]
fn arrow(key: Key) -> Option<Command> {
    match key.code() {
        KeyCode::Down => Some(Command::Down),
        KeyCode::Up => Some(Command::Up),
        KeyCode::PageDown => Some(Command::PageDown),
        KeyCode::PageUp => Some(Command::PageUp),
        KeyCode::Char('n') if key.with(KeyModifiers::CONTROL) => Some(Command::Down),
        KeyCode::Char('p') if key.with(KeyModifiers::CONTROL) => Some(Command::Up),
        _ => None,
    }
}

/// The same where no letters are typed.
pub(super) fn step(key: Key) -> Option<Command> {
    match key.types() {
        Some('j') => Some(Command::Down),
        Some('k') => Some(Command::Up),
        Some(_) | None => arrow(key),
    }
}

fn prompt(
    model: &mut Model,
    mut overlay: Overlay,
    key: Key,
    effects: &mut Vec<Effect>,
) -> Option<Overlay> {
    if let Overlay::Palette(palette) = &mut overlay
        && let Some(command) = arrow(key)
    {
        palette.at = moved(palette.at, palette.hits.len(), command);
        return Some(overlay);
    }
    if key.code() == KeyCode::Enter {
        return entered(model, overlay, effects);
    }
    let input = input_of(&mut overlay, &model.look());
    let is_empty = input.is_none_or(|input| input.value().is_empty());
    if key.code() == KeyCode::Backspace && is_empty {
        model.overlay = Some(overlay);
        close(model);
        return None;
    }
    let input = input_of(&mut overlay, &model.look());
    let did = input.is_some_and(|input| edit(input, key));
    if did {
        typed(model, overlay)
    } else {
        Some(overlay)
    }
}

/// The text of a prompt has changed.
fn typed(model: &mut Model, mut overlay: Overlay) -> Option<Overlay> {
    match &mut overlay {
        Overlay::Filter { input, wrong, .. } => {
            let text = input.value().to_owned();
            let came = model.with_screen(|screen, look| screen.filter(&text, look));
            *wrong = came.err();
        }
        Overlay::Time { input, wrong } => {
            let read = time::parse(input.value(), model.look().now_us);
            *wrong = read.err().filter(|_| !input.value().is_empty());
        }
        Overlay::Palette(palette) => palette.search(&model.look()),
        Overlay::Form(filling) => {
            let form = &mut filling.form;
            if let Some(field) = form.fields.get_mut(form.at) {
                field.check();
            }
        }
        Overlay::Confirm(_)
        | Overlay::Review(_)
        | Overlay::Choose(_)
        | Overlay::Plan(_)
        | Overlay::Actions { .. }
        | Overlay::Columns { .. }
        | Overlay::Text { .. } => {}
    }
    Some(overlay)
}

/// Enter in a prompt.
fn entered(model: &mut Model, overlay: Overlay, effects: &mut Vec<Effect>) -> Option<Overlay> {
    match overlay {
        Overlay::Filter { wrong: None, .. } => None,
        Overlay::Time { input, .. } if input.value().is_empty() => {
            time::now(model);
            None
        }
        Overlay::Time { input, .. } => match time::parse(input.value(), model.look().now_us) {
            Ok(at_us) => {
                time::show(model, at_us);
                None
            }
            Err(why) => {
                let wrong = Some(why);
                Some(Overlay::Time { input, wrong })
            }
        },
        Overlay::Palette(palette) => {
            match palette.hits.get(palette.at) {
                Some(Hit::Command(line)) => run(model, line.command, effects),
                Some(Hit::Place(_, place)) => open_place(model, place),
                None => return Some(Overlay::Palette(palette)),
            }
            model.overlay.take()
        }
        other @ (Overlay::Filter { .. }
        | Overlay::Form(_)
        | Overlay::Review(_)
        | Overlay::Choose(_)
        | Overlay::Plan(_)
        | Overlay::Confirm(_)
        | Overlay::Actions { .. }
        | Overlay::Columns { .. }
        | Overlay::Text { .. }) => Some(other),
    }
}

/// A key in a confirmation; what was typed is there again if the hub refuses it.
fn confirming(
    model: &mut Model,
    overlay: Overlay,
    key: Key,
    is_fresh: bool,
    effects: &mut Vec<Effect>,
) -> Option<Overlay> {
    let Overlay::Confirm(mut asking) = overlay else {
        return Some(overlay);
    };
    let Some(wish) = confirm(&mut asking, key, is_fresh, effects) else {
        return Some(Overlay::Confirm(asking));
    };
    effects.push(Effect::Do(wish));
    say(model, Ok("asked; the journal will tell".into()));
    model.asked = Some(asking);
    None
}

/// A key in a confirmation; answers with the wish once it is confirmed.
#[allow(clippy::wildcard_enum_match_arm, reason = "other keys are typed")]
fn confirm(
    asking: &mut Asking,
    key: Key,
    is_fresh: bool,
    effects: &mut Vec<Effect>,
) -> Option<Wish> {
    // Keys count once the question was seen, and only if they were pressed for it; a letter
    // that is held down may be part of a name, and never does anything.
    let is_held = !is_fresh && (key.types().is_none() || asking.confirm.weight == Weight::Yes);
    if !asking.is_seen || is_held {
        return None;
    }
    if key.code() == KeyCode::Char('e') && key.with(KeyModifiers::CONTROL) && asking.at_reason {
        effects.push(Effect::Edit {
            text: asking.reason.value().to_owned(),
            suffix: "txt",
        });
        asking.is_seen = false;
        return None;
    }
    let is_done = match &asking.confirm.weight {
        Weight::Yes => key.types() == Some('y'),
        Weight::Reason => match key.code() {
            KeyCode::Enter => asking.is_ready(),
            _ => {
                edit(&mut asking.reason, key);
                false
            }
        },
        Weight::Name(_) => match key.code() {
            KeyCode::Tab | KeyCode::Down | KeyCode::Up => {
                asking.at_reason = !asking.at_reason;
                false
            }
            KeyCode::Enter if !asking.at_reason => {
                asking.at_reason = true;
                false
            }
            KeyCode::Enter => asking.is_ready(),
            _ => {
                asking_input(asking).map(|input| edit(input, key));
                false
            }
        },
    };
    is_done.then(|| {
        let given = asking.reason.value().trim().to_owned();
        asking.confirm.wish.clone().because(given)
    })
}
