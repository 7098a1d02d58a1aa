//! Every planted mistake is found and named with its cause, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::{BigDecimal, Zero};
use desk::{Cause, Comparison, reconcile};

use crate::provider::{Line, Random, Use, daily, decimal, lines, month, reconciliation, write};

fn compare(used: &[Use], lines: &[Line]) -> Comparison {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        write(folder.path(), "daily.csv", daily(used)),
        write(folder.path(), "reconciliation.csv", reconciliation(lines)),
    ];
    let mut compared = reconcile(&files).unwrap();
    let compared = compared.remove(0);
    adds_up(&compared);
    compared
}

/// The parts of all differences are what the files differ by.
fn adds_up(compared: &Comparison) {
    let currencies: BTreeSet<&String> =
        compared.files.iter().flat_map(|file| file.sums.keys()).collect();
    for currency in currencies {
        let sum = |at: usize| {
            compared.files[at].sums.get(currency).cloned().unwrap_or_else(BigDecimal::zero)
        };
        let parts: BigDecimal =
            compared.causes.get(currency).into_iter().flat_map(BTreeMap::values).sum();
        assert_eq!(parts, sum(1) - sum(0), "{currency}");
    }
    for difference in &compared.differences {
        let parts: BigDecimal = difference.parts.iter().map(|part| &part.amount).sum();
        assert_eq!(parts, difference.difference);
    }
}

/// The causes but rounding, by subscription and item.
fn causes(compared: &Comparison) -> BTreeMap<String, BTreeSet<Cause>> {
    let mut found: BTreeMap<String, BTreeSet<Cause>> = BTreeMap::new();
    for difference in &compared.differences {
        for part in difference.parts.iter().filter(|part| part.cause != Cause::Rounding) {
            let key = format!("{} {}", difference.subscription, difference.item);
            found.entry(key).or_default().insert(part.cause);
        }
    }
    found
}

#[test]
fn the_providers_own_files_differ_by_rounding_alone() {
    let used = month(1, 12, 6);
    let compared = compare(&used, &lines(&used));
    assert!(compared.agrees(), "{:#?}", causes(&compared));
    assert_eq!(compared.told_apart_by, "ProductId, SkuId and AvailabilityId");
    assert!(compared.differences.len() > 60, "down to cents nearly every line differs");
}

/// A mistake of each kind in its own subscription; forty subscriptions have none.
// req: H1 H5
#[test]
fn each_planted_mistake_is_named_and_nothing_else() {
    for seed in 1..=5 {
        let mut used = month(seed, 50, 3);
        let mut random = Random(seed ^ 0x5eed);
        let product = random.below(3);
        let place = |subscription: u32| {
            move |u: &Use| (u.subscription, u.product) == (subscription, product)
        };
        let mut truth = used.clone();
        // 0: usage of November is in the daily file already.
        let mut late = used.iter().find(|u| place(0)(u)).unwrap().clone();
        late.day = 33;
        used.push(late);
        // 1: usage of the month that the invoice does not have yet.
        let missing = truth.iter().position(place(1)).unwrap();
        truth.remove(missing);
        // 2: invoiced at the rate of another day.
        for u in truth.iter_mut().filter(|u| place(2)(u)) {
            (u.rate, u.rate_day) = (decimal("0.851111111"), 29);
        }
        // 3: a credit that the daily file does not have yet, or any more.
        for u in truth.iter_mut().filter(|u| place(3)(u)) {
            u.credited = !u.credited;
        }
        // 4: a subscription that the invoice does not know.
        truth.retain(|u| u.subscription != 4);
        // 5: rows that stand twice in the daily file.
        let twice: Vec<Use> = used.iter().filter(|u| place(5)(u)).take(2).cloned().collect();
        used.extend(twice);
        // 6: another price.
        for u in truth.iter_mut().filter(|u| place(6)(u)) {
            u.price = &u.price * decimal("1.1");
        }
        let mut billed = lines(&truth);
        let line =
            |subscription: u32| billed.iter().find(|l| l.subscription == subscription).unwrap();
        // 7: seats and a credit of the provider, which no daily file has.
        let mut seats = line(7).clone();
        (seats.product, seats.charge_type, seats.subtotal) =
            (900, "addQuantity", decimal("120.00"));
        let mut credit = line(7).clone();
        (credit.product, credit.charge_type) = (901, "customerCredit");
        (credit.credit_reason, credit.subtotal) = ("Azure Credit Offer", decimal("-35.50"));
        // 8: a line that says something else for no reason.
        billed.extend([seats, credit]);
        let wrong =
            billed.iter_mut().find(|l| (l.subscription, l.product) == (8, product)).unwrap();
        wrong.subtotal = &wrong.subtotal + decimal("5.00");

        let compared = compare(&used, &billed);
        let of = |s: u32, p: u32| format!("sub-{s} product {p}").replace("product", "Product");
        let daily_name = |s: u32, p: u32| format!("{} (1 Hour)", of(s, p));
        let mut expected: BTreeMap<String, BTreeSet<Cause>> = BTreeMap::new();
        let mut plant = |s: u32, p: u32, cause| {
            expected.entry(daily_name(s, p)).or_default().insert(cause);
        };
        plant(0, product, Cause::Late);
        plant(1, product, Cause::Late);
        plant(2, product, Cause::ExchangeDate);
        plant(3, product, Cause::Credit);
        (0..3).for_each(|p| plant(4, p, Cause::MissingMapping));
        plant(5, product, Cause::Duplicate);
        plant(6, product, Cause::Price);
        plant(7, 900, Cause::OutsideFile);
        plant(7, 901, Cause::Credit);
        plant(8, product, Cause::Unexplained);
        assert_eq!(causes(&compared), expected, "seed {seed}");
    }
}

/// Several mistakes on one line are told apart: a late row, the rate of another day, and a row that
/// stands twice.
#[test]
fn mistakes_on_one_line_are_told_apart() {
    let used = month(9, 2, 1);
    let mut truth = used.clone();
    for u in &mut truth {
        (u.rate, u.rate_day) = (decimal("0.9"), 29);
    }
    let mut seen = used.clone();
    let mut late = used[0].clone();
    late.day = 34;
    let amount = late.pricing() * &late.rate;
    seen.push(late);
    let twice = used[3].clone();
    let doubled = twice.pricing() * &twice.rate;
    seen.push(twice);
    let compared = compare(&seen, &lines(&truth));
    let first = &compared.differences[0];
    let part =
        |cause| first.parts.iter().find(|part| part.cause == cause).map(|p| p.amount.clone());
    assert_eq!(part(Cause::Late), Some(-amount));
    assert_eq!(part(Cause::Duplicate), Some(-doubled));
    assert!(part(Cause::ExchangeDate).unwrap() > BigDecimal::zero());
    assert_eq!(part(Cause::Unexplained), None);
    // The other subscription has the other rate alone.
    assert_eq!(compared.differences[1].parts.len(), 2);
}

#[test]
fn an_invoice_is_compared_with_its_lines() {
    let folder = tempfile::tempdir().unwrap();
    let used = month(3, 3, 2);
    let billed = lines(&used);
    let net: BigDecimal = billed.iter().map(|line| &line.subtotal).sum();
    let file = write(folder.path(), "reconciliation.csv", reconciliation(&billed));
    let json = |charges: &BigDecimal| {
        format!(
            "{{\"id\": \"G1\", \"totalCharges\": {charges}, \"currencyCode\": \"EUR\", \
             \"paidAmount\": 0.0}}"
        )
    };
    let right = write(folder.path(), "invoice.json", json(&net));
    assert!(reconcile(&[file.clone(), right]).unwrap()[0].differences.is_empty());
    let more = write(folder.path(), "other.json", json(&(&net - decimal("12.34"))));
    let compared = reconcile(&[file.clone(), more.clone()]).unwrap().remove(0);
    assert_eq!(compared.differences[0].parts[0].cause, Cause::OutsideFile);
    assert_eq!(compared.differences[0].difference, decimal("-12.34"));
    assert!(reconcile(&[more, file]).unwrap_err().reason.contains("behind the file"));
}
