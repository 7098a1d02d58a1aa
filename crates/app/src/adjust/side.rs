//! One side of a difference: what was known at an instant, and what it comes to.

use arrow_array::RecordBatch;
use domain::BillingPeriods;
use kernel::{Error, Month, Result};
use lake::usage::{Columns, UsageReader, resolve};
use lake::{Partition, PartitionHash, Partitioning};
use rating::{Group, LineNames, Output, RateBook, Rater, SubscriptionIndex, Unpriced};
use store::Tx;

use super::touched::Touched;
use crate::Ctx;
use crate::facts::Known;
use crate::frozen::without_runs;
use crate::groups::{KeptGroups, LINE_ROWS};
use crate::partitions::PeriodUsage;

/// Subscriptions' meters that are rated again at once, about.
const RUNS_AT_ONCE: usize = 256;
/// Stretches into which they are divided at least, so that all workers have something to do.
const STRETCHES_MIN: usize = 16;

/// What was known of the touched subscriptions and meters.
pub(crate) struct Side {
    pub known: Known,
    pub book: RateBook,
    pub usage: PeriodUsage,
}

/// Touched usage, rated.
#[derive(Default)]
pub(crate) struct Rated {
    pub groups: KeptGroups,
    /// Where they were wanted.
    rows: RatedRows,
    pub unpriced: Vec<Unpriced>,
}

/// Rows of usage and what they come to.
#[derive(Default)]
pub(crate) struct RatedRows {
    /// The usage, in canonical order.
    pub usage: Vec<RecordBatch>,
    /// Its lines.
    pub lines: Vec<RecordBatch>,
}

impl Rated {
    /// Takes the rows out.
    pub fn take_rows(&mut self) -> RatedRows {
        std::mem::take(&mut self.rows)
    }
}

impl Output for Rated {
    fn group(&mut self, group: &Group) -> Result<()> {
        self.groups.push(group)
    }

    fn unpriced(&mut self, unpriced: Unpriced) -> Result<()> {
        self.unpriced.push(unpriced);
        Ok(())
    }

    fn lines(&mut self, batch: RecordBatch) -> Result<()> {
        self.rows.lines.push(without_runs(&batch)?);
        Ok(())
    }
}

impl Side {
    /// Loads what was known at an instant, in as many partitions as the close has frozen. Whatever
    /// cannot price the touched usage is left out.
    pub async fn load(
        ctx: &Ctx<'_>,
        tx: &mut Tx,
        (month, partitions): (Month, usize),
        known_at: i64,
        touched: &Touched,
    ) -> Result<Self> {
        let known = Known::load(ctx, tx, month, known_at).await?;
        let period = BillingPeriods::of(&known.programme, month).envelope();
        let usage = PeriodUsage::load(ctx, tx, period, known_at).await?;
        Self::of(known, month, usage.in_partitions(partitions), touched)
    }

    /// Leaves out whatever cannot price the touched usage.
    pub fn of(
        mut known: Known,
        month: Month,
        usage: PeriodUsage,
        touched: &Touched,
    ) -> Result<Self> {
        known.only = Some(touched.subscriptions()?);
        known.meters = touched.meters()?;
        let book = known.book(month)?;
        Ok(Self { known, book, usage })
    }

    /// The partition in which the usage of a subscription lies: that of its customer.
    pub fn partition_of(&self, subscription: SubscriptionIndex) -> Result<usize> {
        let id = self.book.subscription_id(subscription);
        let sold = self.known.programme.subscriptions.get(&id);
        let customer = sold.and_then(|sold| sold.path.last());
        let customer = customer.ok_or_else(|| Error::internal("a subscription of nobody"))?;
        let hash = PartitionHash::of(&customer.to_string());
        Ok(self.usage.partitioning.index_of(hash))
    }

    /// How many partitions there are.
    pub const fn partitions(&self) -> usize {
        self.usage.partitioning.len()
    }

    /// Stretches of customers that have anything to be rated again: partitions, or several together
    /// where little of them is, since each has to be looked through.
    pub fn touched_partitions(&self, touched: &Touched) -> Vec<Partition> {
        let count = (touched.runs() / RUNS_AT_ONCE).max(STRETCHES_MIN).min(self.partitions());
        let stretches = Partitioning::of_count(count);
        let all = (0..stretches.len()).map(|at| stretches.partition(at));
        all.filter(|stretch| touched.meets(*stretch)).collect()
    }

    /// Whether a partition has anything to be rated again.
    pub fn meets(&self, touched: &Touched, partition: usize) -> bool {
        touched.meets(self.usage.partitioning.partition(partition))
    }

    /// A rater for this side's usage.
    pub fn rater<'s>(&'s self, names: Option<&'s LineNames>) -> Rater<'s> {
        Rater::new(&self.book, names)
    }

    /// The names of this side's lines.
    pub fn line_names(&self) -> LineNames {
        LineNames::new(&self.book, LINE_ROWS)
    }

    /// The touched rows of a partition, with the segments that they lie in.
    pub fn rows<'s>(
        &'s self,
        touched: &Touched,
        partition: Partition,
        columns: Columns,
    ) -> Result<Vec<(&'s str, RecordBatch)>> {
        let reader = self.usage.reader_of(partition, columns);
        let rows = UsageReader { only: Some(touched), ..reader }.rows()?.into_iter();
        Ok(rows.map(|(at, batch)| (self.usage.segments()[at].path.as_str(), batch)).collect())
    }

    /// Whether a segment was known.
    pub fn knows(&self, segment: &str) -> bool {
        self.usage.segments().iter().any(|known| known.path == segment)
    }
}

/// Rates the rows of a partition that count, without lines.
pub(crate) fn rate<'r>(
    rater: &mut Rater<'_>,
    rows: impl Iterator<Item = &'r RecordBatch>,
    columns: Columns,
) -> Result<Rated> {
    rate_usage(rater, resolve(rows, columns)?, false)
}

/// Rates usage in canonical order; keeps it where lines are wanted.
pub(crate) fn rate_usage(
    rater: &mut Rater<'_>,
    usage: RecordBatch,
    with_lines: bool,
) -> Result<Rated> {
    let mut rated = Rated::default();
    if usage.num_rows() > 0 {
        rater.push(&usage, &mut rated)?;
    }
    rater.finish(&mut rated)?;
    if with_lines && usage.num_rows() > 0 {
        rated.rows.usage.push(usage);
    }
    Ok(rated)
}
