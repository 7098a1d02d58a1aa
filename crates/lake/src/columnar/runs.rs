//! Reading a text column as the runs that it was written as: which text, how often in a row.
//! Nothing is made for single rows, so a column that hardly changes is read in no time.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use kernel::{Error, Result};
use parquet::column::page::{Page, PageReader};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::{SharedFile, parquet};

/// A text column of a row group.
#[derive(Debug, Default)]
pub(crate) struct TextRuns {
    dictionary: Bytes,
    /// Where each text lies in the dictionary.
    texts: Vec<Range<usize>>,
    /// The position of a text and how many rows have it, in order.
    pub runs: Vec<(u32, usize)>,
}

impl TextRuns {
    /// The text at a position.
    pub fn text(&self, at: usize) -> Result<&str> {
        std::str::from_utf8(&self.dictionary[self.texts[at].clone()]).map_err(|_| broken())
    }
}

/// A file whose columns are read as runs.
pub(crate) struct RunReader<'m> {
    file: Arc<SharedFile>,
    metadata: &'m ParquetMetaData,
}

impl<'m> RunReader<'m> {
    pub fn new(file: &SharedFile, metadata: &'m ParquetMetaData) -> Self {
        Self { file: Arc::new(file.clone()), metadata }
    }

    /// A column of a row group: required, and written with a dictionary.
    pub fn column(&self, row_group: usize, name: &str) -> Result<TextRuns> {
        let group = self.metadata.row_group(row_group);
        let columns = group.columns();
        let at = columns.iter().position(|column| column.column_path().string() == name);
        let at = at.ok_or_else(|| Error::internal(format!("usage without the column {name}")))?;
        let (file, rows) = (Arc::clone(&self.file), group.num_rows() as usize);
        let pages = SerializedPageReader::new(file, &columns[at], rows, None);
        let mut pages = pages.map_err(parquet)?;
        let mut read = TextRuns::default();
        while let Some(page) = pages.get_next_page().map_err(parquet)? {
            match page {
                Page::DictionaryPage { buf, .. } => {
                    read.texts = plain_texts(&buf).ok_or_else(broken)?;
                    read.dictionary = buf;
                }
                Page::DataPage { buf, num_values, .. } => {
                    keys(&buf, num_values as usize, &mut read.runs).ok_or_else(broken)?;
                }
                Page::DataPageV2 { .. } => return Err(broken()),
            }
        }
        let known = read.runs.iter().all(|(key, _)| (*key as usize) < read.texts.len());
        if known { Ok(read) } else { Err(broken()) }
    }
}

fn broken() -> Error {
    Error::conflict("a usage segment is not as it was written; restore it from a backup")
}

/// Where texts lie, each behind its length in four bytes.
fn plain_texts(bytes: &[u8]) -> Option<Vec<Range<usize>>> {
    let (mut texts, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let length = bytes.get(at..at + 4)?.first_chunk::<4>()?;
        let text = at + 4..(at + 4).checked_add(u32::from_le_bytes(*length) as usize)?;
        bytes.get(text.clone())?;
        at = text.end;
        texts.push(text);
    }
    Some(texts)
}

/// Keys in the hybrid encoding, behind their width in bits.
fn keys(bytes: &[u8], mut left: usize, runs: &mut Vec<(u32, usize)>) -> Option<()> {
    let (width, mut bytes) = bytes.split_first().map(|(width, rest)| (u32::from(*width), rest))?;
    let mut push = |key: u32, count: usize| match runs.last_mut() {
        Some((last, rows)) if *last == key => *rows += count,
        _ => runs.push((key, count)),
    };
    while left > 0 {
        let (header, rest) = varint(bytes)?;
        let length = usize::try_from(header >> 1).ok()?;
        if header & 1 == 0 {
            let (value, rest) = rest.split_at_checked(width.div_ceil(8) as usize)?;
            let mut key = [0; 4];
            key.get_mut(..value.len())?.copy_from_slice(value);
            let count = length.min(left);
            push(u32::from_le_bytes(key), count);
            (bytes, left) = (rest, left - count);
        } else {
            let (packed, rest) = rest.split_at_checked(length.checked_mul(width as usize)?)?;
            let (mut bits, mut filled, mut at) = (0u64, 0, 0);
            for _ in 0..(length * 8).min(left) {
                while filled < width {
                    bits |= u64::from(*packed.get(at)?) << filled;
                    (at, filled) = (at + 1, filled + 8);
                }
                push((bits & ((1 << width) - 1)) as u32, 1);
                (bits, filled) = (bits >> width, filled - width);
                left -= 1;
            }
            bytes = rest;
        }
        if length == 0 {
            return None;
        }
    }
    Some(())
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().take(10).position(|byte| byte & 0x80 == 0)?;
    let (varint, rest) = bytes.split_at(end + 1);
    let value = varint.iter().rev().fold(0, |value, byte| (value << 7) | u64::from(byte & 0x7f));
    Some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::super::hybrid;
    use super::*;

    #[test]
    fn runs_are_read_as_they_were_written() {
        let mut bytes = vec![5];
        hybrid::run(&mut bytes, 17, 1000, 5);
        hybrid::run(&mut bytes, 3, 2, 5);
        hybrid::packed(&mut bytes, &[1, 1, 30, 0, 2, 2, 2, 31, 9], 5);
        let mut runs = Vec::new();
        keys(&bytes, 1011, &mut runs).unwrap();
        let expected = [(17, 1000), (3, 2), (1, 2), (30, 1), (0, 1), (2, 3), (31, 1), (9, 1)];
        assert_eq!(runs, expected);
        assert!(keys(&bytes[..4], 1011, &mut Vec::new()).is_none(), "cut off");
    }
}
