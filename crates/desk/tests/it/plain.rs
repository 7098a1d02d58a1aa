//! Small files, each with one thing that a finance department would stumble over.

use desk::{Cause, Comparison, reconcile};

use crate::provider::{decimal, write};

const DAILY: &str = "SubscriptionId,ProductId,SkuId,AvailabilityId,UsageDate,ResourceURI,ChargeType,\
    UnitPrice,Quantity,BillingPreTaxTotal,BillingCurrency,PricingPreTaxTotal,EffectiveUnitPrice,\
    PCToBCExchangeRate,PartnerEarnedCreditPercentage";
const BILLED: &str = "SubscriptionId,ProductId,SkuId,AvailabilityId,ChargeType,UnitPrice,Subtotal,\
    Currency,EffectiveUnitPrice,BillableQuantity,PCToBCExchangeRate,PriceAdjustmentDescription,\
    ChargeStartDate,ChargeEndDate,CreditReasonCode";

fn compare(daily: &str, billed: &str) -> Comparison {
    let folder = tempfile::tempdir().unwrap();
    let files = [write(folder.path(), "a.csv", daily), write(folder.path(), "b.csv", billed)];
    reconcile(&files).unwrap().remove(0)
}

fn used(rows: &[&str]) -> String {
    let rows =
        rows.iter().enumerate().map(|(at, row)| format!("s,p,1,a,2026-10-01,r{at},new,{row}\n"));
    std::iter::once(format!("{DAILY}\n")).chain(rows).collect()
}

fn billed(rows: &[&str]) -> String {
    let rows = rows.iter().map(|row| format!("s,p,1,a,{row}\n"));
    std::iter::once(format!("{BILLED}\n")).chain(rows).collect()
}

/// Causes and amounts of all parts.
fn parts(compared: &Comparison) -> Vec<String> {
    let parts = compared.differences.iter().flat_map(|difference| &difference.parts);
    parts.map(|p| format!("{} {}", p.cause, p.amount.normalized().to_plain_string())).collect()
}

const PERIOD: &str = ",2026-10-01,2026-10-31,";

fn line(cells: &str) -> String {
    billed(&[&format!("{cells},{PERIOD}")])
}

/// Nothing is called rounding that the rows themselves say was not rounded.
#[test]
fn whole_amounts_are_not_rounded() {
    let rows = vec!["2,1,2,EUR,2,2,1,0"; 100];
    let compared = compare(&used(&rows), &line("new,2,299.00,EUR,2,100,1"));
    assert_eq!(parts(&compared), ["unexplained 99"]);
    let rows = vec!["2,1,2.00,EUR,2,2,1,0"; 1000];
    let compared = compare(&used(&rows), &line("new,2,2009.00,EUR,2,1000,1"));
    assert_eq!(parts(&compared), ["unexplained 9"]);
    assert!(!compared.agrees());
}

/// Rows that the provider rounded to cents cost what they cost.
#[test]
fn rows_that_are_rounded_are_rounded() {
    let exact = vec!["0.001,104,0.104,EUR,0.104,0.001,1,0"; 9];
    let cents = vec!["0.001,104,0.10,EUR,0.10,0.001,1,0"; 9];
    assert_eq!(parts(&compare(&used(&exact), &used(&cents))), ["rounding -0.036"]);
}

/// Quantities have six decimals in reconciliation files, and units that cost nothing may be left out.
#[test]
fn quantities_may_be_rounded_or_free() {
    let long = used(&["2,1.12345678,2.24691356,EUR,2.24691356,2,1,0"]);
    let compared = compare(&long, &line("new,2,2.24,EUR,1.993847419,1.123457,1"));
    assert!(compared.agrees(), "{:?}", parts(&compared));
    let free = used(&["2,1,2,EUR,2,2,1,0", "0,24,0,EUR,0,0,1,0"]);
    for quantity in ["1", "25"] {
        let effective = if quantity == "1" { "2" } else { "0.08" };
        let cells = format!("new,2,2.00,EUR,{effective},{quantity},1");
        let compared = compare(&free, &line(&cells));
        assert!(compared.differences.is_empty(), "{quantity}: {:?}", parts(&compared));
    }
}

/// What a file does not say is not taken for something else.
#[test]
fn what_is_not_said_is_not_compared() {
    let daily = used(&["2,10,17,EUR,20,2,0.85,0"]);
    let few = "SubscriptionId,ProductId,SkuId,AvailabilityId,Subtotal,Currency,EffectiveUnitPrice,\
               BillableQuantity\ns,p,1,a,16.99,EUR,2,10\n";
    assert_eq!(parts(&compare(&daily, few)), ["rounding -0.01"]);
    let fewer = "SubscriptionId,ProductId,SkuId,AvailabilityId,Subtotal,Currency,Quantity\n\
                 s,p,1,a,16.99,EUR,1\n";
    assert_eq!(parts(&compare(&daily, fewer)), ["rounding -0.01"]);
}

/// Charges that are not usage are things of their own, also on a product that is used.
#[test]
fn credits_and_refunds_stand_alone() {
    let daily = used(&["2,10,20,EUR,20,2,1,0"]);
    let usage = format!("new,2,20.00,EUR,2,10,1,{PERIOD}");
    let credit = "customerCredit,2,-20.00,EUR,-20,1,1,,2026-10-01,2026-10-31,Azure Credit Offer";
    assert_eq!(parts(&compare(&daily, &billed(&[&usage, credit]))), ["credit -20"]);
    let refund = format!("cancelImmediate,2,-5.00,EUR,-5,1,1,{PERIOD}");
    let compared = compare(&daily, &billed(&[&usage, &refund]));
    assert_eq!(parts(&compared), ["adjustment outside the file -5"]);
}

/// A price and a credit on one line, told apart by the list prices; a credit that only its type names.
#[test]
fn prices_and_credits_are_told_apart() {
    let daily = used(&["2.2,10,22,EUR,22,2.2,1,0"]);
    let earned = "\"[\"\"15.0% Partner earned credit for services managed\"\"]\"";
    let cells = format!("new,2,17.00,EUR,1.7,10,1,{earned},2026-10-01,2026-10-31,");
    assert_eq!(parts(&compare(&daily, &billed(&[&cells]))), ["price -2", "credit -3"]);
    let typed = used(&["2,10,17,EUR,17,1.7,1,Partner Earned Credit Applied"])
        .replace("PartnerEarnedCreditPercentage", "CreditType");
    assert_eq!(parts(&compare(&typed, &line("new,2,20.00,EUR,2,10,1"))), ["credit 3"]);
}

/// A row that names no product is compared by what it says, and the others as ever.
#[test]
fn one_row_without_ids_is_one_row() {
    let daily = used(&["2,10,20,EUR,20,2,1,0"]);
    let odd = format!("{},,,,customerCredit,,-3.00,EUR,-3,1,1,{PERIOD}", "s");
    let text = line("new,2,20.00,EUR,2,10,1") + &odd + "\n";
    assert_eq!(parts(&compare(&daily, &text)), ["credit -3"]);
}

/// Every line is on some invoice; tax is compared where it is stated.
#[test]
fn lines_of_other_invoices_and_taxes_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let header = "SubscriptionId,ProductId,SkuId,InvoiceNumber,Subtotal,TaxTotal,Currency,BillableQuantity\n";
    let lines =
        |tax: &str| format!("{header}s,p,1,G1,100.00,{tax},EUR,6\nt,p,1,G2,500.00,0,NOK,6\n");
    let file = write(folder.path(), "r.csv", lines("20.00"));
    let other = write(folder.path(), "r2.csv", lines("21.00"));
    let invoice = "{\"id\":\"G1\",\"totalCharges\":120.00,\"currencyCode\":\"EUR\"}";
    let invoice = write(folder.path(), "i.json", invoice);
    let compared = reconcile(&[file.clone(), invoice]).unwrap().remove(0);
    assert_eq!(parts(&compared), ["adjustment outside the file -500"]);
    assert_eq!(compared.files[0].sums["EUR"], decimal("120"));
    let taxes = reconcile(&[file, other]).unwrap().remove(0);
    assert!(taxes.differences.is_empty() && !taxes.agrees());
    assert_eq!(taxes.taxes["EUR"], [decimal("20"), decimal("21")]);
}

/// A row of totals is one of its currency; numbers for which a comma may mean thousands are refused.
#[test]
fn totals_and_thousands_are_read_right() {
    let folder = tempfile::tempdir().unwrap();
    let header = "SubscriptionId,ProductId,SkuId,Subtotal,Currency,BillableQuantity\n";
    let rows = "s,p,1,12.00,EUR,1\ns,p,1,100.00,NOK,1\n";
    let read = |name: &str, totals: &str| {
        let file = write(folder.path(), name, format!("{header}{rows}{totals}"));
        reconcile(&[file.clone(), file])
    };
    let both = read("a.csv", ",,,12.00,EUR,\n,,,100.00,NOK,\n").unwrap();
    assert!(both[0].differences.is_empty());
    assert!(read("b.csv", ",,,112.00,EUR,\n").unwrap_err().reason.contains("come to 12"));
    let yen = write(folder.path(), "c.csv", format!("{header}s,p,1,\"25,000\",JPY,1\n"));
    let refused = reconcile(&[yen.clone(), yen]).unwrap_err();
    assert!(refused.reason.contains("thousands"), "{refused}");
    assert_eq!(Cause::NAMES.len(), 9);
}

/// The legacy file of licences: seats at a price, each charge a thing of its own.
#[test]
fn legacy_licences_are_compared() {
    let header = "PartnerId,CustomerId,CustomerName,SubscriptionId,OfferId,DurableOfferId,OfferName,\
        ChargeStartDate,ChargeEndDate,ChargeType,UnitPrice,Quantity,Amount,TotalOtherDiscount,\
        Subtotal,Tax,TotalForCustomer,Currency";
    let file = |rows: &[&str]| -> String {
        let rows = rows.iter().map(|row| {
            format!("p,c,Test,s,o,d,Office 365 E3,2/1/2019 0:00,2/28/2019 23:59,{row},EUR\n")
        });
        std::iter::once(format!("{header}\n")).chain(rows).collect()
    };
    let cycle = "Cycle fee,6.82,2,13.64,2.32,11.32,2.83,14.15";
    let sent = file(&[cycle, "Cycle instance prorate,-1.72,1,-1.72,0,-1.72,-0.43,-2.15"]);
    assert!(compare(&sent, &sent).agrees());
    let other = file(&[cycle, "Cycle instance prorate,-1.71,1,-1.71,0,-1.71,-0.43,-2.14"]);
    let compared = compare(&sent, &other);
    assert_eq!(parts(&compared), ["rounding 0.01"]);
    let seats = file(&["Cycle fee,6.82,3,20.46,2.32,18.14,2.83,20.97"]);
    let compared = compare(&file(&[cycle]), &seats);
    assert_eq!(parts(&compared), ["unexplained 6.82"]);
    assert!(!compared.agrees());
}
