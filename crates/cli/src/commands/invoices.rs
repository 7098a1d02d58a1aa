//! `skyhandel invoices`

use app::Ctx;
use app::invoices::{self, InvoiceFilter, ReceivedInvoice};
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
    tax: String,
    gross: String,
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
            tax: row.tax.digits(),
            gross: row.gross().map_or_else(|_| String::new(), kernel::Money::digits),
            lines: row.invoice_lines,
            rated_lines: row.rated_lines,
            issue_date: row.issue_on.to_string(),
            due_date: row.due_on.to_string(),
        }
    }

    fn of_received(invoice: &ReceivedInvoice) -> Self {
        let row = &invoice.row;
        Self {
            invoice: row.number.clone(),
            kind: KIND_RECEIVED,
            period: row.month.to_string(),
            revision: 0,
            seller: invoice.seller.clone(),
            buyer: invoice.buyer.clone(),
            currency: row.net.currency().to_string(),
            net: row.net.digits(),
            tax: row.tax.digits(),
            gross: row.gross().map_or_else(|_| String::new(), kernel::Money::digits),
            lines: row.lines,
            rated_lines: row.daily_rows,
            issue_date: row.issue_on.to_string(),
            due_date: invoice.due_on.to_string(),
        }
    }
}

/// What received invoices are called.
const KIND_RECEIVED: &str = "received";

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
    let received = invoices::received(ctx, &filter).await?;
    let issued = invoices.iter().map(|i| InvoiceJson::of(&i.row, &i.seller, &i.buyer));
    let mut json: Vec<InvoiceJson> =
        issued.chain(received.iter().map(InvoiceJson::of_received)).collect();
    json.sort_by(|a, b| (&a.period, a.revision).cmp(&(&b.period, b.revision)));
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
                invoice.tax.clone(),
                invoice.gross.clone(),
                invoice.currency.clone(),
                invoice.lines.to_string(),
                invoice.issue_date.clone(),
                invoice.due_date.clone(),
            ]
        })
        .collect();
    let headers = [
        "number", "kind", "period", "seller", "buyer", "net", "tax", "gross", "currency", "lines",
        "issued", "due",
    ];
    table(&headers, &[5, 6, 7, 9], &rows)
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
        let vat_id = party.vat_id.as_ref().map_or_else(String::new, |id| format!(", VAT id {id}"));
        format!("{} ({}), {}, {}{vat_id}", party.name, party.key, party.country, party.tenant_id)
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
        String::new(),
        taxes(invoice),
        String::new(),
        format!("To be paid: {} {}", invoice.gross, invoice.currency),
    ]
    .join("\n")
}

/// How each sum is taxed, and why.
fn taxes(invoice: &InvoiceDocument) -> String {
    let rows: Vec<Vec<String>> = invoice
        .taxes
        .iter()
        .map(|tax| {
            let reason = tax.reason.clone().unwrap_or_default();
            let code = tax.exemption_code.as_ref().map_or_else(String::new, |c| format!(" ({c})"));
            vec![
                tax.category.clone(),
                format!("{} %", tax.rate),
                tax.taxable.clone(),
                tax.tax.clone(),
                tax.rule.clone(),
                format!("{reason}{code}"),
            ]
        })
        .collect();
    let on = format!("tax of {}", invoice.tax_point_date);
    table(&[&on, "rate", "taxable", "tax", "rule", "reason"], &[1, 2, 3], &rows)
}
