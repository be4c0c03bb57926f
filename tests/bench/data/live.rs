//! What counting a live value against a reference costs, once it is decoded.

use std::hint::black_box;

use binnacle_sketch::profile::{Column, Counts, Feature, Field, Gather, Kind, Ties};

use super::cpu_s;

const ROWS: usize = 4_096;
const TIMES: usize = 5_000;

/// A line for the page.
pub(crate) fn measured() -> String {
    let ties = Ties::new(1, "live");
    let numbers: Vec<f64> = (0..ROWS as u64).map(|n| ties.at(n)).collect();
    let texts: Vec<String> = (0..ROWS as u64)
        .map(|n| format!("city-{}", ties.bits(n) % 300))
        .collect();
    let field = |name: &str, kind| Field {
        name: name.to_owned(),
        kind,
    };
    let fields = vec![field("n", Kind::Number), field("c", Kind::Category)];
    let mut gather = Gather::new(1, fields).unwrap();
    let at = |row: usize| texts.get(row).map(String::as_str);
    let columns = [
        Column::Numbers {
            values: &numbers,
            nulls: 0,
        },
        Column::Texts { at: &at, nulls: 0 },
    ];
    gather.block(ROWS, &columns, None);
    let profile = gather.finish();
    let [number, category] = &profile.features[..] else {
        panic!("two features")
    };
    let a = ns(number, |feature, counts, n| {
        feature.number(counts, numbers[n], ties.at(n as u64));
    });
    let b = ns(category, |feature, counts, n| {
        feature.category(counts, texts[n].as_bytes(), ties.at(n as u64));
    });
    let line = format!(
        "\nA live value, decoded, with its tie-break: {a:.1} ns as a number, {b:.1} ns as a \
         category (300 of them).\n"
    );
    print!("{line}");
    line
}

fn ns(feature: &Feature, count: impl Fn(&Feature, &mut Counts, usize)) -> f64 {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let mut counts = Counts::default();
        let before = cpu_s();
        for _ in 0..TIMES {
            for n in 0..ROWS {
                count(black_box(feature), &mut counts, n);
            }
        }
        black_box(&counts);
        best = f64::min(best, (cpu_s() - before) / (TIMES * ROWS) as f64 * 1e9);
    }
    best
}
