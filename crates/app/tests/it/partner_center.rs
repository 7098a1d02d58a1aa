//! The provider's own way to round: down before the exchange and down after it, with effective unit
//! prices that follow from that.

use documents::Format;
use kernel::{Amount, Currency, ExchangeRate, Quantity, Rounding, UnitPrice};
use testkit::{Cells, World, fixtures};

const SUBSCRIPTIONS: [&str; 3] = [
    "11111111-2222-4333-8444-000000000001",
    "11111111-2222-4333-8444-000000000002",
    "11111111-2222-4333-8444-000000000003",
];

/// Two edges in euros on top of a list in dollars: the partner buys with 15 percent off as the
/// provider rounds, and sells with 10 percent on top to the nearest cent.
pub(crate) fn programme() -> String {
    let mut text = fixtures::two_edges(&SUBSCRIPTIONS)
        .replace("list_minus = \"0\"", "list_minus = \"15\"")
        .replace("currency = \"USD\"", "currency = \"EUR\"\nexchange = { source = \"programme\" }")
        .replace(
            "price_book = \"buying\"",
            "price_book = \"buying\"\nrounding = \"partner-center\"",
        )
        .replace(
            "price_book = \"selling\"",
            "price_book = \"selling\"\nrounding = \"partner-center-nearest\"",
        );
    let months = [2025, 2026].into_iter().flat_map(|year| (1..=12).map(move |month| (year, month)));
    let rates = months.zip(RATES.iter().cycle()).map(|((year, month), rate)| {
        format!(
            "\n[[exchange_rate]]\nfrom = \"USD\"\nto = \"EUR\"\nmonth = \"{year}-{month:02}\"\n\
             rate = \"{rate}\"\n"
        )
    });
    text.extend(rates);
    text
}

const RATES: [&str; 3] = ["0.846202666", "0.91", "0.8899554432213"];

fn world(usage: &[(&str, &str, &str)]) -> World {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&programme()).unwrap();
    let card =
        fixtures::rate_card(&[("vm", r#"{"0": 0.868}"#), ("free", r#"{"0": 0, "5": 2.99}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    arrive(&world, "usage.csv", usage);
    world
}

fn arrive(world: &World, name: &str, usage: &[(&str, &str, &str)]) {
    let header = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";
    let rows = usage.iter().enumerate().map(|(at, (subscription, meter, quantity))| {
        format!(
            "{name}-{at},{subscription},{meter},2026-01-10T00:00:00Z,2026-01-10T01:00:00Z,{quantity},\
             1 Hour\n"
        )
    });
    let text: String = std::iter::once(header.to_owned()).chain(rows).collect();
    world.usage(name, text).unwrap();
}

type Line = [String; 6];

fn lines(folder: &std::path::Path, edge: &str) -> Vec<Line> {
    let cells = Cells::read(&folder.join(edge).join("reconciliation.csv")).unwrap();
    let columns = [
        "ChargeType",
        "BillableQuantity",
        "UnitPrice",
        "EffectiveUnitPrice",
        "PCToBCExchangeRate",
        "Subtotal",
    ];
    cells.select(columns).into_iter().map(|row| row.map(str::to_owned)).collect()
}

fn expected(rows: &[[&str; 6]]) -> Vec<Line> {
    rows.iter().map(|row| row.map(str::to_owned)).collect()
}

fn proven(world: &World, name: &str) -> std::path::PathBuf {
    let folder = world.export("2026-01", name, Format::Csv).unwrap();
    let report = verify::verify(&folder, 2);
    assert!(report.passes(), "{:#?}", report.faults.listed());
    folder
}

/// Partner Center's published days and its example of a free tier, at 15 percent off:
///
/// | units | exact USD | down | effective unit price, up | x 0.846202666, down |
/// |---|---|---|---|---|
/// | 29 x 0.7378 | 21.3962 | 21.39 | 21.39 / 29 = 0.737586206896552 | 18.1002... = 18.10 |
/// | 210.950039 x 0.7378 | 155.6389387742 | 155.63 | 0.737757626107858 | 131.6945... = 131.69 |
/// | 5 x 0 | 0 | 0 | 0 | 0.00 |
/// | 32 x 2.5415 | 81.328 | 81.32 | 2.54125 | 68.8132... = 68.81 |
///
/// Rounded once, the second line would be 131.70. The customer pays 0.7378 x 0.846202666 x 1.1 =
/// 0.686761159672 (12 decimals): 29 units 19.916 = 19.92, 210.950039 units 144.872... = 144.87; and
/// 2.5415 x 0.846202666 x 1.1 = 2.365686483203: 32 units 75.7019... = 75.70.
// req: F2 H1
#[test]
fn a_month_as_the_provider_rounds_it() {
    let world = world(&[
        (SUBSCRIPTIONS[0], "vm", "29"),
        (SUBSCRIPTIONS[1], "vm", "210.950039"),
        (SUBSCRIPTIONS[2], "free", "37"),
    ]);
    world.close("2026-01", 1).unwrap();
    let folder = proven(&world, "out");
    let rate = RATES[0];
    let buying = [
        ["new", "29", "0.868", "0.737586206896552", rate, "18.10"],
        ["new", "210.950039", "0.868", "0.737757626107858", rate, "131.69"],
        ["new", "5", "0", "0", rate, "0.00"],
        ["new", "32", "2.99", "2.54125", rate, "68.81"],
    ];
    assert_eq!(lines(&folder.join("2026-01"), "cloud/partner"), expected(&buying));
    let (vm, free) = ("0.686761159672", "2.365686483203");
    let selling = [
        ["new", "29", vm, vm, "1", "19.92"],
        ["new", "210.950039", vm, vm, "1", "144.87"],
        ["new", "5", "0", "0", "1", "0.00"],
        ["new", "32", free, free, "1", "75.70"],
    ];
    assert_eq!(lines(&folder.join("2026-01"), "partner/shop"), expected(&selling));
}

/// What is not exchanged has one rate, whether it comes from a list or from what the seller pays:
/// two units at 1.005 are 2.01, not twice 1.00.
#[test]
fn prices_that_are_not_exchanged_are_of_one_rate() {
    let programme = programme()
        .replacen("currency = \"EUR\"", "currency = \"USD\"", 2)
        .replace("partner-center-nearest", "partner-center")
        .replace("list_minus = \"15\"", "list_minus = \"0\"")
        .replace(
            "all = true\nbuy_plus = \"10\"",
            "all = true\nbuy_plus = \"0\"\n[[price_book.rule]]\nmeter = \"cent\"\n\
             list_minus = \"0\"\nfrom = 2026-01-16",
        );
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&programme).unwrap();
    let card = fixtures::rate_card(&[("cent", r#"{"0": 1.005}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    let header = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";
    let row = |day: u32| {
        format!(
            "{day},{},cent,2026-01-{day}T00:00:00Z,2026-01-{day}T01:00:00Z,1,1 Hour\n",
            SUBSCRIPTIONS[0]
        )
    };
    world.usage("usage.csv", [header, &row(11), &row(20)].concat()).unwrap();
    world.close("2026-01", 1).unwrap();
    let folder = proven(&world, "out").join("2026-01");
    let expected = [["new", "2", "1.005", "1.005", "1", "2.01"]];
    assert_eq!(lines(&folder, "partner/shop"), expected.map(|row| row.map(str::to_owned)));
}

/// One unit more: 30 x 0.7378 = 22.134, down 22.13, which is 18.7264... = 18.72 and a unit at
/// 0.737666666666667. Its unit price is another one, so the line is taken back and billed anew.
#[test]
fn a_difference_takes_the_line_back_and_bills_it_anew() {
    let world = world(&[(SUBSCRIPTIONS[0], "vm", "29")]);
    world.close("2026-01", 1).unwrap();
    arrive(&world, "late.csv", &[(SUBSCRIPTIONS[0], "vm", "1")]);
    world.adjust("2026-01", 1).unwrap();
    let folder = proven(&world, "out").join("2026-01/adjustment-1");
    let rate = RATES[0];
    let buying = [
        ["reversal", "-29", "0.868", "0.737586206896552", rate, "-18.10"],
        ["new", "30", "0.868", "0.737666666666667", rate, "18.72"],
    ];
    assert_eq!(lines(&folder, "cloud/partner"), expected(&buying));
    let cells = Cells::read(&folder.join("cloud/partner/reconciliation.csv")).unwrap();
    let references = cells.select(["ReferenceID"]);
    let sums = world.explain(references[1][0]).unwrap().now.unwrap().inside;
    let told: Vec<String> = sums.iter().map(|sum| format!("{} {}", sum.cost, sum.billed)).collect();
    assert_eq!(told, ["22.13 USD 18.72 EUR"]);
}

/// What Partner Center documents of a usage line: `ROUNDDOWN(ROUNDDOWN(EffectiveUnitPrice x
/// BillableQuantity, 2) x PCToBCExchangeRate, 2)`.
pub(crate) fn keeps_the_formula(path: &std::path::Path) -> bool {
    let columns = [
        "EffectiveUnitPrice",
        "BillableQuantity",
        "PricingCurrency",
        "PCToBCExchangeRate",
        "Currency",
        "Subtotal",
    ];
    let cells = Cells::read(path).unwrap();
    cells.select(columns).into_iter().all(|[price, quantity, pricing, rate, billing, subtotal]| {
        let price: UnitPrice = price.parse().unwrap();
        let quantity: Quantity = quantity.parse().unwrap();
        let (pricing, billing): (Currency, Currency) =
            (pricing.parse().unwrap(), billing.parse().unwrap());
        let rate: ExchangeRate = rate.parse().unwrap();
        let cost = Amount::of(quantity, price).unwrap().round(Rounding::Down, pricing).unwrap();
        let billed = cost.exchanged(rate, Rounding::Down, billing).unwrap();
        // What was used at one price and given back at another has no price a unit.
        quantity.is_zero() || billed.digits() == subtotal
    })
}
