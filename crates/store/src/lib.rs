//! The only crate that speaks SQL.
//!
//! **Owns** facts with two times, the catalogue of the lake's files, closes, invoices and ledger.
//! **Does not own** what any of it means: rows become `domain` values here and nothing else.
//!
//! # Invariants
//! - Facts are appended, never updated or deleted.
//! - A transaction needs a scope.

mod applications;
mod catalogue;
mod closes;
mod credits;
mod db;
mod inbox;
mod installation;
mod migrations;
mod programme;
mod rates;
mod received;
mod restatements;
mod taxes;

pub use applications::ApplicationRow;
pub use catalogue::{
    ControlTotal, ImportRow, PriceSheetRow, SegmentRow, UsageAdded, WaitingCorrection,
};
pub use closes::{CloseRow, DocumentRow, InvoiceRow, LedgerRow, NewInvoice};
pub use db::{Alone, DatabaseUrl, Db, Exclusive, Turn, Tx};
pub use inbox::{Generation, InboxRow, InboxState};
pub use installation::InstallationRow;
pub use programme::ProgrammeChanges;
pub use rates::RateRow;
pub use received::ReceivedRow;
pub use restatements::AcceptanceRow;
