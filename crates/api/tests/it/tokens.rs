//! Breaking in: tokens that are not ours, and requests that are not what they should be.

use std::io::Write as _;

use axum::body::Body;
use domain::Duty;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use crate::world::{Answer, Served, now, request};

fn claims(served: &Served) -> Value {
    let token = served.operator_token();
    let middle = token.split('.').nth(1).unwrap();
    let decoded = jsonwebtoken::dangerous::insecure_decode::<Value>(token).unwrap();
    assert!(!middle.is_empty());
    decoded.claims
}

// req: C6
#[test]
fn tokens_of_others_are_refused() {
    let served = Served::new();
    let token = served.operator_token().to_owned();
    assert_eq!(served.get("/api/v1/invoices", &token).status, 200);
    let good = claims(&served);
    let other_key = EncodingKey::from_secret(&[7; 32]);
    let signed =
        |claims: &Value| encode(&Header::new(Algorithm::HS256), claims, &other_key).unwrap();
    let (header, rest) = token.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"} and {"alg":"HS512"}
    let none = "eyJhbGciOiJub25lIn0";
    let hs512 = "eyJhbGciOiJIUzUxMiJ9";
    let changed = {
        let mut claims = good.clone();
        claims["sub"] = "00000000-0000-4000-8000-000000000000".into();
        signed(&claims).split('.').nth(1).unwrap().to_owned()
    };
    for (what, token) in [
        ("another key", signed(&good)),
        ("no signature", format!("{none}.{payload}.")),
        ("no signature, ours kept", format!("{none}.{payload}.{signature}")),
        ("another algorithm", format!("{hs512}.{payload}.{signature}")),
        ("another payload", format!("{header}.{changed}.{signature}")),
        ("cut off", token[..token.len() - 2].to_owned()),
        ("nothing", String::new()),
        ("no token", "x".repeat(10_000)),
    ] {
        let answer = served.get("/api/v1/invoices", &token);
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert_eq!(answer.json()["code"], "unauthenticated", "{what}");
        assert!(answer.headers.contains("www-authenticate"), "{what}");
    }
    let basic = request("GET", "/api/v1/invoices", None).header("authorization", "Basic eDp5");
    assert_eq!(served.ask(basic.body(Body::empty()).unwrap()).status, 401);
}

#[test]
fn a_token_of_another_installation_is_refused() {
    let (here, there) = (Served::new(), Served::new());
    assert_eq!(there.get("/api/v1/invoices", here.operator_token()).status, 401);
}

#[test]
fn a_token_says_for_whom_and_until_when_it_is() {
    let served = Served::new();
    let claims = claims(&served);
    assert_eq!(claims["exp"].as_i64().unwrap() - now().as_second(), 900);
    assert_eq!(claims["sub"], served.operator.0.as_str());
    assert!(claims["aud"].as_str().is_some_and(|audience| audience.len() == 36));
}

#[test]
fn a_wrong_secret_and_an_unknown_application_are_answered_alike() {
    let served = Served::new();
    let (id, secret) = served.operator.clone();
    let wrong = served.sign_in(&id, &"0".repeat(64));
    let unknown = served.sign_in("00000000-0000-4000-8000-000000000000", &secret);
    let nonsense = served.sign_in("me", &secret);
    assert_eq!(wrong.status, 401);
    assert_eq!((wrong.status, &wrong.body), (unknown.status, &unknown.body));
    assert_eq!((wrong.status, &wrong.body), (nonsense.status, &nonsense.body));
    assert_eq!(served.sign_in(&id, &secret).status, 200);
}

#[test]
fn an_application_that_is_gone_gets_no_token() {
    let served = Served::new();
    let token = served.token("zqsella", Duty::AdminAgent).to_owned();
    let body = r#"{"name": "for a day", "duty": "billing-agent"}"#;
    let made = post(&served, "/api/v1/applications", &token, "application/json", body);
    assert_eq!(made.status, 201, "{made:?}");
    let made = made.json();
    assert_eq!(made["organisation"], "zqsella");
    let (id, secret) = (made["application_id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert_eq!(served.sign_in(id, secret).status, 200);
    let gone = request("DELETE", &format!("/api/v1/applications/{id}"), Some(&token));
    assert_eq!(served.ask(gone.body(Body::empty()).unwrap()).status, 200);
    assert_eq!(served.sign_in(id, secret).status, 401);
    let again = request("DELETE", &format!("/api/v1/applications/{id}"), Some(&token));
    assert_eq!(served.ask(again.body(Body::empty()).unwrap()).status, 404);
    // An agent makes no operator.
    let body = r#"{"name": "more", "duty": "operator"}"#;
    let refused = post(&served, "/api/v1/applications", &token, "application/json", body);
    assert_eq!(refused.status, 400, "{refused:?}");
}

fn post(
    served: &Served,
    uri: &str,
    token: &str,
    content_type: &str,
    body: impl Into<Body>,
) -> Answer {
    let request = request("POST", uri, Some(token)).header("content-type", content_type);
    served.ask(request.body(body.into()).unwrap())
}

#[test]
fn what_is_not_a_request_is_answered_by_its_fault() {
    let served = Served::new();
    let token = served.operator_token().to_owned();
    let events = "/api/v1/usage/events";
    let json = "application/json";
    let large = vec![b' '; api::BODY_BYTES_MAX + 1];
    for (body, content_type, status, code) in [
        (b"{".to_vec(), json, 400, "invalid"),
        (b"[1, 2".to_vec(), json, 400, "invalid"),
        (vec![0xff, 0xfe], json, 400, "invalid"),
        (b"[]".to_vec(), "text/html", 415, "unsupported-media-type"),
        (b"[]".to_vec(), "", 415, "unsupported-media-type"),
        (large, json, 413, "too-large"),
        (b"[]".to_vec(), "application/cloudevents-batch+json; charset=utf-8", 200, ""),
    ] {
        let answer = post(&served, events, &token, content_type, body);
        assert_eq!(answer.status, status, "{answer:?}");
        if status != 200 {
            assert_eq!(answer.json()["code"], code);
            assert!(answer.headers.contains("application/problem+json"));
        }
    }
    let put = request("PUT", events, Some(&token)).body(Body::empty()).unwrap();
    assert_eq!(served.ask(put).json()["code"], "method-not-allowed");
    let wrong = post(&served, "/api/v1/applications", &token, json, r#"{"name": 7, "duty": "x"}"#);
    assert_eq!((wrong.status, &wrong.json()["code"]), (400, &json!("invalid")));
    for uri in ["/api/v1/periods/2026-13/open", "/api/v1/periods/%00/open"] {
        assert_eq!(served.get(uri, &token).status, 400, "{uri}");
    }
    assert_eq!(served.get("/api/v1/invoices/x", &token).status, 400);
    let unknown = "/api/v1/invoices/00000000-0000-4000-8000-000000000000";
    assert_eq!(served.get(unknown, &token).status, 404);
    let early = post(&served, "/api/v1/periods/2026-02/close", &token, json, "{}");
    assert_eq!((early.status, &early.json()["code"]), (409, &json!("conflict")));
    let faulty =
        post(&served, "/api/v1/programme", &token, "application/toml", "[programme]\nx = 1\n");
    assert_eq!((faulty.status, &faulty.json()["code"]), (422, &json!("refused")));
    assert!(!faulty.json()["faults"].as_array().unwrap().is_empty());
}

#[test]
fn a_body_may_be_gzip_and_is_limited_unpacked() {
    let served = Served::new();
    let pack = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let send = |bytes: Vec<u8>| {
        let request = request("POST", "/api/v1/usage/events", Some(served.operator_token()))
            .header("content-type", "application/json")
            .header("content-encoding", "gzip");
        served.ask(request.body(Body::from(bytes)).unwrap())
    };
    assert_eq!(send(pack(b"[]")).status, 200);
    assert_eq!(send(b"[]".to_vec()).status, 400);
    // Some kilobytes that become more than a body may have.
    assert_eq!(send(pack(&vec![b' '; api::BODY_BYTES_MAX + 1])).status, 413);
}

#[test]
fn every_answer_has_its_headers() {
    let served = Served::new();
    let given = request("GET", "/api/v1/invoices", Some(served.operator_token()))
        .header("x-request-id", "mine-1");
    let answer = served.ask(given.body(Body::empty()).unwrap());
    for header in ["mine-1", "nosniff", "no-store", "default-src 'none'"] {
        assert!(answer.headers.contains(header), "{header}: {}", answer.headers);
    }
    let forged = request("GET", "/api/v1/invoices", None).header("x-request-id", "a b\"<script>");
    let answer = served.ask(forged.body(Body::empty()).unwrap());
    assert!(!answer.headers.contains("script") && !answer.body.contains("script"));
}
