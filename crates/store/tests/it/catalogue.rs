use kernel::ImportId;
use store::{ControlTotal, ImportRow, SegmentRow, UsageAdded, WaitingCorrection};

use crate::SCOPE;
use crate::databases::fresh;

fn import(name: &str) -> ImportRow {
    ImportRow {
        id: ImportId::derived(name),
        kind: "usage".into(),
        subject: "meter".into(),
        file_name: format!("{name}.csv"),
        sha256: format!("hash of {name}"),
        known_at: 7,
        rows_read: 5,
        rows_taken: 3,
        rows_duplicate: 1,
        rows_conflicting: 1,
        rows_quarantined: 0,
        rows_waiting: 0,
        conflicts_path: Some("conflicts/x.jsonl".into()),
    }
}

#[tokio::test]
async fn imports_are_found_by_their_content() {
    let (_folder, db) = fresh().await;
    let mut tx = db.write(&SCOPE).await.unwrap();
    let totals = [ControlTotal {
        unit: "1 Hour".into(),
        rows: 3,
        quantity: "-0.000000000000001".parse().unwrap(),
    }];
    tx.add_import(&import("a"), &totals).await.unwrap();
    assert_eq!(tx.imports_of("usage", "meter", "hash of a").await.unwrap(), [import("a")]);
    assert_eq!(tx.imports_of("usage", "other", "hash of a").await.unwrap(), []);
    assert_eq!(tx.control_totals(import("a").id).await.unwrap(), totals);
    assert!(tx.add_import(&import("a"), &[]).await.unwrap_err().to_string().contains("before"));
}

#[tokio::test]
async fn segments_are_found_by_service_time_and_by_when_they_were_known() {
    let (_folder, db) = fresh().await;
    let segment = |path: &str, start_min, end_max| SegmentRow {
        path: path.into(),
        month: "2026-10".parse().unwrap(),
        rows: 9,
        start_min,
        end_max,
        quantity_scale: 15,
        corrections: 0,
        row_groups: vec![(4, 0, u64::MAX >> 1), (5, 1, 2)],
    };
    let segments = vec![segment("a", 100, 200), segment("c", 300, 400)];
    let waiting = |root: &str| WaitingCorrection {
        root_key: root.into(),
        event_key: format!("correction of {root}"),
        identity: "i".into(),
        event_id: "e".into(),
    };
    let added = UsageAdded {
        segments: segments.clone(),
        meters: vec![("2026-10".parse().unwrap(), "m".parse().unwrap())],
        event_runs: vec![("run".into(), 9)],
        waiting: vec![waiting("x"), waiting("y")],
        arrived: vec![],
    };
    let mut tx = db.write(&SCOPE).await.unwrap();
    tx.add_usage(ImportId::derived("a"), 1, &added).await.unwrap();
    let paths = |rows: Vec<SegmentRow>| rows.into_iter().map(|row| row.path).collect::<Vec<_>>();
    let again = UsageAdded {
        segments: vec![segment("b", 150, 300)],
        meters: vec![added.meters[0].clone(), ("2026-10".parse().unwrap(), "n".parse().unwrap())],
        event_runs: vec![("merged".into(), 18)],
        arrived: vec!["x".into()],
        ..Default::default()
    };
    tx.add_usage(ImportId::derived("b"), 2, &again).await.unwrap();
    assert_eq!(tx.event_runs().await.unwrap(), [("merged".to_owned(), 18)]);
    assert_eq!(tx.waiting_corrections().await.unwrap(), [waiting("y")]);
    assert_eq!(tx.segments(100, 200, 1).await.unwrap(), segments[..1]);
    assert_eq!(paths(tx.segments(100, 200, 9).await.unwrap()), ["a", "b"]);
    assert_eq!(paths(tx.segments(250, 301, 9).await.unwrap()), ["c", "b"]);
    let october = "2026-10".parse().unwrap();
    let meters: [kernel::MeterId; 2] = ["m".parse().unwrap(), "n".parse().unwrap()];
    assert_eq!(tx.meters_used(october, october, 1).await.unwrap(), meters[..1]);
    assert_eq!(tx.meters_used(october, october, 2).await.unwrap(), meters);
}
