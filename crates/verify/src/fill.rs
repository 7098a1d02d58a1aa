//! How usage fills tiers: what each tier must hold, given what was used at which price.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::{BigDecimal, Zero};

use crate::prices::Price;

/// Usage of rows that can have been billed by the same prices.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    /// Which prices state what the rows state, on their day; in order.
    pub candidates: Vec<usize>,
    pub quantity: BigDecimal,
    /// What the rows say they come to.
    pub billed: BigDecimal,
}

/// What a tier comes to.
#[derive(Debug, Clone)]
pub(crate) struct TierTotal {
    pub tier: usize,
    pub quantity: BigDecimal,
    /// In the billed currency, not rounded.
    pub exact: BigDecimal,
    /// What its rows say they come to; none where rows can belong to several tiers.
    pub billed: Option<BigDecimal>,
    /// The prices that it was billed by.
    pub used: BTreeSet<usize>,
    /// Whether the tier was certainly used: a row of nothing may lie on the bound of two.
    pub certain: bool,
}

/// How much of a counter lies in a tier that begins at one bound and ends at the next. What is
/// below zero lies in the first.
fn in_tier(counter: &BigDecimal, from: &BigDecimal, next: Option<&BigDecimal>) -> BigDecimal {
    let until = next.map_or_else(|| counter.clone(), |next| next.min(counter).clone());
    let within = until - from;
    if from.is_zero() { within } else { within.max(BigDecimal::zero()) }
}

/// What a movement of the counter puts into each tier.
fn moved(tiers: &[&Price], before: &BigDecimal, quantity: &BigDecimal) -> Vec<BigDecimal> {
    let after = before + quantity;
    let held = |at: usize, counter: &BigDecimal| {
        in_tier(counter, &tiers[at].tier_from, tiers.get(at + 1).map(|next| &next.tier_from))
    };
    (0..tiers.len()).map(|at| held(at, &after) - held(at, before)).collect()
}

/// Adds usage up by tier and checks that the tiers were filled in their order.
pub(crate) fn fill(prices: &[Price], buckets: &[Bucket]) -> Result<Vec<TierTotal>, String> {
    let intervals: Vec<Vec<&Price>> = prices
        .chunk_by(|a, b| a.interval == b.interval)
        .map(|tiers| tiers.iter().collect())
        .collect();
    let interval_of = |bucket: &Bucket| {
        let first = prices[*bucket.candidates.first()?].interval;
        bucket.candidates.iter().all(|at| prices[*at].interval == first).then_some(first)
    };
    let per_interval: Option<Vec<usize>> = buckets.iter().map(interval_of).collect();
    let mut totals = Totals { prices, tiers: BTreeMap::new() };
    if let Some(per_interval) = per_interval {
        let mut counter = BigDecimal::zero();
        let mut first_price = 0;
        for (at, tiers) in intervals.iter().enumerate() {
            let here = buckets.iter().zip(&per_interval).filter(|(_, interval)| **interval == at);
            let here: Vec<&Bucket> = here.map(|(bucket, _)| bucket).collect();
            let quantity: BigDecimal = here.iter().map(|bucket| &bucket.quantity).sum();
            let expected = moved(tiers, &counter, &quantity);
            compare(&here, first_price, &expected, |price| price - first_price)?;
            for (tier, quantity) in expected.into_iter().enumerate() {
                totals.add(first_price + tier, quantity);
            }
            counter += quantity;
            first_price += tiers.len();
        }
    } else {
        totals.unsplit(buckets, &intervals)?;
    }
    totals.note_rows(buckets);
    Ok(totals.tiers.into_values().filter(|total| !total.used.is_empty()).collect())
}

/// Rows that can only belong to some tiers must come to what these must hold.
fn compare(
    buckets: &[&Bucket],
    first_price: usize,
    expected: &[BigDecimal],
    tier_of: impl Fn(usize) -> usize,
) -> Result<(), String> {
    // Tiers that share rows are compared together.
    let mut together: Vec<usize> = (0..expected.len()).collect();
    for bucket in buckets {
        let tiers: BTreeSet<usize> = bucket.candidates.iter().map(|at| tier_of(*at)).collect();
        let target = tiers.iter().map(|tier| together[*tier]).min().unwrap_or_default();
        let joined: BTreeSet<usize> = tiers.iter().map(|tier| together[*tier]).collect();
        for group in &mut together {
            if joined.contains(group) {
                *group = target;
            }
        }
    }
    let mut given = vec![BigDecimal::zero(); expected.len()];
    for bucket in buckets {
        let first = bucket.candidates.first().copied().unwrap_or(first_price);
        given[together[tier_of(first)]] += &bucket.quantity;
    }
    let mut wanted = vec![BigDecimal::zero(); expected.len()];
    for (tier, quantity) in expected.iter().enumerate() {
        wanted[together[tier]] += quantity;
    }
    let wrong = given.iter().zip(&wanted).position(|(given, wanted)| given != wanted);
    match wrong {
        None => Ok(()),
        Some(tier) => Err(format!(
            "{} units are billed in tier {tier}; in the order of the tiers there are {}",
            crate::number::trimmed(&given[tier]),
            crate::number::trimmed(&wanted[tier]),
        )),
    }
}

struct Totals<'a> {
    prices: &'a [Price],
    tiers: BTreeMap<usize, TierTotal>,
}

impl Totals<'_> {
    fn tier(&mut self, tier: usize) -> &mut TierTotal {
        self.tiers.entry(tier).or_insert_with(|| TierTotal {
            tier,
            quantity: BigDecimal::zero(),
            exact: BigDecimal::zero(),
            billed: Some(BigDecimal::zero()),
            used: BTreeSet::new(),
            certain: false,
        })
    }

    fn add(&mut self, price: usize, quantity: BigDecimal) {
        if quantity.is_zero() {
            return;
        }
        let amount = &quantity * self.prices[price].billed();
        let total = self.tier(self.prices[price].tier);
        total.quantity += quantity;
        total.exact += amount;
        total.used.insert(price);
        total.certain = true;
    }

    /// Where the price changes within a day and states the same before and after, nobody can see
    /// from the rows which part is which, and it makes no difference to the amount. The tiers
    /// are then compared over the whole month, if they begin at the same quantities.
    fn unsplit(&mut self, buckets: &[Bucket], intervals: &[Vec<&Price>]) -> Result<(), String> {
        let bounds = |tiers: &Vec<&Price>| -> Vec<BigDecimal> {
            tiers.iter().map(|price| price.tier_from.clone()).collect()
        };
        let Some(first) = intervals.first() else { return Ok(()) };
        let quantity: BigDecimal = buckets.iter().map(|bucket| &bucket.quantity).sum();
        let mut left = moved(first, &BigDecimal::zero(), &quantity);
        if intervals.iter().all(|tiers| bounds(tiers) == bounds(first)) {
            let all: Vec<&Bucket> = buckets.iter().collect();
            compare(&all, 0, &left, |price| self.prices[price].tier)?;
        }
        for bucket in buckets {
            let mut rest = bucket.quantity.clone();
            for (at, price) in bucket.candidates.iter().enumerate() {
                let tier = self.prices[*price].tier;
                let is_last = at + 1 == bucket.candidates.len();
                let room = left.get(tier).cloned().unwrap_or_default();
                let taken = if is_last { rest.clone() } else { room.min(rest.clone()) };
                if let Some(left) = left.get_mut(tier) {
                    *left -= &taken;
                }
                rest -= &taken;
                self.add(*price, taken);
            }
        }
        Ok(())
    }

    /// Which tiers the rows themselves show.
    fn note_rows(&mut self, buckets: &[Bucket]) {
        for bucket in buckets {
            let tiers: BTreeSet<usize> =
                bucket.candidates.iter().map(|at| self.prices[*at].tier).collect();
            let alone = tiers.len() == 1;
            for at in &bucket.candidates {
                let tier = self.prices[*at].tier;
                let total = self.tier(tier);
                total.certain |= alone;
                if alone {
                    total.used.insert(*at);
                } else {
                    total.billed = None;
                    // A row of nothing: only if the tier is there at all.
                    if total.used.is_empty() {
                        total.used.insert(*at);
                    }
                }
            }
            if alone
                && let Some(tier) = tiers.first()
                && let Some(billed) = &mut self.tier(*tier).billed
            {
                *billed += &bucket.billed;
            }
        }
    }
}
