//! What the executable promises, seen from outside.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod killed;
mod reference;
mod served;
mod verify_finds;
