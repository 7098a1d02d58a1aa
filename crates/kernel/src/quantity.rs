//! What was used, in units of a meter.

use crate::decimal::fixed_decimal;

/// Decimals of a [`Quantity`]. Recorded quantities have up to 15, such as 0.032258064516129.
pub const QUANTITY_SCALE: u8 = 15;

fixed_decimal! {
    /// What was used, in units of a meter: exact, 15 decimals, below 10^12.
    ///
    /// Negative where usage is taken back.
    Quantity, QUANTITY_SCALE, 12
}

impl Quantity {
    /// The sum; `None` where it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference; `None` where it does not fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}
