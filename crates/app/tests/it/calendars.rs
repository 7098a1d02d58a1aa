//! Bills by calendar month and by anniversary, for each edge and offer family.

use std::fmt::Write;
use std::path::PathBuf;

use documents::Format;
use jiff::ToSpan;
use jiff::civil::{Date, date};
use testkit::{Cells, World, fixtures};

const PLAN: &str = "11111111-2222-4333-8444-000000000001";
const LEGACY: &str = "11111111-2222-4333-8444-000000000002";

/// The calendars of legacy offers on both edges: the provider's, and the partner's.
const MONTH: &str = "calendar-month";
const ANNIVERSARY: &str = "anniversary";

/// A partner with a plan, and a legacy subscription that began on a day.
fn programme(calendars: [&str; 2], began: Date) -> String {
    let mut text = fixtures::two_edges(&[PLAN, LEGACY]);
    for (book, calendar) in ["buying", "selling"].into_iter().zip(calendars) {
        let terms = format!("currency = \"USD\"\nprice_book = \"{book}\"");
        text = text.replace(&terms, &format!("{terms}\nlegacy_calendar = \"{calendar}\""));
    }
    let (before, after) = text.split_once(LEGACY).unwrap();
    let legacy = after.replacen("offer = \"usage\"", "offer = \"azure\"", 1);
    let legacy = legacy.replacen("from = 2010-01-01", &format!("from = {began}"), 1);
    format!(
        "{before}{LEGACY}{legacy}\n[[offer]]\nkey = \"azure\"\nname = \"Microsoft Azure\"\n\
         family = \"legacy\"\nprice_sheet = \"list\"\n"
    )
}

/// Two units of a meter of both subscriptions on each day, at noon.
fn daily(from: Date, until: Date) -> String {
    let mut text =
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n".to_owned();
    let mut day = from;
    while day < until {
        for subscription in [PLAN, LEGACY] {
            let id = format!("{subscription}-{day}");
            writeln!(text, "{id},{subscription},vm,{day}T12:00:00Z,{day}T13:00:00Z,2,1 Hour")
                .unwrap();
        }
        day = day.tomorrow().unwrap();
    }
    text
}

fn world(programme: &str, rates: &str) -> World {
    let world = World::at("2027-06-02T12:00:00Z").unwrap();
    world.apply(programme).unwrap();
    world.prices("list", "prices.json", fixtures::rate_card(&[("vm", rates)])).unwrap();
    world
}

fn proven(world: &World, month: &str, name: &str) -> PathBuf {
    let folder = world.export(month, &format!("{month}-{name}"), Format::Csv).unwrap();
    let report = verify::verify(&folder, 2);
    assert!(report.passes(), "{month}: {:#?}", report.faults.listed());
    folder.join(month)
}

/// Subscription, first and last day, quantity and amount of each line of an edge.
fn lines(folder: &std::path::Path, edge: &str) -> Vec<[String; 5]> {
    let cells = Cells::read(&folder.join(edge).join("reconciliation.csv")).unwrap();
    let columns =
        ["SubscriptionId", "ChargeStartDate", "ChargeEndDate", "BillableQuantity", "Subtotal"];
    let rows = cells.select(columns).into_iter();
    rows.map(|row| row.map(|cell| cell.trim_end_matches("T00:00:00Z").to_owned())).collect()
}

fn row(cells: [&str; 5]) -> [String; 5] {
    cells.map(str::to_owned)
}

/// The invoice of January bills the plan for January, 31 days, and the legacy offer that began on a
/// 28th from 28 December to 27 January, 31 days as well; February has 28 days, its legacy bill from
/// 28 January to 27 February 31. Two units a day at 0.50, and at 0.55 for the customer.
// req: B1 F2 H1
#[test]
fn an_invoice_collects_both_calendars() {
    let world = world(&programme([ANNIVERSARY; 2], date(2026, 10, 28)), r#"{"0": 0.5}"#);
    world.usage("usage.csv", daily(date(2026, 12, 1), date(2027, 4, 1))).unwrap();
    for month in ["2026-12", "2027-01", "2027-02", "2027-03"] {
        world.close(month, 1).unwrap();
    }
    // What was used before is not in the lake; the bill begins on 28 November.
    let december = proven(&world, "2026-12", "out");
    assert_eq!(
        lines(&december, "cloud/partner"),
        [
            row([PLAN, "2026-12-01", "2026-12-31", "62", "31.00"]),
            row([LEGACY, "2026-11-28", "2026-12-27", "54", "27.00"]),
        ]
    );
    assert_eq!(world.rate("2027-01", 1).unwrap().records, 62, "31 days of each");
    let january = proven(&world, "2027-01", "out");
    assert_eq!(
        lines(&january, "cloud/partner"),
        [
            row([PLAN, "2027-01-01", "2027-01-31", "62", "31.00"]),
            row([LEGACY, "2026-12-28", "2027-01-27", "62", "31.00"]),
        ]
    );
    let february = proven(&world, "2027-02", "out");
    assert_eq!(
        lines(&february, "partner/shop"),
        [
            row([PLAN, "2027-02-01", "2027-02-28", "56", "30.80"]),
            row([LEGACY, "2027-01-28", "2027-02-27", "62", "34.10"]),
        ]
    );
    let march = proven(&world, "2027-03", "out");
    assert_eq!(
        lines(&march, "cloud/partner"),
        [
            row([PLAN, "2027-03-01", "2027-03-31", "62", "31.00"]),
            row([LEGACY, "2027-02-28", "2027-03-27", "56", "28.00"]),
        ]
    );
    // The rows of legacy offers have the same days again.
    let legacy = Cells::read(&march.join("cloud/partner/legacy-usage.csv")).unwrap();
    let days = legacy.select(["ChargeStartDate", "ChargeEndDate"]);
    assert_eq!(days, [["2027-02-28T00:00:00Z", "2027-03-27T00:00:00Z"]]);
}

/// Units fill tiers from one anniversary to the next, not by month: 62 units from 28 December, 50 at
/// 1.00 and 12 at 0.10, are 51.20.
#[test]
fn tiers_begin_anew_on_the_anniversary() {
    let programme = programme([ANNIVERSARY; 2], date(2026, 10, 28));
    let world = world(&programme, r#"{"0": 1, "50": 0.1}"#);
    world.usage("usage.csv", daily(date(2026, 12, 1), date(2027, 2, 1))).unwrap();
    world.close("2027-01", 1).unwrap();
    let january = proven(&world, "2027-01", "out");
    let legacy = |of: Vec<[String; 5]>| -> Vec<[String; 5]> {
        of.into_iter().filter(|line| line[0] == LEGACY).collect()
    };
    assert_eq!(
        legacy(lines(&january, "cloud/partner")),
        [
            row([LEGACY, "2026-12-28", "2027-01-27", "50", "50.00"]),
            row([LEGACY, "2026-12-28", "2027-01-27", "12", "1.20"]),
        ]
    );
    let number = world.invoices().unwrap()[0].row.number.clone();
    for line in 1..=4 {
        world.explain(&format!("{number}/{line}")).unwrap();
    }
}

/// The provider bills the legacy offer by anniversary, the partner by calendar month. Whatever is
/// used is billed once on each edge, and late usage on each edge with the month that it belongs to.
// req: A2 H1
#[test]
fn each_edge_has_its_own_calendar() {
    let programme = programme([ANNIVERSARY, MONTH], date(2026, 10, 28));
    let world = world(&programme, r#"{"0": 1, "50": 0.1}"#);
    world.usage("usage.csv", daily(date(2026, 12, 1), date(2027, 3, 1))).unwrap();
    world.close("2026-12", 1).unwrap();
    world.close("2027-01", 2).unwrap();
    let january = proven(&world, "2027-01", "out");
    // The partner's price is derived from what it pays tier by tier; each bill fills its own tiers.
    let bought = lines(&january, "cloud/partner");
    let sold = lines(&january, "partner/shop");
    assert_eq!(bought[2], row([LEGACY, "2026-12-28", "2027-01-27", "50", "50.00"]));
    assert_eq!(bought[3], row([LEGACY, "2026-12-28", "2027-01-27", "12", "1.20"]));
    assert_eq!(sold[2], row([LEGACY, "2027-01-01", "2027-01-31", "50", "55.00"]));
    assert_eq!(sold[3], row([LEGACY, "2027-01-01", "2027-01-31", "12", "1.32"]));
    for invoice in world.invoices().unwrap() {
        for line in 1..=4 {
            world.explain(&format!("{}/{line}", invoice.row.number)).unwrap();
        }
    }
    world.close("2027-02", 1).unwrap();
    proven(&world, "2027-02", "out");

    // Over midnight of the 31st: the provider bills all of it with February, the partner one half
    // with January and the other with February.
    let late = format!(
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n\
         late,{LEGACY},vm,2027-01-31T12:00:00Z,2027-02-01T12:00:00Z,8,1 Hour\n\
         later,{LEGACY},other,2026-12-29T12:00:00Z,2026-12-29T13:00:00Z,3,1 Hour\n"
    );
    world.usage("late.csv", late).unwrap();
    let missing = |month: &str| world.differences(month, 1).unwrap().missing.len();
    assert_eq!(["2026-12", "2027-01", "2027-02"].map(missing), [1, 1, 0]);
    let other = fixtures::rate_card(&[("other", r#"{"0": 1}"#)]);
    world.prices("list", "other.json", other).unwrap();
    let seen = |month: &str| -> Vec<(String, String)> {
        let edges = world.differences(month, 1).unwrap().edges;
        edges.into_iter().map(|edge| (edge.seller_key, edge.net.to_string())).collect()
    };
    let edge = |seller: &str, net: &str| (seller.to_owned(), net.to_owned());
    assert_eq!(seen("2026-12"), [edge("partner", "3.30 USD")]);
    assert_eq!(seen("2027-01"), [edge("cloud", "3.00 USD"), edge("partner", "0.44 USD")]);
    assert_eq!(seen("2027-02"), [edge("cloud", "0.80 USD"), edge("partner", "0.44 USD")]);
    for month in ["2026-12", "2027-01", "2027-02"] {
        world.adjust(month, 1).unwrap();
        proven(&world, month, "adjusted");
        assert!(seen(month).is_empty());
        let of = month.parse().unwrap();
        let again = world.run(|ctx| app::shadow::shadow(ctx, of, 1)).unwrap();
        assert_eq!((again.differing, again.groups > 2), (0, true));
    }
}

/// A record that nothing was used by, before and after the days of an edge, is on the other one.
#[test]
fn nothing_used_on_other_days() {
    let world = world(&programme([ANNIVERSARY, MONTH], date(2026, 10, 28)), r#"{"0": 1}"#);
    let header = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";
    let mut text = header.to_owned();
    for (at, (start, end, quantity)) in [
        ("2026-12-20T00:00:00Z", "2027-02-03T00:00:00Z", "0"),
        ("2026-12-27T00:00:00Z", "2026-12-29T00:00:00Z", "0"),
        ("2026-12-30T00:00:00Z", "2026-12-30T00:00:00Z", "0"),
        ("2026-12-31T23:00:00Z", "2027-01-01T01:00:00Z", "0.000000000000001"),
        ("2027-01-27T23:00:00Z", "2027-01-28T01:00:00Z", "-0.000000000000003"),
        ("2027-01-31T00:00:00Z", "2027-01-31T00:00:00Z", "5"),
        ("2027-01-28T00:00:00Z", "2027-01-28T00:00:00Z", "0"),
    ]
    .into_iter()
    .enumerate()
    {
        writeln!(text, "e{at},{LEGACY},vm,{start},{end},{quantity},1 Hour").unwrap();
    }
    world.usage("usage.csv", text).unwrap();
    for month in ["2026-12", "2027-01", "2027-02"] {
        world.close(month, 1).unwrap();
        proven(&world, month, "out");
    }
}

/// In a zone with daylight changes: records of a quarter of an hour, an anniversary on the 31st, and
/// a February of 28 and of 29 days.
// req: H1
#[test]
fn anniversaries_on_the_31st_in_zones_whose_clocks_change() {
    for (zone, began, months) in [
        ("Europe/Oslo", date(2026, 12, 31), ["2027-02", "2027-03", "2027-04"]),
        ("America/Santiago", date(2027, 8, 31), ["2028-02", "2028-03", "2028-04"]),
        ("Pacific/Apia", date(2011, 8, 30), ["2011-11", "2011-12", "2012-01"]),
    ] {
        let text = programme([ANNIVERSARY; 2], began)
            .replace("name = \"Two edges\"", &format!("name = \"Zones\"\nzone = \"{zone}\""));
        let mut world = world(&text, r#"{"0": 1}"#);
        world.go_to("2030-01-01T12:00:00Z").unwrap();
        let tz = jiff::tz::TimeZone::get(zone).unwrap();
        // Where a month ends, found by the number of days in it.
        let end = |month: &str| {
            let first: Date = format!("{month}-01").parse().unwrap();
            let day = first.with().day(began.day()).build();
            day.unwrap_or_else(|_| first.last_of_month())
        };
        let before: Date = format!("{}-01", months[0]).parse().unwrap();
        let before = before.checked_sub(1.month()).unwrap().to_string();
        let mut bounds = vec![end(&before[..7])];
        bounds.extend(months.map(end));
        let instants: Vec<_> =
            bounds.iter().map(|day| day.to_zoned(tz.clone()).unwrap().timestamp()).collect();
        let mut used =
            "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n".to_owned();
        let (mut at, mut counts) = (instants[0].checked_sub(5.hours()).unwrap(), [0; 3]);
        while at < instants[3].checked_add(5.hours()).unwrap() {
            let until = at.checked_add(15.minutes()).unwrap();
            writeln!(used, "{at},{LEGACY},vm,{at},{until},1,1 Hour").unwrap();
            for month in 0..3 {
                counts[month] += i32::from(instants[month] <= at && at < instants[month + 1]);
            }
            at = until;
        }
        world.usage("usage.csv", used).unwrap();
        for (month, count) in months.into_iter().zip(counts) {
            world.close(month, 1).unwrap();
            let folder = proven(&world, month, "out");
            let found = lines(&folder, "cloud/partner");
            let legacy = found.iter().find(|line| line[0] == LEGACY).unwrap();
            assert_eq!(legacy[4], format!("{count}.00"), "{zone} {month}");
        }
    }
}

/// Terms that change from one calendar to the other and back, and end; a subscription that ends
/// between two anniversaries. Every hour is billed once on each edge, and what is left when terms or
/// subscription end is billed by the last terms.
// req: F2 H1
#[test]
fn every_unit_is_billed_once_when_calendars_change() {
    for (began, ended, changes) in [
        (date(2026, 7, 28), date(2027, 3, 10), [MONTH, ANNIVERSARY, MONTH]),
        (date(2026, 7, 31), date(2027, 3, 31), [ANNIVERSARY, MONTH, ANNIVERSARY]),
        (date(2026, 7, 2), date(2027, 3, 1), [ANNIVERSARY, MONTH, MONTH]),
        (date(2026, 7, 1), date(2027, 2, 28), [MONTH, ANNIVERSARY, ANNIVERSARY]),
    ] {
        let [first, then, at_last] = changes;
        let mut text = programme([first, ANNIVERSARY], began);
        let begins = format!("from = {began}");
        text = text.replace(&begins, &format!("{begins}\nuntil = {ended}"));
        let agreed = text.split("[[agreement]]").nth(1).unwrap().to_owned();
        let version = |calendar: &str, dates: &str| {
            let terms = agreed.replace("from = 2010-01-01", dates);
            format!(
                "[[agreement]]{}",
                terms.replace(&format!("\"{first}\""), &format!("\"{calendar}\""))
            )
        };
        let later = [
            version(first, "from = 2010-01-01\nuntil = 2026-10-01"),
            version(then, "from = 2026-10-01\nuntil = 2027-01-01"),
            version(
                at_last,
                &format!("from = 2027-01-01\nuntil = {}", ended.max(date(2027, 3, 1))),
            ),
        ];
        text = text.replacen(&format!("[[agreement]]{agreed}"), &later.concat(), 1);
        text = text.replace(&format!("id = \"{PLAN}\"\noffer = \"usage\"\npath = [\"cloud\", \"partner\", \"shop\"]\nfrom = 2010-01-01"),
            &format!("id = \"{PLAN}\"\noffer = \"usage\"\npath = [\"cloud\", \"partner\", \"shop\"]\nfrom = 2010-01-01\nuntil = {ended}"));
        let world = world(&text, r#"{"0": 1}"#);
        world.usage("usage.csv", daily(began, ended)).unwrap();
        let months = [
            "2026-07", "2026-08", "2026-09", "2026-10", "2026-11", "2026-12", "2027-01", "2027-02",
            "2027-03", "2027-04",
        ];
        let mut days = [Vec::new(), Vec::new()];
        for month in months {
            if world.close(month, 1).unwrap().invoices.is_empty() {
                continue;
            }
            let folder = proven(&world, month, "out");
            for (edge, days) in ["cloud/partner", "partner/shop"].iter().zip(&mut days) {
                if !folder.join(edge).exists() {
                    continue;
                }
                let of_legacy = lines(&folder, edge).into_iter().filter(|line| line[0] == LEGACY);
                days.extend(of_legacy.map(|[_, from, until, quantity, _]| (from, until, quantity)));
            }
        }
        for days in days {
            let billed: i32 = days.iter().map(|(.., units)| units.parse::<i32>().unwrap()).sum();
            let used = 2 * (ended - began).get_days();
            let used = if used > 0 { used } else { panic!("days") };
            assert_eq!(billed, used, "{began}: {days:?}");
            for pair in days.windows(2) {
                let end: Date = pair[0].1.parse().unwrap();
                assert_eq!(pair[1].0, end.tomorrow().unwrap().to_string(), "{days:?}");
            }
        }
    }
}

/// A draft of other prices is rehearsed on what each edge bills, and publishing it gives the same.
#[test]
fn a_price_book_is_rehearsed_by_anniversary() {
    for calendars in [[ANNIVERSARY; 2], [ANNIVERSARY, MONTH]] {
        let text = programme(calendars, date(2026, 10, 28));
        let world = world(&text, r#"{"0": 1, "50": 0.1}"#);
        world.usage("usage.csv", daily(date(2026, 12, 1), date(2027, 3, 1))).unwrap();
        let dearer = text.replace("buy_plus = \"10\"", "buy_plus = \"25\"");
        let draft = app::rehearse::Draft {
            programme: Some(("draft.toml".to_owned(), dearer.clone())),
            prices: None,
            as_of: None,
        };
        let month = "2027-01".parse().unwrap();
        let rehearsed = {
            let draft = &draft;
            world.run(|ctx| async move { app::rehearse::rehearse(ctx, month, draft, 1).await })
        };
        let drafted: Vec<_> =
            rehearsed.unwrap().edges.iter().map(|e| (e.draft.net, e.draft.margin)).collect();
        world.apply(&dearer).unwrap();
        let rated = world.rate("2027-01", 1).unwrap();
        let published: Vec<_> = rated.edges.iter().map(|e| (e.net, e.margin)).collect();
        assert_eq!(published, drafted);
        assert!(drafted[1].1.unwrap().minor() > 0, "{drafted:?}");
    }
}

/// A provider that bills by anniversary in a system of its own: what it bills from 28 December to 27
/// January is received with January, and sold on with it by anniversary, or by calendar month.
// req: H1 H2
#[test]
fn what_is_received_by_anniversary_is_sold_on() {
    for selling in [ANNIVERSARY, MONTH] {
        let text = programme([ANNIVERSARY, selling], date(2026, 10, 28));
        let sends = world(&text, r#"{"0": 0.5}"#);
        sends.usage("usage.csv", daily(date(2026, 11, 28), date(2027, 3, 1))).unwrap();
        let bought = "price_book = \"buying\"";
        let buys =
            world(&text.replace(bought, &format!("{bought}\nrated = \"seller\"")), r#"{"0": 0.5}"#);
        let months = ["2026-12", "2027-01", "2027-02"];
        for month in months {
            sends.close(month, 1).unwrap();
            let folder = proven(&sends, month, "sent").join("cloud/partner");
            let files = ["daily-rated-usage.csv", "reconciliation.csv", "invoice.json"];
            buys.received(month, &files.map(|name| folder.join(name))).unwrap();
        }
        // The provider's bills end on 27 February; what was used after that is yet to come.
        for month in months {
            buys.close(month, 1).unwrap();
            let folder = proven(&buys, month, "out");
            let sold = lines(&folder, "partner/shop");
            if selling == ANNIVERSARY || month != "2027-02" {
                let first = proven(&sends, month, "again");
                assert_eq!(sold, lines(&first, "partner/shop"), "{month}");
            }
        }
    }
}

/// Credit by anniversary: access from 10 January, at 15 % as granted for the month in which the bill
/// ends. Of 62 units at 1.00, 26 were used before the 10th: 26 + 36 x 0.85 = 56.60. Access from the
/// beginning earns nothing before it was granted in January: 8 + 54 x 0.85 = 53.90.
// req: B13
#[test]
fn credit_is_earned_within_a_bill_by_anniversary() {
    let granted = "\n[[earned_credit]]\nseller = \"cloud\"\nfrom = 2027-01-01\npercent = \"15\"\n";
    let access = format!(
        "\n[[eligible_access]]\npartner = \"partner\"\nsubscription = \"{LEGACY}\"\n\
         from = 2026-10-28\n"
    );
    let later = access.replace("2026-10-28", "2027-01-10");
    for (access, net) in [(later, "56.60"), (access, "53.90")] {
        // Only plans earn credit.
        let text = programme([ANNIVERSARY; 2], date(2026, 10, 28)) + granted + &access;
        let text = text.replace("legacy_calendar", "plan_calendar");
        let text = text.replace("offer = \"azure\"", "offer = \"usage\"");
        let text = text.replacen(
            "from = 2010-01-01\n\n[[subscription]]",
            "from = 2010-01-31\n\n[[subscription]]",
            1,
        );
        let world = world(&text, r#"{"0": 1}"#);
        world.usage("usage.csv", daily(date(2026, 12, 1), date(2027, 3, 1))).unwrap();
        world.close("2026-12", 1).unwrap();
        world.close("2027-01", 1).unwrap();
        let january = proven(&world, "2027-01", "out");
        let credited = lines(&january, "cloud/partner");
        assert_eq!(credited[1], row([LEGACY, "2026-12-28", "2027-01-27", "62", net]));
    }
}

/// A day in a file that does not follow from the calendars is found, whichever file says it.
// req: H5
#[test]
fn a_changed_charge_day_is_found() {
    let programme = programme([ANNIVERSARY, MONTH], date(2026, 10, 28));
    let world = world(&programme, r#"{"0": 1}"#);
    world.usage("usage.csv", daily(date(2026, 12, 1), date(2027, 3, 1))).unwrap();
    world.close("2027-01", 1).unwrap();
    for (at, (file, column, day)) in [
        ("subscriptions", "ChargeStartDate", "2026-12-29"),
        ("subscriptions", "ChargeEndDate", "2027-01-28"),
        ("subscriptions", "ChargeStartDate", "2027-01-01"),
        ("subscriptions", "ChargeEndDate", "2027-01-31"),
        ("reconciliation", "ChargeStartDate", "2027-01-01T00:00:00Z"),
        ("reconciliation", "ChargeEndDate", "2027-01-31T00:00:00Z"),
        ("daily-rated-usage", "ChargeStartDate", "2026-12-27T00:00:00Z"),
        ("daily-rated-usage", "ChargeEndDate", "2027-01-31T00:00:00Z"),
        ("daily-rated-usage", "UsageDate", "2027-01-28T00:00:00Z"),
        ("daily-rated-usage", "UsageDate", "2026-12-27T00:00:00Z"),
        ("legacy-usage", "ChargeStartDate", "2027-01-01T00:00:00Z"),
        ("prices", "EffectiveFrom", "2026-12-27T00:00:00Z"),
        ("../../charged-days", "ChargeEndDate", "2027-01-26"),
        ("../../charged-days", "Buyer", "cloud"),
        ("../../charged-days", "SubscriptionId", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = world.export("2027-01", &format!("tampered-{at}"), Format::Csv).unwrap();
        let path = folder.join(format!("2027-01/cloud/partner/{file}.csv"));
        let mut cells = Cells::read(&path).unwrap();
        let at = cells.columns.iter().position(|name| name == column).unwrap();
        let id = cells.columns.iter().position(|name| name == "SubscriptionId");
        let is_legacy =
            |row: &&mut Vec<String>| id.is_none_or(|id| row[id] == LEGACY) && !row[at].is_empty();
        cells.rows.iter_mut().filter(is_legacy).last().unwrap()[at] = day.to_owned();
        if day.is_empty() {
            // Nothing is said of its days at all.
            cells.rows.clear();
        }
        cells.write(&path).unwrap();
        let faults = verify::verify(&folder, 1).faults;
        let listed = faults.listed();
        let found = listed.iter().any(|fault| !fault.reason.contains("has been changed"));
        assert!(found, "{file} {column} {day}: {listed:#?}");
    }
}

/// Two subscriptions share the price list of an edge, and only one of them has other days on the
/// edge above: each meter's price is bought where it is billed.
#[test]
fn subscriptions_with_one_list_are_bought_on_different_days() {
    let programme = programme([ANNIVERSARY, MONTH], date(2026, 10, 15));
    let world = world(&programme, r#"{"0": 1}"#);
    let other = fixtures::rate_card(&[("disk", r#"{"0": 2}"#)]);
    world.prices("list", "other.json", other).unwrap();
    let usage = format!(
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n\
         a,{PLAN},vm,2027-01-10T12:00:00Z,2027-01-10T13:00:00Z,2,1 Hour\n\
         b,{LEGACY},disk,2027-01-11T12:00:00Z,2027-01-11T13:00:00Z,3,1 Hour\n\
         c,{LEGACY},disk,2027-01-20T12:00:00Z,2027-01-20T13:00:00Z,4,1 Hour\n\
         d,{LEGACY},disk,2027-02-15T00:00:00Z,2027-03-04T00:00:00Z,0,1 Hour\n"
    );
    world.usage("usage.csv", usage).unwrap();
    for month in ["2026-12", "2027-01", "2027-02", "2027-03"] {
        world.close(month, 1).unwrap();
        if month != "2026-12" {
            proven(&world, month, "out");
        }
    }
    let sold = lines(&world.folder().join("2027-01-out/2027-01"), "partner/shop");
    assert_eq!(sold[1], row([LEGACY, "2027-01-01", "2027-01-31", "7", "15.40"]));
}

/// What only the provider's days have, or only the customer's, is missing on other edges without
/// being a fault; what another subscription leaves out is one.
#[test]
fn only_subscriptions_with_other_days_may_be_missing_on_an_edge() {
    for calendars in [[MONTH, ANNIVERSARY], [ANNIVERSARY, MONTH]] {
        let programme = programme(calendars, date(2026, 10, 15));
        let world = world(&programme, r#"{"0": 1}"#);
        let usage = format!(
            "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n\
             b,{LEGACY},vm,2027-01-20T12:00:00Z,2027-01-20T13:00:00Z,3,1 Hour\n"
        );
        world.usage("usage.csv", usage).unwrap();
        world.close("2027-01", 1).unwrap();
        world.close("2027-02", 1).unwrap();
        let january = proven(&world, "2027-01", "out");
        let february = proven(&world, "2027-02", "out");
        let there = |folder: &PathBuf| {
            ["cloud/partner", "partner/shop"].map(|edge| folder.join(edge).exists())
        };
        let by_provider = calendars[0] == MONTH;
        assert_eq!(there(&january), [by_provider, !by_provider]);
        assert_eq!(there(&february), [!by_provider, by_provider]);
        let listed = Cells::read(&january.join("charged-days.csv")).unwrap();
        assert_eq!(listed.rows.len(), 2);

        // Another subscription under the name of this one is not excused.
        let folder = world.export("2027-01", "tampered", Format::Csv).unwrap();
        let path = folder.join("2027-01/charged-days.csv");
        let mut cells = Cells::read(&path).unwrap();
        for row in &mut cells.rows {
            row[0] = PLAN.to_owned();
        }
        cells.write(&path).unwrap();
        let faults = verify::verify(&folder, 1).faults;
        let reasons: Vec<String> =
            faults.listed().iter().map(|fault| fault.reason.clone()).collect();
        assert!(reasons.iter().any(|reason| reason.contains("is on no edge")), "{reasons:?}");
        let excused = |reason: &String| {
            reason.contains("without having bought") || reason.contains("nobody sells")
        };
        assert!(by_provider == reasons.iter().any(excused), "{reasons:?}");
    }
}

/// Late usage is told of with the month whose bill it belongs to.
#[test]
fn late_usage_is_told_of_with_its_bill() {
    let programme = programme([ANNIVERSARY; 2], date(2026, 10, 15));
    let world = world(&programme, r#"{"0": 1}"#);
    world.usage("usage.csv", daily(date(2026, 12, 1), date(2027, 2, 1))).unwrap();
    world.close("2026-12", 1).unwrap();
    world.close("2027-01", 1).unwrap();
    let late = |name: &str, day: &str| -> Vec<String> {
        let usage = format!(
            "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n\
             {name},{LEGACY},vm,{day}T12:00:00Z,{day}T13:00:00Z,3,1 Hour\n"
        );
        let notes = world.usage(&format!("{name}.csv"), usage).unwrap().notes;
        let closed = notes.into_iter().filter(|note| note.contains("is closed"));
        closed.map(|note| note[..7].to_owned()).collect()
    };
    assert_eq!(late("a", "2026-12-20"), ["2027-01"]);
    assert_eq!(late("b", "2026-12-10"), ["2026-12"]);
    assert_eq!(late("c", "2027-01-20"), Vec::<String>::new());
}

/// Of a closed month, calendars and the days by which they are told are what they were; the plan of
/// a change names them.
#[test]
fn calendars_of_closed_months_stay() {
    let text = programme([ANNIVERSARY; 2], date(2026, 10, 15));
    let world = world(&text, r#"{"0": 1}"#);
    world.usage("usage.csv", daily(date(2026, 12, 1), date(2027, 2, 1))).unwrap();
    world.close("2027-01", 1).unwrap();
    for other in [
        text.replace("\"anniversary\"", "\"calendar-month\""),
        text.replace("2026-10-15", "2026-10-16"),
    ] {
        let refused = world.apply(&other).unwrap_err().to_string();
        assert!(refused.contains("calendars and the first days"), "{refused}");
    }
}

/// A customer of which one subscription would cost something else is shown with all that it pays, as
/// its edge is.
#[test]
fn a_customer_with_a_change_is_rehearsed_whole() {
    let text = programme([ANNIVERSARY, MONTH], date(2026, 10, 28));
    let world = world(&text, r#"{"0": 1}"#);
    let disk = fixtures::rate_card(&[("disk", r#"{"0": 2}"#)]);
    world.prices("list", "disk.json", disk).unwrap();
    world.usage("usage.csv", daily(date(2026, 12, 28), date(2027, 2, 1))).unwrap();
    let header = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";
    let disks =
        format!("{header}d,{LEGACY},disk,2027-01-05T00:00:00Z,2027-01-05T01:00:00Z,9,1 Hour\n");
    world.usage("disks.csv", disks).unwrap();
    let rule = "[[price_book.rule]]\nall = true\nbuy_plus = \"10\"";
    let dearer = format!("{rule}\n[[price_book.rule]]\nmeter = \"disk\"\nbuy_plus = \"50\"");
    let draft = app::rehearse::Draft {
        programme: Some(("draft.toml".to_owned(), text.replace(rule, &dearer))),
        prices: None,
        as_of: None,
    };
    let (month, draft) = ("2027-01".parse().unwrap(), &draft);
    let rehearsed =
        world.run(|ctx| async move { app::rehearse::rehearse(ctx, month, draft, 1).await });
    let rehearsed = rehearsed.unwrap();
    let [customer] = rehearsed.customers.as_slice() else { panic!("one customer") };
    let edge = rehearsed.edges.iter().find(|edge| edge.seller == "partner").unwrap();
    assert_eq!((customer.now.net, customer.now.margin), (edge.now.net, edge.now.margin));
    assert_eq!((customer.draft.net, customer.draft.margin), (edge.draft.net, edge.draft.margin));
    // 62 + 62 + 9 x 2 = 142 at a tenth more; the disks at a half more are 27.00 instead of 19.80.
    assert_eq!(customer.now.net.to_string(), "156.20 USD");
    assert_eq!(customer.draft.net.to_string(), "163.40 USD");
}
