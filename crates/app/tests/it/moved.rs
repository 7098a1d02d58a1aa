//! A closed installation that moves to another database, and back: the same documents.

use app::{DatabaseUrl, Installation, move_database};
use documents::Format;
use kernel::Error;
use testkit::{TestDatabase, World, contents, fixtures};

const SUBSCRIPTION: &str = "11111111-2222-4333-8444-000000000001";

fn usage(month: &str) -> String {
    format!(
        "event_id,subscription_id,meter_id,usage_start,usage_end,quantity,unit\n\
         e-{month},{SUBSCRIPTION},m1,2026-{month}-03T00:00:00Z,2026-{month}-03T12:00:00Z,7.25,h\n"
    )
}

fn world() -> World {
    let world = World::at("2026-03-02T09:00:00Z").unwrap();
    world.apply(&fixtures::two_edges(&[SUBSCRIPTION])).unwrap();
    let card = fixtures::rate_card(&[("m1", r#"{"0": 1.23, "5": 0.71}"#)]);
    world.prices("list", "prices.json", card).unwrap();
    world.usage("usage.csv", usage("01")).unwrap();
    world.close("2026-01", 1).unwrap();
    world
}

/// The documents of the next month.
fn next(world: &World) -> std::collections::BTreeMap<String, Vec<u8>> {
    world.usage("later.csv", usage("02")).unwrap();
    world.close("2026-02", 2).unwrap();
    let mut all = std::collections::BTreeMap::new();
    for month in ["2026-01", "2026-02"] {
        let folder = world.export(month, &format!("out-{month}"), Format::Csv).unwrap();
        let report = verify::verify(&folder, 1);
        assert!(report.passes(), "{:#?}", report.faults.listed());
        let files = contents(&folder).unwrap();
        all.extend(files.into_iter().map(|(name, bytes)| (format!("{month}/{name}"), bytes)));
    }
    all
}

#[test]
fn a_moved_installation_goes_on_with_the_same_documents() {
    let expected = next(&world());
    let world = world();
    let elsewhere = tempfile::tempdir().unwrap();
    let there = DatabaseUrl::embedded(elsewhere.path());
    let world = world.moved_to(&there).unwrap();
    // Back into a new database of the first kind.
    let back = TestDatabase::fresh(&elsewhere.path().join("back"));
    std::fs::create_dir_all(elsewhere.path().join("back")).unwrap();
    let world = world.moved_to(back.url()).unwrap();
    assert!(next(&world) == expected, "the documents differ");
}

#[test]
fn the_old_database_is_refused_after_a_move() {
    let world = world();
    let data = world.data();
    let elsewhere = tempfile::tempdir().unwrap();
    let there = DatabaseUrl::embedded(elsewhere.path());
    let old = world.database().url().clone();
    let world = world.moved_to(&there).unwrap();
    let (installation, keep) = world.into_installation();
    drop(installation);
    let opened = keep.runtime.block_on(Installation::open(&data, Some(&old)));
    assert!(matches!(&opened, Err(Error::Conflict(why)) if why.contains("old copy")), "{opened:?}");
    let again = keep.runtime.block_on(move_database(&data, &old, &there));
    assert!(matches!(&again, Err(Error::Conflict(_))), "{again:?}");
    let opened = keep.runtime.block_on(Installation::open(&data, Some(&there)));
    assert!(opened.is_ok(), "{opened:?}");
}
