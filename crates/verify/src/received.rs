//! Received invoices: what they say adds up, is in the buyer's books, and is sold on.

use std::collections::{HashMap, HashSet};

use bigdecimal::{BigDecimal, Zero};

use crate::daily_columns::{
    BENEFITS, BILLING, CHARGE_TYPE, METER, QUANTITY, SUBSCRIPTION, USAGE_DATE, columns,
};
use crate::fault::Faults;
use crate::folder::{Folder, ReceivedInvoice};
use crate::number;
use crate::reconciliation;
use crate::table::{Row, Table};

/// Subscription and meter, in lower case.
pub(crate) type Sold = HashSet<(String, String)>;

const INVOICE_NUMBER: usize = 5;
const CHARGE: usize = 15;
const SUBTOTAL: usize = 18;
const TAX: usize = 19;
const TOTAL: usize = 20;
const CURRENCY: usize = 21;
const LINE_SUBSCRIPTION: usize = 26;
const LINE_QUANTITY: usize = 33;
/// Where the daily file has its currency.
const DAILY_CURRENCY: usize = 37;
/// Where the daily file names the invoice.
const DAILY_NUMBER: usize = 8;

/// Checks every received invoice of the certificate. `sold` says what selling edges have billed;
/// none where not all of them are here.
pub(crate) fn check(folder: &Folder, sold: Option<&Sold>, faults: &mut Faults) {
    let mut before = None;
    for invoice in &folder.certificate.received {
        let place = Some((&invoice.seller, &invoice.buyer, &invoice.invoice));
        if before >= place {
            fault(folder, invoice, faults, "does not follow the one before".to_owned());
        }
        before = place;
        let mut check = Check {
            folder,
            invoice,
            decimals: invoice.net.split_once('.').map_or(0, |(_, fraction)| fraction.len()),
            lines: HashMap::new(),
        };
        check.lines(faults);
        check.daily(sold, faults);
    }
}

fn fault(folder: &Folder, invoice: &ReceivedInvoice, faults: &mut Faults, reason: String) {
    let needle = format!("\"invoice_id\": \"{}\"", invoice.invoice_id);
    folder.certificate_fault(faults, &needle, format!("{}: {reason}", invoice.invoice));
}

/// What rows of usage come to, and how many units they have: in all, and of what costs nothing.
#[derive(Default, Clone)]
struct Counted {
    rows: u64,
    amount: BigDecimal,
    units: BigDecimal,
    free: BigDecimal,
}

impl Counted {
    fn add(&mut self, amount: &BigDecimal, units: &BigDecimal) {
        self.rows += 1;
        self.amount += amount;
        self.units += units;
        if amount.is_zero() {
            self.free += units;
        }
    }
}

struct Check<'f> {
    folder: &'f Folder,
    invoice: &'f ReceivedInvoice,
    decimals: usize,
    /// By subscription: the lines of usage.
    lines: HashMap<String, Counted>,
}

impl Check<'_> {
    /// Every row of a table; the visitor says what is wrong with it.
    fn rows(
        &self,
        name: &str,
        names: &[&str],
        faults: &mut Faults,
        mut visit: impl FnMut(&Row) -> Result<(), String>,
    ) -> Option<String> {
        let path = self.folder.table(&self.folder.received_place(self.invoice), name)?;
        let read = (|| {
            let table = Table::open(&self.folder.root.join(&path), names);
            let mut table = table.map_err(|reason| (1, reason))?;
            let mut row = Row::default();
            while table.next(&mut row)? {
                if let Err(reason) = visit(&row) {
                    faults.add(&path, Some(row.line), reason);
                }
            }
            Ok::<_, (u64, String)>(())
        })();
        if let Err((line, reason)) = read {
            faults.add(&path, Some(line), reason);
        }
        Some(path)
    }

    fn lines(&mut self, faults: &mut Faults) {
        let invoice = self.invoice;
        let (mut net, mut tax, mut rows) = (BigDecimal::zero(), BigDecimal::zero(), 0u64);
        let mut usage: HashMap<String, Counted> = HashMap::new();
        let decimals = self.decimals;
        let amount = |row: &Row, at: usize, name: &str| {
            let text = row.cell(at);
            number::parse_money(text, decimals)
                .ok_or_else(|| format!("{name} is {text:?}: not an amount"))
        };
        self.rows("reconciliation", reconciliation::COLUMNS, faults, |row| {
            rows += 1;
            let subtotal = amount(row, SUBTOTAL, "Subtotal")?;
            let of_row = amount(row, TAX, "TaxTotal")?;
            net += &subtotal;
            tax += &of_row;
            if is_usage(row.cell(CHARGE)) {
                let units = number::parse_trimmed(row.cell(LINE_QUANTITY)).unwrap_or_default();
                let counted = usage.entry(row.cell(LINE_SUBSCRIPTION).to_lowercase());
                counted.or_default().add(&subtotal, &units);
            }
            if amount(row, TOTAL, "Total")? != subtotal + of_row {
                return Err("Total is not Subtotal with TaxTotal".to_owned());
            }
            names(row, (INVOICE_NUMBER, CURRENCY), invoice)
        });
        self.lines = usage;
        let gross = &net + &tax;
        for (what, stated, found) in [
            ("net", &invoice.net, net),
            ("tax", &invoice.tax, tax),
            ("gross", &invoice.gross, gross),
        ] {
            let found = number::money(&found, decimals);
            if *stated != found {
                let reason = format!("{what} is {stated}; its lines come to {found}");
                fault(self.folder, invoice, faults, reason);
            }
        }
        if rows != invoice.lines {
            let reason = format!("lines is {}; there are {rows}", invoice.lines);
            fault(self.folder, invoice, faults, reason);
        }
    }

    /// Rows by day come to the lines of their subscription, but for the rounding of each, and what
    /// was used is on a selling edge.
    fn daily(&self, sold: Option<&Sold>, faults: &mut Faults) {
        let invoice = self.invoice;
        let (mut billed, mut rows) = (BigDecimal::zero(), 0u64);
        let month = format!("{}-", self.folder.certificate.period);
        let mut sums: HashMap<String, Counted> = HashMap::new();
        let mut unsold: HashMap<(String, String), u64> = HashMap::new();
        let parsed = |row: &Row, at: usize, name: &str| {
            let text = row.cell(at);
            number::parse_trimmed(text).ok_or_else(|| format!("{name} is {text:?}: not a number"))
        };
        let path = self.rows("daily-rated-usage", &columns(), faults, |row| {
            rows += 1;
            let amount = parsed(row, BILLING, "BillingPreTaxTotal")?;
            billed += &amount;
            let subscription = row.cell(SUBSCRIPTION).to_lowercase();
            let is_free = amount.is_zero();
            let quantity = parsed(row, QUANTITY, "Quantity")?;
            let covered = is_free && BENEFITS.iter().any(|at| !row.cell(*at).is_empty());
            if is_usage(row.cell(CHARGE_TYPE)) && !covered {
                sums.entry(subscription.clone()).or_default().add(&amount, &quantity);
            }
            let key = (subscription, row.cell(METER).to_lowercase());
            let is_of_month = row.cell(USAGE_DATE).starts_with(&month);
            if is_usage(row.cell(CHARGE_TYPE))
                && !covered
                && is_of_month
                && !quantity.is_zero()
                && sold.is_some_and(|s| !s.contains(&key))
            {
                unsold.entry(key).or_insert(row.line);
            }
            if !row.cell(DAILY_CURRENCY).eq_ignore_ascii_case(&invoice.currency) {
                let found = row.cell(DAILY_CURRENCY);
                return Err(format!("BillingCurrency is {found}, not {}", invoice.currency));
            }
            let number = row.cell(DAILY_NUMBER);
            if !number.is_empty() && number != invoice.invoice {
                return Err(format!("InvoiceNumber is {number}, not {}", invoice.invoice));
            }
            Ok(())
        });
        let Some(path) = path else { return };
        let stated = [
            ("daily_rows", invoice.daily_rows.to_string(), rows.to_string()),
            ("daily_billed", invoice.daily_billed.clone(), number::trimmed(&billed)),
        ];
        for (what, stated, found) in stated.into_iter().filter(|(_, a, b)| a != b) {
            let reason = format!("{what} is {stated}; its rows by day come to {found}");
            fault(self.folder, invoice, faults, reason);
        }
        let mut unsold: Vec<_> = unsold.into_iter().collect();
        unsold.sort();
        for ((subscription, meter), line) in unsold {
            let reason = format!(
                "meter {meter} of subscription {subscription} was bought and is on no selling edge"
            );
            faults.add(&path, Some(line), reason);
        }
        // Somebody has said why the files differ.
        if invoice.differences.is_none() {
            self.compare(&path, &sums, faults);
        }
    }

    fn compare(&self, path: &str, sums: &HashMap<String, Counted>, faults: &mut Faults) {
        // Each line is rounded before the exchange and after it, and has six decimals of units.
        let unit = BigDecimal::new(2.into(), self.decimals as i64);
        let noise = BigDecimal::new(1.into(), 6);
        let all: HashSet<&String> = sums.keys().chain(self.lines.keys()).collect();
        let mut all: Vec<&String> = all.into_iter().collect();
        all.sort();
        for subscription in all {
            let daily = sums.get(subscription).cloned().unwrap_or_default();
            let lines = self.lines.get(subscription).cloned().unwrap_or_default();
            let count = BigDecimal::from(lines.rows);
            if (&daily.amount - &lines.amount).abs() > &unit * &count {
                let reason = format!(
                    "the rows of subscription {subscription} come to {}, its {count} lines to {}",
                    number::trimmed(&daily.amount),
                    number::trimmed(&lines.amount)
                );
                faults.add(path, None, reason);
            }
            // What costs nothing may be counted in one file and not in the other.
            let same = |a: &BigDecimal, b: &BigDecimal| (a - b).abs() <= &noise * &count;
            let units = |of: &Counted| [of.units.clone(), &of.units - &of.free];
            let (a, b) = (units(&daily), units(&lines));
            if !a.iter().any(|a| b.iter().any(|b| same(a, b))) {
                let reason = format!(
                    "the rows of subscription {subscription} have {} units, its lines {}",
                    number::trimmed(&daily.units),
                    number::trimmed(&lines.units)
                );
                faults.add(path, None, reason);
            }
        }
    }
}

/// Whether a charge is usage, by the words that providers have for it.
fn is_usage(charge: &str) -> bool {
    let usage = [
        "",
        "new",
        "usage",
        "adjustment",
        "reversal",
        "roundingadjustment",
        "assess usage fee for current cycle",
        "assess usage fee when cancel",
    ];
    usage.contains(&charge.to_lowercase().as_str())
}

/// Whether a line is of the invoice.
fn names(
    row: &Row,
    (number_at, currency_at): (usize, usize),
    invoice: &ReceivedInvoice,
) -> Result<(), String> {
    let number = row.cell(number_at);
    if !number.is_empty() && number != invoice.invoice {
        return Err(format!("InvoiceNumber is {number}, not {}", invoice.invoice));
    }
    let currency = row.cell(currency_at);
    if currency.eq_ignore_ascii_case(&invoice.currency) {
        return Ok(());
    }
    Err(format!("Currency is {currency}, not {}", invoice.currency))
}
