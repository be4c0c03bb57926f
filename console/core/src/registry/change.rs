//! What the journal says of the registry: every payload carries its kind and version.

use serde::{Deserialize, Serialize};

use super::card::Card;
use super::dataset::DataSetDetail;
use super::environment::Rules;
use super::feature::Features;
use super::golden::Golden;
use super::reference::{Number, Object, Reference};
use super::text::Prose;
use super::version::VersionDetail;
use crate::caller::Caller;
use crate::name::Name;

/// What an entry changes in the registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "data")]
pub enum Change {
    /// A model was named.
    #[serde(rename = "model_created/v1")]
    ModelCreated(Carded),
    /// What is said of a model was changed.
    #[serde(rename = "model_edited/v1")]
    ModelEdited(Carded),
    /// A model that never had a version was taken away.
    #[serde(rename = "model_deleted/v1")]
    ModelDeleted(Named),
    /// A version was registered, and got its number.
    #[serde(rename = "version_registered/v1")]
    VersionRegistered(Box<Registered<VersionDetail>>),
    /// The notes of a version were replaced.
    #[serde(rename = "version_noted/v1")]
    VersionNoted(Noted),
    /// A version has other golden requests from now on, or none.
    #[serde(rename = "version_golden/v1")]
    VersionGolden(Goldened),
    /// An alias points elsewhere, or nowhere any more.
    #[serde(rename = "alias_moved/v1")]
    AliasMoved(Moved),
    /// A version of a data set was registered; the first one names the data set.
    #[serde(rename = "data_set_registered/v1")]
    DataSetRegistered(Box<Registered<DataSetDetail>>),
    /// What is said of a data set was changed.
    #[serde(rename = "data_set_edited/v1")]
    DataSetEdited(Carded),
    /// A version of a feature set was registered; the first one names the feature set.
    #[serde(rename = "feature_set_registered/v1")]
    FeatureSetRegistered(Box<Registered<FeatureSetDetail>>),
    /// What is said of a feature set was changed.
    #[serde(rename = "feature_set_edited/v1")]
    FeatureSetEdited(Carded),
    /// The rules of an environment were set.
    #[serde(rename = "environment_set/v1")]
    EnvironmentSet(Ruled),
    /// Something should not be used any more; it stays.
    #[serde(rename = "deprecated/v1")]
    Deprecated(Pointed),
    /// Something deprecated may be used again.
    #[serde(rename = "restored/v1")]
    Restored(Pointed),
    /// A change that another hub decided was taken over, with who, when and why.
    #[serde(rename = "imported/v1")]
    Imported(Box<Imported>),
}

/// A thing by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: Name,
}

/// A thing and what is said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Carded {
    /// Its name.
    pub name: Name,
    /// All that is now said of it.
    pub card: Card,
}

/// A version and what is said of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registered<D> {
    /// Its name and number.
    pub version: Reference,
    /// All that is said of it.
    pub detail: D,
}

/// What is said of a version of a feature set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSetDetail {
    /// The vector.
    pub features: Features,
    /// What whoever registered it wants others to know.
    #[serde(default, skip_serializing_if = "Prose::is_empty")]
    pub notes: Prose,
}

/// New notes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// Of which version.
    pub version: Reference,
    /// What they now say.
    pub notes: Prose,
}

/// Other golden requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goldened {
    /// Of which version.
    pub version: Reference,
    /// Those that it has now; none when they are taken away.
    pub golden: Option<Golden>,
}

/// A move of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Whose alias.
    pub model: Name,
    /// Which.
    pub alias: Name,
    /// Where it pointed.
    pub from: Option<Number>,
    /// Where it points; absent when it is taken away.
    pub to: Option<Number>,
}

/// Something by its kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointed {
    /// What.
    pub object: Object,
}

/// An environment and what holds in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruled {
    /// Which.
    pub environment: Name,
    /// What holds.
    pub rules: Rules,
}

/// A change as another hub wrote it down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Imported {
    /// When it was decided there.
    pub at_us: i64,
    /// Who asked for it.
    pub caller: Caller,
    /// Why.
    pub why: String,
    /// What it changes. Never itself imported, which the registry refuses: the first hub's word
    /// is kept.
    #[serde(flatten)]
    pub change: Change,
}

impl Change {
    /// Every kind that is written today.
    pub const KINDS: [&str; 15] = [
        "model_created/v1",
        "model_edited/v1",
        "model_deleted/v1",
        "version_registered/v1",
        "version_noted/v1",
        "version_golden/v1",
        "alias_moved/v1",
        "data_set_registered/v1",
        "data_set_edited/v1",
        "feature_set_registered/v1",
        "feature_set_edited/v1",
        "environment_set/v1",
        "deprecated/v1",
        "restored/v1",
        "imported/v1",
    ];

    /// The payload's kind and version, as it is stored.
    pub fn kind(&self) -> &'static str {
        let [
            created,
            edited,
            deleted,
            registered,
            noted,
            golden,
            moved,
            data,
            data_edited,
            features,
            features_edited,
            environment,
            deprecated,
            restored,
            imported,
        ] = Self::KINDS;
        match self {
            Self::ModelCreated(_) => created,
            Self::ModelEdited(_) => edited,
            Self::ModelDeleted(_) => deleted,
            Self::VersionRegistered(_) => registered,
            Self::VersionNoted(_) => noted,
            Self::VersionGolden(_) => golden,
            Self::AliasMoved(_) => moved,
            Self::DataSetRegistered(_) => data,
            Self::DataSetEdited(_) => data_edited,
            Self::FeatureSetRegistered(_) => features,
            Self::FeatureSetEdited(_) => features_edited,
            Self::EnvironmentSet(_) => environment,
            Self::Deprecated(_) => deprecated,
            Self::Restored(_) => restored,
            Self::Imported(_) => imported,
        }
    }

    /// What it is about.
    pub fn object(&self) -> Object {
        match self {
            Self::ModelCreated(carded) | Self::ModelEdited(carded) => {
                Object::Model(carded.name.clone())
            }
            Self::ModelDeleted(named) => Object::Model(named.name.clone()),
            Self::VersionRegistered(registered) => Object::Version(registered.version.clone()),
            Self::VersionNoted(noted) => Object::Version(noted.version.clone()),
            Self::VersionGolden(goldened) => Object::Version(goldened.version.clone()),
            Self::AliasMoved(moved) => Object::Model(moved.model.clone()),
            Self::DataSetRegistered(registered) => {
                Object::DataSetVersion(registered.version.clone())
            }
            Self::DataSetEdited(carded) => Object::DataSet(carded.name.clone()),
            Self::FeatureSetRegistered(registered) => {
                Object::FeatureSetVersion(registered.version.clone())
            }
            Self::FeatureSetEdited(carded) => Object::FeatureSet(carded.name.clone()),
            Self::EnvironmentSet(ruled) => Object::Environment(ruled.environment.clone()),
            Self::Deprecated(pointed) | Self::Restored(pointed) => pointed.object.clone(),
            Self::Imported(imported) => imported.change.object(),
        }
    }

    /// What was taken over from another hub, if it was.
    fn imported(&self) -> Option<&Imported> {
        match self {
            Self::Imported(imported) => Some(imported),
            Self::ModelCreated(_)
            | Self::ModelEdited(_)
            | Self::ModelDeleted(_)
            | Self::VersionRegistered(_)
            | Self::VersionNoted(_)
            | Self::VersionGolden(_)
            | Self::AliasMoved(_)
            | Self::DataSetRegistered(_)
            | Self::DataSetEdited(_)
            | Self::FeatureSetRegistered(_)
            | Self::FeatureSetEdited(_)
            | Self::EnvironmentSet(_)
            | Self::Deprecated(_)
            | Self::Restored(_) => None,
        }
    }

    /// Who asked another hub for it, where it was taken over from there.
    pub fn first_caller(&self) -> Option<&Caller> {
        self.imported().map(|imported| &imported.caller)
    }

    /// What was decided first, wherever that was.
    pub fn original(&self) -> &Self {
        self.imported().map_or(self, |imported| &imported.change)
    }
}
