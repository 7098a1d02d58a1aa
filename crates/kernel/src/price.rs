//! What one unit costs.

use ethnum::I256;

use crate::decimal::fixed_decimal;
use crate::rounding::{Rounding, divide, pow10};
use crate::{EXCHANGE_RATE_SCALE, ExchangeRate, PERCENT_SCALE, Percent};

/// Decimals of a [`UnitPrice`]. Documented prices have up to 16, such as 0.0209496384791679.
pub const UNIT_PRICE_SCALE: u8 = 16;

/// Decimals to which a price that a rule derives is rounded, half even, once.
pub const DERIVED_PRICE_DECIMALS: u8 = 12;

fixed_decimal! {
    /// What one unit costs, in some currency: exact, 16 decimals, below 10^9.
    UnitPrice, UNIT_PRICE_SCALE, 9
}

impl UnitPrice {
    /// The price times `(100 + percent) / 100` times `rate`, rounded half even to
    /// [`DERIVED_PRICE_DECIMALS`]: the one rounding point of derived prices.
    ///
    /// Where nothing is to be done (0 % and a rate of one) the price passes through as it was
    /// recorded. `None` where the result does not fit.
    pub fn derive(self, percent: Percent, rate: ExchangeRate) -> Option<Self> {
        if percent.is_zero() && rate == ExchangeRate::ONE {
            return Some(self);
        }
        let hundred = I256::new(100 * 10i128.pow(u32::from(PERCENT_SCALE)));
        let factor = hundred + I256::new(percent.mantissa());
        let exact =
            I256::new(self.0).checked_mul(factor)?.checked_mul(I256::new(rate.mantissa()))?;
        let scale = UNIT_PRICE_SCALE + PERCENT_SCALE + 2 + EXCHANGE_RATE_SCALE;
        let rounded = divide(exact, pow10(scale - DERIVED_PRICE_DECIMALS), Rounding::HalfEven);
        let mantissa = rounded.checked_mul(pow10(UNIT_PRICE_SCALE - DERIVED_PRICE_DECIMALS))?;
        i128::try_from(mantissa).ok().map(Self)
    }
}
