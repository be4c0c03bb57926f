//! How old rows are added together, whichever store keeps them: by series, exactly.

use binnacle_core::series::{SeriesKey, SeriesWindow};
use binnacle_sketch::{Latency, Malformed};

/// Rows of 10 s are kept apart for 6 h: an incident is looked into on the day of it.
pub const KEEP_FINE_US: i64 = 6 * 3_600 * 1_000_000;
/// Rows are kept for 7 days: last week's same hour is what today is held against.
pub const KEEP_US: i64 = 7 * 24 * 3_600 * 1_000_000;
/// Boots are remembered for a day longer than rows: an agent that was cut off for a week may
/// still hand in what it kept, and must not be counted twice.
pub const KEEP_WATERMARK_US: i64 = 8 * 24 * 3_600 * 1_000_000;
/// Minutes that one call adds together: an hour of arrears in one short transaction, so that
/// no flush waits long behind it.
pub(super) const MINUTES_AT_ONCE: u32 = 60;

/// What one call of [`super::Store::compact`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Compaction {
    /// Minutes whose 10 s rows were added together.
    pub minutes: u64,
    /// Rows dropped for their age.
    pub expired: u64,
    /// Parts of hosts' minutes dropped for their age.
    pub minutes_expired: u64,
    /// Boots forgotten for their age.
    pub forgotten: u64,
}

impl Compaction {
    /// Whether there may be more to do.
    pub fn is_partial(&self) -> bool {
        self.minutes >= u64::from(MINUTES_AT_ONCE)
    }
}

/// Rows of one span, handed in series by series, added together: one histogram is open at a
/// time, however many series there are.
#[derive(Default)]
pub(super) struct Sum {
    latency: Latency,
    open: Option<(SeriesKey, u64, u64)>,
    done: Vec<SeriesWindow>,
}

impl Sum {
    /// Adds one row's counts; rows of one series come one after the other.
    pub(super) fn add(&mut self, window: &SeriesWindow) -> Result<(), Malformed> {
        if self
            .open
            .as_ref()
            .is_none_or(|(key, ..)| *key != window.key)
        {
            self.close();
            self.open = Some((window.key.clone(), 0, 0));
        }
        self.latency.add_encoded(&window.latency)?;
        if let Some((_, request_bytes, response_bytes)) = &mut self.open {
            *request_bytes = request_bytes.saturating_add(window.request_bytes);
            *response_bytes = response_bytes.saturating_add(window.response_bytes);
        }
        Ok(())
    }

    /// One window a series, in the order in which they came.
    pub(super) fn into_windows(mut self) -> Vec<SeriesWindow> {
        self.close();
        self.done
    }

    fn close(&mut self) {
        if let Some((key, request_bytes, response_bytes)) = self.open.take() {
            self.done.push(SeriesWindow {
                key,
                latency: self.latency.encode(),
                request_bytes,
                response_bytes,
            });
            self.latency.clear();
        }
    }
}
