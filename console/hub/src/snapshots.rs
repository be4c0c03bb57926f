//! Snapshots of the state: when one is due, and whether one can be begun with.
//!
//! They are made of the published state, beside the engine, which never waits for them. A start
//! takes the last one if it is intact, of this release's making, and of this journal; else it
//! says why in the log, and replays the journal from its first entry. What a start with a
//! snapshot does not walk is walked afterwards, and a break is made known as trouble.

use std::sync::Arc;

use binnacle_core::snapshot;
use binnacle_core::state::State;
use tokio::sync::broadcast::error::RecvError;

use crate::engine::{Engine, chain};
use crate::store::{SharedStore, Snapshot};

/// Entries behind a snapshot before another is due: a replay of some tens of milliseconds.
const TAIL: u64 = 4_096;
/// Or this part of the journal, if that is more: what all snapshots cost is then, however long
/// the journal, some kilobytes an entry.
const PART_OF_JOURNAL: u64 = 32;

/// Keeps snapshots until the engine ends.
pub(crate) async fn keep(engine: Engine, store: SharedStore) {
    let mut entries = engine.follow();
    // The engine's own handle would keep it from ending.
    let published = engine.publication();
    drop(engine);
    let kept = store.snapshot().await.ok().flatten();
    let mut last = kept.map_or(0, |snapshot| snapshot.sequence);
    loop {
        let state = published.load().state.clone();
        if state.sequence.saturating_sub(last) >= due(state.sequence) {
            last = state.sequence;
            if let Err(why) = save(&store, state).await {
                // The next one is tried when it is due: the journal has it all.
                tracing::warn!(why, "no snapshot of the state was kept");
            }
        }
        match entries.recv().await {
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

fn due(sequence: u64) -> u64 {
    TAIL.max(sequence / PART_OF_JOURNAL)
}

async fn save(store: &SharedStore, state: State) -> Result<(), String> {
    let made = tokio::task::spawn_blocking(move || {
        let head = (state.sequence, state.hash);
        Snapshot::new(head, snapshot::format(), snapshot::write(&state))
    });
    let made = made.await.map_err(|error| error.to_string())?;
    let (sequence, bytes) = (made.sequence, made.bytes.len());
    let saved = store.save_snapshot(Arc::new(made)).await;
    saved.map_err(|error| chain(&error))?;
    tracing::info!(sequence, bytes, "a snapshot of the state was kept");
    Ok(())
}

/// The state as of the last snapshot, if there is one to begin with.
pub(crate) async fn load(store: &SharedStore) -> Option<State> {
    let loaded = match store.snapshot().await {
        Ok(None) => return None,
        Ok(Some(snapshot)) => begin_with(store, snapshot).await,
        Err(error) => Err(chain(&error)),
    };
    match loaded {
        Ok(state) => Some(state),
        Err(why) => {
            tracing::warn!(why, "the snapshot is left aside, and the journal replayed");
            None
        }
    }
}

async fn begin_with(store: &SharedStore, kept: Snapshot) -> Result<State, String> {
    if kept.format != snapshot::format() {
        return Err("another release made it".into());
    }
    let (sequence, hash) = (kept.sequence, kept.hash);
    let read = tokio::task::spawn_blocking(move || match kept.is_intact() {
        true => snapshot::read(&kept.bytes).map_err(|error| error.to_string()),
        false => Err("its bytes are not those that were written".into()),
    });
    let state = read.await.map_err(|error| error.to_string())??;
    let stored = store.entries_at(vec![sequence]).await;
    let stored = stored.map_err(|error| chain(&error))?;
    let is_there = stored.first().is_some_and(|stored| stored.hash == hash);
    if !is_there || (state.sequence, state.hash) != (sequence, hash) {
        return Err(format!("entry {sequence} of the journal is another one"));
    }
    Ok(state)
}

#[cfg(test)]
mod tests {
    use binnacle_core::caller::Caller;
    use binnacle_core::name::Name;
    use binnacle_core::registry::{Card, Command};
    use binnacle_core::state::{Condition, Input, Request};

    use super::*;
    use crate::clock::Clock;
    use crate::store::{StoreUrl, open};

    fn create(number: u64) -> Input {
        let name = Name::parse(&format!("m-{number}")).unwrap();
        let command = Command::CreateModel(name, Card::default());
        Input::Asked {
            caller: Caller::Hub,
            why: String::new(),
            request: Request::Registry(Box::new(command)),
            condition: Condition::default(),
        }
    }

    #[tokio::test]
    async fn a_snapshot_is_kept_when_the_journal_has_grown_and_the_next_start_begins_with_it() {
        let store = open(&StoreUrl::Memory).await.unwrap();
        let (clock, _hand) = Clock::manual(0);
        let engine = Engine::start(store.clone(), clock, "s".into())
            .await
            .unwrap();
        let keeping = tokio::spawn(keep(engine.clone(), store.clone()));
        let all = (0..TAIL + 100).map(|number| engine.put(create(number)));
        for done in futures::future::join_all(all).await {
            done.unwrap();
        }
        let state = engine.published().state.clone();
        drop(engine);
        keeping.await.unwrap();
        let kept = store.snapshot().await.unwrap().unwrap();
        assert!((TAIL..=state.sequence).contains(&kept.sequence), "{kept:?}");
        let begun = load(&store).await.unwrap();
        assert_eq!(begun.sequence, kept.sequence);
    }
}
