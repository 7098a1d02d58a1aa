//! `skyhandel rate`

use app::Ctx;
use app::rate::{self, EdgeTotal, MissingPrice};
use kernel::{Money, Result};
use serde::Serialize;

use crate::args::RateArgs;
use crate::output::{Output, table};

#[derive(Serialize)]
struct RatedJson {
    period: String,
    closed: bool,
    records: u64,
    rate_book: String,
    edges: Vec<EdgeJson>,
    missing: Vec<MissingJson>,
}

#[derive(Serialize)]
struct EdgeJson {
    seller: String,
    buyer: String,
    currency: String,
    lines: u64,
    groups: u64,
    net: String,
    bought: Vec<AmountJson>,
    margin: Option<String>,
}

#[derive(Serialize)]
pub struct AmountJson {
    pub amount: String,
    pub currency: String,
}

impl AmountJson {
    pub fn of(money: &Money) -> Self {
        Self { amount: money.digits(), currency: money.currency().to_string() }
    }
}

/// Usage without a price.
#[derive(Serialize)]
pub struct MissingJson {
    seller: Option<String>,
    buyer: Option<String>,
    meter: String,
    subscription: String,
    subscriptions: u64,
    reason: String,
}

pub async fn run(ctx: Ctx<'_>, args: &RateArgs, output: Output) -> Result<()> {
    let workers = args.workers.unwrap_or_else(app::workers);
    let rated = rate::rate(ctx, args.period, workers, args.lines.as_deref()).await?;
    let json = RatedJson {
        period: rated.month.to_string(),
        closed: rated.closed,
        records: rated.records,
        rate_book: rated.rate_book.clone(),
        edges: rated.edges.iter().map(edge).collect(),
        missing: rated.missing.iter().map(MissingJson::of).collect(),
    };
    output.print(&json, || {
        let mut text = describe(&rated.edges);
        if rated.closed {
            let month = rated.month;
            text.extend([format!(
                "\n\n{month} is closed: its invoices are frozen. What became known since is billed \
                 as a difference: skyhandel adjust --period {month}"
            )]);
        }
        if !rated.missing.is_empty() {
            let missing = rated.missing.iter().map(|missing| {
                let edge = missing.edge.as_ref();
                let edge = edge.map_or_else(String::new, |(s, b)| format!("{s} -> {b}, "));
                format!("\n  {edge}meter {}: {}", missing.meter, missing.reason)
            });
            text.push_str("\n\nWithout a price, and in none of the totals:");
            text.extend(missing);
        }
        text
    });
    Ok(())
}

fn edge(edge: &EdgeTotal) -> EdgeJson {
    EdgeJson {
        seller: edge.seller_key.clone(),
        buyer: edge.buyer_key.clone(),
        currency: edge.net.currency().to_string(),
        lines: edge.lines,
        groups: edge.groups,
        net: edge.net.digits(),
        bought: edge.bought.iter().map(AmountJson::of).collect(),
        margin: edge.margin.map(Money::digits),
    }
}

impl MissingJson {
    pub fn of(missing: &MissingPrice) -> Self {
        let (seller, buyer) = missing.edge.clone().unzip();
        Self {
            seller,
            buyer,
            meter: missing.meter.clone(),
            subscription: missing.subscription.clone(),
            subscriptions: missing.subscriptions,
            reason: missing.reason.clone(),
        }
    }
}

fn describe(edges: &[EdgeTotal]) -> String {
    let rows: Vec<Vec<String>> = edges
        .iter()
        .map(|edge| {
            vec![
                edge.seller_key.clone(),
                edge.buyer_key.clone(),
                edge.lines.to_string(),
                edge.groups.to_string(),
                amounts(&edge.bought),
                edge.net.to_string(),
                edge.margin.map_or_else(String::new, |margin| margin.to_string()),
            ]
        })
        .collect();
    let headers = ["seller", "buyer", "rated lines", "groups", "bought for", "sold for", "margin"];
    table(&headers, &[2, 3, 4, 5, 6], &rows)
}

/// Amounts of several currencies.
pub fn amounts(amounts: &[Money]) -> String {
    amounts.iter().map(ToString::to_string).collect::<Vec<_>>().join(" + ")
}
