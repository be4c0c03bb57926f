//! The engine: one task owns the state. Input → decide → persist → apply → wanted → publish.
//!
//! Inputs that wait together are persisted together, in one transaction. Nothing is applied,
//! answered or sent before it is on disk; when the disk refuses, whatever needs no entry goes
//! on and the rest is refused with the reason. Readers never come here: they look at the
//! published state, which is replaced whole.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::ArcSwap;
use binnacle_core::journal::{Entry, Fault, Hash, Stored, Walk};
use binnacle_core::name::Name;
use binnacle_core::observed::{Observed, StreamId};
use binnacle_core::rollout::duty::Desk;
use binnacle_core::rollout::tick;
use binnacle_core::state::{self, Assignment, Input, Refusal, State};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::store::{SharedStore, StoreError};

/// Inputs that wait for the engine: a fleet that reconnects at once, twice over.
const QUEUE: usize = 20_000;
/// Inputs persisted in one transaction: a few milliseconds of deciding.
const BATCH: usize = 512;
/// Entries that a slow watcher may lag behind before it reads them from the store instead.
const LAG: usize = 1_024;
/// Entries read at once while the journal is replayed.
const PAGE: u32 = 4_096;

/// What readers see: replaced whole after every batch.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// What was decided.
    pub state: State,
    /// What is observed.
    pub observed: Observed,
    /// Why the last entry could not be written; empty when it could.
    pub trouble: Arc<str>,
}

/// What an input caused, on disk by now.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The journal's last sequence.
    pub sequence: u64,
    /// The entries that the input caused.
    pub entries: Vec<Arc<Entry>>,
    /// The entry that did the same before, under the same key: nothing was done now.
    pub before: Option<u64>,
}

/// Why an input came to nothing.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Rejected {
    /// It was decided against.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be written down, so it did not happen.
    #[error("the journal cannot be written, so nothing was changed: {0}")]
    NotWritten(Arc<str>),
    /// The hub is stopping.
    #[error("the hub is stopping; try again in a moment")]
    Stopping,
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The journal cannot be trusted.
    #[error("the journal of {store} is corrupt; restore a backup, or keep it as evidence")]
    Corrupt {
        /// Which store.
        store: String,
        /// Where.
        #[source]
        fault: Fault,
    },
    /// The store cannot be read.
    #[error("cannot replay the journal")]
    Store(#[from] StoreError),
    /// The first entry could not be written.
    #[error("cannot begin the journal: {0}")]
    Genesis(Rejected),
}

struct Message {
    input: Input,
    /// Where the stream's assignments go, when the input opens one.
    orders: Option<watch::Sender<Option<Assignment>>>,
    answer: oneshot::Sender<Result<Written, Rejected>>,
}

/// A handle to the engine.
#[derive(Clone, Debug)]
pub struct Engine {
    inputs: mpsc::Sender<Message>,
    published: Arc<ArcSwap<Published>>,
    entries: broadcast::Sender<Arc<Stored>>,
}

impl Engine {
    /// Replays the journal, writes the first entry of a new one, and starts.
    pub async fn start(
        store: SharedStore,
        clock: Clock,
        new_store: String,
    ) -> Result<Self, EngineError> {
        let state = replay(&store).await?;
        let (inputs, queue) = mpsc::channel(QUEUE);
        let (entries, _) = broadcast::channel(LAG);
        let published = Arc::new(ArcSwap::from_pointee(Published {
            state: state.clone(),
            ..Published::default()
        }));
        let engine = Self {
            inputs,
            published: published.clone(),
            entries: entries.clone(),
        };
        let owner = Owner {
            store,
            clock,
            state,
            observed: Observed::default(),
            orders: HashMap::new(),
            published,
            entries,
            trouble: "".into(),
        };
        tokio::spawn(owner.run(queue));
        engine
            .put(Input::Start { store: new_store })
            .await
            .map_err(EngineError::Genesis)?;
        Ok(engine)
    }

    /// Puts an input before the engine; answers once everything that it caused is
    /// on disk.
    pub async fn put(&self, input: Input) -> Result<Written, Rejected> {
        self.send(input, None).await
    }

    /// As [`put`](Self::put), for an input that opens a stream: what is wanted of its host is
    /// then seen on the receiver, the latest only.
    pub async fn join(
        &self,
        input: Input,
    ) -> Result<watch::Receiver<Option<Assignment>>, Rejected> {
        let (orders, assignments) = watch::channel(None);
        self.send(input, Some(orders)).await?;
        Ok(assignments)
    }

    /// The state and what is observed, as of the last batch.
    pub fn published(&self) -> Arc<Published> {
        self.published.load_full()
    }

    /// Every entry from now on.
    pub fn follow(&self) -> broadcast::Receiver<Arc<Stored>> {
        self.entries.subscribe()
    }

    async fn send(
        &self,
        input: Input,
        orders: Option<watch::Sender<Option<Assignment>>>,
    ) -> Result<Written, Rejected> {
        let (answer, answered) = oneshot::channel();
        let message = Message {
            input,
            orders,
            answer,
        };
        self.inputs
            .send(message)
            .await
            .map_err(|_| Rejected::Stopping)?;
        answered.await.map_err(|_| Rejected::Stopping)?
    }
}

/// Walks the whole journal, checks its chain, and folds it.
async fn replay(store: &SharedStore) -> Result<State, EngineError> {
    let mut state = State::default();
    let (_, fault) = walk(store, |(entry, hash)| state.apply(&entry, hash)).await?;
    match fault {
        Some(fault) => Err(EngineError::Corrupt {
            store: store.url(),
            fault,
        }),
        None => Ok(state),
    }
}

/// Walks a journal from its first entry, hands each that holds to `each`, and says how far it
/// holds and where it breaks.
pub async fn walk(
    store: &SharedStore,
    mut each: impl FnMut((Entry, Hash)) + Send,
) -> Result<(Walk, Option<Fault>), StoreError> {
    let mut walk = Walk::past(store.meta_head().await?);
    loop {
        let page = store.entries(walk.sequence, PAGE).await?;
        for stored in &page {
            match walk.step(stored) {
                Ok(entry) => each((entry, stored.hash)),
                Err(fault) => return Ok((walk, Some(fault))),
            }
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    let fault = walk.finish().err();
    Ok((walk, fault))
}

struct Owner {
    store: SharedStore,
    clock: Clock,
    state: State,
    observed: Observed,
    orders: HashMap<StreamId, watch::Sender<Option<Assignment>>>,
    published: Arc<ArcSwap<Published>>,
    entries: broadcast::Sender<Arc<Stored>>,
    trouble: Arc<str>,
}

/// A batch that was decided, and is not yet anything else.
struct Decided {
    state: State,
    observed: Observed,
    stored: Vec<Stored>,
    changed: Vec<Arc<Entry>>,
    verdicts: Vec<Verdict>,
}

/// What became of one input.
enum Verdict {
    /// It happened, with these entries.
    Done(Vec<Arc<Entry>>),
    /// It happened before, as this entry says.
    Before(u64),
    /// It would have needed an entry, and none can be written.
    Unwritten,
    /// It was decided against.
    Refused(Refusal),
}

/// Whether a batch may hold entries.
#[derive(Clone, Copy, PartialEq)]
enum Disk {
    Writable,
    Refusing,
}

impl Owner {
    async fn run(mut self, mut queue: mpsc::Receiver<Message>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            self.take(std::mem::take(&mut batch)).await;
        }
    }

    async fn take(&mut self, batch: Vec<Message>) {
        let decided = self.decide(&batch, Disk::Writable);
        if decided.stored.is_empty() {
            self.commit(batch, decided);
            return;
        }
        match self.store.append(decided.stored.clone()).await {
            Ok(()) => {
                self.trouble = "".into();
                self.commit(batch, decided);
            }
            Err(error) => {
                let why: Arc<str> = chain(&error).into();
                tracing::error!(error = %why, "the journal cannot be written");
                self.trouble = why;
                // What needs no entry goes on: hosts leave, and known ones come back.
                let decided = self.decide(&batch, Disk::Refusing);
                self.commit(batch, decided);
            }
        }
    }

    /// Decides a batch, each input on what those before it leave.
    fn decide(&self, batch: &[Message], disk: Disk) -> Decided {
        let now_us = self.clock.now_us();
        let (state, observed) = (self.state.clone(), self.observed.clone());
        let mut decided = Decided {
            state,
            observed,
            stored: Vec::new(),
            changed: Vec::new(),
            verdicts: Vec::with_capacity(batch.len()),
        };
        for Message { input, .. } in batch {
            if let Some(sequence) = state::before(&decided.state, input, now_us) {
                decided.verdicts.push(Verdict::Before(sequence));
                continue;
            }
            let verdict = match state::decide(&decided.state, &decided.observed, input, now_us) {
                Err(refusal) => Verdict::Refused(refusal),
                Ok(drafts) if disk == Disk::Refusing && !drafts.is_empty() => Verdict::Unwritten,
                Ok(drafts) => {
                    let mut entries = Vec::with_capacity(drafts.len());
                    for draft in drafts {
                        let entry = Arc::new(decided.state.entry(draft, now_us));
                        let stored = entry.seal(&decided.state.hash);
                        decided.state.apply(&entry, stored.hash);
                        decided.stored.push(stored);
                        decided.changed.push(entry.clone());
                        entries.push(entry);
                    }
                    decided.observed.note(input, now_us);
                    Verdict::Done(entries)
                }
            };
            decided.verdicts.push(verdict);
        }
        decided
    }

    /// Makes a batch that is on disk the state, sends what is now wanted, and answers.
    fn commit(&mut self, batch: Vec<Message>, decided: Decided) {
        let mut touched = touched(&self.state, &decided);
        self.state = decided.state;
        self.observed = decided.observed;
        self.published.store(Arc::new(Published {
            state: self.state.clone(),
            observed: self.observed.clone(),
            trouble: self.trouble.clone(),
        }));
        for stored in decided.stored {
            // Nobody watching is no trouble.
            let _nobody = self.entries.send(Arc::new(stored));
        }
        for (message, verdict) in batch.into_iter().zip(decided.verdicts) {
            let answer = match verdict {
                Verdict::Refused(refusal) => Err(Rejected::Refused(refusal)),
                Verdict::Unwritten => Err(Rejected::NotWritten(self.trouble.clone())),
                Verdict::Done(entries) => {
                    self.streams(&message.input, message.orders, &mut touched);
                    Ok(Written {
                        sequence: self.state.sequence,
                        entries,
                        before: None,
                    })
                }
                Verdict::Before(sequence) => Ok(Written {
                    sequence: self.state.sequence,
                    entries: Vec::new(),
                    before: Some(sequence),
                }),
            };
            // A caller that left has its entry all the same.
            let _left = message.answer.send(answer);
        }
        self.send_wanted(touched);
    }

    /// Keeps the senders of open streams, and notes whose hosts have to be looked at.
    fn streams(
        &mut self,
        input: &Input,
        orders: Option<watch::Sender<Option<Assignment>>>,
        touched: &mut BTreeSet<Name>,
    ) {
        match input {
            Input::Joined { stream, greeting } => {
                if let Some(orders) = orders {
                    self.orders.insert(*stream, orders);
                }
                touched.insert(greeting.admission.host.clone());
                // Streams that this one replaced are told by the loss of their sender.
                let observed = &self.observed;
                if self.orders.len() > observed.open() {
                    self.orders
                        .retain(|stream, _| observed.host(*stream).is_some());
                }
            }
            Input::Left { stream } => {
                self.orders.remove(stream);
            }
            Input::Serves { .. }
            | Input::Tick { .. }
            | Input::Start { .. }
            | Input::Asked { .. } => {}
        }
    }

    fn send_wanted(&self, touched: BTreeSet<Name>) {
        // What is the same for many hosts is worked out once.
        let mut desk = Desk::new(&self.state);
        for host in touched {
            let Some((stream, open)) = self.observed.commanding(&host) else {
                continue;
            };
            let Some(wanted) = desk.wanted(&host) else {
                continue;
            };
            if open.generation != wanted.generation
                && let Some(orders) = self.orders.get(&stream)
            {
                orders.send_replace(Some(wanted));
            }
        }
    }
}

/// Hosts of which something else may be wanted after a batch.
fn touched(before: &State, decided: &Decided) -> BTreeSet<Name> {
    let mut touched = BTreeSet::new();
    for entry in &decided.changed {
        touched.extend(entry.change.host().cloned());
        let Some(name) = entry.change.endpoint() else {
            continue;
        };
        // An edit may leave hosts out that served the endpoint before.
        touched.extend(tick::hosts_of(before, name).cloned());
        touched.extend(tick::hosts_of(&decided.state, name).cloned());
    }
    touched
}

/// An error and its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
