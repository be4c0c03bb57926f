//! Rollouts over a fleet in memory: scenarios with their goldens, and what holds for any of them.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)] // tests

mod alerting;
mod fleet;
mod good;
mod judging;
mod laws;
mod planning;
mod scenario;
mod telling;
