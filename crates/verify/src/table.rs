//! Reading tables: comma-separated text, the same packed, or Parquet. Rows come one by one, as
//! texts, whatever the file is.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Decimal32Type, Decimal64Type, Decimal128Type, Int32Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use csv::StringRecord;
use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

/// Bytes of a first line that are looked at.
const FIRST_LINE_MAX: usize = 1 << 14;

/// Columns that are written with all the decimals of their type.
const MONEY: &[&str] =
    &["Subtotal", "TaxTotal", "Total", "PretaxCharges", "TaxAmount", "PostTaxTotal"];

/// A row and where it stands.
#[derive(Debug, Default, Clone)]
pub(crate) struct Row {
    pub line: u64,
    cells: StringRecord,
}

impl Row {
    /// The text of a cell, by position.
    pub fn cell(&self, at: usize) -> &str {
        self.cells.get(at).unwrap_or_default()
    }

    /// The row with other texts in some cells.
    pub fn with(&self, others: &[(usize, &str)]) -> Self {
        let other = |at: usize| others.iter().find(|(o, _)| *o == at).map(|(_, text)| *text);
        let cells = self.cells.iter().enumerate();
        let cells = cells.map(|(at, cell)| other(at).unwrap_or(cell)).collect();
        Self { line: self.line, cells }
    }

    /// Whether all cells but some say the same.
    pub fn agrees_but(&self, other: &Self, but: &[usize]) -> bool {
        let cells = self.cells.iter().zip(&other.cells).enumerate();
        cells.into_iter().all(|(at, (a, b))| a == b || but.contains(&at))
    }
}

/// A table that is being read.
pub(crate) struct Table {
    rows: Rows,
    columns: usize,
}

enum Rows {
    Text(csv::Reader<Box<dyn Read>>),
    Parquet { batches: ParquetRecordBatchReader, batch: Option<Texts>, row: u64 },
}

/// The cells of a batch.
struct Texts {
    columns: Vec<Vec<String>>,
    at: usize,
    rows: usize,
}

impl Table {
    /// Opens a file, whose columns must be these, in this order.
    pub fn open(path: &Path, columns: &[&str]) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        let (rows, found) = if name.ends_with(".parquet") {
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file, options)
                .map_err(|error| error.to_string())?;
            let found = builder.schema().fields().iter().map(|field| field.name().clone());
            let found: Vec<String> = found.collect();
            let batches = builder.with_batch_size(1 << 12).build();
            let batches = batches.map_err(|error| error.to_string())?;
            (Rows::Parquet { batches, batch: None, row: 1 }, found)
        } else {
            let bytes: Box<dyn Read> = if name.ends_with(".gz") {
                Box::new(MultiGzDecoder::new(BufReader::with_capacity(1 << 18, file)))
            } else {
                Box::new(BufReader::with_capacity(1 << 18, file))
            };
            let (first_line, bytes) = first_line(bytes).map_err(|error| error.to_string())?;
            if first_line.starts_with(b"\xef\xbb\xbf") || first_line.ends_with(b"\r\n") {
                return Err("does not begin and end its lines as the export writes them".into());
            }
            let mut reader = csv::ReaderBuilder::new().buffer_capacity(1 << 18).from_reader(bytes);
            let header = reader.headers().map_err(|error| error.to_string())?;
            let found = header.iter().map(str::to_owned).collect();
            (Rows::Text(reader), found)
        };
        if found != columns {
            return Err(wrong_columns(&found, columns));
        }
        Ok(Self { rows, columns: columns.len() })
    }

    /// Reads the next row; says whether there was one.
    pub fn next(&mut self, row: &mut Row) -> Result<bool, (u64, String)> {
        match &mut self.rows {
            Rows::Text(reader) => {
                let line = reader.position().line();
                let more = reader.read_record(&mut row.cells).map_err(|error| {
                    (error.position().map_or(line, csv::Position::line), error.to_string())
                })?;
                row.line = row.cells.position().map_or(line, csv::Position::line);
                Ok(more)
            }
            Rows::Parquet { batches, batch, row: number } => {
                while batch.as_ref().is_none_or(|batch| batch.at == batch.rows) {
                    let Some(next) = batches.next() else { return Ok(false) };
                    let next = next.map_err(|error| (*number + 1, error.to_string()))?;
                    *batch = Some(Texts::of(&next).map_err(|error| (*number + 1, error))?);
                }
                let Some(batch) = batch else { return Ok(false) };
                row.cells.clear();
                for column in batch.columns.iter().take(self.columns) {
                    row.cells.push_field(&column[batch.at]);
                }
                batch.at += 1;
                *number += 1;
                row.line = *number;
                Ok(true)
            }
        }
    }
}

/// The first line, and the bytes with it.
fn first_line(mut bytes: Box<dyn Read>) -> std::io::Result<(Vec<u8>, Box<dyn Read>)> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() < FIRST_LINE_MAX && bytes.read(&mut byte)? == 1 {
        line.push(byte[0]);
        if byte[0] == b'\n' {
            break;
        }
    }
    let again = std::io::Cursor::new(line.clone()).chain(bytes);
    Ok((line, Box::new(again)))
}

fn wrong_columns(found: &[String], expected: &[&str]) -> String {
    let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
    match differs {
        Some(at) => {
            format!("column {} is {:?}; it should be {:?}", at + 1, found[at], expected[at])
        }
        None => format!("has {} columns; it should have {}", found.len(), expected.len()),
    }
}

impl Texts {
    fn of(batch: &RecordBatch) -> Result<Self, String> {
        let schema = batch.schema();
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns
            .map(|(column, field)| texts(column, MONEY.contains(&field.name().as_str())))
            .collect::<Result<_, _>>()?;
        Ok(Self { columns, at: 0, rows: batch.num_rows() })
    }
}

fn texts(column: &ArrayRef, money: bool) -> Result<Vec<String>, String> {
    let number = |value: Option<i128>, scale: i8| match value {
        Some(value) => decimal(value, scale.max(0) as usize, money),
        None => String::new(),
    };
    Ok(match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>().iter();
            texts.map(|text| text.unwrap_or_default().to_owned()).collect()
        }
        DataType::Timestamp(..) => {
            let times = column.as_primitive::<TimestampMicrosecondType>().iter();
            times.map(instant).collect::<Result<_, _>>()?
        }
        DataType::Decimal128(_, scale) => {
            let numbers = column.as_primitive::<Decimal128Type>().iter();
            numbers.map(|value| number(value, *scale)).collect()
        }
        DataType::Decimal64(_, scale) => {
            let numbers = column.as_primitive::<Decimal64Type>().iter();
            numbers.map(|value| number(value.map(i128::from), *scale)).collect()
        }
        DataType::Decimal32(_, scale) => {
            let numbers = column.as_primitive::<Decimal32Type>().iter();
            numbers.map(|value| number(value.map(i128::from), *scale)).collect()
        }
        DataType::Int32 => {
            let numbers = column.as_primitive::<Int32Type>().iter();
            numbers.map(|value| number(value.map(i128::from), 0)).collect()
        }
        other => return Err(format!("has a column of the unexpected type {other}")),
    })
}

fn instant(micros: Option<i64>) -> Result<String, String> {
    let Some(micros) = micros else { return Ok(String::new()) };
    let instant = Timestamp::from_microsecond(micros).map_err(|error| error.to_string())?;
    Ok(instant.to_string())
}

fn decimal(mantissa: i128, scale: usize, money: bool) -> String {
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = if money { fraction } else { fraction.trim_end_matches('0') };
    let sign = if mantissa < 0 { "-" } else { "" };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
