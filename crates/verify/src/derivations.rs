//! How sellers made their prices: from a price sheet, from what they pay themselves, by a rule.

use std::collections::{BTreeMap, HashMap};

use bigdecimal::{BigDecimal, One};
use jiff::Timestamp;

use crate::adjustment::{Pair, each_row};
use crate::charged::ChargedDays;
use crate::daily_columns::{EFFECTIVE_PRICE as USED_PRICE, METER as USED_METER};
use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::{Folder, Revision};
use crate::number;
use crate::prices::{MeterPrices, Price, Prices};
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

const BUYER: usize = 0;
const LIST: usize = 1;
const METER: usize = 2;
const FROM: usize = 3;
const TIER: usize = 5;
const TIER_FROM: usize = 6;
const BOOK: usize = 7;
const SELECTOR: usize = 8;
const RULE_FROM: usize = 9;
const RULE_UNTIL: usize = 10;
const DERIVATION: usize = 11;
const PERCENT: usize = 12;
const SOURCE: usize = 13;
const SOURCE_LIST: usize = 14;
const SOURCE_PRICE: usize = 15;
const SOURCE_CURRENCY: usize = 16;
const SOURCE_RATE: usize = 17;
const RATE: usize = 18;
const EFFECTIVE: usize = 19;
const CURRENCY: usize = 20;

/// Decimals of a derived price.
const DERIVED_DECIMALS: u8 = 12;

/// Recomputes the prices of every seller that shows how it made them.
pub(crate) fn check(folder: &Folder, revision: &Revision, lists: &Lists<'_>, faults: &mut Faults) {
    for seller in &revision.derivations {
        let path = folder.path(revision, &format!("{seller}/derivations.csv"));
        let sold: Vec<&Edge<'_>> =
            lists.edges.iter().filter(|edge| edge.certified.seller == *seller).collect();
        let whole = folder.is_whole();
        let is_close = revision.revision == 0;
        let mut check =
            Check { folder, path, lists, sold: &sold, whole, is_close, said: BTreeMap::new() };
        if let Err((line, reason)) = check.rows(folder, faults) {
            faults.add(&check.path, line, reason);
        }
    }
}

/// The price lists that there are.
pub(crate) struct Lists<'a> {
    pub edges: &'a [Edge<'a>],
    /// What buyers expect to pay where nothing is billed here.
    pub expected: &'a HashMap<Pair, Prices>,
    /// Those of earlier revisions.
    pub before: &'a HashMap<Pair, Vec<Prices>>,
    /// What is billed on other days.
    pub charged: &'a ChargedDays,
}

impl Lists<'_> {
    /// By which somebody buys from somebody, now.
    fn bought(&self, pair: &Pair) -> impl Iterator<Item = &Prices> {
        let edges = self.edges.iter().filter(|e| crate::adjustment::pair(e.certified) == *pair);
        edges.map(|edge| &edge.prices).chain(self.expected.get(pair))
    }
}

struct Check<'a> {
    folder: &'a Folder,
    path: String,
    lists: &'a Lists<'a>,
    sold: &'a [&'a Edge<'a>],
    /// Whether everybody's files are here.
    whole: bool,
    /// Whether everybody is billed by the same facts. In an adjustment, prices may have been
    /// restated for one buyer and not for another.
    is_close: bool,
    /// What rows before have said of something that says the same to everybody.
    said: BTreeMap<Vec<String>, Vec<String>>,
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
        let mut before = None;
        while table.next(&mut row).map_err(|(line, reason)| (Some(line), reason))? {
            let key: [String; 6] = std::array::from_fn(|at| row.cell(at).to_owned());
            let number = |at: usize| row.cell(at).parse::<u64>().ok();
            let place =
                (key[0].clone(), number(LIST), key[2].clone(), key[3].clone(), number(TIER));
            if before.as_ref().is_some_and(|before| *before >= place) {
                faults.add(&self.path, Some(row.line), "does not follow the row before");
            }
            before = Some(place);
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
        faults.same(at, "TierFrom", row.cell(TIER_FROM), &number::trimmed(&price.tier_from));
        faults.same(at, "PricingCurrency", row.cell(CURRENCY), &price.stated[2]);
        let made = Made::of(row)?;
        let effective = made.effective();
        faults.same(at, "EffectiveUnitPrice", row.cell(EFFECTIVE), &number::trimmed(&effective));
        let in_list = (edge.prices.path.as_str(), Some(price.line));
        faults.same(in_list, "EffectiveUnitPrice", &price.stated[1], &number::trimmed(&effective));
        let list_price = if made.from_list { &made.source } else { &effective };
        faults.same(in_list, "UnitPrice", &price.stated[0], &number::trimmed(list_price));
        faults.same(in_list, "PriceAdjustmentDescription", &price.adjustment, &made.adjustment());
        Self::check_dates(row, price)?;
        self.check_rule(row)?;
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
        let (from, until) = (bound(RULE_FROM)?, bound(RULE_UNTIL)?);
        if from.is_some_and(|from| price.from < from)
            || until.is_some_and(|until| until <= price.from)
        {
            return Err("the rule does not apply when the price begins".into());
        }
        Ok(())
    }

    /// What says the same to everybody says what it said in the rows before.
    fn said_before(&mut self, row: &Row, of: &[usize], says: &[usize]) -> Result<(), String> {
        let cells = |columns: &[usize]| -> Vec<String> {
            columns.iter().map(|at| format!("{} {}", COLUMNS[*at], row.cell(*at))).collect()
        };
        let said = cells(says);
        let mut key = cells(of);
        if !self.is_close {
            key.push(row.cell(BUYER).to_owned());
        }
        let known = self.said.entry(key).or_insert_with(|| said.clone());
        if *known == said {
            return Ok(());
        }
        Err(format!("says {}; the rows before say {}", said.join(", "), known.join(", ")))
    }

    /// A rule is the same wherever it applies; a buyer's prices are exchanged at one rate.
    fn check_rule(&mut self, row: &Row) -> Result<(), String> {
        self.said_before(row, &[BOOK, SELECTOR, RULE_FROM, RULE_UNTIL], &[DERIVATION, PERCENT])?;
        if row.cell(DERIVATION) == "buy plus" {
            return self.said_before(row, &[BUYER, SOURCE, SOURCE_CURRENCY], &[RATE]);
        }
        let plain = row.cell(SOURCE_RATE) == "1" && row.cell(RATE) == "1";
        if !plain || row.cell(SOURCE_CURRENCY) != row.cell(CURRENCY) {
            return Err("nothing is exchanged by such a rule".into());
        }
        Ok(())
    }

    fn check_source(
        &mut self,
        row: &Row,
        edge: &Edge<'_>,
        meter: &MeterPrices,
        price: &Price,
    ) -> Result<(), String> {
        match (row.cell(DERIVATION), row.cell(SOURCE)) {
            ("fixed", "rule") => {}
            ("list minus", sheet) if sheet.starts_with("price sheet ") => {
                // A sheet says the same to everybody, and a list is made from one sheet.
                self.said_before(row, &[BUYER, LIST, DERIVATION], &[SOURCE])?;
                self.said_before(
                    row,
                    &[SOURCE, METER, TIER, FROM],
                    &[SOURCE_PRICE, SOURCE_CURRENCY],
                )?;
            }
            ("buy plus", bought) => {
                let seller = bought.strip_prefix("bought from ");
                let seller = seller.ok_or_else(|| format!("Source is {bought:?}"))?;
                return self.check_bought(row, seller, edge, meter, price);
            }
            (rule, source) => return Err(format!("Derivation is {rule:?} with Source {source:?}")),
        }
        if row.cell(SOURCE_LIST).is_empty() {
            return Ok(());
        }
        Err("SourcePriceList is of what somebody has bought".into())
    }

    /// What a seller pays stands in its own price list.
    fn check_bought(
        &self,
        row: &Row,
        seller: &str,
        edge: &Edge<'_>,
        meter: &MeterPrices,
        price: &Price,
    ) -> Result<(), String> {
        let list = row.cell(SOURCE_LIST);
        if list.is_empty() {
            return self.check_bought_before(row, seller, edge, meter, price);
        }
        let pair = (seller.to_owned(), edge.certified.seller.clone());
        let bought = self.lists.bought(&pair).next();
        let Some(bought) = bought else {
            // It may be outside what was exported.
            return if self.whole {
                Err(format!("{} buys nothing from {seller}", edge.certified.seller))
            } else {
                Ok(())
            };
        };
        let paid = bought.of(list, &meter.meter).into_iter().flat_map(|meter| &meter.prices);
        let paid = paid.into_iter().find(|paid| is_paid_at(paid, price));
        let paid = paid.ok_or_else(|| format!("list {list:?} of {seller} has no such price"))?;
        let said = [SOURCE_PRICE, SOURCE_CURRENCY, SOURCE_RATE].map(|at| row.cell(at));
        let [_, effective, currency, rate, _] = &paid.stated;
        if !says(row, paid, price) {
            return Err(format!(
                "SourcePrice is {} {} at {}; {}:{} says {effective} {currency} at {rate}",
                said[0], said[1], said[2], bought.path, paid.line
            ));
        }
        Ok(())
    }

    /// Whether some row of the buyer is billed by a price. What was not used of a restated price
    /// stands in no document of whoever sells to the seller.
    fn is_billed(&self, row: &Row, edge: &Edge<'_>, meter: &MeterPrices) -> bool {
        let Some(path) = self.folder.table(&edge.place, "daily-rated-usage") else { return true };
        let mut found = false;
        let read = each_row(self.folder, &path, |used| {
            found |= used.cell(USED_METER) == meter.meter
                && used.cell(USED_PRICE) == row.cell(EFFECTIVE);
        });
        found || read.is_err()
    }

    /// A seller whose own prices have been restated, or are not adjusted now, sells by a price that
    /// it has paid: it stands in one of its price lists, unless the meter was never billed to it.
    fn check_bought_before(
        &self,
        row: &Row,
        seller: &str,
        edge: &Edge<'_>,
        meter: &MeterPrices,
        price: &Price,
    ) -> Result<(), String> {
        let pair = (seller.to_owned(), edge.certified.seller.clone());
        let before = self.lists.before.get(&pair).into_iter().flatten();
        let lists: Vec<&Prices> = before.chain(self.lists.bought(&pair)).collect();
        // What is billed on other days may be billed with another month.
        if self.lists.charged.has_edge(&pair.0, &pair.1) {
            return Ok(());
        }
        if lists.is_empty() && self.whole {
            return Err(format!("{} buys nothing from {seller}", edge.certified.seller));
        }
        let of_meter = lists.iter().flat_map(|lists| lists.meters.values());
        let of_meter = of_meter.filter(|listed| listed.meter == meter.meter);
        let mut paid = of_meter.flat_map(|listed| &listed.prices).filter(|p| is_paid_at(p, price));
        let is_known = paid.clone().next().is_some();
        if is_known && !paid.any(|paid| says(row, paid, price)) && self.is_billed(row, edge, meter)
        {
            return Err(format!(
                "SourcePrice is {} {} at {}, which {} has never paid to {seller}",
                row.cell(SOURCE_PRICE),
                row.cell(SOURCE_CURRENCY),
                row.cell(SOURCE_RATE),
                edge.certified.seller
            ));
        }
        Ok(())
    }
}

/// Whether one price applies where another begins, to the same units.
fn is_paid_at(paid: &Price, price: &Price) -> bool {
    paid.from <= price.from && price.from < paid.until && paid.tier == price.tier
}

/// Whether a row says that its source is a price.
fn says(row: &Row, paid: &Price, price: &Price) -> bool {
    let said = [SOURCE_PRICE, SOURCE_CURRENCY, SOURCE_RATE].map(|at| row.cell(at));
    let [_, effective, currency, rate, _] = &paid.stated;
    said == [effective.as_str(), currency, rate] && paid.tier_from == price.tier_from
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
        let percent = number(PERCENT)?;
        let hundredth = &percent * BigDecimal::new(1.into(), 2);
        let (from_list, factor) = match row.cell(DERIVATION) {
            "list minus" => (true, BigDecimal::one() - hundredth),
            "buy plus" => (false, BigDecimal::one() + hundredth),
            "fixed" if row.cell(PERCENT) == "0" => (false, BigDecimal::one()),
            other => return Err(format!("Derivation is {other:?} with {percent} percent")),
        };
        let untouched = [PERCENT, SOURCE_RATE, RATE].map(|at| row.cell(at)) == ["0", "1", "1"];
        let factor = factor * number(SOURCE_RATE)? * number(RATE)?;
        let factor = (!untouched).then_some(factor);
        Ok(Self { from_list, percent, source: number(SOURCE_PRICE)?, factor })
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
