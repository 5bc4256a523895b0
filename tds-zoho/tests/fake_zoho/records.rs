use serde_json::{Value, json};
use tds_zoho::testkit::{
    Module,
    sample::{self, ContactKind},
};

use crate::{
    recorded_keys as recorded,
    support::{Caller, column, keys},
};

/// Returns an organization with one sample of every kind.
pub(crate) async fn furnished() -> Caller {
    let caller = Caller::new().await;
    let fake = &caller.fake;
    let items = [sample::item(1), sample::item(2)];
    items.iter().for_each(|item| {
        fake.put_item(item.clone());
    });
    fake.put_item(sample::service(3));
    let (customer, vendor) =
        (sample::contact(1, ContactKind::Customer), sample::contact(1, ContactKind::Vendor));
    fake.put_invoice(sample::invoice(1, &customer, &items));
    fake.put_bill(sample::bill(1, &vendor, &items));
    fake.put_credit_note(sample::credit_note(1, &customer, &items));
    fake.put(Module::SALES_ORDERS, sample::sales_order(1, &customer, &items));
    fake.put(Module::PURCHASE_ORDERS, sample::purchase_order(1, &vendor, &items));
    fake.put(Module::VENDOR_CREDITS, sample::vendor_credit(1, &vendor, &items));
    for module in [Module::CUSTOMER_PAYMENTS, Module::VENDOR_PAYMENTS] {
        fake.generate(module, 1);
    }
    fake.put_contact(customer);
    fake.put_contact(vendor);
    fake.put_price_list(sample::price_list_unit(1, &items));
    fake.put_price_list(sample::price_list_volume(2, &items));
    fake.put_price_list(sample::price_list_percentage(3, "12.50", true));
    fake.put(Module::ADJUSTMENTS, sample::adjustment(1, &items[0], (-3).into()));
    for place in sample::locations() {
        fake.put(Module::LOCATIONS, place);
    }
    fake.put(Module::TAXES, sample::tax(5));
    let rates = [("2026-10-01".to_owned(), json!(0.000_75)), ("2026-11-01".to_owned(), json!(0.000_763))];
    for currency in sample::currencies(&rates) {
        fake.put(Module::CURRENCIES, currency);
    }
    fake.put(Module::ITEM_GROUPS, sample::item_group(1, &items));
    fake.put(Module::COMPOSITE_ITEMS, sample::composite_item(1, &items));
    caller
}

#[tokio::test]
async fn list_rows_have_the_keys_of_recorded_answers() {
    let caller = furnished().await;
    let items = caller.ok("/inventory/v1/items", &[]).await;
    assert_eq!(keys(&items["items"][0]), recorded::ITEM_ROW);
    assert_eq!(keys(&items["items"][2]), recorded::SERVICE_ROW);
    let invoices = caller.ok("/books/v3/invoices", &[]).await;
    assert_eq!(keys(&invoices["invoices"][0]), recorded::INVOICE_ROW);
    let lists = caller.ok("/books/v3/pricebooks", &[]).await;
    for row in lists["pricebooks"].as_array().expect("rows") {
        assert_eq!(keys(row), recorded::PRICE_LIST_ROW);
    }
}

#[tokio::test]
async fn list_rows_lack_what_only_the_detail_has() {
    let caller = furnished().await;
    let hidden = [
        ("contacts", &["billing_address", "contact_persons", "pricebook_id"][..]),
        ("bills", &["line_items", "taxes", "payments", "notes"]),
        ("creditnotes", &["line_items", "updated_time"]),
        ("items", &["locations", "custom_fields", "group_id"]),
        ("salesorders", &["line_items", "exchange_rate", "billing_address"]),
        ("purchaseorders", &["line_items", "exchange_rate", "sub_total"]),
        ("vendorcredits", &["line_items", "sub_total"]),
        ("vendorpayments", &["bills", "location_id"]),
    ];
    for (list, hidden) in hidden {
        let body = caller.ok(&format!("/books/v3/{list}"), &[]).await;
        let row = &body[list][0];
        assert!(row["last_modified_time"].is_string(), "{list}: {row}");
        for key in hidden {
            assert!(row.get(key).is_none(), "{list} shows {key}");
        }
    }
}

#[tokio::test]
async fn price_lists_alone_have_the_keys_of_recorded_answers() {
    let caller = furnished().await;
    let ids = caller.fake.ids(Module::PRICE_LISTS);
    let unit = caller.ok(&format!("/books/v3/pricebooks/{}", ids[0]), &[]).await;
    assert_eq!(keys(&unit["pricebook"]), recorded::PRICE_LIST);
    assert_eq!(keys(&unit["pricebook"]["pricebook_items"][0]), recorded::UNIT_PRICE);
    let volume = caller.ok(&format!("/books/v3/pricebooks/{}", ids[1]), &[]).await;
    let item = &volume["pricebook"]["pricebook_items"][0];
    assert_eq!(keys(item), recorded::VOLUME_PRICE);
    assert_eq!(keys(&item["price_brackets"][2]), recorded::BRACKET);
    assert_eq!(item["price_brackets"][2]["end_quantity"], "");
    let inventory = caller.ok(&format!("/inventory/v1/pricebooks/{}", ids[0]), &[]).await;
    assert!(inventory["pricebook"].get("pricebook_items").is_none());
}

#[tokio::test]
async fn details_have_the_keys_of_recorded_answers() {
    let caller = furnished().await;
    let customer =
        caller.ok(&format!("/books/v3/contacts/{}", caller.fake.ids(Module::CONTACTS)[0]), &[]).await;
    let found = keys(&customer["contact"]);
    for key in recorded::CUSTOMER {
        assert!(found.contains(key), "{key} is missing");
    }
    let note =
        caller.ok(&format!("/books/v3/creditnotes/{}", caller.fake.ids(Module::CREDIT_NOTES)[0]), &[]).await;
    assert!(note["creditnote"]["updated_time"].is_string());
    assert!(note["creditnote"].get("last_modified_time").is_none());
    let service = caller.ok(&format!("/books/v3/items/{}", caller.fake.ids(Module::ITEMS)[2]), &[]).await;
    assert!(keys(&service["item"]).iter().all(|key| !key.contains("stock") && *key != "locations"));
}

#[tokio::test]
async fn amounts_keep_their_trailing_zeros() {
    let caller = furnished().await;
    let text = caller.raw("/inventory/v1/items", &[]).await.text().await.expect("a body");
    assert!(text.contains("\"rate\":6.00"), "{text}");
    assert!(text.contains("\"stock_on_hand\":2.000000"), "{text}");
}

#[tokio::test]
async fn many_items_at_once_leave_unknown_ids_out() {
    let caller = furnished().await;
    let ids = caller.fake.ids(Module::ITEMS);
    let asked = format!("{},999,{}", ids[1], ids[0]);
    let body = caller.ok("/inventory/v1/itemdetails", &[("item_ids", &asked)]).await;
    assert_eq!(column(&body["items"], "item_id"), [ids[1].clone(), ids[0].clone()]);
    assert!(body["items"][0]["locations"].is_array());
    caller.fake.set_max_item_ids(2);
    let (status, body) = caller.get("/inventory/v1/itemdetails", &[("item_ids", &asked)]).await;
    assert_eq!((status, &body["code"]), (400, &json!(2)));
}

#[tokio::test]
async fn what_does_not_exist_is_named() {
    let caller = furnished().await;
    let code = async |path: &str| {
        let (status, body) = caller.get(path, &[]).await;
        (status, body["code"].clone(), body["message"].clone())
    };
    let missing = (404, json!(1002), json!("Invoice does not exist."));
    assert_eq!(code("/books/v3/invoices/1").await, missing);
    for unknown in
        ["/books/v3/nothing", "/books/v3/inventoryadjustments", "/crm/v2/items", "/books/v3/items/1/2"]
    {
        assert_eq!(code(unknown).await.1, json!(5), "{unknown}");
    }
    let id = caller.fake.ids(Module::INVOICES)[0].clone();
    caller.fake.delete(Module::INVOICES, &id);
    assert_eq!(code(&format!("/books/v3/invoices/{id}")).await, missing);
    assert_eq!(caller.fake.count(Module::INVOICES), 0);
}

#[tokio::test]
async fn an_id_may_be_written_as_a_number() {
    let caller = Caller::new().await;
    let id = caller.fake.put_item(json!({"item_id": 4_600_000_000_123_i64, "name": "Cable"}));
    assert_eq!((id.as_str(), caller.fake.ids(Module::ITEMS)), ("4600000000123", vec![id.clone()]));
    let body = caller.ok(&format!("/books/v3/items/{id}"), &[]).await;
    assert!(body["item"]["item_id"].is_number());
}

#[tokio::test]
async fn silent_changes_do_not_move_the_time() {
    let caller = furnished().await;
    let fake = &caller.fake;
    let id = fake.ids(Module::ITEMS)[0].clone();
    let modified = || fake.get(Module::ITEMS, &id).map(|item| item["last_modified_time"].clone());
    let before = modified();
    fake.advance(std::time::Duration::from_secs(90));
    assert!(fake.update_silently(Module::ITEMS, &id, json!({"stock_on_hand": 1})));
    assert_eq!(modified(), before);
    assert!(fake.update(Module::ITEMS, &id, json!({"rate": 2})));
    assert_ne!(modified(), before);
    assert!(!fake.update(Module::ITEMS, "1", Value::Null));
}

#[tokio::test]
async fn adjustments_places_usage_and_the_organization_are_there() {
    let caller = furnished().await;
    let adjustments = caller.ok("/inventory/v1/inventoryadjustments", &[]).await;
    let row = &adjustments["inventory_adjustments"][0];
    assert!(row.get("line_items").is_none() && row.get("last_modified_time").is_none());
    let id = row["inventory_adjustment_id"].as_str().expect("an id");
    let detail = caller.ok(&format!("/inventory/v1/inventoryadjustments/{id}"), &[]).await;
    assert_eq!(detail["inventory_adjustment"]["line_items"][0]["quantity_adjusted"].to_string(), "-3.000000");
    let places = caller.ok("/books/v3/locations", &[]).await;
    assert_eq!(places["locations"].as_array().map(Vec::len), Some(3));
    assert!(places.get("page_context").is_none());
    let usage = caller.ok("/inventory/v1/apiusage", &[]).await;
    assert_eq!(usage["data"]["total_api_count"], 4);
    let organizations = caller.ok("/books/v3/organizations", &[]).await;
    let id = caller.fake.credentials().organization_id;
    assert_eq!(organizations["organizations"][0]["organization_id"], id.as_str());
}
