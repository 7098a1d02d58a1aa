//! Files that become facts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Page, PageQuery};
use crate::operation::operation;

/// What a file may be sent as; gzip is found out from its first bytes as well.
const FILES: &[&str] = &[
    "application/octet-stream",
    "application/json",
    "application/vnd.apache.parquet",
    "text/csv",
    "text/plain",
];

/// An import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Import {
    /// Its id.
    pub import_id: String,
    /// What kind of file: `usage`, `prices`, `rates`, `received`.
    pub kind: String,
    /// Into what: the source of usage or rates, the price sheet.
    pub subject: String,
    /// The file's name.
    pub file: String,
    /// The hash of its content.
    pub sha256: String,
    /// When it became known.
    pub known_at: String,
    /// Whether the same file had been imported before, so that nothing was done.
    pub already_imported: bool,
    /// What became of its rows.
    pub rows: ImportRows,
    /// What was taken, by unit.
    pub totals: Vec<ControlTotal>,
    /// Remarks for whoever imports.
    pub notes: Vec<String>,
}

/// What became of the rows of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportRows {
    /// Rows that it has.
    pub read: u64,
    /// Rows that are new.
    pub taken: u64,
    /// Rows that were known.
    pub duplicate: u64,
    /// Rows whose ids are known with other content.
    pub conflicting: u64,
    /// Corrections that wait for what they correct.
    pub waiting: u64,
}

/// What was taken of one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ControlTotal {
    /// The unit, as the file spells it.
    pub unit: String,
    /// How many rows.
    pub rows: u64,
    /// Their sum.
    pub quantity: String,
}

/// How prices are imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PricesQuery {
    /// The file's name.
    pub name: String,
    /// The price sheet to which the prices belong.
    pub sheet: String,
    /// The market to take, of a file that has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<String>,
    /// Take each meter's earliest price to apply from this day on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<String>,
    /// Lets it change prices of closed months, and says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restate: Option<String>,
}

/// How exchange rates are imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RatesQuery {
    /// The file's name.
    pub name: String,
    /// Lets it change prices of closed months, and says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restate: Option<String>,
}

/// How usage is imported.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsageQuery {
    /// The file's name.
    pub name: String,
    /// Whose event ids these are; `default` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The layout, if it cannot be told from the file: `csv`, `jsonl`, `parquet` or `utilization`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The subscription of rows that do not name one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
}

operation!(
    /// Lists imports.
    ListImports, "imports.list", Get, "/api/v1/imports",
    "Lists the imports so far with their control totals, oldest first.",
    query: PageQuery, answer: Page<Import>
);
operation!(
    /// Imports prices.
    ImportPrices, "imports.prices", Post, "/api/v1/imports/prices",
    "Imports a plan price sheet (CSV) or a RateCard (JSON), whole or not at all.",
    query: PricesQuery, raw: serde_json::Value, FILES, answer: Import
);
operation!(
    /// Imports exchange rates.
    ImportRates, "imports.rates", Post, "/api/v1/imports/rates",
    "Imports exchange rates: the ECB's history (CSV) or a monthly sheet of USD per unit.",
    query: RatesQuery, raw: serde_json::Value, FILES, answer: Import
);
operation!(
    /// Imports usage.
    ImportUsage, "imports.usage", Post, "/api/v1/imports/usage",
    "Imports a file of usage: CSV, JSON lines, Parquet, utilization or cost details.",
    query: UsageQuery, raw: serde_json::Value, FILES, answer: Import
);
