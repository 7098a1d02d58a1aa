//! Usage and rated segments as Parquet in a folder.

mod columnar;

pub use columnar::ColumnarWriter;
