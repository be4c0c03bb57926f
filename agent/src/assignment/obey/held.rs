//! One version on this host, between the hub's wish and the server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use crate::artifact::{Digest, Shelf};
use crate::assignment::next::Place;
use crate::assignment::observed::{Golden, Phase, VersionState};
use crate::assignment::standing::PlacedVersion;
use crate::assignment::{Version, Wanted};
use crate::clock;
use crate::proxy::routes::Placed;
use crate::server::dialect::{Dialect, by_version};

/// After a first failure; it doubles.
const REST_FIRST: Duration = Duration::from_secs(1);
/// The longest rest: what is mended is noticed within a minute.
const REST_LONGEST: Duration = Duration::from_secs(60);

/// A version, and what is known of it.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) state: VersionState,
    /// What the hub wants of it; none for one that is only left over.
    pub(super) wanted: Option<Wanted>,
    pub(super) names: Placed,
    /// Its artifact is on the shelf, or it needs none.
    pub(super) fetched: bool,
    /// This agent loaded it.
    pub(super) ours: bool,
    /// Of the bytes that were placed in the server's repository.
    pub(super) placed_digest: Option<Digest>,
    /// The most that the server grew by when it was loaded.
    pub(super) grew: Option<u64>,
    pub(super) dark_since: Option<Instant>,
    pub(super) golden_due: Option<Instant>,
    pub(super) golden_running: bool,
    /// The work that loads it.
    pub(super) loading: Option<AbortHandle>,
    failures: u32,
    again_at: Option<Instant>,
}

impl Held {
    /// A version that the hub has just begun to want.
    pub(super) fn wanted(wanted: Wanted, dialect: &dyn Dialect, shelf: &Shelf) -> Self {
        let names = names(&wanted, dialect);
        let mut held = Self::new(wanted.version.clone(), names);
        held.want(wanted, dialect, shelf);
        held
    }

    /// A version that an earlier start placed: whether it serves is asked when it is loaded.
    pub(super) fn found(placed: PlacedVersion) -> Self {
        let names = Placed {
            model: placed.version.model.clone(),
            version: placed.version.version.clone(),
            upstream_model: placed.upstream_model,
            upstream_version: placed.upstream_version,
        };
        let mut held = Self::new(placed.version, names);
        held.state.phase = Phase::Fetched;
        held.fetched = true;
        held.ours = placed.ours;
        held.placed_digest = placed.digest;
        held.grew = placed.grew;
        held
    }

    fn new(version: Version, names: Placed) -> Self {
        Self {
            state: VersionState {
                version,
                phase: Phase::Absent,
                progress_permille: 0,
                reason: String::new(),
                fetch_ms: 0,
                load_ms: 0,
                warm_ms: 0,
                memory_bytes: 0,
                golden: Default::default(),
                verified_at_us: 0,
            },
            wanted: None,
            names,
            fetched: false,
            ours: false,
            placed_digest: None,
            grew: None,
            dark_since: None,
            golden_due: None,
            golden_running: false,
            loading: None,
            failures: 0,
            again_at: None,
        }
    }

    /// The hub wants it, as it did before or otherwise.
    pub(super) fn want(&mut self, wanted: Wanted, dialect: &dyn Dialect, shelf: &Shelf) {
        if self.wanted.as_ref() == Some(&wanted) {
            return;
        }
        if self
            .wanted
            .as_ref()
            .is_some_and(|own| own.artifact != wanted.artifact)
        {
            self.grew = None;
        }
        let on_shelf = |digest: &Digest| shelf.has(digest);
        let artifact = wanted.artifact.as_ref().map(|artifact| &artifact.digest);
        let needed = artifact.into_iter().chain(&wanted.golden);
        self.fetched = needed.into_iter().all(on_shelf);
        if self.wanted.as_ref().and_then(|before| before.golden) != wanted.golden {
            // One that serves is asked the new ones at once; what it answered to others is past.
            self.state.golden = Golden::default();
            self.golden_due = Some(clock::now());
            if self.state.phase == Phase::Ready {
                self.state.reason.clear();
            }
        }
        if !self.state.phase.is_busy() && self.state.phase != Phase::Ready {
            self.names = names(&wanted, dialect);
            self.rest_no_longer();
            self.idle();
        }
        self.wanted = Some(wanted);
    }

    /// Nothing is under way: what is here is here.
    pub(super) fn idle(&mut self) {
        self.state.phase = if self.fetched && self.needs_files() {
            Phase::Fetched
        } else {
            Phase::Absent
        };
        self.state.progress_permille = 0;
        self.state.reason.clear();
    }

    fn needs_files(&self) -> bool {
        let wanted = self.wanted.as_ref();
        wanted.is_none_or(|wanted| wanted.artifact.is_some())
    }

    pub(super) fn begin(&mut self, phase: Phase) {
        self.state.phase = phase;
        self.state.progress_permille = 0;
        self.state.reason.clear();
    }

    /// It serves.
    pub(super) fn ready(&mut self) {
        self.begin(Phase::Ready);
        self.dark_since = None;
        self.rest_no_longer();
    }

    /// The server no longer has it.
    pub(super) fn lost(&mut self, reason: String) {
        self.dark_since = None;
        self.idle();
        self.state.reason = reason;
    }

    /// Something failed: it is tried again after a rest.
    pub(super) fn failed(&mut self, reason: String, now: Instant) {
        self.rests(now);
        self.state.phase = Phase::Failed;
        self.state.progress_permille = 0;
        self.state.reason = reason;
    }

    /// Nobody was there to hand out its files: nothing failed, and it is tried again after a rest.
    pub(super) fn cut_off(&mut self, reason: String, now: Instant) {
        self.rests(now);
        self.idle();
        self.state.reason = reason;
    }

    fn rests(&mut self, now: Instant) {
        let doubled = REST_FIRST.saturating_mul(1 << self.failures.min(10));
        self.again_at = Some(now + doubled.min(REST_LONGEST));
        self.failures = self.failures.saturating_add(1);
    }

    /// It could not be unloaded: it is still there, and is tried again after its rest.
    pub(super) fn stays(&mut self) {
        self.state.phase = Phase::Ready;
    }

    fn rest_no_longer(&mut self) {
        self.failures = 0;
        self.again_at = None;
    }

    /// What the next step depends on.
    pub(super) fn place(&self, now: Instant) -> Place {
        Place {
            phase: self.state.phase,
            fetched: self.fetched,
            rested: self.again_at.is_none_or(|at| at <= now),
            ours: self.ours,
            bytes: self.bytes(),
        }
    }

    /// It as somebody is told.
    pub(super) fn told(&self) -> VersionState {
        VersionState {
            memory_bytes: self.bytes(),
            ..self.state.clone()
        }
    }

    /// Bytes of memory that it takes: what the server grew by, which may have used again what
    /// another version left, and at least its files.
    fn bytes(&self) -> u64 {
        let wanted = self.wanted.as_ref();
        let artifact = wanted.and_then(|wanted| wanted.artifact.as_ref());
        let files = artifact.map_or(0, |artifact| artifact.bytes);
        files.max(self.grew.unwrap_or(0))
    }

    /// What an agent that starts later must know of it.
    pub(super) fn placed(&self) -> Option<PlacedVersion> {
        let there = self.ours || self.state.phase == Phase::Ready;
        there.then(|| PlacedVersion {
            version: self.state.version.clone(),
            upstream_model: self.names.upstream_model.clone(),
            upstream_version: self.names.upstream_version.clone(),
            ours: self.ours,
            digest: self.placed_digest,
            grew: self.grew,
        })
    }
}

/// What the server calls it: a version that was found there has its own names.
fn names(wanted: &Wanted, dialect: &dyn Dialect) -> Placed {
    let Version { model, version } = &wanted.version;
    match wanted.artifact {
        Some(_) => dialect.placed(model, version),
        None => Placed {
            model: Arc::clone(model),
            ..by_version(model, version)
        },
    }
}
