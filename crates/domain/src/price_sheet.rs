//! A provider's dated list of prices per meter.

use std::fmt;

use kernel::{Currency, Key, MeterId};

use crate::Tiers;

/// What a price sheet says of a meter besides its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meter {
    /// The meter's id.
    pub id: MeterId,
    /// Its name.
    pub name: String,
    /// The service it belongs to.
    pub category: String,
    /// The part of the service.
    pub subcategory: String,
    /// Where it is used; empty for everywhere.
    pub region: String,
    /// What one unit is, as the sheet spells it. Never used for matching.
    pub unit: String,
    /// The product's id, where the sheet has products.
    pub product_id: String,
    /// The product's title.
    pub product_title: String,
    /// The SKU's id within the product.
    pub sku_id: String,
    /// The SKU's title.
    pub sku_title: String,
    /// Who makes it.
    pub publisher: String,
    /// Tags of the sheet, such as `Third Party`.
    pub tags: String,
}

/// The list price of a meter during some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListPrice {
    /// From this instant on, in microseconds since 1970; `i64::MIN` for ever before.
    pub from: i64,
    /// Up to this instant; where absent, until the meter's next price.
    pub until: Option<i64>,
    /// The graduated price, included quantities as a first tier at nothing.
    pub tiers: Tiers,
}

/// A meter with its prices, earliest first and not overlapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMeter {
    /// The meter.
    pub meter: Meter,
    /// Its prices.
    pub prices: Vec<ListPrice>,
}

impl ListedMeter {
    /// The prices with their ends, earliest first: half-open, in microseconds since 1970.
    pub fn intervals(&self) -> impl Iterator<Item = (i64, i64, &Tiers)> {
        self.prices.iter().enumerate().map(|(at, price)| {
            let next = self.prices.get(at + 1).map_or(i64::MAX, |next| next.from);
            (price.from, price.until.unwrap_or(i64::MAX).min(next), &price.tiers)
        })
    }
}

/// A provider's list of prices, in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceSheet {
    /// The name under which it was imported.
    pub key: Key,
    /// The currency of all its prices.
    pub currency: Currency,
    /// The meters, by id.
    pub meters: Vec<ListedMeter>,
}

impl PriceSheet {
    /// The meter with an id.
    pub fn meter(&self, id: &MeterId) -> Option<&ListedMeter> {
        let found = self.meters.binary_search_by(|listed| listed.meter.id.cmp(id));
        found.ok().map(|at| &self.meters[at])
    }
}

impl fmt::Display for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id)
    }
}
