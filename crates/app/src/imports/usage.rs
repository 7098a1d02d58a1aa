//! Importing usage: files of any known layout become records in the lake.

pub(super) mod intake;
mod json;
pub(super) mod record;
mod tabular;

use std::path::{Path, PathBuf};
use std::str::FromStr;

use domain::{Action, Because, BillingPeriods, Resource};
use kernel::{Error, Key, Result, SubscriptionId};
use store::{Exclusive, ImportRow, Turn};

use super::input::Input;
use super::quarantine::Quarantine;
use super::{Before, Imported};
use crate::adjust::Touched;
use crate::{Ctx, crash, facts};

use intake::Intake;
use record::{Directory, Reader};

/// What kind of import this is, in the catalogue.
const KIND: &str = "usage";

/// The layouts of usage files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageFormat {
    /// Our own columns, or cost details, as a delimited file; told apart by the header.
    Csv,
    /// Our own columns, one JSON object a line.
    JsonLines,
    /// Our own columns, as Parquet.
    Parquet,
    /// The answer of Partner Center's utilization resource.
    Utilization,
}

impl UsageFormat {
    /// Every format with the name it has on the command line.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("csv", Self::Csv),
        ("jsonl", Self::JsonLines),
        ("parquet", Self::Parquet),
        ("utilization", Self::Utilization),
    ];
}

impl FromStr for UsageFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::NAMES.iter().find(|(name, _)| *name == text);
        found.map(|(_, format)| *format).ok_or_else(|| {
            let names: Vec<_> = Self::NAMES.iter().map(|(name, _)| *name).collect();
            format!("is not a format of usage; use one of {}", names.join(", "))
        })
    }
}

/// How usage is imported.
#[derive(Debug, Clone)]
pub struct UsageOptions {
    /// Whose event ids these are.
    pub source: Key,
    /// The layout; found out from the file if none is given.
    pub format: Option<UsageFormat>,
    /// The subscription of a file that does not name one.
    pub subscription: Option<SubscriptionId>,
    /// Write rows that cannot be taken to this file, and take the others.
    pub quarantine: Option<PathBuf>,
}

/// How often an import begins again because its ids have just come in otherwise.
const ATTEMPTS_MAX: u32 = 5;

/// Imports a file of usage.
///
/// # Errors
/// Where the file cannot be read or has bad rows.
pub async fn import_usage(ctx: Ctx<'_>, path: &Path, options: &UsageOptions) -> Result<Imported> {
    ctx.decide(Action::Create, Resource::Import)?;
    let input = Input::open(path)?;
    let _turn = ctx.installation.alone(Exclusive::Lake).await?;
    let mut attempt = 1;
    loop {
        match import_once(&ctx, &input, options).await {
            Err(Error::Busy(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
            done => return done,
        }
    }
}

/// Reads the file beside everybody else; only what makes it known takes a turn with others.
async fn import_once(ctx: &Ctx<'_>, input: &Input, options: &UsageOptions) -> Result<Imported> {
    let subject = options.source.to_string();
    // Rows that name no subscription mean something else for each.
    let read_as = match options.subscription {
        Some(subscription) => format!("{}/{subscription}", input.sha256),
        None => input.sha256.clone(),
    };
    let lake = ctx.installation.lake();
    let mut tx = ctx.system_read(Because::Metering).await?;
    let import = match super::before(&mut tx, KIND, &subject, &read_as).await? {
        Before::Done(imported, _) => return Ok(*imported),
        Before::Open(id) => id,
    };
    let directory = Directory::of(&facts::programme(&mut tx, i64::MAX).await?);
    intake::sweep(&lake, &mut tx).await?;
    let index = intake::Index::open(ctx.installation, &mut tx).await?;
    drop(tx);
    let reader = Reader::new(options.source.as_str(), options.subscription, directory.into());
    let quarantine = Quarantine::new(options.quarantine.as_deref());
    let mut intake = Intake::new(&lake, import, reader, index, quarantine);
    match options.format.map_or_else(|| format_of(input), Ok)? {
        UsageFormat::Csv => tabular::csv(ctx, input, &mut intake)?,
        UsageFormat::Parquet => tabular::parquet(ctx, input, &mut intake)?,
        UsageFormat::JsonLines => json::lines(ctx, input, &mut intake)?,
        UsageFormat::Utilization => json::utilization(ctx, input, &mut intake)?,
    }
    ctx.progress.end();
    let mut taken = intake.finish(&input.name)?;
    let mut tx = ctx.system_write(Because::Metering, Turn::Usage).await?;
    let known_at = tx.known_at(ctx.now_micros()).await?;
    let row = ImportRow {
        id: import,
        kind: KIND.into(),
        subject,
        file_name: input.name.clone(),
        sha256: read_as,
        known_at,
        rows_read: taken.counts.read,
        rows_taken: taken.counts.new,
        rows_duplicate: taken.counts.duplicate,
        rows_conflicting: taken.counts.conflicting,
        rows_quarantined: taken.counts.quarantined,
        rows_waiting: taken.added.waiting.len() as u64,
        conflicts_path: taken.conflicts_path.clone(),
    };
    tx.add_import(&row, &taken.totals).await?;
    taken.add(&mut tx, import, known_at).await?;
    taken.notes.extend(late(&lake, &mut tx, &taken.added).await?);
    crash::point();
    tx.commit().await?;
    crash::point();
    Ok(Imported {
        import: row,
        totals: taken.totals,
        already: false,
        notes: taken.notes,
        quarantine: taken.quarantine,
    })
}

/// What is said of usage that comes after its month was closed.
pub(super) async fn late(
    lake: &Path,
    tx: &mut store::Tx,
    added: &store::UsageAdded,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    if added.segments.is_empty() {
        return Ok(notes);
    }
    let programme = facts::programme(tx, i64::MAX).await?;
    for close in tx.closes().await? {
        let (month, periods) = (close.month, BillingPeriods::of(&programme, close.month));
        let (from, until) = periods.envelope();
        let met = added.segments.iter().filter(|s| s.start_min < until && s.end_max >= from);
        let files = met.map(|segment| lake.join(&segment.path));
        if Touched::of_files(files, &periods)?.records > 0 {
            notes.push(format!(
                "{month} is closed: usage in this file belongs to it; it is kept, and in none of \
                 its invoices; see what that comes to with `skyhandel adjust --period {month}`"
            ));
        }
    }
    Ok(notes)
}

/// The layout of a file, from its name and its first bytes.
fn format_of(input: &Input) -> Result<UsageFormat> {
    let mut head = [0; 512];
    let mut text = input.read(&crate::NoProgress)?;
    let mut length = 0;
    while length < head.len() {
        match std::io::Read::read(&mut text, &mut head[length..])
            .map_err(Error::file(&input.path))?
        {
            0 => break,
            read => length += read,
        }
    }
    let head = head[..length].trim_ascii_start();
    if head.starts_with(b"PAR1") {
        return Ok(UsageFormat::Parquet);
    }
    if !head.starts_with(b"{") {
        return Ok(UsageFormat::Csv);
    }
    // A line of its own is one record; an object over several lines, or one with items, is an
    // answer.
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let whole = serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok();
    let answer = head.windows(7).any(|word| word == b"\"items\"")
        || head.windows(12).any(|word| word == b"\"totalCount\"");
    Ok(if answer || (!whole && line.len() < 16) {
        UsageFormat::Utilization
    } else {
        UsageFormat::JsonLines
    })
}
