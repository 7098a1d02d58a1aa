//! Usage events: each answered by itself, acknowledged once, counted once.

use std::collections::{BTreeMap, BTreeSet};

use app::imports::events::{EVENTS_MAX, EventAnswer, Outcome, drain, send};
use domain::{Actor, Duty};
use kernel::{Error, OrganisationId};
use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::{World, fixtures};

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-000000000001";

fn world() -> World {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&[SUBSCRIPTION])).unwrap();
    let card = fixtures::rate_card(&[("m1", r#"{"0": 1}"#), ("m2", r#"{"0": 0.5}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    world
}

fn event(id: &str, day: u8, quantity: &str) -> Value {
    json!({
        "specversion": "1.0",
        "id": id,
        "source": "/meters/east",
        "type": "skyhandel.usage.v1",
        "data": {
            "subscription_id": SUBSCRIPTION,
            "meter_id": "m1",
            "usage_start": format!("2026-01-{day:02}T00:00:00Z"),
            "usage_end": format!("2026-01-{day:02}T12:00:00Z"),
            "quantity": quantity,
            "unit": "1 Hour",
        },
    })
}

fn correction(of: &str, id: &str, day: u8, quantity: &str) -> Value {
    let mut event = event(id, day, quantity);
    event["data"]["corrects"] = of.into();
    event
}

fn sent(world: &World, events: &[Value]) -> Vec<EventAnswer> {
    sent_as(world, Actor::CONSOLE, events)
}

fn sent_as(world: &World, actor: Actor, events: &[Value]) -> Vec<EventAnswer> {
    let body = serde_json::to_vec(events).unwrap();
    world.run_as(actor, |ctx| async move { send(ctx, &body).await }).unwrap()
}

fn outcomes(answers: &[EventAnswer]) -> Vec<&'static str> {
    answers.iter().map(|answer| answer.outcome.name()).collect()
}

/// What the partner pays for January, after everything has moved into the lake.
fn net(world: &World) -> String {
    world.run(|ctx| drain(ctx)).unwrap();
    let rated = world.rate("2026-01", 1).unwrap();
    rated.edges.first().map_or_else(|| "0".to_owned(), |edge| edge.net.digits())
}

#[test]
fn each_event_is_answered_by_itself() {
    let world = world();
    let mut unknown = event("d", 4, "1");
    unknown["data"]["subscription_id"] = "99999999-2222-4333-8444-000000000001".into();
    let mut misspelt = event("e", 5, "1");
    misspelt["data"]["quantty"] = "1".into();
    let batch = [
        event("a", 1, "1.5"),
        event("a", 1, "1.5"),
        event("a", 1, "2.5"),
        event("b", 2, "ten"),
        event("c", 3, "0.25"),
        unknown,
        misspelt,
        json!(7),
    ];
    let answers = sent(&world, &batch);
    assert_eq!(
        outcomes(&answers),
        [
            "accepted",
            "duplicate",
            "conflict",
            "refused",
            "accepted",
            "refused",
            "refused",
            "refused"
        ]
    );
    let faults: Vec<_> = answers.iter().flat_map(|answer| &answer.faults).collect();
    assert_eq!(faults[0].field.as_deref(), Some("id"));
    assert_eq!(faults[1].field.as_deref(), Some("data.quantity"));
    assert_eq!(faults[1].value.as_deref(), Some("ten"));
    assert_eq!(faults[2].field.as_deref(), Some("data.subscription_id"));
    assert!(faults[3].reason.contains("quantty"), "{faults:?}");
    assert_eq!((answers[6].id.as_str(), answers[6].source.as_str()), ("e", "/meters/east"));
    assert_eq!(net(&world), "1.75");
    // Before and after they are in the lake, in another batch and in this one.
    assert_eq!(outcomes(&sent(&world, &batch[..3])), ["duplicate", "duplicate", "conflict"]);
    assert_eq!(net(&world), "1.75");
}

#[test]
fn what_is_acknowledged_survives_whoever_took_it() {
    let world = world();
    sent(&world, &[event("a", 1, "3")]);
    // Another process, which has seen nothing of it.
    let world = world.reopened().unwrap();
    assert_eq!(outcomes(&sent(&world, &[event("a", 1, "3")])), ["duplicate"]);
    assert_eq!(outcomes(&sent(&world, &[event("a", 1, "4")])), ["conflict"]);
    assert_eq!(net(&world), "3.00");
    let world = world.reopened().unwrap();
    assert_eq!(outcomes(&sent(&world, &[event("a", 1, "3")])), ["duplicate"]);
    assert_eq!(net(&world), "3.00");
}

#[test]
fn corrections_are_matched_with_what_they_correct() {
    let world = world();
    let answers = sent(
        &world,
        &[
            event("a", 1, "3"),
            correction("a", "a2", 1, "2"),
            // About another day, of a correction, and of an event that has not come.
            correction("a", "a3", 2, "2"),
            correction("a2", "a4", 1, "2"),
            correction("late", "l2", 3, "5"),
        ],
    );
    assert_eq!(outcomes(&answers), ["accepted", "accepted", "refused", "refused", "accepted"]);
    assert_eq!(net(&world), "2.00");
    assert_eq!(outcomes(&sent(&world, &[event("late", 3, "9")])), ["accepted"]);
    assert_eq!(net(&world), "7.00");
    // A correction of something else came first: it is kept and does not count.
    let answers = sent(&world, &[correction("x", "x2", 4, "1"), event("x", 5, "10")]);
    assert_eq!(outcomes(&answers), ["accepted", "accepted"]);
    assert_eq!(net(&world), "17.00");
}

#[test]
fn files_and_events_share_their_ids() {
    let world = world();
    let mut options = World::usage_options();
    options.source = "east".parse().unwrap();
    let file = format!(
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n\
         a,{SUBSCRIPTION},m1,2026-01-01T00:00:00Z,2026-01-01T12:00:00Z,3,1 Hour\n\
         b,{SUBSCRIPTION},m1,2026-01-02T00:00:00Z,2026-01-02T12:00:00Z,4,1 Hour\n\
         c,{SUBSCRIPTION},m1,2026-01-03T00:00:00Z,2026-01-03T12:00:00Z,5,1 Hour\n"
    );
    let from = |mut event: Value| {
        event["source"] = "east".into();
        event
    };
    let answers = sent(&world, &[from(event("a", 1, "3")), from(event("b", 2, "40"))]);
    assert_eq!(outcomes(&answers), ["accepted", "accepted"]);
    // Acknowledged and not in the lake yet: the file knows them all the same.
    let imported = world.usage_with("usage.csv", file, &options).unwrap().import;
    let counts = (imported.rows_taken, imported.rows_duplicate, imported.rows_conflicting);
    assert_eq!(counts, (1, 1, 1));
    let answers = sent(&world, &[from(event("c", 3, "5")), from(event("c", 3, "6"))]);
    assert_eq!(outcomes(&answers), ["duplicate", "conflict"]);
    assert_eq!(net(&world), "48.00");
}

// req: C6
#[test]
fn a_provider_meters_its_own_subscriptions_alone() {
    let world = world();
    let other = fixtures::two_edges(&["11111111-2222-4333-8444-000000000002"])
        .replace("\"cloud\"", "\"other-cloud\"")
        .replace("\"partner\"", "\"other-partner\"")
        .replace("\"shop\"", "\"other-shop\"")
        .replace("\"buying\"", "\"other-buying\"")
        .replace("\"selling\"", "\"other-selling\"")
        .replace("[[offer]]\nkey = \"usage\"", "[[offer]]\nkey = \"other-usage\"")
        .replace("offer = \"usage\"", "offer = \"other-usage\"");
    world.apply(&other).unwrap();
    let meter =
        |key: &str| Actor::new(Duty::MeteringAgent, Some(OrganisationId::derived(key))).unwrap();
    let (cloud, neighbour) = (meter("cloud"), meter("other-cloud"));
    let mine = [event("a", 1, "3")];
    let refused = sent_as(&world, neighbour, &mine);
    let mut nobody = event("a", 1, "3");
    nobody["data"]["subscription_id"] = "99999999-2222-4333-8444-000000000009".into();
    let unknown = sent_as(&world, neighbour, &[nobody]);
    assert_eq!(refused[0].outcome, Outcome::Refused);
    // Nothing tells what is another's from what is not there.
    assert_eq!(refused[0].faults[0].reason, unknown[0].faults[0].reason);
    assert_eq!(outcomes(&sent_as(&world, cloud, &mine)), ["accepted"]);
    // The same id of another provider is another event.
    let mut theirs = event("a", 1, "70");
    theirs["data"]["subscription_id"] = "11111111-2222-4333-8444-000000000002".into();
    assert_eq!(outcomes(&sent_as(&world, neighbour, &[theirs])), ["accepted"]);
    let reseller = Actor::new(Duty::SalesAgent, Some(OrganisationId::derived("partner"))).unwrap();
    let body = serde_json::to_vec(&mine).unwrap();
    let denied = world.run_as(reseller, |ctx| async move { send(ctx, &body).await });
    assert!(matches!(denied, Err(Error::Denied(_))));
}

#[test]
fn a_batch_that_cannot_be_read_is_refused_whole() {
    let world = world();
    let refused = |body: &'static [u8]| {
        let sent = world.run(|ctx| async move { send(ctx, body).await });
        match sent {
            Err(Error::Invalid { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    for body in [&b""[..], b"[", b"7", b"[{]", b"{\"id\": \"\xff\"}", b"null"] {
        assert_eq!(refused(body), "body");
    }
    let many = vec![event("a", 1, "1"); EVENTS_MAX + 1];
    let body = serde_json::to_vec(&many).unwrap();
    let sent = world.run(|ctx| async move { send(ctx, &body).await });
    assert!(sent.unwrap_err().to_string().contains("at most 10000"));
    assert_eq!(net(&world), "0");
}

#[test]
fn a_close_bills_what_was_acknowledged_before_it() {
    let world = world();
    sent(&world, &[event("a", 1, "3"), event("b", 2, "4")]);
    let closed = world.close("2026-01", 2).unwrap();
    assert_eq!(closed.invoices[0].net.digits(), "7.00");
    sent(&world, &[event("c", 3, "5")]);
    let adjusted = world.adjust("2026-01", 1).unwrap();
    assert_eq!(adjusted.invoices[0].net.digits(), "5.00");
    let folder = world.export("2026-01", "export", documents::Format::Csv).unwrap();
    let report = verify::verify(&folder, 1);
    assert!(report.passes(), "{:#?}", report.faults.listed());
}

/// One thing that happens to an installation.
#[derive(Debug, Clone)]
enum Step {
    Send(Vec<(u8, u8)>),
    Drain,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec((0u8..20, 1u8..4), 1..15).prop_map(Step::Send),
        2 => Just(Step::Drain),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_id_counts_once_with_its_first_content(steps in steps()) {
        let mut world = world();
        let mut first: BTreeMap<u8, u8> = BTreeMap::new();
        let mut seen: BTreeSet<(u8, u8)> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Send(events) => {
                    let batch: Vec<Value> = events
                        .iter()
                        .map(|(id, quantity)| event(&id.to_string(), 1, &quantity.to_string()))
                        .collect();
                    let expected: Vec<&str> = events
                        .iter()
                        .map(|(id, quantity)| {
                            seen.insert((*id, *quantity));
                            match first.get(id) {
                                None => {
                                    first.insert(*id, *quantity);
                                    "accepted"
                                }
                                Some(before) if before == quantity => "duplicate",
                                Some(_) => "conflict",
                            }
                        })
                        .collect();
                    prop_assert_eq!(outcomes(&sent(&world, &batch)), expected);
                }
                Step::Drain => {
                    world.run(|ctx| drain(ctx)).unwrap();
                }
                Step::Reopen => world = world.reopened().unwrap(),
            }
        }
        let total: i64 = first.values().map(|quantity| i64::from(*quantity)).sum();
        let expected = if total == 0 { "0".to_owned() } else { format!("{total}.00") };
        prop_assert_eq!(net(&world), expected);
    }
}
