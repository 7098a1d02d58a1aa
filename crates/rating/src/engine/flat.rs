//! Runs with one price on every edge: the sum of the quantities times the price.

use std::sync::Arc;

use kernel::{Amount, Error, QUANTITY_SCALE, Quantity, Result};

use super::{Output, Run, Segment, Total, overflow};
use crate::book::{MeterIndex, RateBook, SubscriptionIndex};
use crate::group::GroupPrice;
use crate::lines::{Extent, LineBuilder, LineExtents, RowsOf};
use crate::schedule::{Charge, Interval, PricedTier, Schedule};
use crate::slices::Stretch;
use crate::usage::Quantities;

/// What a flat run has come to so far.
#[derive(Debug)]
pub(super) struct Flat {
    charges: Vec<Charge>,
    /// The sum of the quantities at their full scale.
    sum: i128,
    rows: u64,
}

/// Whose rows are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    pub run: (SubscriptionIndex, MeterIndex),
    pub schedules: &'a [Arc<Schedule>],
}

impl Flat {
    /// A flat run, where every edge has one price all month long.
    pub fn of(schedules: &[Arc<Schedule>]) -> Option<Self> {
        let charges = schedules.iter().map(|schedule| schedule.flat()?.charge);
        Some(Self { charges: charges.collect::<Option<_>>()?, sum: 0, rows: 0 })
    }

    /// Takes rows: adds them up, measures them, and makes lines of them.
    pub fn take(
        &mut self,
        book: &RateBook,
        rows: Rows<'_>,
        segment: Segment<'_>,
        extents: &mut LineExtents,
        lines: Option<&mut LineBuilder>,
        out: &mut impl Output,
    ) -> Result<()> {
        let (start, end) = book.period_micros();
        if segment.reaches_beyond(start, end) {
            let (starts, quantities) = clipped(segment, start, end);
            let inside = Segment {
                starts: Some(&starts),
                ends: Some(&starts),
                quantity: Quantities::Wide(&quantities),
                scale: QUANTITY_SCALE,
            };
            return self.take_inside(rows, inside, extents, lines, out);
        }
        self.take_inside(rows, segment, extents, lines, out)
    }

    fn take_inside(
        &mut self,
        rows: Rows<'_>,
        segment: Segment<'_>,
        extents: &mut LineExtents,
        lines: Option<&mut LineBuilder>,
        out: &mut impl Output,
    ) -> Result<()> {
        match segment.quantity {
            Quantities::Narrow(values) => self.rate(rows, segment, values, extents, lines, out),
            Quantities::Wide(values) => self.rate(rows, segment, values, extents, lines, out),
        }
    }

    fn rate<T: Copy + Into<i128>>(
        &mut self,
        rows: Rows<'_>,
        segment: Segment<'_>,
        values: &[T],
        extents: &mut LineExtents,
        lines: Option<&mut LineBuilder>,
        out: &mut impl Output,
    ) -> Result<()> {
        let (mut sum, mut largest) = (0i128, 0u128);
        for value in values {
            let value: i128 = (*value).into();
            sum += value;
            largest = largest.max(value.unsigned_abs());
        }
        let factor = 10i128.pow(u32::from(QUANTITY_SCALE - segment.scale));
        let scaled = sum.checked_mul(factor).and_then(|sum| self.sum.checked_add(sum));
        self.sum = scaled.ok_or_else(overflow)?;
        self.rows += values.len() as u64;
        extents.quantity =
            extents.quantity.max(extent(largest, 1, segment.scale, extents.quantity));
        for (position, Charge { mantissa, scale }) in self.charges.iter().enumerate() {
            let known = extents.amounts.get(position).copied().unwrap_or_default();
            let measured = extent(largest, mantissa.unsigned_abs(), segment.scale + scale, known);
            extents.amount(position, Extent { scale: *scale, ..measured });
        }
        match lines {
            Some(lines) => self.lines(rows, segment, values, largest, lines, out),
            None => Ok(()),
        }
    }

    fn lines<T: Copy + Into<i128>>(
        &self,
        rows: Rows<'_>,
        segment: Segment<'_>,
        mut values: &[T],
        largest: u128,
        lines: &mut LineBuilder,
        out: &mut impl Output,
    ) -> Result<()> {
        let mut starts =
            segment.starts.ok_or_else(|| Error::internal("lines without start times"))?;
        while !values.is_empty() {
            let (now, later) = values.split_at(lines.room().min(values.len()));
            let of = RowsOf { subscription: rows.run.0.0, meter: rows.run.1.0, slice: 0 };
            lines.extend(of, starts[..now.len()].iter().copied());
            starts = &starts[now.len()..];
            lines.quantity.extend_scaled(now, segment.scale)?;
            for position in 0..lines.amounts.len() {
                let Some(charge) = self.charges.get(position) else {
                    lines.tier(position, None, now.len());
                    lines.amounts[position].extend_null(now.len());
                    continue;
                };
                lines.tier(position, Some(0), now.len());
                let column = &mut lines.amounts[position];
                match column.factor(*charge, segment.scale, largest) {
                    Some(factor) => column.extend_product(now, factor)?,
                    None => extend_rounded(column, now, segment.scale, rows, position)?,
                }
            }
            if lines.room() == 0
                && let Some(batch) = lines.take()?
            {
                out.lines(batch)?;
            }
            values = later;
        }
        Ok(())
    }

    /// Completes the run: one group an edge.
    pub fn groups(&self, book: &RateBook, run: &Run, out: &mut impl Output) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        for (position, charge) in self.charges.iter().enumerate() {
            let price = price_of(&run.schedules[position]);
            let scale = QUANTITY_SCALE + charge.scale;
            let narrow = self.sum.checked_mul(charge.mantissa).map(|product| (product, scale));
            let amount = match (narrow, &price) {
                (Some((product, scale)), _) => Amount::from_scaled(product, scale)?,
                (None, Some(price)) => Amount::of_exchanged(
                    Quantity::from_mantissa(self.sum),
                    price.effective_unit_price,
                    price.rate.rate,
                )?,
                (None, None) => return Err(overflow()),
            };
            let total = Total { quantity: self.sum, lines: self.rows, amount, narrow, price };
            out.group(&run.group(book, position, 0, total)?)?;
        }
        Ok(())
    }
}

fn price_of(schedule: &Schedule) -> Option<GroupPrice> {
    let Some(Interval { price: Ok(price), .. }) = schedule.intervals.first() else { return None };
    let PricedTier { unit_price, effective_unit_price, .. } = *price.tiers.first()?;
    Some(GroupPrice {
        pricing_currency: price.pricing_currency,
        rate: price.rate,
        unit_price,
        effective_unit_price,
    })
}

/// Products that need more decimals than the column has are rounded one by one.
fn extend_rounded<T: Copy + Into<i128>>(
    column: &mut crate::lines::Column,
    values: &[T],
    scale: u8,
    rows: Rows<'_>,
    position: usize,
) -> Result<()> {
    let factor = 10i128.pow(u32::from(QUANTITY_SCALE - scale));
    let price = price_of(&rows.schedules[position]).ok_or_else(overflow)?;
    for value in values {
        let quantity = (*value).into().checked_mul(factor).ok_or_else(overflow)?;
        let quantity = Quantity::from_mantissa(quantity);
        let amount = Amount::of_exchanged(quantity, price.effective_unit_price, price.rate.rate)?;
        column.push(amount.to_scaled(column.decimal.scale).ok_or_else(overflow)?)?;
    }
    Ok(())
}

/// How wide the product of two numbers is. Asks first whether it is wider than what is known
/// already, because that is cheap and the answer is nearly always no. A product beyond 128 bits is
/// estimated from its factors, at most one digit too wide.
pub(super) fn extent(a: u128, b: u128, scale: u8, known: Extent) -> Extent {
    let Some(product) = a.checked_mul(b) else {
        let digits = a.ilog10() + b.ilog10() + 2;
        let whole = digits.saturating_sub(u32::from(scale)) as u8;
        return Extent { whole: whole.max(known.whole), scale };
    };
    let fits = |whole: u8| {
        let limit = 10u128.checked_pow(u32::from(whole) + u32::from(scale));
        limit.is_none_or(|limit| product < limit)
    };
    let mut whole = known.whole;
    while !fits(whole) {
        whole += 1;
    }
    Extent { whole, scale }
}

impl Segment<'_> {
    fn reaches_beyond(&self, start: i64, end: i64) -> bool {
        let early = self.starts.is_some_and(|starts| starts.first().is_some_and(|s| *s < start));
        early
            || self.ends.is_some_and(|ends| ends.iter().any(|e| *e > end))
            || self.starts.is_some_and(|starts| starts.last().is_some_and(|s| *s >= end))
    }
}

/// The rows as far as they lie within the month: their starts and quantities.
fn clipped(segment: Segment<'_>, start: i64, end: i64) -> (Vec<i64>, Vec<i128>) {
    segment
        .stretches(start)
        .filter(|row| row.meets(start, end))
        .map(|row: Stretch| (row.start.max(start), row.used_until(end) - row.used_until(start)))
        .unzip()
}
