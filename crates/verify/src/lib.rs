//! Proves an exported month from its files alone.
//!
//! **Owns** an arithmetic of its own: it shares no line with what wrote the files, so that a
//! mistake there does not hide itself here. Amounts are recomputed from quantities and prices,
//! prices from their sources, documents from their rows.
//! **Does not own** any repair: it says which file and line is not as it should be.

mod adjustment;
mod charged;
mod credits;
mod daily;
mod daily_columns;
mod derivations;
mod edge;
mod fault;
mod fill;
mod folder;
mod invoice;
mod ledger;
mod legacy;
mod number;
mod paths;
mod prices;
mod quantities;
mod received;
mod reconciliation;
mod rows;
mod series;
mod subscriptions;
mod table;
mod taxes;
mod used;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub use fault::{Fault, Faults};

use adjustment::{Adjusted, Billed, Pair, pair};
use edge::Edge;
use prices::Prices;
use rows::EdgeSeen;

/// What a verification found.
#[derive(Debug, Clone)]
pub struct Report {
    /// The verified month.
    pub period: String,
    /// The hash of the certificate, where there is one that can be read.
    pub certificate: String,
    /// Files that were read.
    pub files: u64,
    /// Edges, by revision, seller and buyer.
    pub edges: Vec<VerifiedEdge>,
    /// What is not as it should be; empty where everything ties out.
    pub faults: Faults,
}

/// An edge whose amounts were recomputed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEdge {
    /// Zero for the close, counting on for adjustments.
    pub revision: u32,
    /// The seller's key.
    pub seller: String,
    /// The buyer's key.
    pub buyer: String,
    /// The number of the invoice.
    pub invoice: String,
    /// The currency.
    pub currency: String,
    /// What the recomputed lines come to.
    pub net: String,
    /// Rows of the daily file that were recomputed.
    pub rated_lines: u64,
    /// Rows of the reconciliation file that were recomputed.
    pub lines: u64,
}

impl Report {
    /// Whether everything ties out.
    pub fn passes(&self) -> bool {
        self.faults.is_empty()
    }
}

/// Verifies an exported folder with so many workers.
pub fn verify(folder: &Path, workers: usize) -> Report {
    let mut faults = Faults::default();
    let mut report = Report {
        period: String::new(),
        certificate: String::new(),
        files: 0,
        edges: Vec::new(),
        faults: Faults::default(),
    };
    if let Some(folder) = folder::Folder::open(folder, &mut faults) {
        report.period.clone_from(&folder.certificate.period);
        report.certificate.clone_from(&folder.certificate.sha256);
        report.files = folder.certificate.files.len() as u64 + 1;
        report.edges = contents(&folder, workers, &mut faults);
    }
    report.faults = faults;
    report
}

fn contents(folder: &folder::Folder, workers: usize, faults: &mut Faults) -> Vec<VerifiedEdge> {
    let adjusted = adjustment::adjusted(folder, faults);
    let mut history = History::default();
    let mut verified = Vec::new();
    for revision in &folder.certificate.revisions {
        verified.extend(check_revision(
            folder,
            revision,
            (&adjusted, &mut history),
            workers,
            faults,
        ));
    }
    received::check(folder, folder.is_whole().then_some(&history.sold), faults);
    verified
}

/// What the revisions so far have billed, by edge.
#[derive(Default)]
struct History {
    billed: HashMap<Pair, Billed>,
    /// The price lists, those of the latest revision last.
    prices: HashMap<Pair, Vec<Prices>>,
    /// What has been sold, where received invoices want to know it.
    sold: received::Sold,
    /// The edges that are no longer corrected.
    closed: HashSet<Pair>,
}

/// Checks what was billed at one time, and goes on with what has been billed on each edge.
fn check_revision(
    folder: &folder::Folder,
    revision: &folder::Revision,
    (adjusted, history): (&Adjusted, &mut History),
    workers: usize,
    faults: &mut Faults,
) -> Vec<VerifiedEdge> {
    let certified = &revision.edges;
    let edges: Vec<Edge<'_>> =
        certified.iter().filter_map(|edge| Edge::load(folder, revision, edge, faults)).collect();
    check_corrected(folder, revision, &mut history.closed, faults);
    check_decimals(folder, revision, faults);
    series::check_numbers(folder, &edges, faults);
    series::check_parties(&edges, faults);
    let mut expected = expected_prices(folder, revision, faults);
    let charged = charged::ChargedDays::load(folder, revision, faults);
    let before = &history.prices;
    let lists =
        derivations::Lists { edges: &edges, expected: &expected, before, charged: &charged };
    derivations::check(folder, revision, &lists, faults);
    credits::check(revision, &edges, faults);
    ledger::check(folder, revision, &edges, faults);
    let paths = paths::Paths::of(&edges);
    paths.check(folder, (&edges, &charged), faults);
    let billed = &mut history.billed;
    let work: Vec<(&Edge<'_>, Mutex<Billed>)> = edges
        .iter()
        .map(|edge| (edge, Mutex::new(billed.remove(&pair(edge.certified)).unwrap_or_default())))
        .collect();
    let seen = in_parallel(workers, &work, |(edge, billed)| {
        let mut own = Faults::default();
        let mut billed = billed.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = rows::check(edge, folder, &paths, (&mut billed, adjusted), &mut own);
        (seen, own)
    });
    let mut verified = Vec::new();
    let mut all_seen: Vec<EdgeSeen<'_>> = Vec::new();
    for (edge, (seen, own)) in edges.iter().zip(seen) {
        faults.append(own);
        verified.push(VerifiedEdge {
            revision: revision.revision,
            seller: edge.certified.seller.clone(),
            buyer: edge.certified.buyer.clone(),
            invoice: edge.certified.invoice.clone(),
            currency: edge.certified.currency.clone(),
            net: seen.net.clone(),
            rated_lines: seen.rated_lines,
            lines: seen.lines,
        });
        all_seen.push(seen);
    }
    for (edge, done) in work {
        billed.insert(
            pair(edge.certified),
            done.into_inner().unwrap_or_else(PoisonError::into_inner),
        );
    }
    if !folder.certificate.received.is_empty() {
        let usage = all_seen.iter().flat_map(|seen| seen.usage.keys());
        let sold = usage.map(|(id, meter)| (id.to_lowercase(), meter.to_lowercase()));
        history.sold.extend(sold);
    }
    if revision.revision == 0 {
        quantities::check(folder, &edges, &all_seen, faults);
    } else {
        adjustment::check_used(&edges, &all_seen, (billed, &history.closed), faults);
    }
    drop(all_seen);
    drop(paths);
    for edge in edges {
        history.prices.entry(pair(edge.certified)).or_default().push(edge.prices);
    }
    for (pair, prices) in expected.drain() {
        history.prices.entry(pair).or_default().push(prices);
    }
    verified
}

/// What buyers expect to pay to sellers that rate in systems of their own.
fn expected_prices(
    folder: &folder::Folder,
    revision: &folder::Revision,
    faults: &mut Faults,
) -> HashMap<Pair, Prices> {
    let mut expected = HashMap::new();
    for edge in &revision.rated_by_seller {
        let billed = revision.edges.iter().any(|billed| billed.place() == edge.place());
        let place = folder.path(revision, &edge.place());
        let prices = Prices::load(folder, &place, &edge.currency, faults);
        let pair = (edge.seller.clone(), edge.buyer.clone());
        if billed || expected.insert(pair, prices).is_some() {
            let reason = format!("{} is rated by its seller, once", edge.place());
            folder.certificate_fault(faults, "\"rated_by_seller\"", reason);
        }
    }
    expected
}

/// What is no longer corrected stays so, and has no document.
fn check_corrected(
    folder: &folder::Folder,
    revision: &folder::Revision,
    closed: &mut HashSet<Pair>,
    faults: &mut Faults,
) {
    let needle = format!("\"revision\": {}", revision.revision);
    let said: Vec<Pair> =
        revision.not_corrected.iter().map(|e| (e.seller.clone(), e.buyer.clone())).collect();
    if revision.revision == 0 && !said.is_empty() {
        folder.certificate_fault(faults, &needle, "a close corrects nothing".to_owned());
    }
    if !said.is_sorted() {
        folder.certificate_fault(faults, &needle, "not_corrected is not in order".to_owned());
    }
    closed.extend(said);
    for edge in revision.edges.iter().filter(|edge| closed.contains(&pair(edge))) {
        let reason = format!("{} is no longer corrected, but has {}", edge.place(), edge.invoice);
        folder.certificate_fault(faults, &needle, reason);
    }
}

/// The amounts of all files are rounded at one place, if at all.
fn check_decimals(folder: &folder::Folder, revision: &folder::Revision, faults: &mut Faults) {
    let decimals = |edge: &folder::CertifiedEdge| (edge.billing_decimals, edge.pricing_decimals);
    let mut edges = revision.edges.iter();
    let Some(first) = edges.next().map(decimals) else { return };
    for edge in edges.filter(|edge| decimals(edge) != first) {
        let needle = format!("\"invoice\": \"{}\"", edge.invoice);
        let reason = format!("the decimals of {} differ from the other edges'", edge.invoice);
        folder.certificate_fault(faults, &needle, reason);
    }
}

/// Works on every item, as many at a time as there are workers; the answers come in order.
fn in_parallel<'a, T: Sync, R: Send>(
    workers: usize,
    items: &'a [T],
    work: impl Fn(&'a T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let answers: Mutex<Vec<(usize, R)>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..workers.clamp(1, items.len().max(1)) {
            scope.spawn(|| {
                while let Some((at, item)) = Some(next.fetch_add(1, Ordering::Relaxed))
                    .and_then(|at| items.get(at).map(|item| (at, item)))
                {
                    let answer = work(item);
                    answers.lock().unwrap_or_else(PoisonError::into_inner).push((at, answer));
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    answers.sort_by_key(|(at, _)| *at);
    answers.into_iter().map(|(_, answer)| answer).collect()
}
