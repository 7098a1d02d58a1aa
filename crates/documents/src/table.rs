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
        pub(crate) enum Column { $($name),* }

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

/// A text of somebody's dictionary, so that equal texts need not be compared letter by letter.
#[derive(Debug, Clone, Copy)]
pub struct Keyed<'a> {
    /// A number that no other dictionary of the same column has while a table is filled.
    pub dictionary: u64,
    /// The text's key in it.
    pub key: i32,
    /// The text.
    pub text: &'a str,
}

/// A text column: runs of keys into a dictionary of its own, which begins anew with each batch.
#[derive(Debug)]
struct Texts {
    runs: Runs<i32>,
    known: FxHashMap<Box<str>, i32>,
    texts: Vec<Box<str>>,
    /// The dictionary that [`Keyed`] texts come from, and the keys here of keys there.
    dictionary: u64,
    translated: FxHashMap<i32, i32>,
    /// The key there of what the column says, if it came from there.
    keyed: Option<i32>,
}

impl Texts {
    fn new() -> Self {
        Self {
            runs: Runs::new(0),
            known: FxHashMap::from_iter([("".into(), 0)]),
            texts: vec!["".into()],
            dictionary: 0,
            translated: FxHashMap::default(),
            keyed: None,
        }
    }

    fn key_of(&mut self, text: &str) -> i32 {
        if let Some(key) = self.known.get(text) {
            return *key;
        }
        let key = self.texts.len() as i32;
        self.known.insert(text.into(), key);
        self.texts.push(text.into());
        key
    }

    fn set(&mut self, text: &str, rows: usize) {
        self.keyed = None;
        if *self.texts[self.runs.current as usize] != *text {
            let key = self.key_of(text);
            self.runs.set(key, rows);
        }
    }

    fn set_keyed(&mut self, text: Keyed<'_>, rows: usize) -> bool {
        if self.dictionary != text.dictionary {
            self.dictionary = text.dictionary;
            self.translated.clear();
            self.keyed = None;
        }
        if self.keyed == Some(text.key) {
            return false;
        }
        let known = self.translated.get(&text.key).copied();
        let key = known.unwrap_or_else(|| {
            let key = self.key_of(text.text);
            self.translated.insert(text.key, key);
            key
        });
        self.keyed = Some(text.key);
        self.runs.set(key, rows);
        true
    }

    /// The runs so far; the dictionary begins anew with what the column says.
    fn take(&mut self, rows: usize) -> Result<ArrayRef> {
        let current = self.texts[self.runs.current as usize].clone();
        let (keys, ends) = self.runs.take(rows);
        let dictionary: ArrayRef = Arc::new(StringArray::from_iter_values(&self.texts));
        let keys = Int32Array::from(keys);
        let values = DictionaryArray::<Int32Type>::try_new(keys, dictionary).map_err(arrow)?;
        self.known.clear();
        self.translated.clear();
        self.known.insert(current.clone(), 0);
        self.texts.clear();
        self.texts.push(current);
        self.runs.current = 0;
        run_array(&ends, &values)
    }
}

#[derive(Debug)]
enum Column {
    Text(Texts),
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
            Kind::Text => Column::Text(Texts::new()),
            Kind::Time => Column::Time(Runs::new(None)),
            Kind::Decimal(scale) => Column::Decimal(Runs::new(0), 38, *scale),
            Kind::Money(scale) => Column::Decimal(Runs::new(0), 19, *scale),
        });
        Self { layout: layout.clone(), columns: columns.collect(), rows: 0 }
    }

    /// From the next row on, a column says this text.
    pub fn text(&mut self, column: usize, text: &str) {
        if let Column::Text(texts) = &mut self.columns[column] {
            texts.set(text, self.rows);
        }
    }

    /// The same for a text of a dictionary; says whether it may be another than before.
    pub fn keyed(&mut self, column: usize, text: Keyed<'_>) -> bool {
        match &mut self.columns[column] {
            Column::Text(texts) => texts.set_keyed(text, self.rows),
            Column::Time(_) | Column::Decimal(..) => false,
        }
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
            Column::Text(_) | Column::Time(_) => 0,
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
                Column::Text(texts) => texts.take(rows)?,
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
