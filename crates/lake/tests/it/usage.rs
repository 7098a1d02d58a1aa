//! What is read does not depend on how usage was cut into files or in which order they came.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal64Type, Decimal128Type, Int32Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;
use kernel::{OrganisationId, Quantity, SubscriptionId};
use lake::usage::{
    Columns, SegmentInfo, UsageChunk, UsageDetails, UsageReader, UsageRecord, Wanted, pack,
    resolve, unpack,
};
use lake::{PartitionHash, Partitioning};
use proptest::prelude::*;

const OCTOBER: i64 = 1_790_812_800_000_000;
const HOUR: i64 = 3_600_000_000;

fn record(id: &str, customer: usize, meter: usize, hour: i64, quantity: &str) -> UsageRecord {
    UsageRecord {
        source: "test".into(),
        event_id: id.into(),
        corrects: None,
        recorded_at: 0,
        customer: OrganisationId::derived(&format!("customer-{}", customer / 2)),
        subscription: SubscriptionId::derived(&format!("subscription-{customer}")),
        entitlement: None,
        meter: format!("meter-{meter}").parse().unwrap(),
        start: OCTOBER + hour * HOUR,
        end: OCTOBER + (hour + 1) * HOUR,
        quantity: quantity.parse().unwrap(),
        unit: "1 Hour".into(),
        details: UsageDetails { resource_uri: format!("/r/{}", hour % 3), ..Default::default() },
    }
}

fn correction(of: &UsageRecord, id: &str, quantity: &str, recorded_at: i64) -> UsageRecord {
    UsageRecord {
        event_id: id.into(),
        corrects: Some(of.event_id.clone()),
        quantity: quantity.parse().unwrap(),
        recorded_at,
        ..of.clone()
    }
}

/// Writes each part as a file of its own.
fn segments(folder: &Path, parts: &[Vec<UsageRecord>]) -> Vec<SegmentInfo> {
    let mut segments = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let mut chunk = UsageChunk::default();
        for record in part {
            chunk.push(record);
        }
        segments.extend(chunk.write(folder, &format!("part-{at}")).unwrap().segments);
    }
    segments
}

fn quantities(batch: &RecordBatch) -> Vec<Quantity> {
    let column = batch.column_by_name("quantity").unwrap();
    let exact = |mantissa: i128, scale: i8| {
        Quantity::from_mantissa(mantissa * 10i128.pow(15 - scale as u32))
    };
    match column.data_type() {
        DataType::Decimal64(_, s) => column
            .as_primitive::<Decimal64Type>()
            .values()
            .iter()
            .map(|v| exact((*v).into(), *s))
            .collect(),
        DataType::Decimal128(_, s) => {
            column.as_primitive::<Decimal128Type>().values().iter().map(|v| exact(*v, *s)).collect()
        }
        other => panic!("{other}"),
    }
}

type Row = (String, String, i64, Quantity);

/// Everything that one meter of some subscriptions has.
struct OneMeter(Vec<String>);

impl Wanted for OneMeter {
    fn has_customer(&self, _: PartitionHash) -> bool {
        true
    }

    fn has(&self, subscription: &str, meter: &str) -> bool {
        self.0.iter().any(|wanted| wanted == subscription) && meter == "meter-1"
    }
}

/// What is read, partition by partition: subscription, meter, start, quantity.
fn read(folder: &Path, segments: &[SegmentInfo], partitioning: Partitioning) -> Vec<Row> {
    read_only(folder, segments, partitioning, None)
}

/// The same of some subscriptions and meters.
fn read_only(
    folder: &Path,
    segments: &[SegmentInfo],
    partitioning: Partitioning,
    only: Option<&dyn Wanted>,
) -> Vec<Row> {
    let mut rows = Vec::new();
    for index in 0..partitioning.len() {
        for columns in
            [Columns::Totals, Columns::Times, Columns::Resources, Columns::Details, Columns::All]
        {
            let partition = partitioning.partition(index);
            let reader = UsageReader { folder, segments, partition, columns, only };
            let mut read = Vec::new();
            reader
                .read(|batch| {
                    let texts = |name: &str| -> Vec<String> {
                        let column =
                            batch.column_by_name(name).unwrap().as_dictionary::<Int32Type>();
                        let values = column.values().as_string::<i32>();
                        column
                            .keys()
                            .values()
                            .iter()
                            .map(|k| values.value(*k as usize).into())
                            .collect()
                    };
                    let starts = batch.column_by_name("usage_start").map(|column| {
                        column.as_primitive::<TimestampMicrosecondType>().values().to_vec()
                    });
                    let (subscriptions, meters) = (texts("subscription_id"), texts("meter_id"));
                    for (at, quantity) in quantities(&batch).into_iter().enumerate() {
                        let start = starts.as_ref().map_or(0, |starts| starts[at]);
                        read.push((subscriptions[at].clone(), meters[at].clone(), start, quantity));
                    }
                    Ok(())
                })
                .unwrap();
            match columns {
                Columns::Totals | Columns::Starts => {}
                Columns::Times => rows.extend(read),
                Columns::Resources | Columns::Details | Columns::All => {
                    assert!(rows.ends_with(&read), "more columns, same rows");
                }
            }
        }
    }
    rows
}

/// How many rows of some subscriptions and meters count.
fn rows_that_count(
    folder: &Path,
    segments: &[SegmentInfo],
    partitioning: Partitioning,
    only: &OneMeter,
) -> usize {
    let partitions = (0..partitioning.len()).map(|index| partitioning.partition(index));
    let count = |partition| {
        let columns = Columns::Times;
        let reader = UsageReader { folder, segments, partition, columns, only: Some(only) };
        let rows = reader.rows().unwrap();
        resolve(rows.iter().map(|(_, rows)| rows), columns).unwrap().num_rows()
    };
    partitions.map(count).sum()
}

#[test]
fn what_one_file_has_comes_back_sorted() {
    let folder = tempfile::tempdir().unwrap();
    let records = vec![
        record("c", 1, 0, 5, "1.5"),
        record("a", 0, 1, 2, "0.032258064516129"),
        record("b", 0, 1, 1, "999999999999"),
    ];
    let segments = segments(folder.path(), &[records]);
    assert_eq!((segments.len(), segments[0].rows, segments[0].quantity_scale), (1, 3, 15));
    let rows = read(folder.path(), &segments, Partitioning::of(1, 1));
    let written: Vec<String> = rows.iter().map(|row| row.3.to_string()).collect();
    assert_eq!(written.len(), 3);
    let (b, a) = ("999999999999".to_owned(), "0.032258064516129".to_owned());
    assert!(written.windows(2).any(|pair| pair == [b.clone(), a.clone()]), "{written:?}");
}

#[test]
fn records_of_two_months_lie_apart() {
    let folder = tempfile::tempdir().unwrap();
    let records = vec![record("a", 0, 0, -1, "1"), record("b", 0, 0, 0, "2")];
    let segments = segments(folder.path(), &[records]);
    let months: Vec<String> = segments.iter().map(|s| s.month.to_string()).collect();
    assert_eq!(months, ["2026-09", "2026-10"]);
}

#[test]
fn the_last_correction_counts_wherever_it_comes() {
    let original = record("e", 0, 0, 3, "10");
    let first = correction(&original, "c1", "7", 100);
    let second = correction(&original, "c2", "8", 200);
    let other = record("f", 0, 0, 3, "1");
    let parts: [&[&UsageRecord]; 5] = [
        &[&original, &first, &second, &other],
        &[&second, &other, &first, &original],
        &[&first, &original],
        &[&second],
        &[&other],
    ];
    for cut in [vec![0], vec![1], vec![2, 3, 4], vec![4, 3, 2], vec![3, 2, 4]] {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<Vec<UsageRecord>> = cut
            .iter()
            .map(|at: &usize| parts[*at].iter().map(|r| (*r).clone()).collect())
            .collect();
        let segments = segments(folder.path(), &files);
        let rows = read(folder.path(), &segments, Partitioning::of(1, 1));
        let written: Vec<String> = rows.iter().map(|row| row.3.to_string()).collect();
        assert_eq!(written, ["8", "1"], "{cut:?}");
    }
}

#[test]
fn of_corrections_stated_at_once_the_one_with_the_greatest_id_counts() {
    let original = record("e", 0, 0, 3, "10");
    let [z, a] = [correction(&original, "z", "7", 0), correction(&original, "a", "8", 0)];
    for files in [[&original, &z, &a], [&a, &original, &z], [&z, &a, &original]] {
        let folder = tempfile::tempdir().unwrap();
        let files: Vec<Vec<UsageRecord>> = files.map(|record| vec![record.clone()]).to_vec();
        let segments = segments(folder.path(), &files);
        let rows = read(folder.path(), &segments, Partitioning::of(1, 1));
        assert_eq!(rows[0].3.to_string(), "7");
    }
}

#[test]
fn a_correction_without_its_event_waits() {
    let original = record("e", 0, 0, 3, "10");
    let early = correction(&original, "c", "7", 0);
    let folder = tempfile::tempdir().unwrap();
    let mut known = segments(folder.path(), &[vec![early]]);
    assert_eq!(known[0].corrections, 1);
    assert_eq!(read(folder.path(), &known, Partitioning::of(1, 1)), []);
    let mut chunk = UsageChunk::default();
    chunk.push(&original);
    known.extend(chunk.write(folder.path(), "later").unwrap().segments);
    let rows = read(folder.path(), &known, Partitioning::of(1, 1));
    assert_eq!(rows[0].3.to_string(), "7");
}

/// Of a file of many pages, few rows are found that lie at the ends of pages, within them and over
/// several, whatever partition they are in.
#[test]
fn few_rows_of_many_pages_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for customer in 0..7 {
        for at in 0..5000 {
            let meter = usize::from(at % 1250 < 3 * customer);
            let id = format!("{customer}-{at}");
            records.push(record(&id, customer, meter, at as i64 % 40, &format!("{at}.25")));
        }
    }
    let segments = segments(folder.path(), &[records]);
    let all = read(folder.path(), &segments, Partitioning::of(1, 1));
    assert_eq!(all.len(), 35_000);
    for customers in [vec![1], vec![6], vec![2, 3, 5], vec![9]] {
        let of = |number: &usize| SubscriptionId::derived(&format!("subscription-{number}"));
        let only = OneMeter(customers.iter().map(|number| of(number).to_string()).collect());
        let some: Vec<Row> = all.iter().filter(|row| only.has(&row.0, &row.1)).cloned().collect();
        for partitioning in [Partitioning::of(1, 1), Partitioning::of(8, 1)] {
            let found = read_only(folder.path(), &segments, partitioning, Some(&only));
            assert_eq!(found, some);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn files_and_partitions_do_not_matter(
        records in prop::collection::vec((0usize..12, 0usize..3, 0i64..40, 0u32..1000, 0usize..4), 1..120),
        partitions in 1u64..40,
    ) {
        let records: Vec<(UsageRecord, usize)> = records
            .into_iter()
            .enumerate()
            .map(|(at, (customer, meter, hour, quantity, file))| {
                (record(&format!("{at:03}"), customer, meter, hour, &format!("{quantity}.5")), file)
            })
            .collect();
        let whole = tempfile::tempdir().unwrap();
        let together: Vec<UsageRecord> = records.iter().map(|(r, _)| r.clone()).collect();
        let together = segments(whole.path(), &[together]);
        let cut = tempfile::tempdir().unwrap();
        let files: Vec<Vec<UsageRecord>> = (0..4)
            .map(|file| records.iter().rev().filter(|(_, f)| *f == file).map(|(r, _)| r.clone()).collect())
            .collect();
        let apart = segments(cut.path(), &files);
        let expected = read(whole.path(), &together, Partitioning::of(1, 1));
        prop_assert_eq!(expected.len(), records.len());
        for partitioning in [Partitioning::of(1, 1), Partitioning::of(partitions, 1)] {
            prop_assert_eq!(&read(whole.path(), &together, partitioning), &expected);
            prop_assert_eq!(&read(cut.path(), &apart, partitioning), &expected);
            let of = |number: usize| SubscriptionId::derived(&format!("subscription-{number}"));
            let only = OneMeter(vec![of(1).to_string(), of(4).to_string(), of(5).to_string()]);
            let some: Vec<Row> =
                expected.iter().filter(|row| only.has(&row.0, &row.1)).cloned().collect();
            let together = read_only(whole.path(), &together, partitioning, Some(&only));
            prop_assert_eq!(&together, &some);
            let apart_only = read_only(cut.path(), &apart, partitioning, Some(&only));
            prop_assert_eq!(&apart_only, &some);
            prop_assert_eq!(rows_that_count(cut.path(), &apart, partitioning, &only), some.len());
        }
    }
}

fn any_record() -> impl Strategy<Value = UsageRecord> {
    let text = || prop_oneof![Just(String::new()), "[a-c]{1,3}", ".{0,20}"];
    let details = prop::array::uniform8(text());
    let ids = ("[a-z0-9]{1,20}", prop::option::of("[a-z]{1,5}"), any::<Option<u128>>());
    let times = (any::<i32>(), any::<i64>(), 0i64..1 << 45);
    (ids, text(), times, any::<i128>(), any::<u128>(), details).prop_map(
        |((id, corrects, entitlement), unit, (recorded, start, length), quantity, of, details)| {
            let mut record = record(&id, 0, 0, 0, "0");
            record.corrects = corrects;
            record.entitlement =
                entitlement.map(|id| kernel::EntitlementId::from_random(id.to_be_bytes()));
            record.customer = OrganisationId::from_random(of.to_be_bytes());
            record.unit = unit;
            record.recorded_at = recorded.into();
            record.start = start / 2;
            record.end = record.start + length;
            record.quantity = Quantity::from_mantissa(quantity);
            for (name, detail) in UsageDetails::NAMES.iter().zip(details) {
                *record.details.get_mut(name).unwrap() = detail;
            }
            record
        },
    )
}

proptest! {
    #[test]
    fn packed_records_come_back_as_they_were(
        records in prop::collection::vec(any_record(), 0..20),
        damage in any::<prop::sample::Index>(),
    ) {
        let packed = pack(&records.iter().collect::<Vec<_>>());
        prop_assert_eq!(&unpack(&packed).unwrap(), &records);
        // What is cut off is noticed.
        let cut = damage.index(packed.len());
        prop_assert!(unpack(&packed[..cut]).is_err());
    }
}
