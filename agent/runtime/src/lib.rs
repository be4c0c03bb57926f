//! The embedded inference server: ONNX models over the Open Inference Protocol.
//!
//! A repository is a folder `<model>/<version>/model.onnx`. Each version is loaded, warmed up
//! with one inference and only then served, over HTTP ([`http`]) and gRPC ([`grpc`]), which both
//! ask [`repository`] for the version and [`served`] for the answer. Versions are loaded and
//! unloaded one at a time, beside those that go on serving.
//!
//! Measuring, routing between versions and reporting are the agent's; this server answers
//! truthfully what it serves and refuses, by name, what it cannot.

pub mod clock;
pub mod engine;
pub mod fetch;
pub mod grpc;
pub mod http;
pub mod library;
pub mod metrics;
pub mod refusal;
pub mod repository;
pub mod served;
pub mod server;
pub mod signature;

/// What this server calls itself in its metadata.
pub const NAME: &str = "binnacle-runtime";
/// Its version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The protocol extensions that it speaks.
pub const EXTENSIONS: [&str; 2] = ["binary_tensor_data", "model_repository"];
/// The platform of every model here, in the words of the protocol's other servers.
pub const PLATFORM: &str = "onnxruntime_onnx";

/// Largest request body or gRPC message, in bytes: images in batches fit, a flood does not.
pub const BODY_MAX_BYTES: usize = 64 << 20;
