//! The common case of a price: one rule, one list price, all month long, whatever the quantity.
//!
//! Most usage meets nothing else, so what it needs lies in dense tables and is derived step by
//! step down the sale path, without looking anything up by name. Whatever does not fit here is
//! left to [`crate::schedule`], which gives the same prices.

use domain::{AppliedRate, Derivation};
use kernel::{ExchangeRate, UnitPrice};

use crate::book::{List, Listed, MeterIndex, NodeIndex, RateBook, Rules};
use crate::schedule::{Charge, FlatPrice};

/// Categories beyond which winners are looked up one by one.
const CATEGORIES_MAX: u32 = 1 << 12;

/// What a list says of a meter, as far as it is simple.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlatListed {
    /// The one price of the month; none where there are tiers or changes.
    price: Option<UnitPrice>,
    /// The label of the category.
    category: u32,
}

impl FlatListed {
    /// Reduces a meter of a list to what applies all month.
    pub fn of(listed: Option<&Listed>, period: (i64, i64)) -> Option<Self> {
        let listed = listed?;
        let covers = |from: i64, until: i64| from <= period.0 && period.1 <= until;
        let mut intervals = listed.meter.intervals();
        let price =
            intervals.find(|(from, until, _)| covers(*from, *until)).and_then(|(_, _, tiers)| {
                match tiers.as_slice() {
                    [tier] => Some(tier.price),
                    _ => None,
                }
            });
        Some(Self { price, category: listed.category })
    }
}

impl Rules {
    /// The winner for each category, where no rule is for a meter or product; none where some is,
    /// and where the winner changes within the month.
    pub fn winners(&self, categories: u32, period: (i64, i64)) -> Vec<Option<u32>> {
        if !self.is_by_category() || categories > CATEGORIES_MAX {
            return Vec::new();
        }
        (0..categories)
            .map(|category| {
                let candidates = self.of_category(category);
                let winner = candidates.winner_throughout(period)?;
                self.ordered.iter().position(|rule| std::ptr::eq(rule, winner)).map(|at| at as u32)
            })
            .collect()
    }
}

impl RateBook {
    /// The prices of a meter down a sale path, where all of them are simple. `prices` is memory
    /// to use; says whether they are all there.
    pub(crate) fn flat_prices(
        &self,
        nodes: &[NodeIndex],
        meter: MeterIndex,
        prices: &mut Vec<FlatPrice>,
    ) -> bool {
        prices.clear();
        for node in nodes {
            let Some(price) = self.flat_step(*node, meter, prices.last()) else { return false };
            prices.push(price);
        }
        true
    }

    /// The price on a node, given what its seller pays.
    fn flat_step(
        &self,
        node: NodeIndex,
        meter: MeterIndex,
        bought: Option<&FlatPrice>,
    ) -> Option<FlatPrice> {
        let node = &self.nodes[node.get()];
        if node.agreed != self.period {
            return None;
        }
        let list: &List = &self.lists[node.list? as usize];
        let listed = list.flat[meter.get()]?;
        let rules = &self.books[node.book? as usize];
        let winner = rules.winners.get(listed.category as usize).copied().flatten()?;
        let rate_from = |currency| {
            let found = node.rates.iter().find(|(from, _)| *from == currency);
            found.and_then(|(_, rate)| rate.as_ref().ok()).copied()
        };
        let (pricing_currency, rate, unit_price, effective_unit_price) =
            match &rules.ordered[winner as usize].derivation {
                Derivation::ListMinus(percent) => {
                    let price = listed.price?;
                    let derived = price.derive(percent.negated(), &[])?;
                    (list.currency, rate_from(list.currency)?, price, derived)
                }
                Derivation::BuyPlus(percent) => {
                    let bought = bought?;
                    let paid_in = self.nodes[node.parent?.get()].currency;
                    let rate = rate_from(paid_in)?;
                    let rates = [bought.rate.rate, rate.rate];
                    let price = bought.effective_unit_price.derive(*percent, &rates)?;
                    (node.currency, AppliedRate { rate: ExchangeRate::ONE, ..rate }, price, price)
                }
                Derivation::Fixed { .. } => return None,
            };
        let charge = Charge::of(effective_unit_price, rate.rate)?;
        Some(FlatPrice { pricing_currency, rate, unit_price, effective_unit_price, charge })
    }
}
