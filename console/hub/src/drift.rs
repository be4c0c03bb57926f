//! Live inputs, held against the training data: counted once over all hosts, looked at in ticks.
//!
//! `Drift` is a handle to one task that owns a guard for each version at each endpoint. It
//! promises that what a report counted is counted once, however often it is sent, and is on the
//! disk before the report is called durable; that evidence goes on where a killed hub left it; and
//! that what moved becomes an alert by the engine's decision, and never by its own. What is
//! concluded of counts is `binnacle_core::drift`'s.

use std::sync::Arc;
use std::time::Duration;

use binnacle_core::drift::Side;
use binnacle_core::endpoint::EndpointName;
use binnacle_core::name::Name;
use binnacle_core::registry::Reference;
use binnacle_core::report::{BootId, InputWindow};
use binnacle_core::view::{DriftItem, MovedItem, WatchedItem};
use tokio::sync::{mpsc, oneshot};

use crate::artifact::Blobs;
use crate::clock::Clock;
use crate::drift::owner::Owner;
use crate::engine::Engine;
use crate::store::{SharedStore, StoreError};

mod owner;

/// Asks that wait for the owner: beyond it streams wait, and so do their agents.
const INBOX: usize = 4_096;
/// How long a tick is: what the budget of false pages is counted in.
const TICK: Duration = Duration::from_secs(5);
/// False pages a day over the whole fleet, unless somebody says otherwise.
const PAGES_A_DAY: f64 = 1.0;

/// How inputs are looked at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How long a tick is. The budget is kept for ticks of five seconds; shorter ones, for demos
    /// and tests, run faster than the clock.
    pub tick: Duration,
    /// False pages a day over all models, features and looks together.
    pub pages_a_day: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tick: TICK,
            pages_a_day: PAGES_A_DAY,
        }
    }
}

/// What a report counted of inputs.
#[derive(Debug)]
pub(crate) struct Counted {
    pub(crate) host: Name,
    pub(crate) environment: Name,
    pub(crate) boot: BootId,
    /// The last sequence of the report.
    pub(crate) sequence: u64,
    pub(crate) windows: Vec<InputWindow>,
}

/// Which versions are asked about.
#[derive(Clone, Debug, Default)]
pub(crate) struct Of {
    pub(crate) endpoint: Option<EndpointName>,
    pub(crate) version: Option<Reference>,
    /// Of features, what was counted between these times; `None` for all of it.
    pub(crate) span_us: Option<(i64, i64)>,
}

/// What the owner can be asked.
#[derive(Debug)]
enum Ask {
    Counted(Counted),
    Persist(oneshot::Sender<Result<(), StoreError>>),
    List(Of, oneshot::Sender<Vec<DriftItem>>),
    Show(Of, oneshot::Sender<Vec<WatchedItem>>),
    Explain(Of, oneshot::Sender<Vec<MovedItem>>),
    Sides(Pair, oneshot::Sender<Sides>),
}

/// A new version and the one beside it, at an endpoint.
pub(crate) type Pair = (EndpointName, [Reference; 2]);
/// What was counted of them, where they are watched.
pub(crate) type Sides = [Option<Side>; 2];

/// The hub is stopping.
#[derive(Debug, thiserror::Error)]
#[error("the hub is stopping")]
pub(crate) struct Stopping;

/// The way to the owner. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Drift {
    asks: mpsc::Sender<Ask>,
}

impl Drift {
    /// Takes up what the store holds, and starts.
    pub(crate) async fn start(
        engine: Engine,
        store: SharedStore,
        (blobs, clock): (Blobs, Clock),
        settings: Settings,
    ) -> Result<Self, StoreError> {
        let (asks, inbox) = mpsc::channel(INBOX);
        let owner = Owner::start(engine, store, (blobs, clock), settings).await?;
        tokio::spawn(owner.run(inbox));
        Ok(Self { asks })
    }

    /// Counts what a report counted of inputs, once. Waits while the owner is behind.
    pub(crate) async fn counted(&self, counted: Counted) -> Result<(), Stopping> {
        let sent = self.asks.send(Ask::Counted(counted)).await;
        sent.map_err(|_| Stopping)
    }

    /// Has everything that was counted until now on the disk.
    pub(crate) async fn persist(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        let stopping = || StoreError::Nonsense {
            operation: "keep what is known of watched inputs",
            what: Stopping.to_string(),
        };
        let sent = self.asks.send(Ask::Persist(reply)).await;
        sent.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    /// What is watched, and what is not.
    pub(crate) async fn list(&self, of: Of) -> Result<Vec<DriftItem>, Stopping> {
        self.ask(|reply| Ask::List(of, reply)).await
    }

    /// Each feature of what is watched.
    pub(crate) async fn show(&self, of: Of) -> Result<Vec<WatchedItem>, Stopping> {
        self.ask(|reply| Ask::Show(of, reply)).await
    }

    /// What moved.
    pub(crate) async fn explain(&self, of: Of) -> Result<Vec<MovedItem>, Stopping> {
        self.ask(|reply| Ask::Explain(of, reply)).await
    }

    /// Asks what was counted of the inputs of two versions at an endpoint, without waiting for the
    /// answer. Nothing where the owner is too far behind to be asked, or has stopped.
    pub(crate) fn sides(&self, of: Pair) -> Option<oneshot::Receiver<Sides>> {
        let (reply, answer) = oneshot::channel();
        let sent = self.asks.try_send(Ask::Sides(of, reply));
        sent.is_ok().then_some(answer)
    }

    async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, Stopping> {
        let (reply, answer) = oneshot::channel();
        let sent = self.asks.send(ask(reply)).await;
        sent.map_err(|_| Stopping)?;
        answer.await.map_err(|_| Stopping)
    }

    /// What telemetry waits for before it calls reports durable.
    pub(crate) fn before(&self) -> crate::telemetry::Before {
        let drift = self.clone();
        Arc::new(move || {
            let drift = drift.clone();
            Box::pin(async move { drift.persist().await })
        })
    }
}
