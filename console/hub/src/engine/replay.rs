//! The journal, walked: to begin with, and to see whether it holds.

use binnacle_core::journal::{Entry, Fault, Hash, Walk};
use binnacle_core::state::State;
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::{EngineError, chain};
use crate::snapshots;
use crate::store::{SharedStore, StoreError};

/// Entries read at once while the journal is walked.
const PAGE: u32 = 4_096;

/// The state: out of the last snapshot and what was written since, or of the whole journal. Also
/// the entry that it was begun with, 0 for the first.
pub(super) async fn begin(store: &SharedStore) -> Result<(State, u64), EngineError> {
    let mut state = snapshots::load(store).await.unwrap_or_default();
    let begun_with = state.sequence;
    let noted = store.meta_head().await?;
    let mut walk = Walk::behind((state.sequence, state.hash), noted);
    let fault = go_on(store, &mut walk, |(entry, hash)| state.apply(&entry, hash)).await?;
    match fault {
        Some(fault) => Err(EngineError::Corrupt {
            store: store.url(),
            fault,
        }),
        None => Ok((state, begun_with)),
    }
}

/// Walks what a start with a snapshot did not, beside everything else.
pub(super) fn audit(store: SharedStore) -> Audit {
    let walked = tokio::spawn(async move { walk(&store, |_| ()).await });
    async move {
        match walked.await {
            Ok(Ok((_, fault))) => fault,
            Ok(Err(error)) => {
                tracing::warn!(
                    error = chain(&error),
                    "the journal was not walked to its end"
                );
                None
            }
            // The hub is ending.
            Err(_) => None,
        }
    }
    .boxed()
}

/// Walks a journal from its first entry, hands each that holds to `each`, and says how far it
/// holds and where it breaks.
pub async fn walk(
    store: &SharedStore,
    each: impl FnMut((Entry, Hash)) + Send,
) -> Result<(Walk, Option<Fault>), StoreError> {
    let mut walk = Walk::past(store.meta_head().await?);
    let fault = go_on(store, &mut walk, each).await?;
    Ok((walk, fault))
}

async fn go_on(
    store: &SharedStore,
    walk: &mut Walk,
    mut each: impl FnMut((Entry, Hash)) + Send,
) -> Result<Option<Fault>, StoreError> {
    loop {
        let page = store.entries(walk.sequence, PAGE).await?;
        for stored in &page {
            match walk.step(stored) {
                Ok(entry) => each((entry, stored.hash)),
                Err(fault) => return Ok(Some(fault)),
            }
        }
        if page.len() < PAGE as usize {
            break;
        }
    }
    Ok(walk.finish().err())
}

/// Where the journal breaks, if it does.
pub(super) type Audit = BoxFuture<'static, Option<Fault>>;
