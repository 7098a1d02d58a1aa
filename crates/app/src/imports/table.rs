//! Tables of text: delimited files whose columns are found by their headers.

use std::io::BufRead;

use csv::{ReaderBuilder, StringRecord};
use kernel::{Error, Fault, Faults, Result};

/// The most columns a table may have.
const COLUMNS_MAX: usize = 1_000;

/// A delimited file with a header.
pub(super) struct Table<R> {
    pub file: String,
    pub headers: Vec<String>,
    reader: csv::Reader<R>,
    record: StringRecord,
    /// The row that was read last, counted from one with the header.
    row: u64,
}

/// A header as it is compared: letters and digits in lower case, and of a translated header only
/// the original in parentheses, as in `ID der Verbrauchseinheit (MeterId)`.
pub(super) fn normalized(header: &str) -> String {
    let original = header.rsplit_once('(').map_or(header, |(_, original)| original);
    original.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl<R: BufRead> Table<R> {
    /// Reads the header. The delimiter is whatever of comma, semicolon and tab the first line has
    /// most of.
    pub fn open(file: &str, mut input: R) -> Result<Self> {
        let first = input.fill_buf().map_err(Error::file(file))?;
        let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let count = |delimiter: u8| line.iter().filter(|byte| **byte == delimiter).count();
        let delimiter = [b',', b';', b'\t'].into_iter().rev().max_by_key(|d| count(*d));
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter.unwrap_or(b','))
            .flexible(true)
            .from_reader(input);
        let headers = reader.headers().map_err(|error| refused(file, &error))?;
        let headers: Vec<String> = headers.iter().map(str::to_owned).collect();
        if headers.len() > COLUMNS_MAX {
            let reason = format!("has {} columns; at most {COLUMNS_MAX} are read", headers.len());
            return Err(Error::invalid(file, reason));
        }
        Ok(Self { file: file.to_owned(), headers, reader, record: StringRecord::new(), row: 1 })
    }

    /// The position of the first column that has one of these names.
    pub fn column(&self, names: &[&str]) -> Option<usize> {
        let headers: Vec<String> = self.headers.iter().map(|header| normalized(header)).collect();
        names.iter().find_map(|name| {
            let name = normalized(name);
            headers.iter().position(|header| *header == name)
        })
    }

    /// The position of a column that must be there.
    pub fn required(&self, names: &[&str]) -> Result<usize> {
        self.column(names).ok_or_else(|| {
            let mut faults = Faults::default();
            faults.push(Fault {
                file: self.file.clone(),
                line: Some(1),
                field: Some(names[0].to_owned()),
                value: None,
                reason: format!(
                    "is missing: no column is called {}; the columns are {}",
                    names.join(" or "),
                    self.headers.join(", ")
                ),
            });
            Error::Refused { subject: self.file.clone(), faults: Box::new(faults) }
        })
    }

    /// The next row; none at the end. A row that is not text or has other columns than the header
    /// is a fault.
    pub fn next(&mut self) -> Option<Result<TableRow<'_>, Fault>> {
        self.row += 1;
        let row = self.row;
        let fault = |reason: String| Fault {
            file: self.file.clone(),
            line: Some(row),
            field: None,
            value: None,
            reason,
        };
        match self.reader.read_record(&mut self.record) {
            Ok(false) => None,
            Ok(true) if self.record.len() != self.headers.len() => Some(Err(fault(format!(
                "has {} cells where the header has {}",
                self.record.len(),
                self.headers.len()
            )))),
            Ok(true) => Some(Ok(TableRow {
                file: &self.file,
                headers: &self.headers,
                row,
                record: &self.record,
            })),
            Err(error) => Some(Err(fault(error.to_string()))),
        }
    }

    /// The cells of the row that was read last, whatever they are.
    pub fn cells(&self) -> &StringRecord {
        &self.record
    }
}

/// A row of a table.
#[derive(Clone, Copy)]
pub(super) struct TableRow<'a> {
    file: &'a str,
    headers: &'a [String],
    /// Its number, counted from one with the header.
    pub row: u64,
    record: &'a StringRecord,
}

impl<'a> TableRow<'a> {
    /// The cell of a column, trimmed; empty where there is no such column.
    pub fn get(&self, column: Option<usize>) -> &'a str {
        column.and_then(|column| self.record.get(column)).unwrap_or_default().trim()
    }

    /// A fault of a cell.
    pub fn fault(&self, column: Option<usize>, reason: impl ToString) -> Fault {
        Fault {
            file: self.file.to_owned(),
            line: Some(self.row),
            field: column.map(|column| self.headers[column].clone()),
            value: column.map(|_| self.get(column).to_owned()),
            reason: reason.to_string(),
        }
    }

    /// The cell of a column as something.
    pub fn parsed<T>(&self, column: usize) -> Result<T, Fault>
    where
        T: std::str::FromStr,
        T::Err: ToString,
    {
        self.get(Some(column))
            .parse()
            .map_err(|why: T::Err| self.fault(Some(column), why.to_string()))
    }
}

fn refused(file: &str, error: &csv::Error) -> Error {
    let mut faults = Faults::default();
    let reason = error.to_string();
    faults.push(Fault { file: file.to_owned(), line: Some(1), field: None, value: None, reason });
    Error::Refused { subject: file.to_owned(), faults: Box::new(faults) }
}
