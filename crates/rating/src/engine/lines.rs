//! The lines of a partition: kept as what has been rated, and written when it is known how wide
//! they are.

use std::ops::Range;

use arrow_array::RecordBatch;
use kernel::{Error, QUANTITY_SCALE, Quantity, Result, ten_to};

use super::flat::Rows;
use super::{Output, Segment, graduated, overflow};
use crate::book::RateBook;
use crate::flat_price::EdgePrice;
use crate::lines::{Column, LineBuilder, LineExtents, LineFormat, LineNames, RowsOf};
use crate::usage::{Quantities, Usage};

/// What becomes lines.
#[derive(Debug)]
pub(super) struct Pending<'b> {
    names: &'b LineNames,
    batches: Vec<RecordBatch>,
    pieces: Vec<Piece>,
    /// The prices of flat pieces.
    prices: Vec<EdgePrice>,
}

/// Rows that belong together.
#[derive(Debug)]
enum Piece {
    Flat { of: RowsOf, batch: usize, rows: Rows, prices: Range<usize> },
    Graduated { of: RowsOf, rated: graduated::Rated },
}

impl<'b> Pending<'b> {
    pub const fn new(names: &'b LineNames) -> Self {
        Self { names, batches: Vec::new(), pieces: Vec::new(), prices: Vec::new() }
    }

    /// The rows that follow are those of another batch.
    pub fn batch(&mut self, batch: &RecordBatch) {
        self.batches.push(batch.clone());
    }

    /// Keeps rows of the current batch that have one price on every edge.
    pub fn flat(&mut self, of: RowsOf, rows: Rows, prices: &[EdgePrice]) {
        let from = self.prices.len();
        self.prices.extend_from_slice(prices);
        let (batch, prices) = (self.batches.len() - 1, from..self.prices.len());
        self.pieces.push(Piece::Flat { of, batch, rows, prices });
    }

    /// Keeps a run that has been cut. Where an edge has no price there are no lines.
    pub fn graduated(&mut self, of: RowsOf, rated: graduated::Rated) {
        if rated.is_complete() {
            self.pieces.push(Piece::Graduated { of, rated });
        }
    }

    /// Makes lines of everything, and forgets it.
    pub fn write(
        &mut self,
        book: &RateBook,
        extents: &LineExtents,
        out: &mut impl Output,
    ) -> Result<()> {
        let format = LineFormat::new(book, self.names, extents);
        let mut lines = LineBuilder::new(&format);
        let usage = self.batches.iter().map(Usage::of).collect::<Result<Vec<_>>>()?;
        for piece in &self.pieces {
            match piece {
                Piece::Flat { of, batch, rows, prices } => {
                    let prices = &self.prices[prices.clone()];
                    let segment = match rows {
                        Rows::Whole(rows) => usage[*batch].segment(rows.clone()),
                        Rows::Clipped(starts, quantities) => Segment {
                            starts: Some(starts),
                            ends: None,
                            quantity: Quantities::Wide(quantities),
                            scale: QUANTITY_SCALE,
                        },
                    };
                    match segment.quantity {
                        Quantities::Narrow(all) => flat(*of, segment, all, prices, &mut lines, out),
                        Quantities::Wide(all) => flat(*of, segment, all, prices, &mut lines, out),
                    }?;
                }
                Piece::Graduated { of, rated } => rated.lines(*of, &mut lines, out)?,
            }
        }
        drop(usage);
        self.batches.clear();
        self.pieces.clear();
        self.prices.clear();
        lines.take()?.map_or(Ok(()), |batch| out.lines(batch))
    }
}

/// Rows with one price on every edge, as lines.
fn flat<T: Copy + Into<i128>>(
    of: RowsOf,
    segment: Segment<'_>,
    mut values: &[T],
    prices: &[EdgePrice],
    lines: &mut LineBuilder,
    out: &mut impl Output,
) -> Result<()> {
    let starts = segment.starts.ok_or_else(|| Error::internal("lines without start times"));
    let mut starts = starts?;
    while !values.is_empty() {
        let (now, later) = values.split_at(lines.room().min(values.len()));
        lines.extend(of, 0, &starts[..now.len()]);
        starts = &starts[now.len()..];
        lines.quantity.extend_scaled(now, segment.scale)?;
        for position in 0..lines.amounts.len() {
            let Some(price) = prices.get(position) else {
                lines.tier(position, None, now.len());
                lines.amounts[position].extend_null(now.len());
                continue;
            };
            lines.tier(position, Some(0), now.len());
            let column = &mut lines.amounts[position];
            match column.factor(price.charge, segment.scale) {
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

/// Products that need more decimals than the column has are rounded one by one.
fn extend_rounded<T: Copy + Into<i128>>(
    column: &mut Column,
    values: &[T],
    scale: u8,
    price: &EdgePrice,
) -> Result<()> {
    let full = ten_to(QUANTITY_SCALE - scale);
    for value in values {
        let quantity = (*value).into().checked_mul(full).ok_or_else(overflow)?;
        let amount = price.amount_of(Quantity::from_mantissa(quantity))?;
        column.push(amount.to_scaled(column.decimal.scale).ok_or_else(overflow)?)?;
    }
    Ok(())
}
