//! Which subscriptions and meters of a period have to be rated again: those with usage that became
//! known between two instants, and those whose prices have been restated since.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;

use arrow_array::RecordBatch;
use domain::BillingPeriods;
use kernel::{Error, MeterId, OrganisationId, Result, SubscriptionId};
use lake::PartitionHash;
use lake::usage::{Wanted, batches_of};
use rating::{MeterIndex, NodeIndex, RateBook};
use store::Tx;

use crate::Ctx;
use crate::frozen::{dictionary, times};

/// The columns that tell.
const COLUMNS: [&str; 5] =
    ["customer_id", "subscription_id", "meter_id", "usage_start", "usage_end"];

/// The subscriptions and meters that have to be rated again, and nothing else.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    /// By subscription.
    meters: BTreeMap<String, BTreeSet<String>>,
    customers: BTreeSet<PartitionHash>,
    /// How many records are new.
    pub records: u64,
}

impl Wanted for Touched {
    fn has_customer(&self, customer: PartitionHash) -> bool {
        self.customers.contains(&customer)
    }

    fn has(&self, subscription: &str, meter: &str) -> bool {
        self.meters.get(subscription).is_some_and(|meters| meters.contains(meter))
    }
}

impl Touched {
    /// Looks through the usage that became known after one instant and up to another.
    pub async fn between(
        ctx: &Ctx<'_>,
        tx: &mut Tx,
        periods: &BillingPeriods,
        (after, until): (i64, i64),
    ) -> Result<Self> {
        let (from, to) = periods.envelope();
        let before: BTreeSet<String> =
            tx.segments(from, to, after).await?.into_iter().map(|segment| segment.path).collect();
        let segments = tx.segments(from, to, until).await?.into_iter();
        let new = segments.map(|segment| segment.path).filter(|path| !before.contains(path));
        Self::of_files(new.map(|path| ctx.installation.lake().join(path)), periods)
    }

    /// Adds the subscriptions and meters that cost something else by another book, on sale paths
    /// with one of some edges.
    pub fn add_restated(
        &mut self,
        (before, now): (&RateBook, &RateBook),
        on: &BTreeSet<(OrganisationId, OrganisationId)>,
    ) {
        let mut changed: BTreeMap<(NodeIndex, NodeIndex), BTreeSet<String>> = BTreeMap::new();
        for (at, id) in now.subscription_indices() {
            let Some(then) = before.find_subscription(&id.to_string()) else { continue };
            let edges = || now.path(at).iter().map(|edge| &now.edges()[edge.get()]);
            if !edges().any(|edge| on.contains(&(edge.seller, edge.buyer))) {
                continue;
            }
            let nodes = before.nodes(then).iter().zip(now.nodes(at));
            let mut meters: BTreeSet<String> = BTreeSet::new();
            for (a, b) in nodes {
                let of_pair =
                    changed.entry((*a, *b)).or_insert_with(|| changes((before, *a), (now, *b)));
                meters.extend(of_pair.iter().cloned());
            }
            if !meters.is_empty() {
                let customer = edges().next_back().map(|edge| edge.buyer.to_string());
                self.customers.extend(customer.map(|customer| PartitionHash::of(&customer)));
                self.meters.entry(id.to_string()).or_default().extend(meters);
            }
        }
    }

    /// Whether some meter costs something else by another book on one of some edges.
    pub fn restates(
        (before, now): (&RateBook, &RateBook),
        on: &BTreeSet<(OrganisationId, OrganisationId)>,
    ) -> bool {
        let mut same: BTreeSet<(NodeIndex, NodeIndex)> = BTreeSet::new();
        now.subscription_indices().any(|(at, id)| {
            let Some(then) = before.find_subscription(&id.to_string()) else { return false };
            let nodes = before.nodes(then).iter().zip(now.nodes(at));
            now.path(at).iter().zip(nodes).any(|(edge, (a, b))| {
                let terms = &now.edges()[edge.get()];
                on.contains(&(terms.seller, terms.buyer))
                    && same.insert((*a, *b))
                    && !changes((before, *a), (now, *b)).is_empty()
            })
        })
    }

    /// Looks through usage files.
    pub fn of_files(
        files: impl Iterator<Item = PathBuf>,
        periods: &BillingPeriods,
    ) -> Result<Self> {
        let mut touched = Self::default();
        for file in files {
            for batch in batches_of(&file, Some(&COLUMNS), None)? {
                touched.take(&batch?, periods)?;
            }
        }
        Ok(touched)
    }

    fn take(&mut self, batch: &RecordBatch, periods: &BillingPeriods) -> Result<()> {
        let (customer_keys, customers) = dictionary(batch, "customer_id")?;
        let (subscription_keys, subscriptions) = dictionary(batch, "subscription_id")?;
        let (meter_keys, meters) = dictionary(batch, "meter_id")?;
        let (starts, ends) = (times(batch, "usage_start")?, times(batch, "usage_end")?);
        let period = |id: Option<&str>| {
            let id = id.filter(|_| !periods.are_months()).and_then(|id| id.parse().ok());
            id.map_or_else(|| periods.envelope(), |id| periods.of_subscription(id))
        };
        let billed: Vec<(i64, i64)> = subscriptions.iter().map(period).collect();
        let mut last = None;
        for row in 0..batch.num_rows() {
            let (start, end) = (starts[row], ends[row]);
            let (from, until) = billed[subscription_keys[row] as usize];
            if start >= until || (end <= from && start < from) {
                continue;
            }
            self.records += 1;
            let key = (subscription_keys[row], meter_keys[row]);
            if last == Some(key) {
                continue;
            }
            last = Some(key);
            let subscription = subscriptions.value(key.0 as usize);
            let meter = meters.value(key.1 as usize);
            let customer = customers.value(customer_keys[row] as usize);
            self.customers.insert(PartitionHash::of(customer));
            self.meters.entry(subscription.to_owned()).or_default().insert(meter.to_owned());
        }
        Ok(())
    }

    /// How many meters of subscriptions there are.
    pub fn runs(&self) -> usize {
        self.meters.values().map(BTreeSet::len).sum()
    }

    /// The subscriptions.
    pub fn subscriptions(&self) -> Result<BTreeSet<SubscriptionId>> {
        self.meters.keys().map(|id| parsed(id)).collect()
    }

    /// The meters, in order.
    pub fn meters(&self) -> Result<Vec<MeterId>> {
        let all: BTreeSet<&String> = self.meters.values().flatten().collect();
        all.into_iter().map(|id| parsed(id)).collect()
    }

    /// Whether some customer with new usage is in a partition.
    pub fn meets(&self, partition: lake::Partition) -> bool {
        self.customers.range(partition.first..=partition.last).next().is_some()
    }
}

/// An id that was read from usage.
fn parsed<T: FromStr<Err: Display>>(id: &str) -> Result<T> {
    id.parse().map_err(|error| Error::internal(format!("{id}: {error}")))
}

/// The meters that cost something else on one node than on another.
fn changes(
    (before, a): (&RateBook, NodeIndex),
    (now, b): (&RateBook, NodeIndex),
) -> BTreeSet<String> {
    let costs_other = |meter: MeterIndex, id: &str| {
        let then = before.find_meter(id);
        then.is_none_or(|then| before.schedule(a, then) != now.schedule(b, meter))
    };
    let meters = now.meter_indices().zip(now.meters().iter().map(MeterId::as_str));
    meters.filter(|(at, id)| costs_other(*at, id)).map(|(_, id)| id.to_owned()).collect()
}
