//! What an invoice line collects: the usage of one subscription, meter and tier on one edge.

use domain::AppliedRate;
use kernel::{Amount, Currency, Money, Quantity, UnitPrice};

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
    /// Where the edge stands on the sale path, counted from zero at the provider.
    pub position: u8,
    /// Which tier, counted from zero at the lowest.
    pub tier: u8,
    /// The sum of the quantities.
    pub quantity: Quantity,
    /// How many rated lines it has.
    pub lines: u64,
    /// The exact amount, in the edge's currency.
    pub amount: Amount,
    /// The amount in minor units, rounded once as the agreement says.
    pub money: Money,
    /// The price, where it was the same for all of it.
    pub price: Option<GroupPrice>,
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
