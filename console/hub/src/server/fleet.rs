//! What consoles and scripts ask of the fleet: hosts, the journal, the hub itself.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use binnacle_core::journal::Stored;
use binnacle_core::name::Name;
use binnacle_core::state::{Condition, Input, Request as Ask};
use binnacle_proto::v1 as proto;
use binnacle_wire::{host, journal};
use tokio::sync::{broadcast, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use crate::engine::Published;
use crate::identity;
use crate::server::entries::Pages;
use crate::server::rejection::rejected;
use crate::server::{Hub, agent, rows};
use crate::store::StoreError;

/// Hosts in one page, if the caller does not say.
const HOSTS_PAGE: usize = 1_000;
/// Hosts in one page at most: a few megabytes.
const HOSTS_LIMIT: usize = 5_000;
/// Entries in one page, if the caller does not say, and at most.
const ENTRIES_PAGE: u32 = 1_000;
/// Entries read at once while a watcher catches up.
const CHUNK: u32 = 1_024;
/// Events that wait for a slow watcher; it is held, not dropped: the journal waits for it.
const OUTBOX: usize = 64;
/// How long a watcher may hear nothing.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The service that consoles ask.
#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) hub: Arc<Hub>,
}

type Events = Pin<Box<dyn futures::Stream<Item = Result<proto::WatchEvent, Status>> + Send>>;

#[tonic::async_trait]
impl proto::fleet_server::Fleet for Fleet {
    type WatchStream = Events;

    async fn watch(
        &self,
        request: Request<proto::WatchRequest>,
    ) -> Result<Response<Events>, Status> {
        let since = request.into_inner().since;
        let entries = self.hub.engine.follow();
        let head = self.hub.engine.published().state.sequence;
        if since.is_some_and(|since| since > head) {
            let what = format!("the journal ends at {head}: --since asks for what is to come");
            return Err(Status::out_of_range(what));
        }
        let (outbox, events) = mpsc::channel(OUTBOX);
        let watch = Watch {
            hub: self.hub.clone(),
            told: since.unwrap_or(head),
            outbox,
        };
        tokio::spawn(watch.run(entries));
        Ok(Response::new(Box::pin(ReceiverStream::new(events))))
    }

    async fn list_hosts(
        &self,
        request: Request<proto::ListHostsRequest>,
    ) -> Result<Response<proto::ListHostsResponse>, Status> {
        let asked = request.into_inner();
        let published = self.hub.engine.published();
        let names: Vec<Name> = if asked.name.is_empty() {
            let limit = match asked.limit {
                0 => HOSTS_PAGE,
                limit => (limit as usize).min(HOSTS_LIMIT),
            };
            let all = published.state.hosts.keys();
            all.filter(|name| name.as_str() > asked.after.as_str())
                .take(limit)
                .cloned()
                .collect()
        } else {
            let name = name(&asked.name)?;
            if !published.state.hosts.contains_key(&name) {
                let unknown = binnacle_core::state::Refusal::UnknownHost(name);
                return Err(rejected(unknown.into()));
            }
            vec![name]
        };
        let rows = rows::hosts(&self.hub, &published, &names).await?;
        Ok(Response::new(proto::ListHostsResponse {
            hosts: rows.iter().map(host::to_proto).collect(),
            as_of_us: self.hub.clock.now_us(),
            total: published.state.hosts.len() as u32,
        }))
    }

    async fn retire_host(
        &self,
        request: Request<proto::HostChange>,
    ) -> Result<Response<proto::Changed>, Status> {
        self.change(request, Ask::RetireHost).await
    }

    async fn readmit_host(
        &self,
        request: Request<proto::HostChange>,
    ) -> Result<Response<proto::Changed>, Status> {
        self.change(request, Ask::ReadmitHost).await
    }

    async fn drain_host(
        &self,
        request: Request<proto::HostChange>,
    ) -> Result<Response<proto::Changed>, Status> {
        let asked = request.get_ref();
        if !asked.anyway {
            super::drain::is_bearable(&self.hub, &asked.name).await?;
        }
        self.change(request, Ask::DrainHost).await
    }

    async fn resume_host(
        &self,
        request: Request<proto::HostChange>,
    ) -> Result<Response<proto::Changed>, Status> {
        self.change(request, Ask::ResumeHost).await
    }

    async fn list_entries(
        &self,
        request: Request<proto::ListEntriesRequest>,
    ) -> Result<Response<proto::ListEntriesResponse>, Status> {
        let asked = request.into_inner();
        let limit = match asked.limit {
            0 => ENTRIES_PAGE,
            limit => limit.min(ENTRIES_PAGE),
        };
        let about = match asked.host.is_empty() {
            true => None,
            false => Some(name(&asked.host)?),
        };
        let mut pages = Pages {
            store: self.hub.store.clone(),
            is_newest_first: asked.newest_first,
            at: if asked.newest_first {
                asked.before
            } else {
                asked.after
            },
        };
        let entries = match about {
            None => pages.next(limit).await,
            Some(host) => pages.about(&host, limit as usize).await,
        };
        let entries = entries.map_err(|error| unreadable(&error))?;
        Ok(Response::new(proto::ListEntriesResponse {
            entries: entries.into_iter().map(journal::to_proto).collect(),
            head: Some(head(&self.hub)),
        }))
    }

    async fn verify_journal(
        &self,
        _request: Request<proto::VerifyJournalRequest>,
    ) -> Result<Response<proto::VerifyJournalResponse>, Status> {
        let walked = crate::engine::walk(&self.hub.store, |_| {}).await;
        let (walk, fault) = walked.map_err(|error| unreadable(&error))?;
        Ok(Response::new(proto::VerifyJournalResponse {
            entries: walk.sequence,
            head: Some(journal::head_to(
                walk.sequence,
                &walk.hash,
                self.hub.clock.now_us(),
            )),
            fault: fault.map(|fault| proto::Fault {
                sequence: fault.sequence,
                what: fault.what.to_string(),
            }),
        }))
    }

    async fn status(
        &self,
        request: Request<proto::StatusRequest>,
    ) -> Result<Response<proto::StatusResponse>, Status> {
        let caller = identity::caller(&request);
        let published = self.hub.engine.published();
        let telemetry = self.hub.telemetry.status().await;
        let telemetry = telemetry.map_err(agent::unmeasured)?;
        let trouble: Vec<&str> = [&*published.trouble, &*telemetry.trouble]
            .into_iter()
            .filter(|trouble| !trouble.is_empty())
            .collect();
        let dropped = telemetry.dropped.iter();
        Ok(Response::new(proto::StatusResponse {
            hub_version: env!("CARGO_PKG_VERSION").into(),
            protocol_min: binnacle_proto::PROTOCOL_MIN,
            protocol_max: binnacle_proto::PROTOCOL_MAX,
            started_at_us: self.hub.started_us,
            as_of_us: self.hub.clock.now_us(),
            head: Some(head(&self.hub)),
            store: self.hub.store.url(),
            hosts_live: published.observed.live() as u32,
            hosts_known: published.state.hosts.len() as u32,
            dropped: dropped
                .map(|(what, count)| ((*what).to_owned(), *count))
                .collect::<BTreeMap<_, _>>(),
            telemetry_memory: telemetry.memory,
            telemetry_memory_limit: telemetry.memory_limit,
            durable_at_us: telemetry.durable_us,
            store_trouble: trouble.join("; "),
            caller: caller.to_string(),
        }))
    }
}

impl Fleet {
    async fn change(
        &self,
        request: Request<proto::HostChange>,
        ask: fn(Name) -> Ask,
    ) -> Result<Response<proto::Changed>, Status> {
        let caller = identity::caller(&request);
        let asked = request.into_inner();
        let request = ask(name(&asked.name)?);
        let input = Input::Asked {
            caller,
            why: asked.reason,
            request,
            condition: Condition::default(),
        };
        let written = self.hub.engine.put(input).await.map_err(rejected)?;
        Ok(Response::new(proto::Changed {
            sequence: written.sequence,
            changed: !written.entries.is_empty(),
        }))
    }
}

fn name(text: &str) -> Result<Name, Status> {
    Name::parse(text).map_err(|error| Status::invalid_argument(error.to_string()))
}

fn head(hub: &Hub) -> proto::Head {
    let Published { state, .. } = &*hub.engine.published();
    journal::head_to(state.sequence, &state.hash, hub.clock.now_us())
}

fn unreadable(error: &StoreError) -> Status {
    Status::unavailable(crate::engine::chain(error))
}

/// One watcher: told everything after `told`, in order, once.
struct Watch {
    hub: Arc<Hub>,
    told: u64,
    outbox: mpsc::Sender<Result<proto::WatchEvent, Status>>,
}

impl Watch {
    async fn run(mut self, entries: broadcast::Receiver<Arc<Stored>>) {
        if let Err(status) = self.tell(entries).await {
            // A watcher that is gone does not want to know.
            let _gone = self.outbox.send(Err(status)).await;
        }
    }

    async fn tell(&mut self, mut entries: broadcast::Receiver<Arc<Stored>>) -> Result<(), Status> {
        use proto::watch_event::Body;

        let hub = self.hub.clone();
        let mut stopped = std::pin::pin!(hub.stopped());
        self.say(Body::Started(head(&self.hub))).await?;
        self.catch_up().await?;
        let mut heartbeat = tokio::time::interval(HEARTBEAT);
        heartbeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        heartbeat.reset();
        loop {
            tokio::select! {
                entry = entries.recv() => match entry {
                    Ok(stored) if stored.sequence == self.told + 1 => {
                        self.told = stored.sequence;
                        let stored = Stored::clone(&stored);
                        self.say(Body::Entry(journal::to_proto(stored))).await?;
                    }
                    // Told while catching up.
                    Ok(stored) if stored.sequence <= self.told => {}
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => self.catch_up().await?,
                    Err(broadcast::error::RecvError::Closed) => {
                        return Err(Status::unavailable("the hub is stopping"));
                    }
                },
                _ = heartbeat.tick() => self.say(Body::Heartbeat(head(&self.hub))).await?,
                () = &mut stopped => {
                    return Err(Status::unavailable("the hub is stopping"));
                }
                () = self.outbox.closed() => return Ok(()),
            }
        }
    }

    async fn catch_up(&mut self) -> Result<(), Status> {
        let head = self.hub.engine.published().state.sequence;
        while self.told < head {
            let page = self.hub.store.entries(self.told, CHUNK).await;
            let page = page.map_err(|error| unreadable(&error))?;
            if page.is_empty() {
                break;
            }
            for stored in page {
                self.told = stored.sequence;
                let entry = journal::to_proto(stored);
                self.say(proto::watch_event::Body::Entry(entry)).await?;
            }
        }
        Ok(())
    }

    async fn say(&self, body: proto::watch_event::Body) -> Result<(), Status> {
        let event = proto::WatchEvent { body: Some(body) };
        let gone = |_| Status::cancelled("the watcher has left");
        self.outbox.send(Ok(event)).await.map_err(gone)
    }
}
