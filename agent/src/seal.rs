//! A sealed window: what was counted in a span of time, with its place in the agent's
//! sequence.
//!
//! Promises: windows of one boot have ascending sequences, and none is on a stream twice with
//! different counts; adding windows together is exact. A sequence may be missing at the hub:
//! a sign of life that got lost, or a window that a limit dropped.
//! Where windows wait is left to the spool, how they travel to the uplink.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::inputs::{self, InputWindow};
use crate::window::{Sealed, SealedSeries};

/// One start of the agent: 16 random bytes. Sequences count within it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BootId(pub [u8; 16]);

impl BootId {
    /// A boot that was never before.
    pub fn random() -> Self {
        Self(rand::random())
    }

    /// A number that is this boot's own.
    pub fn seed(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BootId({self})")
    }
}

impl From<BootId> for String {
    fn from(boot: BootId) -> Self {
        boot.to_string()
    }
}

impl TryFrom<String> for BootId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let value = (text.len() == 32)
            .then(|| u128::from_str_radix(&text, 16).ok())
            .flatten();
        match value {
            Some(value) => Ok(Self(value.to_be_bytes())),
            None => Err(format!(
                "{text:?} is no boot id: it has 32 hexadecimal digits"
            )),
        }
    }
}

/// A span of time, sealed. Windows that were added together have a wider range.
#[derive(Clone, Debug)]
pub struct Window {
    /// The start of the agent that counted it.
    pub boot: BootId,
    /// The first sequence in it; sequences begin at 1.
    pub first: u64,
    /// The last sequence in it.
    pub last: u64,
    /// When it began, by the wall clock.
    pub start_us: i64,
    /// How long it lasted, by the monotonic clock.
    pub span_ms: u32,
    /// What was counted.
    pub series: Vec<SealedSeries>,
    /// Requests under way when it was sealed.
    pub in_flight: u32,
    /// What inputs were counted: every few windows.
    pub inputs: Vec<InputWindow>,
}

impl Window {
    /// How many requests it counts.
    pub fn requests(&self) -> u64 {
        let counts = self
            .series
            .iter()
            .map(|series| series.latency.count().unwrap_or(0));
        counts.fold(0, u64::saturating_add)
    }

    /// Adds a later window of the same boot: the range and the span reach to its end.
    pub fn add(&mut self, later: Self) {
        debug_assert!(self.boot == later.boot && self.last < later.first);
        self.last = later.last;
        let end_us = later
            .start_us
            .saturating_add(i64::from(later.span_ms) * 1_000);
        let reach_ms = end_us.saturating_sub(self.start_us) / 1_000;
        // A wall clock that was set back would make the sum shorter than its parts.
        let least_ms = self.span_ms.saturating_add(later.span_ms);
        self.span_ms = u32::try_from(reach_ms).unwrap_or(0).max(least_ms);
        self.in_flight = later.in_flight;
        let mut sum = Sealed {
            series: std::mem::take(&mut self.series),
            ..Sealed::default()
        };
        sum.merge(Sealed {
            series: later.series,
            ..Sealed::default()
        });
        self.series = sum.series;
        inputs::merge(&mut self.inputs, later.inputs);
    }
}

/// Gives windows their sequence, start and span.
#[derive(Debug)]
pub struct Sealer {
    boot: BootId,
    next: u64,
    opened: Instant,
    opened_us: i64,
}

impl Sealer {
    /// Opens the first window of a boot.
    pub fn new(boot: BootId, now: Instant, wall_us: i64) -> Self {
        Self {
            boot,
            next: 1,
            opened: now,
            opened_us: wall_us,
        }
    }

    /// The last sequence that was given; 0 before the first.
    pub fn last(&self) -> u64 {
        self.next - 1
    }

    /// The last window counted nothing and was never sent: the next one takes its sequence, so
    /// that the hub sees no gap where nothing is missing.
    pub fn take_back(&mut self) {
        self.next = self.next.saturating_sub(1).max(1);
    }

    /// Closes the open window over what was counted in it, and opens the next.
    pub fn seal(
        &mut self,
        series: Vec<SealedSeries>,
        in_flight: u32,
        now: Instant,
        wall_us: i64,
    ) -> Window {
        let span = now.saturating_duration_since(self.opened);
        let window = Window {
            boot: self.boot,
            first: self.next,
            last: self.next,
            start_us: self.opened_us,
            span_ms: whole_ms(span),
            series,
            in_flight,
            inputs: Vec::new(),
        };
        self.next += 1;
        self.opened = now;
        self.opened_us = wall_us;
        window
    }
}

/// To the nearest millisecond: a timer's lateness must not add up over windows.
fn whole_ms(span: Duration) -> u32 {
    u32::try_from((span.as_micros() + 500) / 1_000).unwrap_or(u32::MAX)
}
