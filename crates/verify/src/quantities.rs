//! Every quantity appears exactly once on each edge of a sale path.

use std::collections::{HashMap, HashSet};

use bigdecimal::BigDecimal;
use jiff::civil::Date;

use crate::daily_columns::columns;
use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::rows::EdgeSeen;
use crate::table::{Row, Table};
use crate::used::Used;

/// Meters of subscriptions whose rows are compared one by one when their hashes differ; for the
/// others the difference is only stated.
const COMPARED_MAX: usize = 20;

/// The rows of a close say of each subscription that the same was used on each of its edges.
pub(crate) fn check(
    folder: &Folder,
    edges: &[Edge<'_>],
    seen: &[EdgeSeen<'_>],
    faults: &mut Faults,
) {
    let mut first: HashMap<Key<'_>, usize> = HashMap::new();
    // The first edge whose rows are not cut by time, of those whose days can be compared.
    let mut uncut: HashMap<Key<'_>, usize> = HashMap::new();
    let mut compared = 0;
    for (at, edge) in edges.iter().enumerate() {
        check_present(edge, &seen[at], faults);
        let mut keys: Vec<_> = seen[at].usage.keys().copied().collect();
        keys.sort_unstable();
        for key in keys {
            let on_days = (key, edge.charged(key.0));
            let mut other = *first.entry(on_days).or_insert(at);
            if edge.has_one_price(key) {
                other = *uncut.entry(on_days).or_insert(other);
                if !edges[other].has_one_price(key) {
                    uncut.insert(on_days, at);
                }
            }
            let (a, b) = (seen[other].usage[&key], seen[at].usage[&key]);
            // Where a price changes within the month, an edge cuts records by day that another
            // does not cut.
            let by_day = [other, at].iter().all(|at| edges[*at].has_one_price(key));
            if a.by_resource == b.by_resource && (!by_day || a.by_day == b.by_day) {
                continue;
            }
            compared += 1;
            if compared > COMPARED_MAX {
                let reason = format!("{key:?} was used otherwise than on {}", edges[other].place);
                faults.add(&edge.place, None, reason);
            } else {
                name_difference(folder, (&edges[other], edge), key, by_day, faults);
            }
        }
    }
    check_meters(edges, seen, &first, faults);
}

/// A subscription and a meter, and the days that are charged: edges that bill other days have other
/// usage.
type Key<'a> = ((&'a str, &'a str), Option<(Date, Date)>);

/// A subscription that is billed was used.
fn check_present(edge: &Edge<'_>, seen: &EdgeSeen<'_>, faults: &mut Faults) {
    let used: HashSet<&str> = seen.usage.keys().map(|(id, _)| *id).collect();
    for (id, subscription) in &edge.subscriptions.by_id {
        if !used.contains(id.as_str()) {
            let reason = format!("subscription {id} has no rows in the daily file");
            faults.add(&edge.subscriptions.path, Some(subscription.line), reason);
        }
    }
}

/// What is used on one edge of a subscription is used on all of them.
fn check_meters(
    edges: &[Edge<'_>],
    seen: &[EdgeSeen<'_>],
    first: &HashMap<Key<'_>, usize>,
    faults: &mut Faults,
) {
    let mut keys: Vec<_> = first.iter().collect();
    keys.sort_unstable();
    for (((id, meter), days), known) in keys {
        let sold = edges.iter().zip(seen).filter(|(edge, _)| edge.charged(id) == *days);
        for (edge, seen) in sold {
            if !seen.usage.contains_key(&(*id, *meter)) {
                let reason = format!(
                    "has no rows of meter {meter} of subscription {id}, which {} has",
                    edges[*known].place
                );
                faults.add(&format!("{}/daily-rated-usage", edge.place), None, reason);
            }
        }
    }
}

/// Finds the first rows that differ.
fn name_difference(
    folder: &Folder,
    (a, b): (&Edge<'_>, &Edge<'_>),
    key: (&str, &str),
    by_day: bool,
    faults: &mut Faults,
) {
    let paths = [a, b].map(|edge| folder.table(&edge.place, "daily-rated-usage"));
    let [Some(path_a), Some(path_b)] = paths else { return };
    let rows = |path: &str| used_rows(folder, path, key, by_day);
    let (Ok(rows_a), Ok(rows_b)) = (rows(&path_a), rows(&path_b)) else { return };
    let differs = rows_a.iter().zip(&rows_b).find(|((_, a), (_, b))| a != b);
    let (file, line, reason) = match (differs, rows_a.len() > rows_b.len()) {
        (Some(((line_a, _), (line_b, _))), _) => {
            let reason =
                format!("something else was used than {path_a}:{line_a} says, on another edge");
            (&path_b, Some(*line_b), reason)
        }
        (None, true) => {
            let line = rows_a.get(rows_b.len()).map(|(line, _)| *line);
            (&path_a, line, format!("this usage is not in {path_b}"))
        }
        (None, false) => {
            let line = rows_b.get(rows_a.len()).map(|(line, _)| *line);
            (&path_b, line, format!("this usage is not in {path_a}"))
        }
    };
    faults.add(file, line, reason);
}

/// What rows say was used of a meter, added up as the hashes add it up, with the first line of each.
type UsedRows = Vec<(u64, (Vec<String>, String, BigDecimal))>;

fn used_rows(
    folder: &Folder,
    path: &str,
    (id, meter): (&str, &str),
    by_day: bool,
) -> Result<UsedRows, String> {
    let mut table = Table::open(&folder.root.join(path), &columns())?;
    let mut row = Row::default();
    let mut rows: UsedRows = Vec::new();
    while table.next(&mut row).map_err(|(_, reason)| reason)? {
        let Some(used) = Used::of(&row) else { continue };
        if used.subscription != id || used.meter != meter {
            continue;
        }
        let date = if by_day { used.date } else { String::new() };
        match rows.last_mut() {
            Some((_, (resource, day, quantity))) if *resource == used.resource && *day == date => {
                *quantity += used.quantity;
            }
            _ => rows.push((row.line, (used.resource, date, used.quantity))),
        }
    }
    Ok(rows)
}
