//! What Binnacle measures, as values that add up.
//!
//! Everything here is pure: no clock, disk, socket, thread, environment or unseeded
//! randomness. What is measured lives here; what is concluded from it lives in
//! `binnacle-core`. Values merge exactly, in any order and grouping: over requests, windows,
//! hosts and time.

pub mod latency;
pub mod magnitudes;
pub mod payload;
pub mod profile;
mod varint;

pub use latency::{Counts, Encoded, Latency, Malformed};
pub use magnitudes::Magnitudes;
pub use payload::Payload;
