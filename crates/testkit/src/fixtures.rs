//! Programmes and prices that several tests use.

/// A programme that is nothing like the demo: four edges, dollars, yen, Kuwaiti dinars, and a
/// price that changes in the middle of the month.
pub const FOUR_DEEP: &str = include_str!("../../../docs/reference/example.toml");

/// Prices of the storage of [`FOUR_DEEP`], in dollars: 0.10 and above 100 units 0.08, from
/// 16 January 0.12 and 0.07.
pub const FOUR_DEEP_PRICES: [&str; 2] = [
    r#"{"currency": "USD", "isTaxIncluded": false, "offerTerms": [], "meters": [
        {"id": "aaaaaaaa-0000-4000-8000-000000000001", "name": "Standard", "category": "Storage",
         "subcategory": "Block", "region": "East", "unit": "1 GB", "includedQuantity": 0,
         "rates": {"0": 0.10, "100": 0.08}, "effectiveDate": "2025-12-31T21:00:00Z"}]}"#,
    r#"{"currency": "USD", "isTaxIncluded": false, "offerTerms": [], "meters": [
        {"id": "aaaaaaaa-0000-4000-8000-000000000001", "name": "Standard", "category": "Storage",
         "subcategory": "Block", "region": "East", "unit": "1 GB", "includedQuantity": 0,
         "rates": {"0": 0.12, "100": 0.07}, "effectiveDate": "2026-01-15T21:00:00Z"}]}"#,
];

/// Usage of [`FOUR_DEEP`]: 60 units on the 10th and 70 on the 20th of January, Kuwait's time.
pub const FOUR_DEEP_USAGE: &str = "\
event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit,resource_uri
e1,11111111-2222-4333-8444-555555555555,aaaaaaaa-0000-4000-8000-000000000001,2026-01-09T21:00:00Z,2026-01-10T21:00:00Z,60,1 GB,/disks/a
e2,11111111-2222-4333-8444-555555555555,aaaaaaaa-0000-4000-8000-000000000001,2026-01-19T21:00:00Z,2026-01-20T21:00:00Z,70,1 GB,/disks/a
";

/// A provider, a direct partner and a customer, all in dollars; the partner sells at list price.
/// Its subscriptions have these ids.
pub fn two_edges(subscriptions: &[&str]) -> String {
    let text = r#"
[programme]
name = "Two edges"

[[organisation]]
key = "cloud"
role = "provider"
name = "Cloud Inc."
country = "US"

[[organisation]]
key = "partner"
role = "direct-partner"
name = "Partner LLC"
country = "US"

[[organisation]]
key = "shop"
role = "customer"
name = "Shop Inc."
country = "US"

[[relationship]]
partner = "partner"
with = "shop"
from = 2010-01-01

[[offer]]
key = "usage"
name = "Usage"
family = "plan"
price_sheet = "list"

[[price_book]]
key = "buying"
seller = "cloud"
[[price_book.rule]]
all = true
list_minus = "0"

[[price_book]]
key = "selling"
seller = "partner"
[[price_book.rule]]
all = true
buy_plus = "10"

[[agreement]]
seller = "cloud"
buyer = "partner"
from = 2010-01-01
currency = "USD"
price_book = "buying"

[[agreement]]
seller = "partner"
buyer = "shop"
from = 2010-01-01
currency = "USD"
price_book = "selling"
"#;
    let bought = subscriptions.iter().map(|id| {
        format!(
            "\n[[subscription]]\nid = \"{id}\"\noffer = \"usage\"\n\
             path = [\"cloud\", \"partner\", \"shop\"]\nfrom = 2010-01-01\n"
        )
    });
    std::iter::once(text.to_owned()).chain(bought).collect()
}

/// A `RateCard` in dollars with these meters: id, tiers as JSON.
pub fn rate_card(meters: &[(&str, &str)]) -> String {
    let meters: Vec<String> = meters
        .iter()
        .map(|(id, rates)| {
            format!(
                "{{\"id\": \"{id}\", \"name\": \"Meter {id}\", \"category\": \"Compute\", \
                 \"unit\": \"1 Hour\", \"includedQuantity\": 0, \"rates\": {rates}, \
                 \"effectiveDate\": \"2010-01-01T00:00:00Z\"}}"
            )
        })
        .collect();
    format!(
        "{{\"currency\": \"USD\", \"isTaxIncluded\": false, \"meters\": [{}]}}",
        meters.join(",")
    )
}
