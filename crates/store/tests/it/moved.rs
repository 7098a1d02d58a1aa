//! Moving a database.

use kernel::{Error, InstallationId, OrganisationId};
use store::InstallationRow;

use crate::SCOPE;
use crate::databases::{Fresh, fresh};

async fn filled() -> (Fresh, store::Db) {
    let (fresh, db) = fresh().await;
    let mut tx = db.write(&SCOPE).await.unwrap();
    let id = InstallationId::derived("one");
    tx.add_installation(&InstallationRow { id, moves: 0 }).await.unwrap();
    tx.known_at(42).await.unwrap();
    tx.begin_close(&crate::closes::close()).await.unwrap();
    let documents: Vec<_> = (0..2_500).map(document).collect();
    tx.add_documents("2026-10".parse().unwrap(), &documents).await.unwrap();
    tx.draw_number(OrganisationId::derived("seller"), "NS-\u{e6}\u{1f600}").await.unwrap();
    tx.commit().await.unwrap();
    (fresh, db)
}

fn document(at: u32) -> store::DocumentRow {
    let invoice = at.is_multiple_of(2).then(|| kernel::InvoiceId::derived(&at.to_string()));
    store::DocumentRow {
        revision: 0,
        path: format!("2026-10/{at}"),
        invoice,
        kind: "invoice".into(),
        sha256: String::new(),
        bytes: u64::from(at),
        lines: 0,
    }
}

#[tokio::test]
async fn every_row_arrives() {
    let (_from, db) = filled().await;
    let (_to, target) = fresh().await;
    let mut read = db.read(&SCOPE).await.unwrap();
    let mut write = target.write(&SCOPE).await.unwrap();
    let tables = read.copy_to(&mut write).await.unwrap();
    write.commit().await.unwrap();
    assert!(tables.contains(&("document".to_owned(), 2_500)));
    let mut there = target.write(&SCOPE).await.unwrap();
    let month = "2026-10".parse().unwrap();
    assert_eq!(there.documents(month).await.unwrap(), read.documents(month).await.unwrap());
    assert_eq!(there.known_at(0).await.unwrap(), 43);
    let seller = OrganisationId::derived("seller");
    assert_eq!(there.draw_number(seller, "NS-\u{e6}\u{1f600}").await.unwrap(), 2);
}

#[tokio::test]
async fn a_database_with_rows_is_not_written_over() {
    let (_from, db) = filled().await;
    let (_to, target) = filled().await;
    let mut read = db.read(&SCOPE).await.unwrap();
    let mut write = target.write(&SCOPE).await.unwrap();
    let refused = read.copy_to(&mut write).await;
    assert!(matches!(refused, Err(Error::Conflict(reason)) if reason.contains("not empty")));
}
