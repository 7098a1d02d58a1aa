//! Invoices in the books: what an issued invoice posts, on both sides.

use jiff::Span;
use jiff::civil::Date;
use kernel::{
    Error, InvoiceId, InvoiceLineId, MeterId, Money, Month, OrganisationId, Result, SubscriptionId,
};

/// An entry of somebody's books; its postings add up to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Its id: of the invoice and the side.
    pub id: String,
    /// Whose books.
    pub book: OrganisationId,
    /// What caused it.
    pub invoice: InvoiceId,
    /// Why.
    pub reason: &'static str,
    /// Account and amount; positive is debit, negative credit.
    pub postings: Vec<(String, Money)>,
}

impl LedgerEntry {
    /// An entry, if its postings balance.
    ///
    /// # Errors
    /// Where they do not, or are in different currencies.
    pub fn new(
        id: String,
        book: OrganisationId,
        invoice: InvoiceId,
        reason: &'static str,
        postings: Vec<(String, Money)>,
    ) -> Result<Self> {
        let mut amounts = postings.iter().map(|(_, amount)| *amount);
        let first = amounts.next().ok_or_else(|| Error::internal("an entry without postings"))?;
        let sum = amounts.try_fold(first, Money::checked_add)?;
        if sum.minor() != 0 {
            return Err(Error::internal(format!("entry {id} is out of balance by {sum}")));
        }
        Ok(Self { id, book, invoice, reason, postings })
    }
}

/// The id of the invoice of an edge, month and revision of the month: there is one.
pub fn invoice_id(
    seller: OrganisationId,
    buyer: OrganisationId,
    month: Month,
    revision: u32,
) -> InvoiceId {
    let name = format!("{seller}/{buyer}/{month}");
    InvoiceId::derived(&if revision == 0 { name } else { format!("{name}/{revision}") })
}

/// What an invoice line is about: edge, month, subscription, meter and tier.
#[derive(Debug, Clone, Copy)]
pub struct LineOf<'a> {
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// The billed month.
    pub month: Month,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The meter.
    pub meter: &'a MeterId,
    /// The tier, counted from zero.
    pub tier: u8,
}

impl LineOf<'_> {
    fn name(&self) -> String {
        let Self { seller, buyer, month, subscription, meter, tier } = self;
        format!("{seller}/{buyer}/{month}/{subscription}/{meter}/{tier}")
    }

    /// The id of the line on the invoice of the close.
    pub fn id(&self) -> InvoiceLineId {
        InvoiceLineId::derived(&self.name())
    }

    /// The id of a line of an adjustment of some kind: each revision has its own.
    pub fn adjustment_id(&self, revision: u32, charge_type: &str) -> InvoiceLineId {
        InvoiceLineId::derived(&format!("{}/{revision}/{charge_type}", self.name()))
    }
}

/// The day on which an invoice is due.
pub fn due_on(issue_on: Date, payment_terms_days: u16) -> Date {
    issue_on.saturating_add(Span::new().days(i64::from(payment_terms_days)))
}

/// What an issued invoice posts: a claim, revenue and tax that is owed in the seller's books, a
/// cost, tax that is got back and a debt in the buyer's. Accounts name the other party by its key.
///
/// # Errors
/// Where an amount has no negative.
pub fn issued(
    invoice: InvoiceId,
    (seller, seller_key): (OrganisationId, &str),
    (buyer, buyer_key): (OrganisationId, &str),
    (net, tax): (Money, Money),
) -> Result<[LedgerEntry; 2]> {
    let gross = net.checked_add(tax)?;
    let reason = if net.minor() < 0 { "credit note issued" } else { "invoice issued" };
    let mut sold =
        vec![(format!("receivable/{buyer_key}"), gross), ("revenue/usage".to_owned(), minus(net)?)];
    if tax.minor() != 0 {
        sold.push(("tax/output".to_owned(), minus(tax)?));
    }
    let bought = bought(seller_key, (net, tax))?;
    Ok([
        LedgerEntry::new(format!("{invoice}/seller"), seller, invoice, reason, sold)?,
        LedgerEntry::new(format!("{invoice}/buyer"), buyer, invoice, reason, bought)?,
    ])
}

/// What a received invoice posts in the buyer's books. The seller's are kept elsewhere.
///
/// # Errors
/// Where an amount has no negative.
pub fn received(
    invoice: InvoiceId,
    seller_key: &str,
    buyer: OrganisationId,
    (net, tax): (Money, Money),
) -> Result<LedgerEntry> {
    let reason = if net.minor() < 0 { "credit note received" } else { "invoice received" };
    LedgerEntry::new(
        format!("{invoice}/buyer"),
        buyer,
        invoice,
        reason,
        bought(seller_key, (net, tax))?,
    )
}

/// A cost, tax that is got back, and a debt.
fn bought(seller_key: &str, (net, tax): (Money, Money)) -> Result<Vec<(String, Money)>> {
    let debt = minus(net.checked_add(tax)?)?;
    let mut postings =
        vec![("cost/usage".to_owned(), net), (format!("payable/{seller_key}"), debt)];
    if tax.minor() != 0 {
        postings.push(("tax/input".to_owned(), tax));
    }
    Ok(postings)
}

fn minus(amount: Money) -> Result<Money> {
    let minor = amount.minor().checked_neg();
    let minor = minor.ok_or_else(|| Error::invalid("amount", "is too large for a document"))?;
    Ok(Money::new(minor, amount.currency()))
}
