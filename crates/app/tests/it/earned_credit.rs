//! Partner earned credit: the provider's published figures, days and resources by hand, and random
//! access against a second way to reckon.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use documents::Format;
use testkit::{Cells, World, fixtures};

const PLAN: &str = "11111111-2222-4333-8444-000000000001";
const OTHER: &str = "11111111-2222-4333-8444-000000000002";
const HELD: &str = "aaaaaaaa-0000-4000-8000-00000000000a";

/// A provider that rounds as Partner Center does and grants 15 percent, a distributor, its reseller,
/// another partner and a customer with two plans, the first of which holds an Azure subscription.
/// The distributor adds 10 percent, the reseller 20.
fn programme(access: &str) -> String {
    let mut text = r#"
[programme]
name = "Credit"

[[earned_credit]]
seller = "cloud"
percent = "15"

[[offer]]
key = "plan"
name = "Azure plan"
family = "plan"
price_sheet = "list"
"#
    .to_owned();
    let parties = [
        ("cloud", "provider"),
        ("north", "indirect-provider"),
        ("reseller", "indirect-reseller"),
        ("other", "indirect-reseller"),
        ("client", "customer"),
    ];
    for (key, role) in parties {
        write!(
            text,
            "\n[[organisation]]\nkey = \"{key}\"\nrole = \"{role}\"\nname = \"{key} Inc.\"\n\
             country = \"US\"\n"
        )
        .unwrap();
    }
    for (partner, with) in [("north", "reseller"), ("reseller", "client")] {
        write!(
            text,
            "\n[[relationship]]\npartner = \"{partner}\"\nwith = \"{with}\"\nfrom = 2020-01-01\n"
        )
        .unwrap();
    }
    let edges = [
        ("cloud", "north", "list_minus = \"0\"", "rounding = \"partner-center\""),
        ("north", "reseller", "buy_plus = \"10\"", ""),
        ("reseller", "client", "buy_plus = \"20\"", ""),
    ];
    for (seller, buyer, rule, more) in edges {
        write!(
            text,
            "\n[[price_book]]\nkey = \"{seller}-book\"\nseller = \"{seller}\"\n\
             [[price_book.rule]]\nall = true\n{rule}\n\n[[agreement]]\nseller = \"{seller}\"\n\
             buyer = \"{buyer}\"\nfrom = 2020-01-01\ncurrency = \"USD\"\n\
             price_book = \"{seller}-book\"\n{more}\n"
        )
        .unwrap();
    }
    for (id, held) in [
        (PLAN, format!("entitlement = [{{ id = \"{HELD}\", name = \"Azure\" }}]\n")),
        (OTHER, String::new()),
    ] {
        write!(
            text,
            "\n[[subscription]]\nid = \"{id}\"\noffer = \"plan\"\n\
             path = [\"cloud\", \"north\", \"reseller\", \"client\"]\nfrom = 2020-01-01\n{held}"
        )
        .unwrap();
    }
    text + access
}

/// Access of a partner to a plan, or to some of it.
fn access(partner: &str, plan: &str, scope: &str, from: u32, until: u32) -> String {
    let scope = if scope.is_empty() { String::new() } else { format!("scope = \"{scope}\"\n") };
    let day =
        |day: u32| if day > 31 { "2026-02-01".to_owned() } else { format!("2026-01-{day:02}") };
    format!(
        "\n[[eligible_access]]\npartner = \"{partner}\"\nsubscription = \"{plan}\"\n{scope}\
         from = {}\nuntil = {}\n",
        day(from),
        day(until)
    )
}

/// A record: plan or entitlement, meter, days, hour of the first and of the last, units, resource.
struct Used<'a>(&'a str, &'a str, [&'a str; 2], &'a str, &'a str);

fn usage(rows: &[Used<'_>]) -> String {
    let mut text = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit,\
                    resource_group,resource_uri\n"
        .to_owned();
    for (at, Used(holder, meter, [start, end], quantity, resource)) in rows.iter().enumerate() {
        let (group, uri) = resource.split_once('|').unwrap_or(("", resource));
        writeln!(
            text,
            "{at},{holder},{meter},2026-01-{start}:00:00Z,2026-01-{end}:00:00Z,{quantity},1 Hour,\
             {group},{uri}"
        )
        .unwrap();
    }
    text
}

fn world(access: &str, rows: &[Used<'_>]) -> World {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&programme(access)).unwrap();
    let card = fixtures::rate_card(&[
        ("vm", r#"{"0": 0.868}"#),
        ("one", r#"{"0": 1}"#),
        ("free", r#"{"0": 0, "5": 2.99}"#),
        ("vm-spot", r#"{"0": 0.1}"#),
        ("tiers", r#"{"0": 1, "100": 0.77, "300": 0.333333}"#),
        ("two", r#"{"0": 1, "100": 0.5}"#),
    ]);
    let card = card.replace("Meter vm-spot", "D2s v3 Spot");
    world.prices("list", "prices.json", card).unwrap();
    world.usage("usage.csv", usage(rows)).unwrap();
    world
}

fn proven(world: &World, name: &str) -> PathBuf {
    let folder = world.export("2026-01", name, Format::Csv).unwrap();
    let report = verify::verify(&folder, 2);
    assert!(report.passes(), "{:#?}", report.faults.listed());
    folder
}

const CREDITED: &str = r#"["15.0% Partner earned credit for services managed"]"#;

/// What the provider's lines say: units, list price, effective price, amount, why.
fn lines(folder: &Path) -> Vec<[String; 5]> {
    let path = folder.join("cloud/north/reconciliation.csv");
    let cells = Cells::read(&path).unwrap();
    let columns = [
        "BillableQuantity",
        "UnitPrice",
        "EffectiveUnitPrice",
        "Subtotal",
        "PriceAdjustmentDescription",
    ];
    cells.select(columns).into_iter().map(|row| row.map(str::to_owned)).collect()
}

fn net(world: &World, seller: &str) -> String {
    let invoices = world.invoices().unwrap();
    invoices.iter().find(|invoice| invoice.seller == seller).unwrap().row.net.to_string()
}

/// The three published days of `azure-plan-billing`: 0.868 less 15 percent is 0.7378.
// req: B14 F2
#[test]
fn the_published_effective_prices() {
    for (quantity, cost, effective) in [
        ("29", "21.39", "0.737586206896552"),
        ("210.950039", "155.63", "0.737757626107858"),
        ("555.950039", "410.17", "0.737782122900436"),
    ] {
        let all = access("north", PLAN, "", 1, 32);
        let world = world(&all, &[Used(PLAN, "vm", ["10T00", "10T05"], quantity, "/vm/1")]);
        world.close("2026-01", 1).unwrap();
        let folder = proven(&world, "out").join("2026-01");
        let expected = [quantity, "0.868", effective, cost, CREDITED].map(str::to_owned);
        assert_eq!(lines(&folder), [expected]);
    }
}

/// A free tier and the credit: 5 units at nothing, 32 at 2.99 less 15 percent = 2.5415, which is
/// 81.328, down 81.32 and a unit at 2.54125. The announcement of October 2023 rounds to 81.33.
// req: F2
#[test]
fn tiers_come_before_the_credit() {
    let all = access("north", PLAN, "", 1, 32);
    let world = world(&all, &[Used(PLAN, "free", ["10T00", "10T05"], "37", "/vm/1")]);
    world.close("2026-01", 1).unwrap();
    let folder = proven(&world, "out").join("2026-01");
    let expected =
        [["5", "0", "0", "0.00", CREDITED], ["32", "2.99", "2.54125", "81.32", CREDITED]];
    assert_eq!(lines(&folder), expected.map(|row| row.map(str::to_owned)));
}

/// Each day stands alone, as in the published month: access on days 1 to 3 and from the 8th on. Ten
/// units a day for 31 days: 27 days x 10 x 0.7378 = 199.206 and 4 x 10 x 0.868 = 34.72 come to
/// 233.926, down 233.92; 233.92 / 310 = 0.754580645161291 (up). What is sold on does not move:
/// 310 x 0.868 x 1.1 = 295.988 = 295.99, and 310 x 0.9548 x 1.2 = 355.1856 = 355.19.
// req: B14 F2 H1
#[test]
fn each_day_stands_alone() {
    let days: Vec<[String; 2]> =
        (1..=31).map(|day| [format!("{day:02}T08"), format!("{day:02}T18")]).collect();
    let rows: Vec<Used<'_>> =
        days.iter().map(|[start, end]| Used(PLAN, "vm", [start, end], "10", "/vm/1")).collect();
    let partly = access("north", PLAN, "", 1, 4) + &access("north", PLAN, "", 8, 32);
    let world = world(&partly, &rows);
    world.close("2026-01", 2).unwrap();
    let folder = proven(&world, "out").join("2026-01");
    let why =
        r#"["average of the month's prices","15.0% Partner earned credit for services managed"]"#;
    let expected = ["310", "0.868", "0.754580645161291", "233.92", why].map(str::to_owned);
    assert_eq!(lines(&folder), [expected]);
    assert_eq!(
        (net(&world, "north"), net(&world, "reseller")),
        ("295.99 USD".into(), "355.19 USD".into())
    );
    let daily = Cells::read(&folder.join("cloud/north/daily-rated-usage.csv")).unwrap();
    let columns =
        ["UsageDate", "EffectiveUnitPrice", "PartnerEarnedCreditPercentage", "CreditType"];
    for [date, price, percent, kind] in daily.select(columns) {
        let Some(day) = date.get(8..10).and_then(|day| day.parse::<u32>().ok()) else { continue };
        let expected = match day {
            4..=7 => ["0.868", "0", "Credit Not Applied"],
            _ => ["0.7378", "15", "Partner Earned Credit Applied"],
        };
        assert_eq!([price, percent, kind], expected, "{date}");
    }
    for edge in ["north/reseller", "reseller/client"] {
        let cells = Cells::read(&folder.join(edge).join("daily-rated-usage.csv")).unwrap();
        assert!(cells.select(["CreditType"]).iter().all(|[kind]| *kind == "Credit Not Applied"));
        assert!(!folder.join(edge).join("credits.csv").exists());
    }
    let report = world.explain(&lines_reference(&folder)).unwrap();
    let side = report.now.unwrap();
    let credits: Vec<String> = side.prices.iter().map(|price| price.credit.to_string()).collect();
    assert_eq!(credits, ["15", "0", "15"]);
}

fn lines_reference(folder: &Path) -> String {
    let cells = Cells::read(&folder.join("cloud/north/reconciliation.csv")).unwrap();
    cells.select(["ReferenceID"])[0][0].to_owned()
}

/// Access covers what lies beneath it: a resource group, one resource, an Azure subscription; that
/// of the reseller counts like the distributor's, and that of any other partner does not. One unit
/// each at 1.00.
// req: B14
#[test]
fn access_counts_by_resource_and_by_whose_it_is() {
    let group = format!("/subscriptions/{HELD}/resourceGroups/Web");
    let machine = format!("/subscriptions/{HELD}/resourceGroups/db/providers/x/vm/1");
    let facts = access("north", PLAN, &group, 1, 32)
        + &access("reseller", PLAN, &machine, 1, 32)
        + &access("other", PLAN, "", 1, 32)
        + &access("other", OTHER, "", 1, 32);
    let day = ["10T00", "10T05"];
    let beneath = format!("/SUBSCRIPTIONS/{HELD}/resourcegroups/WEB/providers/x/vm/9");
    let beside = format!("/subscriptions/{HELD}/resourceGroups/Website/providers/x/vm/9");
    let world = world(
        &facts,
        &[
            Used(HELD, "one", day, "1", &beneath),
            Used(HELD, "one", day, "1", &machine),
            Used(HELD, "one", day, "1", "web|/vm/named-by-group"),
            Used(HELD, "one", day, "1", &beside),
            Used(HELD, "one", day, "1", "db|/vm/1"),
            Used(PLAN, "one", day, "1", "web|/vm/of-no-azure-subscription"),
            Used(OTHER, "one", day, "1", &beneath),
        ],
    );
    world.close("2026-01", 1).unwrap();
    let folder = proven(&world, "out").join("2026-01");
    // Three of six: 3 x 0.85 + 3 = 5.55. The other plan has only access that does not count.
    let why =
        r#"["average of the month's prices","15.0% Partner earned credit for services managed"]"#;
    let expected = [["6", "1", "0.925", "5.55", why], ["1", "1", "1", "1.00", ""]];
    assert_eq!(lines(&folder), expected.map(|row| row.map(str::to_owned)));
}

/// A record over three days of which access covers the second: a third of it earns.
/// 30 units: 20 + 10 x 0.85 = 28.50.
#[test]
fn a_record_is_cut_where_access_begins_and_ends() {
    let world = world(
        &access("north", PLAN, "", 11, 12),
        &[Used(PLAN, "one", ["10T00", "13T00"], "30", "/vm/1")],
    );
    world.close("2026-01", 1).unwrap();
    let folder = proven(&world, "out").join("2026-01");
    assert_eq!(lines(&folder)[0][3], "28.50");
}

/// Spot machines earn nothing unless the terms say so, and legacy offers never do.
#[test]
fn what_earns_nothing() {
    let all = access("north", PLAN, "", 1, 32);
    let rows = [
        Used(PLAN, "vm-spot", ["10T00", "10T05"], "100", "/vm/1"),
        Used(PLAN, "one", ["10T00", "10T05"], "100", "/vm/2"),
    ];
    let billed = |programme: String| {
        let world = world("", &rows);
        world.apply(&programme).unwrap();
        world.close("2026-01", 1).unwrap();
        proven(&world, "out");
        net(&world, "cloud")
    };
    assert_eq!(billed(programme(&all)), "95.00 USD", "10 + 85");
    let except = |what: &str| {
        programme(&all).replace("percent = \"15\"", &format!("percent = \"15\"\nexcept = [{what}]"))
    };
    assert_eq!(billed(except("")), "93.50 USD", "8.50 + 85");
    assert_eq!(billed(except("\"meter one\"")), "108.50 USD", "8.50 + 100");
    assert_eq!(billed(except("\"category Compute\"")), "110.00 USD");
    let legacy = programme(&all).replace("family = \"plan\"", "family = \"legacy\"");
    assert_eq!(billed(legacy), "110.00 USD");
}

/// Access that becomes known after the close is a price that is restated: nothing is billed by it
/// before the provider accepts, then the distributor's line is taken back and billed anew, and
/// nobody else's. 100 units at 1.00: 31 days of access instead of the first ten, of which 60 units.
/// Billed 60 x 0.85 + 40 = 91.00, now 85.00; a credit note of 6.00.
// req: A2 H4
#[test]
fn access_that_becomes_known_late_is_a_difference() {
    let known = access("north", PLAN, "", 1, 11);
    let rows = [
        Used(PLAN, "one", ["05T00", "05T05"], "60", "/vm/1"),
        Used(PLAN, "one", ["20T00", "20T05"], "40", "/vm/1"),
    ];
    let mut world = world(&known, &rows);
    world.close("2026-01", 1).unwrap();
    assert_eq!(net(&world, "cloud"), "91.00 USD");
    let late = programme(&(known + &access("reseller", PLAN, "", 11, 32)));
    assert!(world.apply(&late).unwrap_err().to_string().contains("--restate"));
    let apply = |ctx| app::programme::apply(ctx, "programme.toml", &late, Some("access log"));
    assert_eq!(world.run(apply).unwrap().restated.len(), 1);
    assert!(world.differences("2026-01", 1).unwrap().edges.is_empty());
    world.go_to("2026-02-10T09:00:00Z").unwrap();
    world.accept("2026-01", ("cloud", None), None).unwrap();
    let differences = world.differences("2026-01", 1).unwrap();
    let nets: Vec<String> =
        differences.edges.iter().map(|e| format!("{} {}", e.seller_key, e.net)).collect();
    assert_eq!(nets, ["cloud -6.00 USD"]);
    world.adjust("2026-01", 1).unwrap();
    let folder = proven(&world, "out").join("2026-01/adjustment-1");
    let expected = [["-100", "1", "0.91", "-91.00"], ["100", "1", "0.85", "85.00"]];
    let found: Vec<[String; 4]> =
        lines(&folder).into_iter().map(|[a, b, c, d, _]| [a, b, c, d]).collect();
    assert_eq!(found, expected.map(|row| row.map(str::to_owned)));
}

/// Access that is lost makes the buyer pay more, so it must consent.
#[test]
fn access_that_is_lost_needs_consent() {
    let known = access("north", PLAN, "", 1, 32);
    let world = world(&known, &[Used(PLAN, "one", ["20T00", "20T05"], "40", "/vm/1")]);
    world.close("2026-01", 1).unwrap();
    let less = programme(&known.replace("until = 2026-02-01", "until = 2026-01-15"));
    let apply = |ctx| app::programme::apply(ctx, "programme.toml", &less, Some("access log"));
    world.run(apply).unwrap();
    assert!(world.accept("2026-01", ("cloud", None), None).is_err());
    world.accept("2026-01", ("cloud", None), Some("shown the log")).unwrap();
    world.adjust("2026-01", 1).unwrap();
    proven(&world, "out");
}

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Random access to random scopes against a plain reckoning: whole units at 1.00 within one day,
/// each at 0.85 or 1.00 by a look at every fact. Every certificate passes.
// req: H1
#[test]
fn random_access_comes_to_what_a_look_at_every_record_says() {
    let mut scopes = vec![String::new(), format!("/subscriptions/{HELD}")];
    for group in ["a", "b"] {
        scopes.push(format!("/subscriptions/{HELD}/resourceGroups/{group}"));
        for machine in 1..3 {
            scopes.push(format!("/subscriptions/{HELD}/resourceGroups/{group}/vm/{machine}"));
        }
    }
    for seed in 1..=8 {
        let mut random = Random(seed);
        let mut facts: Vec<(usize, usize, u32, u32)> = Vec::new();
        for _ in 0..random.below(8) {
            let from = 1 + random.below(31) as u32;
            let until = from + 1 + random.below(u64::from(32 - from)) as u32;
            let fact = (random.below(3) as usize, random.below(8) as usize, from, until);
            let meets = |o: &(usize, usize, u32, u32)| {
                (o.0, o.1) == (fact.0, fact.1) && o.2 < until && from < o.3
            };
            if !facts.iter().any(meets) {
                facts.push(fact);
            }
        }
        let partners = ["north", "reseller", "other"];
        let text: String = facts
            .iter()
            .map(|(p, s, from, until)| access(partners[*p], PLAN, &scopes[*s], *from, *until))
            .collect();
        let mut hundredths = 0;
        let rows: Vec<(String, String, u64, String)> = (0..40)
            .map(|_| {
                let day = 1 + random.below(31) as u32;
                let units = 1 + random.below(50);
                let resource = &scopes[1 + random.below(7) as usize];
                let earns = facts.iter().any(|(p, s, from, until)| {
                    let beneath = scopes[*s].is_empty()
                        || *resource == scopes[*s]
                        || resource.starts_with(&format!("{}/", scopes[*s]));
                    *p < 2 && *from <= day && day < *until && beneath
                });
                hundredths += units * if earns { 85 } else { 100 };
                (format!("{day:02}T02"), format!("{day:02}T09"), units, resource.clone())
            })
            .collect();
        let quantities: Vec<String> = rows.iter().map(|row| row.2.to_string()).collect();
        let used: Vec<Used<'_>> = rows
            .iter()
            .zip(&quantities)
            .map(|((start, end, _, uri), units)| Used(HELD, "one", [start, end], units, uri))
            .collect();
        let world = world(&text, &used);
        world.close("2026-01", 2).unwrap();
        let expected = format!("{}.{:02} USD", hundredths / 100, hundredths % 100);
        assert_eq!(net(&world, "cloud"), expected, "seed {seed}");
        proven(&world, "out");
    }
}

/// Access and usage that become known after the close, on a tiered meter, in sum come to what a close
/// with all of it would have billed. Every certificate passes.
// req: A2 H1 H4
#[test]
fn late_access_and_late_usage_come_to_what_perfect_knowledge_bills() {
    let scopes = ["", "/subscriptions/", "/resourceGroups/a", "/resourceGroups/a/vm/1"];
    let scope = |at: usize| match at {
        0 => String::new(),
        1 => format!("/subscriptions/{HELD}"),
        at => format!("/subscriptions/{HELD}{}", scopes[at]),
    };
    for seed in 1..=6 {
        let mut random = Random(seed);
        let mut facts: Vec<String> = Vec::new();
        // One stretch of access a scope, half of them known before the close.
        for at in 0..4 {
            let from = 1 + random.below(28) as u32;
            let until = from + 1 + random.below(u64::from(31 - from)) as u32;
            facts.push(access(["north", "reseller"][at % 2], PLAN, &scope(at), from, until));
        }
        let known: String = facts.iter().skip(seed as usize % 2).step_by(2).cloned().collect();
        let all = facts.concat();
        let rows: Vec<(String, String, String, String, bool)> = (0..50)
            .map(|_| {
                let day = 1 + random.below(29);
                let end = day + random.below(3);
                let quantity = format!("{}.{:03}", random.below(20), random.below(1000));
                let resource =
                    format!("{}/vm/{}", scope(1 + random.below(3) as usize), random.below(3));
                (
                    format!("{day:02}T02"),
                    format!("{end:02}T09"),
                    quantity,
                    resource,
                    random.below(3) > 0,
                )
            })
            .collect();
        let of = |early: bool| -> Vec<Used<'_>> {
            let rows = rows.iter().filter(|row| row.4 == early);
            rows.map(|row| Used(HELD, "tiers", [&row.0, &row.1], &row.2, &row.3)).collect()
        };
        let sum = |world: &World| -> i64 {
            let invoices = world.invoices().unwrap();
            let mine = invoices.iter().filter(|invoice| invoice.seller == "cloud");
            mine.map(|invoice| invoice.row.net.minor()).sum()
        };
        let perfect = world(&all, &of(true));
        let late = usage(&of(false)).replace('\n', "\nlate-").replace("\nlate-\n", "\n");
        let late = late.trim_end_matches("late-").to_owned();
        perfect.usage("late.csv", &late).unwrap();
        perfect.close("2026-01", 1).unwrap();
        proven(&perfect, "out");

        let mut world = world(&known, &of(true));
        world.close("2026-01", 2).unwrap();
        world.usage("late.csv", &late).unwrap();
        if seed % 3 == 0 {
            world.adjust("2026-01", 1).unwrap();
        }
        let programme = programme(&all);
        let apply = |ctx| app::programme::apply(ctx, "programme.toml", &programme, Some("log"));
        world.run(apply).unwrap();
        world.go_to("2026-02-10T09:00:00Z").unwrap();
        if !world.restated("2026-01").unwrap().open.is_empty() {
            world.accept("2026-01", ("cloud", None), Some("shown the log")).unwrap();
        }
        world.adjust("2026-01", 2).unwrap();
        proven(&world, "out");
        assert_eq!(sum(&world), sum(&perfect), "seed {seed}");
    }
}

/// A record is dated where its own edge cuts it: the partner's access cuts the provider's rows and
/// nobody else's. 150 units from the 11th to the 21st, of which 100 in the first tier.
#[test]
fn what_is_sold_on_is_dated_by_its_own_edge() {
    let one_day = access("north", PLAN, "", 16, 17);
    let world = world(
        &one_day,
        &[
            Used(PLAN, "two", ["11T00", "21T00"], "150", "/vm/1"),
            Used(PLAN, "two", ["13T00", "13T01"], "10", "/vm/2"),
        ],
    );
    world.close("2026-01", 1).unwrap();
    let folder = proven(&world, "out").join("2026-01");
    let dates = |edge: &str| -> Vec<String> {
        let cells = Cells::read(&folder.join(edge).join("daily-rated-usage.csv")).unwrap();
        let rows = cells.select(["ChargeType", "UsageDate"]);
        let used = rows.into_iter().filter(|[kind, _]| *kind == "new");
        used.map(|[_, date]| date[8..10].to_owned()).collect()
    };
    assert_eq!(dates("reseller/client"), ["11", "11", "13"]);
    assert_eq!(dates("cloud/north"), ["11", "16", "17", "17", "13"]);
}

/// Access that nothing was used beneath comes to nothing; what is accepted after it is still billed.
/// Where such access moves the cut of a record that costs the same, a line of nothing says so: a
/// record until the 22nd ends with the access, one until the 23rd is cut there until it is longer.
#[test]
fn access_without_money_does_not_stand_in_the_way() {
    let beside = format!("/subscriptions/{HELD}/resourceGroups/beside");
    let known = access("north", PLAN, &beside, 20, 22);
    let longer = known.replace("until = 2026-01-22", "until = 2026-01-27");
    let all = longer.clone() + &access("reseller", PLAN, "", 1, 32);
    for (end, quantity, expected) in [
        ("22T00", "30", vec!["30.00 USD", "-4.50 USD"]),
        ("23T00", "40", vec!["40.00 USD", "0.00 USD", "-6.00 USD"]),
    ] {
        let mut world = world(&known, &[Used(HELD, "one", ["19T00", end], quantity, "/vm/1")]);
        world.close("2026-01", 1).unwrap();
        world.go_to("2026-02-10T09:00:00Z").unwrap();
        for facts in [&longer, &all] {
            let programme = programme(facts);
            let apply = |ctx| app::programme::apply(ctx, "programme.toml", &programme, Some("log"));
            world.run(apply).unwrap();
            world.accept("2026-01", ("cloud", None), Some("shown the log")).unwrap();
            world.adjust("2026-01", 1).unwrap();
        }
        proven(&world, "out");
        let invoices = world.invoices().unwrap();
        let nets = invoices.iter().filter(|invoice| invoice.seller == "cloud");
        let nets: Vec<String> = nets.map(|invoice| invoice.row.net.to_string()).collect();
        assert_eq!(nets, expected);
    }
}

/// Whatever a file says of the credit that is not so is found.
#[test]
fn a_changed_credit_is_found() {
    let partly = access("north", PLAN, "", 1, 15);
    let rows = [
        Used(PLAN, "one", ["05T00", "05T05"], "60", "/vm/1"),
        Used(PLAN, "one", ["20T00", "20T05"], "40", "/vm/1"),
    ];
    let world = world(&partly, &rows);
    world.close("2026-01", 1).unwrap();
    for (at, (file, column, value)) in [
        ("daily-rated-usage.csv", "PartnerEarnedCreditPercentage", "0"),
        ("daily-rated-usage.csv", "CreditType", "Credit Not Applied"),
        ("daily-rated-usage.csv", "EffectiveUnitPrice", "1"),
        ("credits.csv", "EarnedUntil", "2026-01-25"),
        ("credits.csv", "EarnedFrom", "2026-01-06"),
        ("credits.csv", "Scope", "/subscriptions/x"),
        ("credits.csv", "SubscriptionId", OTHER),
        ("reconciliation.csv", "PriceAdjustmentDescription", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = proven(&world, &format!("out-{at}"));
        let path = folder.join("2026-01/cloud/north").join(file);
        let mut cells = Cells::read(&path).unwrap();
        let place = cells.column(column);
        cells.rows[0][place] = value.to_owned();
        cells.write(&path).unwrap();
        let report = verify::verify(&folder, 1);
        let listed = report.faults.listed();
        let found = listed.iter().any(|fault| !fault.reason.contains("has been changed"));
        assert!(found, "{file} {column}: {listed:#?}");
    }
}

/// What cannot be is refused, with its line.
#[test]
fn bad_facts_are_refused() {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    let good = programme(&access("north", PLAN, "", 1, 32));
    for (from, to, reason) in [
        ("percent = \"15\"", "percent = \"0\"", "must lie above 0 and up to 100"),
        ("percent = \"15\"", "percent = \"12.5\"", "files state whole percents"),
        ("percent = \"15\"", "percent = \"15\"\nfrom = 2026-01-02", "first day of a month"),
        ("percent = \"15\"", "percent = \"15\"\nexcept = [\"spot\"]", "is unknown; write meter"),
        ("seller = \"cloud\"\npercent", "seller = \"north\"\npercent", "is not a provider"),
        (
            "partner = \"north\"\nsubscription",
            "partner = \"client\"\nsubscription",
            "is not a partner",
        ),
        (
            "until = 2026-02-01",
            "until = 2026-02-01\nscope = \"/subscriptions/bbbbbbbb-0000-4000-8000-00000000000a\"",
            "does not hold",
        ),
        ("until = 2026-02-01", "until = 2026-02-01\nscope = \"vm\"", "is no scope"),
    ] {
        assert!(good.contains(from), "{from}");
        let refused = world.apply(&good.replace(from, to)).unwrap_err();
        let kernel::Error::Refused { faults, .. } = refused else { panic!("{refused}") };
        let listed = faults.shown();
        assert!(listed.iter().any(|f| f.reason.contains(reason) && f.line.is_some()), "{listed:?}");
    }
}
