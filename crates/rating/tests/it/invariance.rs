//! What must not matter: batches, order of arrival, how usage is cut into records.

use std::collections::BTreeMap;

use domain::Derivation;
use kernel::{Amount, Quantity, SubscriptionId};
use proptest::prelude::*;

use crate::world::{Usage, World, from, micros};

fn world(prices: &[(&str, &str)]) -> (World, SubscriptionId) {
    let mut world = World::new("USD");
    world
        .list("m", "x", prices)
        .sells(
            "provider",
            "partner",
            "USD",
            &[("all", from("2026-01-01"), Derivation::ListMinus("12.5".parse().unwrap()))],
        )
        .sells(
            "partner",
            "customer",
            "USD",
            &[("all", from("2026-01-01"), Derivation::BuyPlus("7".parse().unwrap()))],
        );
    let s = world.subscription("s", &["provider", "partner", "customer"]);
    (world, s)
}

/// Quantity, exact amount and money of every group.
fn totals(
    world: &World,
    records: &[Usage],
    rows: usize,
) -> BTreeMap<(u8, u8), (Quantity, Amount, i64)> {
    let (_, rated) = world.rate_usage(records, rows);
    rated
        .groups
        .iter()
        .map(|g| ((g.position, g.tier), (g.quantity, g.amount().unwrap(), g.money.minor())))
        .collect()
}

const HOUR: i64 = 3_600_000_000;

fn record(s: SubscriptionId, from: i64, hours: i64, quantity: i128) -> Usage {
    let start = micros("2026-10-01T00:00:00Z") + from * HOUR;
    Usage {
        subscription: s,
        meter: "m".into(),
        start,
        end: start + hours * HOUR,
        quantity: Quantity::from_mantissa(quantity),
    }
}

const STEPS: &[(&str, &str)] = &[("ever", "0:0 5:2.99 100.5:1.5 1000:0.75")];
const CHANGES: &[(&str, &str)] = &[
    ("ever", "0:1 50:0.5"),
    ("2026-10-10T00:00:00Z", "0:2 60:1"),
    ("2026-10-20T06:00:00Z", "0:3"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn batches_and_order_of_arrival_do_not_matter(
        records in prop::collection::vec((0i64..700, 0i64..48, 0i128..10i128.pow(18)), 1..50),
        shuffled in any::<prop::sample::Index>(), rows in 1usize..60,
        changes in any::<bool>(),
    ) {
        let (world, s) = world(if changes { CHANGES } else { STEPS });
        // Different starts, so that the canonical order is unique.
        let mut records: Vec<Usage> = records
            .into_iter()
            .enumerate()
            .map(|(at, (from, hours, q))| {
                let mut record = record(s, from, hours, q);
                record.start += at as i64;
                record.end += at as i64;
                record
            })
            .collect();
        let expected = totals(&world, &records, 1000);
        let at = shuffled.index(records.len());
        records.rotate_left(at);
        prop_assert_eq!(totals(&world, &records, rows), expected);
    }

    #[test]
    fn splitting_a_record_changes_no_total(
        records in prop::collection::vec((0i64..600, 2i64..100, 1i128..10i128.pow(6)), 1..30),
        changes in any::<bool>(),
    ) {
        let (world, s) = world(if changes { CHANGES } else { STEPS });
        // Quantities that divide evenly by hours, so that halves by time are halves by quantity.
        let unit = 10i128.pow(12);
        let whole: Vec<Usage> = records
            .iter()
            .map(|(from, hours, q)| record(s, *from, *hours, q * i128::from(*hours) * unit))
            .collect();
        let halves: Vec<Usage> = records
            .iter()
            .flat_map(|(from, hours, q)| {
                let first = hours / 2;
                [
                    record(s, *from, first, q * i128::from(first) * unit),
                    record(s, from + first, hours - first, q * i128::from(hours - first) * unit),
                ]
            })
            .collect();
        prop_assert_eq!(totals(&world, &whole, 50), totals(&world, &halves, 50));
    }

    #[test]
    fn more_usage_never_costs_less(
        records in prop::collection::vec((0i64..600, 0i64..10, 0i128..10i128.pow(18)), 1..20),
        more in 1i128..10i128.pow(18),
    ) {
        let (world, s) = world(STEPS);
        let sum = |records: &[Usage]| {
            let totals = totals(&world, records, 50);
            totals.values().try_fold(Amount::ZERO, |sum, t| sum.checked_add(t.1)).unwrap()
        };
        let mut records: Vec<Usage> =
            records.into_iter().map(|(from, hours, q)| record(s, from, hours, q)).collect();
        let before = sum(&records);
        records.push(record(s, 300, 1, more));
        prop_assert!(sum(&records) >= before);
    }
}

/// The same record on two edges, where only the lower one changes its price in mid-month.
#[test]
fn an_edge_does_not_notice_the_price_changes_of_those_below() {
    let run = |changed: bool| {
        let (mut world, s) = world(&[("ever", "0:1 3:0.7")]);
        if changed {
            let book = world.programme.price_books.get_mut(&"partner-to-customer".parse().unwrap());
            let rules = &mut book.unwrap().rules;
            let mut later = rules[0].clone();
            rules[0].validity = crate::world::between("2026-01-01", "2026-10-13");
            later.validity = from("2026-10-13");
            later.derivation = Derivation::BuyPlus("9".parse().unwrap());
            rules.push(later);
        }
        let third = 10i128.pow(15) / 3;
        let (_, rated) = world.rate_usage(&[record(s, 0, 700, 7 * third)], 10);
        rated.groups.into_iter().filter(|g| g.position == 0).collect::<Vec<_>>()
    };
    assert_eq!(run(false), run(true));
}
