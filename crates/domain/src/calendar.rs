//! From which day to which a month's bill reaches: by calendar month or by the anniversary of a
//! subscription, for each edge and offer family.
//!
//! A bill begins where the one before has ended, by the terms of that month. No unit is therefore
//! billed twice or never when terms change: after a change from calendar months to anniversaries
//! the first bill is shorter than a month, after the opposite change it is longer. A
//! month without terms counts as a calendar month.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use kernel::{Month, OrganisationId, SubscriptionId, Zone, instant_micros};

use crate::named::named;
use crate::{OfferFamily, Programme, Subscription, TradeAgreement};

/// When the bill of a month ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Calendar {
    /// With the month.
    #[default]
    CalendarMonth,
    /// On the day before the one that has the number of the day on which the subscription began,
    /// or before the last day of a month that is too short for it.
    Anniversary,
}

/// The calendar of each offer family on an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Calendars {
    /// Of plans.
    pub plan: Calendar,
    /// Of legacy offers.
    pub legacy: Calendar,
}

/// Days of a bill: the first belongs to it, the last does not.
pub type BilledDays = (Date, Date);

/// From which instant to which the bills of one month reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingPeriods {
    month: Month,
    /// The month, half open, in microseconds.
    whole: (i64, i64),
    /// Of subscriptions for which some edge does not bill the month: by position on the path.
    own: HashMap<SubscriptionId, Vec<BilledDays>>,
    /// The beginnings of days, by day.
    starts: BTreeMap<Date, i64>,
}

impl Calendar {
    /// Every calendar with the name it has in files.
    pub const NAMES: [(&'static str, Self); 2] =
        [("calendar-month", Self::CalendarMonth), ("anniversary", Self::Anniversary)];

    /// The first day that the bill of a month no longer has, for a subscription that began on a
    /// day. The last day that it has lies in the month.
    pub fn end(self, month: Month, began: Date) -> Date {
        match began.day() {
            day if self == Self::Anniversary && day > 1 => {
                let first = month.first_day();
                first.with().day(day).build().unwrap_or_else(|_| month.last_day())
            }
            _ => month.next().first_day(),
        }
    }
}

impl Calendars {
    /// That of a family.
    pub const fn of(self, family: OfferFamily) -> Calendar {
        match family {
            OfferFamily::Plan => self.plan,
            OfferFamily::Legacy => self.legacy,
        }
    }

    /// Whether both are calendar months.
    pub fn are_months(self) -> bool {
        self == Self::default()
    }
}

named!(Calendar, "a calendar");

/// A seller and a buyer.
type Pair = (OrganisationId, OrganisationId);

/// The calendars of a pair in one month and in the month before.
#[derive(Debug, Clone, Copy, Default)]
struct Terms {
    before: Option<Calendars>,
    now: Option<Calendars>,
}

impl BillingPeriods {
    /// The periods of a month by the agreements of a programme.
    pub fn of(programme: &Programme, month: Month) -> Self {
        let zone = &programme.zone;
        let bounds = month.in_zone(zone);
        let mut periods = Self {
            month,
            whole: (instant_micros(bounds.start()), instant_micros(bounds.end())),
            own: HashMap::new(),
            starts: BTreeMap::new(),
        };
        let terms = terms(programme, month);
        if terms.is_empty() {
            return periods;
        }
        for subscription in programme.subscriptions.values() {
            if let Some(days) = days(programme, subscription, month, &terms) {
                periods.start_days(&days, zone);
                periods.own.insert(subscription.id, days);
            }
        }
        periods
    }

    fn start_days(&mut self, days: &[BilledDays], zone: &Zone) {
        for day in days.iter().flat_map(|(from, until)| [*from, *until]) {
            self.starts.entry(day).or_insert_with(|| instant_micros(zone.start_of(day)));
        }
    }

    /// The month.
    pub const fn month(&self) -> Month {
        self.month
    }

    /// The days that the edge at a position of a subscription's sale path bills.
    pub fn days(&self, subscription: SubscriptionId, position: usize) -> BilledDays {
        let own = self.own.get(&subscription).and_then(|days| days.get(position));
        own.copied().unwrap_or_else(|| (self.month.first_day(), self.month.next().first_day()))
    }

    /// The same in microseconds.
    pub fn micros(&self, subscription: SubscriptionId, position: usize) -> (i64, i64) {
        let own = self.own.get(&subscription).and_then(|days| days.get(position));
        own.map_or(self.whole, |days| self.micros_of(*days))
    }

    fn micros_of(&self, (from, until): BilledDays) -> (i64, i64) {
        let start = |day| self.starts.get(&day).copied().unwrap_or_default();
        (start(from), start(until))
    }

    /// From the first instant that some edge of a subscription's sale path bills to the last.
    pub fn of_subscription(&self, subscription: SubscriptionId) -> (i64, i64) {
        let own = self.own.get(&subscription).into_iter().flatten();
        own.map(|days| self.micros_of(*days)).reduce(hull).unwrap_or(self.whole)
    }

    /// From the first instant that is billed to the last.
    pub fn envelope(&self) -> (i64, i64) {
        self.own.values().flatten().map(|days| self.micros_of(*days)).fold(self.whole, hull)
    }

    /// Whether every edge bills the month and nothing else.
    pub fn are_months(&self) -> bool {
        self.own.is_empty()
    }

    /// Whether some edge of a subscription's sale path bills something else than the month.
    pub fn has_own(&self, subscription: SubscriptionId) -> bool {
        self.own.contains_key(&subscription)
    }
}

/// What has both stretches.
fn hull(a: (i64, i64), b: (i64, i64)) -> (i64, i64) {
    (a.0.min(b.0), a.1.max(b.1))
}

/// The calendars of the pairs that do not simply bill the month.
fn terms(programme: &Programme, month: Month) -> HashMap<Pair, Terms> {
    let mut terms: HashMap<Pair, Terms> = HashMap::new();
    let anniversaries = programme.agreements.iter().filter(|a| !a.calendars.are_months());
    for agreement in anniversaries {
        terms.entry((agreement.seller, agreement.buyer)).or_default();
    }
    let mut agreements: Vec<&TradeAgreement> = programme.agreements.iter().collect();
    agreements.retain(|agreement| terms.contains_key(&(agreement.seller, agreement.buyer)));
    agreements.sort_by_key(|agreement| agreement.validity.from());
    let applies = |agreement: &TradeAgreement, month: Month| {
        let until = agreement.validity.until();
        agreement.validity.from() < month.next().first_day()
            && until.is_none_or(|until| until > month.first_day())
    };
    for agreement in agreements {
        let Some(of_pair) = terms.get_mut(&(agreement.seller, agreement.buyer)) else { continue };
        if applies(agreement, month.previous()) {
            of_pair.before.get_or_insert(agreement.calendars);
        }
        if applies(agreement, month) {
            of_pair.now.get_or_insert(agreement.calendars);
        }
    }
    terms.retain(|_, of_pair| {
        let are_months = |terms: Option<Calendars>| terms.is_none_or(Calendars::are_months);
        !are_months(of_pair.before) || !are_months(of_pair.now)
    });
    terms
}

/// The days of each edge of a subscription's sale path; none where all of them bill the month.
fn days(
    programme: &Programme,
    subscription: &Subscription,
    month: Month,
    terms: &HashMap<Pair, Terms>,
) -> Option<Vec<BilledDays>> {
    let family = programme.offers.get(&subscription.offer)?.family;
    let began = subscription.validity.from();
    let days = subscription.edges().map(|pair| {
        let Terms { before, now } = terms.get(&pair).copied().unwrap_or_default();
        let of = |terms: Option<Calendars>| terms.map(|terms| terms.of(family)).unwrap_or_default();
        (of(before).end(month.previous(), began), of(now).end(month, began))
    });
    let days: Vec<BilledDays> = days.collect();
    let whole = (month.first_day(), month.next().first_day());
    days.iter().any(|days| *days != whole).then_some(days)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn ends(began: Date, months: [&str; 4]) -> Vec<String> {
        let end = |month: &str| Calendar::Anniversary.end(month.parse().unwrap(), began);
        months.map(|month| end(month).to_string()).to_vec()
    }

    // req: H1
    #[test]
    fn an_anniversary_on_the_31st_is_the_last_day_of_short_months() {
        let months = ["2027-01", "2027-02", "2027-03", "2027-04"];
        assert_eq!(
            ends(date(2026, 8, 31), months),
            ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30"]
        );
        assert_eq!(
            ends(date(2026, 8, 29), ["2027-02", "2028-02", "2028-03", "2027-12"]),
            ["2027-02-28", "2028-02-29", "2028-03-29", "2027-12-29"]
        );
    }

    #[test]
    fn an_anniversary_on_the_first_is_the_calendar_month() {
        let months = ["2027-01", "2027-02", "2027-03", "2027-12"];
        assert_eq!(
            ends(date(2026, 8, 1), months),
            ["2027-02-01", "2027-03-01", "2027-04-01", "2028-01-01"]
        );
    }

    /// Every day is billed in exactly one month, and its bill's last day lies in that month.
    #[test]
    fn bills_follow_each_other_whatever_the_day() {
        for day in 1..=31 {
            let began = date(2026, 7, day);
            for calendar in [Calendar::CalendarMonth, Calendar::Anniversary] {
                let mut month: Month = "2026-07".parse().unwrap();
                for _ in 0..60 {
                    let (from, until) =
                        (calendar.end(month.previous(), began), calendar.end(month, began));
                    assert!(from < until);
                    assert_eq!(Month::of(until.yesterday().unwrap()), month);
                    month = month.next();
                }
            }
        }
    }
}
