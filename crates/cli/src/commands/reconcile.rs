//! `skyhandel reconcile`

use std::process::ExitCode;

use desk::{Comparison, Difference, Part, Read, reconcile};
use kernel::{Error, Result};
use serde::Serialize;

use crate::args::ReconcileArgs;
use crate::output::{Output, table};

/// How many differences are shown; `--json` has them all.
const SHOWN_MAX: usize = 40;

#[derive(Serialize)]
struct ComparisonJson {
    agrees: bool,
    told_apart_by: String,
    files: Vec<ReadJson>,
    causes: Vec<CauseJson>,
    differences: Vec<DifferenceJson>,
    taxes: Vec<TaxJson>,
}

#[derive(Serialize)]
struct TaxJson {
    currency: String,
    amounts: Vec<String>,
}

#[derive(Serialize)]
struct ReadJson {
    file: String,
    what: String,
    rows: u64,
    sums: Vec<SumJson>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct SumJson {
    currency: String,
    amount: String,
}

#[derive(Serialize)]
struct CauseJson {
    currency: String,
    cause: String,
    amount: String,
}

#[derive(Serialize)]
struct DifferenceJson {
    currency: String,
    subscription: String,
    customer: String,
    item: String,
    amounts: Vec<Option<String>>,
    lines: Vec<Option<u64>>,
    difference: String,
    causes: Vec<PartJson>,
}

#[derive(Serialize)]
struct PartJson {
    cause: String,
    amount: String,
    reason: String,
}

pub fn run(args: &ReconcileArgs, output: Output) -> Result<ExitCode> {
    let compared = reconcile(&args.files).map_err(|refused| {
        let desk::Refused { file, line, reason } = refused;
        let mut faults = kernel::Faults::default();
        let fault = kernel::Fault { file: file.clone(), line, field: None, value: None, reason };
        faults.push(fault);
        Error::Refused { subject: file, faults: Box::new(faults) }
    })?;
    let json: Vec<ComparisonJson> = compared.iter().map(comparison).collect();
    output.print(&json, || compared.iter().map(describe).collect::<Vec<_>>().join("\n\n"));
    let agree = compared.iter().all(Comparison::agrees);
    Ok(if agree { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plain(amount: &desk::BigDecimal) -> String {
    amount.normalized().to_plain_string()
}

fn comparison(compared: &Comparison) -> ComparisonJson {
    let causes = compared.causes.iter().flat_map(|(currency, causes)| {
        causes.iter().map(|(cause, amount)| CauseJson {
            currency: currency.clone(),
            cause: cause.to_string(),
            amount: plain(amount),
        })
    });
    ComparisonJson {
        agrees: compared.agrees(),
        told_apart_by: compared.told_apart_by.clone(),
        files: compared.files.iter().map(read).collect(),
        causes: causes.collect(),
        differences: compared.differences.iter().map(difference).collect(),
        taxes: compared
            .taxes
            .iter()
            .map(|(currency, taxes)| TaxJson {
                currency: currency.clone(),
                amounts: taxes.iter().map(plain).collect(),
            })
            .collect(),
    }
}

fn read(read: &Read) -> ReadJson {
    let sums = read.sums.iter();
    let sums = sums.map(|(c, amount)| SumJson { currency: c.clone(), amount: plain(amount) });
    ReadJson {
        file: read.file.clone(),
        what: read.what.clone(),
        rows: read.rows,
        sums: sums.collect(),
        notes: read.notes.clone(),
    }
}

fn difference(difference: &Difference) -> DifferenceJson {
    let part = |part: &Part| PartJson {
        cause: part.cause.to_string(),
        amount: plain(&part.amount),
        reason: part.reason.clone(),
    };
    DifferenceJson {
        currency: difference.currency.clone(),
        subscription: difference.subscription.clone(),
        customer: difference.customer.clone(),
        item: difference.item.clone(),
        amounts: difference.amounts.iter().map(|a| a.as_ref().map(plain)).collect(),
        lines: difference.lines.to_vec(),
        difference: plain(&difference.difference),
        causes: difference.parts.iter().map(part).collect(),
    }
}

fn describe(compared: &Comparison) -> String {
    let files: Vec<Vec<String>> = compared
        .files
        .iter()
        .flat_map(|read| {
            read.sums.iter().map(|(currency, sum)| {
                let rows = read.rows.to_string();
                vec![
                    read.file.clone(),
                    read.what.clone(),
                    rows,
                    format!("{} {currency}", plain(sum)),
                ]
            })
        })
        .collect();
    let mut text = vec![table(&["file", "what", "rows", "comes to"], &[2, 3], &files)];
    text.extend(
        compared
            .files
            .iter()
            .flat_map(|read| read.notes.iter().map(move |note| format!("{}: {note}", read.file))),
    );
    text.extend(compared.taxes.iter().map(|(currency, [a, b])| {
        format!("The taxes differ: {} {currency} and {} {currency}.", plain(a), plain(b))
    }));
    if compared.differences.is_empty() && compared.taxes.is_empty() {
        text.push("They agree to the last digit.".to_owned());
        return text.join("\n");
    }
    let causes = compared.causes.iter().flat_map(|(currency, causes)| {
        let rows = causes.iter();
        rows.map(move |(cause, amount)| {
            vec![cause.to_string(), format!("{} {currency}", plain(amount))]
        })
    });
    text.push(String::new());
    text.push(table(&["cause", "second file says more by"], &[1], &causes.collect::<Vec<_>>()));
    let mut worth: Vec<&Difference> = compared.differences.iter().collect();
    worth.retain(|d| d.parts.iter().any(|part| part.cause != desk::Cause::Rounding));
    worth.sort_by_key(|difference| std::cmp::Reverse(difference.difference.abs()));
    if worth.is_empty() {
        let but = if compared.taxes.is_empty() { "rounding" } else { "rounding and taxes" };
        text.push(format!("\nNothing but {but} differs."));
        return text.join("\n");
    }
    let rows = worth.iter().take(SHOWN_MAX).flat_map(|difference| rows_of(difference));
    text.push(String::new());
    text.push(table(
        &["subscription", "what", "first file", "second file", "cause", "amount", "why"],
        &[2, 3, 5],
        &rows.collect::<Vec<_>>(),
    ));
    if worth.len() > SHOWN_MAX {
        text.push(format!("and {} more: see --json", worth.len() - SHOWN_MAX));
    }
    text.join("\n")
}

/// A row for each part of a difference.
fn rows_of(difference: &Difference) -> Vec<Vec<String>> {
    let amount = |at: usize| {
        let of = difference.amounts[at].as_ref();
        of.map_or_else(
            || "-".to_owned(),
            |amount| format!("{} {}", plain(amount), difference.currency),
        )
    };
    let rows = difference.parts.iter().enumerate().map(|(at, part)| {
        let named =
            [difference.subscription.clone(), difference.item.clone(), amount(0), amount(1)];
        let named = if at == 0 { named } else { Default::default() };
        let mut row: Vec<String> = named.into();
        row.extend([part.cause.to_string(), plain(&part.amount), part.reason.clone()]);
        row
    });
    rows.collect()
}
