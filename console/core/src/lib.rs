//! Binnacle's judgement: what is known, what may be decided, what is wanted, what is shown.
//!
//! Everything here is pure: no clock, disk, socket, thread, environment or unseeded
//! randomness. Time is an argument, in microseconds since 1970. What hosts measure comes in
//! as [`report::Report`]; what people and hosts ask comes in as [`state::Input`]; what was
//! decided goes out as [`journal::Entry`], and the state is their fold.

pub mod address;
pub mod alert;
pub mod blame;
pub mod caller;
pub mod drift;
pub mod endpoint;
pub mod host;
pub mod journal;
pub mod judge;
mod keys;
mod list;
pub mod name;
pub mod observed;
mod packed;
pub mod reaction;
pub mod registry;
pub mod report;
pub mod rollout;
pub mod series;
pub mod served;
pub mod snapshot;
pub mod state;
pub mod view;
pub mod why;
