//! Axes: latencies on a logarithmic scale, and time from left to right.

/// A logarithmic scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LogScale {
    /// Its lower end, above zero.
    pub(super) low: f64,
    /// Its upper end, above the lower.
    pub(super) high: f64,
}

impl LogScale {
    /// The scale over these values; nothing when none of them is above zero. It spans at least
    /// this ratio: a scale that hugs its values makes noise look like news.
    pub(super) fn over(values: impl IntoIterator<Item = f64>, ratio: f64) -> Option<Self> {
        let values = values.into_iter().filter(|v| v.is_finite() && *v > 0.0);
        let ends = values.fold(None, |ends: Option<(f64, f64)>, value| {
            let (low, high) = ends.unwrap_or((value, value));
            Some((low.min(value), high.max(value)))
        });
        let (low, high) = ends?;
        let short = (ratio / (high / low)).max(1.0).sqrt();
        Some(Self {
            low: low / short,
            high: high * short,
        })
    }

    /// Where a value lies: 0 at the lower end, 1 at the upper.
    pub(super) fn place(&self, value: f64) -> f64 {
        let place = (value / self.low).ln() / (self.high / self.low).ln();
        place.clamp(0.0, 1.0)
    }

    /// The value at a place.
    pub(super) fn at(&self, place: f64) -> f64 {
        self.low * (self.high / self.low).powf(place)
    }

    /// Round values within it, the densest choice of them that pleases; none if none does.
    pub(super) fn ticks(&self, pleases: impl Fn(&[f64]) -> bool) -> Vec<f64> {
        const CHOICES: [(&[f64], i32); 6] = [
            (&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0], 1),
            (&[1.0, 2.0, 5.0], 1),
            (&[1.0, 3.0], 1),
            (&[1.0], 1),
            (&[1.0], 2),
            (&[1.0], 3),
        ];
        let first = self.low.log10().floor() as i32;
        let last = self.high.log10().ceil() as i32;
        let mut choices = CHOICES.iter().map(|(digits, every)| {
            let decades = (first..=last).filter(|decade| decade.rem_euclid(*every) == 0);
            let ticks = decades.flat_map(|decade| {
                let unit = 10_f64.powi(decade);
                digits.iter().map(move |digit| digit * unit)
            });
            // A tick may miss an end by the rounding of its power of ten.
            let (low, high) = (self.low * 0.999_999, self.high * 1.000_001);
            let ticks: Vec<f64> = ticks.filter(|tick| (low..=high).contains(tick)).collect();
            ticks
        });
        choices.find(|ticks| pleases(ticks)).unwrap_or_default()
    }
}

/// A round latency in microseconds: its figure, and its unit.
pub(super) fn tick(us: f64) -> (String, &'static str) {
    match us {
        us if us < 0.999_5 => (format!("{:.0}", us * 1e3), "ns"),
        us if us < 999.5 => (format!("{us:.0}"), "µs"),
        us if us < 999_500.0 => (format!("{:.0}", us / 1e3), "ms"),
        us => (format!("{:.0}", us / 1e6), "s"),
    }
}

/// A span of time over a number of columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeScale {
    from_us: i128,
    length_us: i128,
    columns: usize,
}

const MINUTE_US: i128 = 60_000_000;
/// Columns from one tick to the next at the least: a label and three blanks.
const TICK_COLUMNS: usize = 8;

impl TimeScale {
    /// The scale of a span in microseconds since 1970.
    pub(super) fn new((from_us, to_us): (i64, i64), columns: usize) -> Self {
        let (from_us, to_us) = (i128::from(from_us), i128::from(to_us));
        Self {
            from_us,
            length_us: (to_us - from_us).max(1),
            columns,
        }
    }

    /// The column in which a moment lies; the end of the span lies in the last.
    pub(super) fn column(&self, at_us: i64) -> Option<usize> {
        let past = i128::from(at_us) - self.from_us;
        if self.columns == 0 || past < 0 || past > self.length_us {
            return None;
        }
        let column = past * self.columns as i128 / self.length_us;
        Some((column as usize).min(self.columns - 1))
    }

    /// The columns in whose middle a step is: none where steps are narrower than columns and
    /// this one lies between two middles.
    pub(super) fn columns(&self, start_us: i64, step_us: i64) -> std::ops::Range<usize> {
        let first = |past_us: i128| {
            let doubled = 2 * past_us * self.columns as i128 - self.length_us;
            let first = doubled.div_euclid(2 * self.length_us)
                + i128::from(doubled.rem_euclid(2 * self.length_us) > 0);
            first.clamp(0, self.columns as i128) as usize
        };
        let past = i128::from(start_us) - self.from_us;
        first(past)..first(past + i128::from(step_us))
    }

    /// Whether steps of this length are narrower than a column, so that some share one.
    pub(super) fn has_narrower(&self, step_us: i64) -> bool {
        i128::from(step_us) * (self.columns as i128) < self.length_us
    }

    /// Columns of round times, with their `hh:mm` in UTC.
    pub(super) fn ticks(&self) -> Vec<(usize, String)> {
        const STEPS_MIN: [i128; 14] = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 240, 360, 720, 1_440];
        if self.columns == 0 {
            return Vec::new();
        }
        let least_us = self.length_us * TICK_COLUMNS as i128 / self.columns as i128;
        let mut steps = STEPS_MIN.iter().map(|step| step * MINUTE_US);
        let day = 1_440 * MINUTE_US;
        let step = steps.find(|step| *step >= least_us);
        let step = step.unwrap_or(least_us.div_euclid(day) * day + day);
        let first = -(-self.from_us).div_euclid(step) * step;
        let count = (self.from_us + self.length_us - first).div_euclid(step);
        let ticks = (0..=count).filter_map(|at| {
            let at_us = i64::try_from(first + at * step).ok()?;
            Some((self.column(at_us)?, hh_mm(at_us)))
        });
        ticks.collect()
    }
}

/// The time of day in UTC.
pub(crate) fn hh_mm(at_us: i64) -> String {
    let minutes = at_us.div_euclid(60_000_000).rem_euclid(1_440);
    format!("{:02}:{:02}", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_and_as_dense_as_they_may_be() {
        let scale = LogScale {
            low: 1_000.0,
            high: 1_000_000.0,
        };
        let told = |most: usize| {
            let ticks = scale.ticks(|ticks| ticks.len() <= most);
            let ticks = ticks.into_iter().map(|us| {
                let (figure, unit) = tick(us);
                format!("{figure} {unit}")
            });
            ticks.collect::<Vec<_>>()
        };
        assert_eq!(
            told(7),
            ["1 ms", "3 ms", "10 ms", "30 ms", "100 ms", "300 ms", "1 s"]
        );
        assert_eq!(told(4), ["1 ms", "10 ms", "100 ms", "1 s"]);
        assert_eq!(told(0), Vec::<String>::new());
    }

    #[test]
    fn round_times_lie_at_least_a_label_apart() {
        let half_hour = TimeScale::new((1_000_000, 1_801_000_000), 72);
        let told = half_hour.ticks();
        let times: Vec<&str> = told.iter().map(|(_, time)| &**time).collect();
        assert_eq!(
            times,
            ["00:05", "00:10", "00:15", "00:20", "00:25", "00:30"]
        );
        assert_eq!(told[0].0, 11);
    }

    proptest! {
        #[test]
        fn a_scale_holds_its_values_and_its_places_go_up(
            values in prop::collection::vec(1e-3..1e12_f64, 1..20),
        ) {
            let scale = LogScale::over(values.iter().copied(), 2.0).unwrap();
            prop_assert!(scale.high / scale.low >= 1.999_999);
            let mut sorted = values;
            sorted.sort_by(f64::total_cmp);
            let places: Vec<f64> = sorted.iter().map(|value| scale.place(*value)).collect();
            prop_assert!(places.is_sorted());
            for (value, place) in sorted.iter().zip(places) {
                prop_assert!((scale.at(place) / value - 1.0).abs() < 1e-6);
            }
        }

        #[test]
        fn no_span_is_too_strange_for_time(from: i64, to: i64, columns in 0..300_usize, at: i64) {
            let scale = TimeScale::new((from, to), columns);
            let ticks = scale.ticks();
            prop_assert!(ticks.iter().all(|(column, _)| *column < columns));
            prop_assert!(ticks.is_sorted_by(|a, b| a.0 + TICK_COLUMNS <= b.0 + 1));
            prop_assert!(scale.column(at).is_none_or(|column| column < columns));
            prop_assert!(scale.columns(at, 60_000_000).end <= columns);
        }

        #[test]
        fn steps_that_follow_on_each_other_cover_each_column_once(
            from in 0..1_000_000_000_000_i64, step in 1..1_000_000_i64,
            steps in 1..100_i64, columns in 1..200_usize,
        ) {
            let scale = TimeScale::new((from, from + step * steps), columns);
            let mut covered = vec![0; columns];
            for at in 0..steps {
                scale.columns(from + at * step, step).for_each(|column| covered[column] += 1);
            }
            prop_assert!(covered.iter().all(|times| *times == 1), "{covered:?}");
        }
    }
}
