//! The lake's promises, each with a test that tries to break it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod columnar;
mod events;
mod usage;
