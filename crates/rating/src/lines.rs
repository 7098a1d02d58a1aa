//! Rated lines: columns that are filled run by run and leave as Arrow batches.
//!
//! A row is a usage record, or the part of one that has one price on every edge of the sale path;
//! it carries what it costs on each. What is the same for many rows (subscription, meter, tier)
//! is kept as runs, and amounts are exact decimals of the narrowest type that holds them all:
//! both keep a month small without hiding anything from a reader of plain columns.

use std::sync::Arc;

use arrow_array::types::{Decimal64Type, Decimal128Type, Int32Type};
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch, RunArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow_buffer::{BooleanBufferBuilder, NullBuffer};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use kernel::{
    Amount, Error, POW10_MAX, QUANTITY_SCALE, Quantity, Result, divide_by_ten_to, ten_to,
};

use crate::book::RateBook;
use crate::schedule::{Charge, Price, PricedTier};

/// Digits that a decimal of 128 bits can have.
const DIGITS_MAX: u8 = 38;
/// Digits that a decimal of 64 bits can have.
const DIGITS_NARROW: u8 = 18;

/// How large the numbers of a column get: digits before the point and behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Extent {
    /// Digits before the point.
    pub whole: u8,
    /// Digits behind the point.
    pub scale: u8,
}

impl Extent {
    /// What holds both.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self { whole: self.whole.max(other.whole), scale: self.scale.max(other.scale) }
    }

    /// The decimal type that holds such numbers with at most so many decimals. Where those do not
    /// suffice, the lines are rounded half even, and the group's residue line makes up for it.
    pub fn decimal(self, decimals_max: u8) -> Decimal {
        let whole = self.whole.min(DIGITS_MAX);
        let scale = self.scale.min(decimals_max).min(DIGITS_MAX - whole);
        // Rounding up can take one more digit.
        let carry = u8::from(scale < self.scale);
        Decimal { precision: (whole + scale + carry).clamp(1, DIGITS_MAX), scale }
    }
}

/// A decimal type: digits in all, and how many of them are decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// Digits in all, at most 38.
    pub precision: u8,
    /// Digits behind the point.
    pub scale: u8,
}

impl Decimal {
    fn is_narrow(self) -> bool {
        self.precision <= DIGITS_NARROW
    }

    fn data_type(self) -> DataType {
        if self.is_narrow() {
            DataType::Decimal64(self.precision, self.scale as i8)
        } else {
            DataType::Decimal128(self.precision, self.scale as i8)
        }
    }
}

/// The types of the columns whose width depends on the numbers in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LineExtents {
    /// Of the quantity.
    pub quantity: Extent,
    /// Of the amounts, by position on the sale path; of their decimals those that the price adds
    /// to the quantity's.
    pub amounts: Vec<Extent>,
}

impl LineExtents {
    /// Takes another partition's extents in.
    pub fn merge(&mut self, other: &Self) {
        self.quantity = self.quantity.max(other.quantity);
        if self.amounts.len() < other.amounts.len() {
            self.amounts.resize(other.amounts.len(), Extent::default());
        }
        for (mine, theirs) in self.amounts.iter_mut().zip(&other.amounts) {
            *mine = mine.max(*theirs);
        }
    }

    pub(crate) fn amount(&mut self, position: usize) -> &mut Extent {
        if self.amounts.len() <= position {
            self.amounts.resize(position + 1, Extent::default());
        }
        &mut self.amounts[position]
    }
}

/// Numbers of one column, as wide as they need to be.
#[derive(Debug)]
enum Numbers {
    Narrow(Vec<i64>),
    Wide(Vec<i128>),
}

/// A decimal column that is being filled.
#[derive(Debug)]
pub(crate) struct Column {
    pub decimal: Decimal,
    numbers: Numbers,
    /// Which rows have a value; none as long as all have.
    valid: Option<BooleanBufferBuilder>,
}

impl Column {
    fn new(decimal: Decimal, capacity: usize) -> Self {
        let numbers = if decimal.is_narrow() {
            Numbers::Narrow(Vec::with_capacity(capacity))
        } else {
            Numbers::Wide(Vec::with_capacity(capacity))
        };
        Self { decimal, numbers, valid: None }
    }

    fn len(&self) -> usize {
        match &self.numbers {
            Numbers::Narrow(values) => values.len(),
            Numbers::Wide(values) => values.len(),
        }
    }

    /// Appends one number with the column's scale.
    pub fn push(&mut self, value: i128) -> Result<()> {
        self.mark(1, true);
        match &mut self.numbers {
            Numbers::Narrow(values) => values.push(i64::try_from(value).map_err(|_| too_wide())?),
            Numbers::Wide(values) => values.push(value),
        }
        Ok(())
    }

    /// Appends `value * factor` for each value. The factor carries the scale; that no product
    /// overflows is what the extents were measured for.
    pub fn extend_product<T: Copy + Into<i128>>(
        &mut self,
        values: &[T],
        factor: i128,
    ) -> Result<()> {
        self.mark(values.len(), true);
        match &mut self.numbers {
            Numbers::Narrow(out) => {
                let Ok(narrow) = i64::try_from(factor) else {
                    // Only nothing times so much is narrow.
                    if values.iter().any(|value| (*value).into() != 0) {
                        return Err(too_wide());
                    }
                    out.resize(out.len() + values.len(), 0);
                    return Ok(());
                };
                out.extend(
                    values.iter().map(|value| ((*value).into() as i64).wrapping_mul(narrow)),
                );
            }
            Numbers::Wide(out) => {
                out.extend(values.iter().map(|value| (*value).into().wrapping_mul(factor)));
            }
        }
        Ok(())
    }

    /// Appends quantities that have `scale` decimals.
    pub fn extend_scaled<T: Copy + Into<i128>>(&mut self, values: &[T], scale: u8) -> Result<()> {
        let more = self.decimal.scale.checked_sub(scale).ok_or_else(too_wide)?;
        self.extend_product(values, ten_to(more))
    }

    /// Appends a quantity at its full scale.
    pub fn push_quantity(&mut self, mantissa: i128) -> Result<()> {
        match divide_by_ten_to(mantissa, QUANTITY_SCALE - self.decimal.scale) {
            (scaled, 0) => self.push(scaled),
            _ => Err(too_wide()),
        }
    }

    /// By what quantities of `scale` decimals are multiplied to give exact amounts in this
    /// column; none where the column has too few decimals for that, or the factor does not fit.
    pub fn factor(&self, charge: Charge, scale: u8) -> Option<i128> {
        let more = self.decimal.scale.checked_sub(scale + charge.scale)?;
        charge.mantissa.checked_mul(ten_to(more))
    }

    /// Appends what a quantity at its full scale costs, rounded half even where the column has
    /// too few decimals for the exact product.
    pub fn push_charged(&mut self, mantissa: i128, price: &Price, tier: &PricedTier) -> Result<()> {
        let exact = tier.charge.and_then(|charge| {
            let product = mantissa.checked_mul(charge.mantissa)?;
            let scale = QUANTITY_SCALE + charge.scale;
            let dropped = scale.checked_sub(self.decimal.scale).filter(|d| *d <= POW10_MAX)?;
            let (scaled, rest) = divide_by_ten_to(product, dropped);
            (rest == 0).then_some(scaled)
        });
        if let Some(exact) = exact {
            return self.push(exact);
        }
        let quantity = Quantity::from_mantissa(mantissa);
        let amount = Amount::of_exchanged(quantity, tier.effective_unit_price, price.rate.rate)?;
        self.push(amount.to_scaled(self.decimal.scale).ok_or_else(too_wide)?)
    }

    /// Appends rows without a value.
    pub fn extend_null(&mut self, rows: usize) {
        self.mark(rows, false);
        match &mut self.numbers {
            Numbers::Narrow(values) => values.resize(values.len() + rows, 0),
            Numbers::Wide(values) => values.resize(values.len() + rows, 0),
        }
    }

    fn mark(&mut self, rows: usize, valid: bool) {
        let before = self.len();
        match &mut self.valid {
            None if valid => {}
            None => {
                let mut marks = BooleanBufferBuilder::new(before + rows);
                marks.append_n(before, true);
                marks.append_n(rows, false);
                self.valid = Some(marks);
            }
            Some(marks) => marks.append_n(rows, valid),
        }
    }

    fn finish(&mut self, capacity: usize) -> ArrayRef {
        let nulls = self.valid.take().map(|mut marks| NullBuffer::new(marks.finish()));
        let data_type = self.decimal.data_type();
        let fresh = Self::new(self.decimal, capacity);
        match std::mem::replace(self, fresh).numbers {
            Numbers::Narrow(values) => Arc::new(
                PrimitiveArray::<Decimal64Type>::new(values.into(), nulls)
                    .with_data_type(data_type),
            ),
            Numbers::Wide(values) => Arc::new(
                PrimitiveArray::<Decimal128Type>::new(values.into(), nulls)
                    .with_data_type(data_type),
            ),
        }
    }
}

fn too_wide() -> Error {
    Error::internal("a rated line is wider than the measured extent of its column")
}

/// A column of runs.
#[derive(Debug, Default)]
struct Runs {
    ends: Vec<i32>,
    values: Vec<Option<i32>>,
}

impl Runs {
    fn extend(&mut self, value: Option<i32>, rows: usize) {
        let end = self.ends.last().copied().unwrap_or(0) + rows as i32;
        match self.values.last() {
            Some(last) if *last == value => {
                if let Some(last) = self.ends.last_mut() {
                    *last = end;
                }
            }
            _ => {
                self.ends.push(end);
                self.values.push(value);
            }
        }
    }

    /// The runs as numbers.
    fn numbers(&mut self) -> Result<ArrayRef> {
        let values = Int32Array::from(std::mem::take(&mut self.values));
        let ends = Int32Array::from(std::mem::take(&mut self.ends));
        let runs = RunArray::<Int32Type>::try_new(&ends, &values).map_err(arrow)?;
        Ok(Arc::new(runs))
    }

    /// The runs as keys of a dictionary.
    fn keys(&mut self, dictionary: &Arc<StringArray>) -> Result<ArrayRef> {
        let keys = Int32Array::from(std::mem::take(&mut self.values));
        let dictionary: ArrayRef = Arc::clone(dictionary) as ArrayRef;
        let values = DictionaryArray::<Int32Type>::try_new(keys, dictionary).map_err(arrow)?;
        let ends = Int32Array::from(std::mem::take(&mut self.ends));
        let runs = RunArray::<Int32Type>::try_new(&ends, &values).map_err(arrow)?;
        Ok(Arc::new(runs))
    }
}

fn arrow(error: arrow_schema::ArrowError) -> Error {
    Error::internal(error.to_string())
}

/// What the lines of a rate book have in common: the names behind their keys.
#[derive(Debug)]
pub struct LineNames {
    subscriptions: Arc<StringArray>,
    meters: Arc<StringArray>,
    rows_per_batch: usize,
}

impl LineNames {
    /// The names of a book, for batches of so many rows.
    pub fn new(book: &RateBook, rows_per_batch: usize) -> Self {
        Self {
            subscriptions: Arc::new(texts(book.subscriptions())),
            meters: Arc::new(texts(book.meters())),
            rows_per_batch,
        }
    }
}

/// The types of the lines of one partition.
#[derive(Debug, Clone)]
pub struct LineFormat<'n> {
    names: &'n LineNames,
    schema: SchemaRef,
    quantity: Decimal,
    amounts: Vec<Decimal>,
}

impl<'n> LineFormat<'n> {
    /// The format of a book's lines of measured extents.
    pub fn new(book: &RateBook, names: &'n LineNames, extents: &LineExtents) -> Self {
        let quantity = extents.quantity.decimal(DIGITS_MAX);
        let amounts = (0..book.depth()).map(|at| {
            let Extent { whole, scale } = extents.amounts.get(at).copied().unwrap_or_default();
            Extent { whole, scale: scale + quantity.scale }
        });
        let amounts: Vec<Extent> = amounts.collect();
        // One limit for all edges, so that whoever checks a file needs to know only one.
        let widest = amounts.iter().map(|amount| amount.whole).max().unwrap_or_default();
        let decimals_max = (DIGITS_MAX - 1).saturating_sub(widest);
        let amounts: Vec<Decimal> =
            amounts.into_iter().map(|amount| amount.decimal(decimals_max)).collect();
        let runs_of = |values: DataType| {
            DataType::RunEndEncoded(
                Arc::new(Field::new("run_ends", DataType::Int32, false)),
                Arc::new(Field::new("values", values, true)),
            )
        };
        let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        let mut fields = vec![
            Field::new("subscription_id", runs_of(text.clone()), false),
            Field::new("meter_id", runs_of(text), false),
            Field::new("usage_start", time, false),
            Field::new("slice", runs_of(DataType::Int32), false),
            Field::new("quantity", quantity.data_type(), false),
        ];
        // An edge that its seller rates, always the first of a path, may have no price; and one may
        // bill what another one bills with another month.
        let shortest = if book.bills_months() { book.depth_min() } else { 0 };
        let received = book.edges().iter().any(|edge| edge.is_received);
        for (at, amount) in amounts.iter().enumerate() {
            let (edge, nullable) = (at + 1, at >= shortest || (received && at == 0));
            fields.push(Field::new(format!("tier_{edge}"), runs_of(DataType::Int32), nullable));
            fields.push(Field::new(format!("amount_{edge}"), amount.data_type(), nullable));
        }
        Self { names, schema: Arc::new(Schema::new(fields)), quantity, amounts }
    }

    /// The columns: subscription, meter, start, number of the slice within the record, quantity,
    /// and for each edge of the sale path the tier and the amount.
    pub const fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

fn texts<T: ToString>(ids: impl IntoIterator<Item = T>) -> StringArray {
    StringArray::from_iter_values(ids.into_iter().map(|id| id.to_string()))
}

/// The lines of one partition while they are being filled.
#[derive(Debug)]
pub(crate) struct LineBuilder<'n> {
    format: LineFormat<'n>,
    subscription: Runs,
    meter: Runs,
    start: Vec<i64>,
    slice: Runs,
    pub quantity: Column,
    tiers: Vec<Runs>,
    pub amounts: Vec<Column>,
}

/// What the rows of a run have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RowsOf {
    pub subscription: u32,
    pub meter: u32,
}

impl<'n> LineBuilder<'n> {
    pub fn new(format: &LineFormat<'n>) -> Self {
        let capacity = format.names.rows_per_batch;
        Self {
            subscription: Runs::default(),
            meter: Runs::default(),
            start: Vec::with_capacity(capacity),
            slice: Runs::default(),
            quantity: Column::new(format.quantity, capacity),
            tiers: format.amounts.iter().map(|_| Runs::default()).collect(),
            amounts: format.amounts.iter().map(|amount| Column::new(*amount, capacity)).collect(),
            format: format.clone(),
        }
    }

    /// How many rows fit before a batch is full.
    pub fn room(&self) -> usize {
        self.format.names.rows_per_batch - self.start.len()
    }

    /// Appends the columns that say whose rows these are and when. Quantities, tiers and amounts
    /// follow by [`Self::quantity`], [`Self::tier`] and [`Self::amounts`].
    pub fn extend(&mut self, rows: RowsOf, slice: i32, starts: &[i64]) {
        let count = starts.len();
        self.subscription.extend(Some(rows.subscription as i32), count);
        self.meter.extend(Some(rows.meter as i32), count);
        self.slice.extend(Some(slice), count);
        self.start.extend_from_slice(starts);
    }

    /// Appends the tier of so many rows at a position; none where the path is shorter.
    pub fn tier(&mut self, position: usize, tier: Option<usize>, rows: usize) {
        self.tiers[position].extend(tier.map(|tier| tier as i32), rows);
    }

    /// The rows so far as a batch; nothing when there are none.
    pub fn take(&mut self) -> Result<Option<RecordBatch>> {
        if self.start.is_empty() {
            return Ok(None);
        }
        let capacity = self.format.names.rows_per_batch;
        let start = std::mem::replace(&mut self.start, Vec::with_capacity(capacity));
        let mut columns = vec![
            self.subscription.keys(&self.format.names.subscriptions)?,
            self.meter.keys(&self.format.names.meters)?,
            Arc::new(TimestampMicrosecondArray::from(start).with_timezone("UTC")) as ArrayRef,
            self.slice.numbers()?,
            self.quantity.finish(capacity),
        ];
        for (tier, amount) in self.tiers.iter_mut().zip(&mut self.amounts) {
            columns.push(tier.numbers()?);
            columns.push(amount.finish(capacity));
        }
        RecordBatch::try_new(Arc::clone(&self.format.schema), columns).map(Some).map_err(arrow)
    }
}
