//! What is asked of the registry, what it answers, and what may be wished of it.

use std::fmt::Write as _;
use std::sync::Arc;

use binnacle_core::view::{
    AliasItem, Card, DataSetItem, DistanceItem, FeatureSetItem, LineageItem, ModelItem, Name,
    Number, ProfileItem, Prose, Reference, RegistryObject, SetItem, VersionItem,
};
use serde::{Deserialize, Serialize};

/// Rows of one page: what a screen shows touches two at most.
pub const PAGE: usize = 64;

/// A table of the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Noun {
    /// Every model.
    Models,
    /// The versions of one model, or one of them.
    Versions,
    /// The aliases of one model, with their moves.
    Aliases,
    /// Every data set.
    DataSets,
    /// The versions of one data set, or one of them.
    DataSetVersions,
    /// Every feature set.
    FeatureSets,
    /// The versions of one feature set, or one of them.
    FeatureSetVersions,
}

/// A page of a table: sorted and searched at the hub, so that only what is seen is sent.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listing {
    /// Which table.
    pub noun: Noun,
    /// Whose rows, or which one; empty for all.
    pub name: Arc<str>,
    /// The page, from 0.
    pub page: u32,
    /// Words that have to be found.
    pub search: Arc<str>,
    /// The hub's name of the order; empty for that of names.
    pub sort: Arc<str>,
    /// Whether the greatest is first.
    pub descending: bool,
    /// As it was then, by the hub's clock.
    pub at_us: Option<i64>,
}

impl Listing {
    /// The first page of a table.
    pub fn of(noun: Noun, name: &str) -> Self {
        Self {
            noun,
            name: name.into(),
            page: 0,
            search: "".into(),
            sort: "".into(),
            descending: false,
            at_us: None,
        }
    }

    /// The same, at a moment.
    pub fn at(self, at_us: Option<i64>) -> Self {
        Self { at_us, ..self }
    }

    /// The same, the last first.
    pub fn newest_first(self) -> Self {
        Self {
            descending: true,
            ..self
        }
    }
}

/// Rows of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rows {
    /// Of [`Noun::Models`].
    Models(Vec<ModelItem>),
    /// Of [`Noun::Versions`].
    Versions(Vec<VersionItem>),
    /// Of [`Noun::Aliases`].
    Aliases(Vec<AliasItem>),
    /// Of [`Noun::DataSets`] and [`Noun::FeatureSets`].
    Sets(Vec<SetItem>),
    /// Of [`Noun::DataSetVersions`].
    DataSets(Vec<DataSetItem>),
    /// Of [`Noun::FeatureSetVersions`].
    FeatureSets(Vec<FeatureSetItem>),
}

/// A page, and how many rows there are in all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    /// Its rows.
    pub rows: Rows,
    /// Rows without paging.
    pub total: u32,
}

/// An answer about the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Told {
    /// A page of a table.
    Listed(Arc<Listed>),
    /// A tree of lineage.
    Lineage(Arc<LineageItem>),
    /// What a data set looks like.
    Profile(Arc<ProfileItem>),
    /// How far two data sets lie apart.
    Distances(Arc<[DistanceItem]>),
}

/// A change of the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// What is to be done.
    pub act: Act,
    /// Why, in the operator's words.
    pub reason: String,
    /// Only while what it is about is at this revision.
    pub if_revision: Option<u64>,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Act {
    /// Name a model.
    Create {
        /// Its name.
        name: Name,
        /// What is said of it.
        card: Box<Card>,
    },
    /// Say something else of a model, a data set or a feature set.
    Edit {
        /// Of which.
        object: RegistryObject,
        /// What was said when the edit began.
        before: Box<Card>,
        /// What is to be said.
        card: Box<Card>,
    },
    /// Replace the notes of a version.
    Note {
        /// Of which.
        version: Reference,
        /// What they are to say.
        notes: Prose,
    },
    /// Let an alias point somewhere else; nowhere takes it away.
    MoveAlias {
        /// Whose.
        model: Name,
        /// Which.
        alias: Name,
        /// To which of the model's versions.
        to: Option<Number>,
    },
    /// Say that something should not be used any more.
    Deprecate(RegistryObject),
    /// Let it be used again.
    Restore(RegistryObject),
}

/// Text as a shell takes it.
pub fn quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.,/@:%".contains(letter);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// What commands call the kind of a thing.
pub fn noun_of(object: &RegistryObject) -> &'static str {
    match object {
        RegistryObject::Model(_) => "model",
        RegistryObject::Version(_) => "version",
        RegistryObject::DataSet(_) | RegistryObject::DataSetVersion(_) => "dataset",
        RegistryObject::FeatureSet(_) | RegistryObject::FeatureSetVersion(_) => "featureset",
        RegistryObject::Environment(_) => "environment",
    }
}

/// The bare name of a thing: `fraud`, `fraud@3`.
pub fn name_of(object: &RegistryObject) -> String {
    match object {
        RegistryObject::Model(name)
        | RegistryObject::DataSet(name)
        | RegistryObject::FeatureSet(name)
        | RegistryObject::Environment(name) => name.to_string(),
        RegistryObject::Version(version)
        | RegistryObject::DataSetVersion(version)
        | RegistryObject::FeatureSetVersion(version) => version.to_string(),
    }
}

/// Objectives as one writes them after each other.
pub fn objectives_of(card: &Card) -> Vec<String> {
    card.objectives.iter().map(ToString::to_string).collect()
}

/// Tags as one writes them after each other.
pub fn tags_of(card: &Card) -> Vec<String> {
    card.tags.iter().map(ToString::to_string).collect()
}

impl Change {
    /// The headless command that does the same.
    pub fn command(&self) -> String {
        let mut text = self.act.command();
        if let Some(revision) = self.if_revision {
            let _ends = write!(text, " --if-revision {revision}");
        }
        if !self.reason.is_empty() {
            text.push_str(" --reason ");
            text.push_str(&quoted(&self.reason));
        }
        text
    }
}

impl Act {
    fn command(&self) -> String {
        match self {
            Self::Create { name, card } => {
                let mut text = format!("binnacle model create {name}");
                let mut add = |option: &str, value: &str| {
                    if !value.is_empty() {
                        let _ends = write!(text, " --{option} {}", quoted(value));
                    }
                };
                add("owner", card.owner.as_str());
                add("team", card.team.as_str());
                add("description", card.description.as_str());
                tags_of(card).iter().for_each(|tag| add("tag", tag));
                let objectives = objectives_of(card);
                objectives.iter().for_each(|one| add("objective", one));
                text
            }
            Self::Edit {
                object,
                before,
                card,
            } => {
                let mut text = format!("binnacle {} edit {}", noun_of(object), name_of(object));
                let mut set = |key: &str, before: String, after: String| {
                    if before != after {
                        let _ends = write!(text, " --set {}", quoted(&format!("{key}={after}")));
                    }
                };
                set("owner", before.owner.to_string(), card.owner.to_string());
                set("team", before.team.to_string(), card.team.to_string());
                let (was, is) = (&before.description, &card.description);
                set("description", was.to_string(), is.to_string());
                let both = [before, card];
                let [was, is] = both.map(|card| tags_of(card).join(","));
                set("tags", was, is);
                let [was, is] = both.map(|card| objectives_of(card).join(","));
                set("objectives", was, is);
                text
            }
            Self::Note { version, notes } => {
                format!("binnacle version note {version} {}", quoted(notes.as_str()))
            }
            Self::MoveAlias {
                model,
                alias,
                to: Some(to),
            } => format!("binnacle alias set {alias} {model}@{to}"),
            Self::MoveAlias {
                model,
                alias,
                to: None,
            } => format!("binnacle alias remove {model} {alias}"),
            Self::Deprecate(object) => {
                format!("binnacle {} deprecate {}", noun_of(object), name_of(object))
            }
            Self::Restore(object) => {
                format!("binnacle {} restore {}", noun_of(object), name_of(object))
            }
        }
    }

    /// What it is about.
    pub fn object(&self) -> RegistryObject {
        match self {
            Self::Create { name, .. } => RegistryObject::Model(name.clone()),
            Self::Edit { object, .. } | Self::Deprecate(object) | Self::Restore(object) => {
                object.clone()
            }
            Self::Note { version, .. } => RegistryObject::Version(version.clone()),
            Self::MoveAlias { model, .. } => RegistryObject::Model(model.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_as_the_command_that_does_it() {
        let name = Name::parse("fraud").unwrap();
        let card = |owner: &str, tags: &[&str]| {
            let mut card = Card {
                owner: binnacle_core::view::Line::parse(owner).unwrap(),
                ..Card::default()
            };
            let tags = tags.iter().map(|tag| Name::parse(tag).unwrap());
            card.tags = binnacle_core::view::Tags::parse(tags).unwrap();
            Box::new(card)
        };
        let edit = Change {
            act: Act::Edit {
                object: RegistryObject::Model(name.clone()),
                before: card("alice", &["eu"]),
                card: card("bob o'neil", &["eu"]),
            },
            reason: "moved on".into(),
            if_revision: Some(4),
        };
        assert_eq!(
            edit.command(),
            r"binnacle model edit fraud --set 'owner=bob o'\''neil' --if-revision 4 ".to_owned()
                + "--reason 'moved on'"
        );
        let moved = Act::MoveAlias {
            model: name,
            alias: Name::parse("champion").unwrap(),
            to: Number::new(3),
        };
        assert_eq!(moved.command(), "binnacle alias set champion fraud@3");
    }
}
