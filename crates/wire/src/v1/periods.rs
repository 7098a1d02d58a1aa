//! Months: what they come to now, closing them, billing what became known since.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Amount, Invoice};
use crate::Nothing;
use crate::operation::operation;

/// Which month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeriodPath {
    /// The month, like `2026-10`.
    pub period: String,
}

/// What a month comes to by what is known now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenPeriod {
    /// The month.
    pub period: String,
    /// Whether its invoices are frozen.
    pub closed: bool,
    /// What each edge of the caller comes to.
    pub edges: Vec<OpenEdge>,
    /// Usage without a price, which is in none of the totals.
    pub missing: Vec<MissingPrice>,
}

/// What an edge comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpenEdge {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The currency.
    pub currency: String,
    /// Daily rated lines.
    pub lines: u64,
    /// Invoice lines.
    pub groups: u64,
    /// Before tax.
    pub net: String,
    /// What the seller itself pays for the same usage; for the seller's eyes alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bought: Vec<Amount>,
    /// The difference, at the edge's exchange rate; for the seller's eyes alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub margin: Option<String>,
}

/// Usage without a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MissingPrice {
    /// The seller's key.
    pub seller: Option<String>,
    /// The buyer's key.
    pub buyer: Option<String>,
    /// The meter.
    pub meter: String,
    /// One of the subscriptions.
    pub subscription: String,
    /// How many subscriptions.
    pub subscriptions: u64,
    /// Why, and what to do.
    pub reason: String,
}

/// How a month is billed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BillQuery {
    /// The day of issue of the invoices; today if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issue_date: Option<String>,
}

/// What billing a month has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Billed {
    /// The month.
    pub period: String,
    /// Zero for the close, then counting the adjustments; none where there was nothing to bill.
    pub revision: Option<u32>,
    /// The day of issue.
    pub issue_date: Option<String>,
    /// Whether it had been done before.
    pub already: bool,
    /// The invoices and credit notes.
    pub invoices: Vec<Invoice>,
}

operation!(
    /// What a month comes to now.
    ShowOpenPeriod, "periods.open", Get, "/api/v1/periods/{period}/open",
    "What the caller's edges come to in a month by everything that is known now. Nothing is frozen.",
    path: PeriodPath, answer: OpenPeriod
);
operation!(
    /// Closes a month.
    ClosePeriod, "periods.close", Post, "/api/v1/periods/{period}/close",
    "Closes a month: numbers, freezes and posts its invoices. A closed month stays as it is.",
    path: PeriodPath, query: BillQuery, body: Nothing, answer: Billed
);
operation!(
    /// Bills what became known since a month was closed.
    AdjustPeriod, "periods.adjust", Post, "/api/v1/periods/{period}/adjust",
    "Bills what became known about a closed month since it was billed.",
    path: PeriodPath, query: BillQuery, body: Nothing, answer: Billed
);
