//! Writing Parquet without losing what Arrow already knows: runs stay runs, dictionaries stay
//! dictionaries, and plain numbers go from memory to the file as they are.
//!
//! The library's own writer looks at every value of every column. For rated lines that is most of
//! the time of rating, and nearly all values repeat. This writer encodes a run in the time of one
//! value. Pages, headers and footers are the library's; any reader of Parquet reads the result.
//!
//! One batch becomes one row group, one column of it one data page, not compressed.

mod encode;
mod hybrid;
mod runs;

pub(crate) use runs::RunReader;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Field, Schema};
use kernel::{Error, Result};
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::file::metadata::{
    ColumnChunkMetaData, FileMetaData, ParquetMetaDataBuilder, ParquetMetaDataWriter,
    RowGroupMetaData,
};
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, SchemaDescPtr};

use encode::{Encoded, Encoder};

/// What opens every Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";
/// The version of the format's structures.
const FORMAT_VERSION: i32 = 2;

/// A Parquet file that is being written.
pub struct ColumnarWriter {
    path: PathBuf,
    sink: TrackedWrite<File>,
    schema: SchemaDescPtr,
    encoder: Encoder,
    row_groups: Vec<RowGroupMetaData>,
    rows: u64,
}

impl ColumnarWriter {
    /// Starts a file with the columns of an Arrow schema; run-encoded columns become columns of
    /// their values.
    pub fn create(path: &Path, schema: &Schema) -> Result<Self> {
        let schema = plain(schema);
        let schema = ArrowSchemaConverter::new().schema_root("schema").convert(&schema);
        let file = File::create(path).map_err(Error::file(path))?;
        let mut sink = TrackedWrite::new(file);
        sink.write_all(MAGIC).map_err(Error::file(path))?;
        Ok(Self {
            path: path.to_owned(),
            sink,
            schema: Arc::new(schema.map_err(parquet)?),
            encoder: Encoder::default(),
            row_groups: Vec::new(),
            rows: 0,
        })
    }

    /// Appends a batch as a row group.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut chunks = Vec::with_capacity(batch.num_columns());
        for (at, column) in batch.columns().iter().enumerate() {
            let descriptor = self.schema.column(at);
            let encoded = self.encoder.encode(column, &descriptor)?;
            chunks.push(self.chunk(descriptor, encoded, batch.num_rows())?);
        }
        let bytes = chunks.iter().map(ColumnChunkMetaData::uncompressed_size).sum();
        let group = RowGroupMetaData::builder(Arc::clone(&self.schema))
            .set_num_rows(batch.num_rows() as i64)
            .set_total_byte_size(bytes)
            .set_column_metadata(chunks)
            .set_ordinal(i16::try_from(self.row_groups.len()).unwrap_or(i16::MAX))
            .build()
            .map_err(parquet)?;
        self.row_groups.push(group);
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn chunk(
        &mut self,
        descriptor: ColumnDescPtr,
        encoded: Encoded,
        rows: usize,
    ) -> Result<ColumnChunkMetaData> {
        let start = self.sink.bytes_written();
        let mut pages = SerializedPageWriter::new(&mut self.sink);
        let mut encodings = vec![Encoding::RLE, encoded.encoding];
        let has_dictionary = encoded.dictionary.is_some();
        if let Some((buf, values)) = encoded.dictionary {
            encodings.push(Encoding::PLAIN);
            let size = buf.len();
            let page = Page::DictionaryPage {
                buf,
                num_values: values,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            pages.write_page(CompressedPage::new(page, size)).map_err(parquet)?;
        }
        let size = encoded.data.len();
        let page = Page::DataPage {
            buf: encoded.data,
            num_values: rows as u32,
            encoding: encoded.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let data = pages.write_page(CompressedPage::new(page, size)).map_err(parquet)?;
        let length = (self.sink.bytes_written() - start) as i64;
        ColumnChunkMetaData::builder(descriptor)
            .set_encodings(encodings)
            .set_num_values(rows as i64)
            .set_compression(Compression::UNCOMPRESSED)
            .set_total_compressed_size(length)
            .set_total_uncompressed_size(length)
            .set_data_page_offset(data.offset as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(start as i64))
            .build()
            .map_err(parquet)
    }

    /// How many rows have been written.
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Writes the footer; says how many bytes the file has. With `durable`, returns only when it
    /// is on disk.
    pub fn finish(mut self, durable: bool) -> Result<u64> {
        let created_by = Some("skyhandel".to_owned());
        let file = FileMetaData::new(
            FORMAT_VERSION,
            self.rows as i64,
            created_by,
            None,
            Arc::clone(&self.schema),
            None,
        );
        let metadata = ParquetMetaDataBuilder::new(file).set_row_groups(self.row_groups).build();
        self.sink.flush().map_err(Error::file(&self.path))?;
        let handle = self.sink.inner().try_clone().map_err(Error::file(&self.path))?;
        ParquetMetaDataWriter::new_with_tracked(self.sink, &metadata).finish().map_err(parquet)?;
        if durable {
            handle.sync_all().map_err(Error::file(&self.path))?;
        }
        handle.metadata().map(|metadata| metadata.len()).map_err(Error::file(&self.path))
    }
}

/// The schema with run-encoded columns as columns of their values, and dictionaries as text.
fn plain(schema: &Schema) -> Schema {
    fn values(data_type: &DataType) -> DataType {
        match data_type {
            DataType::RunEndEncoded(_, field) => values(field.data_type()),
            DataType::Dictionary(_, of) => values(of),
            other => other.clone(),
        }
    }
    let fields = schema.fields().iter();
    let plain = fields.map(|f| Field::new(f.name(), values(f.data_type()), f.is_nullable()));
    Schema::new(plain.collect::<Vec<_>>())
}

pub(crate) fn parquet(error: parquet::errors::ParquetError) -> Error {
    Error::internal(format!("Parquet: {error}"))
}
