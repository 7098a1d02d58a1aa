//! `skyhandel close`

use app::Ctx;
use app::close::{Closed, close};
use kernel::Result;
use serde::Serialize;

use super::invoices::{InvoiceJson, rows};
use crate::args::CloseArgs;
use crate::output::Output;

#[derive(Serialize)]
struct ClosedJson {
    period: String,
    issue_date: String,
    already_closed: bool,
    rate_book: String,
    engine_version: u32,
    documents: String,
    late_records: u64,
    invoices: Vec<InvoiceJson>,
}

pub async fn run(ctx: Ctx<'_>, args: &CloseArgs, output: Output) -> Result<()> {
    let workers = args.workers.unwrap_or_else(app::workers);
    let closed = close(ctx, args.period, args.issue_date, workers).await?;
    let invoices = closed.invoices.iter().zip(&closed.keys);
    let json = ClosedJson {
        period: closed.close.month.to_string(),
        issue_date: closed.close.issue_on.to_string(),
        already_closed: closed.already,
        rate_book: closed.close.rate_book.clone(),
        engine_version: closed.close.engine_version,
        documents: closed.folder.display().to_string(),
        late_records: closed.late,
        invoices: invoices.map(|(row, (s, b))| InvoiceJson::of(row, s, b)).collect(),
    };
    output.print(&json, || describe(&closed, &json.invoices));
    Ok(())
}

fn describe(closed: &Closed, invoices: &[InvoiceJson]) -> String {
    let month = closed.close.month;
    let mut lines = vec![rows(invoices), String::new()];
    lines.push(if closed.already {
        format!("{month} was closed before; nothing was done.")
    } else {
        format!("{month} is closed. Its documents are in {}.", closed.folder.display())
    });
    if closed.late > 0 {
        let late = closed.late;
        lines.push(format!(
            "{late} usage records came too late for the close; see what they come to, and what of \
             them is billed, with: skyhandel adjust --period {month}"
        ));
    }
    lines.push(format!("Next: skyhandel export --period {month} --to DIR"));
    lines.join("\n")
}
