//! The only place of the agent that reads the time. Everything else takes it as an argument.
//!
//! Spans are measured by the monotonic clock; the wall clock only says when a span began, so
//! a step of the wall clock never lengthens or shortens what was measured.
#![allow(clippy::disallowed_methods)] // this is the place that the lint points to

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock, now.
pub fn now() -> Instant {
    Instant::now()
}

/// The wall clock, now: microseconds since 1970, negative before.
pub fn wall_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

/// The machine's clock that counts on while it sleeps and that nobody can set: time since the
/// machine was started.
pub fn since_boot() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(now.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// Processor time that the calling thread has used.
pub fn thread_cpu() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(used.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(used.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanoseconds)
}

/// What names this start of the machine: [`since_boot`] means nothing without it. Empty where
/// the kernel does not say.
pub fn machine_boot() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    named.unwrap_or_default().trim().to_owned()
}

/// How long it is from `wall_us` to the next whole `period` (a second but in demos), never under a
/// tenth of it: a timer that fires a little early must not seal a window of nothing.
pub fn to_next(wall_us: i64, period: Duration) -> Duration {
    let period_us = i64::try_from(period.as_micros()).unwrap_or(i64::MAX).max(1);
    let left = Duration::from_micros((period_us - wall_us.rem_euclid(period_us)).unsigned_abs());
    if left < period / 10 {
        left + period
    } else {
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_start_has_a_name_and_time_passes_since() {
        assert_eq!(machine_boot(), machine_boot());
        assert_eq!(machine_boot().len(), 36);
        let earlier = since_boot();
        assert!(earlier > Duration::ZERO && since_boot() >= earlier);
    }

    #[test]
    fn the_next_second_is_never_now() {
        for (wall_us, expected_us) in [
            (0, 1_000_000),
            (1_400_000, 600_000),
            (999_999, 1_000_001),
            (-200_000, 200_000),
        ] {
            assert_eq!(
                to_next(wall_us, Duration::from_secs(1)),
                Duration::from_micros(expected_us),
                "{wall_us}"
            );
        }
    }
}
