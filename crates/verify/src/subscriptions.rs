//! The subscriptions of an edge: whose they are, and by which price list they are billed.

use std::collections::BTreeMap;

use jiff::Timestamp;

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
                Ok(true) => found.row(&row, faults),
                Ok(false) => return found,
                Err((line, reason)) => {
                    faults.add(&path, Some(line), reason);
                    return found;
                }
            }
        }
    }

    fn row(&mut self, row: &Row, faults: &mut Faults) {
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
        let subscription = Subscription {
            line: row.line,
            name: row.cell(1).to_owned(),
            customer: std::array::from_fn(|at| row.cell(2 + at).to_owned()),
            start: row.cell(6).to_owned(),
            end: row.cell(7).to_owned(),
            list: row.cell(8).to_owned(),
            tax: [row.cell(9).to_owned(), row.cell(10).to_owned()],
            is_legacy: row.cell(11) == "legacy",
        };
        self.by_id.insert(id, subscription);
    }
}
