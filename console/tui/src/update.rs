//! The one place where the model changes: a message comes in, effects go out.
//!
//! What screens want is compared with what is known, and the difference is asked for; nothing
//! here waits for anything.

use crate::config::Config;
use crate::data::Data;
use crate::keymap::{Command, view_named};
use crate::model::{Dirty, Model, Notice, keymap};
use crate::msg::{Effect, Following, Link, Msg};
use crate::overlay::{Asking, Overlay, Palette};
use crate::question::endpoint::Inquiry;
use crate::question::{Answer, Question};
use crate::screen::{MAX_FOLLOWED, Place, Step, Wants};

mod editing;
mod keys;
pub(crate) mod rollouts;
#[cfg(test)]
mod tests;
pub mod time;

/// How long the selection has to rest before the preview follows it.
const REST_US: i64 = 150_000;
/// How long a line at the bottom stays.
const NOTICE_US: i64 = 8_000_000;
/// How long changes in protected environments stay allowed.
const ARMED_US: i64 = 10 * 60_000_000;
/// How often figures that depend on the time alone are drawn anew when nothing else happens.
const MINUTE_US: i64 = 60_000_000;

/// Takes in a message at a time of the console's clock; answers with what is to be done.
pub fn update(model: &mut Model, now_us: i64, msg: Msg) -> Vec<Effect> {
    model.now_us = now_us;
    let mut effects = Vec::new();
    take_in(model, msg, &mut effects);
    pass_time(model);
    learn(model);
    rollouts::learn(model, &mut effects);
    ask(model, &mut effects);
    wake(model, &mut effects);
    effects
}

fn take_in(model: &mut Model, msg: Msg, effects: &mut Vec<Effect>) {
    let now_us = model.now_us;
    let is_figures = matches!(
        msg,
        Msg::Glances(_) | Msg::Hosts(_) | Msg::Models(_) | Msg::Entry(_)
    );
    let dirty = match (&msg, is_figures) {
        // Of an answer only what it tells anew is drawn.
        (Msg::Tick | Msg::Seen | Msg::Answered { .. }, _) => Dirty::No,
        (_, true) => Dirty::Data,
        (_, false) => Dirty::Input,
    };
    // Figures do not change what is frozen, but for what was not known when it was.
    let may_fill = matches!(msg, Msg::Hosts(_));
    if !is_figures || may_fill || model.frozen.is_none() {
        model.dirty = model.dirty.max(dirty);
    }
    match msg {
        Msg::Key(key) => keys::key(model, key, true, effects),
        Msg::Repeat(key) => keys::key(model, key, false, effects),
        Msg::Paste(text) => keys::paste(model, &text),
        Msg::Size { width, height } => {
            model.size = (width, height);
            model.learned_revision = u64::MAX;
        }
        Msg::Tick => {}
        Msg::Link(link) => linked(model, link),
        Msg::Glances(glances) => model.data.glance(glances, now_us),
        Msg::Hosts(rows) => {
            if let Some(frozen) = &mut model.frozen {
                frozen.missing_rows(&rows, now_us);
            }
            model.data.hosts(rows, now_us);
        }
        Msg::Models(rows) => model.data.models(rows, now_us),
        Msg::Entry(entry) => model.data.entry(entry, now_us),
        Msg::Answered {
            question,
            generation,
            answer,
        } => answered(model, &question, generation, answer),
        Msg::Done { wish, result } => editing::done(model, &wish, result, effects),
        Msg::Said(result) => say(model, result),
        Msg::Edited(text) => edited(model, text, effects),
        Msg::Seen => {
            if let Some(Overlay::Confirm(asking)) = &mut model.overlay {
                asking.is_seen = true;
                model.dirty = Dirty::Input;
            }
            if let Some(Overlay::Review(review)) = &mut model.overlay {
                review.is_seen = true;
                model.dirty = Dirty::Input;
            }
            if let Some(Overlay::Plan(planning)) = &mut model.overlay {
                planning.is_seen |= planning.is_asked;
                model.dirty = Dirty::Input;
            }
        }
        Msg::Configured(config) => configured(model, config),
    }
}

/// Takes in an answer. What is frozen gets it only where it lacks one, and what repeats the last
/// is not drawn.
fn answered(
    model: &mut Model,
    question: &Question,
    generation: u64,
    answer: Result<Answer, String>,
) {
    let now_us = model.now_us;
    let lacks = |data: &Data| {
        let asked = data.asked(question);
        asked.is_some_and(|asked| asked.answer.is_none())
    };
    let mut is_news = false;
    if let Some(frozen) = model.frozen.as_mut().filter(|frozen| lacks(frozen)) {
        is_news = frozen.answer(question, generation, answer.clone(), now_us);
    }
    let is_new = model.data.answer(question, generation, answer, now_us);
    is_news |= is_new && model.frozen.is_none();
    if is_news {
        model.dirty = model.dirty.max(Dirty::Data);
    }
}

fn linked(model: &mut Model, link: Link) {
    if let Link::Live { caller, .. } = &link {
        model.data.caller = caller.clone();
        model.data.heard_us = Some(model.now_us);
        // The hub follows nothing for a new connection.
        model.followed = Following::default();
    }
    if let Link::Lost { heard_us, .. } = &link {
        model.data.heard_us = model.data.heard_us.max(*heard_us);
    }
    model.data.link = link;
    model.data.lost();
    if let Some(frozen) = &mut model.frozen {
        frozen.lost();
    }
}

fn configured(model: &mut Model, config: Result<Box<Config>, String>) {
    match config {
        Ok(config) => {
            let (keys, trouble) = keymap(&config);
            if trouble.is_none() {
                model.keys = keys;
                model.theme = model.theme.clone().configured(&config.theme);
                model.protected.clone_from(&config.protected);
            }
            say(model, trouble.map_or(Ok("configuration read".into()), Err));
        }
        Err(why) => say(model, Err(why)),
    }
}

/// The editor came back: its text is the draft or the reason that was asked for.
fn edited(model: &mut Model, text: Result<String, String>, effects: &mut Vec<Effect>) {
    if let Some(draft) = model.editing.take() {
        return editing::edited(model, *draft, text, effects);
    }
    match (text, &mut model.overlay) {
        (Ok(text), Some(Overlay::Confirm(asking))) => {
            let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            asking.reason = one_line.into();
            effects.push(Effect::AskSeen);
        }
        (Ok(text), Some(Overlay::Plan(planning))) => {
            let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
            planning.reason = one_line.into();
            effects.push(Effect::AskSeen);
        }
        (Ok(_), _) => say(model, Err("what this text was for is closed by now".into())),
        (Err(why), Some(Overlay::Confirm(_) | Overlay::Plan(_))) => {
            effects.push(Effect::AskSeen);
            say(model, Err(why));
        }
        (Err(why), _) => say(model, Err(why)),
    }
}

/// Puts a line at the bottom.
pub(crate) fn say(model: &mut Model, text: Result<String, String>) {
    let until_us = model.now_us + NOTICE_US;
    model.notice = Some(Notice { text, until_us });
    model.dirty = Dirty::Input;
}

/// What changes by time alone.
fn pass_time(model: &mut Model) {
    let now_us = model.now_us;
    if model.rest_us.is_some_and(|rest_us| rest_us <= now_us) {
        model.rest_us = None;
        model.with_screen(|screen, _| screen.settle());
        model.learned_revision = u64::MAX;
        model.dirty = model.dirty.max(Dirty::Data);
    }
    if model
        .notice
        .as_ref()
        .is_some_and(|notice| notice.until_us <= now_us)
    {
        model.notice = None;
        model.dirty = model.dirty.max(Dirty::Data);
    }
    if model
        .armed_until_us
        .is_some_and(|until_us| until_us <= now_us)
    {
        model.armed_until_us = None;
        say(
            model,
            Ok("changes in protected environments are off again".into()),
        );
    }
    let is_due = |wake_us: i64| wake_us <= now_us;
    if model.wake_us.is_some_and(is_due) {
        // The clock, an age or the keys that may follow: cheap to draw, and nothing is
        // written where nothing changed.
        model.dirty = model.dirty.max(Dirty::Data);
    }
}

/// Lets the screen take in what changed.
fn learn(model: &mut Model) {
    let look = model.look();
    let (revision, body) = (look.data.revision, look.body);
    // A line at the bottom takes room from the screen, and gives it back.
    if revision != model.learned_revision || body != model.learned_body {
        model.learned_revision = revision;
        model.learned_body = body;
        model.with_screen(|screen, look| screen.learn(look));
        match model.overlay.take() {
            Some(Overlay::Palette(mut palette)) => {
                palette.learn(&model.look());
                model.overlay = Some(Overlay::Palette(palette));
            }
            other => model.overlay = other,
        }
    }
}

/// Asks for what is wanted and not known, or not fresh. Of a display that is frozen only what
/// was not known is asked for: what one opens is shown, and then holds still too.
fn ask(model: &mut Model, effects: &mut Vec<Effect>) {
    if !model.data.is_live() {
        return;
    }
    let mut wants = wanted(model);
    for question in std::mem::take(&mut wants.questions) {
        let shown = model.frozen.as_deref().unwrap_or(&model.data);
        let is_due = match shown.asked(&question) {
            None => true,
            Some(asked) if asked.is_open => false,
            Some(asked) if asked.answer.is_some() && model.frozen.is_some() => false,
            Some(asked) => match (asked.refreshed_s(&question), &asked.answer) {
                (Some(every_s), _) => {
                    model.now_us - asked.asked_us >= i64::from(every_s) * 1_000_000
                }
                // What failed is tried again; what is known for good is not.
                (None, None) => model.now_us - asked.asked_us >= 5_000_000,
                (None, Some(_)) => false,
            },
        };
        if is_due {
            model.generation += 1;
            model.data.ask(&question, model.generation, model.now_us);
            if let Some(frozen) = &mut model.frozen {
                frozen.ask(&question, model.generation, model.now_us);
            }
            effects.push(Effect::Ask {
                question,
                generation: model.generation,
            });
        }
    }
    wants.hosts.truncate(MAX_FOLLOWED);
    // A moment of the past does not change: nothing is followed there.
    let following = match model.at_us {
        Some(_) => Following::default(),
        None => Following {
            hosts: wants.hosts.into(),
            models: wants.models,
        },
    };
    if following != model.followed {
        model.followed = following.clone();
        model.data.follow(&following.hosts);
        effects.push(Effect::Follow(following));
    }
}

/// What has to be known now: what the screen shows, what lies over it, and what is under way
/// wherever one is.
fn wanted(model: &Model) -> Wants {
    let mut wants = model.screen().wants(&model.look());
    let over = model.overlay.iter().flat_map(Overlay::wants);
    wants.questions.extend(over);
    let past = model.at_us.map(|at_us| Question::Past { at_us });
    wants.questions.extend(past);
    let awaited = model.awaited.iter().map(rollouts::Awaited::question);
    wants.questions.extend(awaited);
    wants.questions.push(Question::Endpoints(Inquiry::Underway));
    wants
}

/// Says when time alone will change something.
fn wake(model: &mut Model, effects: &mut Vec<Effect>) {
    let now_us = model.now_us;
    let mut next_us = (now_us / MINUTE_US + 1) * MINUTE_US;
    let mut at = |at_us: Option<i64>| next_us = next_us.min(at_us.unwrap_or(i64::MAX));
    at(model.rest_us);
    at(model.notice.as_ref().map(|notice| notice.until_us));
    at(model
        .pending
        .as_ref()
        .map(|pending| pending.help_us)
        .filter(|us| *us > now_us));
    at(model.armed_until_us);
    if !model.data.is_live() {
        // How long it has been lost is told in steps of 1, 5 and 60 s.
        let lost_us = now_us - model.data.heard_us.unwrap_or(now_us);
        let step_us = match lost_us {
            ..10_000_000 => 1_000_000,
            10_000_000..60_000_000 => 5_000_000,
            _ => MINUTE_US,
        };
        at(Some(now_us + step_us - lost_us.rem_euclid(step_us)));
    } else if model.frozen.is_none() {
        for question in wanted(model).questions {
            let asked = model.data.asked(&question).filter(|asked| !asked.is_open);
            let every_s = asked.and_then(|asked| asked.refreshed_s(&question));
            if let (Some(every_s), Some(asked)) = (every_s, asked) {
                at(Some(
                    (asked.asked_us + i64::from(every_s) * 1_000_000).max(now_us),
                ));
            }
        }
    }
    if model.wake_us != Some(next_us) {
        model.wake_us = Some(next_us);
        effects.push(Effect::Wake { at_us: next_us });
    }
}

/// Does what a command asks.
pub(crate) fn run(model: &mut Model, command: Command, effects: &mut Vec<Effect>) {
    model.hint.retain(|taught| *taught != command);
    if run_everywhere(model, command, effects) {
        return;
    }
    let (steps, is_offered) = model.with_screen(|screen, look| {
        let is_offered = screen.offers(look).contains(&command);
        (screen.on(command, look), is_offered)
    });
    if steps.is_empty() && !is_offered {
        let name = crate::keymap::line_of(command).map_or("this", |line| line.name);
        say(model, Err(nothing(model, name)));
    }
    for step in steps {
        take_step(model, step, effects);
    }
}

/// What is said where a key or a command does nothing.
pub(crate) fn nothing(model: &Model, what: &str) -> String {
    let help = model.keys.keys_of(Command::Help);
    let help = help.unwrap_or_else(|| "?".into());
    format!("{what} does nothing here; {help} shows every key")
}

fn take_step(model: &mut Model, step: Step, effects: &mut Vec<Effect>) {
    match step {
        Step::Go(screen) => {
            model.go(screen);
            model.rest_us = Some(model.now_us);
        }
        Step::Moved => model.rest_us = Some(model.now_us + REST_US),
        Step::Time(at_us) => match time::kept(at_us, model.look().now_us) {
            Ok(()) => time::show(model, at_us),
            Err(why) => say(model, Err(why)),
        },
        Step::Effect(effect) => {
            if let Effect::Copy(text) = &effect {
                let lines = text.lines().count();
                let what = if lines == 1 {
                    text.clone()
                } else {
                    format!("{lines} names")
                };
                say(model, Ok(format!("copied {what}")));
            }
            effects.push(effect);
        }
        Step::Say(text) => say(model, text),
        Step::Confirm(confirm) => confirmed(model, confirm, effects),
        Step::Edit(draft) => editing::open(model, *draft, effects),
        Step::Columns(columns) => model.overlay = Some(Overlay::Columns { columns, at: 0 }),
    }
}

/// Opens a confirmation.
pub(crate) fn confirmed(
    model: &mut Model,
    confirm: crate::screen::Confirm,
    effects: &mut Vec<Effect>,
) {
    model.overlay = Some(Overlay::Confirm(Box::new(Asking::new(confirm))));
    effects.push(Effect::AskSeen);
}

/// Commands that every screen has; answers whether this was one.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "all other commands are the screen's: it says itself which it knows"
)]
fn run_everywhere(model: &mut Model, command: Command, effects: &mut Vec<Effect>) -> bool {
    match command {
        Command::View(name) => open_view(model, name),
        Command::Palette | Command::Help => {
            let palette = Palette::new(command == Command::Help, &model.look());
            model.overlay = Some(Overlay::Palette(palette));
        }
        Command::Filter => {
            let before = model.screen().filter_text().to_owned();
            model.overlay = Some(Overlay::Filter {
                input: before.clone().into(),
                before,
                wrong: None,
            });
        }
        Command::Actions => {
            let actions = model.screen().actions(&model.look());
            match actions.is_empty() {
                true => say(model, Err("there is nothing to be done here".into())),
                false => model.overlay = Some(Overlay::Actions { actions, at: 0 }),
            }
        }
        Command::Time => {
            model.overlay = Some(Overlay::Time {
                input: tui_input::Input::default(),
                wrong: None,
            });
        }
        Command::Earlier => time::step(model, -MINUTE_US),
        Command::Later => time::step(model, MINUTE_US),
        Command::Freeze => freeze(model),
        Command::ArmWrites => arm(model),
        Command::RollBack => rollouts::roll_back(model),
        Command::ShowCommand => {
            let lines = vec![model.screen().command(&model.look())];
            let title = "The same from a script".into();
            model.overlay = Some(Overlay::Text { title, lines });
        }
        Command::Out => out(model, effects),
        Command::QuitOrOut => back_or_quit(model, effects),
        Command::Back => move_on_trail(model, model.here.checked_sub(1)),
        Command::Forward => move_on_trail(model, Some(model.here + 1)),
        Command::Repaint => effects.push(Effect::Repaint),
        Command::Suspend => effects.push(Effect::Suspend),
        Command::Record => effects.push(Effect::Record),
        Command::EditConfig => effects.push(Effect::Configure),
        Command::Quit => effects.push(Effect::Quit),
        _ => return false,
    }
    true
}

fn open_view(model: &mut Model, name: &str) {
    if let Some(view) = view_named(name) {
        let related = model.screen().related(name);
        let here = model.screen().place();
        let is_here = match &related {
            Some(place) => here.view == place.view && here.object == place.object,
            None => here.view == name && here.object.is_empty(),
        };
        if !is_here {
            model.go((view.open)(&related.unwrap_or_default()));
        }
    }
}

/// Opens a place, as the palette and links do.
pub(crate) fn open_place(model: &mut Model, place: &Place) {
    match view_named(&place.view) {
        Some(view) => model.go((view.open)(place)),
        None => say(model, Err(format!("there is no view {}", place.view))),
    }
}

fn freeze(model: &mut Model) {
    model.frozen = match model.frozen.take() {
        Some(_) => None,
        None => Some(Box::new(model.data.clone())),
    };
    model.learned_revision = u64::MAX;
    let words = match model.frozen {
        Some(_) => "the display is frozen; P lets it go",
        None => "live again",
    };
    say(model, Ok(words.into()));
}

fn arm(model: &mut Model) {
    model.armed_until_us = match model.armed_until_us {
        Some(_) => None,
        None => Some(model.now_us + ARMED_US),
    };
    let words = match model.armed_until_us {
        Some(_) => "changes in protected environments are allowed for 10 minutes",
        None => "changes in protected environments are off again",
    };
    say(model, Ok(words.into()));
}

/// One level out: the past, the filter, the screen. A line at the bottom goes with it.
fn out(model: &mut Model, effects: &mut Vec<Effect>) {
    let had_notice = model.notice.take().is_some();
    if model.at_us.is_some() {
        return time::now(model);
    }
    if !model.screen().filter_text().is_empty() {
        let cleared = model.with_screen(|screen, look| screen.filter("", look));
        return cleared.unwrap_or_else(|why| say(model, Err(why)));
    }
    if model.here > 0 {
        return back_or_quit(model, effects);
    }
    // What stood over the hint was meant.
    if !had_notice {
        model.hint.clear();
    }
}

fn back_or_quit(model: &mut Model, effects: &mut Vec<Effect>) {
    match model.here {
        0 => effects.push(Effect::Quit),
        here => move_on_trail(model, Some(here - 1)),
    }
}

fn move_on_trail(model: &mut Model, to: Option<usize>) {
    match to.filter(|to| *to < model.trail.len()) {
        Some(to) => {
            model.here = to;
            model.learned_revision = u64::MAX;
        }
        None => say(model, Err("there is no screen in this direction".into())),
    }
}
