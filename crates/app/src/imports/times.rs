//! The ways in which files write times.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use kernel::instant_micros;

/// What a time must look like.
pub(super) const EXPECTED: &str = "is not a time; write it like 2026-10-01T00:00:00Z";

/// A time with an offset, or without one in UTC; a day is its midnight. In microseconds.
pub(super) fn time(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Some(instant_micros(instant));
    }
    if let Ok(local) = text.parse::<DateTime>() {
        return in_utc(local);
    }
    us_time(text)
}

/// A US time such as `3/1/2018 12:00:00 AM` or a US day such as `03/01/2018`, in UTC.
pub(super) fn us_time(text: &str) -> Option<i64> {
    let (day, clock) = text.split_once(' ').unwrap_or((text, ""));
    let mut parts = day.split('/').map(str::parse::<i16>);
    let (month, day, year) = (parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?);
    let year = if year < 100 { year + 2000 } else { year };
    if parts.next().is_some() {
        return None;
    }
    let date = Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    if clock.is_empty() {
        return in_utc(date.at(0, 0, 0, 0));
    }
    let (clock, half) = clock.split_once(' ').map_or((clock, None), |(c, half)| (c, Some(half)));
    let mut parts = clock.split(':').map(str::parse::<i8>);
    let (hour, minute) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let second = parts.next().map_or(Some(0), Result::ok)?;
    let hour = match half.map(str::to_ascii_uppercase).as_deref() {
        None => hour,
        Some("AM") if (1..=12).contains(&hour) => hour % 12,
        Some("PM") if (1..=12).contains(&hour) => hour % 12 + 12,
        Some(_) => return None,
    };
    in_utc(DateTime::new(year, date.month(), date.day(), hour, minute, second, 0).ok()?)
}

fn in_utc(local: DateTime) -> Option<i64> {
    local.to_zoned(TimeZone::UTC).ok().map(|zoned| instant_micros(zoned.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_time_is_read() {
        let expected = time("2018-03-01T00:00:00Z").unwrap();
        for text in [
            "2018-03-01T00:00:00+00:00",
            "2018-02-28T17:00:00-07:00",
            "2018-03-01T00:00:00",
            "2018-03-01 00:00:00",
            "2018-03-01",
            "3/1/2018 12:00:00 AM",
            "03/01/2018",
            "3/1/2018 0:00",
            "3/1/18",
            " 2018-03-01T00:00:00.000Z ",
        ] {
            assert_eq!(time(text), Some(expected), "{text}");
        }
        assert_eq!(time("3/1/2018 12:30:05 PM"), time("2018-03-01T12:30:05Z"));
        assert_eq!(time("3/1/2018 11:59:59 PM"), time("2018-03-01T23:59:59Z"));
    }

    #[test]
    fn what_is_not_a_time_is_none() {
        for text in ["", "yesterday", "13/1/2018", "2/30/2018", "1/2/3/4", "3/1/2018 13:00 PM"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
