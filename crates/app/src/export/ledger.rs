//! Ledger extracts: what the exported invoices posted in the books of each organisation.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kernel::{Error, InvoiceId, Money, OrganisationId, Result};
use store::LedgerRow;

use super::WantedEdge;
use super::price_lists::Table;
use crate::naming::Naming;

/// The columns of `ledger.csv`.
const COLUMNS: [&str; 8] =
    ["EntryId", "PostedOn", "InvoiceNumber", "Reason", "Account", "Currency", "Debit", "Credit"];

/// Writes one file an organisation, in its own folder of some place.
pub(super) fn write(
    (issued, received): (&[LedgerRow], &[(LedgerRow, &str)]),
    naming: &Naming<'_>,
    wanted: &[WantedEdge<'_>],
    books: &BTreeSet<OrganisationId>,
    place: &Path,
) -> Result<()> {
    let numbers: BTreeMap<InvoiceId, &str> =
        wanted.iter().map(|edge| (edge.invoice.id, edge.invoice.number.as_str())).collect();
    for book in books {
        let folder = place.join(naming.key(*book));
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let mut table = Table::create(&folder.join("ledger.csv"), &COLUMNS)?;
        let issued = issued.iter().filter_map(|row| Some((row, *numbers.get(&row.invoice)?)));
        let received = received.iter().map(|(row, number)| (row, *number));
        let rows = issued.chain(received).filter(|(row, _)| row.book == *book);
        let mut rows: Vec<(&LedgerRow, &str)> = rows.collect();
        rows.sort_by_key(|(row, _)| (&row.entry, &row.account));
        for (row, number) in rows {
            let (debit, credit) = sides(row.amount)?;
            table.row(&[
                &row.entry,
                &row.posted_on.to_string(),
                number,
                &row.reason,
                &row.account,
                row.amount.currency().code(),
                &debit,
                &credit,
            ])?;
        }
        table.finish()?;
    }
    Ok(())
}

/// A positive amount as a debit, a negative one as a credit.
fn sides(amount: Money) -> Result<(String, String)> {
    if amount.minor() >= 0 {
        return Ok((amount.digits(), String::new()));
    }
    let minor = amount.minor().checked_neg();
    let minor = minor.ok_or_else(|| Error::invalid("amount", "is too large for a document"))?;
    Ok((String::new(), Money::new(minor, amount.currency()).digits()))
}
