//! What a programme file says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::operation::operation;

/// Whether a file is applied, and what for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyQuery {
    /// Applies the plan; without it, the plan is only shown.
    #[serde(default)]
    pub apply: bool,
    /// Lets it change prices of closed months, and says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restate: Option<String>,
}

/// What a file would change or has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgrammePlan {
    /// Whether it is applied.
    pub applied: bool,
    /// The changes.
    pub changes: Vec<ProgrammeChange>,
    /// Facts that the file does not mention; they stay.
    pub untouched: u64,
    /// The closed months whose prices are restated.
    pub restates: Vec<String>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProgrammeChange {
    /// `add` or `change`.
    pub action: String,
    /// What kind of fact.
    pub kind: String,
    /// Which one, and what it says.
    pub what: String,
}

operation!(
    /// Applies a programme file.
    ApplyProgramme, "programme.apply", Post, "/api/v1/programme",
    "Shows what a programme file (TOML) would change; with `apply=true`, applies it.",
    query: ApplyQuery, raw: String, &["application/toml", "text/plain"], answer: ProgrammePlan
);
