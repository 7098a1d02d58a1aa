//! Value added tax of a sale between businesses: which treatment, by which rule, and what it comes
//! to.
//!
//! Each edge decides from its own seller and buyer. The rules follow the VAT Directive
//! (2006/112/EC, articles 44, 59 and 196) and the Norwegian act (merverdiavgiftsloven § 6-22);
//! categories and reason codes are those of EN 16931 (UNCL 5305, VATEX). Sales to consumers are
//! outside of it.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use kernel::{
    Amount, Country, Key, Money, OrganisationId, PERCENT_SCALE, Percent, Result, Rounding,
};

use crate::{Organisation, Programme, Validity};

/// The tax category of what nobody has said anything about.
pub const STANDARD: &str = "standard";

/// A category of EN 16931 (BT-118, UNCL 5305).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaxCategory {
    /// Standard or reduced rate.
    S,
    /// Zero rated.
    Z,
    /// Exempt.
    E,
    /// Reverse charge: the buyer accounts for it.
    AE,
    /// Export.
    G,
    /// Not subject to tax.
    O,
}

impl TaxCategory {
    /// Every category with its code.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("S", Self::S),
        ("Z", Self::Z),
        ("E", Self::E),
        ("AE", Self::AE),
        ("G", Self::G),
        ("O", Self::O),
    ];

    /// The code of the reason why there is no tax (BT-121, VATEX), where there is one.
    pub fn exemption_code(self) -> Option<&'static str> {
        match self {
            Self::AE => Some("VATEX-EU-AE"),
            Self::G => Some("VATEX-EU-G"),
            Self::O => Some("VATEX-EU-O"),
            Self::S | Self::Z | Self::E => None,
        }
    }
}

impl fmt::Display for TaxCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, value)| value == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

impl FromStr for TaxCategory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found
            .map(|(_, category)| *category)
            .ok_or_else(|| "is not a tax category; use one of S, Z, E, AE, G, O".to_owned())
    }
}

/// An organisation's registration for value added tax.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxRegistration {
    /// Who is registered.
    pub organisation: OrganisationId,
    /// In which country.
    pub country: Country,
    /// When.
    pub validity: Validity,
    /// The id under which it is registered, with the letters of the country.
    pub vat_id: String,
    /// The day on which the id was last checked, and how.
    pub checked: Option<(Date, String)>,
}

/// The rate of a country for a tax category of offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxRate {
    /// The country.
    pub country: Country,
    /// The tax category of offers: `standard`, or a name of one's own.
    pub category: Key,
    /// When.
    pub validity: Validity,
    /// The rate.
    pub rate: Percent,
    /// Why such offers are exempt, where they are.
    pub exemption: Option<String>,
}

/// A treatment that somebody has decided on instead of the rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaxOverride {
    /// Who sells.
    pub seller: OrganisationId,
    /// Who buys.
    pub buyer: OrganisationId,
    /// When.
    pub validity: Validity,
    /// The category.
    pub category: TaxCategory,
    /// The rate.
    pub rate: Percent,
    /// Why.
    pub reason: String,
}

/// Everything known about taxes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaxFacts {
    /// Who is registered where.
    pub registrations: Vec<TaxRegistration>,
    /// What countries take.
    pub rates: Vec<TaxRate>,
    /// What somebody has decided.
    pub overrides: Vec<TaxOverride>,
}

/// The rule that decided a treatment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TaxRule {
    /// Somebody decided otherwise, with a reason.
    Override,
    /// The seller is not registered in its country.
    NotRegistered,
    /// Seller and buyer are in one country.
    Domestic,
    /// Two member states of the European Union, the buyer with a VAT id.
    ReverseCharge,
    /// Two member states, the buyer without a VAT id: taxed like a consumer.
    NoVatId,
    /// The buyer is in another country, and not both are in the European Union.
    Export,
}

impl TaxRule {
    /// Every rule with the name it has in documents.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("override", Self::Override),
        ("not-registered", Self::NotRegistered),
        ("domestic", Self::Domestic),
        ("reverse-charge", Self::ReverseCharge),
        ("no-vat-id", Self::NoVatId),
        ("export", Self::Export),
    ];
}

impl fmt::Display for TaxRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, value)| value == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// How a sale is taxed, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaxTreatment {
    /// The category.
    pub category: TaxCategory,
    /// The rate; nothing for all categories but S.
    pub rate: Percent,
    /// The rule that decided.
    pub rule: TaxRule,
    /// Why there is no tax, or why somebody decided otherwise; nothing for a domestic rate.
    pub reason: String,
}

impl TaxTreatment {
    /// The tax on a sum, rounded once.
    ///
    /// # Errors
    /// Where it is too large for a document.
    pub fn tax_on(&self, base: Money, rounding: Rounding) -> Result<Money> {
        // A percentage of minor units has two decimals more.
        let decimals = base.currency().minor_digits() + PERCENT_SCALE + 2;
        let product = i128::from(base.minor()).checked_mul(self.rate.mantissa());
        let product = product
            .ok_or_else(|| kernel::Error::invalid("amount", "is too large for a document"))?;
        Amount::from_scaled(product, decimals)?.round(rounding, base.currency())
    }
}

impl TaxFacts {
    /// The registration of an organisation in a country on a day.
    pub fn registration(
        &self,
        organisation: OrganisationId,
        country: Country,
        on: Date,
    ) -> Option<&TaxRegistration> {
        self.registrations.iter().find(|registration| {
            (registration.organisation, registration.country) == (organisation, country)
                && registration.validity.contains(on)
        })
    }

    /// The VAT id that counts for a buyer who buys from a member state: of its own country, or of
    /// another member state that is not the seller's.
    fn union_registration(
        &self,
        buyer: &Organisation,
        seller: Country,
        on: Date,
    ) -> Option<&TaxRegistration> {
        let elsewhere = || {
            self.registrations.iter().find(|registration| {
                registration.organisation == buyer.id
                    && registration.country != seller
                    && is_in_union(registration.country, on)
                    && registration.validity.contains(on)
            })
        };
        self.registration(buyer.id, buyer.country, on).or_else(elsewhere)
    }

    /// The VAT id of a seller and of its buyer on a day, as their documents state them.
    pub fn vat_ids(
        &self,
        seller: &Organisation,
        buyer: &Organisation,
        on: Date,
    ) -> [Option<&TaxRegistration>; 2] {
        let sells = self.registration(seller.id, seller.country, on);
        // Documents of a seller who is not registered have none (EN 16931, BR-O-02).
        let buys = sells.and_then(|_| self.union_registration(buyer, seller.country, on));
        [sells, buys]
    }

    fn rate(&self, country: Country, category: &Key, on: Date) -> Option<&TaxRate> {
        self.rates.iter().find(|rate| {
            (rate.country, &rate.category) == (country, category) && rate.validity.contains(on)
        })
    }
}

impl Programme {
    /// How a seller taxes what it sells to a buyer on a day.
    ///
    /// # Errors
    /// Says which rate is missing.
    pub fn tax_treatment(
        &self,
        (seller, buyer): (&Organisation, &Organisation),
        category: &Key,
        on: Date,
    ) -> Result<TaxTreatment, String> {
        let decided = self.tax.overrides.iter().find(|decided| {
            (decided.seller, decided.buyer) == (seller.id, buyer.id)
                && decided.validity.contains(on)
        });
        if let Some(decided) = decided {
            return Ok(TaxTreatment {
                category: decided.category,
                rate: decided.rate,
                rule: TaxRule::Override,
                reason: decided.reason.clone(),
            });
        }
        let untaxed = |category, rule, reason: &str| TaxTreatment {
            category,
            rate: Percent::ZERO,
            rule,
            reason: reason.to_owned(),
        };
        let (from, to) = (seller.country, buyer.country);
        if self.tax.registration(seller.id, from, on).is_none() {
            let reason = "The seller is not registered for VAT";
            return Ok(untaxed(TaxCategory::O, TaxRule::NotRegistered, reason));
        }
        if from == to {
            return self.taxed(from, category, on, TaxRule::Domestic);
        }
        let in_union = (is_in_union(from, on), is_in_union(to, on));
        if in_union == (true, true) {
            return match self.tax.union_registration(buyer, from, on) {
                Some(_) => Ok(untaxed(TaxCategory::AE, TaxRule::ReverseCharge, "Reverse charge")),
                None => self.taxed(from, category, on, TaxRule::NoVatId),
            };
        }
        let reason = match (from.code(), to.code()) {
            ("NO", _) => "Export of services, merverdiavgiftsloven § 6-22",
            (_, "NO") => "Export of services; reverse charge: the buyer accounts for Norwegian VAT",
            _ => "Export of services",
        };
        Ok(untaxed(TaxCategory::G, TaxRule::Export, reason))
    }

    /// The rate of a country.
    fn taxed(
        &self,
        country: Country,
        category: &Key,
        on: Date,
        rule: TaxRule,
    ) -> Result<TaxTreatment, String> {
        let rate = self.tax.rate(country, category, on).ok_or_else(|| {
            format!(
                "no tax rate of {country} for {category} is known on {on}; add a [[tax_rate]] to \
                 the programme file"
            )
        })?;
        let (category, reason) = match (&rate.exemption, rate.rate == Percent::ZERO) {
            (Some(reason), _) => (TaxCategory::E, reason.clone()),
            (None, true) => (TaxCategory::Z, String::new()),
            (None, false) => (TaxCategory::S, String::new()),
        };
        let reason = match rule {
            TaxRule::NoVatId => "The buyer has no valid VAT id: taxed in the seller's country",
            _ => &reason,
        };
        Ok(TaxTreatment { category, rate: rate.rate, rule, reason: reason.to_owned() })
    }
}

/// The member states of the European Union: the year since which they are, or 1993, before which
/// there was no common rule, and the year from which they are no longer.
const MEMBERS: [(&str, i16, i16); 28] = [
    ("AT", 1995, i16::MAX),
    ("BE", 1993, i16::MAX),
    ("BG", 2007, i16::MAX),
    ("CY", 2004, i16::MAX),
    ("CZ", 2004, i16::MAX),
    ("DE", 1993, i16::MAX),
    ("DK", 1993, i16::MAX),
    ("EE", 2004, i16::MAX),
    ("ES", 1993, i16::MAX),
    ("FI", 1995, i16::MAX),
    ("FR", 1993, i16::MAX),
    ("GB", 1993, 2021),
    ("GR", 1993, i16::MAX),
    ("HR", 2013, i16::MAX),
    ("HU", 2004, i16::MAX),
    ("IE", 1993, i16::MAX),
    ("IT", 1993, i16::MAX),
    ("LT", 2004, i16::MAX),
    ("LU", 1993, i16::MAX),
    ("LV", 2004, i16::MAX),
    ("MT", 2004, i16::MAX),
    ("NL", 1993, i16::MAX),
    ("PL", 2004, i16::MAX),
    ("PT", 1993, i16::MAX),
    ("RO", 2007, i16::MAX),
    ("SE", 1995, i16::MAX),
    ("SI", 2004, i16::MAX),
    ("SK", 2004, i16::MAX),
];

/// Whether a country belongs to the European Union's VAT area on a day. The United Kingdom did
/// until the end of 2020.
pub fn is_in_union(country: Country, on: Date) -> bool {
    MEMBERS
        .iter()
        .any(|(code, since, left)| *code == country.code() && (*since..*left).contains(&on.year()))
}

/// What is wrong with a VAT id of a country; nothing where it may be one. Its letters are those of
/// the country, but for Greece; a Norwegian one is the organisation number and `MVA`.
pub fn vat_id_fault(country: Country, id: &str) -> Option<String> {
    let letters = if country.code() == "GR" { "EL" } else { country.code() };
    let rest = id.strip_prefix(letters);
    let plain = rest.filter(|rest| {
        (2..=18).contains(&rest.len())
            && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'+')
    });
    let Some(rest) = plain else {
        return Some(format!(
            "is no VAT id of {country}: it starts with {letters}, without spaces"
        ));
    };
    let is_norwegian = |rest: &str| {
        let digits = rest.strip_suffix("MVA");
        digits.is_some_and(|d| d.len() == 9 && d.bytes().all(|b| b.is_ascii_digit()))
    };
    if country.code() == "NO" && !is_norwegian(rest) {
        return Some("is no Norwegian VAT id: NO, nine digits and MVA".to_owned());
    }
    None
}
