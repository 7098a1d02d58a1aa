//! What an invoice line collects: the usage of one subscription, meter and tier on one edge.

use domain::{AppliedRate, PricedSum};
use kernel::{Amount, Currency, Money, Percent, Quantity, Result, Rounding, UnitPrice};

use crate::book::{EdgeIndex, MeterIndex, SubscriptionIndex};

/// The exact total of one group, and what it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Which subscription.
    pub subscription: SubscriptionIndex,
    /// Which meter.
    pub meter: MeterIndex,
    /// Which edge.
    pub edge: EdgeIndex,
    /// The next edge of the sale path: what this one comes to is what its seller pays.
    pub sold_on: Option<EdgeIndex>,
    /// Where the edge stands on the sale path, counted from zero at the provider.
    pub position: u8,
    /// Which tier, counted from zero at the lowest.
    pub tier: u8,
    /// The sum of the quantities.
    pub quantity: Quantity,
    /// How many rated lines it has.
    pub lines: u64,
    /// The exact amount, in the edge's currency.
    pub exact: ExactAmount,
    /// The amount in minor units, rounded once as the agreement says.
    pub money: Money,
    /// What the unit cost.
    pub pricing: Pricing,
}

/// What the units of a group cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pricing {
    /// One price all month long whatever the quantity: [`crate::RateBook::flat_price`] says it.
    Flat,
    /// One price, which did not apply all month long or not to every quantity.
    Stated(GroupPrice),
    /// Several.
    Mixed(Mixed),
}

/// What can be said of several prices together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mixed {
    /// What the units come to before the exchange, where all prices are of one currency and rate.
    pub priced: Option<PricedSum>,
    /// What a unit costs before the edge's own rule, where that is the same in all of them.
    pub unit_price: Option<UnitPrice>,
    /// The partner earned credit of those that have one; zero where none has.
    pub credit: Percent,
}

/// An exact amount. Most fit into 128 bits with few decimals, which is much cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExactAmount {
    /// An integer and how many of its digits are decimals.
    Narrow(i128, u8),
    /// An amount at its full scale.
    Wide(Amount),
}

impl ExactAmount {
    /// The amount at its full scale.
    pub fn amount(self) -> Result<Amount> {
        match self {
            Self::Narrow(mantissa, scale) => Amount::from_scaled(mantissa, scale),
            Self::Wide(amount) => Ok(amount),
        }
    }

    pub(crate) fn round(self, mode: Rounding, currency: Currency) -> Result<Money> {
        match self {
            Self::Narrow(mantissa, scale) => Money::rounded(mantissa, scale, mode, currency),
            Self::Wide(amount) => amount.round(mode, currency),
        }
    }
}

impl Group {
    /// The exact amount, in the edge's currency, at its full scale.
    pub fn amount(&self) -> Result<Amount> {
        self.exact.amount()
    }
}

/// The price of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupPrice {
    /// The currency in which it is stated.
    pub pricing_currency: Currency,
    /// From that currency to the billed one.
    pub rate: AppliedRate,
    /// Before the edge's own rule.
    pub unit_price: UnitPrice,
    /// On this edge.
    pub effective_unit_price: UnitPrice,
    /// The partner earned credit that the effective price is less by; zero where there is none.
    pub credit: Percent,
}

/// Usage that has no price on an edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpriced {
    /// The subscription, as the usage names it.
    pub subscription: String,
    /// The meter, as the usage names it.
    pub meter: String,
    /// The edge; none where the subscription has no sale path in this month.
    pub edge: Option<EdgeIndex>,
    /// Why, and what to do.
    pub reason: String,
    /// How much of it.
    pub quantity: Quantity,
}
