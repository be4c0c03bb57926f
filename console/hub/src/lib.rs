//! The always-on half of Binnacle: agents dial it, consoles attach to it.

pub mod clock;
pub mod engine;
pub mod listen;
pub mod store;
pub mod telemetry;
