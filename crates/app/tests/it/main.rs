//! The operations, from files to files.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accountant;
mod adjusted;
mod bad_input;
mod calendars;
mod determinism;
mod earned_credit;
mod events;
mod imports;
mod legacy_offers;
mod moved;
mod partner_center;
mod real_prices;
mod received;
mod rehearsed;
mod restated;
mod seats;
mod taxed;
mod transition_days;
mod year;
