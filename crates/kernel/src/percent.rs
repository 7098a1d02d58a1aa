//! Percentages of price rules.

use crate::decimal::fixed_decimal;

/// Decimals of a [`Percent`].
pub const PERCENT_SCALE: u8 = 12;

fixed_decimal! {
    /// A percentage: `12.5` is twelve and a half of a hundred. Exact, 12 decimals.
    Percent, PERCENT_SCALE, 6
}

impl Percent {
    /// A whole hundred.
    pub const HUNDRED: Self = Self(100 * 10i128.pow(PERCENT_SCALE as u32));

    /// The same percentage with the other sign: minus 12 % for a discount of 12 %.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self(-self.0)
    }
}
