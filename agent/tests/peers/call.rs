//! An application that calls a model, and waiting for what must come.
#![allow(dead_code)] // each test file uses its part

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Far beyond what anything here takes, so that a slow machine fails nothing.
const LIMIT: Duration = Duration::from_secs(30);

/// Polls until `holds`, and panics with `what` when it never does.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the model is asked.
const ROW: &str = r#"{"inputs":[{"name":"x","shape":[1,3],"datatype":"FP64","data":[1,2,3]}]}"#;

/// One connection of an application.
pub(crate) struct Caller {
    addr: SocketAddr,
    sender: SendRequest<Full<Bytes>>,
}

impl Caller {
    pub(crate) async fn new(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).await.unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { addr, sender }
    }

    /// Asks `fraud@1` for a prediction.
    pub(crate) async fn infer(&mut self) -> (StatusCode, String) {
        self.post("/v2/models/fraud/versions/1/infer").await
    }

    pub(crate) async fn post(&mut self, path: &str) -> (StatusCode, String) {
        let answer = self.send(Request::post(path), ROW).await;
        let (status, body) = (answer.status(), answer.into_body());
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    /// Asks for a prediction: the status, and the version that is told to have answered.
    pub(crate) async fn told(&mut self, path: &str) -> (StatusCode, String) {
        let answer = self.send(Request::post(path), ROW).await;
        let version = answer.headers().get("x-binnacle-version");
        let version = version.map_or("", |version| version.to_str().unwrap());
        (answer.status(), version.to_owned())
    }

    pub(crate) async fn get(&mut self, path: &str) -> StatusCode {
        self.send(Request::get(path), "").await.status()
    }

    async fn send(
        &mut self,
        request: http::request::Builder,
        body: &'static str,
    ) -> http::Response<Bytes> {
        let request = request
            .header("host", self.addr.to_string())
            .body(Full::new(Bytes::from_static(body.as_bytes())))
            .unwrap();
        self.sender.ready().await.unwrap();
        let answer = self.sender.send_request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        http::Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    /// So many predictions, each of which must succeed.
    pub(crate) async fn infer_times(&mut self, times: u64) {
        for _ in 0..times {
            let (status, body) = self.infer().await;
            assert_eq!(status, StatusCode::OK, "{body}");
        }
    }
}
