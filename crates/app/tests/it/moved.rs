//! A closed installation that moves to another database, and back: the same documents.

use app::{DatabaseUrl, Installation, move_database};
use documents::Format;
use kernel::Error;
use testkit::{TestDatabase, World, contents, fixtures};

fn world() -> World {
    let world = World::at("2026-03-02T09:00:00Z").unwrap();
    world.apply(fixtures::FOUR_DEEP).unwrap();
    for (at, prices) in fixtures::FOUR_DEEP_PRICES.iter().enumerate() {
        world.prices("storage", &format!("prices-{at}.json"), prices).unwrap();
    }
    world.usage("usage.csv", fixtures::FOUR_DEEP_USAGE).unwrap();
    world.close("2026-01", 1).unwrap();
    world
}

/// The documents of the next month.
fn next(world: &World) -> std::collections::BTreeMap<String, Vec<u8>> {
    let later = fixtures::FOUR_DEEP_USAGE.replace("2026-01-", "2026-02-").replace("\ne", "\nf");
    world.usage("later.csv", later).unwrap();
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
