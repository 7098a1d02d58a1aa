//! The daily rated usage files, from frozen lines, frozen groups and the usage behind them.
//!
//! All three lie in canonical order, so they are read side by side: the next line belongs to the
//! next record, and after the last line of a subscription and meter come its groups. Partitions
//! are read at the same time on all cores; those of one file are appended in their order.

mod records;
mod run;
mod tables;

use std::collections::BTreeMap;

use documents::{Format, Layout, daily};
use domain::Role;
use kernel::{Error, Result};
use lake::usage::{Columns, batches_of};
use rating::{EdgeIndex, Extent};

use super::price_lists::PriceDigits;
use super::{Frozen, WantedEdge, by_edge};
use crate::Ctx;
use crate::frozen::{Decimals, Lines, groups_name, lines_name, read_groups};
use crate::naming::Naming;
use crate::partitions::in_parallel;
use records::Records;
use run::Run;
use tables::{Files, Tables};

/// Files of edges that sell on that are written at the same time; more take another pass.
const FILES_AT_ONCE: usize = 400;
/// A rounded amount has at least the decimals of its currency.
const BILLING_DECIMALS_MIN: u8 = 3;
/// Digits that a decimal column can have.
const DIGITS_MAX: u8 = 38;

/// Writes the daily file of every wanted edge; returns how many rows of each make up for rounding.
pub(super) fn write(
    ctx: &Ctx<'_>,
    frozen: &Frozen,
    naming: &Naming<'_>,
    wanted: &[WantedEdge<'_>],
    (format, decimals): (Format, Decimal),
) -> Result<Vec<u64>> {
    let mut rounding = vec![0; wanted.len()];
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
        let layout = decimals.layout();
        let chosen = chosen.collect();
        let pass = Pass { ctx, frozen, naming, wanted, chosen, format, layout };
        for (at, rows) in pass.write(shared)? {
            rounding[at] += rows;
        }
    }
    Ok(rounding)
}

/// One reading of the month.
struct Pass<'a> {
    ctx: &'a Ctx<'a>,
    frozen: &'a Frozen,
    naming: &'a Naming<'a>,
    wanted: &'a [WantedEdge<'a>],
    /// The edges whose files are written, and where they are among those that are wanted.
    chosen: BTreeMap<EdgeIndex, usize>,
    format: Format,
    layout: Layout,
}

impl Pass<'_> {
    /// Writes the files; returns how many rows make up for rounding, by wanted edge.
    fn write(&self, shared: &[usize]) -> Result<Vec<(usize, u64)>> {
        let partitions = self.frozen.usage.partitioning.len();
        self.ctx.progress.begin("writing daily usage", Some(partitions as u64));
        let files = Files::new(shared);
        let rounding = in_parallel(crate::workers(), partitions, |partition| {
            let mut tables = Tables::new(self, &files);
            let rounding = self
                .partition(partition, &mut tables)
                .and_then(|()| tables.finish(partition))
                .inspect_err(|_| files.fail(partition))?;
            self.ctx.progress.advance(1);
            Ok(rounding)
        })?;
        files.finish()?;
        self.ctx.progress.end();
        Ok(rounding.into_iter().flatten().collect())
    }

    /// Reads the lines, groups and usage of a partition side by side.
    fn partition(&self, partition: usize, tables: &mut Tables<'_>) -> Result<()> {
        let (month, book) = (self.frozen.close.month, &self.frozen.book);
        let file = |name: String| self.frozen.document(&format!("{month}/rated-lines/{name}"));
        let groups = read_groups(&file(groups_name(partition))?, book)?;
        let path = file(lines_name(partition))?;
        let mut lines = Lines::new(batches_of(&path, None, None)?, book);
        let mut groups = groups.as_slice();
        let mut run: Option<Run> = None;
        let mut records = Records::default();
        let period = book.period_micros();
        let reader = self.frozen.usage.reader(partition, Columns::Details);
        reader.read(|batch| {
            records.turn_to(&batch)?;
            for row in 0..batch.num_rows() {
                if !records.meets(row, period) {
                    continue;
                }
                let scope = lines.current()?.scope;
                if run.as_ref().is_none_or(|run| run.scope != scope) {
                    if let Some(run) = run.take() {
                        run.finish(tables, &mut groups)?;
                    }
                    run = Some(Run::begin(self, scope, tables)?);
                }
                let Some(run) = &mut run else { continue };
                run.resource(tables, &records, row);
                loop {
                    run.line(tables, &lines.current()?)?;
                    if !lines.advance_within_record()? {
                        break;
                    }
                }
                run.end_record()?;
            }
            Ok(())
        })?;
        if let Some(run) = run.take() {
            run.finish(tables, &mut groups)?;
        }
        if !groups.is_empty() || !lines.is_at_end()? {
            return Err(Error::internal("lines, groups and usage do not belong together"));
        }
        Ok(())
    }
}

/// How many decimals the amounts of the files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub billing: u8,
    pub pricing: u8,
}

impl Decimal {
    /// As many as the lines and their prices have, so that nothing is rounded unless a number
    /// would have more than 38 digits.
    pub fn of(frozen: &Frozen, prices: PriceDigits) -> Result<Self> {
        let partitions = frozen.usage.partitioning.len();
        // Each partition has types of its own; the widest number decides what is left for decimals.
        let (mut amounts, mut quantities) = (Extent::default(), Extent::default());
        for partition in 0..partitions {
            let path = format!("{}/rated-lines/{}", frozen.close.month, lines_name(partition));
            let file = frozen.folder.join(path);
            let Some(batch) = batches_of(&file, None, None)?.next() else { continue };
            let batch = batch?;
            for position in 1..=frozen.book.depth() {
                let amount = Decimals::of(&batch, &format!("amount_{position}"))?;
                amounts = amounts.max(amount.extent());
            }
            quantities = quantities.max(Decimals::of(&batch, "quantity")?.extent());
        }
        let mut billing = amounts.scale.max(BILLING_DECIMALS_MIN);
        if amounts.whole + billing > DIGITS_MAX {
            // Rounding can take one more digit before the point.
            billing = (DIGITS_MAX - 1).saturating_sub(amounts.whole);
        }
        let most = DIGITS_MAX.saturating_sub(quantities.whole + prices.whole);
        let pricing = (quantities.scale + prices.decimals).min(most).max(BILLING_DECIMALS_MIN);
        Ok(Self { billing, pricing })
    }

    fn layout(self) -> Layout {
        daily::layout(self.billing, self.pricing)
    }
}
