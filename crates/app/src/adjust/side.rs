//! One side of a difference: what was known at an instant, and what it comes to.

use arrow_array::RecordBatch;
use kernel::{Error, Month, Result, instant_micros};
use lake::PartitionHash;
use lake::usage::{Columns, UsageReader};
use rating::{Group, LineNames, Output, RateBook, Rater, SubscriptionIndex, Unpriced};
use store::Tx;

use super::touched::Touched;
use crate::Ctx;
use crate::facts::Known;
use crate::frozen::without_runs;
use crate::groups::{KeptGroups, LINE_ROWS};
use crate::partitions::PeriodUsage;

/// What was known of the touched subscriptions and meters.
pub(crate) struct Side {
    pub known: Known,
    pub book: RateBook,
    pub usage: PeriodUsage,
}

/// The touched usage of a partition, rated.
#[derive(Default)]
pub(crate) struct Rated {
    pub groups: KeptGroups,
    /// The usage, in canonical order.
    pub usage: Vec<RecordBatch>,
    /// Its lines, where they were wanted.
    pub lines: Vec<RecordBatch>,
    pub unpriced: Vec<Unpriced>,
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
        self.lines.push(without_runs(&batch)?);
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
        let zone = &known.programme.zone;
        let period = month.in_zone(zone);
        let period = (instant_micros(period.start()), instant_micros(period.end()));
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
        known.programme.subscriptions.retain(|id, _| touched.has(*id));
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

    /// Whether a partition has anything to be rated again.
    pub fn meets(&self, touched: &Touched, partition: usize) -> bool {
        touched.meets(self.usage.partitioning.partition(partition))
    }

    /// Rates the touched usage of a partition; with lines and all details where documents are made.
    pub fn rate(&self, touched: &Touched, partition: usize, with_lines: bool) -> Result<Rated> {
        let names = with_lines.then(|| LineNames::new(&self.book, LINE_ROWS));
        let columns = if with_lines { Columns::Details } else { Columns::Times };
        let mut rated = Rated::default();
        let mut rater = Rater::new(&self.book, names.as_ref());
        let wanted = |subscription: &str, meter: &str| touched.contains(subscription, meter);
        let reader = self.usage.reader(partition, columns);
        UsageReader { only: Some(&wanted), ..reader }.read(|batch| {
            rater.push(&batch, &mut rated)?;
            if with_lines {
                rated.usage.push(batch);
            }
            Ok(())
        })?;
        rater.finish(&mut rated)?;
        Ok(rated)
    }
}
