//! From an Arrow array to the bytes of a dictionary page and a data page.

use std::collections::hash_map::Entry;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Decimal64Type, Decimal128Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, StringArray};
use arrow_buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};
use bytes::Bytes;
use kernel::{Error, Result};
use parquet::basic::{Encoding, Type};
use parquet::schema::types::ColumnDescPtr;
use rustc_hash::FxHashMap;

use super::hybrid;

/// Rows that runs must have on average to be written as such.
const ROWS_PER_RUN: usize = 8;
/// How many different times of one batch are kept as a dictionary.
const TIMES_MAX: usize = 1 << 12;

/// The pages of a column.
pub(super) struct Encoded {
    /// The dictionary and how many values it has.
    pub dictionary: Option<(Bytes, u32)>,
    /// The data pages, each with how many rows it has.
    pub data: Vec<(Bytes, usize)>,
    pub encoding: Encoding,
}

/// Encodes columns; keeps what is dear to allocate.
#[derive(Default)]
pub(super) struct Encoder {
    /// For each key of a dictionary, its place in the page's dictionary.
    places: Vec<u32>,
    keys: Vec<u32>,
}

/// Plain values as pages of so many rows.
fn plain_pages(column: &ArrayRef, descriptor: &ColumnDescPtr, page_rows: usize) -> Result<Encoded> {
    let starts = (0..column.len()).step_by(page_rows);
    let pages = starts.map(|from| {
        let rows = page_rows.min(column.len() - from);
        plain_page(&column.slice(from, rows), descriptor).map(|page| (page, rows))
    });
    let data = pages.collect::<Result<_>>()?;
    Ok(Encoded { dictionary: None, data, encoding: Encoding::PLAIN })
}

/// The places of values in a dictionary: runs where neighbours mostly share one, because they are
/// read in no time; otherwise bit-packed, as pages of so many rows.
fn places_pages(
    places: &[u32],
    distinct: usize,
    descriptor: &ColumnDescPtr,
    page_rows: usize,
) -> Vec<(Bytes, usize)> {
    let width = hybrid::width_of(distinct);
    let runs = || places.chunk_by(|a, b| a == b);
    let page =
        |data: Vec<u8>, rows: usize| (with_levels(descriptor, rows, None, data.into()), rows);
    if runs().count() * ROWS_PER_RUN <= places.len() {
        let mut data = vec![width];
        runs().for_each(|run| hybrid::run(&mut data, run[0], run.len(), width));
        return vec![page(data, places.len())];
    }
    let packed = places.chunks(page_rows).map(|places| {
        let mut data = vec![width];
        hybrid::packed(&mut data, places, width);
        page(data, places.len())
    });
    packed.collect()
}

/// Plain values as a page.
fn plain_page(column: &ArrayRef, descriptor: &ColumnDescPtr) -> Result<Bytes> {
    match column.nulls() {
        None => Ok(with_levels(descriptor, column.len(), None, plain(column, descriptor)?)),
        Some(nulls) => {
            let values = only_valid(column, descriptor, nulls)?;
            Ok(with_levels(descriptor, column.len(), Some(nulls), values))
        }
    }
}

/// A value's place is not yet known.
const NOWHERE: u32 = u32::MAX;

impl Encoder {
    /// Encodes a column: runs in one page, everything else in pages of so many rows.
    pub fn encode(
        &mut self,
        column: &ArrayRef,
        descriptor: &ColumnDescPtr,
        page_rows: usize,
    ) -> Result<Encoded> {
        if column.null_count() > 0 && descriptor.max_def_level() == 0 {
            return Err(Error::internal(format!("nulls in column {}", descriptor.name())));
        }
        match column.data_type() {
            DataType::RunEndEncoded(..) => self.runs(column, descriptor),
            DataType::Dictionary(..) => self.keys(column, descriptor, page_rows),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                self.times(column, descriptor, page_rows)
            }
            _ => plain_pages(column, descriptor, page_rows),
        }
    }

    /// A column of runs: each distinct value once, each run in a few bytes.
    fn runs(&mut self, column: &ArrayRef, descriptor: &ColumnDescPtr) -> Result<Encoded> {
        let runs = column.as_run::<Int32Type>();
        if runs.run_ends().offset() != 0 {
            return Err(Error::internal("a slice of a run-encoded column"));
        }
        let values = runs.values();
        let decimals = matches!(values.data_type(), DataType::Decimal128(..));
        if decimals && values.null_count() == 0 && values.len() * 2 > column.len() {
            let ends = runs.run_ends().values();
            let data =
                expanded(values.as_primitive::<Decimal128Type>().values(), ends, descriptor)?;
            let data = with_levels(descriptor, column.len(), None, data.into());
            let data = vec![(data, column.len())];
            return Ok(Encoded { dictionary: None, data, encoding: Encoding::PLAIN });
        }
        let (dictionary, places) = self.distinct(values, descriptor)?;
        let width = hybrid::width_of(dictionary.1 as usize);
        let mut levels = Vec::new();
        let mut data = vec![width];
        let (mut valid, mut level) = ((NOWHERE, 0), (NOWHERE, 0));
        let mut from = 0;
        for (end, place) in runs.run_ends().values().iter().zip(places) {
            let length = *end as usize - from;
            from = *end as usize;
            extend(&mut level, u32::from(place != NOWHERE), length, |value, length| {
                hybrid::run(&mut levels, value, length, 1);
            });
            if place != NOWHERE {
                extend(&mut valid, place, length, |value, length| {
                    hybrid::run(&mut data, value, length, width);
                });
            }
        }
        hybrid::run(&mut levels, level.0, level.1, 1);
        hybrid::run(&mut data, valid.0, valid.1, width);
        let data = if descriptor.max_def_level() == 0 {
            data
        } else {
            let mut page = Vec::with_capacity(levels.len() + data.len() + 4);
            page.extend_from_slice(&(levels.len() as u32).to_le_bytes());
            page.extend_from_slice(&levels);
            page.extend_from_slice(&data);
            page
        };
        Ok(Encoded {
            dictionary: Some(dictionary),
            data: vec![(data.into(), column.len())],
            encoding: Encoding::RLE_DICTIONARY,
        })
    }

    /// A dictionary column: its keys in a dictionary of those that occur.
    fn keys(
        &mut self,
        column: &ArrayRef,
        descriptor: &ColumnDescPtr,
        page_rows: usize,
    ) -> Result<Encoded> {
        if column.null_count() > 0 {
            return Err(Error::internal(format!("nulls in dictionary {}", descriptor.name())));
        }
        let (dictionary, places) = self.distinct(column, descriptor)?;
        let data = places_pages(&places, dictionary.1 as usize, descriptor, page_rows);
        self.keys = places;
        Ok(Encoded { dictionary: Some(dictionary), data, encoding: Encoding::RLE_DICTIONARY })
    }

    /// Times repeat, mostly: a dictionary of them where they are few.
    fn times(
        &mut self,
        column: &ArrayRef,
        descriptor: &ColumnDescPtr,
        page_rows: usize,
    ) -> Result<Encoded> {
        let times = column.as_primitive::<TimestampMicrosecondType>().values();
        let mut known: FxHashMap<i64, u32> = FxHashMap::default();
        let mut distinct: Vec<i64> = Vec::new();
        self.keys.clear();
        let (mut last, mut last_place) = (None, 0);
        for time in times {
            if last != Some(*time) {
                last = Some(*time);
                last_place = *known.entry(*time).or_insert_with(|| {
                    distinct.push(*time);
                    distinct.len() as u32 - 1
                });
                if distinct.len() > TIMES_MAX {
                    return plain_pages(column, descriptor, page_rows);
                }
            }
            self.keys.push(last_place);
        }
        let data = places_pages(&self.keys, distinct.len(), descriptor, page_rows);
        let count = distinct.len() as u32;
        let dictionary = Some((bytes_of(Buffer::from_vec(distinct)), count));
        Ok(Encoded { dictionary, data, encoding: Encoding::RLE_DICTIONARY })
    }

    /// The distinct values of an array as a dictionary page, and for each element its place in
    /// it; nulls are nowhere.
    fn distinct(
        &mut self,
        values: &ArrayRef,
        descriptor: &ColumnDescPtr,
    ) -> Result<((Bytes, u32), Vec<u32>)> {
        match values.data_type() {
            DataType::Dictionary(..) => self.distinct_keys(values),
            DataType::Utf8 => Ok(distinct_texts(values.as_string::<i32>())),
            DataType::Int32 => distinct_numbers::<Int32Type>(values, descriptor),
            DataType::Int64 => distinct_numbers::<Int64Type>(values, descriptor),
            DataType::Date32 => distinct_numbers::<Date32Type>(values, descriptor),
            DataType::Timestamp(TimeUnit::Microsecond, _) => {
                distinct_numbers::<TimestampMicrosecondType>(values, descriptor)
            }
            DataType::Decimal64(..) => distinct_numbers::<Decimal64Type>(values, descriptor),
            DataType::Decimal128(..) => distinct_numbers::<Decimal128Type>(values, descriptor),
            other => Err(Error::internal(format!("runs of {other}"))),
        }
    }

    fn distinct_keys(&mut self, values: &ArrayRef) -> Result<((Bytes, u32), Vec<u32>)> {
        let dictionary = values.as_dictionary::<Int32Type>();
        let texts = dictionary.values().as_string_opt::<i32>();
        let texts = texts.ok_or_else(|| Error::internal("a dictionary that is not of text"))?;
        self.places.resize(self.places.len().max(texts.len()), NOWHERE);
        let mut page = Vec::new();
        let mut used = Vec::new();
        let mut places = std::mem::take(&mut self.keys);
        places.clear();
        places.reserve(dictionary.len());
        let keys = dictionary.keys();
        for at in 0..keys.len() {
            if keys.is_null(at) {
                places.push(NOWHERE);
                continue;
            }
            let key = keys.value(at) as usize;
            if self.places[key] == NOWHERE {
                self.places[key] = used.len() as u32;
                used.push(key);
                text(&mut page, texts.value(key));
            }
            places.push(self.places[key]);
        }
        for key in &used {
            self.places[*key] = NOWHERE;
        }
        Ok(((page.into(), used.len() as u32), places))
    }
}

/// Runs that are hardly longer than a value each, as plain values.
fn expanded(values: &[i128], ends: &[i32], descriptor: &ColumnDescPtr) -> Result<Vec<u8>> {
    let (mut page, mut from) = (Vec::new(), 0);
    for (value, end) in values.iter().zip(ends) {
        for _ in from..*end {
            number(&mut page, *value, descriptor)?;
        }
        from = *end;
    }
    Ok(page)
}

/// Extends the current run, or closes it and starts the next.
fn extend(current: &mut (u32, usize), value: u32, length: usize, close: impl FnOnce(u32, usize)) {
    if current.0 == value {
        current.1 += length;
    } else {
        close(current.0, current.1);
        *current = (value, length);
    }
}

fn distinct_texts(values: &StringArray) -> ((Bytes, u32), Vec<u32>) {
    let mut known: FxHashMap<&str, u32> = FxHashMap::default();
    let mut page = Vec::new();
    let places = values.iter().map(|value| {
        let Some(value) = value else { return NOWHERE };
        let next = known.len() as u32;
        match known.entry(value) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                text(&mut page, value);
                *entry.insert(next)
            }
        }
    });
    let places = places.collect();
    ((page.into(), known.len() as u32), places)
}

fn distinct_numbers<T>(
    values: &ArrayRef,
    descriptor: &ColumnDescPtr,
) -> Result<((Bytes, u32), Vec<u32>)>
where
    T: ArrowPrimitiveType,
    T::Native: Into<i128>,
{
    let mut known: FxHashMap<i128, u32> = FxHashMap::default();
    let mut page = Vec::new();
    let values = values.as_primitive::<T>();
    let mut places = Vec::with_capacity(values.len());
    for value in values {
        let Some(value) = value.map(Into::into) else {
            places.push(NOWHERE);
            continue;
        };
        let next = known.len() as u32;
        places.push(match known.entry(value) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                number(&mut page, value, descriptor)?;
                *entry.insert(next)
            }
        });
    }
    Ok(((page.into(), known.len() as u32), places))
}

fn text(page: &mut Vec<u8>, value: &str) {
    page.extend_from_slice(&(value.len() as u32).to_le_bytes());
    page.extend_from_slice(value.as_bytes());
}

fn number(page: &mut Vec<u8>, value: i128, descriptor: &ColumnDescPtr) -> Result<()> {
    match descriptor.physical_type() {
        Type::INT32 => page.extend_from_slice(&(value as i32).to_le_bytes()),
        Type::INT64 => page.extend_from_slice(&(value as i64).to_le_bytes()),
        Type::FIXED_LEN_BYTE_ARRAY => {
            let length = descriptor.type_length() as usize;
            page.extend_from_slice(&value.to_be_bytes()[16 - length..]);
        }
        other => return Err(Error::internal(format!("a number as {other}"))),
    }
    Ok(())
}

/// The values as Parquet's plain encoding has them, nulls included as whatever stands there.
fn plain(column: &ArrayRef, descriptor: &ColumnDescPtr) -> Result<Bytes> {
    Ok(match (column.data_type(), descriptor.physical_type()) {
        (DataType::Int32, _) => native(column.as_primitive::<Int32Type>().values()),
        (DataType::Date32, _) => native(column.as_primitive::<Date32Type>().values()),
        (DataType::Int64, _) => native(column.as_primitive::<Int64Type>().values()),
        (DataType::Timestamp(TimeUnit::Microsecond, _), _) => {
            native(column.as_primitive::<TimestampMicrosecondType>().values())
        }
        (DataType::Decimal64(..), Type::INT64) => {
            native(column.as_primitive::<Decimal64Type>().values())
        }
        (DataType::Decimal64(..), Type::INT32) => {
            let values = column.as_primitive::<Decimal64Type>().values();
            let narrow: Vec<i32> = values.iter().map(|value| *value as i32).collect();
            bytes_of(Buffer::from_vec(narrow))
        }
        (DataType::Decimal128(..), Type::FIXED_LEN_BYTE_ARRAY) => {
            let values = column.as_primitive::<Decimal128Type>().values();
            big_endian(values, descriptor.type_length() as usize).into()
        }
        (DataType::Decimal128(..), _) => {
            let mut page = Vec::new();
            for value in column.as_primitive::<Decimal128Type>().values() {
                number(&mut page, *value, descriptor)?;
            }
            page.into()
        }
        (DataType::Utf8, _) => {
            let mut page = Vec::new();
            column.as_string::<i32>().iter().flatten().for_each(|value| text(&mut page, value));
            page.into()
        }
        (other, _) => return Err(Error::internal(format!("a column of {other}"))),
    })
}

/// The last `length` bytes of each number, highest first.
fn big_endian(values: &[i128], length: usize) -> Vec<u8> {
    // Each number is stored whole and the next one overwrites what is too much of it.
    let mut page = vec![0; values.len() * length + 16];
    let shift = 8 * (16 - length);
    for (at, value) in values.iter().enumerate() {
        let from = at * length;
        page[from..from + 16].copy_from_slice(&(value << shift).to_be_bytes());
    }
    page.truncate(values.len() * length);
    page
}

/// The plain values without those that are null.
fn only_valid(column: &ArrayRef, descriptor: &ColumnDescPtr, nulls: &NullBuffer) -> Result<Bytes> {
    if matches!(column.data_type(), DataType::Utf8) {
        return plain(column, descriptor);
    }
    let mut page = Vec::new();
    for (from, until) in nulls.valid_slices() {
        page.extend_from_slice(&plain(&column.slice(from, until - from), descriptor)?);
    }
    Ok(page.into())
}

/// The data page: which rows have a value, where the column may have none, and the values.
fn with_levels(
    descriptor: &ColumnDescPtr,
    rows: usize,
    nulls: Option<&NullBuffer>,
    values: Bytes,
) -> Bytes {
    if descriptor.max_def_level() == 0 {
        return values;
    }
    let mut levels = Vec::new();
    match nulls {
        None => hybrid::run(&mut levels, 1, rows, 1),
        Some(nulls) => {
            let mut at = 0;
            for (from, until) in nulls.valid_slices() {
                hybrid::run(&mut levels, 0, from - at, 1);
                hybrid::run(&mut levels, 1, until - from, 1);
                at = until;
            }
            hybrid::run(&mut levels, 0, rows - at, 1);
        }
    }
    let mut page = Vec::with_capacity(values.len() + levels.len() + 4);
    page.extend_from_slice(&(levels.len() as u32).to_le_bytes());
    page.extend_from_slice(&levels);
    page.extend_from_slice(&values);
    page.into()
}

/// Memory of Arrow as it is: its numbers are little-endian like Parquet's.
fn native<T>(values: &ScalarBuffer<T>) -> Bytes
where
    T: arrow_buffer::ArrowNativeType,
{
    bytes_of(values.inner().clone())
}

fn bytes_of(buffer: Buffer) -> Bytes {
    struct Owner(Buffer);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            self.0.as_slice()
        }
    }

    Bytes::from_owner(Owner(buffer))
}
