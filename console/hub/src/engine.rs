//! The engine: one task owns the state. Input → decide → persist → apply → wanted → publish.
//!
//! Inputs that wait together are persisted together, in one transaction. Nothing is applied,
//! answered or sent before it is on disk; when the store refuses, whatever needs no entry goes
//! on and the rest is refused with the reason, at once, until the store can be written again.
//! Where it is not known whether entries are there, that is found out before any other is
//! written. Readers never come here: they look at the published state, which is replaced whole.

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use binnacle_core::journal::{Change, Entry, Fault, Hash, Stored};
use binnacle_core::name::Name;
use binnacle_core::observed::{Observed, StreamId};
use binnacle_core::rollout::duty::Desk;
use binnacle_core::rollout::tick;
use binnacle_core::state::{self, Assignment, Input, Refusal, State};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::store::{SharedStore, StoreError};

use self::replay::{Audit, audit, begin};

pub use self::replay::walk;

mod replay;

/// Inputs that wait for the engine: a fleet that reconnects at once, twice over.
const QUEUE: usize = 20_000;
/// Inputs persisted in one transaction: a few milliseconds of deciding.
const BATCH: usize = 512;
/// Entries that a slow watcher may lag behind before it reads them from the store instead.
const LAG: usize = 1_024;
/// Between two looks whether the store can be written again.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long those whose entries may be there wait for the store to say so, before they are told
/// that nobody knows: a connection that was cut is replaced within milliseconds.
const ASK_AT_ONCE: Duration = Duration::from_secs(2);

/// What readers see: replaced whole after every batch.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// What was decided.
    pub state: State,
    /// What is observed.
    pub observed: Observed,
    /// Why no entry can be written; empty when they can.
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
    /// Whether it was written down is not known yet.
    #[error(
        "it is not known whether this was done: {0}; see `binnacle journal list` once the store is \
         back, or ask again under the same key"
    )]
    Unsure(Arc<str>),
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
    stirred: Arc<Notify>,
}

impl Engine {
    /// Replays the journal, writes the first entry of a new one, and starts.
    pub async fn start(
        store: SharedStore,
        clock: Clock,
        new_store: String,
    ) -> Result<Self, EngineError> {
        let (state, begun_with) = begin(&store).await?;
        let audit = match begun_with {
            0 => futures::future::pending().boxed(),
            _ => audit(store.clone()),
        };
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
            stirred: Arc::default(),
        };
        let owner = Owner {
            stirred: engine.stirred.clone(),
            store,
            clock,
            state,
            observed: Observed::default(),
            orders: HashMap::new(),
            published,
            entries,
            trouble: "".into(),
            doubt: None,
        };
        tokio::spawn(owner.run(queue, audit));
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

    /// Waits until a host has said something new, or somebody has asked for something, since it
    /// was last waited for. For one task: it alone is woken.
    pub(crate) async fn stirred(&self) {
        self.stirred.notified().await;
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

    /// Where what readers see is published.
    pub(crate) fn publication(&self) -> Arc<ArcSwap<Published>> {
        self.published.clone()
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

struct Owner {
    store: SharedStore,
    clock: Clock,
    state: State,
    observed: Observed,
    orders: HashMap<StreamId, watch::Sender<Option<Assignment>>>,
    published: Arc<ArcSwap<Published>>,
    entries: broadcast::Sender<Arc<Stored>>,
    stirred: Arc<Notify>,
    trouble: Arc<str>,
    /// Entries that may be in the store, and the state if they are.
    doubt: Option<(State, Vec<Stored>)>,
}

/// The store's head, once it says so.
type Look = BoxFuture<'static, Result<(u64, Hash), StoreError>>;

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
    /// It needed an entry, which may be there.
    Unsure,
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
    async fn run(mut self, mut queue: mpsc::Receiver<Message>, mut audit: Audit) {
        let mut batch = Vec::new();
        let mut look: Look = futures::future::pending().boxed();
        loop {
            tokio::select! {
                found = &mut look => look = self.found(found),
                fault = &mut audit => {
                    audit = futures::future::pending().boxed();
                    if let Some(fault) = fault {
                        look = self.distrust(fault);
                    }
                }
                received = queue.recv_many(&mut batch, BATCH) => {
                    if received == 0 {
                        return;
                    }
                    if let Some(next) = self.take(std::mem::take(&mut batch)).await {
                        look = next;
                    }
                }
            }
        }
    }

    /// Takes a batch, and where it could not be written says how to find out when it can.
    async fn take(&mut self, batch: Vec<Message>) -> Option<Look> {
        let disk = match self.trouble.is_empty() {
            true => Disk::Writable,
            false => Disk::Refusing,
        };
        let decided = self.decide(&batch, disk);
        if decided.stored.is_empty() {
            self.commit(batch, decided);
            return None;
        }
        let error = match self.append(&decided.stored).await {
            Ok(()) => {
                self.commit(batch, decided);
                return None;
            }
            Err(error) => error,
        };
        self.note(&error);
        // What needs no entry goes on: hosts leave, and known ones come back.
        let mut refused = self.decide(&batch, Disk::Refusing);
        if matches!(error, StoreError::Unsure { .. }) {
            self.doubt = Some((decided.state, decided.stored));
            for verdict in &mut refused.verdicts {
                if matches!(verdict, Verdict::Unwritten) {
                    *verdict = Verdict::Unsure;
                }
            }
        }
        self.commit(batch, refused);
        Some(self.look(Duration::ZERO))
    }

    /// Writes entries. Where the answer was lost, looks whether they are there.
    async fn append(&self, entries: &[Stored]) -> Result<(), StoreError> {
        let appended = self.store.append(entries.to_vec()).await;
        let Err(StoreError::Unsure { operation, source }) = appended else {
            return appended;
        };
        let head = tokio::time::timeout(ASK_AT_ONCE, self.store.confirm_head()).await;
        match (head, entries.last()) {
            (Ok(Ok(head)), Some(last)) if head == (last.sequence, last.hash) => Ok(()),
            (Ok(Ok(_)), _) => Err(StoreError::Refused { operation, source }),
            (Ok(Err(_)) | Err(_), _) => Err(StoreError::Unsure { operation, source }),
        }
    }

    /// Nothing is written behind a journal that does not hold.
    fn distrust(&mut self, fault: Fault) -> Look {
        let store = self.store.url();
        let why = chain(&EngineError::Corrupt { store, fault });
        tracing::error!(error = why, "nothing is changed any more");
        self.trouble = why.into();
        self.publish();
        futures::future::pending().boxed()
    }

    fn note(&mut self, error: &StoreError) {
        let why: Arc<str> = chain(error).into();
        if why != self.trouble {
            tracing::error!(error = %why, "the journal cannot be written");
            self.trouble = why;
        }
    }

    fn look(&self, after: Duration) -> Look {
        let store = self.store.clone();
        async move {
            tokio::time::sleep(after).await;
            store.confirm_head().await
        }
        .boxed()
    }

    /// Takes in what the store says of its head; answers with when to look next.
    fn found(&mut self, found: Result<(u64, Hash), StoreError>) -> Look {
        let head = match found {
            Ok(head) => head,
            Err(error) => {
                self.note(&error);
                self.publish();
                return self.look(LOOK_AGAIN);
            }
        };
        let last = |(_, stored): &(State, Vec<Stored>)| {
            let last = stored.last()?;
            Some((last.sequence, last.hash))
        };
        let written = self.doubt.take_if(|doubt| last(doubt) == Some(head));
        if written.is_none() && head != (self.state.sequence, self.state.hash) {
            let operation = "append to the journal";
            self.note(&StoreError::Conflict { operation });
            self.publish();
            return self.look(LOOK_AGAIN);
        }
        tracing::info!("the journal can be written again");
        (self.trouble, self.doubt) = ("".into(), None);
        match written {
            None => self.publish(),
            Some((state, stored)) => {
                let read = |stored: &Stored| Entry::from_body(stored.sequence, &stored.body);
                let entries = stored.iter().filter_map(|stored| read(stored).ok());
                let touched = touched(&self.state, &state, entries);
                self.state = state;
                self.publish();
                self.tell(stored);
                self.send_wanted(touched);
            }
        }
        futures::future::pending().boxed()
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
        let changed = decided.changed.iter().map(AsRef::as_ref);
        let mut touched = touched(&self.state, &decided.state, changed);
        self.state = decided.state;
        self.observed = decided.observed;
        self.publish();
        self.tell(decided.stored);
        if batch.iter().any(|message| stirs(&message.input)) {
            self.stirred.notify_one();
        }
        for (message, verdict) in batch.into_iter().zip(decided.verdicts) {
            let answer = match verdict {
                Verdict::Refused(refusal) => Err(Rejected::Refused(refusal)),
                Verdict::Unwritten => Err(Rejected::NotWritten(self.trouble.clone())),
                Verdict::Unsure => Err(Rejected::Unsure(self.trouble.clone())),
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

    fn publish(&self) {
        self.published.store(Arc::new(Published {
            state: self.state.clone(),
            observed: self.observed.clone(),
            trouble: self.trouble.clone(),
        }));
    }

    fn tell(&self, entries: Vec<Stored>) {
        for stored in entries {
            // Nobody watching is no trouble.
            let _nobody = self.entries.send(Arc::new(stored));
        }
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
            | Input::Concluded { .. }
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

/// Whether what was put in may be what a rollout waits for.
fn stirs(input: &Input) -> bool {
    match input {
        Input::Serves { .. } | Input::Concluded { .. } | Input::Asked { .. } => true,
        Input::Start { .. } | Input::Joined { .. } | Input::Left { .. } | Input::Tick { .. } => {
            false
        }
    }
}

/// Hosts of which something else may be wanted after a batch.
fn touched<E: Borrow<Entry>>(
    before: &State,
    after: &State,
    changed: impl Iterator<Item = E>,
) -> BTreeSet<Name> {
    let mut touched = BTreeSet::new();
    for entry in changed {
        let change = &entry.borrow().change;
        touched.extend(change.host().cloned());
        if matches!(change, Change::Registry(_)) {
            // Golden requests are for those that keep the version.
            let raised = after.endpoints.all.iter();
            let raised = raised.filter(|(_, one)| one.generation == entry.borrow().sequence);
            raised.for_each(|(name, _)| touched.extend(tick::hosts_of(after, name).cloned()));
        }
        let Some(name) = change.endpoint() else {
            continue;
        };
        // An edit may leave hosts out that served the endpoint before.
        touched.extend(tick::hosts_of(before, name).cloned());
        touched.extend(tick::hosts_of(after, name).cloned());
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
