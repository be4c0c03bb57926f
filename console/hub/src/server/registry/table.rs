//! Pages of the registry's tables.

use std::collections::{BTreeMap, HashMap};

use binnacle_core::journal::Entry;
use binnacle_core::name::Name;
use binnacle_core::registry::{Alias, DataSet, FeatureSet, List, Model, Number, Object, Reference};
use binnacle_core::state::State;
use binnacle_core::view::{
    AliasItem, DataSetItem, EnvironmentItem, FeatureSetItem, ModelItem, SetItem, VersionItem,
};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document_to;
use serde::Serialize;
use tonic::Status;

use self::order::{Order, sorted, terms};
use super::{gone, hosts, read, unknown};
use crate::store::SharedStore;

mod order;

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

impl<T> Cut<T> {
    fn map<U>(self, row: impl FnMut(T) -> U) -> Cut<U> {
        Cut {
            rows: self.rows.into_iter().map(row).collect(),
            total: self.total,
        }
    }
}

impl Table<'_> {
    /// The page that is asked for; its time is the caller's to say.
    pub(super) async fn page(
        &self,
        asked: proto::ListRequest,
    ) -> Result<proto::ListResponse, Status> {
        let noun = proto::Noun::try_from(asked.noun);
        if asked.at_us != 0 && !matches!(noun, Ok(proto::Noun::Models | proto::Noun::Aliases)) {
            let what = "at_us: only models and aliases are told of as they were";
            return Err(Status::invalid_argument(what));
        }
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
        let at_us = (asked.at_us != 0).then_some(asked.at_us);
        let terms = terms(&asked.search)?;
        let all = all.filter(|(name, model)| {
            let is_named = asked.name.is_empty() || asked.name == name.as_str();
            // Who was not there yet is not found; who was, by what was said of it then.
            let said = match at_us {
                None => Some(model.head.now()),
                Some(at_us) => model.head.at(at_us),
            };
            let pointed = |moves: &Alias| match at_us {
                None => moves.now(),
                Some(at_us) => moves.at(at_us),
            };
            is_named
                && said.is_some_and(|said| {
                    let aliases = model.aliases.iter();
                    let aliases = aliases.filter(|(_, moves)| pointed(moves).is_some());
                    let aliases: Vec<&str> = aliases.map(|(alias, _)| alias.as_str()).collect();
                    terms.iter().all(|term| term.takes(name, said, &aliases))
                })
        });
        let order = |model: &Model| {
            let latest = model.versions.last();
            let latest = latest.map(|latest| (latest.sequence, latest.at_us));
            Order::of(&model.head, latest, model.versions.len())
        };
        let cut = sorted(all, asked, order)?;
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
        let found = chosen(asked, &model.versions, (name, number), Object::Version)?;
        let with_notes = found
            .rows
            .iter()
            .flat_map(|version| [version.sequence, version.noted]);
        let entries = read(self.store, with_notes.filter(|place| *place > 0).collect()).await?;
        let mut rows = Vec::with_capacity(found.rows.len());
        for version in found.rows {
            let row = VersionItem::of(model, version, at(&entries, version.sequence)?);
            let row = row.ok_or_else(|| gone(version.sequence))?;
            rows.push(match version.noted {
                0 => row,
                noted => row.noted(at(&entries, noted)?),
            });
        }
        Ok(answer(rows.into_iter(), found.total))
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
        let terms = terms(&asked.search)?;
        let all = all.filter(|(name, set)| {
            let is_named = asked.name.is_empty() || asked.name == name.as_str();
            is_named
                && terms
                    .iter()
                    .all(|term| term.takes(name, set.head.now(), &[]))
        });
        let order = |set: &DataSet| {
            let latest = set.versions.last();
            let latest = latest.map(|latest| (latest.sequence, latest.at_us));
            Order::of(&set.head, latest, set.versions.len())
        };
        let cut = sorted(all, asked, order)?;
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
        let found = chosen(asked, &set.versions, (name, number), Object::DataSetVersion)?;
        let found = found.map(|version| (version.sequence, version));
        let rows = self.detailed(found.rows, DataSetItem::of).await?;
        Ok(answer(rows.into_iter(), found.total))
    }

    fn feature_sets(&self, asked: &proto::ListRequest) -> Result<proto::ListResponse, Status> {
        let all = self.state.registry.feature_sets.iter();
        let terms = terms(&asked.search)?;
        let all = all.filter(|(name, set)| {
            let is_named = asked.name.is_empty() || asked.name == name.as_str();
            is_named
                && terms
                    .iter()
                    .all(|term| term.takes(name, set.head.now(), &[]))
        });
        let order = |set: &FeatureSet| {
            let latest = set.versions.last();
            let latest = latest.map(|latest| (latest.sequence, latest.at_us));
            Order::of(&set.head, latest, set.versions.len())
        };
        let cut = sorted(all, asked, order)?;
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
        let found = chosen(
            asked,
            &set.versions,
            (name, number),
            Object::FeatureSetVersion,
        )?;
        let found = found.map(|version| (version.sequence, version));
        let rows = self.detailed(found.rows, FeatureSetItem::of).await?;
        Ok(answer(rows.into_iter(), found.total))
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
fn which(text: &str) -> Result<(Name, Option<Number>), Status> {
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

/// The versions that are asked for: a page of all, or the one of a number.
fn chosen<'a, V: Clone>(
    asked: &proto::ListRequest,
    versions: &'a List<V>,
    (name, number): (Name, Option<Number>),
    object: fn(Reference) -> Object,
) -> Result<Cut<&'a V>, Status> {
    let all = 0..versions.len();
    let (skip, limit) = window(asked);
    let (places, total): (Vec<usize>, usize) = match (number, asked.descending) {
        (Some(number), _) => {
            let place = number.get() as usize - 1;
            if !all.contains(&place) {
                return Err(unknown(object(Reference { name, number })));
            }
            (vec![place], 1)
        }
        (None, false) => (all.clone().skip(skip).take(limit).collect(), all.len()),
        (None, true) => (
            all.clone().rev().skip(skip).take(limit).collect(),
            all.len(),
        ),
    };
    let rows = places.into_iter().filter_map(|place| versions.get(place));
    let rows = rows.collect();
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
