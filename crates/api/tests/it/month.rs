//! A month through the API alone: from an empty installation to invoices and what comes after them.

use axum::body::Body;
use serde_json::{Value, json};
use testkit::fixtures;

use crate::world::{Answer, Served, request};

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-000000000001";

fn post(served: &Served, uri: &str, content_type: &str, body: impl Into<Body>) -> Answer {
    let request =
        request("POST", uri, Some(served.operator_token())).header("content-type", content_type);
    served.ask(request.body(body.into()).unwrap())
}

fn done(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn event(id: &str, quantity: &str) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "meters", "type": "skyhandel.usage.v1",
        "data": {
            "subscription_id": SUBSCRIPTION, "meter_id": "m1", "quantity": quantity,
            "usage_start": "2026-01-05T00:00:00Z", "usage_end": "2026-01-05T01:00:00Z",
            "unit": "1 Hour",
        },
    })
}

// req: C1
#[test]
fn a_month_goes_from_a_programme_to_its_invoices() {
    let served = Served::empty();
    let programme = fixtures::two_edges(&[SUBSCRIPTION]);
    let shown = done(&post(&served, "/api/v1/programme", "application/toml", programme.clone()));
    assert_eq!(shown["applied"], false);
    let applied = post(&served, "/api/v1/programme?apply=true", "application/toml", programme);
    assert_eq!(done(&applied)["applied"], true);
    let card = fixtures::rate_card(&[("m1", r#"{"0": 2}"#)]);
    let uri = "/api/v1/imports/prices?name=card.json&sheet=list";
    let imported = done(&post(&served, uri, "application/json", card.clone()));
    assert_eq!(
        (&imported["file"], &imported["already_imported"]),
        (&json!("card.json"), &json!(false))
    );
    assert_eq!(done(&post(&served, uri, "application/json", card))["already_imported"], true);
    let usage = format!(
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n\
         a,{SUBSCRIPTION},m1,2026-01-01T00:00:00Z,2026-01-01T01:00:00Z,3,1 Hour\n"
    );
    let uri = "/api/v1/imports/usage?name=usage.csv";
    assert_eq!(done(&post(&served, uri, "text/csv", usage))["rows"]["taken"], 1);
    let bad = post(&served, uri, "text/csv", "event_id\n1\n");
    assert_eq!((bad.status, &bad.json()["code"]), (422, &json!("refused")), "{bad:?}");
    let events = json!([event("b", "4"), event("b", "4"), event("c", "x")]);
    let taken =
        done(&post(&served, "/api/v1/usage/events", "application/json", events.to_string()));
    let counts = [&taken["accepted"], &taken["duplicate"], &taken["refused"]];
    assert_eq!(counts, [&json!(1), &json!(1), &json!(1)]);
    // 7 hours at 2 dollars; the partner adds a tenth.
    let closed = done(&post(&served, "/api/v1/periods/2026-01/close", "application/json", "{}"));
    let nets: Vec<&str> =
        closed["invoices"].as_array().unwrap().iter().map(|i| i["net"].as_str().unwrap()).collect();
    assert_eq!(nets, ["14.00", "15.40"]);
    let again = done(&post(&served, "/api/v1/periods/2026-01/close", "application/json", "{}"));
    assert_eq!((&again["already"], &again["invoices"]), (&json!(true), &closed["invoices"]));
    let late = event("d", "1").to_string();
    let uri = "/api/v1/usage/events";
    assert_eq!(done(&post(&served, uri, "application/cloudevents+json", late))["accepted"], 1);
    let adjusted = done(&post(&served, "/api/v1/periods/2026-01/adjust", "application/json", "{}"));
    assert_eq!(adjusted["revision"], 1);
    assert_eq!(adjusted["invoices"][1]["net"], "2.20");
    let listed = served.get("/api/v1/invoices", served.operator_token()).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 4);
    let id = listed["items"][0]["invoice_id"].as_str().unwrap();
    let shown = served.get(&format!("/api/v1/invoices/{id}"), served.operator_token()).json();
    assert_eq!(shown["number"], listed["items"][0]["invoice"]);
    let imports = served.get("/api/v1/imports?limit=1", served.operator_token()).json();
    assert_eq!(imports["items"][0]["kind"], "prices");
    assert!(imports["next"].is_string());
}
