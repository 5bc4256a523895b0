//! An erasure while a document that names the person is pushed.

use std::sync::Arc;

use serde_json::{Value, json};
use tds_core::{
    error::{ErrorKind, Retry},
    mirror::Mirror as _,
    outbound::{Outbox as _, Settled, Settlement},
    privacy::{Eraser as _, RedactedColumn, RedactedTable, Redaction},
    record::{Content, EntityType, Read, RecordId},
};
use tds_postgres::{PgEraser, PgMirror};

use crate::world::{CUSTOMERS, INVOICES, World, customer, whole};

/// Removes the name of the customer from invoices.
struct Names;

impl Redaction for Names {
    fn rules(&self) -> String {
        String::new()
    }

    fn tables(&self) -> Vec<RedactedTable> {
        let columns = vec![RedactedColumn { name: "customer_name", hashed: false }];
        vec![RedactedTable { entity: INVOICES.entity, table: "invoices", is_head: true, columns }]
    }

    fn json(&self, _entity: &EntityType, text: &str) -> Option<String> {
        let mut json: Value = serde_json::from_str(text).ok()?;
        json.as_object_mut()?.remove("customer_name").map(|_| json.to_string())
    }

    fn differences(&self, _entity: &EntityType, _text: &str) -> Option<String> {
        None
    }

    fn body(&self, _entity: &EntityType, _body: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn hash(&self, _text: &str) -> Option<String> {
        None
    }
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
    let eraser = PgEraser::new(database.clone(), Arc::new(Names));
    let erased = eraser.erase(&CUSTOMERS, &RecordId::new("5"), "test").await.expect("erased");
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
    let mirror = PgMirror::new(database.clone()).without_erased(Arc::new(Names));
    let name = |read: &Read| match &read.content {
        Content::Present(record) => record.fields["customer_name"].clone(),
        Content::Absent => json!("absent"),
    };
    let kept = mirror.kept(invoice(2)).await.expect("screened");
    assert_eq!((name(&kept), name(&invoice(2))), (Value::Null, json!("Graz")));
    assert_eq!(mirror.kept(kept.clone()).await.expect("screened"), kept, "a second time changes nothing");
    eraser.allow_return(&CUSTOMERS.entity, &RecordId::new("5"), "test").await.expect("undone");
    assert_eq!(mirror.kept(invoice(2)).await.expect("whole"), invoice(2));
}
