//! Work that takes long, each piece in a task of its own: fetching, loading, unloading, golden
//! requests. What it needs is given to it; what came of it is told to the loop.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Obey;
use super::held::Held;
use super::load::{Load, Loaded};
use crate::artifact::{ArtifactError, Digest, Shelf};
use crate::assignment::observed::{Golden, Phase};
use crate::assignment::{Artifact, Route, Version, Wanted};
use crate::clock;
use crate::config::HubAddr;
use crate::golden::{self, GoldenRequest};
use crate::proxy::routes::{Leg, Placed};
use crate::server::loader::{LoadError, Loader};
use crate::uplink::fetch;

/// How long the last requests on a version are waited for before it is unloaded.
const LAST_REQUESTS: Duration = Duration::from_secs(60);
/// Between looks whether they have ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What a piece of work came to.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) version: Version,
    pub(super) outcome: Outcome,
}

/// What can come of work.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Its artifact is on the shelf, or why not.
    Fetched(Result<Duration, NotFetched>),
    /// It serves, or why not.
    Loaded(Result<Loaded, String>),
    /// It no longer serves.
    Unloaded(Result<(), String>),
    /// How its golden requests were answered.
    Golden(Golden, Option<String>),
}

/// Why something is not on the shelf.
#[derive(Debug)]
pub(super) struct NotFetched {
    reason: String,
    /// No hub was there to hand it out: that says nothing of it, nor of this host.
    is_cut_off: bool,
}

impl From<ArtifactError> for NotFetched {
    fn from(error: ArtifactError) -> Self {
        Self {
            reason: words(&error),
            is_cut_off: matches!(error, ArtifactError::Unreachable(_)),
        }
    }
}

/// How far work is.
#[derive(Debug)]
pub(super) struct Progress {
    version: Version,
    phase: Phase,
    permille: u32,
}

/// Tells the loop, if it has room: the next word says it again.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    version: Version,
    to: mpsc::Sender<Progress>,
}

impl Teller {
    pub(super) fn say(&self, phase: Phase, permille: u32) {
        let _ = self.to.try_send(Progress {
            version: self.version.clone(),
            phase,
            permille,
        });
    }
}

impl Obey {
    pub(super) fn progressed(&mut self, progress: Progress) {
        if let Some(held) = self.held.get_mut(&progress.version)
            && held.state.phase.is_busy()
        {
            held.state.phase = progress.phase;
            held.state.progress_permille = progress.permille;
        }
    }

    fn teller(&self, version: &Version) -> Teller {
        Teller {
            version: version.clone(),
            to: self.progress.0.clone(),
        }
    }

    pub(super) fn fetch(&mut self, version: Version) {
        // Two that write into one file make neither: the other one waits, and finds it there.
        if self.is_under_way(&version) {
            return;
        }
        let keep = self.wanted_digests();
        let teller = self.teller(&version);
        let Some(held) = self.held.get_mut(&version) else {
            return;
        };
        let Some(wanted) = held.wanted.clone() else {
            return;
        };
        held.begin(Phase::Fetching);
        let (shelf, hubs) = (self.shelf.clone(), self.ground.work.hubs.clone());
        self.jobs.spawn(async move {
            let since = clock::now();
            let fetched = fetch_all(&shelf, &hubs, &wanted, &keep, &teller).await;
            let took = clock::now().saturating_duration_since(since);
            Done {
                version,
                outcome: Outcome::Fetched(fetched.map(|()| took)),
            }
        });
    }

    /// Whether something that a version needs is being fetched for another one.
    fn is_under_way(&self, version: &Version) -> bool {
        let digests = |held: &Held| -> Vec<Digest> {
            let wanted = held.wanted.as_ref();
            let artifact = wanted.and_then(|of| of.artifact.as_ref());
            let artifact = artifact.map(|artifact| artifact.digest);
            let golden = wanted.and_then(|of| of.golden);
            artifact.into_iter().chain(golden).collect()
        };
        let own = self.held.get(version).map(digests).unwrap_or_default();
        self.held.iter().any(|(other, held)| {
            let is_fetched = matches!(held.state.phase, Phase::Fetching | Phase::Verifying);
            other != version && is_fetched && digests(held).iter().any(|one| own.contains(one))
        })
    }

    /// Gives up loading what nobody wants any more: it would keep others from being loaded.
    pub(super) fn give_up_loading(&mut self) {
        let named = self
            .assignment
            .versions
            .iter()
            .map(|wanted| &wanted.version);
        let routes = self.standing.routes(&self.assignment).into_values();
        let routes = routes
            .map(|(route, _)| route)
            .chain(self.standing.live.values());
        let switches = self.standing.switches.values();
        let routes = routes.chain(switches.map(|switch| &switch.revert_to));
        let wanted: HashSet<&Version> = named.chain(routes.flat_map(Route::versions)).collect();
        let is_wanted = |version: &Version| wanted.contains(version);
        let loads = self.held.iter().filter(|(version, held)| {
            matches!(held.state.phase, Phase::Loading | Phase::Warming) && !is_wanted(version)
        });
        let loads: Vec<Version> = loads.map(|(version, _)| version.clone()).collect();
        for version in loads {
            let loading = self
                .held
                .get_mut(&version)
                .and_then(|held| held.loading.take());
            if let Some(loading) = loading {
                loading.abort();
                tracing::info!(%version, "nobody wants it any more: its load is given up");
                self.unload(version);
            }
        }
    }

    pub(super) fn load(&mut self, version: Version) {
        let teller = self.teller(&version);
        let kind = self.kind();
        let Some(held) = self.held.get_mut(&version) else {
            return;
        };
        held.begin(Phase::Loading);
        let artifact = held
            .wanted
            .as_ref()
            .and_then(|wanted| wanted.artifact.clone());
        if artifact.is_some() && !held.ours {
            // What kind of server it is may not have been known before.
            held.names = kind.dialect().placed(&version.model, &version.version);
        }
        let load = Load {
            loader: Loader::new(&self.ground.work.upstream, kind),
            server: self.ground.work.upstream.clone(),
            shelf: self.shelf.clone(),
            repository: self.ground.work.repository.clone(),
            names: held.names.clone(),
            // What is placed already, of the same bytes, need not be loaded again to serve.
            there: held.ours && held.placed_digest == artifact.as_ref().map(|a| a.digest),
            artifact,
            golden: held.wanted.as_ref().and_then(|wanted| wanted.golden),
        };
        if load.artifact.is_some() {
            held.ours = true;
        }
        // So that a crash from here on does not leave a version that nobody knows of.
        self.keep();
        let of = version.clone();
        let loading = self.jobs.spawn(async move {
            let loaded = load.run(&teller).await;
            Done {
                version,
                outcome: Outcome::Loaded(loaded.map_err(|error| words(&error))),
            }
        });
        if let Some(held) = self.held.get_mut(&of) {
            held.loading = Some(loading);
        }
    }

    pub(super) fn unload(&mut self, version: Version) {
        let legs = self.live.legs_of(&version);
        let kind = self.kind();
        let Some(held) = self.held.get_mut(&version) else {
            return;
        };
        held.begin(Phase::Draining);
        let mut loader = Loader::new(&self.ground.work.upstream, kind);
        let (names, repository) = (held.names.clone(), self.ground.work.repository.clone());
        let placed = held.ours;
        self.jobs.spawn(async move {
            last_requests(&legs).await;
            let unloaded = loader.unload(&names).await;
            if let (Ok(()), Some(repository), true) = (&unloaded, &repository, placed) {
                loader.remove(repository, &names);
            }
            Done {
                version,
                outcome: Outcome::Unloaded(unloaded.map_err(|error| words(&error))),
            }
        });
    }

    /// Nothing names it any more: its files go, and it is forgotten.
    pub(super) fn evict(&mut self, version: &Version) {
        let Some(held) = self.held.remove(version) else {
            return;
        };
        if let (Some(repository), true) = (&self.ground.work.repository, held.ours) {
            Loader::new(&self.ground.work.upstream, self.kind()).remove(repository, &held.names);
        }
        let wanted = self.wanted_digests();
        let digests = held.wanted.iter().flat_map(|wanted| {
            let artifact = wanted.artifact.as_ref().map(|artifact| artifact.digest);
            artifact.into_iter().chain(wanted.golden)
        });
        for digest in digests.filter(|digest| !wanted.contains(digest)) {
            self.shelf.remove(&digest);
        }
        self.keep();
        tracing::info!(%version, "a version was evicted");
    }

    /// Runs the golden requests that are due.
    pub(super) fn ask_golden(&mut self) {
        let now = clock::now();
        let kind = self.kind();
        let keep = self.wanted_digests();
        for (version, held) in &mut self.held {
            let due = held.golden_due.is_some_and(|due| due <= now);
            if !due || held.golden_running || held.state.phase != Phase::Ready {
                continue;
            }
            let golden = held.wanted.as_ref().and_then(|wanted| wanted.golden);
            let Some(golden) = golden else {
                held.golden_due = None;
                continue;
            };
            held.golden_running = true;
            held.golden_due = Some(now + super::GOLDEN_EVERY);
            let mut loader = Loader::new(&self.ground.work.upstream, kind);
            let (names, version) = (held.names.clone(), version.clone());
            let (shelf, hubs, keep) = (
                self.shelf.clone(),
                self.ground.work.hubs.clone(),
                keep.clone(),
            );
            let teller = Teller {
                version: version.clone(),
                to: self.progress.0.clone(),
            };
            self.jobs.spawn(async move {
                // They may have been given to it after it was loaded.
                let most = golden::BYTES_MOST;
                let here = fetch_one(&shelf, &hubs, &golden, most, &keep, &teller).await;
                let read = match here {
                    Ok(()) => read_golden(&shelf, &golden).await,
                    Err(fault) => Err(format!("golden requests: {}", fault.reason)),
                };
                let (golden, fault) = match read {
                    Ok(requests) => ask(&mut loader, &names, &requests).await,
                    Err(fault) => (unread(), Some(fault)),
                };
                Done {
                    version,
                    outcome: Outcome::Golden(golden, fault),
                }
            });
        }
    }

    pub(super) fn done(&mut self, done: Done) {
        let Done { version, outcome } = done;
        let now = clock::now();
        let Some(held) = self.held.get_mut(&version) else {
            return;
        };
        match outcome {
            Outcome::Fetched(Ok(took)) => {
                held.fetched = true;
                held.state.fetch_ms = milliseconds(took);
                held.state.verified_at_us = clock::wall_us();
                held.idle();
                tracing::info!(%version, ms = held.state.fetch_ms, "fetched and verified");
            }
            // It ended in the moment in which it was given up: it is being unloaded.
            Outcome::Loaded(_) if held.state.phase == Phase::Draining => return,
            Outcome::Loaded(Ok(loaded)) => loaded_one(held, &loaded, now),
            Outcome::Unloaded(Ok(())) => {
                held.ours = false;
                held.placed_digest = None;
                held.idle();
                tracing::info!(%version, "unloaded");
            }
            Outcome::Golden(golden, fault) => {
                held.golden_running = false;
                if held.state.phase == Phase::Ready {
                    held.state.golden = golden;
                    held.state.reason = fault.unwrap_or_default();
                }
            }
            Outcome::Fetched(Err(fault)) if fault.is_cut_off => {
                let reason = &fault.reason;
                tracing::info!(%version, reason, "it is fetched once a hub is there");
                held.cut_off(fault.reason, now);
            }
            Outcome::Fetched(Err(fault)) => failed(held, &version, "fetch", fault.reason, now),
            Outcome::Loaded(Err(reason)) => {
                // The bytes on the shelf may have been what was wrong: then they are gone.
                let artifact = held.wanted.as_ref().and_then(|of| of.artifact.as_ref());
                held.fetched &= artifact.is_none_or(|artifact| self.shelf.has(&artifact.digest));
                failed(held, &version, "load", reason, now);
            }
            Outcome::Unloaded(Err(reason)) => {
                failed(held, &version, "unload", reason, now);
                held.stays();
            }
        }
        self.keep();
    }
}

fn loaded_one(held: &mut Held, loaded: &Loaded, now: Instant) {
    held.state.load_ms = milliseconds(loaded.load);
    held.state.warm_ms = milliseconds(loaded.warm);
    held.state.golden = loaded.golden;
    if loaded.verified {
        held.state.verified_at_us = clock::wall_us();
    }
    let artifact = held.wanted.as_ref().and_then(|of| of.artifact.as_ref());
    held.placed_digest = artifact
        .map(|artifact| artifact.digest)
        .or(held.placed_digest);
    held.golden_due = Some(now + super::GOLDEN_EVERY);
    held.grew = held.grew.max(loaded.grew);
    held.ready();
    let version = &held.state.version;
    tracing::info!(%version, load_ms = held.state.load_ms, "ready");
}

fn failed(held: &mut Held, version: &Version, what: &str, reason: String, now: Instant) {
    tracing::warn!(%version, what, reason, "a version failed");
    held.failed(reason, now);
}

fn milliseconds(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX).max(1)
}

/// An error and its causes, for a person who sees no log.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        words.push_str(&format!(": {source}"));
        cause = source.source();
    }
    words
}

async fn fetch_all(
    shelf: &Shelf,
    hubs: &[HubAddr],
    wanted: &Wanted,
    keep: &HashSet<Digest>,
    teller: &Teller,
) -> Result<(), NotFetched> {
    if let Some(Artifact { digest, bytes, .. }) = &wanted.artifact {
        fetch_one(shelf, hubs, digest, *bytes, keep, teller).await?;
    }
    if let Some(digest) = &wanted.golden {
        fetch_one(shelf, hubs, digest, golden::BYTES_MOST, keep, teller).await?;
    }
    Ok(())
}

async fn fetch_one(
    shelf: &Shelf,
    hubs: &[HubAddr],
    digest: &Digest,
    bytes: u64,
    keep: &HashSet<Digest>,
    teller: &Teller,
) -> Result<(), NotFetched> {
    if shelf.has(digest) {
        return Ok(());
    }
    shelf.make_room(digest, bytes, keep)?;
    let progress = |here: u64, all: u64| {
        let permille = here.saturating_mul(1_000).checked_div(all).unwrap_or(0);
        teller.say(Phase::Fetching, u32::try_from(permille).unwrap_or(1_000));
    };
    let fetched = fetch::fetch(shelf, hubs, digest, bytes, progress).await;
    if shelf.has(digest) {
        // Golden requests are asked for by several versions at once.
        return Ok(());
    }
    fetched?;
    teller.say(Phase::Verifying, 0);
    let (shelf, digest) = (shelf.clone(), *digest);
    let accepted = tokio::task::spawn_blocking(move || shelf.accept(&digest)).await;
    let accepted = accepted.map_err(|_| NotFetched {
        reason: LoadError::Interrupted.to_string(),
        is_cut_off: false,
    })?;
    Ok(accepted?)
}

pub(super) async fn read_golden(
    shelf: &Shelf,
    digest: &Digest,
) -> Result<Vec<GoldenRequest>, String> {
    let path = shelf.path(digest);
    let text = tokio::fs::read_to_string(&path).await;
    let text = text.map_err(|error| format!("golden requests: {error}"))?;
    golden::parse(&text)
}

/// Golden requests that could not be read: nobody can say that they are answered.
fn unread() -> Golden {
    Golden {
        passed: 0,
        total: 1,
        at_us: clock::wall_us(),
    }
}

pub(super) async fn ask(
    loader: &mut Loader,
    names: &Placed,
    requests: &[GoldenRequest],
) -> (Golden, Option<String>) {
    let (passed, fault) = loader.golden(names, requests).await;
    let golden = Golden {
        passed,
        total: u32::try_from(requests.len()).unwrap_or(u32::MAX),
        at_us: clock::wall_us(),
    };
    (golden, fault)
}

/// Waits until no request is on these legs, for as long as is reasonable.
async fn last_requests(legs: &[Weak<Leg>]) {
    let gone = async {
        while legs.iter().any(|leg| leg.strong_count() > 0) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(LAST_REQUESTS, gone).await.is_err() {
        let held: Vec<Arc<Leg>> = legs.iter().filter_map(Weak::upgrade).collect();
        tracing::warn!(?held, "a version is unloaded while requests are on it");
    }
}
