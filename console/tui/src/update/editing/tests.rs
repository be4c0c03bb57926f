//! Edits from the first key to the hub and back: what is shown, what is asked, what is kept.

use crate::msg::{Effect, Msg};
use crate::question::registry::{Act, Change};
use crate::question::{Refused, Wish};
use crate::screen::models::tests::{at, told};
use crate::stage::Stage;
use crate::stage::registry::{Registry, changed};

fn changes(stage: &Stage) -> Vec<Change> {
    let change = |effect: &Effect| {
        let Effect::Do(Wish::Change(change)) = effect else {
            return None;
        };
        Some(Change::clone(change))
    };
    stage.effects.iter().filter_map(change).collect()
}

fn opened(stage: &Stage) -> String {
    let text = stage.effects.iter().rev().find_map(|effect| {
        let Effect::Edit { text, .. } = effect else {
            return None;
        };
        Some(text.clone())
    });
    text.unwrap_or_default()
}

/// Presses `e`, and comes back from the editor with the owner changed.
fn edited(stage: &mut Stage, from: &str, to: &str) {
    stage.press("e");
    let text = opened(stage);
    assert!(text.contains(&format!("owner = \"{from}\"")), "{text}");
    let text = text.replace(from, to);
    stage.tell(Msg::Edited(Ok(text)));
}

#[test]
fn an_edit_is_shown_before_it_is_applied_and_y_counts_once_it_was_seen() {
    let registry = Registry::of(3);
    let mut stage = at("models", (100, 30), &registry);
    edited(&mut stage, "alice", "bob");
    told(&mut stage, &registry);
    insta::assert_snapshot!("review", stage.text());
    stage.press("y");
    assert_eq!(changes(&stage), [], "nobody has seen it");
    stage.tell(Msg::Seen);
    stage.tell(Msg::Repeat("y".parse().unwrap()));
    assert_eq!(changes(&stage), [], "a key that is held down");
    stage.press("y");
    let [change] = &changes(&stage)[..] else {
        panic!("{:?}", stage.effects);
    };
    assert_eq!(change.if_revision, Some(41));
    assert!(
        change.command().contains("--set 'owner=bob'"),
        "{}",
        change.command()
    );
    let wish = Wish::Change(Box::new(change.clone()));
    assert_eq!(stage.model.drafts.len(), 1, "kept until it is taken");
    let result = Ok("model fraud is edited: journal 42".into());
    stage.tell(Msg::Done { wish, result });
    assert_eq!(stage.model.drafts, []);
}

#[test]
fn whoever_was_slower_is_shown_both_sides_and_loses_nothing() {
    let mut registry = Registry::of(3);
    let mut stage = at("models/fraud", (100, 30), &registry);
    edited(&mut stage, "alice", "bob");
    stage.tell(Msg::Seen);
    stage.press("y");
    let wish = Wish::Change(Box::new(changes(&stage).remove(0)));
    registry.fraud = (43, "carol");
    let refused = Refused {
        why: "model fraud was changed meanwhile".into(),
        is_conflict: true,
    };
    stage.tell(Msg::Done {
        wish,
        result: Err(refused),
    });
    stage.tell(Msg::Entry(changed(43)));
    stage.wait(1_000_000);
    told(&mut stage, &registry);
    stage.tell(Msg::Seen);
    stage.wait(9_000_000);
    insta::assert_snapshot!("conflict", stage.text());
    stage.effects.clear();
    stage.press("y");
    assert_eq!(changes(&stage), [], "not over somebody else's change");
    stage.press("esc");
    assert_eq!(stage.model.drafts.len(), 1);
    let session = stage.model.session();
    let kept = serde_json::to_string(&session).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::model::Session>(&kept).unwrap(),
        session
    );
    stage.press("e");
    assert!(
        opened(&stage).contains("owner = \"bob\""),
        "{}",
        opened(&stage)
    );
    stage.tell(Msg::Edited(Ok(opened(&stage))));
    stage.tell(Msg::Seen);
    stage.press("m");
    stage.tell(Msg::Seen);
    stage.press("y");
    let [change] = &changes(&stage)[..] else {
        panic!("{}", stage.text());
    };
    assert_eq!(change.if_revision, Some(43));
    assert!(matches!(&change.act, Act::Edit { before, .. } if before.owner.as_str() == "carol"));
}

#[test]
fn what_cannot_be_read_is_told_and_can_be_put_right() {
    let registry = Registry::of(3);
    let mut stage = at("models", (100, 30), &registry);
    stage.press("e");
    stage.tell(Msg::Edited(Ok("owner = bob\n".into())));
    stage.tell(Msg::Seen);
    insta::assert_snapshot!("wrong", stage.text());
    stage.press("y");
    assert_eq!(changes(&stage), []);
    stage.press("e");
    assert_eq!(opened(&stage), "owner = bob\n");
    stage.tell(Msg::Edited(Err(
        "vi ended with 1: nothing was taken over".into()
    )));
    assert_eq!(stage.model.drafts.len(), 1);
    stage.press("e");
    stage.tell(Msg::Edited(Ok("owner = \"alice\"\n".into())));
    stage.tell(Msg::Seen);
    stage.press("x");
    assert_eq!(stage.model.drafts, []);
}

#[test]
fn a_form_says_beside_the_field_what_is_wrong_while_one_types() {
    let registry = Registry::of(0);
    let mut stage = at("models", (100, 30), &registry);
    stage.press("a n");
    stage.type_text("Fraud");
    insta::assert_snapshot!("form", stage.text());
    // Through seven fields; in the last it asks for the change.
    for _ in 0..7 {
        stage.press("enter");
    }
    assert_eq!(changes(&stage), [], "{}", stage.text());
    stage.press("ctrl-u");
    stage.type_text("fraud");
    stage.press("tab");
    stage.type_text("alice");
    for _ in 0..6 {
        stage.press("enter");
    }
    stage.tell(Msg::Seen);
    stage.press("y");
    let [change] = &changes(&stage)[..] else {
        panic!("{}", stage.text());
    };
    assert_eq!(
        change.command(),
        "binnacle model create fraud --owner alice"
    );
}

#[test]
fn a_form_that_is_closed_is_kept_and_tells_who_was_quicker() {
    let mut registry = Registry::of(3);
    let mut stage = at("models", (120, 30), &registry);
    stage.press("a f ctrl-u");
    stage.type_text("bob");
    registry.fraud = (43, "carol");
    stage.tell(Msg::Entry(changed(43)));
    stage.wait(1_000_000);
    told(&mut stage, &registry);
    assert!(
        stage
            .text()
            .contains("carol changed it meanwhile: owner alice → carol"),
        "{}",
        stage.text()
    );
    stage.press("esc");
    assert!(stage.text().contains("kept as a draft"), "{}", stage.text());
    stage.press("a f");
    assert!(
        stage.text().contains("owner        bob"),
        "{}",
        stage.text()
    );
}

#[test]
fn an_alias_is_moved_by_its_name_and_a_reason() {
    let registry = Registry::of(3);
    let mut stage = at("versions/fraud", (100, 30), &registry);
    stage.press("a m");
    told(&mut stage, &registry);
    stage.press("enter enter");
    stage.tell(Msg::Seen);
    insta::assert_snapshot!("alias", stage.text());
    stage.type_text("champion");
    stage.press("enter");
    stage.type_text("q3");
    stage.press("enter");
    let [change] = &changes(&stage)[..] else {
        panic!("{}", stage.text());
    };
    let command = "binnacle alias set champion fraud@8 --if-revision 40 --reason q3";
    assert_eq!(change.command(), command);
}

#[test]
fn nothing_is_applied_to_the_past_or_without_a_hub() {
    let registry = Registry::of(3);
    let mut stage = at("models", (120, 30), &registry);
    edited(&mut stage, "alice", "bob");
    stage.tell(Msg::Seen);
    stage.lose();
    stage.press("y");
    assert_eq!(changes(&stage), []);
    assert!(stage.text().contains("nothing is lost"), "{}", stage.text());
    stage.press("esc a d");
    assert!(stage.text().contains("not connected"), "{}", stage.text());
}
