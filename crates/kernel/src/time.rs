//! Zones, months and half-open periods.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Microseconds since 1970 of an instant, the form in which times are stored.
pub fn instant_micros(instant: Timestamp) -> i64 {
    instant.as_microsecond()
}

/// The instant of so many microseconds since 1970; clamped to the calendar's range.
pub fn micros_instant(micros: i64) -> Timestamp {
    let earliest = Timestamp::MIN.as_microsecond() + 1;
    let latest = Timestamp::MAX.as_microsecond();
    Timestamp::from_microsecond(micros.clamp(earliest, latest)).unwrap_or(Timestamp::MAX)
}

/// A time zone of the IANA database, by name.
#[derive(Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self(TimeZone::UTC);

    /// The instant at which a day begins in this zone. Where midnight is skipped by a daylight
    /// change, the first instant after the gap.
    pub fn start_of(&self, day: Date) -> Timestamp {
        let start = self.0.to_ambiguous_zoned(day.at(0, 0, 0, 0)).compatible();
        start
            .map_or(if day.year() > 0 { Timestamp::MAX } else { Timestamp::MIN }, |z| z.timestamp())
    }

    /// The day on which an instant falls in this zone.
    pub fn day_of(&self, instant: Timestamp) -> Date {
        self.0.to_datetime(instant).date()
    }

    /// The name in the database.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let zone = TimeZone::get(text).ok().filter(|zone| zone.iana_name().is_some());
        zone.map(Self).ok_or_else(|| "is not a time zone; write a name like Europe/Oslo".into())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A calendar month, written `2026-10`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    /// The month in which a day lies.
    pub fn of(day: Date) -> Self {
        Self { year: day.year(), month: day.month() }
    }

    /// The first day.
    pub fn first_day(self) -> Date {
        Date::constant(self.year, self.month, 1)
    }

    /// The last day.
    pub fn last_day(self) -> Date {
        self.first_day().last_of_month()
    }

    /// The month after this one.
    #[must_use]
    pub fn next(self) -> Self {
        match self.month {
            12 => Self { year: self.year + 1, month: 1 },
            month => Self { year: self.year, month: month + 1 },
        }
    }

    /// The month before this one.
    #[must_use]
    pub fn previous(self) -> Self {
        match self.month {
            1 => Self { year: self.year - 1, month: 12 },
            month => Self { year: self.year, month: month - 1 },
        }
    }

    /// The month as a period of a zone.
    pub fn in_zone(self, zone: &Zone) -> Period {
        let start = zone.start_of(self.first_day());
        Period { start, end: zone.start_of(self.next().first_day()) }
    }
}

impl FromStr for Month {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is not a month; write it like 2026-10".to_owned();
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        if year.len() != 4 || month.len() != 2 {
            return Err(wrong());
        }
        let year = year.parse().ok().filter(|year| (1970..=9998).contains(year));
        let month = month.parse().ok().filter(|month| (1..=12).contains(month));
        year.zip(month).map(|(year, month)| Self { year, month }).ok_or_else(wrong)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

impl fmt::Debug for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A half-open stretch of time: `start` belongs to it, `end` does not.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Period {
    start: Timestamp,
    end: Timestamp,
}

impl Period {
    /// From `start` up to but not including `end`; `None` where that is empty.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start < end).then_some(Self { start, end })
    }

    /// The first instant.
    pub const fn start(self) -> Timestamp {
        self.start
    }

    /// The first instant that no longer belongs to it.
    pub const fn end(self) -> Timestamp {
        self.end
    }

    /// Whether an instant belongs to it.
    pub fn contains(self, instant: Timestamp) -> bool {
        self.start <= instant && instant < self.end
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}
