//! Event ids, for ever: which have been seen, with which content.
//!
//! Every usage record has an id by which its source can send it again. The ids of an import are
//! one sorted file of fixed-size entries (a *run*) that never changes; looking ids up is a merge
//! with a large run or a search in it, whichever reads less. Runs that have become many are merged
//! into one.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kernel::{Error, Result};
use sha2::{Digest, Sha256};

/// Bytes of an entry: key, identity, content.
const ENTRY: usize = 32;
/// What opens every run.
const MAGIC: &[u8; 16] = b"skyhandel-ids-1\n";
/// How many runs there may be before they are merged.
pub const RUNS_MAX: usize = 12;

/// An event id in 128 bits of its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventKey([u8; 16]);

impl EventKey {
    /// The key of an event id of a source.
    pub fn of(source: &str, event_id: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((source.len() as u64).to_be_bytes());
        hash.update(source);
        hash.update(event_id);
        let digest = hash.finalize();
        Self(std::array::from_fn(|at| digest[at]))
    }

    /// The key as text.
    pub fn hex(self) -> String {
        format!("{:032x}", u128::from_be_bytes(self.0))
    }

    /// The key that [`Self::hex`] has written.
    pub fn from_hex(text: &str) -> Option<Self> {
        let number = u128::from_str_radix(text, 16).ok().filter(|_| text.len() == 32)?;
        Some(Self(number.to_be_bytes()))
    }

    fn position(self) -> u64 {
        u64::from_be_bytes(std::array::from_fn(|at| self.0[at]))
    }
}

/// What is remembered of a record: who, what and when it is about, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventDigest {
    /// Of subscription, meter, resource and interval.
    pub identity: [u8; 8],
    /// Of everything that is billed.
    pub content: [u8; 8],
}

impl EventDigest {
    /// What is remembered of a record. The last bit of the identity tells corrections, so that a
    /// correction of a correction does not match what it names.
    pub fn new(mut identity: [u8; 8], content: [u8; 8], corrects: bool) -> Self {
        identity[7] = identity[7] & !1 | u8::from(corrects);
        Self { identity, content }
    }

    /// The identity that an event must have for this record to correct it.
    pub fn corrected_identity(self) -> [u8; 8] {
        let mut identity = self.identity;
        identity[7] &= !1;
        identity
    }
}

/// An id with what is remembered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventEntry {
    /// The id.
    pub key: EventKey,
    /// What it stands for.
    pub digest: EventDigest,
}

impl EventEntry {
    fn bytes(self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..16].copy_from_slice(&self.key.0);
        bytes[16..24].copy_from_slice(&self.digest.identity);
        bytes[24..].copy_from_slice(&self.digest.content);
        bytes
    }

    fn read(bytes: &[u8]) -> Self {
        Self {
            key: EventKey(std::array::from_fn(|at| bytes[at])),
            digest: EventDigest {
                identity: std::array::from_fn(|at| bytes[16 + at]),
                content: std::array::from_fn(|at| bytes[24 + at]),
            },
        }
    }
}

/// Writes entries, which are in order, as a run that is on disk when this returns.
pub fn write_run(
    path: &Path,
    entries: impl IntoIterator<Item = Result<EventEntry>>,
) -> Result<u64> {
    let file = File::create(path).map_err(Error::file(path))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(MAGIC).map_err(Error::file(path))?;
    let mut count = 0;
    for entry in entries {
        out.write_all(&entry?.bytes()).map_err(Error::file(path))?;
        count += 1;
    }
    let file = out.into_inner().map_err(|error| Error::file(path)(error.into_error()))?;
    file.sync_all().map_err(Error::file(path))?;
    Ok(count)
}

/// A run that can be searched.
#[derive(Debug)]
pub struct EventRun {
    path: PathBuf,
    file: File,
    entries: u64,
}

impl EventRun {
    /// Opens a run; refuses a file that is not one or is not whole.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::file(path))?;
        let length = file.metadata().map_err(Error::file(path))?.len();
        let mut magic = [0; MAGIC.len()];
        let read = file.read_exact_at(&mut magic, 0);
        let body = length.saturating_sub(MAGIC.len() as u64);
        if read.is_err() || magic != *MAGIC || body % ENTRY as u64 != 0 {
            return Err(Error::internal(format!("{} is not a run of event ids", path.display())));
        }
        Ok(Self { path: path.to_owned(), file, entries: body / ENTRY as u64 })
    }

    /// How many ids it has.
    pub const fn len(&self) -> u64 {
        self.entries
    }

    /// Whether it has none.
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Its entries, in order.
    pub fn entries(&self) -> Result<impl Iterator<Item = Result<EventEntry>> + use<>> {
        let file = self.file.try_clone().map_err(Error::file(&self.path))?;
        let mut input = BufReader::with_capacity(1 << 20, At { file, at: MAGIC.len() as u64 });
        let (mut left, path) = (self.entries, self.path.clone());
        Ok(std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let mut bytes = [0; ENTRY];
            let read = input.read_exact(&mut bytes).map_err(Error::file(&path));
            Some(read.map(|()| EventEntry::read(&bytes)))
        }))
    }

    /// Reports which of `keys`, which are in order, the run has.
    pub fn look_up(
        &self,
        keys: &[EventKey],
        mut found: impl FnMut(usize, EventDigest),
    ) -> Result<()> {
        // A search reads about two blocks a key, a merge reads everything once.
        let blocks = self.entries / Block::ENTRIES + 1;
        if (keys.len() as u64) * 2 < blocks {
            for (at, key) in keys.iter().enumerate() {
                if let Some(digest) = self.search(*key)? {
                    found(at, digest);
                }
            }
            return Ok(());
        }
        let mut keys = keys.iter().enumerate().peekable();
        for entry in self.entries()? {
            let entry = entry?;
            while keys.next_if(|(_, key)| **key < entry.key).is_some() {}
            while let Some((at, _)) = keys.next_if(|(_, key)| **key == entry.key) {
                found(at, entry.digest);
            }
            if keys.peek().is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Looks one key up. Hashes are spread evenly, so the place can be guessed from the key; the
    /// guess is narrowed like a search in a telephone book.
    fn search(&self, key: EventKey) -> Result<Option<EventDigest>> {
        let (mut low, mut high) = (0, self.entries);
        let (mut low_key, mut high_key) = (0u64, u64::MAX);
        while low < high {
            let span = u128::from(high - low);
            let reach = u128::from(high_key - low_key).max(1);
            let offset = u128::from(key.position().clamp(low_key, high_key) - low_key);
            let guess = low + (offset * (span - 1) / reach) as u64;
            let block = self.block(guess, low, high)?;
            let (first, last) = (block.first(), block.last());
            if key < first.key {
                (high, high_key) = (block.from, first.key.position());
            } else if key > last.key {
                (low, low_key) = (block.from + block.len(), last.key.position());
            } else {
                return Ok(block.find(key));
            }
        }
        Ok(None)
    }

    fn block(&self, guess: u64, low: u64, high: u64) -> Result<Block> {
        let from = guess.saturating_sub(Block::ENTRIES / 2).max(low);
        let until = (from + Block::ENTRIES).min(high);
        let mut bytes = vec![0; (until - from) as usize * ENTRY];
        let offset = MAGIC.len() as u64 + from * ENTRY as u64;
        self.file.read_exact_at(&mut bytes, offset).map_err(Error::file(&self.path))?;
        Ok(Block { from, bytes })
    }
}

/// Some neighbouring entries; at least one.
struct Block {
    from: u64,
    bytes: Vec<u8>,
}

impl Block {
    /// How many entries are read at once.
    const ENTRIES: u64 = 128;

    fn len(&self) -> u64 {
        (self.bytes.len() / ENTRY) as u64
    }

    fn entry(&self, at: usize) -> EventEntry {
        EventEntry::read(&self.bytes[at * ENTRY..(at + 1) * ENTRY])
    }

    fn first(&self) -> EventEntry {
        self.entry(0)
    }

    fn last(&self) -> EventEntry {
        self.entry(self.len() as usize - 1)
    }

    fn find(&self, key: EventKey) -> Option<EventDigest> {
        let mut entries = (0..self.len() as usize).map(|at| self.entry(at));
        entries.find(|entry| entry.key == key).map(|entry| entry.digest)
    }
}

/// A file that is read from a place of its own.
struct At {
    file: File,
    at: u64,
}

impl Read for At {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Merges runs, which have no key in common, into one.
pub fn merge_runs(path: &Path, runs: &[EventRun]) -> Result<u64> {
    let mut sources = Vec::with_capacity(runs.len());
    for run in runs {
        let mut entries = run.entries()?;
        if let Some(first) = entries.next().transpose()? {
            sources.push((first, entries));
        }
    }
    write_run(
        path,
        std::iter::from_fn(|| {
            let (at, _) = sources.iter().enumerate().min_by_key(|(_, (entry, _))| entry.key)?;
            match sources[at].1.next() {
                Some(Ok(next)) => Some(Ok(std::mem::replace(&mut sources[at].0, next))),
                Some(Err(error)) => Some(Err(error)),
                None => Some(Ok(sources.swap_remove(at).0)),
            }
        }),
    )
}
