//! The references of the versions that answer here: fetched as artifacts are, read, and given to
//! those who count.
//!
//! Promises: a version serves whether its reference is there or not; one that cannot be had is
//! tried again, ever more seldom; one that is on the shelf needs no hub.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use binnacle_sketch::profile::Profile;
use tokio::sync::watch;

use super::{Against, Inputs, Subject, Wanted};
use crate::artifact::{Digest, Shelf};
use crate::assignment::{Assignment, Endpoint, Version};
use crate::config::HubAddr;
use crate::proxy::routes::Routes;
use crate::uplink::fetch;

/// Bytes of a profile at most: 2,048 features of 16 KB.
const BYTES_MOST: u64 = 32 << 20;
/// Between two tries to get what could not be had, at first and at most.
const AGAIN: Duration = Duration::from_secs(1);
const AGAIN_MOST: Duration = Duration::from_secs(60);

/// What is needed to have references.
#[derive(Debug)]
pub struct References {
    /// Who counts.
    pub inputs: Inputs,
    /// Where requests are copied.
    pub routes: Routes,
    /// Where files lie on this host.
    pub shelf: Shelf,
    /// Where they come from.
    pub hubs: Vec<HubAddr>,
    /// What is wanted of this host.
    pub assigned: watch::Receiver<Arc<Assignment>>,
}

/// A version at an endpoint, by its references and vector.
type Needed = Vec<(Subject, Against, Arc<[Arc<str>]>)>;

impl References {
    /// Has the versions of each assignment watched, for ever.
    pub async fn run(mut self) {
        let mut known: BTreeMap<Digest, Arc<Profile>> = BTreeMap::new();
        let mut again = AGAIN;
        loop {
            let needed = needed(&self.assigned.borrow_and_update().clone());
            let both = |(_, against, _): &(_, Against, _)| [against.inputs, against.outputs];
            let digests: HashSet<Digest> = needed.iter().flat_map(both).flatten().collect();
            known.retain(|digest, _| digests.contains(digest));
            let mut missing = false;
            for digest in digests {
                if known.contains_key(&digest) {
                    continue;
                }
                match self.read(digest).await {
                    Ok(profile) => {
                        known.insert(digest, Arc::new(profile));
                    }
                    Err(why) => {
                        missing = true;
                        tracing::warn!(%digest, why, "a reference is not here yet");
                    }
                }
            }
            self.watch(needed, &known);
            let changed = self.assigned.changed();
            if !missing {
                again = AGAIN;
                if changed.await.is_err() {
                    return;
                }
                continue;
            }
            if let Ok(Err(_)) = tokio::time::timeout(again, changed).await {
                return;
            }
            again = (again * 2).min(AGAIN_MOST);
        }
    }

    fn watch(&self, needed: Needed, known: &BTreeMap<Digest, Arc<Profile>>) {
        let wanted = needed
            .into_iter()
            .filter_map(|(subject, against, features)| {
                // One alone would be counted against what nobody else counts against.
                let inputs = against.inputs.map(|digest| known.get(&digest));
                let outputs = against.outputs.map(|digest| known.get(&digest));
                let inputs = match inputs {
                    Some(profile) => Some((profile?.clone(), features)),
                    None => None,
                };
                let outputs = match outputs {
                    Some(profile) => Some(profile?.clone()),
                    None => None,
                };
                Some(Wanted {
                    subject,
                    against,
                    inputs,
                    outputs,
                })
            });
        let meters = self.inputs.watch(wanted.collect());
        self.routes.watch(meters);
    }

    async fn read(&self, digest: Digest) -> Result<Profile, String> {
        if !self.shelf.has(&digest) {
            let fetched = fetch::fetch(&self.shelf, &self.hubs, &digest, BYTES_MOST, |_, _| {});
            fetched.await.map_err(|error| words(&error))?;
            let accepted = self.shelf.accept(&digest);
            accepted.map_err(|error| words(&error))?;
        }
        let bytes = tokio::fs::read(self.shelf.path(&digest)).await;
        let bytes = bytes.map_err(|error| words(&error))?;
        Profile::decode(&bytes).map_err(|error| words(&error))
    }
}

/// What is to be watched: of each endpoint the versions of the models that its route names, since
/// a rollback may lead to any of them.
fn needed(assignment: &Assignment) -> Needed {
    let mut all = Needed::new();
    for endpoint in &assignment.endpoints {
        for wanted in &assignment.versions {
            let against = Against {
                inputs: wanted.profile.filter(|_| !wanted.features.is_empty()),
                outputs: wanted.outputs,
            };
            if against != Against::default() && is_of(endpoint, &wanted.version) {
                let subject = Subject {
                    endpoint: endpoint.name.clone(),
                    model: wanted.version.model.clone(),
                    version: wanted.version.version.clone(),
                };
                all.push((subject, against, wanted.features.clone()));
            }
        }
    }
    all
}

fn is_of(endpoint: &Endpoint, version: &Version) -> bool {
    let back = endpoint.dead_man.iter().map(|dead_man| &dead_man.revert_to);
    let mut named = back
        .chain([&endpoint.route])
        .flat_map(|route| route.answering());
    named.any(|named| named.model == version.model)
}

fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
