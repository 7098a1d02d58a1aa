//! `skyhandel rehearse`

use app::Ctx;
use app::imports::PriceOptions;
use app::rehearse::{Compared, Draft, Rehearsed, Side, rehearse};
use kernel::{Error, Money, Result};
use serde::Serialize;

use super::rate::MissingJson;
use crate::args::RehearseArgs;
use crate::output::{Output, table};

/// How many customers and meters are shown; `--json` has them all.
const SHOWN_MAX: usize = 20;

#[derive(Serialize)]
struct RehearsedJson {
    period: String,
    as_of: Option<String>,
    records: u64,
    edges: Vec<ComparedJson>,
    customers: Vec<ComparedJson>,
    meters: Vec<ComparedJson>,
    missing_now: Vec<MissingJson>,
    missing: Vec<MissingJson>,
}

#[derive(Serialize)]
struct ComparedJson {
    seller: String,
    buyer: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    of: String,
    now: SideJson,
    draft: SideJson,
    change: Option<String>,
    loses: bool,
}

#[derive(Serialize)]
struct SideJson {
    currency: String,
    net: String,
    margin: Option<String>,
}

pub async fn run(ctx: Ctx<'_>, args: &RehearseArgs, output: Output) -> Result<()> {
    let programme = args.programme.as_ref().map(|file| {
        let text = std::fs::read_to_string(file).map_err(Error::file(file));
        text.map(|text| (file.display().to_string(), text))
    });
    let options = args.sheet.clone().map(|sheet| PriceOptions {
        sheet,
        market: args.market.clone(),
        valid_from: args.valid_from,
        quarantine: None,
        restate: None,
    });
    let draft = Draft {
        programme: programme.transpose()?,
        prices: options.map(|options| (args.prices.clone(), options)),
        as_of: args.as_of,
    };
    let workers = args.workers.unwrap_or_else(app::workers);
    let rehearsed = rehearse(ctx, args.period, &draft, workers).await?;
    let all = |compared: &[Compared]| compared.iter().map(json).collect();
    let value = RehearsedJson {
        period: rehearsed.month.to_string(),
        as_of: args.as_of.map(|day| day.to_string()),
        records: rehearsed.records,
        edges: all(&rehearsed.edges),
        customers: all(&rehearsed.customers),
        meters: all(&rehearsed.meters),
        missing_now: rehearsed.missing_now.iter().map(MissingJson::of).collect(),
        missing: rehearsed.missing.iter().map(MissingJson::of).collect(),
    };
    output.print(&value, || describe(&rehearsed));
    Ok(())
}

/// By how much an amount changes; none where it is in another currency.
fn change(compared: &Compared) -> Option<Money> {
    let (now, draft) = (compared.now.net, compared.draft.net);
    let minor = (now.currency() == draft.currency()).then(|| draft.minor() - now.minor());
    minor.map(|minor| Money::new(minor, now.currency()))
}

fn json(compared: &Compared) -> ComparedJson {
    let side = |side: &Side| SideJson {
        currency: side.net.currency().to_string(),
        net: side.net.digits(),
        margin: side.margin.map(Money::digits),
    };
    ComparedJson {
        seller: compared.seller.clone(),
        buyer: compared.buyer.clone(),
        of: compared.of.clone(),
        now: side(&compared.now),
        draft: side(&compared.draft),
        change: change(compared).map(Money::digits),
        loses: compared.loses(),
    }
}

fn describe(rehearsed: &Rehearsed) -> String {
    let month = rehearsed.month;
    let mut text = vec![rows("", &rehearsed.edges.iter().collect::<Vec<_>>())];
    if rehearsed.edges.iter().all(|edge| !edge.changes()) {
        text.push(format!(
            "\nThe draft changes no amount of {month}. If it begins later, rehearse it --as-of its \
             first day."
        ));
    }
    for (what, compared) in [("customer", &rehearsed.customers), ("meter", &rehearsed.meters)] {
        text.extend(changes(what, compared));
    }
    let new = rehearsed.missing.iter().filter(|missing| !rehearsed.missing_now.contains(missing));
    let new: Vec<_> = new.collect();
    if !new.is_empty() {
        text.push("\nWithout a price by the draft, and in none of its amounts:".to_owned());
        text.extend(new.into_iter().map(|missing| {
            let edge = missing.edge.as_ref();
            let edge = edge.map_or_else(String::new, |(s, b)| format!("{s} -> {b}, "));
            format!("  {edge}meter {}: {}", missing.meter, missing.reason)
        }));
    }
    if !rehearsed.missing_now.is_empty() {
        let count = rehearsed.missing_now.len();
        text.push(format!("\n{count} cases of usage have no price by the facts in force either."));
    }
    text.join("\n")
}

/// The things that sell for less than they cost, and those that change most.
fn changes(what: &str, compared: &[Compared]) -> Vec<String> {
    let mut text = Vec::new();
    let losing: Vec<&Compared> = compared.iter().filter(|compared| compared.loses()).collect();
    if !losing.is_empty() {
        let shown = &losing[..losing.len().min(SHOWN_MAX)];
        text.push(format!("\n{} of a {what} would be sold for less than they cost:", losing.len()));
        text.push(rows(what, shown));
    }
    let mut changed: Vec<&Compared> = compared.iter().filter(|c| c.changes()).collect();
    changed.sort_by_key(|compared| {
        std::cmp::Reverse(change(compared).map_or(u64::MAX, |change| change.minor().unsigned_abs()))
    });
    if !changed.is_empty() {
        let shown = &changed[..changed.len().min(SHOWN_MAX)];
        text.push(format!("\n{} change by {what}, most first:", changed.len()));
        text.push(rows(what, shown));
    }
    let most = losing.len().max(changed.len());
    if most > SHOWN_MAX {
        text.push(format!("and more: see --json (at most {SHOWN_MAX} are shown)"));
    }
    text
}

fn rows(what: &str, compared: &[&Compared]) -> String {
    let money = |money: Option<Money>| money.map_or_else(String::new, |money| money.to_string());
    let row = |compared: &&Compared| {
        let mut cells = vec![compared.seller.clone(), compared.buyer.clone()];
        if !what.is_empty() {
            cells.push(compared.of.clone());
        }
        cells.extend([
            compared.now.net.to_string(),
            compared.draft.net.to_string(),
            money(change(compared)),
            money(compared.now.margin),
            money(compared.draft.margin),
            if compared.loses() { "loses" } else { "" }.to_owned(),
        ]);
        cells
    };
    let mut headers = vec!["seller", "buyer"];
    if !what.is_empty() {
        headers.push(what);
    }
    let first = headers.len();
    headers.extend(["now", "draft", "change", "margin now", "margin draft", ""]);
    let right: Vec<usize> = (first..first + 5).collect();
    table(&headers, &right, &compared.iter().map(row).collect::<Vec<_>>())
}
