//! The store's promises, each with a test that tries to break it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod catalogue;
mod closes;
mod programme;

mod databases;
mod moved;

use domain::{Because, Scope};

use databases::fresh;

const SCOPE: Scope = Scope::system(Because::Migration);

#[tokio::test]
async fn opening_twice_keeps_what_is_there() {
    let (database, db) = fresh().await;
    let mut tx = db.write(&SCOPE).await.unwrap();
    assert_eq!(tx.known_at(5).await.unwrap(), 5);
    tx.commit().await.unwrap();
    let again = database.open().await;
    let mut tx = again.write(&SCOPE).await.unwrap();
    assert_eq!(tx.known_at(5).await.unwrap(), 6);
}

#[tokio::test]
async fn instants_of_knowledge_never_repeat_or_go_back() {
    let (_folder, db) = fresh().await;
    let mut tx = db.write(&SCOPE).await.unwrap();
    let mut known = Vec::new();
    for now in [100, 100, 50, 101, 103, 103] {
        known.push(tx.known_at(now).await.unwrap());
    }
    assert_eq!(known, [100, 101, 102, 103, 104, 105]);
}

#[tokio::test]
async fn what_is_not_committed_never_happened() {
    let (_folder, db) = fresh().await;
    let mut tx = db.write(&SCOPE).await.unwrap();
    tx.known_at(1_000).await.unwrap();
    drop(tx);
    let mut tx = db.write(&SCOPE).await.unwrap();
    assert_eq!(tx.known_at(7).await.unwrap(), 7);
}
