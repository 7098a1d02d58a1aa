//! Months with days of 23, 25 and other odd numbers of hours, in every zone that has one.

use std::fmt::Write;

use documents::Format;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use testkit::{World, fixtures};

const PLAN: &str = "11111111-2222-4333-8444-000000000001";

/// The first daylight change of a zone in a year, and the day on which it falls.
fn change(zone: &str, after: Date) -> Option<(Timestamp, Date)> {
    let tz = TimeZone::get(zone).unwrap();
    let start = after.to_zoned(tz.clone()).unwrap().timestamp();
    let mut changes = tz
        .following(start)
        .take_while(|change| change.timestamp() < start.checked_add((366 * 24).hours()).unwrap());
    let found = changes.next()?.timestamp();
    Some((found, found.to_zoned(tz.clone()).date()))
}

/// The instant at which a day begins, found by looking at every quarter of an hour: the first one
/// that the calendar puts on that day.
fn beginning(tz: &TimeZone, day: Date) -> Timestamp {
    let mut at = day.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
    at = at.checked_sub(36.hours()).unwrap();
    while at.to_zoned(tz.clone()).date() < day {
        at = at.checked_add(15.minutes()).unwrap();
    }
    at
}

/// A record of one unit for every hour of a month, the last one maybe shorter, and one of 100 units
/// over the day of the change, which costs 1 before the day and 2 from then on: every unit is in
/// the month and on its side of the price change.
fn check(zone: &str, day: Date) {
    let tz = TimeZone::get(zone).unwrap();
    let first = day.first_of_month();
    let next = first.checked_add(1.month()).unwrap();
    let [start, end, turn] = [first, next, day].map(|day| beginning(&tz, day));
    let mut text =
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n".to_owned();
    let (mut at, mut number) = (start.checked_sub(3.hours()).unwrap(), 0);
    let (mut cheap, mut dear) = (0, 0);
    while at < end {
        let until = at.checked_add(15.minutes()).unwrap();
        writeln!(text, "{number},{PLAN},vm,{at},{until},1,1 Hour").unwrap();
        if at >= start {
            *(if at < turn { &mut cheap } else { &mut dear }) += 1;
        }
        (at, number) = (until, number + 1);
    }
    let after = beginning(&tz, day.tomorrow().unwrap()).min(end);
    writeln!(text, "whole,{PLAN},vm,{turn},{after},100,1 Hour").unwrap();
    dear += 100;

    let world = World::at(&format!("{next}T12:00:00Z")).unwrap();
    let programme = fixtures::two_edges(&[PLAN])
        .replace("name = \"Two edges\"", &format!("name = \"Zones\"\nzone = \"{zone}\""))
        .replace(
            "all = true\nlist_minus = \"0\"",
            &format!(
                "all = true\nfixed = \"1\"\ncurrency = \"USD\"\nuntil = {day}\n\
                 [[price_book.rule]]\nall = true\nfixed = \"2\"\ncurrency = \"USD\"\nfrom = {day}"
            ),
        );
    world.apply(&programme).unwrap();
    world.prices("list", "prices.json", fixtures::rate_card(&[("vm", r#"{"0": 9}"#)])).unwrap();
    world.usage("usage.csv", text).unwrap();
    let month = &first.to_string()[..7];
    world.close(month, 1).unwrap();
    let net = world.invoices().unwrap()[0].row.net.to_string();
    assert_eq!(net, format!("{}.00 USD", cheap + 2 * dear), "{zone} {day}");
    let report = verify::verify(&world.export(month, "out", Format::Csv).unwrap(), 1);
    assert!(report.passes(), "{zone} {day}: {:#?}", report.faults.listed());
}

/// Every zone of the database whose clocks change within the year: one for each way in which they
/// do, at an hour of the day and by so much.
// req: H1
#[test]
fn every_way_in_which_clocks_change() {
    let mut seen = std::collections::BTreeSet::new();
    for zone in jiff::tz::db().available() {
        let zone = zone.as_str();
        let tz = TimeZone::get(zone).unwrap();
        for after in [date(2025, 12, 1), date(2026, 6, 1)] {
            let Some((at, day)) = change(zone, after) else { continue };
            let before = at.checked_sub(1.microsecond()).unwrap();
            let offsets = [before, at].map(|at| tz.to_offset(at).seconds());
            let clock = before.to_zoned(tz.clone()).time();
            if seen.insert((clock, offsets[1] - offsets[0])) {
                check(zone, day);
            }
        }
    }
    assert!(seen.len() >= 10, "{seen:?}");
}

/// Days that are odd in other ways: midnight that is left out, clocks that change by half an hour,
/// a day that is left out, the 29th of February, the turn of a year.
#[test]
fn other_odd_days() {
    for (zone, day) in [
        ("Asia/Beirut", date(2026, 3, 29)),
        ("Africa/Cairo", date(2026, 4, 24)),
        ("America/Santiago", date(2026, 9, 6)),
        ("America/Havana", date(2026, 11, 1)),
        ("Australia/Lord_Howe", date(2026, 4, 5)),
        ("Pacific/Apia", date(2011, 12, 31)),
        ("Asia/Kathmandu", date(2024, 2, 29)),
        ("Pacific/Kiritimati", date(2026, 12, 31)),
    ] {
        check(zone, day);
    }
}
