//! The layout of a programme file. Its JSON schema and its reference page are generated from
//! these types; the comments are the reference.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// A text with its place in the file.
pub(super) type Text = Spanned<String>;

/// A programme: who takes part, on which terms they trade, what has been sold to whom.
///
/// The file is declarative: applying it makes what it says known, and applying it again changes
/// nothing. What it does not mention is left as it is; to end something, give it an `until`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgrammeFile {
    /// The programme itself.
    pub programme: ProgrammeEntry,
    /// Who takes part.
    #[serde(default)]
    #[schemars(with = "Vec<OrganisationEntry>")]
    pub organisation: Vec<Spanned<OrganisationEntry>>,
    /// Who has accepted whom.
    #[serde(default)]
    #[schemars(with = "Vec<RelationshipEntry>")]
    pub relationship: Vec<Spanned<RelationshipEntry>>,
    /// On which terms two organisations trade.
    #[serde(default)]
    #[schemars(with = "Vec<AgreementEntry>")]
    pub agreement: Vec<Spanned<AgreementEntry>>,
    /// How sellers derive their buyers' prices.
    #[serde(default)]
    #[schemars(with = "Vec<PriceBookEntry>")]
    pub price_book: Vec<Spanned<PriceBookEntry>>,
    /// What can be bought.
    #[serde(default)]
    #[schemars(with = "Vec<OfferEntry>")]
    pub offer: Vec<Spanned<OfferEntry>>,
    /// What has been bought.
    #[serde(default)]
    #[schemars(with = "Vec<SubscriptionEntry>")]
    pub subscription: Vec<Spanned<SubscriptionEntry>>,
    /// Exchange rates that have been agreed.
    #[serde(default)]
    #[schemars(with = "Vec<ExchangeRateEntry>")]
    pub exchange_rate: Vec<Spanned<ExchangeRateEntry>>,
    /// Who is registered for value added tax, and where.
    #[serde(default)]
    #[schemars(with = "Vec<TaxRegistrationEntry>")]
    pub tax_registration: Vec<Spanned<TaxRegistrationEntry>>,
    /// What countries take.
    #[serde(default)]
    #[schemars(with = "Vec<TaxRateEntry>")]
    pub tax_rate: Vec<Spanned<TaxRateEntry>>,
    /// Treatments that somebody has decided on instead of the rules.
    #[serde(default)]
    #[schemars(with = "Vec<TaxOverrideEntry>")]
    pub tax_override: Vec<Spanned<TaxOverrideEntry>>,
    /// The credit that providers grant on what partners manage.
    #[serde(default)]
    #[schemars(with = "Vec<EarnedCreditEntry>")]
    pub earned_credit: Vec<Spanned<EarnedCreditEntry>>,
    /// The access of partners that earns it.
    #[serde(default)]
    #[schemars(with = "Vec<EligibleAccessEntry>")]
    pub eligible_access: Vec<Spanned<EligibleAccessEntry>>,
}

/// Partner earned credit: what the transacting partner pays less for usage of plan offers, day by
/// day and resource by resource, where it or a reseller of the sale path has eligible access.
/// What its own buyers pay does not depend on it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EarnedCreditEntry {
    /// The key of the provider that grants it.
    #[schemars(with = "String")]
    pub seller: Text,
    /// How much less is paid, in percent.
    #[schemars(with = "String")]
    pub percent: Spanned<DecimalText>,
    /// The first day, the first of a month; from ever if left out.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<DateText>>,
    /// The first day on which it is no longer granted, the first of a month.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
    /// What earns nothing: `meter ID`, `product ID`, `category NAME`, `name WORD` (a word of the
    /// meter's name or of its product's or SKU's title), `publisher NAME`, `tag TAG` (of the price
    /// sheet). `name Spot` and `tag Third Party` if left out.
    #[schemars(with = "Option<Vec<String>>")]
    pub except: Option<Vec<Text>>,
}

/// Eligible access of a partner to what a customer has bought: by a role that earns credit, through
/// administration on behalf, Lighthouse or a partner admin link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EligibleAccessEntry {
    /// The key of the partner.
    #[schemars(with = "String")]
    pub partner: Text,
    /// The subscription, by id or short name.
    #[schemars(with = "String")]
    pub subscription: Text,
    /// To what of it, with everything beneath: `/subscriptions/ID`, a resource group or a resource,
    /// as Azure Resource Manager writes its id; all of it if left out.
    #[schemars(with = "Option<String>")]
    pub scope: Option<Text>,
    /// The first day with access at all times.
    #[schemars(with = "String")]
    pub from: Spanned<DateText>,
    /// The first day without access at all times.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
}

/// An organisation's registration for value added tax. A seller without one in its own country
/// adds no tax to its invoices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaxRegistrationEntry {
    /// The key of the organisation.
    #[schemars(with = "String")]
    pub organisation: Text,
    /// The country that registered it, by its two letters.
    #[schemars(with = "String")]
    pub country: Text,
    /// The id with the letters of the country, without spaces: `NO123456789MVA`, `DE123456789`.
    #[schemars(with = "String")]
    pub vat_id: Text,
    /// The first day.
    #[schemars(with = "String")]
    pub from: Spanned<DateText>,
    /// The first day on which it is no longer registered.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
    /// The day on which the id was last checked.
    #[schemars(with = "Option<String>")]
    pub checked: Option<Spanned<DateText>>,
    /// How it was checked, and what the answer was.
    #[schemars(with = "Option<String>")]
    pub checked_how: Option<Text>,
}

/// What a country takes of offers of a tax category.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaxRateEntry {
    /// The country, by its two letters.
    #[schemars(with = "String")]
    pub country: Text,
    /// The tax category of the offers: `standard` if left out.
    #[schemars(with = "Option<String>")]
    pub tax_category: Option<Text>,
    /// The rate in percent.
    #[schemars(with = "Option<String>")]
    pub rate: Option<Spanned<DecimalText>>,
    /// Why such offers are exempt, instead of a rate.
    #[schemars(with = "Option<String>")]
    pub exempt: Option<Text>,
    /// The first day.
    #[schemars(with = "String")]
    pub from: Spanned<DateText>,
    /// The first day on which it no longer applies.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
}

/// How a seller taxes what it sells to a buyer, whatever the rules say. The reason stands on every
/// invoice.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TaxOverrideEntry {
    /// The key of the seller.
    #[schemars(with = "String")]
    pub seller: Text,
    /// The key of the buyer.
    #[schemars(with = "String")]
    pub buyer: Text,
    /// The first day.
    #[schemars(with = "String")]
    pub from: Spanned<DateText>,
    /// The first day on which the rules decide again.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
    /// The category of EN 16931: `S`, `Z`, `E`, `AE`, `G` or `O`.
    #[schemars(with = "String")]
    pub category: Text,
    /// The rate in percent, of category `S`.
    #[schemars(with = "Option<String>")]
    pub rate: Option<Spanned<DecimalText>>,
    /// Why.
    #[schemars(with = "String")]
    pub reason: Text,
}

/// The programme itself.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ProgrammeEntry {
    /// What it is called.
    #[schemars(with = "String")]
    pub name: Text,
    /// The time zone in which its months and days begin, by its IANA name. `UTC` if left out.
    #[schemars(with = "Option<String>")]
    pub zone: Option<Text>,
}

/// A legal party with a tenant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OrganisationEntry {
    /// The short name by which this file and the commands refer to it.
    #[schemars(with = "String")]
    pub key: Text,
    /// Its place: `provider`, `direct-partner`, `indirect-provider`, `indirect-reseller` or
    /// `customer`.
    #[schemars(with = "String")]
    pub role: Text,
    /// The legal name, as documents state it.
    #[schemars(with = "String")]
    pub name: Text,
    /// The country in which it is established, by its two letters (ISO 3166-1).
    #[schemars(with = "String")]
    pub country: Text,
    /// The tenant id, a GUID. Derived from the key if left out.
    #[schemars(with = "Option<String>")]
    pub tenant_id: Option<Text>,
    /// The domain of its tenant.
    #[schemars(with = "Option<String>")]
    pub domain: Option<Text>,
    /// Its id in the partner network, for partners.
    #[schemars(with = "Option<String>")]
    pub mpn_id: Option<Text>,
    /// How it numbers its invoices, for sellers.
    pub invoice_series: Option<SeriesEntry>,
}

/// How a seller numbers its invoices.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SeriesEntry {
    /// What stands before the counter; no two sellers may share one. The key in capitals and a
    /// hyphen if the series is left out.
    #[schemars(with = "String")]
    pub prefix: Text,
    /// To how many digits the counter is padded: 1 to 12, 6 if left out.
    #[schemars(with = "Option<i64>")]
    pub digits: Option<Spanned<i64>>,
}

/// A reseller relationship: a partner may sell to the other party.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RelationshipEntry {
    /// The key of the partner that sells.
    #[schemars(with = "String")]
    pub partner: Text,
    /// The key of the customer or reseller that accepted it.
    #[schemars(with = "String")]
    pub with: Text,
    /// The first day.
    #[schemars(with = "String")]
    pub from: Spanned<DateText>,
    /// The first day on which it no longer holds.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
}

/// The commercial terms of one edge. New terms for the same two start with a month.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AgreementEntry {
    /// The key of the seller.
    #[schemars(with = "String")]
    pub seller: Text,
    /// The key of the buyer.
    #[schemars(with = "String")]
    pub buyer: Text,
    /// The first day.
    #[schemars(with = "String")]
    pub from: Spanned<DateText>,
    /// The first day on which these terms no longer apply.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
    /// The currency in which the buyer is billed (ISO 4217).
    #[schemars(with = "String")]
    pub currency: Text,
    /// Who rates the usage: `here`, or `seller` where a provider does in a system of its own and its
    /// files and invoices are imported with `skyhandel import received`. `here` if left out.
    #[schemars(with = "Option<String>")]
    pub rated: Option<Text>,
    /// The key of the seller's price book. Where the seller rates, it says what its invoices are
    /// expected to come to, and what `buy_plus` starts from.
    #[schemars(with = "String")]
    pub price_book: Text,
    /// How the exact amount of an invoice line becomes minor units: `half-even`, `half-up`, `down`
    /// or `up`, once in the billed currency; `partner-center` (down in the pricing currency, then
    /// exchanged, then down) or `partner-center-nearest`. `half-even` if left out.
    #[schemars(with = "Option<String>")]
    pub rounding: Option<Text>,
    /// Where exchange rates come from. The ECB's, fixed before the period, if left out.
    pub exchange: Option<ExchangeEntry>,
    /// How the tax on a sum becomes minor units: `half-up` if left out.
    #[schemars(with = "Option<String>")]
    pub tax_rounding: Option<Text>,
    /// How many months after a month has ended what becomes known of its bills is still billed; for
    /// ever if left out. `3`: what was billed with January is corrected until the end of April.
    #[schemars(with = "Option<i64>")]
    pub correction_months: Option<Spanned<i64>>,
    /// Days from issue to due date; 30 if left out.
    #[schemars(with = "Option<i64>")]
    pub payment_terms_days: Option<Spanned<i64>>,
    /// What an invoice bills of subscriptions to plans: `calendar-month`, or `anniversary`: what ends
    /// in its month, up to the day before the one with the number of the subscription's first day
    /// (before the last day of a month that is too short; the 1st is the calendar month). Bills
    /// follow each other: after a change one is shorter or longer. Of closed months it stays.
    /// `calendar-month` if left out.
    #[schemars(with = "Option<String>")]
    pub plan_calendar: Option<Text>,
    /// The same for subscriptions to legacy offers.
    #[schemars(with = "Option<String>")]
    pub legacy_calendar: Option<Text>,
}

/// Where the exchange rates of an edge come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeEntry {
    /// `ecb` (daily euro reference rates), `usd-sheet` (the provider's monthly sheet) or
    /// `programme` (the `exchange_rate` entries of this file).
    #[schemars(with = "String")]
    pub source: Text,
    /// Which day's rate, for daily rates: `before-period` (two business days before the previous
    /// month ends), `period-start` or `period-end`. `before-period` if left out.
    #[schemars(with = "Option<String>")]
    pub fixing: Option<Text>,
    /// `true`: a rate that becomes known after a month was billed counts for it, once the seller
    /// accepts that (`skyhandel restate`). If left out, a billed month keeps its rate.
    pub restated: Option<bool>,
}

/// The rules by which a seller derives prices. For each meter the most specific rule wins: meter,
/// then product, then category, then all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PriceBookEntry {
    /// Its short name.
    #[schemars(with = "String")]
    pub key: Text,
    /// The key of the seller.
    #[schemars(with = "String")]
    pub seller: Text,
    /// The rules.
    #[serde(default)]
    #[schemars(with = "Vec<RuleEntry>")]
    pub rule: Vec<Spanned<RuleEntry>>,
}

/// A rule: what it applies to (exactly one of `meter`, `product`, `category`, `all`), when, and
/// how it makes a price (exactly one of `list_minus`, `buy_plus`, `fixed`, `tiers`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleEntry {
    /// One meter, by id.
    #[schemars(with = "Option<String>")]
    pub meter: Option<Text>,
    /// Every meter of a product, by the product's id or title in the price sheet.
    #[schemars(with = "Option<String>")]
    pub product: Option<Text>,
    /// Every meter of a category.
    #[schemars(with = "Option<String>")]
    pub category: Option<Text>,
    /// `true`: every meter.
    #[schemars(with = "Option<bool>")]
    pub all: Option<Spanned<bool>>,
    /// The first day, by service time; from ever if left out.
    #[schemars(with = "Option<String>")]
    pub from: Option<Spanned<DateText>>,
    /// The first day on which it no longer applies.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
    /// The list price less so many percent.
    #[schemars(with = "Option<String>")]
    pub list_minus: Option<Spanned<DecimalText>>,
    /// What the seller pays, plus so many percent: its own price in force, exchanged into the
    /// currency that it is billed in and from that into this agreement's.
    #[schemars(with = "Option<String>")]
    pub buy_plus: Option<Spanned<DecimalText>>,
    /// One price whatever the quantity; needs `currency`.
    #[schemars(with = "Option<String>")]
    pub fixed: Option<Spanned<DecimalText>>,
    /// Graduated prices; needs `currency`.
    #[schemars(with = "Option<Vec<TierEntry>>")]
    pub tiers: Option<Spanned<Vec<TierEntry>>>,
    /// The currency of `fixed` or `tiers`.
    #[schemars(with = "Option<String>")]
    pub currency: Option<Text>,
}

/// A tier: `price` applies to the units above `from`, up to the next tier.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TierEntry {
    /// How many units have gone before; the first tier starts at 0.
    #[schemars(with = "String")]
    pub from: Spanned<DecimalText>,
    /// What one unit costs.
    #[schemars(with = "String")]
    pub price: Spanned<DecimalText>,
}

/// A usage offer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfferEntry {
    /// Its short name.
    #[schemars(with = "String")]
    pub key: Text,
    /// What documents call it.
    #[schemars(with = "String")]
    pub name: Text,
    /// `plan` or `legacy`.
    #[schemars(with = "String")]
    pub family: Text,
    /// The price sheet with its list prices, by the name under which it is imported.
    #[schemars(with = "String")]
    pub price_sheet: Text,
    /// For which tax rates of countries it counts: `standard` if left out.
    #[schemars(with = "Option<String>")]
    pub tax_category: Option<Text>,
}

/// A customer's commerce subscription.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionEntry {
    /// Its id, a GUID; or a short name from which one is derived.
    #[schemars(with = "String")]
    pub id: Text,
    /// What documents call it; the offer's name if left out.
    #[schemars(with = "Option<String>")]
    pub name: Option<Text>,
    /// The key of the offer.
    #[schemars(with = "String")]
    pub offer: Text,
    /// The sale path: the keys of the organisations from the provider to the customer. At most
    /// eight edges.
    #[schemars(with = "Vec<String>")]
    pub path: Vec<Text>,
    /// The first day.
    #[schemars(with = "String")]
    pub from: Spanned<DateText>,
    /// The first day on which it is no longer active.
    #[schemars(with = "Option<String>")]
    pub until: Option<Spanned<DateText>>,
    /// What it holds (Azure subscriptions of a plan). Usage may name these ids or that of the
    /// subscription itself.
    #[serde(default)]
    pub entitlement: Vec<EntitlementEntry>,
}

/// Something that a subscription holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EntitlementEntry {
    /// Its id, a GUID.
    #[schemars(with = "String")]
    pub id: Text,
    /// What documents call it.
    #[schemars(with = "String")]
    pub name: Text,
}

/// An agreed exchange rate of a month.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ExchangeRateEntry {
    /// From one unit of this currency ...
    #[schemars(with = "String")]
    pub from: Text,
    /// ... to so many units of this one.
    #[schemars(with = "String")]
    pub to: Text,
    /// The month, such as `2026-10`.
    #[schemars(with = "String")]
    pub month: Text,
    /// The rate, with up to 17 decimals.
    #[schemars(with = "String")]
    pub rate: Spanned<DecimalText>,
}

/// An exact decimal: in quotes, or a whole number. A TOML float is refused, because it may not be
/// the number that was written.
#[derive(Debug, Clone)]
pub(super) struct DecimalText(pub String);

impl<'de> Deserialize<'de> for DecimalText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = DecimalText;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an exact decimal in quotes, such as \"12.5\"")
            }

            fn visit_str<E>(self, text: &str) -> Result<DecimalText, E> {
                Ok(DecimalText(text.to_owned()))
            }

            fn visit_i64<E>(self, number: i64) -> Result<DecimalText, E> {
                Ok(DecimalText(number.to_string()))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A day: a TOML date or a text such as `"2026-10-01"`.
#[derive(Debug, Clone)]
pub(super) struct DateText(pub String);

impl<'de> Deserialize<'de> for DateText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Date(toml::value::Datetime),
            Text(String),
        }

        Ok(match Either::deserialize(deserializer)? {
            Either::Date(date) => Self(date.to_string()),
            Either::Text(text) => Self(text),
        })
    }
}

/// The JSON schema of programme files.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(ProgrammeFile).into()
}
