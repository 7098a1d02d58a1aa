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

/// How much text is handed to a file at once.
const TEXT_AT_ONCE: usize = 1 << 18;

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
    Text(Box<dyn Write + Send>, Csv),
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
                let file = BufWriter::with_capacity(TEXT_AT_ONCE, file);
                let mut text: Box<dyn Write + Send> = match format {
                    Format::CsvGz => Box::new(GzEncoder::new(file, Compression::new(GZIP_LEVEL))),
                    _ => Box::new(file),
                };
                let names: Vec<&str> = layout.columns.iter().map(|(name, _)| *name).collect();
                writeln!(text, "{}", names.join(",")).map_err(Error::file(path))?;
                Inner::Text(text, Csv::default())
            }
        };
        Ok(Self { path: path.to_owned(), inner, layout: layout.clone() })
    }

    /// Appends a batch.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.inner {
            Inner::Parquet(writer) => writer.write(batch),
            Inner::Text(text, csv) => {
                csv.turn_to(batch, &self.layout)?;
                csv.write(batch.num_rows(), text).map_err(Error::file(&self.path))
            }
        }
    }

    /// Ends the file.
    pub fn finish(self) -> Result<()> {
        match self.inner {
            Inner::Parquet(writer) => writer.finish(false).map(|_| ()),
            Inner::Text(mut text, _) => text.flush().map_err(Error::file(&self.path)),
        }
    }
}

/// A batch as comma-separated text. Memory is kept from batch to batch.
#[derive(Default)]
struct Csv {
    columns: Vec<Cells>,
    rows: Vec<u8>,
}

/// The cells of one column, one after the other, each run written once.
#[derive(Default)]
struct Cells {
    bytes: Vec<u8>,
    /// Where the text of each run ends.
    ends: Vec<usize>,
    /// In which row each run ends.
    until: Vec<i32>,
}

impl Csv {
    fn turn_to(&mut self, batch: &RecordBatch, layout: &Layout) -> Result<()> {
        self.columns.resize_with(batch.num_columns(), Cells::default);
        for ((cells, column), (_, kind)) in
            self.columns.iter_mut().zip(batch.columns()).zip(&layout.columns)
        {
            cells.clear();
            if let Some(runs) = column.as_run_opt::<Int32Type>() {
                cells.until.extend_from_slice(runs.run_ends().values());
                cells.fill(runs.values(), *kind)?;
            } else {
                cells.until.extend(1..=column.len() as i32);
                cells.fill(column, *kind)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, rows: usize, text: &mut dyn Write) -> std::io::Result<()> {
        let mut places = vec![0; self.columns.len()];
        for row in 0..rows as i32 {
            for (at, (cells, place)) in self.columns.iter().zip(&mut places).enumerate() {
                if at > 0 {
                    self.rows.push(b',');
                }
                while cells.until[*place] <= row {
                    *place += 1;
                }
                self.rows.extend_from_slice(cells.get(*place));
            }
            self.rows.push(b'\n');
            if self.rows.len() >= TEXT_AT_ONCE {
                text.write_all(&self.rows)?;
                self.rows.clear();
            }
        }
        text.write_all(&self.rows)?;
        self.rows.clear();
        Ok(())
    }
}

impl Cells {
    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.until.clear();
    }

    fn get(&self, place: usize) -> &[u8] {
        let from = place.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[from..self.ends[place]]
    }

    fn fill(&mut self, values: &ArrayRef, kind: Kind) -> Result<()> {
        match values.data_type() {
            DataType::Dictionary(..) => {
                let dictionary = values.as_dictionary::<Int32Type>();
                let texts = dictionary.values().as_string::<i32>();
                for key in dictionary.keys().values() {
                    quoted(&mut self.bytes, texts.value(*key as usize));
                    self.ends.push(self.bytes.len());
                }
            }
            DataType::Timestamp(..) => {
                for time in values.as_primitive::<TimestampMicrosecondType>() {
                    if let Some(micros) = time {
                        // An instant as documents write it. Writing into memory cannot fail.
                        let _ = write!(self.bytes, "{}", micros_instant(micros));
                    }
                    self.ends.push(self.bytes.len());
                }
            }
            DataType::Decimal128(_, scale) => {
                for number in values.as_primitive::<Decimal128Type>().values() {
                    self.bytes.extend_from_slice(decimal(*number, *scale as u8, kind).as_bytes());
                    self.ends.push(self.bytes.len());
                }
            }
            other => return Err(Error::internal(format!("a cell of {other}"))),
        }
        Ok(())
    }
}

/// Appends a text as a cell: in quotes where it has a comma, a quote or a line break.
fn quoted(out: &mut Vec<u8>, text: &str) {
    if text.contains([',', '"', '\n', '\r']) {
        out.push(b'"');
        out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(text.as_bytes());
    }
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
