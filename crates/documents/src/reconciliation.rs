//! The invoice reconciliation file, in the documented columns of Partner Center's new commerce:
//! one row an invoice line.

use crate::table::{Kind, Layout, TableBuilder, columns};
use crate::{Billing, Party, Product};
use kernel::{
    Currency, EXCHANGE_RATE_SCALE, QUANTITY_SCALE, Quantity, UNIT_PRICE_SCALE, UnitPrice,
};

columns!(
    PartnerId,
    CustomerId,
    CustomerName,
    CustomerDomainName,
    CustomerCountry,
    InvoiceNumber,
    MpnId,
    ResellerMPNID,
    OrderId,
    OrderDate,
    ProductId,
    SkuId,
    AvailabilityId,
    SkuName,
    ProductName,
    ChargeType,
    UnitPrice,
    Quantity,
    Subtotal,
    TaxTotal,
    Total,
    Currency,
    PriceAdjustmentDescription,
    PublisherName,
    PublisherId,
    SubscriptionDescription,
    SubscriptionId,
    ChargeStartDate,
    ChargeEndDate,
    TermAndBillingCycle,
    EffectiveUnitPrice,
    UnitType,
    AlternateId,
    BillableQuantity,
    BillingFrequency,
    PricingCurrency,
    PCToBCExchangeRate,
    PCToBCExchangeRateDate,
    MeterDescription,
    ReservationOrderId,
    CreditReasonCode,
    SubscriptionStartDate,
    SubscriptionEndDate,
    ReferenceID,
    ProductQualifiers,
    PromotionID,
);

/// The layout in a currency.
pub fn layout(currency: Currency) -> Layout {
    let money = Kind::Money(currency.minor_digits());
    let kind = |name: &'static str| match name {
        "UnitPrice" | "EffectiveUnitPrice" => Kind::Decimal(UNIT_PRICE_SCALE),
        "Quantity" => Kind::Decimal(0),
        "BillableQuantity" => Kind::Decimal(QUANTITY_SCALE),
        "PCToBCExchangeRate" => Kind::Decimal(EXCHANGE_RATE_SCALE),
        "Subtotal" | "TaxTotal" | "Total" => money,
        "OrderDate"
        | "ChargeStartDate"
        | "ChargeEndDate"
        | "PCToBCExchangeRateDate"
        | "SubscriptionStartDate"
        | "SubscriptionEndDate" => Kind::Time,
        _ => Kind::Text,
    };
    Layout::new(COLUMNS.iter().map(|name| (*name, kind(name))).collect())
}

/// An invoice line.
#[derive(Debug, Clone)]
pub struct Line<'a> {
    /// What was used.
    pub product: Product<'a>,
    /// What one unit costs before the edge's own rule.
    pub unit_price: UnitPrice,
    /// What one unit costs on this edge.
    pub effective_unit_price: UnitPrice,
    /// How much was used.
    pub quantity: Quantity,
    /// The amount in minor units.
    pub subtotal: i64,
    /// The tax on it in minor units.
    pub tax: i64,
    /// Why the price is not the list price.
    pub adjustment: &'a str,
    /// Currencies and rate.
    pub billing: Billing<'a>,
    /// The line's id.
    pub reference: &'a str,
    /// What kind of line it is: [`crate::daily::CHARGE_NEW`] and its like.
    pub charge_type: &'a str,
    /// The id of the line of an earlier invoice that it changes, or nothing.
    pub alternate: &'a str,
}

/// Whose subscription the lines that follow belong to.
#[derive(Debug, Clone, Copy)]
pub struct SubscriptionRows<'a> {
    /// The billed partner.
    pub partner: Party<'a>,
    /// The customer.
    pub customer: Party<'a>,
    /// The id in the partner network of the reseller that sells to the customer.
    pub reseller_mpn_id: &'a str,
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// When it began, in microseconds since 1970.
    pub start: i64,
    /// When it ends, if it does.
    pub end: Option<i64>,
    /// The first and the last day that is charged.
    pub charged: (i64, i64),
}

/// Fills in what all rows of a file have in common.
pub fn begin(table: &mut TableBuilder, invoice_number: &str) {
    table.text(Column::InvoiceNumber as usize, invoice_number);
    table.text(Column::BillingFrequency as usize, "Monthly");
    table.number(Column::Quantity as usize, 1);
}

/// Fills in whose rows follow.
pub fn subscription(table: &mut TableBuilder, of: SubscriptionRows<'_>) {
    table.text(Column::PartnerId as usize, of.partner.id);
    table.text(Column::MpnId as usize, of.partner.mpn_id);
    table.text(Column::CustomerId as usize, of.customer.id);
    table.text(Column::CustomerName as usize, of.customer.name);
    table.text(Column::CustomerDomainName as usize, of.customer.domain);
    table.text(Column::CustomerCountry as usize, of.customer.country);
    table.text(Column::ResellerMPNID as usize, of.reseller_mpn_id);
    table.text(Column::SubscriptionId as usize, of.id);
    table.text(Column::SubscriptionDescription as usize, of.name);
    table.time(Column::OrderDate as usize, Some(of.start));
    table.time(Column::SubscriptionStartDate as usize, Some(of.start));
    table.time(Column::SubscriptionEndDate as usize, of.end);
    table.time(Column::ChargeStartDate as usize, Some(of.charged.0));
    table.time(Column::ChargeEndDate as usize, Some(of.charged.1));
}

/// Appends a line.
pub fn line(table: &mut TableBuilder, line: &Line<'_>) {
    let product = &line.product;
    table.text(Column::ProductId as usize, product.product_id);
    table.text(Column::SkuId as usize, product.sku_id);
    table.text(Column::SkuName as usize, product.sku_name());
    table.text(Column::ProductName as usize, product.product_name());
    table.text(Column::PublisherName as usize, product.publisher);
    table.text(Column::UnitType as usize, product.unit);
    table.text(Column::MeterDescription as usize, &product.description());
    table.number(Column::UnitPrice as usize, line.unit_price.mantissa());
    table.number(Column::EffectiveUnitPrice as usize, line.effective_unit_price.mantissa());
    table.number(Column::BillableQuantity as usize, line.quantity.mantissa());
    table.number(Column::Subtotal as usize, i128::from(line.subtotal));
    table.number(Column::TaxTotal as usize, i128::from(line.tax));
    table.number(Column::Total as usize, i128::from(line.subtotal) + i128::from(line.tax));
    table.text(Column::PriceAdjustmentDescription as usize, line.adjustment);
    table.text(Column::Currency as usize, line.billing.billing_currency);
    table.text(Column::PricingCurrency as usize, line.billing.pricing_currency);
    table.number(Column::PCToBCExchangeRate as usize, line.billing.rate.mantissa());
    table.time(Column::PCToBCExchangeRateDate as usize, line.billing.rate_date);
    table.text(Column::ReferenceID as usize, line.reference);
    table.text(Column::ChargeType as usize, line.charge_type);
    table.text(Column::AlternateId as usize, line.alternate);
    table.row();
}
