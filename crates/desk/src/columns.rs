//! The columns of billing files, by every name that they have had.
//!
//! Names are compared without regard to case, spaces and signs, so that `Meter Id`, `meterId` and
//! `MeterID` are one. Where a file has several of a column's names, the first one listed counts.

/// A column that the desk can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Customer,
    CustomerName,
    Subscription,
    Product,
    Sku,
    Availability,
    Meter,
    MeterName,
    ProductName,
    Region,
    Unit,
    Description,
    UsageDate,
    ChargeStart,
    ChargeEnd,
    ChargeType,
    UnitPrice,
    EffectiveUnitPrice,
    Quantity,
    BillableQuantity,
    BillingAmount,
    Subtotal,
    PricingAmount,
    BillingCurrency,
    PricingCurrency,
    Rate,
    RateDate,
    Credit,
    CreditRate,
    CreditType,
    OtherCredit,
    CreditReason,
    PriceAdjustment,
    Invoice,
    Reference,
    TaxTotal,
    Total,
}

use Field::{
    Availability, BillableQuantity, BillingAmount, BillingCurrency, ChargeEnd, ChargeStart,
    ChargeType, Credit, CreditRate, CreditReason, CreditType, Customer, CustomerName, Description,
    EffectiveUnitPrice, Invoice, Meter, MeterName, OtherCredit, PriceAdjustment, PricingAmount,
    PricingCurrency, Product, ProductName, Quantity, Rate, RateDate, Reference, Region, Sku,
    Subscription, Subtotal, TaxTotal, Total, Unit, UnitPrice, UsageDate,
};

/// Every column with its names: those of the new commerce files first, then those of the legacy
/// files and of older versions.
pub(crate) const NAMES: [(Field, &[&str]); 37] = [
    (Customer, &["CustomerId"]),
    (CustomerName, &["CustomerName", "CustomerCompanyName"]),
    (Subscription, &["SubscriptionId", "SubscriptionGuid"]),
    (Product, &["ProductId", "DurableOfferId"]),
    (Sku, &["SkuId"]),
    (Availability, &["AvailabilityId"]),
    (Meter, &["MeterId", "ResourceGuid"]),
    (MeterName, &["MeterName", "ResourceName"]),
    (ProductName, &["ProductName", "ServiceName", "OfferName"]),
    (Region, &["MeterRegion", "Region", "MeteredRegion"]),
    (Unit, &["Unit", "UnitOfMeasure", "UnitType"]),
    (Description, &["MeterDescription"]),
    (UsageDate, &["UsageDate", "Date"]),
    (ChargeStart, &["ChargeStartDate"]),
    (ChargeEnd, &["ChargeEndDate"]),
    (ChargeType, &["ChargeType"]),
    (UnitPrice, &["UnitPrice", "ListPrice"]),
    (EffectiveUnitPrice, &["EffectiveUnitPrice", "PretaxEffectiveRate"]),
    (Quantity, &["Quantity", "ConsumedQuantity"]),
    (BillableQuantity, &["BillableQuantity", "OverageQuantity"]),
    (BillingAmount, &["BillingPreTaxTotal", "PostTaxTotalBeforeTax"]),
    (Subtotal, &["Subtotal", "PretaxCharges"]),
    (PricingAmount, &["PricingPreTaxTotal"]),
    (BillingCurrency, &["BillingCurrency", "Currency"]),
    (PricingCurrency, &["PricingCurrency"]),
    (Rate, &["PCToBCExchangeRate"]),
    (RateDate, &["PCToBCExchangeRateDate"]),
    (Credit, &["PartnerEarnedCreditPercentage"]),
    (CreditRate, &["RateOfPartnerEarnedCredit"]),
    (CreditType, &["CreditType"]),
    (OtherCredit, &["CreditPercentage", "RateOfCredit"]),
    (CreditReason, &["CreditReasonCode"]),
    (PriceAdjustment, &["PriceAdjustmentDescription"]),
    (Invoice, &["InvoiceNumber"]),
    (Reference, &["ReferenceID", "DetailLineItemId"]),
    (TaxTotal, &["TaxTotal", "TaxAmount", "Tax"]),
    (Total, &["Total", "TotalForCustomer", "PostTaxTotal"]),
];

/// Names of columns that the desk does not use, by what they mean.
const OTHER_NAMES: [&[&str]; 4] =
    [&["MpnId"], &["Tier2MpnId", "ResellerMPNID"], &["PartnerName"], &["Unit", "UnitOfMeasure"]];

/// Where documented columns stand in a header, by whatever name: as they are called, or as they
/// have been called elsewhere.
pub(crate) fn places(header: &[String], columns: &[&str]) -> Vec<Option<usize>> {
    let header: Vec<String> = header.iter().map(|name| plain(name)).collect();
    let find = |name: &str| header.iter().position(|known| *known == plain(name));
    let groups = || OTHER_NAMES.into_iter().chain(NAMES.into_iter().map(|(_, names)| names));
    let place = |column: &&str| {
        let wanted = plain(column);
        let is_named = |names: &&[&str]| names.iter().any(|name| plain(name) == wanted);
        let others = groups().filter(is_named).flatten();
        find(column).or_else(|| others.into_iter().find_map(|name| find(name)))
    };
    columns.iter().map(place).collect()
}

/// The first name of a column.
pub(crate) fn name(field: Field) -> &'static str {
    let named = NAMES.iter().find(|(known, _)| *known == field);
    named.map_or("", |(_, names)| names[0])
}

/// Where each column stands in a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Columns {
    places: Vec<(Field, usize)>,
}

impl Columns {
    /// Finds the columns of a header. A name that stands twice is a fault.
    pub fn of(header: &[String]) -> Result<Self, String> {
        let plain: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let mut places = Vec::new();
        for (field, names) in NAMES {
            for name in names {
                let wanted = self::plain(name);
                let mut found = plain.iter().enumerate().filter(|(_, known)| **known == wanted);
                let Some((at, _)) = found.next() else { continue };
                if found.next().is_some() {
                    return Err(format!("has the column {name} twice"));
                }
                places.push((field, at));
                break;
            }
        }
        Ok(Self { places })
    }

    /// Where a column stands.
    pub fn at(&self, field: Field) -> Option<usize> {
        self.places.iter().find(|(known, _)| *known == field).map(|(_, at)| *at)
    }

    /// Whether there is a column.
    pub fn has(&self, field: Field) -> bool {
        self.at(field).is_some()
    }
}

/// A name without case, spaces and signs; what stands in parentheses is the name itself, where an
/// export translates it: `ID der Verbrauchseinheit (MeterId)`.
fn plain(name: &str) -> String {
    let inner = name.trim().strip_suffix(')').and_then(|name| name.rsplit_once('('));
    let name = inner.map_or(name, |(_, inner)| inner);
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
