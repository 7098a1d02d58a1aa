//! How edges are taxed, worked out by hand, in documents, books and the proof.

use documents::Format;
use testkit::{Cells, World, fixtures};

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-000000000001";

/// The two edges with other countries and what is known about taxes.
fn programme(countries: [&str; 3], taxes: &str) -> String {
    let mut text = fixtures::two_edges(&[SUBSCRIPTION]);
    for country in countries {
        text = text.replacen("country = \"US\"", &format!("country = \"@{country}\""), 1);
    }
    text.replace("\"@", "\"") + taxes
}

fn registered(organisation: &str, country: &str, vat_id: &str) -> String {
    format!(
        "\n[[tax_registration]]\norganisation = \"{organisation}\"\ncountry = \"{country}\"\n\
         vat_id = \"{vat_id}\"\nfrom = 2010-01-01\n"
    )
}

fn rate(country: &str, rate: &str, from: &str) -> String {
    format!("\n[[tax_rate]]\ncountry = \"{country}\"\nrate = \"{rate}\"\nfrom = {from}\n")
}

/// A closed month: 7 units at 0.50 and 12 at 2, above 9 at 1; the partner adds 10 percent.
fn closed(programme: &str) -> World {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(programme).unwrap();
    let card = fixtures::rate_card(&[("flat", r#"{"0": 0.5}"#), ("tiers", r#"{"0": 2, "9": 1}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    world.usage("usage.csv", usage(&[("e1", "flat", "7"), ("e2", "tiers", "12")])).unwrap();
    world.close("2026-01", 1).unwrap();
    world.go_to("2026-02-10T09:00:00Z").unwrap();
    world
}

fn usage(rows: &[(&str, &str, &str)]) -> String {
    let header = "event_id,meter_id,quantity,usage_start,usage_end,subscription_id,unit\n";
    let rows = rows.iter().map(|(id, meter, quantity)| {
        format!(
            "{id},{meter},{quantity},2026-01-08T00:00:00Z,2026-01-08T01:00:00Z,{SUBSCRIPTION},1 Hour\n"
        )
    });
    std::iter::once(header.to_owned()).chain(rows).collect()
}

/// What each invoice says of its tax.
fn taxed(world: &World) -> Vec<String> {
    let invoices = world.invoices().unwrap();
    let of = |invoice: &app::invoices::Invoice| {
        let document =
            world.run(|ctx| async move { app::invoices::document(ctx, invoice) }).unwrap();
        let taxes = document.taxes.iter().map(|tax| {
            format!("{} {} {} {} {}", tax.category, tax.rate, tax.taxable, tax.tax, tax.rule)
        });
        let taxes: Vec<String> = taxes.collect();
        format!("{}: {} = {}", invoice.seller, taxes.join(", "), document.gross)
    };
    let mut all: Vec<String> = invoices.iter().map(of).collect();
    all.sort();
    all
}

fn verified(world: &World, name: &str) -> std::path::PathBuf {
    let folder = world.export("2026-01", name, Format::Csv).unwrap();
    let report = verify::verify(&folder, 2);
    assert!(report.passes(), "{:#?}", report.faults.listed());
    folder.join("2026-01")
}

/// Where seller and buyer are decides; each edge for itself. Nets are 24.50 (21.00 and 3.50) and
/// 26.95 (19.80 and 3.30 in two tiers, 3.85).
// req: F2 H4
#[test]
fn each_edge_is_taxed_by_its_own_parties() {
    let norway = rate("NO", "25", "2005-01-01");
    let germany = rate("DE", "19", "2021-01-01");
    let cloud_no = registered("cloud", "NO", "NO123456785MVA");
    let partner_no = registered("partner", "NO", "NO987654325MVA");
    let partner_de = registered("partner", "DE", "DE123456789");
    let shop_se = registered("shop", "SE", "SE556677889901");
    let shop_de = registered("shop", "DE", "DE999999999");
    let cases = [
        // Both in Norway, then an export to the United States.
        (
            ["NO", "NO", "US"],
            [norway.clone(), cloud_no.clone(), partner_no.clone()].concat(),
            ["cloud: S 25 24.50 6.13 domestic = 30.63", "partner: G 0 26.95 0.00 export = 26.95"],
        ),
        // From Norway to Germany, then reverse charge in the Union.
        (
            ["NO", "DE", "SE"],
            [norway.clone(), germany.clone(), cloud_no.clone(), partner_de.clone(), shop_se]
                .concat(),
            [
                "cloud: G 0 24.50 0.00 export = 24.50",
                "partner: AE 0 26.95 0.00 reverse-charge = 26.95",
            ],
        ),
        // A buyer in the Union without a VAT id is taxed like a consumer: 26.95 x 0.19 = 5.1205.
        (
            ["US", "DE", "SE"],
            [germany.clone(), partner_de.clone()].concat(),
            [
                "cloud: O 0 24.50 0.00 not-registered = 24.50",
                "partner: S 19 26.95 5.12 no-vat-id = 32.07",
            ],
        ),
        // A buyer in Norway who is registered in Germany besides is still in another country.
        (
            ["DE", "DE", "NO"],
            [
                germany.clone(),
                registered("cloud", "DE", "DE111111111"),
                partner_de.clone(),
                shop_de,
            ]
            .concat(),
            ["cloud: S 19 24.50 4.66 domestic = 29.16", "partner: G 0 26.95 0.00 export = 26.95"],
        ),
        // Decided by somebody.
        (
            ["NO", "NO", "NO"],
            [
                norway.clone(),
                cloud_no,
                partner_no,
                "\n[[tax_override]]\nseller = \"partner\"\nbuyer = \"shop\"\nfrom = 2026-01-01\n\
                 category = \"E\"\nreason = \"Embassy, letter of 3 January\"\n"
                    .to_owned(),
            ]
            .concat(),
            ["cloud: S 25 24.50 6.13 domestic = 30.63", "partner: E 0 26.95 0.00 override = 26.95"],
        ),
    ];
    for (at, (countries, taxes, expected)) in cases.into_iter().enumerate() {
        let world = closed(&programme(countries, &taxes));
        assert_eq!(taxed(&world), expected, "{countries:?}");
        verified(&world, &format!("out-{at}"));
    }
}

fn domestic() -> String {
    let taxes = [
        rate("NO", "25", "2005-01-01"),
        registered("cloud", "NO", "NO123456785MVA"),
        registered("partner", "NO", "NO987654325MVA"),
    ];
    programme(["NO", "NO", "NO"], &taxes.concat())
}

/// The tax on the sum is 6.7375, that is 6.74. The lines in their order grow to 3.85, 23.65 and
/// 26.95, the tax on them to 0.9625, 5.9125 and 6.7375, rounded: 0.96, 5.91 and 6.74.
// req: H4 H5
#[test]
fn lines_share_the_tax_of_their_sum() {
    let world = closed(&domestic());
    let folder = verified(&world, "out");
    let cells = Cells::read(&folder.join("partner/shop/reconciliation.csv")).unwrap();
    assert_eq!(
        cells.select(["Subtotal", "TaxTotal", "Total"]),
        [["3.85", "0.96", "4.81"], ["19.80", "4.95", "24.75"], ["3.30", "0.83", "4.13"]]
    );
    let ledger = Cells::read(&folder.join("partner/ledger.csv")).unwrap();
    let mut postings = ledger.select(["Account", "Debit", "Credit"]);
    postings.sort_unstable();
    assert_eq!(
        postings,
        [
            ["cost/usage", "24.50", ""],
            ["payable/cloud", "", "30.63"],
            ["receivable/shop", "33.69", ""],
            ["revenue/usage", "", "26.95"],
            ["tax/input", "6.13", ""],
            ["tax/output", "", "6.74"],
        ]
    );
}

/// What is given back is given back with its tax; the treatment is that of the month.
#[test]
fn a_difference_is_taxed_like_its_month() {
    let world = closed(&domestic());
    world.usage("late.csv", usage(&[("l1", "flat", "-3")])).unwrap();
    world.adjust("2026-01", 1).unwrap();
    assert_eq!(
        taxed(&world),
        [
            "cloud: S 25 -1.50 -0.38 domestic = -1.88",
            "cloud: S 25 24.50 6.13 domestic = 30.63",
            "partner: S 25 -1.65 -0.41 domestic = -2.06",
            "partner: S 25 26.95 6.74 domestic = 33.69",
        ]
    );
    verified(&world, "out");
}

/// A rate that changes applies from its day on; one that would change a closed month is refused.
#[test]
fn rates_are_dated_and_closed_months_keep_theirs() {
    let dearer = domestic().replace("rate = \"25\"", "rate = \"26\"");
    let world = closed(&domestic());
    let refused = world.apply(&dearer).unwrap_err().to_string();
    assert!(refused.contains("would tax otherwise what "), "{refused}");
    let next = domestic().replace(
        "rate = \"25\"\nfrom = 2005-01-01",
        "rate = \"25\"\nfrom = 2005-01-01\nuntil = 2026-02-01",
    ) + &rate("NO", "26", "2026-02-01");
    world.apply(&next).unwrap();
}

#[test]
fn what_cannot_be_taxed_is_said() {
    let taxes = registered("cloud", "NO", "NO123456785MVA");
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&programme(["NO", "NO", "NO"], &taxes)).unwrap();
    let card = fixtures::rate_card(&[("flat", r#"{"0": 0.5}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    world.usage("usage.csv", usage(&[("e1", "flat", "7")])).unwrap();
    let refused = world.close("2026-01", 1).unwrap_err().to_string();
    assert!(refused.contains("no tax rate of NO for standard is known on 2026-01-31"), "{refused}");
    assert!(world.invoices().unwrap().is_empty());
    world.apply(&domestic()).unwrap();
    world.close("2026-01", 1).unwrap();
    for (wrong, says) in [
        (registered("shop", "NO", "123456785"), "is no VAT id of NO"),
        (registered("shop", "NO", "NO12345678MVA"), "is no Norwegian VAT id"),
        (registered("shop", "GR", "GR123456789"), "starts with EL"),
        (rate("NO", "125", "2030-01-01"), "must lie between 0 and 100"),
        (rate("NO", "20", "2020-01-01"), "overlaps the one from 2005-01-01"),
        (
            "\n[[tax_override]]\nseller = \"cloud\"\nbuyer = \"shop\"\nfrom = 2030-01-01\n\
             category = \"S\"\nreason = \" \"\n"
                .to_owned(),
            "has no trade agreement with the seller",
        ),
    ] {
        let text = domestic() + &wrong;
        let refused = match world.apply(&text) {
            Err(kernel::Error::Refused { faults, .. }) => {
                faults.shown().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
            }
            other => format!("{other:?}"),
        };
        assert!(refused.contains(says), "{says}: {refused}");
    }
}
