//! Reading and writing fixed-scale decimals, and the macro that declares one.

use std::fmt;

use crate::ten::divide_by_ten_to;

/// Why a text is not a number of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    /// Nothing there.
    #[error("is empty; write a decimal number")]
    Empty,
    /// Not a decimal number at all.
    #[error("is not a decimal number; write digits with an optional point, such as 12.50")]
    NotANumber,
    /// More decimals than are kept; nothing is rounded on the way in.
    #[error("has more than {max} decimals, which would have to be rounded")]
    TooManyDecimals {
        /// The decimals that are kept.
        max: u8,
    },
    /// Too large for the type.
    #[error("has more than {max} digits before the point")]
    TooLarge {
        /// The digits that are allowed before the point.
        max: u8,
    },
    /// Below zero where that makes no sense.
    #[error("is negative")]
    Negative,
    /// Zero where that makes no sense.
    #[error("is zero")]
    Zero,
}

/// The digits and the scale of a plain or scientific decimal text.
struct Scanned {
    negative: bool,
    /// Digits without leading zeros, as a number; saturates where it cannot fit anyway.
    digits: i128,
    /// How many digits stand behind the point; negative where an exponent moves them before it.
    decimals: i32,
}

fn scan(text: &str) -> Result<Scanned, DecimalError> {
    let bytes = text.trim().as_bytes();
    let (negative, rest) = match bytes.split_first() {
        None => return Err(DecimalError::Empty),
        Some((b'-', rest)) => (true, rest),
        Some((b'+', rest)) => (false, rest),
        Some(_) => (false, bytes),
    };
    let (mut digits, mut decimals, mut seen, mut point) = (0i128, 0i32, false, false);
    for (at, byte) in rest.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                seen = true;
                decimals += i32::from(point);
                digits = digits.saturating_mul(10).saturating_add(i128::from(byte - b'0'));
            }
            b'.' if !point => point = true,
            b'e' | b'E' if seen => {
                let exponent = exponent(&rest[at + 1..]).ok_or(DecimalError::NotANumber)?;
                return Ok(Scanned { negative, digits, decimals: decimals - exponent });
            }
            _ => return Err(DecimalError::NotANumber),
        }
    }
    if seen { Ok(Scanned { negative, digits, decimals }) } else { Err(DecimalError::NotANumber) }
}

/// The exponent of `1E-05`; at most three digits, which no recorded number exceeds.
fn exponent(bytes: &[u8]) -> Option<i32> {
    let text = std::str::from_utf8(bytes).ok()?;
    if text.len() > 4 { None } else { text.parse().ok() }
}

/// Reads a decimal into an integer at `scale`, with at most `integer_digits` before the point.
pub(crate) fn parse(text: &str, scale: u8, integer_digits: u8) -> Result<i128, DecimalError> {
    let Scanned { negative, mut digits, mut decimals } = scan(text)?;
    let too_large = DecimalError::TooLarge { max: integer_digits };
    if digits == 0 {
        return Ok(0);
    }
    while decimals > i32::from(scale) {
        if digits % 10 != 0 {
            return Err(DecimalError::TooManyDecimals { max: scale });
        }
        digits /= 10;
        decimals -= 1;
    }
    let shift = u32::try_from(i32::from(scale) - decimals).map_err(|_| too_large.clone())?;
    let limit = 10i128.pow(u32::from(scale) + u32::from(integer_digits));
    let value = 10i128
        .checked_pow(shift)
        .and_then(|factor| digits.checked_mul(factor))
        .filter(|value| *value < limit)
        .ok_or(too_large)?;
    Ok(if negative { -value } else { value })
}

/// Writes `digits` (of a non-negative integer) with the point `scale` places from the right and
/// without trailing zeros.
pub(crate) fn write(
    f: &mut fmt::Formatter<'_>,
    negative: bool,
    digits: &str,
    scale: usize,
) -> fmt::Result {
    let padded;
    let digits = if digits.len() <= scale {
        padded = format!("{digits:0>width$}", width = scale + 1);
        &padded
    } else {
        digits
    };
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    let mut out = String::with_capacity(digits.len() + 2);
    if negative {
        out.push('-');
    }
    out.push_str(whole);
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    f.write_str(&out)
}

/// A mantissa and a scale without the trailing zeros: `1500, 4` is `15, 2`.
pub fn trimmed(mantissa: i128, scale: u8) -> (i128, u8) {
    if mantissa == 0 {
        return (0, 0);
    }
    // Division of 64 bits by a constant is much cheaper than of 128.
    if let Ok(narrow) = u64::try_from(mantissa) {
        let (narrow, scale) = trimmed_narrow(narrow, scale);
        return (i128::from(narrow), scale);
    }
    let (mut mantissa, mut scale) = (mantissa, scale);
    for step in [16, 8, 4, 2, 1] {
        while scale >= step {
            let (shorter, 0) = divide_by_ten_to(mantissa, step) else { break };
            (mantissa, scale) = (shorter, scale - step);
        }
    }
    (mantissa, scale)
}

fn trimmed_narrow(mut mantissa: u64, mut scale: u8) -> (u64, u8) {
    while scale >= 8 && mantissa.is_multiple_of(100_000_000) {
        mantissa /= 100_000_000;
        scale -= 8;
    }
    if scale >= 4 && mantissa.is_multiple_of(10_000) {
        mantissa /= 10_000;
        scale -= 4;
    }
    while scale > 0 && mantissa.is_multiple_of(10) {
        mantissa /= 10;
        scale -= 1;
    }
    (mantissa, scale)
}

/// Declares a 128-bit decimal at a fixed scale.
macro_rules! fixed_decimal {
    ($(#[$doc:meta])* $name:ident, $scale:expr, $integer_digits:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(i128);

        impl $name {
            /// Zero.
            pub const ZERO: Self = Self(0);

            /// From an integer at the type's scale.
            pub const fn from_mantissa(mantissa: i128) -> Self {
                Self(mantissa)
            }

            /// The integer at the type's scale.
            pub const fn mantissa(self) -> i128 {
                self.0
            }

            /// The shortest mantissa and scale with the same value.
            pub fn trimmed(self) -> (i128, u8) {
                $crate::decimal::trimmed(self.0, $scale)
            }

            /// Whether the value is below zero.
            pub const fn is_negative(self) -> bool {
                self.0 < 0
            }

            /// Whether the value is zero.
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::DecimalError;

            fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
                $crate::decimal::parse(text, $scale, $integer_digits).map(Self)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let digits = self.0.unsigned_abs().to_string();
                $crate::decimal::write(f, self.0 < 0, &digits, usize::from($scale))
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}
pub(crate) use fixed_decimal;
