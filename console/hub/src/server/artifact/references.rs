//! Who refers to which files: versions to theirs, folders to each of their files, data sets to
//! their profiles; and what there is to read when all of it is verified.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use binnacle_core::journal::Change;
use binnacle_core::name::Name;
use binnacle_core::registry::{self, Artifact, Digest, Lie, Location, Reference, Version};
use binnacle_core::state::State;
use binnacle_proto::v1 as proto;
use proto::Finding;
use tonic::Status;

use super::digest;
use crate::artifact::referred::{self, Checked};
use crate::artifact::{BlobError, Blobs};
use crate::server::Hub;
use crate::server::registry::read;

/// Blobs, and who refers to each.
pub(super) type References = BTreeMap<Digest, Vec<Reference>>;

/// Files that are to be read.
#[derive(Debug)]
pub(super) struct Due {
    place: Place,
    sha256: Digest,
    versions: Vec<Reference>,
}

#[derive(Debug)]
enum Place {
    Stored,
    /// A folder's manifest, which could not be read: why, and whether it was out of reach.
    Unknown(Finding, String),
    Elsewhere(String, u64),
}

/// Every blob that something refers to, the files of folders among them.
pub(super) async fn all(state: &State, blobs: &Blobs) -> Result<References, BlobError> {
    let mut found = profiles(state);
    for (version, golden) in golden(state) {
        found.entry(golden).or_default().push(version);
    }
    for (version, known) in versions(state) {
        if let Some(digest) = known.stored() {
            found.entry(digest).or_default().push(version);
        }
    }
    for (manifest, versions) in manifests(state) {
        match blobs.manifest(manifest).await {
            Ok(manifest) => add_files(&mut found, &manifest, &versions),
            // What was taken over from another hub has its files there.
            Err(BlobError::Missing(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn add_files(found: &mut References, manifest: &registry::Manifest, versions: &[Reference]) {
    for file in manifest.files() {
        let named = found.entry(file.sha256).or_default();
        for version in versions {
            // A folder may have the same bytes under several names.
            if !named.contains(version) {
                named.push(version.clone());
            }
        }
    }
}

/// Every manifest, and the versions whose folder it is.
pub(super) fn manifests(state: &State) -> References {
    let mut found = References::new();
    for (version, known) in versions(state) {
        if let Some(digest) = known.manifest() {
            found.entry(digest).or_default().push(version);
        }
    }
    found
}

fn versions(state: &State) -> impl Iterator<Item = (Reference, &Version)> {
    let models = state.registry.models.iter();
    models.flat_map(|(name, model)| {
        let numbered = (1_u32..).zip(model.versions.iter());
        numbered.filter_map(|(number, known)| Some((reference(name, number)?, known)))
    })
}

/// Files of golden requests.
fn golden(state: &State) -> impl Iterator<Item = (Reference, Digest)> {
    let models = state.registry.models.iter();
    models.flat_map(|(name, model)| {
        model.golden.iter().map(|(number, golden)| {
            let (name, number) = (name.clone(), *number);
            (Reference { name, number }, golden.sha256)
        })
    })
}

fn profiles(state: &State) -> References {
    let mut found = References::new();
    for (name, set) in &state.registry.data_sets {
        for (number, version) in (1_u32..).zip(set.versions.iter()) {
            if let (Some(profile), Some(set)) = (version.profile, reference(name, number)) {
                found.entry(profile).or_default().push(set);
            }
        }
    }
    found
}

fn reference(name: &Name, number: u32) -> Option<Reference> {
    let (name, number) = (name.clone(), NonZeroU32::new(number)?);
    Some(Reference { name, number })
}

/// What is to be read: all that is referred to, or what was asked for.
pub(super) async fn due(hub: &Hub, asked: &proto::VerifyBlobsRequest) -> Result<Vec<Due>, Status> {
    let published = hub.engine.published();
    let state = &published.state;
    let only = only(state, asked)?;
    let wanted = |version: &Reference| only.as_ref().is_none_or(|only| only == version);
    let mut found = match only {
        None => profiles(state),
        Some(_) => References::new(),
    };
    for (version, golden) in golden(state).filter(|(version, _)| wanted(version)) {
        found.entry(golden).or_default().push(version);
    }
    let mut unknown = Vec::new();
    let mut elsewhere = Vec::new();
    for (version, known) in versions(state).filter(|(version, _)| wanted(version)) {
        match known.artifact.map(|files| files.lie) {
            None => {}
            Some(Lie::Elsewhere) => elsewhere.push((version, known.sequence)),
            Some(Lie::File | Lie::Folder) => {
                if let Some(digest) = known.stored() {
                    found.entry(digest).or_default().push(version);
                }
            }
        }
    }
    for (sha256, mut versions) in manifests(state) {
        versions.retain(wanted);
        if versions.is_empty() {
            continue;
        }
        match hub.blobs.manifest(sha256).await {
            Ok(manifest) => add_files(&mut found, &manifest, &versions),
            Err(error) => {
                found.remove(&sha256);
                let place = Place::Unknown(finding(&error), crate::engine::chain(&error));
                unknown.push(Due {
                    place,
                    sha256,
                    versions,
                });
            }
        }
    }
    let mut due: Vec<Due> = found
        .into_iter()
        .map(|(sha256, versions)| Due {
            place: Place::Stored,
            sha256,
            versions,
        })
        .collect();
    due.append(&mut unknown);
    if !asked.sha256.is_empty() {
        let only = digest(&asked.sha256)?;
        due.retain(|due| due.sha256 == only);
        if due.is_empty() {
            due.push(Due {
                place: Place::Stored,
                sha256: only,
                versions: Vec::new(),
            });
        }
        return Ok(due);
    }
    if !asked.stored_only {
        due.extend(pointed(hub, elsewhere).await?);
    }
    Ok(due)
}

/// The one version that is asked for, if one is.
fn only(state: &State, asked: &proto::VerifyBlobsRequest) -> Result<Option<Reference>, Status> {
    if asked.version.is_empty() {
        return Ok(None);
    }
    let version: Reference = asked
        .version
        .parse()
        .map_err(|_| Status::invalid_argument("version: is none, as in fraud@3"))?;
    let known = state.registry.version(&version);
    known.ok_or_else(|| Status::not_found(format!("{version} is not registered")))?;
    Ok(Some(version))
}

/// Files that lie elsewhere: where is said in the entries that registered them.
async fn pointed(hub: &Hub, versions: Vec<(Reference, u64)>) -> Result<Vec<Due>, Status> {
    let places = versions.iter().map(|(_, sequence)| *sequence).collect();
    let entries = read(&hub.store, places).await?;
    let due = versions.into_iter().filter_map(|(version, sequence)| {
        let Change::Registry(change) = &entries.get(&sequence)?.change else {
            return None;
        };
        let registry::Change::VersionRegistered(registered) = change.original() else {
            return None;
        };
        let Artifact {
            location: Location::Referred(at),
            sha256,
            bytes,
            ..
        } = registered.detail.artifact.as_ref()?
        else {
            return None;
        };
        Some(Due {
            place: Place::Elsewhere(at.to_string(), *bytes),
            sha256: *sha256,
            versions: vec![version],
        })
    });
    Ok(due.collect())
}

fn finding(error: &BlobError) -> Finding {
    match error {
        BlobError::Missing(_)
        | BlobError::Damaged(_)
        | BlobError::Announced { .. }
        | BlobError::Length { .. }
        | BlobError::NoManifest { .. } => Finding::Damaged,
        BlobError::Busy(_)
        | BlobError::Offset { .. }
        | BlobError::TooLarge(_)
        | BlobError::Disk { .. }
        | BlobError::Remote { .. } => Finding::Unreachable,
    }
}

impl Due {
    /// Reads it to its end.
    pub(super) async fn read(self, hub: &Hub) -> proto::VerifiedBlob {
        let (sha256, mut location) = (self.sha256, String::new());
        let (bytes, finding, fault) = match self.place {
            Place::Stored => match hub.blobs.verify(sha256).await {
                Ok(bytes) => (bytes, Finding::Whole, String::new()),
                Err(error) => (0, finding(&error), crate::engine::chain(&error)),
            },
            Place::Unknown(finding, why) => (0, finding, why),
            Place::Elsewhere(at, said) => {
                let checked = referred::check(&at, sha256, said).await;
                location = at;
                match checked {
                    Checked::Whole(bytes) => (bytes, Finding::Whole, String::new()),
                    Checked::Damaged(why) => (0, Finding::Damaged, why),
                    Checked::Unreachable(why) => (0, Finding::Unreachable, why),
                }
            }
        };
        proto::VerifiedBlob {
            sha256: sha256.0.to_vec().into(),
            bytes,
            versions: self.versions.iter().map(Reference::to_string).collect(),
            fault,
            finding: finding.into(),
            location,
        }
    }
}
