//! How sellers made their prices: from a price sheet, from what they pay themselves, by a rule.

use std::collections::BTreeMap;

use bigdecimal::{BigDecimal, One};
use jiff::Timestamp;

use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::number;
use crate::prices::{MeterPrices, Price};
use crate::table::{Row, Table};

const COLUMNS: &[&str] = &[
    "Buyer",
    "PriceList",
    "MeterId",
    "EffectiveFrom",
    "EffectiveUntil",
    "Tier",
    "TierFrom",
    "PriceBook",
    "Selector",
    "RuleFrom",
    "RuleUntil",
    "Derivation",
    "Percent",
    "Source",
    "SourcePriceList",
    "SourcePrice",
    "SourceCurrency",
    "SourceExchangeRate",
    "ExchangeRate",
    "EffectiveUnitPrice",
    "PricingCurrency",
];

/// Decimals of a derived price.
const DERIVED_DECIMALS: u8 = 12;

/// Recomputes the prices of every seller that shows how it made them.
pub(crate) fn check(folder: &Folder, edges: &[Edge<'_>], faults: &mut Faults) {
    for seller in &folder.certificate.derivations {
        let path = folder.path(&format!("{seller}/derivations.csv"));
        let sold: Vec<&Edge<'_>> =
            edges.iter().filter(|edge| edge.certified.seller == *seller).collect();
        let mut check =
            Check { path, edges, sold: &sold, rates: BTreeMap::new(), sheets: BTreeMap::new() };
        if let Err((line, reason)) = check.rows(folder, faults) {
            faults.add(&check.path, line, reason);
        }
    }
}

struct Check<'a> {
    path: String,
    edges: &'a [Edge<'a>],
    sold: &'a [&'a Edge<'a>],
    /// The rate by which a buyer's price was exchanged from a currency.
    rates: BTreeMap<(String, String), String>,
    /// What sheets say: by sheet, meter, tier and the day from which it is cited.
    sheets: BTreeMap<(String, String, String, String), (String, String)>,
}

impl Check<'_> {
    /// The rows stand in the order of the price lists, one a price.
    fn rows(&mut self, folder: &Folder, faults: &mut Faults) -> Result<(), (Option<u64>, String)> {
        let table = Table::open(&folder.root.join(&self.path), COLUMNS);
        let mut table = table.map_err(|reason| (Some(1), reason))?;
        let mut row = Row::default();
        let mut priced: BTreeMap<[String; 6], (&Edge<'_>, &MeterPrices, &Price)> = BTreeMap::new();
        for edge in self.sold {
            for ((list, meter_id), meter) in &edge.prices.meters {
                for price in &meter.prices {
                    let key = [
                        edge.certified.buyer.clone(),
                        list.clone(),
                        meter_id.clone(),
                        price.from.to_string(),
                        price.until.to_string(),
                        price.tier.to_string(),
                    ];
                    priced.insert(key, (edge, meter, price));
                }
            }
        }
        while table.next(&mut row).map_err(|(line, reason)| (Some(line), reason))? {
            let key: [String; 6] = std::array::from_fn(|at| row.cell(at).to_owned());
            let Some((edge, meter, price)) = priced.remove(&key) else {
                faults.add(&self.path, Some(row.line), "belongs to no price of the buyer's list");
                continue;
            };
            if let Err(reason) = self.row(&row, edge, meter, price, faults) {
                faults.add(&self.path, Some(row.line), reason);
            }
        }
        for (edge, meter, price) in priced.values() {
            let reason = format!("{} has no derivation in {}", meter.meter, self.path);
            faults.add(&edge.prices.path, Some(price.line), reason);
        }
        Ok(())
    }

    fn row(
        &mut self,
        row: &Row,
        edge: &Edge<'_>,
        meter: &MeterPrices,
        price: &Price,
        faults: &mut Faults,
    ) -> Result<(), String> {
        let at = (self.path.as_str(), Some(row.line));
        faults.same(at, "TierFrom", row.cell(6), &number::trimmed(&price.tier_from));
        faults.same(at, "PricingCurrency", row.cell(20), &price.stated[2]);
        let made = Made::of(row)?;
        let effective = made.effective();
        faults.same(at, "EffectiveUnitPrice", row.cell(19), &number::trimmed(&effective));
        let in_list = (edge.prices.path.as_str(), Some(price.line));
        faults.same(in_list, "EffectiveUnitPrice", &price.stated[1], &number::trimmed(&effective));
        let list_price = if made.from_list { &made.source } else { &effective };
        faults.same(in_list, "UnitPrice", &price.stated[0], &number::trimmed(list_price));
        faults.same(in_list, "PriceAdjustmentDescription", &price.adjustment, &made.adjustment());
        Self::check_dates(row, price)?;
        self.check_rates(row)?;
        self.check_source(row, edge, meter, price)
    }

    /// The rule applied when the price began.
    fn check_dates(row: &Row, price: &Price) -> Result<(), String> {
        let bound = |at: usize| match row.cell(at) {
            "" => Ok(None),
            text => text
                .parse::<Timestamp>()
                .map(Some)
                .map_err(|_| format!("{} is {text:?}: not an instant", COLUMNS[at])),
        };
        let (from, until) = (bound(9)?, bound(10)?);
        if from.is_some_and(|from| price.from < from)
            || until.is_some_and(|until| until <= price.from)
        {
            return Err("the rule does not apply when the price begins".into());
        }
        Ok(())
    }

    /// Where nothing is exchanged the rate is one; a buyer's prices are exchanged at one rate.
    fn check_rates(&mut self, row: &Row) -> Result<(), String> {
        let (source, rate) = (row.cell(16), row.cell(18));
        let key = (row.cell(0).to_owned(), format!("{source}/{}", row.cell(13)));
        if row.cell(11) != "buy plus" {
            let plain = row.cell(17) == "1" && rate == "1" && source == row.cell(20);
            return if plain { Ok(()) } else { Err("nothing is exchanged by such a rule".into()) };
        }
        let known = self.rates.entry(key).or_insert_with(|| rate.to_owned());
        if known == rate {
            Ok(())
        } else {
            Err(format!("ExchangeRate is {rate}; the rows before have {known}"))
        }
    }

    /// A price sheet says the same to everybody; what a seller pays stands in its own price list.
    fn check_source(
        &mut self,
        row: &Row,
        edge: &Edge<'_>,
        meter: &MeterPrices,
        price: &Price,
    ) -> Result<(), String> {
        let source = row.cell(13);
        let Some(key) = source.strip_prefix("bought from ") else {
            if source == "rule" {
                return if row.cell(11) == "fixed" {
                    Ok(())
                } else {
                    Err("only a fixed price has no source".into())
                };
            }
            let entry = [13, 2, 5, 3].map(|at| row.cell(at).to_owned());
            let [sheet, meter, tier, from] = entry;
            let said = (row.cell(15).to_owned(), row.cell(16).to_owned());
            let known =
                self.sheets.entry((sheet, meter, tier, from)).or_insert_with(|| said.clone());
            return if *known == said {
                Ok(())
            } else {
                Err(format!(
                    "SourcePrice is {} {}; another row has {} {}",
                    said.0, said.1, known.0, known.1
                ))
            };
        };
        if row.cell(11) != "buy plus" {
            return Err("only buy plus has such a source".into());
        }
        let bought = self.edges.iter().find(|bought| {
            bought.certified.seller == key && bought.certified.buyer == edge.certified.seller
        });
        // What the seller itself paid may be outside what was exported.
        let Some(bought) = bought else { return Ok(()) };
        let list = bought.prices.of(row.cell(14), &meter.meter);
        let list =
            list.ok_or_else(|| format!("list {} of {key} does not have the meter", row.cell(14)))?;
        let paid = list.prices.iter().find(|paid| {
            paid.from <= price.from && price.from < paid.until && paid.tier == price.tier
        });
        let paid =
            paid.ok_or_else(|| format!("list {} of {key} has no such price", row.cell(14)))?;
        let said = [15, 16, 17].map(|at| row.cell(at));
        let [_, effective, currency, rate, _] = &paid.stated;
        let tiers = paid.tier_from == price.tier_from;
        if said != [effective.as_str(), currency, rate] || !tiers {
            return Err(format!(
                "SourcePrice is {} {} at {}; {}:{} says {effective} {currency} at {rate}",
                said[0], said[1], said[2], bought.prices.path, paid.line
            ));
        }
        Ok(())
    }
}

/// What a price is made of.
struct Made {
    from_list: bool,
    percent: BigDecimal,
    source: BigDecimal,
    /// By what the source is multiplied: percentage and rates; none where nothing is done.
    factor: Option<BigDecimal>,
}

impl Made {
    fn of(row: &Row) -> Result<Self, String> {
        let number = |at: usize| {
            let text = row.cell(at);
            number::parse_trimmed(text)
                .ok_or_else(|| format!("{} is {text:?}: not a number", COLUMNS[at]))
        };
        let percent = number(12)?;
        let hundredth = &percent * BigDecimal::new(1.into(), 2);
        let (from_list, factor) = match row.cell(11) {
            "list minus" => (true, BigDecimal::one() - hundredth),
            "buy plus" => (false, BigDecimal::one() + hundredth),
            "fixed" if row.cell(12) == "0" => (false, BigDecimal::one()),
            other => return Err(format!("Derivation is {other:?} with {percent} percent")),
        };
        let untouched = [12, 17, 18].map(|at| row.cell(at)) == ["0", "1", "1"];
        let factor = factor * number(17)? * number(18)?;
        let factor = (!untouched).then_some(factor);
        Ok(Self { from_list, percent, source: number(15)?, factor })
    }

    /// A derived price is rounded once, half even; one that nothing is done to stays as it is.
    fn effective(&self) -> BigDecimal {
        let Some(factor) = &self.factor else { return self.source.clone() };
        number::half_even(&(&self.source * factor), DERIVED_DECIMALS)
    }

    fn adjustment(&self) -> String {
        if !self.from_list || self.effective() == self.source {
            return String::new();
        }
        let (percent, what) = if self.percent.sign() == bigdecimal::num_bigint::Sign::Minus {
            (-&self.percent, "surcharge")
        } else {
            (self.percent.clone(), "discount")
        };
        format!("[\"{}% {what} on the list price\"]", number::trimmed(&percent))
    }
}
