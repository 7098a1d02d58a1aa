//! The daily rated usage files, from frozen lines, frozen groups and the usage behind them.
//!
//! All three lie in canonical order, so they are read side by side: the next line belongs to the
//! next record, and after the last line of a subscription and meter come its groups.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::ScopedJoinHandle;

use arrow_array::{RecordBatch, StringArray};
use arrow_buffer::ScalarBuffer;
use documents::daily::{self, CHARGE_NEW, CHARGE_ROUNDING, Resource};
use documents::{Format, Layout, Sink, TableBuilder};
use domain::Role;
use kernel::{
    Amount, Currency, Error, ExchangeRate, QUANTITY_SCALE, Quantity, Result, UnitPrice, Zone,
    instant_micros, micros_instant,
};
use lake::usage::{Columns, UsageDetails, batches_of};
use rating::{EdgeIndex, Extent, MeterIndex, Price, Schedule, SubscriptionIndex};

use super::price_lists::PriceDigits;
use super::{Frozen, WantedEdge, by_edge};
use crate::Ctx;
use crate::close::billing;
use crate::frozen::{
    Decimals, FrozenGroup, Line, Lines, dictionary, groups_name, lines_name, read_groups, times,
};
use crate::groups::LINE_ROWS;
use crate::naming::Naming;

/// Rows that are handed to a writer at once.
const ROWS_AT_ONCE: usize = LINE_ROWS / 2;
/// Files that are written at the same time; more edges take another pass.
const FILES_AT_ONCE: usize = 400;
/// A rounded amount has at least the decimals of its currency.
const BILLING_DECIMALS_MIN: u8 = 3;
/// Digits that a decimal column can have.
const DIGITS_MAX: u8 = 38;
/// How many threads write files.
const WRITERS: usize = 2;

/// Writes the daily file of every wanted edge; returns how many rows of each make up for rounding.
pub(super) fn write(
    ctx: &Ctx<'_>,
    frozen: &Frozen,
    naming: &Naming<'_>,
    wanted: &[WantedEdge<'_>],
    (format, decimals): (Format, Decimal),
) -> Result<Vec<u64>> {
    let mut rounding = vec![0; wanted.len()];
    // A customer's rows lie together, so its file is closed before the next one is begun; the
    // files of other edges stay open until the end.
    let by_edge = by_edge(wanted);
    let sells_on = |edge: &WantedEdge<'_>| {
        naming.organisation(edge.invoice.buyer).is_some_and(|buyer| buyer.role != Role::Customer)
    };
    let (open, brief): (Vec<usize>, Vec<usize>) =
        (0..wanted.len()).partition(|at| sells_on(&wanted[*at]));
    let mut passes: Vec<Vec<usize>> = open.chunks(FILES_AT_ONCE).map(<[_]>::to_vec).collect();
    match passes.first_mut() {
        Some(first) => first.extend(brief),
        None => passes.push(brief),
    }
    for pass in passes {
        let chosen: BTreeMap<EdgeIndex, usize> =
            by_edge.iter().filter(|(_, at)| pass.contains(at)).map(|(e, at)| (*e, *at)).collect();
        let layout = decimals.layout();
        let run = Pass { ctx, frozen, naming, wanted, chosen: &chosen, format, layout };
        run.write(&mut rounding)?;
    }
    Ok(rounding)
}

struct Pass<'a> {
    ctx: &'a Ctx<'a>,
    frozen: &'a Frozen,
    naming: &'a Naming<'a>,
    wanted: &'a [WantedEdge<'a>],
    chosen: &'a BTreeMap<EdgeIndex, usize>,
    format: Format,
    layout: Layout,
}

/// What a writer is told.
enum Order {
    Write(usize, RecordBatch),
    Finish(usize),
}

impl Pass<'_> {
    fn write(&self, rounding: &mut [u64]) -> Result<()> {
        let partitions = self.frozen.usage.partitioning.len();
        self.ctx.progress.begin("writing daily usage", Some(partitions as u64));
        std::thread::scope(|scope| {
            let mut senders = Vec::new();
            let mut writers = Vec::new();
            for _ in 0..WRITERS {
                let (sender, receiver) = sync_channel(8);
                senders.push(sender);
                writers.push(scope.spawn(|| self.writer(receiver)));
            }
            let read = self.read(partitions, &senders, rounding);
            drop(senders);
            join(writers)?;
            read
        })?;
        self.ctx.progress.end();
        Ok(())
    }

    /// Writes what it is told to, edge by edge.
    fn writer(&self, orders: Receiver<Order>) -> Result<()> {
        let mut open: HashMap<usize, Sink> = HashMap::new();
        for order in orders {
            match order {
                Order::Write(at, batch) => {
                    let sink = match open.entry(at) {
                        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
                        std::collections::hash_map::Entry::Vacant(entry) => {
                            let name = format!("daily-rated-usage.{}", self.format.extension());
                            let path = self.wanted[at].folder.join(name);
                            entry.insert(Sink::create(&path, self.format, &self.layout)?)
                        }
                    };
                    sink.write(&batch)?;
                }
                Order::Finish(at) => {
                    if let Some(sink) = open.remove(&at) {
                        sink.finish()?;
                    }
                }
            }
        }
        open.into_values().try_for_each(Sink::finish)
    }

    fn read(
        &self,
        partitions: usize,
        senders: &[SyncSender<Order>],
        rounding: &mut [u64],
    ) -> Result<()> {
        let mut tables = Tables { pass: self, senders, open: HashMap::new(), rounding };
        for partition in 0..partitions {
            self.partition(partition, &mut tables)?;
            self.ctx.progress.advance(1);
        }
        tables.finish_all()
    }

    /// Reads the lines, groups and usage of a partition side by side.
    fn partition(&self, partition: usize, tables: &mut Tables<'_>) -> Result<()> {
        let month = self.frozen.close.month;
        let file = |name: String| self.frozen.document(&format!("{month}/rated-lines/{name}"));
        let groups = read_groups(&file(groups_name(partition))?, &self.frozen.book)?;
        let path = file(lines_name(partition))?;
        let mut lines = Lines::new(batches_of(&path, None, None)?, &self.frozen.book);
        let mut groups = groups.as_slice();
        let mut run: Option<Run> = None;
        let period = self.frozen.book.period_micros();
        let reader = self.frozen.usage.reader(partition, Columns::All);
        reader.read(|batch| {
            let records = Records::of(&batch)?;
            for row in 0..batch.num_rows() {
                if !records.meets(row, period) {
                    continue;
                }
                let first = lines.current()?;
                if run.as_ref().is_none_or(|run| run.scope != first.scope) {
                    if let Some(run) = run.take() {
                        run.finish(tables, &mut groups)?;
                    }
                    run = Some(Run::begin(self, first.scope, tables)?);
                }
                let Some(run) = &mut run else { continue };
                run.resource(tables, &records.resource(row, self.naming));
                loop {
                    run.line(tables, &lines.current()?)?;
                    if !lines.advance_within_record()? {
                        break;
                    }
                }
                run.end_record(tables)?;
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

fn join(writers: Vec<ScopedJoinHandle<'_, Result<()>>>) -> Result<()> {
    for writer in writers {
        writer.join().map_err(|_| Error::internal("a writer has stopped unexpectedly"))??;
    }
    Ok(())
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

/// The tables that are being filled, one an edge.
struct Tables<'a> {
    pass: &'a Pass<'a>,
    senders: &'a [SyncSender<Order>],
    open: HashMap<usize, OpenTable>,
    rounding: &'a mut [u64],
}

struct OpenTable {
    table: TableBuilder,
    /// The customer, where the edge sells to one; its file is finished when it changes.
    brief: bool,
}

impl Tables<'_> {
    /// The table of an edge, if it is wanted.
    fn get(&mut self, at: usize) -> &mut TableBuilder {
        let pass = self.pass;
        let open = self.open.entry(at).or_insert_with(|| {
            let mut table = TableBuilder::new(&pass.layout);
            let (start, end) = pass.frozen.book.period_micros();
            daily::begin(&mut table, &pass.wanted[at].invoice.number, start, end);
            let buyer = pass.naming.organisation(pass.wanted[at].invoice.buyer);
            OpenTable { table, brief: buyer.is_some_and(|buyer| buyer.role == Role::Customer) }
        });
        &mut open.table
    }

    /// Hands full tables on, and those of customers whose rows have come to their end.
    fn hand_on(&mut self, of_this_run: &[usize]) -> Result<()> {
        let over: Vec<usize> = self
            .open
            .iter()
            .filter(|(at, open)| open.brief && !of_this_run.contains(at))
            .map(|(at, _)| *at)
            .collect();
        for at in over {
            self.finish(at)?;
        }
        for at in of_this_run {
            let Some(open) = self.open.get_mut(at) else { continue };
            if open.table.rows() >= ROWS_AT_ONCE {
                let batch = open.table.take()?;
                self.send(*at, Order::Write(*at, batch))?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, at: usize) -> Result<()> {
        let Some(mut open) = self.open.remove(&at) else { return Ok(()) };
        if open.table.rows() > 0 {
            let batch = open.table.take()?;
            self.send(at, Order::Write(at, batch))?;
        }
        self.send(at, Order::Finish(at))
    }

    fn finish_all(&mut self) -> Result<()> {
        let mut open: Vec<usize> = self.open.keys().copied().collect();
        open.sort_unstable();
        open.into_iter().try_for_each(|at| self.finish(at))
    }

    /// A writer that is gone has failed, and says so when it is joined.
    fn send(&self, at: usize, order: Order) -> Result<()> {
        let sent = self.senders[at % self.senders.len()].send(order);
        sent.map_err(|_| Error::internal("a writer has stopped"))
    }
}

/// The lines of one subscription and meter.
struct Run {
    scope: (SubscriptionIndex, MeterIndex),
    edges: Vec<RunEdge>,
}

/// The same on one edge that is wanted.
struct RunEdge {
    at: usize,
    position: usize,
    currency: Currency,
    schedule: std::sync::Arc<Schedule>,
    /// What the rows of each tier come to, and one of their prices.
    sums: BTreeMap<u8, TierSum>,
    /// The row that is being put together.
    row: Option<EdgeRow>,
}

/// A row of an edge: one record, one tier, one price. The frozen lines are cut finer where another
/// edge of the path has other tiers or prices, which is not this edge's business.
#[derive(Debug, Clone, Copy)]
struct EdgeRow {
    tier: u8,
    interval: i64,
    price: LinePrice,
    date: i64,
    quantity: Quantity,
}

#[derive(Debug, Clone, Copy)]
struct TierSum {
    billed: i128,
    quantity: i128,
    price: LinePrice,
    uniform: bool,
}

/// The price of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct LinePrice {
    unit_price: UnitPrice,
    effective_unit_price: UnitPrice,
    pricing_currency: Currency,
    rate: ExchangeRate,
    rate_date: Option<i64>,
}

impl LinePrice {
    fn of(price: &Price, tier: u8, currency: Currency) -> Option<Self> {
        let tier = price.tiers.get(usize::from(tier))?;
        let stated = rating::GroupPrice {
            pricing_currency: price.pricing_currency,
            rate: price.rate,
            unit_price: tier.unit_price,
            effective_unit_price: tier.effective_unit_price,
        };
        let billing = billing(&stated, currency);
        Some(Self {
            unit_price: tier.unit_price,
            effective_unit_price: tier.effective_unit_price,
            pricing_currency: price.pricing_currency,
            rate: billing.rate,
            rate_date: billing.rate_date,
        })
    }

    fn show(&self, table: &mut TableBuilder, currency: Currency) {
        let billing = documents::Billing {
            pricing_currency: self.pricing_currency.code(),
            billing_currency: currency.code(),
            rate: self.rate,
            rate_date: self.rate_date,
        };
        daily::price(table, self.unit_price, self.effective_unit_price, billing);
    }
}

impl Run {
    fn begin(
        pass: &Pass<'_>,
        scope: (SubscriptionIndex, MeterIndex),
        tables: &mut Tables<'_>,
    ) -> Result<Self> {
        let book = &pass.frozen.book;
        let (subscription, meter) = scope;
        let mut edges = Vec::new();
        for (position, edge) in book.path(subscription).iter().enumerate() {
            let Some(at) = pass.chosen.get(edge) else { continue };
            edges.push(RunEdge {
                at: *at,
                position,
                currency: book.edges()[edge.get()].currency,
                schedule: book.schedule(book.nodes(subscription)[position], meter),
                sums: BTreeMap::new(),
                row: None,
            });
        }
        let of_this_run: Vec<usize> = edges.iter().map(|edge| edge.at).collect();
        tables.hand_on(&of_this_run)?;
        for edge in &edges {
            let table = tables.get(edge.at);
            daily::subscription(
                table,
                &pass.naming.rows_of(subscription, book.path(subscription)[edge.position]),
            );
            daily::meter(table, &pass.naming.product(subscription, meter));
        }
        Ok(Self { scope, edges })
    }

    /// Says which resource the lines that follow are about.
    fn resource(&self, tables: &mut Tables<'_>, resource: &Resource<'_>) {
        for edge in &self.edges {
            daily::resource(tables.get(edge.at), resource);
        }
    }

    /// Takes a line in on every wanted edge.
    fn line(&mut self, tables: &mut Tables<'_>, line: &Line) -> Result<()> {
        let zone = &tables.pass.frozen.known.programme.zone;
        let day = zone.day_of(micros_instant(line.start));
        let date = instant_micros(Zone::UTC.start_of(day));
        for edge in &mut self.edges {
            let lost = || Error::internal("a line has lost its price");
            let tier = line.tiers[edge.position].ok_or_else(lost)?;
            let schedule = std::sync::Arc::clone(&edge.schedule);
            let interval = schedule.at(line.start).ok_or_else(lost)?;
            match &mut edge.row {
                Some(row) if (row.tier, row.interval) == (tier, interval.from) => {
                    row.quantity = row.quantity.checked_add(line.quantity).ok_or_else(lost)?;
                }
                _ => {
                    edge.write_row(tables)?;
                    let price = interval.price.as_ref().map_err(|_| lost())?;
                    let price = LinePrice::of(price, tier, edge.currency).ok_or_else(lost)?;
                    let quantity = line.quantity;
                    edge.row =
                        Some(EdgeRow { tier, interval: interval.from, price, date, quantity });
                }
            }
        }
        Ok(())
    }

    /// Appends the rows of a record that are still being put together.
    fn end_record(&mut self, tables: &mut Tables<'_>) -> Result<()> {
        self.edges.iter_mut().try_for_each(|edge| edge.write_row(tables))
    }

    /// Appends the rows that make up for rounding: one an invoice line that needs it.
    fn finish(self, tables: &mut Tables<'_>, groups: &mut &[FrozenGroup]) -> Result<()> {
        let of_run = groups.iter().take_while(|g| (g.subscription, g.meter) == self.scope).count();
        let (mine, rest) = groups.split_at(of_run);
        *groups = rest;
        for edge in &self.edges {
            for group in mine.iter().filter(|group| usize::from(group.position) == edge.position) {
                let sum = edge.sums.get(&group.tier).copied();
                let sum = sum.filter(|sum| sum.quantity == group.quantity.mantissa());
                let sum = sum.ok_or_else(|| Error::internal("a group has lost lines"))?;
                let table = tables.get(edge.at);
                let scale = table.scale(daily::BILLING_COLUMN);
                let unit = 10i128.pow(u32::from(scale - edge.currency.minor_digits()));
                let residue = i128::from(group.amount_minor) * unit - sum.billed;
                if residue == 0 {
                    continue;
                }
                let price =
                    if sum.uniform { sum.price } else { average(group, &sum, scale, edge)? };
                price.show(table, edge.currency);
                daily::resource(table, &Resource::default());
                daily::line(table, CHARGE_ROUNDING, None, Quantity::ZERO, 0, residue);
                tables.rounding[edge.at] += 1;
            }
        }
        Ok(())
    }
}

impl RunEdge {
    /// Appends the row that has been put together.
    fn write_row(&mut self, tables: &mut Tables<'_>) -> Result<()> {
        let Some(EdgeRow { tier, price, date, quantity, .. }) = self.row.take() else {
            return Ok(());
        };
        let table = tables.get(self.at);
        let too_large = || Error::invalid("amount", "is too large for a file");
        let amount = |rate| Amount::of_exchanged(quantity, price.effective_unit_price, rate);
        let pricing = amount(ExchangeRate::ONE)?.to_scaled(table.scale(daily::PRICING_COLUMN));
        let billed = amount(price.rate)?.to_scaled(table.scale(daily::BILLING_COLUMN));
        let (pricing, billed) = pricing.zip(billed).ok_or_else(too_large)?;
        let sum = self.sums.entry(tier).or_insert(TierSum {
            billed: 0,
            quantity: 0,
            price,
            uniform: true,
        });
        sum.uniform &= sum.price == price;
        sum.quantity += quantity.mantissa();
        sum.billed += billed;
        price.show(table, self.currency);
        daily::line(table, CHARGE_NEW, Some(date), quantity, pricing, billed);
        Ok(())
    }
}

/// The price of a rounding row of a group with several prices: the average, as on the invoice.
fn average(group: &FrozenGroup, sum: &TierSum, scale: u8, edge: &RunEdge) -> Result<LinePrice> {
    let exact = Amount::from_scaled(sum.billed, scale)?;
    let average = exact.per_unit(group.quantity, QUANTITY_SCALE).unwrap_or(UnitPrice::ZERO);
    Ok(LinePrice {
        unit_price: average,
        effective_unit_price: average,
        pricing_currency: edge.currency,
        rate: ExchangeRate::ONE,
        rate_date: None,
    })
}

/// A batch of usage, as the daily file needs it.
struct Records {
    starts: ScalarBuffer<i64>,
    ends: ScalarBuffer<i64>,
    details: Vec<(ScalarBuffer<i32>, StringArray)>,
    entitlements: (ScalarBuffer<i32>, StringArray),
}

impl Records {
    fn of(batch: &RecordBatch) -> Result<Self> {
        Ok(Self {
            starts: times(batch, "usage_start")?,
            ends: times(batch, "usage_end")?,
            details: UsageDetails::NAMES
                .iter()
                .map(|name| dictionary(batch, name))
                .collect::<Result<_>>()?,
            entitlements: dictionary(batch, "entitlement_id")?,
        })
    }

    /// Whether a record has a part in a period; the engine asks the same.
    fn meets(&self, row: usize, (from, until): (i64, i64)) -> bool {
        let (start, end) = (self.starts[row], self.ends[row]);
        start < until && (end > from || start >= from)
    }

    fn resource<'a>(&'a self, row: usize, naming: &'a Naming<'_>) -> Resource<'a> {
        let text =
            |(keys, texts): &'a (ScalarBuffer<i32>, StringArray)| texts.value(keys[row] as usize);
        let entitlement = text(&self.entitlements);
        Resource {
            details: std::array::from_fn(|at| text(&self.details[at])),
            entitlement: (entitlement, naming.entitlement(entitlement)),
        }
    }
}
