//! What customers have bought: offers, subscriptions and what a plan holds.

use std::fmt;
use std::str::FromStr;

use kernel::{EntitlementId, Key, OrganisationId, SubscriptionId};

use crate::Validity;

/// How many edges a sale path may have.
pub const EDGES_MAX: usize = 8;

/// The family of an offer: which rules and calendars it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfferFamily {
    /// The plan (Azure plan): one commerce subscription holds many entitlements.
    Plan,
    /// The legacy usage offer (`MS-AZR-0145P`) and its like.
    Legacy,
}

impl OfferFamily {
    /// Every family with the name it has in files.
    pub const NAMES: [(&'static str, Self); 2] = [("plan", Self::Plan), ("legacy", Self::Legacy)];
}

impl fmt::Display for OfferFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Plan { "plan" } else { "legacy" })
    }
}

impl FromStr for OfferFamily {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, family)| *family)
            .ok_or_else(|| "is not an offer family; use plan or legacy".into())
    }
}

/// A usage offer: nothing is paid but consumption, at the prices of a sheet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The name in files.
    pub key: Key,
    /// What documents call it.
    pub name: String,
    /// Its family.
    pub family: OfferFamily,
    /// The price sheet that lists its prices.
    pub price_sheet: Key,
    /// For which tax rates of countries it counts; mostly [`crate::STANDARD`].
    pub tax_category: Key,
}

/// An Azure subscription that a commerce subscription holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entitlement {
    /// Its id, which usage records carry.
    pub id: EntitlementId,
    /// Its name.
    pub name: String,
}

/// A customer's commerce subscription, bought through a sale path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// What documents call it.
    pub name: String,
    /// What was bought.
    pub offer: Key,
    /// From the provider to the customer, both included.
    pub path: Vec<OrganisationId>,
    /// When it is active.
    pub validity: Validity,
    /// What it holds.
    pub entitlements: Vec<Entitlement>,
}

impl Subscription {
    /// The edges of the sale path, the provider's first.
    pub fn edges(&self) -> impl Iterator<Item = (OrganisationId, OrganisationId)> + '_ {
        self.path.windows(2).map(|pair| (pair[0], pair[1]))
    }

    /// The customer: the last of the path.
    pub fn customer(&self) -> Option<OrganisationId> {
        self.path.last().copied()
    }
}
