//! Tables of documented columns, filled row by row at the cost of what changes.
//!
//! Most columns of a billing file say the same for many rows. A column therefore keeps its value
//! until it is set anew: a run costs as much as one cell. The same table becomes Parquet, CSV or
//! gzip.

use std::sync::Arc;

use arrow_array::types::{Decimal128Type, Int32Type};
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch, RunArray, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use kernel::{Error, Result};
use rustc_hash::FxHashMap;

/// Declares the columns of a file: their positions by name, and their names in order.
macro_rules! columns {
    ($($name:ident),* $(,)?) => {
        #[derive(Debug, Clone, Copy)]
        #[expect(dead_code, reason = "columns that are always empty have a position too")]
        enum Column { $($name),* }

        /// The names of the columns, in the documented order.
        pub const COLUMNS: &[&str] = &[$(stringify!($name)),*];
    };
}
pub(crate) use columns;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// An instant, or none.
    Time,
    /// An exact decimal with up to so many decimals, written without trailing zeros.
    Decimal(u8),
    /// An amount in minor units of so many digits, written with all of them.
    Money(u8),
}

impl Kind {
    fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Decimal(scale) => DataType::Decimal128(38, scale as i8),
            Self::Money(scale) => DataType::Decimal128(19, scale as i8),
        }
    }
}

/// The columns of a table.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Name and kind of each column, in order.
    pub columns: Vec<(&'static str, Kind)>,
    schema: SchemaRef,
}

impl Layout {
    /// A table with these columns.
    pub fn new(columns: Vec<(&'static str, Kind)>) -> Self {
        let fields: Vec<Field> = columns
            .iter()
            .map(|(name, kind)| {
                let run_ends = Arc::new(Field::new("run_ends", DataType::Int32, false));
                let values = Arc::new(Field::new("values", kind.data_type(), true));
                let nullable = *kind == Kind::Time;
                Field::new(*name, DataType::RunEndEncoded(run_ends, values), nullable)
            })
            .collect();
        Self { columns, schema: Arc::new(Schema::new(fields)) }
    }

    /// The schema of its batches.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }
}

/// Values of a column as runs.
#[derive(Debug)]
struct Runs<T> {
    values: Vec<T>,
    ends: Vec<i32>,
    current: T,
    since: usize,
}

impl<T: Clone + PartialEq> Runs<T> {
    fn new(first: T) -> Self {
        Self { values: Vec::new(), ends: Vec::new(), current: first, since: 0 }
    }

    fn set(&mut self, value: T, rows: usize) {
        if self.current == value {
            return;
        }
        self.close(rows);
        self.current = value;
    }

    fn close(&mut self, rows: usize) {
        if rows > self.since {
            self.values.push(self.current.clone());
            self.ends.push(rows as i32);
            self.since = rows;
        }
    }

    fn take(&mut self, rows: usize) -> (Vec<T>, Int32Array) {
        self.close(rows);
        self.since = 0;
        (std::mem::take(&mut self.values), std::mem::take(&mut self.ends).into())
    }
}

#[derive(Debug)]
enum Column {
    Text { runs: Runs<i32>, known: FxHashMap<Box<str>, i32>, texts: Vec<Box<str>> },
    Time(Runs<Option<i64>>),
    Decimal(Runs<i128>, u8, u8),
}

/// A table that is being filled.
#[derive(Debug)]
pub struct TableBuilder {
    layout: Layout,
    columns: Vec<Column>,
    rows: usize,
}

impl TableBuilder {
    /// An empty table: texts are empty, times are none, numbers are zero until they are set.
    pub fn new(layout: &Layout) -> Self {
        let columns = layout.columns.iter().map(|(_, kind)| match kind {
            Kind::Text => {
                let texts = vec!["".into()];
                let known = FxHashMap::from_iter([("".into(), 0)]);
                Column::Text { runs: Runs::new(0), known, texts }
            }
            Kind::Time => Column::Time(Runs::new(None)),
            Kind::Decimal(scale) => Column::Decimal(Runs::new(0), 38, *scale),
            Kind::Money(scale) => Column::Decimal(Runs::new(0), 19, *scale),
        });
        Self { layout: layout.clone(), columns: columns.collect(), rows: 0 }
    }

    /// From the next row on, a column says this text.
    pub fn text(&mut self, column: usize, text: &str) {
        let Column::Text { runs, known, texts } = &mut self.columns[column] else { return };
        if *texts[runs.current as usize] == *text {
            return;
        }
        let key = if let Some(key) = known.get(text) {
            *key
        } else {
            let key = texts.len() as i32;
            known.insert(text.into(), key);
            texts.push(text.into());
            key
        };
        runs.set(key, self.rows);
    }

    /// From the next row on, a column says this instant, in microseconds since 1970, or none.
    pub fn time(&mut self, column: usize, micros: Option<i64>) {
        if let Column::Time(runs) = &mut self.columns[column] {
            runs.set(micros, self.rows);
        }
    }

    /// From the next row on, a column says this number: an integer at the column's scale.
    pub fn number(&mut self, column: usize, mantissa: i128) {
        if let Column::Decimal(runs, ..) = &mut self.columns[column] {
            runs.set(mantissa, self.rows);
        }
    }

    /// The decimals of a number column.
    pub fn scale(&self, column: usize) -> u8 {
        match &self.columns[column] {
            Column::Decimal(_, _, scale) => *scale,
            Column::Text { .. } | Column::Time(_) => 0,
        }
    }

    /// Ends a row: it says what the columns say now.
    pub const fn row(&mut self) {
        self.rows += 1;
    }

    /// How many rows there are.
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// The rows as a batch; the table is empty again, and its columns go on saying what they say.
    pub fn take(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            arrays.push(match column {
                Column::Text { runs, texts, .. } => {
                    let (keys, ends) = runs.take(rows);
                    let dictionary: ArrayRef = Arc::new(StringArray::from_iter_values(&*texts));
                    let keys = Int32Array::from(keys);
                    let values = DictionaryArray::<Int32Type>::try_new(keys, dictionary);
                    run_array(&ends, &values.map_err(arrow)?)?
                }
                Column::Time(runs) => {
                    let (values, ends) = runs.take(rows);
                    let values = TimestampMicrosecondArray::from(values).with_timezone("UTC");
                    run_array(&ends, &values)?
                }
                Column::Decimal(runs, precision, scale) => {
                    let (values, ends) = runs.take(rows);
                    let values = PrimitiveArray::<Decimal128Type>::from(values)
                        .with_precision_and_scale(*precision, *scale as i8)
                        .map_err(arrow)?;
                    run_array(&ends, &values)?
                }
            });
        }
        RecordBatch::try_new(Arc::clone(&self.layout.schema), arrays).map_err(arrow)
    }
}

fn run_array(ends: &Int32Array, values: &dyn arrow_array::Array) -> Result<ArrayRef> {
    let runs = RunArray::<Int32Type>::try_new(ends, values).map_err(arrow)?;
    Ok(Arc::new(runs))
}

pub(crate) fn arrow(error: ArrowError) -> Error {
    Error::internal(format!("Arrow: {error}"))
}
