//! Runs whose price changes with time or quantity: cut by both.

use std::sync::Arc;

use domain::PricedSum;
use kernel::{
    Amount, Percent, QUANTITY_SCALE, Quantity, Result, UnitPrice, divide_by_ten_to, trimmed,
};

use super::flat::extent;
use super::{Output, RunKey, Total, overflow};
use crate::group::{ExactAmount, GroupPrice, Mixed, Pricing, Unpriced};
use crate::lines::{Extent, LineBuilder, LineExtents, RowsOf};
use crate::schedule::{Charge, Gap, Interval, Price, PricedTier, Schedule};
use crate::slices::{Stretch, slice_by_tier};

/// A part of a record that lies in one tier of one price, on one edge.
#[derive(Debug, Clone, Copy)]
struct Slice {
    row: u32,
    place: Place,
    quantity: i128,
    /// When the part begins.
    start: i64,
}

/// What has one price: a tier of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    tier: u32,
    interval: u32,
    /// Whether the resource earns credit that others do not earn.
    credited: bool,
}

impl Place {
    /// Where an edge has what it does not bill with this month, and another edge does.
    const OUTSIDE: Self = Self { tier: u32::MAX, interval: u32::MAX, credited: false };
}

/// How the records of a run are cut on one edge, and on all others with the same tiers and dates.
#[derive(Debug)]
struct Cut {
    /// Ordered by row, and within a row by time.
    slices: Vec<Slice>,
    sums: Vec<Sum>,
}

/// What is in one place.
#[derive(Debug, Clone, Copy)]
struct Sum {
    place: Place,
    quantity: i128,
    lines: u64,
    /// The size of the largest slice.
    largest: u128,
}

/// A run and the prices of its edges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Graduated<'a> {
    pub key: RunKey<'a>,
    pub schedules: &'a [Arc<Schedule>],
    pub rows: &'a [Stretch],
    /// The resources that the rows name.
    pub resources: &'a [String],
}

/// The cut of each edge: edges with the same tiers and dates share one.
#[derive(Debug)]
pub(super) struct Cuts {
    cuts: Vec<Cut>,
    /// By position; none where the edge has no price for all of the usage.
    of: Vec<Option<usize>>,
    /// Whether every edge that is billed here has a price.
    complete: bool,
}

impl Graduated<'_> {
    /// Rates the run on every edge: completes its groups; the cuts become lines later.
    pub fn rate(self, extents: &mut LineExtents, out: &mut impl Output) -> Result<Cuts> {
        let mut found = Cuts { cuts: Vec::with_capacity(1), of: Vec::new(), complete: true };
        for (position, schedule) in self.schedules.iter().enumerate() {
            let above = position.checked_sub(1);
            let same = above.filter(|above| is_cut_alike(&self.schedules[*above], schedule));
            let cut = match same.and_then(|above| found.of[above]) {
                Some(cut) => cut,
                None => match Cut::new(schedule, self) {
                    Ok(cut) => {
                        found.cuts.push(cut?);
                        found.cuts.len() - 1
                    }
                    Err(missing) => {
                        found.of.push(None);
                        // What a seller rates itself is expected, not billed; whoever starts from
                        // that price says so on its own edge.
                        if !self.is_received(position) {
                            found.complete = false;
                            out.unpriced(self.unpriced(position, &missing))?;
                        }
                        continue;
                    }
                },
            };
            found.of.push(Some(cut));
            let cut = &found.cuts[cut];
            measure(schedule, cut, position, extents);
            self.groups(position, &cut.sums, out)?;
        }
        Ok(found)
    }

    fn is_received(&self, position: usize) -> bool {
        let edge = self.key.steps[position].edge;
        self.key.book.edges()[edge.get()].is_received
    }

    fn unpriced(&self, position: usize, missing: &NoPrice<'_>) -> Unpriced {
        let RunKey { book, subscription, meter, .. } = self.key;
        Unpriced {
            subscription: book.subscription_id(subscription).to_string(),
            meter: book.meters()[meter.get()].to_string(),
            edge: Some(book.path(subscription)[position]),
            reason: missing.reason.0.to_string(),
            quantity: Quantity::from_mantissa(missing.quantity),
        }
    }

    /// One group a tier, exact within each price.
    fn groups(self, position: usize, sums: &[Sum], out: &mut impl Output) -> Result<()> {
        for tier in sums.chunk_by(|a, b| a.place.tier == b.place.tier) {
            let mut total: Option<Total> = None;
            let used = match tier {
                [_] => tier.to_vec(),
                _ => priced_units(&self.schedules[position], tier)?,
            };
            for sum in &used {
                let found = priced(&self.schedules[position], sum.place);
                let (price, tier_price) = found.ok_or_else(overflow)?;
                let part = total_of(price, tier_price, sum)?;
                total = Some(total.map_or(Ok(part), |total| total.plus(part))?);
            }
            if let Some(total) = total {
                let total = Total { lines: tier.iter().map(|sum| sum.lines).sum(), ..total };
                let number = tier[0].place.tier as usize;
                let sums = || self.priced_sums(position, &used);
                out.group(&self.key.group(position, number, total, sums)?)?;
            }
        }
        Ok(())
    }

    /// What a tier comes to before the exchange, by pricing currency and rate.
    fn priced_sums(&self, position: usize, tier: &[Sum]) -> Result<Vec<PricedSum>> {
        let mut sums: Vec<PricedSum> = Vec::with_capacity(1);
        for sum in tier {
            let found = priced(&self.schedules[position], sum.place);
            let (price, tier_price) = found.ok_or_else(overflow)?;
            let quantity = Quantity::from_mantissa(sum.quantity);
            let part = PricedSum {
                currency: price.pricing_currency,
                rate: price.rate,
                exact: Amount::of(quantity, tier_price.effective_unit_price)?,
            };
            match sums.iter_mut().find(|sum| (sum.currency, sum.rate) == (part.currency, part.rate))
            {
                Some(sum) => sum.exact = sum.exact.checked_add(part.exact)?,
                None => sums.push(part),
            }
        }
        Ok(sums)
    }
}

impl Cut {
    fn new<'s>(
        schedule: &'s Schedule,
        run: Graduated<'_>,
    ) -> std::result::Result<Result<Self>, NoPrice<'s>> {
        let Graduated { rows, resources, key: RunKey { period, .. }, .. } = run;
        let mut slices = Vec::with_capacity(rows.len() + 2);
        cut(schedule, period, (rows, resources), &mut slices)?;
        // Stable: the parts of a record stay in the order of time.
        if bounds(&schedule.intervals) != Some(period) {
            fill_up(schedule, period, rows, &mut slices);
            slices.sort_by_key(|slice| (slice.row, slice.start));
        } else if schedule.intervals.len() > 1 {
            slices.sort_by_key(|slice| slice.row);
        }
        Ok(sums(&slices).map(|sums| Self { slices, sums }))
    }
}

/// The sums of a tier by whose prices units are left: what has none, or has given them back, has no
/// price to speak of, unless there is nothing else.
fn priced_units(schedule: &Schedule, tier: &[Sum]) -> Result<Vec<Sum>> {
    let stated = |sum: &Sum| {
        let (price, tier) = priced(schedule, sum.place).ok_or_else(overflow)?;
        Ok::<_, kernel::Error>(price.stated(tier))
    };
    let mut units: Vec<(GroupPrice, i128)> = Vec::with_capacity(2);
    for sum in tier {
        let price = stated(sum)?;
        match units.iter_mut().find(|(known, _)| *known == price) {
            Some((_, units)) => *units += sum.quantity,
            None => units.push((price, sum.quantity)),
        }
    }
    let mut used = Vec::with_capacity(tier.len());
    for sum in tier {
        let price = stated(sum)?;
        if units.iter().any(|(known, units)| *known == price && *units != 0) {
            used.push(*sum);
        }
    }
    Ok(if used.is_empty() { tier.to_vec() } else { used })
}

/// Adds slices up by place. There are few places, and neighbours mostly share them.
fn sums(slices: &[Slice]) -> Result<Vec<Sum>> {
    let mut sums: Vec<Sum> = Vec::with_capacity(4);
    for Slice { place, quantity, .. } in slices.iter().filter(|s| s.place != Place::OUTSIDE) {
        let largest = quantity.unsigned_abs();
        match sums.iter_mut().rfind(|sum| sum.place == *place) {
            Some(sum) => {
                sum.quantity = sum.quantity.checked_add(*quantity).ok_or_else(overflow)?;
                sum.lines += 1;
                sum.largest = sum.largest.max(largest);
            }
            None => sums.push(Sum { place: *place, quantity: *quantity, lines: 1, largest }),
        }
    }
    sums.sort_unstable_by_key(|sum| sum.place);
    Ok(sums)
}

/// Whether two edges cut the same usage alike: same dates, same tiers, a price everywhere.
fn is_cut_alike(a: &Schedule, b: &Schedule) -> bool {
    let alike = |a: &Price, b: &Price| {
        a.tiers.len() == b.tiers.len()
            && a.tiers.iter().zip(&b.tiers).all(|(a, b)| a.from == b.from)
    };
    a.intervals.len() == b.intervals.len()
        && a.intervals.iter().zip(&b.intervals).all(|(a, b)| {
            (a.from, a.until) == (b.from, b.until)
                && (&a.credited, &b.credited) == (&None, &None)
                && matches!((&a.price, &b.price), (Ok(a), Ok(b)) if alike(a, b))
        })
}

/// A run that has been cut.
#[derive(Debug)]
pub(super) struct Rated {
    pub schedules: Vec<Arc<Schedule>>,
    pub rows: usize,
    pub cuts: Cuts,
}

impl Rated {
    /// Whether every edge that is billed here has a price.
    pub fn is_complete(&self) -> bool {
        self.cuts.complete
    }

    /// Makes lines: the finest parts that have one price on every edge.
    pub fn lines(
        &self,
        of: RowsOf,
        lines: &mut LineBuilder<'_>,
        out: &mut impl Output,
    ) -> Result<()> {
        let slices = self.cuts.cuts.iter().map(|cut| cut.slices.as_slice());
        if let [cut] = self.cuts.cuts.as_slice() {
            return self.alike(of, &cut.slices, lines, out);
        }
        let mut cursors: Vec<Cursor<'_>> =
            slices.map(|slices| Cursor { slices, used: 0 }).collect();
        let mut places = Vec::with_capacity(cursors.len());
        for row in 0..self.rows as u32 {
            let mut number = 0;
            while let Some(part) = next_part(&cursors, row) {
                places.clear();
                places.extend(cursors.iter_mut().map(|cursor| cursor.take(part.quantity)));
                lines.extend(of, number, &[part.start]);
                lines.quantity.push_quantity(part.quantity)?;
                let cut = |position: usize| self.cuts.of.get(position).copied().flatten();
                let place = |position: usize| cut(position).map(|cut| places[cut]);
                self.charge(lines, place, &[part.quantity])?;
                number += 1;
                hand_on(lines, out)?;
            }
        }
        Ok(())
    }

    /// Lines where all edges are cut alike: stretches of one place are charged at once.
    fn alike(
        &self,
        of: RowsOf,
        slices: &[Slice],
        lines: &mut LineBuilder<'_>,
        out: &mut impl Output,
    ) -> Result<()> {
        let (mut row, mut number) = (u32::MAX, 0);
        let mut quantities = Vec::new();
        for mut stretch in slices.chunk_by(|a, b| a.place == b.place) {
            while !stretch.is_empty() {
                let (now, later) = stretch.split_at(lines.room().min(stretch.len()));
                quantities.clear();
                for slice in now {
                    number = if slice.row == row { number + 1 } else { 0 };
                    row = slice.row;
                    lines.extend(of, number, &[slice.start]);
                    lines.quantity.push_quantity(slice.quantity)?;
                    quantities.push(slice.quantity);
                }
                let cut = |position: usize| self.cuts.of.get(position).copied().flatten();
                let place = |position: usize| cut(position).map(|_| now[0].place);
                self.charge(lines, place, &quantities)?;
                hand_on(lines, out)?;
                stretch = later;
            }
        }
        Ok(())
    }

    /// Appends tiers and amounts of quantities that are in one place on every edge.
    fn charge(
        &self,
        lines: &mut LineBuilder<'_>,
        place: impl Fn(usize) -> Option<Place>,
        quantities: &[i128],
    ) -> Result<()> {
        for position in 0..lines.amounts.len() {
            let Some(place) = place(position).filter(|place| *place != Place::OUTSIDE) else {
                lines.tier(position, None, quantities.len());
                lines.amounts[position].extend_null(quantities.len());
                continue;
            };
            lines.tier(position, Some(place.tier as usize), quantities.len());
            let found = priced(&self.schedules[position], place);
            let (price, tier) = found.ok_or_else(overflow)?;
            for quantity in quantities {
                lines.amounts[position].push_charged(*quantity, price, tier)?;
            }
        }
        Ok(())
    }
}

/// Hands a full batch on.
fn hand_on(lines: &mut LineBuilder<'_>, out: &mut impl Output) -> Result<()> {
    if lines.room() > 0 {
        return Ok(());
    }
    lines.take()?.map_or(Ok(()), |batch| out.lines(batch))
}

impl Total {
    /// Together with what the same tier came to at another price.
    fn plus(self, other: Self) -> Result<Self> {
        let sum = self.exact.amount()?.checked_add(other.exact.amount()?)?;
        Ok(Self {
            quantity: self.quantity.checked_add(other.quantity).ok_or_else(overflow)?,
            lines: self.lines + other.lines,
            exact: ExactAmount::Wide(sum),
            pricing: if self.pricing == other.pricing && !matches!(self.pricing, Pricing::Mixed(_))
            {
                self.pricing
            } else {
                let priced = self.priced()?.zip(other.priced()?);
                Pricing::Mixed(Mixed {
                    priced: priced.map_or(Ok(None), |(a, b)| a.plus(b))?,
                    unit_price: self
                        .unit_price()
                        .filter(|price| other.unit_price() == Some(*price)),
                    credit: self.credit().max(other.credit()),
                })
            },
        })
    }

    /// What it comes to before the exchange.
    fn priced(&self) -> Result<Option<PricedSum>> {
        match self.pricing {
            Pricing::Flat => Ok(None),
            Pricing::Mixed(mixed) => Ok(mixed.priced),
            Pricing::Stated(price) => {
                let quantity = Quantity::from_mantissa(self.quantity);
                Ok(Some(PricedSum {
                    currency: price.pricing_currency,
                    rate: price.rate,
                    exact: Amount::of(quantity, price.effective_unit_price)?,
                }))
            }
        }
    }

    fn credit(&self) -> Percent {
        match self.pricing {
            Pricing::Flat => Percent::ZERO,
            Pricing::Mixed(mixed) => mixed.credit,
            Pricing::Stated(price) => price.credit,
        }
    }

    fn unit_price(&self) -> Option<UnitPrice> {
        match self.pricing {
            Pricing::Flat => None,
            Pricing::Mixed(mixed) => mixed.unit_price,
            Pricing::Stated(price) => Some(price.unit_price),
        }
    }
}

fn total_of(price: &Price, tier: &PricedTier, sum: &Sum) -> Result<Total> {
    let Sum { quantity, lines, .. } = *sum;
    let narrow = tier.charge.and_then(|charge| {
        let product = quantity.checked_mul(charge.mantissa)?;
        Some(ExactAmount::Narrow(product, QUANTITY_SCALE + charge.scale))
    });
    let exact = narrow.map_or_else(
        || {
            let quantity = Quantity::from_mantissa(quantity);
            let (effective, rate) = (tier.effective_unit_price, price.rate.rate);
            Amount::of_exchanged(quantity, effective, rate).map(ExactAmount::Wide)
        },
        Ok,
    )?;
    let pricing = Pricing::Stated(price.stated(tier));
    Ok(Total { quantity, lines, exact, pricing })
}

/// Usage met a stretch of time without a price.
struct NoPrice<'a> {
    reason: &'a Gap,
    quantity: i128,
}

/// Cuts the rows by the prices of one edge: by time first, and within a price by tier. The units
/// fill the tiers in the order of service time; where only credit changes they fill them as if it
/// did not.
fn cut<'a>(
    schedule: &'a Schedule,
    period: (i64, i64),
    (rows, resources): (&[Stretch], &[String]),
    slices: &mut Vec<Slice>,
) -> Result<(), NoPrice<'a>> {
    let mut counter = 0;
    for (first, stretch) in schedule.before_credit() {
        let earning = earning(stretch, resources);
        let Some((from, until)) = bounds(stretch) else { continue };
        for (row_at, row) in rows.iter().enumerate().filter(|(_, row)| row.meets(from, until)) {
            for (at, interval) in (first..).zip(stretch) {
                if !row.meets(interval.from, interval.until) {
                    continue;
                }
                let quantity = row.used_until(interval.until) - row.used_until(interval.from);
                // Nothing was used in this part. Where nothing was used in any, the first one
                // stands for the record, so that every record has a line.
                let stands = || interval.holds(stands_at(row, period)) && uses_nothing(row, period);
                if quantity == 0 && !stands() {
                    continue;
                }
                let price = match &interval.price {
                    Ok(price) => price,
                    Err(reason) => return Err(NoPrice { reason, quantity }),
                };
                let credited = earning[at - first].as_ref();
                let credited = credited.is_some_and(|earning| earning[row.resource as usize]);
                slice_by_tier(&price.tiers, counter, quantity, |tier, quantity| {
                    slices.push(Slice {
                        row: row_at as u32,
                        place: Place { tier: tier as u32, interval: at as u32, credited },
                        quantity,
                        start: row.start.max(interval.from),
                    });
                });
                counter += quantity;
            }
        }
    }
    Ok(())
}

/// When a stretch begins and ends.
fn bounds(stretch: &[Interval]) -> Option<(i64, i64)> {
    Some((stretch.first()?.from, stretch.last()?.until))
}

/// Which resources earn credit that others do not, by interval; none where all are alike.
fn earning(stretch: &[Interval], resources: &[String]) -> Vec<Option<Vec<bool>>> {
    let of = |interval: &Interval| {
        interval.credited.as_ref()?;
        Some(resources.iter().map(|resource| interval.is_credited(resource)).collect())
    };
    stretch.iter().map(of).collect()
}

/// Where a record stands of which nothing was used in a period.
fn stands_at(row: &Stretch, (from, _): (i64, i64)) -> i64 {
    row.start.max(from)
}

/// Whether a record has nothing in a period.
fn uses_nothing(row: &Stretch, (from, until): (i64, i64)) -> bool {
    row.used_until(until) == row.used_until(from)
}

/// Adds what an edge does not bill and another edge of the path does, so that every edge has all
/// of a record: first what lies before the edge's own prices, then what lies behind them.
fn fill_up(schedule: &Schedule, period: (i64, i64), rows: &[Stretch], slices: &mut Vec<Slice>) {
    let Some((from, until)) = bounds(&schedule.intervals) else { return };
    for (at, row) in (0..).zip(rows) {
        let mut outside = |from: i64, quantity: i128| {
            let start = row.start.max(from);
            slices.push(Slice { row: at, place: Place::OUTSIDE, quantity, start });
        };
        if uses_nothing(row, period) {
            let stands = stands_at(row, period);
            if row.meets(period.0, period.1) && !(from <= stands && stands < until) {
                outside(period.0, 0);
            }
            continue;
        }
        for (from, until) in [(period.0, from), (until, period.1)] {
            let quantity = row.used_until(until) - row.used_until(from);
            if quantity != 0 {
                outside(from, quantity);
            }
        }
    }
}

fn priced(schedule: &Schedule, place: Place) -> Option<(&Price, &PricedTier)> {
    let interval = schedule.intervals.get(place.interval as usize)?;
    let price = match &interval.credited {
        Some(credited) if place.credited => &credited.price,
        _ => interval.price.as_ref().ok()?,
    };
    Some((price, price.tiers.get(place.tier as usize)?))
}

/// Measures how wide the lines of a cut are.
fn measure(schedule: &Schedule, cut: &Cut, position: usize, extents: &mut LineExtents) {
    for sum in &cut.sums {
        let Some((_, PricedTier { charge, .. })) = priced(schedule, sum.place) else { continue };
        extents.quantity.whole = extent(sum.largest, 1, QUANTITY_SCALE, extents.quantity).whole;
        let known = extents.amount(position);
        let measured = match charge {
            Some(Charge { mantissa, scale }) => Extent {
                scale: *scale,
                ..extent(sum.largest, mantissa.unsigned_abs(), QUANTITY_SCALE + scale, *known)
            },
            None => Extent { whole: 38, scale: 0 },
        };
        *known = known.max(measured);
    }
    let outside = cut.slices.iter().filter(|slice| slice.place == Place::OUTSIDE);
    if let Some(largest) = outside.map(|slice| slice.quantity.unsigned_abs()).max() {
        extents.quantity.whole = extent(largest, 1, QUANTITY_SCALE, extents.quantity).whole;
    }
    // Every slice is asked for its decimals; nearly always there are as few as before.
    for slice in &cut.slices {
        let known = extents.quantity.scale;
        if divide_by_ten_to(slice.quantity, QUANTITY_SCALE - known).1 != 0 {
            extents.quantity.scale = trimmed(slice.quantity, QUANTITY_SCALE).1;
        }
    }
}

/// How far the slices of one cut have been handed out.
struct Cursor<'a> {
    slices: &'a [Slice],
    /// How much of the first slice is gone.
    used: i128,
}

impl Cursor<'_> {
    /// The next slice, as far as it belongs to a row and is not yet used.
    fn peek(&self, row: u32) -> Option<Slice> {
        let first = self.slices.first().filter(|slice| slice.row == row)?;
        Some(Slice { quantity: first.quantity - self.used, ..*first })
    }

    /// Hands out a part of the first slice; says where it is.
    fn take(&mut self, quantity: i128) -> Place {
        let first = self.slices[0];
        self.used += quantity;
        if self.used == first.quantity {
            self.used = 0;
            self.slices = &self.slices[1..];
        }
        first.place
    }
}

struct Part {
    quantity: i128,
    start: i64,
}

/// The smallest piece that comes next in every cut. All of them cut the same quantity, so they
/// come to its end together.
fn next_part(cursors: &[Cursor<'_>], row: u32) -> Option<Part> {
    let mut part: Option<Part> = None;
    for cursor in cursors {
        let slice = cursor.peek(row)?;
        part = Some(match part {
            None => Part { quantity: slice.quantity, start: slice.start },
            Some(so_far) => Part {
                quantity: if slice.quantity.abs() < so_far.quantity.abs() {
                    slice.quantity
                } else {
                    so_far.quantity
                },
                start: so_far.start.max(slice.start),
            },
        });
    }
    part
}
