//! The daily rated usage file: every row is recomputed, and every group of rows adds up.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use bigdecimal::{BigDecimal, Zero};
use jiff::civil::Date;

use crate::adjustment::{Adjusted, Pair, pair, used};
use crate::credits::Credits;
use crate::daily_columns::{
    BILLING, CHARGE_TYPE, COLUMNS, CREDIT, CREDIT_TYPE, Expect, METER, PRICING, QUANTITY, RESELLER,
    STATED, SUBSCRIPTION, USAGE_DATE, columns,
};
use crate::edge::Edge;
use crate::fault::Faults;
use crate::fill::{TierTotal, UsageRow, fill};
use crate::folder::Folder;
use crate::number;
use crate::paths::Paths;
use crate::prices::{MeterPrices, Price, Stated};
use crate::subscriptions::start_of;
use crate::table::{Row, Table};
use crate::used::{Usage, UsageHash, UsedHash};

/// A group of rows: what an invoice line must say.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub subscription: &'a str,
    pub meter: &'a MeterPrices,
    pub total: TierTotal,
}

/// What the file came to.
#[derive(Debug, Default)]
pub(crate) struct Daily<'a> {
    pub groups: Vec<Group<'a>>,
    pub rated_lines: u64,
    pub rounding_lines: u64,
    pub usage: Usage<'a>,
    /// The rows of subscriptions and meters that are adjusted.
    pub kept: HashMap<Scope, Vec<Row>>,
    /// What was used of those that other edges adjust.
    pub used: HashMap<Scope, UsageHash>,
    /// What rows say of the reseller of each subscription.
    pub resellers: HashMap<&'a str, String>,
}

/// A subscription and a meter.
pub(crate) type Scope = (String, String);

/// Checks the daily file of an edge, and keeps the rows that are adjusted later.
pub(crate) fn check<'a>(
    edge: &'a Edge<'a>,
    folder: &'a Folder,
    paths: &'a Paths<'_>,
    adjusted: &Adjusted,
    faults: &mut Faults,
) -> Daily<'a> {
    let Some(path) = folder.table(&edge.place, "daily-rated-usage") else {
        return Daily::default();
    };
    let mut check = Check::new(edge, folder, paths, path, true);
    if let Err((line, reason)) = check.rows(adjusted, faults) {
        faults.add(&check.path, Some(line), reason);
    }
    check.end_run(faults);
    check.daily
}

/// Checks rows as if they were all rows of some subscriptions and meters: what an adjusted daily
/// file would say. They stand in order, but for those that make up for rounding.
pub(crate) fn check_rows<'a>(
    edge: &'a Edge<'a>,
    folder: &'a Folder,
    paths: &'a Paths<'_>,
    path: String,
    rows: &[Row],
    faults: &mut Faults,
) -> Daily<'a> {
    let mut check = Check::new(edge, folder, paths, path, false);
    for row in rows {
        check.take(row, faults);
    }
    check.end_run(faults);
    check.daily
}

struct Check<'a, 'f> {
    edge: &'a Edge<'a>,
    folder: &'f Folder,
    paths: &'a Paths<'a>,
    path: String,
    done: HashSet<String>,
    /// Whether rows stand in the order in which units fill tiers.
    in_order: bool,
    run: Option<Run<'a>>,
    daily: Daily<'a>,
}

/// What a row states, and whether it earns credit.
type Said = (Stated, bool);

/// The rows of one subscription and meter.
struct Run<'a> {
    subscription: &'a str,
    /// The first and the last day that is charged.
    days: (Date, Date),
    meter: &'a MeterPrices,
    expected: Vec<String>,
    first_line: u64,
    rows: Vec<UsageRow>,
    credits: Option<&'a Credits>,
    /// What the last row stated, and which prices state the same.
    last: Option<(String, Said, Rc<[usize]>)>,
    rounding: Vec<(u64, Said, BigDecimal)>,
    used: UsedHash,
}

impl<'a, 'f> Check<'a, 'f> {
    fn new(
        edge: &'a Edge<'a>,
        folder: &'f Folder,
        paths: &'a Paths<'a>,
        path: String,
        in_order: bool,
    ) -> Self {
        let (daily, done) = (Daily::default(), HashSet::new());
        Self { edge, folder, paths, path, done, in_order, run: None, daily }
    }

    fn rows(&mut self, adjusted: &Adjusted, faults: &mut Faults) -> Result<(), (u64, String)> {
        let pair = pair(self.edge.certified);
        // The rows of the current subscription and meter, where some edge adjusts them.
        let mut run: Option<(Scope, Vec<Row>)> = None;
        let names = columns();
        let table = Table::open(&self.folder.root.join(&self.path), &names);
        let mut table = table.map_err(|reason| (1, reason))?;
        let mut row = Row::default();
        while table.next(&mut row)? {
            self.take(&row, faults);
            if adjusted.is_empty() {
                continue;
            }
            let same = run.as_ref().is_some_and(|((subscription, meter), _)| {
                subscription == row.cell(SUBSCRIPTION) && meter == row.cell(METER)
            });
            if !same {
                self.keep(run.take(), adjusted, &pair);
                let scope = (row.cell(SUBSCRIPTION).to_owned(), row.cell(METER).to_owned());
                run = Some((scope, Vec::new()));
            }
            if let Some((scope, rows)) = &mut run
                && adjusted.has_anywhere(scope)
            {
                rows.push(row.clone());
            }
        }
        self.keep(run, adjusted, &pair);
        Ok(())
    }

    /// Keeps the rows of a subscription and meter if this edge adjusts them; if another one does,
    /// what was used.
    fn keep(&mut self, run: Option<(Scope, Vec<Row>)>, adjusted: &Adjusted, pair: &Pair) {
        let Some((scope, rows)) = run.filter(|(_, rows)| !rows.is_empty()) else { return };
        if adjusted.has(pair, &scope) {
            self.daily.kept.entry(scope).or_default().extend(rows);
        } else {
            self.daily.used.insert(scope, used(&rows));
        }
    }

    fn take(&mut self, row: &Row, faults: &mut Faults) {
        let same = self.run.as_ref().is_some_and(|run| {
            run.subscription == row.cell(SUBSCRIPTION) && run.meter.meter == row.cell(METER)
        });
        if same || self.begin_run(row, faults) {
            self.row(row, faults);
        }
    }

    fn fault(&self, faults: &mut Faults, line: u64, reason: impl Into<String>) {
        faults.add(&self.path, Some(line), reason);
    }

    /// Rows of another subscription or meter begin. Says whether these are known.
    fn begin_run(&mut self, row: &Row, faults: &mut Faults) -> bool {
        let before = self.run.as_ref().map(|run| (run.subscription, run.meter.meter.clone()));
        self.end_run(faults);
        let id = row.cell(SUBSCRIPTION);
        match before {
            Some((subscription, meter)) if subscription == id => {
                if meter.as_str() >= row.cell(METER) {
                    self.fault(faults, row.line, "its meter does not follow the one before");
                }
            }
            _ => {
                if !self.done.insert(id.to_owned()) {
                    self.fault(faults, row.line, format!("subscription {id} has rows further up"));
                }
            }
        }
        let Some((id, subscription)) = self.edge.subscriptions.by_id.get_key_value(id) else {
            let reason = format!("subscription {id} is not in {}", self.edge.subscriptions.path);
            self.fault(faults, row.line, reason);
            return false;
        };
        let Some(meter) = self.edge.prices.of(&subscription.list, row.cell(METER)) else {
            let reason = format!("meter {} is not in {}", row.cell(METER), self.edge.prices.path);
            self.fault(faults, row.line, reason);
            return false;
        };
        self.daily.resellers.entry(id).or_insert_with(|| row.cell(RESELLER).to_owned());
        self.run = Some(Run {
            subscription: id,
            days: subscription.charged,
            meter,
            expected: self.expected(id, meter, row),
            first_line: row.line,
            rows: Vec::new(),
            credits: self.edge.credits.as_ref(),
            last: None,
            rounding: Vec::new(),
            used: UsedHash::default(),
        });
        true
    }

    /// What the columns must say that are the same in every row.
    fn expected(&self, id: &str, meter: &MeterPrices, row: &Row) -> Vec<String> {
        let names = self.paths.names(self.edge, id);
        let (first, last) = names.subscription.charged;
        let start = |day: Option<Date>| {
            let start = day.and_then(|day| start_of(self.folder, day));
            start.map(|start| start.to_string()).unwrap_or_default()
        };
        let (start, end) = (start(Some(first)), start(last.tomorrow().ok()));
        let [
            name,
            category,
            subcategory,
            region,
            unit,
            product,
            product_name,
            sku,
            sku_name,
            publisher,
        ] = &meter.product;
        let value = |column: &str| match column {
            "PartnerId" => names.partner.tenant_id.as_str(),
            "PartnerName" => &names.partner.name,
            "MpnId" => names.partner.mpn(),
            "Tier2MpnId" => names.reseller_mpn.unwrap_or_else(|| row.cell(RESELLER)),
            "CustomerId" => &names.subscription.customer[0],
            "CustomerName" => &names.subscription.customer[1],
            "CustomerDomainName" => &names.subscription.customer[2],
            "CustomerCountry" => &names.subscription.customer[3],
            "InvoiceNumber" => &self.edge.certified.invoice,
            "ProductId" => product,
            "ProductName" => product_name,
            "SkuId" => sku,
            "SkuName" => sku_name,
            "PublisherName" => publisher,
            "SubscriptionId" => id,
            "SubscriptionDescription" => &names.subscription.name,
            "ChargeStartDate" => &start,
            "ChargeEndDate" => &end,
            "MeterType" | "Unit" | "UnitType" => unit,
            "MeterId" => &meter.meter,
            "MeterName" => name,
            "MeterCategory" => category,
            "MeterSubCategory" => subcategory,
            "MeterRegion" => region,
            "BillingCurrency" => &self.edge.certified.currency,
            "CreditPercentage" => "0",
            _ => "",
        };
        COLUMNS.iter().map(|(column, _)| value(column).to_owned()).collect()
    }

    fn row(&mut self, row: &Row, faults: &mut Faults) {
        let Some(run) = &mut self.run else { return };
        let at = (self.path.as_str(), Some(row.line));
        for (column, (name, expect)) in COLUMNS.iter().enumerate() {
            if *expect == Expect::Same && row.cell(column) != run.expected[column] {
                faults.same(at, name, row.cell(column), &run.expected[column]);
            }
        }
        let checked = match row.cell(CHARGE_TYPE) {
            "new" => {
                self.daily.rated_lines += 1;
                run.usage(row, self.edge)
            }
            "roundingAdjustment" => {
                self.daily.rounding_lines += 1;
                run.rounding(row)
            }
            other => Err(format!("ChargeType is {other:?}; usage is \"new\"")),
        };
        if let Err(reason) = checked {
            faults.add(&self.path, Some(row.line), reason);
        }
    }

    fn end_run(&mut self, faults: &mut Faults) {
        let Some(mut run) = self.run.take() else { return };
        let used = std::mem::take(&mut run.used).finish();
        self.daily.usage.insert((run.subscription, &run.meter.meter), used);
        match fill(&run.meter.prices, &run.rows, self.in_order) {
            Ok(totals) => {
                for (line, reason) in run.check_rounding(self.edge, &totals, self.in_order) {
                    faults.add(&self.path, Some(line), reason);
                }
                self.daily.groups.extend(totals.into_iter().map(|total| Group {
                    subscription: run.subscription,
                    meter: run.meter,
                    total,
                }));
            }
            Err((line, reason)) => faults.add(&self.path, Some(line), reason),
        }
    }
}

impl Run<'_> {
    /// A row of usage: which prices it can have, and what it comes to by them.
    fn usage(&mut self, row: &Row, edge: &Edge<'_>) -> Result<(), String> {
        if !self.rounding.is_empty() {
            return Err("usage follows a row that makes up for rounding".into());
        }
        let quantity = decimal(row, QUANTITY)?;
        self.used.add(row, &quantity);
        let date = row.cell(USAGE_DATE);
        let day = day_of(date, self.days)?;
        let of = (self.subscription, self.meter.meter.as_str());
        let credited = self.credits.is_some_and(|credits| credits.is_earned(of, row, day));
        let stated: Said = (STATED.map(|at| row.cell(at).to_owned()), credited);
        self.check_credit(row, credited)?;
        let known = self.last.as_ref().is_some_and(|(day, said, _)| day == date && *said == stated);
        if let Some((before, ..)) = &self.last
            && date < before.as_str()
            && !self.may_go_back_from(before)
        {
            return Err(format!("UsageDate {date} follows {before}"));
        }
        if !known {
            let candidates = self.candidates(day, &stated)?;
            self.last = Some((date.to_owned(), stated, candidates));
        }
        let Some((_, _, candidates)) = &self.last else { return Ok(()) };
        let price = &self.meter.prices[candidates[0]];
        let pricing = &quantity * price.effective(credited);
        let billing = &pricing * &price.rate;
        let billing = number::half_even(&billing, edge.certified.billing_decimals);
        let pricing = number::half_even(&pricing, edge.certified.pricing_decimals);
        let (stated_pricing, stated_billing) = (decimal(row, PRICING)?, decimal(row, BILLING)?);
        self.rows.push(UsageRow {
            line: row.line,
            candidates: Rc::clone(candidates),
            credited,
            quantity: quantity.clone(),
            billed: stated_billing.clone(),
        });
        for (what, found, expected) in [
            ("PricingPreTaxTotal", stated_pricing, pricing),
            ("BillingPreTaxTotal", stated_billing, billing),
        ] {
            if found != expected {
                return Err(format!(
                    "{what} is {}; {} units at {} {} and rate {} come to {}",
                    number::trimmed(&found),
                    number::trimmed(&quantity),
                    price.stated(credited)[1],
                    price.stated[2],
                    price.stated[3],
                    number::trimmed(&expected),
                ));
            }
        }
        Ok(())
    }

    /// Rows stand in the order in which their records begin. The part of a record after a change
    /// of the price may be younger than the record that follows.
    fn may_go_back_from(&self, date: &str) -> bool {
        let changes = self.meter.prices.iter().filter(|price| price.interval > 0);
        let changes = changes.map(|price| price.days.0);
        let credits = self.credits.iter().flat_map(|c| c.changes(self.subscription));
        changes.chain(credits).any(|day| date.starts_with(&day.to_string()))
    }

    /// The prices that were in force on a day of the month and state the same.
    fn candidates(&self, day: Date, (stated, credited): &Said) -> Result<Rc<[usize]>, String> {
        let in_force = |price: &Price| price.days.0 <= day && day <= price.days.1;
        let prices = self.meter.prices.iter().enumerate();
        let found: Rc<[usize]> = prices
            .filter(|(_, price)| in_force(price) && price.stated(*credited) == stated)
            .map(|(at, _)| at)
            .collect();
        if found.is_empty() {
            return Err(format!(
                "no price of meter {} says on {day}: UnitPrice {}, EffectiveUnitPrice {}, \
                 PricingCurrency {}, PCToBCExchangeRate {} of {:?}",
                self.meter.meter, stated[0], stated[1], stated[2], stated[3], stated[4]
            ));
        }
        Ok(found)
    }

    /// A row says of its credit what is known of it.
    fn check_credit(&self, row: &Row, credited: bool) -> Result<(), String> {
        let percent = self.credits.filter(|_| credited).map_or("0", |credits| &credits.percent);
        let applied = if credited { "Partner Earned Credit Applied" } else { "Credit Not Applied" };
        let found = (row.cell(CREDIT), row.cell(CREDIT_TYPE));
        if found == (percent, applied) {
            return Ok(());
        }
        Err(format!(
            "PartnerEarnedCreditPercentage is {} with CreditType {:?}; by credits.csv it is \
             {percent} with {applied:?}",
            found.0, found.1
        ))
    }

    /// A row that makes up for rounding: an amount and nothing else.
    fn rounding(&mut self, row: &Row) -> Result<(), String> {
        let amount = decimal(row, BILLING)?;
        let stated = STATED.map(|at| row.cell(at).to_owned());
        let credited = row.cell(CREDIT) != "0";
        self.check_credit(row, credited)?;
        self.rounding.push((row.line, (stated, credited), amount));
        let plain = [(USAGE_DATE, ""), (QUANTITY, "0"), (PRICING, "0")];
        let resource = COLUMNS.iter().enumerate().filter(|(_, (_, e))| *e == Expect::Resource);
        for (at, expected) in plain.into_iter().chain(resource.map(|(at, _)| (at, ""))) {
            if row.cell(at) != expected {
                return Err(format!(
                    "{} is {:?} in a row that makes up for rounding; it should be {expected:?}",
                    COLUMNS[at].0,
                    row.cell(at)
                ));
            }
        }
        Ok(())
    }

    /// The same without an order: rows of tiers that state the same price are told by their sum.
    fn check_rounding_by_price(&self, edge: &Edge<'_>, totals: &[TierTotal]) -> Vec<(u64, String)> {
        let mut off: HashMap<Said, BigDecimal> = HashMap::new();
        for total in totals {
            let billed = total.billed.clone().unwrap_or_default();
            let stated = said_of(self.meter, total, &billed, &edge.certified.currency);
            *off.entry(stated).or_default() += edge.rounded(self.subscription, total) - billed;
        }
        for (_, stated, amount) in &self.rounding {
            *off.entry(stated.clone()).or_default() -= amount;
        }
        let wrong = off.into_iter().filter(|(_, off)| !off.is_zero());
        wrong
            .map(|(stated, off)| {
                let off = number::trimmed(&off);
                let line = self.rounding.first().map_or(self.first_line, |(line, ..)| *line);
                (line, format!("the rows for rounding at {stated:?} are off by {off}"))
            })
            .collect()
    }

    /// Rounding rows are what is missing from the rows of each tier to the invoice line, in order.
    fn check_rounding(
        &self,
        edge: &Edge<'_>,
        totals: &[TierTotal],
        in_order: bool,
    ) -> Vec<(u64, String)> {
        let mut wrong = Vec::new();
        if totals.iter().any(|total| total.billed.is_none()) {
            // Rows that can belong to several tiers: all of them together.
            let billed: BigDecimal = self.rows.iter().map(|row| &row.billed).sum();
            let rounding: BigDecimal = self.rounding.iter().map(|(.., amount)| amount).sum();
            let due: BigDecimal =
                totals.iter().map(|total| edge.rounded(self.subscription, total)).sum();
            if billed + &rounding != due {
                let line = self.rounding.first().map_or(self.first_line, |(line, ..)| *line);
                wrong.push((line, "the rows do not add up to the invoice lines".to_owned()));
            }
            return wrong;
        }
        if !in_order {
            return self.check_rounding_by_price(edge, totals);
        }
        let mut left: Vec<_> = self.rounding.iter().collect();
        for total in totals {
            let billed = total.billed.clone().unwrap_or_default();
            let residue = edge.rounded(self.subscription, total) - &billed;
            if residue.is_zero() {
                continue;
            }
            let expected = said_of(self.meter, total, &billed, &edge.certified.currency);
            let fits = |(_, stated, amount): &&(u64, Said, BigDecimal)| {
                *amount == residue && *stated == expected
            };
            match (!left.is_empty()).then(|| left.remove(0)) {
                Some(row) if fits(&row) => {}
                Some((line, stated, amount)) => wrong.push((
                    *line,
                    format!(
                        "makes up for {} at {stated:?}; tier {} needs {} at {expected:?}",
                        number::trimmed(amount),
                        total.tier,
                        number::trimmed(&residue)
                    ),
                )),
                None => wrong.push((
                    self.first_line,
                    format!(
                        "the rows of meter {} in tier {} from here on need a row that makes up for {}",
                        self.meter.meter,
                        total.tier,
                        number::trimmed(&residue)
                    ),
                )),
            }
        }
        let rest = left.iter();
        wrong.extend(rest.map(|(line, ..)| (*line, "makes up for nothing".to_owned())));
        wrong
    }
}

/// The first price of a tier, if all that it had state the same.
pub(crate) fn one_price<'m>(
    meter: &'m MeterPrices,
    total: &TierTotal,
) -> Option<(&'m Price, bool)> {
    let mut used = total.used.iter().map(|(at, credited)| (&meter.prices[*at], *credited));
    let first = used.next()?;
    let same = |of: (&Price, bool)| (of.0.stated(of.1), of.1) == (first.0.stated(first.1), first.1);
    used.all(same).then_some(first)
}

/// How a tier states its price: as it is, or the average where it had several.
pub(crate) fn stated_of(
    meter: &MeterPrices,
    total: &TierTotal,
    amount: &BigDecimal,
    currency: &str,
) -> Stated {
    if let Some((price, credited)) = one_price(meter, total) {
        return price.stated(credited).clone();
    }
    let average = number::quotient(amount, &total.quantity, 15).unwrap_or_default();
    let average = number::trimmed(&average);
    [average.clone(), average, currency.to_owned(), "1".to_owned(), String::new()]
}

/// The same with whether all of it earns credit.
fn said_of(meter: &MeterPrices, total: &TierTotal, amount: &BigDecimal, currency: &str) -> Said {
    let credited = one_price(meter, total).is_some_and(|(_, credited)| credited);
    (stated_of(meter, total, amount, currency), credited)
}

/// The day of a row, which is one of those that are charged.
fn day_of(date: &str, (first, last): (Date, Date)) -> Result<Date, String> {
    let day = date.strip_suffix("T00:00:00Z").and_then(|day| day.parse::<Date>().ok());
    let day = day.ok_or_else(|| format!("UsageDate is {date:?}: not a day"))?;
    if day < first || last < day {
        return Err(format!("UsageDate {day} is not charged: {first} to {last} is"));
    }
    Ok(day)
}

fn decimal(row: &Row, at: usize) -> Result<BigDecimal, String> {
    let text = row.cell(at);
    number::parse_trimmed(text)
        .ok_or_else(|| format!("{} is {text:?}: not a number", COLUMNS[at].0))
}
