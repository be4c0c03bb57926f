//! What the hub tells systemd; nothing where it was not started by it.

use sd_notify::NotifyState;

/// Where the hub is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It can be called.
    Ready,
    /// It stops.
    Stopping,
}

/// Tells systemd. That it does not hear is its own affair: the hub runs on.
pub fn notify(phase: Phase) {
    let state = match phase {
        Phase::Ready => NotifyState::Ready,
        Phase::Stopping => NotifyState::Stopping,
    };
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd does not hear");
    }
}
