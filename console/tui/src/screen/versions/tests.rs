//! Versions, a version's page and two beside each other, as they look and as they answer.

use crate::screen::models::tests::{at, looks, told};
use crate::stage::registry::Registry;

#[test]
fn the_list_looks() {
    looks("versions", "versions/fraud", &Registry::of(0));
}

#[test]
fn the_page_looks() {
    looks("version", "versions/fraud@8", &Registry::of(0));
}

#[test]
fn two_beside_each_other_look() {
    looks("compare", "versions/fraud@3..fraud@8", &Registry::of(0));
}

#[test]
fn without_a_model_one_is_chosen_first() {
    let registry = Registry::of(3);
    let mut stage = at("versions", (80, 24), &registry);
    assert!(
        stage.line(1).contains("of which model?"),
        "{}",
        stage.text()
    );
    stage.press("enter");
    told(&mut stage, &registry);
    assert!(
        stage.line(1).contains("Versions > fraud"),
        "{}",
        stage.text()
    );
}

#[test]
fn two_marked_versions_are_compared_the_older_at_the_left() {
    let registry = Registry::of(3);
    let mut stage = at("versions/fraud", (120, 40), &registry);
    stage.press("D");
    assert!(
        stage.text().contains("mark two versions"),
        "{}",
        stage.text()
    );
    stage.press("space j space D");
    told(&mut stage, &registry);
    assert!(
        stage.line(1).contains("fraud@6 and fraud@8"),
        "{}",
        stage.text()
    );
    assert!(stage.text().contains("≠ metric auc"), "{}", stage.text());
    assert!(stage.text().contains("+0.002"), "{}", stage.text());
    stage.press("z");
    assert!(!stage.text().contains("recall"), "{}", stage.text());
    stage.press("!");
    assert!(
        stage
            .text()
            .contains("binnacle version compare fraud@6 fraud@8"),
        "{}",
        stage.text()
    );
}
