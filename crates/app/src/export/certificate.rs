//! The certificate: every file with its hash, every edge with its figures.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use documents::certificate::{
    Certificate, CertifiedEdge, CertifiedFile, CertifiedReceived, CertifiedRevision, FORMAT,
    SellerRatedEdge, UncorrectedEdge,
};
use kernel::{Error, OrganisationId, Percent, Result};
use rating::RateBook;
use sha2::{Digest, Sha256};
use store::CloseRow;

use super::daily::Decimal;
use super::{ExportOptions, Frozen, WantedEdge};
use crate::naming::Naming;
use crate::partitions::in_parallel;
use crate::sheets;

/// What was written of one revision.
pub(super) struct Written<'a> {
    pub close: &'a CloseRow,
    pub book: &'a RateBook,
    pub naming: &'a Naming<'a>,
    pub with_derivations: bool,
    pub wanted: &'a [WantedEdge<'a>],
    /// The credit that is earned on each wanted edge.
    pub earned: Vec<Option<Percent>>,
    /// Rows of the legacy file of each wanted edge that has one.
    pub legacy: Vec<Option<u64>>,
    pub rounding_lines: &'a [u64],
    /// Of each wanted edge.
    pub decimals: Vec<Decimal>,
    pub books: &'a BTreeSet<OrganisationId>,
    /// Seller and buyer of edges that are no longer corrected.
    pub not_corrected: BTreeSet<(&'a str, &'a str)>,
    /// Those that others rate.
    pub rated_by_seller: Vec<SellerRatedEdge>,
}

impl Written<'_> {
    /// The revision as a certificate states it.
    pub fn certified(&self) -> CertifiedRevision {
        let mut sellers: Vec<String> =
            self.wanted.iter().map(|edge| edge.seller.to_owned()).collect();
        sellers.dedup();
        let mut books: Vec<String> =
            self.books.iter().map(|id| self.naming.key(*id).to_owned()).collect();
        books.sort();
        CertifiedRevision {
            revision: self.close.revision,
            issue_date: self.close.issue_on.to_string(),
            engine_version: self.close.engine_version,
            rate_book: self.close.rate_book.clone(),
            books,
            derivations: if self.with_derivations { sellers } else { Vec::new() },
            edges: self.edges(),
            not_corrected: named(&self.not_corrected),
            rated_by_seller: self.rated_by_seller.clone(),
        }
    }

    fn edges(&self) -> Vec<CertifiedEdge> {
        let edges = self.wanted.iter().zip(self.rounding_lines).zip(&self.decimals);
        let edges = edges.zip(&self.earned).zip(&self.legacy);
        edges
            .map(|((((edge, rounding_lines), decimals), earned), legacy)| CertifiedEdge {
                legacy_lines: *legacy,
                earned_credit: earned.as_ref().map(ToString::to_string),
                seller: edge.seller.to_owned(),
                buyer: edge.buyer.to_owned(),
                invoice: edge.invoice.number.clone(),
                currency: edge.invoice.net.currency().to_string(),
                rounding: self.book.edges()[edge.edge.get()].rounding.to_string(),
                net: edge.invoice.net.digits(),
                tax: edge.invoice.tax.digits(),
                gross: edge.invoice.gross().map_or_else(|_| String::new(), kernel::Money::digits),
                lines: edge.invoice.invoice_lines,
                rated_lines: edge.invoice.rated_lines,
                rounding_lines: *rounding_lines,
                billing_decimals: decimals.billing,
                pricing_decimals: decimals.pricing,
            })
            .collect()
    }
}

fn named(edges: &BTreeSet<(&str, &str)>) -> Vec<UncorrectedEdge> {
    let named = |(seller, buyer): &(&str, &str)| UncorrectedEdge {
        seller: (*seller).to_owned(),
        buyer: (*buyer).to_owned(),
    };
    edges.iter().map(named).collect()
}

/// Writes the certificate over everything that lies in a folder; says how many files that is.
pub(super) fn write(
    frozen: &Frozen,
    options: &ExportOptions,
    (revisions, received): (Vec<CertifiedRevision>, Vec<CertifiedReceived>),
    to: &Path,
) -> Result<u64> {
    let period = frozen.close.month.in_zone(&frozen.known.programme.zone);
    let mut certificate = Certificate {
        format: FORMAT.to_owned(),
        programme: frozen.known.programme.name.clone(),
        period: frozen.close.month.to_string(),
        period_start: period.start().to_string(),
        period_end: period.end().to_string(),
        zone: frozen.known.programme.zone.to_string(),
        policy: "exact".to_owned(),
        seller: options.seller.clone(),
        buyer: options.buyer.clone(),
        revisions,
        received,
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
