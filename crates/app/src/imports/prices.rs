//! Importing prices: a file of any known layout is added to a price sheet.

mod merge;
mod plan_sheet;
mod rate_card;

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use domain::{Action, ListPrice, ListedMeter, Meter, PriceSheet, Resource};
use jiff::civil::Date;
use kernel::{Currency, Error, Key, MeterId, Result, Zone, instant_micros};
use store::{ImportRow, PriceSheetRow};

use super::input::Input;
use super::quarantine::Quarantine;
use super::{Before, Imported};
use crate::facts::{News, restated_months};
use crate::{Ctx, crash, sheets};

/// What kind of import this is, in the catalogue.
const KIND: &str = "prices";

/// How prices are imported.
#[derive(Debug, Clone)]
pub struct PriceOptions {
    /// The price sheet that they belong to.
    pub sheet: Key,
    /// The market to take of a file that has several.
    pub market: Option<String>,
    /// Take a meter's earliest price to apply from this day on, if its own date is later: a rate
    /// card only tells the present price, and usage may be older.
    pub valid_from: Option<Date>,
    /// Write rows that cannot be taken to this file, and take the others.
    pub quarantine: Option<PathBuf>,
    /// Why prices of closed months may be restated; they may not if left out.
    pub restate: Option<String>,
}

/// The prices that a file has.
struct PriceFile {
    currency: Currency,
    meters: BTreeMap<MeterId, ListedMeter>,
    rows: u64,
    notes: Vec<String>,
}

impl PriceFile {
    /// Adds a price; says what is wrong if the meter has another one from the same instant.
    fn add(&mut self, meter: Meter, price: ListPrice) -> Result<(), String> {
        let listed = self
            .meters
            .entry(meter.id.clone())
            .or_insert_with(|| ListedMeter { meter, prices: Vec::new() });
        match listed.prices.binary_search_by_key(&price.from, |known| known.from) {
            Err(at) => {
                listed.prices.insert(at, price);
                Ok(())
            }
            Ok(at) if listed.prices[at] == price => Ok(()),
            Ok(_) => Err("has two different prices from the same instant in this file".into()),
        }
    }
}

/// Imports a price file into a sheet.
///
/// # Errors
/// Where the file cannot be read or has bad rows, where it is in another currency than the sheet,
/// and where it would change prices of a closed month.
pub async fn import_prices(ctx: Ctx<'_>, path: &Path, options: &PriceOptions) -> Result<Imported> {
    let input = Input::open(path)?;
    let subject = options.sheet.to_string();
    let mut tx = ctx.write(Action::Create, Resource::Import).await?;
    // The same file read otherwise is another import.
    let mut read_as = input.sha256.clone();
    read_as.extend(options.market.iter().map(|market| format!("/market {market}")));
    read_as.extend(options.valid_from.iter().map(|day| format!("/from {day}")));
    let (done, id) = match super::before(&mut tx, KIND, &subject, &read_as).await? {
        Before::Done(imported, id) => (Some(imported), id),
        Before::Open(id) => (None, id),
    };
    let mut quarantine = Quarantine::new(options.quarantine.as_deref());
    let mut file = read(&ctx, &input, options, &mut quarantine)?;
    let quarantined = quarantine.rows();
    let quarantine = quarantine.finish(&input.name)?;
    if let Some(day) = options.valid_from {
        backdate(&mut file, instant_micros(Zone::UTC.start_of(day)));
    }

    let lake = ctx.installation.lake();
    let known = sheets::newest(&mut tx, &lake, &options.sheet, i64::MAX).await?;
    let (sheet, outcome) = merge::merge(&options.sheet, known.map(|(_, sheet)| sheet), &file)?;
    // The same file again says something new if another one has been imported in between.
    if let Some(done) = done.filter(|_| outcome.new + outcome.changed == 0) {
        return Ok(*done);
    }
    let news = News { sheet: Some(sheet.clone()), ..News::default() };
    let reason = options.restate.as_deref();
    let restated = restated_months(&ctx, &mut tx, &news, reason, "").await?;

    let known_at = tx.known_at(ctx.now_micros()).await?;
    let import = ImportRow {
        id,
        kind: KIND.into(),
        subject,
        file_name: input.name,
        sha256: read_as,
        known_at,
        rows_read: file.rows,
        rows_taken: outcome.new + outcome.changed,
        rows_duplicate: outcome.same,
        rows_conflicting: 0,
        rows_quarantined: quarantined,
        rows_waiting: 0,
        conflicts_path: None,
    };
    let row = save(&lake, &sheet, &import)?;
    crash::point();
    tx.restate(&restated, known_at, reason.unwrap_or_default()).await?;
    tx.add_import(&import, &[]).await?;
    tx.add_price_sheet(&row).await?;
    crash::point();
    tx.commit().await?;
    let mut notes = file.notes;
    notes.insert(0, outcome.to_string());
    notes.extend(super::restated(&restated));
    Ok(Imported { import, totals: Vec::new(), already: false, notes, quarantine })
}

/// The sheet that a price file would make of what is known. Nothing is kept.
pub(crate) fn draft(
    ctx: &Ctx<'_>,
    (path, options): (&Path, &PriceOptions),
    known: Option<PriceSheet>,
) -> Result<PriceSheet> {
    let input = Input::open(path)?;
    let mut file = read(ctx, &input, options, &mut Quarantine::new(None))?;
    if let Some(day) = options.valid_from {
        backdate(&mut file, instant_micros(Zone::UTC.start_of(day)));
    }
    merge::merge(&options.sheet, known, &file).map(|(sheet, _)| sheet)
}

/// Writes the sheet as a new version.
fn save(lake: &Path, sheet: &PriceSheet, import: &ImportRow) -> Result<PriceSheetRow> {
    let path = format!("prices/{}/{}.parquet", sheet.key, import.id);
    let file = lake.join(&path);
    sheets::write(&file, sheet)?;
    Ok(PriceSheetRow {
        key: sheet.key.clone(),
        known_at: import.known_at,
        import: import.id,
        currency: sheet.currency,
        path,
        sha256: sheets::sha256(&file)?,
        meters: sheet.meters.len() as u64,
        prices: sheet.meters.iter().map(|meter| meter.prices.len() as u64).sum(),
    })
}

/// Reads a file, whatever its layout: JSON is a rate card, a table is a plan price sheet.
fn read(
    ctx: &Ctx<'_>,
    input: &Input,
    options: &PriceOptions,
    quarantine: &mut Quarantine,
) -> Result<PriceFile> {
    let mut text = input.read(ctx.progress)?;
    let first = loop {
        let head = text.fill_buf().map_err(Error::file(&input.path))?;
        match head.iter().position(|byte| !byte.is_ascii_whitespace()) {
            Some(at) => break Some(head[at]),
            None if head.is_empty() => break None,
            None => {
                let length = head.len();
                text.consume(length);
            }
        }
    };
    let file = match first {
        None => Err(Error::invalid(input.name.clone(), "is empty")),
        Some(b'{') => {
            let mut json = Vec::new();
            text.read_to_end(&mut json).map_err(Error::file(&input.path))?;
            rate_card::read(&input.name, &json, quarantine)
        }
        Some(_) => plan_sheet::read(&input.name, text, options.market.as_deref(), quarantine),
    };
    ctx.progress.end();
    file
}

/// Lets the earliest price of each meter begin no later than an instant.
fn backdate(file: &mut PriceFile, instant: i64) {
    for listed in file.meters.values_mut() {
        if let Some(first) = listed.prices.first_mut() {
            first.from = first.from.min(instant);
        }
    }
}
