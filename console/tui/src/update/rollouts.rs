//! Rollbacks and deploys: from a key to a plan, from there to the hub, and along with it to its
//! end. What is typed is kept until the hub has taken it.

use binnacle_core::view::EndpointName;
use crokey::crossterm::event::{KeyCode, KeyModifiers};

use crate::data::Known;
use crate::key::Key;
use crate::model::{Dirty, Model, Notice};
use crate::msg::Effect;
use crate::overlay::choose::Choosing;
use crate::overlay::plan::{Planning, Standing};
use crate::overlay::{Asking, Overlay, moved};
use crate::question::endpoint::{Act, Deed, Inquiry, Wanted};
use crate::question::{Question, Refused, Wish};
use crate::screen::Concern;
use crate::screen::rollouts::words;
use crate::update::{keys, say};

/// Rollouts whose end is told: the oldest goes when another comes.
const MAX_AWAITED: usize = 8;
/// How long it is told how one ended.
const ENDING_US: i64 = 60_000_000;

/// A rollout whose end somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    endpoint: EndpointName,
    revision: u64,
}

impl Awaited {
    /// What asks how far it is.
    pub(crate) fn question(&self) -> Question {
        Question::Endpoints(Inquiry::Rollout(self.endpoint.clone(), self.revision))
    }
}

/// Opens the plan of a rollback of what is selected, or the choice of what it is of.
pub(super) fn roll_back(model: &mut Model) {
    if model.at_us.is_some() {
        let why = "this is the past: what is rolled back is what serves now; esc comes back";
        return say(model, Err(why.into()));
    }
    match model.screen().concern(&model.look()) {
        Some(Concern::Endpoint(endpoint)) => open(model, Wanted::rollback(endpoint, None), ""),
        concern => {
            let choosing = Choosing { concern, at: 0 };
            model.overlay = Some(Overlay::Choose(Box::new(choosing)));
        }
    }
}

/// Opens a plan, made anew.
pub(super) fn open(model: &mut Model, wanted: Wanted, reason: &str) {
    let planning = Planning::new(wanted, reason);
    forget(model, &planning.question());
    model.overlay = Some(Overlay::Plan(Box::new(planning)));
}

/// What was told of it before is another plan.
fn forget(model: &mut Model, question: &Question) {
    model.data.forget(question);
    if let Some(frozen) = &mut model.frozen {
        frozen.forget(question);
    }
}

/// Takes in what was told: a choice among one is none, and a plan that has come is to be seen.
pub(super) fn learn(model: &mut Model, effects: &mut Vec<Effect>) {
    tell_endings(model);
    match model.overlay.take() {
        Some(Overlay::Choose(mut choosing)) => {
            let found = choosing.found(&model.look());
            let found = found.unwrap_or_default();
            let one = match found.as_slice() {
                [row] => Some(row.endpoint.clone()),
                [] | [_, _, ..] => None,
            };
            choosing.at = choosing.at.min(found.len().saturating_sub(1));
            match one {
                // A list of all is looked at, be it of one.
                Some(endpoint) if choosing.concern.is_some() => {
                    open(model, Wanted::rollback(endpoint, None), "");
                    model.dirty = Dirty::Input;
                }
                Some(_) | None => model.overlay = Some(Overlay::Choose(choosing)),
            }
        }
        Some(Overlay::Plan(mut planning)) => {
            if let Standing::Ready(_, plan) = planning.standing(&model.look())
                && !planning.is_asked
            {
                planning.is_asked = true;
                planning.looked_at = Some(plan.hash);
                effects.push(Effect::AskSeen);
                model.dirty = Dirty::Input;
            }
            model.overlay = Some(Overlay::Plan(planning));
        }
        other => model.overlay = other,
    }
}

/// A key in a choice or a plan; answers with what lies over the screen then.
#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "other keys are typed into the line"
)]
pub(super) fn key(
    model: &mut Model,
    overlay: Overlay,
    key: Key,
    is_fresh: bool,
    effects: &mut Vec<Effect>,
) -> Option<Overlay> {
    if let Overlay::Choose(choosing) = overlay {
        return choose(model, choosing, key);
    }
    let Overlay::Plan(mut planning) = overlay else {
        return Some(overlay);
    };
    let look = model.look();
    let Standing::Ready(item, plan) = planning.standing(&look) else {
        return Some(Overlay::Plan(planning));
    };
    // A letter that is held down may be part of a name, and never does anything.
    let is_held = !is_fresh && key.types().is_none();
    if !planning.is_seen || is_held {
        return Some(Overlay::Plan(planning));
    }
    let needs = planning.needs(item);
    match key.code() {
        KeyCode::Tab | KeyCode::BackTab | KeyCode::Down | KeyCode::Up if needs.name => {
            planning.at_reason = !planning.at_reason;
        }
        KeyCode::Char('p') if key.with(KeyModifiers::CONTROL) => planning.prove(model.now_us),
        KeyCode::Enter if needs.name && !planning.at_reason => planning.at_reason = true,
        KeyCode::Enter if !planning.is_ready(item) => planning.at_reason = needs.name,
        KeyCode::Enter if planning.looked_at != Some(plan.hash) => {
            planning.looked_at = Some(plan.hash);
            let why = "the plan was another when you saw it: this is what would be done now";
            say(model, Err(why.into()));
        }
        KeyCode::Enter => {
            let plan = Box::new(plan.clone());
            return run(model, planning, plan, effects);
        }
        KeyCode::Char('e') if key.with(KeyModifiers::CONTROL) => {
            effects.push(Effect::Edit {
                text: planning.reason.value().to_owned(),
                suffix: "txt",
            });
            planning.is_seen = false;
        }
        _ => {
            keys::edit(planning.input(item), key);
        }
    }
    Some(Overlay::Plan(planning))
}

fn choose(model: &mut Model, mut choosing: Box<Choosing>, key: Key) -> Option<Overlay> {
    let found = choosing.found(&model.look()).unwrap_or_default();
    if let Some(command) = keys::step(key) {
        choosing.at = moved(choosing.at, found.len(), command);
    } else if key.code() == KeyCode::Enter
        && let Some(row) = found.get(choosing.at)
    {
        let wanted = Wanted::rollback(row.endpoint.clone(), None);
        open(model, wanted, "");
        return model.overlay.take();
    }
    Some(Overlay::Choose(choosing))
}

fn run(
    model: &mut Model,
    planning: Box<Planning>,
    plan: Box<binnacle_core::view::Plan>,
    effects: &mut Vec<Effect>,
) -> Option<Overlay> {
    if !model.data.is_live() {
        let why = "the hub is not connected: nothing was done, and nothing typed is lost";
        say(model, Err(why.into()));
        return Some(Overlay::Plan(planning));
    }
    // One who acts wants to see what comes of it.
    if model.frozen.take().is_some() {
        model.learned_revision = u64::MAX;
    }
    let deed = Deed {
        endpoint: planning.wanted.endpoint.clone(),
        reason: planning.reason.value().trim().to_owned(),
        act: Act::Run {
            wanted: planning.wanted,
            plan,
        },
    };
    effects.push(Effect::Do(Wish::Endpoint(Box::new(deed))));
    say(model, Ok("asked; hosts follow".into()));
    None
}

/// What was wished of an endpoint is done, or was refused: then what was typed is there again.
pub(super) fn done(
    model: &mut Model,
    deed: &Deed,
    result: Result<String, Refused>,
    effects: &mut Vec<Effect>,
) {
    model.data.outdate_registry();
    // Something else may have been confirmed since.
    let is_this = |asking: &Asking| match &asking.confirm.wish {
        Wish::Endpoint(of) => (&of.endpoint, &of.act) == (&deed.endpoint, &deed.act),
        Wish::Retire { .. } | Wish::Readmit { .. } | Wish::Change(_) | Wish::Alert(_) => false,
    };
    let asked = model.asked.take_if(|asking| is_this(asking));
    let is_free = model.overlay.is_none() && model.editing.is_none();
    match (result, &deed.act) {
        (Ok(text), Act::Run { plan, .. }) => {
            model.awaited.push(Awaited {
                endpoint: deed.endpoint.clone(),
                // The hub runs a plan on the revision that it was made on, or refuses it.
                revision: plan.intent.base + 1,
            });
            if model.awaited.len() > MAX_AWAITED {
                model.awaited.remove(0);
            }
            say(model, Ok(text));
        }
        (Ok(text), Act::Steer { .. } | Act::Lift(_)) => say(model, Ok(text)),
        (Err(refused), Act::Run { wanted, .. }) if is_free => {
            let mut planning = Planning::new(wanted.clone(), &deed.reason);
            planning.refused = Some(refused.why);
            forget(model, &planning.question());
            model.overlay = Some(Overlay::Plan(Box::new(planning)));
        }
        (Err(refused), Act::Steer { .. } | Act::Lift(_)) if is_free && asked.is_some() => {
            if let Some(mut asking) = asked {
                asking.is_seen = false;
                model.overlay = Some(Overlay::Confirm(asking));
                effects.push(Effect::AskSeen);
            }
            say(model, Err(refused.why));
        }
        (Err(refused), _) => say(model, Err(refused.why)),
    }
}

/// Tells how rollouts ended that somebody waited for.
fn tell_endings(model: &mut Model) {
    let mut endings = Vec::new();
    let data = &model.data;
    model.awaited.retain(|at| {
        let known = data.rollout(&at.endpoint, at.revision, 0);
        match known {
            Known::Here(rollout, _) if rollout.is_over => {
                endings.push(words::ending(rollout));
                false
            }
            Known::Here(..) | Known::Loading | Known::Broken(_) => true,
        }
    });
    if let Some(text) = endings.pop() {
        model.notice = Some(Notice {
            text,
            until_us: model.now_us + ENDING_US,
        });
        model.dirty = Dirty::Input;
    }
}
