//! Programme files that do not hold together: every error names file, line, key and reason.

use testkit::{World, fixtures};

/// Changes a good programme and says what the errors must name.
fn refused(change: (&str, &str), wanted: &[&str]) {
    let (from, to) = change;
    assert!(fixtures::FOUR_DEEP.contains(from), "{from:?} is not in the programme");
    let text = fixtures::FOUR_DEEP.replacen(from, to, 1);
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    let error = world.apply(&text).expect_err(to).to_string();
    for wanted in wanted {
        assert!(error.contains(wanted), "{to:?} should name {wanted:?}: {error}");
    }
    let line = text[..text.find(to).unwrap()].lines().count().max(1);
    let near = (line.saturating_sub(6)..=line + 8)
        .any(|l| error.contains(&format!("programme.toml:{l}:")));
    assert!(near, "the line is about {line}: {error}");
    // Nothing was taken: the good programme is still all new.
    world.apply(fixtures::FOUR_DEEP).unwrap();
}

#[test]
fn every_fault_names_its_place() {
    refused(("role = \"provider\"", "role = \"boss\""), &["role", "boss", "provider"]);
    refused(("country = \"US\"", "country = \"XX\""), &["country", "XX"]);
    refused(("currency = \"JPY\"", "currency = \"YEN\""), &["currency", "YEN"]);
    refused(
        ("seller = \"tokyo\"\nbuyer = \"gulf\"", "seller = \"tokyo\"\nbuyer = \"golf\""),
        &["buyer", "golf"],
    );
    refused(("list_minus = \"10\"", "list_minus = 10.5"), &["list_minus"]);
    refused(("list_minus = \"10\"", "list_minus = \"ten\""), &["list_minus", "ten"]);
    refused(
        ("list_minus = \"10\"", "list_minus = \"10\"\nbuy_plus = \"1\""),
        &["list_minus", "buy_plus"],
    );
    refused(("all = true\nlist_minus", "list_minus"), &["meter", "category", "all"]);
    refused(
        (
            "buy_plus = \"5\"\n",
            "buy_plus = \"5\"\n[[price_book.rule]]\nall = true\nbuy_plus = \"6\"\n",
        ),
        &["rule", "ties"],
    );
    refused(
        (
            "path = [\"cloud\", \"tokyo\", \"gulf\", \"souk\", \"dhow\"]",
            "path = [\"cloud\", \"gulf\", \"dhow\"]",
        ),
        &["path"],
    );
    refused(("zone = \"Asia/Kuwait\"", "zone = \"Mars/Base\""), &["zone", "Mars/Base"]);
    refused(("rate = \"150.25\"", "rate = \"0\""), &["rate"]);
    refused(("key = \"souk\"", "key = \"gulf\""), &["gulf"]);
    refused(("name = \"Dhow main\"", "nmae = \"Dhow main\""), &["nmae"]);
    refused(("price_sheet = \"list\"", "price_sheet = \"list\"\nfrom ="), &["programme.toml"]);
}

/// The same programme after a close is no news, however its rules are ordered; and what begins
/// later is welcome.
#[test]
fn a_programme_can_be_applied_again_after_a_close() {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    let meter = "aaaaaaaa-0000-4000-8000-000000000001";
    let programme = fixtures::FOUR_DEEP.replace(
        "buy_plus = \"20\"\n",
        &format!(
            "buy_plus = \"20\"\n[[price_book.rule]]\nmeter = \"{meter}\"\nbuy_plus = \"21\"\n\
             [[price_book.rule]]\ncategory = \"Storage\"\nbuy_plus = \"22\"\n"
        ),
    );
    world.apply(&programme).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.close("2026-01", 1).unwrap();
    world.apply(&programme).unwrap();
    world.apply(&programme.replace("Dhow Lines, KSC", "Dhow Lines Ltd")).unwrap();
    let rate =
        "[[exchange_rate]]\nfrom = \"USD\"\nto = \"JPY\"\nmonth = \"2026-02\"\nrate = \"151\"\n";
    world.apply(&format!("{programme}\n{rate}")).unwrap();
}

#[test]
fn an_exchange_rate_is_stated_once_and_between_two_currencies() {
    let twice = "month = \"2026-01\"\nrate = \"150.25\"\n\n[[exchange_rate]]\nfrom = \"USD\"\n\
                 to = \"JPY\"\nmonth = \"2026-01\"\nrate = \"150.26\"\n";
    refused(("month = \"2026-01\"\nrate = \"150.25\"\n", twice), &["rate", "more than once"]);
    refused(("to = \"JPY\"\nmonth", "to = \"USD\"\nmonth"), &["to", "USD"]);
    let idle = "list_minus = \"10\"\ncurrency = \"EUR\"";
    refused(("list_minus = \"10\"", idle), &["currency", "EUR"]);
}

#[test]
fn applying_twice_changes_nothing() {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    let apply = || {
        world
            .run(|ctx| app::programme::apply(ctx, "programme.toml", fixtures::FOUR_DEEP, None))
            .unwrap()
            .plan
    };
    assert!(!apply().is_empty());
    assert!(apply().is_empty());
}

#[test]
fn a_plan_writes_nothing() {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    for _ in 0..2 {
        let plan =
            world.run(|ctx| app::programme::plan(ctx, "programme.toml", fixtures::FOUR_DEEP, None));
        assert!(!plan.unwrap().plan.is_empty());
    }
}
