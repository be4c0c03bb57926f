//! A hub for agents: the real protocol over a real socket, with a disk that outlives it and
//! a memory that does not. It keeps what the contract asks of a hub and counts requests.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use binnacle_proto::v1 as proto;
use binnacle_proto::v1::agents_server::{Agents, AgentsServer};
use binnacle_proto::v1::{agent_message, hub_message};
use binnacle_sketch::Encoded;

/// Requests by model, version and outcome.
pub(crate) type Counts = BTreeMap<(String, String, i32), u64>;

/// What the hub knows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// What a kill leaves.
    pub(crate) disk: Counts,
    durable: BTreeMap<Vec<u8>, u64>,
    /// What a kill takes.
    memory: Counts,
    received: BTreeMap<Vec<u8>, u64>,
    pub(crate) hellos: Vec<proto::Hello>,
    pub(crate) reports: u64,
    pub(crate) duplicates: u64,
    pub(crate) last: Option<proto::Report>,
    pub(crate) observed: Option<u64>,
    /// Sent right behind the welcome.
    pub(crate) assignment: Option<proto::Assignment>,
    /// Instead of a welcome.
    pub(crate) refusal: Option<Status>,
    /// The protocol that is chosen, if not the newest.
    pub(crate) protocol: Option<u32>,
    /// Whether each report is put on disk at once.
    pub(crate) hasty: bool,
}

impl Known {
    pub(crate) fn flush(&mut self) {
        for (series, requests) in std::mem::take(&mut self.memory) {
            *self.disk.entry(series).or_default() += requests;
        }
        self.durable = self.received.clone();
    }

    /// Requests in memory and on disk.
    pub(crate) fn counted(&self) -> u64 {
        self.disk.values().chain(self.memory.values()).sum()
    }

    fn take(&mut self, report: &proto::Report) -> proto::Ack {
        self.reports += 1;
        let boot = report.boot_id.to_vec();
        let received = self.received.entry(boot.clone()).or_default();
        if report.first_sequence > *received {
            *received = report.last_sequence;
            for window in &report.series {
                let series = window.series.clone().unwrap();
                let latency = window.latency.clone().unwrap();
                let encoded = Encoded {
                    counts: latency.counts.to_vec(),
                    sum_ns: latency.sum_ns,
                    min_ns: latency.min_ns,
                    max_ns: latency.max_ns,
                };
                let key = (series.model, series.version, series.outcome);
                *self.memory.entry(key).or_default() += encoded.count().unwrap();
            }
        } else {
            assert!(
                report.last_sequence <= *received,
                "ranges overlap: {report:?}"
            );
            self.duplicates += 1;
        }
        self.last = Some(report.clone());
        if self.hasty {
            self.flush();
        }
        proto::Ack {
            received: self.received.get(&boot).copied().unwrap_or(0),
            durable: self.durable.get(&boot).copied().unwrap_or(0),
            boot_id: boot.into(),
        }
    }

    fn welcome(&mut self, hello: &proto::Hello) -> Result<proto::Welcome, Status> {
        self.hellos.push(hello.clone());
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let boots = hello.spooled_boots.iter().chain([&hello.boot_id]);
        let watermarks = boots.filter_map(|boot| {
            let durable = *self.durable.get(&boot[..])?;
            Some(proto::Watermark {
                boot_id: boot.clone(),
                durable,
            })
        });
        Ok(proto::Welcome {
            protocol: self.protocol.unwrap_or(hello.protocol_max),
            watermarks: watermarks.collect(),
            hub_version: "test".into(),
            ..proto::Welcome::default()
        })
    }
}

/// A hub process: its runtime is its own, so that a kill takes every connection with it.
pub(crate) struct Hub {
    path: PathBuf,
    pub(crate) known: Arc<Mutex<Known>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Hub {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            path: folder.join("hub.sock"),
            known: Arc::default(),
            runtime: None,
        }
    }

    pub(crate) fn start(folder: &Path) -> Self {
        let mut hub = Self::new(folder);
        hub.start_again();
        hub
    }

    pub(crate) fn addr(&self) -> String {
        format!("unix:{}", self.path.display())
    }

    pub(crate) fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap()
    }

    pub(crate) fn start_again(&mut self) {
        let _ = std::fs::remove_file(&self.path);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(&self.path).unwrap()
        };
        let peer = Peer {
            known: self.known.clone(),
        };
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(AgentsServer::new(peer))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        self.runtime = Some(runtime);
    }

    /// As SIGKILL does: what was in memory is gone, every connection is cut.
    pub(crate) fn kill(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        let mut known = self.known.lock().unwrap();
        runtime.shutdown_background();
        known.memory.clear();
        known.received = known.durable.clone();
    }
}

struct Peer {
    known: Arc<Mutex<Known>>,
}

type Said = Result<proto::HubMessage, Status>;

#[tonic::async_trait]
impl Agents for Peer {
    type ConnectStream = Pin<Box<dyn Stream<Item = Said> + Send>>;

    async fn connect(
        &self,
        request: Request<Streaming<proto::AgentMessage>>,
    ) -> Result<Response<Self::ConnectStream>, Status> {
        let mut heard = request.into_inner();
        let (said, saying) = mpsc::channel::<Said>(16);
        let known = self.known.clone();
        tokio::spawn(async move {
            let say = |body| Ok(proto::HubMessage { body: Some(body) });
            while let Some(Ok(message)) = heard.next().await {
                let answers = match message.body {
                    Some(agent_message::Body::Hello(hello)) => {
                        let mut known = known.lock().unwrap();
                        match known.welcome(&hello) {
                            Ok(welcome) => {
                                let welcome = hub_message::Body::Welcome(welcome);
                                let assigned = known.assignment.clone();
                                let assigned = assigned.map(hub_message::Body::Assignment);
                                [Some(say(welcome)), assigned.map(say)]
                            }
                            Err(refusal) => [Some(Err(refusal)), None],
                        }
                    }
                    Some(agent_message::Body::Report(report)) => {
                        let ack = known.lock().unwrap().take(&report);
                        [Some(say(hub_message::Body::Ack(ack))), None]
                    }
                    Some(agent_message::Body::Observation(observation)) => {
                        known.lock().unwrap().observed = Some(observation.generation);
                        [None, None]
                    }
                    Some(agent_message::Body::Proved(_)) | None => [None, None],
                };
                for answer in answers.into_iter().flatten() {
                    if said.send(answer).await.is_err() {
                        return;
                    }
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(saying))))
    }
}
