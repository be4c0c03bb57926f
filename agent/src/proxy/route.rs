//! What a request asks for, read off its path: an inference of a named model, the server's
//! readiness, or something that is none of our business and is only forwarded.
//!
//! Borrows from the path; allocates only where a name is percent-encoded.

use std::borrow::Cow;

use http::Request;

/// The path that load balancers ask whether to send requests here.
const READY: &str = "/v2/health/ready";
/// What comes before a model's name.
const MODELS: &str = "/v2/models/";
/// One request, one answer.
const MODEL_INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
/// Triton's streaming form.
const MODEL_STREAM_INFER: &str = "/inference.GRPCInferenceService/ModelStreamInfer";
/// Questions about a model; their messages name it as an inference's does.
const ABOUT_MODEL: [&str; 2] = [
    "/inference.GRPCInferenceService/ModelReady",
    "/inference.GRPCInferenceService/ModelMetadata",
];

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Asked<'a> {
    /// An inference over HTTP.
    Infer {
        model: Cow<'a, str>,
        /// Empty when none is named.
        version: Cow<'a, str>,
    },
    /// An inference whose name cannot be read: not UTF-8 once decoded.
    InferUnreadable,
    /// An inference over gRPC; its first message names the model.
    GrpcInfer,
    /// A stream of inferences over gRPC; each message names its model.
    GrpcStream,
    /// A question about a model, no version of it named: whether it is ready, its metadata.
    About {
        model: Cow<'a, str>,
        /// What follows the name in the path.
        then: &'a str,
    },
    /// The same over gRPC.
    GrpcAbout,
    /// Whether the server is ready for requests.
    Ready,
    /// Anything else: forwarded, not counted.
    Else,
}

/// Whether the request speaks gRPC, by its content type.
pub(crate) fn is_grpc<B>(request: &Request<B>) -> bool {
    let kind = request.headers().get(http::header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// What this method on this path asks for.
pub(crate) fn asked<'a>(method: &str, path: &'a str, grpc: bool) -> Asked<'a> {
    if grpc {
        return match path {
            MODEL_INFER => Asked::GrpcInfer,
            MODEL_STREAM_INFER => Asked::GrpcStream,
            path if ABOUT_MODEL.contains(&path) => Asked::GrpcAbout,
            _ => Asked::Else,
        };
    }
    if path == READY {
        return Asked::Ready;
    }
    let Some(rest) = path.strip_prefix(MODELS) else {
        return Asked::Else;
    };
    if method == "GET" {
        return about(rest);
    }
    let Some(rest) = rest.strip_suffix("/infer").filter(|_| method == "POST") else {
        return Asked::Else;
    };
    let mut parts = rest.split('/');
    let (model, version) = match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(model), None, _, _) => (model, ""),
        (Some(model), Some("versions"), Some(version), None) => (model, version),
        _ => return Asked::Else,
    };
    match (decode(model), decode(version)) {
        (Some(model), Some(version)) => Asked::Infer { model, version },
        _ => Asked::InferUnreadable,
    }
}

/// A question about a model, by what follows [`MODELS`].
fn about(rest: &str) -> Asked<'_> {
    let (model, then) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match decode(model) {
        Some(model) if matches!(then, "" | "/ready") && !model.is_empty() => {
            Asked::About { model, then }
        }
        Some(_) | None => Asked::Else,
    }
}

/// Writes a name as one segment of a path.
pub(crate) fn escape(name: &str, into: &mut String) {
    use std::fmt::Write;
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            write!(into, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
}

/// Percent-decodes one segment; `None` where that gives no UTF-8. A `%` that begins no pair
/// of digits stands for itself, as servers have it.
fn decode(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(Cow::Borrowed(segment));
    }
    let mut decoded = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|&d| (d as char).to_digit(16));
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn infer<'a>(model: &'a str, version: &'a str) -> Asked<'a> {
        Asked::Infer {
            model: model.into(),
            version: version.into(),
        }
    }

    #[test]
    fn only_inference_requests_are_recognised() {
        let post = "POST";
        for (path, expected) in [
            ("/v2/models/fraud/infer", infer("fraud", "")),
            ("/v2/models/fraud/versions/7/infer", infer("fraud", "7")),
            ("/v2/models/a%20b%2Fc/infer", infer("a b/c", "")),
            ("/v2/models/50%/versions/%zz/infer", infer("50%", "%zz")),
            ("/v2/models/%1b%5b31m/infer", infer("\u{1b}[31m", "")),
            ("/v2/models/%ff/infer", Asked::InferUnreadable),
            ("/v2/models/fraud/versions/7", Asked::Else),
            ("/v2/models/fraud/versions/7/8/infer", Asked::Else),
            ("/v2/models/fraud/other/7/infer", Asked::Else),
            ("/v2/models/fraud", Asked::Else),
            ("/v2/models/fraud/ready", Asked::Else),
            ("/v2/health/ready", Asked::Ready),
            ("/v2/repository/models/fraud/load", Asked::Else),
            ("/", Asked::Else),
            ("", Asked::Else),
        ] {
            assert_eq!(asked(post, path, false), expected, "{path}");
        }
        assert_eq!(asked("GET", "/v2/models/m/infer", false), Asked::Else);
        for (path, then) in [("/v2/models/m", ""), ("/v2/models/m/ready", "/ready")] {
            let model = "m".into();
            assert_eq!(asked("GET", path, false), Asked::About { model, then });
        }
        assert_eq!(
            asked("GET", "/v2/models/m/versions/7/ready", false),
            Asked::Else
        );
        assert_eq!(asked(post, MODEL_INFER, true), Asked::GrpcInfer);
        assert_eq!(asked(post, MODEL_STREAM_INFER, true), Asked::GrpcStream);
        assert_eq!(asked(post, "/v2/models/m/infer", true), Asked::Else);
    }
}
