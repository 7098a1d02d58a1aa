//! What one unit costs.

use ethnum::I256;

use crate::decimal::{self, fixed_decimal};
use crate::rounding::{Rounding, divide, divide_narrow, pow10};
use crate::ten::{POW10_MAX, ten_to};
use crate::{ExchangeRate, PERCENT_SCALE, Percent};

/// Decimals of a [`UnitPrice`]. Documented prices have up to 16, such as 0.0209496384791679.
pub const UNIT_PRICE_SCALE: u8 = 16;

/// Decimals to which a price that a rule derives is rounded, half even, once.
pub const DERIVED_PRICE_DECIMALS: u8 = 12;

fixed_decimal! {
    /// What one unit costs, in some currency: exact, 16 decimals, below 10^9.
    UnitPrice, UNIT_PRICE_SCALE, 9
}

impl UnitPrice {
    /// The price times `(100 + percent) / 100` times every rate, rounded half even to
    /// [`DERIVED_PRICE_DECIMALS`]: the one rounding point of derived prices.
    ///
    /// Where nothing is to be done (0 % and rates of one) the price passes through as it was
    /// recorded. `None` where the exact product needs more than 256 bits or the result does not
    /// fit.
    pub fn derive(self, percent: Percent, rates: &[ExchangeRate]) -> Option<Self> {
        if percent.is_zero() && rates.iter().all(|rate| *rate == ExchangeRate::ONE) {
            return Some(self);
        }
        let hundred_and = Percent::HUNDRED.mantissa() + percent.mantissa();
        let (factor, factor_scale) = decimal::trimmed(hundred_and, PERCENT_SCALE);
        let (mut product, mut scale) = (Some(factor), factor_scale + 2);
        for (mantissa, decimals) in rates.iter().map(|rate| rate.trimmed()) {
            product = product.and_then(|product| product.checked_mul(mantissa));
            scale += decimals;
        }
        let dropped = UNIT_PRICE_SCALE + scale - DERIVED_PRICE_DECIMALS;
        let narrow = product
            .and_then(|product| product.checked_mul(self.0))
            .filter(|_| dropped <= POW10_MAX)
            .map(|exact| divide_narrow(exact, dropped, Rounding::HalfEven));
        let rounded = match narrow {
            Some(rounded) => rounded,
            None => self.derive_wide((factor, factor_scale + 2), rates)?,
        };
        rounded.checked_mul(ten_to(UNIT_PRICE_SCALE - DERIVED_PRICE_DECIMALS)).map(Self)
    }

    /// The price less a credit of so many percent, rounded half even to [`UNIT_PRICE_SCALE`]: exact
    /// for prices with two decimals fewer. `None` where it is too large.
    pub fn credited(self, credit: Percent) -> Option<Self> {
        let rest = Percent::HUNDRED.mantissa() - credit.mantissa();
        let (factor, scale) = decimal::trimmed(rest, PERCENT_SCALE);
        let exact = self.0.checked_mul(factor)?;
        (scale + 2 <= POW10_MAX).then(|| Self(divide_narrow(exact, scale + 2, Rounding::HalfEven)))
    }

    /// The same with 256 bits, for factors that need them.
    fn derive_wide(self, factor: (i128, u8), rates: &[ExchangeRate]) -> Option<i128> {
        let (mantissa, mut scale) = self.trimmed();
        let mut exact = I256::new(mantissa);
        let factors = std::iter::once(factor).chain(rates.iter().map(|rate| rate.trimmed()));
        for (mantissa, decimals) in factors {
            exact = exact.checked_mul(I256::new(mantissa))?;
            scale += decimals;
        }
        let rounded = match scale.checked_sub(DERIVED_PRICE_DECIMALS) {
            Some(dropped @ 0..=76) => divide(exact, pow10(dropped), Rounding::HalfEven),
            Some(_) => return None,
            None => exact.checked_mul(pow10(DERIVED_PRICE_DECIMALS - scale))?,
        };
        i128::try_from(rounded).ok()
    }
}
