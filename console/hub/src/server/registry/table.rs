//! Pages of the registry's tables.
//!
//! Filters and orders are decided here, where all rows are, so that a page is a page of what was
//! asked for. Without either, only the page's own rows are made.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use binnacle_core::journal::Entry;
use binnacle_core::name::Name;
use binnacle_core::registry::{
    DataSetVersion, FeatureSetVersion, Head, List, Model, Number, Object, Reference, Version,
};
use binnacle_core::state::State;
use binnacle_core::view::filter::{Filter, Listed, Rank, known};
use binnacle_core::view::{
    AliasItem, DataSetItem, EnvironmentItem, FeatureSetItem, ModelItem, SetItem, VersionItem,
};
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::document_to;
use imbl::OrdMap;
use serde::Serialize;
use tonic::Status;

use super::{gone, hosts, read, unknown};
use crate::store::SharedStore;

/// Rows in one page, if the caller does not say.
const PAGE: usize = 1_000;
/// Rows in one page at most: a row of a version may have some kilobytes.
const PAGE_LIMIT: usize = 5_000;
/// Rows that are looked at before others have their turn: about a millisecond; and versions
/// whose details are held at once: a few megabytes.
const BREATH: usize = 1_000;
/// Bytes of a filter at most: some dozens of terms.
const MAX_FILTER: usize = 4_096;

/// The registry and where the details of versions stand.
pub(super) struct Table<'a> {
    pub(super) state: &'a State,
    pub(super) store: &'a SharedStore,
}

/// Which rows of a table are asked for, and in which order.
struct Wish<'a> {
    filter: Filter,
    /// The field that they are sorted by; as they stand without one.
    sort: Option<&'a str>,
    is_descending: bool,
    skip: usize,
    limit: usize,
}

impl<'a> Wish<'a> {
    fn of<T: Listed>(asked: &'a proto::ListRequest) -> Result<Self, Status> {
        let wrong =
            |field: &str, why: String| Err(Status::invalid_argument(format!("{field}: {why}")));
        if asked.search.len() > MAX_FILTER {
            return wrong("filter", format!("it has over {MAX_FILTER} bytes"));
        }
        let filter = match Filter::strict(&asked.search, T::FIELDS) {
            Ok(filter) => filter,
            Err(why) => return wrong("filter", why),
        };
        let sort = match asked.sort.as_str() {
            "" | "name" => None,
            // As text, version 10 would come before version 2.
            "version" if T::FIELDS.contains(&"number") => Some("number"),
            "changed" => Some("changed"),
            field => match known(field, T::FIELDS) {
                Ok(()) => Some(field),
                Err(why) => return wrong("sort", why),
            },
        };
        let limit = match asked.limit {
            0 => PAGE,
            limit => (limit as usize).min(PAGE_LIMIT),
        };
        Ok(Self {
            filter,
            sort,
            is_descending: asked.descending,
            skip: asked.skip as usize,
            limit,
        })
    }

    /// Whether every row is wanted, in the order in which they stand.
    fn is_plain(&self) -> bool {
        self.filter.is_empty() && self.sort.is_none()
    }

    /// Where a row stands that was last changed by the entry `changed`.
    fn rank<T: Listed>(&self, row: &T, changed: u64) -> Rank {
        match self.sort {
            None => Rank::Unknown,
            Some("changed") => Rank::Number(changed as f64),
            Some(field) => Rank::of(row.field(field)),
        }
    }

    /// The page out of rows with their ranks, and how many there are.
    fn page<T>(&self, mut all: Vec<(Rank, T)>) -> (Vec<T>, usize) {
        match self.sort {
            Some(_) => all.sort_by(|(left, _), (right, _)| left.compare(right, self.is_descending)),
            None if self.is_descending => all.reverse(),
            None => {}
        }
        let total = all.len();
        let page = all.into_iter().skip(self.skip).take(self.limit);
        (page.map(|(_, row)| row).collect(), total)
    }

    /// The places of the page where every row is wanted.
    fn places(&self, total: usize) -> Vec<usize> {
        let all = 0..total;
        match self.is_descending {
            true => all.rev().skip(self.skip).take(self.limit).collect(),
            false => all.skip(self.skip).take(self.limit).collect(),
        }
    }

    /// The page out of rows that are made one by one, each with the entry that last changed it.
    async fn listed<T: Listed + Serialize>(
        &self,
        rows: impl Iterator<Item = (u64, T)>,
    ) -> proto::ListResponse {
        let mut found = Vec::new();
        for (at, (changed, row)) in rows.enumerate() {
            if self.filter.takes(&row) {
                found.push((self.rank(&row, changed), row));
            }
            if at % BREATH == BREATH - 1 {
                tokio::task::yield_now().await;
            }
        }
        let (rows, total) = self.page(found);
        answer(rows.into_iter(), total)
    }
}

/// Something with a name, a card and versions.
trait Headed {
    fn head(&self) -> &Head;
    /// The entry that registered its latest version; 0 without one.
    fn latest(&self) -> u64;
}

impl Headed for Model {
    fn head(&self) -> &Head {
        &self.head
    }

    fn latest(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.sequence)
    }
}

impl Headed for binnacle_core::registry::DataSet {
    fn head(&self) -> &Head {
        &self.head
    }

    fn latest(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.sequence)
    }
}

impl Headed for binnacle_core::registry::FeatureSet {
    fn head(&self) -> &Head {
        &self.head
    }

    fn latest(&self) -> u64 {
        self.versions.last().map_or(0, |version| version.sequence)
    }
}

/// A version as the index knows it, whose row is made with entries of the journal.
trait Kept {
    type Row: Listed + Serialize;
    /// The entry that registered it.
    fn sequence(&self) -> u64;
    /// The entry with its latest notes; 0 for none.
    fn noted(&self) -> u64 {
        0
    }
    /// The entry that last changed it.
    fn revision(&self) -> u64;
    fn row(&self, entry: &Entry, noted: Option<&Entry>) -> Option<Self::Row>;
}

impl Kept for (&Model, &Version) {
    type Row = VersionItem;

    fn sequence(&self) -> u64 {
        self.1.sequence
    }

    fn noted(&self) -> u64 {
        self.1.noted
    }

    fn revision(&self) -> u64 {
        self.1.revision.max(self.1.sequence)
    }

    fn row(&self, entry: &Entry, noted: Option<&Entry>) -> Option<VersionItem> {
        let row = VersionItem::of(self.0, self.1, entry)?;
        Some(match noted {
            None => row,
            Some(noted) => row.noted(noted),
        })
    }
}

impl Kept for &DataSetVersion {
    type Row = DataSetItem;

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn revision(&self) -> u64 {
        self.revision.max(self.sequence)
    }

    fn row(&self, entry: &Entry, _noted: Option<&Entry>) -> Option<DataSetItem> {
        DataSetItem::of(self, entry)
    }
}

impl Kept for &FeatureSetVersion {
    type Row = FeatureSetItem;

    fn sequence(&self) -> u64 {
        self.sequence
    }

    fn revision(&self) -> u64 {
        self.revision.max(self.sequence)
    }

    fn row(&self, entry: &Entry, _noted: Option<&Entry>) -> Option<FeatureSetItem> {
        FeatureSetItem::of(self, entry)
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
        let registry = &self.state.registry;
        match noun {
            Ok(proto::Noun::Models) => {
                let at_us = (asked.at_us != 0).then_some(asked.at_us);
                let row = |name: &Name, model: &Model| match at_us {
                    None => Some(ModelItem::of(name, model)),
                    Some(at_us) => ModelItem::at(name, model, at_us),
                };
                named(&asked, &registry.models, row).await
            }
            Ok(proto::Noun::DataSets) => {
                let row = |name: &Name, set: &_| Some(SetItem::of_data(name, set));
                named(&asked, &registry.data_sets, row).await
            }
            Ok(proto::Noun::FeatureSets) => {
                let row = |name: &Name, set: &_| Some(SetItem::of_features(name, set));
                named(&asked, &registry.feature_sets, row).await
            }
            Ok(proto::Noun::Versions) => {
                let (name, number) = which(&asked.name)?;
                let model = registry.models.get(&name);
                let model = model.ok_or_else(|| unknown(Object::Model(name.clone())))?;
                let which = (name, number, Object::Version as fn(Reference) -> Object);
                let kept = |version| (&**model, version);
                self.numbered(&asked, &model.versions, which, kept).await
            }
            Ok(proto::Noun::DataSetVersions) => {
                let (name, number) = which(&asked.name)?;
                let set = registry.data_sets.get(&name);
                let set = set.ok_or_else(|| unknown(Object::DataSet(name.clone())))?;
                let which = (
                    name,
                    number,
                    Object::DataSetVersion as fn(Reference) -> Object,
                );
                self.numbered(&asked, &set.versions, which, |version| version)
                    .await
            }
            Ok(proto::Noun::FeatureSetVersions) => {
                let (name, number) = which(&asked.name)?;
                let set = registry.feature_sets.get(&name);
                let set = set.ok_or_else(|| unknown(Object::FeatureSet(name.clone())))?;
                let object = Object::FeatureSetVersion as fn(Reference) -> Object;
                let which = (name, number, object);
                self.numbered(&asked, &set.versions, which, |version| version)
                    .await
            }
            Ok(proto::Noun::Aliases) => self.aliases(&asked).await,
            Ok(proto::Noun::Environments) => self.environments(&asked).await,
            Ok(proto::Noun::Unspecified) | Err(_) => {
                let what = format!("noun: {} is no table", asked.noun);
                Err(Status::invalid_argument(what))
            }
        }
    }

    /// Versions of one name: the one of a number, or a page of all.
    async fn numbered<'v, V: Clone, K: Kept>(
        &self,
        asked: &proto::ListRequest,
        versions: &'v List<V>,
        (name, number, object): (Name, Option<Number>, fn(Reference) -> Object),
        kept: impl Fn(&'v V) -> K,
    ) -> Result<proto::ListResponse, Status> {
        let wish = Wish::of::<K::Row>(asked)?;
        let at = |places: &[usize]| -> Vec<K> {
            let found = places.iter().filter_map(|place| versions.get(*place));
            found.map(&kept).collect()
        };
        let (places, total) = match number {
            Some(number) => {
                let place = number.get() as usize - 1;
                if place >= versions.len() {
                    return Err(unknown(object(Reference { name, number })));
                }
                (vec![place], 1)
            }
            None if wish.is_plain() => (wish.places(versions.len()), versions.len()),
            None => {
                let all: Vec<usize> = (0..versions.len()).collect();
                let mut found = Vec::new();
                for places in all.chunks(BREATH) {
                    let chunk = at(places);
                    let rows = self.detailed(&chunk).await?;
                    for ((row, one), place) in rows.into_iter().zip(&chunk).zip(places) {
                        if wish.filter.takes(&row) {
                            found.push((wish.rank(&row, one.revision()), *place));
                        }
                    }
                }
                wish.page(found)
            }
        };
        let rows = self.detailed(&at(&places)).await?;
        Ok(answer(rows.into_iter(), total))
    }

    /// The rows of versions, each out of its index and the entries that tell of it.
    async fn detailed<K: Kept>(&self, found: &[K]) -> Result<Vec<K::Row>, Status> {
        let places = found.iter().flat_map(|one| [one.sequence(), one.noted()]);
        let entries = read(self.store, places.filter(|place| *place > 0).collect()).await?;
        let row = |one: &K| {
            let noted = match one.noted() {
                0 => None,
                noted => Some(at(&entries, noted)?),
            };
            let sequence = one.sequence();
            one.row(at(&entries, sequence)?, noted)
                .ok_or_else(|| gone(sequence))
        };
        found.iter().map(row).collect()
    }

    async fn aliases(&self, asked: &proto::ListRequest) -> Result<proto::ListResponse, Status> {
        let wish = Wish::of::<AliasItem>(asked)?;
        let at_us = (asked.at_us != 0).then_some(asked.at_us);
        let of_model = |(name, model): (&Name, &Arc<Model>)| {
            let rows = model.aliases.iter();
            let rows = rows.map(|(alias, moves)| AliasItem::of(name, alias, moves, at_us));
            let rows = rows.filter(|row| !row.moves.is_empty());
            rows.map(|row| (row.revision, row)).collect::<Vec<_>>()
        };
        let models = &self.state.registry.models;
        if asked.name.is_empty() {
            return Ok(wish.listed(models.iter().flat_map(of_model)).await);
        }
        let name = parsed(&asked.name)?;
        let found = models.get_key_value(&name);
        let rows = of_model(found.ok_or_else(|| unknown(Object::Model(name)))?);
        Ok(wish.listed(rows.into_iter()).await)
    }

    async fn environments(
        &self,
        asked: &proto::ListRequest,
    ) -> Result<proto::ListResponse, Status> {
        let wish = Wish::of::<EnvironmentItem>(asked)?;
        let known = &self.state.registry.environments;
        let mut counts: BTreeMap<Name, u32> = hosts(self.state);
        for name in known.keys() {
            counts.entry(name.clone()).or_default();
        }
        if !asked.name.is_empty() {
            counts.retain(|name, _| name.as_str() == asked.name);
            if counts.is_empty() {
                return Err(unknown(Object::Environment(parsed(&asked.name)?)));
            }
        }
        let rows = counts.iter().map(|(name, hosts)| {
            let row = EnvironmentItem::of(name, known.get(name), *hosts);
            (row.revision, row)
        });
        Ok(wish.listed(rows).await)
    }
}

/// Things with a name: the one of it, or a page of all. `row` makes none of what was not there
/// at the moment that is asked about.
async fn named<M: Headed, T: Listed + Serialize>(
    asked: &proto::ListRequest,
    all: &OrdMap<Name, Arc<M>>,
    row: impl Fn(&Name, &M) -> Option<T>,
) -> Result<proto::ListResponse, Status> {
    let wish = Wish::of::<T>(asked)?;
    let made = |(name, one): (&Name, &Arc<M>)| {
        let changed = one.head().revision.max(one.latest());
        Some((changed, row(name, one)?))
    };
    if !asked.name.is_empty() {
        let name = Name::parse(&asked.name).ok();
        let found = name.and_then(|name| all.get_key_value(&name));
        let rows = found.and_then(made).into_iter();
        return Ok(wish.listed(rows).await);
    }
    if !wish.is_plain() || asked.at_us != 0 {
        return Ok(wish.listed(all.iter().filter_map(made)).await);
    }
    let total = all.len();
    let page: Vec<_> = match wish.is_descending {
        true => all.iter().rev().skip(wish.skip).take(wish.limit).collect(),
        false => all.iter().skip(wish.skip).take(wish.limit).collect(),
    };
    let rows = page.into_iter().filter_map(made).map(|(_, row)| row);
    Ok(answer(rows, total))
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

#[cfg(test)]
mod tests {
    use binnacle_wire::registry::document_from;

    use super::*;

    fn row(number: u32) -> EnvironmentItem {
        let name = Name::parse(&format!("e{number:03}")).unwrap();
        EnvironmentItem::of(&name, None, number % 7)
    }

    fn names(answer: &proto::ListResponse) -> Vec<String> {
        let read = |row: &bytes::Bytes| -> EnvironmentItem { document_from("row", row).unwrap() };
        let rows = answer.rows.iter().map(read);
        rows.map(|row| format!("{} {}", row.hosts, row.name))
            .collect()
    }

    async fn ask(asked: &proto::ListRequest) -> proto::ListResponse {
        let wish = Wish::of::<EnvironmentItem>(asked).unwrap();
        wish.listed((0..100).map(|number| (0, row(number)))).await
    }

    #[tokio::test]
    async fn pages_of_chosen_and_sorted_rows_put_together_are_all_of_them_once() {
        let asked = proto::ListRequest {
            search: "hosts>3".into(),
            sort: "hosts".into(),
            descending: true,
            ..Default::default()
        };
        let whole = ask(&asked).await;
        let all = names(&whole);
        assert_eq!((all.len(), whole.total), (42, 42));
        assert!(all.first().unwrap().starts_with("6 ") && all.last().unwrap().starts_with("4 "));
        let mut paged = Vec::new();
        while paged.len() < all.len() {
            let page = proto::ListRequest {
                skip: paged.len() as u32,
                limit: 10,
                ..asked.clone()
            };
            let page = ask(&page).await;
            assert_eq!(page.total, 42, "each page says how many there are");
            paged.extend(names(&page));
        }
        assert_eq!(paged, all);
    }

    #[test]
    fn a_filter_or_an_order_that_cannot_be_is_refused_with_what_was_meant() {
        let why = |search: &str, sort: &str| {
            let asked = proto::ListRequest {
                search: search.into(),
                sort: sort.into(),
                ..Default::default()
            };
            let refused = Wish::of::<EnvironmentItem>(&asked).err().unwrap();
            refused.message().to_owned()
        };
        assert!(why("hots>3", "").contains("did you mean hosts"));
        assert!(why("", "hots").contains("did you mean hosts"));
        assert!(why(&"x".repeat(MAX_FILTER + 1), "").contains("bytes"));
    }
}
