//! The request path against a real server, over real sockets.
#![allow(missing_docs, clippy::disallowed_methods)] // tests bound their waiting by the clock
#![allow(clippy::unwrap_used, clippy::indexing_slicing)] // what fails here is a test

mod bad_input;
mod counting;
mod forwarding;
mod grpc;
mod peer;
mod routing;

use std::{
    net::SocketAddr,
    num::NonZeroUsize,
    time::{Duration, Instant},
};

use binnacle_agent::{
    proxy::{Known, Proxy, Settings, bind},
    window::{Outcome, Sealed},
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use open_inference::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use self::peer::Peer;

/// How long a test waits for what must happen.
const LIMIT: Duration = Duration::from_secs(20);

/// A proxy in front of a peer.
struct Rig {
    peer: Peer,
    proxy: Proxy,
    known: Known,
}

impl Rig {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let peer = Peer::start().await;
        let (proxy, known) = proxy(peer.address, change);
        Self { peer, proxy, known }
    }

    fn address(&self) -> SocketAddr {
        self.proxy.local_addr()
    }

    /// Everything counted, once `requests` have been and none is in flight.
    async fn counted(&self, requests: u64) -> Sealed {
        counted(&self.proxy, requests).await
    }
}

fn proxy(upstream: SocketAddr, change: impl FnOnce(&mut Settings)) -> (Proxy, Known) {
    let workers = NonZeroUsize::new(2).unwrap();
    let listeners = bind("127.0.0.1:0".parse().unwrap(), workers).unwrap();
    let upstream = format!("http://{upstream}").parse().unwrap();
    let mut settings = Settings::new(listeners, upstream);
    settings.workers = workers;
    change(&mut settings);
    let known = Known::default();
    (Proxy::start(settings, known.clone()).unwrap(), known)
}

async fn counted(proxy: &Proxy, requests: u64) -> Sealed {
    let (started, mut all) = (Instant::now(), Sealed::default());
    loop {
        all.merge(proxy.seal().await);
        if all.requests() >= requests && all.in_flight == 0 {
            return all;
        }
        assert!(
            started.elapsed() < LIMIT,
            "{} of {requests} counted: {all:?}",
            all.requests()
        );
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits for what must come true.
async fn eventually(what: &str, mut predicate: impl FnMut() -> bool) {
    let started = Instant::now();
    while !predicate() {
        assert!(started.elapsed() < LIMIT, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Endpoint, model, version, outcome and count of each series, in words.
fn words(sealed: &Sealed) -> Vec<String> {
    let word = |series: &binnacle_agent::window::SealedSeries| {
        let key = &series.key;
        let count = series.latency.count().unwrap();
        let endpoint = match &*key.endpoint {
            "" => String::new(),
            endpoint => format!("{endpoint}: "),
        };
        let (model, version) = (&key.model, &key.version);
        format!("{endpoint}{model}@{version} {} {count}", key.outcome.word())
    };
    sealed.series.iter().map(word).collect()
}

fn count_of(sealed: &Sealed, outcome: Outcome) -> u64 {
    let of = sealed
        .series
        .iter()
        .filter(|series| series.key.outcome == outcome);
    of.map(|series| series.latency.count().unwrap()).sum()
}

/// A connection of an application.
struct Client {
    sender: http1::SendRequest<Full<Bytes>>,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { sender }
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Response<Bytes> {
        self.sender.ready().await.unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    async fn infer(&mut self, model: &str, body: impl Into<Bytes>) -> Response<Bytes> {
        let path = format!("/v2/models/{model}/infer");
        self.send(post(&path, body)).await
    }
}

async fn grpc_client(address: SocketAddr) -> GrpcInferenceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let limit = 16 << 20;
    GrpcInferenceServiceClient::new(endpoint.connect().await.unwrap())
        .max_decoding_message_size(limit)
}

fn post(path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::post(path)
        .header("host", "models.example")
        .body(Full::new(body.into()))
        .unwrap()
}
