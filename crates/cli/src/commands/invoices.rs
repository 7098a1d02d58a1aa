//! `skyhandel invoices`

use app::Ctx;
use app::invoices::{self, InvoiceFilter};
use documents::invoice::{InvoiceDocument, KIND_CREDIT_NOTE, KIND_INVOICE};
use kernel::Result;
use serde::Serialize;
use store::InvoiceRow;

use crate::args::{InvoicesArgs, InvoicesCommand, ShowInvoiceArgs};
use crate::output::{Output, table};

/// An invoice in lists.
#[derive(Serialize)]
pub struct InvoiceJson {
    invoice: String,
    kind: &'static str,
    period: String,
    revision: u32,
    seller: String,
    buyer: String,
    currency: String,
    net: String,
    lines: u64,
    rated_lines: u64,
    issue_date: String,
    due_date: String,
}

impl InvoiceJson {
    pub fn of(row: &InvoiceRow, seller: &str, buyer: &str) -> Self {
        Self {
            invoice: row.number.clone(),
            kind: if row.net.minor() < 0 { KIND_CREDIT_NOTE } else { KIND_INVOICE },
            period: row.month.to_string(),
            revision: row.revision,
            seller: seller.to_owned(),
            buyer: buyer.to_owned(),
            currency: row.net.currency().to_string(),
            net: row.net.digits(),
            lines: row.invoice_lines,
            rated_lines: row.rated_lines,
            issue_date: row.issue_on.to_string(),
            due_date: row.due_on.to_string(),
        }
    }
}

pub async fn run(ctx: Ctx<'_>, args: &InvoicesArgs, output: Output) -> Result<()> {
    match &args.command {
        Some(InvoicesCommand::Show(args)) => show(ctx, args, output).await,
        None => list(ctx, args, output).await,
    }
}

async fn list(ctx: Ctx<'_>, args: &InvoicesArgs, output: Output) -> Result<()> {
    let filter = InvoiceFilter {
        month: args.period,
        seller: args.seller.as_ref().map(ToString::to_string),
        buyer: args.buyer.as_ref().map(ToString::to_string),
        number: None,
    };
    let invoices = invoices::list(ctx, &filter).await?;
    let json: Vec<InvoiceJson> =
        invoices.iter().map(|i| InvoiceJson::of(&i.row, &i.seller, &i.buyer)).collect();
    output.print(&json, || {
        if json.is_empty() { "There are no such invoices.".to_owned() } else { rows(&json) }
    });
    Ok(())
}

/// Invoices as a table.
pub fn rows(invoices: &[InvoiceJson]) -> String {
    let rows: Vec<Vec<String>> = invoices
        .iter()
        .map(|invoice| {
            vec![
                invoice.invoice.clone(),
                invoice.kind.to_owned(),
                invoice.period.clone(),
                invoice.seller.clone(),
                invoice.buyer.clone(),
                invoice.net.clone(),
                invoice.currency.clone(),
                invoice.lines.to_string(),
                invoice.issue_date.clone(),
                invoice.due_date.clone(),
            ]
        })
        .collect();
    let headers = [
        "number", "kind", "period", "seller", "buyer", "net", "currency", "lines", "issued", "due",
    ];
    table(&headers, &[5, 7], &rows)
}

async fn show(ctx: Ctx<'_>, args: &ShowInvoiceArgs, output: Output) -> Result<()> {
    let seller = args.seller.as_ref().map(kernel::Key::as_str);
    let invoice = invoices::find(ctx, &args.number, seller).await?;
    let document = invoices::document(ctx, &invoice)?;
    output.print(&document, || describe(&document));
    Ok(())
}

fn describe(invoice: &InvoiceDocument) -> String {
    let party = |party: &documents::invoice::PartyDocument| {
        format!("{} ({}), {}, {}", party.name, party.key, party.country, party.tenant_id)
    };
    let mut rows: Vec<Vec<String>> = invoice
        .by_category
        .iter()
        .map(|category| {
            vec![category.category.clone(), category.lines.to_string(), category.net.clone()]
        })
        .collect();
    rows.push(vec!["total".to_owned(), invoice.lines.to_string(), invoice.net.clone()]);
    let currency = format!("net {}", invoice.currency);
    let name = if invoice.kind == KIND_CREDIT_NOTE { "Credit note" } else { "Invoice" };
    let adjusts = invoice.preceding.as_ref().map_or_else(String::new, |preceding| {
        format!(", adjusts {} of {}", preceding.number, preceding.issue_date)
    });
    [
        format!("{name} {} for {}{adjusts}", invoice.number, invoice.period),
        format!("Seller:  {}", party(&invoice.seller)),
        format!("Buyer:   {}", party(&invoice.buyer)),
        format!("Issued:  {}, due {}", invoice.issue_date, invoice.due_date),
        String::new(),
        table(&["category", "lines", &currency], &[1, 2], &rows),
    ]
    .join("\n")
}
