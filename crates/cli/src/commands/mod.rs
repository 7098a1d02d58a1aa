//! One file a command: call the operation, print what it did.

pub mod adjust;
pub mod applications;
pub mod apply;
pub mod bench;
pub mod close;
pub mod db;
pub mod explain;
pub mod export;
pub mod imports;
pub mod invoices;
pub mod prorate;
pub mod rate;
pub mod reconcile;
pub mod rehearse;
pub mod restate;
pub mod serve;
pub mod shadow;
pub mod verify;
