//! Ids are found when they are there and not found when they are not, in runs of any size.

use std::collections::BTreeMap;

use lake::events::{EventDigest, EventEntry, EventKey, EventRun, merge_runs, write_run};
use proptest::prelude::*;

fn digest(content: u64) -> EventDigest {
    EventDigest { identity: [7; 8], content: content.to_be_bytes() }
}

fn entries(ids: &[u64]) -> BTreeMap<EventKey, EventDigest> {
    ids.iter().map(|id| (EventKey::of("meter", &id.to_string()), digest(*id))).collect()
}

fn run(
    folder: &std::path::Path,
    name: &str,
    entries: &BTreeMap<EventKey, EventDigest>,
) -> EventRun {
    let path = folder.join(name);
    let sorted = entries.iter().map(|(key, digest)| Ok(EventEntry { key: *key, digest: *digest }));
    let count = entries.len() as u64;
    assert_eq!(write_run(&path, count, sorted).unwrap(), count);
    EventRun::open(&path).unwrap()
}

fn looked_up(run: &EventRun, keys: &[EventKey]) -> BTreeMap<EventKey, EventDigest> {
    let mut found = BTreeMap::new();
    run.look_up(keys, |at, digest| {
        found.insert(keys[at], digest);
    })
    .unwrap();
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn exactly_the_known_ids_are_found(
        known in prop::collection::hash_set(0u64..20_000, 0..3_000),
        asked in prop::collection::hash_set(0u64..20_000, 0..50),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let known = entries(&known.into_iter().collect::<Vec<_>>());
        let run = run(folder.path(), "run", &known);
        let asked: Vec<EventKey> = entries(&asked.into_iter().collect::<Vec<_>>()).into_keys().collect();
        let expected: BTreeMap<_, _> =
            asked.iter().filter_map(|key| known.get(key).map(|digest| (*key, *digest))).collect();
        // Few keys are searched for, many are merged: both must agree.
        prop_assert_eq!(&looked_up(&run, &asked), &expected);
        let mut singly = BTreeMap::new();
        for key in &asked {
            singly.extend(looked_up(&run, std::slice::from_ref(key)));
        }
        prop_assert_eq!(&singly, &expected);
        let everything: Vec<EventKey> = known.keys().copied().collect();
        prop_assert_eq!(looked_up(&run, &everything), known);
    }

    #[test]
    fn merged_runs_have_what_the_runs_had(
        runs in prop::collection::vec(prop::collection::hash_set(0u64..10_000, 0..200), 1..6),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut all = BTreeMap::new();
        let mut opened = Vec::new();
        for (at, ids) in runs.iter().enumerate() {
            let mut fresh = entries(&ids.iter().copied().collect::<Vec<_>>());
            fresh.retain(|key, _| !all.contains_key(key));
            opened.push(run(folder.path(), &format!("run-{at}"), &fresh));
            all.extend(fresh);
        }
        let path = folder.path().join("merged");
        prop_assert_eq!(merge_runs(&path, &opened).unwrap(), all.len() as u64);
        let keys: Vec<EventKey> = all.keys().copied().collect();
        prop_assert_eq!(looked_up(&EventRun::open(&path).unwrap(), &keys), all);
    }
}

#[test]
fn sources_have_ids_of_their_own() {
    assert_ne!(EventKey::of("a", "1"), EventKey::of("b", "1"));
    assert_ne!(EventKey::of("a", "b1"), EventKey::of("ab", "1"));
}

#[test]
fn a_file_that_is_cut_off_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    run(folder.path(), "run", &entries(&[1, 2, 3]));
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    assert!(EventRun::open(&path).unwrap_err().to_string().contains("not a run of event ids"));
    std::fs::write(&path, b"something else").unwrap();
    assert!(EventRun::open(&path).is_err());
}

#[test]
fn the_filter_lets_few_unknown_ids_pass_and_every_known_one() {
    let folder = tempfile::tempdir().unwrap();
    let known = entries(&(0..50_000).collect::<Vec<_>>());
    let run = run(folder.path(), "run", &known);
    let passing = |ids: std::ops::Range<u64>| {
        ids.filter(|id| run.may_have(EventKey::of("meter", &id.to_string()))).count()
    };
    assert_eq!(passing(0..50_000), 50_000);
    let passed = passing(1_000_000..1_050_000);
    assert!(passed < 1_000, "{passed} of 50,000 unknown ids pass");
}

#[test]
fn runs_without_a_filter_are_still_read() {
    let folder = tempfile::tempdir().unwrap();
    let known = entries(&(0..1_000).collect::<Vec<_>>());
    let path = folder.path().join("old");
    let all = known.iter().map(|(key, digest)| EventEntry { key: *key, digest: *digest });
    let mut bytes = b"skyhandel-ids-1\n".to_vec();
    bytes.extend(EventEntry::write_all(all));
    std::fs::write(&path, bytes).unwrap();
    let old = EventRun::open(&path).unwrap();
    let keys: Vec<EventKey> = known.keys().copied().collect();
    assert_eq!(looked_up(&old, &keys), known);
    let path = folder.path().join("merged");
    let newer = run(folder.path(), "newer", &entries(&(1_000..2_000).collect::<Vec<_>>()));
    assert_eq!(merge_runs(&path, &[old, newer]).unwrap(), 2_000);
    assert_eq!(looked_up(&EventRun::open(&path).unwrap(), &keys), known);
}
