//! Adjusting a closed month: what became known since the last time is billed as a difference.
//!
//! ```text
//! to bill = what the month comes to by what is known now - what has been billed
//! ```
//!
//! Only subscriptions and meters with newly known usage are rated, once as they were known then
//! and once as they are known now. What was billed is rated again rather than believed: it must
//! come to the frozen amounts.

mod difference;
mod draw;
mod frozen;
mod horizon;
mod portion;
mod post;
mod side;
mod touched;

use std::collections::{BTreeMap, BTreeSet};

use domain::{Action, BillingPeriods, LineOf, Resource};
use jiff::civil::Date;
use kernel::{Error, Money, Month, OrganisationId, Quantity, Result};
use lake::usage::Columns;
use rating::{EdgeIndex, RateBook, Unpriced};
use store::{CloseRow, DocumentRow, InvoiceRow, Tx};

use crate::close::RATED_LINES;
use crate::export::daily::Decimal;
use crate::facts::Known;
use crate::groups::KeptGroups;
use crate::naming::Naming;
use crate::partitions::in_parallel_with;
use crate::rate::{MissingPrice, missing_of};
use crate::{Ctx, facts};
use draw::{Drawing, DrawnEdge};
use portion::{Names, Raters, portions};
use side::Rated;

pub(crate) use frozen::GROUPS;
pub(crate) use horizon::{beyond, left_out};

pub(crate) use difference::{DifferenceLine, Sides};
pub use post::{Adjusted, post};
pub(crate) use side::Side;
pub(crate) use touched::Touched;

/// What would be billed now for a closed month.
#[derive(Debug, Clone)]
pub struct Differences {
    /// The month.
    pub month: Month,
    /// The revision that these differences would become: 1 is the first adjustment.
    pub revision: u32,
    /// Usage records that became known since the last revision.
    pub records: u64,
    /// What each edge comes to, by seller and buyer.
    pub edges: Vec<EdgeDifference>,
    /// What edges would come to that are no longer corrected; it is not billed.
    pub beyond: Vec<EdgeDifference>,
    /// New usage without a price, which is in none of the differences.
    pub missing: Vec<MissingPrice>,
}

/// The difference of an edge.
#[derive(Debug, Clone)]
pub struct EdgeDifference {
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// The seller's key.
    pub seller_key: String,
    /// The buyer's key.
    pub buyer_key: String,
    /// The number of the last invoice of the edge and month, if there is one.
    pub preceding: Option<String>,
    /// What is to be paid besides, before tax; negative where something is given back.
    pub net: Money,
    /// The lines.
    pub lines: Vec<Difference>,
}

/// A line of a difference.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The subscription's id.
    pub subscription: String,
    /// The meter's id.
    pub meter: String,
    /// What it meters.
    pub description: String,
    /// The tier, counted from zero.
    pub tier: u8,
    /// `adjustment`, `reversal` or `new`.
    pub charge_type: &'static str,
    /// How much more is billed.
    pub quantity: Quantity,
    /// What it comes to.
    pub amount: Money,
}

/// Shows what became known about a closed month since it was last billed, and what that comes to.
/// Nothing is frozen.
///
/// # Errors
/// Where the month is not closed, or what it froze has been changed.
pub async fn differences(ctx: Ctx<'_>, month: Month, workers: usize) -> Result<Differences> {
    let mut tx = ctx.read(Action::Read, Resource::Period).await?;
    let last = last_revision(&mut tx, month).await?;
    let work = Work::load(&ctx, &mut tx, &last, i64::MAX).await?;
    drop(tx);
    let beyond = work.beyond(work.now.known.programme.zone.day_of(ctx.now));
    let drawn = work.draw(workers, &beyond)?;
    work.check_frozen(&ctx, &drawn.groups)?;
    work.differences(&drawn, &beyond)
}

/// The edges on which something is to be billed, by seller and buyer.
pub(crate) async fn pending(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    last: &CloseRow,
    workers: usize,
) -> Result<BTreeSet<(OrganisationId, OrganisationId)>> {
    let work = Work::load(ctx, tx, last, i64::MAX).await?;
    let beyond = work.beyond(work.now.known.programme.zone.day_of(ctx.now));
    let drawn = work.draw(workers, &beyond)?;
    let edges = drawn.edges.iter().map(|drawn| {
        let edge = &work.now.book.edges()[drawn.edge.get()];
        (edge.seller, edge.buyer)
    });
    Ok(edges.collect())
}

/// The last time that a month was billed.
pub(crate) async fn last_revision(tx: &mut Tx, month: Month) -> Result<CloseRow> {
    let last = tx.revisions(month).await?.pop();
    let last = last.ok_or_else(|| {
        Error::conflict(format!(
            "{month} is not closed, so there is nothing to adjust; see what it comes to with \
             `skyhandel rate --period {month}`"
        ))
    })?;
    if last.finished {
        return Ok(last);
    }
    let command = if last.revision == 0 { "close" } else { "adjust --post" };
    Err(Error::conflict(format!(
        "the documents of {month} are not finished; go on with `skyhandel {command} --period \
         {month}`"
    )))
}

/// What an adjustment was billed by.
///
/// # Errors
/// Where that is not what was known then.
pub(crate) async fn billed_side(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    before: &CloseRow,
    close: &CloseRow,
) -> Result<Side> {
    let (documents, known) = (tx.documents(close.month).await?, (before.known_at, close.known_at));
    let touched = touched(ctx, tx, close.month, known).await?;
    let place = (close.month, partitions(&documents));
    let side = Side::load(ctx, tx, place, close.known_at, &touched).await?;
    refuse_other_book(&side.book, close)?;
    Ok(side)
}

/// What became known of a month after one instant and up to another.
async fn touched(
    ctx: &Ctx<'_>,
    tx: &mut Tx,
    month: Month,
    (after, until): (i64, i64),
) -> Result<Touched> {
    let programme = facts::programme(tx, until).await?;
    let periods = BillingPeriods::of(&programme, month);
    let mut touched = Touched::between(ctx, tx, &periods, (after, until)).await?;
    let accepted = tx.acceptances(month, until).await?.into_iter();
    let accepted = accepted.filter(|row| after < row.known_at);
    let on: BTreeSet<_> = accepted.map(|row| (row.seller, row.buyer)).collect();
    if !on.is_empty() {
        let now = Known::load(ctx, tx, month, until).await?;
        let mut before = Known::load(ctx, tx, month, after).await?;
        before.meters.clone_from(&now.meters);
        touched.add_restated((&before.book(month)?, &now.book(month)?), &on);
    }
    Ok(touched)
}

/// How many partitions a close has frozen.
pub(crate) fn partitions(documents: &[DocumentRow]) -> usize {
    documents.iter().filter(|document| document.kind == RATED_LINES).count()
}

/// An adjustment is billed by the rate book that it was begun by.
pub(crate) fn refuse_other_book(book: &RateBook, close: &CloseRow) -> Result<()> {
    let found = book.hash_by(close.engine_version).to_string();
    if found == close.rate_book {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "adjustment {} of {} was billed by the rate book {}, but what was known then now gives \
         {found}; the data folder has been changed, or the engine has: restore it, or use the \
         version that made the adjustment",
        close.revision, close.month, close.rate_book
    )))
}

/// Everything that a difference is computed from.
pub(crate) struct Work {
    month: Month,
    /// The revision before the difference.
    last: CloseRow,
    /// What is known up to this instant is billed.
    known_at: i64,
    /// The edges that earlier adjustments have left out.
    left_out: BTreeSet<horizon::Pair>,
    /// Every earlier invoice of the month.
    invoices: Vec<InvoiceRow>,
    documents: Vec<DocumentRow>,
    /// The day of issue of the last invoice of any month: numbers and days go together.
    latest: Option<Date>,
    /// The decimals of daily amounts, which are those of the close.
    decimals: Decimal,
    touched: Touched,
    pub before: Side,
    pub now: Side,
}

/// Groups of both sides.
#[derive(Default)]
pub(crate) struct Both {
    pub before: KeptGroups,
    pub now: KeptGroups,
    /// Usage that has no price now.
    pub unpriced: Vec<Unpriced>,
}

impl Both {
    /// Rates both sides of every partition with something new.
    pub fn rate((before, now): (&Side, &Side), touched: &Touched, workers: usize) -> Result<Self> {
        let partitions = now.touched_partitions(touched);
        let resources = [before, now].iter().any(|side| side.book.depends_on_resources());
        let columns = if resources { Columns::Resources } else { Columns::Times };
        let raters = || (before.rater(None), now.rater(None));
        let parts = in_parallel_with(workers, partitions.len(), raters, |(then, today), at| {
            let rows = now.rows(touched, partitions[at], columns)?;
            let known = rows.iter().filter(|(segment, _)| before.knows(segment));
            let known = known.map(|(_, rows)| rows);
            let before = side::rate(then, known, columns)?;
            Ok((before, side::rate(today, rows.iter().map(|r| &r.1), columns)?))
        })?;
        let mut both = Self::default();
        for (before, now) in parts {
            both.take(before, now);
        }
        Ok(both)
    }

    fn take(&mut self, before: Rated, now: Rated) {
        self.before.append(before.groups);
        self.now.append(now.groups);
        self.unpriced.extend(now.unpriced);
    }

    fn append(&mut self, other: Self) {
        self.before.append(other.before);
        self.now.append(other.now);
        self.unpriced.extend(other.unpriced);
    }
}

/// Both sides, and what each edge that is corrected comes to.
pub(crate) struct Drawn {
    pub groups: Both,
    /// None where usage has no price.
    pub edges: Vec<DrawnEdge>,
}

impl Work {
    /// Loads what was known when the month was last billed and at an instant.
    pub async fn load(ctx: &Ctx<'_>, tx: &mut Tx, last: &CloseRow, known_at: i64) -> Result<Self> {
        let month = last.month;
        let touched = touched(ctx, tx, month, (last.known_at, known_at)).await?;
        let documents = tx.documents(month).await?;
        let partitions = partitions(&documents);
        let before = Side::load(ctx, tx, (month, partitions), last.known_at, &touched).await?;
        let now = Side::load(ctx, tx, (month, partitions), known_at, &touched).await?;
        let decimals = Decimal::of_month(ctx, month).await?;
        let mut invoices = tx.invoices().await?;
        let latest = invoices.iter().map(|invoice| invoice.issue_on).max();
        invoices.retain(|invoice| invoice.month == month && invoice.revision <= last.revision);
        let revisions = tx.revisions(month).await?;
        let adjusted = revisions.iter().filter(|r| 0 < r.revision && r.revision <= last.revision);
        let left_out = left_out(tx, month, &adjusted.collect::<Vec<_>>()).await?;
        Ok(Self {
            left_out,
            month,
            last: last.clone(),
            known_at,
            invoices,
            documents,
            latest,
            decimals,
            touched,
            before,
            now,
        })
    }

    /// Rates both sides of every partition with something new, and draws what edges come to that
    /// are still corrected.
    pub fn draw(&self, workers: usize, beyond: &BTreeSet<EdgeIndex>) -> Result<Drawn> {
        let sides = (&self.before, &self.now);
        let partitions = self.now.touched_partitions(&self.touched);
        let drawing = Drawing::new(self, beyond);
        let names = Names::of(sides.0, sides.1);
        let raters = || Raters::new(sides.0, sides.1, &names);
        let parts = in_parallel_with(workers, partitions.len(), raters, |raters, at| {
            let (mut groups, mut edges) = (Both::default(), Vec::new());
            for portion in portions(sides, &self.touched, partitions[at])? {
                let (before, now) = raters.rate(portion)?;
                let portion = drawing.portion(before, now)?;
                // Rows are made again when they are written.
                edges.extend(portion.edges.into_iter().map(DrawnEdge::without_rows));
                groups.append(portion.groups);
            }
            Ok((groups, edges))
        })?;
        let (mut groups, mut edges) = (Both::default(), BTreeMap::new());
        for (part, drawn) in parts {
            groups.append(part);
            for edge in drawn {
                DrawnEdge::collect(&mut edges, edge)?;
            }
        }
        let mut edges: Vec<DrawnEdge> = edges.into_values().collect();
        edges.iter_mut().for_each(DrawnEdge::sort);
        Ok(Drawn { groups, edges })
    }

    /// Both sides, to be compared.
    pub fn sides<'a>(&'a self, rated: &'a Both) -> Sides<'a> {
        Sides { before: (&self.before, &rated.before), now: (&self.now, &rated.now) }
    }

    /// The edges that are no longer corrected on a day.
    pub fn beyond(&self, issue_on: Date) -> BTreeSet<EdgeIndex> {
        let mut out = beyond(&self.now.known.programme, self.month, issue_on);
        out.extend(&self.left_out);
        out.into_iter().filter_map(|(s, b)| self.now.book.find_edge(s, b)).collect()
    }

    /// The lines of each edge that is corrected, by subscription, meter and tier.
    pub fn lines(
        &self,
        drawn: &Drawn,
        beyond: &BTreeSet<EdgeIndex>,
    ) -> Result<BTreeMap<EdgeIndex, Vec<DifferenceLine>>> {
        // Usage without a price has no rows.
        if !drawn.groups.unpriced.is_empty() {
            let mut lines = self.sides(&drawn.groups).all_lines()?;
            lines.retain(|edge, _| !beyond.contains(edge));
            return Ok(lines);
        }
        Ok(drawn.edges.iter().map(|drawn| (drawn.edge, drawn.lines.clone())).collect())
    }

    /// What a line is about.
    pub fn line_of(&self, edge: EdgeIndex, line: &DifferenceLine) -> LineOf<'_> {
        let book = &self.now.book;
        let terms = &book.edges()[edge.get()];
        LineOf {
            seller: terms.seller,
            buyer: terms.buyer,
            month: self.month,
            subscription: book.subscription_id(line.subscription),
            meter: &book.meters()[line.meter.get()],
            tier: line.tier,
        }
    }

    fn missing(&self, rated: &Both) -> Vec<MissingPrice> {
        missing_of(&self.now.known, &self.now.book, &rated.unpriced)
    }

    fn differences(&self, drawn: &Drawn, out: &BTreeSet<EdgeIndex>) -> Result<Differences> {
        let naming = Naming::new(&self.now.known, &self.now.book);
        let edges_of = |lines: BTreeMap<EdgeIndex, Vec<DifferenceLine>>| {
            let edges = lines.into_iter().map(|(edge, lines)| self.edge(&naming, edge, &lines));
            let mut edges = edges.collect::<Result<Vec<_>>>()?;
            edges.sort_by(|a, b| (&a.seller_key, &a.buyer_key).cmp(&(&b.seller_key, &b.buyer_key)));
            Ok::<_, Error>(edges)
        };
        let edges = edges_of(self.lines(drawn, out)?)?;
        let mut beyond = BTreeMap::new();
        if !out.is_empty() {
            beyond = self.sides(&drawn.groups).all_lines()?;
            beyond.retain(|edge, _| out.contains(edge));
        }
        let beyond = edges_of(beyond)?;
        Ok(Differences {
            beyond,
            month: self.month,
            revision: self.last.revision + 1,
            records: self.touched.records,
            edges,
            missing: self.missing(&drawn.groups),
        })
    }

    fn edge(
        &self,
        naming: &Naming<'_>,
        edge: EdgeIndex,
        lines: &[DifferenceLine],
    ) -> Result<EdgeDifference> {
        let terms = &self.now.book.edges()[edge.get()];
        let preceding = self.preceding(terms.seller, terms.buyer).map(|row| row.number.clone());
        EdgeDifference::of((&self.now.book, naming), edge, lines, preceding)
    }

    /// The last invoice of an edge and this month.
    fn preceding(&self, seller: OrganisationId, buyer: OrganisationId) -> Option<&InvoiceRow> {
        let of_edge = self.invoices.iter().filter(|i| (i.seller, i.buyer) == (seller, buyer));
        of_edge.max_by_key(|invoice| invoice.revision)
    }
}

impl EdgeDifference {
    /// The difference that some lines of an edge make.
    pub(crate) fn of(
        (book, naming): (&RateBook, &Naming<'_>),
        edge: EdgeIndex,
        lines: &[DifferenceLine],
        preceding: Option<String>,
    ) -> Result<Self> {
        let terms = &book.edges()[edge.get()];
        let net = lines.iter().try_fold(Money::zero(terms.currency), |net, line| {
            net.checked_add(Money::new(line.amount_minor, terms.currency))
        })?;
        let lines = lines.iter().map(|line| Difference {
            subscription: book.subscription_id(line.subscription).to_string(),
            meter: book.meters()[line.meter.get()].as_str().to_owned(),
            description: naming.product(line.subscription, line.meter).description(),
            tier: line.tier,
            charge_type: line.charge_type,
            quantity: line.quantity,
            amount: Money::new(line.amount_minor, terms.currency),
        });
        Ok(Self {
            seller: terms.seller,
            buyer: terms.buyer,
            seller_key: naming.key(terms.seller).to_owned(),
            buyer_key: naming.key(terms.buyer).to_owned(),
            preceding,
            net,
            lines: lines.collect(),
        })
    }
}
