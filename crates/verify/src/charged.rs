//! Which days the edges of a sale path charge, where they do not all charge the same: what is used on
//! one of them may be on another with another month.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::{Folder, Revision};
use crate::table::{Row, Table};

const COLUMNS: &[&str] = &["SubscriptionId", "Seller", "Buyer", "ChargeStartDate", "ChargeEndDate"];

/// An edge of a sale path and what it charges.
#[derive(Debug)]
struct Charged {
    line: u64,
    seller: String,
    buyer: String,
    /// The first and the last day.
    days: (Date, Date),
}

/// The sale paths of which not all edges charge the same days, by subscription.
#[derive(Debug, Default)]
pub(crate) struct ChargedDays {
    path: String,
    by_id: BTreeMap<String, Vec<Charged>>,
}

impl ChargedDays {
    /// Reads what a revision says; nothing where there are no such paths.
    pub fn load(folder: &Folder, revision: &Revision, faults: &mut Faults) -> Self {
        let path = folder.path(revision, "charged-days.csv");
        let mut charged = Self { path, by_id: BTreeMap::new() };
        if !folder.has(&charged.path) {
            return charged;
        }
        if let Err((line, reason)) = charged.rows(folder, faults) {
            faults.add(&charged.path, Some(line), reason);
        }
        for path in charged.by_id.values() {
            let first = &path[0];
            if path.iter().all(|edge| edge.days == first.days) {
                let reason = "every edge charges the same days";
                faults.add(&charged.path, Some(first.line), reason);
            }
        }
        charged
    }

    fn rows(&mut self, folder: &Folder, faults: &mut Faults) -> Result<(), (u64, String)> {
        let table = Table::open(&folder.root.join(&self.path), COLUMNS);
        let mut table = table.map_err(|reason| (1, reason))?;
        let mut row = Row::default();
        while table.next(&mut row)? {
            let day = |at: usize| {
                let text = row.cell(at);
                let wrong = || (row.line, format!("{} is {text:?}: not a day", COLUMNS[at]));
                text.parse::<Date>().map_err(|_| wrong())
            };
            let id = row.cell(0).to_owned();
            let edge = Charged {
                line: row.line,
                seller: row.cell(1).to_owned(),
                buyer: row.cell(2).to_owned(),
                days: (day(3)?, day(4)?),
            };
            let last = self.by_id.last_key_value().map(|(id, edges)| (id.as_str(), edges.last()));
            let follows = match last {
                Some((known, Some(above))) if known == id => above.buyer == edge.seller,
                Some((known, _)) => known < id.as_str(),
                None => true,
            };
            if !follows {
                faults.add(&self.path, Some(row.line), "does not follow the row before");
            }
            self.by_id.entry(id).or_default().push(edge);
        }
        Ok(())
    }

    /// Whether some subscription of an edge is billed on other days than on another edge.
    pub fn has_edge(&self, seller: &str, buyer: &str) -> bool {
        let mut edges = self.by_id.values().flatten();
        edges.any(|edge| (edge.seller.as_str(), edge.buyer.as_str()) == (seller, buyer))
    }

    /// Whether the edges of a subscription charge different days. What is said of those that are
    /// there is so.
    pub fn check(&self, id: &str, edges: &[&Edge<'_>], faults: &mut Faults) -> bool {
        let Some(listed) = self.by_id.get(id) else {
            let differs = edges.windows(2).find(|pair| pair[0].charged(id) != pair[1].charged(id));
            if let Some(edge) = differs.map(|pair| pair[1]) {
                let line = edge.subscriptions.by_id.get(id).map(|subscription| subscription.line);
                let reason = format!("{id} is charged for other days than on another edge");
                faults.add(&edge.subscriptions.path, line, reason);
            }
            return false;
        };
        for edge in edges {
            let place = (edge.certified.seller.as_str(), edge.certified.buyer.as_str());
            let said = listed.iter().find(|e| (e.seller.as_str(), e.buyer.as_str()) == place);
            if said.map(|said| said.days) != edge.charged(id) {
                let line = said.or(listed.first()).map(|said| said.line);
                let reason = format!("{id} is charged for other days in {}", edge.place);
                faults.add(&self.path, line, reason);
            }
        }
        true
    }

    /// Every path has an edge with usage.
    pub fn check_used<'a>(&self, used: impl Fn(&str) -> bool + 'a, faults: &mut Faults) {
        for (id, path) in self.by_id.iter().filter(|(id, _)| !used(id)) {
            faults.add(&self.path, Some(path[0].line), format!("{id} is on no edge"));
        }
    }
}
