//! `skyhandel restate`

use app::Ctx;
use app::adjust::EdgeDifference;
use app::restate::{self, Acceptance, Restated, Wish};
use kernel::{Month, Result, micros_instant};
use serde::Serialize;

use super::adjust::{EdgeJson, edge, edges, lines};
use crate::args::RestateArgs;
use crate::output::{Output, table};

#[derive(Serialize)]
struct RestatedJson {
    period: String,
    restated: Vec<SinceJson>,
    open: Vec<EdgeJson>,
    accepted: Vec<AcceptanceJson>,
}

#[derive(Serialize)]
struct SinceJson {
    known_at: String,
    reason: String,
}

#[derive(Serialize)]
struct AcceptanceJson {
    seller: String,
    buyer: String,
    accepted_at: String,
    consent: Option<String>,
    billed: bool,
}

#[derive(Serialize)]
struct AcceptedJson {
    period: String,
    edges: Vec<EdgeJson>,
}

pub async fn run(ctx: Ctx<'_>, args: &RestateArgs, output: Output) -> Result<()> {
    let workers = args.workers.unwrap_or_else(app::workers);
    if let Some(seller) = &args.accept {
        let wish = Wish {
            seller: seller.clone(),
            buyer: args.buyer.clone(),
            consent: args.consent.clone(),
        };
        let accepted = restate::accept(ctx, args.period, &wish, workers).await?;
        print_accepted(args.period, &accepted, output);
        return Ok(());
    }
    let restated = restate::show(ctx, args.period, workers).await?;
    let json = RestatedJson {
        period: restated.month.to_string(),
        restated: restated.since.iter().map(since).collect(),
        open: restated.open.iter().map(edge).collect(),
        accepted: restated.accepted.iter().map(acceptance).collect(),
    };
    output.print(&json, || describe(&restated));
    Ok(())
}

fn since((known_at, reason): &(i64, String)) -> SinceJson {
    SinceJson { known_at: micros_instant(*known_at).to_string(), reason: reason.clone() }
}

fn acceptance(acceptance: &Acceptance) -> AcceptanceJson {
    AcceptanceJson {
        seller: acceptance.seller.clone(),
        buyer: acceptance.buyer.clone(),
        accepted_at: micros_instant(acceptance.at).to_string(),
        consent: acceptance.consent.clone(),
        billed: acceptance.billed,
    }
}

fn print_accepted(month: Month, accepted: &[EdgeDifference], output: Output) {
    let json =
        AcceptedJson { period: month.to_string(), edges: accepted.iter().map(edge).collect() };
    output.print(&json, || {
        if accepted.is_empty() {
            return format!("Accepted. It comes to what was billed of {month}.");
        }
        format!(
            "{}\n\nAccepted. Nothing is posted yet.\nNext: skyhandel adjust --period {month} --post",
            edges(accepted)
        )
    });
}

fn describe(restated: &Restated) -> String {
    let month = restated.month;
    if restated.since.is_empty() {
        return format!("No price of {month} has been restated.");
    }
    let mut text: Vec<String> = Vec::new();
    for (known_at, reason) in &restated.since {
        text.push(format!("Restated at {}: {reason}", micros_instant(*known_at)));
    }
    if !restated.accepted.is_empty() {
        let row = |acceptance: &Acceptance| {
            vec![
                acceptance.seller.clone(),
                acceptance.buyer.clone(),
                micros_instant(acceptance.at).to_string(),
                if acceptance.billed { "billed" } else { "not billed yet" }.to_owned(),
                acceptance.consent.clone().unwrap_or_default(),
            ]
        };
        let rows: Vec<_> = restated.accepted.iter().map(row).collect();
        text.push(String::new());
        text.push(table(&["seller", "buyer", "accepted", "", "consent"], &[], &rows));
    }
    text.push(String::new());
    if restated.open.is_empty() {
        text.push("Accepting changes nothing more.".to_owned());
        return text.join("\n");
    }
    text.push(edges(&restated.open));
    text.push(String::new());
    text.push(lines(&restated.open));
    text.push(String::new());
    text.push("That is what each edge would come to if every seller accepted.".to_owned());
    text.push(format!("Next: skyhandel restate --period {month} --accept SELLER"));
    text.join("\n")
}
