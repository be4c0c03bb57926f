//! The engine over a real store: what it acknowledged is there when it comes back, whatever
//! waited together; and a journal that was touched is refused by the entry.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // a test that cannot go on fails

use std::collections::BTreeMap;
use std::path::Path;

use binnacle_core::caller::Caller;
use binnacle_core::host::{Admission, Labels};
use binnacle_core::name::Name;
use binnacle_core::observed::StreamId;
use binnacle_core::report::BootId;
use binnacle_core::served::Served;
use binnacle_core::state::{Condition, Duty, Greeting, Input, Refusal, Request};
use binnacle_hub::clock::Clock;
use binnacle_hub::engine::{Engine, EngineError, Rejected};
use binnacle_hub::store::{self, SharedStore, StoreUrl};

async fn store(folder: &Path) -> SharedStore {
    store::open(&StoreUrl::Sqlite(folder.join("hub.db")))
        .await
        .unwrap()
}

async fn engine(store: &SharedStore) -> Result<Engine, EngineError> {
    let (clock, _hand) = Clock::manual(1_000_000);
    Engine::start(store.clone(), clock, "store".into()).await
}

fn name(n: u64) -> Name {
    Name::parse(&format!("host-{n}")).unwrap()
}

fn joined(stream: u64, n: u64) -> Input {
    Input::Joined {
        stream: StreamId(stream),
        greeting: Greeting {
            admission: Admission {
                host: name(n),
                environment: Name::parse("prod").unwrap(),
                labels: Labels::parse(BTreeMap::new()).unwrap(),
            },
            boot: BootId([n as u8; 16]),
            generation: 0,
            agent_version: "0.1.0".into(),
            attachment: "path".into(),
        },
    }
}

fn retire(n: u64) -> Input {
    let request = Request::RetireHost(name(n));
    Input::Asked {
        caller: Caller::Hub,
        why: "broken".into(),
        request,
        condition: Condition::default(),
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_there_when_the_hub_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let before = {
        let store = store(folder.path()).await;
        let engine = engine(&store).await.unwrap();
        let all = (1..=300).map(|n| engine.join(joined(n, n)));
        for answer in futures::future::join_all(all).await {
            answer.unwrap();
        }
        assert_eq!(engine.put(retire(7)).await.unwrap().entries.len(), 1);
        assert_eq!(
            engine.put(retire(7)).await.unwrap().entries.len(),
            0,
            "once is enough"
        );
        engine.published()
    };
    let after = engine(&store(folder.path()).await)
        .await
        .unwrap()
        .published();
    assert_eq!(after.state, before.state);
    assert_eq!(after.state.sequence, 302);
    assert_eq!(after.observed.live(), 0, "what is observed is told again");
}

#[tokio::test]
async fn a_host_that_is_retired_is_told_to_leave_and_refused_when_it_returns() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&store(folder.path()).await).await.unwrap();
    let mut orders = engine.join(joined(1, 1)).await.unwrap();
    let first = orders
        .wait_for(Option::is_some)
        .await
        .unwrap()
        .clone()
        .unwrap();
    assert_eq!((first.generation, first.duty), (2, Duty::Serve));
    engine
        .put(Input::Serves {
            stream: StreamId(1),
            served: Served {
                generation: 2,
                ..Served::default()
            }
            .into(),
        })
        .await
        .unwrap();
    engine.put(retire(1)).await.unwrap();
    let leave = orders.wait_for(|order| order.as_ref().is_some_and(|o| o.generation == 3));
    assert_eq!(
        leave.await.unwrap().clone().unwrap().duty,
        Duty::Leave("broken".into())
    );
    engine
        .put(Input::Left {
            stream: StreamId(1),
        })
        .await
        .unwrap();
    let refused = engine.join(joined(2, 1)).await.unwrap_err();
    assert!(
        matches!(refused, Rejected::Refused(Refusal::Retired { .. })),
        "{refused}"
    );
}

#[tokio::test]
async fn a_stream_that_its_own_agent_replaced_is_told_by_the_loss_of_its_sender() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&store(folder.path()).await).await.unwrap();
    let mut old = engine.join(joined(1, 1)).await.unwrap();
    old.wait_for(Option::is_some).await.unwrap();
    let _new = engine.join(joined(2, 1)).await.unwrap();
    while old.changed().await.is_ok() {}
    assert_eq!(engine.published().observed.open(), 1);
}

#[tokio::test]
async fn a_watcher_sees_every_entry_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(&store(folder.path()).await).await.unwrap();
    let mut entries = engine.follow();
    let all = (1..=100).map(|n| engine.join(joined(n, n)));
    futures::future::join_all(all).await;
    for sequence in 2..=101 {
        assert_eq!(entries.recv().await.unwrap().sequence, sequence);
    }
}

#[tokio::test]
async fn a_second_hub_on_the_same_store_is_fenced_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let (one, two) = (engine(&store).await.unwrap(), engine(&store).await.unwrap());
    one.join(joined(1, 1)).await.unwrap();
    let refused = two.join(joined(2, 2)).await.unwrap_err();
    assert!(
        refused.to_string().contains("another hub writes"),
        "{refused}"
    );
    assert!(two.published().trouble.contains("another hub"));
    let left = two
        .put(Input::Left {
            stream: StreamId(9),
        })
        .await;
    assert_eq!(
        left.unwrap().entries.len(),
        0,
        "what needs no entry goes on"
    );
}

#[tokio::test]
async fn a_byte_that_changes_in_the_file_is_found_though_the_hub_was_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("hub.db");
    let killed = store(folder.path()).await;
    let running = engine(&killed).await.unwrap();
    running.join(joined(1, 1)).await.unwrap();
    let mut bytes = std::fs::read(&file).unwrap();
    let at = bytes.windows(6).position(|six| six == b"host-1").unwrap();
    bytes[at] = b'H';
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("hub.db"), bytes).unwrap();
    let refused = engine(&store(copy.path()).await).await.unwrap_err();
    let EngineError::Corrupt { fault, .. } = refused else {
        panic!("{refused}")
    };
    assert_eq!(fault.sequence, 2);
}
