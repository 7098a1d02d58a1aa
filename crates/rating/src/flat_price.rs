//! The common case of a price: one rule, one list price, all month long, whatever the quantity.
//!
//! Most usage meets nothing else, so what it needs lies in small dense tables and is derived step
//! by step down the sale path, without looking anything up by name. Whatever does not fit here is
//! left to [`crate::schedule`], which gives the same prices.

use domain::Derivation;
use kernel::{
    Amount, Currency, DERIVED_PRICE_DECIMALS, EXCHANGE_RATE_SCALE, ExchangeRate, PERCENT_SCALE,
    Percent, Quantity, Result, UNIT_PRICE_SCALE, UnitPrice, ten_to,
};

use crate::book::{List, Listed, MeterIndex, Node, NodeIndex, RateBook, Rule};
use crate::schedule::{Charge, FlatPrice};

/// What a unit costs on one edge, as far as amounts need to know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EdgePrice {
    /// In the pricing currency.
    effective: Charge,
    /// From the pricing currency to the billed one.
    rate: Charge,
    /// In the billed currency: the exact product of the two.
    pub charge: Charge,
}

impl EdgePrice {
    fn of(effective: Charge, rate: Charge) -> Option<Self> {
        let charge = if rate == Charge::ONE { effective } else { effective.times(rate)? };
        Some(Self { effective, rate, charge })
    }

    /// What a quantity costs, where 128 bits do not suffice.
    pub fn amount_of(&self, quantity: Quantity) -> Result<Amount> {
        let price = UnitPrice::from_mantissa(self.effective.at(UNIT_PRICE_SCALE));
        let rate = ExchangeRate::from_mantissa(self.rate.at(EXCHANGE_RATE_SCALE));
        Amount::of_exchanged(quantity, price, rate)
    }
}

impl From<&FlatPrice> for EdgePrice {
    fn from(price: &FlatPrice) -> Self {
        Self {
            effective: price.stated.effective_unit_price.trimmed().into(),
            rate: price.stated.rate.rate.trimmed().into(),
            charge: price.charge,
        }
    }
}

/// What a list says of a meter, as far as it is simple.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlatListed {
    /// The one price of the month, as a narrow integer: the table is small enough to stay at hand.
    /// [`Self::NO_PRICE`] where there are tiers or changes, or the price is too large.
    price: i64,
    /// The label of the category.
    category: u32,
    /// Decimals of the price.
    scale: u8,
}

impl FlatListed {
    const NO_PRICE: i64 = i64::MIN;

    /// Reduces a meter of a list to what applies all month.
    pub fn of(listed: &Listed, period: (i64, i64)) -> Self {
        let covers = |from: i64, until: i64| from <= period.0 && period.1 <= until;
        let mut intervals = listed.meter.intervals();
        let covering = intervals.find(|(from, until, _)| covers(*from, *until));
        let price = covering.and_then(|(_, _, tiers)| match tiers.as_slice() {
            [tier] => {
                let (price, scale) = tier.price.trimmed();
                Some((i64::try_from(price).ok()?, scale))
            }
            _ => None,
        });
        let (price, scale) = price.unwrap_or((Self::NO_PRICE, 0));
        Self { price, category: listed.category, scale }
    }

    fn price(self) -> Option<Charge> {
        let price = Some(self.price).filter(|price| *price != Self::NO_PRICE);
        price.map(|price| Charge { mantissa: i128::from(price), scale: self.scale })
    }
}

/// A rule that wins all month long for a category, as far as it is simple.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlatRule {
    /// Whether it starts from what the seller pays; otherwise from the list.
    buys: bool,
    /// What the price is multiplied by.
    factor: Charge,
}

impl FlatRule {
    /// Reduces a rule; none where it states prices of its own.
    pub fn of(rule: &Rule) -> Option<Self> {
        let (buys, percent) = match &rule.derivation {
            Derivation::ListMinus(percent) => (false, percent.negated()),
            Derivation::BuyPlus(percent) => (true, *percent),
            Derivation::Fixed { .. } => return None,
        };
        let hundredths = Percent::HUNDRED.mantissa() + percent.mantissa();
        let factor = kernel::trimmed(hundredths, PERCENT_SCALE + 2).into();
        Some(Self { buys, factor })
    }
}

/// A node, as far as it is simple.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlatNode {
    list: u32,
    rules: u32,
    /// From the list's currency to the edge's.
    list_rate: Option<Charge>,
    /// From the currency in which the seller pays to the edge's.
    paid_rate: Option<Charge>,
    /// What is earned on every meter that is not excluded, all month long.
    credit: Option<Percent>,
}

impl FlatNode {
    /// Reduces a node; none where the agreement does not apply all month long, or the prices do
    /// not follow from those further up the sale path.
    pub fn of(node: &Node, lists: &[List], nodes: &[Node], period: (i64, i64)) -> Option<Self> {
        if (node.period, node.agreed) != (period, period) || node.is_detached {
            return None;
        }
        let rate_from = |from: Currency| {
            let (_, rate) = node.rates.iter().find(|(currency, _)| *currency == from)?;
            rate.as_ref().ok().map(|rate| rate.rate.trimmed().into())
        };
        let list = node.list?;
        let credit = match &node.credit {
            Some((credit, _)) if !credit.is_whole(period) => return None,
            credit => credit.as_ref().map(|(credit, _)| credit.percent),
        };
        Some(Self {
            credit,
            list,
            rules: node.book?,
            list_rate: rate_from(lists[list as usize].currency),
            paid_rate: node.parent.and_then(|parent| rate_from(nodes[parent.get()].currency)),
        })
    }
}

impl RateBook {
    /// The prices of a meter down a sale path, where all of them are simple. `prices` is memory
    /// to use; says whether they are all there.
    pub(crate) fn flat_prices(
        &self,
        nodes: impl Iterator<Item = NodeIndex>,
        meter: MeterIndex,
        prices: &mut Vec<EdgePrice>,
    ) -> bool {
        prices.clear();
        let mut bought = None;
        for node in nodes {
            let Some(price) = self.flat_step(node, meter, bought.as_ref()) else { return false };
            // What is sold on starts from the price without credit.
            bought = Some(price);
            let Some(price) = self.less_credit(node, meter, price) else { return false };
            prices.push(price);
        }
        true
    }

    fn less_credit(
        &self,
        node: NodeIndex,
        meter: MeterIndex,
        price: EdgePrice,
    ) -> Option<EdgePrice> {
        let Some(percent) = self.flat_nodes[node.get()].as_ref()?.credit else {
            return Some(price);
        };
        let (credit, _) = self.nodes[node.get()].credit.as_ref()?;
        if credit.excluded[meter.get()] {
            return Some(price);
        }
        let effective = UnitPrice::from_mantissa(price.effective.at(UNIT_PRICE_SCALE));
        EdgePrice::of(effective.credited(percent)?.trimmed().into(), price.rate)
    }

    /// The price on a node, given what its seller pays.
    fn flat_step(
        &self,
        node: NodeIndex,
        meter: MeterIndex,
        bought: Option<&EdgePrice>,
    ) -> Option<EdgePrice> {
        let node = self.flat_nodes[node.get()].as_ref()?;
        let list = &self.lists[node.list as usize];
        let listed = list.flat[meter.get()]?;
        let rules = &self.books[node.rules as usize];
        if rules.selects(meter, || list.meters[meter.get()].as_ref()) {
            return None;
        }
        let rule = rules.flat.get(listed.category as usize)?.as_ref()?;
        if !rule.buys {
            let price = listed.price()?;
            return EdgePrice::of(derived(price, rule.factor)?, node.list_rate?);
        }
        let bought = bought?;
        let mut factor = rule.factor;
        for rate in [bought.rate, node.paid_rate?] {
            if rate != Charge::ONE {
                factor = factor.times(rate)?;
            }
        }
        EdgePrice::of(derived(bought.effective, factor)?, Charge::ONE)
    }
}

/// A derived price, rounded as [`UnitPrice::derive`] does it: not at all where nothing is to be
/// done or the product has few decimals. None where 128 bits do not suffice.
fn derived(price: Charge, factor: Charge) -> Option<Charge> {
    if factor == Charge::ONE {
        return Some(price);
    }
    let exact = price.times(factor)?;
    match exact.scale.checked_sub(DERIVED_PRICE_DECIMALS) {
        None | Some(0) => Some(exact),
        Some(dropped) if dropped <= kernel::POW10_MAX => {
            let mantissa = kernel::half_even(exact.mantissa, dropped);
            Some(Charge { mantissa, scale: DERIVED_PRICE_DECIMALS })
        }
        Some(_) => None,
    }
    .filter(|price| price.fits())
}

impl Charge {
    pub(crate) const ONE: Self = Self { mantissa: 1, scale: 0 };

    fn times(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, scale: self.scale + other.scale })
    }

    /// The integer with more decimals.
    fn at(self, scale: u8) -> i128 {
        self.mantissa * ten_to(scale - self.scale)
    }

    /// Whether a [`UnitPrice`] can say it.
    fn fits(self) -> bool {
        let more = UNIT_PRICE_SCALE.checked_sub(self.scale).map(ten_to);
        more.is_some_and(|more| self.mantissa.checked_mul(more).is_some())
    }

    /// The same without trailing zeros.
    pub(crate) fn trimmed(self) -> Self {
        kernel::trimmed(self.mantissa, self.scale).into()
    }
}

impl From<(i128, u8)> for Charge {
    fn from((mantissa, scale): (i128, u8)) -> Self {
        Self { mantissa, scale }
    }
}

#[cfg(test)]
mod tests {
    use domain::Selector;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The short way gives the price of the long one, to the last decimal, or none at all.
        #[test]
        fn a_derived_price_is_the_same_both_ways(
            price in prop_oneof![0i128..20_000_000_000, 0i128..10i128.pow(19)],
            percent in prop_oneof![Just(0i128), -100_000_000..100_000_000i128],
            percent_unit in 0u8..=12,
            rates in prop::collection::vec(
                prop_oneof![Just(10i128.pow(17)), 1i128..10i128.pow(19)], 0..3,
            ),
        ) {
            let price = UnitPrice::from_mantissa(price);
            let percent = Percent::from_mantissa(percent * ten_to(percent_unit) / ten_to(6));
            let rates: Vec<ExchangeRate> =
                rates.into_iter().map(ExchangeRate::from_mantissa).collect();
            let rule = Rule {
                selector: Selector::All,
                from: i64::MIN,
                until: i64::MAX,
                derivation: Derivation::BuyPlus(percent),
            };
            let mut factor = Some(FlatRule::of(&rule).unwrap().factor);
            for rate in rates.iter().filter(|rate| **rate != ExchangeRate::ONE) {
                factor = factor.and_then(|factor| factor.times(rate.trimmed().into()));
            }
            let short = factor.and_then(|factor| derived(price.trimmed().into(), factor));
            if let Some(short) = short {
                let long = price.derive(percent, &rates);
                prop_assert_eq!(Some(UnitPrice::from_mantissa(short.at(UNIT_PRICE_SCALE))), long);
            }
        }
    }
}
