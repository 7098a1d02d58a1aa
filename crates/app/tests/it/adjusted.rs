//! What became known after a close: differences on every edge, worked out by hand.

use std::collections::BTreeMap;

use app::adjust::Differences;
use documents::Format;
use testkit::{Cells, World, fixtures};

/// A row of usage of the storage of [`fixtures::FOUR_DEEP`].
pub fn row(id: &str, corrects: &str, day: &str, next: &str, quantity: &str) -> String {
    format!(
        "{id},{corrects},11111111-2222-4333-8444-555555555555,\
         aaaaaaaa-0000-4000-8000-000000000001,2026-01-{day}T21:00:00Z,2026-01-{next}T21:00:00Z,\
         {quantity},1 GB,/disks/a\n"
    )
}

pub const HEADER: &str = "event_id,corrects,subscription_id,meter_id,usage_start,usage_end,\
                      quantity,unit,resource_uri\n";

pub fn closed() -> World {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.close("2026-01", 1).unwrap();
    world.go_to("2026-02-10T09:00:00Z").unwrap();
    world
}

pub fn lines(differences: &Differences) -> Vec<String> {
    let edges = differences.edges.iter();
    edges
        .flat_map(|edge| {
            edge.lines.iter().map(move |line| {
                let (tier, kind) = (line.tier, line.charge_type);
                format!("{} {tier} {kind} {} {}", edge.seller_key, line.quantity, line.amount)
            })
        })
        .collect()
}

/// Twenty units of the 12th arrive late. They come before the 70 of the 20th, so 80 of the first
/// tier's 100 units now have the price before 16 January, 20 the one after, and 50 units are in the
/// second tier, all at the price after:
///
/// | edge | 80 at | 20 at | first tier now | was | 50 at | second tier now | was |
/// |---|---|---|---|---|---|---|---|
/// | cloud, USD | 0.09 | 0.108 | 7.20 + 2.16 = 9.36 | 9.72 | 0.063 | 3.15 | 1.89 |
/// | tokyo, JPY | 14.198625 | 17.03835 | 1135.89 + 340.767 = 1476.657 | 1533 | 9.9390375 | 496.951875 | 298 |
/// | gulf, KWD | 0.031939806938 | 0.038327768325 | 2.55518455504 + 0.7665553665 = 3.32173992154 | 3.449 | 0.022357864856 | 1.1178932428 | 0.671 |
/// | souk, KWD | 0.038327768326 | 0.04599332199 | 3.06622146608 + 0.9198664398 = 3.98608790588 | 4.139 | 0.026829437827 | 1.34147189135 | 0.805 |
// req: A2 H4 H5
#[test]
fn a_late_record_moves_tiers_and_prices_on_every_edge() {
    let world = closed();
    world.usage("late.csv", format!("{HEADER}{}", row("e3", "", "11", "12", "20"))).unwrap();
    let differences = world.differences("2026-01", 1).unwrap();
    assert_eq!(
        lines(&differences),
        [
            "cloud 0 reversal -100 -9.72 USD",
            "cloud 0 new 100 9.36 USD",
            "cloud 1 adjustment 20 1.26 USD",
            "gulf 0 reversal -100 -3.449 KWD",
            "gulf 0 new 100 3.322 KWD",
            "gulf 1 adjustment 20 0.447 KWD",
            "souk 0 reversal -100 -4.139 KWD",
            "souk 0 new 100 3.986 KWD",
            "souk 1 adjustment 20 0.536 KWD",
            "tokyo 0 reversal -100 -1533 JPY",
            "tokyo 0 new 100 1477 JPY",
            "tokyo 1 adjustment 20 199 JPY",
        ]
    );
    assert_eq!(differences.records, 1);
}

pub fn export_and_verify(world: &World, name: &str) -> std::path::PathBuf {
    let folder = world.export("2026-01", name, Format::Csv).unwrap();
    let report = verify::verify(&folder, 2);
    assert!(report.passes(), "{:#?}", report.faults.listed());
    folder.join("2026-01")
}

/// The difference is billed: what it says ties out with what was billed before.
// req: A2 H5
#[test]
fn posted_differences_tie_out_with_what_was_billed() {
    let world = closed();
    world.usage("late.csv", format!("{HEADER}{}", row("e3", "", "11", "12", "20"))).unwrap();
    let adjusted = world.adjust("2026-01", 1).unwrap();
    let nets: Vec<String> = adjusted.invoices.iter().map(|i| i.net.to_string()).collect();
    assert_eq!(nets, ["0.90 USD", "0.320 KWD", "0.383 KWD", "143 JPY"]);
    let folder = export_and_verify(&world, "out");
    let cells = Cells::read(&folder.join("adjustment-1/gulf/souk/daily-rated-usage.csv")).unwrap();
    let rows = cells.select(["ChargeType", "UsageDate", "Quantity", "BillingPreTaxTotal"]);
    assert_eq!(
        rows,
        [
            ["reversal", "2026-01-20T00:00:00Z", "-40", "-1.533110733"],
            ["reversal", "2026-01-20T00:00:00Z", "-30", "-0.67073594568"],
            ["new", "2026-01-12T00:00:00Z", "20", "0.63879613876"],
            ["new", "2026-01-20T00:00:00Z", "20", "0.7665553665"],
            ["new", "2026-01-20T00:00:00Z", "50", "1.1178932428"],
            // What the close rounded away is taken back, and rounded anew.
            ["roundingAdjustment", "", "0", "0.00049914928"],
            ["roundingAdjustment", "", "0", "-0.00015729712"],
            ["roundingAdjustment", "", "0", "0.00026007846"],
        ]
    );
    let again = world.differences("2026-01", 1).unwrap();
    assert!(again.edges.is_empty(), "without new facts there is no difference");
    assert!(world.adjust("2026-01", 1).unwrap().revision.is_none());
}

/// Twenty late units, a correction of the close's first record, ten units given back, and a
/// correction of the late record.
fn facts() -> [String; 4] {
    [
        row("e3", "", "11", "12", "20"),
        row("c1", "e1", "09", "10", "75"),
        row("e4", "", "14", "15", "-10"),
        row("c3", "e3", "11", "12", "12.5"),
    ]
}

/// What was billed in sum on each edge, over all documents.
pub fn billed(world: &World) -> Vec<String> {
    let invoices = world.invoices().unwrap();
    let mut sums: BTreeMap<(String, String), kernel::Money> = BTreeMap::new();
    for invoice in invoices {
        let zero = kernel::Money::zero(invoice.row.net.currency());
        let sum = sums.entry((invoice.seller, invoice.buyer)).or_insert(zero);
        *sum = sum.checked_add(invoice.row.net).unwrap();
    }
    sums.into_iter().map(|((seller, buyer), sum)| format!("{seller} {buyer} {sum}")).collect()
}

/// Whatever order facts arrive in, and however often differences are billed: in sum it is what
/// perfect knowledge would have billed at once.
// req: H5
#[test]
fn every_order_of_arrival_comes_to_the_same() {
    let facts = facts();
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.usage("all.csv", format!("{HEADER}{}", facts.concat())).unwrap();
    world.close("2026-01", 2).unwrap();
    let perfect = billed(&world);
    for order in 0..24 {
        let mut left: Vec<&String> = facts.iter().collect();
        let mut order_left = order;
        let mut world = closed();
        for step in (1..=4).rev() {
            let fact = left.remove(order_left % step);
            order_left /= step;
            world.go_to(&format!("2026-02-{:02}T09:00:00Z", 20 - step)).unwrap();
            world.usage(&format!("late-{step}.csv"), format!("{HEADER}{fact}")).unwrap();
            // Some are billed at once, others together with those that follow.
            if (order + step) % 3 > 0 || step == 1 {
                world.adjust("2026-01", 1 + order % 2).unwrap();
            }
        }
        assert_eq!(billed(&world), perfect, "order {order}");
        if order % 6 == 0 {
            export_and_verify(&world, "out");
        }
    }
}

/// Each line of an adjustment explains itself, and ends in what it says.
// req: H5
#[test]
fn every_line_of_an_adjustment_explains_itself() {
    let world = closed();
    world.usage("late.csv", format!("{HEADER}{}", facts().concat())).unwrap();
    let adjusted = world.adjust("2026-01", 1).unwrap();
    for invoice in &adjusted.invoices {
        let mut sum = kernel::Money::zero(invoice.net.currency());
        for line in 1..=invoice.invoice_lines {
            let name = format!("{}/{line}", invoice.number);
            let explained = world.explain(&name).unwrap();
            sum = sum.checked_add(explained.amount).unwrap();
            assert!(explained.before.is_some() || explained.now.is_some());
            let again = world.explain(&explained.reference.to_string()).unwrap();
            assert_eq!((again.line, again.amount), (line, explained.amount));
            assert_eq!(again.invoice.number, invoice.number);
        }
        assert_eq!(sum, invoice.net);
        let beyond = format!("{}/{}", invoice.number, invoice.invoice_lines + 1);
        assert!(world.explain(&beyond).is_err());
    }
}

/// Less than was billed: a credit note that names what it credits, and postings the other way.
#[test]
fn what_is_given_back_is_a_credit_note() {
    let world = closed();
    world.usage("late.csv", format!("{HEADER}{}", row("c2", "e2", "19", "20", "0"))).unwrap();
    world.adjust("2026-01", 1).unwrap();
    let folder = export_and_verify(&world, "out").join("adjustment-1");
    let json = std::fs::read_to_string(folder.join("cloud/tokyo/invoice.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    // 60 units at 0.09 are left of 9.72 and 1.89.
    assert_eq!(json["kind"], "credit-note");
    assert_eq!(json["net"], "-6.21");
    assert_eq!(json["preceding"]["number"], "CLOUD-000001");
    let ledger = Cells::read(&folder.join("cloud/ledger.csv")).unwrap();
    let mut postings = ledger.select(["Reason", "Account", "Debit", "Credit"]);
    postings.sort_unstable();
    assert_eq!(
        postings,
        [
            ["credit note issued", "receivable/tokyo", "", "6.21"],
            ["credit note issued", "revenue/usage", "6.21", ""],
        ]
    );
}

#[test]
fn what_cannot_be_billed_is_said() {
    let world = closed();
    assert!(world.adjust("2026-02", 1).unwrap_err().to_string().contains("is not closed"));
    let unknown = row("e9", "", "11", "12", "1").replace("aaaaaaaa", "bbbbbbbb");
    world.usage("late.csv", format!("{HEADER}{unknown}")).unwrap();
    let differences = world.differences("2026-01", 1).unwrap();
    assert_eq!(differences.missing.len(), 4, "on every edge");
    assert!(world.adjust("2026-01", 1).unwrap_err().to_string().contains("has no price"));
    assert!(world.invoices().unwrap().iter().all(|invoice| invoice.row.revision == 0));
}

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-000000000001";

/// A world with one flat and one tiered meter on two edges.
fn two_edges(usage: &str) -> World {
    two_edges_with(r#"{"0": 2, "9": 1}"#, usage)
}

fn two_edges_with(tiers: &str, usage: &str) -> World {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&[SUBSCRIPTION])).unwrap();
    let card = fixtures::rate_card(&[("flat", r#"{"0": 0.5}"#), ("tiers", tiers)]);
    world.prices("list", "prices.json", card).unwrap();
    world.usage("usage.csv", usage_of(usage)).unwrap();
    world.close("2026-01", 1).unwrap();
    world.go_to("2026-02-10T09:00:00Z").unwrap();
    world
}

/// Rows of `id,corrects,meter,start,end,quantity`.
fn usage_of(rows: &str) -> String {
    let header = "event_id,corrects,meter_id,usage_start,usage_end,quantity,subscription_id,unit\n";
    let rows = rows.lines().map(|row| format!("{row},{SUBSCRIPTION},1 Hour\n"));
    std::iter::once(header.to_owned()).chain(rows).collect()
}

/// What was used on one day was used on another: nothing to pay, but on every edge the rows say so.
#[test]
fn usage_that_moves_to_another_day_has_a_line_of_nothing() {
    let world = two_edges("e1,,flat,2026-01-08T00:00:00Z,2026-01-08T01:00:00Z,12");
    let late = "c1,e1,flat,2026-01-08T00:00:00Z,2026-01-08T01:00:00Z,7\n\
                e2,,flat,2026-01-03T00:00:00Z,2026-01-03T01:00:00Z,5";
    world.usage("late.csv", usage_of(late)).unwrap();
    let preview = lines(&world.differences("2026-01", 1).unwrap());
    assert_eq!(preview, ["cloud 0 adjustment 0 0.00 USD", "partner 0 adjustment 0 0.00 USD"]);
    let adjusted = world.adjust("2026-01", 1).unwrap();
    assert!(adjusted.invoices.iter().all(|invoice| invoice.net.minor() == 0));
    let folder = export_and_verify(&world, "out");
    let rows =
        Cells::read(&folder.join("adjustment-1/partner/shop/daily-rated-usage.csv")).unwrap();
    assert_eq!(
        rows.select(["ChargeType", "UsageDate", "Quantity"]),
        [
            ["reversal", "2026-01-08T00:00:00Z", "-12"],
            ["new", "2026-01-03T00:00:00Z", "5"],
            ["new", "2026-01-08T00:00:00Z", "7"],
        ]
    );
    assert!(world.adjust("2026-01", 1).unwrap().revision.is_none());
}

/// A record that reaches into the month with nothing: corrected to nothing, or too little to be
/// split. It has a line like every other.
#[test]
fn a_record_across_months_may_have_nothing_in_one() {
    let across = "2025-12-20T00:00:00Z,2026-01-20T00:00:00Z";
    let world = two_edges(&format!(
        "e1,,tiers,2026-01-08T00:00:00Z,2026-01-08T01:00:00Z,12\n\
         e2,,tiers,{across},3.1\ne3,,tiers,{across},-0.000000000000001\ne4,,flat,{across},0"
    ));
    export_and_verify(&world, "closed");
    world.usage("late.csv", usage_of(&format!("c2,e2,tiers,{across},0"))).unwrap();
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "adjusted");
}

/// Tiers that cost the same: from a row nobody can see in which it lies.
#[test]
fn tiers_of_one_price_are_emptied() {
    let day = "2026-01-08T00:00:00Z,2026-01-08T01:00:00Z";
    let world = two_edges_with(r#"{"0": 1, "10": 1, "30": 0.5}"#, &format!("e1,,tiers,{day},17"));
    world.usage("late.csv", usage_of(&format!("c1,e1,tiers,{day},5"))).unwrap();
    let preview = lines(&world.differences("2026-01", 1).unwrap());
    let cloud = ["cloud 0 adjustment -5 -5.00 USD", "cloud 1 reversal -7 -7.00 USD"];
    assert_eq!(preview[..2], cloud);
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "out");
}

/// Rows that are taken back are printed as they were, whatever the rest of an adjustment needs.
#[test]
fn amounts_have_the_decimals_of_the_close() {
    let day = "2026-01-08T00:00:00Z,2026-01-08T01:00:00Z";
    let world = two_edges(&format!("e1,,tiers,{day},12.5\ne2,,flat,{day},3"));
    let late = format!("c1,e1,tiers,{day},12.129032258064516\nl1,,flat,{day},0.000000000000007");
    world.usage("late.csv", usage_of(&late)).unwrap();
    world.adjust("2026-01", 1).unwrap();
    world.usage("late-2.csv", usage_of(&format!("l2,,tiers,{day},999999999.5"))).unwrap();
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "out");
}

/// What an adjustment has billed is as closed as what the close has.
#[test]
fn prices_of_what_an_adjustment_billed_cannot_be_changed() {
    let day = "2026-01-08T00:00:00Z,2026-01-08T01:00:00Z";
    let world = two_edges(&format!("e1,,tiers,{day},12"));
    let dearer = fixtures::rate_card(&[("flat", r#"{"0": 0.75}"#)]);
    world.usage("late.csv", usage_of(&format!("e2,,flat,{day},2"))).unwrap();
    world.adjust("2026-01", 1).unwrap();
    let refused = world.prices("list", "dearer.json", dearer).unwrap_err();
    assert!(refused.to_string().contains("2026-01, which is closed"), "{refused}");
}

/// A record that lasts longer than a month is billed in every month that it reaches into.
#[test]
fn a_record_over_two_month_ends_is_in_three_months() {
    let mut world = two_edges("e1,,flat,2026-01-20T00:00:00Z,2026-03-21T00:00:00Z,60");
    world.go_to("2026-04-02T09:00:00Z").unwrap();
    let net = |closed: app::close::Closed| closed.invoices[0].net.to_string();
    // 28 days of February, 20 of March, at half a dollar.
    assert_eq!(net(world.close("2026-02", 1).unwrap()), "14.00 USD");
    assert_eq!(net(world.close("2026-03", 1).unwrap()), "10.00 USD");
}

/// Numbers and days of issue go together, whichever month is billed.
#[test]
fn an_adjustment_is_not_dated_before_the_last_invoice() {
    let day = "2026-01-08T00:00:00Z,2026-01-08T01:00:00Z";
    let mut world = two_edges(&format!("e1,,flat,{day},12"));
    let february = "e2,,flat,2026-02-08T00:00:00Z,2026-02-08T01:00:00Z,1";
    world.usage("february.csv", usage_of(february)).unwrap();
    world.go_to("2026-03-02T09:00:00Z").unwrap();
    world.close("2026-02", 1).unwrap();
    world.usage("late.csv", usage_of(&format!("l1,,flat,{day},1"))).unwrap();
    let post = |day: &str| {
        let (month, day) = ("2026-01".parse().unwrap(), day.parse().unwrap());
        world.run(|ctx| app::adjust::post(ctx, month, Some(day), 1))
    };
    let refused = post("2026-03-01").unwrap_err().to_string();
    assert!(refused.contains("2026-03-02 to 2026-03-02"), "{refused}");
    assert!(post("2026-03-02").is_ok());
}

/// Each agreement says how long its edge is corrected. What arrives later is billed on the other
/// edges, and the edge stays as it was, also where it is adjusted again.
// req: H5
#[test]
fn an_edge_is_corrected_as_long_as_its_agreement_says() {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    let retail = "price_book = \"retail\"";
    let programme =
        fixtures::FOUR_DEEP.replace(retail, &format!("{retail}\ncorrection_months = 1"));
    world.apply(&programme).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.close("2026-01", 1).unwrap();
    let late = |id: &str| format!("{HEADER}{}", row(id, "", "11", "12", "20"));
    world.go_to("2026-02-27T09:00:00Z").unwrap();
    world.usage("late-1.csv", late("e3")).unwrap();
    assert_eq!(world.adjust("2026-01", 1).unwrap().invoices.len(), 4, "until the end of February");
    let dhow = |world: &World| billed(world).into_iter().find(|sum| sum.contains("dhow")).unwrap();
    let paid = dhow(&world);
    for (at, day) in ["2026-03-01", "2026-05-01"].iter().enumerate() {
        world.go_to(&format!("{day}T09:00:00Z")).unwrap();
        world.usage("late.csv", late(&format!("later-{at}"))).unwrap();
        let preview = world.differences("2026-01", 1).unwrap();
        assert_eq!((preview.edges.len(), preview.beyond.len()), (3, 1));
        assert_eq!(preview.beyond[0].buyer_key, "dhow");
        assert_eq!(world.adjust("2026-01", 1).unwrap().invoices.len(), 3);
        export_and_verify(&world, &format!("out-{at}"));
    }
    assert_eq!(dhow(&world), paid);
    let folder = world.export("2026-01", "again", Format::Csv).unwrap();
    let path = folder.join("certificate.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.matches("\"buyer\": \"dhow\"").count(), 2 + 2, "twice billed, twice not");
}

/// Two tiers that cost the same, of which late usage empties the upper one while a later price fills
/// the lower one: whether the upper one is gone or comes to nothing, the documents prove themselves.
#[test]
fn tiers_that_cost_the_same_are_adjusted() {
    let id = "11111111-2222-4333-8444-000000000001";
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&[id])).unwrap();
    let card = fixtures::rate_card(&[("vm", r#"{"0": 0.1, "20": 0.1, "90": 0.3}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    let card = fixtures::rate_card(&[("vm", r#"{"0": 0.2}"#)]).replace("2010-01-01", "2026-01-15");
    world.prices("list", "later.json", card).unwrap();
    let arrive = |name: &str, records: &[(&str, &str)]| {
        let mut text =
            "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n".to_owned();
        for (day, quantity) in records {
            let day = format!("2026-01-{day}");
            let (start, end) = (format!("{day}T00:00:00Z"), format!("{day}T01:00:00Z"));
            text += &[&day, id, "vm", &start, &end, quantity, "1 Hour\n"].join(",");
        }
        world.usage(name, text).unwrap();
    };
    arrive("usage.csv", &[("02", "25")]);
    world.close("2026-01", 1).unwrap();
    arrive("late.csv", &[("04", "-16"), ("20", "90")]);
    let adjusted = world.differences("2026-01", 1).unwrap();
    let nets: Vec<String> = adjusted.edges.iter().map(|edge| edge.net.to_string()).collect();
    // 25 at 0.10 were billed; 9 at 0.10 and 90 at 0.20 are 18.90.
    assert_eq!(nets, ["16.40 USD", "18.04 USD"]);
    world.adjust("2026-01", 1).unwrap();
    let folder = world.export("2026-01", "out", Format::Csv).unwrap();
    let report = verify::verify(&folder, 1);
    assert!(report.passes(), "{:#?}", report.faults.listed());
}
