//! An input file: opened, unpacked, without its byte order mark.

use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use kernel::{Error, Result};

use crate::progress::Progress;
use crate::sheets::sha256;

/// The largest file that is read, packed.
const BYTES_MAX: u64 = 256 << 30;

/// A file to be imported.
pub(super) struct Input {
    /// Its path.
    pub path: PathBuf,
    /// Its name, as messages and the catalogue have it.
    pub name: String,
    /// The hash of its content as it lies on disk.
    pub sha256: String,
}

impl Input {
    /// Looks at a file and hashes it.
    pub fn open(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(Error::file(path))?;
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        if metadata.len() > BYTES_MAX {
            let reason = format!("has {} bytes; at most {BYTES_MAX} are read", metadata.len());
            return Err(Error::invalid(name, reason));
        }
        Ok(Self { path: path.to_owned(), name, sha256: sha256(path)? })
    }

    /// Its content: unpacked if it is gzip, and without a byte order mark.
    pub fn read<'p>(&self, progress: &'p dyn Progress) -> Result<Box<dyn BufRead + 'p>> {
        let file = File::open(&self.path).map_err(Error::file(&self.path))?;
        let length = file.metadata().map_err(Error::file(&self.path))?.len();
        progress.begin(&self.name, Some(length));
        let (head, raw) = peek::<2, _>(Counted { file, progress }, &self.path)?;
        let unpacked: Box<dyn Read + 'p> =
            if head == [0x1f, 0x8b] { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
        let (head, text) = peek::<3, _>(unpacked, &self.path)?;
        let mut text = BufReader::with_capacity(1 << 20, text);
        if head == [0xef, 0xbb, 0xbf] {
            text.fill_buf().map_err(Error::file(&self.path))?;
            text.consume(3);
        }
        Ok(Box::new(text))
    }
}

/// Something whose first bytes have been looked at.
type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// Reads the first bytes and puts them back; zeros where there are fewer.
fn peek<const N: usize, R: Read>(mut input: R, path: &Path) -> Result<([u8; N], Peeked<R>)> {
    let mut head = Vec::with_capacity(N);
    input.by_ref().take(N as u64).read_to_end(&mut head).map_err(Error::file(path))?;
    let first = std::array::from_fn(|at| head.get(at).copied().unwrap_or(0));
    Ok((first, Cursor::new(head).chain(input)))
}

/// Tells how far the file has been read.
struct Counted<'p> {
    file: File,
    progress: &'p dyn Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.progress.advance(read as u64);
        Ok(read)
    }
}
