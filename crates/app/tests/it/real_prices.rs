//! Real price sheets and usage, where they are at hand; and the documented tier arithmetic.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use documents::Format;
use kernel::{Quantity, UnitPrice};
use testkit::{Cells, World, fixtures};

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-000000000001";
const HEADER: &str = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";

fn row(event: &str, subscription: &str, meter: &str, day: u64, quantity: &str) -> String {
    format!(
        "{event},{subscription},{meter},2026-01-{day:02}T00:00:00Z,2026-01-{day:02}T01:00:00Z,{quantity},\n"
    )
}

/// The lines that a partner gets for some usage of one meter: quantity and amount of each tier.
fn billed(rates: &str, usage: &str) -> Vec<[String; 3]> {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&[SUBSCRIPTION])).unwrap();
    world.prices("list", "prices.json", fixtures::rate_card(&[("m", rates)])).unwrap();
    world.usage("usage.csv", format!("{HEADER}{usage}")).unwrap();
    world.close("2026-01", 1).unwrap();
    let folder = world.export("2026-01", "out", Format::Csv).unwrap();
    let file = folder.join("2026-01/cloud/partner/reconciliation.csv");
    let cells = Cells::read(&file).unwrap();
    let rows = cells.select(["BillableQuantity", "UnitPrice", "Subtotal"]);
    rows.into_iter().map(|row| row.map(str::to_owned)).collect()
}

/// Microsoft's worked example: 101 units, of which 100 cost 1 and the last one 0.80, come to
/// 100.80; unit 101 is the first at the lower price.
// req: H3
#[test]
fn the_unit_after_a_tier_is_the_first_of_the_next() {
    let lines = billed(r#"{"0": 1, "100": 0.80}"#, &row("a", SUBSCRIPTION, "m", 1, "101"));
    assert_eq!(
        lines,
        [["100", "1", "100.00"], ["1", "0.8", "0.80"]].map(|line| line.map(str::to_owned))
    );
}

/// Microsoft's second example: 37 units with five free ones. The 15 % of partner earned credit
/// that the example takes off belong to another policy; before it, 32 units cost 95.68.
#[test]
fn free_units_are_a_line_of_their_own() {
    let lines = billed(r#"{"0": 0, "5": 2.99}"#, &row("a", SUBSCRIPTION, "m", 1, "37"));
    assert_eq!(
        lines,
        [["5", "0", "0.00"], ["32", "2.99", "95.68"]].map(|line| line.map(str::to_owned))
    );
}

/// The documented plan price sheet says tiers as inclusive unit numbers, days as a US date.
#[test]
fn inclusive_unit_numbers_of_a_plan_sheet_are_the_same_tiers() {
    let Some(sample) =
        testkit::shared("data/partner-center/docs-samples/azure-plan-pricesheet-sample.csv")
    else {
        return;
    };
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&[SUBSCRIPTION])).unwrap();
    let imported = world.price_file("list", &sample).unwrap();
    assert_eq!(imported.import.rows_taken, 1);
}

/// 78,189 meters, of which 1,131 have tiers; 37 recorded records cost 1.7266774405161290 dollars
/// by the first of them.
#[test]
fn the_whole_rate_card_prices_the_recorded_utilization() {
    let card = testkit::shared("data/azure/ratecard-MS-AZR-0062P-USD-2020-12-10.json.gz");
    let records = testkit::shared("data/partner-center/session-records/GetAzureUtilization.json");
    let (Some(card), Some(records)) = (card, records) else { return };
    let world = World::at("2018-09-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&["46a62ece-10ad-42e5-b3f1-b2ed53e6fc08"])).unwrap();
    let sheet = "list".parse().unwrap();
    let options = app::imports::PriceOptions {
        sheet,
        market: None,
        // The card is younger than the usage.
        valid_from: Some("2010-01-01".parse().unwrap()),
        quarantine: None,
        restate: None,
    };
    let imported = world
        .run(|ctx| async move { app::imports::import_prices(ctx, &card, &options).await })
        .unwrap();
    assert_eq!(imported.import.rows_taken, 78_189);
    assert!(imported.notes.iter().any(|note| note.contains("1131")), "{:?}", imported.notes);
    let imported = world.usage_file(&records, &World::usage_options()).unwrap();
    assert_eq!(imported.import.rows_taken, 37);
    world.close("2018-07", 2).unwrap();
    let folder = world.export("2018-07", "out", Format::Csv).unwrap();
    let daily = Cells::read(&folder.join("2018-07/cloud/partner/daily-rated-usage.csv")).unwrap();
    let sum = unrounded(&daily).into_values().sum::<i128>();
    assert_eq!(sum, 1_726_677_440_516_129_000_000_000_000_000);
}

/// What each subscription and meter comes to before rounding, in 10^-30.
fn unrounded(daily: &Cells) -> BTreeMap<(String, String), i128> {
    let mut sums = BTreeMap::new();
    for [charge, subscription, meter, amount] in
        daily.select(["ChargeType", "SubscriptionId", "MeterId", "BillingPreTaxTotal"])
    {
        if charge != "new" {
            continue;
        }
        let (whole, decimals) = amount.split_once('.').unwrap_or((amount, ""));
        let mantissa: i128 = format!("{whole}{decimals:0<30}").parse().unwrap();
        *sums.entry((subscription.to_owned(), meter.to_owned())).or_insert(0) += mantissa;
    }
    sums
}

/// The ids of all meters with tiers, and whether all their prices are above zero.
fn tiered_meters(card: &Path) -> Vec<(String, Vec<(Quantity, UnitPrice)>)> {
    let mut json = String::new();
    std::fs::File::open(card).unwrap().read_to_string(&mut json).unwrap();
    let card: serde_json::Value = serde_json::from_str(&json).unwrap();
    let meters = card["Meters"].as_array().unwrap().iter().filter_map(|meter| {
        let rates = meter["MeterRates"].as_object().unwrap();
        let mut tiers: Vec<(Quantity, UnitPrice)> = rates
            .iter()
            .map(|(from, price)| (from.parse().unwrap(), price.to_string().parse().unwrap()))
            .collect();
        tiers.sort_unstable();
        let id = meter["MeterId"].as_str().unwrap().to_lowercase();
        (tiers.len() > 1).then_some((id, tiers))
    });
    meters.collect()
}

/// For every tiered meter of a real card: cost never falls as the quantity grows, and cutting,
/// ordering and spreading the usage over records and files never changes a line of an invoice.
#[test]
fn every_tiered_meter_keeps_its_promises() {
    let Some(card) = testkit::shared("data/azure/ratecard-subset.json") else { return };
    let meters = tiered_meters(&card);
    assert_eq!(meters.len(), 1131);
    let ids: Vec<String> =
        (1..=4).map(|n| format!("11111111-2222-4333-8444-00000000000{n}")).collect();
    let subscriptions: Vec<&str> = ids.iter().map(String::as_str).collect();
    // Four subscriptions use growing quantities: within the first tier, to its end, beyond it by
    // the least that counts, and far beyond the last.
    let quantity = |step: usize, tiers: &[(Quantity, UnitPrice)]| -> i128 {
        let (first, last) = (tiers[1].0.mantissa(), tiers[tiers.len() - 1].0.mantissa());
        [first / 3, first, first + 1, last * 2 + 12_345][step]
    };
    let whole: Vec<(String, &str, &str, i128)> = meters
        .iter()
        .enumerate()
        .flat_map(|(at, (meter, tiers))| {
            subscriptions.iter().enumerate().map(move |(step, subscription)| {
                (format!("{at}-{step}"), *subscription, meter.as_str(), quantity(step, tiers))
            })
        })
        .collect();
    let close = |files: &[String]| {
        let world = World::at("2026-02-02T09:00:00Z").unwrap();
        world.apply(&fixtures::two_edges(&subscriptions)).unwrap();
        world.price_file("list", &card).unwrap();
        for (at, file) in files.iter().enumerate() {
            world.usage(&format!("usage-{at}.csv"), format!("{HEADER}{file}")).unwrap();
        }
        world.close("2026-01", 2).unwrap();
        let folder = world.export("2026-01", "out", Format::Csv).unwrap();
        let read = |name: &str| {
            std::fs::read_to_string(folder.join("2026-01/partner/shop").join(name)).unwrap()
        };
        (
            read("reconciliation.csv"),
            unrounded(
                &Cells::read(&folder.join("2026-01/partner/shop/daily-rated-usage.csv")).unwrap(),
            ),
        )
    };
    let text = |mantissa: i128| Quantity::from_mantissa(mantissa).to_string();
    let at_once: String = whole
        .iter()
        .map(|(event, subscription, meter, quantity)| {
            row(event, subscription, meter, 1, &text(*quantity))
        })
        .collect();
    let (lines, costs) = close(&[at_once]);
    for (meter, _) in &meters {
        let cost = |subscription: &str| costs[&(subscription.to_owned(), meter.clone())];
        let costs: Vec<i128> =
            subscriptions.iter().map(|subscription| cost(subscription)).collect();
        assert!(costs.is_sorted(), "{meter}: {costs:?}");
    }
    // Cut into five records on five days, the later ones first, over two files; one is negative.
    let mut files = [String::new(), String::new()];
    for (event, subscription, meter, quantity) in &whole {
        let parts = [quantity / 7, quantity / 2, -(quantity / 5), quantity / 3];
        let rest = quantity - parts.iter().sum::<i128>();
        for (at, part) in parts.into_iter().chain([rest]).enumerate() {
            let event = format!("{event}-{at}");
            let day = 20 - at as u64 * 3;
            files[at % 2] += &row(&event, subscription, meter, day, &text(part));
        }
    }
    let (cut_lines, cut_costs) = close(&files);
    assert_eq!(cut_lines, lines);
    assert_eq!(cut_costs, costs);
}
