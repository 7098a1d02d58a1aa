//! The certificate of an export: what it holds and by which facts it came about.
//!
//! Everything in it can be recomputed from the files next to it; it holds no clock, so that the
//! same close gives the same certificate.

use serde::{Deserialize, Serialize};

/// The format of [`Certificate`].
pub const FORMAT: &str = "skyhandel-certificate-4";

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// What this is and in which version.
    pub format: String,
    /// The programme.
    pub programme: String,
    /// The month.
    pub period: String,
    /// Its first instant.
    pub period_start: String,
    /// The first instant after it.
    pub period_end: String,
    /// The zone in which it begins and ends.
    pub zone: String,
    /// By which rules amounts are rounded.
    pub policy: String,
    /// Only what this organisation sells.
    pub seller: Option<String>,
    /// Only what this organisation buys.
    pub buyer: Option<String>,
    /// What was billed: by the close, and by each adjustment after it.
    pub revisions: Vec<CertifiedRevision>,
    /// What sellers billed that rate in systems of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received: Vec<CertifiedReceived>,
    /// The files.
    pub files: Vec<CertifiedFile>,
    /// The SHA-256 hash of this document while this field is empty.
    pub sha256: String,
}

/// What was billed at one time: the month by its close, or differences by an adjustment, because
/// more had become known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedRevision {
    /// Zero is the close.
    pub revision: u32,
    /// The day of issue of its invoices and credit notes.
    pub issue_date: String,
    /// The version of the engine.
    pub engine_version: u32,
    /// The hash of the rate book: of an adjustment, that of what was rated again.
    pub rate_book: String,
    /// Whose ledger extracts are here, by key.
    pub books: Vec<String>,
    /// Whose derivations of prices are here, by key.
    pub derivations: Vec<String>,
    /// The edges: of an adjustment, those with a difference.
    pub edges: Vec<CertifiedEdge>,
    /// The edges that are no longer corrected by their agreements, and stay as they were billed.
    pub not_corrected: Vec<UncorrectedEdge>,
    /// The edges whose seller rates and bills in a system of its own. Their price lists say what the
    /// buyer expects to pay, from which it may make its own prices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rated_by_seller: Vec<SellerRatedEdge>,
}

/// An edge that is no longer corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UncorrectedEdge {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
}

/// An edge whose seller rates it in a system of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SellerRatedEdge {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The currency in which the buyer expects to be billed.
    pub currency: String,
}

/// An edge of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedEdge {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The number of the invoice.
    pub invoice: String,
    /// The currency.
    pub currency: String,
    /// How groups become minor units.
    pub rounding: String,
    /// What is to be paid before tax.
    pub net: String,
    /// The tax.
    pub tax: String,
    /// What is to be paid with tax.
    pub gross: String,
    /// Rows of the reconciliation file.
    pub lines: u64,
    /// Rated lines: rows of the daily file that are usage.
    pub rated_lines: u64,
    /// Rows of the daily file that make up for rounding.
    pub rounding_lines: u64,
    /// The most decimals of a billed amount in the daily file.
    pub billing_decimals: u8,
    /// The most decimals of an amount in the pricing currency in the daily file.
    pub pricing_decimals: u8,
    /// Rows of `legacy-usage.*`, where some lines are of legacy offers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_lines: Option<u64>,
    /// The partner earned credit, in percent, where some is earned: `credits.csv` says where and
    /// when, `credit-exceptions.csv` on which meters not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earned_credit: Option<String>,
}

/// A received invoice of a certificate. Its files lie in `PERIOD/received/INVOICE_ID`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedReceived {
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The seller's number of the invoice.
    pub invoice: String,
    /// Our id of it.
    pub invoice_id: String,
    /// The day of issue.
    pub issue_date: String,
    /// The currency.
    pub currency: String,
    /// What is to be paid before tax.
    pub net: String,
    /// The tax.
    pub tax: String,
    /// What is to be paid with tax.
    pub gross: String,
    /// Rows of the reconciliation file.
    pub lines: u64,
    /// Rows of the daily file.
    pub daily_rows: u64,
    /// What these come to, exactly.
    pub daily_billed: String,
    /// Why its files may differ by more than rounding, where they do.
    pub differences: Option<String>,
}

/// A file of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertifiedFile {
    /// Where it lies below the folder.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// The SHA-256 hash of its bytes.
    pub sha256: String,
}
