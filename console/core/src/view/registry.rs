//! Rows of the registry: models, versions, aliases, data sets, feature sets, environments.
//!
//! Rows of versions are made of the index and of the entry that registered the version, which
//! the hub reads from its store for those that are looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{from_time, some_time, time};
use crate::journal::{Change, Entry};
use crate::name::Name;
use crate::registry::change::FeatureSetDetail;
use crate::registry::{
    self, Alias, Card, DataSet, DataSetDetail, DataSetVersion, Environment, FeatureSet,
    FeatureSetVersion, Freeze, Head, Model, Node, Number, Prose, Reference, Role, Rules, Said,
    Standing, Version, VersionDetail,
};

/// What rows of named things share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: Name,
    /// What is said of it.
    #[serde(flatten)]
    pub card: Card,
    /// Why it should not be used any more; null where it may.
    pub deprecated: Option<Arc<str>>,
    /// When it was first named.
    #[serde(
        rename = "created_at",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub created_at_us: i64,
    /// The revision that an edit is made on.
    pub revision: u64,
    /// How many versions it has.
    pub versions: u32,
    /// When the last version was registered.
    #[serde(rename = "latest_at", with = "some_time")]
    pub latest_at_us: Option<i64>,
}

/// A registered model, in a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelItem {
    /// Name, card, standing.
    #[serde(flatten)]
    pub named: Named,
    /// Where its aliases point now.
    pub aliases: BTreeMap<Name, Number>,
}

/// A data set or a feature set, in a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetItem {
    /// Name, card, standing.
    #[serde(flatten)]
    pub named: Named,
}

/// What rows of versions share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Numbered {
    /// Its name and number.
    pub version: Reference,
    /// When it was registered.
    #[serde(
        rename = "registered_at",
        serialize_with = "time",
        deserialize_with = "from_time"
    )]
    pub at_us: i64,
    /// Who registered it.
    pub registered_by: Arc<str>,
    /// Why it should not be used any more; null where it may.
    pub deprecated: Option<Arc<str>>,
    /// The revision that a change is made on.
    pub revision: u64,
    /// The entry of the journal that registered it.
    pub sequence: u64,
}

/// A version of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VersionItem {
    /// Number, time, standing.
    #[serde(flatten)]
    pub numbered: Numbered,
    /// Aliases that point to it now.
    pub aliases: Vec<Name>,
    /// All that was said of it, with the latest notes.
    #[serde(flatten)]
    pub detail: VersionDetail,
}

/// A version of a data set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DataSetItem {
    /// Number, time, standing.
    #[serde(flatten)]
    pub numbered: Numbered,
    /// Versions that were trained on it, and what for.
    pub trained: Vec<Trainee>,
    /// All that was said of it.
    #[serde(flatten)]
    pub detail: DataSetDetail,
}

/// A version that was trained on a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trainee {
    /// Which.
    pub version: Reference,
    /// What the data was for.
    pub role: Role,
}

/// A version of a feature set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureSetItem {
    /// Number, time, standing.
    #[serde(flatten)]
    pub numbered: Numbered,
    /// Versions that are given it.
    pub given: Vec<Reference>,
    /// All that was said of it.
    #[serde(flatten)]
    pub detail: FeatureSetDetail,
}

/// An alias of a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasItem {
    /// Whose.
    pub model: Name,
    /// Its name.
    pub alias: Name,
    /// Where it points; null where it was taken away.
    pub version: Option<Reference>,
    /// The revision that a move is made on.
    pub revision: u64,
    /// Every move, newest first.
    pub moves: Vec<MoveItem>,
}

/// One move of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MoveItem {
    /// When.
    #[serde(rename = "at", serialize_with = "time", deserialize_with = "from_time")]
    pub at_us: i64,
    /// Where to; null where it was taken away.
    pub version: Option<Reference>,
    /// The entry of the journal that says so.
    pub sequence: u64,
}

/// An environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentItem {
    /// Its name.
    pub name: Name,
    /// What holds in it.
    #[serde(flatten)]
    pub rules: Rules,
    /// Who froze it, where it is frozen.
    #[serde(default)]
    pub frozen_by: Option<Arc<str>>,
    /// Hosts that say they belong to it.
    pub hosts: u32,
    /// The revision that a change is made on; 0 where no rules were set.
    pub revision: u64,
}

/// One thing in a tree of lineage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineageItem {
    /// What it is to the thing above it; empty for the root.
    pub relation: Arc<str>,
    /// What it is: model, version, data set, feature set.
    pub kind: Arc<str>,
    /// Its name, or name and number.
    pub name: Arc<str>,
    /// Whether it should not be used any more.
    pub deprecated: bool,
    /// Whether what is below it is left out here, because it stands elsewhere or is too far.
    pub cut: bool,
    /// What is below it.
    pub below: Vec<Self>,
}

impl Numbered {
    /// Of a version that `entry` registered, and whose standing another may have changed.
    fn of(
        version: &Reference,
        entry: &Entry,
        (at_us, revision): (i64, u64),
        standing: &Standing,
    ) -> Self {
        let caller = of_registry(entry).and_then(registry::Change::first_caller);
        Self {
            version: version.clone(),
            at_us,
            registered_by: caller.unwrap_or(&entry.caller).to_string().into(),
            deprecated: deprecated(standing),
            revision: revision.max(entry.sequence),
            sequence: entry.sequence,
        }
    }
}

fn deprecated(standing: &Standing) -> Option<Arc<str>> {
    match standing {
        Standing::Active => None,
        Standing::Deprecated(deprecation) => Some(deprecation.why.clone()),
    }
}

fn named(
    name: &Name,
    head: &Head,
    said: &Said,
    versions: usize,
    latest_at_us: Option<i64>,
) -> Named {
    Named {
        name: name.clone(),
        card: Card::clone(&said.card),
        deprecated: deprecated(&said.standing),
        created_at_us: head.created_at_us(),
        revision: head.revision,
        versions: versions as u32,
        latest_at_us,
    }
}

impl ModelItem {
    /// The row of a model.
    pub fn of(name: &Name, model: &Model) -> Self {
        let latest = model.versions.last().map(|version| version.at_us);
        let aliases = model.aliases.iter();
        Self {
            named: named(
                name,
                &model.head,
                model.head.now(),
                model.versions.len(),
                latest,
            ),
            aliases: aliases
                .filter_map(|(alias, moves)| Some((alias.clone(), moves.now()?)))
                .collect(),
        }
    }

    /// The row of a model as it was at a moment; the revision alone is of now, since an edit is
    /// made on that. `None` where it was not there.
    pub fn at(name: &Name, model: &Model, at_us: i64) -> Option<Self> {
        let said = model.head.at(at_us)?;
        let versions = model.versions_at(at_us);
        let latest = versions
            .checked_sub(1)
            .and_then(|last| model.versions.get(last));
        let aliases = model.aliases.iter();
        Some(Self {
            named: named(
                name,
                &model.head,
                said,
                versions,
                latest.map(|version| version.at_us),
            ),
            aliases: aliases
                .filter_map(|(alias, moves)| Some((alias.clone(), moves.at(at_us)?)))
                .collect(),
        })
    }
}

impl SetItem {
    /// The row of a data set.
    pub fn of_data(name: &Name, set: &DataSet) -> Self {
        let latest = set.versions.last().map(|version| version.at_us);
        Self {
            named: named(name, &set.head, set.head.now(), set.versions.len(), latest),
        }
    }

    /// The row of a feature set.
    pub fn of_features(name: &Name, set: &FeatureSet) -> Self {
        let latest = set.versions.last().map(|version| version.at_us);
        Self {
            named: named(name, &set.head, set.head.now(), set.versions.len(), latest),
        }
    }
}

/// What an entry registered, wherever it was decided.
fn registered(entry: &Entry) -> Option<&registry::Change> {
    of_registry(entry).map(registry::Change::original)
}

fn of_registry(entry: &Entry) -> Option<&registry::Change> {
    match &entry.change {
        Change::Registry(change) => Some(change),
        Change::Genesis { .. }
        | Change::Endpoint(_)
        | Change::Alert(_)
        | Change::HostAdmitted(_)
        | Change::HostRelabelled(_)
        | Change::HostRetired { .. }
        | Change::HostDrained { .. }
        | Change::HostResumed { .. }
        | Change::HostReadmitted { .. } => None,
    }
}

impl VersionItem {
    /// The row of a version, from its index and its entry; `None` where the entry is another's.
    pub fn of(model: &Model, version: &Version, entry: &Entry) -> Option<Self> {
        let registry::Change::VersionRegistered(said) = registered(entry)? else {
            return None;
        };
        let number = said.version.number;
        let pointing = model
            .aliases
            .iter()
            .filter(|(_, moves)| moves.now() == Some(number));
        Some(Self {
            numbered: Numbered::of(
                &said.version,
                entry,
                (version.at_us, version.revision),
                &version.standing,
            ),
            aliases: pointing.map(|(alias, _)| alias.clone()).collect(),
            detail: VersionDetail {
                // Later ones take the place of those that it was registered with.
                golden: model.golden.get(&number).copied(),
                ..said.detail.clone()
            },
        })
    }

    /// With later notes, from the entry that holds them.
    pub fn noted(mut self, entry: &Entry) -> Self {
        if let Some(registry::Change::VersionNoted(noted)) = registered(entry) {
            self.detail.notes = Prose::clone(&noted.notes);
        }
        self
    }
}

impl DataSetItem {
    /// The row of a version, from its index and its entry; `None` where the entry is another's.
    pub fn of(version: &DataSetVersion, entry: &Entry) -> Option<Self> {
        let registry::Change::DataSetRegistered(said) = registered(entry)? else {
            return None;
        };
        let trained = version
            .trained()
            .map(|(version, role)| Trainee { version, role });
        Some(Self {
            numbered: Numbered::of(
                &said.version,
                entry,
                (version.at_us, version.revision),
                &version.standing,
            ),
            trained: trained.collect(),
            detail: said.detail.clone(),
        })
    }
}

impl FeatureSetItem {
    /// The row of a version, from its index and its entry; `None` where the entry is another's.
    pub fn of(version: &FeatureSetVersion, entry: &Entry) -> Option<Self> {
        let registry::Change::FeatureSetRegistered(said) = registered(entry)? else {
            return None;
        };
        Some(Self {
            numbered: Numbered::of(
                &said.version,
                entry,
                (version.at_us, version.revision),
                &version.standing,
            ),
            given: version.given.iter().cloned().collect(),
            detail: said.detail.clone(),
        })
    }
}

impl AliasItem {
    /// The row of an alias; as it was at a moment, if one is given.
    pub fn of(model: &Name, alias: &Name, moves: &Alias, at_us: Option<i64>) -> Self {
        let reference = |number: Option<Number>| {
            let name = model.clone();
            number.map(|number| Reference { name, number })
        };
        let until = at_us.unwrap_or(i64::MAX);
        let known = moves.moves.iter().take_while(|one| one.at_us <= until);
        let mut known: Vec<MoveItem> = known
            .map(|one| MoveItem {
                at_us: one.at_us,
                version: reference(one.to),
                sequence: one.sequence,
            })
            .collect();
        known.reverse();
        Self {
            model: model.clone(),
            alias: alias.clone(),
            version: known.first().and_then(|last| last.version.clone()),
            revision: moves.revision(),
            moves: known,
        }
    }
}

impl EnvironmentItem {
    /// The row of an environment.
    pub fn of(name: &Name, rules: Option<&Environment>, hosts: u32) -> Self {
        Self {
            name: name.clone(),
            rules: rules.map(|known| known.rules.clone()).unwrap_or_default(),
            frozen_by: rules
                .and_then(|known| known.frozen_by.as_ref())
                .map(|by| by.to_string().into()),
            hosts,
            revision: rules.map_or(0, |known| known.revision),
        }
    }

    /// The freeze that holds there.
    pub fn freeze(&self, now_us: i64) -> Option<&Freeze> {
        self.rules
            .freeze
            .as_ref()
            .filter(|freeze| freeze.holds(now_us))
    }
}

impl LineageItem {
    /// The tree as it is shown.
    pub fn of(node: &Node) -> Self {
        let text = node.object.to_string();
        let (kind, name) = text.rsplit_once(' ').unwrap_or(("", &text));
        Self {
            relation: node.relation.into(),
            kind: kind.into(),
            name: name.into(),
            deprecated: node.is_deprecated,
            cut: node.is_cut,
            below: node.below.iter().map(Self::of).collect(),
        }
    }
}
