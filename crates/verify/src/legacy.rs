//! The lines of legacy offers again, in the columns of Partner Center's file for them: each follows
//! from the line of the reconciliation file.

use bigdecimal::{BigDecimal, Zero};

use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::number;
use crate::reconciliation::Expected;
use crate::table::{Row, Table};

const COLUMNS: &[&str] = &[
    "PartnerId",
    "PartnerName",
    "PartnerBillableAccountId",
    "CustomerCompanyName",
    "MpnId",
    "ResellerMPNID",
    "InvoiceNumber",
    "ChargeStartDate",
    "ChargeEndDate",
    "SubscriptionId",
    "SubscriptionName",
    "SubscriptionDescription",
    "OrderID",
    "ServiceName",
    "ServiceType",
    "ResourceGuid",
    "ResourceName",
    "Region",
    "Sku",
    "DetailLineItemId",
    "ConsumedQuantity",
    "IncludedQuantity",
    "OverageQuantity",
    "ListPrice",
    "PretaxCharges",
    "TaxAmount",
    "PostTaxTotal",
    "Currency",
    "PretaxEffectiveRate",
    "PostTaxEffectiveRate",
    "ChargeType",
    "CustomerId",
    "DomainName",
    "BillingCycleType",
    "Unit",
];

/// Decimals of effective rates, further ones cut off.
const RATE_DECIMALS: u8 = 8;
/// Decimals of a price in the billed currency, half even.
const PRICE_DECIMALS: u8 = 16;

/// The file of an edge while its lines are compared.
pub(crate) struct LegacyFile<'a> {
    edge: &'a Edge<'a>,
    /// Where it lies, and what is left of it.
    open: Option<(String, Table)>,
    rows: u64,
}

/// What the line says that the reconciliation file has found right.
pub(crate) struct Said<'a> {
    pub partner: [&'a str; 3],
    pub reseller_mpn: &'a str,
    pub dates: [&'a str; 2],
    pub tax: &'a BigDecimal,
}

impl<'a> LegacyFile<'a> {
    /// Opens the file, if the certificate says that there is one.
    pub fn open(edge: &'a Edge<'a>, folder: &Folder, faults: &mut Faults) -> Self {
        let mut file = Self { edge, open: None, rows: 0 };
        let path = edge.certified.legacy_lines.and(folder.table(&edge.place, "legacy-usage"));
        let Some(path) = path else { return file };
        match Table::open(&folder.root.join(&path), COLUMNS) {
            Ok(table) => file.open = Some((path, table)),
            Err(reason) => faults.add(&path, Some(1), reason),
        }
        file
    }

    /// Compares the next row with the next line of a legacy offer.
    pub fn line(&mut self, line: &Expected<'_>, said: &Said<'_>, faults: &mut Faults) {
        self.rows += 1;
        let expected = self.expected(line, said);
        let Some((path, table)) = &mut self.open else { return };
        let mut row = Row::default();
        match table.next(&mut row) {
            Ok(true) => {
                for (at, (column, expected)) in COLUMNS.iter().zip(&expected).enumerate() {
                    if row.cell(at) != expected {
                        faults.same((path, Some(row.line)), column, row.cell(at), expected);
                    }
                }
            }
            Ok(false) => {
                let (id, meter) = (line.subscription, &line.meter.meter);
                let reason =
                    format!("has no row for subscription {id}, meter {meter}, tier {}", line.tier);
                faults.add(path, None, reason);
            }
            Err((line, reason)) => {
                faults.add(path, Some(line), reason);
                self.open = None;
            }
        }
    }

    /// Every line has been compared.
    pub fn end(mut self, folder: &Folder, faults: &mut Faults) {
        if let Some((path, table)) = &mut self.open {
            let mut row = Row::default();
            match table.next(&mut row) {
                Ok(false) => {}
                Ok(true) => faults.add(path, Some(row.line), "is of no line of a legacy offer"),
                Err((line, reason)) => faults.add(path, Some(line), reason),
            }
        }
        let certified = self.edge.certified;
        let found = (self.rows > 0).then_some(self.rows);
        if certified.legacy_lines != found {
            let needle = format!("\"invoice\": \"{}\"", certified.invoice);
            let (said, found) = (certified.legacy_lines.unwrap_or(0), self.rows);
            let reason = format!(
                "legacy_lines of {} is {said}; {found} lines are of legacy offers",
                certified.invoice
            );
            folder.certificate_fault(faults, &needle, reason);
        }
    }

    fn expected(&self, line: &Expected<'_>, said: &Said<'_>) -> Vec<String> {
        let edge = self.edge;
        let subscription = &edge.subscriptions.by_id[line.subscription];
        let [meter_name, category, subcategory, region, unit, _, _, sku, ..] = &line.meter.product;
        let [_, effective, _, rate, _] = &line.stated;
        let parsed = |text: &str| number::parse(text).unwrap_or_default();
        let price = number::half_even(&(parsed(effective) * parsed(rate)), PRICE_DECIMALS);
        let has_tiers = line.meter.prices.iter().any(|price| price.tier > 0);
        let is_included = line.tier == 0 && parsed(effective).is_zero() && has_tiers;
        let none = BigDecimal::zero();
        let (included, overage) =
            if is_included { (&line.quantity, &none) } else { (&none, &line.quantity) };
        let total = &line.money + said.tax;
        let per_unit = |amount: &BigDecimal| {
            let rate = number::quotient_down(amount, overage, RATE_DECIMALS).unwrap_or_default();
            number::trimmed(&rate)
        };
        let money = |amount: &BigDecimal| number::money(amount, edge.decimals);
        let is_offset = line.charge_type == "reversal" || line.quantity < none;
        let reseller = if said.reseller_mpn.is_empty() { "-1" } else { said.reseller_mpn };
        let value = |column: &str| -> String {
            let text = match column {
                "PartnerId" => said.partner[0],
                "PartnerName" => said.partner[1],
                "MpnId" => said.partner[2],
                "ResellerMPNID" => reseller,
                "CustomerCompanyName" => &subscription.customer[1],
                "CustomerId" => &subscription.customer[0],
                "DomainName" => &subscription.customer[2],
                "InvoiceNumber" => &edge.certified.invoice,
                "ChargeStartDate" => said.dates[0],
                "ChargeEndDate" => said.dates[1],
                "SubscriptionId" => line.subscription,
                "SubscriptionName" | "SubscriptionDescription" => &subscription.name,
                "ServiceName" => category,
                "ServiceType" => subcategory,
                "ResourceGuid" => &line.meter.meter,
                "ResourceName" => meter_name,
                "Region" => region,
                "Sku" => sku,
                "Currency" => &edge.certified.currency,
                "ChargeType" if is_offset => "Offset a line item",
                "ChargeType" => "Assess usage fee for current cycle",
                "BillingCycleType" => "Monthly",
                "Unit" => unit,
                _ => "",
            };
            text.to_owned()
        };
        let cells = COLUMNS.iter().map(|column| match *column {
            "DetailLineItemId" => (line.tier + 1).to_string(),
            "ConsumedQuantity" => number::trimmed(&line.quantity),
            "IncludedQuantity" => number::trimmed(included),
            "OverageQuantity" => number::trimmed(overage),
            "ListPrice" => number::trimmed(&price),
            "PretaxCharges" => money(&line.money),
            "TaxAmount" => money(said.tax),
            "PostTaxTotal" => money(&total),
            "PretaxEffectiveRate" => per_unit(&line.money),
            "PostTaxEffectiveRate" => per_unit(&total),
            column => value(column),
        });
        cells.collect()
    }
}
