//! What people read: the views, columns of custom fields, and the list of fields that TDS does not know.

use serde_json::{Value, json};
use tds_zoho::testkit::{
    FakeZoho, Module,
    demo::{self, Changes, Size},
};

use crate::{
    money,
    shop::{Shop, assert_rows},
};

/// Compares what the view shows of each customer with Zoho's own figures of the customer.
const DIFFERENCES: &str = "(
  SELECT c.zoho_id, c.outstanding_amount, c.unused_credits, r.open_invoices, r.unused_credits AS credits, r.unapplied_payments
    FROM erp.live_customers c FULL JOIN erp.receivables r ON r.customer_zoho_id = c.zoho_id AND r.currency_code = c.currency_code
   WHERE COALESCE(c.outstanding_amount, 0) <> COALESCE(r.open_invoices, 0)
      OR COALESCE(c.unused_credits, 0) <> COALESCE(r.unused_credits + r.unapplied_payments, 0))";

/// Whether the demo has customers of every kind, and whether the columns of the view add up.
const SUMS: &str = "(
  SELECT count(*) FILTER (WHERE open_invoices > 0) > 3 AND count(*) FILTER (WHERE unused_credits > 0) > 0
           AND count(*) FILTER (WHERE unapplied_payments > 0) > 0
           AND count(DISTINCT currency_code) = 2 AS is_a_real_test,
         bool_and(net = open_invoices - unused_credits - unapplied_payments
                  AND open_invoices = not_due + due_1_30 + due_31_60 + due_61_90 + due_over_90) AS adds_up
    FROM erp.receivables)";

async fn full_sync(shop: &Shop) {
    let (status, answer) =
        shop.post("/api/zoho/bulk-sync", json!({"entity_type": "all", "mode": "full"})).await;
    assert_eq!(status.as_u16(), 202, "{answer}");
    for run in answer["runs"].as_array().expect("runs") {
        let ended = shop.run_ended(run["id"].as_i64().expect("an id")).await;
        assert_eq!(ended["status"], "completed", "{ended:#}");
    }
    shop.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_read_views_columns_of_custom_fields_and_the_names_of_unknown_fields() {
    let zoho = FakeZoho::start().await;
    demo::organization(&zoho, Size { invoices: 300, credit_notes: 20, ..Size::percent(1) }, 20_261_128);
    let products = zoho.ids(Module::ITEMS);
    let fields =
        json!([{"customfield_id": "1", "api_name": "cf_shelf", "label": "Shelf", "value": "12", "index": 1}]);
    zoho.update(Module::ITEMS, &products[0], json!({"custom_fields": fields, "colour_of_the_year": "green"}));
    zoho.update(Module::ITEMS, &products[1], json!({"colour_of_the_year": "green"}));
    let invoice = zoho.ids(Module::INVOICES)[0].clone();
    let mut lines = zoho.get(Module::INVOICES, &invoice).expect("an invoice")["line_items"].clone();
    lines[0]["mood"] = json!("good");
    zoho.update(Module::INVOICES, &invoice, json!({"line_items": lines}));

    let settings = [("TDS_CUSTOM_COLUMNS", "products.cf_shelf:integer,customers.cf_tier:text")];
    let mut shop = Shop::open_over(zoho, &settings).await;
    full_sync(&shop).await;
    assert_eq!(shop.rows(DIFFERENCES, "zoho_id").await, Vec::<Value>::new());
    assert_rows(&shop.rows(SUMS, "adds_up").await, &json!([{"is_a_real_test": true, "adds_up": true}]));
    let overdue = "erp.open_invoices WHERE is_overdue IS DISTINCT FROM
      (due_date < (now() AT TIME ZONE 'Asia/Baghdad')::date) OR status IN ('draft', 'void', 'paid')";
    shop.until("SELECT time_zone FROM erp.organization", "Asia/Baghdad").await;
    assert_eq!(shop.count(overdue).await, 0);
    let without =
        "erp.base_amounts WHERE base_total IS NULL OR currency_code = 'USD' AND base_total <> total";
    assert_eq!(shop.count(without).await, 0);
    let shelf = format!("SELECT cf_shelf::text FROM erp.live_products WHERE zoho_id = '{}'", products[0]);
    assert_eq!(shop.text(&shelf).await.as_deref(), Some("12"));

    // A value of another kind changes nothing but its column, and a restart with the same configuration nothing at all.
    let fields = json!([{"customfield_id": "1", "api_name": "cf_shelf", "value": "top", "index": 1}]);
    shop.zoho.update(Module::ITEMS, &products[0], json!({"custom_fields": fields}));
    let mut body: Value =
        serde_json::from_str(&shop.zoho.webhook_body(Module::ITEMS, &products[0])).expect("JSON");
    body["item"]["name"] = json!("a new name");
    shop.webhook_done("products?event=updated", &body).await;
    assert_eq!(shop.text(&shelf).await, None);
    let raw =
        format!("SELECT raw ->> 'colour_of_the_year' FROM erp.products WHERE zoho_id = '{}'", products[0]);
    assert_eq!(shop.text(&raw).await.as_deref(), Some("green"));

    // The shop trades on, and its money is still right.
    money::assert_holds(&shop).await;
    let mut changes = Changes::new(13);
    for _ in 0..150 {
        changes.next_change(&shop.zoho);
    }
    for _ in 0..2 {
        full_sync(&shop).await;
        money::assert_holds(&shop).await;
    }
    money::assert_finds_planted_errors(&shop).await;

    shop.stop().await;
    let unknown = shop
        .rows("(SELECT entity_type, path, occurrences >= 1 AS seen FROM tds_unknown_fields)", "path")
        .await;
    let expected = json!([
        {"entity_type": "products", "path": "colour_of_the_year", "seen": true},
        {"entity_type": "invoices", "path": "line_items[].mood", "seen": true},
    ]);
    assert_rows(&unknown, &expected);
    let file = "SELECT pg_relation_filenode('erp.products')::text";
    let before = shop.text(file).await;
    shop.start().await;
    assert_eq!(shop.text(file).await, before);
    shop.stop().await;
}
