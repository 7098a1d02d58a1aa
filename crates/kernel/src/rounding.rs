//! The named ways to round, and the one division that uses them.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use ethnum::I256;

use crate::ten::{divide_by_ten_to, ten_to};

/// How a number between two representable ones is settled. Data of a trade agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rounding {
    /// To the nearest; a tie goes to the even neighbour ("banker's rounding").
    HalfEven,
    /// To the nearest; a tie goes away from zero ("commercial rounding").
    HalfUp,
    /// Towards zero.
    Down,
    /// Away from zero.
    Up,
}

impl Rounding {
    /// Every mode with the name it has in files.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("half-even", Self::HalfEven),
        ("half-up", Self::HalfUp),
        ("down", Self::Down),
        ("up", Self::Up),
    ];
}

impl fmt::Display for Rounding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, mode)| mode == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl FromStr for Rounding {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::NAMES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("is not a way of rounding; use one of {}", names.join(", "))
        })
    }
}

/// Every power of ten that fits into 256 bits.
static POWERS: LazyLock<[I256; 77]> = LazyLock::new(|| {
    let mut power = I256::ONE;
    std::array::from_fn(|at| {
        if at > 0 {
            power *= 10;
        }
        power
    })
});

/// Ten to the power of `exponent`, as a 256-bit integer; `exponent` is at most 76.
pub fn pow10(exponent: u8) -> I256 {
    POWERS[usize::from(exponent)]
}

/// `numerator / denominator` (positive), rounded by `mode` to an integer.
pub(crate) fn divide(numerator: I256, denominator: I256, mode: Rounding) -> I256 {
    let quotient = numerator / denominator;
    let rest = (numerator % denominator).abs();
    if rest == I256::ZERO {
        return quotient;
    }
    let away = if numerator.is_negative() { I256::MINUS_ONE } else { I256::ONE };
    // Compared this way because twice the rest might not fit.
    let beyond_half = rest.cmp(&(denominator - rest));
    let up = match mode {
        Rounding::Down => false,
        Rounding::Up => true,
        Rounding::HalfUp => beyond_half.is_ge(),
        Rounding::HalfEven => {
            beyond_half.is_gt() || (beyond_half.is_eq() && quotient % 2 != I256::ZERO)
        }
    };
    if up { quotient + away } else { quotient }
}

/// `numerator / 10^exponent`, rounded half even; `exponent` is at most [`crate::POW10_MAX`].
pub fn half_even(numerator: i128, exponent: u8) -> i128 {
    divide_narrow(numerator, exponent, Rounding::HalfEven)
}

/// `numerator / 10^exponent`, rounded by `mode` to an integer, for numbers that fit into 128 bits.
pub(crate) fn divide_narrow(numerator: i128, exponent: u8, mode: Rounding) -> i128 {
    let (quotient, rest) = divide_by_ten_to(numerator, exponent);
    if rest == 0 {
        return quotient;
    }
    let rest = rest.abs();
    let beyond_half = rest.cmp(&(ten_to(exponent) - rest));
    let up = match mode {
        Rounding::Down => false,
        Rounding::Up => true,
        Rounding::HalfUp => beyond_half.is_ge(),
        Rounding::HalfEven => beyond_half.is_gt() || (beyond_half.is_eq() && quotient % 2 != 0),
    };
    if up { quotient + numerator.signum() } else { quotient }
}
