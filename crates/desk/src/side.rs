//! One file, added up: what each subscription's product or meter comes to.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::{AddAssign, SubAssign};
use std::path::Path;

use bigdecimal::{BigDecimal, One, Zero};
use jiff::civil::Date;

use crate::columns::{Columns, Field, name};
use crate::read::rows;
use crate::value::{DecimalMark, day, number};
use crate::{Kind, Refused};

/// The columns that hold numbers.
pub(crate) const NUMBERS: [Field; 13] = [
    Field::UnitPrice,
    Field::EffectiveUnitPrice,
    Field::Quantity,
    Field::BillableQuantity,
    Field::BillingAmount,
    Field::Subtotal,
    Field::PricingAmount,
    Field::Rate,
    Field::Credit,
    Field::CreditRate,
    Field::OtherCredit,
    Field::TaxTotal,
    Field::Total,
];

/// How many subscriptions' products a file may have.
const ITEMS_MAX: usize = 20_000_000;

/// By what two files know what a row is about, most telling first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Identity {
    /// Meter id.
    Meter,
    /// Product, SKU and availability.
    Availability,
    /// Product and SKU.
    Sku,
    /// Product name, meter name, region and unit, as one text.
    Description,
}

impl Identity {
    pub const ALL: [Self; 4] = [Self::Meter, Self::Availability, Self::Sku, Self::Description];

    pub fn name(self) -> &'static str {
        match self {
            Self::Meter => "MeterId",
            Self::Availability => "ProductId, SkuId and AvailabilityId",
            Self::Sku => "ProductId and SkuId",
            Self::Description => "MeterDescription",
        }
    }
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub currency: String,
    pub subscription: String,
    pub item: String,
}

/// What some rows add up to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub quantity: BigDecimal,
    /// Before the exchange.
    pub pricing: BigDecimal,
    /// What is billed, in the billing currency.
    pub amount: BigDecimal,
}

impl AddAssign<&Self> for Sum {
    fn add_assign(&mut self, other: &Self) {
        self.quantity += &other.quantity;
        self.pricing += &other.pricing;
        self.amount += &other.amount;
    }
}

impl SubAssign<&Self> for Sum {
    fn sub_assign(&mut self, other: &Self) {
        self.quantity -= &other.quantity;
        self.pricing -= &other.pricing;
        self.amount -= &other.amount;
    }
}

/// What can be compared: not every file has the columns, nor every row the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Says {
    /// At which rate it is exchanged.
    pub rate: bool,
    /// What a unit costs.
    pub price: bool,
    /// How many units there are.
    pub quantity: bool,
}

/// The rows of one key.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    pub customer: String,
    pub name: String,
    pub rows: u64,
    pub first_line: u64,
    /// The smallest amount of its currency.
    pub minor_unit: BigDecimal,
    pub sum: Sum,
    /// Before credits: quantity times list price; none where no list price is stated.
    pub list: Option<BigDecimal>,
    /// By rate and its day: what was exchanged by it.
    pub rates: BTreeMap<(BigDecimal, Option<Date>), BigDecimal>,
    /// What every row says.
    pub says: Says,
    /// How many units cost nothing: they are in no sum.
    pub free: BigDecimal,
    /// Rows whose amount is not what they say that it comes to, or do not say it, and by how much
    /// those that do have been rounded.
    pub rounded_rows: u64,
    pub rounded_by: BigDecimal,
    /// Whether rows have a partner earned credit.
    pub credited: bool,
    /// Rows that stand in the file more than once: how many, and their sum.
    pub doubled: (u64, Sum),
    /// By day of use.
    pub days: BTreeMap<Date, Sum>,
    /// What a unit costs before the exchange, in the cheapest and in the dearest row.
    pub unit: Option<(BigDecimal, BigDecimal)>,
    /// What kinds of charges the rows are.
    pub charges: BTreeSet<String>,
    /// Whether rows name the reason of a credit.
    pub is_credit: bool,
}

/// A file, added up.
#[derive(Debug)]
pub(crate) struct Side {
    pub file: String,
    pub kind: Kind,
    pub rows: u64,
    pub items: HashMap<Key, Item>,
    /// The first and the last day that the file bills.
    pub period: Option<(Date, Date)>,
    /// The tax of all rows, by currency.
    pub taxes: BTreeMap<String, BigDecimal>,
    /// What the rows of each invoice come to before tax, and their tax, by currency and number.
    pub invoices: BTreeMap<(String, String), (BigDecimal, BigDecimal)>,
    /// What a row of totals at the end says, where there is one.
    pub total_row: Option<(u64, BigDecimal)>,
    /// Remarks for whoever reads the answer.
    pub notes: Vec<String>,
}

/// Which columns a file must have, and what it then is.
pub(crate) fn kind_of(columns: &Columns) -> Result<Kind, String> {
    let need = |field: Field| {
        if columns.has(field) {
            return Ok(());
        }
        let names = crate::columns::NAMES.iter().find(|(known, _)| *known == field);
        let names = names.map_or_else(String::new, |(_, names)| names.join(", "));
        Err(format!("has no column {}; it may be called {names}", name(field)))
    };
    need(Field::Subscription)?;
    need(Field::BillingCurrency)?;
    let kind = if columns.has(Field::UsageDate) && columns.has(Field::BillingAmount) {
        Kind::Daily
    } else if columns.has(Field::Subtotal) {
        Kind::Reconciliation
    } else {
        return Err(
            "is neither a daily rated usage file (UsageDate and BillingPreTaxTotal) nor a \
                    reconciliation file (Subtotal, or PretaxCharges of the legacy file)"
                .to_owned(),
        );
    };
    if !columns.has(Field::Quantity) && !columns.has(Field::BillableQuantity) {
        need(Field::Quantity)?;
    }
    Ok(kind)
}

/// Reads a file to see by what most of its rows can be told apart.
pub(crate) fn identities(path: &Path) -> Result<Vec<Identity>, Refused> {
    let (mut found, mut rows_seen) = ([0u64; Identity::ALL.len()], 0u64);
    let mut columns = Columns::default();
    let known = RefCell::new(&mut columns);
    rows(
        path,
        |form| {
            kind_of(&form.columns)?;
            **known.borrow_mut() = form.columns.clone();
            Ok(())
        },
        |_, row| {
            let known = known.borrow();
            if cell(&known, row, Field::Subscription).is_empty() {
                return Ok(());
            }
            rows_seen += 1;
            for (at, identity) in Identity::ALL.into_iter().enumerate() {
                found[at] += u64::from(item_of(&known, row, identity).is_some());
            }
            Ok(())
        },
    )?;
    if rows_seen == 0 {
        let reason = "has no rows".to_owned();
        return Err(Refused { file: path.display().to_string(), line: None, reason });
    }
    let most =
        Identity::ALL.into_iter().zip(found).filter(|(_, has)| *has > 0 && has * 2 >= rows_seen);
    Ok(most.map(|(identity, _)| identity).collect())
}

fn cell<'r>(columns: &Columns, row: &[&'r str], field: Field) -> &'r str {
    columns.at(field).and_then(|at| row.get(at)).map_or("", |cell| cell.trim())
}

/// What a row is about, by an identity; none where cells are empty.
fn item_of(columns: &Columns, row: &[&str], identity: Identity) -> Option<String> {
    let cells = |fields: &[Field]| -> Option<String> {
        let texts: Vec<&str> = fields.iter().map(|field| cell(columns, row, *field)).collect();
        let full = texts.iter().all(|text| !text.is_empty());
        full.then(|| texts.join("/").to_lowercase())
    };
    match identity {
        Identity::Meter => cells(&[Field::Meter]),
        Identity::Availability => cells(&[Field::Product, Field::Sku, Field::Availability]),
        Identity::Sku => cells(&[Field::Product, Field::Sku]),
        Identity::Description => {
            let text = description(columns, row);
            (!text.is_empty()).then(|| text.to_lowercase())
        }
    }
}

/// What a row is about in words: as it states it, or made of its parts in the same way.
fn description(columns: &Columns, row: &[&str]) -> String {
    let stated = cell(columns, row, Field::Description);
    if !stated.is_empty() {
        return stated.to_owned();
    }
    let parts = [Field::ProductName, Field::MeterName, Field::Region];
    let parts: Vec<&str> = parts
        .iter()
        .map(|field| cell(columns, row, *field))
        .filter(|text| !text.is_empty())
        .collect();
    match (parts.is_empty(), cell(columns, row, Field::Unit)) {
        (true, _) => String::new(),
        (false, "") => parts.join(" - "),
        (false, unit) => format!("{} ({unit})", parts.join(" - ")),
    }
}

impl Side {
    /// Adds a file up, its rows told apart by an identity.
    pub fn load(path: &Path, identity: Identity) -> Result<Self, Refused> {
        let reader = Reader {
            side: Self {
                file: path.display().to_string(),
                kind: Kind::Daily,
                rows: 0,
                items: HashMap::new(),
                period: None,
                taxes: BTreeMap::new(),
                invoices: BTreeMap::new(),
                total_row: None,
                notes: Vec::new(),
            },
            identity,
            columns: Columns::default(),
            mark: DecimalMark::Point,
            hasher: [RandomState::new(), RandomState::new()],
            seen: HashMap::new(),
        };
        let shared = RefCell::new(reader);
        rows(
            path,
            |form| {
                let mut reader = shared.borrow_mut();
                reader.side.kind = kind_of(&form.columns)?;
                reader.columns = form.columns.clone();
                reader.mark = form.mark;
                Ok(())
            },
            |line, row| shared.borrow_mut().row(line, row),
        )?;
        let reader = shared.into_inner();
        Ok(reader.side)
    }

    /// What the whole file comes to in a currency.
    pub fn sum(&self, currency: &str) -> BigDecimal {
        let items = self.items.iter().filter(|(key, _)| key.currency == currency);
        items.map(|(_, item)| &item.sum.amount).sum()
    }

    /// The currencies of the file.
    pub fn currencies(&self) -> BTreeSet<&str> {
        self.items.keys().map(|key| key.currency.as_str()).collect()
    }

    /// Whether some row is of a subscription.
    pub fn subscriptions(&self) -> BTreeSet<&str> {
        self.items.keys().map(|key| key.subscription.as_str()).collect()
    }
}

struct Reader {
    side: Side,
    identity: Identity,
    columns: Columns,
    mark: DecimalMark,
    hasher: [RandomState; 2],
    /// How often each row of a daily file has been seen, by its hash.
    seen: HashMap<[u64; 2], u32>,
}

impl Reader {
    fn number(&self, row: &[&str], field: Field) -> Result<Option<BigDecimal>, String> {
        let text = cell(&self.columns, row, field);
        if text.is_empty() {
            return Ok(None);
        }
        let read = number(text, self.mark);
        read.map(Some).ok_or_else(|| format!("{} is {text:?}: not a number", name(field)))
    }

    fn day(&self, row: &[&str], field: Field) -> Result<Option<Date>, String> {
        let text = cell(&self.columns, row, field);
        if text.is_empty() {
            return Ok(None);
        }
        day(text).map(Some).ok_or_else(|| {
            format!("{} is {text:?}: not a day; write it like 2026-10-01", name(field))
        })
    }

    fn row(&mut self, line: u64, row: &[&str]) -> Result<(), String> {
        let amount_field = match self.side.kind {
            Kind::Daily => Field::BillingAmount,
            Kind::Reconciliation => Field::Subtotal,
        };
        let amount = self.number(row, amount_field)?;
        let text = |field| cell(&self.columns, row, field);
        if text(Field::Subscription).is_empty() {
            return self.total_row(line, row, amount);
        }
        if let Some((total, _)) = &self.side.total_row {
            return Err(format!("follows the row of totals at line {total}"));
        }
        let amount = amount.ok_or_else(|| format!("{} is empty", name(amount_field)))?;
        let currency = text(Field::BillingCurrency).to_uppercase();
        if currency.len() != 3 || !currency.bytes().all(|b| b.is_ascii_alphabetic()) {
            return Err(format!(
                "{} is {currency:?}: not a currency",
                name(Field::BillingCurrency)
            ));
        }
        let key = Key {
            currency,
            subscription: text(Field::Subscription).to_lowercase(),
            item: self.item(row),
        };
        let facts = self.facts(row, amount)?;
        let tax = self.number(row, Field::TaxTotal)?.unwrap_or_default();
        *self.side.taxes.entry(key.currency.clone()).or_default() += &tax;
        let invoice = (key.currency.clone(), text(Field::Invoice).to_owned());
        let of_invoice = self.side.invoices.entry(invoice).or_default();
        of_invoice.0 += &facts.sum.amount;
        of_invoice.1 += tax;
        self.side.rows += 1;
        for day in [facts.start, facts.end].into_iter().flatten() {
            let (first, last) = self.side.period.unwrap_or((day, day));
            self.side.period = Some((first.min(day), last.max(day)));
        }
        let customer = match text(Field::CustomerName) {
            "" => text(Field::Customer).to_owned(),
            name => name.to_owned(),
        };
        let doubled = self.is_doubled(row);
        if self.side.items.len() == ITEMS_MAX && !self.side.items.contains_key(&key) {
            return Err(format!("is one of more than {ITEMS_MAX} items; split the file"));
        }
        let columns = &self.columns;
        let minor = minor_unit(&key.currency);
        let new = || Item::new(line, minor, customer, description(columns, row));
        let item = self.side.items.entry(key).or_insert_with(new);
        item.add(facts, doubled, cell(columns, row, Field::ChargeType));
        Ok(())
    }

    /// What a row is about: by the identity that most rows have, or by what this one has. Charges
    /// that are not usage are things of their own.
    fn item(&self, row: &[&str]) -> String {
        let others = Identity::ALL.into_iter().filter(|identity| *identity != self.identity);
        let mut identities = std::iter::once(self.identity).chain(others);
        let item = identities.find_map(|identity| item_of(&self.columns, row, identity));
        let item = item.unwrap_or_default();
        let charge = cell(&self.columns, row, Field::ChargeType).to_lowercase();
        if is_usage(&charge) { item } else { format!("{item} [{charge}]") }
    }

    /// Whether the same row has been seen: all its cells say the same again. Empty ones say nothing,
    /// since a member may be left out.
    fn is_doubled(&mut self, row: &[&str]) -> bool {
        let cells: Vec<(usize, &str)> =
            row.iter().copied().enumerate().filter(|(_, cell)| !cell.is_empty()).collect();
        let hash = [self.hasher[0].hash_one(&cells), self.hasher[1].hash_one(&cells)];
        let seen = self.seen.entry(hash).or_default();
        *seen += 1;
        *seen > 1
    }

    fn facts(&self, row: &[&str], amount: BigDecimal) -> Result<Facts, String> {
        let billable = self.number(row, Field::BillableQuantity)?;
        // The quantity of a reconciliation line is 1; what was used is another column.
        let counted = billable.is_some() || self.side.kind == Kind::Daily;
        let quantity = match billable {
            Some(quantity) => Some(quantity),
            None => self.number(row, Field::Quantity)?,
        };
        let quantity = quantity.ok_or_else(|| format!("{} is empty", name(Field::Quantity)))?;
        let effective = self.number(row, Field::EffectiveUnitPrice)?.filter(|_| counted);
        let pricing = match effective.map(|effective| effective * &quantity) {
            Some(pricing) => Some(pricing),
            None => self.number(row, Field::PricingAmount)?,
        };
        let rate = self.number(row, Field::Rate)?.filter(|rate| !rate.is_zero());
        let of = |field| cell(&self.columns, row, field);
        let same = !of(Field::PricingCurrency).is_empty()
            && of(Field::PricingCurrency).eq_ignore_ascii_case(of(Field::BillingCurrency));
        let rate = rate.or_else(|| same.then(BigDecimal::one));
        let list = self.number(row, Field::UnitPrice)?.map(|price| price * &quantity);
        Ok(Facts {
            // What a row would come to if nothing were rounded, where it says so.
            exact: pricing.as_ref().zip(rate.as_ref()).map(|(pricing, rate)| pricing * rate),
            says: Says { rate: rate.is_some(), price: pricing.is_some(), quantity: counted },
            sum: Sum { quantity, pricing: pricing.unwrap_or_else(|| amount.clone()), amount },
            list,
            rate: rate.zip(Some(self.day(row, Field::RateDate)?)),
            credited: self.is_credited(row)?,
            usage: self.day(row, Field::UsageDate)?,
            start: self.day(row, Field::ChargeStart)?,
            end: self.last_day(row)?,
            is_credit: !of(Field::CreditReason).is_empty(),
        })
    }

    /// Whether a row has a credit, by whichever column says so.
    fn is_credited(&self, row: &[&str]) -> Result<bool, String> {
        for field in [Field::Credit, Field::CreditRate, Field::OtherCredit] {
            if self.number(row, field)?.is_some_and(|credit| !credit.is_zero()) {
                return Ok(true);
            }
        }
        let kind = cell(&self.columns, row, Field::CreditType).to_lowercase();
        let adjusted = cell(&self.columns, row, Field::PriceAdjustment).to_lowercase();
        Ok(adjusted.contains("partner earned credit")
            || (kind.contains("applied") && !kind.contains("not applied")))
    }

    /// The last day that a row bills. The end of a daily file's period is the first instant after
    /// it; that of a reconciliation file is its last day.
    fn last_day(&self, row: &[&str]) -> Result<Option<Date>, String> {
        let end = self.day(row, Field::ChargeEnd)?;
        let start = self.day(row, Field::ChargeStart)?;
        let is_after = self.side.kind == Kind::Daily && start < end;
        Ok(end.map(|end| if is_after { end.yesterday().unwrap_or(end) } else { end }))
    }

    /// A row without a subscription is one of totals, if it says what the rows before come to: in
    /// its currency, or in the only one that there is.
    fn total_row(
        &mut self,
        line: u64,
        row: &[&str],
        amount: Option<BigDecimal>,
    ) -> Result<(), String> {
        let Some(amount) = amount else {
            return Err(format!("{} is empty", name(Field::Subscription)));
        };
        let stated = cell(&self.columns, row, Field::BillingCurrency).to_uppercase();
        let currencies: Vec<String> =
            self.side.currencies().into_iter().map(str::to_owned).collect();
        let currency = match (stated.is_empty(), currencies.as_slice()) {
            (false, _) => stated,
            (true, [only]) => only.clone(),
            (true, _) => {
                return Err(format!(
                    "{} is empty, and a row of totals over several currencies says nothing",
                    name(Field::Subscription)
                ));
            }
        };
        let sum = self.side.sum(&currency);
        if (&sum - &amount).abs() > BigDecimal::new(1.into(), 2) {
            let label = row.iter().find(|cell| !cell.trim().is_empty()).copied().unwrap_or("");
            return Err(format!(
                "{} is empty; if this row ({label}) is one of totals, it says {amount} {currency}, \
                 but the rows before come to {sum}",
                name(Field::Subscription)
            ));
        }
        self.side.notes.push(format!("line {line} is a row of totals, and left out"));
        self.side.total_row = Some((line, amount));
        Ok(())
    }
}

/// Whether a charge is usage, by the words of the files' charge types.
pub(crate) fn is_usage(charge: &str) -> bool {
    let usage = [
        "",
        "new",
        "usage",
        "adjustment",
        "reversal",
        "roundingadjustment",
        "assess usage fee for current cycle",
        "assess usage fee when cancel",
    ];
    usage.contains(&charge.to_lowercase().as_str())
}

/// The smallest amount of a currency; a cent of what is none.
fn minor_unit(currency: &str) -> BigDecimal {
    let known = iso_currency::Currency::from_code(currency);
    let decimals = known.and_then(iso_currency::Currency::exponent).unwrap_or(2);
    BigDecimal::new(1.into(), i64::from(decimals))
}

/// What a row says.
struct Facts {
    sum: Sum,
    exact: Option<BigDecimal>,
    says: Says,
    list: Option<BigDecimal>,
    rate: Option<(BigDecimal, Option<Date>)>,
    credited: bool,
    usage: Option<Date>,
    start: Option<Date>,
    end: Option<Date>,
    is_credit: bool,
}

impl Item {
    fn new(line: u64, minor_unit: BigDecimal, customer: String, name: String) -> Self {
        Self {
            minor_unit,
            customer,
            name,
            rows: 0,
            first_line: line,
            sum: Sum::default(),
            list: Some(BigDecimal::zero()),
            rates: BTreeMap::new(),
            says: Says { rate: true, price: true, quantity: true },
            free: BigDecimal::zero(),
            rounded_rows: 0,
            rounded_by: BigDecimal::zero(),
            credited: false,
            doubled: (0, Sum::default()),
            days: BTreeMap::new(),
            unit: None,
            charges: BTreeSet::new(),
            is_credit: false,
        }
    }

    /// A line of less than a minor unit is rounded down to nothing, and its unit price with it.
    fn add_rounded_away(&mut self, facts: &Facts) {
        let list = facts.list.as_ref();
        if list.is_some_and(|list| !list.is_zero() && list.abs() < self.minor_unit) {
            self.rounded_rows += 1;
            if let Some(rate) = &facts.rate {
                self.rates.entry(rate.clone()).or_insert_with(BigDecimal::zero);
            }
        }
    }

    fn add(&mut self, facts: Facts, doubled: bool, charge: &str) {
        let sum = &facts.sum;
        self.rows += 1;
        if !self.charges.contains(charge) {
            self.charges.insert(charge.to_owned());
        }
        if facts.says.price && sum.amount.is_zero() && sum.pricing.is_zero() {
            self.free += &sum.quantity;
            self.add_rounded_away(&facts);
            return;
        }
        self.sum += sum;
        self.list = self.list.take().zip(facts.list).map(|(sum, list)| sum + list);
        self.says.rate &= facts.says.rate;
        self.says.price &= facts.says.price;
        self.says.quantity &= facts.says.quantity;
        if let Some(rate) = facts.rate {
            *self.rates.entry(rate).or_insert_with(BigDecimal::zero) += &sum.pricing;
        }
        match facts.exact {
            Some(exact) if exact == sum.amount => {}
            Some(exact) => {
                self.rounded_rows += 1;
                self.rounded_by += &sum.amount - exact;
            }
            None => self.rounded_rows += 1,
        }
        self.credited |= facts.credited;
        self.is_credit |= facts.is_credit;
        if doubled {
            self.doubled.0 += 1;
            self.doubled.1 += sum;
        }
        if !sum.quantity.is_zero() {
            let unit = &sum.pricing / &sum.quantity;
            self.unit = Some(match self.unit.take() {
                None => (unit.clone(), unit),
                Some((least, most)) => (least.min(unit.clone()), most.max(unit)),
            });
        }
        if let Some(day) = facts.usage {
            *self.days.entry(day).or_default() += sum;
        }
    }
}
