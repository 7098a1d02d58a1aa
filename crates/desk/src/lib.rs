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
mod rows;
mod side;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

pub use bigdecimal::BigDecimal;
use bigdecimal::Zero;
pub use rows::{Document, FileRow, Invoice, document, each_row};

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
    /// By currency, the taxes of two reconciliation files that differ.
    pub taxes: BTreeMap<String, [BigDecimal; 2]>,
}

impl Comparison {
    /// Whether nothing but rounding differs.
    pub fn agrees(&self) -> bool {
        let mut parts = self.differences.iter().flat_map(|difference| &difference.parts);
        self.taxes.is_empty() && parts.all(|part| part.cause == Cause::Rounding)
    }

    fn new(files: [Read; 2], told_apart_by: &str, differences: Vec<Difference>) -> Self {
        let mut causes: BTreeMap<String, BTreeMap<Cause, BigDecimal>> = BTreeMap::new();
        for difference in &differences {
            let of_currency = causes.entry(difference.currency.clone()).or_default();
            for part in &difference.parts {
                *of_currency.entry(part.cause).or_insert_with(BigDecimal::zero) += &part.amount;
            }
        }
        let told_apart_by = told_apart_by.to_owned();
        Self { files, told_apart_by, causes, differences, taxes: BTreeMap::new() }
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
             SkuId, or MeterDescription, in most rows",
            a.display()
        ),
    })?;
    let (a, b) = (Side::load(a, identity)?, Side::load(b, identity)?);
    let differences = Pair::new(&a, &b).differences();
    let compared = Comparison::new([read(&a), read(&b)], identity.name(), differences);
    let mut taxes = BTreeMap::new();
    if (a.kind, b.kind) == (Kind::Reconciliation, Kind::Reconciliation) {
        let all = a.taxes.keys().chain(b.taxes.keys()).map(|currency| {
            let of = |side: &Side| side.taxes.get(currency).cloned().unwrap_or_default();
            (currency.clone(), [of(&a), of(&b)])
        });
        taxes.extend(all.filter(|(_, taxes)| taxes[0] != taxes[1]));
    }
    Ok(Comparison { taxes, ..compared })
}

/// The lines of an invoice against what it says that they come to. Lines of other invoices, or in
/// other currencies, are differences too: nobody else compares them.
fn with_invoice(
    path: &Path,
    invoice: &Path,
    totals: &InvoiceTotals,
) -> Result<Comparison, Refused> {
    let has = side::identities(path)?;
    let identity = has.first().copied().unwrap_or(side::Identity::Description);
    let side = Side::load(path, identity)?;
    if side.kind == Kind::Daily {
        return Err(Refused {
            file: side.file,
            line: None,
            reason: "is a daily file, whose rows are not rounded and have no tax; name the \
                     reconciliation file between it and the invoice"
                .to_owned(),
        });
    }
    let currency = totals.currency.to_uppercase();
    let is_of = |number: &str| number.is_empty() || number.eq_ignore_ascii_case(&totals.number);
    // Tax is on the lines too, so that totals with tax are compared with totals with tax.
    let amount = |(net, tax): &(BigDecimal, BigDecimal)| match totals.net {
        Some(_) => net.clone(),
        None => net + tax,
    };
    let stated = totals.net.clone().unwrap_or_else(|| totals.gross.clone());
    let mut lines: BTreeMap<String, BigDecimal> = BTreeMap::new();
    for ((currency, _), sums) in &side.invoices {
        *lines.entry(currency.clone()).or_default() += amount(sums);
    }
    let own = side.invoices.iter().filter(|((c, number), _)| *c == currency && is_of(number));
    let found: BigDecimal = own.map(|(_, sums)| amount(sums)).sum();
    let difference =
        |currency: &str, item: String, amounts: [Option<BigDecimal>; 2], reason: String| {
            let of = |at: usize| amounts[at].clone().unwrap_or_default();
            let amount = of(1) - of(0);
            let part = Part { cause: Cause::OutsideFile, amount: amount.clone(), reason };
            Difference {
                currency: currency.to_owned(),
                subscription: String::new(),
                customer: String::new(),
                item,
                amounts,
                lines: [None, None],
                difference: amount,
                parts: vec![part],
            }
        };
    let mut differences = Vec::new();
    if stated != found {
        let reason = format!("the invoice comes to something else than its lines in {}", side.file);
        let item = format!("invoice {}", totals.number);
        differences.push(difference(&currency, item, [Some(found), Some(stated.clone())], reason));
    }
    for ((of, number), sums) in &side.invoices {
        let amount = amount(sums);
        if (*of == currency && is_of(number)) || amount.is_zero() {
            continue;
        }
        let item = format!("lines of invoice {number} in {of}");
        let reason = format!("not on invoice {}", totals.number);
        differences.push(difference(of, item, [Some(amount), None], reason));
    }
    let read_invoice = Read {
        file: invoice.display().to_string(),
        what: format!("invoice {}", totals.number),
        rows: 1,
        sums: BTreeMap::from([(currency, stated)]),
        notes: Vec::new(),
    };
    let read_lines = Read { sums: lines, ..read(&side) };
    Ok(Comparison::new([read_lines, read_invoice], "the sum of all lines", differences))
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
