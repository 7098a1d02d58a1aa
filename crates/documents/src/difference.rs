//! The daily rows of an adjustment: what has to be taken back of the rows that were billed, and
//! what has to be billed instead.
//!
//! A row that stands on both sides is left out. What is taken back comes first, as it was but
//! negative. Rows for rounding are added up, so that both sides and their difference tie out.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, RunArray};
use kernel::{Error, Result};

use crate::daily::{CHARGE_NEW, CHARGE_REVERSAL, CHARGE_ROUNDING, COLUMNS, Column};
use crate::table::TableBuilder;

/// What the rows of a difference are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DifferenceRows {
    /// Rows of usage: taken back or billed.
    pub usage: u64,
    /// Rows that make up for rounding.
    pub rounding: u64,
    /// The ids of the subscriptions and meters that they are about.
    pub scopes: BTreeSet<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Cell {
    Text(Arc<str>),
    Time(Option<i64>),
    Number(i128),
}

type Row = Vec<Cell>;

/// What adds up over rows.
const ADDITIVE: [Column; 3] =
    [Column::Quantity, Column::PricingPreTaxTotal, Column::BillingPreTaxTotal];

/// Appends what leads from some daily rows to others, as rows of an invoice. Both sides are in
/// canonical order and of the same layout as the table; the invoice that they name does not count.
pub fn daily_difference(
    before: &[RecordBatch],
    now: &[RecordBatch],
    invoice_number: &str,
    table: &mut TableBuilder,
) -> Result<DifferenceRows> {
    let (before, now) = (rows_of(before, invoice_number)?, rows_of(now, invoice_number)?);
    let mut then = runs(&before).peekable();
    let mut written = DifferenceRows::default();
    // Whatever was billed is still there: usage is corrected, never deleted.
    for run in runs(&now) {
        let same = then.next_if(|old| scope(&old[0]) == scope(&run[0])).unwrap_or_default();
        Run { before: same, now: run }.write(table, &mut written)?;
    }
    match then.next() {
        Some(_) => Err(Error::internal("usage that was billed is gone")),
        None => Ok(written),
    }
}

fn runs(rows: &[Row]) -> impl Iterator<Item = &[Row]> {
    rows.chunk_by(|a, b| scope(a) == scope(b))
}

fn scope(row: &Row) -> (&Cell, &Cell) {
    (cell(row, Column::SubscriptionId), cell(row, Column::MeterId))
}

fn cell(row: &Row, column: Column) -> &Cell {
    &row[column as usize]
}

fn charge(row: &Row) -> &str {
    match cell(row, Column::ChargeType) {
        Cell::Text(text) => text,
        Cell::Time(_) | Cell::Number(_) => "",
    }
}

fn text(row: &Row, column: Column) -> String {
    match cell(row, column) {
        Cell::Text(text) => text.to_string(),
        Cell::Time(_) | Cell::Number(_) => String::new(),
    }
}

fn number(row: &Row, column: Column) -> i128 {
    match cell(row, column) {
        Cell::Number(number) => *number,
        Cell::Time(_) | Cell::Text(_) => 0,
    }
}

/// The rows of one subscription and meter on both sides.
#[derive(Clone, Copy)]
struct Run<'a> {
    before: &'a [Row],
    now: &'a [Row],
}

impl<'a> Run<'a> {
    fn of_charge(rows: &'a [Row], wanted: &'static str) -> impl Iterator<Item = &'a Row> {
        rows.iter().filter(move |row| charge(row) == wanted)
    }

    fn write(self, table: &mut TableBuilder, written: &mut DifferenceRows) -> Result<()> {
        let rows = table.rows();
        for row in left(Self::of_charge(self.before, CHARGE_NEW), self.now) {
            push(table, &reversed(row)?);
            written.usage += 1;
        }
        for row in left(Self::of_charge(self.now, CHARGE_NEW), self.before) {
            push(table, row);
            written.usage += 1;
        }
        for row in self.rounding()? {
            push(table, &row);
            written.rounding += 1;
        }
        if table.rows() > rows {
            let of =
                [Column::SubscriptionId, Column::MeterId].map(|column| text(&self.now[0], column));
            written.scopes.insert(of.into());
        }
        Ok(())
    }

    /// By how much the rows for rounding change, those of before first.
    fn rounding(self) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        let sides = [(self.before, -1), (self.now, 1)];
        for (side, sign) in sides {
            for row in Self::of_charge(side, CHARGE_ROUNDING) {
                let amount = number(row, Column::BillingPreTaxTotal).checked_mul(sign);
                let amount = amount.ok_or_else(too_large)?;
                let at = Column::BillingPreTaxTotal as usize;
                let is_same = |known: &&mut Row| {
                    known.iter().zip(row).enumerate().all(|(c, (a, b))| c == at || a == b)
                };
                if let Some(known) = rows.iter_mut().find(is_same) {
                    let sum = number(known, Column::BillingPreTaxTotal).checked_add(amount);
                    known[at] = Cell::Number(sum.ok_or_else(too_large)?);
                } else {
                    let mut row = row.clone();
                    row[at] = Cell::Number(amount);
                    rows.push(row);
                }
            }
        }
        rows.retain(|row| number(row, Column::BillingPreTaxTotal) != 0);
        Ok(rows)
    }
}

/// The rows that have no equal among others, each of which equals one row only.
fn left<'a>(rows: impl Iterator<Item = &'a Row>, others: &[Row]) -> Vec<&'a Row> {
    let mut equal: HashMap<&Row, usize> = HashMap::new();
    for other in others {
        *equal.entry(other).or_default() += 1;
    }
    let mut left = Vec::new();
    for row in rows {
        match equal.get_mut(row) {
            Some(more) if *more > 0 => *more -= 1,
            _ => left.push(row),
        }
    }
    left
}

fn too_large() -> Error {
    Error::invalid("amount", "is too large for a file")
}

/// A row that takes another one back.
fn reversed(row: &Row) -> Result<Row> {
    let mut reversed = row.clone();
    for column in ADDITIVE {
        let number = number(row, column).checked_neg().ok_or_else(too_large)?;
        reversed[column as usize] = Cell::Number(number);
    }
    reversed[Column::ChargeType as usize] = Cell::Text(CHARGE_REVERSAL.into());
    Ok(reversed)
}

fn push(table: &mut TableBuilder, row: &Row) {
    for (column, cell) in row.iter().enumerate() {
        match cell {
            Cell::Text(text) => table.text(column, text),
            Cell::Time(time) => table.time(column, *time),
            Cell::Number(number) => table.number(column, *number),
        }
    }
    table.row();
}

fn rows_of(batches: &[RecordBatch], invoice_number: &str) -> Result<Vec<Row>> {
    let number = Cell::Text(invoice_number.into());
    let mut rows = Vec::new();
    for batch in batches {
        let from = rows.len();
        rows.resize_with(from + batch.num_rows(), || Vec::with_capacity(COLUMNS.len()));
        for column in batch.columns() {
            let unknown = || Error::internal("a daily table with a column of another kind");
            let runs = column.as_any().downcast_ref::<RunArray<Int32Type>>();
            let runs = runs.ok_or_else(unknown)?;
            let mut row = from;
            for (run, end) in runs.run_ends().values().iter().enumerate() {
                let cell = cell_of(runs.values(), run).ok_or_else(unknown)?;
                while row < from + *end as usize {
                    rows[row].push(cell.clone());
                    row += 1;
                }
            }
        }
    }
    for row in &mut rows {
        row[Column::InvoiceNumber as usize] = number.clone();
    }
    Ok(rows)
}

fn cell_of(values: &ArrayRef, at: usize) -> Option<Cell> {
    if let Some(numbers) = values.as_primitive_opt::<Decimal128Type>() {
        return Some(Cell::Number(numbers.value(at)));
    }
    if let Some(times) = values.as_primitive_opt::<TimestampMicrosecondType>() {
        return Some(Cell::Time(times.is_valid(at).then(|| times.value(at))));
    }
    let texts = values.as_dictionary_opt::<Int32Type>()?;
    let text = texts.values().as_string_opt::<i32>()?.value(texts.keys().value(at) as usize);
    Some(Cell::Text(text.into()))
}
