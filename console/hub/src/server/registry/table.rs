//! Pages of the registry's tables.

use std::collections::{BTreeMap, HashMap};

use binnacle_core::journal::Entry;
use binnacle_core::name::Name;
use binnacle_core::registry::{DataSet, FeatureSet, Head, Model, Object, Reference};
use binnacle_core::state::State;
use binnacle_core::view::{
    AliasItem, DataSetItem, EnvironmentItem, FeatureSetItem, ModelItem, SetItem, VersionItem,
};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document_to;
use serde::Serialize;
use tonic::Status;

use super::{gone, hosts, read, unknown};
use crate::store::SharedStore;

/// Rows in one page, if the caller does not say.
const PAGE: usize = 1_000;
/// Rows in one page at most: a row of a version may have some kilobytes.
const PAGE_LIMIT: usize = 5_000;

/// The registry and where the details of versions stand.
pub(super) struct Table<'a> {
    pub(super) state: &'a State,
    pub(super) store: &'a SharedStore,
}

/// A page that was cut out of all rows.
struct Cut<T> {
    rows: Vec<T>,
    total: usize,
}

impl Table<'_> {
    /// The page that is asked for; its time is the caller's to say.
    pub(super) async fn page(
        &self,
        asked: proto::ListRequest,
    ) -> Result<proto::ListResponse, Status> {
        let noun = proto::Noun::try_from(asked.noun);
        match noun {
            Ok(proto::Noun::Models) => self.models(&asked),
            Ok(proto::Noun::Versions) => self.versions(&asked).await,
            Ok(proto::Noun::Aliases) => self.aliases(&asked),
            Ok(proto::Noun::DataSets) => self.data_sets(&asked),
            Ok(proto::Noun::DataSetVersions) => self.data_set_versions(&asked).await,
            Ok(proto::Noun::FeatureSets) => self.feature_sets(&asked),
            Ok(proto::Noun::FeatureSetVersions) => self.feature_set_versions(&asked).await,
            Ok(proto::Noun::Environments) => self.environments(&asked),
            Ok(proto::Noun::Unspecified) | Err(_) => {
                let what = format!("noun: {} is no table", asked.noun);
                Err(Status::invalid_argument(what))
            }
        }
    }

    fn models(&self, asked: &proto::ListRequest) -> Result<proto::ListResponse, Status> {
        let all = self.state.registry.models.iter();
        let all = all.filter(|(name, model)| matches(asked, name, &model.head));
        let at_us = (asked.at_us != 0).then_some(asked.at_us);
        let all =
            all.filter(|(_, model)| at_us.is_none_or(|at_us| model.head.created_at_us <= at_us));
        let changed = |(_, model): &(&Name, &std::sync::Arc<Model>)| {
            let latest = model.versions.last().map_or(0, |version| version.sequence);
            model.head.revision.max(latest)
        };
        let cut = sorted(all, asked, changed)?;
        let rows = cut
            .rows
            .into_iter()
            .filter_map(|(name, model)| match at_us {
                None => Some(ModelItem::of(name, model)),
                Some(at_us) => ModelItem::at(name, model, at_us),
            });
        Ok(answer(rows, cut.total))
    }

    async fn versions(&self, asked: &proto::ListRequest) -> Result<proto::ListResponse, Status> {
        let (name, number) = which(&asked.name)?;
        let model = self.state.registry.models.get(&name);
        let model = model.ok_or_else(|| unknown(Object::Model(name.clone())))?;
        let total = match asked.at_us {
            0 => model.versions.len(),
            at_us => model.versions_at(at_us),
        };
        let places = numbered(asked, number, total);
        if let Some(number) = number.filter(|_| places.is_empty()) {
            return Err(unknown(Object::Version(Reference { name, number })));
        }
        let found = places.iter().filter_map(|place| model.versions.get(*place));
        let found: Vec<_> = found.collect();
        let with_notes = found
            .iter()
            .flat_map(|version| [version.sequence, version.noted]);
        let entries = read(self.store, with_notes.filter(|place| *place > 0).collect()).await?;
        let mut rows = Vec::with_capacity(found.len());
        for version in found {
            let row = VersionItem::of(model, version, at(&entries, version.sequence)?);
            let row = row.ok_or_else(|| gone(version.sequence))?;
            rows.push(match version.noted {
                0 => row,
                noted => row.noted(at(&entries, noted)?),
            });
        }
        Ok(answer(rows.into_iter(), number.map_or(total, |_| 1)))
    }

    fn aliases(&self, asked: &proto::ListRequest) -> Result<proto::ListResponse, Status> {
        let at_us = (asked.at_us != 0).then_some(asked.at_us);
        let of_model = |(name, model): (&Name, &std::sync::Arc<Model>)| {
            let rows = model.aliases.iter();
            let rows = rows.map(|(alias, moves)| AliasItem::of(name, alias, moves, at_us));
            rows.collect::<Vec<_>>()
        };
        let models = &self.state.registry.models;
        let rows: Vec<AliasItem> = match asked.name.is_empty() {
            true => models.iter().flat_map(of_model).collect(),
            false => {
                let name = parsed(&asked.name)?;
                let found = models.get_key_value(&name);
                of_model(found.ok_or_else(|| unknown(Object::Model(name)))?)
            }
        };
        let rows = rows.into_iter();
        let rows: Vec<_> = rows.filter(|row| !row.moves.is_empty()).collect();
        let (skip, limit) = window(asked);
        let total = rows.len();
        Ok(answer(rows.into_iter().skip(skip).take(limit), total))
    }

    fn data_sets(&self, asked: &proto::ListRequest) -> Result<proto::ListResponse, Status> {
        let all = self.state.registry.data_sets.iter();
        let all = all.filter(|(name, set)| matches(asked, name, &set.head));
        let changed = |(_, set): &(&Name, &std::sync::Arc<DataSet>)| {
            let latest = set.versions.last().map_or(0, |version| version.sequence);
            set.head.revision.max(latest)
        };
        let cut = sorted(all, asked, changed)?;
        let rows = cut
            .rows
            .into_iter()
            .map(|(name, set)| SetItem::of_data(name, set));
        Ok(answer(rows, cut.total))
    }

    async fn data_set_versions(
        &self,
        asked: &proto::ListRequest,
    ) -> Result<proto::ListResponse, Status> {
        let (name, number) = which(&asked.name)?;
        let set = self.state.registry.data_sets.get(&name);
        let set = set.ok_or_else(|| unknown(Object::DataSet(name.clone())))?;
        let total = set.versions.len();
        let places = numbered(asked, number, total);
        if let Some(number) = number.filter(|_| places.is_empty()) {
            return Err(unknown(Object::DataSetVersion(Reference { name, number })));
        }
        let found = places.iter().filter_map(|place| set.versions.get(*place));
        let found = found.map(|version| (version.sequence, version));
        let rows = self.detailed(found.collect(), |version, entry| {
            DataSetItem::of(version, entry)
        });
        Ok(answer(rows.await?.into_iter(), number.map_or(total, |_| 1)))
    }

    fn feature_sets(&self, asked: &proto::ListRequest) -> Result<proto::ListResponse, Status> {
        let all = self.state.registry.feature_sets.iter();
        let all = all.filter(|(name, set)| matches(asked, name, &set.head));
        let changed = |(_, set): &(&Name, &std::sync::Arc<FeatureSet>)| {
            let latest = set.versions.last().map_or(0, |version| version.sequence);
            set.head.revision.max(latest)
        };
        let cut = sorted(all, asked, changed)?;
        let rows = cut
            .rows
            .into_iter()
            .map(|(name, set)| SetItem::of_features(name, set));
        Ok(answer(rows, cut.total))
    }

    async fn feature_set_versions(
        &self,
        asked: &proto::ListRequest,
    ) -> Result<proto::ListResponse, Status> {
        let (name, number) = which(&asked.name)?;
        let set = self.state.registry.feature_sets.get(&name);
        let set = set.ok_or_else(|| unknown(Object::FeatureSet(name.clone())))?;
        let total = set.versions.len();
        let places = numbered(asked, number, total);
        if let Some(number) = number.filter(|_| places.is_empty()) {
            return Err(unknown(Object::FeatureSetVersion(Reference {
                name,
                number,
            })));
        }
        let found = places.iter().filter_map(|place| set.versions.get(*place));
        let found = found.map(|version| (version.sequence, version));
        let rows = self.detailed(found.collect(), |version, entry| {
            FeatureSetItem::of(version, entry)
        });
        Ok(answer(rows.await?.into_iter(), number.map_or(total, |_| 1)))
    }

    /// The rows of versions, each out of its index and the entry that registered it.
    async fn detailed<V, T>(
        &self,
        found: Vec<(u64, V)>,
        row: impl Fn(V, &Entry) -> Option<T>,
    ) -> Result<Vec<T>, Status> {
        let sequences = found.iter().map(|(sequence, _)| *sequence).collect();
        let entries = read(self.store, sequences).await?;
        let row = |(sequence, version)| {
            row(version, at(&entries, sequence)?).ok_or_else(|| gone(sequence))
        };
        found.into_iter().map(row).collect()
    }

    fn environments(&self, asked: &proto::ListRequest) -> Result<proto::ListResponse, Status> {
        let known = &self.state.registry.environments;
        let mut counts: BTreeMap<Name, u32> = hosts(self.state);
        for name in known.keys() {
            counts.entry(name.clone()).or_default();
        }
        let all = counts.iter().filter(|(name, _)| {
            (asked.name.is_empty() || asked.name == name.as_str())
                && name.as_str().contains(&asked.search)
        });
        let rows = all.map(|(name, hosts)| EnvironmentItem::of(name, known.get(name), *hosts));
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() && !asked.name.is_empty() {
            return Err(unknown(Object::Environment(parsed(&asked.name)?)));
        }
        let (skip, limit) = window(asked);
        let total = rows.len();
        Ok(answer(rows.into_iter().skip(skip).take(limit), total))
    }
}

fn parsed(text: &str) -> Result<Name, Status> {
    Name::parse(text).map_err(|error| Status::invalid_argument(format!("name: {error}")))
}

/// A name, or a name and a number.
fn which(text: &str) -> Result<(Name, Option<std::num::NonZeroU32>), Status> {
    if !text.contains('@') {
        return Ok((parsed(text)?, None));
    }
    let one: Reference = text
        .parse()
        .map_err(|error| Status::invalid_argument(format!("name: {error}")))?;
    Ok((one.name, Some(one.number)))
}

fn window(asked: &proto::ListRequest) -> (usize, usize) {
    let limit = match asked.limit {
        0 => PAGE,
        limit => (limit as usize).min(PAGE_LIMIT),
    };
    (asked.skip as usize, limit)
}

/// Places of the versions that are asked for, of `total`.
fn numbered(
    asked: &proto::ListRequest,
    number: Option<std::num::NonZeroU32>,
    total: usize,
) -> Vec<usize> {
    if let Some(number) = number {
        let place = number.get() as usize - 1;
        return Vec::from_iter((place < total).then_some(place));
    }
    let (skip, limit) = window(asked);
    match asked.descending {
        false => (0..total).skip(skip).take(limit).collect(),
        true => (0..total).rev().skip(skip).take(limit).collect(),
    }
}

fn matches(asked: &proto::ListRequest, name: &Name, head: &Head) -> bool {
    if !asked.name.is_empty() {
        return asked.name == name.as_str();
    }
    let search = asked.search.as_str();
    search.is_empty()
        || name.as_str().contains(search)
        || head
            .card
            .tags
            .iter()
            .any(|tag| tag.as_str().contains(search))
        || head.card.owner.as_str().contains(search)
        || head.card.team.as_str().contains(search)
}

/// The page out of rows that come in order of name.
fn sorted<T>(
    all: impl Iterator<Item = T>,
    asked: &proto::ListRequest,
    changed: impl Fn(&T) -> u64,
) -> Result<Cut<T>, Status> {
    let mut all: Vec<T> = all.collect();
    match asked.sort.as_str() {
        "" | "name" => {}
        "changed" => all.sort_by_key(|row| changed(row)),
        other => {
            let what = format!("sort: {other:?} is no order; say name or changed");
            return Err(Status::invalid_argument(what));
        }
    }
    if asked.descending {
        all.reverse();
    }
    let total = all.len();
    let (skip, limit) = window(asked);
    let rows = all.into_iter().skip(skip).take(limit).collect();
    Ok(Cut { rows, total })
}

fn at(entries: &HashMap<u64, Entry>, sequence: u64) -> Result<&Entry, Status> {
    entries.get(&sequence).ok_or_else(|| gone(sequence))
}

fn answer<T: Serialize>(rows: impl Iterator<Item = T>, total: usize) -> proto::ListResponse {
    proto::ListResponse {
        rows: rows.map(|row| document_to(&row).into()).collect(),
        as_of_us: 0,
        total: total as u32,
    }
}
