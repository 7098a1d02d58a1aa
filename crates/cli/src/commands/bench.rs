//! `skyhandel bench`

use app::bench::{RateBenchmark, RateMeasured, rate};
use app::{Ctx, Installation, Progress};
use kernel::{Error, Result};
use serde::Serialize;

use crate::args::BenchRateArgs;
use crate::output::Output;

#[derive(Serialize)]
struct RateJson {
    lines: u64,
    rated_lines: u64,
    edges: usize,
    groups: u64,
    workers: usize,
    seconds: f64,
    totals_seconds: f64,
    lines_seconds: f64,
    lines_per_second: u64,
    floor_seconds: f64,
    ratio_to_floor: f64,
    differences_seconds: f64,
    difference_lines: u64,
    differences_ratio: f64,
    rehearsal_seconds: f64,
    rehearsal_ratio: f64,
    rehearsal_to_totals: f64,
    compile_seconds: f64,
    generate_seconds: f64,
    peak_bytes: Option<u64>,
    input_bytes: u64,
    output_bytes: u64,
    totals: Vec<String>,
    currency: String,
}

pub async fn run(args: &BenchRateArgs, progress: &dyn Progress, output: Output) -> Result<()> {
    let temporary = tempfile::tempdir().map_err(Error::file("a temporary folder"))?;
    let folder = args.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let installation = Installation::init(&folder.join("data"), None).await?;
    let now = crate::clock::now();
    let ctx = Ctx::console(&installation, now, progress);
    let workers = args.workers.unwrap_or_else(app::workers);
    let benchmark = RateBenchmark {
        lines: args.lines,
        workers,
        repeat: args.repeat,
        folder,
        for_peers: args.dir.is_some(),
    };
    let measured = rate(ctx, &benchmark)?;
    let json = json(&measured, workers);
    output.print(&json, || describe(&json));
    Ok(())
}

#[expect(clippy::float_arithmetic, clippy::cast_precision_loss, reason = "seconds, not amounts")]
fn json(measured: &RateMeasured, workers: usize) -> RateJson {
    let seconds = measured.lines_seconds;
    RateJson {
        lines: measured.lines,
        rated_lines: measured.rated_lines,
        edges: measured.edges,
        groups: measured.groups,
        workers,
        seconds,
        totals_seconds: measured.totals_seconds,
        lines_seconds: measured.lines_seconds,
        lines_per_second: (measured.lines as f64 / seconds) as u64,
        floor_seconds: measured.floor_seconds,
        ratio_to_floor: seconds / measured.floor_seconds,
        differences_seconds: measured.differences_seconds,
        difference_lines: measured.difference_lines,
        differences_ratio: measured.differences_seconds / seconds,
        rehearsal_seconds: measured.rehearsal_seconds,
        rehearsal_ratio: measured.rehearsal_seconds / seconds,
        rehearsal_to_totals: measured.rehearsal_seconds / measured.totals_seconds,
        compile_seconds: measured.compile_seconds,
        generate_seconds: measured.generate_seconds,
        peak_bytes: measured.peak_bytes,
        input_bytes: measured.bytes.0,
        output_bytes: measured.bytes.1,
        totals: measured.totals.iter().map(|total| total.digits()).collect(),
        currency: measured.totals.first().map_or_else(String::new, |t| t.currency().to_string()),
    }
}

fn describe(json: &RateJson) -> String {
    let peak =
        json.peak_bytes.map_or_else(|| "unknown".into(), |peak| format!("{} MiB", peak >> 20));
    format!(
        "{} usage lines on {} edges, {} groups, {} workers\n\
         compile  {:.3} s\n\
         totals   {:.3} s\n\
         lines    {:.3} s, {} rated lines, {} MiB from {} MiB\n\
         rating   {:.3} s, {} lines a second\n\
         floor    {:.3} s: rating takes {:.2} times as long\n\
         late     {:.3} s: {} lines of difference after 1,000 late records, {:.2} of rating\n\
         draft    {:.3} s: rehearsing a price book, {:.2} of rating, {:.2} of totals alone\n\
         memory   {peak}\n\
         totals   {} {}",
        json.lines,
        json.edges,
        json.groups,
        json.workers,
        json.compile_seconds,
        json.totals_seconds,
        json.lines_seconds,
        json.rated_lines,
        json.output_bytes >> 20,
        json.input_bytes >> 20,
        json.seconds,
        json.lines_per_second,
        json.floor_seconds,
        json.ratio_to_floor,
        json.differences_seconds,
        json.difference_lines,
        json.differences_ratio,
        json.rehearsal_seconds,
        json.rehearsal_ratio,
        json.rehearsal_to_totals,
        json.totals.join(", "),
        json.currency,
    )
}
