//! Posting the differences of a closed month: one invoice or credit note an edge.
//!
//! As with a close, one transaction fixes the facts, draws the numbers and freezes the invoices;
//! the documents follow from the facts and can be written as often as it takes.

use domain::{Action, Resource};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use documents::invoice::CategoryDocument;
use documents::reconciliation::{Line, begin, layout, line, subscription};
use documents::{Format, Sink, TableBuilder};
use jiff::civil::Date;
use kernel::{Error, Money, Month, Result};
use rating::{ENGINE_VERSION, EdgeIndex};
use store::{CloseRow, DocumentRow, Exclusive, InvoiceRow, Tx};

use super::draw::{Drawing, DrawnEdge};
use super::frozen::GROUPS;
use super::portion::{Names, Raters, portions};
use super::{Drawn, Work, last_revision, refuse_other_book};
use crate::close::billing;
use crate::frozen::{Ids, write_groups};
use crate::groups::KeptGroups;
use crate::imports::events::drain;
use crate::invoices::place;
use crate::issuing::{self, BilledLines, Draft, Facts};
use crate::naming::Naming;
use crate::partitions::{in_parallel, in_parallel_with};
use crate::rate::missing_prices;
use crate::taxes::Taxation;
use crate::{Ctx, crash, sheets};

/// The kind of document that the groups of an adjustment are.
const GROUPS_KIND: &str = "groups";
/// The file of daily rows, and what kind of document it is.
const DAILY: &str = "daily-rated-usage.parquet";
const DAILY_KIND: &str = "daily-rated-usage";

/// A posted adjustment.
#[derive(Debug, Clone)]
pub struct Adjusted {
    /// The month.
    pub month: Month,
    /// Its facts; none where nothing was to be billed, so that nothing was done.
    pub revision: Option<CloseRow>,
    /// Its invoices and credit notes, by seller and buyer.
    pub invoices: Vec<InvoiceRow>,
    /// Keys of sellers and buyers, in the order of the invoices.
    pub keys: Vec<(String, String)>,
    /// Where its documents lie.
    pub folder: PathBuf,
}

/// Bills what became known about a closed month since it was last billed. An adjustment that was
/// cut off goes on where it stopped.
///
/// # Errors
/// Where the month is not closed, new usage has no price, or the day of issue cannot be.
pub async fn post(
    ctx: Ctx<'_>,
    month: Month,
    issue_on: Option<Date>,
    workers: usize,
) -> Result<Adjusted> {
    ctx.decide(Action::Bill, Resource::Period)?;
    drain(ctx).await?;
    let _alone = ctx.installation.alone(Exclusive::Billing).await?;
    let mut tx = ctx.write(Action::Bill, Resource::Period).await?;
    let known_at = tx.known_at(ctx.now_micros()).await?;
    tx.commit().await?;
    let mut tx = ctx.read(Action::Bill, Resource::Period).await?;
    let mut revisions = tx.revisions(month).await?;
    let begun = revisions.pop_if(|last| last.revision > 0 && !last.finished);
    let zone = crate::facts::programme(&mut tx, i64::MAX).await?.zone;
    let today = zone.day_of(ctx.now);
    let (work, begun, drawn) = if let Some(close) = begun {
        refuse_other_date(&close, issue_on)?;
        let before = revisions.pop().ok_or_else(|| Error::internal("an adjustment of nothing"))?;
        let work = Work::load(&ctx, &mut tx, &before, close.known_at).await?;
        drop(tx);
        refuse_other_book(&work.now.book, &close)?;
        let drawn = work.draw(workers, &work.beyond(close.issue_on))?;
        (work, Some(close), drawn)
    } else {
        let last = last_revision(&mut tx, month).await?;
        let work = Work::load(&ctx, &mut tx, &last, known_at).await?;
        drop(tx);
        let drawn = work.draw(workers, &work.beyond(issue_on.unwrap_or(today)))?;
        work.check_frozen(&ctx, &drawn.groups)?;
        let missing = work.missing(&drawn.groups);
        if !missing.is_empty() {
            return Err(missing_prices(month, &missing));
        }
        (work, None, drawn)
    };
    let drawing = Posting::of(&work, drawn);
    let close = match begun {
        Some(close) => close,
        None if drawing.edges.is_empty() => return Ok(work.nothing(&ctx)),
        None => {
            let close = work.begin(&ctx, issue_on)?;
            let mut tx = ctx.write(Action::Bill, Resource::Period).await?;
            tx.begin_close(&close).await?;
            drawing.issue(&mut tx, &close).await?;
            crash::point();
            tx.commit().await?;
            crash::point();
            close
        }
    };
    let mut tx = ctx.read(Action::Bill, Resource::Period).await?;
    let mut invoices = tx.invoices().await?;
    invoices.retain(|i| i.month == month && i.revision == close.revision);
    drop(tx);
    let documents = drawing.write(&ctx, &close, &invoices, workers)?;
    crash::point();
    let mut tx = ctx.write(Action::Bill, Resource::Period).await?;
    tx.finish_close(&close, &documents).await?;
    crash::point();
    tx.commit().await?;
    let naming = Naming::new(&work.now.known, &work.now.book);
    let keys = |i: &InvoiceRow| (naming.key(i.seller).to_owned(), naming.key(i.buyer).to_owned());
    invoices.sort_by_cached_key(keys);
    Ok(Adjusted {
        month,
        keys: invoices.iter().map(keys).collect(),
        folder: ctx.installation.documents().join(place(close.month, close.revision)),
        revision: Some(close),
        invoices,
    })
}

fn refuse_other_date(close: &CloseRow, issue_on: Option<Date>) -> Result<()> {
    match issue_on {
        Some(day) if day != close.issue_on => Err(Error::conflict(format!(
            "adjustment {} of {} has begun with {} as its day of issue, which cannot become {day}",
            close.revision, close.month, close.issue_on
        ))),
        _ => Ok(()),
    }
}

impl Work {
    fn nothing(&self, ctx: &Ctx<'_>) -> Adjusted {
        Adjusted {
            month: self.month,
            revision: None,
            invoices: Vec::new(),
            keys: Vec::new(),
            folder: ctx.installation.documents().join(self.month.to_string()),
        }
    }

    /// The facts of a new adjustment.
    fn begin(&self, ctx: &Ctx<'_>, issue_on: Option<Date>) -> Result<CloseRow> {
        let today = self.now.known.programme.zone.day_of(ctx.now);
        let issue_on = issue_on.unwrap_or(today);
        let latest = self.latest.unwrap_or(self.last.issue_on);
        if issue_on < latest || today < issue_on {
            let reason = format!(
                "must lie between that of the last invoice and today: {latest} to {today}, not \
                 {issue_on}"
            );
            return Err(Error::invalid("issue date", reason));
        }
        Ok(CloseRow {
            month: self.month,
            revision: self.last.revision + 1,
            known_at: self.known_at,
            issue_on,
            engine_version: ENGINE_VERSION,
            rate_book: self.now.book.hash().to_string(),
            issued: false,
            finished: false,
        })
    }
}

/// Everything that the documents of an adjustment say.
struct Posting<'a> {
    work: &'a Work,
    groups: KeptGroups,
    naming: Naming<'a>,
    edges: Vec<DrawnEdge>,
}

impl<'a> Posting<'a> {
    fn of(work: &'a Work, drawn: Drawn) -> Self {
        let naming = Naming::new(&work.now.known, &work.now.book);
        Self { work, groups: drawn.groups.now, naming, edges: drawn.edges }
    }

    /// Draws the numbers and freezes the invoices together with the facts that they follow from.
    async fn issue(&self, tx: &mut Tx, close: &CloseRow) -> Result<()> {
        let taxation = Taxation::new(&self.work.now.known, &self.work.now.book);
        let mut drafts = Vec::new();
        for drawn in &self.edges {
            let mut taxes = taxation.of_edge(drawn.edge);
            let tax =
                drawn.lines.iter().try_fold(Money::zero(drawn.net.currency()), |tax, line| {
                    let net = Money::new(line.amount_minor, drawn.net.currency());
                    tax.checked_add(taxes.add(line.subscription, net)?)
                })?;
            drafts.push(Draft {
                edge: &self.work.now.book.edges()[drawn.edge.get()],
                invoice_lines: drawn.lines.len() as u64,
                rated_lines: drawn.rows.usage,
                net: drawn.net,
                tax,
            });
        }
        issuing::issue(tx, close, &self.naming, drafts).await
    }

    /// Writes all documents.
    fn write(
        &self,
        ctx: &Ctx<'_>,
        close: &CloseRow,
        invoices: &[InvoiceRow],
        workers: usize,
    ) -> Result<Vec<DocumentRow>> {
        let place = place(close.month, close.revision);
        let root = ctx.installation.documents().join(&place);
        std::fs::create_dir_all(&root).map_err(Error::file(&root))?;
        let file = root.join(GROUPS);
        let bytes = write_groups(&file, &Ids::of(&self.work.now.book), &self.groups.groups)?;
        crash::point();
        let mut documents = vec![DocumentRow {
            revision: close.revision,
            path: format!("{place}/{GROUPS}"),
            invoice: None,
            kind: GROUPS_KIND.to_owned(),
            sha256: sheets::sha256(&file)?,
            bytes,
            lines: self.groups.groups.len() as u64,
        }];
        let daily = self.write_daily(ctx, close, invoices, &root, workers)?;
        ctx.progress.begin("writing documents", Some(self.edges.len() as u64));
        let written = in_parallel(workers, self.edges.len(), |at| {
            let written = self.write_edge(&self.edges[at], close, invoices, &root);
            ctx.progress.advance(1);
            written
        })?;
        ctx.progress.end();
        documents.extend(daily);
        documents.extend(written.into_iter().flatten());
        Ok(documents)
    }

    /// Writes the daily rows of all edges, portion by portion.
    fn write_daily(
        &self,
        ctx: &Ctx<'_>,
        close: &CloseRow,
        invoices: &[InvoiceRow],
        root: &Path,
        workers: usize,
    ) -> Result<Vec<DocumentRow>> {
        let work = self.work;
        let beyond = work.beyond(close.issue_on);
        let drawing = Drawing::new(work, &beyond);
        let mut files: BTreeMap<EdgeIndex, (&InvoiceRow, PathBuf, Sink)> = BTreeMap::new();
        for drawn in &self.edges {
            let (invoice, folder) = (self.invoice(drawn, invoices)?, self.folder(drawn, root));
            std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
            let sink = Sink::create(&folder.join(DAILY), Format::Parquet, &drawing.layout)?;
            files.insert(drawn.edge, (invoice, folder, sink));
        }
        let numbers: BTreeMap<EdgeIndex, &str> =
            files.iter().map(|(edge, (invoice, ..))| (*edge, invoice.number.as_str())).collect();
        let sides = (&work.before, &work.now);
        let names = Names::of(sides.0, sides.1);
        let partitions = work.now.touched_partitions(&work.touched);
        ctx.progress.begin("writing daily files", Some(partitions.len() as u64));
        for partition in partitions {
            let mut portions = portions(sides, &work.touched, partition)?.into_iter();
            loop {
                // As many at a time as there are workers, written in their order.
                let some: Vec<_> =
                    portions.by_ref().take(workers.max(1)).map(|p| Mutex::new(Some(p))).collect();
                if some.is_empty() {
                    break;
                }
                let raters = || Raters::new(sides.0, sides.1, &names);
                let tables = in_parallel_with(workers, some.len(), raters, |raters, at| {
                    let portion = some[at].lock().unwrap_or_else(PoisonError::into_inner).take();
                    let portion = portion.ok_or_else(|| Error::internal("a portion is gone"))?;
                    let (before, now) = raters.rate(portion)?;
                    let drawn = drawing.portion(before, now)?;
                    let table = |edge: &DrawnEdge| {
                        let Some(number) = numbers.get(&edge.edge) else { return Ok(None) };
                        let mut table = TableBuilder::new(&drawing.layout);
                        edge.daily(number, &mut table)?;
                        Ok(Some((edge.edge, table.take()?)))
                    };
                    drawn.edges.iter().map(table).collect::<Result<Vec<_>>>()
                })?;
                for (edge, rows) in tables.into_iter().flatten().flatten() {
                    if let Some((_, _, sink)) = files.get_mut(&edge) {
                        sink.write(&rows)?;
                    }
                }
            }
            ctx.progress.advance(1);
        }
        ctx.progress.end();
        let mut documents = Vec::new();
        for drawn in &self.edges {
            let Some((invoice, folder, sink)) = files.remove(&drawn.edge) else { continue };
            sink.finish()?;
            let rows = drawn.rows.usage + drawn.rows.rounding;
            let place = self.place(drawn, close);
            let row = issuing::document_row(invoice, (&folder, &place), DAILY, DAILY_KIND, rows)?;
            documents.push(row);
        }
        crash::point();
        Ok(documents)
    }

    /// The invoice of an edge, as it was frozen.
    fn invoice<'i>(&self, drawn: &DrawnEdge, invoices: &'i [InvoiceRow]) -> Result<&'i InvoiceRow> {
        let terms = &self.work.now.book.edges()[drawn.edge.get()];
        let (seller, buyer) = (terms.seller, terms.buyer);
        let invoice = invoices.iter().find(|i| (i.seller, i.buyer) == (seller, buyer));
        invoice
            .filter(|i| (i.net, i.rated_lines) == (drawn.net, drawn.rows.usage))
            .ok_or_else(|| Error::internal("an invoice is not what the facts of it give"))
    }

    /// The keys of an edge.
    fn keys(&self, drawn: &DrawnEdge) -> (&str, &str) {
        let terms = &self.work.now.book.edges()[drawn.edge.get()];
        (self.naming.key(terms.seller), self.naming.key(terms.buyer))
    }

    fn folder(&self, drawn: &DrawnEdge, root: &Path) -> PathBuf {
        let (seller, buyer) = self.keys(drawn);
        root.join(seller).join(buyer)
    }

    fn place(&self, drawn: &DrawnEdge, close: &CloseRow) -> String {
        let (seller, buyer) = self.keys(drawn);
        format!("{}/{seller}/{buyer}", place(close.month, close.revision))
    }

    fn write_edge(
        &self,
        drawn: &DrawnEdge,
        close: &CloseRow,
        invoices: &[InvoiceRow],
        root: &Path,
    ) -> Result<[DocumentRow; 2]> {
        let invoice = self.invoice(drawn, invoices)?;
        let (seller, buyer) = (invoice.seller, invoice.buyer);
        let folder = self.folder(drawn, root);
        let path = folder.join("reconciliation.parquet");
        let billed = self.reconciliation(drawn, invoice, &path)?;
        crash::point();
        let facts = Facts { close, known: &self.work.now.known, book: &self.work.now.book };
        let preceding = self.work.preceding(seller, buyer);
        let document = facts.invoice(&self.naming, invoice, drawn.edge, billed, preceding)?;
        issuing::write_json(&folder.join("invoice.json"), &document)?;
        crash::point();
        let place = self.place(drawn, close);
        let row = |name, kind, lines| {
            issuing::document_row(invoice, (&folder, &place), name, kind, lines)
        };
        Ok([
            row("reconciliation.parquet", "reconciliation", invoice.invoice_lines)?,
            row("invoice.json", "invoice", 1)?,
        ])
    }

    /// Writes the lines; returns what they come to.
    fn reconciliation(
        &self,
        drawn: &DrawnEdge,
        invoice: &InvoiceRow,
        path: &Path,
    ) -> Result<BilledLines> {
        let book = &self.work.now.book;
        let terms = &book.edges()[drawn.edge.get()];
        let layout = layout(terms.currency);
        let mut table = TableBuilder::new(&layout);
        begin(&mut table, &invoice.number);
        let taxation = Taxation::new(&self.work.now.known, book);
        let mut taxes = taxation.of_edge(drawn.edge);
        let mut categories: BTreeMap<&str, (u64, i64)> = BTreeMap::new();
        for difference in &drawn.lines {
            subscription(&mut table, self.naming.rows_of(difference.subscription, drawn.edge));
            let product = self.naming.product(difference.subscription, difference.meter);
            let (lines, net) = categories.entry(product.category).or_default();
            *lines += 1;
            *net += difference.amount_minor;
            let net = Money::new(difference.amount_minor, terms.currency);
            let tax = taxes.add(difference.subscription, net)?;
            let of = self.work.line_of(drawn.edge, difference);
            let id = of.adjustment_id(invoice.revision, difference.charge_type);
            let changes = if difference.was_billed { of.id().to_string() } else { String::new() };
            line(
                &mut table,
                &Line {
                    product,
                    unit_price: difference.price.unit_price,
                    effective_unit_price: difference.price.effective_unit_price,
                    quantity: difference.quantity,
                    subtotal: difference.amount_minor,
                    tax: tax.minor(),
                    adjustment: &difference.adjustment,
                    billing: billing(&difference.price, terms.currency),
                    reference: &id.to_string(),
                    charge_type: difference.charge_type,
                    alternate: &changes,
                },
            );
        }
        let mut sink = Sink::create(path, Format::Parquet, &layout)?;
        sink.write(&table.take()?)?;
        sink.finish()?;
        let category = |(category, (lines, net)): (&str, (u64, i64))| CategoryDocument {
            category: category.to_owned(),
            lines,
            net: Money::new(net, terms.currency).digits(),
        };
        Ok(BilledLines {
            categories: categories.into_iter().map(category).collect(),
            tax_rounding: taxes.rounding,
            taxes: taxes.sums(),
        })
    }
}
