//! The one place where the console reads the time.

use std::time::Duration;

use tokio::time::Instant;

/// Now, by this machine's clock: microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    jiff::Timestamp::now().as_microsecond()
}

/// Now, on the clock that only goes forward: for limits and for the cadence of frames.
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// How far away a moment is; nothing once it has passed.
pub(crate) fn until(at_us: i64) -> Duration {
    Duration::from_micros(u64::try_from(at_us.saturating_sub(now_us())).unwrap_or(0))
}
