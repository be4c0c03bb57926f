//! The suites: what the house promises, checked on the tree itself and on the real programs.
//!
//! Each module is one promise kept by machine; a test's name is the guarantee as a sentence.
//! What needs a running fleet starts it through the harness of `binnacle_tests`, on loopback and
//! unix sockets only, in a folder of its own. What a crate promises about itself is tested there.
//!
//! Tests bound their waiting by the real clock, and a suite that cannot read an answer fails.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod alerts;
mod approvals;
mod artifacts;
mod bad_models;
mod commands;
mod console;
mod day;
mod demo;
mod drift;
mod endpoints;
mod faults;
mod glance;
mod manual;
mod memory;
mod partitions;
mod payloads;
mod refusals;
mod registry;
mod scene;
mod simulated;
mod spine;
mod store;
mod tidy;
mod units;
