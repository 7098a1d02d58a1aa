//! The price sheet of the plan (`azure_consumption`): a table with US dates and inclusive ranges
//! of unit numbers.

use std::collections::BTreeMap;
use std::io::BufRead;

use domain::{ListPrice, Meter, Tier, Tiers};
use kernel::{Currency, Error, Fault, MeterId, Quantity, Result, UnitPrice};

use super::PriceFile;
use crate::imports::quarantine::Quarantine;
use crate::imports::table::{Table, TableRow};
use crate::imports::times;

/// The most rows that a sheet may have.
const ROWS_MAX: u64 = 20_000_000;
/// From this year on, an end is no end (`11/30/9999`).
const NEVER: &str = "9000-01-01";
/// A second and a day, in microseconds.
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// So many digits before the point, and a bound is no bound (9,223,372,036,854,780,000).
const UNBOUNDED_DIGITS: usize = 16;

struct Columns {
    meter: usize,
    price: usize,
    currency: usize,
    start: usize,
    end: Option<usize>,
    range_min: Option<usize>,
    range_max: Option<usize>,
    market: Option<usize>,
    term: Option<usize>,
    texts: [Option<usize>; 8],
}

impl Columns {
    fn of<R: BufRead>(table: &Table<R>) -> Result<Self> {
        let text = |name: &str| table.column(&[name]);
        Ok(Self {
            meter: table.required(&["MeterIds", "MeterId"])?,
            price: table.required(&["UnitPrice"])?,
            currency: table.required(&["Currency"])?,
            start: table.required(&["EffectiveStartDate"])?,
            end: text("EffectiveEndDate"),
            range_min: text("PricingTierRangeMin"),
            range_max: text("PricingTierRangeMax"),
            market: text("Market"),
            term: text("TermDuration"),
            texts: [
                text("ProductId"),
                text("ProductTitle"),
                text("SkuId"),
                text("SkuTitle"),
                text("Publisher"),
                text("UnitOfMeasure"),
                text("SkuDescription"),
                text("Tags"),
            ],
        })
    }
}

/// The rows of one price: a meter of a product and SKU from an instant on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct PriceKey {
    meter: MeterId,
    product: String,
    sku: String,
    from: i64,
    until: Option<i64>,
}

struct RangedPrice {
    row: u64,
    min: Option<Quantity>,
    max: Option<Quantity>,
    price: UnitPrice,
}

/// Reads a sheet; of several markets the one that is asked for.
pub(super) fn read(
    file: &str,
    text: impl BufRead,
    market: Option<&str>,
    quarantine: &mut Quarantine,
) -> Result<PriceFile> {
    let mut table = Table::open(file, text)?;
    let columns = Columns::of(&table)?;
    let mut sheet = Sheet {
        file,
        market,
        currency: None,
        seen_market: None,
        ranges: BTreeMap::new(),
        meters: BTreeMap::new(),
    };
    let mut rows = 0;
    loop {
        let taken = match table.next() {
            None => break,
            Some(Err(fault)) => Err(fault),
            Some(Ok(row)) => sheet.take(&columns, row),
        };
        rows += 1;
        if rows > ROWS_MAX {
            return Err(Error::invalid(file, format!("has more than {ROWS_MAX} rows")));
        }
        if let Err(fault) = taken {
            let record = table.headers.iter().map(String::as_str).zip(table.cells()).collect();
            quarantine.put(vec![fault], &record)?;
        }
    }
    let Some(currency) = sheet.currency else {
        let reason = market.map_or_else(
            || "has no price".to_owned(),
            |market| format!("has no price for the market {market}"),
        );
        return Err(Error::invalid(file, reason));
    };
    let mut prices = PriceFile { currency, meters: BTreeMap::new(), rows, notes: Vec::new() };
    for (key, ranges) in sheet.ranges {
        let meter = sheet.meters[&(key.meter.clone(), key.sku.clone())].clone();
        let row = ranges.first().map(|range| range.row);
        let added = tiers(ranges).and_then(|tiers| {
            prices.add(meter, ListPrice { from: key.from, until: key.until, tiers })
        });
        if let Err(reason) = added {
            let (field, value) = (Some("MeterIds".to_owned()), Some(key.meter.to_string()));
            let fault = Fault { file: file.to_owned(), line: row, field, value, reason };
            let meter = key.meter.to_string();
            quarantine.put(vec![fault], &BTreeMap::from([("MeterIds", meter.as_str())]))?;
        }
    }
    Ok(prices)
}

struct Sheet<'a> {
    file: &'a str,
    market: Option<&'a str>,
    currency: Option<Currency>,
    seen_market: Option<String>,
    ranges: BTreeMap<PriceKey, Vec<RangedPrice>>,
    meters: BTreeMap<(MeterId, String), Meter>,
}

impl Sheet<'_> {
    fn take(&mut self, columns: &Columns, row: TableRow<'_>) -> Result<(), Fault> {
        if !self.is_wanted(columns, row)? {
            return Ok(());
        }
        let term = row.get(columns.term);
        if !term.is_empty() && !term.to_lowercase().starts_with("payg") {
            let reason = "is not pay as you go; this import reads prices of consumption";
            return Err(row.fault(columns.term, reason));
        }
        let currency: Currency = row.parsed(columns.currency)?;
        if *self.currency.get_or_insert(currency) != currency {
            let reason = "is not the currency of the rows before; a sheet has one currency";
            return Err(row.fault(Some(columns.currency), reason));
        }
        let start = row.get(Some(columns.start));
        let from =
            times::time(start).ok_or_else(|| row.fault(Some(columns.start), times::EXPECTED))?;
        let until = end(columns, row)?;
        if until.is_some_and(|until| until <= from) {
            return Err(row.fault(columns.end, format!("is not after the start, {start}")));
        }
        let range = RangedPrice {
            row: row.row,
            min: bound(columns.range_min, row)?,
            max: bound(columns.range_max, row)?,
            price: row.parsed(columns.price)?,
        };
        let ids = row.get(Some(columns.meter));
        let ids = ids.split([',', ';', '|', ' ']).filter(|id| !id.is_empty());
        let ids: Vec<MeterId> = ids
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|why| row.fault(Some(columns.meter), why))?;
        if ids.is_empty() {
            return Err(row.fault(Some(columns.meter), "names no meter"));
        }
        for id in ids {
            let meter = meter(columns, row, id);
            let key = PriceKey {
                meter: meter.id.clone(),
                product: meter.product_id.clone(),
                sku: meter.sku_id.clone(),
                from,
                until,
            };
            self.meters.insert((meter.id.clone(), meter.sku_id.clone()), meter);
            self.ranges.entry(key).or_default().push(RangedPrice { ..range });
        }
        Ok(())
    }

    /// Whether a row is of the wanted market. Without a wish the file may have only one.
    fn is_wanted(&mut self, columns: &Columns, row: TableRow<'_>) -> Result<bool, Fault> {
        let market = row.get(columns.market);
        if let Some(wanted) = self.market {
            return Ok(market.eq_ignore_ascii_case(wanted));
        }
        let seen = self.seen_market.get_or_insert_with(|| market.to_owned());
        if seen == market {
            return Ok(true);
        }
        let reason = format!(
            "is another market than {seen}, and {} has several; say which one with --market",
            self.file
        );
        Err(row.fault(columns.market, reason))
    }
}

fn meter(columns: &Columns, row: TableRow<'_>, id: MeterId) -> Meter {
    let [product_id, product_title, sku_id, sku_title, publisher, unit, description, tags] =
        columns.texts.map(|column| row.get(column).to_owned());
    Meter {
        id,
        name: if description.is_empty() { sku_title.clone() } else { description },
        // A plan sheet has no categories; its products take their place.
        category: product_title.clone(),
        subcategory: String::new(),
        region: String::new(),
        unit,
        product_id,
        product_title,
        sku_id,
        sku_title,
        publisher,
        tags,
    }
}

/// The end of a price, exclusive. The sheet writes the last second.
fn end(columns: &Columns, row: TableRow<'_>) -> Result<Option<i64>, Fault> {
    let text = row.get(columns.end);
    if text.is_empty() {
        return Ok(None);
    }
    let end = times::time(text).ok_or_else(|| row.fault(columns.end, times::EXPECTED))?;
    if times::time(NEVER).is_some_and(|never| end >= never) {
        return Ok(None);
    }
    let last_second_of_a_day = end.rem_euclid(DAY) == DAY - SECOND;
    Ok(Some(if last_second_of_a_day { end + SECOND } else { end }))
}

/// A bound of a range of unit numbers; none where the cell is empty or says "no bound".
fn bound(column: Option<usize>, row: TableRow<'_>) -> Result<Option<Quantity>, Fault> {
    let text = row.get(column);
    let whole = text.split(['.', 'e', 'E']).next().unwrap_or_default();
    if text.is_empty() || whole.trim_start_matches('0').len() >= UNBOUNDED_DIGITS {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|why| row.fault(column, why))
}

/// Ranges of unit numbers (1 to 100, 101 to 100,000) as lower bounds (0, 100): a tier begins
/// where the one before it ends.
fn tiers(mut ranges: Vec<RangedPrice>) -> Result<Tiers, String> {
    ranges.sort_by_key(|range| range.min);
    let one: Quantity = Quantity::from_mantissa(10i128.pow(u32::from(kernel::QUANTITY_SCALE)));
    let mut tiers: Vec<Tier> = Vec::new();
    let mut end = Some(Quantity::ZERO);
    for range in ranges {
        let min = range.min.unwrap_or(Quantity::ZERO);
        let Some(before) = end else {
            return Err(format!("has a tier at {min} above one without an upper bound"));
        };
        let continues = min == before || Some(min) == before.checked_add(one);
        if !continues {
            return Err(format!("has a tier from {min} where the one before ends at {before}"));
        }
        tiers.push(Tier { from: before, price: range.price });
        end = range.max;
    }
    Tiers::new(tiers)
}
