//! Usage and rated segments as Parquet in a folder.
//!
//! **Owns** the files: how usage is partitioned, sorted, written and read, which event ids have
//! been seen, and a writer of Parquet that keeps runs as runs.
//! **Does not own** the catalogue of the files, which is `store`'s: a file that the catalogue does
//! not name does not exist.
//!
//! # Invariants
//! - A file never changes once the catalogue names it.
//! - What is read does not depend on how usage was cut into files or in which order they came.

pub mod columnar;
pub mod events;
mod partition;
pub mod usage;

use std::fs::File;
use std::path::Path;

pub use columnar::ColumnarWriter;
use kernel::{Error, Result};
pub use partition::{Partition, PartitionHash, Partitioning};

/// Makes the names of files in a folder durable, after the files themselves are.
pub fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file(folder))
}
