//! The subscriptions of an edge: whose they are, and by which price list they are billed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::fault::Faults;
use crate::folder::Folder;
use crate::table::{Row, Table};

const COLUMNS: &[&str] = &[
    "SubscriptionId",
    "SubscriptionDescription",
    "CustomerId",
    "CustomerName",
    "CustomerDomainName",
    "CustomerCountry",
    "SubscriptionStartDate",
    "SubscriptionEndDate",
    "PriceList",
    "TaxCategory",
    "TaxRate",
    "OfferFamily",
    "ChargeStartDate",
    "ChargeEndDate",
];

/// A subscription as an edge knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub line: u64,
    pub name: String,
    /// Id, name, domain and country.
    pub customer: [String; 4],
    pub start: String,
    pub end: String,
    pub list: String,
    /// Category and rate.
    pub tax: [String; 2],
    pub is_legacy: bool,
    /// The first and the last day that is charged.
    pub charged: (Date, Date),
}

/// The subscriptions of an edge, by id.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions {
    pub path: String,
    pub by_id: BTreeMap<String, Subscription>,
}

impl Subscriptions {
    /// Reads the subscriptions of an edge.
    pub fn load(folder: &Folder, place: &str, faults: &mut Faults) -> Self {
        let path = format!("{place}/subscriptions.csv");
        let mut found = Self { path: path.clone(), by_id: BTreeMap::new() };
        let mut table = match Table::open(&folder.root.join(&path), COLUMNS) {
            Ok(table) => table,
            Err(reason) => {
                faults.add(&path, Some(1), reason);
                return found;
            }
        };
        let mut row = Row::default();
        loop {
            match table.next(&mut row) {
                Ok(true) => found.row(folder, &row, faults),
                Ok(false) => return found,
                Err((line, reason)) => {
                    faults.add(&path, Some(line), reason);
                    return found;
                }
            }
        }
    }

    fn row(&mut self, folder: &Folder, row: &Row, faults: &mut Faults) {
        let id = row.cell(0).to_owned();
        let line = Some(row.line);
        if self.by_id.last_key_value().is_some_and(|(last, _)| *last >= id) {
            faults.add(&self.path, line, format!("{id} does not follow the row before"));
        }
        let is_instant = |text: &str| text.parse::<Timestamp>().is_ok();
        if !is_instant(row.cell(6)) || !(row.cell(7).is_empty() || is_instant(row.cell(7))) {
            faults.add(
                &self.path,
                line,
                "SubscriptionStartDate or SubscriptionEndDate is no instant",
            );
        }
        if !matches!(row.cell(11), "plan" | "legacy") {
            faults.add(&self.path, line, format!("OfferFamily is {:?}", row.cell(11)));
        }
        let charged = charged(folder, row).unwrap_or_else(|reason| {
            faults.add(&self.path, line, reason);
            Default::default()
        });
        let subscription = Subscription {
            line: row.line,
            name: row.cell(1).to_owned(),
            customer: std::array::from_fn(|at| row.cell(2 + at).to_owned()),
            start: row.cell(6).to_owned(),
            end: row.cell(7).to_owned(),
            list: row.cell(8).to_owned(),
            tax: [row.cell(9).to_owned(), row.cell(10).to_owned()],
            is_legacy: row.cell(11) == "legacy",
            charged,
        };
        self.by_id.insert(id, subscription);
    }
}

/// The days that are charged: from the day on which a bill of the month before can end, by calendar
/// month or by anniversary, to the day before one on which a bill of the month can.
fn charged(folder: &Folder, row: &Row) -> Result<(Date, Date), String> {
    let day = |at: usize| {
        let text = row.cell(at);
        text.parse::<Date>().map_err(|_| format!("{} is {text:?}: not a day", COLUMNS[at]))
    };
    let (first, last) = (day(12)?, day(13)?);
    let month = format!("{}-01", folder.certificate.period);
    let month: Date = month.parse().map_err(|_| "the month is none".to_owned())?;
    let zone = TimeZone::get(&folder.certificate.zone).map_err(|error| error.to_string())?;
    let began: Timestamp = row.cell(6).parse().map_err(|_| "it began on no day".to_owned())?;
    let began = began.to_zoned(zone).date().day();
    let before = month.yesterday().map_err(|error| error.to_string())?;
    let starts = ends(before.first_of_month(), began)?;
    let until = last.tomorrow().map_err(|error| error.to_string())?;
    if starts.contains(&first) && ends(month, began)?.contains(&until) {
        return Ok((first, last));
    }
    Err(format!("charges {first} to {last}, by no calendar: it began on a {began}."))
}

/// The days before which the bill of a month can end: the first of the next month, or the one with
/// the number of the day on which a subscription began.
fn ends(month: Date, began: i8) -> Result<[Date; 2], String> {
    let last = month.last_of_month();
    let next = last.tomorrow().map_err(|error| error.to_string())?;
    let anniversary = month.with().day(began).build().unwrap_or(last);
    Ok([next, if began == 1 { next } else { anniversary }])
}

/// The instant at which a day begins.
pub(crate) fn start_of(folder: &Folder, day: Date) -> Option<Timestamp> {
    let zone = TimeZone::get(&folder.certificate.zone).ok()?;
    day.to_zoned(zone).ok().map(|start| start.timestamp())
}
