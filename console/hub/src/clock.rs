//! The only place of the hub that reads the time. Everything else asks a [`Clock`] or takes
//! the time as an argument, so that tests hold the time in their hand.
//!
//! Deadlines lie between moments of the hub's own time, and so that no step of the wall clock fires
//! or stalls one, that time runs on the monotonic clock, from where the wall clock was. While
//! nothing has a deadline it follows the wall clock again ([`Clock::settle`]).
#![allow(clippy::disallowed_methods)] // this is the place that the lint points to

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// From how far off on the time is set after the wall clock: measurements are placed by as much.
const OFF_US: i64 = 100_000;

/// Where the time comes from. Cloning it gives the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System {
        started: Instant,
        /// The time at `started`, as far as it was corrected since.
        base_us: Arc<AtomicI64>,
        wall: fn() -> i64,
    },
    /// As the runtime's timers have it.
    Runtime {
        started: tokio::time::Instant,
        started_us: i64,
    },
    Manual {
        now_us: Arc<AtomicI64>,
        started_us: i64,
    },
}

/// Moves a manual clock.
#[derive(Clone, Debug)]
pub struct Hand(Arc<AtomicI64>);

impl Clock {
    /// The machine's clocks.
    pub fn system() -> Self {
        Self::by(wall_us)
    }

    fn by(wall: fn() -> i64) -> Self {
        let started = Instant::now();
        let base_us = Arc::new(AtomicI64::new(wall()));
        Self(Source::System {
            started,
            base_us,
            wall,
        })
    }

    /// A clock at `now_us` that goes as the runtime's timers do, also where those are simulated. It
    /// follows no wall clock.
    pub fn of_runtime(now_us: i64) -> Self {
        Self(Source::Runtime {
            started: tokio::time::Instant::now(),
            started_us: now_us,
        })
    }

    /// A clock that stands at `now_us` until its hand moves it.
    pub fn manual(now_us: i64) -> (Self, Hand) {
        let hand = Arc::new(AtomicI64::new(now_us));
        let source = Source::Manual {
            now_us: hand.clone(),
            started_us: now_us,
        };
        (Self(source), Hand(hand))
    }

    /// Microseconds since 1970, by the wall clock as it was when this last settled, and since then
    /// by the monotonic one.
    pub fn now_us(&self) -> i64 {
        match &self.0 {
            Source::System { base_us, .. } => {
                let base_us = base_us.load(Ordering::SeqCst);
                base_us.saturating_add(self.elapsed_us())
            }
            Source::Runtime { started_us, .. } => started_us.saturating_add(self.elapsed_us()),
            Source::Manual { now_us, .. } => now_us.load(Ordering::SeqCst),
        }
    }

    /// Nothing has a deadline: where the wall clock was set meanwhile, this one is set after it.
    pub fn settle(&self) {
        match &self.0 {
            Source::System { base_us, wall, .. } => {
                let off_us = wall() - self.now_us();
                if off_us.abs() >= OFF_US {
                    base_us.fetch_add(off_us, Ordering::SeqCst);
                    tracing::warn!(seconds = off_us / 1_000_000, "the clock was set");
                }
            }
            Source::Runtime { .. } | Source::Manual { .. } => {}
        }
    }

    /// Microseconds since this clock was made, by the monotonic clock.
    pub fn elapsed_us(&self) -> i64 {
        match &self.0 {
            Source::System { started, .. } => {
                i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX)
            }
            Source::Runtime { started, .. } => {
                i64::try_from(started.elapsed().as_micros()).unwrap_or(i64::MAX)
            }
            Source::Manual { now_us, started_us } => now_us.load(Ordering::SeqCst) - started_us,
        }
    }
}

impl Hand {
    /// Moves the clock on, or back where `us` is negative.
    pub fn advance(&self, us: i64) {
        self.0.fetch_add(us, Ordering::SeqCst);
    }
}

fn wall_us() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |us| -us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_is_followed_only_while_nothing_has_a_deadline() {
        static WALL_US: AtomicI64 = AtomicI64::new(1_000_000_000);
        const HOUR_US: i64 = 3_600_000_000;
        let clock = Clock::by(|| WALL_US.load(Ordering::SeqCst));
        for step_us in [HOUR_US, -2 * HOUR_US] {
            let before_us = clock.now_us();
            WALL_US.fetch_add(step_us, Ordering::SeqCst);
            let after_us = clock.now_us();
            assert!((0..HOUR_US / 2).contains(&(after_us - before_us)));
            clock.settle();
            let off_us = clock.now_us() - WALL_US.load(Ordering::SeqCst);
            assert!(off_us.abs() < HOUR_US / 2, "{off_us}");
        }
    }
}
