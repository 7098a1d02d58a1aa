//! Exporting a closed month: the files that a party may see, with a certificate.
//!
//! Everything is read from what the close has frozen. Files of one edge lie in
//! `PERIOD/SELLER/BUYER`, those of one organisation's books in `PERIOD/ORGANISATION`.

mod certificate;
mod daily;
mod ledger;
mod price_lists;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use documents::{Format, Sink, reconciliation};
use kernel::{Error, Month, OrganisationId, Result};
use lake::usage::batches_of;
use rating::{EdgeIndex, RateBook};
use store::{CloseRow, DocumentRow, InvoiceRow, LedgerRow};

use crate::close::RATED_LINES;
use crate::facts::Known;
use crate::naming::Naming;
use crate::partitions::PeriodUsage;
use crate::{Ctx, close, sheets};

/// What is exported.
#[derive(Debug, Clone)]
pub struct ExportOptions {
    /// The month.
    pub month: Month,
    /// The form of tables.
    pub format: Format,
    /// Only what this organisation sells, by key.
    pub seller: Option<String>,
    /// Only what this organisation buys, by key.
    pub buyer: Option<String>,
}

/// What an export wrote.
#[derive(Debug, Clone)]
pub struct Exported {
    /// The folder.
    pub folder: PathBuf,
    /// The edges, by seller and buyer.
    pub edges: Vec<ExportedEdge>,
    /// How many files.
    pub files: u64,
}

/// The files of an edge.
#[derive(Debug, Clone)]
pub struct ExportedEdge {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The invoice.
    pub invoice: InvoiceRow,
    /// Rows of the daily file that make up for rounding.
    pub rounding_lines: u64,
    /// Where its files lie.
    pub folder: PathBuf,
}

/// A closed month with everything that it froze.
pub(crate) struct Frozen {
    pub close: CloseRow,
    pub known: Known,
    pub book: RateBook,
    pub usage: PeriodUsage,
    pub invoices: Vec<InvoiceRow>,
    pub postings: Vec<LedgerRow>,
    pub documents: Vec<DocumentRow>,
    pub folder: PathBuf,
}

impl Frozen {
    /// Loads a closed month.
    ///
    /// # Errors
    /// Where it is not closed, or what it froze has been changed.
    pub async fn load(ctx: &Ctx<'_>, month: Month) -> Result<Self> {
        let mut tx = ctx.read().await?;
        let close = tx.period_close(month).await?.filter(|close| close.finished);
        let close = close.ok_or_else(|| {
            Error::conflict(format!(
                "{month} is not closed; close it with `skyhandel close --period {month}`"
            ))
        })?;
        let (known, book) = close::load(ctx, &mut tx, &close).await?;
        let documents = tx.documents(month).await?;
        let partitions = documents.iter().filter(|document| document.kind == RATED_LINES).count();
        let usage = PeriodUsage::load(ctx, &mut tx, book.period_micros(), close.known_at).await?;
        let usage = usage.in_partitions(partitions);
        let mut invoices = tx.invoices().await?;
        invoices.retain(|invoice| invoice.month == month);
        Ok(Self {
            postings: tx.postings(month).await?,
            documents,
            folder: ctx.installation.documents(),
            close,
            known,
            book,
            usage,
            invoices,
        })
    }

    /// The file of a frozen document, after a look at its hash.
    pub fn document(&self, path: &str) -> Result<PathBuf> {
        let file = self.folder.join(path);
        let row = self.documents.iter().find(|document| document.path == path);
        let row = row.ok_or_else(|| Error::internal(format!("{path} is not a document")))?;
        let found = sheets::sha256(&file)?;
        if found != row.sha256 {
            return Err(Error::conflict(format!(
                "{} has been changed: its hash is {found}, not {}; restore it from a backup",
                file.display(),
                row.sha256
            )));
        }
        Ok(file)
    }
}

/// An edge that is exported.
pub(crate) struct WantedEdge<'f> {
    pub edge: EdgeIndex,
    pub invoice: &'f InvoiceRow,
    pub seller: &'f str,
    pub buyer: &'f str,
    pub folder: PathBuf,
}

/// Exports a closed month into a folder, which must be empty or not exist.
///
/// # Errors
/// Where the month is not closed, the folder has files, or a key names nobody.
pub async fn export(ctx: Ctx<'_>, to: &Path, options: &ExportOptions) -> Result<Exported> {
    let frozen = Frozen::load(&ctx, options.month).await?;
    let naming = Naming::new(&frozen.known, &frozen.book);
    let wanted = wanted(&frozen, &naming, to, options)?;
    prepare(to)?;
    for edge in &wanted {
        std::fs::create_dir_all(&edge.folder).map_err(Error::file(&edge.folder))?;
    }
    let lists = price_lists::PriceLists::of(&frozen, &naming)?;
    let decimals = daily::Decimal::of(&frozen, lists.digits())?;
    let rounding = daily::write(&ctx, &frozen, &naming, &wanted, (options.format, decimals))?;
    ctx.progress.begin("exporting", Some(wanted.len() as u64));
    for edge in &wanted {
        copy_documents(&frozen, edge, options.format)?;
        lists.write(edge)?;
        ctx.progress.advance(1);
    }
    ctx.progress.end();
    // What a seller calculates with is nobody else's business.
    if options.buyer.is_none() {
        lists.write_derivations(&wanted, to)?;
    }
    let books = books(&wanted, options);
    ledger::write(&frozen, &naming, &wanted, &books, to)?;
    let written = certificate::Written {
        options,
        wanted: &wanted,
        rounding_lines: &rounding,
        decimals,
        books: &books,
    };
    let files = certificate::write(&frozen, &naming, &written, to)?;
    let edges = wanted.iter().zip(&rounding).map(|(edge, rounding)| ExportedEdge {
        seller: edge.seller.to_owned(),
        buyer: edge.buyer.to_owned(),
        invoice: edge.invoice.clone(),
        rounding_lines: *rounding,
        folder: edge.folder.clone(),
    });
    Ok(Exported { folder: to.to_owned(), edges: edges.collect(), files })
}

fn wanted<'f>(
    frozen: &'f Frozen,
    naming: &Naming<'f>,
    to: &Path,
    options: &ExportOptions,
) -> Result<Vec<WantedEdge<'f>>> {
    for key in options.seller.iter().chain(&options.buyer) {
        let known = frozen.known.programme.organisations.values();
        if !known.into_iter().any(|organisation| organisation.key.as_str() == key) {
            return Err(Error::NotFound { kind: "organisation", id: key.clone() });
        }
    }
    let mut wanted = Vec::new();
    for invoice in &frozen.invoices {
        let (seller, buyer) = (naming.key(invoice.seller), naming.key(invoice.buyer));
        let fits = |wish: &Option<String>, key: &str| wish.as_ref().is_none_or(|wish| wish == key);
        if !fits(&options.seller, seller) || !fits(&options.buyer, buyer) {
            continue;
        }
        let edge = frozen.book.find_edge(invoice.seller, invoice.buyer);
        wanted.push(WantedEdge {
            edge: edge.ok_or_else(|| Error::internal("an invoice without an edge"))?,
            invoice,
            seller,
            buyer,
            folder: to.join(options.month.to_string()).join(seller).join(buyer),
        });
    }
    wanted.sort_by_key(|edge| (edge.seller, edge.buyer));
    if wanted.is_empty() {
        return Err(Error::conflict(format!("{} has no such invoices", options.month)));
    }
    Ok(wanted)
}

/// Whose books are exported: those of whoever asks, or everybody's.
fn books(wanted: &[WantedEdge<'_>], options: &ExportOptions) -> BTreeSet<OrganisationId> {
    let mut books = BTreeSet::new();
    for edge in wanted {
        if options.buyer.is_none() || options.seller.is_some() {
            books.insert(edge.invoice.seller);
        }
        if options.seller.is_none() || options.buyer.is_some() {
            books.insert(edge.invoice.buyer);
        }
    }
    if options.seller.is_some() && options.buyer.is_some() {
        // A file for one edge is the buyer's.
        books.retain(|book| wanted.iter().any(|edge| edge.invoice.buyer == *book));
    }
    books
}

fn prepare(to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).map_err(Error::file(to))?;
    let mut entries = std::fs::read_dir(to).map_err(Error::file(to))?;
    if entries.next().is_some() {
        let folder = to.display();
        return Err(Error::conflict(format!("{folder} is not empty; export into a new folder")));
    }
    Ok(())
}

/// The invoice as it was frozen, and the reconciliation file in the wanted form.
fn copy_documents(frozen: &Frozen, edge: &WantedEdge<'_>, format: Format) -> Result<()> {
    let place = format!("{}/{}/{}", frozen.close.month, edge.seller, edge.buyer);
    let invoice = frozen.document(&format!("{place}/invoice.json"))?;
    let copy = edge.folder.join("invoice.json");
    std::fs::copy(&invoice, &copy).map_err(Error::file(&copy))?;
    let frozen_file = frozen.document(&format!("{place}/reconciliation.parquet"))?;
    let target = edge.folder.join(format!("reconciliation.{}", format.extension()));
    if format == Format::Parquet {
        std::fs::copy(&frozen_file, &target).map_err(Error::file(&target))?;
        return Ok(());
    }
    let layout = reconciliation::layout(edge.invoice.net.currency());
    let mut sink = Sink::create(&target, format, &layout)?;
    for batch in batches_of(&frozen_file, None, None)? {
        sink.write(&batch?)?;
    }
    sink.finish()
}

/// The wanted edges by position in the rate book.
pub(crate) fn by_edge(wanted: &[WantedEdge<'_>]) -> BTreeMap<EdgeIndex, usize> {
    wanted.iter().enumerate().map(|(at, edge)| (edge.edge, at)).collect()
}
