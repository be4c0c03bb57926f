//! A small inference server that speaks the real protocols over real sockets: HTTP/1.1, and
//! gRPC over h2c, on one port. What it does with a request is in the model's name.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use open_inference::proto::{
    self, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse,
    grpc_inference_service_server::{GrpcInferenceService, GrpcInferenceServiceServer},
};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};
use tonic::{Status, Streaming, body::Body};
use tower::Service;

/// What a peer has seen, and what it waits for.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicUsize,
    /// Inference requests whose body arrived whole.
    pub(crate) inferences: AtomicUsize,
    /// Requests of any kind whose head arrived.
    pub(crate) requests: AtomicUsize,
    /// The last request's head.
    pub(crate) headers: Mutex<HeaderMap>,
    pub(crate) path: Mutex<String>,
    pub(crate) query: Mutex<Option<String>>,
    /// Requests for `held` wait until this is notified.
    pub(crate) release: Notify,
}

pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    accepting: JoinHandle<()>,
    hang_up: tokio::sync::watch::Sender<()>,
}

impl Peer {
    pub(crate) async fn start() -> Self {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(crate) fn start_on(listener: TcpListener) -> Self {
        let address = listener.local_addr().unwrap();
        let seen = Arc::<Seen>::default();
        let (hang_up, _) = tokio::sync::watch::channel(());
        let told = hang_up.clone();
        let all = seen.clone();
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                all.connections.fetch_add(1, Ordering::SeqCst);
                let (seen, mut told) = (all.clone(), told.subscribe());
                tokio::spawn(async move {
                    let serve = service_fn(move |request| answer(seen.clone(), request));
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let connection = builder.serve_connection(TokioIo::new(stream), serve);
                    tokio::select! {
                        _ = connection => {}
                        _ = told.changed() => {}
                    }
                });
            }
        });
        Self {
            address,
            seen,
            accepting,
            hang_up,
        }
    }

    /// Closes every connection, and goes on accepting.
    pub(crate) fn hang_up(&self) {
        self.hang_up.send(()).unwrap();
    }

    /// Closes every connection and the listener, as a killed process does.
    pub(crate) async fn die(self) -> SocketAddr {
        self.accepting.abort();
        let _ = self.accepting.await;
        self.address
    }
}

async fn answer(seen: Arc<Seen>, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    seen.requests.fetch_add(1, Ordering::SeqCst);
    *seen.headers.lock().unwrap() = request.headers().clone();
    *seen.path.lock().unwrap() = request.uri().path().to_owned();
    *seen.query.lock().unwrap() = request.uri().query().map(str::to_owned);
    if request
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind == "application/grpc")
    {
        return GrpcInferenceServiceServer::new(Grpc(seen))
            .call(request)
            .await;
    }
    let path = request.uri().path().to_owned();
    let model = path
        .strip_prefix("/v2/models/")
        .and_then(|rest| rest.split('/').next())
        .unwrap_or(&path)
        .to_owned();
    let mut answer = answer_model(&seen, &path, &model, request).await;
    // What it was asked for, so that a test sees where each request was led.
    let asked = path.parse().unwrap();
    answer.headers_mut().insert("x-peer-path", asked);
    Ok(answer)
}

async fn answer_model(
    seen: &Arc<Seen>,
    path: &str,
    model: &str,
    request: Request<Incoming>,
) -> Response<Body> {
    if model == "early" {
        tokio::spawn(request.into_body().collect());
        return status(413);
    }
    let Ok(whole) = request.into_body().collect().await else {
        return status(400);
    };
    if path.ends_with("/infer") {
        seen.inferences.fetch_add(1, Ordering::SeqCst);
    }
    let trailers = whole.trailers().cloned();
    let body = whole.to_bytes();
    match model {
        "missing" => status(404),
        "broken" => status(500),
        "moved" => status(302),
        "silent" => std::future::pending().await,
        "held" => {
            seen.release.notified().await;
            full(body)
        }
        "vanish" => half(seen.clone(), body),
        "chunks" => chunks(&body, trailers),
        _ => full(body),
    }
}

/// Half of what was promised, then nothing any more.
fn half(seen: Arc<Seen>, body: Bytes) -> Response<Body> {
    let half = stream::iter([Ok(Frame::data(body))]);
    let gone = stream::once(async move {
        seen.release.notified().await;
        Err("gone")
    });
    let mut answer = Response::new(Body::new(StreamBody::new(half.chain(gone))));
    let length = "1000000".parse().unwrap();
    answer.headers_mut().insert("content-length", length);
    answer
}

/// The body in pieces, with the trailers that it came with.
fn chunks(body: &[u8], trailers: Option<HeaderMap>) -> Response<Body> {
    let parts: Vec<_> = body
        .chunks(1000)
        .map(|part| Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(part))))
        .collect();
    let end = trailers.map(|trailers| Ok(Frame::trailers(trailers)));
    let parts = stream::iter(parts).chain(stream::iter(end));
    let mut answer = Response::new(Body::new(StreamBody::new(parts)));
    answer
        .headers_mut()
        .insert("trailer", "x-sum".parse().unwrap());
    answer
}

fn full(body: Bytes) -> Response<Body> {
    let mut answer = Response::new(Body::new(Full::new(body)));
    answer
        .headers_mut()
        .insert("x-peer", "yes".parse().unwrap());
    answer
}

fn status(code: u16) -> Response<Body> {
    let mut answer = full(Bytes::from_static(b"{\"error\":\"as asked\"}"));
    *answer.status_mut() = StatusCode::from_u16(code).unwrap();
    answer
}

struct Grpc(Arc<Seen>);

async fn infer(seen: &Seen, request: &ModelInferRequest) -> Result<ModelInferResponse, Status> {
    seen.inferences.fetch_add(1, Ordering::SeqCst);
    match request.model_name.as_str() {
        "missing" => Err(Status::not_found("no such model")),
        "broken" => Err(Status::internal("broken, as asked")),
        "silent" => std::future::pending().await,
        name => Ok(ModelInferResponse {
            model_name: name.to_owned(),
            model_version: request.model_version.clone(),
            id: request.id.clone(),
            raw_output_contents: request.raw_input_contents.clone(),
            ..Default::default()
        }),
    }
}

macro_rules! unused {
    ($($name:ident($ask:ident) -> $answer:ident;)*) => {
        // As `async_trait` writes it, which does not look into macros.
        $(fn $name<'me, 'call>(
            &'me self,
            _: tonic::Request<proto::$ask>,
        ) -> Pin<
            Box<
                dyn Future<Output = Result<tonic::Response<proto::$answer>, Status>>
                    + Send
                    + 'call,
            >,
        >
        where
            'me: 'call,
            Self: 'call,
        {
            Box::pin(async { Err(Status::unimplemented("not of this peer")) })
        })*
    };
}

#[tonic::async_trait]
impl GrpcInferenceService for Grpc {
    async fn server_live(
        &self,
        _: tonic::Request<proto::ServerLiveRequest>,
    ) -> Result<tonic::Response<proto::ServerLiveResponse>, Status> {
        Ok(tonic::Response::new(proto::ServerLiveResponse {
            live: true,
        }))
    }

    async fn model_infer(
        &self,
        request: tonic::Request<ModelInferRequest>,
    ) -> Result<tonic::Response<ModelInferResponse>, Status> {
        let answer = infer(&self.0, request.get_ref()).await?;
        Ok(tonic::Response::new(answer))
    }

    type ModelStreamInferStream =
        Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

    async fn model_stream_infer(
        &self,
        request: tonic::Request<Streaming<ModelInferRequest>>,
    ) -> Result<tonic::Response<Self::ModelStreamInferStream>, Status> {
        let seen = self.0.clone();
        let answers = request.into_inner().then(move |message| {
            let seen = seen.clone();
            async move {
                let answer = infer(&seen, &message?).await;
                Ok(match answer {
                    Ok(answer) => ModelStreamInferResponse {
                        infer_response: Some(answer),
                        ..Default::default()
                    },
                    Err(why) => ModelStreamInferResponse {
                        error_message: why.message().to_owned(),
                        ..Default::default()
                    },
                })
            }
        });
        Ok(tonic::Response::new(Box::pin(answers)))
    }

    async fn model_ready(
        &self,
        request: tonic::Request<proto::ModelReadyRequest>,
    ) -> Result<tonic::Response<proto::ModelReadyResponse>, Status> {
        let asked = request.into_inner();
        let ready = asked.name == "fraud" && asked.version == "2";
        Ok(tonic::Response::new(proto::ModelReadyResponse { ready }))
    }

    unused! {
        server_ready(ServerReadyRequest) -> ServerReadyResponse;
        server_metadata(ServerMetadataRequest) -> ServerMetadataResponse;
        model_metadata(ModelMetadataRequest) -> ModelMetadataResponse;
        repository_index(RepositoryIndexRequest) -> RepositoryIndexResponse;
        repository_model_load(RepositoryModelLoadRequest) -> RepositoryModelLoadResponse;
        repository_model_unload(RepositoryModelUnloadRequest) -> RepositoryModelUnloadResponse;
    }
}
