//! Version 1 of the native API. Amounts are texts of decimals, so that they pass through no float.

mod applications;
mod events;
mod imports;
mod invoices;
mod periods;
mod programme;

pub use applications::*;
pub use events::*;
pub use imports::*;
pub use invoices::*;
pub use periods::*;
pub use programme::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which page of a list is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// How many entries at most: 1 to 1000, 100 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Page<T> {
    /// The entries.
    pub items: Vec<T>,
    /// What to ask for the next page with, as `after`; nothing on the last one.
    pub next: Option<String>,
}

/// An amount of a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Amount {
    /// The amount, with the currency's decimals.
    pub amount: String,
    /// The currency (ISO 4217).
    pub currency: String,
}
