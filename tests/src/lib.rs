//! The harness: real programs, started in folders of their own, and real clients against them.
//!
//! Promises: everything listens on loopback or on unix sockets, with ports that the system
//! chose; whatever was started is ended by its id when its value is dropped; waiting is bounded,
//! and says what it waited for. What is asserted is left to the suites.
//!
//! A harness that cannot go on fails the test that uses it, so it panics where a product would
//! return an error.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods
)]

pub mod client;
pub mod command;
pub mod console;
pub mod crowd;
pub mod fleet;
pub mod misbehaving;
pub mod models;
pub mod patience;
pub mod peers;
pub mod postgres;
pub mod program;
pub mod relay;
pub mod request_log;
pub mod s3;
pub mod stranger;
pub mod terminal;
pub mod tmux;
pub mod traffic;
pub mod walk;
pub mod watched;
pub mod web;
