//! What seats of a licence come to when their number changes within a charge cycle: what was charged
//! for the rest of the cycle is taken back, and the rest is charged again.
//!
//! Partner Center documents a formula and publishes tables that follow another one; both are kept,
//! by name. Source: the billing scenarios and the reconciliation file of its documentation.

use jiff::ToSpan;
use jiff::civil::Date;
use kernel::{
    Amount, Currency, Error, ExchangeRate, Money, QUANTITY_SCALE, Quantity, Result, Rounding,
    UNIT_PRICE_SCALE, UnitPrice, ten_to,
};

use crate::named::named;

/// Decimals of an effective unit price, as files state it.
const EFFECTIVE_PRICE_DECIMALS: u8 = 15;
/// The most seats of a subscription.
pub const SEATS_MAX: u32 = 1_000_000;

/// How a prorated price becomes minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatRounding {
    /// The documented formula: what one seat costs is exchanged and rounded down, and multiplied by
    /// the seats.
    PartnerCenter,
    /// As the published tables are: what all seats cost is rounded down, exchanged, and rounded down.
    PartnerCenterProduct,
    /// The same to the nearest, half up.
    PartnerCenterProductNearest,
    /// As legacy licences are: the price of a day has one decimal more than an amount, what one seat
    /// costs is rounded to the nearest, and multiplied by the seats. Never exchanged.
    Legacy,
}

/// The days that one charge pays for, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChargeCycle {
    first: Date,
    last: Date,
}

/// What a seat costs for a whole cycle, and in which currency it is billed.
#[derive(Debug, Clone, Copy)]
pub struct SeatPrice {
    /// For a cycle.
    pub unit_price: UnitPrice,
    /// The currency of the price.
    pub pricing_currency: Currency,
    /// The currency of the invoice.
    pub billing_currency: Currency,
    /// From the former into the latter.
    pub rate: ExchangeRate,
    /// How what it comes to is rounded.
    pub rounding: SeatRounding,
}

/// A row of an invoice about seats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatCharge {
    /// What happened, as Partner Center calls it. Rows of one change have the same.
    pub charge_type: &'static str,
    /// The first and the last day that it is about.
    pub days: (Date, Date),
    /// How many days these are.
    pub billing_days: u32,
    /// How many seats; negative where they are taken back.
    pub seats: i64,
    /// What one seat costs for these days before the exchange: 15 decimals, half even.
    pub effective_unit_price: UnitPrice,
    /// What the row comes to.
    pub subtotal: Money,
}

impl SeatRounding {
    /// Every way with the name it has in files.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("partner-center", Self::PartnerCenter),
        ("partner-center-product", Self::PartnerCenterProduct),
        ("partner-center-product-nearest", Self::PartnerCenterProductNearest),
        ("legacy", Self::Legacy),
    ];
}

named!(SeatRounding, "a way to round seats");

impl ChargeCycle {
    /// A month from a day on.
    pub fn monthly(first: Date) -> Option<Self> {
        Self::until(first, first.checked_add(1.month()).ok()?)
    }

    /// A year from a day on.
    pub fn annual(first: Date) -> Option<Self> {
        Self::until(first, first.checked_add(1.year()).ok()?)
    }

    fn until(first: Date, next: Date) -> Option<Self> {
        Some(Self { first, last: next.yesterday().ok()? })
    }

    /// The first day.
    pub const fn first(self) -> Date {
        self.first
    }

    /// The last day.
    pub const fn last(self) -> Date {
        self.last
    }

    /// How many days it has: 28 to 31, or 365 or 366.
    pub fn days(self) -> u32 {
        days(self.first, self.last)
    }
}

/// The days from one to another, both included.
fn days(first: Date, last: Date) -> u32 {
    last.since(first).map_or(0, |span| span.get_days().unsigned_abs()) + 1
}

/// What a change of the number of seats on a day comes to: the rest of the cycle, with that day, is
/// taken back for as many as there were and charged for as many as there are.
///
/// # Errors
/// Where the day is not in the cycle, there are too many seats, or an amount is too large.
pub fn change_seats(
    price: &SeatPrice,
    cycle: ChargeCycle,
    on: Date,
    (before, now): (u32, u32),
) -> Result<Vec<SeatCharge>> {
    let charge_type = match (before, now) {
        (0, _) => "new",
        (_, 0) => "cancelImmediate",
        _ if before < now => "addQuantity",
        _ => "removeQuantity",
    };
    if before == now {
        return Ok(Vec::new());
    }
    let rows = [(price, -i64::from(before)), (price, i64::from(now))];
    rows.into_iter()
        .filter(|(_, seats)| *seats != 0)
        .map(|(price, seats)| price.charge(charge_type, cycle, on, seats))
        .collect()
}

/// What it comes to when seats of one product become seats of another on a day: the rest of the cycle
/// is taken back at the old price and charged at the new one.
///
/// # Errors
/// As [`change_seats`].
pub fn convert_seats(
    (old, new): (&SeatPrice, &SeatPrice),
    cycle: ChargeCycle,
    on: Date,
    seats: u32,
) -> Result<Vec<SeatCharge>> {
    let rows = [(old, -i64::from(seats)), (new, i64::from(seats))];
    rows.into_iter().map(|(price, seats)| price.charge("convert", cycle, on, seats)).collect()
}

impl SeatPrice {
    fn charge(
        &self,
        charge_type: &'static str,
        cycle: ChargeCycle,
        on: Date,
        seats: i64,
    ) -> Result<SeatCharge> {
        if on < cycle.first || cycle.last < on {
            let reason = format!("{on} is not in the cycle, {} to {}", cycle.first, cycle.last);
            return Err(Error::invalid("day", reason));
        }
        if self.unit_price.is_negative() {
            return Err(Error::invalid("price", "must not be negative"));
        }
        if seats.unsigned_abs() > u64::from(SEATS_MAX) {
            return Err(Error::invalid("seats", format!("must not be more than {SEATS_MAX}")));
        }
        let billing_days = days(on, cycle.last);
        let part = Part { days: billing_days, of: cycle.days() };
        let exact = Amount::of(whole(billing_days.into()), self.unit_price)?;
        let effective =
            exact.per_unit(whole(part.of.into()), EFFECTIVE_PRICE_DECIMALS, Rounding::HalfEven);
        Ok(SeatCharge {
            charge_type,
            days: (on, cycle.last),
            billing_days,
            seats,
            effective_unit_price: effective.ok_or_else(too_large)?,
            subtotal: self.subtotal(part, seats)?,
        })
    }

    fn subtotal(&self, part: Part, seats: i64) -> Result<Money> {
        let times = |unit: Money| {
            let minor = unit.minor().checked_mul(seats).ok_or_else(too_large)?;
            Ok(Money::new(minor, unit.currency()))
        };
        match self.rounding {
            SeatRounding::PartnerCenter => {
                let days = whole(part.days.into());
                let exact = Amount::of_exchanged(days, self.unit_price, self.rate)?;
                times(part.of_cycle(exact, self.billing_currency, Rounding::Down)?)
            }
            SeatRounding::PartnerCenterProduct => self.product(part, seats, Rounding::Down),
            SeatRounding::PartnerCenterProductNearest => {
                self.product(part, seats, Rounding::HalfUp)
            }
            SeatRounding::Legacy => times(self.legacy(part)?),
        }
    }

    fn product(&self, part: Part, seats: i64, mode: Rounding) -> Result<Money> {
        let exact = Amount::of(whole(i64::from(part.days) * seats), self.unit_price)?;
        let cost = part.of_cycle(exact, self.pricing_currency, mode)?;
        cost.exchanged(self.rate, mode, self.billing_currency)
    }

    fn legacy(&self, part: Part) -> Result<Money> {
        if self.pricing_currency != self.billing_currency || self.rate != ExchangeRate::ONE {
            let reason = "legacy licences are billed in the currency of their price";
            return Err(Error::invalid("rate", reason));
        }
        let cycle = Amount::of(whole(1), self.unit_price)?;
        let decimals = self.billing_currency.minor_digits() + 1;
        let daily = cycle.per_unit(whole(part.of.into()), decimals, Rounding::HalfUp);
        let daily = daily.ok_or_else(too_large)?;
        Amount::of(whole(part.days.into()), daily)?.round(Rounding::HalfUp, self.billing_currency)
    }
}

/// Some days of a cycle.
#[derive(Debug, Clone, Copy)]
struct Part {
    days: u32,
    of: u32,
}

impl Part {
    /// An amount for as many cycles as there are days, divided by the days of the cycle: rounded
    /// once.
    fn of_cycle(self, amount: Amount, currency: Currency, mode: Rounding) -> Result<Money> {
        let daily = amount.per_unit(whole(self.of.into()), currency.minor_digits(), mode);
        let daily = daily.ok_or_else(too_large)?;
        Money::rounded(daily.mantissa(), UNIT_PRICE_SCALE, mode, currency)
    }
}

/// A whole number of days or seats.
fn whole(number: i64) -> Quantity {
    Quantity::from_mantissa(i128::from(number) * ten_to(QUANTITY_SCALE))
}

fn too_large() -> Error {
    Error::invalid("unit_price", "comes to more than is kept")
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn price(text: &str, rounding: SeatRounding) -> SeatPrice {
        let usd: Currency = "USD".parse().unwrap();
        SeatPrice {
            unit_price: text.parse().unwrap(),
            pricing_currency: usd,
            billing_currency: usd,
            rate: ExchangeRate::ONE,
            rounding,
        }
    }

    fn subtotals(rows: &[SeatCharge]) -> Vec<String> {
        rows.iter().map(|row| row.subtotal.digits()).collect()
    }

    /// The published table of March 2022: 12.00 a seat, cycles of 31 days, each change two rows.
    // req: F2
    #[test]
    fn the_published_table_of_changes() {
        let price = price("12.00", SeatRounding::PartnerCenterProduct);
        let cycle = ChargeCycle::monthly(date(2022, 3, 1)).unwrap();
        for (day, before, now, expected) in [
            (3, 10, 15, ["-112.25", "168.38"]),
            (6, 15, 25, ["-150.96", "251.61"]),
            (8, 25, 23, ["-232.25", "213.67"]),
            (10, 23, 20, ["-195.87", "170.32"]),
            (21, 20, 30, ["-85.16", "127.74"]),
        ] {
            let rows = change_seats(&price, cycle, date(2022, 3, day), (before, now)).unwrap();
            assert_eq!(subtotals(&rows), expected);
            assert_eq!(rows[0].billing_days, 32 - day as u32);
        }
    }

    /// What the documents say beside the formula: a seat's price is rounded, then multiplied.
    #[test]
    fn the_documented_formula() {
        let of = |text: &str| price(text, SeatRounding::PartnerCenter);
        let cycle = ChargeCycle::monthly(date(2022, 1, 1)).unwrap();
        let gone = change_seats(&of("10.08"), cycle, date(2022, 1, 3), (10, 0)).unwrap();
        assert_eq!(subtotals(&gone), ["-94.20"]);
        assert_eq!(gone[0].charge_type, "cancelImmediate");
        let cycle = ChargeCycle::monthly(date(2022, 4, 1)).unwrap();
        let prices = (&of("10.08"), &of("6.43"));
        let converted = convert_seats(prices, cycle, date(2022, 4, 8), 300).unwrap();
        assert_eq!(subtotals(&converted), ["-2316.00", "1476.00"]);
        let paid = change_seats(&of("52.61"), cycle, date(2022, 4, 1), (0, 25)).unwrap();
        assert_eq!(subtotals(&paid), ["1315.25"]);
        assert_eq!(paid[0].effective_unit_price.to_string(), "52.61");
    }

    /// 9.408 euros a seat at 0.9 are 8.4672: 8.46 a seat, or 94.08 dollars at 0.9, which are 84.67.
    #[test]
    fn seats_are_exchanged_before_they_are_rounded_or_after() {
        let cycle = ChargeCycle::monthly(date(2022, 4, 1)).unwrap();
        let billed = |rounding| {
            let rate = ExchangeRate::parse("0.9").unwrap();
            let billing_currency = "EUR".parse().unwrap();
            let price = SeatPrice { billing_currency, rate, ..price("10.08", rounding) };
            change_seats(&price, cycle, date(2022, 4, 3), (0, 10)).map(|rows| subtotals(&rows))
        };
        assert_eq!(billed(SeatRounding::PartnerCenter).unwrap(), ["84.60"]);
        assert_eq!(billed(SeatRounding::PartnerCenterProduct).unwrap(), ["84.67"]);
        assert!(billed(SeatRounding::Legacy).is_err());
    }

    /// Legacy licences: a day of 4.00 in 31 days is 0.129, in 28 days 0.143.
    #[test]
    fn legacy_licences_have_a_price_a_day() {
        let price = price("4.00", SeatRounding::Legacy);
        let january = ChargeCycle::monthly(date(2019, 1, 1)).unwrap();
        let february = ChargeCycle::monthly(date(2019, 2, 1)).unwrap();
        for (cycle, day, seats, expected) in [
            (january, date(2019, 1, 13), (0, 1), "2.45"),
            (january, date(2019, 1, 20), (0, 1), "1.55"),
            (january, date(2019, 1, 20), (0, 2), "3.10"),
            (february, date(2019, 2, 17), (1, 0), "-1.72"),
        ] {
            assert_eq!(subtotals(&change_seats(&price, cycle, day, seats).unwrap()), [expected]);
        }
    }

    /// Whatever changes on the first day of a cycle, a whole cycle costs the whole price, also one
    /// that a short month cuts.
    #[test]
    fn a_whole_cycle_costs_the_whole_price() {
        for first in [date(2027, 1, 31), date(2028, 1, 31), date(2027, 2, 1), date(2028, 2, 29)] {
            for cycle in [ChargeCycle::monthly(first), ChargeCycle::annual(first)] {
                let cycle = cycle.unwrap();
                for (_, rounding) in &SeatRounding::NAMES[..3] {
                    let rows = change_seats(&price("120.96", *rounding), cycle, first, (0, 10));
                    assert_eq!(subtotals(&rows.unwrap()), ["1209.60"]);
                }
            }
        }
        let cycle = ChargeCycle::monthly(date(2027, 1, 31)).unwrap();
        assert_eq!((cycle.days(), cycle.last()), (28, date(2027, 2, 27)));
        let price = price("1", SeatRounding::PartnerCenter);
        assert!(change_seats(&price, cycle, date(2027, 2, 28), (0, 1)).is_err());
        assert!(change_seats(&price, cycle, date(2027, 1, 30), (0, 1)).is_err());
        assert!(change_seats(&price, cycle, cycle.last(), (0, SEATS_MAX + 1)).is_err());
        assert!(change_seats(&price, cycle, cycle.last(), (5, 5)).unwrap().is_empty());
        let negative = SeatPrice { unit_price: "-1".parse().unwrap(), ..price };
        assert!(change_seats(&negative, cycle, cycle.last(), (0, 1)).is_err());
    }
}
