//! The rows of an edge: each is checked, and together they make the invoice.

use crate::adjustment::{Adjusted, Billed};
use crate::daily;
use crate::edge::Edge;
use crate::fault::Faults;
use crate::folder::Folder;
use crate::number;
use crate::paths::Paths;
use crate::reconciliation::{self, of_group};
use crate::used::Usage;

/// What the rows of an edge came to.
#[derive(Debug, Default)]
pub(crate) struct EdgeSeen<'a> {
    pub net: String,
    pub rated_lines: u64,
    pub lines: u64,
    pub usage: Usage<'a>,
}

/// Checks every row of an edge, and goes on with what has been billed on it.
pub(crate) fn check<'a>(
    edge: &'a Edge<'a>,
    folder: &'a Folder,
    paths: &'a Paths<'_>,
    (billed, adjusted): (&mut Billed, &Adjusted),
    faults: &mut Faults,
) -> EdgeSeen<'a> {
    let certified = edge.certified;
    if !edge.knows_rounding() {
        folder.certificate_fault(
            faults,
            &format!("\"rounding\": \"{}\"", certified.rounding),
            format!("{} is not a way of rounding", certified.rounding),
        );
    }
    let (daily, lines) = if edge.revision.revision == 0 {
        let mut daily = daily::check(edge, folder, paths, adjusted, faults);
        *billed = Billed::of_close(edge, &mut daily);
        let lines = daily.groups.iter().map(|group| of_group(edge, group)).collect();
        (daily, lines)
    } else {
        billed.adjust(edge, folder, paths, faults)
    };
    let bill = reconciliation::check(edge, folder, (paths, &daily.resellers), lines, faults);
    edge.invoice.check_categories(&bill.categories, edge.decimals, faults);
    let net = number::money(&bill.net, edge.decimals);
    for (what, found, expected) in [
        ("net", certified.net.clone(), net.clone()),
        ("lines", certified.lines.to_string(), bill.lines.to_string()),
        ("rated_lines", certified.rated_lines.to_string(), daily.rated_lines.to_string()),
        ("rounding_lines", certified.rounding_lines.to_string(), daily.rounding_lines.to_string()),
    ] {
        if found != expected {
            let needle = format!("\"invoice\": \"{}\"", certified.invoice);
            let reason =
                format!("{what} of {} is {found}; the rows come to {expected}", certified.invoice);
            folder.certificate_fault(faults, &needle, reason);
        }
    }
    if edge.invoice.invoice.net != net {
        let reason = format!("net is {}; the lines come to {net}", edge.invoice.invoice.net);
        edge.invoice.fault(faults, "net", reason);
    }
    EdgeSeen { net, rated_lines: daily.rated_lines, lines: bill.lines, usage: daily.usage }
}
