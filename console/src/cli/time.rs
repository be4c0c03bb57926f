//! Times and durations as people type them.
//!
//! A time without a zone is of this machine's zone, as `date` shows it; with `Z` or `UTC` behind
//! it, it is of UTC. What it was taken for is said by [`told`].

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};

/// How moments are typed, for the help of every option that takes one.
pub(crate) const AT: &str = "As it was at a moment: 03:12 (the last one that has passed), 2h ago, \
    yesterday 14:00, 2026-01-31 03:12, of this machine's zone; 03:12Z or \
    2026-01-31T03:12:00Z of UTC";

/// A duration: 20s, 5m, 2h30m, 1d is 24 h.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is no duration: say 20s, 5m or 2h30m");
    let duration: SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

/// A moment, or how long ago.
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
    read(text, &Zoned::now())
}

/// Reads a moment that is over: what is to come cannot be told of.
pub(crate) fn past(text: &str) -> Result<Moment, String> {
    let now = Zoned::now();
    let found = read(text, &now)?;
    match found {
        Moment::At(at) if at > now.timestamp() => {
            let at = told(at.as_microsecond());
            Err(format!("{text:?} is to come: it was taken for {at}"))
        }
        Moment::At(_) | Moment::Ago(_) => Ok(found),
    }
}

/// A moment in this machine's zone and, where that is another, in UTC.
pub(crate) fn told(at_us: i64) -> String {
    let Ok(at) = Timestamp::from_microsecond(at_us) else {
        return format!("{at_us} us");
    };
    let local = at.to_zoned(TimeZone::system());
    let here = local.strftime("%Y-%m-%d %H:%M:%S %Z");
    match local.offset().is_zero() {
        true => here.to_string(),
        false => format!("{here} ({})", at.strftime("%Y-%m-%d %H:%M:%SZ")),
    }
}

fn read(text: &str, now: &Zoned) -> Result<Moment, String> {
    let trimmed = text.trim();
    if trimmed == "now" {
        return Ok(Moment::Ago(Duration::ZERO));
    }
    if let Ok(at) = trimmed.parse::<Timestamp>() {
        return Ok(Moment::At(at));
    }
    let ago = trimmed.strip_suffix("ago").map(str::trim_end);
    // 23:50:01 is a time of day to people, and also a span of 23 hours to whoever reads spans.
    if (ago.is_some() || !trimmed.contains(':'))
        && let Ok(ago) = duration(ago.unwrap_or(trimmed))
    {
        return Ok(Moment::Ago(ago));
    }
    let (civil, is_utc) = zoneless(trimmed);
    let now = match is_utc {
        true => now.with_time_zone(TimeZone::UTC),
        false => now.clone(),
    };
    let found = civil_moment(civil, &now).map(|at| Moment::At(at.timestamp()));
    found.ok_or_else(|| {
        format!(
            "{text:?} is no time: say 03:12, 2h ago, yesterday 14:00, 2026-01-31 03:12 or \
             2026-01-31T03:12:00Z"
        )
    })
}

/// A time without its `Z` or `UTC`, and whether it had one.
fn zoneless(text: &str) -> (&str, bool) {
    let utc = text.strip_suffix("UTC").or_else(|| text.strip_suffix('Z'));
    utc.map_or((text, false), |civil| (civil.trim_end(), true))
}

fn civil_moment(text: &str, now: &Zoned) -> Option<Zoned> {
    let zone = now.time_zone();
    let (day, time) = text.split_once(' ').unwrap_or((text, ""));
    let date = match day {
        "today" => Some(now.date()),
        "yesterday" => now.date().yesterday().ok(),
        _ => None,
    };
    if let Some(date) = date {
        let time = match time.trim() {
            "" => now.time(),
            time => time.parse::<Time>().ok()?,
        };
        return date.to_datetime(time).to_zoned(zone.clone()).ok();
    }
    if let Ok(time) = text.parse::<Time>()
        && text.contains(':')
        && !text.contains('-')
    {
        let today = now.date().to_datetime(time).to_zoned(zone.clone()).ok()?;
        return match today <= *now {
            true => Some(today),
            // At half past midnight, 23:50 is of the day before.
            false => {
                let before = now.date().checked_sub(1.day()).ok()?;
                before.to_datetime(time).to_zoned(zone.clone()).ok()
            }
        };
    }
    let at = text.parse::<DateTime>().ok();
    let midnight = || Some(text.parse::<Date>().ok()?.to_datetime(Time::midnight()));
    at.or_else(midnight)?.to_zoned(zone.clone()).ok()
}

/// Now, by this machine's clock.
pub(crate) fn now_us() -> i64 {
    Timestamp::now().as_microsecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half past midnight, two hours east of Greenwich.
    fn check(text: &str) -> Result<String, String> {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now: Timestamp = "2026-01-31T22:30:00Z".parse().unwrap();
        let now_us = now.as_microsecond();
        let found = read(text, &now.to_zoned(zone))?;
        let at = Timestamp::from_microsecond(found.us(now_us)).unwrap();
        Ok(at.to_string())
    }

    #[test]
    fn a_moment_is_read_as_people_type_it_in_the_zone_of_their_machine() {
        for (text, at) in [
            ("now", "2026-01-31T22:30:00Z"),
            ("00:12", "2026-01-31T22:12:00Z"),
            ("23:50", "2026-01-31T21:50:00Z"),
            ("23:50:01", "2026-01-31T21:50:01Z"),
            ("22:12Z", "2026-01-31T22:12:00Z"),
            ("22:40 UTC", "2026-01-30T22:40:00Z"),
            ("2h ago", "2026-01-31T20:30:00Z"),
            ("10m", "2026-01-31T22:20:00Z"),
            ("yesterday 14:00", "2026-01-31T12:00:00Z"),
            ("yesterday 14:00 UTC", "2026-01-30T14:00:00Z"),
            ("yesterday", "2026-01-30T22:30:00Z"),
            ("today 00:01", "2026-01-31T22:01:00Z"),
            ("2026-01-30", "2026-01-29T22:00:00Z"),
            ("2026-01-30 03:12", "2026-01-30T01:12:00Z"),
            ("2026-01-30 03:12Z", "2026-01-30T03:12:00Z"),
            ("2026-01-30T03:12:00+01:00", "2026-01-30T02:12:00Z"),
        ] {
            assert_eq!(check(text).as_deref(), Ok(at), "{text}");
        }
        for text in [
            "",
            "tomorrowish",
            "-5s",
            "25:00",
            "yesterday noon",
            "ago",
            "3",
        ] {
            let why = check(text).unwrap_err();
            assert!(why.contains("yesterday 14:00"), "{text}: {why}");
        }
    }

    #[test]
    fn what_is_to_come_is_not_told_of() {
        assert!(past("2999-01-01").unwrap_err().contains("is to come"));
        assert!(past("10m").is_ok());
    }

    #[test]
    fn a_moment_is_told_with_its_zone() {
        let told = told(1_000_000);
        assert!(told.contains(":01 ") && told.len() > "1970-01-01 00:00:01".len());
    }
}
