//! The reconciliation file: one row an invoice line, each what its daily rows come to.

use std::collections::{BTreeMap, HashMap};

use bigdecimal::{BigDecimal, Zero};
use jiff::civil::Date;

use crate::credits::Credits;
use crate::daily::{Group, one_price};
use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::invoice::derived_id;
use crate::legacy::{LegacyFile, Said};
use crate::number;
use crate::paths::Paths;
use crate::prices::{MeterPrices, Stated};
use crate::table::{Row, Table};
use crate::taxes::Taxes;

pub(crate) const COLUMNS: &[&str] = &[
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
const START: usize = 27;
const END: usize = 28;
const REFERENCE: usize = 43;
const AVERAGE: &str = "[\"average of the month's prices\"]";

/// What the file came to.
#[derive(Debug, Default)]
pub(crate) struct Bill {
    pub lines: u64,
    pub net: BigDecimal,
    pub categories: BTreeMap<String, (u64, BigDecimal)>,
}

/// A line that the file must have.
#[derive(Debug, Clone)]
pub(crate) struct Expected<'a> {
    pub subscription: &'a str,
    pub meter: &'a MeterPrices,
    pub tier: usize,
    /// `new`, or of an adjustment also `reversal` or `adjustment`.
    pub charge_type: &'static str,
    pub quantity: BigDecimal,
    pub money: BigDecimal,
    pub stated: Stated,
    pub adjustment: String,
    /// Whether it changes a line of an earlier invoice.
    pub changes: bool,
    /// Whether it cannot be missing.
    pub certain: bool,
}

impl Expected<'_> {
    /// What comes first: lines of a group stand in the order in which they happen.
    fn place(&self) -> (String, String, usize, bool) {
        let is_new = self.charge_type == "new";
        (self.subscription.to_owned(), self.meter.meter.clone(), self.tier, is_new)
    }
}

/// The line of a group that is billed for the first time.
pub(crate) fn of_group<'a>(edge: &Edge<'_>, group: &Group<'a>) -> Expected<'a> {
    let stated = edge.stated(group.subscription, group.meter, &group.total);
    let price = one_price(group.meter, &group.total);
    let of_rule = price.map_or(AVERAGE, |(price, _)| price.adjustment.as_str());
    let earns = group.total.used.iter().any(|(_, credited)| *credited);
    let credit = edge.credits.as_ref().filter(|_| earns).map(Credits::description);
    Expected {
        subscription: group.subscription,
        meter: group.meter,
        tier: group.total.tier,
        charge_type: "new",
        quantity: group.total.quantity.clone(),
        money: edge.rounded(group.subscription, &group.total),
        adjustment: listed(of_rule, credit),
        stated,
        changes: false,
        certain: group.total.certain,
    }
}

/// A list of texts with one more.
fn listed(list: &str, more: Option<String>) -> String {
    match (list.strip_suffix(']'), more) {
        (_, None) => list.to_owned(),
        (Some(before), Some(more)) => format!("{before},\"{more}\"]"),
        (None, Some(more)) => format!("[\"{more}\"]"),
    }
}

/// Compares the file of an edge with the lines that it must have.
pub(crate) fn check(
    edge: &Edge<'_>,
    folder: &Folder,
    (paths, resellers): (&Paths<'_>, &HashMap<&str, String>),
    lines: Vec<Expected<'_>>,
    faults: &mut Faults,
) -> Bill {
    let mut bill = Bill::default();
    let Some(path) = folder.table(&edge.place, "reconciliation") else { return bill };
    let taxes = Taxes::default();
    let legacy = LegacyFile::open(edge, folder, faults);
    let mut check = Check { edge, folder, paths, resellers, path: &path, taxes, legacy };
    let mut expected: HashMap<String, Expected<'_>> =
        lines.into_iter().map(|line| (check.reference(&line), line)).collect();
    if let Err((line, reason)) = check.rows(&mut expected, &mut bill, faults) {
        faults.add(&path, Some(line), reason);
    }
    check.taxes.check(edge, &bill.net, faults);
    check.legacy.end(folder, faults);
    let mut missing: Vec<&Expected<'_>> = expected.values().filter(|line| line.certain).collect();
    missing.sort_by_key(|line| line.place());
    for line in missing {
        let reason = format!(
            "has no line for subscription {}, meter {}, tier {}",
            line.subscription, line.meter.meter, line.tier
        );
        faults.add(&path, None, reason);
    }
    bill
}

struct Check<'a> {
    edge: &'a Edge<'a>,
    folder: &'a Folder,
    paths: &'a Paths<'a>,
    /// What daily rows say of the reseller of each subscription, where no invoice names it.
    resellers: &'a HashMap<&'a str, String>,
    path: &'a str,
    taxes: Taxes,
    legacy: LegacyFile<'a>,
}

impl Check<'_> {
    fn rows(
        &mut self,
        expected: &mut HashMap<String, Expected<'_>>,
        bill: &mut Bill,
        faults: &mut Faults,
    ) -> Result<(), (u64, String)> {
        let table = Table::open(&self.folder.root.join(self.path), COLUMNS);
        let mut table = table.map_err(|reason| (1, reason))?;
        let mut row = Row::default();
        let mut before: Option<(String, String, usize, bool)> = None;
        while table.next(&mut row)? {
            bill.lines += 1;
            let subtotal = number::parse_money(row.cell(SUBTOTAL), self.edge.decimals);
            bill.net += subtotal.unwrap_or_default();
            let Some(line) = expected.remove(row.cell(REFERENCE)) else {
                let reason = format!(
                    "ReferenceID {} is of no group of daily rows, or has been here before",
                    row.cell(REFERENCE)
                );
                faults.add(self.path, Some(row.line), reason);
                continue;
            };
            let key = line.place();
            if before.as_ref().is_some_and(|before| *before >= key) {
                faults.add(self.path, Some(row.line), "does not follow the row before");
            }
            before = Some(key);
            let tax = self.taxes.add(self.edge, line.subscription, &line.money);
            let tax = tax.unwrap_or_else(|reason| {
                faults.add(self.path, Some(row.line), reason);
                BigDecimal::zero()
            });
            let cells = self.expected(&line, &tax, &row);
            for (at, (column, expected)) in COLUMNS.iter().zip(&cells).enumerate() {
                if row.cell(at) != expected {
                    faults.same((self.path, Some(row.line)), column, row.cell(at), expected);
                }
            }
            self.check_legacy(&line, &tax, &cells, faults);
            let category = bill.categories.entry(line.meter.product[1].clone()).or_default();
            category.0 += 1;
            category.1 += line.money;
        }
        Ok(())
    }

    /// The row of a line of a legacy offer in the file that has them again.
    fn check_legacy(
        &mut self,
        line: &Expected<'_>,
        tax: &BigDecimal,
        cells: &[String],
        faults: &mut Faults,
    ) {
        let names = self.paths.names(self.edge, line.subscription);
        if !names.subscription.is_legacy {
            return;
        }
        let partner = [&*names.partner.tenant_id, &*names.partner.name, names.partner.mpn()];
        let dates = [START, END].map(|at| cells[at].as_str());
        let said = Said { partner, reseller_mpn: &cells[RESELLER], dates, tax };
        self.legacy.line(line, &said, faults);
    }

    /// The row of a line.
    fn expected(&self, line: &Expected<'_>, tax: &BigDecimal, row: &Row) -> Vec<String> {
        let edge = self.edge;
        let names = self.paths.names(edge, line.subscription);
        let subscription = names.subscription;
        let [name, _, _, region, unit, product, product_name, sku, sku_name, publisher] =
            &line.meter.product;
        let [unit_price, effective, currency, rate, rate_date] = &line.stated;
        let amount = number::money(&line.money, edge.decimals);
        let value = |column: &str| -> String {
            let text = match column {
                "PartnerId" => &names.partner.tenant_id,
                "MpnId" => names.partner.mpn(),
                "ResellerMPNID" => names.reseller_mpn.unwrap_or_else(|| {
                    let said = self.resellers.get(line.subscription);
                    said.map_or_else(|| row.cell(RESELLER), String::as_str)
                }),
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
                "ChargeType" => line.charge_type,
                "UnitPrice" => unit_price,
                "EffectiveUnitPrice" => effective,
                "PricingCurrency" => currency,
                "PCToBCExchangeRate" => rate,
                "PCToBCExchangeRateDate" => rate_date,
                "PriceAdjustmentDescription" => &line.adjustment,
                "Quantity" => "1",
                "Subtotal" => &amount,
                "Currency" => &edge.certified.currency,
                "SubscriptionId" => line.subscription,
                "SubscriptionDescription" => &subscription.name,
                "UnitType" => unit,
                "BillingFrequency" => "Monthly",
                _ => "",
            };
            text.to_owned()
        };
        let midnight = |day: Date| format!("{day}T00:00:00Z");
        COLUMNS
            .iter()
            .map(|column| match *column {
                "TaxTotal" => number::money(tax, edge.decimals),
                "Total" => number::money(&(&line.money + tax), edge.decimals),
                "BillableQuantity" => number::trimmed(&line.quantity),
                "ChargeStartDate" => midnight(subscription.charged.0),
                "ChargeEndDate" => midnight(subscription.charged.1),
                "MeterDescription" => {
                    let parts = [product_name, name, region].into_iter();
                    let parts: Vec<&str> =
                        parts.map(String::as_str).filter(|part| !part.is_empty()).collect();
                    format!("{} ({unit})", parts.join(" - "))
                }
                "ReferenceID" => self.reference(line),
                "AlternateId" if line.changes => derived_id("InvoiceLineId", &self.name(line)),
                column => value(column),
            })
            .collect()
    }

    /// The id of a line: that of its group, and in adjustments one of its own.
    fn reference(&self, line: &Expected<'_>) -> String {
        let name = self.name(line);
        derived_id(
            "InvoiceLineId",
            &match self.edge.revision.revision {
                0 => name,
                revision => format!("{name}/{revision}/{}", line.charge_type),
            },
        )
    }

    fn name(&self, line: &Expected<'_>) -> String {
        let parties = &self.edge.invoice.invoice;
        format!(
            "{}/{}/{}/{}/{}/{}",
            parties.seller.tenant_id,
            parties.buyer.tenant_id,
            self.folder.certificate.period,
            line.subscription,
            line.meter.meter,
            line.tier
        )
    }
}
