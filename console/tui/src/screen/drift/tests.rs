//! The list of watched inputs and the page of one version, as they look and as they answer.

use crate::msg::{Effect, Msg};
use crate::question::Wish;
use crate::screen::models::tests::dark;
use crate::stage;
use crate::stage::drift::{Inputs, at_place, told};

/// Every state of a screen in every size.
#[track_caller]
fn looks(name: &str, place: &str) {
    for (title, size) in stage::SIZES {
        let stage = at_place(place, size, &Inputs::default());
        insta::assert_snapshot!(format!("{name}-full-{title}"), stage.text());
        let mut stale = at_place(place, size, &Inputs::default());
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("{name}-stale-{title}"), stale.text());
        let mut loading = dark(place, size);
        loading.connect();
        insta::assert_snapshot!(format!("{name}-loading-{title}"), loading.text());
        let empty = Inputs {
            is_empty: true,
            ..Inputs::default()
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
    looks("drift", "drift");
}

#[test]
fn the_page_looks() {
    looks("inputs", "drift/prod/churn/churn@14");
}

#[test]
fn what_moved_stays_first_when_the_alarm_has_set_its_evidence_to_nothing() {
    let after = Inputs {
        is_after: true,
        ..Inputs::default()
    };
    let text = at_place("drift/prod/churn/churn@14", (120, 40), &after).text();
    let features = text.split("FEATURE ").nth(1).unwrap();
    let first = features.lines().nth(1).unwrap();
    assert!(first.trim().starts_with("tenure"), "{text}");
    assert!(text.contains("scale ×12"), "{text}");
    assert!(!text.contains("missing 0 →"), "what did not move: {text}");
}

#[test]
fn what_moved_is_taken_as_normal_with_a_reason_and_is_over() {
    let mut stage = at_place("drift", (120, 40), &Inputs::default());
    assert!(stage.text().contains("x moved"), "{}", stage.text());
    stage.press("a n");
    stage.tell(Msg::Seen);
    stage.press("enter");
    let wishes = |stage: &stage::Stage| -> Vec<String> {
        let wish = |effect: &Effect| {
            let Effect::Do(wish @ Wish::Rebaseline(_)) = effect else {
                return None;
            };
            Some(wish.command())
        };
        stage.effects.iter().filter_map(wish).collect()
    };
    assert!(wishes(&stage).is_empty(), "it has a reason");
    stage.type_text("months, now");
    stage.press("enter");
    let command = "binnacle drift rebaseline prod/churn --reason 'months, now'";
    assert_eq!(wishes(&stage), [command]);
    let normal = Inputs {
        is_normal: true,
        ..Inputs::default()
    };
    stage.wait(5_000_000);
    told(&mut stage, &normal);
    assert!(!stage.text().contains("x moved"), "{}", stage.text());
    stage.press("a");
    assert!(
        stage.text().contains("nothing moved here"),
        "{}",
        stage.text()
    );
}

#[test]
fn from_the_list_one_comes_to_the_features_and_to_the_endpoint() {
    let mut stage = at_place("drift", (120, 40), &Inputs::default());
    stage.press("enter");
    told(&mut stage, &Inputs::default());
    let text = stage.text();
    assert!(text.contains("scale ×12 (months for years)"), "{text}");
    assert!(
        text.contains("upstream: tenure moved on 38/38 hosts"),
        "{text}"
    );
    stage.press("g r");
    told(&mut stage, &Inputs::default());
    assert!(stage.line(1).contains("prod/churn"), "{}", stage.text());
}

#[test]
fn a_filter_shows_what_moved() {
    let mut stage = at_place("drift", (120, 40), &Inputs::default());
    stage.press("/");
    stage.type_text("state=moved");
    stage.press("enter");
    let text = stage.text();
    assert!(text.contains("churn@14"), "{text}");
    assert!(!text.contains("fraud@7"), "{text}");
}

#[test]
fn counts_are_told_of_any_span_and_of_the_past() {
    let mut stage = at_place("drift/prod/churn/churn@14", (120, 40), &Inputs::default());
    let counted = |stage: &stage::Stage| {
        let text = stage.text();
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with("counted"));
        line.unwrap_or_default().to_owned()
    };
    let all = counted(&stage);
    assert!(
        all.contains("5d") && all.contains("<-> shorter") && !all.contains("longer"),
        "{all}"
    );
    for _ in 0..5 {
        stage.press("-");
        assert!(
            !stage.text().contains("Loading"),
            "what was told stays: {}",
            stage.text()
        );
        told(&mut stage, &Inputs::default());
    }
    let least = counted(&stage);
    assert!(
        least.contains("5m") && !least.contains("shorter"),
        "{least}"
    );
    stage.press("-");
    assert!(
        stage.text().contains("5 min is as far as it goes"),
        "{}",
        stage.text()
    );
    stage.press("!");
    let command = "binnacle drift show prod/churn --version churn@14 --since 5m";
    assert!(stage.text().contains(command), "{}", stage.text());
    stage.press("esc");
    for _ in 0..5 {
        stage.press("+");
        told(&mut stage, &Inputs::default());
    }
    assert_eq!(counted(&stage), all);
}
