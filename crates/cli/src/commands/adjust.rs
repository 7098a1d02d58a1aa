//! `skyhandel adjust`

use app::Ctx;
use app::adjust::{self, Adjusted, Difference, Differences, EdgeDifference};
use kernel::Result;
use serde::Serialize;

use super::invoices::{InvoiceJson, rows};
use super::rate::MissingJson;
use crate::args::AdjustArgs;
use crate::output::{Output, table};

/// How many lines are shown; `--json` has them all.
const LINES_MAX: usize = 40;

#[derive(Serialize)]
struct DifferencesJson {
    period: String,
    revision: u32,
    new_records: u64,
    edges: Vec<EdgeJson>,
    beyond_horizon: Vec<EdgeJson>,
    missing: Vec<MissingJson>,
}

/// An edge's difference.
#[derive(Serialize)]
pub struct EdgeJson {
    seller: String,
    buyer: String,
    preceding_invoice: Option<String>,
    currency: String,
    net: String,
    lines: Vec<LineJson>,
}

#[derive(Serialize)]
struct LineJson {
    subscription: String,
    meter: String,
    tier: u8,
    charge_type: &'static str,
    quantity: String,
    amount: String,
}

#[derive(Serialize)]
struct AdjustedJson {
    period: String,
    revision: Option<u32>,
    issue_date: Option<String>,
    documents: String,
    invoices: Vec<InvoiceJson>,
}

pub async fn run(ctx: Ctx<'_>, args: &AdjustArgs, output: Output) -> Result<()> {
    let workers = args.workers.unwrap_or_else(app::workers);
    if args.post {
        let adjusted = adjust::post(ctx, args.period, args.issue_date, workers).await?;
        print_posted(&adjusted, output);
        return Ok(());
    }
    let differences = adjust::differences(ctx, args.period, workers).await?;
    let json = DifferencesJson {
        period: differences.month.to_string(),
        revision: differences.revision,
        new_records: differences.records,
        edges: differences.edges.iter().map(edge).collect(),
        beyond_horizon: differences.beyond.iter().map(edge).collect(),
        missing: differences.missing.iter().map(MissingJson::of).collect(),
    };
    output.print(&json, || describe(&differences));
    Ok(())
}

fn print_posted(adjusted: &Adjusted, output: Output) {
    let invoices = adjusted.invoices.iter().zip(&adjusted.keys);
    let json = AdjustedJson {
        period: adjusted.month.to_string(),
        revision: adjusted.revision.as_ref().map(|close| close.revision),
        issue_date: adjusted.revision.as_ref().map(|close| close.issue_on.to_string()),
        documents: adjusted.folder.display().to_string(),
        invoices: invoices.map(|(row, (s, b))| InvoiceJson::of(row, s, b)).collect(),
    };
    output.print(&json, || match &adjusted.revision {
        None => format!("{} comes to what was billed; nothing was done.", adjusted.month),
        Some(close) => [
            rows(&json.invoices),
            String::new(),
            format!(
                "Adjustment {} of {} is posted. Its documents are in {}.",
                close.revision,
                adjusted.month,
                adjusted.folder.display()
            ),
            format!("Next: skyhandel export --period {} --to DIR", adjusted.month),
        ]
        .join("\n"),
    });
}

/// An edge's difference with its lines.
pub fn edge(edge: &EdgeDifference) -> EdgeJson {
    let line = |line: &Difference| LineJson {
        subscription: line.subscription.clone(),
        meter: line.meter.clone(),
        tier: line.tier,
        charge_type: line.charge_type,
        quantity: line.quantity.to_string(),
        amount: line.amount.digits(),
    };
    EdgeJson {
        seller: edge.seller_key.clone(),
        buyer: edge.buyer_key.clone(),
        preceding_invoice: edge.preceding.clone(),
        currency: edge.net.currency().to_string(),
        net: edge.net.digits(),
        lines: edge.lines.iter().map(line).collect(),
    }
}

fn describe(differences: &Differences) -> String {
    let month = differences.month;
    let mut text = Vec::new();
    if differences.edges.is_empty() {
        text.push(format!("{month} comes to what was billed."));
    } else {
        text.push(edges(&differences.edges));
        text.push(String::new());
        text.push(lines(&differences.edges));
        text.push(String::new());
        text.push(format!(
            "{} usage records became known since {month} was billed. Nothing is posted yet.",
            differences.records
        ));
        if differences.missing.is_empty() {
            text.push(format!("Next: skyhandel adjust --period {month} --post"));
        }
    }
    if !differences.beyond.is_empty() {
        let before = "\nNot billed, because the agreements no longer correct this month:\n";
        text.push(format!("{before}{}", edges(&differences.beyond)));
    }
    if !differences.missing.is_empty() {
        text.push("\nWithout a price, so that nothing can be posted yet:".to_owned());
        text.extend(differences.missing.iter().map(|missing| {
            let edge = missing.edge.as_ref();
            let edge = edge.map_or_else(String::new, |(s, b)| format!("{s} -> {b}, "));
            format!("  {edge}meter {}: {}", missing.meter, missing.reason)
        }));
    }
    text.join("\n")
}

/// What each edge comes to, as a table.
pub fn edges(edges: &[EdgeDifference]) -> String {
    let rows: Vec<Vec<String>> = edges
        .iter()
        .map(|edge| {
            vec![
                edge.seller_key.clone(),
                edge.buyer_key.clone(),
                edge.preceding.clone().unwrap_or_default(),
                edge.lines.len().to_string(),
                edge.net.to_string(),
            ]
        })
        .collect();
    table(&["seller", "buyer", "adjusts", "lines", "difference"], &[3, 4], &rows)
}

/// The lines of edges, as a table.
pub fn lines(edges: &[EdgeDifference]) -> String {
    let all = edges.iter().flat_map(|edge| edge.lines.iter().map(move |line| (edge, line)));
    let rows: Vec<Vec<String>> = all
        .clone()
        .take(LINES_MAX)
        .map(|(edge, line)| {
            vec![
                format!("{} > {}", edge.seller_key, edge.buyer_key),
                line.description.clone(),
                line.tier.to_string(),
                line.charge_type.to_owned(),
                line.quantity.to_string(),
                line.amount.to_string(),
            ]
        })
        .collect();
    let mut text =
        table(&["edge", "what", "tier", "line", "quantity", "amount"], &[2, 4, 5], &rows);
    let more = all.count().saturating_sub(LINES_MAX);
    if more > 0 {
        text.extend([format!("\nand {more} more lines: see --json")]);
    }
    text
}
