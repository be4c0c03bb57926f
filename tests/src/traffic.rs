//! Real inference requests, in lanes: each lane one connection, one request at a time, at a
//! steady pace, and every request's end written down.
//!
//! A lane whose connection is closed dials again; a request that could not even be sent is not
//! counted as sent. What an application would see as a failure is kept with its words.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use open_inference::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use open_inference::proto::{ModelInferRequest, model_infer_request::InferInputTensor};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use crate::models::Model;

/// Failures whose words are kept: one is enough to fail a test, a few to see a pattern.
const FAILURES_KEPT: usize = 10;
/// A lane that cannot connect tries again after this.
const REDIAL: Duration = Duration::from_millis(20);
/// No request takes as long; one that does has hung, and is a failure.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// How a lane speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// JSON over HTTP/1.1, keep-alive.
    Http,
    /// gRPC, raw tensors.
    Grpc,
}

/// One connection's worth of requests.
#[derive(Clone, Debug)]
pub struct Lane {
    /// How it speaks.
    pub protocol: Protocol,
    /// The agent (or server) that it speaks to.
    pub to: SocketAddr,
    /// The model, with the rows that are sent to it.
    pub model: Arc<Model>,
    /// The version that it names; empty to name none.
    pub version: String,
    /// Between the beginnings of two requests, if the answers come soon enough.
    pub every: Duration,
}

/// What became of the requests.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Requests answered well, by model, version and protocol.
    pub answered: BTreeMap<(String, String, Protocol), u64>,
    /// Requests that were answered, and not well.
    pub failed: u64,
    /// Requests whose connection closed before a byte of an answer came: what an application
    /// dials again for. A server that is asked to end may close an idle connection at the very
    /// moment that a request is written to it.
    pub unanswered: u64,
    /// The words of the first few of both.
    pub failures: Vec<String>,
    /// Latencies of the answered ones as the application saw them, in nanoseconds.
    pub latencies_ns: Vec<u64>,
}

impl Tally {
    /// Requests that were sent and answered, well or not.
    pub fn sent(&self) -> u64 {
        self.answered.values().sum::<u64>() + self.failed
    }

    /// Every request was answered, and well.
    #[track_caller]
    pub fn assert_clean(&self) {
        let bad = (self.failed, self.unanswered);
        assert_eq!(bad, (0, 0), "{:?}", self.failures);
    }

    /// Answered requests of one model and version, over both protocols.
    pub fn answered_by(&self, model: &str, version: &str) -> u64 {
        let of = self
            .answered
            .iter()
            .filter(|((m, v, _), _)| m == model && v == version);
        of.map(|(_, count)| count).sum()
    }

    fn keep(&mut self, lane: &Lane, why: &str) {
        if self.failures.len() < FAILURES_KEPT {
            self.failures
                .push(format!("{:?} to {}: {why}", lane.protocol, lane.to));
        }
    }

    fn add(&mut self, other: Self) {
        for (key, count) in other.answered {
            *self.answered.entry(key).or_default() += count;
        }
        self.failed += other.failed;
        self.unanswered += other.unanswered;
        self.failures.extend(other.failures);
        self.failures.truncate(FAILURES_KEPT);
        self.latencies_ns.extend(other.latencies_ns);
    }
}

/// Lanes under way.
pub struct Traffic {
    runtime: tokio::runtime::Runtime,
    stop: watch::Sender<bool>,
    sent: Arc<AtomicU64>,
    lanes: Vec<JoinHandle<Tally>>,
}

impl Traffic {
    /// Starts every lane.
    pub fn start(lanes: &[Lane]) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (stop, stopped) = watch::channel(false);
        let sent = Arc::new(AtomicU64::new(0));
        let lanes = lanes
            .iter()
            .map(|lane| runtime.spawn(drive(lane.clone(), stopped.clone(), Arc::clone(&sent))))
            .collect();
        Self {
            runtime,
            stop,
            sent,
            lanes,
        }
    }

    /// Requests that came to an end so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Lets every lane finish the request that it is at, and adds up.
    pub fn stop(self) -> Tally {
        let _ = self.stop.send(true);
        let mut tally = Tally::default();
        for lane in self.lanes {
            tally.add(self.runtime.block_on(lane).unwrap());
        }
        self.runtime.shutdown_background();
        tally
    }
}

/// A lane's connection.
enum Line {
    Http(SendRequest<Full<Bytes>>),
    Grpc(GrpcInferenceServiceClient<Channel>),
}

async fn drive(lane: Lane, mut stopped: watch::Receiver<bool>, sent: Arc<AtomicU64>) -> Tally {
    let mut tally = Tally::default();
    let key = (lane.model.name.clone(), lane.version.clone(), lane.protocol);
    let mut pace = tokio::time::interval(lane.every);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut line: Option<Line> = None;
    let mut row = 0;
    loop {
        tokio::select! {
            _ = stopped.changed() => return tally,
            _ = pace.tick() => {}
        }
        let mut open = match line.take() {
            Some(open) => open,
            None => match dial(&lane).await {
                Ok(open) => open,
                Err(_) => {
                    tokio::time::sleep(REDIAL).await;
                    continue;
                }
            },
        };
        let started = Instant::now();
        let ended = tokio::time::timeout(ANSWER_LIMIT, ask(&lane, &mut open, row)).await;
        row += 1;
        match ended.unwrap_or_else(|_| Ended::Failed(format!("no answer in {ANSWER_LIMIT:?}"))) {
            Ended::Answered => {
                let took = started.elapsed().as_nanos();
                tally
                    .latencies_ns
                    .push(u64::try_from(took).unwrap_or(u64::MAX));
                *tally.answered.entry(key.clone()).or_default() += 1;
                line = Some(open);
            }
            Ended::Unsent => continue,
            Ended::Unanswered(why) => {
                tally.unanswered += 1;
                tally.keep(&lane, &why);
                continue;
            }
            Ended::Failed(why) => {
                tally.failed += 1;
                tally.keep(&lane, &why);
            }
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

async fn dial(lane: &Lane) -> Result<Line, String> {
    match lane.protocol {
        Protocol::Http => {
            let stream = TcpStream::connect(lane.to)
                .await
                .map_err(|error| error.to_string())?;
            stream
                .set_nodelay(true)
                .map_err(|error| error.to_string())?;
            let (send, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
                .await
                .map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            Ok(Line::Http(send))
        }
        Protocol::Grpc => {
            let endpoint = Endpoint::from_shared(format!("http://{}", lane.to)).unwrap();
            let channel = endpoint
                .connect()
                .await
                .map_err(|error| error.to_string())?;
            Ok(Line::Grpc(GrpcInferenceServiceClient::new(channel)))
        }
    }
}

/// How one request ended.
enum Ended {
    Answered,
    /// The connection had gone before a byte of the request was written.
    Unsent,
    /// The connection went before a byte of the answer came.
    Unanswered(String),
    Failed(String),
}

async fn ask(lane: &Lane, line: &mut Line, row: usize) -> Ended {
    match line {
        Line::Http(send) => ask_http(lane, send, row).await,
        Line::Grpc(client) => ask_grpc(lane, client, row).await,
    }
}

async fn ask_http(lane: &Lane, send: &mut SendRequest<Full<Bytes>>, row: usize) -> Ended {
    if send.ready().await.is_err() {
        return Ended::Unsent;
    }
    let request = http::Request::post(lane.model.path(&lane.version))
        .header("host", "test")
        .header("content-type", "application/json")
        .body(Full::new(lane.model.json(row)))
        .unwrap();
    let response = match send.try_send_request(request).await {
        Ok(response) => response,
        Err(error) if error.message().is_some() => return Ended::Unsent,
        Err(error) => return Ended::Unanswered(error.error().to_string()),
    };
    let status = response.status();
    match response.into_body().collect().await {
        Ok(_) if status.is_success() => Ended::Answered,
        Ok(body) => {
            let body = body.to_bytes();
            Ended::Failed(format!("{status}: {}", String::from_utf8_lossy(&body)))
        }
        Err(error) => Ended::Failed(format!("{status}, then {error}")),
    }
}

async fn ask_grpc(
    lane: &Lane,
    client: &mut GrpcInferenceServiceClient<Channel>,
    row: usize,
) -> Ended {
    let request = ModelInferRequest {
        model_name: lane.model.name.clone(),
        model_version: lane.version.clone(),
        inputs: vec![InferInputTensor {
            name: lane.model.input.clone(),
            datatype: "FP32".to_owned(),
            shape: vec![1, i64::try_from(lane.model.columns()).unwrap_or(i64::MAX)],
            ..InferInputTensor::default()
        }],
        raw_input_contents: vec![lane.model.raw(row)],
        ..ModelInferRequest::default()
    };
    match client.model_infer(request).await {
        Ok(answer) if answer.get_ref().outputs.is_empty() => {
            Ended::Failed("an answer without outputs".to_owned())
        }
        Ok(_) => Ended::Answered,
        Err(status) if never_connected(&status) => Ended::Unsent,
        // A status that a server sent has no cause on this side.
        Err(status) if std::error::Error::source(&status).is_some() => {
            Ended::Unanswered(status.to_string())
        }
        Err(status) => Ended::Failed(status.to_string()),
    }
}

/// Whether the channel had no connection to send on: the request left no trace anywhere.
fn never_connected(status: &tonic::Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let refused = error.downcast_ref::<std::io::Error>();
        if refused.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused) {
            return true;
        }
        cause = error.source();
    }
    false
}
