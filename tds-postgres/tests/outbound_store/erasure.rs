//! An erasure while a document that names the person is pushed.

use std::sync::Arc;

use serde_json::{Value, json};
use tds_core::{
    error::{ErrorKind, Retry},
    mirror::Mirror as _,
    outbound::{Outbox as _, Settled, Settlement},
    privacy::Eraser as _,
    record::{Content, Read, RecordId},
    testkit::ColumnRedaction,
};
use tds_postgres::{PgEraser, PgMirror};

use crate::{
    support::{ADVISORY_LOCK_WAITS, eventually},
    world::{CUSTOMERS, INVOICES, World, customer, whole},
};

/// Removes the name of the customer from invoices.
fn names() -> Arc<ColumnRedaction> {
    Arc::new(ColumnRedaction::default().head(INVOICES.entity, "invoices", "customer_name"))
}

#[tokio::test]
async fn a_push_that_was_loaded_before_an_erasure_leaves_nothing_and_is_made_again() {
    let world = World::new().await;
    let invoice = |n: i64| {
        let columns = json!({"number": "1", "customer_zoho_id": "5", "customer_name": "Graz"});
        whole(&INVOICES, "1", n, columns, Vec::new())
    };
    world.apply(&CUSTOMERS, customer("5", 1, "Graz")).await;
    world.apply(&INVOICES, invoice(1)).await;
    world.run("UPDATE erp.invoices SET notes = 'ours'").await;
    let before = world.load(&INVOICES, 1).await;
    let database = world.database.database();
    let eraser = PgEraser::new(database.clone(), names());
    let erased = eraser.erase(&[&CUSTOMERS], &RecordId::new("5"), "test").await.expect("erased");
    assert_eq!(erased.expect("it is known").counts.documents, 1);

    let mut settlement = Settlement::new(Settled::Unchanged);
    settlement.take.insert("customer_name".to_owned(), json!("Graz"));
    settlement.note = Some("Graz".to_owned());
    let overtaken = world.store.settle(&before, &settlement).await.expect_err("overtaken");
    assert_eq!(
        (overtaken.kind(), overtaken.retry()),
        (ErrorKind::Conflict, Retry::Transient { retry_after: None })
    );
    let shown = "SELECT concat_ws(' ', o.status, o.note, i.customer_name) FROM tds_outbox o, erp.invoices i";
    assert_eq!(world.text(shown).await.as_deref(), Some("pending"));

    // A later push goes by what the mirror keeps of the document, and by nothing of the person.
    let again = world.load(&INVOICES, 1).await;
    world.store.settle(&again, &Settlement::new(Settled::Unchanged)).await.expect("settled");
    assert_eq!(world.text(shown).await.as_deref(), Some("unchanged"));
    let mirror = PgMirror::new(database.clone()).without_erased(names());
    let name = |read: &Read| match &read.content {
        Content::Present(record) => record.fields["customer_name"].clone(),
        Content::Absent => json!("absent"),
    };
    let kept = mirror.kept(invoice(2)).await.expect("screened");
    assert_eq!((name(&kept), name(&invoice(2))), (Value::Null, json!("Graz")));
    assert_eq!(mirror.kept(kept.clone()).await.expect("screened"), kept, "a second time changes nothing");
    eraser.allow_return(&[CUSTOMERS.entity], &RecordId::new("5"), "test").await.expect("undone");
    assert_eq!(mirror.kept(invoice(2)).await.expect("whole"), invoice(2));
}

#[tokio::test]
async fn a_document_of_a_customer_who_is_linked_just_before_the_erasure_is_found_by_its_local_id() {
    let world = World::new().await;
    // The customer is new at the source, and nothing has linked the row of the ERP yet.
    world
        .run(
            "INSERT INTO erp.customers (name) VALUES ('Graz');
             INSERT INTO erp.invoices (number, customer_id, customer_name) SELECT '1', id, 'Graz' FROM erp.customers;
             INSERT INTO tds_sync_records (entity_type, zoho_id, pushed, observed_began, observed_ended)
               VALUES ('customers', '5', false, now(), now())",
        )
        .await;
    let database = world.database.database().clone();
    let mut linking = database.pool().begin().await.expect("begins");
    let link = "SELECT pg_advisory_xact_lock_shared(hashtext(tds_own('tds_modes')), hashtext('customers'))";
    sqlx::query(link).execute(&mut *linking).await.expect("locked");
    let eraser = PgEraser::new(database.clone(), names());
    let id = RecordId::new("5");
    let erase =
        async { eraser.erase(&[&CUSTOMERS], &id, "test").await.expect("erased").expect("it is known") };
    let link = async {
        eventually(|| async {
            let waiting = sqlx::query_scalar(ADVISORY_LOCK_WAITS).fetch_all(&database);
            let waiting: Vec<i32> = waiting.await.expect("read");
            waiting
        })
        .await;
        sqlx::raw_sql("UPDATE erp.customers SET zoho_id = '5'").execute(&mut *linking).await.expect("linked");
        linking.commit().await.expect("committed");
    };
    let (erased, ()) = tokio::join!(erase, link);
    assert_eq!((erased.counts.rows, erased.counts.documents), (1, 1));
    let shown = "SELECT concat(c.name, i.customer_name) FROM erp.customers c, erp.invoices i";
    assert_eq!(world.text(shown).await.as_deref(), Some(""));
}
