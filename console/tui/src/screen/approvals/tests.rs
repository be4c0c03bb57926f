//! Plans that wait, as they look and as they answer.

use crate::msg::{Effect, Msg};
use crate::question::Wish;
use crate::question::endpoint::{Act, Steer};
use crate::screen::models::tests::dark;
use crate::screen::rollouts::tests::at;
use crate::stage::endpoints::Fleet;
use crate::stage::{self, Stage};

fn waiting() -> Fleet {
    Fleet {
        phase: Some("awaiting_approval"),
        ..Fleet::busy()
    }
}

#[test]
fn the_list_looks() {
    for (title, size) in stage::SIZES {
        let full = at("approvals", size, &waiting());
        insta::assert_snapshot!(format!("approvals-full-{title}"), full.text());
        let mut stale = at("approvals", size, &waiting());
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("approvals-stale-{title}"), stale.text());
        let mut loading = dark("approvals", size);
        loading.connect();
        insta::assert_snapshot!(format!("approvals-loading-{title}"), loading.text());
        let nothing = at("approvals", size, &Fleet::busy());
        insta::assert_snapshot!(format!("approvals-empty-{title}"), nothing.text());
        let mut broken = dark("approvals", size);
        broken.connect();
        broken.answer(|_| Err("the disk is full".into()));
        insta::assert_snapshot!(format!("approvals-broken-{title}"), broken.text());
    }
}

fn said(stage: &Stage) -> Vec<(Act, String)> {
    let deed = |effect: &Effect| {
        let Effect::Do(Wish::Endpoint(deed)) = effect else {
            return None;
        };
        Some((deed.act.clone(), deed.reason.clone()))
    };
    stage.effects.iter().filter_map(deed).collect()
}

#[test]
fn a_plan_is_approved_by_typing_what_it_is_about_and_why() {
    let mut stage = at("approvals", (120, 40), &waiting());
    stage.press("a y");
    let text = stage.text();
    assert!(text.contains("fraud@7 100% → fraud@8 100%"), "{text}");
    assert!(text.contains("8 hosts"), "{text}");
    stage.tell(Msg::Seen);
    stage.type_text("fraud");
    stage.press("enter");
    assert_eq!(said(&stage), [], "a yes has a reason");
    stage.type_text("numbers look right");
    stage.press("enter");
    let act = Act::Steer {
        revision: 41,
        steer: Steer::Approve,
    };
    assert_eq!(said(&stage), [(act, "numbers look right".into())]);
}

#[test]
fn nobody_approves_what_they_asked_for_themselves() {
    let mut fleet = waiting();
    fleet.asked_by = "alice";
    let mut stage = at("approvals", (120, 40), &fleet);
    stage.press("a");
    let text = stage.text();
    assert!(text.contains("another person has to approve it"), "{text}");
}

#[test]
fn a_plan_opens_as_the_rollout_that_it_will_be() {
    let mut stage = at("approvals", (120, 40), &waiting());
    stage.press("enter");
    let text = stage.text();
    assert!(stage.line(1).contains("prod/fraud"), "{text}");
}
