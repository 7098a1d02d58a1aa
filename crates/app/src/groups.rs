//! Groups between rating and documents.

use kernel::{Amount, Quantity, Result};
use rating::{EdgeIndex, Group, GroupPrice, MeterIndex, Mixed, Pricing, SubscriptionIndex};

/// Rows of a row group of rated lines.
pub(crate) const LINE_ROWS: usize = 1 << 16;
/// Groups, as small as documents need them.
#[derive(Debug, Default)]
pub(crate) struct KeptGroups {
    pub groups: Vec<KeptGroup>,
    /// Prices that did not apply all month long or whatever the quantity.
    pub prices: Vec<GroupPrice>,
    /// Exact amounts of groups with more than one price, and what can be said of those.
    pub amounts: Vec<(Amount, Mixed)>,
    /// Where the groups of each partition end.
    pub ends: Vec<usize>,
}

/// A group.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeptGroup {
    pub quantity: Quantity,
    pub money: i64,
    pub edge: EdgeIndex,
    pub subscription: SubscriptionIndex,
    pub meter: MeterIndex,
    pub price: PriceRef,
    pub lines: u32,
    pub position: u8,
    pub tier: u8,
}

/// Where the price of a group is found.
#[derive(Debug, Clone, Copy)]
pub(crate) enum PriceRef {
    /// The rate book has one for the whole month.
    Flat,
    /// In [`KeptGroups::prices`].
    Stated(u32),
    /// There is more than one; the exact amount is in [`KeptGroups::amounts`].
    Mixed(u32),
}

impl KeptGroups {
    /// Takes a group in.
    pub fn push(&mut self, group: &Group) -> Result<()> {
        let price = match group.pricing {
            Pricing::Flat => PriceRef::Flat,
            Pricing::Stated(price) => {
                self.prices.push(price);
                PriceRef::Stated(self.prices.len() as u32 - 1)
            }
            Pricing::Mixed(mixed) => {
                self.amounts.push((group.amount()?, mixed));
                PriceRef::Mixed(self.amounts.len() as u32 - 1)
            }
        };
        self.groups.push(KeptGroup {
            quantity: group.quantity,
            money: group.money.minor(),
            edge: group.edge,
            subscription: group.subscription,
            meter: group.meter,
            price,
            lines: u32::try_from(group.lines).unwrap_or(u32::MAX),
            position: group.position,
            tier: group.tier,
        });
        Ok(())
    }

    /// The groups of a partition, in canonical order.
    pub fn of_partition(&self, index: usize) -> &[KeptGroup] {
        let from = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.groups[from..self.ends[index]]
    }

    /// Takes the groups of another partition in.
    pub fn append(&mut self, other: Self) {
        let (prices, amounts) = (self.prices.len() as u32, self.amounts.len() as u32);
        self.groups.extend(other.groups.into_iter().map(|group| KeptGroup {
            price: match group.price {
                PriceRef::Flat => PriceRef::Flat,
                PriceRef::Stated(at) => PriceRef::Stated(at + prices),
                PriceRef::Mixed(at) => PriceRef::Mixed(at + amounts),
            },
            ..group
        }));
        self.prices.extend(other.prices);
        self.amounts.extend(other.amounts);
        self.ends.push(self.groups.len());
    }
}
