//! How a feature's bins were filled in each hour of the week.
//!
//! Times are UTC; hour 0 begins on Monday at midnight. A share is one byte: the square root of
//! it in 255ths, because the error of a share grows with its root, and so the rounding is under a
//! tenth of what 400 rows leave uncertain, everywhere.

use super::Malformed;
use super::bins::BINS;

/// Hours of a week.
pub const HOURS: usize = 168;
/// A time that is not known, among known ones.
pub const NO_TIME: i64 = i64::MIN;
/// 1 January 1970 was a Thursday.
const EPOCH_HOUR: i64 = 72;
const HOUR_US: i64 = 3_600_000_000;

/// Bin shares by hour of the week, and the sampled rows behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    rows: Vec<u32>,
    /// Hour by hour, the roots of the shares of its bins.
    roots: Vec<u8>,
}

/// The hour of the week of a time in microseconds since 1970, from 0 to 167.
pub fn hour_of_week(time_us: i64) -> usize {
    let hour = time_us.div_euclid(HOUR_US) + EPOCH_HOUR;
    hour.rem_euclid(HOURS as i64) as usize
}

impl Hours {
    /// Of the hour and the bin of each sampled row.
    pub(crate) fn of(rows: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut counts = vec![[0_u32; BINS]; HOURS];
        for (hour, bin) in rows {
            if let Some(count) = counts.get_mut(hour).and_then(|bins| bins.get_mut(bin)) {
                *count += 1;
            }
        }
        let mut roots = Vec::with_capacity(HOURS * BINS);
        let mut totals = Vec::with_capacity(HOURS);
        for bins in counts {
            let all: u32 = bins.iter().sum();
            totals.push(all);
            let root = |n: u32| (f64::from(n) / f64::from(all.max(1))).sqrt();
            roots.extend(bins.map(|n| (root(n) * 255.0).round() as u8));
        }
        Self {
            rows: totals,
            roots,
        }
    }

    /// What was written down so.
    pub(crate) fn from_parts(rows: Vec<u32>, roots: Vec<u8>) -> Result<Self, Malformed> {
        if rows.len() != HOURS || roots.len() != HOURS * BINS {
            return Err(Malformed::Hours);
        }
        Ok(Self { rows, roots })
    }

    pub(crate) fn parts(&self) -> (&[u32], &[u8]) {
        (&self.rows, &self.roots)
    }

    /// Sampled rows of an hour.
    pub fn rows(&self, hour: usize) -> u32 {
        self.rows.get(hour).copied().unwrap_or_default()
    }

    /// The share of a bin in an hour; `None` where the reference had no row in it.
    pub fn share(&self, hour: usize, bin: usize) -> Option<f64> {
        let root = self.roots.get(hour * BINS + bin)?;
        (self.rows(hour) > 0 && bin < BINS).then(|| (f64::from(*root) / 255.0).powi(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_week_begins_on_monday() {
        assert_eq!(hour_of_week(0), 72, "a Thursday");
        assert_eq!(
            hour_of_week(4 * 24 * HOUR_US),
            0,
            "5 January 1970 was a Monday"
        );
        assert_eq!(hour_of_week(4 * 24 * HOUR_US - 1), 167);
        assert_eq!(hour_of_week(-1), 71);
        assert!(hour_of_week(i64::MAX) < HOURS && hour_of_week(i64::MIN + 1) < HOURS);
    }

    #[test]
    fn a_share_is_kept_to_a_tenth_of_what_the_sample_leaves_uncertain() {
        for filled in 1..400_usize {
            let rows = (0..400).map(|n| (5, usize::from(n >= filled)));
            let hours = Hours::of(rows);
            let share = filled as f64 / 400.0;
            let error = (hours.share(5, 0).unwrap() - share).abs();
            let uncertain = (share / 400.0).sqrt();
            assert!(error < uncertain / 10.0, "{share} {error}");
        }
        let none = Hours::of(std::iter::empty());
        assert_eq!((none.share(5, 0), none.rows(5)), (None, 0));
        assert_eq!(none.share(168, 0), None);
    }
}
