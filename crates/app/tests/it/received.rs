//! A partner whose provider rates in a system of its own: the provider's files are the files of
//! another run of this engine.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use documents::Format;
use testkit::{Cells, World, fixtures};

use crate::partner_center;

const SUBSCRIPTIONS: [&str; 3] = [
    "11111111-2222-4333-8444-000000000001",
    "11111111-2222-4333-8444-000000000002",
    "11111111-2222-4333-8444-000000000003",
];

/// The same programme as the partner has it: its provider rates for itself.
fn partners_programme() -> String {
    partner_center::programme()
        .replace("price_book = \"buying\"", "price_book = \"buying\"\nrated = \"seller\"")
}

fn world(programme: &str) -> World {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(programme).unwrap();
    let card = fixtures::rate_card(&[
        ("vm", r#"{"0": 0.868}"#),
        ("tiers", r#"{"0": 1.25, "30": 0.9, "60": 0.333333}"#),
        ("free", r#"{"0": 0, "5": 2.99}"#),
    ]);
    world.prices("list", "prices.json", card).unwrap();
    world
}

/// The provider's month: three customers' subscriptions, three meters, every third day.
fn provider() -> World {
    let world = world(&partner_center::programme());
    let mut rows = String::new();
    for (at, subscription) in SUBSCRIPTIONS.iter().enumerate() {
        for (meter, name) in ["vm", "tiers", "free"].iter().enumerate() {
            for day in (1..=31).step_by(3) {
                let quantity = format!("{}.{:03}", 1 + (day + meter) % 9, 7 * (at + 1) * day);
                writeln!(
                    rows,
                    "{at}-{meter}-{day},{subscription},{name},2026-01-{day:02}T10:00:00Z,\
                     2026-01-{day:02}T12:00:00Z,{quantity},1 Hour,/vm/{meter}"
                )
                .unwrap();
            }
        }
    }
    let header =
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit,resource_uri\n";
    world.usage("usage.csv", format!("{header}{rows}")).unwrap();
    world.close("2026-01", 1).unwrap();
    world
}

/// What the provider sends.
fn files(provider: &World) -> [PathBuf; 3] {
    let folder = provider.export("2026-01", "sent", Format::Csv).unwrap();
    let folder = folder.join("2026-01/cloud/partner");
    ["daily-rated-usage.csv", "reconciliation.csv", "invoice.json"].map(|name| folder.join(name))
}

fn columns(path: &Path) -> Vec<[String; 6]> {
    let names = [
        "SubscriptionId",
        "MeterDescription",
        "BillableQuantity",
        "EffectiveUnitPrice",
        "Subtotal",
        "ReferenceID",
    ];
    let cells = Cells::read(path).unwrap();
    cells.select(names).into_iter().map(|row| row.map(str::to_owned)).collect()
}

/// The invoice that is received is the one that was sent, line by line, and what is sold on is
/// what the provider's own run sells on.
// req: H1 H2 H5
#[test]
fn what_a_provider_bills_is_what_the_partner_pays_and_sells_on() {
    let provider = provider();
    let sent = files(&provider);
    let partner = world(&partners_programme());
    let received = partner.received("2026-01", &sent).unwrap();
    let invoices = provider.invoices().unwrap();
    let of = |seller: &str| invoices.iter().find(|i| i.seller == seller).unwrap().row.clone();
    assert_eq!(received.invoice.number, of("cloud").number);
    assert_eq!((received.invoice.net, received.invoice.tax), (of("cloud").net, of("cloud").tax));

    partner.close("2026-01", 2).unwrap();
    let issued = partner.invoices().unwrap();
    assert_eq!(issued.len(), 1, "only the selling edge is billed here");
    assert_eq!((issued[0].row.net, &*issued[0].seller), (of("partner").net, "partner"));
}

fn received_folder(partner: &World, name: &str) -> PathBuf {
    let folder = partner.export("2026-01", name, Format::Csv).unwrap();
    let report = verify::verify(&folder, 2);
    assert!(report.passes(), "{:#?}", report.faults.listed());
    let mut invoices = std::fs::read_dir(folder.join("2026-01/received")).unwrap();
    invoices.next().unwrap().unwrap().path()
}

/// What was received is exported line by line with the month that it is sold on in, posted in the
/// buyer's books, and proven.
// req: H1 H2
#[test]
fn a_received_invoice_is_exported_posted_and_proven() {
    let provider = provider();
    let sent = files(&provider);
    let partner = world(&partners_programme());
    partner.received("2026-01", &sent).unwrap();
    partner.close("2026-01", 1).unwrap();
    let kept = received_folder(&partner, "out");
    assert_eq!(columns(&kept.join("reconciliation.csv")), columns(&sent[1]));
    let ledger = kept.parent().and_then(Path::parent).unwrap().join("partner/ledger.csv");
    let rows = Cells::read(&ledger).unwrap();
    let posted = rows.select(["Reason", "Account", "Debit", "Credit"]);
    let net = provider.invoices().unwrap()[0].row.net.digits();
    assert!(posted.contains(&["invoice received", "cost/usage", net.as_str(), ""]));
    assert!(posted.contains(&["invoice received", "payable/cloud", "", net.as_str()]));
}

/// Whatever is changed in what was received is found, hashes refitted or not.
#[test]
fn a_changed_amount_is_found() {
    let provider = provider();
    let partner = world(&partners_programme());
    partner.received("2026-01", &files(&provider)).unwrap();
    partner.close("2026-01", 1).unwrap();
    for (at, (file, column)) in [
        ("reconciliation.csv", "Subtotal"),
        ("reconciliation.csv", "Total"),
        ("reconciliation.csv", "InvoiceNumber"),
        ("daily-rated-usage.csv", "BillingPreTaxTotal"),
        ("daily-rated-usage.csv", "MeterId"),
        ("../../cloud/partner/prices.csv", "EffectiveUnitPrice"),
    ]
    .into_iter()
    .enumerate()
    {
        let kept = received_folder(&partner, &format!("out-{at}"));
        let path = kept.join(file);
        let mut cells = Cells::read(&path).unwrap();
        let column = cells.column(column);
        cells.rows[0][column] = "1234.56".to_owned();
        cells.write(&path).unwrap();
        let folder = partner.folder().join(format!("out-{at}"));
        let report = verify::verify(&folder, 1);
        let listed = report.faults.listed();
        assert!(
            listed.iter().any(|fault| !fault.reason.contains("has been changed")),
            "{listed:?}"
        );
    }
}

/// The same rows in the columns of version 2: JSON lines, packed.
#[test]
fn json_lines_are_received_like_tables() {
    let provider = provider();
    let [daily, lines, invoice] = files(&provider);
    let as_lines = |path: &Path| -> Vec<u8> {
        let cells = Cells::read(path).unwrap();
        let object = |row: &Vec<String>| {
            let members = cells
                .columns
                .iter()
                .zip(row)
                .map(|(name, cell)| (name.clone(), serde_json::Value::from(cell.as_str())));
            serde_json::Value::Object(members.collect()).to_string() + "\n"
        };
        let text: String = cells.rows.iter().map(object).collect();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut packed, text.as_bytes()).unwrap();
        packed.finish().unwrap()
    };
    let partner = world(&partners_programme());
    let other = [
        partner.file("lines.jsonl.gz", as_lines(&lines)).unwrap(),
        partner.file("daily.jsonl.gz", as_lines(&daily)).unwrap(),
        invoice.clone(),
    ];
    let packed = partner.received("2026-01", &other).unwrap();
    let plain = world(&partners_programme()).received("2026-01", &[daily, lines, invoice]).unwrap();
    assert_eq!(
        (packed.invoice.net, packed.invoice.daily_billed, packed.usage.totals),
        (plain.invoice.net, plain.invoice.daily_billed, plain.usage.totals)
    );
}

/// The same invoice again does nothing; another one of the same number is refused, and so are files
/// that disagree, until somebody says why they may.
#[test]
fn what_does_not_fit_is_refused() {
    let provider = provider();
    let sent = files(&provider);
    let partner = world(&partners_programme());
    let [daily, lines, _] = &sent;
    let mut cells = Cells::read(lines).unwrap();
    let (subtotal, total) = (cells.column("Subtotal"), cells.column("Total"));
    cells.rows[3][subtotal] = "99.00".to_owned();
    cells.rows[3][total] = "99.00".to_owned();
    let changed = partner.folder().join("changed.csv");
    cells.write(&changed).unwrap();
    let files = [daily.clone(), changed];
    let refused = partner.received("2026-01", &files).unwrap_err().to_string();
    assert!(refused.contains("disagree") && refused.contains("--accept"), "{refused}");
    assert!(
        partner
            .run(|ctx| app::imports::list(ctx))
            .unwrap()
            .iter()
            .all(|(i, _)| i.kind != "received")
    );

    let accepted = partner.received_with("2026-01", &files, Some("credit promised")).unwrap();
    assert_eq!(accepted.invoice.differences.as_deref(), Some("credit promised"));
    assert!(partner.received_with("2026-01", &files, Some("again")).unwrap().usage.already);
    let other = partner.received("2026-01", &sent).unwrap_err().to_string();
    assert!(other.contains("other content"), "{other}");
    assert!(provider.received("2026-01", &sent).unwrap_err().to_string().contains("rated here"));
}

/// The provider's late usage comes with its next invoice: what was sold on is corrected, what was
/// paid is as it was billed.
// req: A2 H5
#[test]
fn late_usage_of_a_provider_is_sold_on_as_a_difference() {
    let provider = provider();
    let mut partner = world(&partners_programme());
    partner.received("2026-01", &files(&provider)).unwrap();
    partner.close("2026-01", 1).unwrap();
    let header =
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit,resource_uri\n";
    let late = format!(
        "{header}late,{0},vm,2026-01-20T00:00:00Z,2026-01-20T01:00:00Z,100,1 Hour,/vm/9\n\
         early,{0},tiers,2026-01-02T00:00:00Z,2026-01-02T01:00:00Z,25,1 Hour,/vm/1\n",
        SUBSCRIPTIONS[0]
    );
    provider.usage("late.csv", late).unwrap();
    provider.adjust("2026-01", 1).unwrap();
    let folder = provider.export("2026-01", "later", Format::Csv).unwrap();
    let folder = folder.join("2026-01/adjustment-1/cloud/partner");
    let sent = ["daily-rated-usage.csv", "reconciliation.csv", "invoice.json"];
    partner.go_to("2026-02-20T09:00:00Z").unwrap();
    let sent: Vec<PathBuf> = sent.iter().map(|name| folder.join(name)).collect();
    let received = partner.received("2026-01", &sent).unwrap();
    assert!(received.usage.notes.iter().any(|note| note.contains("2026-01 is closed")));
    partner.adjust("2026-01", 1).unwrap();
    let of = |world: &World| -> Vec<String> {
        let invoices = world.invoices().unwrap();
        let sold = invoices.iter().filter(|i| i.seller == "partner");
        sold.map(|i| i.row.net.to_string()).collect()
    };
    assert_eq!(of(&partner), of(&provider));
    received_folder(&partner, "out");
}
