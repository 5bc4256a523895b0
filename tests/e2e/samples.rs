//! The simulated organization serves recorded samples of Zoho's answers. The tests compare the mirror with the rows
//! that each sample must become.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use crate::shop::{Shop, assert_columns, assert_rows};

/// Parses a recorded answer and returns the value under this key.
fn sample(text: &str, key: &str) -> Value {
    let mut answer: Value = serde_json::from_str(text).expect("a recorded answer is JSON");
    answer[key].take()
}

/// Includes a recorded answer by its file name.
macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../../tds-zoho/tests/data/zoho-samples/", $name, ".json"))
    };
}

/// JSON whose numbers keep their literal text.
fn literal(text: &str) -> Value {
    serde_json::from_str(text).expect("an expectation is JSON")
}

fn put_all(shop: &Shop, module: Module, records: &Value) {
    for record in records.as_array().expect("rows") {
        shop.zoho.put(module, record.clone());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_items_land_with_their_stock() {
    let shop = Shop::open().await;
    put_all(&shop, Module::ITEMS, &sample(recorded!("inventory-items-list"), "items"));
    shop.sync("products", "full").await;
    shop.sync("stock", "full").await;
    let expected = literal(
        r#"[{"zoho_id":"3850050000000077005","sku":"Z587","name":"OIL FILTER GUD OD76 H79 [3/4 - 16UNF]","description":null,
        "unit":"Z587","status":"active","item_type":"inventory","product_type":"goods","rate":85.00,"purchase_rate":60.00,
        "tax_zoho_id":null,"tax_percentage":0,"brand":null,"manufacturer":null,"category_zoho_id":null,"category_name":null,
        "upc":null,"ean":null,"reorder_level":1.000000,"image_document_id":"3850050000000077012","image_name":"Z587-profile.jpg",
        "group_zoho_id":null,"zoho_created_at":"2023-02-07T09:44:42+00:00","zoho_modified_at":"2024-02-26T13:44:57+00:00","deleted_at":null},
        {"zoho_id":"3850050000000101013","sku":"OSF","name":"Online Request Service Fee","unit":"OSF","status":"active",
        "item_type":"sales_and_purchases","product_type":"service","rate":1.00,"reorder_level":null,"image_name":null,
        "zoho_created_at":"2024-01-23T18:00:17+00:00","zoho_modified_at":"2024-01-23T18:00:17+00:00","deleted_at":null},
        {"zoho_id":"3850050000000128011","sku":"GTX5L","name":"CASTROL ENGINE OIL GTX 5L","description":null,"unit":"ml",
        "status":"active","item_type":"inventory","product_type":"goods","rate":360.00,"purchase_rate":200.00,
        "tax_zoho_id":"3850050000000076117","tax_percentage":15,"brand":null,"upc":null,"reorder_level":null,
        "image_document_id":null,"image_name":null,"zoho_created_at":"2024-02-01T08:54:54+00:00",
        "zoho_modified_at":"2024-02-01T08:55:14+00:00","deleted_at":null}]"#,
    );
    assert_rows(&shop.rows("erp.products", "zoho_id").await, &expected);
    // The service item has no stock keys, so it has no stock rows.
    let stock = literal(
        r#"[{"product_zoho_id":"3850050000000077005","location_zoho_id":"","location_name":null,"stock_on_hand":1.000000,
        "available_stock":1.000000,"actual_available_stock":1.000000,"committed_stock":null},
        {"product_zoho_id":"3850050000000128011","location_zoho_id":"","location_name":null,"stock_on_hand":5.000000,
        "available_stock":5.000000,"actual_available_stock":5.000000,"committed_stock":null}]"#,
    );
    let found = shop.rows("erp.stock_levels", "product_zoho_id").await;
    assert_rows(&found, &stock);
    assert_eq!(found[1]["stock_on_hand"].to_string(), "5.000000");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_invoice_row_lands() {
    let shop = Shop::open().await;
    put_all(&shop, Module::INVOICES, &sample(recorded!("books-invoices-list"), "invoices"));
    shop.sync("invoices", "full").await;
    let expected = literal(
        r#"{"zoho_id":"4320524000000077289","number":"INV-000001","reference_number":"12345","status":"draft",
        "customer_zoho_id":"4320524000000077262","customer_name":"Sample Customer","date":"2023-07-22","due_date":"2023-07-22",
        "currency_code":"INR","exchange_rate":1.00,"sub_total":null,"discount":null,"tax_total":null,"shipping_charge":0.00,
        "adjustment":0.00,"total":1000.00,"balance":1000.00,"payment_made":null,"salesperson_name":null,"location_zoho_id":null,
        "notes":null,"terms":null,"taxes":null,
        "billing_address":{"address":"","street2":"","city":"","state":"","zipcode":"","country":"","phone":"","fax":"","attention":""},
        "shipping_address":{"address":"","street2":"","city":"","state":"","zipcode":"","country":"","phone":"","fax":"","attention":""},
        "zoho_created_at":"2023-07-22T15:13:43+00:00","zoho_modified_at":"2023-07-22T15:13:43+00:00","deleted_at":null}"#,
    );
    let row = shop.row("invoices", "4320524000000077289").await.expect("a row");
    assert_columns(&row, &expected);
    assert_eq!(row["total"].to_string(), "1000.00");
    assert_eq!(row["raw"]["currency_symbol"], "₹", "raw keeps what has no column");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_price_lists_land_with_prices_and_brackets() {
    let shop = Shop::open().await;
    let rows = sample(recorded!("books-pricebooks-list"), "pricebooks");
    put_all(&shop, Module::PRICE_LISTS, &rows);
    for (text, row) in [
        (recorded!("books-pricebook-detail-unit"), &rows[0]),
        (recorded!("books-pricebook-detail-volume"), &rows[1]),
    ] {
        let mut detail = sample(text, "pricebook");
        detail["last_modified_time"] = row["last_modified_time"].clone();
        shop.zoho.put(Module::PRICE_LISTS, detail);
    }
    shop.sync("prices", "full").await;
    let lists = literal(
        r#"[{"zoho_id":"982000000870001","name":"Retail Partner A","description":null,"currency_code":"INR","pricebook_type":"per_item",
        "pricing_scheme":"unit","sales_or_purchase_type":"sales","percentage":null,"is_increase":false,"rounding_type":"no_rounding",
        "status":"active","zoho_modified_at":"2025-05-15T06:53:11+00:00","deleted_at":null},
        {"zoho_id":"982000000870002","name":"Volume Demo","currency_code":"INR","pricing_scheme":"volume","percentage":null,
        "zoho_modified_at":"2026-05-09T07:40:22+00:00","deleted_at":null},
        {"zoho_id":"982000000870003","name":"Clinic Markup","currency_code":null,"pricebook_type":"fixed_percentage","pricing_scheme":null,
        "percentage":35.71,"is_increase":true,"rounding_type":"round_to_dollar","status":"inactive",
        "zoho_modified_at":"2024-05-04T18:18:16+00:00","deleted_at":null}]"#,
    );
    assert_rows(&shop.rows("erp.price_lists", "zoho_id").await, &lists);
    let prices = literal(
        r#"[{"price_list_zoho_id":"982000000870001","product_zoho_id":"982000000880001","start_quantity":null,"end_quantity":null,"rate":64.41,"discount":null},
        {"price_list_zoho_id":"982000000870001","product_zoho_id":"982000000880002","start_quantity":null,"end_quantity":null,"rate":120,"discount":null},
        {"price_list_zoho_id":"982000000870002","product_zoho_id":"982000000880001","start_quantity":10.0,"end_quantity":19.0,"rate":19.0,"discount":null},
        {"price_list_zoho_id":"982000000870002","product_zoho_id":"982000000880001","start_quantity":20.0,"end_quantity":49.0,"rate":18.0,"discount":null},
        {"price_list_zoho_id":"982000000870002","product_zoho_id":"982000000880001","start_quantity":50.0,"end_quantity":null,"rate":15.84,"discount":null}]"#,
    );
    let order = "price_list_zoho_id, product_zoho_id, start_quantity";
    assert_rows(&shop.rows("erp.price_list_items", order).await, &prices);
}

/// The row of the recorded contact in `erp.customers`.
fn contact_row() -> Value {
    let contact = sample(recorded!("books-contact-detail"), "contact");
    let mut row = literal(
        r#"{"zoho_id":"982000000990001","name":"Sample Medical Store","company_name":"Sample Medical Store","contact_sub_type":"business",
        "status":"active","first_name":"Sample","last_name":"Person","email":null,"mobile":"+910000000001","currency_code":"INR",
        "payment_terms":0,"payment_terms_label":"Due on Receipt","credit_limit":null,"outstanding_amount":120.0,"unused_credits":null,
        "price_list_zoho_id":"982000000870002","notes":null,"custom_fields":{"cf_risk_score":"Medium"},
        "zoho_created_at":"2025-01-01T04:30:00+00:00","zoho_modified_at":"2026-07-08T04:19:49+00:00","deleted_at":null}"#,
    );
    for key in ["billing_address", "shipping_address", "contact_persons"] {
        row[key] = contact[key].clone();
    }
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_contact_lands_by_a_full_sync_and_by_a_webhook() {
    let contact = sample(recorded!("books-contact-detail"), "contact");
    for by_webhook in [false, true] {
        let shop = Shop::open().await;
        shop.zoho.put(Module::CONTACTS, contact.clone());
        if by_webhook {
            shop.webhook_done("customers", &json!({"contact": contact})).await;
        } else {
            shop.sync("customers", "full").await;
        }
        let row = shop.row("customers", "982000000990001").await.expect("a row");
        assert_columns(&row, &contact_row());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_item_webhook_is_filled_up_by_a_read() {
    let shop = Shop::open().await;
    let body: Value = serde_json::from_str(recorded!("webhook-item-shape")).expect("JSON");
    let mut item = body["item"].clone();
    for (key, value) in [("status", "active"), ("unit", "pcs"), ("description", "whole")] {
        item[key] = json!(value);
    }
    shop.zoho.put(Module::ITEMS, item);
    shop.webhook_done("products", &body).await;
    let expected = literal(
        r#"{"sku":"PROD-001","name":"Sample Product","rate":99.99,"group_zoho_id":null,"status":"active","unit":"pcs",
        "description":"whole","attribute_values":{"Size":"Large"},"deleted_at":null}"#,
    );
    let row = shop.row("products", "1234567890").await.expect("a row");
    assert_columns(&row, &expected);
    assert_eq!(
        (&row["raw"]["attribute_name1"], &row["raw"]["attribute_option_name1"]),
        (&json!("Size"), &json!("Large"))
    );
}
