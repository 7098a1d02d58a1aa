//! The kernel's promises, each with a test that tries to break it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod decimals;
mod ids_and_errors;
mod months;
mod rounding;
