//! Runs whose price changes with time or quantity: cut by both.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use kernel::{Amount, QUANTITY_SCALE, Quantity, Result};

use super::flat::extent;
use super::{Output, RunKey, Total, overflow};
use crate::group::{ExactAmount, GroupPrice, Unpriced};
use crate::lines::{Extent, LineBuilder, LineExtents, RowsOf};
use crate::schedule::{Charge, Gap, Price, PricedTier, Schedule};
use crate::slices::{Stretch, slice_by_tier};

/// A part of a record that lies in one tier of one price, on one edge.
#[derive(Debug, Clone, Copy)]
struct Slice {
    row: u32,
    interval: u32,
    tier: u32,
    quantity: i128,
    /// When the part begins.
    start: i64,
}

/// The slices of every edge, ordered by row.
#[derive(Debug)]
pub(super) struct Slices {
    edges: Vec<Vec<Slice>>,
    /// Whether every edge has a price; otherwise there are no lines.
    complete: bool,
}

/// A run and the prices of its edges.
#[derive(Debug, Clone, Copy)]
pub(super) struct Graduated<'a> {
    pub key: RunKey<'a>,
    pub schedules: &'a [Arc<Schedule>],
    pub rows: &'a [Stretch],
}

impl Graduated<'_> {
    /// Rates the run on every edge: completes its groups and keeps its slices for the lines.
    pub fn rate(self, extents: &mut LineExtents, out: &mut impl Output) -> Result<Slices> {
        let mut rated = Slices { edges: Vec::with_capacity(self.schedules.len()), complete: true };
        for (position, schedule) in self.schedules.iter().enumerate() {
            let mut slices = Vec::with_capacity(self.rows.len());
            match cut(schedule, self.rows, &mut slices) {
                Ok(()) => {
                    measure(schedule, &slices, position, extents);
                    self.groups(position, &slices, out)?;
                }
                Err(NoPrice { reason: Gap(reason), quantity }) => {
                    rated.complete = false;
                    let RunKey { book, subscription, meter } = self.key;
                    out.unpriced(Unpriced {
                        subscription: book.subscription_id(subscription).to_string(),
                        meter: book.meters()[meter.get()].to_string(),
                        edge: Some(book.path(subscription)[position]),
                        reason: reason.to_string(),
                        quantity: Quantity::from_mantissa(quantity),
                    })?;
                }
            }
            // Stable: the parts of a record stay in the order of time.
            slices.sort_by_key(|slice| slice.row);
            rated.edges.push(slices);
        }
        Ok(rated)
    }

    /// Adds the slices up: one group a tier, exact within each price.
    fn groups(self, position: usize, slices: &[Slice], out: &mut impl Output) -> Result<()> {
        let mut sums: BTreeMap<(u32, u32), (i128, u64)> = BTreeMap::new();
        for slice in slices {
            let (quantity, lines) = sums.entry((slice.tier, slice.interval)).or_default();
            *quantity = quantity.checked_add(slice.quantity).ok_or_else(overflow)?;
            *lines += 1;
        }
        let mut totals: BTreeMap<u32, Total> = BTreeMap::new();
        for ((tier, interval), (quantity, lines)) in sums {
            let slice = Slice { row: 0, interval, tier, quantity, start: 0 };
            let Some((price, tier_price)) = priced(&self.schedules[position], slice) else {
                continue;
            };
            let total = total_of(price, tier_price, quantity, lines)?;
            match totals.entry(tier) {
                Entry::Vacant(entry) => {
                    entry.insert(total);
                }
                Entry::Occupied(mut entry) => entry.get_mut().add(total)?,
            }
        }
        for (tier, total) in totals {
            out.group(&self.key.group(position, tier as usize, total)?)?;
        }
        Ok(())
    }

    /// Makes lines: the finest parts that have one price on every edge. None where an edge has no
    /// price, which has been reported.
    pub fn lines(
        self,
        slices: &Slices,
        lines: &mut LineBuilder,
        out: &mut impl Output,
    ) -> Result<()> {
        if !slices.complete {
            return Ok(());
        }
        let mut cursors: Vec<Cursor<'_>> =
            slices.edges.iter().map(|slices| Cursor { slices, used: 0 }).collect();
        for row in 0..self.rows.len() as u32 {
            let mut slice = 0;
            while let Some(part) = next_part(&cursors, row) {
                let (subscription, meter) = (self.key.subscription.0, self.key.meter.0);
                lines.extend(RowsOf { subscription, meter, slice }, std::iter::once(part.start));
                lines.quantity.push_quantity(part.quantity)?;
                for position in 0..lines.amounts.len() {
                    let Some(cursor) = cursors.get_mut(position) else {
                        lines.tier(position, None, 1);
                        lines.amounts[position].extend_null(1);
                        continue;
                    };
                    let taken = cursor.take(part.quantity);
                    lines.tier(position, Some(taken.tier as usize), 1);
                    let (price, tier) =
                        priced(&self.schedules[position], taken).ok_or_else(overflow)?;
                    lines.amounts[position].push_charged(part.quantity, price, tier)?;
                }
                slice += 1;
                if lines.room() == 0
                    && let Some(batch) = lines.take()?
                {
                    out.lines(batch)?;
                }
            }
        }
        Ok(())
    }
}

impl Total {
    /// Takes in what the same tier came to at another price.
    fn add(&mut self, other: Self) -> Result<()> {
        self.quantity = self.quantity.checked_add(other.quantity).ok_or_else(overflow)?;
        self.lines += other.lines;
        let sum = self.exact.amount()?.checked_add(other.exact.amount()?)?;
        self.exact = ExactAmount::Wide(sum);
        self.price = self.price.filter(|price| Some(*price) == other.price);
        Ok(())
    }
}

fn total_of(price: &Price, tier: &PricedTier, quantity: i128, lines: u64) -> Result<Total> {
    let effective_unit_price = tier.effective_unit_price;
    let sum = Quantity::from_mantissa(quantity);
    let amount = Amount::of_exchanged(sum, effective_unit_price, price.rate.rate)?;
    let price = GroupPrice {
        pricing_currency: price.pricing_currency,
        rate: price.rate,
        unit_price: tier.unit_price,
        effective_unit_price,
    };
    let exact = ExactAmount::Wide(amount);
    Ok(Total { quantity, lines, exact, price: Some(price), is_flat: false })
}

/// Usage met a stretch of time without a price.
struct NoPrice<'a> {
    reason: &'a Gap,
    quantity: i128,
}

/// Cuts the rows by the prices of one edge: by time first, and within a price by tier. The units
/// fill the tiers in the order of service time.
fn cut<'a>(
    schedule: &'a Schedule,
    rows: &[Stretch],
    slices: &mut Vec<Slice>,
) -> Result<(), NoPrice<'a>> {
    let mut counter = 0;
    for (at, interval) in schedule.intervals.iter().enumerate() {
        for (row_at, row) in rows.iter().enumerate() {
            if !row.meets(interval.from, interval.until) {
                continue;
            }
            let quantity = row.used_until(interval.until) - row.used_until(interval.from);
            // Nothing was used in this part; a record of nothing stays where it starts.
            if quantity == 0 && (row.quantity != 0 || row.start < interval.from) {
                continue;
            }
            let price = match &interval.price {
                Ok(price) => price,
                Err(reason) => return Err(NoPrice { reason, quantity }),
            };
            slice_by_tier(&price.tiers, counter, quantity, |tier, quantity| {
                slices.push(Slice {
                    row: row_at as u32,
                    interval: at as u32,
                    tier: tier as u32,
                    quantity,
                    start: row.start.max(interval.from),
                });
            });
            counter += quantity;
        }
    }
    Ok(())
}

fn priced(schedule: &Schedule, slice: Slice) -> Option<(&Price, &PricedTier)> {
    let price = schedule.intervals.get(slice.interval as usize)?.price.as_ref().ok()?;
    Some((price, price.tiers.get(slice.tier as usize)?))
}

/// Measures how wide the lines of these slices are.
fn measure(schedule: &Schedule, slices: &[Slice], position: usize, extents: &mut LineExtents) {
    for slice in slices {
        let known = extents.quantity;
        let mut scale = known.scale;
        while scale < QUANTITY_SCALE
            && slice.quantity % 10i128.pow(u32::from(QUANTITY_SCALE - scale)) != 0
        {
            scale += 1;
        }
        let size = slice.quantity.unsigned_abs();
        extents.quantity = Extent { scale, ..extent(size, 1, QUANTITY_SCALE, known) };
        let Some((_, PricedTier { charge, .. })) = priced(schedule, *slice) else { continue };
        let known = extents.amounts.get(position).copied().unwrap_or_default();
        let measured = match charge {
            Some(Charge { mantissa, scale }) => Extent {
                scale: *scale,
                ..extent(size, mantissa.unsigned_abs(), QUANTITY_SCALE + scale, known)
            },
            None => Extent { whole: 38, scale: 0 },
        };
        extents.amount(position, measured);
    }
}

/// How far the slices of one edge have been handed out.
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

    /// Hands out a part of the first slice.
    fn take(&mut self, quantity: i128) -> Slice {
        let first = self.slices[0];
        self.used += quantity;
        if self.used == first.quantity {
            self.used = 0;
            self.slices = &self.slices[1..];
        }
        first
    }
}

struct Part {
    quantity: i128,
    start: i64,
}

/// The smallest piece that comes next on every edge. All edges cut the same quantity, so they
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
