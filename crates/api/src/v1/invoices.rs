//! Invoices and credit notes.

use app::invoices::{self, Invoice, InvoiceFilter};
use kernel::{Error, InvoiceId, Result};
use wire::v1::{self, ListInvoices, Page, ShowInvoice};

use super::{limit, parsed};
use crate::request::Input;
use crate::routes::Call;
use crate::wait;

pub fn list(call: &Call<'_>, input: &Input<ListInvoices>) -> Result<Page<v1::Invoice>> {
    let query = &input.query;
    let limit = limit(query.limit)?;
    let after: Option<InvoiceId> =
        query.after.as_deref().map(|id| parsed("after", id)).transpose()?;
    let filter = InvoiceFilter {
        month: query.period.as_deref().map(|month| parsed("period", month)).transpose()?,
        seller: query.seller.clone(),
        buyer: query.buyer.clone(),
        number: None,
    };
    let found = wait(invoices::list(call.ctx(), &filter))?;
    let begin = match after {
        None => 0,
        Some(after) => {
            let place = found.iter().position(|invoice| invoice.row.id == after);
            place.ok_or_else(|| Error::invalid("after", "is not `next` of a page of this list"))?
                + 1
        }
    };
    let page: Vec<&Invoice> = found.iter().skip(begin).take(limit.into()).collect();
    let more = found.len() > begin + page.len();
    let next = page.last().filter(|_| more).map(|last| last.row.id.to_string());
    Ok(Page { items: page.into_iter().map(shape).collect::<Result<_>>()?, next })
}

pub fn show(call: &Call<'_>, input: &Input<ShowInvoice>) -> Result<serde_json::Value> {
    let id: InvoiceId = parsed("invoice_id", &input.path.invoice_id)?;
    let mut found = wait(invoices::list(call.ctx(), &InvoiceFilter::default()))?;
    found.retain(|invoice| invoice.row.id == id);
    let invoice = found.pop();
    let invoice = invoice.ok_or_else(|| Error::NotFound { kind: "invoice", id: id.to_string() })?;
    let document = invoices::document(call.ctx(), &invoice)?;
    serde_json::to_value(document).map_err(|error| Error::internal(error.to_string()))
}

/// An invoice in lists.
pub fn shape(invoice: &Invoice) -> Result<v1::Invoice> {
    let row = &invoice.row;
    Ok(v1::Invoice {
        invoice_id: row.id.to_string(),
        invoice: row.number.clone(),
        kind: if row.net.minor() < 0 { "credit-note" } else { "invoice" }.to_owned(),
        period: row.month.to_string(),
        revision: row.revision,
        seller: invoice.seller.clone(),
        buyer: invoice.buyer.clone(),
        currency: row.net.currency().to_string(),
        net: row.net.digits(),
        tax: row.tax.digits(),
        gross: row.gross()?.digits(),
        lines: row.invoice_lines,
        rated_lines: row.rated_lines,
        issue_date: row.issue_on.to_string(),
        due_date: row.due_on.to_string(),
    })
}
