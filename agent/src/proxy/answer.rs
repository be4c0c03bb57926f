//! What the proxy itself says when the upstream cannot: JSON with an `error` over HTTP, a
//! status without a body over gRPC. Each says what happened and what to look at next.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use http_body::{Body, Frame, SizeHint};

use super::{Upstream, connection::Busy, grpc::GrpcAnswer, http::HttpAnswer};
use crate::window::Outcome;

/// The body of any answer, whoever gives it.
pub(crate) struct AnswerBody {
    from: From,
    busy: Option<Busy>,
}

enum From {
    Ourselves(Option<Bytes>),
    Http(HttpAnswer),
    Grpc(GrpcAnswer),
}

impl AnswerBody {
    pub(crate) fn own(body: Bytes) -> Self {
        Self::new(From::Ourselves(Some(body).filter(|body| !body.is_empty())))
    }

    pub(crate) fn http(answer: HttpAnswer) -> Self {
        Self::new(From::Http(answer))
    }

    pub(crate) fn grpc(answer: GrpcAnswer) -> Self {
        Self::new(From::Grpc(answer))
    }

    fn new(from: From) -> Self {
        Self { from, busy: None }
    }

    /// Keeps the connection marked as busy until the answer has gone.
    pub(crate) fn keeping(mut self, busy: Busy) -> Self {
        self.busy = Some(busy);
        self
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.from {
            From::Ourselves(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            From::Http(answer) => answer.poll_frame(cx),
            From::Grpc(answer) => answer.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.from {
            From::Ourselves(body) => body.is_none(),
            From::Http(answer) => answer.is_end_stream(),
            From::Grpc(answer) => answer.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.from {
            From::Ourselves(body) => {
                SizeHint::with_exact(body.as_ref().map_or(0, |body| body.len() as u64))
            }
            From::Http(answer) => answer.size_hint(),
            From::Grpc(answer) => answer.size_hint(),
        }
    }
}

/// An answer that broke off in the middle: the application's connection breaks off with it,
/// which is the only way to tell it.
#[derive(Debug, thiserror::Error)]
#[error("the upstream broke off in the middle of its answer")]
pub(crate) struct Broken;

/// Why there is no answer from the upstream.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// No connection to it could be made.
    Refused(std::io::Error),
    /// It hung up before it answered.
    HungUp,
    /// It was silent for longer than the limit.
    TimedOut,
    /// The application stopped sending its request.
    ClientStalled,
    /// It is being drained: send no more requests here.
    Draining,
    /// The method makes a tunnel, which this is not.
    Tunnel,
    /// The message ends in the middle of a field.
    Overrun,
}

/// gRPC's numbers for what we say ourselves.
const GRPC_INVALID_ARGUMENT: &str = "3";
const GRPC_DEADLINE_EXCEEDED: &str = "4";
const GRPC_UNIMPLEMENTED: &str = "12";
const GRPC_UNAVAILABLE: &str = "14";

impl NoAnswer {
    /// How a request that ends like this is counted.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Refused(_) | Self::HungUp | Self::Draining => Outcome::UpstreamRefused,
            Self::TimedOut => Outcome::TimedOut,
            Self::ClientStalled => Outcome::ClientGone,
            Self::Tunnel | Self::Overrun => Outcome::ClientError,
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Refused(_) | Self::HungUp | Self::Draining => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            Self::ClientStalled => StatusCode::REQUEST_TIMEOUT,
            Self::Tunnel => StatusCode::METHOD_NOT_ALLOWED,
            Self::Overrun => StatusCode::BAD_REQUEST,
        }
    }

    fn grpc_status(&self) -> &'static str {
        match self {
            Self::Refused(_) | Self::HungUp | Self::Draining => GRPC_UNAVAILABLE,
            Self::TimedOut | Self::ClientStalled => GRPC_DEADLINE_EXCEEDED,
            Self::Tunnel => GRPC_UNIMPLEMENTED,
            Self::Overrun => GRPC_INVALID_ARGUMENT,
        }
    }

    fn text(&self, upstream: &Upstream) -> String {
        match self {
            Self::Refused(why) => format!(
                "the inference server at {upstream} refuses connections ({why}): \
                 see whether it runs"
            ),
            Self::HungUp => format!(
                "the inference server at {upstream} hung up before it answered: see its log"
            ),
            Self::TimedOut => {
                format!("the inference server at {upstream} did not answer in time: see its load")
            }
            Self::ClientStalled => "the request stopped arriving: send it again".into(),
            Self::Draining => "this host is being drained: send requests to another".into(),
            Self::Tunnel => "CONNECT is not served here: send the request itself".into(),
            Self::Overrun => "the message ends in the middle of a field: see what wrote it".into(),
        }
    }

    /// The answer over HTTP.
    pub(crate) fn http(&self, upstream: &Upstream) -> Response<Bytes> {
        let body = serde_json::json!({ "error": self.text(upstream) }).to_string();
        let mut answer = Response::new(Bytes::from(body));
        *answer.status_mut() = self.status();
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(CONTENT_TYPE, json);
        answer
    }

    /// The answer over gRPC: trailers only.
    pub(crate) fn grpc(&self, upstream: &Upstream) -> Response<Bytes> {
        let mut answer = Response::new(Bytes::new());
        let headers = answer.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert("grpc-status", HeaderValue::from_static(self.grpc_status()));
        if let Ok(message) = HeaderValue::from_str(&percent(&self.text(upstream))) {
            headers.insert("grpc-message", message);
        }
        answer
    }
}

/// gRPC's encoding of a message: printable ASCII but `%` as it is.
fn percent(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(byte as char),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
