//! Reading billing files row by row, for whoever keeps what they say.

use std::cell::RefCell;
use std::path::Path;

use bigdecimal::BigDecimal;
use jiff::civil::Date;

use crate::columns::{self, Field};
use crate::read::rows;
use crate::side::{is_usage, kind_of};
use crate::value::{self, DecimalMark};
use crate::{Kind, Refused, invoice};

/// What a file holds.
#[derive(Debug, Clone)]
pub enum Document {
    /// Rows.
    Rows(Kind),
    /// The totals of an invoice.
    Invoice(Invoice),
}

/// What an invoice says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invoice {
    /// Its number; empty where it states none.
    pub number: String,
    /// Its currency.
    pub currency: String,
    /// The day of issue, if it is stated.
    pub issue_date: Option<Date>,
    /// What is to be paid before tax; none where only the sum with tax is stated.
    pub net: Option<BigDecimal>,
    /// What is to be paid with tax.
    pub gross: BigDecimal,
}

/// Says what a file holds.
///
/// # Errors
/// Where it is neither rows of a billing file nor an invoice.
pub fn document(path: &Path) -> Result<Document, Refused> {
    if let Some(totals) = invoice::read(path)? {
        return Ok(Document::Invoice(Invoice {
            number: totals.number,
            currency: totals.currency,
            issue_date: totals.issue_date,
            net: totals.net,
            gross: totals.gross,
        }));
    }
    // The header tells; the rows are looked at when they are read.
    let kind = RefCell::new(None);
    let seen = rows(
        path,
        |form| {
            *kind.borrow_mut() = Some(kind_of(&form.columns)?);
            Ok(())
        },
        |_, _| Err(String::new()),
    );
    match (kind.into_inner(), seen) {
        (Some(kind), _) => Ok(Document::Rows(kind)),
        (None, Err(refused)) => Err(refused),
        (None, Ok(())) => Err(Refused {
            file: path.display().to_string(),
            line: None,
            reason: "has no rows".to_owned(),
        }),
    }
}

/// A row, as far as columns were asked for.
#[derive(Debug)]
pub struct FileRow<'r> {
    /// Its line, or the number of its object.
    pub line: u64,
    cells: &'r [&'r str],
    places: &'r [Option<usize>],
    columns: &'r [&'static str],
    charge: Option<usize>,
    mark: DecimalMark,
}

impl FileRow<'_> {
    /// A column, by its place among those that were asked for; empty where the file has none.
    pub fn text(&self, at: usize) -> &str {
        self.places[at].map_or("", |place| self.cells[place].trim())
    }

    /// A number; none for an empty cell.
    ///
    /// # Errors
    /// Where it is none.
    pub fn number(&self, at: usize) -> Result<Option<BigDecimal>, String> {
        let text = self.text(at);
        if text.is_empty() {
            return Ok(None);
        }
        let read = value::number(text, self.mark);
        read.map(Some).ok_or_else(|| format!("{} is {text:?}: not a number", self.columns[at]))
    }

    /// A day; none for an empty cell.
    ///
    /// # Errors
    /// Where it is none.
    pub fn day(&self, at: usize) -> Result<Option<Date>, String> {
        let text = self.text(at);
        if text.is_empty() {
            return Ok(None);
        }
        value::day(text).map(Some).ok_or_else(|| {
            format!("{} is {text:?}: not a day; write it like 2026-10-01", self.columns[at])
        })
    }

    /// Whether the row charges usage, rather than seats, refunds or credits.
    pub fn is_usage(&self) -> bool {
        self.charge.is_none_or(|place| is_usage(self.cells[place].trim()))
    }
}

/// Reads every row of a billing file but those of totals, as far as it has some documented columns,
/// in whatever spelling.
///
/// # Errors
/// Where the file cannot be read, or the visitor refuses a row.
pub fn each_row(
    path: &Path,
    columns: &[&'static str],
    mut visit: impl FnMut(&FileRow<'_>) -> Result<(), String>,
) -> Result<(), Refused> {
    let form = RefCell::new((Vec::new(), None, None, DecimalMark::Point));
    rows(
        path,
        |found| {
            let places = columns::places(&found.header, columns);
            let subscription = found.columns.at(Field::Subscription);
            let charge = found.columns.at(Field::ChargeType);
            *form.borrow_mut() = (places, subscription, charge, found.mark);
            Ok(())
        },
        |line, cells| {
            let (places, subscription, charge, mark) = &*form.borrow();
            if subscription.is_some_and(|place| cells[place].trim().is_empty()) {
                return Ok(());
            }
            visit(&FileRow { line, cells, places, columns, charge: *charge, mark: *mark })
        },
    )
}
