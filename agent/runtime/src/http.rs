//! The Open Inference Protocol over HTTP: JSON, the binary tensor extension, metrics.
//!
//! Every answer that is not 200 is a JSON object with `error`; a refused tensor is also named in
//! fields of its own. Bodies are read up to [`BODY_MAX_BYTES`] and no further.

pub mod route;

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use open_inference::error::shown;
use open_inference::{CodecError, HEADER_CONTENT_LENGTH, rest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use self::route::{Route, Target};
use crate::metrics::{self, Metrics};
use crate::refusal::{Kind, Refusal};
use crate::repository::{Readiness, Repository, Scope};
use crate::signature::TensorSpec;
use crate::{BODY_MAX_BYTES, EXTENSIONS, NAME, PLATFORM, VERSION};

/// What the HTTP side needs to answer.
#[derive(Clone, Debug)]
pub struct Http {
    /// The models.
    pub repository: Arc<Repository>,
    /// The counters.
    pub metrics: Arc<Metrics>,
}

/// An answer, whole.
pub type Answer = Response<Full<Bytes>>;

impl Http {
    /// Answers one request.
    ///
    /// # Errors
    /// None: every failure is an answer.
    pub async fn answer<B>(self, request: Request<B>) -> Result<Answer, Infallible>
    where
        B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
    {
        let (head, body) = request.into_parts();
        let Some(route) = Route::parse(head.uri.path()) else {
            let path = shown(head.uri.path());
            return Ok(error(
                StatusCode::NOT_FOUND,
                &format!("no such path: {path}"),
            ));
        };
        let method = route.method();
        if head.method != method {
            let message = format!("{} is asked with {method}", shown(head.uri.path()));
            let mut answer = error(StatusCode::METHOD_NOT_ALLOWED, &message);
            let allowed = HeaderValue::from_str(method.as_str());
            answer
                .headers_mut()
                .extend(allowed.ok().map(|allowed| (ALLOW, allowed)));
            return Ok(answer);
        }
        let body = match read(&head.headers, body).await {
            Ok(body) => body,
            Err(answer) => return Ok(*answer),
        };
        let answered = match route {
            Route::Infer(target) => self.infer(target, &head.headers, &body).await,
            Route::Index => self.index(&body).await,
            Route::Load(model) => self.load(&model, &body).await,
            Route::Unload(model) => self.unload(&model, &body).await,
            Route::Model(target) => self.model(&target),
            Route::ModelReady(target) => Ok(self.model_ready(&target)),
            Route::Server => Ok(server()),
            Route::Live => Ok(document(StatusCode::OK, &json!({ "live": true }))),
            Route::Ready => Ok(self.ready()),
            Route::Metrics => Ok(self.exposition()),
        };
        Ok(answered.unwrap_or_else(|refusal| refused(&refusal)))
    }

    async fn infer(
        &self,
        target: Target,
        headers: &HeaderMap,
        body: &Bytes,
    ) -> Result<Answer, Refusal> {
        // The version first: who asks for a model that is not here learns that, and not what
        // else is wrong.
        let served = self
            .repository
            .served(&target.model, target.version.as_deref())?;
        let json_bytes = headers
            .get(HEADER_CONTENT_LENGTH)
            .map(HeaderValue::as_bytes);
        let json_bytes = json_bytes.map(String::from_utf8_lossy);
        let mut request = served.admit(rest::decode_request(body, json_bytes.as_deref()))?;
        let response = served.infer(&mut request).await?;
        let encoded = rest::encode_response(&response, &request).map_err(Refusal::Answer)?;
        let mut answer = Response::new(Full::new(encoded.body));
        let headers = answer.headers_mut();
        match encoded.json_bytes {
            None => headers.insert(CONTENT_TYPE, JSON),
            Some(bytes) => {
                headers.insert(HEADER_CONTENT_LENGTH, HeaderValue::from(bytes));
                headers.insert(
                    CONTENT_TYPE,
                    HeaderValue::from_static("application/octet-stream"),
                )
            }
        };
        Ok(answer)
    }

    async fn index(&self, body: &Bytes) -> Result<Answer, Refusal> {
        #[derive(Deserialize, Default)]
        struct Wanted {
            #[serde(default)]
            ready: bool,
        }
        let wanted: Wanted = optional(body)?;
        let mut index = self.repository.index().await?;
        index.retain(|entry| !wanted.ready || entry.state == "READY");
        Ok(document(StatusCode::OK, &index))
    }

    async fn load(&self, model: &str, body: &Bytes) -> Result<Answer, Refusal> {
        let parameters: Parameterised = optional(body)?;
        if let Some(name) = parameters
            .parameters
            .keys()
            .find(|name| *name != VERSION_PARAMETER)
        {
            // A configuration or files that came along would be silently left out.
            return Err(Refusal::Parameter {
                parameter: name.clone(),
                expected: "no parameter but `version`",
                came: "it".to_owned(),
            });
        }
        self.repository.load(model, parameters.scope()?).await?;
        Ok(document(StatusCode::OK, &json!({})))
    }

    async fn unload(&self, model: &str, body: &Bytes) -> Result<Answer, Refusal> {
        let parameters: Parameterised = optional(body)?;
        self.repository.unload(model, parameters.scope()?).await?;
        Ok(document(StatusCode::OK, &json!({})))
    }

    fn model(&self, target: &Target) -> Result<Answer, Refusal> {
        let served = self
            .repository
            .find(&target.model, target.version.as_deref())?;
        let versions = self.repository.ready_versions(&target.model);
        let signature = served.signature();
        Ok(document(
            StatusCode::OK,
            &json!({
                "name": served.name(),
                "versions": versions.iter().map(u64::to_string).collect::<Vec<_>>(),
                "platform": PLATFORM,
                "inputs": tensors(&signature.inputs),
                "outputs": tensors(&signature.outputs),
            }),
        ))
    }

    fn model_ready(&self, target: &Target) -> Answer {
        match self
            .repository
            .find(&target.model, target.version.as_deref())
        {
            Ok(served) => {
                let version = served.version().to_string();
                let ready = json!({ "name": served.name(), "version": version, "ready": true });
                document(StatusCode::OK, &ready)
            }
            Err(refusal) => refused(&refusal),
        }
    }

    fn ready(&self) -> Answer {
        match self.repository.readiness() {
            Readiness::Ready => document(StatusCode::OK, &json!({ "ready": true })),
            // The protocol says 4xx, and its other servers answer 400.
            Readiness::NotReady(why) => error(StatusCode::BAD_REQUEST, why),
        }
    }

    fn exposition(&self) -> Answer {
        match self.metrics.exposition() {
            Ok(text) => {
                let mut answer = Response::new(Full::new(Bytes::from(text)));
                let content_type = HeaderValue::from_static(metrics::CONTENT_TYPE);
                answer.headers_mut().insert(CONTENT_TYPE, content_type);
                answer
            }
            Err(cause) => error(StatusCode::INTERNAL_SERVER_ERROR, &cause.to_string()),
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const VERSION_PARAMETER: &str = "version";

#[derive(Deserialize, Default)]
struct Parameterised {
    #[serde(default)]
    parameters: serde_json::Map<String, serde_json::Value>,
}

impl Parameterised {
    fn scope(&self) -> Result<Scope, Refusal> {
        let Some(value) = self.parameters.get(VERSION_PARAMETER) else {
            return Ok(Scope::All);
        };
        let number = match value {
            serde_json::Value::String(text) => text.parse().ok(),
            serde_json::Value::Number(number) => number.as_u64(),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        };
        number.map(Scope::One).ok_or_else(|| Refusal::Parameter {
            parameter: VERSION_PARAMETER.to_owned(),
            expected: "a version's number",
            came: shown(&value.to_string()),
        })
    }
}

async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, Box<Answer>>
where
    B: http_body::Body<Data: Send, Error: Into<Box<dyn std::error::Error + Send + Sync>>>,
{
    if headers
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity")
    {
        let message = "the body is compressed: send it plain";
        return Err(Box::new(error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)));
    }
    match Limited::new(body, BODY_MAX_BYTES).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(cause) if cause.is::<LengthLimitError>() => {
            let message = format!("the body is larger than {BODY_MAX_BYTES} bytes");
            Err(Box::new(error(StatusCode::PAYLOAD_TOO_LARGE, &message)))
        }
        Err(cause) => {
            let message = format!("the body did not arrive: {cause}");
            Err(Box::new(error(StatusCode::BAD_REQUEST, &message)))
        }
    }
}

/// The body as JSON, or the default when there is none.
fn optional<T: for<'a> Deserialize<'a> + Default>(body: &Bytes) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| {
        let (what, reason) = ("the request body", error.to_string());
        Refusal::Request(CodecError::Json { what, reason })
    })
}

fn server() -> Answer {
    let about = json!({ "name": NAME, "version": VERSION, "extensions": EXTENSIONS });
    document(StatusCode::OK, &about)
}

fn tensors(specs: &[TensorSpec]) -> Vec<serde_json::Value> {
    let shown = |spec: &TensorSpec| {
        let datatype = spec.datatype.name();
        json!({ "name": spec.name, "datatype": datatype, "shape": spec.shape })
    };
    specs.iter().map(shown).collect()
}

fn refused(refusal: &Refusal) -> Answer {
    let status = match refusal.kind() {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    };
    if let Refusal::Request(CodecError::Tensor {
        tensor,
        expected,
        came,
    }) = refusal
    {
        let message = refusal.to_string();
        let named =
            json!({ "error": message, "tensor": tensor, "expected": expected, "got": came });
        return document(status, &named);
    }
    error(status, &refusal.to_string())
}

fn error(status: StatusCode, message: &str) -> Answer {
    document(status, &json!({ "error": message }))
}

fn document(status: StatusCode, value: &impl Serialize) -> Answer {
    let (status, body) = match serde_json::to_vec(value) {
        Ok(body) => (status, body),
        Err(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            b"{\"error\":\"unwritable\"}".to_vec(),
        ),
    };
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, JSON);
    answer
}
