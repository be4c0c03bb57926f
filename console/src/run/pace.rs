//! When to paint: an answer to a key at once, figures as often as an eye reads them.

use std::time::Duration;

use binnacle_tui::model::Dirty;
use tokio::time::Instant;

use crate::terminal::Cost;

/// Between two frames of figures.
const FRAME: Duration = Duration::from_millis(250);
/// The same over a narrow line.
const FRAME_LOW: Duration = Duration::from_secs(1);
/// A frame that takes longer to write says that the line is slow: then half as often.
const SLOW: Duration = Duration::from_millis(100);

/// The cadence of frames.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    frame: Duration,
    is_slow: bool,
    dirty: Dirty,
    /// Before this no frame of figures is painted.
    not_before: Instant,
}

impl Pace {
    /// A cadence that begins now.
    pub(super) fn new(is_low_bandwidth: bool, now: Instant) -> Self {
        Self {
            frame: frame(is_low_bandwidth),
            is_slow: false,
            dirty: Dirty::Input,
            not_before: now,
        }
    }

    /// Another bandwidth was chosen.
    pub(super) fn set(&mut self, is_low_bandwidth: bool) {
        self.frame = frame(is_low_bandwidth);
    }

    /// Something has to be painted.
    pub(super) fn note(&mut self, dirty: Dirty) {
        self.dirty = self.dirty.max(dirty);
    }

    /// When to paint; nothing where there is nothing to.
    pub(super) fn due(&self, now: Instant) -> Option<Instant> {
        match self.dirty {
            Dirty::No => None,
            Dirty::Data => Some(self.not_before.max(now)),
            Dirty::Input => Some(now),
        }
    }

    /// A frame was painted.
    pub(super) fn painted(&mut self, cost: Cost, now: Instant) {
        self.dirty = Dirty::No;
        // What wrote nothing says nothing about the line.
        if cost.bytes > 0 {
            self.is_slow = cost.took > SLOW;
        }
        self.not_before = now + self.frame * if self.is_slow { 2 } else { 1 };
    }
}

fn frame(is_low_bandwidth: bool) -> Duration {
    match is_low_bandwidth {
        true => FRAME_LOW,
        false => FRAME,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn cost(bytes: u64, took_ms: u64) -> Cost {
        let took = Duration::from_millis(took_ms);
        Cost { bytes, took }
    }

    /// How long figures wait after a frame of this cost.
    fn wait(is_low_bandwidth: bool, cost: Cost) -> Duration {
        let now = clock::now();
        let mut pace = Pace::new(is_low_bandwidth, now);
        pace.painted(cost, now);
        pace.note(Dirty::Data);
        pace.due(now).unwrap() - now
    }

    #[test]
    fn figures_wait_for_their_turn_and_longer_on_a_slow_line() {
        assert_eq!(wait(false, cost(900, 2)), FRAME);
        assert_eq!(wait(false, cost(900, 150)), FRAME * 2);
        assert_eq!(wait(true, cost(900, 2)), FRAME_LOW);
        assert_eq!(wait(true, cost(900, 150)), FRAME_LOW * 2);
    }

    #[test]
    fn keys_never_wait_and_nothing_is_painted_twice() {
        let now = clock::now();
        let mut pace = Pace::new(true, now);
        pace.painted(cost(900, 150), now);
        assert_eq!(pace.due(now), None);
        pace.note(Dirty::Input);
        pace.note(Dirty::Data);
        assert_eq!(pace.due(now), Some(now));
    }
}
