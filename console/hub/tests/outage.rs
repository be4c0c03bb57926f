//! The engine over a store that fails: answers that are lost, a store that is away, snapshots
//! that are damaged. Nothing is written twice, nothing that is there is missed, and the state is
//! the journal's whatever it was begun with.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on fails

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use binnacle_core::host::{Admission, Labels};
use binnacle_core::journal::{Hash, Stored};
use binnacle_core::name::Name;
use binnacle_core::observed::StreamId;
use binnacle_core::report::BootId;
use binnacle_core::snapshot;
use binnacle_core::state::{Greeting, Input};
use binnacle_hub::clock::Clock;
use binnacle_hub::engine::{Engine, Rejected};
use binnacle_hub::store::{
    self, Compaction, Flushed, Guards, MinuteCell, MinuteQuery, Rollup, RollupBatch, RollupQuery,
    SharedStore, Snapshot, Store, StoreError, StoreUrl, Watermark,
};
use futures::future::BoxFuture;

/// What goes wrong.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Fault {
    None,
    /// Appends are done, and the answer is lost; the head can be asked for.
    AnswerLost,
    /// Appends are done, and then the store is away.
    AwayAfterwards,
    /// Appends are not done, and nobody knows; the store is away.
    AwayBefore,
}

/// A store in memory that fails as it is told.
#[derive(Debug)]
struct Failing {
    store: SharedStore,
    fault: AtomicU8,
}

impl Failing {
    async fn new() -> Arc<Self> {
        let store = store::open(&StoreUrl::Memory).await.unwrap();
        let fault = AtomicU8::new(Fault::None as u8);
        Arc::new(Self { store, fault })
    }

    fn fails(&self, fault: Fault) {
        self.fault.store(fault as u8, Ordering::SeqCst);
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault.load(Ordering::SeqCst) == fault as u8
    }
}

fn unsure() -> StoreError {
    StoreError::Unsure {
        operation: "append to the journal",
        source: sqlx::Error::PoolClosed,
    }
}

type Answer<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

impl Store for Failing {
    fn url(&self) -> String {
        self.store.url()
    }
    fn append(&self, entries: Vec<Stored>) -> Answer<'_, ()> {
        Box::pin(async {
            if self.is(Fault::AwayBefore) {
                return Err(unsure());
            }
            self.store.append(entries).await?;
            match self.is(Fault::None) {
                true => Ok(()),
                false => Err(unsure()),
            }
        })
    }
    fn confirm_head(&self) -> Answer<'_, (u64, Hash)> {
        match self.is(Fault::AwayBefore) || self.is(Fault::AwayAfterwards) {
            true => Box::pin(async { Err(unsure()) }),
            false => self.store.confirm_head(),
        }
    }
    fn entries(&self, after: u64, limit: u32) -> Answer<'_, Vec<Stored>> {
        self.store.entries(after, limit)
    }
    fn guards(&self) -> Answer<'_, Vec<(String, Vec<u8>)>> {
        self.store.guards()
    }
    fn save_guards(&self, guards: Guards) -> Answer<'_, ()> {
        self.store.save_guards(guards)
    }
    fn mark(&self, reader: String) -> Answer<'_, Option<u64>> {
        self.store.mark(reader)
    }
    fn set_mark(&self, reader: String, at: u64) -> Answer<'_, ()> {
        self.store.set_mark(reader, at)
    }
    fn entries_at(&self, places: Vec<u64>) -> Answer<'_, Vec<Stored>> {
        self.store.entries_at(places)
    }
    fn entries_before(&self, before: u64, limit: u32) -> Answer<'_, Vec<Stored>> {
        self.store.entries_before(before, limit)
    }
    fn head(&self) -> Answer<'_, Option<(u64, Hash)>> {
        self.store.head()
    }
    fn meta_head(&self) -> Answer<'_, Option<(u64, Hash)>> {
        self.store.meta_head()
    }
    fn save_snapshot(&self, snapshot: Arc<Snapshot>) -> Answer<'_, ()> {
        self.store.save_snapshot(snapshot)
    }
    fn snapshot(&self) -> Answer<'_, Option<Snapshot>> {
        self.store.snapshot()
    }
    fn flush(&self, batch: Arc<RollupBatch>) -> Answer<'_, ()> {
        self.store.flush(batch)
    }
    fn flushed(&self) -> Answer<'_, Flushed> {
        self.store.flushed()
    }
    fn watermarks(&self, host: Arc<str>) -> Answer<'_, Vec<Watermark>> {
        self.store.watermarks(host)
    }
    fn all_watermarks(&self) -> Answer<'_, Vec<Watermark>> {
        self.store.all_watermarks()
    }
    fn rollups<'a>(
        &'a self,
        query: RollupQuery,
        sink: &'a mut (dyn FnMut(Rollup) + Send),
    ) -> Answer<'a, u64> {
        self.store.rollups(query, sink)
    }
    fn minutes<'a>(
        &'a self,
        query: MinuteQuery,
        sink: &'a mut (dyn FnMut(MinuteCell) + Send),
    ) -> Answer<'a, u64> {
        self.store.minutes(query, sink)
    }
    fn compact(&self, now_us: i64) -> Answer<'_, Compaction> {
        self.store.compact(now_us)
    }
    fn close(&self) -> BoxFuture<'_, ()> {
        self.store.close()
    }
}

async fn engine(store: SharedStore) -> Engine {
    let (clock, _hand) = Clock::manual(1_000_000);
    Engine::start(store, clock, "store".into()).await.unwrap()
}

fn joined(stream: u64) -> Input {
    Input::Joined {
        stream: StreamId(stream),
        greeting: Greeting {
            admission: Admission {
                host: Name::parse(&format!("host-{stream}")).unwrap(),
                environment: Name::parse("prod").unwrap(),
                labels: Labels::parse(BTreeMap::new()).unwrap(),
            },
            boot: BootId([1; 16]),
            generation: 0,
            agent_version: "0.1.0".into(),
            attachment: "path".into(),
        },
    }
}

#[tokio::test]
async fn an_entry_whose_answer_was_lost_is_found_and_not_written_again() {
    let store = Failing::new().await;
    let engine = engine(store.clone()).await;
    store.fails(Fault::AnswerLost);
    let written = engine.put(joined(1)).await.unwrap();
    assert_eq!((written.sequence, written.entries.len()), (2, 1));
    assert_eq!(store.entries(0, 9).await.unwrap().len(), 2);
    assert_eq!(&*engine.published().trouble, "");
}

#[tokio::test]
async fn while_nobody_knows_nothing_else_is_written_and_then_the_state_follows_the_store() {
    for (fault, is_there) in [(Fault::AwayAfterwards, true), (Fault::AwayBefore, false)] {
        let store = Failing::new().await;
        let engine = engine(store.clone()).await;
        let mut entries = engine.follow();
        store.fails(fault);
        let unsure = engine.put(joined(1)).await.unwrap_err();
        assert!(matches!(unsure, Rejected::Unsure(_)), "{unsure}");
        let refused = engine.put(joined(2)).await.unwrap_err();
        assert!(matches!(refused, Rejected::NotWritten(_)), "{refused}");
        assert_eq!(engine.published().state.sequence, 1);
        assert!(!engine.published().trouble.is_empty());
        store.fails(Fault::None);
        if is_there {
            assert_eq!(entries.recv().await.unwrap().sequence, 2);
        }
        // Refused until the store was looked at again.
        let written = loop {
            match engine.put(joined(2)).await {
                Ok(written) => break written,
                Err(Rejected::NotWritten(_)) => tokio::task::yield_now().await,
                Err(other) => unreachable!("{other}"),
            }
        };
        assert_eq!(written.sequence, 2 + u64::from(is_there));
        let host = Name::parse("host-1").unwrap();
        assert_eq!(engine.published().state.hosts.contains_key(&host), is_there);
        let stored = store.entries(0, 9).await.unwrap();
        assert_eq!(stored.len() as u64, written.sequence, "each once");
    }
}

async fn kept(store: &SharedStore, engine: &Engine, format: u32) -> Snapshot {
    let state = engine.published().state.clone();
    let head = (state.sequence, state.hash);
    let made = Snapshot::new(head, format, snapshot::write(&state));
    store.save_snapshot(Arc::new(made.clone())).await.unwrap();
    made
}

#[tokio::test]
async fn a_start_from_a_snapshot_is_a_start_from_the_journal_whatever_became_of_the_snapshot() {
    let failing = Failing::new().await;
    let store: SharedStore = failing;
    let first = engine(store.clone()).await;
    for stream in 1..=20 {
        first.put(joined(stream)).await.unwrap();
    }
    let good = kept(&store, &first, snapshot::format()).await;
    for stream in 21..=30 {
        first.put(joined(stream)).await.unwrap();
    }
    let expected = first.published().state.clone();
    drop(first);
    let (mut torn, mut strange, mut elsewhere) = (good.clone(), good.clone(), good.clone());
    torn.bytes[40] ^= 1;
    strange.format ^= 1;
    elsewhere.hash = [9; 32];
    let mut later = good.clone();
    later.sequence = 99;
    for damaged in [good, torn, strange, elsewhere, later] {
        store.save_snapshot(Arc::new(damaged)).await.unwrap();
        let begun = engine(store.clone()).await;
        assert_eq!(begun.published().state, expected);
        assert_eq!(&*begun.published().trouble, "");
    }
}

#[tokio::test]
async fn what_a_start_did_not_walk_is_walked_afterwards_and_a_break_ends_all_changes() {
    let whole: SharedStore = Failing::new().await;
    let first = engine(whole.clone()).await;
    for stream in 1..=9 {
        first.put(joined(stream)).await.unwrap();
    }
    let good = kept(&whole, &first, snapshot::format()).await;
    let mut entries = whole.entries(0, 99).await.unwrap();
    entries[3].body[2] ^= 1;
    let broken: SharedStore = Failing::new().await;
    broken.append(entries).await.unwrap();
    broken.save_snapshot(Arc::new(good)).await.unwrap();
    let begun = engine(broken).await;
    let why = loop {
        let trouble = begun.published().trouble.clone();
        match trouble.is_empty() {
            true => tokio::task::yield_now().await,
            false => break trouble,
        }
    };
    assert!(why.contains("corrupt") && why.contains("entry 4"), "{why}");
    let refused = begun.put(joined(99)).await.unwrap_err();
    assert!(matches!(refused, Rejected::NotWritten(_)), "{refused}");
}
