//! The rules by which a seller derives a buyer's price.
//!
//! **Owns** what a rule says and which rule wins. **Does not own** the arithmetic over list and
//! buying prices, which is `rating`'s.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use kernel::{Currency, Key, MeterId, OrganisationId, Percent, Quantity, UnitPrice};

use crate::{Meter, Validity};

/// How many tiers a price may have.
pub const TIERS_MAX: usize = 64;

/// A step of a graduated price: `price` applies to the units above `from`, up to the next tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tier {
    /// The lower bound: how many units have gone before.
    pub from: Quantity,
    /// What one unit costs above it.
    pub price: UnitPrice,
}

/// Graduated prices: at least one tier, the first from zero, each starting above the one before.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tiers(Vec<Tier>);

impl Tiers {
    /// One price whatever the quantity.
    pub fn flat(price: UnitPrice) -> Self {
        Self(vec![Tier { from: Quantity::ZERO, price }])
    }

    /// Sorts the tiers by their lower bounds and checks them; says what is wrong with them.
    pub fn new(mut tiers: Vec<Tier>) -> Result<Self, String> {
        tiers.sort_by_key(|tier| tier.from);
        if tiers.len() > TIERS_MAX {
            return Err(format!("has {} tiers; at most {TIERS_MAX} are kept", tiers.len()));
        }
        match tiers.first() {
            None => return Err("has no tier".into()),
            Some(first) if !first.from.is_zero() => {
                return Err(format!("starts at {} instead of 0", first.from));
            }
            Some(_) => {}
        }
        if let Some(twice) = tiers.windows(2).find(|pair| pair[0].from == pair[1].from) {
            return Err(format!("has two prices from {}", twice[0].from));
        }
        if let Some(negative) = tiers.iter().find(|tier| tier.price.is_negative()) {
            return Err(format!("has the negative price {}", negative.price));
        }
        Ok(Self(tiers))
    }

    /// The same prices after `included` units that cost nothing: every bound moves up by them.
    pub fn after_included(self, included: Quantity) -> Result<Self, String> {
        if included.is_negative() {
            return Err(format!("includes the negative quantity {included}"));
        }
        if included.is_zero() {
            return Ok(self);
        }
        let mut tiers = vec![Tier { from: Quantity::ZERO, price: UnitPrice::ZERO }];
        for tier in self.0 {
            let from = tier.from.checked_add(included).ok_or("has a bound that is too large")?;
            tiers.push(Tier { from, price: tier.price });
        }
        Self::new(tiers)
    }

    /// The tiers, lowest bound first.
    pub fn as_slice(&self) -> &[Tier] {
        &self.0
    }
}

/// What a rule applies to. A more specific one wins over a less specific one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Selector {
    /// One meter. The most specific.
    Meter(MeterId),
    /// Every meter of a product, by its id or title in the price sheet.
    Product(String),
    /// Every meter of a category.
    Category(String),
    /// Everything. The least specific.
    All,
}

impl Selector {
    /// Whether a meter is meant. Products and categories compare without regard to case.
    pub fn matches(&self, meter: &Meter) -> bool {
        let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
        match self {
            Self::Meter(id) => *id == meter.id,
            Self::Product(product) => {
                same(product, &meter.product_id) || same(product, &meter.product_title)
            }
            Self::Category(category) => same(category, &meter.category),
            Self::All => true,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Meter(id) => write!(f, "meter {id}"),
            Self::Product(product) => write!(f, "product {product}"),
            Self::Category(category) => write!(f, "category {category}"),
            Self::All => f.write_str("all"),
        }
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(' ') {
            None if text == "all" => Ok(Self::All),
            Some(("meter", id)) => id.parse().map(Self::Meter).map_err(|e| e.to_string()),
            Some(("product", product)) => Ok(Self::Product(product.to_owned())),
            Some(("category", category)) => Ok(Self::Category(category.to_owned())),
            _ => {
                Err("is not a selector; write all, or meter, product or category and a name".into())
            }
        }
    }
}

/// How a rule makes a price.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Derivation {
    /// The list price less a percentage of it.
    ListMinus(Percent),
    /// What the seller itself pays for the unit, plus a percentage of it.
    BuyPlus(Percent),
    /// A price of its own.
    Fixed {
        /// The currency of the price.
        currency: Currency,
        /// The price.
        tiers: Tiers,
    },
}

impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ListMinus(percent) => write!(f, "list minus {percent} %"),
            Self::BuyPlus(percent) => write!(f, "buy plus {percent} %"),
            Self::Fixed { currency, tiers } => {
                write!(f, "fixed {currency}")?;
                for (at, tier) in tiers.as_slice().iter().enumerate() {
                    let comma = if at == 0 { "" } else { "," };
                    write!(f, "{comma} {}", tier.price)?;
                    if !tier.from.is_zero() {
                        write!(f, " above {}", tier.from)?;
                    }
                }
                Ok(())
            }
        }
    }
}

/// One rule of a price book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRule {
    /// What it applies to.
    pub selector: Selector,
    /// When it applies, by service time.
    pub validity: Validity,
    /// How it makes a price.
    pub derivation: Derivation,
}

impl PriceRule {
    /// Where the rule stands in its book: by what it applies to, then by its first day. No two
    /// rules of a book share a place.
    pub fn place(&self) -> (&Selector, Date) {
        (&self.selector, self.validity.from())
    }
}

/// The rules of one seller under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceBook {
    /// The name.
    pub key: Key,
    /// Whose book it is.
    pub seller: OrganisationId,
    /// The rules, in the order of [`PriceRule::place`].
    pub rules: Vec<PriceRule>,
}
