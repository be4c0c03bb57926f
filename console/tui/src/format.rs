//! Figures and ages as people read them.

/// A latency in microseconds with a fitting unit and three figures; `few` where unknown.
pub fn latency(us: Option<f64>) -> String {
    match us {
        None => "few".into(),
        Some(us) if us < 999.5 => format!("{} µs", three(us)),
        Some(us) if us < 999_500.0 => format!("{} ms", three(us / 1e3)),
        Some(us) => format!("{} s", three(us / 1e6)),
    }
}

/// Three significant figures, no more than needed.
fn three(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// A count with thin groups: 1,234,567.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share of a whole in per cent; a dash where the whole is nothing.
pub fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "–".into(),
        whole => {
            let percent = part as f64 * 100.0 / whole as f64;
            match percent {
                0.0 => "0 %".into(),
                percent if percent < 0.01 => "<0.01 %".into(),
                percent if percent < 9.95 => format!("{percent:.2} %"),
                percent => format!("{percent:.0} %"),
            }
        }
    }
}

/// A rate a second.
pub fn rate(per_s: f64) -> String {
    match per_s {
        rate if rate < 9.95 => format!("{rate:.1}"),
        rate => count(rate.round() as u64),
    }
}

/// Bytes in binary units.
pub fn bytes(value: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut scaled = value as f64;
    let mut at = 0;
    while scaled >= 1023.5 && at + 1 < units.len() {
        scaled /= 1024.0;
        at += 1;
    }
    match units.get(at) {
        Some(unit) if at == 0 => format!("{value} {unit}"),
        Some(unit) => format!("{} {unit}", three(scaled)),
        None => format!("{value} B"),
    }
}

/// How long ago, in steps that do not flicker: 1, 5, 30 and 60 s, then hours and days.
pub fn age(us: i64) -> String {
    let seconds = us.max(0) / 1_000_000;
    match seconds {
        0..10 => format!("{seconds}s"),
        10..60 => format!("{}s", seconds / 5 * 5),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let told = [
            0.0,
            41.234,
            999.4,
            1_000.0,
            38_249.0,
            999_499.0,
            1_200_000.0,
        ];
        let told: Vec<String> = told.into_iter().map(|us| latency(Some(us))).collect();
        assert_eq!(
            told,
            [
                "0.00 µs", "41.2 µs", "999 µs", "1.00 ms", "38.2 ms", "999 ms", "1.20 s"
            ]
        );
        assert_eq!(latency(None), "few");
        assert_eq!(
            [count(7), count(1_234), count(1_234_567)],
            ["7", "1,234", "1,234,567"]
        );
        assert_eq!(
            [share(0, 9), share(1, 1_000_000), share(41, 1_000)],
            ["0 %", "<0.01 %", "4.10 %"]
        );
        assert_eq!(
            [bytes(5), bytes(1_536), bytes(24 << 30)],
            ["5 B", "1.50 KiB", "24.0 GiB"]
        );
        assert_eq!(
            [age(3_900_000), age(43_000_000), age(3_599_000_000)],
            ["3s", "40s", "59m"]
        );
    }
}
