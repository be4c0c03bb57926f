//! What the terminal console shows, and how it answers keys. Pure: no I/O, no tasks, no clock.
//!
//! Messages come in, effects go out: [`msg::Msg`] → `update` → [`msg::Effect`], and `view`
//! draws. Of the core it knows the rows ([`binnacle_core::view`]) and never the state.

pub mod config;
pub mod format;
pub mod key;
pub mod msg;
pub mod question;
pub mod theme;
