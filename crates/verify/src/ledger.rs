//! The ledger extracts: each invoice is in the books of its seller and of its buyer, once.

use std::collections::BTreeMap;

use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::{Folder, ReceivedInvoice, Revision};
use crate::invoice::KIND_CREDIT_NOTE;
use crate::table::{Row, Table};

const COLUMNS: &[&str] =
    &["EntryId", "PostedOn", "InvoiceNumber", "Reason", "Account", "Currency", "Debit", "Credit"];

/// A posting as a row has it.
type Posting = [String; 8];

/// Compares every extract with the invoices.
pub(crate) fn check(folder: &Folder, revision: &Revision, edges: &[Edge<'_>], faults: &mut Faults) {
    for book in &revision.books {
        let path = folder.path(revision, &format!("{book}/ledger.csv"));
        let mut expected: BTreeMap<(String, String), Posting> = BTreeMap::new();
        for edge in edges {
            for posting in postings(edge, book) {
                expected.insert((posting[0].clone(), posting[4].clone()), posting);
            }
        }
        let received = folder.certificate.received.iter().filter(|_| revision.revision == 0);
        for posting in received.filter(|i| i.buyer == *book).flat_map(paid) {
            expected.insert((posting[0].clone(), posting[4].clone()), posting);
        }
        if let Err((line, reason)) = rows(folder, &path, &mut expected, faults) {
            faults.add(&path, line, reason);
        }
        for posting in expected.values() {
            let [entry, .., account, _, _, _] = posting;
            faults.add(&path, None, format!("entry {entry} has no posting on {account}"));
        }
    }
}

fn rows(
    folder: &Folder,
    path: &str,
    expected: &mut BTreeMap<(String, String), Posting>,
    faults: &mut Faults,
) -> Result<(), (Option<u64>, String)> {
    let table = Table::open(&folder.root.join(path), COLUMNS);
    let mut table = table.map_err(|reason| (Some(1), reason))?;
    let mut row = Row::default();
    let mut before = None;
    while table.next(&mut row).map_err(|(line, reason)| (Some(line), reason))? {
        let key = (row.cell(0).to_owned(), row.cell(4).to_owned());
        if before.as_ref().is_some_and(|before| *before >= key) {
            faults.add(path, Some(row.line), "does not follow the row before");
        }
        before = Some(key.clone());
        let Some(posting) = expected.remove(&key) else {
            let reason = format!("entry {} posts on {} what no invoice does", key.0, key.1);
            faults.add(path, Some(row.line), reason);
            continue;
        };
        for (at, (column, expected)) in COLUMNS.iter().zip(&posting).enumerate() {
            faults.same((path, Some(row.line)), column, row.cell(at), expected);
        }
    }
    Ok(())
}

/// What an invoice posts in somebody's books: a claim, revenue and tax that is owed, a cost, tax
/// that is got back and a debt.
fn postings(edge: &Edge<'_>, book: &str) -> Vec<Posting> {
    let invoice = &edge.invoice.invoice;
    let is_credit = invoice.kind == KIND_CREDIT_NOTE;
    let reason = if is_credit { "credit note issued" } else { "invoice issued" };
    let mut postings = Vec::new();
    let mut entry = |side: &str, accounts: [(String, &str, bool); 3]| {
        let head = [
            format!("{}/{side}", invoice.invoice_id),
            invoice.issue_date.clone(),
            invoice.number.clone(),
            reason.to_owned(),
            invoice.currency.clone(),
        ];
        postings.extend(post(&head, accounts));
    };
    if invoice.seller.key == book {
        let claim = (format!("receivable/{}", invoice.buyer.key), invoice.gross.as_str(), true);
        let revenue = ("revenue/usage".to_owned(), invoice.net.as_str(), false);
        entry("seller", [claim, revenue, ("tax/output".to_owned(), &invoice.tax, false)]);
    }
    if invoice.buyer.key == book {
        let cost = ("cost/usage".to_owned(), invoice.net.as_str(), true);
        let debt = (format!("payable/{}", invoice.seller.key), invoice.gross.as_str(), false);
        entry("buyer", [cost, ("tax/input".to_owned(), &invoice.tax, true), debt]);
    }
    postings
}

/// What a received invoice posts in its buyer's books.
fn paid(invoice: &ReceivedInvoice) -> Vec<Posting> {
    let is_credit = invoice.net.starts_with('-');
    let reason = if is_credit { "credit note received" } else { "invoice received" };
    let head = [
        format!("{}/buyer", invoice.invoice_id),
        invoice.issue_date.clone(),
        invoice.invoice.clone(),
        reason.to_owned(),
        invoice.currency.clone(),
    ];
    let accounts = [
        ("cost/usage".to_owned(), invoice.net.as_str(), true),
        ("tax/input".to_owned(), invoice.tax.as_str(), true),
        (format!("payable/{}", invoice.seller), invoice.gross.as_str(), false),
    ];
    post(&head, accounts).collect()
}

/// An entry: its id, day, number, reason and currency, and its accounts, amounts and sides.
fn post<'a>(
    head: &'a [String; 5],
    accounts: [(String, &'a str, bool); 3],
) -> impl Iterator<Item = Posting> + 'a {
    let is_zero = |amount: &str| amount.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    let kept = accounts
        .into_iter()
        .filter(move |(account, amount, _)| !(account.starts_with("tax/") && is_zero(amount)));
    kept.map(move |(account, amount, is_debit)| {
        let is_debit = is_debit != amount.starts_with('-');
        let amount = amount.trim_start_matches('-').to_owned();
        // Nothing is a debit of nothing.
        let (debit, credit) = if is_debit || is_zero(&amount) {
            (amount, String::new())
        } else {
            (String::new(), amount)
        };
        let [entry, day, number, reason, currency] = head.clone();
        [entry, day, number, reason, account, currency, debit, credit]
    })
}
