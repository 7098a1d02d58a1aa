//! The lines and daily rows of an adjustment, edge by edge.
//!
//! An edge on which usage has moved, from one day to another, without anything else to be paid,
//! has rows but no changed group. It gets a line of nothing, so that what was used stands on
//! every edge alike and the rows have a document to stand in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow_array::RecordBatch;
use documents::daily::CHARGE_ADJUSTMENT;
use documents::{DifferenceRows, Format, Layout, TableBuilder, daily_difference};
use kernel::{Money, Quantity, Result};
use rating::{EdgeIndex, MeterIndex, SubscriptionIndex};

use super::difference::{Change, DifferenceLine, GroupKey};
use super::{Both, Work};
use crate::close::statement;
use crate::export::daily::{DailyFile, DailyFiles, tables_of};
use crate::frozen::FrozenGroup;
use crate::naming::Naming;

/// An edge with a difference.
pub(crate) struct DrawnEdge {
    pub edge: EdgeIndex,
    /// By subscription, meter and tier.
    pub lines: Vec<DifferenceLine>,
    pub net: Money,
    /// Its daily rows as they were billed, and as they should have been.
    before: Vec<RecordBatch>,
    now: Vec<RecordBatch>,
    pub rows: DifferenceRows,
}

/// The edges with a difference, and the layout of their daily rows.
pub(crate) fn draw(
    work: &Work,
    rated: &Both,
    beyond: &BTreeSet<EdgeIndex>,
) -> Result<(Layout, Vec<DrawnEdge>)> {
    // Rows that are taken back must be what they were.
    let layout = work.decimals.layout();
    let sides = work.sides(rated);
    let changes = sides.changes()?;
    let mut lines = sides.all_lines()?;
    let mut touched: BTreeSet<EdgeIndex> = changes.keys().map(|key| key.0).collect();
    if work.touched.records == 0 {
        // Nothing was used otherwise, so an edge without a line has no other rows either.
        touched.retain(|edge| lines.contains_key(edge));
    }
    let on: Vec<EdgeIndex> = touched.difference(beyond).copied().collect();
    let mut before = daily_tables(work, &on, &layout, rated, Time::Before)?;
    let mut now = daily_tables(work, &on, &layout, rated, Time::Now)?;
    let mut edges = Vec::new();
    for (at, edge) in on.into_iter().enumerate() {
        let currency = work.now.book.edges()[edge.get()].currency;
        let mut drawn = DrawnEdge {
            edge,
            lines: lines.remove(&edge).unwrap_or_default(),
            net: Money::zero(currency),
            before: before.remove(&at).unwrap_or_default(),
            now: now.remove(&at).unwrap_or_default(),
            rows: DifferenceRows::default(),
        };
        drawn.rows = drawn.daily("", &mut TableBuilder::new(&layout))?;
        drawn.add_lines_of_nothing(work, rated, &changes)?;
        drawn.net = drawn.lines.iter().try_fold(drawn.net, |net, line| {
            net.checked_add(Money::new(line.amount_minor, currency))
        })?;
        if !drawn.lines.is_empty() {
            edges.push(drawn);
        }
    }
    Ok((layout, edges))
}

impl DrawnEdge {
    /// Adds a line for each subscription and meter that has rows but no line.
    fn add_lines_of_nothing(
        &mut self,
        work: &Work,
        rated: &Both,
        changes: &BTreeMap<GroupKey, Change>,
    ) -> Result<()> {
        let book = &work.now.book;
        let currency = book.edges()[self.edge.get()].currency;
        let found = self.rows.scopes.iter().filter_map(|(subscription, meter)| {
            book.find_subscription(subscription).zip(book.find_meter(meter))
        });
        let mut left: BTreeSet<(SubscriptionIndex, MeterIndex)> = found.collect();
        for line in &self.lines {
            left.remove(&(line.subscription, line.meter));
        }
        for (subscription, meter) in left {
            let groups =
                (self.edge, subscription, meter, 0)..=(self.edge, subscription, meter, u8::MAX);
            let lowest = changes.range(groups).find_map(|(key, c)| Some((key, c.now?, c.before)));
            let Some((key, group, before)) = lowest else { continue };
            let (price, adjustment) = statement(book, &rated.now, &group, currency)?;
            self.lines.push(DifferenceLine {
                subscription,
                meter,
                tier: key.3,
                charge_type: CHARGE_ADJUSTMENT,
                quantity: Quantity::ZERO,
                amount_minor: 0,
                price,
                adjustment,
                was_billed: before.is_some(),
            });
        }
        // Stable: a reversal stays in front of the new line of its group.
        self.lines.sort_by_key(|line| (line.subscription, line.meter, line.tier));
        Ok(())
    }

    /// Appends what leads from the daily rows that were billed to those that should have been.
    pub fn daily(&self, invoice_number: &str, table: &mut TableBuilder) -> Result<DifferenceRows> {
        daily_difference(&self.before, &self.now, invoice_number, table)
    }
}

/// Which side of the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Time {
    Before,
    Now,
}

/// The daily rows of one side, for each of some edges of now. They name no invoice.
fn daily_tables(
    work: &Work,
    on: &[EdgeIndex],
    layout: &Layout,
    rated: &Both,
    time: Time,
) -> Result<BTreeMap<usize, Vec<RecordBatch>>> {
    let (side, groups) = match time {
        Time::Before => (&work.before, &rated.before),
        Time::Now => (&work.now, &rated.now),
    };
    let chosen = on.iter().enumerate().filter_map(|(at, edge)| {
        let terms = &work.now.book.edges()[edge.get()];
        Some((side.book.find_edge(terms.seller, terms.buyer)?, at))
    });
    let nowhere = DailyFile { invoice_number: "", folder: Path::new("") };
    let naming = Naming::new(&side.known, &side.book);
    let files = DailyFiles {
        book: &side.book,
        zone: &side.known.programme.zone,
        naming: &naming,
        files: vec![nowhere; on.len()],
        chosen: chosen.collect(),
        format: Format::Parquet,
        layout: layout.clone(),
    };
    let mut all: BTreeMap<usize, Vec<RecordBatch>> = BTreeMap::new();
    for (partition, parts) in rated.parts.iter().enumerate() {
        let part = if time == Time::Before { &parts.0 } else { &parts.1 };
        let groups: Vec<FrozenGroup> =
            groups.of_partition(partition).iter().map(FrozenGroup::from).collect();
        for (at, batches) in tables_of(&files, &part.usage, &part.lines, &groups)? {
            all.entry(at).or_default().extend(batches);
        }
    }
    Ok(all)
}
