//! What the terminal console shows, and how it answers keys. Pure: no I/O, no tasks, no clock.
//!
//! Messages come in, effects go out: [`msg::Msg`] → [`update::update`] → [`msg::Effect`], and
//! [`draw::draw`] draws; [`paint::changes`] says what of a frame a terminal has to be told. Of the
//! core it knows the rows ([`binnacle_core::view`]) and never the state.

pub mod config;
pub mod data;
#[cfg(test)]
mod documents;
pub mod draw;
pub mod edit;
pub mod filter;
pub mod format;
pub mod key;
pub mod keymap;
#[cfg(test)]
mod laws;
pub mod model;
pub mod msg;
pub mod overlay;
pub mod paint;
pub mod question;
pub mod screen;
#[cfg(test)]
mod stage;
pub mod theme;
pub mod update;
pub mod widget;
