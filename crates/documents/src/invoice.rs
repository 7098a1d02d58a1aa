//! An invoice as a document: who, when, how much, and where its lines are.

use serde::{Deserialize, Serialize};

/// An invoice. Its lines are the rows of the reconciliation file, in the same order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceDocument {
    /// What this is and in which version.
    pub format: String,
    /// What kind of document it is: [`KIND_INVOICE`] or [`KIND_CREDIT_NOTE`].
    pub kind: String,
    /// The number.
    pub number: String,
    /// The invoice of the same edge and month that this one adjusts: the last one before it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub preceding: Option<PrecedingDocument>,
    /// The id.
    pub invoice_id: String,
    /// The billed month.
    pub period: String,
    /// Zero for the invoice of the close; adjustments count on from there.
    pub revision: u32,
    /// Its first instant.
    pub period_start: String,
    /// The first instant after it.
    pub period_end: String,
    /// The day of issue.
    pub issue_date: String,
    /// The day on which it is due.
    pub due_date: String,
    /// Days from issue to due date.
    pub payment_terms_days: u16,
    /// Who sells.
    pub seller: PartyDocument,
    /// Who buys.
    pub buyer: PartyDocument,
    /// The currency.
    pub currency: String,
    /// How many lines it has.
    pub lines: u64,
    /// How many rated lines are behind them.
    pub rated_lines: u64,
    /// What is to be paid before tax.
    pub net: String,
    /// The day that decides how it is taxed (EN 16931: VAT point date).
    #[serde(default)]
    pub tax_point_date: String,
    /// The tax on what is taxed in one way, for each way.
    #[serde(default)]
    pub taxes: Vec<TaxDocument>,
    /// The sum of the taxes.
    #[serde(default)]
    pub tax: String,
    /// What is to be paid with tax.
    #[serde(default)]
    pub gross: String,
    /// How each tax became minor units.
    #[serde(default)]
    pub tax_rounding: String,
    /// How each line became minor units.
    pub rounding: String,
    /// The hash of the rate book by which it was priced.
    pub rate_book: String,
    /// The version of the engine that priced it.
    pub engine_version: u32,
    /// The net amount by service.
    pub by_category: Vec<CategoryDocument>,
}

/// The invoice that an adjustment refers to (EN 16931: preceding invoice reference).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrecedingDocument {
    /// Its number.
    pub number: String,
    /// Its day of issue.
    pub issue_date: String,
}

/// A party of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartyDocument {
    /// The tenant id.
    pub tenant_id: String,
    /// The key.
    pub key: String,
    /// The legal name.
    pub name: String,
    /// The country.
    pub country: String,
    /// The id under which it is registered for value added tax.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vat_id: Option<String>,
    /// The domain of the tenant.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub domain: Option<String>,
    /// The id in the partner network.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub mpn_id: Option<String>,
}

/// The tax on a sum (EN 16931: VAT breakdown).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxDocument {
    /// The category: `S`, `Z`, `E`, `AE`, `G` or `O`.
    pub category: String,
    /// The rate in percent.
    pub rate: String,
    /// The sum of the lines.
    pub taxable: String,
    /// The tax on it.
    pub tax: String,
    /// The rule that decided: `domestic`, `reverse-charge`, `export`, `no-vat-id`,
    /// `not-registered` or `override`.
    pub rule: String,
    /// Why there is no tax, or why it was decided otherwise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The code of that reason (VATEX).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exemption_code: Option<String>,
}

/// What a service costs on an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CategoryDocument {
    /// The service.
    pub category: String,
    /// How many lines.
    pub lines: u64,
    /// Their sum.
    pub net: String,
}

/// Something is to be paid, or nothing.
pub const KIND_INVOICE: &str = "invoice";
/// Something is given back: the amounts are negative.
pub const KIND_CREDIT_NOTE: &str = "credit-note";
/// The format of [`InvoiceDocument`].
pub const FORMAT: &str = "skyhandel-invoice-2";
