//! Imports: files become facts, each file whole or not at all, and a second time without effect.

pub mod events;
mod input;
mod prices;
mod quarantine;
mod rates;
mod received;
mod table;
mod times;
mod upload;
mod usage;

use domain::{Action, Resource};
use std::path::PathBuf;

use kernel::{ImportId, Month, Result};
use store::{ControlTotal, ImportRow, Tx};

pub(crate) use prices::draft as draft_prices;
pub use prices::{PriceOptions, import_prices};
pub use rates::import_rates;
pub use received::{Received, ReceivedOptions, import_received};
pub use upload::Upload;
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
    let mut tx = ctx.read(Action::Read, Resource::Import).await?;
    let mut imports = Vec::new();
    for import in tx.imports().await? {
        let totals = tx.control_totals(import.id).await?;
        imports.push((import, totals));
    }
    Ok(imports)
}

/// Remarks about closed months whose prices an import restates.
fn restated(months: &[Month]) -> impl Iterator<Item = String> + '_ {
    months.iter().map(|month| {
        format!(
            "restates prices of {month}, which is closed; see what they come to with `skyhandel \
             restate --period {month}`"
        )
    })
}

/// How a file stands to what has been imported.
enum Before {
    /// All of it was taken; the id of another import of it, if something else has been since.
    Done(Box<Imported>, ImportId),
    /// It is new, or an earlier import of it left rows out; the id of the import that follows.
    Open(ImportId),
}

/// Whether the same file has been imported into the same subject. One of which rows could not be
/// taken may be imported again: by now they may be good.
async fn before(tx: &mut Tx, kind: &str, subject: &str, sha256: &str) -> Result<Before> {
    let imports = tx.imports_of(kind, subject, sha256).await?;
    let attempt = imports.len();
    let whole = imports.into_iter().find(|import| import.rows_quarantined == 0);
    let next = ImportId::derived(&format!("{kind}/{subject}/{sha256}/{attempt}"));
    let Some(import) = whole else { return Ok(Before::Open(next)) };
    let totals = tx.control_totals(import.id).await?;
    let imported = Imported { import, totals, already: true, notes: Vec::new(), quarantine: None };
    Ok(Before::Done(Box::new(imported), next))
}
