//! The RateCard: the answer of the Commerce API (names in Pascal case) or of Partner Center (in
//! camel case). Tiers are keyed by their lower bound.

use std::collections::BTreeMap;

use domain::{ListPrice, Meter, Tier, Tiers};
use kernel::{Fault, Faults, Quantity, Result};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::PriceFile;
use crate::imports::quarantine::Quarantine;
use crate::imports::times;

/// The most meters that a rate card may have.
const METERS_MAX: usize = 5_000_000;

#[derive(Deserialize)]
struct RateCard {
    #[serde(alias = "Currency")]
    currency: String,
    #[serde(alias = "IsTaxIncluded", alias = "isTaxIncluded", default)]
    is_tax_included: bool,
    #[serde(alias = "Meters")]
    meters: Vec<Box<RawValue>>,
    #[serde(alias = "OfferTerms", alias = "offerTerms", default)]
    offer_terms: Vec<OfferTerm>,
}

#[derive(Deserialize)]
struct OfferTerm {
    #[serde(alias = "Name", default)]
    name: Option<String>,
    #[serde(alias = "ExcludedMeterIds", alias = "excludedMeterIds", default)]
    excluded_meter_ids: Vec<String>,
}

#[derive(Deserialize)]
struct RateCardMeter {
    #[serde(alias = "MeterId")]
    id: String,
    #[serde(alias = "MeterName", default)]
    name: String,
    #[serde(alias = "MeterRates")]
    rates: BTreeMap<String, Box<RawValue>>,
    #[serde(alias = "MeterTags", default)]
    tags: Vec<String>,
    #[serde(alias = "MeterCategory", default)]
    category: String,
    #[serde(alias = "MeterSubCategory", default)]
    subcategory: String,
    #[serde(alias = "MeterRegion", default)]
    region: String,
    #[serde(alias = "Unit", default)]
    unit: String,
    #[serde(alias = "IncludedQuantity", alias = "includedQuantity", default)]
    included: Option<Box<RawValue>>,
    #[serde(alias = "EffectiveDate", alias = "effectiveDate", default)]
    effective: Option<String>,
}

/// A number of JSON as it is written, so that no digit passes through a float.
fn digits(raw: &RawValue) -> &str {
    raw.get().trim_matches('"')
}

/// Reads a rate card.
pub(super) fn read(file: &str, json: &[u8], quarantine: &mut Quarantine) -> Result<PriceFile> {
    let card: RateCard = serde_json::from_slice(json).map_err(|error| unreadable(file, &error))?;
    let currency = card
        .currency
        .parse()
        .map_err(|why: String| refused(fault(file, None, "currency", Some(&card.currency), why)))?;
    if card.meters.len() > METERS_MAX {
        let reason = format!("has {} entries; at most {METERS_MAX} are read", card.meters.len());
        return Err(refused(fault(file, None, "meters", None, reason)));
    }
    if card.is_tax_included {
        let reason = "is true; prices must be without tax".to_owned();
        return Err(refused(fault(file, None, "isTaxIncluded", None, reason)));
    }
    let mut prices = PriceFile {
        currency,
        meters: BTreeMap::new(),
        rows: card.meters.len() as u64,
        notes: card.offer_terms.iter().map(note).collect(),
    };
    for (at, raw) in card.meters.iter().enumerate() {
        let row = at as u64 + 1;
        let taken = serde_json::from_str::<RateCardMeter>(raw.get())
            .map_err(|error| fault(file, Some(row), "meter", None, error.to_string()))
            .and_then(|meter| take(file, row, &meter, &mut prices));
        if let Err(fault) = taken {
            quarantine.put(vec![fault], &BTreeMap::from([("meter", raw.get())]))?;
        }
    }
    Ok(prices)
}

fn note(term: &OfferTerm) -> String {
    format!(
        "the offer term {} ({} meters excluded) is not part of the prices; state it as a rule of \
         a price book",
        term.name.as_deref().unwrap_or("without a name"),
        term.excluded_meter_ids.len()
    )
}

fn take(file: &str, row: u64, meter: &RateCardMeter, prices: &mut PriceFile) -> Result<(), Fault> {
    let wrong = |field: &str, value: &str, reason: String| {
        fault(file, Some(row), field, Some(value), reason)
    };
    let id = meter.id.parse().map_err(|why| wrong("MeterId", &meter.id, format!("{why}")))?;
    let mut tiers = Vec::new();
    for (from, price) in &meter.rates {
        let price = digits(price);
        tiers.push(Tier {
            from: from.parse().map_err(|why| wrong("MeterRates", from, format!("{why}")))?,
            price: price.parse().map_err(|why| wrong("MeterRates", price, format!("{why}")))?,
        });
    }
    let included = meter.included.as_deref().map_or("0", digits);
    let included: Quantity =
        included.parse().map_err(|why| wrong("IncludedQuantity", included, format!("{why}")))?;
    let tiers = Tiers::new(tiers)
        .and_then(|tiers| tiers.after_included(included))
        .map_err(|why| wrong("MeterRates", &meter.id, why))?;
    let effective = meter.effective.as_deref().unwrap_or_default();
    let from = match effective {
        // The beginning of the calendar stands for "always".
        date if date.is_empty() || date.starts_with("0001-01-01") => i64::MIN,
        date => times::time(date)
            .ok_or_else(|| wrong("EffectiveDate", date, times::EXPECTED.to_owned()))?,
    };
    let details = Meter {
        id,
        name: meter.name.clone(),
        category: meter.category.clone(),
        subcategory: meter.subcategory.clone(),
        region: meter.region.clone(),
        unit: meter.unit.clone(),
        product_id: String::new(),
        product_title: String::new(),
        sku_id: String::new(),
        sku_title: String::new(),
        publisher: String::new(),
        tags: meter.tags.join(","),
    };
    prices
        .add(details, ListPrice { from, until: None, tiers })
        .map_err(|why| wrong("MeterId", &meter.id, why))
}

fn fault(file: &str, row: Option<u64>, field: &str, value: Option<&str>, reason: String) -> Fault {
    Fault {
        file: file.to_owned(),
        line: row,
        field: Some(field.to_owned()),
        value: value.map(ToOwned::to_owned),
        reason,
    }
}

fn refused(fault: Fault) -> kernel::Error {
    let (subject, mut faults) = (fault.file.clone(), Faults::default());
    faults.push(fault);
    kernel::Error::Refused { subject, faults: Box::new(faults) }
}

fn unreadable(file: &str, error: &serde_json::Error) -> kernel::Error {
    let reason = format!("is not a rate card: {error}");
    let line = Some(error.line() as u64);
    refused(Fault { file: file.to_owned(), line, field: None, value: None, reason })
}
