//! What one unit costs.

use ethnum::I256;

use crate::decimal::{self, fixed_decimal};
use crate::rounding::{Rounding, divide, pow10};
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
        let factor = decimal::trimmed(hundred_and, PERCENT_SCALE);
        let factors = std::iter::once((factor.0, factor.1 + 2))
            .chain(rates.iter().map(|rate| rate.trimmed()));
        let (mantissa, scale) = self.trimmed();
        let (mut exact, mut scale) = (I256::new(mantissa), scale);
        for (mantissa, decimals) in factors {
            exact = exact.checked_mul(I256::new(mantissa))?;
            scale += decimals;
        }
        let rounded = match scale.checked_sub(DERIVED_PRICE_DECIMALS) {
            Some(dropped @ 0..=76) => divide(exact, pow10(dropped), Rounding::HalfEven),
            Some(_) => return None,
            None => exact.checked_mul(pow10(DERIVED_PRICE_DECIMALS - scale))?,
        };
        let mantissa = rounded.checked_mul(pow10(UNIT_PRICE_SCALE - DERIVED_PRICE_DECIMALS))?;
        i128::try_from(mantissa).ok().map(Self)
    }
}
