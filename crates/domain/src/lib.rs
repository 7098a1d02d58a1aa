//! The business as pure functions and plain values.
//!
//! **Owns** what the words of the programme mean and which combinations of them are sound.
//! **Does not own** storage, files, wire formats, the clock, or the engine that prices usage.

mod agreement;
mod calendar;
mod earned_credit;
mod exchange;
mod ledger;
mod named;
mod organisation;
mod policy;
mod price_book;
mod price_sheet;
mod programme;
mod restatement;
mod rounding_policy;
mod seats;
mod subscription;
mod tax;
mod validity;

pub use agreement::{ExchangePolicy, Fixing, RateSource, RatedBy, TradeAgreement};
pub use calendar::{BilledDays, BillingPeriods, Calendar, Calendars};
pub use earned_credit::{AccessScope, CreditException, CreditFacts, EarnedCredit, EligibleAccess};
pub use exchange::{AppliedRate, ExchangeRates, RATE_AGE_DAYS_MAX};
pub use ledger::{LedgerEntry, LineOf, due_on, invoice_id, issued, received};
pub use organisation::{NumberSeries, Organisation, Relationship, Role};
pub use policy::{
    Action, Actor, Because, Duty, Permission, Reach, Resource, Scope, decide, permissions,
    permissions_page,
};
pub use price_book::{Derivation, PriceBook, PriceRule, Selector, TIERS_MAX, Tier, Tiers};
pub use price_sheet::{ListPrice, ListedMeter, Meter, PriceSheet};
pub use programme::{FactRef, Finding, Programme};
pub use restatement::{PricedBy, Restatements};
pub use rounding_policy::{EFFECTIVE_PRICE_DECIMALS, PricedSum, RoundingPolicy};
pub use seats::{
    ChargeCycle, SEATS_MAX, SeatCharge, SeatPrice, SeatRounding, change_seats, convert_seats,
};
pub use subscription::{EDGES_MAX, Entitlement, Offer, OfferFamily, Subscription};
pub use tax::{
    STANDARD, TaxCategory, TaxFacts, TaxOverride, TaxRate, TaxRegistration, TaxRule, TaxTreatment,
    is_in_union, vat_id_fault,
};
pub use validity::Validity;
