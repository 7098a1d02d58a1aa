//! Looking at frozen invoices.

use domain::{Action, Because, Programme, Resource};
use jiff::civil::Date;
use kernel::{Error, Month, Result};
use store::{InvoiceRow, ReceivedRow};

use crate::{Ctx, facts};

/// Which invoices are meant; what is left out does not matter.
#[derive(Debug, Clone, Default)]
pub struct InvoiceFilter {
    /// The billed month.
    pub month: Option<Month>,
    /// The seller's key.
    pub seller: Option<String>,
    /// The buyer's key.
    pub buyer: Option<String>,
    /// The number.
    pub number: Option<String>,
}

/// An invoice and whose it is.
#[derive(Debug, Clone)]
pub struct Invoice {
    /// What is frozen.
    pub row: InvoiceRow,
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
}

impl From<(InvoiceRow, (String, String))> for Invoice {
    fn from((row, (seller, buyer)): (InvoiceRow, (String, String))) -> Self {
        Self { row, seller, buyer }
    }
}

/// The invoices that fit, by month, revision, seller and buyer.
pub async fn list(ctx: Ctx<'_>, filter: &InvoiceFilter) -> Result<Vec<Invoice>> {
    let mut tx = ctx.read(Action::Read, Resource::Invoice).await?;
    let invoices = tx.invoices().await?;
    drop(tx);
    // Whoever sees an invoice sees the names of both its sides.
    let mut tx = ctx.system_read(Because::Rating).await?;
    let programme = facts::programme(&mut tx, i64::MAX).await?;
    Ok(matching(&programme, invoices, filter))
}

/// An invoice that was received, and whose it is.
#[derive(Debug, Clone)]
pub struct ReceivedInvoice {
    /// What it says.
    pub row: ReceivedRow,
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// When it is due, by the agreement.
    pub due_on: Date,
}

/// The received invoices that fit, by month, seller, buyer and number.
pub async fn received(ctx: Ctx<'_>, filter: &InvoiceFilter) -> Result<Vec<ReceivedInvoice>> {
    let mut tx = ctx.read(Action::Read, Resource::Invoice).await?;
    let programme = facts::programme(&mut tx, i64::MAX).await?;
    let fits = |wish: &Option<String>, value: &str| wish.as_deref().is_none_or(|w| w == value);
    let invoices = tx.received().await?.into_iter().map(|row| {
        let terms = programme.agreements_of(row.seller, row.buyer);
        let terms = terms.map(|agreed| agreed.payment_terms_days).last().unwrap_or(0);
        ReceivedInvoice {
            seller: programme.key_of(row.seller),
            buyer: programme.key_of(row.buyer),
            due_on: domain::due_on(row.issue_on, terms),
            row,
        }
    });
    let mut found: Vec<ReceivedInvoice> = invoices
        .filter(|invoice| {
            filter.month.is_none_or(|month| month == invoice.row.month)
                && fits(&filter.seller, &invoice.seller)
                && fits(&filter.buyer, &invoice.buyer)
                && fits(&filter.number, &invoice.row.number)
        })
        .collect();
    found.sort_by_cached_key(|i| {
        (i.row.month, i.seller.clone(), i.buyer.clone(), i.row.number.clone())
    });
    Ok(found)
}

/// The one invoice that fits.
///
/// # Errors
/// Where there is none, or more than one.
pub async fn find(ctx: Ctx<'_>, number: &str, seller: Option<&str>) -> Result<Invoice> {
    let filter = InvoiceFilter {
        number: Some(number.to_owned()),
        seller: seller.map(str::to_owned),
        ..InvoiceFilter::default()
    };
    let mut found = list(ctx, &filter).await?;
    match (found.pop(), found.pop()) {
        (Some(invoice), None) => Ok(invoice),
        (None, _) => match received(ctx, &filter).await?.first() {
            Some(invoice) => Err(Error::conflict(format!(
                "{number} was received from {} and not issued here: {} before tax, {} with tax; \
                 `skyhandel export --period {} --to DIR` writes its rows",
                invoice.seller,
                invoice.row.net,
                invoice.row.gross()?,
                invoice.row.month
            ))),
            None => Err(Error::NotFound { kind: "invoice", id: number.to_owned() }),
        },
        (Some(a), Some(b)) => Err(Error::conflict(format!(
            "{number} is an invoice of {} and of {}; say which with --seller",
            b.seller, a.seller
        ))),
    }
}

/// The document of an invoice, as it was frozen.
pub fn document(ctx: Ctx<'_>, invoice: &Invoice) -> Result<documents::invoice::InvoiceDocument> {
    let place = place(invoice.row.month, invoice.row.revision);
    let path = format!("{place}/{}/{}/invoice.json", invoice.seller, invoice.buyer);
    let file = ctx.installation.documents().join(path);
    let json = std::fs::read(&file).map_err(Error::file(&file))?;
    serde_json::from_slice(&json)
        .map_err(|error| Error::conflict(format!("{} has been changed: {error}", file.display())))
}

/// Where the documents of a revision of a month lie, below the documents' folder and in exports.
pub(crate) fn place(month: Month, revision: u32) -> String {
    match revision {
        0 => month.to_string(),
        _ => format!("{month}/adjustment-{revision}"),
    }
}

fn matching(
    programme: &Programme,
    invoices: Vec<InvoiceRow>,
    filter: &InvoiceFilter,
) -> Vec<Invoice> {
    let fits = |wish: &Option<String>, value: &str| wish.as_deref().is_none_or(|w| w == value);
    let mut found: Vec<Invoice> = invoices
        .into_iter()
        .map(|row| Invoice {
            seller: programme.key_of(row.seller),
            buyer: programme.key_of(row.buyer),
            row,
        })
        .filter(|invoice| {
            filter.month.is_none_or(|month| month == invoice.row.month)
                && fits(&filter.seller, &invoice.seller)
                && fits(&filter.buyer, &invoice.buyer)
                && fits(&filter.number, &invoice.row.number)
        })
        .collect();
    found.sort_by_cached_key(|i| (i.row.month, i.row.revision, i.seller.clone(), i.buyer.clone()));
    found
}
