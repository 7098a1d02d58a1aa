//! What one unit of a currency is worth in another.

use ethnum::I256;

use crate::DecimalError;
use crate::decimal::{self, fixed_decimal};
use crate::rounding::{Rounding, divide, pow10};

/// Decimals of an [`ExchangeRate`]. Recorded rates have up to 17, such as 0.27224589249009701.
pub const EXCHANGE_RATE_SCALE: u8 = 17;

/// Decimals to which the quotient of two recorded rates is rounded, half even.
const CROSS_RATE_DECIMALS: u8 = 12;
/// A quotient keeps at least so many significant digits, however small it is.
const CROSS_RATE_DIGITS: u32 = 10;

fixed_decimal! {
    /// What one unit of a currency is worth in another: exact, 17 decimals, below 10^7.
    ExchangeRate, EXCHANGE_RATE_SCALE, 7
}

impl ExchangeRate {
    /// The rate between a currency and itself.
    pub const ONE: Self = Self(10i128.pow(EXCHANGE_RATE_SCALE as u32));

    /// Reads a recorded rate, which must be above zero.
    pub fn parse(text: &str) -> Result<Self, DecimalError> {
        match decimal::parse(text, EXCHANGE_RATE_SCALE, 7)? {
            0 => Err(DecimalError::Zero),
            below if below < 0 => Err(DecimalError::Negative),
            mantissa => Ok(Self(mantissa)),
        }
    }

    /// The rate from one currency to another, both quoted against a third: `to / from`.
    ///
    /// Rounded half even to 12 decimals, or to as many as keep 10 significant digits (at most
    /// 17): the result is published with the invoice, and anyone can recompute with it. `None`
    /// where the quotient is outside the type.
    pub fn cross(from: Self, to: Self) -> Option<Self> {
        if from == to {
            return Some(Self::ONE);
        }
        let scaled = I256::new(to.0).checked_mul(pow10(EXCHANGE_RATE_SCALE))?;
        let exact = divide(scaled, I256::new(from.0), Rounding::Down);
        let digits = exact.unsigned_abs().to_string().len() as u32;
        let whole_and_zeros = digits as i32 - i32::from(EXCHANGE_RATE_SCALE);
        let wanted = (CROSS_RATE_DIGITS as i32 - whole_and_zeros)
            .clamp(i32::from(CROSS_RATE_DECIMALS), i32::from(EXCHANGE_RATE_SCALE));
        let dropped = EXCHANGE_RATE_SCALE - wanted as u8;
        let unit = I256::new(from.0).checked_mul(pow10(dropped))?;
        let rounded = divide(scaled, unit, Rounding::HalfEven) * pow10(dropped);
        let mantissa = i128::try_from(rounded).ok().filter(|m| *m > 0)?;
        (mantissa < 10i128.pow(u32::from(EXCHANGE_RATE_SCALE) + 7)).then_some(Self(mantissa))
    }
}
