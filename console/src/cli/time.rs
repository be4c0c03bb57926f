//! Times and durations as people type them.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp, Zoned};

/// A duration: 20s, 5m, 2h30m, 1d is 24 h.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: say 20s, 5m or 2h30m");
    let duration: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

/// A moment: RFC 3339, a local time of today (03:12), or how long ago (10m).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    At(Timestamp),
    Ago(Duration),
}

impl Moment {
    /// Microseconds since 1970.
    pub(crate) fn us(self, now_us: i64) -> i64 {
        match self {
            Self::At(at) => at.as_microsecond(),
            Self::Ago(ago) => {
                now_us.saturating_sub(i64::try_from(ago.as_micros()).unwrap_or(i64::MAX))
            }
        }
    }
}

/// Reads a moment.
pub(crate) fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Moment::At(at));
    }
    if let Ok(ago) = duration(text) {
        return Ok(Moment::Ago(ago));
    }
    let time: Result<jiff::civil::Time, _> = text.parse();
    let today = time.and_then(|time| Zoned::now().with().time(time).build());
    match today {
        Ok(at) => Ok(Moment::At(at.timestamp())),
        Err(_) => Err(format!(
            "{text:?} is no time: say 2026-01-31T03:12:00Z, 03:12 or 10m"
        )),
    }
}

/// Now, by this machine's clock.
pub(crate) fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        assert_eq!(moment("10m").unwrap().us(600_000_001), 1);
        assert_eq!(moment("1970-01-01T00:00:01Z").unwrap().us(0), 1_000_000);
        assert!(matches!(moment("03:12"), Ok(Moment::At(_))));
        for text in ["", "yesterday", "-5s", "25:00"] {
            assert!(moment(text).is_err(), "{text}");
        }
    }
}
