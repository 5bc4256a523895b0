//! A shop that syncs some entity types only, and runs that read a part of the records.

use serde_json::json;
use tds_zoho::testkit::Module;

use crate::shop::Shop;

/// Enters an invoice of a day in January 2026, and returns its id.
fn invoice(shop: &Shop, day: u8) -> String {
    let invoice = json!({"invoice_number": format!("INV-{day}"), "date": format!("2026-01-{day:02}"), "line_items": []});
    shop.zoho.put(Module::INVOICES, invoice)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_chosen_is_kept_and_ignored_and_parts_of_the_rest_can_be_read() {
    let mut shop = Shop::open_with(&[("TDS_ENTITIES", "vendors,invoices")]).await;

    // Every known type is shown, with zeros.
    let (_, stats) = shop.get("/api/zoho/sync/stats").await;
    for entity in ["products", "customers", "vendors", "invoices", "stock", "prices"] {
        assert_eq!(stats["by_entity"][entity]["pending"], 0, "{entity} in {stats:#}");
    }
    let (_, health) = shop.get("/health").await;
    assert_eq!(health["components"]["scheduler"]["detail"], "6 schedules", "{health:#}");

    // A webhook of another type is kept and ignored, and a bulk sync of it is refused.
    let (status, answer) = shop.webhook("products", &json!({"item": {"item_id": "7"}}).to_string()).await;
    assert_eq!((status.as_u16(), &answer["status"]), (200, &json!("ignored")), "{answer}");
    let kept =
        "tds_inbox_events WHERE entity_type = 'products' AND status = 'completed' AND outcome = 'ignored'";
    assert_eq!(shop.count(kept).await, 1);
    let (status, problem) = shop.post("/api/zoho/bulk-sync", json!({"entity_type": "products"})).await;
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(status == 422 && detail.contains("TDS_ENTITIES does not name them"), "{problem}");

    // Customers and vendors share an address. A contact that does not say what it is, is read once.
    let contact = |name: &str, of: &str| {
        shop.zoho.put(Module::CONTACTS, json!({"contact_name": name, "contact_type": of}))
    };
    let (vendor, customer) = (contact("Acme", "vendor"), contact("Dijla", "customer"));
    for id in [&vendor, &customer] {
        shop.webhook_done("customers", &json!({"contact": {"contact_id": id}})).await;
    }
    assert_eq!((shop.count("erp.vendors").await, shop.count("erp.customers").await), (1, 0));
    assert_eq!(shop.count("tds_inbox_events WHERE status <> 'completed'").await, 0);

    // A part of the invoices, by their dates and by their ids.
    let ids: Vec<String> = (1..=9).map(|day| invoice(&shop, day)).collect();
    let part = |more: serde_json::Value| {
        let mut body = json!({"entity_type": "invoices", "mode": "full"});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let run = async |shop: &Shop, more: serde_json::Value| {
        let (status, answer) = shop.post("/api/zoho/bulk-sync", part(more)).await;
        assert_eq!(status, 202, "{answer}");
        let run = shop.run_ended(answer["runs"][0]["id"].as_i64().expect("an id")).await;
        assert_eq!(run["status"], "completed", "{run:#}");
        run
    };
    let ended = run(&shop, json!({"from": "2026-01-03", "to": "2026-01-06"})).await;
    assert_eq!(
        (&ended["total_items"], &ended["selection"]["to"]),
        (&json!(4), &json!("2026-01-06")),
        "{ended:#}"
    );
    assert_eq!(shop.count("erp.invoices WHERE date BETWEEN '2026-01-03' AND '2026-01-06'").await, 4);
    run(&shop, json!({"ids": [ids[0], ids[8]]})).await;
    assert_eq!(shop.count("erp.invoices").await, 6);
    assert_eq!(shop.count("tds_cursors WHERE entity_type = 'invoices'").await, 0);

    // A part deletes nothing and moves no cursor, a full sync does.
    shop.sync("invoices", "full").await;
    let cursor = shop.text("SELECT (cursor, last_full_count)::text FROM tds_cursors").await;
    shop.zoho.delete(Module::INVOICES, &ids[4]);
    let ended = run(&shop, json!({"from": "2026-01-03", "to": "2026-01-06"})).await;
    assert_eq!(ended["total_items"], 3, "{ended:#}");
    assert_eq!(shop.count("erp.invoices WHERE deleted_at IS NULL").await, 9);
    assert_eq!(shop.text("SELECT (cursor, last_full_count)::text FROM tds_cursors").await, cursor);
    shop.sync("invoices", "full").await;
    assert_eq!(shop.count("erp.invoices WHERE deleted_at IS NULL").await, 8);
    let (_, plan) = shop.get("/api/zoho/plan").await;
    let lane = |name: &str| plan["lanes"].as_array()?.iter().find(|lane| lane["lane"] == name).cloned();
    assert_eq!(lane("outbound").expect("a lane")["reason"], "off", "{plan:#}");
    assert!(plan["idle_calls_a_day"].as_f64().is_some_and(|calls| calls > 190.0), "{plan:#}");
    shop.stop().await;
}
