//! The usage of a period, partition by partition, on all cores.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kernel::{Error, Result};
use lake::usage::{Columns, RowGroupInfo, SegmentInfo, UsageReader};
use lake::{Partition, PartitionHash, Partitioning};
use rating::RateBook;
use store::{SegmentRow, Tx};

use crate::Ctx;

/// Rows of a partition, about.
const ROWS_PER_PARTITION: u64 = 1 << 18;

/// The usage of a period as it was known at an instant.
#[derive(Debug)]
pub(crate) struct PeriodUsage {
    lake: PathBuf,
    segments: Vec<SegmentInfo>,
    pub partitioning: Partitioning,
    /// Whether no record reaches beyond the period.
    within: bool,
}

impl PeriodUsage {
    /// Finds the segments of a rate book's month.
    pub async fn load(
        ctx: &Ctx<'_>,
        tx: &mut Tx,
        period: (i64, i64),
        known_at: i64,
    ) -> Result<Self> {
        let rows = tx.segments(period.0, period.1, known_at).await?;
        Ok(Self::of(ctx.installation.lake(), rows.iter().map(segment).collect(), period))
    }

    /// The usage of some segments, oldest first.
    pub fn of(lake: PathBuf, segments: Vec<SegmentInfo>, period: (i64, i64)) -> Self {
        let rows = segments.iter().map(|segment| segment.rows).sum();
        let within = segments
            .iter()
            .all(|segment| period.0 <= segment.start_min && segment.end_max <= period.1);
        let partitioning = Partitioning::of(rows, ROWS_PER_PARTITION);
        Self { lake, segments, partitioning, within }
    }

    /// The segments, oldest first.
    pub fn segments(&self) -> &[SegmentInfo] {
        &self.segments
    }

    /// The same in as many partitions as a close has frozen.
    pub fn in_partitions(self, partitions: usize) -> Self {
        Self { partitioning: Partitioning::of_count(partitions), ..self }
    }

    /// The columns that totals need.
    pub fn columns_for_totals(&self, book: &RateBook) -> Columns {
        self.columns(book, Columns::Totals)
    }

    /// The columns that lines need.
    pub fn columns_for_lines(&self, book: &RateBook) -> Columns {
        self.columns(book, Columns::Starts)
    }

    /// The columns that prices need, where they need more than some.
    fn columns(&self, book: &RateBook, least: Columns) -> Columns {
        if book.depends_on_resources() {
            Columns::Resources
        } else if self.within && !book.changes_within() {
            least
        } else {
            Columns::Times
        }
    }

    /// Reads a partition.
    pub fn reader(&self, index: usize, columns: Columns) -> UsageReader<'_> {
        self.reader_of(self.partitioning.partition(index), columns)
    }

    /// Reads a stretch of customers.
    pub fn reader_of(&self, partition: Partition, columns: Columns) -> UsageReader<'_> {
        let (folder, segments) = (&self.lake, &self.segments);
        UsageReader { folder, segments, partition, columns, only: None }
    }
}

fn segment(row: &SegmentRow) -> SegmentInfo {
    let groups = row.row_groups.iter().map(|(rows, first, last)| RowGroupInfo {
        rows: *rows,
        first: PartitionHash(*first),
        last: PartitionHash(*last),
    });
    SegmentInfo {
        path: row.path.clone(),
        month: row.month,
        rows: row.rows,
        start_min: row.start_min,
        end_max: row.end_max,
        quantity_scale: row.quantity_scale,
        corrections: row.corrections,
        row_groups: groups.collect(),
    }
}

/// How many workers there are, unless somebody says otherwise: one a core.
pub fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Does some work for each of `count` items on several workers, and returns the results in the
/// order of the items, whoever was faster. After a failure no further item is begun.
pub(crate) fn in_parallel<T: Send>(
    workers: usize,
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    in_parallel_with(workers, count, || (), |(), item| work(item))
}

/// The same with something that each worker keeps from one item to the next.
pub(crate) fn in_parallel_with<S, T: Send>(
    workers: usize,
    count: usize,
    begin: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let done: Mutex<Vec<(usize, Result<T>)>> = Mutex::new(Vec::with_capacity(count));
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, count.max(1)) {
            scope.spawn(|| {
                let mut kept = begin();
                while !failed.load(Ordering::Relaxed) {
                    let item = next.fetch_add(1, Ordering::Relaxed);
                    if item >= count {
                        break;
                    }
                    let result = work(&mut kept, item);
                    failed.fetch_or(result.is_err(), Ordering::Relaxed);
                    if let Ok(mut done) = done.lock() {
                        done.push((item, result));
                    }
                }
            });
        }
    });
    let mut done =
        done.into_inner().map_err(|_| Error::internal("a worker has stopped unexpectedly"))?;
    done.sort_by_key(|(item, _)| *item);
    // Of several failures the first in order is reported, so that it is always the same one.
    done.into_iter().map(|(_, result)| result).collect()
}
