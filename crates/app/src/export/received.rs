//! The files of received invoices, as they were kept.

use std::path::Path;

use documents::certificate::CertifiedReceived;
use documents::received::{daily_layout, lines_layout};
use domain::LedgerEntry;
use kernel::{Error, Month, OrganisationId, Result};
use store::{LedgerRow, ReceivedRow};

use super::{ExportOptions, Frozen, copy_table};
use crate::naming::Naming;

/// The received invoices of a month that are wanted.
pub(super) struct ReceivedInvoices<'f> {
    rows: Vec<&'f ReceivedRow>,
    naming: &'f Naming<'f>,
}

impl<'f> ReceivedInvoices<'f> {
    /// Those that were known when the month was last billed.
    pub fn wanted(
        frozen: &'f Frozen,
        billed_at: i64,
        naming: &'f Naming<'f>,
        options: &ExportOptions,
    ) -> Self {
        let fits = |wish: &Option<String>, id: OrganisationId| {
            wish.as_ref().is_none_or(|wish| wish == naming.key(id))
        };
        let rows = frozen.received.iter();
        let mut rows: Vec<&ReceivedRow> = rows
            .filter(|row| row.known_at <= billed_at)
            .filter(|row| fits(&options.seller, row.seller) && fits(&options.buyer, row.buyer))
            .collect();
        rows.sort_by_key(|row| (naming.key(row.seller), naming.key(row.buyer), &row.number));
        Self { rows, naming }
    }

    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Who pays them.
    pub fn buyers(&self) -> impl Iterator<Item = OrganisationId> + '_ {
        self.rows.iter().map(|row| row.buyer)
    }

    /// What they post, each with the number of its invoice.
    pub fn postings(&self) -> Result<Vec<(LedgerRow, &str)>> {
        let mut postings = Vec::new();
        for row in &self.rows {
            let seller = self.naming.key(row.seller);
            let entry = domain::received(row.id, seller, row.buyer, (row.net, row.tax))?;
            postings.extend(ledger_rows(&entry, row).map(|posting| (posting, &*row.number)));
        }
        Ok(postings)
    }

    /// Writes their files below the folder of the month, and says what a certificate states.
    pub fn write(
        &self,
        frozen: &Frozen,
        options: &ExportOptions,
        to: &Path,
    ) -> Result<Vec<CertifiedReceived>> {
        self.rows.iter().map(|row| self.write_one(frozen, options, row, to)).collect()
    }

    fn write_one(
        &self,
        frozen: &Frozen,
        options: &ExportOptions,
        row: &ReceivedRow,
        to: &Path,
    ) -> Result<CertifiedReceived> {
        let folder = to.join(place(options.month, row));
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        for (name, layout) in
            [("reconciliation", lines_layout()), ("daily-rated-usage", daily_layout())]
        {
            let file = frozen.document(&format!("received/{}/{name}.parquet", row.id))?;
            copy_table(&file, &folder.join(name), options.format, &layout)?;
        }
        Ok(CertifiedReceived {
            seller: self.naming.key(row.seller).to_owned(),
            buyer: self.naming.key(row.buyer).to_owned(),
            invoice: row.number.clone(),
            invoice_id: row.id.to_string(),
            issue_date: row.issue_on.to_string(),
            currency: row.net.currency().to_string(),
            net: row.net.digits(),
            tax: row.tax.digits(),
            gross: row.gross()?.digits(),
            lines: row.lines,
            daily_rows: row.daily_rows,
            daily_billed: row.daily_billed.clone(),
            differences: row.differences.clone(),
        })
    }
}

/// Where the files of an invoice lie in an export. Numbers of others may have any sign.
fn place(month: Month, row: &ReceivedRow) -> String {
    format!("{month}/received/{}", row.id)
}

fn ledger_rows<'e>(
    entry: &'e LedgerEntry,
    row: &'e ReceivedRow,
) -> impl Iterator<Item = LedgerRow> + use<> {
    let rows: Vec<LedgerRow> = entry
        .postings
        .iter()
        .map(|(account, amount)| LedgerRow {
            entry: entry.id.clone(),
            book: entry.book,
            invoice: entry.invoice,
            posted_on: row.issue_on,
            reason: entry.reason.to_owned(),
            account: account.clone(),
            amount: *amount,
        })
        .collect();
    rows.into_iter()
}
