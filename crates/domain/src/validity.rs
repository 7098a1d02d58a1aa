//! When something agreed applies.

use std::fmt;

use jiff::civil::Date;
use kernel::{Zone, instant_micros};

/// Whole days during which something applies: `from` belongs to them, `until` does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Validity {
    from: Date,
    until: Option<Date>,
}

impl Validity {
    /// The first day of what has applied from ever.
    pub const EVER: Date = Date::constant(1, 1, 1);

    /// From a day on, up to but not including another; `None` where that is empty.
    pub fn new(from: Date, until: Option<Date>) -> Option<Self> {
        until.is_none_or(|until| from < until).then_some(Self { from, until })
    }

    /// The first day.
    pub const fn from(self) -> Date {
        self.from
    }

    /// The first day on which it no longer applies.
    pub const fn until(self) -> Option<Date> {
        self.until
    }

    /// Whether it applies on a day.
    pub fn contains(self, day: Date) -> bool {
        self.from <= day && self.until.is_none_or(|until| day < until)
    }

    /// Whether two stretches have a day in common.
    pub fn overlaps(self, other: Self) -> bool {
        let before = |a: Self, b: Self| a.until.is_some_and(|until| until <= b.from);
        !before(self, other) && !before(other, self)
    }

    /// The same stretch in microseconds since 1970, half open, in a zone; `i64::MIN` and
    /// `i64::MAX` where it has no bound.
    pub fn micros(self, zone: &Zone) -> (i64, i64) {
        let start = |day| instant_micros(zone.start_of(day));
        let from = if self.from == Self::EVER { i64::MIN } else { start(self.from) };
        (from, self.until.map_or(i64::MAX, start))
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until {
            Some(until) => write!(f, "from {} until {until}", self.from),
            None => write!(f, "from {}", self.from),
        }
    }
}
