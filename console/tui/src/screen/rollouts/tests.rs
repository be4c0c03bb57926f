//! The list of endpoints, an endpoint's page and a rollout's, as they look and as they answer;
//! and rollbacks and deploys from wherever one is.

use binnacle_core::view::Verb;
use serde_json::json;

use crate::msg::{Effect, Msg};
use crate::question::endpoint::{Act, Deed, Steer};
use crate::question::{Answer, Question, Refused, Wish};
use crate::screen::models::tests::dark;
use crate::stage::drift::Inputs;
use crate::stage::endpoints::Fleet;
use crate::stage::registry::Registry;
use crate::stage::{self, Stage};

fn answer(fleet: &Fleet, question: &Question) -> Result<Answer, String> {
    if let Question::Drift(inquiry) = question {
        return Inputs::default().answer(inquiry);
    }
    let Question::Endpoints(inquiry) = question else {
        return Registry::of(3).answer(question);
    };
    fleet.answer(inquiry)
}

/// Answers until nothing is asked any more, and the selection has rested.
pub(crate) fn told(stage: &mut Stage, fleet: &Fleet) {
    for _ in 0..6 {
        stage.answer(|question| answer(fleet, question));
        stage.wait(200_000);
    }
}

/// A console at a place, with everything answered that it asks.
pub(crate) fn at(place: &str, size: (u16, u16), fleet: &Fleet) -> Stage {
    let mut stage = dark(place, size);
    stage.connect();
    stage.tell(Msg::Glances(stage::glances(8)));
    told(&mut stage, fleet);
    stage
}

/// Every state of a screen in every size.
#[track_caller]
fn looks(name: &str, place: &str) {
    for (title, size) in stage::SIZES {
        let full = at(place, size, &Fleet::busy());
        insta::assert_snapshot!(format!("{name}-full-{title}"), full.text());
        let mut stale = at(place, size, &Fleet::busy());
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("{name}-stale-{title}"), stale.text());
        let mut loading = dark(place, size);
        loading.connect();
        insta::assert_snapshot!(format!("{name}-loading-{title}"), loading.text());
        let nothing = at(place, size, &Fleet::empty());
        insta::assert_snapshot!(format!("{name}-empty-{title}"), nothing.text());
        let mut broken = dark(place, size);
        broken.connect();
        broken.answer(|_| Err("the disk is full".into()));
        insta::assert_snapshot!(format!("{name}-broken-{title}"), broken.text());
    }
}

#[test]
fn the_list_looks() {
    looks("rollouts", "rollouts");
}

#[test]
fn the_page_looks() {
    looks("endpoint", "rollouts/prod/fraud");
}

#[test]
fn a_rollout_looks() {
    looks("rollout", "rollouts/prod/fraud@41");
}

#[test]
fn plans_look() {
    for (title, size) in stage::SIZES {
        let mut stage = at("rollouts/prod/fraud", size, &Fleet::busy());
        stage.press("R");
        told(&mut stage, &Fleet::busy());
        stage.tell(Msg::Seen);
        insta::assert_snapshot!(format!("plan-back-{title}"), stage.text());
        let mut stage = deploying(size);
        stage.press("enter");
        stage.type_text("canary:5%/10m");
        stage.press("enter");
        stage.type_text("10m");
        insta::assert_snapshot!(format!("plan-form-{title}"), stage.text());
        stage.press("enter enter");
        told(&mut stage, &Fleet::calm());
        stage.tell(Msg::Seen);
        insta::assert_snapshot!(format!("plan-forth-{title}"), stage.text());
    }
}

/// A console that asks what is to be deployed, of a version that is selected.
fn deploying(size: (u16, u16)) -> Stage {
    let mut stage = at("versions/fraud@8", size, &Fleet::calm());
    stage.press("a D");
    told(&mut stage, &Fleet::calm());
    stage.type_text("prod/fraud");
    stage
}

/// What was asked to be done with endpoints.
fn deeds(stage: &Stage) -> Vec<Deed> {
    let deed = |effect: &Effect| {
        let Effect::Do(Wish::Endpoint(deed)) = effect else {
            return None;
        };
        Some(Deed::clone(deed))
    };
    stage.effects.iter().filter_map(deed).collect()
}

#[track_caller]
fn only_deed(stage: &Stage) -> Deed {
    let mut deeds = deeds(stage);
    assert_eq!(deeds.len(), 1, "{deeds:?}\n{}", stage.text());
    deeds.remove(0)
}

/// A rollback of `prod/fraud` that is confirmed.
fn rolling_back(fleet: &Fleet) -> Stage {
    let mut stage = at("rollouts", (80, 24), fleet);
    stage.press("R");
    told(&mut stage, fleet);
    stage.tell(Msg::Seen);
    stage.type_text("fraud");
    stage.press("enter");
    stage.type_text("p99 is up");
    stage.press("enter");
    stage
}

#[test]
fn a_rollback_is_planned_confirmed_and_followed_to_its_end() {
    let mut fleet = Fleet::busy();
    let mut stage = at("rollouts", (80, 24), &fleet);
    stage.press("R");
    told(&mut stage, &fleet);
    let asked = stage.effects.iter().filter(|it| **it == Effect::AskSeen);
    assert_eq!(asked.count(), 1, "it is seen once it is there");
    // Nobody has seen it yet: these keys were meant for something else.
    stage.type_text("fraud");
    stage.press("enter enter");
    assert_eq!(deeds(&stage), []);
    stage.tell(Msg::Seen);
    stage.type_text("frau");
    stage.press("enter enter enter");
    assert_eq!(deeds(&stage), [], "the name is not typed whole");
    stage.press("tab");
    stage.type_text("d");
    stage.press("enter");
    stage.type_text("p99 is up");
    stage.press("enter");
    let deed = only_deed(&stage);
    assert_eq!(deed.reason, "p99 is up");
    let Act::Run { plan, .. } = &deed.act else {
        panic!("{deed:?}");
    };
    assert_eq!(plan.intent.verb, Verb::Rollback(40));
    let wish = Wish::Endpoint(Box::new(deed));
    let result = Ok("prod/fraud rolls back: journal 320".to_owned());
    stage.tell(Msg::Done { wish, result });
    fleet.phase = None;
    told(&mut stage, &fleet);
    assert!(!stage.text().contains("rolled back prod/fraud"));
    fleet.back = Some("promoted");
    stage.wait(1_000_000);
    told(&mut stage, &fleet);
    let ending = "rolled back prod/fraud to rev 40 on 8/8 hosts in 84.0 ms";
    assert!(stage.text().contains(ending), "{}", stage.text());
    stage.effects.clear();
    stage.wait(5_000_000);
    let is_followed = |effect: &Effect| format!("{effect:?}").contains("Rollout(prod/fraud");
    assert!(!stage.effects.iter().any(is_followed), "it is over");
}

#[test]
fn what_the_hub_refuses_is_told_and_what_was_typed_is_there_again() {
    let mut fleet = Fleet::busy();
    let mut stage = rolling_back(&fleet);
    let wish = Wish::Endpoint(Box::new(only_deed(&stage)));
    let why = "the plan was made on revision 41 of prod/fraud, which is at 42 by now; \
               make it again";
    let result = Err(Refused {
        why: why.into(),
        is_conflict: true,
    });
    stage.effects.clear();
    stage.tell(Msg::Done { wish, result });
    fleet.latest = 42;
    told(&mut stage, &fleet);
    let text = stage.text();
    assert!(
        text.contains("x not done: the plan was made on revision 41"),
        "{text}"
    );
    assert!(text.contains("rev 42 → rev 40"), "made anew: {text}");
    assert!(text.contains("reason: p99 is up"), "{text}");
    stage.tell(Msg::Seen);
    stage.type_text("prod/fraud");
    stage.press("enter enter");
    assert_eq!(only_deed(&stage).reason, "p99 is up");
}

#[test]
fn a_plan_that_has_changed_since_it_was_seen_is_not_run_unseen() {
    let mut fleet = Fleet::calm();
    let mut stage = at("rollouts", (120, 40), &fleet);
    stage.press("R");
    told(&mut stage, &fleet);
    stage.tell(Msg::Seen);
    stage.type_text("fraud");
    fleet.latest = 43;
    stage.wait(5_000_000);
    told(&mut stage, &fleet);
    assert!(stage.text().contains("another plan"), "{}", stage.text());
    stage.press("enter enter");
    assert_eq!(deeds(&stage), []);
    stage.press("enter");
    let Act::Run { plan, .. } = only_deed(&stage).act else {
        panic!("a plan is run");
    };
    assert_eq!(plan.intent.base, 43);
}

#[test]
fn a_rollback_is_proved_before_it_is_confirmed_and_once_for_each_asking() {
    let fleet = Fleet::calm();
    let mut stage = at("rollouts", (120, 40), &fleet);
    stage.press("R");
    told(&mut stage, &fleet);
    stage.tell(Msg::Seen);
    assert!(stage.text().contains("ctrl-p"), "{}", stage.text());
    let replays = |stage: &Stage| {
        let is_replay = |effect: &&Effect| format!("{effect:?}").contains("Proof(");
        stage.effects.iter().filter(is_replay).count()
    };
    stage.effects.clear();
    stage.press("ctrl-p");
    assert!(stage.text().contains("replaying recent inputs"));
    assert_eq!(replays(&stage), 1);
    told(&mut stage, &fleet);
    let text = stage.text();
    let shown = "512 inputs through fraud@7, 8/8 hosts: 1.4 % change class";
    assert!(text.contains(shown), "{text}");
    stage.effects.clear();
    stage.wait(60_000_000);
    told(&mut stage, &fleet);
    assert_eq!(
        replays(&stage),
        0,
        "what was replayed is not replayed by itself"
    );
    stage.type_text("fraud");
    stage.press("enter enter");
    assert_eq!(deeds(&stage).len(), 1);
}

#[test]
fn why_there_is_no_plan_is_told_in_the_words_of_the_hub() {
    let mut fleet = Fleet::calm();
    let why = "prod/fraud has no earlier revision that was promoted";
    fleet.refusal = Some(why);
    let mut stage = at("rollouts", (120, 40), &fleet);
    stage.press("R");
    told(&mut stage, &fleet);
    assert!(stage.text().contains(why), "{}", stage.text());
    stage.tell(Msg::Seen);
    stage.press("enter enter y");
    assert_eq!(deeds(&stage), []);
    stage.press("esc R");
    stage.lose();
    let text = stage.text();
    assert!(text.contains("binnacle-agent rollback"), "{text}");
}

#[test]
fn from_a_host_one_chooses_the_endpoint_and_from_a_version_it_is_known() {
    let fleet = Fleet::busy();
    let mut stage = at("hosts", (120, 40), &fleet);
    stage.press("R");
    told(&mut stage, &fleet);
    let text = stage.text();
    assert!(text.contains("Roll back which endpoint?"), "{text}");
    assert!(!text.contains("test/new"), "another environment: {text}");
    stage.press("j enter");
    told(&mut stage, &fleet);
    assert!(
        stage.text().contains("ROLL BACK  prod/pay"),
        "{}",
        stage.text()
    );
    stage.press("esc");
    let mut stage = at("versions/fraud@8", (120, 40), &fleet);
    stage.press("R");
    told(&mut stage, &fleet);
    assert!(
        stage.text().contains("ROLL BACK  prod/fraud"),
        "{}",
        stage.text()
    );
    let mut stage = at("models", (120, 40), &fleet);
    stage.press("j R");
    told(&mut stage, &fleet);
    let none = "no endpoint serves a version of churn";
    assert!(stage.text().contains(none), "{}", stage.text());
}

#[test]
fn what_served_at_a_moment_of_the_past_is_told_as_it_was_then() {
    let fleet = Fleet::busy();
    let mut stage = at("rollouts", (120, 40), &fleet);
    assert!(stage.text().contains("fraud@7 100%"), "{}", stage.text());
    stage.press("t");
    stage.type_text("10m");
    stage.press("enter");
    told(&mut stage, &fleet);
    let text = stage.text();
    assert!(text.contains("fraud@5 100%"), "{text}");
    assert!(!text.contains("fraud@7 100%"), "{text}");
    assert!(
        !text.contains("warm"),
        "what hosts could do then is not known: {text}"
    );
    stage.press("enter");
    told(&mut stage, &fleet);
    let text = stage.text();
    assert!(text.contains("rev 38"), "{text}");
    assert!(!text.contains("ROLLBACK"), "{text}");
}

#[test]
fn of_the_past_nothing_is_rolled_back() {
    let fleet = Fleet::calm();
    let mut stage = at("rollouts", (120, 40), &fleet);
    stage.press("t");
    stage.type_text("10m");
    stage.press("enter R");
    assert!(
        stage.text().contains("this is the past"),
        "{}",
        stage.text()
    );
}

#[test]
fn a_rollout_is_steered_and_a_refusal_keeps_the_reason() {
    let fleet = Fleet::busy();
    let mut stage = at("rollouts/prod/fraud", (120, 40), &fleet);
    stage.press("a p");
    stage.tell(Msg::Seen);
    stage.type_text("looking into it");
    stage.press("enter");
    let deed = only_deed(&stage);
    let (revision, steer) = (41, Steer::Pause);
    assert_eq!(deed.act, Act::Steer { revision, steer });
    stage.effects.clear();
    let result = Err(Refused {
        why: "prod/fraud is confirming: it cannot be paused".into(),
        is_conflict: false,
    });
    let wish = Wish::Endpoint(Box::new(deed));
    stage.tell(Msg::Done { wish, result });
    let text = stage.text();
    assert!(text.contains("reason: looking into it"), "{text}");
    assert!(text.contains("it cannot be paused"), "{text}");
    stage.tell(Msg::Seen);
    stage.press("enter");
    assert_eq!(only_deed(&stage).reason, "looking into it");
}

#[test]
fn what_cannot_be_steered_says_why() {
    let stage = |fleet: &Fleet| {
        let mut stage = at("rollouts/prod/fraud", (120, 40), fleet);
        stage.press("a");
        stage.text()
    };
    let calm = stage(&Fleet::calm());
    assert!(calm.contains("not now: nothing is under way"), "{calm}");
    let mut fleet = Fleet::busy();
    let held = stage(&fleet);
    assert!(held.contains("its last step comes first"), "{held}");
    assert!(held.contains("not now: it is not paused"), "{held}");
    fleet.phase = Some("rolling_back");
    let back = stage(&fleet);
    assert!(back.contains("on their way back already"), "{back}");
}

#[test]
fn an_abort_in_a_protected_environment_asks_for_the_name() {
    let mut stage = at("rollouts/prod/fraud", (120, 40), &Fleet::busy());
    stage.press("a x");
    stage.tell(Msg::Seen);
    assert!(
        stage.text().contains("type fraud to go on"),
        "{}",
        stage.text()
    );
}

#[test]
fn a_version_is_deployed_from_the_keyboard() {
    let fleet = Fleet::calm();
    let mut stage = deploying((120, 40));
    stage.press("enter");
    stage.type_text("canary:5%");
    stage.press("enter enter");
    stage.type_text("quarterly");
    stage.press("enter");
    assert!(stage.text().contains("is no strategy"), "{}", stage.text());
    stage.type_text("/10m");
    stage.press("enter enter enter");
    told(&mut stage, &fleet);
    let text = stage.text();
    assert!(
        text.contains("DEPLOY  prod/fraud  rev 40 → rev 41"),
        "{text}"
    );
    assert!(text.contains("reason: quarterly"), "{text}");
    stage.tell(Msg::Seen);
    stage.type_text("fraud");
    stage.press("enter enter");
    let deed = only_deed(&stage);
    assert_eq!(
        deed.command(),
        "binnacle deploy fraud@8 --to prod/fraud --strategy canary:5%/10m --reason quarterly"
    );
}

#[test]
fn a_blocked_version_is_lifted_with_a_reason_and_a_revision_is_gone_back_to() {
    let fleet = Fleet::calm();
    let mut stage = at("rollouts/prod/fraud", (120, 40), &fleet);
    stage.press("j a l");
    stage.tell(Msg::Seen);
    stage.type_text("mended");
    stage.press("enter");
    let lift = Act::Lift("fraud@6".parse().unwrap());
    assert_eq!(only_deed(&stage).act, lift);
    stage.press("G a b");
    told(&mut stage, &fleet);
    assert!(stage.text().contains("rev 40 → rev 38"), "{}", stage.text());
}

#[test]
fn what_is_under_way_is_told_on_every_screen() {
    let mut fleet = Fleet::busy();
    fleet.phase = Some("confirming");
    for view in ["overview", "hosts", "models", "journal", "latency"] {
        let stage = at(view, (120, 40), &fleet);
        let text = stage.text();
        let line = text
            .lines()
            .find(|line| line.starts_with(" ▸ prod/fraud rev 41"));
        let line = line.unwrap_or_else(|| panic!("{view}:\n{text}"));
        assert!(line.contains("confirm within 3m"), "{line}");
    }
    let calm = at("hosts", (120, 40), &Fleet::calm());
    assert!(!calm.text().contains('▸'), "{}", calm.text());
}

#[test]
fn the_overview_says_what_is_wrong_with_endpoints_and_what_to_press() {
    let mut fleet = Fleet::busy();
    fleet.verdict = json!("roll_back");
    for (title, size) in stage::SIZES {
        let stage = at("overview", size, &fleet);
        insta::assert_snapshot!(format!("overview-endpoints-{title}"), stage.text());
    }
    let mut stage = at("overview", (80, 24), &fleet);
    stage.press("R");
    told(&mut stage, &fleet);
    assert!(
        stage.text().contains("ROLL BACK  prod/fraud"),
        "{}",
        stage.text()
    );
    stage.press("esc enter");
    told(&mut stage, &fleet);
    assert!(
        stage.line(1).contains("Rollouts > prod/fraud"),
        "{}",
        stage.text()
    );
}

#[test]
fn each_state_of_a_rollout_is_told_on_the_overview_with_what_to_press() {
    let few = json!({"inconclusive": {"seen": 4, "need": 500}});
    for (phase, verdict, what, next) in [
        (
            "confirming",
            json!("promote"),
            "rev 41 is not confirmed: hosts go back in 3m",
            "a, then c keeps it; R takes it back",
        ),
        (
            "paused",
            json!("promote"),
            "rev 41 is paused at step 2/3",
            "a, then u goes on; R takes it back",
        ),
        (
            "judging",
            few,
            "rev 41 is held at step 2/3",
            "unknown: not enough requests",
        ),
        (
            "rolling_back",
            json!("roll_back"),
            "rev 41 goes back",
            "hosts go back by themselves",
        ),
    ] {
        let mut fleet = Fleet::busy();
        fleet.phase = Some(phase);
        fleet.verdict = verdict;
        let stage = at("overview", (200, 60), &fleet);
        let text = stage.text();
        assert!(text.contains(what), "{phase}:\n{text}");
        assert!(text.contains(next), "{phase}:\n{text}");
        assert!(text.contains("▸ prod/fraud"), "{phase}:\n{text}");
    }
    let calm = at("overview", (200, 60), &Fleet::calm());
    assert!(!calm.text().contains("rev 41"), "{}", calm.text());
}
