//! How the exact amounts of a group become what is billed.

use std::fmt;
use std::str::FromStr;

use kernel::{Amount, Currency, Money, Quantity, Result, Rounding, UnitPrice};

use crate::{AppliedRate, OfferFamily};

/// Decimals of an effective unit price that is derived from what a line comes to.
pub const EFFECTIVE_PRICE_DECIMALS: u8 = 15;

/// At which points a group is rounded, and how. Data of a trade agreement.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum RoundingPolicy {
    /// Once, to minor units of the billed currency.
    Once(Rounding),
    /// As Partner Center documents it for the Azure plan: down to minor units of the pricing
    /// currency, exchanged, and down again to those of the billed one. The effective unit price
    /// follows from the first of these amounts, so that anyone can compute the line from it.
    PartnerCenter,
    /// The same to the nearest, as an example that Partner Center has published (October 2023)
    /// rounds against its own formula. The effective unit price is that of the price list.
    PartnerCenterNearest,
}

/// What usage comes to at the prices of one currency, before it is exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PricedSum {
    /// The pricing currency.
    pub currency: Currency,
    /// From there to the billed currency.
    pub rate: AppliedRate,
    /// In the pricing currency.
    pub exact: Amount,
}

impl RoundingPolicy {
    /// Every policy with the name it has in files.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("half-even", Self::Once(Rounding::HalfEven)),
        ("half-up", Self::Once(Rounding::HalfUp)),
        ("down", Self::Once(Rounding::Down)),
        ("up", Self::Once(Rounding::Up)),
        ("partner-center", Self::PartnerCenter),
        ("partner-center-nearest", Self::PartnerCenterNearest),
    ];

    /// How amounts are rounded, at each point.
    pub const fn mode(self) -> Rounding {
        match self {
            Self::Once(mode) => mode,
            Self::PartnerCenter => Rounding::Down,
            Self::PartnerCenterNearest => Rounding::HalfUp,
        }
    }

    /// The policy for offers of a family: Partner Center rounds its legacy offers once, half up.
    #[must_use]
    pub fn of_family(self, family: OfferFamily) -> Self {
        if family == OfferFamily::Legacy && self.rounds_inside() {
            return Self::Once(Rounding::HalfUp);
        }
        self
    }

    /// Whether amounts are rounded before they are exchanged, too.
    pub const fn rounds_inside(self) -> bool {
        !matches!(self, Self::Once(_))
    }

    /// What sums come to in the billed currency, where amounts are rounded inside.
    ///
    /// # Errors
    /// Where that is too much for a document.
    pub fn billed(self, sums: &[PricedSum], currency: Currency) -> Result<Money> {
        sums.iter().try_fold(Money::zero(currency), |total, sum| {
            let cost = sum.exact.round(self.mode(), sum.currency)?;
            total.checked_add(cost.exchanged(sum.rate.rate, self.mode(), currency)?)
        })
    }

    /// Whether the effective unit price of a line follows from what the line comes to
    /// ([`Self::effective_unit_price`]). Otherwise the price list says it.
    pub const fn derives_price(self) -> bool {
        matches!(self, Self::PartnerCenter)
    }

    /// The effective unit price of a line that costs so much before the exchange: rounded away from
    /// zero, so that quantity times price, rounded down, is the amount again. Zero for no quantity.
    pub fn effective_unit_price(self, cost: Money, quantity: Quantity) -> UnitPrice {
        let price = Amount::from(cost).per_unit(quantity, EFFECTIVE_PRICE_DECIMALS, Rounding::Up);
        price.unwrap_or(UnitPrice::ZERO)
    }
}

impl PricedSum {
    /// With another sum, if both are of one currency at one rate.
    pub fn plus(self, other: Self) -> Result<Option<Self>> {
        if (self.currency, self.rate) != (other.currency, other.rate) {
            return Ok(None);
        }
        Ok(Some(Self { exact: self.exact.checked_add(other.exact)?, ..self }))
    }
}

impl fmt::Display for RoundingPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, policy)| policy == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl fmt::Debug for RoundingPolicy {
    /// What rounds once looks like its mode: the hashes of rate books depend on it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once(mode) => fmt::Debug::fmt(mode, f),
            Self::PartnerCenter => f.write_str("PartnerCenter"),
            Self::PartnerCenterNearest => f.write_str("PartnerCenterNearest"),
        }
    }
}

impl FromStr for RoundingPolicy {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, policy)| *policy).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("is not a way of rounding; use one of {}", names.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(quantity: &str, price: &str) -> (Money, Quantity) {
        let quantity: Quantity = quantity.parse().unwrap();
        let exact = Amount::of(quantity, price.parse().unwrap()).unwrap();
        (exact.round(Rounding::Down, "USD".parse().unwrap()).unwrap(), quantity)
    }

    /// The three days that Partner Center's page on the effective unit price works out: 0.868 with
    /// 15 percent off.
    // req: H1
    #[test]
    fn effective_unit_prices_are_those_of_the_published_days() {
        for (quantity, billable, price) in [
            ("29", "21.39 USD", "0.737586206896552"),
            ("210.950039", "155.63 USD", "0.737757626107858"),
            ("555.950039", "410.17 USD", "0.737782122900436"),
        ] {
            let (cost, quantity) = cost(quantity, "0.7378");
            let found = RoundingPolicy::PartnerCenter.effective_unit_price(cost, quantity);
            assert_eq!((cost.to_string(), found.to_string()), (billable.into(), price.into()));
        }
    }
}
