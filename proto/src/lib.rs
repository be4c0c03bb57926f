//! Binnacle's wire contract: the messages and gRPC services of `proto/binnacle/v1`.
//!
//! The bindings under `src/gen` are generated and committed, so that building needs no
//! protobuf compiler; `tests/fresh.rs` fails when they do not match the `.proto` files, and
//! rewrites them when run with `REGENERATE=1`. These types stop at `binnacle-wire` and at the
//! agent's `wire.rs`: nothing else in the product sees them.

pub mod codec;

/// Version 1 of the contract.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, unused_qualifications)]
#[allow(clippy::wildcard_enum_match_arm, clippy::large_futures)]
#[rustfmt::skip]
pub mod v1 {
    include!("gen/binnacle.v1.rs");
}

/// The descriptors of every message and service, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("gen/descriptors.bin");

/// The oldest protocol that this build speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// The newest protocol that this build speaks.
pub const PROTOCOL_MAX: u32 = 1;
