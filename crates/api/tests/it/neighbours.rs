//! Every route, asked by everybody: nothing of anybody else's comes back.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Body;
use domain::Duty;
use serde_json::Value;

use crate::world::{AGENTS, Answer, PARTIES, PATHS, Served, request, subscription};

/// How a route is asked: with everybody's ids in turn.
struct Asked {
    uri: String,
    content_type: Option<&'static str>,
    body: String,
}

fn asked(uri: impl Into<String>) -> Asked {
    Asked { uri: uri.into(), content_type: None, body: String::new() }
}

fn sent(uri: &str, content_type: &'static str, body: String) -> Asked {
    Asked { uri: uri.to_owned(), content_type: Some(content_type), body }
}

/// What is asked of each operation. One that is missing here fails the test.
fn questions(operation: &str, ids: &Ids) -> Option<Vec<Asked>> {
    let json = "application/json";
    Some(match operation {
        "applications.list" => vec![asked("/api/v1/applications?limit=1000")],
        "applications.create" => PARTIES
            .iter()
            .map(|(key, ..)| {
                let body =
                    format!(r#"{{"name": "x", "duty": "billing-agent", "organisation": "{key}"}}"#);
                sent("/api/v1/applications", json, body)
            })
            .chain([sent(
                "/api/v1/applications",
                json,
                r#"{"name": "x", "duty": "operator"}"#.into(),
            )])
            .collect(),
        "applications.delete" => {
            // Those of others: whoever deletes its own has done nothing wrong.
            ids.applications.iter().map(|id| asked(format!("/api/v1/applications/{id}"))).collect()
        }
        "usage.events.send" => (0..PATHS.len())
            .map(|at| {
                let body = format!(
                    r#"[{{"specversion": "1.0", "id": "n{at}", "source": "m",
                        "type": "skyhandel.usage.v1", "data": {{"subscription_id": "{}",
                        "meter_id": "m1", "usage_start": "2026-02-01T00:00:00Z",
                        "usage_end": "2026-02-01T01:00:00Z", "quantity": "0"}}}}]"#,
                    subscription(at)
                );
                sent("/api/v1/usage/events", json, body)
            })
            .collect(),
        "imports.list" => vec![asked("/api/v1/imports?limit=1000")],
        "imports.prices" => {
            vec![sent("/api/v1/imports/prices?name=p&sheet=list", json, "{}".into())]
        }
        "imports.rates" => vec![sent("/api/v1/imports/rates?name=r", "text/csv", "x".into())],
        "imports.usage" => vec![sent("/api/v1/imports/usage?name=u", "text/csv", "x".into())],
        "invoices.list" => PARTIES
            .iter()
            .flat_map(|(key, ..)| {
                [format!("/api/v1/invoices?seller={key}"), format!("/api/v1/invoices?buyer={key}")]
            })
            .chain(["/api/v1/invoices?limit=1000".to_owned()])
            .map(asked)
            .collect(),
        "invoices.show" => {
            ids.invoices.keys().map(|id| asked(format!("/api/v1/invoices/{id}"))).collect()
        }
        "periods.open" => vec![
            asked("/api/v1/periods/2026-01/open"),
            asked("/api/v1/periods/2026-02/open"),
            asked("/api/v1/periods/x/open"),
        ],
        "periods.close" => vec![sent("/api/v1/periods/2026-02/close", json, "{}".into())],
        "periods.adjust" => vec![sent("/api/v1/periods/2026-01/adjust", json, "{}".into())],
        "programme.apply" => {
            let file = "[programme]\nname = \"Neighbours\"\n[[organisation]]\nkey = \"zqcloud\"\n\
                        role = \"provider\"\nname = \"Taken over\"\ncountry = \"US\"\n";
            vec![sent("/api/v1/programme?apply=true", "application/toml", file.into())]
        }
        _ => return None,
    })
}

/// What there is, as the operator sees it.
struct Ids {
    applications: Vec<String>,
    /// Seller, buyer, number and amount of each invoice.
    invoices: BTreeMap<String, [String; 4]>,
    /// Seller, buyer and amount of each edge.
    edges: Vec<[String; 3]>,
}

impl Ids {
    fn of(served: &Served) -> Self {
        let get = |uri: &str| served.get(uri, served.operator_token()).json();
        let text = |value: &Value, name: &str| value[name].as_str().unwrap().to_owned();
        let all = get("/api/v1/applications?limit=1000");
        let applications = all["items"].as_array().unwrap().iter();
        let listed = get("/api/v1/invoices?limit=1000");
        let invoices = listed["items"].as_array().unwrap().iter().map(|invoice| {
            let of = ["seller", "buyer", "invoice", "net"].map(|name| text(invoice, name));
            (text(invoice, "invoice_id"), of)
        });
        let mut edges = Vec::new();
        for month in ["2026-01", "2026-02"] {
            let open = get(&format!("/api/v1/periods/{month}/open"));
            let of_month = open["edges"].as_array().unwrap().iter();
            edges.extend(of_month.map(|e| ["seller", "buyer", "net"].map(|name| text(e, name))));
        }
        Self {
            applications: applications.map(|a| text(a, "application_id")).collect(),
            invoices: invoices.collect(),
            edges,
        }
    }

    /// The texts that somebody must never be told.
    fn secrets_from(&self, party: &str) -> BTreeSet<String> {
        let side = |seller: &str, buyer: &str| seller == party || buyer == party;
        let met: BTreeSet<&str> = self
            .edges
            .iter()
            .filter(|edge| side(&edge[0], &edge[1]))
            .flat_map(|edge| [edge[0].as_str(), edge[1].as_str()])
            .chain([party])
            .collect();
        let mut secrets = BTreeSet::new();
        for (key, ..) in PARTIES.iter().filter(|(key, ..)| !met.contains(key)) {
            secrets.insert(format!("\"Name of {key}\""));
            secrets.insert(format!("\"{key}\""));
        }
        for edge in self.edges.iter().filter(|edge| !side(&edge[0], &edge[1])) {
            // What a seller pays is its own to see, and nobody else's.
            let own_cost = edge[1] == party;
            if !own_cost {
                secrets.insert(format!("\"{}\"", edge[2]));
            }
        }
        for (id, of) in self.invoices.iter().filter(|(_, of)| !side(&of[0], &of[1])) {
            secrets.extend([id.clone(), format!("\"{}\"", of[2])]);
        }
        secrets
    }
}

/// Whether what was asked is repeated in the answer: that tells nothing.
fn without_question(answer: &Answer, asked: &Asked) -> String {
    let mut text = format!("{} {}", answer.headers, answer.body);
    for (key, ..) in PARTIES {
        if asked.body.contains(key) || asked.uri.contains(key) {
            text = text.replace(&format!("\\\"{key}\\\""), "");
        }
    }
    let asked_id = asked.uri.rsplit('/').next().unwrap_or_default();
    if asked_id.len() == 36 { text.replace(asked_id, "") } else { text }
}

fn ask(served: &Served, method: &str, asked: &Asked, token: Option<&str>) -> Answer {
    let mut request = request(method, &asked.uri, token);
    if let Some(content_type) = asked.content_type {
        request = request.header("content-type", content_type);
    }
    served.ask(request.body(Body::from(asked.body.clone())).unwrap())
}

// req: C4
// req: C6
#[test]
fn nobody_is_told_anything_of_others() {
    let served = Served::new();
    let ids = Ids::of(&served);
    assert!(ids.edges.len() >= 16 && ids.invoices.len() >= 8, "{:?}", ids.edges);
    let document = served.get("/api/v1/openapi.json", "").json();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let questions = questions(id, &ids);
            let questions = questions.unwrap_or_else(|| panic!("{id} at {path} has no questions"));
            for question in questions {
                let method = method.to_uppercase();
                let nobody = ask(&served, &method, &question, None);
                assert_eq!(nobody.status, 401, "{id} as nobody: {nobody:?}");
                for (party, ..) in PARTIES {
                    let secrets = ids.secrets_from(party);
                    for duty in AGENTS {
                        let token = served.token(party, duty);
                        let own = id == "applications.delete";
                        if own && duty == Duty::AdminAgent {
                            continue;
                        }
                        let answer = ask(&served, &method, &question, Some(token));
                        assert!(answer.status < 500, "{id} as {party}, {duty}: {answer:?}");
                        let told = without_question(&answer, &question);
                        for secret in &secrets {
                            assert!(
                                !told.contains(secret),
                                "{id} tells {duty} of {party} {secret}: {} {told}",
                                question.uri
                            );
                        }
                    }
                }
            }
        }
    }
    // Nobody has changed anything but its own applications.
    let after = Ids::of(&served);
    assert_eq!((after.invoices, after.edges), (ids.invoices, ids.edges));
}

// req: C1
#[test]
fn everybody_sees_its_own_and_a_cost_only_who_pays_it() {
    let served = Served::new();
    let edges = |party: &str| {
        let token = served.token(party, Duty::BillingAgent);
        let open = served.get("/api/v1/periods/2026-01/open", token).json();
        let edges = open["edges"].as_array().unwrap().clone();
        edges
            .iter()
            .map(|edge| {
                let text = |name: &str| edge[name].as_str().unwrap_or_default().to_owned();
                (text("seller"), text("buyer"), text("net"), edge["bought"].to_string())
            })
            .collect::<Vec<_>>()
    };
    // 30,013 and 20,011 units at 0.80 plus 7 %: 25,691.128 and 17,129.416; plus 31 % for both.
    let sella = edges("zqsella");
    let rows: Vec<(&str, &str, &str)> =
        sella.iter().map(|(s, b, net, _)| (s.as_str(), b.as_str(), net.as_str())).collect();
    assert_eq!(
        rows,
        [
            ("zqdistrib", "zqsella", "42820.55"),
            ("zqsella", "zqbuyera", "33655.38"),
            ("zqsella", "zqshared", "22439.53"),
        ]
    );
    assert_eq!(sella[0].3, "null", "a buyer sees no cost of its seller");
    assert!(sella[1].3.contains("25691.13"), "{sella:?}");
    let shared = edges("zqshared");
    let sellers: Vec<&str> = shared.iter().map(|edge| edge.0.as_str()).collect();
    assert_eq!(sellers, ["zqdirect", "zqsella"]);
    let invoices = served.get("/api/v1/invoices", served.token("zqbuyera", Duty::BillingAgent));
    let invoices = invoices.json()["items"].as_array().unwrap().clone();
    assert_eq!(invoices.len(), 1);
    assert_eq!(invoices[0]["net"], "33655.38");
}

#[test]
fn lists_come_in_pages_that_add_up() {
    let served = Served::new();
    let token = served.operator_token();
    let all = served.get("/api/v1/invoices?limit=1000", token).json()["items"].clone();
    let (mut pages, mut uri) = (Vec::new(), "/api/v1/invoices?limit=3".to_owned());
    loop {
        let page = served.get(&uri, token).json();
        let items = page["items"].as_array().unwrap();
        assert!(!items.is_empty() && items.len() <= 3);
        pages.extend(items.iter().cloned());
        let Some(next) = page["next"].as_str() else { break };
        uri = format!("/api/v1/invoices?limit=3&after={next}");
    }
    assert_eq!(&Value::from(pages), &all);
    for bad in ["limit=0", "limit=1001", "limit=x", "after=x", "colour=red"] {
        let answer = served.get(&format!("/api/v1/invoices?{bad}"), token);
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
        assert_eq!(answer.json()["code"], "invalid");
    }
}
