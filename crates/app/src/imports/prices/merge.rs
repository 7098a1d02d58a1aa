//! Adding the prices of a file to a sheet.

use std::collections::BTreeMap;
use std::fmt;

use domain::{ListPrice, ListedMeter, PriceSheet};
use kernel::{Error, Key, Result};

use super::PriceFile;

/// What a file did to a sheet, in dated prices.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Outcome {
    pub new: u64,
    pub changed: u64,
    pub same: u64,
    pub meters: u64,
    pub tiered: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { new, changed, same, meters, tiered } = self;
        write!(
            f,
            "{meters} meters, {tiered} of them tiered: {new} prices are new, {changed} say \
             something else than before, {same} were known"
        )
    }
}

/// The sheet with a file's prices. A price from an instant from which one was known replaces it;
/// prices that the file does not mention stay.
pub(super) fn merge(
    key: &Key,
    known: Option<PriceSheet>,
    file: &PriceFile,
) -> Result<(PriceSheet, Outcome)> {
    if let Some(known) = &known
        && known.currency != file.currency
    {
        return Err(Error::conflict(format!(
            "price sheet {key} is in {}, this file in {}; import it into a sheet of its own",
            known.currency, file.currency
        )));
    }
    let mut outcome = Outcome::default();
    let known = known.map(|sheet| sheet.meters).unwrap_or_default();
    let mut meters: BTreeMap<_, ListedMeter> =
        known.into_iter().map(|listed| (listed.meter.id.clone(), listed)).collect();
    for (id, listed) in &file.meters {
        outcome.meters += 1;
        outcome.tiered +=
            u64::from(listed.prices.iter().any(|price| price.tiers.as_slice().len() > 1));
        let known = meters
            .entry(id.clone())
            .or_insert_with(|| ListedMeter { meter: listed.meter.clone(), prices: Vec::new() });
        known.meter = listed.meter.clone();
        for price in &listed.prices {
            add(&mut known.prices, price, &mut outcome);
        }
    }
    let meters = meters.into_values().collect();
    Ok((PriceSheet { key: key.clone(), currency: file.currency, meters }, outcome))
}

fn add(known: &mut Vec<ListPrice>, price: &ListPrice, outcome: &mut Outcome) {
    match known.binary_search_by_key(&price.from, |known| known.from) {
        Err(at) => {
            known.insert(at, price.clone());
            outcome.new += 1;
        }
        Ok(at) if known[at] == *price => outcome.same += 1,
        Ok(at) => {
            known[at] = price.clone();
            outcome.changed += 1;
        }
    }
}
