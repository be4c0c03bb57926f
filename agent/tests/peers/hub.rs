//! A hub for agents: the real protocol over a real socket, with a disk that outlives it and
//! a memory that does not. It keeps what the contract asks of a hub and counts requests.
#![allow(dead_code)] // each test file uses its part

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use sha2::{Digest, Sha256};
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use binnacle_proto::v1 as proto;
use binnacle_proto::v1::agents_server::{Agents, AgentsServer};
use binnacle_proto::v1::artifacts_server::{Artifacts, ArtifactsServer};
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
    /// The last observation, and how many came.
    pub(crate) observation: proto::Observation,
    pub(crate) observations: u64,
    /// Blobs by their SHA-256, and how much of each is sent before the line breaks.
    pub(crate) blobs: BTreeMap<Vec<u8>, (Vec<u8>, usize)>,
    /// Offsets that downloads began at.
    pub(crate) downloads: Vec<u64>,
    /// What every stream that stands is told.
    say: Option<tokio::sync::watch::Sender<Option<proto::HubMessage>>>,
    pub(crate) proved: Vec<proto::Proved>,
    pub(crate) shadows: Vec<proto::ShadowWindow>,
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
        self.shadows.extend(report.shadows.iter().cloned());
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
        let (say, _) = tokio::sync::watch::channel(None);
        self.known().say = Some(say);
        runtime.spawn(
            tonic::transport::Server::builder()
                .add_service(ArtifactsServer::new(Blobs {
                    known: self.known.clone(),
                }))
                .add_service(AgentsServer::new(peer))
                .serve_with_incoming(UnixListenerStream::new(listener)),
        );
        self.runtime = Some(runtime);
    }

    /// As SIGKILL does: what was in memory is gone, every connection is cut.
    /// Assigns, now and to every stream that comes.
    pub(crate) fn assign(&self, assignment: proto::Assignment) {
        self.known().assignment = Some(assignment.clone());
        self.say(hub_message::Body::Assignment(assignment));
    }

    /// Says something on the streams that stand.
    pub(crate) fn say(&self, body: hub_message::Body) {
        if let Some(say) = &self.known().say {
            say.send_replace(Some(proto::HubMessage { body: Some(body) }));
        }
    }

    /// Keeps a blob; its SHA-256.
    pub(crate) fn keep(&self, bytes: &[u8]) -> Vec<u8> {
        let digest = Sha256::digest(bytes).to_vec();
        let kept = (bytes.to_vec(), usize::MAX);
        self.known().blobs.insert(digest.clone(), kept);
        digest
    }

    pub(crate) fn observation(&self) -> proto::Observation {
        self.known().observation.clone()
    }

    /// How a version is, as it was last observed.
    pub(crate) fn version(&self, version: &str) -> proto::VersionState {
        let observed = self.observation().versions.into_iter();
        let mut of = observed.filter(|state| state.version == version);
        of.next().unwrap_or_default()
    }

    /// Which revision of an endpoint is live.
    pub(crate) fn revision(&self, endpoint: &str) -> u64 {
        let routes = self.observation().routes.into_iter();
        let mut of = routes.filter(|route| route.endpoint == endpoint);
        of.next().map_or(0, |route| route.revision)
    }

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

struct Blobs {
    known: Arc<Mutex<Known>>,
}

/// Bytes of one part of a download.
const PART: usize = 1_000;

type Parts = Pin<Box<dyn Stream<Item = Result<proto::DownloadPart, Status>> + Send>>;
type Verified = Pin<Box<dyn Stream<Item = Result<proto::VerifiedBlob, Status>> + Send>>;

#[tonic::async_trait]
impl Artifacts for Blobs {
    async fn stat(
        &self,
        _: Request<proto::StatBlobRequest>,
    ) -> Result<Response<proto::StatBlobResponse>, Status> {
        Err(Status::unimplemented("no agent asks"))
    }

    async fn upload(
        &self,
        _: Request<Streaming<proto::UploadPart>>,
    ) -> Result<Response<proto::UploadResponse>, Status> {
        Err(Status::unimplemented("no agent asks"))
    }

    type DownloadStream = Parts;

    async fn download(
        &self,
        request: Request<proto::DownloadRequest>,
    ) -> Result<Response<Parts>, Status> {
        let asked = request.into_inner();
        let mut known = self.known.lock().unwrap();
        known.downloads.push(asked.offset);
        let blob = known.blobs.get_mut(&asked.sha256[..]);
        let Some((bytes, breaks_at)) = blob else {
            return Err(Status::not_found("there is no such blob"));
        };
        let all = bytes.len();
        // It breaks once, and is whole then.
        let until = std::mem::replace(breaks_at, usize::MAX).min(all);
        let first = proto::DownloadPart {
            bytes: all as u64,
            ..proto::DownloadPart::default()
        };
        let rest = bytes[asked.offset as usize..until.max(asked.offset as usize)].chunks(PART);
        let rest = rest.map(|data| proto::DownloadPart {
            bytes: 0,
            data: data.to_vec().into(),
        });
        let mut parts: Vec<_> = std::iter::once(first).chain(rest).map(Ok).collect();
        if until < all {
            parts.push(Err(Status::unavailable("the line broke")));
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(parts))))
    }

    type VerifyStream = Verified;

    async fn verify(
        &self,
        _: Request<proto::VerifyBlobsRequest>,
    ) -> Result<Response<Verified>, Status> {
        Err(Status::unimplemented("no agent asks"))
    }

    async fn collect(
        &self,
        _: Request<proto::CollectRequest>,
    ) -> Result<Response<proto::CollectResponse>, Status> {
        Err(Status::unimplemented("no agent asks"))
    }
}

/// Passes on what all streams are told.
async fn push(
    mut pushed: tokio::sync::watch::Receiver<Option<proto::HubMessage>>,
    said: mpsc::Sender<Said>,
) {
    while pushed.changed().await.is_ok() {
        let message = pushed.borrow_and_update().clone();
        if let Some(message) = message
            && said.send(Ok(message)).await.is_err()
        {
            return;
        }
    }
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
        let pushed = known.lock().unwrap().say.as_ref().unwrap().subscribe();
        tokio::spawn(push(pushed, said.clone()));
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
                        let mut known = known.lock().unwrap();
                        known.observed = Some(observation.generation);
                        known.observation = observation;
                        known.observations += 1;
                        [None, None]
                    }
                    Some(agent_message::Body::Proved(proved)) => {
                        known.lock().unwrap().proved.push(proved);
                        [None, None]
                    }
                    None => [None, None],
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
