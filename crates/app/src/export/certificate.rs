//! The certificate: every file with its hash, every edge with its figures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use documents::certificate::{Certificate, CertifiedEdge, CertifiedFile, FORMAT};
use kernel::{Error, OrganisationId, Result};
use sha2::{Digest, Sha256};

use super::daily::Decimal;
use super::{ExportOptions, Frozen, WantedEdge};
use crate::naming::Naming;
use crate::partitions::in_parallel;
use crate::sheets;

/// What the certificate says besides the frozen facts.
pub(super) struct Written<'a> {
    pub options: &'a ExportOptions,
    pub wanted: &'a [WantedEdge<'a>],
    pub rounding_lines: &'a [u64],
    pub decimals: Decimal,
    pub books: &'a BTreeSet<OrganisationId>,
}

/// Writes the certificate over everything that lies in a folder; says how many files that is.
pub(super) fn write(
    frozen: &Frozen,
    naming: &Naming<'_>,
    written: &Written<'_>,
    to: &Path,
) -> Result<u64> {
    let period = frozen.close.month.in_zone(&frozen.known.programme.zone);
    let mut sellers: Vec<String> =
        written.wanted.iter().map(|edge| edge.seller.to_owned()).collect();
    sellers.dedup();
    let mut books: Vec<String> =
        written.books.iter().map(|id| naming.key(*id).to_owned()).collect();
    books.sort();
    let mut certificate = Certificate {
        format: FORMAT.to_owned(),
        programme: frozen.known.programme.name.clone(),
        period: frozen.close.month.to_string(),
        period_start: period.start().to_string(),
        period_end: period.end().to_string(),
        zone: frozen.known.programme.zone.to_string(),
        issue_date: frozen.close.issue_on.to_string(),
        policy: "exact".to_owned(),
        engine_version: frozen.close.engine_version,
        rate_book: frozen.close.rate_book.clone(),
        seller: written.options.seller.clone(),
        buyer: written.options.buyer.clone(),
        books,
        derivations: if written.options.buyer.is_none() { sellers } else { Vec::new() },
        edges: edges(frozen, written),
        files: files(to)?,
        sha256: String::new(),
    };
    certificate.sha256 = sheets::hex(&Sha256::digest(json(&certificate)?));
    let path = to.join("certificate.json");
    std::fs::write(&path, json(&certificate)?).map_err(Error::file(&path))?;
    Ok(certificate.files.len() as u64 + 1)
}

fn json(certificate: &Certificate) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec_pretty(certificate)
        .map_err(|error| Error::internal(error.to_string()))?;
    json.push(b'\n');
    Ok(json)
}

fn edges(frozen: &Frozen, written: &Written<'_>) -> Vec<CertifiedEdge> {
    let edges = written.wanted.iter().zip(written.rounding_lines);
    edges
        .map(|(edge, rounding_lines)| CertifiedEdge {
            seller: edge.seller.to_owned(),
            buyer: edge.buyer.to_owned(),
            invoice: edge.invoice.number.clone(),
            currency: edge.invoice.net.currency().to_string(),
            rounding: frozen.book.edges()[edge.edge.get()].rounding.to_string(),
            net: edge.invoice.net.digits(),
            lines: edge.invoice.invoice_lines,
            rated_lines: edge.invoice.rated_lines,
            rounding_lines: *rounding_lines,
            billing_decimals: written.decimals.billing,
            pricing_decimals: written.decimals.pricing,
        })
        .collect()
}

/// Every file below a folder, by path.
fn files(folder: &Path) -> Result<Vec<CertifiedFile>> {
    let mut paths = Vec::new();
    collect(folder, &mut paths)?;
    paths.sort();
    in_parallel(crate::workers(), paths.len(), |at| {
        let path = &paths[at];
        let relative = path.strip_prefix(folder).unwrap_or(path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        Ok(CertifiedFile {
            path: parts.join("/"),
            bytes: std::fs::metadata(path).map_err(Error::file(path))?.len(),
            sha256: sheets::sha256(path)?,
        })
    })
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::file(folder))? {
        let path = entry.map_err(Error::file(folder))?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}
