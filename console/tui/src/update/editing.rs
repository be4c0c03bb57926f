//! Edits: from the editor or a form to a review, from there to the hub, and back where somebody
//! else was quicker. A draft is kept until the hub has taken it.

use crokey::crossterm::event::{KeyCode, KeyModifiers};

use crate::edit::{Draft, MAX_DRAFTS, Subject};
use crate::key::Key;
use crate::model::Model;
use crate::msg::Effect;
use crate::overlay::Overlay;
use crate::overlay::form::Filling;
use crate::overlay::review::{Review, Standing};
use crate::question::registry::{Act, Change};
use crate::question::{Refused, Wish};
use crate::screen::Doing;
use crate::update::{confirmed, keys, rollouts, say};

#[cfg(test)]
mod tests;

/// Begins what an action leads to.
pub(super) fn start(model: &mut Model, doing: Doing, effects: &mut Vec<Effect>) {
    match doing {
        Doing::Confirm(confirm) => confirmed(model, *confirm, effects),
        Doing::Edit(draft) => open(model, *draft, effects),
        Doing::Form(draft) => {
            let draft = again(model, *draft);
            match Filling::of_card(Box::new(draft.clone())) {
                Ok(filling) => model.overlay = Some(Overlay::Form(Box::new(filling))),
                // What a form cannot show is put right in the editor.
                Err(_) => review(model, draft, effects),
            }
        }
        Doing::Alias(pointing) => {
            let filling = Filling::of_alias(*pointing);
            model.overlay = Some(Overlay::Form(Box::new(filling)));
        }
        Doing::Deploy(deploying) => {
            let filling = Filling::of_deploy(*deploying);
            model.overlay = Some(Overlay::Form(Box::new(filling)));
        }
        Doing::Plan(wanted) => rollouts::open(model, *wanted, ""),
    }
}

/// The draft that was kept of the same thing, or this one.
fn again(model: &mut Model, draft: Draft) -> Draft {
    let mut kept = model.drafts.iter();
    let Some(kept) = kept.find(|kept| kept.subject == draft.subject).cloned() else {
        return draft;
    };
    let ago = crate::format::age(model.now_us - kept.at_us);
    let what = kept.subject.words();
    say(
        model,
        Ok(format!("your draft of {what} from {ago} ago is open again")),
    );
    kept
}

/// Opens a draft in the editor: the one that was kept, where there is one.
pub(super) fn open(model: &mut Model, draft: Draft, effects: &mut Vec<Effect>) {
    let draft = again(model, draft);
    edit(model, draft, effects);
}

fn edit(model: &mut Model, draft: Draft, effects: &mut Vec<Effect>) {
    effects.push(Effect::Edit {
        text: draft.text.clone(),
        suffix: "toml",
    });
    model.editing = Some(Box::new(draft));
}

/// The editor came back with a draft's text.
pub(super) fn edited(
    model: &mut Model,
    mut draft: Draft,
    text: Result<String, String>,
    effects: &mut Vec<Effect>,
) {
    match text {
        Ok(text) => {
            draft.text = text;
            if draft.is_unchanged() {
                forget(model, &draft.subject);
                model.overlay = None;
                return say(model, Ok("nothing was changed".into()));
            }
            review(model, draft, effects);
        }
        Err(why) => {
            keep(model, Some(draft));
            say(model, Err(why));
        }
    }
}

fn review(model: &mut Model, draft: Draft, effects: &mut Vec<Effect>) {
    remember(model, draft.clone());
    model.overlay = Some(Overlay::Review(Box::new(Review::new(draft))));
    effects.push(Effect::AskSeen);
}

/// Keeps a draft, the newest last; one that is full of nothing is not kept.
fn remember(model: &mut Model, mut draft: Draft) {
    draft.at_us = model.now_us;
    model.drafts.retain(|kept| kept.subject != draft.subject);
    model.drafts.push(draft);
    if model.drafts.len() > MAX_DRAFTS {
        let oldest = model.drafts.remove(0);
        let what = oldest.subject.words();
        say(
            model,
            Err(format!(
                "more than {MAX_DRAFTS} drafts: that of {what} was dropped"
            )),
        );
    }
}

fn forget(model: &mut Model, subject: &Subject) {
    model.drafts.retain(|kept| kept.subject != *subject);
}

/// Keeps what was closed before it was applied, and says so.
pub(super) fn keep(model: &mut Model, draft: Option<Draft>) {
    let Some(draft) = draft else {
        return;
    };
    let is_blank = draft.subject == Subject::New
        && draft.read().is_err()
        && draft.text == draft.written(&draft.base, "");
    if is_blank || draft.is_unchanged() {
        return forget(model, &draft.subject);
    }
    let what = draft.subject.words();
    remember(model, draft);
    say(
        model,
        Ok(format!(
            "kept as a draft: editing {what} again goes on with it"
        )),
    );
}

/// A key in a form or a review; answers with what lies over the screen then.
#[allow(clippy::wildcard_enum_match_arm, reason = "other keys move nothing")]
pub(super) fn key(
    model: &mut Model,
    overlay: Overlay,
    key: Key,
    is_fresh: bool,
    effects: &mut Vec<Effect>,
) -> Option<Overlay> {
    if let Overlay::Form(filling) = overlay {
        return in_form(model, filling, key, effects);
    }
    let Overlay::Review(mut review) = overlay else {
        return Some(overlay);
    };
    match key.types() {
        Some('j') => review.top = review.top.saturating_add(1),
        Some('k') => review.top = review.top.saturating_sub(1),
        Some('e') if is_fresh => {
            edit(model, review.draft, effects);
            return None;
        }
        Some('x') if is_fresh && review.is_seen => {
            forget(model, &review.draft.subject);
            say(model, Ok("thrown away; nothing was changed".into()));
            return None;
        }
        Some('m') if is_fresh && review.is_seen => {
            if let Standing::Conflict(edited, theirs, revision) = review.standing(&model.look()) {
                let draft = review.draft.rebased(&edited, &theirs, revision);
                self::review(model, draft, effects);
                return model.overlay.take();
            }
        }
        Some('y') if is_fresh && review.is_seen => return apply(model, review, effects),
        Some(_) => {}
        None => match key.code() {
            KeyCode::Down | KeyCode::PageDown => review.top = review.top.saturating_add(1),
            KeyCode::Up | KeyCode::PageUp => review.top = review.top.saturating_sub(1),
            _ => {}
        },
    }
    Some(Overlay::Review(review))
}

fn apply(model: &mut Model, review: Box<Review>, effects: &mut Vec<Effect>) -> Option<Overlay> {
    let refusal = match review.standing(&model.look()) {
        Standing::Wrong(why) => why,
        Standing::Conflict(..) => "somebody changed it meanwhile: m puts yours on top".into(),
        Standing::Ready(_) if !model.data.is_live() => {
            "the hub is not connected: nothing was changed, and nothing is lost".into()
        }
        Standing::Ready(edited) => {
            if let Some(change) = review.draft.change(&edited) {
                effects.push(Effect::Do(Wish::Change(Box::new(change))));
                say(model, Ok("asked; the journal will tell".into()));
                return None;
            }
            "it cannot be asked for".into()
        }
    };
    say(model, Err(refusal));
    Some(Overlay::Review(review))
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "other keys are typed into the field"
)]
fn in_form(
    model: &mut Model,
    mut filling: Box<Filling>,
    key: Key,
    effects: &mut Vec<Effect>,
) -> Option<Overlay> {
    let form = &mut filling.form;
    match key.code() {
        KeyCode::Tab | KeyCode::Down => form.go(true),
        KeyCode::BackTab | KeyCode::Up => form.go(false),
        KeyCode::Enter if !form.is_last() => form.go(true),
        KeyCode::Enter => return filled(model, filling, effects),
        KeyCode::Char('e') if key.with(KeyModifiers::CONTROL) => {
            if let Some(draft) = filling.draft() {
                edit(model, draft, effects);
                return None;
            }
        }
        _ => {
            if let Some(field) = form.fields.get_mut(form.at)
                && field.long.is_none()
                && keys::edit(&mut field.input, key)
            {
                field.check();
            }
        }
    }
    Some(Overlay::Form(filling))
}

/// Enter in the last field.
fn filled(
    model: &mut Model,
    mut filling: Box<Filling>,
    effects: &mut Vec<Effect>,
) -> Option<Overlay> {
    if let Some(wrong) = filling.form.wrong() {
        filling.form.at = wrong;
        return Some(Overlay::Form(filling));
    }
    match filling.draft() {
        Some(draft) if draft.is_unchanged() => {
            forget(model, &draft.subject);
            say(model, Ok("nothing was changed".into()));
        }
        Some(draft) => review(model, draft, effects),
        None => match filling.deploy() {
            Some((wanted, reason)) => rollouts::open(model, wanted, &reason),
            None => {
                let doing = filling.move_alias(&model.look());
                if let Some(doing) = doing {
                    start(model, doing, effects);
                }
            }
        },
    }
    model.overlay.take()
}

/// What a change is an edit of.
fn subject(change: &Change) -> Option<Subject> {
    match &change.act {
        Act::Create { .. } => Some(Subject::New),
        Act::Edit { object, .. } => Some(Subject::Card(object.clone())),
        Act::Note { version, .. } => Some(Subject::Notes(version.clone())),
        Act::MoveAlias { .. } | Act::Deprecate(_) | Act::Restore(_) => None,
    }
}

/// What was wished is done, or was refused.
pub(super) fn done(
    model: &mut Model,
    wish: &Wish,
    result: Result<String, Refused>,
    effects: &mut Vec<Effect>,
) {
    let subject = match wish {
        Wish::Change(change) => subject(change),
        Wish::Endpoint(deed) => return rollouts::done(model, deed, result, effects),
        Wish::Alert(_) => {
            // Whatever came of it, what is shown is asked for anew.
            model.data.outdate_registry();
            None
        }
        Wish::Retire { .. } | Wish::Readmit { .. } => None,
    };
    let Some(subject) = subject else {
        return say(model, result.map_err(|refused| refused.why));
    };
    match result {
        Ok(text) => {
            forget(model, &subject);
            say(model, Ok(text));
        }
        Err(refused) => {
            model.data.outdate_registry();
            let kept = model.drafts.iter().find(|kept| kept.subject == subject);
            let kept = kept.cloned();
            if let (None, Some(draft)) = (&model.overlay, kept)
                && model.editing.is_none()
            {
                // Both sides are shown as soon as theirs is known.
                review(model, draft, effects);
            }
            let what = match refused.is_conflict {
                true => refused.why,
                false => format!("{}; it is kept as a draft", refused.why),
            };
            say(model, Err(what));
        }
    }
}
