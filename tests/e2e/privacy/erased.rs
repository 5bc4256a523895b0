//! The erasure of a person, and what keeps the person out afterwards.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use super::{PERSON, World, at, planted::Planted};
use crate::process::Process;

pub(super) async fn erased(world: &World, server: &Process, contact: &Value, invoice: &Value, event: &Value) {
    let id = contact["contact_id"].as_str().expect("an id");
    let planted = Planted::around(world, server, contact, invoice).await;
    assert_eq!(world.found(&PERSON).await, PERSON);
    let (status, _, said) = server.told(&["erase", "customers", "1", "--yes"]).await;
    assert!(status == 1 && said.contains("nothing is known of a record 1 of customers"), "{said}");
    assert_eq!(server.told(&["erase", "stock", id, "--yes"]).await.0, 2);
    assert_eq!(server.told(&["erase", "customers", id]).await.0, 2, "it asks");
    let (status, erasure, said) =
        server.told(&["erase", "customers", id, "--by", "the data officer", "--yes", "--json"]).await;
    assert_eq!(status, 0, "{said}");
    let erasure: Value = serde_json::from_str(&erasure).expect("JSON");
    let counts = &erasure["counts"];
    assert_eq!((&counts["rows"], &counts["documents"]), (&json!(1), &json!(1)), "{erasure:#}");
    assert!(counts["events"].as_i64() >= Some(4), "{erasure:#}");
    assert_eq!(world.found(&PERSON).await, Vec::<&str>::new());
    planted.is_erased_and_the_rest_is_there(world, server).await;
    let path = format!("/api/zoho/webhooks/inbox/{event}/replay");
    let (status, refused) = server.post(&path, json!({})).await;
    assert!(
        status == 409 && refused["detail"].as_str().is_some_and(|it| it.contains("blanked")),
        "{refused}"
    );

    // Nothing brings the person back, and documents keep their amounts.
    let again = json!({"contact": at(contact.clone(), "2026-11-20T09:00:00+0300")}).to_string();
    let ignored = world.webhook(server, "customers", &again).await["inbox_event_id"].clone();
    let outcome = format!("SELECT outcome FROM tds_inbox_events WHERE id = {ignored}");
    assert_eq!(world.text(&outcome).await.as_deref(), Some("ignored"));
    // A contact can become a vendor.
    let mut vendor = at(contact.clone(), "2026-11-20T09:30:00+0300");
    vendor["contact_type"] = json!("vendor");
    world.webhook(server, "customers", &json!({"contact": vendor}).to_string()).await;
    assert_eq!(world.found(&PERSON).await, Vec::<&str>::new());
    let vendors = format!("SELECT count(*)::text FROM erp.vendors WHERE zoho_id = '{id}'");
    assert_eq!(world.text(&vendors).await.as_deref(), Some("0"));
    let mut dearer = at(invoice.clone(), "2026-11-20T10:00:00+0300");
    dearer["total"] = json!(30000);
    world.zoho.put(Module::INVOICES, dearer.clone());
    world.webhook(server, "invoices", &json!({"invoice": dearer}).to_string()).await;
    let shown = "SELECT total || ' ' || coalesce(customer_name, '-') || ' ' || (customer_zoho_id IS NOT NULL) FROM erp.invoices";
    assert_eq!(world.text(shown).await.as_deref(), Some("30000 - true"));
    world.sync(server, "customers").await;
    world.sync(server, "invoices").await;
    world.drift(server).await;
    assert_eq!(world.found(&PERSON).await, Vec::<&str>::new());
    let (_, history) = server.command(&["explain", "customers", id]).await;
    assert!(history.contains("erase") && history.contains("by the data officer"), "{history}");

    // Until somebody allows it.
    assert_eq!(server.told(&["erase", "customers", id, "--undo", "--yes"]).await.0, 0);
    assert_eq!(server.told(&["erase", "customers", id, "--undo"]).await.0, 1, "it is not erased any more");
    world.sync(server, "customers").await;
    world.sync(server, "invoices").await;
    let name = "SELECT string_agg(c.name || ' ' || i.customer_name, '') FROM erp.customers c
      JOIN erp.invoices i ON i.customer_zoho_id = c.zoho_id WHERE c.deleted_at IS NULL";
    assert_eq!(world.text(name).await.as_deref(), Some("CANARYNAME CANARYNAME"));
    world.drift(server).await;

    // The name returns to documents that did not change in Zoho.
    assert_eq!(server.told(&["erase", "customers", id, "--yes"]).await.0, 0);
    assert_eq!(world.text(name).await, None);
    assert_eq!(server.told(&["erase", "customers", id, "--undo", "--yes"]).await.0, 0);
    world.sync(server, "customers").await;
    world.sync(server, "invoices").await;
    assert_eq!(world.text(name).await.as_deref(), Some("CANARYNAME CANARYNAME"));
    world.drift(server).await;
}
