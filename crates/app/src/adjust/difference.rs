//! What was billed against what is to be billed, group by group.
//!
//! A group is billed anew where its quantity, its exact amount or its price has changed. Its
//! difference is what it rounds to now less what it rounded to then, so that whatever arrives in
//! whatever order, all documents together come to what one document would have come to.

use std::collections::BTreeMap;

use documents::daily::{CHARGE_ADJUSTMENT, CHARGE_NEW, CHARGE_REVERSAL};
use kernel::{Error, Quantity, Result};
use rating::{Edge, EdgeIndex, GroupPrice, MeterIndex, RateBook, SubscriptionIndex};

use super::side::Side;
use crate::close::statement;
use crate::groups::{KeptGroup, KeptGroups, PriceRef};

/// Which group: positions of the rate book of now.
pub(crate) type GroupKey = (EdgeIndex, SubscriptionIndex, MeterIndex, u8);

/// A group before and now.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Change {
    pub before: Option<KeptGroup>,
    pub now: Option<KeptGroup>,
}

/// A line of an adjusting invoice.
#[derive(Debug, Clone)]
pub(crate) struct DifferenceLine {
    pub subscription: SubscriptionIndex,
    pub meter: MeterIndex,
    pub tier: u8,
    /// [`CHARGE_ADJUSTMENT`], or the pair of [`CHARGE_REVERSAL`] and [`CHARGE_NEW`] where the price
    /// has changed.
    pub charge_type: &'static str,
    pub quantity: Quantity,
    pub amount_minor: i64,
    pub price: GroupPrice,
    pub adjustment: String,
    /// Whether an earlier invoice has a line for this group.
    pub was_billed: bool,
}

/// Two sides of a difference with all that they come to.
pub(crate) struct Sides<'a> {
    pub before: (&'a Side, &'a KeptGroups),
    pub now: (&'a Side, &'a KeptGroups),
}

impl Sides<'_> {
    /// The lines of each edge, by subscription, meter and tier.
    pub fn all_lines(&self) -> Result<BTreeMap<EdgeIndex, Vec<DifferenceLine>>> {
        let mut edges: BTreeMap<EdgeIndex, Vec<DifferenceLine>> = BTreeMap::new();
        for (key, change) in self.changes()? {
            let lines = self.lines(key, &change)?;
            if !lines.is_empty() {
                edges.entry(key.0).or_default().extend(lines);
            }
        }
        Ok(edges)
    }

    /// Every touched group before and now.
    pub fn changes(&self) -> Result<BTreeMap<GroupKey, Change>> {
        let mut changes: BTreeMap<GroupKey, Change> = BTreeMap::new();
        for group in self.now.1.groups.iter().filter(|g| issues(&self.now.0.book, g)) {
            let key = (group.edge, group.subscription, group.meter, group.tier);
            changes.entry(key).or_default().now = Some(*group);
        }
        for group in self.before.1.groups.iter().filter(|g| issues(&self.before.0.book, g)) {
            changes.entry(self.key_now(group)?).or_default().before = Some(*group);
        }
        Ok(changes)
    }

    /// The key of a group of before in the rate book of now.
    fn key_now(&self, group: &KeptGroup) -> Result<GroupKey> {
        let (then, now) = (&self.before.0.book, &self.now.0.book);
        let edge = &then.edges()[group.edge.get()];
        let subscription = then.subscription_id(group.subscription);
        let gone = |what: &str| {
            Error::conflict(format!(
                "subscription {subscription} was billed on an edge that its {what} does not have \
                 any more; a billed sale path cannot be taken back"
            ))
        };
        let found = now.find_edge(edge.seller, edge.buyer).ok_or_else(|| gone("sale path"))?;
        if now.edges()[found.get()].currency != edge.currency {
            return Err(gone("trade agreement"));
        }
        let meter = then.meters()[group.meter.get()].as_str();
        let scope = now.find_subscription(&subscription.to_string()).zip(now.find_meter(meter));
        let (subscription, meter) = scope.ok_or_else(|| gone("programme"))?;
        Ok((found, subscription, meter, group.tier))
    }

    /// The lines of a group: none where nothing has changed, one where more or less of it is to be
    /// paid at the same price, two where the price is another or amounts are rounded inside.
    pub fn lines(&self, key: GroupKey, change: &Change) -> Result<Vec<DifferenceLine>> {
        let (edge, subscription, meter, tier) = key;
        let Edge { currency, .. } = self.now.0.book.edges()[edge.get()];
        let rounding = self.now.0.book.rounding(subscription, edge);
        let stated = |(side, kept): (&Side, &KeptGroups), group: &KeptGroup| {
            statement(&side.book, kept, group, currency)
        };
        let line = |charge_type, quantity, amount_minor, (price, adjustment)| DifferenceLine {
            subscription,
            meter,
            tier,
            charge_type,
            quantity,
            amount_minor,
            price,
            adjustment,
            was_billed: change.before.is_some(),
        };
        let mut lines = Vec::new();
        match (&change.before, &change.now) {
            (Some(before), Some(now)) => {
                let (then, price) = (stated(self.before, before)?, stated(self.now, now)?);
                if self.is_same(before, now) && then == price {
                    return Ok(lines);
                }
                // What is rounded before it is exchanged does not follow from a difference of
                // quantities, so there the line is taken back as a whole.
                if then == price && !rounding.rounds_inside() {
                    let quantity = now.quantity.checked_sub(before.quantity);
                    let amount = now.money.checked_sub(before.money).ok_or_else(too_large)?;
                    let quantity = quantity.ok_or_else(too_large)?;
                    lines.push(line(CHARGE_ADJUSTMENT, quantity, amount, price));
                    return Ok(lines);
                }
                let (quantity, amount) = negated(before)?;
                lines.push(line(CHARGE_REVERSAL, quantity, amount, then));
                lines.push(line(CHARGE_NEW, now.quantity, now.money, price));
            }
            (Some(before), None) => {
                let then = stated(self.before, before)?;
                let (quantity, amount) = negated(before)?;
                lines.push(line(CHARGE_REVERSAL, quantity, amount, then));
            }
            (None, Some(now)) => {
                let price = stated(self.now, now)?;
                lines.push(line(CHARGE_NEW, now.quantity, now.money, price));
            }
            (None, None) => {}
        }
        Ok(lines)
    }

    /// Whether a group is exactly what it was. At one price the quantity decides.
    fn is_same(&self, before: &KeptGroup, now: &KeptGroup) -> bool {
        let exact = |kept: &KeptGroups, group: &KeptGroup| match group.price {
            PriceRef::Mixed(at) => Some(kept.amounts[at as usize]),
            PriceRef::Flat | PriceRef::Stated(_) => None,
        };
        (before.quantity, before.money) == (now.quantity, now.money)
            && exact(self.before.1, before) == exact(self.now.1, now)
    }
}

/// Whether the seller of a group's edge issues its invoices here.
fn issues(book: &RateBook, group: &KeptGroup) -> bool {
    !book.edges()[group.edge.get()].is_received
}

fn too_large() -> Error {
    Error::invalid("amount", "is too large for a document")
}

fn negated(group: &KeptGroup) -> Result<(Quantity, i64)> {
    let quantity = Quantity::ZERO.checked_sub(group.quantity).ok_or_else(too_large)?;
    Ok((quantity, group.money.checked_neg().ok_or_else(too_large)?))
}
