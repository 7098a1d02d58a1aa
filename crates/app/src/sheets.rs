//! Price sheets as files: each version is a whole sheet, never changed, so that what a price was
//! known to be at any instant can be read at once.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use domain::{ListPrice, ListedMeter, Meter, PriceSheet, Programme, Tier, Tiers};
use kernel::{Currency, Error, Key, Result};
use lake::ColumnarWriter;
use lake::usage::batches_of;
use sha2::{Digest, Sha256};
use store::{PriceSheetRow, Tx};

/// Rows of a row group.
const ROWS: usize = 1 << 16;

/// The texts of a meter, in the order of the file's columns.
const TEXTS: [&str; 13] = [
    "meter_id",
    "name",
    "category",
    "subcategory",
    "region",
    "unit",
    "product_id",
    "product_title",
    "sku_id",
    "sku_title",
    "publisher",
    "tags",
    "tiers",
];

/// Writes a sheet; it is on disk when this returns.
pub(crate) fn write(path: &Path, sheet: &PriceSheet) -> Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(Error::file(parent))?;
    }
    let text = || DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields: Vec<Field> =
        TEXTS.iter().map(|name| Field::new(*name, text(), false)).collect();
    fields.push(Field::new("from", DataType::Int64, false));
    fields.push(Field::new("until", DataType::Int64, false));
    let schema = Arc::new(Schema::new(fields));
    let mut writer = ColumnarWriter::create(path, &schema)?;
    let rows: Vec<(&Meter, &ListPrice)> = sheet
        .meters
        .iter()
        .flat_map(|listed| listed.prices.iter().map(move |price| (&listed.meter, price)))
        .collect();
    for rows in rows.chunks(ROWS) {
        let tiers: Vec<String> = rows.iter().map(|(_, price)| written(&price.tiers)).collect();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for at in 0..TEXTS.len() {
            let texts = rows.iter().zip(&tiers).map(|((meter, _), tiers)| {
                if at == TEXTS.len() - 1 { tiers.as_str() } else { texts_of(meter)[at] }
            });
            columns.push(Arc::new(texts.collect::<DictionaryArray<Int32Type>>()));
        }
        let from = rows.iter().map(|(_, price)| price.from);
        columns.push(Arc::new(Int64Array::from_iter_values(from)));
        let until = rows.iter().map(|(_, price)| price.until.unwrap_or(i64::MAX));
        columns.push(Arc::new(Int64Array::from_iter_values(until)));
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns);
        writer.write(&batch.map_err(|error| Error::internal(error.to_string()))?)?;
    }
    writer.finish(true).map(|_| ())
}

/// Reads a sheet.
pub(crate) fn read(path: &Path, key: &Key, currency: Currency) -> Result<PriceSheet> {
    let broken = || Error::conflict(format!("{} is not a price sheet", path.display()));
    let mut meters: Vec<ListedMeter> = Vec::new();
    for batch in batches_of(path, None, None)? {
        let batch = batch?;
        let texts: Option<Vec<Vec<&str>>> = TEXTS
            .iter()
            .map(|name| {
                let column = batch.column_by_name(name)?.as_dictionary_opt::<Int32Type>()?;
                let values = column.values().as_string_opt::<i32>()?;
                Some(column.keys().values().iter().map(|k| values.value(*k as usize)).collect())
            })
            .collect();
        let texts = texts.ok_or_else(broken)?;
        let numbers = |name: &str| {
            let column = batch.column_by_name(name)?.as_primitive_opt::<Int64Type>()?;
            Some(column.values().to_vec())
        };
        let (from, until) = numbers("from").zip(numbers("until")).ok_or_else(broken)?;
        for row in 0..batch.num_rows() {
            let id = texts[0][row].parse().map_err(|_| broken())?;
            let price = ListPrice {
                from: from[row],
                until: Some(until[row]).filter(|until| *until != i64::MAX),
                tiers: tiers(texts[TEXTS.len() - 1][row]).ok_or_else(broken)?,
            };
            match meters.last_mut() {
                Some(last) if last.meter.id == id => last.prices.push(price),
                _ => {
                    let text = |at: usize| texts[at][row].to_owned();
                    let meter = Meter {
                        id,
                        name: text(1),
                        category: text(2),
                        subcategory: text(3),
                        region: text(4),
                        unit: text(5),
                        product_id: text(6),
                        product_title: text(7),
                        sku_id: text(8),
                        sku_title: text(9),
                        publisher: text(10),
                        tags: text(11),
                    };
                    meters.push(ListedMeter { meter, prices: vec![price] });
                }
            }
        }
    }
    Ok(PriceSheet { key: key.clone(), currency, meters })
}

fn texts_of(meter: &Meter) -> [&str; 12] {
    [
        meter.id.as_str(),
        &meter.name,
        &meter.category,
        &meter.subcategory,
        &meter.region,
        &meter.unit,
        &meter.product_id,
        &meter.product_title,
        &meter.sku_id,
        &meter.sku_title,
        &meter.publisher,
        &meter.tags,
    ]
}

fn written(tiers: &Tiers) -> String {
    let tiers = tiers.as_slice().iter().map(|tier| format!("{}:{}", tier.from, tier.price));
    tiers.collect::<Vec<_>>().join(" ")
}

fn tiers(text: &str) -> Option<Tiers> {
    let tier = |tier: &str| {
        let (from, price) = tier.split_once(':')?;
        Some(Tier { from: from.parse().ok()?, price: price.parse().ok()? })
    };
    Tiers::new(text.split(' ').map(tier).collect::<Option<Vec<_>>>()?).ok()
}

/// The newest version of a sheet that was known at an instant, with its row of the catalogue.
pub(crate) async fn newest(
    tx: &mut Tx,
    lake: &Path,
    key: &Key,
    known_at: i64,
) -> Result<Option<(PriceSheetRow, PriceSheet)>> {
    let rows = tx.price_sheets(known_at).await?;
    let Some(row) = rows.into_iter().find(|row| row.key == *key) else { return Ok(None) };
    let sheet = load(lake, &row)?;
    Ok(Some((row, sheet)))
}

/// The sheets of a programme's offers, as known at an instant.
pub(crate) async fn of_programme(
    tx: &mut Tx,
    lake: &Path,
    programme: &Programme,
    known_at: i64,
) -> Result<BTreeMap<Key, PriceSheet>> {
    let mut sheets = BTreeMap::new();
    for row in tx.price_sheets(known_at).await? {
        if programme.offers.values().any(|offer| offer.price_sheet == row.key) {
            sheets.insert(row.key.clone(), load(lake, &row)?);
        }
    }
    Ok(sheets)
}

fn load(lake: &Path, row: &PriceSheetRow) -> Result<PriceSheet> {
    let path = lake.join(&row.path);
    check_sha256(&path, &row.sha256)?;
    read(&path, &row.key, row.currency)
}

/// Refuses a frozen file that has been changed.
pub(crate) fn check_sha256(path: &Path, expected: &str) -> Result<()> {
    let found = sha256(path)?;
    if found == expected {
        return Ok(());
    }
    Err(Error::conflict(format!(
        "{} has been changed: its hash is {found}, not {expected}; restore it from a backup",
        path.display()
    )))
}

/// The hash of a file's content.
pub(crate) fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).map_err(Error::file(path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).map_err(Error::file(path))? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&buffer[..read]),
        }
    }
}

/// Bytes as hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
