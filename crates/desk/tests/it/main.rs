//! The desk on files of a provider that rounds by its documented formulas, with mistakes planted.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod plain;
mod planted;
mod provider;
mod spellings;
