//! `skyhandel demo`: a sample of our own through the same operations as the commands, from price
//! sheet and usage to verified invoices at every tier.

mod catalogue;
mod random;
mod sample;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use app::adjust::Differences;
use app::export::{ExportOptions, Exported, ExportedEdge, export};
use app::imports::{self, PriceOptions, UsageOptions};
use app::rate::{EdgeTotal, Rated, rate};
use app::{Ctx, Installation, Progress};
use documents::Format;
use jiff::Timestamp;
use kernel::{Error, Key, Money, Month, Result};
use serde::Serialize;

use crate::args::DemoArgs;
use crate::commands::adjust::edges;
use crate::commands::rate::{AmountJson, amounts};
use crate::commands::verify::{describe, verdict};
use crate::output::{Output, line, table};
use sample::Sample;

/// When the demo takes place: so that it is the same whenever it is run.
const NOW: &str = "2026-11-02T08:00:00Z";
/// When something arrives that should have been in the closed month.
const LATER: &str = "2026-11-10T08:00:00Z";
/// A file that tells an earlier demo, which may be replaced, from anything else.
const MARKER: &str = ".skyhandel-demo";
/// The folders of a demo.
const FOLDERS: [&str; 3] = ["input", "data", "documents"];

#[derive(Serialize)]
struct DemoJson {
    period: String,
    usage_lines: u64,
    edges: Vec<EdgeJson>,
    /// What was billed besides, because usage arrived after the close.
    adjustments: Vec<AdjustmentJson>,
    certificate: &'static str,
    certificate_sha256: String,
    documents: String,
}

#[derive(Serialize)]
struct EdgeJson {
    seller: String,
    buyer: String,
    currency: String,
    lines: u64,
    rated_lines: u64,
    net: String,
    gross: String,
    bought: Vec<AmountJson>,
    margin: Option<String>,
    invoice: String,
    documents: String,
}

#[derive(Serialize)]
struct AdjustmentJson {
    seller: String,
    buyer: String,
    currency: String,
    net: String,
    invoice: String,
    documents: String,
}

/// Runs the demo in a folder.
pub async fn run(args: &DemoArgs, progress: &dyn Progress, output: Output) -> Result<ExitCode> {
    let folder = args.dir.as_path();
    prepare(folder)?;
    let say = |text: String| {
        if !output.is_json() {
            line(&text);
        }
    };
    let sample = sample::write(&folder.join("input"), args.seed, args.scale)?;
    say(format!(
        "A programme and {} usage lines in {}",
        sample.lines,
        folder.join("input").display()
    ));
    let installation = Installation::init(&folder.join("data"), None).await?;
    let now: Timestamp = NOW.parse().map_err(|error| Error::internal(format!("{error}")))?;
    let ctx = Ctx::console(&installation, now, progress);
    load(ctx, &sample, folder, &say).await?;
    let month: Month = sample::MONTH.parse().map_err(Error::internal)?;
    let workers = app::workers();
    let rated = rate(ctx, month, workers, None).await?;
    say(command(folder, &format!("close --period {month}")));
    app::close::close(ctx, month, None, workers).await?;
    let late = adjust(ctx, &sample, folder, &say).await?;
    let documents = folder.join("documents");
    say(command(folder, &format!("export --period {month} --to {}", documents.display())));
    let options = ExportOptions { month, format: Format::Csv, seller: None, buyer: None };
    let exported = export(ctx, &documents, &options).await?;
    say(format!("  skyhandel verify {}", documents.display()));
    let report = verify::verify(&documents, workers);
    let json = DemoJson {
        period: month.to_string(),
        usage_lines: sample.lines,
        edges: rows(&rated, &exported)?,
        adjustments: adjustments(&exported),
        certificate: verdict(&report),
        certificate_sha256: report.certificate.clone(),
        documents: documents.display().to_string(),
    };
    output.print(&json, || summary(&json, &rated, &late, &describe(&documents, &report)));
    Ok(if report.passes() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes room: in a new folder, or in place of an earlier demo.
fn prepare(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let marker = folder.join(MARKER);
    let mut entries = std::fs::read_dir(folder).map_err(Error::file(folder))?;
    if entries.next().is_some() && !marker.exists() {
        let folder = folder.display();
        return Err(Error::conflict(format!(
            "{folder} has files that are not of a demo; name another folder with --dir"
        )));
    }
    std::fs::write(&marker, "").map_err(Error::file(&marker))?;
    for below in FOLDERS {
        let below = folder.join(below);
        if below.exists() {
            std::fs::remove_dir_all(&below).map_err(Error::file(&below))?;
        }
    }
    Ok(())
}

/// The command that does the same.
fn command(folder: &Path, arguments: &str) -> String {
    format!("  skyhandel {arguments} --data {}", folder.join("data").display())
}

/// Applies the programme and imports prices, rates and usage.
async fn load(ctx: Ctx<'_>, sample: &Sample, folder: &Path, say: &dyn Fn(String)) -> Result<()> {
    say("by these commands:".to_owned());
    say(format!("  skyhandel init --data {}", folder.join("data").display()));
    let file = sample.programme.display().to_string();
    say(command(folder, &format!("apply {file} --yes")));
    let text =
        std::fs::read_to_string(&sample.programme).map_err(Error::file(&sample.programme))?;
    app::programme::apply(ctx, &file, &text, None).await?;
    let sheet: Key = "nordlys".parse().map_err(|why| Error::internal(format!("{why}")))?;
    let options =
        PriceOptions { sheet, market: None, valid_from: None, quarantine: None, restate: None };
    say(command(folder, &format!("import prices {} --sheet nordlys", sample.prices.display())));
    imports::import_prices(ctx, &sample.prices, &options).await?;
    say(command(folder, &format!("import rates {}", sample.rates.display())));
    imports::import_rates(ctx, &sample.rates, None, None).await?;
    for file in &sample.usage {
        import_usage(ctx, file, folder, say).await?;
    }
    Ok(())
}

/// The last act: usage arrives after the close. Shows what that comes to on every tier, and bills
/// it.
async fn adjust(
    ctx: Ctx<'_>,
    sample: &Sample,
    folder: &Path,
    say: &dyn Fn(String),
) -> Result<Differences> {
    let now: Timestamp = LATER.parse().map_err(|error| Error::internal(format!("{error}")))?;
    let ctx = Ctx { now, ..ctx };
    let month: Month = sample::MONTH.parse().map_err(Error::internal)?;
    say("and a week later, when a late record and a correction arrive:".to_owned());
    import_usage(ctx, &sample.late, folder, say).await?;
    say(command(folder, &format!("adjust --period {month}")));
    let differences = app::adjust::differences(ctx, month, app::workers()).await?;
    say(command(folder, &format!("adjust --period {month} --post")));
    app::adjust::post(ctx, month, None, app::workers()).await?;
    Ok(differences)
}

async fn import_usage(
    ctx: Ctx<'_>,
    file: &Path,
    folder: &Path,
    say: &dyn Fn(String),
) -> Result<()> {
    let source: Key = "nordlys".parse().map_err(|why| Error::internal(format!("{why}")))?;
    let options = UsageOptions { source, format: None, subscription: None, quarantine: None };
    say(command(folder, &format!("import usage {} --source nordlys", file.display())));
    imports::import_usage(ctx, file, &options).await.map(|_| ())
}

fn adjustments(exported: &Exported) -> Vec<AdjustmentJson> {
    let adjusted = exported.edges.iter().filter(|edge| edge.invoice.revision > 0);
    let adjustment = |edge: &ExportedEdge| AdjustmentJson {
        seller: edge.seller.clone(),
        buyer: edge.buyer.clone(),
        currency: edge.invoice.net.currency().to_string(),
        net: edge.invoice.net.digits(),
        invoice: edge.invoice.number.clone(),
        documents: edge.folder.display().to_string(),
    };
    adjusted.map(adjustment).collect()
}

fn rows(rated: &Rated, exported: &Exported) -> Result<Vec<EdgeJson>> {
    let edges = exported.edges.iter().filter(|edge| edge.invoice.revision == 0).map(|edge| {
        let total = |total: &&EdgeTotal| {
            (&total.seller_key, &total.buyer_key) == (&edge.seller, &edge.buyer)
        };
        let total = rated.edges.iter().find(total);
        let total = total.ok_or_else(|| Error::internal("an invoice that was not rated"))?;
        Ok(EdgeJson {
            seller: edge.seller.clone(),
            buyer: edge.buyer.clone(),
            currency: edge.invoice.net.currency().to_string(),
            lines: edge.invoice.invoice_lines,
            rated_lines: edge.invoice.rated_lines,
            net: edge.invoice.net.digits(),
            gross: edge.invoice.gross()?.digits(),
            bought: total.bought.iter().map(AmountJson::of).collect(),
            margin: total.margin.map(Money::digits),
            invoice: edge.invoice.number.clone(),
            documents: edge.folder.display().to_string(),
        })
    });
    edges.collect()
}

fn summary(json: &DemoJson, rated: &Rated, late: &Differences, verified: &str) -> String {
    let headers =
        ["seller", "buyer", "bought for", "sold for", "margin", "with tax", "invoice", "documents"];
    let rows: Vec<Vec<String>> = json
        .edges
        .iter()
        .zip(&rated.edges)
        .map(|(edge, total)| {
            let margin = total.margin.map_or_else(String::new, |margin| margin.to_string());
            let documents = PathBuf::from(&edge.documents).display().to_string();
            vec![
                edge.seller.clone(),
                edge.buyer.clone(),
                amounts(&total.bought),
                total.net.to_string(),
                margin,
                edge.gross.clone(),
                edge.invoice.clone(),
                documents,
            ]
        })
        .collect();
    let verdict: Vec<&str> = verified.lines().skip_while(|line| !line.is_empty()).collect();
    format!(
        "\n{}\n\nThe late record and the correction came to:\n\n{}\n{}",
        table(&headers, &[2, 3, 4, 5], &rows),
        edges(&late.edges),
        verdict.join("\n")
    )
}
