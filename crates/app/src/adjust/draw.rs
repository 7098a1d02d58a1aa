//! The lines and daily rows of an adjustment, edge by edge.
//!
//! An edge on which usage has moved, from one day to another, without anything else to be paid,
//! has rows but no changed group. It gets a line of nothing, so that what was used stands on
//! every edge alike and the rows have a document to stand in.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use arrow_array::RecordBatch;
use documents::daily::CHARGE_ADJUSTMENT;
use documents::{DifferenceRows, Format, Layout, TableBuilder, daily_difference};
use kernel::{Money, Quantity, Result};
use rating::{EdgeIndex, MeterIndex, SubscriptionIndex};

use super::difference::{Change, DifferenceLine, GroupKey};
use super::side::{Rated, RatedRows, Side};
use super::{Both, Work};
use crate::close::statement;
use crate::export::daily::{DailyFile, DailyFiles, tables_of};
use crate::frozen::FrozenGroup;
use crate::groups::KeptGroups;
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

/// What draws the lines and daily rows of portions.
pub(crate) struct Drawing<'a> {
    work: &'a Work,
    beyond: &'a BTreeSet<EdgeIndex>,
    /// The layout of daily rows: those that are taken back must be what they were.
    pub layout: Layout,
    naming: [Naming<'a>; 2],
}

/// What a portion comes to.
pub(crate) struct DrawnPortion {
    pub groups: Both,
    /// The edges with a difference; none where usage has no price.
    pub edges: Vec<DrawnEdge>,
}

impl<'a> Drawing<'a> {
    pub fn new(work: &'a Work, beyond: &'a BTreeSet<EdgeIndex>) -> Self {
        let naming = |side: &'a Side| Naming::new(&side.known, &side.book);
        Self {
            work,
            beyond,
            layout: work.decimals.layout(),
            naming: [naming(&work.before), naming(&work.now)],
        }
    }

    /// Draws a portion.
    pub fn portion(&self, mut before: Rated, mut now: Rated) -> Result<DrawnPortion> {
        let work = self.work;
        let rows = [before.take_rows(), now.take_rows()];
        let mut groups = Both::default();
        groups.take(before, now);
        if !groups.unpriced.is_empty() {
            return Ok(DrawnPortion { groups, edges: Vec::new() });
        }
        let sides = work.sides(&groups);
        let changes = sides.changes()?;
        let mut lines = sides.all_lines()?;
        let mut touched: BTreeSet<EdgeIndex> = changes.keys().map(|key| key.0).collect();
        let earns = [&work.before, &work.now].iter().any(|side| side.book.earns_credit());
        if work.touched.records == 0 && !earns {
            // Nothing was used otherwise, so an edge without a line has no other rows either. Where
            // credit begins or ends on another day, rows may be cut otherwise and cost the same.
            touched.retain(|edge| lines.contains_key(edge));
        }
        let on: Vec<EdgeIndex> = touched.difference(self.beyond).copied().collect();
        let mut before = self.tables(&on, (&rows[0], &groups.before), Time::Before)?;
        let mut now = self.tables(&on, (&rows[1], &groups.now), Time::Now)?;
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
            drawn.rows = drawn.daily("", &mut TableBuilder::new(&self.layout))?;
            drawn.add_lines_of_nothing(work, &groups, &changes)?;
            drawn.net = drawn.lines.iter().try_fold(drawn.net, |net, line| {
                net.checked_add(Money::new(line.amount_minor, currency))
            })?;
            if !drawn.lines.is_empty() {
                edges.push(drawn);
            }
        }
        Ok(DrawnPortion { groups, edges })
    }

    /// The daily rows of one side, for each of some edges of now. They name no invoice.
    fn tables(
        &self,
        on: &[EdgeIndex],
        (rows, groups): (&RatedRows, &KeptGroups),
        time: Time,
    ) -> Result<BTreeMap<usize, Vec<RecordBatch>>> {
        let (side, naming) = match time {
            Time::Before => (&self.work.before, &self.naming[0]),
            Time::Now => (&self.work.now, &self.naming[1]),
        };
        let chosen = on.iter().enumerate().filter_map(|(at, edge)| {
            let terms = &self.work.now.book.edges()[edge.get()];
            Some((side.book.find_edge(terms.seller, terms.buyer)?, at))
        });
        let nowhere = DailyFile { invoice_number: "", folder: Path::new("") };
        let files = DailyFiles {
            book: &side.book,
            zone: &side.known.programme.zone,
            naming,
            files: vec![nowhere; on.len()],
            chosen: chosen.collect(),
            format: Format::Parquet,
            layout: self.layout.clone(),
        };
        let groups: Vec<FrozenGroup> = groups.groups.iter().map(FrozenGroup::from).collect();
        tables_of(&files, &rows.usage, &rows.lines, &groups)
    }
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
        self.sort();
        Ok(())
    }

    /// The same without its daily rows.
    pub fn without_rows(self) -> Self {
        let rows = DifferenceRows { scopes: BTreeSet::new(), ..self.rows };
        Self { before: Vec::new(), now: Vec::new(), rows, ..self }
    }

    /// Adds a portion of an edge to the others.
    pub fn collect(edges: &mut BTreeMap<EdgeIndex, Self>, portion: Self) -> Result<()> {
        match edges.entry(portion.edge) {
            Entry::Vacant(vacant) => {
                vacant.insert(portion);
            }
            Entry::Occupied(mut occupied) => {
                let all = occupied.get_mut();
                all.net = all.net.checked_add(portion.net)?;
                all.lines.extend(portion.lines);
                all.rows.usage += portion.rows.usage;
                all.rows.rounding += portion.rows.rounding;
            }
        }
        Ok(())
    }

    /// Puts the lines of all portions in order: by subscription, meter and tier. Stable, so that a
    /// reversal stays in front of the new line of its group.
    pub fn sort(&mut self) {
        self.lines.sort_by_key(|line| (line.subscription, line.meter, line.tier));
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
