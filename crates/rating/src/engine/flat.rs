//! Runs with one price on every edge: the sum of the quantities times the price.

use std::ops::Range;

use kernel::{QUANTITY_SCALE, Quantity, Result, ten_to};

use super::{Output, RunKey, Segment, Total, overflow};
use crate::flat_price::EdgePrice;
use crate::group::{ExactAmount, Pricing};
use crate::lines::{Extent, LineExtents};
use crate::schedule::NodePrice;
use crate::slices::Stretch;
use crate::usage::Quantities;

/// What a flat run has come to so far.
#[derive(Debug)]
pub(super) struct Flat {
    /// By position on the sale path.
    pub prices: Vec<EdgePrice>,
    /// The sum of the quantities, and its decimals.
    sum: i128,
    scale: u8,
    rows: u64,
}

/// The rows that a flat run has taken.
#[derive(Debug)]
pub(super) enum Rows {
    /// Rows of the batch.
    Whole(Range<usize>),
    /// Parts of rows that reach beyond the period: their starts and quantities at full scale.
    Clipped(Vec<i64>, Vec<i128>),
}

impl Rows {
    /// How many there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Whole(rows) => rows.len(),
            Self::Clipped(starts, _) => starts.len(),
        }
    }
}

/// The size of the largest quantity of a segment.
#[derive(Debug, Clone, Copy)]
struct Measured {
    sum: i128,
    largest: u128,
    rows: usize,
}

impl Measured {
    fn of<T: Copy + Into<i128>>(values: &[T]) -> Self {
        let (mut sum, mut largest) = (0i128, 0u128);
        for value in values {
            let value: i128 = (*value).into();
            sum += value;
            largest = largest.max(value.unsigned_abs());
        }
        Self { sum, largest, rows: values.len() }
    }

    /// The same without leaving 64 bits, where that is possible.
    fn of_narrow(values: &[i64]) -> Self {
        let (mut sum, mut low, mut high) = (0i64, 0i64, 0i64);
        for value in values {
            sum = sum.wrapping_add(*value);
            low = low.min(*value);
            high = high.max(*value);
        }
        let largest = low.unsigned_abs().max(high.unsigned_abs());
        let most = largest.checked_mul(values.len() as u64);
        if most.is_none_or(|most| i64::try_from(most).is_err()) {
            return Self::of(values);
        }
        Self { sum: i128::from(sum), largest: u128::from(largest), rows: values.len() }
    }
}

impl Flat {
    /// A flat run, where every edge has one price all month long. `spare` is memory to use.
    pub fn of(prices: &[NodePrice], mut spare: Vec<EdgePrice>) -> Option<Self> {
        spare.clear();
        for price in prices {
            match price {
                NodePrice::Flat(price) => spare.push(price.into()),
                NodePrice::Scheduled(_) => return None,
            }
        }
        Some(Self::new(spare))
    }

    /// A flat run at these prices.
    pub const fn new(prices: Vec<EdgePrice>) -> Self {
        Self { prices, sum: 0, scale: 0, rows: 0 }
    }

    /// Takes the rows of a segment: adds them up and measures how wide their amounts are.
    pub fn take(
        &mut self,
        period: (i64, i64),
        segment: Segment<'_>,
        extents: &mut LineExtents,
        rows: Range<usize>,
    ) -> Result<Rows> {
        if segment.reaches_beyond(period) {
            let (starts, quantities) = clipped(segment, period);
            self.add(Measured::of(&quantities), QUANTITY_SCALE, extents)?;
            return Ok(Rows::Clipped(starts, quantities));
        }
        let measured = match segment.quantity {
            Quantities::Narrow(values) => Measured::of_narrow(values),
            Quantities::Wide(values) => Measured::of(values),
        };
        self.add(measured, segment.scale, extents)?;
        Ok(Rows::Whole(rows))
    }

    fn add(&mut self, part: Measured, scale: u8, extents: &mut LineExtents) -> Result<()> {
        self.rows += part.rows as u64;
        let common = scale.max(self.scale);
        let at_common = |value: i128, scale: u8| value.checked_mul(ten_to(common - scale));
        let sum = at_common(part.sum, scale).zip(at_common(self.sum, self.scale));
        self.sum = sum.and_then(|(a, b)| a.checked_add(b)).ok_or_else(overflow)?;
        self.scale = common;
        extents.quantity = extents.quantity.max(extent(part.largest, 1, scale, extents.quantity));
        for (position, price) in self.prices.iter_mut().enumerate() {
            let known = extents.amount(position);
            // A price keeps its trailing zeros unless they would make the column wider.
            if price.charge.scale > known.scale {
                price.charge = price.charge.trimmed();
            }
            let factor = price.charge.mantissa.unsigned_abs();
            let whole = extent(part.largest, factor, scale + price.charge.scale, *known).whole;
            *known = known.max(Extent { whole, scale: price.charge.scale });
        }
        Ok(())
    }

    /// Completes the run: one group an edge.
    pub fn groups(&self, key: RunKey<'_>, out: &mut impl Output) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let full = ten_to(QUANTITY_SCALE - self.scale);
        let quantity = self.sum.checked_mul(full).ok_or_else(overflow)?;
        for (position, price) in self.prices.iter().enumerate() {
            let exact = match self.sum.checked_mul(price.charge.mantissa) {
                Some(product) => ExactAmount::Narrow(product, self.scale + price.charge.scale),
                None => ExactAmount::Wide(price.amount_of(Quantity::from_mantissa(quantity))?),
            };
            let total = Total { quantity, lines: self.rows, exact, pricing: Pricing::Flat };
            let sums = || Ok(vec![key.flat_sum(position, quantity)?]);
            out.group(&key.group(position, 0, total, sums)?)?;
        }
        Ok(())
    }
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
        let digits = whole + scale;
        digits > kernel::POW10_MAX || product < ten_to(digits).unsigned_abs()
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
