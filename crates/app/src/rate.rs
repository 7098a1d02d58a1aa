//! Rating an open month: what everybody would be billed now. Nothing is frozen.

use std::path::Path;

use arrow_array::RecordBatch;
use kernel::{Amount, EXCHANGE_RATE_SCALE, Error, Money, Month, OrganisationId, Result, Rounding};
use lake::ColumnarWriter;
use lake::usage::Columns;
use rating::{Edge, Group, LineExtents, LineFormat, Output, RateBook, Rater, Unpriced};

use crate::Ctx;
use crate::facts::Known;
use crate::frozen::lines_name;
use crate::groups::{KeptGroups, LINE_ROWS};
use crate::partitions::{PeriodUsage, in_parallel_with};

/// How much unpriced usage is reported one by one.
const UNPRICED_MAX: usize = 100;

/// What an edge comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeTotal {
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// The seller's key.
    pub seller_key: String,
    /// The buyer's key.
    pub buyer_key: String,
    /// How many rated lines.
    pub lines: u64,
    /// How many groups, that is, invoice lines.
    pub groups: u64,
    /// What is to be paid before tax.
    pub net: Money,
    /// What the seller itself pays for the same usage, by currency; nothing for the provider.
    pub bought: Vec<Money>,
    /// The difference in the edge's currency, at the edge's exchange rate; none where the seller
    /// pays nothing, or in a currency that the agreement has no rate for.
    pub margin: Option<Money>,
}

/// Usage without a price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MissingPrice {
    /// Seller and buyer; none where the subscription has no sale path.
    pub edge: Option<(String, String)>,
    /// The meter.
    pub meter: String,
    /// Why, and what to do.
    pub reason: String,
    /// One of the subscriptions.
    pub subscription: String,
    /// How many subscriptions.
    pub subscriptions: u64,
}

/// An open month, rated.
#[derive(Debug, Clone)]
pub struct Rated {
    /// The month.
    pub month: Month,
    /// How many usage records there are.
    pub records: u64,
    /// What each edge comes to, by seller and buyer.
    pub edges: Vec<EdgeTotal>,
    /// Usage without a price, which is in none of the totals.
    pub missing: Vec<MissingPrice>,
    /// The hash of the rate book.
    pub rate_book: String,
    /// Whether the month is closed: its invoices say what was known then, not what is known now.
    pub closed: bool,
}

/// Rates a month by what is known now, with one worker a core unless told otherwise. With a
/// folder, writes the rated lines there.
pub async fn rate(
    ctx: Ctx<'_>,
    month: Month,
    workers: usize,
    lines: Option<&Path>,
) -> Result<Rated> {
    let mut tx = ctx.read().await?;
    let known = Known::load(&ctx, &mut tx, month, i64::MAX).await?;
    let book = known.book(month)?;
    let usage = PeriodUsage::load(&ctx, &mut tx, book.period_micros(), i64::MAX).await?;
    let closed = tx.period_close(month).await?.is_some();
    drop(tx);
    let totals = totals(&ctx, &book, &usage, workers)?;
    if let Some(folder) = lines {
        if !totals.unpriced.is_empty() {
            return Err(missing_prices(month, &describe(&known, &book, &totals)));
        }
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        write_lines(&ctx, &book, &usage, workers, &totals.extents, folder)?;
    }
    Ok(Rated {
        month,
        records: usage.rows(),
        edges: edge_totals(&known, &book, &totals),
        missing: describe(&known, &book, &totals),
        rate_book: book.hash().to_string(),
        closed,
    })
}

/// The error of a month that cannot be closed because usage has no price.
pub(crate) fn missing_prices(month: Month, missing: &[MissingPrice]) -> Error {
    let listed = missing.iter().take(UNPRICED_MAX).map(|missing| {
        let edge = missing.edge.as_ref();
        let edge = edge.map_or_else(String::new, |(s, b)| format!("{s} -> {b}, "));
        let more = missing.subscriptions - 1;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!(
            "\n  {edge}meter {}, subscription {}{more}: {}",
            missing.meter, missing.subscription, missing.reason
        )
    });
    Error::conflict(format!(
        "usage of {month} has no price in {} cases; nothing was frozen:{}",
        missing.len(),
        listed.collect::<String>()
    ))
}

/// What all groups of a month come to, by edge.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// By [`rating::EdgeIndex`]: lines, groups, minor units.
    pub edges: Vec<(u64, u64, i64)>,
    /// By [`rating::EdgeIndex`]: what the seller pays for the same usage, by currency.
    pub bought: Vec<Vec<Money>>,
    pub extents: LineExtents,
    pub unpriced: Vec<Unpriced>,
    /// The groups, where they are kept.
    pub groups: KeptGroups,
}

struct TotalsOutput<'a> {
    book: &'a RateBook,
    edges: Vec<(u64, u64, i64)>,
    bought: Vec<Vec<Money>>,
    unpriced: Vec<Unpriced>,
    kept: Option<KeptGroups>,
}

impl Output for TotalsOutput<'_> {
    fn group(&mut self, group: &Group) -> Result<()> {
        let sold_on = self.book.path(group.subscription).get(usize::from(group.position) + 1);
        if let Some(edge) = sold_on {
            add(&mut self.bought[edge.get()], group.money)?;
        }
        let (lines, groups, net) = &mut self.edges[group.edge.get()];
        *lines += group.lines;
        *groups += 1;
        *net = net
            .checked_add(group.money.minor())
            .ok_or_else(|| Error::invalid("amount", "is too large for a document"))?;
        self.kept.as_mut().map_or(Ok(()), |kept| kept.push(group))
    }

    fn unpriced(&mut self, unpriced: Unpriced) -> Result<()> {
        self.unpriced.push(unpriced);
        Ok(())
    }

    fn lines(&mut self, _batch: RecordBatch) -> Result<()> {
        Ok(())
    }
}

/// Adds an amount to those of the same currency.
fn add(amounts: &mut Vec<Money>, amount: Money) -> Result<()> {
    match amounts.iter_mut().find(|sum| sum.currency() == amount.currency()) {
        Some(sum) => *sum = sum.checked_add(amount)?,
        None => amounts.push(amount),
    }
    Ok(())
}

/// Adds a month up.
pub(crate) fn totals(
    ctx: &Ctx<'_>,
    book: &RateBook,
    usage: &PeriodUsage,
    workers: usize,
) -> Result<Totals> {
    totals_keeping(ctx, book, usage, workers, false)
}

/// Adds a month up, and keeps the groups if asked to.
pub(crate) fn totals_keeping(
    ctx: &Ctx<'_>,
    book: &RateBook,
    usage: &PeriodUsage,
    workers: usize,
    keep: bool,
) -> Result<Totals> {
    let columns = usage.columns_for_totals(book);
    let partitions = usage.partitioning.len();
    ctx.progress.begin("rating", Some(partitions as u64));
    let rater = || Rater::new(book, None);
    let parts = in_parallel_with(workers, partitions, rater, |rater, index| {
        let mut out = TotalsOutput {
            book,
            edges: vec![(0, 0, 0); book.edges().len()],
            bought: vec![Vec::new(); book.edges().len()],
            unpriced: Vec::new(),
            kept: keep.then(KeptGroups::default),
        };
        let extents = rate_partition(rater, usage, index, columns, &mut out)?;
        ctx.progress.advance(1);
        Ok((out, extents))
    })?;
    ctx.progress.end();
    let mut totals = Totals {
        edges: vec![(0, 0, 0); book.edges().len()],
        bought: vec![Vec::new(); book.edges().len()],
        ..Totals::default()
    };
    for (part, extents) in parts {
        for (sum, part) in totals.edges.iter_mut().zip(part.edges) {
            let net = sum.2.checked_add(part.2);
            let net = net.ok_or_else(|| Error::invalid("amount", "is too large for a document"));
            *sum = (sum.0 + part.0, sum.1 + part.1, net?);
        }
        for (sums, part) in totals.bought.iter_mut().zip(part.bought) {
            part.into_iter().try_for_each(|amount| add(sums, amount))?;
        }
        totals.extents.merge(&extents);
        totals.unpriced.extend(part.unpriced);
        totals.groups.append(part.kept.unwrap_or_default());
    }
    Ok(totals)
}

/// Rates one partition. The rater remembers prices from one partition to the next.
fn rate_partition(
    rater: &mut Rater<'_>,
    usage: &PeriodUsage,
    index: usize,
    columns: Columns,
    out: &mut impl Output,
) -> Result<LineExtents> {
    usage.reader(index, columns).read(|batch| rater.push(&batch, out))?;
    rater.finish(out)
}

/// Writes lines to a file.
struct LinesOutput {
    writer: ColumnarWriter,
}

impl Output for LinesOutput {
    fn group(&mut self, _group: &Group) -> Result<()> {
        Ok(())
    }

    fn unpriced(&mut self, unpriced: Unpriced) -> Result<()> {
        Err(Error::internal(format!("usage of meter {} lost its price", unpriced.meter)))
    }

    fn lines(&mut self, batch: RecordBatch) -> Result<()> {
        self.writer.write(&batch)
    }
}

/// A file of rated lines.
#[derive(Debug, Clone)]
pub(crate) struct LineFile {
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
}

/// Writes the rated lines of a month as Parquet files, one a partition, which have all amounts of
/// a record in one row.
pub(crate) fn write_lines(
    ctx: &Ctx<'_>,
    book: &RateBook,
    usage: &PeriodUsage,
    workers: usize,
    extents: &LineExtents,
    folder: &Path,
) -> Result<Vec<LineFile>> {
    let format = LineFormat::new(book, extents, LINE_ROWS);
    let columns = usage.columns_for_lines(book);
    let partitions = usage.partitioning.len();
    ctx.progress.begin("writing lines", Some(partitions as u64));
    let rater = || Rater::new(book, Some(&format));
    let files = in_parallel_with(workers, partitions, rater, |rater, index| {
        let name = lines_name(index);
        let writer = ColumnarWriter::create(&folder.join(&name), format.schema())?;
        let mut out = LinesOutput { writer };
        rate_partition(rater, usage, index, columns, &mut out)?;
        ctx.progress.advance(1);
        let rows = out.writer.rows();
        Ok(LineFile { name, rows, bytes: out.writer.finish(false)? })
    })?;
    ctx.progress.end();
    Ok(files)
}

/// What each edge with usage comes to.
pub(crate) fn edge_totals(known: &Known, book: &RateBook, totals: &Totals) -> Vec<EdgeTotal> {
    let edges = book.edges().iter().zip(&totals.edges).zip(&totals.bought);
    let mut edges: Vec<EdgeTotal> = edges
        .filter(|((_, (lines, ..)), _)| *lines > 0)
        .map(|((edge, (lines, groups, net)), bought)| {
            let net = Money::new(*net, edge.currency);
            let mut bought = bought.clone();
            bought.sort_by_key(|amount| amount.currency().code());
            EdgeTotal {
                seller: edge.seller,
                buyer: edge.buyer,
                seller_key: known.programme.key_of(edge.seller),
                buyer_key: known.programme.key_of(edge.buyer),
                lines: *lines,
                groups: *groups,
                net,
                margin: margin(book, edge, net, &bought).filter(|_| totals.unpriced.is_empty()),
                bought,
            }
        })
        .collect();
    edges.sort_by(|a, b| (&a.seller_key, &a.buyer_key).cmp(&(&b.seller_key, &b.buyer_key)));
    edges
}

/// What is left of a price after what the seller pays.
fn margin(book: &RateBook, edge: &Edge, net: Money, bought: &[Money]) -> Option<Money> {
    if bought.is_empty() {
        return None;
    }
    let index = book.find_edge(edge.seller, edge.buyer)?;
    bought.iter().try_fold(net, |left, paid| {
        let rate = book.exchange(index, paid.currency())?;
        let minor = i128::from(paid.minor()).checked_mul(rate.mantissa())?;
        let decimals = paid.currency().minor_digits() + EXCHANGE_RATE_SCALE;
        let exact = Amount::from_scaled(minor.checked_neg()?, decimals).ok()?;
        left.checked_add(exact.round(Rounding::HalfEven, edge.currency).ok()?).ok()
    })
}

/// Unpriced usage by edge, meter and reason.
pub(crate) fn describe(known: &Known, book: &RateBook, totals: &Totals) -> Vec<MissingPrice> {
    let mut missing: std::collections::BTreeMap<_, (String, u64)> =
        std::collections::BTreeMap::new();
    for unpriced in &totals.unpriced {
        let edge = unpriced.edge.map(|edge| {
            let edge = &book.edges()[edge.get()];
            (known.programme.key_of(edge.seller), known.programme.key_of(edge.buyer))
        });
        let key = (edge, unpriced.meter.clone(), unpriced.reason.clone());
        let entry = missing.entry(key).or_insert_with(|| (unpriced.subscription.clone(), 0));
        entry.1 += 1;
    }
    missing
        .into_iter()
        .map(|((edge, meter, reason), (subscription, subscriptions))| MissingPrice {
            edge,
            meter,
            reason,
            subscription,
            subscriptions,
        })
        .collect()
}
