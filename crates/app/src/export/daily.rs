//! The daily rated usage files, from frozen lines, frozen groups and the usage behind them.
//!
//! All three lie in canonical order, so they are read side by side: the next line belongs to the
//! next record, and after the last line of a subscription and meter come its groups. Partitions
//! are read at the same time on all cores; those of one file are appended in their order.

mod records;
mod run;
mod tables;

use std::collections::BTreeMap;
use std::path::Path;

use arrow_array::RecordBatch;
use documents::{Format, Layout, daily};
use domain::Role;
use kernel::{Error, Month, Result, Zone};
use lake::usage::{Columns, batches_of};
use rating::{EdgeIndex, Extent, RateBook};

use super::price_lists::{PriceDigits, PriceLists};
use super::{Frozen, WantedEdge, by_edge};
use crate::Ctx;
use crate::frozen::{Decimals, FrozenGroup, Lines, groups_name, lines_name, read_groups};
use crate::naming::Naming;
use crate::partitions::in_parallel;
use records::Records;
use run::Run;
use tables::{Tables, Turns};

/// Files of edges that sell on that are written at the same time; more take another pass.
const FILES_AT_ONCE: usize = 400;
/// A rounded amount has at least the decimals of its currency.
const BILLING_DECIMALS_MIN: u8 = 3;
/// Digits that a decimal column can have.
const DIGITS_MAX: u8 = 38;

/// The daily file of an edge: the invoice that its rows name, and where it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DailyFile<'a> {
    pub invoice_number: &'a str,
    pub folder: &'a Path,
}

/// What rows are made with, and where they go.
pub(crate) struct DailyFiles<'a> {
    pub book: &'a RateBook,
    pub zone: &'a Zone,
    pub naming: &'a Naming<'a>,
    pub files: Vec<DailyFile<'a>>,
    /// The edges whose rows are made, and which of the files is theirs.
    pub chosen: BTreeMap<EdgeIndex, usize>,
    pub format: Format,
    pub layout: Layout,
}

/// Writes the daily file of every wanted edge; returns how many rows of each make up for rounding.
pub(super) fn write<'w>(
    ctx: &Ctx<'_>,
    frozen: &Frozen,
    naming: &Naming<'_>,
    wanted: &'w [WantedEdge<'_>],
    (format, decimals): (Format, Decimal),
) -> Result<Vec<u64>> {
    let mut rounding = vec![0; wanted.len()];
    let file = |edge: &'w WantedEdge<'_>| DailyFile {
        invoice_number: &edge.invoice.number,
        folder: &edge.folder,
    };
    let files: Vec<DailyFile<'_>> = wanted.iter().map(file).collect();
    let by_edge = by_edge(wanted);
    let sells_on = |edge: &WantedEdge<'_>| {
        naming.organisation(edge.invoice.buyer).is_some_and(|buyer| buyer.role != Role::Customer)
    };
    // A customer is in one partition, and its rows lie together: its file is closed before the
    // next one is begun. The files of other edges have rows of many partitions.
    let (shared, brief): (Vec<usize>, Vec<usize>) =
        (0..wanted.len()).partition(|at| sells_on(&wanted[*at]));
    let mut passes: Vec<Vec<usize>> = shared.chunks(FILES_AT_ONCE).map(<[_]>::to_vec).collect();
    if passes.is_empty() {
        passes.push(Vec::new());
    }
    for (number, shared) in passes.iter().enumerate() {
        let is_chosen = |at: &usize| shared.contains(at) || (number == 0 && brief.contains(at));
        let chosen = by_edge.iter().filter(|(_, at)| is_chosen(at)).map(|(e, at)| (*e, *at));
        let files = DailyFiles {
            book: &frozen.book,
            zone: &frozen.known.programme.zone,
            naming,
            files: files.clone(),
            chosen: chosen.collect(),
            format,
            layout: decimals.layout(),
        };
        for (at, rows) in (Pass { ctx, frozen, files }).write(shared)? {
            rounding[at] += rows;
        }
    }
    Ok(rounding)
}

/// One reading of the month.
struct Pass<'a> {
    ctx: &'a Ctx<'a>,
    frozen: &'a Frozen,
    files: DailyFiles<'a>,
}

impl Pass<'_> {
    /// Writes the files; returns how many rows make up for rounding, by wanted edge.
    fn write(&self, shared: &[usize]) -> Result<Vec<(usize, u64)>> {
        let partitions = self.frozen.usage.partitioning.len();
        self.ctx.progress.begin("writing daily usage", Some(partitions as u64));
        let turns = Turns::new(shared);
        let rounding = in_parallel(crate::workers(), partitions, |partition| {
            let mut tables = Tables::new(&self.files, &turns);
            let rounding = self
                .partition(partition, &mut tables)
                .and_then(|()| tables.finish(partition))
                .inspect_err(|_| turns.fail(partition))?;
            self.ctx.progress.advance(1);
            Ok(rounding)
        })?;
        turns.finish()?;
        self.ctx.progress.end();
        Ok(rounding.into_iter().flatten().collect())
    }

    /// Reads the lines, groups and usage of a partition side by side.
    fn partition(&self, partition: usize, tables: &mut Tables<'_>) -> Result<()> {
        let (month, book) = (self.frozen.close.month, &self.frozen.book);
        let file = |name: String| self.frozen.document(&format!("{month}/rated-lines/{name}"));
        let groups = read_groups(&file(groups_name(partition))?, book)?;
        let path = file(lines_name(partition))?;
        let lines = Lines::new(batches_of(&path, None, None)?, book);
        let mut feed = Feed::new(lines, &groups);
        let reader = self.frozen.usage.reader(partition, Columns::Details);
        reader.read(|batch| feed.batch(tables, &batch))?;
        feed.finish(tables)
    }
}

/// Usage, its lines and its groups on their way into tables, all in canonical order.
struct Feed<'a, I> {
    lines: Lines<'a, I>,
    groups: &'a [FrozenGroup],
    run: Option<Run>,
    records: Records,
}

impl<'a, I: Iterator<Item = Result<RecordBatch>>> Feed<'a, I> {
    fn new(lines: Lines<'a, I>, groups: &'a [FrozenGroup]) -> Self {
        Self { lines, groups, run: None, records: Records::default() }
    }

    /// Takes a batch of usage with the lines that belong to it.
    fn batch(&mut self, tables: &mut Tables<'_>, batch: &RecordBatch) -> Result<()> {
        self.records.turn_to(batch, tables.files.book)?;
        for row in 0..batch.num_rows() {
            if !self.records.is_billed(row) {
                continue;
            }
            let scope = self.lines.current()?.scope;
            if self.run.as_ref().is_none_or(|run| run.scope != scope) {
                self.end_run(tables)?;
                self.run = Some(Run::begin(scope, tables)?);
            }
            let Some(run) = &mut self.run else { continue };
            run.resource(tables, &self.records, row);
            loop {
                run.line(tables, &self.lines.current()?)?;
                if !self.lines.advance_within_record()? {
                    break;
                }
            }
            run.end_record()?;
        }
        Ok(())
    }

    fn end_run(&mut self, tables: &mut Tables<'_>) -> Result<()> {
        self.run.take().map_or(Ok(()), |run| run.finish(tables, &mut self.groups))
    }

    fn finish(mut self, tables: &mut Tables<'_>) -> Result<()> {
        self.end_run(tables)?;
        if !self.groups.is_empty() || !self.lines.is_at_end()? {
            return Err(Error::internal("lines, groups and usage do not belong together"));
        }
        Ok(())
    }
}

/// The rows of some usage in memory: for each wanted edge with any its tables.
pub(crate) fn tables_of(
    files: &DailyFiles<'_>,
    usage: &[RecordBatch],
    lines: &[RecordBatch],
    groups: &[FrozenGroup],
) -> Result<BTreeMap<usize, Vec<RecordBatch>>> {
    let all: Vec<usize> = files.chosen.values().copied().collect();
    let turns = Turns::new(&all);
    let mut tables = Tables::new(files, &turns);
    let lines = Lines::new(lines.iter().cloned().map(Ok), files.book);
    let mut feed = Feed::new(lines, groups);
    usage.iter().try_for_each(|batch| feed.batch(&mut tables, batch))?;
    feed.finish(&mut tables)?;
    tables.into_batches()
}

/// How many decimals the amounts of the files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Decimal {
    pub billing: u8,
    pub pricing: u8,
}

/// How wide the numbers of rated lines are.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Widths {
    pub amounts: Extent,
    pub quantities: Extent,
}

impl Widths {
    /// Takes the types of a batch of lines in.
    pub fn add(&mut self, batch: &RecordBatch, depth: usize) -> Result<()> {
        for position in 1..=depth {
            let amount = Decimals::of(batch, &format!("amount_{position}"))?;
            self.amounts = self.amounts.max(amount.extent());
        }
        self.quantities = self.quantities.max(Decimals::of(batch, "quantity")?.extent());
        Ok(())
    }
}

impl Decimal {
    /// Those of a closed month, in all its revisions.
    pub async fn of_month(ctx: &Ctx<'_>, month: Month) -> Result<Self> {
        let frozen = Frozen::load(ctx, month).await?;
        let naming = Naming::new(&frozen.known, &frozen.book);
        let lists = PriceLists::of_frozen(&frozen, &naming)?;
        Self::of_frozen(&frozen, lists.digits())
    }

    /// As many as the frozen lines and their prices have.
    pub fn of_frozen(frozen: &Frozen, prices: PriceDigits) -> Result<Self> {
        // Each partition has types of its own; the widest number decides what is left for decimals.
        let mut widths = Widths::default();
        for partition in 0..frozen.usage.partitioning.len() {
            let path = format!("{}/rated-lines/{}", frozen.close.month, lines_name(partition));
            let file = frozen.folder.join(path);
            if let Some(batch) = batches_of(&file, None, None)?.next() {
                widths.add(&batch?, frozen.book.depth())?;
            }
        }
        Ok(Self::of(widths, prices))
    }

    /// As many as lines and prices have, so that nothing is rounded unless a number would have
    /// more than 38 digits.
    pub fn of(Widths { amounts, quantities }: Widths, prices: PriceDigits) -> Self {
        let mut billing = amounts.scale.max(BILLING_DECIMALS_MIN);
        if amounts.whole + billing > DIGITS_MAX {
            // Rounding can take one more digit before the point.
            billing = (DIGITS_MAX - 1).saturating_sub(amounts.whole);
        }
        let most = DIGITS_MAX.saturating_sub(quantities.whole + prices.whole);
        let pricing = (quantities.scale + prices.decimals).min(most).max(BILLING_DECIMALS_MIN);
        Self { billing, pricing }
    }

    pub fn layout(self) -> Layout {
        daily::layout(self.billing, self.pricing)
    }
}
