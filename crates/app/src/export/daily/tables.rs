//! The rows of a partition on their way to files.
//!
//! The file of an edge that sells to a customer has rows of one partition and is written as they
//! come. Files with rows of many partitions are appended to in the order of the partitions: each
//! waits for its turn, file by file, so that while one partition is appended others are read.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard};

use arrow_array::RecordBatch;
use documents::{Sink, TableBuilder, daily};
use kernel::{Error, Result};
use rating::EdgeIndex;

use super::DailyFiles;
use crate::groups::LINE_ROWS;

/// Rows that are handed to a file at once.
const ROWS_AT_ONCE: usize = LINE_ROWS / 2;

/// The files that several partitions write to.
pub(super) struct Turns {
    state: Mutex<State>,
    changed: Condvar,
    sinks: BTreeMap<usize, Mutex<Option<Sink>>>,
}

struct State {
    /// Which partition's turn it is, by wanted edge.
    turns: BTreeMap<usize, usize>,
    /// The first partition that has failed.
    failed: Option<usize>,
}

fn gone<T>(_: T) -> Error {
    Error::internal("another worker has stopped unexpectedly")
}

impl Turns {
    /// No file yet of these wanted edges.
    pub fn new(shared: &[usize]) -> Self {
        let turns = shared.iter().map(|at| (*at, 0)).collect();
        Self {
            state: Mutex::new(State { turns, failed: None }),
            changed: Condvar::new(),
            sinks: shared.iter().map(|at| (*at, Mutex::new(None))).collect(),
        }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>> {
        self.state.lock().map_err(gone)
    }

    /// Waits until all partitions before this one have written to a file.
    fn wait(&self, at: usize, partition: usize) -> Result<()> {
        let mut state = self.state()?;
        while state.turns.get(&at).is_some_and(|turn| *turn < partition) {
            if state.failed.is_some_and(|failed| failed < partition) {
                return Err(Error::internal("an earlier part of the file could not be written"));
            }
            state = self.changed.wait(state).map_err(gone)?;
        }
        Ok(())
    }

    fn pass_on(&self, at: usize) -> Result<()> {
        if let Some(turn) = self.state()?.turns.get_mut(&at) {
            *turn += 1;
        }
        self.changed.notify_all();
        Ok(())
    }

    /// Lets nobody wait for a partition that has failed.
    pub fn fail(&self, partition: usize) {
        if let Ok(mut state) = self.state() {
            state.failed = Some(state.failed.map_or(partition, |failed| failed.min(partition)));
        }
        self.changed.notify_all();
    }

    /// Ends all files.
    pub fn finish(self) -> Result<()> {
        let sinks = self.sinks.into_values().filter_map(|sink| sink.into_inner().transpose());
        sinks.map(|sink| sink.map_err(gone)).try_for_each(|sink| sink?.finish())
    }
}

/// The tables of a partition, one an edge.
pub(super) struct Tables<'a> {
    pub files: &'a DailyFiles<'a>,
    turns: &'a Turns,
    /// By wanted edge.
    open: BTreeMap<usize, OpenTable>,
    /// Rows that make up for rounding, by wanted edge.
    rounding: BTreeMap<usize, u64>,
}

pub(super) struct OpenTable {
    at: usize,
    edge: EdgeIndex,
    pub table: TableBuilder,
    rows_go: RowsGo,
    pub rounding: u64,
}

/// Where full tables go.
enum RowsGo {
    /// To the file, because no other partition has rows for it.
    Straight(Box<Sink>),
    /// Here, until it is this partition's turn.
    Later(Vec<RecordBatch>),
}

impl OpenTable {
    fn new(
        files: &DailyFiles<'_>,
        (at, edge): (usize, EdgeIndex),
        is_shared: bool,
    ) -> Result<Self> {
        let mut table = TableBuilder::new(&files.layout);
        daily::begin(&mut table, files.files[at].invoice_number);
        let rows_go = if is_shared {
            RowsGo::Later(Vec::new())
        } else {
            RowsGo::Straight(Box::new(files.create(at)?))
        };
        Ok(Self { at, edge, table, rows_go, rounding: 0 })
    }

    /// Hands the rows so far on.
    fn hand_on(&mut self) -> Result<()> {
        if self.table.rows() == 0 {
            return Ok(());
        }
        let batch = self.table.take()?;
        match &mut self.rows_go {
            RowsGo::Straight(sink) => sink.write(&batch)?,
            RowsGo::Later(batches) => batches.push(batch),
        }
        Ok(())
    }
}

impl DailyFiles<'_> {
    fn create(&self, at: usize) -> Result<Sink> {
        let name = format!("daily-rated-usage.{}", self.format.extension());
        Sink::create(&self.files[at].folder.join(name), self.format, &self.layout)
    }
}

impl<'a> Tables<'a> {
    /// No table yet.
    pub const fn new(files: &'a DailyFiles<'a>, turns: &'a Turns) -> Self {
        Self { files, turns, open: BTreeMap::new(), rounding: BTreeMap::new() }
    }

    /// Takes the table of a wanted edge out, to be filled and put back.
    pub fn take(&mut self, at: usize, edge: EdgeIndex) -> Result<OpenTable> {
        match self.open.remove(&at) {
            Some(open) => Ok(open),
            None => OpenTable::new(self.files, (at, edge), self.turns.sinks.contains_key(&at)),
        }
    }

    /// Puts a table back; what is full goes on to its file.
    pub fn put(&mut self, mut open: OpenTable) -> Result<()> {
        if open.table.rows() >= ROWS_AT_ONCE {
            open.hand_on()?;
        }
        self.open.insert(open.at, open);
        Ok(())
    }

    /// Ends the files of customers other than the one of some edges.
    pub fn end_others(&mut self, of_customer: impl Fn(EdgeIndex) -> bool) -> Result<()> {
        let is_over = |open: &OpenTable| {
            matches!(open.rows_go, RowsGo::Straight(_)) && !of_customer(open.edge)
        };
        let over: Vec<usize> = self.open.values().filter(|o| is_over(o)).map(|o| o.at).collect();
        over.into_iter().try_for_each(|at| self.end(at))
    }

    fn end(&mut self, at: usize) -> Result<()> {
        let Some(mut open) = self.open.remove(&at) else { return Ok(()) };
        open.hand_on()?;
        *self.rounding.entry(at).or_default() += open.rounding;
        match open.rows_go {
            RowsGo::Straight(sink) => sink.finish(),
            RowsGo::Later(batches) => self.append(at, &batches),
        }
    }

    fn append(&self, at: usize, batches: &[RecordBatch]) -> Result<()> {
        let Some(sink) = self.turns.sinks.get(&at).filter(|_| !batches.is_empty()) else {
            return Ok(());
        };
        let mut sink = sink.lock().map_err(gone)?;
        let sink = match &mut *sink {
            Some(sink) => sink,
            none => none.insert(self.files.create(at)?),
        };
        batches.iter().try_for_each(|batch| sink.write(batch))
    }

    /// Writes everything that is left, file by file as it is this partition's turn; returns how
    /// many rows make up for rounding.
    pub fn finish(mut self, partition: usize) -> Result<BTreeMap<usize, u64>> {
        self.end_others(|_| false)?;
        for at in self.turns.sinks.keys().copied() {
            self.turns.wait(at, partition)?;
            self.end(at)?;
            self.turns.pass_on(at)?;
        }
        Ok(self.rounding)
    }

    /// Everything that is left as batches, by wanted edge.
    pub fn into_batches(self) -> Result<BTreeMap<usize, Vec<RecordBatch>>> {
        let mut all = BTreeMap::new();
        for (at, mut open) in self.open {
            open.hand_on()?;
            if let RowsGo::Later(batches) = open.rows_go {
                all.insert(at, batches);
            }
        }
        Ok(all)
    }
}
