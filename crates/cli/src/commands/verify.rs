//! `skyhandel verify`

use std::path::Path;
use std::process::ExitCode;

use kernel::{Error, Result};
use serde::Serialize;
use verify::{Report, VerifiedEdge};

use crate::output::{Output, table};

/// The exit code of a folder that does not tie out.
const FAILED: u8 = 1;

#[derive(Serialize)]
struct VerifiedJson {
    folder: String,
    period: String,
    certificate: &'static str,
    sha256: String,
    files: u64,
    edges: Vec<EdgeJson>,
    faults: Vec<FaultJson>,
    more_faults: u64,
}

#[derive(Serialize)]
struct EdgeJson {
    revision: u32,
    seller: String,
    buyer: String,
    currency: String,
    net: String,
    invoice: String,
    lines: u64,
    rated_lines: u64,
}

#[derive(Serialize)]
struct FaultJson {
    file: String,
    line: Option<u64>,
    reason: String,
}

pub fn run(folder: &Path, workers: usize, output: Output) -> Result<ExitCode> {
    if !folder.is_dir() {
        let missing = std::io::Error::from(std::io::ErrorKind::NotFound);
        return Err(Error::file(folder)(missing));
    }
    let report = verify::verify(folder, workers);
    let json = VerifiedJson {
        folder: folder.display().to_string(),
        period: report.period.clone(),
        certificate: verdict(&report),
        sha256: report.certificate.clone(),
        files: report.files,
        edges: report.edges.iter().map(edge).collect(),
        faults: faults(&report),
        more_faults: report.faults.more(),
    };
    output.print(&json, || describe(folder, &report));
    Ok(if report.passes() { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

/// What is said of a folder in one word.
pub fn verdict(report: &Report) -> &'static str {
    if report.passes() { "pass" } else { "fail" }
}

/// The report for people.
pub fn describe(folder: &Path, report: &Report) -> String {
    let mut lines = Vec::new();
    if !report.edges.is_empty() {
        let headers =
            ["seller", "buyer", "of", "invoice", "net", "currency", "lines", "rated lines"];
        let rows: Vec<Vec<String>> = report.edges.iter().map(row).collect();
        lines.push(table(&headers, &[4, 6, 7], &rows));
        lines.push(String::new());
    }
    lines.extend(report.faults.listed().iter().map(ToString::to_string));
    if report.faults.more() > 0 {
        lines.push(format!("... and {} more", report.faults.more()));
    }
    let (files, folder) = (report.files, folder.display());
    lines.push(if report.passes() {
        format!(
            "PASS: {files} files of {} in {folder} tie out to the last unit.\nCertificate {}",
            report.period, report.certificate
        )
    } else {
        format!("FAIL: {folder} does not tie out.")
    });
    lines.join("\n")
}

fn row(edge: &VerifiedEdge) -> Vec<String> {
    let VerifiedEdge { revision, seller, buyer, invoice, currency, net, rated_lines, lines } = edge;
    let of = if *revision == 0 { "close".to_owned() } else { format!("adjustment {revision}") };
    let (lines, rated_lines) = (lines.to_string(), rated_lines.to_string());
    [seller, buyer, &of, invoice, net, currency, &lines, &rated_lines].map(String::clone).to_vec()
}

fn edge(edge: &VerifiedEdge) -> EdgeJson {
    EdgeJson {
        revision: edge.revision,
        seller: edge.seller.clone(),
        buyer: edge.buyer.clone(),
        currency: edge.currency.clone(),
        net: edge.net.clone(),
        invoice: edge.invoice.clone(),
        lines: edge.lines,
        rated_lines: edge.rated_lines,
    }
}

fn faults(report: &Report) -> Vec<FaultJson> {
    let listed = report.faults.listed().iter();
    let fault = |fault: &verify::Fault| FaultJson {
        file: fault.file.clone(),
        line: fault.line,
        reason: fault.reason.clone(),
    };
    listed.map(fault).collect()
}
