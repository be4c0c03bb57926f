//! A unit that was changed on the way: grams for kilograms, months for years, Fahrenheit.
//!
//! A wrong unit is one of few factors, and it moves every quantile by it. The quantiles of the
//! live values are held against the reference's under each candidate; the one that fits is named
//! only if it fits nearly exactly, and leaving the values as they are does not.

use std::fmt;

use binnacle_sketch::Magnitudes;
use binnacle_sketch::profile::Quantiles;
use serde::{Deserialize, Serialize};

/// Live values that the quantiles need behind them.
const LEAST: u64 = 200;
/// Quantiles that must fit: from the first tenth to the last.
const AT: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];
/// How far they may be off, of their own size and the spread of the reference together.
const FITS: f64 = 0.06;
/// How many times farther off the values must be as they are.
const BETTER: f64 = 4.0;
/// Factors that are units: what they are, and in words.
const FACTORS: [(f64, &str); 6] = [
    (7.0, "weeks and days"),
    (12.0, "years and months"),
    (24.0, "days and hours"),
    (60.0, "hours and minutes, or minutes and seconds"),
    (2.54, "inches and centimetres"),
    (1.609, "miles and kilometres"),
];
/// Powers of ten that are units, as nano to giga are.
const POWERS: std::ops::RangeInclusive<i32> = 1..=9;

/// What happened to the values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// They are multiplied by this.
    Times(f64),
    /// They are divided by this.
    Over(f64),
    /// What was °C is °F.
    Fahrenheit,
    /// What was °F is °C.
    Celsius,
    /// They have the other sign.
    Sign,
}

/// The change of unit between a reference and live values, if one explains them.
pub fn unit(reference: &Quantiles, live: &Magnitudes) -> Option<Change> {
    if live.count() < LEAST {
        return None;
    }
    let before = AT.map(|share| reference.at(share));
    let now = AT.map(|share| live.quantile(share).unwrap_or_default());
    let as_it_is = off(&before, &now);
    let mut best: Option<(f64, Change)> = None;
    for change in candidates() {
        let mut expected = before.map(|x| change.of(x));
        expected.sort_by(f64::total_cmp);
        let off = off(&expected, &now);
        if off < best.map_or(FITS, |(least, _)| least) {
            best = Some((off, change));
        }
    }
    best.filter(|(off, _)| as_it_is > BETTER * off.max(FITS / BETTER))
        .map(|(_, change)| change)
}

/// How far quantiles are off, of their own size or spread, whichever is greater: the worst.
fn off(expected: &[f64; 5], now: &[f64; 5]) -> f64 {
    let [low, .., high] = expected;
    let spread = high - low;
    let each = expected.iter().zip(now).map(|(expected, now)| {
        let size = expected.abs().max(spread);
        if size > 0.0 {
            (now - expected).abs() / size
        } else {
            f64::from(u8::from(*now != 0.0))
        }
    });
    each.fold(0.0, f64::max)
}

fn candidates() -> impl Iterator<Item = Change> {
    let powers = POWERS.map(|power| 10.0_f64.powi(power));
    let factors = FACTORS.iter().map(|(factor, _)| *factor).chain(powers);
    let both = factors.flat_map(|factor| [Change::Times(factor), Change::Over(factor)]);
    both.chain([Change::Fahrenheit, Change::Celsius, Change::Sign])
}

impl Change {
    /// What a value becomes.
    pub fn of(self, x: f64) -> f64 {
        match self {
            Self::Times(factor) => x * factor,
            Self::Over(factor) => x / factor,
            Self::Fahrenheit => x * 1.8 + 32.0,
            Self::Celsius => (x - 32.0) / 1.8,
            Self::Sign => -x,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (factor, times) = match self {
            Self::Times(factor) => (*factor, true),
            Self::Over(factor) => (*factor, false),
            Self::Fahrenheit => return f.write_str("°C became °F"),
            Self::Celsius => return f.write_str("°F became °C"),
            Self::Sign => return f.write_str("every sign is changed"),
        };
        let sign = if times { '×' } else { '÷' };
        let named = FACTORS.iter().find(|(known, _)| *known == factor);
        match named {
            Some((_, units)) => write!(f, "every value {sign} {factor}, as {units}"),
            None => write!(f, "every value {sign} {factor}: a power of ten"),
        }
    }
}

#[cfg(test)]
mod tests {
    use binnacle_sketch::profile::{Column, Field, Found, Gather, Kind, Ties};

    use super::*;

    fn values(seed: u64, count: u64) -> Vec<f64> {
        let ties = Ties::new(seed, "values");
        let normal = |at: u64| (0..12).map(|n| ties.at(at * 12 + n)).sum::<f64>() - 6.0;
        (0..count).map(|at| 20.0 + 6.0 * normal(at)).collect()
    }

    fn reference(values: &[f64]) -> Quantiles {
        let field = Field {
            name: "x".into(),
            kind: Kind::Number,
        };
        let mut gather = Gather::new(1, vec![field]).unwrap();
        gather.block(values.len(), &[Column::Numbers { values, nulls: 0 }], None);
        let profile = gather.finish();
        let Found::Numbers(numbers) = &profile.features[0].found else {
            panic!("numbers")
        };
        numbers.quantiles.clone()
    }

    fn found(count: u64, changed: impl Fn(f64) -> f64) -> Option<Change> {
        let mut live = Magnitudes::default();
        values(2, count)
            .into_iter()
            .for_each(|x| live.add(changed(x)));
        unit(&reference(&values(1, 5_000)), &live)
    }

    #[test]
    fn every_change_of_unit_is_named() {
        for change in candidates() {
            assert_eq!(found(3_000, |x| change.of(x)), Some(change), "{change}");
        }
    }

    #[test]
    fn what_is_no_change_of_unit_is_not_taken_for_one() {
        assert_eq!(found(3_000, |x| x), None);
        assert_eq!(found(3_000, |x| x + 3.0), None);
        assert_eq!(found(3_000, |x| x * 1.3), None);
        assert_eq!(found(3_000, |x| x * 15.0), None);
        assert_eq!(found(3_000, |x| (x - 20.0) * 4.0 + 20.0), None);
        assert_eq!(found(199, |x| x * 60.0), None, "too few");
        assert_eq!(found(3_000, |_| 0.0), None);
    }

    #[test]
    fn a_change_is_told_in_words() {
        assert_eq!(
            Change::Times(12.0).to_string(),
            "every value × 12, as years and months"
        );
        assert_eq!(
            Change::Over(1_000.0).to_string(),
            "every value ÷ 1000: a power of ten"
        );
    }
}
