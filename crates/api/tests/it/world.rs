//! Two providers with their trees, and a server that everybody can ask.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use api::{Server, routes};
use app::applications::{NewApplication, create};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use domain::Duty;
use jiff::Timestamp;
use serde_json::Value;
use testkit::{Keep, World, fixtures};
use tower::ServiceExt as _;

/// The instant of every request.
pub const NOW: &str = "2026-02-02T09:00:00Z";

pub fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Who trades: key, role, from whom it buys, by how many percent more.
pub const PARTIES: &[(&str, &str, &[&str], u32)] = &[
    ("zqcloud", "provider", &[], 0),
    ("zqdirect", "direct-partner", &["zqcloud"], 0),
    ("zqdistrib", "indirect-provider", &["zqcloud"], 0),
    ("zqsella", "indirect-reseller", &["zqdistrib"], 7),
    ("zqsellb", "indirect-reseller", &["zqdistrib"], 9),
    ("zqshared", "customer", &["zqdirect", "zqsella"], 31),
    ("zqbuyera", "customer", &["zqsella"], 31),
    ("zqbuyerb", "customer", &["zqsellb"], 43),
    ("zqother", "provider", &[], 0),
    ("zqotherpart", "direct-partner", &["zqother"], 0),
    ("zqotherbuy", "customer", &["zqotherpart"], 17),
];

/// Sale paths, each with a subscription and a quantity of its own.
pub const PATHS: &[(&[&str], u32)] = &[
    (&["zqcloud", "zqdirect", "zqshared"], 10_007),
    (&["zqcloud", "zqdistrib", "zqsella", "zqshared"], 20_011),
    (&["zqcloud", "zqdistrib", "zqsella", "zqbuyera"], 30_013),
    (&["zqcloud", "zqdistrib", "zqsellb", "zqbuyerb"], 40_009),
    (&["zqother", "zqotherpart", "zqotherbuy"], 50_021),
];

pub fn subscription(at: usize) -> String {
    format!("5b5c{at:04}-0000-4000-8000-000000000000")
}

fn programme() -> String {
    let mut text = String::from("[programme]\nname = \"Neighbours\"\n");
    for (key, role, sellers, _) in PARTIES {
        let _ = write!(
            text,
            "[[organisation]]\nkey = \"{key}\"\nrole = \"{role}\"\nname = \"Name of {key}\"\n\
             country = \"US\"\n"
        );
        for seller in *sellers {
            if *role == "customer" || *role == "indirect-reseller" {
                let _ = write!(
                    text,
                    "[[relationship]]\npartner = \"{seller}\"\nwith = \"{key}\"\nfrom = 2010-01-01\n"
                );
            }
        }
    }
    for provider in ["zqcloud", "zqother"] {
        let _ = write!(
            text,
            "[[offer]]\nkey = \"offer-{provider}\"\nname = \"Offer\"\nfamily = \"plan\"\n\
             price_sheet = \"list\"\n"
        );
    }
    for (key, role, sellers, percent) in PARTIES {
        for seller in *sellers {
            let rule = if PARTIES.iter().any(|p| p.0 == *seller && p.1 == "provider") {
                let percent = if *role == "indirect-provider" { 20 } else { 15 };
                format!("list_minus = \"{percent}\"")
            } else {
                format!("buy_plus = \"{percent}\"")
            };
            let _ = write!(
                text,
                "[[price_book]]\nkey = \"book-{seller}-{key}\"\nseller = \"{seller}\"\n\
                 [[price_book.rule]]\nall = true\n{rule}\n[[agreement]]\nseller = \"{seller}\"\n\
                 buyer = \"{key}\"\nfrom = 2010-01-01\ncurrency = \"USD\"\n\
                 price_book = \"book-{seller}-{key}\"\n"
            );
        }
    }
    for (at, (path, _)) in PATHS.iter().enumerate() {
        let names: Vec<String> = path.iter().map(|key| format!("\"{key}\"")).collect();
        let _ = write!(
            text,
            "[[subscription]]\nid = \"{}\"\noffer = \"offer-{}\"\npath = [{}]\nfrom = 2010-01-01\n",
            subscription(at),
            path[0],
            names.join(", ")
        );
    }
    text
}

fn usage() -> String {
    let mut usage =
        String::from("event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n");
    for (at, (_, quantity)) in PATHS.iter().enumerate() {
        for month in ["01", "02"] {
            let _ = writeln!(
                usage,
                "e{at}-{month},{},m1,2026-{month}-01T00:00:00Z,2026-{month}-01T12:00:00Z,\
                 {quantity},1 Hour",
                subscription(at)
            );
        }
    }
    usage
}

/// A server with a closed January and usage in February, and a token for everybody.
pub struct Served {
    router: Router,
    /// By organisation and duty; the operator has no organisation.
    tokens: BTreeMap<(String, Duty), String>,
    /// The secret of the operator's application, with its id.
    pub operator: (String, String),
    keep: Keep,
}

impl Served {
    pub fn new() -> Self {
        let world = World::at(NOW).unwrap();
        world.apply(&programme()).unwrap();
        world.prices("list", "prices.json", fixtures::rate_card(&[("m1", r#"{"0": 1}"#)])).unwrap();
        world.usage("usage.csv", usage()).unwrap();
        world.close("2026-01", 1).unwrap();
        let keys = PARTIES.iter().map(|(key, ..)| *key);
        Self::serving(world, &keys.collect::<Vec<_>>())
    }

    /// A server of an installation with nothing but an operator's application.
    pub fn empty() -> Self {
        Self::serving(World::at(NOW).unwrap(), &[])
    }

    fn serving(world: World, parties: &[&str]) -> Self {
        let make = |organisation: Option<&str>, duty| {
            let name = format!("{duty} of {}", organisation.unwrap_or("the installation"));
            let organisation = organisation.map(str::to_owned);
            let new = NewApplication { name, duty, organisation };
            let made = world.run(|ctx| async move { create(ctx, &new).await });
            let (application, secret) = made.unwrap();
            (application.row.id.to_string(), secret)
        };
        let operator = make(None, Duty::Operator);
        let mut secrets = vec![((String::new(), Duty::Operator), operator.clone())];
        for key in parties {
            let of_party = AGENTS.map(|duty| (((*key).to_owned(), duty), make(Some(key), duty)));
            secrets.extend(of_party);
        }
        let (installation, keep) = world.into_installation();
        let server: Arc<Server> = Server::new(installation, now).unwrap();
        let router = routes(&server).into_router();
        let mut served = Self { router, tokens: BTreeMap::new(), operator, keep };
        for (who, (id, secret)) in secrets {
            let answer = served.sign_in(&id, &secret).json();
            let token = answer["access_token"].as_str().unwrap().to_owned();
            served.tokens.insert(who, token);
        }
        served
    }

    /// Asks for a token.
    pub fn sign_in(&self, id: &str, secret: &str) -> Answer {
        let form = format!("grant_type=client_credentials&client_id={id}&client_secret={secret}");
        let request = Request::post("/oauth2/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form));
        self.ask(request.unwrap())
    }

    /// The token of an organisation's agent.
    pub fn token(&self, organisation: &str, duty: Duty) -> &str {
        &self.tokens[&(organisation.to_owned(), duty)]
    }

    /// The token of the operator.
    pub fn operator_token(&self) -> &str {
        self.token("", Duty::Operator)
    }

    /// Gets something as JSON.
    pub fn get(&self, uri: &str, token: &str) -> Answer {
        self.ask(request("GET", uri, Some(token)).body(Body::empty()).unwrap())
    }

    /// Asks, and reads the whole answer.
    pub fn ask(&self, request: Request<Body>) -> Answer {
        let router = self.router.clone();
        self.keep.runtime.block_on(async move {
            let spawned = tokio::spawn(async move {
                let response = router.oneshot(request).await.unwrap();
                Answer::of(response).await
            });
            spawned.await.unwrap()
        })
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: String,
    pub body: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Self {
        let status = response.status().as_u16();
        let headers = format!("{:?}", response.headers());
        let bytes = to_bytes(response.into_body(), 64 << 20).await.unwrap();
        Self { status, headers, body: String::from_utf8(bytes.to_vec()).unwrap() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// A request with a token.
pub fn request(method: &str, uri: &str, token: Option<&str>) -> axum::http::request::Builder {
    let builder = Request::builder().method(method).uri(uri);
    match token {
        Some(token) => builder.header("authorization", format!("Bearer {token}")),
        None => builder,
    }
}

/// The duties of agents.
pub const AGENTS: [Duty; 4] =
    [Duty::AdminAgent, Duty::SalesAgent, Duty::BillingAgent, Duty::MeteringAgent];
