//! Exchange rates as they were published or agreed.

use domain::{ExchangeRates, RateSource};
use jiff::civil::Date;
use kernel::{Currency, ExchangeRate, Month, Result};

use crate::db::{Tx, int, text};
use crate::inbox::Generation;

/// One exchange rate. What it says depends on its source: units of `to` per unit of `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RateRow {
    /// Whose rate.
    pub source: RateSource,
    /// From one unit of this: EUR for the ECB, any currency for others.
    pub from: Currency,
    /// To so many of this: USD for the monthly sheet.
    pub to: Currency,
    /// The day of publication, or the first of the month.
    pub on: Date,
    /// The rate.
    pub rate: ExchangeRate,
}

impl Tx {
    /// Adds rates that are new or differ from what was known; says how many.
    pub async fn add_rates(&mut self, rows: &[RateRow], known_at: i64) -> Result<u64> {
        self.everything()?;
        self.changed(Generation::Facts).await?;
        let Some(first) = rows.iter().map(|row| row.on).min() else { return Ok(0) };
        let last = rows.iter().map(|row| row.on).max().unwrap_or(first);
        let known: std::collections::HashSet<RateRow> =
            self.rates(first, last, known_at).await?.into_iter().collect();
        let fresh: Vec<&RateRow> = rows.iter().filter(|row| !known.contains(row)).collect();
        let values = fresh.iter().map(|row| {
            let RateRow { source, from, to, on, rate } = row;
            vec![text(source), text(from), text(to), text(on), int(known_at), text(rate)]
        });
        let into = "INSERT INTO exchange_rate \
                    (source, from_currency, to_currency, on_day, known_at, rate)";
        self.insert(into, "", values).await?;
        Ok(fresh.len() as u64)
    }

    /// Whether rates are what is known.
    pub async fn knows_rates(&mut self, rows: &[RateRow]) -> Result<bool> {
        self.everything()?;
        let days = rows.iter().map(|row| row.on);
        let Some((first, last)) = days.clone().min().zip(days.max()) else { return Ok(true) };
        let known = self.rates(first, last, i64::MAX).await?;
        let known: std::collections::HashSet<RateRow> = known.into_iter().collect();
        Ok(rows.iter().all(|row| known.contains(row)))
    }

    /// The rates of some days, both included, as known at an instant.
    pub async fn rates(&mut self, first: Date, last: Date, known_at: i64) -> Result<Vec<RateRow>> {
        self.everything()?;
        let sql = "SELECT source, from_currency, to_currency, on_day, rate FROM exchange_rate r \
                   WHERE on_day >= $1 AND on_day <= $2 AND known_at = ( \
                     SELECT MAX(known_at) FROM exchange_rate k \
                     WHERE k.source = r.source AND k.on_day = r.on_day \
                       AND k.from_currency = r.from_currency AND k.to_currency = r.to_currency \
                       AND k.known_at <= $3)";
        let rows = self.fetch(sql, vec![text(first), text(last), int(known_at)]).await?;
        rows.iter()
            .map(|row| {
                Ok(RateRow {
                    source: row.parsed(0, "source of an exchange rate")?,
                    from: row.parsed(1, "currency of an exchange rate")?,
                    to: row.parsed(2, "currency of an exchange rate")?,
                    on: row.parsed(3, "day of an exchange rate")?,
                    rate: row.parsed(4, "exchange rate")?,
                })
            })
            .collect()
    }

    /// Everything that may decide the exchange of a month, as known at an instant.
    pub async fn exchange_rates(&mut self, month: Month, known_at: i64) -> Result<ExchangeRates> {
        self.everything()?;
        // A fixing lies in the month or shortly before it, and a rate may be some days old.
        let first = month.previous().first_day();
        let mut rates = ExchangeRates::default();
        for RateRow { source, from, to, on, rate } in
            self.rates(first, month.last_day(), known_at).await?
        {
            match source {
                RateSource::Ecb => rates.add_ecb(to, on, rate),
                RateSource::UsdSheet => rates.add_usd_sheet(from, Month::of(on), rate),
                RateSource::Programme => rates.add_agreed(from, to, Month::of(on), rate),
            }
        }
        Ok(rates)
    }
}
