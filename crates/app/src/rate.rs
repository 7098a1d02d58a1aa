//! Rating an open month: what everybody would be billed now. Nothing is frozen.

use domain::{Action, Because, Resource};
use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use kernel::{Amount, EXCHANGE_RATE_SCALE, Error, Money, Month, OrganisationId, Result, Rounding};
use lake::ColumnarWriter;
use rating::{
    EdgeIndex, Group, LineExtents, LineFormat, LineNames, Output, RateBook, Rater, Unpriced,
};

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
    /// How many usage records it bills.
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
    let scope = ctx.decide(Action::Read, Resource::OpenPeriod)?;
    let mut tx = ctx.system_read(Because::Rating).await?;
    let known = Known::load(&ctx, &mut tx, month, i64::MAX).await?;
    let book = known.book(month)?;
    let usage = PeriodUsage::load(&ctx, &mut tx, book.usage_period(), i64::MAX).await?;
    let closed = tx.period_close(month).await?.is_some();
    drop(tx);
    let wanted = Wanted { groups: false, lines };
    let totals = rate_month(&ctx, &book, &usage, workers, wanted)?;
    if lines.is_some() && !totals.unpriced.is_empty() {
        forget_lines(lines, &totals)?;
        return Err(missing_prices(month, &describe(&known, &book, &totals)));
    }
    Ok(Rated {
        month,
        records: totals.records,
        edges: edge_totals(&known, &book, &totals),
        missing: describe(&known, &book, &totals),
        rate_book: book.hash().to_string(),
        closed,
    }
    .seen_by(scope.party(), &known))
}

impl Rated {
    /// What an organisation may see: the edges of which it is a side, and of those it buys on not
    /// what the seller pays.
    fn seen_by(mut self, party: Option<OrganisationId>, known: &Known) -> Self {
        let Some(party) = party else { return self };
        self.edges.retain(|edge| edge.seller == party || edge.buyer == party);
        for edge in self.edges.iter_mut().filter(|edge| edge.seller != party) {
            edge.bought.clear();
            edge.margin = None;
        }
        let own = known.programme.key_of(party);
        self.missing.retain(|missing| {
            missing.edge.as_ref().is_some_and(|(seller, buyer)| *seller == own || *buyer == own)
        });
        // The whole installation's, which nobody else may count.
        self.records = 0;
        self.rate_book = String::new();
        self
    }
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

/// Removes lines that lack those without a price.
pub(crate) fn forget_lines(folder: Option<&Path>, totals: &Totals) -> Result<()> {
    let files = totals.files.iter().filter_map(|file| Some(folder?.join(&file.name)));
    files.into_iter().try_for_each(|file| std::fs::remove_file(&file).map_err(Error::file(&file)))
}

/// What all groups of a month come to, by edge.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    /// How many usage records are billed or would be if they had a price.
    pub records: u64,
    /// By [`rating::EdgeIndex`]: lines, groups, minor units.
    pub edges: Vec<(u64, u64, i64)>,
    /// By [`rating::EdgeIndex`]: what the seller pays for the same usage, by currency.
    pub bought: Vec<Vec<Money>>,
    /// How wide the amounts of lines are.
    pub extents: LineExtents,
    pub unpriced: Vec<Unpriced>,
    /// The groups, where they are kept.
    pub groups: KeptGroups,
    /// The files of rated lines, where they are written.
    pub files: Vec<LineFile>,
}

/// What is wanted besides totals.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Wanted<'a> {
    /// The groups.
    pub groups: bool,
    /// The rated lines, as Parquet files in a folder: one a partition, with all amounts of a
    /// record in one row.
    pub lines: Option<&'a Path>,
}

/// A file of rated lines.
#[derive(Debug, Clone)]
pub(crate) struct LineFile {
    pub name: String,
    pub rows: u64,
    pub bytes: u64,
}

/// Takes what a partition comes to.
struct PartitionOutput<'a> {
    edges: Vec<(u64, u64, i64)>,
    bought: Vec<Vec<Money>>,
    unpriced: Vec<Unpriced>,
    kept: Option<KeptGroups>,
    lines: Option<LinesFile<'a>>,
}

/// A file of lines, which begins with the first of them.
struct LinesFile<'a> {
    folder: &'a Path,
    name: String,
    writer: Option<ColumnarWriter>,
}

impl LinesFile<'_> {
    fn create(&self, schema: &SchemaRef) -> Result<ColumnarWriter> {
        ColumnarWriter::create(&self.folder.join(&self.name), schema)
    }

    fn finish(self, empty: impl FnOnce() -> SchemaRef) -> Result<LineFile> {
        let writer = match self.writer {
            Some(writer) => writer,
            None => self.create(&empty())?,
        };
        let rows = writer.rows();
        Ok(LineFile { name: self.name, rows, bytes: writer.finish(false)? })
    }
}

impl Output for PartitionOutput<'_> {
    fn group(&mut self, group: &Group) -> Result<()> {
        if let Some(edge) = group.sold_on {
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

    fn lines(&mut self, batch: RecordBatch) -> Result<()> {
        let Some(file) = &mut self.lines else { return Ok(()) };
        if file.writer.is_none() {
            file.writer = Some(file.create(&batch.schema())?);
        }
        file.writer.as_mut().map_or(Ok(()), |writer| writer.write(&batch))
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

/// Rates a month: adds it up, and gives whatever else is wanted, in one pass over the usage.
pub(crate) fn rate_month(
    ctx: &Ctx<'_>,
    book: &RateBook,
    usage: &PeriodUsage,
    workers: usize,
    wanted: Wanted<'_>,
) -> Result<Totals> {
    let names = wanted.lines.map(|_| LineNames::new(book, LINE_ROWS));
    let columns = match names {
        Some(_) => usage.columns_for_lines(book),
        None => usage.columns_for_totals(book),
    };
    if let Some(folder) = wanted.lines {
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    }
    let partitions = usage.partitioning.len();
    ctx.progress.begin("rating", Some(partitions as u64));
    let rater = || Rater::new(book, names.as_ref());
    let parts = in_parallel_with(workers, partitions, rater, |rater, index| {
        let lines =
            wanted.lines.map(|folder| LinesFile { folder, name: lines_name(index), writer: None });
        let mut out = PartitionOutput {
            edges: vec![(0, 0, 0); book.edges().len()],
            bought: vec![Vec::new(); book.edges().len()],
            unpriced: Vec::new(),
            kept: wanted.groups.then(KeptGroups::default),
            lines,
        };
        let before = rater.records();
        usage.reader(index, columns).read(|batch| rater.push(&batch, &mut out))?;
        let records = rater.records() - before;
        let extents = rater.finish(&mut out)?;
        let empty = |names| {
            let format = LineFormat::new(book, names, &extents);
            Arc::clone(format.schema())
        };
        let file = out.lines.take().zip(names.as_ref());
        let file = file.map(|(file, names)| file.finish(|| empty(names))).transpose()?;
        ctx.progress.advance(1);
        Ok((out, file, extents, records))
    })?;
    ctx.progress.end();
    let mut totals = Totals {
        edges: vec![(0, 0, 0); book.edges().len()],
        bought: vec![Vec::new(); book.edges().len()],
        ..Totals::default()
    };
    for (part, file, extents, records) in parts {
        totals.records += records;
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
        totals.files.extend(file);
    }
    Ok(totals)
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
                margin: book
                    .find_edge(edge.seller, edge.buyer)
                    .and_then(|index| margin(book, index, net, &bought))
                    .filter(|_| totals.unpriced.is_empty()),
                bought,
            }
        })
        .collect();
    edges.sort_by(|a, b| (&a.seller_key, &a.buyer_key).cmp(&(&b.seller_key, &b.buyer_key)));
    edges
}

/// What is left of a price after what the seller pays.
pub(crate) fn margin(
    book: &RateBook,
    edge: EdgeIndex,
    net: Money,
    bought: &[Money],
) -> Option<Money> {
    if bought.is_empty() {
        return None;
    }
    bought.iter().try_fold(net, |left, paid| {
        let rate = book.exchange(edge, paid.currency())?;
        let minor = i128::from(paid.minor()).checked_mul(rate.mantissa())?;
        let decimals = paid.currency().minor_digits() + EXCHANGE_RATE_SCALE;
        let exact = Amount::from_scaled(minor.checked_neg()?, decimals).ok()?;
        left.checked_add(exact.round(Rounding::HalfEven, net.currency()).ok()?).ok()
    })
}

/// Unpriced usage by edge, meter and reason.
pub(crate) fn describe(known: &Known, book: &RateBook, totals: &Totals) -> Vec<MissingPrice> {
    missing_of(known, book, &totals.unpriced)
}

/// The same for some unpriced usage.
pub(crate) fn missing_of<'u>(
    known: &Known,
    book: &RateBook,
    unpriced: impl IntoIterator<Item = &'u Unpriced>,
) -> Vec<MissingPrice> {
    let mut missing: std::collections::BTreeMap<_, (String, u64)> =
        std::collections::BTreeMap::new();
    for unpriced in unpriced {
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
