//! Lines add up to their groups, whatever the run.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal64Type, Decimal128Type, Int32Type};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use domain::Derivation;
use kernel::{Amount, QUANTITY_SCALE, SubscriptionId};
use proptest::prelude::*;

use crate::world::{Rated, Usage, World, from, micros, tiers, usage};

/// A decimal column as exact amounts; none for nulls.
fn decimals(batch: &RecordBatch, name: &str) -> Vec<Option<Amount>> {
    let column = batch.column_by_name(name).unwrap();
    let exact = |mantissa: i128, scale: i8| Amount::from_scaled(mantissa, scale as u8).unwrap();
    match column.data_type() {
        DataType::Decimal64(_, scale) => column
            .as_primitive::<Decimal64Type>()
            .iter()
            .map(|v| v.map(|v| exact(v.into(), *scale)))
            .collect(),
        DataType::Decimal128(_, scale) => column
            .as_primitive::<Decimal128Type>()
            .iter()
            .map(|v| v.map(|v| exact(v, *scale)))
            .collect(),
        other => panic!("{name} is {other}"),
    }
}

fn runs(batch: &RecordBatch, name: &str) -> Vec<Option<i32>> {
    let runs = batch.column_by_name(name).unwrap().as_run::<Int32Type>();
    let typed = runs.downcast::<arrow_array::Int32Array>().unwrap();
    let values = typed.values();
    (0..runs.len())
        .map(|at| {
            let at = runs.get_physical_index(at);
            values.is_valid(at).then(|| values.value(at))
        })
        .collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<String> {
    let runs = batch.column_by_name(name).unwrap().as_run::<Int32Type>();
    let dictionary = runs.values().as_dictionary::<Int32Type>();
    let names = dictionary.values().as_string::<i32>();
    (0..runs.len())
        .map(|at| names.value(dictionary.keys().value(runs.get_physical_index(at)) as usize).into())
        .collect()
}

type Sums = BTreeMap<(String, String, usize, i32), (Amount, Amount)>;

/// Quantity and amount per subscription, meter, position and tier, added up from the lines.
fn sums(rated: &Rated) -> Sums {
    let mut sums = Sums::new();
    for batch in &rated.lines {
        let (subscriptions, meters) = (texts(batch, "subscription_id"), texts(batch, "meter_id"));
        let quantities = decimals(batch, "quantity");
        for edge in 1.. {
            if batch.column_by_name(&format!("tier_{edge}")).is_none() {
                break;
            }
            let tiers = runs(batch, &format!("tier_{edge}"));
            let amounts = decimals(batch, &format!("amount_{edge}"));
            for at in 0..batch.num_rows() {
                assert_eq!(tiers[at].is_some(), amounts[at].is_some());
                let (Some(tier), Some(amount)) = (tiers[at], amounts[at]) else { continue };
                let key = (subscriptions[at].clone(), meters[at].clone(), edge - 1, tier);
                let sum = sums.entry(key).or_default();
                sum.0 = sum.0.checked_add(quantities[at].unwrap()).unwrap();
                sum.1 = sum.1.checked_add(amount).unwrap();
            }
        }
    }
    sums
}

fn expected(book: &rating::RateBook, rated: &Rated) -> Sums {
    rated
        .groups
        .iter()
        .map(|group| {
            let key = (
                book.subscription_id(group.subscription).to_string(),
                book.meters()[group.meter.get()].to_string(),
                usize::from(group.position),
                i32::from(group.tier),
            );
            let quantity = Amount::from_scaled(group.quantity.mantissa(), QUANTITY_SCALE).unwrap();
            (key, (quantity, group.amount().unwrap()))
        })
        .collect()
}

const START: &str = "2026-10-01T00:00:00Z";

/// Paths of one and three edges, flat and tiered meters, a price change, an exchange.
fn mixed_world() -> (World, [SubscriptionId; 2]) {
    let mut world = World::new("USD");
    let always = from("2026-01-01");
    world
        .rate("USD", "NOK", "10.1234")
        .list("flat", "x", &[("ever", "0:0.0123")])
        .list("steps", "x", &[("ever", "0:0 5:2.99 17.5:1.25")])
        .list("moves", "y", &[("ever", "0:1"), ("2026-10-16T12:00:00Z", "0:3 9:2")])
        .sells(
            "provider",
            "direct",
            "NOK",
            &[("all", always, Derivation::ListMinus("15".parse().unwrap()))],
        )
        .sells(
            "provider",
            "distributor",
            "USD",
            &[("all", always, Derivation::ListMinus("20".parse().unwrap()))],
        )
        .sells(
            "distributor",
            "reseller",
            "USD",
            &[("all", always, Derivation::BuyPlus("3.7".parse().unwrap()))],
        )
        .sells(
            "reseller",
            "customer",
            "NOK",
            &[
                ("all", always, Derivation::BuyPlus("10".parse().unwrap())),
                (
                    "meter flat",
                    from("2026-10-20"),
                    Derivation::Fixed {
                        currency: "NOK".parse().unwrap(),
                        tiers: tiers("0:1 3:0.5"),
                    },
                ),
            ],
        );
    let long = world.subscription("long", &["provider", "distributor", "reseller", "customer"]);
    let short = world.subscription("short", &["provider", "direct"]);
    (world, [long, short])
}

#[test]
fn amounts_are_exact_in_the_narrowest_type_that_holds_them() {
    let mut world = World::new("USD");
    world.list("m", "x", &[("ever", "0:0.05")]).sells(
        "provider",
        "customer",
        "USD",
        &[("all", from("2026-01-01"), Derivation::ListMinus("10".parse().unwrap()))],
    );
    let s = world.subscription("s", &["provider", "customer"]);
    let (_, rated) = world.rate_usage(&[usage(s, "m", START, START, "1234.5")], 10);
    // 1234.5 x 0.045 = 55.5525; the quantity arrived with 15 decimals, the price adds three.
    let column = rated.lines[0].column_by_name("amount_1").unwrap();
    assert_eq!(*column.data_type(), DataType::Decimal128(20, 18));
    assert_eq!(decimals(&rated.lines[0], "amount_1")[0].unwrap().to_string(), "55.5525");
}

#[test]
fn lines_without_room_for_all_decimals_are_rounded_and_say_so_by_their_scale() {
    let mut world = World::new("USD");
    world
        .rate("USD", "NOK", "10.12345678901234567")
        .list("m", "x", &[("ever", "0:0.0209496384791679")])
        .sells(
            "provider",
            "customer",
            "NOK",
            &[("all", from("2026-01-01"), Derivation::ListMinus("0".parse().unwrap()))],
        );
    let s = world.subscription("s", &["provider", "customer"]);
    let (_, rated) = world.rate_usage(&[usage(s, "m", START, START, "23.200004000000001")], 10);
    let exact = rated.groups[0].amount().unwrap();
    assert_eq!(exact.to_string(), "4.920320877762487721089382529328822321128208767993");
    let line = decimals(&rated.lines[0], "amount_1")[0].unwrap();
    assert_eq!(line.to_string(), "4.92032087776248772108938252932882232");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn lines_add_up_to_their_groups(
        records in prop::collection::vec(
            (0usize..2, 0usize..3, 0i64..31 * 24, 0i64..60, -500_000i64..5_000_000), 1..60),
        rows_per_batch in 1usize..70,
    ) {
        let (world, subscriptions) = mixed_world();
        let start = micros(START);
        let hour = 3_600_000_000;
        let records: Vec<Usage> = records
            .into_iter()
            .map(|(subscription, meter, from, hours, quantity)| Usage {
                subscription: subscriptions[subscription],
                meter: ["flat", "steps", "moves"][meter].to_owned(),
                start: start + from * hour,
                end: start + (from + hours) * hour,
                quantity: kernel::Quantity::from_mantissa(i128::from(quantity) * 10i128.pow(10) / 7),
            })
            .collect();
        let (book, rated) = world.rate_usage(&records, rows_per_batch);
        prop_assert_eq!(&rated.unpriced, &[]);
        prop_assert_eq!(sums(&rated), expected(&book, &rated));
    }
}
