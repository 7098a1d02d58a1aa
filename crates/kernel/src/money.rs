//! Amounts that somebody pays.

use std::fmt;

use crate::rounding::divide_narrow;
use crate::ten::{POW10_MAX, ten_to};
use crate::{Currency, EXCHANGE_RATE_SCALE, Error, ExchangeRate, Result, Rounding};

/// An amount in minor units of a currency. Adding two currencies is an error, not a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    minor: i64,
    currency: Currency,
}

impl Money {
    /// So many minor units (øre, cents, fils, yen).
    pub const fn new(minor: i64, currency: Currency) -> Self {
        Self { minor, currency }
    }

    /// Nothing, in a currency.
    pub const fn zero(currency: Currency) -> Self {
        Self { minor: 0, currency }
    }

    /// An exact amount with `scale` decimals, rounded by `mode` to minor units: the same result
    /// as [`crate::Amount::round`], for amounts that fit into 128 bits.
    pub fn rounded(mantissa: i128, scale: u8, mode: Rounding, currency: Currency) -> Result<Self> {
        let minor = match scale.checked_sub(currency.minor_digits()) {
            Some(dropped @ 0..=POW10_MAX) => Some(divide_narrow(mantissa, dropped, mode)),
            Some(_) => return crate::Amount::from_scaled(mantissa, scale)?.round(mode, currency),
            None => mantissa.checked_mul(ten_to(currency.minor_digits() - scale)),
        };
        minor
            .and_then(|minor| i64::try_from(minor).ok())
            .map(|minor| Self { minor, currency })
            .ok_or_else(|| Error::invalid("amount", "is too large for a document"))
    }

    /// What the amount is worth in another currency, rounded by `mode` to its minor units.
    pub fn exchanged(self, rate: ExchangeRate, mode: Rounding, to: Currency) -> Result<Self> {
        let product = i128::from(self.minor).checked_mul(rate.mantissa());
        let product = product.ok_or_else(|| Error::invalid("amount", "is too large"))?;
        Self::rounded(product, self.currency.minor_digits() + EXCHANGE_RATE_SCALE, mode, to)
    }

    /// The amount in minor units.
    pub const fn minor(self) -> i64 {
        self.minor
    }

    /// The currency.
    pub const fn currency(self) -> Currency {
        self.currency
    }

    /// The sum of two amounts of one currency.
    pub fn checked_add(self, other: Self) -> Result<Self> {
        if self.currency != other.currency {
            return Err(Error::invalid(
                "currency",
                format!("{self} and {other} cannot be added; exchange one of them first"),
            ));
        }
        self.minor
            .checked_add(other.minor)
            .map(|minor| Self { minor, ..self })
            .ok_or_else(|| Error::invalid("amount", "is too large for a document"))
    }

    /// The amount as text with all digits of the minor unit and without the currency: `12.50`.
    pub fn digits(self) -> String {
        let places = usize::from(self.currency.minor_digits());
        let sign = if self.minor < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.minor.unsigned_abs(), width = places + 1);
        let (whole, fraction) = digits.split_at(digits.len() - places);
        if places == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.digits(), self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
