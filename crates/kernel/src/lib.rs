//! Values everyone shares: ids, money, quantities, prices, percentages, rounding, time and errors.
//!
//! **Owns** the exact decimals of the engine and the one place where an amount is rounded.
//! **Does not own** any rule of the business, any IO, any clock.
//!
//! # Scales
//!
//! | type | decimals | integer digits | why |
//! |---|---|---|---|
//! | [`Quantity`] | 15 | 12 | recorded quantities have up to 15 decimals |
//! | [`UnitPrice`] | 16 | 9 | documented prices have up to 16; derived ones are rounded to 12 |
//! | [`ExchangeRate`] | 17 | 7 | recorded rates have up to 17 |
//! | [`Percent`] | 12 | 6 | what a rule of a price book states |
//! | [`Amount`] | 48 | 28 | 15 + 16 + 17: quantity x price x rate, nothing lost |
//!
//! The first four are 128-bit integers at the declared scale, [`Amount`] is a 256-bit one. Text
//! with more decimals than the scale holds is refused, never rounded.

mod amount;
mod currency;
mod decimal;
mod error;
mod id;
mod money;
mod percent;
mod price;
mod quantity;
mod rate;
mod rounding;
mod ten;
mod time;

pub use amount::{AMOUNT_SCALE, Amount};
pub use currency::{Country, Currency};
pub use decimal::{DecimalError, trimmed};
pub use error::{Error, FAULTS_SHOWN_MAX, Fault, Faults, Result};
pub use id::{
    ApplicationId, EntitlementId, IdError, ImportId, InstallationId, InvoiceId, InvoiceLineId,
    JobId, Key, MeterId, OrganisationId, SubscriptionId,
};
pub use money::Money;
pub use percent::{PERCENT_SCALE, Percent};
pub use price::{DERIVED_PRICE_DECIMALS, UNIT_PRICE_SCALE, UnitPrice};
pub use quantity::{QUANTITY_SCALE, Quantity};
pub use rate::{EXCHANGE_RATE_SCALE, ExchangeRate};
pub use rounding::{Rounding, half_even, pow10};
pub use ten::{POW10_MAX, divide_by_ten_to, ten_to};
pub use time::{Month, Period, Zone, instant_micros, micros_instant};
