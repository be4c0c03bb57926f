//! Asking a version what another has answered already, in the form in which that was asked.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use open_inference::proto::ModelInferRequest;
use open_inference::proto::grpc_inference_service_client::GrpcInferenceServiceClient;
use open_inference::{InferResponse, grpc, rest};
use prost::Message;
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

use super::Place;
use crate::compare::{Difference, compare};
use crate::copied;
use crate::nulls;
use crate::proxy::Upstream;
use crate::proxy::mirror::{Copied, Spoken};

/// For one answer: a shadow that takes longer is no match for the version beside it.
const ANSWER_LONGEST: Duration = Duration::from_secs(10);
/// Bytes of an answer, as large as those that are copied.
const ANSWER_MOST: usize = 1 << 20;
const JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");

/// The way to the server's versions.
#[derive(Debug)]
pub(super) struct Asker {
    authority: String,
    /// Dials by itself, when it is first used.
    channel: Option<Channel>,
}

impl Asker {
    pub(super) fn new(upstream: &Upstream, grpc_upstream: &Upstream) -> Self {
        let endpoint = Endpoint::from_shared(grpc_upstream.to_string()).ok();
        Self {
            authority: upstream.authority().to_owned(),
            channel: endpoint.map(|endpoint| endpoint.timeout(ANSWER_LONGEST).connect_lazy()),
        }
    }

    /// How a version's answer to a copied request differs from the one that was given.
    pub(super) async fn compare(
        &self,
        copied: &Copied,
        place: &Place,
    ) -> Result<Difference, String> {
        let given = copied::answer(copied).map_err(|error| error.to_string())?;
        let asked = async {
            match copied.spoken {
                Spoken::Http { request_json, .. } => self.http(copied, request_json, place).await,
                Spoken::Grpc => self.grpc(copied, place).await,
            }
        };
        let answer = tokio::time::timeout(ANSWER_LONGEST, asked).await;
        let answer = answer.map_err(|_| "it did not answer in time".to_owned())??;
        Ok(compare(&given, &answer))
    }

    async fn http(
        &self,
        copied: &Copied,
        json: Option<usize>,
        place: &Place,
    ) -> Result<InferResponse, String> {
        let words = |error: &dyn std::error::Error| error.to_string();
        let stream = TcpStream::connect(&self.authority).await;
        let stream = stream.map_err(|error| words(&error))?;
        let opened = http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = opened.map_err(|error| words(&error))?;
        let connection = tokio::spawn(connection);
        let mut request = Request::post(&place.path)
            .header("host", &self.authority)
            .header("content-type", "application/json")
            .body(Full::new(Bytes::copy_from_slice(&copied.request)))
            .map_err(|error| words(&error))?;
        if let Some(json) = json {
            request.headers_mut().insert(JSON_BYTES, json.into());
        }
        let answer = sender.send_request(request).await;
        let answer = answer.map_err(|error| words(&error))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_MOST).collect().await;
        connection.abort();
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        if head.status != StatusCode::OK {
            return Err(format!("it answered HTTP {}", head.status.as_u16()));
        }
        let json = head.headers.get(JSON_BYTES).map(HeaderValue::to_str);
        let json = json.transpose().map_err(|error| words(&error))?;
        rest::decode_response(&body, json).map_err(|error| words(&error))
    }

    async fn grpc(&self, copied: &Copied, place: &Place) -> Result<InferResponse, String> {
        let message = copied::message(&copied.request).map_err(|error| error.to_string())?;
        let mut request = ModelInferRequest::decode(message).map_err(|error| error.to_string())?;
        request.model_name = place.model.to_string();
        request.model_version = place.version.to_string();
        let channel = self.channel.clone().ok_or("the server has no address")?;
        let mut client = GrpcInferenceServiceClient::new(channel);
        let answer = client.model_infer(request).await;
        let answer = answer.map_err(|status| status.message().to_owned())?;
        grpc::decode_response(answer.into_inner()).map_err(|error| error.to_string())
    }
}

/// Whether the answer that the application got says nothing; nothing where it cannot be read.
pub(super) fn is_null(copied: &Copied) -> Option<bool> {
    match copied.spoken {
        Spoken::Http {
            answer_json: None, ..
        } => nulls::is_null_json(&copied.answer),
        Spoken::Http { .. } | Spoken::Grpc => Some(nulls::is_null(&copied::answer(copied).ok()?)),
    }
}
