//! The floor: what decoding the input and encoding the output take when nothing is rated.

use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal64Type, Decimal128Type, Int32Type};
use arrow_array::{ArrayRef, DictionaryArray, Int32Array, PrimitiveArray, RecordBatch, RunArray};
use kernel::{Error, Result};
use lake::ColumnarWriter;
use rating::{LineExtents, LineFormat, LineNames, RateBook};

use super::world::is_narrow;
use crate::Ctx;
use crate::groups::LINE_ROWS;
use crate::partitions::{PeriodUsage, in_parallel};

/// Writes lines whose amounts are some multiple of the quantity.
pub(super) fn write(
    ctx: &Ctx<'_>,
    book: &RateBook,
    usage: &PeriodUsage,
    (extents, workers): (&LineExtents, usize),
    folder: &Path,
) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let names = LineNames::new(book, LINE_ROWS);
    let format = LineFormat::new(book, &names, extents);
    let columns = usage.columns_for_lines(book);
    let partitions = usage.partitioning.len();
    ctx.progress.begin("measuring the floor", Some(partitions as u64));
    in_parallel(workers, partitions, |index| {
        let file = folder.join(format!("{index:05}.parquet"));
        let mut writer = ColumnarWriter::create(&file, format.schema())?;
        usage.reader(index, columns).read(|batch| writer.write(&lines(&batch, &format)?))?;
        ctx.progress.advance(1);
        writer.finish(false)
    })?;
    ctx.progress.end();
    Ok(())
}

fn wrong(error: arrow_schema::ArrowError) -> Error {
    Error::internal(error.to_string())
}

/// A batch of usage as a batch of lines.
fn lines(batch: &RecordBatch, format: &LineFormat<'_>) -> Result<RecordBatch> {
    let rows = batch.num_rows() as i32;
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| Error::internal(format!("no column {name}")))
    };
    let constant = |value: i32| -> Result<ArrayRef> {
        let values = Int32Array::from(vec![value]);
        let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(vec![rows]), &values);
        Ok(Arc::new(runs.map_err(wrong)?))
    };
    let quantity = column("quantity")?.as_primitive::<Decimal64Type>();
    let mut columns: Vec<ArrayRef> = vec![
        runs(column("subscription_id")?)?,
        runs(column("meter_id")?)?,
        Arc::clone(column("usage_start")?),
        constant(0)?,
    ];
    for (at, field) in format.schema().fields().iter().enumerate().skip(4) {
        if at > 4 && at % 2 == 1 {
            columns.push(constant(0)?);
            continue;
        }
        // About as many digits as a real amount has.
        let factor = if at == 4 { 1 } else { 123_456_789 + at as i64 };
        let values = quantity.values().iter();
        let array: ArrayRef = if is_narrow(field.data_type()) {
            let values = values.map(|value| value.wrapping_mul(factor) % 1_000_000_000_000_000_000);
            let array = PrimitiveArray::<Decimal64Type>::from_iter_values(values);
            Arc::new(array.with_data_type(field.data_type().clone()))
        } else {
            let values = values.map(|value| i128::from(*value) * i128::from(factor));
            let array = PrimitiveArray::<Decimal128Type>::from_iter_values(values);
            Arc::new(array.with_data_type(field.data_type().clone()))
        };
        columns.push(array);
    }
    RecordBatch::try_new(Arc::clone(format.schema()), columns).map_err(wrong)
}

/// A dictionary column as runs of equal keys.
fn runs(column: &ArrayRef) -> Result<ArrayRef> {
    let dictionary = column.as_dictionary::<Int32Type>();
    let (mut keys, mut ends): (Vec<i32>, Vec<i32>) = (Vec::new(), Vec::new());
    for (at, key) in dictionary.keys().values().iter().enumerate() {
        match (keys.last(), ends.last_mut()) {
            (Some(last), Some(end)) if last == key => *end = at as i32 + 1,
            _ => {
                keys.push(*key);
                ends.push(at as i32 + 1);
            }
        }
    }
    let values = Arc::clone(dictionary.values());
    let values = DictionaryArray::<Int32Type>::try_new(keys.into(), values).map_err(wrong)?;
    let runs = RunArray::<Int32Type>::try_new(&Int32Array::from(ends), &values);
    Ok(Arc::new(runs.map_err(wrong)?))
}
