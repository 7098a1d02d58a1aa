//! The same facts give the same bytes, however they came in and whoever worked on them.

use documents::Format;
use testkit::{World, contents, fixtures};

const HEADER: &str = "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit,tags\n";

fn subscriptions() -> Vec<String> {
    (0..12).map(|n| format!("11111111-2222-4333-8444-{n:012}")).collect()
}

/// Rows of many meters, some of them beyond both ends of the month.
fn rows() -> Vec<String> {
    let subscriptions = subscriptions();
    let mut state = 42u64;
    let mut random = |bound: u64| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % bound
    };
    (0..3000)
        .map(|at| {
            let (subscription, meter) = (random(12), random(6));
            let start = 1_767_225_600 - 86_400 + random(33 * 86_400);
            let instant = |seconds: u64| {
                jiff::Timestamp::from_second(seconds.cast_signed()).unwrap().to_string()
            };
            let (start, end) = (instant(start), instant(start + random(3 * 86_400)));
            let quantity = format!("{}.{:06}", random(90), random(1_000_000));
            format!(
                "e{at},{},m{meter},{start},{end},{quantity},1 Hour,team-{}\n",
                subscriptions[subscription as usize],
                random(3)
            )
        })
        .collect()
}

fn documents(files: &[Vec<String>], workers: usize) -> std::collections::BTreeMap<String, Vec<u8>> {
    let world = World::at("2026-03-02T09:00:00Z").unwrap();
    let subscriptions = subscriptions();
    let ids: Vec<&str> = subscriptions.iter().map(String::as_str).collect();
    world.apply(&fixtures::two_edges(&ids)).unwrap();
    let meters = [
        ("m0", r#"{"0": 0.1}"#),
        ("m1", r#"{"0": 0.123456, "100": 0.1, "1000": 0.05}"#),
        ("m2", r#"{"0": 0, "50": 3}"#),
        ("m3", r#"{"0": 0.000001}"#),
        ("m4", r#"{"0": 12.5, "2000": 0}"#),
        ("m5", r#"{"0": 1}"#),
    ];
    world.prices("list", "prices.json", fixtures::rate_card(&meters)).unwrap();
    for (at, rows) in files.iter().enumerate() {
        let content = format!("{HEADER}{}", rows.concat());
        world.usage(&format!("usage-{at}.csv"), content).unwrap();
    }
    world.close("2026-01", workers).unwrap();
    let out = world.export("2026-01", "out", Format::Csv).unwrap();
    let mut found = contents(&out).unwrap();
    found.extend(contents(&world.folder().join("data/documents")).unwrap());
    found
}

#[test]
fn workers_files_and_their_order_change_no_byte() {
    let rows = rows();
    let one = documents(std::slice::from_ref(&rows), 1);
    assert!(one.len() > 12);
    for workers in [2, 8] {
        assert!(one == documents(std::slice::from_ref(&rows), workers), "{workers} workers");
    }
    let mut shuffled = rows.clone();
    shuffled.sort_by_key(|row| row.bytes().rev().map(u64::from).fold(7, |a, b| a * 31 % 9973 + b));
    assert_ne!(shuffled, rows);
    assert!(one == documents(&[shuffled.clone()], 2), "rows in another order");
    let mut files: Vec<Vec<String>> = shuffled.chunks(271).map(<[String]>::to_vec).collect();
    files.reverse();
    assert!(one == documents(&files, 8), "many files in another order");
}

#[test]
fn closing_and_exporting_again_changes_nothing() {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    let first = world.close("2026-01", 2).unwrap();
    let frozen = contents(&world.folder().join("data/documents")).unwrap();
    let again = world.close("2026-01", 1).unwrap();
    assert!(!first.already && again.already);
    assert_eq!(frozen, contents(&world.folder().join("data/documents")).unwrap());
    let a = world.export("2026-01", "a", Format::CsvGz).unwrap();
    let b = world.export("2026-01", "b", Format::CsvGz).unwrap();
    assert_eq!(contents(&a).unwrap(), contents(&b).unwrap());
}

/// What has become known after a close changes no document of it.
#[test]
fn late_usage_leaves_a_closed_month_alone() {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.close("2026-01", 2).unwrap();
    let before = contents(&world.export("2026-01", "before", Format::Csv).unwrap()).unwrap();
    let late = fixtures::FOUR_DEEP_USAGE.replace("\ne1,", "\nlate1,").replace("\ne2,", "\nlate2,");
    world.usage("late.csv", late).unwrap();
    let closed = world.close("2026-01", 2).unwrap();
    assert_eq!((closed.already, closed.late), (true, 2));
    let after = contents(&world.export("2026-01", "after", Format::Csv).unwrap()).unwrap();
    assert_eq!(before, after);
}

/// A price that reaches into a closed month is refused, and nothing of it is kept.
#[test]
fn a_price_of_a_closed_month_cannot_change() {
    let world = World::at("2026-02-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("list", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.close("2026-01", 2).unwrap();
    let dearer = fixtures::FOUR_DEEP_PRICES[1].replace("0.12", "0.13");
    let error = world.prices("list", "dearer.json", dearer).unwrap_err().to_string();
    assert!(error.contains("2026-01"), "{error}");
    let book = fixtures::FOUR_DEEP.replace("buy_plus = \"20\"", "buy_plus = \"21\"");
    let error = world.apply(&book).unwrap_err().to_string();
    assert!(error.contains("2026-01"), "{error}");
    world.close("2026-01", 1).unwrap();
}
