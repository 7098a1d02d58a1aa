//! Who trades: organisations, and who has accepted whom.

use std::fmt;
use std::str::FromStr;

use kernel::{Country, Key, OrganisationId};

use crate::Validity;

/// The place of an organisation in the programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Runs the programme and the cloud; buys from nobody.
    Provider,
    /// Tier 1: buys from the provider and sells to customers.
    DirectPartner,
    /// A distributor: buys from the provider and sells to resellers.
    IndirectProvider,
    /// Tier 2: buys from a distributor and sells to customers.
    IndirectReseller,
    /// Uses what is sold; sells to nobody.
    Customer,
}

impl Role {
    /// Every role with the name it has in files.
    pub const NAMES: [(&'static str, Self); 5] = [
        ("provider", Self::Provider),
        ("direct-partner", Self::DirectPartner),
        ("indirect-provider", Self::IndirectProvider),
        ("indirect-reseller", Self::IndirectReseller),
        ("customer", Self::Customer),
    ];

    /// Whether such an organisation sells.
    pub fn sells(self) -> bool {
        self != Self::Customer
    }

    /// Whether such an organisation buys.
    pub fn buys(self) -> bool {
        self != Self::Provider
    }

    /// Whether such an organisation stands between the provider and a customer.
    pub fn is_partner(self) -> bool {
        self.sells() && self.buys()
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, role)| role == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, role)| *role).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("is not a role; use one of {}", names.join(", "))
        })
    }
}

/// How a seller numbers its invoices: a prefix and a counter without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberSeries {
    /// What stands before the counter; no two sellers share one.
    pub prefix: String,
    /// How many digits the counter is padded to.
    pub digits: u8,
}

impl NumberSeries {
    /// The number of the `counter`-th document, counted from one.
    pub fn number(&self, counter: i64) -> String {
        format!("{}{counter:0width$}", self.prefix, width = usize::from(self.digits))
    }
}

/// A legal party with a tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Organisation {
    /// The tenant id.
    pub id: OrganisationId,
    /// The short name in files and commands.
    pub key: Key,
    /// The place in the programme.
    pub role: Role,
    /// The legal name.
    pub name: String,
    /// Where it is established.
    pub country: Country,
    /// The domain of its tenant.
    pub domain: Option<String>,
    /// Its id in the partner network (Partner Center's MPN id), for partners.
    pub mpn_id: Option<String>,
    /// How it numbers invoices, for sellers.
    pub series: NumberSeries,
}

/// An accepted reseller relationship: between a partner and a customer, or between an indirect
/// provider and a reseller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Relationship {
    /// Who sells.
    pub partner: OrganisationId,
    /// The customer or the reseller.
    pub with: OrganisationId,
    /// When.
    pub validity: Validity,
}
