//! The reconciliation file of legacy usage offers, in the documented columns of Partner Center: one
//! row a price tier. It says of legacy lines what the reconciliation file says of all lines.

use kernel::{
    Amount, Currency, Money, QUANTITY_SCALE, Quantity, Rounding, UNIT_PRICE_SCALE, UnitPrice,
};

use crate::Product;
use crate::reconciliation::SubscriptionRows;
use crate::table::{Kind, Layout, TableBuilder, columns};

/// Decimals of an effective rate, as the documented example has them: further ones are cut off.
const RATE_DECIMALS: u8 = 8;

columns!(
    PartnerId,
    PartnerName,
    PartnerBillableAccountId,
    CustomerCompanyName,
    MpnId,
    ResellerMPNID,
    InvoiceNumber,
    ChargeStartDate,
    ChargeEndDate,
    SubscriptionId,
    SubscriptionName,
    SubscriptionDescription,
    OrderID,
    ServiceName,
    ServiceType,
    ResourceGuid,
    ResourceName,
    Region,
    Sku,
    DetailLineItemId,
    ConsumedQuantity,
    IncludedQuantity,
    OverageQuantity,
    ListPrice,
    PretaxCharges,
    TaxAmount,
    PostTaxTotal,
    Currency,
    PretaxEffectiveRate,
    PostTaxEffectiveRate,
    ChargeType,
    CustomerId,
    DomainName,
    BillingCycleType,
    Unit,
);

/// The layout in a currency.
pub fn layout(currency: Currency) -> Layout {
    let money = Kind::Money(currency.minor_digits());
    let kind = |name: &'static str| match name {
        "ConsumedQuantity" | "IncludedQuantity" | "OverageQuantity" => {
            Kind::Decimal(QUANTITY_SCALE)
        }
        "ListPrice" | "PretaxEffectiveRate" | "PostTaxEffectiveRate" => {
            Kind::Decimal(UNIT_PRICE_SCALE)
        }
        "PretaxCharges" | "TaxAmount" | "PostTaxTotal" => money,
        "DetailLineItemId" => Kind::Decimal(0),
        "ChargeStartDate" | "ChargeEndDate" => Kind::Time,
        _ => Kind::Text,
    };
    Layout::new(COLUMNS.iter().map(|name| (*name, kind(name))).collect())
}

/// What a tier comes to.
#[derive(Debug, Clone, Copy)]
pub struct TierRow<'a> {
    /// Whose it is.
    pub subscription: SubscriptionRows<'a>,
    /// What was used.
    pub product: Product<'a>,
    /// The tier, counted from zero.
    pub tier: u8,
    /// How much was used.
    pub consumed: Quantity,
    /// Whether the price includes it.
    pub is_included: bool,
    /// What one unit costs, in the billed currency.
    pub list_price: UnitPrice,
    /// The amount before tax.
    pub charges: Money,
    /// The tax on it.
    pub tax: Money,
    /// Whether it takes back what was billed.
    pub is_offset: bool,
}

/// Fills in what all rows of a file have in common.
pub fn begin(table: &mut TableBuilder, invoice_number: &str) {
    table.text(Column::InvoiceNumber as usize, invoice_number);
    table.text(Column::BillingCycleType as usize, "Monthly");
}

/// Appends a row.
pub fn row(table: &mut TableBuilder, row: &TierRow<'_>) {
    texts(table, row);
    let (first, last) = row.subscription.charged;
    table.time(Column::ChargeStartDate as usize, Some(first));
    table.time(Column::ChargeEndDate as usize, Some(last));
    let included = if row.is_included { row.consumed } else { Quantity::ZERO };
    let overage = if row.is_included { Quantity::ZERO } else { row.consumed };
    let rate = |minor: i64| {
        let amount = Amount::from(Money::new(minor, row.charges.currency()));
        let rate = amount.per_unit(overage, RATE_DECIMALS, Rounding::Down);
        rate.unwrap_or(UnitPrice::ZERO).mantissa()
    };
    let (charges, tax) = (row.charges.minor(), row.tax.minor());
    let total = charges.saturating_add(tax);
    for (column, number) in [
        (Column::DetailLineItemId, i128::from(row.tier) + 1),
        (Column::ConsumedQuantity, row.consumed.mantissa()),
        (Column::IncludedQuantity, included.mantissa()),
        (Column::OverageQuantity, overage.mantissa()),
        (Column::ListPrice, row.list_price.mantissa()),
        (Column::PretaxCharges, charges.into()),
        (Column::TaxAmount, tax.into()),
        (Column::PostTaxTotal, total.into()),
        (Column::PretaxEffectiveRate, rate(charges)),
        (Column::PostTaxEffectiveRate, rate(total)),
    ] {
        table.number(column as usize, number);
    }
    table.row();
}

fn texts(table: &mut TableBuilder, row: &TierRow<'_>) {
    let (of, product) = (&row.subscription, &row.product);
    let reseller = if of.reseller_mpn_id.is_empty() { "-1" } else { of.reseller_mpn_id };
    let charge =
        if row.is_offset { "Offset a line item" } else { "Assess usage fee for current cycle" };
    for (column, text) in [
        (Column::PartnerId, of.partner.id),
        (Column::PartnerName, of.partner.name),
        (Column::CustomerCompanyName, of.customer.name),
        (Column::MpnId, of.partner.mpn_id),
        (Column::ResellerMPNID, reseller),
        (Column::SubscriptionId, of.id),
        (Column::SubscriptionName, of.name),
        (Column::SubscriptionDescription, of.name),
        (Column::ServiceName, product.category),
        (Column::ServiceType, product.subcategory),
        (Column::ResourceGuid, product.meter_id),
        (Column::ResourceName, product.meter_name),
        (Column::Region, product.region),
        (Column::Sku, product.sku_id),
        (Column::Currency, row.charges.currency().code()),
        (Column::ChargeType, charge),
        (Column::CustomerId, of.customer.id),
        (Column::DomainName, of.customer.domain),
        (Column::Unit, product.unit),
    ] {
        table.text(column as usize, text);
    }
}
