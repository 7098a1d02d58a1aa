//! The kernel's promises, each with a test that tries to break it.
#![expect(missing_docs, reason = "tests")]

mod decimals;
mod ids_and_errors;
mod months;
mod rounding;
