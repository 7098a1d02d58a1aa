//! A month that an accountant has worked out by hand.

use documents::Format;
use testkit::{Cells, World, fixtures};

fn closed() -> (World, std::path::PathBuf) {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.close("2026-01", 1).unwrap();
    let folder = world.export("2026-01", "out", Format::Csv).unwrap();
    (world, folder.join("2026-01"))
}

/// 130 units, of which 100 fill the first tier: 60 of them at the price before 16 January, 40 at
/// the one after; the last 30 are in the second tier, at the price after.
///
/// | edge | rule | 60 at | 40 at | first tier | 30 at | second tier |
/// |---|---|---|---|---|---|---|
/// | cloud, USD | list - 10 % | 0.09 | 0.108 | 5.40 + 4.32 = 9.72 | 0.063 | 1.89 |
/// | tokyo, JPY | x 150.25 + 5 % | 14.198625 | 17.03835 | 851.9175 + 681.534 = 1533.4515 | 9.9390375 | 298.171125 |
/// | gulf, KWD | x 0.002045 + 10 % | 0.031939806938 | 0.038327768325 | 1.91638841628 + 1.533110733 | 0.022357864856 | 0.67073594568 |
/// | souk, KWD | + 20 % | 0.038327768326 | 0.04599332199 | 2.29966609956 + 1.8397328796 | 0.026829437827 | 0.80488313481 |
///
/// gulf's first price is 14.198625 x 0.002045 x 1.1 = 0.0319398069375, a tie, to the even digit.
// req: A2 F2 H1 H4 H5
#[test]
fn four_edges_three_currencies_and_a_price_that_changes_inside_a_tier() {
    let (_world, folder) = closed();
    let lines = |edge: &str| -> Vec<[String; 3]> {
        let cells = Cells::read(&folder.join(edge).join("reconciliation.csv")).unwrap();
        let rows = cells.select(["BillableQuantity", "Subtotal", "Currency"]);
        rows.into_iter().map(|row| row.map(str::to_owned)).collect()
    };
    let expected = |first: &str, second: &str, currency: &str| {
        [["100", first, currency], ["30", second, currency]]
            .map(|row| row.map(str::to_owned))
            .to_vec()
    };
    assert_eq!(lines("cloud/tokyo"), expected("9.72", "1.89", "USD"));
    assert_eq!(lines("tokyo/gulf"), expected("1533", "298", "JPY"));
    assert_eq!(lines("gulf/souk"), expected("3.449", "0.671", "KWD"));
    assert_eq!(lines("souk/dhow"), expected("4.139", "0.805", "KWD"));
}

/// The same in the rows by day: what each costs, and what the invoice rounds away.
#[test]
fn daily_rows_show_the_arithmetic_and_the_residue() {
    let (_world, folder) = closed();
    let cells = Cells::read(&folder.join("gulf/souk/daily-rated-usage.csv")).unwrap();
    let rows = cells.select([
        "ChargeType",
        "UsageDate",
        "Quantity",
        "EffectiveUnitPrice",
        "BillingPreTaxTotal",
    ]);
    assert_eq!(
        rows,
        [
            ["new", "2026-01-10T00:00:00Z", "60", "0.031939806938", "1.91638841628"],
            ["new", "2026-01-20T00:00:00Z", "40", "0.038327768325", "1.533110733"],
            ["new", "2026-01-20T00:00:00Z", "30", "0.022357864856", "0.67073594568"],
            // 3.449 - 3.44949914928, at the average of 3.44949914928 / 100
            ["roundingAdjustment", "", "0", "0.0344949914928", "-0.00049914928"],
            // 0.671 - 0.67073594568
            ["roundingAdjustment", "", "0", "0.022357864856", "0.00026405432"],
        ]
    );
}

#[test]
fn invoices_and_ledger_say_the_same() {
    let (_world, folder) = closed();
    let net = |edge: &str| {
        let json = std::fs::read_to_string(folder.join(edge).join("invoice.json")).unwrap();
        let line = json.lines().find(|line| line.trim_start().starts_with("\"net\"")).unwrap();
        line.trim().trim_start_matches("\"net\": ").trim_matches([',', '"']).to_owned()
    };
    let edges = ["cloud/tokyo", "tokyo/gulf", "gulf/souk", "souk/dhow"];
    assert_eq!(edges.map(net), ["11.61", "1831", "4.120", "4.944"]);
    let ledger = Cells::read(&folder.join("gulf/ledger.csv")).unwrap();
    let mut postings = ledger.select(["Account", "Currency", "Debit", "Credit"]);
    postings.sort_unstable();
    assert_eq!(
        postings,
        [
            ["cost/usage", "JPY", "1831", ""],
            ["payable/tokyo", "JPY", "", "1831"],
            ["receivable/souk", "KWD", "4.120", ""],
            ["revenue/usage", "KWD", "", "4.120"],
        ]
    );
}

/// Nothing used, nothing to pay: no minimum and no commitment.
// req: G1
#[test]
fn a_month_without_usage_has_no_invoices() {
    let world = World::at("2026-03-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    let closed = world.close("2026-02", 1).unwrap();
    assert!(closed.invoices.is_empty());
}

#[test]
fn what_each_seller_keeps_is_shown() {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    let rated = world.rate("2026-01", 2).unwrap();
    let margins: Vec<String> = rated
        .edges
        .iter()
        .map(|edge| {
            let bought: Vec<String> = edge.bought.iter().map(ToString::to_string).collect();
            let margin = edge.margin.map_or_else(|| "-".to_owned(), |margin| margin.to_string());
            format!("{} {} {} {margin}", edge.seller_key, bought.join("+"), edge.net)
        })
        .collect();
    // 11.61 x 150.25 = 1744.4025, that is 1744; 1831 x 0.002045 = 3.744395, that is 3.744
    assert_eq!(
        margins,
        [
            "cloud  11.61 USD -",
            "gulf 1831 JPY 4.120 KWD 0.376 KWD",
            "souk 4.120 KWD 4.944 KWD 0.824 KWD",
            "tokyo 11.61 USD 1831 JPY 87 JPY",
        ]
    );
}

/// A customer whose subscriptions take turns between two sellers: every daily file has all its rows.
#[test]
fn a_customer_may_buy_from_several_sellers_by_turns() {
    let sold = |id: &str, path: &str| {
        format!(
            "\n[[subscription]]\nid = \"{id}1111111-2222-4333-8444-555555555555\"\noffer = \"plan\"\n\
             path = [\"cloud\", \"tokyo\", \"gulf\", {path}\"dhow\"]\nfrom = 2026-01-01\n"
        )
    };
    let terms = "\n[[relationship]]\npartner = \"gulf\"\nwith = \"dhow\"\nfrom = 2026-01-01\n\
                 [[agreement]]\nseller = \"gulf\"\nbuyer = \"dhow\"\nfrom = 2026-01-01\n\
                 currency = \"KWD\"\nprice_book = \"kuwait\"\nexchange = { source = \"programme\" }\n";
    let souk = "\"souk\", ";
    let programme =
        [fixtures::FOUR_DEEP, terms, &sold("2", ""), &sold("3", souk), &sold("4", "")].concat();
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&programme).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    for id in ["1", "2", "3", "4"] {
        let usage = fixtures::FOUR_DEEP_USAGE
            .replace("11111111-", &format!("{id}1111111-"))
            .replace("\ne", &format!("\n{id}-e"));
        world.usage(&format!("usage-{id}.csv"), usage).unwrap();
    }
    world.close("2026-01", 1).unwrap();
    let folder = world.export("2026-01", "out", Format::Csv).unwrap();
    let report = verify::verify(&folder, 1);
    assert!(report.passes(), "{:#?}", report.faults.listed());
}
