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

pub use columnar::ColumnarWriter;
pub use partition::{Partition, PartitionHash, Partitioning};
