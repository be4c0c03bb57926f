//! The registry as the fold of its changes. Total: what does not fit changes nothing.

use std::sync::Arc;

use super::artifact::{Artifact, Location};
use super::change::{
    Carded, Change, FeatureSetDetail, Goldened, Moved, Noted, Pointed, Registered, Ruled,
};
use super::reference::{Object, Reference};
use super::version::{Trained, TrainedOn, VersionDetail};
use super::{
    Alias, Card, Children, DataSet, DataSetDetail, DataSetVersion, Deprecation, Environment,
    FeatureSet, FeatureSetVersion, Files, Format, Head, Lie, List, Model, Move, Registry, Said,
    Size, Standing, Version, place,
};
use crate::caller::Caller;
use crate::name::Name;

/// Where and when a change stands in the journal.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The entry.
    pub sequence: u64,
    /// When it was decided.
    pub at_us: i64,
    /// Who asked for it.
    pub caller: &'a Caller,
    /// Why, in the caller's words.
    pub why: &'a str,
}

impl Head {
    fn new(at: Place<'_>) -> Self {
        Self {
            said: List::from_iter([Said {
                at_us: at.at_us,
                ..Said::default()
            }]),
            revision: at.sequence,
            history: List::default(),
        }
    }

    fn note(&mut self, at: Place<'_>) {
        self.history.push_back(at.sequence);
    }

    fn say(&mut self, carded: &Carded, at: Place<'_>) {
        let card = Arc::new(carded.card.clone());
        let standing = self.now().standing.clone();
        self.becomes(card, standing, at);
    }

    fn settle(&mut self, standing: Standing, at: Place<'_>) {
        let card = self.now().card.clone();
        self.becomes(card, standing, at);
    }

    fn becomes(&mut self, card: Arc<Card>, standing: Standing, at: Place<'_>) {
        let at_us = at.at_us;
        // The first card comes with the name: there was no moment without it.
        if self.history.is_empty() {
            self.said = List::default();
        }
        self.said.push_back(Said {
            at_us,
            card,
            standing,
        });
        self.revision = at.sequence;
        self.note(at);
    }
}

impl Model {
    fn new(at: Place<'_>) -> Self {
        Self {
            head: Head::new(at),
            versions: List::default(),
            aliases: imbl::OrdMap::new(),
            golden: imbl::OrdMap::new(),
        }
    }
}

impl Registry {
    /// Folds a change in.
    pub(crate) fn apply(&mut self, change: &Change, at: Place<'_>) {
        match change {
            Change::ModelCreated(carded) => {
                let mut model = Model::new(at);
                model.head.say(carded, at);
                self.models.insert(carded.name.clone(), Arc::new(model));
            }
            Change::ModelEdited(carded) => {
                self.model(&carded.name, |model| model.head.say(carded, at));
            }
            Change::ModelDeleted(named) => {
                self.models.remove(&named.name);
            }
            Change::VersionRegistered(registered) => self.register(registered, at),
            Change::VersionNoted(noted) => self.note(noted, at),
            Change::VersionGolden(goldened) => self.gild(goldened, at),
            Change::AliasMoved(moved) => self.move_alias(moved, at),
            Change::DataSetRegistered(registered) => self.register_data(registered, at),
            Change::DataSetEdited(carded) => {
                if let Some(set) = self.data_sets.get_mut(&carded.name) {
                    Arc::make_mut(set).head.say(carded, at);
                }
            }
            Change::FeatureSetRegistered(registered) => self.register_features(registered, at),
            Change::FeatureSetEdited(carded) => {
                if let Some(set) = self.feature_sets.get_mut(&carded.name) {
                    Arc::make_mut(set).head.say(carded, at);
                }
            }
            Change::EnvironmentSet(Ruled { environment, rules }) => {
                let known = self.environments.get(environment);
                let mut history = known.map(|known| known.history.clone()).unwrap_or_default();
                history.push_back(at.sequence);
                let before = known.filter(|known| known.rules.freeze == rules.freeze);
                let set = Environment {
                    frozen_by: match (&rules.freeze, before) {
                        (None, _) => None,
                        (Some(_), Some(known)) => known.frozen_by.clone(),
                        (Some(_), None) => Some(at.caller.clone()),
                    },
                    rules: rules.clone(),
                    revision: at.sequence,
                    at_us: at.at_us,
                    history,
                };
                self.environments.insert(environment.clone(), set);
            }
            Change::Deprecated(Pointed { object }) => {
                let deprecation = Deprecation {
                    why: at.why.into(),
                    at_us: at.at_us,
                };
                self.settle(object, Standing::Deprecated(Arc::new(deprecation)), at);
            }
            Change::Restored(Pointed { object }) => self.settle(object, Standing::Active, at),
            Change::Imported(imported) => {
                let place = Place {
                    at_us: imported.at_us,
                    caller: &imported.caller,
                    why: &imported.why,
                    ..at
                };
                self.apply(&imported.change, place);
            }
        }
    }

    fn model(&mut self, name: &Name, change: impl FnOnce(&mut Model)) {
        if let Some(model) = self.models.get_mut(name) {
            change(Arc::make_mut(model));
        }
    }

    fn register(&mut self, registered: &Registered<VersionDetail>, at: Place<'_>) {
        let Registered { version, detail } = registered;
        let version = self.shared(version, Kind::Model);
        let trained = detail.data_sets.iter().map(|trained| Trained {
            data_set: self.shared(&trained.data_set, Kind::DataSet),
            role: trained.role,
        });
        // Sorted, unique and few, as those that they were made from.
        let data_sets = TrainedOn::parse(trained.collect()).unwrap_or_default();
        let feature_set = detail.feature_set.as_ref();
        let feature_set = feature_set.map(|set| self.shared(set, Kind::FeatureSet));
        let parent = detail.parent.as_ref();
        let parent = parent.map(|parent| self.shared(parent, Kind::Model));
        for Trained { data_set, role } in data_sets.iter() {
            if let Some(set) = self.data_sets.get_mut(&data_set.name)
                && let Some(used) = Arc::make_mut(set).versions.get_mut(place(data_set.number))
            {
                let Reference { name, number } = version.clone();
                used.trained.push_back((name, number, *role));
            }
        }
        if let Some(set) = &feature_set
            && let Some(known) = self.feature_sets.get_mut(&set.name)
            && let Some(used) = Arc::make_mut(known).versions.get_mut(place(set.number))
        {
            used.given.push_back(version.clone());
        }
        if let Some(parent) = &parent {
            self.model(&parent.name, |model| {
                if let Some(parent) = model.versions.get_mut(place(parent.number)) {
                    parent.children.push(version.clone());
                }
            });
        }
        let artifact = detail.artifact.as_ref();
        let artifact = artifact.map(|artifact| self.files(artifact));
        let registered = Version {
            sequence: at.sequence,
            at_us: at.at_us,
            revision: 0,
            noted: 0,
            artifact,
            data_sets,
            feature_set,
            parent,
            children: Children::default(),
            standing: Standing::Active,
        };
        let golden = detail.golden;
        self.model(&version.name, |model| {
            model.versions.push_back(registered);
            model.head.note(at);
            if let Some(golden) = golden {
                model.golden.insert(version.number, golden);
            }
        });
    }

    fn note(&mut self, noted: &Noted, at: Place<'_>) {
        self.model(&noted.version.name, |model| {
            model.head.note(at);
            if let Some(version) = model.versions.get_mut(place(noted.version.number)) {
                version.noted = at.sequence;
                version.revision = at.sequence;
            }
        });
    }

    fn gild(&mut self, goldened: &Goldened, at: Place<'_>) {
        let number = goldened.version.number;
        self.model(&goldened.version.name, |model| {
            model.head.note(at);
            if let Some(version) = model.versions.get_mut(place(number)) {
                version.revision = at.sequence;
                match goldened.golden {
                    Some(golden) => model.golden.insert(number, golden),
                    None => model.golden.remove(&number),
                };
            }
        });
    }

    fn move_alias(&mut self, moved: &Moved, at: Place<'_>) {
        self.model(&moved.model, |model| {
            model.head.note(at);
            let mut alias = model.aliases.get(&moved.alias).cloned();
            let alias = alias.get_or_insert_with(Alias::default);
            alias.moves.push_back(Move {
                sequence: at.sequence,
                at_us: at.at_us,
                to: moved.to,
            });
            model.aliases.insert(moved.alias.clone(), alias.clone());
        });
    }

    fn register_data(&mut self, registered: &Registered<DataSetDetail>, at: Place<'_>) {
        let Registered { version, detail } = registered;
        let known = self.data_sets.get(&version.name);
        let mut set = known.map_or_else(
            || DataSet {
                head: Head::new(at),
                versions: List::default(),
            },
            |known| DataSet::clone(known),
        );
        set.versions.push_back(DataSetVersion {
            sequence: at.sequence,
            at_us: at.at_us,
            revision: 0,
            digest: detail.digest,
            profile: detail.profile,
            rows: detail.rows,
            trained: List::default(),
            standing: Standing::Active,
        });
        set.head.note(at);
        self.data_sets.insert(version.name.clone(), Arc::new(set));
    }

    fn register_features(&mut self, registered: &Registered<FeatureSetDetail>, at: Place<'_>) {
        let Registered { version, detail } = registered;
        let known = self.feature_sets.get(&version.name);
        let mut set = known.map_or_else(
            || FeatureSet {
                head: Head::new(at),
                versions: List::default(),
            },
            |known| FeatureSet::clone(known),
        );
        set.versions.push_back(FeatureSetVersion {
            sequence: at.sequence,
            at_us: at.at_us,
            revision: 0,
            features: detail.features.clone(),
            given: List::default(),
            standing: Standing::Active,
        });
        set.head.note(at);
        self.feature_sets
            .insert(version.name.clone(), Arc::new(set));
    }

    fn settle(&mut self, object: &Object, standing: Standing, at: Place<'_>) {
        match object {
            Object::Model(name) => self.model(name, |model| model.head.settle(standing, at)),
            Object::Version(version) => self.model(&version.name, |model| {
                model.head.note(at);
                if let Some(version) = model.versions.get_mut(place(version.number)) {
                    version.standing = standing;
                    version.revision = at.sequence;
                }
            }),
            Object::DataSet(name) => {
                if let Some(set) = self.data_sets.get_mut(name) {
                    Arc::make_mut(set).head.settle(standing, at);
                }
            }
            Object::DataSetVersion(version) => {
                if let Some(set) = self.data_sets.get_mut(&version.name) {
                    let set = Arc::make_mut(set);
                    set.head.note(at);
                    if let Some(version) = set.versions.get_mut(place(version.number)) {
                        version.standing = standing;
                        version.revision = at.sequence;
                    }
                }
            }
            Object::FeatureSet(name) => {
                if let Some(set) = self.feature_sets.get_mut(name) {
                    Arc::make_mut(set).head.settle(standing, at);
                }
            }
            Object::FeatureSetVersion(version) => {
                if let Some(set) = self.feature_sets.get_mut(&version.name) {
                    let set = Arc::make_mut(set);
                    set.head.note(at);
                    if let Some(version) = set.versions.get_mut(place(version.number)) {
                        version.standing = standing;
                        version.revision = at.sequence;
                    }
                }
            }
            // Environments are not deprecated; the command refuses it.
            Object::Environment(_) => {}
        }
    }

    fn files(&mut self, artifact: &Artifact) -> Files {
        Files {
            sha256: artifact.sha256,
            bytes: Size::of(artifact.bytes),
            format: Format::of(&mut self.formats, &artifact.format),
            lie: match artifact.location {
                Location::Stored => Lie::File,
                Location::Folder => Lie::Folder,
                Location::Referred(_) => Lie::Elsewhere,
            },
        }
    }

    /// The same reference, its name shared with the one that the registry holds: a million
    /// versions would else hold a million copies of a few names.
    fn shared(&self, reference: &Reference, kind: Kind) -> Reference {
        let name = match kind {
            Kind::Model => self
                .models
                .get_key_value(&reference.name)
                .map(|(name, _)| name),
            Kind::DataSet => self
                .data_sets
                .get_key_value(&reference.name)
                .map(|(name, _)| name),
            Kind::FeatureSet => {
                let known = self.feature_sets.get_key_value(&reference.name);
                known.map(|(name, _)| name)
            }
        };
        let name = name.unwrap_or(&reference.name).clone();
        Reference { name, ..*reference }
    }
}

/// Whose names are looked through.
#[derive(Clone, Copy)]
enum Kind {
    Model,
    DataSet,
    FeatureSet,
}
