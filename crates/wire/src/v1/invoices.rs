//! Invoices and credit notes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Page;
use crate::operation::operation;

/// An invoice or a credit note, as it was frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invoice {
    /// Its id.
    pub invoice_id: String,
    /// Its number.
    pub invoice: String,
    /// `invoice` or `credit-note`.
    pub kind: String,
    /// The billed month.
    pub period: String,
    /// Zero for the close, then counting the adjustments.
    pub revision: u32,
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The currency of all its amounts.
    pub currency: String,
    /// Before tax.
    pub net: String,
    /// The tax.
    pub tax: String,
    /// To be paid.
    pub gross: String,
    /// Its lines.
    pub lines: u64,
    /// The daily rated lines behind them.
    pub rated_lines: u64,
    /// The day of issue.
    pub issue_date: String,
    /// When it is due.
    pub due_date: String,
}

/// Which invoices.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InvoicesQuery {
    /// Only those of this month, like `2026-10`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// Only those of the seller with this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seller: Option<String>,
    /// Only those of the buyer with this key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub buyer: Option<String>,
    /// How many at most: 1 to 1000, 100 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub limit: Option<u16>,
    /// `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Which invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InvoicePath {
    /// Its id.
    pub invoice_id: String,
}

operation!(
    /// Lists invoices.
    ListInvoices, "invoices.list", Get, "/api/v1/invoices",
    "Lists the invoices and credit notes that the caller has issued or received, by month.",
    query: InvoicesQuery, answer: Page<Invoice>
);
operation!(
    /// Shows an invoice.
    ShowInvoice, "invoices.show", Get, "/api/v1/invoices/{invoice_id}",
    "Shows an invoice with parties, taxes and sums, as it was frozen.",
    path: InvoicePath, answer: serde_json::Value
);
