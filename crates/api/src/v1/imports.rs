//! Files that become facts.

use app::imports::{
    self, Imported, PriceOptions, Upload, UsageOptions, import_prices, import_rates, import_usage,
};
use kernel::{Error, ImportId, Result, micros_instant};
use wire::v1::{
    ControlTotal, Import, ImportPrices, ImportRates, ImportRows, ImportUsage, ListImports, Page,
};

use super::{limit, parsed};
use crate::request::Input;
use crate::routes::Call;
use crate::wait;

pub fn list(call: &Call<'_>, input: &Input<ListImports>) -> Result<Page<Import>> {
    let limit = usize::from(limit(input.query.limit)?);
    let after: Option<ImportId> =
        input.query.after.as_deref().map(|id| parsed("after", id)).transpose()?;
    let all = wait(imports::list(call.ctx()))?;
    let begin = match after {
        None => 0,
        Some(after) => {
            let place = all.iter().position(|(import, _)| import.id == after);
            place.ok_or_else(|| Error::invalid("after", "is not `next` of a page of this list"))?
                + 1
        }
    };
    let more = all.len() > begin + limit;
    let page = all.into_iter().skip(begin).take(limit).map(|(import, totals)| {
        shape(&Imported { import, totals, already: false, notes: Vec::new(), quarantine: None })
    });
    let items: Vec<Import> = page.collect();
    let next = items.last().filter(|_| more).map(|last| last.import_id.clone());
    Ok(Page { items, next })
}

pub fn prices(call: &Call<'_>, input: &Input<ImportPrices>) -> Result<Import> {
    let query = &input.query;
    let options = PriceOptions {
        sheet: parsed("sheet", &query.sheet)?,
        market: query.market.clone(),
        valid_from: query.valid_from.as_deref().map(|day| parsed("valid_from", day)).transpose()?,
        quarantine: None,
        restate: query.restate.clone(),
    };
    let upload = Upload::keep(&call.ctx(), &query.name, &input.bytes)?;
    wait(import_prices(call.ctx(), upload.path(), &options)).map(|imported| shape(&imported))
}

pub fn rates(call: &Call<'_>, input: &Input<ImportRates>) -> Result<Import> {
    let restate = input.query.restate.as_deref();
    let upload = Upload::keep(&call.ctx(), &input.query.name, &input.bytes)?;
    let imported = wait(import_rates(call.ctx(), upload.path(), None, restate))?;
    Ok(shape(&imported))
}

pub fn usage(call: &Call<'_>, input: &Input<ImportUsage>) -> Result<Import> {
    let query = &input.query;
    let options = UsageOptions {
        source: parsed("source", query.source.as_deref().unwrap_or("default"))?,
        format: query.format.as_deref().map(|format| parsed("format", format)).transpose()?,
        subscription: query
            .subscription
            .as_deref()
            .map(|id| parsed("subscription", id))
            .transpose()?,
        quarantine: None,
    };
    let upload = Upload::keep(&call.ctx(), &query.name, &input.bytes)?;
    wait(import_usage(call.ctx(), upload.path(), &options)).map(|imported| shape(&imported))
}

fn shape(imported: &Imported) -> Import {
    let import = &imported.import;
    let totals = imported.totals.iter().map(|total| ControlTotal {
        unit: total.unit.clone(),
        rows: total.rows,
        quantity: total.quantity.to_string(),
    });
    Import {
        import_id: import.id.to_string(),
        kind: import.kind.clone(),
        subject: import.subject.clone(),
        file: import.file_name.clone(),
        sha256: import.sha256.clone(),
        known_at: micros_instant(import.known_at).to_string(),
        already_imported: imported.already,
        rows: ImportRows {
            read: import.rows_read,
            taken: import.rows_taken,
            duplicate: import.rows_duplicate,
            conflicting: import.rows_conflicting,
            waiting: import.rows_waiting,
        },
        totals: totals.collect(),
        notes: imported.notes.clone(),
    }
}
