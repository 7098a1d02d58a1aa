//! A file that many readers share: every read says where it begins, so that nobody has to open or
//! wind it anew for each page.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use kernel::{Error, Result};
use parquet::file::reader::{ChunkReader, Length};

/// Bytes that are read at once where it is not known how many are wanted: a page's header has fewer.
const HEADER_BYTES: usize = 256;

/// An open file.
#[derive(Debug, Clone)]
pub(crate) struct SharedFile {
    file: Arc<File>,
    length: u64,
}

impl SharedFile {
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::file(path))?;
        let length = file.metadata().map_err(Error::file(path))?.len();
        Ok(Self { file: Arc::new(file), length })
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&*self.file, buffer, at);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&*self.file, buffer, at);
    }
}

impl Length for SharedFile {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for SharedFile {
    type T = Reading;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Reading> {
        Ok(Reading { file: self.clone(), at: start, buffer: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let mut bytes = vec![0; length];
        let mut filled = 0;
        while filled < length {
            match self.read_at(&mut bytes[filled..], start + filled as u64)? {
                0 => return Err(parquet::errors::ParquetError::EOF("the file is cut off".into())),
                read => filled += read,
            }
        }
        Ok(bytes.into())
    }
}

/// Reading on from somewhere.
#[derive(Debug)]
pub(crate) struct Reading {
    file: SharedFile,
    at: u64,
    buffer: Bytes,
}

impl Read for Reading {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_empty() {
            let mut more = vec![0; HEADER_BYTES.max(out.len())];
            let read = self.file.read_at(&mut more, self.at)?;
            more.truncate(read);
            (self.buffer, self.at) = (more.into(), self.at + read as u64);
        }
        let read = out.len().min(self.buffer.len());
        self.buffer.copy_to_slice(&mut out[..read]);
        Ok(read)
    }
}
