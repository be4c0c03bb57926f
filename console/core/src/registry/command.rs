//! What may be asked of the registry, and what is said to it.
//!
//! A command becomes a change, with the number that the hub gives; the change is checked against
//! the registry, the same way whether it is asked for here or taken over from another hub.

use super::card::Card;
use super::change::{
    Carded, Change, FeatureSetDetail, Imported, Moved, Named, Noted, Pointed, Registered, Ruled,
};
use super::dataset::DataSetDetail;
use super::environment::{MAX_APPROVALS, Rules};
use super::files::MAX_FORMATS;
use super::fit;
use super::golden::Golden;
use super::reference::{Number, Object, Reference};
use super::text::Prose;
use super::version::VersionDetail;
use super::{Registry, Standing, next};
use crate::name::Name;

/// Models, data sets and feature sets, each: ten times what the hub is measured with.
pub const MAX_NAMED: usize = 100_000;
/// Versions of one model, data set or feature set.
pub const MAX_VERSIONS: usize = 100_000;
/// Aliases of one model, those taken away among them.
pub const MAX_ALIASES: usize = 64;

/// What may be asked of the registry.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Name a model.
    CreateModel(Name, Card),
    /// Replace what is said of a model.
    EditModel(Name, Card),
    /// Take a model away that never had a version.
    DeleteModel(Name),
    /// Register a version: the next number of the model.
    RegisterVersion(Name, Box<VersionDetail>),
    /// Replace the notes of a version.
    NoteVersion(Reference, Prose),
    /// Let a version have other golden requests, or none any more.
    GoldenVersion(Reference, Option<Golden>),
    /// Let an alias of a model point to a version, or to none any more.
    MoveAlias(Name, Name, Option<Number>),
    /// Register a version of a data set; the first names it.
    RegisterDataSet(Name, Box<DataSetDetail>),
    /// Replace what is said of a data set.
    EditDataSet(Name, Card),
    /// Register a version of a feature set; the first names it.
    RegisterFeatureSet(Name, Box<FeatureSetDetail>),
    /// Replace what is said of a feature set.
    EditFeatureSet(Name, Card),
    /// Set what holds in an environment.
    SetEnvironment(Name, Rules),
    /// Say that something should not be used any more.
    Deprecate(Object),
    /// Let something deprecated be used again.
    Restore(Object),
    /// Take over what another hub decided.
    Import(Box<Imported>),
}

/// Why the registry does not do what it is asked.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such thing.
    #[error("{0} is not registered; {1}")]
    Unknown(Object, &'static str),
    /// The model has no such alias.
    #[error("model {model} has no alias {alias}; `binnacle alias list {model}` shows those it has")]
    UnknownAlias {
        /// Whose.
        model: Name,
        /// Which.
        alias: Name,
    },
    /// The name is taken.
    #[error("{0} exists; edit it, or choose another name")]
    Exists(Object),
    /// A model with versions is not taken away.
    #[error(
        "model {model} has {versions} versions, {model}@1 to {model}@{versions}, and nothing that \
         was registered is taken away; `binnacle model deprecate {model}` keeps it from being used"
    )]
    HasVersions {
        /// Which.
        model: Name,
        /// How many.
        versions: usize,
    },
    /// An alias may not point to it.
    #[error("{0} is deprecated ({1}); restore it first, or choose another")]
    Deprecated(Object, String),
    /// It is pointed to.
    #[error("{version} is what alias {alias} points to; move the alias first")]
    Aliased {
        /// The version.
        version: Reference,
        /// Who points to it.
        alias: Name,
    },
    /// A version does not take the features that it names.
    #[error("the signature does not fit {feature_set}: {}", differences.join("; "))]
    Misfit {
        /// The features.
        feature_set: Reference,
        /// How they differ.
        differences: Vec<String>,
    },
    /// It was changed meanwhile.
    #[error(
        "{object} was changed meanwhile: this was made on revision {expected}, it is at {found}; \
         look at the difference and try again"
    )]
    Changed {
        /// What.
        object: String,
        /// The revision that the change was made on.
        expected: u64,
        /// The revision that it is at.
        found: u64,
    },
    /// Objectives are of models.
    #[error("only a model has objectives; {0} is none")]
    Objectives(Object),
    /// There are as many as there can be.
    #[error("{what}: at most {max} fit")]
    Full {
        /// What there are too many of.
        what: String,
        /// The limit.
        max: usize,
    },
    /// More people would have to say yes than there can be.
    #[error("an environment asks for at most {MAX_APPROVALS} approvals, not {0}")]
    Approvals(u8),
    /// Environments have no standing.
    #[error("an environment is not deprecated; retire its hosts")]
    NoStanding,
    /// What is taken over does not follow on what is here.
    #[error("{what} does not follow on what is here; import into a hub with an empty registry")]
    OutOfOrder {
        /// Which change.
        what: String,
    },
}

/// The change that `command` comes to; `None` where it is so already. With a revision, what it
/// is about has to be at that one still.
pub(crate) fn decide(
    registry: &Registry,
    command: &Command,
    if_revision: Option<u64>,
) -> Result<Option<Change>, Refusal> {
    if let Some(expected) = if_revision
        && let Some((object, found)) = revision(registry, command)
        && found != expected
    {
        return Err(Refusal::Changed {
            object,
            expected,
            found,
        });
    }
    let Some(change) = change(registry, command) else {
        return Ok(None);
    };
    check(registry, &change)?;
    Ok(Some(change))
}

fn change(registry: &Registry, command: &Command) -> Option<Change> {
    Some(match command {
        Command::CreateModel(name, card) => Change::ModelCreated(carded(name, card)),
        Command::EditModel(name, card) => {
            let known = registry
                .models
                .get(name)
                .map(|model| &*model.head.now().card);
            Change::ModelEdited(edited(known, name, card)?)
        }
        Command::EditDataSet(name, card) => {
            let known = registry
                .data_sets
                .get(name)
                .map(|set| &*set.head.now().card);
            Change::DataSetEdited(edited(known, name, card)?)
        }
        Command::EditFeatureSet(name, card) => {
            let known = registry
                .feature_sets
                .get(name)
                .map(|set| &*set.head.now().card);
            Change::FeatureSetEdited(edited(known, name, card)?)
        }
        Command::DeleteModel(name) => Change::ModelDeleted(Named { name: name.clone() }),
        Command::RegisterVersion(name, detail) => {
            let versions = versions(registry, name);
            Change::VersionRegistered(Box::new(registered(name, versions, &**detail)))
        }
        Command::RegisterDataSet(name, detail) => {
            let versions = registry
                .data_sets
                .get(name)
                .map_or(0, |set| set.versions.len());
            Change::DataSetRegistered(Box::new(registered(name, versions, &**detail)))
        }
        Command::RegisterFeatureSet(name, detail) => {
            let versions = registry
                .feature_sets
                .get(name)
                .map_or(0, |set| set.versions.len());
            Change::FeatureSetRegistered(Box::new(registered(name, versions, &**detail)))
        }
        Command::NoteVersion(version, notes) => {
            let (version, notes) = (version.clone(), notes.clone());
            Change::VersionNoted(Noted { version, notes })
        }
        Command::GoldenVersion(version, golden) => {
            super::golden::gilded(registry, version, *golden)?
        }
        Command::MoveAlias(model, alias, to) => moved(registry, model, alias, *to)?,
        Command::SetEnvironment(environment, rules) => {
            let known = registry.environments.get(environment);
            if known.is_some_and(|known| known.rules == *rules) {
                return None;
            }
            let (environment, rules) = (environment.clone(), rules.clone());
            Change::EnvironmentSet(Ruled { environment, rules })
        }
        Command::Deprecate(object) => {
            let known = registry.standing(object);
            let is_so = known.is_some_and(|standing| !standing.is_active());
            Change::Deprecated(pointed(is_so, object)?)
        }
        Command::Restore(object) => {
            let is_so = registry.standing(object).is_some_and(Standing::is_active);
            Change::Restored(pointed(is_so, object)?)
        }
        Command::Import(imported) => Change::Imported(imported.clone()),
    })
}

fn carded(name: &Name, card: &Card) -> Carded {
    Carded {
        name: name.clone(),
        card: card.clone(),
    }
}

/// A new card, unless it is the one that is known.
fn edited(known: Option<&Card>, name: &Name, card: &Card) -> Option<Carded> {
    (known != Some(card)).then(|| carded(name, card))
}

/// Something whose standing changes, unless it is so already.
fn pointed(is_so: bool, object: &Object) -> Option<Pointed> {
    let object = object.clone();
    (!is_so).then_some(Pointed { object })
}

/// A move of an alias, unless it points there already.
fn moved(registry: &Registry, model: &Name, alias: &Name, to: Option<Number>) -> Option<Change> {
    let from = registry.aliased(model, alias).map(|version| version.number);
    if from.is_some() && from == to {
        return None;
    }
    Some(Change::AliasMoved(Moved {
        model: model.clone(),
        alias: alias.clone(),
        from,
        to,
    }))
}

/// What `command` is about, and the revision that it is at; 0 for what does not exist yet.
fn revision(registry: &Registry, command: &Command) -> Option<(String, u64)> {
    if let Command::MoveAlias(model, alias, _) = command {
        let held = registry.models.get(model)?.aliases.get(alias);
        let object = format!("alias {alias} of {model}");
        return Some((object, held.map_or(0, super::Alias::revision)));
    }
    let object = command.object()?;
    let found = registry.revision(&object).unwrap_or(0);
    Some((object.to_string(), found))
}

fn registered<D: Clone>(name: &Name, versions: usize, detail: &D) -> Registered<D> {
    Registered {
        version: Reference {
            name: name.clone(),
            number: next(versions),
        },
        detail: detail.clone(),
    }
}

/// Whether a change may follow on what is registered.
fn check(registry: &Registry, change: &Change) -> Result<(), Refusal> {
    match change {
        Change::ModelCreated(Carded { name, .. }) => {
            if registry.models.contains_key(name) {
                return Err(Refusal::Exists(Object::Model(name.clone())));
            }
            room("models", registry.models.len(), MAX_NAMED)
        }
        Change::ModelEdited(Carded { name, .. }) => known(registry, &Object::Model(name.clone())),
        Change::ModelDeleted(Named { name }) => {
            known(registry, &Object::Model(name.clone()))?;
            deletable(registry, name)
        }
        Change::VersionRegistered(registered) => version(registry, registered),
        Change::VersionNoted(noted) => known(registry, &Object::Version(noted.version.clone())),
        Change::VersionGolden(of) => known(registry, &Object::Version(of.version.clone())),
        Change::AliasMoved(moved) => alias(registry, moved),
        Change::DataSetRegistered(registered) => {
            let version = &registered.version;
            let held = registry.data_sets.get(&version.name);
            follows(
                version,
                held.map(|set| set.versions.len()),
                registry.data_sets.len(),
            )
        }
        Change::DataSetEdited(Carded { name, card }) => {
            without_objectives(Object::DataSet(name.clone()), card)?;
            known(registry, &Object::DataSet(name.clone()))
        }
        Change::FeatureSetRegistered(registered) => {
            let version = &registered.version;
            let held = registry.feature_sets.get(&version.name);
            follows(
                version,
                held.map(|set| set.versions.len()),
                registry.feature_sets.len(),
            )
        }
        Change::FeatureSetEdited(Carded { name, card }) => {
            without_objectives(Object::FeatureSet(name.clone()), card)?;
            known(registry, &Object::FeatureSet(name.clone()))
        }
        Change::EnvironmentSet(Ruled { rules, .. }) => {
            if rules.approvals > MAX_APPROVALS {
                return Err(Refusal::Approvals(rules.approvals));
            }
            room("environments", registry.environments.len(), MAX_NAMED)
        }
        Change::Deprecated(Pointed { object }) => {
            has_standing(registry, object)?;
            unaliased(registry, object)
        }
        Change::Restored(Pointed { object }) => has_standing(registry, object),
        Change::Imported(imported) => check_imported(registry, imported),
    }
}

/// Whether what another hub decided may follow. It never was itself imported there: the first
/// hub's word is kept.
fn check_imported(registry: &Registry, imported: &Imported) -> Result<(), Refusal> {
    match imported.change.first_caller() {
        Some(_) => Err(Refusal::OutOfOrder {
            what: format!("an import of an import, of {}", imported.change.object()),
        }),
        None => check(registry, &imported.change),
    }
}

/// How many versions a model has.
fn versions(registry: &Registry, name: &Name) -> usize {
    let model = registry.models.get(name);
    model.map_or(0, |model| model.versions.len())
}

/// What was registered is never taken away.
fn deletable(registry: &Registry, name: &Name) -> Result<(), Refusal> {
    let model = name.clone();
    match versions(registry, name) {
        0 => Ok(()),
        versions => Err(Refusal::HasVersions { model, versions }),
    }
}

fn has_standing(registry: &Registry, object: &Object) -> Result<(), Refusal> {
    known(registry, object)?;
    registry
        .standing(object)
        .map(|_| ())
        .ok_or(Refusal::NoStanding)
}

/// A new way of laying files out takes a number in the index.
fn told_apart(registry: &Registry, format: &Name) -> Result<(), Refusal> {
    match registry.formats.contains(format) {
        true => Ok(()),
        false => room("formats of files", registry.formats.len(), MAX_FORMATS),
    }
}

fn room(what: &str, held: usize, max: usize) -> Result<(), Refusal> {
    match held < max {
        true => Ok(()),
        false => Err(Refusal::Full {
            what: what.to_owned(),
            max,
        }),
    }
}

/// Whether `version` is the next of its name, of which `held` are there already.
fn follows(version: &Reference, held: Option<usize>, names: usize) -> Result<(), Refusal> {
    if held.is_none() {
        room("names", names, MAX_NAMED)?;
    }
    let held = held.unwrap_or(0);
    room(&format!("versions of {}", version.name), held, MAX_VERSIONS)?;
    match version.number == next(held) {
        true => Ok(()),
        false => Err(Refusal::OutOfOrder {
            what: version.to_string(),
        }),
    }
}

fn version(registry: &Registry, registered: &Registered<VersionDetail>) -> Result<(), Refusal> {
    let Registered { version, detail } = registered;
    known(registry, &Object::Model(version.name.clone()))?;
    let held = registry.models.get(&version.name);
    follows(version, held.map(|model| model.versions.len()), 0)?;
    for trained in detail.data_sets.iter() {
        known(registry, &Object::DataSetVersion(trained.data_set.clone()))?;
    }
    if let Some(parent) = &detail.parent {
        known(registry, &Object::Version(parent.clone()))?;
    }
    if let Some(artifact) = &detail.artifact {
        told_apart(registry, &artifact.format)?;
    }
    let Some(feature_set) = &detail.feature_set else {
        return Ok(());
    };
    let object = Object::FeatureSetVersion(feature_set.clone());
    let set = registry
        .feature_set(feature_set)
        .ok_or_else(|| unknown(object))?;
    let differences = fit::differences(&detail.signature, &set.features);
    match differences.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Misfit {
            feature_set: feature_set.clone(),
            differences,
        }),
    }
}

fn alias(registry: &Registry, moved: &Moved) -> Result<(), Refusal> {
    let object = Object::Model(moved.model.clone());
    let model = registry
        .models
        .get(&moved.model)
        .ok_or_else(|| unknown(object))?;
    let held = model.aliases.get(&moved.alias);
    if held.and_then(super::Alias::now) != moved.from {
        return Err(Refusal::OutOfOrder {
            what: format!("alias {} of {}", moved.alias, moved.model),
        });
    }
    let Some(number) = moved.to else {
        let (model, alias) = (moved.model.clone(), moved.alias.clone());
        return match moved.from {
            Some(_) => Ok(()),
            None => Err(Refusal::UnknownAlias { model, alias }),
        };
    };
    if held.is_none() {
        room(
            &format!("aliases of {}", moved.model),
            model.aliases.len(),
            MAX_ALIASES,
        )?;
    }
    let name = moved.model.clone();
    let object = Object::Version(Reference { name, number });
    match registry.standing(&object) {
        None => Err(unknown(object)),
        Some(Standing::Active) => Ok(()),
        Some(Standing::Deprecated(why)) => Err(Refusal::Deprecated(object, why.why.to_string())),
    }
}

fn without_objectives(object: Object, card: &Card) -> Result<(), Refusal> {
    match card.objectives.is_empty() {
        true => Ok(()),
        false => Err(Refusal::Objectives(object)),
    }
}

/// What an alias points to is in use: it is not deprecated under it.
fn unaliased(registry: &Registry, object: &Object) -> Result<(), Refusal> {
    let (name, number) = match object {
        Object::Version(version) => (&version.name, Some(version.number)),
        Object::Model(name) => (name, None),
        Object::DataSet(_)
        | Object::DataSetVersion(_)
        | Object::FeatureSet(_)
        | Object::FeatureSetVersion(_)
        | Object::Environment(_) => return Ok(()),
    };
    let Some(model) = registry.models.get(name) else {
        return Ok(());
    };
    for (alias, moves) in &model.aliases {
        if let Some(now) = moves.now()
            && number.is_none_or(|number| number == now)
        {
            let (name, number) = (name.clone(), now);
            return Err(Refusal::Aliased {
                version: Reference { name, number },
                alias: alias.clone(),
            });
        }
    }
    Ok(())
}

fn known(registry: &Registry, object: &Object) -> Result<(), Refusal> {
    match registry.revision(object) {
        Some(_) => Ok(()),
        None => Err(unknown(object.clone())),
    }
}

/// There is no such thing, and how to see what there is.
pub fn unknown(object: Object) -> Refusal {
    let hint = match &object {
        Object::Model(_) => {
            "`binnacle model list` shows those that are, `binnacle model create` names one"
        }
        Object::Version(_) => "`binnacle version list --model MODEL` shows those that are",
        Object::DataSet(_) | Object::DataSetVersion(_) => {
            "`binnacle dataset list` shows those that are, `binnacle dataset register` adds one"
        }
        Object::FeatureSet(_) | Object::FeatureSetVersion(_) => {
            "`binnacle featureset list` shows those that are, `binnacle featureset register` \
             adds one"
        }
        Object::Environment(_) => "`binnacle environment list` shows those that are",
    };
    Refusal::Unknown(object, hint)
}

impl Registry {
    /// Whether `object` may still be used; `None` where there is no such thing, or it has no
    /// standing.
    pub fn standing(&self, object: &Object) -> Option<&Standing> {
        match object {
            Object::Model(name) => self
                .models
                .get(name)
                .map(|model| &model.head.now().standing),
            Object::DataSet(name) => self.data_sets.get(name).map(|set| &set.head.now().standing),
            Object::FeatureSet(name) => self
                .feature_sets
                .get(name)
                .map(|set| &set.head.now().standing),
            Object::Version(version) => self.version(version).map(|found| &found.standing),
            Object::DataSetVersion(version) => self.data_set(version).map(|found| &found.standing),
            Object::FeatureSetVersion(version) => {
                self.feature_set(version).map(|found| &found.standing)
            }
            Object::Environment(_) => None,
        }
    }
}

impl Command {
    /// What it is about, as far as it exists before: what `--if-revision` speaks of.
    pub fn object(&self) -> Option<Object> {
        match self {
            Self::EditModel(name, _) | Self::DeleteModel(name) => Some(Object::Model(name.clone())),
            Self::NoteVersion(version, _) | Self::GoldenVersion(version, _) => {
                Some(Object::Version(version.clone()))
            }
            Self::EditDataSet(name, _) => Some(Object::DataSet(name.clone())),
            Self::EditFeatureSet(name, _) => Some(Object::FeatureSet(name.clone())),
            Self::SetEnvironment(name, _) => Some(Object::Environment(name.clone())),
            Self::Deprecate(object) | Self::Restore(object) => Some(object.clone()),
            Self::CreateModel(..)
            | Self::RegisterVersion(..)
            | Self::MoveAlias(..)
            | Self::RegisterDataSet(..)
            | Self::RegisterFeatureSet(..)
            | Self::Import(_) => None,
        }
    }
}
