//! Keeps the files of a received invoice in one spelling, and takes what was used.

use std::borrow::Cow;
use std::cell::RefCell;
use std::path::{Path, PathBuf};

use desk::{BigDecimal, FileRow};
use documents::{Format, Sink, TableBuilder};
use jiff::civil::Date;
use kernel::{Currency, Error, Money, Month, Result};
use store::ReceivedRow;

use super::super::usage::intake::Intake;
use super::super::usage::record::{Field, RawRecord};
use super::units::Units;
use super::{Edge, Files, file_name, refused};

/// Rows that are collected before they are written.
const BATCH_ROWS: usize = 1 << 16;

/// What the lines of an invoice come to.
pub(super) struct Sums {
    pub net: Money,
    pub tax: Money,
    pub rows: u64,
}

/// What the rows of a daily file come to.
#[derive(Default)]
pub(super) struct DailySums {
    pub rows: u64,
    pub billed: BigDecimal,
    /// Rows that charge something else than usage.
    others: u64,
    /// Rows that a reservation or savings plan has paid for.
    covered: u64,
}

impl DailySums {
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.others > 0 {
            notes.push(format!("{} rows charge something else than usage", self.others));
        }
        if self.covered > 0 {
            notes.push(format!(
                "{} rows are paid for by a reservation or savings plan and cost nothing; they are \
                 not sold on as usage",
                self.covered
            ));
        }
        notes
    }
}

/// Keeps the files of an invoice in one spelling.
pub(super) struct Writer<'a> {
    pub folder: &'a Path,
    pub edge: &'a Edge,
    pub month: Month,
    pub units: RefCell<Units>,
}

/// The columns that are numbers, days and amounts of the billing currency; all others are texts.
const NUMBERS: [&str; 11] = [
    "UnitPrice",
    "Quantity",
    "EffectiveUnitPrice",
    "BillableQuantity",
    "PCToBCExchangeRate",
    "BillingPreTaxTotal",
    "PricingPreTaxTotal",
    "PartnerEarnedCreditPercentage",
    "CreditPercentage",
    "TotalDiscount",
    "Tax",
];
const DAYS: [&str; 7] = [
    "OrderDate",
    "ChargeStartDate",
    "ChargeEndDate",
    "UsageDate",
    "PCToBCExchangeRateDate",
    "SubscriptionStartDate",
    "SubscriptionEndDate",
];
const AMOUNTS: [&str; 3] = ["Subtotal", "TaxTotal", "Total"];

/// What a column has.
#[derive(Clone, Copy)]
enum Has {
    Text,
    Number,
    Amount,
    Day,
}

impl Has {
    fn of(column: &&str) -> Self {
        if NUMBERS.contains(column) {
            Self::Number
        } else if AMOUNTS.contains(column) {
            Self::Amount
        } else if DAYS.contains(column) {
            Self::Day
        } else {
            Self::Text
        }
    }
}

/// A cell in the one spelling that is kept.
fn cell<'r>(
    row: &'r FileRow<'_>,
    at: usize,
    has: Has,
    currency: Currency,
) -> std::result::Result<Cow<'r, str>, String> {
    Ok(match has {
        Has::Text => Cow::Borrowed(row.text(at)),
        Has::Number => {
            let number = row.number(at)?;
            number.map_or_else(String::new, |n| n.normalized().to_plain_string()).into()
        }
        Has::Amount => amount_text(&row.number(at)?.unwrap_or_default(), currency).into(),
        Has::Day => {
            let day = row.day(at)?;
            day.map_or_else(String::new, |day| format!("{day}T00:00:00Z")).into()
        }
    })
}

fn amount_text(amount: &BigDecimal, currency: Currency) -> String {
    amount.with_scale(i64::from(currency.minor_digits())).to_plain_string()
}

/// Where a column of a file stands.
fn place(columns: &[&str], name: &str) -> usize {
    columns.iter().position(|column| *column == name).unwrap_or(0)
}

impl Writer<'_> {
    /// Copies the lines; returns the number of the invoice, what it comes to, and the copy.
    pub fn lines(&self, files: &Files) -> Result<(String, Sums, Kept)> {
        let columns = documents::reconciliation::COLUMNS;
        let [number_at, currency_at, subtotal_at, tax_at, total_at, start_at, sold_at, units_at] =
            [
                "InvoiceNumber",
                "Currency",
                "Subtotal",
                "TaxTotal",
                "Total",
                "ChargeStartDate",
                "SubscriptionId",
                "BillableQuantity",
            ]
            .map(|name| place(columns, name));
        let state = RefCell::new((String::new(), Money::zero(self.edge.currency), 0i64, 0u64));
        let mut out = self.table(&documents::received::lines_layout(), "lines")?;
        let has: Vec<Has> = columns.iter().map(Has::of).collect();
        desk::each_row(&files.lines, columns, |row| {
            let (number, net, tax, rows) = &mut *state.borrow_mut();
            one_number(number, row.text(number_at))?;
            self.check_currency(row.text(currency_at))?;
            self.check_day(row.day(start_at)?, "ChargeStartDate")?;
            let subtotal = self.amount(row, subtotal_at, "Subtotal")?.unwrap_or_default();
            let of_row = self.amount(row, tax_at, "TaxTotal")?.unwrap_or_default();
            if let Some(total) = self.amount(row, total_at, "Total")?
                && subtotal.checked_add(of_row) != Some(total)
            {
                return Err("Total is not Subtotal with TaxTotal".to_owned());
            }
            let subtotal = Money::new(subtotal, self.edge.currency);
            *net = net.checked_add(subtotal).map_err(|error| error.to_string())?;
            *tax = tax.checked_add(of_row).ok_or("TaxTotal: the sum is too large")?;
            *rows += 1;
            for (at, has) in has.iter().enumerate() {
                out.text(at, &cell(row, at, *has, self.edge.currency)?);
            }
            let (sold, _) = self.edge.sold(row.text(sold_at));
            out.text(sold_at, &sold);
            let total = subtotal.minor().checked_add(of_row).ok_or("Total is too large")?;
            let total = BigDecimal::from(total) / power(self.edge.currency);
            out.text(total_at, &amount_text(&total, self.edge.currency));
            if row.is_usage() {
                let units = row.number(units_at)?;
                self.units.borrow_mut().line(&sold, units, subtotal.minor() == 0);
            }
            out.row().map_err(|error| error.to_string())
        })
        .map_err(refused)?;
        let (number, net, tax, rows) = state.into_inner();
        let number = match (&files.invoice, number.as_str()) {
            (Some((_, invoice)), "") => invoice.number.clone(),
            _ => number,
        };
        if number.is_empty() {
            let reason = "is nowhere in the files; only billed usage is imported";
            return Err(Error::invalid("InvoiceNumber", reason));
        }
        let sums = Sums { net, tax: Money::new(tax, self.edge.currency), rows };
        Ok((number, sums, out))
    }

    /// Copies the rows by day and hands them on as usage.
    pub fn daily(
        &self,
        files: &Files,
        (invoice, taker): (&ReceivedRow, &mut Intake<'_>),
    ) -> Result<(DailySums, Kept)> {
        let columns = documents::daily::COLUMNS;
        let at = |name: &str| place(columns, name);
        let names = std::array::from_fn(|field| {
            let known = FIELDS.iter().find(|(known, _)| *known as usize == field);
            known.map_or_else(|| Field::NAMES[field].0.name(), |(_, column)| column).to_owned()
        });
        taker.begin(&file_name(&files.daily), names, false);
        let state = RefCell::new((DailySums::default(), None::<Error>));
        let mut out = self.table(&documents::received::daily_layout(), "daily")?;
        let [number_at, currency_at, billed_at, quantity_at, date_at, sold_at, held_at] =
            DAILY.map(at);
        let benefits = BENEFITS.map(at);
        let has: Vec<Has> = columns.iter().map(Has::of).collect();
        let fields = FIELDS.map(|(field, column)| (field, at(column), Has::of(&column)));
        let read = desk::each_row(&files.daily, columns, |row| {
            let (sums, failed) = &mut *state.borrow_mut();
            let number = row.text(number_at);
            if !number.is_empty() && number != invoice.number {
                return Err(format!("InvoiceNumber is {number}, not {}", invoice.number));
            }
            self.check_currency(row.text(currency_at))?;
            let day = row.day(date_at)?;
            self.check_day(day, "UsageDate")?;
            let (sold, held) = self.edge.sold(row.text(sold_at));
            let billed = row.number(billed_at)?.unwrap_or_default();
            sums.rows += 1;
            for (at, has) in has.iter().enumerate() {
                out.text(at, &cell(row, at, *has, self.edge.currency)?);
            }
            out.text(sold_at, &sold);
            if let Some(held) = &held {
                out.text(held_at, held);
            }
            out.row().map_err(|error| error.to_string())?;
            let is_free = billed == BigDecimal::default();
            let covered = is_free && benefits.iter().any(|at| !row.text(*at).is_empty());
            sums.billed += billed;
            let quantity = row.number(quantity_at)?.unwrap_or_default();
            if quantity == BigDecimal::default() && day.is_none() {
                // A row that makes up for rounding.
                return Ok(());
            }
            if !row.is_usage() || covered {
                sums.covered += u64::from(covered);
                sums.others += u64::from(!covered);
                return Ok(());
            }
            self.edge.refuse_others(&sold)?;
            self.units.borrow_mut().row(&sold, &quantity, is_free);
            let held = held.or_else(|| self.edge.held(&sold, row.text(held_at)));
            let mut raw = self.record((row, &fields), day, held.unwrap_or(sold))?;
            // An invoice is imported once, so the place of a row is an id; what a row is about is
            // none, since a later invoice may correct it.
            raw.values[Field::EventId as usize] = format!("{}-{}", invoice.id, sums.rows).into();
            taker.take(&raw).map_err(|error| {
                let text = error.to_string();
                *failed = Some(error);
                text
            })
        });
        let (sums, failed) = state.into_inner();
        if let Some(error) = failed {
            return Err(error);
        }
        read.map_err(refused)?;
        Ok((sums, out))
    }

    /// What a row says was used of a subscription, or of what one holds.
    fn record<'r>(
        &self,
        (row, fields): (&'r FileRow<'_>, &[(Field, usize, Has)]),
        day: Option<Date>,
        holder: String,
    ) -> std::result::Result<RawRecord<'r>, String> {
        let mut raw = RawRecord { row: row.line, ..RawRecord::default() };
        for (field, at, has) in fields {
            raw.values[*field as usize] = cell(row, *at, *has, self.edge.currency)?;
        }
        raw.values[Field::SubscriptionId as usize] = holder.into();
        if let Some([start, end]) = day.and_then(|day| self.bounds(day)) {
            raw.values[Field::UsageStart as usize] = start.into();
            raw.values[Field::UsageEnd as usize] = end.into();
        }
        Ok(raw)
    }

    /// When a day of the programme begins and ends.
    fn bounds(&self, day: Date) -> Option<[String; 2]> {
        let instant = |day| self.edge.zone.start_of(day).to_string();
        Some([instant(day), instant(day.tomorrow().ok()?)])
    }

    fn check_currency(&self, text: &str) -> std::result::Result<(), String> {
        if text.eq_ignore_ascii_case(self.edge.currency.code()) {
            return Ok(());
        }
        let agreed = self.edge.currency;
        Err(format!("is in {text:?}; the agreement says {agreed}"))
    }

    /// An invoice bills its month, and may bill what is older.
    fn check_day(&self, day: Option<Date>, name: &str) -> std::result::Result<(), String> {
        match day {
            Some(day) if day > self.month.last_day() => {
                Err(format!("{name} {day} is after {}", self.month))
            }
            _ => Ok(()),
        }
    }

    /// An amount in minor units.
    fn amount(
        &self,
        row: &FileRow<'_>,
        at: usize,
        name: &str,
    ) -> std::result::Result<Option<i64>, String> {
        let Some(number) = row.number(at)? else { return Ok(None) };
        let minor = (&number * power(self.edge.currency)).normalized();
        let whole = minor.is_integer().then(|| minor.with_scale(0).to_plain_string());
        whole
            .and_then(|whole| whole.parse().ok())
            .map(Some)
            .ok_or_else(|| format!("{name} is {number}: not an amount in {}", self.edge.currency))
    }

    fn table(&self, layout: &documents::Layout, name: &str) -> Result<Kept> {
        std::fs::create_dir_all(self.folder).map_err(Error::file(self.folder))?;
        let path = self.folder.join(format!("{name}.part"));
        Ok(Kept {
            sink: Sink::create(&path, Format::Parquet, layout)?,
            table: TableBuilder::new(layout),
            path: Unfinished(path),
        })
    }
}

/// Columns that say what becomes of a row by day.
const DAILY: [&str; 7] = [
    "InvoiceNumber",
    "BillingCurrency",
    "BillingPreTaxTotal",
    "Quantity",
    "UsageDate",
    "SubscriptionId",
    "EntitlementId",
];
/// Any of these says that a row that costs nothing has been paid for by a benefit.
const BENEFITS: [&str; 3] = ["BenefitOrderId", "BenefitId", "BenefitType"];

/// How many minor units a currency has in one of its units.
fn power(currency: Currency) -> BigDecimal {
    BigDecimal::new(1.into(), -i64::from(currency.minor_digits()))
}

/// Which columns of a daily file say what of a record.
const FIELDS: [(Field, &str); 12] = [
    (Field::SubscriptionId, "SubscriptionId"),
    (Field::MeterId, "MeterId"),
    (Field::Quantity, "Quantity"),
    (Field::Unit, "Unit"),
    (Field::ResourceUri, "ResourceURI"),
    (Field::ResourceLocation, "ResourceLocation"),
    (Field::ResourceGroup, "ResourceGroup"),
    (Field::ConsumedService, "ConsumedService"),
    (Field::Tags, "Tags"),
    (Field::AdditionalInfo, "AdditionalInfo"),
    (Field::ServiceInfo1, "ServiceInfo1"),
    (Field::ServiceInfo2, "ServiceInfo2"),
];

/// A file that is being kept.
pub(super) struct Kept {
    sink: Sink,
    table: TableBuilder,
    path: Unfinished,
}

/// A file that goes where nobody finishes it.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Once finished, it is not there any more.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Kept {
    fn text(&mut self, at: usize, text: &str) {
        self.table.text(at, text);
    }

    fn row(&mut self) -> Result<()> {
        self.table.row();
        if self.table.rows() == BATCH_ROWS { self.sink.write(&self.table.take()?) } else { Ok(()) }
    }

    /// Ends the file and puts it where it belongs; says where that is.
    pub fn finish(mut self, folder: &Path, name: &str) -> Result<PathBuf> {
        if self.table.rows() > 0 {
            self.sink.write(&self.table.take()?)?;
        }
        self.sink.finish()?;
        std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
        let target = folder.join(name);
        std::fs::rename(&self.path.0, &target).map_err(Error::file(&target))?;
        Ok(target)
    }
}

/// All rows that name an invoice name the same one.
fn one_number(known: &mut String, number: &str) -> std::result::Result<(), String> {
    if number.is_empty() || number == known {
        return Ok(());
    }
    if known.is_empty() {
        number.clone_into(known);
        return Ok(());
    }
    Err(format!("InvoiceNumber is {number}, further up {known}; import one invoice at a time"))
}
