//! What a copy of a request says: its request and its answer, read in the form in which they went.
//!
//! For those who look at copies beside the request path; nobody waits for it.

use bytes::Bytes;
use open_inference::proto::{ModelInferRequest, ModelInferResponse};
use open_inference::{InferRequest, InferResponse, grpc, rest};
use prost::Message;

use crate::proxy::mirror::{Copied, Spoken};

/// One byte of compression flag, four of length.
const PREFIX_BYTES: usize = 5;

/// Why a copy cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unread {
    /// It is not what it should be.
    #[error("{0}")]
    Malformed(String),
    /// It is compressed, which is not read here.
    #[error("a compressed message is not read")]
    Compressed,
}

/// The request.
pub(crate) fn request(copied: &Copied) -> Result<InferRequest, Unread> {
    match copied.spoken {
        Spoken::Http { request_json, .. } => {
            let body = Bytes::copy_from_slice(&copied.request);
            let json = request_json.map(|json| json.to_string());
            rest::decode_request(&body, json.as_deref()).map_err(malformed)
        }
        Spoken::Grpc => {
            let request = ModelInferRequest::decode(message(&copied.request)?);
            grpc::decode_request(request.map_err(malformed)?).map_err(malformed)
        }
    }
}

/// The answer that the application got.
pub(crate) fn answer(copied: &Copied) -> Result<InferResponse, Unread> {
    match copied.spoken {
        Spoken::Http { answer_json, .. } => {
            let body = Bytes::copy_from_slice(&copied.answer);
            let json = answer_json.map(|json| json.to_string());
            rest::decode_response(&body, json.as_deref()).map_err(malformed)
        }
        Spoken::Grpc => {
            let answer = ModelInferResponse::decode(message(&copied.answer)?);
            grpc::decode_response(answer.map_err(malformed)?).map_err(malformed)
        }
    }
}

/// A message behind its prefix; compressed ones are not read.
pub(crate) fn message(framed: &[u8]) -> Result<Bytes, Unread> {
    match framed.split_at_checked(PREFIX_BYTES) {
        Some(([0, ..], message)) => Ok(Bytes::copy_from_slice(message)),
        Some(_) => Err(Unread::Compressed),
        None => Err(Unread::Malformed("a message is cut short".to_owned())),
    }
}

fn malformed(error: impl std::error::Error) -> Unread {
    Unread::Malformed(error.to_string())
}
