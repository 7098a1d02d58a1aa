//! The terms of one edge.

use jiff::Span;
use jiff::civil::{Date, Weekday};
use kernel::{Currency, Key, Month, OrganisationId, Rounding};

use crate::named::named;
use crate::{Calendars, RoundingPolicy, Validity};

/// The commercial terms between one seller and one buyer, during some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TradeAgreement {
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// When these terms apply.
    pub validity: Validity,
    /// In which currency the buyer is billed.
    pub currency: Currency,
    /// Who rates the usage.
    pub rated: RatedBy,
    /// The seller's price book from which the buyer's prices follow.
    pub price_book: Key,
    /// How the exact amount of a group becomes what is billed.
    pub rounding: RoundingPolicy,
    /// Where exchange rates come from.
    pub exchange: ExchangePolicy,
    /// How the tax on a sum becomes minor units.
    pub tax_rounding: Rounding,
    /// How many months after a month has ended it is still corrected; for ever if left out.
    pub correction_months: Option<u16>,
    /// Days from issue to due date.
    pub payment_terms_days: u16,
    /// From which day to which a bill reaches.
    pub calendars: Calendars,
}

/// Who rates the usage of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RatedBy {
    /// This installation: it writes the seller's invoices.
    Here,
    /// The seller, in a system of its own: the buyer receives its invoices. What the usage comes to
    /// by the price book is what they are expected to say, and what "buy plus" starts from.
    Seller,
}

/// Where the exchange rate of an edge and period comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangePolicy {
    /// Whose rates.
    pub source: RateSource,
    /// Of which day.
    pub fixing: Fixing,
    /// Whether a rate that becomes known after a month was billed counts for it, once it is
    /// accepted. Otherwise the rate stays as it was when the month was first billed.
    pub restated: bool,
}

/// Whose exchange rates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RateSource {
    /// The daily euro reference rates of the European Central Bank.
    Ecb,
    /// The monthly sheet of US dollars per unit that a provider publishes with its price sheet.
    UsdSheet,
    /// Rates agreed in the programme file, per month.
    Programme,
}

/// Of which day an exchange rate is taken. Monthly rates are those of the billed month whatever
/// this says; daily rates are the last ones published on or before the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fixing {
    /// Two business days before the end of the previous month, so that the rate is known all
    /// month long (the rule of Partner Center's monthly rate).
    BeforePeriod,
    /// The first day of the month.
    PeriodStart,
    /// The last day of the month.
    PeriodEnd,
}

impl RatedBy {
    /// Both with the name they have in files.
    pub const NAMES: [(&'static str, Self); 2] = [("here", Self::Here), ("seller", Self::Seller)];
}

impl RateSource {
    /// Every source with the name it has in files.
    pub const NAMES: [(&'static str, Self); 3] =
        [("ecb", Self::Ecb), ("usd-sheet", Self::UsdSheet), ("programme", Self::Programme)];
}

impl Fixing {
    /// Every fixing with the name it has in files.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("before-period", Self::BeforePeriod),
        ("period-start", Self::PeriodStart),
        ("period-end", Self::PeriodEnd),
    ];

    /// The day whose rate counts for a month.
    pub fn day(self, month: Month) -> Date {
        match self {
            Self::BeforePeriod => business_days_before(month.previous().last_day(), 2),
            Self::PeriodStart => month.first_day(),
            Self::PeriodEnd => month.last_day(),
        }
    }
}

/// The day that lies `count` business days (Monday to Friday) before `day`.
fn business_days_before(mut day: Date, mut count: u8) -> Date {
    while count > 0 {
        day = day.saturating_sub(Span::new().days(1));
        if !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) {
            count -= 1;
        }
    }
    day
}

named!(RatedBy, "who rates an edge");
named!(RateSource, "a source of exchange rates");
named!(Fixing, "a fixing");
