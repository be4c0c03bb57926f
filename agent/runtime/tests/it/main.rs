//! The runtime as its clients meet it: real models, the real inference library, real sockets.

// Helpers outside of test functions are tests too: a failed unwrap is a failed test.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::wildcard_enum_match_arm)]

mod client;
mod golden;
mod program;
mod refusals;
mod repository;
mod server;
