//! Asking an inference server over the Open Inference Protocol's HTTP form.
//!
//! Promises: one connection, kept alive and opened again when the server closed it; each
//! question has a time limit; answers are read up to a size. What the answers mean for the
//! lights is left to `server.rs`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::proxy::escape;

/// The longest answer that is read: metadata of a model with thousands of tensors.
const ANSWER_LONGEST: usize = 1 << 20;
/// Elements of all inputs of a probe: an image of a megapixel fits, a mistake does not.
const PROBE_ELEMENTS_MOST: u64 = 4 << 20;
/// Characters of a server's words that are kept.
const WORDS_LONGEST: usize = 160;

/// An inference server that can be asked.
#[derive(Debug)]
pub(super) struct OpenInference {
    authority: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

/// Why a question had no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// Nothing listens.
    NoConnection(String),
    /// Nothing came in time.
    Late(Duration),
    /// What came was not HTTP.
    Garbled(String),
}

impl std::fmt::Display for Unanswered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoConnection(words) => write!(f, "no connection: {words}"),
            Self::Late(limit) => write!(f, "no answer within {} ms", limit.as_millis()),
            Self::Garbled(words) => write!(f, "no HTTP answer: {words}"),
        }
    }
}

/// A status and a body.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

/// One line of the repository's index.
#[derive(Deserialize)]
pub(super) struct Listed {
    pub(super) name: String,
    #[serde(default)]
    pub(super) version: Option<String>,
    #[serde(default)]
    state: String,
    #[serde(default)]
    reason: String,
}

impl Listed {
    /// Whether somebody had it unloaded: it is no version that should serve and does not. One that
    /// failed is unavailable as well, for another reason.
    pub(super) fn was_unloaded(&self) -> bool {
        self.state == "UNAVAILABLE" && self.reason == "unloaded"
    }
}

/// What a model says of itself.
#[derive(Deserialize)]
pub(super) struct Metadata {
    #[serde(default)]
    pub(super) versions: Option<Vec<String>>,
    #[serde(default)]
    inputs: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    datatype: String,
    shape: Vec<i64>,
}

impl OpenInference {
    pub(super) fn new(authority: &str) -> Self {
        Self {
            authority: authority.to_owned(),
            connection: None,
        }
    }

    /// Asks one question.
    pub(super) async fn ask(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
        limit: Duration,
    ) -> Result<Answer, Unanswered> {
        let answer = tokio::time::timeout(limit, self.exchange(method, path, body)).await;
        match answer {
            Ok(answer) => answer,
            Err(_) => {
                // What may still come on this connection answers an old question.
                self.connection = None;
                Err(Unanswered::Late(limit))
            }
        }
    }

    async fn exchange(
        &mut self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, Unanswered> {
        let garbled = |error: &dyn std::error::Error| Unanswered::Garbled(words(error));
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = path.parse().map_err(|error| garbled(&error))?;
        let host = self.authority.parse().map_err(|error| garbled(&error))?;
        request.headers_mut().insert(HOST, host);
        let json = http::HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, json);
        let mut connection = self.connect().await?;
        let answer = match connection.try_send_request(request).await {
            Ok(answer) => answer,
            Err(mut failed) => match failed.take_message() {
                // The kept connection was closed before the question left: ask on a new one.
                Some(request) => {
                    self.connection = None;
                    connection = self.connect().await?;
                    let sent = connection.send_request(request).await;
                    sent.map_err(|error| garbled(&error))?
                }
                None => {
                    return Err(garbled(failed.error()));
                }
            },
        };
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, ANSWER_LONGEST).collect().await;
        let body = body
            .map_err(|error| Unanswered::Garbled(error.to_string()))?
            .to_bytes();
        self.connection = Some(connection);
        Ok(Answer {
            status: parts.status,
            body,
        })
    }

    async fn connect(&mut self) -> Result<SendRequest<Full<Bytes>>, Unanswered> {
        if let Some(mut kept) = self.connection.take()
            && kept.ready().await.is_ok()
        {
            return Ok(kept);
        }
        let stream = TcpStream::connect(&self.authority).await;
        let stream = stream.map_err(|error| Unanswered::NoConnection(error.to_string()))?;
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (fresh, connection) =
            handshake.map_err(|error| Unanswered::Garbled(error.to_string()))?;
        tokio::spawn(async move {
            // How it ends shows in the next question.
            let _ = connection.await;
        });
        Ok(fresh)
    }

    /// A version's metadata, or why there is none.
    pub(super) async fn metadata(
        &mut self,
        model: &str,
        version: &str,
        limit: Duration,
    ) -> Result<Metadata, String> {
        let path = path(model, version, "");
        let answer = self.ask(Method::GET, &path, Bytes::new(), limit).await;
        let answer = answer.map_err(|unanswered| unanswered.to_string())?;
        if answer.status != StatusCode::OK {
            return Err(format!("metadata: {}", answer.told()));
        }
        serde_json::from_slice(&answer.body).map_err(|error| format!("metadata: {error}"))
    }
}

impl Answer {
    /// Status and what the server said, for a person.
    pub(super) fn told(&self) -> String {
        #[derive(Deserialize)]
        struct Words {
            error: String,
        }
        let text = String::from_utf8_lossy(&self.body);
        let words = match serde_json::from_slice::<Words>(&self.body) {
            Ok(words) => words.error,
            Err(_) => text.into_owned(),
        };
        let status = self.status.as_u16();
        match printable(&words) {
            words if words.is_empty() => format!("HTTP {status}"),
            words => format!("HTTP {status}: {words}"),
        }
    }
}

impl Metadata {
    /// A request of zeros and empty strings that the model should accept: every dimension
    /// that may vary is 1.
    pub(super) fn probe(&self) -> Result<Bytes, String> {
        let mut inputs = Vec::new();
        let mut left = PROBE_ELEMENTS_MOST;
        for tensor in &self.inputs {
            let dimension = |&dimension: &i64| u64::try_from(dimension).unwrap_or(1);
            let shape: Vec<u64> = tensor.shape.iter().map(dimension).collect();
            let elements = shape
                .iter()
                .try_fold(1u64, |all, &one| all.checked_mul(one));
            left = elements
                .and_then(|elements| left.checked_sub(elements))
                .ok_or("a probe would be too large")?;
            let zero = match tensor.datatype.as_str() {
                "BOOL" => serde_json::Value::Bool(false),
                "BYTES" => serde_json::Value::String(String::new()),
                float if float.starts_with("FP") || float == "BF16" => 0.0.into(),
                integer if integer.starts_with("INT") || integer.starts_with("UINT") => 0.into(),
                other => return Err(format!("no probe for data type {}", printable(other))),
            };
            let count = elements.and_then(|elements| usize::try_from(elements).ok());
            inputs.push(serde_json::json!({
                "name": tensor.name,
                "datatype": tensor.datatype,
                "shape": shape,
                "data": vec![zero; count.unwrap_or(0)],
            }));
        }
        if inputs.is_empty() {
            return Err("the metadata names no inputs to probe with".into());
        }
        Ok(serde_json::json!({ "inputs": inputs }).to_string().into())
    }
}

/// `/v2/models/M[/versions/V]` and what follows; names are escaped.
pub(super) fn path(model: &str, version: &str, then: &str) -> String {
    let mut path = String::from("/v2/models/");
    escape(model, &mut path);
    if !version.is_empty() {
        path.push_str("/versions/");
        escape(version, &mut path);
    }
    path.push_str(then);
    path
}

/// Words of a server, safe and short enough to be shown.
pub(super) fn printable(words: &str) -> String {
    let shown: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .skip_while(|c| c.is_whitespace())
        .take(WORDS_LONGEST)
        .collect();
    shown.trim_end().to_owned()
}

fn words(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_unloaded_is_told_from_what_failed() {
        let gone = |line: &str| serde_json::from_str::<Listed>(line).unwrap().was_unloaded();
        assert!(gone(
            r#"{"name":"a","version":"1","state":"UNAVAILABLE","reason":"unloaded"}"#
        ));
        assert!(!gone(
            r#"{"name":"a","version":"1","state":"UNAVAILABLE","reason":"no model"}"#
        ));
        assert!(!gone(
            r#"{"name":"a","version":"1","state":"READY","reason":""}"#
        ));
        assert!(!gone(r#"{"name":"a"}"#));
    }

    #[test]
    fn a_probe_fits_the_tensors_that_the_metadata_names() {
        let metadata: Metadata = serde_json::from_str(
            r#"{"name":"m","inputs":[
                {"name":"a","datatype":"FP32","shape":[-1,2]},
                {"name":"b","datatype":"BYTES","shape":[1]},
                {"name":"c","datatype":"INT64","shape":[]}]}"#,
        )
        .unwrap();
        let probe: serde_json::Value = serde_json::from_slice(&metadata.probe().unwrap()).unwrap();
        assert_eq!(
            probe,
            serde_json::json!({"inputs": [
                {"name": "a", "datatype": "FP32", "shape": [1, 2], "data": [0.0, 0.0]},
                {"name": "b", "datatype": "BYTES", "shape": [1], "data": [""]},
                {"name": "c", "datatype": "INT64", "shape": [], "data": [0]},
            ]})
        );
    }

    #[test]
    fn a_probe_of_an_unreasonable_size_is_refused() {
        let shape = format!("[{0},{0}]", i64::MAX);
        for (datatype, shape) in [
            ("FP32", shape.as_str()),
            ("FP32", "[5000000]"),
            ("X", "[1]"),
        ] {
            let text =
                format!(r#"{{"inputs":[{{"name":"a","datatype":"{datatype}","shape":{shape}}}]}}"#);
            let metadata: Metadata = serde_json::from_str(&text).unwrap();
            assert!(metadata.probe().is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_escaped_in_paths_and_words_on_screens() {
        assert_eq!(
            path("a/b?", "1", "/ready"),
            "/v2/models/a%2Fb%3F/versions/1/ready"
        );
        assert_eq!(path("m", "", "/infer"), "/v2/models/m/infer");
        assert_eq!(printable("\u{1b}[31mred\n"), "[31mred");
    }
}
