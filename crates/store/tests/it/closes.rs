use jiff::civil::date;
use kernel::{InvoiceId, Money, OrganisationId};
use store::{CloseRow, DocumentRow, LedgerRow, NewInvoice};

use crate::SCOPE;
use crate::databases::fresh;

pub fn close() -> CloseRow {
    CloseRow {
        month: "2026-10".parse().unwrap(),
        revision: 0,
        known_at: 99,
        issue_on: date(2026, 11, 2),
        engine_version: 1,
        rate_book: "abc".into(),
        issued: false,
        finished: false,
    }
}

#[tokio::test]
async fn numbers_have_no_gaps_even_when_a_transaction_fails() {
    let (_folder, db) = fresh().await;
    let seller = OrganisationId::derived("seller");
    let draw = async |commit: bool| {
        let mut tx = db.write(&SCOPE).await.unwrap();
        let number = tx.draw_number(seller, "NS").await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        }
        number
    };
    let drawn = [draw(true).await, draw(false).await, draw(true).await, draw(true).await];
    assert_eq!(drawn, [1, 2, 2, 3]);
    let mut tx = db.write(&SCOPE).await.unwrap();
    assert_eq!(tx.draw_number(seller, "other").await.unwrap(), 1);
    assert_eq!(tx.draw_number(OrganisationId::derived("another"), "NS").await.unwrap(), 1);
}

#[tokio::test]
async fn a_close_is_frozen_step_by_step() {
    let (_folder, db) = fresh().await;
    let mut tx = db.write(&SCOPE).await.unwrap();
    tx.begin_close(&close()).await.unwrap();
    assert!(tx.begin_close(&close()).await.is_err(), "a month closes once");
    drop(tx);
    let mut tx = db.write(&SCOPE).await.unwrap();
    tx.begin_close(&close()).await.unwrap();
    let money = |minor| Money::new(minor, "NOK".parse().unwrap());
    let invoice = NewInvoice {
        id: InvoiceId::derived("i"),
        seller: OrganisationId::derived("seller"),
        buyer: OrganisationId::derived("buyer"),
        due_on: date(2026, 12, 2),
        net: money(12_345),
        tax: money(3_086),
        invoice_lines: 3,
        rated_lines: 30,
    };
    let posting = |account: &str, minor| LedgerRow {
        entry: "entry".into(),
        book: invoice.seller,
        invoice: invoice.id,
        posted_on: date(2026, 11, 2),
        reason: "invoice issued".into(),
        account: account.into(),
        amount: money(minor),
    };
    let postings = [posting("receivable", 12_345), posting("revenue", -12_345)];
    tx.issue(&close(), &[(invoice.clone(), "NS0001".into())], &postings).await.unwrap();
    let frozen = tx.invoices().await.unwrap().remove(0);
    assert_eq!(
        (frozen.number.as_str(), frozen.net, frozen.tax, frozen.rated_lines),
        ("NS0001", money(12_345), money(3_086), 30)
    );
    assert_eq!(tx.postings(close().month).await.unwrap(), postings);
    let document = DocumentRow {
        revision: 0,
        path: "2026-10/a".into(),
        invoice: Some(invoice.id),
        kind: "reconciliation".into(),
        sha256: "h".into(),
        bytes: 5,
        lines: 3,
    };
    tx.finish_close(&close(), std::slice::from_ref(&document)).await.unwrap();
    assert_eq!(tx.documents(close().month).await.unwrap(), [document]);
    let closed = tx.period_close(close().month).await.unwrap().unwrap();
    assert_eq!(closed, CloseRow { issued: true, finished: true, ..close() });
    let twice = [(NewInvoice { id: InvoiceId::derived("j"), ..invoice }, "NS0002".to_owned())];
    assert!(tx.issue(&close(), &twice, &[]).await.is_err(), "one invoice an edge and month");
}
