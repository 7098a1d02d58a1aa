//! The price list of an edge: what its buyer paid for each meter, when, in which tier.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, Zero};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::fault::Faults;
use crate::folder::Folder;
use crate::number;
use crate::subscriptions::{Subscriptions, start_of};
use crate::table::{Row, Table};

const COLUMNS: &[&str] = &[
    "PriceList",
    "MeterId",
    "MeterName",
    "MeterCategory",
    "MeterSubCategory",
    "MeterRegion",
    "Unit",
    "ProductId",
    "ProductName",
    "SkuId",
    "SkuName",
    "PublisherName",
    "EffectiveFrom",
    "EffectiveUntil",
    "Tier",
    "TierFrom",
    "UnitPrice",
    "EffectiveUnitPrice",
    "PricingCurrency",
    "PCToBCExchangeRate",
    "PCToBCExchangeRateDate",
    "PriceAdjustmentDescription",
];

/// Decimals of a price less a credit.
const CREDITED_DECIMALS: u8 = 16;

/// What a meter is called: the columns from its name to its publisher.
pub(crate) type Product = [String; 10];

/// A price as rows state it: list price, effective price, currency, rate, day of the rate.
pub(crate) type Stated = [String; 5];

/// One tier of one interval.
#[derive(Debug)]
pub(crate) struct Price {
    pub line: u64,
    /// Number of the interval of the meter, from zero.
    pub interval: usize,
    pub tier: usize,
    pub tier_from: BigDecimal,
    pub from: Timestamp,
    pub until: Timestamp,
    /// First and last day of the interval, in the programme's zone.
    pub days: (Date, Date),
    pub stated: Stated,
    pub effective: BigDecimal,
    pub rate: BigDecimal,
    pub adjustment: String,
    /// What is stated, and the effective price, where credit is earned.
    pub credited: Option<(Stated, BigDecimal)>,
}

impl Price {
    /// What rows state that earn credit, or do not.
    pub fn stated(&self, credited: bool) -> &Stated {
        self.credited.as_ref().filter(|_| credited).map_or(&self.stated, |(stated, _)| stated)
    }

    /// What one unit costs where credit is earned, or is not.
    pub fn effective(&self, credited: bool) -> &BigDecimal {
        let less = self.credited.as_ref().filter(|_| credited);
        less.map_or(&self.effective, |(_, effective)| effective)
    }
}

/// A meter of a price list.
#[derive(Debug)]
pub(crate) struct MeterPrices {
    pub meter: String,
    pub product: Product,
    /// By interval and tier.
    pub prices: Vec<Price>,
}

/// The price lists of an edge, by list and meter.
#[derive(Debug, Default)]
pub(crate) struct Prices {
    pub path: String,
    pub meters: BTreeMap<(String, String), MeterPrices>,
    /// List and meter of the last row that was read.
    last: Option<(u64, String)>,
}

impl Prices {
    /// Reads the prices of an edge that is billed in a currency.
    pub fn load(folder: &Folder, place: &str, currency: &str, faults: &mut Faults) -> Self {
        let path = format!("{place}/prices.csv");
        let mut prices = Self { path: path.clone(), ..Self::default() };
        let mut table = match Table::open(&folder.root.join(&path), COLUMNS) {
            Ok(table) => table,
            Err(reason) => {
                faults.add(&path, Some(1), reason);
                return prices;
            }
        };
        let zone = TimeZone::get(&folder.certificate.zone).unwrap_or_else(|error| {
            folder.certificate_fault(faults, "\"zone\"", error.to_string());
            TimeZone::UTC
        });
        let mut row = Row::default();
        loop {
            match table.next(&mut row) {
                Ok(true) => {
                    if let Err(reason) = prices.row(&row, &zone, currency) {
                        faults.add(&path, Some(row.line), reason);
                    }
                }
                Ok(false) => break,
                Err((line, reason)) => {
                    faults.add(&path, Some(line), reason);
                    break;
                }
            }
        }
        prices.check(faults);
        prices
    }

    fn row(&mut self, row: &Row, zone: &TimeZone, currency: &str) -> Result<(), String> {
        let number = |at: usize| {
            let text = row.cell(at);
            number::parse_trimmed(text)
                .ok_or_else(|| format!("{} is {text:?}: not a number", COLUMNS[at]))
        };
        let instant = |at: usize| {
            let text = row.cell(at);
            let instant: Result<Timestamp, _> = text.parse();
            instant
                .ok()
                .filter(|instant| instant.to_string() == text)
                .ok_or_else(|| format!("{} is {text:?}: not an instant", COLUMNS[at]))
        };
        let (from, until) = (instant(12)?, instant(13)?);
        if from >= until {
            return Err("EffectiveUntil is not after EffectiveFrom".into());
        }
        let product: Product = std::array::from_fn(|at| row.cell(2 + at).to_owned());
        let stated: Stated = std::array::from_fn(|at| row.cell(16 + at).to_owned());
        let (effective, rate) = (number(17)?, number(19)?);
        number(16)?;
        check_rate(&stated, &rate, currency)?;
        let key = (row.cell(0).to_owned(), row.cell(1).to_owned());
        let list: u64 = row.cell(0).parse().map_err(|_| "PriceList is not a number".to_owned())?;
        let place = Some((list, key.1.clone()));
        if place < self.last {
            return Err("does not follow the row before: lists and meters are in order".into());
        }
        self.last = place;
        let meter = self.meters.entry(key).or_insert_with(|| MeterPrices {
            meter: row.cell(1).to_owned(),
            product: product.clone(),
            prices: Vec::new(),
        });
        if meter.product != product {
            return Err("names the meter otherwise than the row before".into());
        }
        let tier: usize = row.cell(14).parse().map_err(|_| "Tier is not a number".to_owned())?;
        let tier_from = number(15)?;
        let last = meter.prices.last();
        let interval = match last {
            Some(last) if (last.from, last.until) == (from, until) => last.interval,
            Some(last) if last.until <= from => last.interval + 1,
            Some(_) => return Err("its interval overlaps the one before".into()),
            None => 0,
        };
        let above = last.filter(|last| last.interval == interval);
        let in_order = match above {
            Some(above) => tier == above.tier + 1 && tier_from > above.tier_from,
            None => tier == 0 && tier_from.is_zero(),
        };
        if !in_order {
            return Err("its tier does not follow the one before".into());
        }
        meter.prices.push(Price {
            line: row.line,
            interval,
            tier,
            tier_from,
            from,
            until,
            days: days(from, until, zone),
            stated,
            effective,
            rate,
            adjustment: row.cell(21).to_owned(),
            credited: None,
        });
        Ok(())
    }

    /// Intervals lie in what is charged by their list.
    pub fn check_charged(
        &self,
        folder: &Folder,
        subscriptions: &Subscriptions,
        faults: &mut Faults,
    ) {
        let mut charged: BTreeMap<&str, (Option<Timestamp>, Option<Timestamp>)> = BTreeMap::new();
        for subscription in subscriptions.by_id.values() {
            let (first, last) = subscription.charged;
            let after = last.tomorrow().ok().and_then(|day| start_of(folder, day));
            let bounds = (start_of(folder, first), after);
            if *charged.entry(&subscription.list).or_insert(bounds) != bounds {
                let reason = format!("list {} has prices of other days", subscription.list);
                faults.add(&subscriptions.path, Some(subscription.line), reason);
            }
        }
        for ((list, _), meter) in &self.meters {
            let (start, end) = charged.get(list.as_str()).copied().unwrap_or_default();
            for price in &meter.prices {
                if start.is_none_or(|start| price.from < start)
                    || end.is_none_or(|end| price.until > end)
                {
                    let reason = "its interval is not in what is charged by its list";
                    faults.add(&self.path, Some(price.line), reason);
                }
            }
        }
    }

    /// One currency has one rate; a meter has one name.
    fn check(&self, faults: &mut Faults) {
        let mut rates: BTreeMap<&str, (&str, &str)> = BTreeMap::new();
        let mut names: BTreeMap<&str, &Product> = BTreeMap::new();
        for meter in self.meters.values() {
            if *names.entry(&meter.meter).or_insert(&meter.product) != &meter.product {
                let line = meter.prices.first().map(|price| price.line);
                faults.add(&self.path, line, "names the meter otherwise than another list");
            }
            for price in &meter.prices {
                let [_, _, currency, rate, day] = &price.stated;
                let first = *rates.entry(currency).or_insert((rate, day));
                if first != (rate.as_str(), day.as_str()) {
                    let reason = format!(
                        "exchanges {currency} at {rate} of {day:?}; the rows before at {} of {:?}",
                        first.0, first.1
                    );
                    faults.add(&self.path, Some(price.line), reason);
                }
            }
        }
    }

    /// Adds what prices are less a credit: half even, 16 decimals.
    pub fn credit(&mut self, factor: &BigDecimal) {
        for price in self.meters.values_mut().flat_map(|meter| &mut meter.prices) {
            let effective = number::half_even(&(&price.effective * factor), CREDITED_DECIMALS);
            let mut stated = price.stated.clone();
            stated[1] = number::trimmed(&effective);
            price.credited = Some((stated, effective));
        }
    }

    /// The prices of a meter on a list.
    pub fn of(&self, list: &str, meter: &str) -> Option<&MeterPrices> {
        self.meters.get(&(list.to_owned(), meter.to_owned()))
    }
}

/// The first and the last day of a stretch of time.
fn days(from: Timestamp, until: Timestamp, zone: &TimeZone) -> (Date, Date) {
    let day = |instant: Timestamp| instant.to_zoned(zone.clone()).date();
    let last = Timestamp::from_microsecond(until.as_microsecond() - 1).unwrap_or(until);
    (day(from), day(last))
}

fn check_rate(stated: &Stated, rate: &BigDecimal, currency: &str) -> Result<(), String> {
    let [_, _, pricing, text, day] = stated;
    if pricing == currency {
        return match (text.as_str(), day.as_str()) {
            ("1", "") => Ok(()),
            _ => Err("nothing is exchanged, so the rate must be 1 without a date".into()),
        };
    }
    if *rate <= BigDecimal::zero() {
        return Err("PCToBCExchangeRate must be above zero".into());
    }
    let is_day = day.strip_suffix("T00:00:00Z").is_some_and(|day| day.parse::<Date>().is_ok());
    if is_day { Ok(()) } else { Err(format!("PCToBCExchangeRateDate is {day:?}: not a day")) }
}
