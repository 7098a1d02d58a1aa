//! Writing Parquet without losing what Arrow already knows: runs stay runs, dictionaries stay
//! dictionaries, and plain numbers go from memory to the file as they are.
//!
//! The library's own writer looks at every value of every column. For rated lines that is most of
//! the time of rating, and nearly all values repeat. This writer encodes a run in the time of one
//! value. Pages, headers and footers are the library's; any reader of Parquet reads the result.
//!
//! One batch becomes one row group, one column of it one data page, not compressed. Where rows are
//! looked for one by one, plain values lie in small pages with an index.

mod encode;
mod file;
mod hybrid;
mod runs;

pub(crate) use file::SharedFile;
pub(crate) use runs::{RunReader, TextRuns};

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
    ColumnChunkMetaData, FileMetaData, OffsetIndexBuilder, ParquetMetaDataBuilder,
    ParquetMetaDataWriter, RowGroupMetaData,
};
use parquet::file::page_index::offset_index::OffsetIndexMetaData;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::{ColumnDescPtr, SchemaDescPtr};

use encode::{Encoded, Encoder};

/// What opens every Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";
/// Rows of a page where rows are looked for: as few as cost readers of everything nothing.
const PAGE_ROWS: usize = 1 << 12;
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
    /// How many rows a page of plain values has.
    page_rows: usize,
    /// By row group and column, where the pages lie; only where there is an index.
    pages: Vec<Vec<OffsetIndexMetaData>>,
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
            page_rows: usize::MAX,
            pages: Vec::new(),
        })
    }

    /// In small pages with an index, so that whoever reads few rows reads little else.
    #[must_use]
    pub fn searchable(self) -> Self {
        Self { page_rows: PAGE_ROWS, ..self }
    }

    /// Appends a batch as a row group.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let mut chunks = Vec::with_capacity(batch.num_columns());
        let mut places = Vec::with_capacity(batch.num_columns());
        for (at, column) in batch.columns().iter().enumerate() {
            let descriptor = self.schema.column(at);
            let encoded = self.encoder.encode(column, &descriptor, self.page_rows)?;
            let (chunk, pages) = self.chunk(descriptor, encoded, batch.num_rows())?;
            chunks.push(chunk);
            places.push(pages);
        }
        if self.page_rows == PAGE_ROWS {
            self.pages.push(places);
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
    ) -> Result<(ColumnChunkMetaData, OffsetIndexMetaData)> {
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
        let (mut index, mut first_row) = (OffsetIndexBuilder::new(), 0);
        let mut first_page = None;
        for (buf, rows) in encoded.data {
            let size = buf.len();
            let page = Page::DataPage {
                buf,
                num_values: rows as u32,
                encoding: encoded.encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            let written = pages.write_page(CompressedPage::new(page, size)).map_err(parquet)?;
            first_page.get_or_insert(written.offset);
            index.append_row_count(rows as i64);
            index.append_offset_and_size(written.offset as i64, written.bytes_written as i32);
            first_row += rows;
        }
        if first_row != rows {
            return Err(Error::internal("the pages of a column do not have all of its rows"));
        }
        let length = (self.sink.bytes_written() - start) as i64;
        let chunk = ColumnChunkMetaData::builder(descriptor)
            .set_encodings(encodings)
            .set_num_values(rows as i64)
            .set_compression(Compression::UNCOMPRESSED)
            .set_total_compressed_size(length)
            .set_total_uncompressed_size(length)
            .set_data_page_offset(first_page.unwrap_or_default() as i64)
            .set_dictionary_page_offset(has_dictionary.then_some(start as i64))
            .build()
            .map_err(parquet)?;
        Ok((chunk, index.build()))
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
        let pages = (!self.pages.is_empty()).then_some(self.pages);
        let metadata = ParquetMetaDataBuilder::new(file)
            .set_row_groups(self.row_groups)
            .set_offset_index(pages)
            .build();
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
