//! Closing a month: groups become invoices with numbers, postings and files.
//!
//! Everything that documents say follows from the close's facts: what was known at its instant,
//! the day of issue, the engine. One transaction records them, draws the numbers and freezes the
//! invoices; before it nothing has happened, and after it the files can be written as often as it
//! takes, always the same.

mod reconciliation;

pub(crate) use reconciliation::{adjustment, billing, statement};

use std::path::PathBuf;

use documents::Format;
use domain::{Action, BillingPeriods, Resource};
use jiff::civil::Date;
use kernel::{Error, Money, Month, Result};
use rating::{ENGINE_VERSION, EdgeIndex, RateBook};
use store::{CloseRow, DocumentRow, Exclusive, Generation, InvoiceRow, ReceivedRow, Tx};

use crate::adjust::Touched;
use crate::facts::Known;
use crate::frozen::{Ids, groups_name, write_groups};
use crate::groups::KeptGroup;
use crate::imports::events::drain;
use crate::issuing::{self, Draft};
use crate::naming::Naming;
use crate::partitions::{PeriodUsage, in_parallel};
use crate::rate::{self, Totals};
use crate::taxes::Taxation;
use crate::{Ctx, crash, sheets};

/// The kind of document that rated lines are; there is one a partition.
pub(crate) const RATED_LINES: &str = "rated-lines";

/// A closed month.
#[derive(Debug, Clone)]
pub struct Closed {
    /// The facts of the close.
    pub close: CloseRow,
    /// Its invoices, by seller and buyer.
    pub invoices: Vec<InvoiceRow>,
    /// Keys of sellers and buyers, in the order of the invoices.
    pub keys: Vec<(String, String)>,
    /// Where its documents lie.
    pub folder: PathBuf,
    /// Whether it had been closed before, so that nothing was done.
    pub already: bool,
    /// Usage records that have become known since and are not billed.
    pub late: u64,
}

/// How often a close begins again because prices have just changed.
const ATTEMPTS_MAX: u32 = 3;

/// Closes a month. Usage that has been acknowledged when it begins is billed by it.
///
/// # Errors
/// Where the month has not ended, and where usage has no price.
pub async fn close(
    ctx: Ctx<'_>,
    month: Month,
    issue_on: Option<Date>,
    workers: usize,
) -> Result<Closed> {
    ctx.decide(Action::Bill, Resource::Period)?;
    drain(ctx).await?;
    let _alone = ctx.installation.alone(Exclusive::Billing).await?;
    let mut tx = ctx.read(Action::Bill, Resource::Period).await?;
    let begun = if let Some(close) = tx.period_close(month).await? {
        refuse_other_date(&close, issue_on)?;
        if close.finished {
            return report(&ctx, &mut tx, close, true).await;
        }
        let (known, book) = load(&ctx, &mut tx, &close).await?;
        let totals = totals(&ctx, tx, &close, &known, &book, workers).await?;
        Begun { close, known, book, totals }
    } else {
        drop(tx);
        begin(&ctx, month, issue_on, workers).await?
    };
    let Begun { mut close, known, book, totals } = begun;
    let mut tx = ctx.read(Action::Bill, Resource::Period).await?;
    let invoices = invoices_of(&mut tx, month).await?;
    drop(tx);
    check_frozen(&book, &totals, &invoices)?;
    let writer = Writer { ctx: &ctx, close: &close, known: &known, book: &book, workers };
    let documents = writer.write(&totals, &invoices)?;
    crash::point();
    let mut tx = ctx.write(Action::Bill, Resource::Period).await?;
    tx.finish_close(&close, &documents).await?;
    crash::point();
    tx.commit().await?;
    close.finished = true;
    let mut tx = ctx.read(Action::Bill, Resource::Period).await?;
    report(&ctx, &mut tx, close, false).await
}

/// A close whose facts are fixed, and what they come to.
struct Begun {
    close: CloseRow,
    known: Known,
    book: RateBook,
    totals: Totals,
}

/// Rates the month as of now beside everybody else; then one transaction records the close and
/// issues its invoices, unless prices have changed meanwhile.
async fn begin(
    ctx: &Ctx<'_>,
    month: Month,
    issue_on: Option<Date>,
    workers: usize,
) -> Result<Begun> {
    for _ in 0..ATTEMPTS_MAX {
        let mut tx = ctx.write(Action::Bill, Resource::Period).await?;
        let facts = tx.generation(Generation::Facts).await?;
        let known_at = tx.known_at(ctx.now_micros()).await?;
        tx.commit().await?;
        let Begun { mut close, known, book, totals } =
            open(ctx, (month, known_at), issue_on, workers).await?;
        let mut tx = ctx.write(Action::Bill, Resource::Period).await?;
        if tx.generation(Generation::Facts).await? == facts {
            tx.begin_close(&close).await?;
            issue(&mut tx, &close, &known, &book, &totals).await?;
            crash::point();
            tx.commit().await?;
            crash::point();
            close.issued = true;
            return Ok(Begun { close, known, book, totals });
        }
        rate::forget_lines(Some(&lines_folder(ctx, month)), &totals)?;
    }
    Err(Error::Busy(format!("prices or terms kept changing while {month} was rated")))
}

/// The day of issue is frozen with the close.
fn refuse_other_date(close: &CloseRow, issue_on: Option<Date>) -> Result<()> {
    match issue_on {
        Some(day) if day != close.issue_on => Err(Error::conflict(format!(
            "{} is closed with invoices of {}, which cannot become {day}",
            close.month, close.issue_on
        ))),
        _ => Ok(()),
    }
}

/// What a seller has billed in a system of its own is not billed here as well.
fn refuse_received(known: &Known, book: &RateBook, received: &[ReceivedRow]) -> Result<()> {
    let of_month = received.iter().filter(|invoice| invoice.month == book.month());
    for invoice in of_month {
        let edge = book.find_edge(invoice.seller, invoice.buyer);
        if edge.is_some_and(|edge| !book.edges()[edge.get()].is_received) {
            let keys = [invoice.seller, invoice.buyer].map(|id| known.programme.key_of(id));
            return Err(Error::conflict(format!(
                "invoice {} of {} was received from {}, whose agreement with {} does not say \
                 rated = \"seller\" any more; it would be billed twice",
                invoice.number, invoice.month, keys[0], keys[1]
            )));
        }
    }
    Ok(())
}

/// The facts of a new close, and what the month comes to by them.
async fn open(
    ctx: &Ctx<'_>,
    (month, known_at): (Month, i64),
    issue_on: Option<Date>,
    workers: usize,
) -> Result<Begun> {
    let mut tx = ctx.read(Action::Bill, Resource::Period).await?;
    let known = Known::load(ctx, &mut tx, month, known_at).await?;
    let book = known.book(month)?;
    refuse_received(&known, &book, &tx.received().await?)?;
    let zone = &known.programme.zone;
    if ctx.now_micros() < book.period_micros().1 {
        let end = month.in_zone(zone).end();
        return Err(Error::conflict(format!("{month} has not ended; close it from {end} on")));
    }
    let today = zone.day_of(ctx.now);
    let issue_on = issue_on.unwrap_or(today);
    if issue_on < month.last_day() || today < issue_on {
        let reason = format!(
            "must lie between the last day of the month and today: {} to {today}, not {issue_on}",
            month.last_day()
        );
        return Err(Error::invalid("issue date", reason));
    }
    let close = CloseRow {
        month,
        revision: 0,
        known_at,
        issue_on,
        engine_version: ENGINE_VERSION,
        rate_book: book.hash().to_string(),
        issued: false,
        finished: false,
    };
    let totals = totals(ctx, tx, &close, &known, &book, workers).await?;
    Ok(Begun { close, known, book, totals })
}

/// What was known when a month was closed, and the rate book that it was billed by.
pub(crate) async fn load(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    close: &CloseRow,
) -> Result<(Known, RateBook)> {
    let known = Known::load(ctx, tx, close.month, close.known_at).await?;
    let book = known.book(close.month)?;
    if book.hash_by(close.engine_version).to_string() != close.rate_book {
        return Err(Error::conflict(format!(
            "{} was closed by the rate book {}, but what was known then now gives {}; the data \
             folder has been changed, or the engine has: restore it, or use the version that \
             closed the month",
            close.month,
            close.rate_book,
            book.hash_by(close.engine_version)
        )));
    }
    Ok((known, book))
}

/// Where the rated lines and groups of a month lie.
fn lines_folder(ctx: &Ctx<'_>, month: Month) -> PathBuf {
    ctx.installation.documents().join(month.to_string()).join("rated-lines")
}

/// Rates the month. Its lines are written on the way: they are documents only once the close has
/// been recorded, and until then whoever closes writes them again.
async fn totals(
    ctx: &Ctx<'_>,
    mut tx: Tx,
    close: &CloseRow,
    known: &Known,
    book: &RateBook,
    workers: usize,
) -> Result<Totals> {
    let usage = PeriodUsage::load(ctx, &mut tx, book.usage_period(), close.known_at).await?;
    drop(tx);
    let folder = lines_folder(ctx, close.month);
    let wanted = rate::Wanted { groups: true, lines: Some(&folder) };
    let totals = rate::rate_month(ctx, book, &usage, workers, wanted)?;
    let missing = rate::describe(known, book, &totals);
    if !missing.is_empty() {
        rate::forget_lines(Some(&folder), &totals)?;
        return Err(rate::missing_prices(close.month, &missing));
    }
    Ok(totals)
}

/// Draws the numbers and freezes the invoices.
async fn issue(
    tx: &mut Tx,
    close: &CloseRow,
    known: &Known,
    book: &RateBook,
    totals: &Totals,
) -> Result<()> {
    let taxes = taxes(known, book, totals)?;
    let edges = book.edges().iter().zip(&totals.edges).zip(taxes);
    let edges = edges.filter(|((edge, (_, groups, _)), _)| *groups > 0 && !edge.is_received);
    let drafts = edges.map(|((edge, (rated_lines, groups, net)), tax)| Draft {
        edge,
        invoice_lines: *groups,
        rated_lines: *rated_lines,
        net: Money::new(*net, edge.currency),
        tax,
    });
    issuing::issue(tx, close, &Naming::new(known, book), drafts.collect()).await
}

/// The tax of each edge.
fn taxes(known: &Known, book: &RateBook, totals: &Totals) -> Result<Vec<Money>> {
    let taxation = Taxation::new(known, book);
    let mut edges: Vec<_> = book.edge_indices().map(|edge| taxation.of_edge(edge)).collect();
    let mut taxes: Vec<Money> =
        book.edges().iter().map(|edge| Money::zero(edge.currency)).collect();
    for group in &totals.groups.groups {
        let edge = group.edge.get();
        if book.edges()[edge].is_received {
            continue;
        }
        let net = Money::new(group.money, taxes[edge].currency());
        taxes[edge] = taxes[edge].checked_add(edges[edge].add(group.subscription, net)?)?;
    }
    Ok(taxes)
}

async fn invoices_of(tx: &mut Tx, month: Month) -> Result<Vec<InvoiceRow>> {
    let mut invoices = tx.invoices().await?;
    invoices.retain(|invoice| invoice.month == month && invoice.revision == 0);
    Ok(invoices)
}

/// What is frozen must be what the facts give, or the documents would not be true.
fn check_frozen(book: &RateBook, totals: &Totals, invoices: &[InvoiceRow]) -> Result<()> {
    let given = book.edges().iter().zip(&totals.edges);
    let given = given.filter(|(edge, (_, groups, _))| *groups > 0 && !edge.is_received);
    let mut given: Vec<_> = given
        .map(|(edge, (lines, groups, net))| {
            (edge.seller, edge.buyer, *lines, *groups, Money::new(*net, edge.currency))
        })
        .collect();
    let mut frozen: Vec<_> = invoices
        .iter()
        .map(|i| (i.seller, i.buyer, i.rated_lines, i.invoice_lines, i.net))
        .collect();
    given.sort_by_key(|edge| (edge.0, edge.1));
    frozen.sort_by_key(|edge| (edge.0, edge.1));
    if given != frozen {
        return Err(Error::internal(
            "the frozen invoices are not what the facts of the close give",
        ));
    }
    Ok(())
}

async fn report(ctx: &Ctx<'_>, tx: &mut Tx, close: CloseRow, already: bool) -> Result<Closed> {
    let programme = crate::facts::programme(tx, close.known_at).await?;
    let mut invoices = invoices_of(tx, close.month).await?;
    let keys =
        |invoice: &InvoiceRow| (programme.key_of(invoice.seller), programme.key_of(invoice.buyer));
    invoices.sort_by_cached_key(keys);
    let periods = BillingPeriods::of(&programme, close.month);
    let late = Touched::between(ctx, tx, &periods, (close.known_at, i64::MAX)).await?;
    Ok(Closed {
        keys: invoices.iter().map(keys).collect(),
        folder: ctx.installation.documents().join(close.month.to_string()),
        late: late.records,
        close,
        invoices,
        already,
    })
}

/// Writes the documents of a close.
struct Writer<'a> {
    ctx: &'a Ctx<'a>,
    close: &'a CloseRow,
    known: &'a Known,
    book: &'a RateBook,
    workers: usize,
}

impl Writer<'_> {
    fn write(&self, totals: &Totals, invoices: &[InvoiceRow]) -> Result<Vec<DocumentRow>> {
        let month = self.close.month.to_string();
        let (lines, files) = (lines_folder(self.ctx, self.close.month), &totals.files);
        let ids = Ids::of(self.book);
        let documents = in_parallel(self.workers, files.len(), |at| {
            let file = &files[at];
            let groups = totals.groups.of_partition(at);
            let name = groups_name(at);
            let bytes = write_groups(&lines.join(&name), &ids, groups)?;
            let row = |name: &str, kind: &str, bytes: u64, rows: u64| -> Result<DocumentRow> {
                Ok(DocumentRow {
                    revision: self.close.revision,
                    path: format!("{month}/rated-lines/{name}"),
                    invoice: None,
                    kind: kind.to_owned(),
                    sha256: sheets::sha256(&lines.join(name))?,
                    bytes,
                    lines: rows,
                })
            };
            Ok([
                row(&file.name, RATED_LINES, file.bytes, file.rows)?,
                row(&name, "groups", bytes, groups.len() as u64)?,
            ])
        })?;
        crash::point();
        let mut documents: Vec<DocumentRow> = documents.into_iter().flatten().collect();
        documents.extend(self.edge_documents(totals, invoices, &month)?);
        Ok(documents)
    }

    /// The invoice and the reconciliation file of every edge.
    fn edge_documents(
        &self,
        totals: &Totals,
        invoices: &[InvoiceRow],
        month: &str,
    ) -> Result<Vec<DocumentRow>> {
        let naming = Naming::new(self.known, self.book);
        let by_edge = by_edge(self.book, &totals.groups.groups);
        let taxation = Taxation::new(self.known, self.book);
        self.ctx.progress.begin("writing documents", Some(invoices.len() as u64));
        let documents = in_parallel(self.workers, invoices.len(), |at| {
            let invoice = &invoices[at];
            let edge = self.edge_of(invoice)?;
            let groups = &by_edge[edge.get()];
            let keys = (naming.key(invoice.seller), naming.key(invoice.buyer));
            let place = format!("{month}/{}/{}", keys.0, keys.1);
            let folder = self.ctx.installation.documents().join(&place);
            std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
            let file = folder.join("reconciliation.parquet");
            let lines = reconciliation::Lines {
                naming: &naming,
                taxation: &taxation,
                book: self.book,
                kept: &totals.groups,
                groups,
                edge,
                number: &invoice.number,
            };
            let billed = lines.write(&file, Format::Parquet)?;
            crash::point();
            let facts = issuing::Facts { close: self.close, known: self.known, book: self.book };
            let document = facts.invoice(&naming, invoice, edge, billed, None)?;
            let json = folder.join("invoice.json");
            issuing::write_json(&json, &document)?;
            crash::point();
            self.ctx.progress.advance(1);
            let row = |name: &str, kind: &str, lines: u64| {
                issuing::document_row(invoice, (&folder, &place), name, kind, lines)
            };
            Ok([
                row("reconciliation.parquet", "reconciliation", invoice.invoice_lines)?,
                row("invoice.json", "invoice", 1)?,
            ])
        })?;
        self.ctx.progress.end();
        Ok(documents.into_iter().flatten().collect())
    }

    fn edge_of(&self, invoice: &InvoiceRow) -> Result<EdgeIndex> {
        self.book
            .find_edge(invoice.seller, invoice.buyer)
            .ok_or_else(|| Error::internal("an invoice without an edge"))
    }
}

/// The groups of each edge, by subscription, meter and tier.
fn by_edge<'g>(book: &RateBook, groups: &'g [KeptGroup]) -> Vec<Vec<&'g KeptGroup>> {
    let mut by_edge: Vec<Vec<&KeptGroup>> = vec![Vec::new(); book.edges().len()];
    for group in groups {
        by_edge[group.edge.get()].push(group);
    }
    for groups in &mut by_edge {
        groups.sort_by_key(|group| (group.subscription, group.meter, group.tier));
    }
    by_edge
}
