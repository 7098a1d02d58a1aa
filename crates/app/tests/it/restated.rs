//! Prices of a closed month that are restated: who bills by them when, worked out by hand.

use documents::Format;
use testkit::{World, fixtures};

use crate::adjusted::{HEADER, billed, closed, export_and_verify, lines, row};

/// The storage of [`fixtures::FOUR_DEEP`] costs less from 16 January than was billed: 0.11 instead
/// of 0.12, and above 100 units 0.06 instead of 0.07.
const CHEAPER: &str = r#"{"currency": "USD", "isTaxIncluded": false, "offerTerms": [], "meters": [
    {"id": "aaaaaaaa-0000-4000-8000-000000000001", "name": "Standard", "category": "Storage",
     "subcategory": "Block", "region": "East", "unit": "1 GB", "includedQuantity": 0,
     "rates": {"0": 0.11, "100": 0.06}, "effectiveDate": "2026-01-15T21:00:00Z"}]}"#;

/// Every seller of a path accepts, one after the other.
fn accept_all(world: &World) {
    for seller in ["cloud", "tokyo", "gulf", "souk"] {
        world.accept("2026-01", (seller, None), None).unwrap();
    }
}

fn nets(edges: &[app::adjust::EdgeDifference]) -> Vec<String> {
    edges.iter().map(|edge| format!("{} {}", edge.seller_key, edge.net)).collect()
}

/// 60 units before 16 January stay as they were, 40 units of the first tier and 30 of the second
/// are after it:
///
/// | edge | 60 at | 40 at | first tier now | was | 30 at | second tier now | was | less |
/// |---|---|---|---|---|---|---|---|---|
/// | cloud, USD | 0.09 | 0.099 | 5.40 + 3.96 = 9.36 | 9.72 | 0.054 | 1.62 | 1.89 | 0.63 |
/// | tokyo, JPY | 14.198625 | 15.6184875 | 1476.657 | 1533 | 8.519175 | 255.57525 | 298 | 98 |
/// | gulf, KWD | 0.031939806938 | 0.035133787631 | 3.32173992152 | 3.449 | 0.019163884162 | 0.57491652486 | 0.671 | 0.223 |
/// | souk, KWD | 0.038327768326 | 0.042160545157 | 3.98608790584 | 4.139 | 0.022996660994 | 0.68989982982 | 0.805 | 0.268 |
// req: A2 H4
#[test]
fn an_edge_keeps_its_prices_until_its_seller_accepts() {
    let mut world = closed();
    let refused = world.prices("list", "cheaper.json", CHEAPER).unwrap_err().to_string();
    assert!(refused.contains("--restate"), "{refused}");
    let imported = world.restate_prices("list", "cheaper.json", CHEAPER).unwrap();
    assert!(imported.notes.iter().any(|note| note.contains("restate --period 2026-01")));
    assert!(world.differences("2026-01", 1).unwrap().edges.is_empty());
    let open = world.restated("2026-01").unwrap().open;
    assert_eq!(
        nets(&open),
        ["cloud -0.63 USD", "gulf -0.223 KWD", "souk -0.268 KWD", "tokyo -98 JPY"]
    );

    // Only the distributor pays less: below it, everybody still buys and sells as billed.
    let accepted = world.accept("2026-01", ("cloud", None), None).unwrap();
    assert_eq!(nets(&accepted), ["cloud -0.63 USD"]);
    let preview = world.differences("2026-01", 1).unwrap();
    assert_eq!(
        lines(&preview),
        [
            "cloud 0 reversal -100 -9.72 USD",
            "cloud 0 new 100 9.36 USD",
            "cloud 1 reversal -30 -1.89 USD",
            "cloud 1 new 30 1.62 USD",
        ]
    );
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "cloud");

    // The next two tiers pass it on; the last one does not yet.
    world.go_to("2026-02-11T09:00:00Z").unwrap();
    assert_eq!(nets(&world.accept("2026-01", ("tokyo", None), None).unwrap()), ["tokyo -98 JPY"]);
    assert_eq!(nets(&world.accept("2026-01", ("gulf", None), None).unwrap()), ["gulf -0.223 KWD"]);
    world.adjust("2026-01", 2).unwrap();
    export_and_verify(&world, "gulf");
    let restated = world.restated("2026-01").unwrap();
    assert_eq!(nets(&restated.open), ["souk -0.268 KWD"]);
    assert!(restated.accepted.iter().all(|acceptance| acceptance.billed));

    // Late usage on the edge that kept its prices: 20 units of the 12th.
    world.go_to("2026-02-12T09:00:00Z").unwrap();
    world.usage("late.csv", format!("{HEADER}{}", row("e3", "", "11", "12", "20"))).unwrap();
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "late");

    world.go_to("2026-02-13T09:00:00Z").unwrap();
    world.accept("2026-01", ("souk", Some("dhow")), None).unwrap();
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "souk");
    // Rated again, the month comes to what its close and its adjustments have billed.
    let month = "2026-01".parse().unwrap();
    let shadow = world.run(|ctx| app::shadow::shadow(ctx, month, 2)).unwrap();
    assert_eq!((shadow.differing, shadow.groups, shadow.revision), (0, 8, 4));
    // 80 units before, 20 of the first tier and 50 of the second after.
    assert_eq!(
        billed(&world),
        [
            "cloud tokyo 11.88 USD",
            "gulf souk 4.216 KWD",
            "souk dhow 5.059 KWD",
            "tokyo gulf 1874 JPY"
        ]
    );
}

/// The same tiered meter: 15 units more of the 10th (a correction), 20 units of the 12th (late),
/// and the price. In sum 95 units before 16 January, 5 of the first tier and 65 of the second after:
///
/// | edge | first tier | second tier | billed in sum |
/// |---|---|---|---|
/// | cloud, USD | 95 x 0.09 + 5 x 0.099 = 9.045 | 65 x 0.054 = 3.51 | 9.04 + 3.51 |
/// | tokyo, JPY | 1426.9618125 | 553.746375 | 1427 + 554 |
/// | gulf, KWD | 3.209950597265 | 1.24565247053 | 3.210 + 1.246 |
/// | souk, KWD | 3.851940716755 | 1.49478296461 | 3.852 + 1.495 |
// req: A2 H4 H5
#[test]
fn late_usage_a_correction_and_a_price_come_to_the_same_in_every_order() {
    let sums = [
        "cloud tokyo 12.55 USD",
        "gulf souk 4.456 KWD",
        "souk dhow 5.347 KWD",
        "tokyo gulf 1981 JPY",
    ];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for (at, order) in orders.iter().enumerate() {
        // Every second time, sellers accept only when everything has arrived.
        for accept_late in [false, true] {
            let mut world = closed();
            for (step, fact) in order.iter().enumerate() {
                world.go_to(&format!("2026-02-{:02}T09:00:00Z", 11 + step)).unwrap();
                match fact {
                    0 => {
                        let late = row("e3", "", "11", "12", "20");
                        world.usage("late.csv", format!("{HEADER}{late}")).unwrap();
                    }
                    1 => {
                        let correction = row("c1", "e1", "09", "10", "75");
                        world.usage("correction.csv", format!("{HEADER}{correction}")).unwrap();
                    }
                    _ => {
                        world.restate_prices("list", "cheaper.json", CHEAPER).unwrap();
                        if !accept_late {
                            accept_all(&world);
                        }
                    }
                }
                if (at + step) % 2 == 0 {
                    world.adjust("2026-01", 1 + at % 2).unwrap();
                }
            }
            if accept_late {
                accept_all(&world);
            }
            world.adjust("2026-01", 1).unwrap();
            assert_eq!(billed(&world), sums, "order {order:?}, accepted late: {accept_late}");
            export_and_verify(&world, "out");
            assert!(world.differences("2026-01", 1).unwrap().edges.is_empty());
        }
    }
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    world.prices("list", "prices-0.json", fixtures::FOUR_DEEP_PRICES[0]).unwrap();
    world.prices("list", "cheaper.json", CHEAPER).unwrap();
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    let facts = [row("e3", "", "11", "12", "20"), row("c1", "e1", "09", "10", "75")];
    world.usage("more.csv", format!("{HEADER}{}", facts.concat())).unwrap();
    world.go_to("2026-02-11T09:00:00Z").unwrap();
    world.close("2026-01", 1).unwrap();
    assert_eq!(billed(&world), sums, "known at once");
}

/// Accepting before whoever sells to the seller does accepts nothing of what comes later.
#[test]
fn a_seller_accepts_what_is_known_and_no_more() {
    let world = closed();
    world.restate_prices("list", "cheaper.json", CHEAPER).unwrap();
    assert!(world.accept("2026-01", ("gulf", None), None).unwrap().is_empty());
    world.accept("2026-01", ("cloud", None), None).unwrap();
    world.accept("2026-01", ("tokyo", None), None).unwrap();
    // What it accepted first came to nothing, so it may accept again; what comes to something is
    // billed before the next decision.
    assert_eq!(nets(&world.accept("2026-01", ("gulf", None), None).unwrap()), ["gulf -0.223 KWD"]);
    let refused = world.accept("2026-01", ("gulf", None), None).unwrap_err().to_string();
    assert!(refused.contains("has not been billed yet"), "{refused}");
    assert_eq!(world.adjust("2026-01", 1).unwrap().invoices.len(), 3);
    world.accept("2026-01", ("gulf", None), None).unwrap();
    assert!(world.adjust("2026-01", 1).unwrap().revision.is_none());
    export_and_verify(&world, "out");
    // Every line says how its price came about, by the prices that its seller bought at.
    for invoice in world.invoices().unwrap() {
        for line in 1..=invoice.row.invoice_lines {
            world.explain(&format!("{}/{line}", invoice.row.number)).unwrap();
        }
    }
}

/// What a buyer would pay more it must have agreed to.
#[test]
fn an_increase_needs_the_buyers_consent() {
    let world = closed();
    let dearer = CHEAPER.replace("0.11", "0.14");
    world.restate_prices("list", "dearer.json", &dearer).unwrap();
    let refused = world.accept("2026-01", ("cloud", None), None).unwrap_err().to_string();
    assert!(refused.contains("tokyo would pay 0.45 USD more"), "{refused}");
    assert!(world.restated("2026-01").unwrap().accepted.is_empty());
    let consent = Some("letter of 9 February");
    let accepted = world.accept("2026-01", ("cloud", Some("tokyo")), consent).unwrap();
    // 40 x (0.126 - 0.108) - 30 x (0.063 - 0.054) = 0.72 - 0.27.
    assert_eq!(nets(&accepted), ["cloud 0.45 USD"]);
    let recorded = world.restated("2026-01").unwrap().accepted;
    assert_eq!(recorded[0].consent.as_deref(), consent);
    assert!(!recorded[0].billed);
    let nobody = world.accept("2026-01", ("dhow", None), None).unwrap_err().to_string();
    assert!(nobody.contains("sold nothing"), "{nobody}");
}

/// A billed month keeps its exchange rate, unless the agreement says otherwise.
#[test]
fn a_rate_is_restated_only_where_the_agreement_says_so() {
    for (restated, sum) in [(false, "tokyo gulf 1831 JPY"), (true, "tokyo gulf 1853 JPY")] {
        let world = World::at("2026-02-02T09:00:00Z").unwrap();
        let source = "exchange = { source = \"programme\" }";
        let policy = format!("exchange = {{ source = \"programme\", restated = {restated} }}");
        let programme = fixtures::FOUR_DEEP.replace(source, &policy);
        world.apply(&programme).unwrap();
        for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
            world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
        }
        world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
        world.close("2026-01", 1).unwrap();
        let programme = programme.replace("150.25", "152.00");
        assert!(world.apply(&programme).unwrap_err().to_string().contains("--restate"));
        let apply = |ctx| app::programme::apply(ctx, "programme.toml", &programme, Some("typo"));
        assert_eq!(world.run(apply).unwrap().restated.len(), 1);
        for seller in ["tokyo", "gulf", "souk"] {
            world.accept("2026-01", (seller, None), Some("agreed")).unwrap();
        }
        world.adjust("2026-01", 1).unwrap();
        // 14.198625 and 17.03835 and 9.9390375 yen become 14.364, 17.2368 and 10.0548.
        assert!(billed(&world).contains(&sum.to_owned()), "{:?}", billed(&world));
        export_and_verify(&world, "out");
    }
}

/// Sale paths and terms of a closed month are not prices.
#[test]
fn only_prices_can_be_restated() {
    let world = closed();
    let late = fixtures::FOUR_DEEP
        .replace("price_book = \"retail\"", "price_book = \"retail\"\npayment_terms_days = 14");
    let apply = |ctx| app::programme::apply(ctx, "programme.toml", &late, Some("a reason"));
    let refused = world.run(apply).unwrap_err().to_string();
    assert!(refused.contains("cannot be restated"), "{refused}");
    let margin = fixtures::FOUR_DEEP.replace("buy_plus = \"20\"", "buy_plus = \"15\"");
    let plan = world.run(|ctx| app::programme::plan(ctx, "p.toml", &margin, Some("a promise")));
    assert_eq!(plan.unwrap().restated.len(), 1);
    assert!(world.restated("2026-01").unwrap().since.is_empty(), "a plan writes nothing");
    let apply = |ctx| app::programme::apply(ctx, "programme.toml", &margin, Some("a promise"));
    world.run(apply).unwrap();
    assert_eq!(nets(&world.restated("2026-01").unwrap().open), ["souk -0.206 KWD"]);
    let folder = world.export("2026-01", "out", Format::Parquet).unwrap();
    assert!(verify::verify(&folder, 1).passes());
}

/// What comes to nothing blocks nothing: a price that goes up and back is accepted, and the next
/// one can be. The same file again is not what it was when another one has come in between.
#[test]
fn prices_may_go_back_to_what_they_were() {
    let world = closed();
    let back = fixtures::FOUR_DEEP_PRICES[1];
    world.restate_prices("list", "cheaper.json", CHEAPER).unwrap();
    world.restate_prices("list", "prices-1.json", back).unwrap();
    assert!(world.restated("2026-01").unwrap().open.is_empty(), "as it was billed");
    accept_all(&world);
    assert!(world.adjust("2026-01", 1).unwrap().revision.is_none());
    world.restate_prices("list", "cheaper.json", CHEAPER).unwrap();
    accept_all(&world);
    let adjusted = world.adjust("2026-01", 1).unwrap();
    assert_eq!(adjusted.invoices[0].net.to_string(), "-0.63 USD");
    export_and_verify(&world, "out");
}

/// A price that rises only where nothing was used so far needs consent too.
#[test]
fn a_price_that_rises_for_later_usage_needs_consent() {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    let few = fixtures::FOUR_DEEP_USAGE.replace(",70,", ",7,");
    world.usage("usage.csv", few).unwrap();
    world.close("2026-01", 1).unwrap();
    world.go_to("2026-02-10T09:00:00Z").unwrap();
    let dearer = CHEAPER.replace("0.11", "0.12").replace("0.06", "5.00");
    world.restate_prices("list", "dearer.json", &dearer).unwrap();
    let refused = world.accept("2026-01", ("cloud", None), None).unwrap_err().to_string();
    assert!(refused.contains("some prices of tokyo rise"), "{refused}");
    world.accept("2026-01", ("cloud", None), Some("agreed")).unwrap();
}

/// An edge that is agreed after a price was restated starts from what its seller paid then, and
/// does not move with what others accept.
#[test]
fn an_edge_that_is_agreed_later_does_not_follow_others() {
    let mut world = closed();
    world.restate_prices("list", "cheaper.json", CHEAPER).unwrap();
    world.go_to("2026-02-11T09:00:00Z").unwrap();
    let reef = fixtures::FOUR_DEEP.to_owned()
        + r#"
[[organisation]]
key = "reef"
role = "customer"
name = "Reef KSC"
country = "KW"

[[relationship]]
partner = "gulf"
with = "reef"
from = 2026-01-01

[[agreement]]
seller = "gulf"
buyer = "reef"
from = 2026-01-01
currency = "KWD"
price_book = "kuwait"
exchange = { source = "programme" }

[[subscription]]
id = "22222222-2222-4333-8444-555555555555"
offer = "plan"
path = ["cloud", "tokyo", "gulf", "reef"]
from = 2026-01-01
"#;
    world.apply(&reef).unwrap();
    let late = row("e3", "", "19", "20", "100").replace("11111111", "22222222");
    world.usage("late.csv", format!("{HEADER}{late}")).unwrap();
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "billed");
    let reef = |world: &World| billed(world).into_iter().find(|sum| sum.contains("reef")).unwrap();
    let paid = reef(&world);
    world.go_to("2026-02-12T09:00:00Z").unwrap();
    world.accept("2026-01", ("cloud", None), None).unwrap();
    world.accept("2026-01", ("tokyo", None), None).unwrap();
    world.adjust("2026-01", 1).unwrap();
    assert_eq!(reef(&world), paid);
    export_and_verify(&world, "out");
    world.accept("2026-01", ("gulf", None), None).unwrap();
    world.adjust("2026-01", 1).unwrap();
    assert_ne!(reef(&world), paid);
    export_and_verify(&world, "all");
}

/// What is no longer corrected cannot be restated, and what was left out stays so.
#[test]
fn what_is_no_longer_corrected_is_not_restated() {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    let book = "price_book = \"wholesale\"";
    let agreed = |months: u16| {
        fixtures::FOUR_DEEP.replace(book, &format!("{book}\ncorrection_months = {months}"))
    };
    world.apply(&agreed(1)).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.close("2026-01", 1).unwrap();
    world.go_to("2026-03-10T09:00:00Z").unwrap();
    world.restate_prices("list", "cheaper.json", CHEAPER).unwrap();
    let refused = world.accept("2026-01", ("cloud", None), None).unwrap_err().to_string();
    assert!(refused.contains("no longer corrects 2026-01"), "{refused}");
    world.usage("late.csv", format!("{HEADER}{}", row("e3", "", "11", "12", "20"))).unwrap();
    assert_eq!(world.adjust("2026-01", 1).unwrap().invoices.len(), 3);
    world.apply(&agreed(12)).unwrap();
    world.usage("later.csv", format!("{HEADER}{}", row("e4", "", "12", "13", "20"))).unwrap();
    assert_eq!(world.adjust("2026-01", 1).unwrap().invoices.len(), 3, "whatever is agreed later");
    export_and_verify(&world, "out");
}

/// A meter keeps the name by which it was billed, whatever a restated list calls it.
#[test]
fn a_renamed_meter_is_called_as_it_was_billed() {
    let mut world = closed();
    let renamed = CHEAPER.replace("\"Storage\"", "\"Blobs\"").replace("Standard", "Plain");
    world.restate_prices("list", "renamed.json", &renamed).unwrap();
    world.accept("2026-01", ("cloud", None), None).unwrap();
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "restated");
    world.go_to("2026-02-12T09:00:00Z").unwrap();
    world.usage("late.csv", format!("{HEADER}{}", row("e3", "", "11", "12", "20"))).unwrap();
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "late");
}

/// Usage of a time without a price is billed once the price is known, on every edge, whoever has
/// accepted what: nothing was billed by the gap.
#[test]
fn a_gap_that_is_filled_is_not_restated() {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    world.prices("list", "later.json", fixtures::FOUR_DEEP_PRICES[1]).unwrap();
    let usage: Vec<&str> = fixtures::FOUR_DEEP_USAGE.lines().collect();
    world.usage("usage.csv", format!("{}\n{}\n", usage[0], usage[2])).unwrap();
    world.close("2026-01", 1).unwrap();
    world.go_to("2026-02-10T09:00:00Z").unwrap();
    world.usage("late.csv", format!("{}\n{}\n", usage[0], usage[1])).unwrap();
    assert!(world.adjust("2026-01", 1).unwrap_err().to_string().contains("has no price"));
    world.restate_prices("list", "earlier.json", fixtures::FOUR_DEEP_PRICES[0]).unwrap();
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "out");
    // 60 units before 16 January, 40 and 30 after, as if all had been known at once.
    assert_eq!(
        billed(&world),
        [
            "cloud tokyo 11.61 USD",
            "gulf souk 4.120 KWD",
            "souk dhow 4.944 KWD",
            "tokyo gulf 1831 JPY"
        ]
    );
}

/// A price that was restated in a tier that nobody has reached stands in no document, and need not.
#[test]
fn a_restated_price_without_usage_proves_itself() {
    let mut world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE.replace(",70,", ",7,")).unwrap();
    world.close("2026-01", 1).unwrap();
    world.go_to("2026-02-10T09:00:00Z").unwrap();
    let upper = fixtures::FOUR_DEEP_PRICES[1].replace("0.07", "0.05");
    world.restate_prices("list", "upper.json", &upper).unwrap();
    world.accept("2026-01", ("cloud", None), None).unwrap();
    let margin = fixtures::FOUR_DEEP.replace("buy_plus = \"5\"", "buy_plus = \"4\"");
    let apply = |ctx| app::programme::apply(ctx, "programme.toml", &margin, Some("a promise"));
    world.run(apply).unwrap();
    world.accept("2026-01", ("tokyo", None), None).unwrap();
    assert_eq!(world.adjust("2026-01", 1).unwrap().invoices.len(), 1);
    export_and_verify(&world, "out");
}

/// A meter that nobody had used has its present price, also while the price of another is restated.
#[test]
fn what_was_not_billed_has_its_present_price() {
    let world = closed();
    let other = "bbbbbbbb-0000-4000-8000-000000000001";
    world.prices("list", "other.json", CHEAPER.replace("aaaaaaaa", "bbbbbbbb")).unwrap();
    world.restate_prices("list", "cheaper.json", CHEAPER).unwrap();
    let dearer = CHEAPER.replace("aaaaaaaa", "bbbbbbbb").replace("0.11", "0.50");
    world.prices("list", "present.json", dearer).unwrap();
    let late =
        row("e3", "", "19", "20", "10").replace("aaaaaaaa-0000-4000-8000-000000000001", other);
    world.usage("late.csv", format!("{HEADER}{late}")).unwrap();
    let preview = world.differences("2026-01", 1).unwrap();
    assert_eq!(preview.edges[0].net.to_string(), "4.50 USD");
    world.adjust("2026-01", 1).unwrap();
    export_and_verify(&world, "out");
}

/// What applies after a closed month changes nothing of it, and is not refused: the next price of a
/// meter, the next rule, the end of a rule.
#[test]
fn what_begins_after_a_closed_month_is_no_restatement() {
    let id = "11111111-2222-4333-8444-000000000001";
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    let text = fixtures::two_edges(&[id]);
    world.apply(&text).unwrap();
    world.prices("list", "prices.json", fixtures::rate_card(&[("vm", r#"{"0": 1}"#)])).unwrap();
    let usage = format!(
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n\
         a,{id},vm,2026-01-10T12:00:00Z,2026-01-10T13:00:00Z,2,1 Hour\n"
    );
    world.usage("usage.csv", usage).unwrap();
    world.close("2026-01", 1).unwrap();
    let price = |day: &str| {
        let card = fixtures::rate_card(&[("vm", r#"{"0": 3}"#)]).replace("2010-01-01", day);
        world.prices("list", &format!("{day}.json"), card)
    };
    price("2026-02-01").unwrap();
    price("2026-12-01").unwrap();
    assert!(price("2026-01-31").unwrap_err().to_string().contains("--restate"));
    let rule = "[[price_book.rule]]\nall = true\nbuy_plus = \"10\"";
    let next = |day: &str| {
        let rules = format!("{rule}\nuntil = {day}\n{}", rule.replace("10", "20"));
        text.replace(rule, &format!("{rules}\nfrom = {day}"))
    };
    world.apply(&next("2026-03-01")).unwrap();
    assert!(world.differences("2026-01", 1).unwrap().edges.is_empty());
    assert!(world.restated("2026-01").unwrap().open.is_empty());
    assert!(world.apply(&next("2026-01-15")).is_err());
}
