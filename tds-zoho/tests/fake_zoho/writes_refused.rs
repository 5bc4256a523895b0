//! Writes that Zoho refuses.

use serde_json::{Value, json};
use tds_zoho::testkit::Module;

use crate::{support::Caller, writes::shop};

/// Makes a call and returns the status, the code and the message.
async fn refused(caller: &Caller, method: &str, path: &str, body: &Value) -> (u16, i64, String) {
    let (status, answer) = caller.books(method, path, body).await;
    let message = answer["message"].as_str().unwrap_or_default().to_owned();
    (status, answer["code"].as_i64().unwrap_or_default(), message)
}

#[tokio::test]
async fn what_is_missing_or_does_not_exist_is_refused() {
    let (caller, [customer, vendor, item]) = shop().await;
    let line = json!({"item_id": item, "quantity": 1, "rate": 2});
    let cases = [
        ("/contacts", json!({}), 2, "Invalid value passed for contact_name"),
        ("/items", json!({"name": "X"}), 2, "Invalid value passed for rate"),
        ("/invoices", json!({"customer_id": customer}), 2, "Invalid value passed for line_items"),
        ("/invoices", json!({"customer_id": "1", "line_items": [line]}), 1002, "Customer does not exist."),
        ("/invoices", json!({"customer_id": vendor, "line_items": [line]}), 1002, "Customer does not exist."),
        (
            "/salesorders",
            json!({"customer_id": customer, "line_items": [{"item_id": "1"}]}),
            1002,
            "Item does not exist.",
        ),
        ("/bills", json!({"vendor_id": vendor}), 2, "Invalid value passed for bill_number"),
        ("/creditnotes", json!({"customer_id": customer}), 2, "Invalid value passed for date"),
        ("/customerpayments", json!({"customer_id": customer}), 2, "Invalid value passed for payment_mode"),
        ("/vendorpayments", json!({"vendor_id": vendor}), 2, "Invalid value passed for amount"),
        ("/purchaseorders", json!({"vendor_id": vendor}), 2, "Invalid value passed for line_items"),
        ("/pricebooks", json!({"name": "X"}), 2, "Invalid value passed for pricebook_type"),
    ];
    for (path, body, code, message) in cases {
        assert_eq!(refused(&caller, "POST", path, &body).await, (400, code, message.to_owned()), "{path}");
    }
    let lost =
        refused(&caller, "PUT", "/invoices/1", &json!({"customer_id": customer, "line_items": [line]})).await;
    assert_eq!(lost, (404, 1002, "Invoice does not exist.".to_owned()));
    assert_eq!(refused(&caller, "DELETE", "/invoices/1", &Value::Null).await.0, 404);
    assert_eq!(refused(&caller, "POST", "/invoices/1/status/sent", &Value::Null).await.0, 404);
    assert_eq!(refused(&caller, "POST", "/settings/taxes", &json!({})).await.0, 405);
    let text = caller.call("POST", "/books/v3/contacts", &[], &[], Some("name=X".to_owned())).await;
    assert_eq!((text.0, text.1.expect("JSON")["code"].as_i64()), (400, Some(1038)));
    // Nothing was entered.
    assert_eq!((caller.fake.count(Module::INVOICES), caller.fake.take_webhooks().len()), (0, 0));
}

#[tokio::test]
async fn names_and_numbers_that_are_taken_are_refused() {
    let (caller, [customer, vendor, item]) = shop().await;
    let line = json!({"item_id": item, "quantity": 1, "rate": 2});
    let bill = json!({"vendor_id": vendor, "bill_number": "A-1", "line_items": [line]});
    let note = json!({"customer_id": customer, "date": "2026-11-28", "creditnote_number": "C-1", "line_items": [line]});
    let list = json!({"name": "L", "pricebook_type": "per_item", "sales_or_purchase_type": "sales"});
    for (path, body) in [("/bills", &bill), ("/creditnotes", &note), ("/pricebooks", &list)] {
        assert_eq!(caller.books("POST", path, body).await.0, 201, "{path}");
        assert_eq!(refused(&caller, "POST", path, body).await.1, 1001, "{path}");
    }
    let other =
        caller.books("POST", "/contacts", &json!({"contact_name": "Other", "contact_type": "vendor"})).await;
    let mut of_other = bill.clone();
    of_other["vendor_id"] = other.1["contact"]["contact_id"].clone();
    assert_eq!(caller.books("POST", "/bills", &of_other).await.0, 201, "each vendor has numbers of its own");
    let contact = json!({"contact_name": "Dijla Trading 1"});
    let message = "The customer \"Dijla Trading 1\" already exists. Please specify a different name.";
    assert_eq!(refused(&caller, "POST", "/contacts", &contact).await, (400, 3062, message.to_owned()));
    for body in
        [json!({"name": "Charging cable 1 m", "rate": 1}), json!({"name": "New", "rate": 1, "sku": "CBL-1"})]
    {
        assert_eq!(refused(&caller, "POST", "/items", &body).await.1, 1001);
    }
    // A record may keep its own name.
    let same = json!({"contact_name": "Dijla Trading 1"});
    assert_eq!(caller.books("PUT", &format!("/contacts/{customer}"), &same).await.0, 200);
}

#[tokio::test]
async fn payments_pay_no_more_than_is_owed_and_used_records_stay() {
    let (caller, [customer, _, item]) = shop().await;
    let invoice =
        json!({"customer_id": customer, "line_items": [{"item_id": item, "quantity": 2, "rate": 5}]});
    let (_, created) = caller.books("POST", "/invoices", &invoice).await;
    let id = created["invoice"]["invoice_id"].as_str().expect("an id").to_owned();
    let pay = |amount: u32, applied: u32| {
        json!({
            "customer_id": customer, "payment_mode": "cash", "amount": amount, "date": "2026-11-28",
            "invoices": [{"invoice_id": id, "amount_applied": applied}],
        })
    };
    let draft = refused(&caller, "POST", "/customerpayments", &pay(10, 10)).await;
    assert_eq!((draft.0, draft.2.as_str()), (400, "The invoice is draft: this operation is not possible."));
    assert_eq!(caller.books("POST", &format!("/invoices/{id}/status/sent"), &Value::Null).await.0, 200);
    let too_much = refused(&caller, "POST", "/customerpayments", &pay(20, 11)).await;
    assert!(too_much.2.contains("more than the balance due"), "{too_much:?}");
    assert_eq!(refused(&caller, "POST", "/customerpayments", &pay(5, 6)).await.1, 2);
    let (status, paid) = caller.books("POST", "/customerpayments", &pay(10, 10)).await;
    assert_eq!(status, 201, "{paid}");
    assert_eq!(caller.fake.get(Module::INVOICES, &id).expect("an invoice")["status"], "paid");
    // The payment itself may apply less, or the same once more.
    let path = format!("/customerpayments/{}", paid["payment"]["payment_id"].as_str().expect("an id"));
    assert_eq!(caller.books("PUT", &path, &pay(10, 4)).await.0, 200);
    let open = caller.fake.get(Module::INVOICES, &id).expect("an invoice");
    assert_eq!((open["balance"].to_string(), &open["status"]), ("6.00".to_owned(), &json!("partially_paid")));
    assert!(refused(&caller, "PUT", &path, &pay(20, 11)).await.2.contains("more than the balance due"));
    let kept = caller.fake.get(Module::INVOICES, &id).expect("an invoice");
    assert_eq!(kept["balance"].to_string(), "6.00", "a refused change moves nothing");
    for path in [format!("/invoices/{id}"), format!("/items/{item}"), format!("/contacts/{customer}")] {
        let refused = refused(&caller, "DELETE", &path, &Value::Null).await;
        assert!(refused.0 == 400 && refused.2.contains("cannot be deleted"), "{path}: {refused:?}");
    }
    assert_eq!(refused(&caller, "POST", &format!("/invoices/{id}/status/void"), &Value::Null).await.0, 400);
    let less = json!({"customer_id": customer, "line_items": [{"item_id": item, "quantity": 1, "rate": 1}]});
    assert_eq!(refused(&caller, "PUT", &format!("/invoices/{id}"), &less).await.0, 400, "less than was paid");
}
