//! Usage in every layout: each event once, bad rows named, nothing half-loaded.

use std::io::Write;
use std::sync::Arc;

use app::imports::UsageOptions;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use kernel::Error;
use parquet::arrow::ArrowWriter;
use testkit::{World, fixtures};

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-000000000001";
const HEADER: &str = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";

fn world() -> World {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&[SUBSCRIPTION])).unwrap();
    let card = fixtures::rate_card(&[("m1", r#"{"0": 1}"#), ("m2", r#"{"0": 0.5}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    world
}

fn row(event: &str, day: u8, meter: &str, quantity: &str) -> String {
    format!(
        "{event},{SUBSCRIPTION},{meter},2026-01-{day:02}T00:00:00Z,2026-01-{day:02}T12:00:00Z,\
         {quantity},1 Hour\n"
    )
}

/// What the partner pays for January.
fn net(world: &World) -> String {
    let rated = world.rate("2026-01", 1).unwrap();
    rated.edges.first().map_or_else(|| "0".to_owned(), |edge| edge.net.digits())
}

fn faults(error: Error) -> Vec<String> {
    match error {
        Error::Refused { faults, .. } => faults.shown().iter().map(ToString::to_string).collect(),
        other => vec![other.to_string()],
    }
}

/// The same three records in every layout; text may be packed.
#[test]
fn every_layout_says_the_same() {
    let rows = [("a", 1, "m1", "1.5"), ("b", 2, "m2", "3"), ("c", 3, "m1", "0.000000000000001")];
    let csv: String = std::iter::once(HEADER.to_owned())
        .chain(rows.iter().map(|(event, day, meter, quantity)| row(event, *day, meter, quantity)))
        .collect();
    let columns: Vec<&str> = HEADER.trim().split(',').collect();
    let cells: Vec<Vec<&str>> = csv.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let objects: Vec<String> = cells
        .iter()
        .map(|row| {
            let members = columns.iter().zip(row).map(|(name, cell)| match *name {
                // A number of JSON keeps the digits that it is written with.
                "quantity" => format!("\"{name}\": {cell}"),
                _ => format!("\"{name}\": \"{cell}\""),
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(", "))
        })
        .collect();
    let json = objects.join("\n");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(csv.as_bytes()).unwrap();
    let arrays: Vec<ArrayRef> = (0..columns.len())
        .map(|at| {
            let texts = cells.iter().map(|row| row[at]);
            Arc::new(StringArray::from_iter_values(texts)) as ArrayRef
        })
        .collect();
    let fields: Vec<Field> =
        columns.iter().map(|name| Field::new(*name, DataType::Utf8, false)).collect();
    let schema = Arc::new(Schema::new(fields));
    let mut parquet = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), None).unwrap();
    parquet.write(&RecordBatch::try_new(schema, arrays).unwrap()).unwrap();
    let files = [
        ("usage.csv", csv.clone().into_bytes()),
        ("usage.csv.gz", gzip.finish().unwrap()),
        ("usage.jsonl", json.into_bytes()),
        ("usage.parquet", parquet.into_inner().unwrap()),
    ];
    for (name, content) in &files {
        let world = world();
        let imported = world.usage(name, content).unwrap();
        assert_eq!((imported.import.rows_read, imported.import.rows_taken), (3, 3), "{name}");
        let total = &imported.totals[0];
        assert_eq!(
            (total.rows, total.quantity.to_string()),
            (3, "4.500000000000001".into()),
            "{name}"
        );
        assert_eq!(net(&world), "3.00", "{name}");
        // The other layouts hold the same events, so they add nothing.
        for (other, content) in &files {
            let again = world.usage(&format!("again-{other}"), content).unwrap();
            assert_eq!(
                again.import.rows_taken,
                if again.already { 3 } else { 0 },
                "{name} {other}"
            );
        }
        assert_eq!(net(&world), "3.00", "{name}");
    }
}

#[test]
fn an_event_counts_once_whatever_file_it_comes_in() {
    let world = world();
    let first = world.usage("1.csv", format!("{HEADER}{}", row("a", 1, "m1", "1"))).unwrap();
    assert!(!first.already);
    let same = world.usage("1.csv", format!("{HEADER}{}", row("a", 1, "m1", "1"))).unwrap();
    assert!(same.already, "the same file");
    let both = format!("{HEADER}{}{}", row("a", 1, "m1", "1.0"), row("b", 1, "m1", "2"));
    let other = world.usage("2.csv", both).unwrap();
    assert_eq!((other.import.rows_taken, other.import.rows_duplicate), (1, 1));
    let twice = format!("{HEADER}{}{}", row("c", 1, "m1", "4"), row("c", 1, "m1", "4"));
    let twice = world.usage("3.csv", twice).unwrap();
    assert_eq!((twice.import.rows_taken, twice.import.rows_duplicate), (1, 1));
    assert_eq!(net(&world), "7.00");
    // Another source has ids of its own.
    let elsewhere = UsageOptions { source: "elsewhere".parse().unwrap(), ..World::usage_options() };
    let content = format!("{HEADER}{}", row("a", 1, "m1", "1"));
    world.usage_with("4.csv", content, &elsewhere).unwrap();
    assert_eq!(net(&world), "8.00");
}

#[test]
fn the_same_id_with_other_content_is_kept_aside() {
    let world = world();
    world.usage("1.csv", format!("{HEADER}{}", row("a", 1, "m1", "1"))).unwrap();
    let changed = format!("{HEADER}{}{}", row("a", 1, "m1", "9"), row("b", 1, "m1", "1"));
    let imported = world.usage("2.csv", changed).unwrap();
    assert_eq!((imported.import.rows_taken, imported.import.rows_conflicting), (1, 1));
    let kept = world.folder().join("data/lake").join(imported.import.conflicts_path.unwrap());
    assert!(kept.exists(), "{}", kept.display());
    assert_eq!(net(&world), "2.00", "the conflict is in no total");
}

#[test]
fn a_correction_replaces_and_may_come_first() {
    let corrected =
        "event_id,corrects,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";
    let correction = |id: &str, quantity: &str| {
        let row = row(id, 1, "m1", quantity);
        let rest = row.strip_prefix(&format!("{id},")).unwrap();
        format!("{corrected}{id},a,{rest}")
    };
    let event = format!("{HEADER}{}", row("a", 1, "m1", "10"));
    let world_a = world();
    world_a.usage("1.csv", &event).unwrap();
    world_a.usage("2.csv", correction("x", "7")).unwrap();
    assert_eq!(net(&world_a), "7.00");
    world_a.usage("3.csv", correction("y", "8")).unwrap();
    assert_eq!(net(&world_a), "8.00", "the later one");
    let world_b = world();
    let waiting = world_b.usage("2.csv", correction("x", "7")).unwrap();
    assert_eq!(waiting.import.rows_waiting, 1);
    world_b.usage("1.csv", &event).unwrap();
    assert_eq!(net(&world_b), "7.00");
    let stranger = correction("z", "7").replace("m1", "m2");
    let error = world_b.usage("4.csv", stranger).unwrap_err().to_string();
    assert!(error.contains("corrects") && error.contains("another subscription, meter"), "{error}");
}

/// In which order corrections arrive plays no part, and none is dropped without a word.
#[test]
fn corrections_count_the_same_in_any_order() {
    let header = "event_id,corrects,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";
    let line = |id: &str, corrects: &str, quantity: &str| {
        let row = row(id, 1, "m1", quantity);
        format!("{header}{id},{corrects},{}", row.strip_prefix(&format!("{id},")).unwrap())
    };
    let files = [line("o", "", "100"), line("c1", "o", "33"), line("c2", "o", "44")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 2, 0], [2, 1, 0], [1, 0, 2], [2, 0, 1]] {
        let world = world();
        for at in order {
            world.usage(&format!("{at}.csv"), &files[at]).unwrap();
        }
        assert_eq!(net(&world), "44.00", "{order:?}");
    }
    let world = world();
    world.usage("o.csv", &files[0]).unwrap();
    world.usage("c1.csv", &files[1]).unwrap();
    let error = world.usage("of.csv", line("c3", "c1", "7")).unwrap_err().to_string();
    assert!(error.contains("itself a correction"), "{error}");
    let cycle = format!("{}{}", line("y1", "y2", "1"), line("y2", "y1", "2").replace(header, ""));
    let error = world.usage("cycle.csv", cycle).unwrap_err().to_string();
    assert!(error.contains("itself a correction"), "{error}");
    assert_eq!(net(&world), "33.00");
}

#[test]
fn the_same_file_for_another_subscription_is_another_import() {
    let other = "11111111-2222-4333-8444-000000000002";
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&[SUBSCRIPTION, other])).unwrap();
    let card = fixtures::rate_card(&[("m1", r#"{"0": 1}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    let content = "date,meter_id,quantity\n2026-01-05,m1,2\n";
    for subscription in [SUBSCRIPTION, other] {
        let subscription = Some(subscription.parse().unwrap());
        let options = UsageOptions { subscription, ..World::usage_options() };
        let imported = world.usage_with("plain.csv", content, &options).unwrap();
        assert!(!imported.already);
        assert!(world.usage_with("plain.csv", content, &options).unwrap().already);
    }
    assert_eq!(net(&world), "4.00");
}

#[test]
fn bad_rows_of_several_files_are_kept_together() {
    let world = world();
    let quarantine = world.folder().join("bad.jsonl");
    let options = UsageOptions { quarantine: Some(quarantine.clone()), ..World::usage_options() };
    let good = format!("{HEADER}{}", row("a", 1, "m1", "1"));
    let imported = world.usage_with("good.csv", good, &options).unwrap();
    assert_eq!((imported.quarantine, quarantine.exists()), (None, false));
    for name in ["1", "2"] {
        let bad = format!("{HEADER}{}", row(name, 1, "m1", "much"));
        world.usage_with(&format!("{name}.csv"), bad, &options).unwrap();
    }
    assert_eq!(std::fs::read_to_string(quarantine).unwrap().lines().count(), 2);
}

#[test]
fn late_usage_is_said_to_be_late() {
    let world = world();
    world.usage("1.csv", format!("{HEADER}{}", row("a", 1, "m1", "1"))).unwrap();
    world.close("2026-01", 1).unwrap();
    let late = world.usage("2.csv", format!("{HEADER}{}", row("b", 1, "m1", "1"))).unwrap();
    assert!(late.notes.iter().any(|note| note.contains("2026-01 is closed")), "{:?}", late.notes);
    assert!(world.rate("2026-01", 1).unwrap().closed);
}

/// Nothing of a file with a bad row is taken, and each bad cell is named.
#[test]
fn a_file_with_bad_rows_is_refused_whole() {
    let world = world();
    let good = row("good", 1, "m1", "1");
    let bad = [
        (row("b1", 1, "m1", "many"), 3, "quantity"),
        (row("b2", 1, "m1", "0.0000000000000001"), 4, "quantity"),
        (row("b3", 1, "m1", "1").replace("2026-01-01T12", "2025-01-01T12"), 5, "usage_end"),
        (
            row("b4", 1, "m1", "1").replace(SUBSCRIPTION, "99999999-2222-4333-8444-000000000001"),
            6,
            "subscription_id",
        ),
        (row("b5", 1, "", "1"), 7, "meter_id"),
        (row("", 1, "m1", "1"), 8, "event_id"),
        (row("b7", 1, "m1", "1").replace("2026-01-01T00", "yesterday"), 9, "usage_start"),
    ];
    let rows: String = bad.iter().map(|(row, ..)| row.as_str()).collect();
    let content = format!("{HEADER}{good}{rows}");
    let error = world.usage("bad.csv", &content).unwrap_err();
    let listed = faults(error);
    for (_, row, field) in &bad {
        let place = format!("bad.csv:{row}: ");
        let found = listed.iter().any(|fault| fault.starts_with(&place) && fault.contains(field));
        assert!(found, "row {row}, {field}: {listed:#?}");
    }
    assert_eq!(net(&world), "0");
    let quarantine = world.folder().join("bad.jsonl");
    let options = UsageOptions { quarantine: Some(quarantine.clone()), ..World::usage_options() };
    let imported = world.usage_with("bad.csv", &content, &options).unwrap();
    let rows = (imported.import.rows_taken, imported.import.rows_quarantined);
    assert_eq!(rows, (1, bad.len() as u64));
    assert_eq!(std::fs::read_to_string(quarantine).unwrap().lines().count(), bad.len());
    assert_eq!(net(&world), "1.00");
}

#[test]
fn only_the_first_hundred_faults_are_listed() {
    let world = world();
    let rows: String = (0..250).map(|at| row(&format!("e{at}"), 1, "m1", "much")).collect();
    let error = world.usage("bad.csv", format!("{HEADER}{rows}")).unwrap_err();
    assert!(error.to_string().contains("150"), "the others are counted");
    assert_eq!(faults(error).len(), 100);
}

#[test]
fn a_missing_column_is_named() {
    let world = world();
    let error = world.usage("usage.csv", "event_id,meter_id\na,m1\n").unwrap_err().to_string();
    assert!(error.contains("subscription_id"), "{error}");
    let error = world.usage("usage.csv", "").unwrap_err().to_string();
    assert!(error.contains("usage.csv"), "{error}");
}

#[test]
fn a_month_without_a_price_is_not_closed() {
    let world = world();
    world.usage("1.csv", format!("{HEADER}{}", row("a", 1, "unheard-of", "1"))).unwrap();
    let error = world.close("2026-01", 1).unwrap_err().to_string();
    assert!(error.contains("unheard-of") && error.contains("cloud -> partner"), "{error}");
    assert_eq!(world.rate("2026-01", 1).unwrap().missing.len(), 2);
    let card = fixtures::rate_card(&[("unheard-of", r#"{"0": 2}"#)]);
    world.prices("list", "more.json", card).unwrap();
    assert_eq!(world.close("2026-01", 1).unwrap().invoices.len(), 2);
}

/// Whole cost-details files in the spellings of the wild: enterprise, camel case, pay as you go,
/// German, and a mixture.
// req: B1
#[test]
fn cost_details_in_every_spelling_are_read() {
    let Some(folder) = testkit::shared("data/usage-exports") else { return };
    let subscriptions =
        ["11111111-12ab-34dc-56ef-123456abcdef", "11111111-1111-1111-1111-123456789012"];
    for name in ["Enterprise", "EnterpriseCamel", "PayAsYouGo", "German", "YA"] {
        let world = World::at("2026-02-02T09:00:00Z").unwrap();
        world.apply(&fixtures::two_edges(&subscriptions)).unwrap();
        let file = folder.join(format!("opencost-header-{name}.csv"));
        let imported = world.usage_file(&file, &World::usage_options()).unwrap();
        assert!(imported.import.rows_taken > 0, "{name}");
        let again = world.usage_file(&file, &World::usage_options()).unwrap();
        assert!(again.already, "{name}");
    }
}
