//! Replays: a host is asked to put recent inputs through a version, and says how the answers
//! differ. Its inputs stay with it.
//!
//! Promises: a host that does not answer holds nobody up for longer than [`WITHIN`]; what is
//! waited for is forgotten with whoever waits.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use binnacle_core::endpoint::EndpointName;
use binnacle_core::observed::StreamId;
use binnacle_core::registry::Reference;
use binnacle_core::view::ProofItem;
use binnacle_proto::v1 as proto;
use binnacle_wire::proof;
use tokio::sync::mpsc;

/// How long hosts have to answer: inputs are replayed two at a time.
const WITHIN: Duration = Duration::from_secs(20);
/// Questions that may wait at one host.
const QUEUE: usize = 4;

/// The ways to the hosts that are connected, and the answers that are waited for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proofs {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    next: AtomicU64,
    streams: Mutex<HashMap<StreamId, mpsc::Sender<proto::HubMessage>>>,
    waiting: Mutex<HashMap<u64, mpsc::Sender<proto::Proved>>>,
}

/// The questions to one host; dropped, it is asked no more.
#[derive(Debug)]
pub(crate) struct Questions {
    stream: StreamId,
    asked: mpsc::Receiver<proto::HubMessage>,
    shared: Arc<Shared>,
}

/// An answer that is waited for; dropped, it is not any more.
struct Waiting<'a> {
    id: u64,
    shared: &'a Shared,
}

impl Proofs {
    /// The questions to a host, on its stream.
    pub(crate) fn questions(&self, stream: StreamId) -> Questions {
        let (ask, asked) = mpsc::channel(QUEUE);
        lock(&self.shared.streams).insert(stream, ask);
        Questions {
            stream,
            asked,
            shared: self.shared.clone(),
        }
    }

    /// Takes in what a host says; answers that nobody waits for are none.
    pub(crate) fn take(&self, proved: proto::Proved) {
        let waiting = proof::id(&proved).and_then(|id| {
            let waiting = lock(&self.shared.waiting);
            waiting.get(&id).cloned()
        });
        if let Some(waiting) = waiting {
            // Room was made for one answer of each host that was asked.
            let _forgotten = waiting.try_send(proved);
        }
    }

    /// Has hosts replay inputs through a version, at most `most` each.
    pub(crate) async fn ask(
        &self,
        hosts: &[StreamId],
        endpoint: &EndpointName,
        version: &Reference,
        most: u32,
    ) -> ProofItem {
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (told, mut answers) = mpsc::channel(hosts.len().max(1));
        lock(&self.shared.waiting).insert(id, told);
        let _waiting = Waiting {
            id,
            shared: &self.shared,
        };
        let mut item = ProofItem {
            endpoint: endpoint.to_string().into(),
            version: version.to_string().into(),
            ..ProofItem::default()
        };
        for host in hosts {
            let way = lock(&self.shared.streams).get(host).cloned();
            let message = proof::to_proto(id, endpoint, version, most);
            if way.is_some_and(|way| way.try_send(message).is_ok()) {
                item.hosts += 1;
            }
        }
        let all = async {
            for _host in 0..item.hosts {
                match answers.recv().await {
                    Some(proved) => proof::add(&mut item, proved),
                    None => return,
                }
            }
        };
        if tokio::time::timeout(WITHIN, all).await.is_err() {
            item.reasons.push("not every host answered in time".into());
        }
        item
    }
}

impl Questions {
    /// The next one.
    pub(crate) async fn next(&mut self) -> Option<proto::HubMessage> {
        self.asked.recv().await
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        lock(&self.shared.streams).remove(&self.stream);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.shared.waiting).remove(&self.id);
    }
}

/// What is held in it holds also after a panic elsewhere: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
