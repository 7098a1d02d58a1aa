use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::date;
use kernel::{Month, Zone};

fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

fn instant(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn a_month_is_half_open_in_its_zone() {
    let october: Month = "2026-10".parse().unwrap();
    let utc = october.in_zone(&Zone::UTC);
    assert_eq!(utc.start(), instant("2026-10-01T00:00:00Z"));
    assert_eq!(utc.end(), instant("2026-11-01T00:00:00Z"));
    assert!(utc.contains(utc.start()) && !utc.contains(utc.end()));
    // Summer time ends in October in Oslo: the month is one hour longer than 31 days.
    let oslo = october.in_zone(&zone("Europe/Oslo"));
    assert_eq!(oslo.start(), instant("2026-09-30T22:00:00Z"));
    assert_eq!(oslo.end(), instant("2026-10-31T23:00:00Z"));
}

#[test]
fn months_follow_each_other_without_gap_or_overlap_in_every_zone() {
    for name in jiff::tz::db().available() {
        let Ok(zone) = name.as_str().parse::<Zone>() else { continue };
        let mut month: Month = "1999-12".parse().unwrap();
        for _ in 0..360 {
            let (this, next) = (month.in_zone(&zone), month.next().in_zone(&zone));
            assert_eq!(this.end(), next.start(), "{name} {month}");
            assert!(this.start() < this.end(), "{name} {month}");
            assert_eq!(zone.day_of(this.start()), month.first_day(), "{name} {month}");
            assert_eq!(month.next().previous(), month);
            month = month.next();
        }
    }
}

#[test]
fn a_day_without_midnight_begins_after_the_gap() {
    let beirut = zone("Asia/Beirut");
    assert_eq!(beirut.start_of(date(2022, 3, 27)), instant("2022-03-26T22:00:00Z"));
}

#[test]
fn months_are_written_one_way() {
    for text in ["2026-13", "2026-00", "26-10", "2026-1", "2026/10", "2026-10-01", "", "1969-12"] {
        assert!(text.parse::<Month>().is_err(), "{text}");
    }
    assert_eq!("2026-02".parse::<Month>().unwrap().last_day(), date(2026, 2, 28));
    assert_eq!("2024-02".parse::<Month>().unwrap().last_day(), date(2024, 2, 29));
    assert!("Mars/Olympus".parse::<Zone>().is_err());
}

/// In every zone of the database a day begins at the first instant that lies on it, whatever the
/// clocks do, and a month begins with its first day.
// req: H1
#[test]
fn a_day_begins_at_its_first_instant_in_every_zone() {
    let mut zones = 0;
    for name in jiff::tz::db().available() {
        let Ok(zone) = name.as_str().parse::<Zone>() else { continue };
        zones += 1;
        let mut day = date(2010, 1, 1);
        let mut month = Month::of(day);
        while day < date(2030, 1, 1) {
            let start = zone.start_of(day);
            let before = zone.day_of(start.checked_sub(1.microsecond()).unwrap());
            assert!(before < day, "{name} {day} begins before {start}");
            assert!(zone.day_of(start) >= day, "{name} {day} does not begin at {start}");
            if Month::of(day) != month {
                assert_eq!(month.in_zone(&zone).end(), start, "{name} {month}");
                month = Month::of(day);
                assert_eq!(month.in_zone(&zone).start(), start, "{name} {month}");
            }
            day = day.tomorrow().unwrap();
        }
    }
    assert!(zones > 400, "{zones} zones");
}
