//! From what something was made, and what was made from it: a tree, walked both ways.

use std::collections::BTreeSet;

use super::reference::{Object, Reference};
use super::{Registry, Standing};

/// Steps from the root at most: a model made from a model made from a model, …
pub const MAX_DEPTH: usize = 32;
/// Nodes of one tree at most: what a person can scroll through.
pub const MAX_NODES: usize = 2_000;

/// Which way the tree grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Towards what it was made from.
    Sources,
    /// Towards what was made from it.
    Uses,
}

/// One thing in a tree of lineage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is to the thing above it: `train`, `features`, `parent`, `trained`, …
    pub relation: &'static str,
    /// The thing.
    pub object: Object,
    /// Whether it should not be used any more.
    pub is_deprecated: bool,
    /// What is below it.
    pub below: Vec<Self>,
    /// Whether something below it is left out: it stands elsewhere in the tree, or is too far.
    pub is_cut: bool,
}

struct Walk<'a> {
    registry: &'a Registry,
    way: Way,
    seen: BTreeSet<Object>,
}

impl Registry {
    /// The tree of `root`; `None` where there is no such version.
    pub fn lineage(&self, root: &Object, way: Way) -> Option<Node> {
        self.revision(root)?;
        let seen = BTreeSet::new();
        let mut walk = Walk {
            registry: self,
            way,
            seen,
        };
        Some(walk.node("", root.clone(), 0))
    }
}

impl Walk<'_> {
    fn node(&mut self, relation: &'static str, object: Object, depth: usize) -> Node {
        let standing = self.registry.standing(&object);
        let is_deprecated = standing.is_some_and(|standing| !Standing::is_active(standing));
        let next = match self.way {
            Way::Sources => self.sources(&object),
            Way::Uses => self.uses(&object),
        };
        let is_first = self.seen.insert(object.clone());
        let is_cut = !next.is_empty()
            && (!is_first || depth >= MAX_DEPTH || self.seen.len() + next.len() > MAX_NODES);
        let below = match is_cut {
            true => Vec::new(),
            false => {
                let below = next.into_iter();
                below
                    .map(|(relation, object)| self.node(relation, object, depth + 1))
                    .collect()
            }
        };
        Node {
            relation,
            object,
            is_deprecated,
            below,
            is_cut,
        }
    }

    fn sources(&self, object: &Object) -> Vec<(&'static str, Object)> {
        let Object::Version(version) = object else {
            return Vec::new();
        };
        let Some(version) = self.registry.version(version) else {
            return Vec::new();
        };
        let trained = version.data_sets.iter().map(|trained| {
            let object = Object::DataSetVersion(trained.data_set.clone());
            (trained.role.word(), object)
        });
        let features = version.feature_set.clone();
        let features = features.map(|set| ("features", Object::FeatureSetVersion(set)));
        let parent = version.parent.clone();
        let parent = parent.map(|parent| ("parent", Object::Version(parent)));
        trained.chain(features).chain(parent).collect()
    }

    fn uses(&self, object: &Object) -> Vec<(&'static str, Object)> {
        match object {
            Object::Version(version) => {
                let Some(found) = self.registry.version(version) else {
                    return Vec::new();
                };
                let children = found.children.iter();
                children
                    .map(|version| ("child", Object::Version(version.clone())))
                    .collect()
            }
            Object::DataSetVersion(version) => {
                let Some(found) = self.registry.data_set(version) else {
                    return Vec::new();
                };
                let trained = found.trained();
                trained
                    .map(|(version, role)| (role.word(), Object::Version(version)))
                    .collect()
            }
            Object::FeatureSetVersion(version) => {
                let Some(found) = self.registry.feature_set(version) else {
                    return Vec::new();
                };
                let given = found.given.iter();
                given
                    .map(|version| ("features", Object::Version(version.clone())))
                    .collect()
            }
            Object::DataSet(_) | Object::FeatureSet(_) | Object::Model(_) => self.versions(object),
            Object::Environment(_) => Vec::new(),
        }
    }

    fn versions(&self, object: &Object) -> Vec<(&'static str, Object)> {
        let numbers = |count: usize| (1..=count as u32).filter_map(std::num::NonZeroU32::new);
        match object {
            Object::DataSet(name) => {
                let held = self.registry.data_sets.get(name);
                let numbers = numbers(held.map_or(0, |set| set.versions.len()));
                let reference = |number| Reference {
                    name: name.clone(),
                    number,
                };
                numbers
                    .map(|number| ("version", Object::DataSetVersion(reference(number))))
                    .collect()
            }
            Object::FeatureSet(name) => {
                let held = self.registry.feature_sets.get(name);
                let numbers = numbers(held.map_or(0, |set| set.versions.len()));
                let reference = |number| Reference {
                    name: name.clone(),
                    number,
                };
                numbers
                    .map(|number| ("version", Object::FeatureSetVersion(reference(number))))
                    .collect()
            }
            Object::Model(name) => {
                let held = self.registry.models.get(name);
                let numbers = numbers(held.map_or(0, |model| model.versions.len()));
                let reference = |number| Reference {
                    name: name.clone(),
                    number,
                };
                numbers
                    .map(|number| ("version", Object::Version(reference(number))))
                    .collect()
            }
            Object::Version(_)
            | Object::DataSetVersion(_)
            | Object::FeatureSetVersion(_)
            | Object::Environment(_) => Vec::new(),
        }
    }
}
