//! The sidecar beside each inference host: in the request path, it counts every request
//! exactly and reports to the hub.
//!
//! It measures and obeys; it does not judge, and never depends on the console's core. A
//! library, so that tests run whole fleets in one process.

pub mod artifact;
pub mod assignment;
pub mod callers;
pub mod cli;
pub mod clock;
pub mod compare;
pub mod config;
pub mod control;
mod copied;
pub mod feature;
pub mod golden;
pub mod host;
pub mod inputs;
pub mod nulls;
pub mod proxy;
mod run;
pub mod seal;
pub mod server;
pub mod shadow;
pub mod spool;
pub mod status;
pub mod uplink;
pub mod window;
pub mod wire;

pub use run::{Agent, StartError};
