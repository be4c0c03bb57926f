//! A server in this process, a folder for its models, and plain clients of both protocols.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use binnacle_runtime::engine::Engine;
use binnacle_runtime::library::{Places, SILENCE};
use binnacle_runtime::server::{Loading, Server, Settings};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use open_inference::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use serde_json::Value;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

/// A folder of models that is gone with the test.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Puts the model file `source` where `model` has `version`.
    pub(crate) fn put(&self, model: &str, version: &str, source: &Path) {
        let folder = self.path().join(model).join(version);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::copy(source, folder.join("model.onnx")).unwrap();
    }
}

/// The demo's models.
pub(crate) fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../console/demo/models")
}

/// One of the small models beside these tests.
pub(crate) fn small(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

pub(crate) async fn start(repository: &Path) -> Server {
    start_with(repository, Loading::Everything).await
}

pub(crate) async fn start_with(repository: &Path, loading: Loading) -> Server {
    // As the program does for itself, before anything else of this process reads it.
    static SILENCED: std::sync::Once = std::sync::Once::new();
    #[allow(unsafe_code)] // One thread writes, and the library that reads is not loaded yet.
    SILENCED.call_once(|| unsafe { std::env::set_var(SILENCE.0, SILENCE.1) });
    let library = Places::of_process(None).find().unwrap();
    let engine = Engine::open(&library, 1).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let settings = Settings {
        repository: repository.to_owned(),
        http: any,
        grpc: any,
        loading,
    };
    Server::start(settings, engine).await.unwrap()
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

/// One kept connection.
pub(crate) struct Http(http1::SendRequest<Full<Bytes>>);

impl Http {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }

    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.0.ready().await.unwrap();
        let answer = self.0.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(request(Method::GET, path, Bytes::new())).await
    }

    pub(crate) async fn post(&mut self, path: &str, body: impl Into<Bytes>) -> Answer {
        self.send(request(Method::POST, path, body.into())).await
    }
}

pub(crate) fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "test");
    request.body(Full::new(body)).unwrap()
}

pub(crate) async fn grpc(address: SocketAddr) -> GrpcInferenceServiceClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    GrpcInferenceServiceClient::new(endpoint.connect().await.unwrap())
}
