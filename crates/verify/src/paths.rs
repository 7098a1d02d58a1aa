//! Sale paths as the files show them: a subscription is sold on from the provider to its customer.

use std::collections::BTreeMap;

use crate::charged::ChargedDays;
use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::invoice::Party;
use crate::subscriptions::Subscription;

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
    /// None where the files do not tell who sells to the customer.
    pub reseller_mpn: Option<&'a str>,
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
        let reseller = self.resellers.get(id);
        let mpn =
            |reseller: &&'e Party| if reseller.key == partner.key { "" } else { reseller.mpn() };
        Names { partner, reseller_mpn: reseller.map(mpn), subscription }
    }

    /// Every subscription is the same on all its edges, and these lead to its customer.
    pub fn check(
        &self,
        folder: &Folder,
        (edges, charged): (&[Edge<'_>], &ChargedDays),
        faults: &mut Faults,
    ) {
        for (id, on) in &self.by_subscription {
            let first = &edges[on[0]].subscriptions.by_id[*id];
            for at in &on[1..] {
                let subscriptions = &edges[*at].subscriptions;
                let other = &subscriptions.by_id[*id];
                // Each edge has its own prices, taxes and calendar.
                let alike = Subscription {
                    line: first.line,
                    list: first.list.clone(),
                    tax: first.tax.clone(),
                    charged: first.charged,
                    ..other.clone()
                };
                if alike != *first {
                    let reason = format!("{id} differs from {}", edges[on[0]].subscriptions.path);
                    faults.add(&subscriptions.path, Some(other.line), reason);
                }
            }
            if !folder.is_whole() {
                continue;
            }
            let on: Vec<&Edge<'_>> = on.iter().map(|at| &edges[*at]).collect();
            if charged.check(id, &on, faults) || on[0].revision.revision > 0 {
                // What is billed on other days may be billed with another month, and an adjustment
                // may concern some edges of a path alone.
                continue;
            }
            if let Err(reason) = leads_to_customer(id, on) {
                let subscriptions = &edges[self.by_subscription[id][0]].subscriptions;
                faults.add(&subscriptions.path, Some(first.line), reason);
            }
        }
        charged.check_used(|id| self.by_subscription.contains_key(id), faults);
    }
}

/// From the customer upwards, every seller but the first has bought.
fn leads_to_customer(id: &str, mut left: Vec<&Edge<'_>>) -> Result<(), String> {
    let customer = &left[0].subscriptions.by_id[id].customer[0];
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
