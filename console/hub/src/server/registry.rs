//! What is asked of the registry: changes, tables, lineage, history, export.
//!
//! Changes go to the engine like every decision. Everything else reads the published index, and
//! for versions that are looked at their entries, from the store.

use std::collections::HashMap;
use std::sync::Arc;

use binnacle_core::journal::{Change, Entry};
use binnacle_core::name::Name;
use binnacle_core::registry::change::Imported;
use binnacle_core::registry::{self, Digest, Golden, Location, Object, Registry as Index};
use binnacle_core::state::{self, Input, Request as Ask, State};
use binnacle_core::view::LineageItem;
use binnacle_proto::v1 as proto;
use binnacle_wire::registry::{command_from, document_to, object_from};
use binnacle_wire::{Refused, journal};
use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use crate::artifact::{BlobError, Stat};
use crate::engine::{Rejected, Written};
use crate::identity;
use crate::server::Hub;
use crate::server::rejection::rejected;
use crate::store::{MAX_PAGE, SharedStore, StoreError};

mod table;

/// Entries of a history, if the caller does not say.
const HISTORY_PAGE: u32 = 100;
/// Entries of a history at most.
const HISTORY_LIMIT: u32 = 1_000;
/// Entries read at once for an export: a few megabytes.
const EXPORT_CHUNK: u32 = 512;
/// Files of a folder that are looked for at once: an object store answers each in milliseconds.
const LOOK_AT_ONCE: usize = 32;

/// The service that knows what was registered.
#[derive(Clone, Debug)]
pub(crate) struct Registry {
    pub(crate) hub: Arc<Hub>,
}

type Lines = std::pin::Pin<Box<dyn Stream<Item = Result<proto::ExportLine, Status>> + Send>>;

#[tonic::async_trait]
impl proto::registry_server::Registry for Registry {
    type ExportStream = Lines;

    async fn change(
        &self,
        request: Request<proto::RegistryCommand>,
    ) -> Result<Response<proto::RegistryChanged>, Status> {
        let caller = identity::caller(&request);
        let asked = command_from(request.into_inner()).map_err(malformed)?;
        // Until it is decided, nothing that it needs is taken away.
        let kept = match needed(&asked.request) {
            needed if asked.is_dry_run || needed.is_empty() => None,
            needed => Some(self.kept(needed).await?),
        };
        let input = Input::Asked {
            caller,
            why: asked.why,
            request: asked.request,
            condition: asked.condition,
        };
        let answer = match asked.is_dry_run {
            true => self.decided(&input)?,
            false => {
                let written = self.hub.engine.put(input).await.map_err(rejected)?;
                self.changed(&written).await?
            }
        };
        drop(kept);
        Ok(Response::new(answer))
    }

    async fn list(
        &self,
        request: Request<proto::ListRequest>,
    ) -> Result<Response<proto::ListResponse>, Status> {
        let published = self.hub.engine.published();
        let table = table::Table {
            state: &published.state,
            store: &self.hub.store,
        };
        let mut answer = table.page(request.into_inner()).await?;
        answer.as_of_us = self.hub.clock.now_us();
        Ok(Response::new(answer))
    }

    async fn lineage(
        &self,
        request: Request<proto::LineageRequest>,
    ) -> Result<Response<proto::LineageResponse>, Status> {
        let asked = request.into_inner();
        let object = object(asked.object)?;
        let way = match asked.uses {
            true => registry::Way::Uses,
            false => registry::Way::Sources,
        };
        let published = self.hub.engine.published();
        let tree = published.state.registry.lineage(&object, way);
        let tree = tree.ok_or_else(|| unknown(object))?;
        Ok(Response::new(proto::LineageResponse {
            tree: document_to(&LineageItem::of(&tree)).into(),
            as_of_us: self.hub.clock.now_us(),
        }))
    }

    async fn entries_about(
        &self,
        request: Request<proto::EntriesAboutRequest>,
    ) -> Result<Response<proto::EntriesAboutResponse>, Status> {
        let asked = request.into_inner();
        let limit = match asked.limit {
            0 => HISTORY_PAGE,
            limit => limit.min(HISTORY_LIMIT),
        };
        let object = object(asked.object)?;
        let published = self.hub.engine.published();
        let mut entries =
            history(&published.state.registry, &self.hub.store, &object, limit).await?;
        entries.reverse();
        Ok(Response::new(proto::EntriesAboutResponse {
            entries,
            as_of_us: self.hub.clock.now_us(),
        }))
    }

    async fn export(
        &self,
        _request: Request<proto::ExportRequest>,
    ) -> Result<Response<Lines>, Status> {
        let head = self.hub.engine.published().state.sequence;
        let store = self.hub.store.clone();
        let chunks = futures::stream::try_unfold(0, move |after| {
            let store = store.clone();
            async move {
                if after >= head {
                    return Ok::<_, Status>(None);
                }
                let page = store.entries(after, EXPORT_CHUNK).await;
                let page = page.map_err(|error| unreadable(&error))?;
                let last = page.last().map_or(head, |stored| stored.sequence);
                let lines = page.iter().filter(|stored| stored.sequence <= head);
                let lines: Result<Vec<_>, Status> = lines.filter_map(line).collect();
                Ok(Some((lines?, last)))
            }
        });
        let lines = chunks.flat_map(|chunk| {
            let lines: Vec<Result<_, Status>> = match chunk {
                Ok(lines) => lines.into_iter().map(Ok).collect(),
                Err(status) => vec![Err(status)],
            };
            futures::stream::iter(lines)
        });
        Ok(Response::new(Box::pin(lines)))
    }
}

/// A change of the registry as a line; `None` for what is not of the registry.
fn line(stored: &binnacle_core::journal::Stored) -> Option<Result<proto::ExportLine, Status>> {
    let entry = match Entry::from_body(stored.sequence, &stored.body) {
        Ok(entry) => entry,
        Err(fault) => return Some(Err(Status::data_loss(fault.to_string()))),
    };
    let Change::Registry(change) = entry.change else {
        return None;
    };
    let told = |line: &Imported| {
        let line = document_to(line).into();
        Some(Ok(proto::ExportLine { line }))
    };
    // What was taken over goes on as it came: an export of an import is the same export.
    if let registry::Change::Imported(imported) = &change {
        return told(imported);
    }
    told(&Imported {
        at_us: entry.at_us,
        caller: entry.caller,
        why: entry.why,
        change,
    })
}

impl Registry {
    /// Holds blobs in the store that a change names; refused where one is not there, or is of
    /// another length.
    async fn kept(&self, needed: Vec<Needed>) -> Result<impl Sized + use<>, Status> {
        let held = self.hub.blobs.keep().await;
        for one in needed {
            self.is_there(one).await?;
        }
        Ok(held)
    }

    async fn is_there(&self, needed: Needed) -> Result<(), Status> {
        match needed {
            Needed::File(sha256, bytes) => self.is_stored(sha256, bytes).await?,
            Needed::Folder(sha256, said) => {
                self.is_stored(sha256, None).await?;
                let manifest = self.hub.blobs.manifest(sha256).await;
                let manifest = manifest.map_err(|error| {
                    let what = crate::engine::chain(&error);
                    match matches!(error, BlobError::NoManifest { .. }) {
                        true => Status::invalid_argument(what),
                        false => Status::unavailable(what),
                    }
                })?;
                if manifest.bytes() != said {
                    let found = manifest.bytes();
                    let what = format!("artifact: the folder has {found} bytes, not {said}");
                    return Err(Status::invalid_argument(what));
                }
                let files = manifest.files().iter();
                let files = files.map(|file| self.is_stored(file.sha256, Some(file.bytes)));
                let files: Vec<_> = files.collect();
                let mut looked = futures::stream::iter(files).buffer_unordered(LOOK_AT_ONCE);
                while let Some(file) = looked.next().await {
                    file?;
                }
            }
        }
        Ok(())
    }

    async fn is_stored(&self, sha256: Digest, bytes: Option<u64>) -> Result<(), Status> {
        let stat = self.hub.blobs.stat(sha256).await;
        match stat.map_err(|error| Status::unavailable(crate::engine::chain(&error)))? {
            Stat::Whole(found) => match bytes.filter(|said| *said != found) {
                None => Ok(()),
                Some(said) => {
                    let what = format!("artifact: {sha256} has {found} bytes, not {said}");
                    Err(Status::invalid_argument(what))
                }
            },
            Stat::Staged(_) => {
                let what = format!("{sha256} is not stored; upload it first");
                Err(Status::failed_precondition(what))
            }
        }
    }

    /// What would be changed now.
    fn decided(&self, input: &Input) -> Result<proto::RegistryChanged, Status> {
        let published = self.hub.engine.published();
        let drafts = state::decide(
            &published.state,
            &published.observed,
            input,
            self.hub.clock.now_us(),
        );
        let drafts = drafts.map_err(|refusal| rejected(Rejected::Refused(refusal)))?;
        let object = drafts.first().map(|draft| object_of(&draft.change));
        Ok(proto::RegistryChanged {
            sequence: 0,
            changed: object.is_some(),
            object: object.unwrap_or_default(),
            revision: 0,
        })
    }

    /// What was changed, or was changed before under the same key.
    async fn changed(&self, written: &Written) -> Result<proto::RegistryChanged, Status> {
        let answer = |entry: &Entry, changed| proto::RegistryChanged {
            sequence: entry.sequence,
            changed,
            object: object_of(&entry.change),
            revision: entry.sequence,
        };
        if let Some(entry) = written.entries.last() {
            return Ok(answer(entry, true));
        }
        let Some(before) = written.before else {
            return Ok(proto::RegistryChanged::default());
        };
        let found = self.hub.store.entries_at(vec![before]).await;
        let found = found.map_err(|error| unreadable(&error))?;
        let stored = found.first().ok_or_else(|| gone(before))?;
        let entry = Entry::from_body(before, &stored.body);
        let entry = entry.map_err(|fault| Status::data_loss(fault.to_string()))?;
        Ok(answer(&entry, false))
    }
}

/// What a request needs to be stored.
#[derive(Clone, Copy, Debug)]
enum Needed {
    /// One blob, and how many bytes it has where that is said.
    File(Digest, Option<u64>),
    /// A manifest and all files of the folder, and how many bytes these have.
    Folder(Digest, u64),
}

/// What a request needs to be stored. What is taken over from another hub may name files that lie
/// there.
fn needed(request: &Ask) -> Vec<Needed> {
    let Ask::Registry(command) = request else {
        return Vec::new();
    };
    let file = |golden: &Golden| Needed::File(golden.sha256, Some(golden.bytes));
    match &**command {
        registry::Command::RegisterVersion(_, detail) => {
            let artifact = detail
                .artifact
                .as_ref()
                .and_then(|files| match files.location {
                    Location::Stored => Some(Needed::File(files.sha256, Some(files.bytes))),
                    Location::Folder => Some(Needed::Folder(files.sha256, files.bytes)),
                    Location::Referred(_) => None,
                });
            let golden = detail.golden.as_ref().map(file);
            artifact.into_iter().chain(golden).collect()
        }
        registry::Command::GoldenVersion(_, golden) => golden.iter().map(file).collect(),
        registry::Command::RegisterDataSet(_, detail) => {
            let profile = detail.profile.map(|profile| Needed::File(profile, None));
            profile.into_iter().collect()
        }
        registry::Command::CreateModel(..)
        | registry::Command::EditModel(..)
        | registry::Command::DeleteModel(_)
        | registry::Command::NoteVersion(..)
        | registry::Command::MoveAlias(..)
        | registry::Command::EditDataSet(..)
        | registry::Command::RegisterFeatureSet(..)
        | registry::Command::EditFeatureSet(..)
        | registry::Command::SetEnvironment(..)
        | registry::Command::Deprecate(_)
        | registry::Command::Restore(_)
        | registry::Command::Import(_) => Vec::new(),
    }
}

/// The bare name of what a change is about: `fraud@3`.
fn object_of(change: &Change) -> String {
    let object = change.object();
    let name = object.rsplit(' ').next();
    name.unwrap_or_default().to_owned()
}

/// The entries about a thing, oldest first; of one version, those that concern it.
async fn history(
    index: &Index,
    store: &SharedStore,
    object: &Object,
    limit: u32,
) -> Result<Vec<proto::Entry>, Status> {
    let of_model = |name| index.models.get(name).map(|model| &model.head.history);
    let of_data = |name| index.data_sets.get(name).map(|set| &set.head.history);
    let of_features = |name| index.feature_sets.get(name).map(|set| &set.head.history);
    let places = match object {
        Object::Model(name) => of_model(name),
        Object::Version(version) => of_model(&version.name),
        Object::DataSet(name) => of_data(name),
        Object::DataSetVersion(version) => of_data(&version.name),
        Object::FeatureSet(name) => of_features(name),
        Object::FeatureSetVersion(version) => of_features(&version.name),
        Object::Environment(name) => index.environments.get(name).map(|one| &one.history),
    };
    let places = places.ok_or_else(|| unknown(object.clone()))?;
    index
        .revision(object)
        .ok_or_else(|| unknown(object.clone()))?;
    let is_whole = matches!(
        object,
        Object::Model(_) | Object::DataSet(_) | Object::FeatureSet(_) | Object::Environment(_)
    );
    let mut found = Vec::new();
    let mut rest: Vec<u64> = places.iter().copied().collect();
    while found.len() < limit as usize && !rest.is_empty() {
        let chunk = rest.split_off(rest.len().saturating_sub(HISTORY_LIMIT as usize));
        for stored in entries_at(store, chunk).await?.into_iter().rev() {
            if is_whole || is_about(&stored, object) {
                found.push(journal::to_proto(stored));
            }
        }
    }
    found.truncate(limit as usize);
    found.reverse();
    Ok(found)
}

fn is_about(stored: &binnacle_core::journal::Stored, object: &Object) -> bool {
    let entry = Entry::from_body(stored.sequence, &stored.body);
    let Ok(Change::Registry(change)) = entry.map(|entry| entry.change) else {
        return false;
    };
    if change.object() == *object {
        return true;
    }
    // A move of an alias is also about the version that it came to, and the one that it left.
    match (change.original(), object) {
        (registry::Change::AliasMoved(moved), Object::Version(version)) => {
            moved.model == version.name
                && (moved.to == Some(version.number) || moved.from == Some(version.number))
        }
        _ => false,
    }
}

async fn entries_at(
    store: &SharedStore,
    places: Vec<u64>,
) -> Result<Vec<binnacle_core::journal::Stored>, Status> {
    let mut found = Vec::with_capacity(places.len());
    for chunk in places.chunks(MAX_PAGE as usize) {
        let page = store.entries_at(chunk.to_vec()).await;
        found.extend(page.map_err(|error| unreadable(&error))?);
    }
    Ok(found)
}

/// Entries by their sequence.
pub(super) async fn read(
    store: &SharedStore,
    places: Vec<u64>,
) -> Result<HashMap<u64, Entry>, Status> {
    let read = |stored: binnacle_core::journal::Stored| {
        let entry = Entry::from_body(stored.sequence, &stored.body);
        let entry = entry.map_err(|fault| Status::data_loss(fault.to_string()))?;
        Ok((stored.sequence, entry))
    };
    entries_at(store, places)
        .await?
        .into_iter()
        .map(read)
        .collect()
}

fn object(object: Option<proto::ObjectName>) -> Result<Object, Status> {
    let object = object.ok_or_else(|| Status::invalid_argument("object: is missing"))?;
    object_from(&object).map_err(malformed)
}

fn unknown(object: Object) -> Status {
    let refusal = registry::command::unknown(object);
    rejected(Rejected::Refused(refusal.into()))
}

fn gone(sequence: u64) -> Status {
    Status::data_loss(format!(
        "entry {sequence} of the journal is not where it was"
    ))
}

fn malformed(refused: Refused) -> Status {
    Status::invalid_argument(refused.to_string())
}

fn unreadable(error: &StoreError) -> Status {
    Status::unavailable(crate::engine::chain(error))
}

/// How many hosts say that they belong to each environment.
fn hosts(state: &State) -> std::collections::BTreeMap<Name, u32> {
    let mut counts = std::collections::BTreeMap::new();
    for host in state.hosts.values() {
        *counts
            .entry(host.admission.environment.clone())
            .or_default() += 1;
    }
    counts
}
