//! The time scrubber: which moment of the past is shown.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::model::Model;
use crate::update::say;

/// How far back anything is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);
const MINUTE_US: i64 = 60_000_000;

/// Reads a moment: `03:12` (the last one, UTC), `45m`, `2h ago`, or RFC 3339.
pub fn parse(text: &str, now_us: i64) -> Result<i64, String> {
    let text = text.trim();
    let now = Timestamp::from_microsecond(now_us).map_err(|error| error.to_string())?;
    let at = if let Ok(at) = text.parse::<Timestamp>() {
        at
    } else if let Some(at) = clock(text, now) {
        at
    } else {
        let ago = text.strip_suffix("ago").unwrap_or(text).trim();
        let ago = ago.trim_start_matches('-');
        let wrong =
            || format!("{text:?} is no time: say 03:12, 45m, 2h ago, 3d, 2026-11-22T03:12Z");
        let ago: SignedDuration = match days(ago) {
            Some(days) => days,
            None => ago.parse().map_err(|_| wrong())?,
        };
        now.checked_sub(ago).map_err(|error| error.to_string())?
    };
    kept(at.as_microsecond(), now_us)?;
    Ok(at.as_microsecond())
}

/// Whether anything of a moment may still be known; else why not.
pub(crate) fn kept(at_us: i64, now_us: i64) -> Result<(), String> {
    if at_us > now_us {
        return Err("that is yet to come".into());
    }
    if i128::from(now_us) - i128::from(at_us) > KEPT.as_micros() {
        return Err("nothing is kept for longer than 7 days".into());
    }
    Ok(())
}

/// Whole days, each of 24 hours: `3d`, `3 days`.
fn days(text: &str) -> Option<SignedDuration> {
    let number = text.trim_end_matches("days").trim_end_matches("day");
    let number = number.trim_end_matches('d').trim_end();
    let days: i64 = number.parse().ok().filter(|_| number != text)?;
    Some(SignedDuration::from_secs(days.checked_mul(86_400)?))
}

/// A time of day: the last such moment, in UTC.
fn clock(text: &str, now: Timestamp) -> Option<Timestamp> {
    let text = text.trim_end_matches(['Z', 'z']);
    let time: Time = match text.matches(':').count() {
        1 => format!("{text:0>5}:00").parse().ok()?,
        2 => text.parse().ok()?,
        _ => return None,
    };
    let today = now.to_zoned(TimeZone::UTC).date();
    let at = |date: jiff::civil::Date| {
        let zoned = date.to_datetime(time).to_zoned(TimeZone::UTC).ok()?;
        Some(zoned.timestamp())
    };
    let at_today = at(today)?;
    match at_today <= now {
        true => Some(at_today),
        false => at(today.yesterday().ok()?),
    }
}

/// Shows this moment.
pub(crate) fn show(model: &mut Model, at_us: i64) {
    model.at_us = Some(at_us - at_us.rem_euclid(MINUTE_US));
    model.learned_revision = u64::MAX;
}

/// Shows now again.
pub(crate) fn now(model: &mut Model) {
    model.at_us = None;
    model.data.past = None;
    model.learned_revision = u64::MAX;
}

/// A step through the past; from now it leads to the last finished minute.
pub(crate) fn step(model: &mut Model, by_us: i64) {
    let now_us = model.look().now_us;
    match model.at_us {
        Some(at_us) if at_us + by_us > now_us - MINUTE_US => now(model),
        Some(at_us) => show(model, at_us + by_us),
        None if by_us < 0 => show(model, now_us + by_us),
        None => say(model, Err("this is now".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Result<String, String> {
        let now: Timestamp = "2026-11-22T03:12:30Z".parse().unwrap();
        let at = parse(text, now.as_microsecond())?;
        Ok(Timestamp::from_microsecond(at).unwrap().to_string())
    }

    #[test]
    fn moments_are_read_as_people_say_them() {
        let told = [
            ("03:12", "2026-11-22T03:12:00Z"),
            ("3:12", "2026-11-22T03:12:00Z"),
            ("23:50", "2026-11-21T23:50:00Z"),
            ("03:12:05", "2026-11-22T03:12:05Z"),
            ("45m", "2026-11-22T02:27:30Z"),
            ("1h ago", "2026-11-22T02:12:30Z"),
            ("3d", "2026-11-19T03:12:30Z"),
            ("2 days ago", "2026-11-20T03:12:30Z"),
            ("2026-11-21T00:00:00Z", "2026-11-21T00:00:00Z"),
        ];
        for (text, at) in told {
            assert_eq!(check(text).as_deref(), Ok(at), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused_with_its_reason() {
        assert!(check("soon").unwrap_err().contains("03:12"));
        assert!(
            check("2027-01-01T00:00:00Z")
                .unwrap_err()
                .contains("yet to come")
        );
        assert!(check("200h").unwrap_err().contains("7 days"));
        assert!(check("8d").unwrap_err().contains("7 days"));
        assert!(
            check("9999999999999999999d")
                .unwrap_err()
                .contains("is no time")
        );
    }
}
