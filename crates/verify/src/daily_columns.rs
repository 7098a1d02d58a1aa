//! The columns of the daily rated usage file, and what is to be expected of each.

use crate::table::Row;

/// The columns, and what is to be expected of each.
pub(crate) const COLUMNS: &[(&str, Expect)] = &[
    ("PartnerId", Expect::Same),
    ("PartnerName", Expect::Same),
    ("CustomerId", Expect::Same),
    ("CustomerName", Expect::Same),
    ("CustomerDomainName", Expect::Same),
    ("CustomerCountry", Expect::Same),
    ("MpnId", Expect::Same),
    ("Tier2MpnId", Expect::Same),
    ("InvoiceNumber", Expect::Same),
    ("ProductId", Expect::Same),
    ("SkuId", Expect::Same),
    ("AvailabilityId", Expect::Same),
    ("SkuName", Expect::Same),
    ("ProductName", Expect::Same),
    ("PublisherName", Expect::Same),
    ("PublisherId", Expect::Same),
    ("SubscriptionDescription", Expect::Same),
    ("SubscriptionId", Expect::Same),
    ("ChargeStartDate", Expect::Same),
    ("ChargeEndDate", Expect::Same),
    ("UsageDate", Expect::Row),
    ("MeterType", Expect::Same),
    ("MeterCategory", Expect::Same),
    ("MeterId", Expect::Same),
    ("MeterSubCategory", Expect::Same),
    ("MeterName", Expect::Same),
    ("MeterRegion", Expect::Same),
    ("Unit", Expect::Same),
    ("ResourceLocation", Expect::Resource),
    ("ConsumedService", Expect::Resource),
    ("ResourceGroup", Expect::Resource),
    ("ResourceURI", Expect::Resource),
    ("ChargeType", Expect::Row),
    ("UnitPrice", Expect::Row),
    ("Quantity", Expect::Row),
    ("UnitType", Expect::Same),
    ("BillingPreTaxTotal", Expect::Row),
    ("BillingCurrency", Expect::Same),
    ("PricingPreTaxTotal", Expect::Row),
    ("PricingCurrency", Expect::Row),
    ("ServiceInfo1", Expect::Resource),
    ("ServiceInfo2", Expect::Resource),
    ("Tags", Expect::Resource),
    ("AdditionalInfo", Expect::Resource),
    ("EffectiveUnitPrice", Expect::Row),
    ("PCToBCExchangeRate", Expect::Row),
    ("PCToBCExchangeRateDate", Expect::Row),
    ("EntitlementId", Expect::Resource),
    ("EntitlementDescription", Expect::Resource),
    ("PartnerEarnedCreditPercentage", Expect::Row),
    ("CreditPercentage", Expect::Same),
    ("CreditType", Expect::Row),
    ("BenefitOrderId", Expect::Same),
    ("BenefitId", Expect::Same),
    ("BenefitType", Expect::Same),
];

/// What is expected of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// The same in every row of a subscription and meter.
    Same,
    /// What the source said of the resource: the same on every edge.
    Resource,
    /// Checked row by row.
    Row,
}

pub(crate) const RESELLER: usize = 7;
pub(crate) const SUBSCRIPTION: usize = 17;
pub(crate) const USAGE_DATE: usize = 20;
pub(crate) const METER: usize = 23;
pub(crate) const CHARGE_TYPE: usize = 32;
pub(crate) const QUANTITY: usize = 34;
pub(crate) const BILLING: usize = 36;
pub(crate) const PRICING: usize = 38;
pub(crate) const GROUP: usize = 30;
pub(crate) const RESOURCE: usize = 31;
pub(crate) const ENTITLEMENT: usize = 47;
pub(crate) const CREDIT: usize = 49;
pub(crate) const CREDIT_TYPE: usize = 51;
pub(crate) const BENEFITS: [usize; 3] = [52, 53, 54];
/// Where a row states its price.
pub(crate) const EFFECTIVE_PRICE: usize = 44;
pub(crate) const STATED: [usize; 5] = [33, 44, 39, 45, 46];

/// The names of the columns.
pub(crate) fn columns() -> Vec<&'static str> {
    COLUMNS.iter().map(|(name, _)| *name).collect()
}

/// What the source said of the resource of a row.
pub(crate) fn resource(row: &Row) -> impl Iterator<Item = &str> {
    let columns = COLUMNS.iter().enumerate().filter(|(_, (_, e))| *e == Expect::Resource);
    columns.map(|(at, _)| row.cell(at))
}
