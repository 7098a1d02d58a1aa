//! Where tables go: Parquet, CSV, gzip of CSV.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use flate2::Compression;
use flate2::write::GzEncoder;
use kernel::{Error, Result, micros_instant};
use lake::ColumnarWriter;

use crate::table::{Kind, Layout};

/// How hard gzip tries; more makes files little smaller and takes much longer.
const GZIP_LEVEL: u32 = 3;

/// The forms in which a table can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated text.
    Csv,
    /// The same, packed.
    CsvGz,
    /// Parquet.
    Parquet,
}

impl Format {
    /// Every format with the name it has on the command line, which is also its file extension.
    pub const NAMES: [(&'static str, Self); 3] =
        [("csv", Self::Csv), ("csv.gz", Self::CsvGz), ("parquet", Self::Parquet)];

    /// The file extension.
    pub fn extension(self) -> &'static str {
        Self::NAMES.iter().find(|(_, format)| *format == self).map_or("", |(name, _)| name)
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, format)| *format)
            .ok_or_else(|| "is not a format; use csv, csv.gz or parquet".into())
    }
}

/// A file that takes tables.
pub struct Sink {
    path: PathBuf,
    inner: Inner,
    layout: Layout,
}

enum Inner {
    Text(Box<dyn Write + Send>),
    Parquet(Box<ColumnarWriter>),
}

impl Sink {
    /// Starts a file.
    pub fn create(path: &Path, format: Format, layout: &Layout) -> Result<Self> {
        let inner = match format {
            Format::Parquet => {
                Inner::Parquet(Box::new(ColumnarWriter::create(path, layout.schema())?))
            }
            Format::Csv | Format::CsvGz => {
                let file = File::create(path).map_err(Error::file(path))?;
                let file = BufWriter::with_capacity(1 << 18, file);
                let mut text: Box<dyn Write + Send> = match format {
                    Format::CsvGz => Box::new(GzEncoder::new(file, Compression::new(GZIP_LEVEL))),
                    _ => Box::new(file),
                };
                let names: Vec<&str> = layout.columns.iter().map(|(name, _)| *name).collect();
                writeln!(text, "{}", names.join(",")).map_err(Error::file(path))?;
                Inner::Text(text)
            }
        };
        Ok(Self { path: path.to_owned(), inner, layout: layout.clone() })
    }

    /// Appends a batch.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.inner {
            Inner::Parquet(writer) => writer.write(batch),
            Inner::Text(text) => {
                let bytes = csv(batch, &self.layout)?;
                text.write_all(&bytes).map_err(Error::file(&self.path))
            }
        }
    }

    /// Ends the file.
    pub fn finish(self) -> Result<()> {
        match self.inner {
            Inner::Parquet(writer) => writer.finish(false).map(|_| ()),
            Inner::Text(mut text) => text.flush().map_err(Error::file(&self.path)),
        }
    }
}

/// The cells of one column, each run written once.
struct Cells {
    texts: Vec<Vec<u8>>,
    ends: Vec<i32>,
    at: usize,
}

/// The rows of a batch as comma-separated text.
fn csv(batch: &RecordBatch, layout: &Layout) -> Result<Vec<u8>> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (column, (_, kind)) in batch.columns().iter().zip(&layout.columns) {
        columns.push(if let Some(runs) = column.as_run_opt::<Int32Type>() {
            let ends = runs.run_ends().values().to_vec();
            Cells { texts: texts(runs.values(), *kind)?, ends, at: 0 }
        } else {
            let ends = (1..=column.len() as i32).collect();
            Cells { texts: texts(column, *kind)?, ends, at: 0 }
        });
    }
    let mut out = Vec::with_capacity(batch.num_rows() * 512);
    for row in 0..batch.num_rows() as i32 {
        for (at, column) in columns.iter_mut().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            while column.ends[column.at] <= row {
                column.at += 1;
            }
            out.extend_from_slice(&column.texts[column.at]);
        }
        out.push(b'\n');
    }
    Ok(out)
}

fn texts(values: &ArrayRef, kind: Kind) -> Result<Vec<Vec<u8>>> {
    Ok(match values.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = values.as_dictionary::<Int32Type>();
            let texts = dictionary.values().as_string::<i32>();
            let keys = dictionary.keys().values().iter();
            keys.map(|key| quoted(texts.value(*key as usize))).collect()
        }
        DataType::Timestamp(..) => {
            let times = values.as_primitive::<TimestampMicrosecondType>();
            times.iter().map(|time| time.map_or_else(Vec::new, instant)).collect()
        }
        DataType::Decimal128(_, scale) => {
            let numbers = values.as_primitive::<Decimal128Type>();
            let scale = *scale as u8;
            let numbers = numbers.values().iter();
            numbers.map(|number| decimal(*number, scale, kind).into_bytes()).collect()
        }
        other => return Err(Error::internal(format!("a cell of {other}"))),
    })
}

/// A text as a cell: in quotes where it has a comma, a quote or a line break.
fn quoted(text: &str) -> Vec<u8> {
    if text.contains([',', '"', '\n', '\r']) {
        return format!("\"{}\"", text.replace('"', "\"\"")).into_bytes();
    }
    text.as_bytes().to_vec()
}

/// An instant as documents write it.
fn instant(micros: i64) -> Vec<u8> {
    micros_instant(micros).to_string().into_bytes()
}

/// A number: amounts with all their digits, others without trailing zeros.
fn decimal(mantissa: i128, scale: u8, kind: Kind) -> String {
    let (mantissa, scale) = match kind {
        Kind::Money(_) => (mantissa, scale),
        _ => kernel::trimmed(mantissa, scale),
    };
    let places = usize::from(scale);
    let digits = format!("{:0>width$}", mantissa.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let sign = if mantissa < 0 { "-" } else { "" };
    if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
