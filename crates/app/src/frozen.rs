//! What a close has frozen besides documents: groups and rated lines, partition by partition, in
//! canonical order. Both are read side by side with the usage that they came from.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal64Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, ArrowPrimitiveType, DictionaryArray, Int32Array, Int64Array, PrimitiveArray,
    RecordBatch, RunArray, StringArray,
};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use kernel::{Error, MeterId, QUANTITY_SCALE, Quantity, Result, ten_to};
use lake::ColumnarWriter;
use lake::usage::batches_of;
use rating::{Extent, MeterIndex, RateBook, SubscriptionIndex};

use crate::groups::{KeptGroup, LINE_ROWS};

/// The name of a partition's file of groups.
pub(crate) fn groups_name(partition: usize) -> String {
    format!("groups-{partition:05}.parquet")
}

/// The name of a partition's file of rated lines.
pub(crate) fn lines_name(partition: usize) -> String {
    format!("rated-lines-{partition:05}.parquet")
}

fn groups_schema() -> SchemaRef {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let runs = DataType::RunEndEncoded(
        Arc::new(Field::new("run_ends", DataType::Int32, false)),
        Arc::new(Field::new("values", text, true)),
    );
    Arc::new(Schema::new(vec![
        Field::new("subscription_id", runs.clone(), false),
        Field::new("meter_id", runs, false),
        Field::new("position", DataType::Int32, false),
        Field::new("tier", DataType::Int32, false),
        Field::new("quantity", DataType::Decimal128(38, QUANTITY_SCALE as i8), false),
        Field::new("amount_minor", DataType::Int64, false),
        Field::new("rated_lines", DataType::Int32, false),
    ]))
}

/// Ids behind positions, shared by all files.
pub(crate) struct Ids {
    subscriptions: ArrayRef,
    meters: ArrayRef,
}

impl Ids {
    pub fn of(book: &RateBook) -> Self {
        let subscriptions = book.subscriptions().map(|id| id.to_string());
        let meters = book.meters().iter().map(MeterId::as_str);
        Self {
            subscriptions: Arc::new(StringArray::from_iter_values(subscriptions)),
            meters: Arc::new(StringArray::from_iter_values(meters)),
        }
    }
}

/// Writes the groups of a partition; says how many bytes they take.
pub(crate) fn write_groups(path: &Path, ids: &Ids, groups: &[KeptGroup]) -> Result<u64> {
    let schema = groups_schema();
    let mut writer = ColumnarWriter::create(path, &schema)?;
    for groups in groups.chunks(LINE_ROWS) {
        let quantities = groups.iter().map(|group| group.quantity.mantissa());
        let quantities = PrimitiveArray::<Decimal128Type>::from_iter_values(quantities)
            .with_data_type(schema.field(4).data_type().clone());
        let amounts = groups.iter().map(|group| group.money);
        let numbers = |number: fn(&KeptGroup) -> i32| -> ArrayRef {
            Arc::new(Int32Array::from_iter_values(groups.iter().map(number)))
        };
        let columns: Vec<ArrayRef> = vec![
            runs(groups.iter().map(|group| group.subscription.get() as i32), &ids.subscriptions)?,
            runs(groups.iter().map(|group| group.meter.get() as i32), &ids.meters)?,
            numbers(|group| i32::from(group.position)),
            numbers(|group| i32::from(group.tier)),
            Arc::new(quantities),
            Arc::new(Int64Array::from_iter_values(amounts)),
            numbers(|group| i32::try_from(group.lines).unwrap_or(i32::MAX)),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        writer.write(&batch.map_err(|error| Error::internal(error.to_string()))?)?;
    }
    writer.finish(false)
}

fn runs(keys: impl Iterator<Item = i32>, dictionary: &ArrayRef) -> Result<ArrayRef> {
    let (mut values, mut ends): (Vec<i32>, Vec<i32>) = (Vec::new(), Vec::new());
    for (at, key) in keys.enumerate() {
        let end = at as i32 + 1;
        match (values.last(), ends.last_mut()) {
            (Some(last), Some(last_end)) if *last == key => *last_end = end,
            _ => {
                values.push(key);
                ends.push(end);
            }
        }
    }
    let wrong = |error: arrow_schema::ArrowError| Error::internal(error.to_string());
    let values = DictionaryArray::<Int32Type>::try_new(values.into(), Arc::clone(dictionary));
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(ends), &values.map_err(wrong)?);
    Ok(Arc::new(runs.map_err(wrong)?))
}

/// A frozen group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrozenGroup {
    pub subscription: SubscriptionIndex,
    pub meter: MeterIndex,
    pub position: u8,
    pub tier: u8,
    pub quantity: Quantity,
    pub amount_minor: i64,
}

impl From<&KeptGroup> for FrozenGroup {
    fn from(group: &KeptGroup) -> Self {
        Self {
            subscription: group.subscription,
            meter: group.meter,
            position: group.position,
            tier: group.tier,
            quantity: group.quantity,
            amount_minor: group.money,
        }
    }
}

/// Reads the groups of a partition.
pub(crate) fn read_groups(path: &Path, book: &RateBook) -> Result<Vec<FrozenGroup>> {
    let mut groups = Vec::new();
    for batch in batches_of(path, None, None)? {
        let batch = batch?;
        let scope = Scopes::of(&batch, book)?;
        let position = column::<Int32Type>(&batch, "position")?;
        let tier = column::<Int32Type>(&batch, "tier")?;
        let quantity = column::<Decimal128Type>(&batch, "quantity")?;
        let amount = column::<Int64Type>(&batch, "amount_minor")?;
        for row in 0..batch.num_rows() {
            let (subscription, meter) = scope.get(row)?;
            groups.push(FrozenGroup {
                subscription,
                meter,
                position: position.value(row) as u8,
                tier: tier.value(row) as u8,
                quantity: Quantity::from_mantissa(quantity.value(row)),
                amount_minor: amount.value(row),
            });
        }
    }
    Ok(groups)
}

/// Subscription, meter, position and tier of a billed group.
pub(crate) type BilledKey = (String, String, u8, u8);

/// Reads what the wanted groups of a partition were billed, whatever rate book there is now.
pub(crate) fn read_billed(
    path: &Path,
    wanted: impl Fn(&str, &str) -> bool,
) -> Result<Vec<(BilledKey, (Quantity, i64))>> {
    let mut billed = Vec::new();
    for batch in batches_of(path, None, None)? {
        let batch = batch?;
        let (subscription_keys, subscriptions) = dictionary(&batch, "subscription_id")?;
        let (meter_keys, meters) = dictionary(&batch, "meter_id")?;
        let position = column::<Int32Type>(&batch, "position")?;
        let tier = column::<Int32Type>(&batch, "tier")?;
        let quantity = column::<Decimal128Type>(&batch, "quantity")?;
        let amount = column::<Int64Type>(&batch, "amount_minor")?;
        let mut last = ((-1, -1), false);
        for row in 0..batch.num_rows() {
            let keys = (subscription_keys[row], meter_keys[row]);
            let texts = (subscriptions.value(keys.0 as usize), meters.value(keys.1 as usize));
            if last.0 != keys {
                last = (keys, wanted(texts.0, texts.1));
            }
            if last.1 {
                let (position, tier) = (position.value(row) as u8, tier.value(row) as u8);
                let key = (texts.0.to_owned(), texts.1.to_owned(), position, tier);
                let quantity = Quantity::from_mantissa(quantity.value(row));
                billed.push((key, (quantity, amount.value(row))));
            }
        }
    }
    Ok(billed)
}

/// Subscription and meter of each row of a batch, as positions of a rate book.
pub(crate) struct Scopes {
    subscription_keys: ScalarBuffer<i32>,
    meter_keys: ScalarBuffer<i32>,
    subscriptions: Vec<Option<SubscriptionIndex>>,
    meters: Vec<Option<MeterIndex>>,
}

impl Scopes {
    pub fn of(batch: &RecordBatch, book: &RateBook) -> Result<Self> {
        let (subscription_keys, subscriptions) = dictionary(batch, "subscription_id")?;
        let (meter_keys, meters) = dictionary(batch, "meter_id")?;
        Ok(Self {
            subscriptions: subscriptions
                .iter()
                .map(|id| book.find_subscription(id.unwrap_or_default()))
                .collect(),
            meters: meters.iter().map(|id| book.find_meter(id.unwrap_or_default())).collect(),
            subscription_keys,
            meter_keys,
        })
    }

    pub fn get(&self, row: usize) -> Result<(SubscriptionIndex, MeterIndex)> {
        let subscription = self.subscriptions[self.subscription_keys[row] as usize];
        let meter = self.meters[self.meter_keys[row] as usize];
        subscription
            .zip(meter)
            .ok_or_else(|| Error::internal("frozen rows name what the rate book does not know"))
    }
}

/// The keys and the texts of a dictionary column.
pub(crate) fn dictionary(
    batch: &RecordBatch,
    name: &str,
) -> Result<(ScalarBuffer<i32>, StringArray)> {
    let column = batch.column_by_name(name).and_then(|c| c.as_dictionary_opt::<Int32Type>());
    let texts = column.and_then(|column| column.values().as_string_opt::<i32>());
    column
        .zip(texts)
        .map(|(column, texts)| (column.keys().values().clone(), texts.clone()))
        .ok_or_else(|| missing(name))
}

/// A column of numbers.
pub(crate) fn column<T: ArrowPrimitiveType>(
    batch: &RecordBatch,
    name: &str,
) -> Result<PrimitiveArray<T>> {
    let column = batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<T>());
    column.cloned().ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    Error::internal(format!("a frozen file without the column {name}"))
}

/// Decimals of a column, whatever their width.
pub(crate) struct Decimals {
    numbers: DecimalArray,
    precision: u8,
    pub scale: u8,
}

enum DecimalArray {
    Narrow(PrimitiveArray<Decimal64Type>),
    Wide(PrimitiveArray<Decimal128Type>),
}

impl Decimals {
    pub fn of(batch: &RecordBatch, name: &str) -> Result<Self> {
        let found = batch.column_by_name(name).ok_or_else(|| missing(name))?;
        Ok(match found.data_type() {
            DataType::Decimal64(precision, scale) => Self {
                numbers: DecimalArray::Narrow(column(batch, name)?),
                precision: *precision,
                scale: *scale as u8,
            },
            DataType::Decimal128(precision, scale) => Self {
                numbers: DecimalArray::Wide(column(batch, name)?),
                precision: *precision,
                scale: *scale as u8,
            },
            _ => return Err(missing(name)),
        })
    }

    /// The digits before the point and behind it.
    pub const fn extent(&self) -> Extent {
        Extent { whole: self.precision - self.scale, scale: self.scale }
    }

    /// The number of a row, if it has one.
    pub fn get(&self, row: usize) -> Option<i128> {
        match &self.numbers {
            DecimalArray::Narrow(numbers) => {
                numbers.is_valid(row).then(|| i128::from(numbers.value(row)))
            }
            DecimalArray::Wide(numbers) => numbers.is_valid(row).then(|| numbers.value(row)),
        }
    }
}

/// Instants of a column, in microseconds.
pub(crate) fn times(batch: &RecordBatch, name: &str) -> Result<ScalarBuffer<i64>> {
    Ok(column::<TimestampMicrosecondType>(batch, name)?.values().clone())
}

/// The batch as it would be read from a file: a value for each row.
pub(crate) fn without_runs(batch: &RecordBatch) -> Result<RecordBatch> {
    let wrong = |error: arrow_schema::ArrowError| Error::internal(error.to_string());
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let plain = match field.data_type() {
            DataType::RunEndEncoded(_, values) => values.data_type().clone(),
            other => other.clone(),
        };
        columns.push(arrow_cast::cast(column, &plain).map_err(wrong)?);
        fields.push(field.as_ref().clone().with_data_type(plain));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(wrong)
}

/// A rated line.
pub(crate) struct Line<'b> {
    pub scope: (SubscriptionIndex, MeterIndex),
    pub start: i64,
    pub quantity: Quantity,
    tiers: &'b [Int32Array],
    row: usize,
}

impl Line<'_> {
    /// The tier at a position; none beyond the end of the sale path.
    pub fn tier(&self, position: usize) -> Option<u8> {
        let tier = self.tiers.get(position).filter(|tier| tier.is_valid(self.row));
        tier.map(|tier| tier.value(self.row) as u8)
    }
}

/// Rated lines, one after the other.
pub(crate) struct Lines<'b, I> {
    batches: I,
    book: &'b RateBook,
    batch: Option<LineBatch>,
    row: usize,
}

/// A batch of rated lines.
struct LineBatch {
    rows: usize,
    scopes: Scopes,
    starts: ScalarBuffer<i64>,
    slices: Int32Array,
    quantity: Decimals,
    /// By position.
    tiers: Vec<Int32Array>,
}

impl LineBatch {
    fn of(batch: &RecordBatch, book: &RateBook) -> Result<Self> {
        let tiers = (1..=book.depth())
            .map(|position| column::<Int32Type>(batch, &format!("tier_{position}")));
        Ok(Self {
            rows: batch.num_rows(),
            scopes: Scopes::of(batch, book)?,
            starts: times(batch, "usage_start")?,
            slices: column::<Int32Type>(batch, "slice")?,
            quantity: Decimals::of(batch, "quantity")?,
            tiers: tiers.collect::<Result<_>>()?,
        })
    }

    fn line(&self, row: usize) -> Result<Line<'_>> {
        let factor = ten_to(QUANTITY_SCALE - self.quantity.scale);
        let quantity = self.quantity.get(row).ok_or_else(|| Error::internal("no quantity"))?;
        Ok(Line {
            scope: self.scopes.get(row)?,
            start: self.starts[row],
            quantity: Quantity::from_mantissa(quantity * factor),
            tiers: &self.tiers,
            row,
        })
    }
}

impl<'b, I: Iterator<Item = Result<RecordBatch>>> Lines<'b, I> {
    pub const fn new(batches: I, book: &'b RateBook) -> Self {
        Self { batches, book, batch: None, row: 0 }
    }

    /// The batch with the current line and its row, if there is any left.
    fn at(&mut self) -> Result<Option<(&LineBatch, usize)>> {
        while self.batch.as_ref().is_none_or(|batch| self.row >= batch.rows) {
            let Some(batch) = self.batches.next() else { return Ok(None) };
            self.batch = Some(LineBatch::of(&batch?, self.book)?);
            self.row = 0;
        }
        Ok(self.batch.as_ref().map(|batch| (batch, self.row)))
    }

    pub fn is_at_end(&mut self) -> Result<bool> {
        Ok(self.at()?.is_none())
    }

    pub fn current(&mut self) -> Result<Line<'_>> {
        let (batch, row) =
            self.at()?.ok_or_else(|| Error::internal("usage without a rated line"))?;
        batch.line(row)
    }

    /// Goes to the next line; says whether it belongs to the same record.
    pub fn advance_within_record(&mut self) -> Result<bool> {
        self.row += 1;
        Ok(self.at()?.is_some_and(|(batch, row)| batch.slices.value(row) > 0))
    }
}
