//! Legacy offers beside the plan: one invoice, a file of its own, rounded once.

use std::path::{Path, PathBuf};

use documents::Format;
use testkit::{Cells, World, fixtures};

const PLAN: &str = "11111111-2222-4333-8444-000000000001";
const LEGACY: &str = "11111111-2222-4333-8444-000000000002";

/// The partner has a plan and a legacy subscription; the provider rounds as Partner Center does.
fn programme() -> String {
    let text = fixtures::two_edges(&[PLAN, LEGACY]).replace(
        "price_book = \"buying\"",
        "price_book = \"buying\"\nrounding = \"partner-center\"",
    );
    let (before, after) = text.split_once(LEGACY).unwrap();
    let legacy = after.replacen("offer = \"usage\"", "offer = \"azure\"", 1);
    format!(
        "{before}{LEGACY}{legacy}\n[[offer]]\nkey = \"azure\"\nname = \"Microsoft Azure\"\n\
         family = \"legacy\"\nprice_sheet = \"list\"\n"
    )
}

fn world() -> World {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&programme()).unwrap();
    let card = fixtures::rate_card(&[
        ("s1", r#"{"0": 0.085}"#),
        ("tiers", r#"{"0": 0, "5": 2.99, "100": 1.333}"#),
    ]);
    world.prices("list", "prices.json", card).unwrap();
    arrive(
        &world,
        "usage.csv",
        &[(PLAN, "s1", "745"), (LEGACY, "s1", "745"), (LEGACY, "tiers", "105.7")],
    );
    world
}

fn arrive(world: &World, name: &str, rows: &[(&str, &str, &str)]) {
    let mut text =
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n".to_owned();
    for (at, (subscription, meter, quantity)) in rows.iter().enumerate() {
        let row = [
            &format!("{name}-{at}"),
            *subscription,
            meter,
            "2026-01-10T00:00:00Z",
            "2026-01-10T01:00:00Z",
            quantity,
            "1 Hour\n",
        ];
        text += &row.join(",");
    }
    world.usage(name, text).unwrap();
}

fn proven(world: &World, name: &str, format: Format) -> PathBuf {
    let folder = world.export("2026-01", name, format).unwrap();
    let report = verify::verify(&folder, 2);
    assert!(report.passes(), "{:#?}", report.faults.listed());
    folder
}

fn rows(folder: &Path, edge: &str) -> Vec<[String; 9]> {
    let cells = Cells::read(&folder.join(edge).join("legacy-usage.csv")).unwrap();
    let columns = [
        "ResourceGuid",
        "DetailLineItemId",
        "ConsumedQuantity",
        "IncludedQuantity",
        "OverageQuantity",
        "ListPrice",
        "PretaxCharges",
        "PretaxEffectiveRate",
        "ChargeType",
    ];
    cells.select(columns).into_iter().map(|row| row.map(str::to_owned)).collect()
}

const FEE: &str = "Assess usage fee for current cycle";

/// The published row: 745 x 0.085 = 63.325, half up 63.33, a unit at 0.08500671. The plan's line of
/// the same usage is rounded down to 63.32. Of 105.7 units 5 are included, 95 cost 2.99 = 284.05 and
/// 5.7 cost 1.333 = 7.5981 = 7.60 (1.33333333 a unit). One invoice: 63.32 + 63.33 + 284.05 + 7.60.
// req: B1 F2 H1
#[test]
fn a_plan_and_a_legacy_offer_on_one_invoice() {
    let world = world();
    world.close("2026-01", 1).unwrap();
    let folder = proven(&world, "out", Format::Csv).join("2026-01");
    let net = world.invoices().unwrap()[0].row.net.to_string();
    assert_eq!(net, "418.30 USD");
    let expected = [
        ["s1", "1", "745", "0", "745", "0.085", "63.33", "0.08500671", FEE],
        ["tiers", "1", "5", "5", "0", "0", "0.00", "0", FEE],
        ["tiers", "2", "95", "0", "95", "2.99", "284.05", "2.99", FEE],
        ["tiers", "3", "5.7", "0", "5.7", "1.333", "7.60", "1.33333333", FEE],
    ];
    assert_eq!(rows(&folder, "cloud/partner"), expected.map(|row| row.map(str::to_owned)));
    assert_eq!(rows(&folder, "partner/shop").len(), 4);
    proven(&world, "parquet", Format::Parquet);
}

/// Late usage is a difference of the legacy file, too: 5 units more at 0.085, of which the line comes
/// to 750 x 0.085 = 63.75.
// req: A2
#[test]
fn a_difference_is_in_the_legacy_file() {
    let world = world();
    world.close("2026-01", 1).unwrap();
    arrive(&world, "late.csv", &[(LEGACY, "s1", "5"), (LEGACY, "tiers", "-1"), (PLAN, "s1", "1")]);
    world.adjust("2026-01", 1).unwrap();
    let folder = proven(&world, "out", Format::Csv).join("2026-01/adjustment-1");
    let expected = [
        ["s1", "1", "5", "0", "5", "0.085", "0.42", "0.084", FEE],
        ["tiers", "3", "-1", "0", "-1", "1.333", "-1.33", "1.33", "Offset a line item"],
    ];
    assert_eq!(rows(&folder, "cloud/partner"), expected.map(|row| row.map(str::to_owned)));
}

/// Whatever the legacy file says otherwise than the reconciliation file is found.
#[test]
fn a_changed_legacy_file_is_found() {
    let world = world();
    world.close("2026-01", 1).unwrap();
    let columns = Cells::read(
        &proven(&world, "columns", Format::Csv).join("2026-01/cloud/partner/legacy-usage.csv"),
    )
    .unwrap()
    .columns;
    let found = |name: &str, change: &dyn Fn(&mut Cells)| {
        let folder = proven(&world, name, Format::Csv);
        let path = folder.join("2026-01/cloud/partner/legacy-usage.csv");
        let mut cells = Cells::read(&path).unwrap();
        change(&mut cells);
        cells.write(&path).unwrap();
        let report = verify::verify(&folder, 1);
        let listed = report.faults.listed();
        let found = listed.iter().any(|fault| !fault.reason.contains("has been changed"));
        assert!(found, "{name}: {listed:#?}");
    };
    for (at, column) in columns.iter().enumerate() {
        found(column, &|cells| cells.rows[1][at] = "7".to_owned());
    }
    found("lost", &|cells| drop(cells.rows.remove(2)));
    found("doubled", &|cells| cells.rows.push(cells.rows[3].clone()));
    found("moved", &|cells| cells.rows.swap(0, 1));
}
