//! The daily rated usage file, in the documented columns of Partner Center: one row a rated line,
//! and a row for the rounding of each invoice line, so that the file adds up to the invoice.

use crate::reconciliation::SubscriptionRows;
use crate::table::{Keyed, Kind, Layout, TableBuilder, columns};
use crate::{Billing, Product};
use kernel::{EXCHANGE_RATE_SCALE, Percent, QUANTITY_SCALE, Quantity, UNIT_PRICE_SCALE, UnitPrice};

/// The charge type of usage.
pub const CHARGE_NEW: &str = "new";
/// The charge type of what an adjustment takes back: it was billed before and is not to be any
/// more, or not at this price. Quantity and amount are negative.
pub const CHARGE_REVERSAL: &str = "reversal";
/// The charge type of an invoice line that says by how much an earlier one changes at its price.
pub const CHARGE_ADJUSTMENT: &str = "adjustment";
/// The charge type of a row that makes up for the rounding of an invoice line. Ours: the provider
/// has no such row, and its daily file does not add up to its invoice.
pub const CHARGE_ROUNDING: &str = "roundingAdjustment";

/// The charge types of invoice lines after a close.
pub const CHARGES: [&str; 3] = [CHARGE_NEW, CHARGE_REVERSAL, CHARGE_ADJUSTMENT];

columns!(
    PartnerId,
    PartnerName,
    CustomerId,
    CustomerName,
    CustomerDomainName,
    CustomerCountry,
    MpnId,
    Tier2MpnId,
    InvoiceNumber,
    ProductId,
    SkuId,
    AvailabilityId,
    SkuName,
    ProductName,
    PublisherName,
    PublisherId,
    SubscriptionDescription,
    SubscriptionId,
    ChargeStartDate,
    ChargeEndDate,
    UsageDate,
    MeterType,
    MeterCategory,
    MeterId,
    MeterSubCategory,
    MeterName,
    MeterRegion,
    Unit,
    ResourceLocation,
    ConsumedService,
    ResourceGroup,
    ResourceURI,
    ChargeType,
    UnitPrice,
    Quantity,
    UnitType,
    BillingPreTaxTotal,
    BillingCurrency,
    PricingPreTaxTotal,
    PricingCurrency,
    ServiceInfo1,
    ServiceInfo2,
    Tags,
    AdditionalInfo,
    EffectiveUnitPrice,
    PCToBCExchangeRate,
    PCToBCExchangeRateDate,
    EntitlementId,
    EntitlementDescription,
    PartnerEarnedCreditPercentage,
    CreditPercentage,
    CreditType,
    BenefitOrderId,
    BenefitId,
    BenefitType,
);

/// What a row says that has no credit.
const NOT_APPLIED: &str = "Credit Not Applied";

/// The layout with as many decimals as the amounts of a file need.
pub fn layout(billing_scale: u8, pricing_scale: u8) -> Layout {
    let kind = |name: &'static str| match name {
        "UnitPrice" | "EffectiveUnitPrice" => Kind::Decimal(UNIT_PRICE_SCALE),
        "Quantity" => Kind::Decimal(QUANTITY_SCALE),
        "BillingPreTaxTotal" => Kind::Decimal(billing_scale),
        "PricingPreTaxTotal" => Kind::Decimal(pricing_scale),
        "PCToBCExchangeRate" => Kind::Decimal(EXCHANGE_RATE_SCALE),
        "PartnerEarnedCreditPercentage" | "CreditPercentage" => Kind::Decimal(0),
        "ChargeStartDate" | "ChargeEndDate" | "UsageDate" | "PCToBCExchangeRateDate" => Kind::Time,
        _ => Kind::Text,
    };
    Layout::new(COLUMNS.iter().map(|name| (*name, kind(name))).collect())
}

/// Fills in what all rows of a file have in common.
pub fn begin(table: &mut TableBuilder, invoice_number: &str) {
    table.text(Column::InvoiceNumber as usize, invoice_number);
    table.text(Column::CreditType as usize, NOT_APPLIED);
}

/// Fills in what is charged with the rows that follow. The end is exclusive here.
pub fn charged(table: &mut TableBuilder, (start, end): (i64, i64)) {
    table.time(Column::ChargeStartDate as usize, Some(start));
    table.time(Column::ChargeEndDate as usize, Some(end));
}

/// Fills in whose rows follow.
pub fn subscription(table: &mut TableBuilder, of: &SubscriptionRows<'_>) {
    table.text(Column::PartnerId as usize, of.partner.id);
    table.text(Column::PartnerName as usize, of.partner.name);
    table.text(Column::MpnId as usize, of.partner.mpn_id);
    table.text(Column::CustomerId as usize, of.customer.id);
    table.text(Column::CustomerName as usize, of.customer.name);
    table.text(Column::CustomerDomainName as usize, of.customer.domain);
    table.text(Column::CustomerCountry as usize, of.customer.country);
    table.text(Column::Tier2MpnId as usize, of.reseller_mpn_id);
    table.text(Column::SubscriptionId as usize, of.id);
    table.text(Column::SubscriptionDescription as usize, of.name);
}

/// Fills in which meter the rows that follow are about.
pub fn meter(table: &mut TableBuilder, product: &Product<'_>) {
    table.text(Column::ProductId as usize, product.product_id);
    table.text(Column::SkuId as usize, product.sku_id);
    table.text(Column::SkuName as usize, product.sku_name());
    table.text(Column::ProductName as usize, product.product_name());
    table.text(Column::PublisherName as usize, product.publisher);
    table.text(Column::MeterType as usize, product.unit);
    table.text(Column::MeterCategory as usize, product.category);
    table.text(Column::MeterId as usize, product.meter_id);
    table.text(Column::MeterSubCategory as usize, product.subcategory);
    table.text(Column::MeterName as usize, product.meter_name);
    table.text(Column::MeterRegion as usize, product.region);
    table.text(Column::Unit as usize, product.unit);
    table.text(Column::UnitType as usize, product.unit);
}

/// Fills in the price of the rows that follow.
pub fn price(
    table: &mut TableBuilder,
    unit_price: UnitPrice,
    effective_unit_price: UnitPrice,
    billing: Billing<'_>,
) {
    table.number(Column::UnitPrice as usize, unit_price.mantissa());
    table.number(Column::EffectiveUnitPrice as usize, effective_unit_price.mantissa());
    table.text(Column::BillingCurrency as usize, billing.billing_currency);
    table.text(Column::PricingCurrency as usize, billing.pricing_currency);
    table.number(Column::PCToBCExchangeRate as usize, billing.rate.mantissa());
    table.time(Column::PCToBCExchangeRateDate as usize, billing.rate_date);
}

/// Fills in the partner earned credit of the rows that follow: whole percents, zero for none.
pub fn credit(table: &mut TableBuilder, percent: Percent) {
    let whole = percent.mantissa() / (Percent::HUNDRED.mantissa() / 100);
    let applied = if percent.is_zero() { NOT_APPLIED } else { "Partner Earned Credit Applied" };
    table.number(Column::PartnerEarnedCreditPercentage as usize, whole);
    table.text(Column::CreditType as usize, applied);
}

/// The columns of what a source says of a record: resource, location, group, service, tags,
/// additional info, two service infos.
const DETAILS: [Column; 8] = [
    Column::ResourceURI,
    Column::ResourceLocation,
    Column::ResourceGroup,
    Column::ConsumedService,
    Column::Tags,
    Column::AdditionalInfo,
    Column::ServiceInfo1,
    Column::ServiceInfo2,
];

/// Fills in which resource the rows that follow are about, in the order of the lake's details.
pub fn resource(table: &mut TableBuilder, details: &[Keyed<'_>; DETAILS.len()]) {
    for (column, text) in DETAILS.into_iter().zip(details) {
        table.keyed(column as usize, *text);
    }
}

/// Fills in the entitlement of the rows that follow, by id and name.
pub fn entitlement<'n>(table: &mut TableBuilder, id: Keyed<'_>, name: impl FnOnce() -> &'n str) {
    if table.keyed(Column::EntitlementId as usize, id) {
        table.text(Column::EntitlementDescription as usize, name());
    }
}

/// The rows that follow are about no resource.
pub fn no_resource(table: &mut TableBuilder) {
    let columns = DETAILS.into_iter();
    columns
        .chain([Column::EntitlementId, Column::EntitlementDescription])
        .for_each(|column| table.text(column as usize, ""));
}

/// Fills in what the rows that follow are: [`CHARGE_NEW`] or [`CHARGE_ROUNDING`].
pub fn charge_type(table: &mut TableBuilder, charge_type: &str) {
    table.text(Column::ChargeType as usize, charge_type);
}

/// Appends a row: usage of a day, or the rounding of an invoice line. The amounts, in the pricing
/// and the billing currency, are integers at the scales of their columns.
pub fn line(
    table: &mut TableBuilder,
    usage_date: Option<i64>,
    quantity: Quantity,
    (pricing, billing): (i128, i128),
) {
    table.time(Column::UsageDate as usize, usage_date);
    table.number(Column::Quantity as usize, quantity.mantissa());
    table.number(Column::PricingPreTaxTotal as usize, pricing);
    table.number(Column::BillingPreTaxTotal as usize, billing);
    table.row();
}

/// The position of the billed amount, for its scale.
pub const BILLING_COLUMN: usize = Column::BillingPreTaxTotal as usize;
/// The position of the amount in the pricing currency, for its scale.
pub const PRICING_COLUMN: usize = Column::PricingPreTaxTotal as usize;
