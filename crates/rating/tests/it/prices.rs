//! Which price applies, by hand-made examples that an accountant can check.

use domain::Derivation;
use kernel::Percent;
use rating::Pricing;

use crate::world::{World, between, from, tiers, usage};

fn percent(text: &str) -> Percent {
    text.parse().unwrap()
}

fn list_minus(text: &str) -> Derivation {
    Derivation::ListMinus(percent(text))
}

fn buy_plus(text: &str) -> Derivation {
    Derivation::BuyPlus(percent(text))
}

fn fixed(currency: &str, text: &str) -> Derivation {
    Derivation::Fixed { currency: currency.parse().unwrap(), tiers: tiers(text) }
}

const START: &str = "2026-10-01T00:00:00Z";

/// req: H1 H4 H5
#[test]
fn every_edge_of_the_path_has_its_own_price() {
    let mut world = World::new("USD");
    world
        .list("disk", "Storage", &[("ever", "0:0.10")])
        .sells("provider", "distributor", "USD", &[("all", from("2026-01-01"), list_minus("20"))])
        .sells("distributor", "reseller", "USD", &[("all", from("2026-01-01"), list_minus("10"))])
        .sells("reseller", "customer", "USD", &[("all", from("2026-01-01"), buy_plus("50"))]);
    let s = world.subscription("s", &["provider", "distributor", "reseller", "customer"]);
    let groups = world.groups(&[usage(s, "disk", START, "2026-10-02T00:00:00Z", "100")]);
    assert_eq!(
        groups,
        [
            "provider>distributor disk 0: 100 = 8.00 USD",
            "distributor>reseller disk 0: 100 = 9.00 USD",
            // 0.10 less 10 %, plus 50 % of that: 0.135.
            "reseller>customer disk 0: 100 = 13.50 USD",
        ]
    );
}

#[test]
fn the_most_specific_rule_wins() {
    let mut world = World::new("USD");
    let always = from("2026-01-01");
    world
        .list("a", "Storage", &[("ever", "0:1")])
        .list("b", "Storage", &[("ever", "0:1")])
        .list("c", "Compute", &[("ever", "0:1")])
        .list("d", "Network", &[("ever", "0:1")])
        .sells(
            "provider",
            "customer",
            "USD",
            &[
                ("all", always, list_minus("1")),
                ("category storage", always, list_minus("2")),
                ("product product-compute", always, list_minus("3")),
                ("category Compute", always, list_minus("4")),
                ("meter A", always, list_minus("5")),
            ],
        );
    let s = world.subscription("s", &["provider", "customer"]);
    let used: Vec<_> =
        ["a", "b", "c", "d"].map(|meter| usage(s, meter, START, START, "100")).into();
    assert_eq!(
        world.groups(&used),
        [
            "provider>customer a 0: 100 = 95.00 USD",
            "provider>customer b 0: 100 = 98.00 USD",
            "provider>customer c 0: 100 = 97.00 USD",
            "provider>customer d 0: 100 = 99.00 USD",
        ]
    );
}

#[test]
fn a_specific_rule_that_has_ended_leaves_the_general_one() {
    let mut world = World::new("USD");
    world.list("a", "Storage", &[("ever", "0:1")]).sells(
        "provider",
        "customer",
        "USD",
        &[
            ("all", from("2026-01-01"), list_minus("0")),
            ("meter a", between("2026-10-01", "2026-10-11"), list_minus("50")),
        ],
    );
    let s = world.subscription("s", &["provider", "customer"]);
    // 30 units over 30 days: ten at half price, twenty at full price.
    let groups = world.groups(&[usage(s, "a", START, "2026-10-31T00:00:00Z", "30")]);
    assert_eq!(groups, ["provider>customer a 0: 30 = 25.00 USD"]);
}

/// The published examples of graduated tiers, with inclusive unit numbers as lower bounds.
#[test]
fn tiers_are_graduated() {
    let mut world = World::new("USD");
    world
        .list("t101", "x", &[("ever", "0:1 100:0.80 100000:0.50")])
        .list("t37", "x", &[("ever", "0:0 5:2.99")])
        .sells(
            "provider",
            "partner",
            "USD",
            &[
                ("all", from("2026-01-01"), list_minus("0")),
                ("meter t37", from("2026-01-01"), list_minus("15")),
            ],
        );
    let s = world.subscription("s", &["provider", "partner"]);
    let groups =
        world.groups(&[usage(s, "t101", START, START, "101"), usage(s, "t37", START, START, "37")]);
    assert_eq!(
        groups,
        [
            "provider>partner t101 0: 100 = 100.00 USD",
            "provider>partner t101 1: 1 = 0.80 USD",
            "provider>partner t37 0: 5 = 0.00 USD",
            "provider>partner t37 1: 32 = 81.33 USD",
        ]
    );
}

#[test]
fn a_price_change_inside_a_tier_goes_on_counting() {
    let mut world = World::new("USD");
    world.list("t", "x", &[("ever", "0:1 10:0.5"), ("2026-10-16T00:00:00Z", "0:2 10:1.5")]).sells(
        "provider",
        "customer",
        "USD",
        &[("all", from("2026-01-01"), list_minus("0"))],
    );
    let s = world.subscription("s", &["provider", "customer"]);
    let groups = world.groups(&[
        usage(s, "t", START, "2026-10-02T00:00:00Z", "8"),
        usage(s, "t", "2026-10-15T00:00:00Z", "2026-10-17T00:00:00Z", "6"),
        usage(s, "t", "2026-10-20T00:00:00Z", "2026-10-21T00:00:00Z", "5"),
    ]);
    // Before the 16th: 8, then 3 of the record that straddles: 10 at 1 and 1 at 0.5.
    // From the 16th: 3 and 5 units, all above ten: 8 at 1.5.
    assert_eq!(
        groups,
        ["provider>customer t 0: 10 = 10.00 USD", "provider>customer t 1: 9 = 12.50 USD"]
    );
}

/// req: F2
#[test]
fn list_minus_exchanges_the_amount_and_buy_plus_the_price() {
    let mut world = World::new("USD");
    let always = from("2026-01-01");
    world
        .rate("USD", "NOK", "10.1234")
        .rate("NOK", "KWD", "0.030303030303")
        .list("m", "x", &[("ever", "0:0.123456")])
        .sells("provider", "partner", "NOK", &[("all", always, list_minus("12.5"))])
        .sells("partner", "customer", "KWD", &[("all", always, buy_plus("8"))]);
    let s = world.subscription("s", &["provider", "partner", "customer"]);
    let (book, rated) = world.rate_usage(&[usage(s, "m", START, START, "1000")], 10);
    let price = |at: usize| {
        let group = &rated.groups[at];
        assert_eq!(group.pricing, Pricing::Flat);
        let node = book.nodes(group.subscription)[usize::from(group.position)];
        book.flat_price(node, group.meter).unwrap()
    };
    assert_eq!(price(0).unit_price.to_string(), "0.123456");
    assert_eq!(price(0).effective_unit_price.to_string(), "0.108024");
    assert_eq!(price(0).rate.rate.to_string(), "10.1234");
    assert_eq!(price(0).pricing_currency.code(), "USD");
    // 0.108024 x 10.1234 x 1.08 x 0.030303030303 = 0.0357895689253...
    assert_eq!(price(1).effective_unit_price.to_string(), "0.035789568925");
    assert_eq!(price(1).pricing_currency.code(), "KWD");
    assert_eq!(
        rated.groups.iter().map(|g| world.describe(&book, g)).collect::<Vec<_>>(),
        ["provider>partner m 0: 1000 = 1093.57 NOK", "partner>customer m 0: 1000 = 35.790 KWD"]
    );
}

#[test]
fn a_fixed_price_has_its_own_tiers_and_needs_no_list() {
    let mut world = World::new("USD");
    let always = from("2026-01-01");
    world
        .list("m", "x", &[("ever", "0:1 50:0.5")])
        .rate("EUR", "JPY", "160")
        .sells(
            "provider",
            "partner",
            "USD",
            &[("all", always, list_minus("0")), ("meter odd", always, fixed("USD", "0:3"))],
        )
        .sells("partner", "customer", "JPY", &[("all", always, fixed("EUR", "0:2 10:1"))]);
    let s = world.subscription("s", &["provider", "partner", "customer"]);
    let groups =
        world.groups(&[usage(s, "m", START, START, "60"), usage(s, "odd", START, START, "1")]);
    assert_eq!(
        groups,
        [
            "provider>partner m 0: 50 = 50.00 USD",
            "provider>partner m 1: 10 = 5.00 USD",
            "partner>customer m 0: 10 = 3200 JPY",
            "partner>customer m 1: 50 = 8000 JPY",
            "provider>partner odd 0: 1 = 3.00 USD",
            "partner>customer odd 0: 1 = 320 JPY",
        ]
    );
}

#[test]
fn usage_without_a_price_is_reported_with_the_reason_on_every_edge() {
    let mut world = World::new("USD");
    let always = from("2026-01-01");
    world
        .list("late", "x", &[("2026-10-05T00:00:00Z", "0:1")])
        .sells("provider", "partner", "USD", &[("all", always, list_minus("0"))])
        .sells("partner", "customer", "NOK", &[("category y", always, buy_plus("0"))]);
    let s = world.subscription("s", &["provider", "partner", "customer"]);
    let stranger = kernel::SubscriptionId::derived("stranger");
    let (book, rated) = world.rate_usage(
        &[usage(s, "late", START, START, "7"), usage(stranger, "late", START, START, "3")],
        10,
    );
    let mut reasons: Vec<String> = rated
        .unpriced
        .iter()
        .map(|u| {
            let edge = u.edge.map(|e| world.programme.key_of(book.edges()[e.get()].seller));
            format!("{} {}: {}", edge.unwrap_or_default(), u.quantity, u.reason)
        })
        .collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            " 3: the subscription has no sale path in this month",
            "partner 7: no rule of price book partner-to-customer covers the meter",
            "provider 7: price sheet list lists the meter only from 2026-10-05, not on 2026-10-01",
        ]
    );
    assert_eq!((rated.groups.len(), rated.lines.len()), (0, 0));
}

#[test]
fn a_missing_rate_matters_only_where_usage_meets_it() {
    let mut world = World::new("USD");
    let always = from("2026-01-01");
    world.list("a", "x", &[("ever", "0:1")]).list("b", "x", &[("ever", "0:1")]).sells(
        "provider",
        "customer",
        "NOK",
        &[("all", always, list_minus("0")), ("meter b", always, fixed("NOK", "0:9"))],
    );
    let s = world.subscription("s", &["provider", "customer"]);
    let priced = world.groups(&[usage(s, "b", START, START, "1")]);
    assert_eq!(priced, ["provider>customer b 0: 1 = 9.00 NOK"]);
    let (_, rated) = world.rate_usage(&[usage(s, "a", START, START, "1")], 10);
    let reason = &rated.unpriced[0].reason;
    assert!(reason.starts_with("no agreed rate from USD to NOK is known for 2026-10"), "{reason}");
}

#[test]
fn a_record_across_the_month_counts_in_each_month_for_its_part() {
    let mut world = World::new("USD");
    world.list("flat", "x", &[("ever", "0:1")]).list("steps", "x", &[("ever", "0:1 5:2")]).sells(
        "provider",
        "customer",
        "USD",
        &[("all", from("2026-01-01"), list_minus("0"))],
    );
    let s = world.subscription("s", &["provider", "customer"]);
    let groups = world.groups(&[
        // Six of eight days lie in October.
        usage(s, "flat", "2026-10-26T00:00:00Z", "2026-11-03T00:00:00Z", "8"),
        usage(s, "flat", "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z", "100"),
        usage(s, "flat", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z", "100"),
        usage(s, "steps", "2026-09-29T00:00:00Z", "2026-10-07T00:00:00Z", "8"),
    ]);
    assert_eq!(
        groups,
        [
            "provider>customer flat 0: 6 = 6.00 USD",
            "provider>customer steps 0: 5 = 5.00 USD",
            "provider>customer steps 1: 1 = 2.00 USD",
        ]
    );
}

#[test]
fn rate_books_that_say_the_same_have_the_same_hash() {
    let build = |discount: &str| {
        let mut world = World::new("USD");
        world.list("m", "x", &[("ever", "0:1")]).sells(
            "provider",
            "customer",
            "USD",
            &[("all", from("2026-01-01"), list_minus(discount))],
        );
        world.subscription("s", &["provider", "customer"]);
        world
    };
    let used = [usage(kernel::SubscriptionId::derived("s"), "m", START, START, "1")];
    let hash = |discount: &str| build(discount).book(&used).hash();
    assert_eq!(hash("5"), hash("5.0"));
    assert_ne!(hash("5"), hash("6"));
}
