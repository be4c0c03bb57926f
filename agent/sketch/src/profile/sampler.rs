//! The rows of a table that are kept, which they were, and when.

use super::hours::{Hours, NO_TIME, hour_of_week};
use super::sample::Reservoir;
use super::tie::Ties;

/// A sample that is being drawn.
#[derive(Clone, Debug)]
pub(super) struct Sampler {
    reservoir: Reservoir,
    /// The row of the table in each slot, and its time.
    rows: Vec<u64>,
    times: Vec<i64>,
    /// The rows of the current block that are kept, and their slots: kept to be reused.
    kept: Vec<(usize, usize)>,
}

impl Sampler {
    pub(super) fn new(reservoir: Reservoir) -> Self {
        Self {
            reservoir,
            rows: Vec::new(),
            times: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// Draws from the rows of the next block.
    pub(super) fn block(&mut self, rows: usize, times: Option<&[i64]>) {
        let first = self.reservoir.seen();
        self.kept.clear();
        let kept = &mut self.kept;
        self.reservoir
            .offer(rows, |row, slot| kept.push((row, slot)));
        for (row, slot) in &self.kept {
            put(&mut self.rows, *slot, first + *row as u64, 0);
        }
        if let Some(times) = times {
            for (row, slot) in &self.kept {
                let time = times.get(*row).copied().unwrap_or(NO_TIME);
                put(&mut self.times, *slot, time, NO_TIME);
            }
        }
    }

    /// The rows of the last block that are kept, and their slots.
    pub(super) fn kept(&self) -> &[(usize, usize)] {
        &self.kept
    }

    /// Rows so far.
    pub(super) fn seen(&self) -> u64 {
        self.reservoir.seen()
    }

    /// Rows of the sample.
    pub(super) fn held(&self) -> usize {
        self.reservoir.held()
    }

    /// What breaks the ties of the value in a slot.
    pub(super) fn tie(&self, ties: Ties, slot: usize) -> f64 {
        self.rows.get(slot).map_or(0.0, |row| ties.at(*row))
    }

    /// The slots whose time is known, in the order of their times.
    pub(super) fn in_time(&self) -> Vec<usize> {
        let time = |slot: &usize| self.times.get(*slot).copied();
        let mut order: Vec<usize> = (0..self.times.len()).collect();
        order.retain(|slot| time(slot).is_some_and(|time| time != NO_TIME));
        // Rows of one time stay in the order of the table.
        order.sort_by_key(|slot| (time(slot), self.rows.get(*slot).copied()));
        order
    }

    /// By hour of the week, the bins of what has both a value and a time. `bin` is asked with a
    /// slot.
    pub(super) fn hours(&self, bin: impl Fn(usize) -> Option<usize>) -> Option<Hours> {
        let times = self.times.iter().enumerate();
        let known = times.filter(|(_, time)| **time != NO_TIME);
        let binned = known.filter_map(|(slot, time)| Some((hour_of_week(*time), bin(slot)?)));
        let mut binned = binned.peekable();
        binned.peek()?;
        Some(Hours::of(binned))
    }
}

/// Puts a value into a slot, which is at most one past the last.
pub(super) fn put<T: Clone>(cells: &mut Vec<T>, slot: usize, value: T, none: T) {
    if cells.len() <= slot {
        cells.resize(slot + 1, none);
    }
    if let Some(cell) = cells.get_mut(slot) {
        *cell = value;
    }
}
