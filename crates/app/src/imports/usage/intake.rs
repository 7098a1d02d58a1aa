//! Records on their way from a file into the lake: each id once, conflicts aside, corrections
//! matched with what they correct.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kernel::{Error, Fault, ImportId, MeterId, Month, Quantity, Result};
use lake::events::{EventDigest, EventEntry, EventKey, EventRun, RUNS_MAX, merge_runs, write_run};
use lake::usage::{SegmentInfo, UsageChunk, UsageRecord};
use store::{ControlTotal, Generation, SegmentRow, Tx, UsageAdded, WaitingCorrection};

use super::record::{FIELDS, RawRecord, Reader};
use crate::imports::quarantine::Quarantine;
use crate::sheets::hex;
use crate::{Installation, crash};

/// Records that are collected before they are written.
const CHUNK_ROWS: usize = 1_000_000;

/// The ids that are known.
pub(in crate::imports) struct Index {
    /// Those in the lake.
    runs: Vec<(String, Arc<EventRun>)>,
    /// Those that are acknowledged and wait for their place in the lake.
    inbox: HashMap<EventKey, EventDigest>,
    /// How far the inbox was.
    inbox_last: i64,
    /// The lake as of which all this is known.
    lake: i64,
    waiting: HashMap<EventKey, Vec<WaitingCorrection>>,
}

impl Index {
    /// What is known of ids, in the lake and on its way there.
    pub async fn open(installation: &Installation, tx: &mut Tx) -> Result<Self> {
        let mut index = Self::of_lake(installation, tx).await?;
        index.inbox_last = tx.inbox_state().await?.last;
        for (_, ids) in tx.inbox_ids(0).await? {
            index.inbox.extend(EventEntry::read_all(&ids).map(|entry| (entry.key, entry.digest)));
        }
        Ok(index)
    }

    /// What is known of the ids in the lake alone.
    pub async fn of_lake(installation: &Installation, tx: &mut Tx) -> Result<Self> {
        let runs = installation.event_runs(tx.event_runs().await?)?;
        let mut waiting: HashMap<EventKey, Vec<WaitingCorrection>> = HashMap::new();
        for correction in tx.waiting_corrections().await? {
            let root = EventKey::from_hex(&correction.root_key)
                .ok_or_else(|| Error::internal("a waiting correction without a key"))?;
            waiting.entry(root).or_default().push(correction);
        }
        let lake = tx.generation(Generation::Lake).await?;
        Ok(Self { runs, inbox: HashMap::new(), inbox_last: 0, lake, waiting })
    }
}

/// What an intake came to.
pub(in crate::imports) struct Taken {
    pub counts: Counts,
    pub conflicts_path: Option<String>,
    pub totals: Vec<ControlTotal>,
    pub added: UsageAdded,
    pub notes: Vec<String>,
    pub quarantine: Option<PathBuf>,
    /// The new ids.
    ids: Vec<Arc<EventRun>>,
    inbox_last: i64,
    lake: i64,
}

impl Taken {
    /// Says that the ids come from the inbox: they are known there.
    pub fn ids_are_acknowledged(&mut self) {
        self.ids.clear();
    }

    /// Makes known what was taken.
    ///
    /// # Errors
    /// [`Error::Busy`] where an event with one of the new ids and other content has been
    /// acknowledged meanwhile: taken once more, the row is a conflict. Also where the lake is not
    /// what it was, which only happens to whoever has lost its connection and with it its turn.
    pub async fn add(&self, tx: &mut Tx, import: ImportId, known_at: i64) -> Result<()> {
        if tx.generation(Generation::Lake).await? != self.lake {
            return Err(Error::Busy("another process has written the lake".into()));
        }
        for (_, came) in tx.inbox_ids(self.inbox_last).await? {
            let mut came: Vec<EventEntry> = EventEntry::read_all(&came).collect();
            came.sort_unstable();
            let keys: Vec<EventKey> = came.iter().map(|entry| entry.key).collect();
            for ids in &self.ids {
                let mut other = false;
                ids.look_up(&keys, |at, digest| other |= digest != came[at].digest)?;
                if other {
                    return Err(Error::Busy("events with the same ids have just come in".into()));
                }
            }
        }
        tx.add_usage(import, known_at, &self.added).await
    }
}

/// What became of the rows of a file.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::imports) struct Counts {
    pub read: u64,
    pub new: u64,
    pub duplicate: u64,
    pub conflicting: u64,
    pub quarantined: u64,
}

/// A record that has been collected, besides what the chunk keeps.
struct Pending {
    key: EventKey,
    digest: EventDigest,
    row: u64,
    quantity: Quantity,
    unit: u32,
    /// The event that it corrects.
    root: Option<EventKey>,
}

/// A correction whose event has not come yet.
struct Waiting {
    root: EventKey,
    key: EventKey,
    identity: [u8; 8],
    event_id: String,
    row: u64,
}

/// Takes the rows of one file.
pub(in crate::imports) struct Intake<'a> {
    lake: &'a Path,
    import: ImportId,
    reader: Reader,
    index: Index,
    quarantine: Quarantine,
    chunk: UsageChunk,
    pending: Vec<Pending>,
    chunks: u32,
    /// Runs of this import.
    staged: Vec<(String, Arc<EventRun>)>,
    segments: Vec<SegmentInfo>,
    meters: BTreeSet<(Month, String)>,
    waiting: Vec<Waiting>,
    arrived: BTreeSet<String>,
    conflicts: Option<(String, BufWriter<File>)>,
    units: Vec<(String, u64, Quantity)>,
    unit_index: HashMap<String, u32>,
    counts: Counts,
    notes: Vec<String>,
    /// Whether whoever sent the records was told that they are taken.
    acknowledged: bool,
}

impl<'a> Intake<'a> {
    pub fn new(
        lake: &'a Path,
        import: ImportId,
        reader: Reader,
        index: Index,
        quarantine: Quarantine,
    ) -> Self {
        Self {
            lake,
            import,
            reader,
            index,
            quarantine,
            chunk: UsageChunk::default(),
            pending: Vec::new(),
            chunks: 0,
            staged: Vec::new(),
            segments: Vec::new(),
            meters: BTreeSet::new(),
            waiting: Vec::new(),
            arrived: BTreeSet::new(),
            conflicts: None,
            units: Vec::new(),
            unit_index: HashMap::new(),
            counts: Counts::default(),
            notes: Vec::new(),
            acknowledged: false,
        }
    }

    /// Whether rows must name their subscription.
    pub fn needs_subscription(&self) -> bool {
        self.reader.subscription.is_none()
    }

    /// Begins with a file: its name, its names for the fields, whether it has no event ids.
    pub fn begin(&mut self, file: &str, names: [String; FIELDS], derives_ids: bool) {
        file.clone_into(&mut self.reader.file);
        self.reader.names = names;
        self.reader.derives_ids = derives_ids;
        if derives_ids {
            let note = "the file has no event ids; they are derived from what each row is about";
            self.notes.push(note.to_owned());
        }
    }

    /// A row that is not even a record.
    pub fn bad(&mut self, faults: Vec<Fault>, record: &BTreeMap<&str, &str>) -> Result<()> {
        self.counts.read += 1;
        self.quarantine.put(faults, record)
    }

    /// Takes a record that has been acknowledged: a correction of something else does not count,
    /// but it is kept.
    pub fn take_acknowledged(&mut self, record: &UsageRecord) -> Result<()> {
        self.acknowledged = true;
        self.counts.read += 1;
        self.collect(record, self.counts.read);
        if self.chunk.len() >= CHUNK_ROWS { self.flush() } else { Ok(()) }
    }

    /// Takes a row.
    pub fn take(&mut self, raw: &RawRecord<'_>) -> Result<()> {
        self.counts.read += 1;
        let record = match self.reader.read(raw) {
            Ok(record) => record,
            Err(faults) => {
                return self.quarantine.put(faults, &raw.record(&self.reader.names));
            }
        };
        self.collect(&record, raw.row);
        if self.chunk.len() >= CHUNK_ROWS { self.flush() } else { Ok(()) }
    }

    fn collect(&mut self, record: &UsageRecord, row: u64) {
        let units = &mut self.units;
        let unit = *self.unit_index.entry(record.unit.clone()).or_insert_with(|| {
            units.push((record.unit.clone(), 0, Quantity::ZERO));
            units.len() as u32 - 1
        });
        let root = record.corrects.as_ref();
        self.pending.push(Pending {
            key: EventKey::of(&record.source, &record.event_id),
            digest: record.digest(),
            row,
            quantity: record.quantity,
            unit,
            root: root.map(|root| EventKey::of(&record.source, root)),
        });
        self.chunk.push(record);
    }

    /// Writes what has been collected: new records as segments, their ids as a run.
    fn flush(&mut self) -> Result<()> {
        let chunk = std::mem::take(&mut self.chunk);
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return Ok(());
        }
        let mut order: Vec<usize> = (0..pending.len()).collect();
        order.sort_by_key(|at| (pending[*at].key, *at));
        let keys: Vec<EventKey> = order.iter().map(|at| pending[*at].key).collect();
        let mut known = self.look_up(&keys)?;
        let mut keep = vec![false; pending.len()];
        let mut fresh: BTreeMap<EventKey, EventDigest> = BTreeMap::new();
        for (at, in_order) in order.iter().enumerate() {
            let record = &pending[*in_order];
            match known[at].or_else(|| fresh.get(&record.key).copied()) {
                None => {
                    keep[*in_order] = true;
                    fresh.insert(record.key, record.digest);
                }
                Some(before) if before == record.digest => self.counts.duplicate += 1,
                Some(_) => self.conflict(&chunk, *in_order, record)?,
            }
        }
        known.clear();
        self.match_corrections(&chunk, &pending, &mut keep, &mut fresh)?;
        for (record, keep) in pending.iter().zip(&keep) {
            if *keep {
                self.count(record)?;
            }
        }
        self.write(chunk, &keep, fresh)
    }

    fn count(&mut self, record: &Pending) -> Result<()> {
        self.counts.new += 1;
        let (_, rows, sum) = &mut self.units[record.unit as usize];
        *rows += 1;
        *sum = sum.checked_add(record.quantity).ok_or_else(|| {
            Error::invalid("quantity", "adds up to more than can be kept; split the file")
        })?;
        Ok(())
    }

    /// What is known under some ids, which are in order.
    fn look_up(&self, keys: &[EventKey]) -> Result<Vec<Option<EventDigest>>> {
        let mut known = vec![None; keys.len()];
        for (_, run) in self.index.runs.iter().chain(&self.staged) {
            run.look_up(keys, |at, digest| known[at] = Some(digest))?;
        }
        if !self.index.inbox.is_empty() {
            for (key, known) in keys.iter().zip(&mut known) {
                *known = known.or_else(|| self.index.inbox.get(key).copied());
            }
        }
        Ok(known)
    }

    /// Keeps a record aside whose id is known with other content.
    fn conflict(&mut self, chunk: &UsageChunk, at: usize, record: &Pending) -> Result<()> {
        self.counts.conflicting += 1;
        let (path, out) = match &mut self.conflicts {
            Some(open) => open,
            none => {
                let path = format!("conflicts/{}.jsonl", self.import);
                let file = self.lake.join(&path);
                let folder = self.lake.join("conflicts");
                std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
                let open = File::create(&file).map_err(Error::file(&file))?;
                none.insert((path, BufWriter::new(open)))
            }
        };
        let mut line: BTreeMap<&str, serde_json::Value> =
            chunk.describe(at).into_iter().map(|(name, value)| (name, value.into())).collect();
        line.insert("_row", record.row.into());
        let line = serde_json::to_string(&line).map_err(|e| Error::internal(e.to_string()))?;
        writeln!(out, "{line}").map_err(Error::file(self.lake.join(&*path)))
    }

    /// Checks corrections against what they correct, where that is known; the others wait.
    fn match_corrections(
        &mut self,
        chunk: &UsageChunk,
        pending: &[Pending],
        keep: &mut [bool],
        fresh: &mut BTreeMap<EventKey, EventDigest>,
    ) -> Result<()> {
        let mut corrections: Vec<(EventKey, usize)> = pending
            .iter()
            .enumerate()
            .filter(|(at, _)| keep[*at])
            .filter_map(|(at, record)| record.root.map(|root| (root, at)))
            .collect();
        corrections.sort_unstable();
        let roots: Vec<EventKey> = corrections.iter().map(|(root, _)| *root).collect();
        let known = self.look_up(&roots)?;
        for ((root, at), known) in corrections.into_iter().zip(known) {
            let record = &pending[at];
            match known.or_else(|| fresh.get(&root).copied()) {
                Some(event) if event.identity == record.digest.corrected_identity() => {}
                Some(_) if self.acknowledged => {}
                Some(_) => {
                    keep[at] = false;
                    fresh.remove(&record.key);
                    self.mismatch(chunk, at, record.row)?;
                }
                None => self.waiting.push(Waiting {
                    root,
                    key: record.key,
                    identity: record.digest.corrected_identity(),
                    event_id: chunk.event_id(at).to_owned(),
                    row: record.row,
                }),
            }
        }
        self.arrivals(fresh);
        Ok(())
    }

    fn mismatch(&mut self, chunk: &UsageChunk, at: usize, row: u64) -> Result<()> {
        let record = chunk.describe(at);
        let fault = mismatch_fault(&self.reader.file, row, record.get("corrects").cloned());
        let record = record.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.quarantine.put(vec![fault], &record)
    }

    /// Events for which corrections have waited.
    fn arrivals(&mut self, fresh: &BTreeMap<EventKey, EventDigest>) {
        for (root, corrections) in &self.index.waiting {
            let Some(digest) = fresh.get(root) else { continue };
            self.arrived.insert(root.hex());
            for correction in corrections {
                if correction.identity != hex(&digest.identity) {
                    self.notes.push(format!(
                        "the waiting correction {} is about something else than the event that \
                         has come; it does not count",
                        correction.event_id
                    ));
                }
            }
        }
        let mut bad = Vec::new();
        self.waiting.retain(|waiting| match fresh.get(&waiting.root) {
            None => true,
            Some(event) => {
                if event.identity != waiting.identity {
                    bad.push((waiting.row, waiting.event_id.clone()));
                }
                false
            }
        });
        for (row, event_id) in bad {
            if self.acknowledged {
                continue;
            }
            // Its file was written before the event came: the whole import is refused.
            let fault = mismatch_fault(&self.reader.file, row, Some(event_id.clone()));
            self.quarantine.refuse(fault);
        }
    }

    fn write(
        &mut self,
        mut chunk: UsageChunk,
        keep: &[bool],
        fresh: BTreeMap<EventKey, EventDigest>,
    ) -> Result<()> {
        chunk.retain(keep);
        if chunk.is_empty() {
            return Ok(());
        }
        let meters = chunk.meters().into_iter().map(|(month, meter)| (month, meter.to_owned()));
        self.meters.extend(meters);
        let name = format!("{}-{:03}", self.import, self.chunks);
        self.segments.extend(chunk.write(self.lake, &name)?.segments);
        crash::point();
        let count = fresh.len() as u64;
        let entries = fresh.into_iter().map(|(key, digest)| Ok(EventEntry { key, digest }));
        self.staged.push(self.run(&name, |path| write_run(path, count, entries))?);
        self.chunks += 1;
        crash::point();
        if self.staged.len() >= RUNS_MAX {
            let name = format!("{}-{:03}-merged", self.import, self.chunks);
            let staged = std::mem::take(&mut self.staged);
            let runs: Vec<Arc<EventRun>> = staged.into_iter().map(|(_, run)| run).collect();
            self.staged.push(self.run(&name, |path| merge_runs(path, &runs))?);
        }
        Ok(())
    }

    /// Makes a run of event ids and opens it.
    fn run(
        &self,
        name: &str,
        write: impl FnOnce(&Path) -> Result<u64>,
    ) -> Result<(String, Arc<EventRun>)> {
        let folder = self.lake.join("events");
        std::fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let path = format!("events/{name}.ids");
        let file = self.lake.join(&path);
        write(&file)?;
        Ok((path, Arc::new(EventRun::open(&file)?)))
    }

    /// Writes the rest and makes everything durable; nothing counts before it is catalogued.
    pub fn finish(mut self, subject: &str) -> Result<Taken> {
        self.flush()?;
        self.counts.quarantined = self.quarantine.rows();
        let quarantine = std::mem::replace(&mut self.quarantine, Quarantine::new(None));
        let quarantine = quarantine.finish(subject)?;
        let conflicts_path = match self.conflicts.take() {
            None => None,
            Some((path, out)) => {
                let file = out.into_inner().map_err(|e| Error::file(&path)(e.into_error()))?;
                file.sync_all().map_err(Error::file(&path))?;
                Some(path)
            }
        };
        let ids = self.staged.iter().map(|(_, run)| Arc::clone(run)).collect();
        self.compact()?;
        self.sync()?;
        let runs = self.index.runs.iter().chain(&self.staged);
        let event_runs = runs.map(|(path, run)| (path.clone(), run.len())).collect();
        let meters = self
            .meters
            .into_iter()
            .filter_map(|(month, meter)| meter.parse::<MeterId>().ok().map(|meter| (month, meter)));
        let waiting = self.waiting.into_iter().map(|waiting| WaitingCorrection {
            root_key: waiting.root.hex(),
            event_key: waiting.key.hex(),
            identity: hex(&waiting.identity),
            event_id: waiting.event_id,
        });
        let added = UsageAdded {
            segments: self.segments.iter().map(segment_row).collect(),
            meters: meters.collect(),
            event_runs,
            waiting: waiting.collect(),
            arrived: self.arrived.into_iter().collect(),
        };
        let mut totals: Vec<ControlTotal> = self
            .units
            .into_iter()
            .filter(|(_, rows, _)| *rows > 0)
            .map(|(unit, rows, quantity)| ControlTotal { unit, rows, quantity })
            .collect();
        totals.sort_by(|a, b| a.unit.cmp(&b.unit));
        Ok(Taken {
            counts: self.counts,
            conflicts_path,
            totals,
            added,
            notes: self.notes,
            quarantine,
            ids,
            inbox_last: self.index.inbox_last,
            lake: self.index.lake,
        })
    }

    /// Merges runs of ids once they have become many: always the smallest ones, so that an id is
    /// rewritten a few times in all.
    fn compact(&mut self) -> Result<()> {
        let mut runs = std::mem::take(&mut self.index.runs);
        runs.append(&mut self.staged);
        runs.sort_by(|(a, left), (b, right)| right.len().cmp(&left.len()).then(a.cmp(b)));
        if runs.len() > RUNS_MAX {
            let small: Vec<Arc<EventRun>> =
                runs.split_off(RUNS_MAX / 2).into_iter().map(|(_, run)| run).collect();
            let name = format!("{}-all", self.import);
            runs.push(self.run(&name, |path| merge_runs(path, &small))?);
            crash::point();
        }
        self.index.runs = runs;
        Ok(())
    }

    /// Makes the names of new files durable.
    fn sync(&self) -> Result<()> {
        let mut folders: BTreeSet<PathBuf> = BTreeSet::from([self.lake.join("events")]);
        for segment in &self.segments {
            folders.extend(self.lake.join(&segment.path).parent().map(Path::to_owned));
        }
        folders.extend([self.lake.join("usage"), self.lake.to_owned()]);
        folders.iter().filter(|folder| folder.exists()).try_for_each(|f| lake::sync_folder(f))
    }
}

fn mismatch_fault(file: &str, row: u64, corrects: Option<String>) -> Fault {
    Fault {
        file: file.to_owned(),
        line: Some(row),
        field: Some("corrects".to_owned()),
        value: corrects,
        reason: "names an event about another subscription, meter, resource or time, or one that \
                 is itself a correction; a correction states the quantity of an event anew and \
                 nothing else"
            .to_owned(),
    }
}

fn segment_row(segment: &SegmentInfo) -> SegmentRow {
    let groups = segment.row_groups.iter();
    SegmentRow {
        path: segment.path.clone(),
        month: segment.month,
        rows: segment.rows,
        start_min: segment.start_min,
        end_max: segment.end_max,
        quantity_scale: segment.quantity_scale,
        corrections: segment.corrections,
        row_groups: groups.map(|group| (group.rows, group.first.0, group.last.0)).collect(),
    }
}

/// Removes files of the lake that no row names: what an interrupted import left behind, and runs
/// of ids that have been merged.
pub(in crate::imports) async fn sweep(lake: &Path, tx: &mut Tx) -> Result<()> {
    let mut named: BTreeSet<String> = tx.segment_paths().await?.into_iter().collect();
    named.extend(tx.event_runs().await?.into_iter().map(|(path, _)| path));
    let months = folders(&lake.join("usage"))?;
    for folder in months.into_iter().chain([lake.join("events")]) {
        for file in files(&folder)? {
            let relative = file.strip_prefix(lake).unwrap_or(&file);
            if !named.contains(relative.to_string_lossy().as_ref()) {
                std::fs::remove_file(&file).map_err(Error::file(&file))?;
            }
        }
    }
    Ok(())
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir()).collect())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_file()).collect())
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(Error::file(folder))?;
    entries.map(|entry| entry.map(|e| e.path()).map_err(Error::file(folder))).collect()
}
