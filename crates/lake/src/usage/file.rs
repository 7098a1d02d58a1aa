//! A usage file and its batches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use kernel::{Error, Result};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::PageIndexPolicy;

use super::read::BATCH_ROWS;
use crate::columnar::{SharedFile, parquet};

/// The batches of a usage file: all columns or some, all row groups or some.
pub fn batches_of(
    path: &Path,
    names: Option<&[&str]>,
    row_groups: Option<&[usize]>,
) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
    UsageFile::open(path, false)?.batches(names, row_groups, None)
}

/// A usage file whose footer has been read.
pub(super) struct UsageFile {
    path: PathBuf,
    pub file: SharedFile,
    pub metadata: ArrowReaderMetadata,
}

impl UsageFile {
    /// Opens a file, with the index of its pages where few rows of it are wanted.
    pub fn open(path: &Path, with_index: bool) -> Result<Self> {
        let file = SharedFile::open(path)?;
        let read = |error| unreadable(path, &error);
        let mut options = ArrowReaderOptions::new();
        if with_index {
            options = options.with_page_index_policy(PageIndexPolicy::Optional);
        }
        let plain = ArrowReaderMetadata::load(&file, options.clone()).map_err(read)?;
        let options = options.with_schema(Arc::new(compact(plain.schema())));
        let metadata = ArrowReaderMetadata::try_new(Arc::clone(plain.metadata()), options);
        Ok(Self { path: path.to_owned(), file, metadata: metadata.map_err(read)? })
    }

    pub fn batches(
        &self,
        names: Option<&[&str]>,
        row_groups: Option<&[usize]>,
        selection: Option<RowSelection>,
    ) -> Result<impl Iterator<Item = Result<RecordBatch>> + use<>> {
        let (file, metadata) = (self.file.clone(), self.metadata.clone());
        let mut builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        if let Some(names) = names {
            let mask = ProjectionMask::columns(builder.parquet_schema(), names.iter().copied());
            builder = builder.with_projection(mask);
        }
        if let Some(row_groups) = row_groups {
            builder = builder.with_row_groups(row_groups.to_vec());
        }
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let path = self.path.clone();
        let reader = builder.with_batch_size(BATCH_ROWS).build().map_err(parquet)?;
        Ok(reader.map(move |batch| {
            let wrong = |error| format!("{} cannot be read: {error}", path.display());
            batch.map_err(|error| Error::conflict(wrong(error)))
        }))
    }
}

fn unreadable(path: &Path, error: &parquet::errors::ParquetError) -> Error {
    Error::conflict(format!("{} cannot be read: {error}", path.display()))
}

/// The types as which columns are read: texts that repeat as dictionaries, narrow decimals as
/// narrow.
fn compact(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Utf8 if !["event_id", "corrects"].contains(&field.name().as_str()) => {
                DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
            }
            DataType::Decimal128(precision @ ..=18, scale) => {
                DataType::Decimal64(*precision, *scale)
            }
            other => other.clone(),
        };
        Field::new(field.name(), data_type, field.is_nullable())
    });
    Schema::new(fields.collect::<Vec<_>>())
}
