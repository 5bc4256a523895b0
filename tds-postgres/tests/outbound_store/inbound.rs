//! What reads of the source write beside local changes.

use serde_json::json;
use tds_core::{
    error::ErrorKind,
    mirror::{Applied, Mirror as _},
    outbound::{Outbox as _, Sending, Sent},
    queue::Outcome,
};

use crate::world::{CUSTOMERS, INVOICES, LEVELS, World, customer, whole};

#[tokio::test]
async fn the_local_ids_of_references_are_filled_in_whichever_record_arrives_first() {
    let world = World::new().await;
    let line = |product: &str| vec![json!({"line_zoho_id": "11", "position": 1, "product_zoho_id": product})];
    let invoice =
        |n, customer: &str| whole(&INVOICES, "1", n, json!({"customer_zoho_id": customer}), line("7"));
    world.apply(&INVOICES, invoice(1, "5")).await;
    let named = "SELECT concat_ws(' ', c.name, l.document_id = i.id, l.product_id IS NOT NULL) FROM erp.invoices i
       JOIN erp.invoice_lines l ON l.document_zoho_id = i.zoho_id LEFT JOIN erp.customers c ON c.id = i.customer_id";
    assert_eq!(world.text(named).await.as_deref(), Some("t f"));
    world.apply(&CUSTOMERS, customer("5", 2, "Graz")).await;
    world.apply(&CUSTOMERS, customer("6", 2, "Linz")).await;
    assert_eq!(world.text(named).await.as_deref(), Some("Graz t f"), "the customer arrived later");
    world.apply(&INVOICES, invoice(3, "6")).await;
    assert_eq!(world.text(named).await.as_deref(), Some("Linz t f"), "the other id follows");
    // Filling in a local id is no difference of the record.
    let changed = "SELECT array_to_string(changed, ',') FROM tds_decisions WHERE entity_type = 'invoices' AND version IS NOT NULL
      ORDER BY at DESC LIMIT 1";
    assert_eq!(world.text(changed).await.as_deref(), Some("customer_zoho_id"));
    world.run("INSERT INTO erp.products (name) VALUES ('born here')").await;
    world
        .run("UPDATE erp.invoices SET customer_id = (SELECT id FROM erp.customers WHERE zoho_id = '5')")
        .await;
    assert_eq!(
        world.text("SELECT customer_zoho_id FROM erp.invoices").await.as_deref(),
        Some("5"),
        "both ids are in step"
    );
    world.apply(&INVOICES, invoice(4, "6")).await;
    assert_eq!(world.text(named).await.as_deref(), Some("Graz t f"), "the change of the program is pending");
}

#[tokio::test]
async fn a_level_of_stock_stays_while_an_adjustment_of_its_product_is_pending() {
    let world = World::new().await;
    let levels = |product: &str, n, stock: i64| {
        let row = json!({"location_zoho_id": "L", "stock_on_hand": stock});
        whole(&LEVELS, product, n, json!({}), vec![row])
    };
    for product in ["1", "2"] {
        world.apply(&LEVELS, levels(product, 1, 10)).await;
    }
    world.run("UPDATE erp.stock_levels SET stock_on_hand = 8 WHERE product_zoho_id = '1'").await;
    for product in ["1", "2"] {
        world.apply(&LEVELS, levels(product, 2, 11)).await;
    }
    let stock = "SELECT string_agg(stock_on_hand::text, ' ' ORDER BY product_zoho_id) FROM erp.stock_levels";
    assert_eq!(world.text(stock).await.as_deref(), Some("8 11"));
    world.run("UPDATE tds_outbox SET status = 'pushed'").await;
    world.apply(&LEVELS, levels("1", 3, 8)).await;
    assert_eq!(world.text(stock).await.as_deref(), Some("8 11"));
}

#[tokio::test]
async fn only_records_that_a_create_in_doubt_may_have_made_wait_for_its_outcome() {
    let world = World::new().await;
    world.run("INSERT INTO erp.customers (name) VALUES ('ours')").await;
    let push = world.load(&CUSTOMERS, 1).await;
    let creation = Sending { sent: Sent { creates: true, ..Sent::default() }, conflicts: Vec::new() };
    world.store.sending(&push, &creation).await.expect("noted");
    let old = whole(
        &CUSTOMERS,
        "9",
        1,
        json!({"name": "old", "zoho_created_at": "2020-01-01T00:00:00Z"}),
        Vec::new(),
    );
    assert_eq!(world.apply(&CUSTOMERS, old).await, Applied::Done(Outcome::Applied));
    // The reads of one batch do not wait for each other.
    let reads = vec![customer("8", 1, "new"), customer("9", 2, "old again")];
    let results = world.mirror.apply(&CUSTOMERS, reads).await;
    let error = results[0].as_ref().expect_err("put off");
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(matches!(results[1], Ok(Applied::Done(Outcome::Applied))));
    world.run("UPDATE tds_links SET in_doubt_since = in_doubt_since - interval '2 minutes'").await;
    assert_eq!(world.apply(&CUSTOMERS, customer("8", 1, "new")).await, Applied::Done(Outcome::Applied));
}
