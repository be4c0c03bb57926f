//! The Open Inference Protocol: its gRPC bindings and one tensor codec for all its encodings.
//!
//! A [`Tensor`] is always whole: a name, a shape and exactly as many values as the shape says.
//! [`rest`] turns HTTP bodies into requests and responses into bodies (JSON, and the binary
//! tensor extension); [`grpc`] does the same for the protobuf messages in [`proto`]. What comes
//! from outside is refused with a [`CodecError`] that names the tensor, what was expected and
//! what came. Memory follows what was received, never what a shape claims.
//!
//! Whether a tensor fits a *model* is left to the server; transport is left to the caller.

pub mod datatype;
pub mod error;
pub mod grpc;
pub mod infer;
pub mod raw;
pub mod rest;
pub mod tensor;

pub use datatype::Datatype;
pub use error::CodecError;
pub use infer::{DataForm, InferRequest, InferResponse, RequestedOutput};
pub use tensor::{Data, Tensor};

/// The bindings generated from `proto/inference.proto` (package `inference`).
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, unused_qualifications)]
#[allow(clippy::wildcard_enum_match_arm, clippy::large_futures)]
#[rustfmt::skip]
pub mod proto {
    include!("gen/inference.rs");
}

/// The descriptors of every message and service, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptors.bin");

/// The header that says how many bytes of an HTTP body are JSON; raw tensors follow them.
pub const HEADER_CONTENT_LENGTH: &str = "inference-header-content-length";

/// Most dimensions of one tensor: ONNX models rarely pass 6, and nested JSON recurses this deep.
pub const RANK_MAX: usize = 16;
/// Most tensors in one request or response: wide tabular models have one input a column.
pub const TENSORS_MAX: usize = 4_096;
/// Longest tensor name, in bytes: names are repeated in errors and logs.
pub const NAME_MAX_BYTES: usize = 255;
