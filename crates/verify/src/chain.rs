//! What ties edges together: a subscription is sold on from the provider to its customer, and
//! every quantity appears exactly once on each edge of that path.

use std::collections::BTreeMap;

use crate::daily;
use crate::edge::{Edge, EdgeSeen};
use crate::fault::Faults;
use crate::folder::Folder;
use crate::invoice::Party;
use crate::subscriptions::Subscription;
use crate::table::{Row, Table};

/// Subscriptions whose rows are compared one by one when their hashes differ; for the others the
/// difference is only stated.
const COMPARED_MAX: usize = 20;

/// The edges on which each subscription is sold.
pub(crate) struct Paths<'a> {
    /// By subscription: positions of edges.
    by_subscription: BTreeMap<&'a str, Vec<usize>>,
    /// By subscription: who sells to the customer, where that is among the files.
    resellers: BTreeMap<&'a str, &'a Party>,
}

/// How rows name a subscription's parties.
pub(crate) struct Names<'a> {
    pub partner: &'a Party,
    pub reseller_mpn: &'a str,
    pub subscription: &'a Subscription,
}

impl<'a> Paths<'a> {
    /// Finds the paths.
    pub fn of(edges: &'a [Edge<'a>]) -> Self {
        let mut by_subscription: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut resellers = BTreeMap::new();
        for (at, edge) in edges.iter().enumerate() {
            for (id, subscription) in &edge.subscriptions.by_id {
                by_subscription.entry(id).or_default().push(at);
                if edge.sells_to(&subscription.customer[0]) {
                    resellers.insert(id.as_str(), &edge.invoice.invoice.seller);
                }
            }
        }
        Self { by_subscription, resellers }
    }

    /// How the rows of a subscription name its parties on an edge: the partner that buys, or,
    /// where a customer buys, the partner that sells; and the reseller behind that partner.
    pub fn names<'e>(&'e self, edge: &'e Edge<'e>, id: &str) -> Names<'e> {
        let subscription = &edge.subscriptions.by_id[id];
        let parties = &edge.invoice.invoice;
        let to_customer = edge.sells_to(&subscription.customer[0]);
        let partner = if to_customer { &parties.seller } else { &parties.buyer };
        let reseller = self.resellers.get(id).filter(|reseller| reseller.key != partner.key);
        Names {
            partner,
            reseller_mpn: reseller.map_or("", |reseller| reseller.mpn()),
            subscription,
        }
    }

    /// Every subscription is the same on all its edges, and these lead to its customer.
    pub fn check(&self, folder: &Folder, edges: &[Edge<'_>], faults: &mut Faults) {
        for (id, on) in &self.by_subscription {
            let first = &edges[on[0]].subscriptions.by_id[*id];
            for at in &on[1..] {
                let subscriptions = &edges[*at].subscriptions;
                let other = &subscriptions.by_id[*id];
                let alike =
                    Subscription { line: first.line, list: first.list.clone(), ..other.clone() };
                if alike != *first {
                    let reason = format!("{id} differs from {}", edges[on[0]].subscriptions.path);
                    faults.add(&subscriptions.path, Some(other.line), reason);
                }
            }
            let whole = folder.certificate.seller.is_none() && folder.certificate.buyer.is_none();
            if whole && let Err(reason) = leads_to_customer(id, on, edges) {
                let subscriptions = &edges[on[0]].subscriptions;
                faults.add(&subscriptions.path, Some(first.line), reason);
            }
        }
    }
}

/// From the customer upwards, every seller but the first has bought.
fn leads_to_customer(id: &str, on: &[usize], edges: &[Edge<'_>]) -> Result<(), String> {
    let customer = &edges[on[0]].subscriptions.by_id[id].customer[0];
    let mut left: Vec<&Edge<'_>> = on.iter().map(|at| &edges[*at]).collect();
    let mut position = left
        .iter()
        .position(|edge| edge.sells_to(customer))
        .ok_or_else(|| format!("nobody sells {id} to its customer"))?;
    loop {
        let seller = left.swap_remove(position).certified.seller.clone();
        match left.iter().position(|edge| edge.certified.buyer == seller) {
            Some(above) => position = above,
            None if left.is_empty() => return Ok(()),
            None => return Err(format!("{seller} sells {id} without having bought it")),
        }
    }
}

/// The rows of a subscription say the same was used on each of its edges.
pub(crate) fn check_quantities(
    folder: &Folder,
    edges: &[Edge<'_>],
    seen: &[EdgeSeen],
    faults: &mut Faults,
) {
    let mut first: BTreeMap<&str, (usize, &(u64, [u8; 32]))> = BTreeMap::new();
    let mut compared = 0;
    for (at, edge) in edges.iter().enumerate() {
        for id in edge.subscriptions.by_id.keys() {
            let Some(usage) = seen[at].usage.get(id) else {
                let reason = format!("subscription {id} has no rows in the daily file");
                faults.add(
                    &edge.subscriptions.path,
                    Some(edge.subscriptions.by_id[id].line),
                    reason,
                );
                continue;
            };
            let (other, known) = *first.entry(id).or_insert((at, usage));
            if known == usage {
                continue;
            }
            compared += 1;
            if compared > COMPARED_MAX {
                let reason = format!("{id} was used otherwise than on {}", edges[other].place);
                faults.add(&edge.place, None, reason);
            } else {
                name_difference(folder, &edges[other], edge, id, faults);
            }
        }
    }
}

/// Finds the first rows that differ.
fn name_difference(folder: &Folder, a: &Edge<'_>, b: &Edge<'_>, id: &str, faults: &mut Faults) {
    let paths = [a, b].map(|edge| folder.table(&edge.place, "daily-rated-usage"));
    let [Some(path_a), Some(path_b)] = paths else { return };
    let open = |path: &str| UsageRows::open(folder, path, id);
    let (Ok(mut rows_a), Ok(mut rows_b)) = (open(&path_a), open(&path_b)) else { return };
    loop {
        match (rows_a.next(), rows_b.next()) {
            (None, None) => return,
            (Some((_, used_a)), Some((_, used_b))) if used_a == used_b => {}
            (Some((line_a, _)), Some((line_b, _))) => {
                let reason =
                    format!("says something else was used than {path_a}:{line_a}, its other edge");
                return faults.add(&path_b, Some(line_b), reason);
            }
            (Some((line, _)), None) => {
                return faults.add(&path_a, Some(line), format!("this usage is not in {path_b}"));
            }
            (None, Some((line, _))) => {
                return faults.add(&path_b, Some(line), format!("this usage is not in {path_a}"));
            }
        }
    }
}

/// The usage rows of one subscription.
struct UsageRows<'a> {
    table: Table,
    row: Row,
    id: &'a str,
}

impl<'a> UsageRows<'a> {
    fn open(folder: &Folder, path: &str, id: &'a str) -> Result<Self, String> {
        let table = Table::open(&folder.root.join(path), &daily::columns())?;
        Ok(Self { table, row: Row::default(), id })
    }

    fn next(&mut self) -> Option<(u64, Vec<String>)> {
        while self.table.next(&mut self.row).ok()? {
            if daily::usage_of(&self.row) == Some(self.id) {
                return Some((self.row.line, daily::used(&self.row).map(str::to_owned).collect()));
            }
        }
        None
    }
}
