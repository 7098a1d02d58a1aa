//! Runs with one price on every edge: the sum of the quantities times the price.

use kernel::{Amount, Error, QUANTITY_SCALE, Quantity, Result};

use super::{Output, RunKey, Segment, Total, overflow};
use crate::group::{ExactAmount, GroupPrice};
use crate::lines::{Column, Extent, LineBuilder, LineExtents, RowsOf};
use crate::schedule::{Charge, FlatPrice, NodePrice};
use crate::slices::Stretch;
use crate::usage::Quantities;

/// What a flat run has come to so far.
#[derive(Debug)]
pub(super) struct Flat {
    /// By position on the sale path.
    pub prices: Vec<FlatPrice>,
    /// The sum of the quantities, and its decimals.
    sum: i128,
    scale: u8,
    rows: u64,
}

impl Flat {
    /// A flat run, where every edge has one price all month long. `spare` is memory to use.
    pub fn of(prices: &[NodePrice], mut spare: Vec<FlatPrice>) -> Option<Self> {
        spare.clear();
        for price in prices {
            match price {
                NodePrice::Flat(price) => spare.push(*price),
                NodePrice::Scheduled(_) => return None,
            }
        }
        Some(Self::new(spare))
    }

    /// A flat run at these prices.
    pub const fn new(prices: Vec<FlatPrice>) -> Self {
        Self { prices, sum: 0, scale: 0, rows: 0 }
    }

    /// Takes rows: adds them up, measures them, and makes lines of them.
    pub fn take(
        &mut self,
        period: (i64, i64),
        of: RowsOf,
        segment: Segment<'_>,
        extents: &mut LineExtents,
        lines: Option<&mut LineBuilder>,
        out: &mut impl Output,
    ) -> Result<()> {
        if !segment.reaches_beyond(period) {
            return self.take_inside(of, segment, extents, lines, out);
        }
        let (starts, quantities) = clipped(segment, period);
        let inside = Segment {
            starts: Some(&starts),
            ends: None,
            quantity: Quantities::Wide(&quantities),
            scale: QUANTITY_SCALE,
        };
        self.take_inside(of, inside, extents, lines, out)
    }

    fn take_inside(
        &mut self,
        of: RowsOf,
        segment: Segment<'_>,
        extents: &mut LineExtents,
        lines: Option<&mut LineBuilder>,
        out: &mut impl Output,
    ) -> Result<()> {
        match segment.quantity {
            Quantities::Narrow(values) => self.rate(of, segment, values, extents, lines, out),
            Quantities::Wide(values) => self.rate(of, segment, values, extents, lines, out),
        }
    }

    fn rate<T: Copy + Into<i128>>(
        &mut self,
        of: RowsOf,
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
        self.add(sum, segment.scale)?;
        self.rows += values.len() as u64;
        extents.quantity =
            extents.quantity.max(extent(largest, 1, segment.scale, extents.quantity));
        for (position, price) in self.prices.iter().enumerate() {
            let Charge { mantissa, scale } = price.charge;
            let known = extents.amounts.get(position).copied().unwrap_or_default();
            let measured = extent(largest, mantissa.unsigned_abs(), segment.scale + scale, known);
            extents.amount(position, Extent { scale, ..measured });
        }
        match lines {
            Some(lines) => self.lines(of, segment, values, largest, lines, out),
            None => Ok(()),
        }
    }

    fn add(&mut self, sum: i128, scale: u8) -> Result<()> {
        let common = scale.max(self.scale);
        let at_common =
            |value: i128, scale: u8| value.checked_mul(10i128.pow(u32::from(common - scale)));
        let sum = at_common(sum, scale).zip(at_common(self.sum, self.scale));
        self.sum = sum.and_then(|(a, b)| a.checked_add(b)).ok_or_else(overflow)?;
        self.scale = common;
        Ok(())
    }

    fn lines<T: Copy + Into<i128>>(
        &self,
        of: RowsOf,
        segment: Segment<'_>,
        mut values: &[T],
        largest: u128,
        lines: &mut LineBuilder,
        out: &mut impl Output,
    ) -> Result<()> {
        let starts = segment.starts.ok_or_else(|| Error::internal("lines without start times"));
        let mut starts = starts?;
        while !values.is_empty() {
            let (now, later) = values.split_at(lines.room().min(values.len()));
            lines.extend(of, starts[..now.len()].iter().copied());
            starts = &starts[now.len()..];
            lines.quantity.extend_scaled(now, segment.scale)?;
            for position in 0..lines.amounts.len() {
                let Some(price) = self.prices.get(position) else {
                    lines.tier(position, None, now.len());
                    lines.amounts[position].extend_null(now.len());
                    continue;
                };
                lines.tier(position, Some(0), now.len());
                let column = &mut lines.amounts[position];
                match column.factor(price.charge, segment.scale, largest) {
                    Some(factor) => column.extend_product(now, factor)?,
                    None => extend_rounded(column, now, segment.scale, price)?,
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
    pub fn groups(&self, key: RunKey<'_>, out: &mut impl Output) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let factor = 10i128.pow(u32::from(QUANTITY_SCALE - self.scale));
        let quantity = self.sum.checked_mul(factor).ok_or_else(overflow)?;
        for (position, price) in self.prices.iter().enumerate() {
            let Charge { mantissa, scale } = price.charge;
            let exact = match self.sum.checked_mul(mantissa) {
                Some(product) => ExactAmount::Narrow(product, self.scale + scale),
                None => ExactAmount::Wide(Amount::of_exchanged(
                    Quantity::from_mantissa(quantity),
                    price.effective_unit_price,
                    price.rate.rate,
                )?),
            };
            let price = GroupPrice {
                pricing_currency: price.pricing_currency,
                rate: price.rate,
                unit_price: price.unit_price,
                effective_unit_price: price.effective_unit_price,
            };
            let (lines, price) = (self.rows, Some(price));
            let total = Total { quantity, lines, exact, price, is_flat: true };
            out.group(&key.group(position, 0, total)?)?;
        }
        Ok(())
    }
}

/// Products that need more decimals than the column has are rounded one by one.
fn extend_rounded<T: Copy + Into<i128>>(
    column: &mut Column,
    values: &[T],
    scale: u8,
    price: &FlatPrice,
) -> Result<()> {
    let factor = 10i128.pow(u32::from(QUANTITY_SCALE - scale));
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
    /// Whether some row lies outside the period or across its bounds.
    fn reaches_beyond(&self, (start, end): (i64, i64)) -> bool {
        let starts = self.starts.unwrap_or_default();
        starts.first().is_some_and(|first| *first < start)
            || starts.last().is_some_and(|last| *last >= end)
            || self.ends.is_some_and(|ends| ends.iter().any(|e| *e > end))
    }
}

/// The rows as far as they lie within the period: their starts and quantities.
fn clipped(segment: Segment<'_>, (start, end): (i64, i64)) -> (Vec<i64>, Vec<i128>) {
    let inside = segment.stretches(start).filter(|row| row.meets(start, end));
    let part = |row: Stretch| (row.start.max(start), row.used_until(end) - row.used_until(start));
    inside.map(part).unzip()
}
