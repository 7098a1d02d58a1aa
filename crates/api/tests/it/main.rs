//! The API as its callers see it: routes asked in-process, on either database.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod documents;
mod month;
mod neighbours;
mod tokens;
mod world;
