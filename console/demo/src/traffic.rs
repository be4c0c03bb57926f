//! Live traffic: real rows to every host, over HTTP and gRPC, at a bounded rate.
//!
//! Each host has one connection of each protocol, kept open. A request counts as sent when its
//! end was seen, well or badly: at the end every sender finishes the one it is at, so that none
//! is in doubt.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use open_inference::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tonic::transport::{Channel, Endpoint};

use crate::DemoError;
use crate::clock::Stopwatch;
use crate::models::Question;

/// Where an agent says which version answered, in HTTP headers and gRPC metadata.
const VERSION: &str = "x-binnacle-version";
/// Three digits are enough for what is shown.
const DIGITS: u8 = 3;
/// Longest latency that is told apart, in microseconds: a minute.
const LATENCY_MAX_US: u64 = 60_000_000;
/// Longest wait for one answer: then it counts as an error.
const ANSWER_MAX: Duration = Duration::from_secs(30);

/// Traffic that is being sent.
#[derive(Debug)]
pub(crate) struct Traffic {
    senders: JoinSet<Sent>,
    shared: Arc<Shared>,
}

/// What was sent.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    /// Over HTTP.
    pub(crate) http: u64,
    /// Over gRPC.
    pub(crate) grpc: u64,
    /// Of both, those that failed.
    pub(crate) errors: u64,
    /// By the version that answered, as the answer says; empty where none came.
    pub(crate) versions: BTreeMap<String, u64>,
    /// Microseconds from the request's first byte to the answer's last.
    pub(crate) latency_us: Histogram<u64>,
}

#[derive(Debug, Default)]
struct Shared {
    sent: AtomicU64,
    errors: AtomicU64,
    stopping: AtomicBool,
    /// Something changed upstream: rows are sent as they are from then on.
    moved: AtomicBool,
}

enum Connection {
    Http {
        address: SocketAddr,
        sender: http1::SendRequest<Full<Bytes>>,
    },
    Grpc(Box<GrpcInferenceServiceClient<Channel>>),
}

/// How a request ended.
struct Ended {
    is_well: bool,
    /// The version that answered; empty where nobody said.
    version: String,
}

impl Ended {
    fn badly() -> Self {
        Self {
            is_well: false,
            version: String::new(),
        }
    }
}

impl Sent {
    fn none() -> Self {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_MAX_US, DIGITS)
            .expect("the bounds and digits are within what a histogram takes");
        Self {
            http: 0,
            grpc: 0,
            errors: 0,
            versions: BTreeMap::new(),
            latency_us,
        }
    }

    /// All requests whose end was seen.
    pub(crate) fn total(&self) -> u64 {
        self.http + self.grpc
    }

    /// Most versions have answered before: only a new one is written down.
    fn came_from(&mut self, version: &str, count: u64) {
        match self.versions.get_mut(version) {
            Some(counted) => *counted += count,
            None => {
                self.versions.insert(version.to_owned(), count);
            }
        }
    }

    fn add(&mut self, other: &Self) {
        self.http += other.http;
        self.grpc += other.grpc;
        self.errors += other.errors;
        for (version, count) in &other.versions {
            self.came_from(version, *count);
        }
        self.latency_us
            .add(&other.latency_us)
            .expect("both have the same bounds");
    }
}

impl Traffic {
    /// Connects to every host and begins to send, `rate` requests a second in all.
    pub(crate) async fn start(
        addresses: Vec<(String, SocketAddr)>,
        questions: Arc<[Question]>,
        rate: u32,
    ) -> Result<Self, DemoError> {
        let mut connections = Vec::new();
        for (host, address) in addresses {
            let failed = |reason: String| DemoError::Connect {
                host: host.clone(),
                reason,
            };
            connections.push(connect_http(address).await.map_err(failed)?);
            let endpoint = Endpoint::from_shared(format!("http://{address}"))
                .map_err(|error| failed(error.to_string()))?;
            let channel = endpoint
                .connect()
                .await
                .map_err(|error| failed(error.to_string()))?;
            let client = GrpcInferenceServiceClient::new(channel);
            connections.push(Connection::Grpc(Box::new(client)));
        }
        let shared = Arc::new(Shared::default());
        let each = connections.len().max(1);
        let pause = Duration::from_secs(1) * u32::try_from(each).unwrap_or(1) / rate;
        let mut senders = JoinSet::new();
        for (at, connection) in connections.into_iter().enumerate() {
            // Each begins elsewhere in the rows, so that hosts do not see the same at once.
            let first = at * questions.len() / each;
            let (questions, shared) = (Arc::clone(&questions), Arc::clone(&shared));
            senders.spawn(send(connection, questions, first, pause, shared));
        }
        Ok(Self { senders, shared })
    }

    /// How many have been sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.shared.sent.load(Ordering::Relaxed)
    }

    /// How many of those failed.
    pub(crate) fn failed(&self) -> u64 {
        self.shared.errors.load(Ordering::Relaxed)
    }

    /// Something changes upstream.
    pub(crate) fn moves(&self) {
        self.shared.moved.store(true, Ordering::Relaxed);
    }

    /// Stops sending, and gives what was sent once the last answer has come.
    pub(crate) async fn stop(self) -> Sent {
        self.shared.stopping.store(true, Ordering::Relaxed);
        let mut all = Sent::none();
        for sent in self.senders.join_all().await {
            all.add(&sent);
        }
        all
    }
}

async fn send(
    mut connection: Connection,
    questions: Arc<[Question]>,
    first: usize,
    pause: Duration,
    shared: Arc<Shared>,
) -> Sent {
    let mut sent = Sent::none();
    let mut ticks = tokio::time::interval(pause);
    // A slow answer lowers the rate; it is not made up for with a burst.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for question in questions.iter().cycle().skip(first) {
        ticks.tick().await;
        if shared.stopping.load(Ordering::Relaxed) {
            break;
        }
        let moved = question.moved.as_deref();
        let moved = moved.filter(|_| shared.moved.load(Ordering::Relaxed));
        let question = moved.unwrap_or(question);
        let watch = Stopwatch::start();
        let ended = tokio::time::timeout(ANSWER_MAX, connection.ask(question)).await;
        let took_us = u64::try_from(watch.elapsed().as_micros()).unwrap_or(LATENCY_MAX_US);
        sent.latency_us.saturating_record(took_us.max(1));
        match connection {
            Connection::Http { .. } => sent.http += 1,
            Connection::Grpc(_) => sent.grpc += 1,
        }
        let ended = ended.unwrap_or_else(|_late| Ended::badly());
        sent.came_from(&ended.version, 1);
        shared.sent.fetch_add(1, Ordering::Relaxed);
        if !ended.is_well {
            sent.errors += 1;
            shared.errors.fetch_add(1, Ordering::Relaxed);
            connection = connection.renewed().await;
        }
    }
    sent
}

impl Connection {
    async fn ask(&mut self, question: &Question) -> Ended {
        match self {
            Self::Http { address, sender } => {
                let answered = ask_http(*address, sender, question).await;
                answered.unwrap_or_else(|_| Ended::badly())
            }
            Self::Grpc(client) => match client.model_infer(question.message.clone()).await {
                Ok(answer) => Ended {
                    is_well: true,
                    version: version(answer.metadata().get(VERSION).map(|told| told.as_bytes())),
                },
                Err(status) => Ended {
                    is_well: false,
                    version: version(status.metadata().get(VERSION).map(|told| told.as_bytes())),
                },
            },
        }
    }

    /// After a failure: a fresh connection if there is one to be had. gRPC renews its own.
    async fn renewed(self) -> Self {
        match self {
            Self::Http { address, sender } => match connect_http(address).await {
                Ok(fresh) => fresh,
                Err(_) => Self::Http { address, sender },
            },
            Self::Grpc(client) => Self::Grpc(client),
        }
    }
}

async fn connect_http(address: SocketAddr) -> Result<Connection, String> {
    let connected = async {
        let stream = TcpStream::connect(address)
            .await
            .map_err(|error| error.to_string())?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let shaken = http1::handshake(TokioIo::new(stream)).await;
        shaken.map_err(|error| error.to_string())
    };
    let (sender, connection) = connected.await?;
    // It ends with the sender, or with the other side; requests learn of it themselves.
    tokio::spawn(connection);
    Ok(Connection::Http { address, sender })
}

async fn ask_http(
    address: SocketAddr,
    sender: &mut http1::SendRequest<Full<Bytes>>,
    question: &Question,
) -> Result<Ended, hyper::Error> {
    sender.ready().await?;
    let mut request = Request::new(Full::new(question.json.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = question.path.parse().unwrap_or_default();
    let headers = request.headers_mut();
    let host = header::HeaderValue::from_str(&address.to_string());
    headers.extend(host.ok().map(|host| (header::HOST, host)));
    let json = header::HeaderValue::from_static("application/json");
    headers.insert(header::CONTENT_TYPE, json);
    let answer = sender.send_request(request).await?;
    let ended = Ended {
        is_well: answer.status() == StatusCode::OK,
        version: version(answer.headers().get(VERSION).map(|told| told.as_bytes())),
    };
    let _body = answer.into_body().collect().await?;
    Ok(ended)
}

/// The version that an answer names.
fn version(told: Option<&[u8]>) -> String {
    String::from_utf8_lossy(told.unwrap_or_default()).into_owned()
}
