//! What a push is made of, and how its changes get an item.

use serde_json::{Value, json};
use sqlx::Connection as _;
use tds_core::outbound::{Outbox as _, Settled, Settlement};

use crate::world::{CUSTOMERS, INVOICES, World, whole};

#[tokio::test]
async fn a_record_is_loaded_in_the_spelling_of_the_source() {
    let world = World::new().await;
    world
        .run("SET TimeZone = 'Asia/Kolkata'; INSERT INTO erp.currencies (zoho_id, code) VALUES ('77', 'EUR')")
        .await;
    let columns = json!({"date": "2026-11-28", "exchange_rate": null, "zoho_modified_at": "2026-11-28T09:00:00.5Z",
      "currency_code": "EUR", "billing_address": {"city": "Graz"}});
    let text = r#"{"line_zoho_id": "11", "position": 1, "quantity": 2.50}"#;
    let line: Value = serde_json::from_str(text).expect("JSON");
    let mut read = whole(&INVOICES, "1", 1, columns.clone(), vec![line.clone()]);
    if let tds_core::record::Content::Present(record) = &mut read.content {
        record.raw = tds_core::record::Payload::new(r#"{"status": "sent", "total": 1.10}"#);
    }
    world.apply(&INVOICES, read).await;
    world.run("UPDATE erp.invoices SET notes = 'ours'").await;
    let push = world.load(&INVOICES, 1).await;
    let record = push.record.expect("the row");
    for (name, value) in columns.as_object().expect("an object") {
        assert_eq!(record.fields.get(name), Some(value), "{name}");
    }
    assert_eq!(record.fields["currency_zoho_id"], "77");
    assert_eq!(record.remote_status.as_deref(), Some("sent"));
    for own in ["id", "zoho_id", "raw", "synced_at", "deleted_at"] {
        assert!(!record.fields.contains_key(own), "{own}");
    }
    let loaded = &record.children["invoice_lines"][0];
    assert_eq!(loaded["quantity"].to_string(), "2.50");
    assert!(!loaded.contains_key("document_zoho_id") && loaded.contains_key("id"));
    let (base, _) = push.base.expect("a base");
    assert!(base.as_str().contains("1.10"), "{}", base.as_str());
}

#[tokio::test]
async fn rows_that_are_taken_keep_their_local_ids_and_references_are_filled_in() {
    let world = World::new().await;
    world.run("INSERT INTO erp.customers (zoho_id, name) VALUES ('5', 'Graz')").await;
    let lines = vec![
        json!({"line_zoho_id": "11", "position": 1, "name": "lamp"}),
        json!({"line_zoho_id": "12", "position": 2, "name": "desk"}),
    ];
    world.apply(&INVOICES, whole(&INVOICES, "1", 1, json!({"number": "1"}), lines)).await;
    world
        .run(
            "BEGIN; UPDATE erp.invoices SET customer_id = 1;
             INSERT INTO erp.invoice_lines (document_id, position, name) VALUES (1, 3, 'chair'); COMMIT",
        )
        .await;
    let push = world.load(&INVOICES, 1).await;
    let taken = |line: &str, position: i64, name: &str| {
        json!({"line_zoho_id": line, "position": position, "name": name}).as_object().cloned().expect("a row")
    };
    let rows = vec![taken("12", 1, "desk"), taken("13", 3, "chair"), taken("14", 4, "shelf")];
    let take_rows = [("invoice_lines".to_owned(), rows)].into();
    let settlement = Settlement { take_rows, ..Settlement::new(Settled::Pushed) };
    world.store.settle(&push, &settlement).await.expect("settled");
    let ids =
        "SELECT string_agg(concat_ws(':', id, line_zoho_id, document_zoho_id, document_id), ' ' ORDER BY id)
       FROM erp.invoice_lines";
    assert_eq!(world.text(ids).await.as_deref(), Some("2:12:1:1 3:13:1:1 4:14:1:1"));
    assert_eq!(world.text("SELECT customer_zoho_id FROM erp.invoices").await.as_deref(), Some("5"));
    assert_eq!(
        world
            .text(
                "SELECT count(*)::text FROM tds_outbox WHERE status = 'pending' AND entity_type = 'invoices'"
            )
            .await
            .as_deref(),
        Some("0")
    );
}

#[tokio::test]
async fn a_change_that_commits_late_is_carried_and_a_locked_item_keeps_only_its_own_changes() {
    let world = World::new().await;
    let mut late = sqlx::PgConnection::connect(world.database.url()).await.expect("a session");
    let begin = "BEGIN; INSERT INTO erp.customers (name) VALUES ('late')";
    sqlx::raw_sql(begin).execute(&mut late).await.expect("begun");
    world.run("INSERT INTO erp.customers (name) VALUES ('second')").await;
    assert_eq!(world.store.relay(10).await.expect("relayed"), 1);
    sqlx::raw_sql("COMMIT").execute(&mut late).await.expect("committed");
    assert_eq!(world.store.relay(10).await.expect("relayed"), 1, "an earlier id became visible later");
    world.run("UPDATE erp.customers SET name = name || '!'").await;
    sqlx::raw_sql("BEGIN; SELECT FROM tds_queue_live WHERE entity_id = '1' FOR UPDATE")
        .execute(&mut late)
        .await
        .expect("locked");
    assert_eq!(world.store.relay(10).await.expect("relayed"), 1);
    sqlx::raw_sql("COMMIT").execute(&mut late).await.expect("let go");
    assert_eq!(world.store.relay(10).await.expect("relayed"), 1);
    assert_eq!(world.text("SELECT count(*)::text FROM tds_queue_live").await.as_deref(), Some("2"));
    assert_eq!(world.load(&CUSTOMERS, 1).await.changes.len(), 2);
}
