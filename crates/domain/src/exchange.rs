//! Exchange rates as they were published or agreed, and which one counts.

use std::collections::BTreeMap;

use jiff::Span;
use jiff::civil::Date;
use kernel::{Currency, ExchangeRate, Month};

use crate::{ExchangePolicy, RateSource};

/// How many days a published daily rate may be older than the day for which it stands in.
pub const RATE_AGE_DAYS_MAX: i64 = 10;

/// Every exchange rate that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExchangeRates {
    /// Units of a currency per euro, by day of publication.
    ecb: BTreeMap<Currency, BTreeMap<Date, ExchangeRate>>,
    /// US dollars per unit of a currency, by month.
    usd_sheet: BTreeMap<Currency, BTreeMap<Month, ExchangeRate>>,
    /// Agreed rates from one currency to another, by month.
    programme: BTreeMap<(Currency, Currency), BTreeMap<Month, ExchangeRate>>,
}

/// The rate that counts, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AppliedRate {
    /// What one unit of the first currency is worth in the second.
    pub rate: ExchangeRate,
    /// The day of the rate: of publication, or the first of the month.
    pub day: Date,
}

impl ExchangeRates {
    /// Adds units of `currency` per euro as published on a day.
    pub fn add_ecb(&mut self, currency: Currency, day: Date, rate: ExchangeRate) {
        self.ecb.entry(currency).or_default().insert(day, rate);
    }

    /// Adds US dollars per unit of `currency` of a month.
    pub fn add_usd_sheet(&mut self, currency: Currency, month: Month, rate: ExchangeRate) {
        self.usd_sheet.entry(currency).or_default().insert(month, rate);
    }

    /// Adds an agreed rate of a month.
    pub fn add_agreed(&mut self, from: Currency, to: Currency, month: Month, rate: ExchangeRate) {
        self.programme.entry((from, to)).or_default().insert(month, rate);
    }

    /// The rate from one currency to another for a month, by a policy.
    ///
    /// # Errors
    /// Says which rate is missing and where to get it.
    pub fn find(
        &self,
        from: Currency,
        to: Currency,
        policy: ExchangePolicy,
        month: Month,
    ) -> Result<AppliedRate, String> {
        let day = policy.fixing.day(month);
        if from == to {
            return Ok(AppliedRate { rate: ExchangeRate::ONE, day });
        }
        match policy.source {
            RateSource::Ecb => self.find_ecb(from, to, day),
            RateSource::UsdSheet => self.find_usd(from, to, month),
            RateSource::Programme => self.find_agreed(from, to, month),
        }
    }

    fn find_ecb(&self, from: Currency, to: Currency, day: Date) -> Result<AppliedRate, String> {
        let (from_day, per_euro_from) = self.per_euro(from, day)?;
        let (to_day, per_euro_to) = self.per_euro(to, day)?;
        let rate = ExchangeRate::cross(per_euro_from, per_euro_to)
            .ok_or_else(|| format!("the rate from {from} to {to} is outside what is kept"))?;
        Ok(AppliedRate { rate, day: from_day.max(to_day) })
    }

    /// Units of `currency` per euro, last published on or before `day`.
    fn per_euro(&self, currency: Currency, day: Date) -> Result<(Date, ExchangeRate), String> {
        if currency.code() == "EUR" {
            return Ok((Date::MIN, ExchangeRate::ONE));
        }
        let earliest = day.saturating_sub(Span::new().days(RATE_AGE_DAYS_MAX));
        let rates = self.ecb.get(&currency);
        let found = rates.and_then(|rates| rates.range(earliest..=day).next_back());
        found.map(|(day, rate)| (*day, *rate)).ok_or_else(|| {
            format!(
                "no ECB rate of {currency} is known for {day} or the {RATE_AGE_DAYS_MAX} days \
                 before; import a newer file with `skyhandel import rates`"
            )
        })
    }

    fn find_usd(&self, from: Currency, to: Currency, month: Month) -> Result<AppliedRate, String> {
        let usd_per_unit = |currency: Currency| {
            if currency.code() == "USD" {
                return Ok(ExchangeRate::ONE);
            }
            let rate = self.usd_sheet.get(&currency).and_then(|rates| rates.get(&month));
            rate.copied().ok_or_else(|| {
                format!(
                    "no US dollar rate of {currency} is known for {month}; import the month's \
                     sheet with `skyhandel import rates`"
                )
            })
        };
        // One unit of `from` is so many dollars, and a dollar is one over so many of `to`.
        let rate = ExchangeRate::cross(usd_per_unit(to)?, usd_per_unit(from)?)
            .ok_or_else(|| format!("the rate from {from} to {to} is outside what is kept"))?;
        Ok(AppliedRate { rate, day: month.first_day() })
    }

    fn find_agreed(
        &self,
        from: Currency,
        to: Currency,
        month: Month,
    ) -> Result<AppliedRate, String> {
        let rates = self.programme.get(&(from, to));
        let rate = rates.and_then(|rates| rates.get(&month)).ok_or_else(|| {
            format!(
                "no agreed rate from {from} to {to} is known for {month}; add an \
                 [[exchange_rate]] to the programme file"
            )
        })?;
        Ok(AppliedRate { rate: *rate, day: month.first_day() })
    }
}
