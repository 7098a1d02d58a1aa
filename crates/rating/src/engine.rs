//! The engine: batches of usage in, groups and lines out, one partition at a time.
//!
//! Usage arrives in canonical order, so everything that belongs together is adjacent: a *run* is
//! the usage of one subscription and meter. Most runs have one price on every edge and are rated
//! as plain products of columns ([`flat`]); the others are cut by time and tier ([`graduated`]).

mod flat;
mod graduated;
mod lines;

use std::ops::Range;
use std::sync::Arc;

use arrow_array::RecordBatch;
use domain::{PricedSum, RoundingPolicy};
use kernel::{Amount, Currency, Error, QUANTITY_SCALE, Quantity, Result, ten_to};
use rustc_hash::FxHashMap;

use crate::book::{EdgeIndex, MeterIndex, NodeIndex, RateBook, SubscriptionIndex};
use crate::cache::PriceCache;
use crate::flat_price::EdgePrice;
use crate::group::{ExactAmount, Group, Pricing, Unpriced};
use crate::lines::{LineExtents, LineNames, RowsOf};
use crate::schedule::{NodePrice, Schedule};
use crate::slices::Stretch;
use crate::usage::{Quantities, Translation, Usage};

/// Who takes what the engine makes.
pub trait Output {
    /// A group is complete. Groups of one run come together, by position and tier.
    fn group(&mut self, group: &Group) -> Result<()>;

    /// Usage that has no price.
    fn unpriced(&mut self, unpriced: Unpriced) -> Result<()>;

    /// A batch of lines; they all come when the partition is at its end.
    fn lines(&mut self, batch: RecordBatch) -> Result<()>;
}

/// Rates one partition.
///
/// Lines come at the end, because their types depend on how wide all amounts of the partition are;
/// until then the batches are kept.
#[derive(Debug)]
pub struct Rater<'b> {
    book: &'b RateBook,
    cache: PriceCache,
    path: Path,
    /// The prices of the run that starts.
    prices: Vec<NodePrice>,
    /// Memory of a run that has ended, for the next one.
    spare: Vec<EdgePrice>,
    subscriptions: Translation<SubscriptionIndex>,
    meters: Translation<MeterIndex>,
    lines: Option<lines::Pending<'b>>,
    run: Option<Run>,
    extents: LineExtents,
    records: u64,
}

/// The usage of one subscription and meter, while it arrives.
#[derive(Debug)]
struct Run {
    subscription: SubscriptionIndex,
    meter: MeterIndex,
    rating: Rating,
}

#[derive(Debug)]
enum Rating {
    /// One price on every edge.
    Flat(flat::Flat),
    /// On some edge the price changes with time or quantity.
    Graduated(Vec<Arc<Schedule>>, Vec<Stretch>, UsedResources),
}

/// The resources of a run whose prices depend on them.
#[derive(Debug, Default)]
struct UsedResources {
    names: Vec<String>,
    known: FxHashMap<String, u32>,
}

impl UsedResources {
    /// Says of the stretches of some rows which resource was used.
    fn mark(
        &mut self,
        stretches: &mut [Stretch],
        rows: Range<usize>,
        usage: &Usage<'_>,
        subscription: &str,
    ) -> Result<()> {
        let resources = usage.resources;
        let resources = resources.ok_or_else(|| Error::internal("usage without its resources"))?;
        // Neighbours mostly are about the same resource.
        let mut last: Option<([i32; 3], u32)> = None;
        for (stretch, row) in stretches.iter_mut().zip(rows) {
            let keys = resources.keys(row);
            stretch.resource = match last {
                Some((same, number)) if same == keys => number,
                _ => self.number(resources.resource(row, subscription)),
            };
            last = Some((keys, stretch.resource));
        }
        Ok(())
    }

    fn number(&mut self, name: String) -> u32 {
        let next = self.names.len() as u32;
        *self.known.entry(name).or_insert_with_key(|name| {
            self.names.push(name.clone());
            next
        })
    }
}

/// The sale path of the current subscription: what its groups need to know.
#[derive(Debug, Default)]
struct Path {
    subscription: Option<SubscriptionIndex>,
    steps: Vec<Step>,
    /// From the first instant that some edge bills to the last.
    period: (i64, i64),
    /// Whether the edges bill different times.
    is_uneven: bool,
}

/// An edge of a sale path.
#[derive(Debug, Clone, Copy)]
struct Step {
    node: NodeIndex,
    edge: EdgeIndex,
    sold_on: Option<EdgeIndex>,
    /// What the edge bills.
    period: (i64, i64),
    rounding: RoundingPolicy,
    currency: Currency,
}

/// Where one stretch of rows of a batch has its quantities, and how many decimals they have.
#[derive(Debug, Clone, Copy)]
struct Segment<'a> {
    starts: Option<&'a [i64]>,
    ends: Option<&'a [i64]>,
    quantity: Quantities<'a>,
    scale: u8,
}

impl<'b> Rater<'b> {
    /// Rates by a book; makes lines only when told their names.
    pub fn new(book: &'b RateBook, lines: Option<&'b LineNames>) -> Self {
        Self {
            book,
            cache: PriceCache::new(book),
            path: Path::default(),
            prices: Vec::new(),
            spare: Vec::new(),
            subscriptions: Translation::new(),
            meters: Translation::new(),
            lines: lines.map(lines::Pending::new),
            run: None,
            extents: LineExtents::default(),
            records: 0,
        }
    }

    /// Takes a batch of usage. Its rows follow those of the batch before in canonical order.
    pub fn push(&mut self, batch: &RecordBatch, out: &mut impl Output) -> Result<()> {
        let usage = Usage::of(batch)?;
        let book = self.book;
        self.subscriptions.prepare(usage.subscription, |id| book.find_subscription(id));
        self.meters.prepare(usage.meter, |id| book.find_meter(id));
        if let Some(lines) = &mut self.lines {
            lines.batch(batch);
        }
        let subscriptions = usage.subscription.keys().values();
        let meters = usage.meter.keys().values();
        let mut from = 0;
        while from < usage.rows() {
            let (subscription, meter) = (subscriptions[from], meters[from]);
            let same = subscriptions[from..]
                .iter()
                .zip(&meters[from..])
                .take_while(|(s, m)| **s == subscription && **m == meter);
            let rows = from..from + same.count();
            from = rows.end;
            self.segment(subscription, meter, rows, &usage, out)?;
        }
        Ok(())
    }

    /// Completes the partition: makes its lines, and says how wide they are.
    pub fn finish(&mut self, out: &mut impl Output) -> Result<LineExtents> {
        self.finish_run(out)?;
        let extents = std::mem::take(&mut self.extents);
        if let Some(lines) = &mut self.lines {
            lines.write(self.book, &extents, out)?;
        }
        Ok(extents)
    }

    /// How many records have been rated so far: those with a part in what is billed.
    pub const fn records(&self) -> u64 {
        self.records
    }

    fn segment(
        &mut self,
        subscription: i32,
        meter: i32,
        rows: Range<usize>,
        usage: &Usage<'_>,
        out: &mut impl Output,
    ) -> Result<()> {
        let book = self.book;
        let segment = usage.segment(rows.clone());
        let found = (self.subscriptions.get(subscription), self.meters.get(meter));
        let (Some(subscription), Some(meter)) = found else {
            self.finish_run(out)?;
            let Some((records, unknown)) = self.unknown(subscription, meter, segment) else {
                return Ok(());
            };
            self.records += records;
            return out.unpriced(unknown);
        };
        let continues = self
            .run
            .as_ref()
            .is_some_and(|run| run.subscription == subscription && run.meter == meter);
        if !continues {
            self.finish_run(out)?;
            self.run = Some(self.start_run(subscription, meter));
        }
        let Some(run) = &mut self.run else { return Ok(()) };
        match &mut run.rating {
            Rating::Graduated(schedules, stretches, used) => {
                let first = stretches.len();
                let (from, until) = self.path.period;
                stretches.extend(segment.stretches(from));
                let rated = stretches[first..].iter().filter(|row| row.meets(from, until));
                self.records += rated.count() as u64;
                if schedules.iter().any(|schedule| schedule.depends_on_resources()) {
                    let subscription = book.subscription_id(subscription).to_string();
                    used.mark(&mut stretches[first..], rows, usage, &subscription)?;
                }
                Ok(())
            }
            Rating::Flat(flat) => {
                let of = RowsOf { subscription: subscription.0, meter: meter.0 };
                let rows = flat.take(self.path.period, segment, &mut self.extents, rows)?;
                self.records += rows.len() as u64;
                if let Some(lines) = &mut self.lines {
                    lines.flat(of, rows, &flat.prices);
                }
                Ok(())
            }
        }
    }

    /// Usage that nobody is billed for, unless it belongs to another month.
    fn unknown(
        &self,
        subscription: i32,
        meter: i32,
        segment: Segment<'_>,
    ) -> Option<(u64, Unpriced)> {
        let subscription = self.subscriptions.text(subscription);
        let (from, until) = self.book.period_of_unsold(subscription);
        let rows = segment.stretches(from).filter(|row| row.meets(from, until));
        let rows = rows.map(|row| (1, row.quantity));
        let (records, sum) = rows.reduce(|a, b| (a.0 + b.0, a.1 + b.1))?;
        let unpriced = Unpriced {
            subscription: subscription.to_owned(),
            meter: self.meters.text(meter).to_owned(),
            edge: None,
            reason: "the subscription has no sale path in this month".to_owned(),
            quantity: Quantity::from_mantissa(sum),
        };
        Some((records, unpriced))
    }

    fn start_run(&mut self, subscription: SubscriptionIndex, meter: MeterIndex) -> Run {
        self.path.enter(self.book, subscription);
        let nodes = self.path.steps.iter().map(|step| step.node);
        if self.book.flat_prices(nodes.clone(), meter, &mut self.spare) {
            let flat = flat::Flat::new(std::mem::take(&mut self.spare));
            return Run { subscription, meter, rating: Rating::Flat(flat) };
        }
        self.prices.clear();
        for node in nodes {
            self.prices.push(self.cache.get(self.book, node, meter));
        }
        let flat = flat::Flat::of(&self.prices, std::mem::take(&mut self.spare));
        let rating = if let Some(flat) = flat.filter(|_| !self.path.is_uneven) {
            Rating::Flat(flat)
        } else {
            let priced = self.prices.iter().zip(&self.path.steps);
            let schedules = priced.map(|(price, step)| price.schedule(step.period)).collect();
            Rating::Graduated(schedules, Vec::new(), UsedResources::default())
        };
        Run { subscription, meter, rating }
    }

    fn finish_run(&mut self, out: &mut impl Output) -> Result<()> {
        let Some(run) = self.run.take() else { return Ok(()) };
        let (subscription, meter) = (run.subscription, run.meter);
        let Path { steps, period, .. } = &self.path;
        let key = RunKey { book: self.book, steps, period: *period, subscription, meter };
        match run.rating {
            Rating::Flat(flat) => {
                flat.groups(key, out)?;
                self.spare = flat.prices;
                Ok(())
            }
            Rating::Graduated(schedules, rows, used) => {
                let resources = &used.names;
                let rating =
                    graduated::Graduated { key, schedules: &schedules, rows: &rows, resources };
                let cuts = rating.rate(&mut self.extents, out)?;
                if let Some(lines) = &mut self.lines {
                    let of = RowsOf { subscription: subscription.0, meter: meter.0 };
                    let rows = rows.len();
                    lines.graduated(of, graduated::Rated { schedules, rows, cuts });
                }
                Ok(())
            }
        }
    }
}

impl Path {
    /// Turns to the sale path of a subscription.
    fn enter(&mut self, book: &RateBook, subscription: SubscriptionIndex) {
        if self.subscription == Some(subscription) {
            return;
        }
        self.subscription = Some(subscription);
        self.steps.clear();
        self.period = book.period_of(subscription);
        self.is_uneven = book.is_uneven(subscription);
        let edges = book.path(subscription);
        let path = edges.iter().zip(book.nodes(subscription)).enumerate();
        self.steps.extend(path.map(|(at, (edge, node))| {
            let terms = &book.edges()[edge.get()];
            let sold_on = edges.get(at + 1).copied();
            Step {
                node: *node,
                edge: *edge,
                sold_on: sold_on.filter(|next| book.is_beside(*next) == book.is_beside(*edge)),
                period: book.period_of_node(*node),
                rounding: book.rounding(subscription, *edge),
                currency: terms.currency,
            }
        }));
    }
}

/// Whose run it is.
#[derive(Debug, Clone, Copy)]
struct RunKey<'a> {
    book: &'a RateBook,
    steps: &'a [Step],
    /// What some edge bills.
    period: (i64, i64),
    subscription: SubscriptionIndex,
    meter: MeterIndex,
}

impl RunKey<'_> {
    /// What a quantity comes to before the exchange, at the one price of an edge.
    fn flat_sum(&self, position: usize, quantity: i128) -> Result<PricedSum> {
        let price = self.book.flat_price(self.steps[position].node, self.meter);
        let price = price.ok_or_else(|| Error::internal("a run has lost its price"))?;
        let quantity = Quantity::from_mantissa(quantity);
        Ok(PricedSum {
            currency: price.pricing_currency,
            rate: price.rate,
            exact: Amount::of(quantity, price.effective_unit_price)?,
        })
    }

    /// Completes a group of this run. `sums` says what it comes to before the exchange; asked only
    /// where amounts are rounded there.
    fn group(
        &self,
        position: usize,
        tier: usize,
        total: Total,
        sums: impl FnOnce() -> Result<Vec<PricedSum>>,
    ) -> Result<Group> {
        let step = self.steps[position];
        let money = match step.rounding {
            RoundingPolicy::Once(mode) => total.exact.round(mode, step.currency)?,
            inside => inside.billed(&sums()?, step.currency)?,
        };
        Ok(Group {
            subscription: self.subscription,
            meter: self.meter,
            edge: step.edge,
            sold_on: step.sold_on,
            position: position as u8,
            tier: tier as u8,
            quantity: Quantity::from_mantissa(total.quantity),
            lines: total.lines,
            money,
            exact: total.exact,
            pricing: total.pricing,
        })
    }
}

/// What a group adds up to.
#[derive(Debug, Clone, Copy)]
struct Total {
    quantity: i128,
    lines: u64,
    exact: ExactAmount,
    pricing: Pricing,
}

impl<'a> Usage<'a> {
    fn segment(&self, rows: Range<usize>) -> Segment<'a> {
        Segment {
            starts: self.start.map(|starts| &starts[rows.clone()]),
            ends: self.end.map(|ends| &ends[rows.clone()]),
            quantity: match self.quantity {
                Quantities::Narrow(values) => Quantities::Narrow(&values[rows]),
                Quantities::Wide(values) => Quantities::Wide(&values[rows]),
            },
            scale: self.scale,
        }
    }
}

impl Segment<'_> {
    fn rows(&self) -> usize {
        match self.quantity {
            Quantities::Narrow(values) => values.len(),
            Quantities::Wide(values) => values.len(),
        }
    }

    /// The rows one by one, with quantities at their full scale. Where the times were not read
    /// because no price changes within the month, every row counts at `anywhere`.
    fn stretches(&self, anywhere: i64) -> impl Iterator<Item = Stretch> + '_ {
        let factor = ten_to(QUANTITY_SCALE - self.scale);
        (0..self.rows()).map(move |at| {
            let start = self.starts.map_or(anywhere, |starts| starts[at]);
            Stretch {
                start,
                end: self.ends.map_or(start, |ends| ends[at]),
                resource: 0,
                quantity: factor
                    * match self.quantity {
                        Quantities::Narrow(values) => i128::from(values[at]),
                        Quantities::Wide(values) => values[at],
                    },
            }
        })
    }
}

fn overflow() -> Error {
    Error::invalid("quantity", "adds up to more than is kept")
}
