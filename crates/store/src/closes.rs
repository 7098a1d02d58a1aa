//! What closes freeze: invoices, postings, documents.

use jiff::civil::Date;
use kernel::{Currency, InvoiceId, Money, Month, OrganisationId, Result};

use crate::db::{Row, Tx, Value, int, text};

/// The facts of one close or adjustment of a month. Everything that a document says follows from
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloseRow {
    /// The closed month.
    pub month: Month,
    /// Zero for the close; the adjustments that bill what became known since count on from there.
    pub revision: u32,
    /// What was known up to this instant has been billed.
    pub known_at: i64,
    /// The day of issue of its invoices.
    pub issue_on: Date,
    /// The version of the engine.
    pub engine_version: u32,
    /// The hash of the rate book.
    pub rate_book: String,
    /// Whether its invoices have their numbers.
    pub issued: bool,
    /// Whether all its documents are written.
    pub finished: bool,
}

/// An invoice about to be frozen; its number is drawn when it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvoice {
    /// Its id.
    pub id: InvoiceId,
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// When it is due.
    pub due_on: Date,
    /// What is to be paid before tax.
    pub net: Money,
    /// The tax, in the same currency.
    pub tax: Money,
    /// How many lines it has.
    pub invoice_lines: u64,
    /// How many rated lines are behind them.
    pub rated_lines: u64,
}

/// A frozen invoice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvoiceRow {
    /// Its id.
    pub id: InvoiceId,
    /// The billed month.
    pub month: Month,
    /// Of which revision of the month: zero is the close.
    pub revision: u32,
    /// Its number.
    pub number: String,
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// When it was issued.
    pub issue_on: Date,
    /// When it is due.
    pub due_on: Date,
    /// What is to be paid before tax.
    pub net: Money,
    /// The tax, in the same currency.
    pub tax: Money,
    /// How many lines it has.
    pub invoice_lines: u64,
    /// How many rated lines are behind them.
    pub rated_lines: u64,
}

impl InvoiceRow {
    /// What is to be paid with tax.
    ///
    /// # Errors
    /// Where it is too large.
    pub fn gross(&self) -> Result<Money> {
        self.net.checked_add(self.tax)
    }
}

/// A posting of a ledger, with its entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The entry; its postings add up to nothing.
    pub entry: String,
    /// Whose books.
    pub book: OrganisationId,
    /// What caused it.
    pub invoice: InvoiceId,
    /// When.
    pub posted_on: Date,
    /// Why.
    pub reason: String,
    /// Where to.
    pub account: String,
    /// How much; negative is credit.
    pub amount: Money,
}

/// A document that a close wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentRow {
    /// Of which revision of the month: zero is the close.
    pub revision: u32,
    /// Where it lies below the documents' folder.
    pub path: String,
    /// The invoice it belongs to; none for what concerns a whole month.
    pub invoice: Option<InvoiceId>,
    /// What it is.
    pub kind: String,
    /// Its hash.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// Its lines.
    pub lines: u64,
}

const INVOICES: &str = "SELECT invoice_id, month, revision, number, seller_id, buyer_id, \
     currency, issue_on, due_on, net_minor, invoice_lines, rated_lines, tax_minor FROM invoice \
     WHERE CAST($1 AS TEXT) IS NULL OR seller_id = $1 OR buyer_id = $1 \
     ORDER BY month, revision, seller_id, buyer_id";

impl Tx {
    /// The close of a month, if it has begun.
    pub async fn period_close(&mut self, month: Month) -> Result<Option<CloseRow>> {
        Ok(self.revisions(month).await?.into_iter().next())
    }

    /// Every close, earliest month first.
    pub async fn closes(&mut self) -> Result<Vec<CloseRow>> {
        let mut closes = self.all_revisions().await?;
        closes.retain(|close| close.revision == 0);
        Ok(closes)
    }

    /// The close of a month and its adjustments, in their order.
    pub async fn revisions(&mut self, month: Month) -> Result<Vec<CloseRow>> {
        let mut revisions = self.all_revisions().await?;
        revisions.retain(|close| close.month == month);
        Ok(revisions)
    }

    async fn all_revisions(&mut self) -> Result<Vec<CloseRow>> {
        let sql = "SELECT month, revision, known_at, issue_on, engine_version, rate_book, issued, \
                   finished FROM period_revision ORDER BY month, revision";
        let rows = self.fetch(sql, vec![]).await?;
        rows.iter()
            .map(|row| {
                Ok(CloseRow {
                    month: row.parsed(0, "month")?,
                    revision: row.int(1)? as u32,
                    known_at: row.int(2)?,
                    issue_on: row.parsed(3, "day of issue")?,
                    engine_version: row.int(4)? as u32,
                    rate_book: row.text(5)?,
                    issued: row.int(6)? == 1,
                    finished: row.int(7)? == 1,
                })
            })
            .collect()
    }

    /// Begins a close or an adjustment: from here on its facts are fixed.
    pub async fn begin_close(&mut self, close: &CloseRow) -> Result<()> {
        self.everything()?;
        let values = vec![
            text(close.month),
            int(close.revision),
            int(close.known_at),
            text(close.issue_on),
            int(close.engine_version),
            text(&close.rate_book),
            int(0),
            int(0),
        ];
        let into = "INSERT INTO period_revision (month, revision, known_at, issue_on, \
                    engine_version, rate_book, issued, finished)";
        self.insert(into, "", [values]).await
    }

    /// Draws the next number of a series: the first is 1, and none is left out, because what is
    /// not committed was not drawn.
    pub async fn draw_number(&mut self, seller: OrganisationId, prefix: &str) -> Result<i64> {
        self.everything()?;
        let sql = "INSERT INTO number_series (seller_id, prefix, next_number) VALUES ($1, $2, 2) \
                   ON CONFLICT (seller_id, prefix) \
                   DO UPDATE SET next_number = number_series.next_number + 1 \
                   RETURNING next_number";
        let rows = self.fetch(sql, vec![text(seller), text(prefix)]).await?;
        let next = rows.first().map(|row| row.int(0)).transpose()?;
        next.map(|next| next - 1)
            .ok_or_else(|| kernel::Error::internal("a number series without a next number"))
    }

    /// Freezes the invoices of a close with their numbers, and what they post.
    pub async fn issue(
        &mut self,
        close: &CloseRow,
        invoices: &[(NewInvoice, String)],
        postings: &[LedgerRow],
    ) -> Result<()> {
        self.everything()?;
        let rows = invoices.iter().map(|(invoice, number)| {
            vec![
                text(invoice.id),
                text(close.month),
                int(close.revision),
                text(number),
                text(invoice.seller),
                text(invoice.buyer),
                text(invoice.net.currency()),
                text(close.issue_on),
                text(invoice.due_on),
                int(invoice.net.minor()),
                int(invoice.invoice_lines),
                int(invoice.rated_lines),
                int(invoice.tax.minor()),
            ]
        });
        let into = "INSERT INTO invoice (invoice_id, month, revision, number, seller_id, buyer_id, \
                    currency, issue_on, due_on, net_minor, invoice_lines, rated_lines, \
                    tax_minor)";
        self.insert(into, "", rows).await?;
        let mut entries: Vec<&LedgerRow> = postings.iter().collect();
        entries.dedup_by(|a, b| a.entry == b.entry);
        let rows = entries.into_iter().map(|entry| {
            vec![
                text(&entry.entry),
                text(entry.book),
                text(entry.invoice),
                text(entry.posted_on),
                text(&entry.reason),
            ]
        });
        let into = "INSERT INTO ledger_entry (entry_id, book_id, invoice_id, posted_on, reason)";
        self.insert(into, "", rows).await?;
        let rows = postings.iter().map(|posting| {
            let currency = text(posting.amount.currency());
            let amount = int(posting.amount.minor());
            vec![text(&posting.entry), text(&posting.account), currency, amount]
        });
        let into = "INSERT INTO ledger_posting (entry_id, account, currency, amount_minor)";
        self.insert(into, "", rows).await?;
        let sql = "UPDATE period_revision SET issued = 1 WHERE month = $1 AND revision = $2";
        let values = vec![text(close.month), int(close.revision)];
        self.execute(sql, values).await.map(|_| ())
    }

    /// Catalogues the documents of a close or an adjustment, which is then finished.
    pub async fn finish_close(
        &mut self,
        close: &CloseRow,
        documents: &[DocumentRow],
    ) -> Result<()> {
        self.everything()?;
        self.add_documents(close.month, documents).await?;
        let sql = "UPDATE period_revision SET finished = 1 WHERE month = $1 AND revision = $2";
        let values = vec![text(close.month), int(close.revision)];
        self.execute(sql, values).await.map(|_| ())
    }

    /// Catalogues documents of a month.
    pub async fn add_documents(&mut self, month: Month, documents: &[DocumentRow]) -> Result<()> {
        self.everything()?;
        let rows = documents.iter().map(|document| {
            vec![
                text(&document.path),
                text(month),
                int(document.revision),
                Value::optional(document.invoice),
                text(&document.kind),
                text(&document.sha256),
                int(document.bytes),
                int(document.lines),
            ]
        });
        let into =
            "INSERT INTO document (path, month, revision, invoice_id, kind, sha256, bytes, lines)";
        self.insert(into, "", rows).await
    }

    /// Every invoice that may be seen, by month, revision, seller and buyer.
    pub async fn invoices(&mut self) -> Result<Vec<InvoiceRow>> {
        let party = self.party();
        let rows = self.fetch(INVOICES, vec![party]).await?;
        rows.iter().map(invoice_row).collect()
    }

    /// The postings of a month's invoices in the books that may be seen, by entry and account.
    pub async fn postings(&mut self, month: Month) -> Result<Vec<LedgerRow>> {
        let sql = "SELECT e.entry_id, e.book_id, e.invoice_id, e.posted_on, e.reason, p.account, \
                   p.currency, p.amount_minor FROM ledger_entry e \
                   JOIN ledger_posting p ON p.entry_id = e.entry_id \
                   JOIN invoice i ON i.invoice_id = e.invoice_id \
                   WHERE i.month = $1 AND (CAST($2 AS TEXT) IS NULL OR e.book_id = $2) \
                   ORDER BY e.entry_id, p.account";
        let party = self.party();
        let rows = self.fetch(sql, vec![text(month), party]).await?;
        rows.iter()
            .map(|row| {
                let currency: Currency = row.parsed(6, "currency")?;
                Ok(LedgerRow {
                    entry: row.text(0)?,
                    book: row.parsed(1, "organisation id")?,
                    invoice: row.parsed(2, "invoice id")?,
                    posted_on: row.parsed(3, "day")?,
                    reason: row.text(4)?,
                    account: row.text(5)?,
                    amount: Money::new(row.int(7)?, currency),
                })
            })
            .collect()
    }

    /// The documents of a month, by path.
    pub async fn documents(&mut self, month: Month) -> Result<Vec<DocumentRow>> {
        self.everything()?;
        let sql = "SELECT path, revision, invoice_id, kind, sha256, bytes, lines FROM document \
                   WHERE month = $1 ORDER BY path";
        let rows = self.fetch(sql, vec![text(month)]).await?;
        rows.iter()
            .map(|row| {
                Ok(DocumentRow {
                    path: row.text(0)?,
                    revision: row.int(1)? as u32,
                    invoice: row.parsed_optional(2, "invoice id")?,
                    kind: row.text(3)?,
                    sha256: row.text(4)?,
                    bytes: row.int(5)? as u64,
                    lines: row.int(6)? as u64,
                })
            })
            .collect()
    }
}

fn invoice_row(row: &Row) -> Result<InvoiceRow> {
    let currency: Currency = row.parsed(6, "currency")?;
    Ok(InvoiceRow {
        id: row.parsed(0, "invoice id")?,
        month: row.parsed(1, "month")?,
        revision: row.int(2)? as u32,
        number: row.text(3)?,
        seller: row.parsed(4, "organisation id")?,
        buyer: row.parsed(5, "organisation id")?,
        issue_on: row.parsed(7, "day of issue")?,
        due_on: row.parsed(8, "due day")?,
        net: Money::new(row.int(9)?, currency),
        tax: Money::new(row.int(12)?, currency),
        invoice_lines: row.int(10)? as u64,
        rated_lines: row.int(11)? as u64,
    })
}
