//! Rating a closed month again in the shadow: whether this version of the engine comes to what was
//! billed. Nothing is changed.
//!
//! The version of the engine is a fact of every close. Another version must show that it gives the
//! same amounts before it bills anything of a month that an earlier one has closed.

use domain::{Action, Resource};
use std::collections::{BTreeMap, BTreeSet};

use kernel::{Error, Money, Month, Quantity, Result};
use rating::{ENGINE_VERSION, RateBook};
use store::DocumentRow;

use crate::Ctx;
use crate::adjust::{GROUPS, last_revision, partitions};
use crate::facts::Known;
use crate::frozen::{BilledKey, groups_name, read_billed};
use crate::groups::KeptGroup;
use crate::invoices::place;
use crate::partitions::PeriodUsage;
use crate::rate::{self, Wanted};
use crate::sheets;

/// How many groups that differ are told one by one.
pub const LISTED_MAX: usize = 1000;

/// A month that was rated again.
#[derive(Debug, Clone)]
pub struct Shadow {
    /// The month.
    pub month: Month,
    /// Its last revision, whose knowledge it is rated by.
    pub revision: u32,
    /// The versions of the engine that have billed it.
    pub billed_by: Vec<u32>,
    /// The version that rated it again.
    pub engine_version: u32,
    /// How many groups were compared.
    pub groups: u64,
    /// How many differ.
    pub differing: u64,
    /// Each edge.
    pub edges: Vec<ShadowEdge>,
    /// The groups that differ, at most [`LISTED_MAX`].
    pub differences: Vec<ShadowGroup>,
}

/// What an edge came to, and comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowEdge {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// What the groups came to when they were billed.
    pub billed: Money,
    /// What they come to now.
    pub again: Money,
}

/// A group that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowGroup {
    /// The subscription.
    pub subscription: String,
    /// The meter.
    pub meter: String,
    /// Where its edge stands on the sale path, from zero.
    pub position: u8,
    /// The tier, from zero.
    pub tier: u8,
    /// Quantity and minor units that were billed; none where there was no such group.
    pub billed: Option<(Quantity, i64)>,
    /// The same, rated again.
    pub again: Option<(Quantity, i64)>,
}

/// Rates a closed month again, by what was known when it was last billed.
///
/// # Errors
/// Where the month is not closed, or what it froze has been changed.
pub async fn shadow(ctx: Ctx<'_>, month: Month, workers: usize) -> Result<Shadow> {
    let mut tx = ctx.read(Action::Read, Resource::Period).await?;
    let last = last_revision(&mut tx, month).await?;
    let known = Known::load(&ctx, &mut tx, month, last.known_at).await?;
    let book = known.book(month)?;
    let documents = tx.documents(month).await?;
    let usage = PeriodUsage::load(&ctx, &mut tx, book.usage_period(), last.known_at).await?;
    let usage = usage.in_partitions(partitions(&documents));
    let versions = tx.revisions(month).await?;
    let versions: BTreeSet<u32> = versions.iter().map(|r| r.engine_version).collect();
    drop(tx);
    let wanted = Wanted { groups: true, lines: None };
    let totals = rate::rate_month(&ctx, &book, &usage, workers, wanted)?;
    let mut adjusted = adjusted(&ctx, month, last.revision, &documents)?;
    let mut found = Found::default();
    for partition in 0..usage.partitioning.len() {
        let path = format!("{month}/rated-lines/{}", groups_name(partition));
        let closed = read_billed(&document(&ctx, &documents, &path)?, |_, _| true)?;
        let again = groups(&book, totals.groups.of_partition(partition));
        let scopes: BTreeSet<Scope> =
            again.keys().chain(closed.iter().map(|(key, _)| key)).map(scope).collect();
        let mut billed: Groups = closed.into_iter().collect();
        for scope in scopes {
            // What an adjustment has billed stands in the place of what the close has.
            if let Some(groups) = adjusted.remove(&scope) {
                billed.retain(|key, _| (&key.0, &key.1) != (&scope.0, &scope.1));
                billed.extend(groups);
            }
        }
        found.compare(&book, &billed, &again);
    }
    found.compare(&book, &adjusted.into_values().flatten().collect(), &Groups::new());
    let edges = book.edges().iter().enumerate().filter_map(|(at, edge)| {
        let (billed, again) = found.sums.get(&at)?;
        Some(ShadowEdge {
            seller: known.programme.key_of(edge.seller),
            buyer: known.programme.key_of(edge.buyer),
            billed: Money::new(*billed, edge.currency),
            again: Money::new(*again, edge.currency),
        })
    });
    let mut edges: Vec<ShadowEdge> = edges.collect();
    edges.sort_by(|a, b| (&a.seller, &a.buyer).cmp(&(&b.seller, &b.buyer)));
    Ok(Shadow {
        month,
        revision: last.revision,
        billed_by: versions.into_iter().collect(),
        engine_version: ENGINE_VERSION,
        groups: found.groups,
        differing: found.differing,
        edges,
        differences: found.listed,
    })
}

/// The file of a frozen document, after a look at its hash.
fn document(ctx: &Ctx<'_>, documents: &[DocumentRow], path: &str) -> Result<std::path::PathBuf> {
    let row = documents.iter().find(|document| document.path == path);
    let row = row.ok_or_else(|| Error::internal(format!("{path} is not a document")))?;
    let file = ctx.installation.documents().join(path);
    sheets::check_sha256(&file, &row.sha256)?;
    Ok(file)
}

/// A subscription and a meter.
type Scope = (String, String);
/// Quantity and minor units of groups.
type Groups = BTreeMap<BilledKey, (Quantity, i64)>;

fn scope(key: &BilledKey) -> Scope {
    (key.0.clone(), key.1.clone())
}

/// What the adjustments of a month have billed, each scope as its last one has.
fn adjusted(
    ctx: &Ctx<'_>,
    month: Month,
    last: u32,
    documents: &[DocumentRow],
) -> Result<BTreeMap<Scope, Groups>> {
    let mut all: BTreeMap<Scope, Groups> = BTreeMap::new();
    for revision in 1..=last {
        let path = format!("{}/{GROUPS}", place(month, revision));
        let mut of_revision: BTreeMap<Scope, Groups> = BTreeMap::new();
        for (key, group) in read_billed(&document(ctx, documents, &path)?, |_, _| true)? {
            of_revision.entry(scope(&key)).or_default().insert(key, group);
        }
        all.extend(of_revision);
    }
    Ok(all)
}

fn groups(book: &RateBook, kept: &[KeptGroup]) -> Groups {
    let group = |group: &KeptGroup| {
        let subscription = book.subscription_id(group.subscription).to_string();
        let meter = book.meters()[group.meter.get()].as_str().to_owned();
        let key = (subscription, meter, group.position, group.tier);
        (key, (group.quantity, group.money))
    };
    kept.iter().map(group).collect()
}

/// What comparing has found so far.
#[derive(Debug, Default)]
struct Found {
    groups: u64,
    differing: u64,
    listed: Vec<ShadowGroup>,
    /// By edge: billed, and rated again.
    sums: BTreeMap<usize, (i64, i64)>,
}

impl Found {
    fn compare(&mut self, book: &RateBook, billed: &Groups, again: &Groups) {
        let keys: BTreeSet<&BilledKey> = billed.keys().chain(again.keys()).collect();
        for key in keys {
            let (then, now) = (billed.get(key).copied(), again.get(key).copied());
            self.groups += 1;
            let path = book.find_subscription(&key.0).map(|subscription| book.path(subscription));
            if let Some(edge) = path.and_then(|path| path.get(usize::from(key.2))) {
                let minor = |group: Option<(Quantity, i64)>| group.map_or(0, |(_, minor)| minor);
                let sums = self.sums.entry(edge.get()).or_default();
                *sums = (sums.0 + minor(then), sums.1 + minor(now));
            }
            if then == now {
                continue;
            }
            self.differing += 1;
            if self.listed.len() < LISTED_MAX {
                let (subscription, meter, position, tier) = key.clone();
                let (billed, again) = (then, now);
                self.listed.push(ShadowGroup {
                    subscription,
                    meter,
                    position,
                    tier,
                    billed,
                    again,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever differs is told, and counted where it lies.
    #[test]
    fn groups_that_differ_are_told() {
        let facts = rating::PriceFacts {
            programme: domain::Programme::new("Test".into(), kernel::Zone::UTC),
            sheets: BTreeMap::new(),
            rates: domain::ExchangeRates::default(),
        };
        let facts = rating::Facts {
            programme: &facts.programme,
            sheets: &facts.sheets,
            rates: &facts.rates,
            restated: None,
            only: None,
        };
        let book = RateBook::compile(facts, "2026-01".parse().unwrap(), []).unwrap();
        let key = |tier: u8| ("s".to_owned(), "m".to_owned(), 0, tier);
        let group = |minor: i64| (Quantity::from_mantissa(5), minor);
        let billed = Groups::from([(key(0), group(100)), (key(1), group(7)), (key(2), group(1))]);
        let again = Groups::from([(key(0), group(100)), (key(1), group(8)), (key(3), group(1))]);
        let mut found = Found::default();
        found.compare(&book, &billed, &again);
        assert_eq!((found.groups, found.differing), (4, 3));
        let tiers: Vec<_> = found.listed.iter().map(|g| (g.tier, g.billed, g.again)).collect();
        assert_eq!(
            tiers,
            [
                (1, Some(group(7)), Some(group(8))),
                (2, Some(group(1)), None),
                (3, None, Some(group(1))),
            ]
        );
    }
}
