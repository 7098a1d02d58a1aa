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

/// What a file made by hand says: lines, rows by day.
struct ByHand<'a> {
    line: &'a str,
    row: &'a str,
    line_header: &'a str,
    row_header: &'a str,
}

impl Default for ByHand<'_> {
    fn default() -> Self {
        Self {
            line: "G1,S1,2,3.00,0,3.00,EUR,1.5,new",
            row: "G1,S1,vm,2026-01-31,2,3.00,EUR,new",
            line_header: "InvoiceNumber,SubscriptionId,BillableQuantity,Subtotal,TaxTotal,Total,\
                          Currency,EffectiveUnitPrice,ChargeType",
            row_header: "InvoiceNumber,SubscriptionId,MeterId,UsageDate,Quantity,\
                         BillingPreTaxTotal,BillingCurrency,ChargeType",
        }
    }
}

impl ByHand<'_> {
    fn write(&self, world: &World) -> [PathBuf; 2] {
        let text = |header: &str, rows: &str| {
            let rows = rows.replace('\n', ",P,1\n").replace("S1", SUBSCRIPTIONS[0]);
            format!("{header},ProductId,SkuId\n{rows},P,1\n")
        };
        let lines = world.file("lines.csv", text(self.line_header, self.line)).unwrap();
        let rows = world.file("rows.csv", text(self.row_header, self.row)).unwrap();
        [lines, rows]
    }

    /// What the partner sells for, after an export that is proven.
    fn sold(&self, programme: &str) -> Result<Vec<String>, String> {
        let world = world(programme);
        let files = self.write(&world);
        world.received("2026-01", &files).map_err(|error| match error {
            kernel::Error::Refused { faults, .. } => faults.shown()[0].reason.clone(),
            error => error.to_string(),
        })?;
        world.close("2026-01", 1).map_err(|error| error.to_string())?;
        received_folder(&world, "out");
        let invoices = world.invoices().unwrap();
        Ok(invoices.iter().map(|i| format!("{} {}", i.seller, i.row.net)).collect())
    }
}

/// The days of rows are days of the programme, whatever its zone; two units cost 0.6867611596... each.
#[test]
fn the_last_day_of_a_month_is_in_the_month_in_every_zone() {
    for zone in ["UTC", "Europe/Oslo", "America/New_York", "Pacific/Kiritimati"] {
        let zoned = format!("name = \"Two edges\"\nzone = \"{zone}\"");
        let programme = partners_programme().replace("name = \"Two edges\"", &zoned);
        assert_eq!(ByHand::default().sold(&programme).unwrap(), ["partner 1.37 EUR"], "{zone}");
    }
}

/// Each of these would be sold wrongly, or make a month that cannot be proven.
#[test]
fn rows_that_do_not_fit_the_lines_or_the_edge_are_refused() {
    let programme = partners_programme();
    let refused = |by_hand: ByHand<'_>| by_hand.sold(&programme).unwrap_err();
    let twenty = ByHand { row: "G1,S1,vm,2026-01-31,20,3.00,EUR,new", ..ByHand::default() };
    let reason = refused(twenty);
    assert!(reason.contains("20 units in the rows by day, 2 in the lines"), "{reason}");
    let later = ByHand { row: "G1,S1,vm,2026-02-01,2,3.00,EUR,new", ..ByHand::default() };
    assert!(refused(later).contains("UsageDate 2026-02-01 is after 2026-01"));

    let elsewhere = programme.replacen(
        "path = [\"cloud\", \"partner\", \"shop\"]",
        "path = [\"cloud\", \"rival\", \"shop\"]",
        1,
    );
    let agreed = |seller: &str, buyer: &str, book: &str| {
        format!(
            "\n[[agreement]]\nseller = \"{seller}\"\nbuyer = \"{buyer}\"\nfrom = 2010-01-01\n\
             currency = \"EUR\"\nprice_book = \"{book}\"\n"
        )
    };
    let elsewhere = elsewhere
        + "\n[[organisation]]\nkey = \"rival\"\nrole = \"direct-partner\"\nname = \"Rival\"\n\
           country = \"US\"\n[[relationship]]\npartner = \"rival\"\nwith = \"shop\"\n\
           from = 2010-01-01\n[[price_book]]\nkey = \"rivals\"\nseller = \"rival\"\n\
           [[price_book.rule]]\nall = true\nbuy_plus = \"1\"\n"
        + &agreed("cloud", "rival", "buying")
        + &agreed("rival", "shop", "rivals");
    let reason = ByHand::default().sold(&elsewhere).unwrap_err();
    assert!(reason.contains("is not sold along this edge"), "{reason}");
}

/// Totals may be missing, a benefit may be told by any of its columns, a cent may be rounded away,
/// and what is sold at a fixed price needs no price of the seller.
#[test]
fn what_providers_leave_out_is_made_up_for() {
    let programme = partners_programme();
    let sold = |by_hand: ByHand<'_>| by_hand.sold(&programme).unwrap();
    let no_total = ByHand { line: "G1,S1,2,3.00,0,,EUR,1.5,new", ..ByHand::default() };
    assert_eq!(sold(no_total), ["partner 1.37 EUR"]);
    let covered = ByHand {
        row: "G1,S1,vm,2026-01-31,2,3.00,EUR,new,\nG1,S1,vm,2026-01-30,24,0,EUR,new,SavingsPlan",
        row_header: "InvoiceNumber,SubscriptionId,MeterId,UsageDate,Quantity,BillingPreTaxTotal,\
                     BillingCurrency,ChargeType,BenefitType",
        ..ByHand::default()
    };
    assert_eq!(sold(covered), ["partner 1.37 EUR"]);
    let tiny = ByHand {
        line: "G1,S1,60,0.00,0,0.00,EUR,0.000123,0,new,USD,0.84",
        row: "G1,S1,vm,2026-01-31,60,0.0061992,EUR,new,0.000123,0.000123,USD,0.84",
        line_header: "InvoiceNumber,SubscriptionId,BillableQuantity,Subtotal,TaxTotal,Total,Currency,\
                      UnitPrice,EffectiveUnitPrice,ChargeType,PricingCurrency,PCToBCExchangeRate",
        row_header: "InvoiceNumber,SubscriptionId,MeterId,UsageDate,Quantity,BillingPreTaxTotal,\
                     BillingCurrency,ChargeType,UnitPrice,EffectiveUnitPrice,PricingCurrency,\
                     PCToBCExchangeRate",
    };
    assert_eq!(sold(tiny).len(), 1);
    let fixed = programme.replace("buy_plus = \"10\"", "fixed = \"7\"\ncurrency = \"EUR\"");
    let unlisted = ByHand { row: "G1,S1,new-meter,2026-01-31,2,3.00,EUR,new", ..ByHand::default() };
    assert_eq!(unlisted.sold(&fixed).unwrap(), ["partner 14.00 EUR"]);
    let reason = unlisted.sold(&programme).unwrap_err();
    assert!(reason.contains("the seller itself has no price"), "{reason}");
}

/// An invoice whose totals are not those of its lines is refused; an edge that is rated here again
/// though an invoice of the month was received cannot be closed.
#[test]
fn what_would_be_paid_twice_or_wrongly_is_refused() {
    let provider = provider();
    let [daily, lines, invoice] = files(&provider);
    let partner = world(&partners_programme());
    let text = std::fs::read_to_string(&invoice).unwrap();
    let mut document: serde_json::Value = serde_json::from_str(&text).unwrap();
    document["gross"] = "9999.99".into();
    let other = partner.file("invoice.json", document.to_string()).unwrap();
    let wrong = [daily.clone(), lines.clone(), other];
    let refused = partner.received("2026-01", &wrong).unwrap_err();
    assert!(refused.to_string().contains("the lines come to"), "{refused}");
    let other = world(&partners_programme());
    let accepted = other.received_with("2026-01", &wrong, Some("typo")).unwrap();
    assert_eq!(accepted.invoice.differences.as_deref(), Some("typo"), "the reason is kept");
    partner.received("2026-01", &[daily, lines, invoice]).unwrap();
    partner.apply(&partner_center::programme()).unwrap();
    let refused = partner.close("2026-01", 1).unwrap_err().to_string();
    assert!(refused.contains("billed twice"), "{refused}");
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
    let number = &accepted.invoice.number;
    let find = |ctx| app::invoices::find(ctx, number, None);
    let shown = partner.run(find).unwrap_err().to_string();
    assert!(shown.contains("was received from cloud"), "{shown}");
    let other = partner.received("2026-01", &sent).unwrap_err().to_string();
    assert!(other.contains("other content"), "{other}");
    let left = testkit::contents(&partner.folder().join("data")).unwrap().into_keys();
    let left: Vec<String> = left.filter(|name| name.contains(".part")).collect();
    assert!(left.is_empty(), "{left:?}");
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
