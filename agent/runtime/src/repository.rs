//! The models of one folder: what lies there, what is loaded, and which version answers.
//!
//! Readers take a snapshot and never wait. Loads and unloads happen one after another, each for
//! one version; a version that is loaded again goes on serving until its successor is ready, and
//! goes on serving when the successor fails. Requests in flight keep the version they began with.

mod folder;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;
use open_inference::error::shown;
use tokio::sync::Mutex;

use crate::engine::{Engine, EngineError};
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::served::Served;

pub use folder::{MODELS_MAX, VERSIONS_MAX};

/// A folder of models, and those of them that are loaded.
#[derive(Debug)]
pub struct Repository {
    root: PathBuf,
    engine: Engine,
    metrics: Arc<Metrics>,
    catalogue: ArcSwap<Catalogue>,
    changing: Mutex<()>,
    phase: Phase,
}

/// Which versions a load or unload is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// That version alone.
    One(u64),
    /// All versions of the model.
    All,
}

/// One line of the index.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct IndexEntry {
    /// The model.
    pub name: String,
    /// The version, or the name of a folder that is none.
    pub version: String,
    /// Where it stands.
    pub state: &'static str,
    /// Why it does not serve, or what is wrong although it does; empty when all is well.
    pub reason: String,
}

/// Whether the server as a whole may be sent requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It may.
    Ready,
    /// It may not, because of this.
    NotReady(&'static str),
}

type Catalogue = BTreeMap<String, BTreeMap<u64, Standing>>;

/// Where one version stands; one that was never asked for has no standing.
#[derive(Clone, Debug)]
enum Standing {
    Loading,
    Ready {
        served: Arc<Served>,
        trouble: String,
    },
    Failed(String),
    Unloaded,
}

#[derive(Debug, Default)]
struct Phase {
    started: AtomicBool,
    draining: AtomicBool,
}

impl Repository {
    /// The repository in the folder `root`, with nothing loaded yet.
    #[must_use]
    pub fn new(root: PathBuf, engine: Engine, metrics: Arc<Metrics>) -> Self {
        Self {
            root,
            engine,
            metrics,
            catalogue: ArcSwap::default(),
            changing: Mutex::new(()),
            phase: Phase::default(),
        }
    }

    /// Loads every version in the folder, one after another. Those that fail are in the index
    /// with the reason; the others serve.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn load_all(&self) -> Result<(), Refusal> {
        let found = self.found().await?;
        for (model, versions) in &found.models {
            let _changing = self.changing.lock().await;
            for &version in versions {
                // A failure is kept in the catalogue and logged: the others go on.
                let _outcome = self.load_one(model, version).await;
            }
        }
        Ok(())
    }

    /// Says that what was to be loaded at the start has been.
    pub fn set_started(&self) {
        self.phase.started.store(true, Ordering::Release);
    }

    /// Says that the server is on its way out.
    pub fn set_draining(&self) {
        self.phase.draining.store(true, Ordering::Release);
    }

    /// Whether the server may be sent requests.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        if self.phase.draining.load(Ordering::Acquire) {
            return Readiness::NotReady("the server is shutting down");
        }
        if !self.phase.started.load(Ordering::Acquire) {
            return Readiness::NotReady("models are still being loaded");
        }
        let catalogue = self.catalogue.load();
        let mut standings = catalogue.values().flat_map(BTreeMap::values);
        let ready = standings
            .clone()
            .any(|one| matches!(one, Standing::Ready { .. }));
        let failed = standings.any(|one| matches!(one, Standing::Failed(_)));
        if failed && !ready {
            return Readiness::NotReady("no model could be loaded: see the repository index");
        }
        Readiness::Ready
    }

    /// The version that answers: that one, or the highest one that is ready.
    ///
    /// # Errors
    /// When there is none, with the reason. Counts it.
    pub fn served(&self, model: &str, version: Option<&str>) -> Result<Arc<Served>, Refusal> {
        self.find(model, version)
            .inspect_err(|_| self.metrics.count_unserved())
    }

    /// As [`Repository::served`], for questions that are no inference: nothing is counted.
    ///
    /// # Errors
    /// When there is none, with the reason.
    pub fn find(&self, model: &str, version: Option<&str>) -> Result<Arc<Served>, Refusal> {
        let catalogue = self.catalogue.load();
        let Some(versions) = catalogue.get(model) else {
            return Err(Refusal::NoModel {
                model: model.to_owned(),
            });
        };
        let Some(version) = version.filter(|version| !version.is_empty()) else {
            return highest(versions)
                .cloned()
                .ok_or_else(|| Refusal::NotServed {
                    model: model.to_owned(),
                    version: "any version".to_owned(),
                    reason: "none is loaded".to_owned(),
                });
        };
        let number = folder::version(version);
        let not_served = |reason: &str| Refusal::NotServed {
            model: model.to_owned(),
            version: format!("version {version}"),
            reason: reason.to_owned(),
        };
        match number.and_then(|number| versions.get(&number)) {
            Some(Standing::Ready { served, .. }) => Ok(Arc::clone(served)),
            Some(Standing::Loading) => Err(not_served("it is being loaded")),
            Some(Standing::Failed(reason)) => Err(not_served(reason)),
            Some(Standing::Unloaded) => Err(not_served("it was unloaded")),
            None => Err(Refusal::NoVersion {
                model: model.to_owned(),
                version: version.to_owned(),
            }),
        }
    }

    /// The versions of a model that are ready, lowest first.
    #[must_use]
    pub fn ready_versions(&self, model: &str) -> Vec<u64> {
        let catalogue = self.catalogue.load();
        let versions = catalogue.get(model).into_iter().flatten();
        let ready = |(&version, standing): (&u64, &Standing)| {
            matches!(standing, Standing::Ready { .. }).then_some(version)
        };
        versions.filter_map(ready).collect()
    }

    /// Loads versions of a model from the folder as it is now, also those that are loaded
    /// already; returns when all of them are ready or one of them failed.
    ///
    /// # Errors
    /// When the folder has no such model or version, or one could not be loaded.
    pub async fn load(&self, model: &str, scope: Scope) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let found = self.found().await?;
        let Some(versions) = found.models.get(model) else {
            return Err(Refusal::NoModel {
                model: model.to_owned(),
            });
        };
        let wanted: Vec<u64> = match scope {
            Scope::All => versions.iter().copied().collect(),
            Scope::One(version) if versions.contains(&version) => vec![version],
            Scope::One(version) => {
                let version = version.to_string();
                return Err(Refusal::NoVersion {
                    model: model.to_owned(),
                    version,
                });
            }
        };
        let mut result = Ok(());
        for version in wanted {
            // The rest is loaded all the same; the first failure is the answer.
            result = result.and(self.load_one(model, version).await);
        }
        result
    }

    /// Stops serving versions of a model. Requests in flight are still answered.
    ///
    /// # Errors
    /// When no such model or version was ever loaded.
    pub async fn unload(&self, model: &str, scope: Scope) -> Result<(), Refusal> {
        let _changing = self.changing.lock().await;
        let catalogue = self.catalogue.load_full();
        let Some(versions) = catalogue.get(model) else {
            return Err(Refusal::NoModel {
                model: model.to_owned(),
            });
        };
        let wanted: Vec<u64> = match scope {
            Scope::All => versions.keys().copied().collect(),
            Scope::One(version) if versions.contains_key(&version) => vec![version],
            Scope::One(version) => {
                let version = version.to_string();
                return Err(Refusal::NoVersion {
                    model: model.to_owned(),
                    version,
                });
            }
        };
        for version in wanted {
            self.set(model, version, Standing::Unloaded);
            tracing::info!(model = shown(model), version, "unloaded");
        }
        Ok(())
    }

    /// Everything that lies in the folder or is loaded.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn index(&self) -> Result<Vec<IndexEntry>, Refusal> {
        let found = self.found().await?;
        let catalogue = self.catalogue.load_full();
        let mut all: BTreeMap<(&str, u64), Option<&Standing>> = BTreeMap::new();
        for (model, versions) in &found.models {
            all.extend(
                versions
                    .iter()
                    .map(|&version| ((model.as_str(), version), None)),
            );
        }
        for (model, versions) in catalogue.iter() {
            let known = versions
                .iter()
                .map(|(&version, one)| ((model.as_str(), version), one));
            all.extend(known.map(|(key, standing)| (key, Some(standing))));
        }
        let lines = all.into_iter().map(|((name, version), standing)| {
            let (state, reason) = standing.map_or(("UNAVAILABLE", "not loaded"), Standing::shown);
            IndexEntry {
                name: name.to_owned(),
                version: version.to_string(),
                state,
                reason: reason.to_owned(),
            }
        });
        Ok(lines.chain(found.skipped).collect())
    }

    async fn found(&self) -> Result<folder::Found, Refusal> {
        let root = self.root.clone();
        let scanned = tokio::task::spawn_blocking(move || folder::scan(&root)).await;
        scanned
            .map_err(|error| Refusal::Repository(error.to_string()))?
            .map_err(|error| Refusal::Repository(error.to_string()))
    }

    /// Only under `changing`.
    async fn load_one(&self, model: &str, version: u64) -> Result<(), Refusal> {
        let before = match self.standing(model, version) {
            Some(Standing::Ready { served, .. }) => Some(served),
            Some(Standing::Loading | Standing::Failed(_) | Standing::Unloaded) | None => None,
        };
        if before.is_none() {
            self.set(model, version, Standing::Loading);
        }
        let reason = match self.open(model, version).await {
            Ok(served) => {
                let served = Arc::new(served);
                self.set(
                    model,
                    version,
                    Standing::Ready {
                        served,
                        trouble: String::new(),
                    },
                );
                tracing::info!(model = shown(model), version, "ready");
                return Ok(());
            }
            Err(error) => error.to_string(),
        };
        tracing::warn!(model = shown(model), version, reason, "cannot be loaded");
        let standing = match before {
            Some(served) => {
                let trouble = format!("serves as loaded before; loading it again: {reason}");
                Standing::Ready { served, trouble }
            }
            None => Standing::Failed(reason.clone()),
        };
        self.set(model, version, standing);
        Err(Refusal::NotLoaded {
            model: model.to_owned(),
            version,
            reason,
        })
    }

    async fn open(&self, model: &str, version: u64) -> Result<Served, EngineError> {
        let path = folder::file(&self.root, model, version);
        let meters = self.metrics.meters(model, version);
        let (engine, name) = (self.engine.clone(), model.to_owned());
        let opening = tokio::task::spawn_blocking(move || {
            Served::open(&engine, &path, &name, version, meters)
        });
        opening
            .await
            .map_err(|error| EngineError::Open(error.to_string()))?
    }

    fn standing(&self, model: &str, version: u64) -> Option<Standing> {
        self.catalogue.load().get(model)?.get(&version).cloned()
    }

    /// Only under `changing`: no change of another is lost.
    fn set(&self, model: &str, version: u64, standing: Standing) {
        let meters = self.metrics.meters(model, version);
        match &standing {
            Standing::Ready { .. } => meters.set_ready(),
            Standing::Loading | Standing::Failed(_) | Standing::Unloaded => meters.set_not_ready(),
        }
        let mut catalogue = Catalogue::clone(&self.catalogue.load());
        catalogue
            .entry(model.to_owned())
            .or_default()
            .insert(version, standing);
        self.catalogue.store(Arc::new(catalogue));
    }
}

impl Standing {
    fn shown(&self) -> (&'static str, &str) {
        match self {
            Self::Loading => ("LOADING", ""),
            Self::Ready { trouble, .. } => ("READY", trouble),
            Self::Failed(reason) => ("UNAVAILABLE", reason),
            Self::Unloaded => ("UNAVAILABLE", "unloaded"),
        }
    }
}

fn highest(versions: &BTreeMap<u64, Standing>) -> Option<&Arc<Served>> {
    versions.values().rev().find_map(|standing| match standing {
        Standing::Ready { served, .. } => Some(served),
        Standing::Loading | Standing::Failed(_) | Standing::Unloaded => None,
    })
}
