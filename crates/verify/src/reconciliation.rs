//! The reconciliation file: one row an invoice line, each what its daily rows come to.

use std::collections::{BTreeMap, HashMap};

use bigdecimal::{BigDecimal, Zero};
use jiff::civil::Date;

use crate::daily::{Group, stated_of};
use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::invoice::derived_id;
use crate::number;
use crate::paths::Paths;
use crate::table::{Row, Table};

const COLUMNS: &[&str] = &[
    "PartnerId",
    "CustomerId",
    "CustomerName",
    "CustomerDomainName",
    "CustomerCountry",
    "InvoiceNumber",
    "MpnId",
    "ResellerMPNID",
    "OrderId",
    "OrderDate",
    "ProductId",
    "SkuId",
    "AvailabilityId",
    "SkuName",
    "ProductName",
    "ChargeType",
    "UnitPrice",
    "Quantity",
    "Subtotal",
    "TaxTotal",
    "Total",
    "Currency",
    "PriceAdjustmentDescription",
    "PublisherName",
    "PublisherId",
    "SubscriptionDescription",
    "SubscriptionId",
    "ChargeStartDate",
    "ChargeEndDate",
    "TermAndBillingCycle",
    "EffectiveUnitPrice",
    "UnitType",
    "AlternateId",
    "BillableQuantity",
    "BillingFrequency",
    "PricingCurrency",
    "PCToBCExchangeRate",
    "PCToBCExchangeRateDate",
    "MeterDescription",
    "ReservationOrderId",
    "CreditReasonCode",
    "SubscriptionStartDate",
    "SubscriptionEndDate",
    "ReferenceID",
    "ProductQualifiers",
    "PromotionID",
];

const RESELLER: usize = 7;
const SUBTOTAL: usize = 18;
const REFERENCE: usize = 43;
const AVERAGE: &str = "[\"average of the month's prices\"]";

/// What the file came to.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    pub lines: u64,
    pub net: BigDecimal,
    pub categories: BTreeMap<String, (u64, BigDecimal)>,
}

/// Compares the file of an edge with the groups of its daily rows.
pub(crate) fn check(
    edge: &Edge<'_>,
    folder: &Folder,
    paths: &Paths<'_>,
    groups: Vec<Group<'_>>,
    faults: &mut Faults,
) -> Bill {
    let mut bill = Bill::default();
    let Some(path) = folder.table(&edge.place, "reconciliation") else { return bill };
    let parties = &edge.invoice.invoice;
    let mut expected: HashMap<String, Group<'_>> = groups
        .into_iter()
        .map(|group| {
            let name = format!(
                "{}/{}/{}/{}/{}/{}",
                parties.seller.tenant_id,
                parties.buyer.tenant_id,
                folder.certificate.period,
                group.subscription,
                group.meter.meter,
                group.total.tier
            );
            (derived_id("InvoiceLineId", &name), group)
        })
        .collect();
    let check = Check { edge, folder, paths, path: &path };
    if let Err((line, reason)) = check.rows(&mut expected, &mut bill, faults) {
        faults.add(&path, Some(line), reason);
    }
    let mut missing: Vec<&Group<'_>> =
        expected.values().filter(|group| group.total.certain).collect();
    missing.sort_by_key(|group| (group.subscription, &group.meter.meter, group.total.tier));
    for group in missing {
        let reason = format!(
            "has no line for subscription {}, meter {}, tier {}",
            group.subscription, group.meter.meter, group.total.tier
        );
        faults.add(&path, None, reason);
    }
    bill
}

struct Check<'a> {
    edge: &'a Edge<'a>,
    folder: &'a Folder,
    paths: &'a Paths<'a>,
    path: &'a str,
}

impl Check<'_> {
    fn rows(
        &self,
        expected: &mut HashMap<String, Group<'_>>,
        bill: &mut Bill,
        faults: &mut Faults,
    ) -> Result<(), (u64, String)> {
        let table = Table::open(&self.folder.root.join(self.path), COLUMNS);
        let mut table = table.map_err(|reason| (1, reason))?;
        let mut row = Row::default();
        let mut before: Option<(String, String, usize)> = None;
        while table.next(&mut row)? {
            bill.lines += 1;
            let subtotal = number::parse_money(row.cell(SUBTOTAL), self.edge.decimals);
            bill.net += subtotal.unwrap_or_default();
            let Some(group) = expected.remove(row.cell(REFERENCE)) else {
                let reason = format!(
                    "ReferenceID {} is of no group of daily rows, or has been here before",
                    row.cell(REFERENCE)
                );
                faults.add(self.path, Some(row.line), reason);
                continue;
            };
            let key = (group.subscription.to_owned(), group.meter.meter.clone(), group.total.tier);
            if before.as_ref().is_some_and(|before| *before >= key) {
                faults.add(self.path, Some(row.line), "does not follow the row before");
            }
            before = Some(key);
            let money = self.edge.rounded(&group.total.exact);
            let cells = self.expected(&group, &money, &row);
            for (at, (column, expected)) in COLUMNS.iter().zip(&cells).enumerate() {
                if row.cell(at) != expected {
                    faults.same((self.path, Some(row.line)), column, row.cell(at), expected);
                }
            }
            let category = bill.categories.entry(group.meter.product[1].clone()).or_default();
            category.0 += 1;
            category.1 += money;
        }
        Ok(())
    }

    /// The row of a group.
    fn expected(&self, group: &Group<'_>, money: &BigDecimal, row: &Row) -> Vec<String> {
        let edge = self.edge;
        let names = self.paths.names(edge, group.subscription);
        let subscription = names.subscription;
        let [name, _, _, region, unit, product, product_name, sku, sku_name, publisher] =
            &group.meter.product;
        let stated =
            stated_of(group.meter, &group.total, &group.total.exact, &edge.certified.currency);
        let first = group.total.used.first().map(|at| &group.meter.prices[*at]);
        let adjustment = first
            .filter(|price| price.stated == stated)
            .map_or(AVERAGE, |price| price.adjustment.as_str());
        let [unit_price, effective, currency, rate, rate_date] = &stated;
        let amount = number::money(money, edge.decimals);
        let value = |column: &str| -> String {
            let text = match column {
                "PartnerId" => &names.partner.tenant_id,
                "MpnId" => names.partner.mpn(),
                "ResellerMPNID" => names.reseller_mpn.unwrap_or_else(|| row.cell(RESELLER)),
                "CustomerId" => &subscription.customer[0],
                "CustomerName" => &subscription.customer[1],
                "CustomerDomainName" => &subscription.customer[2],
                "CustomerCountry" => &subscription.customer[3],
                "InvoiceNumber" => &edge.certified.invoice,
                "OrderDate" | "SubscriptionStartDate" => &subscription.start,
                "SubscriptionEndDate" => &subscription.end,
                "ProductId" => product,
                "ProductName" => product_name,
                "SkuId" => sku,
                "SkuName" => sku_name,
                "PublisherName" => publisher,
                "ChargeType" => "new",
                "UnitPrice" => unit_price,
                "EffectiveUnitPrice" => effective,
                "PricingCurrency" => currency,
                "PCToBCExchangeRate" => rate,
                "PCToBCExchangeRateDate" => rate_date,
                "PriceAdjustmentDescription" => adjustment,
                "Quantity" => "1",
                "Subtotal" | "Total" => &amount,
                "Currency" => &edge.certified.currency,
                "SubscriptionId" => group.subscription,
                "SubscriptionDescription" => &subscription.name,
                "UnitType" => unit,
                "BillingFrequency" => "Monthly",
                _ => "",
            };
            text.to_owned()
        };
        let month = &self.folder.certificate.period;
        COLUMNS
            .iter()
            .map(|column| match *column {
                "TaxTotal" => number::money(&BigDecimal::zero(), edge.decimals),
                "BillableQuantity" => number::trimmed(&group.total.quantity),
                "ChargeStartDate" => format!("{month}-01T00:00:00Z"),
                "ChargeEndDate" => last_day(month),
                "MeterDescription" => {
                    let parts = [product_name, name, region].into_iter();
                    let parts: Vec<&str> =
                        parts.map(String::as_str).filter(|part| !part.is_empty()).collect();
                    format!("{} ({unit})", parts.join(" - "))
                }
                "ReferenceID" => self.reference(group),
                column => value(column),
            })
            .collect()
    }

    fn reference(&self, group: &Group<'_>) -> String {
        let parties = &self.edge.invoice.invoice;
        derived_id(
            "InvoiceLineId",
            &format!(
                "{}/{}/{}/{}/{}/{}",
                parties.seller.tenant_id,
                parties.buyer.tenant_id,
                self.folder.certificate.period,
                group.subscription,
                group.meter.meter,
                group.total.tier
            ),
        )
    }
}

/// The midnight with which the last day of a month begins.
fn last_day(month: &str) -> String {
    let first: Result<Date, _> = format!("{month}-01").parse();
    first.map_or_else(|_| String::new(), |first| format!("{}T00:00:00Z", first.last_of_month()))
}
