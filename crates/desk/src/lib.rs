//! The reconciliation desk: what billing files disagree about, and why.
//!
//! **Owns** reading daily rated usage and reconciliation files of any provider with the documented
//! columns, in whatever order and spelling, and taking their differences apart by cause so that the
//! parts add up to the whole.
//! **Does not own** any store or programme: it works offline, on any two files. Files of our own
//! rating are such files too.

mod columns;
mod compare;
mod invoice;
mod read;
mod side;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

pub use bigdecimal::BigDecimal;
use bigdecimal::Zero;

use compare::{Pair, common};
use invoice::InvoiceTotals;
use side::Side;

/// A file that cannot be read, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The file.
    pub file: String,
    /// The line, or the number of the object.
    pub line: Option<u64>,
    /// Why, and what to do.
    pub reason: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.reason),
            None => write!(f, "{}: {}", self.file, self.reason),
        }
    }
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Rated usage, a row a resource, meter and day.
    Daily,
    /// The lines of an invoice.
    Reconciliation,
}

/// Why two files differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Amounts are rounded in one file and not, or otherwise, in the other.
    Rounding,
    /// The exchange rate is another one, or of another day.
    ExchangeDate,
    /// Usage that one of the files does not have, or not yet.
    Late,
    /// A subscription, product or meter that one of the files does not know.
    MissingMapping,
    /// A credit that one of the files does not have.
    Credit,
    /// Something that is billed without standing in the file.
    OutsideFile,
    /// Rows that stand in a file twice.
    Duplicate,
    /// A unit costs something else.
    Price,
    /// Nothing in the files says why.
    Unexplained,
}

impl Cause {
    /// Every cause with its name.
    pub const NAMES: [(&'static str, Self); 9] = [
        ("rounding", Self::Rounding),
        ("exchange date", Self::ExchangeDate),
        ("late", Self::Late),
        ("missing mapping", Self::MissingMapping),
        ("credit", Self::Credit),
        ("adjustment outside the file", Self::OutsideFile),
        ("duplicate", Self::Duplicate),
        ("price", Self::Price),
        ("unexplained", Self::Unexplained),
    ];
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::NAMES.iter().find(|(_, cause)| cause == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// A part of a difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Why.
    pub cause: Cause,
    /// By how much the second file says more, in the billing currency.
    pub amount: BigDecimal,
    /// What exactly.
    pub reason: String,
}

/// Something that two files disagree about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The billing currency.
    pub currency: String,
    /// The subscription.
    pub subscription: String,
    /// The customer.
    pub customer: String,
    /// The product or meter.
    pub item: String,
    /// What each file says; none where it does not have the item.
    pub amounts: [Option<BigDecimal>; 2],
    /// The first row about it in each file.
    pub lines: [Option<u64>; 2],
    /// By how much the second file says more.
    pub difference: BigDecimal,
    /// Why; the parts add up to the difference.
    pub parts: Vec<Part>,
}

/// A file as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    /// Its path.
    pub file: String,
    /// What it is.
    pub what: String,
    /// How many rows it has.
    pub rows: u64,
    /// What it comes to in each currency.
    pub sums: BTreeMap<String, BigDecimal>,
    /// Remarks.
    pub notes: Vec<String>,
}

/// Two files side by side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The files.
    pub files: [Read; 2],
    /// By what their rows were told apart.
    pub told_apart_by: String,
    /// By currency and cause, what the differences add up to.
    pub causes: BTreeMap<String, BTreeMap<Cause, BigDecimal>>,
    /// Every difference.
    pub differences: Vec<Difference>,
}

impl Comparison {
    /// Whether nothing but rounding differs.
    pub fn agrees(&self) -> bool {
        let parts = self.differences.iter().flat_map(|difference| &difference.parts);
        parts.into_iter().all(|part| part.cause == Cause::Rounding)
    }

    fn new(files: [Read; 2], told_apart_by: &str, differences: Vec<Difference>) -> Self {
        let mut causes: BTreeMap<String, BTreeMap<Cause, BigDecimal>> = BTreeMap::new();
        for difference in &differences {
            let of_currency = causes.entry(difference.currency.clone()).or_default();
            for part in &difference.parts {
                *of_currency.entry(part.cause).or_insert_with(BigDecimal::zero) += &part.amount;
            }
        }
        Self { files, told_apart_by: told_apart_by.to_owned(), causes, differences }
    }
}

/// Something to compare: rows, or the totals of an invoice.
enum Source {
    Rows(PathBuf),
    Invoice(PathBuf, InvoiceTotals),
}

/// Compares files, each with the one after it: daily file, reconciliation file, invoice.
///
/// # Errors
/// Where a file cannot be read, with its line and the reason.
pub fn reconcile(files: &[PathBuf]) -> Result<Vec<Comparison>, Refused> {
    let sources = files.iter().map(|file| {
        Ok(match invoice::read(file)? {
            Some(totals) => Source::Invoice(file.clone(), totals),
            None => Source::Rows(file.clone()),
        })
    });
    let sources: Vec<Source> = sources.collect::<Result<_, _>>()?;
    sources.windows(2).map(|pair| compare(&pair[0], &pair[1])).collect()
}

fn compare(a: &Source, b: &Source) -> Result<Comparison, Refused> {
    match (a, b) {
        (Source::Rows(a), Source::Rows(b)) => rows(a, b),
        (Source::Rows(rows), Source::Invoice(path, totals)) => with_invoice(rows, path, totals),
        (Source::Invoice(path, _), _) => Err(Refused {
            file: path.display().to_string(),
            line: None,
            reason: "is an invoice; name it behind the file with its lines".to_owned(),
        }),
    }
}

fn rows(a: &Path, b: &Path) -> Result<Comparison, Refused> {
    let has = [side::identities(a)?, side::identities(b)?];
    let identity = common(&has[0], &has[1]).ok_or_else(|| Refused {
        file: b.display().to_string(),
        line: None,
        reason: format!(
            "has no column in common with {} that tells its rows apart: MeterId, ProductId and \
             SkuId, or MeterDescription in every row",
            a.display()
        ),
    })?;
    let (a, b) = (Side::load(a, identity)?, Side::load(b, identity)?);
    let differences = Pair::new(&a, &b).differences();
    Ok(Comparison::new([read(&a), read(&b)], identity.name(), differences))
}

/// The lines of an invoice against what it says that they come to.
fn with_invoice(
    path: &Path,
    invoice: &Path,
    totals: &InvoiceTotals,
) -> Result<Comparison, Refused> {
    let has = side::identities(path)?;
    let identity = has.first().copied().unwrap_or(side::Identity::Description);
    let side = Side::load(path, identity)?;
    let currency = totals.currency.to_uppercase();
    let lines = side.sum(&currency);
    // Tax is on the lines too, so that totals with tax are compared with totals with tax.
    let (stated, found) = match &totals.net {
        Some(net) => (net.clone(), lines),
        None => (totals.gross.clone(), &lines + side.tax(&currency)),
    };
    let amount = &stated - &found;
    let difference = Difference {
        currency: currency.clone(),
        subscription: String::new(),
        customer: String::new(),
        item: format!("invoice {}", totals.number),
        amounts: [Some(found), Some(stated.clone())],
        lines: [None, None],
        difference: amount.clone(),
        parts: vec![Part {
            cause: Cause::OutsideFile,
            amount: amount.clone(),
            reason: format!("the invoice comes to something else than the lines of {}", side.file),
        }],
    };
    let differences = if amount.is_zero() { Vec::new() } else { vec![difference] };
    let others: BTreeSet<&str> = side.currencies().into_iter().filter(|c| *c != currency).collect();
    let mut notes = Vec::new();
    if !others.is_empty() {
        let others: Vec<&str> = others.into_iter().collect();
        notes.push(format!("the lines in {} are not of this invoice", others.join(", ")));
    }
    let read_invoice = Read {
        file: invoice.display().to_string(),
        what: format!("invoice {}", totals.number),
        rows: 1,
        sums: BTreeMap::from([(currency, stated)]),
        notes,
    };
    Ok(Comparison::new([read(&side), read_invoice], "the sum of all lines", differences))
}

fn read(side: &Side) -> Read {
    let sums = side.currencies().into_iter().map(|c| (c.to_owned(), side.sum(c)));
    Read {
        file: side.file.clone(),
        what: match side.kind {
            Kind::Daily => "daily rated usage".to_owned(),
            Kind::Reconciliation => "reconciliation".to_owned(),
        },
        rows: side.rows,
        sums: sums.collect(),
        notes: side.notes.clone(),
    }
}
