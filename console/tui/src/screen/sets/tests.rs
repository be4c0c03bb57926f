//! Data sets and feature sets, as they look.

use crate::screen::models::tests::{at, looks};
use crate::stage::registry::Registry;

#[test]
fn data_sets_look() {
    looks("datasets", "datasets", &Registry::of(0));
}

#[test]
fn a_version_of_a_data_set_looks() {
    looks("dataset", "datasets/transactions@3", &Registry::of(0));
}

#[test]
fn feature_sets_look() {
    let registry = Registry::of(1);
    for place in ["featuresets", "featuresets/cards", "featuresets/cards@2"] {
        let stage = at(place, (80, 24), &registry);
        insta::assert_snapshot!(place.replace('/', "-"), stage.text());
    }
}
