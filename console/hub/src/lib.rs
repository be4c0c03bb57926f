//! The always-on half of Binnacle: agents dial it, consoles attach to it.
//!
//! It holds the journal and the state that is its fold, and what the fleet measured. Killed
//! at any point it comes back to what it had acknowledged. It measures nothing itself and
//! judges nothing: `binnacle-sketch` and `binnacle-core` do.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use binnacle_core::address::Address;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use ulid::Ulid;

use crate::artifact::{ArtifactUrl, Blobs, Cloud, PlaceError};
use crate::clock::Clock;
use crate::drift::Drift;
use crate::engine::{Engine, EngineError};
use crate::listen::{ListenError, Listener, Loopback};
use crate::sinks::Sink;
use crate::store::{SharedStore, StoreError, StoreUrl};
use crate::telemetry::{Telemetry, TelemetryError};

pub use crate::listen::{Incoming, Line};
pub use crate::notify::{Phase, notify};

mod answers;
pub mod artifact;
pub mod clock;
pub mod drift;
pub mod engine;
mod identity;
pub mod listen;
mod memory;
mod notify;
mod reactions;
mod rollouts;
mod server;
pub mod sinks;
mod snapshots;
pub mod store;
pub mod telemetry;
mod why;

/// How long open streams may take to end once the hub stops.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// What a hub is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its folder: made if it is not there, locked while it runs.
    pub data: PathBuf,
    /// Where it keeps the journal and the roll-ups: `hub.db` in its folder by default.
    pub store: StoreUrl,
    /// Where it keeps the files of versions and the profiles of data sets: `artifacts/` in its
    /// folder where nothing is named.
    pub artifacts: Option<ArtifactUrl>,
    /// Where it listens.
    pub listen: Vec<Address>,
    /// Whether loopback addresses may be among them.
    pub loopback: Loopback,
    /// Who is told of alerts: at most [`sinks::MAX_SINKS`], the others are not.
    pub sinks: Vec<Sink>,
    /// How inputs are looked at.
    pub drift: drift::Settings,
}

impl Settings {
    /// The store of a hub whose folder is `data`, where no other is named.
    pub fn store_in(data: &Path) -> StoreUrl {
        StoreUrl::Sqlite(data.join("hub.db"))
    }
}

/// Why the hub does not start.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The folder cannot be made or locked.
    #[error("cannot use the folder {folder}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another hub has the folder.
    #[error("another hub runs in {0}: stop it first, or give this one a --data of its own")]
    Locked(PathBuf),
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] StoreError),
    /// The journal cannot be replayed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// What was measured cannot be read.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// Files cannot be kept where they should be.
    #[error(transparent)]
    Artifacts(#[from] PlaceError),
    /// An address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The system does not say where it listens.
    #[error("cannot read the address listened on")]
    Address(#[source] io::Error),
}

/// A hub that runs.
#[derive(Debug)]
pub struct Running {
    addresses: Vec<Address>,
    stop: watch::Sender<bool>,
    serving: Vec<JoinHandle<Result<(), tonic::transport::Error>>>,
    watching: Vec<JoinHandle<()>>,
    telemetry: Telemetry,
    drift: Drift,
    store: SharedStore,
    /// Held until the hub has stopped.
    _lock: std::fs::File,
}

/// Starts a hub: replays the journal, reads the watermarks, then listens.
pub async fn start(settings: Settings, clock: Clock) -> Result<Running, HubError> {
    let lock = lock(&settings.data)?;
    let store = store::open(&settings.store).await?;
    start_with(settings, (store, lock), None, clock).await
}

/// Starts a hub on a store that is open already, whatever its settings name, which serves whoever
/// comes by `incoming` as well: where network and time are simulated.
pub async fn start_on(
    settings: Settings,
    store: SharedStore,
    incoming: Incoming,
    clock: Clock,
) -> Result<Running, HubError> {
    let lock = lock(&settings.data)?;
    start_with(settings, (store, lock), Some(incoming), clock).await
}

async fn start_with(
    settings: Settings,
    (store, lock): (SharedStore, std::fs::File),
    incoming: Option<Incoming>,
    clock: Clock,
) -> Result<Running, HubError> {
    let blobs = blobs(&settings)?;
    let new_store = Ulid::generate().to_string();
    let engine = Engine::start(store.clone(), clock.clone(), new_store).await?;
    tokio::spawn(snapshots::keep(engine.clone(), store.clone()));
    let beside = (blobs.clone(), clock.clone());
    let drift = Drift::start(engine.clone(), store.clone(), beside, settings.drift).await?;
    let (limits, before) = (Default::default(), drift.before());
    let telemetry = Telemetry::start_after(store.clone(), clock.clone(), limits, before).await?;
    let (listeners, addresses) = listen(&settings, incoming).await?;
    let (stop, stopping) = watch::channel(false);
    let shadows = rollouts::Shadows::default();
    let answers = answers::Answers::default();
    let callers = answers::Callers::default();
    let memory = memory::Memory::default();
    let watch = rollouts::Watch {
        engine: engine.clone(),
        telemetry: telemetry.clone(),
        shadows: shadows.clone(),
        answers: answers.clone(),
        memory: memory.clone(),
        drift: drift.clone(),
        clock: clock.clone(),
    };
    let reactions = reactions::Reactions::new(
        engine.clone(),
        telemetry.clone(),
        (answers.clone(), callers.clone()),
        clock.clone(),
    );
    let mut watching = vec![tokio::spawn(watch.run()), tokio::spawn(reactions.run())];
    let board = sinks::Board::default();
    for sink in settings.sinks.into_iter().take(sinks::MAX_SINKS) {
        let reads = (engine.clone(), store.clone());
        let post = sinks::Post::new(sink, reads, clock.clone(), board.clone());
        watching.push(tokio::spawn(post.run()));
    }
    let hub = Arc::new(server::Hub {
        engine,
        shadows,
        drift: drift.clone(),
        answers,
        callers,
        memory,
        proofs: Default::default(),
        telemetry: telemetry.clone(),
        store: store.clone(),
        started_us: clock.now_us(),
        glances: Default::default(),
        board,
        blobs,
        clock,
        stopping,
    });
    Ok(Running {
        addresses,
        stop,
        serving: server::serve(hub, listeners).await,
        watching,
        telemetry,
        drift,
        store,
        _lock: lock,
    })
}

/// Listens where it is told to: ports are chosen by now.
async fn listen(
    settings: &Settings,
    incoming: Option<Incoming>,
) -> Result<(Vec<Listener>, Vec<Address>), HubError> {
    let mut listeners: Vec<Listener> = incoming.map(Listener::Given).into_iter().collect();
    for address in &settings.listen {
        listeners.push(Listener::open(address, settings.loopback).await?);
    }
    let addresses = listeners.iter().map(Listener::address);
    let addresses = addresses.filter_map(io::Result::transpose);
    let addresses = addresses.collect::<io::Result<_>>();
    Ok((listeners, addresses.map_err(HubError::Address)?))
}

impl Running {
    /// Where it listens; ports are chosen by now.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Ends every stream, writes what was received, and stops.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        self.watching.iter().for_each(JoinHandle::abort);
        let all = futures::future::join_all(self.serving);
        if tokio::time::timeout(STOP_WITHIN, all).await.is_err() {
            tracing::warn!("some streams did not end in time, and are cut off");
        }
        if let Err(error) = self.telemetry.shutdown().await {
            // Agents keep what is not durable, and send it again.
            tracing::error!(
                error = engine::chain(&error),
                "the last windows are not written"
            );
        }
        if let Err(error) = self.drift.persist().await {
            let error = engine::chain(&error);
            tracing::error!(error, "the last evidence is not written");
        }
        self.store.close().await;
    }
}

/// Where files are kept. An object store that does not answer is no reason not to start: the
/// fleet needs its hub, and what needs a file says what is wrong.
fn blobs(settings: &Settings) -> Result<Blobs, HubError> {
    let own = settings.data.join("artifacts");
    let blobs = match &settings.artifacts {
        None => Blobs::in_folder(own),
        Some(ArtifactUrl::Folder(folder)) => Blobs::in_folder(folder.clone()),
        Some(ArtifactUrl::Cloud(url)) => Blobs::in_cloud(Cloud::open(url)?, own),
    };
    let looked = blobs.clone();
    tokio::spawn(async move {
        if let Err(error) = looked.reach().await {
            let error = engine::chain(&error);
            tracing::error!(error, "files cannot be stored or fetched");
        }
    });
    Ok(blobs)
}

/// Makes the folder and locks it for this process.
fn lock(data: &Path) -> Result<std::fs::File, HubError> {
    use rustix::fs::{FlockOperation, flock};

    let refused = |source| HubError::Folder {
        folder: data.into(),
        source,
    };
    std::fs::create_dir_all(data).map_err(refused)?;
    let file = std::fs::File::create(data.join("hub.lock")).map_err(refused)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(HubError::Locked(data.into())),
        Err(error) => Err(refused(error.into())),
    }
}
