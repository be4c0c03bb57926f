//! How many false pages are accepted, and what follows from it for every threshold.

use serde::{Deserialize, Serialize};

/// Ticks of a day, each of five seconds. A step is a tick with at least one observation, so a
/// stream has at most so many a day: what arrives late counts in the tick in which it arrives.
pub const TICKS_A_DAY: u32 = 17_280;

/// What is accepted of false alarms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Budget {
    /// False pages a day, over the whole fleet.
    pub pages_a_day: f64,
    /// Warnings a week that chance alone may give a model: shown, never paged.
    pub warnings_a_week: f64,
    /// Of the pages, the part that is spent on versions that begin to serve.
    pub on_arrival: f64,
    /// Models that are watched.
    pub models: u32,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            pages_a_day: 1.0,
            warnings_a_week: 1.0,
            on_arrival: 0.05,
            models: 1,
        }
    }
}

impl Budget {
    /// For so many models.
    pub fn of(models: u32) -> Self {
        Self {
            models,
            ..Self::default()
        }
    }

    /// `c`: a model pages when the mean evidence of its streams reaches this. The expected number
    /// of pages in T ticks without a change is at most T / c for each model.
    pub fn page(&self) -> f64 {
        let pages = self.pages_a_day * (1.0 - self.on_arrival);
        f64::from(TICKS_A_DAY) * f64::from(self.models.max(1)) / pages
    }

    /// `c_w`: the same for a warning.
    pub fn warning(&self) -> f64 {
        f64::from(TICKS_A_DAY) * 7.0 / self.warnings_a_week
    }

    /// `F·c`: what one stream alone needs, of so many of its model.
    pub fn alone(&self, streams: usize) -> f64 {
        self.page() * streams.max(1) as f64
    }

    /// The level of the tests of the n-th version that begins to serve on a day, from 1. However
    /// many there are, their levels add up to their part of the budget: Σ 1/(n(n+1)) = 1.
    pub fn arrival(&self, nth: u32) -> f64 {
        let nth = f64::from(nth.max(1));
        self.pages_a_day * self.on_arrival / (nth * (nth + 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_models_of_a_hundred_features_need_21_3() {
        let budget = Budget {
            on_arrival: 0.0,
            ..Budget::of(1_000)
        };
        assert!((budget.alone(100).ln() - 21.27).abs() < 0.005);
        assert!((budget.warning().ln() - 11.70).abs() < 0.005);
    }

    #[test]
    fn however_many_versions_arrive_their_levels_stay_within_their_part() {
        let budget = Budget::of(10);
        let all: f64 = (1..100_000).map(|nth| budget.arrival(nth)).sum();
        assert!(all < 0.05 && all > 0.0499, "{all}");
        let paged = f64::from(TICKS_A_DAY) / budget.page() * 10.0;
        assert!((paged + 0.05 - 1.0).abs() < 1e-9, "{paged}");
    }
}
