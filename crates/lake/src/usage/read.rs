//! Usage out of the lake: one partition of a period, in canonical order, as it counts.

use std::cmp::Ordering;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal64Type, Decimal128Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, Decimal128Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use kernel::{Error, QUANTITY_SCALE, Result};

use super::SegmentInfo;
use super::chunk::arrow;
use super::file::UsageFile;
use super::selected::{SCOPE, Selected};
use crate::{Partition, PartitionHash};

/// Rows that are read at once.
pub(super) const BATCH_ROWS: usize = 1 << 15;

/// Which columns are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Columns {
    /// What group totals need: subscription, meter, quantity.
    Totals,
    /// What lines need besides: start.
    Starts,
    /// What totals and lines need where prices change within the month: start and end.
    Times,
    /// What totals and lines need where prices depend on the resource: times, and what names it.
    Resources,
    /// What documents need besides: entitlement, resource and everything else about it.
    Details,
    /// Everything.
    All,
}

impl Columns {
    fn names(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Totals => Some(&["subscription_id", "meter_id", "quantity"]),
            Self::Starts => Some(&["subscription_id", "meter_id", "usage_start", "quantity"]),
            Self::Times => {
                Some(&["subscription_id", "meter_id", "usage_start", "usage_end", "quantity"])
            }
            Self::Resources => Some(RESOURCES),
            Self::Details => Some(DETAILS),
            Self::All => None,
        }
    }
}

impl Columns {
    /// The columns that rows need until it is known which of them count.
    fn names_to_merge(self) -> Option<Vec<&'static str>> {
        match self {
            Self::All => None,
            Self::Totals | Self::Starts | Self::Times => Some(ORDER.to_vec()),
            Self::Resources => Some([ORDER, RESOURCES].concat()),
            Self::Details => Some([ORDER, DETAILS].concat()),
        }
    }
}

/// Columns that prices by resource need.
const RESOURCES: &[&str] = &[
    "subscription_id",
    "meter_id",
    "usage_start",
    "usage_end",
    "quantity",
    "entitlement_id",
    "resource_group",
    "resource_uri",
];

/// Columns that documents need.
const DETAILS: &[&str] = &[
    "subscription_id",
    "meter_id",
    "usage_start",
    "usage_end",
    "quantity",
    "entitlement_id",
    "resource_uri",
    "resource_location",
    "resource_group",
    "consumed_service",
    "tags",
    "additional_info",
    "service_info1",
    "service_info2",
];

/// Columns that order and resolve rows of several segments.
const ORDER: &[&str] = &[
    "customer_id",
    "subscription_id",
    "meter_id",
    "usage_start",
    "usage_end",
    "quantity",
    "resource_uri",
    "source",
    "recorded_at",
    "event_id",
    "corrects",
];

/// Which usage is wanted, by ids.
pub trait Wanted: Sync {
    /// Whether some usage of a customer is.
    fn has_customer(&self, customer: PartitionHash) -> bool;

    /// Whether the usage of a subscription and a meter is.
    fn has(&self, subscription: &str, meter: &str) -> bool;
}

/// Reads one partition of some segments.
#[derive(Clone, Copy)]
pub struct UsageReader<'a> {
    /// The lake's folder.
    pub folder: &'a Path,
    /// The segments, in any order.
    pub segments: &'a [SegmentInfo],
    /// Which customers.
    pub partition: Partition,
    /// Which columns.
    pub columns: Columns,
    /// Which usage; all where nothing is said. Few subscriptions and meters of many are read much
    /// faster so, because only their ids are looked at before.
    pub only: Option<&'a dyn Wanted>,
}

/// A row group of a segment that has rows of the partition.
struct Source<'a> {
    segment: &'a SegmentInfo,
    row_groups: Vec<usize>,
    /// Whether every row of these row groups belongs to the partition.
    whole: bool,
}

impl<'a> UsageReader<'a> {
    /// Calls `take` with the usage that counts, batch by batch in canonical order.
    ///
    /// Where no customer is in two segments and nothing is corrected, rows are handed on as they
    /// are read; otherwise the partition is merged in memory.
    pub fn read(&self, mut take: impl FnMut(RecordBatch) -> Result<()>) -> Result<()> {
        let sources: Vec<Source<'_>> = self.sources().collect();
        if let Some(order) = side_by_side(&sources) {
            for at in order {
                self.read_source(&sources[at], self.columns.names(), |_, batch| take(batch))?;
            }
            return Ok(());
        }
        let merged = self.merge(&sources)?;
        let mut at = 0;
        while at < merged.num_rows() {
            let rows = BATCH_ROWS.min(merged.num_rows() - at);
            take(merged.slice(at, rows))?;
            at += rows;
        }
        Ok(())
    }

    /// The rows of the partition as they lie in the segments, whether they count or not: with each
    /// batch the position of its segment. [`resolve`] makes usage of them.
    pub fn rows(&self) -> Result<Vec<(usize, RecordBatch)>> {
        let mut rows = Vec::new();
        for source in self.sources() {
            let place = |segment: &SegmentInfo| std::ptr::eq(segment, source.segment);
            let at = self.segments.iter().position(place).unwrap_or(0);
            self.read_source(&source, self.columns.names_to_merge().as_deref(), |_, batch| {
                rows.push((at, same_types(&batch)?));
                Ok(())
            })?;
        }
        Ok(rows)
    }

    fn sources(&self) -> impl Iterator<Item = Source<'a>> + '_ {
        self.segments.iter().filter_map(|segment| {
            let groups = segment.row_groups.iter().enumerate();
            let inside = groups.filter(|(_, g)| self.partition.overlaps(g.first, g.last));
            let (mut row_groups, mut whole) = (Vec::new(), true);
            for (at, group) in inside {
                row_groups.push(at);
                whole &= self.partition.encloses(group.first, group.last);
            }
            (!row_groups.is_empty()).then_some(Source { segment, row_groups, whole })
        })
    }

    /// Reads the rows of a source that belong to the partition.
    fn read_source(
        &self,
        source: &Source<'_>,
        names: Option<&[&str]>,
        mut take: impl FnMut(&Self, RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let path = self.folder.join(&source.segment.path);
        let mut names: Option<Vec<&str>> = names.map(<[_]>::to_vec);
        let wanted = names.clone();
        // Whoever looks for something finds nothing of other partitions.
        let whole = source.whole || self.only.is_some();
        if !whole && let Some(names) = &mut names {
            names.push("customer_id");
        }
        let file = UsageFile::open(&path, self.only.is_some())?;
        let mut selected = match self.only {
            Some(only) => Some(Selected::of(&file, &source.row_groups, (self.partition, only))?),
            None => None,
        };
        if selected.as_ref().is_some_and(|selected| selected.runs.is_empty()) {
            return Ok(());
        }
        if let (Some(_), Some(names)) = (&selected, &mut names) {
            // These are known already.
            names.retain(|name| !SCOPE.contains(name));
        }
        let selection = selected.as_mut().map(|selected| std::mem::take(&mut selected.rows));
        for batch in file.batches(names.as_deref(), Some(&source.row_groups), selection)? {
            let mut batch = batch?;
            if let (Some(selected), Some(_)) = (&mut selected, &names) {
                batch = selected.with_scope(&batch)?;
            }
            if !whole {
                batch = self.inside(&batch)?;
                if let Some(wanted) = &wanted {
                    batch = project(&batch, wanted)?;
                }
            }
            if batch.num_rows() > 0 {
                take(self, batch)?;
            }
        }
        Ok(())
    }

    /// The rows whose customers belong to the partition; they are adjacent.
    fn inside(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let customers = text_column(batch, "customer_id")?;
        let inside = |row: usize| self.partition.contains(PartitionHash::of(customers.value(row)));
        let rows = batch.num_rows();
        let first = partition_point(rows, |row| {
            PartitionHash::of(customers.value(row)) < self.partition.first
        });
        let count = partition_point(rows - first, |row| inside(first + row));
        Ok(batch.slice(first, count))
    }

    /// All rows of the partition in canonical order, as they count.
    fn merge(&self, sources: &[Source<'_>]) -> Result<RecordBatch> {
        let mut batches = Vec::new();
        let names = self.columns.names_to_merge();
        for source in sources {
            self.read_source(source, names.as_deref(), |_, batch| {
                batches.push(same_types(&batch)?);
                Ok(())
            })?;
        }
        resolve(&batches, self.columns)
    }
}

/// The usage that rows of a partition make, in canonical order: corrected, each event once.
pub fn resolve<'b>(
    rows: impl IntoIterator<Item = &'b RecordBatch>,
    columns: Columns,
) -> Result<RecordBatch> {
    let rows: Vec<&RecordBatch> = rows.into_iter().collect();
    let Some(first) = rows.first() else {
        return Ok(RecordBatch::new_empty(Arc::new(Schema::empty())));
    };
    let all = concat_batches(&first.schema(), rows.iter().copied()).map_err(arrow)?;
    let wanted = match columns.names() {
        None => all.clone(),
        Some(names) => project(&all, names)?,
    };
    Merge::of(&all)?.resolve(&wanted)
}

/// The order of segments that have nothing to merge: none corrects, and each has other customers.
fn side_by_side(sources: &[Source<'_>]) -> Option<Vec<usize>> {
    if sources.iter().any(|source| source.segment.corrections > 0) {
        return None;
    }
    let ends = |at: usize| {
        let groups = &sources[at].segment.row_groups;
        groups.first().zip(groups.last()).map(|(first, last)| (first.first, last.last))
    };
    let mut order: Vec<usize> = (0..sources.len()).collect();
    order.sort_by_key(|at| ends(*at));
    let apart = |pair: &[usize]| ends(pair[0]).zip(ends(pair[1])).is_some_and(|(a, b)| a.1 < b.0);
    order.windows(2).all(apart).then_some(order)
}

/// The number of leading rows for which `holds`, which no later row does.
fn partition_point(rows: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, rows);
    while low < high {
        let middle = usize::midpoint(low, high);
        if holds(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The batch with quantities of one type, so that batches of different segments can be joined.
fn same_types(batch: &RecordBatch) -> Result<RecordBatch> {
    let at = batch.schema().index_of("quantity").map_err(arrow)?;
    let mut columns = batch.columns().to_vec();
    columns[at] = Arc::new(full_scale(&columns[at])?);
    let fields = batch
        .schema()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| {
            Field::new(field.name(), column.data_type().clone(), field.is_nullable())
        })
        .collect::<Vec<_>>();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(arrow)
}

/// Quantities with all their decimals.
fn full_scale(column: &ArrayRef) -> Result<Decimal128Array> {
    let factor = |scale: i8| 10i128.pow(u32::from(QUANTITY_SCALE) - scale as u32);
    let values: Decimal128Array = match column.data_type() {
        DataType::Decimal64(_, scale) => {
            let factor = factor(*scale);
            let values = column.as_primitive::<Decimal64Type>().values();
            values.iter().map(|value| i128::from(*value) * factor).collect::<Vec<_>>().into()
        }
        DataType::Decimal128(_, scale) => {
            let factor = factor(*scale);
            let values = column.as_primitive::<Decimal128Type>().values();
            values.iter().map(|value| value * factor).collect::<Vec<_>>().into()
        }
        other => return Err(Error::internal(format!("quantities of the type {other}"))),
    };
    values.with_precision_and_scale(38, QUANTITY_SCALE as i8).map_err(arrow)
}

/// Some columns of a batch, in the order they have in it.
fn project(batch: &RecordBatch, names: &[&str]) -> Result<RecordBatch> {
    let schema = batch.schema();
    let fields = schema.fields().iter().enumerate();
    let wanted = fields.filter(|(_, field)| names.contains(&field.name().as_str()));
    batch.project(&wanted.map(|(at, _)| at).collect::<Vec<_>>()).map_err(arrow)
}

/// A text column, whatever its encoding.
struct TextColumn<'a> {
    keys: Option<&'a [i32]>,
    values: &'a StringArray,
}

impl TextColumn<'_> {
    fn value(&self, row: usize) -> &str {
        self.values.value(self.key(row))
    }

    fn optional(&self, row: usize) -> Option<&str> {
        self.values.is_valid(row).then(|| self.values.value(row))
    }

    fn key(&self, row: usize) -> usize {
        self.keys.map_or(row, |keys| keys[row] as usize)
    }

    /// For each value its place among all values, ordered by `by`; equal values share a place.
    fn ranks<K: Ord>(&self, by: impl Fn(&str) -> K) -> Vec<u32> {
        let keys: Vec<K> = self.values.iter().map(|v| by(v.unwrap_or_default())).collect();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|at| &keys[*at]);
        let mut ranks = vec![0; keys.len()];
        let mut rank = 0;
        for (at, value) in order.iter().enumerate() {
            rank += u32::from(at > 0 && keys[order[at - 1]] != keys[*value]);
            ranks[*value] = rank;
        }
        ranks
    }
}

fn text_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<TextColumn<'a>> {
    let column = batch
        .column_by_name(name)
        .ok_or_else(|| Error::internal(format!("usage without the column {name}")))?;
    if let Some(dictionary) = column.as_dictionary_opt::<Int32Type>()
        && let Some(values) = dictionary.values().as_string_opt::<i32>()
    {
        return Ok(TextColumn { keys: Some(dictionary.keys().values()), values });
    }
    let values = column.as_string_opt::<i32>();
    let values =
        values.ok_or_else(|| Error::internal(format!("usage column {name} is not text")))?;
    Ok(TextColumn { keys: None, values })
}

fn time_column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a [i64]> {
    let column = batch.column_by_name(name);
    let times = column.and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.map(|times| &times.values()[..]);
    times.ok_or_else(|| Error::internal(format!("usage without the times {name}")))
}

/// The rows of several segments, about to be put in order.
struct Merge<'a> {
    /// Ranks of customer, subscription and meter.
    scopes: Vec<[u32; 3]>,
    starts: &'a [i64],
    resources: Vec<u32>,
    recorded: &'a [i64],
    source: TextColumn<'a>,
    event_id: TextColumn<'a>,
    corrects: TextColumn<'a>,
}

impl<'a> Merge<'a> {
    fn of(all: &'a RecordBatch) -> Result<Self> {
        let customer = text_column(all, "customer_id")?;
        let customers = customer.ranks(|id| (PartitionHash::of(id), id.to_owned()));
        let plain = |name: &str| -> Result<_> {
            let column = text_column(all, name)?;
            let ranks = column.ranks(str::to_owned);
            Ok((column, ranks))
        };
        let (subscription, subscriptions) = plain("subscription_id")?;
        let (meter, meters) = plain("meter_id")?;
        let (resource, resources) = plain("resource_uri")?;
        let rows = 0..all.num_rows();
        let scope = |row| {
            [
                customers[customer.key(row)],
                subscriptions[subscription.key(row)],
                meters[meter.key(row)],
            ]
        };
        Ok(Self {
            scopes: rows.clone().map(scope).collect(),
            starts: time_column(all, "usage_start")?,
            resources: rows.map(|row| resources[resource.key(row)]).collect(),
            recorded: time_column(all, "recorded_at")?,
            source: text_column(all, "source")?,
            event_id: text_column(all, "event_id")?,
            corrects: text_column(all, "corrects")?,
        })
    }

    /// The event that a row states or restates.
    fn root(&self, row: usize) -> &str {
        self.corrects.optional(row).unwrap_or_else(|| self.event_id.value(row))
    }

    /// The order of events.
    fn compare_events(&self, a: usize, b: usize) -> Ordering {
        let place = |row: usize| (self.scopes[row], self.starts[row], self.resources[row]);
        place(a)
            .cmp(&place(b))
            .then_with(|| self.root(a).cmp(self.root(b)))
            .then_with(|| self.source.value(a).cmp(self.source.value(b)))
    }

    /// The order of statements about one event: the event itself, then its corrections. When a
    /// statement became known plays no part, so that files can come in any order.
    fn compare_statements(&self, a: usize, b: usize) -> Ordering {
        let corrects = |row: usize| self.corrects.optional(row).is_some();
        let stated = |row: usize| (corrects(row), self.recorded[row]);
        stated(a).cmp(&stated(b)).then_with(|| self.event_id.value(a).cmp(self.event_id.value(b)))
    }

    /// The rows that count, with the columns that are wanted: each event once, with the quantity
    /// that was stated last. Corrections of an event that is not there wait for it.
    fn resolve(&self, wanted: &RecordBatch) -> Result<RecordBatch> {
        let mut order: Vec<u32> = (0..wanted.num_rows() as u32).collect();
        order.sort_unstable_by(|a, b| {
            let (a, b) = (*a as usize, *b as usize);
            self.compare_events(a, b).then_with(|| self.compare_statements(a, b))
        });
        let (mut rows, mut stated) = (Vec::new(), Vec::new());
        let same = |a: &u32, b: &u32| self.compare_events(*a as usize, *b as usize).is_eq();
        for event in order.chunk_by(same) {
            if self.corrects.optional(event[0] as usize).is_none() {
                rows.push(event[0]);
                stated.push(event[event.len() - 1]);
            }
        }
        let counted = take_record_batch(wanted, &UInt32Array::from(rows)).map_err(arrow)?;
        let at = wanted.schema().index_of("quantity").map_err(arrow)?;
        let quantities = wanted.column(at).as_primitive::<Decimal128Type>();
        let stated = stated.into_iter().map(|row| quantities.value(row as usize));
        let quantities = Decimal128Array::from_iter_values(stated)
            .with_data_type(wanted.column(at).data_type().clone());
        let mut columns = counted.columns().to_vec();
        columns[at] = Arc::new(quantities);
        RecordBatch::try_new(counted.schema(), columns).map_err(arrow)
    }
}
