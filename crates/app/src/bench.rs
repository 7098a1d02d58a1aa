//! Benchmarks: a made-up distributor's month, rated as a real one is, beside a floor that decodes
//! the same input and encodes the same output without rating.

mod floor;
mod world;

use std::path::{Path, PathBuf};
use std::time::Instant;

use domain::BillingPeriods;
use kernel::{Error, Money, Result};
use lake::usage::SegmentInfo;

use crate::Ctx;
use crate::adjust::{Both, Side, Sides, Touched};
use crate::facts::Known;
use crate::partitions::PeriodUsage;
use crate::rate::{self, Totals, Wanted};
use crate::rehearse;
use world::World;

/// How many late records make the differences.
const LATE: usize = 1000;

/// What to measure.
#[derive(Debug, Clone)]
pub struct RateBenchmark {
    /// How many usage lines.
    pub lines: u64,
    /// How many workers.
    pub workers: usize,
    /// How often each thing is measured; the fastest counts.
    pub repeat: u32,
    /// Where the files go.
    pub folder: PathBuf,
    /// Also write what other programs need to do the same.
    pub for_peers: bool,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct RateMeasured {
    /// Usage lines.
    pub lines: u64,
    /// Rated lines: more, where a line fills several tiers.
    pub rated_lines: u64,
    /// Edges of a sale path.
    pub edges: usize,
    /// Groups of all edges.
    pub groups: u64,
    /// Seconds of making the usage, which is not part of what is measured.
    pub generate_seconds: f64,
    /// Seconds of compiling the rate book.
    pub compile_seconds: f64,
    /// Seconds of adding groups up.
    pub totals_seconds: f64,
    /// Seconds of adding groups up and writing the lines in one pass.
    pub lines_seconds: f64,
    /// Seconds of decoding the same columns and encoding the same columns without rating.
    pub floor_seconds: f64,
    /// Seconds of finding the differences that a thousand late records make: seconds in which
    /// nothing is loaded from a database, as with the others.
    pub differences_seconds: f64,
    /// Seconds of rehearsing a draft in which a price book of every edge is another one.
    pub rehearsal_seconds: f64,
    /// The lines of these differences.
    pub difference_lines: u64,
    /// The most memory that rating took, in bytes; none where the system does not tell.
    pub peak_bytes: Option<u64>,
    /// What each position of the sale path comes to.
    pub totals: Vec<Money>,
    /// Bytes of usage that were read and lines that were written.
    pub bytes: (u64, u64),
}

/// Makes a month, rates it, and measures.
pub fn rate(ctx: Ctx<'_>, benchmark: &RateBenchmark) -> Result<RateMeasured> {
    let RateBenchmark { folder, workers, repeat, .. } = benchmark;
    let lines = folder.join("lines");
    std::fs::create_dir_all(&lines).map_err(Error::file(&lines))?;
    let world = World::new(benchmark.lines);
    let (generate_seconds, segments) = timed(|| world.usage(&ctx, folder, *workers))?;
    let (compile_seconds, book) = timed(|| world.book())?;
    let period = book.period_micros();
    let read =
        segments.iter().map(|segment| size(&folder.join(&segment.path))).sum::<Result<u64>>()?;
    let usage = PeriodUsage::of(folder.clone(), segments, period);
    reset_peak();
    let rate = |wanted| rate::rate_month(&ctx, &book, &usage, *workers, wanted);
    let (totals_seconds, totals) = fastest(*repeat, || rate(Wanted::default()))?;
    if !totals.unpriced.is_empty() {
        return Err(Error::internal("the made-up month has usage without a price"));
    }
    let wanted = Wanted { groups: false, lines: Some(&lines) };
    let (lines_seconds, rated) = fastest(*repeat, || rate(wanted))?;
    let files = rated.files;
    let peak_bytes = peak();
    let floor = folder.join("floor");
    let (floor_seconds, ()) = fastest(*repeat, || {
        floor::write(&ctx, &book, &usage, (&totals.extents, *workers), &floor)
    })?;
    let late = world.late(folder, LATE)?;
    let segments = usage.segments().to_vec();
    // What is known is loaded before and forgotten afterwards, as for rating.
    let mut known: Vec<[Known; 2]> = Vec::new();
    known.resize_with(*repeat as usize, || [world.known(), world.known()]);
    let (differences_seconds, (difference_lines, _)) = fastest(*repeat, || {
        let known = known.pop().ok_or_else(|| Error::internal("nothing is known"))?;
        differences(known, folder, (&segments, &late), period, *workers)
    })?;
    let known = world.known();
    let beside = known.book_beside(World::month(), &world.draft())?;
    let (rehearsal_seconds, ()) =
        fastest(*repeat, || rehearse::rate(&ctx, &beside, &usage, *workers).map(drop))?;
    if benchmark.for_peers {
        world.for_peers(&book, &folder.join("peers"))?;
    }
    Ok(RateMeasured {
        lines: benchmark.lines,
        rated_lines: files.iter().map(|file| file.rows).sum(),
        edges: book.depth(),
        groups: totals.edges.iter().map(|(_, groups, _)| groups).sum(),
        generate_seconds,
        compile_seconds,
        totals_seconds,
        lines_seconds,
        floor_seconds,
        differences_seconds,
        rehearsal_seconds,
        difference_lines,
        peak_bytes,
        totals: world.totals(&book, &totals),
        bytes: (read, files.iter().map(|file| file.bytes).sum()),
    })
}

/// What late usage changes: from the segments to the lines of every edge; how many, and both sides.
fn differences(
    [then, today]: [Known; 2],
    folder: &Path,
    (segments, late): (&[SegmentInfo], &[SegmentInfo]),
    period: (i64, i64),
    workers: usize,
) -> Result<(u64, [Side; 2])> {
    let periods = BillingPeriods::of(&today.programme, World::month());
    let files = late.iter().map(|segment| folder.join(&segment.path));
    let touched = Touched::of_files(files, &periods)?;
    let side = |known: Known, segments: Vec<SegmentInfo>, partitions: Option<usize>| {
        let usage = PeriodUsage::of(folder.to_owned(), segments, period);
        let usage = match partitions {
            Some(partitions) => usage.in_partitions(partitions),
            None => usage,
        };
        Side::of(known, World::month(), usage, &touched)
    };
    let before = side(then, segments.to_vec(), None)?;
    let now = side(today, [segments, late].concat(), Some(before.partitions()))?;
    let rated = Both::rate((&before, &now), &touched, workers)?;
    let sides = Sides { before: (&before, &rated.before), now: (&now, &rated.now) };
    let lines = sides.all_lines()?.values().map(Vec::len).sum::<usize>() as u64;
    Ok((lines, [before, now]))
}

/// What something gives and how long it takes.
fn timed<T>(work: impl FnOnce() -> Result<T>) -> Result<(f64, T)> {
    let began = Instant::now();
    let given = work()?;
    Ok((began.elapsed().as_secs_f64(), given))
}

/// The fastest of several times: everything slower had something else to do as well.
fn fastest<T>(times: u32, mut work: impl FnMut() -> Result<T>) -> Result<(f64, T)> {
    let mut best = timed(&mut work)?;
    for _ in 1..times {
        let again = timed(&mut work)?;
        if again.0 < best.0 {
            best = again;
        }
    }
    Ok(best)
}

fn size(path: &Path) -> Result<u64> {
    Ok(std::fs::metadata(path).map_err(Error::file(path))?.len())
}

/// Forgets how much memory was used until now, where the system can.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that was in use, where the system tells.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kilobytes * 1024)
}

impl World {
    /// What each position of the sale path comes to.
    fn totals(&self, book: &rating::RateBook, totals: &Totals) -> Vec<Money> {
        let mut sums = vec![0; book.depth()];
        for (edge, (.., net)) in book.edges().iter().zip(&totals.edges) {
            sums[self.position(edge)] += net;
        }
        sums.into_iter().map(|sum| Money::new(sum, Self::currency())).collect()
    }
}
