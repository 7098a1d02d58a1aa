//! Exact amounts before they are rounded.

use std::fmt;

use ethnum::I256;

use crate::decimal;
use crate::rounding::{Rounding, divide, pow10};
use crate::{
    Currency, EXCHANGE_RATE_SCALE, Error, ExchangeRate, Money, QUANTITY_SCALE, Quantity, Result,
    UNIT_PRICE_SCALE, UnitPrice,
};

/// Decimals of an [`Amount`]: those of a quantity, a price and a rate together.
pub const AMOUNT_SCALE: u8 = QUANTITY_SCALE + UNIT_PRICE_SCALE + EXCHANGE_RATE_SCALE;

/// An exact amount in some currency: quantity x price x rate and sums of them, 48 decimals in
/// 256 bits, so that nothing is rounded before [`Amount::round`] says so.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(I256);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(I256::ZERO);

    /// From an integer with [`AMOUNT_SCALE`] decimals.
    pub const fn from_mantissa(mantissa: I256) -> Self {
        Self(mantissa)
    }

    /// From an integer with `scale` decimals, at most [`AMOUNT_SCALE`].
    pub fn from_scaled(mantissa: i128, scale: u8) -> Result<Self> {
        I256::new(mantissa)
            .checked_mul(pow10(AMOUNT_SCALE - scale))
            .map(Self)
            .ok_or_else(Self::overflow)
    }

    /// The integer with [`AMOUNT_SCALE`] decimals.
    pub const fn mantissa(self) -> I256 {
        self.0
    }

    /// What `quantity` costs at `price`, in the currency of the price.
    pub fn of(quantity: Quantity, price: UnitPrice) -> Result<Self> {
        Self::of_exchanged(quantity, price, ExchangeRate::ONE)
    }

    /// What `quantity` costs at `price`, in the currency to which `rate` leads.
    pub fn of_exchanged(quantity: Quantity, price: UnitPrice, rate: ExchangeRate) -> Result<Self> {
        I256::new(quantity.mantissa())
            .checked_mul(I256::new(price.mantissa()))
            .and_then(|product| product.checked_mul(I256::new(rate.mantissa())))
            .map(Self)
            .ok_or_else(Self::overflow)
    }

    /// The sum.
    pub fn checked_add(self, other: Self) -> Result<Self> {
        self.0.checked_add(other.0).map(Self).ok_or_else(Self::overflow)
    }

    /// The difference.
    pub fn checked_sub(self, other: Self) -> Result<Self> {
        self.0.checked_sub(other.0).map(Self).ok_or_else(Self::overflow)
    }

    /// Rounded by `mode` to the minor units of `currency`: the one rounding point of amounts.
    pub fn round(self, mode: Rounding, currency: Currency) -> Result<Money> {
        let unit = pow10(AMOUNT_SCALE - currency.minor_digits());
        i64::try_from(divide(self.0, unit, mode))
            .map(|minor| Money::new(minor, currency))
            .map_err(|_| Self::overflow())
    }

    /// Rounded half even to an integer with `scale` decimals; `None` where that does not fit.
    pub fn to_scaled(self, scale: u8) -> Option<i128> {
        i128::try_from(divide(self.0, pow10(AMOUNT_SCALE - scale), Rounding::HalfEven)).ok()
    }

    /// What one unit cost on average, rounded by `mode` to `decimals`; `None` for no quantity.
    pub fn per_unit(self, quantity: Quantity, decimals: u8, mode: Rounding) -> Option<UnitPrice> {
        if quantity.is_zero() {
            return None;
        }
        // 48 - 15 decimals are left after the division, of which `decimals` are kept.
        let unit = pow10(AMOUNT_SCALE - QUANTITY_SCALE - decimals);
        let denominator = I256::new(quantity.mantissa().abs()).checked_mul(unit)?;
        let signed = if quantity.is_negative() { -self.0 } else { self.0 };
        let rounded = divide(signed, denominator, mode);
        let mantissa = rounded.checked_mul(pow10(UNIT_PRICE_SCALE - decimals))?;
        i128::try_from(mantissa).ok().map(UnitPrice::from_mantissa)
    }

    /// Whether there is nothing to pay.
    pub fn is_zero(self) -> bool {
        self.0 == I256::ZERO
    }

    fn overflow() -> Error {
        Error::invalid("amount", "is too large: quantity x price x rate must stay below 10^28")
    }
}

impl From<Money> for Amount {
    fn from(money: Money) -> Self {
        let unit = pow10(AMOUNT_SCALE - money.currency().minor_digits());
        Self(I256::new(i128::from(money.minor())) * unit)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.unsigned_abs().to_string();
        decimal::write(f, self.0.is_negative(), &digits, usize::from(AMOUNT_SCALE))
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
