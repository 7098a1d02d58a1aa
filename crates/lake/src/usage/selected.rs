//! Looking for few rows of many, by the runs of their customers, subscriptions and meters.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow_schema::{Field, Schema};
use kernel::{Error, Result};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use rustc_hash::FxHashMap;

use super::chunk::arrow;
use super::file::UsageFile;
use super::read::Wanted;
use crate::columnar::{RunReader, TextRuns};
use crate::{Partition, PartitionHash};

/// Columns that say what rows are about.
pub(super) const SCOPE: [&str; 2] = ["subscription_id", "meter_id"];

/// A subscription and a meter, and how many rows in a row are about them.
type ScopeRun = ([u32; 2], usize);

/// Texts with a number each.
#[derive(Default)]
struct Numbered(FxHashMap<String, u32>);

impl Numbered {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let next = self.0.len() as u32;
        self.0.insert(text.to_owned(), next);
        next
    }

    /// The texts by number.
    fn dictionary(self) -> ArrayRef {
        let mut texts: Vec<(String, u32)> = self.0.into_iter().collect();
        texts.sort_unstable_by_key(|(_, number)| *number);
        Arc::new(StringArray::from_iter_values(texts.into_iter().map(|(text, _)| text)))
    }
}

/// The rows of some row groups that are wanted, and what they are about.
pub(super) struct Selected {
    pub rows: RowSelection,
    pub runs: VecDeque<ScopeRun>,
    /// Of subscriptions and meters.
    dictionaries: [ArrayRef; 2],
}

impl Selected {
    /// Looks for what is wanted of a partition: first for its customers, and only among their rows
    /// further.
    pub fn of(
        file: &UsageFile,
        row_groups: &[usize],
        (partition, only): (Partition, &dyn Wanted),
    ) -> Result<Self> {
        let columns = RunReader::new(&file.file, file.metadata.metadata());
        let (mut selectors, mut found) = (Vec::new(), VecDeque::new());
        let mut numbers = [Numbered::default(), Numbered::default()];
        for row_group in row_groups {
            let [customers, subscriptions, meters] =
                ["customer_id", SCOPE[0], SCOPE[1]].map(|name| columns.column(*row_group, name));
            let (customers, subscriptions, meters) = (customers?, subscriptions?, meters?);
            let mut sold = Runs::of(&subscriptions);
            let mut metered = Runs::of(&meters);
            let hash = |(customer, _): &(u32, usize)| {
                customers.text(*customer as usize).map(PartitionHash::of)
            };
            // They are in the order of their hashes.
            let before = |run: &(u32, usize)| hash(run).is_ok_and(|hash| hash < partition.first);
            let first = customers.runs.partition_point(before);
            let inside = |run: &(u32, usize)| hash(run).is_ok_and(|hash| hash <= partition.last);
            let count = customers.runs[first..].partition_point(inside);
            for (at, run) in customers.runs.iter().enumerate() {
                let rows = run.1;
                let is_inside = first <= at && at < first + count;
                if !is_inside || !only.has_customer(hash(run)?) {
                    sold.skip(rows)?;
                    metered.skip(rows)?;
                    extend(&mut selectors, rows, true);
                    continue;
                }
                let mut left = rows;
                while left > 0 {
                    let keys = (sold.current()?, metered.current()?);
                    let both = left.min(keys.0.1).min(keys.1.1);
                    let texts = (subscriptions.text(keys.0.0)?, meters.text(keys.1.0)?);
                    let is_wanted = only.has(texts.0, texts.1);
                    extend(&mut selectors, both, !is_wanted);
                    if is_wanted {
                        let scope = [numbers[0].number(texts.0), numbers[1].number(texts.1)];
                        found.push_back((scope, both));
                    }
                    sold.skip(both)?;
                    metered.skip(both)?;
                    left -= both;
                }
            }
        }
        let dictionaries = numbers.map(Numbered::dictionary);
        Ok(Self { rows: selectors.into(), runs: found, dictionaries })
    }

    /// The next rows, with the columns that say what they are about.
    pub fn with_scope(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut keys = [Vec::new(), Vec::new()];
        let mut left = batch.num_rows();
        while left > 0 {
            let (scope, rows) = self.runs.front_mut().ok_or_else(lost)?;
            let taken = left.min(*rows);
            for (keys, key) in keys.iter_mut().zip(*scope) {
                keys.extend(std::iter::repeat_n(key as i32, taken));
            }
            (left, *rows) = (left - taken, *rows - taken);
            if *rows == 0 {
                self.runs.pop_front();
            }
        }
        let schema = batch.schema();
        let mut fields: Vec<Field> = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for ((name, keys), dictionary) in SCOPE.iter().zip(keys).zip(&self.dictionaries) {
            let dictionary = Arc::clone(dictionary);
            let column = DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), dictionary);
            let column = column.map_err(arrow)?;
            fields.push(Field::new(*name, column.data_type().clone(), false));
            columns.push(Arc::new(column));
        }
        fields.extend(schema.fields().iter().map(|field| field.as_ref().clone()));
        columns.extend(batch.columns().iter().cloned());
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(arrow)
    }
}

/// Adds rows to a selection.
fn extend(selectors: &mut Vec<RowSelector>, rows: usize, skip: bool) {
    match selectors.last_mut() {
        Some(last) if last.skip == skip => last.row_count += rows,
        _ => selectors.push(RowSelector { row_count: rows, skip }),
    }
}

/// The runs of a column, as far as they are not behind.
struct Runs<'a> {
    runs: std::slice::Iter<'a, (u32, usize)>,
    first: (u32, usize),
}

impl<'a> Runs<'a> {
    fn of(texts: &'a TextRuns) -> Self {
        Self { runs: texts.runs.iter(), first: (0, 0) }
    }

    /// The text that comes next, and in how many rows.
    fn current(&mut self) -> Result<(usize, usize)> {
        if self.first.1 == 0 {
            self.first = *self.runs.next().ok_or_else(lost)?;
        }
        Ok((self.first.0 as usize, self.first.1))
    }

    fn skip(&mut self, mut rows: usize) -> Result<()> {
        while rows > 0 {
            let taken = rows.min(self.current()?.1);
            (rows, self.first.1) = (rows - taken, self.first.1 - taken);
        }
        Ok(())
    }
}

fn lost() -> Error {
    Error::internal("the columns of a usage segment have different numbers of rows")
}
