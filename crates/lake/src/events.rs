//! Event ids, for ever: which have been seen, with which content.
//!
//! Every usage record has an id by which its source can send it again. The ids of an import are
//! one sorted file of fixed-size entries (a *run*) that never changes; looking ids up is a merge
//! with a large run or a search in it, whichever reads less. Behind its entries a run has a filter
//! that knows most ids which it does not have. Runs that have become many are merged into one.

use std::borrow::Borrow;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kernel::{Error, Result};
use sha2::{Digest, Sha256};

/// Bytes of an entry: key, identity, content.
const ENTRY: usize = 32;
/// What opens a run, and one of those that were written before runs had filters.
const MAGIC: &[u8; 16] = b"skyhandel-ids-2\n";
const MAGIC_PLAIN: &[u8; 16] = b"skyhandel-ids-1\n";
/// What ends a run: how many entries it has.
const FOOTER: usize = 8;
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
    /// Bytes that an entry takes.
    pub const BYTES: usize = ENTRY;

    /// Entries one behind the other, as [`Self::read_all`] reads them.
    pub fn write_all(entries: impl IntoIterator<Item = Self>) -> Vec<u8> {
        entries.into_iter().flat_map(Self::bytes).collect()
    }

    /// The entries that [`Self::write_all`] has written.
    pub fn read_all(bytes: &[u8]) -> impl Iterator<Item = Self> + '_ {
        bytes.chunks_exact(ENTRY).map(Self::read)
    }

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

/// Writes entries, which are in order, as a run that is on disk when this returns. `count` is how
/// many there are at most.
pub fn write_run(
    path: &Path,
    count: u64,
    entries: impl IntoIterator<Item = Result<EventEntry>>,
) -> Result<u64> {
    let file = File::create(path).map_err(Error::file(path))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let mut put = |bytes: &[u8]| out.write_all(bytes).map_err(Error::file(path));
    put(MAGIC)?;
    let (mut written, mut filter) = (0u64, Filter::for_keys(count));
    for entry in entries {
        let entry = entry?;
        put(&entry.bytes())?;
        filter.add(entry.key);
        written += 1;
    }
    for word in &filter.words {
        put(&word.to_le_bytes())?;
    }
    put(&written.to_le_bytes())?;
    let file = out.into_inner().map_err(|error| Error::file(path)(error.into_error()))?;
    file.sync_all().map_err(Error::file(path))?;
    Ok(written)
}

/// Knows of most keys that they are not among those that were added, and never of one that is.
///
/// A Bloom filter in blocks of a cache line: the head of a key chooses the block, so that keys in
/// order go through it in order, its tail seven of the block's 512 bits.
#[derive(Debug, Default)]
struct Filter {
    words: Vec<u64>,
}

impl Filter {
    /// Words of a block.
    const BLOCK: usize = 8;
    /// Keys for which there is a block: 12 bits each, which lets one of some 150 others pass.
    const KEYS_PER_BLOCK: u64 = 42;

    fn for_keys(count: u64) -> Self {
        let blocks = count.div_ceil(Self::KEYS_PER_BLOCK) as usize;
        Self { words: vec![0; blocks * Self::BLOCK] }
    }

    /// The block of a key, and its bits there as word and mask.
    fn places(&self, key: EventKey) -> impl Iterator<Item = (usize, u64)> + use<> {
        let blocks = (self.words.len() / Self::BLOCK) as u128;
        let block = ((u128::from(key.position()) * blocks) >> 64) as usize * Self::BLOCK;
        let tail = u64::from_be_bytes(std::array::from_fn(|at| key.0[8 + at]));
        (0..7).map(move |probe| {
            let bit = (tail >> (9 * probe)) & 511;
            (block + (bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn add(&mut self, key: EventKey) {
        for (word, mask) in self.places(key) {
            self.words[word] |= mask;
        }
    }

    fn may_have(&self, key: EventKey) -> bool {
        self.words.is_empty() || self.places(key).all(|(word, mask)| self.words[word] & mask != 0)
    }
}

/// A run that can be searched.
#[derive(Debug)]
pub struct EventRun {
    path: PathBuf,
    file: File,
    entries: u64,
    filter: Filter,
}

impl EventRun {
    /// Opens a run; refuses a file that is not one or is not whole.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::file(path))?;
        let length = file.metadata().map_err(Error::file(path))?.len();
        let broken = || Error::internal(format!("{} is not a run of event ids", path.display()));
        let mut magic = [0; MAGIC.len()];
        if file.read_exact_at(&mut magic, 0).is_err() {
            return Err(broken());
        }
        let body = length - MAGIC.len() as u64;
        let path = path.to_owned();
        if magic == *MAGIC_PLAIN && body.is_multiple_of(ENTRY as u64) {
            let (entries, filter) = (body / ENTRY as u64, Filter::default());
            return Ok(Self { path, file, entries, filter });
        }
        let mut footer = [0; FOOTER];
        let at = length.saturating_sub(FOOTER as u64);
        file.read_exact_at(&mut footer, at).map_err(Error::file(&path))?;
        let entries = u64::from_le_bytes(footer);
        let before = entries.checked_mul(ENTRY as u64).map(|bytes| MAGIC.len() as u64 + bytes);
        let filter = before.and_then(|before| at.checked_sub(before).map(|bytes| (before, bytes)));
        match filter {
            Some((from, bytes)) if magic == *MAGIC && bytes.is_multiple_of(64) => {
                let mut filter = vec![0; bytes as usize];
                file.read_exact_at(&mut filter, from).map_err(Error::file(&path))?;
                let words = filter
                    .chunks_exact(8)
                    .map(|word| u64::from_le_bytes(std::array::from_fn(|at| word[at])));
                let filter = Filter { words: words.collect() };
                Ok(Self { path, file, entries, filter })
            }
            _ => Err(broken()),
        }
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

    /// Whether the run may have a key: never false for one that it has.
    pub fn may_have(&self, key: EventKey) -> bool {
        self.filter.may_have(key)
    }

    /// Reports which of `keys`, which are in order, the run has.
    pub fn look_up(
        &self,
        keys: &[EventKey],
        mut found: impl FnMut(usize, EventDigest),
    ) -> Result<()> {
        let likely = keys.iter().enumerate().filter(|(_, key)| self.filter.may_have(**key));
        let likely: Vec<(usize, &EventKey)> = likely.collect();
        // A search reads about two blocks a key, a merge reads everything once.
        let blocks = self.entries / Block::ENTRIES + 1;
        if (likely.len() as u64) * 2 < blocks {
            for (at, key) in likely {
                if let Some(digest) = self.search(*key)? {
                    found(at, digest);
                }
            }
            return Ok(());
        }
        let mut keys = likely.into_iter().peekable();
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
pub fn merge_runs(path: &Path, runs: &[impl Borrow<EventRun>]) -> Result<u64> {
    let mut sources = Vec::with_capacity(runs.len());
    let count = runs.iter().map(|run| run.borrow().len()).sum();
    for run in runs {
        let mut entries = run.borrow().entries()?;
        if let Some(first) = entries.next().transpose()? {
            sources.push((first, entries));
        }
    }
    write_run(
        path,
        count,
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
