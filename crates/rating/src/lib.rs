//! The rating engine: columnar batches of usage x a compiled, immutable rate book -> rated lines
//! and group totals. Pure: Arrow in, Arrow out.
//!
//! **Owns** how a price is derived ([`RateBook`], [`Schedule`]), how usage is cut by time and
//! tier, how groups are added up exactly and rounded once.
//! **Does not own** where usage lies, what a document looks like, or any clock.
//!
//! # Invariants
//! - The same usage and the same book give the same groups, whatever the batches.
//! - What an edge sells for depends on that edge and those above it, never on those below.
//! - No amount is rounded except where a group becomes money, and where a line has more than 38
//!   digits.

mod book;
mod cache;
mod credit;
mod derivation;
mod engine;
mod flat_price;
mod group;
mod lines;
mod schedule;
mod slices;
mod usage;

pub use book::{
    Edge, EdgeIndex, Facts, MeterIndex, NodeIndex, PriceFacts, RateBook, RateBookHash, Restated,
    SubscriptionIndex,
};
pub use credit::Earned;
pub use engine::{Output, Rater};
pub use group::{ExactAmount, Group, GroupPrice, Mixed, Pricing, Unpriced};
pub use lines::{Decimal, Extent, LineExtents, LineFormat, LineNames};
pub use schedule::{Charge, Credited, Derived, Gap, Interval, Origin, Price, PricedTier, Schedule};
pub use usage::columns;

/// The version of the engine: a fact of every close. It changes when the same facts could give
/// another amount.
pub const ENGINE_VERSION: u32 = 1;
