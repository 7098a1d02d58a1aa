//! Whatever somebody changes in an export, `verify` finds it: also when the hashes were made to
//! fit again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use documents::Format;
use documents::certificate::Certificate;
use sha2::{Digest, Sha256};
use testkit::{Cells, World, contents, fixtures};
use verify::{Report, verify};

/// An export with everything that a folder can have: four edges, three currencies, tiers, a price
/// that changes, averages, residues, negative usage, taxes, a text with a comma; and three adjustments, with
/// late usage, corrections, prices that move and a credit note, and one with restated prices.
fn export() -> (World, PathBuf) {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    let programme = format!(
        "{}\n[[subscription]]\nid = \"11111111-2222-4333-8444-666666666666\"\n\
         name = \"Dhow, spare\"\noffer = \"plan\"\npath = [\"cloud\", \"tokyo\", \"gulf\", \
         \"souk\", \"dhow\"]\nfrom = 2026-01-01\nuntil = 2026-06-01\n{}",
        fixtures::FOUR_DEEP,
        taxes()
    );
    world.apply(&programme).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    let more =
        fixtures::rate_card(&[("m2", r#"{"0": 0, "5": 2.99}"#), ("m3", r#"{"0": 0.0123456}"#)]);
    world.prices("list", "more.json", more).unwrap();
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    let rows = [
        ("f1", "m2", 5, "37"),
        ("f2", "m2", 6, "-4.5"),
        ("f3", "m3", 7, "0.032258064516129"),
        ("f4", "m3", 8, "12"),
        ("f5", "m3", 9, "0"),
    ];
    let rows: Vec<String> = rows
        .iter()
        .map(|(event, meter, day, quantity)| {
            format!(
                "{event},11111111-2222-4333-8444-666666666666,{meter},2026-01-{day:02}T00:00:00Z,\
                 2026-01-{day:02}T06:00:00Z,{quantity},1 Hour,/vm/{event},east,\"a,b\"\n"
            )
        })
        .collect();
    let header = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit,\
                  resource_uri,resource_location,tags\n";
    world.usage("more.csv", format!("{header}{}", rows.concat())).unwrap();
    world.close("2026-01", 1).unwrap();
    let late = |rows: &[(&str, &str, &str, u32, &str)]| -> String {
        let rows = rows.iter().map(|(event, corrects, meter, day, quantity)| {
            format!(
                "{event},{corrects},11111111-2222-4333-8444-666666666666,{meter},\
                 2026-01-{day:02}T00:00:00Z,2026-01-{day:02}T06:00:00Z,{quantity},1 Hour,\
                 /vm/{},east,\"a,b\"\n",
                if corrects.is_empty() { event } else { corrects }
            )
        });
        let header = "event_id,corrects,subscription_id,meter_id,usage_start,usage_end,\
                      quantity,unit,resource_uri,resource_location,tags\n";
        std::iter::once(header.to_owned()).chain(rows).collect()
    };
    world.go_to("2026-02-10T09:00:00Z").unwrap();
    let storage = "aaaaaaaa-0000-4000-8000-000000000001";
    let first =
        [("g1", "", storage, 12, "20"), ("g2", "", "m2", 1, "3"), ("g3", "f4", "m3", 8, "11")];
    world.usage("late-1.csv", late(&first)).unwrap();
    world.adjust("2026-01", 1).unwrap();
    world.go_to("2026-02-20T09:00:00Z").unwrap();
    let second =
        [("h1", "f1", "m2", 5, "20"), ("h2", "", "m3", 3, "-12.5"), ("h3", "g1", storage, 12, "0")];
    world.usage("late-2.csv", late(&second)).unwrap();
    world.adjust("2026-01", 1).unwrap();
    // The cloud and the first partner bill the storage cheaper afterwards; below them it stays.
    world.go_to("2026-02-25T09:00:00Z").unwrap();
    let cheaper = fixtures::FOUR_DEEP_PRICES[1].replace("0.12", "0.11");
    world.restate_prices("list", "cheaper.json", &cheaper).unwrap();
    world.accept("2026-01", ("cloud", None), None).unwrap();
    world.accept("2026-01", ("tokyo", None), None).unwrap();
    world.adjust("2026-01", 1).unwrap();
    let folder = world.export("2026-01", "out", Format::Csv).unwrap();
    assert!(verify(&folder, 1).passes(), "{:#?}", verify(&folder, 1).faults);
    (world, folder)
}

/// An edge without tax, an export, and two that are taxed at home.
fn taxes() -> String {
    let registered = |organisation: &str, vat_id: &str| {
        format!(
            "\n[[tax_registration]]\norganisation = \"{organisation}\"\ncountry = \"{}\"\n\
             vat_id = \"{vat_id}\"\nfrom = 2020-01-01\n",
            &vat_id[..2]
        )
    };
    [
        registered("tokyo", "JP7000012050002"),
        registered("gulf", "KW1234567"),
        registered("souk", "KW7654321"),
        "\n[[tax_rate]]\ncountry = \"KW\"\nrate = \"5\"\nfrom = 2025-01-01\n".to_owned(),
    ]
    .concat()
}

/// Makes the certificate fit whatever lies in the folder now.
fn refit(folder: &Path) {
    let path = folder.join("certificate.json");
    let mut certificate: Certificate =
        serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    for file in &mut certificate.files {
        let bytes = std::fs::read(folder.join(&file.path)).unwrap();
        file.bytes = bytes.len() as u64;
        file.sha256 = hex(&Sha256::digest(bytes));
    }
    certificate.sha256.clear();
    let json =
        |certificate: &Certificate| serde_json::to_string_pretty(certificate).unwrap() + "\n";
    certificate.sha256 = hex(&Sha256::digest(json(&certificate)));
    std::fs::write(path, json(&certificate)).unwrap();
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The files of a kind with their content.
fn files(folder: &Path, kind: &str) -> Vec<(String, Vec<u8>)> {
    let all = contents(folder).unwrap().into_iter();
    all.filter(|(name, _)| Path::new(name).extension().is_some_and(|found| found == kind)).collect()
}

/// Whether a report names a line of a file.
fn names(report: &Report, file: &str) -> bool {
    report.faults.listed().iter().any(|fault| fault.file == file)
}

/// A cell with another value of the same kind.
fn changed(cell: &str) -> String {
    let mut characters: Vec<char> = cell.chars().collect();
    match characters.iter().rposition(char::is_ascii_digit) {
        Some(at) => {
            let digit = characters[at].to_digit(10).unwrap();
            characters[at] = char::from_digit((digit + 1) % 10, 10).unwrap();
            characters.into_iter().collect()
        }
        None if cell.is_empty() => "1".to_owned(),
        None => format!("{cell}x"),
    }
}

/// Columns that say what nothing else in the files says. Their change is found by the hashes alone.
const ALONE: &[(&str, &str)] = &[
    // Which rule of which book: the rules themselves are not in the files.
    ("derivations.csv", "PriceBook"),
    ("derivations.csv", "Selector"),
    // A rule may have applied longer or shorter than the price that it made.
    ("derivations.csv", "RuleFrom"),
    ("derivations.csv", "RuleUntil"),
];

/// Every cell of every table, one after the other: with the hashes as they were, the file is
/// named; with hashes that fit, the recomputation finds it.
#[test]
fn every_changed_cell_is_found_even_with_fitting_hashes() {
    let (_world, folder) = export();
    let certificate = std::fs::read(folder.join("certificate.json")).unwrap();
    let mut survived = BTreeSet::new();
    let mut tried = 0;
    for (name, content) in files(&folder, "csv") {
        let path = folder.join(&name);
        let cells = Cells::read(&path).unwrap();
        let file = name.rsplit('/').next().unwrap();
        for row in 0..cells.rows.len() {
            for column in 0..cells.columns.len() {
                let mut edited = cells.clone();
                edited.rows[row][column] = changed(&cells.rows[row][column]);
                edited.write(&path).unwrap();
                if tried % 40 == 0 {
                    assert!(names(&verify(&folder, 1), &name), "hashes: {name} {row} {column}");
                }
                refit(&folder);
                tried += 1;
                let report = verify(&folder, 1);
                let known = ALONE.contains(&(file, cells.columns[column].as_str()));
                if report.passes() && !known {
                    let (from, to) = (&cells.rows[row][column], &edited.rows[row][column]);
                    survived.insert(format!(
                        "{name}:{} {} {from} -> {to}",
                        row + 2,
                        cells.columns[column]
                    ));
                }
                if let Some(fault) = report.faults.listed().first() {
                    assert!(!fault.file.is_empty() && !fault.reason.is_empty());
                }
                std::fs::write(folder.join("certificate.json"), &certificate).unwrap();
            }
        }
        std::fs::write(&path, content).unwrap();
    }
    assert!(tried > 3000, "{tried} cells");
    assert!(survived.is_empty(), "{} of {tried} survive: {survived:#?}", survived.len());
    assert!(verify(&folder, 1).passes(), "everything is as it was");
}

/// Whether it says something else when a row changes places with the one before. Rows of one day
/// that an adjustment takes back, or bills, have no order among each other.
fn has_order(name: &str, cells: &Cells, row: usize) -> bool {
    let is_daily = name.contains("adjustment-") && name.contains("daily-rated-usage");
    let of_one_day = || {
        let keys = cells.select(["SubscriptionId", "MeterId", "ChargeType", "UsageDate"]);
        keys[row] == keys[row - 1]
    };
    cells.rows[row] != cells.rows[row - 1] && !(is_daily && of_one_day())
}

/// Rows that are taken out, doubled or moved.
#[test]
fn every_lost_doubled_or_moved_row_is_found() {
    let (_world, folder) = export();
    let certificate = std::fs::read(folder.join("certificate.json")).unwrap();
    for (name, content) in files(&folder, "csv") {
        let path = folder.join(&name);
        let cells = Cells::read(&path).unwrap();
        for row in 0..cells.rows.len() {
            let mut lost = cells.clone();
            lost.rows.remove(row);
            let mut doubled = cells.clone();
            doubled.rows.insert(row, cells.rows[row].clone());
            let mut edits = vec![("lost", lost), ("doubled", doubled)];
            if row > 0 && has_order(&name, &cells, row) {
                let mut moved = cells.clone();
                moved.rows.swap(row, row - 1);
                edits.push(("moved", moved));
            }
            for (what, edited) in edits {
                edited.write(&path).unwrap();
                refit(&folder);
                let report = verify(&folder, 1);
                assert!(!report.passes(), "{what}: {name}:{}", row + 2);
                std::fs::write(folder.join("certificate.json"), &certificate).unwrap();
            }
        }
        std::fs::write(&path, content).unwrap();
    }
}

/// Every line of every JSON document.
#[test]
fn every_changed_field_of_a_document_is_found() {
    let (_world, folder) = export();
    let certificate = std::fs::read(folder.join("certificate.json")).unwrap();
    let mut survived = BTreeSet::new();
    for (name, content) in files(&folder, "json") {
        let path = folder.join(&name);
        let text = String::from_utf8(content.clone()).unwrap();
        for (at, line) in text.lines().enumerate() {
            let Some((field, value)) = line.split_once(": ") else { continue };
            if value.starts_with(['[', '{']) || field.contains("sha256") || field.contains("bytes")
            {
                continue;
            }
            let inner = value.trim_end_matches(',').trim_matches('"');
            let edited = line.replace(inner, &changed(inner));
            let lines = text.lines().enumerate();
            let lines: Vec<&str> =
                lines.map(|(n, line)| if n == at { edited.as_str() } else { line }).collect();
            std::fs::write(&path, lines.join("\n") + "\n").unwrap();
            if name == "certificate.json" {
                // Files by another name cannot be made to fit.
                if !field.contains("path")
                    && serde_json::from_str::<Certificate>(&std::fs::read_to_string(&path).unwrap())
                        .is_ok()
                {
                    refit(&folder);
                }
            } else {
                refit(&folder);
            }
            if verify(&folder, 1).passes() {
                survived.insert(format!("{name}:{} {line}", at + 1));
            }
            std::fs::write(&path, &content).unwrap();
            std::fs::write(folder.join("certificate.json"), &certificate).unwrap();
        }
    }
    // What stands nowhere else: the names of the programme and of the provider, and the VAT id of
    // the one that buys from it.
    survived.retain(|line| {
        let provider = [
            "\"name\": \"Cloud Inc.\"",
            "\"country\": \"US\"",
            "\"programme\"",
            "\"vat_id\": \"JP7000012050002\"",
        ];
        // Restated prices have an invoice on their own edge alone, which alone names its buyer.
        let alone = line.starts_with("2026-01/adjustment-3/tokyo/gulf/invoice.json")
            && ["\"country\": \"KW\"", "\"vat_id\""].iter().any(|field| line.contains(field));
        !alone && !provider.iter().any(|field| line.contains(field))
    });
    assert!(survived.is_empty(), "{survived:#?}");
}

/// One changed byte anywhere, in any form of the files.
#[test]
fn every_changed_byte_is_named_with_its_file() {
    let (world, _) = export();
    for (format, name) in [(Format::CsvGz, "gz"), (Format::Parquet, "parquet")] {
        let folder = world.export("2026-01", name, format).unwrap();
        assert!(verify(&folder, 2).passes(), "{name}");
        for (file, content) in contents(&folder).unwrap() {
            for at in [0, content.len() / 3, content.len() / 2, content.len() - 1] {
                let mut edited = content.clone();
                edited[at] ^= 0x04;
                std::fs::write(folder.join(&file), &edited).unwrap();
                let report = verify(&folder, 1);
                assert!(names(&report, &file), "{file} at {at}: {:?}", report.faults);
            }
            std::fs::write(folder.join(&file), content).unwrap();
        }
    }
}

#[test]
fn files_that_are_lost_or_added_are_named() {
    let (_world, folder) = export();
    for (file, content) in contents(&folder).unwrap() {
        std::fs::remove_file(folder.join(&file)).unwrap();
        assert!(names(&verify(&folder, 1), &file), "{file}");
        std::fs::write(folder.join(&file), content).unwrap();
    }
    std::fs::write(folder.join("2026-01/notes.txt"), "hello").unwrap();
    assert!(names(&verify(&folder, 1), "2026-01/notes.txt"));
}

/// Files that are taken out together with everything that names them.
#[test]
fn a_ledger_or_derivations_cannot_be_left_out() {
    let (_world, folder) = export();
    let path = folder.join("certificate.json");
    let certificate = std::fs::read_to_string(&path).unwrap();
    for name in ["2026-01/dhow/ledger.csv", "2026-01/souk/derivations.csv"] {
        let content = std::fs::read(folder.join(name)).unwrap();
        std::fs::remove_file(folder.join(name)).unwrap();
        let mut changed: Certificate = serde_json::from_str(&certificate).unwrap();
        changed.files.retain(|file| file.path != name);
        let key = name.split('/').nth(1).unwrap();
        if name.contains("ledger") {
            changed.revisions[0].books.retain(|book| book != key);
        } else {
            changed.revisions[0].derivations.retain(|seller| seller != key);
        }
        std::fs::write(&path, serde_json::to_string_pretty(&changed).unwrap() + "\n").unwrap();
        refit(&folder);
        assert!(names(&verify(&folder, 1), "certificate.json"), "{name}");
        std::fs::write(folder.join(name), content).unwrap();
        std::fs::write(&path, &certificate).unwrap();
    }
    let mut changed: Certificate = serde_json::from_str(&certificate).unwrap();
    changed.seller = Some("tokyo".to_owned());
    std::fs::write(&path, serde_json::to_string_pretty(&changed).unwrap() + "\n").unwrap();
    refit(&folder);
    assert!(names(&verify(&folder, 1), "certificate.json"));
}

/// Other line ends and a mark in front are other bytes.
#[test]
fn other_line_ends_are_found() {
    let (_world, folder) = export();
    for (name, content) in files(&folder, "csv") {
        let text = String::from_utf8(content.clone()).unwrap();
        for edited in [text.replace('\n', "\r\n"), format!("\u{feff}{text}")] {
            std::fs::write(folder.join(&name), edited).unwrap();
            refit(&folder);
            assert!(names(&verify(&folder, 1), &name), "{name}");
        }
        std::fs::write(folder.join(&name), content).unwrap();
    }
}

/// What only one party may see verifies on its own.
#[test]
fn the_files_of_one_party_verify_alone() {
    let (world, _) = export();
    for (seller, buyer) in [
        (Some("tokyo"), None),
        (None, Some("gulf")),
        (Some("souk"), Some("dhow")),
        (Some("cloud"), None),
    ] {
        let options = app::export::ExportOptions {
            month: "2026-01".parse().unwrap(),
            format: Format::Csv,
            seller: seller.map(str::to_owned),
            buyer: buyer.map(str::to_owned),
        };
        let name = format!("{}-{}", seller.unwrap_or("any"), buyer.unwrap_or("any"));
        let exported = world.export_with(&name, &options).unwrap();
        let report = verify(&exported.folder, 1);
        assert!(report.passes(), "{name}: {:#?}", report.faults);
    }
}
