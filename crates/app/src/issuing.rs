//! Issuing invoices and credit notes: numbers, postings, and what each document says of itself.
//! Closes and adjustments issue alike.

use std::path::Path;

use documents::invoice::{
    CategoryDocument, FORMAT, InvoiceDocument, KIND_CREDIT_NOTE, KIND_INVOICE, PartyDocument,
    PrecedingDocument,
};
use domain::{LedgerEntry, TaxRegistration, due_on, invoice_id, issued};
use jiff::civil::Date;
use kernel::{Error, Money, OrganisationId, Result, Rounding};
use rating::{Edge, EdgeIndex, RateBook};
use store::{CloseRow, DocumentRow, InvoiceRow, LedgerRow, NewInvoice, Tx};

use crate::facts::Known;
use crate::naming::Naming;
use crate::taxes::{self, TaxSum};
use crate::{crash, sheets};

/// What is about to be issued to the buyer of an edge.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Draft<'a> {
    pub edge: &'a Edge,
    pub invoice_lines: u64,
    pub rated_lines: u64,
    pub net: Money,
    pub tax: Money,
}

/// Draws the numbers and freezes the invoices, sellers and buyers in the order of their keys.
pub(crate) async fn issue(
    tx: &mut Tx,
    close: &CloseRow,
    naming: &Naming<'_>,
    mut drafts: Vec<Draft<'_>>,
) -> Result<()> {
    drafts.sort_by_key(|draft| (naming.key(draft.edge.seller), naming.key(draft.edge.buyer)));
    let (mut invoices, mut postings) = (Vec::new(), Vec::new());
    for Draft { edge, invoice_lines, rated_lines, net, tax } in drafts {
        let seller = naming.organisation(edge.seller);
        let series = &seller.ok_or_else(|| Error::internal("a seller without facts"))?.series;
        let counter = tx.draw_number(edge.seller, &series.prefix).await?;
        crash::point();
        let id = invoice_id(edge.seller, edge.buyer, close.month, close.revision);
        let entries = issued(
            id,
            (edge.seller, naming.key(edge.seller)),
            (edge.buyer, naming.key(edge.buyer)),
            (net, tax),
        )?;
        postings.extend(entries.iter().flat_map(|entry| ledger_rows(entry, close.issue_on)));
        let invoice = NewInvoice {
            id,
            seller: edge.seller,
            buyer: edge.buyer,
            due_on: due_on(close.issue_on, edge.payment_terms_days),
            net,
            tax,
            invoice_lines,
            rated_lines,
        };
        invoices.push((invoice, series.number(counter)));
    }
    tx.issue(close, &invoices, &postings).await
}

fn ledger_rows(entry: &LedgerEntry, posted_on: Date) -> impl Iterator<Item = LedgerRow> + '_ {
    entry.postings.iter().map(move |(account, amount)| LedgerRow {
        entry: entry.id.clone(),
        book: entry.book,
        invoice: entry.invoice,
        posted_on,
        reason: entry.reason.to_owned(),
        account: account.clone(),
        amount: *amount,
    })
}

/// What the lines of an invoice come to.
pub(crate) struct BilledLines {
    pub categories: Vec<CategoryDocument>,
    pub taxes: Vec<TaxSum>,
    pub tax_rounding: Rounding,
}

/// What all documents of a close or an adjustment follow from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub close: &'a CloseRow,
    pub known: &'a Known,
    pub book: &'a RateBook,
}

impl Facts<'_> {
    /// The invoice as a document.
    pub fn invoice(
        &self,
        naming: &Naming<'_>,
        invoice: &InvoiceRow,
        edge: EdgeIndex,
        billed: BilledLines,
        preceding: Option<&InvoiceRow>,
    ) -> Result<InvoiceDocument> {
        let period = self.close.month.in_zone(&self.known.programme.zone);
        let terms = &self.book.edges()[edge.get()];
        let kind = if invoice.net.minor() < 0 { KIND_CREDIT_NOTE } else { KIND_INVOICE };
        let tax = taxes::total(&billed.taxes, invoice.net)?;
        if tax != invoice.tax {
            return Err(Error::internal("the frozen tax is not what the lines give"));
        }
        let parties = naming.organisation(invoice.seller).zip(naming.organisation(invoice.buyer));
        let point = self.close.month.last_day();
        let vat_ids = parties.map_or([None; 2], |(seller, buyer)| {
            self.known.programme.tax.vat_ids(seller, buyer, point)
        });
        Ok(InvoiceDocument {
            format: FORMAT.to_owned(),
            kind: kind.to_owned(),
            number: invoice.number.clone(),
            preceding: preceding.map(|preceding| PrecedingDocument {
                number: preceding.number.clone(),
                issue_date: preceding.issue_on.to_string(),
            }),
            invoice_id: invoice.id.to_string(),
            period: invoice.month.to_string(),
            revision: invoice.revision,
            period_start: period.start().to_string(),
            period_end: period.end().to_string(),
            issue_date: invoice.issue_on.to_string(),
            due_date: invoice.due_on.to_string(),
            payment_terms_days: terms.payment_terms_days,
            seller: party(naming, invoice.seller, vat_ids[0]),
            buyer: party(naming, invoice.buyer, vat_ids[1]),
            currency: invoice.net.currency().to_string(),
            lines: invoice.invoice_lines,
            rated_lines: invoice.rated_lines,
            net: invoice.net.digits(),
            tax_point_date: point.to_string(),
            taxes: billed.taxes.iter().map(TaxSum::document).collect(),
            tax: tax.digits(),
            gross: invoice.net.checked_add(tax)?.digits(),
            tax_rounding: billed.tax_rounding.to_string(),
            rounding: terms.rounding.to_string(),
            rate_book: self.close.rate_book.clone(),
            engine_version: self.close.engine_version,
            by_category: billed.categories,
        })
    }
}

fn party(
    naming: &Naming<'_>,
    id: OrganisationId,
    registered: Option<&TaxRegistration>,
) -> PartyDocument {
    let organisation = naming.organisation(id);
    PartyDocument {
        tenant_id: id.to_string(),
        key: naming.key(id).to_owned(),
        name: naming.party(id).name.to_owned(),
        country: naming.party(id).country.to_owned(),
        vat_id: registered.map(|registered| registered.vat_id.clone()),
        domain: organisation.and_then(|o| o.domain.clone()),
        mpn_id: organisation.and_then(|o| o.mpn_id.clone()),
    }
}

/// Writes an invoice as JSON.
pub(crate) fn write_json(path: &Path, document: &InvoiceDocument) -> Result<()> {
    let mut json =
        serde_json::to_vec_pretty(document).map_err(|error| Error::internal(error.to_string()))?;
    json.push(b'\n');
    std::fs::write(path, json).map_err(Error::file(path))
}

/// The catalogue's row for a document of an invoice, which lies in a folder of some place.
pub(crate) fn document_row(
    invoice: &InvoiceRow,
    (folder, place): (&Path, &str),
    name: &str,
    kind: &str,
    lines: u64,
) -> Result<DocumentRow> {
    let file = folder.join(name);
    Ok(DocumentRow {
        revision: invoice.revision,
        path: format!("{place}/{name}"),
        invoice: Some(invoice.id),
        kind: kind.to_owned(),
        sha256: sheets::sha256(&file)?,
        bytes: std::fs::metadata(&file).map_err(Error::file(&file))?.len(),
        lines,
    })
}
