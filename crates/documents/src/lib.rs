//! What leaves the house, made from frozen values.
//!
//! **Owns** the layout of files: columns, order, spelling.
//! **Does not own** any amount: everything here was decided before.

pub mod certificate;
pub mod daily;
mod difference;
pub mod invoice;
pub mod legacy;
pub mod received;
pub mod reconciliation;
mod sink;
mod table;

pub use difference::{DifferenceRows, daily_difference};
pub use sink::{Format, Sink};
pub use table::{Keyed, Kind, Layout, TableBuilder};

use kernel::ExchangeRate;

/// A party as documents name it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Party<'a> {
    /// The tenant id.
    pub id: &'a str,
    /// The legal name.
    pub name: &'a str,
    /// The domain of the tenant.
    pub domain: &'a str,
    /// The country.
    pub country: &'a str,
    /// The id in the partner network.
    pub mpn_id: &'a str,
}

/// What was used, as the price sheet names it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Product<'a> {
    /// The meter's id.
    pub meter_id: &'a str,
    /// The meter's name.
    pub meter_name: &'a str,
    /// The service.
    pub category: &'a str,
    /// The part of the service.
    pub subcategory: &'a str,
    /// Where.
    pub region: &'a str,
    /// What one unit is.
    pub unit: &'a str,
    /// The product's id; empty where the sheet has no products.
    pub product_id: &'a str,
    /// The product's title.
    pub product_title: &'a str,
    /// The SKU's id.
    pub sku_id: &'a str,
    /// The SKU's title.
    pub sku_title: &'a str,
    /// Who makes it.
    pub publisher: &'a str,
}

impl<'a> Product<'a> {
    /// What documents call the product: its title, or the service.
    pub fn product_name(&self) -> &'a str {
        if self.product_title.is_empty() { self.category } else { self.product_title }
    }

    /// What documents call the SKU: its title, or the meter's name.
    pub fn sku_name(&self) -> &'a str {
        if self.sku_title.is_empty() { self.meter_name } else { self.sku_title }
    }

    /// Product, meter and unit in one text.
    pub fn description(&self) -> String {
        let parts = [self.product_name(), self.meter_name, self.region];
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("{} ({})", parts.join(" - "), self.unit)
    }
}

/// In which currencies something is priced and billed.
#[derive(Debug, Clone, Copy)]
pub struct Billing<'a> {
    /// The currency of the price.
    pub pricing_currency: &'a str,
    /// The currency of the invoice.
    pub billing_currency: &'a str,
    /// From the one to the other.
    pub rate: ExchangeRate,
    /// The day of the rate, in microseconds since 1970; none where nothing is exchanged.
    pub rate_date: Option<i64>,
}
