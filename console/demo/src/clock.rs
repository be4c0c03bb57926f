//! The one place where the demo reads the time.
#![allow(clippy::disallowed_methods)] // Everything else takes time from here.

use std::time::{Duration, Instant};

/// A running measurement.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now, on the monotonic clock.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// The wall clock, now.
pub(crate) fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The wall clock's time that long ago, in RFC 3339.
pub(crate) fn now_minus(ago: Duration) -> String {
    let now = jiff::Timestamp::now();
    now.checked_sub(ago).unwrap_or(now).to_string()
}
