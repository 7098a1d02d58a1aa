//! What rows of the daily file say was used, wherever it is billed.

use std::collections::{BTreeMap, HashMap};

use bigdecimal::{BigDecimal, Zero};
use sha2::{Digest, Sha256};

use crate::daily_columns::{CHARGE_TYPE, METER, QUANTITY, SUBSCRIPTION, USAGE_DATE, resource};
use crate::number;
use crate::table::Row;

/// What was used of each subscription and meter.
pub(crate) type Usage<'a> = HashMap<(&'a str, &'a str), UsageHash>;

/// Hashes of what rows say was used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UsageHash {
    pub by_day: [u8; 16],
    pub by_resource: [u8; 16],
}

impl UsageHash {
    /// The hashes of sums: by resource and day, and by resource.
    pub fn of_sums(
        by_day: &BTreeMap<Vec<String>, BigDecimal>,
        by_resource: &BTreeMap<Vec<String>, BigDecimal>,
    ) -> Self {
        let all = |sums: &BTreeMap<Vec<String>, BigDecimal>| {
            let mut whole = Sha256::new();
            for (key, quantity) in sums {
                hash(&mut whole, key, "", quantity);
            }
            short(whole)
        };
        Self { by_day: all(by_day), by_resource: all(by_resource) }
    }
}

fn short(hash: Sha256) -> [u8; 16] {
    let hash: [u8; 32] = hash.finalize().into();
    std::array::from_fn(|at| hash[at])
}

/// A row of usage as another edge must have it too.
pub(crate) struct Used {
    pub subscription: String,
    pub meter: String,
    pub date: String,
    pub resource: Vec<String>,
    pub quantity: BigDecimal,
}

impl Used {
    /// What a row says was used; none of a row that makes up for rounding.
    pub fn of(row: &Row) -> Option<Self> {
        (row.cell(CHARGE_TYPE) == "new").then(|| Self {
            subscription: row.cell(SUBSCRIPTION).to_owned(),
            meter: row.cell(METER).to_owned(),
            date: row.cell(USAGE_DATE).to_owned(),
            resource: resource(row).map(str::to_owned).collect(),
            quantity: number::parse(row.cell(QUANTITY)).unwrap_or_default(),
        })
    }
}

/// A hash of what was used of a meter. Another edge may cut a record otherwise, where its tiers
/// begin or its price changes; so rows of one resource that follow each other are added up first.
#[derive(Default)]
pub(crate) struct UsedHash {
    /// Of resources, days and quantities.
    by_day: Sha256,
    /// Of resources and quantities.
    by_resource: Sha256,
    open: Option<Open>,
}

struct Open {
    resource: Vec<String>,
    date: String,
    on_day: BigDecimal,
    in_all: BigDecimal,
}

impl UsedHash {
    /// Takes in a row of usage.
    pub fn add(&mut self, row: &Row, quantity: &BigDecimal) {
        if let Some(open) = &mut self.open
            && resource(row).eq(open.resource.iter().map(String::as_str))
        {
            if open.date != row.cell(USAGE_DATE) {
                hash(&mut self.by_day, &open.resource, &open.date, &open.on_day);
                row.cell(USAGE_DATE).clone_into(&mut open.date);
                open.on_day = BigDecimal::zero();
            }
            open.on_day += quantity;
            open.in_all += quantity;
            return;
        }
        self.close();
        self.open = Some(Open {
            resource: resource(row).map(str::to_owned).collect(),
            date: row.cell(USAGE_DATE).to_owned(),
            on_day: quantity.clone(),
            in_all: quantity.clone(),
        });
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            hash(&mut self.by_day, &open.resource, &open.date, &open.on_day);
            hash(&mut self.by_resource, &open.resource, "", &open.in_all);
        }
    }

    /// The hashes of all rows.
    pub fn finish(mut self) -> UsageHash {
        self.close();
        UsageHash { by_day: short(self.by_day), by_resource: short(self.by_resource) }
    }
}

fn hash(hash: &mut Sha256, resource: &[String], date: &str, quantity: &BigDecimal) {
    let quantity = number::trimmed(quantity);
    for text in resource.iter().map(String::as_str).chain([date, &quantity]) {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
}
