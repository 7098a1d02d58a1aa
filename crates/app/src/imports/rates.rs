//! Importing exchange rates: the ECB's history, or a provider's monthly sheet.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::{Path, PathBuf};

use domain::{Action, RateSource, Resource};
use jiff::civil::Date;
use kernel::{Currency, ExchangeRate, Fault, Month, Result};
use store::{ImportRow, RateRow};

use super::input::Input;
use super::quarantine::Quarantine;
use super::table::{Table, TableRow};
use super::{Before, Imported};
use crate::facts::{News, restated_months};
use crate::{Ctx, crash};

/// What kind of import this is, in the catalogue.
const KIND: &str = "rates";

/// Imports a file of exchange rates; its layout tells whose they are.
///
/// # Errors
/// Where the file cannot be read or has bad rows, and where it would change a rate by which a
/// closed month was billed without a reason to restate it.
pub async fn import_rates(
    ctx: Ctx<'_>,
    path: &Path,
    quarantine: Option<PathBuf>,
    restate: Option<&str>,
) -> Result<Imported> {
    let input = Input::open(path)?;
    let mut bad = Quarantine::new(quarantine.as_deref());
    let mut table = Table::open(&input.name, input.read(ctx.progress)?)?;
    let source = match table.column(&["USDPerUnit"]) {
        Some(_) => RateSource::UsdSheet,
        None => RateSource::Ecb,
    };
    let subject = source.to_string();
    let mut tx = ctx.write(Action::Create, Resource::Import).await?;
    let (done, id) = match super::before(&mut tx, KIND, &subject, &input.sha256).await? {
        Before::Done(imported, id) => (Some(imported), id),
        Before::Open(id) => (None, id),
    };
    let (rates, rows) = match source {
        RateSource::UsdSheet => usd_sheet(&mut table, &mut bad)?,
        RateSource::Ecb | RateSource::Programme => ecb(&mut table, &mut bad)?,
    };
    ctx.progress.end();
    let quarantined = bad.rows();
    let quarantine = bad.finish(&input.name)?;
    // The same file again says something new if another one has been imported in between.
    if let Some(done) = done
        && tx.knows_rates(&rates).await?
    {
        return Ok(*done);
    }
    let news = News { rates: rates.clone(), ..News::default() };
    let restated = restated_months(&ctx, &mut tx, &news, restate, "").await?;
    let known_at = tx.known_at(ctx.now_micros()).await?;
    tx.restate(&restated, known_at, restate.unwrap_or_default()).await?;
    let taken = tx.add_rates(&rates, known_at).await?;
    let import = ImportRow {
        id,
        kind: KIND.into(),
        subject,
        file_name: input.name,
        sha256: input.sha256,
        known_at,
        rows_read: rows,
        rows_taken: taken,
        rows_duplicate: rates.len() as u64 - taken,
        rows_conflicting: 0,
        rows_quarantined: quarantined,
        rows_waiting: 0,
        conflicts_path: None,
    };
    tx.add_import(&import, &[]).await?;
    crash::point();
    tx.commit().await?;
    let days = rates.iter().map(|rate| rate.on);
    let span = days.clone().min().zip(days.max());
    let note = span.map(|(first, last)| format!("{} rates from {first} to {last}", rates.len()));
    let notes = note.into_iter().chain(super::restated(&restated)).collect();
    Ok(Imported { import, totals: Vec::new(), already: false, notes, quarantine })
}

/// The ECB's history: a row a day, a column a currency, units per euro, `N/A` where there is none.
fn ecb<R: BufRead>(table: &mut Table<R>, bad: &mut Quarantine) -> Result<(Vec<RateRow>, u64)> {
    let date = table.required(&["Date"])?;
    let euro: Currency = "EUR".parse().map_err(|_| kernel::Error::internal("no euro"))?;
    // Columns of currencies that no longer exist and are not known are of no use to anyone.
    let columns: Vec<(usize, Currency)> = table
        .headers
        .iter()
        .enumerate()
        .filter_map(|(at, header)| Some((at, header.trim().parse().ok()?)))
        .collect();
    read(table, bad, |row, rates| {
        let on: Date = row
            .get(Some(date))
            .parse()
            .map_err(|_| row.fault(Some(date), "is not a day; write it like 2026-10-01"))?;
        for (column, to) in &columns {
            let text = row.get(Some(*column));
            if text.is_empty() || text == "N/A" {
                continue;
            }
            let rate = ExchangeRate::parse(text).map_err(|why| row.fault(Some(*column), why))?;
            rates.push(RateRow { source: RateSource::Ecb, from: euro, to: *to, on, rate });
        }
        Ok(())
    })
}

/// The monthly sheet: US dollars per unit of a currency.
fn usd_sheet<R: BufRead>(
    table: &mut Table<R>,
    bad: &mut Quarantine,
) -> Result<(Vec<RateRow>, u64)> {
    let currency = table.required(&["CurrencyCode", "Currency"])?;
    let per_unit = table.required(&["USDPerUnit"])?;
    let month = table.required(&["Month"])?;
    let dollar: Currency = "USD".parse().map_err(|_| kernel::Error::internal("no dollar"))?;
    read(table, bad, |row, rates| {
        let from: Currency = row.parsed(currency)?;
        let text = row.get(Some(per_unit));
        let rate = ExchangeRate::parse(text).map_err(|why| row.fault(Some(per_unit), why))?;
        let on = month_of(row.get(Some(month)))
            .ok_or_else(|| row.fault(Some(month), "is not a month; write it like 202610"))?;
        let on = on.first_day();
        rates.push(RateRow { source: RateSource::UsdSheet, from, to: dollar, on, rate });
        Ok(())
    })
}

/// A month as the sheet writes it: `202610`, `2026-10`, or any day of it.
fn month_of(text: &str) -> Option<Month> {
    if text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("{}-{}", &text[..4], &text[4..]).parse().ok();
    }
    let day = super::times::time(text).map(kernel::micros_instant);
    let day = day.map(|instant| Month::of(kernel::Zone::UTC.day_of(instant)));
    text.parse().ok().or(day)
}

fn read<R: BufRead>(
    table: &mut Table<R>,
    bad: &mut Quarantine,
    take: impl Fn(TableRow<'_>, &mut Vec<RateRow>) -> Result<(), Fault>,
) -> Result<(Vec<RateRow>, u64)> {
    let (mut rates, mut rows) = (BTreeMap::new(), 0);
    loop {
        let taken = match table.next() {
            None => break,
            Some(Err(fault)) => Err(fault),
            Some(Ok(row)) => {
                let mut fresh = Vec::new();
                let taken = take(row, &mut fresh);
                taken.and_then(|()| add(&mut rates, fresh, row))
            }
        };
        rows += 1;
        if let Err(fault) = taken {
            let headers = table.headers.iter().map(String::as_str);
            let record: BTreeMap<&str, &str> = headers.zip(table.cells()).collect();
            bad.put(vec![fault], &record)?;
        }
    }
    Ok((rates.into_values().collect(), rows))
}

/// Adds the rates of a row. A second, different rate of one day is a fault.
fn add(
    rates: &mut BTreeMap<(Currency, Currency, Date), RateRow>,
    fresh: Vec<RateRow>,
    row: TableRow<'_>,
) -> Result<(), Fault> {
    let key = |rate: &RateRow| (rate.from, rate.to, rate.on);
    let twice = fresh.iter().find(|rate| rates.get(&key(rate)).is_some_and(|known| known != *rate));
    if let Some(twice) = twice {
        let reason = format!(
            "has a second, different rate from {} to {} on {}",
            twice.from, twice.to, twice.on
        );
        return Err(row.fault(None, reason));
    }
    rates.extend(fresh.into_iter().map(|rate| (key(&rate), rate)));
    Ok(())
}
