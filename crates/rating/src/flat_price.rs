//! The common case of a price: one rule, one list price, all month long, whatever the quantity.
//!
//! Most usage meets nothing else, so what it needs lies in dense tables and is derived step by
//! step down the sale path, without looking anything up by name. Whatever does not fit here is
//! left to [`crate::schedule`], which gives the same prices.

use domain::{AppliedRate, Derivation};
use kernel::ExchangeRate;

use crate::book::{List, MeterIndex, NodeIndex, RateBook};
use crate::schedule::{Charge, FlatPrice};

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
                    let price = listed.price()?;
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
