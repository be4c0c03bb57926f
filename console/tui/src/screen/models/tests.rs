//! The list of models and a model's page, as they look and as they answer.

use crate::msg::{Effect, Msg};
use crate::question::Question;
use crate::question::registry::PAGE;
use crate::screen::Place;
use crate::stage::registry::Registry;
use crate::stage::{self, Stage};

/// A console at a place, with everything answered that it asks.
pub(crate) fn at(place: &str, size: (u16, u16), registry: &Registry) -> Stage {
    let mut stage = dark(place, size);
    stage.connect();
    stage.tell(Msg::Glances(stage::glances(8)));
    told(&mut stage, registry);
    stage
}

/// A console at a place that is not connected.
pub(crate) fn dark(place: &str, size: (u16, u16)) -> Stage {
    let (view, object) = place.split_once('/').unwrap_or((place, ""));
    let mut setup = stage::setup(view, size);
    setup.open = Some(Place {
        view: view.into(),
        object: object.into(),
        ..Place::default()
    });
    Stage::of(setup)
}

/// Answers until nothing is asked any more, and the selection has rested.
pub(crate) fn told(stage: &mut Stage, registry: &Registry) {
    for _ in 0..6 {
        stage.answer(|question| registry.answer(question));
        stage.wait(200_000);
    }
}

/// Every state of a screen in every size.
#[track_caller]
pub(crate) fn looks(name: &str, place: &str, empty: &Registry) {
    for (title, size) in stage::SIZES {
        let full = at(place, size, &Registry::of(120));
        insta::assert_snapshot!(format!("{name}-full-{title}"), full.text());
        let mut stale = at(place, size, &Registry::of(120));
        stale.lose();
        stale.wait(43_000_000);
        insta::assert_snapshot!(format!("{name}-stale-{title}"), stale.text());
        let mut loading = dark(place, size);
        loading.connect();
        insta::assert_snapshot!(format!("{name}-loading-{title}"), loading.text());
        let nothing = at(place, size, empty);
        insta::assert_snapshot!(format!("{name}-empty-{title}"), nothing.text());
        let mut broken = dark(place, size);
        broken.connect();
        broken.answer(|_| Err("the disk is full".into()));
        insta::assert_snapshot!(format!("{name}-broken-{title}"), broken.text());
    }
}

#[test]
fn the_list_looks() {
    looks("models", "models", &Registry::of(0));
}

#[test]
fn the_page_looks() {
    looks("model", "models/fraud", &Registry::of(0));
}

fn pages(stage: &Stage) -> Vec<u32> {
    let page = |effect: &Effect| {
        let Effect::Ask {
            question: Question::Listed(listing),
            ..
        } = effect
        else {
            return None;
        };
        Some(listing.page)
    };
    stage.effects.iter().filter_map(page).collect()
}

#[test]
fn of_ten_thousand_models_only_the_pages_that_are_seen_are_asked_for() {
    let registry = Registry::of(10_000);
    let mut stage = at("models", (80, 24), &registry);
    assert!(stage.line(1).ends_with("10,000"), "{}", stage.text());
    stage.effects.clear();
    stage.press("G");
    assert_eq!(
        pages(&stage),
        [(10_000 - 22) / PAGE as u32, 9_999 / PAGE as u32]
    );
    told(&mut stage, &registry);
    assert!(stage.text().contains("▌ model-10000"), "{}", stage.text());
    stage.effects.clear();
    stage.press("k k k");
    assert_eq!(pages(&stage), [] as [u32; 0]);
    assert!(stage.text().contains("▌ model-09997"), "{}", stage.text());
    stage.press("/");
    stage.type_text("churn");
    told(&mut stage, &registry);
    assert!(stage.text().contains("▌ churn"), "{}", stage.text());
    assert!(stage.line(1).contains("filter: churn"), "{}", stage.text());
    stage.press("enter esc");
    told(&mut stage, &registry);
    assert!(stage.text().contains("▌ fraud"), "{}", stage.text());
}

#[test]
fn what_is_selected_stays_so_while_its_page_is_told_anew() {
    let mut stage = at("models", (80, 24), &Registry::of(40));
    stage.press("j j");
    assert!(stage.text().contains("▌ model-00003"), "{}", stage.text());
    let fewer = Registry::of(30);
    stage.tell(Msg::Entry(stage::registry::changed(77)));
    stage.wait(1_000_000);
    told(&mut stage, &fewer);
    assert!(stage.line(1).ends_with("30"), "{}", stage.text());
    assert!(stage.text().contains("▌ model-00003"), "{}", stage.text());
}

#[test]
fn one_thing_leads_to_another() {
    let registry = Registry::of(3);
    let mut stage = at("models", (120, 40), &registry);
    stage.press("enter");
    told(&mut stage, &registry);
    assert!(stage.line(1).contains("Models > fraud"), "{}", stage.text());
    stage.press("g v");
    told(&mut stage, &registry);
    assert!(
        stage.line(1).contains("Versions > fraud"),
        "{}",
        stage.text()
    );
    stage.press("enter");
    told(&mut stage, &registry);
    assert!(
        stage.line(1).contains("Versions > fraud > 8"),
        "{}",
        stage.text()
    );
    stage.press("j enter");
    told(&mut stage, &registry);
    assert!(
        stage.line(1).contains("Data sets > transactions > 3"),
        "{}",
        stage.text()
    );
    stage.press("q g m");
    told(&mut stage, &registry);
    assert!(stage.line(1).contains("Models > fraud"), "{}", stage.text());
    stage.press(":");
    stage.type_text("fraud@7");
    stage.press("enter");
    told(&mut stage, &registry);
    assert!(
        stage.line(1).contains("Versions > fraud > 7"),
        "{}",
        stage.text()
    );
}
