//! What an expert says, in words that name the feature's own values: "spread ×1.4", "mass +8 % in
//! [0, 0.1]", "class 3 −60 %", "missing 0 → 2.3 %". The figures are those of the live counts; the
//! expert says which of them matter.

use std::ops::Range;

use binnacle_sketch::profile::{BINS, Feature, Found, Ranked};

use super::experts::{Shape, middles};
use super::signal::Signal;
use super::special::normal_quantile;

/// Categories that are named one by one.
const NAMED: usize = 3;
/// Part of a category that must lie in the bins for it to be named.
const PART: f64 = 0.25;

/// What happened to the values of a feature, by these live counts of its bins.
pub(super) fn moved(shape: &Shape, feature: &Feature, counts: &[u64; BINS]) -> String {
    let shares = feature
        .bins()
        .map_or([1.0 / BINS as f64; BINS], |bins| bins.shares());
    let all: f64 = counts.iter().map(|count| *count as f64).sum();
    let live = counts.map(|count| count as f64 / all.max(1.0));
    let scores = middles().map(normal_quantile);
    let mean = |shares: &[f64; BINS], of: &dyn Fn(f64) -> f64| -> f64 {
        shares
            .iter()
            .zip(scores)
            .map(|(share, z)| share * of(z))
            .sum()
    };
    let ranked = matches!(feature.found, Found::Categories(_));
    match shape {
        Shape::Shift(_) => {
            let by = mean(&live, &|z| z) - mean(&shares, &|z| z);
            match (ranked, by > 0.0) {
                (false, true) => format!("values up by {by:.1} σ"),
                (false, false) => format!("values down by {:.1} σ", by.abs()),
                (true, true) => "rarer categories are more frequent".to_owned(),
                (true, false) => "frequent categories are more frequent".to_owned(),
            }
        }
        Shape::Spread(_) => {
            let width = |shares: &[f64; BINS]| {
                let middle = mean(shares, &|z| z);
                mean(shares, &|z| (z - middle).powi(2)).sqrt()
            };
            let factor = width(&live) / width(&shares).max(f64::MIN_POSITIVE);
            format!("spread ×{factor:.1}")
        }
        Shape::Ends(theta) if *theta > 0.0 => "more values at both ends".to_owned(),
        Shape::Ends(_) => "more values in the middle".to_owned(),
        Shape::Lean(_) => "values lean to one side".to_owned(),
        Shape::Spike(bins, _) => {
            let more = part(&live, bins) - part(&shares, bins);
            format!("mass {} in {}", percent(more), place(feature, bins))
        }
        Shape::Loss(bins, _) => {
            let expected = part(&shares, bins).max(f64::MIN_POSITIVE);
            let less = part(&live, bins) / expected - 1.0;
            let class = if ranked { "class " } else { "" };
            format!("{class}{} {}", place(feature, bins), percent(less))
        }
        Shape::Share(share) => percent(*share),
    }
}

/// What happened to a two-valued signal.
pub(super) fn shared(signal: Signal, reference: f64, live: f64) -> String {
    let what = match signal {
        Signal::Values => "values",
        Signal::Missing => "missing",
        Signal::Unseen => "unseen categories",
        Signal::OutOfRange => "out of range",
        Signal::Unfit => "requests that do not fit",
    };
    let share = |share: f64| {
        let percent = share * 100.0;
        match percent {
            _ if percent <= 0.0 => "0".to_owned(),
            _ if percent < 0.1 => format!("{percent:.2}"),
            _ => format!("{percent:.1}"),
        }
    };
    format!("{what} {} → {} %", share(reference), share(live))
}

/// A part more or less, in percent.
fn percent(part: f64) -> String {
    let sign = if part < 0.0 { '−' } else { '+' };
    format!("{sign}{:.0} %", (part * 100.0).abs())
}

fn part(shares: &[f64; BINS], bins: &Range<usize>) -> f64 {
    shares.iter().skip(bins.start).take(bins.len()).sum()
}

/// What lies in these bins: a span of values, or categories.
fn place(feature: &Feature, bins: &Range<usize>) -> String {
    match &feature.found {
        Found::Numbers(numbers) => {
            let edges = numbers.bins.edges();
            let edge = |at: usize| edges.get(at).map(|edge| edge.x).filter(|x| x.is_finite());
            let low = bins
                .start
                .checked_sub(1)
                .and_then(edge)
                .unwrap_or(numbers.min);
            let high = edge(bins.end - 1).unwrap_or(numbers.max);
            if low == high {
                return format!("[{}]", figure(low));
            }
            format!("[{}, {}]", figure(low), figure(high))
        }
        Found::Categories(ranked) => names(ranked, bins),
        Found::Nothing | Found::Text { .. } => "what has no bins".to_owned(),
    }
}

/// The categories of which a good part lies in these bins.
fn names(ranked: &Ranked, bins: &Range<usize>) -> String {
    let all = f64::from(ranked.bins.sampled().max(1));
    let (from, to) = (
        bins.start as f64 / BINS as f64,
        bins.end as f64 / BINS as f64,
    );
    let mut below = 0.0;
    let mut found: Vec<(f64, &str)> = Vec::new();
    for category in ranked.categories.table() {
        let share = f64::from(category.sampled) / all;
        let within = (to.min(below + share) - from.max(below)).max(0.0);
        if within >= PART * share.min(to - from) {
            found.push((within, &category.name));
        }
        below += share;
    }
    if found.is_empty() {
        return "rare categories".to_owned();
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0));
    let rest = found.len().saturating_sub(NAMED);
    let named: Vec<&str> = found.iter().take(NAMED).map(|(_, name)| *name).collect();
    let named = named.join(", ");
    if rest > 0 {
        format!("{named} and {rest} more")
    } else {
        named
    }
}

/// A value in three figures.
pub(super) fn figure(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&size) {
        return format!("{x:.2e}");
    }
    let digits = 2 - size.log10().floor() as i32;
    let text = format!("{x:.*}", digits.max(0) as usize);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use binnacle_sketch::profile::{Column, Field, Gather, Kind};

    use super::*;

    fn numbers() -> Feature {
        let values: Vec<f64> = (0..=2_000).map(|n| f64::from(n) / 1_000.0).collect();
        let field = Field {
            name: "x".into(),
            kind: Kind::Number,
        };
        let mut gather = Gather::new(1, vec![field]).unwrap();
        gather.block(
            values.len(),
            &[Column::Numbers {
                values: &values,
                nulls: 0,
            }],
            None,
        );
        gather.finish().features.remove(0)
    }

    fn classes() -> Feature {
        let field = Field {
            name: "class".into(),
            kind: Kind::Category,
        };
        let mut gather = Gather::new(1, vec![field]).unwrap();
        let names = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
        let at = |row: usize| names.get(row % 10).copied();
        gather.block(4_000, &[Column::Texts { at: &at, nulls: 0 }], None);
        gather.finish().features.remove(0)
    }

    fn check(feature: &Feature, shape: &Shape, counts: [u64; BINS], expected: &str) {
        assert_eq!(moved(shape, feature, &counts), expected);
    }

    #[test]
    fn an_expert_is_told_in_the_features_own_values() {
        let even = [100; BINS];
        let with = |bins: Range<usize>, count: u64| {
            let mut counts = even;
            counts[bins].fill(count);
            counts
        };
        let numbers = numbers();
        let spike = Shape::Spike(0..1, 0.1);
        check(&numbers, &spike, with(0..1, 285), "mass +8 % in [0, 0.099]");
        let loss = Shape::Loss(18..20, 0.5);
        check(&numbers, &loss, with(18..20, 40), "[1.8, 2] −58 %");
        let mut right = even;
        right
            .iter_mut()
            .enumerate()
            .for_each(|(bin, n)| *n += 20 * bin as u64);
        check(&numbers, &Shape::Shift(0.4), right, "values up by 0.4 σ");
        right.reverse();
        check(&numbers, &Shape::Shift(-0.4), right, "values down by 0.4 σ");
        let mut wide = even;
        wide[..3].fill(300);
        wide[17..].fill(300);
        check(&numbers, &Shape::Spread(1.3), wide, "spread ×1.3");
        check(
            &classes(),
            &Shape::Loss(6..8, 0.5),
            with(6..8, 37),
            "class 3 −61 %",
        );
        check(
            &classes(),
            &Shape::Spike(0..1, 0.1),
            with(0..1, 240),
            "mass +6 % in 0",
        );
    }

    #[test]
    fn a_share_is_told_before_and_after() {
        assert_eq!(shared(Signal::Missing, 0.0, 0.023), "missing 0 → 2.3 %");
        assert_eq!(
            shared(Signal::OutOfRange, 0.0004, 0.5),
            "out of range 0.04 → 50.0 %"
        );
    }

    #[test]
    fn figures_are_short() {
        for (x, text) in [
            (0.1, "0.1"),
            (123_456.0, "123456"),
            (0.012_34, "0.0123"),
            (-5.0, "-5"),
            (1e9, "1.00e9"),
            (99.99, "100"),
            (2e-7, "2.00e-7"),
        ] {
            assert_eq!(figure(x), text);
        }
    }
}
