//! The registry: every model with its versions, and what they were made from.
//!
//! Here it is an *index*: what a decision, a table or a walk along lineage needs, and for each
//! version the sequence of the entry that registered it. All else that was said of a version
//! stands in that entry, is read from the store when somebody looks, and is never held in
//! memory ([`Version`] says how much is).
//!
//! The registry is a fold like the rest of the state. Nothing in it is ever overwritten: a
//! version keeps its number and its detail, an alias keeps its moves, and what should not be
//! used any more is deprecated.

use std::fmt;
use std::sync::Arc;

use imbl::OrdMap;

use crate::caller::Caller;
use crate::name::Name;

pub use crate::list::List;
pub use apply::Place;
pub use artifact::{Artifact, Digest, Location};
pub use card::{Card, Objectives, Tags};
pub use change::Change;
pub use command::{Command, Refusal};
pub use dataset::{Column, Columns, DataSetDetail, Span};
pub use environment::{Freeze, MAX_APPROVALS, Rules};
pub use feature::{Allowed, Feature, FeatureKind, Features};
pub use files::{Files, Format, Lie, Size};
pub use golden::Golden;
pub use lineage::{Node, Way};
pub use manifest::{FileOf, Inside, Manifest};
pub use objective::Objective;
pub use reference::{Number, Object, Reference};
pub use signature::{Datatype, Signature, Tensor};
pub use text::{Line, Prose};
pub use version::{Metrics, Parameters, Role, Source, Trained, TrainedOn, VersionDetail};

mod apply;
pub mod artifact;
pub mod card;
pub mod change;
pub mod command;
pub mod dataset;
pub mod environment;
pub mod feature;
pub mod files;
mod fit;
pub mod golden;
pub mod lineage;
pub mod manifest;
pub mod objective;
mod packed;
mod past;
pub mod reference;
pub mod signature;
pub mod text;
pub mod version;

/// The index over all that was registered. Cloning it is cheap.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Registry {
    /// Every model.
    pub models: OrdMap<Name, Arc<Model>>,
    /// Every data set.
    pub data_sets: OrdMap<Name, Arc<DataSet>>,
    /// Every feature set.
    pub feature_sets: OrdMap<Name, Arc<FeatureSet>>,
    /// Environments with rules of their own.
    pub environments: OrdMap<Name, Environment>,
    /// How files of versions are laid out, each way once.
    formats: List<Name>,
}

/// Whether something may still be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    #[default]
    Active,
    /// It should not, and this is why.
    Deprecated(Arc<Deprecation>),
}

/// Why something should not be used any more, and since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deprecation {
    /// In the words of whom deprecated it.
    pub why: Arc<str>,
    /// Since when.
    pub at_us: i64,
}

/// What all named things of the registry have.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// What was said of it, from its first naming to now; never empty.
    said: List<Said>,
    /// The entry that last changed the card or the standing: what an editor's copy is
    /// compared with.
    pub revision: u64,
    /// Every entry about it and its versions, in order.
    pub history: List<u64>,
}

/// What was said of something from a moment on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Said {
    /// From when on.
    pub at_us: i64,
    /// In words.
    pub card: Arc<Card>,
    /// Whether it might be used.
    pub standing: Standing,
}

/// A model.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// What all named things have.
    pub head: Head,
    /// Its versions, from 1.
    pub versions: List<Version>,
    /// Its aliases, those taken away among them.
    pub aliases: OrdMap<Name, Alias>,
    /// Golden requests of those of its versions that have any, as they are now.
    pub golden: OrdMap<Number, Golden>,
}

/// A version, as far as decisions, tables and lineage need it. With two data sets, and what they
/// hold of it, it takes [`VERSION_BYTES`].
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The entry that registered it, where its detail stands.
    pub sequence: u64,
    /// When it was registered.
    pub at_us: i64,
    /// The entry that last changed its notes or standing; 0 for none.
    pub revision: u64,
    /// The entry with its latest notes; 0 where they stand with the detail.
    pub noted: u64,
    /// Its files.
    pub artifact: Option<Files>,
    /// What it was trained on.
    pub data_sets: TrainedOn,
    /// The feature vector that it is given.
    pub feature_set: Option<Reference>,
    /// The version that it was made from.
    pub parent: Option<Reference>,
    /// Versions that were made from it, of this model and of others.
    pub children: Children,
    /// Whether it may still be used.
    pub standing: Standing,
}

/// Versions that were made from one: mostly none or the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Children {
    /// Nothing was.
    #[default]
    None,
    /// One was.
    One(Box<Reference>),
    /// Two or more were.
    Many(Box<List<Reference>>),
}

/// A named pointer to a version, with all its moves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alias {
    /// In order of time; never empty.
    pub moves: List<Move>,
}

/// One move of an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The entry that says so.
    pub sequence: u64,
    /// When.
    pub at_us: i64,
    /// Where it pointed from then on; absent where it was taken away.
    pub to: Option<Number>,
}

/// A data set.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// What all named things have.
    pub head: Head,
    /// Its versions, from 1.
    pub versions: List<DataSetVersion>,
}

/// A version of a data set, as far as tables and lineage need it.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSetVersion {
    /// The entry that registered it, where its detail stands.
    pub sequence: u64,
    /// When it was registered.
    pub at_us: i64,
    /// The entry that last changed its standing; 0 for none.
    pub revision: u64,
    /// Over its content, where it was read.
    pub digest: Option<Digest>,
    /// The profile that it was read into.
    pub profile: Option<Digest>,
    /// How many rows, where it was read.
    pub rows: Option<u64>,
    /// Versions that were trained on it, and what for: a reference's parts, which take less so.
    trained: List<(Name, Number, Role)>,
    /// Whether it may still be used.
    pub standing: Standing,
}

/// A feature set.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSet {
    /// What all named things have.
    pub head: Head,
    /// Its versions, from 1.
    pub versions: List<FeatureSetVersion>,
}

/// A version of a feature set. Its features are held: versions are checked against them.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureSetVersion {
    /// The entry that registered it.
    pub sequence: u64,
    /// When it was registered.
    pub at_us: i64,
    /// The entry that last changed its standing; 0 for none.
    pub revision: u64,
    /// The vector.
    pub features: Features,
    /// Versions that are given it.
    pub given: List<Reference>,
    /// Whether it may still be used.
    pub standing: Standing,
}

/// An environment with rules of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Environment {
    /// What holds in it.
    pub rules: Rules,
    /// Who froze it, where it is frozen.
    pub frozen_by: Option<Caller>,
    /// The entry that last set them.
    pub revision: u64,
    /// When that was.
    pub at_us: i64,
    /// Every entry about it, in order.
    pub history: List<u64>,
}

pub(crate) use command::decide;

/// Bytes of memory of a version that was trained on two data sets and that was made from
/// another: its own, its lineage's both ways, and its place in its model's history, with all that
/// is allocated for them. A test counts it.
pub const VERSION_BYTES: usize = 300;

/// Where version `number` stands among those of its name.
fn place(number: Number) -> usize {
    number.get() as usize - 1
}

/// The number that the next of `count` versions gets; numbers end with memory, long before.
fn next(count: usize) -> Number {
    let next = u32::try_from(count).unwrap_or(u32::MAX).saturating_add(1);
    Number::new(next).unwrap_or(Number::MIN)
}

impl Registry {
    /// A version of a model.
    pub fn version(&self, version: &Reference) -> Option<&Version> {
        let model = self.models.get(&version.name)?;
        model.versions.get(place(version.number))
    }

    /// The golden requests of a version, where it has any.
    pub fn golden(&self, version: &Reference) -> Option<&Golden> {
        self.models.get(&version.name)?.golden.get(&version.number)
    }

    /// What a way of laying files out is called.
    pub fn format(&self, format: Format) -> Option<&Name> {
        self.formats.get(format.place())
    }

    /// A version of a data set.
    pub fn data_set(&self, version: &Reference) -> Option<&DataSetVersion> {
        let data_set = self.data_sets.get(&version.name)?;
        data_set.versions.get(place(version.number))
    }

    /// A version of a feature set.
    pub fn feature_set(&self, version: &Reference) -> Option<&FeatureSetVersion> {
        let feature_set = self.feature_sets.get(&version.name)?;
        feature_set.versions.get(place(version.number))
    }

    /// The version that an alias points to now.
    pub fn aliased(&self, model: &Name, alias: &Name) -> Option<Reference> {
        let number = self.models.get(model)?.aliases.get(alias)?.now()?;
        let name = model.clone();
        Some(Reference { name, number })
    }

    /// The entry that last changed what an editor of `object` has a copy of; `None` where there
    /// is no such thing.
    pub fn revision(&self, object: &Object) -> Option<u64> {
        match object {
            Object::Model(name) => self.models.get(name).map(|model| model.head.revision),
            Object::DataSet(name) => self.data_sets.get(name).map(|set| set.head.revision),
            Object::FeatureSet(name) => self.feature_sets.get(name).map(|set| set.head.revision),
            Object::Environment(name) => self.environments.get(name).map(|one| one.revision),
            Object::Version(version) => {
                let found = self.version(version)?;
                Some(found.revision.max(found.sequence))
            }
            Object::DataSetVersion(version) => {
                let found = self.data_set(version)?;
                Some(found.revision.max(found.sequence))
            }
            Object::FeatureSetVersion(version) => {
                let found = self.feature_set(version)?;
                Some(found.revision.max(found.sequence))
            }
        }
    }
}

/// A freeze that holds, as it is refused with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frozen {
    /// Which environment.
    pub environment: Name,
    /// Until when, and why.
    pub freeze: Freeze,
    /// Who said so.
    pub by: Option<Caller>,
}

impl fmt::Display for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (until, why) = (self.freeze.until, &self.freeze.why);
        write!(f, "{} is frozen until {until:.0}", self.environment)?;
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        write!(f, " ({})", why.as_str())
    }
}

impl Registry {
    /// The freeze that holds in an environment, if one does.
    pub fn frozen(&self, environment: &Name, now_us: i64) -> Option<Frozen> {
        let known = self.environments.get(environment)?;
        let freeze = known.rules.freeze.as_ref()?;
        freeze.holds(now_us).then(|| Frozen {
            environment: environment.clone(),
            freeze: freeze.clone(),
            by: known.frozen_by.clone(),
        })
    }
}

impl Children {
    /// Each, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Reference> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(child) => (Some(&**child), None),
            Self::Many(children) => (None, Some(children.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    fn push(&mut self, child: Reference) {
        match self {
            Self::None => *self = Self::One(Box::new(child)),
            Self::One(first) => {
                let both = [Reference::clone(first), child];
                *self = Self::Many(Box::new(both.into_iter().collect()));
            }
            Self::Many(children) => children.push_back(child),
        }
    }
}

impl DataSetVersion {
    /// Versions that were trained on it, and what for, in the order in which they were.
    pub fn trained(&self) -> impl Iterator<Item = (Reference, Role)> {
        self.trained.iter().map(|(name, number, role)| {
            let (name, number) = (name.clone(), *number);
            (Reference { name, number }, *role)
        })
    }
}

impl Version {
    /// Its blob in the hub's artifact store: its file, or the manifest of its folder.
    pub fn stored(&self) -> Option<Digest> {
        let files = self.artifact.filter(|files| files.lie.is_stored())?;
        Some(files.sha256)
    }

    /// The manifest of its folder in the hub's artifact store, where it has one.
    pub fn manifest(&self) -> Option<Digest> {
        let files = self.artifact.filter(|files| files.lie == Lie::Folder)?;
        Some(files.sha256)
    }
}

impl Alias {
    /// Where it points now.
    pub fn now(&self) -> Option<Number> {
        self.moves.last().and_then(|last| last.to)
    }

    /// The entry that last moved it; 0 where it never was.
    pub fn revision(&self) -> u64 {
        self.moves.last().map_or(0, |last| last.sequence)
    }
}

impl Standing {
    /// Whether it may still be used.
    pub fn is_active(&self) -> bool {
        matches!(self, Self::Active)
    }
}
