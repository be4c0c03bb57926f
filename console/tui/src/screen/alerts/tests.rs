//! The list of alerts and the page of one, as they look and as they answer.

use crate::msg::{Effect, Msg};
use crate::question::alert::{Act, Deed};
use crate::question::{Refused, Wish};
use crate::screen::models::tests::dark;
use crate::stage::alerts::{Alerts, at_place, told};
use crate::stage::{self, Stage};

/// Every state of a screen in every size.
#[track_caller]
fn looks(name: &str, place: &str) {
    let full = Alerts {
        trouble: "503 Service Unavailable",
        ..Alerts::default()
    };
    for (title, size) in stage::SIZES {
        let stage = at_place(place, size, &full);
        insta::assert_snapshot!(format!("{name}-full-{title}"), stage.text());
        let mut stale = at_place(place, size, &full);
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("{name}-stale-{title}"), stale.text());
        let mut loading = dark(place, size);
        loading.connect();
        insta::assert_snapshot!(format!("{name}-loading-{title}"), loading.text());
        let empty = Alerts {
            is_empty: true,
            ..Alerts::default()
        };
        let nothing = at_place(place, size, &empty);
        insta::assert_snapshot!(format!("{name}-empty-{title}"), nothing.text());
        let mut broken = dark(place, size);
        broken.connect();
        broken.answer(|_| Err("the disk is full".into()));
        insta::assert_snapshot!(format!("{name}-broken-{title}"), broken.text());
    }
}

#[test]
fn the_list_looks() {
    looks("alerts", "alerts");
}

#[test]
fn the_page_looks() {
    looks("alert", "alerts/812");
}

/// What was asked to be done about alerts.
fn deeds(stage: &Stage) -> Vec<Deed> {
    let deed = |effect: &Effect| {
        let Effect::Do(Wish::Alert(deed)) = effect else {
            return None;
        };
        Some(Deed::clone(deed))
    };
    stage.effects.iter().filter_map(deed).collect()
}

#[test]
fn an_alert_is_acknowledged_once_the_question_was_seen() {
    let mut stage = at_place("alerts", (80, 24), &Alerts::default());
    stage.press("a a");
    stage.press("y");
    assert_eq!(deeds(&stage), [], "nobody has seen the question yet");
    stage.tell(Msg::Seen);
    stage.press("y");
    let deed = Deed {
        alert: 812,
        act: Act::Acknowledge,
        reason: String::new(),
    };
    assert_eq!(deeds(&stage), [deed], "{}", stage.text());
}

#[test]
fn a_silence_wants_a_reason_and_a_refusal_is_told_in_the_words_of_the_hub() {
    let mut stage = at_place("alerts/812", (80, 24), &Alerts::default());
    stage.press("a 8");
    stage.tell(Msg::Seen);
    stage.press("enter");
    assert_eq!(deeds(&stage), [], "a silence has a reason");
    stage.type_text("crm is down");
    stage.press("enter");
    let deed = Deed {
        alert: 812,
        act: Act::Silence(28_800),
        reason: "crm is down".into(),
    };
    assert_eq!(
        deeds(&stage),
        std::slice::from_ref(&deed),
        "{}",
        stage.text()
    );
    let result = Err(Refused {
        why: "alert 812 is closed".into(),
        is_conflict: false,
    });
    let wish = Wish::Alert(Box::new(deed));
    stage.tell(Msg::Done { wish, result });
    assert!(stage.text().contains("alert 812 is closed"));
}

#[test]
fn what_was_done_is_asked_for_at_once() {
    let mut stage = at_place("alerts", (80, 24), &Alerts::default());
    assert!(stage.text().contains("open"), "{}", stage.text());
    let deed = Deed {
        alert: 812,
        act: Act::Silence(3_600),
        reason: "crm is down".into(),
    };
    let wish = Wish::Alert(Box::new(deed));
    let result = Ok("alert 812 is silenced: journal 815".to_owned());
    stage.tell(Msg::Done { wish, result });
    stage.wait(1_000_000);
    let silenced = Alerts {
        is_silenced: true,
        ..Alerts::default()
    };
    told(&mut stage, &silenced);
    assert!(stage.text().contains("silenced"), "{}", stage.text());
    stage.press("a");
    assert!(stage.text().contains("end the silence"), "{}", stage.text());
}

#[test]
fn what_cannot_be_done_says_why() {
    let mut stage = at_place("alerts/809", (120, 40), &Alerts::default());
    stage.press("a");
    let text = stage.text();
    assert!(text.contains("uid 1001 (alice) knows of it"), "{text}");
    let mut stage = at_place("alerts/700", (120, 40), &Alerts::default());
    stage.press("a");
    let text = stage.text();
    assert!(text.contains("it is closed"), "{text}");
    let mut stage = at_place("alerts/812", (120, 40), &Alerts::default());
    stage.lose();
    stage.press("a");
    let text = stage.text();
    assert!(text.contains("the hub is not connected"), "{text}");
}

#[test]
fn from_an_alert_one_rolls_back_and_comes_to_its_endpoint() {
    let mut stage = at_place("alerts", (120, 40), &Alerts::default());
    stage.press("R");
    told(&mut stage, &Alerts::default());
    let text = stage.text();
    assert!(text.contains("ROLL BACK  prod/fraud"), "{text}");
    stage.press("esc enter");
    told(&mut stage, &Alerts::default());
    assert!(stage.line(1).contains("812"), "{}", stage.text());
    stage.press("enter");
    told(&mut stage, &Alerts::default());
    let text = stage.text();
    assert!(stage.line(1).contains("Rollouts > prod/fraud"), "{text}");
}

#[test]
fn a_filter_shows_what_is_open() {
    let mut stage = at_place("alerts", (120, 40), &Alerts::default());
    stage.press("/");
    stage.type_text("state=closed");
    stage.press("enter");
    let text = stage.text();
    assert!(text.contains("700"), "{text}");
    assert!(!text.contains("812"), "{text}");
}
