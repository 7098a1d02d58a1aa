//! Exporting a closed month: the files that a party may see, with a certificate.
//!
//! Everything is read from what the close has frozen. Files of one edge lie in
//! `PERIOD/SELLER/BUYER`, those of one organisation's books in `PERIOD/ORGANISATION`; those of an
//! adjustment lie alike in `PERIOD/adjustment-1`.

mod adjustments;
mod certificate;
pub(crate) mod daily;
mod ledger;
mod legacy;
pub(crate) mod price_lists;
mod received;

use domain::{Action, Resource};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use documents::certificate::{CertifiedRevision, SellerRatedEdge};
use documents::{Format, Layout, Sink, reconciliation};
use kernel::{Error, Month, OrganisationId, Result};
use lake::usage::batches_of;
use rating::{EdgeIndex, RateBook};
use store::{CloseRow, DocumentRow, InvoiceRow, LedgerRow, ReceivedRow};

use crate::close::RATED_LINES;
use crate::facts::Known;
use crate::invoices::place;
use crate::naming::Naming;
use crate::partitions::PeriodUsage;
use crate::{Ctx, close, sheets};

use adjustments::Posted;
use received::ReceivedInvoices;

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
    pub received: Vec<ReceivedRow>,
    pub documents: Vec<DocumentRow>,
    pub folder: PathBuf,
}

impl Frozen {
    /// Loads a closed month.
    ///
    /// # Errors
    /// Where it is not closed, or what it froze has been changed.
    pub async fn load(ctx: &Ctx<'_>, month: Month) -> Result<Self> {
        let mut tx = ctx.read(Action::Read, Resource::Document).await?;
        let close = tx.period_close(month).await?.filter(|close| close.finished);
        let close = close.ok_or_else(|| {
            Error::conflict(format!(
                "{month} is not closed; close it with `skyhandel close --period {month}`"
            ))
        })?;
        let (known, book) = close::load(ctx, &mut tx, &close).await?;
        let documents = tx.documents(month).await?;
        let partitions = documents.iter().filter(|document| document.kind == RATED_LINES).count();
        let usage = PeriodUsage::load(ctx, &mut tx, book.usage_period(), close.known_at).await?;
        let usage = usage.in_partitions(partitions);
        let mut invoices = tx.invoices().await?;
        invoices.retain(|invoice| invoice.month == month && invoice.revision == 0);
        Ok(Self {
            postings: tx.postings(month).await?,
            received: {
                let mut received = tx.received().await?;
                received.retain(|invoice| invoice.month == month);
                received
            },
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
        sheets::check_sha256(&file, &row.sha256)?;
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

/// Exports a closed month into a folder, which must be empty or not exist: what its close billed,
/// and what each adjustment billed besides.
///
/// # Errors
/// Where the month is not closed, the folder has files, or a key names nobody.
pub async fn export(ctx: Ctx<'_>, to: &Path, options: &ExportOptions) -> Result<Exported> {
    let frozen = Frozen::load(&ctx, options.month).await?;
    let adjustments = Posted::load_all(&ctx, options.month).await?;
    let naming = Naming::new(&frozen.known, &frozen.book);
    let knows = std::iter::once(&frozen.known).chain(adjustments.iter().map(Posted::known));
    refuse_unknown(knows, options)?;
    let close = wanted((&frozen.invoices, &frozen.book, &naming), to, options)?;
    let adjusted = adjustments.iter().map(|posted| posted.export(&frozen, to, options));
    // What has been received since is shown once its usage is billed.
    let billed_at = adjustments.last().map_or(frozen.close.known_at, Posted::known_at);
    let received = ReceivedInvoices::wanted(&frozen, billed_at, &naming, options);
    let any = !close.is_empty()
        || !received.is_empty()
        || adjustments.iter().any(|posted| posted.has_wanted(options));
    if !any {
        return Err(Error::conflict(format!("{} has no such invoices", options.month)));
    }
    prepare(to)?;
    let mut written = vec![export_close(&ctx, &frozen, (&naming, &received), &close, to, options)?];
    for revision in adjusted {
        written.extend(revision?);
    }
    let (revisions, edges): (Vec<_>, Vec<_>) = written.into_iter().unzip();
    let received = received.write(&frozen, options, to)?;
    let files = certificate::write(&frozen, options, (revisions, received), to)?;
    let edges = edges.into_iter().flatten().collect();
    Ok(Exported { folder: to.to_owned(), edges, files })
}

/// What an export wrote of one revision: for the certificate and for whoever asked.
type WrittenRevision = (CertifiedRevision, Vec<ExportedEdge>);

fn export_close(
    ctx: &Ctx<'_>,
    frozen: &Frozen,
    (naming, received): (&Naming<'_>, &ReceivedInvoices<'_>),
    wanted: &[WantedEdge<'_>],
    to: &Path,
    options: &ExportOptions,
) -> Result<WrittenRevision> {
    let place = to.join(place(options.month, 0));
    let lists = price_lists::PriceLists::of_frozen(frozen, naming)?;
    let decimals = daily::Decimal::of_frozen(frozen, lists.digits())?;
    make_folders(wanted)?;
    let rounding = daily::write(ctx, frozen, naming, wanted, (options.format, decimals))?;
    ctx.progress.begin("exporting", Some(wanted.len() as u64));
    for edge in wanted {
        copy_documents(frozen, 0, edge, options.format)?;
        ctx.progress.advance(1);
    }
    ctx.progress.end();
    let (close, postings) = (&frozen.close, &frozen.postings);
    let beyond = &BTreeSet::new();
    let received = Some(received);
    let files = RevisionFiles { frozen, close, postings, received, lists, place, beyond };
    files.write(wanted, options, &rounding, vec![decimals; wanted.len()])
}

/// What a close and an adjustment have in common.
struct RevisionFiles<'a> {
    frozen: &'a Frozen,
    close: &'a CloseRow,
    postings: &'a [LedgerRow],
    /// The received invoices, which are posted with the close.
    received: Option<&'a ReceivedInvoices<'a>>,
    lists: price_lists::PriceLists<'a>,
    place: PathBuf,
    /// The edges that are no longer corrected.
    beyond: &'a BTreeSet<EdgeIndex>,
}

impl RevisionFiles<'_> {
    fn write_legacy(&self, edge: &WantedEdge<'_>, format: Format) -> Result<Option<u64>> {
        let place = place(self.frozen.close.month, self.close.revision);
        let file = format!("{place}/{}/{}/reconciliation.parquet", edge.seller, edge.buyer);
        legacy::write(&self.lists, edge, &self.frozen.document(&file)?, format)
    }

    /// Writes price lists, derivations and ledgers.
    fn write(
        &self,
        wanted: &[WantedEdge<'_>],
        options: &ExportOptions,
        rounding: &[u64],
        decimals: Vec<daily::Decimal>,
    ) -> Result<WrittenRevision> {
        let earned = wanted.iter().map(|edge| self.lists.write(edge));
        let earned = earned.collect::<Result<Vec<_>>>()?;
        let legacy = wanted.iter().map(|edge| self.write_legacy(edge, options.format));
        let legacy = legacy.collect::<Result<Vec<_>>>()?;
        // What a seller calculates with is nobody else's business.
        let with_derivations = options.buyer.is_none();
        if with_derivations {
            self.lists.write_derivations(wanted, &self.place)?;
        }
        let mut books = books(wanted, options);
        let mut paid = Vec::new();
        if let Some(received) = self.received {
            if options.seller.is_none() || options.buyer.is_some() {
                books.extend(received.buyers());
            }
            paid = received.postings()?;
        }
        let posted = (self.postings, paid.as_slice());
        ledger::write(posted, self.lists.naming, wanted, &books, &self.place)?;
        let fits = |wish: &Option<String>, key: &str| wish.as_ref().is_none_or(|wish| wish == key);
        let visible = |edge: EdgeIndex| {
            let terms = &self.lists.book.edges()[edge.get()];
            let naming = self.lists.naming;
            let (seller, buyer) = (naming.key(terms.seller), naming.key(terms.buyer));
            (fits(&options.seller, seller) && fits(&options.buyer, buyer))
                .then_some((seller, buyer))
        };
        let mut rated_by_seller = Vec::new();
        for edge in self.lists.rated_by_seller() {
            let Some((seller, buyer)) = visible(edge) else { continue };
            let folder = self.place.join(seller).join(buyer);
            std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
            self.lists.write_prices(edge, &folder)?;
            rated_by_seller.push(SellerRatedEdge {
                seller: seller.to_owned(),
                buyer: buyer.to_owned(),
                currency: self.lists.book.edges()[edge.get()].currency.to_string(),
            });
        }
        rated_by_seller.sort_by(|a, b| (&a.seller, &a.buyer).cmp(&(&b.seller, &b.buyer)));
        // How its seller is billed is no buyer's business.
        if options.seller.is_none() && options.buyer.is_none() {
            self.lists.write_charged_days(&self.place)?;
        }
        let written = certificate::Written {
            not_corrected: self.beyond.iter().filter_map(|edge| visible(*edge)).collect(),
            rated_by_seller,
            close: self.close,
            book: self.lists.book,
            naming: self.lists.naming,
            with_derivations,
            wanted,
            earned,
            legacy,
            rounding_lines: rounding,
            decimals,
            books: &books,
        };
        let edges = wanted.iter().zip(rounding).map(|(edge, rounding)| ExportedEdge {
            seller: edge.seller.to_owned(),
            buyer: edge.buyer.to_owned(),
            invoice: edge.invoice.clone(),
            rounding_lines: *rounding,
            folder: edge.folder.clone(),
        });
        Ok((written.certified(), edges.collect()))
    }
}

fn refuse_unknown<'k>(
    known: impl Iterator<Item = &'k Known> + Clone,
    options: &ExportOptions,
) -> Result<()> {
    for key in options.seller.iter().chain(&options.buyer) {
        let mut all = known.clone().flat_map(|known| known.programme.organisations.values());
        if !all.any(|organisation| organisation.key.as_str() == key) {
            return Err(Error::NotFound { kind: "organisation", id: key.clone() });
        }
    }
    Ok(())
}

/// The edges of some invoices that are wanted, by seller and buyer.
fn wanted<'f>(
    (invoices, book, naming): (&'f [InvoiceRow], &RateBook, &'f Naming<'f>),
    to: &Path,
    options: &ExportOptions,
) -> Result<Vec<WantedEdge<'f>>> {
    let mut wanted = Vec::new();
    for invoice in invoices {
        let (seller, buyer) = (naming.key(invoice.seller), naming.key(invoice.buyer));
        let fits = |wish: &Option<String>, key: &str| wish.as_ref().is_none_or(|wish| wish == key);
        if !fits(&options.seller, seller) || !fits(&options.buyer, buyer) {
            continue;
        }
        let edge = book.find_edge(invoice.seller, invoice.buyer);
        wanted.push(WantedEdge {
            edge: edge.ok_or_else(|| Error::internal("an invoice without an edge"))?,
            invoice,
            seller,
            buyer,
            folder: to.join(place(options.month, invoice.revision)).join(seller).join(buyer),
        });
    }
    wanted.sort_by_key(|edge| (edge.seller, edge.buyer));
    Ok(wanted)
}

fn make_folders(wanted: &[WantedEdge<'_>]) -> Result<()> {
    let folders = wanted.iter().map(|edge| &edge.folder);
    folders.into_iter().try_for_each(|f| std::fs::create_dir_all(f).map_err(Error::file(f)))
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
fn copy_documents(
    frozen: &Frozen,
    revision: u32,
    edge: &WantedEdge<'_>,
    format: Format,
) -> Result<()> {
    let place = format!("{}/{}/{}", place(frozen.close.month, revision), edge.seller, edge.buyer);
    let invoice = frozen.document(&format!("{place}/invoice.json"))?;
    let copy = edge.folder.join("invoice.json");
    std::fs::copy(&invoice, &copy).map_err(Error::file(&copy))?;
    let file = frozen.document(&format!("{place}/reconciliation.parquet"))?;
    let layout = reconciliation::layout(edge.invoice.net.currency());
    copy_table(&file, &edge.folder.join("reconciliation"), format, &layout)
}

/// A frozen table in the wanted form; the target has no extension yet.
fn copy_table(file: &Path, target: &Path, format: Format, layout: &Layout) -> Result<()> {
    // A name may have points; the form comes behind all of it.
    let target = PathBuf::from(format!("{}.{}", target.display(), format.extension()));
    if format == Format::Parquet {
        std::fs::copy(file, &target).map_err(Error::file(&target))?;
        return Ok(());
    }
    let mut sink = Sink::create(&target, format, layout)?;
    for batch in batches_of(file, None, None)? {
        sink.write(&batch?)?;
    }
    sink.finish()
}

/// The wanted edges by position in the rate book.
pub(crate) fn by_edge(wanted: &[WantedEdge<'_>]) -> BTreeMap<EdgeIndex, usize> {
    wanted.iter().enumerate().map(|(at, edge)| (edge.edge, at)).collect()
}
