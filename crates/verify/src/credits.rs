//! Partner earned credit of an edge: where and when it is earned, and on which meters not.

use std::collections::{BTreeMap, BTreeSet};

use bigdecimal::BigDecimal;
use jiff::civil::Date;

use crate::daily_columns::{ENTITLEMENT, GROUP, RESOURCE};
use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::{Folder, Revision, SellerRatedEdge};
use crate::number;
use crate::table::{Row, Table};

const COLUMNS: &[&str] = &["SubscriptionId", "Scope", "EarnedFrom", "EarnedUntil"];

/// What is earned on an edge.
#[derive(Debug)]
pub(crate) struct Credits {
    pub path: String,
    /// How much less is paid, in percent, as the certificate says it.
    pub percent: String,
    /// By subscription.
    earned: BTreeMap<String, Vec<Earned>>,
    exceptions: BTreeSet<String>,
}

/// Beneath a scope, from one day until another.
#[derive(Debug)]
struct Earned {
    line: u64,
    scope: String,
    from: Date,
    until: Date,
}

impl Credits {
    /// Reads what is earned on an edge whose certificate says that something is.
    pub fn load(folder: &Folder, place: &str, percent: &str, faults: &mut Faults) -> Self {
        let path = format!("{place}/credits.csv");
        let (earned, exceptions) = (BTreeMap::new(), BTreeSet::new());
        let mut credits =
            Self { path: path.clone(), percent: percent.to_owned(), earned, exceptions };
        let mut before = None;
        each(folder, &path, COLUMNS, faults, |row| {
            let place: [String; 3] = std::array::from_fn(|at| row.cell(at).to_owned());
            if before.as_ref().is_some_and(|before| *before >= place) {
                return Err("does not follow the row before".to_owned());
            }
            before = Some(place);
            let day = |at: usize| {
                let text = row.cell(at);
                let day = text.parse::<Date>();
                day.map_err(|_| format!("{} is {text:?}: not a day", COLUMNS[at]))
            };
            let (from, until) = (day(2)?, day(3)?);
            if until <= from {
                return Err("EarnedUntil is not after EarnedFrom".to_owned());
            }
            let scope = row.cell(1).to_owned();
            if scope != scope.to_lowercase() || !(scope.is_empty() || scope.starts_with('/')) {
                return Err(format!("Scope is {scope:?}: not a resource in lower case"));
            }
            let all = credits.earned.entry(row.cell(0).to_owned()).or_default();
            all.push(Earned { line: row.line, scope, from, until });
            Ok(())
        });
        let path = format!("{place}/credit-exceptions.csv");
        each(folder, &path, &["MeterId"], faults, |row| {
            let is_new = credits.exceptions.insert(row.cell(0).to_owned());
            if is_new { Ok(()) } else { Err("is named twice".to_owned()) }
        });
        let percent = number::parse_trimmed(percent);
        let (zero, hundred) = (BigDecimal::from(0), BigDecimal::from(100));
        if !percent.is_some_and(|percent| zero < percent && percent <= hundred) {
            let needle = format!("\"earned_credit\": \"{}\"", credits.percent);
            folder.certificate_fault(faults, &needle, "earned_credit is not above 0 up to 100");
        }
        credits
    }

    /// What is left of a price.
    pub fn factor(&self) -> BigDecimal {
        let percent = number::parse_trimmed(&self.percent).unwrap_or_default();
        (BigDecimal::from(100) - percent) * BigDecimal::new(1.into(), 2)
    }

    /// Whether a row of a day earns credit.
    pub fn is_earned(&self, (subscription, meter): (&str, &str), row: &Row, day: Date) -> bool {
        let Some(earned) = self.earned.get(subscription) else { return false };
        if self.exceptions.contains(meter) {
            return false;
        }
        let resource = resource(subscription, row);
        let covers = |scope: &str| {
            let rest = resource.strip_prefix(scope);
            rest.is_some_and(|rest| rest.is_empty() || scope.is_empty() || rest.starts_with('/'))
        };
        earned.iter().any(|e| e.from <= day && day < e.until && covers(&e.scope))
    }

    /// The days on which a subscription begins or ends to earn.
    pub fn changes(&self, subscription: &str) -> impl Iterator<Item = Date> + '_ {
        let earned = self.earned.get(subscription).into_iter().flatten();
        earned.flat_map(|earned| [earned.from, earned.until])
    }

    /// The subscriptions, each with the first line that names it.
    pub fn subscriptions(&self) -> impl Iterator<Item = (&str, u64)> {
        let all = self.earned.iter();
        all.filter_map(|(id, earned)| Some((id.as_str(), earned.first()?.line)))
    }

    /// What a line says of it.
    pub fn description(&self) -> String {
        let fraction = if self.percent.contains('.') { "" } else { ".0" };
        format!("{}{fraction}% Partner earned credit for services managed", self.percent)
    }
}

/// Credit is earned on subscriptions of the edge, and only where nobody sells to the seller.
pub(crate) fn check(revision: &Revision, edges: &[Edge<'_>], faults: &mut Faults) {
    for edge in edges {
        let Some(credits) = &edge.credits else { continue };
        for (id, line) in credits.subscriptions() {
            if !edge.subscriptions.by_id.contains_key(id) {
                let reason = format!("subscription {id} is not in {}", edge.subscriptions.path);
                faults.add(&credits.path, Some(line), reason);
            }
            let seller = &edge.certified.seller;
            let buys = |other: &&Edge<'_>| {
                other.certified.buyer == *seller && other.subscriptions.by_id.contains_key(id)
            };
            let above = edges.iter().find(buys).map(|other| other.certified.place());
            let received = revision.rated_by_seller.iter().find(|other| other.buyer == *seller);
            if let Some(above) = above.or_else(|| received.map(SellerRatedEdge::place)) {
                let reason =
                    format!("credit is earned on the first edge of a sale path, not below {above}");
                faults.add(&credits.path, Some(line), reason);
            }
        }
    }
}

/// Every row of a table; the visitor says what is wrong with it.
fn each(
    folder: &Folder,
    path: &str,
    columns: &[&str],
    faults: &mut Faults,
    mut visit: impl FnMut(&Row) -> Result<(), String>,
) {
    let read = (|| {
        let table = Table::open(&folder.root.join(path), columns);
        let mut table = table.map_err(|reason| (1, reason))?;
        let mut row = Row::default();
        while table.next(&mut row)? {
            if let Err(reason) = visit(&row) {
                faults.add(path, Some(row.line), reason);
            }
        }
        Ok::<_, (u64, String)>(())
    })();
    if let Err((line, reason)) = read {
        faults.add(path, Some(line), reason);
    }
}

/// The resource of a row: its id, or what can be told of it by entitlement and group.
fn resource(subscription: &str, row: &Row) -> String {
    let uri = row.cell(RESOURCE).to_lowercase();
    if uri.starts_with("/subscriptions/") {
        return uri;
    }
    let holder = match row.cell(ENTITLEMENT) {
        "" => subscription,
        entitlement => entitlement,
    };
    let group = row.cell(GROUP);
    let group = if group.is_empty() { String::new() } else { format!("/resourcegroups/{group}") };
    format!("/subscriptions/{holder}{group}").to_lowercase()
}
