//! Usage as tables: delimited text and Parquet.

use std::borrow::Cow;
use std::fs::File;

use arrow_array::RecordBatch;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;
use kernel::{Error, Fault, Faults, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::intake::Intake;
use super::record::{FIELDS, Field, RawRecord};
use crate::Ctx;
use crate::imports::input::Input;
use crate::imports::table::{Table, normalized};

/// Reads a delimited file: our own columns where it has event ids, else cost details.
pub(super) fn csv(ctx: &Ctx<'_>, input: &Input, intake: &mut Intake<'_>) -> Result<()> {
    let mut table = Table::open(&input.name, input.read(ctx.progress)?)?;
    let columns = Field::NAMES.map(|(_, names)| table.column(names));
    let derives_ids = columns[Field::EventId as usize].is_none();
    for field in required(derives_ids) {
        if field != Field::SubscriptionId || intake.needs_subscription() {
            table.required(Field::NAMES[field as usize].1)?;
        }
    }
    let names = std::array::from_fn(|at| {
        let (field, _) = Field::NAMES[at];
        columns[at].map_or_else(|| field.name().to_owned(), |c| table.headers[c].clone())
    });
    intake.begin(&input.name, names, derives_ids);
    loop {
        match table.next() {
            None => return Ok(()),
            Some(Err(fault)) => {
                let headers = table.headers.iter().map(String::as_str);
                intake.bad(vec![fault], &headers.zip(table.cells()).collect())?;
            }
            Some(Ok(row)) => {
                let values = columns.map(|column| Cow::Borrowed(row.get(column)));
                intake.take(&RawRecord { row: row.row, values })?;
            }
        }
    }
}

/// The columns that must be there.
fn required(derives_ids: bool) -> Vec<Field> {
    let mut fields = vec![Field::SubscriptionId, Field::MeterId, Field::Quantity];
    fields.push(if derives_ids { Field::Date } else { Field::UsageStart });
    fields
}

/// Reads a Parquet file with our own columns.
pub(super) fn parquet(ctx: &Ctx<'_>, input: &Input, intake: &mut Intake<'_>) -> Result<()> {
    let file = File::open(&input.path).map_err(Error::file(&input.path))?;
    let unreadable = |error: &dyn std::fmt::Display| {
        refused(&input.name, None, &format!("is not a readable Parquet file: {error}"))
    };
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| unreadable(&error))?;
    let rows = builder.metadata().file_metadata().num_rows() as u64;
    ctx.progress.begin(&input.name, Some(rows));
    let headers: Vec<String> =
        builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let columns = Field::NAMES.map(|(_, names)| {
        names.iter().find_map(|name| {
            headers.iter().position(|header| normalized(header) == normalized(name))
        })
    });
    for field in required(false).into_iter().chain([Field::EventId]) {
        if columns[field as usize].is_none() {
            let reason = format!("is missing; the columns are {}", headers.join(", "));
            return Err(refused(&input.name, Some(field.name()), &reason));
        }
    }
    for (column, (field, _)) in columns.iter().zip(Field::NAMES) {
        let data_type = column.map(|column| builder.schema().field(column).data_type().clone());
        if matches!(data_type, Some(DataType::Float16 | DataType::Float32 | DataType::Float64)) {
            let reason = "is a column of floating-point numbers, which are not exact; write \
                          decimals or text";
            return Err(refused(&input.name, Some(field.name()), reason));
        }
    }
    let names = std::array::from_fn(|at| {
        columns[at].map_or_else(|| Field::NAMES[at].0.name().to_owned(), |c| headers[c].clone())
    });
    intake.begin(&input.name, names, false);
    let mut row = 0;
    for batch in builder.build().map_err(|error| unreadable(&error))? {
        let batch = batch.map_err(|error| unreadable(&error))?;
        take_batch(&batch, &columns, &mut row, intake).map_err(|error| match error {
            Ok(error) => error,
            Err(error) => unreadable(&error),
        })?;
        ctx.progress.advance(batch.num_rows() as u64);
    }
    Ok(())
}

fn take_batch(
    batch: &RecordBatch,
    columns: &[Option<usize>; FIELDS],
    row: &mut u64,
    intake: &mut Intake<'_>,
) -> Result<(), Result<Error, arrow_schema::ArrowError>> {
    let options = FormatOptions::new().with_display_error(false);
    let formatters: Vec<Option<ArrayFormatter<'_>>> = columns
        .iter()
        .map(|column| {
            column.map(|c| ArrayFormatter::try_new(batch.column(c), &options)).transpose()
        })
        .collect::<Result<_, _>>()
        .map_err(Err)?;
    for at in 0..batch.num_rows() {
        *row += 1;
        let mut raw = RawRecord { row: *row, ..RawRecord::default() };
        for (value, formatter) in raw.values.iter_mut().zip(&formatters) {
            if let Some(formatter) = formatter {
                *value = Cow::Owned(formatter.value(at).try_to_string().map_err(Err)?);
            }
        }
        intake.take(&raw).map_err(Ok)?;
    }
    Ok(())
}

fn refused(file: &str, field: Option<&str>, reason: &str) -> Error {
    let mut faults = Faults::default();
    faults.push(Fault {
        file: file.to_owned(),
        line: None,
        field: field.map(ToOwned::to_owned),
        value: None,
        reason: reason.to_owned(),
    });
    Error::Refused { subject: file.to_owned(), faults: Box::new(faults) }
}
