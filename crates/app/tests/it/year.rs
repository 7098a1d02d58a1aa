//! A year of made-up facts, usage and prices, that arrive when they like: in sum, group by group, what is billed is
//! what perfect knowledge would have billed, and every month proves itself.

use std::collections::BTreeMap;

use documents::Format;
use testkit::{Cells, World, fixtures};

use crate::partner_center;

const SUBSCRIPTIONS: [&str; 3] = [
    "11111111-2222-4333-8444-000000000001",
    "11111111-2222-4333-8444-000000000002",
    "11111111-2222-4333-8444-000000000003",
];
const METERS: [&str; 3] = ["flat", "tiers", "free"];
const MONTHS: u32 = 12;
/// Records of a month.
const RECORDS: u32 = 14;
/// How late a fact can be, in months.
const LATE_MAX: u32 = 4;

/// Numbers that depend on a seed alone (`SplitMix64`, by Steele, Lea and Flood).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % u64::from(limit)) as u32
    }
}

/// A row of a usage file, and in which month it arrives.
struct Fact {
    arrives: u32,
    row: String,
}

/// The facts of a year: most in time, some late, some corrected once or twice, some given back.
fn facts(seed: u64) -> Vec<Fact> {
    let mut random = Random(seed);
    let mut facts = Vec::new();
    for month in 1..=MONTHS {
        for record in 0..RECORDS {
            let subscription = SUBSCRIPTIONS[random.below(3) as usize];
            let meter = METERS[random.below(3) as usize];
            let (day, hour) = (1 + random.below(28), random.below(24));
            let event = format!("{month}-{record}");
            let mut fact = |event: &str, corrects: &str, stated: u32, random: &mut Random| {
                let sign = if random.below(8) == 0 { "-" } else { "" };
                let quantity = format!("{sign}{}.{:03}", random.below(40), random.below(1000));
                let late = if random.below(3) > 0 { 0 } else { random.below(LATE_MAX) };
                facts.push(Fact {
                    arrives: (month + late).min(MONTHS),
                    row: format!(
                        "{event},{corrects},{subscription},{meter},2025-{month:02}-{day:02}T{hour:02}:00:00Z,\
                         2025-{month:02}-{day:02}T{hour:02}:30:00Z,{quantity},1 Hour,/vm/{record},\
                         2026-01-{stated:02}T00:00:00Z\n"
                    ),
                });
            };
            fact(&event, "", 1, &mut random);
            for correction in 0..random.below(6).saturating_sub(3) {
                let id = format!("{event}-c{correction}");
                fact(&id, &event, 2 + correction, &mut random);
            }
        }
    }
    facts
}

fn world(now: &str, programme: &str) -> World {
    let world = World::at(now).unwrap();
    world.apply(programme).unwrap();
    let card = fixtures::rate_card(&[
        ("flat", r#"{"0": 0.0123456}"#),
        ("tiers", r#"{"0": 1.25, "30": 0.9, "60": 0.333333}"#),
        ("free", r#"{"0": 0, "5": 2.99}"#),
    ]);
    world.prices("list", "prices.json", card).unwrap();
    world
}

/// A price that applies from a day on, and in which month it becomes known: sometimes much later.
struct PriceFact {
    arrives: u32,
    card: String,
}

/// Prices of a year, three a meter, each from a day of its own.
fn price_facts(seed: u64) -> Vec<PriceFact> {
    let mut random = Random(seed ^ 0x9121);
    let mut facts = Vec::new();
    for meter in ["flat", "tiers"] {
        for third in 0..3 {
            let month = 1 + third * 4 + random.below(4);
            let day = 1 + random.below(28);
            let tiers = match meter {
                "flat" => format!("{{\"0\": 0.0{}}}", 1 + random.below(9999)),
                _ => format!("{{\"0\": 1.{}, \"30\": 0.{}}}", random.below(100), random.below(999)),
            };
            let card = fixtures::rate_card(&[(meter, &tiers)])
                .replace("2010-01-01", &format!("2025-{month:02}-{day:02}"));
            let late = 1 + random.below(LATE_MAX);
            facts.push(PriceFact { arrives: (month + late).min(MONTHS), card });
        }
    }
    facts
}

/// Both sellers accept what has been restated of a month, bottom up or top down.
fn accept(world: &World, month: &str, random: &mut Random) {
    let mut sellers = ["cloud", "partner"];
    if random.below(2) == 0 {
        sellers.reverse();
    }
    for seller in sellers {
        world.accept(month, (seller, None), Some("agreed")).unwrap();
    }
}

fn arrive<'f>(world: &World, name: &str, facts: impl Iterator<Item = &'f Fact>) {
    let header = "event_id,corrects,subscription_id,meter_id,usage_start,usage_end,quantity,unit,\
                  resource_uri,recorded_at\n";
    let rows: String = facts.map(|fact| fact.row.as_str()).collect();
    if !rows.is_empty() {
        world.usage(name, format!("{header}{rows}")).unwrap();
    }
}

/// What was billed of each group, over all documents; exports and verifies every month.
fn billed(world: &World) -> BTreeMap<String, i64> {
    let mut groups = BTreeMap::new();
    for month in 1..=MONTHS {
        let period = format!("2025-{month:02}");
        let folder = world.export(&period, &period, Format::Csv).unwrap();
        let report = verify::verify(&folder, 2);
        assert!(report.passes(), "{period}: {:#?}", report.faults.listed());
        for (name, content) in testkit::contents(&folder).unwrap() {
            if !name.ends_with("/reconciliation.csv") {
                continue;
            }
            let path = world.folder().join("lines.csv");
            std::fs::write(&path, content).unwrap();
            let edge: Vec<&str> = name.rsplit('/').skip(1).take(2).collect();
            let columns =
                ["SubscriptionId", "MeterDescription", "UnitPrice", "Subtotal", "ChargeStartDate"];
            for [id, meter, price, amount, start] in Cells::read(&path).unwrap().select(columns) {
                let cents: i64 = amount.replace('.', "").parse().unwrap();
                let group = format!("{edge:?} {start} {id} {meter} {price}");
                *groups.entry(group).or_default() += cents;
            }
        }
    }
    // A group that all has been given back of is no group for whoever knew at once.
    groups.retain(|_, cents| *cents != 0);
    groups
}

// req: A2 H5
#[test]
fn a_year_of_random_facts_comes_to_what_perfect_knowledge_would_have_billed() {
    for seed in 1..=3 {
        compare(seed, &fixtures::two_edges(&SUBSCRIPTIONS));
    }
}

/// The same where amounts are rounded before they are exchanged, each month at a rate of its own,
/// and prices follow from amounts.
// req: A2 F2 H5
#[test]
fn the_same_year_as_the_provider_rounds_it() {
    for seed in 4..=5 {
        let late = compare(seed, &partner_center::programme());
        for month in 1..=MONTHS {
            let folder = late.folder().join(format!("2025-{month:02}"));
            for name in testkit::contents(&folder).unwrap().into_keys() {
                if name.ends_with("cloud/partner/reconciliation.csv") {
                    assert!(partner_center::keeps_the_formula(&folder.join(&name)), "{name}");
                }
            }
        }
    }
}

/// The same where each edge has a calendar of its own, which changes in the middle of the year, and
/// subscriptions begin on different days.
// req: A2 H5
#[test]
fn the_same_year_by_anniversaries() {
    let (months, anniversaries) = ("calendar-month", "anniversary");
    for (seed, [buying, selling]) in [
        (6, [[anniversaries, anniversaries], [anniversaries, anniversaries]]),
        (7, [[anniversaries, months], [months, anniversaries]]),
    ] {
        let mut text = fixtures::two_edges(&SUBSCRIPTIONS);
        for (subscription, day) in SUBSCRIPTIONS.into_iter().zip([31, 28, 2]) {
            let (before, after) = text.split_once(&format!("\"{subscription}\"")).unwrap();
            let after = after.replacen("2010-01-01", &format!("2010-01-{day:02}"), 1);
            text = format!("{before}\"{subscription}\"{after}");
        }
        for (book, [first, then]) in [("buying", buying), ("selling", selling)] {
            let (before, after) = text.split_once(&format!("price_book = \"{book}\"")).unwrap();
            let (before, agreement) = before.rsplit_once("[[agreement]]").unwrap();
            let terms = |calendar: &str, agreement: &str| {
                format!(
                    "[[agreement]]{agreement}price_book = \"{book}\"\n\
                     plan_calendar = \"{calendar}\"\n"
                )
            };
            let later = agreement.replace("from = 2010-01-01", "from = 2025-07-01");
            let first_terms =
                terms(first, &agreement.replace("2010-01-01", "2010-01-01\nuntil = 2025-07-01"));
            text = format!("{before}{first_terms}\n{}{after}", terms(then, &later));
        }
        compare(seed, &text);
    }
}

/// Bills a year as its facts arrive and all at once; returns the world of the former.
fn compare(seed: u64, programme: &str) -> World {
    let facts = facts(seed);
    let prices = price_facts(seed);
    let late = as_it_arrives(seed, programme, (&facts, &prices));
    let perfect = world("2026-01-03T09:00:00Z", programme);
    arrive(&perfect, "usage.csv", facts.iter());
    for (at, price) in prices.iter().enumerate() {
        perfect.prices("list", &format!("price-{at}.json"), &price.card).unwrap();
    }
    for month in 1..=MONTHS {
        perfect.close(&format!("2025-{month:02}"), 2).unwrap();
    }
    let groups = billed(&perfect);
    assert!(groups.len() > 150, "seed {seed}: {} groups", groups.len());
    assert_eq!(billed(&late), groups, "seed {seed}");
    late
}

fn as_it_arrives(seed: u64, programme: &str, (facts, prices): (&[Fact], &[PriceFact])) -> World {
    let mut random = Random(seed ^ 0xabcd);
    let mut late = world("2025-02-03T09:00:00Z", programme);
    let (mut adjustments, mut restated) = (0, 0);
    for month in 1..=MONTHS {
        let (year, next) = if month == 12 { (2026, 1) } else { (2025, month + 1) };
        late.go_to(&format!("{year}-{next:02}-03T09:00:00Z")).unwrap();
        let mut arrived: Vec<&Fact> = facts.iter().filter(|f| f.arrives == month).collect();
        if random.below(2) == 0 {
            arrived.reverse();
        }
        arrive(&late, &format!("usage-{month}.csv"), arrived.into_iter());
        for (at, price) in prices.iter().enumerate().filter(|(_, p)| p.arrives == month) {
            late.restate_prices("list", &format!("price-{at}.json"), &price.card).unwrap();
        }
        late.close(&format!("2025-{month:02}"), 2).unwrap();
        for earlier in 1..month {
            let earlier = format!("2025-{earlier:02}");
            if random.below(3) == 0 || month == MONTHS {
                // A seller may accept before the one above it does, and then once more.
                for _ in 0..if month == MONTHS { 2 } else { random.below(2) } {
                    if !late.restated(&earlier).unwrap().open.is_empty() {
                        accept(&late, &earlier, &mut random);
                        restated += 1;
                    }
                    let adjusted = late.adjust(&earlier, 2).unwrap();
                    adjustments += u32::from(adjusted.revision.is_some());
                }
            }
        }
    }
    assert!(restated > 3, "seed {seed}: {restated} restatements are too few to tell");
    assert!(adjustments > 10, "seed {seed}: {adjustments} adjustments are too few to tell");
    late
}
