//! What invoices say together: numbers without a gap, and parties that are always the same.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::invoice::Party;

/// Numbers of a seller follow each other without a gap, in the order of its buyers.
pub(crate) fn check_numbers(folder: &Folder, edges: &[Edge<'_>], faults: &mut Faults) {
    for sold in edges.chunk_by(|a, b| a.certified.seller == b.certified.seller) {
        for pair in sold.windows(2) {
            let [before, after] = pair else { continue };
            let (Some(a), Some(b)) =
                (counted(&before.certified.invoice), counted(&after.certified.invoice))
            else {
                continue;
            };
            // Somebody's own invoices are a part of the seller's series.
            let gapless = folder.certificate.buyer.is_none();
            let follows = if gapless { Some(b.1) == a.1.checked_add(1) } else { b.1 > a.1 };
            if a.0 != b.0 || !follows {
                let reason = format!(
                    "number {} does not follow {} of the same seller",
                    after.certified.invoice, before.certified.invoice
                );
                after.invoice.fault(faults, "number", reason);
            }
        }
    }
    for edge in edges {
        if counted(&edge.certified.invoice).is_none() {
            edge.invoice.fault(faults, "number", "does not end in a counter");
        }
    }
}

/// A number as its prefix and counter.
fn counted(number: &str) -> Option<(&str, u64)> {
    let digits = number.len() - number.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (prefix, counter) = number.split_at(digits);
    counter.parse().ok().map(|counter| (prefix, counter))
}

/// A party is the same on every invoice and subscription, and the period is what its bounds say.
pub(crate) fn check_parties(edges: &[Edge<'_>], faults: &mut Faults) {
    let mut known: BTreeMap<&str, &Party> = BTreeMap::new();
    let mut ids: BTreeMap<&str, &String> = BTreeMap::new();
    for edge in edges {
        let invoice = &edge.invoice.invoice;
        let buyer = &invoice.buyer;
        let domain = buyer.domain.as_deref().unwrap_or_default();
        let named = [buyer.tenant_id.as_str(), &buyer.name, domain, &buyer.country];
        let mut bought = edge.subscriptions.by_id.values();
        if let Some(other) =
            bought.find(|bought| bought.customer[0] == named[0] && bought.customer != named)
        {
            let place = format!("{}:{}", edge.subscriptions.path, other.line);
            let reason = format!("buyer {} differs from {place}", buyer.key);
            edge.invoice.fault(faults, "buyer", reason);
        }
        for (role, party) in [("seller", &invoice.seller), ("buyer", &invoice.buyer)] {
            let first = *known.entry(&party.key).or_insert(party);
            // Where tax has nothing to do with it, a document does not say who is registered.
            let alike = Party { vat_id: first.vat_id.clone(), ..party.clone() };
            let at_home = party.vat_id.as_ref().filter(|id| id.starts_with(&party.country));
            let other_id = at_home.is_some_and(|id| **ids.entry(&party.key).or_insert(id) != *id);
            if *first != alike || other_id {
                let reason = format!("{role} {} differs from the other invoices", party.key);
                edge.invoice.fault(faults, role, reason);
            }
        }
        let start: Option<Timestamp> = invoice.period_start.parse().ok();
        let end: Option<Timestamp> = invoice.period_end.parse().ok();
        if start.is_none() || end.is_none() || start >= end {
            edge.invoice.fault(faults, "period_start", "the period has no bounds in order");
        }
    }
}
