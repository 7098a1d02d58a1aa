//! Partner earned credit in the prices of a sale path's first edge.
//!
//! A credited subscription has a node of its own there: the same prices, less the credit where it
//! is earned. Prices further down start from the node without credit.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{AccessScope, CreditException, EarnedCredit, Programme, Subscription};
use kernel::{Percent, Zone};

use crate::book::{List, MeterIndex};
use crate::schedule::{Charge, Credited, FlatPrice, Interval, NodePrice, Price, Schedule};

/// A scope, and half-open stretches in microseconds, apart from each other.
pub type Earned = (AccessScope, Vec<(i64, i64)>);

/// What is earned on one subscription within the month.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Credit {
    pub percent: Percent,
    /// When it is earned: half-open stretches in microseconds, apart from each other, by scope.
    pub earned: Vec<Earned>,
    /// Whether a meter earns nothing, by [`MeterIndex`].
    pub excluded: Arc<[bool]>,
}

impl Credit {
    /// The credit on a subscription, if some is earned within a period. Terms change with a month,
    /// so that one percentage applies.
    pub fn of(
        programme: &Programme,
        subscription: &Subscription,
        (zone, period): (&Zone, (i64, i64)),
        excluded: impl FnOnce(&EarnedCredit) -> Arc<[bool]>,
    ) -> Option<Self> {
        let seller = subscription.path.first()?;
        let clip = |(from, until): (i64, i64)| {
            let (from, until) = (from.max(period.0), until.min(period.1));
            (from < until).then_some((from, until))
        };
        // Of what is billed by anniversary, the grant of the month in which it ends counts.
        let applies = |g: &&EarnedCredit| {
            g.seller == *seller && clip(g.validity.micros(zone)).is_some_and(|of| of.1 == period.1)
        };
        let granted = programme.credit.granted.iter().find(applies)?;
        let (from, until) = granted.validity.micros(zone);
        let mut earned: BTreeMap<AccessScope, Vec<(i64, i64)>> = BTreeMap::new();
        for access in programme.credit.access_to(programme, subscription) {
            let (eligible, ended) = access.validity.micros(zone);
            if let Some(part) = clip((eligible.max(from), ended.min(until))) {
                earned.entry(access.scope.clone()).or_default().push(part);
            }
        }
        if earned.get_mut(&AccessScope::ALL).is_some_and(|all| joined(all) == [period]) {
            earned.retain(|scope, _| *scope == AccessScope::ALL);
        }
        let earned: Vec<Earned> =
            earned.into_iter().map(|(scope, mut parts)| (scope, joined(&mut parts))).collect();
        (!earned.is_empty()).then(|| Self {
            percent: granted.percent,
            excluded: excluded(granted),
            earned,
        })
    }

    /// Whether all of the subscription earns it all month long.
    pub fn is_whole(&self, period: (i64, i64)) -> bool {
        let whole = |(scope, parts): &Earned| *scope == AccessScope::ALL && *parts == [period];
        self.earned.first().is_some_and(whole)
    }

    /// Whether some of it is earned by a part of the subscription only.
    pub fn is_narrow(&self) -> bool {
        self.earned.iter().any(|(scope, _)| *scope != AccessScope::ALL)
    }

    /// The instants within a period at which something begins or ends to earn.
    pub fn changes(&self, period: (i64, i64)) -> impl Iterator<Item = i64> + '_ {
        let parts = self.earned.iter().flat_map(|(_, parts)| parts);
        let ends = parts.flat_map(|(from, until)| [*from, *until]);
        ends.filter(move |at| period.0 < *at && *at < period.1)
    }

    /// Prices less the credit where it is earned.
    pub fn apply(&self, price: NodePrice, meter: MeterIndex, period: (i64, i64)) -> NodePrice {
        if self.excluded[meter.get()] {
            return price;
        }
        if let NodePrice::Flat(flat) = &price
            && self.is_whole(period)
            && let Some(flat) = self.flat(flat)
        {
            return NodePrice::Flat(flat);
        }
        NodePrice::Scheduled(Arc::new(self.schedule(&price.schedule(period), period)))
    }

    fn flat(&self, flat: &FlatPrice) -> Option<FlatPrice> {
        let effective = flat.stated.effective_unit_price.credited(self.percent)?;
        let mut stated = flat.stated;
        (stated.effective_unit_price, stated.credit) = (effective, self.percent);
        Some(FlatPrice { stated, charge: Charge::of(effective, stated.rate.rate)? })
    }

    fn schedule(&self, schedule: &Schedule, period: (i64, i64)) -> Schedule {
        let mut cuts: Vec<i64> = self.changes(period).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut intervals = Vec::new();
        for interval in &schedule.intervals {
            let inside = cuts.iter().copied();
            let inside = inside.filter(|at| interval.from < *at && *at < interval.until);
            let starts = std::iter::once(interval.from).chain(inside.clone());
            for (from, until) in starts.zip(inside.chain([interval.until])) {
                let begins = from == interval.from;
                let part = Interval { from, until, begins, ..interval.clone() };
                crate::schedule::push_merged(&mut intervals, self.credited(part));
            }
        }
        Schedule { intervals }
    }

    /// A stretch within which nothing begins or ends to earn.
    fn credited(&self, interval: Interval) -> Interval {
        let earns = |parts: &[(i64, i64)]| {
            parts.iter().any(|(from, until)| *from <= interval.from && interval.from < *until)
        };
        let scopes = self.earned.iter().filter(|(_, parts)| earns(parts));
        let scopes: Vec<AccessScope> = scopes.map(|(scope, _)| scope.clone()).collect();
        let Some(price) = interval.price.as_ref().ok().and_then(|price| self.price(price)) else {
            return interval;
        };
        match scopes.first() {
            None => interval,
            Some(scope) if *scope == AccessScope::ALL => Interval { price: Ok(price), ..interval },
            Some(_) => {
                let credited = Some(Credited { price, scopes: scopes.into() });
                Interval { credited, ..interval }
            }
        }
    }

    fn price(&self, price: &Price) -> Option<Price> {
        let mut price = Price { credit: self.percent, ..price.clone() };
        for tier in &mut price.tiers {
            tier.effective_unit_price = tier.effective_unit_price.credited(self.percent)?;
            tier.charge = Charge::of(tier.effective_unit_price, price.rate.rate);
        }
        Some(price)
    }
}

/// Which meters earn nothing by some exceptions, as a list calls them.
pub(crate) fn excluded(
    list: Option<&List>,
    except: &[CreditException],
    meters: usize,
) -> Arc<[bool]> {
    let Some(list) = list else { return std::iter::repeat_n(false, meters).collect() };
    let matches = |listed: &crate::book::Listed| {
        except.iter().any(|exception| exception.matches(&listed.meter.meter))
    };
    list.meters.iter().map(|listed| listed.as_ref().is_some_and(matches)).collect()
}

/// The same stretches, put in order and joined where they touch.
fn joined(parts: &mut [(i64, i64)]) -> Vec<(i64, i64)> {
    parts.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::with_capacity(parts.len());
    for (from, until) in parts.iter().copied() {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(until),
            _ => joined.push((from, until)),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_that_touch_are_joined() {
        let mut parts = [(5, 7), (1, 3), (3, 4), (6, 9)];
        assert_eq!(joined(&mut parts), [(1, 4), (5, 9)]);
    }
}
