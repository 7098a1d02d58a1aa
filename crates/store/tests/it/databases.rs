//! One suite, two databases.

use std::str::FromStr;

use domain::Scope;
use kernel::Error;
use store::{DatabaseUrl, Db, Exclusive, Turn, Tx};
use testkit::TestDatabase;

use crate::SCOPE;

/// A new database, whichever the suite runs on, and what it is gone with.
pub struct Fresh {
    database: TestDatabase,
    _folder: tempfile::TempDir,
}

impl Fresh {
    /// Opens it once more.
    pub async fn open(&self) -> Db {
        Db::open(self.database.url()).await.unwrap()
    }
}

pub async fn fresh() -> (Fresh, Db) {
    let folder = tempfile::tempdir().unwrap();
    let fresh = Fresh { database: TestDatabase::fresh(folder.path()), _folder: folder };
    let db = fresh.open().await;
    (fresh, db)
}

async fn draw(db: &Db) -> kernel::Result<i64> {
    let mut tx = db.write(&SCOPE).await?;
    let drawn = tx.known_at(1).await?;
    // Whoever would have read before another wrote would write over it.
    tokio::task::yield_now().await;
    tx.commit().await?;
    Ok(drawn)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn writers_take_turns_and_none_starts_again() {
    let (fresh, db) = fresh().await;
    // As two servers would.
    let dbs = [db, fresh.open().await];
    let drawing = (0..8).map(|at| {
        let db = dbs[at % 2].clone();
        tokio::spawn(async move {
            let mut drawn = Vec::new();
            for _ in 0..25 {
                drawn.push(draw(&db).await.unwrap());
            }
            drawn
        })
    });
    let mut all = Vec::new();
    for drawn in drawing.collect::<Vec<_>>() {
        all.extend(drawn.await.unwrap());
    }
    all.sort_unstable();
    assert_eq!(all, (1..=200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_lake_is_written_by_one_at_a_time() {
    let (fresh, db) = fresh().await;
    let (here, there) = (db.clone(), fresh.open().await);
    let held = here.alone(Exclusive::Lake).await.unwrap();
    if !fresh.database.is_shared() {
        return;
    }
    let (taken, mut seen) = tokio::sync::oneshot::channel();
    let waiting = tokio::spawn(async move {
        let lock = there.alone(Exclusive::Lake).await.unwrap();
        taken.send(()).unwrap();
        lock
    });
    // Another turn comes and goes, this one does not.
    draw(&db).await.unwrap();
    assert!(seen.try_recv().is_err());
    drop(held);
    drop(waiting.await.unwrap());
    assert!(seen.try_recv().is_ok());
}

#[tokio::test]
async fn usage_comes_in_while_facts_are_written() {
    let (fresh, db) = fresh().await;
    if !fresh.database.is_shared() {
        return;
    }
    let facts: Tx = db.write(&SCOPE).await.unwrap();
    let inbox = db.write_in(&SCOPE, Turn::Inbox).await.unwrap();
    inbox.commit().await.unwrap();
    facts.commit().await.unwrap();
}

#[tokio::test]
async fn a_reader_sees_one_state() {
    let (_fresh, db) = fresh().await;
    let mut reader = db.read(&SCOPE).await.unwrap();
    assert_eq!(reader.closes().await.unwrap(), []);
    let mut tx = db.write(&SCOPE).await.unwrap();
    tx.begin_close(&crate::closes::close()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(reader.closes().await.unwrap(), []);
    drop(reader);
    let mut reader = db.read(&SCOPE).await.unwrap();
    assert_eq!(reader.closes().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_scope_of_an_organisation_is_not_enough_for_what_belongs_to_nobody() {
    let (_fresh, db) = fresh().await;
    let organisation = kernel::OrganisationId::derived("own");
    let actor = domain::Actor::new(domain::Duty::AdminAgent, Some(organisation)).unwrap();
    let scope: Scope =
        domain::decide(&actor, domain::Action::Read, domain::Resource::Invoice).unwrap();
    let mut tx = db.read(&scope).await.unwrap();
    assert!(matches!(tx.imports().await, Err(Error::Internal(_))));
    assert!(matches!(tx.programme(i64::MAX).await, Err(Error::Internal(_))));
    assert!(matches!(tx.event_runs().await, Err(Error::Internal(_))));
    assert_eq!(tx.invoices().await.unwrap(), []);
}

#[test]
fn a_url_shows_no_password() {
    let shown = |url| DatabaseUrl::from_str(url).unwrap().to_string();
    assert_eq!(shown("postgres://sky:s3cret@db:5432/sky"), "postgres://sky@db:5432/sky");
    assert_eq!(shown("postgres://sky:p@ss@db/sky?password=s3cret"), "postgres://sky@db/sky");
    assert_eq!(shown("sqlite:/data/skyhandel.db"), "sqlite:/data/skyhandel.db");
    let url: DatabaseUrl = "postgres://sky:s3cret@db/sky".parse().unwrap();
    assert!(!format!("{url:?}").contains("s3cret"));
    assert!(DatabaseUrl::from_str("mysql://db/sky").is_err());
}
