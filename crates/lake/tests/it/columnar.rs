//! What is written comes back through the library's reader, value for value.

use std::fs::File;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, Decimal64Array, Decimal128Array, DictionaryArray, Int32Array, RecordBatch,
    RunArray, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use lake::ColumnarWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;

/// One row as plain values.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    run_text: usize,
    run_number: Option<i32>,
    key: usize,
    time: i64,
    tiny: i64,
    narrow: Option<i64>,
    wide: i128,
    text: String,
}

const WORDS: [&str; 5] = ["", "a", "bb", "æøå", "a much longer text than the others"];
const TINY: (u8, i8) = (5, 2);
const NARROW: (u8, i8) = (18, 6);
const WIDE: (u8, i8) = (26, 18);

fn schema() -> Schema {
    let runs = |values: DataType| {
        DataType::RunEndEncoded(
            Arc::new(Field::new("run_ends", DataType::Int32, false)),
            Arc::new(Field::new("values", values, true)),
        )
    };
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Schema::new(vec![
        Field::new("run_text", runs(text.clone()), false),
        Field::new("run_number", runs(DataType::Int32), true),
        Field::new("key", text, false),
        Field::new("time", time, false),
        Field::new("tiny", DataType::Decimal64(TINY.0, TINY.1), false),
        Field::new("narrow", DataType::Decimal64(NARROW.0, NARROW.1), true),
        Field::new("wide", DataType::Decimal128(WIDE.0, WIDE.1), false),
        Field::new("text", DataType::Utf8, false),
    ])
}

/// Runs that are as long as equal neighbours, or one each when `split`.
fn run_ends<T: PartialEq>(values: &[T], split: bool) -> Vec<usize> {
    (1..=values.len())
        .filter(|at| split || *at == values.len() || values[*at] != values[at - 1])
        .collect()
}

fn batch(rows: &[Row], split: bool) -> RecordBatch {
    let words: ArrayRef = Arc::new(StringArray::from(WORDS.to_vec()));
    let dictionary = |keys: Vec<i32>| {
        DictionaryArray::<Int32Type>::try_new(Int32Array::from(keys), Arc::clone(&words)).unwrap()
    };
    let texts: Vec<usize> = rows.iter().map(|r| r.run_text).collect();
    let ends = run_ends(&texts, split);
    let ends_of = |ends: &[usize]| Int32Array::from_iter_values(ends.iter().map(|end| *end as i32));
    let run_text = RunArray::try_new(
        &ends_of(&ends),
        &dictionary(ends.iter().map(|end| texts[end - 1] as i32).collect()),
    );
    let numbers: Vec<Option<i32>> = rows.iter().map(|r| r.run_number).collect();
    let ends = run_ends(&numbers, split);
    let values: Int32Array = ends.iter().map(|end| numbers[end - 1]).collect();
    let run_number = RunArray::try_new(&ends_of(&ends), &values);
    let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.time));
    let tiny = Decimal64Array::from_iter_values(rows.iter().map(|r| r.tiny));
    let narrow: Decimal64Array = rows.iter().map(|r| r.narrow).collect();
    let wide = Decimal128Array::from_iter_values(rows.iter().map(|r| r.wide));
    RecordBatch::try_new(
        Arc::new(schema()),
        vec![
            Arc::new(run_text.unwrap()) as ArrayRef,
            Arc::new(run_number.unwrap()),
            Arc::new(dictionary(rows.iter().map(|r| r.key as i32).collect())),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(tiny.with_precision_and_scale(TINY.0, TINY.1).unwrap()),
            Arc::new(narrow.with_precision_and_scale(NARROW.0, NARROW.1).unwrap()),
            Arc::new(wide.with_precision_and_scale(WIDE.0, WIDE.1).unwrap()),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|r| &r.text))),
        ],
    )
    .unwrap()
}

fn read(path: &std::path::Path) -> Vec<Row> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let mut rows = Vec::new();
    for batch in reader.with_batch_size(100).build().unwrap() {
        let batch = batch.unwrap();
        let text = |name: &str, at: usize| {
            batch.column_by_name(name).unwrap().as_string::<i32>().value(at).to_owned()
        };
        let decimal = |name: &str, at: usize| {
            let column = batch.column_by_name(name).unwrap().as_primitive::<Decimal128Type>();
            column.is_valid(at).then(|| column.value(at))
        };
        let word = |name: &str, at: usize| WORDS.iter().position(|w| *w == text(name, at)).unwrap();
        for at in 0..batch.num_rows() {
            let numbers = batch.column_by_name("run_number").unwrap().as_primitive::<Int32Type>();
            let times = batch.column_by_name("time").unwrap();
            rows.push(Row {
                run_text: word("run_text", at),
                run_number: numbers.is_valid(at).then(|| numbers.value(at)),
                key: word("key", at),
                time: times.as_primitive::<TimestampMicrosecondType>().value(at),
                tiny: decimal("tiny", at).unwrap() as i64,
                narrow: decimal("narrow", at).map(|value| value as i64),
                wide: decimal("wide", at).unwrap(),
                text: text("text", at),
            });
        }
    }
    rows
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = (
        0..WORDS.len(),
        prop::option::of(-2i32..2),
        0..WORDS.len(),
        0i64..50,
        -99_999i64..99_999,
        prop::option::weighted(0.8, -10i64.pow(18) + 1..10i64.pow(18)),
        -10i128.pow(26) + 1..10i128.pow(26),
        ".{0,4}",
    );
    let row = row.prop_map(|(run_text, run_number, key, time, tiny, narrow, wide, text)| Row {
        run_text,
        run_number,
        key,
        time,
        tiny,
        narrow,
        wide,
        text,
    });
    prop::collection::vec((row, 1usize..30), 1..40).prop_map(|runs| {
        runs.into_iter().flat_map(|(row, length)| std::iter::repeat_n(row, length)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_value_comes_back(batches in prop::collection::vec(rows(), 1..4), split in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.parquet");
        let mut writer = ColumnarWriter::create(&path, &schema()).unwrap();
        for rows in &batches {
            writer.write(&batch(rows, split)).unwrap();
        }
        let bytes = writer.finish(false).unwrap();
        prop_assert_eq!(bytes, std::fs::metadata(&path).unwrap().len());
        prop_assert_eq!(read(&path), batches.concat());
    }
}

#[test]
fn times_that_do_not_repeat_come_back_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lines.parquet");
    let row = |at: i64| Row {
        run_text: 1,
        run_number: None,
        key: (at % 5) as usize,
        time: at * 1_000_003,
        tiny: at,
        narrow: Some(at),
        wide: i128::from(at),
        text: at.to_string(),
    };
    let rows: Vec<Row> = (0..10_000).map(row).collect();
    let mut writer = ColumnarWriter::create(&path, &schema()).unwrap();
    writer.write(&batch(&rows, false)).unwrap();
    writer.finish(true).unwrap();
    assert_eq!(read(&path), rows);
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let row = Row {
        run_text: 1,
        run_number: Some(1),
        key: 2,
        time: 7,
        tiny: 5,
        narrow: None,
        wide: 9,
        text: "x".into(),
    };
    let write = |name: &str| {
        let path = folder.path().join(name);
        let mut writer = ColumnarWriter::create(&path, &schema()).unwrap();
        writer.write(&batch(&vec![row.clone(); 1000], false)).unwrap();
        writer.finish(false).unwrap();
        std::fs::read(path).unwrap()
    };
    assert_eq!(write("a"), write("b"));
}

#[test]
fn a_null_where_none_may_be_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let field = Field::new("x", DataType::Int32, false);
    let strict = Schema::new(vec![field.clone()]);
    let loose = Arc::new(Schema::new(vec![field.with_nullable(true)]));
    let mut writer = ColumnarWriter::create(&folder.path().join("x"), &strict).unwrap();
    let column: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None]));
    let batch = RecordBatch::try_new(loose, vec![column]).unwrap();
    assert!(writer.write(&batch).unwrap_err().to_string().contains("nulls in column x"));
}
