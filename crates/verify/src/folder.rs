//! The folder as a whole: its certificate, and every file with its size and hash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fault::Faults;

/// The name of the certificate's file.
const CERTIFICATE: &str = "certificate.json";
/// The format that is understood.
const FORMAT: &str = "skyhandel-certificate-4";
/// The largest JSON document that is read, in bytes.
const JSON_MAX: u64 = 256 << 20;

/// The certificate, field by field in its order.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificate {
    pub format: String,
    pub programme: String,
    pub period: String,
    pub period_start: String,
    pub period_end: String,
    pub zone: String,
    pub policy: String,
    pub seller: Option<String>,
    pub buyer: Option<String>,
    pub revisions: Vec<Revision>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub received: Vec<ReceivedInvoice>,
    pub files: Vec<CertifiedFile>,
    pub sha256: String,
}

/// An invoice that was received.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReceivedInvoice {
    pub seller: String,
    pub buyer: String,
    pub invoice: String,
    pub invoice_id: String,
    pub issue_date: String,
    pub currency: String,
    pub net: String,
    pub tax: String,
    pub gross: String,
    pub lines: u64,
    pub daily_rows: u64,
    pub daily_billed: String,
    pub differences: Option<String>,
}

/// What was billed at one time: by the close, or by an adjustment after it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Revision {
    pub revision: u32,
    pub issue_date: String,
    pub engine_version: u32,
    pub rate_book: String,
    pub books: Vec<String>,
    pub derivations: Vec<String>,
    pub edges: Vec<CertifiedEdge>,
    pub not_corrected: Vec<UncorrectedEdge>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rated_by_seller: Vec<SellerRatedEdge>,
}

/// An edge that stays as it was billed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UncorrectedEdge {
    pub seller: String,
    pub buyer: String,
}

/// An edge whose seller rates it elsewhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SellerRatedEdge {
    pub seller: String,
    pub buyer: String,
    pub currency: String,
}

impl SellerRatedEdge {
    /// Seller and buyer.
    pub fn place(&self) -> String {
        format!("{}/{}", self.seller, self.buyer)
    }
}

/// An edge of the certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertifiedEdge {
    pub seller: String,
    pub buyer: String,
    pub invoice: String,
    pub currency: String,
    pub rounding: String,
    pub net: String,
    pub tax: String,
    pub gross: String,
    pub lines: u64,
    pub rated_lines: u64,
    pub rounding_lines: u64,
    pub billing_decimals: u8,
    pub pricing_decimals: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legacy_lines: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earned_credit: Option<String>,
}

impl CertifiedEdge {
    /// Seller and buyer.
    pub fn place(&self) -> String {
        format!("{}/{}", self.seller, self.buyer)
    }
}

/// A file of the certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CertifiedFile {
    pub path: String,
    pub bytes: u64,
    pub sha256: String,
}

/// A folder with a certificate that can be read.
pub(crate) struct Folder {
    pub root: PathBuf,
    pub certificate: Certificate,
    text: String,
    present: BTreeSet<String>,
}

impl Folder {
    /// Reads the certificate and compares it with the files; none where there is nothing to
    /// compare with.
    pub fn open(root: &Path, faults: &mut Faults) -> Option<Self> {
        let text = read_text(&root.join(CERTIFICATE))
            .map_err(|reason| faults.add(CERTIFICATE, None, reason))
            .ok()?;
        let certificate: Certificate = serde_json::from_str(&text)
            .map_err(|error| {
                let line = Some(error.line() as u64);
                faults.add(CERTIFICATE, line, error.to_string());
            })
            .ok()?;
        let mut present = BTreeSet::new();
        if let Err(reason) = collect(root, "", &mut present) {
            faults.add(".", None, reason);
        }
        let folder = Self { root: root.to_owned(), certificate, text, present };
        folder.check_certificate(faults);
        folder.check_revisions(faults);
        for revision in &folder.certificate.revisions {
            folder.check_scope(revision, faults);
        }
        folder.check_files(faults);
        Some(folder)
    }

    /// The line of the certificate in which a text first occurs.
    pub fn certificate_line(&self, needle: &str) -> Option<u64> {
        line_of(&self.text, needle)
    }

    /// A fault of the certificate, at the line with a text.
    pub fn certificate_fault(&self, faults: &mut Faults, needle: &str, reason: impl Into<String>) {
        faults.add(CERTIFICATE, self.certificate_line(needle), reason);
    }

    /// The path of a file of a revision.
    pub fn path(&self, revision: &Revision, rest: &str) -> String {
        match revision.revision {
            0 => format!("{}/{rest}", self.certificate.period),
            number => format!("{}/adjustment-{number}/{rest}", self.certificate.period),
        }
    }

    /// Where the files of a received invoice lie.
    pub fn received_place(&self, invoice: &ReceivedInvoice) -> String {
        format!("{}/received/{}", self.certificate.period, invoice.invoice_id)
    }

    /// Whether everybody's files are here.
    pub fn is_whole(&self) -> bool {
        self.certificate.seller.is_none() && self.certificate.buyer.is_none()
    }

    /// Whether there is a file.
    pub fn has(&self, path: &str) -> bool {
        self.present.contains(path)
    }

    /// The table of a name in any of its forms.
    pub fn table(&self, place: &str, name: &str) -> Option<String> {
        ["csv", "csv.gz", "parquet"]
            .into_iter()
            .map(|form| format!("{place}/{name}.{form}"))
            .find(|path| self.present.contains(path))
    }

    fn check_certificate(&self, faults: &mut Faults) {
        let certificate = &self.certificate;
        let at = |needle: &str| (CERTIFICATE, self.certificate_line(needle));
        faults.same(at("\"format\""), "format", &certificate.format, FORMAT);
        faults.same(at("\"policy\""), "policy", &certificate.policy, "exact");
        match pretty(certificate) {
            Some(text) if text == self.text => {}
            Some(text) => {
                let differs = text.lines().zip(self.text.lines()).position(|(a, b)| a != b);
                let line = differs.map(|at| at as u64 + 1);
                faults.add(CERTIFICATE, line, "is not written in the certificate's form");
            }
            None => faults.add(CERTIFICATE, None, "cannot be written again"),
        }
        let unsigned = Certificate { sha256: String::new(), ..certificate.clone() };
        let hash = pretty(&unsigned).map(|text| hex(&Sha256::digest(text)));
        if hash.as_ref() != Some(&certificate.sha256) {
            let line = line_of(&self.text, &format!("\"sha256\": \"{}\"", certificate.sha256));
            faults.add(CERTIFICATE, line, "its own hash does not fit: it has been changed");
        }
    }

    /// Revisions follow each other, the close first; somebody's own files may lack some.
    fn check_revisions(&self, faults: &mut Faults) {
        let numbers: Vec<u32> = self.certificate.revisions.iter().map(|r| r.revision).collect();
        let follow = |pair: &[u32]| {
            if self.is_whole() {
                pair[0].checked_add(1) == Some(pair[1])
            } else {
                pair[0] < pair[1]
            }
        };
        if numbers.first() != Some(&0) || !numbers.windows(2).all(follow) {
            let reason = format!("the revisions {numbers:?} do not follow each other from 0");
            self.certificate_fault(faults, "\"revisions\"", reason);
        }
        for pair in self.certificate.revisions.windows(2) {
            if pair[1].issue_date < pair[0].issue_date {
                let reason = format!("revision {} was issued before", pair[1].revision);
                let needle = format!("\"issue_date\": \"{}\"", pair[1].issue_date);
                self.certificate_fault(faults, &needle, reason);
            }
        }
    }

    /// What the certificate says it is of: everything, or what somebody sells or buys.
    fn check_scope(&self, revision: &Revision, faults: &mut Faults) {
        let Certificate { seller, buyer, .. } = &self.certificate;
        let Revision { edges, books, derivations, .. } = revision;
        let fits = |wish: &Option<String>, key: &str| wish.as_ref().is_none_or(|wish| wish == key);
        for invoice in &self.certificate.received {
            if !fits(seller, &invoice.seller) || !fits(buyer, &invoice.buyer) {
                let needle = format!("\"invoice_id\": \"{}\"", invoice.invoice_id);
                let reason = format!("{} is outside what the certificate is of", invoice.invoice);
                self.certificate_fault(faults, &needle, reason);
            }
        }
        for edge in edges {
            if !fits(seller, &edge.seller) || !fits(buyer, &edge.buyer) {
                let needle = format!("\"invoice\": \"{}\"", edge.invoice);
                let reason = format!("{} is outside what the certificate is of", edge.invoice);
                self.certificate_fault(faults, &needle, reason);
            }
        }
        for edge in &revision.rated_by_seller {
            if !fits(seller, &edge.seller) || !fits(buyer, &edge.buyer) {
                let needle = "\"rated_by_seller\"";
                let reason = format!("{} is outside what the certificate is of", edge.place());
                self.certificate_fault(faults, needle, reason);
            }
        }
        let sellers: BTreeSet<&str> = edges.iter().map(|edge| edge.seller.as_str()).collect();
        let buyers = edges.iter().map(|edge| edge.buyer.as_str());
        let mut everybody: BTreeSet<&str> = sellers.iter().copied().chain(buyers).collect();
        if revision.revision == 0 {
            everybody.extend(self.certificate.received.iter().map(|i| i.buyer.as_str()));
        }
        let same = |stated: &[String], expected: &BTreeSet<&str>| {
            stated.iter().map(String::as_str).eq(expected.iter().copied())
        };
        if buyer.is_none() && !same(derivations, &sellers) {
            self.certificate_fault(
                faults,
                "\"derivations\"",
                "derivations are not of every seller",
            );
        }
        if seller.is_none() && buyer.is_none() && !same(books, &everybody) {
            self.certificate_fault(faults, "\"books\"", "books are not of every organisation");
        }
        if books.windows(2).any(|pair| pair[0] >= pair[1]) {
            self.certificate_fault(faults, "\"books\"", "books are not in order");
        }
    }

    fn check_files(&self, faults: &mut Faults) {
        let mut listed = BTreeSet::from([CERTIFICATE.to_owned()]);
        for file in &self.certificate.files {
            if !listed.insert(file.path.clone()) {
                self.certificate_fault(
                    faults,
                    &file.path,
                    format!("{} is listed twice", file.path),
                );
            }
            if !self.present.contains(&file.path) {
                faults.add(&file.path, None, "is missing");
                continue;
            }
            match size_and_hash(&self.root.join(&file.path)) {
                Ok((bytes, hash)) if bytes == file.bytes && hash == file.sha256 => {}
                Ok((bytes, hash)) => {
                    let reason = format!(
                        "has been changed: {bytes} bytes with hash {hash}; the certificate says \
                         {} bytes with hash {}",
                        file.bytes, file.sha256
                    );
                    faults.add(&file.path, None, reason);
                }
                Err(reason) => faults.add(&file.path, None, reason),
            }
        }
        let expected = self.expected();
        for path in self.present.difference(&listed) {
            faults.add(path, None, "is not in the certificate");
        }
        for path in self.present.iter().filter(|path| *path != CERTIFICATE) {
            let known = expected.get(path.as_str()).copied();
            let plain = ["csv", "csv.gz", "parquet"].iter().find_map(|form| {
                path.strip_suffix(&format!(".{form}")).and_then(|stem| expected.get(stem))
            });
            if known.is_none() && plain.is_none() {
                faults.add(path, None, "belongs to no edge of the certificate");
            }
        }
        for (path, form) in expected {
            let there = match form {
                Form::Fixed => self.present.contains(&path),
                Form::Table => {
                    let (place, name) = path.rsplit_once('/').unwrap_or(("", &path));
                    self.table(place, name).is_some()
                }
            };
            if !there {
                faults.add(&path, None, "is missing");
            }
        }
    }

    /// What must be there by the certificate's edges.
    fn expected(&self) -> BTreeMap<String, Form> {
        let mut expected = BTreeMap::new();
        for invoice in &self.certificate.received {
            for name in ["reconciliation", "daily-rated-usage"] {
                let path = format!("{}/{name}", self.received_place(invoice));
                expected.insert(path, Form::Table);
            }
        }
        for revision in &self.certificate.revisions {
            for edge in &revision.edges {
                let place = self.path(revision, &format!("{}/{}", edge.seller, edge.buyer));
                for name in ["invoice.json", "prices.csv", "subscriptions.csv"] {
                    expected.insert(format!("{place}/{name}"), Form::Fixed);
                }
                if edge.legacy_lines.is_some() {
                    expected.insert(format!("{place}/legacy-usage"), Form::Table);
                }
                if edge.earned_credit.is_some() {
                    for name in ["credits.csv", "credit-exceptions.csv"] {
                        expected.insert(format!("{place}/{name}"), Form::Fixed);
                    }
                }
                for name in ["reconciliation", "daily-rated-usage"] {
                    expected.insert(format!("{place}/{name}"), Form::Table);
                }
            }
            let charged = self.path(revision, "charged-days.csv");
            if self.is_whole() && self.has(&charged) {
                expected.insert(charged, Form::Fixed);
            }
            for edge in &revision.rated_by_seller {
                let file = format!("{}/prices.csv", edge.place());
                expected.insert(self.path(revision, &file), Form::Fixed);
            }
            for book in &revision.books {
                expected.insert(self.path(revision, &format!("{book}/ledger.csv")), Form::Fixed);
            }
            for seller in &revision.derivations {
                let path = self.path(revision, &format!("{seller}/derivations.csv"));
                expected.insert(path, Form::Fixed);
            }
        }
        expected
    }
}

/// Whether a file has one form or comes in several.
#[derive(Debug, Clone, Copy)]
enum Form {
    Fixed,
    Table,
}

/// A JSON document as the export writes it.
pub(crate) fn pretty<T: Serialize>(document: &T) -> Option<String> {
    serde_json::to_string_pretty(document).ok().map(|text| text + "\n")
}

/// The first line with a text, counted from one.
pub(crate) fn line_of(text: &str, needle: &str) -> Option<u64> {
    text.lines().position(|line| line.contains(needle)).map(|at| at as u64 + 1)
}

/// Reads a document, if it is of a size that one has.
pub(crate) fn read_text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > JSON_MAX {
        return Err(format!("has {size} bytes; {JSON_MAX} at most are read"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

fn collect(root: &Path, below: &str, found: &mut BTreeSet<String>) -> Result<(), String> {
    let entries = std::fs::read_dir(root.join(below)).map_err(|error| error.to_string())?;
    for entry in entries {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.path().is_dir() {
            collect(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

fn size_and_hash(path: &Path) -> Result<(u64, String), String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let (mut hash, mut buffer, mut bytes) = (Sha256::new(), vec![0; 1 << 20], 0);
    loop {
        match file.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return Ok((bytes, hex(&hash.finalize()))),
            read => {
                bytes += read as u64;
                hash.update(&buffer[..read]);
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into a text cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
