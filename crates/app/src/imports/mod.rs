//! Imports: files become facts, each file whole or not at all, and a second time without effect.

mod input;
mod prices;
mod quarantine;
mod rates;
mod table;
mod times;
mod usage;

use std::path::PathBuf;

use kernel::{ImportId, Result};
use store::{ControlTotal, ImportRow, Tx};

pub use prices::{PriceOptions, import_prices};
pub use rates::import_rates;
pub use usage::{UsageFormat, UsageOptions, import_usage};

/// What importing a file did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The import, as it is kept.
    pub import: ImportRow,
    /// What was taken, by unit.
    pub totals: Vec<ControlTotal>,
    /// Whether the same file had been imported before, so that nothing was done.
    pub already: bool,
    /// Remarks for whoever imports.
    pub notes: Vec<String>,
    /// Where rows that could not be taken were written.
    pub quarantine: Option<PathBuf>,
}

/// The imports so far, with their control totals.
pub async fn list(ctx: crate::Ctx<'_>) -> Result<Vec<(ImportRow, Vec<ControlTotal>)>> {
    let mut tx = ctx.read().await?;
    let mut imports = Vec::new();
    for import in tx.imports().await? {
        let totals = tx.control_totals(import.id).await?;
        imports.push((import, totals));
    }
    Ok(imports)
}

/// What an import of the same file did before, if there was one.
async fn before(tx: &mut Tx, kind: &str, subject: &str, sha256: &str) -> Result<Option<Imported>> {
    let Some(import) = tx.import_of(kind, subject, sha256).await? else { return Ok(None) };
    let totals = tx.control_totals(import.id).await?;
    Ok(Some(Imported { import, totals, already: true, notes: Vec::new(), quarantine: None }))
}

/// The id of an import: the same file into the same subject always has the same.
fn import_id(kind: &str, subject: &str, sha256: &str) -> ImportId {
    ImportId::derived(&format!("{kind}/{subject}/{sha256}"))
}
