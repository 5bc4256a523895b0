//! Writes without contracts: numbers, searches, and what Zoho gives to a record.

use serde_json::{Value, json};
use tds_zoho::testkit::{Module, sample};

use crate::support::{Caller, column};

/// Returns an organization with a customer, a vendor and an item, and their ids.
pub(crate) async fn shop() -> (Caller, [String; 3]) {
    let caller = Caller::new().await;
    let customer = caller.fake.put_contact(sample::contact(1, sample::ContactKind::Customer));
    let vendor = caller.fake.put_contact(sample::contact(1, sample::ContactKind::Vendor));
    let item = caller.fake.put_item(sample::item(1));
    (caller, [customer, vendor, item])
}

#[tokio::test]
async fn zoho_gives_numbers_unless_the_call_gives_them() {
    let (caller, [customer, _, item]) = shop().await;
    let body = |number: Option<&str>| {
        let mut body = json!({"customer_id": customer, "line_items": [{"item_id": item, "quantity": 1}]});
        if let Some(number) = number {
            body["invoice_number"] = json!(number);
        }
        body
    };
    let (status, first) = caller.books("POST", "/invoices", &body(None)).await;
    assert_eq!((status, &first["invoice"]["invoice_number"]), (201, &json!("INV-000001")));
    assert_eq!(first["invoice"]["status"], "draft");
    assert_eq!(first["invoice"]["customer_name"], "Dijla Trading 1");
    assert_eq!(first["invoice"]["line_items"][0]["rate"].to_string(), "6.00", "the rate of the item");
    let (status, refused) = caller.books("POST", "/invoices", &body(Some("MINE-1"))).await;
    assert_eq!(status, 400, "{refused}");
    let own = [("ignore_auto_number_generation", "true")];
    let send = async |number: &str| {
        let body = Some(body(Some(number)).to_string());
        caller.call("POST", "/books/v3/invoices", &own, &[], body).await
    };
    assert_eq!(send("MINE-1").await.0, 201);
    let (status, again) = send("MINE-1").await;
    assert_eq!((status, again.expect("JSON")["code"].as_i64()), (400, Some(1001)));
    let (_, second) = caller.books("POST", "/invoices", &body(None)).await;
    assert_eq!(second["invoice"]["invoice_number"], "INV-000003");
}

#[tokio::test]
async fn lists_are_searched_by_the_documented_parameters() {
    let (caller, [_, vendor, item]) = shop().await;
    caller.fake.put_item(sample::item(2));
    for number in ["A-1", "A-2"] {
        let line = json!({"item_id": item, "quantity": 2, "rate": 3});
        let body = json!({
            "vendor_id": vendor, "bill_number": number, "reference_number": format!("R-{number}"), "line_items": [line],
        });
        assert_eq!(caller.books("POST", "/bills", &body).await.0, 201);
    }
    let cases = [
        ("/books/v3/bills", "bills", "bill_number", "A-2"),
        ("/books/v3/bills", "bills", "reference_number", "R-A-1"),
        ("/inventory/v1/items", "items", "sku", "CBL-2"),
        ("/books/v3/contacts", "contacts", "contact_name", "Gulf Supplies 1"),
    ];
    for (path, list, key, value) in cases {
        let body = caller.ok(path, &[(key, value)]).await;
        assert_eq!(column(&body[list], key), [value], "{path} {key}");
    }
    // Books documents no search by SKU, so its list ignores the parameter.
    let ignored = caller.ok("/books/v3/items", &[("sku", "CBL-2")]).await;
    assert_eq!(ignored["items"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn an_upsert_finds_a_record_by_the_unique_custom_field_only() {
    let (caller, [customer, ..]) = shop().await;
    let put = async |key: &str, value: &str, upsert: &str, name: &str| {
        let headers =
            [("X-Unique-Identifier-Key", key), ("X-Unique-Identifier-Value", value), ("X-Upsert", upsert)];
        let field = json!({"api_name": "cf_tds_id", "value": value});
        let body = json!({"contact_name": name, "contact_type": "customer", "custom_fields": [field]});
        let (status, answer) =
            caller.call("PUT", "/books/v3/contacts", &[], &headers, Some(body.to_string())).await;
        (status, answer.unwrap_or_default())
    };
    assert_eq!(put("cf_tds_id", "u-1", "false", "New").await.0, 404, "nothing is created without X-Upsert");
    let (status, created) = put("cf_tds_id", "u-1", "true", "New").await;
    assert_eq!(status, 200, "{created}");
    let (_, changed) = put("cf_tds_id", "u-1", "true", "Newer").await;
    assert_eq!(changed["contact"]["contact_id"], created["contact"]["contact_id"]);
    assert_eq!(
        (&changed["contact"]["contact_name"], caller.fake.count(Module::CONTACTS)),
        (&json!("Newer"), 3)
    );
    assert_eq!(put("cf_other", "u-1", "true", "Other").await.0, 400, "the field is not unique");
    // Nobody else may take the value.
    let body = json!({"custom_fields": [{"api_name": "cf_tds_id", "value": "u-1"}]});
    let (status, refused) = caller.books("PUT", &format!("/contacts/{customer}"), &body).await;
    assert_eq!((status, &refused["code"]), (400, &json!(1001)));
    caller.fake.set_unique_fields(&["cf_other"]);
    let path = "/inventory/v1/items";
    assert_eq!(
        caller.call("PUT", path, &[], &[], Some(Value::Null.to_string())).await.0,
        405,
        "Inventory has no upsert"
    );
}
