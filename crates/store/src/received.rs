//! Invoices of providers that rate in systems of their own.

use jiff::civil::Date;
use kernel::{Currency, InvoiceId, Money, Month, OrganisationId, Result};

use crate::db::{Row, Tx, Value, int, text};

/// An invoice that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedRow {
    /// Its id.
    pub id: InvoiceId,
    /// The billed month.
    pub month: Month,
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// The seller's number.
    pub number: String,
    /// When it became known, in microseconds since 1970.
    pub known_at: i64,
    /// When it was issued.
    pub issue_on: Date,
    /// What is to be paid before tax.
    pub net: Money,
    /// The tax, in the same currency.
    pub tax: Money,
    /// Rows of its reconciliation file.
    pub lines: u64,
    /// Rows of its daily file.
    pub daily_rows: u64,
    /// What these come to before tax, exactly.
    pub daily_billed: String,
    /// The hashes of the files as they were imported: reconciliation and daily.
    pub sha256: [String; 2],
    /// Why differences between its files were accepted, if there are any.
    pub differences: Option<String>,
}

impl ReceivedRow {
    /// What is to be paid with tax.
    ///
    /// # Errors
    /// Where it is too large.
    pub fn gross(&self) -> Result<Money> {
        self.net.checked_add(self.tax)
    }
}

impl Tx {
    /// Keeps a received invoice.
    pub async fn add_received(&mut self, row: &ReceivedRow) -> Result<()> {
        self.everything()?;
        let values = vec![
            text(row.id),
            text(row.month),
            text(row.seller),
            text(row.buyer),
            text(&row.number),
            int(row.known_at),
            text(row.issue_on),
            text(row.net.currency()),
            int(row.net.minor()),
            int(row.tax.minor()),
            int(row.lines),
            int(row.daily_rows),
            text(&row.daily_billed),
            text(&row.sha256[0]),
            text(&row.sha256[1]),
            Value::optional(row.differences.as_ref()),
        ];
        let into = "INSERT INTO received_invoice (invoice_id, month, seller_id, buyer_id, number, \
                    known_at, issue_on, currency, net_minor, tax_minor, lines, daily_rows, \
                    daily_billed, lines_sha256, daily_sha256, differences)";
        self.insert(into, "", [values]).await
    }

    /// Every received invoice, by month, seller, buyer and number.
    pub async fn received(&mut self) -> Result<Vec<ReceivedRow>> {
        self.everything()?;
        let sql = "SELECT invoice_id, month, seller_id, buyer_id, number, known_at, issue_on, \
                   currency, net_minor, tax_minor, lines, daily_rows, daily_billed, lines_sha256, \
                   daily_sha256, differences FROM received_invoice \
                   ORDER BY month, seller_id, buyer_id, number";
        let rows = self.fetch(sql, vec![]).await?;
        rows.iter().map(received_row).collect()
    }
}

fn received_row(row: &Row) -> Result<ReceivedRow> {
    let currency: Currency = row.parsed(7, "currency")?;
    Ok(ReceivedRow {
        id: row.parsed(0, "invoice id")?,
        month: row.parsed(1, "month")?,
        seller: row.parsed(2, "organisation id")?,
        buyer: row.parsed(3, "organisation id")?,
        number: row.text(4)?,
        known_at: row.int(5)?,
        issue_on: row.parsed(6, "day of issue")?,
        net: Money::new(row.int(8)?, currency),
        tax: Money::new(row.int(9)?, currency),
        lines: row.int(10)? as u64,
        daily_rows: row.int(11)? as u64,
        daily_billed: row.text(12)?,
        sha256: [row.text(13)?, row.text(14)?],
        differences: row.optional(15)?,
    })
}
