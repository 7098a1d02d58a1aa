//! A draft is rehearsed on real usage; published, it gives the same numbers.

use app::imports::PriceOptions;
use app::rehearse::{Compared, Draft, Rehearsed};
use testkit::{World, fixtures};

const CARD: [(&str, &str); 2] = [("flat", r#"{"0": 0.5}"#), ("tiers", r#"{"0": 2, "9": 1}"#)];
const SUBSCRIPTIONS: [&str; 2] =
    ["11111111-2222-4333-8444-000000000001", "11111111-2222-4333-8444-000000000002"];

/// Two meters on two edges: 12 units of the tiered one for each subscription, 7 of the flat one.
fn world() -> World {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&SUBSCRIPTIONS)).unwrap();
    world.prices("list", "prices.json", fixtures::rate_card(&CARD)).unwrap();
    let header = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n";
    let day = "2026-01-08T00:00:00Z,2026-01-08T01:00:00Z";
    let rows = SUBSCRIPTIONS.iter().enumerate().flat_map(|(at, id)| {
        [("tiers", 12), ("flat", 7)]
            .map(|(meter, quantity)| format!("{meter}-{at},{id},{meter},{day},{quantity},1 Hour\n"))
    });
    let usage: String = std::iter::once(header.to_owned()).chain(rows).collect();
    world.usage("usage.csv", usage).unwrap();
    world
}

fn rehearse(world: &World, draft: &Draft) -> Rehearsed {
    let month = "2026-01".parse().unwrap();
    world.run(|ctx| async move { app::rehearse::rehearse(ctx, month, draft, 2).await }).unwrap()
}

fn programme(text: String) -> Draft {
    Draft { programme: Some(("draft.toml".into(), text)), ..Draft::default() }
}

fn prices(world: &World, card: &[(&str, &str)]) -> Draft {
    let file = world.file("draft.json", fixtures::rate_card(card)).unwrap();
    let sheet = "list".parse().unwrap();
    let options =
        PriceOptions { sheet, market: None, valid_from: None, quarantine: None, restate: None };
    Draft { prices: Some((vec![file], options)), ..Draft::default() }
}

fn rows(compared: &[Compared]) -> Vec<String> {
    let margin = |side: &app::rehearse::Side| {
        side.margin.map_or_else(|| "-".to_owned(), kernel::Money::digits)
    };
    let row = |c: &Compared| {
        let (now, draft) = (c.now.net.digits(), c.draft.net.digits());
        let (before, after) = (margin(&c.now), margin(&c.draft));
        format!("{} {} {now} {draft} {before} {after}", c.seller, c.of).replace("  ", " ")
    };
    compared.iter().map(row).collect()
}

/// Each subscription pays the cloud 9 x 2 + 3 x 1 = 21 and 3.50, and 10 percent more to the partner:
/// 19.80 + 3.30 = 23.10 and 3.85. By the draft the partner adds 20 percent to the tiered meter and
/// sells the flat one for 0.40: 9 x 2.4 + 3 x 1.2 = 21.60 + 3.60, and 2.80.
// req: G2
#[test]
fn amounts_and_margins_are_shown_by_edge_customer_and_meter() {
    let world = world();
    let rules = "[[price_book.rule]]\nmeter = \"tiers\"\nbuy_plus = \"20\"\n\
                 [[price_book.rule]]\nmeter = \"flat\"\nfixed = \"0.40\"\ncurrency = \"USD\"\n\
                 [[price_book.rule]]\nall = true\nbuy_plus = \"10\"";
    let text = fixtures::two_edges(&SUBSCRIPTIONS)
        .replace("[[price_book.rule]]\nall = true\nbuy_plus = \"10\"", rules);
    let draft = programme(text);
    let rehearsed = rehearse(&world, &draft);
    assert_eq!(rehearsed.records, 4);
    assert_eq!(rows(&rehearsed.edges), ["cloud 49.00 49.00 - -", "partner 53.90 56.00 4.90 7.00"]);
    assert_eq!(rows(&rehearsed.customers), ["partner shop 53.90 56.00 4.90 7.00"]);
    assert_eq!(
        rows(&rehearsed.meters),
        ["partner flat 7.70 5.60 0.70 -1.40", "partner tiers 46.20 50.40 4.20 8.40",]
    );
    let losing: Vec<&Compared> = rehearsed.meters.iter().filter(|c| c.loses()).collect();
    assert_eq!(losing.len(), 1);
    publish_and_compare(&world, &draft, &rehearsed);
}

/// Publishing gives the same numbers, to the unit.
fn publish_and_compare(world: &World, draft: &Draft, rehearsed: &Rehearsed) {
    if let Some((_, text)) = &draft.programme {
        world.apply(text).unwrap();
    }
    if let Some((files, options)) = &draft.prices {
        for file in files {
            world.price_file(options.sheet.as_str(), file).unwrap();
        }
    }
    let rated = world.rate("2026-01", 1).unwrap();
    let published: Vec<_> =
        rated.edges.iter().map(|e| (e.seller_key.clone(), e.net, e.margin)).collect();
    let drafted: Vec<_> =
        rehearsed.edges.iter().map(|e| (e.seller.clone(), e.draft.net, e.draft.margin)).collect();
    assert_eq!(published, drafted);
}

#[test]
fn a_price_sheet_is_rehearsed_to_the_unit() {
    let world = world();
    let draft = prices(&world, &[("tiers", r#"{"0": 1.999, "5": 0.333}"#)]);
    let rehearsed = rehearse(&world, &draft);
    // 5 x 1.999 + 7 x 0.333 = 9.995 + 2.331, rounded half even by tier.
    assert_eq!(rows(&rehearsed.edges)[0], "cloud 49.00 31.66 - -");
    assert!(rehearsed.missing.is_empty());
    let later = Draft { as_of: Some("2009-12-31".parse().unwrap()), ..draft.clone() };
    let nothing = rehearse(&world, &later);
    assert_eq!(nothing.missing.len(), 4, "two meters on two edges: nothing is agreed on that day");
    assert!(nothing.missing_now.is_empty());
    publish_and_compare(&world, &draft, &rehearsed);
}

/// A draft that begins after the month changes nothing of it, unless rehearsed as of its first day.
#[test]
fn a_draft_that_begins_later_is_rehearsed_as_of_its_first_day() {
    let world = world();
    let rule = "[[price_book.rule]]\nall = true\nbuy_plus = \"10\"";
    let ends = "[[price_book.rule]]\nall = true\nbuy_plus = \"10\"\nuntil = 2026-06-01\n\
                [[price_book.rule]]\nall = true\nbuy_plus = \"15\"\nfrom = 2026-06-01";
    let mut draft = programme(fixtures::two_edges(&SUBSCRIPTIONS).replace(rule, ends));
    assert!(rehearse(&world, &draft).edges.iter().all(|edge| !edge.changes()));
    draft.as_of = Some("2026-06-01".parse().unwrap());
    let rehearsed = rehearse(&world, &draft);
    // 49.00 x 1.15, by group: 2 x (20.70 + 3.45 + 4.025).
    assert_eq!(rows(&rehearsed.edges)[1], "partner 53.90 56.34 4.90 7.34");
    assert!(rehearse(&world, &draft).missing.is_empty());
}

/// A closed month is compared with what it was billed by, and stays closed.
#[test]
fn a_closed_month_is_rehearsed_and_stays_as_it_is() {
    let world = world();
    world.close("2026-01", 1).unwrap();
    let rehearsed = rehearse(&world, &prices(&world, &[("flat", r#"{"0": 0.25}"#)]));
    // 7 x 0.275 = 1.925, which is 1.92 for each subscription.
    assert_eq!(rows(&rehearsed.edges), ["cloud 49.00 45.50 - -", "partner 53.90 50.04 4.90 4.54"]);
    assert!(world.differences("2026-01", 1).unwrap().edges.is_empty());
    let elsewhere = fixtures::two_edges(&SUBSCRIPTIONS)
        .replace("[\"cloud\", \"partner\", \"shop\"]", "[\"cloud\", \"shop\"]");
    let month = "2026-01".parse().unwrap();
    let draft = &programme(elsewhere);
    let refused =
        world.run(|ctx| async move { app::rehearse::rehearse(ctx, month, draft, 1).await });
    assert!(refused.is_err());
}
