//! Records on their way into the lake: collected column by column, sorted, written as segments.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow_array::types::{Decimal64Type, Decimal128Type, Int32Type};
use arrow_array::{
    ArrayRef, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::DataType;
use kernel::{Error, Month, QUANTITY_SCALE, Quantity, Result, Zone, micros_instant};
use rustc_hash::FxHashMap;

use super::{RowGroupInfo, SegmentInfo, UsageDetails, UsageRecord, schema};
use crate::columnar::ColumnarWriter;
use crate::{PartitionHash, Partitioning};

/// Rows of a row group, about.
const ROWS_PER_GROUP: usize = 1 << 17;

/// Texts that repeat, each kept once.
#[derive(Debug, Default)]
struct Interner {
    known: FxHashMap<Box<str>, u32>,
    texts: Vec<Box<str>>,
}

impl Interner {
    fn key(&mut self, text: &str) -> u32 {
        if let Some(key) = self.known.get(text) {
            return *key;
        }
        let key = self.texts.len() as u32;
        self.known.insert(text.into(), key);
        self.texts.push(text.into());
        key
    }

    /// For each key its place among all keys, ordered by `by`.
    fn ranks<K: Ord>(&self, by: impl Fn(&str) -> K) -> Vec<u32> {
        let mut keys: Vec<u32> = (0..self.texts.len() as u32).collect();
        keys.sort_by_cached_key(|key| by(&self.texts[*key as usize]));
        let mut ranks = vec![0; keys.len()];
        for (rank, key) in keys.into_iter().enumerate() {
            ranks[key as usize] = rank as u32;
        }
        ranks
    }
}

/// A column of texts that repeat.
#[derive(Debug, Default)]
struct Texts {
    interner: Interner,
    keys: Vec<u32>,
}

impl Texts {
    fn push(&mut self, text: &str) {
        let key = self.interner.key(text);
        self.keys.push(key);
    }

    fn dictionary(&self) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(&self.interner.texts))
    }
}

/// Positions of the columns that are texts.
mod column {
    pub const CUSTOMER: usize = 0;
    pub const SUBSCRIPTION: usize = 1;
    pub const METER: usize = 2;
    pub const ENTITLEMENT: usize = 3;
    pub const UNIT: usize = 4;
    pub const SOURCE: usize = 5;
    pub const RESOURCE: usize = 6;
    pub const COUNT: usize = 6 + super::UsageDetails::NAMES.len();
}

/// Records that have been accepted and are not yet written.
#[derive(Debug, Default)]
pub struct UsageChunk {
    texts: [Texts; column::COUNT],
    starts: Vec<i64>,
    ends: Vec<i64>,
    recorded: Vec<i64>,
    quantities: Vec<i128>,
    event_ids: Vec<Box<str>>,
    corrects: Vec<Option<Box<str>>>,
}

/// What a chunk has become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkWritten {
    /// The segments, one for each month in which records begin.
    pub segments: Vec<SegmentInfo>,
}

impl UsageChunk {
    /// How many records it has.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Adds a record.
    pub fn push(&mut self, record: &UsageRecord) {
        let mut put = |at: usize, text: &str| self.texts[at].push(text);
        put(column::CUSTOMER, &record.customer.to_string());
        put(column::SUBSCRIPTION, &record.subscription.to_string());
        put(column::METER, record.meter.as_str());
        put(column::ENTITLEMENT, &record.entitlement.map(|id| id.to_string()).unwrap_or_default());
        put(column::UNIT, &record.unit);
        put(column::SOURCE, &record.source);
        for (at, value) in record.details.values().into_iter().enumerate() {
            put(column::RESOURCE + at, value);
        }
        self.starts.push(record.start);
        self.ends.push(record.end);
        self.recorded.push(record.recorded_at);
        self.quantities.push(record.quantity.mantissa());
        self.event_ids.push(record.event_id.as_str().into());
        self.corrects.push(record.corrects.as_deref().map(Into::into));
    }

    /// The event id of a record.
    pub fn event_id(&self, row: usize) -> &str {
        &self.event_ids[row]
    }

    /// What a record says, by the names of our columns.
    pub fn describe(&self, row: usize) -> BTreeMap<&'static str, String> {
        let text = |at: usize| {
            let texts = &self.texts[at];
            texts.interner.texts[texts.keys[row] as usize].to_string()
        };
        let mut described = BTreeMap::from([
            ("event_id", self.event_ids[row].to_string()),
            ("subscription_id", text(column::SUBSCRIPTION)),
            ("entitlement_id", text(column::ENTITLEMENT)),
            ("meter_id", text(column::METER)),
            ("usage_start", micros_instant(self.starts[row]).to_string()),
            ("usage_end", micros_instant(self.ends[row]).to_string()),
            ("quantity", Quantity::from_mantissa(self.quantities[row]).to_string()),
            ("unit", text(column::UNIT)),
            ("corrects", self.corrects[row].as_deref().unwrap_or_default().to_owned()),
        ]);
        for (at, name) in UsageDetails::NAMES.into_iter().enumerate() {
            described.insert(name, text(column::RESOURCE + at));
        }
        described.retain(|_, value| !value.is_empty());
        described
    }

    /// Keeps the records for which `keep` is true.
    pub fn retain(&mut self, keep: &[bool]) {
        fn retained<T>(values: &mut Vec<T>, keep: &[bool]) {
            let mut kept = keep.iter();
            values.retain(|_| kept.next().copied().unwrap_or(false));
        }
        for texts in &mut self.texts {
            retained(&mut texts.keys, keep);
        }
        retained(&mut self.starts, keep);
        retained(&mut self.ends, keep);
        retained(&mut self.recorded, keep);
        retained(&mut self.quantities, keep);
        retained(&mut self.event_ids, keep);
        retained(&mut self.corrects, keep);
    }

    /// The meters that occur, with the months in which their records begin.
    pub fn meters(&self) -> BTreeSet<(Month, &str)> {
        let meters = &self.texts[column::METER];
        let mut seen = BTreeSet::new();
        let (mut last, mut month) = (i64::MIN, None);
        for (start, key) in self.starts.iter().zip(&meters.keys) {
            if month.is_none() || *start != last {
                last = *start;
                month = Some(Month::of(Zone::UTC.day_of(micros_instant(*start))));
            }
            seen.extend(month.map(|month| (month, *key)));
        }
        seen.into_iter()
            .map(|(month, key)| (month, &*meters.interner.texts[key as usize]))
            .collect()
    }

    /// Writes the records as segments `usage/<month>/<name>.parquet` below a folder, each on disk
    /// when this returns.
    pub fn write(self, folder: &Path, name: &str) -> Result<ChunkWritten> {
        let mut months: BTreeMap<Month, Vec<u32>> = BTreeMap::new();
        for (row, start) in self.starts.iter().enumerate() {
            let month = Month::of(Zone::UTC.day_of(micros_instant(*start)));
            months.entry(month).or_default().push(row as u32);
        }
        let ranks = Ranks::of(&self);
        let mut segments = Vec::new();
        for (month, mut rows) in months {
            rows.sort_unstable_by(|a, b| ranks.compare(&self, *a as usize, *b as usize));
            let path = format!("usage/{month}/{name}.parquet");
            segments.push(self.segment(folder, path, month, &rows)?);
        }
        Ok(ChunkWritten { segments })
    }

    fn segment(
        &self,
        folder: &Path,
        path: String,
        month: Month,
        rows: &[u32],
    ) -> Result<SegmentInfo> {
        let file = folder.join(&path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(Error::file(parent))?;
        }
        let quantity = self.quantity_type(rows);
        let schema = schema(quantity.clone());
        let mut writer = ColumnarWriter::create(&file, &schema)?.searchable();
        let dictionaries = self.texts.each_ref().map(Texts::dictionary);
        let hashes = self.hashes();
        let hash_of = |row: u32| hashes[self.texts[column::CUSTOMER].keys[row as usize] as usize];
        let mut row_groups = Vec::new();
        for group in groups(rows, hash_of) {
            writer.write(&self.batch(&schema, &dictionaries, group)?)?;
            row_groups.push(RowGroupInfo {
                rows: group.len() as u64,
                first: hash_of(group[0]),
                last: hash_of(group[group.len() - 1]),
            });
        }
        writer.finish(true)?;
        let starts = rows.iter().map(|row| self.starts[*row as usize]);
        let ends = rows.iter().map(|row| self.ends[*row as usize]);
        let corrections = rows.iter().filter(|row| self.corrects[**row as usize].is_some());
        Ok(SegmentInfo {
            path,
            month,
            rows: rows.len() as u64,
            start_min: starts.min().unwrap_or(0),
            end_max: ends.max().unwrap_or(0),
            quantity_scale: match quantity {
                DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => scale as u8,
                _ => QUANTITY_SCALE,
            },
            corrections: corrections.count() as u64,
            row_groups,
        })
    }

    /// The narrowest decimal type that holds every quantity as it was recorded.
    fn quantity_type(&self, rows: &[u32]) -> DataType {
        let (mut scale, mut largest) = (0, 0u128);
        for row in rows {
            let quantity = self.quantities[*row as usize];
            while quantity % 10i128.pow(u32::from(QUANTITY_SCALE - scale)) != 0 {
                scale += 1;
            }
            largest = largest.max(quantity.unsigned_abs());
        }
        let largest = largest / 10u128.pow(u32::from(QUANTITY_SCALE - scale));
        match largest.checked_ilog10().map_or(1, |digits| digits as u8 + 1).max(scale) {
            digits @ ..=18 => DataType::Decimal64(digits, scale as i8),
            _ => DataType::Decimal128(38, scale as i8),
        }
    }

    fn hashes(&self) -> Vec<PartitionHash> {
        let customers = &self.texts[column::CUSTOMER].interner.texts;
        customers.iter().map(|customer| PartitionHash::of(customer)).collect()
    }

    fn batch(
        &self,
        schema: &arrow_schema::SchemaRef,
        dictionaries: &[ArrayRef; column::COUNT],
        rows: &[u32],
    ) -> Result<RecordBatch> {
        let at = || rows.iter().map(|row| *row as usize);
        let text = |column: usize| -> Result<ArrayRef> {
            let keys =
                Int32Array::from_iter_values(at().map(|r| self.texts[column].keys[r] as i32));
            let dictionary = Arc::clone(&dictionaries[column]);
            let column = DictionaryArray::<Int32Type>::try_new(keys, dictionary).map_err(arrow)?;
            Ok(Arc::new(column))
        };
        let time = |times: &[i64]| -> ArrayRef {
            let times = TimestampMicrosecondArray::from_iter_values(at().map(|r| times[r]));
            Arc::new(times.with_timezone("UTC"))
        };
        let mut columns = vec![
            text(column::CUSTOMER)?,
            text(column::SUBSCRIPTION)?,
            text(column::METER)?,
            time(&self.starts),
            time(&self.ends),
            self.quantity_column(schema.field(5).data_type(), rows),
            text(column::ENTITLEMENT)?,
            text(column::UNIT)?,
            text(column::SOURCE)?,
            time(&self.recorded),
        ];
        for detail in 0..UsageDetails::NAMES.len() {
            columns.push(text(column::RESOURCE + detail)?);
        }
        columns.push(Arc::new(StringArray::from_iter_values(at().map(|r| &self.event_ids[r]))));
        let corrects: StringArray = at().map(|r| self.corrects[r].as_deref()).collect();
        columns.push(Arc::new(corrects));
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(arrow)
    }

    fn quantity_column(&self, data_type: &DataType, rows: &[u32]) -> ArrayRef {
        let scale = match data_type {
            DataType::Decimal64(_, scale) | DataType::Decimal128(_, scale) => *scale as u8,
            _ => QUANTITY_SCALE,
        };
        let unit = 10i128.pow(u32::from(QUANTITY_SCALE - scale));
        let values = rows.iter().map(|row| self.quantities[*row as usize] / unit);
        if matches!(data_type, DataType::Decimal64(..)) {
            let values = values.map(|value| value as i64);
            let column = PrimitiveArray::<Decimal64Type>::from_iter_values(values);
            return Arc::new(column.with_data_type(data_type.clone()));
        }
        let column = PrimitiveArray::<Decimal128Type>::from_iter_values(values);
        Arc::new(column.with_data_type(data_type.clone()))
    }
}

/// Sorted rows in row groups: cut where partitions end, so that a later reader finds whole row
/// groups in its partition, and where there are too many.
fn groups(rows: &[u32], hash_of: impl Fn(u32) -> PartitionHash) -> Vec<&[u32]> {
    let partitioning = Partitioning::of(rows.len() as u64, ROWS_PER_GROUP as u64);
    let partition_of = |row: &u32| partitioning.index_of(hash_of(*row));
    rows.chunk_by(|a, b| partition_of(a) == partition_of(b))
        .flat_map(|partition| partition.chunks(ROWS_PER_GROUP))
        .collect()
}

/// The places of texts in the canonical order, so that rows compare as integers.
struct Ranks {
    customer: Vec<u32>,
    subscription: Vec<u32>,
    meter: Vec<u32>,
    resource: Vec<u32>,
    source: Vec<u32>,
}

impl Ranks {
    fn of(chunk: &UsageChunk) -> Self {
        let plain = |at: usize| chunk.texts[at].interner.ranks(str::to_owned);
        Self {
            customer: chunk.texts[column::CUSTOMER]
                .interner
                .ranks(|customer| (PartitionHash::of(customer), customer.to_owned())),
            subscription: plain(column::SUBSCRIPTION),
            meter: plain(column::METER),
            resource: plain(column::RESOURCE),
            source: plain(column::SOURCE),
        }
    }

    fn compare(&self, chunk: &UsageChunk, a: usize, b: usize) -> std::cmp::Ordering {
        let order = |row: usize| {
            let rank = |ranks: &[u32], at: usize| ranks[chunk.texts[at].keys[row] as usize];
            let root = chunk.corrects[row].as_ref().unwrap_or(&chunk.event_ids[row]);
            (
                rank(&self.customer, column::CUSTOMER),
                rank(&self.subscription, column::SUBSCRIPTION),
                rank(&self.meter, column::METER),
                chunk.starts[row],
                rank(&self.resource, column::RESOURCE),
                root,
                rank(&self.source, column::SOURCE),
                chunk.corrects[row].is_some(),
                chunk.recorded[row],
                &chunk.event_ids[row],
            )
        };
        order(a).cmp(&order(b))
    }
}

pub(super) fn arrow(error: arrow_schema::ArrowError) -> Error {
    Error::internal(format!("Arrow: {error}"))
}
