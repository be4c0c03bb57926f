//! The only place of the hub that reads the time. Everything else asks a [`Clock`] or takes
//! the time as an argument, so that tests hold the time in their hand.
//!
//! The wall clock places measurements and dates entries; deadlines run on the monotonic
//! clock, which no administrator can set.
#![allow(clippy::disallowed_methods)] // this is the place that the lint points to

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the time comes from. Cloning it gives the same clock.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System {
        started: Instant,
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
        let started = Instant::now();
        Self(Source::System { started })
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

    /// The wall clock: microseconds since 1970.
    pub fn now_us(&self) -> i64 {
        match &self.0 {
            Source::System { .. } => wall_us(),
            Source::Manual { now_us, .. } => now_us.load(Ordering::SeqCst),
        }
    }

    /// Microseconds since this clock was made, by the monotonic clock.
    pub fn elapsed_us(&self) -> i64 {
        match &self.0 {
            Source::System { started } => {
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
